// pull_file: one file from the hub to its place: partial file, range, size, hash, and only then the
// final name. Whatever goes wrong or is killed in between leaves at most the partial file, which the
// next attempt resumes and checks as a whole. See pull.h.
#ifdef ZAYA_WITH_PULL

#include "base/error.h"
#include "base/files.h"
#include "bundle/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// --- places ---------------------------------------------------------------------------------------------

static char *make_text(zaya_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static char *make_text(zaya_error *err, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  char *text = n < 0 ? NULL : malloc((size_t)n + 1);
  if (text)
    vsnprintf(text, (size_t)n + 1, fmt, again);
  else
    err_memory(err, 0, "a path");
  va_end(again);
  va_end(args);
  return text;
}

bool pull_file_place(Pull *p, PullFile *f, zaya_error *err) {
  f->pull = p;
  Buf url = {0};
  bool ok = buf_printf(&url, err, "%s/%s/resolve/%s/", p->endpoint.data, p->repo, p->commit) &&
            http_encode(&url, f->path, "/", err);
  f->url = url.data;
  f->what = ok ? make_text(err, "%s/%s", p->repo, f->path) : NULL;
  if (!f->what) return false;
  if (p->params->to) {
    f->final = make_text(err, "%s/%s", p->root.data, f->path);
    f->partial = make_text(err, "%s/%s.incomplete", p->root.data, f->path);
  } else {
    f->final = make_text(err, "%s/blobs/%s", p->repo_dir.data, f->oid);
    f->partial = make_text(err, "%s/blobs/%s.incomplete", p->repo_dir.data, f->oid);
    f->link = make_text(err, "%s/%s", p->root.data, f->path);
    // Where the other tools of the hub lock: <cache>/.locks/models--org--name/<oid>.lock
    const char *name = strrchr(p->repo_dir.data, '/');
    f->lock = make_text(err, "%.*s/.locks%s/%s.lock", (int)(name - p->repo_dir.data), p->repo_dir.data, name,
                        f->oid);
    if (!f->link || !f->lock) return false;
  }
  return f->final && f->partial;
}

static bool file_size(const char *path, uint64_t *size) {
  struct stat st;
  if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return false;
  *size = (uint64_t)st.st_size;
  return true;
}

uint64_t pull_file_have(const PullFile *f) {
  uint64_t size;
  if (f->complete) return f->size;
  if (f->fd >= 0) return f->have;
  return file_size(f->partial, &size) && size <= f->size ? size : 0;
}

void pull_file_free(PullFile *f) {
  if (f->fd >= 0) close(f->fd);
  if (f->lock_fd >= 0) close(f->lock_fd);
  hash_free(f->hash);
  free(f->path);
  free(f->final);
  free(f->partial);
  free(f->link);
  free(f->lock);
  free(f->url);
  free(f->what);
}

bool pull_file_link(const PullFile *f, zaya_error *err) {
  if (!f->link) return true;
  Buf target = {0}, temp = {0};
  char now[256];
  bool ok = buf_puts(&target, "../../", err);
  for (const char *p = f->path; ok && (p = strchr(p, '/')) != NULL; p++) ok = buf_puts(&target, "../", err);
  ok = ok && buf_printf(&target, err, "blobs/%s", f->oid);
  ssize_t n = ok ? readlink(f->link, now, sizeof now) : -1;
  if (ok && (n < 0 || (size_t)n != target.len || memcmp(now, target.data, target.len))) {
    ok = files_make_dirs(f->link, true, err) && buf_printf(&temp, err, "%s.%ld.tmp", f->link, (long)getpid());
    if (ok) unlink(temp.data);
    if (ok && (symlink(target.data, temp.data) != 0 || rename(temp.data, f->link) != 0)) {
      ok = err_errno(err, errno, "%s: cannot make this link", f->link);
      unlink(temp.data);
    }
  }
  buf_free(&target);
  buf_free(&temp);
  return ok;
}

// --- the partial file ---------------------------------------------------------------------------------

static bool begin_hash(PullFile *f, zaya_error *err) {
  if (!f->hash)
    f->hash = hash_new(f->lfs ? HASH_SHA256 : HASH_SHA1, err);
  else if (!hash_reset(f->hash, err))
    return false;
  if (!f->hash || f->lfs) return f->hash != NULL;
  char head[32]; // git hashes "blob SIZE", a NUL, then the content
  int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)f->size);
  return hash_add(f->hash, head, (size_t)n + 1, err);
}

