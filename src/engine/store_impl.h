// store_impl: the inside of the store, for store.c (index, thread) and store_file.c (one file).
#pragma once

#include "engine/store.h"

// What a file holds.
typedef struct StorePart {
  StoreKey before, key;
  unsigned n;
  int32_t *ids; // [n]
  Page *page;
  float *cca;
} StorePart;

enum { STORE_NAME_MAX = 96 };

// "identity-before-key-n.zkv"
void store_file_name(uint64_t identity, const StoreKey *before, const StoreKey *key, unsigned n,
                     char name[STORE_NAME_MAX]);
// The parts of a name; false when it is none of ours.
bool store_file_parse(const char *name, uint64_t *identity, StoreKey *before, StoreKey *key, unsigned *n);
uint64_t store_file_bytes(const StateShape *shape, unsigned n);
// Writes the part to the open, empty file.
bool store_file_write(int fd, const StateShape *shape, uint64_t identity, const StorePart *part);
// Fills part->page and part->cca from a file that must hold just what before, key, n and ids say. False: it
// does not.
bool store_file_read(int fd, const StateShape *shape, uint64_t identity, StorePart *part);
