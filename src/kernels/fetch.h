// fetch: memory asked for before it is needed. Changes no result.
//
// What is read needs a translation of its address as well as its bytes. Where a virtual machine's host keeps
// its memory in small pages, finding one takes longer than reading a line, and a processor that meets the new
// page when it gets there waits for both. So one line of each page is asked for long before the others. Used
// by the kernels. Depends on nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A call would cost the kernels what they hold in registers.
#define FETCH_INLINE static inline __attribute__((always_inline))

enum { FETCH_AHEAD = 8192, FETCH_LINE = 64 }; // bytes

enum { FETCH_PAGES = 16384, FETCH_PAGE = 4096 }; // bytes ahead, of a page

FETCH_INLINE void fetch_page(const void *p) { __builtin_prefetch(p, 0, 3); }

// The pages that rows of codes, their scales and biases will take FETCH_PAGES from here. Called for every
// row.
FETCH_INLINE void fetch_pages(const uint8_t *codes, const uint8_t *scales, const uint8_t *biases) {
  fetch_page(codes + FETCH_PAGES);
  fetch_page(scales + FETCH_PAGES / 4);
  fetch_page(biases + FETCH_PAGES / 4);
}

// Those up to there. Called before the first row.
FETCH_INLINE void fetch_first_pages(const uint8_t *codes, const uint8_t *scales, const uint8_t *biases) {
  for (size_t at = 0; at < FETCH_PAGES; at += FETCH_PAGE) fetch_page(codes + at);
  for (size_t at = 0; at < FETCH_PAGES / 4; at += FETCH_PAGE) {
    fetch_page(scales + at);
    fetch_page(biases + at);
  }
}

// Byte `at` of a stream of `size` bytes, behind which `then` is read (or nothing, if it is NULL).
FETCH_INLINE const char *fetch_place(const void *stream, size_t size, const void *then, size_t at) {
  const char *p = at < size ? stream : then;
  return !p ? NULL : at < size ? p + at : p + (at - size);
}

// Positions whose values go through all dimensions before others do: what is asked for ahead then comes while
// there is something to do, instead of all of it in the first dimensions.
enum { FETCH_ROWS = 32 };

// Attention reads each key and value once, in pieces that the hardware's own reading ahead does not look
// beyond. While bytes [at, at + len) of such a stream are worked on: asks for those FETCH_AHEAD behind them,
// and for the page that lies there in the stream that is next. That is as long before its turn as a stream
// takes: scores of 64 KiB of cold keys then took 2.2 and 2.7 us, and 2.9 and 3.3 with pages asked for 16 KiB
// ahead (Zen 5, one thread, two runs). An address beyond what is there does no harm.
FETCH_INLINE void fetch_ahead(const void *stream, size_t size, const void *then, size_t at, size_t len) {
  const char *p = fetch_place(stream, size, then, at + FETCH_AHEAD);
  if (!p) return;
  for (size_t b = 0; b < len; b += FETCH_LINE) __builtin_prefetch(p + b, 0, 3);
  if (then && at % FETCH_PAGE < len) fetch_page((const char *)then + at);
}
