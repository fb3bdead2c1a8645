// tmeth_str: methods of strings. Pieces keep the origin of their bytes; what a method adds (padding)
// has the origin of the argument that gave it, or of the template. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <string.h>

#define METHOD(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

// --- case --------------------------------------------------------------------------------------

// Python lowers a capital sigma at the end of a word to the final form.
static bool final_sigma(const char *p, size_t len, size_t at) {
  bool before = false;
  for (size_t i = at; i > 0 && !before;) {
    do i--;
    while (((unsigned char)p[i] & 0xC0) == 0x80);
    uint32_t cp;
    tuni_decode(p + i, &cp);
    if (tuni_is(UNI_case_ignorable, cp)) continue;
    before = tuni_cased(cp);
    if (!before) return false;
  }
  if (!before) return false;
  for (size_t i = at + 2; i < len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    if (!tuni_is(UNI_case_ignorable, cp)) return !tuni_cased(cp);
  }
  return true;
}

static void put_mapped(TSb *sb, TStr *s, size_t at, UniMap map) {
  const char *p = s->p;
  uint32_t cp, out[3];
  tuni_decode(p + at, &cp);
  uint8_t origin = tstr_origin_at(s, at);
  if (cp == 0x3A3 && map == UNI_to_lower) {
    tsb_cp(sb, final_sigma(p, s->len, at) ? 0x3C2 : 0x3C3, origin);
    return;
  }
  int n = tuni_map(map, cp, out);
  for (int i = 0; i < n; i++) tsb_cp(sb, out[i], origin);
}

typedef UniMap (*PickMap)(uint32_t cp, bool first, bool after_cased);

static TVal map_case(TRt *rt, TVal v, const TArgs *args, PickMap pick) {
  TVal a[1];
  if (!targs_bind(rt, "a case method", args, "", a)) return tval_none();
  TSb sb = tsb_new(rt);
  const char *p = tstr_flat(rt, v.s);
  bool after_cased = false;
  for (size_t i = 0; i < v.s->len && !rt->failed;) {
    uint32_t cp;
    size_t n = tuni_decode(p + i, &cp);
    put_mapped(&sb, v.s, i, pick(cp, i == 0, after_cased));
    after_cased = tuni_cased(cp);
    i += n;
  }
  return tval_str(tsb_done(&sb));
}

static UniMap pick_upper(uint32_t cp, bool first, bool after) {
  return (void)cp, (void)first, (void)after, UNI_to_upper;
}
static UniMap pick_lower(uint32_t cp, bool first, bool after) {
  return (void)cp, (void)first, (void)after, UNI_to_lower;
}
static UniMap pick_fold(uint32_t cp, bool first, bool after) {
  return (void)cp, (void)first, (void)after, UNI_to_folded;
}
static UniMap pick_title(uint32_t cp, bool first, bool after) {
  return (void)cp, (void)first, after ? UNI_to_lower : UNI_to_title;
}
static UniMap pick_capital(uint32_t cp, bool first, bool after) {
  return (void)cp, (void)after, first ? UNI_to_title : UNI_to_lower;
}
static UniMap pick_swap(uint32_t cp, bool first, bool after) {
  return (void)first, (void)after, tuni_is(UNI_uppercase, cp) ? UNI_to_lower : UNI_to_upper;
}

METHOD(s_upper) { return map_case(rt, v, args, pick_upper); }
METHOD(s_lower) { return map_case(rt, v, args, pick_lower); }
METHOD(s_casefold) { return map_case(rt, v, args, pick_fold); }
METHOD(s_title) { return map_case(rt, v, args, pick_title); }
METHOD(s_capitalize) { return map_case(rt, v, args, pick_capital); }
METHOD(s_swapcase) { return map_case(rt, v, args, pick_swap); }

// --- what a string is made of ------------------------------------------------------------------

typedef bool (*IsChar)(uint32_t cp);
static bool is_alpha(uint32_t c) { return tuni_is(UNI_alpha, c); }
static bool is_digit(uint32_t c) { return tuni_is(UNI_digit, c); }
static bool is_decimal(uint32_t c) { return tuni_is(UNI_decimal, c); }
static bool is_numeric(uint32_t c) { return tuni_is(UNI_numeric, c); }
static bool is_alnum(uint32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }
static bool is_printable(uint32_t c) { return !tuni_is(UNI_unprintable, c); }
static bool is_ascii(uint32_t c) { return c < 0x80; }

