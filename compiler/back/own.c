/* own: temporaries of which an iteration of parallel loops writes and reads its part alone, as what is filled for a
 * routine, left by it and read: of each thread one part, which stays in its caches.
 *
 * Such an array belongs to the region of a solve in which everything is that loads or stores of it, at the same leading
 * indices: one for each loop around, all of them parallel.  So no iteration sees what another left, and, since
 * what stands in a parallel loop is one thread's, nor does another thread. */
#include "back/emit.h"
#include "ir/build.h"
#include "ir/solve.h"
#include "ir/walk.h"

/* at: where the array is known to belong, with leading indices; shared: not found so. */
typedef struct Owned { const Region *at; const Val *index; uint32_t leading; bool shared; } Owned;
typedef struct Search { const Kernel *k; Owned *of; } Search;

/* The loops around the region are parallel and those of the indices. */
static bool one_part_each(const Kernel *k, const Region *r, const Val *index, uint32_t leading) {
  uint32_t around = 0;
  for (const Region *at = r; at && at->loop; at = at->parent, around++) {
    bool found = false;
    for (uint32_t n = 0; n < leading; n++) {
      const Instr *i = ir_at(k, index[n]);
      found |= i->op == IR_INDEX && i->loop == at->loop;
    }
    if (!found || at->loop->kind != LOOP_PAR) return false;
  }
  return around == leading && leading;
}

static bool is_at(const Owned *o, const Region *home, const Val *index) {
  for (uint32_t n = 0; n < o->leading; n++)
    if (o->index[n] != index[n]) return false;
  return o->at && region_contains(o->at, home);
}

static void note_solve(void *ctx, Val v) {
  Search *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if (i->op != IR_SOLVE) return;
  for (uint32_t n = 0; n < ir_solve_arrays(i); n++) {
    const Array *a = i->solve->array[n];
    Owned *o = &s->of[a->id], new = {.at = i->home, .leading = a->rank - ir_family_array(i->solve->family, n).rank};
    new.index = i->arg + i->solve->nat - new.leading;
    if (!o->at && one_part_each(s->k, new.at, new.index, new.leading)) *o = new;
    else if (new.leading != o->leading || !is_at(o, new.at, new.index)) o->shared = true;
  }
}

static void note_element(void *ctx, Val v) {
  Search *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if (i->op != IR_LOAD && i->op != IR_STORE) return;
  Owned *o = &s->of[i->array->id];
  o->shared |= !is_at(o, i->home, i->arg + (i->op == IR_STORE));
}

void own_find(Emit *e) {
  Search s = {e->k, NEW_ARRAY(e->arena, Owned, e->k->arrays.n + 1)};
  walk_code(e->k, e->k->top, note_solve, &s);
  walk_code(e->k, e->k->top, note_element, &s);
  e->own = NEW_ARRAY(e->arena, uint32_t, e->k->arrays.n + 1);
  for (uint32_t n = 0; n < e->k->arrays.n; n++) {
    const Array *a = e->k->arrays.at[n];
    if (a->kind == ARRAY_TEMP && s.of[a->id].at && !s.of[a->id].shared) e->own[a->id] = s.of[a->id].leading;
  }
}
