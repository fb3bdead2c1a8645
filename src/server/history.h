// history: finished answers that a later request may continue, by their id: in memory, the least recently
// used dropped beyond a limit. Does not own what is in a record (responses.c). Any thread may use it. Depends
// on lru, Jansson.
#pragma once

#include "base/error.h"

#include <jansson.h>

typedef struct History History;

enum { HISTORY_MAX_RECORDS = 4096 };

// At most HISTORY_MAX_RECORDS records, of `bytes` bytes of JSON text in all.
History *history_new(size_t bytes, zaya_error *err);
void history_free(History *h);
// Keeps a copy of `record`, unless memory or the limit is too small for it.
void history_put(History *h, const char *id, const json_t *record);
// A new reference; NULL: not there.
json_t *history_get(History *h, const char *id);
// Whether it was there.
bool history_drop(History *h, const char *id);
size_t history_bytes(History *h);
