// verify_text: what turns text into ids and a conversation into a prompt, and what the configs say about
// it. See verify.h.
#include "base/error.h"
#include "bundle/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool verify_read_text(Verify *v, zaya_error *err) {
  Buf path = {0}, text = {0};
  bool ok = buf_printf(&path, err, "%s/tokenizer.json", v->dir);
  // Without the files beside it: those have checks of their own.
  if (ok && buf_read_file(&text, path.data, (size_t)1 << 30, &v->tok_err))
    v->tok = tok_parse(path.data, text.data, text.len, &v->tok_err);
  buf_free(&path);
  buf_free(&text);
  return ok;
}

static bool need_tokenizer(const Verify *v, Check *c) {
  if (!v->tok) check_skip(c, "the tokenizer cannot be read");
  return v->tok != NULL;
}

void check_tokenizer(Verify *v, Check *c) {
  static const char sample[] = "What is 2+2? Answer with only the number. Zürich, 東京 🙂\n";
  zaya_error err = {0};
  if (!v->tok) {
    if (jsonio_exists(v->dir, "tokenizer.json"))
      check_fail(c, "%s", v->tok_err.message);
    else
      check_fail(c, "tokenizer.json is not there");
    return;
  }
  zaya_ids ids = {0};
  Buf back = {0};
  if (!tok_encode(v->tok, sample, sizeof sample - 1, 0, &ids, &err) ||
      !tok_decode(v->tok, ids.data, ids.len, 0, &back, &err))
    check_fail(c, "%s", err.message);
  else if (back.len != sizeof sample - 1 || memcmp(back.data, sample, back.len))
    check_fail(c, "a text does not come back: '%.100s'", back.data);
  check_note(c, "%zu ids", tok_count(v->tok));
  zaya_ids_free(&ids);
  buf_free(&back);
}

// --- special tokens
// -------------------------------------------------------------------------------------------

static void need_token(const Verify *v, Check *c, const char *file, const char *key, const json_t *value) {
  const json_t *text = json_is_object(value) ? json_object_get(value, "content") : value;
  if (!value || json_is_null(value)) return;
  if (!json_is_string(text))
    check_fail(c, "%s: %s is no token", file, key);
  else if (tok_id(v->tok, json_string_value(text), json_string_length(text)) < 0)
    check_fail(c, "%s: %s: '%.64s' is not in the tokenizer", file, key, json_string_value(text));
}

