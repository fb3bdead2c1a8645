// schema_check: whether a parsed value is valid; see schema.h. Plain recursion over value and schema, by the
// letter of the specification: it knows nothing of the grammar.
#include "text/schema_parts.h"

#include "text/regex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NEST 400

typedef struct Check {
  Reader *r;       // its error: what could not be found out
  zaya_error *why; // what is not valid
  int nest;
} Check;

static bool check(Check *c, const json_t *schema, const char *at, const json_t *v, const char *where);

static bool invalid(Check *c, const char *where, const char *at, const char *key, const char *what) {
  return err_set(c->why, ZAYA_E_FORMAT, "value %s: %s (schema %s/%s)", *where ? where : "(root)", what, at,
                 key);
}

static bool broken(const Check *c) { return c->r->err->status != ZAYA_OK; }

// --- strings and numbers ---------------------------------------------------------------------------------

static bool matches(Check *c, const char *pattern, bool contains, const json_t *v) {
  bool yes = false;
  return regex_test(pattern, strlen(pattern), contains, json_string_value(v), json_string_length(v), &yes,
                    c->r->err) &&
         yes;
}

static bool check_string(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  size_t n = read_length(v);
  if (n < read_count(s, "minLength", 0)) return invalid(c, where, at, "minLength", "too short");
  if (n > read_count(s, "maxLength", GRAM_INF)) return invalid(c, where, at, "maxLength", "too long");
  const json_t *pattern = json_object_get(s, "pattern"), *format = json_object_get(s, "format");
  if (pattern && !matches(c, json_string_value(pattern), true, v))
    return invalid(c, where, at, "pattern", "does not match");
  const char *known = format ? read_format(json_string_value(format)) : NULL;
  if (known && *known && !matches(c, known, false, v))
    return invalid(c, where, at, "format", "not of this format");
  return true;
}

static int compare(const json_t *a, const json_t *b) {
  if (json_is_integer(a) && json_is_integer(b)) {
    json_int_t x = json_integer_value(a), y = json_integer_value(b);
    return x < y ? -1 : x > y;
  }
  double x = json_number_value(a), y = json_number_value(b);
  return x < y ? -1 : x > y;
}

static bool is_multiple(const json_t *v, const json_t *of) {
  if (json_is_integer(v) && json_is_integer(of)) return json_integer_value(v) % json_integer_value(of) == 0;
  JnumDec x, y;
  if (jnum_dec(v, &x) && jnum_dec(of, &y) && y && x != JNUM_LIMIT && x != -JNUM_LIMIT) return x % y == 0;
  double q = json_number_value(v) / json_number_value(of);
  return q == floor(q);
}

static bool check_number(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  const json_t *x = json_object_get(s, "minimum");
  if (x && compare(v, x) < 0) return invalid(c, where, at, "minimum", "too small");
  x = json_object_get(s, "exclusiveMinimum");
  if (x && compare(v, x) <= 0) return invalid(c, where, at, "exclusiveMinimum", "too small");
  x = json_object_get(s, "maximum");
  if (x && compare(v, x) > 0) return invalid(c, where, at, "maximum", "too large");
  x = json_object_get(s, "exclusiveMaximum");
  if (x && compare(v, x) >= 0) return invalid(c, where, at, "exclusiveMaximum", "too large");
  x = json_object_get(s, "multipleOf");
  if (x && !is_multiple(v, x)) return invalid(c, where, at, "multipleOf", "not a multiple");
  x = json_object_get(s, "format");
  double d = json_number_value(v);
  if (x && !strcmp(json_string_value(x), "int32") && (d < INT32_MIN || d > INT32_MAX))
    return invalid(c, where, at, "format", "not of this format");
  return true;
}

// --- objects and arrays
// --------------------------------------------------------------------------------------

static bool check_object(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  const json_t *properties = json_object_get(s, "properties"),
               *others = json_object_get(s, "additionalProperties");
  size_t n = json_object_size(v), i;
  json_t *one;
  const char *key;
  if (n < read_count(s, "minProperties", 0)) return invalid(c, where, at, "minProperties", "too few members");
  if (n > read_count(s, "maxProperties", GRAM_INF))
    return invalid(c, where, at, "maxProperties", "too many members");
  json_array_foreach(json_object_get(s, "required"), i, one) {
    char what[120];
    if (json_object_get(v, json_string_value(one))) continue;
    snprintf(what, sizeof what, "the member \"%.80s\" is missing", json_string_value(one));
    return invalid(c, where, at, "required", what);
  }
  json_object_foreach((json_t *)v, key, one) {
    const json_t *schema = json_object_get(properties, key);
    const char *name = reader_at(c->r, where, key),
               *of = reader_at(c->r, at, schema ? "properties" : "additionalProperties");
    if (schema && of) of = reader_at(c->r, of, key);
    if (!schema) schema = others;
    if (!name || !of) return false;
    if (schema && !check(c, schema, of, one, name)) return false;
  }
  return true;
}

