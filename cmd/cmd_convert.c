// zaya convert: makes a quantized bundle from a float checkpoint.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "progress.h"

#include <jansson.h>
#include <string.h>

typedef struct Job {
  const char *source, *out, *calibrate;
  zaya_convert_params params;
  bool json;
} Job;

static bool on_progress(void *user, const char *phase, uint64_t done, uint64_t total) {
  Progress *bar = user;
  if (!bar->active) return true;
  if (!strcmp(phase, "calibrating")) { // tokens, not bytes
    fprintf(stderr, "\rcalibrating: %llu of %llu tokens ", (unsigned long long)done,
            (unsigned long long)total);
    if (done == total) fputc('\n', stderr);
    return true;
  }
  progress_show(bar, done, total, NULL);
  return true;
}

// The ids of the calibration text, by the source's own tokenizer.
static bool read_calibration(const Job *job, zaya_ids *ids, zaya_error *err) {
  enum { LEAST = 64 };
  zaya_text text = {0};
  bool ok = read_input(job->calibrate, &text, err);
  zaya_tokenizer *t = ok ? zaya_tokenizer_open(job->source, err) : NULL;
  ok = t && zaya_tokenizer_encode(t, text.data ? text.data : "", text.len, ZAYA_ENCODE_TEMPLATE, ids, err);
  if (ok && ids->len < LEAST) {
    ok = false;
    snprintf(err->message, sizeof err->message, "%s: a calibration text needs %d tokens or more, it has %zu",
             job->calibrate, LEAST, ids->len);
  }
  zaya_tokenizer_close(t);
  zaya_text_free(&text);
  return ok;
}

static json_t *json_gain(const zaya_convert_gain *g) {
  if (!g->n) return json_null();
  return json_pack("{s:f, s:f, s:f, s:I}", "mse_plain", g->mse_plain, "mse_calibrated", g->mse_calibrated,
                   "power", g->power, "outputs", (json_int_t)g->n);
}

static void print_gain(const char *name, const zaya_convert_gain *g) {
  if (!g->n || g->mse_plain <= 0) return;
  printf("%-10s mean squared output error %.4g, %.4g with plain rounding (%+.1f %%); %.3f %% of the output's "
         "power\n",
         name, g->mse_calibrated, g->mse_plain, 100 * (g->mse_calibrated / g->mse_plain - 1),
         100 * g->mse_calibrated / g->power);
}

static void print_json(const Job *job, const zaya_convert_result *r, double seconds) {
  json_t *v =
      json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:o, s:o}", "out", job->out, "dry_run",
                job->params.dry_run, "keys", (json_int_t)r->n_keys, "shards", (json_int_t)r->n_shards,
                "reused_shards", (json_int_t)r->n_reused, "tensor_bytes", (json_int_t)r->tensor_bytes,
                "source_bytes", (json_int_t)r->source_bytes, "already_there", r->already_there, "seconds",
                seconds, "attention", json_gain(&r->attention), "experts", json_gain(&r->experts));
  json_dumpf(v, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
  putchar('\n');
  json_decref(v);
}

static void print_result(const Job *job, const zaya_convert_result *r, double seconds) {
  if (r->already_there) {
    printf("%s is complete already\n", job->out);
    return;
  }
  printf("%s %s: %zu keys in %zu shard%s, %.2f GB of tensors from %.2f GB",
         job->params.dry_run ? "would write" : "wrote", job->out, r->n_keys, r->n_shards,
         r->n_shards == 1 ? "" : "s", (double)r->tensor_bytes / 1e9, (double)r->source_bytes / 1e9);
  if (r->n_reused) printf(", %zu shards taken up", r->n_reused);
  if (!job->params.dry_run) printf(", %.1f s", seconds);
  putchar('\n');
  print_gain("attention", &r->attention);
  print_gain("experts", &r->experts);
}

static zaya_quant_mode mode_of(const char *name) {
  static const char *const names[] = {[ZAYA_QUANT_AFFINE] = "affine",
                                      [ZAYA_QUANT_MXFP4] = "mxfp4",
                                      [ZAYA_QUANT_MXFP8] = "mxfp8",
                                      [ZAYA_QUANT_NVFP4] = "nvfp4"};
  int i = 0;
  while (i < 3 && strcmp(names[i], name) != 0) i++;
  return (zaya_quant_mode)i;
}

