// regex_nfa: intersections of patterns with one another and with a length, as products of automata over
// code points. See regex_all in regex.h. Everything is bounded; what is too large is refused.
#include "text/jstr.h"
#include "text/regex.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STATES 6000u
#define MAX_EDGES  60000u
#define MAX_SETS   2000u

typedef struct Edge {
  uint32_t set, to;
} Edge;

typedef struct Nfa { // without empty moves; state 0 is the start
  uint32_t n, cap;
  uint32_t *first; // [n + 1] edges of state s: edges[first[s] .. first[s + 1])
  bool *accepts;
  Edge *edges;
  uint32_t n_edges, cap_edges;
} Nfa;

typedef struct SetRef { // ranges[off .. off + n), sorted
  uint32_t off, n;
  GramExpr expr;
} SetRef;

typedef struct Product { // what all automata of one call share
  GramRange *ranges;
  uint32_t n_ranges, cap_ranges;
  SetRef sets[MAX_SETS];
  uint32_t n_sets;
  zaya_error *err;
} Product;

static bool too_large(Product *p) {
  return err_set(p->err, ZAYA_E_LIMIT,
                 "pattern together with a length or with another pattern: more than %u states or %u steps",
                 MAX_STATES, MAX_EDGES);
}

static bool grow(Product *p, void **data, uint32_t *cap, uint32_t need, size_t size) {
  if (need <= *cap) return true;
  uint32_t n = *cap ? *cap : 64;
  while (n < need) n *= 2;
  void *q = realloc(*data, n * size);
  if (!q) {
    err_memory(p->err, n * size, "a pattern");
    return false;
  }
  *data = q;
  *cap = n;
  return true;
}

// --- sets --------------------------------------------------------------------------------------------------

// The number of the set whose ranges were just appended from `off` on; equal sets have equal numbers.
static bool intern_set(Product *p, uint32_t off, uint32_t *out) {
  uint32_t n = p->n_ranges - off;
  for (uint32_t i = 0; i < p->n_sets; i++) {
    const SetRef *s = &p->sets[i];
    if (s->n != n || (n && memcmp(p->ranges + s->off, p->ranges + off, n * sizeof *p->ranges))) continue;
    p->n_ranges = off;
    *out = i;
    return true;
  }
  if (p->n_sets == MAX_SETS) return too_large(p);
  p->sets[p->n_sets] = (SetRef){.off = off, .n = n};
  *out = p->n_sets++;
  return true;
}

static bool put_range(Product *p, uint32_t lo, uint32_t hi) {
  void *data = p->ranges;
  bool ok = grow(p, &data, &p->cap_ranges, p->n_ranges + 1, sizeof *p->ranges);
  p->ranges = data;
  if (ok) p->ranges[p->n_ranges++] = (GramRange){lo, hi};
  return ok;
}

static bool set_from(Product *p, const GramRange *r, uint32_t n, uint32_t *out) {
  uint32_t off = p->n_ranges;
  for (uint32_t i = 0; i < n; i++)
    if (!put_range(p, r[i].lo, r[i].hi)) return false;
  return intern_set(p, off, out);
}

// The characters in both sets; *empty when there is none.
static bool set_both(Product *p, uint32_t x, uint32_t y, uint32_t *out, bool *empty) {
  *empty = false;
  if (x == y) return *out = x, true;
  uint32_t off = p->n_ranges, i = 0, j = 0;
  while (i < p->sets[x].n && j < p->sets[y].n) {
    GramRange a = p->ranges[p->sets[x].off + i], b = p->ranges[p->sets[y].off + j];
    uint32_t lo = a.lo > b.lo ? a.lo : b.lo, hi = a.hi < b.hi ? a.hi : b.hi;
    if (lo <= hi && !put_range(p, lo, hi)) return false;
    if (a.hi < b.hi)
      i++;
    else
      j++;
  }
  *empty = p->n_ranges == off;
  return *empty || intern_set(p, off, out);
}

// --- automata
// ------------------------------------------------------------------------------------------------

