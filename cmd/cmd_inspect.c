// zaya inspect: what a folder is: layout, formats, shapes, sizes, special tokens, and what is odd.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// 262272 as "262 272", in one of a few static buffers.
static const char *grouped(uint64_t n) {
  static char bufs[8][32];
  static int next;
  char digits[24], *out = bufs[next++ % 8];
  int len = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
  for (int i = 0; i < len; i++) {
    if (i && (len - i) % 3 == 0) out[at++] = ' ';
    out[at++] = digits[i];
  }
  out[at] = '\0';
  return out;
}

// Bytes with a binary unit, counts with a decimal one.
static const char *scaled(double n, double base, const char *const *units) {
  static char bufs[8][32];
  static int next;
  char *out = bufs[next++ % 8];
  int u = 0;
  while (n >= base && units[u + 1]) {
    n /= base;
    u++;
  }
  snprintf(out, sizeof bufs[0], u ? "%.2f %s" : "%.0f %s", n, units[u]);
  return out;
}

static const char *size_text(uint64_t n) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
  return scaled((double)n, 1024, units);
}

static const char *count_text(uint64_t n) {
  static const char *const units[] = {"", "K", "M", "B", "T", NULL};
  return scaled((double)n, 1000, units);
}

static void print_shape(const zaya_inspection *in) {
  const zaya_model_info *m = &in->model;
  uint64_t embed = (uint64_t)m->vocab_size * (uint64_t)m->hidden_size;
  printf("layout       %s, %zu shard%s, %zu tensors, %s\n", m->layout, in->n_shards,
         in->n_shards == 1 ? "" : "s", in->n_tensors, size_text(m->tensor_bytes));
  printf("parameters   %s, %s used by a token (%s with the embedding)\n", count_text(m->n_params),
         count_text(m->n_params_active), count_text(m->n_params_active + embed));
  printf("layers       %d: %d attention and %d MoE in turn, hidden size %d\n", m->n_layers, m->n_layers / 2,
         m->n_layers / 2, m->hidden_size);
  printf("attention    %d query heads, %d KV heads of size %d, %d rotary, theta %s\n", m->n_heads,
         m->n_kv_heads, m->head_dim, m->rotary_dim, grouped((uint64_t)in->rope_theta));
  printf("experts      %d and the skip route, one per token, width %d, router width %d\n", m->n_experts,
         m->expert_width, m->router_width);
  printf("vocabulary   %s, head %s, norm eps %g\n", grouped((uint64_t)m->vocab_size),
         in->tied_head ? "tied to the embedding" : "of its own", (double)in->norm_eps);
  printf("context      %s tokens\n", grouped((uint64_t)m->max_position));
  printf("memory       KV cache of 16 bit: %s a token, %s for the full context; state of a sequence %s\n",
         size_text(in->kv_bytes_per_token), size_text(in->kv_bytes_full), size_text(in->state_bytes));
}

static void print_tokens(const zaya_inspection *in) {
  if (!in->n_tokens) return;
  printf("tokens      ");
  for (size_t i = 0; i < in->n_tokens; i++) {
    const zaya_token_info *t = &in->tokens[i];
    printf("%s %s", i ? "," : "", t->role);
    if (t->id >= 0) printf(" %d", t->id);
    if (t->text) printf(" %s", t->text);
  }
  putchar('\n');
}

static void print_text(const zaya_inspection *in, const char *dir, bool tensors) {
  printf("%s\n\n", dir);
  print_shape(in);
  print_tokens(in);
  printf("\n%-14s%-24s%8s%8s%12s%12s\n", "class", "format", "tensors", "keys", "parameters", "bytes");
  for (size_t i = 0; i < in->n_classes; i++) {
    const zaya_tensor_class *k = &in->classes[i];
    printf("%-14s%-24s%8zu%8zu%12s%12s\n", k->name, k->format, k->n_tensors, k->n_keys,
           count_text(k->n_params), size_text(k->n_bytes));
  }
  if (tensors) putchar('\n');
  for (size_t i = 0; tensors && i < in->n_tensors; i++) {
    const zaya_tensor_info *t = &in->tensors[i];
    char shape[192] = "[";
    size_t at = 1;
    for (int d = 0; d < t->ndim; d++)
      at += (size_t)snprintf(shape + at, sizeof shape - at, d ? ", %zu" : "%zu", t->shape[d]);
    snprintf(shape + at, sizeof shape - at, "]");
    printf("%-70s %-5s%-20s%12s  %s\n", t->name, t->dtype, shape, size_text(t->n_bytes), t->shard);
  }
  if (in->n_notes) putchar('\n');
  for (size_t i = 0; i < in->n_notes; i++) printf("note: %s\n", in->notes[i]);
}

static json_t *json_u64(uint64_t n) { return json_integer((json_int_t)n); }

// A float as the shortest decimal that means it.
static double as_decimal(float f) {
  char text[32];
  snprintf(text, sizeof text, "%.7g", (double)f);
  return strtod(text, NULL);
}

static json_t *json_text(const char *s) { return s ? json_string(s) : json_null(); }

