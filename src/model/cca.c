// cca: see cca.h. Symbols are those of docs/architecture.md: f a packed frame, a the depthwise output,
// g the grouped output.
#include "model/cca.h"

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

// a = w0[0] * older + w0[1] * newer + b0, into every second float of out: pairs (a[t-1], a[t]).
static void depthwise(const AttnWeights *w, const float *older, const float *newer, size_t C, float *out) {
  for (size_t c = 0; c < C; c++)
    out[2 * c] = w->conv0[2 * c] * older[c] + w->conv0[2 * c + 1] * newer[c] + w->conv0_bias[c];
}

// taps[t] = (a[t-1], a[t]) per channel. The padding in front of a sequence is two zero frames, so
// that a[-1] is the bias.
static void fill_taps(Forward *f, const AttnWeights *w, const Step *step, int attn) {
  const size_t C = (size_t)config_conv_channels(f->w->config);
  size_t first = 0;
  for (size_t k = 0; k < step->n_spans; first += step->spans[k++].n) {
    const Span *s = &step->spans[k];
    for (long t = 0; t < (long)s->n; t++) {
      const float *f2 = frame_at(f, s, attn, first, t - 2, C), *f1 = frame_at(f, s, attn, first, t - 1, C);
      float *out = f->taps + (first + (size_t)t) * 2 * C;
      depthwise(w, f2, f1, C, out);
      depthwise(w, f1, frame_at(f, s, attn, first, t, C), C, out + 1);
    }
  }
}

