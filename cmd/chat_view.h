// chat_view: an answer while it is written, as the user sees it: text as render streams it, thinking folded
// into one line that counts. Owns that line; the rest is render's. Depends on render, common.
#pragma once

#include "zaya/zaya.h"

typedef struct ChatView ChatView;

typedef struct ChatViewParams {
  bool interactive;   // the line that counts is drawn
  bool colour;        // it is dim
  bool show_thinking; // as text, not folded
  bool silent;        // nothing is printed at all
} ChatViewParams;

ChatView *chat_view_new(const ChatViewParams *params, zaya_error *err);
void chat_view_free(ChatView *view);
// The prompt is being read.
void chat_view_reading(ChatView *view, size_t done, size_t total);
void chat_view_event(ChatView *view, const zaya_output_event *event);
// The answer is over; what hangs is finished.
void chat_view_end(ChatView *view);
