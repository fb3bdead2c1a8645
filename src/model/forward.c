// forward: see forward.h.
#include "model/forward.h"

#include "model/attend.h"
#include "model/cca.h"
#include "model/moe.h"
#include "model/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t max_cols(const Config *c) {
  size_t n = (size_t)c->hidden;
  const size_t others[] = {(size_t)c->n_q * (size_t)c->head_dim, 2 * (size_t)c->head_dim, (size_t)c->expert,
                           (size_t)c->router};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) n = others[i] > n ? others[i] : n;
  return n;
}

// freq_i = theta^(-2i / R): the exponent's denominator is the rotary width, not the head's.
static void fill_rope(const Config *c, double *freq) {
  for (int i = 0; i < c->rotary_dim / 2; i++) freq[i] = pow(c->rope_theta, -2.0 * i / c->rotary_dim);
}

static bool alloc_workspace(Forward *f, zaya_error *err) {
  const Config *c = f->w->config;
  const size_t T = FORWARD_MAX_TOKENS, H = (size_t)c->hidden, D = (size_t)c->head_dim;
  const size_t C = (size_t)config_conv_channels(c), P = (size_t)c->router, I = (size_t)c->expert;
  const struct {
    float **at;
    size_t width;
  } rows[] = {{&f->h, H},
              {&f->r, H},
              {&f->n, H},
              {&f->n_before, H},
              {&f->frames, C},
              {&f->taps, 2 * C},
              {&f->qk, C},
              {&f->v, (size_t)c->n_kv * D},
              {&f->mix, (size_t)c->n_q * D},
              {&f->states, P},
              {&f->z, P},
              {&f->z2, P},
              {&f->probs, (size_t)c->n_experts + 1},
              {&f->prob, 1},
              {&f->x_sorted, H},
              {&f->gate, I},
              {&f->up, I},
              {&f->cosine, (size_t)c->rotary_dim / 2 + 1},
              {&f->sine, (size_t)c->rotary_dim / 2 + 1}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (!(*rows[i].at = arena_alloc(&f->arena, T * rows[i].width, sizeof(float), "the workspace", err)))
      return false;
  f->route = arena_alloc(&f->arena, T, sizeof *f->route, "the workspace", err);
  f->order = arena_alloc(&f->arena, T, sizeof *f->order, "the workspace", err);
  f->rope_freq = arena_alloc(&f->arena, (size_t)c->rotary_dim / 2 + 1, sizeof(double), "the workspace", err);
  f->logits =
      arena_alloc(&f->arena, FORWARD_HEAD_ROWS * (size_t)c->vocab, sizeof(float), "the workspace", err);
  f->rows = arena_alloc(&f->arena, T, sizeof *f->rows, "the workspace", err);
  return f->route && f->order && f->logits && f->rows && f->rope_freq;
}

bool forward_init(Forward *f, const Weights *w, Pool *pool, const Kern *kern, bool exact, zaya_error *err) {
  const LinearShape shape = {.max_cols = max_cols(w->config), .max_tokens = FORWARD_MAX_TOKENS};
  *f = (Forward){.w = w, .exact = exact, .kv = exact ? KV_F32 : KV_F16};
  if (w->config->rotary_dim > CCA_MAX_ROTARY)
    return err_set(err, ZAYA_E_UNSUPPORTED,
                   "config.json: %d rotary dimensions a head; at most %d are supported",
                   w->config->rotary_dim, CCA_MAX_ROTARY);
  if (w->config->n_experts > CONFIG_MAX_EXPERTS)
    return err_set(err, ZAYA_E_UNSUPPORTED, "config.json: %d experts; at most %d are supported",
                   w->config->n_experts, CONFIG_MAX_EXPERTS);
  if (!alloc_workspace(f, err) || !linear_init(&f->linear, pool, kern, exact, shape, &f->arena, err)) {
    forward_free(f);
    return false;
  }
  fill_rope(w->config, f->rope_freq);
  return true;
}

void forward_free(Forward *f) {
  arena_free(&f->arena);
  free(f->scores);
  *f = (Forward){0};
}

bool forward_reserve(Forward *f, size_t len, zaya_error *err) {
  if (len <= f->scores_cap) return true;
  const size_t cap = (len + 4095) & ~(size_t)4095;
  const size_t n = attend_workspace(f->w->config, f->exact, pool_threads(f->linear.pool), cap);
  float *scores = malloc(n * sizeof *scores);
  if (!scores) return err_memory(err, n * sizeof *scores, "attention scores");
  free(f->scores);
  f->scores = scores;
  f->scores_cap = cap;
  return true;
}

// Counts the tokens of a step and checks all that could fail later.
static bool check_step(Forward *f, Step *step, zaya_error *err) {
  size_t longest = 0;
  for (size_t k = 0; k < step->n_spans; k++) {
    const Span *s = &step->spans[k];
    if (s->n == 0 || s->n > FORWARD_MAX_TOKENS - step->n_tokens)
      return err_set(err, ZAYA_E_INVALID, "a step takes 1 to %d tokens", FORWARD_MAX_TOKENS);
    step->n_tokens += s->n;
    if (s->n > s->state->cap - s->state->len)
      return err_set(err, ZAYA_E_LIMIT,
                     "the context is full: it holds %zu of %zu tokens, %zu more do not fit", s->state->len,
                     s->state->cap, s->n);
    for (size_t i = 0; i < s->n; i++)
      if (s->ids[i] < 0 || s->ids[i] >= f->w->config->vocab)
        return err_set(err, ZAYA_E_INVALID, "token id %d is outside of the vocabulary of %d", (int)s->ids[i],
                       f->w->config->vocab);
    if (!state_reserve(s->state, s->n, err)) return false;
    longest = s->state->len + s->n > longest ? s->state->len + s->n : longest;
  }
  return forward_reserve(f, longest, err);
}

void forward_trace(const Step *step, int layer, const char *what, const float *data, size_t n, size_t width) {
  if (!step->trace.fn) return;
  char name[64];
  snprintf(name, sizeof name, "layers.%d.%s", layer, what);
  const size_t shape[2] = {n, width};
  step->trace.fn(step->trace.user, name, data, width ? 2 : 1, shape);
}

typedef struct RowsJob {
  ForwardRowsFn fn;
  void *arg;
  size_t T;
} RowsJob;

// A row stays with its thread, in whose caches it lies.
static void rows_share(void *arg, int index, int count) {
  const RowsJob *j = arg;
  const PoolRange r = pool_share(j->T, 1, index, count);
  if (r.begin < r.end) j->fn(j->arg, r.begin, r.end);
}

enum { ROWS_ALONE = 4 }; // up to so many rows are not worth waking anyone

void forward_rows(const Forward *f, size_t T, ForwardRowsFn fn, void *arg) {
  RowsJob job = {fn, arg, T};
  if (T <= ROWS_ALONE)
    rows_share(&job, 0, 1);
  else
    pool_run(f->linear.pool, rows_share, &job);
}

enum { BLOCK_ROWS = 32, BLOCK_UNIT = 8 }; // at most in a block; at least, but for the last

typedef struct BlocksJob {
  ForwardBlockFn fn;
  void *arg;
  size_t T;
  PoolClaim claim;
} BlocksJob;

static void blocks_share(void *arg, int index, int count) {
  BlocksJob *j = arg;
  PoolRange r;
  while (pool_claim(&j->claim, (j->T + BLOCK_UNIT - 1) / BLOCK_UNIT, 1, index, count, &r)) {
    const size_t last = r.end * BLOCK_UNIT < j->T ? r.end * BLOCK_UNIT : j->T;
    for (size_t t = r.begin * BLOCK_UNIT, end; t < last; t = end) {
      end = last - t < BLOCK_ROWS ? last : t + BLOCK_ROWS;
      j->fn(j->arg, t, end, index);
    }
  }
}

bool forward_has_blocks(const Forward *f, size_t T) {
  return T >= BLOCK_ROWS / 2 * (size_t)pool_threads(f->linear.pool);
}

void forward_blocks(const Forward *f, size_t T, ForwardBlockFn fn, void *arg) {
  BlocksJob job = {.fn = fn, .arg = arg, .T = T};
  pool_run(f->linear.pool, blocks_share, &job);
}

static void place_rows(Forward *f, const Step *step) {
  size_t row = 0;
  for (size_t k = 0; k < step->n_spans; k++) {
    const Span *s = &step->spans[k];
    const size_t first = row;
    for (size_t t = 0; t < s->n; t++)
      f->rows[row++] = (Row){.span = s, .first = first, .pos = s->state->len + t};
  }
}

// The embedding and the rotation of every token.
static void start_rows(void *arg, size_t begin, size_t end) {
  Forward *f = arg;
  const size_t H = (size_t)f->w->config->hidden, half = (size_t)f->w->config->rotary_dim / 2;
  for (size_t t = begin; t < end; t++) {
    const Row *row = &f->rows[t];
    mat_row(&f->w->embed, (size_t)row->span->ids[t - row->first], f->h + t * H);
    for (size_t i = 0; i < half; i++) {
      const double angle = (double)row->pos * f->rope_freq[i];
      f->cosine[t * half + i] = (float)cos(angle);
      f->sine[t * half + i] = (float)sin(angle);
    }
  }
}

typedef struct MergeJob {
  Forward *f;
  const ResScale *hidden, *residual;
  const float *norm;
} MergeJob;

// r = (r + res_bias) * res_scale + (h + hs_bias) * hs_scale; r starts as the scaled h. Then n = rmsnorm(r).
static void merge_rows(void *arg, size_t begin, size_t end) {
  const MergeJob *j = arg;
  Forward *f = j->f;
  const Kern *kern = f->linear.kern;
  const Config *c = f->w->config;
  const size_t H = (size_t)c->hidden;
  for (size_t t = begin; t < end; t++) {
    float *r = f->r + t * H;
    kern->merge(r, j->residual->bias, j->residual->scale, f->h + t * H, j->hidden->bias, j->hidden->scale, H);
    ops_rmsnorm(kern, r, j->norm, H, c->norm_eps, f->n + t * H);
  }
}

static void run_layer(Forward *f, int i, const Step *step) {
  const LayerWeights *l = &f->w->layers[i];
  const size_t H = (size_t)f->w->config->hidden, T = step->n_tokens;
  MergeJob merge = {f, &l->hidden, &l->residual, l->input_norm};
  forward_rows(f, T, merge_rows, &merge);
  profile_mark(&f->profile, ZAYA_PART_STREAM, 0);
  if (i % 2 == 0)
    cca_forward(f, i, step);
  else
    moe_forward(f, i, step);
  forward_trace(step, i, "hidden", f->h, T, H);
  forward_trace(step, i, "residual", f->r, T, H);
}

// Whether n rows of V floats lie one behind the other.
static bool in_a_row(float *const *rows, size_t n, size_t V) {
  for (size_t i = 1; i < n; i++)
    if ((uintptr_t)rows[i] != (uintptr_t)rows[i - 1] + V * sizeof(float)) return false;
  return true;
}

// Rows of several spans share one pass over the head: gathered, and their logits copied to where they go,
// if they cannot be written there.
static void head_together(Forward *f, const Step *step) {
  const size_t H = (size_t)f->w->config->hidden, V = (size_t)f->w->config->vocab;
  float *to[FORWARD_MAX_TOKENS];
  size_t wanted = 0, end = 0;
  for (size_t k = 0; k < step->n_spans; k++) {
    const Span *s = &step->spans[k];
    end += s->n;
    for (size_t i = 0; i < s->n_logits; i++, wanted++) {
      memcpy(f->x_sorted + wanted * H, f->n + (end - s->n_logits + i) * H, H * sizeof(float));
      to[wanted] = s->logits + i * V;
    }
  }
  for (size_t at = 0, n; at < wanted; at += n) {
    n = wanted - at < FORWARD_HEAD_ROWS ? wanted - at : FORWARD_HEAD_ROWS;
    const bool there = in_a_row(to + at, n, V);
    linear_apply(&f->linear, &f->w->head, f->x_sorted + at * H, H, n, there ? to[at] : f->logits, V);
    if (!there)
      for (size_t r = 0; r < n; r++) memcpy(to[at + r], f->logits + r * V, V * sizeof(float));
  }
}

// logits = rmsnorm(r + h) head^T, for the rows that each span asked for.
static void run_head(Forward *f, const Step *step) {
  const size_t H = (size_t)f->w->config->hidden, V = (size_t)f->w->config->vocab;
  MergeJob merge = {f, &f->w->hidden, &f->w->residual, f->w->final_norm};
  forward_rows(f, step->n_tokens, merge_rows, &merge);
  size_t end = 0, wanting = 0;
  for (size_t k = 0; k < step->n_spans; k++) wanting += step->spans[k].n_logits > 0;
  if (wanting > 1) {
    head_together(f, step);
  } else {
    for (size_t k = 0; k < step->n_spans; k++) {
      const Span *s = &step->spans[k];
      end += s->n;
      linear_apply(&f->linear, &f->w->head, f->n + (end - s->n_logits) * H, H, s->n_logits, s->logits, V);
    }
  }
  profile_mark(&f->profile, ZAYA_PART_HEAD, wanting ? mat_bytes(&f->w->head) : 0);
}

bool forward_step(Forward *f, const Span *spans, size_t n_spans, Trace trace, zaya_error *err) {
  Step step = {.spans = spans, .n_spans = n_spans, .trace = trace};
  if (!check_step(f, &step, err)) return false;
  profile_start(&f->profile);
  place_rows(f, &step);
  forward_rows(f, step.n_tokens, start_rows, f);
  for (int i = 0; i < f->w->config->n_layers; i++) run_layer(f, i, &step);
  run_head(f, &step);
  for (size_t k = 0; k < n_spans; k++) {
    State *s = spans[k].state;
    memcpy(s->ids + s->len, spans[k].ids, spans[k].n * sizeof *s->ids);
    s->len += spans[k].n;
  }
  f->profile.sums.steps++;
  f->profile.sums.tokens += step.n_tokens;
  return true;
}
