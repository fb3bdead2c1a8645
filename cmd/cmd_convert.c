// zaya convert: makes a quantized bundle from a float checkpoint.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <jansson.h>
#include <string.h>

// A bar on a terminal, redrawn a few times a second.
typedef struct Bar {
  double began, drawn;
  bool shown;
} Bar;

static void clock_text(double seconds, char out[32]) {
  int s = seconds < 0 ? 0 : seconds > 1e6 ? 1000000 : (int)seconds;
  if (s >= 3600)
    snprintf(out, 32, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(out, 32, "%d:%02d", s / 60, s % 60);
}

static bool on_progress(void *user, uint64_t done, uint64_t total) {
  enum { WIDTH = 32 };
  Bar *b = user;
  double now = now_seconds(), gone = now - b->began;
  if (now - b->drawn < 0.1 && done < total) return true;
  b->drawn = now;
  b->shown = true;
  double rate = gone > 0 ? (double)done / gone : 0, share = total ? (double)done / (double)total : 1;
  char left[32], bar[WIDTH + 1];
  clock_text(rate > 0 ? (double)(total - done) / rate : 0, left);
  for (int i = 0; i < WIDTH; i++) bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
  bar[WIDTH] = '\0';
  fprintf(stderr, "\r[%s] %3.0f%%  %.2f of %.2f GB, %.0f MB/s, %s left ", bar, 100 * share,
          (double)done / 1e9, (double)total / 1e9, rate / 1e6, left);
  return true;
}

static void print_result(const zaya_convert_result *r, const char *out, bool dry_run, bool json,
                         double seconds) {
  if (json) {
    json_t *v =
        json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:f}", "out", out, "dry_run", dry_run, "keys",
                  (json_int_t)r->n_keys, "shards", (json_int_t)r->n_shards, "reused_shards",
                  (json_int_t)r->n_reused, "tensor_bytes", (json_int_t)r->tensor_bytes, "source_bytes",
                  (json_int_t)r->source_bytes, "already_there", r->already_there, "seconds", seconds);
    json_dumpf(v, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(v);
    return;
  }
  if (r->already_there) {
    printf("%s is complete already\n", out);
    return;
  }
  printf("%s %s: %zu keys in %zu shard%s, %.2f GB of tensors from %.2f GB", dry_run ? "would write" : "wrote",
         out, r->n_keys, r->n_shards, r->n_shards == 1 ? "" : "s", (double)r->tensor_bytes / 1e9,
         (double)r->source_bytes / 1e9);
  if (r->n_reused) printf(", %zu shards taken up", r->n_reused);
  if (!dry_run) printf(", %.1f s", seconds);
  putchar('\n');
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

static int run(const char *source, const char *out, zaya_convert_params *p, bool json) {
  zaya_error err = {0};
  zaya_convert_result r;
  Bar bar = {.began = now_seconds()};
  if (stderr_is_terminal() && !p->dry_run) {
    p->progress = on_progress;
    p->user = &bar;
  }
  bool ok = zaya_convert(source, out, p, &r, &err);
  if (bar.shown) fputc('\n', stderr);
  if (!ok) return fail("convert", &err);
  print_result(&r, out, p->dry_run, json, now_seconds() - bar.began);
  return EXIT_OK;
}

int cmd_convert(int argc, char **argv) {
  zaya_convert_params p = {0};
  const char *format = "mxfp4", *mode = "affine", *quantizer = "mlx-cpu";
  size_t shard = 0;
  bool json = false;
  Opt opts[] = {
      OPTION_ENUM("format", 0, &format, "mxfp4", "the bundle's layout: what is published as MXFP4 (default)"),
      OPTION_ENUM("mode", 0, &mode, "affine|mxfp4|mxfp8|nvfp4",
                  "how the linear layers are coded: affine (default), which is what\n"
                  "the published MXFP4 bundle holds, or MLX's micro-scaled formats"),
      OPTION_INT("bits", 0, &p.bits, "B", 2, 8, "affine: bits of a weight, 2 3 4 5 6 or 8 (default 4)"),
      OPTION_INT("group-size", 0, &p.group_size, "G", 16, 128,
                 "affine: inputs that share a scale, 32 64 or 128"
                 " (default 32)"),
      OPTION_INT("embed-bits", 0, &p.embed_bits, "B", 2, 8, "bits of the embedding and the head (default 8)"),
      OPTION_ENUM("quantizer", 0, &quantizer, "mlx-cpu|mlx-metal",
                  "whose rounding: MLX's CPU code (default) or its Metal kernel"),
      OPTION_SIZE("shard-size", 0, &shard, "BYTES",
                  "close a shard once it holds so much (default 1000000000)"),
      OPTION_STRING("source-name", 0, &p.source_name, "ORG/NAME", "the source as jang_config.json names it"),
      OPTION_INT("threads", 't', &p.n_threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_FLAG("dry-run", 0, &p.dry_run, "check the source and say what would be written"),
      OPTION_FLAG("resume", 0, &p.resume, "take up an interrupted conversion"),
      OPTION_FLAG("json", 0, &json, "machine-readable output"),
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
  p.mode = mode_of(mode);
  p.metal_rounding = !strcmp(quantizer, "mlx-metal");
  p.shard_bytes = shard;
  if (p.mode != ZAYA_QUANT_AFFINE && (p.bits || p.group_size))
    return opt_usage_error(&spec, "--bits and --group-size go with --mode affine");
  return run(argv[1], argv[2], &p, json);
}
