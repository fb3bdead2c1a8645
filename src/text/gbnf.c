// gbnf: see gbnf.h. A recursive-descent parser over the text; groups nest at most GRAM_MAX_NEST / 4 deep.
#include "text/gbnf.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GROUPS 80

typedef struct RuleName {
  const char *name; // into the text
  size_t len;
  uint32_t rule;
  size_t used_at; // where it was first used, for the message about a rule that is not defined
} RuleName;

typedef struct Parser {
  const char *text, *p, *end;
  GramBuilder *b;
  RuleName *names;
  size_t n_names, cap_names;
  size_t *slots; // hash table: index into names + 1
  size_t n_slots;
  int depth;
  zaya_error *err;
} Parser;

static bool fail_at(const Parser *g, const char *at, const char *what) {
  int line = 1, column = 1;
  for (const char *p = g->text; p < at; p++) {
    if (*p == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*p & 0xC0) != 0x80) {
      column++;
    }
  }
  return err_set(g->err, ZAYA_E_FORMAT, "grammar: line %d, column %d: %s", line, column, what);
}

static bool fail(const Parser *g, const char *what) { return fail_at(g, g->p, what); }

static int peek(const Parser *g) { return g->p < g->end ? (unsigned char)*g->p : -1; }

// Skips blanks and comments, with `lines` also line ends.
static void blanks(Parser *g, bool lines) {
  for (;;) {
    int c = peek(g);
    if (c == '#')
      while (peek(g) != -1 && peek(g) != '\n' && peek(g) != '\r') g->p++;
    else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r')))
      g->p++;
    else
      return;
  }
}

static bool is_name(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// --- rule names ------------------------------------------------------------------------------------------

static size_t name_hash(const char *s, size_t n) {
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 29);
}

static bool names_grow(Parser *g) {
  size_t n = g->cap_names ? g->cap_names * 2 : 64;
  RuleName *names = realloc(g->names, n * sizeof *names);
  if (names) g->names = names;
  size_t *slots = calloc(n * 2, sizeof *slots);
  if (!names || !slots) {
    free(slots);
    err_memory(g->err, n * sizeof *names, "a grammar");
    return false;
  }
  for (size_t i = 0; i < g->n_names; i++) {
    size_t at = name_hash(names[i].name, names[i].len) & (n * 2 - 1);
    while (slots[at]) at = (at + 1) & (n * 2 - 1);
    slots[at] = i + 1;
  }
  free(g->slots);
  g->slots = slots;
  g->n_slots = n * 2;
  g->cap_names = n;
  return true;
}

// The rule of that name, declared when it is new.
static bool find_rule(Parser *g, const char *name, size_t len, uint32_t *rule) {
  if (g->n_names == g->cap_names && !names_grow(g)) return false;
  size_t at = name_hash(name, len) & (g->n_slots - 1);
  for (; g->slots[at]; at = (at + 1) & (g->n_slots - 1)) {
    const RuleName *r = &g->names[g->slots[at] - 1];
    if (r->len == len && !memcmp(r->name, name, len)) {
      *rule = r->rule;
      return true;
    }
  }
  char copy[128];
  size_t n = len < sizeof copy ? len : sizeof copy - 1;
  memcpy(copy, name, n);
  copy[n] = '\0';
  *rule = gram_rule(g->b, copy);
  g->names[g->n_names] = (RuleName){name, len, *rule, (size_t)(name - g->text)};
  g->slots[at] = ++g->n_names;
  return true;
}

// --- characters --------------------------------------------------------------------------------------------

