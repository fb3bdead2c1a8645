// regex: the parser and the direct way to a grammar; see regex.h. regex_nfa.c has the intersections.
#include "text/regex.h"

#include "text/jstr.h"
#include "text/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATTERN 65536u
#define MAX_NEST    100
#define MAX_RANGES  2048

typedef struct Parser {
  Regex *r;
  const char *text, *p, *end;
  bool contains;
  int nest;
  zaya_error *err;
} Parser;

typedef struct Class { // a character class being gathered
  GramRange r[MAX_RANGES];
  size_t n;
} Class;

static bool fail_at(const Parser *g, const char *at, const char *what) {
  int shown = g->end - at < 12 ? (int)(g->end - at) : 12;
  return err_set(g->err, ZAYA_E_UNSUPPORTED, "pattern: offset %zu (\"%.*s\"): %s", (size_t)(at - g->text),
                 shown, at, what);
}

static bool fail(const Parser *g, const char *what) { return fail_at(g, g->p, what); }

static int peek(const Parser *g) { return g->p < g->end ? (unsigned char)*g->p : -1; }

static int peek2(const Parser *g) { return g->end - g->p > 1 ? (unsigned char)g->p[1] : -1; }

// --- nodes ---------------------------------------------------------------------------------------------

static bool put(Parser *g, RegexNode n, uint32_t *out) {
  Regex *r = g->r;
  if (r->n_nodes == r->cap_nodes) {
    uint32_t cap = r->cap_nodes ? r->cap_nodes * 2 : 64;
    RegexNode *p = realloc(r->nodes, cap * sizeof *p);
    if (!p) {
      err_memory(g->err, cap * sizeof *p, "a pattern");
      return false;
    }
    r->nodes = p;
    r->cap_nodes = cap;
  }
  if (n.kind >= REGEX_CAT) {
    n.depth = r->nodes[n.a].depth + 1;
    if (n.kind != REGEX_REPEAT && r->nodes[n.b].depth >= n.depth) n.depth = r->nodes[n.b].depth + 1;
  }
  r->nodes[r->n_nodes] = n;
  *out = r->n_nodes++;
  return true;
}

static int range_order(const void *a, const void *b) {
  const GramRange *x = a, *y = b;
  return x->lo < y->lo ? -1 : x->lo > y->lo;
}

static bool put_range(Parser *g, uint32_t lo, uint32_t hi) {
  Regex *r = g->r;
  if (r->n_ranges == r->cap_ranges) {
    uint32_t cap = r->cap_ranges ? r->cap_ranges * 2 : 64;
    GramRange *p = realloc(r->ranges, cap * sizeof *p);
    if (!p) {
      err_memory(g->err, cap * sizeof *p, "a pattern");
      return false;
    }
    r->ranges = p;
    r->cap_ranges = cap;
  }
  r->ranges[r->n_ranges++] = (GramRange){lo, hi};
  return true;
}

// A set node of the class, sorted, merged and perhaps negated.
static bool put_class(Parser *g, Class *c, bool negate, uint32_t *out) {
  uint32_t first = g->r->n_ranges, from = 0;
  qsort(c->r, c->n, sizeof *c->r, range_order);
  size_t m = 0;
  for (size_t i = 0; i < c->n; i++) {
    if (m && c->r[i].lo <= c->r[m - 1].hi + 1) {
      if (c->r[i].hi > c->r[m - 1].hi) c->r[m - 1].hi = c->r[i].hi;
    } else {
      c->r[m++] = c->r[i];
    }
  }
  for (size_t i = 0; i < m; i++) {
    if (!negate && !put_range(g, c->r[i].lo, c->r[i].hi)) return false;
    if (negate && c->r[i].lo > from && !put_range(g, from, c->r[i].lo - 1)) return false;
    from = c->r[i].hi + 1;
  }
  if (negate && from <= 0x10FFFF && !put_range(g, from, 0x10FFFF)) return false;
  return put(g, (RegexNode){.kind = REGEX_SET, .a = first, .b = g->r->n_ranges - first}, out);
}

static bool put_any(Parser *g, uint32_t *out) { // any character, line ends too
  Class c;
  c.n = 0;
  return put_class(g, &c, true, out);
}

static bool class_add(Parser *g, Class *c, uint32_t lo, uint32_t hi) {
  if (c->n == MAX_RANGES) return fail(g, "more than 2048 ranges in a class");
  c->r[c->n++] = (GramRange){lo, hi};
  return true;
}

