// engine: many requests on one model: admission, one batch step after the other, events out. One thread of
// its own runs the steps; everything else may be called from any thread. Owns the sequences, their states
// (paged KV with copy-on-write, model/state) and the prefix cache (engine/prefix, engine/store). Knows ids
// and text events, no HTTP and no templates. Depends on gen, prefix, model/forward, text/tok.
//
// The tokens of a request depend on the request alone: not on what runs beside it, on how its prompt was
// cut, on the cache or on the threads.
#pragma once

#include "engine/gen.h"
#include "model/forward.h"
#include "text/guide.h"

#include <pthread.h>

typedef struct Engine Engine;
typedef struct EngineJob EngineJob;

enum { ENGINE_MAX_PARALLEL = 256 };

typedef struct EngineParams {
  Forward *forward; // used under `lock` only
  pthread_mutex_t *lock;
  const Tok *tok;
  uint64_t identity;     // of bundle, tokenizer and KV type, for the disk store
  size_t ctx;            // tokens of one sequence at most
  size_t parallel;       // sequences that are read or generate at the same time, 1 .. ENGINE_MAX_PARALLEL
  size_t queue;          // choices that may wait; more are refused
  size_t chunk;          // prompt tokens of a step while others generate; 0: a good default
  uint64_t kv_bytes;     // of running sequences at most, counted as if each grew to its limit; 0: no limit
  uint64_t cache_bytes;  // of KV and checkpoints kept for reuse, beside the running sequences; 0: no cache
  const char *cache_dir; // NULL: memory only
  uint64_t cache_dir_bytes;
} EngineParams;

typedef enum EngineEventKind {
  ENGINE_STARTED, // leaves the queue: cached = prompt tokens that need not be read
  ENGINE_READING, // a step of the prompt was read: done of total tokens. Of choice 0 only: it is read once
  ENGINE_TOKEN, // a token was drawn: id, log probabilities where asked for. Comes before the output events it
                // causes
  ENGINE_OUTPUT, // output: an event of the output parser (reasoning, content, calls), ZAYA_OUTPUT_END
                 // included
  ENGINE_DONE,   // a choice is complete: result
  ENGINE_FAILED, // a choice has failed: error. (Cancelled ones end with DONE and ZAYA_FINISH_CANCELLED)
} EngineEventKind;

typedef struct EngineEvent {
  EngineEventKind kind;
  EngineJob *job;             // for engine_cancel
  size_t choice;              // 0 .. n_choices - 1
  size_t cached, done, total; // STARTED, READING
  int32_t id;                 // TOKEN
  double logprob;             // TOKEN, with n_logprobs >= 0
  const zaya_logprob *top;    // [n_top], best first
  size_t n_top;
  const zaya_output_event *output;    // OUTPUT
  const zaya_generate_result *result; // DONE; result->cached_tokens too
  const zaya_error *error;            // FAILED
} EngineEvent;

// Called on the engine's thread, in order for each choice; must not block, and of the engine's functions may
// call engine_cancel only, of its own job or one that is not gone: nothing of the job comes then but the last
// event of each choice. After DONE or FAILED of its last choice a job is gone: `user` is not touched again.
// An event may come before engine_submit has returned.
typedef void (*EngineFn)(void *user, const EngineEvent *event);

// All pointers stay the caller's and valid until the last event of the job.
typedef struct EngineRequest {
  const int32_t *ids; // the prompt
  size_t n;
  const size_t
      *marks; // positions in the prompt, ascending, where a later prompt may branch off: the beginnings of
  size_t n_marks; // turns (before their <|im_start|>). A checkpoint is kept at each that is new, at least at
                  // the last few
  zaya_generate_params
      p;              // p.constraint is ignored: `guide` below; p.output.verbatim belongs to guides of text
  const Guide *guide; // NULL: none; may be freed once engine_submit has returned
  size_t n_choices;   // answers to the same prompt, seeds p.sampling.seed + choice; the prompt is read once
  int n_logprobs;     // -1: none; 0: of the token drawn; more: and that many of the likeliest
  bool no_cache;      // neither looks in the prefix cache nor leaves anything there
  EngineFn fn;
  void *user;
} EngineRequest;

typedef enum EngineRefusal {
  ENGINE_ACCEPTED,
  ENGINE_BAD_REQUEST,
  ENGINE_TOO_LONG,
  ENGINE_QUEUE_FULL,
  ENGINE_NO_MEMORY,
  ENGINE_STOPPING
} EngineRefusal;

// What EngineParams.identity should be for the bundle in the folder `dir`.
uint64_t engine_identity(const Forward *f, const char *dir, const Tok *tok);
Engine *engine_new(const EngineParams *params, zaya_error *err);
// Cancels what is left, waits for the thread, writes what the disk store still lacks.
void engine_free(Engine *e);
// Choices that can run and wait at the same time.
size_t engine_capacity(const Engine *e);
// Checks everything that can be checked at once. NULL: refused (err says why in words, `why` as a kind; may
// be NULL): no event comes then.
EngineJob *engine_submit(Engine *e, const EngineRequest *request, EngineRefusal *why, zaya_error *err);
// Ends all choices of the job within one step: each gets its last event. A job that is already gone must not
// be named.
void engine_cancel(Engine *e, EngineJob *job);
// A prompt that will probably come: read into the prefix cache while nothing else runs, dropped when it does
// not fit. ids and marks are copied. Fails only for want of memory.
bool engine_prepare(Engine *e, const int32_t *ids, size_t n, const size_t *marks, size_t n_marks,
                    zaya_error *err);
// No new requests (ENGINE_STOPPING). Returns true when nothing is running any more, after at most `seconds`.
bool engine_drain(Engine *e, double seconds);
// Blocks until every prepared prompt is in the cache and the disk store is written: for tests and orderly
// ends.
void engine_settle(Engine *e);

typedef struct EngineStats { // since the start, but for what is called now
  size_t running, waiting;   // choices, now
  uint64_t requests, done, cancelled, failed, refused;
  uint64_t prompt_tokens, cached_tokens, read_tokens, drawn_tokens; // prompt = cached + read
  uint64_t steps, step_rows;                                        // batch steps, tokens in them
  uint64_t batch[17]; // steps by number of sequences that generated in them (16: 16 or more)
  uint64_t cache_bytes, cache_entries, cache_hits, cache_misses, cache_evicted; // bytes and entries: now
  uint64_t store_bytes, store_hits, store_writes;                               // on disk
  uint64_t kv_bytes;                                                            // of running sequences, now
  double busy_seconds; // the engine's thread computed
} EngineStats;
void engine_stats(const Engine *e, EngineStats *out);
