// lru: see lru.h.
#include "server/lru.h"

#include "base/hash64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct Entry {
  struct Entry *newer, *older;
  uint64_t hash;
  char *key;
  size_t len, size;
  void *value;
} Entry;

struct Lru {
  pthread_mutex_t mu;
  LruType type;
  size_t max_entries, max_bytes, n, bytes;
  Entry *newest, *oldest; // some thousands at most: a list is searched
};

Lru *lru_new(size_t entries, size_t bytes, const LruType *type, zaya_error *err) {
  Lru *l = calloc(1, sizeof *l);
  if (!l) {
    err_memory(err, sizeof *l, "a cache");
    return NULL;
  }
  l->type = *type;
  l->max_entries = entries;
  l->max_bytes = bytes;
  pthread_mutex_init(&l->mu, NULL);
  return l;
}

static void unlink_entry(Lru *l, Entry *e) {
  if (e == l->newest)
    l->newest = e->older;
  else
    e->newer->older = e->older;
  if (e == l->oldest)
    l->oldest = e->newer;
  else
    e->older->newer = e->newer;
}

static void link_newest(Lru *l, Entry *e) {
  e->newer = NULL;
  e->older = l->newest;
  if (l->newest)
    l->newest->newer = e;
  else
    l->oldest = e;
  l->newest = e;
}

static void drop(Lru *l, Entry *e) {
  unlink_entry(l, e);
  l->n--;
  l->bytes -= e->size;
  l->type.free(e->value);
  free(e->key);
  free(e);
}

void lru_free(Lru *l) {
  if (!l) return;
  while (l->oldest) drop(l, l->oldest);
  pthread_mutex_destroy(&l->mu);
  free(l);
}

static Entry *search(const Lru *l, const char *key, size_t len, uint64_t hash) {
  for (Entry *e = l->newest; e; e = e->older)
    if (e->hash == hash && e->len == len && !memcmp(e->key, key, len)) return e;
  return NULL;
}

void *lru_find(Lru *l, const char *key, size_t len) {
  const uint64_t hash = hash64(HASH64_SEED, key, len);
  void *value = NULL;
  pthread_mutex_lock(&l->mu);
  Entry *e = search(l, key, len, hash);
  if (e) {
    unlink_entry(l, e);
    link_newest(l, e);
    value = l->type.copy(e->value);
  }
  pthread_mutex_unlock(&l->mu);
  return value;
}

static Entry *new_entry(const char *key, size_t len, void *value, size_t size) {
  Entry *e = malloc(sizeof *e);
  char *copy = malloc(len + 1);
  if (!e || !copy) {
    free(e);
    free(copy);
    return NULL;
  }
  memcpy(copy, key, len);
  *e = (Entry){
      .hash = hash64(HASH64_SEED, key, len), .key = copy, .len = len, .value = value, .size = size + len};
  return e;
}

void lru_put(Lru *l, const char *key, size_t len, void *value, size_t size) {
  Entry *e = value && size + len <= l->max_bytes ? new_entry(key, len, value, size) : NULL;
  if (!e) {
    if (value) l->type.free(value);
    return;
  }
  pthread_mutex_lock(&l->mu);
  Entry *old = search(l, key, len, e->hash);
  if (old) drop(l, old);
  while (l->n && (l->n >= l->max_entries || l->bytes + e->size > l->max_bytes)) drop(l, l->oldest);
  link_newest(l, e);
  l->n++;
  l->bytes += e->size;
  pthread_mutex_unlock(&l->mu);
}

bool lru_drop(Lru *l, const char *key, size_t len) {
  pthread_mutex_lock(&l->mu);
  Entry *e = search(l, key, len, hash64(HASH64_SEED, key, len));
  if (e) drop(l, e);
  pthread_mutex_unlock(&l->mu);
  return e != NULL;
}

size_t lru_bytes(Lru *l) {
  pthread_mutex_lock(&l->mu);
  const size_t bytes = l->bytes;
  pthread_mutex_unlock(&l->mu);
  return bytes;
}

size_t lru_count(Lru *l) {
  pthread_mutex_lock(&l->mu);
  const size_t n = l->n;
  pthread_mutex_unlock(&l->mu);
  return n;
}
