// job: what job.c (preparing, finishing) and job_event.c (the engine's events) share.
#pragma once

#include "server/server_impl.h"

// What one choice's events need to know of those before.
typedef struct JobChoice {
  bool any;       // something was shown
  ReplyKind last; // what
  size_t block;   // of reasoning
  size_t taken;   // of the answer's tokens, those that belong to content already shown
  double drawn;   // clock_now() of its last token
} JobChoice;

// One prompt of a request and the engine's job for it: a request has one, but for a list of prompts.
typedef struct JobPart {
  Job *job;
  Prompt prompt;
  size_t first; // choice of the request: those of the engine's job follow from here
  // guarded by Job.mu
  EngineJob *ej; // NULL before it is accepted and behind its last event
  bool begun;
  size_t n_ended, read_done, read_total;
} JobPart;

struct Job {
  Server *server;
  HttpRequest *request;
  const Dialect *dialect;
  const DialectEnv *env;
  bool count_only;
  char id[64];
  Ask ask;
  JobPart *parts; // [n_parts]
  size_t n_parts;
  char *tools; // JSON, for the output parser
  ReplyHead head;
  void *state; // the dialect's
  size_t n_choices;
  Answer *answers;
  JobChoice *choices;

  pthread_mutex_t mu;
  size_t n_accepted; // of the parts, by the engine
  AskFault refused;  // why the next one was not
  bool cancelled, begun;
  size_t n_ended;
  Buf out; // what is written to the stream next

  Job *next, **link; // in Server.jobs
};

void job_event(void *part, const EngineEvent *event); // EngineFn
// Has the engine end what is left of the job. With `mu` held.
void job_cancel(Job *j);
// The last event has come. Nothing of the job is touched behind this call.
void job_ended(Job *j);
