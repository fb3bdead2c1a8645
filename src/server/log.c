// log: see log.h.
#include "server/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct Log {
  pthread_mutex_t mu;
  char *path; // NULL: stderr
  int fd;
  bool json;
};

static int open_log(const char *path, zaya_error *err) {
  const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) err_errno(err, errno, "%s: cannot open the log", path);
  return fd;
}

Log *log_new(const char *path, bool json, zaya_error *err) {
  Log *log = calloc(1, sizeof *log);
  if (!log) {
    err_memory(err, sizeof *log, "a log");
    return NULL;
  }
  pthread_mutex_init(&log->mu, NULL);
  log->json = json;
  log->fd = path ? open_log(path, err) : STDERR_FILENO;
  log->path = path ? strdup(path) : NULL;
  if (log->fd >= 0 && (!path || log->path)) return log;
  log_free(log);
  return NULL;
}

void log_free(Log *log) {
  if (!log) return;
  if (log->path && log->fd >= 0) close(log->fd);
  pthread_mutex_destroy(&log->mu);
  free(log->path);
  free(log);
}

bool log_reopen(Log *log, zaya_error *err) {
  if (!log->path) return true;
  const int fd = open_log(log->path, err);
  if (fd < 0) return false; // the old one stays in use
  pthread_mutex_lock(&log->mu);
  close(log->fd);
  log->fd = fd;
  pthread_mutex_unlock(&log->mu);
  return true;
}

static void now_text(char out[32]) {
  struct timespec t;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &tm);
  const size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(out + n, 32 - n, ".%03ldZ", t.tv_nsec / 1000000);
}

// A line in one write, so that lines of several processes do not mix. A full disk must not stop the server.
static void put(Log *log, Buf *line) {
  if (buf_putc(line, '\n', NULL)) {
    pthread_mutex_lock(&log->mu);
    const ssize_t n = write(log->fd, line->data, line->len);
    (void)n;
    pthread_mutex_unlock(&log->mu);
  }
  buf_free(line);
}

static int add_chunk(const char *data, size_t len, void *user) {
  return buf_add(user, data, len, NULL) ? 0 : -1;
}

// Takes the object over.
static void put_json(Log *log, json_t *v) {
  Buf line = {0};
  char time[32];
  now_text(time);
  json_t *all = json_pack("{s:s}", "time", time);
  json_object_update(all, v);
  if (all && json_dump_callback(all, add_chunk, &line, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
    put(log, &line);
  else
    buf_free(&line);
  json_decref(all);
  json_decref(v);
}

// What clients send must not forge lines: control characters, backslashes and what is not UTF-8 are escaped.
static bool add_safe(Buf *out, const char *text, size_t len) {
  for (size_t i = 0, n; i < len; i += n) {
    const unsigned char c = (unsigned char)text[i];
    uint32_t cp;
    n = utf8_next(text + i, len - i, &cp);
    bool ok = true;
    if (cp == UTF8_BAD)
      for (size_t k = 0; ok && k < n; k++) ok = buf_printf(out, NULL, "\\x%02x", (unsigned char)text[i + k]);
    else
      ok = c < 0x20 || c == 0x7f || c == '\\' ? buf_printf(out, NULL, "\\x%02x", c)
                                              : buf_add(out, text + i, n, NULL);
    if (!ok) return false;
  }
  return true;
}

// A JSON string of what may not be UTF-8.
static json_t *json_safe(const char *text, size_t len) {
  json_t *v = json_stringn(text, len);
  if (v) return v;
  Buf safe = {0};
  for (size_t i = 0; i < len; i++) {
    const unsigned char c = (unsigned char)text[i];
    if (!(c >= 0x80 ? buf_printf(&safe, NULL, "\\x%02x", c) : buf_putc(&safe, (char)c, NULL))) break;
  }
  v = json_stringn(safe.data ? safe.data : "", safe.len);
  buf_free(&safe);
  return v;
}

void log_request(Log *log, const HttpDone *d) {
  if (log->json) {
    put_json(log,
             json_pack("{s:s, s:o, s:o, s:i, s:b, s:I, s:I, s:f, s:s}", "peer", d->peer, "method",
                       json_safe(d->method, strlen(d->method)), "path", json_safe(d->path, strlen(d->path)),
                       "status", d->status, "gone", (int)d->gone, "bytes_in", (json_int_t)d->bytes_in,
                       "bytes_out", (json_int_t)d->bytes_out, "seconds", d->seconds, "note", d->note));
    return;
  }
  Buf line = {0};
  char time[32];
  now_text(time);
  const bool ok = buf_printf(&line, NULL, "%s %s ", time, *d->peer ? d->peer : "-") &&
                  add_safe(&line, d->method, strlen(d->method)) && buf_putc(&line, 0x20, NULL) &&
                  add_safe(&line, d->path, strlen(d->path)) &&
                  buf_printf(&line, NULL, " %d %llu/%llu bytes %.3f s", d->status,
                             (unsigned long long)d->bytes_in, (unsigned long long)d->bytes_out, d->seconds) &&
                  (!d->gone || buf_puts(&line, " gone", NULL)) &&
                  (!*d->note || buf_printf(&line, NULL, " %s", d->note));
  if (ok)
    put(log, &line);
  else
    buf_free(&line);
}

void log_note(Log *log, const char *level, const char *fmt, ...) {
  char text[1200];
  va_list args;
  va_start(args, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // checked where it is called
  vsnprintf(text, sizeof text, fmt, args);
#pragma GCC diagnostic pop
  va_end(args);
  if (log->json) {
    put_json(log, json_pack("{s:s, s:o}", "level", level, "note", json_safe(text, strlen(text))));
    return;
  }
  Buf line = {0};
  char time[32];
  now_text(time);
  if (buf_printf(&line, NULL, "%s %s: ", time, level) && add_safe(&line, text, strlen(text)))
    put(log, &line);
  else
    buf_free(&line);
}

void log_text(Log *log, const char *id, const char *what, const char *text, size_t len) {
  if (log->json) {
    put_json(log, json_pack("{s:s, s:o}", "id", id, what, json_safe(text, len)));
    return;
  }
  Buf line = {0};
  char time[32];
  now_text(time);
  if (buf_printf(&line, NULL, "%s %s %s: ", time, id, what) && add_safe(&line, text, len))
    put(log, &line);
  else
    buf_free(&line);
}
