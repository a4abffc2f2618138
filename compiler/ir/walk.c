/* walk: see walk.h.  Recursion is as deep as regions nest. */
#include "ir/walk.h"

static void walk_loop(const Kernel *k, const Loop *l, void (*visit)(void *, Val), void *ctx) {
  walk_code(k, l->body, visit, ctx);
  walk_code(k, l->seed, visit, ctx);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    walk_code(k, l->accs.at[n]->body.at, visit, ctx);
    walk_code(k, l->accs.at[n]->seed.at, visit, ctx);
  }
}

void walk_whole(const Kernel *k, Val v, void (*visit)(void *ctx, Val v), void *ctx) {
  visit(ctx, v);
  if (ir_at(k, v)->op == IR_LOOP) walk_loop(k, ir_at(k, v)->loop, visit, ctx);
}

void walk_code(const Kernel *k, const Region *r, void (*visit)(void *ctx, Val v), void *ctx) {
  for (uint32_t n = 0; r && n < r->code.n; n++) walk_whole(k, r->code.at[n], visit, ctx);
}

typedef struct Uses { void (*use)(void *, Val); void *ctx; } Uses;

static void use(const Uses *u, Val v) {
  if (v) u->use(u->ctx, v);
}

static void use_contribution(const Uses *u, const Contribution *c) {
  use(u, c->log_w);
  use(u, c->x);
}

static void use_acc(const Uses *u, const Acc *a) {
  use_contribution(u, &a->body);
  use_contribution(u, &a->seed);
  for (uint32_t n = 0; n < a->naxis; n++) {
    use(u, a->axes[n].lo);
    use(u, a->axes[n].hi);
  }
}

static void use_loop(const Uses *u, const Loop *l) {
  use(u, l->lo);
  use(u, l->hi);
  use(u, l->mask);
  use(u, l->seed_mask);
  for (uint32_t n = 0; n < l->accs.n; n++) use_acc(u, l->accs.at[n]);
}

void walk_operands(const Kernel *k, Val v, void (*call)(void *ctx, Val operand), void *ctx) {
  const Instr *i = ir_at(k, v);
  Uses u = {call, ctx};
  for (uint32_t n = 0; n < i->narg; n++) use(&u, i->arg[n]);
  if (i->op == IR_ARRAY)
    for (uint32_t d = 0; d < i->array->rank; d++) use(&u, i->array->dims[d]);
  if (i->op == IR_LOOP) use_loop(&u, i->loop);
}
