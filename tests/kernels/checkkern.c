// checkkern: every kernel on every rung that this machine has against the scalar truth, bit for bit,
// on random and extreme inputs, at sizes that leave tails, in buffers that end at an unmapped page.
// Where the processor has no AMX, that rung's tiles are emulated (amx_trap). Prints times, which decide
// nothing. Arguments: only the rung of that name; and "check" for no times.
#include "amx_trap.h"
#include "base/cpu.h"
#include "format/dtype.h"
#include "guard.h"
#include "kernels/kern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint32_t next_u32(void) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return (uint32_t)(seed >> 16);
}

static float uniform(void) { return (float)next_u32() / 2147483648.0f - 1.0f; }

// How the inputs of a round look.
typedef enum Flavour { PLAIN, OUTLIERS, EXTREMES, ZEROS, N_FLAVOURS } Flavour;
static const char *const flavour_names[] = {"plain", "outliers", "extremes", "zeros"};

static float value(Flavour f) {
  const float u = uniform();
  if (f == ZEROS) return next_u32() % 8 ? 0.0f : -0.0f;
  if (f == OUTLIERS) return next_u32() % 64 ? u : u * 700.0f;
  if (f == EXTREMES) return u * (next_u32() % 3 ? next_u32() % 2 ? 1e-38f : 3e4f : 1e-20f);
  return u;
}

static float *floats(size_t n, Flavour f) {
  float *v = guard_alloc(n * sizeof *v);
  for (size_t i = 0; i < n; i++) v[i] = value(f);
  return v;
}

static uint16_t *halves(size_t n, Flavour f) {
  uint16_t *v = guard_alloc(n * sizeof *v);
  for (size_t i = 0; i < n; i++) v[i] = dtype_f32_to_f16(value(f));
  return v;
}

static uint8_t *bytes(size_t n, Flavour f) {
  uint8_t *v = guard_alloc(n);
  for (size_t i = 0; i < n; i++) v[i] = f == EXTREMES ? 255 : f == ZEROS ? 0 : (uint8_t)next_u32();
  return v;
}

static const char *rung, *kernel;
static Flavour flavour;
static int failures;

static void same(const char *what, const void *got, const void *want, size_t n, size_t a, size_t b) {
  if (!memcmp(got, want, n)) return;
  size_t i = 0;
  while (((const uint8_t *)got)[i] == ((const uint8_t *)want)[i]) i++;
  float g = 0, w = 0;
  const size_t at = i & ~(size_t)3, whole = at + 4 <= n ? 4 : 0;
  memcpy(&g, (const uint8_t *)got + at, whole);
  memcpy(&w, (const uint8_t *)want + at, whole);
  printf("FAIL %s.%s %s (%s; %zu x %zu): byte %zu; %.9g, expected %.9g\n", rung, kernel, what,
         flavour_names[flavour], a, b, i, (double)g, (double)w);
  failures++;
}

// Tokens as the model quantizes them: by the scalar truth.
static KernActs acts(size_t tokens, size_t groups, KernOrder order, float *x /* or NULL */) {
  const size_t G = kern_pad_groups(groups);
  KernActs a = {.groups = G, .q_stride = kern_q_stride(groups), .order = order};
  a.q = guard_alloc(tokens * a.q_stride);
  a.scale = guard_alloc(tokens * G * sizeof(float));
  a.sum = guard_alloc(tokens * G * sizeof(float));
  if (!x) x = floats(tokens * groups * KERN_GROUP, flavour);
  for (size_t t = 0; t < tokens; t++) kern_scalar.quantize(x + t * groups * KERN_GROUP, groups, &a, t);
  return a;
}

// The codes begin `pad` bytes nearer to the page's begin than they could: where a bundle's header leaves
// them.
static KernRows rows_before(size_t pad, size_t rows, size_t groups, int bits) {
  KernRows w = {
      .rows = rows, .groups = groups, .w_stride = groups * (size_t)bits * 4, .s_stride = groups * 2};
  w.w = bytes(rows * w.w_stride + pad, flavour);
  w.scales = (const uint8_t *)halves(rows * groups, flavour);
  w.biases = (const uint8_t *)halves(rows * groups, flavour);
  return w;
}

