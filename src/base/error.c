// error: see error.h. Owns the one table of status names.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *zaya_status_name(zaya_status status) {
  switch (status) {
#define ZAYA_STATUS_CASE(name, text)                                                                         \
  case ZAYA_##name: return text;
    ZAYA_STATUS_LIST(ZAYA_STATUS_CASE)
#undef ZAYA_STATUS_CASE
  }
  return "unknown status";
}

void zaya_error_clear(zaya_error *err) {
  if (!err) return;
  err->status = ZAYA_OK;
  err->message[0] = '\0';
}

// A message is one line, whatever text of a file it quotes.
static void one_line(char *message) {
  for (; *message; message++)
    if ((unsigned char)*message < 0x20 || *message == 0x7F) *message = ' ';
}

bool err_set(zaya_error *err, zaya_status status, const char *fmt, ...) {
  if (!err || err->status != ZAYA_OK) return false;
  va_list args;
  va_start(args, fmt);
  vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  one_line(err->message);
  err->status = status;
  return false;
}

bool err_context(zaya_error *err, const char *fmt, ...) {
  if (!err || err->status == ZAYA_OK) return false;
  char old[sizeof err->message];
  memcpy(old, err->message, sizeof old);
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  if (n >= 0 && (size_t)n < sizeof err->message)
    snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
  return false;
}

bool err_errno(zaya_error *err, int errnum, const char *fmt, ...) {
  if (!err || err->status != ZAYA_OK) return false;
  char text[128] = "";
  if (strerror_r(errnum, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", errnum);
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  if (n >= 0 && (size_t)n < sizeof err->message)
    snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", text);
  err->status = ZAYA_E_IO;
  return false;
}

bool err_memory(zaya_error *err, size_t bytes, const char *what) {
  return err_set(err, ZAYA_E_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}
