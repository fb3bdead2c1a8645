// prompt: what the command line says to ask, as token ids: raw text, or a conversation through the bundle's
// chat template.
#pragma once

#include "zaya/zaya.h"

typedef struct PromptOptions {
  const char *dir;         // the bundle
  const char *text, *file; // at most one; neither: standard input
  const char *system;      // a system message in front of a text prompt
  const char *messages;    // file of a whole conversation instead
  const char *tools;       // file of tools
  const char *thinking;    // "on", "off", "auto" or NULL
  bool raw;                // no chat format
} PromptOptions;

typedef struct Prompt {
  zaya_ids ids;
  bool thinks; // the prompt opened a thinking block
  char *tools; // JSON of the tools, or NULL
} Prompt;

bool prompt_build(const PromptOptions *o, const zaya_tokenizer *tok, Prompt *out, zaya_error *err);
void prompt_free(Prompt *p);
