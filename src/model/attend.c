// attend: see attend.h. Exact mode takes a sequence whole. Production takes it in blocks of
// KERN_BLOCK positions from its beginning and merges them in order, so that the sums depend on the
// positions alone: whether one thread does all blocks or several do some, the bits are the same.
#include "model/attend.h"

#include "kernels/kmath.h"
#include "model/ops.h"

#include <math.h>
#include <string.h>

typedef struct AttendJob {
  Forward *f;
  const Config *c;
  const Step *step;
  int attn;
  size_t blocks; // of the longest sequence; the stride of partials
  PoolClaim claim;
} AttendJob;

static size_t group_heads(const Config *c) { return (size_t)(c->n_q / c->n_kv); } // G

// A block's result takes G maxima, G sums and G vectors of D.
static size_t partial_floats(const Config *c) { return group_heads(c) * ((size_t)c->head_dim + 2); }

static size_t blocks_of(size_t len) { return (len + KERN_BLOCK - 1) / KERN_BLOCK; }

enum { ATTEND_TOKENS = 8 }; // that go through the cache together

// Fewer than few_units (KV head, token) pairs (on two threads: up to 15 tokens of ZAYA1), of MANY_BLOCKS or
// more, are shared by their blocks, and no thread waits long for another. With fewer blocks a second job for
// merging them costs as much.
enum { SPARE_UNITS = 30, MANY_BLOCKS = 8 };
static size_t few_units(int threads) { return (size_t)threads + SPARE_UNITS; }

size_t attend_workspace(const Config *c, bool exact, int threads, size_t len) {
  if (exact) return (size_t)threads * len;
  const size_t shared = few_units(threads) * blocks_of(len), whole = (size_t)threads * 2 * ATTEND_TOKENS;
  return (shared > whole ? shared : whole) * partial_floats(c);
}

size_t attend_bytes(const Step *step) {
  size_t bytes = 0;
  for (size_t k = 0; k < step->n_spans; k++) {
    const State *s = step->spans[k].state;
    bytes += (s->len + step->spans[k].n) * 2 * state_kv_bytes(&s->shape);
  }
  return bytes;
}

// --- exact ---------------------------------------------------------------------------------------

// One query head of one token over positions 0 .. pos.
static void attend_exact(const AttendJob *j, const Row *row, size_t head, const float *q, float *scores,
                         float *out) {
  const size_t D = (size_t)j->c->head_dim;
  const int kv = (int)(head / group_heads(j->c));
  const State *s = row->span->state;
  const float scale = 1.0f / sqrtf((float)D);
  for (size_t p = 0; p <= row->pos; p++)
    scores[p] = j->f->linear.kern->dot(q, state_k(s, j->attn, kv, p).rows, D) * scale;
  ops_softmax(scores, row->pos + 1);
  memset(out, 0, D * sizeof *out);
  for (size_t p = 0; p <= row->pos; p++)
    j->f->linear.kern->axpy(scores[p], state_v(s, j->attn, kv, p).rows, out, D);
}

// (token, head) pairs are dealt out in turn: later tokens cost more.
static void exact_share(void *arg, int index, int count) {
  const AttendJob *j = arg;
  const Forward *f = j->f;
  const size_t D = (size_t)j->c->head_dim, C = (size_t)config_conv_channels(j->c), Nq = (size_t)j->c->n_q;
  float *scores = f->scores + (size_t)index * f->scores_cap;
  for (size_t unit = (size_t)index; unit < j->step->n_tokens * Nq; unit += (size_t)count) {
    const size_t t = unit / Nq, h = unit % Nq;
    attend_exact(j, &f->rows[t], h, f->qk + t * C + h * D, scores, f->mix + (t * Nq + h) * D);
  }
}

// --- production ----------------------------------------------------------------------------------

// Room for `n` tokens from slot `slot` on: their maxima, their sums, their vectors.
static Partial partial_at(const AttendJob *j, size_t slot, size_t n) {
  const size_t G = group_heads(j->c);
  float *p = j->f->scores + slot * partial_floats(j->c);
  return (Partial){.max = p, .sum = p + n * G, .out = p + 2 * n * G};
}

