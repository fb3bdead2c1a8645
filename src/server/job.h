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

struct Job {
  Server *server;
  HttpRequest *request;
  const Dialect *dialect;
  const DialectEnv *env;
  bool count_only;
  char id[64];
  Ask ask;
  Prompt prompt;
  char *tools; // JSON, for the output parser
  ReplyHead head;
  void *state; // the dialect's
  size_t n_choices;
  Answer *answers;
  JobChoice *choices;

  pthread_mutex_t mu;
  EngineJob *ej; // NULL before it is accepted and behind its last event
  bool cancelled, begun;
  size_t n_ended, read_done, read_total;
  Buf out; // what is written to the stream next

  Job *next, **link; // in Server.jobs
};

void job_event(void *job, const EngineEvent *event); // EngineFn
// The last event has come. Nothing of the job is touched behind this call.
void job_ended(Job *j);
