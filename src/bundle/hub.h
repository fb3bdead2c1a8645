// hub: names and places of a Hugging Face compatible hub on this machine: repository names, endpoint,
// token, and the cache folders that other tools share. Does not own any transfer (see pull). The one
// place that reads the HF_* variables. Depends on base/.
#pragma once

#include "base/buf.h"

// "name" or "org/name" as a hub allows them; the error says what is wrong.
bool hub_check_repo(const char *repo, zaya_error *err);
// A branch, tag or commit that is safe as a file name below refs/.
bool hub_check_revision(const char *revision, zaya_error *err);
// A file of a repository: relative, no "." or ".." components, no control characters.
bool hub_check_path(const char *path, zaya_error *err);
bool hub_is_hex(const char *text, size_t digits);

// HF_ENDPOINT, else https://huggingface.co; without a trailing slash.
bool hub_endpoint(const char *given, Buf *out, zaya_error *err);
// `given`, else HF_TOKEN, else the token file; empty when there is none.
bool hub_token(const char *given, Buf *out, zaya_error *err);

// Folder of the cache, and of one repository in it (".../models--org--name").
bool hub_cache_dir(Buf *out, zaya_error *err);
bool hub_repo_dir(const char *repo, Buf *out, zaya_error *err);
