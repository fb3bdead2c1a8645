// ask_fields: see ask_fields.h.
#include "server/ask_fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *json_kind(const json_t *v) {
  if (!v) return "nothing";
  switch (json_typeof(v)) {
  case JSON_OBJECT: return "an object";
  case JSON_ARRAY: return "a list";
  case JSON_STRING: return "a string";
  case JSON_INTEGER:
  case JSON_REAL: return "a number";
  case JSON_TRUE:
  case JSON_FALSE: return "a boolean";
  case JSON_NULL: return "null";
  }
  return "nothing";
}

static bool fault_setv(AskFault *fault, int status, const char *code, const char *field, const char *fmt,
                       va_list args) {
  if (fault->status) return false;
  char text[700];
  fault->status = status;
  fault->code = code;
  snprintf(fault->field, sizeof fault->field, "%s", field ? field : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                                               \
    "-Wformat-nonliteral" // the callers' formats are checked where they are written
  vsnprintf(text, sizeof text, fmt, args);
#pragma GCC diagnostic pop
  return err_set(&fault->error, ZAYA_E_INVALID, "%s%s%s", field ? field : "", field ? ": " : "", text);
}

bool fault_set(AskFault *fault, int status, const char *code, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fault_setv(fault, status, code, NULL, fmt, args);
  va_end(args);
  return false;
}

bool fault_take(AskFault *fault, const zaya_error *err, const char *field) {
  if (fault->status) return false;
  fault->status = err->status == ZAYA_E_MEMORY ? 500 : 400;
  snprintf(fault->field, sizeof fault->field, "%s", field ? field : "");
  return err_set(&fault->error, err->status ? err->status : ZAYA_E_INVALID, "%s%s%s", field ? field : "",
                 field ? ": " : "", err->message);
}

// "at.name".
static void path_of(const Fields *f, const char *name, char *out, size_t size) {
  snprintf(out, size, "%s%s%s", f->at, *f->at ? "." : "", name);
}

bool field_refuse(const Fields *f, const char *name, const char *fmt, ...) {
  char path[160];
  va_list args;
  path_of(f, name, path, sizeof path);
  va_start(args, fmt);
  fault_setv(f->fault, 400, NULL, path, fmt, args);
  va_end(args);
  return false;
}

bool field_wrong(const Fields *f, const char *name, const char *what) {
  return field_refuse(f, name, "expected %s, found %s", what, json_kind(field_get(f, name)));
}

Fields fields_of(const json_t *body, AskFault *fault) { return (Fields){.object = body, .fault = fault}; }

json_t *field_get(const Fields *f, const char *name) {
  json_t *v = json_object_get(f->object, name);
  return json_is_null(v) ? NULL : v;
}

bool field_given(const Fields *f, const char *name) { return field_get(f, name) != NULL; }

bool field_required(const Fields *f, const char *name) {
  return field_given(f, name) || field_refuse(f, name, "this field is required");
}

bool field_number(const Fields *f, const char *name, double min, double max, double *out) {
  const json_t *v = field_get(f, name);
  if (!v) return true;
  if (!json_is_number(v)) return field_wrong(f, name, "a number");
  const double x = json_number_value(v);
  if (!(x >= min && x <= max))
    return field_refuse(f, name, "expected a number from %g to %g, found %g", min, max, x);
  *out = x;
  return true;
}

bool field_int(const Fields *f, const char *name, int64_t min, int64_t max, int64_t *out) {
  const json_t *v = field_get(f, name);
  if (!v) return true;
  if (!json_is_number(v)) return field_wrong(f, name, "a whole number");
  int64_t x;
  if (json_is_integer(v)) {
    x = json_integer_value(v);
  } else {
    const double d = json_real_value(v);
    if (d != floor(d) || fabs(d) > 9007199254740992.0)
      return field_refuse(f, name, "expected a whole number, found %g", d);
    x = (int64_t)d;
  }
  if (x < min || x > max)
    return field_refuse(f, name, "expected a whole number from %lld to %lld, found %lld", (long long)min,
                        (long long)max, (long long)x);
  *out = x;
  return true;
}

bool field_size(const Fields *f, const char *name, size_t min, size_t max, size_t *out) {
  int64_t x = (int64_t)*out;
  if (max > INT64_MAX) max = INT64_MAX;
  if (!field_given(f, name)) return true;
  if (!field_int(f, name, (int64_t)min, (int64_t)max, &x)) return false;
  *out = (size_t)x;
  return true;
}

bool field_bool(const Fields *f, const char *name, bool *out) {
  const json_t *v = field_get(f, name);
  if (!v) return true;
  if (!json_is_boolean(v)) return field_wrong(f, name, "a boolean");
  *out = json_is_true(v);
  return true;
}

bool field_string(const Fields *f, const char *name, const char **out) {
  const json_t *v = field_get(f, name);
  if (!v) return true;
  if (!json_is_string(v)) return field_wrong(f, name, "a string");
  if (strlen(json_string_value(v)) != json_string_length(v))
    return field_refuse(f, name, "a NUL character is not allowed here");
  *out = json_string_value(v);
  return true;
}

bool field_enum(const Fields *f, const char *name, const char *choices, const char **out) {
  const char *text = NULL;
  if (!field_string(f, name, &text)) return false;
  if (!text) return true;
  const size_t n = strlen(text);
  for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
    if (n && !strncmp(p, text, n) && (p[n] == '|' || !p[n])) {
      *out = text;
      return true;
    }
  return field_refuse(f, name, "expected one of %s, found \"%.60s\"", choices, text);
}

bool field_object(const Fields *f, const char *name, const json_t **out) {
  const json_t *v = field_get(f, name);
  if (v && !json_is_object(v)) return field_wrong(f, name, "an object");
  if (v) *out = v;
  return true;
}

bool field_array(const Fields *f, const char *name, const json_t **out) {
  const json_t *v = field_get(f, name);
  if (v && !json_is_array(v)) return field_wrong(f, name, "a list");
  if (v) *out = v;
  return true;
}

bool field_enter(const Fields *f, const char *name, Fields *out) {
  char path[160];
  *out = (Fields){.fault = f->fault};
  path_of(f, name, path, sizeof path);
  memcpy(out->at, path, sizeof out->at - 1);
  out->at[sizeof out->at - 1] = '\0';
  return field_object(f, name, &out->object);
}

bool field_item(const Fields *f, const char *name, size_t i, Fields *out) {
  char path[160], item[160];
  *out = (Fields){.fault = f->fault, .object = json_array_get(field_get(f, name), i)};
  path_of(f, name, path, sizeof path);
  snprintf(out->at, sizeof out->at, "%.90s[%zu]", path, i);
  if (json_is_object(out->object)) return true;
  snprintf(item, sizeof item, "%.120s[%zu]", name, i);
  return field_refuse(f, item, "expected an object, found %s", json_kind(out->object));
}
