// tmem: see tmem.h.
#include "text/tmem.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

struct TmemBlock {
  TmemBlock *prev;
  max_align_t data[];
};

enum { FIRST_BLOCK = 16 << 10, LAST_BLOCK = 1 << 20, ALIGN = 16 };

static bool add_block(Tmem *m, size_t need) {
  size_t size = m->used < FIRST_BLOCK ? FIRST_BLOCK : m->used < LAST_BLOCK ? m->used : LAST_BLOCK;
  if (size < need) size = need;
  size_t room = m->limit - m->used;
  if (size > room) size = need;
  if (size > room) return false;
  TmemBlock *b = calloc(1, sizeof *b + size);
  if (!b) return false;
  b->prev = m->blocks;
  m->blocks = b;
  m->next = (char *)b->data;
  m->end = m->next + size;
  m->used += size;
  return true;
}

void *tmem_alloc(Tmem *m, size_t size) {
  if (size > SIZE_MAX / 2) return NULL;
  size = size_align(size ? size : 1, ALIGN);
  if ((size_t)(m->end - m->next) < size && !add_block(m, size)) return NULL;
  void *p = m->next;
  m->next += size;
  return p;
}

void *tmem_array(Tmem *m, size_t count, size_t size) {
  size_t bytes;
  return size_mul(count, size, &bytes) ? tmem_alloc(m, bytes) : NULL;
}

void *tmem_grow(Tmem *m, void *old, size_t old_size, size_t new_size) {
  if (new_size > SIZE_MAX / 2) return NULL;
  size_t have = size_align(old_size ? old_size : 1, ALIGN), want = size_align(new_size, ALIGN);
  if (old && (char *)old + have == m->next && (size_t)(m->end - (char *)old) >= want) {
    m->next = (char *)old + want;
    return old;
  }
  void *p = tmem_alloc(m, new_size);
  if (p && old && old_size) memcpy(p, old, old_size);
  return p;
}

void tmem_free(Tmem *m) {
  for (TmemBlock *b = m->blocks; b;) {
    TmemBlock *prev = b->prev;
    free(b);
    b = prev;
  }
  m->blocks = NULL;
  m->next = m->end = NULL;
  m->used = 0;
}
