// chat_talk: see chat_talk.h.
#include "chat_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool out_of_memory(zaya_error *err) {
  err->status = ZAYA_E_MEMORY;
  snprintf(err->message, sizeof err->message, "out of memory");
  return false;
}

static bool invalid(zaya_error *err, size_t i, const char *what) {
  err->status = ZAYA_E_INVALID;
  snprintf(err->message, sizeof err->message, "/messages/%zu%s", i, what);
  return false;
}

bool chat_talk_init(ChatTalk *t, zaya_error *err) {
  t->messages = json_array();
  return t->messages || out_of_memory(err);
}

void chat_talk_free(ChatTalk *t) {
  json_decref(t->messages);
  t->messages = NULL;
}

void chat_talk_clear(ChatTalk *t) { json_array_clear(t->messages); }

static const char *role_of(const json_t *message) {
  const char *role = json_string_value(json_object_get(message, "role"));
  return role ? role : "";
}

static const json_t *last(const ChatTalk *t) {
  const size_t n = json_array_size(t->messages);
  return n ? json_array_get(t->messages, n - 1) : NULL;
}

static bool is_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return !value || json_is_null(value) || json_is_string(value);
}

static bool check_message(const json_t *m, size_t i, zaya_error *err) {
  if (!json_is_object(m)) return invalid(err, i, ": not an object");
  const char *role = role_of(m);
  if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0 && strcmp(role, "tool") != 0)
    return invalid(err, i, "/role: not user, assistant or tool");
  if (!is_text(m, "content")) return invalid(err, i, "/content: not a string");
  if (!is_text(m, "reasoning_content")) return invalid(err, i, "/reasoning_content: not a string");
  if (strcmp(role, "assistant") != 0 && !json_object_get(m, "content"))
    return invalid(err, i, "/content: missing");
  const json_t *calls = json_object_get(m, "tool_calls"), *call;
  if (calls && !json_is_array(calls)) return invalid(err, i, "/tool_calls: not an array");
  size_t k;
  json_array_foreach(calls, k, call) {
    const json_t *f = json_object_get(call, "function");
    if (!json_is_string(json_object_get(f, "name")) || !json_is_object(json_object_get(f, "arguments")))
      return invalid(err, i, "/tool_calls: a call without a function's name and arguments");
  }
  return true;
}

bool chat_talk_set(ChatTalk *t, json_t *messages, zaya_error *err) {
  size_t i;
  const json_t *m;
  if (!json_is_array(messages)) {
    err->status = ZAYA_E_INVALID;
    snprintf(err->message, sizeof err->message, "/messages: not an array");
    return false;
  }
  json_array_foreach(messages, i, m) if (!check_message(m, i, err)) return false;
  json_decref(t->messages);
  t->messages = messages;
  return true;
}

static void drop_to(ChatTalk *t, size_t n) {
  while (json_array_size(t->messages) > n) json_array_remove(t->messages, json_array_size(t->messages) - 1);
}

bool chat_talk_ask(ChatTalk *t, const char *text, size_t len, zaya_error *err) {
  json_t *content = json_stringn(text, len);
  if (!content || memchr(text, 0, len)) {
    json_decref(content);
    err->status = ZAYA_E_INVALID;
    snprintf(err->message, sizeof err->message, "the message is not UTF-8 text");
    return false;
  }
  json_t *m = json_pack("{s:s, s:o}", "role", "user", "content", content);
  if (!m) return out_of_memory(err);
  if (last(t) && !strcmp(role_of(last(t)), "user")) drop_to(t, json_array_size(t->messages) - 1);
  return json_array_append_new(t->messages, m) == 0 || out_of_memory(err);
}

bool chat_talk_answer(ChatTalk *t, const zaya_text *content, const zaya_text *reasoning, json_t *calls,
                      zaya_error *err) {
  json_t *m = json_pack("{s:s, s:s%}", "role", "assistant", "content", content->data ? content->data : "",
                        content->len);
  bool ok = m != NULL;
  if (ok && reasoning->len)
    ok = json_object_set_new(m, "reasoning_content", json_stringn(reasoning->data, reasoning->len)) == 0;
  if (ok && json_array_size(calls)) ok = json_object_set(m, "tool_calls", calls) == 0;
  json_decref(calls);
  if (ok) return json_array_append_new(t->messages, m) == 0 || out_of_memory(err);
  json_decref(m);
  return out_of_memory(err);
}

