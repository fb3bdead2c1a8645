// state_io: a state as bytes and back. Layout: header, ids, CCA state, then the strips page by page, of
// each only the tokens held; a checksum over all of it at the end. Host byte order: a cache, not an
// exchange format, and the header tells a foreign one.
#include "base/hash64.h"
#include "base/size.h"
#include "kernels/kern.h"
#include "model/state.h"

#include <string.h>

enum { STATE_VERSION = 3 };
static const char state_magic[8] = "ZAYAST\x01\x02";

typedef struct StateHeader {
  char magic[8];
  uint32_t version, byte_order; // 0x01020304 as the writer sees it
  uint64_t fingerprint;
  int32_t kv_type, n_attn, kv_width, kv_heads, channels, hidden;
  uint64_t len;
} StateHeader;

static StateHeader header_of(const State *s) {
  StateHeader h = {.version = STATE_VERSION,
                   .byte_order = 0x01020304,
                   .fingerprint = s->fingerprint,
                   .kv_type = s->shape.kv,
                   .n_attn = s->shape.n_attn,
                   .kv_width = s->shape.kv_width,
                   .kv_heads = s->shape.kv_heads,
                   .channels = s->shape.channels,
                   .hidden = s->shape.hidden,
                   .len = s->len};
  memcpy(h.magic, state_magic, sizeof h.magic);
  return h;
}

static size_t cca_bytes(const StateShape *s) { return state_cca_floats(s) * sizeof(float); }

// The rows that the page of position `pos` holds of n tokens.
static size_t page_rows(size_t pos, size_t n) { return n - pos < KERN_BLOCK ? n - pos : KERN_BLOCK; }

// The page that begins at position `pos`.
static bool save_page(const State *s, size_t pos, Buf *out, zaya_error *err) {
  const size_t rows = page_rows(pos, s->len);
  bool ok = true;
  for (size_t i = 0; ok && i < state_strips(&s->shape); i++) {
    const KvStrip strip = state_strip(&s->shape, s->pages[pos / KERN_BLOCK], i);
    ok = buf_add(out, strip.rows, rows * state_row_bytes(&s->shape), err) &&
         (!strip.scales || buf_add(out, strip.scales, rows * sizeof *strip.scales, err));
  }
  return ok;
}

static const uint8_t *take(void *to, const uint8_t *from, size_t len) {
  memcpy(to, from, len);
  return from + len;
}

static const uint8_t *load_page(State *s, size_t pos, size_t n, const uint8_t *p) {
  const size_t rows = page_rows(pos, n);
  for (size_t i = 0; i < state_strips(&s->shape); i++) {
    const KvStrip strip = state_strip(&s->shape, s->pages[pos / KERN_BLOCK], i);
    p = take(strip.rows, p, rows * state_row_bytes(&s->shape));
    if (strip.scales) p = take(strip.scales, p, rows * sizeof *strip.scales);
  }
  return p;
}

bool state_save(const State *s, Buf *out, zaya_error *err) {
  const StateHeader h = header_of(s);
  const size_t start = out->len;
  bool ok = buf_add(out, &h, sizeof h, err) && buf_add(out, s->ids, s->len * sizeof *s->ids, err) &&
            buf_add(out, s->cca, cca_bytes(&s->shape), err);
  for (size_t pos = 0; ok && pos < s->len; pos += KERN_BLOCK) ok = save_page(s, pos, out, err);
  if (!ok) {
    out->len = start;
    return false;
  }
  const uint64_t sum = hash64(HASH64_SEED, out->data + start, out->len - start);
  return buf_add(out, &sum, sizeof sum, err);
}

static const char *kv_name(int32_t type) {
  return type == KV_F32 ? "float32" : type == KV_F16 ? "float16" : type == KV_Q8 ? "int8" : "unknown";
}

// Whether the header fits this state and the length fits the header.
static bool check_header(const State *s, const StateHeader *h, size_t len, zaya_error *err) {
  const StateHeader want = header_of(s);
  if (memcmp(h->magic, want.magic, sizeof h->magic) || h->version != want.version ||
      h->byte_order != want.byte_order)
    return err_set(err, ZAYA_E_FORMAT, "saved session: not a session of this version and byte order");
  if (h->fingerprint != want.fingerprint || h->n_attn != want.n_attn || h->kv_width != want.kv_width ||
      h->kv_heads != want.kv_heads || h->channels != want.channels || h->hidden != want.hidden)
    return err_set(err, ZAYA_E_FORMAT, "saved session: belongs to another model");
  if (h->kv_type != want.kv_type)
    return err_set(err, ZAYA_E_FORMAT, "saved session: its KV cache is %s, this model runs with %s",
                   kv_name(h->kv_type), kv_name(want.kv_type));
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
  // Filled aside: when memory is short the state is as it was.
  State *t = state_new(&s->shape, s->fingerprint, s->cap, err);
  const size_t n = (size_t)h.len;
  const bool ok = t && state_reserve(t, n, err);
  if (ok) {
    p += sizeof h;
    p = take(t->ids, p, n * sizeof *t->ids);
    p = take(t->cca, p, cca_bytes(&s->shape));
    for (size_t pos = 0; pos < n; pos += KERN_BLOCK) p = load_page(t, pos, n, p);
    t->len = n;
    const State old = *s;
    *s = *t;
    *t = old;
  }
  state_free(t);
  return ok;
}