static void nfa_free(Nfa *a) {
  free(a->first);
  free(a->accepts);
  free(a->edges);
  *a = (Nfa){0};
}

static bool put_edge(Product *p, Nfa *a, uint32_t set, uint32_t to) {
  if (a->n_edges == MAX_EDGES) return too_large(p);
  void *data = a->edges;
  bool ok = grow(p, &data, &a->cap_edges, a->n_edges + 1, sizeof *a->edges);
  a->edges = data;
  if (ok) a->edges[a->n_edges++] = (Edge){set, to};
  return ok;
}

// Ends the edges of the last state begun and begins the next one.
static bool begin_state(Product *p, Nfa *a, bool accepts) {
  if (a->n == MAX_STATES) return too_large(p);
  uint32_t cap = a->cap;
  void *first = a->first, *acc = a->accepts;
  bool ok = grow(p, &first, &cap, a->n + 2, sizeof *a->first);
  a->first = first;
  cap = a->cap;
  ok = ok && grow(p, &acc, &cap, a->n + 2, sizeof *a->accepts);
  a->accepts = acc;
  if (!ok) return false;
  a->cap = cap;
  a->first[a->n] = a->n_edges;
  a->accepts[a->n++] = accepts;
  a->first[a->n] = a->n_edges;
  return true;
}

static void end_state(Nfa *a) { a->first[a->n] = a->n_edges; }

// --- a pattern as an automaton: first a program, then its positions
// -----------------------------------------

typedef struct Op {
  enum { OP_SET, OP_SPLIT, OP_ACCEPT } kind;
  uint32_t set;   // SET
  uint32_t a, b;  // SET: a follows; SPLIT: both
  uint32_t state; // SET: the state behind it
} Op;

typedef struct Program {
  Product *p;
  const Regex *r;
  Op *ops;
  uint32_t n, cap;
} Program;

static bool put_op(Program *g, Op op, uint32_t *out) {
  if (g->n >= 4 * MAX_STATES) return too_large(g->p);
  void *data = g->ops;
  bool ok = grow(g->p, &data, &g->cap, g->n + 1, sizeof op);
  g->ops = data;
  if (!ok) return false;
  g->ops[g->n] = op;
  *out = g->n++;
  return true;
}

static bool compile(Program *g, uint32_t node, uint32_t next, uint32_t *out);

static bool compile_repeat(Program *g, const RegexNode *n, uint32_t next, uint32_t *out) {
  uint32_t pc = next, body;
  if (n->max == GRAM_INF) {
    if (!put_op(g, (Op){.kind = OP_SPLIT, .b = next}, &pc) || !compile(g, n->a, pc, &body)) return false;
    g->ops[pc].a = body;
  } else {
    for (uint32_t i = n->min; i < n->max; i++)
      if (!compile(g, n->a, pc, &body) || !put_op(g, (Op){.kind = OP_SPLIT, .a = body, .b = next}, &pc))
        return false;
  }
  for (uint32_t i = 0; i < n->min; i++) {
    uint32_t before = pc;
    if (!compile(g, n->a, pc, &pc)) return false;
    if (pc == before) break; // it is empty
  }
  *out = pc;
  return true;
}

static bool compile(Program *g, uint32_t node, uint32_t next, uint32_t *out) {
  const RegexNode *n = &g->r->nodes[node];
  uint32_t x, y;
  switch (n->kind) {
  case REGEX_EMPTY: *out = next; return true;
  case REGEX_SET:
    return set_from(g->p, g->r->ranges + n->a, n->b, &x) &&
           put_op(g, (Op){.kind = OP_SET, .set = x, .a = next}, out);
  case REGEX_REPEAT: return compile_repeat(g, n, next, out);
  case REGEX_CAT: // chains lean to the left: from the back, without recursion
    for (; g->r->nodes[node].kind == REGEX_CAT; node = g->r->nodes[node].a)
      if (!compile(g, g->r->nodes[node].b, next, &next)) return false;
    return compile(g, node, next, out);
  case REGEX_ALT:
    if (!compile(g, n->b, next, &x)) return false;
    for (node = n->a; g->r->nodes[node].kind == REGEX_ALT; node = g->r->nodes[node].a)
      if (!compile(g, g->r->nodes[node].b, next, &y) ||
          !put_op(g, (Op){.kind = OP_SPLIT, .a = y, .b = x}, &x))
        return false;
    return compile(g, node, next, &y) && put_op(g, (Op){.kind = OP_SPLIT, .a = y, .b = x}, out);
  }
  return false;
}

