// bundle: every layout of the reference models opens, gives the same matrices, and broken folders are
// refused with one clear line.
#include "data.h"

#include "format/bundle.h"
#include "format/jsonio.h"

#include <math.h>

static Bundle *open_golden(const char *name) {
  zaya_error err = {0};
  Bundle *b = bundle_open(data_golden(name), &err);
  if (!b) fail_msg("%s: %s", name, err.message);
  return b;
}

static void reference_bundles_open_whole(void **state) {
  (void)state;
  static const struct {
    const char *dir, *layout;
    size_t keys;
  } cases[] = {{"A/mxfp4", "switch_mlp", 0}, {"A/legacy", "legacy", 0}, {"A/native", "native", 0},
               {"C/mxfp4", "switch_mlp", 0}, {"C/legacy", "legacy", 0}, {"C/native", "native", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Bundle *b = open_golden(cases[i].dir);
    zaya_error err = {0};
    assert_string_equal(bundle_layout_name(b), cases[i].layout);
    if (!bundle_check(b, &err)) fail_msg("%s", err.message);
    if (bundle_note(b, 0)) fail_msg("%s: %s", cases[i].dir, bundle_note(b, 0));
    assert_int_equal(bundle_config(b)->n_layers, 6);
    bundle_close(b);
  }
}

static void expect_same_mat(const Mat *a, const Mat *b, const char *what) {
  float x[512], y[512];
  assert_int_equal(a->rows, b->rows);
  assert_int_equal(a->cols, b->cols);
  assert_true(a->cols <= 512);
  for (size_t r = 0; r < a->rows; r++) {
    mat_row(a, r, x);
    mat_row(b, r, y);
    if (memcmp(x, y, a->cols * sizeof *x) != 0) fail_msg("%s: row %zu differs", what, r);
  }
}

// The two checkpoints hold the same weights under other names and in other stacks.
static void legacy_and_native_agree(void **state) {
  (void)state;
  const char *names[] = {"A", "C"};
  for (int k = 0; k < 2; k++) {
    char dir[32];
    snprintf(dir, sizeof dir, "%s/legacy", names[k]);
    Bundle *a = open_golden(dir);
    snprintf(dir, sizeof dir, "%s/native", names[k]);
    Bundle *b = open_golden(dir);
    const Config *c = bundle_config(a);
    zaya_error err = {0};
    assert_memory_equal(&c->n_layers, &bundle_config(b)->n_layers,
                        offsetof(Config, rope_theta) - offsetof(Config, n_layers));
    const ArchList *list = bundle_arch(a);
    for (size_t i = 0; i < list->len; i++) {
      const ArchTensor *t = &list->items[i];
      if (t->klass == ARCH_EXPERT) continue;
      char native[ARCH_NAME_SIZE], legacy[ARCH_NAME_SIZE];
      assert_true(arch_native_name(t->canonical, c->n_layers, native, sizeof native));
      assert_true(arch_legacy_name(native, c->n_layers, legacy, sizeof legacy));
      assert_string_equal(legacy, t->canonical);
      const StTensor *x = bundle_find(a, t->name), *y = bundle_find(b, native);
      assert_non_null(x);
      assert_non_null(y);
      assert_int_equal(x->nbytes, y->nbytes);
      assert_memory_equal(x->data, y->data, x->nbytes);
    }
    for (int layer = 1; layer < c->n_layers; layer += 2)
      for (int e = 0; e < c->n_experts; e++)
        for (int part = 0; part < 3; part++) {
          Mat x, y;
          if (!bundle_expert(a, layer, e, (ExpertPart)part, &x, &err) ||
              !bundle_expert(b, layer, e, (ExpertPart)part, &y, &err))
            fail_msg("%s", err.message);
          expect_same_mat(&x, &y, "expert");
        }
    bundle_close(a);
    bundle_close(b);
  }
}

// Quantized weights stay within half a step of the source, which catches a wrong expert or a swap.
static void quantized_experts_are_near_the_source(void **state) {
  (void)state;
  Bundle *q = open_golden("C/mxfp4"), *s = open_golden("C/legacy");
  const Config *c = bundle_config(q);
  zaya_error err = {0};
  float x[512], y[512];
  for (int layer = 1; layer < c->n_layers; layer += 2)
    for (int e = 0; e < c->n_experts; e++)
      for (int part = 0; part < 3; part++) {
        Mat a, b;
        if (!bundle_expert(q, layer, e, (ExpertPart)part, &a, &err) ||
            !bundle_expert(s, layer, e, (ExpertPart)part, &b, &err))
          fail_msg("%s", err.message);
        assert_int_equal(a.kind, MAT_AFFINE);
        assert_int_equal(a.bits, 4);
        assert_int_equal(a.group, 32);
        double err2 = 0, all2 = 0;
        for (size_t r = 0; r < a.rows; r++) {
          mat_row(&a, r, x);
          mat_row(&b, r, y);
          for (size_t i = 0; i < a.cols; i++) {
            err2 += pow((double)x[i] - (double)y[i], 2);
            all2 += pow((double)y[i], 2);
          }
        }
        assert_true(err2 < 0.02 * all2);
      }
  Mat m;
  assert_true(bundle_mat(q, "model.embed_tokens", (size_t)c->vocab, (size_t)c->hidden, &m, &err));
  assert_int_equal(m.bits, 8);
  assert_false(bundle_mat(q, "model.embed_tokens", (size_t)c->vocab, (size_t)c->hidden / 2, &m, &err));
  data_expect_error(&err, ZAYA_E_FORMAT, "model.embed_tokens.weight");
  bundle_close(q);
  bundle_close(s);
}

// --- broken folders ------------------------------------------------------------------------------------

// Opens and checks a damaged copy of A/mxfp4; the error must contain `part`.
typedef void (*Damage)(const char *dir);

static void expect_refusal(Damage damage, zaya_status status, const char *part) {
  char dir[64];
  zaya_error err = {0};
  data_scratch(dir, sizeof dir);
  data_copy(data_golden("A/mxfp4"), dir);
  damage(dir);
  Bundle *b = bundle_open(dir, &err);
  if (b && bundle_check(b, &err)) fail_msg("accepted; expected '%s'", part);
  data_expect_error(&err, status, part);
  bundle_close(b);
  data_remove(dir);
}

static const char shard1[] = "model-00001-of-00002.safetensors",
                  shard2[] = "model-00002-of-00002.safetensors",
                  index_file[] = "model.safetensors.index.json";

// Replaces `from` by the equally long `to` everywhere in a file (all of the file, header included).
static void patch(const char *dir, const char *file, const char *from, const char *to) {
  Buf b = {0};
  size_t n = strlen(from), hits = 0;
  assert_int_equal(n, strlen(to));
  data_read(dir, file, &b);
  for (size_t i = 0; i + n <= b.len; i++)
    if (!memcmp(b.data + i, from, n)) {
      memcpy(b.data + i, to, n);
      hits++;
    }
  assert_true(hits > 0);
  data_write(dir, file, b.data, b.len);
  buf_free(&b);
}

static void truncate_shard(const char *dir) {
  Buf b = {0};
  data_read(dir, shard1, &b);
  data_write(dir, shard1, b.data, b.len - 1000);
  buf_free(&b);
}
static void cut_into_header(const char *dir) {
  Buf b = {0};
  data_read(dir, shard1, &b);
  data_write(dir, shard1, b.data, 500);
  buf_free(&b);
}
static void empty_shard(const char *dir) { data_write(dir, shard2, "", 0); }
static void remove_shard(const char *dir) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, shard2);
  assert_int_equal(unlink(path), 0);
}
static void rename_tensor(const char *dir) {
  patch(dir, shard1, "model.layers.0.self_attn.qkv.temp", "model.layers.0.self_attn.qkv.tamp");
  patch(dir, index_file, "model.layers.0.self_attn.qkv.temp", "model.layers.0.self_attn.qkv.tamp");
}
static void index_names_absent_tensor(const char *dir) {
  patch(dir, index_file, "model.layers.0.self_attn.qkv.temp", "model.layers.0.self_attn.qkv.tamp");
}
static void drop_scales(const char *dir) {
  patch(dir, shard1, "0.self_attn.o_proj.scales", "0.self_attn.o_proj.scalez");
  patch(dir, index_file, "0.self_attn.o_proj.scales", "0.self_attn.o_proj.scalez");
}
static void drop_biases(const char *dir) {
  patch(dir, shard1, "0.self_attn.o_proj.biases", "0.self_attn.o_proj.biasez");
  patch(dir, index_file, "0.self_attn.o_proj.biases", "0.self_attn.o_proj.biasez");
}
static void wrong_shape(const char *dir) {
  patch(dir, shard1, "\"model.layers.0.self_attn.o_proj.weight\":{\"dtype\":\"U32\",\"shape\":[256,16]",
        "\"model.layers.0.self_attn.o_proj.weight\":{\"dtype\":\"U32\",\"shape\":[16,256]");
}
static void wrong_norm_shape(const char *dir) {
  patch(dir, shard1, "\"model.final_norm.weight\":{\"dtype\":\"F16\",\"shape\":[256]",
        "\"model.final_norm.weight\":{\"dtype\":\"F32\",\"shape\":[128]");
}
static void wrong_dtype(const char *dir) {
  patch(dir, shard1, "\"model.final_norm.weight\":{\"dtype\":\"F16\"",
        "\"model.final_norm.weight\":{\"dtype\":\"I16\"");
}
static void wrong_packed_dtype(const char *dir) {
  patch(dir, shard1, "\"model.layers.0.self_attn.o_proj.weight\":{\"dtype\":\"U32\"",
        "\"model.layers.0.self_attn.o_proj.weight\":{\"dtype\":\"I32\"");
}
static void config_vocab(const char *dir) {
  patch(dir, "config.json", "\"vocab_size\": 640", "\"vocab_size\": 641");
}
static void escape_folder(const char *dir) {
  patch(dir, index_file, shard2, "../../../golden/A/secret.safeten");
}
static void bad_index(const char *dir) { data_write(dir, index_file, "{\"weight_map\": {", 16); }
static void index_without_map(const char *dir) { data_write(dir, index_file, "{}", 2); }
static void index_not_strings(const char *dir) {
  static const char text[] = "{\"weight_map\": {\"a\": 3}}";
  data_write(dir, index_file, text, sizeof text - 1);
}
static void index_with_duplicates(const char *dir) {
  static const char text[] = "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}";
  data_write(dir, index_file, text, sizeof text - 1);
}
static void only_config(const char *dir) {
  char path[128];
  const char *gone[] = {shard1, shard2, index_file};
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, gone[i]);
    unlink(path);
  }
}
static void same_tensor_twice(const char *dir) {
  patch(dir, shard2, "layers.3.zaya_block.experts.switch_mlp.down_proj.weight",
        "layers.1.zaya_block.experts.switch_mlp.down_proj.weight");
}
static void jangtq(const char *dir) {
  char header[512];
  static const char index[] =
      "{\"weight_map\": {\"model.layers.1.zaya_block.experts.switch_mlp.gate_proj.tq_packed\": "
      "\"model-00001-of-00002.safetensors\"}}";
  snprintf(header, sizeof header,
           "{\"model.layers.1.zaya_block.experts.switch_mlp.gate_proj.tq_packed\":{\"dtype\":\"U32\","
           "\"shape\":[4],"
           "\"data_offsets\":[0,16]}}");
  data_safetensors(dir, shard1, header, 0, 16);
  data_write(dir, index_file, index, sizeof index - 1);
}

