// pull: a repository from a hub to this machine. Owns the order of things: list, what is there already,
// room on the disk, transfer, and last of all the reference that makes the name resolve. See pull.h.
#include "base/buf.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

void zaya_pull_result_free(zaya_pull_result *r) {
  if (!r) return;
  for (size_t i = 0; i < r->n_files; i++) free(r->files[i].path);
  free(r->files);
  free(r->dir);
  *r = (zaya_pull_result){0};
}

#ifndef ZAYA_WITH_PULL

bool zaya_pull(const char *repo, const zaya_pull_params *params, zaya_pull_result *result, zaya_error *err) {
  (void)params;
  (void)result;
  return err_set(err, ZAYA_E_UNSUPPORTED, "%s: this build cannot fetch (it was made without libcurl)", repo);
}

#else

#include "base/files.h"
#include "bundle/hub.h"
#include "bundle/pull.h"

#include <curl/curl.h>
#include <sys/stat.h>

enum { DEFAULT_CONNECTIONS = 4, DEFAULT_RETRIES = 5, MAX_CONNECTIONS = 32 };

static bool tick(void *user, const char *note) {
  Pull *p = user;
  if (!p->params->progress) return true;
  zaya_pull_progress now = {.bytes_total = p->bytes_total,
                            .bytes_fetched = p->bytes_fetched,
                            .files_total = p->n_files,
                            .note = note};
  for (size_t i = 0; i < p->n_files; i++) {
    const PullFile *f = &p->files[i];
    now.bytes_done += f->complete ? f->size : f->have;
    now.files_done += f->complete;
  }
  return p->params->progress(p->params->user, &now);
}

static bool open_http(Pull *p, zaya_error *err) {
  const zaya_pull_params *q = p->params;
  if (!hub_endpoint(q->endpoint, &p->endpoint, err) || !hub_token(q->token, &p->token, err)) return false;
  HttpParams params = {.endpoint = p->endpoint.data,
                       .token = p->token.data ? p->token.data : "",
                       .retries = q->retries < 0 ? DEFAULT_RETRIES : q->retries,
                       .retry_delay = q->retry_delay > 0 ? q->retry_delay : 1,
                       .timeout = q->timeout > 0 ? q->timeout : 30,
                       .tick = tick,
                       .user = p};
  p->http = http_new(&params, err);
  return p->http != NULL;
}

// Where the files go.
static bool choose_root(Pull *p, zaya_error *err) {
  if (p->params->to) {
    if (!buf_puts(&p->root, p->params->to, err)) return false;
    while (p->root.len > 1 && p->root.data[p->root.len - 1] == '/') p->root.data[--p->root.len] = '\0';
    return files_make_dirs(p->root.data, false, err);
  }
  return hub_repo_dir(p->repo, &p->repo_dir, err) && files_make_dirs(p->repo_dir.data, false, err) &&
         buf_printf(&p->root, err, "%s/snapshots/%s", p->repo_dir.data, p->commit);
}

// Whether the final file is there. A blob of the cache is named by its hash and was checked when it got
// the name; a file in a plain folder may be anything.
static bool is_complete(PullFile *f, bool check, bool *complete, zaya_error *err) {
  struct stat st;
  *complete = false;
  if (stat(f->final, &st) != 0) return true;
  if (!S_ISREG(st.st_mode)) return err_set(err, ZAYA_E_IO, "%s: is in the way and not a file", f->final);
  if ((uint64_t)st.st_size != f->size) return true;
  *complete = true;
  return !check || pull_file_check(f, complete, err);
}

static bool survey(Pull *p, zaya_error *err) {
  for (size_t i = 0; i < p->n_files; i++) p->bytes_total += p->files[i].size;
  for (size_t i = 0; i < p->n_files; i++) {
    PullFile *f = &p->files[i];
    if (!pull_file_place(p, f, err) || !is_complete(f, p->params->to != NULL, &f->complete, err))
      return false;
    if (f->complete && !pull_file_link(f, err)) return false;
    if (!tick(p, NULL)) return err_set(err, ZAYA_E_CANCELLED, "cancelled");
  }
  return true;
}

