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
    .few_tokens = 1,
    .few_tokens_q8 = 1,
    .dot = avx2_dot,
    .dot_rows = avx2_dot_rows,
    .axpy = avx2_axpy,
    .rows_f16 = avx2_rows_f16,
    .quantize = avx2_quantize,
    .rows_q4 = rows_q4,
    .rows_q8 = rows_q8,
    .unpack_q4 = avx2_unpack_q4,
    .panel = avx2_panel,
    .pack_tile = pack_tile,
    .tile_q4 = tile_q4,
    .tile_q8 = tile_q8,
    .silu_mul = avx2_silu_mul,
    .attend = avx2_attend,
    .to_f16 = avx2_to_f16,
    .read = avx2_read,
    .peak_int8 = avxvnni_peak_int8,
    .peak_f32 = avx2_peak_f32,
};
#else
typedef int kern_avxvnni_is_for_x86_64;
#endif
