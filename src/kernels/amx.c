// amx: AMX int8 for many tokens; the rest of the rung is AVX-512's. Written without a processor that has it:
// the bits are checked (tests/kernels), the speed was never measured. What is said of it here is counting.
//
// tdpbusd gives the integer dots of 16 rows, 16 columns and one group of 32 inputs (a longer product would
// add groups that have different scales), in 16 cycles. Scaling them is left to the vectors: convert,
// multiply, two fused multiply-adds for 16 dots, 32 cycles on two ports. So the vectors are what limits this
// (AVX-512 alone: 144 cycles), and all else is arranged to run beside them: the tile unit works a piece of a
// lane ahead, one product for each half of a group that is scaled, and stores a product while the next is
// computed.
#if defined(__x86_64__)
#include "kernels/amx.h"
#include "kernels/avx512.h"

// --- tiles ---------------------------------------------------------------------------------------

// What ldtilecfg reads.
typedef struct TileConfig {
  _Alignas(64) uint8_t palette;
  uint8_t start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} TileConfig;
_Static_assert(sizeof(TileConfig) == 64, "as the processor reads it");

// Even and odd products have their own tiles: A and B of the even ones, of the odd ones, both results.
static const TileConfig shapes = {
    .palette = 1, .rows = {16, 8, 16, 8, 16, 16}, .row_bytes = {32, 64, 32, 64, 64, 64}};
static const TileConfig whole = {
    .palette = 1, .rows = {16, 16, 16, 16, 16, 16}, .row_bytes = {64, 64, 64, 64, 64, 64}};

// Instructions on tiles read more memory than the compiler is told (GCC 12: 8 bytes of a configuration, none
// of a tile): it must be written by here.
INLINE void memory_is_read(const void *p) { __asm__ volatile("" ::"r"(p) : "memory"); }

static void configure(const TileConfig *c) {
  memory_is_read(c);
  _tile_loadconfig(c);
}

// A single tile of few tokens goes by avx512_few, in whose one pass there are at most 8. For each 16 rows and
// a group that takes 74 cycles for 8 tokens and 45 for 4 (Zen 5); tiles, with their own instructions left
// out, 37 for any number, and as many again for unpacking unless other tokens have paid.
static bool is_few(size_t n_x, size_t tile) {
  const size_t have = n_x - tile * KERN_TILE;
  return tile % 2 == 0 && have < (tile ? 4 : 9);
}

// Loading shapes takes some hundred cycles: once for many rows. A thread that has tiles pays when it is
// switched, so none has them for longer.
void amx_begin(size_t n_x) {
  if (!is_few(n_x, 0)) configure(&shapes);
}

void amx_end(void) { _tile_release(); }

// --- 16 rows times 16 or 32 columns ----------------------------------------------------------------

// A times B, 16 rows and V tiles of 16 columns. Either the rows are weights and the columns tokens, or the
// other way round (FLIPPED); both have scales and biases for each group, the tokens' being the sums xq.
typedef struct Product {
  size_t groups, per_lane; // per_lane: with padding
  const void *a, *b;
  size_t a_stride; // FLIPPED: bytes from row to row
  size_t b_tile;   // bytes from tile to tile; a group has 512
  const float *row_scale, *row_bias, *column_scale, *column_bias;
  size_t row_stride;  // FLIPPED: floats from row to row
  size_t column_tile; // floats from tile to tile; a group has 16
  const char *next;   // rows that will be asked for next, one for each lane; or NULL
  size_t next_stride, next_bytes;
} Product;

// Up to PIECE groups of the lane that is `rank`th: from its k-th on, n of them (none in lanes without
// groups).
enum { PIECE = 4 };
typedef struct Piece {
  size_t rank, k, n;
} Piece;

static size_t lane_groups(const Product *p, size_t rank) {
  const size_t lane = lane_at[rank];
  return lane < p->groups ? (p->groups - lane + 15) / 16 : 0;
}

