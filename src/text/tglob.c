// tglob: the functions a template can call by name. See trt.h.
#include "text/trt.h"

#include <string.h>
#include <time.h>

enum { MAX_RANGE = 100000 }; // Jinja's sandbox allows no more

static TVal fn_range(TRt *rt, const TArgs *args) {
  TVal v[3];
  if (!targs_bind(rt, "range()", args, "start,stop?,step?", v)) return tval_none();
  int64_t start = 0, stop = targs_int(rt, v[0], 0, "range()'s start"),
          step = targs_int(rt, v[2], 1, "range()'s step");
  if (v[1].type != T_MISSING) {
    start = stop;
    stop = targs_int(rt, v[1], 0, "range()'s end");
  }
  if (rt->failed) return tval_none();
  if (step == 0) return trt_fail(rt, ZAYA_E_INVALID, "range() with step 0");
  int64_t span, n = 0;
  bool over =
      step > 0 ? __builtin_sub_overflow(stop, start, &span) : __builtin_sub_overflow(start, stop, &span);
  if (!over && step == INT64_MIN) step = -INT64_MAX;
  if (!over && span > 0) n = (span - 1) / (step > 0 ? step : -step) + 1;
  if (over || n > MAX_RANGE) return trt_fail(rt, ZAYA_E_LIMIT, "range() of more than %d numbers", MAX_RANGE);
  TRange *r = trt_alloc(rt, 1, sizeof *r);
  if (!r) return tval_none();
  *r = (TRange){start, stop, step, n};
  return (TVal){.type = T_RANGE, .r = r};
}

// Adds what dict() and namespace() take: a dict, or pairs, and keywords.
static bool fill_dict(TRt *rt, TDict *d, const TArgs *args, const char *what) {
  if (args->n > 1) {
    trt_type_error(rt, "%s takes at most one positional argument", what);
    return false;
  }
  if (args->n && args->pos[0].type == T_DICT) {
    const TDict *from = args->pos[0].d;
    for (size_t i = 0; i < from->n && !rt->failed; i++) tdict_set(rt, d, from->at[i].key, from->at[i].value);
  } else if (args->n) {
    TIter *it = titer_of(rt, args->pos[0]);
    TVal pair;
    while (it && titer_next(rt, it, &pair)) {
      TVal two = titer_list(rt, pair);
      if (rt->failed) return false;
      if (two.l->n != 2) {
        trt_fail(rt, ZAYA_E_INVALID, "%s needs pairs", what);
        return false;
      }
      tdict_set(rt, d, two.l->at[0], two.l->at[1]);
    }
  }
  for (size_t i = 0; i < args->n_kw && !rt->failed; i++)
    tdict_set(rt, d, tval_str(args->kw[i].name), args->kw[i].value);
  return !rt->failed;
}

static TVal fn_dict(TRt *rt, const TArgs *args) {
  TVal d = tval_dict(rt);
  if (!rt->failed) fill_dict(rt, d.d, args, "dict()");
  return d;
}

static TVal fn_namespace(TRt *rt, const TArgs *args) {
  TVal d = tval_dict(rt);
  if (rt->failed || !fill_dict(rt, d.d, args, "namespace()")) return tval_none();
  d.type = T_NS;
  return d;
}

static TVal fn_raise(TRt *rt, const TArgs *args) {
  TVal v[1];
  if (!targs_bind(rt, "raise_exception()", args, "message", v)) return tval_none();
  TStr *s = tval_to_str(rt, v[0]);
  const char *text = tstr_flat(rt, s);
  return trt_fail(rt, ZAYA_E_INVALID, "the template refuses: %.*s", s && s->len < 500 ? (int)s->len : 500,
                  text);
}

static TVal fn_strftime(TRt *rt, const TArgs *args) {
  TVal v[1];
  if (!targs_bind(rt, "strftime_now()", args, "format", v)) return tval_none();
  TStr *format = targs_str(rt, v[0], "strftime_now()'s format");
  char pattern[256], text[512];
  if (!format || !format->len) return tval_str(format);
  if (format->len + 2 > sizeof pattern || memchr(format->p, '\0', format->len))
    return trt_fail(rt, ZAYA_E_INVALID, "strftime_now() with a format longer than %zu bytes",
                    sizeof pattern - 2);
  // A space in front tells an empty result from one that does not fit.
  snprintf(pattern, sizeof pattern, " %.*s", (int)format->len, format->p);
  time_t now = (time_t)rt->now;
  struct tm tm;
  if (!localtime_r(&now, &tm))
    return trt_fail(rt, ZAYA_E_INVALID, "strftime_now(): the time cannot be shown");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // the format is the template's, by design
  size_t n = strftime(text, sizeof text, pattern, &tm);
#pragma GCC diagnostic pop
  if (!n) return trt_fail(rt, ZAYA_E_LIMIT, "strftime_now(): a result longer than %zu bytes", sizeof text);
  return tval_str(tstr_new(rt, text + 1, n - 1, format->origin == T_TEMPLATE ? T_TEMPLATE : T_VALUE));
}

static TVal fn_cycler(TRt *rt, const TArgs *args) {
  if (!args->n || args->n_kw) return trt_type_error(rt, "cycler() needs at least one item");
  TVal items = tval_list(rt, T_LIST, args->n);
  for (size_t i = 0; i < args->n; i++) tval_push(rt, items, args->pos[i]);
  TCycler *c = trt_alloc(rt, 1, sizeof *c);
  if (!c) return tval_none();
  c->items = items.l;
  return (TVal){.type = T_CYCLER, .cyc = c};
}

static TVal fn_joiner(TRt *rt, const TArgs *args) {
  TVal v[1];
  TCycler *c = targs_bind(rt, "joiner()", args, "sep?", v) ? trt_alloc(rt, 1, sizeof *c) : NULL;
  if (!c) return tval_none();
  c->sep = v[0].type == T_MISSING ? tval_str(tstr_lit(rt, ", ")) : v[0];
  return (TVal){.type = T_JOINER, .cyc = c};
}

static const TGlobal globals[] = {
    {"range", fn_range},           {"dict", fn_dict},
    {"namespace", fn_namespace},   {"raise_exception", fn_raise},
    {"strftime_now", fn_strftime}, {"cycler", fn_cycler},
    {"joiner", fn_joiner},
};

const TGlobal *trt_find_global(const TStr *name) {
  for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
    if (strlen(globals[i].name) == name->len && !memcmp(globals[i].name, name->p, name->len))
      return &globals[i];
  return NULL;
}
