// avx512_attend: AVX-512 attention over one block of positions.
#if defined(__x86_64__)
#include "kernels/avx512.h"
#include "kernels/fetch.h"

// 16 elements of keys or values from element i on; the first 8 and zeros when HALF.
INLINE __m512 load_kv(const bool q8, const bool HALF, const void *kv, size_t i) {
  if (q8) {
    const __m128i *p = (const __m128i *)(const void *)((const int8_t *)kv + i);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(HALF ? _mm_loadl_epi64(p) : _mm_loadu_si128(p)));
  }
  const uint16_t *p = (const uint16_t *)kv + i;
  if (HALF) return _mm512_cvtph_ps(_mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p)));
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

// p *= scale
INLINE void scale_by(float *p, const float *scale, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 s = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, p + i), _mm512_maskz_loadu_ps(m, scale + i));
    _mm512_mask_storeu_ps(p + i, m, s);
  }
}

// 16 elements (8 when HALF, which leaves the other lanes alone) of four positions times four heads.
INLINE void score_step(const bool q8, const bool HALF, const void *keys, const size_t *k,
                       const float *const *q, size_t d, __m512 *acc) {
  __m512 kv[4];
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) kv[c] = load_kv(q8, HALF, keys, k[c] + d);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    __m512 qv = HALF ? _mm512_maskz_loadu_ps(0xFF, q[j] + d) : _mm512_loadu_ps(q[j] + d);
    STAY(qv);
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
      __m512 *at = &acc[4 * c + j];
      *at = HALF ? _mm512_mask3_fmadd_ps(qv, kv[c], *at, 0xFF) : _mm512_fmadd_ps(qv, kv[c], *at);
    }
  }
}

// Scores of four heads (h and on; missing ones repeat the last) at all positions.
INLINE void scores_4(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  const float *q[4];
  for (size_t j = 0; j < 4; j++) q[j] = a->q + (h + j < a->heads ? h + j : a->heads - 1) * a->q_stride;
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (h == 0) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    size_t k[4];
    for (size_t c = 0; c < 4; c++) k[c] = (i + c < a->n ? i + c : a->n - 1) * a->dim;
    __m512 acc[16]; // acc[4 c + j]: position i + c, head h + j
#pragma GCC unroll 16
    for (int c = 0; c < 16; c++) acc[c] = _mm512_setzero_ps();
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) score_step(q8, false, a->k, k, q, d, acc);
    if (d < a->dim) score_step(q8, true, a->k, k, q, d, acc);
    const __m512 s = add_lanes_16(acc);
    _mm_storeu_ps(p[0] + i, _mm512_extractf32x4_ps(s, 0));
    _mm_storeu_ps(p[1] + i, _mm512_extractf32x4_ps(s, 1));
    _mm_storeu_ps(p[2] + i, _mm512_extractf32x4_ps(s, 2));
    _mm_storeu_ps(p[3] + i, _mm512_extractf32x4_ps(s, 3));
  }
}

// p = exp(p - max) in place, of four heads side by side: none waits for the other's latencies.
INLINE void exponentials_4(float p[4][KERN_BLOCK], size_t n, float max[4], float sum[4]) {
  __m512 m[4], acc[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) m[j] = _mm512_set1_ps(-INFINITY), acc[j] = _mm512_setzero_ps();
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 lanes = first_lanes(n - i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      m[j] = _mm512_mask_max_ps(m[j], lanes, m[j], _mm512_maskz_loadu_ps(lanes, p[j] + i));
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) max[j] = _mm512_reduce_max_ps(m[j]), m[j] = _mm512_set1_ps(max[j]);
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 lanes = first_lanes(n - i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const __m512 e = vexp(_mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, p[j] + i), m[j]));
      _mm512_mask_storeu_ps(p[j] + i, lanes, e);
      acc[j] = _mm512_mask_add_ps(acc[j], lanes, acc[j], e);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) sum[j] = add_lanes(acc[j]);
}

// out[h .. h + 3][d .. d + 16 NV) += p * v of positions [from, to), or = where they are the first; the last
// of the NV has 8 when HALF.
INLINE void weigh_4(const bool q8, const int NV, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    size_t from, size_t to, float p[4][KERN_BLOCK]) {
  __m512 acc[4][4];
  __mmask16 m[4];
#pragma GCC unroll 4
  for (int c = 0; c < NV; c++) m[c] = HALF && c == NV - 1 ? 0xFF : 0xFFFF;
#pragma GCC unroll 4
  for (size_t j = 0; j < 4; j++)
#pragma GCC unroll 4
    for (size_t c = 0; c < (size_t)NV; c++)
      acc[j][c] = from && h + j < a->heads
                      ? _mm512_maskz_loadu_ps(m[c], a->out + (h + j) * a->dim + d + 16 * c)
                      : _mm512_setzero_ps();
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = from; i < to; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    __m512 v[4];
#pragma GCC unroll 4
    for (int c = 0; c < NV; c++)
      v[c] = load_kv(q8, HALF && c == NV - 1, a->v, i * a->dim + d + 16 * (size_t)c);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      __m512 w = _mm512_set1_ps(p[j][i]);
      STAY(w);
#pragma GCC unroll 4
      for (int c = 0; c < NV; c++) acc[j][c] = _mm512_fmadd_ps(w, v[c], acc[j][c]);
    }
  }
#pragma GCC unroll 4
  for (size_t j = 0; j < 4; j++)
    if (h + j < a->heads)
#pragma GCC unroll 4
      for (size_t c = 0; c < (size_t)NV; c++)
        _mm512_mask_storeu_ps(a->out + (h + j) * a->dim + d + 16 * c, m[c], acc[j][c]);
}

// out[h .. h + 3] = sum over positions of p * v.
INLINE void weigh_all(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  for (size_t from = 0, to; from < a->n; from = to) {
    to = from + FETCH_ROWS < a->n ? from + FETCH_ROWS : a->n;
    size_t d = 0;
    for (; d + 64 <= a->dim; d += 64) weigh_4(q8, 4, false, a, h, d, from, to, p);
    for (; d + 32 <= a->dim; d += 16) weigh_4(q8, 1, false, a, h, d, from, to, p);
    if (d + 24 == a->dim)
      weigh_4(q8, 2, true, a, h, d, from, to, p);
    else if (d + 16 == a->dim)
      weigh_4(q8, 1, false, a, h, d, from, to, p);
    else if (d < a->dim)
      weigh_4(q8, 1, true, a, h, d, from, to, p);
  }
}

INLINE void attend(const bool q8, const KernAttend *a) {
  float p[4][KERN_BLOCK], max[4], sum[4];
  for (size_t h = 0; h < a->heads; h += 4) {
    scores_4(q8, a, h, p);
    for (size_t j = 0; q8 && j < 4; j++) scale_by(p[j], a->k_scale, a->n);
    exponentials_4(p, a->n, max, sum);
    for (size_t j = 0; q8 && j < 4; j++) scale_by(p[j], a->v_scale, a->n);
    for (size_t j = 0; j < 4 && h + j < a->heads; j++) a->max[h + j] = max[j], a->sum[h + j] = sum[j];
    weigh_all(q8, a, h, p);
  }
}

void avx512_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(true, a);
  else
    attend(false, a);
}

#else
typedef int kern_avx512_attend_is_for_x86_64;
#endif
