// nano: the trained model of the repository. The exact path against PyTorch (logits and every route of 20
// prompts); production mode against the exact path on text the model knows.
#include "test.h"

#include "format/st.h"

#include <math.h>

enum { N_PROMPTS = 20 };
#define NANO ZAYA_TEST_DATA "/../models/nano"

static zaya_model *open_nano(bool exact) {
  zaya_error err = {0};
  const zaya_model_params params = {.n_threads = 2, .exact = exact};
  zaya_model *m = zaya_model_open(NANO, &params, &err);
  if (!m) fail_msg("%s", err.message);
  return m;
}

static const StTensor *tensor(const StFile *f, int prompt, const char *what) {
  char name[64];
  snprintf(name, sizeof name, "p%d.%s", prompt, what);
  const StTensor *t = st_find(f, name);
  if (!t) fail_msg("no tensor %s", name);
  return t;
}

// Routes as they are traced: [layers / 2][T], in pieces of T.
typedef struct Routes {
  int32_t *at; // [layers / 2, n]
  size_t n, filled[64];
} Routes;

static void on_trace(void *user, const char *name, const float *data, int ndim, const size_t *shape) {
  Routes *r = user;
  int layer;
  char what[16];
  if (ndim != 1 || sscanf(name, "layers.%d.%15s", &layer, what) != 2 || strcmp(what, "route") != 0) return;
  const size_t moe = (size_t)layer / 2;
  for (size_t i = 0; i < shape[0]; i++) r->at[moe * r->n + r->filled[moe]++] = (int32_t)data[i];
}

// All logits [T, V] of a prompt; routes may be NULL.
static float *read_prompt(zaya_model *m, const StTensor *ids, Routes *routes) {
  const size_t n = ids->shape[0], V = (size_t)zaya_model_get_info(m).vocab_size;
  zaya_error err = {0};
  zaya_session *s = zaya_session_new(m, n, &err);
  float *logits = malloc(n * V * sizeof *logits);
  if (routes) zaya_session_trace(s, on_trace, routes);
  if (!zaya_session_feed(s, (const int32_t *)(const void *)ids->data, n, ZAYA_LOGITS_ALL, logits, &err))
    fail_msg("%s", err.message);
  zaya_session_free(s);
  return logits;
}

static void equals_pytorch(void **state) {
  (void)state;
  zaya_error err = {0};
  zaya_model *m = open_nano(true);
  const size_t V = (size_t)zaya_model_get_info(m).vocab_size, L = (size_t)zaya_model_get_info(m).n_layers / 2;
  StFile *f = st_open(ZAYA_TEST_DATA "/golden/nano/reference.safetensors", &err);
  if (!f) fail_msg("%s", err.message);
  double worst = 0;
  for (int p = 0; p < N_PROMPTS; p++) {
    const StTensor *ids = tensor(f, p, "tokens"), *at = tensor(f, p, "positions"),
                   *want = tensor(f, p, "logits");
    const StTensor *routes = tensor(f, p, "routes");
    Routes got = {.n = ids->shape[0]};
    got.at = calloc(L * got.n, sizeof *got.at);
    float *logits = read_prompt(m, ids, &got);
    for (size_t i = 0; i < at->shape[0]; i++) {
      const size_t pos = (size_t)((const int32_t *)(const void *)at->data)[i];
      for (size_t v = 0; v < V; v++) {
        const double d =
            fabs((double)logits[pos * V + v] - ((const float *)(const void *)want->data)[i * V + v]);
        if (!(d <= worst)) worst = d;
      }
    }
    assert_int_equal(routes->nbytes, L * got.n * sizeof *got.at);
    assert_memory_equal(got.at, routes->data, routes->nbytes);
    free(got.at);
    free(logits);
  }
  if (!(worst <= 2e-3)) fail_msg("logits are off by %g", worst);
  printf("worst logit difference %g\n", worst);
  st_close(f);
  zaya_model_close(m);
}

static size_t best_of(const float *row, size_t V) {
  size_t best = 0;
  for (size_t i = 1; i < V; i++)
    if (row[i] > row[best]) best = i;
  return best;
}

// Production mode may differ in bits, hardly in what it would say.
static void production_agrees(void **state) {
  (void)state;
  zaya_error err = {0};
  zaya_model *exact = open_nano(true), *fast = open_nano(false);
  const size_t V = (size_t)zaya_model_get_info(exact).vocab_size;
  StFile *f = st_open(ZAYA_TEST_DATA "/golden/nano/reference.safetensors", &err);
  size_t same = 0, all = 0;
  for (int p = 0; p < N_PROMPTS; p++) {
    const StTensor *ids = tensor(f, p, "tokens");
    float *a = read_prompt(exact, ids, NULL), *b = read_prompt(fast, ids, NULL);
    for (size_t t = 0; t < ids->shape[0]; t++, all++) same += best_of(a + t * V, V) == best_of(b + t * V, V);
    free(a);
    free(b);
  }
  printf("top-1 agreement %zu of %zu\n", same, all);
  assert_true((double)same >= 0.97 * (double)all);
  st_close(f);
  zaya_model_close(exact);
  zaya_model_close(fast);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(equals_pytorch), cmocka_unit_test(production_agrees)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
