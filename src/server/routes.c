// routes: which path means what, and answers that are not generated. See server_impl.h.
#include "server/server_impl.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 200 }; // of nested lists and objects

// --- answers -----------------------------------------------------------------------------------------

static int add_chunk(const char *data, size_t len, void *user) {
  return buf_add(user, data, len, NULL) ? 0 : -1;
}

void reply_json(HttpRequest *r, int status, json_t *v) {
  static const char sorry[] = "{\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\"}}";
  HttpReply reply = {.status = status, .type = "application/json"};
  Buf body = {0};
  if (v && json_dump_callback(v, add_chunk, &body, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0) {
    httpd_reply(r, &reply, &body);
  } else {
    buf_free(&body);
    reply.status = 500;
    httpd_reply_static(r, &reply, sorry, sizeof sorry - 1);
  }
  json_decref(v);
}

// Seconds after which a place in the queue may have become free.
static unsigned retry_after(Server *s) {
  EngineStats stats;
  engine_stats(s->p.engine, &stats);
  const double wait = metrics_mean_seconds(s->metrics) * (double)(stats.waiting + 1) / (double)s->p.parallel;
  return wait < 1 ? 1 : wait > 60 ? 60 : (unsigned)wait;
}

void reply_fault(Server *s, HttpRequest *r, const Dialect *dialect, const AskFault *fault) {
  json_t *v = (dialect ? dialect->error : dialect_openai_error)(fault);
  if (fault->status != 429) {
    reply_json(r, fault->status, v);
    return;
  }
  char seconds[16];
  Buf body = {0};
  snprintf(seconds, sizeof seconds, "%u", retry_after(s));
  const HttpReply reply = {.status = 429, .type = "application/json", .extra = {{"Retry-After", seconds}}};
  if (v && json_dump_callback(v, add_chunk, &body, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0)
    httpd_reply(r, &reply, &body);
  else
    reply_json(r, 500, NULL);
  buf_free(&body);
  json_decref(v);
}

// Whether lists and objects nest at most so deep; strings are skipped.
static bool shallow(const Buf *b) {
  int depth = 0;
  bool string = false;
  for (size_t i = 0; i < b->len; i++) {
    const char c = b->data[i];
    if (string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        string = false;
    } else if (c == '"') {
      string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > MAX_DEPTH) return false;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return true;
}

json_t *body_json(const Buf *body, AskFault *fault) {
  json_error_t why;
  json_t *v = NULL;
  if (!body->len)
    fault_set(fault, 400, NULL, "the request needs a JSON body");
  else if (!shallow(body))
    fault_set(fault, 400, NULL, "the body nests deeper than %d lists and objects", MAX_DEPTH);
  else if (!(v = json_loadb(body->data, body->len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why)))
    fault_set(fault, 400, NULL, "the body is not JSON: line %d, column %d: %s", why.line, why.column,
              why.text);
  if (!v || json_is_object(v)) return v;
  fault_set(fault, 400, NULL, "the body: expected an object, found %s", json_kind(v));
  json_decref(v);
  return NULL;
}

// --- errors of http itself ----------------------------------------------------------------------------

static bool begins(const char *path, const char *with) {
  const size_t n = strlen(with);
  return !strncmp(path, with, n) && (!path[n] || path[n] == '/');
}

static const Dialect *dialect_of(const char *path) {
  for (size_t i = 0; dialects[i]; i++)
    if (begins(path, dialects[i]->path)) return dialects[i];
  return NULL;
}

void routes_error(void *server, const char *path, int status, const char *message, Buf *out) {
  const Dialect *d = dialect_of(path);
  AskFault fault = {0};
  (void)server;
  fault_set(&fault, status, status == 401 ? "invalid_api_key" : NULL, "%s", message);
  json_t *v = (d ? d->error : dialect_openai_error)(&fault);
  if (v) json_dump_callback(v, add_chunk, out, JSON_COMPACT | JSON_REAL_PRECISION(12));
  json_decref(v);
}

bool routes_open(const char *path) { return !strcmp(path, "/health") || !strcmp(path, "/"); }

static void not_found(Server *s, HttpRequest *r, const Dialect *d, const char *what) {
  AskFault fault = {0};
  fault_set(&fault, 404, NULL, "%s: %s", httpd_path(r), what);
  reply_fault(s, r, d, &fault);
}

static void wrong_method(HttpRequest *r, const Dialect *d, const char *allowed) {
  AskFault fault = {0};
  Buf body = {0};
  const HttpReply reply = {.status = 405, .type = "application/json", .extra = {{"Allow", allowed}}};
  fault_set(&fault, 405, NULL, "%s: this path takes %s, not %.20s", httpd_path(r), allowed, httpd_method(r));
  json_t *v = (d ? d->error : dialect_openai_error)(&fault);
  if (v) json_dump_callback(v, add_chunk, &body, JSON_COMPACT | JSON_REAL_PRECISION(12));
  json_decref(v);
  httpd_reply(r, &reply, &body);
}

// --- bodies that a worker answers -------------------------------------------------------------------------

typedef json_t *(*BodyFn)(Server *s, json_t *body, AskFault *fault);

typedef struct Errand {
  Server *server;
  HttpRequest *request;
  BodyFn fn;
} Errand;

static void run_errand(void *arg) {
  Errand *e = arg;
  AskFault fault = {0};
  json_t *body = body_json(httpd_body(e->request), &fault);
  json_t *v = body ? e->fn(e->server, body, &fault) : NULL;
  json_decref(body);
  if (fault.status)
    reply_fault(e->server, e->request, NULL, &fault);
  else
    reply_json(e->request, 200, v);
  httpd_release(e->request);
  free(e);
}

static void start_errand(Server *s, HttpRequest *r, BodyFn fn) {
  static const HttpHooks none = {0};
  Errand *e = malloc(sizeof *e);
  if (!e) return; // answered with a 500
  *e = (Errand){s, r, fn};
  httpd_keep(r, &none);
  if (work_post(s->work, run_errand, e)) return;
  reply_json(r, 500, NULL);
  httpd_release(r);
  free(e);
}

// --- the table ------------------------------------------------------------------------------------------

typedef struct Route {
  const char *path, *label;
  void (*get)(Server *s, HttpRequest *r);
  BodyFn post;
} Route;

static const Route routes[] = {
    {"/", "page", info_page, NULL},
    {"/health", "health", info_health, NULL},
    {"/v1/models", "models", info_models, NULL},
    {"/props", "props", info_props, NULL},
    {"/metrics", "metrics", info_metrics, NULL},
    {"/tokenize", "tokenize", NULL, info_tokenize},
    {"/detokenize", "detokenize", NULL, info_detokenize},
    {"/apply-template", "apply-template", NULL, info_apply_template},
};

static bool is_get(const HttpRequest *r) {
  return !strcmp(httpd_method(r), "GET") || !strcmp(httpd_method(r), "HEAD");
}

static void answer_route(Server *s, HttpRequest *r, const Route *route) {
  httpd_label(r, route->label);
  if (route->get && is_get(r))
    route->get(s, r);
  else if (route->post && !strcmp(httpd_method(r), "POST"))
    start_errand(s, r, route->post);
  else
    wrong_method(r, NULL, route->get ? "GET, HEAD" : "POST");
}

// What a dialect keeps under an id.
static void answer_stored(Server *s, HttpRequest *r, const Dialect *d, const DialectEnv *env,
                          const char *id) {
  const bool drop = !strcmp(httpd_method(r), "DELETE");
  if (!drop && !is_get(r)) {
    wrong_method(r, d, "GET, HEAD, DELETE");
    return;
  }
  json_t *v = (drop ? d->drop : d->fetch)(env->store, id);
  if (v)
    reply_json(r, 200, v);
  else
    not_found(s, r, d, "there is nothing under this id");
}

static bool answer_dialect(Server *s, HttpRequest *r, size_t i) {
  const Dialect *d = dialects[i];
  const char *path = httpd_path(r);
  const bool post = !strcmp(httpd_method(r), "POST");
  if (!begins(path, d->path)) return false;
  httpd_label(r, d->name);
  const char *rest = path + strlen(d->path);
  if (!*rest && post) {
    job_start(s, r, d, &s->envs[i], false);
  } else if (!*rest) {
    wrong_method(r, d, "POST");
  } else if (d->count && !strcmp(rest, "/count_tokens")) {
    if (post)
      job_start(s, r, d, &s->envs[i], true);
    else
      wrong_method(r, d, "POST");
  } else if (d->fetch && rest[1] && !strchr(rest + 1, '/')) {
    answer_stored(s, r, d, &s->envs[i], rest + 1);
  } else {
    return false;
  }
  return true;
}

void routes_answer(void *server, HttpRequest *r) {
  static const char one_model[] = "/v1/models/";
  Server *s = server;
  const char *path = httpd_path(r);
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
    if (!strcmp(path, routes[i].path)) {
      answer_route(s, r, &routes[i]);
      return;
    }
  for (size_t i = 0; dialects[i]; i++)
    if (answer_dialect(s, r, i)) return;
  if (!strncmp(path, one_model, sizeof one_model - 1) && path[sizeof one_model - 1]) {
    httpd_label(r, "models");
    if (is_get(r))
      info_model(s, r, path + sizeof one_model - 1);
    else
      wrong_method(r, NULL, "GET, HEAD");
    return;
  }
  not_found(s, r, dialect_of(path), "there is no such path");
}
