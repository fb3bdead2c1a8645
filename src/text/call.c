// call: see call.h. Nothing here guesses: where a value could be cut in two ways, the cut is taken only
// when the text behind it goes on as a call does, and everything else is reported as malformed, because
// a call with wrongly cut arguments would be carried out.
#include "text/call.h"

#include "base/error.h"
#include "base/utf8.h"

#include <jansson.h>
#include <string.h>

enum { MAX_NAME = 256 };

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void bad(Call *c, const char *reason) {
  if (c->state == CALL_BAD) return;
  c->state = CALL_BAD;
  snprintf(c->reason, sizeof c->reason, "%s", reason);
}

// The same for the parameter whose name was read last.
static void bad_param(Call *c, const char *what) {
  if (c->state == CALL_BAD) return;
  c->state = CALL_BAD;
  int shown = (int)utf8_valid_prefix(c->param.data, c->param.len < 64 ? c->param.len : 64);
  snprintf(c->reason, sizeof c->reason, "parameter \"%.*s\" %s", shown, c->param.data, what);
}

// Keeps the raw text, up to the limit.
static bool keep(Call *c, const char *p, size_t n, zaya_error *err) {
  size_t room = c->max_bytes - c->raw.len;
  if (n > room) {
    bad(c, "the call is longer than the limit");
    n = room;
  }
  return buf_add(&c->raw, p, n, err);
}

bool call_begin(Call *c, CallTag tag, zaya_error *err) {
  c->state = tag == CALL_OPEN ? CALL_AT_OPEN : CALL_IN_NAME;
  return buf_putc(&c->args, '{', err) && keep(c, c->tags[tag], strlen(c->tags[tag]), err);
}

// --- names -------------------------------------------------------------------------------------

// Trims a name in place; false when it cannot be one.
static bool clean_name(Buf *name) {
  size_t from = 0, to = name->len;
  while (from < to && name->data[from] == ' ') from++;
  while (to > from && name->data[to - 1] == ' ') to--;
  if (from == to) return false;
  memmove(name->data, name->data + from, to - from);
  name->len = to - from;
  name->data[name->len] = '\0';
  for (size_t i = 0; i < name->len; i++)
    if ((unsigned char)name->data[i] < 0x20 || name->data[i] == '<' || name->data[i] == 0x7F) return false;
  return utf8_valid_prefix(name->data, name->len) == name->len;
}

// A parameter's name is complete: types it and begins its value.
static bool begin_value(Call *c, zaya_error *err) {
  if (!clean_name(&c->param)) {
    bad(c, "a parameter has no proper name");
    return true;
  }
  if (!c->params_taken && !(c->params_taken = json_object()))
    return err_memory(err, 0, "a call's parameters");
  if (json_object_get(c->params_taken, c->param.data)) {
    bad_param(c, "is given twice");
    return true;
  }
  if (json_object_set_new(c->params_taken, c->param.data, json_true()))
    return err_memory(err, c->param.len, "a call's parameters");
  buf_clear(&c->value);
  c->types = arg_types(c->tools, c->name.data, c->param.data);
  c->depth = 0;
  c->value_sent = 0;
  c->state = CALL_IN_VALUE;
  size_t used;
  if (c->n_params++ && !buf_putc(&c->args, ',', err)) return false;
  if (!buf_putc(&c->args, '"', err) || !arg_escape(c->param.data, c->param.len, true, &c->args, &used, err) ||
      !buf_puts(&c->args, "\":", err))
    return false;
  return c->types == ARG_STRING ? buf_putc(&c->args, '"', err) : true;
}

// Reads a name up to its ">"; returns how many bytes were taken, 0 on failure.
static size_t name_text(Call *c, const char *p, size_t n, zaya_error *err) {
  Buf *name = c->state == CALL_IN_NAME ? &c->name : &c->param;
  const char *end = memchr(p, '>', n);
  size_t len = end ? (size_t)(end - p) : n;
  if (len > MAX_NAME - name->len) {
    bad(c, "a name is too long");
    return n;
  }
  if (!buf_add(name, p, len, err)) return 0;
  if (!end) return len;
  if (c->state == CALL_IN_PARAMETER_NAME) return begin_value(c, err) ? len + 1 : 0;
  if (clean_name(name)) {
    c->named = true;
    c->state = CALL_BETWEEN;
  } else {
    bad(c, "the function has no proper name");
  }
  return len + 1;
}

