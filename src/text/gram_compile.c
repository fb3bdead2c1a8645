// gram_compile: from the expressions of a builder to the compiled form of gram.h, and the analysis of
// that: shortest lengths, left recursion, empty repetitions.
//
// Code is emitted backwards: an expression is compiled with the node that follows it in hand, so a
// node's successors (except the way back of a loop) have smaller indices and one sweep in index order
// settles most lengths.
#include "text/gram.h"

#include <stdlib.h>
#include <string.h>

#define NONE        UINT32_MAX
#define SET_BUCKETS 1024

typedef struct Edge { // rule `from` may start with rule `to`
  uint32_t from, to;
} Edge;

typedef struct Compiler {
  const GramBuilder *b;
  Gram *g;
  zaya_error *err;
  bool failed;
  uint32_t cap_nodes, cap_sets, cap_loops, cap_rules;
  GramExpr *bodies; // [n_rules] what each rule is made of
  uint32_t cap_bodies;
  uint8_t *inlines;   // [n_defs] see inline_size
  uint32_t *set_next; // chains of equal hash
  uint32_t cap_set_next;
  uint32_t buckets[SET_BUCKETS];
  Edge *edges;
  uint32_t n_edges, cap_edges;
} Compiler;

static uint32_t limit(Compiler *c, const char *what) {
  if (!c->failed) err_set(c->err, ZAYA_E_LIMIT, "grammar too large: more than %s", what);
  c->failed = true;
  return 0;
}

static bool grow(Compiler *c, void **data, uint32_t *cap, uint32_t used, size_t size) {
  if (used < *cap) return true;
  uint32_t n = *cap ? *cap * 2 : 256;
  void *p = realloc(*data, n * size);
  if (!p) {
    if (!c->failed) err_memory(c->err, n * size, "a grammar");
    c->failed = true;
    return false;
  }
  *data = p;
  *cap = n;
  return true;
}

static uint32_t put_node(Compiler *c, GramOp op, uint32_t next, uint32_t arg) {
  Gram *g = c->g;
  if (c->failed) return 0;
  if (g->n_nodes >= GRAM_MAX_NODES) return limit(c, "1048576 nodes");
  void *p = g->nodes;
  bool ok = grow(c, &p, &c->cap_nodes, g->n_nodes, sizeof *g->nodes);
  g->nodes = p;
  if (!ok) return 0;
  g->nodes[g->n_nodes] =
      (GramNode){.op = (uint8_t)op, .tail = op == GRAM_CALL && next == 0, .next = next, .arg = arg};
  return g->n_nodes++;
}

static uint32_t put_set(Compiler *c, const GramSet *s) {
  Gram *g = c->g;
  uint64_t h = 0;
  for (int i = 0; i < 4; i++) h = (h ^ s->bits[i]) * 0x9E3779B97F4A7C15u;
  uint32_t *bucket = &c->buckets[(h >> 40) % SET_BUCKETS];
  for (uint32_t i = *bucket; i != NONE; i = c->set_next[i])
    if (!memcmp(&g->sets[i], s, sizeof *s)) return i;
  void *p = g->sets, *q = c->set_next;
  bool ok = grow(c, &p, &c->cap_sets, g->n_sets, sizeof *s);
  g->sets = p;
  ok = ok && grow(c, &q, &c->cap_set_next, g->n_sets, sizeof *c->set_next);
  c->set_next = q;
  if (!ok) return 0;
  g->sets[g->n_sets] = *s;
  c->set_next[g->n_sets] = *bucket;
  *bucket = g->n_sets;
  return g->n_sets++;
}

static void set_add(GramSet *s, unsigned byte) { s->bits[byte >> 6] |= (uint64_t)1 << (byte & 63); }

static bool set_is_empty(const GramSet *s) { return !(s->bits[0] | s->bits[1] | s->bits[2] | s->bits[3]); }

