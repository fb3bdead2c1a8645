// tmeth: methods of dicts, lists and tuples, and the search over all methods. What would change an
// object is known by name and refused, as the immutable sandbox does. See trt.h; methods of strings
// are in tmeth_str.c.
#include "text/trt.h"

#include <string.h>

#define METHOD(name) static TVal name(TRt *rt, TVal v, const TArgs *args)

METHOD(d_get) {
  TVal a[2];
  if (!targs_bind(rt, "get()", args, "key,default?", a)) return tval_none();
  TPair *p = tdict_find(rt, v.d, a[0]);
  return p ? p->value : a[1].type == T_MISSING ? tval_none() : a[1];
}

static TVal view(TRt *rt, TVal v, const TArgs *args, char what) {
  TVal a[1];
  if (!targs_bind(rt, "a dict's view", args, "", a)) return tval_none();
  TVal list = tval_list(rt, T_VIEW, v.d->n);
  if (rt->failed) return list;
  list.l->view = (uint8_t)what;
  list.origin = v.origin;
  for (size_t i = 0; i < v.d->n && !rt->failed; i++) {
    TVal item = what == 'k' ? v.d->at[i].key : v.d->at[i].value;
    if (what == 'i') {
      item = tval_list(rt, T_TUPLE, 2);
      item.origin = v.origin;
      tval_push(rt, item, v.d->at[i].key);
      tval_push(rt, item, v.d->at[i].value);
    }
    tval_push(rt, list, item);
  }
  return list;
}

METHOD(d_keys) { return view(rt, v, args, 'k'); }
METHOD(d_values) { return view(rt, v, args, 'v'); }
METHOD(d_items) { return view(rt, v, args, 'i'); }

METHOD(d_copy) {
  TVal a[1], d = tval_dict(rt);
  if (!targs_bind(rt, "copy()", args, "", a)) return tval_none();
  d.origin = v.origin;
  for (size_t i = 0; i < v.d->n && !rt->failed; i++) tdict_set(rt, d.d, v.d->at[i].key, v.d->at[i].value);
  return d;
}

METHOD(l_count) {
  TVal a[1];
  int64_t n = 0;
  if (!targs_bind(rt, "count()", args, "value", a)) return tval_none();
  for (size_t i = 0; i < v.l->n && trt_step(rt, 1); i++) n += tval_equal(rt, v.l->at[i], a[0]);
  return tval_int(n);
}

METHOD(l_index) {
  TVal a[3];
  if (!targs_bind(rt, "index()", args, "value,start?,stop?", a)) return tval_none();
  int64_t len = (int64_t)v.l->n, from = targs_int(rt, a[1], 0, "index()'s start"),
          to = targs_int(rt, a[2], len, "index()'s end");
  if (from < 0) from = from + len < 0 ? 0 : from + len;
  if (to < 0) to += len;
  for (int64_t i = from; i < to && i < len && trt_step(rt, 1); i++)
    if (tval_equal(rt, v.l->at[i], a[0])) return tval_int(i);
  return trt_fail(rt, ZAYA_E_INVALID, "index(): the value is not in the list");
}

METHOD(l_copy) {
  TVal a[1];
  return targs_bind(rt, "copy()", args, "", a) ? titer_list(rt, v) : tval_none();
}

METHOD(c_next) {
  TVal a[1];
  if (!targs_bind(rt, "next()", args, "", a)) return tval_none();
  TVal item = v.cyc->items->at[v.cyc->pos];
  v.cyc->pos = (v.cyc->pos + 1) % v.cyc->items->n;
  return item;
}

METHOD(c_reset) {
  TVal a[1];
  if (targs_bind(rt, "reset()", args, "", a)) v.cyc->pos = 0;
  return tval_none();
}

static const TMethodDef dict_methods[] = {
    {"get", d_get},
    {"keys", d_keys},
    {"values", d_values},
    {"items", d_items},
    {"copy", d_copy},
    {"clear", NULL},
    {"pop", NULL},
    {"popitem", NULL},
    {"setdefault", NULL},
    {"update", NULL},
    {0},
};
static const TMethodDef list_methods[] = {
    {"count", l_count}, {"index", l_index}, {"copy", l_copy}, {"append", NULL},
    {"extend", NULL},   {"insert", NULL},   {"remove", NULL}, {"reverse", NULL},
    {"sort", NULL},     {"clear", NULL},    {"pop", NULL},    {0},
};
static const TMethodDef tuple_methods[] = {{"count", l_count}, {"index", l_index}, {0}};
static const TMethodDef cycler_methods[] = {{"next", c_next}, {"reset", c_reset}, {0}};

const TMethodDef *trt_find_method(TVal self, const TStr *name) {
  const TMethodDef *m = NULL;
  switch ((TType)self.type) {
  case T_STR: m = tmeth_str_table; break;
  case T_DICT: m = dict_methods; break;
  case T_LIST: m = list_methods; break;
  case T_TUPLE: m = tuple_methods; break;
  case T_CYCLER: m = cycler_methods; break;
  default: return NULL;
  }
  for (; m->name; m++)
    if (strlen(m->name) == name->len && !memcmp(m->name, name->p, name->len)) return m;
  return NULL;
}
