// zaya bench: how fast a model runs here, beside what the machine could do in the same minutes.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LIST = 16, MAX_BATCH = 64, FIRST_PROMPT = 16 };

typedef struct IntList {
  int items[MAX_LIST];
  int len;
} IntList;

typedef struct BenchOptions {
  const char *dir, *prompts, *depths, *batches, *threads, *kv;
  int n_gen, repeats;
  bool exact, json, parts;
  IntList p, d, b, t;
  double started; // when the command began
} BenchOptions;

// "128,512": numbers within [min, max].
static bool parse_list(const char *text, int min, int max, IntList *out) {
  out->len = 0;
  for (const char *p = text; *p;) {
    char *end;
    const long v = strtol(p, &end, 10);
    if (end == p || v < min || v > max || out->len == MAX_LIST || (*end && *end != ',')) return false;
    out->items[out->len++] = (int)v;
    p = *end ? end + 1 : end;
  }
  return true;
}

// What one kind of run gave: tokens a second of every repeat, and the share of the machine's limit.
typedef struct Series {
  double rates[64];
  int n;
  double share, bytes;  // of the fastest repeat; bytes a second
  zaya_profile profile; // of the fastest repeat
} Series;

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// A model at work with some number of threads.
typedef struct Bench {
  const BenchOptions *o;
  zaya_model *model;
  zaya_model_info info;
  zaya_limits limits;
  float *logits; // [MAX_BATCH, V]
  int32_t *ids;
  size_t n_ids;
  zaya_error *err;
} Bench;

static double profile_bytes(const zaya_profile *p) {
  double sum = 0;
  for (int i = 0; i < ZAYA_PARTS; i++) sum += (double)p->bytes[i];
  return sum;
}

// Takes a repeat of n tokens in `seconds` into the series. The limit is the larger of the time that
// reading the bytes and that doing the multiplications would take.
static void add_repeat(const Bench *b, Series *s, double tokens, double seconds) {
  const zaya_profile p = zaya_model_get_profile(b->model);
  const double rate = tokens / seconds, bytes = profile_bytes(&p);
  const double floor =
      fmax(bytes / b->limits.read_bytes, tokens * (double)b->info.token_ops / b->limits.int8_ops);
  bool best = true;
  for (int i = 0; i < s->n; i++) best = best && rate > s->rates[i];
  s->rates[s->n++] = rate;
  if (!best) return;
  s->share = floor / seconds;
  s->bytes = bytes / seconds;
  s->profile = p;
}

static bool run_prompt(Bench *b, int n, Series *s) {
  zaya_session *session = zaya_session_new(b->model, (size_t)n, b->err);
  bool ok = session != NULL;
  for (int r = -1; ok && r < b->o->repeats; r++) { // the first is for the caches and not counted
    zaya_session_reset(session);
    zaya_model_profile(b->model, true);
    const double start = now_seconds();
    ok = zaya_session_feed(session, b->ids, (size_t)n, ZAYA_LOGITS_LAST, b->logits, b->err);
    if (ok && r >= 0) add_repeat(b, s, n, now_seconds() - start);
  }
  zaya_session_free(session);
  return ok;
}

// n steps of one token for each session.
static bool generate(Bench *b, zaya_session **sessions, int batch, int n) {
  zaya_feed feeds[MAX_BATCH];
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < batch; k++)
      feeds[k] = (zaya_feed){.session = sessions[k],
                             .ids = b->ids + (size_t)(k * 977 + i * 13) % b->n_ids,
                             .n = 1,
                             .mode = ZAYA_LOGITS_LAST,
                             .logits = b->logits + (size_t)k * (size_t)b->info.vocab_size};
    if (!zaya_feed_many(feeds, (size_t)batch, b->err)) return false;
  }
  return true;
}

static void say_memory(const Bench *b, int depth, int batch) {
  const double bytes = (double)batch * (double)zaya_session_bytes(b->model, (size_t)(depth + b->o->n_gen));
  if (bytes >= LARGE_CONTEXT)
    fprintf(stderr, "zaya bench: note: %d x %d tokens of context take %.1f GB\n", batch, depth + b->o->n_gen,
            bytes * 1e-9);
}

