// tscope: binds names to variable slots, by the rules that Jinja's compiler follows: a scope is found
// out as a whole before anything in it runs, so that a name stored anywhere in a scope is that scope's
// own, and what it holds before the store depends on where else it is known. The bodies of for, macro,
// call, filter, with and block set are scopes; if is none, but its branches are merged.
#include "text/tast.h"
#include "text/trt.h"

#include <string.h>

typedef struct SymTab { // the names of one scope, shared by the copies that branches make
  uint32_t *ids;
  int n, cap;
} SymTab;

enum { SYM_REF = 1, SYM_STORED = 2, SYM_LOAD_SHIFT = 2 }; // state: flags and a TLoadKind

typedef struct Sym {
  struct Sym *parent;
  SymTab *tab;
  uint8_t *state; // [cap]
  int cap;
} Sym;

typedef struct Pass {
  Tmpl *t;
  zaya_error *err;
  Sym *sym;
  int loops;       // enclosing for statements
  size_t closures; // macros and call blocks so far
} Pass;

static bool resolve_nodes(Pass *p, const TNodes *list);
static bool resolve_expr(Pass *p, TNode *n);

static bool no_memory(Pass *p) { return err_memory(p->err, 0, "a template's scopes"); }

static int slot_of(const Sym *s, uint32_t id) {
  for (int i = 0; i < s->tab->n; i++)
    if (s->tab->ids[i] == id) return i;
  return -1;
}

static bool has_ref(const Sym *s, int slot) {
  return slot >= 0 && slot < s->cap && (s->state[slot] & SYM_REF);
}

// Finds the scope that knows `id`, from `s` outwards.
static bool find_ref(const Sym *s, uint32_t id, int *hops, int *slot) {
  *hops = 0;
  for (; s; s = s->parent, (*hops)++) {
    *slot = slot_of(s, id);
    if (has_ref(s, *slot)) return true;
  }
  return false;
}

// The state byte of `id` in the present scope.
static uint8_t *state_of(Pass *p, uint32_t id) {
  Sym *s = p->sym;
  SymTab *tab = s->tab;
  int slot = slot_of(s, id);
  if (slot < 0) {
    if (tab->n == tab->cap) {
      int cap = tab->cap ? tab->cap * 2 : 8;
      uint32_t *ids =
          tmem_grow(&p->t->mem, tab->ids, (size_t)tab->cap * sizeof *ids, (size_t)cap * sizeof *ids);
      if (!ids) return NULL;
      tab->ids = ids;
      tab->cap = cap;
    }
    slot = tab->n++;
    tab->ids[slot] = id;
  }
  if (slot >= s->cap) {
    uint8_t *state = tmem_alloc(&p->t->mem, (size_t)tab->cap);
    if (!state) return NULL;
    if (s->cap) memcpy(state, s->state, (size_t)s->cap);
    s->state = state;
    s->cap = tab->cap;
  }
  return &s->state[slot];
}

static void set_load(uint8_t *state, TLoadKind kind) {
  *state = (uint8_t)((*state & (SYM_REF | SYM_STORED)) | SYM_REF | kind << SYM_LOAD_SHIFT);
}

static bool declare(Pass *p, uint32_t id) { // a parameter
  uint8_t *st = state_of(p, id);
  if (!st) return no_memory(p);
  *st |= SYM_STORED;
  set_load(st, LOAD_PARAM);
  return true;
}

static bool store(Pass *p, uint32_t id) {
  uint8_t *st = state_of(p, id);
  if (!st) return no_memory(p);
  *st |= SYM_STORED;
  if (*st & SYM_REF) return true;
  int hops, slot;
  set_load(st, find_ref(p->sym->parent, id, &hops, &slot) ? LOAD_ALIAS : LOAD_UNDEFINED);
  return true;
}

static bool load(Pass *p, uint32_t id) {
  int hops, slot;
  if (find_ref(p->sym, id, &hops, &slot)) return true;
  uint8_t *st = state_of(p, id);
  if (!st) return no_memory(p);
  set_load(st, LOAD_RESOLVE);
  return true;
}

// --- collecting the names of a scope -----------------------------------------------------------

static bool collect(Pass *p, TNode *n);

static bool collect_list(Pass *p, const TNodes *list) {
  for (size_t i = 0; i < list->n; i++)
    if (!collect(p, list->at[i])) return false;
  return true;
}

static bool collect_target(Pass *p, const TNode *n, bool as_param) {
  if (n->kind == N_NAME) return as_param ? declare(p, n->name_id) : store(p, n->name_id);
  if (n->kind == N_NSREF) return load(p, n->name_id);
  for (size_t i = 0; i < n->items.n; i++)
    if (!collect_target(p, n->items.at[i], as_param)) return false;
  return true;
}