static KernRows rows_of(size_t rows, size_t groups, int bits) { return rows_before(0, rows, groups, bits); }

static KernPanel panel_of(size_t groups) {
  const size_t G = kern_pad_groups(groups);
  return (KernPanel){.groups = G,
                     .bits = 8,
                     .codes = guard_alloc(G * 512),
                     .scale = guard_alloc(G * 64),
                     .bias = guard_alloc(G * 64)};
}

static void begin(const Kern *k, size_t tokens) {
  if (k->begin) k->begin(tokens);
}

static void end(const Kern *k) {
  if (k->end) k->end();
}

static void check_exact(const Kern *k) {
  static const size_t sizes[] = {1, 7, 15, 16, 17, 31, 64, 100, 256, 1031};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const size_t n = sizes[s], T = 1 + s;
    float *a = floats(n, flavour), *x = floats(T * n, flavour), y[2][16];
    kernel = "dot";
    y[0][0] = k->dot(a, x, n);
    y[1][0] = kern_scalar.dot(a, x, n);
    same("y", y[0], y[1], 4, n, 1);
    kernel = "dot_rows";
    k->dot_rows(a, x, n, T, n, y[0], 1);
    kern_scalar.dot_rows(a, x, n, T, n, y[1], 1);
    same("y", y[0], y[1], T * 4, n, T);
    kernel = "axpy";
    float *y0 = floats(n, flavour), *y1 = guard_alloc(n * 4);
    memcpy(y1, y0, n * 4);
    k->axpy(1.7f, a, y0, n);
    kern_scalar.axpy(1.7f, a, y1, n);
    same("y", y0, y1, n * 4, n, 1);
    guard_free_all();
  }
}

static void check_rows_f16(const Kern *k) {
  static const size_t sizes[][3] = {{1, 1, 1}, {5, 17, 3}, {4, 64, 4}, {9, 250, 6}, {16, 256, 9}, {3, 33, 1}};
  kernel = "rows_f16";
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const size_t R = sizes[s][0], n = sizes[s][1], T = sizes[s][2];
    const uint8_t *w = (const uint8_t *)halves(R * n, flavour);
    float *x = floats(T * n, flavour), *y0 = guard_alloc(T * R * 4), *y1 = guard_alloc(T * R * 4);
    k->rows_f16(w, n * 2, R, n, x, n, T, y0, R);
    kern_scalar.rows_f16(w, n * 2, R, n, x, n, T, y1, R);
    same("y", y0, y1, T * R * 4, R, n);
    guard_free_all();
  }
}

static const size_t group_counts[] = {1, 2, 3, 4, 5, 8, 13, 15, 16, 17, 22, 32, 47, 64, 83, 130};
enum { N_GROUP_COUNTS = sizeof group_counts / sizeof *group_counts };

static void check_quantize(const Kern *k) {
  kernel = "quantize";
  for (int i = 0; i < N_GROUP_COUNTS; i++)
    for (int order = 0; order < 2; order++) {
      const size_t n = group_counts[i];
      float *x = floats(n * KERN_GROUP, flavour);
      const KernActs want = acts(1, n, order, x);
      KernActs got = acts(1, n, order, x);
      memset(got.q, 0x55, got.groups * KERN_GROUP);
      memset(got.scale, 0x55, got.groups * 4);
      memset(got.sum, 0x55, got.groups * 4);
      k->quantize(x, n, &got, 0);
      same("q", got.q, want.q, got.groups * KERN_GROUP, n, (size_t)order);
      same("scale", got.scale, want.scale, got.groups * 4, n, (size_t)order);
      same("sum", got.sum, want.sum, got.groups * 4, n, (size_t)order);
      guard_free_all();
    }
}