static bool check_array(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  size_t n = json_array_size(v);
  if (n < read_count(s, "minItems", 0)) return invalid(c, where, at, "minItems", "too few items");
  if (n > read_count(s, "maxItems", GRAM_INF)) return invalid(c, where, at, "maxItems", "too many items");
  const char *key;
  const json_t *prefix = schema_prefix(s, &key);
  size_t n_prefix = json_array_size(prefix);
  const char *prefix_at = reader_at(c->r, at, key);
  const char *rest_key = prefix && !strcmp(key, "items") ? "additionalItems" : "items";
  const json_t *rest = json_object_get(s, rest_key);
  const char *rest_at = reader_at(c->r, at, rest_key);
  if (!prefix_at || !rest_at) return false;
  for (size_t i = 0; i < n; i++) {
    const json_t *schema = i < n_prefix ? json_array_get(prefix, i) : rest;
    const char *of = i < n_prefix ? reader_index(c->r, prefix_at, i) : rest_at;
    const char *name = schema ? reader_index(c->r, where, i) : where;
    if (schema && (!of || !name || !check(c, schema, of, json_array_get(v, i), name))) return false;
  }
  return true;
}

// --- the rest ----------------------------------------------------------------------------------------------

// How many of the branches the value is valid for.
static int count_valid(Check *c, const json_t *branches, const char *at, const json_t *v, const char *where) {
  size_t i;
  json_t *one;
  int n = 0;
  zaya_error *why = c->why;
  json_array_foreach(branches, i, one) {
    zaya_error ignored = {0};
    const char *of = reader_index(c->r, at, i);
    c->why = &ignored;
    if (of && check(c, one, of, v, where)) n++;
    c->why = why;
    if (broken(c)) return 0;
  }
  return n;
}

static bool check_combined(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  const json_t *x = json_object_get(s, "$ref");
  size_t i;
  json_t *one;
  if (x) {
    const char *of;
    const json_t *target = read_ref(c->r, x, at, &of);
    if (!target || !check(c, target, of, v, where)) return false;
  }
  const char *of = reader_at(c->r, at, "allOf");
  json_array_foreach(json_object_get(s, "allOf"), i, one) {
    const char *branch = of ? reader_index(c->r, of, i) : NULL;
    if (!branch || !check(c, one, branch, v, where)) return false;
  }
  x = json_object_get(s, "anyOf");
  of = reader_at(c->r, at, "anyOf");
  if (x && (!of || !count_valid(c, x, of, v, where)))
    return invalid(c, where, at, "anyOf", "no branch is met");
  x = json_object_get(s, "oneOf");
  of = reader_at(c->r, at, "oneOf");
  int n = x && of ? count_valid(c, x, of, v, where) : 1;
  return n == 1 || invalid(c, where, at, "oneOf", n ? "more than one branch is met" : "no branch is met");
}

static bool check_values(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  const json_t *x = json_object_get(s, "const");
  size_t i;
  json_t *one;
  if (x && !read_equal(x, v)) return invalid(c, where, at, "const", "another value");
  x = json_object_get(s, "enum");
  if (!x) return true;
  json_array_foreach(x, i, one) if (read_equal(one, v)) return true;
  return invalid(c, where, at, "enum", "none of the values");
}

static bool check_schema(Check *c, const json_t *s, const char *at, const json_t *v, const char *where) {
  if (!read_keywords(c->r, s, at)) return false;
  if (!(type_of(v) & read_types(s))) return invalid(c, where, at, "type", "of another type");
  if (!check_values(c, s, at, v, where)) return false;
  if (json_is_string(v) && !check_string(c, s, at, v, where)) return false;
  if (json_is_number(v) && !check_number(c, s, at, v, where)) return false;
  if (json_is_object(v) && !check_object(c, s, at, v, where)) return false;
  if (json_is_array(v) && !check_array(c, s, at, v, where)) return false;
  return check_combined(c, s, at, v, where);
}

static bool check(Check *c, const json_t *schema, const char *at, const json_t *v, const char *where) {
  if (json_is_true(schema)) return true;
  if (json_is_false(schema)) return invalid(c, where, at, "", "not allowed");
  if (broken(c)) return false;
  if (++c->nest > MAX_NEST)
    return reader_fail(c->r, at, NULL, "nested too deep, or it refers to itself without end");
  bool ok = check_schema(c, schema, at, v, where);
  c->nest--;
  return ok && !broken(c);
}

bool schema_check(json_t *root, json_t *schema, const char *at, const json_t *value, zaya_error *err) {
  zaya_error trouble = {0}, why = {0};
  Reader r = {.root = root, .err = &trouble};
  Check c = {.r = &r, .why = &why};
  bool ok = check(&c, schema, at, value, "");
  reader_free(&r);
  if (trouble.status != ZAYA_OK) return err_set(err, trouble.status, "%s", trouble.message);
  return ok || err_set(err, why.status, "%s", why.message);
}

bool parts_valid(Reader *r, const Parts *list, const json_t *value, bool *ok) {
  *ok = true;
  for (size_t i = 0; i < list->n; i++) {
    zaya_error e = {0};
    if (schema_check(r->root, list->p[i].schema, list->p[i].at, value, &e)) continue;
    if (e.status != ZAYA_E_FORMAT) *ok = err_set(r->err, e.status, "%s", e.message);
    return false;
  }
  return !list->never;
}
