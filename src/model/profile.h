// profile: where the time of steps goes, and how many bytes of weights and KV each part reads. Off
// until it is switched on; then one look at the clock between parts. Depends on base/clock.
#pragma once

#include "base/clock.h"
#include "zaya/zaya.h"

typedef struct Profile {
  zaya_profile sums;
  bool on;
  double last; // when the present part began
} Profile;

static inline void profile_start(Profile *p) {
  if (p->on) p->last = clock_now();
}

// The time since the last mark was `part`'s, which read so many bytes.
static inline void profile_mark(Profile *p, zaya_part part, size_t bytes) {
  if (!p->on) return;
  const double now = clock_now();
  p->sums.seconds[part] += now - p->last;
  p->sums.bytes[part] += bytes;
  p->last = now;
}
