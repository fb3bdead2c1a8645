// verify_hash: SHA256SUMS, as sha256sum reads it: checked when it is there, written when it is not. See
// verify.h.
#include "base/error.h"
#include "base/files.h"
#include "bundle/verify.h"
#include "format/hash.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct HashedFile {
  char *name;
  char hex[HASH_HEX_MAX];
  bool ok;
  zaya_error err;
} HashedFile;

typedef struct HashJob {
  const Verify *v;
  HashedFile *files;
  size_t n;
  atomic_size_t next;
} HashJob;

static int by_file(const void *a, const void *b) {
  return strcmp(((const HashedFile *)a)->name, ((const HashedFile *)b)->name);
}

static void hash_share(void *job, int index, int count) {
  HashJob *j = job;
  (void)index, (void)count;
  char path[4096];
  for (size_t i; (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
    HashedFile *f = &j->files[i];
    snprintf(path, sizeof path, "%s/%s", j->v->dir, f->name);
    f->ok = hash_file(path, f->hex, &f->err);
  }
}

// Every regular file of the folder but the sums themselves.
static bool list_files(HashJob *j, Check *c) {
  DIR *d = opendir(j->v->dir);
  char path[4096];
  struct stat st;
  for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", j->v->dir, e->d_name);
    if (!strcmp(e->d_name, VERIFY_SUMS) || strchr(e->d_name, '\n') || stat(path, &st) != 0 ||
        !S_ISREG(st.st_mode))
      continue;
    HashedFile *files = realloc(j->files, (j->n + 1) * sizeof *files);
    char *name = files ? strdup(e->d_name) : NULL;
    if (files) j->files = files;
    if (!name) {
      check_fail(c, "out of memory");
      break;
    }
    files[j->n++] = (HashedFile){.name = name};
  }
  if (d) closedir(d);
  if (j->n) qsort(j->files, j->n, sizeof *j->files, by_file);
  return !c->problems;
}

static HashedFile *find_file(const HashJob *j, const char *name) {
  HashedFile key = {.name = (char *)(uintptr_t)name};
  return j->n ? bsearch(&key, j->files, j->n, sizeof *j->files, by_file) : NULL;
}

// Lines "HEX  NAME" or "HEX *NAME".
static void compare(const HashJob *j, Check *c, char *text) {
  size_t lines = 0;
  for (char *line = text, *next; *line; line = next) {
    size_t n = strcspn(line, "\n");
    next = line + n + (line[n] != '\0');
    line[n] = '\0';
    if (n && line[n - 1] == '\r') line[--n] = '\0';
    if (!n) continue;
    lines++;
    if (n < 67 || line[64] != ' ' || (line[65] != ' ' && line[65] != '*')) {
      check_fail(c, "line %zu of " VERIFY_SUMS " is no sum and name", lines);
      continue;
    }
    const HashedFile *f = find_file(j, line + 66);
    if (!f)
      check_fail(c, "%s is not there", line + 66);
    else if (strncmp(f->hex, line, 64))
      check_fail(c, "%s: the file is %s, " VERIFY_SUMS " says %.64s", f->name, f->hex, line);
  }
  check_note(c, "%zu sums", lines);
}

static void write_sums(const HashJob *j, Check *c) {
  Buf text = {0};
  zaya_error err = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < j->n; i++)
    ok = buf_printf(&text, &err, "%s  %s\n", j->files[i].hex, j->files[i].name);
  ok = ok && files_write_in(j->v->dir, VERIFY_SUMS, text.data ? text.data : "", text.len, &err);
  if (!ok) check_fail(c, "%s", err.message);
  check_note(c, "written for %zu files", j->n);
  buf_free(&text);
}

void check_hashes(Verify *v, Check *c) {
  if (!v->params->hash) {
    check_skip(c, "not asked for (--hash)");
    return;
  }
  Buf text = {0};
  char path[4096];
  HashJob job = {.v = v};
  zaya_error err = {0};
  bool there = jsonio_exists(v->dir, VERIFY_SUMS);
  snprintf(path, sizeof path, "%s/" VERIFY_SUMS, v->dir);
  if (!there && v->out->n_failed) {
    check_skip(c, "not written for a folder with failures");
  } else if (there && !buf_read_file(&text, path, 16 << 20, &err)) {
    check_fail(c, "%s", err.message);
  } else if (list_files(&job, c)) {
    pool_run(v->pool, hash_share, &job);
    for (size_t i = 0; i < job.n; i++)
      if (!job.files[i].ok) check_fail(c, "%s", job.files[i].err.message);
    if (!c->problems && there) compare(&job, c, text.data ? text.data : (char[]){0});
    if (!c->problems && !there) write_sums(&job, c);
  }
  for (size_t i = 0; i < job.n; i++) free(job.files[i].name);
  free(job.files);
  buf_free(&text);
}
