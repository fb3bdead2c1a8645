// schema_read: keywords, references and conjunctions of schemas; see schema.h and schema_parts.h.
#include "text/schema_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- texts and errors ------------------------------------------------------------------------------------

void reader_free(Reader *r) {
  for (size_t i = 0; i < r->arena.n; i++) free(r->arena.texts[i]);
  free(r->arena.texts);
  r->arena = (Arena){0};
}

// Takes over a text; NULL when there is no memory (the error is set).
static const char *keep(Reader *r, char *text) {
  Arena *a = &r->arena;
  if (text && a->n == a->cap) {
    size_t cap = a->cap ? a->cap * 2 : 64;
    char **p = realloc(a->texts, cap * sizeof *p);
    if (p) {
      a->texts = p;
      a->cap = cap;
    }
  }
  if (!text || a->n == a->cap) {
    free(text);
    err_memory(r->err, 64, "a schema");
    return NULL;
  }
  return a->texts[a->n++] = text;
}

const char *reader_text(Reader *r, const char *fmt, ...) {
  Buf b = {0};
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (n >= 0 && buf_reserve(&b, (size_t)n, r->err)) vsnprintf(b.data, (size_t)n + 1, fmt, again);
  va_end(again);
  return keep(r, b.data);
}

const char *reader_at(Reader *r, const char *at, const char *key) {
  Buf b = {0};
  bool ok = buf_puts(&b, at, r->err) && buf_putc(&b, '/', r->err);
  for (; ok && *key; key++)
    ok = *key == '~'   ? buf_puts(&b, "~0", r->err)
         : *key == '/' ? buf_puts(&b, "~1", r->err)
                       : buf_putc(&b, *key, r->err);
  if (ok) return keep(r, b.data);
  buf_free(&b);
  return NULL;
}

const char *reader_index(Reader *r, const char *at, size_t i) { return reader_text(r, "%s/%zu", at, i); }

bool reader_fail(Reader *r, const char *at, const char *key, const char *what) {
  const char *full = key ? reader_at(r, at, key) : at;
  return err_set(r->err, ZAYA_E_UNSUPPORTED, "schema %s: %s", full && *full ? full : "(root)", what);
}

// --- keywords
// ------------------------------------------------------------------------------------------------

typedef enum Kind {
  ANNOTATION, // says nothing about values
  COUNT,      // a whole number from 0
  NUMBER,
  STRING,
  SCHEMA,
  SCHEMAS, // a list of at least one
  MAP,     // names to schemas
  ANYTHING,
  OWN, // looked at in read_own
} Kind;

static const struct Keyword {
  const char *name;
  Kind kind;
} keywords[] = {
    {"$comment", ANNOTATION},
    {"$defs", ANNOTATION}, // reached by references only
    {"$id", OWN},
    {"$ref", STRING},
    {"$schema", ANNOTATION},
    {"additionalItems", SCHEMA},
    {"additionalProperties", SCHEMA},
    {"allOf", SCHEMAS},
    {"anyOf", SCHEMAS},
    {"const", ANYTHING},
    {"contentEncoding", ANNOTATION},
    {"contentMediaType", ANNOTATION},
    {"default", ANNOTATION},
    {"definitions", ANNOTATION},
    {"deprecated", ANNOTATION},
    {"description", ANNOTATION},
    {"enum", OWN},
    {"example", ANNOTATION},
    {"examples", ANNOTATION},
    {"exclusiveMaximum", NUMBER},
    {"exclusiveMinimum", NUMBER},
    {"format", OWN},
    {"items", OWN},
    {"maxItems", COUNT},
    {"maxLength", COUNT},
    {"maxProperties", COUNT},
    {"maximum", NUMBER},
    {"minItems", COUNT},
    {"minLength", COUNT},
    {"minProperties", COUNT},
    {"minimum", NUMBER},
    {"multipleOf", OWN},
    {"oneOf", SCHEMAS},
    {"pattern", STRING},
    {"prefixItems", SCHEMAS},
    {"properties", MAP},
    {"readOnly", ANNOTATION},
    {"required", OWN},
    {"title", ANNOTATION},
    {"type", OWN},
    {"uniqueItems", OWN},
    {"writeOnly", ANNOTATION},
};

