// tfilt_seq: filters on sequences and mappings. Those that are generators in Jinja are generators
// here: walked lazily, and once. See trt.h.
#include "text/trt.h"
#include "text/tuni.h"

#include <string.h>

#define FILTER(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

// --- attributes by path ------------------------------------------------------------------------

typedef struct Getter { // "a.b.0", an index, or nothing
  TVal path;            // list of keys
  TVal fallback;        // T_MISSING: none
  bool fold;            // strings in lower case
} Getter;

static bool all_digits(TStr *s) {
  for (size_t i = 0; i < s->len; i++)
    if (s->p[i] < '0' || s->p[i] > '9') return false;
  return s->len > 0 && s->len < 10;
}

static void add_part(TRt *rt, TVal path, TStr *s) {
  if (!s) return;
  tstr_flat(rt, s);
  if (!all_digits(s)) {
    tval_push(rt, path, tval_str(s));
    return;
  }
  int64_t index = 0;
  for (size_t i = 0; i < s->len; i++) index = index * 10 + (s->p[i] - '0');
  tval_push(rt, path, tval_int(index));
}

static Getter make_getter(TRt *rt, TVal attribute, bool fold) {
  Getter g = {.path = tval_list(rt, T_LIST, 1), .fallback = {.type = T_MISSING}, .fold = fold};
  if (attribute.type == T_MISSING || attribute.type == T_NONE || rt->failed) return g;
  if (attribute.type != T_STR) {
    tval_push(rt, g.path, attribute);
    return g;
  }
  TStr *s = attribute.s;
  const char *p = tstr_flat(rt, s);
  size_t begin = 0;
  for (size_t i = 0; i <= s->len && !rt->failed; i++) {
    if (i < s->len && p[i] != '.') continue;
    add_part(rt, g.path, tstr_sub(rt, s, begin, i));
    begin = i + 1;
  }
  return g;
}

static TVal fold_case(TRt *rt, TVal v) {
  static const TArgs none = {0};
  if (v.type != T_STR) return v;
  return trt_filter_by_name(rt, tval_str(tstr_lit(rt, "lower")), v, &none);
}

static TVal get(TRt *rt, const Getter *g, TVal item) {
  for (size_t i = 0; g->path.type == T_LIST && i < g->path.l->n && !rt->failed; i++) {
    item = teval_item(rt, item, g->path.l->at[i]);
    if (g->fallback.type != T_MISSING && g->fallback.type != T_NONE && item.type == T_UNDEF)
      item = g->fallback;
  }
  return g->fold ? fold_case(rt, item) : item;
}

// --- sorting -----------------------------------------------------------------------------------

typedef struct Keyed {
  TVal key, value;
} Keyed;

static void merge_sort(TRt *rt, Keyed *a, Keyed *tmp, size_t n, bool reverse) {
  if (n < 2 || rt->failed) return;
  size_t half = n / 2, i = 0, j = half, k = 0;
  merge_sort(rt, a, tmp, half, reverse);
  merge_sort(rt, a + half, tmp, n - half, reverse);
  while (i < half && j < n && trt_step(rt, 1)) {
    int c = reverse ? tval_compare(rt, a[i].key, a[j].key, "<") : tval_compare(rt, a[j].key, a[i].key, "<");
    tmp[k++] = c == -1 ? a[j++] : a[i++]; // stable
  }
  while (i < half) tmp[k++] = a[i++];
  memcpy(a, tmp, k * sizeof *a);
}

// Sorts by one key (n_getters 0: by *g), or by a list of n_getters keys, as Jinja's sort does.
static Keyed *sorted(TRt *rt, TVal list, const Getter *g, size_t n_getters, bool reverse) {
  size_t n = rt->failed ? 0 : list.l->n;
  Keyed *a = trt_alloc(rt, n, sizeof *a), *tmp = trt_alloc(rt, n, sizeof *tmp);
  for (size_t i = 0; a && tmp && i < n && !rt->failed; i++) {
    TVal key;
    if (n_getters == 0) {
      key = get(rt, g, list.l->at[i]);
    } else {
      key = tval_list(rt, T_LIST, n_getters);
      for (size_t k = 0; k < n_getters; k++) tval_push(rt, key, get(rt, &g[k], list.l->at[i]));
    }
    a[i] = (Keyed){key, list.l->at[i]};
  }
  if (a && tmp) merge_sort(rt, a, tmp, n, reverse);
  return rt->failed ? NULL : a;
}

