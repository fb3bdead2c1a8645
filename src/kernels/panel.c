// panel: see panel.h.
#include "kernels/panel.h"

#include <string.h>

bool panel_alloc(KernPanel *p, size_t cols, Arena *arena, zaya_error *err) {
  const size_t groups = kern_pad_groups((cols + KERN_GROUP - 1) / KERN_GROUP), rows = KERN_PANEL_ROWS;
  p->codes = arena_alloc(arena, groups, KERN_GROUP * rows, "an unpacked panel", err);
  p->scale = arena_alloc(arena, groups, rows * sizeof(float), "an unpacked panel", err);
  p->bias = arena_alloc(arena, groups, rows * sizeof(float), "an unpacked panel", err);
  p->groups = groups;
  return p->codes && p->scale && p->bias;
}

// Code i of a row: codes are one little-endian stream of bits.
static uint8_t code_at(const uint8_t *w, int bits, size_t i) {
  const size_t bit = i * (size_t)bits, byte = bit / 8, shift = bit % 8;
  unsigned v = w[byte];
  if (shift + (size_t)bits > 8) v |= (unsigned)w[byte + 1] << 8;
  return (uint8_t)(v >> shift & ((1u << bits) - 1));
}

void panel_fill(const Mat *m, size_t first, size_t n, KernPanel *out) {
  const size_t group = (size_t)m->group;
  memset(out->codes, 0, out->groups * KERN_GROUP * KERN_PANEL_ROWS);
  memset(out->scale, 0, out->groups * KERN_PANEL_ROWS * sizeof(float));
  memset(out->bias, 0, out->groups * KERN_PANEL_ROWS * sizeof(float));
  out->bits = m->bits;
  for (size_t r = 0; r < n; r++) {
    const uint8_t *w = m->w + (first + r) * m->w_stride, *s = m->scales + (first + r) * m->s_stride,
                  *b = m->biases + (first + r) * m->s_stride;
    for (size_t i = 0; i < m->cols; i++)
      out->codes[i / 4 * 4 * KERN_PANEL_ROWS + r * 4 + i % 4] = code_at(w, m->bits, i);
    for (size_t g = 0; g < m->cols / KERN_GROUP; g++) {
      out->scale[g * KERN_PANEL_ROWS + r] = dtype_load(m->scale_type, s, g * KERN_GROUP / group);
      out->bias[g * KERN_PANEL_ROWS + r] = dtype_load(m->scale_type, b, g * KERN_GROUP / group);
    }
  }
}