static void check_names(const Verify *v, Check *c, const char *file, const json_t *j) {
  static const char *const keys[] = {"bos_token", "eos_token", "pad_token", "unk_token"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    need_token(v, c, file, keys[i], json_object_get(j, keys[i]));
  const json_t *more = json_object_get(j, "additional_special_tokens");
  for (size_t i = 0; i < json_array_size(more); i++)
    need_token(v, c, file, "additional_special_tokens", json_array_get(more, i));
}

void check_tokenizer_config(Verify *v, Check *c) {
  static const char *const names[] = {"tokenizer_config.json", "special_tokens_map.json"};
  const json_t *trees[] = {v->tok_config, v->special_map};
  for (int i = 0; i < 2; i++) {
    zaya_error err = {0};
    if (!jsonio_exists(v->dir, names[i])) {
      if (i == 0) check_fail(c, "%s is not there", names[i]); // the map is optional
    } else if (!trees[i]) {
      json_decref(jsonio_read(v->dir, names[i], &err));
      check_fail(c, "%s", err.message);
    }
  }
  if (c->problems || !need_tokenizer(v, c)) return;
  for (int i = 0; i < 2; i++)
    if (trees[i]) check_names(v, c, names[i], trees[i]);
}

void check_vocab(Verify *v, Check *c) {
  if (!need_tokenizer(v, c)) return;
  if (!v->config_ok) {
    check_skip(c, "config.json cannot be used");
    return;
  }
  size_t n = tok_count(v->tok), V = (size_t)v->config.vocab;
  if (n > V) check_fail(c, "the tokenizer has ids up to %zu, vocab_size is %zu", n - 1, V);
  check_note(c, "%zu of %zu rows have a token", n < V ? n : V, V);
}

// --- the chat template
// ------------------------------------------------------------------------------------------

static const char *template_text(const Verify *v, Buf *file) {
  char path[4096];
  snprintf(path, sizeof path, "%s/chat_template.jinja", v->dir);
  if (jsonio_exists(v->dir, "chat_template.jinja") && buf_read_file(file, path, 1 << 20, NULL))
    return file->data;
  return json_text(v->tok_config, "chat_template");
}

// Renders a turn; the question must reach the prompt.
static void try_render(Check *c, const Chat *chat, const json_t *tools, zaya_think_mode thinking,
                       const char *what) {
  static const char question[] = "What is 2+2? Answer with only the number.";
  zaya_error err = {0};
  TmplOut out = {0};
  json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", question);
  ChatRequest r = {.messages = messages, .tools = tools, .thinking = thinking};
  if (!chat_render(chat, &r, &out, &err))
    check_fail(c, "%s: %s", what, err.message);
  else if (!strstr(out.text.data ? out.text.data : "", question))
    check_fail(c, "%s: the message does not reach the prompt", what);
  tmpl_out_free(&out);
  json_decref(messages);
}

void check_template(Verify *v, Check *c) {
  zaya_error err = {0};
  Buf file = {0};
  bool there = template_text(v, &file) != NULL;
  buf_free(&file);
  if (!there) {
    check_fail(c, "neither chat_template.jinja nor a chat_template in tokenizer_config.json is there");
    return;
  }
  v->chat = chat_open(v->dir, &err);
  if (!v->chat) {
    check_fail(c, "%s", err.message);
    return;
  }
  json_t *tools = json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s}}}}}]", "type", "function", "function",
                            "name", "get_weather", "description", "The weather", "parameters", "type",
                            "object", "properties", "city", "type", "string");
  try_render(c, v->chat, NULL, ZAYA_THINK_AUTO, "a conversation");
  try_render(c, v->chat, NULL, ZAYA_THINK_OFF, "without thinking");
  try_render(c, v->chat, NULL, ZAYA_THINK_ON, "with thinking");
  try_render(c, v->chat, tools, ZAYA_THINK_AUTO, "with tools");
  json_decref(tools);
}

void check_template_copy(Verify *v, Check *c) {
  const char *copy = json_text(v->tok_config, "chat_template");
  Buf file = {0};
  if (!jsonio_exists(v->dir, "chat_template.jinja") || !copy) {
    check_skip(c, "there is only one");
    return;
  }
  const char *text = template_text(v, &file);
  if (text && strcmp(text, copy))
    check_fail(c, "chat_template of tokenizer_config.json is not the text of chat_template.jinja");
  buf_free(&file);
}

// --- what ends a text
// -------------------------------------------------------------------------------------------

static bool has_id(const json_t *ids, json_int_t id) {
  if (json_is_integer(ids)) return json_integer_value(ids) == id;
  for (size_t i = 0; i < json_array_size(ids); i++)
    if (json_integer_value(json_array_get(ids, i)) == id) return true;
  return false;
}

static void check_eos_ids(const Verify *v, Check *c, const char *file, const json_t *ids) {
  size_t n = json_is_array(ids) ? json_array_size(ids) : ids ? 1 : 0;
  for (size_t i = 0; i < n; i++) {
    const json_t *id = json_is_array(ids) ? json_array_get(ids, i) : ids;
    json_int_t k = json_is_integer(id) ? json_integer_value(id) : -1;
    if (k < 0 || k > INT32_MAX || !tok_has(v->tok, (int32_t)k))
      check_fail(c, "%s: eos_token_id %lld is no token", file, (long long)k);
  }
}