// Begins the state whose program counter is `pc`: its edges are the sets reachable without a character.
static bool put_closure(Program *g, Nfa *out, uint32_t pc, uint32_t *seen, uint32_t stamp, uint32_t *stack) {
  uint32_t n = 0;
  if (!begin_state(g->p, out, false)) return false;
  stack[n++] = pc;
  while (n) {
    uint32_t at = stack[--n];
    if (seen[at] == stamp) continue;
    seen[at] = stamp;
    const Op *op = &g->ops[at];
    if (op->kind == OP_ACCEPT)
      out->accepts[out->n - 1] = true;
    else if (op->kind == OP_SET) {
      if (!put_edge(g->p, out, op->set, op->state)) return false;
    } else {
      stack[n++] = op->b;
      stack[n++] = op->a;
    }
  }
  end_state(out);
  return true;
}

static bool nfa_of(Product *p, const Regex *r, Nfa *out) {
  Program g = {.p = p, .r = r};
  uint32_t accept, start = 0, states = 1;
  bool ok = put_op(&g, (Op){.kind = OP_ACCEPT}, &accept) && compile(&g, r->root, accept, &start);
  for (uint32_t i = 0; ok && i < g.n; i++)
    if (g.ops[i].kind == OP_SET) g.ops[i].state = states++;
  uint32_t *seen = calloc(g.n + 1, sizeof *seen), *stack = malloc((2 * (size_t)g.n + 2) * sizeof *stack);
  if (!seen || !stack) {
    err_memory(p->err, g.n * sizeof *seen, "a pattern");
    ok = false;
  }
  ok = ok && put_closure(&g, out, start, seen, 1, stack);
  for (uint32_t i = 0, stamp = 2; ok && i < g.n; i++)
    if (g.ops[i].kind == OP_SET) ok = put_closure(&g, out, g.ops[i].a, seen, stamp++, stack);
  free(seen);
  free(stack);
  free(g.ops);
  return ok;
}

// min to max of any character.
static bool nfa_length(Product *p, uint32_t min, uint32_t max, Nfa *out) {
  static const GramRange all = {0, 0x10FFFF};
  uint32_t any, last = max == GRAM_INF ? min : max;
  if (last >= MAX_STATES) return too_large(p);
  if (!set_from(p, &all, 1, &any)) return false;
  for (uint32_t i = 0; i <= last; i++) {
    if (!begin_state(p, out, i >= min)) return false;
    if (i < last && !put_edge(p, out, any, i + 1)) return false;
    if (i == last && max == GRAM_INF && !put_edge(p, out, any, i)) return false;
    end_state(out);
  }
  return true;
}

// --- products
// --------------------------------------------------------------------------------------------------

typedef struct Pairs { // numbering of pairs of states, in order of discovery
  uint64_t *list;
  uint32_t n;
  uint32_t *slots; // hash table: number + 1
  uint32_t n_slots;
} Pairs;

static uint32_t pair_number(Pairs *q, uint32_t x, uint32_t y) { // MAX_STATES when there are too many
  uint64_t pair = (uint64_t)x << 32 | y;
  uint32_t at = (uint32_t)((pair * 0x9E3779B97F4A7C15u) >> 40) & (q->n_slots - 1);
  for (; q->slots[at]; at = (at + 1) & (q->n_slots - 1))
    if (q->list[q->slots[at] - 1] == pair) return q->slots[at] - 1;
  if (q->n == MAX_STATES) return MAX_STATES;
  q->list[q->n] = pair;
  q->slots[at] = ++q->n;
  return q->n - 1;
}

