// opt: command-line options from one table per command. Help, shell completion and the checks of
// values all come from the table. Depends on the C library only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum OptKind {
  OPT_FLAG,   // bool *, set to true
  OPT_INT,    // int *, within [min, max]
  OPT_U64,    // uint64_t *, plain
  OPT_SIZE,   // size_t *, bytes with an optional K, M, G, T (powers of 1024)
  OPT_FLOAT,  // double *, within [min, max]
  OPT_STRING, // const char **
  OPT_LIST,   // OptList *: may be given several times
  OPT_ENUM,   // const char **: one of `choices` (words separated by '|')
} OptKind;

typedef struct OptList {
  const char **items;
  size_t len;
} OptList;

typedef struct Opt {
  const char *name; // without the dashes
  char letter;      // short form, 0 for none
  OptKind kind;
  void *value;
  const char *arg; // what the value is called in the help: "DIR"
  const char *help;
  double min, max;     // OPT_INT and OPT_FLOAT; both 0: any
  const char *choices; // OPT_ENUM
  bool seen;           // out: the option was given
} Opt;

// Rows of an option table. letter 0: no short form.
#define OPTION_FLAG(name_, letter_, value_, help_)                                                           \
  { .name = name_, .letter = letter_, .kind = OPT_FLAG, .value = value_, .help = help_ }
#define OPTION_INT(name_, letter_, value_, arg_, min_, max_, help_)                                          \
  {                                                                                                          \
    .name = name_, .letter = letter_, .kind = OPT_INT, .value = value_, .arg = arg_, .min = min_,            \
    .max = max_, .help = help_                                                                               \
  }
#define OPTION_FLOAT(name_, letter_, value_, arg_, min_, max_, help_)                                        \
  {                                                                                                          \
    .name = name_, .letter = letter_, .kind = OPT_FLOAT, .value = value_, .arg = arg_, .min = min_,          \
    .max = max_, .help = help_                                                                               \
  }
#define OPTION_U64(name_, letter_, value_, arg_, help_)                                                      \
  { .name = name_, .letter = letter_, .kind = OPT_U64, .value = value_, .arg = arg_, .help = help_ }
#define OPTION_SIZE(name_, letter_, value_, arg_, help_)                                                     \
  { .name = name_, .letter = letter_, .kind = OPT_SIZE, .value = value_, .arg = arg_, .help = help_ }
#define OPTION_STRING(name_, letter_, value_, arg_, help_)                                                   \
  { .name = name_, .letter = letter_, .kind = OPT_STRING, .value = value_, .arg = arg_, .help = help_ }
#define OPTION_LIST(name_, letter_, value_, arg_, help_)                                                     \
  { .name = name_, .letter = letter_, .kind = OPT_LIST, .value = value_, .arg = arg_, .help = help_ }
#define OPTION_ENUM(name_, letter_, value_, choices_, help_)                                                 \
  { .name = name_, .letter = letter_, .kind = OPT_ENUM, .value = value_, .choices = choices_, .help = help_ }
#define OPTION_END                                                                                           \
  { .name = NULL }

typedef struct OptSpec {
  const char *command;    // "run"
  const char *usage;      // one line behind "zaya run": "-m DIR [options]"
  const char *about;      // a paragraph; may hold newlines
  const char *examples;   // lines to copy; may be NULL
  Opt *opts;              // {0}-terminated
  int min_args, max_args; // positional arguments; max -1: any number
} OptSpec;

// Parses argv[1..]. Positional arguments are moved to the front of argv[1..] and counted in *n_args.
// False when the command is done: --help was printed or the usage is wrong (told on stderr); *exit_code
// says which. OPT_LIST items are allocated: opt_free them.
bool opt_parse(OptSpec *spec, int argc, char **argv, int *n_args, int *exit_code);
void opt_free(OptSpec *spec);
bool opt_seen(const OptSpec *spec, const char *name);
// Reports a usage error in the same form as opt_parse does; returns EXIT_USAGE.
int opt_usage_error(const OptSpec *spec, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
