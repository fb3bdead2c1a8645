// jstr: how text is written inside JSON strings, as grammar expressions.
//
// Two spellings: `free` strings may use every escape of JSON (a pair of surrogates counts as one character;
// lone surrogates and U+0000 do not occur); `plain` ones write each character one way only: raw, or by the
// short escape, or by \u00xx for the other control characters. Where the value of a string is constrained
// (patterns, names that must differ, constants) the plain spelling is used.
//
// Depends on gram.
#pragma once

#include "text/gram.h"

GramExpr jstr_free_char(GramBuilder *b); // any character, any spelling
// The same without a raw "<", for strings inside markup.
GramExpr jstr_free_char_no_lt(GramBuilder *b);
// Any characters, any spelling, but no raw "</" and no raw "<z": no tag of a tool call can be in it.
GramExpr jstr_free_no_tags(GramBuilder *b);
// One character of the class (sorted ranges), plain.
GramExpr jstr_set(GramBuilder *b, const GramRange *ranges, size_t n);
// Appends the plain spelling of `text` with its quotes.
bool jstr_quote(Buf *out, const char *text, size_t len, zaya_error *err);
// A plain string, with its quotes, that is none of the `n` given texts. `n` sums to few thousand bytes. With
// `no_lt` it holds no "<" beyond the length of a prefix of theirs.
GramExpr jstr_other(GramBuilder *b, const char *const *texts, const size_t *lens, size_t n, bool no_lt);
