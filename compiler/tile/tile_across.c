/* tile_across: sums over the rows of a tile, for each of its columns.
 *
 *     par j { reduce k { s(j, k) } acc { m = max s ; z = mass s } ; store M[j], m ; store Z[j], z }
 *     par k { reduce j { .. s(k, j), M[j], Z[j] .. } acc { .. } }            # rows k, columns j
 *
 * The second loop computes s of all pairs too; where a block of rows holds them all, the sums over k of a block of
 * columns can be taken there, before anything that reads them, and the first loop need not run.  Iterations of parallel
 * loops may run in any order and at any time between what they read being there and their results being read; so that
 * holds if
 *
 *   - both loops stand in one region, in loops over the same ranges, and run over each other's ranges;
 *   - s is the same expression of j and k, and of the indices of the loops around;
 *   - the second loop reads M and Z in its stream alone, at the column and at the same indices of the loops around;
 *   - nothing that stands between them reads M or Z, and nothing from the first to the end of the second writes
 *     what s reads.
 *
 * Requires the streams to be planned.  Ensures: TileStream.across is NULL or tells of the first loop; results that the
 * stream reads are operands of columns which TileStream.col does not list: they are known late. */
#include <math.h>

#include "ir/build.h"
#include "ir/items.h"
#include "ir/solve.h"
#include "ir/walk.h"
#include "tile/tile.h"

typedef struct Finder {
  Arena *arena;
  const Kernel *k;
  TileRows *rows;
  TileStream *s;
  const Loop *nest[TILE_NEST]; /* from the region of both loops to the rows */
  uint32_t depth;
} Finder;

/* ---- the same expression ----------------------------------------------------------------------------- */

/* to: by Val, what is known to be the same as a value inside `body`. */
typedef struct Match { const Kernel *k; const Region *body; Val *to; } Match;

static bool same(Match *m, Val a, Val b);

static const Acc *acc_of(const Loop *l, Val result) {
  for (uint32_t n = 0; n < l->accs.n; n++)
    if (l->accs.at[n]->result == result) return l->accs.at[n];
  return NULL;
}

/* Loops may have other accumulators beside. */
static bool same_result(Match *m, Val a, Val b) {
  const Loop *x = ir_at(m->k, a)->loop, *y = ir_at(m->k, b)->loop;
  const Acc *p = acc_of(x, a), *q = acc_of(y, b);
  if (!p || !q || x->kind != LOOP_REDUCE || p->kind != q->kind || p->type != q->type || p->naxis || q->naxis)
    return false;
  if (x->mask || y->mask || x->seed || y->seed || !same(m, x->lo, y->lo) || !same(m, x->hi, y->hi)) return false;
  if (m->to[x->index] && m->to[x->index] != y->index) return false;
  m->to[x->index] = y->index;
  bool both = same(m, p->body.log_w, q->body.log_w) && same(m, p->body.x, q->body.x);
  if (!both) m->to[x->index] = 0;
  return both;
}

static bool same(Match *m, Val a, Val b) {
  if (!a || !b || m->to[a]) return a && b ? m->to[a] == b : a == b;
  const Instr *x = ir_at(m->k, a), *y = ir_at(m->k, b);
  if (!region_contains(m->body, x->home)) return a == b;
  if (x->op != y->op || x->op == IR_INDEX || x->type != y->type || x->narg != y->narg || x->array != y->array)
    return false;
  if (x->array && x->array->kind == ARRAY_LOCAL) return false;
  if (x->op == IR_RESULT && !same_result(m, a, b)) return false;
  for (uint32_t n = 0; n < x->narg; n++)
    if (!same(m, x->arg[n], y->arg[n])) return false;
  m->to[a] = b;
  return true;
}

/* ---- what the code between reads and writes ------------------------------------------------------------ */

static uint32_t place_in(const Finder *f, const Region *r, const Loop *l) {
  uint32_t n = 0;
  while (n < r->code.n && ir_at(f->k, r->code.at[n])->loop != l) n++;
  return n;
}

