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

// Half of the lanes (elements first .. first + 7 of every 16) of two positions times four heads: acc[4 c +
// j].
INLINE void score_half(const bool q8, const void *keys, const size_t *k, const float *const *q, size_t dim,
                       size_t first, __m256 *acc) {
#pragma GCC unroll 8
  for (int c = 0; c < 8; c++) acc[c] = _mm256_setzero_ps();
  for (size_t d = first; d < dim; d += 16) {
    const __m256 k0 = load_kv(q8, keys, k[0] + d), k1 = load_kv(q8, keys, k[1] + d);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      __m256 qv = _mm256_loadu_ps(q[j] + d);
      STAY(qv);
      acc[j] = _mm256_fmadd_ps(qv, k0, acc[j]);
      acc[4 + j] = _mm256_fmadd_ps(qv, k1, acc[4 + j]);
    }
  }
}

// Scores of four heads (h and on; missing ones repeat the last) at all positions.
INLINE void scores_4(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  const float *q[4];
  for (size_t j = 0; j < 4; j++) q[j] = kern_query(a, h + j < a->heads ? h + j : a->heads - 1);
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = 0; i < a->n; i += 4) {
    if (h == 0) fetch_ahead(a->k, all, a->v, i * row, 4 * row);
    __m128 s[4]; // a position's scores of the heads
#pragma GCC unroll 2
    for (size_t c = 0; c < 4; c += 2) {
      size_t k[2];
      __m256 lo[8], hi[8];
      for (size_t e = 0; e < 2; e++) k[e] = (i + c + e < a->n ? i + c + e : a->n - 1) * a->dim;
      score_half(q8, a->k, k, q, a->dim, 0, lo);
      score_half(q8, a->k, k, q, a->dim, 8, hi);
#pragma GCC unroll 2
      for (size_t e = 0; e < 2; e++) {
        Lanes lanes[4];
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++) lanes[j] = (Lanes){lo[4 * e + j], hi[4 * e + j]};
        s[c + e] = add_lanes_4(lanes);
      }
    }
    _MM_TRANSPOSE4_PS(s[0], s[1], s[2], s[3]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) _mm_storeu_ps(p[j] + i, s[j]);
  }
}

INLINE float largest(const float *p, size_t n) {
  __m256 m8 = _mm256_set1_ps(-INFINITY);
  float lane[8], m = -INFINITY;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) m8 = _mm256_max_ps(m8, _mm256_loadu_ps(p + i));
  _mm256_storeu_ps(lane, m8);
  for (int k = 0; k < 8; k++) m = lane[k] > m ? lane[k] : m;
  for (; i < n; i++) m = p[i] > m ? p[i] : m;
  return m;
}

// p = exp(p - max) in place; the sum in lanes of 16 positions.
INLINE void exponentials(float *p, size_t n, float *max, float *sum) {
  const float m = largest(p, n);
  const __m256 m8 = _mm256_set1_ps(m);
  Lanes acc = lanes_zero();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256 e0 = vexp(_mm256_sub_ps(_mm256_loadu_ps(p + i), m8));
    const __m256 e1 = vexp(_mm256_sub_ps(_mm256_loadu_ps(p + i + 8), m8));
    _mm256_storeu_ps(p + i, e0);
    _mm256_storeu_ps(p + i + 8, e1);
    acc.lo = _mm256_add_ps(acc.lo, e0);
    acc.hi = _mm256_add_ps(acc.hi, e1);
  }
  float lane[16];
  _mm256_storeu_ps(lane, acc.lo);
  _mm256_storeu_ps(lane + 8, acc.hi);
  for (; i < n; i++) {
    p[i] = kmath_exp(p[i] - m);
    lane[i % 16] += p[i];
  }
  *max = m;
  *sum = add_lanes((Lanes){_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)});
}

// out[h .. h + 3][d .. d + 16) += p * v of positions [from, to), or = where they are the first; of 8 elements
// when HALF.
INLINE void weigh_4(const bool q8, const bool HALF, const KernAttend *a, size_t h, size_t d, size_t from,
                    size_t to, float p[4][KERN_BLOCK]) {
  Lanes acc[4] = {lanes_zero(), lanes_zero(), lanes_zero(), lanes_zero()};
  for (size_t j = 0; from && j < 4 && h + j < a->heads; j++) {
    acc[j].lo = _mm256_loadu_ps(a->out + (h + j) * a->dim + d);
    if (!HALF) acc[j].hi = _mm256_loadu_ps(a->out + (h + j) * a->dim + d + 8);
  }
  const size_t row = a->dim * (q8 ? 1 : 2), all = a->n * row;
  for (size_t i = from; i < to; i++) {
    if (h == 0 && d == 0) fetch_ahead(a->v, all, a->next, i * row, row);
    const size_t v = i * a->dim + d;
    const __m256 v0 = load_kv(q8, a->v, v), v1 = HALF ? v0 : load_kv(q8, a->v, v + 8);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      __m256 w = _mm256_set1_ps(p[j][i]);
      STAY(w);
      acc[j].lo = _mm256_fmadd_ps(w, v0, acc[j].lo);
      if (!HALF) acc[j].hi = _mm256_fmadd_ps(w, v1, acc[j].hi);
    }
  }
  for (size_t j = 0; j < 4 && h + j < a->heads; j++) {
    _mm256_storeu_ps(a->out + (h + j) * a->dim + d, acc[j].lo);
    if (!HALF) _mm256_storeu_ps(a->out + (h + j) * a->dim + d + 8, acc[j].hi);
  }
}

// out[h .. h + 3] = sum over positions of p * v.
INLINE void weigh_all(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  for (size_t from = 0, to; from < a->n; from = to) {
    to = from + FETCH_ROWS < a->n ? from + FETCH_ROWS : a->n;
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) weigh_4(q8, false, a, h, d, from, to, p);
    if (d < a->dim) weigh_4(q8, true, a, h, d, from, to, p);
  }
}

INLINE void attend(const bool q8, const KernAttend *a) {
  _Alignas(32) float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    scores_4(q8, a, h, p);
    for (size_t j = 0; j < 4 && h + j < a->heads; j++) {
      if (q8) scale_by(p[j], a->k_scale, a->n);
      exponentials(p[j], a->n, &a->max[h + j], &a->sum[h + j]);
      if (q8) scale_by(p[j], a->v_scale, a->n);
    }
    weigh_all(q8, a, h, p);
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
