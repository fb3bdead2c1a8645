// handles: what stands behind the public handles that more than one file of api/ opens up.
#pragma once

#include "base/pool.h"
#include "base/warm.h"
#include "engine/engine.h"
#include "format/bundle.h"
#include "model/forward.h"

#include <pthread.h>

struct zaya_model {
  Bundle *bundle;
  Warm *warm; // brings the weights into memory; NULL where that is left to use
  Pool *pool;
  Weights weights;
  Forward forward; // one workspace: steps are serialised by `lock`
  pthread_mutex_t lock;
  zaya_model_info info;
  char format[64];
};

struct zaya_engine {
  Engine *engine;
  size_t ctx;
};

struct zaya_session {
  zaya_model *model;
  State *state;
  Trace trace;
};
