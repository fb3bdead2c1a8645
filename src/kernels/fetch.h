// fetch: memory asked for early. Attention reads each key and value once, in pieces that the hardware's own
// reading ahead does not look beyond; asking some rows ahead keeps more reads under way. Changes no result.
// Used by the kernels of attend. Depends on nothing.
#pragma once

#include <stddef.h>

enum { FETCH_AHEAD = 8192, FETCH_LINE = 64 }; // bytes

// While bytes [at, at + len) of a stream are worked on: asks for those FETCH_AHEAD behind them. `then` is
// what will be read when the stream's `size` bytes are done, or NULL. An address beyond what is there does no
// harm.
static inline void fetch_ahead(const void *stream, size_t size, const void *then, size_t at, size_t len) {
  const size_t from = at + FETCH_AHEAD;
  const char *p = (const char *)(from < size ? stream : then);
  if (!p) return;
  p += from < size ? from : from - size;
  for (size_t b = 0; b < len; b += FETCH_LINE) __builtin_prefetch(p + b, 0, 3);
}
