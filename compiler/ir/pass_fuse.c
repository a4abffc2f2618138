/* pass_fuse: loops of one region over the same range become one.
 *
 * Reductions join when they have the same bounds, the same mask (as an expression of the loop variable) and both
 * no seed or both a seed with the same mask; parallel loops when they have the same bounds.  In either case
 * the later loop, with whatever it needs that stands between, moves up to the earlier one.  That is allowed if
 *   - nothing that moves uses, directly or through other values, a result of the earlier loop or of those
 *     already joined to it;
 *   - nothing that moves conflicts with anything it passes or joins: neither stores an array that the
 *     other loads or stores.  Parallel loops may, where an iteration meets what the same iteration of the other stores
 * and nothing else, and one of them calls routines that are all the work there is: what the others have for their
 * plates they need not share among threads. Iterations and their effects stay the same ones; only which check fails
 * first may change.
 *
 * A parallel loop of one iteration is what one thread does.  One that takes steps in order is joined to no other;
 * pass_apart makes of several one loop with an iteration for each of them: messages go forwards along a single chain on
 * one thread, backwards on another.
 *
 * A round joins one group a region; rounds go on until none is found, so loops inside merged bodies are
 * joined by later rounds.  Every round but the last removes a loop. */
#include "ir/items.h"
#include "ir/pass.h"
#include "ir/rebuild.h"
#include "ir/solve.h"
#include "ir/walk.h"

typedef enum { STAYS, MOVES_UP, MEMBER } Fate;

typedef struct Fuse {
  const Kernel *k;
  Arena *arena;
  Items *items;
  bool apart;  /* side by side, not one after another */
  bool merged; /* in this round */
} Fuse;

/* ---- equal masks ------------------------------------------------------------------------------- */

/* Compares an expression of one loop's region with one of another's, the loop variables taken as the same.
 * `fuel` bounds the work on expressions that share parts; without fuel they count as different. */
typedef struct Twins { const Kernel *k; const Loop *x, *y; uint32_t fuel; } Twins;

static bool inside(const Loop *l, const Region *r) { return r == l->body || r == l->seed; }

static bool twin(Twins *t, Val x, Val y, uint32_t depth) {
  if (x == y || (x == t->x->index && y == t->y->index)) return true;
  if (!x || !y || !t->fuel || !depth) return false;
  t->fuel--;
  const Instr *p = ir_at(t->k, x), *q = ir_at(t->k, y);
  if (!inside(t->x, p->home) || !inside(t->y, q->home)) return false;
  bool same = p->op == q->op && p->type == q->type && p->narg == q->narg && p->array == q->array;
  if (!same || p->op == IR_RESULT || p->op == IR_INDEX || p->op == IR_CONST) return false;
  for (uint32_t n = 0; n < p->narg; n++)
    if (!twin(t, p->arg[n], q->arg[n], depth - 1)) return false;
  return true;
}

static bool is_constant(const Fuse *f, Val v, int64_t is) {
  const Instr *i = ir_at(f->k, v);
  return i->op == IR_CONST && i->integer == is;
}

/* A parallel loop of one iteration: what one thread does. */
static bool is_single(const Fuse *f, const Loop *l) {
  return l->kind == LOOP_PAR && is_constant(f, l->lo, 0) && is_constant(f, l->hi, 1);
}

static bool has_steps(const Fuse *f, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(f->k, r->code.at[n]);
    if (i->op == IR_LOOP && i->loop->kind == LOOP_SEQ) return true;
  }
  return false;
}

static bool alike(const Fuse *f, const Loop *x, const Loop *y) {
  enum { FUEL = 4096, DEPTH = 64 };
  bool steps = is_single(f, x) && is_single(f, y) && has_steps(f, x->body) && has_steps(f, y->body);
  if (f->apart || (is_single(f, x) && is_single(f, y) && (has_steps(f, x->body) || has_steps(f, y->body))))
    return f->apart && steps;
  if (x->kind != y->kind || x->lo != y->lo || x->hi != y->hi || x->kind == LOOP_SEQ) return false;
  if (!x->seed != !y->seed) return false;
  Twins t = {f->k, x, y, FUEL};
  return twin(&t, x->mask, y->mask, DEPTH) && twin(&t, x->seed_mask, y->seed_mask, DEPTH);
}

