// pull_http: see pull_http.h.
#ifdef ZAYA_WITH_PULL

#include "bundle/pull_http.h"

#include "base/error.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
  MAX_REDIRECTS = 10,
  ERROR_BODY_MAX = 2000,
  // An attempt that came so many bytes further was no failure: counting starts anew.
  PROGRESS_BYTES = 1 << 20,
  // A connection slower than this, in bytes a second over the whole timeout, counts as dead.
  DEAD_BYTES_PER_SECOND = 64,
};
#define MAX_DELAY       60.0  // longest pause that back-off comes to
#define MAX_RETRY_AFTER 300.0 // longest pause that a hub may ask for

// The state of one request while it runs.
typedef struct Slot {
  Http *http;
  HttpRequest *req; // NULL: free
  CURL *easy;
  struct curl_slist *headers;
  bool running;  // in the multi handle
  double due;    // when the next attempt starts
  Buf url, body; // where a redirect has led; the text of an error answer
  int redirects, failures;
  uint64_t received; // in this attempt
  uint64_t furthest; // the byte that counted as progress last
  bool head_done;
  HttpVerdict verdict; // what the hooks said
  zaya_error why;
} Slot;

struct Http {
  HttpParams params;
  CURLM *multi;
  bool contact; // something has been received: the network works
};

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool http_encode(Buf *out, const char *text, const char *keep, zaya_error *err) {
  for (const char *p = text; *p; p++) {
    bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                 strchr("-._~", *p) || strchr(keep, *p);
    if (!(plain ? buf_putc(out, *p, err) : buf_printf(out, err, "%%%02X", (unsigned char)*p))) return false;
  }
  return true;
}

// Text from outside, fit for a terminal: control characters become spaces.
static void copy_clean(char *out, size_t size, const char *text, size_t len) {
  size_t n = 0;
  while (len && (*text == ' ' || *text == '\t')) text++, len--;
  for (; n < len && n + 1 < size; n++)
    out[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? ' ' : text[n];
  while (n && out[n - 1] == ' ') n--;
  out[n] = '\0';
}

// One part of an address: false when it is not an address at all.
static bool url_part(const char *url, CURLUPart part, char out[256]) {
  CURLU *u = curl_url();
  char *text = NULL;
  bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strlen(text) < 256;
  if (ok) strcpy(out, text);
  curl_free(text);
  curl_url_cleanup(u);
  return ok;
}

static bool same_origin(const char *a, const char *b) {
  static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
  for (int i = 0; i < 3; i++) {
    char x[256], y[256];
    if (!url_part(a, parts[i], x) || !url_part(b, parts[i], y) || strcasecmp(x, y)) return false;
  }
  return true;
}

// --- what libcurl calls ---------------------------------------------------------------------------

static void clear_answer(Slot *s) {
  HttpRequest *r = s->req;
  r->status = 0;
  r->length = r->range_from = r->range_total = -1;
  r->next[0] = r->hub_code[0] = r->hub_message[0] = '\0';
}

// Content-Range: bytes FIRST-LAST/TOTAL, where TOTAL may be "*".
static void parse_content_range(HttpRequest *r, const char *text) {
  long long first, last, total;
  int n = sscanf(text, "bytes %lld-%lld/%lld", &first, &last, &total);
  if (n >= 2 && first >= 0) r->range_from = first;
  if (n == 3 && total >= 0) r->range_total = total;
}

// Link: <address>; rel="next", other links before or behind it.
static void parse_link(HttpRequest *r, const char *text) {
  for (const char *p = strchr(text, '<'); p; p = strchr(p + 1, '<')) {
    const char *end = strchr(p, '>');
    if (!end) return;
    size_t params = strcspn(end, "<"), n = (size_t)(end - p - 1);
    const char *rel = strstr(end, "rel=\"next\"");
    if (rel && (size_t)(rel - end) < params && n < sizeof r->next) {
      memcpy(r->next, p + 1, n);
      r->next[n] = '\0';
      return;
    }
  }
}

static size_t on_header(char *data, size_t size, size_t count, void *user) {
  Slot *s = user;
  size_t len = size * count;
  char line[1400];
  copy_clean(line, sizeof line, data, len);
  if (!strncmp(line, "HTTP/", 5)) {
    clear_answer(s); // an interim answer (1xx) came before
    return len;
  }
  char *value = strchr(line, ':');
  if (!value) return len;
  *value++ = '\0';
  value += strspn(value, " ");
  if (!strcasecmp(line, "content-range")) parse_content_range(s->req, value);
  if (!strcasecmp(line, "link")) parse_link(s->req, value);
  if (!strcasecmp(line, "x-error-code"))
    copy_clean(s->req->hub_code, sizeof s->req->hub_code, value, strlen(value));
  if (!strcasecmp(line, "x-error-message"))
    copy_clean(s->req->hub_message, sizeof s->req->hub_message, value, strlen(value));
  return len;
}

// Before the first byte of a body, or at its end when it is empty.
static bool take_head(Slot *s) {
  if (s->head_done) return s->verdict == HTTP_GO;
  s->head_done = true;
  curl_off_t length = -1;
  curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->req->status);
  curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  s->req->length = length;
  s->http->contact = true;
  if ((s->req->status == 200 || s->req->status == 206) && s->req->hooks->head)
    s->verdict = s->req->hooks->head(s->req, &s->why);
  return s->verdict == HTTP_GO;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  Slot *s = user;
  size_t len = size * count;
  if (!take_head(s)) return 0;
  s->received += len;
  if (s->req->status != 200 && s->req->status != 206) { // what the hub says about an error
    size_t room = ERROR_BODY_MAX - s->body.len;
    return buf_add(&s->body, data, len < room ? len : room, NULL) ? len : 0;
  }
  s->verdict = s->req->hooks->body(s->req, data, len, &s->why);
  return s->verdict == HTTP_GO ? len : 0;
}

