/* tile_round: which outputs are made from weights that were rounded (TileAcc.rounds).
 *
 * A value is touched where an argument is, or an array that it loads; an array where a touched value is stored, or an
 * accumulator with axes leaves touched results.  The least set with these laws is found by going over the kernel until
 * nothing changes. */
#include "ir/solve.h"
#include "ir/walk.h"
#include "tile/tile.h"

typedef struct Touch {
  const TilePlan *p;
  bool *value, *array; /* by Val; by Array.id */
  bool changed;
} Touch;

static void touch(Touch *t, bool *flag) {
  if (*flag) return;
  *flag = t->changed = true;
}

static bool rounds(const TilePlan *p, const Acc *a) {
  for (uint32_t r = 0; r < p->rows.n; r++)
    for (uint32_t s = 0; s < p->rows.at[r]->streams.n; s++) {
      const TileStream *stream = p->rows.at[r]->streams.at[s];
      for (uint32_t n = 0; !stream->why && n < stream->accs.n; n++)
        if (stream->accs.at[n].acc == a && stream->accs.at[n].rounds) return true;
    }
  return false;
}

static bool contributes(const Touch *t, const Contribution *c) { return t->value[c->x] || t->value[c->log_w]; }

static void visit_loop(Touch *t, const Loop *l) {
  bool all = t->value[l->lo] || t->value[l->hi] || t->value[l->mask] || t->value[l->seed_mask];
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (!all && !rounds(t->p, a) && !contributes(t, &a->body) && !contributes(t, &a->seed)) continue;
    touch(t, a->naxis ? &t->array[a->result_at->id] : &t->value[a->result]);
  }
}

static void visit_solve(Touch *t, const Instr *i, bool any) {
  const Solve *s = i->solve;
  uint32_t n = ir_solve_arrays(i);
  for (uint32_t k = 0; k < n; k++) any |= t->array[s->array[k]->id];
  for (uint32_t k = 0; any && k < n; k++) touch(t, &t->array[s->array[k]->id]);
}

static void visit(void *ctx, Val v) {
  Touch *t = ctx;
  const Instr *i = ir_at(t->p->k, v);
  bool any = i->op == IR_LOAD && t->array[i->array->id];
  for (uint32_t n = 0; n < i->narg; n++) any |= t->value[i->arg[n]];
  if (i->op == IR_LOOP) visit_loop(t, i->loop);
  else if (i->op == IR_SOLVE) visit_solve(t, i, any);
  else if (any) touch(t, i->op == IR_STORE ? &t->array[i->array->id] : &t->value[v]);
}

bool tile_rounds(Arena *arena, const TilePlan *p, uint32_t out) {
  const Kernel *k = p->k;
  Touch t = {.p = p, .value = NEW_ARRAY(arena, bool, k->instrs.n), .array = NEW_ARRAY(arena, bool, k->arrays.n)};
  do {
    t.changed = false;
    walk_code(k, k->top, visit, &t);
  } while (t.changed);
  for (uint32_t n = 0; n < k->arrays.n; n++)
    if (k->arrays.at[n]->kind == ARRAY_OUT && k->arrays.at[n]->external == out && t.array[n]) return true;
  return false;
}