static TVal values_of(TRt *rt, const Keyed *a, size_t n, uint8_t origin) {
  TVal list = tval_list(rt, T_LIST, n);
  list.origin = origin;
  for (size_t i = 0; a && i < n; i++) tval_push(rt, list, a[i].value);
  return list;
}

static bool flag(TRt *rt, TVal v) { return v.type != T_MISSING && tval_truth(rt, v); }

FILTER(f_sort) {
  TVal a[3];
  if (!targs_bind(rt, "sort", args, "reverse?,case_sensitive?,attribute?", a)) return tval_none();
  enum { MAX_KEYS = 8 };
  Getter g[MAX_KEYS];
  size_t n = 0;
  bool fold = !flag(rt, a[1]);
  if (a[2].type == T_STR) { // "a,b": by a, then by b
    TStr *s = a[2].s;
    const char *p = tstr_flat(rt, s);
    size_t begin = 0;
    for (size_t i = 0; i <= s->len && !rt->failed; i++) {
      if (i < s->len && p[i] != ',') continue;
      if (n == MAX_KEYS) return trt_fail(rt, ZAYA_E_LIMIT, "sort by more than %d attributes", MAX_KEYS);
      g[n++] = make_getter(rt, tval_str(tstr_sub(rt, s, begin, i)), fold);
      begin = i + 1;
    }
  } else {
    g[n++] = make_getter(rt, a[2], fold);
  }
  TVal list = titer_list(rt, v);
  return rt->failed ? list : values_of(rt, sorted(rt, list, g, n, flag(rt, a[0])), list.l->n, v.origin);
}

static TVal dict_items(TRt *rt, TVal d) {
  TVal list = tval_list(rt, T_LIST, d.d->n);
  list.origin = d.origin;
  for (size_t i = 0; i < d.d->n && !rt->failed; i++) {
    TVal pair = tval_list(rt, T_TUPLE, 2);
    pair.origin = d.origin;
    tval_push(rt, pair, d.d->at[i].key);
    tval_push(rt, pair, d.d->at[i].value);
    tval_push(rt, list, pair);
  }
  return list;
}

FILTER(f_dictsort) {
  TVal a[3];
  if (!targs_bind(rt, "dictsort", args, "case_sensitive?,by?,reverse?", a)) return tval_none();
  TStr *by = a[1].type == T_MISSING ? tstr_lit(rt, "key") : targs_str(rt, a[1], "dictsort's 'by'");
  bool by_value = tstr_is(rt, by, "value");
  if (!by_value && !tstr_is(rt, by, "key"))
    return trt_fail(rt, ZAYA_E_INVALID, "dictsort's 'by' must be \"key\" or \"value\"");
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  if (v.type != T_DICT) return trt_type_error(rt, "dictsort needs a dict, not a '%s'", tval_type_name(v));
  Getter g = make_getter(rt, tval_int(by_value), !flag(rt, a[0]));
  TVal items = dict_items(rt, v);
  return rt->failed ? items : values_of(rt, sorted(rt, items, &g, 0, flag(rt, a[2])), items.l->n, v.origin);
}

static bool next_item(TRt *rt, TIter *it, TVal *out) {
  if (!it->started) {
    it->started = true;
    if (it->source.type == T_UNDEF) return false;
    if (it->source.type != T_DICT) {
      trt_type_error(rt, "items needs a dict, not a '%s'", tval_type_name(it->source));
      return false;
    }
    it->inner = titer_of(rt, dict_items(rt, it->source));
  }
  return it->inner && titer_next(rt, it->inner, out);
}

FILTER(f_items) {
  TVal a[1];
  return targs_bind(rt, "items", args, "", a) ? titer_generator(rt, v, next_item, NULL) : tval_none();
}

