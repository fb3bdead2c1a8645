// synth (internal): what the parts of `zaya synth` share. synth.c plans and writes the shards,
// synth_fill.c makes the values, synth_meta.c the configuration files, synth_tok.c the tokenizer.
// Depends on format/ and base/.
#pragma once

#include "format/arch.h"
#include "format/jsonio.h"
#include "format/st.h"

typedef enum SynthPart { SYNTH_FLOATS, SYNTH_CODES, SYNTH_SCALES, SYNTH_BIASES } SynthPart;

// One tensor of the folder and how its values come about.
typedef struct SynthKey {
  char name[ARCH_NAME_SIZE + 16];
  StTensor tensor; // dtype, shape, bytes; name points into this
  size_t shard;
  SynthPart part;
  int bits;        // of the codes that scales and biases belong to
  float mean, std; // of the weights
  bool paired;     // neighbours in a row are each other's negative: every row sums to zero
  uint64_t stream; // which sequence of random numbers, and
  uint64_t first;  // where in it the tensor begins
} SynthKey;

typedef enum SynthLayout { SYNTH_MXFP4, SYNTH_LEGACY, SYNTH_NATIVE } SynthLayout;

// Sets mean, std, paired, stream and first.
void synth_law(SynthKey *k, const ArchTensor *t, uint64_t seed);
// Elements [begin, end) of the tensor into `out`; begin even. The values depend on the seed and the
// place alone.
void synth_fill(const SynthKey *k, size_t begin, size_t end, uint8_t *out);

// The built-in shapes; false when there is no such preset.
bool synth_preset(const char *name, Config *out);
// Writes dir/name and releases `root`.
bool synth_write_json(const char *dir, const char *name, json_t *root, zaya_error *err);
bool synth_write_meta(const char *dir, const Config *c, SynthLayout layout, zaya_error *err);
// tokenizer.json with an entry for every id below vocab_size, and the files that belong to it.
bool synth_write_tokenizer(const char *dir, const Config *c, zaya_error *err);
