// jsonio: JSON files through Jansson, with this project's errors. Duplicate keys are refused at every
// depth, as is anything behind the value. The caller releases what it gets with json_decref. Depends
// on base/ and Jansson.
#pragma once

#include "base/buf.h"

#include <jansson.h>

enum { JSONIO_MAX_FILE = 64 << 20 };

// Parses `len` bytes; `path` is for messages. The value must be an object.
json_t *jsonio_parse(const char *text, size_t len, const char *path, zaya_error *err);
// Reads dir/name (dir NULL: name is the whole path).
json_t *jsonio_read(const char *dir, const char *name, zaya_error *err);
// Whether dir/name is a regular file.
bool jsonio_exists(const char *dir, const char *name);
// Appends `value` as compact JSON (indent 0) or indented.
bool jsonio_print(Buf *out, const json_t *value, int indent, zaya_error *err);
