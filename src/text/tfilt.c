// tfilt: filters on single values and numbers, and the search over all filter tables. See trt.h;
// strings are in tfilt_str.c, sequences in tfilt_seq.c.
#include "text/trt.h"
#include "text/tuni.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

FILTER(f_default) {
  TVal a[2];
  if (!targs_bind(rt, "default", args, "default_value?,boolean?", a)) return tval_none();
  bool replace = v.type == T_UNDEF || (a[1].type != T_MISSING && tval_truth(rt, a[1]) && !tval_truth(rt, v));
  if (!replace) return v;
  return a[0].type == T_MISSING ? tval_str(tstr_lit(rt, "")) : a[0];
}

FILTER(f_string) {
  TVal a[1];
  return targs_bind(rt, "string", args, "", a) ? tval_str(tval_to_str(rt, v)) : tval_none();
}

FILTER(f_length) {
  TVal a[1];
  if (!targs_bind(rt, "length", args, "", a)) return tval_none();
  return tval_int(tval_len(rt, v));
}

FILTER(f_abs) {
  TVal a[1];
  if (!targs_bind(rt, "abs", args, "", a)) return tval_none();
  if (v.type == T_FLOAT) return tval_float(fabs(v.f));
  int64_t i;
  bool negative = tval_as_index(v, &i) && i < 0;
  return tops_negate(rt, v, negative);
}

// Copies digits with their single underscores taken out; false if the text is no number.
static bool clean_number(TRt *rt, TStr *s, char *out, size_t size) {
  const char *p = tstr_flat(rt, s);
  size_t n = 0;
  uint32_t before = 0;
  for (size_t i = 0; i < s->len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    int digit = tuni_decimal_value(cp);
    if (digit >= 0) cp = (uint32_t)('0' + digit);
    if (cp == '_') {
      bool between =
          before < 0x80 && strchr("0123456789abcdefABCDEFxXoO", (int)before) && before && i < s->len;
      if (!between || p[i] == '_') return false;
    } else {
      if (tuni_space(cp)) cp = ' ';
      if (cp >= 0x80 || cp == 0 || n + 1 == size) return false;
      out[n++] = (char)cp;
    }
    before = cp;
  }
  if (before == '_') return false;
  while (n && out[n - 1] == ' ') n--;
  out[n] = '\0';
  size_t lead = strspn(out, " ");
  memmove(out, out + lead, n - lead + 1);
  return out[0] != '\0';
}

// int(text, base): false if Python would raise ValueError.
static bool parse_int(TRt *rt, TStr *s, int base, int64_t *out) {
  char text[128];
  if (!clean_number(rt, s, text, sizeof text)) return false;
  const char *p = text;
  bool negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  int prefix = p[0] == '0' && p[1] ? ((p[1] | 0x20) == 'x'   ? 16
                                      : (p[1] | 0x20) == 'o' ? 8
                                      : (p[1] | 0x20) == 'b' ? 2
                                                             : 0)
                                   : 0;
  if (prefix && (base == prefix || base == 0)) {
    p += 2;
    base = prefix;
  } else if (base == 0) {
    if (p[0] == '0' && strspn(p, "0") != strlen(p)) return false;
    base = 10;
  }
  if (!*p) return false;
  int64_t v = 0;
  for (; *p; p++) {
    int d = *p >= '0' && *p <= '9'                     ? *p - '0'
            : (*p | 0x20) >= 'a' && (*p | 0x20) <= 'z' ? (*p | 0x20) - 'a' + 10
                                                       : 99;
    if (d >= base) return false;
    if (__builtin_mul_overflow(v, base, &v) || __builtin_sub_overflow(v, d, &v)) { // counts down: -2^63 fits
      trt_fail(rt, ZAYA_E_LIMIT, "an integer beyond 64 bits");
      return true;
    }
  }
  if (!negative && v == INT64_MIN) {
    trt_fail(rt, ZAYA_E_LIMIT, "an integer beyond 64 bits");
    return true;
  }
  *out = negative ? v : -v;
  return true;
}

static bool parse_float(TRt *rt, TStr *s, double *out) {
  char text[512];
  if (!clean_number(rt, s, text, sizeof text)) return false;
  const char *p = text + (*text == '-' || *text == '+');
  static const char *const words[] = {"inf", "infinity", "nan"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t k = 0;
    while (words[i][k] && (p[k] | 0x20) == words[i][k]) k++;
    if (words[i][k] || p[k]) continue;
    *out = i == 2 ? NAN : *text == '-' ? -INFINITY : INFINITY;
    return true;
  }
  if (strspn(p, "0123456789.eE+-") != strlen(p) || !*p) return false; // no hexadecimal
  char *end;
  *out = strtod(text, &end);
  return !*end && end > text;
}

