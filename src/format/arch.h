// arch: the tensors that a ZAYA of a given config consists of: the one list of names and shapes,
// which binding, verification, conversion and synthesis all read. Depends on config.
#pragma once

#include "format/config.h"
#include "format/dtype.h"

// How the experts of a folder are stored.
typedef enum ExpertLayout {
  EXPERTS_SWITCH, // <prefix>.switch_mlp.{gate,up,down}_proj, leading expert axis (legacy names)
  EXPERTS_LOCAL,  // local_experts.e.linear_fc1 / fc2 (legacy names)
  EXPERTS_FUSED,  // gate_up_proj [E, 2I, H], down_proj [E, H, I] (native names)
} ExpertLayout;

typedef enum ArchClass { // for reports, and for what a converter may quantize
  ARCH_EMBED,
  ARCH_HEAD,
  ARCH_ATTN, // o_proj, linear_q, linear_k, val_proj1, val_proj2
  ARCH_EXPERT,
  ARCH_CONV,
  ARCH_ROUTER,
  ARCH_NORM,
  ARCH_SCALE, // residual scaling, temp
} ArchClass;
enum { ARCH_CLASSES = ARCH_SCALE + 1, ARCH_NAME_SIZE = 112 };

typedef struct ArchTensor {
  char name[ARCH_NAME_SIZE]; // as it stands in a folder of this layout, unquantized: "....weight"
  // Its legacy name. Stacked experts: the switch_mlp or local name; fused ones, which have no legacy
  // counterpart, "model.layers.i.zaya_block.experts.{gate_up_proj,down_proj}".
  char canonical[ARCH_NAME_SIZE];
  ArchClass klass;
  int layer;  // legacy layer number, -1 for model-wide
  int expert; // -1 when not one expert's
  int ndim;
  size_t shape[4];  // unquantized
  bool quantizable; // the converter's rule: false = passes through as floats
} ArchTensor;

typedef struct ArchList {
  ArchTensor *items;
  size_t len;
} ArchList;

// All tensors, in canonical order (model-wide, then layer by layer). The head is listed only when the
// config does not tie it to the embedding.
bool arch_list(const Config *c, ExpertLayout experts, ArchList *out, zaya_error *err);
void arch_free(ArchList *list);
const char *arch_class_name(ArchClass k); // "attention", "experts", ...
// Elements of a tensor.
size_t arch_elements(const ArchTensor *t);
// The converter's rule for a canonical name: whether a tensor of `ndim` dimensions is a linear that may
// be quantized.
bool arch_quantizable(const char *canonical, int ndim);
// legacy <-> native for a whole tensor name; false when it has no counterpart (experts are re-stacked,
// not renamed). n_layers is the legacy count.
bool arch_native_name(const char *legacy, int n_layers, char *out, size_t size);
bool arch_legacy_name(const char *native, int n_layers, char *out, size_t size);
