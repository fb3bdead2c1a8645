// amx: the kernels that multiply by tiles, for the table in avx512.c. Depends on kern.
#pragma once

#include "kernels/kern.h"

void amx_begin(size_t n_x);
void amx_end(void);
void amx_panel(const KernPanel *w, const KernActs *x, size_t first_x, size_t n_x, size_t rows, float *y,
               size_t y_stride);
void amx_pack_tile(const KernActs *x, size_t tile, size_t n);
void amx_tile_q4(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                 size_t y_stride);
void amx_tile_q8(const KernRows *w, const KernPanel *scratch, const KernActs *x, size_t n, float *y,
                 size_t y_stride);
float amx_peak_int8(size_t rounds);
