// quant, mat: every reference vector made by MLX is encoded to the same bits and decoded to the same
// floats; the two roundings differ where they should.
#include "data.h"

#include "format/jsonio.h"
#include "format/quant.h"
#include "format/st.h"

#include <math.h>

static const char *text_of(const json_t *v, const char *key) {
  return json_string_value(json_object_get(v, key));
}

static const StTensor *tensor_of(const StFile *f, const json_t *v, const char *key) {
  const char *name = text_of(v, key);
  const StTensor *t = name ? st_find(f, name) : NULL;
  if (!t) fail_msg("vector without %s", key);
  return t;
}

static QuantSpec spec_of(const json_t *v) {
  const char *mode = text_of(v, "mode");
  QuantSpec q = {.bits = (int)json_integer_value(json_object_get(v, "bits")),
                 .group = (int)json_integer_value(json_object_get(v, "group_size"))};
  q.kind = !strcmp(mode, "affine")  ? MAT_AFFINE
           : !strcmp(mode, "mxfp4") ? MAT_MXFP4
           : !strcmp(mode, "mxfp8") ? MAT_MXFP8
                                    : MAT_NVFP4;
  assert_true(q.kind != MAT_NVFP4 || !strcmp(mode, "nvfp4"));
  const char *type = text_of(v, "input_dtype");
  assert_true(dtype_parse(type, strlen(type), &q.type));
  return q;
}

static size_t count_different(const uint8_t *a, const uint8_t *b, size_t n) {
  size_t d = 0;
  for (size_t i = 0; i < n; i++) d += a[i] != b[i];
  return d;
}

// Encodes the vector's input and compares; decodes the reference's bits and compares.
static void check_vector(const StFile *f, const json_t *v) {
  const char *name = text_of(v, "name");
  QuantSpec q = spec_of(v);
  const StTensor *in = tensor_of(f, v, "input"), *w = tensor_of(f, v, "weight"),
                 *s = tensor_of(f, v, "scales"), *z = q.kind == MAT_AFFINE ? tensor_of(f, v, "biases") : NULL,
                 *want = tensor_of(f, v, "dequant_f32");
  size_t rows = in->shape[0], cols = in->shape[1];
  size_t code_bytes = quant_code_bytes(&q, cols), scale_bytes = quant_scale_bytes(&q, cols);
  assert_int_equal(code_bytes * rows, w->nbytes);
  assert_int_equal(scale_bytes * rows, s->nbytes);
  assert_true(quant_check(&q, cols, NULL));
  Mat m = {.kind = q.kind,
           .bits = q.bits,
           .group = q.group,
           .scale_type = s->dtype,
           .rows = rows,
           .cols = cols,
           .w = w->data,
           .w_stride = code_bytes,
           .scales = s->data,
           .biases = z ? z->data : NULL,
           .s_stride = scale_bytes};
  float *x = malloc(cols * sizeof *x);
  uint8_t *codes = malloc(code_bytes), *scales = malloc(scale_bytes), *biases = malloc(scale_bytes);
  for (size_t r = 0; r < rows; r++) {
    dtype_to_f32(in->dtype, in->data + r * cols * dtype_size(in->dtype), cols, x);
    quant_row(&q, x, cols, codes, scales, biases);
    size_t dc = count_different(codes, w->data + r * code_bytes, code_bytes),
           ds = count_different(scales, s->data + r * scale_bytes, scale_bytes),
           dz = z ? count_different(biases, z->data + r * scale_bytes, scale_bytes) : 0;
    if (dc || ds || dz)
      fail_msg("%s row %zu: %zu code, %zu scale, %zu bias bytes differ", name, r, dc, ds, dz);
    mat_row(&m, r, x);
    for (size_t i = 0; i < cols; i++) {
      float e = dtype_load(DT_F32, want->data, r * cols + i);
      if (memcmp(&e, &x[i], sizeof e) != 0 && !(e == 0 && x[i] == 0))
        fail_msg("%s [%zu, %zu]: decoded %.9g, expected %.9g", name, r, i, (double)x[i], (double)e);
    }
  }
  free(x);
  free(codes);
  free(scales);
  free(biases);
}

static void every_reference_vector(void **state) {
  (void)state;
  zaya_error err = {0};
  char json_path[4096];
  snprintf(json_path, sizeof json_path, "%s", data_golden("quant_vectors.json"));
  json_t *root = jsonio_read(NULL, json_path, &err);
  StFile *f = st_open(data_golden("quant_vectors.safetensors"), &err);
  if (!root || !f) fail_msg("%s", err.message);
  json_t *vectors = json_object_get(root, "vectors"), *v;
  size_t i;
  assert_int_equal(json_array_size(vectors), 93);
  json_array_foreach(vectors, i, v) check_vector(f, v);
  json_decref(root);
  st_close(f);
}

static void metal_rounds_away_and_counts_zero(void **state) {
  (void)state;
  float x[32];
  uint8_t cpu[16], metal[16], scale[2], bias[2];
  QuantSpec q = {MAT_AFFINE, 4, 32, DT_F16, QUANT_MLX_CPU};
  for (int i = 0; i < 32; i++) x[i] = (float)(i % 16); // scale -1, bias 15: code 15 - x
  x[3] = 2.5f;                                         // 12.5: half to even 12, away from zero 13
  quant_row(&q, x, 32, cpu, scale, bias);
  assert_int_equal(cpu[1] >> 4, 12);
  q.round = QUANT_MLX_METAL;
  quant_row(&q, x, 32, metal, scale, bias);
  assert_int_equal(metal[1] >> 4, 13);
  // Only negative values: Metal's range reaches up to zero.
  for (int i = 0; i < 32; i++) x[i] = -1.0f - (float)i / 32;
  float s, b;
  quant_affine_range(&q, x, &s, &b);
  assert_true(fabsf(s - x[31] / -15) < 1e-6f);
  q.round = QUANT_MLX_CPU;
  quant_affine_range(&q, x, &s, &b);
  assert_true(s < 0.07f);
}