static void check_rows(const Kern *k, int bits) {
  kernel = bits == 4 ? "rows_q4" : "rows_q8";
  for (int i = 0; i < N_GROUP_COUNTS; i++) {
    const size_t n = group_counts[i], R = 1 + (size_t)i % 5, T = 1 + (size_t)i % 8;
    const KernActs x = acts(T + 1, n, bits == 4 ? KERN_ORDER_NIBBLES : KERN_ORDER_PLAIN, NULL);
    const KernRows w = rows_of(R, n, bits);
    float *y0 = guard_alloc(T * R * 4), *y1 = guard_alloc(T * R * 4);
    (bits == 4 ? k->rows_q4 : k->rows_q8)(&w, &x, 1, T, y0, R);
    (bits == 4 ? kern_scalar.rows_q4 : kern_scalar.rows_q8)(&w, &x, 1, T, y1, R);
    same("y", y0, y1, T * R * 4, n, T);
    guard_free_all();
  }
}

// Panels: unpacked alike, multiplied alike, and the same bits as the rows they came from.
static void check_panel(const Kern *k) {
  for (int i = 0; i < N_GROUP_COUNTS; i++) {
    const size_t n = group_counts[i], R = i % 3 ? 16 : 1 + (size_t)i % 16, T = 1 + (size_t)i * 7 % 27;
    const KernActs x = acts(T + 1, n, KERN_ORDER_NIBBLES, NULL);
    const KernRows w = rows_of(R, n, 4);
    KernPanel p0 = panel_of(n), p1 = panel_of(n);
    float *y0 = guard_alloc(T * R * 4), *y1 = guard_alloc(T * R * 4), *y2 = guard_alloc(T * R * 4);
    kernel = "unpack_q4";
    memset(p0.codes, 0x55, p0.groups * 512);
    memset(p0.scale, 0x55, p0.groups * 64);
    memset(p0.bias, 0x55, p0.groups * 64);
    k->unpack_q4(&w, &p0);
    kern_scalar.unpack_q4(&w, &p1);
    kernel = "panel";
    begin(k, T);
    k->panel(&p0, &x, 1, T, R, y0, R);
    end(k);
    kern_scalar.panel(&p1, &x, 1, T, R, y1, R);
    kern_scalar.rows_q4(&w, &x, 1, T, y2, R);
    same("y", y0, y1, T * R * 4, n, T);
    same("scalar panel against rows", y1, y2, T * R * 4, n, T);
    guard_free_all();
  }
}

// R rows of n groups, `pad` bytes before where they could be, times T tokens in tiles, against the rows of
// the truth.
static void check_tile_of(const Kern *k, int bits, size_t n, size_t pad, size_t R, size_t T) {
  KernActs x = acts(T, n, bits == 4 ? KERN_ORDER_NIBBLES : KERN_ORDER_PLAIN, NULL);
  const size_t tiles = (T + KERN_TILE - 1) / KERN_TILE;
  x.tile_q = guard_alloc(tiles * x.groups * 512);
  x.tile_scale = guard_alloc(tiles * x.groups * KERN_TILE * 4);
  x.tile_sum = guard_alloc(tiles * x.groups * KERN_TILE * 4);
  for (size_t t = 0; t < tiles; t++) k->pack_tile(&x, t, T);
  const KernRows w = rows_before(pad, R, n, bits);
  const KernPanel scratch = panel_of(n);
  float *y0 = guard_alloc(T * R * 4), *y1 = guard_alloc(T * R * 4);
  begin(k, T);
  (bits == 4 ? k->tile_q4 : k->tile_q8)(&w, &scratch, &x, T, y0, R);
  end(k);
  (bits == 4 ? kern_scalar.rows_q4 : kern_scalar.rows_q8)(&w, &x, 0, T, y1, R);
  same("y", y0, y1, T * R * 4, n, T);
  guard_free_all();
}

