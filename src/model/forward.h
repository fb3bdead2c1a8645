// forward: tokens in, logits out. One step takes spans of several sequences at once: linear layers see
// all their tokens together, whatever crosses positions (convolutions, attention) sees each sequence
// alone. No number depends on how tokens are cut into steps, on the companions or on the threads.
// Owns the workspace. Depends on weights, state, cca, moe, kernels/linear.
#pragma once

#include "kernels/linear.h"
#include "model/profile.h"
#include "model/state.h"
#include "model/weights.h"

// Of one step: bounds the workspace. Large enough that each of 16 experts sees about 32 tokens, over
// which unpacking its weights is spread.
enum { FORWARD_MAX_TOKENS = 512 };
enum { FORWARD_HEAD_ROWS = 8 }; // rows of logits that are on their way to several spans at a time

// Where a checkpoint is wanted inside a span.
typedef struct SpanMark {
  size_t after; // tokens of the span, 1 .. n
  float *cca;   // receives the recurrent state behind them, laid out as State.cca
} SpanMark;

// n tokens that continue one sequence; `logits` receives the last n_logits rows, [n_logits, V].
typedef struct Span {
  State *state;
  const int32_t *ids;
  size_t n;
  float *logits;
  size_t n_logits;
  const SpanMark *marks;
  size_t n_marks;
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

// Where a token of the step belongs.
typedef struct Row {
  const Span *span;
  size_t first; // row of the span's first token
  size_t pos;   // position in its sequence
} Row;

// One block's share of attention, production only: see KernAttend.
typedef struct Partial {
  float *max, *sum, *out; // [G], [G], [G, D]
} Partial;

typedef struct Forward {
  const Weights *w;
  bool exact;
  KvType kv; // of the states that it works on
  Profile profile;
  Linear linear;
  Arena arena;
  // Workspace, T = FORWARD_MAX_TOKENS rows each.
  float *h;             // [T, H] the block's output
  float *r;             // [T, H] the residual stream
  float *n;             // [T, H] the block's normed input
  float *n_before;      // [T, H] the same one position earlier
  float *frames;        // [T, C] packed q | k before the convolutions
  float *taps;          // [T, 2 C] depthwise outputs, pairs (older, newer) as conv1's rows want them
  float *qk;            // [T, C] after the convolutions; then normed and rotated
  float *v;             // [T, Nk D]
  float *mix;           // [T, Nq D] attention's output before o_proj
  float *states;        // [T, P] router state s, handed from MoE layer to MoE layer
  float *z, *z2;        // [T, P] inside the router
  float *probs;         // [T, E + 1]
  int *route;           // [T] chosen expert; E is the skip route
  float *prob;          // [T] its probability
  size_t *order;        // [T] tokens sorted by route
  float *x_sorted;      // [T, H]
  float *gate, *up;     // [T, I]
  float *logits;        // [FORWARD_HEAD_ROWS, V] on their way to several spans
  Row *rows;            // [T]
  double *rope_freq;    // [R / 2]
  float *cosine, *sine; // [T, R / 2] of the step's positions
  float *scores;        // of attention: attend_workspace(scores_cap) floats
  size_t scores_cap;    // positions
} Forward;

// exact: float32 throughout. Otherwise activations are int8 where weights are codes, and KV is float16:
// docs/numerics.md.
bool forward_init(Forward *f, const Weights *w, Pool *pool, const Kern *kern, bool exact, zaya_error *err);
void forward_free(Forward *f);
// Makes room for attention over sequences of `len` tokens, so that later steps cannot fail for it.
bool forward_reserve(Forward *f, size_t len, zaya_error *err);
// Runs one step of at most FORWARD_MAX_TOKENS tokens. Everything that can fail (ids out of range, a
// full context, memory) fails before any state is touched.
bool forward_step(Forward *f, const Span *spans, size_t n_spans, Trace trace, zaya_error *err);

// For cca and moe: runs fn over rows [0, T), shared between the threads when there are enough of them.
typedef void (*ForwardRowsFn)(void *arg, size_t begin, size_t end);
void forward_rows(const Forward *f, size_t T, ForwardRowsFn fn, void *arg);
// Enough rows that every thread takes some through several products by itself: then no thread waits between
// them. Runs fn over blocks of [0, T) whose inputs stay in the second cache; `thread` is the caller's number.
bool forward_has_blocks(const Forward *f, size_t T);
typedef void (*ForwardBlockFn)(void *arg, size_t begin, size_t end, int thread);
void forward_blocks(const Forward *f, size_t T, ForwardBlockFn fn, void *arg);
// Hands a tensor of this step's tokens to the trace.
void forward_trace(const Step *step, int layer, const char *what, const float *data, size_t n, size_t width);
