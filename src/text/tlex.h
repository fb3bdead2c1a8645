// tlex: the tokens of a template. Depends on tast for errors.
#pragma once

#include "text/tast.h"

typedef enum TTok {
  TK_EOF,
  TK_DATA,      // text: p, len (already trimmed)
  TK_VAR_BEGIN, // {{
  TK_VAR_END,
  TK_BLOCK_BEGIN, // {%
  TK_BLOCK_END,
  TK_NAME,
  TK_STRING, // decoded: p, len
  TK_INT,
  TK_FLOAT,
  TK_OP, // op: up to two characters
} TTok;

typedef struct TToken {
  TTok type;
  uint32_t pos;
  const char *p;
  size_t len;
  int64_t i;
  double f;
  char op[3];
} TToken;

typedef struct TTokens {
  TToken *at; // the last is TK_EOF
  size_t n, cap;
} TTokens;

// Reads all of t->src. The tokens live in t->mem.
bool tlex_run(Tmpl *t, TTokens *out, zaya_error *err);
