// mask: which tokens of a vocabulary may come next. The vocabulary is a byte trie, built once; a mask is
// the walk of that trie together with a matcher's automaton.
//
// Most of a walk does not depend on the stack of the matcher, only on the place within the present rule
// (inside a JSON string nearly every token is fine, whatever the string is a value of). So walks are made
// with an unknown stack and remembered per place, with a list of the trie nodes where the rule can have
// ended; only below those (tokens that close the string and go on) the true stack is consulted.
//
// Owns: the trie, the remembered walks and their memory bound. Does not own: the tokenizer (its pieces
// are handed in), the matcher's state. Depends on match.
#pragma once

#include "text/match.h"

// No text has this byte. A grammar that wants the token <x> rather than the text "<x>" says MARK "<x>".
#define VOCAB_MARK "\xFF"

enum {
  VOCAB_CONTROL = 1, // a token of its own, never met by text: its bytes count with VOCAB_MARK before them
  VOCAB_END = 2,     // ends the output: never set in a mask
};

typedef struct VocabPiece {
  const char *bytes; // what the token decodes to; may cut a character
  size_t len;        // 0: never allowed
  unsigned flags;
} VocabPiece;

typedef struct Vocab Vocab; // immutable, shared by threads, counted

#define VOCAB_MAX_TOKENS (1u << 24)
#define VOCAB_MAX_PIECE  4096u // bytes of a token; longer ones are never allowed

Vocab *vocab_new(const VocabPiece *pieces, size_t n, zaya_error *err);
Vocab *vocab_ref(const Vocab *v);
void vocab_free(Vocab *v);
size_t vocab_size(const Vocab *v);
bool vocab_is_end(const Vocab *v, int32_t id);
// The bytes of a token as the mask knows them; NULL with *len 0 for a token that bytes never allow.
const char *vocab_piece(const Vocab *v, int32_t id, size_t *len);

typedef struct Mask Mask; // the remembered walks of one matcher

Mask *mask_new(const Vocab *v, zaya_error *err);
void mask_free(Mask *k);

static inline size_t mask_words(size_t n_tokens) { return (n_tokens + 63) / 64; }

// Writes out[mask_words(n)]: bit i is set for every token i whose bytes may follow the state of `m`. End
// tokens are never set: see match_can_end. False with an error when a bound of the matcher was hit.
bool mask_fill(Mask *k, Match *m, uint64_t *out, zaya_error *err);

typedef struct MaskStats { // since the mask was made
  uint64_t fills, walks, walked_nodes, whole_walks;
  size_t bytes;
} MaskStats;
MaskStats mask_stats(const Mask *k);
