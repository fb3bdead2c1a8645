// zaya synth: a folder of a model's true shapes with random weights.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "progress.h"

static bool show(void *user, uint64_t done, uint64_t total) {
  progress_show(user, done, total, NULL);
  return true;
}

int cmd_synth(int argc, char **argv) {
  zaya_synth_params params = {0};
  bool json = false;
  Opt opts[] = {
      OPTION_ENUM("preset", 'p', &params.preset, "zaya1-8b|tiny", "the shapes (default: zaya1-8b)"),
      OPTION_STRING("config", 0, &params.config, "FILE", "take the shapes from a config.json instead"),
      OPTION_ENUM("layout", 'l', &params.layout, "mxfp4|legacy|native",
                  "the published bundle (default), or a BF16 checkpoint\nin one of its two layouts"),
      OPTION_U64("seed", 's', &params.seed, "N", "of the random numbers (default: 0)"),
      OPTION_INT("threads", 't', &params.n_threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_FLAG("json", 0, &json, "machine-readable output"),
      OPTION_END};
  OptSpec spec = {
      .command = "synth",
      .usage = "OUT [options]",
      .about =
          "Writes a folder of a model's true shapes with random weights, tokenizer and chat template: for\n"
          "measuring speed and memory where the real weights are not at hand. What it says is noise.",
      .examples = "  zaya synth /tmp/synth8b\n  zaya synth /tmp/small --preset tiny --layout native",
      .opts = opts,
      .min_args = 1,
      .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (params.config && params.preset) return opt_usage_error(&spec, "give either --config or --preset");
  Progress bar;
  progress_start(&bar, "synth", json);
  params.progress = show;
  params.user = &bar;
  zaya_error err = {0};
  zaya_synth_result r;
  double begun = now_seconds();
  bool ok = zaya_synth(argv[1], &params, &r, &err);
  double seconds = now_seconds() - begun;
  progress_end(&bar);
  if (!ok) return fail("synth", &err);
  char bytes[32];
  if (json)
    printf(
        "{\"keys\": %zu, \"shards\": %zu, \"tensor_bytes\": %llu, \"file_bytes\": %llu, \"seconds\": %.3f}\n",
        r.n_keys, r.n_shards, (unsigned long long)r.tensor_bytes, (unsigned long long)r.file_bytes, seconds);
  else
    printf("%s: %zu tensors in %zu shards, %llu bytes of tensors (%s), %.1f s\n", argv[1], r.n_keys,
           r.n_shards, (unsigned long long)r.tensor_bytes,
           progress_bytes((double)r.tensor_bytes, bytes, sizeof bytes), seconds);
  return EXIT_OK;
}
