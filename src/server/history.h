// history: finished answers that a later request may continue, by their id: in memory, the least recently
// used dropped beyond a limit of bytes. Owns the records; does not own what is in them (responses.c).
// Guarded by itself: any thread may use it. Depends on base, Jansson.
#pragma once

#include "base/error.h"

#include <jansson.h>

typedef struct History History;

// At most `limit` bytes of records, ids and bookkeeping included.
History *history_new(size_t limit, zaya_error *err);
void history_free(History *h);
// Keeps a copy of `record` under `id`, in place of an older one. False: it could not be kept (memory, or
// larger than the limit), and there is none under that id.
bool history_put(History *h, const char *id, const json_t *record);
// A new reference; NULL: not there.
json_t *history_get(History *h, const char *id);
// Whether it was there.
bool history_drop(History *h, const char *id);
size_t history_bytes(History *h);
