// gram: the builder; see gram.h. Expressions live in one pool and refer to one another by index, so
// that a builder is freed whole and a shared expression costs nothing until it is compiled.
#include "text/gram.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

static uint32_t fail(GramBuilder *b, const char *what) {
  err_set(&b->err, ZAYA_E_LIMIT, "grammar too large: more than %s", what);
  return 0;
}

// Makes room for `extra` more elements of `size` bytes; the element count stays under 2^28.
static bool room(GramBuilder *b, void **data, uint32_t *cap, uint32_t used, size_t extra, size_t size) {
  if (b->err.status != ZAYA_OK) return false;
  size_t need;
  if (!size_add(used, extra, &need) || need > (1u << 28)) return fail(b, "2^28 parts"), false;
  if (need <= *cap) return true;
  size_t n = *cap ? *cap : 64;
  while (n < need) n *= 2;
  void *p = realloc(*data, n * size);
  if (!p) return err_memory(&b->err, n * size, "a grammar");
  *data = p;
  *cap = (uint32_t)n;
  return true;
}

GramBuilder *gram_builder_new(zaya_error *err) {
  GramBuilder *b = calloc(1, sizeof *b);
  if (!b) {
    err_memory(err, sizeof *b, "a grammar");
    return NULL;
  }
  void *x = NULL;
  if (!room(b, &x, &b->cap_x, 0, 1, sizeof *b->x)) {
    err_memory(err, sizeof *b->x, "a grammar");
    free(b);
    return NULL;
  }
  b->x = x;
  b->x[0] = (GramX){.kind = GRAM_X_NONE};
  b->n_x = 1;
  return b;
}

void gram_builder_free(GramBuilder *b) {
  if (!b) return;
  for (uint32_t i = 0; i < b->n_defs; i++) free(b->defs[i].name);
  free(b->defs);
  free(b->x);
  free(b->kids);
  free(b->ranges);
  buf_free(&b->text);
  free(b);
}

bool gram_builder_ok(const GramBuilder *b, zaya_error *err) {
  if (b->err.status == ZAYA_OK) return true;
  return err_set(err, b->err.status, "%s", b->err.message);
}

static GramExpr add(GramBuilder *b, GramX x) {
  if (b->n_x >= GRAM_MAX_EXPRS) return fail(b, "1048576 expressions");
  if (x.depth > GRAM_MAX_NEST) return fail(b, "400 expressions within one another");
  void *p = b->x;
  if (!room(b, &p, &b->cap_x, b->n_x, 1, sizeof x)) return 0;
  b->x = p;
  b->x[b->n_x] = x;
  return b->n_x++;
}

GramExpr gram_empty(GramBuilder *b) { return add(b, (GramX){.kind = GRAM_X_EMPTY}); }

GramExpr gram_never(GramBuilder *b) { return gram_set(b, NULL, 0, false); }

GramExpr gram_bytes(GramBuilder *b, const void *data, size_t len) {
  if (len > GRAM_MAX_NODES) return fail(b, "1048576 bytes in a literal");
  size_t off = b->text.len;
  if (off + len > (1u << 28)) return fail(b, "2^28 bytes of literals");
  if (!len) return gram_empty(b);
  if (!buf_add(&b->text, data, len, &b->err)) return 0;
  return add(b,
             (GramX){.kind = GRAM_X_BYTES, .off = (uint32_t)off, .n = (uint32_t)len, .size = (uint32_t)len});
}

GramExpr gram_text(GramBuilder *b, const char *s) { return gram_bytes(b, s, strlen(s)); }

static int range_order(const void *a, const void *b) {
  const GramRange *x = a, *y = b;
  return x->lo < y->lo ? -1 : x->lo > y->lo;
}

// Appends lo..hi to the pool without the surrogates.
static bool put_range(GramBuilder *b, uint32_t lo, uint32_t hi) {
  if (hi > 0x10FFFF) hi = 0x10FFFF;
  if (lo > hi) return true;
  if (lo < 0xD800 && hi > 0xDFFF) return put_range(b, lo, 0xD7FF) && put_range(b, 0xE000, hi);
  if (lo >= 0xD800 && lo <= 0xDFFF) lo = 0xE000;
  if (hi >= 0xD800 && hi <= 0xDFFF) hi = 0xD7FF;
  if (lo > hi) return true;
  void *p = b->ranges;
  if (!room(b, &p, &b->cap_ranges, b->n_ranges, 1, sizeof *b->ranges)) return false;
  b->ranges = p;
  b->ranges[b->n_ranges++] = (GramRange){lo, hi};
  return true;
}

