// tmem: an arena with a limit, which holds a compiled template or one render; freed whole.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct TmemBlock TmemBlock;
typedef struct Tmem {
  TmemBlock *blocks;
  char *next, *end;
  size_t used, limit; // bytes taken from the system, and how many may be
} Tmem;

// Zeroed memory; NULL when the limit is reached or the system has none.
void *tmem_alloc(Tmem *m, size_t size);
// As tmem_alloc for `count` items, checked.
void *tmem_array(Tmem *m, size_t count, size_t size);
// Grows the piece that was handed out last in place, or moves it.
void *tmem_grow(Tmem *m, void *old, size_t old_size, size_t new_size);
void tmem_free(Tmem *m);