static TVal all_chars(TRt *rt, TVal v, const TArgs *args, IsChar is, bool when_empty) {
  TVal a[1];
  if (!targs_bind(rt, "a method of str", args, "", a)) return tval_none();
  const char *p = tstr_flat(rt, v.s);
  trt_step(rt, v.s->len / 16);
  for (size_t i = 0; i < v.s->len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    if (!is(cp)) return tval_bool(false);
  }
  return tval_bool(v.s->len > 0 || when_empty);
}

METHOD(s_isalpha) { return all_chars(rt, v, args, is_alpha, false); }
METHOD(s_isdigit) { return all_chars(rt, v, args, is_digit, false); }
METHOD(s_isdecimal) { return all_chars(rt, v, args, is_decimal, false); }
METHOD(s_isnumeric) { return all_chars(rt, v, args, is_numeric, false); }
METHOD(s_isalnum) { return all_chars(rt, v, args, is_alnum, false); }
METHOD(s_isspace) { return all_chars(rt, v, args, tuni_space, false); }
METHOD(s_isprintable) { return all_chars(rt, v, args, is_printable, true); }
METHOD(s_isascii) { return all_chars(rt, v, args, is_ascii, true); }

static TVal test_by_name(TRt *rt, TVal v, const TArgs *args, const char *name) {
  return trt_test_by_name(rt, tval_str(tstr_lit(rt, name)), v, args);
}
METHOD(s_islower) { return test_by_name(rt, v, args, "lower"); }
METHOD(s_isupper) { return test_by_name(rt, v, args, "upper"); }

METHOD(s_istitle) {
  TVal a[1];
  if (!targs_bind(rt, "istitle()", args, "", a)) return tval_none();
  const char *p = tstr_flat(rt, v.s);
  bool any = false, after_cased = false;
  for (size_t i = 0; i < v.s->len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    bool upper = tuni_is(UNI_uppercase, cp) || tuni_is(UNI_titlecase, cp), lower = tuni_is(UNI_lowercase, cp);
    if ((upper && after_cased) || (lower && !after_cased)) return tval_bool(false);
    after_cased = upper || lower;
    any = any || after_cased;
  }
  return tval_bool(any);
}

// --- stripping ---------------------------------------------------------------------------------

static bool in_set(TRt *rt, TStr *set, uint32_t cp) {
  if (!set) return tuni_space(cp);
  const char *p = tstr_flat(rt, set);
  trt_step(rt, set->len / 16);
  for (size_t i = 0; i < set->len;) {
    uint32_t c;
    i += tuni_decode(p + i, &c);
    if (c == cp) return true;
  }
  return false;
}

static TVal strip(TRt *rt, TVal v, const TArgs *args, bool left, bool right) {
  TVal a[1];
  if (!targs_bind(rt, "strip()", args, "chars?", a)) return tval_none();
  TStr *set =
      a[0].type == T_MISSING || a[0].type == T_NONE ? NULL : targs_str(rt, a[0], "strip()'s characters");
  const char *p = tstr_flat(rt, v.s);
  if (rt->failed) return tval_none();
  size_t begin = 0, end = v.s->len;
  uint32_t cp;
  while (left && begin < end && trt_step(rt, 1)) {
    size_t n = tuni_decode(p + begin, &cp);
    if (!in_set(rt, set, cp)) break;
    begin += n;
  }
  while (right && end > begin && trt_step(rt, 1)) {
    size_t last = end - 1;
    while (((unsigned char)p[last] & 0xC0) == 0x80) last--;
    tuni_decode(p + last, &cp);
    if (!in_set(rt, set, cp)) break;
    end = last;
  }
  return tval_str(tstr_sub(rt, v.s, begin, end));
}

METHOD(s_strip) { return strip(rt, v, args, true, true); }
METHOD(s_lstrip) { return strip(rt, v, args, true, false); }
METHOD(s_rstrip) { return strip(rt, v, args, false, true); }

