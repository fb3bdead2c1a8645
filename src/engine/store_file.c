// store_file: one file of the store. Header, ids, CCA state, then the page's strips, of each as many rows as
// tokens; a checksum over all of it at the end. Host byte order: the header tells a foreign one.
#include "base/hash64.h"
#include "engine/store_impl.h"
#include "kernels/kern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STORE_VERSION = 2 };

typedef struct StoreHeader {
  char magic[8];
  uint32_t version, byte_order;
  uint64_t identity;
  int32_t kv_type, n_attn, kv_width, kv_heads, channels, hidden, block;
  uint32_t n;
  char before[40], key[40];
} StoreHeader;

static StoreHeader header_of(const StateShape *shape, uint64_t identity, const StorePart *part) {
  StoreHeader h = {.magic = "ZAYAKV\x01",
                   .version = STORE_VERSION,
                   .byte_order = 0x01020304,
                   .identity = identity,
                   .kv_type = shape->kv,
                   .n_attn = shape->n_attn,
                   .kv_width = shape->kv_width,
                   .kv_heads = shape->kv_heads,
                   .channels = shape->channels,
                   .hidden = shape->hidden,
                   .block = KERN_BLOCK,
                   .n = part->n};
  memcpy(h.before, part->before.hex, sizeof part->before.hex);
  memcpy(h.key, part->key.hex, sizeof part->key.hex);
  return h;
}

void store_file_name(uint64_t identity, const StoreKey *before, const StoreKey *key, unsigned n,
                     char name[STORE_NAME_MAX]) {
  snprintf(name, STORE_NAME_MAX, "%016llx-%.32s-%.32s-%u.zkv", (unsigned long long)identity, before->hex,
           key->hex, n);
}

bool store_file_parse(const char *name, uint64_t *identity, StoreKey *before, StoreKey *key, unsigned *n) {
  unsigned long long id;
  char again[STORE_NAME_MAX];
  if (sscanf(name, "%16llx-%32[0-9a-f]-%32[0-9a-f]-%3u.zkv", &id, before->hex, key->hex, n) != 4)
    return false;
  *identity = id;
  store_file_name(*identity, before, key, *n, again);
  return *n > 0 && *n <= KERN_BLOCK && !strcmp(name, again);
}

static size_t cca_bytes(const StateShape *shape) { return state_cca_floats(shape) * sizeof(float); }

uint64_t store_file_bytes(const StateShape *shape, unsigned n) {
  return sizeof(StoreHeader) + n * (sizeof(int32_t) + 2 * (uint64_t)shape->n_attn * state_kv_bytes(shape)) +
         cca_bytes(shape) + sizeof(uint64_t);
}

// --- pieces ----------------------------------------------------------------------------------------

typedef struct Stream {
  int fd;
  uint64_t sum;
  bool ok;
} Stream;

static void write_piece(Stream *s, const void *data, size_t len) {
  const char *p = data;
  s->sum = hash64(s->sum, data, len);
  while (s->ok && len) {
    const ssize_t n = write(s->fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    s->ok = n > 0;
    p += s->ok ? n : 0;
    len -= s->ok ? (size_t)n : 0;
  }
}

static void read_piece(Stream *s, void *data, size_t len) {
  char *p = data;
  size_t left = len;
  while (s->ok && left) {
    const ssize_t n = read(s->fd, p, left);
    if (n < 0 && errno == EINTR) continue;
    s->ok = n > 0;
    p += s->ok ? n : 0;
    left -= s->ok ? (size_t)n : 0;
  }
  if (s->ok) s->sum = hash64(s->sum, data, len);
}

static void write_strip(Stream *s, const StateShape *shape, KvStrip strip, unsigned n) {
  write_piece(s, strip.rows, n * state_row_bytes(shape));
  if (strip.scales) write_piece(s, strip.scales, n * sizeof *strip.scales);
}

static void read_strip(Stream *s, const StateShape *shape, KvStrip strip, unsigned n) {
  read_piece(s, strip.rows, n * state_row_bytes(shape));
  if (strip.scales) read_piece(s, strip.scales, n * sizeof *strip.scales);
}

bool store_file_write(int fd, const StateShape *shape, uint64_t identity, const StorePart *part) {
  const StoreHeader h = header_of(shape, identity, part);
  Stream s = {.fd = fd, .sum = HASH64_SEED, .ok = true};
  write_piece(&s, &h, sizeof h);
  write_piece(&s, part->ids, part->n * sizeof *part->ids);
  write_piece(&s, part->cca, cca_bytes(shape));
  for (size_t i = 0; s.ok && i < state_strips(shape); i++)
    write_strip(&s, shape, state_strip(shape, part->page, i), part->n);
  const uint64_t sum = s.sum;
  write_piece(&s, &sum, sizeof sum);
  return s.ok;
}

// The header, and that the file is as long as it says.
static bool check_header(Stream *s, const StateShape *shape, uint64_t identity, const StorePart *part) {
  const StoreHeader want = header_of(shape, identity, part);
  StoreHeader found;
  struct stat st;
  if (fstat(s->fd, &st) || (uint64_t)st.st_size != store_file_bytes(shape, part->n)) return false;
  read_piece(s, &found, sizeof found);
  return s->ok && !memcmp(&found, &want, sizeof want);
}

bool store_file_read(int fd, const StateShape *shape, uint64_t identity, StorePart *part) {
  Stream s = {.fd = fd, .sum = HASH64_SEED, .ok = true};
  int32_t ids[KERN_BLOCK];
  if (!check_header(&s, shape, identity, part)) return false;
  read_piece(&s, ids, part->n * sizeof *ids);
  if (!s.ok || memcmp(ids, part->ids, part->n * sizeof *ids)) return false;
  part->page = page_new(state_page_bytes(shape), part->n == KERN_BLOCK, NULL);
  part->cca = malloc(cca_bytes(shape));
  if (part->page && part->cca) {
    page_claim(part->page, 0, part->n);
    read_piece(&s, part->cca, cca_bytes(shape));
    for (size_t i = 0; s.ok && i < state_strips(shape); i++)
      read_strip(&s, shape, state_strip(shape, part->page, i), part->n);
    const uint64_t sum = s.sum;
    uint64_t found = 0;
    read_piece(&s, &found, sizeof found);
    if (s.ok && found == sum) return true;
  }
  page_drop(part->page);
  free(part->cca);
  part->page = NULL;
  part->cca = NULL;
  return false;
}
