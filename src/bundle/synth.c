// synth: a folder of a model's true shapes with random weights: what speed and memory are measured on
// where the real weights are not at hand. Owns the plan (which tensors, in which shard) and the writing,
// a chunk at a time. See synth.h.
#include "bundle/synth.h"

#include "base/files.h"
#include "base/pool.h"
#include "base/size.h"
#include "format/jsonio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 16 << 20, GROUP = 32, BITS = 4, EMBED_BITS = 8 };
#define BUNDLE_SHARD 1000000000u // of tensor bytes, after which a converted bundle closes a shard
#define SOURCE_SHARD 5000000000u // as checkpoints are commonly cut

typedef struct Synth {
  const zaya_synth_params *params;
  Config config;
  SynthLayout layout;
  SynthKey *keys; // in the order of writing
  size_t n_keys, cap;
  size_t n_shards;
  uint64_t total, done; // tensor bytes
  uint64_t file_bytes;
  Pool *pool;
  uint8_t *chunk;
  Buf dir; // OUT.incomplete
} Synth;

// --- plan ---------------------------------------------------------------------------------------------

static bool add_key(Synth *s, const ArchTensor *t, SynthPart part, zaya_error *err) {
  if (s->n_keys == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 1024, bytes;
    SynthKey *keys = size_mul(cap, sizeof *keys, &bytes) ? realloc(s->keys, bytes) : NULL;
    if (!keys) return err_memory(err, cap * sizeof *keys, "the list of tensors");
    s->keys = keys;
    s->cap = cap;
  }
  SynthKey *k = &s->keys[s->n_keys++];
  *k = (SynthKey){.part = part, .bits = t->klass == ARCH_EMBED || t->klass == ARCH_HEAD ? EMBED_BITS : BITS};
  const char *tail = part == SYNTH_SCALES ? ".scales" : part == SYNTH_BIASES ? ".biases" : NULL;
  size_t stem = strlen(t->name) - (tail && strlen(t->name) > 7 ? strlen(".weight") : 0);
  snprintf(k->name, sizeof k->name, "%.*s%s", (int)stem, t->name, tail ? tail : "");
  k->tensor.ndim = t->ndim;
  memcpy(k->tensor.shape, t->shape, sizeof t->shape);
  size_t *cols = &k->tensor.shape[t->ndim - 1];
  k->tensor.dtype = part == SYNTH_CODES ? DT_U32 : s->layout == SYNTH_MXFP4 ? DT_F16 : DT_BF16;
  if (part != SYNTH_FLOATS && *cols % GROUP)
    return err_set(err, ZAYA_E_UNSUPPORTED, "%s: %zu inputs are no multiple of the group size %d", t->name,
                   *cols, GROUP);
  if (part == SYNTH_CODES) *cols = *cols * (size_t)k->bits / 32;
  if (part == SYNTH_SCALES || part == SYNTH_BIASES) *cols /= GROUP;
  synth_law(k, t, s->params->seed);
  return true;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const ArchTensor *)a)->name, ((const ArchTensor *)b)->name);
}

static bool add_tensor(Synth *s, const ArchTensor *t, zaya_error *err) {
  if (s->layout != SYNTH_MXFP4 || !t->quantizable) return add_key(s, t, SYNTH_FLOATS, err);
  return add_key(s, t, SYNTH_CODES, err) && add_key(s, t, SYNTH_SCALES, err) &&
         add_key(s, t, SYNTH_BIASES, err);
}

// The converter's order: everything else by name, then the experts layer by layer, as arch lists them.
static bool list_keys(Synth *s, zaya_error *err) {
  static const ExpertLayout experts[] = {EXPERTS_SWITCH, EXPERTS_LOCAL, EXPERTS_FUSED};
  ArchList list;
  if (!arch_list(&s->config, experts[s->layout], &list, err)) return false;
  ArchTensor *others = malloc((list.len + 1) * sizeof *others);
  size_t n = 0;
  bool ok = others || err_memory(err, list.len * sizeof *others, "the list of tensors");
  for (size_t i = 0; ok && i < list.len; i++)
    if (s->layout != SYNTH_MXFP4 || list.items[i].klass != ARCH_EXPERT) others[n++] = list.items[i];
  if (ok) qsort(others, n, sizeof *others, by_name);
  for (size_t i = 0; ok && i < n; i++) ok = add_tensor(s, &others[i], err);
  for (size_t i = 0; ok && s->layout == SYNTH_MXFP4 && i < list.len; i++)
    if (list.items[i].klass == ARCH_EXPERT) ok = add_tensor(s, &list.items[i], err);
  free(others);
  arch_free(&list);
  return ok;
}

