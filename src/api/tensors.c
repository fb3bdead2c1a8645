// tensors: zaya_tensors_save: the public way to write safetensors.
#include "base/size.h"
#include "format/st.h"

#include <stdlib.h>
#include <string.h>

static bool convert(const zaya_tensor *in, StTensor *out, zaya_error *err) {
  *out = (StTensor){.name = in->name, .ndim = in->ndim, .data = in->data};
  if (!dtype_parse(in->dtype, strlen(in->dtype), &out->dtype))
    return err_set(err, ZAYA_E_INVALID, "tensor %s: unknown dtype '%s'", in->name, in->dtype);
  if (in->ndim < 0 || in->ndim > ST_MAX_DIMS)
    return err_set(err, ZAYA_E_INVALID, "tensor %s: %d dimensions, at most %d are possible", in->name,
                   in->ndim, ST_MAX_DIMS);
  out->nbytes = dtype_size(out->dtype);
  for (int d = 0; d < in->ndim; d++) {
    out->shape[d] = in->shape[d];
    if (!size_mul(out->nbytes, in->shape[d], &out->nbytes))
      return err_set(err, ZAYA_E_INVALID, "tensor %s: its size overflows", in->name);
  }
  return true;
}

bool zaya_tensors_save(const char *path, const zaya_tensor *tensors, size_t n, zaya_error *err) {
  StTensor *list = calloc(n ? n : 1, sizeof *list);
  if (!list) return err_memory(err, n * sizeof *list, "a list of tensors");
  bool ok = true;
  for (size_t i = 0; ok && i < n; i++) ok = convert(&tensors[i], &list[i], err);
  ok = ok && st_write(path, list, n, err);
  free(list);
  return ok;
}
