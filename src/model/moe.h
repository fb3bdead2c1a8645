// moe: the router with its memory over depth (EDA), the skip route (MOD) and the experts, top-1.
#pragma once

#include "model/forward.h"

// f->h = moe(f->n) for the step's tokens; f->states goes in from the previous MoE layer (unless this
// is the first) and out to the next.
void moe_forward(Forward *f, int layer, const Step *step);
