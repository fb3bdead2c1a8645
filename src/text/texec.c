// texec: statements, loops and macros. Output goes to rt->out, which blocks that catch their text
// replace for a while. See trt.h.
#include "text/trt.h"

#include <string.h>

typedef enum Flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE } Flow;

static Flow exec_nodes(TRt *rt, TFrame *f, const TNodes *list);

// --- scopes ------------------------------------------------------------------------------------

static TFrame *new_frame(TRt *rt, const TScope *scope, TFrame *parent) {
  TFrame *f = trt_alloc(rt, 1, sizeof *f + (size_t)scope->n_slots * sizeof *f->slots);
  if (f) f->parent = parent;
  return f;
}

static TVal resolve(TRt *rt, TStr *name) {
  TVal *v = tdict_find_str(rt, rt->context, name);
  if (v) return *v;
  const TGlobal *g = trt_find_global(name);
  return g ? (TVal){.type = T_GLOBAL, .g = g} : (TVal){.type = T_MISSING};
}

// A variable of the scope `hops` further out; tscope knows that there is one.
static TVal *slot_at(TFrame *f, int hops, int slot) {
  for (; hops > 0 && f->parent; hops--) f = f->parent;
  return &f->slots[slot];
}

static void run_loads(TRt *rt, TFrame *f, const TScope *scope) {
  for (int i = 0; i < scope->n_slots; i++) {
    const TLoad *l = &scope->loads[i];
    if (l->kind == LOAD_RESOLVE) {
      f->slots[i] = resolve(rt, l->name);
    } else if (l->kind == LOAD_ALIAS) {
      f->slots[i] = *slot_at(f, l->hops + 1, l->slot);
    }
  }
}

TFrame *texec_enter(TRt *rt, const TScope *scope, TFrame *parent) {
  TFrame *f = new_frame(rt, scope, parent);
  if (f) run_loads(rt, f, scope);
  return f;
}

// --- assignment --------------------------------------------------------------------------------

static TVal *variable(TFrame *f, const TNode *n) { return slot_at(f, n->hops, n->slot); }

static bool unpack(TRt *rt, TFrame *f, const TNode *target, TVal v) {
  TIter *it = titer_of(rt, v);
  TVal item;
  size_t want = target->items.n, got = 0;
  TVal *items = it ? trt_alloc(rt, want, sizeof *items) : NULL;
  while (items && titer_next(rt, it, &item)) {
    if (got < want) items[got] = item;
    if (++got > want) break;
  }
  if (rt->failed) return false;
  if (got != want) {
    trt_fail(rt, ZAYA_E_INVALID, "cannot unpack %s%zu values into %zu names", got > want ? "more than " : "",
             got > want ? want : got, want);
    return false;
  }
  for (size_t i = 0; i < want; i++)
    if (!texec_assign(rt, f, target->items.at[i], items[i])) return false;
  return true;
}

static bool check_namespace(TRt *rt, TFrame *f, const TNode *n) {
  if (variable(f, n)->type == T_NS) return true;
  rt->at = n;
  trt_fail(rt, ZAYA_E_INVALID, "'%s' is not a namespace: its attributes cannot be set", n->name->p);
  return false;
}

bool texec_assign(TRt *rt, TFrame *f, const TNode *target, TVal v) {
  if (rt->failed) return false;
  rt->at = target;
  if (target->kind == N_TUPLE) return unpack(rt, f, target, v);
  if (target->kind == N_NSREF)
    return check_namespace(rt, f, target) && tdict_set(rt, variable(f, target)->d, tval_str(target->attr), v);
  *variable(f, target) = v;
  return true;
}

// --- catching output ---------------------------------------------------------------------------

static Flow capture(TRt *rt, TFrame *f, const TNodes *body, TStr **out) {
  TSb sb = tsb_new(rt), *outer = rt->out;
  rt->out = &sb;
  Flow flow = exec_nodes(rt, f, body);
  rt->out = outer;
  *out = tsb_done(&sb);
  return flow;
}

static Flow exec_setblock(TRt *rt, TFrame *f, const TNode *n) {
  TFrame *inner = texec_enter(rt, n->scope, f);
  TStr *text;
  if (!inner) return FLOW_NEXT;
  Flow flow = capture(rt, inner, &n->items, &text);
  if (flow != FLOW_NEXT || rt->failed) return flow;
  TVal v = tval_str(text);
  if (n->a->kind == N_NSREF && !check_namespace(rt, f, n->a)) return FLOW_NEXT;
  texec_assign(rt, f, n->a, n->b ? teval_filter_on(rt, inner, n->b, v) : v);
  return FLOW_NEXT;
}

