// sampler: the public sampler over engine/sampler and engine/gencfg.
#include "engine/sampler.h"
#include "engine/gencfg.h"

zaya_sampling zaya_sampling_default(void) { return sampler_default(); }

bool zaya_sampling_read(const char *dir, zaya_sampling *out, zaya_text *ignored, zaya_error *err) {
  return gencfg_read(dir, out, ignored, err);
}

zaya_sampler *zaya_sampler_new(const zaya_sampling *params, size_t n_vocab, zaya_error *err) {
  return sampler_new(params, n_vocab, err);
}

void zaya_sampler_free(zaya_sampler *sampler) { sampler_free(sampler); }

bool zaya_sampler_accept(zaya_sampler *sampler, int32_t id, bool output, zaya_error *err) {
  return sampler_accept(sampler, id, output, err);
}

bool zaya_sampler_next(zaya_sampler *sampler, const float *logits, const uint32_t *mask, int32_t *id,
                       zaya_error *err) {
  return sampler_next(sampler, logits, mask, id, err);
}

bool zaya_logprobs(const float *logits, size_t n_vocab, int32_t id, double *chosen, size_t n_top,
                   zaya_logprob *top, zaya_error *err) {
  return sampler_logprobs(logits, n_vocab, id, chosen, n_top, top, err);
}
