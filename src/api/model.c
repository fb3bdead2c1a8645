// model: zaya_model_*: a folder opened, bound and ready to compute.
#include "api/handles.h"
#include "api/info.h"

#include <stdlib.h>

static uint64_t attn_bytes(const AttnWeights *a) {
  return mat_bytes(&a->linear_q) + mat_bytes(&a->linear_k) + mat_bytes(&a->val_proj1) +
         mat_bytes(&a->val_proj2) + mat_bytes(&a->o_proj) + mat_bytes(&a->conv1);
}

static uint64_t moe_bytes(const MoeWeights *w) {
  return mat_bytes(&w->down) + mat_bytes(&w->mlp0) + mat_bytes(&w->mlp2) + mat_bytes(&w->mlp4) +
         mat_bytes(&w->gate[0]) + mat_bytes(&w->up[0]) + mat_bytes(&w->out[0]);
}

// What one token costs: bytes read when it is generated, operations when it is read.
static void count_work(const Weights *w, zaya_model_info *info) {
  const Config *c = w->config;
  const uint64_t H = (uint64_t)c->hidden, P = (uint64_t)c->router, D = (uint64_t)c->head_dim;
  const uint64_t Q = (uint64_t)c->n_q * D, K = (uint64_t)c->n_kv * D;
  info->token_bytes = mat_bytes(&w->head);
  for (int i = 0; i < c->n_layers; i++)
    info->token_bytes += i % 2 ? moe_bytes(&w->layers[i].moe) : attn_bytes(&w->layers[i].attn);
  const uint64_t attn = H * (Q + 2 * K) + Q * H + (Q + K) * 2 * D;
  const uint64_t moe = 3 * H * (uint64_t)c->expert + H * P + 2 * P * P + P * ((uint64_t)c->n_experts + 1);
  info->token_ops = 2 * (attn + moe) * (uint64_t)(c->n_layers / 2);
}

static void fill_info(zaya_model *m) {
  m->info = info_of(m->bundle);
  m->info.format = mat_describe(&m->weights.layers[1].moe.gate[0], m->format, sizeof m->format);
  m->info.n_threads = pool_threads(m->pool);
  m->info.kernels = m->forward.linear.kern->name;
  count_work(&m->weights, &m->info);
}

// The fastest kernels, or the rung that the environment variable ZAYA_CPU names.
static const Kern *pick_kernels(zaya_error *err) {
  const char *name = getenv("ZAYA_CPU");
  const Kern *k = kern_pick(name && *name ? name : NULL);
  if (!k) err_set(err, ZAYA_E_UNSUPPORTED, "ZAYA_CPU=%s: this machine has no such kernels", name);
  return k;
}

const char *zaya_kernels_available(size_t i) { return kern_available(i) ? kern_available(i)->name : NULL; }

const char *zaya_kernels_chosen(zaya_error *err) {
  const Kern *k = pick_kernels(err);
  return k ? k->name : NULL;
}

// The weights are all used sooner or later: reading them in one go is faster than page by page.
static Warm *warm_shards(const Bundle *b) {
  const size_t n = bundle_shards(b);
  Map *maps = malloc(n * sizeof *maps);
  if (!maps) return NULL;
  for (size_t i = 0; i < n; i++) maps[i] = st_map(bundle_shard(b, i));
  Warm *w = warm_start(maps, n);
  free(maps);
  return w;
}

zaya_model *zaya_model_open(const char *dir, const zaya_model_params *params, zaya_error *err) {
  zaya_model *m = calloc(1, sizeof *m);
  if (!m) {
    err_memory(err, sizeof *m, "a model");
    return NULL;
  }
  pthread_mutex_init(&m->lock, NULL);
  const bool both = params && params->exact && params->kv_q8;
  if (both) err_set(err, ZAYA_E_INVALID, "the exact path keeps its KV cache in float32: no 8 bits there");
  const Kern *kern = both ? NULL : pick_kernels(err);
  m->bundle = kern ? bundle_open(dir, err) : NULL;
  m->pool = m->bundle ? pool_new(params ? params->n_threads : 0, err) : NULL;
  if (m->pool && weights_bind(&m->weights, m->bundle, err) &&
      forward_init(&m->forward, &m->weights, m->pool, kern, params && params->exact, err)) {
    if (params && params->kv_q8) m->forward.kv = KV_Q8;
    fill_info(m);
    m->warm = warm_shards(m->bundle);
    return m;
  }
  zaya_model_close(m);
  return NULL;
}

void zaya_model_close(zaya_model *m) {
  if (!m) return;
  warm_stop(m->warm);
  forward_free(&m->forward);
  weights_free(&m->weights);
  pool_free(m->pool);
  bundle_close(m->bundle);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

zaya_model_info zaya_model_get_info(const zaya_model *m) { return m->info; }

const char *zaya_model_note(const zaya_model *m, size_t i) { return bundle_note(m->bundle, i); }
