// avx2: the rung of AVX2 with FMA and F16C. Same names and same bits as scalar.c; compiled with its own
// flags.
#if defined(__x86_64__)
#include "kernels/avx2_tile.h"

// Products of bytes and their sums in 16 bits, as the kernels for 4-bit codes multiply.
static float avx2_peak_int8(size_t rounds) {
  __m256i acc[8], x = _mm256_set1_epi8(3);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_epi16((short)i);
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 64 / 8); r++)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      acc[i] = _mm256_add_epi16(acc[i], _mm256_maddubs_epi16(x, x));
      __asm__ volatile("" : "+x"(x));
    }
#pragma GCC unroll 8
  for (int i = 1; i < 8; i++) acc[0] = _mm256_add_epi16(acc[0], acc[i]);
  return (float)sum_i32(acc[0]);
}

const Kern kern_avx2 = {
    .name = "avx2",
    AVX2_KERNELS,
    .peak_int8 = avx2_peak_int8,
};
#else
typedef int kern_avx2_is_for_x86_64;
#endif