static bool hex(Parser *g, int digits, uint32_t *out) {
  uint32_t v = 0;
  for (int i = 0; i < digits; i++) {
    int c = peek(g), d;
    if (c >= '0' && c <= '9')
      d = c - '0';
    else if (c >= 'a' && c <= 'f')
      d = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F')
      d = c - 'A' + 10;
    else
      return fail(g, digits == 2   ? "\\x needs two hexadecimal digits"
                     : digits == 4 ? "\\u needs four hexadecimal digits"
                                   : "\\U needs eight hexadecimal digits");
    v = v * 16 + (uint32_t)d;
    g->p++;
  }
  if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF)) return fail(g, "not a code point");
  *out = v;
  return true;
}

static bool escape(Parser *g, uint32_t *out) {
  int c = peek(g);
  g->p += c != -1;
  switch (c) {
  case 'x': return hex(g, 2, out);
  case 'u': return hex(g, 4, out);
  case 'U': return hex(g, 8, out);
  case 't': return *out = '\t', true;
  case 'r': return *out = '\r', true;
  case 'n': return *out = '\n', true;
  case '\\':
  case '"':
  case '[':
  case ']':
  case '-':
  case '^': return *out = (uint32_t)c, true;
  default:
    g->p -= c != -1;
    return fail(g,
                "unknown escape; \\t \\r \\n \\\\ \\\" \\[ \\] \\- \\^ \\xNN \\uNNNN \\UNNNNNNNN are known");
  }
}

// One character of a literal or a class: a code point, escaped or not.
static bool character(Parser *g, uint32_t *out) {
  int c = peek(g);
  if (c == -1) return fail(g, "the grammar ends inside a literal or a class");
  if (c == '\\') {
    g->p++;
    return escape(g, out);
  }
  if (c < 0x80) {
    g->p++;
    *out = (uint32_t)c;
    return true;
  }
  int n = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC2 ? 1 : 0;
  uint32_t v = (uint32_t)c & (0x3Fu >> n);
  if (!n || c > 0xF4 || g->end - g->p <= n) return fail(g, "not UTF-8");
  for (int i = 1; i <= n; i++) {
    unsigned char x = (unsigned char)g->p[i];
    if ((x & 0xC0) != 0x80) return fail(g, "not UTF-8");
    v = v << 6 | (x & 0x3F);
  }
  if (v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF) || (n == 2 && v < 0x800) || (n == 3 && v < 0x10000))
    return fail(g, "not UTF-8");
  g->p += n + 1;
  *out = v;
  return true;
}

static bool put_utf8(Buf *b, uint32_t v, zaya_error *err) {
  char s[4];
  size_t n = 0;
  if (v < 0x80) {
    s[n++] = (char)v;
  } else if (v < 0x800) {
    s[n++] = (char)(0xC0 | v >> 6);
  } else if (v < 0x10000) {
    s[n++] = (char)(0xE0 | v >> 12);
    s[n++] = (char)(0x80 | (v >> 6 & 0x3F));
  } else {
    s[n++] = (char)(0xF0 | v >> 18);
    s[n++] = (char)(0x80 | (v >> 12 & 0x3F));
    s[n++] = (char)(0x80 | (v >> 6 & 0x3F));
  }
  if (v >= 0x80) s[n++] = (char)(0x80 | (v & 0x3F));
  return buf_add(b, s, n, err);
}

static bool literal(Parser *g, GramExpr *out) {
  Buf text = {0};
  bool ok = true;
  const char *open = g->p++;
  while (ok && peek(g) != '"') {
    uint32_t v = 0;
    if (peek(g) == -1) ok = fail_at(g, open, "this literal has no closing quote");
    ok = ok && character(g, &v) && put_utf8(&text, v, g->err);
  }
  if (ok) {
    g->p++;
    *out = gram_bytes(g->b, text.data ? text.data : "", text.len);
  }
  buf_free(&text);
  return ok;
}

