// arena: memory that is laid out piece by piece and freed as a whole. Blocks are zeroed and aligned
// to 64 bytes. Not for more than one thread at a time. Depends on error.
#pragma once

#include "base/error.h"

typedef struct ArenaBlock ArenaBlock;

typedef struct Arena {
  ArenaBlock *blocks; // newest first
  size_t used;        // of the newest block
  size_t total;       // bytes taken from the system
} Arena;

// n elements of `size` bytes, zeroed. NULL on overflow or when memory is short; `what` is for the message.
void *arena_alloc(Arena *a, size_t n, size_t size, const char *what, zaya_error *err);
void arena_free(Arena *a);
