// fuzz_config: any bytes as config.json; what is accepted must obey the limits that the shapes rely on.
#include "format/arch.h"
#include "format/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Config c;
  zaya_error err = {0};
  if (!config_parse((const char *)data, size, "config.json", &c, &err)) {
    if (err.status == ZAYA_OK || !err.message[0] || strchr(err.message, '\n')) abort();
    return 0;
  }
  if (c.n_layers < 2 || c.n_layers % 2 || c.n_q % c.n_kv || c.rotary_dim < 2 || c.rotary_dim > c.head_dim)
    abort();
  ArchList list;
  if (c.n_layers * c.n_experts < 10000 && arch_list(&c, EXPERTS_LOCAL, &list, NULL)) arch_free(&list);
  return 0;
}
