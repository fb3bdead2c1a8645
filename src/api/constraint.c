// constraint: the public constraints over text/guide.
#include "api/constraint.h"

#include "base/error.h"
#include "text/out.h"

#include <stdlib.h>

struct zaya_vocabulary {
  Vocab *vocab;
};

zaya_vocabulary *zaya_vocabulary_new(const zaya_tokenizer *tokenizer, zaya_error *err) {
  zaya_vocabulary *v = malloc(sizeof *v);
  if (!v) {
    err_memory(err, sizeof *v, "a vocabulary");
    return NULL;
  }
  v->vocab = guide_vocab(tokenizer, err);
  if (v->vocab) return v;
  free(v);
  return NULL;
}

void zaya_vocabulary_free(zaya_vocabulary *vocabulary) {
  if (!vocabulary) return;
  vocab_free(vocabulary->vocab);
  free(vocabulary);
}

// Takes the guide over.
static zaya_constraint *wrap(Guide *guide, bool data, bool calls, zaya_error *err) {
  zaya_constraint *c = guide ? malloc(sizeof *c) : NULL;
  if (!c) {
    err_memory(err, sizeof *c, "a constraint");
    guide_free(guide);
    return NULL;
  }
  *c = (zaya_constraint){.guide = guide, .data = data, .calls = calls};
  return c;
}

zaya_constraint *zaya_constraint_from_schema(const zaya_vocabulary *vocabulary, const char *schema,
                                             size_t len, zaya_error *err) {
  return wrap(guide_schema(vocabulary->vocab, schema, len, err), true, false, err);
}

zaya_constraint *zaya_constraint_from_regex(const zaya_vocabulary *vocabulary, const char *pattern,
                                            size_t len, zaya_error *err) {
  return wrap(guide_regex(vocabulary->vocab, pattern, len, err), true, false, err);
}

zaya_constraint *zaya_constraint_from_gbnf(const zaya_vocabulary *vocabulary, const char *grammar, size_t len,
                                           zaya_error *err) {
  return wrap(guide_gbnf(vocabulary->vocab, grammar, len, err), true, false, err);
}

zaya_constraint *zaya_constraint_from_tools(const zaya_vocabulary *vocabulary,
                                            const zaya_tools_params *params, zaya_error *err) {
  CallsParams p = {.tools = params->tools,
                   .choice = params->choice == ZAYA_TOOL_REQUIRED ? CALLS_REQUIRED : CALLS_AUTO,
                   .name = params->name,
                   .parallel = params->parallel,
                   .tags = out_tags(&params->tags)};
  return wrap(guide_calls(vocabulary->vocab, &p, err), false, true, err);
}

zaya_constraint *zaya_constraint_either(const zaya_constraint *tools, const zaya_constraint *form,
                                        zaya_error *err) {
  if (tools->data || form->calls) {
    err_set(err, ZAYA_E_INVALID, "expected a constraint on tool calls and one on data");
    return NULL;
  }
  return wrap(guide_either(tools->guide, form->guide, err), true, true, err);
}

void zaya_constraint_free(zaya_constraint *constraint) {
  if (!constraint) return;
  guide_free(constraint->guide);
  free(constraint);
}

bool zaya_constraint_check(const zaya_constraint *constraint, const char *text, size_t len, zaya_error *err) {
  return guide_check(constraint->guide, text, len, err);
}