// float(v): false for what Python refuses with TypeError or ValueError.
static bool to_float(TRt *rt, TVal v, double *out) {
  if (v.type == T_UNDEF) {
    tval_use_undef(rt, v);
    return true;
  }
  if (v.type == T_STR) return parse_float(rt, v.s, out);
  if (!tval_is_number(v)) return false;
  *out = tval_as_double(v);
  return true;
}

static TVal int_of_float(TRt *rt, double f, TVal fallback) {
  if (isnan(f)) return fallback;
  if (isinf(f)) return trt_fail(rt, ZAYA_E_INVALID, "infinity is no integer");
  f = trunc(f);
  if (f < -9223372036854775808.0 || f >= 9223372036854775808.0)
    return trt_fail(rt, ZAYA_E_LIMIT, "an integer beyond 64 bits");
  return tval_int((int64_t)f);
}

FILTER(f_int) {
  TVal a[2];
  if (!targs_bind(rt, "int", args, "default?,base?", a)) return tval_none();
  TVal fallback = a[0].type == T_MISSING ? tval_int(0) : a[0];
  int64_t base = targs_int(rt, a[1], 10, "int's base"), i;
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  if (tval_as_index(v, &i)) {
    TVal r = tval_int(i);
    r.origin = v.origin;
    return r;
  }
  double f = 0;
  bool base_ok = base == 0 || (base >= 2 && base <= 36);
  TVal r = fallback;
  if (v.type == T_STR && base_ok && parse_int(rt, v.s, (int)base, &i))
    r = tval_int(i);
  else if (to_float(rt, v, &f) && !rt->failed)
    r = int_of_float(rt, f, fallback);
  r.origin = v.type == T_STR ? T_VALUE : v.origin;
  return r.type == T_INT ? r : fallback;
}

FILTER(f_float) {
  TVal a[1];
  if (!targs_bind(rt, "float", args, "default?", a)) return tval_none();
  double f = 0;
  if (!to_float(rt, v, &f)) return a[0].type == T_MISSING ? tval_float(0) : a[0];
  TVal r = tval_float(f);
  r.origin = v.type == T_STR ? T_VALUE : v.origin;
  return r;
}

// Python's round(): to the nearest decimal, which printf finds exactly.
static double round_common(double f, int64_t precision) {
  if (!isfinite(f) || precision > 300) return f;
  if (precision < -300) return 0 * f;
  if (precision >= 0) {
    char text[700];
    snprintf(text, sizeof text, "%.*f", (int)precision, f);
    return strtod(text, NULL);
  }
  double scale = pow(10, (double)-precision);
  return nearbyint(f / scale) * scale;
}

static TVal round_int(TRt *rt, int64_t i, int64_t precision) {
  if (precision >= 0) return tval_int(i);
  if (precision < -18) return tval_int(0);
  int64_t unit = 1;
  for (int64_t k = precision; k < 0; k++) unit *= 10;
  int64_t rest = i % unit, low = i - rest; // half to even
  if (rest < 0) {
    rest += unit;
    low -= unit;
  }
  bool up = rest > unit - rest || (rest == unit - rest && (low / unit) % 2 != 0);
  return up ? tops_binary(rt, OP_ADD, tval_int(low), tval_int(unit)) : tval_int(low);
}

FILTER(f_round) {
  TVal a[2];
  if (!targs_bind(rt, "round", args, "precision?,method?", a)) return tval_none();
  int64_t precision = targs_int(rt, a[0], 0, "round's precision"), i;
  TStr *method = a[1].type == T_MISSING ? tstr_lit(rt, "common") : targs_str(rt, a[1], "round's method");
  bool ceiling = tstr_is(rt, method, "ceil");
  if (rt->failed) return tval_none();
  if (!ceiling && !tstr_is(rt, method, "common") && !tstr_is(rt, method, "floor"))
    return trt_fail(rt, ZAYA_E_INVALID, "round's method must be common, ceil or floor");
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  if (!tval_is_number(v)) return trt_type_error(rt, "a '%s' cannot be rounded", tval_type_name(v));
  if (tstr_is(rt, method, "common"))
    return tval_as_index(v, &i) ? round_int(rt, i, precision) : tval_float(round_common(v.f, precision));
  double scale = pow(10, (double)precision), f = tval_as_double(v) * scale;
  return tval_float((ceiling ? ceil(f) : floor(f)) / scale);
}

