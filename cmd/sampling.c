// sampling: see sampling.h.
#include "sampling.h"

#include "common.h"

void sampling_apply(const SamplingOptions *o, const OptSpec *spec, zaya_sampling *s) {
  if (opt_seen(spec, "temp")) s->temperature = o->temp;
  if (opt_seen(spec, "top-k")) s->top_k = o->top_k;
  if (opt_seen(spec, "top-p")) s->top_p = o->top_p;
  if (opt_seen(spec, "min-p")) s->min_p = o->min_p;
  if (opt_seen(spec, "repeat-penalty")) s->repetition_penalty = o->repeat;
  if (opt_seen(spec, "presence-penalty")) s->presence_penalty = o->presence;
  if (opt_seen(spec, "frequency-penalty")) s->frequency_penalty = o->frequency;
  if (opt_seen(spec, "seed")) s->seed = o->seed;
}

bool sampling_read(const SamplingOptions *o, const OptSpec *spec, const char *dir, zaya_sampling *s,
                   zaya_error *err) {
  zaya_text ignored = {0};
  if (!zaya_sampling_read(dir, s, &ignored, err)) return false;
  if (ignored.len)
    fprintf(stderr, "zaya %s: note: generation_config.json: ignored: %s\n", spec->command, ignored.data);
  zaya_text_free(&ignored);
  s->seed = fresh_seed();
  sampling_apply(o, spec, s);
  return true;
}
