// recall: see recall.h.
#include "server/recall.h"

#include "server/lru.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CALLS = 512, MAX_BYTES = 16 << 20 };

struct Recall {
  Lru *lru;
};

typedef struct Memory {
  json_t *call; // {"name", "arguments"}
  Buf raw;
} Memory;

static void free_memory(void *value) {
  Memory *m = value;
  json_decref(m->call);
  buf_free(&m->raw);
  free(m);
}

// Jansson's reference counts may be counted by several threads at once.
static void *copy_memory(const void *value) {
  const Memory *m = value;
  Memory *copy = calloc(1, sizeof *copy);
  if (!copy) return NULL;
  copy->call = json_deep_copy(m->call);
  if (copy->call && buf_add(&copy->raw, m->raw.data, m->raw.len, NULL)) return copy;
  free_memory(copy);
  return NULL;
}

Recall *recall_new(zaya_error *err) {
  static const LruType type = {.copy = copy_memory, .free = free_memory};
  Recall *r = calloc(1, sizeof *r);
  if (!r) {
    err_memory(err, sizeof *r, "a memory of calls");
    return NULL;
  }
  r->lru = lru_new(MAX_CALLS, MAX_BYTES, &type, err);
  if (r->lru) return r;
  free(r);
  return NULL;
}

void recall_free(Recall *r) {
  if (!r) return;
  lru_free(r->lru);
  free(r);
}

void recall_put(Recall *r, const char *id, const char *name, const char *arguments, const char *raw,
                size_t raw_len) {
  json_t *args = json_loads(arguments, JSON_ALLOW_NUL, NULL);
  Memory *m = calloc(1, sizeof *m);
  if (m) m->call = json_pack("{s:s, s:o?}", "name", name, "arguments", args);
  if (m && args && m->call && buf_add(&m->raw, raw, raw_len, NULL)) {
    lru_put(r->lru, id, strlen(id), m, raw_len + strlen(arguments));
    return;
  }
  if (m) free_memory(m);
}

// {"name", "arguments"} of a message's call; arguments that come as text are parsed.
static json_t *plain_call(const json_t *tool_call) {
  const json_t *function = json_object_get(tool_call, "function");
  json_t *args = json_object_get(function, "arguments");
  json_t *parsed =
      json_is_string(args) ? json_loads(json_string_value(args), JSON_ALLOW_NUL, NULL) : json_incref(args);
  return json_pack("{s:O?, s:o?}", "name", json_object_get(function, "name"), "arguments", parsed);
}

bool recall_find(Recall *r, const json_t *tool_call, Buf *raw) {
  const char *id = json_string_value(json_object_get(tool_call, "id"));
  Memory *m = id ? lru_find(r->lru, id, strlen(id)) : NULL;
  if (!m) return false;
  json_t *call = plain_call(tool_call);
  const bool same = call && json_equal(call, m->call) && buf_add(raw, m->raw.data, m->raw.len, NULL);
  json_decref(call);
  free_memory(m);
  return same;
}
