// history: see history.h. Records are kept as JSON text, so that what they cost is known.
#include "server/history.h"

#include "server/lru.h"

#include <stdlib.h>
#include <string.h>

struct History {
  Lru *lru;
};

static void *copy_text(const void *text) { return strdup(text); }

History *history_new(size_t bytes, zaya_error *err) {
  static const LruType type = {.copy = copy_text, .free = free};
  History *h = malloc(sizeof *h);
  if (!h) {
    err_memory(err, sizeof *h, "the store of answers");
    return NULL;
  }
  h->lru = lru_new(HISTORY_MAX_RECORDS, bytes, &type, err);
  if (h->lru) return h;
  free(h);
  return NULL;
}

void history_free(History *h) {
  if (!h) return;
  lru_free(h->lru);
  free(h);
}

void history_put(History *h, const char *id, const json_t *record) {
  char *text = json_dumps(record, JSON_COMPACT); // a NUL in a text is written as an escape
  if (text) lru_put(h->lru, id, strlen(id), text, strlen(text));
}

json_t *history_get(History *h, const char *id) {
  char *text = lru_find(h->lru, id, strlen(id));
  json_t *v = text ? json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL) : NULL;
  free(text);
  return v;
}

bool history_drop(History *h, const char *id) { return lru_drop(h->lru, id, strlen(id)); }

size_t history_bytes(History *h) { return lru_bytes(h->lru); }
