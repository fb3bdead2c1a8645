// convert, quant_search: calibration lowers the output error on inputs it has not seen, keeps format and
// size, and gives the same bits again; searched groups are never worse than plainly rounded ones.
#include "data.h"

#include "format/bundle.h"
#include "format/quant_search.h"

#include <math.h>

static float noise(uint32_t *state) {
  float sum = 0;
  for (int i = 0; i < 6; i++) {
    *state = *state * 1664525u + 1013904223u;
    sum += (float)(*state >> 8) / (float)(1 << 24) - 0.5f;
  }
  return sum;
}

static double weighted_error(const QuantSpec *q, const float *x, const float *h, size_t cols,
                             const uint8_t *codes, const uint8_t *scales, const uint8_t *biases,
                             size_t group) {
  float y[256];
  Mat m = {MAT_AFFINE, q->bits, q->group, q->type, 1, cols, codes, 0, scales, biases, 0};
  double e = 0;
  mat_row(&m, 0, y);
  for (size_t i = group * (size_t)q->group; i < (group + 1) * (size_t)q->group; i++)
    e += (double)h[i] * ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
  return e;
}

static void searched_groups_are_never_worse(void **state) {
  (void)state;
  static const int widths[] = {2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
  enum { COLS = 256 };
  uint32_t seed = 1;
  for (size_t b = 0; b < 6; b++)
    for (size_t g = 0; g < 3; g++) {
      QuantSpec q = {MAT_AFFINE, widths[b], groups[g], DT_F16, QUANT_MLX_CPU};
      double plain = 0, searched = 0;
      for (int row = 0; row < 24; row++) {
        float x[COLS], h[COLS];
        uint8_t c0[COLS], s0[32], z0[32], c1[COLS], s1[32], z1[32];
        for (size_t i = 0; i < COLS; i++) {
          x[i] = dtype_f16_to_f32(dtype_f32_to_f16(0.05f * noise(&seed)));
          h[i] = row == 0 ? 0 : expf(2 * noise(&seed)); // also: nothing known
          if (row == 1) x[i] = 0;
          if (row == 2) x[i] = 3;
          if (row == 3) x[i] = i % 32 == 5 ? 60000 : 0.01f;
          if (row == 4) x[i] = -fabsf(x[i]);
        }
        quant_row(&q, x, COLS, c0, s0, z0);
        quant_search_row(&q, x, h, COLS, c1, s1, z1);
        for (size_t k = 0; k < COLS / (size_t)q.group; k++) {
          double e0 = weighted_error(&q, x, h, COLS, c0, s0, z0, k),
                 e1 = weighted_error(&q, x, h, COLS, c1, s1, z1, k);
          if (e1 > e0 * (1 + 1e-5))
            fail_msg("%d bits, group %d, row %d: %g > %g", q.bits, q.group, row, e1, e0);
          if (row > 4) {
            plain += e0;
            searched += e1;
          }
        }
      }
      if (!(searched < 0.9 * plain))
        fail_msg("%d bits, group %d: %g of %g", q.bits, q.group, searched, plain);
    }
}

// A text whose statistics are learnt and kept out alike.
static int32_t *make_ids(size_t n) {
  int32_t *ids = malloc(n * sizeof *ids);
  uint32_t seed = 5;
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    ids[i] = (int32_t)((seed >> 8) % 640);
  }
  return ids;
}

static bool stop_at_once(void *user, const char *phase, uint64_t done, uint64_t total) {
  (void)done;
  (void)total;
  return strcmp(phase, user) != 0;
}

static void expect_same_file(const char *a, const char *b, const char *name, bool same) {
  Buf x = {0}, y = {0};
  data_read(a, name, &x);
  data_read(b, name, &y);
  assert_int_equal(x.len, y.len);
  assert_int_equal(!memcmp(x.data, y.data, x.len), same);
  buf_free(&x);
  buf_free(&y);
}

static void calibration_helps_and_repeats(void **state) {
  (void)state;
  static const char shard[] = "model-00001-of-00001.safetensors";
  char dir[64], a[128], b[128], c[128];
  zaya_error err = {0};
  zaya_convert_result r;
  int32_t *ids = make_ids(1600);
  data_scratch(dir, sizeof dir);
  snprintf(a, sizeof a, "%s/a", dir);
  snprintf(b, sizeof b, "%s/b", dir);
  snprintf(c, sizeof c, "%s/c", dir);
  zaya_convert_params p = {.calibration_ids = ids, .n_calibration_ids = 1600, .n_threads = 2};
  if (!zaya_convert(data_golden("A/legacy"), a, &p, &r, &err)) fail_msg("%s", err.message);
  assert_true(r.attention.n > 1000 && r.experts.n > 1000);
  assert_true(r.attention.mse_calibrated < 0.97 * r.attention.mse_plain);
  assert_true(r.experts.mse_calibrated < 0.97 * r.experts.mse_plain);
  assert_true(r.experts.mse_plain < 0.05 * r.experts.power);
  // Stopped after calibrating and taken up with another number of threads: the same bits.
  p.n_threads = 1;
  p.progress = stop_at_once;
  p.user = (void *)(uintptr_t) "converting";
  assert_false(zaya_convert(data_golden("A/legacy"), b, &p, NULL, &err));
  data_expect_error(&err, ZAYA_E_CANCELLED, "was stopped");
  zaya_error_clear(&err);
  p.progress = NULL;
  p.resume = true;
  if (!zaya_convert(data_golden("A/legacy"), b, &p, &r, &err)) fail_msg("%s", err.message);
  expect_same_file(a, b, shard, true);
  // Without calibration: another bundle of the same size.
  if (!zaya_convert(data_golden("A/legacy"), c, NULL, &r, &err)) fail_msg("%s", err.message);
  assert_int_equal(r.experts.n, 0);
  expect_same_file(a, c, shard, false);
  data_remove(a);
  data_remove(b);
  data_remove(c);
  data_remove(dir);
  free(ids);
}

static void calibration_is_refused_where_it_means_nothing(void **state) {
  (void)state;
  int32_t ids[4] = {1, 2, 3, 4};
  zaya_error err = {0};
  zaya_convert_params p = {.mode = ZAYA_QUANT_NVFP4, .calibration_ids = ids, .n_calibration_ids = 4};
  assert_false(zaya_convert(data_golden("A/legacy"), "never", &p, NULL, &err));
  data_expect_error(&err, ZAYA_E_UNSUPPORTED, "affine mode");
  zaya_error_clear(&err);
  char dir[64], out[128];
  data_scratch(dir, sizeof dir);
  snprintf(out, sizeof out, "%s/out", dir);
  ids[2] = 640;
  p.mode = ZAYA_QUANT_AFFINE;
  assert_false(zaya_convert(data_golden("A/legacy"), out, &p, NULL, &err));
  data_expect_error(&err, ZAYA_E_INVALID, "token id 640");
  assert_int_equal(access(out, F_OK), -1);
  snprintf(out, sizeof out, "%s/out.partial", dir);
  data_remove(out);
  data_remove(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(searched_groups_are_never_worse),
      cmocka_unit_test(calibration_helps_and_repeats),
      cmocka_unit_test(calibration_is_refused_where_it_means_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
