// chat_edit: see chat_edit.h.
#include "chat_edit.h"

#ifdef ZAYA_WITH_EDIT

#include "chat_term.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

// Pasted text that has more lines stands in the line as a mark and takes its place when the line is done: the
// editor shows one screen at most.
enum { PASTE_LINES = 6, PASTE_BYTES = 2000, HISTORY_SIZE = 1000 };

typedef struct Paste {
  char mark[48];
  char *text;
} Paste;

struct ChatEdit {
  ChatLineParams params;
  EditLine *el;
  History *history;
  char *prefill;
  Paste *pastes;
  size_t n_pastes;
  bool more, interrupted, typed, ended; // typed: there was something in the line that was interrupted
  char prompt[2][32];                   // of the first line, of a further one
};

static bool out_of_memory(zaya_error *err) {
  err->status = ZAYA_E_MEMORY;
  snprintf(err->message, sizeof err->message, "out of memory");
  return false;
}

static bool append(zaya_text *t, const char *text, size_t n, zaya_error *err) {
  if (t->cap - t->len <= n) {
    const size_t cap = (t->len + n + 64) * 2;
    char *data = realloc(t->data, cap);
    if (!data) return out_of_memory(err);
    t->data = data;
    t->cap = cap;
  }
  memcpy(t->data + t->len, text, n);
  t->len += n;
  t->data[t->len] = '\0';
  return true;
}

static ChatEdit *self(EditLine *el) {
  ChatEdit *e = NULL;
  el_get(el, EL_CLIENTDATA, &e);
  return e;
}

static char *prompt_of(EditLine *el) {
  ChatEdit *e = self(el);
  return e->prompt[e->more];
}

// --- input ---------------------------------------------------------------------------------------

// A byte, with signals seen to; negative when the line is over.
static int next_byte(ChatEdit *e) {
  for (;;) {
    const int b = chat_term_byte();
    if (b >= 0) return b;
    if (b == CHAT_TERM_EOF || chat_term_leaving()) {
      e->ended = true;
      return -1;
    }
    if (chat_term_interrupted()) {
      chat_term_forget();
      e->interrupted = true;
      return -1;
    }
    if (chat_term_changed()) { // the line is drawn anew where the cursor is now
      fputs("\r\033[J", stdout);
      el_resize(e->el);
      el_set(e->el, EL_REFRESH);
    }
  }
}

// A key that no keyboard sends: only a command may change what the editor shows.
static const wchar_t draw_key = 0x1c;

// Ctrl-C: the cursor goes to the end, so that what is printed next does not go into the line.
static int interrupt(ChatEdit *e, wchar_t *out) {
  const LineInfo *info = el_line(e->el);
  e->typed = info->lastchar > info->buffer;
  el_cursor(e->el, (int)(info->lastchar - info->cursor));
  *out = draw_key;
  return 1;
}

// A character for the editor: 1; 0 or -1 end the line.
static int get_char(EditLine *el, wchar_t *out) {
  ChatEdit *e = self(el);
  if (e->interrupted || e->ended) return e->ended ? 0 : -1;
  if (e->prefill) {
    el_insertstr(el, e->prefill);
    free(e->prefill);
    e->prefill = NULL;
    *out = draw_key;
    return 1;
  }
  mbstate_t state = {0};
  for (;;) {
    const int b = next_byte(e);
    if (b < 0 && e->interrupted) return interrupt(e, out);
    if (b < 0) return 0;
    const char c = (char)b;
    const size_t n = mbrtowc(out, &c, 1, &state);
    if (n == (size_t)-1)
      memset(&state, 0, sizeof state); // not UTF-8: left out
    else if (n != (size_t)-2)
      return 1;
  }
}

// --- keys ----------------------------------------------------------------------------------------

static unsigned char key_draw(EditLine *el, int c) {
  (void)el;
  (void)c;
  return CC_REFRESH;
}

static unsigned char key_newline(EditLine *el, int c) {
  (void)c;
  el_insertstr(el, "\n");
  return CC_REFRESH;
}

// Whether `b` is the second half of a line's end, of which `*before` was the first. The editor has the
// terminal exchange CR and LF, so that they come in either order.
static bool ends_line_again(int b, int *before) {
  const bool again = (b == '\n' && *before == '\r') || (b == '\r' && *before == '\n');
  *before = again ? 0 : b;
  return again;
}

// What the terminal brackets as pasted, without the characters that would drive it. Lines end with CR, LF or
// both.
static bool read_paste(ChatEdit *e, zaya_text *text) {
  static const char end[] = "\033[201~";
  const size_t n_end = sizeof end - 1;
  for (int before = 0;;) {
    const int b = next_byte(e);
    if (b < 0) return false;
    if (ends_line_again(b, &before)) continue;
    const char c = (char)(b == '\r' ? '\n' : b);
    if (!append(text, &c, 1, &(zaya_error){0})) return false;
    if (text->len >= n_end && !memcmp(text->data + text->len - n_end, end, n_end)) break;
  }
  size_t n = 0;
  for (size_t i = 0; i + n_end < text->len; i++) {
    const unsigned char c = (unsigned char)text->data[i];
    if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t') text->data[n++] = (char)c;
  }
  while (n && text->data[n - 1] == '\n') n--;
  text->data[n] = '\0';
  text->len = n;
  return true;
}

