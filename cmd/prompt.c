// prompt: see prompt.h.
#include "prompt.h"

#include "common.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool out_of_memory(zaya_error *err) {
  err->status = ZAYA_E_MEMORY;
  snprintf(err->message, sizeof err->message, "out of memory");
  return false;
}

// -p, the file, or standard input; a file's last newline is not part of the question.
static bool read_text(const PromptOptions *o, zaya_text *out, zaya_error *err) {
  if (o->text) {
    out->data = strdup(o->text);
    out->len = strlen(o->text);
    return out->data || out_of_memory(err);
  }
  if (!o->file && stdin_is_terminal())
    fprintf(stderr, "zaya: reading the prompt from standard input (end: Ctrl-D)\n");
  if (!read_input(o->file ? o->file : "-", out, err)) return false;
  if (!o->raw && out->len && out->data[out->len - 1] == '\n') out->data[--out->len] = '\0';
  return true;
}

// [{system}, {user}] as JSON.
static char *messages_of(const char *system, const zaya_text *text, zaya_error *err) {
  json_t *list = json_array(), *content = json_stringn(text->data ? text->data : "", text->len);
  if (!content) {
    json_decref(list);
    err->status = ZAYA_E_INVALID;
    snprintf(err->message, sizeof err->message, "the prompt is not UTF-8 text");
    return NULL;
  }
  if (system) json_array_append_new(list, json_pack("{s:s, s:s}", "role", "system", "content", system));
  json_array_append_new(list, json_pack("{s:s, s:o}", "role", "user", "content", content));
  char *json = json_dumps(list, JSON_COMPACT);
  json_decref(list);
  if (!json) out_of_memory(err);
  return json;
}

// The conversation's JSON: the file of messages, or a system message and one question.
static bool read_messages(const PromptOptions *o, char **out, zaya_error *err) {
  zaya_text text = {0};
  bool ok = o->messages ? read_input(o->messages, &text, err) : read_text(o, &text, err);
  if (ok && o->messages)
    *out = strdup(text.data ? text.data : "");
  else if (ok)
    *out = messages_of(o->system, &text, err);
  zaya_text_free(&text);
  return ok && *out;
}

static bool render(const PromptOptions *o, const zaya_tokenizer *tok, const char *messages, Prompt *out,
                   zaya_error *err) {
  zaya_prompt prompt = {0};
  zaya_chat *chat = zaya_chat_open(o->dir, err);
  zaya_chat_params params = {.messages = messages, .tools = out->tools, .thinking = ZAYA_THINK_AUTO};
  if (o->thinking && !strcmp(o->thinking, "on")) params.thinking = ZAYA_THINK_ON;
  if (o->thinking && !strcmp(o->thinking, "off")) params.thinking = ZAYA_THINK_OFF;
  bool ok = chat && zaya_chat_render(chat, &params, &prompt, err) &&
            zaya_prompt_encode(&prompt, tok, &out->ids, NULL, err);
  if (ok) out->thinks = zaya_output_prompt_thinks(NULL, NULL, prompt.text.data, prompt.text.len);
  zaya_prompt_free(&prompt);
  zaya_chat_close(chat);
  return ok;
}

static bool build_raw(const PromptOptions *o, const zaya_tokenizer *tok, Prompt *out, zaya_error *err) {
  zaya_text text = {0};
  bool ok = read_text(o, &text, err) &&
            zaya_tokenizer_encode(tok, text.data ? text.data : "", text.len,
                                  ZAYA_ENCODE_TEMPLATE | ZAYA_ENCODE_CONTROL, &out->ids, err);
  zaya_text_free(&text);
  return ok;
}

bool prompt_build(const PromptOptions *o, const zaya_tokenizer *tok, Prompt *out, zaya_error *err) {
  if (o->raw) return build_raw(o, tok, out, err);
  zaya_text tools = {0};
  char *messages = NULL;
  bool ok = (!o->tools || read_input(o->tools, &tools, err)) && read_messages(o, &messages, err);
  out->tools = tools.data; // taken over
  ok = ok && render(o, tok, messages, out, err);
  free(messages);
  return ok;
}

void prompt_free(Prompt *p) {
  zaya_ids_free(&p->ids);
  free(p->tools);
  *p = (Prompt){0};
}
