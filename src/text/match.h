// match: running a compiled grammar over bytes. The state is a set of (node, stack) pairs; stacks share
// their lower parts (frames are interned) and whole sets are interned too, with their transitions by
// byte remembered, so that a matcher is a deterministic automaton built as it is walked. That is what
// makes masks over a vocabulary cheap (mask.h).
//
// Owns: frames, sets, transitions, their bounds. Does not own: the grammar (a reference is held).
// Depends on gram. A matcher is used by one thread at a time; any number may share a grammar.
//
// Bounds: stacks of at most MATCH_MAX_DEPTH frames (a byte that would need more is not allowed), sets of
// at most MATCH_MAX_ITEMS pairs and a budget of work per call (beyond either: ZAYA_E_LIMIT).
#pragma once

#include "text/gram.h"

#define MATCH_MAX_DEPTH 768u
#define MATCH_MAX_ITEMS 16384u
#define MATCH_DEAD      1u // the set of no pairs
#define MATCH_NOWHERE   0u // frame 0: below it the grammar ends
#define MATCH_UNKNOWN   1u // frame 1: what lies below is not looked at (for masks)

typedef struct Match Match;

Match *match_new(const Gram *g, zaya_error *err);
Match *match_clone(const Match *m, zaya_error *err); // copies the state, not what was learnt on the way
void match_free(Match *m);
void match_reset(Match *m); // back to the start of the grammar

// Takes all the bytes or none: false with ZAYA_E_INVALID (naming the offset) when they do not continue
// the text, ZAYA_E_LIMIT when a bound was hit.
bool match_accept(Match *m, const void *bytes, size_t n, zaya_error *err);
bool match_can_end(const Match *m);
bool match_must_end(const Match *m); // it can end, and nothing may follow
// Bytes of the shortest text that completes what was accepted.
uint32_t match_rest(const Match *m);

// --- for masks: sets by number ----------------------------------------------------------------------------

typedef uint64_t MatchItem; // node << 32 | frame; node 0: the rule at the bottom has ended
static inline MatchItem match_item(uint32_t pc, uint32_t frame) { return (uint64_t)pc << 32 | frame; }
static inline uint32_t match_pc(MatchItem it) { return (uint32_t)(it >> 32); }
static inline uint32_t match_frame(MatchItem it) { return (uint32_t)it; }

typedef struct MatchFrame {
  uint32_t pc;    // where the caller goes on (count NONE), or the loop node
  uint32_t count; // rounds done before this one; UINT32_MAX: not a loop
  uint32_t parent;
  uint32_t depth, rest; // frames below; bytes to the end of the grammar from here
  uint32_t chain;
} MatchFrame;

typedef struct MatchSet {
  uint32_t first, n; // items[first .. first + n), sorted
  uint32_t *trans;   // [256] set after a byte; 0: not known yet. NULL until asked for
  uint32_t rest;
  uint32_t chain;
  bool ends; // holds (0, NOWHERE) or (0, UNKNOWN)
} MatchSet;

struct Match {
  Gram *g;
  MatchFrame *frames;
  MatchSet *sets;
  MatchItem *items;
  uint32_t n_frames, cap_frames, n_sets, cap_sets, n_items, cap_items;
  uint32_t *frame_buckets, *set_buckets; // hash tables, chained
  uint32_t n_frame_buckets, n_set_buckets;
  MatchItem *out, *todo; // scratch of a closure
  uint32_t n_out, cap_out, n_todo, cap_todo;
  uint64_t *seen; // open addressing: items of the closure under way
  uint32_t *seen_stamp, cap_seen, n_seen, stamp;
  size_t bytes; // of transitions and sets, for match_tidy
  uint64_t work, budget;
  zaya_status failed;  // LIMIT or MEMORY, sticky until the next call
  uint32_t state;      // the current set
  uint32_t generation; // counts up when numbers of sets lose their meaning
};

// Starts a piece of work with a full budget.
void match_begin(Match *m);
// False, with the error, when a bound was hit since match_begin.
bool match_ok(const Match *m, zaya_error *err);
// Forgets everything but the current state when much memory is in use; set numbers change then
// (see `generation`). Call it between pieces of work.
void match_tidy(Match *m);
// Memory below which match_tidy does nothing.
#define MATCH_TIDY_BYTES ((size_t)48 << 20)

// Computes what follows `set` after `byte`; use match_step.
uint32_t match_find_step(Match *m, uint32_t set, uint8_t byte);
static inline uint32_t match_step(Match *m, uint32_t set, uint8_t byte) {
  const uint32_t *t = m->sets[set].trans;
  return t && t[byte] ? t[byte] : match_find_step(m, set, byte);
}
// The transitions of a set by byte, 0 where not known yet; stays where it is until match_tidy. NULL
// when out of memory.
const uint32_t *match_table(Match *m, uint32_t set);
// The set of exactly these (already closed) items; sorts them.
uint32_t match_set_of(Match *m, MatchItem *items, uint32_t n);
// What follows when the rule above `frame` has ended: every way on, as a set.
uint32_t match_after(Match *m, uint32_t frame);
// Interned frame; UINT32_MAX beyond the depth bound.
uint32_t match_push(Match *m, uint32_t pc, uint32_t count, uint32_t parent);