static unsigned type_named(const char *name) {
  static const struct {
    const char *name;
    unsigned type;
  } names[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER},
               {"number", TYPE_NUMBER}, {"string", TYPE_STRING},   {"array", TYPE_ARRAY},
               {"object", TYPE_OBJECT}};
  for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i].name, name)) return names[i].type;
  return 0;
}

static bool is_schema(const json_t *v) { return json_is_object(v) || json_is_boolean(v); }

static bool read_type(Reader *r, const json_t *v, const char *at) {
  size_t i;
  json_t *one;
  if (json_is_string(v))
    return type_named(json_string_value(v)) || reader_fail(r, at, "type", "no such type");
  if (!json_array_size(v))
    return reader_fail(r, at, "type", "the name of a type or a list of them is expected");
  json_array_foreach(v, i, one) if (!type_named(json_string_value(one))) return reader_fail(r, at, "type",
                                                                                            "no such type");
  return true;
}

static bool read_required(Reader *r, const json_t *v, const char *at) {
  size_t i;
  json_t *one;
  if (!json_is_array(v)) return reader_fail(r, at, "required", "a list of names is expected");
  json_array_foreach(v, i, one) if (!json_is_string(one)) return reader_fail(r, at, "required",
                                                                             "a list of names is expected");
  return true;
}

static bool read_items(Reader *r, const json_t *v, const char *at) {
  size_t i;
  json_t *one;
  if (is_schema(v)) return true;
  if (!json_is_array(v)) return reader_fail(r, at, "items", "a schema is expected");
  json_array_foreach(v, i, one) if (!is_schema(one)) return reader_fail(r, at, "items",
                                                                        "a list of schemas is expected");
  return true;
}

// Keywords with rules of their own.
static bool read_own(Reader *r, const char *key, const json_t *v, const char *at) {
  if (!strcmp(key, "type")) return read_type(r, v, at);
  if (!strcmp(key, "required")) return read_required(r, v, at);
  if (!strcmp(key, "items")) return read_items(r, v, at);
  if (!strcmp(key, "$id")) return !*at || reader_fail(r, at, key, "supported at the root only");
  if (!strcmp(key, "enum"))
    return json_array_size(v) || reader_fail(r, at, key, "a list of values is expected");
  if (!strcmp(key, "uniqueItems"))
    return json_is_false(v) || reader_fail(r, at, key, "not supported unless false");
  if (!strcmp(key, "multipleOf"))
    return (json_is_number(v) && json_number_value(v) > 0) ||
           reader_fail(r, at, key, "a number above 0 is expected");
  if (!json_is_string(v)) return reader_fail(r, at, key, "a text is expected"); // format
  if (read_format(json_string_value(v))) return true;
  char text[120];
  snprintf(text, sizeof text, "the format \"%.60s\" is not supported", json_string_value(v));
  return reader_fail(r, at, key, text);
}

static bool read_keyword(Reader *r, Kind kind, const char *key, json_t *v, const char *at) {
  const char *name;
  json_t *one;
  size_t i;
  switch (kind) {
  case ANNOTATION:
  case ANYTHING: return true;
  case COUNT:
    if (json_is_real(v) && json_real_value(v) >= 0 &&
        json_real_value(v) == (double)(int64_t)json_real_value(v))
      return true;
    return (json_is_integer(v) && json_integer_value(v) >= 0) ||
           reader_fail(r, at, key, "a whole number from 0 is expected");
  case NUMBER: return json_is_number(v) || reader_fail(r, at, key, "a number is expected");
  case STRING: return json_is_string(v) || reader_fail(r, at, key, "a text is expected");
  case SCHEMA: return is_schema(v) || reader_fail(r, at, key, "a schema is expected");
  case SCHEMAS:
    if (!json_array_size(v)) return reader_fail(r, at, key, "a list of schemas is expected");
    json_array_foreach(v, i, one) if (!is_schema(one)) return reader_fail(r, at, key,
                                                                          "a list of schemas is expected");
    return true;
  case MAP:
    if (!json_is_object(v)) return reader_fail(r, at, key, "an object of schemas is expected");
    json_object_foreach(v, name, one) if (!is_schema(one)) return reader_fail(
        r, at, key, "an object of schemas is expected");
    return true;
  case OWN: return read_own(r, key, v, at);
  }
  return false;
}