static int run(Job *job) {
  zaya_error err = {0};
  zaya_convert_result r;
  zaya_ids ids = {0};
  Progress bar;
  const double began = now_seconds();
  if (job->calibrate && !read_calibration(job, &ids, &err)) {
    zaya_ids_free(&ids);
    return fail("convert", &err);
  }
  job->params.calibration_ids = ids.data;
  job->params.n_calibration_ids = ids.len;
  progress_start(&bar, "converting", job->params.dry_run);
  job->params.progress = on_progress;
  job->params.user = &bar;
  bool ok = zaya_convert(job->source, job->out, &job->params, &r, &err);
  progress_end(&bar);
  zaya_ids_free(&ids);
  if (!ok) return fail("convert", &err);
  if (job->json)
    print_json(job, &r, now_seconds() - began);
  else
    print_result(job, &r, now_seconds() - began);
  return EXIT_OK;
}

int cmd_convert(int argc, char **argv) {
  Job job = {0};
  const char *format = "mxfp4", *mode = "affine", *quantizer = "mlx-cpu";
  size_t shard = 0;
  Opt opts[] = {
      OPTION_ENUM("format", 0, &format, "mxfp4", "the bundle's layout: what is published as MXFP4 (default)"),
      OPTION_ENUM("mode", 0, &mode, "affine|mxfp4|mxfp8|nvfp4",
                  "how the linear layers are coded: affine (default), which is what\n"
                  "the published MXFP4 bundle holds, or MLX's micro-scaled formats"),
      OPTION_INT("bits", 0, &job.params.bits, "B", 2, 8,
                 "affine: bits of a weight, 2 3 4 5 6 or 8 (default 4)"),
      OPTION_INT("group-size", 0, &job.params.group_size, "G", 16, 128,
                 "affine: inputs that share a scale, 32 64 or 128"
                 " (default 32)"),
      OPTION_INT("embed-bits", 0, &job.params.embed_bits, "B", 2, 8,
                 "bits of the embedding and the head (default 8)"),
      OPTION_ENUM("quantizer", 0, &quantizer, "mlx-cpu|mlx-metal",
                  "whose rounding: MLX's CPU code (default) or its Metal kernel"),
      OPTION_STRING("calibrate", 0, &job.calibrate, "FILE",
                    "a text: the source runs over it, and scales are chosen for the least\n"
                    "output error on such input (same format and size, better model)"),
      OPTION_SIZE("shard-size", 0, &shard, "BYTES",
                  "close a shard once it holds so much (default 1000000000)"),
      OPTION_STRING("source-name", 0, &job.params.source_name, "ORG/NAME",
                    "the source as jang_config.json names it"),
      OPTION_INT("threads", 't', &job.params.n_threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_FLAG("dry-run", 0, &job.params.dry_run, "check the source and say what would be written"),
      OPTION_FLAG("resume", 0, &job.params.resume, "take up an interrupted conversion"),
      OPTION_FLAG("json", 0, &job.json, "machine-readable output"),
      OPTION_END};
  OptSpec spec = {.command = "convert",
                  .usage = "SOURCE OUT [options]",
                  .about =
                      "Makes a quantized bundle in the published layout from a BF16, F16 or F32 checkpoint,\n"
                      "legacy or native. Bit for bit what MLX's quantizer gives. Writes to OUT.partial and\n"
                      "renames it when all is there.",
                  .examples = "  zaya convert ZAYA1-8B ZAYA1-8B-MXFP4\n"
                              "  zaya convert ZAYA1-8B ZAYA1-8B-6bit --bits 6 --group-size 64",
                  .opts = opts,
                  .min_args = 2,
                  .max_args = 2};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  job.params.mode = mode_of(mode);
  job.params.metal_rounding = !strcmp(quantizer, "mlx-metal");
  job.params.shard_bytes = shard;
  if (job.params.mode != ZAYA_QUANT_AFFINE && (job.params.bits || job.params.group_size))
    return opt_usage_error(&spec, "--bits and --group-size go with --mode affine");
  if (job.params.mode != ZAYA_QUANT_AFFINE && job.calibrate)
    return opt_usage_error(&spec, "--calibrate goes with --mode affine");
  job.source = argv[1];
  job.out = argv[2];
  return run(&job);
}