FILTER(f_groupby) {
  TVal a[3];
  if (!targs_bind(rt, "groupby", args, "attribute,default?,case_sensitive?", a)) return tval_none();
  Getter g = make_getter(rt, a[0], !flag(rt, a[2])), plain = make_getter(rt, a[0], false);
  g.fallback = plain.fallback = a[1];
  TVal list = titer_list(rt, v), out = tval_list(rt, T_LIST, 0);
  if (rt->failed) return out;
  Keyed *k = sorted(rt, list, &g, 0, false);
  for (size_t i = 0; k && i < list.l->n && !rt->failed;) {
    TVal group = tval_list(rt, T_LIST, 0), pair = tval_list(rt, T_TUPLE, 2);
    size_t j = i;
    for (; j < list.l->n && tval_equal(rt, k[j].key, k[i].key) && trt_step(rt, 1); j++)
      tval_push(rt, group, k[j].value);
    tval_push(rt, pair, get(rt, &plain, k[i].value));
    tval_push(rt, pair, group);
    tval_push(rt, out, pair);
    if (j == i) break;
    i = j;
  }
  return out;
}

// --- generators --------------------------------------------------------------------------------

static bool start(TRt *rt, TIter *it) {
  if (it->started) return it->inner != NULL;
  it->started = true;
  if (tval_truth(rt, it->source)) it->inner = titer_of(rt, it->source); // none and friends give nothing
  return it->inner != NULL;
}

static bool next_mapped(TRt *rt, TIter *it, TVal *out) {
  bool first = !it->started;
  if (!start(rt, it)) return false;
  const TArgs *a = &it->args;
  if (first && !a->n && !(a->n_kw && tstr_is(rt, a->kw[0].name, "attribute")) &&
      !(a->n_kw > 1 && tstr_is(rt, a->kw[1].name, "attribute"))) {
    trt_type_error(rt, "map needs a filter or an attribute");
    return false;
  }
  TVal item;
  if (!titer_next(rt, it->inner, &item)) return false;
  if (a->n) {
    TArgs rest = targs_rest(a, 1);
    *out = trt_filter_by_name(rt, a->pos[0], item, &rest);
  } else {
    TVal named[2];
    if (!targs_bind(rt, "map", a, "*attribute,default?", named)) return false;
    Getter g = make_getter(rt, named[0], false);
    g.fallback = named[1];
    *out = get(rt, &g, item);
  }
  return !rt->failed;
}

FILTER(f_map) { return titer_generator(rt, v, next_mapped, args); }

// select, reject, selectattr, rejectattr; fn: non-NULL when an attribute comes first, flag: reject.
static bool next_selected(TRt *rt, TIter *it, TVal *out) {
  if (!start(rt, it)) return false;
  size_t off = it->fn ? 1 : 0;
  if (off && !it->args.n) {
    trt_type_error(rt, "the name of an attribute is missing");
    return false;
  }
  Getter g = make_getter(rt, off ? it->args.pos[0] : tval_none(), false);
  TArgs rest = targs_rest(&it->args, off + 1);
  while (titer_next(rt, it->inner, out)) {
    TVal item = off ? get(rt, &g, *out) : *out;
    if (it->args.n > off && !rt->failed) item = trt_test_by_name(rt, it->args.pos[off], item, &rest);
    if (rt->failed) return false;
    if (tval_truth(rt, item) != it->flag) return true;
  }
  return false;
}

static TVal selection(TRt *rt, TVal v, const TArgs *args, bool by_attribute, bool reject) {
  TVal g = titer_generator(rt, v, next_selected, args);
  if (g.type != T_ITER) return g;
  g.it->fn = by_attribute ? (const void *)g.it : NULL;
  g.it->flag = reject;
  return g;
}

FILTER(f_select) { return selection(rt, v, args, false, false); }
FILTER(f_reject) { return selection(rt, v, args, false, true); }
FILTER(f_selectattr) { return selection(rt, v, args, true, false); }
FILTER(f_rejectattr) { return selection(rt, v, args, true, true); }

// unique: what was seen lies in a dict, args.pos[0].
static bool next_unique(TRt *rt, TIter *it, TVal *out) {
  if (!it->inner) it->inner = titer_of(rt, it->source);
  Getter g = make_getter(rt, it->args.pos[1], !flag(rt, it->args.pos[2]));
  while (it->inner && titer_next(rt, it->inner, out)) {
    TVal key = get(rt, &g, *out);
    if (rt->failed || tdict_find(rt, it->args.pos[0].d, key)) continue;
    return tdict_set(rt, it->args.pos[0].d, key, tval_none());
  }
  return false;
}