static bool run_generation(Bench *b, int depth, int batch, Series *s) {
  say_memory(b, depth, batch);
  zaya_session *sessions[MAX_BATCH] = {0};
  zaya_checkpoint *marks[MAX_BATCH] = {0};
  const int n = b->o->n_gen;
  bool ok = true;
  for (int k = 0; ok && k < batch; k++) {
    sessions[k] = zaya_session_new(b->model, (size_t)(depth + n), b->err);
    ok = sessions[k] && zaya_session_fill(sessions[k], (size_t)depth, b->err); // takes no time worth saying
    marks[k] = ok ? zaya_session_checkpoint(sessions[k], b->err) : NULL;
    ok = marks[k] != NULL;
  }
  for (int r = -1; ok && r < b->o->repeats; r++) { // the first is for the caches and not counted
    for (int k = 0; ok && k < batch; k++) ok = zaya_session_rewind(sessions[k], marks[k], b->err);
    zaya_model_profile(b->model, true);
    const double start = now_seconds();
    ok = ok && generate(b, sessions, batch, n);
    if (ok && r >= 0) add_repeat(b, s, (double)n * batch, now_seconds() - start);
  }
  for (int k = 0; k < batch; k++) {
    zaya_checkpoint_free(marks[k]);
    zaya_session_free(sessions[k]);
  }
  return ok;
}

// --- output --------------------------------------------------------------------------------------

static void print_parts(const zaya_profile *p) {
  double all = 0;
  for (int i = 0; i < ZAYA_PARTS; i++) all += p->seconds[i];
  for (int i = 0; i < ZAYA_PARTS; i++)
    printf("      %-26s %5.1f %%  %8.3f ms a token  %6.2f GB/s\n", zaya_part_name((zaya_part)i),
           100 * p->seconds[i] / all, 1e3 * p->seconds[i] / (double)p->tokens,
           p->seconds[i] > 0 ? (double)p->bytes[i] / p->seconds[i] * 1e-9 : 0);
  if (p->waiting > 0)
    printf("      %-26s %5.1f %%  %8.3f ms a token\n", "of these, waiting", 100 * p->waiting / all,
           1e3 * p->waiting / (double)p->tokens);
}

static json_t *parts_json(const zaya_profile *p) {
  json_t *parts = json_object();
  for (int i = 0; i < ZAYA_PARTS; i++)
    json_object_set_new(parts, zaya_part_name((zaya_part)i),
                        json_pack("{s:f, s:I}", "seconds", p->seconds[i], "bytes", (json_int_t)p->bytes[i]));
  return parts;
}

static void report(const Bench *b, const char *what, int depth, int batch, Series *s, json_t *list) {
  qsort(s->rates, (size_t)s->n, sizeof *s->rates, by_value);
  const double median = s->rates[s->n / 2], min = s->rates[0], max = s->rates[s->n - 1];
  if (b->o->json) {
    json_array_append_new(list,
                          json_pack("{s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:o}", "kind", what,
                                    "depth", depth, "batch", batch, "threads", b->info.n_threads, "median",
                                    median, "min", min, "max", max, "share_of_limit", s->share,
                                    "bytes_per_second", s->bytes, "parts", parts_json(&s->profile)));
    return;
  }
  char name[64];
  if (!strcmp(what, "prompt"))
    snprintf(name, sizeof name, "prompt of %d", depth);
  else
    snprintf(name, sizeof name, "generation at %d, batch %d", depth, batch);
  printf("  %-30s %9.2f tokens/s  (%.2f .. %.2f)  %5.1f GB/s  %4.0f %% of the limit\n", name, median, min,
         max, s->bytes * 1e-9, 100 * s->share);
  if (b->o->parts) print_parts(&s->profile);
  fflush(stdout);
}