GramExpr gram_set(GramBuilder *b, const GramRange *ranges, size_t n, bool negate) {
  if (n > 100000) return fail(b, "100000 ranges in a class");
  GramRange *sorted = malloc((n + 1) * sizeof *sorted);
  if (!sorted) return err_memory(&b->err, n * sizeof *sorted, "a class"), 0;
  if (n) memcpy(sorted, ranges, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, range_order);
  size_t m = 0; // merged
  for (size_t i = 0; i < n; i++) {
    if (sorted[i].lo > sorted[i].hi) continue;
    if (m && sorted[i].lo <= sorted[m - 1].hi + 1 && sorted[m - 1].hi < UINT32_MAX) {
      if (sorted[i].hi > sorted[m - 1].hi) sorted[m - 1].hi = sorted[i].hi;
    } else {
      sorted[m++] = sorted[i];
    }
  }
  uint32_t off = b->n_ranges;
  bool ok = true;
  if (negate) {
    uint32_t from = 0;
    for (size_t i = 0; i < m && ok; i++) {
      if (sorted[i].lo > from) ok = put_range(b, from, sorted[i].lo - 1);
      from = sorted[i].hi >= 0x10FFFF ? 0x110000 : sorted[i].hi + 1;
    }
    ok = ok && put_range(b, from, 0x10FFFF);
  } else {
    for (size_t i = 0; i < m && ok; i++) ok = put_range(b, sorted[i].lo, sorted[i].hi);
  }
  free(sorted);
  if (!ok) return 0;
  uint32_t count = b->n_ranges - off;
  bool ascii = !count || b->ranges[b->n_ranges - 1].hi < 0x80;
  return add(b, (GramX){.kind = GRAM_X_SET, .off = off, .n = count, .size = ascii ? 1 : 12});
}

static GramExpr group(GramBuilder *b, GramKind kind, const GramExpr *parts, size_t n) {
  if (n == 1) return parts[0];
  GramX x = {.kind = kind, .off = b->n_kids, .n = (uint32_t)n};
  uint64_t size = n;
  for (size_t i = 0; i < n; i++) {
    if (!parts[i]) return 0;
    const GramX *k = &b->x[parts[i]];
    if (k->depth >= x.depth) x.depth = k->depth + 1;
    size += k->size;
    x.loops = x.loops || k->loops;
  }
  x.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
  void *p = b->kids;
  if (!room(b, &p, &b->cap_kids, b->n_kids, n, sizeof *parts)) return 0;
  b->kids = p;
  memcpy(b->kids + b->n_kids, parts, n * sizeof *parts);
  b->n_kids += (uint32_t)n;
  return add(b, x);
}

GramExpr gram_cat(GramBuilder *b, const GramExpr *parts, size_t n) {
  return n ? group(b, GRAM_X_CAT, parts, n) : gram_empty(b);
}

GramExpr gram_cat2(GramBuilder *b, GramExpr x, GramExpr y) { return gram_cat(b, (GramExpr[]){x, y}, 2); }

GramExpr gram_cat3(GramBuilder *b, GramExpr x, GramExpr y, GramExpr z) {
  return gram_cat(b, (GramExpr[]){x, y, z}, 3);
}

GramExpr gram_alt(GramBuilder *b, const GramExpr *parts, size_t n) {
  return n ? group(b, GRAM_X_ALT, parts, n) : gram_never(b);
}

GramExpr gram_alt2(GramBuilder *b, GramExpr x, GramExpr y) { return gram_alt(b, (GramExpr[]){x, y}, 2); }

