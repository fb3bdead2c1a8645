// chat_term: the terminal's modes, its bytes and the signals of a chat. Owns what has to be put back however
// the program ends, and turns signals into questions that others ask: Ctrl-C never ends the program by
// itself. Depends on the C library only.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef enum ChatTermMode {
  CHAT_TERM_PLAIN,  // as it was found
  CHAT_TERM_EDIT,   // the line editor has it: pasted text comes in brackets
  CHAT_TERM_ANSWER, // an answer is written: what is typed is kept for the next prompt, unseen
} ChatTermMode;

// Remembers the modes of the terminal, if `interactive`, and catches signals.
void chat_term_start(bool interactive);
// Puts everything back.
void chat_term_end(void);
void chat_term_set(ChatTermMode mode);

// Ctrl-C was pressed since the last chat_term_forget. The third time during an answer ends the program.
bool chat_term_interrupted(void);
void chat_term_forget(void);
// The program was asked to end (SIGTERM, SIGHUP).
bool chat_term_leaving(void);
// The window's size changed, or the program was stopped and goes on, since the last call.
bool chat_term_changed(void);
enum { CHAT_TERM_EOF = -1, CHAT_TERM_SIGNAL = -2 };
// The next byte of standard input, slept for; CHAT_TERM_SIGNAL when a signal came first.
int chat_term_byte(void);
// Forgets what was typed and not read yet.
void chat_term_flush(void);
