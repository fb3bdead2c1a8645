// tags: finds tags in text that arrives in pieces. Owns the held-back bytes that may still become a tag
// (never more than one tag's length); does not own what a tag means. Depends on error.
#pragma once

#include "base/error.h"

enum { TAG_MAX_LEN = 64, TAG_SET_MAX = 8 };

// The tags that count in one mode of a parser. No tag is the beginning of another, so that a match is
// never in doubt; where tags could overlap in the text, the one that begins first wins.
typedef struct TagSet {
  const char *text[TAG_SET_MAX]; // borrowed
  size_t len[TAG_SET_MAX];
  int id[TAG_SET_MAX]; // what tag_push returns
  int n;
  bool first[256]; // the bytes that a tag begins with
} TagSet;

// The longest end of the text so far that begins a tag.
typedef struct TagHold {
  char bytes[TAG_MAX_LEN];
  size_t n;
} TagHold;

// Adds a tag of 1 to TAG_MAX_LEN bytes; `text` must outlive the set.
bool tag_set_add(TagSet *set, int id, const char *text, zaya_error *err);

// How many bytes of p[0..n) certainly are plain text: those before the first that may begin a tag. Only
// meant for an empty hold.
size_t tag_plain(const TagSet *set, const char *p, size_t n);

// Adds one byte. Returns the id of the tag that it completes (the hold is empty then) or -1. The bytes
// that turned out to be plain text, and come before the tag, are `released[0..*n_released)`.
int tag_push(TagHold *hold, const TagSet *set, char c, char released[TAG_MAX_LEN], size_t *n_released);
