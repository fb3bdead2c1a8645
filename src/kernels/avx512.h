// avx512: what the AVX-512 files share. Only they include it: it needs their flags. Depends on kern, kmath.
#pragma once

#include "kernels/kern.h"
#include "kernels/kmath.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

// Keeps what was loaded in its register: GCC would read it again for each use.
#define STAY(v) __asm__("" : "+v"(v))

// --- lanes ---------------------------------------------------------------------------------------

// l + 8, + 4, + 2, + 1.
INLINE float add_lanes(__m512 v) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

// One level of the sum of lanes for two vectors at once: what lies 8, 4, 2 or 1 lanes apart is added, and
// both halves share a vector.
INLINE __m512 add_8_apart(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

INLINE __m512 add_4_apart(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}

INLINE __m512 add_2_apart(__m512 a, __m512 b) {
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                       _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}

INLINE __m512 add_1_apart(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

// add_lanes of 16 vectors at once; element k of 128-bit lane j belongs to v[4 k + j].
INLINE __m512 add_lanes_16(const __m512 *v) {
  __m512 s[8], r[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) s[i] = add_8_apart(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) r[i] = add_4_apart(s[2 * i], s[2 * i + 1]);
  return add_1_apart(add_2_apart(r[0], r[1]), add_2_apart(r[2], r[3]));
}

INLINE __mmask16 first_lanes(size_t n) { return n >= 16 ? 0xFFFF : (__mmask16)((1u << n) - 1); }

// --- codes ---------------------------------------------------------------------------------------

// Bytes of codes that the kernels for a few tokens ask for ahead of use, some hundred nanoseconds of them.
// Scales and biases are an eighth.
enum { AHEAD = 6144 };

// Codes of 16 groups (`left` of them valid) as they lie: N vectors of 16 / N groups.
INLINE void load_codes(const size_t N, const uint8_t *codes, size_t left, __m512i *v) {
  const size_t per = 16 / N;
#pragma GCC unroll 8
  for (size_t k = 0; k < N; k++) {
    const __mmask16 m = left > per * k ? first_lanes(N * (left - per * k)) : 0;
    v[k] = left >= 16 ? _mm512_loadu_si512(codes + 64 * k) : _mm512_maskz_loadu_epi32(m, codes + 64 * k);
  }
}

// The same of all 16 groups, where they need not begin a cache line: every line is read once, and shifted.
// A vector read across two lines takes the place of two readings, and while a processor reads as often as it
// can, it drops what is asked for ahead (Zen 5: hardly any at 1.5 readings a cycle, nearly all at 2).
INLINE void load_lines(const size_t N, const uint8_t *codes, __m512i *v) {
  const size_t off = (uintptr_t)codes % 64;
  if (off % 4 != 0 || off == 0) {
#pragma GCC unroll 8
    for (size_t k = 0; k < N; k++) v[k] = _mm512_loadu_si512(codes + 64 * k);
  } else {
    const __m512i from_0 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i from = _mm512_add_epi32(from_0, _mm512_set1_epi32((int)off / 4));
    const uint8_t *line = codes - off; // never in another page than some code
    __m512i last = _mm512_load_si512(line);
#pragma GCC unroll 8
    for (size_t k = 0; k < N; k++) {
      __m512i next = _mm512_load_si512(line + 64 * (k + 1));
      STAY(next);
      v[k] = _mm512_permutex2var_epi32(last, from, next);
      last = next;
    }
  }
#pragma GCC unroll 8
  for (size_t k = 0; k < N; k++) STAY(v[k]);
}

INLINE __m512 load_f16(const uint8_t *p, size_t left) {
  if (left >= 16) return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(left), p));
}

// acc += 16 groups: their integer dots, scales and biases, and the scales and sums of the activations.
INLINE __m512 add_groups(__m512 acc, __m512i dots, __m512 s, __m512 b, __m512 xs, __m512 xq) {
  acc = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(s, xs), acc);
  return _mm512_fmadd_ps(b, xq, acc);
}

// v[r] element e becomes v[e] element r.
INLINE void transpose_16(__m512i *v) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    a[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) { // b[4 i + c]: rows 4 i .. 4 i + 3, elements c of every 128-bit lane
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const __m512i lo0 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88),
                  lo1 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xDD);
    const __m512i hi0 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88),
                  hi1 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xDD);
    v[c] = _mm512_shuffle_i32x4(lo0, hi0, 0x88);      // lane 0 of the rows
    v[8 + c] = _mm512_shuffle_i32x4(lo0, hi0, 0xDD);  // lane 2
    v[4 + c] = _mm512_shuffle_i32x4(lo1, hi1, 0x88);  // lane 1
    v[12 + c] = _mm512_shuffle_i32x4(lo1, hi1, 0xDD); // lane 3
  }
}

INLINE int32_t load_i32(const int8_t *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

// The order of the sum's lanes (groups mod 16) in which their tree can be added with a stack of four.
static const uint8_t lane_at[16] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};

// --- activations ---------------------------------------------------------------------------------

// kmath_exp.
INLINE __m512 vexp(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(KEXP_MIN));
  x = _mm512_min_ps(x, _mm512_set1_ps(KEXP_MAX));
  const __m512 k =
      _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(KEXP_LOG2E)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fmadd_ps(k, _mm512_set1_ps(-KEXP_LN2_HI), x);
  r = _mm512_fmadd_ps(k, _mm512_set1_ps(-KEXP_LN2_LO), r);
  __m512 p = _mm512_set1_ps(KEXP_C7);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C5));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C4));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C3));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(KEXP_C2));
  p = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0f));
  const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(k), _mm512_set1_epi32(127));
  return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(e, 23)));
}

// --- the other files: see kern.h -----------------------------------------------------------------

// Tile `tile`, whose tokens begin at `first`, of `have` tokens, for few_q4 and few_q8: avx512_few.c.
void avx512_pack_few(const KernActs *x, size_t tile, size_t first, size_t have);
void avx512_few_q4(const KernRows *w, const KernActs *x, size_t tile, size_t n, float *y, size_t y_stride);
void avx512_few_q8(const KernRows *w, const KernActs *x, size_t tile, size_t n, float *y, size_t y_stride);
// avx512_tile.c
void avx512_unpack_q4(const KernRows *w, KernPanel *out);
void avx512_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
                  size_t y_stride);
void avx512_pack_tile(const KernActs *x, size_t tile, size_t n);
// Tile `tile`, whose tokens begin at `first`, of `have` tokens side by side.
void avx512_pack_side(const KernActs *x, size_t tile, size_t first, size_t have);
// 16 rows of scales or biases as [groups / 16][16 rows][16]; asks for those of the next 16 rows.
void avx512_tile_floats(const KernRows *w, const uint8_t *from, float *to);
// sum: 16 rows, of which there are `rows`, times 16 tokens, of which the first n go to y[t][r].
void avx512_store_tile(const __m512 *sum, size_t rows, size_t n, float *y, size_t y_stride);
void avx512_tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride);
void avx512_tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                    size_t y_stride);
// avx512_attend.c
void avx512_attend(const KernAttend *a);
