// kmath: the functions of the production path against the C library's in double, within the errors that
// kmath.h states.
#include "test.h"

#include "kernels/kmath.h"

#include <float.h>

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// |got - want| in units in the last place of a float that is `want`.
static double ulps(float got, double want) {
  int e;
  frexp(want, &e);
  return fabs(got - want) / ldexp(1, (e < FLT_MIN_EXP ? FLT_MIN_EXP : e) - FLT_MANT_DIG);
}

// Samples of every exponent, of both signs.
static void erf_is_within_its_error(void **state) {
  (void)state;
  double worst = 0, absolute = 0;
  for (uint32_t bits = 0; bits <= 0x7F800000; bits += 3989)
    for (int negative = 0; negative < 2; negative++) {
      const float x = negative ? -from_bits(bits) : from_bits(bits), y = kmath_erf(x);
      worst = fmax(worst, ulps(y, erf(x)));
      absolute = fmax(absolute, fabs(y - erf(x)));
    }
  if (worst > 1.09 || absolute > 6.5e-8) fail_msg("%g units in the last place, %g", worst, absolute);
}

// Around where the formula changes, every float.
static void erf_is_whole(void **state) {
  (void)state;
  const float around[] = {KERF_SPLIT, KERF_END};
  for (size_t k = 0; k < 2; k++) {
    float x = around[k];
    for (int i = 0; i < 20000; i++) x = nextafterf(x, 0);
    for (int i = 0; i < 40000; i++, x = nextafterf(x, 9)) assert_true(ulps(kmath_erf(x), erf(x)) <= 1.09);
  }
}

static void erf_at_the_ends(void **state) {
  (void)state;
  assert_true(kmath_erf(INFINITY) == 1 && kmath_erf(-INFINITY) == -1);
  assert_true(kmath_erf(KERF_END) == 1 && kmath_erf(-FLT_MAX) == -1);
  assert_true(isnan(kmath_erf(NAN)));
  assert_true(kmath_erf(0.0f) == 0 && !signbit(kmath_erf(0.0f)) && signbit(kmath_erf(-0.0f)));
}

static void exp_is_within_its_error(void **state) {
  (void)state;
  for (float x = KEXP_MIN; x < KEXP_MAX; x += 1e-3f) assert_true(ulps(kmath_exp(x), exp(x)) <= 2);
  assert_true(kmath_exp(-INFINITY) == kmath_exp(KEXP_MIN) && kmath_exp(INFINITY) == kmath_exp(KEXP_MAX));
  assert_true(kmath_exp(NAN) == kmath_exp(KEXP_MIN));
  assert_true(kmath_exp(0.0f) == 1.0f && kmath_exp(-0.0f) == 1.0f); // attend.c counts on it
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(erf_is_within_its_error),
      cmocka_unit_test(erf_is_whole),
      cmocka_unit_test(erf_at_the_ends),
      cmocka_unit_test(exp_is_within_its_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