static Flow exec_filterblock(TRt *rt, TFrame *f, const TNode *n) {
  TFrame *inner = texec_enter(rt, n->scope, f);
  TStr *text;
  if (!inner) return FLOW_NEXT;
  Flow flow = capture(rt, inner, &n->items, &text);
  if (flow == FLOW_NEXT && !rt->failed)
    tval_write(rt, rt->out, teval_filter_on(rt, inner, n->a, tval_str(text)));
  return flow;
}

// --- loops -------------------------------------------------------------------------------------

static bool next_where(TRt *rt, TIter *it, TVal *out) { // for ... if test
  while (titer_next(rt, it->inner, out)) {
    if (!texec_assign(rt, it->frame, it->node->test_target, *out)) return false;
    if (tval_truth(rt, teval(rt, it->frame, it->node->c))) return !rt->failed;
  }
  return false;
}

static TIter *loop_items(TRt *rt, TFrame *f, const TNode *n, TVal items) {
  TIter *it = titer_of(rt, items);
  if (!it || !n->c) return it;
  TIter *where = trt_alloc(rt, 1, sizeof *where);
  TFrame *frame = where ? texec_enter(rt, n->scope3, f) : NULL;
  if (!frame) return NULL;
  *where = (TIter){.next = next_where, .inner = it, .node = n, .frame = frame, .type_name = "generator"};
  return where;
}

static TVal loop_peek(TRt *rt, TLoop *l) {
  if (l->after.type == T_MISSING) {
    TVal v;
    if (titer_next(rt, l->it, &v)) l->after = v;
  }
  return l->after;
}

bool texec_loop_next(TRt *rt, TLoop *l) {
  TVal v = l->after;
  l->after.type = T_MISSING;
  if (v.type == T_MISSING && !titer_next(rt, l->it, &v)) return false;
  l->index0++;
  l->before = l->current;
  l->current = v;
  return true;
}

static int64_t loop_length(TRt *rt, TLoop *l) {
  if (l->length >= 0) return l->length;
  if (l->node->c == NULL && tval_has_len(l->source)) return l->length = tval_len(rt, l->source);
  TVal rest = tval_list(rt, T_LIST, 0), v;
  while (titer_next(rt, l->it, &v)) tval_push(rt, rest, v);
  l->it = titer_of(rt, rest);
  if (rt->failed) return l->length = 0;
  return l->length = (int64_t)rest.l->n + l->index0 + 1 + (l->after.type != T_MISSING);
}

static TVal run_cycle(TRt *rt, TVal self, const TArgs *args) {
  if (!args->n) return trt_type_error(rt, "loop.cycle() without items");
  return args->pos[self.loop->index0 % (int64_t)args->n];
}

static TVal run_changed(TRt *rt, TVal self, const TArgs *args) {
  TVal now = tval_list(rt, T_TUPLE, args->n);
  for (size_t i = 0; i < args->n; i++) tval_push(rt, now, args->pos[i]);
  TLoop *l = self.loop;
  if (l->changed.type != T_MISSING && tval_equal(rt, l->changed, now)) return tval_bool(false);
  l->changed = now;
  return tval_bool(true);
}

static const TMethodDef loop_methods[] = {{"cycle", run_cycle}, {"changed", run_changed}};

TVal texec_loop_attr(TRt *rt, TLoop *l, TStr *name) {
  int64_t index0 = l->index0;
  if (tstr_is(rt, name, "index0")) return tval_int(index0);
  if (tstr_is(rt, name, "index")) return tval_int(index0 + 1);
  if (tstr_is(rt, name, "first")) return tval_bool(index0 == 0);
  if (tstr_is(rt, name, "last")) return tval_bool(loop_peek(rt, l).type == T_MISSING);
  if (tstr_is(rt, name, "length")) return tval_int(loop_length(rt, l));
  if (tstr_is(rt, name, "revindex")) return tval_int(loop_length(rt, l) - index0);
  if (tstr_is(rt, name, "revindex0")) return tval_int(loop_length(rt, l) - index0 - 1);
  if (tstr_is(rt, name, "depth")) return tval_int(l->depth0 + 1);
  if (tstr_is(rt, name, "depth0")) return tval_int(l->depth0);
  if (tstr_is(rt, name, "previtem"))
    return index0 == 0 ? tval_undef_hint(rt, "there is no previous item") : l->before;
  if (tstr_is(rt, name, "nextitem")) {
    TVal next = loop_peek(rt, l);
    return next.type == T_MISSING ? tval_undef_hint(rt, "there is no next item") : next;
  }
  for (size_t i = 0; i < sizeof loop_methods / sizeof *loop_methods; i++) {
    if (!tstr_is(rt, name, loop_methods[i].name)) continue;
    TMethod *m = trt_alloc(rt, 1, sizeof *m);
    if (!m) return tval_none();
    *m = (TMethod){{.type = T_LOOP, .loop = l}, &loop_methods[i]};
    return (TVal){.type = T_METHOD, .meth = m};
  }
  return (TVal){.type = T_MISSING};
}

