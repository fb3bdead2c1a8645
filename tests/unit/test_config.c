// config: both layouts give the same numbers; each missing key and each unsupported variant is refused
// by name.
#include "data.h"

#include "format/config.h"
#include "format/jsonio.h"

static json_t *golden_config(const char *name) {
  zaya_error err = {0};
  char path[4096];
  snprintf(path, sizeof path, "%s", data_golden(name));
  json_t *v = jsonio_read(path, "config.json", &err);
  if (!v) fail_msg("%s", err.message);
  return v;
}

// Parses `v` and drops it.
static bool parse(json_t *v, Config *c, zaya_error *err) {
  Buf b = {0};
  assert_true(jsonio_print(&b, v, 0, NULL));
  bool ok = config_parse(b.data, b.len, "dir/config.json", c, err);
  buf_free(&b);
  json_decref(v);
  return ok;
}

static void both_layouts_read_the_same(void **state) {
  (void)state;
  static const char *const dirs[] = {"A/legacy", "A/native", "A/mxfp4"};
  for (int i = 0; i < 3; i++) {
    Config c;
    zaya_error err = {0};
    if (!config_read(data_golden(dirs[i]), &c, &err)) fail_msg("%s", err.message);
    assert_int_equal(c.layout, i == 1 ? LAYOUT_NATIVE : LAYOUT_LEGACY);
    assert_int_equal(c.n_layers, 6);
    assert_int_equal(c.hidden, 256);
    assert_int_equal(c.n_q, 4);
    assert_int_equal(c.n_kv, 2);
    assert_int_equal(c.head_dim, 32);
    assert_int_equal(c.rotary_dim, 16);
    assert_int_equal(c.expert, 256);
    assert_int_equal(c.n_experts, 4);
    assert_int_equal(c.router, 32);
    assert_int_equal(c.vocab, 640);
    assert_int_equal(c.max_position, 4096);
    assert_true(c.rope_theta == 5e6 && c.norm_eps == 1e-5f && c.tied && !c.clamp_temp);
    assert_int_equal(c.bos, 2);
    assert_int_equal(c.pad, 0);
    assert_int_equal(c.n_eos, 1);
    assert_int_equal(c.eos[0], 106);
    assert_int_equal(config_conv_channels(&c), 192);
  }
}

static void missing_keys_are_named(void **state) {
  (void)state;
  static const char *const legacy[] = {"model_type",           "num_hidden_layers",
                                       "cca_num_q_heads",      "num_key_value_heads",
                                       "ffn_hidden_size",      "num_experts",
                                       "zaya_mlp_expansion",   "hidden_size",
                                       "vocab_size",           "max_position_embeddings",
                                       "norm_epsilon",         "rope_theta",
                                       "partial_rotary_factor"};
  static const char *const native[] = {"model_type",
                                       "num_hidden_layers",
                                       "num_attention_heads",
                                       "num_key_value_heads",
                                       "moe_intermediate_size",
                                       "num_experts",
                                       "router_hidden_size",
                                       "hidden_size",
                                       "vocab_size",
                                       "max_position_embeddings",
                                       "rms_norm_eps"};
  for (int layout = 0; layout < 2; layout++) {
    const char *const *keys = layout ? native : legacy;
    size_t n = layout ? sizeof native / sizeof *native : sizeof legacy / sizeof *legacy;
    for (size_t i = 0; i < n; i++) {
      Config c;
      zaya_error err = {0};
      json_t *v = golden_config(layout ? "A/native" : "A/legacy");
      json_object_del(v, keys[i]);
      if (!layout && !strcmp(keys[i], "num_key_value_heads")) json_object_del(v, "num_query_groups");
      if (parse(v, &c, &err)) fail_msg("accepted without %s", keys[i]);
      data_expect_error(&err, ZAYA_E_FORMAT, keys[i]);
      data_expect_error(&err, ZAYA_E_FORMAT, "is missing");
      data_expect_error(&err, ZAYA_E_FORMAT, "dir/config.json: ");
    }
  }
  json_t *v = golden_config("A/native");
  json_object_del(json_object_get(json_object_get(v, "rope_parameters"), "hybrid"), "rope_theta");
  Config c;
  zaya_error err = {0};
  assert_false(parse(v, &c, &err));
  data_expect_error(&err, ZAYA_E_FORMAT, "rope_parameters.hybrid: key rope_theta is missing");
}

typedef struct Change {
  const char *base, *key, *value; // JSON
  zaya_status status;
  const char *part;
} Change;

