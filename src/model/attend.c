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
  const size_t shared = few_units(threads) * blocks_of(len), whole = (size_t)threads * (ATTEND_TOKENS + 1);
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

static Partial partial_at(const AttendJob *j, size_t slot) {
  const size_t G = group_heads(j->c);
  float *p = j->f->scores + slot * partial_floats(j->c);
  return (Partial){.max = p, .sum = p + G, .out = p + 2 * G};
}

// Whether token t sees block b.
static bool sees(const AttendJob *j, size_t t, size_t b) { return b < blocks_of(j->f->rows[t].pos + 1); }

// The keys of block b of KV head kv, if token t sees it.
static const void *keys_of(const AttendJob *j, size_t t, size_t kv, size_t b) {
  return sees(j, t, b) ? state_k(j->f->rows[t].span->state, j->attn, (int)kv, b * KERN_BLOCK).rows : NULL;
}

// Block b of KV head kv for token t; `next` are the keys that the thread will read then, or NULL.
static void run_block(const AttendJob *j, size_t t, size_t kv, size_t b, const void *next,
                      const Partial *to) {
  const size_t D = (size_t)j->c->head_dim, first = b * KERN_BLOCK;
  const Row *row = &j->f->rows[t];
  const State *s = row->span->state;
  const size_t left = row->pos + 1 - first;
  const KvStrip k = state_k(s, j->attn, (int)kv, first), v = state_v(s, j->attn, (int)kv, first);
  const KernAttend a = {
      .q = j->f->qk + t * (size_t)config_conv_channels(j->c) + kv * group_heads(j->c) * D,
      .k = k.rows,
      .v = v.rows,
      .next = next,
      .k_scale = k.scales,
      .v_scale = v.scales,
      .q_stride = D,
      .heads = group_heads(j->c),
      .dim = D,
      .n = left < KERN_BLOCK ? left : KERN_BLOCK,
      .max = to->max,
      .sum = to->sum,
      .out = to->out,
  };
  // The rungs take half vectors at the least.
  (D % 8 ? &kern_scalar : j->f->linear.kern)->attend(&a);
}

// Takes block `b` into what the blocks before it gave.
static void merge_block(size_t G, size_t D, const Partial *all, const Partial *b) {
  for (size_t h = 0; h < G; h++) {
    const float max = all->max[h] > b->max[h] ? all->max[h] : b->max[h];
    const float old = kmath_exp(all->max[h] - max), new = kmath_exp(b->max[h] - max);
    all->max[h] = max;
    all->sum[h] = all->sum[h] * old + b->sum[h] * new;
    for (size_t d = 0; d < D; d++) all->out[h * D + d] = all->out[h * D + d] * old + b->out[h * D + d] * new;
  }
}

static void finish(const AttendJob *j, size_t t, size_t kv, const Partial *p) {
  const size_t G = group_heads(j->c), D = (size_t)j->c->head_dim;
  float *out = j->f->mix + (t * (size_t)j->c->n_q + kv * G) * D;
  for (size_t h = 0; h < G; h++) {
    const float scale = 1.0f / p->sum[h];
    for (size_t d = 0; d < D; d++) out[h * D + d] = p->out[h * D + d] * scale;
  }
}

// Tokens [t, end) of KV head kv, block by block: a block is read from memory once for all of them. `p` has a
// slot for each token and one more.
static void run_tokens(const AttendJob *j, size_t t, size_t end, size_t kv, const Partial *p) {
  const size_t G = group_heads(j->c), D = (size_t)j->c->head_dim, n = end - t;
  for (size_t b = 0; b < j->blocks; b++)
    for (size_t i = 0; i < n; i++) {
      if (!sees(j, t + i, b)) continue;
      const void *next = i + 1 < n ? keys_of(j, t + i + 1, kv, b) : keys_of(j, t, kv, b + 1);
      run_block(j, t + i, kv, b, next, b ? &p[n] : &p[i]);
      if (b) merge_block(G, D, &p[i], &p[n]);
    }
  for (size_t i = 0; i < n; i++) finish(j, t + i, kv, &p[i]);
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
  Partial p[ATTEND_TOKENS + 1];
  PoolRange r;
  for (size_t i = 0; i <= n; i++) p[i] = partial_at(j, (n + 1) * (size_t)index + i);
  while (pool_claim(&j->claim, per_head * (size_t)j->c->n_kv, 1, index, count, &r))
    for (size_t unit = r.begin; unit < r.end; unit++) {
      const size_t t = unit % per_head * n, end = t + n < T ? t + n : T;
      run_tokens(j, t, end, unit / per_head, p);
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
      const Partial to = partial_at(j, i);
      run_block(j, t, kv, b, keys_of(j, t, kv, b + 1), &to);
    }
}

// What the blocks gave, in their order.
static void merge_share(void *arg, int index, int count) {
  const AttendJob *j = arg;
  const size_t Nk = (size_t)j->c->n_kv;
  for (size_t unit = (size_t)index; unit < j->step->n_tokens * Nk; unit += (size_t)count) {
    const Partial all = partial_at(j, unit * j->blocks);
    for (size_t b = 1; b < blocks_of(j->f->rows[unit / Nk].pos + 1); b++) {
      const Partial one = partial_at(j, unit * j->blocks + b);
      merge_block(group_heads(j->c), (size_t)j->c->head_dim, &all, &one);
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