// The place of the last message of that role; the number of messages when there is none.
static size_t find_last(const ChatTalk *t, const char *role) {
  const size_t n = json_array_size(t->messages);
  for (size_t i = n; i-- > 0;)
    if (!strcmp(role_of(json_array_get(t->messages, i)), role)) return i;
  return n;
}

// The first call of the last answer without a result, when nothing but results stands behind that answer.
static const json_t *open_call(const ChatTalk *t, size_t *n_open) {
  const size_t n = json_array_size(t->messages), answer = find_last(t, "assistant");
  *n_open = 0;
  if (answer == n) return NULL;
  const json_t *calls = json_object_get(json_array_get(t->messages, answer), "tool_calls");
  const size_t n_results = n - answer - 1;
  for (size_t i = answer + 1; i < n; i++)
    if (strcmp(role_of(json_array_get(t->messages, i)), "tool") != 0) return NULL;
  if (n_results >= json_array_size(calls)) return NULL;
  *n_open = json_array_size(calls) - n_results;
  return json_array_get(calls, n_results);
}

size_t chat_talk_calls_open(const ChatTalk *t) {
  size_t n;
  open_call(t, &n);
  return n;
}

bool chat_talk_result(ChatTalk *t, const char *text, zaya_error *err) {
  size_t n;
  const json_t *call = open_call(t, &n);
  if (!call) {
    err->status = ZAYA_E_INVALID;
    snprintf(err->message, sizeof err->message, "no tool call waits for a result");
    return false;
  }
  const char *id = json_string_value(json_object_get(call, "id"));
  json_t *m = json_pack("{s:s, s:s, s:s, s:s*}", "role", "tool", "name",
                        json_string_value(json_object_get(json_object_get(call, "function"), "name")),
                        "content", text, "tool_call_id", id);
  if (m) return json_array_append_new(t->messages, m) == 0 || out_of_memory(err);
  err->status = ZAYA_E_INVALID;
  snprintf(err->message, sizeof err->message, "the result is not UTF-8 text");
  return false;
}

bool chat_talk_empty(const ChatTalk *t) { return json_array_size(t->messages) == 0; }

bool chat_talk_unanswered(const ChatTalk *t) {
  return last(t) && strcmp(role_of(last(t)), "assistant") != 0 && !chat_talk_calls_open(t);
}

static const char *text_of_last(const ChatTalk *t, const char *role, const char *key) {
  const json_t *m = json_array_get(t->messages, find_last(t, role));
  return json_string_value(json_object_get(m, key));
}

const char *chat_talk_question(const ChatTalk *t) { return text_of_last(t, "user", "content"); }

const char *chat_talk_reasoning(const ChatTalk *t) {
  return text_of_last(t, "assistant", "reasoning_content");
}

bool chat_talk_undo(ChatTalk *t) {
  const size_t at = find_last(t, "user");
  if (at == json_array_size(t->messages)) return false;
  drop_to(t, at);
  return true;
}

bool chat_talk_rewind(ChatTalk *t) {
  const size_t at = find_last(t, "user");
  if (at == json_array_size(t->messages)) return false;
  drop_to(t, at + 1);
  return true;
}

char *chat_talk_json(const ChatTalk *t, const char *system, zaya_error *err) {
  json_t *list = json_array();
  bool ok = list != NULL;
  if (ok && system)
    ok = json_array_append_new(list, json_pack("{s:s, s:s}", "role", "system", "content", system)) == 0;
  ok = ok && json_array_extend(list, t->messages) == 0;
  char *text = ok ? json_dumps(list, JSON_COMPACT) : NULL;
  json_decref(list);
  if (!text) out_of_memory(err);
  return text;
}