FILTER(f_tojson) {
  TVal a[4];
  if (!targs_bind(rt, "tojson", args, "ensure_ascii?,indent?,separators?,sort_keys?", a)) return tval_none();
  TJsonOptions o = {.ascii = a[0].type != T_MISSING && tval_truth(rt, a[0]),
                    .sort_keys = a[3].type != T_MISSING && tval_truth(rt, a[3])};
  if (a[1].type != T_MISSING && a[1].type != T_NONE) {
    TSb sb = tsb_new(rt);
    int64_t n;
    o.pretty = true;
    if (tval_as_index(a[1], &n))
      tsb_fill(&sb, " ", 1, T_TEMPLATE, n > 0 ? (size_t)n : 0);
    else
      tsb_str(&sb, targs_str(rt, a[1], "tojson's indent"));
    o.indent = tsb_done(&sb);
  }
  if (a[2].type != T_MISSING && a[2].type != T_NONE) {
    TVal two = titer_list(rt, a[2]);
    if (rt->failed) return two;
    if (two.l->n != 2) return trt_fail(rt, ZAYA_E_INVALID, "tojson's separators must be two strings");
    o.item_sep = targs_str(rt, two.l->at[0], "a separator of tojson");
    o.key_sep = targs_str(rt, two.l->at[1], "a separator of tojson");
  }
  return rt->failed ? tval_none() : tjson_dump(rt, v, &o);
}

FILTER(f_attr) {
  TVal a[1];
  if (!targs_bind(rt, "attr", args, "name", a)) return tval_none();
  TStr *name = targs_str(rt, a[0], "attr's name");
  if (!name) return tval_none();
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  // Attributes only, never elements: of what a template can hold, namespaces, loops and methods.
  bool has =
      (v.type == T_NS && tdict_find_str(rt, v.d, name)) || v.type == T_LOOP || trt_find_method(v, name);
  return has ? teval_attr(rt, v, name) : tval_undef_of(rt, v, a[0]);
}

FILTER(f_filesizeformat) {
  TVal a[1];
  double f = 0;
  if (!targs_bind(rt, "filesizeformat", args, "binary?", a)) return tval_none();
  if (!to_float(rt, v, &f)) return trt_type_error(rt, "a '%s' is no size", tval_type_name(v));
  bool binary = a[0].type != T_MISSING && tval_truth(rt, a[0]);
  double base = binary ? 1024 : 1000;
  char text[64];
  if (f == 1) {
    snprintf(text, sizeof text, "1 Byte");
  } else if (f < base) {
    snprintf(text, sizeof text, "%.0f Bytes", trunc(f));
  } else {
    int i = 0;
    double unit = base * base;
    for (; i < 7 && f >= unit; i++) unit *= base;
    snprintf(text, sizeof text, "%.1f %c%sB", base * f / unit, (binary ? "KMGTPEZY" : "kMGTPEZY")[i],
             binary ? "i" : "");
  }
  return tval_str(tstr_new(rt, text, strlen(text), v.type == T_STR ? T_VALUE : v.origin));
}

FILTER(f_pprint) {
  TVal a[1];
  if (!targs_bind(rt, "pprint", args, "", a)) return tval_none();
  TSb sb = tsb_new(rt);
  tval_write_repr(rt, &sb, v);
  return tval_str(tsb_done(&sb));
}

const TFilter tfilt_table[] = {
    {"default", f_default}, {"d", f_default},
    {"string", f_string},   {"length", f_length},
    {"count", f_length},    {"abs", f_abs},
    {"int", f_int},         {"float", f_float},
    {"round", f_round},     {"tojson", f_tojson},
    {"attr", f_attr},       {"filesizeformat", f_filesizeformat},
    {"pprint", f_pprint},   {0},
};

const TFilter *trt_find_filter(const TStr *name) {
  const TFilter *const tables[] = {tfilt_table, tfilt_str_table, tfilt_seq_table};
  for (int t = 0; t < 3; t++)
    for (const TFilter *f = tables[t]; f->name; f++)
      if (strlen(f->name) == name->len && !memcmp(f->name, name->p, name->len)) return f;
  return NULL;
}

TVal trt_filter_by_name(TRt *rt, TVal name, TVal self, const TArgs *args) {
  TStr *s = targs_str(rt, name, "the name of a filter");
  const TFilter *f = s ? trt_find_filter(s) : NULL;
  if (s && !f)
    return trt_fail(rt, ZAYA_E_UNSUPPORTED, "there is no filter '%.*s'", s->len < 60 ? (int)s->len : 60,
                    s->p);
  return f ? f->fn(rt, self, args) : tval_none();
}
