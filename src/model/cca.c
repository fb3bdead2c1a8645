// cca: see cca.h. Symbols are those of docs/architecture.md: f a packed frame, a the depthwise output,
// g the grouped output.
#include "model/cca.h"

#include "model/attend.h"
#include "model/ops.h"

#include <math.h>
#include <string.h>

typedef struct CcaJob {
  Forward *f;
  const AttnWeights *w;
  const Step *step;
  int attn; // number of the attention layer
} CcaJob;

// The packed frame at position i of the span (which starts at row `first`), i >= -2: the span's own
// frames, before them the two that the state kept.
static const float *frame_at(const Forward *f, const Span *s, int attn, size_t first, long i, size_t C) {
  return i >= 0 ? f->frames + (first + (size_t)i) * C
                : state_cca(s->state, attn).conv_state + (2 + i) * (long)C;
}

// taps[t] = (a[t-1], a[t]) per channel, a = w0[0] * older + w0[1] * newer + b0 of two frames. The padding in
// front of a sequence is two zero frames, so that a[-1] is the bias.
static void fill_taps(void *arg, size_t begin, size_t end) {
  const CcaJob *j = arg;
  Forward *f = j->f;
  const size_t C = (size_t)config_conv_channels(f->w->config);
  for (size_t row = begin; row < end; row++) {
    const Row *r = &f->rows[row];
    const long t = (long)(row - r->first);
    const float *f2 = frame_at(f, r->span, j->attn, r->first, t - 2, C);
    const float *f1 = frame_at(f, r->span, j->attn, r->first, t - 1, C);
    const float *f0 = frame_at(f, r->span, j->attn, r->first, t, C);
    f->linear.kern->taps(j->w->conv0, j->w->conv0_bias, f2, f1, f0, C, f->taps + row * 2 * C);
  }
}

// g[t][c] = conv1[c] . (taps of c's head) + b1[c] for channels [r.begin, r.end) and n tokens from t on.
static void grouped(const CcaJob *j, PoolRange r, size_t t, size_t n, int thread) {
  const Forward *f = j->f;
  const Config *c = f->w->config;
  const size_t D = (size_t)c->head_dim, C = (size_t)config_conv_channels(c);
  for (size_t i = r.begin, rows; i < r.end; i += rows) { // pieces that do not cross a head
    rows = D - i % D < r.end - i ? D - i % D : r.end - i;
    linear_rows_exact(&f->linear, &j->w->conv1, i, rows, f->taps + t * 2 * C + i / D * 2 * D, 2 * C, n,
                      f->qk + t * C + i, C, thread);
  }
}

// All tokens, channels shared between threads.
static void channels_share(void *arg, int index, int count) {
  const CcaJob *j = arg;
  const size_t C = (size_t)config_conv_channels(j->f->w->config);
  grouped(j, pool_share(C, 16, index, count), 0, j->step->n_tokens, index);
}

// Adds the mean residuals: every query head gets mq = (q0 + k0) / 2, every key head the mean of its
// group's mq. frame: raw projections [C]; qk [C].
static void add_means(const Config *c, const float *frame, float *qk) {
  const int D = c->head_dim, G = c->n_q / c->n_kv;
  const float *k0 = frame + c->n_q * D;
  for (int j = 0; j < c->n_kv; j++)
    for (int d = 0; d < D; d++) {
      float sum = 0;
      for (int g = 0; g < G; g++) {
        int h = j * G + g;
        float mq = (frame[h * D + d] + k0[j * D + d]) * 0.5f;
        qk[h * D + d] += mq;
        sum += mq;
      }
      qk[(c->n_q + j) * D + d] += sum / (float)G;
    }
}

// A head's vector as int8 with one scale.
static void store_q8(const float *x, size_t D, KvStrip to) {
  int8_t *row = to.rows;
  float max = 0;
  for (size_t d = 0; d < D; d++) max = fabsf(x[d]) > max ? fabsf(x[d]) : max;
  const float scale = max < KERN_TINY ? 0 : max / 127.0f, inverse = max < KERN_TINY ? 0 : 127.0f / max;
  for (size_t d = 0; d < D; d++) {
    const float v = rintf(x[d] * inverse);
    row[d] = fabsf(v) <= 127 ? (int8_t)v : 0; // infinities and what is no number
  }
  *to.scales = scale;
}

// A head's key or value as the cache keeps it.
static void store_head(const Forward *f, const float *x, size_t D, KvStrip to) {
  if (f->kv == KV_Q8)
    store_q8(x, D, to);
  else if (f->kv == KV_F32)
    memcpy(to.rows, x, D * sizeof *x);
  else
    f->linear.kern->to_f16(x, to.rows, D);
}