static bool class(Parser *g, GramExpr *out) {
  const char *open = g->p++;
  GramRange *r = NULL;
  size_t n = 0, cap = 0;
  bool negate = peek(g) == '^', ok = true;
  g->p += negate;
  while (ok && peek(g) != ']') {
    if (n == cap) {
      cap = cap ? cap * 2 : 16;
      GramRange *more = realloc(r, cap * sizeof *r);
      if (!more) {
        ok = err_memory(g->err, cap * sizeof *r, "a class");
        break;
      }
      r = more;
    }
    if (peek(g) == -1) ok = fail_at(g, open, "this class has no closing bracket");
    const char *from = g->p;
    r[n] = (GramRange){0};
    ok = ok && character(g, &r[n].lo);
    if (!ok) break;
    r[n].hi = r[n].lo;
    if (peek(g) == '-' && g->p + 1 < g->end && g->p[1] != ']') {
      g->p++;
      ok = character(g, &r[n].hi) && (r[n].hi >= r[n].lo || fail_at(g, from, "this range runs backwards"));
    }
    n++;
  }
  if (ok) {
    g->p++;
    if (n || negate)
      *out = gram_set(g->b, r, n, negate);
    else
      ok = fail_at(g, open, "this class is empty");
  }
  free(r);
  return ok;
}

// --- rules -------------------------------------------------------------------------------------------------

static bool alternatives(Parser *g, bool lines, GramExpr *out);

static bool number(Parser *g, uint32_t *out) {
  uint32_t v = 0;
  if (peek(g) < '0' || peek(g) > '9') return fail(g, "a number is expected in this repetition");
  for (; peek(g) >= '0' && peek(g) <= '9'; g->p++) {
    v = v * 10 + (uint32_t)(peek(g) - '0');
    if (v > 1000000) return fail(g, "repetition count above 1000000");
  }
  *out = v;
  return true;
}

// The suffixes ? * + {..} of an item.
static bool suffixes(Parser *g, bool lines, GramExpr *x) {
  for (int count = 0;; count++) {
    uint32_t min = 0, max = GRAM_INF;
    const char *at = g->p;
    int c = peek(g);
    if (c != '?' && c != '*' && c != '+' && c != '{') return true;
    if (count == 16) return fail(g, "too many repetition marks on one item");
    g->p++;
    if (c == '?') max = 1;
    if (c == '+') min = 1;
    if (c == '{') {
      blanks(g, lines);
      if (peek(g) == ',')
        min = 0;
      else if (!number(g, &min))
        return false;
      blanks(g, lines);
      max = min;
      if (peek(g) == ',') {
        g->p++;
        blanks(g, lines);
        max = GRAM_INF;
        if (peek(g) != '}' && !number(g, &max)) return false;
        blanks(g, lines);
      }
      if (peek(g) != '}') return fail(g, "a } is expected here");
      g->p++;
      if (min > max) return fail_at(g, at, "the minimum of this repetition is above its maximum");
    }
    *x = gram_repeat(g->b, *x, min, max);
    blanks(g, lines);
  }
}

// One item; *found tells whether there was one.
static bool item(Parser *g, bool lines, GramExpr *out, bool *found) {
  int c = peek(g);
  *found = true;
  if (c == '"') return literal(g, out);
  if (c == '[') return class(g, out);
  if (c == '.') {
    g->p++;
    *out = gram_set(g->b, NULL, 0, true);
    return true;
  }
  if (c == '(') {
    const char *open = g->p++;
    if (++g->depth > MAX_GROUPS) return fail(g, "groups nest too deep");
    blanks(g, true);
    if (!alternatives(g, true, out)) return false;
    if (peek(g) != ')') return fail_at(g, open, "this group has no closing parenthesis");
    g->p++;
    g->depth--;
    return true;
  }
  if (is_name(c)) {
    const char *name = g->p;
    while (is_name(peek(g))) g->p++;
    uint32_t rule;
    if (!find_rule(g, name, (size_t)(g->p - name), &rule)) return false;
    *out = gram_use(g->b, rule);
    return true;
  }
  (void)lines;
  *found = false;
  return true;
}

