// convert: the steps of a conversion, and what makes it safe to interrupt. All is written to OUT.partial:
// first convert.json, which says of what source and with what settings; then the shards, each under its
// name only when it is on the disk in full; then the small files. Then the folder gets its name, and
// convert.json goes away.
#include "bundle/convert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char plan_name[] = "convert.json";

typedef struct Conversion {
  const char *out;
  Buf partial; // the folder in work
  Plan plan;
  json_t *identity;
  bool *done; // shards
  size_t n_reused;
  int lock; // descriptor that holds the lock on convert.json, or -1
} Conversion;

static bool is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

static bool remove_in(const char *dir, const char *name, zaya_error *err) {
  Buf path = {0};
  bool ok = buf_printf(&path, err, "%s/%s", dir, name);
  if (ok && unlink(path.data) != 0 && errno != ENOENT)
    ok = err_errno(err, errno, "%s: cannot remove", path.data);
  buf_free(&path);
  return ok;
}

// --- what an interrupted run left --------------------------------------------------------------------------

// A shard that stands under its name was complete when it got it; its header must be the planned one.
static bool shard_is_whole(const Plan *p, const char *dir, size_t shard) {
  char name[64];
  Buf path = {0};
  plan_shard_name(p, shard, name);
  bool ok = buf_printf(&path, NULL, "%s/%s", dir, name);
  FILE *f = ok ? fopen(path.data, "rb") : NULL;
  buf_free(&path);
  if (!f) return false;
  const Buf *want = &p->headers[shard];
  char *head = malloc(want->len);
  struct stat st;
  ok = head && fstat(fileno(f), &st) == 0 && (uint64_t)st.st_size == p->shard_bytes[shard] &&
       fread(head, 1, want->len, f) == want->len && !memcmp(head, want->data, want->len);
  free(head);
  fclose(f);
  return ok;
}

// Whether `out` is what this conversion would write: every planned key at its planned place.
static bool is_complete(const Conversion *c) {
  const Plan *p = &c->plan;
  for (size_t i = 0; i < p->n_shards; i++)
    if (!shard_is_whole(p, c->out, i)) return false;
  json_t *index = jsonio_read(c->out, "model.safetensors.index.json", NULL);
  size_t keys = json_object_size(json_object_get(index, "weight_map"));
  json_decref(index);
  return keys == p->n_outs && jsonio_exists(c->out, "config.json");
}

static bool hold_lock(Conversion *c, zaya_error *err) {
  Buf path = {0};
  bool ok = buf_printf(&path, err, "%s/%s", c->partial.data, plan_name);
  c->lock = ok ? open(path.data, O_RDWR | O_CLOEXEC) : -1;
  struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (ok && c->lock < 0) ok = err_errno(err, errno, "%s: cannot open", path.data);
  if (ok && fcntl(c->lock, F_SETLK, &l) != 0)
    ok = err_set(err, ZAYA_E_IO, "%s: another conversion is writing there", c->partial.data);
  buf_free(&path);
  return ok;
}

static bool start_partial(Conversion *c, zaya_error *err) {
  Buf text = {0};
  if (mkdir(c->partial.data, 0777) != 0 && errno != EEXIST)
    return err_errno(err, errno, "%s: cannot create", c->partial.data);
  bool ok = jsonio_print(&text, c->identity, 2, err) &&
            convert_write_file(c->partial.data, plan_name, text.data, text.len, err);
  buf_free(&text);
  return ok;
}

static bool is_empty_dir(const char *path) {
  DIR *d = opendir(path);
  size_t n = 0;
  for (struct dirent *e; d && (e = readdir(d));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && strcmp(e->d_name, "convert.json.writing")) n++;
  if (d) closedir(d);
  return d && n == 0;
}

static bool take_up(Conversion *c, zaya_error *err) {
  if (!jsonio_exists(c->partial.data, plan_name)) {
    if (is_empty_dir(c->partial.data)) return start_partial(c, err);
    return err_set(err, ZAYA_E_INVALID, "%s: not left by a conversion (no %s): remove it first",
                   c->partial.data, plan_name);
  }
  json_t *before = jsonio_read(c->partial.data, plan_name, err);
  bool same = before && json_equal(before, c->identity);
  json_decref(before);
  if (!same)
    return err_set(err, ZAYA_E_INVALID,
                   "%s: was begun with other settings or from another source: remove it first",
                   c->partial.data);
  for (size_t i = 0; i < c->plan.n_shards; i++) {
    c->done[i] = shard_is_whole(&c->plan, c->partial.data, i);
    c->n_reused += c->done[i];
  }
  return true;
}