// A line of /proc/self/status in bytes; -1 where there is no such thing.
static double status_bytes(const char *key) {
  FILE *f = fopen("/proc/self/status", "r");
  char line[256];
  double kib = -1;
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key))) kib = strtod(line + strlen(key) + 1, NULL);
  if (f) fclose(f);
  return kib < 0 ? -1 : kib * 1024;
}

// --- runs ----------------------------------------------------------------------------------------

static bool run_all(Bench *b, json_t *list) {
  const BenchOptions *o = b->o;
  bool ok = true;
  for (int i = 0; ok && i < o->p.len; i++) {
    Series s = {0};
    ok = run_prompt(b, o->p.items[i], &s);
    if (ok) report(b, "prompt", o->p.items[i], 1, &s, list);
  }
  for (int i = 0; ok && o->n_gen && i < o->d.len; i++)
    for (int k = 0; ok && k < o->b.len; k++) {
      Series s = {0};
      ok = run_generation(b, o->d.items[i], o->b.items[k], &s);
      if (ok) report(b, "generation", o->d.items[i], o->b.items[k], &s, list);
    }
  return ok;
}

static bool make_inputs(Bench *b) {
  const BenchOptions *o = b->o;
  size_t longest = FIRST_PROMPT;
  for (int i = 0; i < o->p.len; i++)
    longest = (size_t)o->p.items[i] > longest ? (size_t)o->p.items[i] : longest;
  b->n_ids = longest;
  b->ids = malloc(longest * sizeof *b->ids);
  b->logits = malloc(MAX_BATCH * (size_t)b->info.vocab_size * sizeof *b->logits);
  uint32_t x = 2463534242u;
  for (size_t i = 0; b->ids && i < longest; i++) {
    x = x * 1664525u + 1013904223u;
    b->ids[i] = (int32_t)((uint64_t)(x >> 8) * (uint64_t)b->info.vocab_size >> 24);
  }
  return b->ids && b->logits;
}

// Everything with one number of threads.
static bool bench_threads(const BenchOptions *o, int threads, bool first, json_t *root, zaya_error *err) {
  const zaya_model_params params = {
      .n_threads = threads, .exact = o->exact, .kv_q8 = o->kv && !strcmp(o->kv, "q8")};
  const double start = now_seconds();
  Bench b = {.o = o, .err = err, .model = zaya_model_open(o->dir, &params, err)};
  if (!b.model) return false;
  const double loaded = now_seconds();
  b.info = zaya_model_get_info(b.model);
  Series unused = {0};
  BenchOptions once = *o;
  once.repeats = 0;
  bool ok = make_inputs(&b);
  b.o = &once;
  ok = ok && run_prompt(&b, FIRST_PROMPT, &unused);
  b.o = o;
  const double answered = now_seconds();
  ok = ok && zaya_model_limits(b.model, 2.0, &b.limits, err);
  json_t *list = json_array();
  if (ok && !o->json) {
    printf("%s, %s, %d thread%s, %s%s\n", o->dir, b.info.format, b.info.n_threads,
           b.info.n_threads > 1 ? "s" : "", b.info.kernels, o->exact ? ", exact" : "");
    printf("  limits: %.1f GB/s read, %.0f GOP/s int8, %.0f GFLOP/s float32; opened in %.3f s, first token "
           "of %d "
           "after %.3f s\n",
           b.limits.read_bytes * 1e-9, b.limits.int8_ops * 1e-9, b.limits.float32_ops * 1e-9, loaded - start,
           FIRST_PROMPT, answered - (first ? o->started : start));
  }
  ok = ok && run_all(&b, list);
  if (ok && o->json)
    json_array_append_new(json_object_get(root, "threads"),
                          json_pack("{s:i, s:s, s:f, s:f, s:{s:f, s:f, s:f}, s:o}", "threads",
                                    b.info.n_threads, "kernels", b.info.kernels, "open_seconds",
                                    loaded - start, "first_token_seconds",
                                    answered - (first ? o->started : start), "limits", "read_bytes",
                                    b.limits.read_bytes, "int8_ops", b.limits.int8_ops, "float32_ops",
                                    b.limits.float32_ops, "runs", json_incref(list)));
  json_decref(list);
  free(b.ids);
  free(b.logits);
  zaya_model_close(b.model);
  return ok;
}