// Half a unit below .5: a sloppy floor(v + .5) would round it up.
static void metal_rounding_is_exact(void **state) {
  (void)state;
  QuantSpec q = {MAT_AFFINE, 8, 32, DT_F32, QUANT_MLX_METAL};
  float x[32] = {0.49999997f, 0.5f, 1.5f, 2.4999998f};
  uint8_t codes[32];
  quant_affine_codes(&q, x, 1, 0, codes);
  assert_int_equal(codes[0], 0);
  assert_int_equal(codes[1], 1);
  assert_int_equal(codes[2], 2);
  assert_int_equal(codes[3], 2);
}

static void packing_round_trips(void **state) {
  (void)state;
  static const int widths[] = {2, 3, 4, 5, 6, 8};
  for (size_t k = 0; k < 6; k++) {
    int bits = widths[k];
    uint8_t codes[64], packed[64];
    float out[64], one = 1, zero = 0;
    for (int i = 0; i < 64; i++) codes[i] = (uint8_t)((i * 37 + 11) & ((1 << bits) - 1));
    quant_pack(codes, 64, bits, packed);
    Mat m = {.kind = MAT_AFFINE,
             .bits = bits,
             .group = 64,
             .scale_type = DT_F32,
             .rows = 1,
             .cols = 64,
             .w = packed,
             .scales = (const uint8_t *)&one,
             .biases = (const uint8_t *)&zero};
    mat_row(&m, 0, out);
    for (int i = 0; i < 64; i++) assert_true(out[i] == (float)codes[i]);
  }
}

static void impossible_formats_are_refused(void **state) {
  (void)state;
  const QuantSpec bad[] = {{MAT_AFFINE, 7, 32, DT_F16, QUANT_MLX_CPU},
                           {MAT_AFFINE, 4, 16, DT_F16, QUANT_MLX_CPU},
                           {MAT_MXFP4, 8, 32, DT_F16, QUANT_MLX_CPU},
                           {MAT_NVFP4, 4, 32, DT_F16, QUANT_MLX_CPU},
                           {MAT_BF16, 16, 32, DT_F16, QUANT_MLX_CPU}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    zaya_error err = {0};
    assert_false(quant_check(&bad[i], 128, &err));
    data_expect_error(&err, ZAYA_E_UNSUPPORTED, "no such quantization");
  }
  zaya_error err = {0};
  assert_false(quant_check(&(QuantSpec){MAT_AFFINE, 4, 64, DT_F16, QUANT_MLX_CPU}, 96, &err));
  data_expect_error(&err, ZAYA_E_UNSUPPORTED, "96 inputs");
}

// Every half-precision value survives the trip; the others agree with arithmetic done in double.
static void conversions_are_exact(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 65536; h++) {
    float f = dtype_f16_to_f32((uint16_t)h), b = dtype_bf16_to_f32((uint16_t)h);
    int e = (int)(h >> 10 & 31), m = (int)(h & 1023);
    double want = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    if (h & 0x8000) want = -want;
    if (isnan(want)) {
      assert_true(isnan(f) && isnan(dtype_f16_to_f32(dtype_f32_to_f16(f))));
    } else {
      assert_true((double)f == want && !!signbit(f) == (h >> 15));
      assert_int_equal(dtype_f32_to_f16(f), h);
      // Halfway to the next value goes to the even one, a little more goes up.
      if (e < 30) {
        float up = dtype_f16_to_f32((uint16_t)(h + 1)), mid = (f + up) / 2;
        assert_int_equal(dtype_f32_to_f16(mid), h & 1 ? h + 1 : h);
        assert_int_equal(dtype_f32_to_f16(nextafterf(mid, up)), h + 1);
        assert_int_equal(dtype_f32_to_f16(nextafterf(mid, f)), h);
      }
    }
    if (!isnan(b)) assert_int_equal(dtype_f32_to_bf16(b), h);
  }
  assert_int_equal(dtype_f32_to_f16(65519.996f), 0x7bff);
  assert_int_equal(dtype_f32_to_f16(65520.0f), 0x7c00);
  assert_int_equal(dtype_f32_to_f16(-1e30f), 0xfc00);
  assert_true(isnan(dtype_bf16_to_f32(dtype_f32_to_bf16(dtype_bits_to_f32(0x7f800001u)))));
  assert_int_equal(dtype_f32_to_bf16(dtype_bits_to_f32(0x3f808000u)), 0x3f80);
  assert_int_equal(dtype_f32_to_bf16(dtype_bits_to_f32(0x3f818000u)), 0x3f82);
  for (uint32_t v = 0; v < 256; v++) {
    float f = dtype_e4m3_to_f32((uint8_t)v);
    if (!isnan(f)) assert_int_equal(dtype_f32_to_e4m3(f), v);
  }
  assert_int_equal(dtype_f32_to_e4m3(1e9f), 0x7e);
  assert_true(dtype_e4m3_to_f32(0x7e) == 448.0f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_reference_vector),         cmocka_unit_test(metal_rounds_away_and_counts_zero),
      cmocka_unit_test(metal_rounding_is_exact),        cmocka_unit_test(packing_round_trips),
      cmocka_unit_test(impossible_formats_are_refused), cmocka_unit_test(conversions_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
