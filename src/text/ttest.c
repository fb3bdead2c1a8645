// ttest: the tests behind `is`. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <string.h>

#define TEST(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

static bool no_args(TRt *rt, const TArgs *args) {
  if (!args->n && !args->n_kw) return true;
  trt_type_error(rt, "this test takes no argument");
  return false;
}

#define SIMPLE(name, condition)                                                                              \
  TEST(name) {                                                                                               \
    (void)v;                                                                                                 \
    return no_args(rt, args) ? tval_bool(condition) : tval_none();                                           \
  }

SIMPLE(is_defined, v.type != T_UNDEF)
SIMPLE(is_undefined, v.type == T_UNDEF)
SIMPLE(is_none, v.type == T_NONE)
SIMPLE(is_boolean, v.type == T_BOOL)
SIMPLE(is_true, v.type == T_BOOL && v.b)
SIMPLE(is_false, v.type == T_BOOL && !v.b)
SIMPLE(is_integer, v.type == T_INT)
SIMPLE(is_float, v.type == T_FLOAT)
SIMPLE(is_number, tval_is_number(v))
SIMPLE(is_string, v.type == T_STR)
SIMPLE(is_mapping, v.type == T_DICT)
SIMPLE(is_iterable, titer_can(v))
SIMPLE(is_callable, v.type == T_METHOD || v.type == T_GLOBAL || v.type == T_MACRO || v.type == T_LOOP ||
                        v.type == T_JOINER || v.type == T_UNDEF)
SIMPLE(is_sequence, v.type == T_STR || v.type == T_LIST || v.type == T_TUPLE || v.type == T_DICT ||
                        v.type == T_RANGE || v.type == T_UNDEF)
SIMPLE(is_escaped, false)

static TVal parity(TRt *rt, TVal v, int64_t wanted) {
  TVal r = tops_binary(rt, OP_MOD, v, tval_int(2));
  return tval_bool(tval_equal(rt, r, tval_int(wanted)));
}

TEST(is_odd) { return no_args(rt, args) ? parity(rt, v, 1) : tval_none(); }
TEST(is_even) { return no_args(rt, args) ? parity(rt, v, 0) : tval_none(); }

TEST(is_divisibleby) {
  TVal a[1];
  if (!targs_bind(rt, "divisibleby", args, "num", a)) return tval_none();
  TVal r = tops_binary(rt, OP_MOD, v, a[0]);
  return tval_bool(tval_equal(rt, r, tval_int(0)));
}

static TVal compare(TRt *rt, TVal v, const TArgs *args, TOp op) {
  TVal a[1];
  if (!targs_bind(rt, "a comparing test", args, "other", a)) return tval_none();
  return tval_bool(tops_compare(rt, op, v, a[0]));
}

TEST(is_eq) { return compare(rt, v, args, OP_EQ); }
TEST(is_ne) { return compare(rt, v, args, OP_NE); }
TEST(is_lt) { return compare(rt, v, args, OP_LT); }
TEST(is_le) { return compare(rt, v, args, OP_LE); }
TEST(is_gt) { return compare(rt, v, args, OP_GT); }
TEST(is_ge) { return compare(rt, v, args, OP_GE); }
TEST(is_in) { return compare(rt, v, args, OP_IN); }

TEST(is_sameas) {
  TVal a[1];
  if (!targs_bind(rt, "sameas", args, "other", a)) return tval_none();
  if (v.type != a[0].type) return tval_bool(false);
  bool by_value = v.type == T_NONE || tval_is_number(v) || v.type == T_STR; // Python shares most of these
  return tval_bool(by_value ? tval_equal(rt, v, a[0]) : v.l == a[0].l);
}

// str.islower() and str.isupper(): cased characters, all of one case.
static TVal all_case(TRt *rt, TVal v, UniClass wanted, UniClass other) {
  TStr *s = tval_to_str(rt, v);
  const char *p = tstr_flat(rt, s);
  bool any = false;
  for (size_t i = 0; s && i < s->len;) {
    uint32_t cp;
    i += tuni_decode(p + i, &cp);
    if (tuni_is(other, cp) || tuni_is(UNI_titlecase, cp)) return tval_bool(false);
    any = any || tuni_is(wanted, cp);
  }
  return tval_bool(any);
}

TEST(is_lower) { return no_args(rt, args) ? all_case(rt, v, UNI_lowercase, UNI_uppercase) : tval_none(); }
TEST(is_upper) { return no_args(rt, args) ? all_case(rt, v, UNI_uppercase, UNI_lowercase) : tval_none(); }

TEST(is_filter) {
  if (!no_args(rt, args) || v.type != T_STR) return tval_bool(false);
  tstr_flat(rt, v.s);
  return tval_bool(trt_find_filter(v.s) != NULL);
}

TEST(is_test) {
  if (!no_args(rt, args) || v.type != T_STR) return tval_bool(false);
  tstr_flat(rt, v.s);
  return tval_bool(trt_find_test(v.s) != NULL);
}

static const TTest tests[] = {
    {"defined", is_defined},
    {"undefined", is_undefined},
    {"none", is_none},
    {"boolean", is_boolean},
    {"true", is_true},
    {"false", is_false},
    {"integer", is_integer},
    {"float", is_float},
    {"number", is_number},
    {"string", is_string},
    {"mapping", is_mapping},
    {"iterable", is_iterable},
    {"callable", is_callable},
    {"sequence", is_sequence},
    {"escaped", is_escaped},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisibleby},
    {"==", is_eq},
    {"eq", is_eq},
    {"equalto", is_eq},
    {"!=", is_ne},
    {"ne", is_ne},
    {"<", is_lt},
    {"lt", is_lt},
    {"lessthan", is_lt},
    {"<=", is_le},
    {"le", is_le},
    {">", is_gt},
    {"gt", is_gt},
    {"greaterthan", is_gt},
    {">=", is_ge},
    {"ge", is_ge},
    {"in", is_in},
    {"sameas", is_sameas},
    {"lower", is_lower},
    {"upper", is_upper},
    {"filter", is_filter},
    {"test", is_test},
};

const TTest *trt_find_test(const TStr *name) {
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    if (strlen(tests[i].name) == name->len && !memcmp(tests[i].name, name->p, name->len)) return &tests[i];
  return NULL;
}

TVal trt_test_by_name(TRt *rt, TVal name, TVal self, const TArgs *args) {
  TStr *s = targs_str(rt, name, "the name of a test");
  const TTest *t = s ? trt_find_test(s) : NULL;
  if (s && !t)
    return trt_fail(rt, ZAYA_E_UNSUPPORTED, "there is no test '%.*s'", s->len < 60 ? (int)s->len : 60, s->p);
  return t ? t->fn(rt, self, args) : tval_none();
}
