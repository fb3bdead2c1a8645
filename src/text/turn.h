// turn: one state machine for what a model writes in its turn: the output parser, the thinking budget and the
// constraint. It sees every token in order and says before each what may or must come next, so that a cut
// cannot put them out of step. Owns the parser, the counts and the closing sequence; knows tokens as ids and
// bytes only: no model, no tokenizer, no sampler. Depends on out, constraint. docs/output.md has the rules.
//
//   for (;;) {
//     TurnStep step;
//     turn_step(t, &step, err);
//     if (step.forced) id = step.id;
//     else {
//       probs = what the model gives
//       if (step.encourage && turn_likely(probs, V, step.close_id, step.min_prob, step.top_k)) {
//         turn_close(t, err);  // from the next turn_step on the closing tokens are forced
//         continue;
//       }
//       if (step.masked) turn_mask(t, bits, MASK_WORDS(V), err), and apply it
//       do id = a sample; while (turn_allows(t, id, bytes, n, &ok, err) && !ok);  // without the refused ones
//     }
//     turn_accept(t, id, bytes, n, err);  // the bytes that the streaming decoder gives for it
//     if (turn_ended(t)) break;
//   }
//   turn_rest(t, what the decoder still holds, err);
//   turn_end(t, cut, err);  // also when the turn was cut by a limit
#pragma once

#include "text/constraint.h"
#include "text/out.h"

typedef zaya_thinking Thinking;

// Encodes a text of the closing sequence, without <bos>; a tag that is one token becomes this token.
typedef bool (*TurnEncode)(void *user, const char *text, size_t n, zaya_ids *out, zaya_error *err);

typedef struct TurnParams {
  OutParams out; // `verbatim` goes with a constraint on the answer's text, not with one on a tool call
  zaya_output_fn fn;
  void *user; // for fn
  Thinking thinking;
  TurnEncode encode;
  void *encode_user;
  const int32_t *end_ids; // tokens that end the turn: copied
  size_t n_end_ids;
  size_t max_tokens;     // the turn's limit, as far as it is known; 0: none
  Constraint constraint; // on the answer; the turn owns it from turn_new on, also when turn_new fails
  bool may_think;        // constrained and no block opened by the prompt: the model may still open one first
} TurnParams;

typedef struct Turn Turn;

Turn *turn_new(const TurnParams *params, zaya_error *err);
void turn_free(Turn *t);

typedef struct TurnStep {
  bool forced; // `id` comes next, whatever the model says
  int32_t id;
  bool encourage;   // the soft limit is passed: close if close_id is likely (turn_likely)
  int32_t close_id; // first token of the closing tag
  float min_prob;
  size_t top_k;
  bool constrained; // the constraint is in force
  bool end_allowed; // an end token may come next
  bool masked;      // turn_mask rules something out
} TurnStep;

bool turn_step(Turn *t, TurnStep *step, zaya_error *err);
// The tokens that may come next, as far as they are known before the choice: the constraint, end tokens, a
// tag that would open a forbidden block. Fails when nothing at all may come. Not while a token is forced.
bool turn_mask(Turn *t, uint32_t *bits, size_t n_words, zaya_error *err);
// What a mask cannot know: whether the chosen token is fine with its bytes (it may end the thinking and go on
// with text that the constraint refuses). *ok is false for a token that must not be taken: choose again.
bool turn_allows(Turn *t, int32_t id, const char *bytes, size_t n, bool *ok, zaya_error *err);
// Closes the thinking now; as the soft limit does. Only while it is open.
bool turn_close(Turn *t, zaya_error *err);
// Takes the token. An end token's bytes are not text.
bool turn_accept(Turn *t, int32_t id, const char *bytes, size_t n, zaya_error *err);
bool turn_ended(const Turn *t); // an end token was taken
// What the decoder still held behind the last token: the replacement of a character that was cut off.
bool turn_rest(Turn *t, const char *bytes, size_t n, zaya_error *err);
// The output is complete. Fails when a constraint is in force that is not met, unless `cut`: then a limit
// ended the turn, or its user.
bool turn_end(Turn *t, bool cut, zaya_error *err);

zaya_turn_counts turn_counts(const Turn *t);
zaya_output_counts turn_output_counts(const Turn *t);
bool turn_thinking(const Turn *t);

// Whether token `id` is likely: its probability is at least min_prob, or fewer than top_k tokens are more
// probable. A bound of 0 does not count. probs [n]: of the model, before temperature and penalties.
bool turn_likely(const float *probs, size_t n, int32_t id, float min_prob, size_t top_k);
