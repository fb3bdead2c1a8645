// chat_view: see chat_view.h.
#include "chat_view.h"

#include "common.h"
#include "render.h"

#include <stdarg.h>
#include <stdlib.h>

struct ChatView {
  ChatViewParams params;
  Render *render;
  double started;  // of reading, then of the thinking
  double redrawn;  // when the line was drawn last
  bool drawn;      // it stands there
  bool thinking;   // a block is open
  size_t thoughts; // pieces of it
};

ChatView *chat_view_new(const ChatViewParams *params, zaya_error *err) {
  ChatView *v = calloc(1, sizeof *v);
  if (!v) {
    err->status = ZAYA_E_MEMORY;
    snprintf(err->message, sizeof err->message, "out of memory");
    return NULL;
  }
  v->params = *params;
  v->render = render_new(RENDER_STREAM, params->show_thinking ? "show" : "hide", err);
  v->started = now_seconds();
  if (v->render) return v;
  free(v);
  return NULL;
}

void chat_view_free(ChatView *v) {
  if (!v) return;
  render_free(v->render);
  free(v);
}

// Draws the line anew; at most ten times a second unless `last`, which leaves it standing.
static void draw(ChatView *v, bool last, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void draw(ChatView *v, bool last, const char *fmt, ...) {
  const double now = now_seconds();
  if (!last && v->drawn && now - v->redrawn < 0.1) return;
  v->redrawn = now;
  v->drawn = !last;
  va_list args;
  va_start(args, fmt);
  fputs(v->params.colour ? "\r\033[K\033[2m" : "\r\033[K", stdout);
  vprintf(fmt, args);
  fputs(v->params.colour ? "\033[0m" : "", stdout);
  if (last) putchar('\n');
  fflush(stdout);
  va_end(args);
}

static void erase(ChatView *v) {
  if (v->drawn) fputs("\r\033[K", stdout);
  v->drawn = false;
}

static bool folds(const ChatView *v) { return v->params.interactive && !v->params.show_thinking; }

void chat_view_reading(ChatView *v, size_t done, size_t total) {
  if (v->params.silent || !v->params.interactive || now_seconds() - v->started < 0.5) return;
  draw(v, false, "reading... %zu of %zu tokens", done, total);
}

static void end_thinking(ChatView *v) {
  if (v->thinking && folds(v))
    draw(v, true, "thought for %zu token%s, %.0f s", v->thoughts, v->thoughts == 1 ? "" : "s",
         now_seconds() - v->started);
  v->thinking = false;
}

void chat_view_event(ChatView *v, const zaya_output_event *e) {
  if (v->params.silent) return;
  if (e->kind == ZAYA_OUTPUT_REASONING) {
    if (!v->thinking) {
      v->started = now_seconds();
      v->thoughts = 0;
    }
    v->thinking = true;
    v->thoughts++;
    if (folds(v)) draw(v, false, "thinking... %zu tokens, %.0f s", v->thoughts, now_seconds() - v->started);
  }
  if (e->kind == ZAYA_OUTPUT_REASONING_DONE) end_thinking(v);
  if (e->kind != ZAYA_OUTPUT_REASONING || v->params.show_thinking) erase(v);
  render_event(v->render, e);
}

void chat_view_end(ChatView *v) {
  if (v->params.silent) return;
  end_thinking(v);
  erase(v);
  render_end(v->render, NULL, 0);
  fflush(stdout);
}
