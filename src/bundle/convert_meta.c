// convert_meta: what stands beside the shards of a converted bundle: the index, config.json,
// jang_config.json, and the tokenizer's files.
#define _XOPEN_SOURCE 700 // realpath

#include "bundle/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- files ---------------------------------------------------------------------------------------------

static bool write_through(int fd, const char *data, size_t len) {
  while (len) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    data += n;
    len -= (size_t)n;
  }
  return fsync(fd) == 0;
}

bool convert_write_file(const char *dir, const char *name, const void *data, size_t len, zaya_error *err) {
  Buf path = {0}, temporary = {0};
  bool ok =
      buf_printf(&path, err, "%s/%s", dir, name) && buf_printf(&temporary, err, "%s.writing", path.data);
  int fd = ok ? open(temporary.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
  if (ok && fd < 0) ok = err_errno(err, errno, "%s: cannot create", temporary.data);
  if (ok && !write_through(fd, data, len)) ok = err_errno(err, errno, "%s: cannot write", temporary.data);
  if (fd >= 0 && close(fd) != 0 && ok) ok = err_errno(err, errno, "%s: cannot write", temporary.data);
  if (ok && rename(temporary.data, path.data) != 0)
    ok = err_errno(err, errno, "%s: cannot rename", temporary.data);
  buf_free(&path);
  buf_free(&temporary);
  return ok;
}

static bool write_json(const char *dir, const char *name, json_t *v, zaya_error *err) {
  Buf text = {0};
  bool ok = v ? jsonio_print(&text, v, 2, err) : err_memory(err, 1024, name);
  ok = ok && convert_write_file(dir, name, text.data, text.len, err);
  buf_free(&text);
  json_decref(v);
  return ok;
}

// --- what the bundle is called ---------------------------------------------------------------------------

static const char *mode_name(zaya_quant_mode m) {
  switch (m) {
  case ZAYA_QUANT_AFFINE: return "affine";
  case ZAYA_QUANT_MXFP4: return "mxfp4";
  case ZAYA_QUANT_MXFP8: return "mxfp8";
  case ZAYA_QUANT_NVFP4: return "nvfp4";
  }
  return "?";
}

// "mxfp4" is what the published bundle calls its 4-bit affine weights. Everything else says what it is.
static void format_name(const Plan *p, bool upper, char out[32]) {
  const zaya_convert_params *o = &p->params;
  if (o->mode != ZAYA_QUANT_AFFINE)
    snprintf(out, 32, "mlx-%s", mode_name(o->mode));
  else if (o->bits == 4)
    snprintf(out, 32, "mxfp4");
  else
    snprintf(out, 32, "affine%d", o->bits);
  for (char *c = out; upper && *c; c++)
    if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 32);
}

// ".../models--Zyphra--ZAYA1-8B/snapshots/<revision>" in a hub's cache, else the folder's own name.
static void source_name(const Plan *p, Buf *org, Buf *name, zaya_error *err) {
  const char *given = p->params.source_name, *dir = bundle_dir(p->source), *cut;
  if (given) {
    cut = strchr(given, '/');
    buf_add(org, given, cut ? (size_t)(cut - given) : 0, err);
    buf_puts(name, cut ? cut + 1 : given, err);
  } else if ((cut = strstr(dir, "models--"))) {
    const char *from = cut + 8, *mid = strstr(from, "--"), *end = strchr(from, '/');
    if (!end) end = from + strlen(from);
    if (mid && mid < end) {
      buf_add(org, from, (size_t)(mid - from), err);
      buf_add(name, mid + 2, (size_t)(end - mid - 2), err);
    }
  }
  if (!name->len) {
    char *real = realpath(dir, NULL);
    const char *base = real ? strrchr(real, '/') : NULL;
    buf_puts(name, base && base[1] ? base + 1 : dir, err);
    free(real);
  }
  if (!org->len) buf_puts(org, "Zyphra", err);
}

static json_t *capabilities(void) {
  return json_pack("{s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:s}", "reasoning_parser", "qwen3", "tool_parser",
                   "zaya_xml", "think_in_template", 0, "supports_tools", 1, "supports_thinking", 1, "family",
                   "zaya", "modality", "text", "cache_type", "hybrid");
}

