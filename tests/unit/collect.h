// collect: gathers the events of an output parser as one line of text, in which pieces that follow one
// another are joined, so that two ways of cutting the same output compare as strings. Shared by the tests
// and the fuzz target of the parser.
//
//   R0(reasoning)  D0 or T0 (block done, truncated)  C(content)  K0(name) A0(arguments)
//   E0(name|known|mistyped|arguments|raw)  B0(name|truncated|reason|raw)  .
#pragma once

#include "zaya/zaya.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Collect {
  char *log;
  size_t len, cap;
  int open_kind; // of the piece that may go on, -1: none
  size_t open_index;
  size_t raw_bytes; // sum of raw_len
  size_t stop_at;   // refuse the event of this number (from 1); 0: never
  bool brief;       // leave out A() and the reasons in B()
  size_t events;
} Collect;

static void collect_add(Collect *c, const char *p, size_t n) {
  if (c->len + n + 1 > c->cap) {
    c->cap = (c->len + n + 1) * 2;
    c->log = realloc(c->log, c->cap);
    if (!c->log) abort();
  }
  if (n) memcpy(c->log + c->len, p, n);
  c->len += n;
  c->log[c->len] = '\0';
}

static void collect_close(Collect *c) {
  if (c->open_kind >= 0) collect_add(c, ") ", 2);
  c->open_kind = -1;
}

static bool collect_event(void *user, const zaya_output_event *e) {
  Collect *c = user;
  if (++c->events == c->stop_at) return false;
  if (strlen(e->text) != e->len && !memchr(e->text, 0, e->len)) abort(); // NUL-terminated
  bool piece = e->kind == ZAYA_OUTPUT_REASONING || e->kind == ZAYA_OUTPUT_CONTENT ||
               e->kind == ZAYA_OUTPUT_CALL_ARGUMENTS;
  char head[64];
  if (c->brief && e->kind == ZAYA_OUTPUT_CALL_ARGUMENTS) return true;
  if (piece) {
    if (c->open_kind != (int)e->kind || c->open_index != e->index) {
      collect_close(c);
      c->open_kind = (int)e->kind;
      c->open_index = e->index;
      if (e->kind == ZAYA_OUTPUT_CONTENT)
        snprintf(head, sizeof head, "C(");
      else
        snprintf(head, sizeof head, "%c%zu(", e->kind == ZAYA_OUTPUT_REASONING ? 'R' : 'A', e->index);
      collect_add(c, head, strlen(head));
    }
    collect_add(c, e->text, e->len);
    return true;
  }
  collect_close(c);
  const char *name = e->name ? e->name : "-";
  switch (e->kind) {
  case ZAYA_OUTPUT_REASONING_DONE:
    snprintf(head, sizeof head, "%c%zu ", e->truncated ? 'T' : 'D', e->index);
    collect_add(c, head, strlen(head));
    return true;
  case ZAYA_OUTPUT_END: collect_add(c, ".", 1); return true;
  case ZAYA_OUTPUT_CALL: snprintf(head, sizeof head, "K%zu(", e->index); break;
  case ZAYA_OUTPUT_CALL_DONE: snprintf(head, sizeof head, "E%zu(", e->index); break;
  default: snprintf(head, sizeof head, "B%zu(", e->index);
  }
  collect_add(c, head, strlen(head));
  collect_add(c, name, strlen(name));
  if (e->kind != ZAYA_OUTPUT_CALL) {
    if (e->kind == ZAYA_OUTPUT_CALL_DONE)
      snprintf(head, sizeof head, "|%d|%zu|", e->known, e->mistyped);
    else
      snprintf(head, sizeof head, "|%d|", e->truncated);
    collect_add(c, head, strlen(head));
    if (!c->brief || e->kind != ZAYA_OUTPUT_CALL_BAD) collect_add(c, e->text, e->len);
    collect_add(c, "|", 1);
    collect_add(c, e->raw, e->raw_len);
    c->raw_bytes += e->raw_len;
  }
  collect_add(c, ") ", 2);
  return true;
}

static void collect_reset(Collect *c) {
  c->len = c->raw_bytes = c->events = 0;
  c->open_kind = -1;
  collect_add(c, "", 0);
}

static void collect_free(Collect *c) { free(c->log); }
