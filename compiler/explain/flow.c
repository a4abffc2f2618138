/* flow: which outputs an accumulator feeds, and which values are used in deeper loops than they are computed in. */
#include "explain/facts.h"
#include "ir/walk.h"

/* ---- streams --------------------------------------------------------------------------------------------------- */

typedef VEC(Val) ValVec;

typedef struct Flowing {
  Facts *f;
  ValVec stores;
  bool *seen;                                        /* by Val */
  VEC(const Loop *) loops;                           /* whose accumulators are reached */
} Flowing;

static void note_store(void *ctx, Val v) {
  Flowing *r = ctx;
  if (ir_at(r->f->k, v)->op == IR_STORE) vec_push(r->f->arena, &r->stores, v);
}

static void reach(Flowing *r, Val v);

static void reach_region(Flowing *r, const Region *at) {
  for (; at; at = at->parent) {
    if (!at->loop) continue;
    reach(r, at->loop->lo);
    reach(r, at->loop->hi);
  }
}

static void reach_stores(Flowing *r, const Array *a) {
  for (uint32_t i = 0; i < r->stores.n; i++) {
    const Instr *s = ir_at(r->f->k, r->stores.at[i]);
    if (s->array != a) continue;
    for (uint32_t n = 0; n < s->narg; n++) reach(r, s->arg[n]);
    reach_region(r, s->home);
  }
}

static void reach_acc(Flowing *r, const Loop *l, const Acc *a) {
  vec_push(r->f->arena, &r->loops, l);
  Val from[] = {l->lo, l->hi, l->mask, l->seed_mask, a->body.log_w, a->body.x, a->seed.log_w, a->seed.x};
  for (uint32_t i = 0; i < sizeof from / sizeof *from; i++) reach(r, from[i]);
}

static void reach(Flowing *r, Val v) {
  if (!v || r->seen[v]) return;
  r->seen[v] = true;
  const Facts *f = r->f;
  const Instr *i = ir_at(f->k, v);
  for (uint32_t n = 0; n < i->narg; n++) reach(r, i->arg[n]);
  if (i->op == IR_RESULT && f->acc_of[v]) reach_acc(r, i->loop, f->acc_of[v]);
  if (i->op != IR_LOAD) return;
  if (i->array->kind == ARRAY_LOCAL && f->acc_at[i->array->id])
    reach_acc(r, f->loop_at[i->array->id], f->acc_at[i->array->id]);
  if (i->array->kind == ARRAY_TEMP) reach_stores(r, i->array);
}

static const Loop *stream_around(const Facts *f, const Region *r) {
  for (; r; r = r->parent)
    if (r->loop && r->loop->kind == LOOP_REDUCE && loop_edge(f, r->loop)) return r->loop;
  return NULL;
}

static Poly runs_of(Facts *f, const Region *r) {
  Poly n = poly_constant(&f->polys, 1);
  for (; r; r = r->parent) {
    if (!r->loop || r != r->loop->body) continue;
    Poly trips = loop_trips(f, r->loop);
    n = poly_mul(&f->polys, &n, &trips);
  }
  return n;
}

static void note_stream(void *ctx, Val v) {
  Facts *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || !loop_edge(f, i->loop)) return;
  const Loop *l = i->loop;
  Stream s = {.loop = l, .edge = loop_edge(f, l), .under = loops_text(f, i->home), .outer = stream_around(f, i->home)};
  s.trips = loop_trips(f, l);
  s.runs = runs_of(f, i->home);
  s.feeds = NEW_ARRAY(f->arena, bool, f->m->outs.n);
  s.carries = NEW_ARRAY(f->arena, const char *, l->accs.n);
  for (uint32_t n = 0; n < l->accs.n; n++) s.carries[n] = acc_text(f, l, l->accs.at[n]);
  vec_push(f->arena, &f->streams, s);
}

void find_streams(Facts *f) {
  walk_code(f->k, f->k->top, note_stream, f);
  Flowing r = {.f = f};
  walk_code(f->k, f->k->top, note_store, &r);
  for (uint32_t i = 0; i < f->k->arrays.n; i++) {
    const Array *a = f->k->arrays.at[i];
    if (a->kind != ARRAY_OUT) continue;
    r.seen = NEW_ARRAY(f->arena, bool, f->k->instrs.n);
    r.loops.n = 0;
    reach_stores(&r, a);
    for (uint32_t n = 0; n < r.loops.n; n++)
      for (uint32_t s = 0; s < f->streams.n; s++)
        if (f->streams.at[s].loop == r.loops.at[n]) f->streams.at[s].feeds[a->external] = true;
  }
}