METHOD(s_removeprefix) {
  TVal a[1];
  if (!targs_bind(rt, "removeprefix()", args, "prefix", a)) return tval_none();
  TStr *x = targs_str(rt, a[0], "removeprefix()'s prefix");
  bool has = x && x->len <= v.s->len && !memcmp(tstr_flat(rt, v.s), x->p, x->len);
  return has ? tval_str(tstr_sub(rt, v.s, x->len, v.s->len)) : v;
}

METHOD(s_removesuffix) {
  TVal a[1];
  if (!targs_bind(rt, "removesuffix()", args, "suffix", a)) return tval_none();
  TStr *x = targs_str(rt, a[0], "removesuffix()'s suffix");
  bool has =
      x && x->len && x->len <= v.s->len && !memcmp(tstr_flat(rt, v.s) + v.s->len - x->len, x->p, x->len);
  return has ? tval_str(tstr_sub(rt, v.s, 0, v.s->len - x->len)) : v;
}

// --- finding -----------------------------------------------------------------------------------

// start and end, in code points as Python takes them, as bytes; false when start lies behind the end.
static bool bounds(TRt *rt, TStr *s, TVal start, TVal end, size_t *from, size_t *to) {
  int64_t n = (int64_t)s->n;
  int64_t b = start.type == T_NONE ? 0 : targs_int(rt, start, 0, "the start");
  int64_t e = end.type == T_NONE ? n : targs_int(rt, end, n, "the end");
  if (b < 0) b = b + n < 0 ? 0 : b + n;
  if (e < 0) e = e + n < 0 ? 0 : e + n;
  if (e > n) e = n;
  if (rt->failed || b > e) return false;
  *from = tstr_offset(rt, s, (size_t)b);
  *to = tstr_offset(rt, s, (size_t)e);
  return true;
}

static TVal find(TRt *rt, TVal v, const TArgs *args, bool last, bool must) {
  TVal a[3];
  size_t from, to;
  if (!targs_bind(rt, "find()", args, "sub,start?,end?", a)) return tval_none();
  TStr *sub = targs_str(rt, a[0], "what to find");
  int64_t at = sub && bounds(rt, v.s, a[1], a[2], &from, &to) ? tstr_find(rt, v.s, sub, from, to, last) : -1;
  if (at < 0 && must) return trt_fail(rt, ZAYA_E_INVALID, "index(): the text is not found");
  return tval_int(at < 0 ? -1 : (int64_t)tuni_count(v.s->p, (size_t)at));
}

METHOD(s_find) { return find(rt, v, args, false, false); }
METHOD(s_rfind) { return find(rt, v, args, true, false); }
METHOD(s_index) { return find(rt, v, args, false, true); }
METHOD(s_rindex) { return find(rt, v, args, true, true); }

METHOD(s_count) {
  TVal a[3];
  size_t from, to;
  if (!targs_bind(rt, "count()", args, "sub,start?,end?", a)) return tval_none();
  TStr *sub = targs_str(rt, a[0], "what to count");
  if (!sub || !bounds(rt, v.s, a[1], a[2], &from, &to)) return tval_int(0);
  if (!sub->len) return tval_int((int64_t)tuni_count(tstr_flat(rt, v.s) + from, to - from) + 1);
  int64_t n = 0, at;
  for (; (at = tstr_find(rt, v.s, sub, from, to, false)) >= 0; n++) from = (size_t)at + sub->len;
  return tval_int(n);
}

static bool affix_at(TRt *rt, TStr *s, TStr *x, size_t from, size_t to, bool at_end) {
  if (!x || x->len > to - from) return false;
  return !memcmp(tstr_flat(rt, s) + (at_end ? to - x->len : from), x->p, x->len);
}

static TVal has_affix(TRt *rt, TVal v, const TArgs *args, bool at_end) {
  TVal a[3];
  size_t from, to;
  if (!targs_bind(rt, at_end ? "endswith()" : "startswith()", args, "text,start?,end?", a))
    return tval_none();
  bool inside = bounds(rt, v.s, a[1], a[2], &from, &to);
  if (a[0].type != T_TUPLE) {
    TStr *x = targs_str(rt, a[0], "what to look for");
    return tval_bool(inside && affix_at(rt, v.s, x, from, to, at_end));
  }
  for (size_t i = 0; i < a[0].l->n; i++) {
    TStr *x = targs_str(rt, a[0].l->at[i], "what to look for");
    if (inside && affix_at(rt, v.s, x, from, to, at_end)) return tval_bool(true);
  }
  return tval_bool(false);
}

