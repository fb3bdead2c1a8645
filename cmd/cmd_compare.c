// zaya compare: how far two models are apart on a text.
#include "commands.h"
#include "common.h"
#include "evaltext.h"
#include "opt.h"

#include <jansson.h>
#include <string.h>

typedef struct CompareOptions {
  const char *a, *b;
  EvalText text;
  int threads;
  const char *kv_a, *kv_b;
  bool exact_a, exact_b, json;
} CompareOptions;

static void print_result(const CompareOptions *o, const zaya_compare_result *r) {
  if (!o->json) {
    printf("A %s\nB %s\n%zu tokens scored\n\n", o->a, o->b, r->n_scored);
    printf("KL(A || B)   mean %.6f +/- %.6f  median %.6f  90%% %.6f  99%% %.6f  max %.6f nats\n", r->kl_mean,
           r->kl_error, r->kl_median, r->kl_p90, r->kl_p99, r->kl_max);
    printf("same top-1   %.2f %%\n", 100 * r->top1_agreement);
    printf("perplexity   A %.4f  B %.4f\n", r->perplexity_a, r->perplexity_b);
    return;
  }
  json_t *root =
      json_pack("{s:s, s:s, s:I, s:{s:f, s:f, s:f, s:f, s:f, s:f}, s:f, s:f, s:f}", "a", o->a, "b", o->b,
                "tokens", (json_int_t)r->n_scored, "kl", "mean", r->kl_mean, "error", r->kl_error, "median",
                r->kl_median, "p90", r->kl_p90, "p99", r->kl_p99, "max", r->kl_max, "top1_agreement",
                r->top1_agreement, "perplexity_a", r->perplexity_a, "perplexity_b", r->perplexity_b);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}

static bool is_q8(const char *kv) { return kv && !strcmp(kv, "q8"); }

static int run(CompareOptions *o) {
  zaya_error err = {0};
  zaya_compare_result result;
  const zaya_model_params pa = {.n_threads = o->threads, .exact = o->exact_a, .kv_q8 = is_q8(o->kv_a)};
  const zaya_model_params pb = {.n_threads = o->threads, .exact = o->exact_b, .kv_q8 = is_q8(o->kv_b)};
  zaya_model *a = zaya_model_open(o->a, &pa, &err), *b = a ? zaya_model_open(o->b, &pb, &err) : NULL;
  bool ok = b && evaltext_read(&o->text, o->a, &err) &&
            zaya_compare(a, b, o->text.ids.data, o->text.ids.len, &o->text.params, &result, &err);
  evaltext_done(&o->text);
  if (ok) print_result(o, &result);
  zaya_model_close(a);
  zaya_model_close(b);
  return ok ? EXIT_OK : fail("compare", &err);
}

int cmd_compare(int argc, char **argv) {
  CompareOptions o = {.text = {.ctx = 512, .value = "mean KL"}};
  Opt opts[] = {EVALTEXT_OPTIONS(o.text),
                OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
                OPTION_FLAG("exact-a", 0, &o.exact_a, "A on the float32 path"),
                OPTION_FLAG("exact-b", 0, &o.exact_b, "B on the float32 path"),
                OPTION_ENUM("kv-a", 0, &o.kv_a, "f16|q8", "A's KV cache (default f16)"),
                OPTION_ENUM("kv-b", 0, &o.kv_b, "f16|q8", "B's KV cache (default f16)"),
                OPTION_FLAG("json", 0, &o.json, "machine-readable output"),
                OPTION_END};
  OptSpec spec = {
      .command = "compare",
      .usage = "A B -f TEXT [options]",
      .about = "Reads a text with two models that share a vocabulary and says how far their predictions of\n"
               "the next token are apart: a checkpoint A and the bundle B made of it, two bundles,\n"
               "or two ways to compute with one (--exact-a, --kv-b q8).\n"
               "The tokenizer is A's. Windows are those of zaya perplexity.",
      .examples = "  zaya compare checkpoint models/nano -f text.txt --ctx 256",
      .opts = opts,
      .min_args = 2,
      .max_args = 2};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  o.a = argv[1];
  o.b = argv[2];
  if (!o.text.file) return opt_usage_error(&spec, "which text? give -f FILE");
  return find_model("compare", &o.a) && find_model("compare", &o.b) ? run(&o) : EXIT_FAILED;
}
