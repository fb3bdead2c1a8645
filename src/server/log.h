// log: a server's log: one line a request, and notes. As text or as JSON objects; to stderr or a file, which
// can be reopened after it was moved away. Any thread may use it. Depends on base, httpd.h for what a request
// was.
#pragma once

#include "server/httpd.h"

typedef struct Log Log;

// path NULL: stderr.
Log *log_new(const char *path, bool json, zaya_error *err);
void log_free(Log *log);
bool log_reopen(Log *log, zaya_error *err);
void log_request(Log *log, const HttpDone *done);
// Something worth a line: "engine: ...". level: "info", "warning", "error".
void log_note(Log *log, const char *level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// What was asked or answered, where the log is to have it (--log-text).
void log_text(Log *log, const char *id, const char *what, const char *text, size_t len);
