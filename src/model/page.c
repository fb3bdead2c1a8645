// page: see page.h.
#include "model/page.h"

#include "base/cpu.h"
#include "base/size.h"

#include <stdlib.h>

enum { LINE = 64, LARGE = 2 << 20 }; // bytes of a cache line, of a large page of memory

Page *page_new(size_t bytes, bool large, zaya_error *err) {
  size_t all, room;
  Page *p = NULL;
  const size_t align = large && bytes >= LARGE ? LARGE : LINE;
  // Whole multiples of the alignment, as aligned_alloc wants them. Memory is touched as rows are written.
  if (size_add(bytes, sizeof *p, &all) && size_add(all, align - 1, &room))
    p = aligned_alloc(align, room & ~(align - 1));
  if (!p) {
    err_memory(err, bytes, "a page of the KV cache");
    return NULL;
  }
  if (align == LARGE) cpu_large_pages(p, all & ~(size_t)(LARGE - 1)); // whole ones: no more than it has
  atomic_init(&p->refs, 1);
  atomic_init(&p->filled, 0);
  p->kept = 0;
  p->kept_bytes = 0;
  return p;
}

Page *page_ref(Page *p) {
  atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
  return p;
}

void page_drop(Page *p) {
  if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) free(p);
}

bool page_claim(Page *p, unsigned from, unsigned to) {
  if (atomic_load_explicit(&p->refs, memory_order_acquire) ==
      1) { // nobody else: earlier rows may be given up too
    atomic_store_explicit(&p->filled, to, memory_order_relaxed);
    return true;
  }
  return atomic_compare_exchange_strong_explicit(&p->filled, &from, to, memory_order_acq_rel,
                                                 memory_order_acquire);
}
