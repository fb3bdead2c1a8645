// schema_value: grammars of strings, numbers and constants; see schema.h.
#include "text/schema_parts.h"

#include "text/jstr.h"
#include "text/regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- strings -----------------------------------------------------------------------------------------------

static GramExpr quoted(GramBuilder *b, GramExpr inside) {
  return gram_cat3(b, gram_text(b, "\""), inside, gram_text(b, "\""));
}

// A string without any condition: one rule for all, so that its masks are computed once.
static GramExpr any_string(Maker *m) {
  if (!m->has_string) {
    m->string = gram_rule(m->b, "string");
    m->has_string = true;
    GramExpr inside = m->mode == MAKER_CALL ? jstr_free_no_tags(m->b)
                                            : gram_repeat(m->b, jstr_free_char(m->b), 0, GRAM_INF);
    gram_define(m->b, m->string, quoted(m->b, inside));
  }
  return gram_use(m->b, m->string);
}

typedef struct Patterns {
  Regex **r;
  size_t n;
  const char *at, *key; // the last one, for messages
} Patterns;

static void patterns_free(Patterns *p) {
  for (size_t i = 0; i < p->n; i++) regex_free(p->r[i]);
  free(p->r);
}

static bool put_pattern(Maker *m, Patterns *p, const char *text, bool contains, const char *at,
                        const char *key) {
  zaya_error e = {0};
  Regex *r = regex_parse(text, strlen(text), contains, &e);
  p->at = at;
  p->key = key;
  if (!r) return reader_fail(&m->r, at, key, e.message);
  p->r[p->n++] = r;
  return true;
}

static bool read_patterns(Maker *m, const Parts *list, Patterns *p) {
  p->r = calloc(2 * list->n + 2, sizeof(Regex *));
  if (!p->r) {
    err_memory(m->r.err, list->n * sizeof(Regex *), "a schema");
    return false;
  }
  for (size_t i = 0; i < list->n; i++) {
    const Part *part = &list->p[i];
    const json_t *pattern = json_object_get(part->schema, "pattern"),
                 *format = json_object_get(part->schema, "format");
    if (pattern && !put_pattern(m, p, json_string_value(pattern), true, part->at, "pattern")) return false;
    const char *known = format ? read_format(json_string_value(format)) : NULL;
    if (known && *known && !put_pattern(m, p, known, false, part->at, "format")) return false;
  }
  return true;
}

// The texts that match all patterns; in a tool call without "</" and "<z", so that no tag can be in them.
static bool joined(Maker *m, Patterns *p, uint32_t min, uint32_t max, RegexTarget target, GramExpr *out) {
  zaya_error e = {0};
  bool ok = m->mode == MAKER_JSON || put_pattern(m, p, "^(?:[^<]|<+[^</z])*<*$", true, p->at, p->key);
  if (!ok) return false;
  return regex_all((const Regex *const *)p->r, p->n, min, max, m->b, target, out, &e) ||
         reader_fail(&m->r, p->at, p->key, e.message);
}

bool make_string(Maker *m, const Parts *list, GramExpr *out) {
  uint32_t min = 0, max = GRAM_INF;
  Patterns p = {.at = list->n ? list->p[0].at : "", .key = "maxLength"};
  for (size_t i = 0; i < list->n; i++) {
    uint32_t lo = read_count(list->p[i].schema, "minLength", 0),
             hi = read_count(list->p[i].schema, "maxLength", GRAM_INF);
    if (lo > min) min = lo;
    if (hi < max) max = hi;
  }
  if (min > max) return *out = gram_never(m->b), true;
  bool ok = read_patterns(m, list, &p);
  GramExpr inside = 0;
  if (ok && m->mode == MAKER_RAW) {
    ok = joined(m, &p, min, max, REGEX_TEXT, out);
  } else if (ok && p.n) {
    ok = joined(m, &p, min, max, REGEX_JSON, &inside);
    *out = quoted(m->b, inside);
  } else if (min || max != GRAM_INF) {
    inside = m->mode == MAKER_CALL ? jstr_free_char_no_lt(m->b) : jstr_free_char(m->b);
    *out = quoted(m->b, gram_repeat(m->b, inside, min, max));
  } else {
    *out = any_string(m);
  }
  patterns_free(&p);
  return ok;
}

