// state: see state.h.
#include "model/state.h"

#include "base/hash64.h"
#include "base/size.h"
#include "kernels/kern.h"

#include <stdlib.h>
#include <string.h>

struct zaya_checkpoint {
  uint64_t fingerprint, tokens; // of the model; of ids[0 .. len)
  size_t len, cca_floats;
  float cca[];
};

static size_t cca_layer_floats(const StateShape *s) { return 2 * (size_t)s->channels + (size_t)s->hidden; }

size_t state_cca_floats(const StateShape *s) { return (size_t)s->n_attn * cca_layer_floats(s); }

StateShape state_shape(const Config *c, KvType kv) {
  return (StateShape){.kv = kv,
                      .n_attn = c->n_layers / 2,
                      .kv_width = c->n_kv * c->head_dim,
                      .kv_heads = c->n_kv,
                      .channels = config_conv_channels(c),
                      .hidden = c->hidden};
}

size_t state_kv_bytes(const StateShape *s) {
  if (s->kv == KV_Q8) return (size_t)s->kv_width + (size_t)s->kv_heads * sizeof(float);
  return (size_t)s->kv_width * (s->kv == KV_F32 ? 4 : 2);
}

size_t state_row_bytes(const StateShape *s) {
  return (size_t)(s->kv_width / s->kv_heads) * (s->kv == KV_F32 ? 4 : s->kv == KV_F16 ? 2 : 1);
}

size_t state_page_bytes(const StateShape *s) {
  return (size_t)s->n_attn * 2 * KERN_BLOCK * state_kv_bytes(s);
}

size_t state_strips(const StateShape *s) { return 2 * (size_t)s->n_attn * (size_t)s->kv_heads; }

KvStrip state_strip(const StateShape *s, const Page *page, size_t i) {
  const size_t rows = KERN_BLOCK * state_row_bytes(s), strip = state_page_bytes(s) / state_strips(s);
  unsigned char *at = (unsigned char *)(uintptr_t)page->data + i * strip;
  return (KvStrip){.rows = at, .scales = s->kv == KV_Q8 ? (float *)(void *)(at + rows) : NULL};
}

static size_t pages_of(size_t len) { return len / KERN_BLOCK + (len % KERN_BLOCK != 0); }

size_t state_bytes(const StateShape *shape, size_t cap) {
  size_t kv, rest;
  if (!size_mul(state_page_bytes(shape) + sizeof(Page *), pages_of(cap), &kv) ||
      !size_mul(cap, sizeof(int32_t), &rest) || !size_add(kv, rest, &kv) ||
      !size_add(kv, state_cca_floats(shape) * sizeof(float) + sizeof(State), &kv))
    return SIZE_MAX;
  return kv;
}

State *state_new(const StateShape *shape, uint64_t fingerprint, size_t cap, zaya_error *err) {
  const size_t bytes = state_bytes(shape, cap);
  State *s = bytes == SIZE_MAX ? NULL : calloc(1, sizeof *s);
  if (s) {
    *s = (State){.shape = *shape, .fingerprint = fingerprint, .cap = cap};
    s->ids = calloc(cap ? cap : 1, sizeof *s->ids);
    s->cca = calloc(state_cca_floats(shape), sizeof *s->cca);
    s->pages = calloc(pages_of(cap) + 1, sizeof *s->pages);
    if (s->ids && s->cca && s->pages) return s;
  }
  err_set(err, ZAYA_E_MEMORY, "out of memory: a context of %zu tokens needs %zu bytes", cap, bytes);
  state_free(s);
  return NULL;
}

void state_free(State *s) {
  if (!s) return;
  for (size_t i = 0; s->pages && i < pages_of(s->cap); i++) page_drop(s->pages[i]);
  free(s->ids);
  free(s->cca);
  free(s->pages);
  free(s);
}

void state_reset(State *s) {
  s->len = s->claimed = 0;
  memset(s->cca, 0, state_cca_floats(&s->shape) * sizeof *s->cca);
}

State *state_clone(const State *s, zaya_error *err) {
  State *c = state_new(&s->shape, s->fingerprint, s->cap, err);
  if (!c) return NULL;
  c->len = c->claimed = s->len;
  memcpy(c->ids, s->ids, s->len * sizeof *s->ids);
  memcpy(c->cca, s->cca, state_cca_floats(&s->shape) * sizeof *s->cca);
  for (size_t i = 0; i < pages_of(s->len); i++) c->pages[i] = page_ref(s->pages[i]);
  return c;
}

// Puts a page of its own in the place of page i, which holds `rows` rows that stay.
static bool replace_page(State *s, size_t i, size_t rows, bool filled, zaya_error *err) {
  Page *own = page_new(state_page_bytes(&s->shape), filled, err), *old = s->pages[i];
  if (!own) return false;
  for (size_t p = 0; rows && p < state_strips(&s->shape); p++) {
    const KvStrip to = state_strip(&s->shape, own, p), from = state_strip(&s->shape, old, p);
    memcpy(to.rows, from.rows, rows * state_row_bytes(&s->shape));
    if (to.scales) memcpy(to.scales, from.scales, rows * sizeof *to.scales);
  }
  s->pages[i] = own;
  page_drop(old);
  return true;
}

