// attend: grouped-query attention of a step's tokens over their sequences' KV caches.
#pragma once

#include "model/forward.h"

// Floats of workspace for attention over `len` positions.
size_t attend_workspace(const Config *c, bool exact, int threads, size_t len);
// f->mix = softmax(q k^T / sqrt(D)) v for every token of the step; q in f->qk (scaled here in place),
// its own key and value already in the cache. attn: number of the attention layer.
void attend_forward(Forward *f, int attn, const Step *step);
// Bytes of keys and values that one layer of the step has to read: each sequence's once.
size_t attend_bytes(const Step *step);
