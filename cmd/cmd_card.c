// zaya card: the model card of a bundle, from what is measured.
#include "commands.h"
#include "common.h"
#include "opt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Writes beside and renames, unless there is a card that must not be replaced.
static bool write_card(const char *dir, const zaya_text *text, bool force) {
  char path[4096], temp[4096 + 32];
  snprintf(path, sizeof path, "%s/README.md", dir);
  snprintf(temp, sizeof temp, "%s.%ld.tmp", path, (long)getpid());
  if (!force && access(path, F_OK) == 0) {
    fail_with("card", "%s is there already; --force replaces it, -o - prints the card", path);
    return false;
  }
  FILE *f = fopen(temp, "wb");
  bool ok = f && fwrite(text->data, 1, text->len, f) == text->len;
  if (f) ok = fclose(f) == 0 && ok;
  ok = ok && rename(temp, path) == 0;
  if (!ok) {
    fail_with("card", "%s: cannot write: %s", path, strerror(errno));
    unlink(temp);
  }
  return ok;
}

int cmd_card(int argc, char **argv) {
  zaya_card_params params = {0};
  zaya_verify_params verify = {0};
  const char *out = NULL;
  bool force = false;
  Opt opts[] = {OPTION_STRING("source", 's', &verify.source, "DIR",
                              "also compare with the checkpoint it was made from"),
                OPTION_STRING("name", 0, &params.name, "NAME", "title (default: the folder's name)"),
                OPTION_STRING("license", 0, &params.license, "ID",
                              "licence for the front matter (default: none is named)"),
                OPTION_STRING("out", 'o', &out, "-", "print the card instead of writing DIR/README.md"),
                OPTION_FLAG("force", 'f', &force, "replace a README.md that is there"),
                OPTION_INT("threads", 't', &verify.n_threads, "N", 1, 1024, "threads (default: all cores)"),
                OPTION_END};
  OptSpec spec = {
      .command = "card",
      .usage = "DIR [options]",
      .about = "Writes a bundle's model card, DIR/README.md, with front matter for the hub: what is in it,\n"
               "the result of every check of zaya verify, and the report of zaya smoke where DIR holds\n"
               "one (smoke.json). Only what was measured. Exit code 1 when a check fails; the card is\n"
               "written and says so.",
      .examples = "  zaya smoke DIR -o DIR/smoke.json; zaya card DIR --source ./ZAYA1-8B",
      .opts = opts,
      .min_args = 1,
      .max_args = 1};
  int n_args, code;
  if (!opt_parse(&spec, argc, argv, &n_args, &code)) return code;
  if (out && strcmp(out, "-"))
    return opt_usage_error(&spec, "--out takes '-' only: a card belongs to its folder");
  zaya_error err = {0};
  zaya_text text = {0};
  const char *dir = argv[1];
  if (!find_model("card", &dir)) return EXIT_FAILED;
  zaya_inspection *in = zaya_inspect(dir, &err);
  zaya_verification *v = in ? zaya_verify(dir, &verify, &err) : NULL;
  bool ok = v && zaya_card(dir, in, v, &params, &text, &err);
  code = ok ? EXIT_OK : fail("card", &err);
  if (ok && out) fputs(text.data, stdout);
  if (ok && !out && !write_card(dir, &text, force)) code = EXIT_FAILED;
  if (code == EXIT_OK && v && v->n_failed)
    code = fail_with("card", "%zu checks failed, and the card says so (see zaya verify)", v->n_failed);
  zaya_verification_free(v);
  zaya_inspection_free(in);
  zaya_text_free(&text);
  return code;
}
