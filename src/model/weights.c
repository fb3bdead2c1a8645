// weights: see weights.h. Names are the canonical (legacy) ones; the bundle maps them to its layout.
#include "model/weights.h"

#include "base/hash64.h"

#include <math.h>
#include <stdio.h>

// Where a group of tensors is read from: "model.layers.3.zaya_block.router." and what to allocate in.
typedef struct Binder {
  const Bundle *bundle;
  Arena *arena;
  char prefix[64];
  zaya_error *err;
} Binder;

enum { NAME_MAX_LEN = 160 };

static bool bind_mat(const Binder *b, const char *name, int rows, int cols, Mat *out) {
  char full[NAME_MAX_LEN];
  snprintf(full, sizeof full, "%s%s", b->prefix, name);
  return bundle_mat(b->bundle, full, (size_t)rows, (size_t)cols, out, b->err);
}

static float *bind_vec(const Binder *b, const char *name, int n) {
  char full[NAME_MAX_LEN];
  snprintf(full, sizeof full, "%s%s", b->prefix, name);
  float *v = arena_alloc(b->arena, (size_t)n, sizeof *v, full, b->err);
  return v && bundle_vec(b->bundle, full, (size_t)n, v, b->err) ? v : NULL;
}

static Binder binder(const Bundle *bundle, Weights *w, zaya_error *err) {
  return (Binder){.bundle = bundle, .arena = &w->arena, .err = err};
}

static bool bind_res(const Binder *b, const char *kind, int H, ResScale *out) {
  char name[64];
  snprintf(name, sizeof name, "res_scale.%s_scale", kind);
  out->scale = bind_vec(b, name, H);
  snprintf(name, sizeof name, "res_scale.%s_bias", kind);
  out->bias = bind_vec(b, name, H);
  return out->scale && out->bias;
}

static bool bind_attn(const Bundle *bundle, Weights *w, int layer, AttnWeights *a, zaya_error *err) {
  const Config *c = w->config;
  const int H = c->hidden, D = c->head_dim, Q = c->n_q * D, K = c->n_kv * D, C = Q + K;
  Binder b = binder(bundle, w, err);
  snprintf(b.prefix, sizeof b.prefix, "model.layers.%d.self_attn.", layer);
  if (!bind_mat(&b, "qkv.linear_q", Q, H, &a->linear_q) ||
      !bind_mat(&b, "qkv.linear_k", K, H, &a->linear_k) ||
      !bind_mat(&b, "qkv.val_proj1", K / 2, H, &a->val_proj1) ||
      !bind_mat(&b, "qkv.val_proj2", K / 2, H, &a->val_proj2) || !bind_mat(&b, "o_proj", H, Q, &a->o_proj) ||
      !bind_mat(&b, "qkv.conv_qk.1", C, 2 * D, &a->conv1))
    return false;
  a->conv0 = bind_vec(&b, "qkv.conv_qk.0.weight", 2 * C);
  a->conv0_bias = bind_vec(&b, "qkv.conv_qk.0.bias", C);
  a->conv1_bias = bind_vec(&b, "qkv.conv_qk.1.bias", C);
  a->temp = bind_vec(&b, "qkv.temp", c->n_kv);
  if (!a->conv0 || !a->conv0_bias || !a->conv1_bias || !a->temp) return false;
  if (c->clamp_temp)
    for (int j = 0; j < c->n_kv; j++) a->temp[j] = expf(fminf(fmaxf(a->temp[j], 1e-7f), 2.0f));
  return true;
}

static bool bind_router(const Bundle *bundle, Weights *w, int layer, MoeWeights *m, zaya_error *err) {
  const Config *c = w->config;
  const int H = c->hidden, P = c->router, E = c->n_experts;
  Binder b = binder(bundle, w, err);
  snprintf(b.prefix, sizeof b.prefix, "model.layers.%d.zaya_block.router.", layer);
  if (!bind_mat(&b, "down_proj", P, H, &m->down) || !bind_mat(&b, "router_mlp.0", P, P, &m->mlp0) ||
      !bind_mat(&b, "router_mlp.2", P, P, &m->mlp2) || !bind_mat(&b, "router_mlp.4", E + 1, P, &m->mlp4))
    return false;
  m->down_bias = bind_vec(&b, "down_proj.bias", P);
  m->norm = bind_vec(&b, "rmsnorm_eda.weight", P);
  m->mlp0_bias = bind_vec(&b, "router_mlp.0.bias", P);
  m->mlp2_bias = bind_vec(&b, "router_mlp.2.bias", P);
  m->balance = bind_vec(&b, "balancing_biases", E + 1);
  if (layer > 1) m->states_scale = bind_vec(&b, "router_states_scale", P);
  return m->down_bias && m->norm && m->mlp0_bias && m->mlp2_bias && m->balance &&
         (layer == 1 || m->states_scale);
}

