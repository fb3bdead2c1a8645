// turns: see turns.h.
#include "server/turns.h"

#include <string.h>

static bool keep(Turns *t, bool ok) {
  if (!ok) t->failed = true;
  return ok;
}

static json_t *text_of(const Buf *b) { return json_stringn(b->data ? b->data : "", b->len); }

void turns_break(Turns *t) {
  if (!t->role) return;
  if (!t->messages) t->messages = json_array();
  json_t *m = json_pack("{s:s, s:o}", "role", t->role, "content", text_of(&t->text));
  if (t->reasoning.len) keep(t, json_object_set_new(m, "reasoning_content", text_of(&t->reasoning)) == 0);
  if (t->calls) keep(t, json_object_set_new(m, "tool_calls", t->calls) == 0);
  keep(t, json_array_append_new(t->messages, m) == 0);
  t->calls = NULL;
  t->role = NULL;
  buf_clear(&t->text);
  buf_clear(&t->reasoning);
}

static void open_role(Turns *t, const char *role) {
  if (t->role && strcmp(t->role, role) != 0) turns_break(t);
  t->role = role;
}

static bool add(Buf *b, const char *between, const json_t *text) {
  return (!b->len || buf_puts(b, between, NULL)) &&
         buf_add(b, json_string_value(text), json_string_length(text), NULL);
}

void turns_text(Turns *t, const char *role, const json_t *text) {
  const bool own = !strcmp(role, "assistant");
  open_role(t, role);
  keep(t, add(&t->text, own ? "" : "\n", text));
}

void turns_reasoning(Turns *t, const json_t *text) {
  open_role(t, "assistant");
  keep(t, add(&t->reasoning, "\n\n", text));
}

void turns_call(Turns *t, const json_t *id, const json_t *name, json_t *arguments) {
  open_role(t, "assistant");
  if (!t->calls) t->calls = json_array();
  json_t *call = json_pack("{s:O, s:s, s:{s:O, s:O}}", "id", id, "type", "function", "function", "name", name,
                           "arguments", arguments);
  keep(t, json_array_append_new(t->calls, call) == 0);
}

void turns_result(Turns *t, const json_t *id, const Buf *text, bool is_error) {
  Buf content = {0};
  turns_break(t);
  if (!t->messages) t->messages = json_array();
  keep(t,
       (!is_error || buf_puts(&content, "Error: ", NULL)) && buf_add(&content, text->data, text->len, NULL));
  json_t *m = json_pack("{s:s, s:O, s:o}", "role", "tool", "tool_call_id", id, "content", text_of(&content));
  keep(t, json_array_append_new(t->messages, m) == 0);
  buf_free(&content);
}

bool turns_finish(Turns *t, json_t **messages, AskFault *fault) {
  turns_break(t);
  if (!t->messages) t->messages = json_array();
  if (t->failed || !t->messages) return fault_set(fault, 500, NULL, "out of memory");
  *messages = json_incref(t->messages);
  return true;
}

void turns_free(Turns *t) {
  json_decref(t->messages);
  json_decref(t->calls);
  buf_free(&t->text);
  buf_free(&t->reasoning);
  *t = (Turns){0};
}

const json_t *turns_string(const Fields *f, const char *name) {
  const json_t *v = field_get(f, name);
  if (!field_required(f, name)) return NULL;
  if (json_is_string(v)) return v;
  field_wrong(f, name, "a string");
  return NULL;
}
