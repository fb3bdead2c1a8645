// avx512_attend: AVX-512 attention over one block of positions.
#if defined(__x86_64__)
#include "kernels/avx512.h"
#include "kernels/fetch.h"

// How keys and values lie: as the cache has them, or as float32 (a Tile).
typedef enum Kind { AS_F16, AS_INT8, AS_FLOAT } Kind;

INLINE size_t row_bytes(const Kind kind, size_t dim) {
  return dim * (kind == AS_F16 ? 2 : kind == AS_INT8 ? 1 : sizeof(float));
}

// 16 elements of keys or values from element i on; the first 8 and zeros when HALF.
INLINE __m512 load_kv(const Kind kind, const bool HALF, const void *kv, size_t i) {
  if (kind == AS_FLOAT) {
    const float *p = (const float *)kv + i;
    return HALF ? _mm512_maskz_loadu_ps(0xFF, p) : _mm512_loadu_ps(p);
  }
  if (kind == AS_INT8) {
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
INLINE void score_step(const Kind kind, const bool HALF, const void *keys, const size_t *k,
                       const float *const *q, size_t d, __m512 *acc) {
  __m512 kv[4];
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    kv[c] = load_kv(kind, HALF, keys, k[c] + d);
    if (kind == AS_FLOAT) STAY(kv[c]);
  }
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

// p[j][from + i] = the scores of four heads (h and on; missing ones repeat the last) at the n positions of
// these keys.
INLINE void scores_4(const Kind kind, const KernAttend *a, size_t h, const void *keys, size_t from, size_t n,
                     float p[4][KERN_BLOCK]) {
  const float *q[4];
  for (size_t j = 0; j < 4; j++) q[j] = kern_query(a, h + j < a->heads ? h + j : a->heads - 1);
  const size_t row = row_bytes(kind, a->dim);
  for (size_t i = 0; i < n; i += 4) {
    if (kind != AS_FLOAT && h == 0) fetch_ahead(keys, n * row, a->v, i * row, 4 * row);
    size_t k[4];
    for (size_t c = 0; c < 4; c++) k[c] = (i + c < n ? i + c : n - 1) * a->dim;
    __m512 acc[16]; // acc[4 c + j]: position i + c, head h + j
#pragma GCC unroll 16
    for (int c = 0; c < 16; c++) acc[c] = _mm512_setzero_ps();
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) score_step(kind, false, keys, k, q, d, acc);
    if (d < a->dim) score_step(kind, true, keys, k, q, d, acc);
    const __m512 s = add_lanes_16(acc);
    _mm_storeu_ps(p[0] + from + i, _mm512_extractf32x4_ps(s, 0));
    _mm_storeu_ps(p[1] + from + i, _mm512_extractf32x4_ps(s, 1));
    _mm_storeu_ps(p[2] + from + i, _mm512_extractf32x4_ps(s, 2));
    _mm_storeu_ps(p[3] + from + i, _mm512_extractf32x4_ps(s, 3));
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

// Scores of heads h .. h + 3 become what they give to the values; stores their maxima and sums.
INLINE void weights_4(const bool q8, const KernAttend *a, size_t h, float p[4][KERN_BLOCK]) {
  float max[4], sum[4];
  for (size_t j = 0; q8 && j < 4; j++) scale_by(p[j], a->k_scale, a->n);
  exponentials_4(p, a->n, max, sum);
  for (size_t j = 0; q8 && j < 4; j++) scale_by(p[j], a->v_scale, a->n);
  for (size_t j = 0; j < 4 && h + j < a->heads; j++) a->max[h + j] = max[j], a->sum[h + j] = sum[j];
}

// out[h .. h + 3][d .. d + 16 NV) += p * v of positions [from, to), or = where they are the first; the last
// of the NV has 8 when HALF. `values` begin with position `from`.
INLINE void weigh_4(const Kind kind, const int NV, const bool HALF, const KernAttend *a, size_t h, size_t d,
                    const void *values, size_t from, size_t to, float p[4][KERN_BLOCK]) {
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
  const size_t row = row_bytes(kind, a->dim);
  for (size_t i = from; i < to; i++) {
    if (kind != AS_FLOAT && h == 0 && d == 0) fetch_ahead(a->v, a->n * row, a->next, i * row, row);
    __m512 v[4];
#pragma GCC unroll 4
    for (int c = 0; c < NV; c++) {
      v[c] = load_kv(kind, HALF && c == NV - 1, values, (i - from) * a->dim + d + 16 * (size_t)c);
      if (kind == AS_FLOAT) STAY(v[c]);
    }
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

// The same of all dimensions.
INLINE void weigh_rows(const Kind kind, const KernAttend *a, size_t h, const void *values, size_t from,
                       size_t to, float p[4][KERN_BLOCK]) {
  size_t d = 0;
  for (; d + 64 <= a->dim; d += 64) weigh_4(kind, 4, false, a, h, d, values, from, to, p);
  for (; d + 32 <= a->dim; d += 16) weigh_4(kind, 1, false, a, h, d, values, from, to, p);
  if (d + 24 == a->dim)
    weigh_4(kind, 2, true, a, h, d, values, from, to, p);
  else if (d + 16 == a->dim)
    weigh_4(kind, 1, false, a, h, d, values, from, to, p);
  else if (d < a->dim)
    weigh_4(kind, 1, true, a, h, d, values, from, to, p);
}

// --- few heads: bound by reading ------------------------------------------------------------------

INLINE void attend_few(const Kind kind, const KernAttend *a) {
  const size_t row = row_bytes(kind, a->dim);
  float p[4][KERN_BLOCK];
  for (size_t h = 0; h < a->heads; h += 4) {
    scores_4(kind, a, h, a->k, 0, a->n, p);
    weights_4(kind == AS_INT8, a, h, p);
    for (size_t from = 0, to; from < a->n; from = to) {
      to = from + FETCH_ROWS < a->n ? from + FETCH_ROWS : a->n;
      weigh_rows(kind, a, h, (const char *)a->v + from * row, from, to, p);
    }
  }
}

// --- many heads: bound by multiplying ---------------------------------------------------------------
//
// So many rows of keys, then of values, become float32 and stay in the first cache while all heads take them.

enum { MANY = 8, MOST = 32 };              // heads that are worth it; that share the rows
enum { TILE_ROWS = 32, TILE_WIDTH = 128 }; // 16 KB of rows, next to 16 KB of queries or of sums

typedef float Tile[TILE_ROWS * TILE_WIDTH];

// Rows [from, to) of keys or values, behind which `then` is read.
INLINE void fill_tile(const Kind kind, const KernAttend *a, const void *kv, const void *then, size_t from,
                      size_t to, float *tile) {
  const size_t row = row_bytes(kind, a->dim);
  for (size_t i = from; i < to; i++, tile += a->dim) {
    fetch_ahead(kv, a->n * row, then, i * row, row);
    size_t d = 0;
    for (; d + 16 <= a->dim; d += 16) _mm512_storeu_ps(tile + d, load_kv(kind, false, kv, i * a->dim + d));
    if (d < a->dim) _mm512_mask_storeu_ps(tile + d, 0xFF, load_kv(kind, true, kv, i * a->dim + d));
  }
}

// MOST heads from `first` on, or as many as there are.
INLINE void attend_many(const Kind kind, const KernAttend *a, size_t first) {
  const size_t end = first + MOST < a->heads ? first + MOST : a->heads;
  float p[MOST][KERN_BLOCK];
  _Alignas(64) Tile tile;
  for (size_t from = 0, to; from < a->n; from = to) {
    to = from + TILE_ROWS < a->n ? from + TILE_ROWS : a->n;
    fill_tile(kind, a, a->k, a->v, from, to, tile);
    for (size_t h = first; h < end; h += 4) scores_4(AS_FLOAT, a, h, tile, from, to - from, p + (h - first));
  }
  for (size_t h = first; h < end; h += 4) weights_4(kind == AS_INT8, a, h, p + (h - first));
  for (size_t from = 0, to; from < a->n; from = to) {
    to = from + TILE_ROWS < a->n ? from + TILE_ROWS : a->n;
    fill_tile(kind, a, a->v, a->next, from, to, tile);
    for (size_t h = first; h < end; h += 4) weigh_rows(AS_FLOAT, a, h, tile, from, to, p + (h - first));
  }
}

INLINE void attend(const Kind kind, const KernAttend *a) {
  if (a->heads < MANY || a->dim > TILE_WIDTH)
    attend_few(kind, a);
  else
    for (size_t h = 0; h < a->heads; h += MOST) attend_many(kind, a, h);
}

void avx512_attend(const KernAttend *a) {
  if (a->k_scale)
    attend(AS_INT8, a);
  else
    attend(AS_F16, a);
}

#else
typedef int kern_avx512_attend_is_for_x86_64;
#endif