/* ---- hoists ---------------------------------------------------------------------------------------------------- */

typedef struct Use { Facts *f; const Region **deepest; /* by Val: of the regions that use it */ const Region *at; } Use;

static bool is_nan(const Facts *f, Val v) {
  return ir_at(f->k, v)->op == IR_CONST && ir_at(f->k, v)->number != ir_at(f->k, v)->number;
}

static bool is_worth_naming(const Facts *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (i->op == IR_RESULT) return i->loop->kind == LOOP_REDUCE;
  if (i->op == IR_FLOORDIV || i->op == IR_MOD) return true;
  if (i->op == IR_SELECT && (is_nan(f, i->arg[1]) || is_nan(f, i->arg[2]))) return false; /* a guard, not a value */
  if (i->type != IR_REAL && i->type != IR_WIDE) return false;
  return i->op != IR_CONST && i->op != IR_LOAD && i->op != IR_SIZE && i->op != IR_INDEX;
}

static uint32_t loops_above(const Region *r) {
  uint32_t n = 0;
  for (; r; r = r->parent) n += r->loop && r == r->loop->body;
  return n;
}

static void note_operand(void *ctx, Val operand) {
  Use *u = ctx;
  if (!u->deepest[operand] || loops_above(u->at) > loops_above(u->deepest[operand])) u->deepest[operand] = u->at;
}

/* What a loop reads is used in its body: bounds aside, which matter little. */
static void note_uses(void *ctx, Val v) {
  Use *u = ctx;
  const Instr *i = ir_at(u->f->k, v);
  u->at = i->op == IR_LOOP ? i->loop->body : i->home;
  walk_operands(u->f->k, v, note_operand, u);
}

static Val behind_conversions(const Kernel *k, Val v) {
  while (ir_at(k, v)->op == IR_CONVERT) v = ir_at(k, v)->arg[0];
  return v;
}

static const char *placed(const Facts *f, const Region *r) {
  const char *loops = loops_text(f, r);
  return *loops ? arena_printf(f->arena, "once for every %s", loops) : "once";
}

static bool is_named(const Facts *f, const char *what) {
  for (uint32_t i = 0; i < f->hoists.n; i++)
    if (!strcmp(f->hoists.at[i].what, what)) return true;
  return false;
}

/* A negation of what is listed says nothing new. */
static bool is_old_news(const Facts *f, Val v) {
  const Instr *i = ir_at(f->k, v);
  if (i->op == IR_NEG && is_named(f, value_text(f, behind_conversions(f->k, i->arg[0])))) return true;
  return is_named(f, value_text(f, v));
}

static void note_hoist(void *ctx, Val v) {
  Use *u = ctx;
  Facts *f = u->f;
  const Instr *i = ir_at(f->k, v);
  if (i->op == IR_LOOP || !u->deepest[v]) return;
  Val source = behind_conversions(f->k, v);
  if (!is_worth_naming(f, source) || loops_above(u->deepest[v]) <= loops_above(i->home)) return;
  if (is_old_news(f, source)) return;
  vec_push(f->arena, &f->hoists,
           (Hoist){value_text(f, source), placed(f, i->home), loops_text(f, u->deepest[v]),
                   ir_at(f->k, source)->op == IR_RESULT});
}

static void note_results(void *ctx, Val v) {
  const Use *u = ctx;
  const Instr *i = ir_at(u->f->k, v);
  if (i->op != IR_LOOP) return;
  for (uint32_t n = 0; n < i->loop->accs.n; n++)
    if (i->loop->accs.at[n]->result) note_hoist(ctx, i->loop->accs.at[n]->result);
}

void find_hoists(Facts *f) {
  Use u = {f, NEW_ARRAY(f->arena, const Region *, f->k->instrs.n), NULL};
  walk_code(f->k, f->k->top, note_uses, &u);
  walk_code(f->k, f->k->top, note_hoist, &u);
  walk_code(f->k, f->k->top, note_results, &u);
}
