// map: see map.h.
#include "base/map.h"

#include "base/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool map_open(Map *m, const char *path, zaya_error *err) {
  *m = (Map){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_errno(err, errno, "%s: cannot open", path);
  struct stat st;
  bool ok = true;
  if (fstat(fd, &st) != 0) {
    ok = err_errno(err, errno, "%s: cannot stat", path);
  } else if (!S_ISREG(st.st_mode)) {
    ok = err_set(err, ZAYA_E_IO, "%s: not a regular file", path);
  } else if ((uint64_t)st.st_size > SIZE_MAX) {
    ok = err_set(err, ZAYA_E_LIMIT, "%s: larger than the address space", path);
  } else if (st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
      ok = err_errno(err, errno, "%s: cannot map %lld bytes", path, (long long)st.st_size);
    } else {
      *m = (Map){p, (size_t)st.st_size};
      cpu_large_pages(p, m->size); // what is read from now on comes in large pages
    }
  }
  close(fd);
  return ok;
}

void map_close(Map *m) {
  if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
  *m = (Map){0};
}
