// httpd_guard: who may ask: keys, the names under which a loopback server answers, origins of web pages, the
// length of a body. See httpd_impl.h.
#include "server/httpd_impl.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *header(struct MHD_Connection *conn, const char *name) {
  return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

// Equal length and bytes, in a time that tells nothing: digests are compared.
static bool same_key(const char *a, const char *b) {
  unsigned char x[SHA256_DIGEST_LENGTH], y[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *)a, strlen(a), x);
  SHA256((const unsigned char *)b, strlen(b), y);
  return CRYPTO_memcmp(x, y, sizeof x) == 0;
}

static bool has_key(const Http *h, struct MHD_Connection *conn) {
  const char *given = header(conn, "Authorization");
  bool ok = false;
  if (given && !strncasecmp(given, "Bearer ", 7))
    given += 7;
  else
    given = header(conn, "x-api-key");
  if (!given) return false;
  for (size_t i = 0; i < h->p.n_keys; i++) ok |= same_key(given, h->p.keys[i]);
  return ok;
}

// "host:port" or "[address]:port" without the port.
static void host_part(const char *text, char *out, size_t size) {
  const char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
  size_t n = end ? (size_t)(end - text) + (*text == '[') : strlen(text);
  if (n >= size) n = size - 1;
  memcpy(out, text, n);
  out[n] = '\0';
}

// A page elsewhere can point a name of its own at 127.0.0.1: such a name is not ours.
static bool known_host(const Http *h, struct MHD_Connection *conn) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  const char *given = header(conn, "Host");
  char name[256];
  if (!h->local || !given) return true;
  host_part(given, name, sizeof name);
  const size_t n = strlen(name);
  if (n > 10 && !strcasecmp(name + n - 10, ".localhost")) return true;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcasecmp(name, names[i])) return true;
  return !strcasecmp(name, h->p.host);
}

// Whether a page of that origin may read our answers: as --cors says, or because we served it.
static bool known_origin(const Http *h, const char *origin, struct MHD_Connection *conn) {
  const char *host = header(conn, "Host"), *name = strstr(origin, "://");
  if (h->p.cors && (!strcmp(h->p.cors, "*") || !strcmp(h->p.cors, origin))) return true;
  return host && name && !strcasecmp(name + 3, host);
}

static bool refuse(HttpRequest *r, int status, const char *why) {
  r->refused = status;
  r->why = why;
  return false;
}

static bool guard_origin(HttpRequest *r, struct MHD_Connection *conn) {
  const char *origin = header(conn, "Origin");
  if (!known_host(r->http, conn))
    return refuse(r, 403,
                  "the Host header names another host; this server listens on the loopback interface only");
  if (!origin) return true;
  if (known_origin(r->http, origin, conn)) {
    r->cors = r->http->p.cors ? strdup(origin) : NULL;
    return true;
  }
  // Without CORS a page cannot read what it gets, but its requests would be worked on.
  if (!strcmp(r->method, "GET") || !strcmp(r->method, "HEAD") || !strcmp(r->method, "OPTIONS")) return true;
  return refuse(r, 403,
                "pages of this origin may not use the server; start it with --cors ORIGIN to allow it");
}

static bool guard_length(HttpRequest *r, struct MHD_Connection *conn) {
  const char *length = header(conn, "Content-Length");
  const size_t max = r->http->p.max_body;
  if (length && strtoull(length, NULL, 10) > max)
    return refuse(r, 413, "the request body is larger than this server takes");
  return true;
}

void httpd_guard(HttpRequest *r, struct MHD_Connection *conn) {
  const Http *h = r->http;
  if (!guard_origin(r, conn)) return;
  if (!strcmp(r->method, "OPTIONS")) return; // asked without keys
  if (h->p.n_keys && !(h->p.open && h->p.open(r->path)) && !has_key(h, conn)) {
    refuse(r, 401,
           header(conn, "Authorization") || header(conn, "x-api-key")
               ? "the API key is wrong"
               : "an API key is needed: Authorization: Bearer KEY");
    return;
  }
  if (atomic_load(&h->quiet)) {
    refuse(r, 503, "the server is shutting down");
    return;
  }
  guard_length(r, conn);
}
