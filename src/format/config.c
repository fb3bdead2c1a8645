// config: see config.h. Keys of both layouts are read into one set of numbers; a variant of the
// family that the forward pass does not define is refused with the key that asks for it.
#include "format/config.h"

#include "format/jsonio.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Reader {
  const json_t *root;
  const char *path; // of the file, for messages
  zaya_error *err;
} Reader;

static const json_t *lookup(const Reader *r, const char *key) {
  const json_t *v = json_object_get(r->root, key);
  return json_is_null(v) ? NULL : v; // null means absent throughout
}

static bool missing(const Reader *r, const char *key) {
  return err_set(r->err, ZAYA_E_FORMAT, "%s: key %s is missing", r->path, key);
}

static bool out_of_range(const Reader *r, const char *key, double found, double min, double max) {
  return err_set(r->err, ZAYA_E_FORMAT, "%s: %s is %.17g, expected %.17g to %.17g", r->path, key, found, min,
                 max);
}

static bool as_int(const Reader *r, const json_t *v, const char *key, int min, int max, int *out) {
  if (!json_is_integer(v)) return err_set(r->err, ZAYA_E_FORMAT, "%s: %s is not an integer", r->path, key);
  json_int_t n = json_integer_value(v);
  if (n < min || n > max) return out_of_range(r, key, (double)n, min, max);
  *out = (int)n;
  return true;
}

static bool need_int(const Reader *r, const char *key, int min, int max, int *out) {
  const json_t *v = lookup(r, key);
  return v ? as_int(r, v, key, min, max, out) : missing(r, key);
}

static bool need_number(const Reader *r, const char *key, double min, double max, double *out) {
  const json_t *v = lookup(r, key);
  if (!v) return missing(r, key);
  if (!json_is_number(v)) return err_set(r->err, ZAYA_E_FORMAT, "%s: %s is not a number", r->path, key);
  *out = json_number_value(v);
  if (!(*out >= min && *out <= max)) return out_of_range(r, key, *out, min, max);
  return true;
}

static bool refuse(const Reader *r, const char *key, const char *why) {
  return err_set(r->err, ZAYA_E_UNSUPPORTED, "%s: %s: %s", r->path, key, why);
}

// Absent is fine: every known config that leaves the key out means `want`.
static bool expect_bool(const Reader *r, const char *key, bool want, const char *why) {
  const json_t *v = lookup(r, key);
  if (!v) return true;
  if (!json_is_boolean(v)) return err_set(r->err, ZAYA_E_FORMAT, "%s: %s is not true or false", r->path, key);
  return json_is_true(v) == want || refuse(r, key, why);
}

static bool expect_int(const Reader *r, const char *key, int want) {
  const json_t *v = lookup(r, key);
  if (!v) return true;
  int n = 0;
  if (!as_int(r, v, key, 0, 1 << 30, &n)) return false;
  return n == want ||
         err_set(r->err, ZAYA_E_UNSUPPORTED, "%s: %s is %d, only %d is supported", r->path, key, n, want);
}

static bool expect_word(const Reader *r, const char *key, const char *want) {
  const json_t *v = lookup(r, key);
  if (!v) return true;
  const char *s = json_string_value(v);
  if (s && !strcmp(s, want)) return true;
  return err_set(r->err, ZAYA_E_UNSUPPORTED, "%s: %s is %.64s, only %s is supported", r->path, key,
                 s ? s : "not a string", want);
}

static bool read_bool(const Reader *r, const char *key, bool fallback, bool *out) {
  const json_t *v = lookup(r, key);
  *out = v ? json_is_true(v) : fallback;
  return !v || json_is_boolean(v) ||
         err_set(r->err, ZAYA_E_FORMAT, "%s: %s is not true or false", r->path, key);
}

// A number, or the list with one entry per layer that early checkpoints carry: the same number on the
// layers of one kind (parity 0: attention, 1: MoE), zero on the others.
static bool per_layer_int(const Reader *r, const char *key, int parity, int n_layers, int max, int *out) {
  const json_t *v = lookup(r, key);
  if (!v) return missing(r, key);
  if (!json_is_array(v)) return as_int(r, v, key, 1, max, out);
  if (json_array_size(v) != (size_t)n_layers)
    return err_set(r->err, ZAYA_E_FORMAT, "%s: %s lists %zu layers, num_hidden_layers is %d", r->path, key,
                   json_array_size(v), n_layers);
  for (int i = 0; i < n_layers; i++) {
    int n = 0;
    if (!as_int(r, json_array_get(v, (size_t)i), key, 0, max, &n)) return false;
    if (i == parity) *out = n;
    if (n != (i % 2 == parity ? *out : 0) || (i == parity && n == 0))
      return err_set(r->err, ZAYA_E_UNSUPPORTED,
                     "%s: %s[%d] is %d: layers of unequal shape are not supported", r->path, key, i, n);
  }
  return true;
}