/* The second loop may read what the first one stores, and nothing else there. */
static bool keeps_order(const Finder *f, const Loop *first) {
  const Region *r = f->nest[0]->body->parent;
  uint32_t at = place_in(f, r, first), end = place_in(f, r, f->nest[0]);
  const Item *items = items_of(items_new(f->arena, f->k), r), *own = &items[at], *second = &items[end];
  if (items_meet(&own->stores, &own->loads)) return false;
  for (uint32_t n = at + 1; n < end; n++)
    if (items_conflict(own, &items[n])) return false;
  return !items_meet(&own->loads, &second->stores) && !items_meet(&own->stores, &second->stores);
}

/* ---- the loop before --------------------------------------------------------------------------------- */

static bool is_effect(const Instr *i) { return i->op == IR_SOLVE || i->op == IR_ARRAY || ir_is_check(i->op); }

/* The one loop in a region that else holds pure operations, and stores where `stores`; NULL: there is more, or none. */
static const Loop *only_loop(const Kernel *k, const Region *r, bool stores) {
  const Loop *only = NULL;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (is_effect(i) || (i->op == IR_LOOP && only) || (i->op == IR_STORE && !stores)) return NULL;
    if (i->op == IR_LOOP) only = i->loop;
  }
  return only;
}

typedef struct Effects { const Kernel *k; bool any; } Effects;

static void note_effect(void *ctx, Val v) {
  Effects *t = ctx;
  const Instr *i = ir_at(t->k, v);
  t->any |= is_effect(i) || i->op == IR_STORE || (i->op == IR_LOOP && i->loop->kind != LOOP_REDUCE);
}

/* Whether it can be computed by lanes: extremes and masses of one log weight, stored at the column. */
static bool is_plain(Finder *f, const Loop *l, const Loop *rows, TileAcross *a) {
  Effects inside = {f->k, false};
  walk_code(f->k, rows->body, note_effect, &inside);
  if (inside.any || rows->kind != LOOP_REDUCE || rows->seed || !rows->accs.n) return false;
  a->mask = rows->mask;
  for (uint32_t n = 0; n < rows->accs.n; n++) {
    const Acc *acc = rows->accs.at[n];
    Val v = acc->kind == ACC_MAX ? acc->body.x : acc->body.log_w;
    if (acc->naxis || acc->type != IR_WIDE || (acc->kind != ACC_MAX && acc->kind != ACC_MASS && acc->kind != ACC_LSE))
      return false;
    if (a->log_w && a->log_w != v) return false;
    a->log_w = v;
  }
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    const Instr *i = ir_at(f->k, l->body->code.at[n]);
    if (i->op != IR_STORE) continue;
    if (i->array->kind != ARRAY_TEMP || i->array->elem != STORE_WIDE || !acc_of(rows, i->arg[0])) return false;
    if (i->narg < 2 || i->arg[i->narg - 1] != l->index) return false;
    for (uint32_t x = 1; x + 1 < i->narg; x++)
      if (region_contains(l->body, ir_at(f->k, i->arg[x])->home)) return false;
    vec_push(f->arena, &a->stores, l->body->code.at[n]);
  }
  return a->stores.n;
}

static bool matches_ranges(const Finder *f, const Loop *first, TileAcross *a, const Loop **rows) {
  const Loop *l = first;
  for (uint32_t n = 0; n + 1 < f->depth; n++) {
    if (!l || l->kind != LOOP_PAR || l->lo != f->nest[n]->lo || l->hi != f->nest[n]->hi) return false;
    a->around[n] = l;
    l = only_loop(f->k, l->body, false);
  }
  if (!l || l->kind != LOOP_PAR || l->lo != f->s->loop->lo || l->hi != f->s->loop->hi) return false;
  a->loop = l;
  *rows = only_loop(f->k, l->body, true);
  return *rows && (*rows)->lo == f->rows->loop->lo && (*rows)->hi == f->rows->loop->hi;
}

/* ---- the stream --------------------------------------------------------------------------------------- */

static bool is_stored(const Finder *f, const TileAcross *a, const Array *array) {
  for (uint32_t n = 0; n < a->stores.n; n++)
    if (ir_at(f->k, a->stores.at[n])->array == array) return true;
  return false;
}

