// moe: see moe.h.
#include "model/moe.h"

#include "model/ops.h"

#include <string.h>

typedef struct MoeJob {
  Forward *f;
  const MoeWeights *w;
  size_t T;
  size_t first[CONFIG_MAX_EXPERTS + 2]; // tokens of route e: f->order[first[e] .. first[e + 1])
} MoeJob;

// p += bias (+ the previous MoE layer's state, scaled): the new state; then its norm.
static void router_norm(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  const Config *c = j->f->w->config;
  const size_t P = (size_t)c->router;
  for (size_t t = begin; t < end; t++) {
    float *p = j->f->z + t * P, *s = j->f->states + t * P;
    j->f->linear.kern->add(p, j->w->down_bias, P);
    if (j->w->states_scale)
      for (size_t i = 0; i < P; i++) p[i] += s[i] * j->w->states_scale[i];
    memcpy(s, p, P * sizeof *p);
    ops_rmsnorm(j->f->linear.kern, p, j->w->norm, P, c->norm_eps, p);
  }
}

static void gelu_rows(const Forward *f, float *x, const float *bias, size_t begin, size_t end) {
  const size_t P = (size_t)f->w->config->router;
  for (size_t t = begin; t < end; t++)
    if (f->exact)
      for (size_t i = 0; i < P; i++) x[t * P + i] = ops_gelu(x[t * P + i] + bias[i]);
    else
      f->linear.kern->gelu(x + t * P, bias, P);
}

static void gelu_first(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  gelu_rows(j->f, j->f->z2, j->w->mlp0_bias, begin, end);
}

static void gelu_second(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  gelu_rows(j->f, j->f->z, j->w->mlp2_bias, begin, end);
}

static void softmax_rows(void *arg, size_t begin, size_t end) {
  const MoeJob *j = arg;
  const size_t E1 = (size_t)j->f->w->config->n_experts + 1;
  for (size_t t = begin; t < end; t++) ops_softmax(j->f->probs + t * E1, E1);
}

// The router's products and what follows each of them: x to y, rows of so many floats.
typedef struct RouterStage {
  const Mat *w;
  const float *x;
  float *y;
  size_t in, out;
  ForwardRowsFn then;
} RouterStage;

enum { ROUTER_STAGES = 4 };

static void router_stages(const Forward *f, const MoeWeights *w, RouterStage s[ROUTER_STAGES]) {
  const Config *c = f->w->config;
  const size_t H = (size_t)c->hidden, P = (size_t)c->router, E1 = (size_t)c->n_experts + 1;
  s[0] = (RouterStage){&w->down, f->n, f->z, H, P, router_norm};
  s[1] = (RouterStage){&w->mlp0, f->z, f->z2, P, P, gelu_first};
  s[2] = (RouterStage){&w->mlp2, f->z2, f->z, P, P, gelu_second};
  s[3] = (RouterStage){&w->mlp4, f->z, f->probs, P, E1, softmax_rows};
}

// Tokens [begin, end) through all stages.
static void route_block(void *arg, size_t begin, size_t end, int thread) {
  MoeJob *j = arg;
  RouterStage s[ROUTER_STAGES];
  router_stages(j->f, j->w, s);
  for (int i = 0; i < ROUTER_STAGES; i++) {
    linear_rows_exact(&j->f->linear, s[i].w, 0, s[i].w->rows, s[i].x + begin * s[i].in, s[i].in, end - begin,
                      s[i].y + begin * s[i].out, s[i].out, thread);
    s[i].then(j, begin, end);
  }
}

// Whether linear_run would do with the router's inputs what linear_rows_exact does: neither quantizes them
// nor shows them to a probe.
static bool is_exact(const Forward *f, const RouterStage s[ROUTER_STAGES]) {
  for (int i = 0; i < ROUTER_STAGES; i++)
    if (linear_quantizes(&f->linear, s[i].w)) return false;
  return !f->linear.probe.fn;
}

