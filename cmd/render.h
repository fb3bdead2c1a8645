// render: the events of an answer on standard output: streamed text, or one JSON object at the end.
#pragma once

#include "zaya/zaya.h"

#include <stdio.h>

typedef enum RenderMode { RENDER_STREAM, RENDER_JSON } RenderMode;

typedef struct Render Render;

// reasoning: "show", "hide", "only" or NULL (show on a terminal, hide in a pipe).
Render *render_new(RenderMode mode, const char *reasoning, zaya_error *err);
void render_free(Render *r);
void render_event(Render *r, const zaya_output_event *event);
// The answer is over; result NULL when it failed. The JSON object is printed here.
void render_end(Render *r, const zaya_generate_result *result, uint64_t seed);
// Writes text for a terminal: control characters, which could drive it, become U+FFFD.
void render_safe(FILE *out, const char *text, size_t len);
