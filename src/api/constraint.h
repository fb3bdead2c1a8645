// constraint: what stands behind zaya_constraint, for what generates. Depends on text/guide.
#pragma once

#include "text/guide.h"

struct zaya_constraint {
  Guide *guide;
  bool calls; // its answers hold tool calls: the output parser must look for them
};