static uint32_t put_bytes(Compiler *c, const GramSet *s, uint32_t next) {
  return put_node(c, GRAM_BYTES, next, put_set(c, s));
}

// `acc` or `pc`, either of which may be NONE.
static uint32_t put_either(Compiler *c, uint32_t acc, uint32_t pc) {
  if (acc == NONE) return pc;
  if (pc == NONE) return acc;
  return put_node(c, GRAM_SPLIT, pc, acc);
}

// --- code points to bytes ------------------------------------------------------------------------------

typedef struct Cps { // the part of a class within one lead byte, and what follows the class
  const GramRange *r;
  size_t n;
  uint32_t next;
  uint32_t full[4]; // [j] node that takes any j continuation bytes; NONE until made
} Cps;

// Several bytes that lead to different nodes, gathered by node.
typedef struct Fan {
  uint32_t pc[64];
  GramSet set[64];
  int n;
} Fan;

static void fan_add(Fan *f, unsigned byte, uint32_t pc) {
  int i = 0;
  while (i < f->n && f->pc[i] != pc) i++;
  if (i == f->n) {
    f->pc[i] = pc;
    f->set[i] = (GramSet){{0}};
    f->n++;
  }
  set_add(&f->set[i], byte);
}

static uint32_t fan_emit(Compiler *c, const Fan *f, uint32_t acc) {
  for (int i = f->n - 1; i >= 0; i--) acc = put_either(c, acc, put_bytes(c, &f->set[i], f->pc[i]));
  return acc;
}

// The node that takes the j continuation bytes of those code points of the class that lie in
// lo .. lo + 64^j - 1; NONE when there are none.
static uint32_t emit_tail(Compiler *c, Cps *k, uint32_t lo, int j) {
  uint32_t hi = lo + ((uint32_t)1 << (6 * j)) - 1;
  size_t i = 0, m = k->n; // the first range that ends at or behind lo
  while (i < m) {
    size_t mid = i + (m - i) / 2;
    if (k->r[mid].hi < lo)
      i = mid + 1;
    else
      m = mid;
  }
  if (i == k->n || k->r[i].lo > hi) return NONE;
  if (j == 0) return k->next;
  bool full = k->r[i].lo <= lo && k->r[i].hi >= hi;
  if (full && k->full[j] != NONE) return k->full[j];
  Fan fan = {.n = 0};
  for (unsigned v = 0; v < 64; v++) {
    uint32_t pc = emit_tail(c, k, lo + (v << (6 * (j - 1))), j - 1);
    if (pc != NONE) fan_add(&fan, 0x80 + v, pc);
    if (c->failed) return 0;
  }
  uint32_t pc = fan_emit(c, &fan, NONE);
  if (full) k->full[j] = pc;
  return pc;
}

// The code points with `lead` as first byte of j + 1: those below `least` would be overlong.
static void emit_lead(Compiler *c, Cps *k, Fan *fan, unsigned lead, uint32_t base, int j, uint32_t least) {
  GramRange *cut = NULL;
  Cps part = *k;
  if (base < least) { // clip the class, which is rare: E0 and F0 only
    cut = malloc(k->n * sizeof *cut + 1);
    if (!cut) {
      if (!c->failed) err_memory(c->err, k->n * sizeof *cut, "a class");
      c->failed = true;
      return;
    }
    part.n = 0;
    for (size_t i = 0; i < k->n; i++)
      if (k->r[i].hi >= least)
        cut[part.n++] = (GramRange){k->r[i].lo < least ? least : k->r[i].lo, k->r[i].hi};
    part.r = cut;
  }
  uint32_t pc = emit_tail(c, &part, base, j);
  memcpy(k->full, part.full, sizeof k->full); // nodes made for one lead serve the next
  free(cut);
  if (pc != NONE) fan_add(fan, lead, pc);
}

