// avxvnni: the rung of AVX2 with AVX-VNNI: what avx2 has, and products of codes by vpdpbusd.
#if defined(__x86_64__)
#include "kernels/avx2_tile.h"

// 8 chains: as many as the latency needs; the barrier keeps each product.
static float avxvnni_peak_int8(size_t rounds) {
  __m256i acc[8], x = _mm256_set1_epi8(3);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) acc[i] = _mm256_set1_epi32(i); // no two chains alike
  for (size_t r = 0; r < rounds * (KERN_PEAK_OPS / 64 / 8); r++) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) acc[i] = _mm256_dpbusd_avx_epi32(acc[i], x, x);
    __asm__ volatile("" : "+x"(x));
  }
#pragma GCC unroll 8
  for (int i = 1; i < 8; i++) acc[0] = _mm256_add_epi32(acc[0], acc[i]);
  return (float)sum_i32(acc[0]);
}

const Kern kern_avxvnni = {
    .name = "avxvnni",
    AVX2_KERNELS,
    .peak_int8 = avxvnni_peak_int8,
};
#else
typedef int kern_avxvnni_is_for_x86_64;
#endif
