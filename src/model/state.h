// state: one sequence: the KV cache, the CCA state (conv_state and prev_hs) and the tokens that made
// them, in one object. KV without the CCA part is never kept, copied or restored. Knows nothing of
// weights. Depends on format/config, base.
#pragma once

#include "base/buf.h"
#include "format/config.h"

typedef enum KvType { KV_F32, KV_F16 } KvType; // float32 in exact mode

typedef struct StateShape {
  KvType kv;
  int n_attn;   // attention layers: L / 2
  int kv_width; // Nk D
  int channels; // C = (Nq + Nk) D
  int hidden;   // H
} StateShape;

// The recurrent part of one attention layer.
typedef struct CcaState {
  float *conv_state; // [2, C], the last two packed frames, older first; zeros before the first token
  float *prev_hs;    // [H], the last normed input; zeros before the first token
} CcaState;

typedef struct State {
  StateShape shape;
  uint64_t fingerprint; // of the model
  size_t len, cap;      // tokens held, tokens that fit
  int32_t *ids;         // [cap]
  float *cca;           // [n_attn, 2 C + H]: all layers' recurrent state, one block
  uint8_t *k, *v;       // [n_attn, cap, Nk D] of shape.kv; pages are touched only as they fill
} State;

typedef zaya_checkpoint StateCheckpoint; // opaque: state.c

StateShape state_shape(const Config *c, KvType kv);
size_t state_kv_bytes(const StateShape *shape); // of one position's k, or v, in one layer
// Bytes that a state for `cap` tokens takes; SIZE_MAX when that overflows.
size_t state_bytes(const StateShape *shape, size_t cap);
State *state_new(const StateShape *shape, uint64_t fingerprint, size_t cap, zaya_error *err);
void state_free(State *s);
void state_reset(State *s);
State *state_clone(const State *s, zaya_error *err);

// Attention layer a (0 .. n_attn - 1; model layer 2 a).
CcaState state_cca(const State *s, int a);
void *state_k(const State *s, int a, size_t pos); // [Nk D] of shape.kv
void *state_v(const State *s, int a, size_t pos);

// A checkpoint holds the length, the CCA state there and a hash of the tokens before it.
StateCheckpoint *state_checkpoint(const State *s, zaya_error *err);
void state_checkpoint_free(StateCheckpoint *c);
// Back to the checkpoint; refuses one of another model or of other tokens, leaving the state alone.
bool state_rewind(State *s, const StateCheckpoint *c, zaya_error *err);

// state_io.c: the whole state as bytes (host byte order, checksummed).
bool state_save(const State *s, Buf *out, zaya_error *err);
bool state_load(State *s, const void *data, size_t len, zaya_error *err);
