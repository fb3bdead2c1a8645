// cpu: see cpu.h.
#if defined(__linux__)
#define _GNU_SOURCE // sched_getaffinity
#include <sched.h>
#endif
#include "base/cpu.h"

#include <unistd.h>

int cpu_count(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}