static bool empty_partial(PullFile *f, zaya_error *err) {
  f->have = 0;
  f->restart = false;
  if (ftruncate(f->fd, 0) != 0) return err_errno(err, errno, "%s: cannot empty it", f->partial);
  return begin_hash(f, err);
}

// Hashes the first n bytes of an open file.
static bool hash_fd(PullFile *f, int fd, uint64_t n, const char *path, zaya_error *err) {
  enum { CHUNK = 1 << 18 };
  uint8_t *chunk = malloc(CHUNK);
  if (!chunk) return err_memory(err, CHUNK, path);
  bool ok = begin_hash(f, err);
  uint64_t at = 0;
  while (ok && at < n) {
    ssize_t got = pread(fd, chunk, CHUNK, (off_t)at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      ok = err_errno(err, got < 0 ? errno : EIO, "%s: cannot read", path);
    else
      ok = hash_add(f->hash, chunk, (size_t)got, err);
    if (ok) at += (uint64_t)got;
  }
  free(chunk);
  return ok;
}

// Takes up what an earlier run has left in the partial file.
static bool take_up_partial(PullFile *f, zaya_error *err) {
  struct stat st;
  if (fstat(f->fd, &st) != 0) return err_errno(err, errno, "%s: cannot stat", f->partial);
  if ((uint64_t)st.st_size > f->size) return empty_partial(f, err);
  if (!hash_fd(f, f->fd, (uint64_t)st.st_size, f->partial, err)) return false;
  f->have = (uint64_t)st.st_size;
  return true;
}

bool pull_file_check(PullFile *f, bool *same, zaya_error *err) {
  char hex[HASH_HEX_MAX];
  int fd = open(f->final, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_errno(err, errno, "%s: cannot open", f->final);
  bool ok = hash_fd(f, fd, f->size, f->final, err) && hash_hex(f->hash, hex, err);
  if (ok) *same = !strcmp(hex, f->oid);
  close(fd);
  return ok;
}

static bool take_lock(PullFile *f, int fd, zaya_error *err) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK)
    return err_set(err, ZAYA_E_IO,
                   "%s: another program is fetching it (lock on %s); try again when that is done", f->what,
                   f->lock ? f->lock : f->partial);
  return err_errno(err, errno, "%s: cannot lock", f->lock ? f->lock : f->partial);
}