// One code point of the class, then `next`; a node that matches nothing when the class is empty.
static uint32_t emit_set(Compiler *c, const GramX *x, uint32_t next) {
  Cps k = {.r = c->b->ranges + x->off, .n = x->n, .next = next, .full = {NONE, NONE, NONE, NONE}};
  GramSet ascii = {{0}};
  for (size_t i = 0; i < k.n && k.r[i].lo < 0x80; i++)
    for (uint32_t v = k.r[i].lo; v <= k.r[i].hi && v < 0x80; v++) set_add(&ascii, v);
  uint32_t acc = NONE;
  if (k.n && k.r[k.n - 1].hi >= 0x80) {
    Fan fan = {.n = 0};
    for (unsigned v = 0; v < 30; v++) emit_lead(c, &k, &fan, 0xC2 + v, (v + 2) << 6, 1, 0x80);
    for (unsigned v = 0; v < 16; v++) emit_lead(c, &k, &fan, 0xE0 + v, v << 12, 2, 0x800);
    for (unsigned v = 0; v < 5; v++) emit_lead(c, &k, &fan, 0xF0 + v, v << 18, 3, 0x10000);
    acc = fan_emit(c, &fan, NONE);
  }
  if (!set_is_empty(&ascii) || acc == NONE) acc = put_either(c, acc, put_bytes(c, &ascii, next));
  return acc;
}

// --- expressions to nodes ------------------------------------------------------------------------------

static uint32_t emit(Compiler *c, GramExpr e, uint32_t next);

// A rule whose code is emitted later.
static uint32_t put_rule(Compiler *c, GramExpr body) {
  Gram *g = c->g;
  if (g->n_rules >= GRAM_MAX_RULES) return limit(c, "32768 rules");
  void *p = g->rules, *q = c->bodies;
  bool ok = grow(c, &p, &c->cap_rules, g->n_rules, sizeof *g->rules);
  g->rules = p;
  ok = ok && grow(c, &q, &c->cap_bodies, g->n_rules, sizeof *c->bodies);
  c->bodies = q;
  if (!ok) return 0;
  g->rules[g->n_rules] = (GramRule){0};
  c->bodies[g->n_rules] = body;
  return g->n_rules++;
}

// A copy of a repeated expression: its code, or a call of the rule that holds it.
static uint32_t emit_copy(Compiler *c, GramExpr body, uint32_t rule, uint32_t next) {
  return rule == NONE ? emit(c, body, next) : put_node(c, GRAM_CALL, next, rule);
}

static uint32_t emit_counted(Compiler *c, const GramX *x, uint32_t next) {
  Gram *g = c->g;
  uint32_t body = put_rule(c, x->off);
  void *p = g->loops;
  bool ok = grow(c, &p, &c->cap_loops, g->n_loops, sizeof *g->loops);
  g->loops = p;
  if (!ok || c->failed) return 0;
  g->loops[g->n_loops] = (GramLoop){.body = body, .min = x->min, .max = x->max};
  return put_node(c, GRAM_LOOP, next, g->n_loops++);
}

static uint32_t emit_repeat(Compiler *c, const GramX *x, uint32_t next) {
  if (!gram_unrolls(x->min, x->max)) return emit_counted(c, x, next);
  uint32_t rule = gram_copies(x->min, x->max, c->b->x[x->off].size) ? NONE : put_rule(c, x->off), pc = next;
  if (x->max == GRAM_INF) {
    pc = put_node(c, GRAM_SPLIT, 0, next);
    uint32_t body = emit_copy(c, x->off, rule, pc);
    if (!c->failed) c->g->nodes[pc].next = body;
  } else {
    for (uint32_t i = x->min; i < x->max && !c->failed; i++)
      pc = put_node(c, GRAM_SPLIT, emit_copy(c, x->off, rule, pc), next);
  }
  for (uint32_t i = 0; i < x->min && !c->failed; i++) pc = emit_copy(c, x->off, rule, pc);
  return pc;
}

