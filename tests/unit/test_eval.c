// eval: likelihoods, divergences and windows against figures worked out by hand; perplexity and compare
// over a golden model against the same sums over its logits.
#include "test.h"

#include "engine/eval.h"
#include "golden.h"

#include <math.h>

static void close_double(double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("got %.12g, want %.12g", got, want);
}

static void likelihood_and_divergence(void **state) {
  (void)state;
  const float p[3] = {0, logf(2), logf(5)}, q[3] = {1, 1, 1}; // 1/8 2/8 5/8 against thirds
  close_double(eval_nll(p, 3, 2), log(8.0 / 5), 1e-7);
  close_double(eval_kl(p, q, 3), log(3) + (log(1.0 / 8) + 2 * log(2.0 / 8) + 5 * log(5.0 / 8)) / 8, 1e-7);
  close_double(eval_kl(p, p, 3), 0, 0);
  const float big[2] = {1e4f, -1e4f}; // no overflow
  close_double(eval_nll(big, 2, 0), 0, 1e-12);
  assert_int_equal(eval_argmax(q, 3), 0);
}

static void windows_are_llama_cpps(void **state) {
  (void)state;
  EvalPlan p;
  assert_true(eval_plan(1000, 100, 0, &p, NULL));
  assert_int_equal(p.n_windows, 10);
  assert_int_equal(p.first, 50);
  assert_int_equal(p.count, 49);
  assert_true(eval_plan(1000, 100, 40, &p, NULL)); // the window grows by half a stride
  assert_int_equal(p.window, 120);
  assert_int_equal(p.n_windows, (1000 - 120 + 39) / 40);
  assert_int_equal(p.first + p.count, 119);
  assert_int_equal(p.count, 40);
  zaya_error err = {0};
  assert_false(eval_plan(199, 100, 0, &p, &err));
  assert_non_null(strstr(err.message, "at least 200"));
  assert_false(eval_plan(1000, 3, 0, &p, NULL));
  assert_false(eval_plan(1000, 100, 100, &p, NULL));
}

static void errors_of_means(void **state) {
  (void)state;
  EvalSum s = {0};
  for (int i = 1; i <= 5; i++) eval_add(&s, i);
  close_double(eval_mean(&s), 3, 0);
  close_double(eval_error(&s), sqrt(2.0 / 4), 1e-12);
}

enum { N_TEXT = 80, CTX = 20 };

static void text_ids(int32_t *ids, size_t V) {
  for (int i = 0; i < N_TEXT; i++) ids[i] = (int32_t)((unsigned)(i * i * 31 + 7 * i + 3) % V);
}

// The windows' logits computed here, one feed each.
static double nll_by_hand(zaya_model *m, const int32_t *ids, size_t stride, int32_t bos) {
  EvalPlan p;
  double sum = 0;
  size_t n = 0, V = (size_t)zaya_model_get_info(m).vocab_size;
  assert_true(eval_plan(N_TEXT, CTX, stride, &p, NULL));
  float *logits = malloc(p.window * V * sizeof *logits);
  for (size_t w = 0; w < p.n_windows; w++) {
    int32_t window[2 * CTX];
    memcpy(window, ids + w * p.step, p.window * sizeof *window);
    if (bos >= 0) window[0] = bos;
    zaya_session *s = zaya_session_new(m, p.window, NULL);
    assert_true(zaya_session_feed(s, window, p.window, ZAYA_LOGITS_ALL, logits, NULL));
    for (size_t j = p.first; j < p.first + p.count; j++, n++)
      sum += eval_nll(logits + j * V, V, ids[w * p.step + j + 1]);
    zaya_session_free(s);
  }
  free(logits);
  return sum / (double)n;
}

static void perplexity_of_a_model(void **state) {
  (void)state;
  zaya_model *m = golden_model(&goldens[0], 2, true);
  int32_t ids[N_TEXT];
  text_ids(ids, (size_t)zaya_model_get_info(m).vocab_size);
  for (size_t stride = 0; stride <= 8; stride += 8) {
    zaya_perplexity_result r;
    zaya_error err = {0};
    const zaya_eval_params p = {.ctx = CTX, .stride = stride, .bos = 2};
    if (!zaya_perplexity(m, ids, N_TEXT, &p, &r, &err)) fail_msg("%s", err.message);
    close_double(r.nll, nll_by_hand(m, ids, stride, 2), 1e-9);
    close_double(r.perplexity, exp(r.nll), 1e-9);
  }
  zaya_model_close(m);
}

static bool cancel_second(void *user, size_t done, size_t total, double value) {
  (void)user, (void)total, (void)value;
  return done < 2;
}

static void comparing_models(void **state) {
  (void)state;
  zaya_model *a = golden_model(&goldens[1], 2, true), *b = golden_model(&goldens[0], 2, true),
             *c = golden_model(&goldens[3], 1, true);
  int32_t ids[N_TEXT];
  zaya_compare_result same, other;
  zaya_error err = {0};
  zaya_eval_params p = {.ctx = CTX, .bos = -1};
  text_ids(ids, (size_t)zaya_model_get_info(a).vocab_size);
  assert_true(zaya_compare(a, a, ids, N_TEXT, &p, &same, &err));
  close_double(same.kl_max, 0, 0);
  close_double(same.top1_agreement, 1, 0);
  assert_true(zaya_compare(a, b, ids, N_TEXT, &p, &other, &err));
  assert_true(other.kl_mean > 0 && other.kl_median <= other.kl_p90 && other.kl_p90 <= other.kl_p99);
  assert_true(other.kl_p99 <= other.kl_max && other.top1_agreement < 1);
  close_double(log(other.perplexity_a), nll_by_hand(a, ids, 0, -1), 1e-9);
  close_double(log(other.perplexity_b), nll_by_hand(b, ids, 0, -1), 1e-9);
  assert_false(zaya_compare(a, c, ids, N_TEXT, &p, &other, &err));
  assert_non_null(strstr(err.message, "vocabularies of 640 and 704"));
  zaya_error_clear(&err);
  p.progress = cancel_second;
  assert_false(zaya_compare(a, b, ids, N_TEXT, &p, &other, &err));
  assert_int_equal(err.status, ZAYA_E_CANCELLED);
  zaya_model_close(a);
  zaya_model_close(b);
  zaya_model_close(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(likelihood_and_divergence), cmocka_unit_test(windows_are_llama_cpps),
      cmocka_unit_test(errors_of_means),           cmocka_unit_test(perplexity_of_a_model),
      cmocka_unit_test(comparing_models),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
