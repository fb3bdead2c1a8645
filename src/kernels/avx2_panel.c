// avx2_panel: panels of 16 unpacked rows times tokens, for matrices that are not multiplied as they lie. For
// the rungs avx2 and avxvnni.
#if defined(__x86_64__)
#include "kernels/avx2_dot.h"

// Group g of four rows into the panel.
INLINE void unpack_codes_4(const uint8_t *const *row, size_t g, uint8_t *to) {
  __m128 v[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++)
    v[r] = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(const void *)(row[r] + g * 16)));
  _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
#pragma GCC unroll 4
  for (int d = 0; d < 4; d++) {
    const __m128i c = _mm_castps_si128(v[d]), nibble = _mm_set1_epi8(15);
    _mm_storeu_si128((__m128i *)(void *)(to + 64 * d), _mm_and_si128(c, nibble));
    _mm_storeu_si128((__m128i *)(void *)(to + 64 * d + 256), _mm_and_si128(_mm_srli_epi16(c, 4), nibble));
  }
}

// Scales of four rows: four groups at a time, then one by one.
INLINE void unpack_scales_4(const uint8_t *const *row, size_t groups, float *to) {
  size_t g = 0;
  for (; g + 4 <= groups; g += 4) {
    __m128 v[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++)
      v[r] = _mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)(const void *)(row[r] + g * 2)));
    _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; k++) _mm_storeu_ps(to + (g + k) * 16, v[k]);
  }
  for (; g < groups; g++)
    for (int r = 0; r < 4; r++) to[g * 16 + (size_t)r] = load_f16_one(row[r] + g * 2);
}

void avx2_unpack_q4(const KernRows *w, KernPanel *out) {
  out->bits = 4;
  if (w->rows < 16 || w->groups < out->groups) {
    memset(out->codes, 0, out->groups * 512);
    memset(out->scale, 0, out->groups * 16 * sizeof(float));
    memset(out->bias, 0, out->groups * 16 * sizeof(float));
  }
  for (size_t r = 0; r < w->rows; r += 4) {
    const uint8_t *codes[4], *s[4],
        *b[4]; // a row that is not there repeats the last: its output is not stored
    for (size_t k = 0; k < 4; k++) {
      const size_t at = r + k < w->rows ? r + k : w->rows - 1;
      codes[k] = w->w + at * w->w_stride;
      s[k] = w->scales + at * w->s_stride;
      b[k] = w->biases + at * w->s_stride;
    }
    for (size_t g = 0; g < w->groups; g++) unpack_codes_4(codes, g, out->codes + g * 512 + r * 4);
    unpack_scales_4(s, w->groups, out->scale + r);
    unpack_scales_4(b, w->groups, out->bias + r);
  }
}

// Integer dots of group g's 16 rows with NT tokens, codes of at most BITS bits.
INLINE void panel_dots(const int BITS, const int NT, const uint8_t *codes, const int8_t *q, size_t half,
                       size_t stride, Dot dot[4][2]) {
#pragma GCC unroll 4
  for (int t = 0; t < NT; t++) dot[t][0] = dot[t][1] = dot_zero();
#pragma GCC unroll 8
  for (size_t d = 0; d < 8; d++) {
    const __m256i c0 = load_bytes(codes + 64 * d), c1 = load_bytes(codes + 64 * d + 32);
    const int8_t *qd = q + (d < 4 ? 4 * d : half + 4 * (d - 4));
#pragma GCC unroll 4
    for (int t = 0; t < NT; t++) {
      const __m256i x = _mm256_set1_epi32(load_i32(qd + (size_t)t * stride));
      dot[t][0] = dot_add(BITS, dot[t][0], c0, x);
      dot[t][1] = dot_add(BITS, dot[t][1], c1, x);
    }
  }
}

// See avx512_tile.c: the lanes of the sum one after the other, their tree as a stack.
INLINE void panel_tile(const int BITS, const int NT, const KernPanel *w, const KernActs *x, size_t first_x,
                       size_t rows, float *y, size_t y_stride) {
  static const uint8_t lane_at[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
  const bool plain = x->order == KERN_ORDER_PLAIN;
  const size_t half = plain ? 16 : 64, stride = x->q_stride, xg = x->groups;
  const int8_t *x8 = x->q + first_x * stride;
  const float *xs = x->scale + first_x * xg, *xq = x->sum + first_x * xg;
  __m256 stack[4][4][2];
  for (int i = 0; i < 16; i++) {
    __m256 acc[4][2];
    for (int t = 0; t < NT; t++) acc[t][0] = acc[t][1] = _mm256_setzero_ps();
    for (size_t g = lane_at[i]; g < w->groups; g += 16) {
      const int8_t *q = x8 + (plain ? g * 32 : g / 4 * 128 + g % 4 * 16);
      Dot dot[4][2];
      panel_dots(BITS, NT, w->codes + g * 512, q, half, stride, dot);
#pragma GCC unroll 2
      for (int k = 0; k < 2; k++) {
        const __m256 s = _mm256_loadu_ps(w->scale + g * 16 + 8 * k),
                     b = _mm256_loadu_ps(w->bias + g * 16 + 8 * k);
#pragma GCC unroll 4
        for (int t = 0; t < NT; t++) {
          const __m256 sx = _mm256_mul_ps(s, _mm256_set1_ps(xs[(size_t)t * xg + g]));
          acc[t][k] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole_dot(BITS, dot[t][k])), sx, acc[t][k]);
          acc[t][k] = _mm256_fmadd_ps(b, _mm256_set1_ps(xq[(size_t)t * xg + g]), acc[t][k]);
        }
      }
    }
    int level = 0;
    for (; i >> level & 1; level++)
      for (int t = 0; t < NT; t++)
        for (int k = 0; k < 2; k++) acc[t][k] = _mm256_add_ps(stack[level][t][k], acc[t][k]);
    for (int t = 0; t < NT; t++)
      if (level == 4) {
        store_rows(y + (size_t)t * y_stride, acc[t][0], rows);
        if (rows > 8) store_rows(y + (size_t)t * y_stride + 8, acc[t][1], rows - 8);
      } else {
        stack[level][t][0] = acc[t][0];
        stack[level][t][1] = acc[t][1];
      }
  }
}

void avx2_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                size_t y_stride) {
  size_t t = 0;
  for (; w->bits <= 4 && t + 4 <= n_x; t += 4)
    panel_tile(4, 4, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t + 2 <= n_x; t += 2)
    panel_tile(4, 2, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; w->bits <= 4 && t < n_x; t++) panel_tile(4, 1, w, x, first_x + t, rows, y + t * y_stride, y_stride);
  for (; t < n_x; t++) panel_tile(8, 1, w, x, first_x + t, rows, y + t * y_stride, y_stride);
}

#else
typedef int kern_avx2_panel_is_for_x86_64;
#endif