static int keyword_order(const void *key, const void *entry) {
  return strcmp(key, ((const struct Keyword *)entry)->name);
}

bool read_keywords(Reader *r, const json_t *schema, const char *at) {
  const char *key;
  json_t *v;
  json_object_foreach((json_t *)schema, key, v) {
    const struct Keyword *k =
        bsearch(key, keywords, sizeof keywords / sizeof *keywords, sizeof *keywords, keyword_order);
    if (!k && !strncmp(key, "x-", 2)) continue; // extensions are annotations
    if (!k) return reader_fail(r, at, key, "this keyword is not supported");
    if (!read_keyword(r, k->kind, key, v, at)) return false;
  }
  return true;
}

unsigned read_types(const json_t *schema) {
  const json_t *v = json_object_get(schema, "type"), *one;
  size_t i;
  unsigned types = 0;
  if (!v) return TYPE_ANY;
  if (json_is_string(v)) return type_named(json_string_value(v));
  json_array_foreach(v, i, one) types |= type_named(json_string_value(one));
  return types;
}

unsigned type_of(const json_t *v) {
  switch (json_typeof(v)) {
  case JSON_NULL: return TYPE_NULL;
  case JSON_TRUE:
  case JSON_FALSE: return TYPE_BOOLEAN;
  case JSON_STRING: return TYPE_STRING;
  case JSON_ARRAY: return TYPE_ARRAY;
  case JSON_OBJECT: return TYPE_OBJECT;
  case JSON_INTEGER: return TYPE_INTEGER;
  case JSON_REAL: break;
  }
  double x = json_real_value(v); // doubles from 2^53 on are whole
  return x >= 9e15 || x <= -9e15 || x == (double)(int64_t)x ? TYPE_INTEGER : TYPE_FRACTION;
}

uint32_t read_count(const json_t *schema, const char *key, uint32_t otherwise) {
  const json_t *v = json_object_get(schema, key);
  if (!v) return otherwise;
  double n = json_number_value(v);
  return n >= GRAM_INF - 1 ? GRAM_INF - 1 : (uint32_t)n;
}

size_t read_length(const json_t *string) {
  const char *s = json_string_value(string);
  size_t n = 0, len = json_string_length(string);
  for (size_t i = 0; i < len; i++) n += ((unsigned char)s[i] & 0xC0) != 0x80;
  return n;
}

bool read_equal(const json_t *a, const json_t *b) {
  if (json_is_number(a) && json_is_number(b)) {
    if (json_is_integer(a) && json_is_integer(b)) return json_integer_value(a) == json_integer_value(b);
    return json_number_value(a) == json_number_value(b);
  }
  if (json_is_array(a) && json_is_array(b)) {
    if (json_array_size(a) != json_array_size(b)) return false;
    for (size_t i = 0; i < json_array_size(a); i++)
      if (!read_equal(json_array_get(a, i), json_array_get(b, i))) return false;
    return true;
  }
  if (json_is_object(a) && json_is_object(b)) {
    const char *key;
    json_t *v;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach((json_t *)a, key, v) {
      const json_t *w = json_object_get(b, key);
      if (!w || !read_equal(v, w)) return false;
    }
    return true;
  }
  return json_equal(a, b);
}

// --- references
// ------------------------------------------------------------------------------------------------

// One step of a JSON pointer, up to '/' or the end, with %XX and ~0 ~1 undone; at most 255 bytes.
static const char *pointer_step(const char *p, char out[256]) {
  size_t n = 0;
  while (*p && *p != '/') {
    unsigned c = (unsigned char)*p++, x;
    if (c == '%' && p[0] && p[1] && sscanf(p, "%2x", &x) == 1) {
      c = x;
      p += 2;
    }
    if (c == '~' && (*p == '0' || *p == '1')) c = *p++ == '0' ? '~' : '/';
    if (n == 255) return NULL;
    out[n++] = (char)c;
  }
  out[n] = '\0';
  return p;
}

