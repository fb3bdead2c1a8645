// panel: 16 rows of any affine matrix unpacked for the matrix kernels. Depends on kern, format/mat.
#pragma once

#include "base/arena.h"
#include "format/mat.h"
#include "kernels/kern.h"

// Room for `cols` columns.
bool panel_alloc(KernPanel *p, size_t cols, Arena *arena, zaya_error *err);
// Rows [first, first + n), n <= KERN_PANEL_ROWS, of an affine matrix, in KERN_ORDER_PLAIN.
void panel_fill(const Mat *m, size_t first, size_t n, KernPanel *out);