typedef struct List {
  GramExpr *x;
  size_t n, cap;
} List;

static bool push(Parser *g, List *l, GramExpr x) {
  if (l->n == l->cap) {
    size_t cap = l->cap ? l->cap * 2 : 8;
    GramExpr *more = realloc(l->x, cap * sizeof *more);
    if (!more) {
      err_memory(g->err, cap * sizeof *more, "a grammar");
      return false;
    }
    l->x = more;
    l->cap = cap;
  }
  l->x[l->n++] = x;
  return true;
}

static bool sequence(Parser *g, bool lines, GramExpr *out) {
  List l = {0};
  bool ok = true, found = true;
  while (ok && found) {
    GramExpr x = 0;
    ok = item(g, lines, &x, &found);
    if (!ok || !found) break;
    blanks(g, lines);
    ok = suffixes(g, lines, &x) && push(g, &l, x);
  }
  if (ok) *out = gram_cat(g->b, l.x, l.n);
  free(l.x);
  return ok;
}

static bool alternatives(Parser *g, bool lines, GramExpr *out) {
  List l = {0};
  bool ok;
  for (;;) {
    GramExpr x = 0;
    ok = sequence(g, lines, &x) && push(g, &l, x);
    if (!ok || peek(g) != '|') break;
    g->p++;
    blanks(g, true); // an alternative may go on in the next line
  }
  if (ok) *out = gram_alt(g->b, l.x, l.n);
  free(l.x);
  return ok;
}

static bool definition(Parser *g) {
  const char *name = g->p;
  if (!is_name(peek(g))) return fail(g, "the name of a rule is expected here");
  while (is_name(peek(g))) g->p++;
  uint32_t rule;
  GramExpr x = 0;
  if (!find_rule(g, name, (size_t)(g->p - name), &rule)) return false;
  blanks(g, false);
  if (g->end - g->p < 3 || memcmp(g->p, "::=", 3)) return fail(g, "::= is expected here");
  if (gram_defined(g->b, rule)) return fail_at(g, name, "this rule is defined a second time");
  g->p += 3;
  blanks(g, true);
  g->depth = 0;
  if (!alternatives(g, false, &x)) return false;
  int c = peek(g);
  if (c != -1 && c != '\n' && c != '\r')
    return fail(g, c == ')' ? "a ) without its (" : "this character has no place here");
  if (!gram_builder_ok(g->b, g->err)) return false;
  gram_define(g->b, rule, x);
  blanks(g, true);
  return true;
}

static bool parse(Parser *g, uint32_t *root) {
  if ((size_t)(g->end - g->text) > GBNF_MAX_TEXT)
    return err_set(g->err, ZAYA_E_LIMIT, "grammar of %zu bytes: at most %zu", (size_t)(g->end - g->text),
                   GBNF_MAX_TEXT);
  blanks(g, true);
  while (g->p < g->end)
    if (!definition(g)) return false;
  bool has_root = false;
  for (size_t i = 0; i < g->n_names; i++) {
    const RuleName *r = &g->names[i];
    if (!gram_defined(g->b, r->rule))
      return fail_at(g, g->text + r->used_at, "this rule is not defined anywhere");
    if (r->len != 4 || memcmp(r->name, "root", 4)) continue;
    has_root = true;
    *root = r->rule;
  }
  return has_root || err_set(g->err, ZAYA_E_FORMAT, "grammar: there is no rule \"root\"");
}

Gram *gbnf_parse(const char *text, size_t len, zaya_error *err) {
  Parser g = {.text = text, .p = text, .end = text + len, .err = err};
  uint32_t root = 0;
  Gram *out = NULL;
  g.b = gram_builder_new(err);
  if (g.b && parse(&g, &root)) {
    out = gram_compile(g.b, root, err);
    if (!out) err_context(err, "grammar");
  }
  gram_builder_free(g.b);
  free(g.names);
  free(g.slots);
  return out;
}
