// st: one safetensors file, mapped read-only. The header is validated before any of it is trusted:
// its length (at most 100 MB), the JSON, duplicate keys, dtype and shape against the byte range,
// ranges inside the file, overlaps and gaps. Owns the map and the table of tensors. Depends on
// base/ and dtype.
#pragma once

#include "base/error.h"
#include "format/dtype.h"

enum { ST_MAX_DIMS = 8 };

typedef struct StTensor {
  const char *name;
  Dtype dtype;
  int ndim;
  size_t shape[ST_MAX_DIMS];
  size_t offset; // of the first byte, from the start of the file
  size_t nbytes;
  const uint8_t *data; // in the map; aligned only as the file aligns it
} StTensor;

typedef struct StFile StFile;

StFile *st_open(const char *path, zaya_error *err);
void st_close(StFile *f);
const char *st_path(const StFile *f);
size_t st_file_size(const StFile *f);
size_t st_count(const StFile *f);
const StTensor *st_at(const StFile *f, size_t i);           // in the order of their bytes
const StTensor *st_find(const StFile *f, const char *name); // NULL when absent
const char *st_metadata(const StFile *f, const char *key);  // of __metadata__, or NULL
// "F16 [4, 256, 32]" into buf, for messages.
const char *st_describe(const StTensor *t, char *buf, size_t size);

// Writes tensors as one file: 4-byte types, then 2-byte, then 1-byte (8-byte first of all), each by
// name; header padded to 8 bytes. Written beside and renamed: no half file under `path`.
bool st_write(const char *path, const StTensor *tensors, size_t n, zaya_error *err);
