// arg: see arg.h. Numbers, objects and arrays are copied as the model wrote them (an integer of twenty
// digits stays what it is); only the types are decided here.
#include "text/arg.h"

#include "base/error.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// Bounds for one parameter, so that schemas which refer to themselves end.
enum { MAX_SCHEMA_DEPTH = 32, MAX_SCHEMAS = 4096 };

struct ArgTools {
  json_t *list;
};

ArgTools *arg_tools_new(const char *json, zaya_error *err) {
  json_error_t at;
  json_t *list = json_loads(json, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &at);
  if (!list) {
    err_set(err, ZAYA_E_INVALID, "tools: line %d, column %d: %s", at.line, at.column, at.text);
    return NULL;
  }
  ArgTools *tools = NULL;
  if (!json_is_array(list)) {
    err_set(err, ZAYA_E_INVALID, "tools: expected a JSON array");
  } else if (!(tools = malloc(sizeof *tools))) {
    err_memory(err, sizeof *tools, "the tools");
  }
  if (!tools) {
    json_decref(list);
    return NULL;
  }
  tools->list = list;
  return tools;
}

void arg_tools_free(ArgTools *tools) {
  if (!tools) return;
  json_decref(tools->list);
  free(tools);
}

static const json_t *find_tool(const ArgTools *tools, const char *name) {
  if (!tools) return NULL;
  for (size_t i = 0; i < json_array_size(tools->list); i++) {
    const json_t *tool = json_array_get(tools->list, i), *inner = json_object_get(tool, "function");
    if (json_is_object(inner)) tool = inner;
    const char *found = json_string_value(json_object_get(tool, "name"));
    if (found && !strcmp(found, name)) return tool;
  }
  return NULL;
}

bool arg_tool_known(const ArgTools *tools, const char *name) { return find_tool(tools, name) != NULL; }

// --- what types a schema allows ----------------------------------------------------------------

static unsigned type_named(const char *name) {
  static const struct {
    const char *name;
    unsigned type;
  } table[] = {{"string", ARG_STRING},   {"integer", ARG_INTEGER}, {"number", ARG_NUMBER},
               {"boolean", ARG_BOOLEAN}, {"null", ARG_NULL},       {"object", ARG_OBJECT},
               {"array", ARG_ARRAY}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (name && !strcmp(name, table[i].name)) return table[i].type;
  return 0;
}

static unsigned type_of_value(const json_t *v) {
  switch (json_typeof(v)) {
  case JSON_STRING: return ARG_STRING;
  case JSON_INTEGER: return ARG_INTEGER;
  case JSON_REAL: return ARG_NUMBER; // integers are read as reals: either
  case JSON_TRUE:
  case JSON_FALSE: return ARG_BOOLEAN;
  case JSON_NULL: return ARG_NULL;
  case JSON_OBJECT: return ARG_OBJECT;
  default: return ARG_ARRAY;
  }
}

// Follows a reference inside the same schema, "#/$defs/name"; NULL when it leads nowhere.
static const json_t *follow(const json_t *root, const char *ref) {
  if (ref[0] != '#') return NULL;
  const json_t *at = root;
  for (ref++; at && *ref == '/';) {
    char key[256];
    size_t n = 0;
    for (ref++; *ref && *ref != '/'; ref++) {
      char c = *ref;
      if (c == '~' && (ref[1] == '0' || ref[1] == '1')) c = *++ref == '0' ? '~' : '/';
      if (n == sizeof key - 1) return NULL;
      key[n++] = c;
    }
    key[n] = '\0';
    at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
  }
  return *ref ? NULL : at;
}

typedef struct Walk {
  const json_t *root; // what references start from
  int left;           // schemas that may still be looked at
} Walk;

static unsigned schema_types(Walk *walk, const json_t *schema, int depth);

// The types that any (or, for allOf, every) one of a list of schemas allows.
static unsigned list_types(Walk *walk, const json_t *list, bool every, int depth) {
  if (!json_is_array(list) || json_array_size(list) == 0) return ARG_ANY;
  unsigned types = every ? ARG_ANY : 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    unsigned one = schema_types(walk, json_array_get(list, i), depth + 1);
    types = every ? types & one : types | one;
  }
  return types;
}

static unsigned declared_types(const json_t *type) {
  if (json_is_string(type)) return type_named(json_string_value(type));
  unsigned types = 0;
  for (size_t i = 0; i < json_array_size(type); i++)
    types |= type_named(json_string_value(json_array_get(type, i)));
  return types;
}