/* Of values of columns alone. */
static bool reads_results(const Finder *f, const TileAcross *a, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (!(f->rows->dep[v] & DEP_COL) || i->op == IR_INDEX) return false;
  if (i->op == IR_RESULT) return true; /* of a loop that nobody looks into */
  if (i->op == IR_LOAD && is_stored(f, a, i->array)) return true;
  for (uint32_t n = 0; n < i->narg; n++)
    if (reads_results(f, a, i->arg[n])) return true;
  return false;
}

/* What reads of the results stand in the rows of the stream: in its body, at the column. */
typedef struct Reads { const Finder *f; const TileAcross *a; Match *m; bool apart; } Reads;

static void note_read(void *ctx, Val v) {
  Reads *r = ctx;
  const Instr *i = ir_at(r->f->k, v);
  if (i->op != IR_LOAD || !is_stored(r->f, r->a, i->array)) return;
  const Instr *store = NULL;
  for (uint32_t n = 0; n < r->a->stores.n; n++)
    if (ir_at(r->f->k, r->a->stores.at[n])->array == i->array) store = ir_at(r->f->k, r->a->stores.at[n]);
  r->apart |= i->home != r->f->s->loop->body;
  for (uint32_t n = 0; n < i->narg; n++) r->apart |= !same(r->m, store->arg[n + 1], i->arg[n]);
}

static void keep_column(Finder *f, TileAcross *a, ValVec *to, Val v) {
  const Instr *i = ir_at(f->k, v);
  if ((f->rows->dep[v] & DEP_BOTH) != DEP_COL || v == f->s->loop->index) return;
  bool late = i->op == IR_LOAD && is_stored(f, a, i->array);
  ValVec *list = late ? &a->late : to;
  for (uint32_t n = 0; n < list->n; n++)
    if (list->at[n] == v) return;
  if (late || !reads_results(f, a, v)) vec_push(f->arena, list, v);
  else
    for (uint32_t n = 0; n < i->narg; n++) keep_column(f, a, to, i->arg[n]);
}

/* Values of columns that are made of results are computed for pairs, from these. */
static bool split_columns(Finder *f, TileAcross *a) {
  TileStream *s = f->s;
  ValVec early = {0};
  for (uint32_t k = 0; k < s->features.n; k++)
    for (uint32_t n = 0; n < s->features.at[k].col.n; n++)
      if (reads_results(f, a, s->features.at[k].col.at[n])) return false;
  for (uint32_t n = 0; n < s->accs.n; n++)
    if (s->accs.at[n].panel && reads_results(f, a, s->accs.at[n].panel)) return false;
  for (uint32_t n = 0; n < s->col.n; n++) {
    if (ir_at(f->k, s->col.at[n])->op == IR_RESULT) vec_push(f->arena, &early, s->col.at[n]);
    else keep_column(f, a, &early, s->col.at[n]);
  }
  s->col = early;
  return true;
}

static bool reaches(const Finder *f, bool *seen, Val from, Val to) {
  if (!from || seen[from] || !f->rows->dep[from]) return false;
  seen[from] = true;
  if (from == to) return true;
  for (uint32_t n = 0; n < ir_at(f->k, from)->narg; n++)
    if (reaches(f, seen, ir_at(f->k, from)->arg[n], to)) return true;
  return false;
}

static bool is_read(const Finder *f, Val v) {
  bool *seen = NEW_ARRAY(f->arena, bool, f->k->instrs.n), any = false;
  for (uint32_t n = 0; n < f->s->weights.n; n++) any |= reaches(f, seen, f->s->weights.at[n].body, v);
  for (uint32_t n = 0; n < f->s->accs.n; n++) {
    const TileAcc *a = &f->s->accs.at[n];
    any |= reaches(f, seen, a->use == USE_CONTRACT ? a->factor : a->acc->body.x, v);
  }
  return any;
}

static bool lists(const ValVec *list, Val v) {
  for (uint32_t n = 0; n < list->n; n++)
    if (list->at[n] == v) return true;
  return false;
}

/* A value of pairs that tiles have; of those of i - j the ones that are operands. */
static bool is_on_tiles(const Finder *f, Match *m, Val first, Val v) {
  uint8_t d = f->rows->dep[v];
  if (!v || (d & DEP_BOTH) != DEP_BOTH || (d & DEP_DIAGONAL && !lists(&f->s->diagonal, v))) return false;
  return same(m, first, v) && is_read(f, v);
}

