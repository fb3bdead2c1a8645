// serve: zaya_server_*: a model, its tokenizer and template wired into the server.
#include "api/handles.h"

#include "base/error.h"

#ifdef ZAYA_WITH_SERVER
#include "engine/gencfg.h"
#include "server/server.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BODY = 16 << 20, DEFAULT_IDLE = 60, DEFAULT_KEEP_ALIVE = 5, DEFAULT_PARALLEL = 8 };

struct zaya_server {
  Tok *tok;
  Chat *chat; // NULL: the folder has no template
  zaya_engine *engine;
  Server *server;
  char *name;
  uint64_t bytes;
};

// The last part of the folder's path.
static char *name_of(const char *dir) {
  size_t end = strlen(dir);
  while (end > 1 && dir[end - 1] == '/') end--;
  size_t begin = end;
  while (begin && dir[begin - 1] != '/') begin--;
  char *name = strndup(dir + begin, end - begin);
  if (name && (!strcmp(name, ".") || !strcmp(name, "..") || !*name)) {
    free(name);
    return strdup("zaya");
  }
  return name;
}

static json_t *props_of(const zaya_model *m) {
  const zaya_model_info *i = &m->info;
  return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:i, s:i, s:i}", "layout", i->layout, "format",
                   i->format, "kernels", i->kernels, "threads", i->n_threads, "parameters",
                   (json_int_t)i->n_params, "active_parameters", (json_int_t)i->n_params_active,
                   "tensor_bytes", (json_int_t)i->tensor_bytes, "layers", i->n_layers, "vocabulary",
                   i->vocab_size, "max_context", i->max_position);
}

static uint64_t most_bytes(const zaya_model *m, const zaya_engine_params *p, size_t ctx, size_t parallel) {
  const uint64_t cache = p->no_cache ? 0 : p->cache_bytes ? p->cache_bytes : (uint64_t)1 << 30;
  return (uint64_t)zaya_session_bytes(m, ctx) * parallel + cache;
}

static bool open_parts(zaya_server *s, zaya_model *m, const char *dir, const zaya_server_params *p,
                       zaya_sampling *sampling, zaya_error *err) {
  zaya_error no_chat = {0};
  s->name = p->name ? strdup(p->name) : name_of(dir);
  if (!s->name) return err_memory(err, strlen(dir), "a server");
  if (!gencfg_read(dir, sampling, NULL, err) || !(s->tok = tok_open(dir, err))) return false;
  s->chat = chat_open(dir, &no_chat);
  if (!s->chat && no_chat.status != ZAYA_E_UNSUPPORTED)
    return err_set(err, no_chat.status, "%s", no_chat.message);
  s->engine = zaya_engine_new(m, s->tok, &p->engine, err);
  return s->engine != NULL;
}

static bool start(zaya_server *s, zaya_model *m, const zaya_server_params *p, const zaya_sampling *sampling,
                  zaya_error *err) {
  if (!s->engine) return false;
  json_t *props = props_of(m);
  const size_t parallel = p->engine.parallel ? p->engine.parallel : DEFAULT_PARALLEL;
  const ServerParams params = {.engine = s->engine->engine,
                               .tok = s->tok,
                               .chat = s->chat,
                               .defaults = *sampling,
                               .model = s->name,
                               .props = props,
                               .ctx = s->engine->ctx,
                               .parallel = parallel,
                               .prepare = !p->engine.no_cache,
                               .host = p->host ? p->host : "127.0.0.1",
                               .port = p->port,
                               .keys = p->api_keys,
                               .n_keys = p->n_api_keys,
                               .cors = p->cors,
                               .max_body = p->max_body ? p->max_body : DEFAULT_BODY,
                               .idle_seconds = p->idle_seconds ? p->idle_seconds : DEFAULT_IDLE,
                               .keep_alive =
                                   p->keep_alive_seconds ? p->keep_alive_seconds : DEFAULT_KEEP_ALIVE,
                               .page = !p->no_page,
                               .log_path = p->log_path,
                               .log_json = p->log_json,
                               .log_text = p->log_text};
  s->bytes = most_bytes(m, &p->engine, s->engine->ctx, parallel);
  s->server = props ? server_new(&params, err) : NULL;
  json_decref(props);
  return s->server || err_memory(err, 0, "a server");
}

zaya_server *zaya_server_new(zaya_model *model, const char *dir, const zaya_server_params *params,
                             zaya_error *err) {
  static const zaya_server_params none = {0};
  zaya_sampling sampling;
  zaya_server *s = calloc(1, sizeof *s);
  if (!params) params = &none;
  if (!s) {
    err_memory(err, sizeof *s, "a server");
    return NULL;
  }
  if (open_parts(s, model, dir, params, &sampling, err) && start(s, model, params, &sampling, err)) return s;
  zaya_server_free(s);
  return NULL;
}

const char *zaya_server_url(const zaya_server *s) { return server_url(s->server); }
const char *zaya_server_name(const zaya_server *s) { return s->name; }
size_t zaya_server_context(const zaya_server *s) { return s->engine->ctx; }
uint64_t zaya_server_bytes(const zaya_server *s) { return s->bytes; }
bool zaya_server_reopen_log(zaya_server *s, zaya_error *err) { return server_reopen_log(s->server, err); }
void zaya_server_stop(zaya_server *s, double seconds) { server_stop(s->server, seconds); }

void zaya_server_free(zaya_server *s) {
  if (!s) return;
  server_free(s->server);
  zaya_engine_free(s->engine);
  chat_close(s->chat);
  tok_close(s->tok);
  free(s->name);
  free(s);
}

#else

zaya_server *zaya_server_new(zaya_model *model, const char *dir, const zaya_server_params *params,
                             zaya_error *err) {
  (void)model, (void)params;
  err_set(err, ZAYA_E_UNSUPPORTED, "%s: this libzaya was built without a server (libmicrohttpd)", dir);
  return NULL;
}

const char *zaya_server_url(const zaya_server *s) { return (void)s, ""; }
const char *zaya_server_name(const zaya_server *s) { return (void)s, ""; }
size_t zaya_server_context(const zaya_server *s) { return (void)s, (size_t)0; }
uint64_t zaya_server_bytes(const zaya_server *s) { return (void)s, (uint64_t)0; }
bool zaya_server_reopen_log(zaya_server *s, zaya_error *err) { return (void)s, (void)err, false; }
void zaya_server_stop(zaya_server *s, double seconds) { (void)s, (void)seconds; }
void zaya_server_free(zaya_server *s) { (void)s; }

#endif
