// chat: see chat.h.
#include "chat.h"

#include "common.h"
#include "render.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void chat_say(const Chat *c, const char *fmt, ...) {
  FILE *out = c->interactive ? stdout : stderr;
  va_list args;
  va_start(args, fmt);
  if (c->colour) fputs("\033[2m", out);
  vfprintf(out, fmt, args);
  fputs(c->colour ? "\033[0m\n" : "\n", out);
  fflush(out);
  va_end(args);
}

FILE *chat_out(const Chat *c) { return c->json ? stderr : stdout; }

bool chat_fail(Chat *c, const char *fmt, ...) {
  fflush(stdout);
  va_list args;
  va_start(args, fmt);
  fputs("zaya chat: ", stderr);
  vfprintf(stderr, fmt, args);
  fputc('\n', stderr);
  va_end(args);
  c->failed = true;
  return false;
}

bool chat_fail_error(Chat *c, const zaya_error *err) { return chat_fail(c, "%s", err->message); }

bool chat_ask(Chat *c, const char *text, size_t len, bool edit, zaya_error *err) {
  const size_t n_files = c->files ? strlen(c->files) : 0;
  char *message = malloc(n_files + len + 1);
  json_t *before = json_copy(c->talk.messages);
  bool ok = message && before;
  if (ok) {
    memcpy(message, c->files ? c->files : "", n_files);
    memcpy(message + n_files, text, len);
    if (edit) chat_talk_undo(&c->talk);
    ok = chat_talk_ask(&c->talk, message, n_files + len, err);
    if (!ok) chat_talk_set(&c->talk, json_incref(before), NULL);
  } else {
    err->status = ZAYA_E_MEMORY;
    snprintf(err->message, sizeof err->message, "out of memory");
  }
  free(message);
  json_decref(c->before);
  c->before = before;
  c->restore = false;
  return ok;
}

void chat_drop_files(Chat *c) {
  free(c->files);
  c->files = NULL;
}

void chat_keep(Chat *c) {
  zaya_error err = {0};
  if (!c->store.path && (!c->autosave || chat_talk_empty(&c->talk))) return;
  if ((!c->store.path && !chat_store_open_auto(&c->store, &err)) ||
      !chat_store_save(&c->store, &c->set, &c->talk, c->name, &err))
    chat_fail(c, "not saved: %s", err.message);
}

static void put_text(const Chat *c, FILE *out, const char *text) {
  if (c->interactive && text)
    render_safe(out, text, strlen(text));
  else
    fputs(text ? text : "", out);
}

static void put_lines(const Chat *c, FILE *out, const char *text) {
  const size_t n = text ? strlen(text) : 0;
  put_text(c, out, text);
  if (n && text[n - 1] != '\n') putc('\n', out);
}

static void put_calls(const Chat *c, FILE *out, const json_t *calls) {
  size_t i;
  const json_t *call;
  json_array_foreach(calls, i, call) {
    const json_t *f = json_object_get(call, "function");
    char *arguments = json_dumps(json_object_get(f, "arguments"), JSON_COMPACT);
    put_text(c, out, json_string_value(json_object_get(f, "name")));
    putc('(', out);
    put_text(c, out, arguments);
    fputs(")\n", out);
    free(arguments);
  }
}

void chat_print(const Chat *c, size_t from, FILE *out) {
  for (size_t i = from; i < json_array_size(c->talk.messages); i++) {
    const json_t *m = json_array_get(c->talk.messages, i);
    const char *role = json_string_value(json_object_get(m, "role"));
    const char *bold = c->colour ? "\033[1m" : "", *normal = c->colour ? "\033[0m" : "";
    if (!strcmp(role, "user")) fprintf(out, "%s> ", bold);
    if (!strcmp(role, "tool")) fprintf(out, "%s< ", bold);
    put_lines(c, out, json_string_value(json_object_get(m, "content")));
    if (strcmp(role, "assistant") != 0) fputs(normal, out);
    put_calls(c, out, json_object_get(m, "tool_calls"));
  }
  fflush(out);
}
