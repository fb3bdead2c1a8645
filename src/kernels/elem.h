// elem: the kernels that take every element by itself. Each rung compiles these loops under its own flags and
// the compiler makes its vectors of them: an element's operations and their order are all that there is to
// keep. Depends on kern, kmath.
#pragma once

#include "kernels/kern.h"
#include "kernels/kmath.h"

static void elem_gelu(float *restrict x, const float *restrict bias, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const float v = x[i] + bias[i];
    x[i] = 0.5f * v * (1.0f + kmath_erf(v * 0.70710678118654752f));
  }
}

static void elem_merge(float *restrict r, const float *restrict r_bias, const float *restrict r_scale,
                       const float *restrict h, const float *restrict h_bias, const float *restrict h_scale,
                       size_t n) {
  if (r_scale)
    for (size_t i = 0; i < n; i++) r[i] = (r[i] + r_bias[i]) * r_scale[i] + (h[i] + h_bias[i]) * h_scale[i];
  else
    for (size_t i = 0; i < n; i++) r[i] = (h[i] + h_bias[i]) * h_scale[i];
}

static void elem_norm(const float *x, float scale, const float *restrict weight, size_t n, float *out) {
  if (x == out) // apart from the rest, which the compiler may only take as vectors where the two are apart
    for (size_t i = 0; i < n; i++) out[i] = out[i] * scale * weight[i];
  else
    for (size_t i = 0; i < n; i++) out[i] = x[i] * scale * weight[i];
}

static void elem_scale(float *x, float a, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] *= a;
}

static void elem_rotate(float *x, const float *restrict cosine, const float *restrict sine, size_t half) {
  float *restrict low = x, *restrict high = x + half;
  for (size_t i = 0; i < half; i++) {
    const float a = low[i], b = high[i];
    low[i] = a * cosine[i] - b * sine[i];
    high[i] = b * cosine[i] + a * sine[i];
  }
}

static void elem_taps(const float *restrict conv0, const float *restrict bias, const float *restrict f2,
                      const float *restrict f1, const float *restrict f0, size_t C, float *restrict out) {
  for (size_t c = 0; c < C; c++) {
    const float older = conv0[2 * c], newer = conv0[2 * c + 1];
    out[2 * c] = older * f2[c] + newer * f1[c] + bias[c];
    out[2 * c + 1] = older * f1[c] + newer * f0[c] + bias[c];
  }
}

static void elem_add(float *restrict x, const float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] += y[i];
}

static void elem_blend(float *restrict y, float a, const float *restrict x, float b, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = y[i] * a + x[i] * b;
}

static void elem_weigh(float a, const float *restrict x, float *restrict y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = a * x[i];
}

#define ELEM_KERNELS                                                                                         \
  .gelu = elem_gelu, .merge = elem_merge, .norm = elem_norm, .scale = elem_scale, .rotate = elem_rotate,     \
  .taps = elem_taps, .add = elem_add, .blend = elem_blend, .weigh = elem_weigh
