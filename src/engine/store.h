// store: the prefix cache on disk: one file for each checkpoint, with the keys and values of the page that
// leads to it, named by what came before. Files are written by a thread of their own under another name, then
// renamed, so that neither a crash nor another process that uses the folder leaves half of one; what is
// read is checked to the last byte, and removed when it is damaged. Over its limit the folder loses the files
// that were not used longest. Any thread may use a store. Depends on model/state, format/hash.
#pragma once

#include "model/state.h"

typedef struct Store Store;

// Stands for a sequence of tokens.
typedef struct StoreKey {
  char hex[33];
} StoreKey;

// Makes the folder if it is not there. `identity` tells what the numbers belong to: files of another are left
// alone, but count.
Store *store_open(const char *dir, const StateShape *shape, uint64_t identity, uint64_t limit,
                  zaya_error *err);
// Writes what still waits.
void store_close(Store *s);
StoreKey store_root(void); // of the empty sequence
// Of a sequence and n ids behind it.
bool store_key(const StoreKey *before, const int32_t *ids, size_t n, StoreKey *out);
// Has a part written: the n tokens of a page behind `before`, 1 .. KERN_BLOCK, and the CCA state behind them,
// which is copied. One that is there already counts as used now. Never waits; too much at once is left out.
void store_put(Store *s, const StoreKey *before, const int32_t *ids, size_t n, Page *page, const float *cca);
// How many tokens the longest part there has that follows `before` along ids[0 .. max); 0: none.
size_t store_find(Store *s, const StoreKey *before, const int32_t *ids, size_t max);
// Reads it: a page with one reference, a block allocated by malloc. False when it is gone or damaged.
bool store_load(Store *s, const StoreKey *before, const int32_t *ids, size_t n, Page **page, float **cca);
void store_flush(Store *s); // waits until all is written

typedef struct StoreStats {
  uint64_t bytes, files; // in the folder, as far as is known
  uint64_t hits, writes;
} StoreStats;
StoreStats store_stats(Store *s);