// --- one attempt ------------------------------------------------------------------------------------

static bool set_options(Slot *s) {
  const HttpParams *p = &s->http->params;
  CURL *e = s->easy;
  long seconds = p->timeout < 1 ? 1 : (long)p->timeout;
  bool ok = curl_easy_setopt(e, CURLOPT_URL, s->url.data) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
  // Several connections fetch faster from the delivery networks than several streams over one.
  ok = ok && curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_USERAGENT, "zaya/" ZAYA_VERSION) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, seconds) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)DEAD_BYTES_PER_SECOND) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, seconds) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_HEADERDATA, (void *)s) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_WRITEDATA, (void *)s) == CURLE_OK;
  ok = ok && curl_easy_setopt(e, CURLOPT_PRIVATE, (void *)s) == CURLE_OK;
  if (s->req->from) {
    char range[32];
    snprintf(range, sizeof range, "%llu-", (unsigned long long)s->req->from);
    ok = ok && curl_easy_setopt(e, CURLOPT_RANGE, range) == CURLE_OK;
  }
  if (*p->token && same_origin(s->url.data, p->endpoint)) {
    Buf line = {0};
    ok = ok && buf_printf(&line, NULL, "Authorization: Bearer %s", p->token);
    s->headers = ok ? curl_slist_append(NULL, line.data) : NULL;
    ok = ok && s->headers && curl_easy_setopt(e, CURLOPT_HTTPHEADER, s->headers) == CURLE_OK;
    buf_free(&line);
  }
  return ok;
}

static void end_attempt(Slot *s) {
  if (s->running) curl_multi_remove_handle(s->http->multi, s->easy);
  s->running = false;
  curl_easy_cleanup(s->easy);
  s->easy = NULL;
  curl_slist_free_all(s->headers);
  s->headers = NULL;
}

static void slot_free(Slot *s) {
  end_attempt(s);
  buf_free(&s->url);
  buf_free(&s->body);
  s->req = NULL;
}

// Sends the request to s->url.
static bool send_request(Slot *s, zaya_error *err) {
  if (strncmp(s->url.data, "https://", 8) && strncmp(s->url.data, "http://", 7))
    return err_set(err, ZAYA_E_NETWORK, "%s: led to an address that is neither https nor http", s->req->what);
  clear_answer(s);
  buf_clear(&s->body);
  s->head_done = false;
  s->verdict = HTTP_GO;
  s->received = 0;
  zaya_error_clear(&s->why);
  s->easy = curl_easy_init();
  if (!s->easy || !set_options(s)) return err_set(err, ZAYA_E_MEMORY, "libcurl: cannot make a request");
  CURLMcode code = curl_multi_add_handle(s->http->multi, s->easy);
  if (code != CURLM_OK) return err_set(err, ZAYA_E_NETWORK, "libcurl: %s", curl_multi_strerror(code));
  s->running = true;
  return true;
}

