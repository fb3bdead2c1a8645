// tuni: Unicode as Python's str sees it, for the template engine: UTF-8 walking valid text, classes and case
// mapping. Owns the tables (tuni_data.c). Depends on nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct UniRange {
  uint32_t first, last;
} UniRange;

typedef struct UniCase { // every `step`-th of [first, last] maps to itself + delta
  uint32_t first, last, step;
  int32_t delta;
} UniCase;

typedef struct UniSpecial { // maps to up to three code points, 0 behind the last
  uint32_t from, to[3];
} UniSpecial;

#define UNI_CLASSES(X)                                                                                       \
  X(unprintable)                                                                                             \
  X(alpha) X(numeric) X(digit) X(decimal) X(lowercase) X(uppercase) X(titlecase) X(case_ignorable)
#define UNI_DECLARE(name)                                                                                    \
  extern const UniRange uni_##name[];                                                                        \
  extern const size_t uni_##name##_len;
UNI_CLASSES(UNI_DECLARE)
#undef UNI_DECLARE

#define UNI_CASE_MAPS(X) X(to_upper) X(to_lower) X(to_title) X(to_folded)
#define UNI_DECLARE(name)                                                                                    \
  extern const UniCase uni_##name[];                                                                         \
  extern const size_t uni_##name##_len;                                                                      \
  extern const UniSpecial uni_##name##_special[];                                                            \
  extern const size_t uni_##name##_special_len;
UNI_CASE_MAPS(UNI_DECLARE)
#undef UNI_DECLARE

typedef enum UniClass {
#define UNI_ENUM(name) UNI_##name,
  UNI_CLASSES(UNI_ENUM)
#undef UNI_ENUM
} UniClass;

typedef enum UniMap {
#define UNI_ENUM(name) UNI_##name,
  UNI_CASE_MAPS(UNI_ENUM)
#undef UNI_ENUM
} UniMap;

bool tuni_is(UniClass cls, uint32_t cp);
bool tuni_space(uint32_t cp); // str.isspace(), also \s of a regular expression
bool tuni_cased(uint32_t cp); // upper, lower or title case
// Writes the mapping of `cp`, one to three code points, and returns how many.
int tuni_map(UniMap map, uint32_t cp, uint32_t out[3]);
// The value of a decimal digit of any script, -1 if it is none.
int tuni_decimal_value(uint32_t cp);

// Bytes of the sequence that starts with `lead`, in valid UTF-8.
static inline size_t tuni_seq_len(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}
// Decodes the code point at p (valid UTF-8) and returns its length.
size_t tuni_decode(const char *p, uint32_t *cp);
// Code points in valid UTF-8.
size_t tuni_count(const char *p, size_t len);
