// smoke_server: asks an OpenAI-compatible server, by libcurl.
#include "smoke.h"

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ZAYA_WITH_PULL
#include <curl/curl.h>

typedef struct Server {
  CURL *curl;
  struct curl_slist *headers;
  char *url, *model;
} Server;

static bool server_error(zaya_error *err, const char *url, const char *what) {
  err->status = ZAYA_E_NETWORK;
  snprintf(err->message, sizeof err->message, "%s: %s", url, what);
  return false;
}

static size_t on_body(char *data, size_t size, size_t n, void *user) {
  zaya_text *t = user;
  char *grown = realloc(t->data, t->len + size * n + 1);
  if (!grown) return 0;
  memcpy(grown + t->len, data, size * n);
  t->data = grown;
  t->len += size * n;
  grown[t->len] = '\0';
  return size * n;
}

// GET or, with a body, POST; the answer as JSON.
static json_t *request(Server *s, const char *path, const char *body, zaya_error *err) {
  const size_t size = strlen(s->url) + strlen(path) + 1;
  char *url = malloc(size);
  zaya_text reply = {0};
  json_error_t parse;
  long status = 0;
  if (!url) return NULL;
  snprintf(url, size, "%s%s", s->url, path);
  curl_easy_setopt(s->curl, CURLOPT_URL, url);
  curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
  curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, &reply);
  if (body)
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, body);
  else
    curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
  const CURLcode rc = curl_easy_perform(s->curl);
  curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
  json_t *root = rc == CURLE_OK ? json_loadb(reply.data ? reply.data : "", reply.len, 0, &parse) : NULL;
  if (rc != CURLE_OK) {
    server_error(err, url, curl_easy_strerror(rc));
  } else if (status != 200 || !root) {
    char what[256];
    snprintf(what, sizeof what, "HTTP %ld: %.200s", status, root ? reply.data : "the answer is no JSON");
    server_error(err, url, what);
    json_decref(root);
    root = NULL;
  }
  free(reply.data);
  free(url);
  return root;
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// tool_calls as {"name", "arguments"}, the arguments parsed.
static json_t *calls_of(const json_t *message) {
  json_t *out = json_array(), *call;
  size_t i;
  json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
    const json_t *function = json_object_get(call, "function");
    json_t *args = json_loads(text_of(function, "arguments"), 0, NULL);
    json_array_append_new(out, json_pack("{s:s, s:o}", "name", text_of(function, "name"), "arguments",
                                         args ? args : json_object()));
  }
  return out;
}

static bool server_ask(void *self, const json_t *messages, const json_t *tools, SmokeThinking thinking,
                       SmokeAnswer *out, zaya_error *err) {
  Server *s = self;
  json_t *body = json_pack("{s:s, s:O, s:i, s:i, s:i}", "model", s->model, "messages",
                           (json_t *)(uintptr_t)messages, "temperature", 0, "seed", 0, "max_tokens", 1024);
  if (tools) json_object_set(body, "tools", (json_t *)(uintptr_t)tools);
  if (thinking != SMOKE_AUTO)
    json_object_set_new(body, "chat_template_kwargs",
                        json_pack("{s:b}", "enable_thinking", (int)(thinking == SMOKE_ON)));
  char *text = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  const double start = now_seconds();
  json_t *root = text ? request(s, "/v1/chat/completions", text, err) : NULL;
  free(text);
  if (!root) return false;
  const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
  const json_t *message = json_object_get(choice, "message");
  out->seconds = now_seconds() - start;
  out->text = strdup(text_of(message, "content"));
  out->reasoning = strdup(text_of(message, "reasoning_content"));
  out->calls = calls_of(message);
  snprintf(out->finish, sizeof out->finish, "%s", text_of(choice, "finish_reason"));
  const bool ok = message && out->text && out->reasoning;
  json_decref(root);
  return ok || server_error(err, s->url, "the answer holds no message");
}

static void server_close(void *self) {
  Server *s = self;
  if (s->curl) curl_easy_cleanup(s->curl);
  curl_slist_free_all(s->headers);
  free(s->url);
  free(s->model);
  free(s);
}

// The first model that the server lists.
static char *first_model(Server *s, zaya_error *err) {
  json_t *root = request(s, "/v1/models", NULL, err);
  const char *id = text_of(json_array_get(json_object_get(root, "data"), 0), "id");
  char *name = root ? strdup(id) : NULL;
  json_decref(root);
  return name;
}

bool smoke_server_open(SmokeTarget *t, const char *url, const char *model, const char *api_key,
                       zaya_error *err) {
  Server *s = calloc(1, sizeof *s);
  if (!s) return server_error(err, url, "out of memory");
  *t = (SmokeTarget){.ask = server_ask, .close = server_close, .self = s};
  size_t n = strlen(url);
  while (n && url[n - 1] == '/') n--;
  if (n > 3 && !strncmp(url + n - 3, "/v1", 3)) n -= 3; // a base URL as SDKs take it
  s->url = strndup(url, n);
  s->curl = curl_easy_init();
  s->headers = curl_slist_append(NULL, "Content-Type: application/json");
  if (api_key) {
    char header[512];
    snprintf(header, sizeof header, "Authorization: Bearer %.480s", api_key);
    s->headers = curl_slist_append(s->headers, header);
  }
  bool ok = s->url && s->curl && s->headers;
  if (!ok) server_error(err, url, "cannot start an HTTP client");
  if (ok) ok = (s->model = model ? strdup(model) : first_model(s, err)) != NULL;
  if (!ok) server_close(s);
  return ok;
}

#else

bool smoke_server_open(SmokeTarget *t, const char *url, const char *model, const char *api_key,
                       zaya_error *err) {
  (void)t, (void)model, (void)api_key;
  err->status = ZAYA_E_UNSUPPORTED;
  snprintf(err->message, sizeof err->message, "%s: this zaya was built without libcurl", url);
  return false;
}

#endif
