// chat_files: see chat_files.h.
#include "chat_files.h"

#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_BYTES = 16 << 20 }; // far more than fits any context; keeps a slip from being read for minutes

static bool failed(zaya_error *err, const char *path, const char *what) {
  err->status = ZAYA_E_IO;
  snprintf(err->message, sizeof err->message, "%s: %s", path, what);
  return false;
}

// The path with the home folder for "~".
static char *expanded(const char *path) {
  const char *home = getenv("HOME");
  if (path[0] != '~' || path[1] != '/' || !home) return strdup(path);
  const size_t n = strlen(home) + strlen(path);
  char *full = malloc(n);
  if (full) snprintf(full, n, "%s%s", home, path + 1);
  return full;
}

bool chat_files_read(const char *path, zaya_text *out, zaya_error *err) {
  struct stat info;
  char *full = expanded(path);
  if (!full) return failed(err, path, strerror(ENOMEM));
  bool ok = stat(full, &info) == 0 || failed(err, path, strerror(errno));
  if (ok && !S_ISREG(info.st_mode)) ok = failed(err, path, "not a file");
  if (ok && info.st_size > MAX_BYTES) ok = failed(err, path, "larger than 16 MiB");
  ok = ok && (strcmp(full, "-") ? read_input(full, out, err) : read_input("./-", out, err));
  const char *bytes = out->data ? out->data : "";
  json_t *text = ok ? json_stringn(bytes, out->len) : NULL;
  if (ok && (!text || memchr(bytes, 0, out->len))) ok = failed(err, path, "not UTF-8 text");
  json_decref(text);
  free(full);
  return ok;
}

// More backticks than stand in a row in the text.
static size_t fence_for(const zaya_text *text) {
  size_t longest = 2, run = 0;
  for (size_t i = 0; i < text->len; i++) {
    run = text->data[i] == '`' ? run + 1 : 0;
    if (run > longest) longest = run;
  }
  return longest + 1;
}

bool chat_files_quote(const char *before, const char *path, const zaya_text *text, char **out,
                      zaya_error *err) {
  const size_t fence = fence_for(text);
  const size_t room = (before ? strlen(before) : 0) + strlen(path) + text->len + 2 * fence + 64;
  char *ticks = malloc(fence + 1);
  *out = malloc(room);
  if (!ticks || !*out) {
    free(ticks);
    free(*out);
    *out = NULL;
    return failed(err, path, strerror(ENOMEM));
  }
  memset(ticks, '`', fence);
  ticks[fence] = '\0';
  const bool ended = text->len && text->data[text->len - 1] == '\n';
  snprintf(*out, room, "%sFile %s:\n%s\n%s%s%s\n\n", before ? before : "", path, ticks,
           text->data ? text->data : "", ended ? "" : "\n", ticks);
  free(ticks);
  return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static json_t *sorted(char **paths, size_t n) {
  json_t *list = json_array();
  if (n) qsort(paths, n, sizeof *paths, by_text);
  for (size_t i = 0; i < n; i++) {
    json_array_append_new(list, json_string(paths[i])); // names that are not UTF-8 are left out
    free(paths[i]);
  }
  free(paths);
  return list;
}

json_t *chat_files_complete(const char *begun) {
  const char *slash = strrchr(begun, '/'), *name = slash ? slash + 1 : begun;
  char **paths = NULL;
  size_t n = 0;
  char *folder = strndup(begun, (size_t)(name - begun)), *full = folder ? expanded(folder) : NULL;
  DIR *dir = full ? opendir(*full ? full : ".") : NULL;
  for (struct dirent *d; dir && (d = readdir(dir));) {
    struct stat info;
    if (strncmp(d->d_name, name, strlen(name)) != 0 || (*d->d_name == '.' && *name != '.')) continue;
    if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")) continue;
    const bool is_folder = fstatat(dirfd(dir), d->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
    const size_t room = strlen(folder) + strlen(d->d_name) + 2;
    char **more = realloc(paths, (n + 1) * sizeof *more), *path = malloc(room);
    if (more) paths = more;
    if (!more || !path) {
      free(path);
      break;
    }
    snprintf(path, room, "%s%s%s", folder, d->d_name, is_folder ? "/" : "");
    paths[n++] = path;
  }
  if (dir) closedir(dir);
  free(folder);
  free(full);
  return sorted(paths, n);
}
