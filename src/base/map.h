// map: a file mapped read-only. The only place that knows mmap. Depends on error.
#pragma once

#include "base/error.h"

typedef struct Map {
  const uint8_t *data; // NULL for an empty file
  size_t size;
} Map;

bool map_open(Map *m, const char *path, zaya_error *err);
void map_close(Map *m);