static bool open_partial(Conversion *c, zaya_error *err) {
  bool there = exists(c->partial.data);
  if (there && !is_dir(c->partial.data))
    return err_set(err, ZAYA_E_INVALID, "%s: not a folder", c->partial.data);
  if (there && !c->plan.params.resume)
    return err_set(err, ZAYA_E_INVALID, "%s: left by an interrupted conversion: resume it or remove it",
                   c->partial.data);
  return (there ? take_up(c, err) : start_partial(c, err)) && hold_lock(c, err);
}

// --- space
// ---------------------------------------------------------------------------------------------------

static bool check_space(const Conversion *c, zaya_error *err) {
  struct statvfs fs;
  uint64_t need = 64 << 20; // tokenizer and small files
  for (size_t i = 0; i < c->plan.n_shards; i++)
    if (!c->done[i]) need += c->plan.shard_bytes[i];
  if (statvfs(c->partial.data, &fs) != 0) return true;
  uint64_t have = (uint64_t)fs.f_bavail * fs.f_frsize;
  return have >= need || err_set(err, ZAYA_E_IO, "%s: %llu bytes are needed, %llu are free on its disk",
                                 c->partial.data, (unsigned long long)need, (unsigned long long)have);
}

// --- the steps
// -----------------------------------------------------------------------------------------------

static bool write_shards(Conversion *c, zaya_convert_result *result, zaya_error *err) {
  const Plan *p = &c->plan;
  if (!p->params.n_calibration_ids || c->n_reused == p->n_shards)
    return convert_shards(p, c->partial.data, c->done, NULL, result, err);
  Moments *m = moments_collect(p, err);
  bool ok = m && convert_shards(p, c->partial.data, c->done, m, result, err);
  moments_free(m);
  return ok;
}

static bool write_all(Conversion *c, zaya_convert_result *result, zaya_error *err) {
  if (!open_partial(c, err) || !check_space(c, err) || !write_shards(c, result, err) ||
      !convert_meta(&c->plan, c->partial.data, err))
    return false;
  if (rename(c->partial.data, c->out) != 0)
    return err_errno(err, errno, "%s: cannot rename to %s", c->partial.data, c->out);
  return remove_in(c->out, plan_name, err);
}

// The name without slashes at its end: "dir/.partial" would stand inside.
static bool partial_path(Conversion *c, zaya_error *err) {
  size_t n = strlen(c->out);
  while (n > 1 && c->out[n - 1] == '/') n--;
  return (n && buf_add(&c->partial, c->out, n, err) && buf_puts(&c->partial, ".partial", err)) ||
         err_set(err, ZAYA_E_INVALID, "no output folder is named");
}

static bool run(Conversion *c, zaya_convert_result *result, zaya_error *err) {
  const Plan *p = &c->plan;
  bool resume = p->params.resume, there = exists(c->out);
  if (there && resume && is_complete(c)) {
    result->already_there = true;
    return remove_in(c->out, plan_name, err); // interrupted in the very last step
  }
  if (there) return err_set(err, ZAYA_E_INVALID, "%s: exists already", c->out);
  return p->params.dry_run || write_all(c, result, err);
}

bool convert_run(const char *source, const char *out, const zaya_convert_params *params,
                 zaya_convert_result *result, zaya_error *err) {
  Conversion c = {.out = out, .lock = -1};
  zaya_convert_result ignored;
  if (!result) result = &ignored;
  *result = (zaya_convert_result){0};
  Bundle *b = bundle_open(source, err);
  bool ok = b && partial_path(&c, err) && plan_make(&c.plan, b, params, err);
  if (ok && !(c.done = calloc(c.plan.n_shards, sizeof *c.done)))
    ok = err_memory(err, c.plan.n_shards, "the plan");
  ok = ok && (c.identity = plan_identity(&c.plan, err)) && run(&c, result, err);
  result->n_keys = c.plan.n_outs;
  result->n_shards = c.plan.n_shards;
  result->tensor_bytes = c.plan.tensor_bytes;
  result->source_bytes = c.plan.source_bytes;
  result->n_reused = c.n_reused;
  if (c.lock >= 0) close(c.lock);
  free(c.done);
  json_decref(c.identity);
  plan_free(&c.plan);
  buf_free(&c.partial);
  bundle_close(b);
  return ok;
}
