// tval: values of a running template: making them, truth, equality, order, and the text that Python's
// str() and repr() give. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

TVal tval_str(TStr *s) { return s ? (TVal){.type = T_STR, .s = s} : tval_none(); }

TVal tval_list(TRt *rt, TType type, size_t cap) {
  TList *l = trt_alloc(rt, 1, sizeof *l);
  if (!l) return tval_none();
  if (cap && !(l->at = trt_alloc(rt, cap, sizeof *l->at))) return tval_none();
  l->cap = cap;
  return (TVal){.type = (uint8_t)type, .l = l};
}

bool tval_push(TRt *rt, TVal list, TVal item) {
  if (rt->failed || (list.type != T_LIST && list.type != T_TUPLE && list.type != T_VIEW)) return false;
  TList *l = list.l;
  if (l->n == l->cap) {
    size_t cap = l->cap ? l->cap * 2 : 4;
    TVal *at = tmem_grow(&rt->mem, l->at, l->cap * sizeof *at, cap * sizeof *at);
    if (!at) {
      trt_fail(rt, ZAYA_E_MEMORY, "a render that needs more than %zu bytes", rt->lim.max_memory);
      return false;
    }
    l->at = at;
    l->cap = cap;
  }
  l->at[l->n++] = item;
  return trt_step(rt, 1);
}

TVal tval_dict(TRt *rt) {
  TDict *d = trt_alloc(rt, 1, sizeof *d);
  return d ? (TVal){.type = T_DICT, .d = d} : tval_none();
}

// --- undefined ---------------------------------------------------------------------------------

static TVal new_undef(TRt *rt, TUndef u) {
  TUndef *p = trt_alloc(rt, 1, sizeof *p);
  if (!p) return tval_none();
  *p = u;
  return (TVal){.type = T_UNDEF, .u = p};
}

TVal tval_undef(TRt *rt, TStr *name) { return new_undef(rt, (TUndef){.name = name}); }
TVal tval_undef_hint(TRt *rt, const char *hint) { return new_undef(rt, (TUndef){.hint = hint}); }

TVal tval_undef_of(TRt *rt, TVal owner, TVal name) {
  return new_undef(rt, (TUndef){.owner = tval_type_name(owner), .name = tval_to_str(rt, name)});
}

TVal tval_use_undef(TRt *rt, TVal v) {
  const TUndef *u = v.u;
  if (u->hint) return trt_fail(rt, ZAYA_E_INVALID, "%s", u->hint);
  const char *name = tstr_flat(rt, u->name);
  int len = u->name && u->name->len < 100 ? (int)u->name->len : 100;
  if (u->unsafe)
    return trt_fail(rt, ZAYA_E_INVALID, "the sandbox refuses '%.*s' of a '%s'", len, name, u->owner);
  if (!u->owner) return trt_fail(rt, ZAYA_E_INVALID, "'%.*s' is undefined", len, name);
  return trt_fail(rt, ZAYA_E_INVALID, "a '%s' has no '%.*s'", u->owner, len, name);
}

// --- JSON --------------------------------------------------------------------------------------

static TVal dict_from_json(TRt *rt, const json_t *j, uint8_t origin, int depth) {
  TVal d = tval_dict(rt);
  d.origin = origin;
  const char *key;
  size_t key_len;
  json_t *value;
  if (rt->failed) return d;
  json_object_keylen_foreach((json_t *)(uintptr_t)j, key, key_len, value) {
    TVal k = tval_str(tstr_view(rt, key, key_len, tuni_count(key, key_len), origin));
    TVal v = tval_from_json(rt, value, origin, depth + 1);
    if (rt->failed || !tdict_set(rt, d.d, k, v)) break;
  }
  return d;
}

TVal tval_from_json(TRt *rt, const json_t *j, uint8_t origin, int depth) {
  TVal v = tval_none();
  if (depth > rt->lim.max_depth)
    return trt_fail(rt, ZAYA_E_LIMIT, "values nested deeper than %d", rt->lim.max_depth);
  trt_step(rt, 1);
  switch (json_typeof(j)) {
  case JSON_NULL: break;
  case JSON_TRUE: v = tval_bool(true); break;
  case JSON_FALSE: v = tval_bool(false); break;
  case JSON_INTEGER: v = tval_int(json_integer_value(j)); break;
  case JSON_REAL: v = tval_float(json_real_value(j)); break;
  case JSON_STRING: {
    const char *p = json_string_value(j);
    size_t len = json_string_length(j);
    return tval_str(tstr_view(rt, p, len, tuni_count(p, len), origin));
  }
  case JSON_ARRAY:
    v = tval_list(rt, T_LIST, json_array_size(j));
    for (size_t i = 0; i < json_array_size(j) && !rt->failed; i++)
      tval_push(rt, v, tval_from_json(rt, json_array_get(j, i), origin, depth + 1));
    break;
  case JSON_OBJECT: v = dict_from_json(rt, j, origin, depth); break;
  }
  v.origin = origin;
  return v;
}

