// cpu: what the machine is. The one file for system-specific calls about processors and memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>

int cpu_count(void); // cores this process may use

// Instruction sets that the processor and the system both support.
enum {
  CPU_AVX2 = 1,        // with FMA and F16C
  CPU_AVX512_VNNI = 2, // F, BW, VL, DQ and VNNI
  CPU_DOTPROD = 4,     // arm64: sdot
  CPU_AVX_VNNI = 8,    // what CPU_AVX2 has, and vpdpbusd on 256 bits without AVX-512
  CPU_AMX_INT8 = 16,   // tiles and their int8 products, which the system lets this process use
};
// Asks the system for the tiles where it wants to be asked: first called before there are threads.
unsigned cpu_features(void);

// A hint that these pages may be large; without effect where there is no such thing.
void cpu_large_pages(const void *p, size_t bytes);
// Maps the pages of a file's map, read from disk where they must be; p begins a page. False where that is
// not possible.
bool cpu_fetch_pages(const void *p, size_t bytes);
// Bytes of memory that can be had without driving out what is in use; 0 when the system does not say.
size_t cpu_memory_available(void);

size_t cpu_first_cache(void); // bytes of a core's first data cache; 0 when the system does not say

// Lets another thread run that waits for this core, if there is one.
void cpu_yield(void);

// A hint that the thread is spinning.
static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
