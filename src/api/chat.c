// chat: the public chat templates over text/chat.
#include "text/chat.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

zaya_chat *zaya_chat_open(const char *dir, zaya_error *err) { return chat_open(dir, err); }

void zaya_chat_close(zaya_chat *chat) { chat_close(chat); }

bool zaya_chat_uses(const zaya_chat *chat, bool with_tools, const char *variable) {
  return chat_uses(chat, with_tools, variable);
}

// Parses one of the JSON texts of a request; NULL stays NULL.
static bool parse(const char *text, const char *what, json_t **out, zaya_error *err) {
  json_error_t why;
  *out = NULL;
  if (!text) return true;
  *out = json_loads(text, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
  return *out || err_set(err, ZAYA_E_INVALID, "%s: bad JSON at line %d, column %d: %s", what, why.line,
                         why.column, why.text);
}

zaya_chat *zaya_chat_compile(const char *name, const char *text, size_t len, const char *special,
                             zaya_error *err) {
  json_t *tokens;
  if (!parse(special, "special tokens", &tokens, err)) return NULL;
  zaya_chat *c = NULL;
  if (tokens && !json_is_object(tokens))
    err_set(err, ZAYA_E_INVALID, "special tokens: expected an object");
  else
    c = chat_compile(name, text, len, tokens, err);
  json_decref(tokens);
  return c;
}

bool zaya_chat_render(const zaya_chat *chat, const zaya_chat_params *params, zaya_prompt *out,
                      zaya_error *err) {
  *out = (zaya_prompt){0};
  json_t *messages = NULL, *tools = NULL, *kwargs = NULL;
  TmplOut prompt = {0};
  bool ok = parse(params->messages ? params->messages : "null", "/messages", &messages, err) &&
            parse(params->tools, "/tools", &tools, err) &&
            parse(params->kwargs, "/chat_template_kwargs", &kwargs, err);
  ChatRequest r = {.messages = messages,
                   .tools = tools,
                   .kwargs = kwargs,
                   .thinking = params->thinking,
                   .no_generation_prompt = params->no_generation_prompt,
                   .now = params->now};
  ok = ok && chat_render(chat, &r, &prompt, err);
  if (ok && (out->segments = chat_segments(&prompt, err))) {
    out->n_segments = prompt.n_segments;
    out->text = prompt.text;
    prompt.text = (zaya_text){0};
  } else {
    ok = false;
  }
  tmpl_out_free(&prompt);
  json_decref(messages);
  json_decref(tools);
  json_decref(kwargs);
  return ok;
}

bool zaya_prompt_encode(const zaya_prompt *prompt, const zaya_tokenizer *tokenizer, zaya_ids *ids,
                        zaya_tokens *tokens, zaya_error *err) {
  return tok_encode_segments(tokenizer, prompt->segments, prompt->n_segments, 0, ids, tokens, err);
}

void zaya_prompt_free(zaya_prompt *prompt) {
  if (!prompt) return;
  zaya_text_free(&prompt->text);
  free(prompt->segments);
  *prompt = (zaya_prompt){0};
}