// A new attempt, from the request's own address: what a redirect led to may have expired.
// *done when there is nothing to fetch.
static bool start_attempt(Slot *s, bool *done, zaya_error *err) {
  if (s->req->hooks->prepare) {
    HttpVerdict v = s->req->hooks->prepare(s->req, err);
    *done = v == HTTP_DONE;
    if (*done) return true;
    if (v != HTTP_GO) return err_set(err, ZAYA_E_IO, "%s: cannot be fetched", s->req->what);
  }
  s->redirects = 0;
  buf_clear(&s->url);
  return buf_puts(&s->url, s->req->url, err) && send_request(s, err);
}

// --- what an attempt came to --------------------------------------------------------------------------

// The hub's own words about an error, "" when it has none.
static const char *hub_words(Slot *s) {
  HttpRequest *r = s->req;
  if (!r->hub_message[0] && s->body.len) { // {"error": "..."} or plain text; never a page of HTML
    const char *text = s->body.data;
    const char *p = strstr(text, "\"error\"");
    if (p && (p = strchr(p + 7, '"')) != NULL)
      copy_clean(r->hub_message, sizeof r->hub_message, p + 1, strcspn(p + 1, "\""));
    else if (*text != '<' && *text != '{')
      copy_clean(r->hub_message, sizeof r->hub_message, text, strlen(text));
  }
  return r->hub_message;
}

static HttpVerdict judge_refusal(Slot *s) {
  const HttpRequest *r = s->req;
  const char *said = hub_words(s), *sep = *said ? "; the hub says: " : "";
  bool token = *s->http->params.token;
  if (r->status < 500 && !same_origin(s->url.data, s->http->params.endpoint)) {
    // A delivery network's signed address that has expired, as a rule: the hub gives a fresh one.
    err_set(&s->why, ZAYA_E_NETWORK, "%s: the host that the hub redirects to answers %ld", r->what,
            r->status);
    if (r->status == 416) s->req->refused_range = true;
    return HTTP_AGAIN;
  }
  switch (r->status) {
  case 401:
    err_set(&s->why, ZAYA_E_NETWORK,
            token ? "%s: 401: the hub refuses the token (HF_TOKEN)%s%s"
                  : "%s: 401: no such repository, or one that needs a token: set HF_TOKEN%s%s",
            r->what, sep, said);
    return HTTP_STOP;
  case 403:
    err_set(&s->why, ZAYA_E_NETWORK,
            token ? "%s: 403: no access with this token; its owner may have to accept the terms on the "
                    "repository's page%s%s"
                  : "%s: 403: no access; accept the terms on the repository's page and set HF_TOKEN%s%s",
            r->what, sep, said);
    return HTTP_STOP;
  case 404:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: 404: %s%s%s", r->what,
            !strcmp(r->hub_code, "RevisionNotFound") ? "no such revision"
            : !strcmp(r->hub_code, "RepoNotFound")   ? "no such repository"
            : !strcmp(r->hub_code, "EntryNotFound")  ? "no such file in the repository"
                                                     : "not found",
            sep, said);
    return HTTP_STOP;
  case 408:
  case 429:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: %ld: %s%s%s", r->what, r->status,
            r->status == 429 ? "the hub asks to slow down" : "the hub gave up waiting", sep, said);
    return HTTP_AGAIN;
  case 416:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: 416: the server refuses to resume at byte %llu", r->what,
            (unsigned long long)r->from);
    if (!r->from) return HTTP_STOP;
    s->req->refused_range = true;
    return HTTP_AGAIN;
  default:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: the server answers %ld%s%s", r->what, r->status, sep, said);
    return r->status >= 500 ? HTTP_AGAIN : HTTP_STOP;
  }
}

