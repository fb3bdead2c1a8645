// data: paths of the reference data, scratch folders and hand-made safetensors files for tests.
#pragma once

#include "test.h"

#include "base/buf.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

// "<tests>/golden/<rest>", in a static buffer.
static inline const char *data_golden(const char *rest) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/golden/%s", ZAYA_TEST_DATA, rest);
  return path;
}

// A fresh folder under the working directory.
static inline void data_scratch(char *out, size_t size) {
  snprintf(out, size, "scratch.XXXXXX");
  assert_non_null(mkdtemp(out));
}

static inline void data_path(char path[4096], const char *dir, const char *name) {
  int n = snprintf(path, 4096, "%s/%s", dir, name);
  assert_true(n > 0 && n < 4096);
}

static inline void data_write(const char *dir, const char *name, const void *data, size_t len) {
  char path[4096];
  data_path(path, dir, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  if (len) assert_int_equal(fwrite(data, 1, len, f), len);
  assert_int_equal(fclose(f), 0);
}

static inline void data_read(const char *dir, const char *name, Buf *out) {
  char path[4096];
  data_path(path, dir, name);
  buf_clear(out);
  assert_true(buf_read_file(out, path, (size_t)1 << 30, NULL));
}

// Removes a flat folder.
static inline void data_remove(const char *dir) {
  DIR *d = opendir(dir);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) {
    char path[4096];
    data_path(path, dir, e->d_name);
    if (e->d_name[0] != '.') unlink(path);
  }
  closedir(d);
  rmdir(dir);
}

// Copies the files of a flat folder.
static inline void data_copy(const char *from, const char *to) {
  DIR *d = opendir(from);
  assert_non_null(d);
  Buf b = {0};
  for (struct dirent *e; (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    data_read(from, e->d_name, &b);
    data_write(to, e->d_name, b.data, b.len);
  }
  buf_free(&b);
  closedir(d);
}

// Writes a safetensors file with this header text (its true length unless `claim` is given) and `body`
// bytes behind it.
static inline void data_safetensors(const char *dir, const char *name, const char *header, uint64_t claim,
                                    size_t body) {
  Buf b = {0};
  uint64_t len = claim ? claim : strlen(header);
  for (int i = 0; i < 8; i++) buf_putc(&b, (char)(len >> (8 * i)), NULL);
  buf_puts(&b, header, NULL);
  for (size_t i = 0; i < body; i++) buf_putc(&b, (char)i, NULL);
  data_write(dir, name, b.data, b.len);
  buf_free(&b);
}

static inline void data_expect_error(const zaya_error *err, zaya_status status, const char *part) {
  if (err->status != status || !strstr(err->message, part) || strchr(err->message, '\n'))
    fail_msg("expected %d with '%s', got %d: %s", status, part, err->status, err->message);
}
