// work: a few threads that do what must not hold up bytes or tokens: parsing, rendering, compiling, building
// bodies. Depends on base.
#pragma once

#include "base/error.h"

typedef struct Work Work;

Work *work_new(size_t threads, zaya_error *err);
// Does what is still queued, then ends the threads.
void work_free(Work *w);
// Runs fn(arg) on one of the threads; in order of posting as far as one thread goes. False: out of memory.
bool work_post(Work *w, void (*fn)(void *arg), void *arg);
