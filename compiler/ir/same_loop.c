/* same_loop: equality of loops: the same code up to the numbering of what is inside.
 *
 * Two instructions inside are equal if their operations are and their arguments were found equal before.  Results of
 * inner loops with axes live in arrays of their own: such bodies count as different. */
#include "ir/same_loop.h"

/* anywhere: whatever array is stored into. */
typedef struct Pairing { const Kernel *k; bool anywhere; VEC(Val) x, y; } Pairing;

static void pair(Pairing *p, Val x, Val y) {
  vec_push(p->k->arena, &p->x, x);
  vec_push(p->k->arena, &p->y, y);
}

static bool paired(const Pairing *p, Val x, Val y) {
  if (x == y) return true;
  for (uint32_t i = p->x.n; i-- > 0;)
    if (p->x.at[i] == x) return p->y.at[i] == y;
  return false;
}

static bool same_loop(Pairing *p, const Loop *x, const Loop *y);

static bool same_instr(Pairing *p, Val vx, Val vy) {
  const Instr *x = ir_at(p->k, vx), *y = ir_at(p->k, vy);
  if (x->op != y->op || x->type != y->type || x->integer != y->integer || x->narg != y->narg) return false;
  if (x->array != y->array && !(p->anywhere && x->op == IR_STORE)) return false;
  if (ir_number_bits(x->number) != ir_number_bits(y->number)) return false;
  for (uint32_t i = 0; i < x->narg; i++)
    if (!paired(p, x->arg[i], y->arg[i])) return false;
  if (x->op == IR_LOOP && !same_loop(p, x->loop, y->loop)) return false;
  pair(p, vx, vy);
  return true;
}

static bool same_code(Pairing *p, const Region *x, const Region *y) {
  if (!x != !y) return false;
  if (!x) return true;
  if (x->code.n != y->code.n) return false;
  for (uint32_t i = 0; i < x->code.n; i++)
    if (!same_instr(p, x->code.at[i], y->code.at[i])) return false;
  return true;
}

static bool same_contribution(Pairing *p, const Contribution *x, const Contribution *y, uint32_t naxis) {
  if (!paired(p, x->log_w, y->log_w) || !x->at != !y->at) return false;
  if (x->at)
    for (uint32_t i = 0; i < naxis; i++) pair(p, x->index[i], y->index[i]);
  return same_code(p, x->at, y->at) && paired(p, x->x, y->x);
}

static bool same_acc(Pairing *p, const Acc *x, const Acc *y) {
  if (x->kind != y->kind || x->type != y->type || x->naxis != y->naxis) return false;
  for (uint32_t i = 0; i < x->naxis; i++)
    if (!paired(p, x->axes[i].lo, y->axes[i].lo) || !paired(p, x->axes[i].hi, y->axes[i].hi)) return false;
  if (!same_contribution(p, &x->body, &y->body, x->naxis) || !same_contribution(p, &x->seed, &y->seed, x->naxis))
    return false;
  pair(p, x->result, y->result);
  return true;
}

static bool same_loop(Pairing *p, const Loop *x, const Loop *y) {
  if (x->kind != y->kind || !paired(p, x->lo, y->lo) || !paired(p, x->hi, y->hi) || x->accs.n != y->accs.n)
    return false;
  pair(p, x->index, y->index);
  if (!same_code(p, x->body, y->body) || !same_code(p, x->seed, y->seed)) return false;
  if (!paired(p, x->mask, y->mask) || !paired(p, x->seed_mask, y->seed_mask)) return false;
  for (uint32_t i = 0; i < x->accs.n; i++)
    if (!same_acc(p, x->accs.at[i], y->accs.at[i])) return false;
  return true;
}

bool ir_same_loop(const Kernel *k, const Loop *x, const Loop *y) {
  Pairing p = {.k = k};
  return same_loop(&p, x, y);
}

bool ir_same_stored(const Kernel *k, const Loop *x, const Loop *y) {
  Pairing p = {.k = k, .anywhere = true};
  return same_loop(&p, x, y);
}
