// calls: see calls.h.
#include "text/calls.h"

#include "text/arg.h"
#include "text/mask.h"
#include "text/schema_parts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 3

typedef struct Calls {
  const CallsParams *p;
  GramBuilder *b;
  Reader r;
  ArgTools *types;
  const json_t *tool; // being compiled
  const char *name;
  const char *words[MAX_WORDS]; // what a raw value must not hold
} Calls;

// --- text that does not hold some words ----------------------------------------------------------------

typedef struct Words { // a trie of ASCII words, with the state that a mismatch leads to
  uint8_t byte[512];
  uint16_t parent[512], fail[512];
  bool ends[512]; // a word ends here, or in a suffix
  size_t n;
} Words;

static size_t words_child(const Words *w, size_t s, uint8_t c) {
  for (size_t i = 1; i < w->n; i++)
    if (w->parent[i] == s && w->byte[i] == c) return i;
  return 0;
}

static size_t words_step(const Words *w, size_t s, uint8_t c) {
  for (;; s = w->fail[s]) {
    size_t next = words_child(w, s, c);
    if (next || !s) return next;
  }
}

static bool words_build(Words *w, const char *const *words, size_t n) {
  memset(w, 0, sizeof *w);
  w->n = 1;
  size_t longest = 0;
  for (size_t i = 0; i < n; i++) {
    size_t s = 0, len = strlen(words[i]);
    for (size_t j = 0; j < len; j++) {
      size_t next = words_child(w, s, (uint8_t)words[i][j]);
      if (!next) {
        if (w->n == 512) return false;
        next = w->n++;
        w->byte[next] = (uint8_t)words[i][j];
        w->parent[next] = (uint16_t)s;
      }
      s = next;
    }
    w->ends[s] = true;
    if (len > longest) longest = len;
  }
  for (size_t depth = 2; depth <= longest; depth++) // suffixes of a node are shorter than it
    for (size_t s = 1; s < w->n; s++) {
      size_t d = 0;
      for (size_t up = s; up; up = w->parent[up]) d++;
      if (d != depth) continue;
      w->fail[s] = (uint16_t)words_step(w, w->fail[w->parent[s]], w->byte[s]);
      w->ends[s] = w->ends[s] || w->ends[w->fail[s]];
    }
  return true;
}

// Text without any of the words, and `then` behind it. What follows is part of each state, so that a text
// which may end anywhere costs no look below the stack at every character.
static bool text_without(Calls *c, const char *const *words, size_t n_words, GramExpr then, GramExpr *out) {
  Words *w = malloc(sizeof *w);
  uint32_t rules[512] = {0};
  if (!w) {
    err_memory(c->r.err, sizeof *w, "a grammar");
    return false;
  }
  if (!words_build(w, words, n_words)) {
    free(w);
    return err_set(c->r.err, ZAYA_E_LIMIT, "tags too long");
  }
  uint32_t behind = gram_rule(c->b, "behind a text");
  gram_define(c->b, behind, then);
  for (size_t s = 0; s < w->n; s++) rules[s] = gram_rule(c->b, "text");
  for (size_t s = 0; s < w->n; s++) {
    GramExpr alts[130];
    GramRange apart[130];
    size_t n = 0, n_apart = 0;
    apart[n_apart++] = (GramRange){0, 0};         // many readers of arguments stop at it
    for (unsigned byte = 0; byte < 128; byte++) { // bytes that lead elsewhere than to the start
      size_t next = words_step(w, s, (uint8_t)byte);
      if (!next) continue;
      apart[n_apart++] = (GramRange){byte, byte};
      char text = (char)byte;
      if (!w->ends[next])
        alts[n++] = gram_cat2(c->b, gram_bytes(c->b, &text, 1), gram_use(c->b, rules[next]));
    }
    alts[n++] = gram_cat2(c->b, gram_set(c->b, apart, n_apart, true), gram_use(c->b, rules[0]));
    alts[n++] = gram_use(c->b, behind);
    gram_define(c->b, rules[s], w->ends[s] ? gram_never(c->b) : gram_alt(c->b, alts, n));
  }
  *out = gram_use(c->b, rules[0]);
  free(w);
  return true;
}

// --- values ------------------------------------------------------------------------------------------------

