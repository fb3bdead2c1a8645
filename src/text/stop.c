// stop: see stop.h.
#include "text/stop.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

struct Stop {
  Buf *strings;
  size_t n;
  Buf held;    // the text not handed out yet
  size_t seen; // bytes of `held` that were looked at as ends of a stop string
  int found;
};

Stop *stop_new(const char *const *strings, size_t n, zaya_error *err) {
  Stop *s = calloc(1, sizeof *s);
  if (!s || (n && !(s->strings = calloc(n, sizeof *s->strings)))) {
    free(s);
    err_memory(err, n, "stop strings");
    return NULL;
  }
  s->found = -1;
  for (bool ok = true; s->n < n; s->n++) {
    const char *text = strings[s->n];
    if (!text[0]) ok = err_set(err, ZAYA_E_INVALID, "stop string %zu is empty", s->n + 1);
    if (ok && utf8_valid_prefix(text, strlen(text)) != strlen(text))
      ok = err_set(err, ZAYA_E_INVALID, "stop string %zu is not valid UTF-8", s->n + 1);
    if (!ok || !buf_puts(&s->strings[s->n], text, err)) {
      stop_free(s);
      return NULL;
    }
  }
  return s;
}

void stop_free(Stop *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n; i++) buf_free(&s->strings[i]);
  free(s->strings);
  buf_free(&s->held);
  free(s);
}

void stop_reset(Stop *s) {
  buf_clear(&s->held);
  s->seen = 0;
  s->found = -1;
}

int stop_found(const Stop *s) { return s->found; }

// The longest stop string that ends at held[end), -1: none.
static int ends_at(const Stop *s, size_t end) {
  int best = -1;
  for (size_t i = 0; i < s->n; i++) {
    const Buf *t = &s->strings[i];
    if (t->len <= end && !memcmp(s->held.data + end - t->len, t->data, t->len) &&
        (best < 0 || t->len > s->strings[best].len))
      best = (int)i;
  }
  return best;
}

// How many bytes at the end of `held` are the start of a stop string.
static size_t may_begin(const Stop *s) {
  size_t longest = 0;
  for (size_t i = 0; i < s->n; i++) {
    const Buf *t = &s->strings[i];
    size_t k = t->len - 1 < s->held.len ? t->len - 1 : s->held.len;
    for (; k > longest; k--)
      if (!memcmp(s->held.data + s->held.len - k, t->data, k)) longest = k;
  }
  return longest;
}

static bool hand_out(Stop *s, size_t n, Buf *out, zaya_error *err) {
  if (!n) return true;
  if (!buf_add(out, s->held.data, n, err)) return false;
  memmove(s->held.data, s->held.data + n, s->held.len - n);
  s->held.len -= n;
  s->held.data[s->held.len] = '\0';
  s->seen = s->held.len;
  return true;
}

bool stop_feed(Stop *s, const char *text, size_t len, Buf *out, zaya_error *err) {
  if (s->found >= 0 || !len) return true;
  if (!buf_add(&s->held, text, len, err)) return false;
  for (size_t end = s->seen + 1; end <= s->held.len; end++) {
    int hit = ends_at(s, end);
    if (hit < 0) continue;
    if (!hand_out(s, end - s->strings[hit].len, out, err)) return false;
    s->found = hit;
    buf_clear(&s->held);
    s->seen = 0;
    return true;
  }
  s->seen = s->held.len;
  size_t keep = may_begin(s), half = utf8_incomplete_tail(s->held.data, s->held.len);
  return hand_out(s, s->held.len - (keep > half ? keep : half), out, err);
}

bool stop_flush(Stop *s, Buf *out, zaya_error *err) {
  if (!utf8_repair(out, s->held.data, s->held.len, err)) return false;
  buf_clear(&s->held);
  s->seen = 0;
  return true;
}
