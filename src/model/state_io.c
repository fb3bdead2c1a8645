// state_io: a state as bytes and back. Layout: header, ids, CCA state, then k and v layer by layer,
// only the tokens held; a checksum over all of it at the end. Host byte order: a cache, not an
// exchange format, and the header tells a foreign one.
#include "base/hash64.h"
#include "base/size.h"
#include "model/state.h"

#include <string.h>

enum { STATE_VERSION = 2 };
static const char state_magic[8] = "ZAYAST\x01\x02";

typedef struct StateHeader {
  char magic[8];
  uint32_t version, byte_order; // 0x01020304 as the writer sees it
  uint64_t fingerprint;
  int32_t kv_type, n_attn, kv_width, channels, hidden, zero;
  uint64_t len;
} StateHeader;

static StateHeader header_of(const State *s) {
  StateHeader h = {.version = STATE_VERSION,
                   .byte_order = 0x01020304,
                   .fingerprint = s->fingerprint,
                   .kv_type = s->shape.kv,
                   .n_attn = s->shape.n_attn,
                   .kv_width = s->shape.kv_width,
                   .channels = s->shape.channels,
                   .hidden = s->shape.hidden,
                   .len = s->len};
  memcpy(h.magic, state_magic, sizeof h.magic);
  return h;
}

static size_t cca_bytes(const StateShape *s) {
  return (size_t)s->n_attn * (2 * (size_t)s->channels + (size_t)s->hidden) * sizeof(float);
}

bool state_save(const State *s, Buf *out, zaya_error *err) {
  const StateHeader h = header_of(s);
  const size_t start = out->len, layer = s->len * state_kv_bytes(&s->shape);
  bool ok = buf_add(out, &h, sizeof h, err) && buf_add(out, s->ids, s->len * sizeof *s->ids, err) &&
            buf_add(out, s->cca, cca_bytes(&s->shape), err);
  for (int a = 0; ok && a < s->shape.n_attn; a++)
    ok = buf_add(out, state_k(s, a, 0), layer, err) && buf_add(out, state_v(s, a, 0), layer, err);
  if (!ok) {
    out->len = start;
    return false;
  }
  const uint64_t sum = hash64(HASH64_SEED, out->data + start, out->len - start);
  return buf_add(out, &sum, sizeof sum, err);
}

// Whether the header fits this state and the length fits the header.
static bool check_header(const State *s, const StateHeader *h, size_t len, zaya_error *err) {
  const StateHeader want = header_of(s);
  if (memcmp(h->magic, want.magic, sizeof h->magic) || h->version != want.version ||
      h->byte_order != want.byte_order)
    return err_set(err, ZAYA_E_FORMAT, "saved session: not a session of this version and byte order");
  if (h->fingerprint != want.fingerprint || h->n_attn != want.n_attn || h->kv_width != want.kv_width ||
      h->channels != want.channels || h->hidden != want.hidden)
    return err_set(err, ZAYA_E_FORMAT, "saved session: belongs to another model");
  if (h->kv_type != want.kv_type)
    return err_set(err, ZAYA_E_FORMAT, "saved session: its KV cache is %s, this model runs with %s",
                   h->kv_type == KV_F32 ? "float32" : "float16",
                   want.kv_type == KV_F32 ? "float32" : "float16");
  if (h->len > s->cap)
    return err_set(err, ZAYA_E_LIMIT, "saved session: holds %llu tokens, this session takes %zu",
                   (unsigned long long)h->len, s->cap);
  const size_t token = sizeof(int32_t) + 2 * (size_t)h->n_attn * state_kv_bytes(&s->shape);
  const size_t expected = sizeof *h + (size_t)h->len * token + cca_bytes(&s->shape) + sizeof(uint64_t);
  if (len != expected)
    return err_set(err, ZAYA_E_FORMAT, "saved session: expected %zu bytes, found %zu", expected, len);
  return true;
}

bool state_load(State *s, const void *data, size_t len, zaya_error *err) {
  StateHeader h;
  if (len < sizeof h + sizeof(uint64_t))
    return err_set(err, ZAYA_E_FORMAT, "saved session: %zu bytes are too few", len);
  memcpy(&h, data, sizeof h);
  if (!check_header(s, &h, len, err)) return false;
  const uint8_t *p = data;
  uint64_t sum;
  memcpy(&sum, p + len - sizeof sum, sizeof sum);
  if (sum != hash64(HASH64_SEED, p, len - sizeof sum))
    return err_set(err, ZAYA_E_FORMAT, "saved session: the checksum is wrong: the data is damaged");
  const size_t n = (size_t)h.len, layer = n * state_kv_bytes(&s->shape);
  p += sizeof h;
  memcpy(s->ids, p, n * sizeof *s->ids);
  p += n * sizeof *s->ids;
  memcpy(s->cca, p, cca_bytes(&s->shape));
  p += cca_bytes(&s->shape);
  for (int a = 0; layer && a < s->shape.n_attn; a++, p += 2 * layer) {
    memcpy(state_k(s, a, 0), p, layer);
    memcpy(state_v(s, a, 0), p + layer, layer);
  }
  s->len = n;
  return true;
}
