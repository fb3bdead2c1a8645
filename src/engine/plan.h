// plan: how many prompt tokens of each sequence that is being read go into the next step. Arithmetic alone,
// so that fairness can be counted. Depends on nothing.
#pragma once

#include <stddef.h>

// Deals out `room` rows: left[i] tokens are still to be read of sequence i, rows[i] says how many go into the
// step. Every sequence gets an equal share, what one does not need goes to the others; with fewer rows than
// sequences the turn goes round from sequence `first` on. All room is used while there are tokens.
void plan_rows(const size_t *left, size_t n, size_t room, size_t first, size_t *rows);
