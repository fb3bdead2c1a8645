// tok_encode: the way of a text to ids: joined and repaired, added tokens cut out, normalized, added tokens
// of normalized text cut out, pre-tokenized, merged, framed by the template. Depends on tok_impl, utf8,
// unicode.
#include "base/error.h"
#include "base/size.h"
#include "base/utf8.h"
#include "text/tok_impl.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

// A part of the text on its way. Byte i came from byte origin[i] of the joined text as given (origin has
// n + 1 entries), or from byte base + i without an origin.
typedef struct Part {
  const char *s;
  size_t n, base;
  const uint32_t *origin;
} Part;

// A text made by a step, with its origins.
typedef struct Made {
  Buf text;
  uint32_t *origin;
  size_t origin_len, origin_cap;
} Made;

typedef struct Enc {
  const Tok *t;
  const TokSegment *segments;
  size_t n_segments;
  bool any_plain, any_control; // segments of either kind are there
  bool track;                  // origins are needed
  zaya_ids *ids;
  zaya_tokens *tokens;
  size_t end; // of the last token, in the joined text
  Bpe bpe;
  Made repaired, normalized;
  Part part; // that BPE works on
} Enc;

static size_t origin_at(Part p, size_t i) { return p.origin ? p.origin[i] : p.base + i; }

static Part cut(Part p, size_t begin, size_t end) {
  return (Part){p.s + begin, end - begin, p.base + begin, p.origin ? p.origin + begin : NULL};
}

static bool emit(Enc *e, int32_t id, size_t end, zaya_error *err) {
  size_t begin = e->end;
  e->end = end > begin ? end : begin; // a token in white space that another took along has no place left
  if (e->ids && !ids_add(e->ids, id, err)) return false;
  return !e->tokens || tokens_add(e->tokens, (zaya_token){id, begin, e->end}, err);
}

static bool emit_piece(void *user, int32_t id, size_t end, zaya_error *err) {
  Enc *e = user;
  return emit(e, id, origin_at(e->part, end), err);
}

static bool add_origin(Made *m, size_t from, size_t count, bool advance, zaya_error *err) {
  void *data = m->origin;
  if (!buf_grow(&data, &m->origin_cap, m->origin_len + count, sizeof *m->origin, err)) return false;
  m->origin = data;
  for (size_t i = 0; i < count; i++) m->origin[m->origin_len++] = (uint32_t)(from + (advance ? i : 0));
  return true;
}

static void made_free(Made *m) {
  buf_free(&m->text);
  free(m->origin);
}

// --- pre-tokenizer and BPE ----------------------------------------------------------------------

// Length of the first pre-token of s[0..n): up to and with the next split string.
static size_t pre_token(const Tok *t, const char *s, size_t n) {
  const Buf *split = &t->split;
  if (!split->len) return n;
  for (const char *at = s; (at = memchr(at, split->data[0], n - (size_t)(at - s))); at++)
    if (n - (size_t)(at - s) >= split->len && !memcmp(at, split->data, split->len))
      return (size_t)(at - s) + split->len;
  return n;
}

static bool encode_words(Enc *e, Part p, zaya_error *err) {
  while (p.n) {
    size_t n = pre_token(e->t, p.s, p.n);
    e->part = cut(p, 0, n);
    if (!bpe_run(e->t, &e->bpe, p.s, n, emit_piece, e, err)) return false;
    p = cut(p, n, p.n);
  }
  return true;
}

// --- added tokens -------------------------------------------------------------------------------

typedef struct Candidate { // where in the text a match would stand
  const Enc *e;
  Part part;
  size_t at;
} Candidate;

// A control token counts where the whole of it lies in segments that allow it.
static bool may_match(void *user, const TokAdded *a, size_t match) {
  const Candidate *c = user;
  const Enc *e = c->e;
  if (!e->any_plain || !(e->t->pieces[a->id].flags & PIECE_CONTROL)) return true;
  if (!e->any_control) return false;
  size_t begin = origin_at(c->part, c->at), end = origin_at(c->part, c->at + match), at = 0;
  for (size_t i = 0; i < e->n_segments && at < end; at += e->segments[i++].len)
    if (!e->segments[i].control && at + e->segments[i].len > begin && e->segments[i].len) return false;
  return true;
}