static unsigned schema_types(Walk *walk, const json_t *schema, int depth) {
  if (!json_is_object(schema) || depth > MAX_SCHEMA_DEPTH || walk->left-- <= 0) return ARG_ANY;
  unsigned types = ARG_ANY;
  const json_t *part;
  if ((part = json_object_get(schema, "type"))) {
    unsigned declared = declared_types(part);
    if (declared) types &= declared;
  }
  if ((part = json_object_get(schema, "const"))) types &= type_of_value(part);
  if (json_array_size(part = json_object_get(schema, "enum"))) {
    unsigned values = 0;
    for (size_t i = 0; i < json_array_size(part); i++) values |= type_of_value(json_array_get(part, i));
    types &= values;
  }
  if (json_is_string(part = json_object_get(schema, "$ref")))
    types &= schema_types(walk, follow(walk->root, json_string_value(part)), depth + 1);
  types &= list_types(walk, json_object_get(schema, "anyOf"), false, depth);
  types &= list_types(walk, json_object_get(schema, "oneOf"), false, depth);
  types &= list_types(walk, json_object_get(schema, "allOf"), true, depth);
  if (json_is_true(json_object_get(schema, "nullable"))) types |= ARG_NULL;
  return types ? types : ARG_ANY; // a schema that nothing meets says nothing about its text
}

unsigned arg_types(const ArgTools *tools, const char *tool, const char *param) {
  const json_t *found = find_tool(tools, tool);
  if (!found) return ARG_ANY;
  const json_t *schema = json_object_get(found, "parameters");
  if (!schema) schema = json_object_get(found, "input_schema");
  const json_t *one = json_object_get(json_object_get(schema, "properties"), param);
  Walk walk = {schema, MAX_SCHEMAS};
  return schema_types(&walk, one ? one : json_object_get(schema, "additionalProperties"), 0);
}

// --- text to JSON ------------------------------------------------------------------------------

bool arg_escape(const char *s, size_t n, bool last, Buf *out, size_t *used, zaya_error *err) {
  size_t end = last ? n : n - utf8_incomplete_tail(s, n), plain = 0, i = 0;
  while (i < end) {
    unsigned char c = (unsigned char)s[i];
    uint32_t cp;
    size_t len = utf8_next(s + i, n - i, &cp);
    if (cp != UTF8_BAD && c >= 0x20 && c != '"' && c != '\\') {
      i += len;
      continue;
    }
    if (!buf_add(out, s + plain, i - plain, err)) return false;
    const char *found = c ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", c) : NULL; // the character, then its letter
    bool ok = cp == UTF8_BAD ? buf_puts(out, "\xEF\xBF\xBD", err)
              : found        ? buf_putc(out, '\\', err) && buf_putc(out, found[1], err)
                             : buf_printf(out, err, "\\u%04x", c);
    if (!ok) return false;
    plain = i += len;
  }
  *used = i;
  return buf_add(out, s + plain, i - plain, err);
}

static bool put_string(const char *s, size_t n, Buf *out, zaya_error *err) {
  size_t used;
  return buf_putc(out, '"', err) && arg_escape(s, n, true, out, &used, err) && buf_putc(out, '"', err);
}

static bool is_word(const char *s, size_t n, const char *word) {
  return n == strlen(word) && !memcmp(s, word, n);
}

// Length of s[0..n) as an integer: a JSON number without exponent whose fraction, if any, is zero. The
// fraction is left out of the length. 0 when it is none.
static size_t integer_length(const char *s, size_t n) {
  size_t i = n && s[0] == '-', first = i;
  while (i < n && s[i] >= '0' && s[i] <= '9') i++;
  if (i == first) return 0;
  size_t whole = i;
  if (i < n && s[i] == '.') {
    size_t zeros = ++i;
    while (i < n && s[i] == '0') i++;
    if (i == zeros) return 0;
  }
  return i == n ? whole : 0;
}

// The type of s[0..n) as a JSON text, 0 when it is none (or holds a number that no double can).
static unsigned json_type_of(const char *s, size_t n) {
  json_t *v = json_loadb(s, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
  if (!v) return 0;
  unsigned type = type_of_value(v);
  json_decref(v);
  if (type & ARG_NUMBER) return integer_length(s, n) ? ARG_INTEGER : ARG_FRACTION;
  return type;
}

bool arg_value(unsigned types, const char *text, size_t n, Buf *out, bool *typed, zaya_error *err) {
  *typed = true;
  if (types == ARG_STRING) return put_string(text, n, out, err);
  const char *s = text;
  size_t len = n;
  while (len && strchr(" \t\r\n", s[0]) && s[0]) s++, len--;
  while (len && strchr(" \t\r\n", s[len - 1]) && s[len - 1]) len--;
  unsigned type = json_type_of(s, len);
  if (types & ARG_UNTYPED) return type ? buf_add(out, s, len, err) : put_string(text, n, out, err);
  if (type == ARG_INTEGER && (types & ARG_INTEGER))
    return buf_add(out, s, types & ARG_FRACTION ? len : integer_length(s, len), err);
  if (type & types & ~(unsigned)ARG_STRING) return buf_add(out, s, len, err);
  // As Python prints them, which is what templates that do not use tojson show the model.
  if ((types & ARG_BOOLEAN) && is_word(s, len, "True")) return buf_puts(out, "true", err);
  if ((types & ARG_BOOLEAN) && is_word(s, len, "False")) return buf_puts(out, "false", err);
  if ((types & ARG_NULL) && is_word(s, len, "None")) return buf_puts(out, "null", err);
  if (types & ARG_STRING) return put_string(text, n, out, err);
  *typed = false;
  return type ? buf_add(out, s, len, err) : put_string(text, n, out, err);
}
