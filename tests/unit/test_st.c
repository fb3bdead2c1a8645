// st: headers that lie are refused with one line; what is written reads back the same.
#include "data.h"

#include "format/st.h"

static char dir[64];

static int make_dir(void **state) {
  (void)state;
  data_scratch(dir, sizeof dir);
  return 0;
}

static int remove_dir(void **state) {
  (void)state;
  data_remove(dir);
  return 0;
}

static StFile *open_in_dir(const char *name, zaya_error *err) {
  char path[4096];
  data_path(path, dir, name);
  return st_open(path, err);
}

static void expect_bad(const char *header, uint64_t claim, size_t body, const char *part) {
  zaya_error err = {0};
  data_safetensors(dir, "bad.safetensors", header, claim, body);
  StFile *f = open_in_dir("bad.safetensors", &err);
  if (f) fail_msg("accepted: %s", header);
  data_expect_error(&err, ZAYA_E_FORMAT, part);
  if (!strstr(err.message, "bad.safetensors")) fail_msg("no file name: %s", err.message);
}

static void expect_good(const char *header, size_t body, size_t count) {
  zaya_error err = {0};
  data_safetensors(dir, "good.safetensors", header, 0, body);
  StFile *f = open_in_dir("good.safetensors", &err);
  if (!f) fail_msg("%s", err.message);
  assert_int_equal(st_count(f), count);
  st_close(f);
}

#define T(name, dtype, shape, from, to)                                                                      \
  "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void plain_headers_open(void **state) {
  (void)state;
  expect_good("{}", 0, 0);
  expect_good("{}      ", 0, 0);
  expect_good("{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0);
  expect_good("{" T("a", "F32", "[2]", 0, 8) "," T("b", "U8", "[]", 8, 9) "}", 9, 2);
  expect_good("{" T("b", "U8", "[3]", 8, 11) "," T("a", "F32", "[2]", 0, 8) "}", 11, 2);
  // Tensors without elements, wherever they are put.
  expect_good(
      "{" T("a", "F32", "[0]", 0, 0) "," T("b", "U8", "[3]", 0, 3) "," T("c", "I64", "[2,0,5]", 3, 3) "}", 3,
      3);
  expect_good(
      "{" T("a", "F8_E4M3", "[1]", 0, 1) "," T("b", "BOOL", "[1]", 1, 2) "," T("c", "I16", "[1]", 2, 4) "}",
      4, 3);
}

