// teval: expressions. Walks the tree; attributes and elements as Jinja finds them in its sandbox. See
// trt.h.
#include "text/trt.h"

#include <string.h>

enum { ARGS_ON_STACK = 8 };

static TVal eval_name(TRt *rt, TFrame *f, const TNode *n) {
  for (int i = 0; i < n->hops; i++) f = f->parent;
  TVal v = f->slots[n->slot];
  return v.type == T_MISSING ? tval_undef(rt, n->name) : v;
}

static TVal eval_list(TRt *rt, TFrame *f, const TNode *n) {
  TVal list = tval_list(rt, n->kind == N_LIST ? T_LIST : T_TUPLE, n->items.n);
  for (size_t i = 0; i < n->items.n && tval_push(rt, list, teval(rt, f, n->items.at[i])); i++) {
  }
  return list;
}

static TVal eval_dict(TRt *rt, TFrame *f, const TNode *n) {
  TVal d = tval_dict(rt);
  for (size_t i = 0; i < n->items.n && !rt->failed; i += 2) {
    TVal key = teval(rt, f, n->items.at[i]), value = teval(rt, f, n->items.at[i + 1]);
    rt->at = n->items.at[i];
    if (!rt->failed) tdict_set(rt, d.d, key, value);
  }
  return d;
}

static TVal eval_concat(TRt *rt, TFrame *f, const TNode *n) {
  TStr *s = tstr_lit(rt, "");
  for (size_t i = 0; i < n->items.n && !rt->failed; i++) {
    TVal v = teval(rt, f, n->items.at[i]);
    rt->at = n;
    s = tstr_concat(rt, s, tval_to_str(rt, v));
  }
  return tval_str(s);
}

static TVal eval_compare(TRt *rt, TFrame *f, const TNode *n) {
  TVal left = teval(rt, f, n->a);
  bool holds = true;
  for (size_t i = 0; holds && i < n->items.n && !rt->failed; i++) {
    const TNode *o = n->items.at[i];
    TVal right = teval(rt, f, o->a);
    rt->at = n;
    if (!rt->failed) holds = tops_compare(rt, (TOp)o->op, left, right);
    left = right;
  }
  return tval_bool(holds);
}

// --- attributes and elements -------------------------------------------------------------------

static TVal method_of(TRt *rt, TVal self, const TMethodDef *def, TStr *name) {
  if (!def->fn) { // changes its object
    TVal u = tval_undef_of(rt, self, tval_str(name));
    if (u.type == T_UNDEF) u.u->unsafe = true;
    return u;
  }
  TMethod *m = trt_alloc(rt, 1, sizeof *m);
  if (!m) return tval_none();
  *m = (TMethod){self, def};
  return (TVal){.type = T_METHOD, .meth = m};
}

// What Python's getattr gives; T_MISSING if there is no such attribute.
static TVal python_attr(TRt *rt, TVal obj, TStr *name) {
  if (obj.type == T_NS) {
    TVal *v = tdict_find_str(rt, obj.d, name);
    return v ? *v : (TVal){.type = T_MISSING};
  }
  if (obj.type == T_LOOP) {
    TVal v = texec_loop_attr(rt, obj.loop, name);
    if (v.type != T_MISSING) return v;
  }
  if (obj.type == T_CYCLER && tstr_is(rt, name, "current")) return obj.cyc->items->at[obj.cyc->pos];
  if (obj.type == T_MACRO && tstr_is(rt, name, "name"))
    return obj.m->node->name ? tval_str(obj.m->node->name) : tval_none();
  const TMethodDef *def = trt_find_method(obj, name);
  return def ? method_of(rt, obj, def, name) : (TVal){.type = T_MISSING};
}

// What obj[key] gives; T_MISSING if there is no such element.
static TVal python_item(TRt *rt, TVal obj, TVal key) {
  int64_t i;
  if (obj.type == T_DICT) {
    if (key.type == T_LIST || key.type == T_DICT || key.type == T_SLICE) return (TVal){.type = T_MISSING};
    TPair *p = tdict_find(rt, obj.d, key);
    return p ? p->value : (TVal){.type = T_MISSING};
  }
  bool sequence = obj.type == T_STR || obj.type == T_LIST || obj.type == T_TUPLE || obj.type == T_RANGE;
  if (!sequence || !tval_as_index(key, &i)) return (TVal){.type = T_MISSING};
  int64_t len = tval_len(rt, obj);
  if (i < 0) i += len;
  if (i < 0 || i >= len) return (TVal){.type = T_MISSING};
  if (obj.type == T_STR) return tval_str(tstr_at(rt, obj.s, i));
  if (obj.type == T_RANGE) return tval_range_at(obj.r, i);
  return obj.l->at[i];
}

static bool is_private(TStr *name) { return name->len && name->p && name->p[0] == '_'; }

