// moe: see moe.h.
#include "model/moe.h"

#include "model/ops.h"

#include <string.h>

static void add_bias(float *x, const float *bias, size_t rows, size_t n) {
  for (size_t t = 0; t < rows; t++)
    for (size_t i = 0; i < n; i++) x[t * n + i] += bias[i];
}

static void gelu(float *x, const float *bias, size_t rows, size_t n) {
  for (size_t t = 0; t < rows; t++)
    for (size_t i = 0; i < n; i++) x[t * n + i] = ops_gelu(x[t * n + i] + bias[i]);
}

// probs[t] = router(n[t]), softmax over the E + 1 routes; updates the router state.
static void route_probs(Forward *f, const MoeWeights *w, size_t T) {
  const Config *c = f->w->config;
  const size_t H = (size_t)c->hidden, P = (size_t)c->router, E1 = (size_t)c->n_experts + 1;
  float *p = f->z;
  linear_apply(&f->linear, &w->down, f->n, H, T, p, P);
  add_bias(p, w->down_bias, T, P);
  if (w->states_scale)
    for (size_t t = 0; t < T; t++)
      for (size_t i = 0; i < P; i++) p[t * P + i] += f->states[t * P + i] * w->states_scale[i];
  memcpy(f->states, p, T * P * sizeof *p);
  for (size_t t = 0; t < T; t++) ops_rmsnorm(f->linear.kern, p + t * P, w->norm, P, c->norm_eps, p + t * P);
  linear_apply(&f->linear, &w->mlp0, p, P, T, f->z2, P);
  gelu(f->z2, w->mlp0_bias, T, P);
  linear_apply(&f->linear, &w->mlp2, f->z2, P, T, p, P);
  gelu(p, w->mlp2_bias, T, P);
  linear_apply(&f->linear, &w->mlp4, p, P, T, f->probs, E1);
  for (size_t t = 0; t < T; t++) ops_softmax(f->probs + t * E1, E1);
}

// The balancing biases steer the choice only; the lowest index wins a tie.
static void choose(Forward *f, const MoeWeights *w, size_t T) {
  const size_t E1 = (size_t)f->w->config->n_experts + 1;
  for (size_t t = 0; t < T; t++) {
    const float *prob = f->probs + t * E1;
    size_t best = 0;
    for (size_t e = 1; e < E1; e++)
      if (prob[e] + w->balance[e] > prob[best] + w->balance[best]) best = e;
    f->route[t] = (int)best;
    f->prob[t] = prob[best];
  }
}

// Sorts the tokens by route: those of route e are order[first[e] .. first[e + 1]).
static void sort_by_route(Forward *f, size_t T, size_t *first) {
  size_t n = 0;
  for (int e = 0; e <= f->w->config->n_experts; e++) {
    first[e] = n;
    for (size_t t = 0; t < T; t++)
      if (f->route[t] == e) f->order[n++] = t;
  }
}

// h = prob * down(silu(gate n) * (up n)) for the n tokens of expert e, listed in `tokens`.
static void run_expert(Forward *f, const MoeWeights *w, int e, const size_t *tokens, size_t n) {
  const size_t H = (size_t)f->w->config->hidden, I = (size_t)f->w->config->expert;
  for (size_t k = 0; k < n; k++) memcpy(f->x_sorted + k * H, f->n + tokens[k] * H, H * sizeof(float));
  linear_apply(&f->linear, &w->gate[e], f->x_sorted, H, n, f->gate, I);
  linear_apply(&f->linear, &w->up[e], f->x_sorted, H, n, f->up, I);
  for (size_t i = 0; i < n * I; i++) f->gate[i] = ops_silu(f->gate[i]) * f->up[i];
  linear_apply(&f->linear, &w->out[e], f->gate, I, n, f->x_sorted, H);
  for (size_t k = 0; k < n; k++)
    for (size_t i = 0; i < H; i++) f->h[tokens[k] * H + i] = f->prob[tokens[k]] * f->x_sorted[k * H + i];
}

// The skip route: h = prob * n.
static void run_skip(Forward *f, const size_t *tokens, size_t n) {
  const size_t H = (size_t)f->w->config->hidden;
  for (size_t k = 0; k < n; k++)
    for (size_t i = 0; i < H; i++) f->h[tokens[k] * H + i] = f->prob[tokens[k]] * f->n[tokens[k] * H + i];
}

static void trace_routes(const Forward *f, int layer, const Step *step) {
  float route[FORWARD_MAX_TOKENS];
  if (!step->trace.fn) return;
  for (size_t t = 0; t < step->n_tokens; t++) route[t] = (float)f->route[t];
  forward_trace(step, layer, "route", route, step->n_tokens, 0);
  forward_trace(step, layer, "route_prob", f->prob, step->n_tokens, 0);
}

void moe_forward(Forward *f, int layer, const Step *step) {
  const MoeWeights *w = &f->w->layers[layer].moe;
  const int E = f->w->config->n_experts;
  const size_t T = step->n_tokens;
  size_t first[CONFIG_MAX_EXPERTS + 2];
  route_probs(f, w, T);
  choose(f, w, T);
  sort_by_route(f, T, first);
  first[E + 1] = T;
  for (int e = 0; e < E; e++)
    if (first[e + 1] > first[e]) run_expert(f, w, e, f->order + first[e], first[e + 1] - first[e]);
  run_skip(f, f->order + first[E], T - first[E]);
  trace_routes(f, layer, step);
}
