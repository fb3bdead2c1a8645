// error: filling a zaya_error. The first failure wins: a message already there is kept, so that
// clean-up code cannot hide what went wrong. Depends on nothing but the public header.
#pragma once

#include "zaya/zaya.h"

// Sets `err` (may be NULL) unless it already holds a failure. Returns false, so that a fallible
// function can `return err_set(...)`.
bool err_set(zaya_error *err, zaya_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// Puts "context: " in front of the message that `err` holds; returns false. For a caller that knows
// the file or the tensor which the failing callee did not.
bool err_context(zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// err_set with the text of `errnum` behind it: "...: No such file or directory".
bool err_errno(zaya_error *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// Reports a failed allocation of `bytes` for `what`; returns false.
bool err_memory(zaya_error *err, size_t bytes, const char *what);
