/* tile_widen: a range that moves with the row becomes one range for all rows, and a mask.
 *
 *     par i { reduce j in lo(i) .. hi(i) { x } }
 *         =  par i { reduce j in LO .. HI where lo(i) <= j and j < hi(i) { x } }     if LO <= lo(i) and hi(i) <= HI
 *
 * Tiles want rows that share their columns, and pass over what a mask leaves out by intervals, so that `0 .. i + 1` and
 * `where j <= i` cost the same.  Scalar code would go through all of it: only streams that then run on tiles are
 * widened.  LO and HI follow from how the ends are made (ir/bound.c).  A stream that holds a check keeps its range, for
 * the check is to be asked only in there. */
#include "ir/bound.h"
#include "ir/walk.h"
#include "tile/tile.h"

typedef struct Widening {
  Rebuild rebuild;
  Arena *arena;
  bool *refused;          /* by Val, a LOOP: it keeps its range */
  VEC(Val) widened;       /* LOOPs */
} Widening;

static const Kernel *from(const Widening *w) { return w->rebuild.from; }
static bool is_at_top(const Widening *w, Val v) { return !ir_at(from(w), v)->home->loop; }

/* ---- streams -------------------------------------------------------------------------------------------------- */

typedef struct Checks { const Kernel *k; bool any; } Checks;

static void note_check(void *ctx, Val v) {
  Checks *c = ctx;
  c->any |= ir_is_check(ir_at(c->k, v)->op);
}

static bool holds_check(const Kernel *k, Val v) {
  Checks c = {k, false};
  walk_whole(k, v, note_check, &c);
  return c.any;
}

/* A stream of rows, with a range that is not the same for all of them. */
static bool is_candidate(const Widening *w, Val v) {
  const Instr *i = ir_at(from(w), v);
  const Region *r = i->home;
  if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || w->refused[v]) return false;
  if (!r->loop || r->loop->kind != LOOP_PAR || r != r->loop->body) return false;
  bool moves = ir_at(from(w), i->loop->lo)->home == r || ir_at(from(w), i->loop->hi)->home == r;
  return moves && !holds_check(from(w), v);
}

static void widen(Widening *w, Val v) {
  const Loop *l = ir_at(from(w), v)->loop;
  Val lo = bound_of(&w->rebuild, l->lo, false), hi = bound_of(&w->rebuild, l->hi, true);
  if (!lo || !hi) {
    rebuild_merged(&w->rebuild, 1, &l);
    return;
  }
  vec_push(w->arena, &w->widened, v);
  rebuild_between(&w->rebuild, l, lo, hi);
}

static bool is_widened(const Widening *w, const Loop *l) {
  return w->widened.n && ir_at(from(w), vec_last(&w->widened))->loop == l;
}

/* The last one widened is the one being copied, as long as it is: streams in it stay. */
static Val mask(Rebuild *r, const Loop *l, const Loop *to, Val own) {
  Widening *w = (Widening *)r;
  Val inside = 0;
  if (!is_widened(w, l)) return own;
  if (!is_at_top(w, l->lo)) inside = build_2(&r->b, IR_GE, to->index, r->map[l->lo]);
  if (!is_at_top(w, l->hi)) inside = build_and(&r->b, inside, build_2(&r->b, IR_LT, to->index, r->map[l->hi]));
  return build_and(&r->b, inside, own);
}

static void code(Rebuild *r, const Region *region) {
  Widening *w = (Widening *)r;
  for (uint32_t n = 0; n < region->code.n; n++) {
    Val v = region->code.at[n];
    if (is_candidate(w, v)) widen(w, v);
    else rebuild_instr(r, v);
  }
}

static const Kernel *widened(Widening *w, const Kernel *k) {
  rebuild_init(&w->rebuild, w->arena, k);
  w->rebuild.code = code;
  w->rebuild.mask = mask;
  w->widened.n = 0;
  return rebuild_run(&w->rebuild);
}

static bool is_tiled(const TilePlan *p, const Loop *l) {
  for (uint32_t r = 0; r < p->rows.n; r++)
    for (uint32_t s = 0; s < p->rows.at[r]->streams.n; s++)
      if (p->rows.at[r]->streams.at[s]->loop == l) return !p->rows.at[r]->streams.at[s]->why;
  return false;
}

const Kernel *tile_widen(Arena *arena, const Kernel *k, const TileTarget *target) {
  Widening w = {.arena = arena, .refused = NEW_ARRAY(arena, bool, k->instrs.n)};
  const Kernel *to = widened(&w, k);
  if (!w.widened.n) return k;
  const TilePlan *p = tile_plan(arena, to, target);
  uint32_t refused = 0;
  for (uint32_t n = 0; n < w.widened.n; n++) {
    const Loop *l = ir_at(k, w.widened.at[n])->loop;
    if (is_tiled(p, ir_at(to, w.rebuild.map[l->index])->loop)) continue;
    w.refused[w.widened.at[n]] = true;
    refused++;
  }
  return refused == 0 ? to : refused == w.widened.n ? k : widened(&w, k);
}