/* ---- groups ------------------------------------------------------------------------------------ */

static const Loop *loop_at(const Fuse *f, const Region *r, uint32_t n) {
  const Instr *i = ir_at(f->k, r->code.at[n]);
  return i->op == IR_LOOP ? i->loop : NULL;
}

/* Whether item c depends on the group that starts at `first`, through anything between. */
static bool depends(const Fuse *f, const Item *items, const Fate *fate, uint32_t first, uint32_t c) {
  bool *tainted = NEW_ARRAY(f->arena, bool, c + 1);
  tainted[first] = true;
  for (uint32_t n = first + 1; n <= c; n++) {
    tainted[n] = fate[n] == MEMBER;
    for (uint32_t u = 0; u < items[n].uses.n; u++) tainted[n] |= tainted[items[n].uses.at[u]];
  }
  return tainted[c];
}

/* What must move up with c: all it needs that stands between and does not move already. */
static bool *needed(const Fuse *f, const Item *items, const Fate *fate, uint32_t first, uint32_t c) {
  bool *need = NEW_ARRAY(f->arena, bool, c + 1);
  need[c] = true;
  for (uint32_t n = c; n > first; n--)
    for (uint32_t u = 0; need[n] && u < items[n].uses.n; u++) {
      uint32_t at = items[n].uses.at[u];
      if (at > first && fate[at] == STAYS) need[at] = true;
    }
  return need;
}

/* ---- the same iterations ------------------------------------------------------------------------ */

/* What a parallel loop does with arrays that it shares with another. */
typedef struct Steps { const Kernel *k; const Loop *l; const ItemList *shared; bool own, solves, reduces; } Steps;

static bool is_shared(const Steps *s, const Array *a) {
  for (uint32_t n = 0; n < s->shared->n; n++)
    if (s->shared->at[n] == a->id) return true;
  return false;
}

static void note_part(Steps *s, const Instr *i, const Array *a, uint32_t first) {
  if (is_shared(s, a)) s->own &= first < i->narg && i->arg[first] == s->l->index;
}

static void note_access(void *ctx, Val v) {
  Steps *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if (i->op == IR_LOAD) note_part(s, i, i->array, 0);
  if (i->op == IR_STORE) note_part(s, i, i->array, 1);
  if (i->op == IR_LOOP) s->reduces |= i->loop->kind != LOOP_PAR;
  if (i->op != IR_SOLVE) return;
  s->solves = true;
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    uint32_t leading = a->rank - ir_family_array(i->solve->family, n).rank;
    note_part(s, i, a, leading ? i->solve->nat - leading : i->narg);
  }
}

static Steps steps_of(const Fuse *f, const Loop *l, const ItemList *shared) {
  Steps s = {.k = f->k, .l = l, .shared = shared, .own = true};
  walk_code(f->k, l->body, note_access, &s);
  return s;
}

/* x and y conflict; x is or will be joined to y. */
static bool in_step(const Fuse *f, const Region *r, const Item *items, uint32_t x, uint32_t y) {
  const Loop *a = loop_at(f, r, x), *b = loop_at(f, r, y);
  if (!a || !b || a->kind != LOOP_PAR || b->kind != LOOP_PAR) return false;
  ItemList both = {0};
  for (uint32_t n = 0; n < items[x].stores.n; n++) vec_push(f->arena, &both, items[x].stores.at[n]);
  for (uint32_t n = 0; n < items[y].stores.n; n++) vec_push(f->arena, &both, items[y].stores.at[n]);
  Steps p = steps_of(f, a, &both), q = steps_of(f, b, &both);
  return p.own && q.own && (p.solves || q.solves) && !p.reduces && !q.reduces;
}