// Token i's of them.
static Partial partial_of(const AttendJob *j, const Partial *all, size_t i) {
  const size_t G = group_heads(j->c), D = (size_t)j->c->head_dim;
  return (Partial){.max = all->max + i * G, .sum = all->sum + i * G, .out = all->out + i * G * D};
}

// Whether token t sees block b.
static bool sees(const AttendJob *j, size_t t, size_t b) { return b < blocks_of(j->f->rows[t].pos + 1); }

// The keys of block b of KV head kv, if token t sees it.
static const void *keys_of(const AttendJob *j, size_t t, size_t kv, size_t b) {
  return sees(j, t, b) ? state_k(j->f->rows[t].span->state, j->attn, (int)kv, b * KERN_BLOCK).rows : NULL;
}

// Block b of KV head kv for the n tokens from t on, of one sequence, which see the same positions of it;
// `next` are the keys that the thread will read then, or NULL.
static void run_block(const AttendJob *j, size_t t, size_t n, size_t kv, size_t b, const void *next,
                      const Partial *to) {
  const size_t G = group_heads(j->c), D = (size_t)j->c->head_dim, C = (size_t)config_conv_channels(j->c);
  const size_t first = b * KERN_BLOCK;
  const Row *row = &j->f->rows[t];
  const State *s = row->span->state;
  const size_t left = row->pos + 1 - first;
  const KvStrip k = state_k(s, j->attn, (int)kv, first), v = state_v(s, j->attn, (int)kv, first);
  const KernAttend a = {
      .q = j->f->qk + t * C + kv * G * D,
      .k = k.rows,
      .v = v.rows,
      .next = next,
      .k_scale = k.scales,
      .v_scale = v.scales,
      .heads = n * G,
      .dim = D,
      .group = G,
      .token_stride = C,
      .n = left < KERN_BLOCK ? left : KERN_BLOCK,
      .max = to->max,
      .sum = to->sum,
      .out = to->out,
  };
  // The rungs take half vectors at the least.
  (D % 8 ? &kern_scalar : j->f->linear.kern)->attend(&a);
}

// Takes block `b` into what the blocks before it gave.
static void merge_block(const AttendJob *j, const Partial *all, const Partial *b) {
  const size_t D = (size_t)j->c->head_dim;
  for (size_t h = 0; h < group_heads(j->c); h++) {
    const float d = b->max[h] - all->max[h];
    const float old = d > 0 ? kmath_exp(-d) : 1, new = d > 0 ? 1 : kmath_exp(d); // exp(0) is 1
    if (d > 0) all->max[h] = b->max[h];
    all->sum[h] = all->sum[h] * old + b->sum[h] * new;
    j->f->linear.kern->blend(all->out + h * D, old, b->out + h * D, new, D);
  }
}

static void finish(const AttendJob *j, size_t t, size_t kv, const Partial *p) {
  const size_t G = group_heads(j->c), D = (size_t)j->c->head_dim;
  float *out = j->f->mix + (t * (size_t)j->c->n_q + kv * G) * D;
  for (size_t h = 0; h < G; h++) {
    const float scale = 1.0f / p->sum[h];
    j->f->linear.kern->weigh(scale, p->out + h * D, out + h * D, D);
  }
}

// How many of the tokens [t, end) see the same positions of block b: all of it, of one sequence; else one.
static size_t alike(const AttendJob *j, size_t t, size_t end, size_t b) {
  const Row *first = &j->f->rows[t];
  size_t n = 1;
  if (first->pos + 1 < (b + 1) * KERN_BLOCK) return n;
  while (t + n < end && first[n].span == first->span) n++; // later ones see more
  return n;
}

// Tokens [t, end) of KV head kv, block by block: a block is read from memory once for all of them. `all` and
// `one` have room for each token.
static void run_tokens(const AttendJob *j, size_t t, size_t end, size_t kv, const Partial *all,
                       const Partial *one) {
  for (size_t b = 0; b < j->blocks; b++)
    for (size_t i = t, n; i < end; i += n) {
      n = alike(j, i, end, b);
      if (!sees(j, i, b)) continue;
      const void *next = i + n < end ? keys_of(j, i + n, kv, b) : keys_of(j, t, kv, b + 1);
      const Partial to = partial_of(j, b ? one : all, i - t);
      run_block(j, i, n, kv, b, next, &to);
      for (size_t k = i; b && k < i + n; k++) {
        const Partial old = partial_of(j, all, k - t), new = partial_of(j, one, k - t);
        merge_block(j, &old, &new);
      }
    }
  for (size_t i = t; i < end; i++) {
    const Partial p = partial_of(j, all, i - t);
    finish(j, i, kv, &p);
  }
}

