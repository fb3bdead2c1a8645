// server_impl: the inside of the server, for server.c (life), routes.c (which path means what), info.c (small
// routes) and job.c (requests that generate).
#pragma once

#include "server/dialect.h"
#include "server/guides.h"
#include "server/httpd.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/prefill.h"
#include "server/server.h"
#include "server/work.h"

#include <stdatomic.h>

enum { SERVER_MAX_DIALECTS = 8, SERVER_ID_LEN = 24 };

typedef struct Job Job;

struct Server {
  ServerParams p;
  char url[300];
  int64_t started; // seconds since 1970
  json_t *props;
  Http *http;
  Log *log;
  Metrics *metrics;
  Guides *guides;
  Recall *recall;
  Work *work;
  PromptEnv prompts;
  DialectEnv envs[SERVER_MAX_DIALECTS]; // of dialects[i]
  atomic_bool stopping;
  pthread_mutex_t mu; // of the list
  pthread_cond_t idle;
  Job *jobs;
};

// --- routes.c ------------------------------------------------------------------------------------
void routes_answer(void *server, HttpRequest *r); // HttpParams.fn
void routes_error(void *server, const char *path, int status, const char *message, Buf *out);
bool routes_open(const char *path); // paths that need no key

// --- what handlers answer with ----------------------------------------------------------------------
// Takes the JSON over; NULL: out of memory.
void reply_json(HttpRequest *r, int status, json_t *v);
// `dialect` NULL: OpenAI's form.
void reply_fault(Server *s, HttpRequest *r, const Dialect *dialect, const AskFault *fault);
// The body of a request as JSON: an object, of bounded depth.
json_t *body_json(const Buf *body, AskFault *fault);

// --- info.c --------------------------------------------------------------------------------------------
void info_health(Server *s, HttpRequest *r);
void info_models(Server *s, HttpRequest *r);
void info_model(Server *s, HttpRequest *r, const char *id);
void info_props(Server *s, HttpRequest *r);
void info_metrics(Server *s, HttpRequest *r);
void info_page(Server *s, HttpRequest *r);
// On a worker: the answer to a body.
json_t *info_tokenize(Server *s, json_t *body, AskFault *fault);
json_t *info_detokenize(Server *s, json_t *body, AskFault *fault);
json_t *info_apply_template(Server *s, json_t *body, AskFault *fault);

// --- job.c ----------------------------------------------------------------------------------------------
// Takes a request that generates (or, with count_only, counts its tokens) on; answers it in time.
void job_start(Server *s, HttpRequest *r, const Dialect *dialect, const DialectEnv *env, bool count_only);
// Ends every job within one step of the engine.
void job_cancel_all(Server *s);
// prefix and SERVER_ID_LEN random letters.
bool job_new_id(const char *prefix, char *out, size_t size);