// For every number of tokens that leaves another tail, and every way to fill four tiles.
static void check_tile(const Kern *k, int bits) {
  if (!k->pack_tile) return;
  kernel = bits == 4 ? "tile_q4" : "tile_q8";
  for (int i = 0; i < N_GROUP_COUNTS; i++) {
    check_tile_of(k, bits, group_counts[i], 0, i % 3 ? 16 : 1 + (size_t)i % 16, 1 + next_u32() % 51);
    check_tile_of(k, bits, group_counts[i], 0, i % 3 ? 1 + (size_t)i % 16 : 16, 52 + next_u32() % 51);
  }
  for (size_t T = 1; T <= 4 * KERN_TILE + 1; T++) check_tile_of(k, bits, T % 2 ? 19 : 16, 0, 1 + T % 16, T);
  static const size_t pads[] = {4, 8, 32, 40, 60, 1, 2, 63}; // no line begins with a row's codes
  for (size_t i = 0; i < sizeof pads / sizeof *pads; i++)
    for (size_t T = 1; T <= 9; T++) check_tile_of(k, bits, T % 2 ? 32 : 35, pads[i], 1 + T, T);
}

// Panels of codes of 8 bits in plain order, against the rows of the same codes.
static void check_panel_wide(const Kern *k) {
  kernel = "panel (8 bits)";
  for (int i = 0; i < N_GROUP_COUNTS; i++) {
    const size_t n = group_counts[i], T = 1 + next_u32() % 41, R = 1 + (size_t)i * 3 % 16;
    const KernActs x = acts(T, n, KERN_ORDER_PLAIN, NULL);
    const KernRows w = rows_of(R, n, 8);
    KernPanel p = panel_of(n);
    for (size_t r = 0; r < R; r++)
      for (size_t g = 0; g < n; g++) {
        for (size_t c = 0; c < KERN_GROUP; c++)
          p.codes[g * 512 + c / 4 * 64 + r * 4 + c % 4] = w.w[r * w.w_stride + g * KERN_GROUP + c];
        p.scale[g * 16 + r] = dtype_load(DT_F16, w.scales + r * w.s_stride, g);
        p.bias[g * 16 + r] = dtype_load(DT_F16, w.biases + r * w.s_stride, g);
      }
    float *y0 = guard_alloc(T * R * 4), *y1 = guard_alloc(T * R * 4);
    begin(k, T);
    k->panel(&p, &x, 0, T, R, y0, R);
    end(k);
    kern_scalar.rows_q8(&w, &x, 0, T, y1, R);
    same("y", y0, y1, T * R * 4, n, T);
    guard_free_all();
  }
}

static void check_silu(const Kern *k) {
  kernel = "silu_mul";
  for (size_t n = 1; n < 70; n += 11) {
    float *g0 = floats(n, flavour), *up = floats(n, flavour), *g1 = guard_alloc(n * 4);
    if (n > 4) g0[0] = 1e5f, g0[1] = -1e5f, g0[2] = -87.5f, g0[3] = 89.0f;
    memcpy(g1, g0, n * 4);
    k->silu_mul(g0, up, n);
    kern_scalar.silu_mul(g1, up, n);
    same("gate", g0, g1, n * 4, n, 1);
    guard_free_all();
  }
}

static void check_to_f16(const Kern *k) {
  kernel = "to_f16";
  for (size_t n = 1; n < 70; n += 11) {
    float *x = floats(n, flavour);
    uint16_t *y0 = guard_alloc(n * 2), *y1 = guard_alloc(n * 2);
    if (n > 4) x[0] = 1e5f, x[1] = -70000.0f, x[2] = 65519.9f, x[3] = 3e-8f;
    k->to_f16(x, y0, n);
    kern_scalar.to_f16(x, y1, n);
    same("y", y0, y1, n * 2, n, 1);
    guard_free_all();
  }
}

// Two vectors alike: for a rung and for the truth. Extreme ones hold what is no number, too large or
// denormal.
typedef struct Pair {
  float *got, *want;
} Pair;

static Pair pair(size_t n) {
  static const float odd[] = {INFINITY, -INFINITY, NAN, 1e-40f, -1e-45f, 3.4e38f, -3.4e38f, -0.0f};
  const Pair p = {floats(n, flavour), guard_alloc(n * 4)};
  for (size_t i = 0; i < n && flavour == EXTREMES; i++)
    if (next_u32() % 8 == 0) p.got[i] = odd[next_u32() % 8];
  memcpy(p.want, p.got, n * 4);
  return p;
}

// One NaN is as good as another: which of two comes out of a sum is the compiler's choice.
static void agree(const char *what, Pair p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (isnan(p.got[i]) && isnan(p.want[i])) p.got[i] = p.want[i];
  same(what, p.got, p.want, n * 4, n, 1);
}

