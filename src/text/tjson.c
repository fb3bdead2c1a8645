// tjson: json.dumps of Python, as Hugging Face's tojson calls it. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Dump {
  TRt *rt;
  TSb sb;
  const TJsonOptions *opt;
  int level;
} Dump;

static bool dump(Dump *d, TVal v);

static void escape(char out[16], uint32_t cp) {
  static const char plain[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
  const char *hit = cp && cp < 0x80 ? strchr(plain, (int)cp) : NULL;
  if (hit)
    snprintf(out, 16, "\\%c", letters[hit - plain]);
  else if (cp < 0x10000)
    snprintf(out, 16, "\\u%04x", (unsigned)cp);
  else
    snprintf(out, 16, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((cp - 0x10000) >> 10)),
             (unsigned)(0xDC00 + ((cp - 0x10000) & 0x3FF)));
}

static bool dump_str(Dump *d, TStr *s) {
  const char *p = tstr_flat(d->rt, s);
  uint8_t edge = s->len ? tstr_origin_at(s, 0) : s->origin;
  tsb_lit(&d->sb, "\"", edge);
  size_t plain = 0;
  for (size_t i = 0; i < s->len && !d->rt->failed;) {
    uint32_t cp;
    size_t n = tuni_decode(p + i, &cp);
    if (cp == '"' || cp == '\\' || cp < 0x20 || (d->opt->ascii && cp > 0x7e)) {
      char text[16];
      escape(text, cp);
      tsb_sub(&d->sb, s, plain, i);
      tsb_lit(&d->sb, text, tstr_origin_at(s, i));
      plain = i + n;
    }
    i += n;
  }
  tsb_sub(&d->sb, s, plain, s->len);
  return tsb_lit(&d->sb, "\"", edge);
}

static bool dump_float(Dump *d, TVal v) {
  char text[40];
  if (isnan(v.f) || isinf(v.f))
    snprintf(text, sizeof text, "%s", isnan(v.f) ? "NaN" : v.f < 0 ? "-Infinity" : "Infinity");
  else
    tval_float_repr(v.f, text);
  return tsb_lit(&d->sb, text, v.origin);
}

static void separator(Dump *d, TStr *given, const char *fallback, uint8_t origin) {
  if (given)
    tsb_str(&d->sb, given);
  else
    tsb_lit(&d->sb, fallback, origin);
}

static void new_line(Dump *d, uint8_t origin) {
  if (!d->opt->pretty) return;
  tsb_lit(&d->sb, "\n", origin);
  for (int i = 0; i < d->level && !d->rt->failed; i++) tsb_str(&d->sb, d->opt->indent);
}

static void next_item(Dump *d, size_t i, uint8_t origin) {
  if (i) separator(d, d->opt->item_sep, d->opt->pretty ? "," : ", ", origin);
  new_line(d, origin);
}

static bool dump_list(Dump *d, TVal v) {
  tsb_lit(&d->sb, "[", v.origin);
  d->level++;
  for (size_t i = 0; i < v.l->n && !d->rt->failed; i++) {
    next_item(d, i, v.origin);
    dump(d, v.l->at[i]);
  }
  d->level--;
  if (v.l->n) new_line(d, v.origin);
  return tsb_lit(&d->sb, "]", v.origin);
}

static TStr *key_text(Dump *d, TVal key) {
  switch ((TType)key.type) {
  case T_STR: return key.s;
  case T_NONE: return tstr_new(d->rt, "null", 4, key.origin);
  case T_BOOL: return tstr_new(d->rt, key.b ? "true" : "false", key.b ? 4 : 5, key.origin);
  case T_INT:
  case T_FLOAT: return tval_to_str(d->rt, key);
  default: trt_type_error(d->rt, "a '%s' cannot be a key of JSON", tval_type_name(key)); return NULL;
  }
}

// Merge sort by key.
static void sort_pairs(TRt *rt, TPair *a, TPair *tmp, size_t n) {
  if (n < 2 || rt->failed) return;
  size_t half = n / 2, i = 0, j = half, k = 0;
  sort_pairs(rt, a, tmp, half);
  sort_pairs(rt, a + half, tmp, n - half);
  while (i < half && j < n && trt_step(rt, 1))
    tmp[k++] = tval_compare(rt, a[j].key, a[i].key, "<") < 0 ? a[j++] : a[i++];
  while (i < half) tmp[k++] = a[i++];
  memcpy(a, tmp, k * sizeof *a);
}

static bool dump_dict(Dump *d, TVal v) {
  size_t n = v.d->n;
  TPair *pairs = v.d->at;
  if (d->opt->sort_keys && n) {
    pairs = trt_alloc(d->rt, n, sizeof *pairs);
    TPair *tmp = trt_alloc(d->rt, n, sizeof *tmp);
    if (!pairs || !tmp) return false;
    memcpy(pairs, v.d->at, n * sizeof *pairs);
    sort_pairs(d->rt, pairs, tmp, n);
  }
  tsb_lit(&d->sb, "{", v.origin);
  d->level++;
  for (size_t i = 0; i < n && !d->rt->failed; i++) {
    next_item(d, i, v.origin);
    TStr *key = key_text(d, pairs[i].key);
    if (!key) break;
    dump_str(d, key);
    separator(d, d->opt->key_sep, ": ", v.origin);
    dump(d, pairs[i].value);
  }
  d->level--;
  if (n) new_line(d, v.origin);
  return tsb_lit(&d->sb, "}", v.origin);
}

static bool dump(Dump *d, TVal v) {
  if (!trt_enter(d->rt)) return false;
  trt_step(d->rt, 1);
  char text[32];
  switch ((TType)v.type) {
  case T_NONE: tsb_lit(&d->sb, "null", v.origin); break;
  case T_BOOL: tsb_lit(&d->sb, v.b ? "true" : "false", v.origin); break;
  case T_INT:
    snprintf(text, sizeof text, "%lld", (long long)v.i);
    tsb_lit(&d->sb, text, v.origin);
    break;
  case T_FLOAT: dump_float(d, v); break;
  case T_STR: dump_str(d, v.s); break;
  case T_LIST:
  case T_TUPLE: dump_list(d, v); break;
  case T_DICT: dump_dict(d, v); break;
  default: trt_type_error(d->rt, "a value of type '%s' cannot be written as JSON", tval_type_name(v)); break;
  }
  trt_leave(d->rt);
  return !d->rt->failed;
}

TVal tjson_dump(TRt *rt, TVal v, const TJsonOptions *opt) {
  Dump d = {.rt = rt, .sb = tsb_new(rt), .opt = opt};
  dump(&d, v);
  return tval_str(tsb_done(&d.sb));
}