// A transfer that libcurl reports as failed.
static HttpVerdict judge_failure(Slot *s, CURLcode code) {
  char host[256] = "?";
  url_part(s->url.data, CURLUPART_HOST, host);
  const char *what = s->req->what;
  bool again = true;
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
    // Once something came from the network, it may come back; before that it is not there.
    again = s->http->contact;
    err_set(&s->why, ZAYA_E_NETWORK,
            code == CURLE_COULDNT_CONNECT
                ? "%s: no connection to %s: is the network up? (HF_ENDPOINT names another hub)"
                : "%s: cannot find the address of %s: is the network up? (HF_ENDPOINT names another hub)",
            what, host);
    break;
  case CURLE_OPERATION_TIMEDOUT:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: no data from %s for %.0f s", what, host, s->http->params.timeout);
    break;
  case CURLE_PARTIAL_FILE:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_GOT_NOTHING:
    err_set(&s->why, ZAYA_E_NETWORK, "%s: %s closed the connection after %llu bytes", what, host,
            (unsigned long long)s->received);
    break;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
    again = false;
    err_set(&s->why, ZAYA_E_NETWORK, "%s: the certificate of %s is not valid here", what, host);
    break;
  default: err_set(&s->why, ZAYA_E_NETWORK, "%s: %s: %s", what, host, curl_easy_strerror(code));
  }
  return again ? HTTP_AGAIN : HTTP_STOP;
}

// Follows a redirect. True when another request is under way.
static bool follow(Slot *s) {
  char *url = NULL;
  curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_URL, &url);
  s->verdict = HTTP_STOP;
  if (!url || ++s->redirects > MAX_REDIRECTS)
    return err_set(&s->why, ZAYA_E_NETWORK, "%s: %s", s->req->what,
                   url ? "redirected in circles" : "redirected to nowhere");
  if (!strncmp(s->url.data, "https:", 6) && strncmp(url, "https:", 6))
    return err_set(&s->why, ZAYA_E_NETWORK, "%s: redirected from https to an unprotected address",
                   s->req->what);
  Buf next = {0};
  if (!buf_puts(&next, url, &s->why)) return false;
  end_attempt(s);
  buf_free(&s->url);
  s->url = next;
  zaya_error err = {0};
  if (send_request(s, &err)) return true;
  s->verdict = HTTP_STOP;
  s->why = err;
  return false;
}

static bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// The verdict on a transfer that has ended; *followed when a redirect has started the next one.
static HttpVerdict judge(Slot *s, CURLcode code, bool *followed) {
  *followed = false;
  if (code == CURLE_OK) take_head(s);
  if (s->verdict != HTTP_GO) return s->verdict;
  if (code != CURLE_OK) return judge_failure(s, code);
  if (is_redirect(s->req->status)) {
    *followed = follow(s);
    return s->verdict;
  }
  if (s->req->status != 200 && s->req->status != 206) return judge_refusal(s);
  return s->req->hooks->finish ? s->req->hooks->finish(s->req, &s->why) : HTTP_GO;
}

static bool note(Http *h, const char *text, zaya_error *err) {
  if (!h->params.tick || h->params.tick(h->params.user, text)) return true;
  return err_set(err, ZAYA_E_CANCELLED, "cancelled");
}

// Plans the next attempt after a failure; false when there have been enough.
static bool plan_retry(Slot *s, zaya_error *err) {
  const HttpParams *p = &s->http->params;
  // Progress is what lies beyond the furthest byte so far: the same bytes again are none.
  uint64_t reached = (s->req->status == 206 ? s->req->from : 0) + s->received;
  bool progress = (s->req->status == 200 || s->req->status == 206) && reached >= s->furthest + PROGRESS_BYTES;
  if (progress) s->furthest = reached;
  curl_off_t asked = 0;
  curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &asked);
  end_attempt(s);
  s->failures = progress ? 0 : s->failures + 1;
  if (s->failures > p->retries)
    return err_set(err, s->why.status, "%s (gave up after %d attempt%s)", s->why.message, s->failures,
                   s->failures == 1 ? "" : "s");
  double delay = p->retry_delay;
  for (int i = 1; i < s->failures && delay < MAX_DELAY; i++) delay *= 2;
  if (delay > MAX_DELAY) delay = MAX_DELAY;
  if ((double)asked > MAX_RETRY_AFTER)
    return err_set(err, s->why.status, "%s; it asks to wait %lld s: try again later", s->why.message,
                   (long long)asked);
  if ((double)asked > delay) delay = (double)asked;
  s->due = now_seconds() + delay;
  char text[sizeof s->why.message + 100];
  snprintf(text, sizeof text, "%s; trying again in %.3g s (failures in a row: %d, given up after %d)",
           s->why.message, delay, s->failures, p->retries + 1);
  return note(s->http, text, err);
}

