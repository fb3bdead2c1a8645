// gencfg: the sampling defaults of a bundle, from its generation_config.json. Depends on sampler, Jansson.
#pragma once

#include "base/buf.h"
#include "engine/sampler.h"

// sampler_default(), as `dir`/generation_config.json changes it, if there is one. Names in `ignored` (may be
// NULL) the settings that change sampling elsewhere and not here.
bool gencfg_read(const char *dir, zaya_sampling *out, Buf *ignored, zaya_error *err);
// The same from JSON text; `path` is for messages.
bool gencfg_parse(const char *path, const char *json, size_t len, zaya_sampling *out, Buf *ignored,
                  zaya_error *err);