// Keeps a long paste aside; the mark that stands for it, or NULL.
static const char *keep_paste(ChatEdit *e, const zaya_text *text, size_t lines) {
  Paste *pastes = realloc(e->pastes, (e->n_pastes + 1) * sizeof *pastes);
  if (!pastes) return NULL;
  e->pastes = pastes;
  Paste *p = &pastes[e->n_pastes];
  p->text = strdup(text->data);
  if (!p->text) return NULL;
  snprintf(p->mark, sizeof p->mark, "[paste %zu: %zu lines]", ++e->n_pastes, lines);
  return p->mark;
}

static unsigned char key_paste(EditLine *el, int c) {
  ChatEdit *e = self(el);
  zaya_text text = {0};
  (void)c;
  const bool whole = read_paste(e, &text);
  if (whole && text.len) {
    size_t lines = 1;
    for (const char *p = text.data; (p = strchr(p, '\n')); p++) lines++;
    const bool large = lines > PASTE_LINES || text.len > PASTE_BYTES;
    const char *mark = large ? keep_paste(e, &text, lines) : NULL;
    el_insertstr(el, mark ? mark : text.data);
  }
  zaya_text_free(&text);
  return CC_REFRESH;
}

static size_t common_prefix(const json_t *words) {
  const char *first = json_string_value(json_array_get(words, 0));
  size_t n = strlen(first), i;
  const json_t *word;
  json_array_foreach(words, i, word) {
    size_t k = 0;
    while (k < n && json_string_value(word)[k] == first[k]) k++;
    n = k;
  }
  while (n && ((unsigned char)first[n] & 0xc0) == 0x80) n--; // whole characters
  return n;
}

static void list_words(const json_t *words) {
  size_t i, width = 0;
  const json_t *word;
  json_array_foreach(words, i, word) width =
      strlen(json_string_value(word)) > width ? strlen(json_string_value(word)) : width;
  const size_t columns = width + 2 < 80 ? 80 / (width + 2) : 1;
  putchar('\n');
  json_array_foreach(words, i, word) {
    const bool last = i + 1 == json_array_size(words) || (i + 1) % columns == 0;
    printf("%-*s%s", last ? 0 : (int)width + 2, json_string_value(word), last ? "\n" : "");
  }
}

static unsigned char key_complete(EditLine *el, int c) {
  ChatEdit *e = self(el);
  const LineInfo *info = el_line(el);
  const size_t n = (size_t)(info->cursor - info->buffer);
  (void)c;
  char *line = strndup(info->buffer, n);
  size_t start = 0;
  json_t *words = line && e->params.complete ? e->params.complete(e->params.user, line, &start) : NULL;
  unsigned char what = CC_ERROR; // a beep
  if (json_array_size(words)) {
    const char *first = json_string_value(json_array_get(words, 0));
    const size_t known = n - start, common = common_prefix(words);
    const bool one = json_array_size(words) == 1;
    char *insert = common >= known ? strndup(first + known, common - known) : NULL;
    what = CC_REFRESH;
    if (insert && *insert) el_insertstr(el, insert);
    if (one && common && first[common - 1] != '/') el_insertstr(el, " ");
    if (!one && insert && !*insert) {
      list_words(words);
      what = CC_REDISPLAY;
    }
    free(insert);
  }
  json_decref(words);
  free(line);
  return what;
}

static void bind_keys(EditLine *el) {
  static const char *const keys[][2] = {
      {"^\\", "chat-draw"},         {"\\e[200~", "chat-paste"},        {"\\e^J", "chat-newline"},
      {"\\e^M", "chat-newline"},    {"^I", "chat-complete"},           {"^W", "ed-delete-prev-word"},
      {"^R", "em-inc-search-prev"}, {"\\e[3~", "ed-delete-next-char"}, {"\\e[1~", "ed-move-to-beg"},
      {"\\e[4~", "ed-move-to-end"}, {"\\e[H", "ed-move-to-beg"},       {"\\e[F", "ed-move-to-end"},
      {"\\eOH", "ed-move-to-beg"},  {"\\eOF", "ed-move-to-end"},       {"\\e[1;5D", "ed-prev-word"},
      {"\\e[1;5C", "em-next-word"}, {"\\e[1;3D", "ed-prev-word"},      {"\\e[1;3C", "em-next-word"},
  };
  // The wide call keeps the texts as they are; the narrow one leaks copies of them.
  el_wset(el, EL_ADDFN, L"chat-draw", L"show what was changed", key_draw);
  el_wset(el, EL_ADDFN, L"chat-paste", L"insert pasted text", key_paste);
  el_wset(el, EL_ADDFN, L"chat-newline", L"insert a new line", key_newline);
  el_wset(el, EL_ADDFN, L"chat-complete", L"complete a word", key_complete);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) el_set(el, EL_BIND, keys[i][0], keys[i][1], NULL);
}

