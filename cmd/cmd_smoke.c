// zaya smoke: does this model answer coherently? The report is what zaya card reads.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "smoke.h"

#include <stdlib.h>
#include <string.h>

typedef struct SmokeOptions {
  const char *dir, *server, *model, *api_key, *out;
  int threads;
  bool exact, json;
} SmokeOptions;

static void print_case(const json_t *e) {
  const bool passed = json_is_true(json_object_get(e, "passed"));
  printf("%-5s %-16s %6.2f s  %s", passed ? "pass" : "FAIL", json_string_value(json_object_get(e, "name")),
         json_real_value(json_object_get(e, "seconds")),
         json_string_value(json_object_get(e, "expectation")));
  if (!passed) printf(": %s", json_string_value(json_object_get(e, "why")));
  putchar('\n');
  if (!passed) {
    char *out = json_dumps(json_object_get(e, "outputs"), JSON_ENSURE_ASCII); // no control bytes
    printf("      said %.300s%s\n", out ? out : "nothing", out && strlen(out) > 300 ? " ..." : "");
    free(out);
  }
  fflush(stdout);
}

static void stay_quiet(const json_t *e) { (void)e; }

static size_t count_passed(const json_t *cases) {
  size_t i, n = 0;
  json_t *e;
  json_array_foreach(cases, i, e) n += json_is_true(json_object_get(e, "passed"));
  return n;
}

static json_t *make_report(const SmokeOptions *o, json_t *cases) {
  const size_t n = json_array_size(cases), passed = count_passed(cases);
  return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "report", "zaya smoke", "version", zaya_version(),
                   "target", o->server ? o->server : o->dir, "passed", (json_int_t)passed, "failed",
                   (json_int_t)(n - passed), "cases", cases);
}

static int run(const SmokeOptions *o) {
  zaya_error err = {0};
  SmokeTarget target = {0};
  bool ok = o->server ? smoke_server_open(&target, o->server, o->model, o->api_key, &err)
                      : smoke_local_open(&target, o->dir, o->threads, o->exact, &err);
  if (!ok) return fail("smoke", &err);
  json_t *report = make_report(o, smoke_run(&target, o->json ? stay_quiet : print_case, &err));
  target.close(target.self);
  const json_int_t failed = json_integer_value(json_object_get(report, "failed"));
  if (o->json) {
    json_dumpf(report, stdout, JSON_INDENT(2));
    putchar('\n');
  } else {
    printf("%lld passed, %lld failed\n", (long long)json_integer_value(json_object_get(report, "passed")),
           (long long)failed);
  }
  if (o->out && json_dump_file(report, o->out, JSON_INDENT(2))) {
    json_decref(report);
    return fail_with("smoke", "%s: cannot write the report", o->out);
  }
  json_decref(report);
  return failed ? EXIT_FAILED : EXIT_OK;
}

int cmd_smoke(int argc, char **argv) {
  SmokeOptions o = {0};
  Opt opts[] = {
      OPTION_STRING("server", 0, &o.server, "URL", "ask an OpenAI-compatible server instead of a bundle"),
      OPTION_STRING("model", 0, &o.model, "NAME", "the server's model (default: the first it lists)"),
      OPTION_STRING("api-key", 0, &o.api_key, "KEY", "sent to the server"),
      OPTION_STRING("out", 'o', &o.out, "FILE", "write the report (zaya card reads DIR/smoke.json)"),
      OPTION_INT("threads", 't', &o.threads, "N", 1, 1024, "threads (default: all cores)"),
      OPTION_FLAG("exact", 0, &o.exact, "the float32 path"),
      OPTION_FLAG("json", 0, &o.json, "print the report as JSON"),
      OPTION_END};
  OptSpec spec = {
      .command = "smoke",
      .usage = "DIR | --server URL [options]",
      .about = "Asks a model what a user would first try: two short questions, one with thinking off, one\n"
               "with thinking on, a name told earlier, a tool call and its result, a fact in a long\n"
               "text. Every answer must end by itself, repeat nothing without end and show no markup.\n"
               "Greedy, so that a run can be repeated. Exit code 1 when a case fails.",
      .examples = "  zaya smoke models/nano -o models/nano/smoke.json\n"
                  "  zaya smoke --server http://127.0.0.1:8080",
      .opts = opts,
      .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (n_args == 1) o.dir = argv[1];
  if (!o.dir == !o.server) return opt_usage_error(&spec, "give a folder or --server URL");
  return !o.dir || find_model("smoke", &o.dir) ? run(&o) : EXIT_FAILED;
}
