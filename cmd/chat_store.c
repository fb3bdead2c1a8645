// chat_store: see chat_store.h.
#include "chat_store.h"

#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1, NAME_MAX_LEN = 64, TITLE_BYTES = 60, KEEP_AUTO = 50 };
static const char format_name[] = "zaya-chat", extension[] = ".json", auto_prefix[] = "auto-";

static bool failed(zaya_error *err, const char *path, const char *what) {
  err->status = ZAYA_E_IO;
  snprintf(err->message, sizeof err->message, "%.700s: %.300s", path, what);
  return false;
}

static bool out_of_memory(zaya_error *err) {
  err->status = ZAYA_E_MEMORY;
  snprintf(err->message, sizeof err->message, "out of memory");
  return false;
}

static char *joined(const char *a, const char *b, const char *c, zaya_error *err) {
  const size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
  char *text = malloc(n);
  if (text)
    snprintf(text, n, "%s%s%s", a, b, c);
  else
    out_of_memory(err);
  return text;
}

// --- folders -------------------------------------------------------------------------------------

char *chat_store_home(const char *variable, const char *fallback, const char *name, zaya_error *err) {
  const char *home = getenv("HOME"), *given = getenv(variable);
  if (given && *given == '/') return joined(given, "/", name, err);
  if (!home || *home != '/') {
    failed(err, variable, "not set, and there is no HOME either");
    return NULL;
  }
  char *folder = joined(home, "/", fallback, err);
  char *path = folder ? joined(folder, "/", name, err) : NULL;
  free(folder);
  return path;
}

bool chat_store_make_folder(const char *path, zaya_error *err) {
  char *part = strdup(path);
  if (!part) return out_of_memory(err);
  bool ok = true;
  for (char *p = part + 1; ok; p++) {
    const char was = *p;
    if (was && was != '/') continue;
    *p = '\0';
    if (mkdir(part, 0700) != 0 && errno != EEXIST) ok = failed(err, part, strerror(errno));
    *p = was;
    if (!was) break;
  }
  free(part);
  return ok;
}

static char *sessions_folder(zaya_error *err) {
  return chat_store_home("XDG_DATA_HOME", ".local/share", "zaya/sessions", err);
}

// --- names ---------------------------------------------------------------------------------------

static bool name_is_safe(const char *name) {
  const size_t n = strlen(name);
  if (!n || n > NAME_MAX_LEN || *name == '.' || *name == '-') return false;
  for (const char *p = name; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
          strchr("._-", *p)))
      return false;
  return true;
}

void chat_store_free(ChatStore *s) {
  free(s->path);
  free(s->name);
  *s = (ChatStore){0};
}

static bool set_path(ChatStore *s, char *path, const char *name, zaya_error *err) {
  char *copy = path ? strdup(name) : NULL;
  if (!copy) {
    if (path) out_of_memory(err);
    free(path);
    return false;
  }
  chat_store_free(s);
  s->path = path;
  s->name = copy;
  return true;
}

bool chat_store_open(ChatStore *s, const char *name, zaya_error *err) {
  if (strchr(name, '/')) return set_path(s, joined(name, "", "", err), name, err);
  if (!name_is_safe(name)) {
    err->status = ZAYA_E_INVALID;
    snprintf(
        err->message, sizeof err->message,
        "'%s' cannot be a session's name: up to %d letters, digits, '.', '_' and '-', the first no '.' or "
        "'-' (a path has a '/')",
        name, NAME_MAX_LEN);
    return false;
  }
  char *folder = sessions_folder(err), *base = folder ? joined(folder, "/", name, err) : NULL;
  char *path = base ? joined(base, extension, "", err) : NULL;
  free(folder);
  free(base);
  return path && set_path(s, path, name, err);
}

bool chat_store_exists(const ChatStore *s) {
  struct stat info;
  return s->path && stat(s->path, &info) == 0;
}

// --- reading -------------------------------------------------------------------------------------

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// The file as an object of this format.
static json_t *read_file(const char *path, zaya_error *err) {
  zaya_text text = {0};
  json_error_t where;
  if (!read_input(path, &text, err)) {
    zaya_text_free(&text);
    return NULL;
  }
  json_t *root = json_loadb(text.data ? text.data : "", text.len, 0, &where);
  zaya_text_free(&text);
  char what[sizeof where.text + 64];
  const char *format = json_string_value(json_object_get(root, "format"));
  const json_t *version = json_object_get(root, "version");
  if (!root)
    snprintf(what, sizeof what, "not a session: line %d: %s", where.line, where.text);
  else if (!format || strcmp(format, format_name) != 0)
    snprintf(what, sizeof what, "not a session of zaya chat");
  else if (!json_is_integer(version) || json_integer_value(version) != VERSION)
    snprintf(what, sizeof what, "a session of another version of this program (this one reads %d)", VERSION);
  else
    return root;
  failed(err, path, what);
  json_decref(root);
  return NULL;
}

