// sampling: the options of how tokens are drawn, the same for every command that writes answers. Depends on
// opt.
#pragma once

#include "opt.h"
#include "zaya/zaya.h"

typedef struct SamplingOptions {
  double temp, top_p, min_p, repeat, presence, frequency;
  int top_k;
  uint64_t seed;
} SamplingOptions;

// Rows of an option table.
#define SAMPLING_OPTIONS(o_)                                                                                 \
  OPTION_FLOAT("temp", 0, &(o_)->temp, "T", 0, 100, "temperature; 0: always the likeliest token"),           \
      OPTION_INT("top-k", 0, &(o_)->top_k, "K", 0, 1e9, "draw from the K likeliest (0: all)"),               \
      OPTION_FLOAT("top-p", 0, &(o_)->top_p, "P", 0, 1, "draw from the likeliest that hold share P"),        \
      OPTION_FLOAT("min-p", 0, &(o_)->min_p, "P", 0, 1, "drop tokens below P times the likeliest"),          \
      OPTION_FLOAT("repeat-penalty", 0, &(o_)->repeat, "X", 0.01, 100,                                       \
                   "penalty for tokens seen before (1: none)"),                                              \
      OPTION_FLOAT("presence-penalty", 0, &(o_)->presence, "X", -10, 10,                                     \
                   "taken from the logit of tokens in the answer"),                                          \
      OPTION_FLOAT("frequency-penalty", 0, &(o_)->frequency, "X", -10, 10,                                   \
                   "the same, times how often they are there"),                                              \
      OPTION_U64("seed", 0, &(o_)->seed, "N", "the same seed gives the same answer (default: a new one)")

// The bundle's own settings, changed by what the command line says. Without --seed the seed is a fresh one.
bool sampling_read(const SamplingOptions *o, const OptSpec *spec, const char *dir, zaya_sampling *out,
                   zaya_error *err);
// Changes only what the command line says.
void sampling_apply(const SamplingOptions *o, const OptSpec *spec, zaya_sampling *out);
