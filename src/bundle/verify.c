// verify: the table of checks, their order, and the report. See verify.h.
#include "bundle/verify.h"

#include "base/error.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// X(name, function, what it says when it passes)
// clang-format off: a line each
#define CHECKS(X)                                                                                            \
  X("config", check_config, "config.json describes a model that is supported")                               \
  X("jang-config", check_jang_config, "jang_config.json agrees with config.json")                            \
  X("headers", check_headers, "the header of every shard is valid")                                          \
  X("index", check_index, "the index can be read")                                                           \
  X("shards", check_shards, "the shards of the index and those of the folder are the same")                  \
  X("shard-names", check_shard_names, "the shards are numbered without a gap")                               \
  X("index-keys", check_index_keys, "every key is in the shard that the index names, and listed")            \
  X("duplicates", check_duplicates, "no key is in two shards")                                               \
  X("total-size", check_total_size, "the index's total_size is the size")                                    \
  X("index-format", check_index_format, "the index names the format of config.json")                         \
  X("leftovers", check_leftovers, "no file of an interrupted transfer or conversion")                        \
  X("layout", check_layout, "the layout of the experts is known")                                            \
  X("local-experts", check_local_experts, "no local_experts key is left")                                    \
  X("stacked-experts", check_stacked_experts, "the experts are stacked under switch_mlp, E in front")        \
  X("missing-keys", check_missing_keys, "every tensor of the architecture is there")                         \
  X("unexpected-keys", check_unexpected_keys, "no tensor that the architecture does not have")               \
  X("shapes", check_shapes, "shapes and types are what the config asks for")                                 \
  X("quantization", check_quantization, "the configs say the formats that the tensors have")                 \
  X("uniform", check_uniform, "tensors of one kind have one format")                                         \
  X("head", check_head, "the output head is where the config says")                                          \
  X("sidecar", check_sidecar, "the JANGTQ sidecar is there when needed, and only then")                      \
  X("opens", check_opens, "the folder opens as a model")                                                     \
  X("finite", check_finite, "no scale, bias or float is infinite or NaN")                                    \
  X("scale-range", check_scale_range, "scales and biases are of a size that weights have")                   \
  X("float-range", check_float_range, "plain floats are of a size that weights have")                        \
  X("zero-tensors", check_zero_tensors, "no tensor is all zeros")                                            \
  X("distinct-experts", check_distinct_experts, "no two experts of a layer are alike")                       \
  X("tokenizer", check_tokenizer, "tokenizer.json can be read")                                              \
  X("tokenizer-config", check_tokenizer_config, "the special tokens are tokens")                             \
  X("vocab", check_vocab, "the tokenizer's ids are below vocab_size")                                        \
  X("template", check_template, "the chat template renders a conversation")                                  \
  X("template-copy", check_template_copy, "both copies of the chat template are the same")                   \
  X("stop-tokens", check_stop_tokens, "the files agree on what ends a text")                                 \
  X("generation-config", check_generation_config, "the sampling defaults are usable")                        \
  X("capabilities", check_capabilities, "the capabilities are true and the same in both files")              \
  X("source-shape", check_source_shape, "the source is a model of the same shape")                           \
  X("source-coverage", check_source_coverage, "every source tensor is accounted for, none invented")         \
  X("source-floats", check_source_floats, "what was passed through is the source's, rounded")                \
  X("source-error", check_source_error, "no tensor is further from the source than its format explains")     \
  X("source-codes", check_source_codes, "codes, scales and biases are those of plain rounding")              \
  X("source-files", check_source_files, "the tokenizer's files are the source's")                            \
  X("hashes", check_hashes, "SHA256SUMS holds the sums of all files")
// clang-format on

typedef struct CheckRow {
  const char *name, *about;
  CheckFn fn;
} CheckRow;

