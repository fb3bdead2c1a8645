// scalar: the truth for every kernel, in plain C. Written in lanes so that a compiler can use
// whatever vectors the baseline has without changing a bit.
#include "kernels/kern.h"

static float add_lanes(const float *lane) {
  float s[KERN_LANES];
  for (int i = 0; i < KERN_LANES; i++) s[i] = lane[i];
  for (int half = KERN_LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
}

static float scalar_dot(const float *restrict a, const float *restrict b, size_t n) {
  float lane[KERN_LANES] = {0};
  size_t i = 0;
  for (; i + KERN_LANES <= n; i += KERN_LANES)
    for (size_t l = 0; l < KERN_LANES; l++) lane[l] += a[i + l] * b[i + l];
  for (size_t l = 0; i + l < n; l++) lane[l] += a[i + l] * b[i + l];
  return add_lanes(lane);
}

static void scalar_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                            size_t y_stride) {
  for (size_t t = 0; t < n_x; t++) y[t * y_stride] = scalar_dot(w, x + t * x_stride, n);
}

static void scalar_axpy(float a, const float *restrict x, float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

const Kern kern_scalar = {
    .name = "scalar",
    .dot = scalar_dot,
    .dot_rows = scalar_dot_rows,
    .axpy = scalar_axpy,
};
