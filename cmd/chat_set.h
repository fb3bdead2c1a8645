// chat_set: the settings of a chat: how answers are drawn, thinking, the system message, tools. Owns the
// table of what /set knows, and how settings stand in a saved session. Depends on Jansson only.
#pragma once

#include "zaya/zaya.h"

#include <jansson.h>
#include <stdio.h>

typedef struct ChatSet {
  zaya_sampling sampling, sampling_default; // default: the bundle's
  bool fixed_seed;                          // sampling.seed is for every answer; else each has its own
  double max_tokens;                        // of an answer; 0: until the context is full
  zaya_think_mode thinking;
  long budget; // tokens of thinking; -1: none
  bool show_thinking;
  char *system; // NULL: none
  char *tools;  // JSON; NULL: none
} ChatSet;

void chat_set_free(ChatSet *set);
// Takes a copy of `text`; NULL: none.
bool chat_set_text(char **where, const char *text, zaya_error *err);
// "temperature" "0.6"; the value "default" is what the bundle says. The error says what would do.
bool chat_set_value(ChatSet *set, const char *name, const char *value, zaya_error *err);
// All names and values, a line each.
void chat_set_print(const ChatSet *set, FILE *out);
// The names, for completion; NULL behind the last.
const char *chat_set_name(size_t i);
// Checks a list of tools: JSON, an array of objects.
bool chat_set_tools_check(const char *json, size_t len, zaya_error *err);

const char *chat_set_thinking_name(zaya_think_mode mode);
bool chat_set_thinking_parse(const char *name, zaya_think_mode *mode);

// What differs from the defaults, as an object; and back. Reading changes nothing when it fails.
json_t *chat_set_save(const ChatSet *set);
bool chat_set_load(ChatSet *set, const json_t *object, zaya_error *err);