METHOD(s_startswith) { return has_affix(rt, v, args, false); }
METHOD(s_endswith) { return has_affix(rt, v, args, true); }

// --- replacing, splitting, joining -------------------------------------------------------------

METHOD(s_replace) {
  TVal a[3];
  if (!targs_bind(rt, "replace()", args, "old,new,count?", a)) return tval_none();
  TStr *old = targs_str(rt, a[0], "replace()'s first argument"),
       *new = targs_str(rt, a[1], "replace()'s second argument");
  int64_t left = targs_int(rt, a[2], -1, "replace()'s count"), at;
  if (rt->failed || left == 0) return v;
  TSb sb = tsb_new(rt);
  const char *p = tstr_flat(rt, v.s);
  size_t pos = 0;
  if (!old->len) { // before every character, and at the end
    while (left != 0 && !rt->failed) {
      tsb_str(&sb, new);
      left -= left > 0;
      if (pos >= v.s->len) break;
      size_t n = tuni_seq_len((unsigned char)p[pos]);
      tsb_sub(&sb, v.s, pos, pos + n);
      pos += n;
    }
  } else {
    while (left != 0 && (at = tstr_find(rt, v.s, old, pos, v.s->len, false)) >= 0) {
      tsb_sub(&sb, v.s, pos, (size_t)at);
      tsb_str(&sb, new);
      pos = (size_t)at + old->len;
      left -= left > 0;
    }
    if (!pos) return v;
  }
  tsb_sub(&sb, v.s, pos, v.s->len);
  return tval_str(tsb_done(&sb));
}

// Splits at runs of whitespace; the rest behind `max` splits keeps its end.
static void split_space(TRt *rt, TStr *s, int64_t max, TVal list) {
  const char *p = tstr_flat(rt, s);
  size_t i = 0;
  while (i < s->len && !rt->failed) {
    uint32_t cp;
    size_t n = tuni_decode(p + i, &cp);
    if (tuni_space(cp)) {
      i += n;
      continue;
    }
    size_t begin = i, end = s->len;
    if (max != 0) {
      for (end = i; end < s->len; end += n) {
        n = tuni_decode(p + end, &cp);
        if (tuni_space(cp)) break;
      }
    }
    tval_push(rt, list, tval_str(tstr_sub(rt, s, begin, end)));
    max -= max > 0;
    i = end;
  }
}

// The same from the right; the list comes out reversed.
static void rsplit_space(TRt *rt, TStr *s, int64_t max, TVal list) {
  const char *p = tstr_flat(rt, s);
  size_t end = s->len;
  while (!rt->failed) {
    TArgs none = {0};
    TVal left = strip(rt, tval_str(tstr_sub(rt, s, 0, end)), &none, false, true);
    if (rt->failed || !left.s->len) return;
    end = left.s->len;
    size_t begin = max == 0 ? 0 : end;
    while (begin > 0) {
      size_t last = begin - 1;
      while (((unsigned char)p[last] & 0xC0) == 0x80) last--;
      uint32_t cp;
      tuni_decode(p + last, &cp);
      if (tuni_space(cp)) break;
      begin = last;
    }
    tval_push(rt, list, tval_str(tstr_sub(rt, s, begin, end)));
    max -= max > 0;
    end = begin;
  }
}

static void reverse(TVal list) {
  if (list.type != T_LIST) return;
  for (size_t i = 0, j = list.l->n; i + 1 < j; i++) {
    TVal t = list.l->at[i];
    list.l->at[i] = list.l->at[--j];
    list.l->at[j] = t;
  }
}