static void broken_folders_are_refused(void **state) {
  (void)state;
  expect_refusal(truncate_shard, ZAYA_E_FORMAT, "truncated?");
  expect_refusal(cut_into_header, ZAYA_E_FORMAT, "the file has only 500 (truncated?)");
  expect_refusal(empty_shard, ZAYA_E_FORMAT, "only 0 bytes");
  expect_refusal(remove_shard, ZAYA_E_IO, "model-00002-of-00002.safetensors: cannot open");
  expect_refusal(rename_tensor, ZAYA_E_FORMAT, "tensor model.layers.0.self_attn.qkv.temp is missing");
  expect_refusal(index_names_absent_tensor, ZAYA_E_FORMAT, "qkv.tamp is not in model-00001");
  expect_refusal(drop_scales, ZAYA_E_FORMAT, "o_proj.weight is packed, but its scales are missing");
  expect_refusal(drop_biases, ZAYA_E_FORMAT, "o_proj.weight has scales but no biases");
  expect_refusal(wrong_shape, ZAYA_E_FORMAT, "o_proj.weight: expected [256, ..], found U32 [16, 256]");
  expect_refusal(wrong_norm_shape, ZAYA_E_FORMAT,
                 "final_norm.weight: expected floats [256], found F32 [128]");
  expect_refusal(wrong_dtype, ZAYA_E_FORMAT, "final_norm.weight: expected floats [256], found I16 [256]");
  expect_refusal(wrong_packed_dtype, ZAYA_E_FORMAT, "o_proj.weight: expected BF16, F16 or F32 [256, 128]");
  expect_refusal(config_vocab, ZAYA_E_FORMAT, "embed_tokens.weight: expected [641, ..]");
  expect_refusal(escape_folder, ZAYA_E_FORMAT, "not a plain file name");
  expect_refusal(bad_index, ZAYA_E_FORMAT, "bad JSON");
  expect_refusal(index_without_map, ZAYA_E_FORMAT, "no weight_map");
  expect_refusal(index_not_strings, ZAYA_E_FORMAT, "names no file");
  expect_refusal(index_with_duplicates, ZAYA_E_FORMAT, "duplicate");
  expect_refusal(only_config, ZAYA_E_IO, "neither model.safetensors.index.json nor model.safetensors");
  expect_refusal(same_tensor_twice, ZAYA_E_FORMAT, "is in both");
  expect_refusal(jangtq, ZAYA_E_FORMAT, "is missing"); // the rest of that bundle is not there
}

