// calibrate: what the inputs of every linear layer look like: their mean squares over a text, from our own
// forward pass on the unquantized source, and a few inputs kept apart to measure the gain with. A matrix
// is known by the address of its first row in the map. Depends on model (weights, forward) and plan.
#include "base/size.h"
#include "bundle/convert.h"
#include "kernels/kern.h"
#include "model/forward.h"

#include <stdlib.h>
#include <string.h>

enum {
  WINDOW = 512,      // tokens of one sequence
  HELD_OUT = 8,      // one part in so many of the text is kept out of the means
  PRIOR_TOKENS = 32, // weight of what the layer's other experts saw, for experts that saw little
};

// The inputs of one matrix.
typedef struct Inputs {
  const uint8_t *w; // its first row
  size_t cols;
  int layer;
  bool shared; // all of the layer's experts see the same stream: gate and up
  double *sum; // of squares, [cols]
  size_t count;
  float *samples; // [MOMENTS_SAMPLES, cols]
  size_t n_seen;  // held-out inputs that came by
} Inputs;

struct Moments {
  Inputs *items; // by w
  size_t n;
  double **pool; // per layer [H]: sums over its experts' inputs; NULL for attention
  size_t *pool_count;
  int n_layers;
  bool held_out; // the present step is not to be learnt from
};

static const uint8_t *first_row(const PlanTarget *t, const PlanPiece *p) {
  return p->tensor->data + p->first * t->cols * dtype_size(p->tensor->dtype);
}

bool moments_apply(const PlanTarget *t) {
  return t->quantized && t->spec.kind == MAT_AFFINE && (t->klass == ARCH_ATTN || t->klass == ARCH_EXPERT);
}

static int by_address(const void *a, const void *b) {
  const Inputs *x = a, *y = b;
  return (x->w > y->w) - (x->w < y->w);
}

static Inputs *find(const Moments *m, const uint8_t *w) {
  Inputs key = {.w = w};
  return bsearch(&key, m->items, m->n, sizeof *m->items, by_address);
}

// --- collecting ----------------------------------------------------------------------------------------

static void learn(Inputs *in, const float *x) {
  for (size_t i = 0; i < in->cols; i++) in->sum[i] += (double)x[i] * (double)x[i];
  in->count++;
}

// Keeps an even choice of what came by, the same in every run.
static void keep(Inputs *in, const float *x) {
  size_t slot = in->n_seen++;
  if (slot >= MOMENTS_SAMPLES) slot = (size_t)((uint64_t)slot * 0x9e3779b97f4a7c15u >> 33) % in->n_seen;
  if (slot < MOMENTS_SAMPLES) memcpy(in->samples + slot * in->cols, x, in->cols * sizeof *x);
}

static void on_product(void *user, const Mat *w, const float *x, size_t x_stride, size_t n) {
  Moments *m = user;
  Inputs *in = find(m, w->w);
  if (!in || in->cols != w->cols) return;
  for (size_t t = 0; t < n; t++) {
    if (m->held_out)
      keep(in, x + t * x_stride);
    else
      learn(in, x + t * x_stride);
  }
}

static int layer_of(const char *canonical) {
  static const char prefix[] = "model.layers.";
  return strncmp(canonical, prefix, sizeof prefix - 1) ? -1 : atoi(canonical + sizeof prefix - 1);
}

static bool list_inputs(Moments *m, const Plan *p, zaya_error *err) {
  m->items = calloc(p->n_pieces + 1, sizeof *m->items);
  if (!m->items) return err_memory(err, p->n_pieces * sizeof *m->items, "the calibration");
  for (size_t i = 0; i < p->n_targets; i++) {
    const PlanTarget *t = &p->targets[i];
    for (size_t k = 0; moments_apply(t) && k < t->n_pieces; k++) {
      Inputs *in = &m->items[m->n++];
      *in = (Inputs){
          .w = first_row(t, &p->pieces[t->first_piece + k]), .cols = t->cols, .layer = layer_of(t->name)};
      in->shared = t->klass == ARCH_EXPERT && !strstr(t->name, "down_proj");
      in->sum = calloc(t->cols, sizeof *in->sum);
      in->samples = malloc(MOMENTS_SAMPLES * t->cols * sizeof *in->samples);
      if (!in->sum || !in->samples) return err_memory(err, t->cols * sizeof *in->sum, "the calibration");
    }
  }
  qsort(m->items, m->n, sizeof *m->items, by_address);
  return true;
}

