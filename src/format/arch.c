// arch: see arch.h.
#include "format/arch.h"

#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A dimension of a tensor, by its symbol.
typedef enum Dim {
  D_END,
  D_H,
  D_V,
  D_Q,
  D_K,
  D_KHALF,
  D_C,
  D_D,
  D_NK,
  D_P,
  D_E,
  D_E1,
  D_I,
  D_2I,
  D_1,
  D_2
} Dim;

static size_t dim_size(const Config *c, Dim d) {
  size_t q = (size_t)c->n_q * (size_t)c->head_dim, k = (size_t)c->n_kv * (size_t)c->head_dim;
  switch (d) {
  case D_END: return 0;
  case D_H: return (size_t)c->hidden;
  case D_V: return (size_t)c->vocab;
  case D_Q: return q;
  case D_K: return k;
  case D_KHALF: return k / 2;
  case D_C: return q + k;
  case D_D: return (size_t)c->head_dim;
  case D_NK: return (size_t)c->n_kv;
  case D_P: return (size_t)c->router;
  case D_E: return (size_t)c->n_experts;
  case D_E1: return (size_t)c->n_experts + 1;
  case D_I: return (size_t)c->expert;
  case D_2I: return 2 * (size_t)c->expert;
  case D_1: return 1;
  case D_2: return 2;
  }
  return 0;
}

// When a row of a table applies.
typedef enum When {
  ALWAYS,
  NOT_FIRST, // not in the first layer of its kind
} When;

typedef struct Row {
  const char *legacy, *native; // behind "model.layers.<i>." of either numbering
  ArchClass klass;
  When when;
  Dim shape[4];
} Row;

// Residual scaling, attached to every legacy layer; the native layout keeps a layer's with the block
// before it (see res_scale_native).
static const Row res_rows[] = {
    {"hidden_states_bias", "hidden_states_bias", ARCH_SCALE, ALWAYS, {D_H}},
    {"hidden_states_scale", "hidden_states_scale", ARCH_SCALE, ALWAYS, {D_H}},
    {"residual_bias", "residual_bias", ARCH_SCALE, NOT_FIRST, {D_H}},
    {"residual_scale", "residual_scale", ARCH_SCALE, NOT_FIRST, {D_H}},
};

static const Row attn_rows[] = {
    {"input_norm.weight", "input_layernorm.weight", ARCH_NORM, ALWAYS, {D_H}},
    {"self_attn.qkv.linear_q.weight", "self_attn.qkv_proj.q_proj.weight", ARCH_ATTN, ALWAYS, {D_Q, D_H}},
    {"self_attn.qkv.linear_k.weight", "self_attn.qkv_proj.k_proj.weight", ARCH_ATTN, ALWAYS, {D_K, D_H}},
    {"self_attn.qkv.val_proj1.weight",
     "self_attn.qkv_proj.v_proj_current.weight",
     ARCH_ATTN,
     ALWAYS,
     {D_KHALF, D_H}},
    {"self_attn.qkv.val_proj2.weight",
     "self_attn.qkv_proj.v_proj_delayed.weight",
     ARCH_ATTN,
     ALWAYS,
     {D_KHALF, D_H}},
    {"self_attn.qkv.conv_qk.0.weight",
     "self_attn.qkv_proj.conv_qk_depthwise.weight",
     ARCH_CONV,
     ALWAYS,
     {D_C, D_1, D_2}},
    {"self_attn.qkv.conv_qk.0.bias", "self_attn.qkv_proj.conv_qk_depthwise.bias", ARCH_CONV, ALWAYS, {D_C}},
    {"self_attn.qkv.conv_qk.1.weight",
     "self_attn.qkv_proj.conv_qk_grouped.weight",
     ARCH_CONV,
     ALWAYS,
     {D_C, D_D, D_2}},
    {"self_attn.qkv.conv_qk.1.bias", "self_attn.qkv_proj.conv_qk_grouped.bias", ARCH_CONV, ALWAYS, {D_C}},
    {"self_attn.qkv.temp", "self_attn.qk_norm.temp", ARCH_SCALE, ALWAYS, {D_NK}},
    {"self_attn.o_proj.weight", "self_attn.o_proj.weight", ARCH_ATTN, ALWAYS, {D_H, D_Q}},
};