FILTER(f_unique) {
  TVal a[2];
  if (!targs_bind(rt, "unique", args, "case_sensitive?,attribute?", a)) return tval_none();
  TVal pos[3] = {tval_dict(rt), a[1], a[0]};
  return rt->failed ? tval_none() : titer_generator(rt, v, next_unique, &(TArgs){.pos = pos, .n = 3});
}

static bool next_batch(TRt *rt, TIter *it, TVal *out) {
  if (!it->inner && !(it->inner = titer_of(rt, it->source))) return false;
  int64_t n = it->args.pos[0].i;
  *out = tval_list(rt, T_LIST, 0);
  TVal item, fill = it->args.pos[1];
  // As in Jinja: a batch ends when it holds n, so n < 1 never ends one.
  while (!rt->failed && (n < 1 || (int64_t)out->l->n < n) && titer_next(rt, it->inner, &item))
    tval_push(rt, *out, item);
  if (rt->failed || !out->l->n) return false;
  while (fill.type != T_MISSING && fill.type != T_NONE && (int64_t)out->l->n < n &&
         tval_push(rt, *out, fill)) {
  }
  return !rt->failed;
}

FILTER(f_batch) {
  TVal a[2];
  if (!targs_bind(rt, "batch", args, "linecount,fill_with?", a)) return tval_none();
  a[0] = tval_int(targs_int(rt, a[0], 0, "batch's count"));
  if (!rt->failed && a[0].i < 1) return trt_fail(rt, ZAYA_E_INVALID, "batch's count must be at least 1");
  return titer_generator(rt, v, next_batch, &(TArgs){.pos = a, .n = 2});
}

static bool next_column(TRt *rt, TIter *it, TVal *out) { // slice
  if (!it->started) {
    it->started = true;
    it->source = titer_list(rt, it->source);
  }
  int64_t columns = it->args.pos[0].i, i = (int64_t)it->i++;
  if (rt->failed || i >= columns) return false;
  int64_t n = (int64_t)it->source.l->n, per = n / columns, extra = n % columns;
  int64_t begin = i * per + (i < extra ? i : extra), end = begin + per + (i < extra);
  *out = tval_list(rt, T_LIST, (size_t)(end - begin));
  for (; begin < end; begin++) tval_push(rt, *out, it->source.l->at[begin]);
  TVal fill = it->args.pos[1];
  if (fill.type != T_MISSING && fill.type != T_NONE && i >= extra) tval_push(rt, *out, fill);
  return !rt->failed;
}

FILTER(f_slice) {
  TVal a[2];
  if (!targs_bind(rt, "slice", args, "slices,fill_with?", a)) return tval_none();
  a[0] = tval_int(targs_int(rt, a[0], 0, "slice's count"));
  if (!rt->failed && a[0].i < 1) return trt_fail(rt, ZAYA_E_INVALID, "slice's count must be at least 1");
  return titer_generator(rt, v, next_column, &(TArgs){.pos = a, .n = 2});
}

static bool next_reversed(TRt *rt, TIter *it, TVal *out) {
  (void)rt;
  if (it->i >= it->source.l->n) return false;
  *out = it->source.l->at[it->source.l->n - ++it->i];
  return true;
}

static TVal reversed(TRt *rt, TVal v) {
  TVal list = titer_list(rt, v);
  if (rt->failed) return list;
  TVal g = titer_generator(rt, list, next_reversed, NULL);
  if (g.type == T_ITER) g.it->type_name = v.type == T_LIST ? "list_reverseiterator" : "reversed";
  return g;
}

FILTER(f_reverse) {
  TVal a[1];
  if (!targs_bind(rt, "reverse", args, "", a)) return tval_none();
  if (v.type == T_STR) return tval_slice(rt, v, tval_none(), tval_none(), tval_int(-1));
  if (!titer_can(v))
    return trt_type_error(rt, "reverse needs something to iterate over, not a '%s'", tval_type_name(v));
  TVal r = reversed(rt, v);
  return (v.type == T_ITER || v.type == T_UNDEF) && !rt->failed ? titer_list(rt, r)
                                                                : r; // a plain list, as in Jinja
}

