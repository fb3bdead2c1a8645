// synth_meta: the configuration files of a synthetic folder, in the words that the real ones use. Owns
// the presets. See synth.h.
#include "base/files.h"
#include "bundle/synth.h"
#include "format/jsonio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool synth_preset(const char *name, Config *out) {
  static const Config zaya1_8b = {.n_layers = 80,
                                  .hidden = 2048,
                                  .n_q = 8,
                                  .n_kv = 2,
                                  .head_dim = 128,
                                  .rotary_dim = 64,
                                  .expert = 2048,
                                  .n_experts = 16,
                                  .router = 256,
                                  .vocab = 262272,
                                  .max_position = 131072,
                                  .rope_theta = 5e6,
                                  .norm_eps = 1e-5f,
                                  .tied = true,
                                  .bos = 2,
                                  .eos = {106},
                                  .n_eos = 1};
  static const Config tiny = {.n_layers = 6,
                              .hidden = 192,
                              .n_q = 8,
                              .n_kv = 2,
                              .head_dim = 32,
                              .rotary_dim = 16,
                              .expert = 160,
                              .n_experts = 5,
                              .router = 48,
                              .vocab = 1024,
                              .max_position = 4096,
                              .rope_theta = 5e6,
                              .norm_eps = 1e-5f,
                              .tied = true,
                              .bos = 2,
                              .eos = {106},
                              .n_eos = 1};
  if (strcmp(name, "zaya1-8b") && strcmp(name, "tiny")) return false;
  *out = !strcmp(name, "tiny") ? tiny : zaya1_8b;
  return true;
}

// --- config.json --------------------------------------------------------------------------------------

static void set(json_t *o, const char *key, json_t *value) { json_object_set_new(o, key, value); }
static void set_int(json_t *o, const char *key, int v) { set(o, key, json_integer(v)); }
static void set_real(json_t *o, const char *key, double v) { set(o, key, json_real(v)); }
static void set_bool(json_t *o, const char *key, bool v) { set(o, key, json_boolean(v)); }
static void set_text(json_t *o, const char *key, const char *v) { set(o, key, json_string(v)); }

// 1e-5 rather than the float's 9.99999974738e-06.
static double shortest(float v) {
  char text[32];
  for (int digits = 1; digits < 10; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)v);
    if (strtof(text, NULL) == v) break;
  }
  return strtod(text, NULL);
}

static void set_ids(json_t *o, const Config *c) {
  if (c->bos >= 0) set_int(o, "bos_token_id", c->bos);
  if (c->n_eos == 1) set_int(o, "eos_token_id", c->eos[0]);
  if (c->n_eos > 1) {
    json_t *list = json_array();
    for (int i = 0; i < c->n_eos; i++) json_array_append_new(list, json_integer(c->eos[i]));
    set(o, "eos_token_id", list);
  }
  if (c->pad >= 0) set_int(o, "pad_token_id", c->pad);
}

static void set_common(json_t *o, const Config *c) {
  set_int(o, "max_position_embeddings", c->max_position);
  set_int(o, "vocab_size", c->vocab);
  set_bool(o, "tie_word_embeddings", c->tied);
  set_bool(o, "attention_bias", false);
  set_bool(o, "lm_head_bias", false);
  set_bool(o, "clamp_temp", c->clamp_temp);
  set_bool(o, "use_cache", true);
  set_ids(o, c);
}

static double rotary_factor(const Config *c) { return (double)c->rotary_dim / (double)c->head_dim; }

static void legacy_config(json_t *o, const Config *c) {
  set_int(o, "hidden_size", c->hidden);
  set_int(o, "num_hidden_layers", c->n_layers);
  // Not the number of query heads in this layout: that is cca_num_q_heads.
  set_int(o, "num_attention_heads", c->hidden % c->head_dim ? c->n_q : c->hidden / c->head_dim);
  set_int(o, "num_key_value_heads", c->n_kv);
  set_int(o, "num_query_groups", c->n_kv);
  set_bool(o, "cca", true);
  set_int(o, "cca_num_q_heads", c->n_q);
  set_int(o, "cca_time0", 2);
  set_int(o, "cca_time1", 2);
  set_int(o, "kv_channels", c->head_dim);
  set_int(o, "ffn_hidden_size", 2 * c->expert);
  set_int(o, "num_experts", c->n_experts);
  set_int(o, "moe_router_topk", 1);
  set_int(o, "zaya_mlp_expansion", c->router);
  set_bool(o, "zaya_use_eda", true);
  set_bool(o, "zaya_use_mod", true);
  set_text(o, "activation_func", "swiglu");
  set_bool(o, "gated_linear_unit", true);
  set_bool(o, "add_bias_linear", false);
  set_text(o, "normalization", "RMSNorm");
  set_real(o, "norm_epsilon", shortest(c->norm_eps));
  set_bool(o, "scale_residual_merge", true);
  set_bool(o, "residual_in_fp32", true);
  set_real(o, "rope_theta", c->rope_theta);
  set(o, "rope_scaling", json_null());
  set_real(o, "partial_rotary_factor", rotary_factor(c));
  set_common(o, c);
}

