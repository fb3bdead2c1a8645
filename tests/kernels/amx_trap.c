// amx_trap: see amx_trap.h. Everything here but amx_trap_install runs in a signal handler.
#if defined(__linux__) && defined(__x86_64__)
#define _GNU_SOURCE // REG_RAX and the like
#include "amx_trap.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64, CONFIG_BYTES = 64 };
enum { PALETTE = 0, START_ROW = 1, COLUMNS = 16, ROW_COUNTS = 48 }; // bytes of a configuration

// What one thread's tile unit holds.
typedef struct Unit {
  bool configured;
  uint8_t rows[TILES], columns[TILES]; // columns in bytes
  uint8_t config[CONFIG_BYTES];
  uint8_t tile[TILES][ROWS][ROW_BYTES];
} Unit;

static _Thread_local Unit unit;
static atomic_ulong done;

static void forbidden(const char *what) {
  static const char head[] = "amx_trap: the processor would refuse this: ";
  if (write(2, head, sizeof head - 1) < 0 || write(2, what, strlen(what)) < 0 || write(2, "\n", 1) < 0)
    abort();
  abort();
}

static void demand(bool holds, const char *what) {
  if (!holds) forbidden(what);
}

// --- decoding ------------------------------------------------------------------------------------

// A VEX instruction of map 0F38 as the manuals call its fields, registers with their fourth bits.
typedef struct Code {
  unsigned prefix, op, mod, reg, rm, vvvv; // prefix: 0 none, 1 66, 2 F3, 3 F2
  size_t length;
  // Its operand in memory. Tiles: row i at address + i * stride.
  uint64_t address, stride;
  bool sib;
} Code;

static uint64_t gpr(const ucontext_t *c, unsigned number) {
  static const int at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return (uint64_t)c->uc_mcontext.gregs[at[number]];
}

static int64_t displacement(const uint8_t *p, size_t bytes) {
  int32_t wide = 0;
  if (bytes == 1) return (int8_t)*p;
  if (bytes == 4) memcpy(&wide, p, 4);
  return wide;
}

// The operand behind a ModRM byte whose mod is not 3; p is what follows that byte.
static void decode_memory(Code *c, const ucontext_t *u, const uint8_t *p, unsigned x, unsigned b) {
  const uint8_t *const begin = p;
  size_t bytes = c->mod == 1 ? 1 : c->mod == 2 ? 4 : 0;
  bool base = true, relative = false;
  unsigned number = (c->rm & 7) | b << 3;
  c->sib = (c->rm & 7) == 4;
  if (c->sib) {
    const uint8_t sib = *p++;
    const unsigned index = (sib >> 3 & 7) | x << 3;
    if (index != 4) c->stride = gpr(u, index) << (sib >> 6);
    number = (sib & 7) | b << 3;
    if (c->mod == 0 && (sib & 7) == 5) base = false, bytes = 4;
  } else if (c->mod == 0 && (c->rm & 7) == 5) {
    relative = true, base = false, bytes = 4;
  }
  c->address = (base ? gpr(u, number) : 0) + (uint64_t)displacement(p, bytes);
  c->length += (size_t)(p - begin) + bytes;
  if (relative) c->address += (uint64_t)u->uc_mcontext.gregs[REG_RIP] + c->length;
}

// Whether the instruction at `p` is of the right family; then as *c.
static bool decode(const uint8_t *p, const ucontext_t *u, Code *c) {
  if (p[0] != 0xC4 || (p[1] & 31) != 2 || p[2] & 0x84) return false; // map 0F38, W 0, 128 bits
  const unsigned r = !(p[1] & 0x80), x = !(p[1] & 0x40), b = !(p[1] & 0x20);
  *c = (Code){.prefix = p[2] & 3, .op = p[3], .mod = p[4] >> 6, .length = 5};
  if (c->op != 0x49 && c->op != 0x4B && c->op != 0x5E) return false;
  c->vvvv = ~(p[2] >> 3) & 15u;
  c->reg = (p[4] >> 3 & 7u) | r << 3;
  c->rm = (p[4] & 7u) | b << 3;
  if (c->mod != 3) decode_memory(c, u, p + 5, x, b);
  return true;
}

// --- what the instructions do --------------------------------------------------------------------

static void load_config(const uint8_t *from) {
  uint8_t config[CONFIG_BYTES];
  memcpy(config, from, sizeof config);
  memset(&unit, 0, sizeof unit);
  if (config[PALETTE] == 0) return;
  demand(config[PALETTE] == 1, "a palette other than 1");
  for (size_t i = 2; i < CONFIG_BYTES; i++) {
    const bool used =
        (i >= COLUMNS && i < COLUMNS + 2 * TILES) || (i >= ROW_COUNTS && i < ROW_COUNTS + TILES);
    demand(used || config[i] == 0, "a configuration with reserved bytes that are not 0");
  }
  for (size_t t = 0; t < TILES; t++) {
    const unsigned columns = config[COLUMNS + 2 * t] | (unsigned)config[COLUMNS + 2 * t + 1] << 8;
    demand(columns <= ROW_BYTES && config[ROW_COUNTS + t] <= ROWS, "a tile of more than 16 rows of 64 bytes");
    demand(!columns == !config[ROW_COUNTS + t], "a tile with rows and no columns, or the other way round");
    unit.columns[t] = (uint8_t)columns;
    unit.rows[t] = config[ROW_COUNTS + t];
  }
  memcpy(unit.config, config, sizeof config);
  unit.configured = true;
}

