// config: config.json of a ZAYA folder, legacy or native, as one set of numbers. What this model
// family does not define is refused by name; nothing is run as something else. Depends on base/.
#pragma once

#include "base/error.h"

typedef enum Layout {
  LAYOUT_LEGACY, // attention and MoE layers counted one by one; also the converted bundles
  LAYOUT_NATIVE, // combined layers, Hugging Face's naming
} Layout;

enum { CONFIG_MAX_EOS = 8, CONFIG_MAX_EXPERTS = 256 };

// Symbols of the model page; every count is for the legacy numbering (n_layers even).
typedef struct Config {
  Layout layout;
  int n_layers;   // L: even = attention, odd = MoE
  int hidden;     // H
  int n_q, n_kv;  // Nq, Nk
  int head_dim;   // D
  int rotary_dim; // R
  int expert;     // I
  int n_experts;  // E
  int router;     // P
  int vocab;      // V
  int max_position;
  double rope_theta;
  float norm_eps;
  bool tied;       // embeddings tied to the output head
  bool clamp_temp; // temp = exp(clamp(temp, 1e-7, 2))
  int bos, pad;    // -1 when absent
  int eos[CONFIG_MAX_EOS];
  int n_eos;
} Config;

// Reads and checks `dir`/config.json. A missing or mistyped key, an unsupported variant or shapes
// that contradict each other fail with the key named.
bool config_read(const char *dir, Config *out, zaya_error *err);
// The same from JSON text; `path` is for messages.
bool config_parse(const char *json, size_t len, const char *path, Config *out, zaya_error *err);

static inline int config_conv_channels(const Config *c) { return (c->n_q + c->n_kv) * c->head_dim; } // C
