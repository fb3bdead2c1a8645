// schema: from a schema to a grammar; see schema.h. A conjunction of schemas is compiled to a rule; rules are
// made from a work list, so that neither deep nor recursive schemas need the stack.
#include "text/schema_parts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONJUNCTIONS 20000u

struct Schema {
  json_t *root;
};

// --- rules for conjunctions ------------------------------------------------------------------------------

static int part_order(const void *a, const void *b) {
  const Part *x = a, *y = b;
  if (x->schema != y->schema) return x->schema < y->schema ? -1 : 1;
  return (int)x->done - (int)y->done;
}

static uint64_t parts_hash(const Parts *list) {
  uint64_t h = list->n;
  for (size_t i = 0; i < list->n; i++)
    h = (h ^ (uint64_t)(uintptr_t)list->p[i].schema ^ list->p[i].done) * 0x9E3779B97F4A7C15u;
  return h;
}

static bool parts_same(const Parts *x, const Parts *y) {
  if (x->n != y->n) return false;
  for (size_t i = 0; i < x->n; i++)
    if (x->p[i].schema != y->p[i].schema || x->p[i].done != y->p[i].done) return false;
  return true;
}

// A list whose order is a key has lost the order of its properties: so the key is a sorted copy.
static bool find_rule(Maker *m, const Parts *list, uint32_t *rule) {
  Parts key = parts_copy(&m->r, list);
  if (key.n) qsort(key.p, key.n, sizeof *key.p, part_order);
  uint64_t hash = parts_hash(&key);
  for (size_t i = 0; i < m->n_rules; i++) {
    if (m->rules[i].hash != hash) continue;
    Parts known = parts_copy(&m->r, &m->rules[i].parts);
    if (known.n) qsort(known.p, known.n, sizeof *known.p, part_order);
    bool same = parts_same(&key, &known);
    parts_free(&known);
    if (!same) continue;
    parts_free(&key);
    *rule = m->rules[i].rule;
    return true;
  }
  *rule = UINT32_MAX;
  parts_free(&key);
  return false;
}

static uint64_t key_hash(Maker *m, const Parts *list) {
  Parts key = parts_copy(&m->r, list);
  if (key.n) qsort(key.p, key.n, sizeof *key.p, part_order);
  uint64_t hash = parts_hash(&key);
  parts_free(&key);
  return hash;
}

bool maker_use(Maker *m, Parts *list, GramExpr *out) {
  uint32_t rule;
  if (list->never) {
    parts_free(list);
    *out = gram_never(m->b);
    return true;
  }
  if (find_rule(m, list, &rule)) {
    parts_free(list);
    *out = gram_use(m->b, rule);
    return true;
  }
  if (m->n_rules == m->cap_rules) {
    size_t cap = m->cap_rules ? m->cap_rules * 2 : 64;
    Pending *p = m->n_rules < MAX_CONJUNCTIONS ? realloc(m->rules, cap * sizeof *p) : NULL;
    if (!p) {
      parts_free(list);
      return err_set(m->r.err, ZAYA_E_LIMIT, "schema too large: more than %u combinations of schemas",
                     MAX_CONJUNCTIONS);
    }
    m->rules = p;
    m->cap_rules = cap;
  }
  rule = gram_rule(m->b, list->n ? list->p[0].at : "any value");
  m->rules[m->n_rules++] = (Pending){rule, *list, key_hash(m, list)};
  *out = gram_use(m->b, rule);
  return true;
}

// --- oneOf -------------------------------------------------------------------------------------------------

static bool disjoint(Reader *r, const Parts *x, const Parts *y, int nest, bool *yes);

// Every value that the one lists is refused by the other.
static bool values_apart(Reader *r, const Parts *x, const Parts *y, bool *yes) {
  const Part *from;
  const json_t *values = parts_values(x, &from), *one;
  size_t i;
  bool ok;
  if (!values) return true;
  bool is_const = values == json_object_get(from->schema, "const");
  if (is_const) {
    *yes = !parts_valid(r, y, values, &ok);
    return ok;
  }
  json_array_foreach(values, i, one) {
    bool valid = parts_valid(r, x, one, &ok) && parts_valid(r, y, one, &ok);
    if (!ok) return false;
    if (valid) return true;
  }
  *yes = true;
  return true;
}

// A member that x needs and y forbids, or that both need with values that are apart.
static bool members_apart(Reader *r, const Parts *x, const Parts *y, int nest, bool *yes) {
  for (size_t i = 0; i < x->n && !*yes; i++) {
    size_t j;
    json_t *one;
    json_array_foreach(json_object_get(x->p[i].schema, "required"), j, one) {
      const char *name = json_string_value(one);
      Parts mine = {0}, other = {0};
      bool ok = parts_property(r, x, name, &mine) && parts_property(r, y, name, &other);
      if (ok && (mine.never || other.never))
        *yes = true;
      else if (ok && parts_required(y, name))
        ok = parts_expand(r, &mine) && parts_expand(r, &other) && disjoint(r, &mine, &other, nest + 1, yes);
      parts_free(&mine);
      parts_free(&other);
      if (!ok || *yes) return ok;
    }
  }
  return true;
}