// Whether a use of the rule is replaced by its expression: small, not recursive, without loops (or very
// small: blanks, one class repeated). That keeps the automaton inside one rule where it would otherwise
// call and return at every character, so that masks computed for a place hold whatever the stack below;
// while a rule like a JSON string stays one place, however many others use it. The size is the one with the
// rules inside written out, so that inlining cannot multiply.
enum {
  INLINE_UNKNOWN = 0,
  INLINE_BUSY = 254,
  INLINE_NO = 255,
  INLINE_SIZE = 64,
  INLINE_LOOP = 48,
  INLINE_NEST = 32
};

static uint32_t inline_size(Compiler *c, uint32_t rule, int nest);

// Nodes that the expression takes, or more than INLINE_SIZE when it cannot be inlined.
static uint32_t inline_expr(Compiler *c, GramExpr e, int nest) {
  const GramX *x = &c->b->x[e];
  uint32_t sum = 0;
  if (x->size > INLINE_SIZE) return INLINE_NO;
  switch ((GramKind)x->kind) {
  case GRAM_X_REPEAT:
    if (!gram_unrolls(x->min, x->max) || !gram_copies(x->min, x->max, c->b->x[x->off].size)) return INLINE_NO;
    sum = (inline_expr(c, x->off, nest) + 1) * (x->max == GRAM_INF ? x->min + 1 : x->max); // at most 256 * 16
    if (x->max == GRAM_INF) sum += INLINE_LOOP;
    return sum > INLINE_SIZE ? INLINE_NO : sum;
  case GRAM_X_RULE: return inline_size(c, x->off, nest + 1);
  case GRAM_X_CAT:
  case GRAM_X_ALT:
    for (uint32_t i = 0; i < x->n && sum <= INLINE_SIZE; i++)
      sum += 1 + inline_expr(c, c->b->kids[x->off + i], nest);
    return sum;
  default: return x->size;
  }
}

static uint32_t inline_size(Compiler *c, uint32_t rule, int nest) {
  uint8_t *known = &c->inlines[rule];
  GramExpr x = c->b->defs[rule].x;
  if (*known == INLINE_BUSY || nest > INLINE_NEST || !x) return INLINE_NO;
  if (*known == INLINE_UNKNOWN) {
    *known = INLINE_BUSY;
    uint32_t size = inline_expr(c, x, nest) + 1;
    *known = size > INLINE_SIZE ? INLINE_NO : (uint8_t)size;
  }
  return *known;
}

static uint32_t emit(Compiler *c, GramExpr e, uint32_t next) {
  const GramX *x = &c->b->x[e];
  if (c->failed) return 0;
  switch ((GramKind)x->kind) {
  case GRAM_X_NONE:
  case GRAM_X_EMPTY: return next;
  case GRAM_X_BYTES:
    for (uint32_t i = x->n; i-- > 0 && !c->failed;) {
      GramSet s = {{0}};
      set_add(&s, (uint8_t)c->b->text.data[x->off + i]);
      next = put_bytes(c, &s, next);
    }
    return next;
  case GRAM_X_SET: return emit_set(c, x, next);
  case GRAM_X_CAT:
    for (uint32_t i = x->n; i-- > 0;) next = emit(c, c->b->kids[x->off + i], next);
    return next;
  case GRAM_X_ALT: {
    uint32_t acc = NONE;
    for (uint32_t i = x->n; i-- > 0;) acc = put_either(c, acc, emit(c, c->b->kids[x->off + i], next));
    return acc;
  }
  case GRAM_X_REPEAT: return emit_repeat(c, x, next);
  case GRAM_X_RULE:
    if (inline_size(c, x->off, 0) <= INLINE_SIZE) return emit(c, c->b->defs[x->off].x, next);
    return put_node(c, GRAM_CALL, next, x->off);
  }
  return next;
}

