// state: one sequence: the KV cache, the CCA state (conv_state and prev_hs) and the tokens that made
// them, in one object. KV without the CCA part is never kept, copied or restored. The KV cache is a list of
// pages, which clones share until one of them writes. Knows nothing of weights. Depends on page,
// format/config, base.
#pragma once

#include "base/buf.h"
#include "format/config.h"
#include "model/page.h"

// KV_F32 in exact mode. KV_Q8: int8, one scale for each head's vector.
typedef enum KvType { KV_F32, KV_F16, KV_Q8 } KvType;

typedef struct StateShape {
  KvType kv;
  int n_attn;   // attention layers: L / 2
  int kv_width; // Nk D
  int kv_heads; // Nk
  int channels; // C = (Nq + Nk) D
  int hidden;   // H
} StateShape;

// The recurrent part of one attention layer.
typedef struct CcaState {
  float *conv_state; // [2, C], the last two packed frames, older first; zeros before the first token
  float *prev_hs;    // [H], the last normed input; zeros before the first token
} CcaState;

// The keys, or values, of one head of a layer in one page lie in one piece, so that attention reads memory
// in order: the vectors, then with KV_Q8 the scales. `rows` and `scales` may point at a later position.
typedef struct KvStrip {
  void *rows;    // [KERN_BLOCK][D] of shape.kv
  float *scales; // [KERN_BLOCK]; NULL but with KV_Q8
} KvStrip;

typedef struct State {
  StateShape shape;
  uint64_t fingerprint; // of the model
  size_t len, cap;      // tokens held, tokens that fit
  int32_t *ids;         // [cap]
  float *cca;           // [n_attn, 2 C + H]: all layers' recurrent state, one block
  Page **pages;         // of KERN_BLOCK positions each; NULL where none was needed yet
  size_t claimed;       // positions of these that are this state's to write, or were: at least len
} State;

typedef zaya_checkpoint StateCheckpoint; // opaque: state.c

StateShape state_shape(const Config *c, KvType kv);
size_t state_kv_bytes(const StateShape *shape);  // of one position's k, or v, in one layer
size_t state_row_bytes(const StateShape *shape); // of one head's vector in one layer, without its scale
size_t state_page_bytes(const StateShape *shape);
size_t state_strips(const StateShape *shape);                             // in a page: n_attn x [k, v] x Nk
KvStrip state_strip(const StateShape *shape, const Page *page, size_t i); // i: 0 .. state_strips - 1
size_t state_cca_floats(const StateShape *shape);                         // of all layers' recurrent state
// Bytes that a state for `cap` tokens takes when it is full; SIZE_MAX when that overflows.
size_t state_bytes(const StateShape *shape, size_t cap);
State *state_new(const StateShape *shape, uint64_t fingerprint, size_t cap, zaya_error *err);
void state_free(State *s);
void state_reset(State *s);
// Shares the pages: costs the CCA state and the ids.
State *state_clone(const State *s, zaya_error *err);
// Makes room for `n` more tokens that only this state writes to, so that feeding them cannot fail for want of
// memory. What it holds stays as it is, also on failure.
bool state_reserve(State *s, size_t n, zaya_error *err);

// Attention layer a (0 .. n_attn - 1; model layer 2 a).
CcaState state_cca(const State *s, int a);
CcaState state_cca_in(const StateShape *shape, float *cca, int a); // of a checkpoint's block
// From position pos on, up to the end of its page.
KvStrip state_k(const State *s, int a, int head, size_t pos);
KvStrip state_v(const State *s, int a, int head, size_t pos);

// Puts in place what is kept elsewhere (prefix cache, disk): pages[0 ..] from page `first` on hold the tokens
// ids[0 .. n), behind which the CCA state is `cca`. The state must hold all tokens before page `first`; it
// then holds those and these n. Takes references of its own.
void state_adopt(State *s, size_t first, Page *const *pages, const int32_t *ids, size_t n, const float *cca);

// Fills an empty state with n tokens of noise: for measuring how fast a model is behind them.
bool state_fill(State *s, size_t n, zaya_error *err);

// A checkpoint holds the length, the CCA state there and a hash of the tokens before it.
StateCheckpoint *state_checkpoint(const State *s, zaya_error *err);
void state_checkpoint_free(StateCheckpoint *c);
// Back to the checkpoint; refuses one of another model or of other tokens, leaving the state alone.
bool state_rewind(State *s, const StateCheckpoint *c, zaya_error *err);

// state_io.c: the whole state as bytes (host byte order, checksummed).
bool state_save(const State *s, Buf *out, zaya_error *err);
bool state_load(State *s, const void *data, size_t len, zaya_error *err);
