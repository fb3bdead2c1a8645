// dtype: see dtype.h.
#include "format/dtype.h"

#include <math.h>

size_t dtype_size(Dtype t) {
  switch (t) {
#define DTYPE_SIZE(name, size)                                                                               \
  case DT_##name: return size;
    DTYPE_LIST(DTYPE_SIZE)
#undef DTYPE_SIZE
  }
  return 0;
}

const char *dtype_name(Dtype t) {
  switch (t) {
#define DTYPE_NAME(name, size)                                                                               \
  case DT_##name: return #name;
    DTYPE_LIST(DTYPE_NAME)
#undef DTYPE_NAME
  }
  return "?";
}

bool dtype_parse(const char *name, size_t len, Dtype *out) {
#define DTYPE_MATCH(n, size)                                                                                 \
  if (len == sizeof #n - 1 && !memcmp(name, #n, len)) {                                                      \
    *out = DT_##n;                                                                                           \
    return true;                                                                                             \
  }
  DTYPE_LIST(DTYPE_MATCH)
#undef DTYPE_MATCH
  return false;
}

bool dtype_is_float(Dtype t) { return t == DT_F16 || t == DT_BF16 || t == DT_F32 || t == DT_F64; }

float dtype_e4m3_to_f32(uint8_t v) {
  int exponent = (v >> 3) & 15, mantissa = v & 7;
  float sign = v & 0x80 ? -1.0f : 1.0f;
  if (exponent == 15 && mantissa == 7) return copysignf(NAN, sign);
  if (exponent == 0) return sign * ldexpf((float)mantissa, -9);
  return sign * ldexpf((float)(8 + mantissa), exponent - 10);
}

uint8_t dtype_f32_to_e4m3(float f) {
  uint8_t sign = signbit(f) ? 0x80 : 0;
  float a = fabsf(f);
  if (isnan(a)) return sign | 0x7f;
  if (a >= 448.0f) return sign | 0x7e;
  // Normals keep three mantissa bits, so the unit is 2^(exponent - 3); denormals count in 2^-9.
  int exponent = -6;
  if (a >= 0x1p-6f) exponent = ilogbf(a);
  int n = (int)rintf(ldexpf(a, 3 - exponent)); // 8..16 for a normal, 0..8 for a denormal
  return (uint8_t)(sign | (n + (exponent + 6) * 8));
}

float dtype_e8m0_to_f32(uint8_t v) { return v == 255 ? NAN : ldexpf(1.0f, (int)v - 127); }

float dtype_load(Dtype t, const void *base, size_t i) {
  float out = NAN;
  dtype_to_f32(t, (const uint8_t *)base + i * dtype_size(t), 1, &out);
  return out;
}

void dtype_to_f32(Dtype t, const void *src, size_t n, float *dst) {
  const uint8_t *p = src;
  if (t == DT_F16) {
    for (size_t i = 0; i < n; i++) {
      uint16_t h;
      memcpy(&h, p + 2 * i, 2);
      dst[i] = dtype_f16_to_f32(h);
    }
  } else if (t == DT_BF16) {
    for (size_t i = 0; i < n; i++) {
      uint16_t h;
      memcpy(&h, p + 2 * i, 2);
      dst[i] = dtype_bf16_to_f32(h);
    }
  } else if (t == DT_F32) {
    if (n) memcpy(dst, p, n * sizeof *dst);
  } else if (t == DT_F64) {
    for (size_t i = 0; i < n; i++) {
      double d;
      memcpy(&d, p + 8 * i, 8);
      dst[i] = (float)d;
    }
  }
}

void dtype_from_f32(Dtype t, const float *src, size_t n, void *dst) {
  uint8_t *p = dst;
  if (t == DT_F16) {
    for (size_t i = 0; i < n; i++) {
      uint16_t h = dtype_f32_to_f16(src[i]);
      memcpy(p + 2 * i, &h, 2);
    }
  } else if (t == DT_BF16) {
    for (size_t i = 0; i < n; i++) {
      uint16_t h = dtype_f32_to_bf16(src[i]);
      memcpy(p + 2 * i, &h, 2);
    }
  } else if (t == DT_F32) {
    if (n) memcpy(p, src, n * sizeof *src);
  }
}
