/* pass_specialise: sizes that are known become constants.
 *
 * The builder folds what follows from them, so that extents, loop bounds and tests of indices are settled. */
#include "ir/pass.h"
#include "ir/rebuild.h"

Kernel *pass_specialise(Arena *arena, const Kernel *k, const int64_t *sizes) {
  Rebuild r;
  rebuild_init(&r, arena, k);
  r.sizes = sizes;
  return rebuild_run(&r);
}
