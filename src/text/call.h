// call: one tool call while it is being written. Owns the call's grammar, its raw text and its arguments
// as JSON; does not own finding the tags (tags.c), events or what surrounds the call (out.c).
// Depends on arg, buf.
//
//   <zyphra_tool_call> <function=NAME> ( <parameter=ARG> value </parameter> )* </function>
//   </zyphra_tool_call>
//
// with white space wherever a blank is shown. docs/output.md has the rules in full.
#pragma once

#include "text/arg.h"

// The tags that count inside a call; CALL_OPEN begins one.
typedef enum CallTag {
  CALL_OPEN,
  CALL_CLOSE,
  CALL_FUNCTION, // "<function=": the name and ">" follow
  CALL_FUNCTION_END,
  CALL_PARAMETER, // "<parameter="
  CALL_PARAMETER_END,
  CALL_TAGS
} CallTag;

typedef enum CallStep {
  CALL_GOES_ON,
  CALL_IS_DONE,       // the call ends with this tag
  CALL_NEXT_FUNCTION, // it ended before this tag, which begins another call inside the same frame
  CALL_NEXT_CALL,     // it ended before this tag, which begins another call
  CALL_FAILED,        // out of memory: `err` is set
} CallStep;

typedef enum CallState {
  CALL_AT_OPEN,
  CALL_IN_NAME,
  CALL_BETWEEN, // parameters
  CALL_IN_PARAMETER_NAME,
  CALL_IN_VALUE,
  CALL_BEHIND_VALUE, // a closing tag was seen; what follows says whether it closes the value
  CALL_BEHIND_FUNCTION,
  CALL_BAD, // not a call as it should be: the rest of it is only kept
} CallState;

typedef struct Call {
  CallState state;
  const char *const *tags; // [CALL_TAGS]: their texts
  const ArgTools *tools;   // may be NULL
  size_t max_bytes;        // of raw text kept; a longer call is malformed
  Buf raw;                 // the text of the call, tags included
  Buf name;                // of the function, once `named`
  bool named;
  Buf args;         // the arguments object so far; complete when the call is done and not bad
  size_t mistyped;  // values that are not of their schema's type
  char reason[160]; // why the call is bad
  bool truncated;   // because the output ended
  // the present parameter
  Buf param, value;
  unsigned types;
  int depth;          // whole calls quoted inside the value that are open
  size_t value_end;   // behind a value: its length before the closing tag
  size_t value_sent;  // bytes of a string value that are in `args` already
  size_t n_params;    // begun
  void *params_taken; // json_t object: names so far
} Call;

// Begins a call whose opening tag (CALL_OPEN, or CALL_FUNCTION inside a frame) was just read. The call
// is zero-initialised or was reset.
bool call_begin(Call *c, CallTag tag, zaya_error *err);
// Text that is no tag, and tags, in order. call_text never ends a call.
bool call_text(Call *c, const char *p, size_t n, zaya_error *err);
CallStep call_tag(Call *c, CallTag tag, zaya_error *err);
// The output ends here, behind `n` held bytes that might have become a tag. Where only the outer closing tag
// is missing the call is whole; otherwise it is bad, and truncated.
bool call_finish(Call *c, const char *held, size_t n, zaya_error *err);
void call_reset(Call *c); // forgets the call, keeps memory, tags, tools and limit
void call_free(Call *c);