// --- what a value is ---------------------------------------------------------------------------

const char *tval_type_name(TVal v) {
  switch ((TType)v.type) {
  case T_MISSING:
  case T_UNDEF: return "Undefined";
  case T_NONE: return "None";
  case T_BOOL: return "bool";
  case T_INT: return "int";
  case T_FLOAT: return "float";
  case T_STR: return "str";
  case T_LIST: return "list";
  case T_TUPLE: return "tuple";
  case T_DICT: return "dict";
  case T_VIEW: return v.l->view == 'k' ? "dict_keys" : v.l->view == 'v' ? "dict_values" : "dict_items";
  case T_RANGE: return "range";
  case T_ITER: return v.it->type_name;
  case T_SLICE: return "slice";
  case T_NS: return "Namespace";
  case T_MACRO: return "Macro";
  case T_LOOP: return "LoopContext";
  case T_METHOD: return "builtin_function_or_method";
  case T_GLOBAL: return "function";
  case T_CYCLER: return "Cycler";
  case T_JOINER: return "Joiner";
  }
  return "object";
}

bool tval_truth(TRt *rt, TVal v) {
  switch ((TType)v.type) {
  case T_MISSING:
  case T_UNDEF:
  case T_NONE: return false;
  case T_BOOL: return v.b;
  case T_INT: return v.i != 0;
  case T_FLOAT: return v.f != 0;
  default: return !tval_has_len(v) || tval_len(rt, v) != 0;
  }
}

bool tval_is_number(TVal v) { return v.type == T_BOOL || v.type == T_INT || v.type == T_FLOAT; }

double tval_as_double(TVal v) {
  return v.type == T_FLOAT ? v.f : v.type == T_BOOL ? (double)v.b : (double)v.i;
}

bool tval_as_index(TVal v, int64_t *out) {
  if (v.type != T_INT && v.type != T_BOOL) return false;
  *out = v.type == T_BOOL ? v.b : v.i;
  return true;
}

bool tval_has_len(TVal v) {
  switch ((TType)v.type) {
  case T_UNDEF:
  case T_STR:
  case T_LIST:
  case T_TUPLE:
  case T_VIEW:
  case T_DICT:
  case T_RANGE:
  case T_LOOP: return true;
  default: return false;
  }
}

int64_t tval_len(TRt *rt, TVal v) {
  switch ((TType)v.type) {
  case T_UNDEF: return 0;
  case T_STR: return (int64_t)v.s->n;
  case T_LIST:
  case T_TUPLE:
  case T_VIEW: return (int64_t)v.l->n;
  case T_DICT: return (int64_t)v.d->n;
  case T_RANGE: return v.r->n;
  case T_LOOP: return texec_loop_attr(rt, v.loop, tstr_lit(rt, "length")).i;
  default: trt_type_error(rt, "a '%s' has no length", tval_type_name(v)); return -1;
  }
}

// --- equality and order ------------------------------------------------------------------------

static bool equal_items(TRt *rt, const TList *a, const TList *b) {
  if (a->n != b->n || !trt_enter(rt)) return false;
  bool same = true;
  for (size_t i = 0; same && i < a->n; i++) same = trt_step(rt, 1) && tval_equal(rt, a->at[i], b->at[i]);
  trt_leave(rt);
  return same;
}

static bool equal_dicts(TRt *rt, const TDict *a, const TDict *b) {
  if (a->n != b->n || !trt_enter(rt)) return false;
  bool same = true;
  for (size_t i = 0; same && i < a->n; i++) {
    TPair *other = tdict_find(rt, b, a->at[i].key);
    same = other && trt_step(rt, 1) && tval_equal(rt, a->at[i].value, other->value);
  }
  trt_leave(rt);
  return same;
}

static int compare_numbers(TVal a, TVal b) {
  if (a.type != T_FLOAT && b.type != T_FLOAT) {
    int64_t x = a.type == T_BOOL ? a.b : a.i, y = b.type == T_BOOL ? b.b : b.i;
    return (x > y) - (x < y);
  }
  double x = tval_as_double(a), y = tval_as_double(b);
  return isnan(x) || isnan(y) ? 2 : (x > y) - (x < y); // 2: not comparable, never equal
}

