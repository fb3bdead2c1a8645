// tdict: ordered dicts of a running template. Keys follow Python: 1, 1.0 and True are the same key.
// See trt.h.
#include "text/trt.h"

#include <string.h>

enum { INDEX_FROM = 12 }; // entries; fewer are searched one by one

static uint64_t mix(uint64_t h, const void *data, size_t len) {
  const unsigned char *p = data;
  for (size_t i = 0; i < len; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

static bool hash_key(TRt *rt, TVal key, uint64_t *out) {
  uint64_t h = 0xcbf29ce484222325u;
  double f;
  switch ((TType)key.type) {
  case T_NONE:
  case T_UNDEF: *out = mix(h, &key.type, 1); return true;
  case T_BOOL:
  case T_INT:
  case T_FLOAT: // equal numbers hash alike
    f = tval_as_double(key);
    if (f == 0) f = 0; // -0.0
    *out = mix(h, &f, sizeof f);
    return true;
  case T_STR:
    trt_step(rt, key.s->len / 64);
    *out = mix(h, tstr_flat(rt, key.s), key.s->len);
    return true;
  case T_TUPLE:
    if (!trt_enter(rt)) return false;
    for (size_t i = 0; i < key.l->n; i++) {
      uint64_t part;
      if (!hash_key(rt, key.l->at[i], &part)) return false;
      h = mix(h, &part, sizeof part);
    }
    trt_leave(rt);
    *out = h;
    return true;
  case T_LIST:
  case T_DICT:
  case T_SLICE:
  case T_VIEW: trt_type_error(rt, "a '%s' cannot be a key", tval_type_name(key)); return false;
  default: *out = mix(h, &key.l, sizeof(void *)); return true;
  }
}

static TPair *find(TRt *rt, const TDict *d, TVal key, uint64_t hash) {
  if (!d->index) {
    for (size_t i = 0; i < d->n; i++)
      if (d->at[i].hash == hash && tval_equal(rt, d->at[i].key, key)) return &d->at[i];
    return NULL;
  }
  for (size_t i = hash & (d->index_cap - 1); d->index[i]; i = (i + 1) & (d->index_cap - 1)) {
    TPair *p = &d->at[d->index[i] - 1];
    if (!trt_step(rt, 1)) return NULL;
    if (p->hash == hash && tval_equal(rt, p->key, key)) return p;
  }
  return NULL;
}

TPair *tdict_find(TRt *rt, const TDict *d, TVal key) {
  uint64_t hash;
  return hash_key(rt, key, &hash) ? find(rt, d, key, hash) : NULL;
}

TVal *tdict_find_str(TRt *rt, const TDict *d, const TStr *key) {
  TPair *p = tdict_find(rt, d, (TVal){.type = T_STR, .s = (TStr *)(uintptr_t)key});
  return p ? &p->value : NULL;
}

static void add_to_index(TDict *d, size_t entry) {
  size_t i = d->at[entry].hash & (d->index_cap - 1);
  while (d->index[i]) i = (i + 1) & (d->index_cap - 1);
  d->index[i] = (uint32_t)entry + 1;
}

static bool grow(TRt *rt, TDict *d) {
  size_t cap = d->cap ? d->cap * 2 : 4;
  TPair *at = cap > UINT32_MAX / 4 ? NULL : tmem_grow(&rt->mem, d->at, d->cap * sizeof *at, cap * sizeof *at);
  if (!at) {
    trt_fail(rt, ZAYA_E_MEMORY, "a render that needs more than %zu bytes", rt->lim.max_memory);
    return false;
  }
  d->at = at;
  d->cap = cap;
  if (cap <= INDEX_FROM) return true;
  d->index_cap = cap * 2;
  d->index = trt_alloc(rt, d->index_cap, sizeof *d->index);
  if (!d->index) return false;
  for (size_t i = 0; i < d->n; i++) add_to_index(d, i);
  return true;
}

bool tdict_set(TRt *rt, TDict *d, TVal key, TVal value) {
  uint64_t hash;
  if (rt->failed || !hash_key(rt, key, &hash)) return false;
  TPair *p = find(rt, d, key, hash);
  if (p) {
    p->value = value;
    return true;
  }
  if (d->n == d->cap && !grow(rt, d)) return false;
  d->at[d->n++] = (TPair){key, value, hash};
  if (d->index) add_to_index(d, d->n - 1);
  return trt_step(rt, 1);
}
