// targs: arguments of filters, tests, methods and functions, sorted by a written signature. See trt.h.
#include "text/trt.h"

#include <string.h>

typedef struct Param {
  const char *name;
  size_t len;
  bool optional, keyword_only;
} Param;

enum { MAX_PARAMS = 8 };

static size_t read_spec(const char *spec, Param *out) {
  size_t n = 0;
  bool keyword_only = false;
  while (*spec && n < MAX_PARAMS) {
    if (*spec == '*') {
      keyword_only = true;
      spec++;
    }
    size_t len = strcspn(spec, ",?");
    out[n] = (Param){spec, len, spec[len] == '?', keyword_only};
    spec += len + (spec[len] == '?');
    spec += *spec == ',';
    n++;
  }
  return n;
}

static bool take_positional(TRt *rt, const char *what, const TArgs *args, const Param *p, size_t n,
                            TVal *out) {
  for (size_t i = 0; i < args->n; i++) {
    if (i >= n || p[i].keyword_only) {
      trt_type_error(rt, "%s takes at most %zu argument(s), not %zu", what, i, args->n);
      return false;
    }
    out[i] = args->pos[i];
  }
  return true;
}

bool targs_bind(TRt *rt, const char *what, const TArgs *args, const char *spec, TVal *out) {
  Param p[MAX_PARAMS];
  size_t n = read_spec(spec, p);
  for (size_t i = 0; i < n; i++) out[i] = (TVal){.type = T_MISSING};
  if (!take_positional(rt, what, args, p, n, out)) return false;
  for (size_t k = 0; k < args->n_kw; k++) {
    const char *name = tstr_flat(rt, args->kw[k].name);
    size_t i = 0;
    while (i < n && !(p[i].len == args->kw[k].name->len && !memcmp(p[i].name, name, p[i].len))) i++;
    if (i == n || out[i].type != T_MISSING) {
      trt_type_error(rt, i == n ? "%s has no argument '%.*s'" : "%s has two values for '%.*s'", what,
                     TSTR_SHORT(rt, args->kw[k].name));
      return false;
    }
    out[i] = args->kw[k].value;
  }
  for (size_t i = 0; i < n; i++) {
    if (out[i].type != T_MISSING || p[i].optional) continue;
    trt_type_error(rt, "%s needs the argument '%.*s'", what, (int)p[i].len, p[i].name);
    return false;
  }
  return !rt->failed;
}

int64_t targs_int(TRt *rt, TVal v, int64_t fallback, const char *what) {
  int64_t i = fallback;
  if (v.type == T_UNDEF)
    tval_use_undef(rt, v);
  else if (v.type != T_MISSING && !tval_as_index(v, &i))
    trt_type_error(rt, "%s must be an integer, not a '%s'", what, tval_type_name(v));
  return i;
}

TStr *targs_str(TRt *rt, TVal v, const char *what) {
  if (v.type == T_STR) {
    tstr_flat(rt, v.s);
    return rt->failed ? NULL : v.s;
  }
  if (v.type == T_UNDEF)
    tval_use_undef(rt, v);
  else
    trt_type_error(rt, "%s must be a string, not a '%s'", what, tval_type_name(v));
  return NULL;
}

TArgs targs_rest(const TArgs *args, size_t skip) {
  TArgs rest = *args;
  rest.pos = args->pos + (skip < args->n ? skip : args->n);
  rest.n = args->n - (skip < args->n ? skip : args->n);
  return rest;
}