// Whether the parts say nothing of a string but that it is one.
static bool is_plain_string(const Parts *list) {
  static const char *const keys[] = {"minLength", "maxLength", "pattern", "format",
                                     "enum",      "const",     "anyOf",   "oneOf"};
  for (size_t i = 0; i < list->n; i++)
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
      if (json_object_get(list->p[i].schema, keys[k])) return false;
  return true;
}

// A string as it is, and `then`. It may hold anything but the tags where nothing is said of it.
static bool raw_string(Calls *c, const Parts *list, GramExpr then, GramExpr *out) {
  Parts copy = parts_copy(&c->r, list);
  bool ok = parts_expand(&c->r, &copy);
  if (ok && is_plain_string(&copy)) {
    ok = text_without(c, c->words, MAX_WORDS, then, out);
  } else if (ok) {
    GramExpr x = 0;
    Parts taken = parts_copy(&c->r, list);
    ok = maker_expr(c->b, c->r.root, &taken, MAKER_RAW, &x, c->r.err);
    *out = gram_cat2(c->b, x, then);
  }
  parts_free(&copy);
  return ok;
}

// Where JSON is possible too, a string begins with what no JSON value (nor Python's names for some) does.
static GramExpr unlike_json(Calls *c, GramExpr then) {
  static const GramRange json[] = {{0, ' '},   {'"', '"'}, {'-', '-'}, {'0', '9'}, {'<', '<'},
                                   {'F', 'F'}, {'N', 'N'}, {'T', 'T'}, {'[', '['}, {'f', 'f'},
                                   {'n', 'n'}, {'t', 't'}, {'{', '{'}};
  GramExpr text = 0;
  if (!text_without(c, c->words, MAX_WORDS, then, &text)) return 0;
  return gram_alt2(c->b, then, gram_cat2(c->b, gram_set(c->b, json, sizeof json / sizeof *json, true), text));
}

static json_t *type_list(unsigned types) {
  static const struct {
    unsigned type;
    const char *name;
  } names[] = {{ARG_NUMBER, "number"}, {ARG_INTEGER, "integer"}, {ARG_BOOLEAN, "boolean"},
               {ARG_NULL, "null"},     {ARG_OBJECT, "object"},   {ARG_ARRAY, "array"}};
  json_t *list = json_array();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if ((types & names[i].type) == names[i].type) json_array_append_new(list, json_string(names[i].name));
  return json_pack("{s:o}", "type", list);
}

// The value of a parameter and what follows it. `types` as the parser sees them.
static bool value_expr(Calls *c, const Parts *list, unsigned types, GramExpr then, GramExpr *out) {
  unsigned plain = types & (ARG_NUMBER | ARG_BOOLEAN | ARG_NULL | ARG_OBJECT | ARG_ARRAY);
  if (types == ARG_STRING) return raw_string(c, list, then, out);
  json_t *only = type_list(plain);
  if (!only) {
    err_memory(c->r.err, 64, "a schema");
    return false;
  }
  Parts parts = parts_copy(&c->r, list);
  GramExpr x = 0;
  bool ok = parts_add(&c->r, &parts, only, "", 0);
  if (ok)
    ok = maker_expr(c->b, c->r.root, &parts, MAKER_CALL, &x, c->r.err);
  else
    parts_free(&parts);
  json_decref(only);
  if (!ok) return false;
  *out = gram_cat2(c->b, x, then);
  if (!(types & ARG_STRING)) return true;
  Parts all = parts_copy(&c->r, list); // strings among others: only where nothing more is said of them
  ok = parts_expand(&c->r, &all);
  GramExpr text = 0;
  if (ok && is_plain_string(&all))
    text = unlike_json(c, then);
  else if (ok)
    ok = reader_fail(&c->r, all.p[0].at, NULL,
                     "a string among other types, with conditions, cannot be told from them");
  parts_free(&all);
  if (ok) *out = gram_alt2(c->b, *out, text);
  return ok && text;
}

// --- functions
// -----------------------------------------------------------------------------------------------

static bool good_name(const char *name) {
  size_t n = strlen(name);
  for (size_t i = 0; i < n; i++)
    if (name[i] == '<' || name[i] == '>' || (unsigned char)name[i] < 0x20) return false;
  return n && n <= 256 && name[0] != ' ' && name[n - 1] != ' ';
}

static GramExpr tagged(Calls *c, const char *tag, const char *name) {
  Buf b = {0};
  bool ok = buf_printf(&b, c->r.err, "%s%s>\n", tag, name);
  GramExpr x = ok ? gram_bytes(c->b, b.data, b.len) : 0;
  buf_free(&b);
  return x;
}

