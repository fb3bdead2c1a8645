// opt: see opt.h.
#include "opt.h"

#include "commands.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int opt_usage_error(const OptSpec *spec, const char *fmt, ...) {
  fprintf(stderr, "zaya %s: ", spec->command);
  va_list args;
  va_start(args, fmt);
  vfprintf(stderr, fmt, args);
  va_end(args);
  fprintf(stderr, " (see zaya %s --help)\n", spec->command);
  return EXIT_USAGE;
}

static void print_option(const Opt *o) {
  char left[64];
  const char *arg = o->kind == OPT_FLAG ? "" : o->kind == OPT_ENUM ? o->choices : o->arg;
  int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                    : snprintf(left, sizeof left, "      --%s", o->name);
  if (*arg && n > 0 && (size_t)n < sizeof left) snprintf(left + n, sizeof left - (size_t)n, " %s", arg);
  if (strlen(left) > 30)
    printf("%s\n%32s", left, "");
  else
    printf("%-32s", left);
  for (const char *p = o->help; *p; p++) { // continuation lines stay in the right column
    putchar(*p);
    if (*p == '\n') printf("%32s", "");
  }
  putchar('\n');
}

static void print_help(const OptSpec *spec) {
  printf("Usage: zaya %s %s\n\n%s\n\nOptions:\n", spec->command, spec->usage, spec->about);
  for (const Opt *o = spec->opts; o->name; o++) print_option(o);
  printf("%-32s%s\n", "  -h, --help", "this text");
  if (spec->examples) printf("\nExamples:\n%s\n", spec->examples);
}

static bool parse_number(const Opt *o, const char *text, double *out) {
  char *end;
  errno = 0;
  *out = strtod(text, &end);
  if (end == text || *end || errno || !isfinite(*out)) return false;
  return (o->min == 0 && o->max == 0) || (*out >= o->min && *out <= o->max);
}

static bool parse_u64(const char *text, uint64_t *out) {
  char *end;
  errno = 0;
  if (*text < '0' || *text > '9') return false;
  *out = strtoull(text, &end, 10);
  return !*end && !errno;
}

static bool parse_size(const char *text, size_t *out) {
  char *end;
  errno = 0;
  if (*text < '0' || *text > '9') return false;
  unsigned long long n = strtoull(text, &end, 10);
  int shift = 0;
  if (*end) {
    const char *units = "KMGT", *u = strchr(units, *end >= 'a' ? *end - 32 : *end);
    if (!u) return false;
    shift = 10 * (int)(u - units + 1);
    end++;
    if (*end == 'i') end++;
    if (*end == 'B') end++;
  }
  if (*end || errno || n > (SIZE_MAX >> shift)) return false;
  *out = (size_t)n << shift;
  return true;
}

static bool in_choices(const char *choices, const char *text) {
  size_t n = strlen(text);
  for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
    if (n && !strncmp(p, text, n) && (p[n] == '|' || !p[n])) return true;
  return false;
}

static bool list_add(OptList *list, const char *text) {
  const char **items = realloc(list->items, (list->len + 1) * sizeof *items);
  if (!items) return false;
  list->items = items;
  items[list->len++] = text;
  return true;
}

// Stores `text` as the value of `o`; false when it is not one.
static bool set_value(Opt *o, const char *text) {
  double number = 0;
  o->seen = true;
  switch (o->kind) {
  case OPT_FLAG: *(bool *)o->value = true; return true;
  case OPT_INT:
    if (!parse_number(o, text, &number) || number != floor(number) || fabs(number) > 2147483647.0)
      return false;
    *(int *)o->value = (int)number;
    return true;
  case OPT_FLOAT:
    if (!parse_number(o, text, &number)) return false;
    *(double *)o->value = number;
    return true;
  case OPT_U64: return parse_u64(text, o->value);
  case OPT_SIZE: return parse_size(text, o->value);
  case OPT_STRING: *(const char **)o->value = text; return true;
  case OPT_ENUM:
    if (!in_choices(o->choices, text)) return false;
    *(const char **)o->value = text;
    return true;
  case OPT_LIST: return list_add(o->value, text);
  }
  return false;
}

