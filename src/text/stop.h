// stop: finds stop strings in text that arrives in pieces. What may be the start of one is held back, and
// so is half a character: what comes out is whole characters of the text in front of the first stop string.
// The first is the one that is complete first (of those that end at the same place the longest), so that
// the outcome does not depend on how the text is cut. Depends on buf, utf8.
#pragma once

#include "base/buf.h"

typedef struct Stop Stop;

// n strings, none empty; copies them. n 0 is allowed: then only half characters are held back.
Stop *stop_new(const char *const *strings, size_t n, zaya_error *err);
void stop_free(Stop *s);
// Takes text and appends to `out` what is known to be in front of any stop string. Once one was found
// (stop_found) everything later is dropped.
bool stop_feed(Stop *s, const char *text, size_t len, Buf *out, zaya_error *err);
// At the end of the text: what was held back, an incomplete character as U+FFFD.
bool stop_flush(Stop *s, Buf *out, zaya_error *err);
// The index of the string that was found, -1 while there is none.
int stop_found(const Stop *s);
void stop_reset(Stop *s); // for a new text
