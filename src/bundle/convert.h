// convert: from a float checkpoint to a quantized bundle. convert_plan decides what is written where,
// convert_run streams the tensors, convert_meta writes what stands beside them, convert.c does the steps
// in order and takes up what an interrupted run left. Depends on format and base/pool.
#pragma once

#include "base/pool.h"
#include "format/bundle.h"
#include "format/jsonio.h"
#include "format/quant.h"

// A key of the bundle to be written.
typedef struct PlanOut {
  char name[ARCH_NAME_SIZE + 16];
  StTensor tensor; // name, type, shape; the offset inside its shard
  size_t shard;
} PlanOut;

// Rows of the source: `rows` of them from row `first` of a tensor.
typedef struct PlanPiece {
  const StTensor *tensor;
  size_t shard; // of the source
  size_t first;
} PlanPiece;

// What is known of the inputs of each matrix: calibrate.c.
typedef struct Moments Moments;

// A tensor of the model: read from its pieces, written to one key (passed through as float16) or to
// weight, scales and, for affine, biases.
typedef struct PlanTarget {
  char name[ARCH_NAME_SIZE]; // canonical, ".weight" included
  ArchClass klass;
  bool quantized;
  QuantSpec spec;
  size_t n_pieces, first_piece; // one, or one per expert
  size_t rows, cols;            // of a piece
  size_t n_outs, first_out;     // 1, 2 or 3 keys
} PlanTarget;

typedef struct Plan {
  const Bundle *source;
  zaya_convert_params params; // defaults filled in
  QuantSpec linear, embed;
  PlanTarget *targets; // in the order of writing
  size_t n_targets;
  PlanPiece *pieces;
  size_t n_pieces;
  PlanOut *outs; // in the order of writing
  size_t n_outs;
  size_t n_shards;
  Buf *headers;        // of each shard
  size_t *shard_bytes; // size of each shard's file
  uint64_t source_bytes, tensor_bytes;
} Plan;

// `params` may be NULL.
bool plan_make(Plan *p, const Bundle *source, const zaya_convert_params *params, zaya_error *err);
void plan_free(Plan *p);
// "model-00001-of-00006.safetensors".
void plan_shard_name(const Plan *p, size_t shard, char out[64]);
// What a resumed run must agree on: the source files and the settings. The caller releases it.
json_t *plan_identity(const Plan *p, zaya_error *err);

// Writes the shards that are not `done` yet into `dir`, each under its name only when it is whole.
// `moments` NULL: plain rounding.
bool convert_shards(const Plan *p, const char *dir, const bool *done, const Moments *moments,
                    zaya_convert_result *result, zaya_error *err);

enum { MOMENTS_SAMPLES = 8 };
// Whether a target's scales are searched for.
bool moments_apply(const PlanTarget *t);
// Runs the source over the calibration text.
Moments *moments_collect(const Plan *p, zaya_error *err);
void moments_free(Moments *m);
// The mean squares of the inputs of a piece's matrix, [cols].
void moments_weights(const Moments *m, const PlanTarget *t, const PlanPiece *piece, float *out);
// Inputs that were kept out of the means: *n of them, rows of cols floats.
const float *moments_samples(const Moments *m, const PlanTarget *t, const PlanPiece *piece, size_t *n);

// Writes the index, config.json, jang_config.json and the tokenizer files into `dir`.
bool convert_meta(const Plan *p, const char *dir, zaya_error *err);
// Writes dir/name, whole or not at all.
bool convert_write_file(const char *dir, const char *name, const void *data, size_t len, zaya_error *err);

bool convert_run(const char *source, const char *out, const zaya_convert_params *params,
                 zaya_convert_result *result, zaya_error *err);