// --- numbers
// -------------------------------------------------------------------------------------------------

static bool put_bound(Reader *r, const Part *p, const char *key, bool lower, bool open, JnumBound *b) {
  const json_t *v = json_object_get(p->schema, key);
  JnumBound one = {.set = true, .open = open};
  if (!v) return true;
  if (!jnum_dec(v, &one.value))
    return reader_fail(r, p->at, key, "more than 15 digits behind the decimal point");
  bool tighter =
      !b->set || (lower ? one.value > b->value : one.value < b->value) || (one.value == b->value && open);
  if (tighter) *b = one;
  return true;
}

static void put_int32(const Part *p, JnumBound *lo, JnumBound *hi) {
  const char *format = json_string_value(json_object_get(p->schema, "format"));
  if (!format || strcmp(format, "int32")) return;
  JnumDec least = (JnumDec)INT32_MIN * JNUM_ONE, most = (JnumDec)INT32_MAX * JNUM_ONE;
  if (!lo->set || lo->value < least) *lo = (JnumBound){.set = true, .value = least};
  if (!hi->set || hi->value > most) *hi = (JnumBound){.set = true, .value = most};
}

bool number_bounds(Reader *r, const Parts *list, JnumBound *lo, JnumBound *hi) {
  *lo = *hi = (JnumBound){0};
  for (size_t i = 0; i < list->n; i++) {
    const Part *p = &list->p[i];
    if (!put_bound(r, p, "minimum", true, false, lo) ||
        !put_bound(r, p, "exclusiveMinimum", true, true, lo) ||
        !put_bound(r, p, "maximum", false, false, hi) ||
        !put_bound(r, p, "exclusiveMaximum", false, true, hi))
      return false;
    put_int32(p, lo, hi);
  }
  return true;
}

typedef struct Multiple {
  JnumDec whole; // least common multiple of the whole ones; 1 without any
  int fraction;  // digits behind the point, of powers of ten below 1; -1 without any
  const Part *from;
} Multiple;

static JnumDec gcd(JnumDec a, JnumDec b) {
  while (b) {
    JnumDec t = a % b;
    a = b;
    b = t;
  }
  return a;
}

static bool read_multiple(Maker *m, const Parts *list, Multiple *out) {
  *out = (Multiple){.whole = 1, .fraction = -1};
  for (size_t i = 0; i < list->n; i++) {
    const Part *p = &list->p[i];
    const json_t *v = json_object_get(p->schema, "multipleOf");
    JnumDec d, unit = JNUM_ONE;
    if (!v) continue;
    out->from = p;
    if (!jnum_dec(v, &d))
      return reader_fail(&m->r, p->at, "multipleOf", "more than 15 digits behind the decimal point");
    int digits = jnum_fraction(d);
    for (int k = 0; k < digits; k++) unit /= 10;
    if (digits == 0) {
      out->whole = out->whole / gcd(out->whole, d / JNUM_ONE) * (d / JNUM_ONE);
      if (out->whole > JNUM_ONE) return reader_fail(&m->r, p->at, "multipleOf", "too large");
    } else if (d != unit) {
      return reader_fail(&m->r, p->at, "multipleOf",
                         "supported for whole numbers and for 0.1, 0.01 and so on");
    } else if (out->fraction < 0 || digits < out->fraction) {
      out->fraction = digits;
    }
  }
  return true;
}

// Multiples of a larger number, where a range leaves few: one by one.
static bool few_multiples(Maker *m, JnumBound lo, JnumBound hi, const Multiple *of, GramExpr *out) {
  JnumDec unit = of->whole * JNUM_ONE;
  Buf texts[2001] = {0};
  size_t n = 0;
  bool ok = lo.set && hi.set && (hi.value - lo.value) / unit < 2000;
  if (!ok)
    reader_fail(&m->r, of->from->at, "multipleOf",
                "above 100, supported where a range leaves at most 2000 numbers");
  JnumDec v = ok ? lo.value / unit * unit : 0;
  for (v -= unit; ok && v <= hi.value && n < 2001; v += unit) {
    bool in = (lo.open ? v > lo.value : v >= lo.value) && (hi.open ? v < hi.value : v <= hi.value);
    if (in) ok = buf_printf(&texts[n++], m->r.err, "%lld", (long long)(v / JNUM_ONE));
  }
  *out = gram_literals(m->b, texts, n);
  for (size_t i = 0; i < n; i++) buf_free(&texts[i]);
  return ok;
}

