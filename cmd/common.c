// common: see common.h.
#include "common.h"

#include "commands.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fail(const char *command, const zaya_error *err) {
  fprintf(stderr, "zaya %s: %s\n", command, err->message);
  return EXIT_FAILED;
}

int fail_with(const char *command, const char *fmt, ...) {
  fprintf(stderr, "zaya %s: ", command);
  va_list args;
  va_start(args, fmt);
  vfprintf(stderr, fmt, args);
  va_end(args);
  fputc('\n', stderr);
  return EXIT_FAILED;
}

static bool input_error(zaya_error *err, const char *path) {
  err->status = ZAYA_E_IO;
  snprintf(err->message, sizeof err->message, "%s: %s", path, strerror(errno));
  return false;
}

bool read_input(const char *path, zaya_text *out, zaya_error *err) {
  FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
  if (!f) return input_error(err, path);
  bool ok = true;
  for (;;) {
    if (out->cap - out->len < 65537) {
      size_t cap = (out->cap + 65537) * 2;
      char *data = realloc(out->data, cap);
      if (!data) {
        errno = ENOMEM;
        ok = input_error(err, path);
        break;
      }
      out->data = data;
      out->cap = cap;
    }
    size_t n = fread(out->data + out->len, 1, 65536, f);
    out->len += n;
    out->data[out->len] = '\0';
    if (n) continue;
    if (ferror(f)) ok = input_error(err, path);
    break;
  }
  if (f != stdin) fclose(f);
  return ok;
}

double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool stderr_is_terminal(void) { return isatty(STDERR_FILENO); }

bool stdout_is_terminal(void) { return isatty(STDOUT_FILENO); }

bool stdin_is_terminal(void) { return isatty(STDIN_FILENO); }

uint64_t fresh_seed(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  const uint64_t x = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + ((uint64_t)getpid() << 40);
  return x >> 1 & 0x1fffffffffffff; // exact in every JSON reader
}

void print_notes(const char *command, const zaya_model *model) {
  for (size_t i = 0; zaya_model_note(model, i); i++)
    fprintf(stderr, "zaya %s: note: %s\n", command, zaya_model_note(model, i));
}

bool find_model(const char *command, const char **dir) {
  static zaya_text found[2]; // a command names two models at most
  zaya_text *hold = found[0].data ? &found[1] : &found[0];
  zaya_error err = {0};
  if (!zaya_resolve_model(*dir, hold, &err)) {
    fail(command, &err);
    return false;
  }
  *dir = hold->data;
  return true;
}