// Runs the windows of the text; the last part only to keep inputs of it.
static bool run_text(Moments *m, const Plan *p, Forward *f, State *state, zaya_error *err) {
  const zaya_convert_params *o = &p->params;
  size_t n = o->n_calibration_ids, learnt = n - n / HELD_OUT, step;
  for (size_t at = 0; at < n; at += step) {
    if (at == learnt || state->len == state->cap) state_reset(state);
    m->held_out = at >= learnt;
    step = (m->held_out ? n : learnt) - at;
    if (step > FORWARD_MAX_TOKENS) step = FORWARD_MAX_TOKENS;
    if (step > state->cap - state->len) step = state->cap - state->len;
    Span span = {.state = state, .ids = o->calibration_ids + at, .n = step};
    if (!forward_step(f, &span, 1, (Trace){0}, err)) return false;
    if (o->progress && !o->progress(o->user, "calibrating", at + step, n))
      return err_set(err, ZAYA_E_CANCELLED, "the conversion was stopped; resuming takes it up");
  }
  return true;
}

static bool run_model(Moments *m, const Plan *p, zaya_error *err) {
  const Config *c = bundle_config(p->source);
  Weights w = {0};
  Forward f = {0};
  State *state = NULL;
  StateShape shape = state_shape(c, KV_F32);
  const Kern *kern = kern_pick(NULL);
  Pool *pool = pool_new(p->params.n_threads, err);
  bool ok = pool && weights_bind(&w, p->source, err) && forward_init(&f, &w, pool, kern, true, err) &&
            (state = state_new(&shape, w.fingerprint,
                               c->max_position < WINDOW ? (size_t)c->max_position : WINDOW, err));
  if (ok) {
    f.linear.probe = (LinearProbe){on_product, m};
    ok = run_text(m, p, &f, state, err);
  }
  state_free(state);
  forward_free(&f);
  weights_free(&w);
  pool_free(pool);
  return ok;
}

// What all experts of a layer saw together.
static bool pool_layers(Moments *m, const Config *c, zaya_error *err) {
  m->n_layers = c->n_layers;
  m->pool = calloc((size_t)c->n_layers, sizeof *m->pool);
  m->pool_count = calloc((size_t)c->n_layers, sizeof *m->pool_count);
  if (!m->pool || !m->pool_count) return err_memory(err, (size_t)c->n_layers, "the calibration");
  for (size_t i = 0; i < m->n; i++) {
    const Inputs *in = &m->items[i];
    if (!in->shared) continue;
    double **sum = &m->pool[in->layer];
    if (!*sum && !(*sum = calloc(in->cols, sizeof **sum)))
      return err_memory(err, in->cols * 8, "the calibration");
    for (size_t k = 0; k < in->cols; k++) (*sum)[k] += in->sum[k];
    m->pool_count[in->layer] += in->count;
  }
  return true;
}

Moments *moments_collect(const Plan *p, zaya_error *err) {
  Moments *m = calloc(1, sizeof *m);
  if (!m) {
    err_memory(err, sizeof *m, "the calibration");
    return NULL;
  }
  if (list_inputs(m, p, err) && run_model(m, p, err) && pool_layers(m, bundle_config(p->source), err))
    return m;
  moments_free(m);
  return NULL;
}

void moments_free(Moments *m) {
  if (!m) return;
  for (size_t i = 0; i < m->n; i++) {
    free(m->items[i].sum);
    free(m->items[i].samples);
  }
  for (int i = 0; m->pool && i < m->n_layers; i++) free(m->pool[i]);
  free(m->pool);
  free(m->pool_count);
  free(m->items);
  free(m);
}

// --- using -----------------------------------------------------------------------------------------------

static const Inputs *inputs_of(const Moments *m, const PlanTarget *t, const PlanPiece *piece) {
  return find(m, first_row(t, piece));
}

// An expert that few tokens chose leans on what the layer's experts saw together; for `down`, whose inputs
// are its own, on a flat mean. A hundredth of the mean keeps inputs that were always zero from being free.
void moments_weights(const Moments *m, const PlanTarget *t, const PlanPiece *piece, float *out) {
  const Inputs *in = inputs_of(m, t, piece);
  double total = 0, n = (double)in->count;
  for (size_t i = 0; i < in->cols; i++) total += in->sum[i];
  double flat = n > 0 ? total / (n * (double)in->cols) : 0;
  const double *pool = in->shared && m->pool_count[in->layer] ? m->pool[in->layer] : NULL;
  double pool_n = pool ? (double)m->pool_count[in->layer] : 1, mean = 0;
  for (size_t i = 0; i < in->cols; i++) {
    double prior = pool ? pool[i] / pool_n : flat;
    out[i] = (float)((in->sum[i] + PRIOR_TOKENS * prior) / (n + PRIOR_TOKENS));
    mean += (double)out[i] / (double)in->cols;
  }
  for (size_t i = 0; i < in->cols; i++) out[i] = mean > 0 ? out[i] + (float)(0.01 * mean) : 1;
}

const float *moments_samples(const Moments *m, const PlanTarget *t, const PlanPiece *piece, size_t *n) {
  const Inputs *in = inputs_of(m, t, piece);
  *n = in->n_seen < MOMENTS_SAMPLES ? in->n_seen : MOMENTS_SAMPLES;
  return in->samples;
}
