// prefix: what was read before and may be read again: a tree over token ids whose edges are pages of KV, with
// the CCA state at their ends and wherever else one was asked for. Shares the pages with the sequences that
// are running; forgets what was not used longest, leaves first, once it is over its budget. One thread at a
// time. Knows neither requests nor the model. Depends on model/state.
#pragma once

#include "model/state.h"

typedef struct Prefix Prefix;

Prefix *prefix_new(const StateShape *shape, uint64_t budget, zaya_error *err);
void prefix_free(Prefix *p);
// Moves a state on, whose tokens are ids[0 .. s->len), to the longest checkpoint at or before ids[0 .. limit)
// that is further than it is. Returns how many tokens that saves: 0 when there is none.
size_t prefix_advance(Prefix *p, State *s, const int32_t *ids, size_t limit);
// How many of the ids something that is kept begins with, with a checkpoint there or not.
size_t prefix_common(const Prefix *p, const int32_t *ids, size_t n);
// Keeps the first n tokens of the state with `cca`, the state behind them: allocated by malloc, and taken
// over. When memory is short it is not kept.
void prefix_keep(Prefix *p, const State *s, size_t n, float *cca);
// The same for the state as it stands.
void prefix_keep_state(Prefix *p, const State *s);
// Forgets until no more than `bytes` are held.
void prefix_shrink(Prefix *p, uint64_t bytes);

// One checkpoint on the way of ids[0 .. n): page number, and the tokens, rows and state that belong to it.
typedef struct PrefixPart {
  size_t page, n; // page * KERN_BLOCK tokens come before; n tokens of it
  const int32_t *ids;
  Page *kv;
  const float *cca;
} PrefixPart;
typedef void (*PrefixFn)(void *user, const PrefixPart *part);
// All checkpoints on the way, from the beginning on, ends inside pages included.
void prefix_walk(Prefix *p, const int32_t *ids, size_t n, PrefixFn fn, void *user);

typedef struct PrefixStats {
  uint64_t bytes, entries, evicted;
  uint64_t version; // changes whenever a checkpoint is added
} PrefixStats;
PrefixStats prefix_stats(const Prefix *p);