static Flow exec_loop(TRt *rt, TFrame *f, const TNode *n, TVal items, int depth0) {
  TLoop *l = trt_alloc(rt, 1, sizeof *l);
  if (!l || rt->failed) return FLOW_NEXT;
  *l = (TLoop){.source = items, .index0 = -1, .length = -1, .depth0 = depth0, .node = n, .frame = f};
  rt->at = n->b;
  l->it = loop_items(rt, f, n, items);
  bool whole_round = false; // Jinja's else runs unless a round came to its end
  TFrame *inner = NULL;
  while (l->it && !rt->failed && texec_loop_next(rt, l)) {
    if (!inner || n->captured)
      inner = new_frame(rt, n->scope, f);
    else
      memset(inner->slots, 0, (size_t)n->scope->n_slots * sizeof *inner->slots);
    if (!inner) break;
    inner->slots[n->loop_slot] = (TVal){.type = T_LOOP, .loop = l};
    if (!texec_assign(rt, inner, n->a, l->current)) break;
    run_loads(rt, inner, n->scope);
    Flow flow = exec_nodes(rt, inner, &n->items);
    if (flow == FLOW_BREAK) break;
    if (flow == FLOW_NEXT) whole_round = true;
  }
  if (whole_round || !n->more.n || rt->failed) return FLOW_NEXT;
  TFrame *other = texec_enter(rt, n->scope2, f);
  return other ? exec_nodes(rt, other, &n->more) : FLOW_NEXT;
}

TVal texec_loop_call(TRt *rt, TLoop *loop, TVal items) {
  if (!loop->node->flag) return trt_type_error(rt, "the loop must be marked 'recursive' to be called");
  if (!trt_enter(rt)) return tval_none();
  TSb sb = tsb_new(rt), *outer = rt->out;
  rt->out = &sb;
  exec_loop(rt, loop->frame, loop->node, items, loop->depth0 + 1);
  rt->out = outer;
  trt_leave(rt);
  return tval_str(tsb_done(&sb));
}

// --- macros ------------------------------------------------------------------------------------

// Takes the keyword argument `name` out of `kw`.
static bool take_keyword(TRt *rt, TKw *kw, size_t *n, const TStr *name, TVal *out) {
  for (size_t i = 0; i < *n; i++) {
    if (!tstr_equal(rt, kw[i].name, (TStr *)(uintptr_t)name)) continue;
    *out = kw[i].value;
    memmove(&kw[i], &kw[i + 1], (*n - i - 1) * sizeof *kw);
    (*n)--;
    return true;
  }
  return false;
}

static const char *macro_name(const TMacro *m) { return m->node->name ? m->node->name->p : "caller"; }

static bool bind_rest(TRt *rt, TMacro *m, TFrame *f, const TArgs *args, TKw *kw, size_t n_kw) {
  const TNode *n = m->node;
  size_t n_params = n->more.n;
  if (n->kwargs_slot >= 0) {
    TVal d = tval_dict(rt);
    for (size_t i = 0; i < n_kw && !rt->failed; i++) tdict_set(rt, d.d, tval_str(kw[i].name), kw[i].value);
    f->slots[n->kwargs_slot] = d;
  } else if (n_kw) {
    trt_type_error(rt, "macro '%s' takes no keyword argument '%.*s'", macro_name(m),
                   TSTR_SHORT(rt, kw[0].name));
    return false;
  }
  if (n->varargs_slot >= 0) {
    TVal rest = tval_list(rt, T_TUPLE, 0);
    for (size_t i = n_params; i < args->n; i++) tval_push(rt, rest, args->pos[i]);
    f->slots[n->varargs_slot] = rest;
  } else if (args->n > n_params) {
    trt_type_error(rt, "macro '%s' takes not more than %zu argument(s)", macro_name(m), n_params);
    return false;
  }
  return !rt->failed;
}

static bool bind_macro(TRt *rt, TMacro *m, TFrame *f, const TArgs *args) {
  const TNode *n = m->node;
  TKw *kw = trt_alloc(rt, args->n_kw, sizeof *kw);
  size_t n_kw = args->n_kw;
  if (!kw) return false;
  if (n_kw) memcpy(kw, args->kw, n_kw * sizeof *kw);
  for (size_t i = 0; i < n->more.n; i++) {
    TVal v = {.type = T_MISSING};
    if (i < args->n)
      v = args->pos[i];
    else
      take_keyword(rt, kw, &n_kw, n->more.at[i]->name, &v);
    f->slots[n->more.at[i]->slot] = v;
  }
  if (n->caller_slot >= 0) {
    TVal caller = tval_none();
    take_keyword(rt, kw, &n_kw, tstr_lit(rt, "caller"), &caller);
    f->slots[n->caller_slot] = caller.type == T_NONE ? tval_undef_hint(rt, "no caller defined") : caller;
  }
  return bind_rest(rt, m, f, args, kw, n_kw);
}