// \d \w \s and their complements.
static bool class_named(Parser *g, Class *c, int name) {
  static const GramRange digit[] = {{'0', '9'}}, word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  static const GramRange space[] = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                                    {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                    {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  int lower = name | 0x20;
  const GramRange *r = lower == 'd' ? digit : lower == 'w' ? word : space;
  size_t n = lower == 'd' ? 1 : lower == 'w' ? 4 : sizeof space / sizeof *space;
  if (name == lower) {
    for (size_t i = 0; i < n; i++)
      if (!class_add(g, c, r[i].lo, r[i].hi)) return false;
    return true;
  }
  uint32_t from = 0;
  for (size_t i = 0; i < n; i++) {
    if (r[i].lo > from && !class_add(g, c, from, r[i].lo - 1)) return false;
    from = r[i].hi + 1;
  }
  return class_add(g, c, from, 0x10FFFF);
}

// --- characters ------------------------------------------------------------------------------------------

static bool hex(Parser *g, int digits, uint32_t *out) {
  uint32_t v = 0;
  *out = 0;
  for (int i = 0; i < digits; i++, g->p++) {
    int c = peek(g);
    int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (c == -1 || d < 0) return fail(g, "a hexadecimal digit is expected");
    v = v * 16 + (uint32_t)d;
  }
  *out = v;
  return true;
}

// Behind \u: four digits (two such escapes of a pair are one character) or {digits}.
static bool unicode_escape(Parser *g, uint32_t *out) {
  const char *at = g->p;
  if (peek(g) == '{') {
    uint32_t v = 0, d = 0;
    g->p++;
    if (peek(g) == '}') return fail(g, "a hexadecimal digit is expected");
    while (peek(g) != '}') {
      if (!hex(g, 1, &d)) return false;
      v = v * 16 + d;
      if (v > 0x10FFFF) return fail_at(g, at, "not a code point");
    }
    g->p++;
    *out = v;
    return true;
  }
  if (!hex(g, 4, out)) return false;
  if (*out >= 0xD800 && *out <= 0xDBFF && peek(g) == '\\' && peek2(g) == 'u') {
    uint32_t low = 0;
    g->p += 2;
    if (!hex(g, 4, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail_at(g, at, "half of a surrogate pair");
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
  } else if (*out >= 0xD800 && *out <= 0xDFFF) {
    return fail_at(g, at, "half of a surrogate pair");
  }
  return true;
}

// Behind a backslash, what stands for one character.
static bool char_escape(Parser *g, bool in_class, uint32_t *out) {
  int c = peek(g);
  const char *at = g->p - 1;
  g->p += c != -1;
  switch (c) {
  case 't': return *out = '\t', true;
  case 'n': return *out = '\n', true;
  case 'r': return *out = '\r', true;
  case 'v': return *out = '\v', true;
  case 'f': return *out = '\f', true;
  case 'x': return hex(g, 2, out);
  case 'u': return unicode_escape(g, out);
  case '0':
    if (peek(g) >= '0' && peek(g) <= '9') return fail_at(g, at, "octal escapes are not supported");
    return *out = 0, true;
  case 'c':
    c = peek(g);
    if ((c | 32) < 'a' || (c | 32) > 'z') return fail_at(g, at, "\\c needs a letter");
    g->p++;
    return *out = (uint32_t)c & 31, true;
  case 'b':
    if (in_class) return *out = '\b', true;
    return fail_at(g, at, "word boundaries (\\b) are not supported");
  case 'B': return fail_at(g, at, "word boundaries (\\B) are not supported");
  case 'k': return fail_at(g, at, "backreferences (\\k) are not supported");
  case 'p':
  case 'P': return fail_at(g, at, "Unicode properties (\\p) are not supported");
  case -1: return fail_at(g, at, "the pattern ends behind a backslash");
  default: break;
  }
  if (c >= '1' && c <= '9') return fail_at(g, at, "backreferences are not supported");
  if ((c | 32) >= 'a' && (c | 32) <= 'z') return fail_at(g, at, "unknown escape");
  if (c >= 0x80) return fail_at(g, at, "unknown escape");
  *out = (uint32_t)c;
  return true;
}

static bool raw_char(Parser *g, uint32_t *out) {
  int c = peek(g);
  size_t n = c < 0x80                ? 1
             : c >= 0xC2 && c < 0xE0 ? 2
             : c >= 0xE0 && c < 0xF0 ? 3
             : c >= 0xF0 && c < 0xF5 ? 4
                                     : 0;
  if (!n || (size_t)(g->end - g->p) < n) return fail(g, "not UTF-8");
  uint32_t v = n == 1 ? (uint32_t)c : (uint32_t)c & (0x7Fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (((unsigned char)g->p[i] & 0xC0) != 0x80) return fail(g, "not UTF-8");
    v = v << 6 | ((unsigned char)g->p[i] & 0x3F);
  }
  if (v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) || (n == 3 && v < 0x800) || (n == 4 && v < 0x10000))
    return fail(g, "not UTF-8");
  g->p += n;
  *out = v;
  return true;
}

static bool is_class_letter(int c) { return c != -1 && c < 0x80 && strchr("dDwWsS", c) && c; }

// One member of [...]: a character, or (with *named) a whole class that was added.
static bool class_atom(Parser *g, Class *c, uint32_t *out, bool *named) {
  *named = false;
  if (peek(g) == -1) return fail(g, "this class has no closing bracket");
  if (peek(g) != '\\') return raw_char(g, out);
  g->p++;
  if (is_class_letter(peek(g))) {
    *named = true;
    return class_named(g, c, (unsigned char)*g->p++);
  }
  return char_escape(g, true, out);
}

static bool char_class(Parser *g, uint32_t *out) {
  Class *c = malloc(sizeof *c);
  if (!c) {
    err_memory(g->err, sizeof *c, "a class");
    return false;
  }
  c->n = 0;
  g->p++;
  bool negate = peek(g) == '^', ok = true;
  g->p += negate;
  while (ok && peek(g) != ']') {
    uint32_t lo = 0, hi;
    bool named, named_hi = false;
    const char *at = g->p;
    ok = class_atom(g, c, &lo, &named);
    hi = lo;
    if (ok && peek(g) == '-' && peek2(g) != ']' && peek2(g) != -1) {
      g->p++;
      ok = class_atom(g, c, &hi, &named_hi);
      if (ok && (named || named_hi)) ok = fail_at(g, at, "a range between classes");
      if (ok && hi < lo) ok = fail_at(g, at, "this range runs backwards");
    }
    if (ok && !named) ok = class_add(g, c, lo, hi);
  }
  if (ok) g->p++;
  ok = ok && put_class(g, c, negate, out);
  free(c);
  return ok;
}

// --- expressions -----------------------------------------------------------------------------------------

static bool alternatives(Parser *g, bool top, uint32_t *out);

// Behind an opening parenthesis, its optional head.
static bool group_head(Parser *g) {
  if (peek(g) != '?') return true;
  const char *at = g->p++;
  int c = peek(g), d = peek2(g);
  if (c == ':') return g->p++, true;
  if (c == '=' || c == '!') return fail_at(g, at, "lookahead is not supported");
  if (c == '<' && (d == '=' || d == '!')) return fail_at(g, at, "lookbehind is not supported");
  if (c != '<') return fail_at(g, at, "this kind of group is not supported");
  while (peek(g) != '>') {
    if (peek(g) == -1) return fail(g, "this name has no end");
    g->p++;
  }
  g->p++;
  return true;
}

// Whether the group at the parser fills its alternative, so that anchors inside are at the ends.
static bool group_fills(const Parser *g) {
  int open = 0;
  bool in_class = false;
  for (const char *p = g->p; p < g->end; p++) {
    if (*p == '\\')
      p++;
    else if (in_class)
      in_class = *p != ']';
    else if (*p == '[')
      in_class = true;
    else if (*p == '(')
      open++;
    else if (*p == ')' && --open == 0)
      return p + 1 == g->end || p[1] == '|' || p[1] == ')';
  }
  return false;
}

// `top`: the group fills an alternative of the whole pattern.
static bool group(Parser *g, bool top, uint32_t *out) {
  const char *open = g->p++;
  if (++g->nest > MAX_NEST) return fail(g, "groups nest too deep");
  if (!group_head(g) || !alternatives(g, top, out)) return false;
  if (peek(g) != ')') return fail_at(g, open, "this group has no closing parenthesis");
  g->p++;
  g->nest--;
  return true;
}

static bool atom(Parser *g, uint32_t *out) {
  int c = peek(g);
  Class one;
  one.n = 0;
  uint32_t v = 0;
  if (c == '[') return char_class(g, out);
  if (c == '(') return group(g, false, out);
  if (c == '.') {
    g->p++;
    return class_add(g, &one, '\n', '\n') && class_add(g, &one, '\r', '\r') &&
           class_add(g, &one, 0x2028, 0x2029) && put_class(g, &one, true, out);
  }
  if (c == '^' || c == '$') return fail(g, "anchors are supported at the ends only");
  if (c == '*' || c == '+' || c == '?') return fail(g, "nothing to repeat");
  if (c == '\\') {
    g->p++;
    if (is_class_letter(peek(g)))
      return class_named(g, &one, (unsigned char)*g->p++) && put_class(g, &one, false, out);
    return char_escape(g, false, &v) && class_add(g, &one, v, v) && put_class(g, &one, false, out);
  }
  return raw_char(g, &v) && class_add(g, &one, v, v) && put_class(g, &one, false, out);
}

static bool count(Parser *g, uint32_t *out) {
  uint32_t v = 0;
  const char *from = g->p;
  for (; peek(g) >= '0' && peek(g) <= '9'; g->p++)
    if (v < 10000000) v = v * 10 + (uint32_t)(peek(g) - '0');
  *out = v;
  return g->p > from;
}

// A quantifier at the parser, if there is one. A { that begins none is a plain character.
static bool quantifier(Parser *g, uint32_t *min, uint32_t *max) {
  const char *from = g->p;
  int c = peek(g);
  *min = c == '+';
  *max = c == '?' ? 1 : GRAM_INF;
  if (c == '*' || c == '+' || c == '?') return g->p++, true;
  if (c != '{') return false;
  g->p++;
  if (count(g, min)) {
    *max = *min;
    if (peek(g) == ',') {
      g->p++;
      if (!count(g, max)) *max = GRAM_INF;
    }
    if (peek(g) == '}') return g->p++, true;
  }
  g->p = from;
  return false;
}

static bool repeat(Parser *g, uint32_t x, uint32_t min, uint32_t max, uint32_t *out) {
  const RegexNode *n = &g->r->nodes[x];
  if (n->kind == REGEX_REPEAT && n->min == 0 && n->max == GRAM_INF && max)
    return *out = x, true;                                     // (x*)+ is x*
  if (n->kind == REGEX_REPEAT && n->min == 0 && n->max == 1) { // (x?){m,n} is x{0,n}
    x = n->a;
    min = 0;
  }
  return put(g, (RegexNode){.kind = REGEX_REPEAT, .a = x, .min = min, .max = max}, out);
}

static bool term(Parser *g, bool top, uint32_t *out) {
  bool fills = top && peek(g) == '(' && group_fills(g);
  uint32_t min, max;
  if (!(fills ? group(g, true, out) : atom(g, out))) return false;
  const char *at = g->p;
  if (!quantifier(g, &min, &max)) return true;
  if (min > max) return fail_at(g, at, "the minimum of this repetition is above its maximum");
  if ((max != GRAM_INF && max > 1000000) || min > 1000000)
    return fail_at(g, at, "repetition count above 1000000");
  if (peek(g) == '?')
    g->p++; // lazy: the same texts match
  else if (peek(g) == '+')
    return fail(g, "possessive repetition is not supported");
  if (!repeat(g, *out, min, max, out)) return false;
  at = g->p;
  if (quantifier(g, &min, &max)) return fail_at(g, at, "nothing to repeat");
  return true;
}

static bool join(Parser *g, RegexKind kind, uint32_t *acc, uint32_t x) {
  if (g->r->nodes[*acc].kind == REGEX_EMPTY && kind == REGEX_CAT) return *acc = x, true;
  return put(g, (RegexNode){.kind = kind, .a = *acc, .b = x}, acc);
}

static bool put_anything(Parser *g, uint32_t *out) {
  uint32_t any;
  return put_any(g, &any) && put(g, (RegexNode){.kind = REGEX_REPEAT, .a = any, .max = GRAM_INF}, out);
}

static bool sequence(Parser *g, bool top, uint32_t *out) {
  uint32_t x;
  bool inner = false; // the alternative is one group that has the anchors, or lacks them, inside
  if (!put(g, (RegexNode){.kind = REGEX_EMPTY}, out)) return false;
  bool start = top && peek(g) == '^', end = false;
  g->p += start;
  if (top && !start && peek(g) == '(' && group_fills(g)) inner = true;
  if (top && g->contains && !start && !inner && (!put_anything(g, &x) || !join(g, REGEX_CAT, out, x)))
    return false;
  while (peek(g) != -1 && peek(g) != '|' && peek(g) != ')') {
    if (top && peek(g) == '$' && (peek2(g) == -1 || peek2(g) == '|' || peek2(g) == ')')) {
      g->p++;
      end = true;
      break;
    }
    if (!term(g, inner, &x) || !join(g, REGEX_CAT, out, x)) return false;
  }
  if (top && g->contains && !end && !inner) return put_anything(g, &x) && join(g, REGEX_CAT, out, x);
  return true;
}

static bool alternatives(Parser *g, bool top, uint32_t *out) {
  uint32_t x;
  if (!sequence(g, top, out)) return false;
  while (peek(g) == '|') {
    g->p++;
    if (!sequence(g, top, &x) || !join(g, REGEX_ALT, out, x)) return false;
  }
  return true;
}

Regex *regex_parse(const char *pattern, size_t len, bool contains, zaya_error *err) {
  Parser g = {.text = pattern, .p = pattern, .end = pattern + len, .contains = contains, .err = err};
  if (len > MAX_PATTERN) {
    err_set(err, ZAYA_E_LIMIT, "pattern of %zu bytes: at most %u", len, MAX_PATTERN);
    return NULL;
  }
  g.r = calloc(1, sizeof *g.r);
  if (!g.r) {
    err_memory(err, sizeof *g.r, "a pattern");
    return NULL;
  }
  bool ok = alternatives(&g, true, &g.r->root);
  if (ok && g.p < g.end) ok = fail(&g, "a ) without its (");
  if (ok) return g.r;
  regex_free(g.r);
  return NULL;
}

void regex_free(Regex *r) {
  if (!r) return;
  free(r->nodes);
  free(r->ranges);
  free(r);
}

// --- to a grammar ------------------------------------------------------------------------------------------

// The sides of a chain of CATs or ALTs, which lean to the left: gathered, so that they do not nest.
static GramExpr chain(const Regex *r, uint32_t node, GramBuilder *b, RegexTarget target);

static GramExpr expr(const Regex *r, uint32_t node, GramBuilder *b, RegexTarget target) {
  const RegexNode *n = &r->nodes[node];
  switch (n->kind) {
  case REGEX_EMPTY: return gram_empty(b);
  case REGEX_SET:
    if (target == REGEX_JSON) return jstr_set(b, r->ranges + n->a, n->b);
    return gram_set(b, r->ranges + n->a, n->b, false);
  case REGEX_REPEAT: return gram_repeat(b, expr(r, n->a, b, target), n->min, n->max);
  case REGEX_CAT:
  case REGEX_ALT: return chain(r, node, b, target);
  }
  return 0;
}

static GramExpr chain(const Regex *r, uint32_t node, GramBuilder *b, RegexTarget target) {
  RegexKind kind = r->nodes[node].kind;
  size_t n = 1;
  for (uint32_t i = node; r->nodes[i].kind == kind; i = r->nodes[i].a) n++;
  GramExpr *parts = malloc(n * sizeof *parts);
  if (!parts) return err_memory(&b->err, n * sizeof *parts, "a pattern"), 0;
  uint32_t at = node;
  for (size_t i = n; i-- > 1; at = r->nodes[at].a) parts[i] = expr(r, r->nodes[at].b, b, target);
  parts[0] = expr(r, at, b, target);
  GramExpr x = kind == REGEX_CAT ? gram_cat(b, parts, n) : gram_alt(b, parts, n);
  free(parts);
  return x;
}

GramExpr regex_expr(const Regex *r, GramBuilder *b, RegexTarget target) {
  return expr(r, r->root, b, target);
}

static Gram *compile(const char *pattern, size_t len, bool contains, zaya_error *err) {
  Regex *r = regex_parse(pattern, len, contains, err);
  GramBuilder *b = r ? gram_builder_new(err) : NULL;
  Gram *g = NULL;
  if (b) {
    uint32_t root = gram_rule(b, "pattern");
    gram_define(b, root, regex_expr(r, b, REGEX_TEXT));
    g = gram_compile(b, root, err);
    if (!g) err_context(err, "pattern");
  }
  gram_builder_free(b);
  regex_free(r);
  return g;
}

Gram *regex_compile(const char *pattern, size_t len, zaya_error *err) {
  return compile(pattern, len, false, err);
}

bool regex_test(const char *pattern, size_t len, bool contains, const char *text, size_t text_len,
                bool *matches, zaya_error *err) {
  Gram *g = compile(pattern, len, contains, err);
  Match *m = g ? match_new(g, err) : NULL;
  bool ok = m != NULL;
  *matches = false;
  if (ok) {
    zaya_error e = {0};
    *matches = match_accept(m, text, text_len, &e) && match_can_end(m);
    if (e.status == ZAYA_E_LIMIT || e.status == ZAYA_E_MEMORY) ok = err_set(err, e.status, "%s", e.message);
  }
  match_free(m);
  gram_free(g);
  return ok;
}