/* That value among those of pairs, of which a loop inside may leave some; 0: it is not there. */
static Val value_in(const Finder *f, Match *m, Val first) {
  const Region *body = f->s->loop->body;
  for (uint32_t n = body->code.n; n-- > 0;) {
    const Instr *i = ir_at(f->k, body->code.at[n]);
    if (i->op != IR_LOOP && is_on_tiles(f, m, first, body->code.at[n])) return body->code.at[n];
    for (uint32_t a = 0; i->op == IR_LOOP && a < i->loop->accs.n; a++)
      if (is_on_tiles(f, m, first, i->loop->accs.at[a]->result)) return i->loop->accs.at[a]->result;
  }
  return 0;
}

/* Whether a value is what the first loop left of an accumulator of that kind. */
static bool is_result(const Finder *f, const TileAcross *a, Val v, AccKind kind) {
  const Instr *i = ir_at(f->k, v);
  for (uint32_t n = 0; i->op == IR_LOAD && n < a->stores.n; n++) {
    const Instr *store = ir_at(f->k, a->stores.at[n]);
    if (store->array == i->array) return acc_of(ir_at(f->k, store->arg[0])->loop, store->arg[0])->kind == kind;
  }
  return false;
}

/* e^(s - M - Z), or e^(s - log of the sum). */
static bool is_share(const Finder *f, const TileAcross *a, Val v) {
  const Instr *exp = ir_at(f->k, v), *less = exp->op == IR_EXP ? ir_at(f->k, exp->arg[0]) : exp;
  if (exp->op != IR_EXP || less->op != IR_SUB) return false;
  if (is_result(f, a, less->arg[1], ACC_LSE)) return less->arg[0] == a->log_w;
  const Instr *first = ir_at(f->k, less->arg[0]);
  return is_result(f, a, less->arg[1], ACC_MASS) && first->op == IR_SUB && first->arg[0] == a->log_w &&
         is_result(f, a, first->arg[1], ACC_MAX);
}

static bool implies(const Finder *f, Val c, Val mask) {
  const Instr *i = ir_at(f->k, c);
  return c == mask || (i->op == IR_AND && (implies(f, i->arg[0], mask) || implies(f, i->arg[1], mask)));
}

/* Whether a value matters for pairs of the mask alone: it is chosen under conditions that include it. */
static bool is_guarded(const Finder *f, const TileAcross *a, Val v) {
  const Region *body = f->s->loop->body;
  for (uint32_t n = 0; a->mask && n < body->code.n; n++) {
    const Instr *i = ir_at(f->k, body->code.at[n]);
    for (uint32_t k = 0; k < i->narg; k++)
      if (i->arg[k] == v && (i->op != IR_SELECT || k != 1 || !implies(f, i->arg[0], a->mask))) return false;
  }
  for (uint32_t n = 0; n < f->s->accs.n; n++) {
    const TileAcc *t = &f->s->accs.at[n];
    if (a->mask && (t->factor == v || t->acc->body.x == v || t->acc->body.log_w == v)) return false;
  }
  return true;
}

/* ---- what is the share, or 0 where that is 0 ------------------------------------------------------------ */

/* Where columns have a sum that is a number: whether a condition holds for all pairs, but for some whose share is 0. */
static bool holds_or_is_none(const Finder *f, const TileAcross *a, Val c) {
  const Instr *i = ir_at(f->k, c);
  const Loop *rows = f->rows->loop;
  if (c == a->mask) return true;
  if (i->op == IR_AND) return holds_or_is_none(f, a, i->arg[0]) && holds_or_is_none(f, a, i->arg[1]);
  if (i->narg == 2 && i->arg[0] == rows->index)
    return (i->op == IR_GE && i->arg[1] == rows->lo) || (i->op == IR_LT && i->arg[1] == rows->hi);
  if (i->narg != 2 || i->arg[0] != a->log_w) return false;
  return (i->op == IR_LT && ir_is_number(f->k, i->arg[1], INFINITY)) ||
         (i->op == IR_GT && ir_is_number(f->k, i->arg[1], -INFINITY));
}