// So many tokens share a block where there are enough of them.
static size_t tokens_at_once(const AttendJob *j, int threads) {
  return j->step->n_tokens >= (size_t)threads * 4 * ATTEND_TOKENS ? ATTEND_TOKENS : 1;
}

// (KV head, tokens) pairs, each done whole by one thread; those of a head come one after the other, so that
// its keys and values stay in the caches.
static void units_share(void *arg, int index, int count) {
  AttendJob *j = arg;
  const size_t T = j->step->n_tokens, n = tokens_at_once(j, count), per_head = (T + n - 1) / n;
  const size_t slot = 2 * n * (size_t)index;
  const Partial all = partial_at(j, slot, n), one = partial_at(j, slot + n, n);
  PoolRange r;
  while (pool_claim(&j->claim, per_head * (size_t)j->c->n_kv, 1, index, count, &r))
    for (size_t unit = r.begin; unit < r.end; unit++) {
      const size_t t = unit % per_head * n, end = t + n < T ? t + n : T;
      run_tokens(j, t, end, unit / per_head, &all, &one);
    }
}

// Few pairs: threads take their blocks, each to a place of its own.
static void blocks_share(void *arg, int index, int count) {
  AttendJob *j = arg;
  const size_t Nk = (size_t)j->c->n_kv, units = j->step->n_tokens * Nk;
  PoolRange r;
  while (pool_claim(&j->claim, units * j->blocks, 1, index, count, &r))
    for (size_t i = r.begin; i < r.end; i++) {
      const size_t t = i / j->blocks / Nk, kv = i / j->blocks % Nk, b = i % j->blocks;
      if (!sees(j, t, b)) continue;
      const Partial to = partial_at(j, i, 1);
      run_block(j, t, 1, kv, b, keys_of(j, t, kv, b + 1), &to);
    }
}

// What the blocks gave, in their order.
static void merge_share(void *arg, int index, int count) {
  const AttendJob *j = arg;
  const size_t Nk = (size_t)j->c->n_kv;
  for (size_t unit = (size_t)index; unit < j->step->n_tokens * Nk; unit += (size_t)count) {
    const Partial all = partial_at(j, unit * j->blocks, 1);
    for (size_t b = 1; b < blocks_of(j->f->rows[unit / Nk].pos + 1); b++) {
      const Partial one = partial_at(j, unit * j->blocks + b, 1);
      merge_block(j, &all, &one);
    }
    finish(j, unit / Nk, unit % Nk, &all);
  }
}

static void scale_queries(void *arg, size_t begin, size_t end) {
  const AttendJob *j = arg;
  const size_t D = (size_t)j->c->head_dim, C = (size_t)config_conv_channels(j->c), Q = (size_t)j->c->n_q * D;
  const float scale = 1.0f / sqrtf((float)D);
  for (size_t t = begin; t < end; t++) j->f->linear.kern->scale(j->f->qk + t * C, scale, Q);
}

static bool by_blocks(const AttendJob *j, int threads) {
  const size_t units = j->step->n_tokens * (size_t)j->c->n_kv;
  if (units < (size_t)threads) return j->blocks > 1;
  return units < few_units(threads) && j->blocks >= MANY_BLOCKS;
}

void attend_forward(Forward *f, int attn, const Step *step) {
  AttendJob job = {.f = f, .c = f->w->config, .step = step, .attn = attn};
  Pool *pool = f->linear.pool;
  if (f->exact) {
    pool_run(pool, exact_share, &job);
    return;
  }
  for (size_t t = 0; t < step->n_tokens; t++) {
    const size_t blocks = blocks_of(f->rows[t].pos + 1);
    job.blocks = blocks > job.blocks ? blocks : job.blocks;
  }
  forward_rows(f, step->n_tokens, scale_queries, &job);
  if (by_blocks(&job, pool_threads(pool))) {
    pool_run(pool, blocks_share, &job);
    pool_run(pool, merge_share, &job);
  } else {
    pool_run(pool, units_share, &job);
  }
}