static void check_tile(unsigned t) {
  demand(t < TILES, "a tile above tmm7");
  demand(unit.configured, "a tile where none are configured");
  demand(unit.rows[t] > 0, "a tile that has no shape");
}

static void load_tile(const Code *c) {
  const size_t start = unit.config[START_ROW];
  check_tile(c->reg);
  demand(start < unit.rows[c->reg], "a first row behind the last");
  if (start == 0) memset(unit.tile[c->reg], 0, sizeof unit.tile[0]);
  for (size_t r = start; r < unit.rows[c->reg]; r++) {
    memset(unit.tile[c->reg][r], 0, ROW_BYTES);
    memcpy(unit.tile[c->reg][r], (const uint8_t *)(c->address + r * c->stride),
           unit.columns[c->reg]); // NOLINT
  }
  unit.config[START_ROW] = 0;
}

static void store_tile(const Code *c) {
  const size_t start = unit.config[START_ROW];
  check_tile(c->reg);
  demand(start < unit.rows[c->reg], "a first row behind the last");
  for (size_t r = start; r < unit.rows[c->reg]; r++)
    memcpy((uint8_t *)(c->address + r * c->stride), unit.tile[c->reg][r], unit.columns[c->reg]); // NOLINT
  unit.config[START_ROW] = 0;
}

static int32_t element(uint8_t byte, bool has_sign) { return has_sign ? (int8_t)byte : byte; }

// Rows of C times columns of C, four products at a time, in 32 bits that wrap.
static void multiply(unsigned to, unsigned a, unsigned b, bool a_signed, bool b_signed) {
  check_tile(to), check_tile(a), check_tile(b);
  demand(to != a && to != b && a != b, "a product whose tiles are not three");
  demand((unit.columns[to] | unit.columns[a] | unit.columns[b]) % 4 == 0,
         "a product of columns that are no dwords");
  demand(unit.rows[to] == unit.rows[a] && unit.columns[to] == unit.columns[b] &&
             unit.columns[a] / 4 == unit.rows[b],
         "a product of shapes that do not fit");
  demand(unit.config[START_ROW] == 0, "a product from a row on");
  uint32_t sum[ROWS][ROW_BYTES / 4] = {0}; // what lies outside the shape becomes 0
  for (size_t m = 0; m < unit.rows[to]; m++) {
    memcpy(sum[m], unit.tile[to][m], unit.columns[to]);
    for (size_t k = 0; k < unit.rows[b]; k++)
      for (size_t n = 0; n < unit.columns[to] / 4u; n++)
        for (size_t i = 0; i < 4; i++)
          sum[m][n] += (uint32_t)(element(unit.tile[a][m][4 * k + i], a_signed) *
                                  element(unit.tile[b][k][4 * n + i], b_signed));
  }
  memcpy(unit.tile[to], sum, sizeof sum);
}

static bool configure(const Code *c) {
  if (c->mod != 3) { // ldtilecfg, sttilecfg
    if (c->reg != 0 || c->prefix > 1) return false;
    if (c->prefix == 0)
      load_config((const uint8_t *)c->address); // NOLINT
    else
      memcpy((uint8_t *)c->address, unit.config, CONFIG_BYTES); // NOLINT
    return true;
  }
  if (c->prefix == 0 && c->reg == 0 && c->rm == 0) { // tilerelease
    memset(&unit, 0, sizeof unit);
    return true;
  }
  if (c->prefix != 3 || c->rm != 0) return false;
  check_tile(c->reg); // tilezero
  memset(unit.tile[c->reg], 0, sizeof unit.tile[0]);
  return true;
}

static bool move(const Code *c) {
  if (c->mod == 3 || !c->sib || c->prefix == 0) return false;
  if (c->prefix == 2)
    store_tile(c);
  else
    load_tile(c); // tileloaddt1 only hints at where to keep it
  return true;
}

static bool run(const Code *c) {
  if (c->op == 0x5E) {
    if (c->mod != 3) return false;
    // 66: unsigned times signed, F3: signed times unsigned, F2: both signed.
    multiply(c->reg, c->rm, c->vvvv, c->prefix >= 2, c->prefix == 1 || c->prefix == 3);
    return true;
  }
  return c->vvvv == 0 && (c->op == 0x49 ? configure(c) : move(c));
}

static void on_illegal(int signal_number, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *u = context;
  Code c;
  if (decode((const uint8_t *)u->uc_mcontext.gregs[REG_RIP], u, &c) && run(&c)) { // NOLINT
    u->uc_mcontext.gregs[REG_RIP] += (greg_t)c.length;
    atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
    return;
  }
  signal(signal_number, SIG_DFL); // not ours: it happens again, and ends the process
}

bool amx_trap_install(void) {
  struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  return sigaction(SIGILL, &action, NULL) == 0;
}

unsigned long amx_trap_count(void) { return atomic_load(&done); }
#else
typedef int amx_trap_is_for_linux_on_x86_64;
#endif