// --- values ------------------------------------------------------------------------------------

// The value without its framing newlines: at most one on either side.
static void value_inside(const Call *c, size_t end, size_t *from, size_t *to) {
  *from = end > 0 && c->value.data[0] == '\n';
  *to = end > *from && c->value.data[end - 1] == '\n' ? end - 1 : end;
}

// Passes on what is certain of a string value, so that long ones (a file being written) can be followed.
static bool send_string(Call *c, size_t end, bool last, zaya_error *err) {
  if (c->types != ARG_STRING) return true;
  size_t from, to, used = 0;
  value_inside(c, end, &from, &to);
  if (c->value_sent > from) from = c->value_sent;
  if (from >= to && !last) return true;
  if (from < to && !arg_escape(c->value.data + from, to - from, last, &c->args, &used, err)) return false;
  c->value_sent = from + used;
  return last ? buf_putc(&c->args, '"', err) : true;
}

// The closing tag was one: the value becomes JSON.
static bool end_value(Call *c, zaya_error *err) {
  c->state = CALL_BETWEEN;
  if (c->types == ARG_STRING) return send_string(c, c->value_end, true, err);
  size_t from, to;
  bool typed;
  value_inside(c, c->value_end, &from, &to);
  const char *text = c->value.data ? c->value.data + from : "";
  if (!arg_value(c->types, text, to - from, &c->args, &typed, err)) return false;
  c->mistyped += !typed;
  return true;
}

// Adds text to the value. Behind a closing tag anything but white space shows that the tag was part of
// the value.
static bool value_text(Call *c, const char *p, size_t n, zaya_error *err) {
  if (!buf_add(&c->value, p, n, err)) return false;
  if (c->state == CALL_BEHIND_VALUE) {
    for (size_t i = 0; i < n && c->state == CALL_BEHIND_VALUE; i++)
      if (!is_space(p[i])) c->state = CALL_IN_VALUE;
    if (c->state == CALL_BEHIND_VALUE) return true;
  }
  return send_string(c, c->value.len, false, err);
}

static CallStep frame_tag(Call *c, CallTag tag, zaya_error *err);

// A tag inside a value.
static CallStep value_tag(Call *c, CallTag tag, zaya_error *err) {
  bool behind = c->state == CALL_BEHIND_VALUE;
  if (behind && (tag == CALL_PARAMETER || tag == CALL_FUNCTION_END || tag == CALL_CLOSE)) {
    if (!end_value(c, err)) return CALL_FAILED;
    return frame_tag(c, tag, err);
  }
  if (tag == CALL_CLOSE && c->depth == 0) {
    bad_param(c, "is not closed");
    return CALL_IS_DONE;
  }
  c->state = CALL_IN_VALUE;
  if (tag == CALL_PARAMETER_END && c->depth == 0) {
    c->value_end = c->value.len;
    c->state = CALL_BEHIND_VALUE;
    return buf_puts(&c->value, c->tags[tag], err) ? CALL_GOES_ON : CALL_FAILED;
  }
  if (tag == CALL_OPEN) c->depth++;
  if (tag == CALL_CLOSE) c->depth--;
  return value_text(c, c->tags[tag], strlen(c->tags[tag]), err) ? CALL_GOES_ON : CALL_FAILED;
}

// --- the call ----------------------------------------------------------------------------------

bool call_text(Call *c, const char *p, size_t n, zaya_error *err) {
  size_t room = c->max_bytes - c->raw.len;
  if (n > room) // what fits is read as ever: where the limit falls must not depend on the pieces
    return call_text(c, p, room, err) && keep(c, p + room, n - room, err);
  if (!keep(c, p, n, err)) return false;
  while (n) {
    size_t used = n;
    switch (c->state) {
    case CALL_IN_NAME:
    case CALL_IN_PARAMETER_NAME:
      if (!(used = name_text(c, p, n, err))) return false;
      break;
    case CALL_IN_VALUE:
    case CALL_BEHIND_VALUE:
      if (!value_text(c, p, n, err)) return false;
      break;
    case CALL_BAD: break;
    default: // between the tags
      for (used = 0; used < n && is_space(p[used]);) used++;
      if (used == n) break;
      bad(c, c->state == CALL_AT_OPEN   ? "text before the function"
             : c->state == CALL_BETWEEN ? "text between the parameters"
                                        : "text behind the function");
      used = n;
    }
    p += used;
    n -= used;
  }
  return true;
}