static GramExpr end_tag(Calls *c, const char *before, const char *tag) {
  return gram_cat3(c->b, gram_text(c->b, before), gram_text(c->b, tag), gram_text(c->b, "\n"));
}

// One parameter, and the rest of the call behind it.
static bool parameter_expr(Calls *c, const Parts *list, const char *name, GramExpr rest, GramExpr *out) {
  Parts parts = {0};
  GramExpr value = 0, then = gram_cat2(c->b, end_tag(c, "\n", c->p->tags.parameter_end), rest);
  bool ok =
      good_name(name) ||
      err_set(c->r.err, ZAYA_E_UNSUPPORTED,
              "tool \"%s\": the name of parameter \"%.80s\" cannot be written in a call", c->name, name);
  ok = ok && parts_property(&c->r, list, name, &parts);
  if (ok && parts.never)
    value = gram_never(c->b);
  else
    ok = ok && value_expr(c, &parts, arg_types(c->types, c->name, name), then, &value);
  parts_free(&parts);
  *out = gram_cat2(c->b, tagged(c, c->p->tags.parameter, name), value);
  return ok;
}

// What a tool's parameters may say of the object as a whole.
static bool check_parameters(Calls *c, const Parts *list) {
  static const char *const bad[] = {"anyOf", "oneOf", "enum", "const", "minProperties", "maxProperties"};
  for (size_t i = 0; i < list->n; i++) {
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
      if (json_object_get(list->p[i].schema, bad[k]))
        return reader_fail(&c->r, list->p[i].at, bad[k],
                           "not supported for the parameters of a tool as a whole");
    if (!(read_types(list->p[i].schema) & TYPE_OBJECT))
      return reader_fail(&c->r, list->p[i].at, "type", "an object is expected");
  }
  return true;
}

// The names of all parameters, in order: those of the properties, then other required ones.
static bool parameter_names(Calls *c, const Parts *list, json_t *names) {
  const char *name;
  json_t *one;
  size_t j;
  for (size_t i = 0; i < list->n; i++) {
    json_object_foreach(json_object_get(list->p[i].schema, "properties"), name, one)
        json_object_set(names, name, json_true());
  }
  for (size_t i = 0; i < list->n; i++) {
    json_array_foreach(json_object_get(list->p[i].schema, "required"), j, one)
        json_object_set(names, json_string_value(one), json_true());
  }
  return json_object_size(names) <= 1000 ||
         err_set(c->r.err, ZAYA_E_LIMIT, "tool \"%s\": more than 1000 parameters", c->name);
}

// From the last parameter to the first: each place is a rule that holds all that may follow.
static bool parameters_expr(Calls *c, const Parts *list, json_t *names, GramExpr *out) {
  size_t n = json_object_size(names), i = 0;
  const char **order = malloc((n + 1) * sizeof *order), *name;
  json_t *one;
  bool ok = order != NULL;
  if (!ok) err_memory(c->r.err, n * sizeof *order, "a tool");
  if (ok) json_object_foreach(names, name, one) order[i++] = name;
  GramExpr rest = end_tag(c, "", c->p->tags.function_end);
  while (ok && i-- > 0) {
    GramExpr with = 0;
    ok = parameter_expr(c, list, order[i], rest, &with);
    uint32_t rule = gram_rule(c->b, order[i]);
    gram_define(c->b, rule, parts_required(list, order[i]) ? with : gram_alt2(c->b, with, rest));
    rest = gram_use(c->b, rule);
  }
  free(order);
  *out = rest;
  return ok;
}

static bool function_expr(Calls *c, GramExpr *out) {
  json_t *schema = json_object_get(c->tool, "parameters"), *names = json_object();
  if (!schema) schema = json_object_get(c->tool, "input_schema");
  GramExpr rest = 0;
  Parts list = {0};
  c->r.root = schema;
  if (json_is_null(schema)) schema = NULL;
  bool ok = names && (!schema || json_is_object(schema) || json_is_boolean(schema));
  if (!ok) err_set(c->r.err, ZAYA_E_INVALID, "tool \"%s\": its parameters are no schema", c->name);
  ok = ok && (!schema || parts_add(&c->r, &list, schema, "", 0)) && parts_expand(&c->r, &list);
  ok = ok && check_parameters(c, &list) && parameter_names(c, &list, names) &&
       parameters_expr(c, &list, names, &rest);
  if (!ok) err_context(c->r.err, "tool \"%s\"", c->name);
  *out = gram_cat2(c->b, tagged(c, c->p->tags.function, c->name), rest);
  parts_free(&list);
  json_decref(names);
  return ok;
}

