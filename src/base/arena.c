// arena: see arena.h.
#include "base/arena.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 64, ARENA_BLOCK = 1 << 20 };

struct ArenaBlock {
  ArenaBlock *next;
  size_t size; // usable bytes behind the header
};

// The header takes one aligned slot, so that the data behind it is aligned too.
static uint8_t *block_data(ArenaBlock *b) { return (uint8_t *)b + ARENA_ALIGN; }

static bool add_block(Arena *a, size_t bytes) {
  size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK, whole;
  void *p;
  if (!size_add(size, ARENA_ALIGN, &whole) || posix_memalign(&p, ARENA_ALIGN, whole)) return false;
  ArenaBlock *b = p;
  *b = (ArenaBlock){a->blocks, size};
  a->blocks = b;
  a->used = 0;
  a->total += whole;
  return true;
}

void *arena_alloc(Arena *a, size_t n, size_t size, const char *what, zaya_error *err) {
  size_t bytes, padded;
  if (!size_mul(n, size, &bytes) || !size_add(bytes, ARENA_ALIGN - 1, &padded)) {
    err_set(err, ZAYA_E_MEMORY, "%s: %zu x %zu bytes is more than memory can hold", what, n, size);
    return NULL;
  }
  padded &= ~(size_t)(ARENA_ALIGN - 1);
  if ((!a->blocks || a->blocks->size - a->used < padded) && !add_block(a, padded)) {
    err_memory(err, bytes, what);
    return NULL;
  }
  uint8_t *p = block_data(a->blocks) + a->used;
  a->used += padded;
  memset(p, 0, bytes);
  return p;
}

void arena_free(Arena *a) {
  while (a->blocks) {
    ArenaBlock *next = a->blocks->next;
    free(a->blocks);
    a->blocks = next;
  }
  *a = (Arena){0};
}
