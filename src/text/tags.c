// tags: see tags.h.
#include "text/tags.h"

#include <string.h>

bool tag_set_add(TagSet *set, int id, const char *text, zaya_error *err) {
  size_t len = strlen(text);
  if (len == 0 || len > TAG_MAX_LEN)
    return err_set(err, ZAYA_E_INVALID, "the tag \"%.80s\" has %zu bytes: expected 1 to %d", text, len,
                   TAG_MAX_LEN);
  if (set->n == TAG_SET_MAX) return err_set(err, ZAYA_E_LIMIT, "more than %d tags", TAG_SET_MAX);
  for (int i = 0; i < set->n; i++) {
    size_t common = len < set->len[i] ? len : set->len[i];
    if (!memcmp(text, set->text[i], common))
      return err_set(err, ZAYA_E_INVALID,
                     "the tags \"%s\" and \"%s\" cannot be told apart: one begins with the other", text,
                     set->text[i]);
  }
  set->text[set->n] = text;
  set->len[set->n] = len;
  set->id[set->n++] = id;
  set->first[(unsigned char)text[0]] = true;
  return true;
}

size_t tag_plain(const TagSet *set, const char *p, size_t n) {
  size_t i = 0;
  while (i < n && !set->first[(unsigned char)p[i]]) i++;
  return i;
}

// Looks at the hold as the beginning of a tag: its index when it is the whole tag, -1 when it is a
// beginning, -2 when it is neither.
static int look(const TagHold *hold, const TagSet *set) {
  for (int i = 0; i < set->n; i++)
    if (hold->n <= set->len[i] && !memcmp(hold->bytes, set->text[i], hold->n))
      return hold->n == set->len[i] ? i : -1;
  return -2;
}

int tag_push(TagHold *hold, const TagSet *set, char c, char released[TAG_MAX_LEN], size_t *n_released) {
  size_t out = 0;
  hold->bytes[hold->n++] = c; // there is room: a full hold would have been a tag
  int tag = -2;
  while (hold->n && (tag = look(hold, set)) == -2) {
    // The first byte begins no tag. Every byte leaves once, so this stays linear.
    released[out++] = hold->bytes[0];
    memmove(hold->bytes, hold->bytes + 1, --hold->n);
  }
  *n_released = out;
  if (tag < 0) return -1;
  hold->n = 0;
  return set->id[tag];
}
