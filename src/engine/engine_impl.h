// engine_impl: the inside of the engine, for engine.c (what other threads see: submitting, cancelling, the
// loop) and engine_run.c (the life of a choice, the steps).
#pragma once

#include "engine/engine.h"

#include <stdatomic.h>

typedef enum ChoicePhase {
  CHOICE_WAITING, // in the queue
  CHOICE_READING, // the prompt is being read
  CHOICE_DRAW,    // there are logits to draw from
  CHOICE_FEED,    // a token was drawn that has to be fed
  CHOICE_ENDED,
} ChoicePhase;

// One answer. Has a place, with a row of logits, from its beginning to its end.
typedef struct Choice {
  EngineJob *job;
  size_t index, place;
  ChoicePhase phase;
  Gen *gen;
  State *state;
  float *logits;    // [V]
  int32_t next;     // FEED: the token; DRAW: what was chosen
  bool chosen;      // whether the choice succeeded
  zaya_error error; // if not
  double begun, read;
} Choice;

struct EngineJob {
  Engine *engine;
  EngineRequest r;
  atomic_bool cancel;
  size_t n_begun, n_ended; // choices
  size_t at;               // prompt tokens read, by choice 0
  size_t cached;           // of these, those that were there already
  bool is_read;            // the whole prompt
  State *prompt;           // and behind it, for choices that have not begun
  float *logits;           // [V]
  size_t cap;              // tokens that a choice may grow to
  uint64_t kv_need;        // bytes of that
  EngineJob *next;
  Choice choices[];
};

struct Engine {
  EngineParams p;
  StateShape shape;
  size_t n_vocab, chunk;
  uint32_t *known; // [MASK_WORDS(V)] ids of the tokenizer
  pthread_t thread;

  // Guarded by `mu`.
  pthread_mutex_t mu;
  pthread_cond_t wake;  // there is something to do
  pthread_cond_t quiet; // there is nothing to do any more
  EngineJob *incoming, **incoming_end;
  size_t n_live; // choices that wait or run
  bool working, draining, stop;
  EngineStats stats;

  // The engine's thread alone.
  EngineJob *jobs;  // in order of arrival
  Choice **places;  // [parallel]
  float *logits;    // [parallel, V]
  Span *spans;      // [parallel]
  Choice **in_step; // [parallel] whose spans they are
  size_t *left, *rows;
  Choice **readers; // [parallel]
  zaya_logprob *top;
  size_t top_cap;
  size_t first_reader; // whose turn it is
  uint64_t kv_need;    // of the choices that have begun
};

// --- engine_run.c --------------------------------------------------------------------------------
bool run_output(void *choice, const zaya_output_event *event); // zaya_output_fn of every Gen
void run_cancelled(Engine *e);                                 // ends the jobs that are marked
void run_admit(Engine *e);                                     // gives free places to those that wait
void run_draw(Engine *e);                                      // draws wherever there are logits
void run_step(Engine *e);                                      // one step of the model
void run_free_job(EngineJob *job);
