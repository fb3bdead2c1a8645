// tops: the arithmetic of expressions as Python does it, with integers of 64 bits: what does not fit
// is an error. See trt.h.
#include "text/trt.h"

#include <math.h>

static const char *const spelling[] = {
    "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

static TVal overflow(TRt *rt) { return trt_fail(rt, ZAYA_E_LIMIT, "an integer beyond 64 bits"); }
static TVal zero_division(TRt *rt) { return trt_fail(rt, ZAYA_E_INVALID, "division by zero"); }

static int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = a / b;
  return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

static TVal int_pow(TRt *rt, int64_t base, int64_t exp) {
  if (exp < 0) {
    if (base == 0) return zero_division(rt);
    return tval_float(pow((double)base, (double)exp));
  }
  int64_t r = 1;
  if (base == 0 || base == 1) return tval_int(exp == 0 ? 1 : base);
  if (base == -1) return tval_int(exp % 2 ? -1 : 1);
  for (; exp > 0; exp--)
    if (__builtin_mul_overflow(r, base, &r)) return overflow(rt);
  return tval_int(r);
}

static TVal int_op(TRt *rt, TOp op, int64_t a, int64_t b) {
  int64_t r = 0;
  bool bad = false;
  switch (op) {
  case OP_ADD: bad = __builtin_add_overflow(a, b, &r); break;
  case OP_SUB: bad = __builtin_sub_overflow(a, b, &r); break;
  case OP_MUL: bad = __builtin_mul_overflow(a, b, &r); break;
  case OP_DIV: return b ? tval_float((double)a / (double)b) : zero_division(rt);
  case OP_FLOORDIV:
    if (!b) return zero_division(rt);
    bad = a == INT64_MIN && b == -1;
    if (!bad) r = floor_div(a, b);
    break;
  case OP_MOD:
    if (!b) return zero_division(rt);
    r = b == -1 ? 0 : a - b * floor_div(a, b);
    break;
  case OP_POW: return int_pow(rt, a, b);
  default: break;
  }
  return bad ? overflow(rt) : tval_int(r);
}

static double float_mod(double a, double b) {
  double m = fmod(a, b);
  if (m == 0) return copysign(0.0, b);
  return (m < 0) != (b < 0) ? m + b : m;
}

static TVal float_op(TRt *rt, TOp op, double a, double b) {
  switch (op) {
  case OP_ADD: return tval_float(a + b);
  case OP_SUB: return tval_float(a - b);
  case OP_MUL: return tval_float(a * b);
  case OP_DIV: return b != 0 ? tval_float(a / b) : zero_division(rt);
  case OP_FLOORDIV: return b != 0 ? tval_float(floor((a - float_mod(a, b)) / b + 0.5)) : zero_division(rt);
  case OP_MOD: return b != 0 ? tval_float(float_mod(a, b)) : zero_division(rt);
  case OP_POW: break;
  default: break;
  }
  if (a == 0 && b < 0) return zero_division(rt);
  double r = pow(a, b);
  if (isnan(r) && !isnan(a) && !isnan(b)) return trt_fail(rt, ZAYA_E_UNSUPPORTED, "complex numbers");
  if (isinf(r) && !isinf(a) && !isinf(b)) return trt_fail(rt, ZAYA_E_LIMIT, "a number that is too large");
  return tval_float(r);
}

static TVal repeat(TRt *rt, TVal seq, int64_t times) {
  if (times < 0) times = 0;
  if (seq.type == T_STR) {
    TSb sb = tsb_new(rt);
    size_t total;
    if (__builtin_mul_overflow(seq.s->len, (size_t)times, &total) || total > rt->lim.max_output)
      return trt_fail(rt, ZAYA_E_LIMIT, "a text longer than %zu bytes", rt->lim.max_output);
    for (int64_t i = 0; i < times && seq.s->len && trt_step(rt, 1); i++) tsb_str(&sb, seq.s);
    return tval_str(tsb_done(&sb));
  }
  TVal list = tval_list(rt, (TType)seq.type, 0);
  list.origin = seq.origin;
  for (int64_t i = 0; seq.l->n && i < times && !rt->failed; i++)
    for (size_t k = 0; k < seq.l->n && tval_push(rt, list, seq.l->at[k]); k++) {
    }
  return list;
}

static bool is_sequence(TVal v) { return v.type == T_STR || v.type == T_LIST || v.type == T_TUPLE; }

static TVal join_lists(TRt *rt, TVal a, TVal b) {
  TVal list = tval_list(rt, (TType)a.type, a.l->n + b.l->n);
  list.origin = a.origin | b.origin;
  for (size_t i = 0; i < a.l->n; i++) tval_push(rt, list, a.l->at[i]);
  for (size_t i = 0; i < b.l->n; i++) tval_push(rt, list, b.l->at[i]);
  return list;
}

TVal tops_binary(TRt *rt, TOp op, TVal a, TVal b) {
  if (a.type == T_UNDEF && !(op == OP_MOD && b.type == T_STR)) return tval_use_undef(rt, a);
  if (op == OP_MOD && a.type == T_STR) return tfmt_percent(rt, a.s, b);
  if (b.type == T_UNDEF) return tval_use_undef(rt, b);
  uint8_t origin = a.origin | b.origin;
  if (tval_is_number(a) && tval_is_number(b)) {
    int64_t x, y;
    TVal r = tval_as_index(a, &x) && tval_as_index(b, &y)
                 ? int_op(rt, op, x, y)
                 : float_op(rt, op, tval_as_double(a), tval_as_double(b));
    r.origin = origin;
    return r;
  }
  int64_t times;
  if (op == OP_ADD && a.type == b.type) {
    if (a.type == T_STR) return tval_str(tstr_concat(rt, a.s, b.s));
    if (a.type == T_LIST || a.type == T_TUPLE) return join_lists(rt, a, b);
  }
  if (op == OP_MUL && is_sequence(a) && tval_as_index(b, &times)) return repeat(rt, a, times);
  if (op == OP_MUL && is_sequence(b) && tval_as_index(a, &times)) return repeat(rt, b, times);
  return trt_type_error(rt, "'%s' does not work on a '%s' and a '%s'", spelling[op], tval_type_name(a),
                        tval_type_name(b));
}

TVal tops_negate(TRt *rt, TVal a, bool negative) {
  if (a.type == T_UNDEF) return tval_use_undef(rt, a);
  int64_t i;
  TVal r;
  if (a.type == T_FLOAT)
    r = tval_float(negative ? -a.f : a.f);
  else if (!tval_as_index(a, &i))
    return trt_type_error(rt, "'%s' does not work on a '%s'", negative ? "-" : "+", tval_type_name(a));
  else if (negative && i == INT64_MIN)
    return overflow(rt);
  else
    r = tval_int(negative ? -i : i);
  r.origin = a.origin;
  return r;
}

bool tops_compare(TRt *rt, TOp op, TVal a, TVal b) {
  int c;
  switch (op) {
  case OP_EQ: return tval_equal(rt, a, b);
  case OP_NE: return !tval_equal(rt, a, b);
  case OP_IN: return tval_contains(rt, b, a);
  case OP_NOTIN: return !tval_contains(rt, b, a);
  default: break;
  }
  c = tval_compare(rt, a, b, spelling[op]);
  if (c == 2) return false; // nan
  return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}
