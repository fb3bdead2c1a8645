// chat_files: files that a user of a chat names: their text, how it stands in a message, completion of paths.
// Depends on common.
#pragma once

#include "zaya/zaya.h"

#include <jansson.h>

// Reads a regular file of UTF-8 text; "~/" is the home folder.
bool chat_files_read(const char *path, zaya_text *out, zaya_error *err);
// *out: `before` (may be NULL) and the file between lines that name and fence it. To be freed.
bool chat_files_quote(const char *before, const char *path, const zaya_text *text, char **out,
                      zaya_error *err);
// The paths that begin so; folders end in a slash.
json_t *chat_files_complete(const char *begun);
