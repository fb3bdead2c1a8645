// bench_head: how much of the output head could be left unread. For generated tokens it looks at every row of
// the head without the lowest bits of its codes: a row is needed whole unless its coarse logit and a rigorous
// bound on the rest keep it below what is asked for, the largest logit or the 64 largest.
//
//   zaya tokenize -m DIR < TEXT | bench_head DIR TOKENS
//
// codes = coarse + rest, |rest . x| <= |rest| |x| (Cauchy-Schwarz) with one norm a row, which is what could
// be kept beside the codes.
#include "base/pool.h"
#include "engine/eval.h"
#include "format/bundle.h"
#include "model/forward.h"
#include "model/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEFT_OUT = 4, WANTED = 64, CONTEXT = 4096, MOST_IDS = 1024, GROUP = 32 };

static void fail(const char *what) {
  fprintf(stderr, "bench_head: %s\n", what);
  exit(1);
}

static void *need(size_t n, size_t size) {
  void *p = calloc(n, size);
  if (!p) fail("out of memory");
  return p;
}

static float half_float(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return dtype_f16_to_f32(h);
}

// --- a row in two parts --------------------------------------------------------------------------------

typedef struct Parts {
  float coarse, bound; // of the row's logit
} Parts;

// Row r without its lowest `left_out` bits, whose middle stands for them.
static Parts parts_of(const Mat *head, size_t r, int left_out, const float *x, float x_norm) {
  const uint8_t *codes = head->w + r * head->w_stride, *scales = head->scales + r * head->s_stride;
  const uint8_t *biases = head->biases + r * head->s_stride;
  const unsigned low = (1u << left_out) - 1;
  const float middle = (float)low / 2;
  double logit = 0, rest = 0;
  for (size_t g = 0; g < head->cols / GROUP; g++) {
    const float s = half_float(scales + 2 * g), b = half_float(biases + 2 * g);
    float dot = 0, sum = 0, square = 0;
    for (size_t i = g * GROUP; i < (g + 1) * GROUP; i++) {
      const float left = (float)(codes[i] & low) - middle;
      dot += ((float)codes[i] - left) * x[i];
      sum += x[i];
      square += left * left;
    }
    logit += s * dot + b * sum;
    rest += (double)s * s * square;
  }
  return (Parts){(float)logit, (float)sqrt(rest) * x_norm};
}

typedef struct Job {
  const Mat *head;
  const float *x;
  float x_norm;
  int left_out;
  Parts *parts; // [rows]
} Job;

static void parts_share(void *arg, int index, int count) {
  const Job *j = arg;
  const PoolRange r = pool_share(j->head->rows, 1, index, count);
  for (size_t i = r.begin; i < r.end; i++) j->parts[i] = parts_of(j->head, i, j->left_out, j->x, j->x_norm);
}

// --- what is needed ------------------------------------------------------------------------------------

static int downwards(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x < y) - (x > y);
}

// The share of rows whose logit may reach `least`.
static float share_needed(const Parts *p, size_t rows, float least) {
  size_t n = 0;
  for (size_t i = 0; i < rows; i++) n += p[i].coarse + p[i].bound >= least;
  return (float)n / (float)rows;
}

// How far a logit lies above the mean of all n, in their standard deviations.
static float height_of(float logit, const float *logits, size_t n) {
  double sum = 0, square = 0;
  for (size_t i = 0; i < n; i++) sum += logits[i], square += (double)logits[i] * logits[i];
  const double mean = sum / (double)n;
  return (float)((logit - mean) / sqrt(square / (double)n - mean * mean));
}

// --- the model -----------------------------------------------------------------------------------------

typedef struct Model {
  Bundle *bundle;
  Weights w;
  Pool *pool;
  Forward f;
  State *state;
  float *logits;
} Model;

static void open_model(Model *m, const char *dir) {
  zaya_error err;
  if (!(m->bundle = bundle_open(dir, &err)) || !weights_bind(&m->w, m->bundle, &err)) fail(err.message);
  const StateShape shape = state_shape(m->w.config, KV_F16);
  const Mat *head = &m->w.head;
  if (head->kind != MAT_AFFINE || head->bits != 8 || head->group != GROUP || head->scale_type != DT_F16)
    fail("the head is not affine 8-bit, groups of 32, float16 scales");
  if (!(m->pool = pool_new(0, &err)) || !forward_init(&m->f, &m->w, m->pool, kern_pick(NULL), false, &err) ||
      !(m->state = state_new(&shape, m->w.fingerprint, CONTEXT, &err)))
    fail(err.message);
  m->logits = need(head->rows, sizeof *m->logits);
}