// --- config.json -----------------------------------------------------------------------------------------

// The quantization object as MLX reads it: one setting, and exceptions by the name of the module.
static json_t *quantization(const Plan *p) {
  const zaya_convert_params *o = &p->params;
  json_t *q = json_pack("{s:i, s:i, s:s, s:i, s:i, s:s}", "bits", o->bits, "group_size", o->group_size,
                        "mode", mode_name(o->mode), "embed_bits", o->embed_bits, "router_bits", 16,
                        "expert_layout", "split_switch_mlp");
  if (o->mode != ZAYA_QUANT_AFFINE) {
    const char *outer[] = {"model.embed_tokens", bundle_config(p->source)->tied ? NULL : "lm_head"};
    for (int i = 0; i < 2 && outer[i]; i++)
      json_object_set_new(q, outer[i],
                          json_pack("{s:i, s:i, s:s}", "group_size", p->embed.group, "bits", o->embed_bits,
                                    "mode", "affine"));
  }
  return q;
}

// The keys of a native config that mean the same in a legacy one, which the bundle's tensor names are.
static json_t *legacy_config(const json_t *native, const Config *c) {
  static const char *const same[] = {
      "architectures",       "model_type",   "attention_bias",          "attention_dropout",
      "lm_head_bias",        "use_cache",    "initializer_range",       "bos_token_id",
      "eos_token_id",        "pad_token_id", "max_position_embeddings", "vocab_size",
      "tie_word_embeddings", "hidden_size",  "transformers_version"};
  json_t *v = json_object();
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    json_t *item = json_object_get(native, same[i]);
    if (item) json_object_set(v, same[i], item);
  }
  json_t *dtype = json_object_get(native, "dtype");
  if (!dtype) dtype = json_object_get(native, "torch_dtype");
  if (dtype) json_object_set(v, "torch_dtype", dtype);
  int heads = c->hidden % c->head_dim ? c->n_q : c->hidden / c->head_dim;
  json_t *shape =
      json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "num_hidden_layers", c->n_layers,
                "num_attention_heads", heads, "num_key_value_heads", c->n_kv, "num_query_groups", c->n_kv,
                "cca_num_q_heads", c->n_q, "kv_channels", c->head_dim, "ffn_hidden_size", 2 * c->expert,
                "num_experts", c->n_experts, "moe_router_topk", 1, "zaya_mlp_expansion", c->router);
  json_t *fixed =
      json_pack("{s:b, s:i, s:i, s:b, s:b, s:s, s:b, s:b, s:s, s:b, s:b, s:b, s:n}", "cca", 1, "cca_time0", 2,
                "cca_time1", 2, "zaya_use_eda", 1, "zaya_use_mod", 1, "activation_func", "swiglu",
                "gated_linear_unit", 1, "add_bias_linear", 0, "normalization", "RMSNorm", "clamp_temp",
                c->clamp_temp, "scale_residual_merge", 1, "residual_in_fp32", 1, "rope_scaling");
  json_object_update(v, shape);
  json_object_update(v, fixed);
  json_decref(shape);
  json_decref(fixed);
  json_t *rope = json_object_get(native, "rope_parameters");
  if (json_object_get(rope, "hybrid")) rope = json_object_get(rope, "hybrid");
  static const char *const from_rope[] = {"rope_theta", "partial_rotary_factor"};
  for (int i = 0; i < 2; i++) {
    json_t *item = json_object_get(rope, from_rope[i]);
    json_object_set(v, from_rope[i], item ? item : json_object_get(native, from_rope[i]));
  }
  json_object_set(v, "norm_epsilon", json_object_get(native, "rms_norm_eps"));
  return v;
}

static bool write_config(const Plan *p, const char *dir, zaya_error *err) {
  const Config *c = bundle_config(p->source);
  char format[32];
  format_name(p, false, format);
  json_t *v = jsonio_read(bundle_dir(p->source), "config.json", err);
  if (!v) return false;
  if (c->layout == LAYOUT_NATIVE) {
    json_t *legacy = legacy_config(v, c);
    json_decref(v);
    v = legacy;
  }
  json_object_set_new(v, "weight_format", json_string(format));
  json_object_set_new(v, "zaya_expert_layout", json_string("split_switch_mlp"));
  json_object_set_new(v, "quantization", quantization(p));
  json_object_set_new(v, "capabilities", capabilities());
  return write_json(dir, "config.json", v, err);
}

