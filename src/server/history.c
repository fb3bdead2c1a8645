// history: see history.h. Records are kept as JSON text, so that what they cost is known.
#include "server/history.h"

#include "base/buf.h"
#include "base/hash64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

typedef struct Record {
  struct Record *next;          // of the bucket
  struct Record *newer, *older; // by use
  char *id;
  char *text;
  size_t len;
} Record;

struct History {
  pthread_mutex_t lock;
  size_t limit, bytes;
  Record *newest, *oldest;
  Record *buckets[BUCKETS];
};

History *history_new(size_t limit, zaya_error *err) {
  History *h = calloc(1, sizeof *h);
  if (!h || pthread_mutex_init(&h->lock, NULL)) {
    err_memory(err, sizeof *h, "the store of answers");
    free(h);
    return NULL;
  }
  h->limit = limit;
  return h;
}

static void record_free(Record *r) {
  free(r->id);
  free(r->text);
  free(r);
}

void history_free(History *h) {
  if (!h) return;
  for (Record *r = h->newest, *older; r; r = older) {
    older = r->older;
    record_free(r);
  }
  pthread_mutex_destroy(&h->lock);
  free(h);
}

static size_t cost(const Record *r) { return sizeof *r + strlen(r->id) + 1 + r->len; }

// Where the record's pointer stands: in the bucket, or in the record before it.
static Record **slot_of(History *h, const char *id) {
  Record **slot = &h->buckets[hash64(HASH64_SEED, id, strlen(id)) % BUCKETS];
  while (*slot && strcmp((*slot)->id, id) != 0) slot = &(*slot)->next;
  return slot;
}

static void unlink_use(History *h, Record *r) {
  *(r->newer ? &r->newer->older : &h->newest) = r->older;
  *(r->older ? &r->older->newer : &h->oldest) = r->newer;
}

static void link_newest(History *h, Record *r) {
  r->newer = NULL;
  r->older = h->newest;
  *(h->newest ? &h->newest->newer : &h->oldest) = r;
  h->newest = r;
}

static bool remove_id(History *h, const char *id) {
  Record **slot = slot_of(h, id), *r = *slot;
  if (!r) return false;
  *slot = r->next;
  unlink_use(h, r);
  h->bytes -= cost(r);
  record_free(r);
  return true;
}

static int add_chunk(const char *data, size_t len, void *user) {
  return buf_add(user, data, len, NULL) ? 0 : -1;
}

// A record of its own; NULL: out of memory.
static Record *record_new(const char *id, const json_t *value) {
  Buf text = {0};
  Record *r = calloc(1, sizeof *r);
  if (r) r->id = strdup(id);
  if (!r || !r->id || json_dump_callback(value, add_chunk, &text, JSON_COMPACT)) {
    buf_free(&text);
    if (r) record_free(r);
    return NULL;
  }
  char *tight = realloc(text.data, text.len);
  r->text = tight ? tight : text.data;
  r->len = text.len;
  return r;
}

bool history_put(History *h, const char *id, const json_t *value) {
  Record *r = record_new(id, value);
  pthread_mutex_lock(&h->lock);
  remove_id(h, id);
  const bool kept = r && cost(r) <= h->limit;
  if (kept) {
    while (h->bytes + cost(r) > h->limit) remove_id(h, h->oldest->id);
    Record **slot = slot_of(h, id);
    *slot = r;
    link_newest(h, r);
    h->bytes += cost(r);
  }
  pthread_mutex_unlock(&h->lock);
  if (r && !kept) record_free(r);
  return kept;
}

json_t *history_get(History *h, const char *id) {
  Buf copy = {0};
  pthread_mutex_lock(&h->lock);
  Record *r = *slot_of(h, id);
  if (r) {
    unlink_use(h, r);
    link_newest(h, r);
    buf_add(&copy, r->text, r->len, NULL);
  }
  pthread_mutex_unlock(&h->lock);
  json_t *v = copy.data ? json_loadb(copy.data, copy.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL) : NULL;
  buf_free(&copy);
  return v;
}

bool history_drop(History *h, const char *id) {
  pthread_mutex_lock(&h->lock);
  const bool there = remove_id(h, id);
  pthread_mutex_unlock(&h->lock);
  return there;
}

size_t history_bytes(History *h) {
  pthread_mutex_lock(&h->lock);
  const size_t bytes = h->bytes;
  pthread_mutex_unlock(&h->lock);
  return bytes;
}