static bool emit_rules(Compiler *c) {
  const GramBuilder *b = c->b;
  Gram *g = c->g;
  put_node(c, GRAM_RET, 0, 0);
  for (uint32_t i = 0; i < b->n_defs; i++) {
    if (!b->defs[i].x) {
      err_set(c->err, ZAYA_E_INVALID, "rule \"%s\" is used but not defined", b->defs[i].name);
      return false;
    }
    put_rule(c, b->defs[i].x);
  }
  for (uint32_t i = 0; i < g->n_rules && !c->failed; i++) { // grows: bodies of loops
    uint32_t first = g->n_nodes, start = emit(c, c->bodies[i], 0);
    g->rules[i] = (GramRule){.first = first, .start = start, .end = g->n_nodes};
  }
  return !c->failed;
}

// --- analysis --------------------------------------------------------------------------------------------

static uint32_t sat_add(uint32_t a, uint32_t b) {
  if (a == GRAM_INF || b == GRAM_INF) return GRAM_INF;
  uint64_t s = (uint64_t)a + b;
  return s >= GRAM_INF ? GRAM_INF - 1 : (uint32_t)s;
}

static uint32_t sat_mul(uint32_t a, uint32_t b) {
  if (!a || !b) return 0;
  if (a == GRAM_INF || b == GRAM_INF) return GRAM_INF;
  uint64_t s = (uint64_t)a * b;
  return s >= GRAM_INF ? GRAM_INF - 1 : (uint32_t)s;
}

static uint32_t rule_len(const Gram *g, uint32_t rule) { return g->min_len[g->rules[rule].start]; }

static uint32_t node_len(const Gram *g, const GramNode *n) {
  uint32_t next = g->min_len[n->next];
  switch ((GramOp)n->op) {
  case GRAM_RET: return 0;
  case GRAM_BYTES: return set_is_empty(&g->sets[n->arg]) ? GRAM_INF : sat_add(1, next);
  case GRAM_CALL: return sat_add(rule_len(g, n->arg), next);
  case GRAM_LOOP: return sat_add(sat_mul(g->loops[n->arg].min, rule_len(g, g->loops[n->arg].body)), next);
  case GRAM_SPLIT: return g->min_len[n->arg] < next ? g->min_len[n->arg] : next;
  }
  return GRAM_INF;
}

// The rule that a node calls, or NONE.
static uint32_t callee(const Gram *g, const GramNode *n) {
  if (n->op == GRAM_CALL) return n->arg;
  return n->op == GRAM_LOOP ? g->loops[n->arg].body : NONE;
}

typedef struct Lengths {             // work list of rules whose callees got shorter
  uint32_t *queue, *callers, *first; // callers of rule r: callers[first[r] .. first[r + 1])
  uint8_t *queued;
  uint32_t head, count;
} Lengths;

static bool lengths_alloc(Compiler *c, Lengths *l) {
  const Gram *g = c->g;
  uint32_t n_calls = 0;
  for (uint32_t i = 0; i < g->n_nodes; i++) n_calls += callee(g, &g->nodes[i]) != NONE;
  l->queue = malloc((g->n_rules + 1) * sizeof *l->queue);
  l->first = calloc(g->n_rules + 2, sizeof *l->first);
  l->callers = malloc((n_calls + 1) * sizeof *l->callers);
  l->queued = malloc(g->n_rules + 1);
  if (!l->queue || !l->first || !l->callers || !l->queued)
    return err_memory(c->err, (size_t)n_calls * 4, "a grammar");
  for (uint32_t r = 0; r < g->n_rules; r++)
    for (uint32_t i = g->rules[r].first; i < g->rules[r].end; i++)
      if (callee(g, &g->nodes[i]) != NONE) l->first[callee(g, &g->nodes[i]) + 2]++;
  for (uint32_t r = 2; r <= g->n_rules; r++) l->first[r] += l->first[r - 1];
  for (uint32_t r = 0; r < g->n_rules; r++)
    for (uint32_t i = g->rules[r].first; i < g->rules[r].end; i++)
      if (callee(g, &g->nodes[i]) != NONE) l->callers[l->first[callee(g, &g->nodes[i]) + 1]++] = r;
  return true;
}

