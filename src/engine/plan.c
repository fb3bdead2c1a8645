// plan: see plan.h.
#include "engine/plan.h"

#include <stdbool.h>

void plan_rows(const size_t *left, size_t n, size_t room, size_t first, size_t *rows) {
  for (size_t i = 0; i < n; i++) rows[i] = 0;
  for (bool more = n > 0; room && more;) { // each round serves all that still want, or ends with the room
    size_t wanting = 0;
    for (size_t i = 0; i < n; i++) wanting += rows[i] < left[i];
    more = wanting > 0;
    const size_t share = wanting && room > wanting ? room / wanting : 1;
    for (size_t k = 0; k < n && room; k++) {
      const size_t i = (first + k) % n, want = left[i] - rows[i];
      size_t give = want < share ? want : share;
      if (give > room) give = room;
      rows[i] += give;
      room -= give;
    }
  }
}
