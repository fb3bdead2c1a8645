// numerics: production mode against the exact path, within the bounds of docs/numerics.md; and that
// companions in a batch and the processor's rung change no bit.
#include "test.h"

#include "api/handles.h"
#include "base/cpu.h"
#include "golden.h"
#include "kernels/amx_trap.h"

#include <math.h>

enum { TOKENS = 96, SEQUENCES = 3 };

static void some_ids(int32_t *ids, size_t n, uint32_t seed, size_t V) {
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    ids[i] = (int32_t)((seed >> 8) % (uint32_t)V);
  }
}

static float *logits_of(zaya_model *m, const int32_t *ids, size_t n) {
  zaya_error err = {0};
  const size_t V = (size_t)zaya_model_get_info(m).vocab_size;
  float *logits = malloc(n * V * sizeof *logits);
  zaya_session *s = zaya_session_new(m, n, &err);
  if (!s || !zaya_session_feed(s, ids, n, ZAYA_LOGITS_ALL, logits, &err)) fail_msg("%s", err.message);
  zaya_session_free(s);
  return logits;
}

static double log_sum_exp(const float *row, size_t V) {
  double max = row[0], sum = 0;
  for (size_t i = 1; i < V; i++) max = row[i] > max ? row[i] : max;
  for (size_t i = 0; i < V; i++) sum += exp(row[i] - max);
  return max + log(sum);
}

// KL(p || q) of the softmaxes of two rows.
static double kl(const float *p, const float *q, size_t V) {
  const double lp = log_sum_exp(p, V), lq = log_sum_exp(q, V);
  double sum = 0;
  for (size_t i = 0; i < V; i++) sum += exp(p[i] - lp) * ((p[i] - lp) - (q[i] - lq));
  return sum;
}

static size_t best_of(const float *row, size_t V) {
  size_t best = 0;
  for (size_t i = 1; i < V; i++)
    if (row[i] > row[best]) best = i;
  return best;
}

typedef struct Drift {
  double kl[1024], mean, median;
  size_t agree, rows; // rows whose largest logit is the same
} Drift;

