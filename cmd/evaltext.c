// evaltext: see evaltext.h.
#include "evaltext.h"

#include "common.h"

static bool on_progress(void *user, size_t done, size_t total, double value) {
  const EvalText *t = user;
  if (stderr_is_terminal())
    fprintf(stderr, "\r\033[K%zu of %zu windows, %s %.4f", done, total, t->value, value);
  return true;
}

bool evaltext_read(EvalText *t, const char *dir, zaya_error *err) {
  zaya_text text = {0};
  zaya_tokenizer *tok = zaya_tokenizer_open(dir, err);
  bool ok = tok && read_input(t->file, &text, err) &&
            zaya_tokenizer_encode(tok, text.data, text.len, ZAYA_ENCODE_TEMPLATE, &t->ids, err);
  t->params = (zaya_eval_params){.ctx = (size_t)t->ctx,
                                 .stride = (size_t)t->stride,
                                 .bos = ok ? zaya_tokenizer_bos(tok) : -1,
                                 .progress = on_progress,
                                 .user = t};
  zaya_text_free(&text);
  zaya_tokenizer_close(tok);
  return ok;
}

void evaltext_done(EvalText *t) {
  if (stderr_is_terminal()) fputs("\r\033[K", stderr);
  zaya_ids_free(&t->ids);
}