static json_t *json_shape(const zaya_inspection *in) {
  const zaya_model_info *m = &in->model;
  return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b}", "layers",
                   m->n_layers, "hidden_size", m->hidden_size, "query_heads", m->n_heads, "kv_heads",
                   m->n_kv_heads, "head_dim", m->head_dim, "rotary_dim", m->rotary_dim, "experts",
                   m->n_experts, "expert_width", m->expert_width, "router_width", m->router_width,
                   "vocab_size", m->vocab_size, "context", m->max_position, "rope_theta", in->rope_theta,
                   "norm_eps", as_decimal(in->norm_eps), "tied_head", in->tied_head);
}

static json_t *json_tensors(const zaya_inspection *in) {
  json_t *list = json_array();
  for (size_t i = 0; i < in->n_tensors; i++) {
    const zaya_tensor_info *t = &in->tensors[i];
    json_t *shape = json_array();
    for (int d = 0; d < t->ndim; d++) json_array_append_new(shape, json_u64(t->shape[d]));
    json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:s}", "name", t->name, "dtype", t->dtype,
                                          "shape", shape, "bytes", json_u64(t->n_bytes), "shard", t->shard));
  }
  return list;
}

static json_t *json_lists(const zaya_inspection *in, json_t *root) {
  json_t *classes = json_array(), *tokens = json_array(), *notes = json_array();
  for (size_t i = 0; i < in->n_classes; i++) {
    const zaya_tensor_class *k = &in->classes[i];
    json_array_append_new(classes,
                          json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "class", k->name, "format", k->format,
                                    "tensors", json_u64(k->n_tensors), "keys", json_u64(k->n_keys),
                                    "parameters", json_u64(k->n_params), "bytes", json_u64(k->n_bytes)));
  }
  for (size_t i = 0; i < in->n_tokens; i++) {
    const zaya_token_info *t = &in->tokens[i];
    json_array_append_new(tokens, json_pack("{s:s, s:o, s:o}", "role", t->role, "id",
                                            t->id < 0 ? json_null() : json_integer(t->id), "text",
                                            json_text(t->text)));
  }
  for (size_t i = 0; i < in->n_notes; i++) json_array_append_new(notes, json_string(in->notes[i]));
  json_object_set_new(root, "classes", classes);
  json_object_set_new(root, "special_tokens", tokens);
  json_object_set_new(root, "notes", notes);
  return root;
}

static bool print_json(const zaya_inspection *in, const char *dir, bool tensors) {
  const zaya_model_info *m = &in->model;
  json_t *root = json_pack(
      "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path", dir, "layout", m->layout,
      "format", m->format, "shards", json_u64(in->n_shards), "tensor_count", json_u64(in->n_tensors),
      "tensor_bytes", json_u64(m->tensor_bytes), "file_bytes", json_u64(in->file_bytes), "parameters",
      json_u64(m->n_params), "parameters_active", json_u64(m->n_params_active), "kv_bytes_per_token",
      json_u64(in->kv_bytes_per_token), "kv_bytes_full_context", json_u64(in->kv_bytes_full), "state_bytes",
      json_u64(in->state_bytes), "shape", json_shape(in));
  if (!root) return false;
  json_lists(in, root);
  if (tensors) json_object_set_new(root, "tensors", json_tensors(in));
  bool ok = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
  putchar('\n');
  json_decref(root);
  return ok;
}

// The kernels that this processor can run; the first, or what ZAYA_CPU asks for, is what runs.
static int print_cpu(bool json) {
  zaya_error err = {0};
  const char *chosen = zaya_kernels_chosen(&err);
  if (!chosen) return fail("inspect", &err);
  json_t *list = json_array();
  for (size_t i = 0; zaya_kernels_available(i); i++) {
    json_array_append_new(list, json_string(zaya_kernels_available(i)));
    if (!json) printf("%s%s", i ? ", " : "kernels available: ", zaya_kernels_available(i));
  }
  json_t *root = json_pack("{s:o, s:s}", "available", list, "chosen", chosen);
  if (json)
    json_dumpf(root, stdout, JSON_INDENT(1));
  else
    printf("\nkernels chosen:    %s", chosen);
  putchar('\n');
  json_decref(root);
  return EXIT_OK;
}

int cmd_inspect(int argc, char **argv) {
  bool tensors = false, json = false, cpu = false;
  Opt opts[] = {OPTION_FLAG("tensors", 0, &tensors, "list every tensor: type, shape, bytes, shard"),
                OPTION_FLAG("cpu", 0, &cpu,
                            "say which kernels this processor can run, and which\nwould run (no DIR needed)"),
                OPTION_FLAG("json", 0, &json, "machine-readable output"), OPTION_END};
  OptSpec spec = {.command = "inspect",
                  .usage = "DIR [--tensors] [--json] | --cpu",
                  .about =
                      "Says what a bundle or checkpoint is: layout, format of each class of tensors,\n"
                      "parameters, bytes, shapes, context, special tokens, and anything odd. Reads headers\n"
                      "only.",
                  .examples = "  zaya inspect ~/models/ZAYA1-8B-MXFP4",
                  .opts = opts,
                  .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (cpu) return print_cpu(json);
  if (n_args == 0) return opt_usage_error(&spec, "which folder?");
  const char *dir = argv[1];
  if (!find_model("inspect", &dir)) return EXIT_FAILED;
  zaya_error err = {0};
  zaya_inspection *in = zaya_inspect(dir, &err);
  if (!in) return fail("inspect", &err);
  if (!json)
    print_text(in, dir, tensors);
  else if (!print_json(in, dir, tensors))
    code = fail_with("inspect", "cannot write JSON");
  zaya_inspection_free(in);
  return code;
}