TVal teval_attr(TRt *rt, TVal obj, TStr *name) {
  if (obj.type == T_UNDEF) return tval_use_undef(rt, obj);
  TVal v = python_attr(rt, obj, name);
  if (v.type == T_MISSING) v = python_item(rt, obj, tval_str(name));
  if (v.type != T_MISSING) return v;
  TVal u = tval_undef_of(rt, obj, tval_str(name));
  if (u.type == T_UNDEF) u.u->unsafe = is_private(name) && name->len > 3 && !strncmp(name->p, "__", 2);
  return u;
}

TVal teval_item(TRt *rt, TVal obj, TVal key) {
  if (obj.type == T_UNDEF) return tval_use_undef(rt, obj);
  TVal v = python_item(rt, obj, key);
  if (v.type == T_MISSING && key.type == T_STR && !rt->failed) {
    tstr_flat(rt, key.s);
    v = python_attr(rt, obj, key.s);
  }
  return v.type == T_MISSING ? tval_undef_of(rt, obj, key) : v;
}

static TVal eval_item(TRt *rt, TFrame *f, const TNode *n) {
  TVal obj = teval(rt, f, n->a);
  const TNode *s = n->b;
  if (s->kind == N_SLICE) {
    TVal start = s->a ? teval(rt, f, s->a) : tval_none(), stop = s->b ? teval(rt, f, s->b) : tval_none();
    TVal step = s->c ? teval(rt, f, s->c) : tval_none();
    rt->at = n;
    return rt->failed ? tval_none() : tval_slice(rt, obj, start, stop, step);
  }
  TVal key = teval(rt, f, s);
  rt->at = n;
  return rt->failed ? tval_none() : teval_item(rt, obj, key);
}

// --- calls -------------------------------------------------------------------------------------

static bool spread_list(TRt *rt, TVal v, TArgs *a) { // *args
  if (rt->failed) return false;
  TVal list = titer_list(rt, v);
  if (rt->failed) return false;
  TVal *pos = trt_alloc(rt, a->n + list.l->n, sizeof *pos);
  if (!pos) return false;
  if (a->n) memcpy(pos, a->pos, a->n * sizeof *pos);
  if (list.l->n) memcpy(pos + a->n, list.l->at, list.l->n * sizeof *pos);
  a->pos = pos;
  a->n += list.l->n;
  return true;
}

static bool spread_dict(TRt *rt, TVal v, TArgs *a) { // **kwargs
  if (rt->failed) return false;
  if (v.type != T_DICT) {
    trt_type_error(rt, "** needs a dict, not a '%s'", tval_type_name(v));
    return false;
  }
  TKw *kw = trt_alloc(rt, a->n_kw + v.d->n, sizeof *kw);
  if (!kw) return false;
  if (a->n_kw) memcpy(kw, a->kw, a->n_kw * sizeof *kw);
  a->kw = kw;
  for (size_t i = 0; i < v.d->n; i++) {
    if (v.d->at[i].key.type != T_STR) {
      trt_type_error(rt, "** needs strings as keys");
      return false;
    }
    tstr_flat(rt, v.d->at[i].key.s);
    a->kw[a->n_kw++] = (TKw){v.d->at[i].key.s, v.d->at[i].value};
  }
  return true;
}

// The arguments of a call, filter or test; `pos` and `kw` have room for the written ones.
static bool eval_args(TRt *rt, TFrame *f, const TNode *n, TVal *pos, TKw *kw, TArgs *out) {
  *out = (TArgs){.pos = pos, .kw = kw};
  for (size_t i = 0; i < n->items.n && !rt->failed; i++) {
    const TNode *item = n->items.at[i];
    if (item->kind == N_KEYWORD)
      kw[out->n_kw++] = (TKw){item->name, teval(rt, f, item->a)};
    else
      pos[out->n++] = teval(rt, f, item);
  }
  if (n->b && !spread_list(rt, teval(rt, f, n->b), out)) return false;
  if (n->c && !spread_dict(rt, teval(rt, f, n->c), out)) return false;
  rt->at = n;
  return !rt->failed;
}

static TVal apply(TRt *rt, const TNode *n, TVal target, const TArgs *args) {
  if (n->kind == N_CALL) return teval_call(rt, target, args);
  if (!n->fn) {
    const char *what = n->kind == N_FILTER ? "filter" : "test";
    return trt_fail(rt, ZAYA_E_UNSUPPORTED, "there is no %s '%s'", what, n->name->p);
  }
  if (n->kind == N_FILTER) return ((const TFilter *)n->fn)->fn(rt, target, args);
  return ((const TTest *)n->fn)->fn(rt, target, args);
}