static const Row moe_rows[] = {
    {"input_norm.weight", "post_attention_layernorm.weight", ARCH_NORM, ALWAYS, {D_H}},
    {"zaya_block.router.down_proj.weight", "mlp.gate.down_proj.weight", ARCH_ROUTER, ALWAYS, {D_P, D_H}},
    {"zaya_block.router.down_proj.bias", "mlp.gate.down_proj.bias", ARCH_ROUTER, ALWAYS, {D_P}},
    {"zaya_block.router.router_states_scale", "mlp.gate.router_states_scale", ARCH_ROUTER, NOT_FIRST, {D_P}},
    {"zaya_block.router.rmsnorm_eda.weight", "mlp.gate.router_mlp.norm.weight", ARCH_ROUTER, ALWAYS, {D_P}},
    {"zaya_block.router.router_mlp.0.weight",
     "mlp.gate.router_mlp.fc1.weight",
     ARCH_ROUTER,
     ALWAYS,
     {D_P, D_P}},
    {"zaya_block.router.router_mlp.0.bias", "mlp.gate.router_mlp.fc1.bias", ARCH_ROUTER, ALWAYS, {D_P}},
    {"zaya_block.router.router_mlp.2.weight",
     "mlp.gate.router_mlp.fc2.weight",
     ARCH_ROUTER,
     ALWAYS,
     {D_P, D_P}},
    {"zaya_block.router.router_mlp.2.bias", "mlp.gate.router_mlp.fc2.bias", ARCH_ROUTER, ALWAYS, {D_P}},
    {"zaya_block.router.router_mlp.4.weight",
     "mlp.gate.router_mlp.out_proj.weight",
     ARCH_ROUTER,
     ALWAYS,
     {D_E1, D_P}},
    {"zaya_block.router.balancing_biases", "mlp.gate.balancing_biases", ARCH_ROUTER, ALWAYS, {D_E1}},
};

static const Row switch_rows[] = {
    {"zaya_block.experts.switch_mlp.gate_proj.weight", NULL, ARCH_EXPERT, ALWAYS, {D_E, D_I, D_H}},
    {"zaya_block.experts.switch_mlp.up_proj.weight", NULL, ARCH_EXPERT, ALWAYS, {D_E, D_I, D_H}},
    {"zaya_block.experts.switch_mlp.down_proj.weight", NULL, ARCH_EXPERT, ALWAYS, {D_E, D_H, D_I}},
};

static const Row fused_rows[] = {
    {"zaya_block.experts.gate_up_proj", "mlp.experts.gate_up_proj", ARCH_EXPERT, ALWAYS, {D_E, D_2I, D_H}},
    {"zaya_block.experts.down_proj", "mlp.experts.down_proj", ARCH_EXPERT, ALWAYS, {D_E, D_H, D_I}},
};

