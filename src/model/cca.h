// cca: Compressed Convolutional Attention (arXiv 2510.04476): projections, two causal convolutions in
// time over the packed q | k frames, mean residuals, norm, rotation, grouped-query attention.
#pragma once

#include "model/forward.h"

enum { CCA_MAX_ROTARY = 1024 }; // rotary dims of a head that finish_token has room for

// f->h = attention(f->n) for the step's tokens; moves each span's KV and CCA state on (not its length).
void cca_forward(Forward *f, int layer, const Step *step);
