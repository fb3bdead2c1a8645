// tuni: see tuni.h.
#include "text/tuni.h"

static bool in_ranges(const UniRange *r, size_t n, uint32_t cp) {
  size_t lo = 0, hi = n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (cp > r[mid].last)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < n && cp >= r[lo].first;
}

bool tuni_is(UniClass cls, uint32_t cp) {
  switch (cls) {
#define UNI_LOOKUP(name)                                                                                     \
  case UNI_##name: return in_ranges(uni_##name, uni_##name##_len, cp);
    UNI_CLASSES(UNI_LOOKUP)
#undef UNI_LOOKUP
  }
  return false;
}

bool tuni_space(uint32_t cp) {
  if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f);
  return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
         cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool tuni_cased(uint32_t cp) {
  return tuni_is(UNI_lowercase, cp) || tuni_is(UNI_uppercase, cp) || tuni_is(UNI_titlecase, cp);
}

static int map_with(const UniCase *runs, size_t n, const UniSpecial *special, size_t n_special, uint32_t cp,
                    uint32_t out[3]) {
  for (size_t i = 0; cp >= 0x80 && i < n_special; i++) {
    if (special[i].from != cp) continue;
    int k = 0;
    while (k < 3 && special[i].to[k]) {
      out[k] = special[i].to[k];
      k++;
    }
    return k;
  }
  out[0] = cp;
  // Runs are sorted by `first` and may interleave (alternating cases), so a few before the last
  // that starts at or below cp can hold it too.
  size_t lo = 0, hi = n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (runs[mid].first <= cp)
      lo = mid + 1;
    else
      hi = mid;
  }
  for (size_t i = lo; i > 0 && lo - i < 8; i--) {
    const UniCase *r = &runs[i - 1];
    if (cp > r->last || (cp - r->first) % r->step) continue;
    out[0] = (uint32_t)((int64_t)cp + r->delta);
    break;
  }
  return 1;
}

int tuni_map(UniMap map, uint32_t cp, uint32_t out[3]) {
  switch (map) {
#define UNI_APPLY(name)                                                                                      \
  case UNI_##name:                                                                                           \
    return map_with(uni_##name, uni_##name##_len, uni_##name##_special, uni_##name##_special_len, cp, out);
    UNI_CASE_MAPS(UNI_APPLY)
#undef UNI_APPLY
  }
  out[0] = cp;
  return 1;
}

int tuni_decimal_value(uint32_t cp) {
  if (cp >= '0' && cp <= '9') return (int)(cp - '0');
  for (size_t i = 0; i < uni_decimal_len; i++) // every range is a whole number of tens
    if (cp >= uni_decimal[i].first && cp <= uni_decimal[i].last)
      return (int)((cp - uni_decimal[i].first) % 10);
  return -1;
}

size_t tuni_decode(const char *p, uint32_t *cp) {
  const unsigned char *s = (const unsigned char *)p;
  if (s[0] < 0x80) {
    *cp = s[0];
    return 1;
  }
  if (s[0] < 0xE0) {
    *cp = (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    return 2;
  }
  if (s[0] < 0xF0) {
    *cp = (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    return 3;
  }
  *cp = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
        (s[3] & 0x3f);
  return 4;
}

size_t tuni_count(const char *p, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) n += ((unsigned char)p[i] & 0xC0) != 0x80;
  return n;
}
