// lru: a small map from texts to values that forgets what was not asked for the longest. Guarded by itself.
// Owns keys and values; a value leaves the map only through `free`, so what `find` hands out is a copy made
// by `copy` (a reference counted up, a duplicate). Depends on base.
#pragma once

#include "base/error.h"

typedef struct Lru Lru;

typedef struct LruType {
  void *(*copy)(const void *value); // NULL: out of memory
  void (*free)(void *value);
} LruType;

// At most `entries` values whose sizes add up to at most `bytes`.
Lru *lru_new(size_t entries, size_t bytes, const LruType *type, zaya_error *err);
void lru_free(Lru *l);
// A copy of the value under `key`; NULL when there is none.
void *lru_find(Lru *l, const char *key, size_t len);
// Takes `value` over in any case; one under the same key is dropped. `size` counts against the limit, the key
// too.
void lru_put(Lru *l, const char *key, size_t len, void *value, size_t size);
// Whether it was there.
bool lru_drop(Lru *l, const char *key, size_t len);
size_t lru_count(Lru *l);
size_t lru_bytes(Lru *l);
