// regex: regular expressions, the ECMA-262 subset that JSON schemas use, as grammars.
//
// Owns the notation, its messages (with the position in the pattern) and the intersection of patterns
// with one another and with a length. Does not own: how a character is written inside a JSON string
// (jstr). Depends on gram, jstr. See docs/structured-output.md for what is in and what is refused.
#pragma once

#include "text/gram.h"

typedef struct Regex Regex; // a parsed pattern

// `contains`: the pattern may match anywhere (as JSON schema's `pattern` means it), so that only ^ and $ tie
// it to the ends; otherwise it is the whole text and ^ and $ change nothing.
Regex *regex_parse(const char *pattern, size_t len, bool contains, zaya_error *err);
void regex_free(Regex *r);

typedef enum RegexTarget {
  REGEX_TEXT, // the text itself
  REGEX_JSON, // the inside of a JSON string whose value is the text
} RegexTarget;

GramExpr regex_expr(const Regex *r, GramBuilder *b, RegexTarget target);

// The texts that match all of the patterns (n may be 0) and have min to max (GRAM_INF: no bound) code
// points. Refused with ZAYA_E_LIMIT where the product of the automata is too large.
bool regex_all(const Regex *const *r, size_t n, uint32_t min, uint32_t max, GramBuilder *b,
               RegexTarget target, GramExpr *out, zaya_error *err);

// Compiles one pattern as the grammar of a whole output.
Gram *regex_compile(const char *pattern, size_t len, zaya_error *err);
// Whether `text` matches: runs the grammar. For checking finished output.
bool regex_test(const char *pattern, size_t len, bool contains, const char *text, size_t text_len,
                bool *matches, zaya_error *err);

// --- the parsed form, for regex_all ---------------------------------------------------------------------

typedef enum RegexKind { REGEX_EMPTY, REGEX_SET, REGEX_CAT, REGEX_ALT, REGEX_REPEAT } RegexKind;

typedef struct RegexNode {
  RegexKind kind;
  uint32_t a, b;     // CAT, ALT: both sides; REPEAT: a; SET: ranges[a .. a + b)
  uint32_t min, max; // REPEAT
  uint32_t depth;
} RegexNode;

struct Regex {
  RegexNode *nodes;
  uint32_t n_nodes, cap_nodes;
  GramRange *ranges; // sorted and apart within a set
  uint32_t n_ranges, cap_ranges;
  uint32_t root;
};