// Norms and rotates the heads of a token and stores its key and value.
static void finish_token(const CcaJob *j, size_t row) {
  const Forward *f = j->f;
  const Config *c = f->w->config;
  const Kern *kern = f->linear.kern;
  const size_t D = (size_t)c->head_dim, K = (size_t)c->n_kv * D, C = (size_t)config_conv_channels(c);
  const size_t half = (size_t)c->rotary_dim / 2;
  float *qk = f->qk + row * C;
  const float *key = qk + (size_t)c->n_q * D, *value = f->v + row * K;
  kern->add(qk, j->w->conv1_bias, C);
  add_means(c, f->frames + row * C, qk);
  for (int h = 0; h < c->n_q + c->n_kv; h++) {
    float *x = qk + (size_t)h * D;
    ops_l2norm(kern, x, D, sqrtf((float)D));
    if (h >= c->n_q) kern->scale(x, j->w->temp[h - c->n_q], D);
    kern->rotate(x, f->cosine + row * half, f->sine + row * half, half);
  }
  const State *state = f->rows[row].span->state;
  for (int h = 0; h < c->n_kv; h++, key += D, value += D) {
    store_head(f, key, D, state_k(state, j->attn, h, f->rows[row].pos));
    store_head(f, value, D, state_v(state, j->attn, h, f->rows[row].pos));
  }
}

static void finish_tokens(void *arg, size_t begin, size_t end) {
  for (size_t row = begin; row < end; row++) finish_token(arg, row);
}

// Tokens [begin, end) through everything between the projections and attention.
static void convolve_block(void *arg, size_t begin, size_t end, int thread) {
  CcaJob *j = arg;
  const PoolRange all = {0, (size_t)config_conv_channels(j->f->w->config)};
  fill_taps(j, begin, end);
  grouped(j, all, begin, end - begin, thread);
  finish_tokens(j, begin, end);
}

// Few tokens share the channels, many are shared themselves.
static void convolve(CcaJob *j) {
  const Forward *f = j->f;
  const size_t T = j->step->n_tokens;
  if (forward_has_blocks(f, T)) {
    forward_blocks(f, T, convolve_block, j);
    return;
  }
  forward_rows(f, T, fill_taps, j);
  pool_run(f->linear.pool, channels_share, j);
  forward_rows(f, T, finish_tokens, j);
}

// n_before[t] = n[t - 1], the state's prev_hs in front of a span.
static void shift_inputs(void *arg, size_t begin, size_t end) {
  const CcaJob *j = arg;
  Forward *f = j->f;
  const size_t H = (size_t)f->w->config->hidden;
  for (size_t row = begin; row < end; row++) {
    const Row *r = &f->rows[row];
    const float *before = row > r->first ? f->n + (row - 1) * H : state_cca(r->span->state, j->attn).prev_hs;
    memcpy(f->n_before + row * H, before, H * sizeof(float));
  }
}

// The state behind token t of a span: conv_state is the last two frames, prev_hs the last input. `to` may be
// the state that the span continues.
static void state_behind(const Forward *f, const Span *s, int attn, size_t first, size_t t, CcaState to) {
  const size_t H = (size_t)f->w->config->hidden, C = (size_t)config_conv_channels(f->w->config);
  memmove(to.conv_state, frame_at(f, s, attn, first, (long)t - 1, C), C * sizeof(float));
  memcpy(to.conv_state + C, frame_at(f, s, attn, first, (long)t, C), C * sizeof(float));
  memcpy(to.prev_hs, f->n + (first + t) * H, H * sizeof(float));
}

// Hands out the checkpoints that the spans ask for, then moves the states to their ends.
static void move_states(Forward *f, const Step *step, int attn) {
  size_t first = 0;
  for (size_t k = 0; k < step->n_spans; first += step->spans[k++].n) {
    const Span *s = &step->spans[k];
    for (size_t i = 0; i < s->n_marks; i++)
      state_behind(f, s, attn, first, s->marks[i].after - 1,
                   state_cca_in(&s->state->shape, s->marks[i].cca, attn));
    state_behind(f, s, attn, first, s->n - 1, state_cca(s->state, attn));
  }
}

void cca_forward(Forward *f, int layer, const Step *step) {
  const Config *c = f->w->config;
  const AttnWeights *w = &f->w->layers[layer].attn;
  const size_t H = (size_t)c->hidden, D = (size_t)c->head_dim, T = step->n_tokens;
  const size_t Q = (size_t)c->n_q * D, K = (size_t)c->n_kv * D, C = Q + K;
  CcaJob job = {f, w, step, layer / 2};

  forward_rows(f, T, shift_inputs, &job);
  const LinearPart parts[] = {{&w->linear_q, f->n, f->frames, H, C, T},
                              {&w->linear_k, f->n, f->frames + Q, H, C, T},
                              {&w->val_proj1, f->n, f->v, H, K, T},
                              {&w->val_proj2, f->n_before, f->v + K / 2, H, K, T}};
  linear_run(&f->linear, parts, sizeof parts / sizeof *parts);
  profile_mark(&f->profile, ZAYA_PART_PROJECTIONS,
               mat_bytes(&w->linear_q) + mat_bytes(&w->linear_k) + mat_bytes(&w->val_proj1) +
                   mat_bytes(&w->val_proj2));
  convolve(&job);
  profile_mark(&f->profile, ZAYA_PART_CONV, mat_bytes(&w->conv1));
  attend_forward(f, job.attn, step);
  profile_mark(&f->profile, ZAYA_PART_ATTENTION, attend_bytes(step));
  linear_apply(&f->linear, &w->o_proj, f->mix, Q, T, f->h, H);
  move_states(f, step, job.attn);
  profile_mark(&f->profile, ZAYA_PART_PROJECTIONS, mat_bytes(&w->o_proj));
}
