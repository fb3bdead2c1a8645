// hub: see hub.h.
#include "bundle/hub.h"

#include "base/error.h"
#include "base/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_ENDPOINT "https://huggingface.co"

static bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

bool hub_check_repo(const char *repo, zaya_error *err) {
  size_t len = strlen(repo), slashes = 0;
  bool ok = len > 0 && len <= 96;
  for (size_t i = 0; i < len; i++) {
    bool edge = i == 0 || i + 1 == len || repo[i - 1] == '/' || repo[i + 1] == '/';
    if (repo[i] == '/')
      ok = ok && ++slashes == 1 && i > 0 && i + 1 < len;
    else
      ok = ok && is_name_char(repo[i]) && !(edge && (repo[i] == '.' || repo[i] == '-'));
  }
  // "--" stands for the slash in cache folder names; the hubs refuse both in names.
  ok = ok && !strstr(repo, "--") && !strstr(repo, "..");
  return ok || err_set(err, ZAYA_E_INVALID, "'%s' is not a repository name; expected org/name", repo);
}

// A relative path whose components are neither empty nor "." nor "..".
static bool is_safe_path(const char *path) {
  if (!*path || strlen(path) > 1024) return false;
  for (const char *p = path;; p++) {
    size_t n = strcspn(p, "/");
    if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
    for (size_t i = 0; i < n; i++)
      if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\') return false;
    p += n;
    if (!*p) return true;
  }
}

bool hub_check_revision(const char *revision, zaya_error *err) {
  return is_safe_path(revision) || err_set(err, ZAYA_E_INVALID, "'%s' is not a revision name", revision);
}

bool hub_check_path(const char *path, zaya_error *err) {
  if (is_safe_path(path)) return true;
  char shown[128]; // a hostile name must not reach a terminal as it is
  size_t n = 0;
  for (; path[n] && n + 1 < sizeof shown; n++) {
    unsigned char c = (unsigned char)path[n];
    shown[n] = c < 0x20 || c == 0x7f ? '?' : path[n];
  }
  shown[n] = '\0';
  return err_set(err, ZAYA_E_FORMAT, "unsafe file name '%s'", shown);
}

bool hub_is_hex(const char *text, size_t digits) {
  for (size_t i = 0; i < digits; i++)
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
  return !text[digits];
}

static const char *variable(const char *name) {
  const char *v = getenv(name);
  return v && *v ? v : NULL;
}

bool hub_endpoint(const char *given, Buf *out, zaya_error *err) {
  const char *url = given ? given : variable("HF_ENDPOINT");
  if (!url) url = DEFAULT_ENDPOINT;
  if (strncmp(url, "https://", 8) && strncmp(url, "http://", 7))
    return err_set(err, ZAYA_E_INVALID, "the hub's address must start with https:// or http://, not '%s'",
                   url);
  if (!buf_puts(out, url, err)) return false;
  while (out->len && out->data[out->len - 1] == '/') out->data[--out->len] = '\0';
  return true;
}

static bool home_dir(Buf *out, zaya_error *err) { // HF_HOME
  const char *v = variable("HF_HOME");
  if (v) return buf_puts(out, v, err);
  if ((v = variable("XDG_CACHE_HOME"))) return buf_printf(out, err, "%s/huggingface", v);
  if ((v = variable("HOME"))) return buf_printf(out, err, "%s/.cache/huggingface", v);
  return err_set(err, ZAYA_E_INVALID, "no cache folder: none of HF_HUB_CACHE, HF_HOME and HOME is set");
}

bool hub_token(const char *given, Buf *out, zaya_error *err) {
  const char *token = given ? given : variable("HF_TOKEN");
  if (token) {
    if (!buf_puts(out, token, err)) return false;
  } else {
    Buf path = {0};
    const char *file = variable("HF_TOKEN_PATH");
    bool found =
        file ? buf_puts(&path, file, NULL) : home_dir(&path, NULL) && buf_puts(&path, "/token", NULL);
    bool ok = !found || access(path.data, F_OK) != 0 || buf_read_file(out, path.data, 4096, err);
    buf_free(&path);
    if (!ok) return false;
  }
  while (out->len && strchr(" \t\r\n", out->data[out->len - 1])) out->data[--out->len] = '\0';
  for (size_t i = 0; i < out->len; i++)
    if ((unsigned char)out->data[i] <= 0x20 || (unsigned char)out->data[i] >= 0x7f)
      return err_set(err, ZAYA_E_INVALID, "the hub token holds characters that no token has");
  return true;
}

