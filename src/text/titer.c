// titer: walking values: sequences, dicts, strings by code point, ranges and generators; slices. See
// trt.h.
#include "text/trt.h"
#include "text/tuni.h"

static bool next_list(TRt *rt, TIter *it, TVal *out) {
  (void)rt;
  if (it->i >= it->source.l->n) return false;
  *out = it->source.l->at[it->i++];
  return true;
}

static bool next_dict(TRt *rt, TIter *it, TVal *out) {
  (void)rt;
  if (it->i >= it->source.d->n) return false;
  *out = it->source.d->at[it->i++].key;
  return true;
}

static bool next_str(TRt *rt, TIter *it, TVal *out) { // i: byte offset
  TStr *s = it->source.s;
  const char *p = tstr_flat(rt, s);
  if (it->i >= s->len) return false;
  size_t end = it->i + tuni_seq_len((unsigned char)p[it->i]);
  *out = tval_str(tstr_sub(rt, s, it->i, end));
  it->i = end;
  return !rt->failed;
}

TVal tval_range_at(const TRange *r, int64_t i) { return tval_int(r->start + i * r->step); }

static bool next_range(TRt *rt, TIter *it, TVal *out) {
  (void)rt;
  if ((int64_t)it->i >= it->source.r->n) return false;
  *out = tval_range_at(it->source.r, (int64_t)it->i++);
  return true;
}

static bool next_nothing(TRt *rt, TIter *it, TVal *out) {
  (void)rt, (void)it, (void)out;
  return false;
}

static bool next_loop(TRt *rt, TIter *it, TVal *out) { // `loop` itself gives (item, loop)
  TLoop *loop = it->source.loop;
  if (!texec_loop_next(rt, loop)) return false;
  *out = tval_list(rt, T_TUPLE, 2);
  return tval_push(rt, *out, loop->current) && tval_push(rt, *out, it->source);
}

bool titer_can(TVal v) {
  switch ((TType)v.type) {
  case T_UNDEF:
  case T_STR:
  case T_LIST:
  case T_TUPLE:
  case T_VIEW:
  case T_DICT:
  case T_RANGE:
  case T_LOOP:
  case T_ITER: return true;
  default: return false;
  }
}

TIter *titer_of(TRt *rt, TVal v) {
  if (v.type == T_ITER) return v.it;
  TIter *it = trt_alloc(rt, 1, sizeof *it);
  if (!it) return NULL;
  it->source = v;
  switch ((TType)v.type) {
  case T_LIST:
  case T_TUPLE:
  case T_VIEW: it->next = next_list; return it;
  case T_DICT: it->next = next_dict; return it;
  case T_STR: it->next = next_str; return it;
  case T_RANGE: it->next = next_range; return it;
  case T_UNDEF: it->next = next_nothing; return it;
  case T_LOOP: it->next = next_loop; return it;
  default: trt_type_error(rt, "a '%s' cannot be iterated over", tval_type_name(v)); return NULL;
  }
}

bool titer_next(TRt *rt, TIter *it, TVal *out) {
  return trt_step(rt, 1) && it->next(rt, it, out) && !rt->failed;
}

TVal titer_generator(TRt *rt, TVal source, bool (*next)(TRt *, TIter *, TVal *), const TArgs *args) {
  TIter *it = trt_alloc(rt, 1, sizeof *it);
  if (!it) return tval_none();
  *it = (TIter){.next = next, .source = source, .type_name = "generator"};
  if (args) { // they may live on the caller's stack
    it->args = *args;
    it->args.pos = trt_alloc(rt, args->n, sizeof *args->pos);
    it->args.kw = trt_alloc(rt, args->n_kw, sizeof *args->kw);
    for (size_t i = 0; it->args.pos && i < args->n; i++) it->args.pos[i] = args->pos[i];
    for (size_t i = 0; it->args.kw && i < args->n_kw; i++) it->args.kw[i] = args->kw[i];
  }
  return (TVal){.type = T_ITER, .it = it, .origin = source.origin};
}

TVal titer_list(TRt *rt, TVal v) {
  TVal list = tval_list(rt, T_LIST,
                        tval_has_len(v) && v.type != T_LOOP && v.type != T_STR ? (size_t)tval_len(rt, v) : 0);
  list.origin = v.origin;
  TIter *it = titer_of(rt, v);
  TVal item;
  while (it && titer_next(rt, it, &item)) tval_push(rt, list, item);
  return list;
}

// Python's slice.indices(): brings start and stop into range and counts the elements.
static bool slice_bounds(TRt *rt, int64_t len, TVal *part, int64_t *start, int64_t *stop, int64_t *step,
                         int64_t *n) {
  int64_t v[3];
  bool given[3];
  for (int i = 0; i < 3; i++) {
    given[i] = part[i].type != T_NONE;
    v[i] = 0;
    if (given[i] && !tval_as_index(part[i], &v[i])) {
      trt_type_error(rt, "a slice needs integers, not a '%s'", tval_type_name(part[i]));
      return false;
    }
  }
  *step = given[2] ? v[2] : 1;
  if (*step == 0) {
    trt_fail(rt, ZAYA_E_INVALID, "a slice with step 0");
    return false;
  }
  if (*step == INT64_MIN) *step = -INT64_MAX;
  bool back = *step < 0;
  int64_t low = back ? -1 : 0, high = back ? len - 1 : len, bound[2] = {back ? high : low, back ? low : high};
  for (int i = 0; i < 2; i++) {
    if (!given[i]) continue;
    if (v[i] < 0) v[i] = v[i] + len < low ? low : v[i] + len;
    bound[i] = v[i] > high ? high : v[i];
  }
  int64_t span = back ? bound[0] - bound[1] : bound[1] - bound[0], stride = back ? -*step : *step;
  *n = span > 0 ? (span - 1) / stride + 1 : 0;
  *start = bound[0];
  *stop = bound[1];
  return true;
}

TVal tval_slice(TRt *rt, TVal v, TVal start, TVal stop, TVal step) {
  if (v.type == T_UNDEF) return tval_use_undef(rt, v);
  TVal parts[3] = {start, stop, step};
  if (v.type != T_STR && v.type != T_LIST && v.type != T_TUPLE && v.type != T_RANGE)
    return trt_type_error(rt, "a '%s' cannot be sliced", tval_type_name(v));
  int64_t first, last, by, n;
  if (!slice_bounds(rt, tval_len(rt, v), parts, &first, &last, &by, &n)) return tval_none();
  if (v.type == T_STR) return tval_str(tstr_slice(rt, v.s, first, by, n));
  if (v.type == T_RANGE) {
    TRange *r = trt_alloc(rt, 1, sizeof *r);
    if (!r) return tval_none();
    int64_t from = v.r->start, stride = v.r->step; // of an empty range the ends may lie anywhere
    *r = (TRange){.n = n};
    if (__builtin_mul_overflow(stride, by, &r->step) || __builtin_mul_overflow(stride, first, &r->start) ||
        __builtin_add_overflow(from, r->start, &r->start) || __builtin_mul_overflow(stride, last, &r->stop) ||
        __builtin_add_overflow(from, r->stop, &r->stop))
      return trt_fail(rt, ZAYA_E_LIMIT, "an integer beyond 64 bits");
    return (TVal){.type = T_RANGE, .r = r};
  }
  TVal list = tval_list(rt, (TType)v.type, (size_t)n);
  list.origin = v.origin;
  for (int64_t i = 0; i < n && tval_push(rt, list, v.l->at[first + i * by]); i++) {
  }
  return list;
}
