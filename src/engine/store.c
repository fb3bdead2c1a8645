// store: see store.h. The index holds the names in the folder; it is read again whenever the folder has
// changed, so that files of other processes are found.
#include "engine/store_impl.h"

#include "base/files.h"
#include "base/hash64.h"
#include "format/hash.h"
#include "kernels/kern.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t most_waiting = (uint64_t)512 << 20; // bytes in line to be written

typedef struct Item {
  StoreKey before, key;
  unsigned n;
} Item;

typedef struct Waiting Waiting;
struct Waiting {
  StorePart part;
  Waiting *next;
};

struct Store {
  char *dir;
  int fd; // of the folder
  StateShape shape;
  uint64_t identity, limit;
  pthread_t thread;
  pthread_mutex_t mu; // guards all below
  pthread_cond_t wake, quiet;
  Item *items;
  size_t n_items, cap_items;
  struct timespec seen; // the folder's time when it was read
  Waiting *first, **end;
  uint64_t waiting_bytes;
  bool writing, stop;
  unsigned counter;
  StoreStats stats;
};

StoreKey store_root(void) {
  StoreKey k;
  memset(k.hex, '0', 32);
  k.hex[32] = '\0';
  return k;
}

bool store_key(const StoreKey *before, const int32_t *ids, size_t n, StoreKey *out) {
  char hex[HASH_HEX_MAX];
  Hash *h = hash_new(HASH_SHA256, NULL);
  const bool ok = h && hash_add(h, before->hex, 32, NULL) && hash_add(h, ids, n * sizeof *ids, NULL) &&
                  hash_hex(h, hex, NULL);
  hash_free(h);
  if (!ok) return false;
  memcpy(out->hex, hex, 32);
  out->hex[32] = '\0';
  return true;
}

// --- the index, with `mu` held ---------------------------------------------------------------------

static const Item *item_of(const Store *s, const StoreKey *before, const StoreKey *key) {
  for (size_t i = 0; i < s->n_items; i++)
    if (!strcmp(s->items[i].key.hex, key->hex) && !strcmp(s->items[i].before.hex, before->hex))
      return &s->items[i];
  return NULL;
}

static void add_item(Store *s, const Item *item) {
  if (buf_grow((void **)&s->items, &s->cap_items, s->n_items + 1, sizeof *s->items, NULL))
    s->items[s->n_items++] = *item;
}

static void remove_item(Store *s, const StoreKey *key) {
  for (size_t i = 0; i < s->n_items; i++)
    if (!strcmp(s->items[i].key.hex, key->hex)) s->items[i--] = s->items[--s->n_items];
}