static Piece piece_at(const Product *p, size_t rank, size_t k) {
  const size_t left = lane_groups(p, rank) - k;
  return (Piece){rank, k, left < PIECE ? left : PIECE};
}

INLINE bool is_last(const Product *p, Piece at) { return at.k + at.n >= lane_groups(p, at.rank); }

static Piece next_piece(const Product *p, Piece at) {
  if (!is_last(p, at)) return piece_at(p, at.rank, at.k + at.n);
  return at.rank < 15 ? piece_at(p, at.rank + 1, 0) : (Piece){16, 0, 0};
}

// Where a piece's groups lie in A and among the scales of the rows; where in B and among those of the
// columns, of which tiles of tokens have the order of the lanes' ranks; and how far it is to the next group
// there.
INLINE size_t row_group(Piece at) { return lane_at[at.rank] + 16 * at.k; }
INLINE size_t column_group(const bool FLIPPED, const Product *p, Piece at) {
  return FLIPPED ? row_group(at) : at.rank * p->per_lane + at.k;
}
INLINE size_t column_step(const bool FLIPPED) { return FLIPPED ? 16 : 1; }

// What is known of rows: unpacked weights are [groups][16 rows][32] with scales of [groups / 16][16
// rows][16].
INLINE size_t a_stride(const bool FLIPPED, const Product *p) { return FLIPPED ? p->a_stride : 32; }
INLINE size_t a_group(const bool FLIPPED) { return FLIPPED ? 32 : 512; }
INLINE size_t row_stride(const bool FLIPPED, const Product *p) { return FLIPPED ? p->row_stride : 16; }
INLINE size_t row_step(const bool FLIPPED) { return FLIPPED ? 16 : 256; } // from group g to g + 16

// The products of a piece, on their way.
typedef struct Flow {
  const char *a, *b; // of the next one
  int32_t *dots;     // where its result will go
  int32_t *last;     // where that of the one before goes, which is still in its tile; NULL: there is none
  size_t left;
  bool odd; // which tiles the next one takes
} Flow;

INLINE void flow_begin(const int V, const bool FLIPPED, Flow *f, const Product *p, Piece at, int32_t *dots) {
  f->a = (const char *)p->a + row_group(at) * a_group(FLIPPED);
  f->b = (const char *)p->b + column_group(FLIPPED, p, at) * 512;
  f->dots = dots;
  f->left = at.n * (size_t)V;
}

INLINE void store_last(Flow *f) {
  if (!f->last) return;
  if (f->odd)
    _tile_stored(4, f->last, 64);
  else
    _tile_stored(5, f->last, 64);
  f->last = NULL;
}

#define MULTIPLY(to, a, b)                                                                                   \
  do {                                                                                                       \
    _tile_zero(to);                                                                                          \
    if (FLIPPED)                                                                                             \
      _tile_dpbsud(to, a, b);                                                                                \
    else                                                                                                     \
      _tile_dpbusd(to, a, b);                                                                                \
  } while (0)

// The next product of a piece: group by group, V tiles of columns each, which share A. The one before is
// stored while this one is computed.
INLINE void multiply(const int V, const bool FLIPPED, Flow *f, const Product *p) {
  if (f->odd) {
    if (V == 1) _tile_loadd(2, f->a, a_stride(FLIPPED, p));
    _tile_loadd(3, V == 1 ? f->b : f->b + p->b_tile, 64);
    if (V == 1)
      MULTIPLY(5, 2, 3);
    else
      MULTIPLY(5, 0, 3);
  } else {
    _tile_loadd(0, f->a, a_stride(FLIPPED, p));
    _tile_loadd(1, f->b, 64);
    MULTIPLY(4, 0, 1);
  }
  if (V == 1 || f->odd) f->a += 16 * a_group(FLIPPED), f->b += column_step(FLIPPED) * 512;
  store_last(f);
  f->last = f->dots;
  f->dots += 256;
  f->odd = !f->odd;
  f->left--;
}