// Feeds n tokens; returns the head's input behind the last.
static const float *feed(Model *m, const int32_t *ids, size_t n) {
  zaya_error err;
  const float *x = NULL;
  for (size_t at = 0, step; at < n; at += step) {
    step = n - at < FORWARD_MAX_TOKENS ? n - at : FORWARD_MAX_TOKENS;
    const Span span = {.state = m->state, .ids = ids + at, .n = step, .logits = m->logits, .n_logits = 1};
    if (!forward_step(&m->f, &span, 1, (Trace){0}, &err)) fail(err.message);
    x = m->f.n + (step - 1) * (size_t)m->w.config->hidden;
  }
  return x;
}

static float middle_of(float *v, size_t n) {
  qsort(v, n, sizeof *v, downwards);
  return v[n / 2];
}

// Shares of rows needed, [tokens] each: for the largest logit, and for the WANTED largest.
typedef struct Shares {
  float *one, *many;
} Shares;

static void look(Model *m, const float *x, size_t token, Parts *parts, float *room, Shares *shares) {
  const Mat *head = &m->w.head;
  const size_t wanted = WANTED < head->rows ? WANTED : head->rows;
  Job job = {.head = head, .x = x, .parts = parts};
  double square = 0;
  for (size_t i = 0; i < head->cols; i++) square += (double)x[i] * x[i];
  job.x_norm = (float)sqrt(square);
  for (job.left_out = 1; job.left_out <= MOST_LEFT_OUT; job.left_out++) {
    Shares *s = &shares[job.left_out];
    pool_run(m->pool, parts_share, &job);
    for (size_t i = 0; i < head->rows; i++) room[i] = parts[i].coarse - parts[i].bound; // at least so much
    qsort(room, head->rows, sizeof *room, downwards);
    s->one[token] = share_needed(parts, head->rows, room[0]);
    s->many[token] = share_needed(parts, head->rows, room[wanted - 1]);
  }
}

static void tell(const Model *m, size_t tokens, Shares *shares, float *height) {
  const Mat *head = &m->w.head;
  printf("%zu rows of %zu codes, %zu tokens; the largest logit is %.1f deviations above the mean\n",
         head->rows, head->cols, tokens, (double)middle_of(height, tokens));
  for (int k = 1; k <= MOST_LEFT_OUT; k++) {
    // Bytes of a group: its coarse codes, scale and bias always, the rest of the codes where a row is needed.
    const double whole = GROUP + 4, coarse = GROUP * (8 - k) / 8.0 + 4, rest = GROUP * k / 8.0;
    const double one = (double)middle_of(shares[k].one, tokens);
    const double many = (double)middle_of(shares[k].many, tokens);
    printf("%d bits left out: rows needed %.2f %% for the largest, %.2f %% for the %d largest; "
           "bytes read %.0f and %.0f %%\n",
           k, 100 * one, 100 * many, WANTED, 100 * (coarse + one * rest) / whole,
           100 * (coarse + many * rest) / whole);
  }
}

int main(int argc, char **argv) {
  static int32_t ids[MOST_IDS];
  size_t n = 0;
  const int count = argc == 3 ? atoi(argv[2]) : 0;
  if (count < 1 || count > CONTEXT - MOST_IDS) fail("usage: bench_head DIR TOKENS < IDS");
  while (n < MOST_IDS && scanf("%d", &ids[n]) == 1) n++;
  if (!n) fail("no ids on standard input");
  Model m = {0};
  open_model(&m, argv[1]);
  const size_t tokens = (size_t)count, rows = m.w.head.rows;
  Parts *parts = need(rows, sizeof *parts);
  float *room = need(rows, sizeof *room), *height = need(tokens, sizeof *height);
  Shares shares[MOST_LEFT_OUT + 1] = {{0}};
  for (int k = 1; k <= MOST_LEFT_OUT; k++)
    shares[k] = (Shares){need(tokens, sizeof(float)), need(tokens, sizeof(float))};
  const float *x = feed(&m, ids, n);
  for (size_t t = 0; t < tokens; t++) {
    const int32_t next = eval_argmax(m.logits, rows);
    height[t] = height_of(m.logits[next], m.logits, rows);
    look(&m, x, t, parts, room, shares);
    x = feed(&m, &next, 1);
  }
  tell(&m, tokens, shares, height);
  return 0;
}
