// amx_trap: AMX for processors that have none. The instructions that the processor refuses arrive as SIGILL;
// the handler does what they would have done, to tiles of the thread that ran into them, and goes on behind
// them. So the machine code of the amx rung runs in tests as it is, only slowly. What the architecture
// forbids (shapes that do not fit, tiles that were not configured) aborts with a message. Knows: ldtilecfg,
// sttilecfg, tilerelease, tilezero, tileloadd, tileloaddt1, tilestored, tdpb{ss,su,us,uu}d. Linux on x86-64.
// Depends on nothing.
#pragma once

#include <stdbool.h>

bool amx_trap_install(void);        // for the whole process; call it before there are threads
unsigned long amx_trap_count(void); // instructions done so far, by all threads
