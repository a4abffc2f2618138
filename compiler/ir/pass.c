/* pass: the pipeline. */
#include "ir/pass.h"

#include "base/ice.h"
#include "ir/rebuild.h"

/* The builder's normal form, in which equal values have equal numbers (fusion compares by number), without dead
 * code: a value that nothing uses must not tie two loops together. */
static Kernel *normalise(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  Rebuild r;
  rebuild_init(&r, arena, k);
  return pass_dce(arena, rebuild_run(&r));
}

static Kernel *pair(Arena *arena, const Kernel *k, const PassOptions *options) {
  return options->as_derived ? pass_dce(arena, k) : pass_pair(arena, k);
}

static Kernel *vector(Arena *arena, const Kernel *k, const PassOptions *options) {
  return options->as_derived ? pass_dce(arena, k) : pass_vector(arena, k);
}

static Kernel *fuse(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  return pass_fuse(arena, k);
}

/* Fusion brings all that one stream feeds together, and leaves accumulators whose twin is used instead: they would be
 * reasons against another order. */
static Kernel *reassociate(Arena *arena, const Kernel *k, const PassOptions *options) {
  return pass_reassociate(arena, pass_dce(arena, k), options->as_derived ? REASSOCIATE_NEVER : options->reassociate);
}

/* What is wanted of each value, before fusion puts it beside what is wanted of a pair. */
static Kernel *inner(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  return pass_invariant(arena, k, true);
}

static Kernel *invariant(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  return pass_invariant(arena, k, false);
}

static Kernel *order(Arena *arena, const Kernel *k, const PassOptions *options) {
  return options->as_derived ? pass_dce(arena, k) : pass_order(arena, k);
}

static Kernel *dce(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  return pass_dce(arena, k);
}

static Kernel *narrow(Arena *arena, const Kernel *k, const PassOptions *options) {
  (void)options;
  return pass_narrow(arena, k);
}

/* Last: explanations, and other passes, see a loop for what it is. */
static Kernel *apart(Arena *arena, const Kernel *k, const PassOptions *options) {
  return options->as_derived ? (Kernel *)k : pass_apart(arena, k);
}

const Pass ir_passes[] = {
  {"normalise", normalise},
  {"pair", pair},
  {"vector", vector},
  {"inner", inner},
  {"fuse", fuse},
  {"reassociate", reassociate},
  {"invariant", invariant},
  {"order", order},
  {"narrow", narrow},
  {"dce", dce},
  {"apart", apart},
};
const uint32_t ir_pass_count = sizeof ir_passes / sizeof ir_passes[0];

static void verify(const Kernel *k, const char *after) {
  const char *wrong = ir_verify(k);
  if (wrong) ICE("kernel '%s' after pass '%s': %s", k->name, after, wrong);
}

static bool is_pass(const char *name) {
  for (uint32_t i = 0; i < ir_pass_count; i++)
    if (!strcmp(ir_passes[i].name, name)) return true;
  return false;
}

Kernel *ir_run_passes(Arena *arena, const Kernel *k, const char *stop_after) {
  return ir_run_passes_with(arena, k, &(PassOptions){REASSOCIATE_AUTO}, stop_after);
}

Kernel *ir_run_passes_with(Arena *arena, const Kernel *k, const PassOptions *options, const char *stop_after) {
  if (stop_after && !is_pass(stop_after)) return NULL;
  verify(k, "(none)");
  Kernel *at = NULL;
  for (uint32_t i = 0; i < ir_pass_count; i++) {
    at = ir_passes[i].run(arena, at ? at : k, options);
    verify(at, ir_passes[i].name);
    if (stop_after && !strcmp(ir_passes[i].name, stop_after)) break;
  }
  return at;
}
