// kmath: the one exponential and the one error function of the production path: written once as sequences of
// IEEE operations, which every rung repeats with its own vectors, so that all give the same bits. Depends on
// nothing.
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// exp(x) = 2^k p(r), k = rint(x / ln 2), |r| <= ln 2 / 2; p of degree 7, within 2 units in the last place.
#define KEXP_MIN    (-87.0f) // below: as if it were this; 1.6e-38, the smallest normal result
#define KEXP_MAX    88.0f
#define KEXP_LOG2E  1.44269504f
#define KEXP_LN2_HI 0.693359375f // few bits: k * hi is exact
#define KEXP_LN2_LO (-2.12194440e-4f)
#define KEXP_C7     1.98756914e-4f
#define KEXP_C6     1.39819994e-3f
#define KEXP_C5     8.33345205e-3f
#define KEXP_C4     4.16657962e-2f
#define KEXP_C3     1.66666657e-1f
#define KEXP_C2     5.00000000e-1f

// Of an x in the range.
static inline float kmath_exp_within(float x) {
  const float k = rintf(x * KEXP_LOG2E);
  float r = fmaf(k, -KEXP_LN2_HI, x);
  r = fmaf(k, -KEXP_LN2_LO, r);
  float p = KEXP_C7;
  p = fmaf(p, r, KEXP_C6);
  p = fmaf(p, r, KEXP_C5);
  p = fmaf(p, r, KEXP_C4);
  p = fmaf(p, r, KEXP_C3);
  p = fmaf(p, r, KEXP_C2);
  p = fmaf(p, r * r, r) + 1.0f;
  const uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

static inline float kmath_exp(float x) {
  x = x > KEXP_MIN ? x : KEXP_MIN; // a NaN becomes the smallest, as in the vectors
  return kmath_exp_within(x < KEXP_MAX ? x : KEXP_MAX);
}

// which ? a : b by bits: so that compilers compute both and make vectors of it.
static inline float kmath_select(bool which, float a, float b) {
  const uint32_t mask = -(uint32_t)which;
  uint32_t x, y;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  x = (x & mask) | (y & ~mask);
  memcpy(&a, &x, sizeof a);
  return a;
}

// erf(x), both ranges computed and one chosen: up to 1 it is x + x p(x^2), p of degree 6; beyond, with the
// sign of x, 1 - exp(q(|x|)), q of degree 6, which stands for ln erfc up to 4, from where on erf is 1. The
// coefficients are minimax fits of erf(x) / x - 1 and of ln erfc, weighted by what an error there does to
// erf's relative one (at most 2^-29 from either), by the exchange of Remez in 40 digits; then rounded to
// float one by one, the others fitted again each time.
//
// Against double, all floats from 1/8 to 8 and samples of every other exponent, of both signs: within 1.09
// units in the last place and 6.5e-8 (glibc's erff: 0.97 and 5.8e-8). gelu(x) = x / 2 * (1 + erf(x / sqrt 2))
// by it: for x >= 0 within 1.70 units (by erff 1.73); below, where the sum cancels, within 8.3e-8 (8.3e-8)
// and 1.52 units of x (1.50).
#define KERF_SPLIT 1.0f
#define KERF_END   4.0f
#define KERF_P6    7.80690389e-5f
#define KERF_P5    (-7.9978531e-4f)
#define KERF_P4    5.1871622e-3f
#define KERF_P3    (-2.68533472e-2f)
#define KERF_P2    1.12835787e-1f
#define KERF_P1    (-3.7612626e-1f)
#define KERF_P0    1.28379166e-1f
#define KERF_Q6    1.86378093e-4f
#define KERF_Q5    (-2.94764875e-3f)
#define KERF_Q4    2.18380298e-2f
#define KERF_Q3    (-1.03106692e-1f)
#define KERF_Q2    (-6.3814491e-1f)
#define KERF_Q1    (-1.12708914f)
#define KERF_Q0    (-3.41527484e-4f)

static inline float kmath_erf(float x) {
  const float a = fabsf(x), t = kmath_select(a < KERF_END, a, KERF_END), s = x * x;
  float p = KERF_P6;
  p = fmaf(p, s, KERF_P5);
  p = fmaf(p, s, KERF_P4);
  p = fmaf(p, s, KERF_P3);
  p = fmaf(p, s, KERF_P2);
  p = fmaf(p, s, KERF_P1);
  p = fmaf(p, s, KERF_P0);
  float q = KERF_Q6;
  q = fmaf(q, t, KERF_Q5);
  q = fmaf(q, t, KERF_Q4);
  q = fmaf(q, t, KERF_Q3);
  q = fmaf(q, t, KERF_Q2);
  q = fmaf(q, t, KERF_Q1);
  q = fmaf(q, t, KERF_Q0);
  const float near = fmaf(p, x, x), far = copysignf(1.0f - kmath_exp_within(q), x);
  return kmath_select(a > KERF_SPLIT, far, near); // a NaN is near
}
