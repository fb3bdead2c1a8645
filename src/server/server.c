// server: see server.h.
#include "server/server_impl.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WORKERS = 3,
  MAX_BUFFER = 4 << 20, // bytes of a stream that its client has not taken yet
  FLUSH_SECONDS = 3,    // for replies to reach their clients at the end
};

static void on_done(void *user, const HttpDone *done) {
  Server *s = user;
  metrics_request(s->metrics, done->endpoint, done->status, done->seconds);
  log_request(s->log, done);
}

static bool start_http(Server *s, zaya_error *err) {
  const HttpParams p = {.host = s->p.host,
                        .port = s->p.port,
                        .keys = s->p.keys,
                        .n_keys = s->p.n_keys,
                        .open = routes_open,
                        .cors = s->p.cors,
                        .max_body = s->p.max_body,
                        .max_buffer = MAX_BUFFER,
                        .idle_seconds = s->p.idle_seconds,
                        .fn = routes_answer,
                        .error = routes_error,
                        .done = on_done,
                        .user = s};
  s->http = httpd_new(&p, err);
  if (!s->http) return false;
  const bool v6 = strchr(s->p.host, ':') != NULL;
  snprintf(s->url, sizeof s->url, v6 ? "http://[%s]:%d" : "http://%s:%d", s->p.host, httpd_port(s->http));
  return httpd_start(s->http, err);
}

static bool make_envs(Server *s, zaya_error *err) {
  for (size_t i = 0; dialects[i]; i++) {
    if (i == SERVER_MAX_DIALECTS)
      return err_set(err, ZAYA_E_LIMIT, "more than %d dialects", SERVER_MAX_DIALECTS);
    s->envs[i] = (DialectEnv){.defaults = &s->p.defaults, .tok = s->p.tok, .model = s->p.model};
    if (dialects[i]->store_new && !(s->envs[i].store = dialects[i]->store_new(err))) return false;
  }
  return true;
}

static bool make_parts(Server *s, zaya_error *err) {
  if (!(s->log = log_new(s->p.log_path, s->p.log_json, err)) || !(s->metrics = metrics_new(err)) ||
      !(s->guides = guides_new(s->p.tok, err)) || !(s->recall = recall_new(err)) || !make_envs(s, err) ||
      !(s->work = work_new(WORKERS, err)))
    return false;
  s->props = s->p.props ? json_deep_copy(s->p.props) : json_object();
  s->prompts = (PromptEnv){.tok = s->p.tok, .chat = s->p.chat, .recall = s->recall};
  return s->props || err_memory(err, 0, "a server");
}

Server *server_new(const ServerParams *params, zaya_error *err) {
  Server *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, sizeof *s, "a server");
    return NULL;
  }
  s->p = *params;
  s->started = (int64_t)time(NULL);
  pthread_mutex_init(&s->mu, NULL);
  pthread_cond_init(&s->idle, NULL);
  if (make_parts(s, err) && start_http(s, err)) return s;
  server_free(s);
  return NULL;
}

const char *server_url(const Server *s) { return s->url; }

bool server_reopen_log(Server *s, zaya_error *err) { return log_reopen(s->log, err); }

// Until no job is left.
static void wait_jobs(Server *s) {
  pthread_mutex_lock(&s->mu);
  while (s->jobs) pthread_cond_wait(&s->idle, &s->mu);
  pthread_mutex_unlock(&s->mu);
}

// Whether all jobs ended within the time. Jobs that workers still prepare are not the engine's yet.
static bool wait_jobs_for(Server *s, double seconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)seconds;
  int rc = 0;
  pthread_mutex_lock(&s->mu);
  while (s->jobs && rc == 0) rc = pthread_cond_timedwait(&s->idle, &s->mu, &until);
  const bool idle = !s->jobs;
  pthread_mutex_unlock(&s->mu);
  return idle;
}

void server_stop(Server *s, double seconds) {
  if (!s->http || atomic_load(&s->stopping)) return;
  httpd_quiesce(s->http);
  if (!wait_jobs_for(s, seconds))
    log_note(s->log, "warning", "stopping: the time is up, cancelling what is left");
  atomic_store(&s->stopping, true);
  while (!wait_jobs_for(s, 0)) { // a job may have been between two threads: ask again
    job_cancel_all(s);
    wait_jobs_for(s, 1);
  }
  httpd_stop(s->http, FLUSH_SECONDS);
}

void server_free(Server *s) {
  if (!s) return;
  server_stop(s, 0);
  wait_jobs(s); // one may have begun while the doors were being closed
  work_free(s->work);
  httpd_free(s->http);
  for (size_t i = 0; i < SERVER_MAX_DIALECTS && dialects[i]; i++)
    if (s->envs[i].store) dialects[i]->store_free(s->envs[i].store);
  recall_free(s->recall);
  guides_free(s->guides);
  metrics_free(s->metrics);
  log_free(s->log);
  json_decref(s->props);
  pthread_mutex_destroy(&s->mu);
  pthread_cond_destroy(&s->idle);
  free(s);
}
