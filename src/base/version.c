// version: the one place that knows the library's version.
#include "zaya/zaya.h"

const char *zaya_version(void) { return ZAYA_VERSION; }
