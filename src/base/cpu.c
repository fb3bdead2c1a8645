// cpu: see cpu.h.
#if defined(__linux__)
#define _GNU_SOURCE // sched_getaffinity, madvise, syscall
#include <sys/mman.h>
#include <sys/syscall.h>
#endif
#include "base/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

int cpu_count(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}

size_t cpu_first_cache(void) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  static atomic_long known = -1; // asking may take long in a virtual machine
  long n = atomic_load_explicit(&known, memory_order_relaxed);
  if (n < 0) {
    n = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    n = n > 0 ? n : 0;
    atomic_store_explicit(&known, n, memory_order_relaxed);
  }
  return (size_t)n;
#else
  return 0;
#endif
}

void cpu_yield(void) { sched_yield(); }

void cpu_large_pages(const void *p, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise((void *)(uintptr_t)p, bytes, MADV_HUGEPAGE);
#else
  (void)p;
  (void)bytes;
#endif
}

bool cpu_fetch_pages(const void *p, size_t bytes) {
#if defined(__linux__) && defined(MADV_POPULATE_READ)
  return madvise((void *)(uintptr_t)p, bytes, MADV_POPULATE_READ) == 0;
#else
  (void)p;
  (void)bytes;
  return false;
#endif
}

size_t cpu_memory_available(void) {
  unsigned long long kib = 0;
#if defined(__linux__)
  char line[128];
  FILE *f = fopen("/proc/meminfo", "re");
  while (f && !kib && fgets(line, sizeof line, f)) sscanf(line, "MemAvailable: %llu kB", &kib);
  if (f) fclose(f);
#endif
  return kib > SIZE_MAX / 1024 ? SIZE_MAX : (size_t)kib * 1024;
}

#if defined(__x86_64__)
// Which register files the system saves: bits 1, 2 of XCR0 for AVX, 5 to 7 more for AVX-512, 17 and 18 for
// AMX.
static unsigned long long saved_registers(void) {
  unsigned lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (unsigned long long)hi << 32 | lo;
}

// Whether this process may use tiles. Linux wants every process to ask for the room that they take when they
// are saved; asking again changes nothing, and all threads have what the process has.
static bool may_use_tiles(void) {
#if defined(__linux__)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return false;
#endif
}

unsigned cpu_features(void) {
  unsigned a, b, c, d, f = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
  const bool fma_f16c = (c & bit_FMA) && (c & bit_F16C) && (c & bit_AVX);
  const unsigned long long saved = saved_registers();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned last = a; // subleaf
  if ((saved & 0x6) == 0x6 && fma_f16c && (b & bit_AVX2)) f |= CPU_AVX2;
  const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
  if ((f & CPU_AVX2) && (saved & 0xE6) == 0xE6 && (b & wide) == wide && (c & bit_AVX512VNNI))
    f |= CPU_AVX512_VNNI;
  const unsigned tiles = 1u << 24 | 1u << 25; // AMX-TILE, AMX-INT8
  if ((d & tiles) == tiles && (saved & 0x60000) == 0x60000 && may_use_tiles()) f |= CPU_AMX_INT8;
  // Subleaf 1 is there from what subleaf 0 says its last one is; this bit has no name in older headers.
  if ((f & CPU_AVX2) && last >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4))
    f |= CPU_AVX_VNNI;
  return f;
}
#elif defined(__aarch64__) && defined(__linux__)
unsigned cpu_features(void) {
  const unsigned long asimddp = 1ul << 20; // HWCAP_ASIMDDP, which older headers lack
  return getauxval(AT_HWCAP) & asimddp ? CPU_DOTPROD : 0;
}
#elif defined(__aarch64__)
unsigned cpu_features(void) { return CPU_DOTPROD; } // every Apple processor of this kind has it
#else
unsigned cpu_features(void) { return 0; }
#endif