// Cuts the list into shards: one is closed by the tensor that reaches the limit.
static bool cut_shards(Synth *s, zaya_error *err) {
  const uint64_t limit = s->layout == SYNTH_MXFP4 ? BUNDLE_SHARD : SOURCE_SHARD;
  uint64_t in_shard = 0;
  for (size_t i = 0; i < s->n_keys; i++) {
    SynthKey *k = &s->keys[i];
    k->tensor.name = k->name;
    if (!st_set_bytes(&k->tensor)) return err_set(err, ZAYA_E_LIMIT, "%s: the size overflows", k->name);
    k->shard = s->n_shards;
    s->total += k->tensor.nbytes;
    in_shard += k->tensor.nbytes;
    if (in_shard >= limit || i + 1 == s->n_keys) {
      s->n_shards++;
      in_shard = 0;
    }
  }
  return true;
}

static void shard_name(const Synth *s, size_t shard, char out[64]) {
  snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, s->n_shards);
}

// --- writing --------------------------------------------------------------------------------------------

static bool write_all(int fd, const void *data, size_t len, const char *path, zaya_error *err) {
  const uint8_t *p = data;
  while (len) {
    ssize_t n = write(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return err_errno(err, n < 0 ? errno : ENOSPC, "%s: cannot write", path);
    p += n;
    len -= (size_t)n;
  }
  return true;
}

typedef struct FillJob {
  const SynthKey *key;
  size_t begin, end; // elements
  uint8_t *out;
} FillJob;

static void fill_share(void *job, int index, int count) {
  const FillJob *j = job;
  PoolRange r = pool_share(j->end - j->begin, 2, index, count);
  if (r.begin < r.end)
    synth_fill(j->key, j->begin + r.begin, j->begin + r.end,
               j->out + r.begin * dtype_size(j->key->tensor.dtype));
}

static bool write_tensor(Synth *s, const SynthKey *k, int fd, const char *path, zaya_error *err) {
  const size_t size = dtype_size(k->tensor.dtype), n = k->tensor.nbytes / size;
  for (size_t at = 0; at < n; at += CHUNK / size) {
    size_t end = n - at < CHUNK / size ? n : at + CHUNK / size;
    FillJob job = {k, at, end, s->chunk};
    pool_run(s->pool, fill_share, &job);
    if (!write_all(fd, s->chunk, (end - at) * size, path, err)) return false;
    s->done += (end - at) * size;
    if (s->params->progress && !s->params->progress(s->params->user, s->done, s->total))
      return err_set(err, ZAYA_E_CANCELLED, "cancelled");
  }
  return true;
}

static const SynthKey *find_key(const Synth *s, const char *name) {
  for (size_t i = 0; i < s->n_keys; i++)
    if (!strcmp(s->keys[i].name, name)) return &s->keys[i];
  return NULL;
}

static bool write_shard(Synth *s, size_t shard, zaya_error *err) {
  StTensor *tensors = malloc(s->n_keys * sizeof *tensors);
  if (!tensors) return err_memory(err, s->n_keys * sizeof *tensors, "a shard");
  size_t n = 0;
  for (size_t i = 0; i < s->n_keys; i++)
    if (s->keys[i].shard == shard) tensors[n++] = s->keys[i].tensor;
  st_sort(tensors, n);
  Buf header = {0}, path = {0};
  char name[64];
  shard_name(s, shard, name);
  bool ok = st_header(tensors, n, &header, err) && buf_printf(&path, err, "%s/%s", s->dir.data, name);
  int fd = ok ? open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
  if (ok && fd < 0) ok = err_errno(err, errno, "%s: cannot write", path.data);
  ok = ok && write_all(fd, header.data, header.len, path.data, err);
  s->file_bytes += header.len;
  for (size_t i = 0; ok && i < n; i++) {
    ok = write_tensor(s, find_key(s, tensors[i].name), fd, path.data, err);
    s->file_bytes += tensors[i].nbytes;
  }
  if (fd >= 0 && close(fd) != 0 && ok) ok = err_errno(err, errno, "%s: cannot write", path.data);
  free(tensors);
  buf_free(&header);
  buf_free(&path);
  return ok;
}

static bool write_index(const Synth *s, zaya_error *err) {
  json_t *map = json_object(), *metadata = json_object();
  for (size_t i = 0; i < s->n_keys; i++) {
    char name[64];
    shard_name(s, s->keys[i].shard, name);
    json_object_set_new(map, s->keys[i].name, json_string(name));
  }
  bool bundle = s->layout == SYNTH_MXFP4;
  if (bundle) json_object_set_new(metadata, "format", json_string("mxfp4"));
  json_object_set_new(metadata, "total_size", json_integer((json_int_t)(bundle ? s->file_bytes : s->total)));
  json_t *root = json_pack("{s:o, s:o}", "metadata", metadata, "weight_map", map);
  Buf text = {0};
  bool ok = (root || err_memory(err, 0, "the index")) && jsonio_print(&text, root, 2, err) &&
            files_write_in(s->dir.data, "model.safetensors.index.json", text.data, text.len, err);
  json_decref(root);
  buf_free(&text);
  return ok;
}

// --- all of it --------------------------------------------------------------------------------------------

static bool choose(Synth *s, zaya_error *err) {
  const zaya_synth_params *p = s->params;
  const char *layout = p->layout ? p->layout : "mxfp4", *preset = p->preset ? p->preset : "zaya1-8b";
  if (!strcmp(layout, "mxfp4"))
    s->layout = SYNTH_MXFP4;
  else if (!strcmp(layout, "legacy"))
    s->layout = SYNTH_LEGACY;
  else if (!strcmp(layout, "native"))
    s->layout = SYNTH_NATIVE;
  else
    return err_set(err, ZAYA_E_INVALID, "layout '%s': expected mxfp4, legacy or native", layout);
  if (!p->config)
    return synth_preset(preset, &s->config) ||
           err_set(err, ZAYA_E_INVALID, "preset '%s': expected zaya1-8b or tiny", preset);
  Buf text = {0};
  bool ok = buf_read_file(&text, p->config, JSONIO_MAX_FILE, err) &&
            config_parse(text.data, text.len, p->config, &s->config, err);
  buf_free(&text);
  return ok;
}

static bool write_folder(Synth *s, zaya_error *err) {
  // Left over from a run that was killed.
  if (files_is_dir(s->dir.data) && !files_remove_dir(s->dir.data, err)) return false;
  if (!files_make_dirs(s->dir.data, false, err) || !files_check_room(s->dir.data, s->total, err))
    return false;
  for (size_t i = 0; i < s->n_shards; i++)
    if (!write_shard(s, i, err)) return false;
  return write_index(s, err) && synth_write_meta(s->dir.data, &s->config, s->layout, err) &&
         synth_write_tokenizer(s->dir.data, &s->config, err);
}

static bool finish(Synth *s, const char *out, bool ok, zaya_error *err) {
  if (ok && files_is_dir(out)) rmdir(out); // empty: checked before
  if (ok && rename(s->dir.data, out) != 0) ok = err_errno(err, errno, "%s: cannot give it this name", out);
  if (!ok && s->dir.data) files_remove_dir(s->dir.data, NULL);
  return ok;
}

bool zaya_synth(const char *out, const zaya_synth_params *params, zaya_synth_result *result,
                zaya_error *err) {
  static const zaya_synth_params defaults = {0};
  Synth s = {.params = params ? params : &defaults};
  if (!files_dir_empty(out)) return err_set(err, ZAYA_E_INVALID, "%s: is there already and not empty", out);
  if (!choose(&s, err)) return false;
  bool ok = list_keys(&s, err) && cut_shards(&s, err);
  ok = ok && ((s.chunk = malloc(CHUNK)) || err_memory(err, CHUNK, "a chunk"));
  ok = ok && (s.pool = pool_new(s.params->n_threads, err)) != NULL;
  size_t len = strlen(out);
  while (len > 1 && out[len - 1] == '/') len--;
  if (ok && buf_printf(&s.dir, err, "%.*s.incomplete", (int)len, out))
    ok = finish(&s, out, write_folder(&s, err), err);
  if (ok && result)
    *result = (zaya_synth_result){
        .n_keys = s.n_keys, .n_shards = s.n_shards, .tensor_bytes = s.total, .file_bytes = s.file_bytes};
  pool_free(s.pool);
  free(s.chunk);
  free(s.keys);
  buf_free(&s.dir);
  return ok;
}
