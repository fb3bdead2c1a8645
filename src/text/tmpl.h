// tmpl: the chat-template engine: Jinja2 as Hugging Face sets it up (trim_blocks, lstrip_blocks,
// immutable sandbox, loop controls, plain tojson). Compile once, render many times: a compiled
// template never changes, so threads may render it at once.
// Every byte of the output knows where it came from: written in the template, or handed in as a
// value. See docs/templates.md. Depends on base and Jansson; the parts are t*.c in this folder.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

typedef struct Tmpl Tmpl;

// What a template may use; 0 stands for the default.
typedef struct TmplLimits {
  size_t max_output;  // bytes of the text, and of any string on the way; 64 MiB
  size_t max_memory;  // bytes of everything a render holds; 512 MiB
  uint64_t max_steps; // evaluated nodes, loop rounds and (by the dozen) bytes worked on; 20 million
  int max_depth;      // nested expressions, blocks and macro calls; 400
} TmplLimits;

typedef struct TmplSegment {
  size_t begin, end;  // bytes of the text
  bool from_template; // false: came in with the values
} TmplSegment;

typedef struct TmplOut {
  Buf text;
  TmplSegment *segments; // cover the text, in order; neighbours differ
  size_t n_segments;
} TmplOut;

typedef struct TmplInput {
  const json_t *values;  // object: the variables, each byte of them a value
  const json_t *trusted; // object or NULL: variables that count as written in the template (bos_token, ...)
  const int64_t *now;    // seconds since 1970 for strftime_now; NULL: the clock
  TmplLimits limits;
} TmplInput;

// `name` is for error messages. Fails with the line and column of what is wrong.
Tmpl *tmpl_compile(const char *name, const char *text, size_t len, zaya_error *err);
void tmpl_free(Tmpl *t);
// Whether the template mentions a variable anywhere ("tools", "enable_thinking").
bool tmpl_uses(const Tmpl *t, const char *name);
// Renders into `out` (zero-initialised; freed by tmpl_out_free also after a failure).
bool tmpl_render(const Tmpl *t, const TmplInput *in, TmplOut *out, zaya_error *err);
void tmpl_out_free(TmplOut *out);