// Refuses a download that cannot fit before it starts.
static bool check_room(const Pull *p, zaya_error *err) {
  const char *where = p->params->to ? p->root.data : p->repo_dir.data;
  uint64_t need = 0;
  for (size_t i = 0; i < p->n_files; i++)
    if (__builtin_add_overflow(need, p->files[i].size - pull_file_have(&p->files[i]), &need))
      need = UINT64_MAX;
  return files_check_room(where, need, err);
}

static bool transfer(Pull *p, zaya_error *err) {
  HttpRequest *requests = calloc(p->n_files, sizeof *requests);
  if (!requests) return err_memory(err, p->n_files * sizeof *requests, "requests");
  size_t n = 0;
  for (size_t i = 0; i < p->n_files; i++) {
    PullFile *f = &p->files[i];
    if (!f->complete)
      requests[n++] = (HttpRequest){.hooks = &pull_file_hooks, .user = f, .what = f->what, .url = f->url};
  }
  int parallel = p->params->connections > 0 ? p->params->connections : DEFAULT_CONNECTIONS;
  if (parallel > MAX_CONNECTIONS) parallel = MAX_CONNECTIONS;
  bool ok = n == 0 || http_run(p->http, requests, n, parallel, err);
  free(requests);
  return ok;
}

// refs/REVISION, last: from now on the name resolves to the snapshot.
static bool write_ref(const Pull *p, zaya_error *err) {
  if (p->params->to || hub_is_hex(p->revision, 40)) return true;
  Buf path = {0};
  bool ok = buf_printf(&path, err, "%s/refs/%s", p->repo_dir.data, p->revision) &&
            files_make_dirs(path.data, true, err) &&
            files_write(path.data, p->commit, strlen(p->commit), err);
  buf_free(&path);
  return ok;
}

static bool fill_result(const Pull *p, zaya_pull_result *r, zaya_error *err) {
  *r = (zaya_pull_result){.bytes_total = p->bytes_total, .bytes_fetched = p->bytes_fetched};
  memcpy(r->commit, p->commit, sizeof r->commit);
  r->dir = strdup(p->root.data);
  r->files = calloc(p->n_files, sizeof *r->files);
  if (!r->dir || !r->files) return err_memory(err, p->n_files * sizeof *r->files, "the result");
  for (size_t i = 0; i < p->n_files; i++) {
    const PullFile *f = &p->files[i];
    r->files[i] = (zaya_pull_file){.path = strdup(f->path), .size = f->size, .fetched = f->fetched};
    r->n_files = i + 1;
    if (!r->files[i].path) return err_memory(err, strlen(f->path), "the result");
  }
  return true;
}

bool zaya_pull(const char *repo, const zaya_pull_params *params, zaya_pull_result *result, zaya_error *err) {
  static const zaya_pull_params defaults = {.retries = -1};
  Pull p = {.params = params ? params : &defaults, .repo = repo};
  p.revision = p.params->revision ? p.params->revision : "main";
  *result = (zaya_pull_result){0};
  if (!hub_check_repo(repo, err) || !hub_check_revision(p.revision, err)) return false;
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return err_set(err, ZAYA_E_NETWORK, "libcurl: cannot start");
  bool ok = open_http(&p, err) && pull_list(&p, err) && choose_root(&p, err) && survey(&p, err) &&
            check_room(&p, err) && transfer(&p, err) && write_ref(&p, err) && fill_result(&p, result, err);
  if (ok) tick(&p, NULL);
  if (!ok) zaya_pull_result_free(result);
  http_free(p.http);
  for (size_t i = 0; i < p.n_files; i++) pull_file_free(&p.files[i]);
  free(p.files);
  buf_free(&p.root);
  buf_free(&p.repo_dir);
  buf_free(&p.endpoint);
  buf_free(&p.token);
  curl_global_cleanup();
  return ok;
}

#endif // ZAYA_WITH_PULL
