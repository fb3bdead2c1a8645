// pull (internal): what the parts of `zaya pull` share: a file of a repository on its way to its place,
// and where the places are. pull_list.c asks the hub, pull_file.c fetches and checks one file, pull.c
// runs the whole. Depends on base/, format/hash, hub, pull_http.
#pragma once

#include "bundle/pull_http.h"
#include "format/hash.h"

typedef struct PullFile {
  char *path; // in the repository
  uint64_t size;
  bool lfs;               // oid is a SHA-256 of the content, else git's SHA-1 of the blob
  char oid[HASH_HEX_MAX]; // also the blob's name in the cache

  // Places. In the cache: the blob, and the symbolic link in the snapshot.
  char *final, *partial, *link, *lock;
  char *url, *what;

  bool complete; // under its final name, with the right size
  bool fetched;  // something of it came over the network
  // While it is fetched.
  int fd, lock_fd; // -1: closed
  Hash *hash;      // of the first `have` bytes
  uint64_t have;   // bytes in the partial file
  bool restart;    // the partial file is worthless
  int bad_hashes;
  struct Pull *pull;
} PullFile;

typedef struct Pull {
  const zaya_pull_params *params;
  const char *repo;
  const char *revision;
  Buf endpoint, token;
  char commit[41];
  Buf root;     // the folder to open at the end: snapshot, or params->to
  Buf repo_dir; // in the cache; empty with params->to
  PullFile *files;
  size_t n_files;
  uint64_t bytes_total, bytes_fetched;
  Http *http;
} Pull;

// Fills commit and the list of the wanted files: path, size, oid.
bool pull_list(Pull *p, zaya_error *err);
// Whether a bundle needs a file of this name.
bool pull_wants(const char *path);

extern const HttpHooks pull_file_hooks;
// Fills the places of a file and whether it is complete.
bool pull_file_place(Pull *p, PullFile *f, zaya_error *err);
// Whether the file under the final name is the one that the hub lists.
bool pull_file_check(PullFile *f, bool *same, zaya_error *err);
// Makes the snapshot's link to a complete blob.
bool pull_file_link(const PullFile *f, zaya_error *err);
uint64_t pull_file_have(const PullFile *f); // bytes of it on the disk, final or partial
void pull_file_free(PullFile *f);
