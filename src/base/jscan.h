// jscan: a strict pull reader of JSON text, for files too large for a tree (a tokenizer.json of 33 MB is
// read in a tenth of the time that building its tree takes). Checks all that it passes over: syntax,
// UTF-8, escapes, depth. Small parts can be cut out as spans and given to Jansson. Depends on buf, utf8.
//
//   if (!jscan_enter(&j, '{', err)) return false;
//   int more;
//   while ((more = jscan_next(&j, err)) > 0) {
//     JStr key;
//     if (!jscan_key(&j, &key, err)) return false;
//     ... read or skip exactly one value ...
//   }
//   return more == 0;
#pragma once

#include "base/buf.h"

enum { JSCAN_MAX_DEPTH = 64 };

typedef struct JStr { // not NUL-terminated
  const char *s;
  size_t len;
} JStr;

typedef struct JScan {
  const char *name; // the file, for messages
  const char *begin, *p, *end;
  char close[JSCAN_MAX_DEPTH]; // the brackets that are open
  int depth;
  bool fresh;     // just behind an opening bracket: no comma yet
  Buf scratch[2]; // unescaped strings, in turn
  int turn;
} JScan;

// Reads `len` bytes at `text`, which must outlive the scanner.
void jscan_init(JScan *j, const char *name, const char *text, size_t len);
void jscan_free(JScan *j);

// The first character of the next value, without taking it: one of {["tfn-0123456789 when well-formed,
// 0 at the end.
char jscan_peek(JScan *j);
// Enters an object ('{') or an array ('[').
bool jscan_enter(JScan *j, char open, zaya_error *err);
// 1: another member follows, 0: the closing bracket was taken, -1: malformed.
int jscan_next(JScan *j, zaya_error *err);
// The key of a member, and its colon.
bool jscan_key(JScan *j, JStr *key, zaya_error *err);
// Strings stay valid until two more are read.
bool jscan_string(JScan *j, JStr *out, zaya_error *err);
bool jscan_int(JScan *j, int64_t *out, zaya_error *err);
bool jscan_bool(JScan *j, bool *out, zaya_error *err);
// Passes over one value of any kind; `span` (may be NULL) is its text.
bool jscan_skip(JScan *j, JStr *span, zaya_error *err);
// Nothing but white space is left.
bool jscan_finish(JScan *j, zaya_error *err);
// "NAME: line 3, column 7: <message>", at the present place; returns false.
bool jscan_fail(const JScan *j, zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static inline bool jstr_is(JStr a, const char *b) {
  return a.len == __builtin_strlen(b) && !__builtin_memcmp(a.s, b, a.len);
}
