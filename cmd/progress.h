// progress: one line on a terminal that shows how far a long job is, how fast it goes and how long it
// will take; nothing at all when stderr is not a terminal. Depends on common.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct Progress {
  const char *what;
  bool active;    // stderr is a terminal
  bool drawn;     // a line stands there
  double started; // seconds
  double redrawn;
  double rate; // bytes a second, smoothed
  double last_time;
  uint64_t last_done;
} Progress;

void progress_start(Progress *p, const char *what, bool quiet);
// `done` of `total` bytes; `detail` (may be NULL) stands behind them. Draws at most ten times a second.
void progress_show(Progress *p, uint64_t done, uint64_t total, const char *detail);
// A line of its own above the bar.
void progress_note(Progress *p, const char *text);
// Takes the bar away.
void progress_end(Progress *p);

// "5.45 GiB" into buf.
const char *progress_bytes(double bytes, char *buf, int size);
