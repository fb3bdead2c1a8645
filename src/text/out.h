// out: splits what a model writes into reasoning, content and tool calls, piece by piece. Owns the modes,
// the framing newlines, the accounting and the events; does not own tag matching (tags.c), the inside of a
// call (call.c) or token counts (turn.c). docs/output.md states the rules. Depends on tags, call, arg.
#pragma once

#include "base/buf.h"

typedef zaya_output Out;
typedef zaya_output_params OutParams;
typedef zaya_output_tags OutTags;

Out *out_new(const OutParams *params, zaya_output_fn fn, void *user, zaya_error *err);
void out_free(Out *o);
bool out_feed(Out *o, const char *p, size_t n, zaya_error *err);
bool out_end(Out *o, zaya_error *err);
// Before out_end: a limit ended the output, the model did not. What more than half spells a tag then is one.
void out_cut(Out *o);
zaya_output_counts out_counts(const Out *o);

// The tags with ZAYA's own for those that are NULL.
OutTags out_tags(const OutTags *tags);
#define OUT_TURN "<|im_start|>" // begins a turn
// See zaya_output_prompt_thinks.
bool out_prompt_thinks(const OutTags *tags, const char *turn, const char *prompt, size_t n);

// --- what turn.c asks ----------------------------------------------------------------------------

// The answer begins, under a constraint: no thinking block opens any more. For a verbatim answer every byte
// is content from here (its text must reach the caller as it was validated), and nothing may be held.
bool out_begin_constrained(Out *o, zaya_error *err);
bool out_thinking(const Out *o); // a thinking block is open
bool out_visible(const Out *o);  // a tool call or content other than white space was written
// Held bytes that may become a tag of the present mode; never NULL.
const char *out_held(const Out *o, size_t *n);

// What a piece of text would do to the thinking, without taking it.
typedef struct OutLook {
  bool closes;   // it closes the open thinking block
  size_t behind; // closes: where in the piece the text behind the closing tag and its newlines begins
  bool opens;    // it opens a thinking block, at the end or in passing
} OutLook;
OutLook out_look(const Out *o, const char *p, size_t n);
