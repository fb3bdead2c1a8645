// calls: tool calls as a grammar: only calls of the given tools with valid arguments can be written.
//
// Owns how a call is spelled here (docs/structured-output.md). The parser (call.c) reads more than this
// grammar writes; what it makes of a value (its types, by arg.h) decides how the value is written. Depends on
// gram, schema, arg.
#pragma once

#include "text/gram.h"

typedef enum CallsChoice {
  CALLS_AUTO,     // text, then perhaps calls
  CALLS_REQUIRED, // at least one call, no text
} CallsChoice;

typedef struct CallsParams {
  const char *tools; // JSON, as arg_tools_new takes it
  CallsChoice choice;
  const char *name;      // the one tool that may be called; NULL: any
  bool parallel;         // several calls may follow one another
  zaya_output_tags tags; // all set, as out_tags gives them
  bool open_is_token;    // the vocabulary has the tag as a control token: it is written as that token
  bool close_is_token;
} CallsParams;

Gram *calls_compile(const CallsParams *params, zaya_error *err);