// zaya_layers: "a" and the number of experts in turn.
static bool check_layer_list(const Reader *r, int n_layers, int *n_experts) {
  const json_t *v = lookup(r, "zaya_layers");
  if (!v) return true;
  if (!json_is_array(v) || json_array_size(v) != (size_t)n_layers)
    return err_set(r->err, ZAYA_E_FORMAT, "%s: zaya_layers does not list %d layers", r->path, n_layers);
  for (int i = 0; i < n_layers; i++) {
    const json_t *item = json_array_get(v, (size_t)i);
    const char *s = json_string_value(item);
    int n = json_is_integer(item) ? (int)json_integer_value(item) : 0;
    if (i == 1) *n_experts = n;
    if (i % 2 == 0 ? !s || strcmp(s, "a") != 0 : n < 1 || n != *n_experts)
      return refuse(r, "zaya_layers", "only attention and MoE layers in turn, all alike, are supported");
  }
  return true;
}

static bool expect_same(const Reader *r, const char *key, int n_layers, int want) {
  if (!lookup(r, key)) return true;
  int n = 0;
  if (!per_layer_int(r, key, 0, n_layers, 1 << 20, &n)) return false;
  return n == want ||
         err_set(r->err, ZAYA_E_FORMAT, "%s: %s is %d, but num_key_value_heads is %d", r->path, key, n, want);
}

static bool legacy_counts(const Reader *r, Config *c) {
  int ffn;
  const char *ffn_key = lookup(r, "ffn_hidden_size") ? "ffn_hidden_size" : "ffn_hidden_size_list";
  const char *kv_key = lookup(r, "num_key_value_heads") || !lookup(r, "num_query_groups")
                           ? "num_key_value_heads"
                           : "num_query_groups";
  if (!lookup(r, ffn_key)) ffn_key = "ffn_hidden_size";
  if (!need_int(r, "num_hidden_layers", 2, 4096, &c->n_layers)) return false;
  if (c->n_layers % 2)
    return refuse(r, "num_hidden_layers", "an odd number: attention and MoE come in pairs");
  if (!per_layer_int(r, "cca_num_q_heads", 0, c->n_layers, 4096, &c->n_q) ||
      !need_int(r, kv_key, 1, 4096, &c->n_kv) || !expect_same(r, "num_query_groups", c->n_layers, c->n_kv) ||
      !expect_same(r, "num_query_groups_list", c->n_layers, c->n_kv) ||
      !per_layer_int(r, ffn_key, 1, c->n_layers, 1 << 21, &ffn) ||
      !per_layer_int(r, "zaya_mlp_expansion", 1, c->n_layers, 1 << 16, &c->router) ||
      !check_layer_list(r, c->n_layers, &c->n_experts))
    return false;
  if (ffn % 2) return refuse(r, ffn_key, "an odd number: it counts gate and up together");
  c->expert = ffn / 2;
  int listed = c->n_experts;
  if ((lookup(r, "num_experts") || !listed) && !need_int(r, "num_experts", 1, 4096, &c->n_experts))
    return false;
  if (listed && listed != c->n_experts)
    return err_set(r->err, ZAYA_E_FORMAT, "%s: num_experts is %d, but zaya_layers says %d", r->path,
                   c->n_experts, listed);
  return true;
}

static bool native_counts(const Reader *r, Config *c) {
  if (!need_int(r, "num_hidden_layers", 1, 2048, &c->n_layers)) return false;
  c->n_layers *= 2;
  return need_int(r, "num_attention_heads", 1, 4096, &c->n_q) &&
         need_int(r, "num_key_value_heads", 1, 4096, &c->n_kv) &&
         need_int(r, "moe_intermediate_size", 1, 1 << 20, &c->expert) &&
         need_int(r, "router_hidden_size", 1, 1 << 16, &c->router) &&
         need_int(r, "num_experts", 1, 4096, &c->n_experts);
}

static bool head_dim(const Reader *r, Config *c) {
  if (lookup(r, "kv_channels")) return need_int(r, "kv_channels", 1, 8192, &c->head_dim);
  if (lookup(r, "head_dim")) return need_int(r, "head_dim", 1, 8192, &c->head_dim);
  int n;
  if (!lookup(r, "num_attention_heads")) return missing(r, "kv_channels (or head_dim)");
  if (!need_int(r, "num_attention_heads", 1, c->hidden, &n)) return false;
  c->head_dim = c->hidden / n;
  return c->hidden % n == 0 || err_set(r->err, ZAYA_E_FORMAT,
                                       "%s: hidden_size %d is no multiple of "
                                       "num_attention_heads %d",
                                       r->path, c->hidden, n);
}

