// arg: the values of tool-call arguments. Owns how a parameter's raw text becomes JSON by the tool's
// schema; does not own where the text begins and ends (call.c), nor validation against the schema.
// Depends on base, Jansson.
#pragma once

#include "base/buf.h"

// JSON types that a schema allows, as a set.
enum {
  ARG_STRING = 1,
  ARG_INTEGER = 2,
  ARG_FRACTION = 4, // a number that is no integer
  ARG_NUMBER = ARG_INTEGER | ARG_FRACTION,
  ARG_BOOLEAN = 8,
  ARG_NULL = 16,
  ARG_OBJECT = 32,
  ARG_ARRAY = 64,
  ARG_UNTYPED = 128, // no schema says anything
  ARG_ANY = 255,
};

typedef struct ArgTools ArgTools; // the tools of a request

// Reads a JSON array of tools: {"type":"function","function":{"name":..,"parameters":SCHEMA}}, the same
// without the inner object, or {"name":..,"input_schema":SCHEMA}.
ArgTools *arg_tools_new(const char *json, zaya_error *err);
void arg_tools_free(ArgTools *tools);

// Whether there is a tool of that name; `tools` may be NULL.
bool arg_tool_known(const ArgTools *tools, const char *name);
// The types that the tool's schema allows for a parameter; ARG_ANY where it says nothing.
unsigned arg_types(const ArgTools *tools, const char *tool, const char *param);

// Appends the JSON value that `text` stands for, given the allowed types. *typed is false when the text
// is none of them; it is then taken as if there were no schema.
bool arg_value(unsigned types, const char *text, size_t n, Buf *out, bool *typed, zaya_error *err);

// Appends the bytes as the inside of a JSON string, malformed UTF-8 replaced by U+FFFD. Unless `last`,
// a character that is incomplete at the end is left for later; *used is how many bytes were taken.
bool arg_escape(const char *s, size_t n, bool last, Buf *out, size_t *used, zaya_error *err);
