// synth_tok: a tokenizer for synthetic folders. Every id below vocab_size has a text, every text that is
// not a byte or a character is one merge of two others, and plain English comes to a few characters a
// token: what the runtime does with it costs about what it does with the real one. See synth.h.
#include "base/files.h"
#include "bundle/synth.h"
#include "format/jsonio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE "\xe2\x96\x81" // U+2581, what a space becomes

// Where things lie, as in the real tokenizer: special tokens below 107.
enum { N_SPECIAL = 107, N_BYTES = 256 };

// The names of the ids below N_SPECIAL that have one.
static const struct {
  int id;
  const char *text;
} specials[] = {{0, "<pad>"},
                {1, "<eos>"},
                {2, "<bos>"},
                {3, "<unk>"},
                {101, "<zyphra_tool_call>"},
                {102, "</zyphra_tool_call>"},
                {103, "<zyphra_tool_response>"},
                {104, "</zyphra_tool_response>"},
                {105, "<|im_start|>"},
                {106, "<|im_end|>"}};

// Characters with a token of their own; all others are spelt in bytes.
static const char characters[] = "\n\t!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                 "abcdefghijklmnopqrstuvwxyz{|}~";

static const char template_text[] =
    "{%- set ns = namespace(system='') -%}\n"
    "{%- for m in messages if m.role == 'system' -%}{%- set ns.system = m.content -%}{%- endfor -%}\n"
    "{%- if ns.system or tools -%}\n"
    "<|im_start|>system\n"
    "{{ ns.system }}\n"
    "{%- if tools %}\n"
    "<tools>\n"
    "{%- for tool in tools %}\n"
    "{%- set f = tool.function if tool.function is defined else tool %}\n"
    "<function><name>{{ f.name }}</name><description>{{ f.description }}</description><parameters>"
    "{{ f.parameters | tojson }}</parameters></function>\n"
    "{%- endfor %}\n"
    "</tools>\n"
    "{%- endif -%}\n"
    "<|im_end|>\n"
    "{% endif -%}\n"
    "{%- for m in messages if m.role != 'system' -%}\n"
    "{%- if m.role == 'tool' -%}\n"
    "<|im_start|>user\n"
    "<zyphra_tool_response>\n"
    "{{ m.content }}\n"
    "</zyphra_tool_response><|im_end|>\n"
    "{% else -%}\n"
    "<|im_start|>{{ m.role }}\n"
    "{{ m.content or '' }}\n"
    "{%- for call in m.tool_calls or [] %}\n"
    "<zyphra_tool_call>\n"
    "<function={{ call.function.name }}>\n"
    "{%- for name, value in call.function.arguments | items %}\n"
    "<parameter={{ name }}>\n"
    "{{ value if value is string else value | tojson }}\n"
    "</parameter>\n"
    "{%- endfor %}\n"
    "</function>\n"
    "</zyphra_tool_call>\n"
    "{%- endfor -%}\n"
    "<|im_end|>\n"
    "{% endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking -%}\n"
    "<think>\n"
    "{% elif enable_thinking is defined -%}\n"
    "<think>\n"
    "</think>\n"
    "\n"
    "{% endif -%}\n"
    "{%- endif -%}\n";

typedef struct TokFile {
  Buf vocab, merges; // JSON text of the two tables
  size_t n, limit;   // entries so far, and how many there shall be
  zaya_error *err;
} TokFile;

static bool add_piece(TokFile *f, const char *text) {
  json_t *s = json_string(text);
  bool ok = s && buf_puts(&f->vocab, f->n ? ",\n" : "", f->err) && jsonio_print(&f->vocab, s, 0, f->err) &&
            buf_printf(&f->vocab, f->err, ":%zu", f->n);
  json_decref(s);
  f->n++;
  return ok;
}

// The piece left + right, unless there are enough.
static bool add_merge(TokFile *f, const char *left, const char *right) {
  char text[32];
  if (f->n >= f->limit) return true;
  snprintf(text, sizeof text, "%s%s", left, right);
  return add_piece(f, text) &&
         buf_printf(&f->merges, f->err, "%s[\"%s\",\"%s\"]", f->merges.len ? ",\n" : "", left, right);
}

static const char *special_text(int id, char buf[32]) {
  for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
    if (specials[i].id == id) return specials[i].text;
  snprintf(buf, 32, "<unused%d>", id);
  return buf;
}

static bool add_base(TokFile *f) {
  char buf[32];
  for (int id = 0; id < N_SPECIAL; id++)
    if (!add_piece(f, special_text(id, buf))) return false;
  for (int b = 0; b < N_BYTES; b++) {
    snprintf(buf, sizeof buf, "<0x%02X>", b);
    if (!add_piece(f, buf)) return false;
  }
  if (f->n < f->limit && !add_piece(f, SPACE)) return false;
  for (const char *p = characters; *p; p++)
    if (f->n < f->limit && !add_piece(f, (char[]){*p, 0})) return false;
  return true;
}