// A rope object asks for something when its type is not the plain one. (A linear factor of 1 is plain.)
static bool plain_rope(const Reader *r, const json_t *rope, const char *key) {
  if (!rope || json_is_false(rope) || json_is_null(rope)) return true;
  if (!json_is_object(rope)) return err_set(r->err, ZAYA_E_FORMAT, "%s: %s is not an object", r->path, key);
  const json_t *type = json_object_get(rope, "rope_type");
  if (!type) type = json_object_get(rope, "type");
  const char *s = type ? json_string_value(type) : "default";
  const json_t *factor = json_object_get(rope, "factor");
  bool linear_one = s && !strcmp(s, "linear") && json_is_number(factor) && json_number_value(factor) == 1.0;
  if (s && (!strcmp(s, "default") || linear_one)) return true;
  return err_set(r->err, ZAYA_E_UNSUPPORTED, "%s: %s.rope_type is %.64s, only default is supported", r->path,
                 key, s ? s : "not a string");
}

static bool read_rope(const Reader *r, Config *c) {
  const json_t *params = lookup(r, "rope_parameters"), *hybrid = json_object_get(params, "hybrid");
  const char *where = json_is_object(hybrid) ? "rope_parameters.hybrid" : "rope_parameters";
  const json_t *rope = json_is_object(hybrid) ? hybrid : params;
  if (!plain_rope(r, rope, where) || !plain_rope(r, lookup(r, "rope_scaling"), "rope_scaling")) return false;
  char path[512];
  snprintf(path, sizeof path, "%s: %s", r->path, where);
  Reader inner = {rope, path, r->err};
  bool in_rope =
      json_object_get(rope, "rope_theta") || (c->layout == LAYOUT_NATIVE && !lookup(r, "rope_theta"));
  bool f_in_rope = json_object_get(rope, "partial_rotary_factor") ||
                   (c->layout == LAYOUT_NATIVE && !lookup(r, "partial_rotary_factor"));
  double factor;
  if (!need_number(in_rope ? &inner : r, "rope_theta", 1.0, 1e12, &c->rope_theta) ||
      !need_number(f_in_rope ? &inner : r, "partial_rotary_factor", 0.0, 1.0, &factor))
    return false;
  c->rotary_dim = (int)(c->head_dim * factor);
  if (c->rotary_dim < 2 || c->rotary_dim % 2)
    return err_set(
        r->err, ZAYA_E_FORMAT,
        "%s: partial_rotary_factor %.9g of head size %d gives %d rotary dimensions, expected an even "
        "number",
        r->path, factor, c->head_dim, c->rotary_dim);
  return true;
}

// True for null, false, 0 and lists of those.
static bool nothing(const json_t *v) {
  if (json_is_array(v)) {
    for (size_t i = 0; i < json_array_size(v); i++)
      if (!nothing(json_array_get(v, i))) return false;
    return true;
  }
  return !v || json_is_null(v) || json_is_false(v) || (json_is_integer(v) && json_integer_value(v) == 0);
}

static bool check_windows(const Reader *r) {
  const json_t *types = lookup(r, "layer_types");
  if (!nothing(lookup(r, "swa_layers")))
    return refuse(r, "swa_layers", "sliding-window layers are not supported");
  for (size_t i = 0; i < json_array_size(types); i++) {
    const char *s = json_string_value(json_array_get(types, i));
    if (!s || strcmp(s, "hybrid") != 0)
      return err_set(r->err, ZAYA_E_UNSUPPORTED, "%s: layer_types[%zu] is %.64s, only hybrid is supported",
                     r->path, i, s ? s : "not a string");
  }
  // With every layer said to be full the window is unused.
  if (!json_array_size(types) && !nothing(lookup(r, "sliding_window")))
    return refuse(r, "sliding_window", "sliding-window layers are not supported");
  return true;
}