static const CheckRow rows[] = {
#define ROW(name, fn, about) {name, about, fn},
    CHECKS(ROW)
#undef ROW
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static void add_text(Check *c, const char *fmt, va_list args) {
  char text[700];
  vsnprintf(text, sizeof text, fmt, args);
  buf_clear(&c->detail);
  buf_puts(&c->detail, text, NULL);
}

void check_fail(Check *c, const char *fmt, ...) {
  c->out->status = ZAYA_CHECK_FAIL;
  if (c->problems++) return;
  va_list args;
  va_start(args, fmt);
  add_text(c, fmt, args);
  va_end(args);
}

void check_skip(Check *c, const char *fmt, ...) {
  if (c->out->status == ZAYA_CHECK_FAIL) return;
  c->out->status = ZAYA_CHECK_SKIP;
  va_list args;
  va_start(args, fmt);
  add_text(c, fmt, args);
  va_end(args);
}

void check_note(Check *c, const char *fmt, ...) {
  if (c->out->status != ZAYA_CHECK_PASS) return;
  va_list args;
  va_start(args, fmt);
  add_text(c, fmt, args);
  va_end(args);
}

static int by_name(const void *key, const void *item) {
  return strcmp(key, ((const VTensor *)item)->t->name);
}

const VTensor *verify_find(const Verify *v, const char *name) {
  return v->n_tensors ? bsearch(name, v->tensors, v->n_tensors, sizeof *v->tensors, by_name) : NULL;
}

bool verify_ends(const char *s, const char *tail) {
  size_t n = strlen(s), m = strlen(tail);
  return n >= m && !strcmp(s + n - m, tail);
}

const char *json_text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

bool need_shards(const Verify *v, Check *c) {
  if (!v->shards_ok) check_skip(c, "not every shard can be read");
  return v->shards_ok;
}

bool need_layout(const Verify *v, Check *c) {
  if (!need_shards(v, c)) return false;
  if (!v->config_ok) check_skip(c, "config.json cannot be used");
  if (v->config_ok && !v->layout_ok) check_skip(c, "the layout of the experts is not known");
  return v->config_ok && v->layout_ok;
}

bool need_bundle(const Verify *v, Check *c) {
  if (!v->bundle) check_skip(c, "the folder does not open as a model");
  return v->bundle != NULL;
}

bool need_converted(const Verify *v, Check *c) {
  if (!v->converted) check_skip(c, "a float checkpoint, not a converted bundle");
  return v->converted;
}

// --- running --------------------------------------------------------------------------------------------

// What files say may be anything; a report is UTF-8 without control characters.
static char *clean_text(const Buf *text, zaya_error *err) {
  Buf out = {0};
  if (!buf_reserve(&out, 0, err)) return NULL;
  out.data[0] = '\0';
  if (text->len && !utf8_repair(&out, text->data, text->len, err)) {
    buf_free(&out);
    return NULL;
  }
  for (size_t i = 0; i < out.len; i++)
    if ((unsigned char)out.data[i] < 0x20 || out.data[i] == 0x7f) out.data[i] = ' ';
  return out.data;
}

static bool run_check(Verify *v, size_t i, zaya_error *err) {
  zaya_check *out = &v->out->checks[i];
  *out = (zaya_check){.name = rows[i].name, .about = rows[i].about, .status = ZAYA_CHECK_PASS};
  Check c = {.out = out};
  rows[i].fn(v, &c);
  if (c.problems > 1) buf_printf(&c.detail, NULL, " (and %zu more)", c.problems - 1);
  out->detail = clean_text(&c.detail, err);
  buf_free(&c.detail);
  v->out->n_checks = i + 1;
  v->out->n_passed += out->status == ZAYA_CHECK_PASS;
  v->out->n_failed += out->status == ZAYA_CHECK_FAIL;
  v->out->n_skipped += out->status == ZAYA_CHECK_SKIP;
  return out->detail != NULL;
}

static bool prepare(Verify *v, zaya_error *err) {
  if (!(v->pool = pool_new(v->params->n_threads, err))) return false;
  if (!verify_read_files(v, err) || !verify_read_model(v, err) || !verify_read_values(v, err) ||
      !verify_read_text(v, err))
    return false;
  return !v->params->source || verify_read_source(v, err);
}

static void fill_classes(Verify *v) {
  for (int k = 0; k < ARCH_CLASSES; k++) {
    const VErrors *e = &v->errors[k];
    if (!e->n) continue;
    zaya_verify_class *out = &v->out->classes[v->out->n_classes++];
    *out = (zaya_verify_class){.name = arch_class_name((ArchClass)k),
                               .tensors = e->tensors,
                               .max_error = e->max,
                               .rms_error = sqrt(e->sum_sq / (double)e->n),
                               .relative_error = e->sum_w > 0 ? sqrt(e->sum_sq / e->sum_w) : 0};
  }
}

static void release(Verify *v) {
  verify_free_source(v);
  chat_close(v->chat);
  tok_close(v->tok);
  bundle_close(v->bundle);
  free(v->stats);
  arch_free(&v->arch);
  free(v->tensors);
  for (size_t i = 0; i < v->n_shards; i++) {
    st_close(v->shards[i].file);
    free(v->shards[i].name);
  }
  free(v->shards);
  json_t *trees[] = {v->config_json, v->jang, v->index, v->generation, v->tok_config, v->special_map};
  for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) json_decref(trees[i]);
  pool_free(v->pool);
}

zaya_verification *zaya_verify(const char *dir, const zaya_verify_params *params, zaya_error *err) {
  static const zaya_verify_params defaults = {0};
  Verify v = {.dir = dir, .params = params ? params : &defaults};
  v.out = calloc(1, sizeof *v.out);
  if (v.out) v.out->checks = calloc(N_ROWS, sizeof *v.out->checks);
  bool ok = (v.out && v.out->checks) || err_memory(err, N_ROWS * sizeof *v.out->checks, "a report");
  ok = ok && prepare(&v, err);
  for (size_t i = 0; ok && i < N_ROWS; i++) {
    ok = run_check(&v, i, err);
    if (ok && v.params->progress && !v.params->progress(v.params->user, i + 1, N_ROWS, rows[i].name))
      ok = err_set(err, ZAYA_E_CANCELLED, "cancelled");
  }
  if (ok) fill_classes(&v);
  release(&v);
  if (ok) return v.out;
  zaya_verification_free(v.out);
  return NULL;
}

void zaya_verification_free(zaya_verification *r) {
  if (!r) return;
  for (size_t i = 0; r->checks && i < r->n_checks; i++) free(r->checks[i].detail);
  free(r->checks);
  free(r);
}
