// info: what a bundle says of its model, for zaya_model_get_info and zaya_inspect.
#pragma once

#include "format/bundle.h"

// Shapes, parameter counts and bytes; format, n_threads and kernels are the caller's to fill.
zaya_model_info info_of(const Bundle *b);