static bool check_variant(const Reader *r) {
  const char *only = "only true is supported", *no_bias = "biases are not supported here";
  return expect_word(r, "model_type", "zaya") && expect_bool(r, "cca", true, only) &&
         expect_int(r, "cca_time0", 2) && expect_int(r, "cca_time1", 2) &&
         expect_bool(r, "zaya_use_eda", true, only) && expect_bool(r, "zaya_use_mod", true, only) &&
         expect_bool(r, "scale_residual_merge", true, only) &&
         expect_bool(r, "gated_linear_unit", true, only) && expect_word(r, "activation_func", "swiglu") &&
         expect_word(r, "hidden_act", "silu") && expect_word(r, "normalization", "RMSNorm") &&
         expect_int(r, "moe_router_topk", 1) && expect_int(r, "num_experts_per_tok", 1) &&
         expect_bool(r, "add_bias_linear", false, no_bias) &&
         expect_bool(r, "attention_bias", false, no_bias) && expect_bool(r, "lm_head_bias", false, no_bias) &&
         check_windows(r);
}

static bool optional_id(const Reader *r, const char *key, int vocab, int *out) {
  const json_t *v = lookup(r, key);
  *out = -1;
  return !v || as_int(r, v, key, 0, vocab - 1, out);
}

static bool read_ids(const Reader *r, Config *c) {
  const json_t *v = lookup(r, "eos_token_id");
  size_t n = json_is_array(v) ? json_array_size(v) : v ? 1 : 0;
  if (n > CONFIG_MAX_EOS)
    return err_set(r->err, ZAYA_E_LIMIT, "%s: eos_token_id lists %zu tokens, at most %d are supported",
                   r->path, n, CONFIG_MAX_EOS);
  for (size_t i = 0; i < n; i++)
    if (!as_int(r, json_is_array(v) ? json_array_get(v, i) : v, "eos_token_id", 0, c->vocab - 1, &c->eos[i]))
      return false;
  c->n_eos = (int)n;
  return optional_id(r, "bos_token_id", c->vocab, &c->bos) &&
         optional_id(r, "pad_token_id", c->vocab, &c->pad);
}

static bool check_shapes(const Reader *r, const Config *c) {
  if (c->n_q % c->n_kv)
    return err_set(r->err, ZAYA_E_FORMAT, "%s: %d query heads are no multiple of num_key_value_heads %d",
                   r->path, c->n_q, c->n_kv);
  if (c->n_kv * c->head_dim % 2)
    return err_set(r->err, ZAYA_E_FORMAT, "%s: %d key-value heads of size %d cannot be halved", r->path,
                   c->n_kv, c->head_dim);
  return true;
}

static bool parse(const Reader *r, Config *c) {
  bool legacy = lookup(r, "zaya_mlp_expansion") || lookup(r, "cca_num_q_heads");
  if (!lookup(r, "model_type")) return missing(r, "model_type");
  if (!check_variant(r)) return false;
  if (!legacy && !lookup(r, "router_hidden_size"))
    return missing(r, "zaya_mlp_expansion (legacy) or router_hidden_size (native)");
  c->layout = legacy ? LAYOUT_LEGACY : LAYOUT_NATIVE;
  const char *eps_key = lookup(r, "norm_epsilon") || legacy ? "norm_epsilon" : "rms_norm_eps";
  if (legacy && !lookup(r, "norm_epsilon") && lookup(r, "rms_norm_eps")) eps_key = "rms_norm_eps";
  double eps;
  if (!(legacy ? legacy_counts(r, c) : native_counts(r, c)) ||
      !need_int(r, "hidden_size", 1, 1 << 17, &c->hidden) || !head_dim(r, c) ||
      !need_int(r, "vocab_size", 1, 1 << 24, &c->vocab) ||
      !need_int(r, "max_position_embeddings", 1, 1 << 30, &c->max_position) ||
      !need_number(r, eps_key, 0.0, 1.0, &eps) || !read_rope(r, c) || !read_ids(r, c) ||
      !read_bool(r, "tie_word_embeddings", true, &c->tied) ||
      !read_bool(r, "clamp_temp", false, &c->clamp_temp) || !check_shapes(r, c))
    return false;
  c->norm_eps = (float)eps;
  return true;
}

bool config_parse(const char *json, size_t len, const char *path, Config *out, zaya_error *err) {
  json_t *root = jsonio_parse(json, len, path, err);
  if (!root) return false;
  Reader r = {root, path, err};
  *out = (Config){0};
  bool ok = parse(&r, out);
  json_decref(root);
  return ok;
}

bool config_read(const char *dir, Config *out, zaya_error *err) {
  Buf path = {0}, text = {0};
  bool ok = buf_printf(&path, err, "%s/config.json", dir) &&
            buf_read_file(&text, path.data, JSONIO_MAX_FILE, err) &&
            config_parse(text.data, text.len, path.data, out, err);
  buf_free(&text);
  buf_free(&path);
  return ok;
}
