// pull_list: asks the hub which commit a revision is and which files it holds. Owns the reading of the
// hub's API answers: nothing in them is trusted. See pull.h.
#ifdef ZAYA_WITH_PULL

#include "base/error.h"
#include "bundle/hub.h"
#include "bundle/pull.h"

#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_ANSWER = 64 << 20, // bytes of one API answer
  MAX_PAGES = 1000,
  MAX_FILES = 100000,
};

bool pull_wants(const char *path) {
  static const char *const patterns[] = {"*.safetensors", "*.json",   "*.jinja", "*.txt",
                                         "README*",       "LICENSE*", "NOTICE*"};
  if (strchr(path, '/')) return false; // a bundle is one flat folder
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    if (fnmatch(patterns[i], path, 0) == 0) return true;
  return false;
}

static HttpVerdict collect(HttpRequest *r, const void *data, size_t len, zaya_error *err) {
  Buf *body = r->user;
  if (len > MAX_ANSWER - body->len) {
    err_set(err, ZAYA_E_LIMIT, "%s: the answer is larger than %d bytes", r->what, MAX_ANSWER);
    return HTTP_STOP;
  }
  return buf_add(body, data, len, err) ? HTTP_GO : HTTP_STOP;
}

static HttpVerdict collect_anew(HttpRequest *r, zaya_error *err) {
  (void)err;
  buf_clear(r->user);
  return HTTP_GO;
}

static const HttpHooks collect_hooks = {.prepare = collect_anew, .body = collect};

// GETs one API address as JSON; `next` receives the address of the next page, or stays empty.
static json_t *get_json(Pull *p, const char *url, const char *what, Buf *next, zaya_error *err) {
  Buf body = {0};
  HttpRequest r = {.hooks = &collect_hooks, .user = &body, .what = what, .url = url};
  json_t *json = NULL;
  if (http_run(p->http, &r, 1, 1, err)) {
    json_error_t at;
    json = json_loadb(body.data ? body.data : "", body.len, JSON_REJECT_DUPLICATES, &at);
    if (!json) err_set(err, ZAYA_E_FORMAT, "%s: the hub's answer is not JSON: %s", what, at.text);
    if (json && !buf_puts(next, r.next, err)) {
      json_decref(json);
      json = NULL;
    }
  }
  buf_free(&body);
  return json;
}

static bool read_commit(Pull *p, const Buf *base, zaya_error *err) {
  Buf url = {0}, next = {0};
  char what[300];
  snprintf(what, sizeof what, "%.120s@%.120s", p->repo, p->revision);
  json_t *json = NULL;
  bool ok = buf_printf(&url, err, "%s/revision/", base->data) && http_encode(&url, p->revision, "", err) &&
            (json = get_json(p, url.data, what, &next, err)) != NULL;
  const char *sha = json_string_value(json_object_get(json, "sha"));
  if (ok && (!sha || !hub_is_hex(sha, 40)))
    ok = err_set(err, ZAYA_E_FORMAT, "%s: the hub names no commit (\"sha\", 40 hexadecimal digits)", what);
  if (ok) memcpy(p->commit, sha, sizeof p->commit);
  json_decref(json);
  buf_free(&url);
  buf_free(&next);
  return ok;
}

static bool add_file(Pull *p, const char *path, json_int_t size, const char *oid, bool lfs, zaya_error *err) {
  if (p->n_files == MAX_FILES)
    return err_set(err, ZAYA_E_LIMIT, "%s: more than %d files", p->repo, MAX_FILES);
  if (size < 0 || !oid || !hub_is_hex(oid, lfs ? 64 : 40))
    return err_set(err, ZAYA_E_FORMAT, "%s: the hub lists '%s' without a usable size and hash", p->repo,
                   path);
  for (size_t i = 0; i < p->n_files; i++)
    if (!strcmp(p->files[i].path, path))
      return err_set(err, ZAYA_E_FORMAT, "%s: the hub lists '%s' twice", p->repo, path);
  PullFile *files = realloc(p->files, (p->n_files + 1) * sizeof *files);
  if (!files) return err_memory(err, (p->n_files + 1) * sizeof *files, "the list of files");
  p->files = files;
  PullFile *f = &files[p->n_files];
  *f = (PullFile){.size = (uint64_t)size, .lfs = lfs, .fd = -1, .lock_fd = -1};
  memcpy(f->oid, oid, strlen(oid) + 1);
  f->path = strdup(path);
  if (!f->path) return err_memory(err, strlen(path), "a file name");
  p->n_files++;
  return true;
}

// One entry of the tree: {"type": "file", "path", "size", "oid", "lfs": {"oid", "size"}}.
static bool read_entry(Pull *p, const json_t *entry, zaya_error *err) {
  const char *type = json_string_value(json_object_get(entry, "type"));
  const char *path = json_string_value(json_object_get(entry, "path"));
  if (!type || !path)
    return err_set(err, ZAYA_E_FORMAT, "%s: the hub lists an entry without type and path", p->repo);
  if (strcmp(type, "file")) return true;
  if (!hub_check_path(path, err))
    return err_context(err, "%s: the hub lists a file that is refused", p->repo);
  if (!p->params->all && !pull_wants(path)) return true;
  const json_t *lfs = json_object_get(entry, "lfs"), *of = json_is_object(lfs) ? lfs : entry;
  const json_t *size = json_object_get(of, "size");
  return add_file(p, path, json_is_integer(size) ? json_integer_value(size) : -1,
                  json_string_value(json_object_get(of, "oid")), of == lfs, err);
}

static bool read_page(Pull *p, const json_t *page, zaya_error *err) {
  if (!json_is_array(page)) return err_set(err, ZAYA_E_FORMAT, "%s: the hub's file list is no list", p->repo);
  for (size_t i = 0; i < json_array_size(page); i++)
    if (!read_entry(p, json_array_get(page, i), err)) return false;
  return true;
}

static bool read_tree(Pull *p, const Buf *base, zaya_error *err) {
  Buf url = {0}, next = {0};
  char what[300];
  snprintf(what, sizeof what, "the file list of %.200s", p->repo);
  bool ok = buf_printf(&url, err, "%s/tree/%s?recursive=true", base->data, p->commit);
  for (int page = 0; ok && url.len; page++) {
    if (page == MAX_PAGES) {
      ok = err_set(err, ZAYA_E_LIMIT, "%s: more than %d pages", what, MAX_PAGES);
      break;
    }
    buf_clear(&next);
    json_t *json = get_json(p, url.data, what, &next, err);
    ok = json && read_page(p, json, err);
    json_decref(json);
    buf_clear(&url);
    if (ok && next.len && next.data[0] == '/') ok = buf_puts(&url, p->endpoint.data, err);
    if (ok && next.len) ok = buf_puts(&url, next.data, err);
  }
  buf_free(&url);
  buf_free(&next);
  return ok;
}

bool pull_list(Pull *p, zaya_error *err) {
  Buf base = {0};
  bool ok = buf_printf(&base, err, "%s/api/models/%s", p->endpoint.data, p->repo) &&
            read_commit(p, &base, err) && read_tree(p, &base, err);
  buf_free(&base);
  if (ok && p->n_files == 0)
    ok = err_set(err, ZAYA_E_FORMAT, "%s@%s: holds no file that a bundle needs (--all fetches everything)",
                 p->repo, p->revision);
  return ok;
}

#endif // ZAYA_WITH_PULL