static bool ranges_apart(Reader *r, const Parts *x, const Parts *y, bool *yes) {
  JnumBound lo[2], hi[2];
  if (!number_bounds(r, x, &lo[0], &hi[0]) || !number_bounds(r, y, &lo[1], &hi[1])) return false;
  for (int i = 0; i < 2; i++) {
    const JnumBound *h = &hi[i], *l = &lo[1 - i];
    if (h->set && l->set && (h->value < l->value || (h->value == l->value && (h->open || l->open))))
      *yes = true;
  }
  return true;
}

// Whether no value can be valid for both; *yes stays false when that cannot be seen.
static bool disjoint(Reader *r, const Parts *x, const Parts *y, int nest, bool *yes) {
  *yes = x->never || y->never;
  unsigned both = parts_types(x) & parts_types(y);
  if (!both) *yes = true;
  if (*yes || nest > 4) return true;
  if (!values_apart(r, x, y, yes) || (!*yes && !values_apart(r, y, x, yes))) return false;
  if (!*yes && both == TYPE_OBJECT)
    return members_apart(r, x, y, nest, yes) && (*yes || members_apart(r, y, x, nest, yes));
  if (!*yes && !(both & ~(unsigned)TYPE_NUMBER)) return ranges_apart(r, x, y, yes);
  return true;
}

// The branches of a oneOf are compiled as those of anyOf: that is right when no value meets two.
static bool check_disjoint(Maker *m, const Part *part, json_t *branches, const char *at) {
  size_t n = json_array_size(branches);
  Parts *list = calloc(n + 1, sizeof *list);
  bool ok = list != NULL;
  if (!ok) err_memory(m->r.err, n * sizeof *list, "a schema");
  for (size_t i = 0; ok && i < n; i++)
    ok = parts_add(&m->r, &list[i], json_array_get(branches, i), reader_index(&m->r, at, i), 0) &&
         parts_expand(&m->r, &list[i]);
  for (size_t i = 0; ok && i < n; i++)
    for (size_t j = 0; ok && j < i; j++) {
      bool yes = false;
      ok = disjoint(&m->r, &list[i], &list[j], 0, &yes);
      if (!ok || yes) continue;
      ok = err_set(m->r.err, ZAYA_E_UNSUPPORTED,
                   "schema %s/oneOf: branches %zu and %zu are not seen to exclude one another (by type, "
                   "const, enum, range "
                   "or a required member); use anyOf where a value may meet both",
                   part->at, j, i);
    }
  for (size_t i = 0; list && i < n; i++) parts_free(&list[i]);
  free(list);
  return ok;
}

// --- bodies ------------------------------------------------------------------------------------------------

// The values listed by an enum or const, those that all parts allow.
static bool make_values(Maker *m, const Parts *list, const json_t *values, bool is_const, GramExpr *out) {
  size_t n = is_const ? 1 : json_array_size(values), n_alts = 0;
  GramExpr *alts = malloc((n + 1) * sizeof *alts);
  bool ok = alts != NULL;
  if (!ok) err_memory(m->r.err, n * sizeof *alts, "a schema");
  for (size_t i = 0; ok && i < n; i++) {
    const json_t *v = is_const ? values : json_array_get(values, i);
    if (parts_valid(&m->r, list, v, &ok) && (m->mode != MAKER_RAW || json_is_string(v)))
      ok = make_value(m, v, &alts[n_alts++]);
  }
  if (ok) *out = gram_alt(m->b, alts, n_alts);
  free(alts);
  return ok;
}

// Every branch, each together with the parts, whose choice is then made.
static bool make_branches(Maker *m, const Parts *list, size_t which, const char *key, unsigned done,
                          GramExpr *out) {
  const Part *part = &list->p[which];
  json_t *branches = json_object_get(part->schema, key);
  size_t n = json_array_size(branches);
  const char *at = reader_at(&m->r, part->at, key);
  GramExpr *alts = malloc((n + 1) * sizeof *alts);
  bool ok = at && alts;
  if (!alts) err_memory(m->r.err, n * sizeof *alts, "a schema");
  if (ok && done == DONE_ONEOF) ok = check_disjoint(m, part, branches, at);
  for (size_t i = 0; ok && i < n; i++) {
    Parts with = parts_copy(&m->r, list);
    ok = with.n == list->n;
    if (ok) with.p[which].done |= done;
    ok = ok && parts_follow(&m->r, &with, json_array_get(branches, i), reader_index(&m->r, at, i), which);
    if (ok)
      ok = maker_use(m, &with, &alts[i]);
    else
      parts_free(&with);
  }
  if (ok) *out = gram_alt(m->b, alts, n);
  free(alts);
  return ok;
}

