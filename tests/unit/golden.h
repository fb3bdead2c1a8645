// golden: the reference sets under tests/golden, as the tests of the forward pass read them.
#pragma once

#include "format/st.h"

// A set ("A", "C"), one bundle of it ("mxfp4", "legacy", "native") and the goldens that belong to it.
typedef struct Golden {
  const char *set, *bundle;
  const char *prefix; // of the keys: "" or "bf16."
} Golden;

static const Golden goldens[] = {{"A", "mxfp4", ""}, {"A", "legacy", "bf16."}, {"A", "native", "bf16."},
                                 {"C", "mxfp4", ""}, {"C", "legacy", "bf16."}, {"C", "native", "bf16."}};
enum { N_GOLDENS = sizeof goldens / sizeof *goldens, N_GOLDEN_PROMPTS = 3, GOLDEN_DECODE_STEPS = 12 };

static inline zaya_model *golden_open(const Golden *g, zaya_model_params params) {
  char dir[512];
  zaya_error err = {0};
  snprintf(dir, sizeof dir, "%s/golden/%s/%s", ZAYA_TEST_DATA, g->set, g->bundle);
  zaya_model *m = zaya_model_open(dir, &params, &err);
  if (!m) fail_msg("%s: %s", dir, err.message);
  return m;
}

static inline zaya_model *golden_model(const Golden *g, int threads, bool exact) {
  return golden_open(g, (zaya_model_params){.n_threads = threads, .exact = exact});
}

static inline StFile *golden_data(const Golden *g) {
  char path[512];
  zaya_error err = {0};
  snprintf(path, sizeof path, "%s/golden/%s/golden.safetensors", ZAYA_TEST_DATA, g->set);
  StFile *f = st_open(path, &err);
  if (!f) fail_msg("%s", err.message);
  return f;
}

// The golden tensor "<prefix>p<prompt>.<what>"; `what` as printf has it.
__attribute__((format(printf, 4, 5))) static inline const StTensor *golden_tensor(const StFile *f,
                                                                                  const Golden *g, int prompt,
                                                                                  const char *what, ...) {
  char tail[96], name[160];
  va_list args;
  va_start(args, what);
  vsnprintf(tail, sizeof tail, what, args);
  va_end(args);
  snprintf(name, sizeof name, "%sp%d.%s", g->prefix, prompt, tail);
  const StTensor *t = st_find(f, name);
  if (!t) fail_msg("%s/%s: no golden tensor %s", g->set, g->bundle, name);
  return t;
}

static inline size_t golden_len(const StTensor *t) { return t->nbytes / dtype_size(t->dtype); }

static inline const float *golden_f32(const StTensor *t) {
  assert_int_equal(t->dtype, DT_F32);
  return (const float *)(const void *)t->data;
}

static inline const int32_t *golden_i32(const StTensor *t) {
  assert_int_equal(t->dtype, DT_I32);
  return (const int32_t *)(const void *)t->data;
}