static const Row local_rows[] = {
    {"linear_fc1.weight", NULL, ARCH_EXPERT, ALWAYS, {D_2I, D_H}},
    {"linear_fc2.weight", NULL, ARCH_EXPERT, ALWAYS, {D_H, D_I}},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const char *arch_class_name(ArchClass k) {
  switch (k) {
  case ARCH_EMBED: return "embedding";
  case ARCH_HEAD: return "head";
  case ARCH_ATTN: return "attention";
  case ARCH_EXPERT: return "experts";
  case ARCH_CONV: return "convolutions";
  case ARCH_ROUTER: return "routers";
  case ARCH_NORM: return "norms";
  case ARCH_SCALE: return "scalings";
  }
  return "?";
}

size_t arch_elements(const ArchTensor *t) {
  size_t n = 1;
  for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
  return n;
}

static bool ends_with(const char *s, const char *tail) {
  size_t n = strlen(s), m = strlen(tail);
  return n >= m && !strcmp(s + n - m, tail);
}

bool arch_quantizable(const char *s, int ndim) {
  if (ndim < 2) return false;
  if (strstr(s, "norm") || strstr(s, ".res_scale.") || strstr(s, ".router.") || strstr(s, ".conv_qk."))
    return false;
  return !ends_with(s, ".temp") && !ends_with(s, ".bias") && !ends_with(s, ".balancing_biases") &&
         !ends_with(s, ".router_states_scale");
}

// --- names -------------------------------------------------------------------------------------------

static bool put(char *out, size_t size, const char *prefix, int layer, const char *rest) {
  int n = layer < 0 ? snprintf(out, size, "%s%s", prefix, rest)
                    : snprintf(out, size, "%s%d.%s", prefix, layer, rest);
  return n >= 0 && (size_t)n < size;
}

// Splits "model.layers.<i>.<rest>"; -1 when it is not that.
static int split_layer(const char *name, const char **rest) {
  static const char prefix[] = "model.layers.";
  if (strncmp(name, prefix, sizeof prefix - 1)) return -1;
  const char *p = name + sizeof prefix - 1;
  int i = 0, digits = 0;
  for (; *p >= '0' && *p <= '9' && digits < 6; p++, digits++) i = i * 10 + (*p - '0');
  if (!digits || *p != '.' || (digits > 1 && name[sizeof prefix - 1] == '0')) return -1;
  *rest = p + 1;
  return i;
}

static const Row *find_row(const Row *rows, size_t n, const char *name, bool native) {
  for (size_t i = 0; i < n; i++)
    if (!strcmp(native ? rows[i].native : rows[i].legacy, name)) return &rows[i];
  return NULL;
}

// The residual scaling in front of legacy layer i (n_layers: the final one).
static bool res_scale_native(int i, int n_layers, const Row *row, char *out, size_t size) {
  char rest[64];
  if (i == 0) {
    if (row->when == NOT_FIRST) return false;
    return put(out, size, "model.input_", -1, row->native);
  }
  snprintf(rest, sizeof rest, "%s.%s",
           i % 2 && i < n_layers ? "post_attention_residual_scale" : "post_mlp_residual_scale", row->native);
  return put(out, size, "model.layers.", (i - 1) / 2, rest);
}

bool arch_native_name(const char *legacy, int n_layers, char *out, size_t size) {
  static const char final_scale[] = "model.res_scale.";
  const char *rest;
  if (!strcmp(legacy, "model.embed_tokens.weight") || !strcmp(legacy, "lm_head.weight"))
    return put(out, size, legacy, -1, "");
  if (!strcmp(legacy, "model.final_norm.weight")) return put(out, size, "model.norm.weight", -1, "");
  if (!strncmp(legacy, final_scale, sizeof final_scale - 1)) {
    const Row *row = find_row(res_rows, COUNT(res_rows), legacy + sizeof final_scale - 1, false);
    return row && res_scale_native(n_layers, n_layers, row, out, size);
  }
  int i = split_layer(legacy, &rest);
  if (i < 0 || i >= n_layers) return false;
  if (!strncmp(rest, "res_scale.", 10)) {
    const Row *row = find_row(res_rows, COUNT(res_rows), rest + 10, false);
    return row && res_scale_native(i, n_layers, row, out, size);
  }
  const Row *row = i % 2 ? find_row(moe_rows, COUNT(moe_rows), rest, false)
                         : find_row(attn_rows, COUNT(attn_rows), rest, false);
  if (!row && i % 2) row = find_row(fused_rows, COUNT(fused_rows), rest, false);
  return row && put(out, size, "model.layers.", i / 2, row->native);
}

static bool legacy_res_scale(const char *part, int layer, int n_layers, char *out, size_t size) {
  char rest[64];
  const Row *row = find_row(res_rows, COUNT(res_rows), part, true);
  if (!row) return false;
  if (layer == n_layers) return put(out, size, "model.res_scale.", -1, row->legacy);
  snprintf(rest, sizeof rest, "res_scale.%s", row->legacy);
  return put(out, size, "model.layers.", layer, rest);
}

bool arch_legacy_name(const char *native, int n_layers, char *out, size_t size) {
  static const char input[] = "model.input_", attn[] = "post_attention_residual_scale.",
                    mlp[] = "post_mlp_residual_scale.";
  const char *rest;
  if (!strcmp(native, "model.embed_tokens.weight") || !strcmp(native, "lm_head.weight"))
    return put(out, size, native, -1, "");
  if (!strcmp(native, "model.norm.weight")) return put(out, size, "model.final_norm.weight", -1, "");
  if (!strncmp(native, input, sizeof input - 1)) {
    const Row *row = find_row(res_rows, COUNT(res_rows), native + sizeof input - 1, true);
    return row && row->when == ALWAYS && legacy_res_scale(row->native, 0, n_layers, out, size);
  }
  int j = split_layer(native, &rest);
  if (j < 0 || j >= n_layers / 2) return false;
  if (!strncmp(rest, attn, sizeof attn - 1))
    return legacy_res_scale(rest + sizeof attn - 1, 2 * j + 1, n_layers, out, size);
  if (!strncmp(rest, mlp, sizeof mlp - 1))
    return legacy_res_scale(rest + sizeof mlp - 1, 2 * j + 2, n_layers, out, size);
  const Row *row = find_row(attn_rows, COUNT(attn_rows), rest, true);
  if (row) return put(out, size, "model.layers.", 2 * j, row->legacy);
  row = find_row(moe_rows, COUNT(moe_rows), rest, true);
  if (!row) row = find_row(fused_rows, COUNT(fused_rows), rest, true);
  return row && put(out, size, "model.layers.", 2 * j + 1, row->legacy);
}

// --- the list ----------------------------------------------------------------------------------------

typedef struct Builder {
  const Config *c;
  bool native;
  ArchList *out;
} Builder;

static void add(Builder *b, const char *canonical, const Row *row, int layer, int expert) {
  ArchTensor *t = &b->out->items[b->out->len++];
  *t = (ArchTensor){.klass = row->klass, .layer = layer, .expert = expert};
  snprintf(t->canonical, sizeof t->canonical, "%s", canonical);
  if (!b->native || !arch_native_name(canonical, b->c->n_layers, t->name, sizeof t->name))
    snprintf(t->name, sizeof t->name, "%s", canonical);
  while (t->ndim < 4 && row->shape[t->ndim] != D_END) {
    t->shape[t->ndim] = dim_size(b->c, row->shape[t->ndim]);
    t->ndim++;
  }
  t->quantizable = arch_quantizable(canonical, t->ndim);
}

static void add_rows(Builder *b, const Row *rows, size_t n, const char *prefix, int layer, int expert,
                     bool first) {
  char name[ARCH_NAME_SIZE];
  for (size_t i = 0; i < n; i++) {
    if (rows[i].when == NOT_FIRST && first) continue;
    snprintf(name, sizeof name, "%.64s%s", prefix, rows[i].legacy);
    add(b, name, &rows[i], layer, expert);
  }
}

static void add_experts(Builder *b, ExpertLayout experts, const char *prefix, int layer) {
  char local[ARCH_NAME_SIZE];
  if (experts == EXPERTS_SWITCH) add_rows(b, switch_rows, COUNT(switch_rows), prefix, layer, -1, false);
  if (experts == EXPERTS_FUSED) add_rows(b, fused_rows, COUNT(fused_rows), prefix, layer, -1, false);
  for (int e = 0; experts == EXPERTS_LOCAL && e < b->c->n_experts; e++) {
    snprintf(local, sizeof local, "%szaya_block.experts.local_experts.%d.", prefix, e);
    add_rows(b, local_rows, COUNT(local_rows), local, layer, e, false);
  }
}

bool arch_list(const Config *c, ExpertLayout experts, ArchList *out, zaya_error *err) {
  static const Row top[] = {{"", "", ARCH_EMBED, ALWAYS, {D_V, D_H}},
                            {"", "", ARCH_HEAD, ALWAYS, {D_V, D_H}},
                            {"", "", ARCH_NORM, ALWAYS, {D_H}}};
  // The rows of one layer of either kind are fewer than 32, without single experts.
  size_t per_layer = 32 + (experts == EXPERTS_LOCAL ? 2 * (size_t)c->n_experts : 0), n, bytes;
  *out = (ArchList){0};
  if (!size_mul(per_layer, (size_t)c->n_layers + 1, &n) || !size_mul(n, sizeof *out->items, &bytes) ||
      !(out->items = malloc(bytes)))
    return err_memory(err, per_layer * (size_t)c->n_layers, "the list of tensors");
  Builder b = {c, experts == EXPERTS_FUSED, out};
  add(&b, "model.embed_tokens.weight", &top[0], -1, -1);
  if (!c->tied) add(&b, "lm_head.weight", &top[1], -1, -1);
  add(&b, "model.final_norm.weight", &top[2], -1, -1);
  add_rows(&b, res_rows, COUNT(res_rows), "model.res_scale.", -1, -1, false);
  for (int i = 0; i < c->n_layers; i++) {
    char prefix[32], res[48];
    snprintf(prefix, sizeof prefix, "model.layers.%d.", i);
    snprintf(res, sizeof res, "%sres_scale.", prefix);
    add_rows(&b, res_rows, COUNT(res_rows), res, i, -1, i == 0);
    if (i % 2 == 0) {
      add_rows(&b, attn_rows, COUNT(attn_rows), prefix, i, -1, i == 0);
    } else {
      add_rows(&b, moe_rows, COUNT(moe_rows), prefix, i, -1, i == 1);
      add_experts(&b, experts, prefix, i);
    }
  }
  return true;
}

void arch_free(ArchList *list) {
  free(list->items);
  *list = (ArchList){0};
}
