// ask_fields: typed readers of a request's JSON fields. A wrong type is refused with the field named
// ("temperature: expected a number, found a string"); null counts as absent; fields that nobody reads are
// ignored. Depends on base, Jansson.
#pragma once

#include "base/error.h"

#include <jansson.h>

// Why a request is refused: what an error body needs. The first one wins, as with zaya_error.
typedef struct AskFault {
  int status;       // of HTTP: 400, 404, ...; 0: no fault
  const char *code; // a literal: "context_length_exceeded", "model_not_found", ..; NULL: none
  char field[160];  // what is at fault: "messages[2].content"; empty: not one field
  zaya_error error; // the message begins with the field
} AskFault;

// An object of the request: `at` is its path, "" for the request itself. Readers are called on a Fields by
// value, so that nested objects are one line: Fields inner; field_enter(f, "response_format", &inner).
typedef struct Fields {
  const json_t *object;
  AskFault *fault;
  char at[120];
} Fields;

Fields fields_of(const json_t *body, AskFault *fault);

// All return false when the field is there and wrong: the fault is set. An absent field is true and leaves
// *out.
bool field_number(const Fields *f, const char *name, double min, double max, double *out);
bool field_int(const Fields *f, const char *name, int64_t min, int64_t max, int64_t *out); // 3.0 counts as 3
bool field_size(const Fields *f, const char *name, size_t min, size_t max, size_t *out);
bool field_bool(const Fields *f, const char *name, bool *out);
bool field_string(const Fields *f, const char *name, const char **out); // borrowed; no NUL inside
// A string that must be one of `choices`, words separated by '|'.
bool field_enum(const Fields *f, const char *name, const char *choices, const char **out);
bool field_object(const Fields *f, const char *name, const json_t **out);
bool field_array(const Fields *f, const char *name, const json_t **out);

// The value, NULL when it is absent or null.
json_t *field_get(const Fields *f, const char *name);
bool field_given(const Fields *f, const char *name);
// The object under `name` as Fields; out->object NULL when absent.
bool field_enter(const Fields *f, const char *name, Fields *out);
// Item i of the list under `name` as Fields ("messages[2]"); refuses an item that is no object.
bool field_item(const Fields *f, const char *name, size_t i, Fields *out);
// The field must be there.
bool field_required(const Fields *f, const char *name);

// Refuses with status 400: "at.name: reason". Returns false.
bool field_refuse(const Fields *f, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// "expected `what`, found a string".
bool field_wrong(const Fields *f, const char *name, const char *what);
// A refusal that is not about one field. `code` is a literal or NULL. Returns false.
bool fault_set(AskFault *fault, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// Takes an error of a callee over (status by its kind: 500 for memory, else 400), with `field` in front if
// not NULL.
bool fault_take(AskFault *fault, const zaya_error *err, const char *field);

// What a JSON value is, for messages: "a string", "null", ...
const char *json_kind(const json_t *v);