static bool can_pass(const Fuse *f, const Region *r, const Item *items, const Fate *fate, const bool *need,
                     uint32_t first, uint32_t c) {
  for (uint32_t n = first + 1; n <= c; n++)
    for (uint32_t p = first; need[n] && p < n; p++) {
      if (need[p] || fate[p] == MOVES_UP || !items_conflict(&items[n], &items[p])) continue;
      bool joins = n == c && (p == first || fate[p] == MEMBER);
      if (!joins || !in_step(f, r, items, n, p)) return false;
    }
  return true;
}

static bool join(const Fuse *f, const Region *r, const Item *items, Fate *fate, uint32_t first, uint32_t c) {
  if (depends(f, items, fate, first, c)) return false;
  bool *need = needed(f, items, fate, first, c);
  if (!can_pass(f, r, items, fate, need, first, c)) return false;
  for (uint32_t n = first + 1; n < c; n++)
    if (need[n]) fate[n] = MOVES_UP;
  fate[c] = MEMBER;
  return true;
}

/* Joins to the loop at `first` all that can; how many did. */
static uint32_t gather(const Fuse *f, const Region *r, const Item *items, Fate *fate, uint32_t first) {
  const Loop *l = loop_at(f, r, first);
  uint32_t joined = 0;
  for (uint32_t c = first + 1; l && c < r->code.n; c++) {
    const Loop *other = fate[c] == STAYS ? loop_at(f, r, c) : NULL;
    if (other && alike(f, l, other)) joined += join(f, r, items, fate, first, c);
  }
  return joined;
}

static bool has_alike(const Fuse *f, const Region *r) {
  for (uint32_t a = 0; a < r->code.n; a++)
    for (uint32_t b = a + 1; loop_at(f, r, a) && b < r->code.n; b++)
      if (loop_at(f, r, b) && alike(f, loop_at(f, r, a), loop_at(f, r, b))) return true;
  return false;
}

/* ---- rewriting --------------------------------------------------------------------------------- */

static void emit_group(Rebuild *b, const Region *r, const Fate *fate, uint32_t first) {
  Fuse *f = b->ctx;
  VEC(const Loop *) members = {0};
  vec_push(f->arena, &members, loop_at(f, r, first));
  for (uint32_t n = first + 1; n < r->code.n; n++) {
    if (fate[n] == MOVES_UP) rebuild_instr(b, r->code.at[n]);
    if (fate[n] == MEMBER) vec_push(f->arena, &members, loop_at(f, r, n));
  }
  (f->apart ? rebuild_apart : rebuild_merged)(b, members.n, members.at);
}

static void emit(Rebuild *b, const Region *r, const Fate *fate, uint32_t first) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    if (n == first) emit_group(b, r, fate, first);
    else if (fate[n] == STAYS) rebuild_instr(b, r->code.at[n]);
  }
}

static void fuse_code(Rebuild *b, const Region *r) {
  Fuse *f = b->ctx;
  uint32_t first = r->code.n;
  Fate *fate = NEW_ARRAY(f->arena, Fate, r->code.n);
  if (has_alike(f, r)) {
    Item *items = items_of(f->items, r);
    for (first = 0; first < r->code.n && !gather(f, r, items, fate, first);) first++;
  }
  f->merged |= first < r->code.n;
  emit(b, r, fate, first);
}

static Kernel *fuse_round(Arena *arena, const Kernel *k, bool apart, bool *merged) {
  Fuse f = {.k = k, .apart = apart, .arena = arena, .items = items_new(arena, k)};
  Rebuild r;
  rebuild_init(&r, arena, k);
  r.ctx = &f;
  r.code = fuse_code;
  Kernel *to = rebuild_run(&r);
  *merged = f.merged;
  return to;
}

static Kernel *fuse_all(Arena *arena, const Kernel *k, bool apart) {
  bool merged = true;
  Kernel *at = (Kernel *)k;
  while (merged) at = fuse_round(arena, at, apart, &merged);
  return at;
}

Kernel *pass_fuse(Arena *arena, const Kernel *k) { return fuse_all(arena, k, false); }
Kernel *pass_apart(Arena *arena, const Kernel *k) { return fuse_all(arena, k, true); }