bool state_reserve(State *s, size_t n, zaya_error *err) {
  const size_t end = s->len + n;
  while (s->claimed < end) {
    const size_t i = s->claimed / KERN_BLOCK, first = i * KERN_BLOCK;
    const unsigned from = (unsigned)(s->claimed - first);
    const unsigned to = end - first < KERN_BLOCK ? (unsigned)(end - first) : KERN_BLOCK;
    if (!s->pages[i] || !page_claim(s->pages[i], from, to)) {
      if (!replace_page(s, i, s->len > first ? s->len - first : 0, to == KERN_BLOCK, err)) return false;
      page_claim(s->pages[i], 0, to);
    }
    s->claimed = first + to;
  }
  return true;
}

void state_adopt(State *s, size_t first, Page *const *pages, const int32_t *ids, size_t n, const float *cca) {
  for (size_t i = 0; i < pages_of(n); i++) {
    Page *old = s->pages[first + i];
    s->pages[first + i] = page_ref(pages[i]);
    page_drop(old);
  }
  memcpy(s->ids + first * KERN_BLOCK, ids, n * sizeof *ids);
  memcpy(s->cca, cca, state_cca_floats(&s->shape) * sizeof *cca);
  s->len = s->claimed = first * KERN_BLOCK + n;
}

CcaState state_cca_in(const StateShape *shape, float *cca, int a) {
  float *p = cca + (size_t)a * cca_layer_floats(shape);
  return (CcaState){.conv_state = p, .prev_hs = p + 2 * (size_t)shape->channels};
}

CcaState state_cca(const State *s, int a) { return state_cca_in(&s->shape, s->cca, a); }

// Of part 0 (k) or 1 (v).
static KvStrip kv_at(const State *s, int a, size_t part, int head, size_t pos) {
  const size_t i = (2 * (size_t)a + part) * (size_t)s->shape.kv_heads + (size_t)head;
  KvStrip strip = state_strip(&s->shape, s->pages[pos / KERN_BLOCK], i);
  strip.rows = (unsigned char *)strip.rows + pos % KERN_BLOCK * state_row_bytes(&s->shape);
  if (strip.scales) strip.scales += pos % KERN_BLOCK;
  return strip;
}

KvStrip state_k(const State *s, int a, int head, size_t pos) { return kv_at(s, a, 0, head, pos); }

KvStrip state_v(const State *s, int a, int head, size_t pos) { return kv_at(s, a, 1, head, pos); }

// A vector of values within (-1, 1), by a generator whose state is *x.
static void fill_row(const StateShape *s, uint32_t *x, KvStrip to) {
  const float scale = 1.0f / 128;
  uint8_t *row = to.rows;
  for (size_t i = 0; i < (size_t)(s->kv_width / s->kv_heads); i++) {
    *x = *x * 1664525u + 1013904223u;
    const uint16_t half = (uint16_t)(0x3000u | *x >> 31 << 15 | (*x >> 8 & 0xbff));
    const float full = (float)(int8_t)(*x >> 24) * scale;
    if (s->kv == KV_F16) memcpy(row + 2 * i, &half, sizeof half);
    if (s->kv == KV_F32) memcpy(row + 4 * i, &full, sizeof full);
    if (s->kv == KV_Q8) row[i] = (uint8_t)(*x >> 24);
  }
  if (to.scales) *to.scales = scale;
}

bool state_fill(State *s, size_t n, zaya_error *err) {
  uint32_t x = 1;
  if (n > s->cap || s->len)
    return err_set(err, ZAYA_E_LIMIT, "a session of %zu tokens, %zu of them taken, cannot be filled with %zu",
                   s->cap, s->len, n);
  if (!state_reserve(s, n, err)) return false;
  for (int a = 0; a < s->shape.n_attn; a++)
    for (size_t pos = 0; pos < n; pos++)
      for (int h = 0; h < s->shape.kv_heads; h++) {
        fill_row(&s->shape, &x, state_k(s, a, h, pos));
        fill_row(&s->shape, &x, state_v(s, a, h, pos));
      }
  memset(s->ids, 0, n * sizeof *s->ids);
  s->len = n;
  return true;
}

static uint64_t hash_tokens(const State *s, size_t len) {
  return hash64(HASH64_SEED, s->ids, len * sizeof *s->ids);
}

StateCheckpoint *state_checkpoint(const State *s, zaya_error *err) {
  const size_t n = state_cca_floats(&s->shape);
  StateCheckpoint *c = malloc(sizeof *c + n * sizeof(float));
  if (!c) {
    err_memory(err, n * sizeof(float), "a checkpoint");
    return NULL;
  }
  *c = (StateCheckpoint){
      .fingerprint = s->fingerprint, .tokens = hash_tokens(s, s->len), .len = s->len, .cca_floats = n};
  memcpy(c->cca, s->cca, n * sizeof(float));
  return c;
}

void state_checkpoint_free(StateCheckpoint *c) { free(c); }

bool state_rewind(State *s, const StateCheckpoint *c, zaya_error *err) {
  if (c->fingerprint != s->fingerprint || c->cca_floats != state_cca_floats(&s->shape))
    return err_set(err, ZAYA_E_INVALID, "the checkpoint belongs to another model");
  if (c->len > s->len)
    return err_set(err, ZAYA_E_INVALID, "the checkpoint is at token %zu, the session holds only %zu", c->len,
                   s->len);
  if (c->tokens != hash_tokens(s, c->len))
    return err_set(err, ZAYA_E_INVALID, "the session's first %zu tokens are not those of the checkpoint",
                   c->len);
  s->len = s->claimed = c->len;
  memcpy(s->cca, c->cca, c->cca_floats * sizeof(float));
  return true;
}