bool chat_store_load(ChatStore *s, ChatSet *set, ChatTalk *talk, zaya_error *err) {
  struct stat info = {0};
  zaya_error inner = {0};
  ChatTalk loaded = {0};
  if (stat(s->path, &info) != 0) return failed(err, s->path, strerror(errno));
  json_t *root = read_file(s->path, err);
  if (!root) return false;
  json_t *messages = json_incref(json_object_get(root, "messages"));
  bool ok = chat_talk_set(&loaded, messages, &inner);
  if (!ok) json_decref(messages);
  ok = ok && chat_set_load(set, json_object_get(root, "settings"), &inner);
  json_decref(root);
  if (!ok) {
    chat_talk_free(&loaded);
    return failed(err, s->path, inner.message);
  }
  chat_talk_free(talk);
  *talk = loaded;
  s->seen = info;
  s->known = true;
  return true;
}

// --- writing -------------------------------------------------------------------------------------

// Gives the file `part` the name `path`. With `taken` no file loses its name to it: *taken says that there is
// one.
static bool put_in_place(const char *part, const char *path, bool *taken) {
  if (!taken) return rename(part, path) == 0;
  if (link(part, path) == 0) return remove(part) == 0;
  *taken = errno == EEXIST;
  return !*taken && rename(part, path) == 0; // a file system without links
}

// Writes `text` under another name first, so that the file is whole at every moment.
static bool write_whole(const char *path, const char *text, bool *taken, zaya_error *err) {
  char *part = joined(path, ".XXXXXX", "", err);
  if (!part) return false;
  const int fd = mkstemp(part);
  bool ok = fd >= 0;
  for (size_t left = strlen(text); ok && left;) {
    const ssize_t n = write(fd, text, left);
    if (n < 0 && errno == EINTR) continue;
    ok = n > 0;
    if (ok) text += n, left -= (size_t)n;
  }
  ok = ok && fsync(fd) == 0;
  if (fd >= 0 && close(fd) != 0) ok = false;
  ok = ok && put_in_place(part, path, taken);
  if (!ok) failed(err, path, strerror(errno));
  if (!ok && fd >= 0) remove(part);
  free(part);
  return ok;
}

static struct tm local_time(time_t t) {
  struct tm parts = {0};
  localtime_r(&t, &parts);
  return parts;
}

// The first line of the first question.
static json_t *title_of(const ChatTalk *talk) {
  const char *text = json_string_value(json_object_get(json_array_get(talk->messages, 0), "content"));
  if (!text) return json_string("");
  size_t n = strcspn(text, "\n");
  if (n > TITLE_BYTES)
    for (n = TITLE_BYTES; n && ((unsigned char)text[n] & 0xc0) == 0x80;) n--;
  return json_stringn(text, n);
}

// Another chat may have found the same name free at the same time: then the next one is taken.
static bool write_session(ChatStore *s, const char *text, zaya_error *err) {
  for (;;) {
    zaya_error why = {0};
    bool taken = false;
    if (write_whole(s->path, text, s->fresh ? &taken : NULL, &why)) break;
    if (!taken) {
      *err = why;
      return false;
    }
    if (!chat_store_open_auto(s, err)) return false;
  }
  s->fresh = false;
  return true;
}

bool chat_store_save(ChatStore *s, const ChatSet *set, const ChatTalk *talk, const char *model,
                     zaya_error *err) {
  struct stat now;
  char when[40];
  if (s->known && stat(s->path, &now) == 0 && !same_file(&now, &s->seen))
    return failed(err, s->path,
                  "changed by another program meanwhile: not overwritten (/save NAME saves it apart)");
  const char *slash = strrchr(s->path, '/');
  char *folder = strndup(s->path, slash ? (size_t)(slash - s->path) : 0);
  bool ok = folder && (strchr(s->name, '/') || chat_store_make_folder(folder, err));
  free(folder);
  if (!ok) return false;
  const struct tm now_parts = local_time(time(NULL));
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S%z", &now_parts);
  json_t *root = json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:O}", "format", format_name, "version", VERSION,
                           "model", model, "updated", when, "title", title_of(talk), "settings",
                           chat_set_save(set), "messages", talk->messages);
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  json_decref(root);
  ok = text ? write_session(s, text, err) : out_of_memory(err);
  free(text);
  s->known = ok && stat(s->path, &s->seen) == 0;
  return ok;
}

// --- the list ------------------------------------------------------------------------------------

typedef struct Entry {
  char name[NAME_MAX_LEN + 1];
  time_t time;
} Entry;

