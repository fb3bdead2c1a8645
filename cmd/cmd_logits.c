// zaya logits: the numbers themselves, for comparing runtimes: logits of given token ids, and on
// request every layer's states and routes.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct LogitsOptions {
  const char *dir, *ids, *ids_file, *out;
  int chunk, threads, top;
  bool last, trace, exact, json;
} LogitsOptions;

// A tensor that grows along its first axis as the trace hands out pieces of it.
typedef struct Traced {
  char name[64];
  int ndim;
  size_t shape[2], n; // n floats
  float *data;
} Traced;

typedef struct TraceSet {
  Traced *items;
  size_t len;
  bool failed; // memory ran out
} TraceSet;

static Traced *trace_slot(TraceSet *set, const char *name) {
  for (size_t i = 0; i < set->len; i++)
    if (!strcmp(set->items[i].name, name)) return &set->items[i];
  Traced *items = realloc(set->items, (set->len + 1) * sizeof *items);
  if (!items) return NULL;
  set->items = items;
  Traced *t = &items[set->len++];
  *t = (Traced){0};
  snprintf(t->name, sizeof t->name, "%s", name);
  return t;
}

static void on_trace(void *user, const char *name, const float *data, int ndim, const size_t *shape) {
  TraceSet *set = user;
  const size_t n = ndim == 2 ? shape[0] * shape[1] : shape[0];
  Traced *t = set->failed ? NULL : trace_slot(set, name);
  float *grown = t ? realloc(t->data, (t->n + n) * sizeof *grown) : NULL;
  if (!grown) {
    set->failed = true;
    return;
  }
  memcpy(grown + t->n, data, n * sizeof *grown);
  t->data = grown;
  t->n += n;
  t->ndim = ndim;
  t->shape[0] += shape[0];
  t->shape[1] = ndim == 2 ? shape[1] : 0;
}

static void trace_free(TraceSet *set) {
  for (size_t i = 0; i < set->len; i++) free(set->items[i].data);
  free(set->items);
}

// Reads ids separated by commas or white space.
static bool parse_ids(const char *text, int32_t **out, size_t *n) {
  size_t cap = strlen(text) / 2 + 1;
  int32_t *ids = malloc(cap * sizeof *ids);
  *n = 0;
  for (const char *p = text; ids;) {
    while (*p == ',' || isspace((unsigned char)*p)) p++;
    if (!*p) break;
    char *end;
    long id = strtol(p, &end, 10);
    if (end == p || id < 0 || id > INT32_MAX || (*end && *end != ',' && !isspace((unsigned char)*end))) {
      free(ids);
      return false;
    }
    ids[(*n)++] = (int32_t)id;
    p = end;
  }
  *out = ids;
  return ids != NULL;
}

static int best_of(const float *row, size_t V) {
  size_t best = 0;
  for (size_t i = 1; i < V; i++)
    if (row[i] > row[best]) best = i;
  return (int)best;
}

// The `top` largest logits of a row as [{id, logit}].
static json_t *top_logits(const float *row, size_t V, int top) {
  json_t *list = json_array();
  char *used = calloc(V, 1);
  for (int k = 0; used && k < top && (size_t)k < V; k++) {
    size_t best = V;
    for (size_t i = 0; i < V; i++)
      if (!used[i] && (best == V || row[i] > row[best])) best = i;
    used[best] = 1;
    json_array_append_new(list, json_pack("{s:i, s:f}", "id", (int)best, "logit", (double)row[best]));
  }
  free(used);
  return list;
}

static void print_json(const float *logits, size_t rows, size_t V, size_t first_pos, int top) {
  json_t *list = json_array();
  for (size_t t = 0; t < rows; t++)
    json_array_append_new(list,
                          json_pack("{s:i, s:i, s:o}", "position", (int)(first_pos + t), "argmax",
                                    best_of(logits + t * V, V), "top", top_logits(logits + t * V, V, top)));
  json_t *root = json_pack("{s:i, s:o}", "vocab_size", (int)V, "positions", list);
  json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(root);
}

static void print_text(const float *logits, size_t rows, size_t V, size_t first_pos, int top) {
  for (size_t t = 0; t < rows; t++) {
    json_t *list = top_logits(logits + t * V, V, top), *item;
    size_t i;
    printf("%zu:", first_pos + t);
    json_array_foreach(list, i, item)
        printf("  %d %.6f", (int)json_integer_value(json_object_get(item, "id")),
               json_real_value(json_object_get(item, "logit")));
    putchar('\n');
    json_decref(list);
  }
}

// Writes logits [rows, V] and whatever was traced.
static bool save_tensors(const char *path, const float *logits, size_t rows, size_t V, const TraceSet *set,
                         zaya_error *err) {
  zaya_tensor *list = calloc(set->len + 1, sizeof *list);
  const size_t shape[2] = {rows, V};
  if (!list) return false;
  list[0] = (zaya_tensor){.name = "logits", .dtype = "F32", .ndim = 2, .shape = shape, .data = logits};
  for (size_t i = 0; i < set->len; i++) {
    const Traced *t = &set->items[i];
    list[i + 1] =
        (zaya_tensor){.name = t->name, .dtype = "F32", .ndim = t->ndim, .shape = t->shape, .data = t->data};
  }
  bool ok = zaya_tensors_save(path, list, set->len + 1, err);
  free(list);
  return ok;
}

