// quant: see quant.h. The loops work on eight lanes at a time so that the compiler makes vector code of
// them without being allowed to reorder float arithmetic.
#include "format/quant.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

// --- affine --------------------------------------------------------------------------------------------

static float round_scalar(QuantRound round, float v) {
  return round == QUANT_MLX_METAL ? roundf(v) : rintf(v);
}

static void min_max(const float *x, size_t n, float *min, float *max) {
  float lo[LANES], hi[LANES];
  for (int j = 0; j < LANES; j++) lo[j] = hi[j] = x[j];
  for (size_t i = LANES; i < n; i += LANES)
    for (size_t j = 0; j < LANES; j++) {
      lo[j] = x[i + j] < lo[j] ? x[i + j] : lo[j];
      hi[j] = x[i + j] > hi[j] ? x[i + j] : hi[j];
    }
  for (int j = 1; j < LANES; j++) {
    lo[0] = lo[j] < lo[0] ? lo[j] : lo[0];
    hi[0] = hi[j] > hi[0] ? hi[j] : hi[0];
  }
  *min = lo[0];
  *max = hi[0];
}

void quant_affine_range(const QuantSpec *q, const float *x, float *scale, float *bias) {
  const float levels = (float)((1 << q->bits) - 1);
  float min, max;
  min_max(x, (size_t)q->group, &min, &max);
  if (q->round == QUANT_MLX_METAL && max < 0) max = 0;
  float s = (max - min) / levels;
  if (!(s > 1e-7f)) s = 1e-7f;
  bool low = fabsf(min) > fabsf(max);
  if (!low) s = -s;
  // The edge of larger magnitude must be a level exactly, so that zero is one too.
  float edge = low ? min : max, q0 = round_scalar(q->round, edge / s);
  *scale = q0 != 0 ? edge / q0 : s;
  *bias = q0 != 0 ? edge : 0;
}

// Codes of n inputs; clamped before rounding, which is the same and keeps the integers small.
static inline void codes_even(const float *x, size_t n, float scale, float bias, float levels, uint8_t *out) {
  for (size_t i = 0; i < n; i++) {
    float v = (x[i] - bias) / scale;
    v = v > 0 ? v : 0; // a NaN from a degenerate group becomes 0 too
    v = v < levels ? v : levels;
    // Adding 2^23 leaves the integer, rounded half to even, in the low bits.
    out[i] = (uint8_t)dtype_f32_to_bits(v + 0x1p23f);
  }
}

static inline void codes_away(const float *x, size_t n, float scale, float bias, float levels, uint8_t *out) {
  for (size_t i = 0; i < n; i++) {
    float v = (x[i] - bias) / scale;
    v = v > 0 ? v : 0;
    v = v < levels ? v : levels;
    int t = (int)v;
    out[i] = (uint8_t)(t + (v - (float)t >= 0.5f));
  }
}

void quant_affine_codes(const QuantSpec *q, const float *x, float scale, float bias, uint8_t *codes) {
  const float levels = (float)((1 << q->bits) - 1);
  if (q->round == QUANT_MLX_METAL)
    codes_away(x, (size_t)q->group, scale, bias, levels, codes);
  else if (q->group == 32)
    codes_even(x, 32, scale, bias, levels, codes);
  else
    codes_even(x, (size_t)q->group, scale, bias, levels, codes);
}

void quant_pack(const uint8_t *codes, size_t n, int bits, uint8_t *out) {
  if (bits == 8) {
    memcpy(out, codes, n);
  } else if (bits == 4) {
    for (size_t i = 0; i < n / 2; i++) out[i] = (uint8_t)(codes[2 * i] | codes[2 * i + 1] << 4);
  } else {
    for (size_t i = 0; i < n; i += 8, out += bits) { // 8 codes fill `bits` bytes
      uint64_t v = 0;
      for (int j = 0; j < 8; j++) v |= (uint64_t)codes[i + (size_t)j] << (j * bits);
      for (int j = 0; j < bits; j++) out[j] = (uint8_t)(v >> (8 * j));
    }
  }
}

static void affine_row(const QuantSpec *q, const float *x, size_t cols, uint8_t *codes, uint8_t *scales,
                       uint8_t *biases) {
  uint8_t raw[QUANT_MAX_GROUP];
  size_t group = (size_t)q->group, step = group * (size_t)q->bits / 8, size = dtype_size(q->type);
  for (size_t g = 0; g < cols / group; g++, x += group, codes += step) {
    float scale, bias;
    quant_affine_range(q, x, &scale, &bias);
    quant_affine_codes(q, x, scale, bias, raw);
    quant_pack(raw, group, q->bits, codes);
    dtype_from_f32(q->type, &scale, 1, scales + g * size);
    dtype_from_f32(q->type, &bias, 1, biases + g * size);
  }
}