// Scales and biases of a group: of a row on, of a tile of columns on.
typedef struct Scales {
  const float *row, *row_bias, *column, *column_bias;
} Scales;

// acc += one group: 16 / V rows times V tiles of columns.
INLINE void add_scaled(const int V, const bool FLIPPED, const Product *p, const int32_t *dots, Scales at,
                       __m512 acc[16]) {
  const size_t stride = row_stride(FLIPPED, p);
  __m512 scale[2], bias[2];
#pragma GCC unroll 2
  for (int v = 0; v < V; v++) {
    scale[v] = _mm512_loadu_ps(at.column + (size_t)v * p->column_tile);
    bias[v] = _mm512_loadu_ps(at.column_bias + (size_t)v * p->column_tile);
  }
#pragma GCC unroll 16
  for (int e = 0; e < 16; e++) {
    const int r = e / V, v = e % V;
    const __m512 s = _mm512_set1_ps(at.row[(size_t)r * stride]);
    const __m512 b = _mm512_set1_ps(at.row_bias[(size_t)r * stride]);
    const __m512 dot = _mm512_cvtepi32_ps(_mm512_load_si512(dots + v * 256 + r * 16));
    acc[e] = _mm512_fmadd_ps(dot, _mm512_mul_ps(s, scale[v]), acc[e]);
    acc[e] = _mm512_fmadd_ps(b, bias[v], acc[e]);
  }
}

// Sums under way, 16 V of them: row r of tile v is element r * V + v.
typedef struct Sums {
  __m512 level[5][32]; // the stack of avx512_tile.c; the last level is the result
  __m512 piece[32];    // of a lane that goes on in the next piece
} Sums;

// Scales the dots of a piece: with two tiles of columns half of the rows, then the others, so that the sums
// fit the registers. The products of the next piece are made meanwhile, as many as there are groups to scale.
INLINE void scale_piece(const int V, const bool FLIPPED, const Product *p, Piece at, const int32_t *dots,
                        Flow *next, Sums *s) {
  const size_t rows = 16 / (size_t)V, stride = row_stride(FLIPPED, p);
  const size_t row = at.k * row_step(FLIPPED) + lane_at[at.rank];
  const size_t column = column_group(FLIPPED, p, at) * 16, step = column_step(FLIPPED) * 16;
  if (!next->left) store_last(next);
  for (size_t half = 0, first = row; half < (size_t)V; half++, first += rows * stride) {
    Scales scales = {p->row_scale + first, p->row_bias + first, p->column_scale + column,
                     p->column_bias + column};
    const int32_t *from = dots + half * rows * 16;
    __m512 acc[16];
#pragma GCC unroll 16
    for (size_t e = 0; e < 16; e++) acc[e] = at.k ? s->piece[half * 16 + e] : _mm512_setzero_ps();
    for (size_t k = 0; k < at.n; k++) {
      if (next->left) multiply(V, FLIPPED, next, p);
      add_scaled(V, FLIPPED, p, from, scales, acc);
      from += V * 256;
      scales.row += row_step(FLIPPED), scales.row_bias += row_step(FLIPPED);
      scales.column += step, scales.column_bias += step;
    }
    __m512 *to = s->piece;
    if (is_last(p, at)) {
      int level = 0;
      for (; at.rank >> level & 1; level++)
#pragma GCC unroll 16
        for (size_t e = 0; e < 16; e++) acc[e] = _mm512_add_ps(s->level[level][half * 16 + e], acc[e]);
      to = s->level[level];
    }
#pragma GCC unroll 16
    for (size_t e = 0; e < 16; e++) to[half * 16 + e] = acc[e];
  }
  while (next->left) multiply(V, FLIPPED, next, p);
}

static void ask_next(const Product *p, size_t i) {
  for (size_t at = 0; p->next && at < p->next_bytes; at += 64)
    _mm_prefetch(p->next + i * p->next_stride + at, _MM_HINT_T1);
}

