// model: zaya_model_*: a folder opened, bound and ready to compute.
#include "api/handles.h"
#include "api/info.h"

#include <stdlib.h>

static void fill_info(zaya_model *m) {
  m->info = info_of(m->bundle);
  m->info.format = mat_describe(&m->weights.layers[1].moe.gate[0], m->format, sizeof m->format);
  m->info.n_threads = pool_threads(m->pool);
  m->info.kernels = m->forward.linear.kern->name;
}

// The fastest kernels, or the rung that the environment variable ZAYA_CPU names.
static const Kern *pick_kernels(zaya_error *err) {
  const char *name = getenv("ZAYA_CPU");
  const Kern *k = kern_pick(name && *name ? name : NULL);
  if (!k) err_set(err, ZAYA_E_UNSUPPORTED, "ZAYA_CPU=%s: this machine has no such kernels", name);
  return k;
}

zaya_model *zaya_model_open(const char *dir, const zaya_model_params *params, zaya_error *err) {
  zaya_model *m = calloc(1, sizeof *m);
  if (!m) {
    err_memory(err, sizeof *m, "a model");
    return NULL;
  }
  pthread_mutex_init(&m->lock, NULL);
  const Kern *kern = pick_kernels(err);
  m->bundle = kern ? bundle_open(dir, err) : NULL;
  m->pool = m->bundle ? pool_new(params ? params->n_threads : 0, err) : NULL;
  if (m->pool && weights_bind(&m->weights, m->bundle, err) &&
      forward_init(&m->forward, &m->weights, m->pool, kern, params && params->exact, err)) {
    fill_info(m);
    return m;
  }
  zaya_model_close(m);
  return NULL;
}

void zaya_model_close(zaya_model *m) {
  if (!m) return;
  forward_free(&m->forward);
  weights_free(&m->weights);
  pool_free(m->pool);
  bundle_close(m->bundle);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

zaya_model_info zaya_model_get_info(const zaya_model *m) { return m->info; }

const char *zaya_model_note(const zaya_model *m, size_t i) { return bundle_note(m->bundle, i); }