bool make_number(Maker *m, const Parts *list, bool integer, GramExpr *out) {
  JnumBound lo, hi;
  Multiple of;
  if (!number_bounds(&m->r, list, &lo, &hi) || !read_multiple(m, list, &of)) return false;
  if (!integer && of.whole == 1 && (!of.from || of.fraction >= 0))
    *out = jnum_number(m->b, lo, hi, of.fraction);
  else if (of.whole <= JNUM_MAX_MOD)
    *out = jnum_integer(m->b, lo, hi, (unsigned)of.whole);
  else
    return few_multiples(m, lo, hi, &of, out);
  return true;
}

// --- constants
// -------------------------------------------------------------------------------------------------

bool maker_fits(Maker *m, const char *text) {
  if (m->mode == MAKER_JSON || !(strstr(text, "</") || strstr(text, "<z"))) return true;
  return err_set(m->r.err, ZAYA_E_UNSUPPORTED, "schema: \"%.80s\" looks like a tag of a tool call", text);
}

// Appends a scalar as it is written in output.
static bool put_scalar(Buf *b, const json_t *v, zaya_error *err) {
  char text[40];
  switch (json_typeof(v)) {
  case JSON_STRING: return jstr_quote(b, json_string_value(v), json_string_length(v), err);
  case JSON_INTEGER: return buf_printf(b, err, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
  case JSON_REAL: jnum_print(json_real_value(v), text); return buf_puts(b, text, err);
  case JSON_TRUE: return buf_puts(b, "true", err);
  case JSON_FALSE: return buf_puts(b, "false", err);
  default: return buf_puts(b, "null", err);
  }
}

static bool make_list(Maker *m, const json_t *v, GramExpr *out) {
  size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v), i = 0;
  GramExpr *parts = malloc((n + 2) * sizeof *parts);
  if (!parts) {
    err_memory(m->r.err, n * sizeof *parts, "a schema");
    return false;
  }
  GramExpr comma = gram_cat2(m->b, gram_text(m->b, ","), m->blank);
  void *it = json_is_object(v) ? json_object_iter((json_t *)v) : NULL;
  bool ok = true;
  parts[0] = gram_text(m->b, json_is_array(v) ? "[" : "{");
  for (; ok && i < n; i++) {
    GramExpr x = 0;
    ok = make_value(m, it ? json_object_iter_value(it) : json_array_get(v, i), &x);
    if (it) {
      Buf key = {0};
      const char *name = json_object_iter_key(it);
      ok = ok && maker_fits(m, name) && jstr_quote(&key, name, strlen(name), m->r.err) &&
           buf_putc(&key, ':', m->r.err);
      if (ok) x = gram_cat3(m->b, gram_bytes(m->b, key.data, key.len), m->blank, x);
      buf_free(&key);
      it = json_object_iter_next((json_t *)v, it);
    }
    parts[i + 1] = i ? gram_cat2(m->b, comma, x) : x;
  }
  parts[n + 1] = gram_text(m->b, json_is_array(v) ? "]" : "}");
  if (ok) *out = gram_cat(m->b, parts, n + 2);
  free(parts);
  return ok;
}

bool make_value(Maker *m, const json_t *v, GramExpr *out) {
  if (json_is_array(v) || json_is_object(v)) return make_list(m, v, out);
  if (json_is_string(v) && !maker_fits(m, json_string_value(v))) return false;
  if (m->mode == MAKER_RAW) {
    *out = gram_bytes(m->b, json_string_value(v), json_string_length(v));
    return true;
  }
  Buf b = {0};
  bool ok = put_scalar(&b, v, m->r.err);
  if (ok) *out = gram_bytes(m->b, b.data, b.len);
  buf_free(&b);
  return ok;
}