static bool copy_sym(Pass *p, const Sym *from, Sym *to) {
  *to = *from;
  to->state = tmem_alloc(&p->t->mem, (size_t)(from->cap ? from->cap : 1));
  if (!to->state) return no_memory(p);
  if (from->cap) memcpy(to->state, from->state, (size_t)from->cap);
  return true;
}

static uint8_t state_at(const Sym *s, int slot) { return slot < s->cap ? s->state[slot] : 0; }

// Merges what the branches of an `if` found. A name that only some branches store keeps the value it
// had outside when the others run.
static bool merge_branches(Pass *p, const Sym *branches, int n) {
  Sym *s = p->sym;
  for (int slot = 0; slot < s->tab->n; slot++) {
    uint8_t before = state_at(s, slot), merged = before;
    int stores = 0;
    for (int b = 0; b < n; b++) {
      uint8_t st = state_at(&branches[b], slot);
      stores += (st & SYM_STORED) && !(before & SYM_STORED);
      if (st & SYM_REF) merged = (uint8_t)(st | (merged & SYM_STORED));
    }
    uint8_t *out = state_of(p, s->tab->ids[slot]);
    if (!out) return no_memory(p);
    *out = merged;
    if (stores == 0 || stores == n) continue;
    int hops, outer;
    set_load(out, find_ref(s->parent, s->tab->ids[slot], &hops, &outer) ? LOAD_ALIAS : LOAD_RESOLVE);
  }
  return true;
}

// One `if`: body, the elifs (each an `if` of its own), else.
static bool collect_if(Pass *p, const TNode *n, size_t first, bool alone) {
  const TNode *head = n->items.at[first];
  if (head->a && !collect(p, head->a)) return false;
  Sym *outer = p->sym;
  Sym branches[3];
  for (int b = 0; b < 3; b++) {
    if (!copy_sym(p, outer, &branches[b])) return false;
    p->sym = &branches[b];
    bool ok = true;
    if (b == 0) ok = collect_list(p, &head->items);
    for (size_t i = first + 1; b == 1 && ok && !alone && i < n->items.n; i++)
      if (n->items.at[i]->a) ok = collect_if(p, n, i, true);
    const TNode *last = n->items.at[n->items.n - 1];
    if (b == 2 && !alone && n->items.n > first + 1 && !last->a) ok = collect_list(p, &last->items);
    p->sym = outer;
    if (!ok) return false;
  }
  return merge_branches(p, branches, 3);
}

// The names that `n` reads or stores in the present scope; inner scopes are left out.
static bool collect(Pass *p, TNode *n) {
  if (!n) return true;
  switch ((TKind)n->kind) {
  case N_NAME: return load(p, n->name_id);
  case N_IF: return collect_if(p, n, 0, false);
  case N_FOR: return collect(p, n->b);
  case N_SET: return collect(p, n->b) && collect_target(p, n->a, false);
  case N_SETBLOCK: return collect_target(p, n->a, false);
  case N_MACRO: return store(p, n->name_id);
  case N_CALLBLOCK:
  case N_FILTERBLOCK: return collect(p, n->a);
  case N_WITH:
    for (size_t i = 0; i < n->more.n; i++)
      if (!collect(p, n->more.at[i]->b)) return false;
    return true;
  case N_COND: return collect(p, n->a) && collect(p, n->b) && collect(p, n->c); // in the order they run
  case N_CALL:
  case N_FILTER:
  case N_TEST: return collect(p, n->a) && collect_list(p, &n->items) && collect(p, n->b) && collect(p, n->c);
  default: return collect(p, n->a) && collect(p, n->b) && collect(p, n->c) && collect_list(p, &n->items);
  }
}

// --- entering scopes ---------------------------------------------------------------------------

static bool open_scope(Pass *p) {
  Sym *s = tmem_alloc(&p->t->mem, sizeof *s);
  SymTab *tab = tmem_alloc(&p->t->mem, sizeof *tab);
  if (!s || !tab) return no_memory(p);
  *s = (Sym){.parent = p->sym, .tab = tab};
  p->sym = s;
  return true;
}

// Writes down what the scope does when it is entered, and leaves it.
static bool close_scope(Pass *p, TScope **out) {
  Sym *s = p->sym;
  p->sym = s->parent;
  TScope *scope = tmem_alloc(&p->t->mem, sizeof *scope);
  if (!scope) return no_memory(p);
  scope->n_slots = s->tab->n;
  scope->loads = tmem_array(&p->t->mem, (size_t)s->tab->n, sizeof *scope->loads);
  if (!scope->loads) return no_memory(p);
  for (int i = 0; i < s->tab->n; i++) {
    TLoad *l = &scope->loads[i];
    l->kind = (uint8_t)(state_at(s, i) >> SYM_LOAD_SHIFT);
    l->name = p->t->names[s->tab->ids[i]];
    if (l->kind == LOAD_ALIAS && !find_ref(s->parent, s->tab->ids[i], &l->hops, &l->slot))
      l->kind = LOAD_RESOLVE;
  }
  *out = scope;
  return true;
}