static void check_gelu(const Kern *k, size_t n) {
  kernel = "gelu";
  const Pair x = pair(n), bias = pair(n);
  for (size_t i = 0; i < n; i++) bias.got[i] *= 6; // to both ranges of erf and beyond
  k->gelu(x.got, bias.got, n);
  kern_scalar.gelu(x.want, bias.got, n);
  agree("x", x, n);
  guard_free_all();
}

static void check_merge(const Kern *k, size_t n) {
  kernel = "merge";
  const Pair r = pair(n), a = pair(n), b = pair(n), h = pair(n), c = pair(n), d = pair(n);
  k->merge(r.got, a.got, b.got, h.got, c.got, d.got, n);
  kern_scalar.merge(r.want, a.want, b.want, h.want, c.want, d.want, n);
  agree("r", r, n);
  k->merge(r.got, NULL, NULL, h.got, c.got, d.got, n);
  kern_scalar.merge(r.want, NULL, NULL, h.want, c.want, d.want, n);
  agree("the first r", r, n);
  agree("h", h, n);
  guard_free_all();
}

static void check_scales(const Kern *k, size_t n) {
  const Pair x = pair(n), w = pair(n), y = pair(n);
  kernel = "norm";
  k->norm(x.got, 0.7f, w.got, n, y.got);
  kern_scalar.norm(x.want, 0.7f, w.want, n, y.want);
  agree("out", y, n);
  k->norm(x.got, 0.7f, w.got, n, x.got);
  kern_scalar.norm(x.want, 0.7f, w.want, n, x.want);
  agree("out in place", x, n);
  agree("out", y, n);
  kernel = "scale";
  k->scale(y.got, 1.7f, n);
  kern_scalar.scale(y.want, 1.7f, n);
  agree("x", y, n);
  kernel = "add";
  k->add(y.got, w.got, n);
  kern_scalar.add(y.want, w.want, n);
  agree("x", y, n);
  kernel = "blend";
  k->blend(y.got, 0.9f, w.got, 1.3f, n);
  kern_scalar.blend(y.want, 0.9f, w.want, 1.3f, n);
  agree("y", y, n);
  kernel = "weigh";
  k->weigh(1.7f, w.got, y.got, n);
  kern_scalar.weigh(1.7f, w.want, y.want, n);
  agree("y", y, n);
  guard_free_all();
}

static void check_frames(const Kern *k, size_t n) {
  kernel = "rotate";
  const Pair x = pair(2 * n), cosine = pair(n), sine = pair(n);
  k->rotate(x.got, cosine.got, sine.got, n);
  kern_scalar.rotate(x.want, cosine.want, sine.want, n);
  agree("x", x, 2 * n);
  kernel = "taps";
  const Pair w = pair(2 * n), bias = pair(n), f2 = pair(n), f1 = pair(n), f0 = pair(n), out = pair(2 * n);
  k->taps(w.got, bias.got, f2.got, f1.got, f0.got, n, out.got);
  kern_scalar.taps(w.want, bias.want, f2.want, f1.want, f0.want, n, out.want);
  agree("out", out, 2 * n);
  guard_free_all();
}

static void check_elem(const Kern *k) {
  for (size_t n = 1; n <= 70; n++) {
    check_gelu(k, n);
    check_merge(k, n);
    check_scales(k, n);
    check_frames(k, n);
  }
}

