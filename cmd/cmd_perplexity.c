// zaya perplexity: how well a model knows a text, as llama.cpp's tool measures it.
#include "commands.h"
#include "common.h"
#include "evaltext.h"
#include "opt.h"

#include <jansson.h>

typedef struct PerplexityOptions {
  const char *dir;
  EvalText text;
  int threads;
  bool exact, json;
} PerplexityOptions;

static void print_result(const PerplexityOptions *o, const zaya_perplexity_result *r) {
  if (!o->json) {
    printf("perplexity %.4f +/- %.4f over %zu tokens in %zu windows of %d\n", r->perplexity, r->error,
           r->n_scored, r->n_windows, o->text.ctx);
    return;
  }
  json_t *root = json_pack("{s:f, s:f, s:f, s:I, s:I, s:i, s:i}", "perplexity", r->perplexity, "error",
                           r->error, "nll", r->nll, "tokens", (json_int_t)r->n_scored, "windows",
                           (json_int_t)r->n_windows, "ctx", o->text.ctx, "stride", o->text.stride);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}

static int run(PerplexityOptions *o) {
  zaya_error err = {0};
  zaya_perplexity_result result;
  const zaya_model_params params = {.n_threads = o->threads, .exact = o->exact};
  zaya_model *m = zaya_model_open(o->dir, &params, &err);
  if (m) print_notes("perplexity", m);
  bool ok = m && evaltext_read(&o->text, o->dir, &err) &&
            zaya_perplexity(m, o->text.ids.data, o->text.ids.len, &o->text.params, &result, &err);
  evaltext_done(&o->text);
  if (ok) print_result(o, &result);
  zaya_model_close(m);
  return ok ? EXIT_OK : fail("perplexity", &err);
}

int cmd_perplexity(int argc, char **argv) {
  PerplexityOptions o = {.text = {.ctx = 512, .value = "perplexity"}};
  Opt opts[] = {OPTION_STRING("model", 'm', &o.dir, "DIR", "the bundle or checkpoint"),
                EVALTEXT_OPTIONS(o.text),
                OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
                OPTION_FLAG("exact", 0, &o.exact, "the float32 path"),
                OPTION_FLAG("json", 0, &o.json, "machine-readable output"),
                OPTION_END};
  OptSpec spec = {
      .command = "perplexity",
      .usage = "-m DIR -f TEXT [options]",
      .about = "Perplexity of a text. Windows of --ctx tokens stand side by side, <bos> in place of each\n"
               "first token, and the second half of each is scored; with --stride S a window of\n"
               "ctx + S/2 tokens starts every S tokens and its last S are scored. These are the\n"
               "definitions of llama.cpp's perplexity tool, so that figures compare.",
      .examples = "  zaya perplexity -m models/nano -f README.md --ctx 256",
      .opts = opts};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (!o.dir) return opt_usage_error(&spec, "which model? give -m DIR");
  if (!o.text.file) return opt_usage_error(&spec, "which text? give -f FILE");
  return find_model("perplexity", &o.dir) ? run(&o) : EXIT_FAILED;
}