// Feeds the ids `chunk` at a time; logits receives all rows or the last.
static bool feed(zaya_session *s, const LogitsOptions *o, const int32_t *ids, size_t n, size_t V,
                 float *logits, zaya_error *err) {
  const size_t chunk = o->chunk > 0 ? (size_t)o->chunk : n;
  for (size_t at = 0; at < n; at += chunk) {
    const size_t step = n - at < chunk ? n - at : chunk;
    zaya_logits_mode mode = !o->last ? ZAYA_LOGITS_ALL : at + step == n ? ZAYA_LOGITS_LAST : ZAYA_LOGITS_NONE;
    if (!zaya_session_feed(s, ids + at, step, mode, o->last ? logits : logits + at * V, err)) return false;
  }
  return true;
}

static bool compute(zaya_model *m, const LogitsOptions *o, const int32_t *ids, size_t n, zaya_error *err) {
  const size_t V = (size_t)zaya_model_get_info(m).vocab_size, rows = o->last ? 1 : n;
  TraceSet set = {0};
  float *logits = malloc(rows * V * sizeof *logits);
  zaya_session *s = logits ? zaya_session_new(m, n, err) : NULL;
  if (s && o->trace) zaya_session_trace(s, on_trace, &set);
  bool ok = s && feed(s, o, ids, n, V, logits, err);
  if (ok && o->trace) zaya_session_trace_state(s, on_trace, &set);
  if ((ok && set.failed) || !logits) {
    ok = false;
    snprintf(err->message, sizeof err->message, "out of memory: %zu x %zu logits", rows, V);
  }
  if (ok && o->out) ok = save_tensors(o->out, logits, rows, V, &set, err);
  if (ok && o->json) print_json(logits, rows, V, n - rows, o->top);
  if (ok && !o->json && !o->out) print_text(logits, rows, V, n - rows, o->top);
  zaya_session_free(s);
  trace_free(&set);
  free(logits);
  return ok;
}

static int run(const LogitsOptions *o, OptSpec *spec) {
  zaya_error err = {0};
  zaya_text file = {0};
  int32_t *ids = NULL;
  size_t n = 0;
  if (o->ids_file && !read_input(o->ids_file, &file, &err)) return fail("logits", &err);
  if (!parse_ids(o->ids ? o->ids : file.data ? file.data : "", &ids, &n)) {
    zaya_text_free(&file);
    return opt_usage_error(spec, "the ids must be numbers separated by commas or spaces");
  }
  zaya_text_free(&file);
  if (n == 0) {
    free(ids);
    return opt_usage_error(spec, "no token ids given");
  }
  const zaya_model_params params = {.n_threads = o->threads, .exact = o->exact};
  zaya_model *m = zaya_model_open(o->dir, &params, &err);
  if (m) print_notes("logits", m);
  bool ok = m && compute(m, o, ids, n, &err);
  zaya_model_close(m);
  free(ids);
  return ok ? EXIT_OK : fail("logits", &err);
}

int cmd_logits(int argc, char **argv) {
  LogitsOptions o = {.top = 5};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.dir, "DIR", "the bundle or checkpoint"),
      OPTION_STRING("ids", 0, &o.ids, "1,2,3", "token ids"),
      OPTION_STRING("ids-file", 0, &o.ids_file, "F", "token ids from a file (- for standard input)"),
      OPTION_INT("chunk", 0, &o.chunk, "K", 1, 1e9, "feed K ids at a time (default: all at once)"),
      OPTION_FLAG("last", 0, &o.last, "only the logits behind the last id"),
      OPTION_STRING("out", 'o', &o.out, "FILE", "write float32 'logits' [T, V] to a safetensors file"),
      OPTION_FLAG("trace", 0, &o.trace,
                  "add layers.i.{hidden,residual,route,route_prob} and the\n"
                  "final layers.i.{conv_state,prev_hs} to the file"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path"),
      OPTION_INT("top", 0, &o.top, "K", 1, 1000, "print the K largest logits of a position (default 5)"),
      OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_FLAG("json", 0, &o.json, "machine-readable output"),
      OPTION_END};
  OptSpec spec = {
      .command = "logits",
      .usage = "-m DIR --ids 1,2,3 [options]",
      .about = "Computes the logits behind every given token id. Prints the largest of each position,\n"
               "or writes all of them to a file.",
      .examples = "  zaya logits -m models/nano --ids 2,105,300 -o out.safetensors --trace",
      .opts = opts,
      .max_args = 0};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.dir) return opt_usage_error(&spec, "which model? give -m DIR");
  if (!o.ids == !o.ids_file) return opt_usage_error(&spec, "give either --ids or --ids-file");
  if (o.trace && !o.out) return opt_usage_error(&spec, "--trace needs -o FILE to write to");
  return find_model("logits", &o.dir) ? run(&o, &spec) : EXIT_FAILED;
}