static bool word_before(Part p, size_t at) {
  uint32_t cp;
  if (at == 0) return false;
  utf8_prev(p.s, at, &cp);
  return unicode_is_word(cp);
}

static bool word_behind(Part p, size_t at) {
  uint32_t cp;
  if (at == p.n) return false;
  utf8_next(p.s + at, p.n - at, &cp);
  return unicode_is_word(cp);
}

static size_t skip_space_back(Part p, size_t start, size_t at) {
  while (at > start) {
    uint32_t cp;
    size_t len = utf8_prev(p.s + start, at - start, &cp);
    if (!unicode_is_space(cp)) break;
    at -= len;
  }
  return at;
}

static size_t skip_space(Part p, size_t at) {
  while (at < p.n) {
    uint32_t cp;
    size_t len = utf8_next(p.s + at, p.n - at, &cp);
    if (!unicode_is_space(cp)) break;
    at += len;
  }
  return at;
}

typedef bool (*PlainFn)(Enc *e, Part p, zaya_error *err);

// Cuts the added tokens of `trie` out of the text, leftmost and of those longest first; what is between
// goes to `plain`. A match inside a word where single_word forbids it is passed over whole.
static bool split_added(Enc *e, const TokTrie *trie, Part p, PlainFn plain, zaya_error *err) {
  size_t start = 0, i = 0;
  while (i < p.n) {
    if (trie->root[(uint8_t)p.s[i]] < 0) {
      i++;
      continue;
    }
    Candidate c = {e, p, i};
    size_t match;
    int32_t index = added_longest(e->t, trie, p.s + i, p.n - i, may_match, &c, &match);
    if (index < 0) {
      i++;
      continue;
    }
    const TokAdded *a = &e->t->added[index];
    size_t begin = i, end = i += match;
    if (a->single_word && (word_before(p, begin) || word_behind(p, end))) continue;
    if (a->lstrip && begin > start) begin = skip_space_back(p, start, begin);
    if (a->rstrip) end = skip_space(p, end);
    if (begin > start && !plain(e, cut(p, start, begin), err)) return false;
    if (!emit(e, a->id, origin_at(p, end), err)) return false;
    start = end; // an added token in white space that rstrip took is still found, as the reference does
  }
  return start >= p.n || plain(e, cut(p, start, p.n), err);
}

// --- normalizer ---------------------------------------------------------------------------------

// One replacement with its origins: all of what replaces stands for the place of what was replaced.
static bool replace_tracked(const TokReplace *r, Part p, size_t limit, Made *out, zaya_error *err) {
  for (size_t i = 0; i < p.n;) {
    bool here = p.n - i >= r->from.len && !memcmp(p.s + i, r->from.data, r->from.len);
    const char *s = here ? r->to.data : p.s + i;
    size_t n = here ? r->to.len : 1;
    if (!buf_add(&out->text, s, n, err) || !add_origin(out, origin_at(p, i), n, false, err)) return false;
    if (out->text.len > limit)
      return err_set(err, ZAYA_E_LIMIT, "the normalizer makes more than %zu bytes of a text", limit);
    i += here ? r->from.len : 1;
  }
  return add_origin(out, origin_at(p, p.n), 1, false, err);
}

static bool normalize_tracked(Enc *e, Part p, Made *spare, zaya_error *err) {
  Made *from = &e->normalized, *to = spare; // swapped at once: the first step writes to e->normalized
  size_t limit = replaces_limit(p.n);
  for (size_t i = 0; i < e->t->normalizer.len; i++) {
    Made *swap = from;
    from = to;
    to = swap;
    buf_clear(&to->text);
    to->origin_len = 0;
    if (!replace_tracked(&e->t->normalizer.items[i], p, limit, to, err)) return false;
    p = (Part){to->text.data ? to->text.data : "", to->text.len, 0, to->origin};
  }
  if (to != &e->normalized) {
    Made swap = e->normalized;
    e->normalized = *to;
    *to = swap;
  }
  return true;
}

static bool encode_normalized(Enc *e, Part p, zaya_error *err) {
  return split_added(e, &e->t->normalized, p, encode_words, err);
}