static TVal split(TRt *rt, TVal v, const TArgs *args, bool right) {
  TVal a[2];
  if (!targs_bind(rt, "split()", args, "sep?,maxsplit?", a)) return tval_none();
  int64_t max = targs_int(rt, a[1], -1, "split()'s maxsplit"), at;
  TVal list = tval_list(rt, T_LIST, 0);
  if (rt->failed) return list;
  if (max < 0) max = -1;
  if (a[0].type == T_MISSING || a[0].type == T_NONE) {
    (right ? rsplit_space : split_space)(rt, v.s, max, list);
    if (right) reverse(list);
    return list;
  }
  TStr *sep = targs_str(rt, a[0], "split()'s separator");
  if (!sep) return list;
  if (!sep->len) return trt_fail(rt, ZAYA_E_INVALID, "split() with an empty separator");
  size_t from = 0, to = v.s->len;
  while (max != 0 && (at = tstr_find(rt, v.s, sep, from, to, right)) >= 0) {
    size_t begin = right ? (size_t)at + sep->len : from, end = right ? to : (size_t)at;
    tval_push(rt, list, tval_str(tstr_sub(rt, v.s, begin, end)));
    if (right)
      to = (size_t)at;
    else
      from = (size_t)at + sep->len;
    max -= max > 0;
  }
  tval_push(rt, list, tval_str(tstr_sub(rt, v.s, from, to)));
  if (right) reverse(list);
  return list;
}

METHOD(s_split) { return split(rt, v, args, false); }
METHOD(s_rsplit) { return split(rt, v, args, true); }

