// schema_object: grammars of objects and arrays; see schema.h.
//
// Members come in the order in which the schemas list them, then those that no schema lists. Each place in
// that order is a rule that ends in a use of the next one, so that no stack grows with the object.
#include "text/schema_parts.h"

#include "text/jstr.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PLACES 20000u

typedef struct Member {
  const char *name;
  bool required;
  GramExpr pair; // "name": value
} Member;

typedef struct Object {
  Maker *m;
  Member *members;
  size_t n, cap;
  uint32_t min, max; // members
  uint32_t count;    // the largest count that is told apart
  bool closed;       // no other names
  GramExpr comma, other;
  uint32_t *rules; // [(n + 1) * (count + 1)]
} Object;

static bool put_member(Object *o, const Parts *list, const char *name) {
  Maker *m = o->m;
  for (size_t i = 0; i < o->n; i++)
    if (!strcmp(o->members[i].name, name)) return true;
  if (o->n == o->cap) {
    size_t cap = o->cap ? o->cap * 2 : 16;
    Member *p = realloc(o->members, cap * sizeof *p);
    if (!p) {
      err_memory(m->r.err, cap * sizeof *p, "a schema");
      return false;
    }
    o->members = p;
    o->cap = cap;
  }
  Parts parts = {0};
  GramExpr value = 0;
  if (!parts_property(&m->r, list, name, &parts)) {
    parts_free(&parts);
    return false;
  }
  if (!maker_use(m, &parts, &value)) return false;
  if (!maker_fits(m, name)) return false;
  Buf key = {0};
  bool ok = jstr_quote(&key, name, strlen(name), m->r.err) && buf_putc(&key, ':', m->r.err);
  if (ok)
    o->members[o->n++] = (Member){name, parts_required(list, name),
                                  gram_cat3(m->b, gram_bytes(m->b, key.data, key.len), m->blank, value)};
  buf_free(&key);
  return ok;
}

static bool read_members(Object *o, const Parts *list) {
  const char *name;
  json_t *one;
  size_t j;
  o->max = GRAM_INF;
  for (size_t i = 0; i < list->n; i++) {
    json_t *s = list->p[i].schema;
    json_object_foreach(json_object_get(s, "properties"), name,
                        one) if (!put_member(o, list, name)) return false;
    uint32_t min = read_count(s, "minProperties", 0), max = read_count(s, "maxProperties", GRAM_INF);
    if (min > o->min) o->min = min;
    if (max < o->max) o->max = max;
  }
  for (size_t i = 0; i < list->n; i++)
    json_array_foreach(json_object_get(list->p[i].schema, "required"), j, one) {
      if (!put_member(o, list, json_string_value(one))) return false;
    }
  return true;
}

// "other name": value, for names that are none of the members'.
static bool read_others(Object *o, const Parts *list) {
  Maker *m = o->m;
  Parts parts = {0};
  if (!parts_others(&m->r, list, &parts)) {
    parts_free(&parts);
    return false;
  }
  o->closed = parts.never;
  if (o->closed) {
    parts_free(&parts);
    return true;
  }
  GramExpr value;
  const char **names = malloc((o->n + 1) * sizeof *names);
  size_t *lens = malloc((o->n + 1) * sizeof *lens);
  bool ok = maker_use(m, &parts, &value) && names && lens;
  for (size_t i = 0; ok && i < o->n; i++) {
    names[i] = o->members[i].name;
    lens[i] = strlen(names[i]);
  }
  if (ok) {
    uint32_t rule = gram_rule(m->b, "another member");
    GramExpr key = jstr_other(m->b, names, lens, o->n, m->mode == MAKER_CALL),
             colon = gram_cat2(m->b, gram_text(m->b, ":"), m->blank);
    gram_define(m->b, rule, gram_cat3(m->b, key, colon, value));
    o->other = gram_use(m->b, rule);
  } else {
    err_memory(m->r.err, o->n * sizeof *names, "a schema");
  }
  free(names);
  free(lens);
  return ok;
}

// Members beyond the listed ones, with `have` there already. Other names may repeat, so of a minimum that the
// listed ones do not reach, others can be trusted for one.
static GramExpr rest_members(Object *o, uint32_t have) {
  GramBuilder *b = o->m->b;
  uint32_t least = o->min > have ? o->min - have : 0, most = o->max == GRAM_INF ? GRAM_INF : o->max - have;
  if (o->closed || !most) return least ? gram_never(b) : gram_empty(b);
  if (least > 1) return gram_never(b);
  GramExpr next = gram_cat2(b, o->comma, o->other);
  if (have) return gram_repeat(b, next, least, most);
  GramExpr some = gram_cat2(b, o->other, gram_repeat(b, next, 0, most == GRAM_INF ? most : most - 1));
  return least ? some : gram_opt(b, some);
}

static GramExpr place(const Object *o, size_t i, uint32_t have) {
  if (have > o->count) have = o->count;
  return gram_use(o->m->b, o->rules[i * (o->count + 1) + have]);
}

