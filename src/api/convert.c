// convert: zaya_convert.
#include "bundle/convert.h"

bool zaya_convert(const char *source, const char *out, const zaya_convert_params *params,
                  zaya_convert_result *result, zaya_error *err) {
  return convert_run(source, out, params, result, err);
}
