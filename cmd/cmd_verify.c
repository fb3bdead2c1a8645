// zaya verify: every check of a bundle, a line each.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <jansson.h>

static const char *const words[] = {"pass", "fail", "skip"};

static void print_text(const zaya_verification *r) {
  for (size_t i = 0; i < r->n_checks; i++) {
    const zaya_check *c = &r->checks[i];
    printf("%s  %-18s %s%s%s\n", words[c->status], c->name, c->status == ZAYA_CHECK_SKIP ? "" : c->about,
           *c->detail && c->status != ZAYA_CHECK_SKIP ? ": " : "", c->detail);
  }
  if (r->n_classes) printf("\nagainst the source    tensors  max error    rms error    relative\n");
  for (size_t i = 0; i < r->n_classes; i++) {
    const zaya_verify_class *k = &r->classes[i];
    printf("  %-18s %8llu  %.5e  %.5e  %.5f\n", k->name, (unsigned long long)k->tensors, k->max_error,
           k->rms_error, k->relative_error);
  }
  printf("\n%zu passed, %zu failed, %zu skipped\n", r->n_passed, r->n_failed, r->n_skipped);
}

static void print_json(const char *dir, const zaya_verification *r) {
  json_t *checks = json_array(), *classes = json_array();
  for (size_t i = 0; i < r->n_checks; i++) {
    const zaya_check *c = &r->checks[i];
    json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s}", "name", c->name, "status",
                                            words[c->status], "about", c->about, "detail", c->detail));
  }
  for (size_t i = 0; i < r->n_classes; i++) {
    const zaya_verify_class *k = &r->classes[i];
    json_array_append_new(classes, json_pack("{s:s, s:I, s:f, s:f, s:f}", "name", k->name, "tensors",
                                             (json_int_t)k->tensors, "max_error", k->max_error, "rms_error",
                                             k->rms_error, "relative_error", k->relative_error));
  }
  json_t *root = json_pack("{s:s, s:b, s:i, s:i, s:i, s:o, s:o}", "path", dir, "ok", r->n_failed == 0,
                           "passed", (int)r->n_passed, "failed", (int)r->n_failed, "skipped",
                           (int)r->n_skipped, "checks", checks, "classes", classes);
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
}

int cmd_verify(int argc, char **argv) {
  zaya_verify_params params = {0};
  bool json = false;
  Opt opts[] = {OPTION_STRING("source", 's', &params.source, "DIR",
                              "also compare with the checkpoint it was made from"),
                OPTION_FLAG("hash", 0, &params.hash, "check SHA256SUMS, or write it where there is none"),
                OPTION_INT("threads", 't', &params.n_threads, "N", 1, 1024, "threads (default: all cores)"),
                OPTION_FLAG("json", 0, &json, "machine-readable output"), OPTION_END};
  OptSpec spec = {
      .command = "verify",
      .usage = "DIR [options]",
      .about = "Checks everything that can be checked of a bundle, one line each: pass, fail, or skip and\n"
               "why. Exit code 1 when any check fails. DIR may be a name in the hub cache.",
      .examples = "  zaya verify ./ZAYA1-8B-MXFP4\n  zaya verify ./out --source ./ZAYA1-8B --hash",
      .opts = opts,
      .min_args = 1,
      .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  zaya_error err = {0};
  const char *dir = argv[1];
  if (!find_model("verify", &dir)) return EXIT_FAILED;
  zaya_verification *r = zaya_verify(dir, &params, &err);
  if (!r) return fail("verify", &err);
  if (json)
    print_json(dir, r);
  else
    print_text(r);
  bool ok = r->n_failed == 0;
  zaya_verification_free(r);
  return ok ? EXIT_OK : EXIT_FAILED;
}