static bool parse_changed(const Change *ch, Config *c, zaya_error *err) {
  json_t *v = golden_config(ch->base);
  json_t *value = json_loads(ch->value, JSON_DECODE_ANY, NULL);
  assert_non_null(value);
  json_object_set_new(v, ch->key, value);
  return parse(v, c, err);
}

static void unsupported_variants_are_named(void **state) {
  (void)state;
  static const char L[] = "A/legacy", N[] = "A/native";
  static const Change changes[] = {
      {L, "model_type", "\"llama\"", ZAYA_E_UNSUPPORTED, "model_type is llama, only zaya"},
      {L, "cca", "false", ZAYA_E_UNSUPPORTED, "cca: only true"},
      {L, "cca_time0", "3", ZAYA_E_UNSUPPORTED, "cca_time0 is 3, only 2"},
      {N, "cca_time1", "4", ZAYA_E_UNSUPPORTED, "cca_time1 is 4, only 2"},
      {L, "zaya_use_eda", "false", ZAYA_E_UNSUPPORTED, "zaya_use_eda"},
      {L, "zaya_use_mod", "false", ZAYA_E_UNSUPPORTED, "zaya_use_mod"},
      {L, "scale_residual_merge", "false", ZAYA_E_UNSUPPORTED, "scale_residual_merge"},
      {L, "gated_linear_unit", "false", ZAYA_E_UNSUPPORTED, "gated_linear_unit"},
      {L, "activation_func", "\"gelu\"", ZAYA_E_UNSUPPORTED, "activation_func is gelu"},
      {N, "hidden_act", "\"gelu\"", ZAYA_E_UNSUPPORTED, "hidden_act is gelu"},
      {L, "normalization", "\"LayerNorm\"", ZAYA_E_UNSUPPORTED, "normalization is LayerNorm"},
      {L, "moe_router_topk", "2", ZAYA_E_UNSUPPORTED, "moe_router_topk is 2"},
      {N, "num_experts_per_tok", "2", ZAYA_E_UNSUPPORTED, "num_experts_per_tok is 2"},
      {L, "add_bias_linear", "true", ZAYA_E_UNSUPPORTED, "add_bias_linear"},
      {L, "attention_bias", "true", ZAYA_E_UNSUPPORTED, "attention_bias"},
      {N, "lm_head_bias", "true", ZAYA_E_UNSUPPORTED, "lm_head_bias"},
      {L, "rope_scaling", "{\"rope_type\":\"yarn\",\"factor\":4.0}", ZAYA_E_UNSUPPORTED, "rope_type is yarn"},
      {L, "rope_scaling", "{\"type\":\"linear\",\"factor\":2.0}", ZAYA_E_UNSUPPORTED, "rope_type is linear"},
      {N, "rope_parameters",
       "{\"hybrid\":{\"rope_type\":\"llama3\",\"rope_theta\":1e6,\"partial_rotary_factor\":0.5}}",
       ZAYA_E_UNSUPPORTED, "rope_parameters.hybrid.rope_type is llama3"},
      {N, "layer_types", "[\"hybrid\",\"hybrid_sliding\",\"hybrid\"]", ZAYA_E_UNSUPPORTED,
       "layer_types[1] is hybrid_sliding"},
      {L, "swa_layers", "[0,1,0,0,0,0]", ZAYA_E_UNSUPPORTED, "swa_layers"},
      {L, "sliding_window", "4096", ZAYA_E_UNSUPPORTED, "sliding_window"},
      {L, "cca_num_q_heads", "[4,0,8,0,4,0]", ZAYA_E_UNSUPPORTED, "cca_num_q_heads[2] is 8"},
      {L, "zaya_layers", "[\"a\",4,\"m\",4,\"a\",4]", ZAYA_E_UNSUPPORTED, "zaya_layers"},
      {L, "zaya_layers", "[\"a\",4,\"a\",5,\"a\",4]", ZAYA_E_UNSUPPORTED, "zaya_layers"},
      {L, "zaya_layers", "[\"a\",5,\"a\",5,\"a\",5]", ZAYA_E_FORMAT,
       "num_experts is 4, but zaya_layers says 5"},
      {L, "num_hidden_layers", "5", ZAYA_E_UNSUPPORTED, "num_hidden_layers"},
      {L, "num_hidden_layers", "\"6\"", ZAYA_E_FORMAT, "num_hidden_layers is not an integer"},
      {L, "num_hidden_layers", "1e9", ZAYA_E_FORMAT, "num_hidden_layers is not an integer"},
      {L, "hidden_size", "-1", ZAYA_E_FORMAT, "hidden_size is -1"},
      {L, "hidden_size", "2147483648", ZAYA_E_FORMAT, "hidden_size is 2147483648"},
      {L, "vocab_size", "0", ZAYA_E_FORMAT, "vocab_size is 0"},
      {L, "num_key_value_heads", "3", ZAYA_E_FORMAT, "num_query_groups is 2, but num_key_value_heads is 3"},
      {L, "cca_num_q_heads", "5", ZAYA_E_FORMAT, "5 query heads are no multiple"},
      {L, "partial_rotary_factor", "0.1", ZAYA_E_FORMAT, "rotary dimensions, expected an even number"},
      {L, "partial_rotary_factor", "2", ZAYA_E_FORMAT, "partial_rotary_factor is 2"},
      {L, "norm_epsilon", "\"tiny\"", ZAYA_E_FORMAT, "norm_epsilon is not a number"},
      {L, "eos_token_id", "[1,2,3,4,5,6,7,8,9]", ZAYA_E_LIMIT, "eos_token_id lists 9"},
      {L, "eos_token_id", "640", ZAYA_E_FORMAT, "eos_token_id is 640"},
      {L, "tie_word_embeddings", "1", ZAYA_E_FORMAT, "tie_word_embeddings is not true or false"},
      {L, "ffn_hidden_size", "511", ZAYA_E_UNSUPPORTED, "ffn_hidden_size"},
  };
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    Config c;
    zaya_error err = {0};
    if (parse_changed(&changes[i], &c, &err)) fail_msg("accepted %s = %s", changes[i].key, changes[i].value);
    data_expect_error(&err, changes[i].status, changes[i].part);
  }
}

