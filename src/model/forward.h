// forward: tokens in, logits out. One step takes spans of several sequences at once: linear layers see
// all their tokens together, whatever crosses positions (convolutions, attention) sees each sequence
// alone. No number depends on how tokens are cut into steps, on the companions or on the threads.
// Owns the workspace. Depends on weights, state, cca, moe, kernels/linear.
#pragma once

#include "kernels/linear.h"
#include "model/state.h"
#include "model/weights.h"

enum { FORWARD_MAX_TOKENS = 128 }; // of one step: bounds the workspace

// n tokens that continue one sequence; `logits` receives the last n_logits rows, [n_logits, V].
typedef struct Span {
  State *state;
  const int32_t *ids;
  size_t n;
  float *logits;
  size_t n_logits;
} Span;

typedef struct Trace {
  zaya_trace_fn fn; // NULL: off
  void *user;
} Trace;

// The tokens of one step, span after span.
typedef struct Step {
  const Span *spans;
  size_t n_spans, n_tokens;
  Trace trace;
} Step;

typedef struct Forward {
  const Weights *w;
  Linear linear;
  Arena arena;
  // Workspace, T = FORWARD_MAX_TOKENS rows each.
  float *h;          // [T, H] the block's output
  float *r;          // [T, H] the residual stream
  float *n;          // [T, H] the block's normed input
  float *n_before;   // [T, H] the same one position earlier
  float *frames;     // [T, C] packed q | k before the convolutions
  float *taps;       // [T, 2 C] depthwise outputs, pairs (older, newer) as conv1's rows want them
  float *qk;         // [T, C] after the convolutions; then normed and rotated
  float *v;          // [T, Nk D]
  float *mix;        // [T, Nq D] attention's output before o_proj
  float *states;     // [T, P] router state s, handed from MoE layer to MoE layer
  float *z, *z2;     // [T, P] inside the router
  float *probs;      // [T, E + 1]
  int *route;        // [T] chosen expert; E is the skip route
  float *prob;       // [T] its probability
  size_t *order;     // [T] tokens sorted by route
  float *x_sorted;   // [T, H]
  float *gate, *up;  // [T, I]
  double *rope_freq; // [R / 2]
  float *scores;     // [threads, scores_cap]
  size_t scores_cap;
} Forward;

bool forward_init(Forward *f, const Weights *w, Pool *pool, const Kern *kern, zaya_error *err);
void forward_free(Forward *f);
// Makes room for attention over sequences of `len` tokens, so that later steps cannot fail for it.
bool forward_reserve(Forward *f, size_t len, zaya_error *err);
// Runs one step of at most FORWARD_MAX_TOKENS tokens. Everything that can fail (ids out of range, a
// full context, memory) fails before any state is touched.
bool forward_step(Forward *f, const Span *spans, size_t n_spans, Trace trace, zaya_error *err);

// For cca and moe: hands a tensor of this step's tokens to the trace.
void forward_trace(const Step *step, int layer, const char *what, const float *data, size_t n, size_t width);
