// synth_fill: the values of synthetic weights. A counter-based generator: value i of a tensor is a
// function of seed, name and i, so that neither threads nor chunks matter. The scales are chosen so that
// activations keep their size through any depth and routes spread over the experts. See synth.h.
#include "base/hash64.h"
#include "bundle/synth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// splitmix64's output function over a Weyl sequence.
static uint64_t random_at(uint64_t stream, uint64_t i) {
  uint64_t z = stream + (i + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// About normal, mean 0, deviation 1, never beyond 3.47: the sum of four uniform numbers.
static float normal_of(uint64_t r) {
  const uint32_t sum = (uint32_t)(r & 0xffff) + (uint32_t)(r >> 16 & 0xffff) + (uint32_t)(r >> 32 & 0xffff) +
                       (uint32_t)(r >> 48);
  return ((float)sum - 131070.0f) * (1.7320508f / 65536.0f);
}

// --- the size of things ---------------------------------------------------------------------------------

static bool ends_with(const char *s, const char *tail) {
  size_t n = strlen(s), m = strlen(tail);
  return n >= m && !strcmp(s + n - m, tail);
}

static void router_law(SynthKey *k, const char *name, float in) {
  // GELU's outputs have a mean. Rows that sum to zero take it out, or else every token would prefer
  // the same expert.
  if (ends_with(name, "router_mlp.0.weight")) {
    k->std = 1.4f / sqrtf(in);
  } else if (ends_with(name, "router_mlp.2.weight")) {
    k->std = 1.4f / sqrtf(in);
    k->paired = true;
  } else if (ends_with(name, "router_mlp.4.weight")) {
    k->std = 3.0f / sqrtf(in);
    k->paired = true;
  } else if (ends_with(name, "down_proj.weight")) {
    k->std = 1.0f / sqrtf(in);
  } else if (ends_with(name, "router_states_scale")) {
    k->mean = 0.5f;
    k->std = 0.05f;
  } else if (ends_with(name, "rmsnorm_eda.weight")) {
    k->mean = 1.0f;
    k->std = 0.05f;
  } else { // biases, those that balance included
    k->std = 0.005f;
  }
}

static void class_law(SynthKey *k, const ArchTensor *t) {
  const char *name = t->canonical;
  const float in = (float)t->shape[t->ndim - 1];
  switch (t->klass) {
  case ARCH_EMBED:
  case ARCH_HEAD: k->std = 0.04f; return;
  // What a block adds to the residual stream stays small beside what is there.
  case ARCH_ATTN: k->std = (strstr(name, "o_proj") ? 0.25f : 1.0f) / sqrtf(in); return;
  case ARCH_EXPERT:
    k->std = (strstr(name, "down_proj") || strstr(name, "linear_fc2") ? 0.5f : 1.5f) / sqrtf(in);
    return;
  case ARCH_CONV:
    if (ends_with(name, "bias"))
      k->std = 0.01f;
    else if (strstr(name, "conv_qk.0"))
      k->mean = 0.5f, k->std = 0.2f;
    else
      k->std = 0.5f / sqrtf(2.0f * (float)t->shape[1]);
    return;
  case ARCH_ROUTER: router_law(k, name, in); return;
  case ARCH_NORM: k->mean = 1.0f, k->std = 0.05f; return;
  case ARCH_SCALE:
    k->mean = ends_with(name, "_bias") ? 0.0f : 1.0f;
    k->std = ends_with(name, "_bias") ? 0.002f : 0.02f;
    return;
  }
}

void synth_law(SynthKey *k, const ArchTensor *t, uint64_t seed) {
  char name[ARCH_NAME_SIZE + 16];
  k->mean = k->std = 0;
  k->paired = false;
  k->first = 0;
  class_law(k, t);
  // Single experts are pieces of the stacked ones, so that the legacy and the native layout of one seed
  // are the same model.
  if (t->klass == ARCH_EXPERT && k->part == SYNTH_FLOATS) {
    bool down = strstr(t->canonical, "down_proj") || strstr(t->canonical, "linear_fc2");
    snprintf(name, sizeof name, "experts.%d.%s", t->layer, down ? "down" : "gate_up");
    if (t->expert >= 0) k->first = (uint64_t)t->expert * arch_elements(t);
  } else {
    // Scales and biases share a sequence: each bias is a multiple of its scale.
    snprintf(name, sizeof name, "%s%s", t->canonical,
             k->part == SYNTH_CODES                               ? ".codes"
             : k->part == SYNTH_SCALES || k->part == SYNTH_BIASES ? ".scales"
                                                                  : "");
  }
  uint64_t h = hash64(HASH64_SEED, &seed, sizeof seed);
  k->stream = hash64(h, name, strlen(name));
}

// --- values -------------------------------------------------------------------------------------------

static float weight_at(const SynthKey *k, uint64_t i, size_t cols) {
  if (!k->paired) return k->mean + k->std * normal_of(random_at(k->stream, k->first + i));
  size_t col = (size_t)(i % cols);
  if (col + 1 == cols && cols % 2) return k->mean; // has no partner
  float v = k->std * normal_of(random_at(k->stream, k->first + i - col % 2));
  return k->mean + (col % 2 ? -v : v);
}

static void fill_floats(const SynthKey *k, size_t begin, size_t end, uint8_t *out) {
  const size_t cols = k->tensor.shape[k->tensor.ndim - 1];
  for (size_t i = begin; i < end; i++, out += 2) {
    float v = weight_at(k, i, cols);
    uint16_t h = k->tensor.dtype == DT_BF16 ? dtype_f32_to_bf16(v) : dtype_f32_to_f16(v);
    memcpy(out, &h, sizeof h);
  }
}

static void fill_codes(const SynthKey *k, size_t begin, size_t end, uint8_t *out) {
  for (size_t i = begin; i < end; i += 2, out += 8) { // two 32-bit words from each random number
    uint64_t r = random_at(k->stream, i / 2);
    memcpy(out, &r, end - i < 2 ? 4 : 8);
  }
}

// Uniform codes 0 .. 2^b - 1 deviate by sqrt((4^b - 1) / 12). A scale has either sign, as MLX's have,
// and the bias puts code 2^(b-1) at zero.
static void fill_scales(const SynthKey *k, size_t begin, size_t end, uint8_t *out) {
  const float levels = (float)(1 << k->bits), zero = (float)(1 << (k->bits - 1));
  const float scale = k->std / sqrtf((levels * levels - 1.0f) / 12.0f);
  for (size_t i = begin; i < end; i++, out += 2) {
    uint64_t r = random_at(k->stream, i);
    float s = scale * (0.75f + (float)(r & 0xffff) * (0.5f / 65536.0f));
    uint16_t h = dtype_f32_to_f16(r >> 63 ? s : -s);
    if (k->part == SYNTH_BIASES) h = dtype_f32_to_f16(-zero * dtype_f16_to_f32(h));
    memcpy(out, &h, sizeof h);
  }
}

void synth_fill(const SynthKey *k, size_t begin, size_t end, uint8_t *out) {
  switch (k->part) {
  case SYNTH_FLOATS: fill_floats(k, begin, end, out); return;
  case SYNTH_CODES: fill_codes(k, begin, end, out); return;
  case SYNTH_SCALES:
  case SYNTH_BIASES: fill_scales(k, begin, end, out); return;
  }
}
