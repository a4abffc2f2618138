/* pass_fuse: loops of one region over the same range become one.
 *
 * Reductions join when they have the same bounds, the same mask (as an expression of the loop variable) and both
 * no seed or both a seed with the same mask; parallel loops when they have the same bounds.  In either case
 * the later loop, with whatever it needs that stands between, moves up to the earlier one.  That is allowed if
 *   - nothing that moves uses, directly or through other values, a result of the earlier loop or of those
 *     already joined to it;
 *   - nothing that moves conflicts with anything it passes or joins: neither stores an array that the
 *     other loads or stores.
 * Iterations and their effects stay the same ones; only which check fails first may change.
 *
 * A parallel loop of one iteration is what one thread does.  One that takes steps in order is joined to no other; pass_apart
 * makes of several one loop with an iteration for each of them: messages go forwards along a single chain on one thread,
 * backwards on another.
 *
 * A round joins one group a region; rounds go on until none is found, so loops inside merged bodies are
 * joined by later rounds.  Every round but the last removes a loop. */
#include "ir/pass.h"
#include "ir/rebuild.h"
#include "ir/walk.h"
#include "ir/solve.h"

typedef VEC(uint32_t) List;

/* One instruction of a region, with everything inside it if it is a loop. */
typedef struct Item {
  List uses;          /* places in the same region, all before this one */
  List loads, stores; /* Array.id, of temporaries and outputs */
} Item;

typedef enum { STAYS, MOVES_UP, MEMBER } Fate;

typedef struct Fuse {
  const Kernel *k;
  Arena *arena;
  uint32_t *place;       /* by Val: where in its home's code it (for a result: its loop) stands */
  uint32_t *declared_at; /* by Array.id: place of the declaration in Array.home */
  uint32_t *made_at;     /* by Array.id: place of the loop that makes a local array, there too */
  const Region *region;  /* whose items are collected */
  Item *item;
  bool apart;  /* side by side, not one after another */
  bool merged; /* in this round */
} Fuse;

/* ---- places ------------------------------------------------------------------------------------ */

static void place_results(Fuse *f, const Loop *l, uint32_t at) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->naxis) f->made_at[a->result_at->id] = at;
    else f->place[a->result] = at;
  }
}

static void place_code(Fuse *f, const Region *r);

static void place_loop(Fuse *f, const Loop *l, uint32_t at) {
  place_results(f, l, at);
  place_code(f, l->body);
  place_code(f, l->seed);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    place_code(f, l->accs.at[n]->body.at);
    place_code(f, l->accs.at[n]->seed.at);
  }
}

static void place_code(Fuse *f, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(f->k, r->code.at[n]);
    f->place[r->code.at[n]] = n;
    if (i->op == IR_ARRAY) f->declared_at[i->array->id] = f->made_at[i->array->id] = n;
    if (i->op == IR_LOOP) place_loop(f, i->loop, n);
  }
}

/* ---- what an instruction of a region uses ------------------------------------------------------- */

static void use_value(void *ctx, Val v) {
  Fuse *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (i->home == f->region && i->op != IR_INDEX) vec_push(f->arena, &f->item->uses, f->place[v]);
}

static void use_array(Fuse *f, const Instr *i) {
  const Array *a = i->array;
  if (i->op == IR_ARRAY || a->kind == ARRAY_IN) return;
  if (a->kind == ARRAY_LOCAL) {
    if (a->home == f->region) vec_push(f->arena, &f->item->uses, f->made_at[a->id]);
    return;
  }
  vec_push(f->arena, i->op == IR_STORE ? &f->item->stores : &f->item->loads, a->id);
}

/* The declaration of what is read or written, and of the local arrays that a loop makes. */
static void use_declaration(Fuse *f, const Array *a) {
  if (a->home == f->region) vec_push(f->arena, &f->item->uses, f->declared_at[a->id]);
}

static void use_solve(Fuse *f, const Instr *i) {
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    vec_push(f->arena, ir_solve_writes(i, n) ? &f->item->stores : &f->item->loads, a->id);
    use_declaration(f, a);
  }
  use_declaration(f, i->solve->work);
}

static void use_instr(void *ctx, Val v) {
  Fuse *f = ctx;
  const Instr *i = ir_at(f->k, v);
  walk_operands(f->k, v, use_value, f);
  if (i->array) use_array(f, i);
  if (i->array && i->op != IR_ARRAY) use_declaration(f, i->array);
  if (i->op == IR_SOLVE) use_solve(f, i);
}

static void collect_item(Fuse *f, Val v, Item *to) {
  const Instr *i = ir_at(f->k, v);
  f->item = to;
  use_instr(f, v);
  if (i->op != IR_LOOP) return;
  walk_code(f->k, i->loop->body, use_instr, f);
  walk_code(f->k, i->loop->seed, use_instr, f);
  for (uint32_t n = 0; n < i->loop->accs.n; n++) {
    walk_code(f->k, i->loop->accs.at[n]->body.at, use_instr, f);
    walk_code(f->k, i->loop->accs.at[n]->seed.at, use_instr, f);
  }
}

static Item *collect(Fuse *f, const Region *r) {
  Item *items = NEW_ARRAY(f->arena, Item, r->code.n);
  f->region = r;
  for (uint32_t n = 0; n < r->code.n; n++) collect_item(f, r->code.at[n], &items[n]);
  return items;
}

static bool share_array(const List *x, const List *y) {
  for (uint32_t i = 0; i < x->n; i++)
    for (uint32_t j = 0; j < y->n; j++)
      if (x->at[i] == y->at[j]) return true;
  return false;
}

static bool conflict(const Item *x, const Item *y) {
  return share_array(&x->stores, &y->loads) || share_array(&x->stores, &y->stores) || share_array(&x->loads, &y->stores);
}

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
static bool is_single(const Fuse *f, const Loop *l) { return l->kind == LOOP_PAR && is_constant(f, l->lo, 0) && is_constant(f, l->hi, 1); }

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
  if (f->apart || (is_single(f, x) && is_single(f, y) && (has_steps(f, x->body) || has_steps(f, y->body)))) return f->apart && steps;
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

static bool can_pass(const Item *items, const Fate *fate, const bool *need, uint32_t first, uint32_t c) {
  for (uint32_t n = first + 1; n <= c; n++)
    for (uint32_t p = first; need[n] && p < n; p++)
      if (!need[p] && fate[p] != MOVES_UP && conflict(&items[n], &items[p])) return false;
  return true;
}

static bool join(const Fuse *f, const Item *items, Fate *fate, uint32_t first, uint32_t c) {
  if (depends(f, items, fate, first, c)) return false;
  bool *need = needed(f, items, fate, first, c);
  if (!can_pass(items, fate, need, first, c)) return false;
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
    if (other && alike(f, l, other)) joined += join(f, items, fate, first, c);
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
    Item *items = collect(f, r);
    for (first = 0; first < r->code.n && !gather(f, r, items, fate, first);) first++;
  }
  f->merged |= first < r->code.n;
  emit(b, r, fate, first);
}

static Kernel *fuse_round(Arena *arena, const Kernel *k, bool apart, bool *merged) {
  Fuse f = {.k = k, .apart = apart, .arena = arena, .place = NEW_ARRAY(arena, uint32_t, k->instrs.n)};
  f.declared_at = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  f.made_at = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  place_code(&f, k->top);
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
