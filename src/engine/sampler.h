// sampler: one token id out of logits: bias, penalties, mask, temperature, min_p, top_k, top_p, a draw.
// Owns the random generator and the counts of tokens seen. Every sum is in float64 in a written order and
// exp() is its own, so that a seed gives the same tokens on every machine. Depends on base/.
//
// The random generator is xoshiro256** 1.0 (Blackman and Vigna), its 256 bits of state filled from the
// seed by SplitMix64; a draw is the upper 53 bits of one output, times 2^-53. Greedy choice draws nothing;
// every other choice draws once, u, and takes the first candidate at which the sum of the weights
// exp((logit - best) / temperature) passes u times their total: likeliest first where top_k or top_p is set
// (equal ones by id), else in order of the ids.
#pragma once

#include "base/error.h"

typedef struct zaya_sampler Sampler;

zaya_sampling sampler_default(void);
bool sampler_check(const zaya_sampling *p, size_t n_vocab, zaya_error *err);
Sampler *sampler_new(const zaya_sampling *p, size_t n_vocab, zaya_error *err);
void sampler_free(Sampler *s);
bool sampler_accept(Sampler *s, int32_t id, bool output, zaya_error *err);
// logits [n_vocab]; mask may be NULL.
bool sampler_next(Sampler *s, const float *logits, const uint32_t *mask, int32_t *id, zaya_error *err);
// A copy that goes on as `s` would: for branches of one text.
Sampler *sampler_clone(const Sampler *s, zaya_error *err);
bool sampler_logprobs(const float *logits, size_t n_vocab, int32_t id, double *chosen, size_t n_top,
                      zaya_logprob *top, zaya_error *err);
