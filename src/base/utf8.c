// utf8: see utf8.h.
#include "base/utf8.h"

#include <string.h>

// What may follow a lead byte: how many bytes, and the range of the first of them (the later ones are
// 80..BF). The narrow ranges keep out overlong forms, surrogates and what lies above U+10FFFF.
typedef struct Lead {
  int more;
  uint8_t low, high;
} Lead;

static Lead lead_of(uint8_t c) {
  if (c < 0xC2 || c > 0xF4) return (Lead){0, 0, 0};
  if (c < 0xE0) return (Lead){1, 0x80, 0xBF};
  if (c < 0xF0) return (Lead){2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
  return (Lead){3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
}

// Length of the well-formed start of a sequence at s (its lead byte is not ASCII); *complete says
// whether it is a whole character. 0 for a byte that cannot lead.
static size_t sequence(const uint8_t *s, size_t n, bool *complete) {
  Lead lead = lead_of(s[0]);
  *complete = false;
  if (!lead.more) return 0;
  size_t i = 1;
  for (; i <= (size_t)lead.more && i < n; i++)
    if (s[i] < (i == 1 ? lead.low : 0x80) || s[i] > (i == 1 ? lead.high : 0xBF)) return i;
  *complete = i > (size_t)lead.more;
  return i;
}

size_t utf8_next(const char *text, size_t n, uint32_t *cp) {
  const uint8_t *s = (const uint8_t *)text;
  if (s[0] < 0x80) {
    *cp = s[0];
    return 1;
  }
  bool complete;
  size_t len = sequence(s, n, &complete);
  if (!complete) {
    *cp = UTF8_BAD;
    return len ? len : 1;
  }
  uint32_t c = s[0] & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) c = c << 6 | (s[i] & 0x3Fu);
  *cp = c;
  return len;
}

size_t utf8_prev(const char *s, size_t n, uint32_t *cp) {
  for (size_t back = 1; back <= 4 && back <= n; back++) {
    if (((uint8_t)s[n - back] & 0xC0) == 0x80) continue;
    if (utf8_next(s + n - back, back, cp) == back) return back;
    break;
  }
  *cp = UTF8_BAD;
  return 1;
}

size_t utf8_put(uint32_t cp, char out[4]) {
  if (cp < 0x80) {
    out[0] = (char)cp;
    return 1;
  }
  size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
  out[0] = (char)((0xF00u >> len & 0xFF) | cp);
  return len;
}

size_t utf8_valid_prefix(const char *s, size_t n) {
  size_t i = 0;
  while (i < n) {
    uint64_t word;
    if (n - i >= sizeof word) { // eight ASCII bytes at once
      memcpy(&word, s + i, sizeof word);
      if (!(word & 0x8080808080808080u)) {
        i += sizeof word;
        continue;
      }
    }
    uint32_t cp;
    size_t len = utf8_next(s + i, n - i, &cp);
    if (cp == UTF8_BAD) return i;
    i += len;
  }
  return n;
}

size_t utf8_incomplete_tail(const char *s, size_t n) {
  for (size_t back = 1; back <= 3 && back <= n; back++) {
    uint8_t c = (uint8_t)s[n - back];
    if ((c & 0xC0) == 0x80) continue;
    if (c < 0x80) return 0;
    bool complete;
    return sequence((const uint8_t *)s + n - back, back, &complete) == back && !complete ? back : 0;
  }
  return 0;
}

bool utf8_repair(Buf *out, const char *s, size_t n, zaya_error *err) {
  for (size_t i = 0; i < n;) {
    size_t good = utf8_valid_prefix(s + i, n - i);
    if (!buf_add(out, s + i, good, err)) return false;
    i += good;
    if (i == n) break;
    uint32_t cp;
    i += utf8_next(s + i, n - i, &cp);
    if (!buf_add(out, "\xEF\xBF\xBD", 3, err)) return false;
  }
  return true;
}
