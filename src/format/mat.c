// mat: see mat.h. Plain C written so that the compiler vectorises the common widths.
#include "format/mat.h"

#include <stdio.h>
#include <string.h>

// E2M1: sign, two exponent bits, one mantissa bit.
static const float e2m1[16] = {0,     0.5f,  1,     1.5f,  2,     3,     4,     6,
                               -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// 8 codes of `bits` bits lie in `bits` bytes, first code in the lowest bits; whatever the width.
static inline uint64_t load_codes(const uint8_t *p, int bits) {
  uint64_t v = 0;
  for (int i = 0; i < bits; i++) v |= (uint64_t)p[i] << (8 * i);
  return v;
}

static inline void affine_group_any(const uint8_t *w, int bits, size_t n, float s, float b, float *out) {
  uint32_t mask = (1u << bits) - 1;
  for (size_t i = 0; i < n; i += 8, w += bits) {
    uint64_t v = load_codes(w, bits);
    for (int j = 0; j < 8; j++) {
      float p = s * (float)(uint32_t)(v >> (j * bits) & mask);
      out[i + (size_t)j] = p + b;
    }
  }
}

static inline void affine_group_4(const uint8_t *w, size_t n, float s, float b, float *out) {
  for (size_t i = 0; i < n / 2; i++) {
    float lo = s * (float)(w[i] & 15), hi = s * (float)(w[i] >> 4);
    out[2 * i] = lo + b;
    out[2 * i + 1] = hi + b;
  }
}

static inline void affine_group_8(const uint8_t *w, size_t n, float s, float b, float *out) {
  for (size_t i = 0; i < n; i++) {
    float p = s * (float)w[i];
    out[i] = p + b;
  }
}

static void affine_row(const Mat *m, const uint8_t *w, const uint8_t *s, const uint8_t *b, float *out) {
  size_t group = (size_t)m->group, step = group * (size_t)m->bits / 8;
  for (size_t g = 0; g < m->cols / group; g++, w += step, out += group) {
    float scale = dtype_load(m->scale_type, s, g), bias = dtype_load(m->scale_type, b, g);
    // The constant lengths let the compiler unroll; group 32 is what is published.
    if (m->bits == 4 && group == 32)
      affine_group_4(w, 32, scale, bias, out);
    else if (m->bits == 4)
      affine_group_4(w, group, scale, bias, out);
    else if (m->bits == 8 && group == 32)
      affine_group_8(w, 32, scale, bias, out);
    else if (m->bits == 8)
      affine_group_8(w, group, scale, bias, out);
    else
      affine_group_any(w, m->bits, group, scale, bias, out);
  }
}

static void mx_row(const Mat *m, const uint8_t *w, const uint8_t *s, float *out) {
  size_t group = (size_t)m->group;
  for (size_t g = 0; g < m->cols / group; g++, out += group) {
    float scale = m->kind == MAT_NVFP4 ? dtype_e4m3_to_f32(s[g]) : dtype_e8m0_to_f32(s[g]);
    if (m->kind == MAT_MXFP8) {
      for (size_t i = 0; i < group; i++) out[i] = dtype_e4m3_to_f32(w[i]) * scale;
      w += group;
    } else {
      for (size_t i = 0; i < group / 2; i++) {
        out[2 * i] = e2m1[w[i] & 15] * scale;
        out[2 * i + 1] = e2m1[w[i] >> 4] * scale;
      }
      w += group / 2;
    }
  }
}

void mat_row(const Mat *m, size_t r, float *out) {
  const uint8_t *w = m->w + r * m->w_stride;
  const uint8_t *s = m->scales ? m->scales + r * m->s_stride : NULL;
  switch (m->kind) {
  case MAT_F32: dtype_to_f32(DT_F32, w, m->cols, out); break;
  case MAT_F16: dtype_to_f32(DT_F16, w, m->cols, out); break;
  case MAT_BF16: dtype_to_f32(DT_BF16, w, m->cols, out); break;
  case MAT_AFFINE: affine_row(m, w, s, m->biases + r * m->s_stride, out); break;
  case MAT_MXFP4:
  case MAT_MXFP8:
  case MAT_NVFP4: mx_row(m, w, s, out); break;
  }
}

Mat mat_rows(const Mat *m, size_t first, size_t n) {
  Mat r = *m;
  r.rows = n;
  r.w += first * m->w_stride;
  if (r.scales) r.scales += first * m->s_stride;
  if (r.biases) r.biases += first * m->s_stride;
  return r;
}

size_t mat_bytes(const Mat *m) {
  size_t row = m->w_stride + (m->scales ? m->s_stride : 0) + (m->biases ? m->s_stride : 0);
  return m->rows * row;
}

static const char *kind_name(MatKind k) {
  switch (k) {
  case MAT_F32: return "f32";
  case MAT_F16: return "f16";
  case MAT_BF16: return "bf16";
  case MAT_AFFINE: return "affine";
  case MAT_MXFP4: return "mxfp4";
  case MAT_MXFP8: return "mxfp8";
  case MAT_NVFP4: return "nvfp4";
  }
  return "?";
}

const char *mat_describe(const Mat *m, char *buf, size_t size) {
  if (m->kind == MAT_AFFINE)
    snprintf(buf, size, "affine %d-bit g%d %s", m->bits, m->group,
             m->scale_type == DT_F16    ? "f16"
             : m->scale_type == DT_BF16 ? "bf16"
                                        : "f32");
  else
    snprintf(buf, size, "%s", kind_name(m->kind));
  return buf;
}
