// cpu: what the machine is. The one file for system-specific calls about processors and memory.
#pragma once

#include <stddef.h>

int cpu_count(void); // cores this process may use

// A hint that the thread is spinning.
static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
