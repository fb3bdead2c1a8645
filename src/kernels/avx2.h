// avx2: what the files of the rungs avx2 and avxvnni share. Only they include it: it needs their flags. The
// 16 lanes of every sum are two vectors of 8. Depends on kern, kmath.
#pragma once

#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

// Keeps what was loaded in its register: GCC would read it again for each use.
#define STAY(v) __asm__("" : "+x"(v))

// --- lanes ---------------------------------------------------------------------------------------

typedef struct Lanes { // lanes 0 .. 7, lanes 8 .. 15
  __m256 lo, hi;
} Lanes;

INLINE Lanes lanes_zero(void) { return (Lanes){_mm256_setzero_ps(), _mm256_setzero_ps()}; }

// l + 8, + 4: four lanes are left.
INLINE __m128 fold_to_4(Lanes a) {
  const __m256 v = _mm256_add_ps(a.lo, a.hi);
  return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}

// ... + 2, + 1.
INLINE float add_lanes(Lanes a) {
  __m128 b = fold_to_4(a);
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

// add_lanes of four sums at once.
INLINE __m128 add_lanes_4(const Lanes *a) {
  __m128 t0 = fold_to_4(a[0]), t1 = fold_to_4(a[1]), t2 = fold_to_4(a[2]), t3 = fold_to_4(a[3]);
  _MM_TRANSPOSE4_PS(t0, t1, t2, t3);
  return _mm_add_ps(_mm_add_ps(t0, t2), _mm_add_ps(t1, t3));
}

INLINE __m256 load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }

INLINE float load_f16_one(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return _cvtsh_ss(h);
}

INLINE int sum_i32(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

// v[r] element e becomes v[e] element r.
INLINE void transpose_8(__m256 *v) {
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) // b[4 i + c]: rows 4 i .. 4 i + 3, elements c of both halves
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      b[4 * i + 2 * k] = _mm256_shuffle_ps(a[4 * i + k], a[4 * i + 2 + k], 0x44);
      b[4 * i + 2 * k + 1] = _mm256_shuffle_ps(a[4 * i + k], a[4 * i + 2 + k], 0xEE);
    }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    v[c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
    v[4 + c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
  }
}

// --- codes ---------------------------------------------------------------------------------------

INLINE __m256i load_bytes(const void *p) { return _mm256_loadu_si256(p); }

INLINE __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }

INLINE __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

INLINE int32_t load_i32(const void *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store_rows(float *y, __m256 v, size_t rows) {
  float all[8];
  if (rows >= 8) {
    _mm256_storeu_ps(y, v);
    return;
  }
  _mm256_storeu_ps(all, v);
  memcpy(y, all, rows * sizeof *all);
}

// --- activations ---------------------------------------------------------------------------------

// kmath_exp.
INLINE __m256 vexp(__m256 x) {
  x = _mm256_max_ps(x, _mm256_set1_ps(KEXP_MIN));
  x = _mm256_min_ps(x, _mm256_set1_ps(KEXP_MAX));
  const __m256 k = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(KEXP_LOG2E)), _MM_FROUND_TO_NEAREST_INT);
  __m256 r = _mm256_fmadd_ps(k, _mm256_set1_ps(-KEXP_LN2_HI), x);
  r = _mm256_fmadd_ps(k, _mm256_set1_ps(-KEXP_LN2_LO), r);
  __m256 p = _mm256_set1_ps(KEXP_C7);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C5));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C4));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C3));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(KEXP_C2));
  p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0f));
  const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}

// --- what the two rungs have in common: see kern.h ------------------------------------------------

// avx2_shared.c
float avx2_dot(const float *a, const float *b, size_t n);
void avx2_dot_rows(const float *w, const float *x, size_t x_stride, size_t n_x, size_t n, float *y,
                   size_t y_stride);
void avx2_axpy(float a, const float *x, float *y, size_t n);
void avx2_rows_f16(const uint8_t *w, size_t w_stride, size_t rows, size_t n, const float *x, size_t x_stride,
                   size_t n_x, float *y, size_t y_stride);
void avx2_quantize(const float *x, size_t groups, const KernActs *out, size_t t);
void avx2_silu_mul(float *gate, const float *up, size_t n);
void avx2_to_f16(const float *x, uint16_t *y, size_t n);
uint64_t avx2_read(const uint8_t *p, size_t n);
float avx2_peak_f32(size_t rounds);
// avx2_panel.c
void avx2_unpack_q4(const KernRows *w, KernPanel *out);
void avx2_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                size_t y_stride);
// avx2_attend.c
void avx2_attend(const KernAttend *a);