// --- life ----------------------------------------------------------------------------------------

// The editor works on wide characters, which the C library makes from bytes by the locale: one with UTF-8.
static void set_locale(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
}

ChatEdit *chat_edit_new(const ChatLineParams *params, zaya_error *err) {
  ChatEdit *e = calloc(1, sizeof *e);
  if (!e) {
    out_of_memory(err);
    return NULL;
  }
  e->params = *params;
  e->params.history = params->history ? strdup(params->history) : NULL;
  const char *on = params->colour ? "\1\033[1;32m\1" : "", *off = params->colour ? "\1\033[0m\1" : "";
  snprintf(e->prompt[0], sizeof e->prompt[0], "%s>%s ", on, off);
  snprintf(e->prompt[1], sizeof e->prompt[1], "%s...%s ", on, off);
  set_locale();
  HistEvent event;
  e->history = history_init();
  e->el = e->history ? el_init("zaya", stdin, stdout, stderr) : NULL;
  if (!e->el) {
    chat_edit_free(e);
    out_of_memory(err);
    return NULL;
  }
  history(e->history, &event, H_SETSIZE, HISTORY_SIZE);
  history(e->history, &event, H_SETUNIQUE, 1);
  if (params->history) history(e->history, &event, H_LOAD, params->history);
  el_set(e->el, EL_CLIENTDATA, e);
  el_set(e->el, EL_EDITOR, "emacs");
  el_set(e->el, EL_PROMPT_ESC, prompt_of, '\1');
  el_set(e->el, EL_HIST, history, e->history);
  el_set(e->el, EL_GETCFN, get_char);
  bind_keys(e->el);
  el_source(e->el, NULL); // ~/.editrc
  return e;
}

static void forget_pastes(ChatEdit *e) {
  for (size_t i = 0; i < e->n_pastes; i++) free(e->pastes[i].text);
  free(e->pastes);
  e->pastes = NULL;
  e->n_pastes = 0;
}

void chat_edit_free(ChatEdit *e) {
  if (!e) return;
  forget_pastes(e);
  if (e->el) el_end(e->el);
  if (e->history) history_end(e->history);
  free((char *)e->params.history);
  free(e->prefill);
  free(e);
}

void chat_edit_prefill(ChatEdit *e, const char *text) {
  free(e->prefill);
  e->prefill = strdup(text);
}

void chat_edit_remember(ChatEdit *e, const char *text) {
  HistEvent event;
  history(e->history, &event, H_ENTER, text);
  if (!e->params.history) return;
  char part[4096];
  const int n = snprintf(part, sizeof part, "%s.%ld", e->params.history, (long)getpid());
  if (n < 0 || (size_t)n >= sizeof part) return;
  const mode_t mask = umask(077);
  const bool written = history(e->history, &event, H_SAVE, part) >= 0;
  umask(mask);
  if (!written || rename(part, e->params.history) != 0) remove(part); // the history is a comfort: no error
}

// The line with the pastes in the places of their marks.
static bool expand(ChatEdit *e, const char *line, size_t n, zaya_text *out, zaya_error *err) {
  const char *end = line + n;
  while (line < end) {
    const Paste *found = NULL;
    const char *at = end;
    for (size_t i = 0; i < e->n_pastes; i++) {
      const char *p = strstr(line, e->pastes[i].mark);
      if (p && p < at) at = p, found = &e->pastes[i];
    }
    if (!append(out, line, (size_t)(at - line), err)) return false;
    if (found && !append(out, found->text, strlen(found->text), err)) return false;
    line = found ? at + strlen(found->mark) : end;
  }
  return true;
}

ChatLineEvent chat_edit_read(ChatEdit *e, bool more, zaya_text *out, zaya_error *err) {
  int n = 0;
  e->more = more;
  e->interrupted = e->ended = false;
  chat_term_set(CHAT_TERM_EDIT);
  // Before the prompt is there: the editor itself would let the terminal edit the first keys, byte by byte.
  el_set(e->el, EL_PREP_TERM, 1);
  const char *line = el_gets(e->el, &n);
  ChatLineEvent event = CHAT_LINE_END;
  if (e->interrupted) {
    fputs("^C\n", stdout);
    event = CHAT_LINE_INTERRUPT;
    if (e->typed && !append(out, "^C", 2, err)) event = CHAT_LINE_FAILED;
  } else if (line && n > 0 && !e->ended) {
    if (line[n - 1] == '\n') n--;
    event = expand(e, line, (size_t)n, out, err) ? CHAT_LINE_TEXT : CHAT_LINE_FAILED;
  }
  if (event == CHAT_LINE_END) putchar('\n');
  fflush(stdout);
  forget_pastes(e);
  chat_term_set(CHAT_TERM_PLAIN);
  return event;
}

#endif