INLINE void run(const int V, const bool FLIPPED, const Product *p, Sums *s) {
  _Alignas(64) int32_t dots[2][PIECE * 2 * 256];
  Flow f = {.last = NULL};
  Piece at = piece_at(p, 0, 0);
  memory_is_read(p->a);
  flow_begin(V, FLIPPED, &f, p, at, dots[0]);
  while (f.left) multiply(V, FLIPPED, &f, p);
  for (size_t turn = 0; at.rank < 16; turn++) {
    const Piece next = next_piece(p, at);
    if (at.k == 0) ask_next(p, at.rank);
    if (next.rank < 16) flow_begin(V, FLIPPED, &f, p, next, dots[!(turn % 2)]);
    scale_piece(V, FLIPPED, p, at, dots[turn % 2], &f, s);
    at = next;
  }
}

static void rows_1(const Product *p, Sums *s) { run(1, false, p, s); }
static void rows_2(const Product *p, Sums *s) { run(2, false, p, s); }
static void tokens_1(const Product *p, Sums *s) { run(1, true, p, s); }

// --- rows of codes, a token a column -----------------------------------------------------------------

// Group j of a vector of codes of one row and of another, a byte a code: the two rows of 32. Of 4 bits the
// even inputs come first.
INLINE __m512i two_rows(const int BITS, __m512i a, __m512i b, int j) {
  const long long q = j * BITS / 2;
  if (BITS == 8) {
    const __m512i half = _mm512_setr_epi64(q, q + 1, q + 2, q + 3, q + 8, q + 9, q + 10, q + 11);
    return _mm512_permutex2var_epi64(a, half, b);
  }
  const __m512i twice = _mm512_setr_epi64(q, q + 1, q, q + 1, q + 8, q + 9, q + 8, q + 9);
  const __m512i both = _mm512_permutex2var_epi64(a, twice, b);
  return _mm512_and_si512(_mm512_srlv_epi64(both, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4)),
                          _mm512_set1_epi8(15));
}

// 16 rows as [groups][16 rows][32 codes], missing rows as the last.
INLINE void unpack(const int BITS, const KernRows *w, uint8_t *to) {
  const size_t per = 16 / (size_t)BITS; // groups of a vector
  for (size_t r = 0; r < 16; r += 2, to += 64) {
    const uint8_t *a = w->w + (r < w->rows ? r : w->rows - 1) * w->w_stride;
    const uint8_t *b = w->w + (r + 1 < w->rows ? r + 1 : w->rows - 1) * w->w_stride;
    for (size_t g = 0; g < w->groups; g += 16) {
      const size_t at = g * 4 * (size_t)BITS, left = w->groups - g;
      __m512i va[8], vb[8];
      load_codes((size_t)BITS, a + at, left, va);
      load_codes((size_t)BITS, b + at, left, vb);
#pragma GCC unroll 16
      for (size_t i = 0; i < 16; i++)
        _mm512_storeu_si512(to + (g + i) * 512, two_rows(BITS, va[i / per], vb[i / per], (int)(i % per)));
    }
  }
}

void amx_pack_tile(const KernActs *x, size_t tile, size_t n) {
  const size_t first = tile * KERN_TILE, have = n - first < KERN_TILE ? n - first : KERN_TILE;
  if (is_few(n, tile))
    avx512_pack_few(x, tile, first, have);
  else
    avx512_pack_side(x, tile, first, have);
}

// Tokens of tile `tile` and, with V == 2, of the next one.
static void product_of_tiles(const Product *rows, const KernActs *x, size_t tile, size_t V, size_t n_rows,
                             size_t n, float *y, size_t y_stride) {
  Product p = *rows;
  Sums s;
  p.b = x->tile_q + tile * x->groups * 512;
  p.column_scale = x->tile_scale + tile * x->groups * 16;
  p.column_bias = x->tile_sum + tile * x->groups * 16;
  if (tile) p.next = NULL;
  if (V == 2)
    rows_2(&p, &s);
  else
    rows_1(&p, &s);
  for (size_t v = 0; v < V; v++) {
    const size_t first = (tile + v) * KERN_TILE;
    __m512 sum[16];
    for (size_t r = 0; r < 16; r++) sum[r] = s.level[4][r * V + v];
    avx512_store_tile(sum, n_rows, n - first, y + first * y_stride, y_stride);
  }
}

