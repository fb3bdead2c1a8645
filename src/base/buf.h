// buf: a growable byte string, always NUL-terminated behind its `len` bytes once it holds anything.
// Shares its layout with the public zaya_text. Allocation failure leaves the content as it was.
#pragma once

#include "zaya/zaya.h"

#include <stdarg.h>

typedef zaya_text Buf;

bool buf_reserve(Buf *b, size_t extra, zaya_error *err);
bool buf_add(Buf *b, const void *data, size_t len, zaya_error *err);
bool buf_puts(Buf *b, const char *s, zaya_error *err);
bool buf_putc(Buf *b, char c, zaya_error *err);
bool buf_printf(Buf *b, zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void buf_clear(Buf *b); // empties, keeps the memory
void buf_free(Buf *b);
// Reads a whole file of at most `limit` bytes; the error names the path.
bool buf_read_file(Buf *b, const char *path, size_t limit, zaya_error *err);

// The same for token ids.
bool ids_add(zaya_ids *a, int32_t id, zaya_error *err);
bool ids_append(zaya_ids *a, const int32_t *ids, size_t n, zaya_error *err);
bool tokens_add(zaya_tokens *a, zaya_token token, zaya_error *err);

// Grows `*data`, an array of elements of `size` bytes, to hold at least `need` of them.
bool buf_grow(void **data, size_t *cap, size_t need, size_t size, zaya_error *err);