static void check_attend(const Kern *k, bool q8) {
  // tokens, heads of each, positions, dimensions
  static const size_t sizes[][4] = {
      {1, 1, 1, 16},    {1, 4, 256, 128}, {1, 3, 17, 32},  {1, 2, 100, 48}, // whole vectors
      {1, 4, 5, 64},    {1, 8, 31, 80},   {1, 5, 256, 8},  {1, 4, 255, 24}, // a half at the end
      {1, 3, 33, 40},   {1, 8, 2, 72},    {1, 1, 19, 88},  {1, 2, 3, 120},
      {8, 4, 256, 128}, {3, 3, 255, 128}, {9, 4, 40, 64},  {5, 2, 33, 24}, // several tokens
      {2, 5, 256, 136}, {17, 2, 7, 8},    {33, 1, 64, 48},
  };
  kernel = q8 ? "attend (int8)" : "attend";
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const size_t T = sizes[s][0], G = sizes[s][1], heads = T * G, n = sizes[s][2], D = sizes[s][3];
    KernAttend a = {.heads = heads, .n = n, .dim = D, .group = G, .token_stride = (G + 1) * D};
    a.q = floats((T * (G + 1) - 1) * D, flavour == EXTREMES ? OUTLIERS : flavour);
    a.k = halves(n * D, flavour == EXTREMES ? PLAIN : flavour);
    a.v = halves(n * D, flavour);
    if (q8) {
      int8_t *codes = guard_alloc(2 * n * D);
      for (size_t i = 0; i < 2 * n * D; i++) codes[i] = (int8_t)next_u32();
      a.k = codes;
      a.v = codes + n * D;
      a.k_scale = floats(n, PLAIN);
      a.v_scale = floats(n, flavour);
      for (size_t i = 0; i < n; i++) { // scales are never negative
        ((float *)a.k_scale)[i] = fabsf(a.k_scale[i]);
        ((float *)a.v_scale)[i] = fabsf(a.v_scale[i]);
      }
    }
    float *out[2], *max[2], *sum[2];
    for (int i = 0; i < 2; i++) {
      a.out = out[i] = guard_alloc(heads * D * 4);
      a.max = max[i] = guard_alloc(heads * 4);
      a.sum = sum[i] = guard_alloc(heads * 4);
      (i ? &kern_scalar : k)->attend(&a);
    }
    same("max", max[0], max[1], heads * 4, n, D);
    same("sum", sum[0], sum[1], heads * 4, n, D);
    same("out", out[0], out[1], heads * D * 4, n, D);
    guard_free_all();
  }
}

// Products that vanish below zero make every lane -0, which adding a +0 would undo: lanes that a half vector
// does not have must be left as they are.
static void check_attend_minus_zero(const Kern *k) {
  enum { D = 24, N = 5 };
  kernel = "attend (-0)";
  KernAttend a = {.heads = 1, .n = N, .dim = D, .group = 1, .token_stride = D};
  float *q = guard_alloc(D * 4), out[2][D], max[2], sum[2];
  uint16_t *kv = guard_alloc(N * D * 2);
  for (int i = 0; i < D; i++) q[i] = -1e-38f;
  for (int i = 0; i < N * D; i++) kv[i] = 1; // 6e-8
  a.q = q;
  a.k = a.v = kv;
  for (int i = 0; i < 2; i++) {
    a.out = out[i], a.max = &max[i], a.sum = &sum[i];
    (i ? &kern_scalar : k)->attend(&a);
  }
  if (max[1] != 0 || !signbit(max[1]))
    printf("FAIL the truth gives %g, not -0\n", (double)max[1]), failures++;
  same("max", &max[0], &max[1], 4, N, D);
  same("sum", &sum[0], &sum[1], 4, N, D);
  same("out", out[0], out[1], D * 4, N, D);
  guard_free_all();
}

// --- times ---------------------------------------------------------------------------------------

// Time that this thread computed: other processes do not count.
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const char *what, double amount, const char *unit, double start, int repeats) {
  printf("  %-8s %-24s %9.2f %s\n", rung, what, amount * repeats / (now() - start) * 1e-9, unit);
}

enum { TIME_GROUPS = 64, TIME_ROWS = 2048 };

static void time_rows(const Kern *k, int bits, size_t T) {
  const KernActs x = acts(T, TIME_GROUPS, bits == 4 ? KERN_ORDER_NIBBLES : KERN_ORDER_PLAIN, NULL);
  const KernRows w = rows_of(TIME_ROWS, TIME_GROUPS, bits);
  float *y = guard_alloc(T * TIME_ROWS * 4);
  const int repeats = 200;
  const double start = now();
  for (int i = 0; i < repeats; i++) (bits == 4 ? k->rows_q4 : k->rows_q8)(&w, &x, 0, T, y, TIME_ROWS);
  char what[64];
  snprintf(what, sizeof what, "rows_q%d, %zu token%s", bits, T, T > 1 ? "s" : "");
  report(what, (double)TIME_ROWS * (double)(w.w_stride + 2 * w.s_stride), "GB/s from L2 and L3", start,
         repeats);
  guard_free_all();
}

