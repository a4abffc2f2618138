/* items: see items.h. */
#include "ir/items.h"

#include "ir/solve.h"
#include "ir/walk.h"

struct Items {
  const Kernel *k;
  Arena *arena;
  uint32_t *place;       /* by Val: where in its home's code it (for a result: its loop) stands */
  uint32_t *declared_at; /* by Array.id: place of the declaration in Array.home */
  uint32_t *made_at;     /* by Array.id: place of the loop that makes a local array, there too */
  const Region *region;  /* whose items are collected */
  Item *item;
};

/* ---- places ------------------------------------------------------------------------------------ */

static void place_results(Items *f, const Loop *l, uint32_t at) {
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    if (a->naxis) f->made_at[a->result_at->id] = at;
    else f->place[a->result] = at;
  }
}

static void place_code(Items *f, const Region *r);

static void place_loop(Items *f, const Loop *l, uint32_t at) {
  place_results(f, l, at);
  place_code(f, l->body);
  place_code(f, l->seed);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    place_code(f, l->accs.at[n]->body.at);
    place_code(f, l->accs.at[n]->seed.at);
  }
}

static void place_code(Items *f, const Region *r) {
  for (uint32_t n = 0; r && n < r->code.n; n++) {
    const Instr *i = ir_at(f->k, r->code.at[n]);
    f->place[r->code.at[n]] = n;
    if (i->op == IR_ARRAY) f->declared_at[i->array->id] = f->made_at[i->array->id] = n;
    if (i->op == IR_LOOP) place_loop(f, i->loop, n);
  }
}

/* ---- what an instruction of a region uses ------------------------------------------------------- */

static void use_value(void *ctx, Val v) {
  Items *f = ctx;
  const Instr *i = ir_at(f->k, v);
  if (i->home == f->region && i->op != IR_INDEX) vec_push(f->arena, &f->item->uses, f->place[v]);
}

static void use_array(Items *f, const Instr *i) {
  const Array *a = i->array;
  if (i->op == IR_ARRAY || a->kind == ARRAY_IN) return;
  if (a->kind == ARRAY_LOCAL) {
    if (a->home == f->region) vec_push(f->arena, &f->item->uses, f->made_at[a->id]);
    return;
  }
  vec_push(f->arena, i->op == IR_STORE ? &f->item->stores : &f->item->loads, a->id);
}

/* The declaration of what is read or written, and of the local arrays that a loop makes. */
static void use_declaration(Items *f, const Array *a) {
  if (a->home == f->region) vec_push(f->arena, &f->item->uses, f->declared_at[a->id]);
}

static void use_solve(Items *f, const Instr *i) {
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    vec_push(f->arena, ir_solve_writes(i, n) ? &f->item->stores : &f->item->loads, a->id);
    use_declaration(f, a);
  }
  use_declaration(f, i->solve->work);
}

static void use_instr(void *ctx, Val v) {
  Items *f = ctx;
  const Instr *i = ir_at(f->k, v);
  walk_operands(f->k, v, use_value, f);
  if (i->array) use_array(f, i);
  if (i->array && i->op != IR_ARRAY) use_declaration(f, i->array);
  if (i->op == IR_SOLVE) use_solve(f, i);
}

static void collect_item(Items *f, Val v, Item *to) {
  f->item = to;
  walk_whole(f->k, v, use_instr, f);
}

Item *items_of(Items *f, const Region *r) {
  Item *items = NEW_ARRAY(f->arena, Item, r->code.n);
  f->region = r;
  for (uint32_t n = 0; n < r->code.n; n++) collect_item(f, r->code.at[n], &items[n]);
  return items;
}

bool items_meet(const ItemList *x, const ItemList *y) {
  for (uint32_t i = 0; i < x->n; i++)
    for (uint32_t j = 0; j < y->n; j++)
      if (x->at[i] == y->at[j]) return true;
  return false;
}

bool items_conflict(const Item *x, const Item *y) {
  return items_meet(&x->stores, &y->loads) || items_meet(&x->stores, &y->stores) || items_meet(&x->loads, &y->stores);
}

Items *items_new(Arena *arena, const Kernel *k) {
  Items *f = NEW(arena, Items);
  *f = (Items){.k = k, .arena = arena, .place = NEW_ARRAY(arena, uint32_t, k->instrs.n)};
  f->declared_at = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  f->made_at = NEW_ARRAY(arena, uint32_t, k->arrays.n);
  place_code(f, k->top);
  return f;
}