// Closes the arguments of a call that has all its parts.
static CallStep done(Call *c, CallStep step, zaya_error *err) {
  return buf_putc(&c->args, '}', err) ? step : CALL_FAILED;
}

// The tag where no value is open.
static CallStep frame_tag(Call *c, CallTag tag, zaya_error *err) {
  CallState state = c->state;
  if (state == CALL_AT_OPEN && tag == CALL_FUNCTION) {
    c->state = CALL_IN_NAME;
  } else if (state == CALL_BETWEEN && tag == CALL_PARAMETER) {
    c->state = CALL_IN_PARAMETER_NAME;
    buf_clear(&c->param);
  } else if (state == CALL_BETWEEN && tag == CALL_FUNCTION_END) {
    c->state = CALL_BEHIND_FUNCTION;
  } else if (tag == CALL_CLOSE) {
    if (state == CALL_BETWEEN || state == CALL_BEHIND_FUNCTION) return done(c, CALL_IS_DONE, err);
    bad(c, state == CALL_AT_OPEN ? "the call is empty" : "the call ends inside a name");
    return CALL_IS_DONE;
  } else if (tag == CALL_OPEN) {
    if (state == CALL_BEHIND_FUNCTION) return done(c, CALL_NEXT_CALL, err);
    bad(c, "another call begins before it ends");
    return CALL_NEXT_CALL;
  } else if (state == CALL_BEHIND_FUNCTION && tag == CALL_FUNCTION) {
    return done(c, CALL_NEXT_FUNCTION, err);
  } else {
    bad(c, state == CALL_AT_OPEN                                      ? "no function at its start"
           : state == CALL_IN_NAME || state == CALL_IN_PARAMETER_NAME ? "a tag inside a name"
                                                                      : "a tag where none should be");
  }
  return CALL_GOES_ON;
}

CallStep call_tag(Call *c, CallTag tag, zaya_error *err) {
  bool in_value = c->state == CALL_IN_VALUE || c->state == CALL_BEHIND_VALUE;
  CallStep step = in_value ? value_tag(c, tag, err) : frame_tag(c, tag, err);
  bool mine = step == CALL_GOES_ON || step == CALL_IS_DONE;
  if (mine && !keep(c, c->tags[tag], strlen(c->tags[tag]), err)) return CALL_FAILED;
  return step;
}

bool call_finish(Call *c, const char *held, size_t n, zaya_error *err) {
  CallState state = c->state;
  if (!keep(c, held, n, err)) return false;
  if (state == CALL_BEHIND_FUNCTION)
    return c->state == CALL_BAD || done(c, CALL_IS_DONE, err) == CALL_IS_DONE;
  c->truncated = true;
  if (state == CALL_IN_VALUE || state == CALL_BEHIND_VALUE)
    bad_param(c, "is cut off by the end of the output");
  else
    bad(c, state == CALL_BETWEEN             ? "the output ends between its parameters"
           : state == CALL_IN_PARAMETER_NAME ? "the output ends inside the name of a parameter"
                                             : "the output ends before its function is named");
  return true;
}

void call_reset(Call *c) {
  c->state = CALL_AT_OPEN;
  buf_clear(&c->raw);
  buf_clear(&c->name);
  buf_clear(&c->args);
  buf_clear(&c->param);
  buf_clear(&c->value);
  json_decref(c->params_taken);
  c->params_taken = NULL;
  c->named = c->truncated = false;
  c->mistyped = c->n_params = 0;
  c->reason[0] = '\0';
}

void call_free(Call *c) {
  call_reset(c);
  buf_free(&c->raw);
  buf_free(&c->name);
  buf_free(&c->args);
  buf_free(&c->param);
  buf_free(&c->value);
}