INLINE void tiles(const int BITS, const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n,
                  float *y, size_t y_stride) {
  const size_t G = x->groups;
  size_t tile = 0;
  if (!is_few(n, 0)) {
    const Product p = {.groups = w->groups,
                       .per_lane = G / 16,
                       .a = scratch->codes,
                       .b_tile = G * 512,
                       .row_scale = scratch->scale,
                       .row_bias = scratch->bias,
                       .column_tile = G * 16,
                       .next = (const char *)w->w + 16 * w->w_stride,
                       .next_stride = w->w_stride,
                       .next_bytes = w->groups * 4 * (size_t)BITS};
    unpack(BITS, w, scratch->codes);
    avx512_tile_floats(w, w->scales, scratch->scale);
    avx512_tile_floats(w, w->biases, scratch->bias);
    for (size_t V; tile * KERN_TILE < n && !is_few(n, tile); tile += V) {
      V = (tile + 1) * KERN_TILE < n ? 2 : 1;
      product_of_tiles(&p, x, tile, V, w->rows, n, y, y_stride);
    }
  }
  const size_t t = tile * KERN_TILE;
  if (t < n) (BITS == 4 ? avx512_few_q4 : avx512_few_q8)(w, x, tile, n - t, y + t * y_stride, y_stride);
}

void amx_tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                 size_t y_stride) {
  tiles(4, w, scratch, x, n, y, y_stride);
}

void amx_tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                 size_t y_stride) {
  tiles(8, w, scratch, x, n, y, y_stride);
}

// --- panels, a row of weights a column ---------------------------------------------------------------

// A panel's codes are a B as they lie, and 16 tokens an A. What is left of them goes by AVX-512, as do
// nibbles, whose groups are in two places (no matrix in that order comes this way: it is read in place).
void amx_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
               size_t y_stride) {
  size_t t = 0;
  for (; x->order == KERN_ORDER_PLAIN && t + 16 <= n_x; t += 16) {
    const Product p = {.groups = w->groups,
                       .a = x->q + (first_x + t) * x->q_stride,
                       .b = w->codes,
                       .a_stride = x->q_stride,
                       .row_scale = x->scale + (first_x + t) * x->groups,
                       .row_bias = x->sum + (first_x + t) * x->groups,
                       .row_stride = x->groups,
                       .column_scale = w->scale,
                       .column_bias = w->bias};
    Sums s;
    tokens_1(&p, &s);
    for (size_t r = 0; r < 16; r++)
      _mm512_mask_storeu_ps(y + (t + r) * y_stride, first_lanes(rows), s.level[4][r]);
  }
  if (t < n_x) avx512_panel(w, x, first_x + t, n_x - t, rows, y + t * y_stride, y_stride);
}

// --- limits --------------------------------------------------------------------------------------

// Whole tiles, of 64 inputs, four chains of them.
float amx_peak_int8(size_t rounds) {
  enum { OPS = 2 * 16 * 16 * 64 };
  int32_t sum[256];
  configure(&whole);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  for (size_t r = 0; r < (rounds * KERN_PEAK_OPS + 4 * OPS - 1) / (4 * OPS); r++) {
    _tile_dpbusd(0, 4, 5);
    _tile_dpbusd(1, 4, 5);
    _tile_dpbusd(2, 4, 5);
    _tile_dpbusd(3, 4, 5);
  }
  _tile_stored(0, sum, 64);
  _tile_release();
  return (float)sum[0];
}

#else
typedef int kern_amx_is_for_x86_64;
#endif
