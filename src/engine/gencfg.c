// gencfg: see gencfg.h.
#include "engine/gencfg.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20 };

static bool get_number(const char *path, const json_t *j, const char *key, double *out, zaya_error *err) {
  const json_t *v = json_object_get(j, key);
  if (!v || json_is_null(v)) return true;
  if (!json_is_number(v)) return err_set(err, ZAYA_E_FORMAT, "%s: %s: expected a number", path, key);
  *out = json_number_value(v);
  return true;
}

// Whether a setting that is not implemented is set to something other than what means "off".
static bool is_set(const json_t *v, double off) {
  if (!v || json_is_null(v) || json_is_false(v)) return false;
  if (json_is_array(v) || json_is_object(v)) return json_array_size(v) || json_object_size(v);
  return !json_is_number(v) || json_number_value(v) != off;
}

static bool list_ignored(const json_t *j, Buf *out, zaya_error *err) {
  static const struct {
    const char *key;
    double off;
  } others[] = {{"typical_p", 1},
                {"epsilon_cutoff", 0},
                {"eta_cutoff", 0},
                {"top_h", 1},
                {"num_beams", 1},
                {"penalty_alpha", 0},
                {"diversity_penalty", 0},
                {"no_repeat_ngram_size", 0},
                {"encoder_repetition_penalty", 1},
                {"bad_words_ids", 0},
                {"sequence_bias", 0},
                {"suppress_tokens", 0},
                {"begin_suppress_tokens", 0},
                {"exponential_decay_length_penalty", 0},
                {"forced_bos_token_id", -1},
                {"forced_eos_token_id", -1},
                {"guidance_scale", 1},
                {"min_length", 0},
                {"min_new_tokens", 0}};
  for (size_t i = 0; out && i < sizeof others / sizeof *others; i++)
    if (is_set(json_object_get(j, others[i].key), others[i].off) &&
        !buf_printf(out, err, "%s%s", out->len ? ", " : "", others[i].key))
      return false;
  return true;
}

static bool read_settings(const char *path, const json_t *j, zaya_sampling *out, zaya_error *err) {
  double top_k = out->top_k;
  const json_t *sample = json_object_get(j, "do_sample");
  if (sample && !json_is_null(sample) && !json_is_boolean(sample))
    return err_set(err, ZAYA_E_FORMAT, "%s: do_sample: expected true or false", path);
  if (!get_number(path, j, "temperature", &out->temperature, err) ||
      !get_number(path, j, "top_k", &top_k, err) || !get_number(path, j, "top_p", &out->top_p, err) ||
      !get_number(path, j, "min_p", &out->min_p, err) ||
      !get_number(path, j, "repetition_penalty", &out->repetition_penalty, err) ||
      !get_number(path, j, "presence_penalty", &out->presence_penalty, err) ||
      !get_number(path, j, "frequency_penalty", &out->frequency_penalty, err))
    return false;
  if (!(top_k >= -1 && top_k <= INT32_MAX) || top_k != (double)(int)top_k)
    return err_set(err, ZAYA_E_FORMAT, "%s: top_k: expected a whole number, found %g", path, top_k);
  out->top_k = top_k < 0 ? 0 : (int)top_k; // -1 is "off" in some files
  if (json_is_false(sample)) out->temperature = 0;
  if (sampler_check(out, 1, err)) return true;
  return err_context(err, "%s", path);
}

bool gencfg_parse(const char *path, const char *json, size_t len, zaya_sampling *out, Buf *ignored,
                  zaya_error *err) {
  *out = sampler_default();
  json_error_t e;
  json_t *j = json_loadb(json, len, JSON_REJECT_DUPLICATES, &e);
  bool ok = j ? json_is_object(j) || err_set(err, ZAYA_E_FORMAT, "%s: expected an object", path)
              : err_set(err, ZAYA_E_FORMAT, "%s: line %d, column %d: %s", path, e.line, e.column, e.text);
  ok = ok && read_settings(path, j, out, err) && list_ignored(j, ignored, err);
  json_decref(j);
  return ok;
}

bool gencfg_read(const char *dir, zaya_sampling *out, Buf *ignored, zaya_error *err) {
  *out = sampler_default();
  Buf path = {0}, text = {0};
  bool ok = buf_printf(&path, err, "%s/generation_config.json", dir);
  if (ok && (access(path.data, F_OK) == 0 || errno != ENOENT))
    ok = buf_read_file(&text, path.data, MAX_BYTES, err) &&
         gencfg_parse(path.data, text.data, text.len, out, ignored, err);
  buf_free(&path);
  buf_free(&text);
  return ok;
}
