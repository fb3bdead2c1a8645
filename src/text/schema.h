// schema: JSON schema (draft 2020-12, the parts people use) as grammars, and the check of finished output.
//
// What is not supported is an error that names its JSON pointer; nothing is ignored but annotations.
// The grammar accepts a subset of the valid instances in a fixed spelling (docs/structured-output.md: order
// of properties, white space, numbers, escapes); every text it accepts is valid. The check works on the
// parsed value and shares with the grammar only the reading of keywords.
//
// Split over schema_read (keywords, references, conjunctions), schema_check (validation), schema_value
// (strings, numbers, constants), schema_object (objects and arrays) and schema (the rest).
// Depends on gram, regex, jstr, jnum, Jansson.
#pragma once

#include "text/gram.h"

#include <jansson.h>

typedef struct Schema Schema; // immutable once parsed

#define SCHEMA_MAX_TEXT ((size_t)4 << 20)

Schema *schema_parse(const char *text, size_t len, zaya_error *err);
void schema_free(Schema *s);
Gram *schema_compile(const Schema *s, zaya_error *err);

// The same for a part of a larger document: an expression for the values of `schema` in `b`, references
// being looked up from `root`. `at` is the pointer of `schema` in messages.
bool schema_expr(GramBuilder *b, json_t *root, json_t *schema, const char *at, GramExpr *out,
                 zaya_error *err);

// Whether the text is JSON that the schema allows; false with an error that names the place in the value and
// the keyword.
bool schema_validate(const Schema *s, const char *text, size_t len, zaya_error *err);
// The same for a parsed value.
bool schema_check(json_t *root, json_t *schema, const char *at, const json_t *value, zaya_error *err);
