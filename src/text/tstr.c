// tstr: strings of a running template. Immutable; every byte has an origin (template or value), kept
// as one flag while it is the same everywhere and as a mask otherwise. Long concatenations are ropes,
// so that a template may build a text piece by piece in linear time. See trt.h.
#include "base/utf8.h"
#include "text/trt.h"
#include "text/tuni.h"

#include <string.h>

enum { ROPE_FROM = 512 }; // bytes; shorter results are copied

static bool length_ok(TRt *rt, size_t len) {
  if (len <= rt->lim.max_output) return true;
  trt_fail(rt, ZAYA_E_LIMIT, "a text longer than %zu bytes", rt->lim.max_output);
  return false;
}

TStr *tstr_view(TRt *rt, const char *p, size_t len, size_t n, uint8_t origin) {
  TStr *s = trt_alloc(rt, 1, sizeof *s);
  if (s) *s = (TStr){.p = p, .len = len, .n = n, .origin = origin};
  return s;
}

TStr *tstr_new(TRt *rt, const char *p, size_t len, uint8_t origin) {
  TSb sb = tsb_new(rt);
  tsb_add(&sb, p, len, NULL, origin);
  return tsb_done(&sb);
}

TStr *tstr_lit(TRt *rt, const char *s) {
  return tstr_view(rt, s, strlen(s), tuni_count(s, strlen(s)), T_TEMPLATE);
}

// Copies the leaves of a rope into place, from the right, so that the common left-deep rope needs
// a stack of one.
static bool copy_leaves(TRt *rt, const TStr *rope, char *p, uint8_t *mask) {
  const TStr **stack = NULL;
  size_t n = 0, cap = 0, end = rope->len;
  const TStr *s = rope;
  while (s) {
    if (s->p) {
      end -= s->len;
      if (s->len) memcpy(p + end, s->p, s->len);
      if (mask && s->mask)
        memcpy(mask + end, s->mask, s->len);
      else if (mask)
        memset(mask + end, s->origin, s->len);
      s = n ? stack[--n] : NULL;
      continue;
    }
    if (n == cap) {
      size_t grown = cap ? cap * 2 : 32;
      stack = tmem_grow(&rt->mem, stack, cap * sizeof(TStr *), grown * sizeof(TStr *));
      if (!stack) return false;
      cap = grown;
    }
    stack[n++] = s->left;
    s = s->right;
  }
  return true;
}

const char *tstr_flat(TRt *rt, TStr *s) {
  if (!s) return "";
  if (s->p) return s->p;
  char *p = trt_alloc(rt, s->len + 1, 1);
  uint8_t *mask = s->origin == T_MIXED && p ? trt_alloc(rt, s->len, 1) : NULL;
  trt_step(rt, s->len / 16);
  if (!p || (s->origin == T_MIXED && !mask) || !copy_leaves(rt, s, p, mask)) {
    trt_fail(rt, ZAYA_E_MEMORY, "out of memory for a text of %zu bytes", s->len);
    *s = (TStr){.p = ""};
    return s->p;
  }
  s->p = p;
  s->mask = mask;
  s->left = s->right = NULL;
  return p;
}

TStr *tstr_concat(TRt *rt, TStr *a, TStr *b) {
  if (!a || !b) return NULL;
  if (!a->len) return b;
  if (!b->len) return a;
  if (!length_ok(rt, a->len + b->len)) return NULL;
  if (a->len + b->len >= ROPE_FROM) {
    TStr *s = trt_alloc(rt, 1, sizeof *s);
    if (s)
      *s = (TStr){.len = a->len + b->len,
                  .n = a->n + b->n,
                  .left = a,
                  .right = b,
                  .origin = a->origin == b->origin ? a->origin : T_MIXED};
    return s;
  }
  TSb sb = tsb_new(rt);
  tsb_str(&sb, a);
  tsb_str(&sb, b);
  return tsb_done(&sb);
}

TStr *tstr_sub(TRt *rt, TStr *s, size_t begin, size_t end) {
  const char *p = tstr_flat(rt, s);
  if (rt->failed) return NULL;
  if (begin == 0 && end == s->len) return s;
  size_t len = end - begin;
  TStr *r = tstr_view(rt, p + begin, len, s->n == s->len ? len : tuni_count(p + begin, len), s->origin);
  if (r && s->mask) r->mask = s->mask + begin;
  return r;
}

size_t tstr_offset(TRt *rt, TStr *s, size_t index) {
  const char *p = tstr_flat(rt, s);
  if (s->n == s->len) return index < s->len ? index : s->len;
  trt_step(rt, index / 32);
  size_t i = 0;
  for (; index && i < s->len; index--) i += tuni_seq_len((unsigned char)p[i]);
  return i;
}

TStr *tstr_slice(TRt *rt, TStr *s, int64_t start, int64_t step, int64_t n) {
  if (n <= 0) return tstr_lit(rt, "");
  if (step == 1) {
    size_t begin = tstr_offset(rt, s, (size_t)start);
    if (s->n == s->len) return tstr_sub(rt, s, begin, begin + (size_t)n);
    size_t end = begin;
    const char *p = tstr_flat(rt, s);
    for (int64_t i = 0; i < n && end < s->len; i++) end += tuni_seq_len((unsigned char)p[end]);
    return tstr_sub(rt, s, begin, end);
  }
  TSb sb = tsb_new(rt);
  const char *p = tstr_flat(rt, s);
  size_t at = tstr_offset(rt, s, (size_t)start);
  for (int64_t i = 0; i < n && trt_step(rt, 1); i++) {
    tsb_sub(&sb, s, at, at + tuni_seq_len((unsigned char)p[at]));
    for (int64_t k = 0; i + 1 < n && k != step;) { // walk |step| code points
      if (step > 0) {
        at += tuni_seq_len((unsigned char)p[at]);
        k++;
      } else {
        do at--;
        while (((unsigned char)p[at] & 0xC0) == 0x80);
        k--;
      }
    }
  }
  return tsb_done(&sb);
}

