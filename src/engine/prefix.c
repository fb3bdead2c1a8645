// prefix: see prefix.h. Entries are in a list by use; an entry is never older there than one below it, so
// that the oldest of all is a leaf.
#include "engine/prefix.h"

#include "base/hash64.h"
#include "kernels/kern.h"

#include <stdlib.h>
#include <string.h>

// A page, whole (then others may follow) or as far as its n-th token.
typedef struct Entry Entry;
struct Entry {
  Entry *parent, *children, *next; // next: of the same parent
  Entry *newer, *older;
  Page *page;
  float *cca; // NULL: pages go through here, no sequence can begin here
  uint64_t hash;
  unsigned n;
  int32_t ids[]; // [n]
};

struct Prefix {
  StateShape shape;
  uint64_t budget;
  Entry *root; // the empty sequence
  Entry *newest, *oldest;
  PrefixStats stats;
};

// --- the tree --------------------------------------------------------------------------------------

static uint64_t hash_ids(const int32_t *ids, size_t n) { return hash64(HASH64_SEED, ids, n * sizeof *ids); }

static Entry *find(const Entry *parent, const int32_t *ids, unsigned n) {
  const uint64_t hash = hash_ids(ids, n);
  for (Entry *e = parent->children; e; e = e->next)
    if (e->n == n && e->hash == hash && !memcmp(e->ids, ids, n * sizeof *ids)) return e;
  return NULL;
}

// The longest end inside a page that the next `max` ids go through.
static Entry *find_end(const Entry *parent, const int32_t *ids, size_t max) {
  Entry *best = NULL;
  for (Entry *e = parent->children; e; e = e->next)
    if (e->cca && e->n <= max && e->n < KERN_BLOCK && (!best || e->n > best->n) &&
        !memcmp(e->ids, ids, e->n * sizeof *ids))
      best = e;
  return best;
}

static void unlink_use(Prefix *p, Entry *e) {
  *(e->newer ? &e->newer->older : &p->newest) = e->older;
  *(e->older ? &e->older->newer : &p->oldest) = e->newer;
}

static void link_newest(Prefix *p, Entry *e) {
  e->newer = NULL;
  e->older = p->newest;
  *(p->newest ? &p->newest->newer : &p->oldest) = e;
  p->newest = e;
}

// The entry was used, and with it all that lie on the way.
static void touch(Prefix *p, Entry *e) {
  for (; e != p->root; e = e->parent) {
    unlink_use(p, e);
    link_newest(p, e);
  }
}

// --- accounts --------------------------------------------------------------------------------------

static uint64_t whole_4k(uint64_t bytes) { return (bytes + 4095) & ~(uint64_t)4095; }

// What the first n rows of a page have made resident: rows of a strip lie together, memory comes in 4 KiB.
static uint64_t rows_bytes(const Prefix *p, unsigned n) {
  const uint64_t scales = p->shape.kv == KV_Q8 ? whole_4k(n * sizeof(float)) : 0;
  const uint64_t strip = whole_4k(n * (uint64_t)state_row_bytes(&p->shape)) + scales;
  const uint64_t bytes = strip * state_strips(&p->shape), all = state_page_bytes(&p->shape);
  return bytes < all ? bytes : all;
}

static uint64_t cca_bytes(const Prefix *p) { return state_cca_floats(&p->shape) * sizeof(float); }

// A page counts once, by the most rows that an entry keeps of it.
static void count_page(Prefix *p, Page *page, unsigned n) {
  const uint64_t bytes = rows_bytes(p, n);
  page->kept++;
  if (bytes <= page->kept_bytes) return;
  p->stats.bytes += bytes - page->kept_bytes;
  page->kept_bytes = bytes;
}

static void uncount_page(Prefix *p, Page *page) {
  if (--page->kept) return;
  p->stats.bytes -= page->kept_bytes;
  page->kept_bytes = 0;
}

static Entry *add(Prefix *p, Entry *parent, const int32_t *ids, unsigned n, Page *page) {
  Entry *e = malloc(sizeof *e + n * sizeof *ids);
  if (!e) return NULL;
  *e = (Entry){
      .parent = parent, .next = parent->children, .page = page_ref(page), .hash = hash_ids(ids, n), .n = n};
  memcpy(e->ids, ids, n * sizeof *ids);
  parent->children = e;
  link_newest(p, e);
  count_page(p, page, n);
  p->stats.bytes += sizeof *e + n * sizeof *ids;
  p->stats.entries++;
  return e;
}

static void set_cca(Prefix *p, Entry *e, float *cca) {
  e->cca = cca;
  p->stats.bytes += cca_bytes(p);
  p->stats.version++;
}