bool tval_equal(TRt *rt, TVal a, TVal b) {
  if (tval_is_number(a) && tval_is_number(b)) return compare_numbers(a, b) == 0;
  if (a.type != b.type) return false;
  switch ((TType)a.type) {
  case T_MISSING:
  case T_UNDEF:
  case T_NONE: return true;
  case T_STR: return tstr_equal(rt, a.s, b.s);
  case T_LIST:
  case T_TUPLE: return a.l == b.l || equal_items(rt, a.l, b.l);
  case T_VIEW: return a.l == b.l || (a.l->view == b.l->view && a.l->view != 'v' && equal_items(rt, a.l, b.l));
  case T_DICT: return a.d == b.d || equal_dicts(rt, a.d, b.d);
  case T_RANGE:
    return a.r->n == b.r->n &&
           (!a.r->n || (a.r->start == b.r->start && (a.r->n == 1 || a.r->step == b.r->step)));
  default: return a.l == b.l; // the same object
  }
}

int tval_compare(TRt *rt, TVal a, TVal b, const char *op) {
  if (tval_is_number(a) && tval_is_number(b)) return compare_numbers(a, b);
  if (a.type == T_UNDEF || b.type == T_UNDEF) {
    tval_use_undef(rt, a.type == T_UNDEF ? a : b);
    return 0;
  }
  if (a.type == T_STR && b.type == T_STR) return tstr_compare(rt, a.s, b.s);
  if (a.type == b.type && (a.type == T_LIST || a.type == T_TUPLE)) {
    if (!trt_enter(rt)) return 0;
    int c = 0;
    size_t i = 0, n = a.l->n < b.l->n ? a.l->n : b.l->n;
    while (i < n && trt_step(rt, 1) && tval_equal(rt, a.l->at[i], b.l->at[i])) i++;
    if (i < n)
      c = tval_compare(rt, a.l->at[i], b.l->at[i], op);
    else
      c = (a.l->n > b.l->n) - (a.l->n < b.l->n);
    trt_leave(rt);
    return c;
  }
  trt_type_error(rt, "'%s' does not order a '%s' and a '%s'", op, tval_type_name(a), tval_type_name(b));
  return 0;
}

bool tval_contains(TRt *rt, TVal container, TVal item) {
  if (container.type == T_STR) {
    if (item.type == T_STR) return tstr_find(rt, container.s, item.s, 0, container.s->len, false) >= 0;
    trt_type_error(rt, "'in' a string needs a string on its left, not a '%s'", tval_type_name(item));
    return false;
  }
  if (container.type == T_DICT) return tdict_find(rt, container.d, item) != NULL;
  TIter *it = titer_of(rt, container);
  TVal v;
  while (it && titer_next(rt, it, &v))
    if (tval_equal(rt, v, item)) return true;
  return false;
}

// --- str() and repr() --------------------------------------------------------------------------

