// moe: see moe.h.
#include "model/moe.h"

#include "model/ops.h"

#include <string.h>

typedef struct MoeJob {
  Forward *f;
  const MoeWeights *w;
  const size_t *tokens; // rows of the present expert's tokens
} MoeJob;

// p += bias (+ the previous MoE layer's state, scaled): the new state; then its norm.
static void router_norm(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  const Config *c = j->f->w->config;
  const size_t P = (size_t)c->router;
  for (size_t t = begin; t < end; t++) {
    float *p = j->f->z + t * P, *s = j->f->states + t * P;
    for (size_t i = 0; i < P; i++) p[i] += j->w->down_bias[i];
    if (j->w->states_scale)
      for (size_t i = 0; i < P; i++) p[i] += s[i] * j->w->states_scale[i];
    memcpy(s, p, P * sizeof *p);
    ops_rmsnorm(j->f->linear.kern, p, j->w->norm, P, c->norm_eps, p);
  }
}

static void gelu_rows(float *x, const float *bias, size_t P, size_t begin, size_t end) {
  for (size_t t = begin; t < end; t++)
    for (size_t i = 0; i < P; i++) x[t * P + i] = ops_gelu(x[t * P + i] + bias[i]);
}

static void gelu_first(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  gelu_rows(j->f->z2, j->w->mlp0_bias, (size_t)j->f->w->config->router, begin, end);
}

static void gelu_second(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  gelu_rows(j->f->z, j->w->mlp2_bias, (size_t)j->f->w->config->router, begin, end);
}

// probs[t] = router(n[t]), softmax over the E + 1 routes; updates the router state.
static void route_probs(Forward *f, const MoeWeights *w, size_t T) {
  const Config *c = f->w->config;
  const size_t H = (size_t)c->hidden, P = (size_t)c->router, E1 = (size_t)c->n_experts + 1;
  MoeJob job = {.f = f, .w = w};
  linear_apply(&f->linear, &w->down, f->n, H, T, f->z, P);
  forward_rows(f, T, router_norm, &job);
  linear_apply(&f->linear, &w->mlp0, f->z, P, T, f->z2, P);
  forward_rows(f, T, gelu_first, &job);
  linear_apply(&f->linear, &w->mlp2, f->z2, P, T, f->z, P);
  forward_rows(f, T, gelu_second, &job);
  linear_apply(&f->linear, &w->mlp4, f->z, P, T, f->probs, E1);
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

static void gather(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  const size_t H = (size_t)j->f->w->config->hidden;
  for (size_t k = begin; k < end; k++)
    memcpy(j->f->x_sorted + k * H, j->f->n + j->tokens[k] * H, H * sizeof(float));
}

// gate = silu(gate) * up
static void activate(void *arg, size_t begin, size_t end) {
  const Forward *f = ((const MoeJob *)arg)->f;
  const size_t I = (size_t)f->w->config->expert;
  if (!f->exact) {
    f->linear.kern->silu_mul(f->gate + begin * I, f->up + begin * I, (end - begin) * I);
    return;
  }
  for (size_t i = begin * I; i < end * I; i++) f->gate[i] = ops_silu(f->gate[i]) * f->up[i];
}

// h = prob * x for the tokens of a route.
static void scatter(const MoeJob *j, const float *x, size_t x_row, size_t token) {
  const Forward *f = j->f;
  const size_t H = (size_t)f->w->config->hidden;
  for (size_t i = 0; i < H; i++) f->h[token * H + i] = f->prob[token] * x[x_row * H + i];
}

static void scatter_expert(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  for (size_t k = begin; k < end; k++) scatter(j, j->f->x_sorted, k, j->tokens[k]);
}

static void scatter_skip(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  for (size_t k = begin; k < end; k++) scatter(j, j->f->n, j->tokens[k], j->tokens[k]);
}

// h = prob * down(silu(gate n) * (up n)) for the n tokens of expert e.
static void run_expert(Forward *f, MoeJob *job, int e, size_t n) {
  const size_t H = (size_t)f->w->config->hidden, I = (size_t)f->w->config->expert;
  const LinearPart parts[] = {{&job->w->gate[e], f->x_sorted, f->gate, H, I},
                              {&job->w->up[e], f->x_sorted, f->up, H, I}};
  forward_rows(f, n, gather, job);
  linear_run(&f->linear, parts, 2, n);
  forward_rows(f, n, activate, job);
  linear_apply(&f->linear, &job->w->out[e], f->gate, I, n, f->x_sorted, H);
  forward_rows(f, n, scatter_expert, job);
  profile_mark(&f->profile, ZAYA_PART_EXPERTS,
               mat_bytes(parts[0].w) + mat_bytes(parts[1].w) + mat_bytes(&job->w->out[e]));
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
  profile_mark(&f->profile, ZAYA_PART_ROUTER,
               mat_bytes(&w->down) + mat_bytes(&w->mlp0) + mat_bytes(&w->mlp2) + mat_bytes(&w->mlp4));
  MoeJob job = {.f = f, .w = w};
  for (int e = 0; e < E; e++) {
    job.tokens = f->order + first[e];
    if (first[e + 1] > first[e]) run_expert(f, &job, e, first[e + 1] - first[e]);
  }
  job.tokens = f->order + first[E];
  if (first[E] < T) forward_rows(f, T - first[E], scatter_skip, &job); // the skip route: h = prob * n
  profile_mark(&f->profile, ZAYA_PART_EXPERTS, 0);
  trace_routes(f, layer, step);
}