static void define_place(Object *o, size_t i, uint32_t have) {
  GramBuilder *b = o->m->b;
  GramExpr x, with, without;
  if (i == o->n) {
    x = rest_members(o, have);
  } else {
    const Member *member = &o->members[i];
    bool room = o->max == GRAM_INF || have < o->max;
    with = room ? gram_cat2(b, member->pair, place(o, i + 1, have + 1)) : gram_never(b);
    if (have && room) with = gram_cat2(b, o->comma, with);
    without = member->required ? gram_never(b) : place(o, i + 1, have);
    x = member->required ? with : gram_alt2(b, with, without);
  }
  gram_define(b, o->rules[i * (o->count + 1) + have], x);
}

static bool make_places(Object *o, const Parts *list, GramExpr *out) {
  GramBuilder *b = o->m->b;
  uint32_t required = 0;
  for (size_t i = 0; i < o->n; i++) required += o->members[i].required;
  o->count = 1;
  if (o->min > required) o->count = o->min;
  if (o->max != GRAM_INF && !(o->closed && o->max >= o->n))
    o->count = o->max > 1 ? o->max : 1;
  else
    o->max = GRAM_INF;
  if (o->min > o->n + !o->closed)
    return reader_fail(&o->m->r, list->p[0].at, "minProperties",
                       "more than the names that are listed, and one");
  if ((o->n + 1) * ((uint64_t)o->count + 1) > MAX_PLACES)
    return reader_fail(&o->m->r, list->p[0].at, "maxProperties", "too many members to count");
  o->rules = malloc((o->n + 1) * (o->count + 1) * sizeof *o->rules);
  if (!o->rules) {
    err_memory(o->m->r.err, o->n * 4, "a schema");
    return false;
  }
  for (size_t i = 0; i <= o->n; i++)
    for (uint32_t have = 0; have <= o->count; have++)
      o->rules[i * (o->count + 1) + have] = gram_rule(b, o->n && i < o->n ? o->members[i].name : "members");
  for (size_t i = 0; i <= o->n && gram_builder_ok(b, NULL); i++)
    for (uint32_t have = 0; have <= o->count; have++) define_place(o, i, have);
  *out = gram_cat3(b, gram_text(b, "{"), place(o, 0, 0), gram_text(b, "}"));
  return true;
}

bool make_object(Maker *m, const Parts *list, GramExpr *out) {
  Object o = {.m = m, .comma = gram_cat2(m->b, gram_text(m->b, ","), m->blank)};
  bool ok = read_members(&o, list) && read_others(&o, list);
  if (ok && o.min > o.max)
    *out = gram_never(m->b);
  else
    ok = ok && make_places(&o, list, out);
  free(o.members);
  free(o.rules);
  return ok;
}

// --- arrays ------------------------------------------------------------------------------------------------

// Items of one kind, at least `min` and at most `max`, behind others or not.
static GramExpr rest_items(GramBuilder *b, GramExpr comma, GramExpr item, bool behind, uint32_t min,
                           uint32_t max) {
  GramExpr next = gram_cat2(b, comma, item);
  if (!max) return gram_empty(b);
  if (behind) return gram_repeat(b, next, min, max);
  GramExpr some =
      gram_cat2(b, item, gram_repeat(b, next, min ? min - 1 : 0, max == GRAM_INF ? max : max - 1));
  return min ? some : gram_opt(b, some);
}

static bool item_expr(Maker *m, const Parts *list, size_t i, GramExpr *out) {
  Parts parts = {0};
  if (parts_item(&m->r, list, i, &parts)) return maker_use(m, &parts, out);
  parts_free(&parts);
  return false;
}

bool make_array(Maker *m, const Parts *list, GramExpr *out) {
  GramBuilder *b = m->b;
  uint32_t min = 0, max = GRAM_INF;
  for (size_t i = 0; i < list->n; i++) {
    uint32_t lo = read_count(list->p[i].schema, "minItems", 0),
             hi = read_count(list->p[i].schema, "maxItems", GRAM_INF);
    if (lo > min) min = lo;
    if (hi < max) max = hi;
  }
  if (min > max) return *out = gram_never(b), true;
  size_t prefix = parts_prefix(list);
  if (prefix > MAX_PLACES) return reader_fail(&m->r, list->p[0].at, "prefixItems", "too many");
  GramExpr comma = gram_cat2(b, gram_text(b, ","), m->blank), x, item;
  if (prefix > max) prefix = max;
  if (!item_expr(m, list, prefix, &item)) return false;
  uint32_t least = min > prefix ? min - (uint32_t)prefix : 0,
           most = max == GRAM_INF ? max : max - (uint32_t)prefix;
  x = rest_items(b, comma, item, prefix > 0, least, most);
  for (size_t i = prefix; i-- > 0;) { // from the back; each in a rule, so that they do not nest
    if (!item_expr(m, list, i, &item)) return false;
    x = gram_cat2(b, item, x);
    if (i) x = gram_cat2(b, comma, x);
    if (i >= min) x = gram_opt(b, x);
    uint32_t rule = gram_rule(b, "items");
    gram_define(b, rule, x);
    x = gram_use(b, rule);
  }
  *out = gram_cat3(b, gram_text(b, "["), x, gram_text(b, "]"));
  return true;
}
