// chat_store: saved conversations: JSON files, written whole or not at all, readable by their owner only.
// Owns where they are and what they are called. Depends on chat_set, chat_talk.
#pragma once

#include "chat_set.h"
#include "chat_talk.h"

#include <sys/stat.h>

// The session that a chat is saved to.
typedef struct ChatStore {
  char *path;       // NULL: none yet
  char *name;       // for messages
  bool fresh;       // named by open_auto and not written yet: a file of that name is another chat's
  bool known;       // `seen` is how the file was when it was last read or written here
  struct stat seen; // another program's changes are not overwritten
} ChatStore;

// Absolute path of `name` in the user's folder of that kind, which need not be there: `variable`
// (XDG_DATA_HOME), else `fallback` below the home folder. To be freed.
char *chat_store_home(const char *variable, const char *fallback, const char *name, zaya_error *err);
// Makes a folder and those above it, for the owner only.
bool chat_store_make_folder(const char *path, zaya_error *err);

void chat_store_free(ChatStore *store);
// Names the session: a name in the folder of sessions, or a file's path (anything with a slash).
bool chat_store_open(ChatStore *store, const char *name_or_path, zaya_error *err);
// A name of its own for a conversation that has none ("auto-20260131-101500"); old ones of that kind go.
bool chat_store_open_auto(ChatStore *store, zaya_error *err);
// Removes the file of a session that open_auto named; its conversation is saved under another name.
void chat_store_drop_auto(const ChatStore *store);
// Names the session that was saved last. Fails when there is none.
bool chat_store_open_newest(ChatStore *store, zaya_error *err);
bool chat_store_exists(const ChatStore *store);
// Both name the file and its place when it is damaged. Nothing changes on failure.
bool chat_store_load(ChatStore *store, ChatSet *set, ChatTalk *talk, zaya_error *err);
bool chat_store_save(ChatStore *store, const ChatSet *set, const ChatTalk *talk, const char *model,
                     zaya_error *err);

// The saved sessions, newest first: [{"name", "updated", "messages", "title"}]; damaged ones have no
// messages.
json_t *chat_store_list(zaya_error *err);