// --- MX and NVFP4 --------------------------------------------------------------------------------------

static float round_to(Dtype t, float v) {
  if (t == DT_F16) return dtype_f16_to_f32(dtype_f32_to_f16(v));
  if (t == DT_BF16) return dtype_bf16_to_f32(dtype_f32_to_bf16(v));
  return v;
}

static float max_magnitude(const float *x, size_t n) {
  float m = 0;
  for (size_t i = 0; i < n; i++) m = fabsf(x[i]) > m ? fabsf(x[i]) : m;
  return m;
}

// The nearest E2M1 magnitude, ties to the smaller, saturating; zero has no sign.
static uint8_t e2m1_code(float v) {
  static const float edges[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
  float a = fabsf(v);
  int code = 0;
  for (int i = 0; i < 7; i++) code += a > edges[i];
  return (uint8_t)(code && v < 0 ? code | 8 : code);
}

// The exponent is chosen from the rounded quotient and the rounded logarithm, as MLX's graph does in the
// input's type.
static uint8_t e8m0_scale(Dtype type, float max, float limit) {
  float quotient = round_to(type, max / limit);
  if (quotient == 0) return 127; // all zero, or vanished in half precision
  float e = rintf(round_to(type, log2f(quotient)));
  if (!(e > -127)) e = -127;
  if (e > 127) e = 127;
  return (uint8_t)((int)e + 127);
}

static void mx_row(const QuantSpec *q, const float *x, size_t cols, uint8_t *codes, uint8_t *scales) {
  size_t group = (size_t)q->group;
  for (size_t g = 0; g < cols / group; g++, x += group) {
    float max = max_magnitude(x, group), scale;
    if (q->kind == MAT_NVFP4) {
      scales[g] = dtype_f32_to_e4m3(round_to(q->type, max / 6));
      scale = dtype_e4m3_to_f32(scales[g]);
    } else {
      scales[g] = e8m0_scale(q->type, max, q->kind == MAT_MXFP4 ? 6 : 448);
      scale = dtype_e8m0_to_f32(scales[g]);
    }
    if (q->kind == MAT_MXFP8) {
      for (size_t i = 0; i < group; i++) *codes++ = dtype_f32_to_e4m3(x[i] / scale);
      continue;
    }
    for (size_t i = 0; i < group; i += 2) {
      uint8_t lo = scale == 0 ? 0 : e2m1_code(x[i] / scale),
              hi = scale == 0 ? 0 : e2m1_code(x[i + 1] / scale);
      *codes++ = (uint8_t)(lo | hi << 4);
    }
  }
}

// --- rows ----------------------------------------------------------------------------------------------

bool quant_check(const QuantSpec *q, size_t cols, zaya_error *err) {
  int b = q->bits, g = q->group;
  bool ok = false;
  if (q->kind == MAT_AFFINE)
    ok = (b == 2 || b == 3 || b == 4 || b == 5 || b == 6 || b == 8) && (g == 32 || g == 64 || g == 128);
  if (q->kind == MAT_MXFP4) ok = b == 4 && g == 32;
  if (q->kind == MAT_MXFP8) ok = b == 8 && g == 32;
  if (q->kind == MAT_NVFP4) ok = b == 4 && g == 16;
  if (!ok) return err_set(err, ZAYA_E_UNSUPPORTED, "no such quantization: %d bits in groups of %d", b, g);
  if (cols % (size_t)g)
    return err_set(err, ZAYA_E_UNSUPPORTED, "%zu inputs cannot be cut into groups of %d", cols, g);
  return true;
}

size_t quant_code_bytes(const QuantSpec *q, size_t cols) { return cols * (size_t)q->bits / 8; }

size_t quant_scale_bytes(const QuantSpec *q, size_t cols) {
  return cols / (size_t)q->group * (q->kind == MAT_AFFINE ? dtype_size(q->type) : 1);
}

void quant_row(const QuantSpec *q, const float *x, size_t cols, uint8_t *codes, uint8_t *scales,
               uint8_t *biases) {
  if (q->kind == MAT_AFFINE)
    affine_row(q, x, cols, codes, scales, biases);
  else
    mx_row(q, x, cols, codes, scales);
}
