// hash: message digests over libcrypto: SHA-256 for files, SHA-1 only for the object ids that git
// gives to small files. Owns the digest state. Depends on base/.
#pragma once

#include "base/error.h"

typedef enum HashKind { HASH_SHA256, HASH_SHA1 } HashKind;

enum { HASH_HEX_MAX = 65 }; // hexadecimal digits and the NUL

typedef struct Hash Hash;

Hash *hash_new(HashKind kind, zaya_error *err);
void hash_free(Hash *h);
// Forgets what was added.
bool hash_reset(Hash *h, zaya_error *err);
bool hash_add(Hash *h, const void *data, size_t len, zaya_error *err);
// The digest in lower case; the state must be reset before it is used again.
bool hash_hex(Hash *h, char out[HASH_HEX_MAX], zaya_error *err);
// SHA-256 of a whole file.
bool hash_file(const char *path, char out[HASH_HEX_MAX], zaya_error *err);