static bool make_types(Maker *m, const Parts *list, GramExpr *out) {
  unsigned types = parts_types(list) & (m->mode == MAKER_RAW ? TYPE_STRING : TYPE_ANY);
  GramExpr alts[8];
  size_t n = 0;
  bool ok = true;
  if (types & TYPE_OBJECT) ok = make_object(m, list, &alts[n++]);
  if (ok && types & TYPE_ARRAY) ok = make_array(m, list, &alts[n++]);
  if (ok && types & TYPE_STRING) ok = make_string(m, list, &alts[n++]);
  if (ok && types & TYPE_NUMBER) ok = make_number(m, list, !(types & TYPE_FRACTION), &alts[n++]);
  if (types & TYPE_BOOLEAN) {
    alts[n++] = gram_text(m->b, "true");
    alts[n++] = gram_text(m->b, "false");
  }
  if (types & TYPE_NULL) alts[n++] = gram_text(m->b, "null");
  if (ok) *out = gram_alt(m->b, alts, n);
  return ok;
}

static bool make_body(Maker *m, const Parts *list, GramExpr *out) {
  const Part *from;
  if (list->never) return *out = gram_never(m->b), true;
  const json_t *values = parts_values(list, &from);
  if (values) return make_values(m, list, values, values == json_object_get(from->schema, "const"), out);
  for (size_t i = 0; i < list->n; i++) {
    const Part *p = &list->p[i];
    if (!(p->done & DONE_ANYOF) && json_object_get(p->schema, "anyOf"))
      return make_branches(m, list, i, "anyOf", DONE_ANYOF, out);
    if (!(p->done & DONE_ONEOF) && json_object_get(p->schema, "oneOf"))
      return make_branches(m, list, i, "oneOf", DONE_ONEOF, out);
  }
  return make_types(m, list, out);
}

static bool make_pending(Maker *m) {
  for (; m->next < m->n_rules; m->next++) {
    Parts list = parts_copy(&m->r, &m->rules[m->next].parts);
    uint32_t rule = m->rules[m->next].rule;
    GramExpr x = 0;
    bool ok = list.n == m->rules[m->next].parts.n && parts_expand(&m->r, &list) && make_body(m, &list, &x);
    parts_free(&list);
    if (!ok) return false;
    gram_define(m->b, rule, x);
    if (!gram_builder_ok(m->b, m->r.err)) return false;
  }
  return true;
}

// --- entry points ------------------------------------------------------------------------------------------

bool maker_expr(GramBuilder *b, json_t *root, Parts *list, MakerMode mode, GramExpr *out, zaya_error *err) {
  zaya_error e = {0}; // parts of the work look at it: it must be there
  Maker m = {.r = {.root = root, .err = &e}, .b = b, .mode = mode};
  m.blank = gram_opt(b, gram_text(b, " "));
  bool ok = maker_use(&m, list, out) && make_pending(&m);
  for (size_t i = 0; i < m.n_rules; i++) parts_free(&m.rules[i].parts);
  free(m.rules);
  reader_free(&m.r);
  return ok || err_set(err, e.status, "%s", e.message);
}

bool schema_expr(GramBuilder *b, json_t *root, json_t *schema, const char *at, GramExpr *out,
                 zaya_error *err) {
  Reader r = {.root = root, .err = err};
  Parts list = {0};
  if (parts_add(&r, &list, schema, at, 0)) return maker_expr(b, root, &list, MAKER_JSON, out, err);
  parts_free(&list);
  return false;
}

Schema *schema_parse(const char *text, size_t len, zaya_error *err) {
  json_error_t e;
  if (len > SCHEMA_MAX_TEXT) {
    err_set(err, ZAYA_E_LIMIT, "schema of %zu bytes: at most %zu", len, SCHEMA_MAX_TEXT);
    return NULL;
  }
  json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
  if (!root) {
    err_set(err, ZAYA_E_FORMAT, "schema: line %d, column %d: %s", e.line, e.column, e.text);
    return NULL;
  }
  Schema *s = malloc(sizeof *s);
  if (!s || !(json_is_object(root) || json_is_boolean(root))) {
    if (s)
      err_set(err, ZAYA_E_FORMAT, "schema: an object, true or false is expected");
    else
      err_memory(err, sizeof *s, "a schema");
    json_decref(root);
    free(s);
    return NULL;
  }
  s->root = root;
  return s;
}

void schema_free(Schema *s) {
  if (!s) return;
  json_decref(s->root);
  free(s);
}

Gram *schema_compile(const Schema *s, zaya_error *err) {
  GramBuilder *b = gram_builder_new(err);
  Gram *g = NULL;
  GramExpr x = 0;
  if (b && schema_expr(b, s->root, s->root, "", &x, err)) {
    uint32_t root = gram_rule(b, "schema: no value is valid, its root");
    gram_define(b, root, x);
    g = gram_compile(b, root, err);
  }
  gram_builder_free(b);
  return g;
}

bool schema_validate(const Schema *s, const char *text, size_t len, zaya_error *err) {
  json_error_t e;
  json_t *v = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
  if (!v) return err_set(err, ZAYA_E_FORMAT, "not JSON: line %d, column %d: %s", e.line, e.column, e.text);
  bool ok = schema_check(s->root, s->root, "", v, err);
  json_decref(v);
  return ok;
}
