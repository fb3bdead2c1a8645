// weights: every tensor of a model bound to its place in the forward pass. Matrices are views of the
// bundle's map; small vectors are float32 copies. Owns the copies, not the bundle. Depends on
// format/bundle, base/arena.
#pragma once

#include "base/arena.h"
#include "format/bundle.h"

// (x + bias) * scale, per channel. Both NULL where a layer has none.
typedef struct ResScale {
  float *scale, *bias; // [H]
} ResScale;

// CCA attention; C = (Nq + Nk) D channels.
typedef struct AttnWeights {
  Mat linear_q;              // [Nq D, H]
  Mat linear_k;              // [Nk D, H]
  Mat val_proj1, val_proj2;  // [Nk D / 2, H]
  Mat o_proj;                // [H, Nq D]
  float *conv0, *conv0_bias; // depthwise [C, 2] (older tap first), [C]
  Mat conv1;                 // grouped [C, 2 D]: input channel j of the head at 2 j (older) and 2 j + 1
  float *conv1_bias;         // [C]
  float *temp;               // [Nk], as it multiplies k
} AttnWeights;

typedef struct MoeWeights {
  Mat down; // router.down_proj [P, H]
  float *down_bias;
  float *states_scale; // [P] EDA; NULL in the first MoE layer
  float *norm;         // rmsnorm_eda [P]
  Mat mlp0, mlp2;      // [P, P]
  float *mlp0_bias, *mlp2_bias;
  Mat mlp4;             // [E + 1, P]
  float *balance;       // balancing_biases [E + 1]
  Mat *gate, *up, *out; // per expert: [I, H], [I, H], [H, I]
} MoeWeights;

typedef struct LayerWeights {
  float *input_norm; // [H]
  ResScale hidden;   // applied to the block's output on its way into the stream
  ResScale residual; // applied to the stream; absent in layer 0
  AttnWeights attn;  // even layers
  MoeWeights moe;    // odd layers
} LayerWeights;

typedef struct Weights {
  const Config *config;
  Mat embed; // [V, H]
  Mat head;  // [V, H]; the same as embed when tied
  float *final_norm;
  ResScale hidden, residual; // model.res_scale
  LayerWeights *layers;      // [L]
  uint64_t fingerprint;      // of the shapes and of all norm weights: tells models apart
  Arena arena;
} Weights;

bool weights_bind(Weights *w, const Bundle *b, zaya_error *err);
void weights_free(Weights *w);