static bool encode_plain(Enc *e, Part p, zaya_error *err) {
  const Tok *t = e->t;
  if (t->normalizer.len) {
    Made *m = &e->normalized;
    if (e->track) {
      Made spare = {0};
      bool ok = normalize_tracked(e, p, &spare, err);
      made_free(&spare);
      if (!ok) return false;
    } else {
      buf_clear(&m->text);
      if (!replaces_apply(&t->normalizer, p.s, p.n, &m->text, err)) return false;
    }
    p = (Part){m->text.data ? m->text.data : "", m->text.len, 0, e->track ? m->origin : NULL};
  }
  return t->normalized.len ? encode_normalized(e, p, err) : encode_words(e, p, err);
}

// --- the whole ----------------------------------------------------------------------------------

// The segments as one valid text. A single valid segment is used where it lies.
static bool join(Enc *e, Part *out, zaya_error *err) {
  size_t total = 0;
  for (size_t i = 0; i < e->n_segments; i++) {
    if (!size_add(total, e->segments[i].len, &total) || total > INT32_MAX / 4)
      return err_set(err, ZAYA_E_LIMIT, "a text of more than %d bytes cannot be encoded at once",
                     INT32_MAX / 4);
    e->any_plain |= !e->segments[i].control && e->segments[i].len;
    e->any_control |= e->segments[i].control && e->segments[i].len;
  }
  Made *m = &e->repaired;
  *out = (Part){"", 0, 0, NULL};
  if (total == 0) return true;
  if (e->n_segments == 1) {
    *out = (Part){e->segments[0].text, total, 0, NULL};
  } else {
    for (size_t i = 0; i < e->n_segments; i++)
      if (!buf_add(&m->text, e->segments[i].text, e->segments[i].len, err)) return false;
    *out = (Part){m->text.data, total, 0, NULL};
  }
  return true;
}

static bool repair(Enc *e, Part *p, Made *out, zaya_error *err) {
  if (utf8_valid_prefix(p->s, p->n) == p->n) return true;
  for (size_t i = 0, n; i < p->n; i += n) {
    uint32_t cp;
    n = utf8_next(p->s + i, p->n - i, &cp);
    bool bad = cp == UTF8_BAD;
    if (!buf_add(&out->text, bad ? "\xEF\xBF\xBD" : p->s + i, bad ? 3 : n, err)) return false;
    if (e->track && !add_origin(out, i, bad ? 3 : n, !bad, err)) return false;
  }
  if (e->track && !add_origin(out, p->n, 1, false, err)) return false;
  *p = (Part){out->text.data, out->text.len, 0, out->origin};
  return true;
}

static bool emit_template(Enc *e, const zaya_ids *ids, zaya_error *err) {
  for (size_t i = 0; i < ids->len; i++)
    if (!emit(e, ids->data[i], e->end, err)) return false;
  return true;
}

bool tok_encode_segments(const Tok *t, const TokSegment *segments, size_t n, unsigned flags, zaya_ids *ids,
                         zaya_tokens *tokens, zaya_error *err) {
  Enc e = {.t = t, .segments = segments, .n_segments = n, .ids = ids, .tokens = tokens};
  Made valid = {0};
  Part p = {0};
  size_t n_ids = ids ? ids->len : 0, n_tokens = tokens ? tokens->len : 0;
  bool ok = join(&e, &p, err);
  e.track = tokens || (e.any_plain && e.any_control);
  e.bpe.plain = e.any_plain;
  ok = ok && repair(&e, &p, &valid, err);
  ok = ok && (!(flags & TOK_TEMPLATE) || emit_template(&e, &t->before, err));
  ok = ok && split_added(&e, &t->raw, p, encode_plain, err);
  ok = ok && (!(flags & TOK_TEMPLATE) || emit_template(&e, &t->after, err));
  if (!ok && ids) ids->len = n_ids;
  if (!ok && tokens) tokens->len = n_tokens;
  made_free(&valid);
  made_free(&e.repaired);
  made_free(&e.normalized);
  bpe_free(&e.bpe);
  return ok;
}

bool tok_encode(const Tok *t, const char *text, size_t len, unsigned flags, zaya_ids *out, zaya_error *err) {
  TokSegment segment = {text, len, (flags & TOK_CONTROL) != 0};
  return tok_encode_segments(t, &segment, 1, flags, out, NULL, err);
}
