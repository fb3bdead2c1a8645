// state: see state.h.
#include "model/state.h"

#include "base/hash64.h"
#include "base/size.h"

#include <stdlib.h>
#include <string.h>

struct zaya_checkpoint {
  uint64_t fingerprint, tokens; // of the model; of ids[0 .. len)
  size_t len, cca_floats;
  float cca[];
};

static size_t cca_layer_floats(const StateShape *s) { return 2 * (size_t)s->channels + (size_t)s->hidden; }

static size_t cca_floats(const StateShape *s) { return (size_t)s->n_attn * cca_layer_floats(s); }

StateShape state_shape(const Config *c, KvType kv) {
  return (StateShape){.kv = kv,
                      .n_attn = c->n_layers / 2,
                      .kv_width = c->n_kv * c->head_dim,
                      .channels = config_conv_channels(c),
                      .hidden = c->hidden};
}

size_t state_kv_bytes(const StateShape *s) { return (size_t)s->kv_width * (s->kv == KV_F32 ? 4 : 2); }

// Bytes of k, and as many of v.
static bool kv_bytes(const StateShape *s, size_t cap, size_t *out) {
  return size_mul((size_t)s->n_attn * state_kv_bytes(s), cap, out);
}

size_t state_bytes(const StateShape *shape, size_t cap) {
  size_t kv, all;
  if (!kv_bytes(shape, cap, &kv) || !size_mul(kv, 2, &all) ||
      !size_add(all, cap * sizeof(int32_t) + cca_floats(shape) * sizeof(float) + sizeof(State), &all))
    return SIZE_MAX;
  return all;
}

State *state_new(const StateShape *shape, uint64_t fingerprint, size_t cap, zaya_error *err) {
  size_t bytes = state_bytes(shape, cap), kv = 0;
  State *s = bytes == SIZE_MAX ? NULL : calloc(1, sizeof *s);
  if (!s) {
    err_set(err, ZAYA_E_MEMORY, "out of memory: a context of %zu tokens needs %zu bytes", cap, bytes);
    return NULL;
  }
  kv_bytes(shape, cap, &kv);
  *s = (State){.shape = *shape, .fingerprint = fingerprint, .cap = cap};
  s->ids = calloc(cap ? cap : 1, sizeof *s->ids);
  s->cca = calloc(cca_floats(shape), sizeof *s->cca);
  s->k = malloc(kv ? kv : 1);
  s->v = malloc(kv ? kv : 1);
  if (s->ids && s->cca && s->k && s->v) return s;
  err_set(err, ZAYA_E_MEMORY, "out of memory: a context of %zu tokens needs %zu bytes", cap, bytes);
  state_free(s);
  return NULL;
}

void state_free(State *s) {
  if (!s) return;
  free(s->ids);
  free(s->cca);
  free(s->k);
  free(s->v);
  free(s);
}

void state_reset(State *s) {
  s->len = 0;
  memset(s->cca, 0, cca_floats(&s->shape) * sizeof *s->cca);
}

State *state_clone(const State *s, zaya_error *err) {
  State *c = state_new(&s->shape, s->fingerprint, s->cap, err);
  if (!c) return NULL;
  c->len = s->len;
  memcpy(c->ids, s->ids, s->len * sizeof *s->ids);
  memcpy(c->cca, s->cca, cca_floats(&s->shape) * sizeof *s->cca);
  const size_t used = s->len * state_kv_bytes(&s->shape);
  for (int a = 0; used && a < s->shape.n_attn; a++) {
    memcpy(state_k(c, a, 0), state_k(s, a, 0), used);
    memcpy(state_v(c, a, 0), state_v(s, a, 0), used);
  }
  return c;
}

CcaState state_cca(const State *s, int a) {
  float *p = s->cca + (size_t)a * cca_layer_floats(&s->shape);
  return (CcaState){.conv_state = p, .prev_hs = p + 2 * (size_t)s->shape.channels};
}

static size_t kv_offset(const State *s, int a, size_t pos) {
  return ((size_t)a * s->cap + pos) * state_kv_bytes(&s->shape);
}

void *state_k(const State *s, int a, size_t pos) { return s->k + kv_offset(s, a, pos); }

void *state_v(const State *s, int a, size_t pos) { return s->v + kv_offset(s, a, pos); }

static uint64_t hash_tokens(const State *s, size_t len) {
  return hash64(HASH64_SEED, s->ids, len * sizeof *s->ids);
}

StateCheckpoint *state_checkpoint(const State *s, zaya_error *err) {
  const size_t n = cca_floats(&s->shape);
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
  if (c->fingerprint != s->fingerprint || c->cca_floats != cca_floats(&s->shape))
    return err_set(err, ZAYA_E_INVALID, "the checkpoint belongs to another model");
  if (c->len > s->len)
    return err_set(err, ZAYA_E_INVALID, "the checkpoint is at token %zu, the session holds only %zu", c->len,
                   s->len);
  if (c->tokens != hash_tokens(s, c->len))
    return err_set(err, ZAYA_E_INVALID, "the session's first %zu tokens are not those of the checkpoint",
                   c->len);
  s->len = c->len;
  memcpy(s->cca, c->cca, c->cca_floats * sizeof(float));
  return true;
}
