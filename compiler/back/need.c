/* need: which instructions of a region are needed for what is read of it.
 *
 * Definitions precede uses, so one pass backwards finds them: an instruction is needed if a value or array that it
 * leaves is, and then so is what it reads. */
#include "back/emit.h"
#include "ir/beyond.h"

static void need_region(Need *n, const Region *r);

static void need_acc(Need *n, const Acc *a) {
  const Contribution *side[] = {&a->body, &a->seed};
  for (int s = 0; s < 2; s++) {
    n->val[side[s]->log_w] = n->val[side[s]->x] = true;
    if (side[s]->at) need_region(n, side[s]->at);
  }
  for (uint32_t x = 0; x < a->naxis; x++) n->val[a->axes[x].lo] = n->val[a->axes[x].hi] = true;
  if (a->naxis) n->array[a->result_at->id] = true;
}

static void need_loop(Need *n, const Loop *l) {
  n->val[l->lo] = n->val[l->hi] = n->val[l->mask] = n->val[l->seed_mask] = true;
  for (uint32_t a = 0; a < l->accs.n; a++) need_acc(n, l->accs.at[a]);
  need_region(n, l->body);
  if (l->seed) need_region(n, l->seed);
}

static void need_array(Need *n, const Array *a) {
  n->array[a->id] = true;
  for (uint32_t d = 0; d < a->rank; d++) n->val[a->dims[d]] = true;
}

void need_instr(Need *n, const Instr *i) {
  for (uint32_t a = 0; a < i->narg; a++) n->val[i->arg[a]] = true;
  if (i->op == IR_LOOP) need_loop(n, i->loop);
  else if (i->array) need_array(n, i->array);
}

static void need_region(Need *n, const Region *r) {
  for (uint32_t at = 0; at < r->code.n; at++) need_instr(n, ir_at(n->k, r->code.at[at]));
}

static bool yields_needed(const Need *n, const Loop *l) {
  for (uint32_t a = 0; a < l->accs.n; a++) {
    const Acc *acc = l->accs.at[a];
    if (n->val[acc->result] || (acc->naxis && n->array[acc->result_at->id])) return true;
  }
  return false;
}

static bool is_needed(const Need *n, Val v) {
  const Instr *i = ir_at(n->k, v);
  if (i->op == IR_LOOP) return yields_needed(n, i->loop);
  if (i->op == IR_ARRAY) return n->array[i->array->id];
  return n->val[v];
}

bool *need_slice(Emit *e, Need *n, const Region *r) {
  bool *pick = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  for (uint32_t at = r->code.n; at-- > 0;) {
    n->val[0] = false;
    if (!is_needed(n, r->code.at[at])) continue;
    pick[r->code.at[at]] = true;
    need_instr(n, ir_at(e->k, r->code.at[at]));
  }
  return pick;
}

/* What the mask depends on, and checks that are not about elements inside it. */
bool *need_before_mask(Emit *e, const Region *r, Val mask) {
  Need n = {e->k, NEW_ARRAY(e->arena, bool, e->k->instrs.n), NEW_ARRAY(e->arena, bool, e->k->arrays.n)};
  bool *pick = NEW_ARRAY(e->arena, bool, e->k->instrs.n);
  n.val[mask] = true;
  for (uint32_t at = r->code.n; at-- > 0;) {
    Val c = r->code.at[at];
    n.val[0] = false; /* "no value" is marked as any other: results that nobody reads have it */
    if (!is_needed(&n, c) && !ir_checked_beyond(e->k, ir_at(e->k, c), mask)) continue;
    pick[c] = true;
    need_instr(&n, ir_at(e->k, c));
  }
  return pick;
}