static bool put_products(Product *p, const Nfa *a, const Nfa *b, uint64_t pair, Pairs *q, Nfa *out) {
  uint32_t x = (uint32_t)(pair >> 32), y = (uint32_t)pair;
  if (!begin_state(p, out, a->accepts[x] && b->accepts[y])) return false;
  for (uint32_t i = a->first[x]; i < a->first[x + 1]; i++)
    for (uint32_t j = b->first[y]; j < b->first[y + 1]; j++) {
      uint32_t set;
      bool empty;
      if (!set_both(p, a->edges[i].set, b->edges[j].set, &set, &empty)) return false;
      if (empty) continue;
      uint32_t to = pair_number(q, a->edges[i].to, b->edges[j].to);
      if (to == MAX_STATES) return too_large(p);
      if (!put_edge(p, out, set, to)) return false;
    }
  end_state(out);
  return true;
}

static bool nfa_product(Product *p, const Nfa *a, const Nfa *b, Nfa *out) {
  Pairs q = {.n_slots = 16384};
  q.list = malloc(MAX_STATES * sizeof *q.list);
  q.slots = calloc(q.n_slots, sizeof *q.slots);
  bool ok = q.list && q.slots && a->accepts && b->accepts;
  if (!ok) err_memory(p->err, MAX_STATES * sizeof *q.list, "a pattern");
  if (ok) pair_number(&q, 0, 0);
  for (uint32_t i = 0; ok && i < q.n; i++) ok = put_products(p, a, b, q.list[i], &q, out);
  free(q.list);
  free(q.slots);
  return ok;
}

// --- to a grammar
// ------------------------------------------------------------------------------------------------

// One rule a state, each ending in a use of the next: those calls need no stack.
static GramExpr nfa_expr(Product *p, const Nfa *a, GramBuilder *b, RegexTarget target) {
  uint32_t base = 0;
  for (uint32_t s = 0; s < a->n; s++) {
    uint32_t rule = gram_rule(b, "a pattern");
    if (!s) base = rule;
  }
  GramExpr *alts = malloc((MAX_EDGES + 2) * sizeof *alts);
  if (!alts) return err_memory(&b->err, MAX_EDGES * sizeof *alts, "a pattern"), 0;
  for (uint32_t s = 0; s < a->n && gram_builder_ok(b, NULL); s++) {
    size_t n = 0;
    for (uint32_t i = a->first[s]; i < a->first[s + 1]; i++) {
      SetRef *set = &p->sets[a->edges[i].set];
      const GramRange *r = p->ranges + set->off;
      if (!set->expr)
        set->expr = target == REGEX_JSON ? jstr_set(b, r, set->n) : gram_set(b, r, set->n, false);
      alts[n++] = gram_cat2(b, set->expr, gram_use(b, base + a->edges[i].to));
    }
    if (a->accepts[s]) alts[n++] = gram_empty(b);
    gram_define(b, base + s, gram_alt(b, alts, n));
  }
  free(alts);
  return gram_use(b, base);
}

bool regex_all(const Regex *const *r, size_t n, uint32_t min, uint32_t max, GramBuilder *b,
               RegexTarget target, GramExpr *out, zaya_error *err) {
  if (n == 1 && min == 0 && max == GRAM_INF) return *out = regex_expr(r[0], b, target), true;
  Product *p = calloc(1, sizeof *p);
  if (!p) {
    err_memory(err, sizeof *p, "a pattern");
    return false;
  }
  p->err = err;
  Nfa all = {0};
  bool ok = nfa_length(p, min, max, &all);
  for (size_t i = 0; ok && i < n; i++) {
    Nfa one = {0}, both = {0};
    ok = nfa_of(p, r[i], &one) && nfa_product(p, &all, &one, &both);
    nfa_free(&one);
    nfa_free(&all);
    all = both;
  }
  if (ok) *out = nfa_expr(p, &all, b, target);
  nfa_free(&all);
  free(p->ranges);
  free(p);
  return ok;
}
