// cputime: preloaded into `zaya bench -t 1`, makes its clock count the time that its thread computed
// instead of wall time: on a machine that others use too, that is what stays comparable.
//   cc -O2 -shared -fPIC bench/cputime.c -o cputime.so && LD_PRELOAD=./cputime.so zaya bench -t 1 ...
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *t) {
  return (int)syscall(SYS_clock_gettime, clock == CLOCK_MONOTONIC ? CLOCK_THREAD_CPUTIME_ID : clock, t);
}
