// common: what commands share: messages on stderr, files, the clock.
#pragma once

#define LARGE_CONTEXT 1e9 // bytes of context from which on a command says what it will take

#include "zaya/zaya.h"

#include <stdio.h>

// "zaya run: message" on stderr; returns EXIT_FAILED.
int fail(const char *command, const zaya_error *err);
int fail_with(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Reads a whole file, or standard input for "-".
bool read_input(const char *path, zaya_text *out, zaya_error *err);
double now_seconds(void); // monotonic
bool stderr_is_terminal(void);
bool stdout_is_terminal(void);
bool stdin_is_terminal(void);
uint64_t fresh_seed(void); // one that no earlier run had
// *dir, a folder or the name of a fetched model ("org/name"), becomes the folder (kept until the program
// ends). False when there is none: told on stderr.
bool find_model(const char *command, const char **dir);
// Says on stderr what is odd about a bundle, one line each.
void print_notes(const char *command, const zaya_model *model);
