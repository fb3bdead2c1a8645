// warm: see warm.h.
#include "base/warm.h"

#include "base/cpu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// Small enough that stopping takes some hundredths of a second even where pages come from a disk.
enum { PIECE = 16 << 20 };

struct Warm {
  pthread_t thread;
  atomic_bool stop;
  size_t n;
  Map maps[];
};

static void *warm_main(void *arg) {
  Warm *w = arg;
  for (size_t i = 0; i < w->n; i++)
    for (size_t at = 0; at < w->maps[i].size && !atomic_load(&w->stop); at += PIECE) {
      const size_t left = w->maps[i].size - at;
      if (!cpu_fetch_pages(w->maps[i].data + at, left < PIECE ? left : PIECE)) return NULL;
    }
  return NULL;
}

Warm *warm_start(const Map *maps, size_t n) {
  size_t bytes = 0, room = cpu_memory_available();
  for (size_t i = 0; i < n; i++) {
    if (maps[i].size > room - bytes) return NULL;
    bytes += maps[i].size;
  }
  Warm *w = malloc(sizeof *w + n * sizeof *maps);
  if (!w) return NULL;
  atomic_init(&w->stop, false);
  w->n = n;
  memcpy(w->maps, maps, n * sizeof *maps);
  if (pthread_create(&w->thread, NULL, warm_main, w) == 0) return w;
  free(w);
  return NULL;
}

void warm_stop(Warm *w) {
  if (!w) return;
  atomic_store(&w->stop, true);
  pthread_join(w->thread, NULL);
  free(w);
}
