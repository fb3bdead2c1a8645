// arch: the list is exactly the tensors of the reference folders, and of the published model.
#include "data.h"

#include "format/arch.h"
#include "format/bundle.h"

static const ArchTensor *find(const ArchList *l, const char *name) {
  for (size_t i = 0; i < l->len; i++)
    if (!strcmp(l->items[i].name, name)) return &l->items[i];
  return NULL;
}

static void list_is_what_the_folders_hold(void **state) {
  (void)state;
  static const char *const dirs[] = {"A/legacy", "A/native", "C/legacy", "C/native"};
  for (int i = 0; i < 4; i++) {
    zaya_error err = {0};
    Bundle *b = bundle_open(data_golden(dirs[i]), &err);
    if (!b) fail_msg("%s", err.message);
    const ArchList *l = bundle_arch(b);
    assert_int_equal(l->len, bundle_count(b));
    for (size_t k = 0; k < bundle_count(b); k++) {
      const StTensor *t = bundle_at(b, k);
      const ArchTensor *a = find(l, t->name);
      if (!a) fail_msg("%s is not listed", t->name);
      assert_int_equal(a->ndim, t->ndim);
      for (int d = 0; d < t->ndim; d++) assert_int_equal(a->shape[d], t->shape[d]);
    }
    bundle_close(b);
  }
}

static Config published(void) {
  return (Config){.n_layers = 80,
                  .hidden = 2048,
                  .n_q = 8,
                  .n_kv = 2,
                  .head_dim = 128,
                  .rotary_dim = 64,
                  .expert = 2048,
                  .n_experts = 16,
                  .router = 256,
                  .vocab = 262272,
                  .tied = true};
}

// The published bundle: 1965 keys and 5 849 666 544 bytes of tensors.
static void published_counts(void **state) {
  (void)state;
  Config c = published();
  ArchList l;
  size_t keys = 0, bytes = 0, params = 0;
  assert_true(arch_list(&c, EXPERTS_SWITCH, &l, NULL));
  for (size_t i = 0; i < l.len; i++) {
    const ArchTensor *t = &l.items[i];
    size_t n = arch_elements(t);
    params += n;
    keys += t->quantizable ? 3 : 1;
    bytes += !t->quantizable ? 2 * n : n * (t->klass == ARCH_EMBED ? 8 : 4) / 8 + n / 32 * 4;
  }
  arch_free(&l);
  assert_int_equal(keys, 1965);
  assert_int_equal(bytes, 5849666544);
  assert_true(params > 8830000000 && params < 8850000000);
  assert_true(arch_list(&c, EXPERTS_LOCAL, &l, NULL));
  assert_int_equal(l.len, 80 * 16 + (1965 - 3 * (1 + 5 * 40 + 3 * 40)) + 1 + 5 * 40);
  arch_free(&l);
  c.tied = false;
  assert_true(arch_list(&c, EXPERTS_FUSED, &l, NULL));
  assert_non_null(find(&l, "lm_head.weight"));
  assert_non_null(find(&l, "model.layers.39.post_mlp_residual_scale.residual_bias"));
  assert_null(find(&l, "model.layers.0.mlp.gate.router_states_scale"));
  arch_free(&l);
}

static void converter_rule(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int ndim;
    bool quantizable;
  } cases[] = {{"model.embed_tokens.weight", 2, true},
               {"model.layers.0.self_attn.o_proj.weight", 2, true},
               {"model.layers.1.zaya_block.experts.switch_mlp.gate_proj.weight", 3, true},
               {"model.layers.1.zaya_block.experts.local_experts.0.linear_fc1.weight", 2, true},
               {"model.layers.1.zaya_block.router.down_proj.weight", 2, false},
               {"model.layers.0.self_attn.qkv.conv_qk.1.weight", 3, false},
               {"model.layers.0.input_norm.weight", 1, false},
               {"model.layers.0.self_attn.qkv.temp", 1, false},
               {"model.layers.0.res_scale.hidden_states_bias", 1, false},
               {"lm_head.weight", 2, true},
               {"x.bias", 2, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (arch_quantizable(cases[i].name, cases[i].ndim) != cases[i].quantizable) fail_msg("%s", cases[i].name);
}

static void names_without_counterpart(void **state) {
  (void)state;
  char out[ARCH_NAME_SIZE];
  static const char *const legacy[] = {"model.layers.0.res_scale.residual_bias",
                                       "model.layers.80.input_norm.weight",
                                       "model.layers.01.input_norm.weight",
                                       "model.layers..input_norm.weight",
                                       "model.layers.99999999999999999999.input_norm.weight",
                                       "model.layers.1.temp",
                                       "model.layers.1.zaya_block.experts.switch_mlp.gate_proj.weight",
                                       "",
                                       "model.layers.1.self_attn.o_proj.weight"};
  static const char *const native[] = {"model.input_residual_bias", "model.layers.40.input_layernorm.weight",
                                       "model.layers.x.input_layernorm.weight", "model.final_norm.weight",
                                       ""};
  for (size_t i = 0; i < sizeof legacy / sizeof *legacy; i++)
    if (arch_native_name(legacy[i], 80, out, sizeof out)) fail_msg("%s -> %s", legacy[i], out);
  for (size_t i = 0; i < sizeof native / sizeof *native; i++)
    if (arch_legacy_name(native[i], 80, out, sizeof out)) fail_msg("%s -> %s", native[i], out);
  assert_false(arch_native_name("model.embed_tokens.weight", 80, out, 5));
  assert_true(arch_native_name("model.res_scale.residual_bias", 80, out, sizeof out));
  assert_string_equal(out, "model.layers.39.post_mlp_residual_scale.residual_bias");
  assert_true(arch_native_name("model.layers.2.res_scale.residual_bias", 80, out, sizeof out));
  assert_string_equal(out, "model.layers.0.post_mlp_residual_scale.residual_bias");
  assert_true(
      arch_legacy_name("model.layers.0.post_attention_residual_scale.residual_bias", 80, out, sizeof out));
  assert_string_equal(out, "model.layers.1.res_scale.residual_bias");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(list_is_what_the_folders_hold),
      cmocka_unit_test(published_counts),
      cmocka_unit_test(converter_rule),
      cmocka_unit_test(names_without_counterpart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
