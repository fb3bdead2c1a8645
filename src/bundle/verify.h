// verify (internal): what the checks of `zaya verify` share: the folder as far as it could be read, and
// how a check says what it found. The table of checks and their order are in verify.c; the checks
// themselves in verify_files.c (shards, index), verify_model.c (keys, shapes, formats), verify_values.c
// (numbers), verify_text.c (tokenizer, template, capabilities), verify_source.c (against the checkpoint)
// and verify_hash.c. A check looks at one thing and is skipped when it rests on something that failed,
// so that one fault gives one failure. Depends on format/, text/, base/.
#pragma once

#include "base/pool.h"
#include "format/bundle.h"
#include "format/jsonio.h"
#include "text/chat.h"

#define VERIFY_INDEX   "model.safetensors.index.json"
#define VERIFY_SIDECAR "jangtq_runtime.safetensors"
#define VERIFY_SUMS    "SHA256SUMS"

typedef struct VShard {
  char *name;
  bool listed;  // in the index
  bool there;   // in the folder
  StFile *file; // NULL: could not be opened
  zaya_error err;
} VShard;

typedef struct VTensor {
  const StTensor *t;
  size_t shard;
} VTensor;

// What one pass over a tensor's bytes gives.
typedef struct VStats {
  float max;     // largest magnitude; of codes, scales of MX formats: unused
  bool finite;   // of scales of MX formats: no NaN
  bool zero;     // every element (every bit, for codes)
  bool constant; // codes: all words alike
  size_t at;     // the first element that is not finite
  size_t n_tiny; // magnitudes of at most 2e-7
  size_t elements;
  int twin[2]; // two experts that are alike, or -1
} VStats;

// One class of tensors against the source.
typedef struct VErrors {
  double max, sum_sq, sum_w; // largest error; sums of squares of errors and of weights
  uint64_t n;                // elements
  uint64_t tensors;
} VErrors;

typedef struct Verify {
  const char *dir;
  const zaya_verify_params *params;
  Pool *pool;

  json_t *config_json, *jang, *index; // NULL: not there, or no JSON
  json_t *generation, *tok_config, *special_map;
  Config config;
  bool config_ok;
  bool converted; // says of itself, or shows, that it is a converted bundle and no source checkpoint
  bool jangtq;    // has tq_packed tensors

  VShard *shards; // the sidecar is not among them
  size_t n_shards;
  VTensor *tensors; // by name
  size_t n_tensors;
  bool shards_ok; // all of them open
  bool layout_ok;
  ExpertLayout experts;
  ArchList arch;
  VStats *stats; // of tensors[i]; NULL until the values have been read

  Bundle *bundle; // NULL: cannot be opened, and
  zaya_error bundle_err;
  Tok *tok;
  zaya_error tok_err;
  Chat *chat;
  Bundle *source; // NULL: cannot be opened, and
  zaya_error source_err;
  struct Compared *source_items; // tensor by tensor; NULL: not compared
  size_t n_source_items;
  VErrors errors[ARCH_CLASSES];

  zaya_verification *out;
} Verify;

typedef struct Check {
  zaya_check *out;
  Buf detail;
  size_t problems;
} Check;

typedef void (*CheckFn)(Verify *v, Check *c);

// A problem: the first is told in full, further ones are counted.
void check_fail(Check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Nothing to check, and why.
void check_skip(Check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// What was found, of a check that passes.
void check_note(Check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const VTensor *verify_find(const Verify *v, const char *name);
// Skips the check and returns false unless all shards are open / the layout is known / the whole folder
// opens as a model.
bool need_shards(const Verify *v, Check *c);
bool need_layout(const Verify *v, Check *c);
bool need_bundle(const Verify *v, Check *c);
bool need_converted(const Verify *v, Check *c);
bool verify_ends(const char *s, const char *tail);            // s ends with tail
const char *json_text(const json_t *object, const char *key); // NULL: not there or no string

// verify_files.c
bool verify_read_files(Verify *v, zaya_error *err);
void check_config(Verify *v, Check *c);
void check_jang_config(Verify *v, Check *c);
void check_headers(Verify *v, Check *c);
void check_index(Verify *v, Check *c);
void check_shards(Verify *v, Check *c);
void check_shard_names(Verify *v, Check *c);
void check_index_keys(Verify *v, Check *c);
void check_duplicates(Verify *v, Check *c);
void check_total_size(Verify *v, Check *c);
void check_index_format(Verify *v, Check *c);
void check_leftovers(Verify *v, Check *c);
// verify_model.c
bool verify_read_model(Verify *v, zaya_error *err);
void check_layout(Verify *v, Check *c);
void check_local_experts(Verify *v, Check *c);
void check_stacked_experts(Verify *v, Check *c);
void check_missing_keys(Verify *v, Check *c);
void check_unexpected_keys(Verify *v, Check *c);
void check_shapes(Verify *v, Check *c);
void check_quantization(Verify *v, Check *c);
void check_uniform(Verify *v, Check *c);
void check_head(Verify *v, Check *c);
void check_sidecar(Verify *v, Check *c);
void check_opens(Verify *v, Check *c);
// verify_values.c
bool verify_read_values(Verify *v, zaya_error *err);
void check_finite(Verify *v, Check *c);
void check_scale_range(Verify *v, Check *c);
void check_float_range(Verify *v, Check *c);
void check_zero_tensors(Verify *v, Check *c);
void check_distinct_experts(Verify *v, Check *c);
// verify_text.c
bool verify_read_text(Verify *v, zaya_error *err);
void check_tokenizer(Verify *v, Check *c);
void check_tokenizer_config(Verify *v, Check *c);
void check_vocab(Verify *v, Check *c);
void check_template(Verify *v, Check *c);
void check_template_copy(Verify *v, Check *c);
void check_stop_tokens(Verify *v, Check *c);
void check_generation_config(Verify *v, Check *c);
void check_capabilities(Verify *v, Check *c);
// verify_source.c
bool verify_read_source(Verify *v, zaya_error *err);
void check_source_shape(Verify *v, Check *c);
void check_source_coverage(Verify *v, Check *c);
void check_source_floats(Verify *v, Check *c);
void check_source_error(Verify *v, Check *c);
void check_source_codes(Verify *v, Check *c);
void check_source_files(Verify *v, Check *c);
void verify_free_source(Verify *v);
// verify_hash.c
void check_hashes(Verify *v, Check *c);
