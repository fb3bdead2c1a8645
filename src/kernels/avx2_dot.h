// avx2_dot: products of codes with int8. avxvnni multiplies and adds in one instruction where avx2 needs two
// or three. Depends on avx2.
#pragma once

#include "kernels/avx2.h"

// The integer dot of a group in the making, a dword a lane.
typedef struct Dot {
  __m256i a, b; // b: only of 8-bit codes on avx2
} Dot;

// Codes of 8 bits on avx2 are taken as two nibbles: whole, their products would overflow the 16-bit sums.
#ifdef __AVXVNNI__
#define SPLIT(BITS) ((void)(BITS), false)

INLINE __m256i multiply_add(__m256i sum, __m256i codes, __m256i x) {
  return _mm256_dpbusd_avx_epi32(sum, codes, x);
}

INLINE __m256i whole_dot(const int BITS, Dot d) {
  (void)BITS;
  return d.a;
}
#else
#define SPLIT(BITS) ((BITS) == 8)

// In 16 bits: at most 8 * 2 * 15 * 127 for a group. Left to itself GCC turns a chain of integer additions
// into a tree: it holds all the products until the end, in memory, for want of registers.
INLINE __m256i multiply_add(__m256i sum, __m256i codes, __m256i x) {
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
  __asm__("" : "+x"(sum));
  return sum;
}

INLINE __m256i whole_dot(const int BITS, Dot d) {
  const __m256i a = _mm256_madd_epi16(d.a, _mm256_set1_epi16(1));
  return SPLIT(BITS) ? _mm256_add_epi32(a, _mm256_madd_epi16(d.b, _mm256_set1_epi16(16))) : a;
}
#endif

INLINE Dot dot_zero(void) { return (Dot){_mm256_setzero_si256(), _mm256_setzero_si256()}; }

// Codes of BITS bits, a byte each.
INLINE Dot dot_add(const int BITS, Dot d, __m256i codes, __m256i x) {
  d.a = multiply_add(d.a, SPLIT(BITS) ? low_nibbles(codes) : codes, x);
  if (SPLIT(BITS)) d.b = multiply_add(d.b, high_nibbles(codes), x);
  return d;
}