static void add_drift(Drift *d, const float *exact, const float *production, size_t rows, size_t V) {
  for (size_t t = 0; t < rows; t++, d->rows++) {
    const double k = kl(exact + t * V, production + t * V, V);
    assert_true(isfinite(k) && d->rows < 1024);
    d->kl[d->rows] = k;
    d->agree += best_of(exact + t * V, V) == best_of(production + t * V, V);
  }
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void finish_drift(Drift *d) {
  for (size_t i = 0; i < d->rows; i++) d->mean += d->kl[i] / (double)d->rows;
  qsort(d->kl, d->rows, sizeof *d->kl, by_value);
  d->median = d->kl[d->rows / 2];
}

// Makes some channels of every block's input 100 times what they were, as real models have them.
static void add_outliers(zaya_model *m) {
  const Config *c = m->weights.config;
  for (int i = 0; i < c->n_layers; i++)
    for (int k = 5 + i; k < c->hidden; k += 61) m->weights.layers[i].input_norm[k] *= 100;
}

typedef struct Bounds {
  double mean, median, agree; // at most, at most, at least
} Bounds;

static void check_drift(const Golden *g, bool outliers, bool kv_q8, Bounds allowed) {
  zaya_model *exact = golden_open(g, (zaya_model_params){.n_threads = 2, .exact = !kv_q8});
  zaya_model *production = golden_open(g, (zaya_model_params){.n_threads = 2, .kv_q8 = kv_q8});
  const size_t V = (size_t)zaya_model_get_info(exact).vocab_size;
  if (outliers) {
    add_outliers(exact);
    add_outliers(production);
  }
  Drift d = {0};
  for (uint32_t seed = 1; seed <= 4; seed++) {
    int32_t ids[TOKENS];
    some_ids(ids, TOKENS, seed * 977, V);
    float *a = logits_of(exact, ids, TOKENS), *b = logits_of(production, ids, TOKENS);
    add_drift(&d, a, b, TOKENS, V);
    free(a);
    free(b);
  }
  finish_drift(&d);
  const double agree = (double)d.agree / (double)d.rows;
  print_message("%s/%s%s: KL mean %.2e, median %.2e, 90 %% %.2e, max %.2e; top-1 equal in %.1f %%\n", g->set,
                g->bundle,
                kv_q8      ? " int8 KV"
                : outliers ? " with outliers"
                           : "",
                d.mean, d.median, d.kl[d.rows * 9 / 10], d.kl[d.rows - 1], 100 * agree);
  assert_true(d.mean > 0); // the two paths are not one and the same
  assert_true(d.mean < allowed.mean && d.median < allowed.median && agree >= allowed.agree);
  zaya_model_close(exact);
  zaya_model_close(production);
}

static void production_stays_near_exact(void **state) {
  (void)state;
  const Bounds bounds = {0.2, 1e-2, 0.8};
  check_drift(&goldens[0], false, false, bounds);
  check_drift(&goldens[3], false, false, bounds);
  check_drift(&goldens[0], true, false, bounds);
  check_drift(&goldens[3], true, false, bounds);
}

// What an int8 KV cache adds: against production with a float16 one.
static void int8_kv_stays_near_float16(void **state) {
  (void)state;
  check_drift(&goldens[0], false, true, (Bounds){0.2, 1e-2, 0.8});
  check_drift(&goldens[3], false, true, (Bounds){0.2, 1e-2, 0.8});
  check_drift(&goldens[1], false, true, (Bounds){0.1, 1e-3, 0.9});
  zaya_error err = {0};
  char dir[512];
  snprintf(dir, sizeof dir, "%s/golden/A/mxfp4", ZAYA_TEST_DATA);
  assert_null(zaya_model_open(dir, &(zaya_model_params){.exact = true, .kv_q8 = true}, &err));
  assert_non_null(strstr(err.message, "float32"));
}

// A session with an int8 cache is smaller, continues from its saved form with the same bits, and is no
// session of a model with a float16 cache.
static void int8_kv_is_kept_apart(void **state) {
  (void)state;
  zaya_model *q8 = golden_open(&goldens[0], (zaya_model_params){.n_threads = 2, .kv_q8 = true});
  zaya_model *f16 = golden_model(&goldens[0], 2, false);
  const size_t V = (size_t)zaya_model_get_info(q8).vocab_size;
  zaya_error err = {0};
  int32_t ids[TOKENS];
  zaya_text saved = {0};
  some_ids(ids, TOKENS, 3, V);
  float *want = logits_of(q8, ids, TOKENS), *got = malloc(TOKENS * V * sizeof *got);
  zaya_session *a = zaya_session_new(q8, TOKENS, &err), *b = zaya_session_new(q8, TOKENS, &err);
  zaya_session *other = zaya_session_new(f16, TOKENS, &err);
  assert_true(zaya_session_bytes(q8, 4096) < zaya_session_bytes(f16, 4096));
  assert_true(zaya_session_feed(a, ids, 40, ZAYA_LOGITS_NONE, NULL, &err));
  assert_true(zaya_session_save(a, &saved, &err));
  assert_true(zaya_session_load(b, saved.data, saved.len, &err));
  assert_true(zaya_session_feed(b, ids + 40, TOKENS - 40, ZAYA_LOGITS_ALL, got, &err));
  assert_memory_equal(got, want + 40 * V, (TOKENS - 40) * V * sizeof *got);
  assert_false(zaya_session_load(other, saved.data, saved.len, &err));
  assert_non_null(strstr(err.message, "int8"));
  zaya_text_free(&saved);
  zaya_session_free(a);
  zaya_session_free(b);
  zaya_session_free(other);
  free(want);
  free(got);
  zaya_model_close(q8);
  zaya_model_close(f16);
}

// A session filled with noise holds what it says and goes on; a session in use is not filled.
static void filled_sessions_go_on(void **state) {
  (void)state;
  for (int mode = 0; mode < 3; mode++) {
    zaya_model *m =
        golden_open(&goldens[0], (zaya_model_params){.n_threads = 1, .exact = mode == 0, .kv_q8 = mode == 2});
    const size_t V = (size_t)zaya_model_get_info(m).vocab_size;
    float *logits = malloc(V * sizeof *logits);
    const int32_t id = 5;
    zaya_error err = {0};
    zaya_session *s = zaya_session_new(m, 601, &err);
    assert_false(zaya_session_fill(s, 602, NULL));
    assert_true(zaya_session_fill(s, 600, &err));
    assert_int_equal(zaya_session_length(s), 600);
    assert_true(zaya_session_feed(s, &id, 1, ZAYA_LOGITS_LAST, logits, &err));
    for (size_t i = 0; i < V; i++) assert_true(isfinite(logits[i]));
    assert_false(zaya_session_fill(s, 1, NULL));
    free(logits);
    zaya_session_free(s);
    zaya_model_close(m);
  }
}

// Bundles without codes run on float32 weights in both modes: only KV and the fused sums differ.
static void plain_weights_stay_nearer(void **state) {
  (void)state;
  check_drift(&goldens[1], false, false, (Bounds){1e-2, 1e-5, 0.98});
  check_drift(&goldens[5], false, false, (Bounds){1e-2, 1e-5, 0.98});
}

// |y - exact y| <= sum over groups of (half a step of x) * sum |w|: the rounding of x and nothing else,
// whatever x is.
static void linear_error_is_the_rounding_of_x(void **state) {
  (void)state;
  zaya_model *m = golden_model(&goldens[3], 2, false);
  const Mat *mats[] = {&m->weights.layers[0].attn.linear_q, &m->weights.layers[1].moe.gate[1],
                       &m->weights.layers[1].moe.out[0], &m->weights.head};
  for (size_t k = 0; k < sizeof mats / sizeof *mats; k++) {
    const Mat *w = mats[k];
    float *x = malloc(w->cols * sizeof *x), *row = malloc(w->cols * sizeof *row),
          *y = malloc(w->rows * sizeof *y);
    uint32_t seed = 99;
    for (size_t i = 0; i < w->cols; i++) {
      seed = seed * 1664525u + 1013904223u;
      x[i] = ((float)(seed >> 8) / 8388608.0f - 1.0f) * (i % 37 == 3 ? 700.0f : i % 32 == 9 ? 100.0f : 1.0f);
    }
    linear_apply(&m->forward.linear, w, x, w->cols, 1, y, w->rows);
    for (size_t r = 0; r < w->rows; r++) {
      mat_row(w, r, row);
      double exact = 0, bound = 0, size = 0;
      for (size_t g = 0; g < w->cols; g += 32) {
        double max = 0, sum = 0;
        for (size_t i = g; i < g + 32; i++) {
          exact += (double)row[i] * x[i];
          size += fabs((double)row[i] * x[i]);
          max = fmax(max, fabs(x[i]));
          sum += fabs(row[i]);
        }
        bound += max / 254 * sum;
      }
      // 1e-5 of the terms' sizes: what float32 itself may round.
      if (!(fabs(y[r] - exact) <= bound + 1e-5 * size))
        fail_msg("matrix %zu, row %zu: off by %g, allowed %g", k, r, fabs(y[r] - exact), bound);
    }
    free(x);
    free(row);
    free(y);
  }
  zaya_model_close(m);
}

// Steps of several sequences at once, of changing sizes, give each the bits it gets alone.
static void check_companions(bool exact, bool q8) {
  zaya_model *m = golden_open(&goldens[3], (zaya_model_params){.n_threads = 2, .exact = exact, .kv_q8 = q8});
  const size_t V = (size_t)m->weights.config->vocab;
  const StateShape shape = state_shape(m->weights.config, m->forward.kv);
  int32_t ids[SEQUENCES][TOKENS];
  float *alone[SEQUENCES], *together[SEQUENCES];
  State *states[SEQUENCES];
  for (size_t k = 0; k < SEQUENCES; k++) {
    some_ids(ids[k], TOKENS, 7 + (uint32_t)k, V);
    alone[k] = logits_of(m, ids[k], TOKENS);
    together[k] = calloc(TOKENS * V, sizeof(float));
    states[k] = state_new(&shape, m->weights.fingerprint, TOKENS, NULL);
  }
  static const size_t sizes[][SEQUENCES] = {{40, 1, 7}, {1, 1, 1}, {1, 60, 20}, {30, 1, 1}, {1, 20, 60}};
  for (size_t step = 0; step < sizeof sizes / sizeof *sizes; step++) {
    Span spans[SEQUENCES];
    for (size_t k = 0; k < SEQUENCES; k++) {
      const size_t n = sizes[step][k], at = states[k]->len;
      spans[k] = (Span){
          .state = states[k], .ids = ids[k] + at, .n = n, .logits = together[k] + at * V, .n_logits = n};
    }
    assert_true(forward_step(&m->forward, spans, SEQUENCES, (Trace){0}, NULL));
  }
  for (size_t k = 0; k < SEQUENCES; k++) {
    assert_memory_equal(alone[k], together[k], states[k]->len * V * sizeof(float));
    free(alone[k]);
    free(together[k]);
    state_free(states[k]);
  }
  zaya_model_close(m);
}

// The public way to do the same, over more tokens than a step takes; and what it refuses.
static void feeds_together_equal_feeds_alone(void **state) {
  (void)state;
  enum { LONG = 700, SHORT = 90 };
  zaya_model *m = golden_model(&goldens[0], 2, false);
  const size_t V = (size_t)zaya_model_get_info(m).vocab_size;
  static int32_t a_ids[LONG], b_ids[SHORT];
  some_ids(a_ids, LONG, 3, V);
  some_ids(b_ids, SHORT, 4, V);
  float *a = logits_of(m, a_ids, LONG), *b = logits_of(m, b_ids, SHORT);
  float *a_last = malloc(V * sizeof *a_last), *b_all = malloc(SHORT * V * sizeof *b_all);
  zaya_error err = {0};
  zaya_session *sa = zaya_session_new(m, LONG, &err), *sb = zaya_session_new(m, SHORT, &err);
  zaya_feed feeds[] = {{sa, a_ids, LONG, ZAYA_LOGITS_LAST, a_last},
                       {sb, b_ids, SHORT, ZAYA_LOGITS_ALL, b_all}};
  assert_true(zaya_feed_many(feeds, 2, &err));
  assert_memory_equal(a_last, a + (LONG - 1) * V, V * sizeof *a);
  assert_memory_equal(b_all, b, SHORT * V * sizeof *b);
  assert_int_equal(zaya_session_length(sa), LONG);
  feeds[1].session = sa;
  assert_false(zaya_feed_many(feeds, 2, &err));
  assert_non_null(strstr(err.message, "twice"));
  zaya_error_clear(&err);
  feeds[1].session = sb;
  assert_false(zaya_feed_many(feeds, 2, &err)); // both are full
  assert_int_equal(zaya_session_length(sb), SHORT);
  free(a), free(b), free(a_last), free(b_all);
  zaya_session_free(sa);
  zaya_session_free(sb);
  zaya_model_close(m);
}

// Parts are named, add up to some time, and count the bytes of the head once a step.
static void the_profile_counts_what_ran(void **state) {
  (void)state;
  zaya_model *m = golden_model(&goldens[0], 1, false);
  int32_t ids[4] = {5, 6, 7, 8};
  free(logits_of(m, ids, 4));
  assert_int_equal(zaya_model_get_profile(m).bytes[ZAYA_PART_HEAD], 0); // off
  zaya_model_profile(m, true);
  free(logits_of(m, ids, 4));
  const zaya_profile p = zaya_model_get_profile(m);
  assert_int_equal(p.steps, 1);
  assert_int_equal(p.tokens, 4);
  assert_int_equal(p.bytes[ZAYA_PART_HEAD], mat_bytes(&m->weights.head));
  for (int i = 0; i < ZAYA_PARTS; i++)
    assert_true(p.seconds[i] > 0 && zaya_part_name((zaya_part)i)[0] != '?');
  zaya_model_close(m);
}

static void companions_change_no_bit(void **state) {
  (void)state;
  check_companions(true, false);
  check_companions(false, false);
  check_companions(false, true);
}

// The kernels of the i-th rung here; behind the last the AMX rung, emulated, where the processor lacks only
// its tiles; then NULL.
static const Kern *rung_of(size_t i) {
  if (kern_available(i)) return kern_available(i);
#if defined(__linux__) && defined(__x86_64__)
  const unsigned has = cpu_features();
  if (!(has & CPU_AMX_INT8) && has & CPU_AVX512_VNNI && kern_available(i - 1) && amx_trap_install())
    return &kern_amx;
#endif
  return NULL;
}

static unsigned long emulated_so_far(void) {
#if defined(__linux__) && defined(__x86_64__)
  return amx_trap_count();
#else
  return 0;
#endif
}

static zaya_model *open_with(const Kern *k, const char *dir, int mode) {
  zaya_error err = {0};
  const bool emulated = !kern_pick(k->name);
  setenv("ZAYA_CPU", emulated ? "avx512" : k->name, 1);
  zaya_model *m = zaya_model_open(
      dir, &(zaya_model_params){.n_threads = 2, .exact = mode == 0, .kv_q8 = mode == 2}, &err);
  if (!m) fail_msg("%s: %s", dir, err.message);
  if (emulated)
    m->forward.linear.kern = k;
  else
    assert_string_equal(zaya_model_get_info(m).kernels, k->name);
  return m;
}

// The logits of every rung for one bundle: exact, production, production with an int8 KV cache.
static void compare_rungs(const char *bundle) {
  char dir[512];
  snprintf(dir, sizeof dir, "%s/%s", ZAYA_TEST_DATA, bundle);
  for (int mode = 0; mode < 3; mode++) {
    float *want = NULL;
    for (size_t i = 0; rung_of(i); i++) {
      zaya_model *m = open_with(rung_of(i), dir, mode);
      int32_t ids[TOKENS];
      const size_t n = TOKENS * (size_t)m->weights.config->vocab * sizeof(float);
      some_ids(ids, TOKENS, 5, (size_t)m->weights.config->vocab);
      const unsigned long before = emulated_so_far();
      float *got = logits_of(m, ids, TOKENS);
      if (!kern_pick(rung_of(i)->name) && mode > 0) assert_true(emulated_so_far() > before);
      if (want) assert_memory_equal(got, want, n);
      if (want)
        free(got);
      else
        want = got;
      zaya_model_close(m);
    }
    free(want);
  }
}

static void every_rung_gives_the_same_bits(void **state) {
  (void)state;
  compare_rungs("golden/A/mxfp4");
  compare_rungs("../models/nano"); // heads of 24: half a vector at the end
  zaya_error err = {0};
  char dir[512];
  snprintf(dir, sizeof dir, "%s/golden/A/mxfp4", ZAYA_TEST_DATA);
  setenv("ZAYA_CPU", "abacus", 1);
  assert_null(zaya_model_open(dir, NULL, &err));
  assert_non_null(strstr(err.message, "ZAYA_CPU=abacus"));
  unsetenv("ZAYA_CPU");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(production_stays_near_exact),
      cmocka_unit_test(plain_weights_stay_nearer),
      cmocka_unit_test(linear_error_is_the_rounding_of_x),
      cmocka_unit_test(companions_change_no_bit),
      cmocka_unit_test(every_rung_gives_the_same_bits),
      cmocka_unit_test(feeds_together_equal_feeds_alone),
      cmocka_unit_test(int8_kv_stays_near_float16),
      cmocka_unit_test(int8_kv_is_kept_apart),
      cmocka_unit_test(filled_sessions_go_on),
      cmocka_unit_test(the_profile_counts_what_ran),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
