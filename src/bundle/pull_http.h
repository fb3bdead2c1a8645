// pull_http: GET requests over libcurl, several at a time on one thread: redirects by hand (the token
// never leaves the endpoint's origin), retries with back-off, dead connections, errors in plain words.
// Knows nothing of repositories or files: what an answer means is the caller's, by hooks.
// Depends on base/ and libcurl.
#pragma once

#include "base/buf.h"

typedef enum HttpVerdict {
  HTTP_GO,    // carry on
  HTTP_DONE,  // prepare: nothing to fetch, the request is complete
  HTTP_AGAIN, // this attempt is void, another one may do; the error says why
  HTTP_STOP,  // no further attempt can help; the error says why
} HttpVerdict;

typedef struct HttpRequest HttpRequest;

typedef struct HttpHooks {
  // Before every attempt; sets `from`. May be NULL.
  HttpVerdict (*prepare)(HttpRequest *r, zaya_error *err);
  // The headers of a 200 or 206 are in. May be NULL.
  HttpVerdict (*head)(HttpRequest *r, zaya_error *err);
  HttpVerdict (*body)(HttpRequest *r, const void *data, size_t len, zaya_error *err);
  // The body is complete as far as HTTP knows. May be NULL.
  HttpVerdict (*finish)(HttpRequest *r, zaya_error *err);
} HttpHooks;

struct HttpRequest {
  const HttpHooks *hooks;
  void *user;
  const char *what; // what is fetched, for messages
  const char *url;
  uint64_t from;      // the first byte wanted; more than 0 asks for a range
  bool refused_range; // out: the server did not honour a range (416)

  // The answer.
  long status;
  int64_t length;                      // of the body, -1 when not told
  int64_t range_from, range_total;     // of Content-Range, -1 when not told
  char next[1024];                     // of Link: rel="next", or empty
  char hub_code[64], hub_message[256]; // X-Error-Code, X-Error-Message, or an error body
};

typedef struct HttpParams {
  const char *endpoint; // whose origin gets the token
  const char *token;    // may be empty
  int retries;
  double retry_delay, timeout; // seconds
  // Called several times a second and with every note; false cancels everything. May be NULL.
  bool (*tick)(void *user, const char *note);
  void *user;
} HttpParams;

typedef struct Http Http;

Http *http_new(const HttpParams *params, zaya_error *err);
void http_free(Http *h);
// Runs all the requests, at most `parallel` at once; the first that fails for good ends the others.
bool http_run(Http *h, HttpRequest *requests, size_t n, int parallel, zaya_error *err);

// Appends `text` percent-encoded; `keep` are characters left alone besides letters, digits and "-._~".
bool http_encode(Buf *out, const char *text, const char *keep, zaya_error *err);