// Opens and locks. Without a lock file of its own, the partial file is the lock.
static bool open_partial(PullFile *f, zaya_error *err) {
  if (!files_make_dirs(f->partial, true, err)) return false;
  if (f->lock) {
    if (!files_make_dirs(f->lock, true, err)) return false;
    f->lock_fd = open(f->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f->lock_fd < 0) return err_errno(err, errno, "%s: cannot open", f->lock);
    if (!take_lock(f, f->lock_fd, err)) return false;
  }
  f->fd = open(f->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (f->fd < 0) return err_errno(err, errno, "%s: cannot open", f->partial);
  if (!f->lock && !take_lock(f, f->fd, err)) return false;
  struct stat open_file, named;
  if (fstat(f->fd, &open_file) != 0 || stat(f->partial, &named) != 0 || open_file.st_ino != named.st_ino)
    return err_set(err, ZAYA_E_IO, "%s: another program has just finished it; run this again", f->what);
  return take_up_partial(f, err);
}

static void close_partial(PullFile *f) {
  if (f->fd >= 0) close(f->fd);
  if (f->lock_fd >= 0) close(f->lock_fd);
  f->fd = f->lock_fd = -1;
}

// Checks the whole, then gives it its name. Verdict as of HttpHooks.finish.
static HttpVerdict finish_file(PullFile *f, zaya_error *err) {
  char hex[HASH_HEX_MAX];
  if (f->have < f->size) {
    err_set(err, ZAYA_E_NETWORK, "%s: ended after %llu of %llu bytes", f->what, (unsigned long long)f->have,
            (unsigned long long)f->size);
    return HTTP_AGAIN;
  }
  if (!hash_hex(f->hash, hex, err)) return HTTP_STOP;
  if (strcmp(hex, f->oid)) {
    err_set(err, ZAYA_E_FORMAT, "%s: the data is damaged: its %s is %s, the hub lists %s", f->what,
            f->lfs ? "SHA-256" : "git object id", hex, f->oid);
    f->restart = true;
    // Once may be the fault of an old partial file; twice is the source's.
    if (f->bad_hashes++ == 0) return HTTP_AGAIN;
    unlink(f->partial);
    close_partial(f);
    return HTTP_STOP;
  }
  if (fsync(f->fd) != 0 || rename(f->partial, f->final) != 0) {
    err_errno(err, errno, "%s: cannot finish this file", f->final);
    return HTTP_STOP;
  }
  f->complete = true;
  close_partial(f);
  return pull_file_link(f, err) ? HTTP_GO : HTTP_STOP;
}

// --- hooks ----------------------------------------------------------------------------------------------

static HttpVerdict prepare(HttpRequest *r, zaya_error *err) {
  PullFile *f = r->user;
  uint64_t size;
  if (f->fd < 0) {
    if (!open_partial(f, err)) return HTTP_STOP;
    if (f->lock && file_size(f->final, &size) && size == f->size) { // finished while we waited
      unlink(f->partial);
      close_partial(f);
      f->complete = true;
      return pull_file_link(f, err) ? HTTP_DONE : HTTP_STOP;
    }
  }
  if (r->refused_range) f->restart = true;
  r->refused_range = false;
  if (f->restart && !empty_partial(f, err)) return HTTP_STOP;
  if (f->have == f->size) { // an empty file, or a run that ended just before the renaming
    HttpVerdict v = finish_file(f, err);
    if (v == HTTP_GO) return HTTP_DONE;
    if (v == HTTP_STOP) return v;
    zaya_error_clear(err); // the old partial file was damaged: fetch anew
    if (!empty_partial(f, err)) return HTTP_STOP;
  }
  r->from = f->have;
  return HTTP_GO;
}

// Compares what the server is about to send with what was asked for.
static HttpVerdict head(HttpRequest *r, zaya_error *err) {
  PullFile *f = r->user;
  uint64_t from = r->status == 206 ? r->from : 0;
  if (r->status == 200 && f->have && !empty_partial(f, err)) return HTTP_STOP; // the range was ignored
  bool range_ok = r->status != 206 || (r->range_from >= 0 && (uint64_t)r->range_from == from &&
                                       (r->range_total < 0 || (uint64_t)r->range_total == f->size));
  if (!range_ok) {
    err_set(err, ZAYA_E_NETWORK, "%s: asked for bytes from %llu of %llu, the server sends from %lld of %lld",
            f->what, (unsigned long long)from, (unsigned long long)f->size, (long long)r->range_from,
            (long long)r->range_total);
    f->restart = true;
    return HTTP_AGAIN;
  }
  if (r->length >= 0 && (uint64_t)r->length != f->size - from) {
    err_set(err, ZAYA_E_NETWORK, "%s: the server announces %lld bytes, the hub lists %llu", f->what,
            (long long)r->length, (unsigned long long)(f->size - from));
    f->restart = true;
    return HTTP_AGAIN;
  }
  return HTTP_GO;
}

static HttpVerdict body(HttpRequest *r, const void *data, size_t len, zaya_error *err) {
  PullFile *f = r->user;
  const uint8_t *p = data;
  if (len > f->size - f->have) {
    err_set(err, ZAYA_E_NETWORK, "%s: the server sends more than the %llu bytes that the hub lists", f->what,
            (unsigned long long)f->size);
    f->restart = true;
    return HTTP_AGAIN;
  }
  if (!hash_add(f->hash, data, len, err)) return HTTP_STOP;
  f->fetched = true;
  f->pull->bytes_fetched += len;
  while (len) {
    ssize_t n = pwrite(f->fd, p, len, (off_t)f->have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      err_errno(err, n < 0 ? errno : ENOSPC, "%s: cannot write", f->partial);
      return HTTP_STOP;
    }
    p += n;
    len -= (size_t)n;
    f->have += (uint64_t)n;
  }
  return HTTP_GO;
}

static HttpVerdict finish(HttpRequest *r, zaya_error *err) { return finish_file(r->user, err); }

const HttpHooks pull_file_hooks = {.prepare = prepare, .head = head, .body = body, .finish = finish};

#endif // ZAYA_WITH_PULL