json_t *read_ref(Reader *r, const json_t *ref, const char *at, const char **target_at) {
  const char *text = json_string_value(ref), *p = text + 1;
  json_t *v = r->root;
  if (text[0] != '#' || (text[1] && text[1] != '/')) {
    reader_fail(r, at, "$ref", "only references within the document (#/...) are supported");
    return NULL;
  }
  while (v && *p == '/') {
    char step[256];
    p = pointer_step(p + 1, step);
    if (!p) break;
    char *end;
    unsigned long i = strtoul(step, &end, 10);
    if (json_is_array(v))
      v = *step && !*end ? json_array_get(v, i) : NULL;
    else
      v = json_object_get(v, step);
  }
  if (!p || !is_schema(v)) {
    reader_fail(r, at, "$ref", "there is no schema at the place it names");
    return NULL;
  }
  *target_at = reader_text(r, "%s", text + 1);
  return *target_at ? v : NULL;
}

// --- formats
// ----------------------------------------------------------------------------------------------------

#define DATE                                                                                                 \
  "(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-"  \
  "9]|1\\d|2[0-8]))"                                                                                         \
  "|(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
#define TIME  "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define OCTET "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4  OCTET "(?:\\." OCTET "){3}"
#define HEX   "[0-9A-Fa-f]"
#define H16   "[0-9A-Fa-f]{1,4}"
#define IPV6                                                                                                 \
  "(?:" H16 ":){7}" H16 "|(?:" H16 ":){1,7}:|(?:" H16 ":){1,6}:" H16 "|(?:" H16 ":){1,5}(?::" H16            \
  "){1,2}|(?:" H16 ":){1,4}(?::" H16 "){1,3}|(?:" H16 ":){1,3}(?::" H16 "){1,4}|(?:" H16 ":){1,2}(?::" H16   \
  "){1,5}|" H16 ":(?::" H16 "){1,6}|:(?::" H16 "){1,7}|::"
#define ATOM     "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}"
#define URI_CHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%" HEX HEX ")"

const char *read_format(const char *name) {
  static const char *const formats[][2] = {
      {"date", DATE},
      {"time", TIME},
      {"date-time", DATE "T" TIME},
      {"duration", "P(?:\\d{1,9}W|(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)"
                   "(?:T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))?"
                   "|T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S))"},
      {"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"},
      {"email", ATOM "(?:\\." ATOM ")*@(?:" LABEL "\\.){1,8}" LABEL},
      {"hostname", LABEL "(?:\\." LABEL "){0,3}"},
      {"ipv4", IPV4},
      {"ipv6", IPV6},
      {"uri", "[A-Za-z][A-Za-z0-9+.-]*://(?:" LABEL "\\.){0,8}" LABEL "(?::\\d{1,5})?(?:/" URI_CHAR
              "*)?(?:\\?(?:" URI_CHAR "|\\?)*)?(?:#" URI_CHAR "*)?"},
      // Of numbers: int32 is a bound; the others hold for every number that is written or read here.
      {"int32", ""},
      {"int64", ""},
      {"float", ""},
      {"double", ""},
  };
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (!strcmp(formats[i][0], name)) return formats[i][1];
  return NULL;
}

// --- conjunctions
// --------------------------------------------------------------------------------------------

void parts_free(Parts *list) {
  free(list->p);
  *list = (Parts){0};
}

bool parts_add(Reader *r, Parts *list, json_t *schema, const char *at, unsigned done) {
  if (!at) return false; // no memory for the pointer
  if (json_is_true(schema)) return true;
  if (json_is_false(schema)) return list->never = true;
  for (size_t i = 0; i < list->n; i++)
    if (list->p[i].schema == schema) {
      list->p[i].done |= done;
      return true;
    }
  if (list->n == list->cap) {
    size_t cap = list->cap ? list->cap * 2 : 4;
    Part *p = realloc(list->p, cap * sizeof *p);
    if (!p) {
      err_memory(r->err, cap * sizeof *p, "a schema");
      return false;
    }
    list->p = p;
    list->cap = cap;
  }
  if (list->n >= 1000) return reader_fail(r, at, NULL, "more than 1000 schemas joined");
  list->p[list->n++] = (Part){.schema = schema, .at = at, .done = done};
  return true;
}

bool parts_follow(Reader *r, Parts *list, json_t *schema, const char *at, size_t from) {
  for (size_t i = from + 1; i; i = list->p[i - 1].from)
    if (list->p[i - 1].schema == schema)
      return reader_fail(r, list->p[from].at, NULL, "it refers to itself without end");
  size_t n = list->n;
  if (!parts_add(r, list, schema, at, 0)) return false;
  if (list->n > n) list->p[n].from = from + 1;
  return true;
}

