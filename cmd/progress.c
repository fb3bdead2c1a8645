// progress: see progress.h.
#include "progress.h"

#include "common.h"

#include <stdio.h>
#include <string.h>

const char *progress_bytes(double bytes, char *buf, int size) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int u = 0;
  while (bytes >= 1024 && u < 4) bytes /= 1024, u++;
  snprintf(buf, (size_t)size, u ? "%.2f %s" : "%.0f %s", bytes, units[u]);
  return buf;
}

void progress_start(Progress *p, const char *what, bool quiet) {
  *p = (Progress){.what = what, .active = !quiet && stderr_is_terminal()};
  p->started = p->last_time = now_seconds();
}

static void format_left(double seconds, char *buf, int size) {
  if (seconds < 0 || seconds > 359999)
    snprintf(buf, (size_t)size, "--:--");
  else if (seconds >= 3600)
    snprintf(buf, (size_t)size, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60,
             (int)seconds % 60);
  else
    snprintf(buf, (size_t)size, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

// The rate over the last seconds: what the time left is computed from.
static void update_rate(Progress *p, uint64_t done, double now) {
  double span = now - p->last_time;
  if (done < p->last_done) p->last_done = done; // a restart
  if (span < 0.5) return;
  double rate = (double)(done - p->last_done) / span;
  p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * rate : rate;
  p->last_time = now;
  p->last_done = done;
}

void progress_show(Progress *p, uint64_t done, uint64_t total, const char *detail) {
  enum { WIDTH = 24 };
  double now = now_seconds();
  if (!p->active || (p->drawn && now - p->redrawn < 0.1)) return;
  if (!p->drawn) { // what was there before the start is not part of the rate
    p->last_done = done;
    p->last_time = now;
  }
  update_rate(p, done, now);
  p->redrawn = now;
  p->drawn = true;
  char bar[WIDTH + 1], a[32], b[32], r[32], left[32];
  int filled = total ? (int)((double)done / (double)total * WIDTH) : 0;
  for (int i = 0; i < WIDTH; i++) bar[i] = i < filled ? '#' : '.';
  bar[WIDTH] = '\0';
  format_left(p->rate > 0 ? (double)(total - done) / p->rate : -1, left, sizeof left);
  fprintf(stderr, "\r%s [%s] %s of %s, %s/s, %s left%s%s\033[K", p->what, bar,
          progress_bytes((double)done, a, 32), progress_bytes((double)total, b, 32),
          progress_bytes(p->rate, r, 32), left, detail ? ", " : "", detail ? detail : "");
  fflush(stderr);
}

void progress_end(Progress *p) {
  if (p->drawn) fprintf(stderr, "\r\033[K");
  p->drawn = false;
}

void progress_note(Progress *p, const char *text) {
  progress_end(p);
  fprintf(stderr, "%s\n", text);
}
