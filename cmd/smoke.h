// smoke: the questions that show whether a model answers coherently, put to a bundle or to a server.
// smoke_cases.c owns the questions, smoke_local.c and smoke_server.c the two ways to ask.
#pragma once

#include "zaya/zaya.h"

#include <jansson.h>

// What came back. Free with smoke_answer_free.
typedef struct SmokeAnswer {
  char *text, *reasoning; // never NULL after a successful ask
  json_t *calls;          // array of {"name", "arguments" (object)}
  char finish[24];        // "stop", "length", "tool_calls", ...
  double seconds;
} SmokeAnswer;

void smoke_answer_free(SmokeAnswer *a);

typedef enum SmokeThinking { SMOKE_AUTO, SMOKE_OFF, SMOKE_ON } SmokeThinking;

// Somebody to ask: greedy, one conversation at a time.
typedef struct SmokeTarget {
  bool (*ask)(void *self, const json_t *messages, const json_t *tools, SmokeThinking thinking,
              SmokeAnswer *out, zaya_error *err);
  void (*close)(void *self);
  void *self;
} SmokeTarget;

bool smoke_local_open(SmokeTarget *t, const char *dir, int threads, bool exact, zaya_error *err);
// url: of the server ("http://127.0.0.1:8080"); model: the name to ask for, NULL: the first it lists.
bool smoke_server_open(SmokeTarget *t, const char *url, const char *model, const char *api_key,
                       zaya_error *err);

// Runs every case; calls `on_case` after each with its entry of the report. Returns the report's "cases":
// [{name, expectation, passed, why, seconds, prompt, output, reasoning, finish}].
json_t *smoke_run(const SmokeTarget *t, void (*on_case)(const json_t *entry), zaya_error *err);
