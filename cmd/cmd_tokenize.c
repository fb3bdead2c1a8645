// cmd_tokenize: zaya tokenize: text to ids and back, through the tokenizer files of a folder.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "zaya/zaya.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Tokenize {
  const char *model;
  bool decode, json, no_bos, plain, skip_special;
} Tokenize;

// Ids between white space, commas or brackets; says what else it finds.
static bool read_ids(const zaya_text *in, int32_t **ids, size_t *n) {
  *ids = malloc((in->len / 2 + 1) * sizeof **ids);
  *n = 0;
  if (!*ids) return false;
  for (const char *p = in->data; *p || p < in->data + in->len;) {
    if (isspace((unsigned char)*p) || strchr(",[]", *p ? *p : 'x')) {
      p++;
      continue;
    }
    char *end;
    errno = 0;
    long v = strtol(p, &end, 10);
    if (end == p || errno || v < 0 || v > INT32_MAX ||
        (*end && !isspace((unsigned char)*end) && !strchr(",]", *end))) {
      fprintf(stderr, "zaya tokenize: expected token ids on standard input, found '%.*s'\n",
              (int)strcspn(p, " \t\r\n,]"), p);
      return false;
    }
    (*ids)[(*n)++] = (int32_t)v;
    p = end;
  }
  return true;
}

static int print_json(json_t *root) {
  bool ok = root && json_dumpf(root, stdout, JSON_COMPACT) == 0;
  if (ok) putchar('\n');
  json_decref(root);
  return ok ? EXIT_OK : EXIT_FAILED;
}

static int print_tokens(const zaya_tokenizer *tok, const zaya_tokens *tokens) {
  json_t *list = json_array();
  for (size_t i = 0; i < tokens->len; i++) {
    zaya_token t = tokens->data[i];
    size_t len = 0;
    const char *piece = zaya_tokenizer_piece(tok, t.id, &len);
    json_array_append_new(list, json_pack("{s:i, s:s#, s:I, s:I, s:b}", "id", (int)t.id, "piece", piece,
                                          (int)len, "begin", (json_int_t)t.begin, "end", (json_int_t)t.end,
                                          "special", (int)zaya_tokenizer_is_special(tok, t.id)));
  }
  return print_json(json_pack("{s:I, s:o}", "count", (json_int_t)tokens->len, "tokens", list));
}

static int run_encode(const Tokenize *o, const zaya_tokenizer *tok, const zaya_text *in) {
  zaya_error err = {0};
  zaya_tokens tokens = {0};
  zaya_ids ids = {0};
  zaya_segment segment = {in->data, in->len, !o->plain};
  unsigned flags = o->no_bos ? 0 : ZAYA_ENCODE_TEMPLATE;
  int code = EXIT_OK;
  if (!zaya_tokenizer_encode_segments(tok, &segment, 1, flags, &ids, o->json ? &tokens : NULL, &err)) {
    code = fail("tokenize", &err);
  } else if (o->json) {
    code = print_tokens(tok, &tokens);
  } else {
    for (size_t i = 0; i < ids.len; i++) printf(i ? " %d" : "%d", ids.data[i]);
    putchar('\n');
  }
  zaya_tokens_free(&tokens);
  zaya_ids_free(&ids);
  return code;
}

static int run_decode(const Tokenize *o, const zaya_tokenizer *tok, const zaya_text *in) {
  zaya_error err = {0};
  zaya_text text = {0};
  int32_t *ids;
  size_t n;
  int code = EXIT_OK;
  unsigned flags = o->skip_special ? ZAYA_DECODE_SKIP_SPECIAL : 0;
  if (!read_ids(in, &ids, &n))
    code = EXIT_FAILED;
  else if (!zaya_tokenizer_decode(tok, ids, n, flags, &text, &err))
    code = fail("tokenize", &err);
  else if (o->json)
    code = print_json(
        json_pack("{s:I, s:s#}", "count", (json_int_t)n, "text", text.data ? text.data : "", (int)text.len));
  else
    fwrite(text.data ? text.data : "", 1, text.len, stdout);
  free(ids);
  zaya_text_free(&text);
  return code;
}

int cmd_tokenize(int argc, char **argv) {
  Tokenize o = {0};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.model, "DIR", "folder with tokenizer.json (no model is needed)"),
      OPTION_FLAG("decode", 'd', &o.decode, "ids on standard input, text on standard output"),
      OPTION_FLAG("json", 0, &o.json, "JSON: every piece with its id and its place in the text, in bytes"),
      OPTION_FLAG("no-bos", 0, &o.no_bos, "without what the tokenizer adds around a text (<bos>)"),
      OPTION_FLAG("plain", 0, &o.plain, "control tokens in the text are plain text"),
      OPTION_FLAG("skip-special", 0, &o.skip_special, "with --decode: leave special tokens out"),
      OPTION_END,
  };
  OptSpec spec = {
      .command = "tokenize",
      .usage = "-m DIR [options] < TEXT",
      .about =
          "Reads text on standard input and writes its token ids on one line, with spaces between them.\n"
          "With --decode it reads ids, between white space or commas, and writes the text, nothing added.",
      .examples = "  echo -n 'Hello there' | zaya tokenize -m ZAYA1-8B-MXFP4\n"
                  "  echo 2 9259 | zaya tokenize -m ZAYA1-8B-MXFP4 --decode",
      .opts = opts,
  };
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.model) return opt_usage_error(&spec, "-m DIR is missing");
  if (!find_model("tokenize", &o.model)) return EXIT_FAILED;
  zaya_error err = {0};
  zaya_tokenizer *tok = zaya_tokenizer_open(o.model, &err);
  if (!tok) return fail("tokenize", &err);
  zaya_text in = {0};
  if (!read_input("-", &in, &err)) {
    code = fail("tokenize", &err);
  } else {
    code = o.decode ? run_decode(&o, tok, &in) : run_encode(&o, tok, &in);
  }
  if (code == EXIT_OK && fflush(stdout) != 0) {
    fprintf(stderr, "zaya tokenize: cannot write to standard output\n");
    code = EXIT_FAILED;
  }
  zaya_text_free(&in);
  zaya_tokenizer_close(tok);
  return code;
}