// A name under which nobody writes any more: what a crash has left.
static void remove_stale(const Store *s, const char *name) {
  const int fd = openat(s->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (!flock(fd, LOCK_EX | LOCK_NB)) unlinkat(s->fd, name, 0);
  close(fd);
}

static void read_folder(Store *s) {
  struct stat st;
  if (fstat(s->fd, &st) || (st.st_mtim.tv_sec == s->seen.tv_sec && st.st_mtim.tv_nsec == s->seen.tv_nsec))
    return;
  DIR *d = opendir(s->dir);
  if (!d) return;
  s->seen = st.st_mtim;
  s->n_items = 0;
  for (const struct dirent *entry; (entry = readdir(d));) {
    Item item;
    uint64_t identity;
    if (!strncmp(entry->d_name, "zkv-tmp-", 8)) remove_stale(s, entry->d_name);
    if (store_file_parse(entry->d_name, &identity, &item.before, &item.key, &item.n) &&
        identity == s->identity)
      add_item(s, &item);
  }
  closedir(d);
  for (const Waiting *w = s->first; w; w = w->next)
    add_item(s, &(Item){.before = w->part.before, .key = w->part.key, .n = w->part.n});
}

// --- the limit -------------------------------------------------------------------------------------

typedef struct Found {
  char name[STORE_NAME_MAX];
  uint64_t bytes;
  struct timespec used;
} Found;

static int by_use(const void *a, const void *b) {
  const struct timespec *x = &((const Found *)a)->used, *y = &((const Found *)b)->used;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

// Files of all identities, those used longest ago first.
static Found *list_files(const Store *s, size_t *n, uint64_t *bytes) {
  Found *found = NULL;
  size_t cap = 0;
  DIR *d = opendir(s->dir);
  *n = 0;
  *bytes = 0;
  for (const struct dirent *entry; d && (entry = readdir(d));) {
    Item item;
    uint64_t identity;
    struct stat st;
    if (!store_file_parse(entry->d_name, &identity, &item.before, &item.key, &item.n) ||
        fstatat(s->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
        !buf_grow((void **)&found, &cap, *n + 1, sizeof *found, NULL))
      continue;
    Found *f = &found[(*n)++];
    *f = (Found){.bytes = (uint64_t)st.st_size, .used = st.st_mtim};
    store_file_name(identity, &item.before, &item.key, item.n, f->name); // as it was
    *bytes += f->bytes;
  }
  if (d) closedir(d);
  if (*n) qsort(found, *n, sizeof *found, by_use);
  return found;
}

static void keep_limit(Store *s) {
  size_t n, i = 0;
  uint64_t bytes;
  Found *found = list_files(s, &n, &bytes);
  for (; i < n && bytes > s->limit; i++) {
    unlinkat(s->fd, found[i].name, 0); // another process may have been quicker
    bytes -= found[i].bytes;
  }
  free(found);
  pthread_mutex_lock(&s->mu);
  s->stats.bytes = bytes;
  s->stats.files = n - i;
  pthread_mutex_unlock(&s->mu);
}

// --- writing ---------------------------------------------------------------------------------------

static void free_waiting(Waiting *w) {
  page_drop(w->part.page);
  free(w->part.ids);
  free(w->part.cca);
  free(w);
}

// Under another name, locked as long as it is being written; then the right one, at once.
static bool write_part(Store *s, const StorePart *part) {
  char temp[64], name[STORE_NAME_MAX];
  snprintf(temp, sizeof temp, "zkv-tmp-%ld-%p-%u", (long)getpid(), (void *)s, s->counter++);
  store_file_name(s->identity, &part->before, &part->key, part->n, name);
  const int fd = openat(s->fd, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool ok = !flock(fd, LOCK_EX | LOCK_NB) && store_file_write(fd, &s->shape, s->identity, part) &&
                  !fsync(fd) && !renameat(s->fd, temp, s->fd, name);
  if (!ok) unlinkat(s->fd, temp, 0);
  close(fd);
  return ok;
}

static void *store_main(void *arg) {
  Store *s = arg;
  pthread_mutex_lock(&s->mu);
  for (;;) {
    while (!s->first && !s->stop) pthread_cond_wait(&s->wake, &s->mu);
    if (!s->first) break;
    Waiting *w = s->first;
    s->first = w->next;
    if (!s->first) s->end = &s->first;
    s->writing = true;
    pthread_mutex_unlock(&s->mu);
    const bool ok = write_part(s, &w->part);
    keep_limit(s);
    pthread_mutex_lock(&s->mu);
    s->waiting_bytes -= store_file_bytes(&s->shape, w->part.n);
    if (ok)
      s->stats.writes++;
    else
      remove_item(s, &w->part.key);
    s->writing = false;
    free_waiting(w);
    pthread_cond_broadcast(&s->quiet);
  }
  pthread_mutex_unlock(&s->mu);
  return NULL;
}

static Waiting *new_waiting(const Store *s, const StoreKey *before, const StoreKey *key, const int32_t *ids,
                            size_t n, Page *page, const float *cca) {
  const size_t floats = state_cca_floats(&s->shape);
  Waiting *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->part = (StorePart){.before = *before, .key = *key, .n = (unsigned)n, .page = page_ref(page)};
  w->part.ids = malloc(n * sizeof *ids);
  w->part.cca = malloc(floats * sizeof *cca);
  if (w->part.ids && w->part.cca) {
    memcpy(w->part.ids, ids, n * sizeof *ids);
    memcpy(w->part.cca, cca, floats * sizeof *cca);
    return w;
  }
  free_waiting(w);
  return NULL;
}

void store_put(Store *s, const StoreKey *before, const int32_t *ids, size_t n, Page *page, const float *cca) {
  StoreKey key;
  char name[STORE_NAME_MAX];
  if (!store_key(before, ids, n, &key)) return;
  store_file_name(s->identity, before, &key, (unsigned)n, name);
  const uint64_t bytes = store_file_bytes(&s->shape, (unsigned)n);
  pthread_mutex_lock(&s->mu);
  if (item_of(s, before, &key) && (!utimensat(s->fd, name, NULL, 0) || s->first || s->writing)) {
    pthread_mutex_unlock(&s->mu); // there, or on its way
    return;
  }
  Waiting *w = bytes <= s->limit && bytes <= most_waiting - s->waiting_bytes
                   ? new_waiting(s, before, &key, ids, n, page, cca)
                   : NULL;
  if (w) {
    add_item(s, &(Item){.before = *before, .key = key, .n = (unsigned)n});
    s->waiting_bytes += bytes;
    *s->end = w;
    s->end = &w->next;
    pthread_cond_signal(&s->wake);
  }
  pthread_mutex_unlock(&s->mu);
}

void store_flush(Store *s) {
  pthread_mutex_lock(&s->mu);
  while (s->first || s->writing) pthread_cond_wait(&s->quiet, &s->mu);
  pthread_mutex_unlock(&s->mu);
}

// --- reading ---------------------------------------------------------------------------------------

size_t store_find(Store *s, const StoreKey *before, const int32_t *ids, size_t max) {
  size_t best = 0;
  StoreKey key;
  pthread_mutex_lock(&s->mu);
  read_folder(s);
  for (size_t i = 0; i < s->n_items; i++) {
    const Item *item = &s->items[i];
    if (item->n > best && item->n <= max && !strcmp(item->before.hex, before->hex) &&
        store_key(before, ids, item->n, &key) && !strcmp(key.hex, item->key.hex))
      best = item->n;
  }
  pthread_mutex_unlock(&s->mu);
  return best;
}

bool store_load(Store *s, const StoreKey *before, const int32_t *ids, size_t n, Page **page, float **cca) {
  StorePart part = {.before = *before, .n = (unsigned)n, .ids = (int32_t *)(uintptr_t)ids};
  char name[STORE_NAME_MAX];
  if (!store_key(before, ids, n, &part.key)) return false;
  store_file_name(s->identity, before, &part.key, part.n, name);
  const int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const bool ok = fd >= 0 && store_file_read(fd, &s->shape, s->identity, &part);
  if (ok)
    futimens(fd, NULL);
  else if (fd >= 0)
    unlinkat(s->fd, name, 0);
  if (fd >= 0) close(fd);
  pthread_mutex_lock(&s->mu);
  if (ok)
    s->stats.hits++;
  else
    remove_item(s, &part.key);
  pthread_mutex_unlock(&s->mu);
  *page = part.page;
  *cca = part.cca;
  return ok;
}

StoreStats store_stats(Store *s) {
  pthread_mutex_lock(&s->mu);
  const StoreStats stats = s->stats;
  pthread_mutex_unlock(&s->mu);
  return stats;
}

// --- life ------------------------------------------------------------------------------------------

static void release(Store *s) {
  if (s->fd >= 0) close(s->fd);
  pthread_mutex_destroy(&s->mu);
  pthread_cond_destroy(&s->wake);
  pthread_cond_destroy(&s->quiet);
  free(s->items);
  free(s->dir);
  free(s);
}

static bool open_folder(Store *s, const char *dir, zaya_error *err) {
  s->dir = strdup(dir);
  if (!s->dir) return err_memory(err, strlen(dir) + 1, "a path");
  if (!files_make_dirs(dir, false, err)) return false;
  s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (s->fd < 0) return err_errno(err, errno, "%s: cannot open the cache folder", dir);
  if (faccessat(s->fd, ".", W_OK, 0))
    return err_errno(err, errno, "%s: cannot write to the cache folder", dir);
  keep_limit(s);
  read_folder(s);
  return true;
}

Store *store_open(const char *dir, const StateShape *shape, uint64_t identity, uint64_t limit,
                  zaya_error *err) {
  Store *s = calloc(1, sizeof *s);
  if (!s) {
    err_memory(err, sizeof *s, "the cache folder");
    return NULL;
  }
  *s = (Store){.fd = -1, .shape = *shape, .limit = limit};
  s->identity = hash64(identity, shape, sizeof *shape); // another type of KV: other files
  s->end = &s->first;
  pthread_mutex_init(&s->mu, NULL);
  pthread_cond_init(&s->wake, NULL);
  pthread_cond_init(&s->quiet, NULL);
  if (open_folder(s, dir, err)) {
    const int rc = pthread_create(&s->thread, NULL, store_main, s);
    if (!rc) return s;
    err_errno(err, rc, "cannot start the cache folder's thread");
  }
  release(s);
  return NULL;
}

void store_close(Store *s) {
  if (!s) return;
  pthread_mutex_lock(&s->mu);
  s->stop = true;
  pthread_cond_signal(&s->wake);
  pthread_mutex_unlock(&s->mu);
  pthread_join(s->thread, NULL);
  release(s);
}