static void other_spellings_are_read(void **state) {
  (void)state;
  Config c;
  zaya_error err = {0};
  static const Change same[] = {
      {"A/legacy", "cca_num_q_heads", "[4,0,4,0,4,0]", ZAYA_OK, ""},
      {"A/legacy", "zaya_mlp_expansion", "[0,32,0,32,0,32]", ZAYA_OK, ""},
      {"A/legacy", "num_query_groups_list", "[2,0,2,0,2,0]", ZAYA_OK, ""},
      {"A/legacy", "zaya_layers", "[\"a\",4,\"a\",4,\"a\",4]", ZAYA_OK, ""},
      {"A/legacy", "rope_scaling", "false", ZAYA_OK, ""},
      {"A/legacy", "swa_layers", "[0,0,0,0,0,0]", ZAYA_OK, ""},
      {"A/legacy", "swa_layers", "null", ZAYA_OK, ""},
      {"A/native", "sliding_window", "4096", ZAYA_OK, ""},
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    if (!parse_changed(&same[i], &c, &err)) fail_msg("%s: %s", same[i].key, err.message);
    assert_int_equal(c.n_q, 4);
    assert_int_equal(c.n_kv, 2);
    assert_int_equal(c.router, 32);
    assert_int_equal(c.n_experts, 4);
  }
  assert_true(parse_changed(&(Change){"A/legacy", "eos_token_id", "[106,1]", ZAYA_OK, ""}, &c, &err));
  assert_int_equal(c.n_eos, 2);
  assert_int_equal(c.eos[1], 1);
  assert_true(parse_changed(&(Change){"A/legacy", "eos_token_id", "null", ZAYA_OK, ""}, &c, &err));
  assert_int_equal(c.n_eos, 0);
  json_t *v = golden_config("A/legacy"); // head size from hidden_size / num_attention_heads
  json_object_del(v, "kv_channels");
  assert_true(parse(v, &c, &err));
  assert_int_equal(c.head_dim, 32);
}

static void broken_json_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {{"", "bad JSON"},
               {"[]", "expected a JSON object"},
               {"{\"model_type\": \"zaya\"", "bad JSON"},
               {"{\"a\": 1, \"a\": 2}", "duplicate"},
               {"{\"model_type\": \"zaya\"} x", "bad JSON"},
               {"{\"model_type\": \"z\x01ya\"}", "bad JSON"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Config c;
    zaya_error err = {0};
    assert_false(config_parse(cases[i].text, strlen(cases[i].text), "config.json", &c, &err));
    data_expect_error(&err, ZAYA_E_FORMAT, cases[i].part);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_layouts_read_the_same),     cmocka_unit_test(missing_keys_are_named),
      cmocka_unit_test(unsupported_variants_are_named), cmocka_unit_test(other_spellings_are_read),
      cmocka_unit_test(broken_json_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
