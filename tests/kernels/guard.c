// guard: see guard.h.
#if defined(__linux__)
#define _GNU_SOURCE // MAP_ANONYMOUS
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#endif
#include "guard.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_BUFFERS = 64, FRONT = 64, FILL = 0xA5 };

static struct {
  uint8_t *map, *data;
  size_t size;
} buffers[MAX_BUFFERS];
static size_t n_buffers;

void *guard_alloc(size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), used = (bytes + FRONT + page - 1) / page * page;
  uint8_t *map = mmap(NULL, used + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || n_buffers == MAX_BUFFERS || mprotect(map + used, page, PROT_NONE)) {
    fprintf(stderr, "guard: cannot map %zu bytes\n", bytes);
    exit(1);
  }
  uint8_t *data = map + used - bytes;
  memset(data - FRONT, FILL, FRONT);
  buffers[n_buffers].map = map;
  buffers[n_buffers].data = data;
  buffers[n_buffers++].size = used + page;
  return data;
}

void guard_check(const void *p) {
  const uint8_t *front = (const uint8_t *)p - FRONT;
  for (int i = 0; i < FRONT; i++)
    if (front[i] != FILL) {
      fprintf(stderr, "guard: a kernel wrote in front of its buffer\n");
      exit(1);
    }
}

void guard_free_all(void) {
  for (size_t i = 0; i < n_buffers; i++) {
    guard_check(buffers[i].data);
    munmap(buffers[i].map, buffers[i].size);
  }
  n_buffers = 0;
}
