// page: the keys and values of KERN_BLOCK positions in all attention layers, shared by counted references.
// Rows are written once: a page may be appended to while others hold its earlier rows, by the one who
// claims the rows behind them. Any thread may hold and drop references. Depends on kernels/kern, base.
#pragma once

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct Page {
  atomic_uint refs;
  atomic_uint filled; // rows that have been claimed
  // For the accounts of the one cache that may hold it: entries, bytes counted.
  unsigned kept;
  uint64_t kept_bytes;
  _Alignas(64) unsigned char data[]; // [n_attn][k | v][Nk], strips of state.h
} Page;

// Of `bytes` of data; nothing claimed. `large`: in large pages of memory, which attention reads faster and
// the first row takes whole; for pages that are filled at once.
Page *page_new(size_t bytes, bool large, zaya_error *err);
Page *page_ref(Page *p);
void page_drop(Page *p); // NULL is allowed
// Makes the rows [from, to) the caller's to write, who holds a reference and the rows before `from`. False
// when somebody else may hold or write some of them: then a copy has to be made.
bool page_claim(Page *p, unsigned from, unsigned to);
