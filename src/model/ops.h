// ops: the small float32 functions of the forward pass, each on one token's vector. Depends on kern.
#pragma once

#include "kernels/kern.h"

// out = x / sqrt(mean(x^2) + eps) * weight, all [n]; out may be x.
void ops_rmsnorm(const Kern *k, const float *x, const float *weight, size_t n, float eps, float *out);
// Scales x to length `length`: x * length / max(|x|, 1e-6)
void ops_l2norm(const Kern *k, float *x, size_t n, float length);
float ops_gelu(float x); // the exact one, by erf
float ops_silu(float x);
// In place; subtracts the maximum first.
void ops_softmax(float *x, size_t n);