// probs[t] = router(n[t]), softmax over the E + 1 routes; updates the router state.
static void route_probs(MoeJob *j) {
  Forward *f = j->f;
  RouterStage s[ROUTER_STAGES];
  router_stages(f, j->w, s);
  if (forward_has_blocks(f, j->T) && is_exact(f, s)) { // few tokens share the rows of every stage
    forward_blocks(f, j->T, route_block, j);
    return;
  }
  for (int i = 0; i < ROUTER_STAGES; i++) {
    linear_apply(&f->linear, s[i].w, s[i].x, s[i].in, j->T, s[i].y, s[i].out);
    forward_rows(f, j->T, s[i].then, j);
  }
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

// Sorts the tokens by route; the skip route is the last.
static void sort_by_route(MoeJob *j) {
  size_t n = 0;
  const int E = j->f->w->config->n_experts;
  for (int e = 0; e <= E; e++) {
    j->first[e] = n;
    for (size_t t = 0; t < j->T; t++)
      if (j->f->route[t] == e) j->f->order[n++] = t;
  }
  j->first[E + 1] = n;
}

// x_sorted = the inputs in this order.
static void gather(void *arg, size_t begin, size_t end) {
  const Forward *f = ((const MoeJob *)arg)->f;
  const size_t H = (size_t)f->w->config->hidden;
  for (size_t k = begin; k < end; k++) memcpy(f->x_sorted + k * H, f->n + f->order[k] * H, H * sizeof(float));
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

// h = prob * x for sorted tokens.
static void scatter(void *arg, size_t begin, size_t end) {
  const Forward *f = ((const MoeJob *)arg)->f;
  const size_t H = (size_t)f->w->config->hidden;
  for (size_t k = begin; k < end; k++) {
    const size_t t = f->order[k];
    f->linear.kern->weigh(f->prob[t], f->x_sorted + k * H, f->h + t * H, H);
  }
}

enum { EXPERTS_AT_ONCE = LINEAR_MAX_PARTS / 2 };

// The next experts from e on that have tokens; returns how many. *e moves behind them.
static size_t next_experts(const MoeJob *j, int *e, int *list) {
  size_t n = 0;
  for (; *e < j->f->w->config->n_experts && n < EXPERTS_AT_ONCE; ++*e)
    if (j->first[*e + 1] > j->first[*e]) list[n++] = *e;
  return n;
}

// gate, up = the inputs times both matrices of the n experts listed, each for its own tokens.
static void experts_in(const MoeJob *j, const int *list, size_t n) {
  const Forward *f = j->f;
  const size_t H = (size_t)f->w->config->hidden, I = (size_t)f->w->config->expert;
  LinearPart parts[LINEAR_MAX_PARTS];
  for (size_t k = 0; k < n; k++) {
    const size_t at = j->first[list[k]], tokens = j->first[list[k] + 1] - at;
    const float *x = f->x_sorted + at * H;
    parts[2 * k] = (LinearPart){&j->w->gate[list[k]], x, f->gate + at * I, H, I, tokens};
    parts[2 * k + 1] = (LinearPart){&j->w->up[list[k]], x, f->up + at * I, H, I, tokens};
  }
  linear_run(&f->linear, parts, 2 * n);
}

// x_sorted = gate times the last matrix.
static void experts_out(const MoeJob *j, const int *list, size_t n) {
  const Forward *f = j->f;
  const size_t H = (size_t)f->w->config->hidden, I = (size_t)f->w->config->expert;
  LinearPart parts[LINEAR_MAX_PARTS];
  for (size_t k = 0; k < n; k++) {
    const size_t at = j->first[list[k]], tokens = j->first[list[k] + 1] - at;
    parts[k] = (LinearPart){&j->w->out[list[k]], f->gate + at * I, f->x_sorted + at * H, I, H, tokens};
  }
  linear_run(&f->linear, parts, n);
}

// h = prob * down(silu(gate n) * (up n)); of the skip route h = prob * n, which gathering has done already.
// Returns the bytes of weights read.
static size_t run_experts(MoeJob *j) {
  Forward *f = j->f;
  const int E = f->w->config->n_experts;
  int list[EXPERTS_AT_ONCE];
  size_t n, bytes = 0;
  forward_rows(f, j->T, gather, j);
  for (int e = 0; (n = next_experts(j, &e, list)) > 0;) experts_in(j, list, n);
  forward_rows(f, j->first[E], activate, j);
  for (int e = 0; (n = next_experts(j, &e, list)) > 0;) experts_out(j, list, n);
  forward_rows(f, j->T, scatter, j);
  for (int e = 0; e < E; e++)
    if (j->first[e + 1] > j->first[e])
      bytes += mat_bytes(&j->w->gate[e]) + mat_bytes(&j->w->up[e]) + mat_bytes(&j->w->out[e]);
  return bytes;
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
  MoeJob job = {.f = f, .w = w, .T = step->n_tokens};
  route_probs(&job);
  choose(f, w, job.T);
  sort_by_route(&job);
  profile_mark(&f->profile, ZAYA_PART_ROUTER,
               mat_bytes(&w->down) + mat_bytes(&w->mlp0) + mat_bytes(&w->mlp2) + mat_bytes(&w->mlp4));
  profile_mark(&f->profile, ZAYA_PART_EXPERTS, run_experts(&job));
  trace_routes(f, layer, step);
}
