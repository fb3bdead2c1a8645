// hash: see hash.h.
#include "format/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

struct Hash {
  EVP_MD_CTX *ctx;
  const EVP_MD *md;
};

Hash *hash_new(HashKind kind, zaya_error *err) {
  Hash *h = calloc(1, sizeof *h);
  if (!h) {
    err_memory(err, sizeof *h, "a digest");
    return NULL;
  }
  h->md = kind == HASH_SHA256 ? EVP_sha256() : EVP_sha1();
  h->ctx = EVP_MD_CTX_new();
  if (!h->ctx || !hash_reset(h, err)) {
    err_set(err, ZAYA_E_MEMORY, "out of memory: a digest");
    hash_free(h);
    return NULL;
  }
  return h;
}

void hash_free(Hash *h) {
  if (!h) return;
  EVP_MD_CTX_free(h->ctx);
  free(h);
}

bool hash_reset(Hash *h, zaya_error *err) {
  if (EVP_DigestInit_ex(h->ctx, h->md, NULL)) return true;
  return err_set(err, ZAYA_E_UNSUPPORTED, "libcrypto does not offer %s", EVP_MD_get0_name(h->md));
}

bool hash_add(Hash *h, const void *data, size_t len, zaya_error *err) {
  if (EVP_DigestUpdate(h->ctx, data, len)) return true;
  return err_set(err, ZAYA_E_INVALID, "libcrypto: cannot hash %zu bytes", len);
}

bool hash_hex(Hash *h, char out[HASH_HEX_MAX], zaya_error *err) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (!EVP_DigestFinal_ex(h->ctx, digest, &n) || n > (HASH_HEX_MAX - 1) / 2)
    return err_set(err, ZAYA_E_INVALID, "libcrypto: cannot finish a digest");
  for (unsigned i = 0; i < n; i++) {
    out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  out[2 * n] = '\0';
  return true;
}

bool hash_file(const char *path, char out[HASH_HEX_MAX], zaya_error *err) {
  enum { CHUNK = 1 << 18 };
  Hash *h = hash_new(HASH_SHA256, err);
  uint8_t *chunk = h ? malloc(CHUNK) : NULL;
  if (h && !chunk) err_memory(err, CHUNK, path);
  int fd = chunk ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (chunk && fd < 0) err_errno(err, errno, "%s: cannot open", path);
  bool ok = fd >= 0;
  while (ok) {
    ssize_t n = read(fd, chunk, CHUNK);
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    ok = n < 0 ? err_errno(err, errno, "%s: cannot read", path) : hash_add(h, chunk, (size_t)n, err);
  }
  if (fd >= 0) close(fd);
  ok = ok && hash_hex(h, out, err);
  free(chunk);
  hash_free(h);
  return ok;
}