static bool bind(Pass *p, TNode *n) {
  if (find_ref(p->sym, n->name_id, &n->hops, &n->slot)) return true;
  return tast_error(p->t, n->pos, ZAYA_E_FORMAT, p->err, "the name '%s' belongs to no scope here",
                    n->name->p);
}

static bool resolve_target(Pass *p, TNode *n) {
  if (n->kind == N_NAME && p->loops && !strcmp(n->name->p, "loop"))
    return tast_error(p->t, n->pos, ZAYA_E_FORMAT, p->err,
                      "cannot assign to the special variable 'loop' in a for loop");
  if (n->kind == N_NAME || n->kind == N_NSREF) return bind(p, n);
  for (size_t i = 0; i < n->items.n; i++)
    if (!resolve_target(p, n->items.at[i])) return false;
  return true;
}

static TNode *clone_target(Pass *p, const TNode *n) {
  TNode *c = tast_node(p->t, (TKind)n->kind, n->pos, p->err);
  if (!c) return NULL;
  c->name = n->name;
  c->name_id = n->name_id;
  for (size_t i = 0; i < n->items.n; i++) {
    TNode *item = clone_target(p, n->items.at[i]);
    if (!item || !tast_push(p->t, &c->items, item, p->err)) return NULL;
  }
  return c;
}

static bool intern(Pass *p, const char *name, uint32_t *id) {
  return tast_intern(p->t, name, strlen(name), id, p->err);
}

static bool resolve_loop(Pass *p, TNode *n) {
  if (!resolve_expr(p, n->b)) return false;
  uint32_t loop_id;
  if (!intern(p, "loop", &loop_id)) return false;
  if (n->c) {
    n->test_target = clone_target(p, n->a);
    if (!n->test_target || !open_scope(p) || !collect_target(p, n->a, true) || !collect(p, n->c))
      return false;
    if (!resolve_target(p, n->test_target) || !resolve_expr(p, n->c) || !close_scope(p, &n->scope3))
      return false;
  }
  if (!open_scope(p)) return false;
  if (!declare(p, loop_id) || !collect_target(p, n->a, true) || !collect_list(p, &n->items)) return false;
  n->loop_slot = slot_of(p->sym, loop_id);
  size_t closures = p->closures;
  if (!resolve_target(p, n->a) || !resolve_nodes(p, &n->items) || !close_scope(p, &n->scope)) return false;
  n->captured = p->closures != closures;
  if (!n->more.n) return true;
  if (!open_scope(p)) return false;
  return collect_list(p, &n->more) && resolve_nodes(p, &n->more) && close_scope(p, &n->scope2);
}

static bool resolve_for(Pass *p, TNode *n) {
  p->loops++;
  bool ok = resolve_loop(p, n);
  p->loops--;
  return ok;
}

// Whether `id` is read in the tree before it is stored there: 1 read, -1 stored, 0 neither.
static int first_use(const TNode *n, uint32_t id);

static int first_use_list(const TNodes *list, uint32_t id) {
  for (size_t i = 0; i < list->n; i++) {
    int use = first_use(list->at[i], id);
    if (use) return use;
  }
  return 0;
}

static int first_store(const TNode *n, uint32_t id) {
  if (n->kind == N_NAME) return n->name_id == id ? -1 : 0;
  for (size_t i = 0; i < n->items.n; i++)
    if (first_store(n->items.at[i], id)) return -1;
  return 0;
}

static int first_use(const TNode *n, uint32_t id) {
  if (!n) return 0;
  int use = 0;
  switch ((TKind)n->kind) {
  case N_NAME: return n->name_id == id;
  case N_PARAM: return n->name_id == id ? -1 : first_use(n->a, id);
  case N_FOR:
    use = first_store(n->a, id);
    if (!use) use = first_use(n->b, id);
    if (!use) use = first_use_list(&n->items, id);
    if (!use) use = first_use_list(&n->more, id);
    return use ? use : first_use(n->c, id);
  case N_SET: use = first_store(n->a, id); return use ? use : first_use(n->b, id);
  case N_SETBLOCK:
    use = first_store(n->a, id);
    if (!use) use = first_use(n->b, id);
    return use ? use : first_use_list(&n->items, id);
  default: break;
  }
  use = first_use(n->a, id);
  if (!use) use = first_use_list(&n->more, id);
  if (!use) use = first_use_list(&n->items, id);
  if (!use) use = first_use(n->b, id);
  return use ? use : first_use(n->c, id);
}