static void jangtq_experts_are_named(void **state) {
  (void)state;
  char dir[64];
  zaya_error err = {0};
  Mat m;
  data_scratch(dir, sizeof dir);
  data_copy(data_golden("A/mxfp4"), dir);
  jangtq(dir);
  Bundle *b = bundle_open(dir, &err);
  assert_non_null(b);
  assert_false(bundle_expert(b, 1, 0, EXPERT_GATE, &m, &err));
  data_expect_error(&err, ZAYA_E_UNSUPPORTED, "gate_proj.tq_packed: JANGTQ experts are not supported yet");
  bundle_close(b);
  data_remove(dir);
}

static void empty_and_absent_folders(void **state) {
  (void)state;
  char dir[64];
  zaya_error err = {0};
  data_scratch(dir, sizeof dir);
  assert_null(bundle_open(dir, &err));
  data_expect_error(&err, ZAYA_E_IO, "config.json: cannot open: No such file");
  data_remove(dir);
  zaya_error_clear(&err);
  assert_null(bundle_open(dir, &err));
  data_expect_error(&err, ZAYA_E_IO, "config.json: cannot open");
}

static void contradictions_become_notes(void **state) {
  (void)state;
  char dir[64];
  zaya_error err = {0};
  data_scratch(dir, sizeof dir);
  data_copy(data_golden("A/mxfp4"), dir);
  patch(dir, "config.json", "\"bits\": 4", "\"bits\": 3");
  patch(dir, "jang_config.json", "\"embed_bits\": 8", "\"embed_bits\": 6");
  patch(dir, index_file, "\"total_size\": 2018738", "\"total_size\": 2018739");
  Bundle *b = bundle_open(dir, &err);
  assert_non_null(b);
  assert_true(bundle_check(b, &err));
  const char *parts[] = {
      "config.json says bits 3, but model.layers.0.self_attn.qkv.linear_q.weight has 4",
      "config.json says bits 3, but model.layers.1.zaya_block.experts.switch_mlp.gate_proj",
      "jang_config.json says embed_bits 6, but model.embed_tokens.weight has 8", "total_size 2018739"};
  for (size_t i = 0; i < 4; i++) {
    assert_non_null(bundle_note(b, i));
    if (!strstr(bundle_note(b, i), parts[i])) fail_msg("note %zu: %s", i, bundle_note(b, i));
  }
  assert_null(bundle_note(b, 4));
  bundle_close(b);
  data_remove(dir);
}