GramExpr gram_repeat(GramBuilder *b, GramExpr x, uint32_t min, uint32_t max) {
  if (!x) return 0;
  if (min > max || min == GRAM_INF) {
    err_set(&b->err, ZAYA_E_INVALID, "repetition {%u,%u}: the minimum is above the maximum", min, max);
    return 0;
  }
  if (max == 0) return gram_empty(b);
  if (min == 1 && max == 1) return x;
  const GramX *k = &b->x[x];
  GramX r = {.kind = GRAM_X_REPEAT, .off = x, .min = min, .max = max, .depth = k->depth + 1, .size = 2};
  r.loops = k->loops || max == GRAM_INF;
  uint32_t copies = max == GRAM_INF ? min + 1 : max;
  if (gram_unrolls(min, max))
    r.size = copies * (gram_copies(min, max, k->size) ? k->size + 1 : 2);
  else
    r.loops = true;
  return add(b, r);
}

GramExpr gram_opt(GramBuilder *b, GramExpr x) { return gram_repeat(b, x, 0, 1); }

static int text_order(const void *a, const void *b) {
  const Buf *x = a, *y = b;
  size_t n = x->len < y->len ? x->len : y->len;
  int c = n ? memcmp(x->data, y->data, n) : 0;
  if (c) return c;
  return x->len < y->len ? -1 : x->len > y->len;
}

// The literals sorted[0..n), all sharing their first `at` bytes, from byte `at` on. Beyond a depth they
// stand side by side, for expressions may not nest without end.
static GramExpr literal_tree(GramBuilder *b, const Buf *sorted, size_t n, size_t at, int depth) {
  size_t same = at; // first and last share most: what they share, all share
  const Buf *first = &sorted[0], *last = &sorted[n - 1];
  while (same < first->len && same < last->len && first->data[same] == last->data[same]) same++;
  GramExpr head = gram_bytes(b, first->data + at, same - at);
  if (first->len == same && last->len == same) return head;
  GramExpr *alts = malloc(n * sizeof *alts);
  if (!alts) return err_memory(&b->err, n * sizeof *alts, "literals"), 0;
  size_t n_alts = 0, i = 0;
  if (depth > 150) {
    for (; i < n; i++) alts[n_alts++] = gram_bytes(b, sorted[i].data + same, sorted[i].len - same);
  } else {
    while (i < n && sorted[i].len == same) i++;
    if (i) alts[n_alts++] = gram_empty(b);
  }
  while (i < n) {
    size_t j = i + 1;
    while (j < n && sorted[j].data[same] == sorted[i].data[same]) j++;
    alts[n_alts++] = literal_tree(b, sorted + i, j - i, same, depth + 1);
    i = j;
  }
  GramExpr tail = gram_alt(b, alts, n_alts);
  free(alts);
  return gram_cat2(b, head, tail);
}

GramExpr gram_literals(GramBuilder *b, const Buf *texts, size_t n) {
  if (!n) return gram_never(b);
  Buf *sorted = malloc(n * sizeof *sorted);
  if (!sorted) return err_memory(&b->err, n * sizeof *sorted, "literals"), 0;
  memcpy(sorted, texts, n * sizeof *sorted);
  char nothing[1] = "";
  for (size_t i = 0; i < n; i++)
    if (!sorted[i].data) sorted[i].data = nothing;
  qsort(sorted, n, sizeof *sorted, text_order);
  GramExpr x = literal_tree(b, sorted, n, 0, 0);
  free(sorted);
  return x;
}

uint32_t gram_rule(GramBuilder *b, const char *name) {
  if (b->n_defs >= GRAM_MAX_RULES) return fail(b, "32768 rules");
  void *p = b->defs;
  if (!room(b, &p, &b->cap_defs, b->n_defs, 1, sizeof *b->defs)) return 0;
  b->defs = p;
  size_t len = strlen(name);
  if (len > 200) len = 200;
  char *copy = malloc(len + 1);
  if (!copy) return err_memory(&b->err, len + 1, "a rule name"), 0;
  memcpy(copy, name, len);
  copy[len] = '\0';
  b->defs[b->n_defs] = (GramDef){.name = copy};
  return b->n_defs++;
}

void gram_define(GramBuilder *b, uint32_t rule, GramExpr x) {
  if (b->err.status == ZAYA_OK && rule < b->n_defs) b->defs[rule].x = x;
}

bool gram_defined(const GramBuilder *b, uint32_t rule) { return rule < b->n_defs && b->defs[rule].x; }

GramExpr gram_use(GramBuilder *b, uint32_t rule) {
  return add(b, (GramX){.kind = GRAM_X_RULE, .off = rule, .size = 1, .loops = true});
}