// The slot of a special parameter (caller, kwargs, varargs) if the body reads it; -1 otherwise.
static bool special_param(Pass *p, TNode *n, const char *name, int *slot) {
  uint32_t id;
  if (!intern(p, name, &id)) return false;
  *slot = -1;
  bool listed = false;
  for (size_t i = 0; i < n->more.n; i++) {
    if (n->more.at[i]->name_id != id) continue;
    listed = true;
    if (!strcmp(name, "caller") && !n->more.at[i]->a && first_use_list(&n->items, id) > 0)
      return tast_error(p->t, n->more.at[i]->pos, ZAYA_E_FORMAT, p->err,
                        "the parameter 'caller' must be omitted or have a default");
  }
  if (listed || first_use_list(&n->items, id) <= 0) return true;
  if (!declare(p, id)) return false;
  *slot = slot_of(p->sym, id);
  return true;
}

// The body of a macro or a call block.
static bool resolve_function(Pass *p, TNode *n) {
  p->closures++;
  if (!open_scope(p)) return false;
  for (size_t i = 0; i < n->more.n; i++)
    if (!declare(p, n->more.at[i]->name_id)) return false;
  if (!special_param(p, n, "caller", &n->caller_slot) || !special_param(p, n, "kwargs", &n->kwargs_slot) ||
      !special_param(p, n, "varargs", &n->varargs_slot))
    return false;
  for (size_t i = 0; i < n->more.n; i++)
    if (!collect(p, n->more.at[i]->a)) return false;
  if (!collect_list(p, &n->items)) return false;
  for (size_t i = 0; i < n->more.n; i++)
    if (!bind(p, n->more.at[i]) || !resolve_expr(p, n->more.at[i]->a)) return false;
  return resolve_nodes(p, &n->items) && close_scope(p, &n->scope);
}

static bool resolve_with(Pass *p, TNode *n) {
  for (size_t i = 0; i < n->more.n; i++)
    if (!resolve_expr(p, n->more.at[i]->b)) return false;
  if (!open_scope(p)) return false;
  for (size_t i = 0; i < n->more.n; i++)
    if (!collect_target(p, n->more.at[i]->a, false)) return false;
  if (!collect_list(p, &n->items)) return false;
  for (size_t i = 0; i < n->more.n; i++)
    if (!resolve_target(p, n->more.at[i]->a)) return false;
  return resolve_nodes(p, &n->items) && close_scope(p, &n->scope);
}

// A block whose output is caught; `filter` runs inside its scope.
static bool resolve_capture(Pass *p, TNode *n, TNode *filter) {
  if (!open_scope(p)) return false;
  if (!collect_list(p, &n->items) || !collect(p, filter)) return false;
  return resolve_nodes(p, &n->items) && resolve_expr(p, filter) && close_scope(p, &n->scope);
}

static bool resolve_expr(Pass *p, TNode *n) {
  if (!n) return true;
  if (n->kind == N_NAME && !bind(p, n)) return false;
  if ((n->kind == N_FILTER || n->kind == N_TEST) && !n->fn && !n->flag)
    return tast_error(p->t, n->pos, ZAYA_E_UNSUPPORTED, p->err, "there is no %s '%s'",
                      n->kind == N_FILTER ? "filter" : "test", n->name->p);
  for (size_t i = 0; i < n->items.n; i++)
    if (!resolve_expr(p, n->items.at[i])) return false;
  return resolve_expr(p, n->a) && resolve_expr(p, n->b) && resolve_expr(p, n->c);
}

static bool resolve_statement(Pass *p, TNode *n) {
  switch ((TKind)n->kind) {
  case N_IF:
    for (size_t i = 0; i < n->items.n; i++)
      if (!resolve_expr(p, n->items.at[i]->a) || !resolve_nodes(p, &n->items.at[i]->items)) return false;
    return true;
  case N_FOR: return resolve_for(p, n);
  case N_SET: return resolve_expr(p, n->b) && resolve_target(p, n->a);
  case N_SETBLOCK: return resolve_target(p, n->a) && resolve_capture(p, n, n->b);
  case N_FILTERBLOCK: return resolve_capture(p, n, n->a);
  case N_MACRO: return bind(p, n) && resolve_function(p, n);
  case N_CALLBLOCK: return resolve_expr(p, n->a) && resolve_function(p, n);
  case N_WITH: return resolve_with(p, n);
  case N_PRINT: return resolve_expr(p, n->a);
  default: return true;
  }
}

static bool resolve_nodes(Pass *p, const TNodes *list) {
  for (size_t i = 0; i < list->n; i++)
    if (!resolve_statement(p, list->at[i])) return false;
  return true;
}

bool tscope_resolve(Tmpl *t, zaya_error *err) {
  Pass p = {.t = t, .err = err};
  if (!open_scope(&p)) return false;
  return collect_list(&p, &t->body) && resolve_nodes(&p, &t->body) && close_scope(&p, &t->scope);
}
