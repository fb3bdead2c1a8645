// avx2_attend: attention over one block of positions, for the rungs avx2 and avxvnni.
#if defined(__x86_64__)
#include "kernels/avx2.h"
#include "kernels/fetch.h"

// 8 elements of keys or values from element i on.
INLINE __m256 load_kv(const bool q8, const void *kv, size_t i) {
  if (q8)
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)((const int8_t *)kv + i))));
  return load_f16((const uint16_t *)kv + i);
}

INLINE void scale_by(float *p, const float *scale, size_t n) {
  for (size_t i = 0; i < n; i++) p[i] *= scale[i];
}

// Scores of head q at all positions, four at a time.
INLINE void scores(const bool q8, const KernAttend *a, const float *q, float *p) {
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (q == a->q) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    size_t k[4];
    Lanes acc[4];
    for (size_t c = 0; c < 4; c++) {
      k[c] = (i + c < a->n ? i + c : a->n - 1) * a->dim;
      acc[c] = lanes_zero();
    }
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) {
      const __m256 q0 = _mm256_loadu_ps(q + d), q1 = _mm256_loadu_ps(q + d + 8);
#pragma GCC unroll 4
      for (int c = 0; c < 4; c++) {
        acc[c].lo = _mm256_fmadd_ps(q0, load_kv(q8, a->k, k[c] + d), acc[c].lo);
        acc[c].hi = _mm256_fmadd_ps(q1, load_kv(q8, a->k, k[c] + d + 8), acc[c].hi);
      }
    }
    for (int c = 0; d < a->dim && c < 4; c++) // 8 elements are left
      acc[c].lo = _mm256_fmadd_ps(_mm256_loadu_ps(q + d), load_kv(q8, a->k, k[c] + d), acc[c].lo);
    _mm_storeu_ps(p + i, add_lanes_4(acc));
  }
}

// p = exp(p - max) in place; the sum in lanes of 16 positions.
INLINE void exponentials(float *p, size_t n, float *max, float *sum) {
  float m = -INFINITY, lane[16] = {0};
  for (size_t i = 0; i < n; i++) m = p[i] > m ? p[i] : m;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 e = vexp(_mm256_sub_ps(_mm256_loadu_ps(p + i), _mm256_set1_ps(m)));
    _mm256_storeu_ps(p + i, e);
    _mm256_storeu_ps(lane + i % 16, _mm256_add_ps(_mm256_loadu_ps(lane + i % 16), e));
  }
  for (; i < n; i++) {
    p[i] = kmath_exp(p[i] - m);
    lane[i % 16] += p[i];
  }
  *max = m;
  *sum = add_lanes((Lanes){_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)});
}

// out[h .. h + 3][d .. d + 16) = sum over positions of p * v; of 8 elements when HALF.
INLINE void weigh_4(const bool q8, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    float p[4][KERN_BLOCK]) {
  Lanes acc[4] = {lanes_zero(), lanes_zero(), lanes_zero(), lanes_zero()};
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    const size_t v = i * a->dim + d;
    const __m256 v0 = load_kv(q8, a->v, v), v1 = HALF ? v0 : load_kv(q8, a->v, v + 8);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const __m256 w = _mm256_set1_ps(p[j][i]);
      acc[j].lo = _mm256_fmadd_ps(w, v0, acc[j].lo);
      if (!HALF) acc[j].hi = _mm256_fmadd_ps(w, v1, acc[j].hi);
    }
  }
  for (size_t j = 0; j < 4 && h + j < a->heads; j++) {
    _mm256_storeu_ps(a->out + (h + j) * a->dim + d, acc[j].lo);
    if (!HALF) _mm256_storeu_ps(a->out + (h + j) * a->dim + d + 8, acc[j].hi);
  }
}

INLINE void attend(const bool q8, const KernAttend *a) {
  float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    const size_t n = a->heads - h < 4 ? a->heads - h : 4;
    for (size_t j = 0; j < n; j++) {
      scores(q8, a, a->q + (h + j) * a->q_stride, p[j]);
      if (q8) scale_by(p[j], a->k_scale, a->n);
      exponentials(p[j], a->n, &a->max[h + j], &a->sum[h + j]);
      if (q8) scale_by(p[j], a->v_scale, a->n);
    }
    for (size_t j = n; j < 4; j++) memset(p[j], 0, sizeof p[j]);
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) weigh_4(q8, false, a, h, d, p);
    if (d < a->dim) weigh_4(q8, true, a, h, d, p);
  }
}

void avx2_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(true, a);
  else
    attend(false, a);
}

#else
typedef int kern_avx2_attend_is_for_x86_64;
#endif