static void lying_headers_are_refused(void **state) {
  (void)state;
  expect_bad("{}", 100, 0, "header of 100 bytes, but the file has only 10");
  expect_bad("{}", (uint64_t)1 << 40, 0, "at most 100000000");
  expect_bad("{}", UINT64_MAX, 0, "at most 100000000");
  expect_bad("", 0, 0, "not a JSON object");
  expect_bad("[]", 0, 0, "not a JSON object");
  expect_bad(" {}", 0, 0, "not a JSON object");
  expect_bad("{\"a\":", 0, 0, "bad JSON");
  expect_bad("{} x", 0, 0, "bad JSON");
  expect_bad("{\"a\":1}", 0, 0, "tensor a: its entry is not an object");
  expect_bad("{\"a\":{}}", 0, 0, "tensor a: no dtype");
  expect_bad("{\"a\\n\":{}}", 0, 0, "control characters");
  expect_bad("{\"a\\u0000b\":{}}", 0, 0, "bad JSON");
  expect_bad("{\"\xff\":{}}", 0, 0, "bad JSON");
  expect_bad("{\"__metadata__\":3}", 0, 0, "__metadata__ is not an object");
  expect_bad("{\"__metadata__\":{\"a\":3}}", 0, 0, "not a string");
  expect_bad("{" T("a", "F33", "[2]", 0, 8) "}", 0, 8, "tensor a: unknown dtype F33");
  expect_bad("{" T("a", "F32", "2", 0, 8) "}", 0, 8, "tensor a: no shape");
  expect_bad("{" T("a", "F32", "[-2]", 0, 8) "}", 0, 8, "not a size");
  expect_bad("{" T("a", "F32", "[2.0]", 0, 8) "}", 0, 8, "not a size");
  expect_bad("{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 0, 8, "9 dimensions");
  expect_bad("{" T("a", "F32", "[4611686018427387905]", 0, 4) "}", 0, 4, "the shape overflows");
  expect_bad("{" T("a", "F32", "[4294967296,4294967296]", 0, 0) "}", 0, 0, "the shape overflows");
  expect_bad("{" T("a", "F32", "[99999999999999999999]", 0, 8) "}", 0, 8, "bad JSON");
  expect_bad("{" T("a", "F32", "[2]", 0, 7) "}", 0, 7, "F32 [2] needs 8 bytes, its data_offsets give 7");
  expect_bad("{" T("a", "F32", "[2]", 8, 0) "}", 0, 8, "bad data_offsets");
  expect_bad("{" T("a", "F32", "[2]", -8, 0) "}", 0, 8, "bad data_offsets");
  expect_bad("{" T("a", "F32", "[2]", 0, 16) "}", 0, 8, "truncated?");
  expect_bad("{" T("a", "F32", "[2]", 9223372036854775800, 9223372036854775807) "}", 0, 8, "truncated?");
  expect_bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 0, 1, "bad data_offsets");
  expect_bad("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 0, 1, "unknown key");
}

static void ranges_must_tile_the_file(void **state) {
  (void)state;
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 3, 7) "}", 0, 7,
             "tensor b: its bytes overlap");
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 0, 4) "}", 0, 4, "overlap");
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[2]", 1, 3) "}", 0, 4, "overlap");
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[0]", 2, 2) "}", 0, 4, "overlap");
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("b", "U8", "[4]", 5, 9) "}", 0, 9,
             "1 bytes before tensor b");
  expect_bad("{" T("a", "U8", "[4]", 2, 6) "}", 0, 6, "2 bytes before tensor a");
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "}", 0, 5, "1 bytes at the end");
  expect_bad("{}", 0, 1, "1 bytes at the end");
}

static void duplicates_are_refused_at_any_depth(void **state) {
  (void)state;
  expect_bad("{" T("a", "U8", "[4]", 0, 4) "," T("a", "U8", "[4]", 0, 4) "}", 0, 4, "duplicate");
  expect_bad("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 0, 4,
             "duplicate");
  expect_bad("{\"__metadata__\":{\"x\":\"1\",\"x\":\"2\"}}", 0, 0, "duplicate");
}

static void deep_nesting_is_refused(void **state) {
  (void)state;
  Buf b = {0};
  buf_puts(&b, "{\"a\":", NULL);
  for (int i = 0; i < 100000; i++) buf_putc(&b, '[', NULL);
  expect_bad(b.data, 0, 0, "bad JSON");
  buf_free(&b);
}

static void short_files_are_refused(void **state) {
  (void)state;
  for (size_t n = 0; n < 8; n++) {
    zaya_error err = {0};
    data_write(dir, "short", "\0\0\0\0\0\0\0", n);
    assert_null(open_in_dir("short", &err));
    data_expect_error(&err, ZAYA_E_FORMAT, "not a safetensors file");
  }
  zaya_error err = {0};
  assert_null(open_in_dir("absent", &err));
  data_expect_error(&err, ZAYA_E_IO, "cannot open");
  zaya_error_clear(&err);
  assert_null(st_open(".", &err));
  data_expect_error(&err, ZAYA_E_IO, "not a regular file");
}