static int run(const BenchOptions *o) {
  zaya_error err = {0};
  json_t *root = json_pack("{s:s, s:s, s:b, s:[]}", "version", zaya_version(), "model", o->dir, "exact",
                           o->exact, "threads");
  bool ok = true;
  for (int i = 0; ok && i < o->t.len; i++) ok = bench_threads(o, o->t.items[i], i == 0, root, &err);
  const double peak = status_bytes("VmHWM"), anonymous = status_bytes("RssAnon");
  if (ok && o->json) {
    json_object_set_new(root, "peak_bytes", json_real(peak));
    json_object_set_new(root, "anonymous_bytes", json_real(anonymous));
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
  } else if (ok && peak >= 0) {
    printf("memory: %.0f MB at most, weights in the page cache included\n", peak * 1e-6);
  }
  json_decref(root);
  return ok ? EXIT_OK : fail("bench", &err);
}

int cmd_bench(int argc, char **argv) {
  BenchOptions o = {.prompts = "128,512,2048",
                    .depths = "0,4096",
                    .batches = "1",
                    .threads = "0",
                    .n_gen = 64,
                    .repeats = 5,
                    .started = now_seconds()};
  Opt opts[] = {
      OPTION_STRING("model", 'm', &o.dir, "DIR", "the bundle or checkpoint"),
      OPTION_STRING("prompt", 'p', &o.prompts, "128,512", "lengths of prompts (default 128,512,2048)"),
      OPTION_INT("generate", 'n', &o.n_gen, "N", 0, 100000, "tokens to generate (default 64; 0: none)"),
      OPTION_STRING("depth", 'd', &o.depths, "0,4096", "tokens before the generated ones (default 0,4096)"),
      OPTION_STRING("batch", 'b', &o.batches, "1,4,8", "sequences at once (default 1)"),
      OPTION_STRING("threads", 't', &o.threads, "1,2", "threads (default 0: all cores)"),
      OPTION_INT("repeats", 'r', &o.repeats, "N", 1, 64, "repeats of each (default 5)"),
      OPTION_ENUM("kv", 0, &o.kv, "f16|q8", "the KV cache in float16 or int8 (default f16)"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path"),
      OPTION_FLAG("parts", 0, &o.parts, "say where the time of the fastest repeat went"),
      OPTION_FLAG("json", 0, &o.json, "machine-readable output"),
      OPTION_END};
  OptSpec spec = {
      .command = "bench",
      .usage = "-m DIR [options]",
      .about =
          "Measures tokens a second of prompts and of generation: median, and least and most of the "
          "repeats.\n"
          "Beside it what the machine can do, measured in the same run: how fast it reads memory and\n"
          "multiplies. The limit of a run is the larger of the times its bytes and its multiplications\n"
          "need at least; the share of it is what the fastest repeat reached. For generation at a depth the\n"
          "cache is filled with noise: what is in it changes no time.",
      .examples = "  zaya bench -m models/nano -d 0,1024\n  zaya bench -m DIR -p 512 -n 32 -d 0 -b 1,8 -t "
                  "1,2 --parts",
      .opts = opts,
      .max_args = 0};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.dir) return opt_usage_error(&spec, "which model? give -m DIR");
  if (!parse_list(o.prompts, 1, 1 << 20, &o.p))
    return opt_usage_error(&spec, "--prompt: numbers, at most %d", MAX_LIST);
  if (!parse_list(o.depths, 0, 1 << 20, &o.d))
    return opt_usage_error(&spec, "--depth: numbers, at most %d", MAX_LIST);
  if (!parse_list(o.batches, 1, MAX_BATCH, &o.b))
    return opt_usage_error(&spec, "--batch: numbers up to %d", MAX_BATCH);
  if (!parse_list(o.threads, 0, 1024, &o.t)) return opt_usage_error(&spec, "--threads: numbers up to 1024");
  return run(&o);
}