// Brings the lengths of one rule to rest; the number of nodes looked at is added to *work.
static void rule_lengths(Gram *g, uint32_t rule, uint64_t *work) {
  const GramRule *r = &g->rules[rule];
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = r->first; i < r->end; i++) {
      uint32_t len = node_len(g, &g->nodes[i]);
      if (len < g->min_len[i]) {
        g->min_len[i] = len;
        changed = true;
      }
    }
    *work += r->end - r->first + 1;
  }
}

// Shortest lengths by relaxation: all start at infinity and only ever shrink.
static bool find_lengths(Compiler *c) {
  Gram *g = c->g;
  Lengths l = {0};
  g->min_len = malloc(g->n_nodes * sizeof *g->min_len);
  bool ok = g->min_len && lengths_alloc(c, &l);
  if (!g->min_len) err_memory(c->err, g->n_nodes * 4, "a grammar");
  if (ok) {
    memset(g->min_len, 0xFF, g->n_nodes * sizeof *g->min_len);
    g->min_len[0] = 0;
    memset(l.queued, 1, g->n_rules);
    for (uint32_t r = 0; r < g->n_rules; r++) l.queue[r] = g->n_rules - 1 - r;
    l.count = g->n_rules;
  }
  uint64_t work = 0;
  while (ok && l.count) {
    uint32_t r = l.queue[l.head];
    l.head = (l.head + 1) % g->n_rules;
    l.count--;
    l.queued[r] = 0;
    uint32_t before = rule_len(g, r);
    rule_lengths(g, r, &work);
    if (work > 400000000) ok = err_set(c->err, ZAYA_E_LIMIT, "grammar too tangled to analyse");
    if (rule_len(g, r) == before) continue;
    for (uint32_t i = l.first[r]; i < l.first[r + 1]; i++) {
      uint32_t up = l.callers[i];
      if (l.queued[up]) continue;
      l.queued[up] = 1;
      l.queue[(l.head + l.count++) % g->n_rules] = up;
    }
  }
  free(l.queue);
  free(l.first);
  free(l.callers);
  free(l.queued);
  return ok;
}

// Counting the rounds of something that can be empty would make as many parallel states: refused,
// except where it changes nothing (no upper bound: then no lower one either).
static bool check_loops(Compiler *c) {
  Gram *g = c->g;
  for (uint32_t i = 0; i < g->n_loops; i++) {
    GramLoop *l = &g->loops[i];
    if (rule_len(g, l->body) != 0) continue;
    if (l->max != GRAM_INF)
      return err_set(c->err, ZAYA_E_LIMIT,
                     "a repetition {%u,%u} of something that may be empty: too many ways to match; "
                     "at most 16 rounds are possible",
                     l->min, l->max);
    l->min = 0;
  }
  return true;
}

static void put_edge(Compiler *c, uint32_t from, uint32_t to) {
  void *p = c->edges;
  bool ok = grow(c, &p, &c->cap_edges, c->n_edges, sizeof *c->edges);
  c->edges = p;
  if (ok) c->edges[c->n_edges++] = (Edge){from, to};
}

// What rule r may start with, by the nodes reached without a byte.
static void left_edges(Compiler *c, uint32_t r, uint8_t *seen, uint32_t *stack) {
  const Gram *g = c->g;
  uint32_t n = 0;
  stack[n++] = g->rules[r].start;
  memset(seen + g->rules[r].first, 0, g->rules[r].end - g->rules[r].first);
  while (n) {
    uint32_t pc = stack[--n];
    const GramNode *node = &g->nodes[pc];
    if (pc == 0 || seen[pc] || node->op == GRAM_BYTES) continue;
    seen[pc] = 1;
    uint32_t to = callee(g, node);
    if (node->op == GRAM_SPLIT) stack[n++] = node->arg;
    if (to != NONE) put_edge(c, r, to);
    bool on = node->op == GRAM_SPLIT || rule_len(g, to) == 0 ||
              (node->op == GRAM_LOOP && g->loops[node->arg].min == 0);
    if (on) stack[n++] = node->next;
  }
}

