// quant_search: affine encoding whose scales and biases are searched for instead of taken from the ends
// of the range: less error where the inputs are large, in the same format and size. Depends on quant.
#pragma once

#include "format/quant.h"

// Encodes one row like quant_row (affine only), minimising per group
//   sum_j weight[j] (x[j] - (scale q[j] + bias))^2
// with scale and bias as they are stored. weight [cols]: the mean square of input j; not negative. No
// group comes out worse by this measure than plain rounding leaves it.
void quant_search_row(const QuantSpec *q, const float *x, const float *weight, size_t cols, uint8_t *codes,
                      uint8_t *scales, uint8_t *biases);
