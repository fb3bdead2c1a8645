// evaltext: the text that perplexity and compare read, as token ids, and their progress line.
#pragma once

#include "zaya/zaya.h"

typedef struct EvalText {
  const char *file;
  int ctx, stride;
  const char *value;       // what the progress line shows
  zaya_ids ids;            // out
  zaya_eval_params params; // out
} EvalText;

#define EVALTEXT_OPTIONS(t)                                                                                  \
  OPTION_STRING("file", 'f', &(t).file, "TEXT", "the text to read (- for standard input)"),                  \
      OPTION_INT("ctx", 'c', &(t).ctx, "N", 4, 1e9, "tokens of a window (default 512)"),                     \
      OPTION_INT("stride", 0, &(t).stride, "S", 0, 1e9,                                                      \
                 "start a window every S tokens (default 0: side by side)")

// Tokenizes the file with the tokenizer of `dir`.
bool evaltext_read(EvalText *t, const char *dir, zaya_error *err);
// Clears the progress line and frees the ids.
void evaltext_done(EvalText *t);