// --- the loop -----------------------------------------------------------------------------------------

typedef struct Run {
  Http *http;
  HttpRequest *requests;
  size_t n, next, done;
  Slot *slots;
  size_t n_slots;
} Run;

// Gives free slots work and starts attempts that are due.
static bool start_due(Run *run, zaya_error *err) {
  for (size_t i = 0; i < run->n_slots; i++) {
    Slot *s = &run->slots[i];
    if (!s->req && run->next < run->n) {
      *s = (Slot){.http = run->http, .req = &run->requests[run->next++]};
    }
    if (!s->req || s->running || s->due > now_seconds()) continue;
    bool done = false;
    if (!start_attempt(s, &done, err)) return false;
    if (done) {
      slot_free(s);
      run->done++;
      i--; // the slot takes the next request at once
      if (!note(run->http, NULL, err)) return false;
    }
  }
  return true;
}

static bool take_finished(Run *run, zaya_error *err) {
  CURLMsg *m;
  int left;
  while ((m = curl_multi_info_read(run->http->multi, &left)) != NULL) {
    if (m->msg != CURLMSG_DONE) continue;
    CURLcode code = m->data.result;
    Slot *s = NULL;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
    bool followed;
    HttpVerdict v = judge(s, code, &followed);
    if (followed) continue;
    if (v == HTTP_STOP) return err_set(err, s->why.status, "%s", s->why.message);
    if (v == HTTP_AGAIN) {
      if (!plan_retry(s, err)) return false;
    } else {
      slot_free(s);
      run->done++;
    }
  }
  return true;
}

static bool free_slot(const Run *run) {
  for (size_t i = 0; i < run->n_slots; i++)
    if (!run->slots[i].req) return true;
  return false;
}

static int wait_ms(const Run *run) { // until the next attempt is due, at most a fifth of a second
  double wait = 0.2, now = now_seconds();
  if (run->next < run->n && free_slot(run)) return 0;
  for (size_t i = 0; i < run->n_slots; i++) {
    const Slot *s = &run->slots[i];
    if (s->req && !s->running && s->due - now < wait) wait = s->due - now;
  }
  return wait > 0 ? (int)(wait * 1000) + 1 : 0;
}

bool http_run(Http *h, HttpRequest *requests, size_t n, int parallel, zaya_error *err) {
  Run run = {.http = h, .requests = requests, .n = n, .n_slots = (size_t)(parallel < 1 ? 1 : parallel)};
  run.slots = calloc(run.n_slots, sizeof *run.slots);
  if (!run.slots) return err_memory(err, run.n_slots * sizeof *run.slots, "requests");
  bool ok = true;
  double ticked = 0;
  while (ok && run.done < n) {
    int running;
    ok = start_due(&run, err);
    if (!ok || run.done == n) break;
    CURLMcode code = curl_multi_perform(h->multi, &running);
    ok = take_finished(&run, err);
    if (ok && run.done == n) break; // nothing will wake the poll
    if (ok && code == CURLM_OK) code = curl_multi_poll(h->multi, NULL, 0, wait_ms(&run), NULL);
    if (ok && code != CURLM_OK) ok = err_set(err, ZAYA_E_NETWORK, "libcurl: %s", curl_multi_strerror(code));
    if (ok && now_seconds() - ticked > 0.1) {
      ok = note(h, NULL, err);
      ticked = now_seconds();
    }
  }
  for (size_t i = 0; i < run.n_slots; i++) slot_free(&run.slots[i]);
  free(run.slots);
  return ok;
}

Http *http_new(const HttpParams *params, zaya_error *err) {
  Http *h = calloc(1, sizeof *h);
  if (!h) {
    err_memory(err, sizeof *h, "the HTTP client");
    return NULL;
  }
  h->params = *params;
  char host[256];
  if (!url_part(params->endpoint, CURLUPART_HOST, host))
    err_set(err, ZAYA_E_INVALID, "'%s' is not the address of a hub", params->endpoint);
  else if (!(h->multi = curl_multi_init()))
    err_set(err, ZAYA_E_MEMORY, "libcurl: cannot start");
  if (h->multi) return h;
  http_free(h);
  return NULL;
}

void http_free(Http *h) {
  if (!h) return;
  curl_multi_cleanup(h->multi);
  free(h);
}

#endif // ZAYA_WITH_PULL