bool hub_cache_dir(Buf *out, zaya_error *err) {
  const char *v = variable("HF_HUB_CACHE");
  if (!v) v = variable("HUGGINGFACE_HUB_CACHE");
  if (v) return buf_puts(out, v, err);
  return home_dir(out, err) && buf_puts(out, "/hub", err);
}

bool hub_repo_dir(const char *repo, Buf *out, zaya_error *err) {
  if (!hub_cache_dir(out, err) || !buf_puts(out, "/models", err)) return false;
  for (const char *p = repo;; p++) {
    size_t n = strcspn(p, "/");
    if (!buf_puts(out, "--", err) || !buf_add(out, p, n, err)) return false;
    p += n;
    if (!*p) return true;
  }
}

// Where the snapshot of repo@revision lies in the cache; *found false when it is not (whole) there.
static bool find_snapshot(const char *repo, const char *revision, Buf *dir, bool *started, bool *found,
                          zaya_error *err) {
  Buf commit = {0};
  *found = false;
  if (!hub_repo_dir(repo, dir, err)) return false;
  *started = files_is_dir(dir->data);
  size_t base = dir->len;
  if (hub_is_hex(revision, 40)) {
    if (!buf_puts(&commit, revision, err)) return false;
  } else if (buf_printf(dir, err, "/refs/%s", revision) && access(dir->data, F_OK) == 0 &&
             buf_read_file(&commit, dir->data, 4096, NULL)) {
    commit.data[strcspn(commit.data, " \r\n")] = '\0';
  }
  dir->data[dir->len = base] = '\0';
  bool ok = true;
  if (commit.data && hub_is_hex(commit.data, 40)) {
    ok = buf_printf(dir, err, "/snapshots/%s", commit.data);
    size_t end = dir->len;
    ok = ok && buf_puts(dir, "/config.json", err);
    *found = ok && access(dir->data, F_OK) == 0;
    if (ok) dir->data[dir->len = end] = '\0';
  }
  buf_free(&commit);
  return ok;
}

bool zaya_resolve_model(const char *name_or_dir, zaya_text *dir, zaya_error *err) {
  if (!name_or_dir || !*name_or_dir) return err_set(err, ZAYA_E_INVALID, "no model given");
  if (files_is_dir(name_or_dir)) return buf_puts(dir, name_or_dir, err);
  if (access(name_or_dir, F_OK) == 0)
    return err_set(err, ZAYA_E_INVALID, "%s: a file; expected the folder of a model", name_or_dir);

  const char *at = strchr(name_or_dir, '@'), *revision = at ? at + 1 : "main";
  size_t n = at ? (size_t)(at - name_or_dir) : strlen(name_or_dir), start = dir->len;
  char repo[128] = "";
  if (n < sizeof repo) memcpy(repo, name_or_dir, n);
  if (!strchr(repo, '/') || !hub_check_repo(repo, NULL) || !hub_check_revision(revision, NULL))
    return err_set(err, ZAYA_E_IO,
                   "%s: no such folder, and not a repository name (org/name or org/name@revision)",
                   name_or_dir);
  Buf place = {0};
  bool started = false, found = false;
  bool ok = find_snapshot(repo, revision, &place, &started, &found, err);
  const char *flag = at ? " --revision " : "", *value = at ? revision : "";
  if (ok && !found)
    ok = started ? err_set(err, ZAYA_E_IO,
                           "%s: the hub cache (%s) holds no finished download of it; get it with: "
                           "zaya pull %s%s%s",
                           name_or_dir, place.data, repo, flag, value)
                 : err_set(err, ZAYA_E_IO,
                           "%s: no such folder, and not in the hub cache; get it with: "
                           "zaya pull %s%s%s",
                           name_or_dir, repo, flag, value);
  ok = ok && buf_puts(dir, place.data, err);
  if (!ok && dir->data) dir->data[dir->len = start] = '\0';
  buf_free(&place);
  return ok;
}
