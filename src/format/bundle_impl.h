// bundle_impl: what bundle.c (files and names), bundle_mat.c (tensors as matrices) and bundle_notes.c
// (what config.json says against what the tensors are) share. Not for others.
#pragma once

#include "format/bundle.h"
#include "format/jsonio.h"

typedef struct BundleEntry {
  const StTensor *tensor;
  size_t shard;
} BundleEntry;

struct Bundle {
  char *dir;
  Config config;
  StFile **shards; // by file name
  const char **shard_names;
  size_t n_shards;
  BundleEntry *entries; // by tensor name
  size_t n_entries;
  bool native_names;
  ExpertLayout experts;
  ArchList arch;
  const ArchTensor **by_canonical; // arch.items by canonical name
  char **notes;                    // NULL behind the last
  size_t n_notes;
  json_t *index; // weight_map and metadata, NULL for a single file
  json_t *jang;  // jang_config.json, or NULL
};

bool bundle_add_note(Bundle *b, zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// The name that a canonical name has in this folder's files.
bool bundle_file_name(const Bundle *b, const char *canonical, char out[ARCH_NAME_SIZE], zaya_error *err);
const ArchTensor *bundle_arch_find(const Bundle *b, const char *canonical);
const char *bundle_path_of(const Bundle *b, const StTensor *t); // of the shard that holds it
// Compares config.json and jang_config.json with the tensors.
bool bundle_take_notes(Bundle *b, zaya_error *err);
