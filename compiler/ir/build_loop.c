/* build_loop: loops, their accumulators, and where a finished one goes.
 *
 * A reduction moves to the innermost region among the homes of what it reads, unless it holds a check; loops that store
 * stay where they were opened.  A region is appended to only; a loop still open is appended later than everything
 * placed around it meanwhile. */
#include "base/ice.h"
#include "ir/build_parts.h"
#include "ir/same_loop.h"

Loop *build_open(Builder *b, LoopKind kind, Val lo, Val hi) {
  Loop *l = NEW(b->k->arena, Loop);
  *l = (Loop){.kind = kind, .lo = lo, .hi = hi, .span = b->span};
  l->body = build_region(b, b->at, l);
  l->index = build_instr(b, (Instr){.op = IR_INDEX, .type = IR_INT, .loop = l}, l->body);
  b->at = l->body;
  b->writes += kind != LOOP_REDUCE;
  return l;
}

void build_stores(Builder *b, Loop *l, uint32_t n, Array *const *temps) {
  ICE_UNLESS(b->at == l->body && !l->body->code.n);
  l->listed = true;
  for (uint32_t i = 0; i < n; i++) vec_push(b->k->arena, &l->stores, temps[i]);
  for (uint32_t i = 0; i < n; i++) temps[i]->writes++;
  b->writes -= l->kind != LOOP_REDUCE;
}

/* What it may store into may have changed. */
static void leave(Builder *b, const Loop *l) {
  for (uint32_t i = 0; i < l->stores.n; i++) l->stores.at[i]->writes++;
  b->writes += l->kind != LOOP_REDUCE && !l->listed;
}

Region *build_seed(Builder *b, Loop *l) {
  if (!l->seed) l->seed = build_region(b, l->body->parent, l);
  return b->at = l->seed;
}

void build_body(Builder *b, Loop *l) { b->at = l->body; }

Region *build_axes(Builder *b, Loop *l, uint32_t naxis, Val *index) {
  Region *r = build_region(b, b->at, l);
  ICE_UNLESS(l == b->at->loop);
  for (uint32_t i = 0; i < naxis; i++) index[i] = build_instr(b, (Instr){.op = IR_INDEX, .type = IR_INT}, r);
  return b->at = r;
}

void build_leave_axes(Builder *b, Region *at) { b->at = at->parent; }

Acc *build_acc(Builder *b, Loop *l, AccKind kind, IrType type, uint32_t naxis, const Axis *axes) {
  Arena *arena = b->k->arena;
  Acc *a = NEW(arena, Acc);
  *a = (Acc){.kind = kind, .type = type, .naxis = naxis};
  if (!naxis) {
    a->result = build_instr(b, (Instr){.op = IR_RESULT, .type = type, .loop = l}, l->body->parent);
  } else {
    a->axes = NEW_ARRAY(arena, Axis, naxis);
    Val *dims = NEW_ARRAY(arena, Val, naxis);
    for (uint32_t i = 0; i < naxis; i++) {
      a->axes[i] = axes[i];
      dims[i] = build_2(b, IR_SUB, axes[i].hi, axes[i].lo);
    }
    StoreType elem = type == IR_BOOL ? STORE_BOOL : type == IR_INT ? STORE_INT : STORE_WIDE;
    a->result_at = build_new_array(b, ARRAY_LOCAL, arena_printf(arena, "r.%u", b->k->arrays.n), elem, naxis, dims);
  }
  vec_push(arena, &l->accs, a);
  return a;
}

/* What a loop needs from outside: the innermost home, at most as deep as `from`. */
typedef struct Needs { Builder *b; uint32_t from; Region *outer, *deepest; bool check; } Needs;

static void need_region(Needs *n, Region *home) {
  if (home && home->depth <= n->from && home->depth > n->deepest->depth) n->deepest = home;
}

static void need(Needs *n, Val v) {
  if (v) need_region(n, ir_at(n->b->k, v)->home);
}

static void need_loop(Needs *n, const Loop *l);

static void need_code(Needs *n, const Region *r) {
  for (uint32_t c = 0; c < r->code.n; c++) {
    const Instr *i = ir_at(n->b->k, r->code.at[c]);
    if (ir_is_check(i->op)) n->check = true;
    for (uint32_t k = 0; k < i->narg; k++) need(n, i->arg[k]);
    if (i->array) need_region(n, i->array->home);
    if (i->array && i->array->kind == ARRAY_TEMP) need_region(n, build_storing(n->outer, i->array));
    if (i->op == IR_LOOP) need_loop(n, i->loop);
  }
}

static void need_contribution(Needs *n, const Contribution *c) {
  need(n, c->log_w);
  need(n, c->x);
  if (c->at) need_code(n, c->at);
}

static void need_loop(Needs *n, const Loop *l) {
  need(n, l->lo);
  need(n, l->hi);
  need(n, l->mask);
  need(n, l->seed_mask);
  need_code(n, l->body);
  if (l->seed) need_code(n, l->seed);
  for (uint32_t i = 0; i < l->accs.n; i++) {
    const Acc *a = l->accs.at[i];
    need_contribution(n, &a->body);
    need_contribution(n, &a->seed);
    for (uint32_t k = 0; k < a->naxis; k++) {
      need(n, a->axes[k].lo);
      need(n, a->axes[k].hi);
      need(n, a->result_at->dims[k]);
    }
  }
}

static void reparent(Builder *b, Region *r, Region *parent) {
  if (!r) return;
  r->parent = parent;
  r->depth = parent->depth + 1;
  for (uint32_t c = 0; c < r->code.n; c++) {
    const Instr *i = ir_at(b->k, r->code.at[c]);
    if (i->op != IR_LOOP) continue;
    reparent(b, i->loop->body, r);
    reparent(b, i->loop->seed, r);
    for (uint32_t k = 0; k < i->loop->accs.n; k++) {
      Acc *a = i->loop->accs.at[k];
      reparent(b, a->body.at, i->loop->body);
      reparent(b, a->seed.at, i->loop->seed);
    }
  }
}

static void place_loop(Builder *b, Loop *l, Region *target) {
  reparent(b, l->body, target);
  reparent(b, l->seed, target);
  for (uint32_t i = 0; i < l->accs.n; i++) {
    Acc *a = l->accs.at[i];
    reparent(b, a->body.at, l->body);
    reparent(b, a->seed.at, l->seed);
    if (a->result_at) build_declare(b, a->result_at, target);
    else ir_at(b->k, a->result)->home = target;
  }
  build_effect(b, (Instr){.op = IR_LOOP, .loop = l}, target);
}

static Loop *find_equal(Builder *b, const Loop *l, const Region *target) {
  for (uint32_t c = 0; c < target->code.n; c++) {
    const Instr *i = ir_at(b->k, target->code.at[c]);
    if (i->op != IR_LOOP || i->loop->kind != LOOP_REDUCE || i->loop->lo != l->lo || i->loop->hi != l->hi) continue;
    if (ir_same_loop(b->k, i->loop, l)) return i->loop;
  }
  return NULL;
}

Loop *build_close(Builder *b, Loop *l) {
  Region *outer = l->body->parent;
  ICE_UNLESS(b->at == l->body);
  b->at = outer;
  Region *target = outer;
  if (l->kind == LOOP_REDUCE) {
    Needs n = {.b = b, .from = outer->depth, .outer = outer, .deepest = b->k->top};
    need_loop(&n, l);
    if (!n.check) target = n.deepest;
    Loop *equal = n.check ? NULL : find_equal(b, l, target);
    if (equal) return equal;
  }
  place_loop(b, l, target);
  leave(b, l);
  return l;
}
