// chat_line: see chat_line.h.
#include "chat_line.h"

#include "chat_edit.h"
#include "chat_term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ChatLine {
  ChatLineParams params;
  ChatEdit *edit; // NULL: lines are just read
};

static bool append_byte(zaya_text *t, int c) {
  if (t->cap - t->len < 2) {
    const size_t cap = (t->cap + 64) * 2;
    char *data = realloc(t->data, cap);
    if (!data) return false;
    t->data = data;
    t->cap = cap;
  }
  t->data[t->len++] = (char)c;
  t->data[t->len] = '\0';
  return true;
}

#ifdef ZAYA_WITH_EDIT
static bool can_edit(void) {
  const char *term = getenv("TERM");
  return term && *term && strcmp(term, "dumb") != 0;
}
#endif

ChatLine *chat_line_new(const ChatLineParams *params, zaya_error *err) {
  ChatLine *l = calloc(1, sizeof *l);
  if (!l) {
    err->status = ZAYA_E_MEMORY;
    snprintf(err->message, sizeof err->message, "out of memory");
    return NULL;
  }
  l->params = *params;
#ifdef ZAYA_WITH_EDIT
  if (params->interactive && can_edit()) {
    l->edit = chat_edit_new(params, err);
    if (!l->edit) {
      free(l);
      return NULL;
    }
  }
#endif
  return l;
}

void chat_line_free(ChatLine *l) {
  if (!l) return;
#ifdef ZAYA_WITH_EDIT
  chat_edit_free(l->edit);
#endif
  free(l);
}

bool chat_line_prefill(ChatLine *l, const char *text) {
#ifdef ZAYA_WITH_EDIT
  if (l->edit) chat_edit_prefill(l->edit, text);
#endif
  (void)text;
  return l->edit != NULL;
}

// Appends a line without its newline.
static ChatLineEvent read_plain(const ChatLine *l, bool more, zaya_text *out, zaya_error *err) {
  const size_t before = out->len;
  if (l->params.interactive) fputs(more ? "... " : "> ", stdout);
  fflush(stdout);
  for (;;) {
    const int c = chat_term_byte();
    if (c == CHAT_TERM_EOF) return out->len > before ? CHAT_LINE_TEXT : CHAT_LINE_END;
    if (c == CHAT_TERM_SIGNAL && chat_term_leaving()) return CHAT_LINE_END;
    if (c == CHAT_TERM_SIGNAL && chat_term_interrupted()) {
      chat_term_forget();
      return CHAT_LINE_INTERRUPT;
    }
    if (c == CHAT_TERM_SIGNAL) continue;
    if (c == '\n') break;
    if (!append_byte(out, c)) {
      err->status = ZAYA_E_MEMORY;
      snprintf(err->message, sizeof err->message, "out of memory");
      return CHAT_LINE_FAILED;
    }
  }
  if (out->len > before && out->data[out->len - 1] == '\r') out->data[--out->len] = '\0';
  return CHAT_LINE_TEXT;
}

static ChatLineEvent read_line(ChatLine *l, bool more, zaya_text *out, zaya_error *err) {
#ifdef ZAYA_WITH_EDIT
  if (l->edit) return chat_edit_read(l->edit, more, out, err);
#endif
  return read_plain(l, more, out, err);
}

static const char quotes[] = "\"\"\"";

// Where a block begins: at the start, or behind a command's name. NULL: none does.
static char *block_start(char *text) {
  char *p = text;
  if (*p == '/') {
    p += strcspn(p, " \t\n");
    p += strspn(p, " \t");
  }
  return strncmp(p, quotes, 3) ? NULL : p;
}

static bool block_ends(const zaya_text *text, const char *start) {
  return text->data + text->len >= start + 6 && !strcmp(text->data + text->len - 3, quotes);
}

// Takes the quotes away, and the newlines that set them apart.
static void strip_block(zaya_text *text, char *start) {
  size_t skip = start[3] == '\n' ? 4 : 3;
  text->len -= 3;
  if (text->data + text->len > start + skip && text->data[text->len - 1] == '\n') text->len--;
  if (text->data + text->len < start + skip) skip = (size_t)(text->data + text->len - start);
  text->data[text->len] = '\0';
  memmove(start, start + skip, strlen(start + skip) + 1);
  text->len -= skip;
}

ChatLineEvent chat_line_read(ChatLine *l, zaya_text *out, zaya_error *err) {
  out->len = 0;
  if (!append_byte(out, '\0')) return CHAT_LINE_FAILED; // there is a string, if an empty one
  out->len = 0;
  ChatLineEvent event = read_line(l, false, out, err);
  for (;;) {
    if (event != CHAT_LINE_TEXT) return event;
    char *block = block_start(out->data);
    const bool open = block && !block_ends(out, block);
    const bool joined = !block && out->len && out->data[out->len - 1] == '\\';
    if (!open && !joined) {
      if (block) strip_block(out, block);
      break;
    }
    if (joined) out->len--;
    if (!append_byte(out, '\n')) return CHAT_LINE_FAILED;
    event = read_line(l, true, out, err);
    if (event == CHAT_LINE_END && !l->params.interactive) { // what there is counts
      out->data[--out->len] = '\0';
      break;
    }
  }
#ifdef ZAYA_WITH_EDIT
  if (l->edit && out->len) chat_edit_remember(l->edit, out->data);
#endif
  return CHAT_LINE_TEXT;
}
