// st: one safetensors file, mapped read-only. The header is validated before any of it is trusted:
// its length (at most 100 MB), the JSON, duplicate keys, dtype and shape against the byte range,
// ranges inside the file, overlaps and gaps. Owns the map and the table of tensors. Depends on
// base/, dtype and jsonio.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "format/dtype.h"

enum { ST_MAX_DIMS = 8, ST_MAX_HEADER = 100000000 };

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
Map st_map(const StFile *f); // of the whole file, as long as it is open
size_t st_count(const StFile *f);
const StTensor *st_at(const StFile *f, size_t i);           // in the order of their bytes
const StTensor *st_find(const StFile *f, const char *name); // NULL when absent
const char *st_metadata(const StFile *f, const char *key);  // of __metadata__, or NULL
// "F16 [4, 256, 32]" into buf, for messages.
const char *st_describe(const StTensor *t, char *buf, size_t size);

// Sets nbytes from dtype and shape; false when that overflows.
bool st_set_bytes(StTensor *t);
// Puts tensors in the order in which a file holds them: 8-byte types first, then 4, 2 and 1 byte,
// each by name.
void st_sort(StTensor *tensors, size_t n);
// Sets the offsets of `tensors`, laid out one behind the other in this order, and appends what stands
// before their bytes: the length and the header, padded with spaces to 8 bytes.
bool st_header(StTensor *tensors, size_t n, Buf *out, zaya_error *err);
// Writes tensors as one file, sorted as st_sort does. Written beside and renamed: no half file under
// `path`.
bool st_write(const char *path, const StTensor *tensors, size_t n, zaya_error *err);