/* c ? share : 0, or the log of the sum if that is no number. */
static bool is_choice(const Finder *f, const TileAcross *a, Val v, Val share) {
  const Instr *i = ir_at(f->k, v), *c = i->op == IR_SELECT ? ir_at(f->k, i->arg[0]) : NULL;
  if (!c) return false;
  if (i->arg[1] == share)
    return ir_is_number(f->k, i->arg[2], 0) && holds_or_is_none(f, a, i->arg[0]) &&
           (!a->mask || implies(f, i->arg[0], a->mask));
  Val sum = i->arg[1];
  if (i->arg[2] != share || c->op != IR_NE || c->arg[0] != sum || c->arg[1] != sum) return false;
  return is_result(f, a, sum, ACC_MASS) || is_result(f, a, sum, ACC_LSE);
}

/* The share, or what in the end is made of it alone: the farther that is, the less is left to do for a pair. */
static Val share_in(const Finder *f, const TileAcross *a) {
  const Region *body = f->s->loop->body;
  Val share = 0, best = 0;
  bool chosen = false;
  for (uint32_t n = 0; n < body->code.n; n++) {
    Val v = body->code.at[n];
    if (!share && !is_share(f, a, v)) continue;
    if (share && !is_choice(f, a, v, share)) continue;
    chosen |= share != 0; /* pairs that the mask leaves out have 0 */
    share = v;
    if (chosen || is_guarded(f, a, v)) best = v;
  }
  return best;
}

static bool is_across(Finder *f, const Loop *first, TileAcross *a) {
  const Loop *rows = NULL;
  if (!matches_ranges(f, first, a, &rows) || !is_plain(f, a->loop, rows, a) || !keeps_order(f, first)) return false;
  Match m = {f->k, first->body, NEW_ARRAY(f->arena, Val, f->k->instrs.n)};
  for (uint32_t n = 0; n + 1 < f->depth; n++) m.to[a->around[n]->index] = f->nest[n]->index;
  m.to[a->loop->index] = f->s->loop->index;
  m.to[rows->index] = f->rows->loop->index;
  a->depth = f->depth;
  Val log_w = a->log_w, mask = a->mask;
  a->log_w = value_in(f, &m, log_w);
  a->mask = mask ? value_in(f, &m, mask) : 0;
  if (!a->log_w || (mask && !a->mask)) return false;
  a->share = share_in(f, a);
  Reads reads = {f, a, &m, false};
  walk_code(f->k, f->nest[0]->body, note_read, &reads);
  return !reads.apart;
}

/* ---- who reads the results ------------------------------------------------------------------------------ */

/* Does a value of pairs read any of them other than through the share? */
static bool reads_beside_share(const Finder *f, const TileAcross *a) {
  for (uint32_t k = 0; k < a->late.n; k++) {
    bool *seen = NEW_ARRAY(f->arena, bool, f->k->instrs.n), any = false;
    seen[a->share] = true;
    for (uint32_t n = 0; n < f->s->weights.n; n++) any |= reaches(f, seen, f->s->weights.at[n].body, a->late.at[k]);
    for (uint32_t n = 0; n < f->s->accs.n; n++) {
      any |= reaches(f, seen, f->s->accs.at[n].factor, a->late.at[k]);
      any |= reaches(f, seen, f->s->accs.at[n].acc->body.x, a->late.at[k]);
    }
    for (uint32_t n = 0; n < f->s->exceptions.n; n++) any |= reaches(f, seen, f->s->exceptions.at[n], a->late.at[k]);
    for (uint32_t n = 0; n < f->s->checks.n; n++) any |= reaches(f, seen, f->s->checks.at[n], a->late.at[k]);
    if (any) return true;
  }
  return false;
}

typedef struct Outside { const Finder *f; const TileAcross *a; bool any; } Outside;

static void note_outside(void *ctx, Val v) {
  Outside *o = ctx;
  const Instr *i = ir_at(o->f->k, v);
  if (i->op == IR_LOAD && i->home != o->f->s->loop->body) o->any |= is_stored(o->f, o->a, i->array);
  for (uint32_t n = 0; i->op == IR_SOLVE && n < ir_solve_arrays(i); n++)
    o->any |= is_stored(o->f, o->a, i->solve->array[n]);
}