static bool is_line_end(uint32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

METHOD(s_splitlines) {
  TVal a[1];
  if (!targs_bind(rt, "splitlines()", args, "keepends?", a)) return tval_none();
  bool keep = a[0].type != T_MISSING && tval_truth(rt, a[0]);
  TVal list = tval_list(rt, T_LIST, 0);
  const char *p = tstr_flat(rt, v.s);
  size_t begin = 0;
  for (size_t i = 0; i < v.s->len && !rt->failed;) {
    uint32_t cp;
    size_t end = i;
    i += tuni_decode(p + i, &cp);
    if (!is_line_end(cp)) continue;
    if (cp == '\r' && i < v.s->len && p[i] == '\n') i++;
    tval_push(rt, list, tval_str(tstr_sub(rt, v.s, begin, keep ? i : end)));
    begin = i;
  }
  if (begin < v.s->len) tval_push(rt, list, tval_str(tstr_sub(rt, v.s, begin, v.s->len)));
  return list;
}

static TVal partition(TRt *rt, TVal v, const TArgs *args, bool right) {
  TVal a[1];
  if (!targs_bind(rt, "partition()", args, "sep", a)) return tval_none();
  TStr *sep = targs_str(rt, a[0], "partition()'s separator");
  TVal t = tval_list(rt, T_TUPLE, 3), empty = tval_str(tstr_lit(rt, ""));
  if (!sep || rt->failed) return t;
  if (!sep->len) return trt_fail(rt, ZAYA_E_INVALID, "partition() with an empty separator");
  int64_t at = tstr_find(rt, v.s, sep, 0, v.s->len, right);
  if (at < 0) {
    for (int i = 0; i < 3; i++) tval_push(rt, t, i == (right ? 2 : 0) ? v : empty);
    return t;
  }
  tval_push(rt, t, tval_str(tstr_sub(rt, v.s, 0, (size_t)at)));
  tval_push(rt, t, a[0]);
  tval_push(rt, t, tval_str(tstr_sub(rt, v.s, (size_t)at + sep->len, v.s->len)));
  return t;
}

METHOD(s_partition) { return partition(rt, v, args, false); }
METHOD(s_rpartition) { return partition(rt, v, args, true); }

METHOD(s_join) {
  TVal a[1], item;
  if (!targs_bind(rt, "join()", args, "iterable", a)) return tval_none();
  TIter *it = titer_of(rt, a[0]);
  TSb sb = tsb_new(rt);
  for (bool first = true; it && titer_next(rt, it, &item); first = false) {
    if (item.type != T_STR)
      return trt_type_error(rt, "join() needs strings, found a '%s'", tval_type_name(item));
    if (!first) tsb_str(&sb, v.s);
    tsb_str(&sb, item.s);
  }
  return tval_str(tsb_done(&sb));
}

// --- padding -----------------------------------------------------------------------------------

static TVal pad(TRt *rt, TVal v, const TArgs *args, char how) {
  TVal a[2];
  if (!targs_bind(rt, "padding", args, "width,fillchar?", a)) return tval_none();
  int64_t width = targs_int(rt, a[0], 0, "the width"), more = width - (int64_t)v.s->n;
  TStr *fill = a[1].type == T_MISSING ? tstr_lit(rt, " ") : targs_str(rt, a[1], "the fill character");
  if (rt->failed || !fill) return tval_none();
  if (fill->n != 1) return trt_type_error(rt, "the fill character must be one character long");
  if (more <= 0) return v;
  // center() puts the odd space to the left when the width is odd, as Python does.
  int64_t left = how == 'l' ? 0 : how == 'r' ? more : more / 2 + (more & width & 1);
  TSb sb = tsb_new(rt);
  uint8_t origin = tstr_origin_at(fill, 0);
  tsb_fill(&sb, tstr_flat(rt, fill), fill->len, origin, (size_t)left);
  tsb_str(&sb, v.s);
  tsb_fill(&sb, tstr_flat(rt, fill), fill->len, origin, (size_t)(more - left));
  return tval_str(tsb_done(&sb));
}

METHOD(s_ljust) { return pad(rt, v, args, 'l'); }
METHOD(s_rjust) { return pad(rt, v, args, 'r'); }
METHOD(s_center) { return pad(rt, v, args, 'c'); }

METHOD(s_zfill) {
  TVal a[1];
  if (!targs_bind(rt, "zfill()", args, "width", a)) return tval_none();
  int64_t more = targs_int(rt, a[0], 0, "the width") - (int64_t)v.s->n;
  if (rt->failed || more <= 0) return v;
  const char *p = tstr_flat(rt, v.s);
  size_t sign = v.s->len && (*p == '-' || *p == '+');
  TSb sb = tsb_new(rt);
  tsb_sub(&sb, v.s, 0, sign);
  tsb_fill(&sb, "0", 1, T_TEMPLATE, (size_t)more);
  tsb_sub(&sb, v.s, sign, v.s->len);
  return tval_str(tsb_done(&sb));
}

METHOD(s_expandtabs) {
  TVal a[1];
  if (!targs_bind(rt, "expandtabs()", args, "tabsize?", a)) return tval_none();
  int64_t size = targs_int(rt, a[0], 8, "the tab size"), column = 0;
  TSb sb = tsb_new(rt);
  const char *p = tstr_flat(rt, v.s);
  for (size_t i = 0; i < v.s->len && !rt->failed;) {
    size_t n = tuni_seq_len((unsigned char)p[i]);
    if (p[i] == '\t') {
      int64_t fill = size > 0 ? size - column % size : 0;
      tsb_fill(&sb, " ", 1, tstr_origin_at(v.s, i), (size_t)fill);
      column += fill;
    } else {
      tsb_sub(&sb, v.s, i, i + n);
      column = p[i] == '\n' || p[i] == '\r' ? 0 : column + 1;
    }
    i += n;
  }
  return tval_str(tsb_done(&sb));
}

METHOD(s_format) { return tfmt_format(rt, v.s, args); }

const TMethodDef tmeth_str_table[] = {
    {"upper", s_upper},
    {"lower", s_lower},
    {"title", s_title},
    {"capitalize", s_capitalize},
    {"swapcase", s_swapcase},
    {"casefold", s_casefold},
    {"isalpha", s_isalpha},
    {"isdigit", s_isdigit},
    {"isdecimal", s_isdecimal},
    {"isnumeric", s_isnumeric},
    {"isalnum", s_isalnum},
    {"isspace", s_isspace},
    {"isprintable", s_isprintable},
    {"isascii", s_isascii},
    {"islower", s_islower},
    {"isupper", s_isupper},
    {"istitle", s_istitle},
    {"strip", s_strip},
    {"lstrip", s_lstrip},
    {"rstrip", s_rstrip},
    {"removeprefix", s_removeprefix},
    {"removesuffix", s_removesuffix},
    {"find", s_find},
    {"rfind", s_rfind},
    {"index", s_index},
    {"rindex", s_rindex},
    {"count", s_count},
    {"startswith", s_startswith},
    {"endswith", s_endswith},
    {"replace", s_replace},
    {"split", s_split},
    {"rsplit", s_rsplit},
    {"splitlines", s_splitlines},
    {"partition", s_partition},
    {"rpartition", s_rpartition},
    {"join", s_join},
    {"ljust", s_ljust},
    {"rjust", s_rjust},
    {"center", s_center},
    {"zfill", s_zfill},
    {"expandtabs", s_expandtabs},
    {"format", s_format},
    {0},
};