static int newest_first(const void *a, const void *b) {
  const Entry *x = a, *y = b;
  if (x->time != y->time) return x->time > y->time ? -1 : 1;
  return strcmp(y->name, x->name);
}

// The sessions of the folder, newest first; *n of them. A folder that is not there has none.
static Entry *scan(const char *folder, size_t *n, zaya_error *err) {
  Entry *entries = calloc(1, sizeof *entries);
  DIR *dir = opendir(folder);
  *n = 0;
  if (!entries) out_of_memory(err);
  for (struct dirent *d; entries && dir && (d = readdir(dir));) {
    const size_t len = strlen(d->d_name), n_ext = sizeof extension - 1;
    struct stat info;
    if (len <= n_ext || len - n_ext > NAME_MAX_LEN || strcmp(d->d_name + len - n_ext, extension) != 0)
      continue;
    if (fstatat(dirfd(dir), d->d_name, &info, 0) != 0 || !S_ISREG(info.st_mode)) continue;
    Entry *more = realloc(entries, (*n + 1) * sizeof *more);
    if (!more) {
      free(entries);
      entries = NULL;
      out_of_memory(err);
      break;
    }
    entries = more;
    entries[*n] = (Entry){.time = info.st_mtime};
    memcpy(entries[(*n)++].name, d->d_name, len - n_ext);
  }
  if (dir) closedir(dir);
  if (entries) qsort(entries, *n, sizeof *entries, newest_first);
  return entries;
}

static json_t *describe(const char *folder, const Entry *e) {
  char path[4096], when[40];
  const struct tm parts = local_time(e->time);
  strftime(when, sizeof when, "%Y-%m-%d %H:%M", &parts);
  json_t *about = json_pack("{s:s, s:s}", "name", e->name, "updated", when);
  const int n = snprintf(path, sizeof path, "%s/%s%s", folder, e->name, extension);
  json_t *root = n > 0 && (size_t)n < sizeof path ? read_file(path, &(zaya_error){0}) : NULL;
  const json_t *messages = json_object_get(root, "messages");
  json_t *title = json_object_get(root, "title");
  if (json_is_array(messages)) {
    json_object_set_new(about, "messages", json_integer((json_int_t)json_array_size(messages)));
    json_object_set(about, "title", json_is_string(title) ? title : json_object_get(about, "name"));
  }
  json_decref(root);
  return about;
}

json_t *chat_store_list(zaya_error *err) {
  size_t n = 0;
  char *folder = sessions_folder(err);
  Entry *entries = folder ? scan(folder, &n, err) : NULL;
  json_t *list = entries ? json_array() : NULL;
  for (size_t i = 0; list && i < n; i++) json_array_append_new(list, describe(folder, &entries[i]));
  free(entries);
  free(folder);
  return list;
}

// Conversations that were never given a name go when there are more than KEEP_AUTO of them.
static void prune(const char *folder) {
  size_t n, n_auto = 0;
  Entry *entries = scan(folder, &n, &(zaya_error){0});
  for (size_t i = 0; entries && i < n; i++) {
    char path[4096];
    if (strncmp(entries[i].name, auto_prefix, sizeof auto_prefix - 1) != 0 || ++n_auto < KEEP_AUTO) continue;
    const int len = snprintf(path, sizeof path, "%s/%s%s", folder, entries[i].name, extension);
    if (len > 0 && (size_t)len < sizeof path) remove(path);
  }
  free(entries);
}

bool chat_store_open_auto(ChatStore *s, zaya_error *err) {
  char when[32], name[NAME_MAX_LEN + 1];
  char *folder = sessions_folder(err);
  if (!folder) return false;
  prune(folder);
  free(folder);
  const struct tm parts = local_time(time(NULL));
  strftime(when, sizeof when, "%Y%m%d-%H%M%S", &parts);
  for (int i = 0; i < 1000; i++) { // several in one second
    snprintf(name, sizeof name, i ? "%s%s-%d" : "%s%s", auto_prefix, when, i);
    if (!chat_store_open(s, name, err)) return false;
    s->fresh = !chat_store_exists(s);
    if (s->fresh) return true;
  }
  return failed(err, s->path, "no free name for the session");
}

void chat_store_drop_auto(const ChatStore *s) {
  if (s->path && s->known && !strncmp(s->name, auto_prefix, sizeof auto_prefix - 1)) remove(s->path);
}

bool chat_store_open_newest(ChatStore *s, zaya_error *err) {
  size_t n = 0;
  char *folder = sessions_folder(err);
  Entry *entries = folder ? scan(folder, &n, err) : NULL;
  const bool ok = entries && n ? chat_store_open(s, entries[0].name, err)
                               : failed(err, folder ? folder : "sessions", "no saved session");
  free(entries);
  free(folder);
  return ok;
}