// Pairs of letters, a space in front of letters and pairs, then pairs of pairs, then a space in front of
// those: text of any length up to the limit. The first merges are those that later ones stand on.
static bool add_merges(TokFile *f) {
  static const char letters[] = "etaoinshrdlcumwfgypbvkjxqz"; // common ones first
  static char pairs[26 * 26][3];
  char spaced[8];
  for (int i = 0; i < 26 * 26; i++) {
    char a[2] = {letters[i / 26], 0}, b[2] = {letters[i % 26], 0};
    memcpy(pairs[i], (char[]){a[0], b[0], 0}, 3);
    if (!add_merge(f, a, b)) return false;
  }
  for (int i = 0; i < 26; i++)
    if (!add_merge(f, SPACE, (char[]){letters[i], 0})) return false;
  for (int i = 0; i < 26 * 26; i++)
    if (!add_merge(f, SPACE, pairs[i])) return false;
  for (int i = 0; i < 26 * 26 && f->n < f->limit; i++)
    for (int j = 0; j < 26 * 26 && f->n < f->limit; j++)
      if (!add_merge(f, pairs[i], pairs[j])) return false;
  for (int i = 0; i < 26 * 26 && f->n < f->limit; i++)
    for (int j = 0; j < 26 * 26 && f->n < f->limit; j++) {
      snprintf(spaced, sizeof spaced, SPACE "%.2s", pairs[i]);
      if (!add_merge(f, spaced, pairs[j])) return false;
    }
  return true;
}

static bool add_added(Buf *out, zaya_error *err) {
  char buf[32];
  for (int id = 0; id < N_SPECIAL; id++)
    if (!buf_printf(out, err,
                    "%s    {\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, "
                    "\"rstrip\": false, \"normalized\": false, \"special\": true}",
                    id ? ",\n" : "", id, special_text(id, buf)))
      return false;
  return true;
}

static bool write_tokenizer_json(const char *dir, const Config *c, zaya_error *err) {
  TokFile f = {.limit = (size_t)c->vocab, .err = err};
  Buf out = {0};
  bool ok = add_base(&f) && add_merges(&f);
  if (ok && f.n != f.limit)
    ok = err_set(err, ZAYA_E_UNSUPPORTED, "vocab_size %d: a synthetic tokenizer has %zu entries at most",
                 c->vocab, f.n);
  ok =
      ok &&
      buf_puts(&out,
               "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  "
               "\"added_tokens\": [\n",
               err) &&
      add_added(&out, err) &&
      buf_puts(
          &out,
          "\n  ],\n"
          "  \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" SPACE
          "\"},\n"
          "  \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": "
          "\"MergedWithPrevious\", \"invert\": false},\n"
          "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
          "\"<bos>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": "
          "[{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": "
          "1}}], "
          "\"special_tokens\": {\"<bos>\": {\"id\": \"<bos>\", \"ids\": [2], \"tokens\": [\"<bos>\"]}}},\n"
          "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": "
          "{\"String\": \"" SPACE "\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": "
          "\"Fuse\"}]},\n"
          "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": \"<unk>\", "
          "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": true, "
          "\"byte_fallback\": true, \"ignore_merges\": false,\n\"vocab\": {\n",
          err) &&
      buf_add(&out, f.vocab.data, f.vocab.len, err) && buf_puts(&out, "},\n\"merges\": [\n", err) &&
      buf_add(&out, f.merges.data ? f.merges.data : "", f.merges.len, err) &&
      buf_puts(&out, "]\n}\n}\n", err) && files_write_in(dir, "tokenizer.json", out.data, out.len, err);
  buf_free(&f.vocab);
  buf_free(&f.merges);
  buf_free(&out);
  return ok;
}

bool synth_write_tokenizer(const char *dir, const Config *c, zaya_error *err) {
  if (c->vocab < N_SPECIAL + N_BYTES)
    return err_set(err, ZAYA_E_UNSUPPORTED, "vocab_size %d: a synthetic tokenizer needs at least %d",
                   c->vocab, N_SPECIAL + N_BYTES);
  if (!write_tokenizer_json(dir, c, err)) return false;
  json_t *names = json_pack("{s:s, s:s, s:s, s:s}", "bos_token", "<bos>", "eos_token", "<|im_end|>",
                            "pad_token", "<pad>", "unk_token", "<unk>");
  json_t *config = json_deep_copy(names);
  json_object_set_new(config, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
  json_object_set_new(config, "model_max_length", json_integer(c->max_position));
  json_object_set_new(config, "chat_template", json_string(template_text));
  bool ok = synth_write_json(dir, "special_tokens_map.json", names, err);
  ok = synth_write_json(dir, "tokenizer_config.json", config, err) && ok;
  return ok && files_write_in(dir, "chat_template.jinja", template_text, sizeof template_text - 1, err);
}
