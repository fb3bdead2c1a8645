// hash64: a fast 64-bit checksum (FNV-1a over 8-byte words with a final mix), for telling states and
// files apart and for noticing damage. Not cryptographic: SHA-256 is in format/hash.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH64_SEED 0xcbf29ce484222325u

uint64_t hash64(uint64_t h, const void *data, size_t len);