size_t tval_float_repr(double f, char out[40]) {
  if (isnan(f)) return (size_t)snprintf(out, 40, "nan");
  if (isinf(f)) return (size_t)snprintf(out, 40, f < 0 ? "-inf" : "inf");
  char digits[40];
  int precision = 1;
  do snprintf(digits, sizeof digits, "%.*e", precision - 1, f); // the shortest that reads back the same
  while (strtod(digits, NULL) != f && ++precision <= 17);
  int exponent = atoi(strchr(digits, 'e') + 1);
  if (exponent >= -4 && exponent < 16) {
    int decimals = precision - 1 - exponent;
    int n = snprintf(out, 40, "%.*f", decimals > 0 ? decimals : 0, f);
    if (decimals <= 0) n += snprintf(out + n, 40 - (size_t)n, ".0");
    return (size_t)n;
  }
  char *e = strchr(digits, 'e');
  *e = '\0';
  return (size_t)snprintf(out, 40, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
}

static bool write_quoted(TRt *rt, TSb *sb, TStr *s) {
  const char *p = tstr_flat(rt, s);
  bool single = memchr(p, '\'', s->len) != NULL, dbl = memchr(p, '"', s->len) != NULL;
  char quote = single && !dbl ? '"' : '\'';
  uint8_t edge = s->len ? tstr_origin_at(s, 0) : s->origin;
  tsb_add(sb, &quote, 1, NULL, edge);
  for (size_t i = 0; i < s->len && !rt->failed;) {
    uint32_t cp;
    size_t n = tuni_decode(p + i, &cp);
    uint8_t origin = tstr_origin_at(s, i);
    char esc[12] = "";
    if (cp == (unsigned char)quote || cp == '\\')
      snprintf(esc, sizeof esc, "\\%c", (char)cp);
    else if (cp == '\n' || cp == '\r' || cp == '\t')
      snprintf(esc, sizeof esc, "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
    else if (cp < 0x20 || (cp >= 0x7f && tuni_is(UNI_unprintable, cp)))
      snprintf(esc, sizeof esc, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)cp);
    if (esc[0])
      tsb_lit(sb, esc, origin);
    else
      tsb_sub(sb, s, i, i + n);
    i += n;
  }
  return tsb_add(sb, &quote, 1, NULL, edge);
}

static bool write_list(TRt *rt, TSb *sb, TVal v, const char *open, const char *close) {
  tsb_lit(sb, open, v.origin);
  for (size_t i = 0; i < v.l->n && !rt->failed; i++) {
    if (i) tsb_lit(sb, ", ", v.origin);
    tval_write_repr(rt, sb, v.l->at[i]);
  }
  if (v.type == T_TUPLE && v.l->n == 1) tsb_lit(sb, ",", v.origin);
  return tsb_lit(sb, close, v.origin);
}

static bool write_dict(TRt *rt, TSb *sb, TVal v) {
  tsb_lit(sb, "{", v.origin);
  for (size_t i = 0; i < v.d->n && !rt->failed; i++) {
    if (i) tsb_lit(sb, ", ", v.origin);
    tval_write_repr(rt, sb, v.d->at[i].key);
    tsb_lit(sb, ": ", v.origin);
    tval_write_repr(rt, sb, v.d->at[i].value);
  }
  return tsb_lit(sb, "}", v.origin);
}

static bool write_view(TRt *rt, TSb *sb, TVal v) {
  tsb_lit(sb, tval_type_name(v), v.origin);
  return write_list(rt, sb, v, "([", "])");
}

static bool write_range(TSb *sb, TVal v) {
  char text[96];
  long long stop = v.r->stop;
  if (v.r->step == 1)
    snprintf(text, sizeof text, "range(%lld, %lld)", (long long)v.r->start, stop);
  else
    snprintf(text, sizeof text, "range(%lld, %lld, %lld)", (long long)v.r->start, stop, (long long)v.r->step);
  return tsb_lit(sb, text, v.origin);
}

// Values without a text of their own; Python shows an address for most of them.
static bool write_object(TRt *rt, TSb *sb, TVal v) {
  char text[160];
  if (v.type == T_MACRO && v.m->node->name)
    snprintf(text, sizeof text, "<Macro '%.100s'>", v.m->node->name->p);
  else if (v.type == T_LOOP)
    snprintf(text, sizeof text, "<LoopContext %lld/%lld>", (long long)v.loop->index0 + 1,
             (long long)tval_len(rt, v));
  else if (v.type == T_MACRO)
    snprintf(text, sizeof text, "<Macro anonymous>");
  else
    snprintf(text, sizeof text, "<%s object>", tval_type_name(v));
  return tsb_lit(sb, text, T_TEMPLATE);
}

bool tval_write_repr(TRt *rt, TSb *sb, TVal v) {
  if (!trt_enter(rt)) return false;
  trt_step(rt, 1);
  char text[40];
  switch ((TType)v.type) {
  case T_MISSING:
  case T_UNDEF: tsb_lit(sb, "Undefined", T_TEMPLATE); break;
  case T_NONE: tsb_lit(sb, "None", v.origin); break;
  case T_BOOL: tsb_lit(sb, v.b ? "True" : "False", v.origin); break;
  case T_INT:
    snprintf(text, sizeof text, "%lld", (long long)v.i);
    tsb_lit(sb, text, v.origin);
    break;
  case T_FLOAT: tsb_add(sb, text, tval_float_repr(v.f, text), NULL, v.origin); break;
  case T_STR: write_quoted(rt, sb, v.s); break;
  case T_LIST: write_list(rt, sb, v, "[", "]"); break;
  case T_TUPLE: write_list(rt, sb, v, "(", ")"); break;
  case T_DICT: write_dict(rt, sb, v); break;
  case T_VIEW: write_view(rt, sb, v); break;
  case T_RANGE: write_range(sb, v); break;
  case T_NS:
    tsb_lit(sb, "<Namespace ", T_TEMPLATE);
    write_dict(rt, sb, v);
    tsb_lit(sb, ">", T_TEMPLATE);
    break;
  default: write_object(rt, sb, v); break;
  }
  trt_leave(rt);
  return !rt->failed;
}

bool tval_write(TRt *rt, TSb *sb, TVal v) {
  if (v.type == T_STR) return tsb_str(sb, v.s);
  if (v.type == T_UNDEF || v.type == T_MISSING) return !rt->failed;
  return tval_write_repr(rt, sb, v);
}

TStr *tval_to_str(TRt *rt, TVal v) {
  if (v.type == T_STR) return v.s;
  TSb sb = tsb_new(rt);
  tval_write(rt, &sb, v);
  return tsb_done(&sb);
}
