// kmath: the one exponential of the production path: written once as a sequence of IEEE operations,
// which every rung repeats with its own vectors, so that all give the same bits. Depends on nothing.
#pragma once

#include <math.h>
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

static inline float kmath_exp(float x) {
  x = x > KEXP_MIN ? x : KEXP_MIN; // a NaN becomes the smallest, as in the vectors
  x = x < KEXP_MAX ? x : KEXP_MAX;
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