static TVal eval_applied(TRt *rt, TFrame *f, const TNode *n, TVal target) {
  TArgs args;
  if (rt->failed) return tval_none();
  if (n->items.n <= ARGS_ON_STACK) {
    TVal pos[ARGS_ON_STACK];
    TKw kw[ARGS_ON_STACK];
    return eval_args(rt, f, n, pos, kw, &args) ? apply(rt, n, target, &args) : tval_none();
  }
  TVal *pos = trt_alloc(rt, n->items.n, sizeof *pos);
  TKw *kw = trt_alloc(rt, n->items.n, sizeof *kw);
  return pos && kw && eval_args(rt, f, n, pos, kw, &args) ? apply(rt, n, target, &args) : tval_none();
}

TVal teval_call_with(TRt *rt, TFrame *f, const TNode *n, TKw extra) {
  TVal fn = teval(rt, f, n->a);
  TVal *pos = trt_alloc(rt, n->items.n, sizeof *pos);
  TKw *kw = trt_alloc(rt, n->items.n, sizeof *kw);
  TArgs args;
  if (!pos || !kw || !eval_args(rt, f, n, pos, kw, &args)) return tval_none();
  TKw *all = trt_alloc(rt, args.n_kw + 1, sizeof *all);
  if (!all) return tval_none();
  if (args.n_kw) memcpy(all, args.kw, args.n_kw * sizeof *all);
  all[args.n_kw++] = extra;
  args.kw = all;
  return teval_call(rt, fn, &args);
}

TVal teval_filter_on(TRt *rt, TFrame *f, const TNode *n, TVal self) {
  return eval_applied(rt, f, n, n->a ? teval_filter_on(rt, f, n->a, self) : self);
}

static TVal call_joiner(TRt *rt, TCycler *c) {
  bool first = !c->used;
  c->used = true;
  return first ? tval_str(tstr_lit(rt, "")) : c->sep;
}

TVal teval_call(TRt *rt, TVal fn, const TArgs *args) {
  switch ((TType)fn.type) {
  case T_METHOD: return fn.meth->def->fn(rt, fn.meth->self, args);
  case T_GLOBAL: return fn.g->fn(rt, args);
  case T_MACRO: return texec_macro(rt, fn.m, args);
  case T_JOINER: return call_joiner(rt, fn.cyc);
  case T_LOOP:
    if (args->n == 1 && !args->n_kw) return texec_loop_call(rt, fn.loop, args->pos[0]);
    return trt_type_error(rt, "loop(...) takes one argument");
  case T_UNDEF: return tval_use_undef(rt, fn);
  default: return trt_type_error(rt, "a '%s' cannot be called", tval_type_name(fn));
  }
}

static TVal eval_node(TRt *rt, TFrame *f, const TNode *n) {
  TVal v;
  switch ((TKind)n->kind) {
  case N_CONST: return n->value;
  case N_NAME: return eval_name(rt, f, n);
  case N_TUPLE:
  case N_LIST: return eval_list(rt, f, n);
  case N_DICT: return eval_dict(rt, f, n);
  case N_COND:
    if (tval_truth(rt, teval(rt, f, n->a))) return teval(rt, f, n->b);
    return n->c ? teval(rt, f, n->c)
                : tval_undef_hint(rt, "the conditional has no 'else' and its condition does not hold");
  case N_OR: v = teval(rt, f, n->a); return tval_truth(rt, v) ? v : teval(rt, f, n->b);
  case N_AND: v = teval(rt, f, n->a); return tval_truth(rt, v) ? teval(rt, f, n->b) : v;
  case N_NOT: return tval_bool(!tval_truth(rt, teval(rt, f, n->a)));
  case N_NEG:
  case N_POS:
    v = teval(rt, f, n->a);
    rt->at = n;
    return tops_negate(rt, v, n->kind == N_NEG);
  case N_BINARY: {
    v = teval(rt, f, n->a);
    TVal b = teval(rt, f, n->b);
    rt->at = n;
    return rt->failed ? tval_none() : tops_binary(rt, (TOp)n->op, v, b);
  }
  case N_CONCAT: return eval_concat(rt, f, n);
  case N_COMPARE: return eval_compare(rt, f, n);
  case N_ATTR:
    v = teval(rt, f, n->a);
    rt->at = n;
    return rt->failed ? tval_none() : teval_attr(rt, v, n->name);
  case N_ITEM: return eval_item(rt, f, n);
  case N_SLICE: { // inside a tuple: x[1:2, 3]
    TVal u = {.type = T_SLICE};
    return u;
  }
  case N_CALL:
  case N_FILTER:
  case N_TEST: return eval_applied(rt, f, n, teval(rt, f, n->a));
  default: return tval_none();
  }
}

TVal teval(TRt *rt, TFrame *f, const TNode *n) {
  if (rt->failed || !trt_enter(rt)) return tval_none();
  if (trt_step(rt, 1)) rt->at = n;
  TVal v = rt->failed ? tval_none() : eval_node(rt, f, n);
  trt_leave(rt);
  return v;
}
