// files: folders and whole files: made, replaced in one step, taken away. Depends on buf and error.
#pragma once

#include "base/buf.h"

// mkdir -p. With `file`, of the folders in front of the last component only.
bool files_make_dirs(const char *path, bool file, zaya_error *err);
// Writes a whole file beside `path` and renames it: readers see the old content or the new.
bool files_write(const char *path, const void *data, size_t len, zaya_error *err);
// The same for dir/name.
bool files_write_in(const char *dir, const char *name, const void *data, size_t len, zaya_error *err);
bool files_is_dir(const char *path);
// Whether a folder holds nothing; also true when there is none.
bool files_dir_empty(const char *path);
// Removes a folder that holds only files, and those.
bool files_remove_dir(const char *path, zaya_error *err);
// Fails when the file system of the folder `dir` has fewer than `need` bytes free.
bool files_check_room(const char *dir, uint64_t need, zaya_error *err);
