// main: picks the subcommand. Every command lives in cmd/cmd_<name>.c and uses the public header only.
#include "commands.h"
#include "zaya/zaya.h"

#include <stdio.h>
#include <string.h>

typedef struct Command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} Command;

static const Command commands[] = {
#define COMMAND_ROW(name, summary) {#name, summary, cmd_##name},
    COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
        {0},
};

static void print_help(FILE *out) {
  fprintf(out,
          "zaya %s: run, make and check ZAYA1 models on a CPU\n\nUsage: zaya COMMAND [options]\n\n"
          "Commands:\n",
          zaya_version());
  for (const Command *c = commands; c->name; c++) fprintf(out, "  %-12s%s\n", c->name, c->summary);
  fprintf(out, "\n'zaya COMMAND --help' explains a command. Exit codes: 0 ok, 1 failed, 2 wrong usage.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return EXIT_USAGE;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    print_help(stdout);
    return EXIT_OK;
  }
  if (!strcmp(name, "--version") || !strcmp(name, "version")) {
    printf("zaya %s\n", zaya_version());
    return EXIT_OK;
  }
  for (const Command *c = commands; c->name; c++)
    if (!strcmp(name, c->name)) return c->run(argc - 1, argv + 1);
  fprintf(stderr, "zaya: unknown command '%s' (see zaya --help)\n", name);
  return EXIT_USAGE;
}