static void single_file_folder(void **state) {
  (void)state;
  char dir[64];
  zaya_error err = {0};
  Buf text = {0};
  Bundle *src = open_golden("A/legacy");
  data_scratch(dir, sizeof dir);
  data_read(data_golden("A/legacy"), "config.json", &text);
  data_write(dir, "config.json", text.data, text.len);
  StTensor *all = calloc(bundle_count(src), sizeof *all);
  for (size_t i = 0; i < bundle_count(src); i++) all[i] = *bundle_at(src, i);
  char path[128];
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  assert_true(st_write(path, all, bundle_count(src), &err));
  Bundle *b = bundle_open(dir, &err);
  assert_non_null(b);
  assert_true(bundle_check(b, &err));
  assert_int_equal(bundle_count(b), bundle_count(src));
  bundle_close(b);
  bundle_close(src);
  free(all);
  buf_free(&text);
  data_remove(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reference_bundles_open_whole),
      cmocka_unit_test(legacy_and_native_agree),
      cmocka_unit_test(quantized_experts_are_near_the_source),
      cmocka_unit_test(broken_folders_are_refused),
      cmocka_unit_test(jangtq_experts_are_named),
      cmocka_unit_test(empty_and_absent_folders),
      cmocka_unit_test(contradictions_become_notes),
      cmocka_unit_test(single_file_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
