// info: see info.h.
#include "api/info.h"

// Parameters in all, and those that one token uses: one expert of each layer and no embedding.
static void count_params(const ArchList *list, const Config *c, zaya_model_info *info) {
  for (size_t i = 0; i < list->len; i++) {
    const ArchTensor *t = &list->items[i];
    uint64_t n = arch_elements(t);
    info->n_params += n;
    // Of the stacked experts a token uses one; of single ones the first stands for all.
    if (t->klass == ARCH_EXPERT && t->expert < 0) n /= (uint64_t)c->n_experts;
    if (t->klass != ARCH_EMBED && t->expert <= 0) info->n_params_active += n;
  }
}

zaya_model_info info_of(const Bundle *b) {
  const Config *c = bundle_config(b);
  zaya_model_info info = {
      .layout = bundle_layout_name(b),
      .n_layers = c->n_layers,
      .hidden_size = c->hidden,
      .n_heads = c->n_q,
      .n_kv_heads = c->n_kv,
      .head_dim = c->head_dim,
      .rotary_dim = c->rotary_dim,
      .expert_width = c->expert,
      .n_experts = c->n_experts,
      .router_width = c->router,
      .vocab_size = c->vocab,
      .max_position = c->max_position,
  };
  count_params(bundle_arch(b), c, &info);
  for (size_t i = 0; i < bundle_count(b); i++) info.tensor_bytes += bundle_at(b, i)->nbytes;
  return info;
}