static const char *rule_name(const Compiler *c, uint32_t r) {
  return r < c->b->n_defs ? c->b->defs[r].name : "(a repetition)";
}

// Looks for a cycle among the left edges, with an explicit stack.
static bool find_cycle(Compiler *c, uint32_t *first, uint32_t *stack, uint8_t *color) {
  const Gram *g = c->g;
  for (uint32_t root = 0; root < g->n_rules; root++) {
    uint32_t n = 0;
    if (color[root]) continue;
    color[root] = 1;
    stack[n++] = root;
    while (n) {
      uint32_t r = stack[n - 1];
      if (first[r] < c->n_edges && c->edges[first[r]].from == r) {
        uint32_t to = c->edges[first[r]++].to;
        if (color[to] == 1) {
          if (to >= c->b->n_defs) to = r; // name a rule that its author wrote
          return err_set(c->err, ZAYA_E_INVALID,
                         "rule \"%s\" is left-recursive: it can start with itself before any character; "
                         "write it with a repetition instead",
                         rule_name(c, to));
        }
        if (color[to]) continue;
        color[to] = 1;
        stack[n++] = to;
      } else {
        color[r] = 2;
        n--;
      }
    }
  }
  return true;
}

static bool check_left_recursion(Compiler *c) {
  const Gram *g = c->g;
  uint8_t *seen = calloc(g->n_nodes, 1), *color = calloc(g->n_rules + 1, 1);
  uint32_t *stack = malloc(((size_t)g->n_nodes * 2 + g->n_rules + 2) * sizeof *stack);
  uint32_t *first = malloc((g->n_rules + 1) * sizeof *first);
  bool ok = seen && color && stack && first;
  if (!ok) err_memory(c->err, (size_t)g->n_nodes * 8, "a grammar");
  for (uint32_t r = 0; ok && r < g->n_rules; r++) {
    first[r] = c->n_edges;
    left_edges(c, r, seen, stack);
    ok = !c->failed;
  }
  ok = ok && find_cycle(c, first, stack, color);
  free(seen);
  free(color);
  free(stack);
  free(first);
  return ok;
}

static bool analyse(Compiler *c, uint32_t root) {
  if (!find_lengths(c) || !check_loops(c) || !check_left_recursion(c)) return false;
  if (rule_len(c->g, root) == GRAM_INF)
    return err_set(c->err, ZAYA_E_INVALID, "rule \"%s\" matches no text at all", rule_name(c, root));
  return true;
}

Gram *gram_compile(const GramBuilder *b, uint32_t root, zaya_error *err) {
  if (!gram_builder_ok(b, err)) return NULL;
  Compiler c = {.b = b, .err = err};
  for (size_t i = 0; i < SET_BUCKETS; i++) c.buckets[i] = NONE;
  c.g = calloc(1, sizeof *c.g);
  c.inlines = calloc(b->n_defs + 1, 1);
  bool ok = c.g && c.inlines;
  if (!ok) err_memory(err, sizeof *c.g, "a grammar");
  if (ok) {
    atomic_init(&c.g->refs, 1);
    c.g->root = root;
  }
  ok = ok && (root < b->n_defs || err_set(err, ZAYA_E_INVALID, "the grammar has no root rule"));
  ok = ok && emit_rules(&c) && analyse(&c, root);
  free(c.bodies);
  free(c.inlines);
  free(c.set_next);
  free(c.edges);
  if (ok) return c.g;
  gram_free(c.g);
  return NULL;
}

Gram *gram_ref(const Gram *g) {
  Gram *mine = (Gram *)g; // the count is the one mutable part
  atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
  return mine;
}

void gram_free(Gram *g) {
  if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
  free(g->nodes);
  free(g->min_len);
  free(g->sets);
  free(g->loops);
  free(g->rules);
  free(g);
}
