// files: see files.h.
#include "base/files.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

bool files_make_dirs(const char *path, bool file, zaya_error *err) {
  if (!*path) return err_set(err, ZAYA_E_INVALID, "a folder's name is empty");
  Buf b = {0};
  bool ok = buf_puts(&b, path, err);
  for (char *p = ok ? b.data + 1 : NULL; ok && p; p++) {
    p = strchr(p, '/');
    if (!p && file) break;
    if (p) *p = '\0';
    struct stat st;
    if (mkdir(b.data, 0777) != 0 && (errno != EEXIST || stat(b.data, &st) != 0 || !S_ISDIR(st.st_mode)))
      ok = err_errno(err, errno, "%s: cannot make this folder", b.data);
    if (!p) break;
    *p = '/';
  }
  buf_free(&b);
  return ok;
}

bool files_write(const char *path, const void *data, size_t len, zaya_error *err) {
  Buf temp = {0};
  if (!buf_printf(&temp, err, "%s.%ld.tmp", path, (long)getpid())) return false;
  FILE *f = fopen(temp.data, "wb");
  bool ok = f || err_errno(err, errno, "%s: cannot write", temp.data);
  if (f) {
    ok = fwrite(data, 1, len, f) == len;
    ok = fclose(f) == 0 && ok;
    ok = (ok && rename(temp.data, path) == 0) || err_errno(err, errno, "%s: cannot write", path);
    if (!ok) unlink(temp.data);
  }
  buf_free(&temp);
  return ok;
}

bool files_write_in(const char *dir, const char *name, const void *data, size_t len, zaya_error *err) {
  Buf path = {0};
  bool ok = buf_printf(&path, err, "%s/%s", dir, name) && files_write(path.data, data, len, err);
  buf_free(&path);
  return ok;
}

bool files_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool files_dir_empty(const char *path) {
  DIR *d = opendir(path);
  if (!d) return errno == ENOENT;
  bool empty = true;
  for (struct dirent *e; empty && (e = readdir(d)) != NULL;)
    empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
  closedir(d);
  return empty;
}

bool files_remove_dir(const char *path, zaya_error *err) {
  DIR *d = opendir(path);
  if (!d) return errno == ENOENT || err_errno(err, errno, "%s: cannot open", path);
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlinkat(dirfd(d), e->d_name, 0);
  closedir(d);
  return rmdir(path) == 0 || err_errno(err, errno, "%s: cannot remove", path);
}

bool files_check_room(const char *dir, uint64_t need, zaya_error *err) {
  struct statvfs fs;
  if (statvfs(dir, &fs) != 0) return true; // not every file system tells
  uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
  if (need <= room) return true;
  return err_set(err, ZAYA_E_IO, "%s: not enough room on the disk: %llu bytes are needed, %llu are free", dir,
                 (unsigned long long)need, (unsigned long long)room);
}
