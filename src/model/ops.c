// ops: see ops.h.
#include "model/ops.h"

#include <math.h>

void ops_rmsnorm(const Kern *k, const float *x, const float *weight, size_t n, float eps, float *out) {
  float scale = 1.0f / sqrtf(k->dot(x, x, n) / (float)n + eps);
  k->norm(x, scale, weight, n, out);
}

void ops_l2norm(const Kern *k, float *x, size_t n, float length) {
  k->scale(x, length / fmaxf(sqrtf(k->dot(x, x, n)), 1e-6f), n);
}

float ops_gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

float ops_silu(float x) { return x / (1.0f + expf(-x)); }

void ops_softmax(float *x, size_t n) {
  float max = x[0];
  for (size_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
  float lane[KERN_LANES] = {0}; // lanes keep the error of a long sum small
  for (size_t i = 0; i < n; i++) {
    x[i] = expf(x[i] - max);
    lane[i % KERN_LANES] += x[i];
  }
  float sum = 0;
  for (int l = 0; l < KERN_LANES; l++) sum += lane[l];
  float scale = 1.0f / sum;
  for (size_t i = 0; i < n; i++) x[i] *= scale;
}