static void written_files_read_back(void **state) {
  (void)state;
  static const uint8_t bytes[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const StTensor in[] = {
      {.name = "z\"quote", .dtype = DT_U8, .ndim = 1, .shape = {3}, .data = bytes},
      {.name = "half", .dtype = DT_BF16, .ndim = 2, .shape = {2, 2}, .data = bytes},
      {.name = "b", .dtype = DT_F32, .ndim = 0, .data = bytes},
      {.name = "a", .dtype = DT_U32, .ndim = 1, .shape = {2}, .data = bytes},
      {.name = "empty", .dtype = DT_F16, .ndim = 2, .shape = {0, 4}, .data = NULL},
      {.name = "long", .dtype = DT_I64, .ndim = 1, .shape = {1}, .data = bytes},
  };
  static const char *const order[] = {"long", "a", "b", "empty", "half", "z\"quote"};
  zaya_error err = {0};
  char path[4096];
  data_path(path, dir, "out.safetensors");
  StTensor sized[6];
  for (int i = 0; i < 6; i++) {
    sized[i] = in[i];
    assert_true(st_set_bytes(&sized[i]));
  }
  if (!st_write(path, sized, 6, &err)) fail_msg("%s", err.message);
  StFile *f = st_open(path, &err);
  if (!f) fail_msg("%s", err.message);
  assert_int_equal(st_count(f), 6);
  for (size_t i = 0; i < 6; i++) assert_string_equal(st_at(f, i)->name, order[i]);
  for (size_t i = 0; i < 6; i++) {
    const StTensor *t = st_find(f, in[i].name);
    assert_non_null(t);
    assert_int_equal(t->dtype, in[i].dtype);
    assert_int_equal(t->ndim, in[i].ndim);
    assert_memory_equal(t->shape, in[i].shape, sizeof t->shape);
    assert_int_equal(t->nbytes, sized[i].nbytes);
    if (t->nbytes) assert_memory_equal(t->data, bytes, t->nbytes);
    if (dtype_size(t->dtype) > 1) assert_int_equal(t->offset % dtype_size(t->dtype), 0);
  }
  assert_null(st_find(f, "absent"));
  assert_null(st_metadata(f, "format"));
  st_close(f);
  data_path(path, dir, "no/such/folder");
  assert_false(st_write(path, sized, 6, &err));
  data_expect_error(&err, ZAYA_E_IO, "cannot create");
}

static void metadata_is_found(void **state) {
  (void)state;
  zaya_error err = {0};
  StFile *f = st_open(data_golden("quant_vectors.safetensors"), &err);
  assert_non_null(f);
  assert_string_equal(st_metadata(f, "format"), "mlx-quant-vectors");
  assert_null(st_metadata(f, "absent"));
  assert_int_equal(st_count(f), 420);
  for (size_t i = 0; i < st_count(f); i++) assert_ptr_equal(st_find(f, st_at(f, i)->name), st_at(f, i));
  char text[64];
  assert_string_equal(st_describe(st_find(f, "in.f16.normal"), text, sizeof text), "F16 [8, 256]");
  st_close(f);
}

// A header of many tensors, near the size limit: the cost must stay in proportion.
static void long_headers_open(void **state) {
  (void)state;
  enum { N = 100000 };
  Buf b = {0};
  buf_putc(&b, '{', NULL);
  for (int i = 0; i < N; i++)
    buf_printf(&b, NULL,
               "%s\"model.layers.%d.some.rather.long.tensor.name.weight\":{\"dtype\":\"U8\",\"shape\":[1],"
               "\"data_offsets\":[%d,%d]}",
               i ? "," : "", N - i, i, i + 1);
  buf_putc(&b, '}', NULL);
  zaya_error err = {0};
  data_safetensors(dir, "long.safetensors", b.data, 0, N);
  buf_free(&b);
  StFile *f = open_in_dir("long.safetensors", &err);
  if (!f) fail_msg("%s", err.message);
  assert_int_equal(st_count(f), N);
  assert_int_equal(st_find(f, "model.layers.7.some.rather.long.tensor.name.weight")->data[0], (N - 7) & 255);
  st_close(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(plain_headers_open, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(lying_headers_are_refused, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(ranges_must_tile_the_file, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(duplicates_are_refused_at_any_depth, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(deep_nesting_is_refused, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(short_files_are_refused, make_dir, remove_dir),
      cmocka_unit_test_setup_teardown(written_files_read_back, make_dir, remove_dir),
      cmocka_unit_test(metadata_is_found),
      cmocka_unit_test_setup_teardown(long_headers_open, make_dir, remove_dir),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
