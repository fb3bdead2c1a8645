// kern: the ladder of rungs. See kern.h.
#include "kernels/kern.h"

#include "base/cpu.h"

#include <string.h>

size_t kern_pad_groups(size_t groups) { return (groups + KERN_LANES - 1) / KERN_LANES * KERN_LANES; }

size_t kern_q_stride(size_t groups) { return kern_pad_groups(groups) * KERN_GROUP + 64; }

// Every rung of this build, fastest first, with what it needs.
static const struct {
  const Kern *kern;
  unsigned needs;
} rungs[] = {
#if defined(__x86_64__)
    {&kern_amx, CPU_AMX_INT8 | CPU_AVX512_VNNI},
    {&kern_avx512, CPU_AVX512_VNNI},
    {&kern_avxvnni, CPU_AVX_VNNI},
    {&kern_avx2, CPU_AVX2},
#elif defined(__aarch64__)
    {&kern_neon, CPU_DOTPROD},
#endif
    {&kern_scalar, 0},
};

const Kern *kern_available(size_t i) {
  const unsigned has = cpu_features();
  for (size_t k = 0; k < sizeof rungs / sizeof *rungs; k++)
    if ((rungs[k].needs & has) == rungs[k].needs && i-- == 0) return rungs[k].kern;
  return NULL;
}

const Kern *kern_pick(const char *name) {
  for (size_t i = 0; kern_available(i); i++)
    if (!name || !strcmp(kern_available(i)->name, name)) return kern_available(i);
  return NULL;
}