static bool write_jang_config(const Plan *p, const char *dir, zaya_error *err) {
  const zaya_convert_params *o = &p->params;
  char format[32], profile[32];
  Buf org = {0}, name = {0};
  format_name(p, false, format);
  format_name(p, true, profile);
  source_name(p, &org, &name, err);
  json_t *v = json_pack("{s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:s, s:{s:s, s:i, s:i, s:i}, s:o}",
                        "version", 2, "weight_format", format, "profile", profile, "cache_subtype",
                        "zaya_cca", "source_model", "name", name.data ? name.data : "", "org",
                        org.data ? org.data : "", "architecture", "zaya", "expert_layout", "split_switch_mlp",
                        "quantization", "method", mode_name(o->mode), "group_size", o->group_size, "bits",
                        o->bits, "embed_bits", o->embed_bits, "capabilities", capabilities());
  buf_free(&org);
  buf_free(&name);
  return write_json(dir, "jang_config.json", v, err);
}

static bool write_index(const Plan *p, const char *dir, zaya_error *err) {
  char format[32], shard[64];
  uint64_t total = 0;
  json_t *map = json_object();
  format_name(p, false, format);
  for (size_t i = 0; i < p->n_shards; i++) total += p->shard_bytes[i];
  for (size_t i = 0; i < p->n_outs; i++) {
    plan_shard_name(p, p->outs[i].shard, shard);
    json_object_set_new(map, p->outs[i].name, json_string(shard));
  }
  json_t *v = json_pack("{s:{s:s, s:I}, s:o}", "metadata", "format", format, "total_size", (json_int_t)total,
                        "weight_map", map);
  return write_json(dir, "model.safetensors.index.json", v, err);
}

// --- the tokenizer's files ---------------------------------------------------------------------------------

static bool copy_file(const Plan *p, const char *dir, const char *name, zaya_error *err) {
  Buf path = {0}, data = {0};
  bool ok = buf_printf(&path, err, "%s/%s", bundle_dir(p->source), name) &&
            buf_read_file(&data, path.data, (size_t)1 << 30, err) &&
            convert_write_file(dir, name, data.data, data.len, err);
  buf_free(&path);
  buf_free(&data);
  return ok;
}

// Some runtimes look for the template only here: a missing one is filled in from chat_template.jinja.
static bool write_tokenizer_config(const Plan *p, const char *dir, zaya_error *err) {
  static const char name[] = "tokenizer_config.json", jinja[] = "chat_template.jinja";
  const char *src = bundle_dir(p->source);
  json_t *v = jsonio_read(src, name, err);
  if (!v) return false;
  const json_t *there = json_object_get(v, "chat_template");
  bool fill = (!there || json_is_null(there)) && jsonio_exists(src, jinja);
  if (!fill) {
    json_decref(v);
    return copy_file(p, dir, name, err);
  }
  Buf path = {0}, text = {0};
  bool ok =
      buf_printf(&path, err, "%s/%s", src, jinja) && buf_read_file(&text, path.data, JSONIO_MAX_FILE, err);
  json_t *s = ok ? json_stringn(text.data, text.len) : NULL;
  if (ok && !s) ok = err_set(err, ZAYA_E_FORMAT, "%s: not valid UTF-8", path.data);
  if (s) json_object_set_new(v, "chat_template", s);
  buf_free(&path);
  buf_free(&text);
  if (ok) return write_json(dir, name, v, err);
  json_decref(v);
  return false;
}

bool convert_meta(const Plan *p, const char *dir, zaya_error *err) {
  static const char *const copied[] = {"tokenizer.json", "special_tokens_map.json", "generation_config.json",
                                       "chat_template.jinja"};
  const char *src = bundle_dir(p->source);
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
    if (jsonio_exists(src, copied[i]) && !copy_file(p, dir, copied[i], err)) return false;
  if (jsonio_exists(src, "tokenizer_config.json") && !write_tokenizer_config(p, dir, err)) return false;
  return write_index(p, dir, err) && write_jang_config(p, dir, err) && write_config(p, dir, err);
}