static void say_bad_value(const OptSpec *spec, const Opt *o, const char *text) {
  if (o->kind == OPT_ENUM)
    opt_usage_error(spec, "--%s must be one of %s, not '%s'", o->name, o->choices, text);
  else if ((o->kind == OPT_INT || o->kind == OPT_FLOAT) && (o->min != 0 || o->max != 0))
    opt_usage_error(spec, "--%s must be %s from %g to %g, not '%s'", o->name,
                    o->kind == OPT_INT ? "a whole number" : "a number", o->min, o->max, text);
  else
    opt_usage_error(spec, "'%s' is not a value for --%s", text, o->name);
}

static Opt *find_long(const OptSpec *spec, const char *name, size_t len) {
  for (Opt *o = spec->opts; o->name; o++)
    if (strlen(o->name) == len && !memcmp(o->name, name, len)) return o;
  return NULL;
}

static Opt *find_letter(const OptSpec *spec, char letter) {
  for (Opt *o = spec->opts; o->name; o++)
    if (o->letter && o->letter == letter) return o;
  return NULL;
}

// One argument that starts with a dash; *i moves on when it takes the next one as its value.
static bool parse_option(OptSpec *spec, int argc, char **argv, int *i) {
  const char *arg = argv[*i], *value = NULL;
  Opt *o;
  if (arg[1] == '-') {
    const char *eq = strchr(arg, '=');
    o = find_long(spec, arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
    value = eq ? eq + 1 : NULL;
  } else {
    o = find_letter(spec, arg[1]);
    value = arg[2] ? arg + 2 : NULL;
  }
  if (!o || (o->kind == OPT_FLAG && value)) {
    opt_usage_error(spec, "unknown option '%s'", arg);
    return false;
  }
  if (o->kind != OPT_FLAG && !value) {
    if (*i + 1 >= argc) {
      opt_usage_error(spec, "option '%s' needs a value", arg);
      return false;
    }
    value = argv[++*i];
  }
  if (set_value(o, value)) return true;
  say_bad_value(spec, o, value);
  return false;
}

// For shell completion: every option of the command, one a line.
static void list_options(const OptSpec *spec) {
  for (const Opt *o = spec->opts; o->name; o++) printf("--%s\n", o->name);
  puts("--help");
}

bool opt_parse(OptSpec *spec, int argc, char **argv, int *n_args, int *exit_code) {
  bool only_args = false;
  *n_args = 0;
  *exit_code = EXIT_USAGE;
  for (int i = 1; i < argc; i++) {
    const char *arg = argv[i];
    if (only_args || arg[0] != '-' || !arg[1]) {
      argv[1 + (*n_args)++] = argv[i];
    } else if (!strcmp(arg, "--")) {
      only_args = true;
    } else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
      print_help(spec);
      *exit_code = EXIT_OK;
      return false;
    } else if (!strcmp(arg, "--list-options")) {
      list_options(spec);
      *exit_code = EXIT_OK;
      return false;
    } else if (!parse_option(spec, argc, argv, &i)) {
      return false;
    }
  }
  if (*n_args < spec->min_args) {
    opt_usage_error(spec, "missing argument; usage: zaya %s %s", spec->command, spec->usage);
    return false;
  }
  if (spec->max_args >= 0 && *n_args > spec->max_args) {
    opt_usage_error(spec, "unexpected argument '%s'", argv[1 + spec->max_args]);
    return false;
  }
  *exit_code = EXIT_OK;
  return true;
}

void opt_free(OptSpec *spec) {
  for (Opt *o = spec->opts; o->name; o++)
    if (o->kind == OPT_LIST) {
      OptList *list = o->value;
      free(list->items);
      *list = (OptList){0};
    }
}

bool opt_seen(const OptSpec *spec, const char *name) {
  const Opt *o = find_long(spec, name, strlen(name));
  return o && o->seen;
}