static void time_panel(const Kern *k, size_t T) {
  const KernActs x = acts(T, TIME_GROUPS, KERN_ORDER_NIBBLES, NULL);
  KernRows w = rows_of(16, TIME_GROUPS, 4);
  KernPanel p = panel_of(TIME_GROUPS);
  float *y = guard_alloc(T * 16 * 4);
  const int repeats = 4000;
  char what[64];
  double start = now();
  for (int i = 0; i < repeats; i++) k->unpack_q4(&w, &p);
  report("unpack_q4", 16.0 * TIME_GROUPS * 32, "Gcodes/s", start, repeats);
  start = now();
  begin(k, T);
  for (int i = 0; i < repeats; i++) k->panel(&p, &x, 0, T, 16, y, 16);
  end(k);
  snprintf(what, sizeof what, "panel, %zu tokens", T);
  report(what, 2.0 * 16 * TIME_GROUPS * 32 * (double)T, "GOP/s", start, repeats);
  guard_free_all();
}

static void time_tile(const Kern *k, int bits, size_t T) {
  if (!k->pack_tile) return;
  KernActs x = acts(T, TIME_GROUPS, bits == 4 ? KERN_ORDER_NIBBLES : KERN_ORDER_PLAIN, NULL);
  const size_t tiles = (T + KERN_TILE - 1) / KERN_TILE;
  x.tile_q = guard_alloc(tiles * x.groups * 512);
  x.tile_scale = guard_alloc(tiles * x.groups * KERN_TILE * 4);
  x.tile_sum = guard_alloc(tiles * x.groups * KERN_TILE * 4);
  for (size_t t = 0; t < tiles; t++) k->pack_tile(&x, t, T);
  const KernRows w = rows_of(16, TIME_GROUPS, bits);
  const KernPanel scratch = panel_of(TIME_GROUPS);
  float *y = guard_alloc(T * 16 * 4);
  const int repeats = 4000;
  char what[64];
  const double start = now();
  begin(k, T);
  for (int i = 0; i < repeats; i++) (bits == 4 ? k->tile_q4 : k->tile_q8)(&w, &scratch, &x, T, y, 16);
  snprintf(what, sizeof what, "tile_q%d, %zu tokens", bits, T);
  report(what, 2.0 * 16 * TIME_GROUPS * 32 * (double)T, "GOP/s", start, repeats);
  guard_free_all();
}

static void time_peaks(const Kern *k) {
  double start = now();
  (void)k->peak_int8(20000);
  report("peak_int8", KERN_PEAK_OPS * 20000.0, "GOP/s", start, 1);
  start = now();
  (void)k->peak_f32(20000);
  report("peak_f32", KERN_PEAK_OPS * 20000.0, "GFLOP/s", start, 1);
}