Parts parts_copy(Reader *r, const Parts *list) {
  Parts copy = {.never = list->never};
  for (size_t i = 0; i < list->n; i++) {
    if (!parts_add(r, &copy, list->p[i].schema, list->p[i].at, list->p[i].done)) break;
    copy.p[i].from = list->p[i].from;
  }
  return copy;
}

bool parts_expand(Reader *r, Parts *list) {
  for (size_t i = 0; i < list->n; i++) { // grows
    Part part = list->p[i];
    size_t j;
    json_t *one;
    if (!read_keywords(r, part.schema, part.at)) return false;
    const json_t *ref = json_object_get(part.schema, "$ref");
    if (ref) {
      const char *at;
      json_t *target = read_ref(r, ref, part.at, &at);
      if (!target || !parts_follow(r, list, target, at, i)) return false;
    }
    const char *at = reader_at(r, part.at, "allOf");
    json_array_foreach(json_object_get(part.schema, "allOf"), j, one) {
      if (!at || !parts_follow(r, list, one, reader_index(r, at, j), i)) return false;
    }
  }
  return true;
}

bool parts_property(Reader *r, const Parts *list, const char *name, Parts *out) {
  for (size_t i = 0; i < list->n; i++) {
    const Part *p = &list->p[i];
    json_t *all = json_object_get(p->schema, "properties"), *one = json_object_get(all, name);
    const char *at = reader_at(r, p->at, one ? "properties" : "additionalProperties");
    if (!at) return false;
    if (one)
      at = reader_at(r, at, name);
    else
      one = json_object_get(p->schema, "additionalProperties");
    if (one && !parts_add(r, out, one, at, 0)) return false;
  }
  return true;
}

bool parts_others(Reader *r, const Parts *list, Parts *out) {
  for (size_t i = 0; i < list->n; i++) {
    json_t *one = json_object_get(list->p[i].schema, "additionalProperties");
    if (one && !parts_add(r, out, one, reader_at(r, list->p[i].at, "additionalProperties"), 0)) return false;
  }
  return true;
}

json_t *schema_prefix(const json_t *schema, const char **key) {
  json_t *items = json_object_get(schema, "items");
  *key = json_is_array(items) ? "items" : "prefixItems";
  return json_is_array(items) ? items : json_object_get(schema, "prefixItems");
}

size_t parts_prefix(const Parts *list) {
  size_t n = 0;
  for (size_t i = 0; i < list->n; i++) {
    const char *key;
    size_t k = json_array_size(schema_prefix(list->p[i].schema, &key));
    if (k > n) n = k;
  }
  return n;
}

bool parts_item(Reader *r, const Parts *list, size_t i, Parts *out) {
  for (size_t k = 0; k < list->n; k++) {
    const Part *p = &list->p[k];
    const char *key, *at;
    json_t *prefix = schema_prefix(p->schema, &key), *one = json_array_get(prefix, i);
    if (one) {
      at = reader_at(r, p->at, key);
      if (at) at = reader_index(r, at, i);
    } else {
      key = prefix && !strcmp(key, "items") ? "additionalItems" : "items"; // drafts before 2020-12
      one = json_object_get(p->schema, key);
      at = reader_at(r, p->at, key);
    }
    if (one && !parts_add(r, out, one, at, 0)) return false;
  }
  return true;
}

bool parts_required(const Parts *list, const char *name) {
  for (size_t i = 0; i < list->n; i++) {
    size_t j;
    json_t *one;
    json_array_foreach(json_object_get(list->p[i].schema, "required"), j,
                       one) if (!strcmp(json_string_value(one), name)) return true;
  }
  return false;
}

unsigned parts_types(const Parts *list) {
  unsigned types = TYPE_ANY;
  for (size_t i = 0; i < list->n; i++) types &= read_types(list->p[i].schema);
  return types;
}

const json_t *parts_values(const Parts *list, const Part **from) {
  for (size_t i = 0; i < list->n; i++) {
    const json_t *v = json_object_get(list->p[i].schema, "const");
    if (!v) v = json_object_get(list->p[i].schema, "enum");
    *from = &list->p[i];
    if (v) return v;
  }
  return NULL;
}
