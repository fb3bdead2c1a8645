// replay: runs a fuzz target without libFuzzer: every file named on the command line as it is, then a
// fixed number of mutations of them that is the same on every machine. A finding is a crash or a
// sanitizer's report.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 30000, MAX_INPUT = 1 << 16, MAX_FILES = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
  uint8_t *data;
  size_t len;
} Input;

static uint64_t state = 0x9e3779b97f4a7c15u;

static size_t below(size_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return n ? (size_t)(state % n) : 0;
}

static Input read_input(const char *path) {
  Input in = {malloc(MAX_INPUT), 0};
  FILE *f = fopen(path, "rb");
  if (!f || !in.data) {
    fprintf(stderr, "%s: cannot read\n", path);
    exit(2);
  }
  in.len = fread(in.data, 1, MAX_INPUT, f);
  fclose(f);
  return in;
}

static void replace(uint8_t *data, size_t *len, size_t at, size_t cut, const void *with, size_t n) {
  if (cut > *len - at) cut = *len - at;
  if (*len - cut + n > MAX_INPUT) return;
  memmove(data + at + n, data + at + cut, *len - at - cut);
  memcpy(data + at, with, n);
  *len = *len - cut + n;
}

// One small change: bits, bytes, pieces of other seeds, and words that parsers find interesting.
static void mutate(uint8_t *data, size_t *len, const Input *other) {
  static const char *const words[] = {"{",
                                      "}",
                                      "[",
                                      "]",
                                      ",",
                                      ":",
                                      "\"",
                                      "0",
                                      "-1",
                                      "1e400",
                                      "null",
                                      "\\u0000",
                                      "18446744073709551616",
                                      "9223372036854775807",
                                      "4294967296",
                                      "[[[[[[[["};
  size_t at = below(*len + 1);
  switch (below(6)) {
  case 0:
    if (at < *len) data[at] ^= (uint8_t)(1u << below(8));
    break;
  case 1:
    if (at < *len) data[at] = (uint8_t)below(256);
    break;
  case 2: replace(data, len, at, 1 + below(16), "", 0); break;
  case 3: {
    const char *w = words[below(sizeof words / sizeof *words)];
    replace(data, len, at, below(4), w, strlen(w));
    break;
  }
  case 4: {
    size_t from = below(other->len), n = below(64);
    if (n > other->len - from) n = other->len - from;
    replace(data, len, at, below(64), other->data + from, n);
    break;
  }
  default: *len = at; break;
  }
}

int main(int argc, char **argv) {
  Input seeds[MAX_FILES];
  size_t n = 0;
  for (int i = 1; i < argc && n < MAX_FILES; i++) seeds[n++] = read_input(argv[i]);
  if (!n) {
    fprintf(stderr, "usage: %s SEED...\n", argv[0]);
    return 2;
  }
  for (size_t i = 0; i < n; i++) LLVMFuzzerTestOneInput(seeds[i].data, seeds[i].len);
  for (int round = 0; round < ROUNDS; round++) {
    const Input *seed = &seeds[below(n)];
    uint8_t *work = malloc(MAX_INPUT);
    size_t len = seed->len;
    if (!work) return 2;
    memcpy(work, seed->data, len);
    for (size_t k = 1 + below(6); k > 0; k--) mutate(work, &len, &seeds[below(n)]);
    uint8_t *exact = malloc(len ? len : 1); // so that a read past the end is seen
    if (!exact) return 2;
    memcpy(exact, work, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    free(work);
  }
  for (size_t i = 0; i < n; i++) free(seeds[i].data);
  printf("%zu seeds, %d mutations\n", n, ROUNDS);
  return 0;
}
