// guide: a compiled constraint over a tokenizer's vocabulary, and its states as constraint.h wants them.
//
// A Guide is immutable and counted: any number of sequences, in any threads, may be started from it. A state
// owns its matcher, its remembered masks and the text so far; where the guide has a schema, the answer
// may end only when that text has been found valid by the check, which is not the grammar.
// Depends on gram, mask, gbnf, regex, schema, calls, constraint, tok.
#pragma once

#include "text/calls.h"
#include "text/constraint.h"
#include "text/mask.h"
#include "text/tok.h"

typedef struct Guide Guide;

// The trie of a tokenizer: some tenths of a second for 262144 tokens, so it is made once and shared.
Vocab *guide_vocab(const Tok *tok, zaya_error *err);

Guide *guide_gbnf(const Vocab *v, const char *text, size_t len, zaya_error *err);
Guide *guide_regex(const Vocab *v, const char *pattern, size_t len, zaya_error *err); // the whole answer
Guide *guide_schema(const Vocab *v, const char *text, size_t len, zaya_error *err);
Guide *guide_calls(const Vocab *v, const CallsParams *params, zaya_error *err);
// Tool calls, or an answer of a form: what begins as one of them goes on as it. A form that could begin as a
// tag does is refused. Both stay the caller's.
Guide *guide_either(const Guide *calls, const Guide *form, zaya_error *err);
Guide *guide_ref(const Guide *g);
void guide_free(Guide *g);

// A state at the start of the answer.
bool guide_start(const Guide *g, Constraint *out, zaya_error *err);
// Whether the whole text is an answer: the grammar takes it and the check finds it valid.
bool guide_check(const Guide *g, const char *text, size_t len, zaya_error *err);
