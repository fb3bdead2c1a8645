// gen: one answer being written: from logits to the next token, from tokens to events. Puts sampler, turn
// (output parser, thinking budget, constraint), decoder and stop strings together; knows no model and no
// session, so that one loop or a batching engine can drive it. Depends on text/, sampler.
//
//   gen_prompt(g, ids, n)
//   while (!done) { logits of the last token; gen_next(g, logits, &id, &done); feed id }
#pragma once

#include "engine/sampler.h"
#include "text/tok.h"
#include "text/turn.h"

typedef struct GenParams {
  const Tok *tok;
  size_t n_vocab;        // of the logits; ids that the tokenizer does not know are never drawn
  Constraint constraint; // owned by the Gen from gen_new on, also when it fails
  zaya_generate_params p;
  const uint32_t *known; // [MASK_WORDS(n_vocab)] what gen_known fills, shared by many; NULL: its own
  size_t room;           // tokens that the context can take; a tighter p.max_tokens wins. 0: not known
  zaya_output_fn fn;     // events of the answer; may be NULL
  void *user;
} GenParams;

typedef struct Gen Gen;

Gen *gen_new(const GenParams *params, zaya_error *err);
void gen_free(Gen *g);
// The prompt's tokens, for the penalties.
bool gen_prompt(Gen *g, const int32_t *ids, size_t n, zaya_error *err);
// Draws the next token from logits [n_vocab], or takes the one that the turn forces; hands out what it
// means. *done: the answer is complete; the events have ended with ZAYA_OUTPUT_END.
bool gen_next(Gen *g, const float *logits, int32_t *id, bool *done, zaya_error *err);
// The same in two halves, for what happens in between: the choice, which changes nothing that others see and
// may run on any thread, and its consequences.
bool gen_choose(Gen *g, const float *logits, int32_t *id, zaya_error *err);
bool gen_take(Gen *g, int32_t id, bool *done, zaya_error *err);
// The ids that the tokenizer knows, as a mask.
void gen_known(const Tok *tok, size_t n_vocab, uint32_t *mask);
// Ends an answer that is not complete, for a limit outside (a full context) or a cancellation.
bool gen_stop(Gen *g, zaya_finish why, zaya_error *err);
// How it ended and what it counted; times are the caller's.
void gen_result(const Gen *g, zaya_generate_result *out);
