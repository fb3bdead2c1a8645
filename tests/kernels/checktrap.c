// checktrap: the AMX instructions as this machine runs them, its own or those of amx_trap, against loops in
// C: products of many shapes, what is zeroed, addresses, threads, and what must be refused.
#include "amx_trap.h"
#include "base/cpu.h"

#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BARRIER(p) __asm__ volatile("" ::"r"(p) : "memory") // what is behind p is read or written by a tile

typedef struct Config {
  _Alignas(64) uint8_t palette;
  uint8_t start_row, reserved[14];
  uint16_t columns[16];
  uint8_t rows[16];
} Config;
_Static_assert(sizeof(Config) == 64, "as the processor reads it");

static int failures;

static void expect(bool holds, const char *what) {
  if (holds) return;
  printf("FAIL %s\n", what);
  __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

static uint32_t next_u32(uint64_t *seed) {
  *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
  return (uint32_t)(*seed >> 16);
}

static void fill(uint64_t *seed, void *p, size_t n) {
  const uint32_t kind = next_u32(seed) % 4;
  for (size_t i = 0; i < n; i++) {
    const uint8_t v = (uint8_t)next_u32(seed);
    ((uint8_t *)p)[i] = kind == 0 ? (v & 1 ? 255 : 128) : kind == 1 ? (v & 1 ? 127 : 128) : v;
  }
}

static void configure(const Config *c) {
  BARRIER(c);
  _tile_loadconfig(c);
}

// --- products ------------------------------------------------------------------------------------

enum { SS, SU, US, UU, KINDS };

typedef struct Case {
  int rows, columns, depth; // of C in dwords; depth in dwords
  uint8_t a[16][64], b[16][64];
  int32_t c[16][20], want[16][20]; // wider than a tile: what is beside it must stay
} Case;

static void plain_product(Case *c, int kind) {
  memcpy(c->want, c->c, sizeof c->c);
  for (int m = 0; m < c->rows; m++)
    for (int n = 0; n < c->columns; n++)
      for (int k = 0; k < 4 * c->depth; k++) {
        const uint8_t a = c->a[m][k], b = c->b[k / 4][4 * n + k % 4];
        const int x = kind == SS || kind == SU ? (int8_t)a : a, y = kind == SS || kind == US ? (int8_t)b : b;
        c->want[m][n] = (int32_t)((uint32_t)c->want[m][n] + (uint32_t)(x * y));
      }
}

static void tile_product(Case *c, int kind) {
  Config config = {.palette = 1};
  config.rows[2] = config.rows[5] = (uint8_t)c->rows;
  config.rows[7] = (uint8_t)c->depth;
  config.columns[5] = (uint16_t)(4 * c->depth);
  config.columns[2] = config.columns[7] = (uint16_t)(4 * c->columns);
  configure(&config);
  BARRIER(c);
  _tile_loadd(2, c->c, sizeof c->c[0]);
  _tile_loadd(5, c->a, 64);
  _tile_stream_loadd(7, c->b, 64);
  if (kind == SS) _tile_dpbssd(2, 5, 7);
  if (kind == SU) _tile_dpbsud(2, 5, 7);
  if (kind == US) _tile_dpbusd(2, 5, 7);
  if (kind == UU) _tile_dpbuud(2, 5, 7);
  _tile_stored(2, c->c, sizeof c->c[0]);
  _tile_release();
}

static void check_products(uint64_t *seed) {
  static const int shapes[][3] = {{16, 16, 16}, {16, 16, 8}, {1, 1, 1}, {3, 5, 7},
                                  {16, 1, 4},   {1, 16, 16}, {9, 4, 13}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes + 40; i++)
    for (int kind = 0; kind < KINDS; kind++) {
      Case c = {.rows = 1 + (int)(next_u32(seed) % 16),
                .columns = 1 + (int)(next_u32(seed) % 16),
                .depth = 1 + (int)(next_u32(seed) % 16)};
      if (i < sizeof shapes / sizeof *shapes)
        c.rows = shapes[i][0], c.columns = shapes[i][1], c.depth = shapes[i][2];
      fill(seed, c.a, sizeof c.a);
      fill(seed, c.b, sizeof c.b);
      fill(seed, c.c, sizeof c.c);
      plain_product(&c, kind);
      tile_product(&c, kind);
      expect(!memcmp(c.c, c.want, sizeof c.c), "a product, or what lies beside it");
    }
}

// --- configurations, zeros, addresses ---------------------------------------------------------------

// A tile that was wide is narrow after another configuration, and loads leave nothing of what it held.
static void check_zeros(void) {
  uint8_t ones[16][64], out[16][64], narrow[3][8];
  Config wide = {.palette = 1, .rows = {16}, .columns = {64}},
         small = {.palette = 1, .rows = {3}, .columns = {8}};
  memset(ones, 1, sizeof ones);
  configure(&wide);
  BARRIER(ones);
  _tile_loadd(0, ones, 64);
  configure(&wide); // loading any configuration zeroes
  _tile_stored(0, out, 64);
  for (size_t i = 0; i < sizeof out; i++) expect(((uint8_t *)out)[i] == 0, "zeros after ldtilecfg");
  configure(&small);
  _tile_loadd(0, ones, 64);
  _tile_stored(0, narrow, 8);
  expect(!memcmp(narrow, ones, sizeof narrow), "a narrow tile");
  _tile_zero(0);
  _tile_stored(0, narrow, 8);
  for (size_t i = 0; i < sizeof narrow; i++) expect(((uint8_t *)narrow)[i] == 0, "zeros after tilezero");
  Config back;
  memset(&back, 0x55, sizeof back);
  _tile_storeconfig(&back);
  BARRIER(&back);
  expect(!memcmp(&back, &small, sizeof back), "sttilecfg gives what was configured");
  _tile_release();
  _tile_storeconfig(&back);
  BARRIER(&back);
  for (size_t i = 0; i < sizeof back; i++) expect(((uint8_t *)&back)[i] == 0, "zeros after tilerelease");
}

// Every way to write an address: displacements of no, one and four bytes, scales, high and low registers, no
// index, strides that run backwards, a configuration beside the program's code or on the stack.
static void check_addresses(uint64_t *seed) {
  static const Config fixed = {.palette = 1, .rows = {4, 4, 4, 4, 4, 4}, .columns = {12, 12, 12, 12, 12, 12}};
  uint8_t from[1024], out[6][4][12];
  fill(seed, from, sizeof from);
  BARRIER(from);
  __asm__ volatile("ldtilecfg %0" ::"m"(fixed)); // relative to the instruction
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm0" ::"r"(from), "r"(64L));
  __asm__ volatile("mov %0, %%r13; mov %1, %%r12; tileloadd 17(%%r13,%%r12,4), %%tmm1" ::"r"(from), "r"(20L)
                   : "r12", "r13");
  __asm__ volatile("mov %0, %%rbx; mov %1, %%r9; tileloadd 500(%%rbx,%%r9,8), %%tmm2" ::"r"(from), "r"(9L)
                   : "rbx", "r9");
  __asm__ volatile("tileloadd -24(%0,%1,2), %%tmm3" ::"r"(from + 900), "r"(-70L));
  __asm__ volatile("mov %0, %%r12; tileloaddt1 (%%r12), %%tmm4" ::"r"(from + 300) : "r12"); // one row, again
  uint64_t stack[2]; // what lies where the stack pointer points, four times
  __asm__ volatile("tileloadd (%%rsp), %%tmm5; movq (%%rsp), %0; movq 8(%%rsp), %1"
                   : "=&r"(stack[0]), "=&r"(stack[1]));
  _tile_stored(0, out[0], 12);
  _tile_stored(1, out[1], 12);
  _tile_stored(2, out[2], 12);
  _tile_stored(3, out[3], 12);
  _tile_stored(4, out[4], 12);
  _tile_stored(5, out[5], 12);
  _tile_release();
  static const int first[5] = {0, 17, 500, 876, 300}, stride[5] = {64, 80, 72, -140, 0};
  for (int r = 0; r < 4; r++) {
    for (int t = 0; t < 5; t++)
      expect(!memcmp(out[t][r], from + first[t] + r * stride[t], 12), "a tile's address");
    expect(!memcmp(out[5][r], stack, 12), "a tile on the stack");
  }
}

// --- threads -------------------------------------------------------------------------------------

static void *products_of_a_thread(void *arg) {
  uint64_t seed = (uint64_t)(uintptr_t)arg;
  check_products(&seed);
  check_addresses(&seed);
  return NULL;
}

static void check_threads(void) {
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++)
    if (pthread_create(&threads[i], NULL, products_of_a_thread, (void *)(0x9E3779B9u + i))) abort(); // NOLINT
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

// --- what must be refused ----------------------------------------------------------------------------

static Config square(int rows, int columns) {
  Config c = {.palette = 1};
  for (int i = 0; i < 8; i++) c.rows[i] = (uint8_t)rows, c.columns[i] = (uint16_t)columns;
  return c;
}

static void reserved_byte(void) {
  Config c = square(16, 64);
  c.reserved[5] = 1;
  configure(&c);
}
static void palette_two(void) {
  Config c = square(16, 64);
  c.palette = 2;
  configure(&c);
}
static void too_many_rows(void) {
  const Config c = square(17, 64);
  configure(&c);
}
static void too_many_columns(void) {
  const Config c = square(16, 68);
  configure(&c);
}
static void rows_without_columns(void) {
  const Config c = square(16, 0);
  configure(&c);
}
static void no_configuration(void) { _tile_zero(0); }
static void released(void) {
  const Config c = square(16, 64);
  configure(&c);
  _tile_release();
  _tile_zero(0);
}
static void no_shape(void) {
  Config c = square(16, 64);
  c.rows[3] = 0, c.columns[3] = 0;
  configure(&c);
  _tile_zero(3);
}
static void other_depths(void) {
  Config c = square(16, 64);
  c.rows[2] = 8;
  configure(&c);
  _tile_dpbusd(0, 1, 2);
}
static void other_rows(void) {
  Config c = square(16, 64);
  c.rows[0] = 15;
  configure(&c);
  _tile_dpbusd(0, 1, 2);
}
static void other_columns(void) {
  Config c = square(16, 64);
  c.columns[2] = 32;
  configure(&c);
  _tile_dpbusd(0, 1, 2);
}
static void one_tile_twice(void) {
  const Config c = square(16, 64);
  configure(&c);
  __asm__ volatile(".byte 0xC4, 0xE2, 0x71, 0x5E, 0xC1"); // tdpbusd of 0, 1, 1, which assemblers refuse
}
static void odd_columns(void) {
  const Config c = square(1, 3);
  configure(&c);
  _tile_dpbusd(0, 1, 2);
}

static void refused(const char *what, void (*fn)(void)) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stderr)) _exit(0);
    fn();
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) abort();
  expect(WIFSIGNALED(status), what);
}

static void check_refusals(void) {
#define REFUSED(fn) refused("not refused: " #fn, fn)
  REFUSED(reserved_byte), REFUSED(palette_two), REFUSED(too_many_rows), REFUSED(too_many_columns);
  REFUSED(rows_without_columns), REFUSED(no_configuration), REFUSED(released), REFUSED(no_shape);
  REFUSED(other_depths), REFUSED(other_rows), REFUSED(other_columns), REFUSED(one_tile_twice),
      REFUSED(odd_columns);
#undef REFUSED
}

int main(void) {
  const bool real = cpu_features() & CPU_AMX_INT8;
  if (!real && !amx_trap_install()) {
    printf("checktrap: no handler could be installed\n");
    return 1;
  }
  uint64_t seed = 0x9E3779B97F4A7C15u;
  check_products(&seed);
  check_zeros();
  check_addresses(&seed);
  check_threads();
  check_refusals();
  expect(real || amx_trap_count() > 1000, "instructions that were emulated");
  printf("AMX (%s): %s\n", real ? "the processor's" : "emulated", failures ? "FAILED" : "as loops in C");
  return failures != 0;
}