// A leaf.
static void drop(Prefix *p, Entry *e) {
  Entry **at = &e->parent->children;
  while (*at != e) at = &(*at)->next;
  *at = e->next;
  unlink_use(p, e);
  uncount_page(p, e->page);
  page_drop(e->page);
  p->stats.bytes -= sizeof *e + e->n * sizeof *e->ids + (e->cca ? cca_bytes(p) : 0);
  p->stats.entries--;
  free(e->cca);
  free(e);
}

void prefix_shrink(Prefix *p, uint64_t bytes) {
  while (p->oldest && p->stats.bytes > bytes) {
    Entry *e = p->oldest;
    e->older = NULL; // nothing is
    drop(p, e);
    p->stats.evicted++;
  }
}

Prefix *prefix_new(const StateShape *shape, uint64_t budget, zaya_error *err) {
  Prefix *p = calloc(1, sizeof *p);
  if (!p || !(p->root = calloc(1, sizeof *p->root))) {
    free(p);
    err_memory(err, sizeof *p, "the prefix cache");
    return NULL;
  }
  p->shape = *shape;
  p->budget = budget;
  return p;
}

void prefix_free(Prefix *p) {
  if (!p) return;
  prefix_shrink(p, 0);
  free(p->root);
  free(p);
}

PrefixStats prefix_stats(const Prefix *p) { return p->stats; }

// --- looking and keeping -----------------------------------------------------------------------------

size_t prefix_advance(Prefix *p, State *s, const int32_t *ids, size_t limit) {
  Entry *at = p->root, *best = NULL, *next;
  size_t len = 0, best_len = 0;
  for (; limit - len >= KERN_BLOCK && (next = find(at, ids + len, KERN_BLOCK)); at = next) {
    len += KERN_BLOCK;
    if (next->cca) best = next, best_len = len;
  }
  if ((next = find_end(at, ids + len, limit - len))) best = next, best_len = len + next->n;
  if (!best || best_len <= s->len) return 0;
  // The pages from the state's own last one on, found backwards.
  const size_t first = s->len / KERN_BLOCK, count = (best_len - 1) / KERN_BLOCK + 1 - first;
  Page **pages = malloc(count * sizeof(Page *));
  if (!pages) return 0;
  Entry *e = best;
  for (size_t i = count; i-- > 0; e = e->parent) pages[i] = e->page;
  const size_t saved = best_len - s->len;
  state_adopt(s, first, pages, ids + first * KERN_BLOCK, best_len - first * KERN_BLOCK, best->cca);
  free(pages);
  touch(p, best);
  return saved;
}

size_t prefix_common(const Prefix *p, const int32_t *ids, size_t n) {
  const Entry *at = p->root;
  size_t len = 0, more = 0;
  for (const Entry *next; n - len >= KERN_BLOCK && (next = find(at, ids + len, KERN_BLOCK)); at = next)
    len += KERN_BLOCK;
  for (const Entry *e = at->children; e; e = e->next) {
    const size_t most = e->n < n - len ? e->n : n - len;
    size_t same = 0;
    while (same < most && e->ids[same] == ids[len + same]) same++;
    if (same > more) more = same;
  }
  return len + more;
}

void prefix_keep(Prefix *p, const State *s, size_t n, float *cca) {
  Entry *e = p->root, *next = e;
  for (size_t at = 0; next && at < n; at += KERN_BLOCK) {
    const unsigned here = n - at < KERN_BLOCK ? (unsigned)(n - at) : KERN_BLOCK;
    next = find(e, s->ids + at, here);
    if (!next) next = add(p, e, s->ids + at, here, s->pages[at / KERN_BLOCK]);
    if (next) e = next;
  }
  if (!next || e == p->root || e->cca)
    free(cca);
  else
    set_cca(p, e, cca);
  touch(p, e);
  prefix_shrink(p, p->budget);
}

void prefix_keep_state(Prefix *p, const State *s) {
  float *cca = malloc(cca_bytes(p));
  if (!cca) return;
  memcpy(cca, s->cca, cca_bytes(p));
  prefix_keep(p, s, s->len, cca);
}

static void tell(Entry *e, size_t page, PrefixFn fn, void *user) {
  const PrefixPart part = {.page = page, .n = e->n, .ids = e->ids, .kv = e->page, .cca = e->cca};
  fn(user, &part);
}

void prefix_walk(Prefix *p, const int32_t *ids, size_t n, PrefixFn fn, void *user) {
  Entry *at = p->root;
  for (size_t len = 0; at; len += KERN_BLOCK) {
    for (Entry *e = at->children; e; e = e->next)
      if (e->cca && e->n < KERN_BLOCK && e->n <= n - len && !memcmp(e->ids, ids + len, e->n * sizeof *ids))
        tell(e, len / KERN_BLOCK, fn, user);
    at = n - len >= KERN_BLOCK ? find(at, ids + len, KERN_BLOCK) : NULL;
    if (at && at->cca) tell(at, len / KERN_BLOCK, fn, user);
  }
}
