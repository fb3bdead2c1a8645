// constraint: what a grammar, a JSON schema or a regular expression looks like to the code that
// samples. Owns the contract only; the implementers (grammar, schema) provide a ConstraintOps table, and
// turn.c is the one caller during generation: it decides when the constraint is in force (after the
// thinking) and merges the mask with the end tokens. Depends on the public header.
//
// A constraint sees the answer only: neither the thinking, nor the framing newlines behind it, nor the
// end tokens. A state belongs to one sequence; states of one compiled grammar may be used from different
// threads, so whatever they share is read-only or guarded by the implementer.
#pragma once

#include "zaya/zaya.h"

// Masks hold one bit per token id: id is bit (id & 31) of word (id >> 5), set when the token may come next.
#define MASK_WORDS(vocab_size) (((size_t)(vocab_size) + 31) / 32)

static inline bool mask_get(const uint32_t *bits, int32_t id) { return bits[id >> 5] >> (id & 31) & 1u; }
static inline void mask_set(uint32_t *bits, int32_t id) { bits[id >> 5] |= 1u << (id & 31); }
static inline void mask_clear(uint32_t *bits, int32_t id) { bits[id >> 5] &= ~(1u << (id & 31)); }

typedef struct ConstraintOps {
  const char *name; // "json_schema", "regex", "grammar": for messages

  // Writes all n_words words (n_words = MASK_WORDS(V)): the tokens that may come next, bits beyond the
  // vocabulary clear. End tokens and other control tokens are never set here: whether the answer may end
  // is can_end's to say. No bit set and can_end false means that the constraint cannot be met any more.
  bool (*fill_mask)(void *state, uint32_t *bits, size_t n_words, zaya_error *err);

  // Moves on by one token. A token that is not allowed fails with ZAYA_E_INVALID and leaves the state as
  // it was.
  bool (*accept)(void *state, int32_t id, zaya_error *err);

  // The same for bytes that are not a whole token: the rest of a token that also closed the thinking.
  bool (*accept_bytes)(void *state, const char *bytes, size_t n, zaya_error *err);

  // Whether what was accepted so far is a complete answer.
  bool (*can_end)(const void *state);

  // An independent copy of the state (never of the compiled grammar).
  void *(*clone)(const void *state, zaya_error *err);
  void (*free)(void *state); // NULL is allowed
} ConstraintOps;

// A constraint in use: `ops` NULL means that there is none.
typedef struct Constraint {
  const ConstraintOps *ops;
  void *state;
} Constraint;

static inline void constraint_free(Constraint *c) {
  if (c->ops) c->ops->free(c->state);
  *c = (Constraint){0};
}