void check_stop_tokens(Verify *v, Check *c) {
  if (!need_tokenizer(v, c)) return;
  const json_t *a = json_object_get(v->config_json, "eos_token_id");
  const json_t *b = json_object_get(v->generation, "eos_token_id");
  if (!a && !b) {
    check_fail(c, "neither config.json nor generation_config.json has an eos_token_id");
    return;
  }
  check_eos_ids(v, c, "config.json", a);
  check_eos_ids(v, c, "generation_config.json", b);
  for (size_t i = 0; a && b && i < (size_t)v->config.n_eos; i++)
    if (!has_id(b, v->config.eos[i]))
      check_fail(c, "config.json ends on %d, generation_config.json does not", v->config.eos[i]);
  // A chat turn ends with <|im_end|>; a bundle that stops on <eos> alone never stops.
  Buf file = {0};
  const char *text = template_text(v, &file);
  int32_t im_end = tok_id(v->tok, "<|im_end|>", 10);
  if (text && strstr(text, "<|im_end|>") && im_end >= 0) {
    if (a && !has_id(a, im_end)) check_fail(c, "config.json does not end on <|im_end|> (%d)", im_end);
    if (b && !has_id(b, im_end))
      check_fail(c, "generation_config.json does not end on <|im_end|> (%d)", im_end);
  }
  buf_free(&file);
  check_note(c, "<|im_end|> is %d", im_end);
}

static void need_number(Check *c, const json_t *j, const char *key, double min, double max) {
  const json_t *n = json_object_get(j, key);
  if (n && !json_is_null(n) &&
      (!json_is_number(n) || json_number_value(n) < min || json_number_value(n) > max))
    check_fail(c, "%s is not a number from %g to %g", key, min, max);
}

void check_generation_config(Verify *v, Check *c) {
  zaya_error err = {0};
  if (!jsonio_exists(v->dir, "generation_config.json")) {
    check_skip(c, "generation_config.json is not there");
    return;
  }
  if (!v->generation) {
    json_decref(jsonio_read(v->dir, "generation_config.json", &err));
    check_fail(c, "%s", err.message);
    return;
  }
  need_number(c, v->generation, "temperature", 0, 100);
  need_number(c, v->generation, "top_p", 1e-9, 1);
  need_number(c, v->generation, "min_p", 0, 1);
  need_number(c, v->generation, "top_k", -1, 1e9);
  need_number(c, v->generation, "repetition_penalty", 1e-9, 100);
}

// --- capabilities
// ---------------------------------------------------------------------------------------------

static void expect_word(Check *c, const json_t *caps, const char *key, const char *want) {
  const char *found = json_text(caps, key);
  if (!found || strcmp(found, want))
    check_fail(c, "%s is %s, expected %s", key, found ? found : "not there", want);
}

// A flag must say what the template shows.
static void expect_flag(Check *c, const json_t *caps, const char *key, bool truth, const char *why) {
  const json_t *flag = json_object_get(caps, key);
  if (!json_is_boolean(flag))
    check_fail(c, "%s is not there", key);
  else if (json_is_true(flag) != truth)
    check_fail(c, "%s is %s, but %s", key, truth ? "false" : "true", why);
}

void check_capabilities(Verify *v, Check *c) {
  const json_t *caps = json_object_get(v->config_json, "capabilities");
  const json_t *other = json_object_get(v->jang, "capabilities");
  if (!need_converted(v, c)) return;
  if (!caps && !other) {
    check_skip(c, "no file has any");
    return;
  }
  if (caps && other && !json_equal(caps, other)) {
    check_fail(c, "config.json and jang_config.json differ");
    return;
  }
  if (!caps) caps = other;
  expect_word(c, caps, "family", "zaya");
  expect_word(c, caps, "modality", "text");
  expect_word(c, caps, "cache_type", "hybrid");
  Buf file = {0};
  const char *text = template_text(v, &file);
  if (text) {
    bool tools = strstr(text, "tools") != NULL;
    bool zaya_tools = strstr(text, "zyphra_tool_call") != NULL;
    bool think = strstr(text, "<think>") || strstr(text, "enable_thinking");
    expect_flag(c, caps, "supports_tools", tools,
                tools ? "the template takes tools" : "the template takes no tools");
    expect_flag(c, caps, "supports_thinking", think,
                think ? "the template knows thinking" : "the template knows no thinking");
    if (zaya_tools) expect_word(c, caps, "tool_parser", "zaya_xml");
    if (think) expect_word(c, caps, "reasoning_parser", "qwen3");
  }
  buf_free(&file);
}