// --- whole sequences ---------------------------------------------------------------------------

FILTER(f_list) {
  TVal a[1];
  return targs_bind(rt, "list", args, "", a) ? titer_list(rt, v) : tval_none();
}

FILTER(f_first) {
  TVal a[1], item;
  if (!targs_bind(rt, "first", args, "", a)) return tval_none();
  TIter *it = titer_of(rt, v);
  if (it && titer_next(rt, it, &item)) return item;
  return rt->failed ? tval_none() : tval_undef_hint(rt, "no first item, the sequence is empty");
}

FILTER(f_last) {
  TVal a[1];
  if (!targs_bind(rt, "last", args, "", a)) return tval_none();
  if (v.type == T_UNDEF) return tval_undef_hint(rt, "no last item, the sequence is empty");
  if (v.type == T_ITER || !titer_can(v) || v.type == T_LOOP)
    return trt_type_error(rt, "a '%s' cannot be reversed", tval_type_name(v));
  if (tval_len(rt, v) == 0) return tval_undef_hint(rt, "no last item, the sequence is empty");
  if (v.type == T_DICT) return v.d->at[v.d->n - 1].key;
  if (v.type == T_VIEW) return v.l->at[v.l->n - 1];
  return teval_item(rt, v, tval_int(-1));
}

FILTER(f_join) {
  TVal a[2];
  if (!targs_bind(rt, "join", args, "d?,attribute?", a)) return tval_none();
  TStr *sep = a[0].type == T_MISSING ? tstr_lit(rt, "") : tval_to_str(rt, a[0]);
  Getter g = make_getter(rt, a[1], false);
  TIter *it = titer_of(rt, v);
  TSb sb = tsb_new(rt);
  TVal item;
  for (bool first = true; it && titer_next(rt, it, &item); first = false) {
    if (!first) tsb_str(&sb, sep);
    tval_write(rt, &sb, get(rt, &g, item));
  }
  return tval_str(tsb_done(&sb));
}

static TVal extreme(TRt *rt, TVal v, const TArgs *args, const char *what, int wanted) {
  TVal a[2], item, best = {.type = T_MISSING}, best_key = tval_none();
  if (!targs_bind(rt, what, args, "case_sensitive?,attribute?", a)) return tval_none();
  Getter g = make_getter(rt, a[1], !flag(rt, a[0]));
  TIter *it = titer_of(rt, v);
  while (it && titer_next(rt, it, &item)) {
    TVal key = get(rt, &g, item);
    if (best.type != T_MISSING &&
        (rt->failed || tval_compare(rt, key, best_key, wanted < 0 ? "<" : ">") != wanted))
      continue;
    best = item;
    best_key = key;
  }
  if (rt->failed) return tval_none();
  return best.type == T_MISSING ? tval_undef_hint(rt, "no aggregated item, the sequence is empty") : best;
}

FILTER(f_min) { return extreme(rt, v, args, "min", -1); }
FILTER(f_max) { return extreme(rt, v, args, "max", 1); }

FILTER(f_sum) {
  TVal a[2], item;
  if (!targs_bind(rt, "sum", args, "attribute?,start?", a)) return tval_none();
  Getter g = make_getter(rt, a[0], false);
  TVal total = a[1].type == T_MISSING ? tval_int(0) : a[1];
  if (total.type == T_STR) return trt_type_error(rt, "sum does not add strings: use join");
  TIter *it = titer_of(rt, v);
  while (it && titer_next(rt, it, &item)) total = tops_binary(rt, OP_ADD, total, get(rt, &g, item));
  return total;
}

const TFilter tfilt_seq_table[] = {
    {"sort", f_sort},
    {"dictsort", f_dictsort},
    {"items", f_items},
    {"groupby", f_groupby},
    {"map", f_map},
    {"select", f_select},
    {"reject", f_reject},
    {"selectattr", f_selectattr},
    {"rejectattr", f_rejectattr},
    {"unique", f_unique},
    {"batch", f_batch},
    {"slice", f_slice},
    {"reverse", f_reverse},
    {"list", f_list},
    {"first", f_first},
    {"last", f_last},
    {"join", f_join},
    {"min", f_min},
    {"max", f_max},
    {"sum", f_sum},
    {0},
};
