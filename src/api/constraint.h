// constraint: what stands behind zaya_constraint, for what generates. Depends on text/guide.
#pragma once

#include "text/guide.h"

struct zaya_constraint {
  Guide *guide;
  bool data, calls; // what its answers are: data, in which no tag counts; tool calls, with text before them
                    // or not; with both, either data or calls
};
