// bundle: a folder as a model: config, shards (through the index, or a single file), and tensors by
// their canonical names, whatever the layout. Owns the maps; tensors are views that live as long as
// the bundle. The only place that finds a tensor for the model. Depends on st, config, arch, mat.
#pragma once

#include "format/arch.h"
#include "format/config.h"
#include "format/mat.h"
#include "format/st.h"

typedef struct Bundle Bundle;

typedef enum ExpertPart { EXPERT_GATE, EXPERT_UP, EXPERT_DOWN } ExpertPart;

// Maps every shard and checks the headers, the index and which layout it is; the tensors themselves
// are checked when they are asked for (bundle_check asks for all).
Bundle *bundle_open(const char *dir, zaya_error *err);
void bundle_close(Bundle *b);
const char *bundle_dir(const Bundle *b);
const Config *bundle_config(const Bundle *b);
// "switch_mlp", "legacy" or "native".
const char *bundle_layout_name(const Bundle *b);
ExpertLayout bundle_experts(const Bundle *b);
// Contradictions that the tensors win, one line each; NULL behind the last.
const char *bundle_note(const Bundle *b, size_t i);

// Every tensor of the folder, by the names that stand in its files; in the order of the names.
size_t bundle_count(const Bundle *b);
const StTensor *bundle_at(const Bundle *b, size_t i);
const char *bundle_shard_of(const Bundle *b, size_t i); // file name of its shard
const StTensor *bundle_find(const Bundle *b, const char *name);
// The shards, in the order of their file names.
size_t bundle_shards(const Bundle *b);
const StFile *bundle_shard(const Bundle *b, size_t i);

// Canonical access, legacy names without ".weight": "model.embed_tokens",
// "model.layers.0.self_attn.o_proj", "model.layers.0.self_attn.qkv.conv_qk.1", ... Each checks
// shapes and dtypes and names the tensor, what was expected and what was found.
bool bundle_mat(const Bundle *b, const char *base, size_t rows, size_t cols, Mat *out, zaya_error *err);
// A small float tensor, by its full canonical name ("model.final_norm.weight"), converted to float32.
bool bundle_vec(const Bundle *b, const char *name, size_t n, float *out, zaya_error *err);
// Whether a canonical name is there.
bool bundle_has(const Bundle *b, const char *name);
// Expert e of MoE layer `layer` (legacy number): gate, up [I, H], down [H, I].
bool bundle_expert(const Bundle *b, int layer, int e, ExpertPart part, Mat *out, zaya_error *err);
// What arch_list calls a tensor of this folder, as a matrix of rows x last dimension, or, for those
// that are no linears, as plain floats.
bool bundle_tensor(const Bundle *b, const ArchTensor *t, Mat *out, zaya_error *err);
// The tensors that the config asks for, in this folder's layout; lives as long as the bundle.
const ArchList *bundle_arch(const Bundle *b);
// Checks that every one of them is there, in a shape and a type that can be used.
bool bundle_check(const Bundle *b, zaya_error *err);