/* The scalar code of the rows is rare: it has the loop over columns run before. */
static bool is_asked(const Finder *f, const TileAcross *a) {
  if (!a->share || reads_beside_share(f, a)) return true;
  Outside o = {f, a, false};
  walk_code(f->k, f->k->top, note_outside, &o);
  return o.any;
}

/* ---- where to look -------------------------------------------------------------------------------------- */

/* The loops around the rows up to a region that one thread runs; false where they are not such. */
static bool find_nest(Finder *f) {
  const Loop *l = f->rows->loop, *found[TILE_NEST];
  uint32_t n = 0;
  for (; l && l->kind == LOOP_PAR; l = l->body->parent->loop) {
    if (n == TILE_NEST || !ir_follows_from_sizes(f->k, l->lo) || !ir_follows_from_sizes(f->k, l->hi)) return false;
    if (n && only_loop(f->k, l->body, false) != found[n - 1]) return false;
    found[n++] = l;
  }
  for (; l; l = l->body->parent->loop)
    if (l->kind != LOOP_SEQ) return false;
  f->depth = n;
  for (uint32_t i = 0; i < n; i++) f->nest[i] = found[n - 1 - i];
  return true;
}

/* A loop that does another's columns itself must run. */
static bool does_columns(const TilePlan *p, const Loop *l) {
  for (uint32_t n = 0; n < p->rows.n; n++) {
    const TileRows *rows = p->rows.at[n];
    if (rows->loop == l && rows->streams.n == 1 && rows->streams.at[0]->across) return true;
  }
  return false;
}

enum { ACROSS_STRIP = 4 };

/* What few rows keep of the pairs of a block fits in a first cache, if rows do not begin at the same place of a page.
 * Of few rows, strips of few leave the fewest places empty. */
static void set_block(TileShape *s) {
  if (s->rows > ACROSS_STRIP) s->rows = ACROSS_STRIP;
  s->row_block = s->row_block / s->rows * s->rows;
  s->col_block = TILE_ACROSS_COLUMNS;
  s->pair_line = TILE_ACROSS_COLUMNS + s->lanes;
}

static void find_in(TilePlan *p, Arena *arena, TileRows *rows) {
  if (rows->streams.n != 1 || rows->tiled != 1) return;
  Finder f = {.arena = arena, .k = p->k, .rows = rows, .s = rows->streams.at[0]};
  const Loop *columns = f.s->loop;
  if (columns->mask || columns->seed || !ir_follows_from_sizes(p->k, columns->lo) ||
      !ir_follows_from_sizes(p->k, columns->hi))
    return;
  if (!f.s->features.n || !find_nest(&f)) return;
  const Region *r = f.nest[0]->body->parent;
  for (uint32_t n = place_in(&f, r, f.nest[0]); n-- > 0;) {
    const Loop *l = ir_at(p->k, r->code.at[n])->op == IR_LOOP ? ir_at(p->k, r->code.at[n])->loop : NULL;
    TileAcross *a = NEW(arena, TileAcross);
    if (!l || l->kind != LOOP_PAR || tile_across_of(p, l) || !is_across(&f, l, a)) continue;
    if (does_columns(p, a->loop) || !split_columns(&f, a)) continue;
    a->asked = is_asked(&f, a);
    f.s->across = a;
    set_block(&f.s->shape);
    rows->around = NULL;
    return;
  }
}

void tile_across(Arena *arena, TilePlan *p) {
  for (uint32_t n = 0; n < p->rows.n; n++) find_in(p, arena, p->rows.at[n]);
}

const TileRows *tile_across_of(const TilePlan *p, const Loop *l) {
  for (uint32_t n = 0; n < p->rows.n; n++) {
    const TileRows *rows = p->rows.at[n];
    const TileAcross *a = rows->streams.n == 1 ? rows->streams.at[0]->across : NULL;
    if (a && (a->depth > 1 ? a->around[0] : a->loop) == l) return rows;
  }
  return NULL;
}