TVal texec_macro(TRt *rt, TMacro *m, const TArgs *args) {
  const TNode *n = m->node;
  if (!trt_enter(rt)) return tval_none();
  TFrame *f = new_frame(rt, n->scope, m->frame);
  TStr *text = NULL;
  if (f && bind_macro(rt, m, f, args)) {
    run_loads(rt, f, n->scope);
    for (size_t i = 0; i < n->more.n && !rt->failed; i++) { // defaults see the parameters before them
      const TNode *p = n->more.at[i];
      if (f->slots[p->slot].type != T_MISSING) continue;
      f->slots[p->slot] = p->a ? teval(rt, f, p->a) : tval_undef(rt, p->name);
    }
    if (!rt->failed) capture(rt, f, &n->items, &text);
  }
  trt_leave(rt);
  return tval_str(text);
}

static TVal make_macro(TRt *rt, TFrame *f, const TNode *n) {
  TMacro *m = trt_alloc(rt, 1, sizeof *m);
  if (!m) return tval_none();
  *m = (TMacro){n, f};
  return (TVal){.type = T_MACRO, .m = m};
}

static void exec_callblock(TRt *rt, TFrame *f, const TNode *n) {
  TVal caller = make_macro(rt, f, n), v;
  if (rt->failed) return;
  if (n->a) {
    v = teval_call_with(rt, f, n->a, (TKw){tstr_lit(rt, "caller"), caller});
  } else { // a generation block: just its body
    TArgs none = {0};
    v = texec_macro(rt, caller.m, &none);
  }
  if (!rt->failed) tval_write(rt, rt->out, v);
}

// --- statements --------------------------------------------------------------------------------

static Flow exec_if(TRt *rt, TFrame *f, const TNode *n) {
  for (size_t i = 0; i < n->items.n && !rt->failed; i++) {
    const TNode *branch = n->items.at[i];
    if (!branch->a || (tval_truth(rt, teval(rt, f, branch->a)) && !rt->failed))
      return exec_nodes(rt, f, &branch->items);
  }
  return FLOW_NEXT;
}

static Flow exec_with(TRt *rt, TFrame *f, const TNode *n) {
  TFrame *inner = texec_enter(rt, n->scope, f);
  if (!inner) return FLOW_NEXT;
  for (size_t i = 0; i < n->more.n; i++)
    texec_assign(rt, inner, n->more.at[i]->a, teval(rt, f, n->more.at[i]->b));
  return exec_nodes(rt, inner, &n->items);
}

static Flow exec_statement(TRt *rt, TFrame *f, const TNode *n) {
  TVal v;
  switch ((TKind)n->kind) {
  case N_DATA: tsb_str(rt->out, n->value.s); return FLOW_NEXT;
  case N_PRINT:
    v = teval(rt, f, n->a);
    if (!rt->failed) tval_write(rt, rt->out, v);
    return FLOW_NEXT;
  case N_IF: return exec_if(rt, f, n);
  case N_FOR: return exec_loop(rt, f, n, teval(rt, f, n->b), 0);
  case N_SET:
    if (n->a->kind == N_NSREF && !check_namespace(rt, f, n->a)) return FLOW_NEXT;
    texec_assign(rt, f, n->a, teval(rt, f, n->b));
    return FLOW_NEXT;
  case N_SETBLOCK: return exec_setblock(rt, f, n);
  case N_MACRO: *variable(f, n) = make_macro(rt, f, n); return FLOW_NEXT;
  case N_CALLBLOCK: exec_callblock(rt, f, n); return FLOW_NEXT;
  case N_FILTERBLOCK: return exec_filterblock(rt, f, n);
  case N_WITH: return exec_with(rt, f, n);
  case N_BREAK: return FLOW_BREAK;
  case N_CONTINUE: return FLOW_CONTINUE;
  default: return FLOW_NEXT;
  }
}

static Flow exec_nodes(TRt *rt, TFrame *f, const TNodes *list) {
  if (!trt_enter(rt)) return FLOW_NEXT;
  Flow flow = FLOW_NEXT;
  for (size_t i = 0; i < list->n && flow == FLOW_NEXT && trt_step(rt, 1); i++) {
    rt->at = list->at[i];
    flow = exec_statement(rt, f, list->at[i]);
  }
  trt_leave(rt);
  return flow;
}

bool texec_template(TRt *rt) {
  TFrame *f = texec_enter(rt, rt->t->scope, NULL);
  if (f) exec_nodes(rt, f, &rt->t->body);
  return !rt->failed;
}
