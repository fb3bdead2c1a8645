// hash64: see hash64.h.
#include "base/hash64.h"

#include <string.h>

static uint64_t step(uint64_t h, uint64_t word) {
  h = (h ^ word) * 0x100000001b3u;
  return h ^ (h >> 29); // brings high bits down, which a multiplication alone never does
}

uint64_t hash64(uint64_t h, const void *data, size_t len) {
  const uint8_t *p = data;
  size_t left = len;
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = step(h, word);
  }
  uint64_t tail = 0;
  if (left) memcpy(&tail, p, left);
  return step(step(h, tail), len);
}
