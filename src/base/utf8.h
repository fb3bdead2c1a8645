// utf8: reading, checking and repairing UTF-8. Malformed bytes are cut as the Encoding Standard of the
// web does (and Unicode recommends): each maximal part of an ill-formed sequence is one U+FFFD.
// Depends on buf.
#pragma once

#include "base/buf.h"

enum { UTF8_REPLACEMENT = 0xFFFD };
#define UTF8_BAD UINT32_MAX

// Reads the character at s[0..n), n > 0. Returns its length in bytes; *cp is the code point, or UTF8_BAD
// where the length is that of the malformed part (1 to 3).
size_t utf8_next(const char *s, size_t n, uint32_t *cp);
// The same for the character that ends at s[n), n > 0: its length and code point.
size_t utf8_prev(const char *s, size_t n, uint32_t *cp);
// Writes `cp` (a valid code point) as 1 to 4 bytes.
size_t utf8_put(uint32_t cp, char out[4]);
// How many of the first bytes are valid UTF-8 (n when all are).
size_t utf8_valid_prefix(const char *s, size_t n);
// How many bytes at the end begin a character that is not complete yet: 0 to 3.
size_t utf8_incomplete_tail(const char *s, size_t n);
// Appends s with U+FFFD for what is malformed.
bool utf8_repair(Buf *out, const char *s, size_t n, zaya_error *err);