// g[t][c] = conv1[c] . (taps of c's head) + b1[c], rows c shared between threads.
static void grouped_share(void *arg, int index, int count) {
  const CcaJob *j = arg;
  const Forward *f = j->f;
  const Config *c = f->w->config;
  const size_t D = (size_t)c->head_dim, C = (size_t)config_conv_channels(c), T = j->step->n_tokens;
  float *row = linear_scratch(&f->linear, index);
  PoolRange r = pool_share(C, 16, index, count);
  for (size_t i = r.begin; i < r.end; i++) {
    mat_row(&j->w->conv1, i, row);
    f->linear.kern->dot_rows(row, f->taps + i / D * 2 * D, 2 * C, T, 2 * D, f->qk + i, C);
    for (size_t t = 0; t < T; t++) f->qk[t * C + i] += j->w->conv1_bias[i];
  }
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

// Norms and rotates the heads of one token and stores its key and value at `pos`.
static void finish_token(const CcaJob *j, State *state, size_t row, size_t pos) {
  const Forward *f = j->f;
  const Config *c = f->w->config;
  const Kern *kern = f->linear.kern;
  const size_t D = (size_t)c->head_dim, K = (size_t)c->n_kv * D, C = (size_t)config_conv_channels(c);
  const size_t half = (size_t)c->rotary_dim / 2;
  float *qk = f->qk + row * C, cosine[CCA_MAX_ROTARY / 2], sine[CCA_MAX_ROTARY / 2];
  for (size_t i = 0; i < half; i++) {
    const double angle = (double)pos * f->rope_freq[i];
    cosine[i] = (float)cos(angle);
    sine[i] = (float)sin(angle);
  }
  add_means(c, f->frames + row * C, qk);
  for (int h = 0; h < c->n_q + c->n_kv; h++) {
    float *x = qk + (size_t)h * D;
    ops_l2norm(kern, x, D, sqrtf((float)D));
    if (h >= c->n_q)
      for (size_t d = 0; d < D; d++) x[d] *= j->w->temp[h - c->n_q];
    ops_rotate(x, cosine, sine, half);
  }
  memcpy(state_k(state, j->attn, pos), qk + (size_t)c->n_q * D, K * sizeof(float));
  memcpy(state_v(state, j->attn, pos), f->v + row * K, K * sizeof(float));
}

static void finish_tokens(const CcaJob *j) {
  size_t row = 0;
  for (size_t k = 0; k < j->step->n_spans; k++) {
    const Span *s = &j->step->spans[k];
    for (size_t t = 0; t < s->n; t++) finish_token(j, s->state, row++, s->state->len + t);
  }
}

// One query head of one token over positions 0 .. pos: softmax(q k^T / sqrt(D)) v.
static void attend(const Forward *f, const State *state, int attn, int head, const float *q, size_t pos,
                   float *scores, float *out) {
  const Config *c = f->w->config;
  const size_t D = (size_t)c->head_dim, K = (size_t)c->n_kv * D;
  const size_t at = (size_t)(head / (c->n_q / c->n_kv)) * D; // of the KV head in a row of the cache
  const float scale = 1.0f / sqrtf((float)D);
  const float *k = state_k(state, attn, 0) + at, *v = state_v(state, attn, 0) + at;
  for (size_t p = 0; p <= pos; p++) scores[p] = f->linear.kern->dot(q, k + p * K, D) * scale;
  ops_softmax(scores, pos + 1);
  memset(out, 0, D * sizeof *out);
  for (size_t p = 0; p <= pos; p++) f->linear.kern->axpy(scores[p], v + p * K, out, D);
}

// (token, head) pairs are dealt out in turn: later tokens cost more.
static void attend_share(void *arg, int index, int count) {
  const CcaJob *j = arg;
  const Forward *f = j->f;
  const Config *c = f->w->config;
  const size_t D = (size_t)c->head_dim, C = (size_t)config_conv_channels(c), Q = (size_t)c->n_q * D;
  float *scores = f->scores + (size_t)index * f->scores_cap;
  size_t row = 0, unit = 0;
  for (size_t k = 0; k < j->step->n_spans; k++) {
    const Span *s = &j->step->spans[k];
    for (size_t t = 0; t < s->n; t++, row++)
      for (int h = 0; h < c->n_q; h++)
        if (unit++ % (size_t)count == (size_t)index)
          attend(f, s->state, j->attn, h, f->qk + row * C + (size_t)h * D, s->state->len + t, scores,
                 f->mix + row * Q + (size_t)h * D);
  }
}

// n_before[t] = n[t - 1], the state's prev_hs in front of a span.
static void shift_inputs(Forward *f, const Step *step, int attn) {
  const size_t H = (size_t)f->w->config->hidden;
  size_t first = 0;
  for (size_t k = 0; k < step->n_spans; first += step->spans[k++].n) {
    memcpy(f->n_before + first * H, state_cca(step->spans[k].state, attn).prev_hs, H * sizeof(float));
    memcpy(f->n_before + (first + 1) * H, f->n + first * H, (step->spans[k].n - 1) * H * sizeof(float));
  }
}

// conv_state becomes the last two frames, prev_hs the last input.
static void move_state(Forward *f, const Step *step, int attn) {
  const size_t H = (size_t)f->w->config->hidden, C = (size_t)config_conv_channels(f->w->config);
  size_t end = 0;
  for (size_t k = 0; k < step->n_spans; k++) {
    const Span *s = &step->spans[k];
    CcaState cca = state_cca(s->state, attn);
    end += s->n;
    if (s->n == 1) memmove(cca.conv_state, cca.conv_state + C, C * sizeof(float));
    if (s->n > 1) memcpy(cca.conv_state, f->frames + (end - 2) * C, C * sizeof(float));
    memcpy(cca.conv_state + C, f->frames + (end - 1) * C, C * sizeof(float));
    memcpy(cca.prev_hs, f->n + (end - 1) * H, H * sizeof(float));
  }
}

void cca_forward(Forward *f, int layer, const Step *step) {
  const Config *c = f->w->config;
  const AttnWeights *w = &f->w->layers[layer].attn;
  const size_t H = (size_t)c->hidden, D = (size_t)c->head_dim, T = step->n_tokens;
  const size_t Q = (size_t)c->n_q * D, K = (size_t)c->n_kv * D, C = Q + K;
  CcaJob job = {f, w, step, layer / 2};

  linear_apply(&f->linear, &w->linear_q, f->n, H, T, f->frames, C);
  linear_apply(&f->linear, &w->linear_k, f->n, H, T, f->frames + Q, C);
  shift_inputs(f, step, job.attn);
  linear_apply(&f->linear, &w->val_proj1, f->n, H, T, f->v, K);
  linear_apply(&f->linear, &w->val_proj2, f->n_before, H, T, f->v + K / 2, K);
  fill_taps(f, w, step, job.attn);
  pool_run(f->linear.pool, grouped_share, &job);
  finish_tokens(&job);
  pool_run(f->linear.pool, attend_share, &job);
  linear_apply(&f->linear, &w->o_proj, f->mix, Q, T, f->h, H);
  move_state(f, step, job.attn);
}
