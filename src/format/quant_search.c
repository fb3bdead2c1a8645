// quant_search: see quant_search.h. From several ranges, each cut a little at its ends, codes and the
// best line through them (weighted least squares) are found in turn; the best of all is kept.
#include "format/quant_search.h"

#include <math.h>
#include <string.h>

enum {
  CUTS = 3,   // at each end of the range, in half steps
  ROUNDS = 2, // of codes and line
};

// Four floats at once, in the compiler's portable notation: sums in a fixed order on every machine.
typedef float Lanes __attribute__((vector_size(16)));
typedef int32_t Masks __attribute__((vector_size(16)));
enum { LANES = 4 };

typedef struct Group {
  const float *x, *h; // inputs and their weights
  size_t n;
  float levels; // 2^bits - 1
} Group;

typedef struct Line {
  float scale, bias;
} Line;

static inline Lanes load(const float *p) {
  Lanes v;
  memcpy(&v, p, sizeof v);
  return v;
}

static inline Lanes all(float f) { return (Lanes){f, f, f, f}; }

static inline Lanes codes_of(Lanes x, Line l, float inverse, float levels) {
  Lanes v = (x - all(l.bias)) * all(inverse), top = all(levels);
  v = (Lanes)((Masks)v & (v > all(0)));
  Masks below = v < top;
  v = (Lanes)(((Masks)v & below) | ((Masks)top & ~below));
  return (v + all(0x1p23f)) - all(0x1p23f); // rounded half to even
}

static inline double sum_of(Lanes v) { return ((double)v[0] + (double)v[1]) + ((double)v[2] + (double)v[3]); }

// The best line for the codes that `from` gives; false when the codes are all alike.
static bool refit(const Group *g, Line from, Line *to) {
  Lanes h1 = all(0), hq = h1, hqq = h1, hx = h1, hxq = h1;
  const float inverse = 1 / from.scale;
  for (size_t i = 0; i < g->n; i += LANES) {
    Lanes x = load(g->x + i), h = load(g->h + i), q = codes_of(x, from, inverse, g->levels);
    Lanes a = h * q, b = h * x;
    h1 += h;
    hq += a;
    hqq += a * q;
    hx += b;
    hxq += b * q;
  }
  double n = sum_of(h1), q = sum_of(hq), qq = sum_of(hqq), x = sum_of(hx), xq = sum_of(hxq);
  double det = n * qq - q * q;
  if (!(det > 1e-9 * n * qq)) return false;
  double scale = (n * xq - q * x) / det;
  *to = (Line){(float)scale, (float)((x - scale * q) / n)};
  return to->scale != 0 && isfinite(to->scale) && isfinite(to->bias);
}

static Line stored(Dtype type, Line l) {
  uint8_t bytes[8];
  dtype_from_f32(type, &l.scale, 1, bytes);
  dtype_from_f32(type, &l.bias, 1, bytes + 4);
  return (Line){dtype_load(type, bytes, 0), dtype_load(type, bytes + 4, 0)};
}

// The weighted error of the nearest codes.
static float error_of(const Group *g, Line l) {
  Lanes e = all(0);
  const float inverse = 1 / l.scale;
  for (size_t i = 0; i < g->n; i += LANES) {
    Lanes x = load(g->x + i), p = all(l.scale) * codes_of(x, l, inverse, g->levels),
          d = x - (p + all(l.bias));
    e += load(g->h + i) * d * d;
  }
  return (float)sum_of(e);
}

// The weighted error of given codes, decoded as mat_row does.
static float error_of_codes(const Group *g, Line l, const uint8_t *codes) {
  double e = 0;
  for (size_t i = 0; i < g->n; i++) {
    float p = l.scale * (float)codes[i], d = g->x[i] - (p + l.bias);
    e += (double)(g->h[i] * d * d);
  }
  return (float)e;
}

static void consider(const Group *g, Dtype type, Line l, Line *best, float *least) {
  l = stored(type, l);
  if (l.scale == 0 || !isfinite(l.scale) || !isfinite(l.bias)) return;
  float e = error_of(g, l);
  if (!(e < *least)) return;
  *least = e;
  *best = l;
}

// Searches beside `plain`, MLX's line, whose range runs from plain.bias over all levels.
static Line search(const Group *g, Dtype type, Line plain, float *least) {
  Line best = stored(type, plain);
  for (int a = 0; a < CUTS; a++)
    for (int b = 0; b < CUTS; b++) {
      float shrink = (g->levels - 0.5f * (float)(a + b)) / g->levels;
      if (shrink <= 0) continue;
      Line l = {plain.scale * shrink, plain.bias + 0.5f * (float)a * plain.scale};
      for (int round = 0; round < ROUNDS && refit(g, l, &l); round++) consider(g, type, l, &best, least);
    }
  return best;
}

void quant_search_row(const QuantSpec *q, const float *x, const float *weight, size_t cols, uint8_t *codes,
                      uint8_t *scales, uint8_t *biases) {
  uint8_t raw[QUANT_MAX_GROUP], better[QUANT_MAX_GROUP];
  size_t group = (size_t)q->group, step = group * (size_t)q->bits / 8, size = dtype_size(q->type);
  for (size_t k = 0; k < cols / group; k++, x += group, weight += group, codes += step) {
    Group g = {x, weight, group, (float)((1 << q->bits) - 1)};
    Line plain, kept;
    quant_affine_range(q, x, &plain.scale, &plain.bias);
    quant_affine_codes(q, x, plain.scale, plain.bias, raw);
    kept = stored(q->type, plain);
    float before = error_of_codes(&g, kept, raw), least = before;
    Line best = search(&g, q->type, plain, &least);
    if (least < before) {
      quant_affine_codes(q, x, best.scale, best.bias, better);
      if (error_of_codes(&g, best, better) < before) {
        memcpy(raw, better, group);
        kept = best;
      }
    }
    quant_pack(raw, group, q->bits, codes);
    dtype_from_f32(q->type, &kept.scale, 1, scales + k * size);
    dtype_from_f32(q->type, &kept.bias, 1, biases + k * size);
  }
}
