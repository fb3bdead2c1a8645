// st_write: the writing half of st.h.
#include "base/size.h"
#include "format/jsonio.h"
#include "format/st.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_size_and_name(const void *a, const void *b) {
  const StTensor *x = a, *y = b;
  size_t sx = dtype_size(x->dtype), sy = dtype_size(y->dtype);
  if (sx != sy) return sx > sy ? -1 : 1;
  return strcmp(x->name, y->name);
}

void st_sort(StTensor *tensors, size_t n) { qsort(tensors, n, sizeof *tensors, by_size_and_name); }

static bool add_name(Buf *out, const char *name, zaya_error *err) {
  json_t *s = json_string(name);
  bool ok = s ? jsonio_print(out, s, 0, err)
              : err_set(err, ZAYA_E_INVALID, "a tensor name is not valid UTF-8: %.200s", name);
  json_decref(s);
  return ok;
}

static bool add_entry(Buf *out, const StTensor *t, size_t begin, size_t end, zaya_error *err) {
  if (!add_name(out, t->name, err) ||
      !buf_printf(out, err, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(t->dtype)))
    return false;
  for (int i = 0; i < t->ndim; i++)
    if (!buf_printf(out, err, i ? ",%zu" : "%zu", t->shape[i])) return false;
  return buf_printf(out, err, "],\"data_offsets\":[%zu,%zu]}", begin, end);
}

bool st_header(StTensor *tensors, size_t n, Buf *out, zaya_error *err) {
  size_t start = out->len, at = 0;
  if (!buf_add(out, "\0\0\0\0\0\0\0\0{", 9, err)) return false;
  for (size_t i = 0; i < n; i++) {
    StTensor *t = &tensors[i];
    size_t end;
    if (!st_set_bytes(t) || !size_add(at, t->nbytes, &end))
      return err_set(err, ZAYA_E_LIMIT, "tensor %.200s: its size overflows", t->name);
    if ((i && !buf_putc(out, ',', err)) || !add_entry(out, t, at, end, err)) return false;
    t->offset = at;
    at = end;
  }
  if (!buf_putc(out, '}', err)) return false;
  while ((out->len - start) % 8)
    if (!buf_putc(out, ' ', err)) return false;
  size_t head = out->len - start;
  if (head - 8 > ST_MAX_HEADER) return err_set(err, ZAYA_E_LIMIT, "a header of %zu bytes is too long", head);
  for (size_t i = 0; i < 8; i++) out->data[start + i] = (char)(((uint64_t)head - 8) >> (8 * i));
  for (size_t i = 0; i < n; i++) tensors[i].offset += head;
  return true;
}

static bool write_body(FILE *f, const char *path, const Buf *head, const StTensor *t, size_t n,
                       zaya_error *err) {
  if (fwrite(head->data, 1, head->len, f) != head->len)
    return err_errno(err, errno, "%s: cannot write", path);
  for (size_t i = 0; i < n; i++)
    if (t[i].nbytes && fwrite(t[i].data, 1, t[i].nbytes, f) != t[i].nbytes)
      return err_errno(err, errno, "%s: cannot write", path);
  return true;
}

static bool write_file(const char *path, const char *temporary, const Buf *head, const StTensor *t, size_t n,
                       zaya_error *err) {
  FILE *f = fopen(temporary, "wb");
  if (!f) return err_errno(err, errno, "%s: cannot create", temporary);
  bool ok = write_body(f, temporary, head, t, n, err);
  if (fclose(f) != 0 && ok) ok = err_errno(err, errno, "%s: cannot write", temporary);
  if (ok && rename(temporary, path) != 0) ok = err_errno(err, errno, "%s: cannot rename", temporary);
  if (!ok) unlink(temporary);
  return ok;
}

bool st_write(const char *path, const StTensor *tensors, size_t n, zaya_error *err) {
  Buf head = {0}, temporary = {0};
  StTensor *sorted = malloc((n + 1) * sizeof *sorted);
  if (!sorted) return err_memory(err, n * sizeof *sorted, path);
  if (n) memcpy(sorted, tensors, n * sizeof *sorted);
  st_sort(sorted, n);
  bool ok = st_header(sorted, n, &head, err) || err_context(err, "%s", path);
  ok = ok && buf_printf(&temporary, err, "%s.partial", path);
  ok = ok && write_file(path, temporary.data, &head, sorted, n, err);
  buf_free(&head);
  buf_free(&temporary);
  free(sorted);
  return ok;
}