static void native_config(json_t *o, const Config *c) {
  set_int(o, "hidden_size", c->hidden);
  set_int(o, "num_hidden_layers", c->n_layers / 2);
  set_int(o, "num_attention_heads", c->n_q);
  set_int(o, "num_key_value_heads", c->n_kv);
  set_int(o, "head_dim", c->head_dim);
  set_int(o, "moe_intermediate_size", c->expert);
  set_int(o, "num_experts", c->n_experts);
  set_int(o, "num_experts_per_tok", 1);
  set_int(o, "router_hidden_size", c->router);
  set_text(o, "hidden_act", "silu");
  set_real(o, "rms_norm_eps", shortest(c->norm_eps));
  json_t *types = json_array();
  for (int i = 0; i < c->n_layers / 2; i++) json_array_append_new(types, json_string("hybrid"));
  set(o, "layer_types", types);
  set(o, "sliding_window", json_null());
  set(o, "rope_parameters",
      json_pack("{s:{s:s, s:f, s:f}}", "hybrid", "rope_type", "default", "rope_theta", c->rope_theta,
                "partial_rotary_factor", rotary_factor(c)));
  set_int(o, "cca_time0", 2);
  set_int(o, "cca_time1", 2);
  set_common(o, c);
}

static json_t *capabilities(void) {
  return json_pack("{s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:s}", "reasoning_parser", "qwen3", "tool_parser",
                   "zaya_xml", "think_in_template", 0, "supports_tools", 1, "supports_thinking", 1, "family",
                   "zaya", "modality", "text", "cache_type", "hybrid");
}

bool synth_write_json(const char *dir, const char *name, json_t *root, zaya_error *err) {
  Buf text = {0};
  bool ok = (root || err_memory(err, 0, name)) && jsonio_print(&text, root, 2, err) &&
            files_write_in(dir, name, text.data, text.len, err);
  buf_free(&text);
  json_decref(root);
  return ok;
}

static bool write_jang(const char *dir, zaya_error *err) {
  return synth_write_json(
      dir, "jang_config.json",
      json_pack("{s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:s, s:{s:s, s:i, s:i, s:i}, s:o}", "version", 2,
                "weight_format", "mxfp4", "profile", "MXFP4", "cache_subtype", "zaya_cca", "source_model",
                "name", "synthetic", "org", "none", "architecture", "zaya", "expert_layout",
                "split_switch_mlp", "quantization", "method", "affine", "group_size", 32, "bits", 4,
                "embed_bits", 8, "capabilities", capabilities()),
      err);
}

bool synth_write_meta(const char *dir, const Config *c, SynthLayout layout, zaya_error *err) {
  json_t *o = json_object();
  set(o, "architectures", json_pack("[s]", "ZayaForCausalLM"));
  set_text(o, "model_type", "zaya");
  set_text(o, layout == SYNTH_NATIVE ? "dtype" : "torch_dtype", "bfloat16");
  if (layout == SYNTH_NATIVE)
    native_config(o, c);
  else
    legacy_config(o, c);
  if (layout == SYNTH_MXFP4) {
    set_text(o, "weight_format", "mxfp4");
    set_text(o, "zaya_expert_layout", "split_switch_mlp");
    set(o, "quantization",
        json_pack("{s:i, s:i, s:s, s:i, s:i, s:s}", "bits", 4, "group_size", 32, "mode", "affine",
                  "embed_bits", 8, "router_bits", 16, "expert_layout", "split_switch_mlp"));
    set(o, "capabilities", capabilities());
  }
  set_text(o, "zaya_synthetic", "random weights: for measuring speed and memory, not for use");
  json_t *generation = json_pack("{s:b, s:f, s:f}", "do_sample", 1, "temperature", 1.0, "top_p", 0.95);
  set_ids(generation, c);
  bool ok = synth_write_json(dir, "generation_config.json", generation, err);
  ok = synth_write_json(dir, "config.json", o, err) && ok;
  if (!ok) return false;
  return layout != SYNTH_MXFP4 || write_jang(dir, err);
}