static bool bind_experts(const Bundle *bundle, Weights *w, int layer, MoeWeights *m, zaya_error *err) {
  const int E = w->config->n_experts;
  Mat *mats = arena_alloc(&w->arena, 3 * (size_t)E, sizeof *mats, "the table of experts", err);
  if (!mats) return false;
  m->gate = mats;
  m->up = mats + E;
  m->out = mats + 2 * E;
  for (int e = 0; e < E; e++)
    if (!bundle_expert(bundle, layer, e, EXPERT_GATE, &m->gate[e], err) ||
        !bundle_expert(bundle, layer, e, EXPERT_UP, &m->up[e], err) ||
        !bundle_expert(bundle, layer, e, EXPERT_DOWN, &m->out[e], err))
      return false;
  return true;
}

static bool bind_layer(const Bundle *bundle, Weights *w, int i, zaya_error *err) {
  const int H = w->config->hidden;
  LayerWeights *l = &w->layers[i];
  Binder b = binder(bundle, w, err);
  snprintf(b.prefix, sizeof b.prefix, "model.layers.%d.", i);
  l->input_norm = bind_vec(&b, "input_norm.weight", H);
  if (!l->input_norm || !bind_res(&b, "hidden_states", H, &l->hidden)) return false;
  if (i > 0 && !bind_res(&b, "residual", H, &l->residual)) return false;
  if (i % 2 == 0) return bind_attn(bundle, w, i, &l->attn, err);
  return bind_router(bundle, w, i, &l->moe, err) && bind_experts(bundle, w, i, &l->moe, err);
}

static bool bind_ends(const Bundle *bundle, Weights *w, zaya_error *err) {
  const Config *c = w->config;
  Binder b = binder(bundle, w, err);
  if (!bind_mat(&b, "model.embed_tokens", c->vocab, c->hidden, &w->embed)) return false;
  w->head = w->embed;
  if (!c->tied && !bind_mat(&b, "lm_head", c->vocab, c->hidden, &w->head)) return false;
  snprintf(b.prefix, sizeof b.prefix, "model.");
  w->final_norm = bind_vec(&b, "final_norm.weight", c->hidden);
  return w->final_norm && bind_res(&b, "hidden_states", c->hidden, &w->hidden) &&
         bind_res(&b, "residual", c->hidden, &w->residual);
}

static uint64_t fingerprint(const Weights *w) {
  const Config *c = w->config;
  const int shape[] = {c->n_layers,   c->hidden, c->n_q,   c->n_kv,   c->head_dim,
                       c->rotary_dim, c->expert, c->vocab, c->router, c->n_experts};
  const size_t norm_bytes = (size_t)c->hidden * sizeof(float);
  uint64_t h = hash64(HASH64_SEED, shape, sizeof shape);
  h = hash64(h, &c->rope_theta, sizeof c->rope_theta);
  h = hash64(h, w->final_norm, norm_bytes);
  for (int i = 0; i < c->n_layers; i++) {
    h = hash64(h, w->layers[i].input_norm, norm_bytes);
    h = hash64(h, w->layers[i].hidden.scale, norm_bytes);
  }
  return hash64(h, w->embed.w, w->embed.w_stride); // the first row
}

bool weights_bind(Weights *w, const Bundle *bundle, zaya_error *err) {
  *w = (Weights){.config = bundle_config(bundle)};
  const int L = w->config->n_layers;
  w->layers = arena_alloc(&w->arena, (size_t)L, sizeof *w->layers, "the table of layers", err);
  bool ok = w->layers && bind_ends(bundle, w, err);
  for (int i = 0; ok && i < L; i++) ok = bind_layer(bundle, w, i, err);
  if (ok)
    w->fingerprint = fingerprint(w);
  else
    weights_free(w);
  return ok;
}

void weights_free(Weights *w) { arena_free(&w->arena); }
