// warm: brings mapped files into memory behind the program's back, so that the first tokens need not wait for
// every page by itself. One thread of its own, in pieces, in the order of the files. Only for speed: what
// cannot be done is left undone. Depends on map, cpu.
#pragma once

#include "base/map.h"

typedef struct Warm Warm;

// Begins with these maps, which must outlive warm_stop. NULL when there is no room for all of them in memory,
// so that it would only drive out what is used, and when no thread can be had.
Warm *warm_start(const Map *maps, size_t n);
// Waits for the piece at hand at most; NULL is fine.
void warm_stop(Warm *w);
