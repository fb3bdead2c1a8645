// engine_impl: the inside of the engine, for engine.c (what other threads see: submitting, cancelling, the
// loop) and engine_run.c (the life of a choice, the steps).
#pragma once

#include "engine/engine.h"
#include "engine/prefix.h"
#include "engine/store.h"

#include <stdatomic.h>

// A prompt on its way into a state.
typedef struct Reading {
  const int32_t *ids; // [n]
  size_t n;
  size_t *stops, n_stops; // where checkpoints are wanted, ascending; none where nothing is to be kept
  bool cache;             // looks in the cache, and leaves its checkpoints there
  size_t at, cached;      // tokens in the state; of these, those that did not have to be read
  bool disk_done;         // there is nothing more of it on disk
  StoreKey key;           // of the tokens before page `key_page`
  size_t key_page;
  uint64_t seen; // version of the cache when it was last looked at
  State *state;  // the owner is choice 0, or the Prepared
} Reading;

// A prompt that may come, read while nothing else is to be done.
typedef struct Prepared Prepared;
struct Prepared {
  Reading reading;
  int32_t *ids;
  bool unsaved; // was read on behind its last checkpoint
  Prepared *next;
};

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
  bool told;        // that it has started
  double begun, read;
} Choice;

struct EngineJob {
  Engine *engine;
  EngineRequest r;
  atomic_bool cancel;
  uint64_t number;         // in order of arrival
  size_t n_begun, n_ended; // choices
  Reading reading;         // by choice 0
  bool is_read;            // the whole prompt
  State *prompt;           // and behind it, for choices that have not begun
  float *logits;           // [V]
  size_t cap;              // tokens that a choice may grow to
  uint64_t kv_need;        // bytes of that
  EngineJob *next;
  Choice choices[];
};

enum { ENGINE_MARKS = FORWARD_MAX_TOKENS }; // at most one behind every token of a step

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
  Prepared *incoming_prepared, **prepared_end;
  size_t n_live; // choices that wait or run
  bool working, draining, stop;
  EngineStats stats;

  // The engine's thread alone.
  EngineJob *jobs;    // in order of arrival
  Prepared *prepared; // the same
  Prefix *prefix;     // NULL: no cache
  Store *store;       // NULL: none; only with a prefix cache
  Choice **places;    // [parallel]
  float *logits;      // [parallel, V]
  Span *spans;        // [parallel]
  Choice **in_step;   // [parallel] whose spans they are
  size_t *left, *rows;
  Choice **readers; // [parallel]
  SpanMark *marks;  // [ENGINE_MARKS] of the step
  size_t n_marks;
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
uint64_t run_kv_bytes(const Engine *e);                        // of what is running
void run_free_job(EngineJob *job);

// --- engine_read.c -------------------------------------------------------------------------------
// Starts on a prompt, with marks where checkpoints are wanted; they may be many.
bool read_init(const Engine *e, Reading *r, const int32_t *ids, size_t n, const size_t *marks, size_t n_marks,
               bool cache, zaya_error *err);
void read_free(Reading *r);
// Moves on as far as the cache goes.
void read_advance(Engine *e, Reading *r);
// Takes one more part of it from the disk. False: there is none.
bool read_load(Engine *e, Reading *r);
// Has all checkpoints on the way of a state written to disk.
void read_store(Engine *e, const State *s);
// Whether another reader will soon reach a checkpoint that this one can use.
bool read_should_wait(const Engine *e, const Reading *r, size_t order, const Reading *other,
                      size_t other_order);
// A span of the next `rows` tokens, with its marks; false: memory is short.
bool read_span(Engine *e, Reading *r, size_t rows, Span *span, zaya_error *err);
// Asks for a checkpoint behind the one token of a span that a page ends with.
void read_mark_feed(Engine *e, Span *span);
// Room for a span's tokens; gives the cache up for it.
bool read_reserve(Engine *e, State *s, size_t n, zaya_error *err);
// What the marks of a step's span received goes into the cache, or away.
void read_keep(Engine *e, const Span *span, bool ok);
void prepared_free(Prepared *list);
void prepared_pause(Engine *e); // a request comes first: nothing that was read is lost
void prepared_step(Engine *e);
