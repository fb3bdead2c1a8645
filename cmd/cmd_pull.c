// pull: fetches a bundle from a Hugging Face compatible hub.
#include "commands.h"
#include "common.h"
#include "opt.h"
#include "progress.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct Show {
  Progress bar;
  bool quiet;
} Show;

static bool show(void *user, const zaya_pull_progress *p) {
  Show *s = user;
  char detail[64];
  if (p->note && !s->quiet) progress_note(&s->bar, p->note);
  snprintf(detail, sizeof detail, "%zu of %zu files", p->files_done, p->files_total);
  if (p->files_total) progress_show(&s->bar, p->bytes_done, p->bytes_total, detail);
  return true;
}

static void print_json(const char *repo, const char *revision, const zaya_pull_result *r) {
  json_t *files = json_array();
  for (size_t i = 0; i < r->n_files; i++)
    json_array_append_new(files, json_pack("{s:s, s:I, s:b}", "path", r->files[i].path, "size",
                                           (json_int_t)r->files[i].size, "fetched", r->files[i].fetched));
  json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "repo", repo, "revision", revision, "commit",
                          r->commit, "dir", r->dir, "bytes_total", (json_int_t)r->bytes_total,
                          "bytes_fetched", (json_int_t)r->bytes_fetched, "files", files);
  json_dumpf(out, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(out);
}

static void print_text(const zaya_pull_result *r, bool quiet) {
  char total[32], fetched[32];
  if (!quiet)
    fprintf(stderr, "%zu files, %s, of which %s fetched now; every one checked\n", r->n_files,
            progress_bytes((double)r->bytes_total, total, sizeof total),
            progress_bytes((double)r->bytes_fetched, fetched, sizeof fetched));
  puts(r->dir);
}

int cmd_pull(int argc, char **argv) {
  zaya_pull_params params = {.retries = -1};
  const char *revision = NULL;
  bool json = false, quiet = false;
  Opt opts[] = {
      OPTION_STRING("revision", 'r', &revision, "REV", "branch, tag or commit (default: main)"),
      OPTION_STRING("to", 0, &params.to, "DIR", "into this folder instead of the shared cache"),
      OPTION_FLAG("all", 0, &params.all, "every file, not only what a bundle consists of"),
      OPTION_INT("connections", 'j', &params.connections, "N", 1, 32,
                 "files fetched at the same time (default: 4)"),
      OPTION_INT("retries", 0, &params.retries, "N", 0, 1000,
                 "further attempts after a failure (default: 5)"),
      OPTION_FLOAT("retry-delay", 0, &params.retry_delay, "SECONDS", 0.001, 60,
                   "before the first further attempt, doubled\neach time (default: 1)"),
      OPTION_FLOAT("timeout", 0, &params.timeout, "SECONDS", 1, 3600,
                   "without data, after which a connection counts\nas dead (default: 30)"),
      OPTION_FLAG("quiet", 'q', &quiet, "no progress, no notes: only the folder or errors"),
      OPTION_FLAG("json", 0, &json, "print what was fetched as JSON"),
      OPTION_END,
  };
  OptSpec spec = {
      .command = "pull",
      .usage = "ORG/NAME[@REVISION] [options]",
      .about = "Fetches a bundle from a Hugging Face compatible hub into the cache that other tools\n"
               "share, checks every file against the size and hash that the hub lists, and prints its\n"
               "folder. Interrupted downloads are resumed. Afterwards -m ORG/NAME finds it.\n\n"
               "Environment: HF_ENDPOINT (another hub), HF_TOKEN (for private and gated\n"
               "repositories), HF_HOME or HF_HUB_CACHE (where the cache is).",
      .examples = "  zaya pull org/ZAYA1-8B-MXFP4\n  zaya pull org/ZAYA1-8B-MXFP4 --to ./zaya",
      .opts = opts,
      .min_args = 1,
      .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  char repo[256];
  snprintf(repo, sizeof repo, "%s", argv[1]);
  char *at = strchr(repo, '@');
  if (at) {
    if (revision) return opt_usage_error(&spec, "the revision is given twice: '%s' and --revision", argv[1]);
    *at = '\0';
    revision = at + 1;
  }
  params.revision = revision;

  Show state = {.quiet = quiet};
  progress_start(&state.bar, repo, quiet || json);
  params.progress = show;
  params.user = &state;
  zaya_error err = {0};
  zaya_pull_result result;
  bool ok = zaya_pull(repo, &params, &result, &err);
  progress_end(&state.bar);
  if (!ok) return fail("pull", &err);
  if (json)
    print_json(repo, revision ? revision : "main", &result);
  else
    print_text(&result, quiet);
  zaya_pull_result_free(&result);
  return EXIT_OK;
}
