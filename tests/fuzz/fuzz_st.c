// fuzz_st: any bytes as a safetensors file; what is accepted must be readable in full.
#include "format/st.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t open_bytes(const uint8_t *data, size_t size, const uint8_t *length) {
  char path[64];
  snprintf(path, sizeof path, "fuzz_st.%ld.safetensors", (long)getpid());
  FILE *f = fopen(path, "wb");
  if (!f) abort();
  if (length && fwrite(length, 1, 8, f) != 8) abort();
  if (size && fwrite(data, 1, size, f) != size) abort();
  fclose(f);
  zaya_error err = {0};
  StFile *st = st_open(path, &err);
  if (!st && (err.status == ZAYA_OK || !err.message[0] || strchr(err.message, '\n'))) abort();
  size_t sum = 0;
  for (size_t i = 0; st && i < st_count(st); i++) {
    const StTensor *t = st_at(st, i);
    if (st_find(st, t->name) != t) abort();
    for (size_t k = 0; k < t->nbytes; k++) sum += t->data[k];
  }
  st_close(st);
  unlink(path);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t sum = open_bytes(data, size, NULL), end = size;
  // Again with the length that fits the header, which a mutation rarely hits.
  while (end > 8 && data[end - 1] != '}') end--;
  if (end > 8) {
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)(end - 8) >> (8 * i));
    sum += open_bytes(data + 8, size - 8, length);
  }
  return sum == SIZE_MAX; // keeps the reads
}