static void time_others(const Kern *k) {
  const size_t n = 2048;
  const uint8_t *w = (const uint8_t *)halves(256 * n, PLAIN);
  float *x = floats(8 * n, PLAIN), *y = guard_alloc(8 * 256 * 4), *up = floats(n, PLAIN);
  double start = now();
  for (int i = 0; i < 100; i++) k->rows_f16(w, 2 * n, 256, n, x, n, 1, y, 256);
  report("rows_f16, 1 token", 256.0 * 2 * (double)n, "GB/s", start, 100);
  start = now();
  for (int i = 0; i < 100; i++) k->rows_f16(w, 2 * n, 256, n, x, n, 8, y, 256);
  report("rows_f16, 8 tokens", 2.0 * 8 * 256 * (double)n, "GFLOP/s", start, 100);
  KernActs a = acts(1, n / 32, KERN_ORDER_NIBBLES, x);
  start = now();
  for (int i = 0; i < 10000; i++) k->quantize(x, n / 32, &a, 0);
  report("quantize", (double)n, "Gvalues/s", start, 10000);
  start = now();
  for (int i = 0; i < 2000; i++) k->silu_mul(up, x, n);
  report("silu_mul", (double)n, "Gvalues/s", start, 2000);
  start = now();
  for (int i = 0; i < 2000; i++) k->gelu(up, x, n);
  report("gelu", (double)n, "Gvalues/s", start, 2000);
  start = now();
  for (int i = 0; i < 2000; i++) k->merge(up, x, x + n, x + 2 * n, x + 3 * n, x + 4 * n, n);
  report("merge", (double)n, "Gvalues/s", start, 2000);
  guard_free_all();
  for (size_t T = 1; T <= 8; T += 7) {
    enum { G = 4, D = 128 };
    char what[32];
    KernAttend t = {.heads = T * G, .n = KERN_BLOCK, .dim = D, .group = G, .token_stride = G * D};
    t.q = floats(T * G * D, PLAIN);
    t.k = halves(KERN_BLOCK * D, PLAIN);
    t.v = halves(KERN_BLOCK * D, PLAIN);
    t.out = guard_alloc(T * G * D * 4);
    t.max = guard_alloc(T * G * 4);
    t.sum = guard_alloc(T * G * 4);
    snprintf(what, sizeof what, "attend, %zu heads", T * G);
    start = now();
    for (int i = 0; i < 1000; i++) k->attend(&t);
    report(what, 2.0 * (double)(T * G) * KERN_BLOCK * D * 2, "GFLOP/s", start, 1000);
    guard_free_all();
  }
}

static void check(const Kern *k, const char *name) {
  rung = name;
  for (int round = 0; round < 3; round++)
    for (flavour = 0; flavour < N_FLAVOURS; flavour++) {
      check_exact(k);
      check_rows_f16(k);
      check_quantize(k);
      check_rows(k, 4);
      check_rows(k, 8);
      check_panel(k);
      check_panel_wide(k);
      check_tile(k, 4);
      check_tile(k, 8);
      check_silu(k);
      check_to_f16(k);
      check_elem(k);
      check_attend(k, false);
      check_attend(k, true);
      check_attend_minus_zero(k);
    }
  printf("%s: %s\n", rung, failures ? "FAILED" : "every kernel gives the bits of the scalar truth");
  fflush(stdout);
}

static void print_times(const Kern *k) {
  flavour = PLAIN;
  time_peaks(k);
  time_rows(k, 4, 1);
  time_rows(k, 4, 4);
  time_rows(k, 8, 1);
  time_panel(k, 36);
  time_panel(k, 8);
  time_tile(k, 4, 4);
  time_tile(k, 4, 8);
  time_tile(k, 4, 16);
  time_tile(k, 4, 32);
  time_tile(k, 4, 128);
  time_tile(k, 8, 8);
  time_tile(k, 8, 32);
  time_others(k);
}

// The AMX rung where only the rest of its instructions is there.
static bool check_emulated(void) {
#if defined(__linux__) && defined(__x86_64__)
  const unsigned has = cpu_features();
  if (has & CPU_AMX_INT8 || !(has & CPU_AVX512_VNNI)) return false;
  const unsigned long before = amx_trap_count();
  if (!amx_trap_install()) return false;
  check(&kern_amx, "amx (emulated)");
  if (amx_trap_count() == before) printf("FAIL the rung did without tiles\n"), failures++;
  return true;
#else
  return false;
#endif
}

int main(int argc, char **argv) {
  int checked = 0;
  for (size_t i = 0; kern_available(i); i++) {
    const Kern *k = kern_available(i);
    if (k == &kern_scalar || (argc > 1 && strcmp(argv[1], k->name))) continue;
    check(k, k->name);
    checked++;
    if (argc <= 2 || strcmp(argv[2], "check")) print_times(k);
  }
  if (argc == 1 || !strcmp(argv[1], "amx")) checked += check_emulated();
  if (argc > 1 && !checked) printf("this machine has no rung called %s\n", argv[1]);
  return failures || (argc > 1 && !checked);
}