TStr *tstr_at(TRt *rt, TStr *s, int64_t i) { return tstr_slice(rt, s, i, 1, 1); }

bool tstr_equal(TRt *rt, TStr *a, TStr *b) {
  if (a == b) return true;
  if (!a || !b || a->len != b->len) return false;
  trt_step(rt, a->len / 64);
  const char *p = tstr_flat(rt, a), *q = tstr_flat(rt, b);
  return !rt->failed && !memcmp(p, q, a->len);
}

bool tstr_is(TRt *rt, TStr *s, const char *text) {
  return s && s->len == strlen(text) && !memcmp(tstr_flat(rt, s), text, s->len);
}

int tstr_compare(TRt *rt, TStr *a, TStr *b) { // UTF-8 sorts as code points do
  if (!a || !b) return 0;
  const char *p = tstr_flat(rt, a), *q = tstr_flat(rt, b);
  if (rt->failed) return 0;
  size_t n = a->len < b->len ? a->len : b->len;
  trt_step(rt, n / 64);
  int c = n ? memcmp(p, q, n) : 0;
  return c ? (c < 0 ? -1 : 1) : (a->len > b->len) - (a->len < b->len);
}

int64_t tstr_find(TRt *rt, TStr *s, TStr *needle, size_t from, size_t to, bool last) {
  const char *p = tstr_flat(rt, s), *q = tstr_flat(rt, needle);
  if (rt->failed || to > s->len || from > to || needle->len > to - from) return -1;
  if (!needle->len) return (int64_t)(last ? to : from);
  size_t n = needle->len, stop = to - n;
  if (last) {
    for (size_t i = stop + 1; i-- > from;) {
      if (p[i] == q[0] && trt_step(rt, n / 64 + 1) && !memcmp(p + i, q, n)) return (int64_t)i;
    }
  } else {
    for (size_t i = from; i <= stop; i++) {
      const char *hit = memchr(p + i, q[0], stop - i + 1);
      if (!hit || !trt_step(rt, n / 64 + 1)) return -1;
      i = (size_t)(hit - p);
      if (!memcmp(hit, q, n)) return (int64_t)i;
    }
  }
  return -1;
}

// --- building ----------------------------------------------------------------------------------

TSb tsb_new(TRt *rt) { return (TSb){.rt = rt}; }

static bool sb_reserve(TSb *sb, size_t extra) {
  TRt *rt = sb->rt;
  if (rt->failed || !length_ok(rt, sb->len + extra)) return false;
  if (sb->cap - sb->len >= extra) return true;
  size_t cap = sb->cap ? sb->cap * 2 : 48;
  if (cap < sb->len + extra) cap = sb->len + extra;
  char *p = tmem_grow(&rt->mem, sb->p, sb->cap, cap);
  uint8_t *mask = sb->mask;
  if (p && mask) mask = tmem_grow(&rt->mem, mask, sb->cap, cap);
  if (!p || (sb->mask && !mask)) {
    trt_fail(rt, ZAYA_E_MEMORY, "a render that needs more than %zu bytes", rt->lim.max_memory);
    return false;
  }
  sb->p = p;
  sb->mask = mask;
  sb->cap = cap;
  return true;
}

static bool start_mask(TSb *sb) {
  sb->mask = trt_alloc(sb->rt, sb->cap ? sb->cap : 1, 1);
  if (!sb->mask) return false;
  memset(sb->mask, sb->origin, sb->len);
  return true;
}

bool tsb_add(TSb *sb, const char *p, size_t len, const uint8_t *mask, uint8_t origin) {
  if (!len) return !sb->rt->failed;
  if (!sb_reserve(sb, len)) return false;
  if (!sb->len && !mask) sb->origin = origin;
  if (!sb->mask && (mask || origin != sb->origin) && !start_mask(sb)) return false;
  memcpy(sb->p + sb->len, p, len);
  if (mask)
    memcpy(sb->mask + sb->len, mask, len);
  else if (sb->mask)
    memset(sb->mask + sb->len, origin, len);
  sb->len += len;
  return trt_step(sb->rt, len / 16);
}

bool tsb_lit(TSb *sb, const char *s, uint8_t origin) { return tsb_add(sb, s, strlen(s), NULL, origin); }

bool tsb_cp(TSb *sb, uint32_t cp, uint8_t origin) {
  char utf8[4];
  return tsb_add(sb, utf8, utf8_put(cp, utf8), NULL, origin);
}

bool tsb_sub(TSb *sb, TStr *s, size_t begin, size_t end) {
  const char *p = tstr_flat(sb->rt, s);
  if (sb->rt->failed || !s) return false;
  return tsb_add(sb, p + begin, end - begin, s->mask ? s->mask + begin : NULL, s->origin);
}

bool tsb_str(TSb *sb, TStr *s) { return s && tsb_sub(sb, s, 0, s->len); }

bool tsb_fill(TSb *sb, const char *p, size_t len, uint8_t origin, size_t times) {
  for (size_t i = 0; i < times; i++)
    if (!tsb_add(sb, p, len, NULL, origin) || !trt_step(sb->rt, 1)) return false;
  return true;
}

TStr *tsb_done(TSb *sb) {
  if (sb->rt->failed) return NULL;
  const char *p = sb->p ? sb->p : "";
  TStr *s = tstr_view(sb->rt, p, sb->len, tuni_count(p, sb->len), sb->mask ? T_MIXED : sb->origin);
  if (s) s->mask = sb->mask;
  return s;
}