// --- calls
// -----------------------------------------------------------------------------------------------------

static GramExpr tag_expr(Calls *c, const char *tag, bool token) {
  return token ? gram_cat2(c->b, gram_bytes(c->b, VOCAB_MARK, 1), gram_text(c->b, tag))
               : gram_text(c->b, tag);
}

static bool functions_expr(Calls *c, const json_t *tools, GramExpr *out) {
  size_t n = json_array_size(tools), n_alts = 0;
  GramExpr *alts = malloc((n + 1) * sizeof *alts);
  bool ok = alts != NULL;
  if (!ok) err_memory(c->r.err, n * sizeof *alts, "tools");
  for (size_t i = 0; ok && i < n; i++) {
    const json_t *tool = json_array_get(tools, i), *inner = json_object_get(tool, "function");
    c->tool = json_is_object(inner) ? inner : tool;
    c->name = json_string_value(json_object_get(c->tool, "name"));
    if (!c->name || !good_name(c->name))
      ok = err_set(c->r.err, ZAYA_E_INVALID, "tools: /%zu has no name that can be written in a call", i);
    else if (!c->p->name || !strcmp(c->p->name, c->name))
      ok = function_expr(c, &alts[n_alts++]);
  }
  if (ok && !n_alts)
    ok = c->p->name ? err_set(c->r.err, ZAYA_E_INVALID, "tool choice: there is no tool \"%.80s\"", c->p->name)
                    : err_set(c->r.err, ZAYA_E_INVALID, "tools: there are none to call");
  if (ok) *out = gram_alt(c->b, alts, n_alts);
  free(alts);
  return ok;
}

static bool calls_root(Calls *c, const json_t *tools, uint32_t *root) {
  GramBuilder *b = c->b;
  GramExpr function = 0, text = 0;
  uint32_t call = gram_rule(b, "call");
  if (!functions_expr(c, tools, &function)) return false;
  gram_define(
      b, call,
      gram_cat(b,
               (GramExpr[]){tag_expr(c, c->p->tags.call_open, c->p->open_is_token), gram_text(b, "\n"),
                            function, tag_expr(c, c->p->tags.call_close, c->p->close_is_token)},
               4));
  GramExpr more = gram_repeat(b, gram_cat2(b, gram_text(b, "\n"), gram_use(b, call)), 0, GRAM_INF);
  GramExpr calls = c->p->parallel ? gram_cat2(b, gram_use(b, call), more) : gram_use(b, call);
  *root = gram_rule(b, "tool calls");
  if (c->p->choice == CALLS_AUTO) {
    if (!text_without(c, &c->p->tags.call_open, 1, gram_opt(b, calls), &text)) return false;
    calls = text;
  }
  gram_define(b, *root, calls);
  return gram_builder_ok(b, c->r.err);
}

Gram *calls_compile(const CallsParams *params, zaya_error *err) {
  zaya_error e = {0};
  Calls c = {.p = params,
             .r = {.err = &e},
             .words = {params->tags.parameter_end, params->tags.call_open, params->tags.call_close}};
  for (size_t i = 0; i < MAX_WORDS; i++) // what strings with conditions cannot hold: schema_value.c
    if (strncmp(c.words[i], "</", 2) && strncmp(c.words[i], "<z", 2))
      err_set(&e, ZAYA_E_UNSUPPORTED, "tools: the tag \"%s\" is not supported: \"</\" or \"<z\" is expected",
              c.words[i]);
  json_error_t at;
  json_t *tools = json_loads(params->tools, JSON_ALLOW_NUL, &at);
  Gram *g = NULL;
  uint32_t root;
  c.types = arg_tools_new(params->tools, &e);
  c.b = gram_builder_new(&e);
  if (!tools) err_set(&e, ZAYA_E_INVALID, "tools: line %d, column %d: %s", at.line, at.column, at.text);
  if (e.status == ZAYA_OK && tools && c.types && c.b && calls_root(&c, tools, &root))
    g = gram_compile(c.b, root, &e);
  if (!g) err_set(err, e.status, "%s", e.message);
  gram_builder_free(c.b);
  arg_tools_free(c.types);
  json_decref(tools);
  reader_free(&c.r);
  return g;
}
