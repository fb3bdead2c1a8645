// gbnf: grammars in GBNF, as llama.cpp's users write them, to the rules of gram.h.
//
// Owns the notation and its messages (line and column). Depends on gram. See docs/structured-output.md.
#pragma once

#include "text/gram.h"

#define GBNF_MAX_TEXT ((size_t)4 << 20)

// Compiles `text`, whose rule `root` is the start. NULL with an error naming line and column.
Gram *gbnf_parse(const char *text, size_t len, zaya_error *err);
