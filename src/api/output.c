// output: the output parser for users of the library (zaya_output_*). Owns nothing; depends on text/out.
#include "text/out.h"

zaya_output *zaya_output_new(const zaya_output_params *params, zaya_output_fn fn, void *user,
                             zaya_error *err) {
  return out_new(params, fn, user, err);
}

void zaya_output_free(zaya_output *output) { out_free(output); }

bool zaya_output_feed(zaya_output *output, const char *text, size_t len, zaya_error *err) {
  return out_feed(output, text, len, err);
}

bool zaya_output_end(zaya_output *output, zaya_error *err) { return out_end(output, err); }

zaya_output_counts zaya_output_get_counts(const zaya_output *output) { return out_counts(output); }

bool zaya_output_prompt_thinks(const zaya_output_tags *tags, const char *turn, const char *prompt,
                               size_t len) {
  return out_prompt_thinks(tags, turn, prompt, len);
}
