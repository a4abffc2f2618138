/* pass_order: of two loops that read what one loop has stored, the parallel one comes first.
 *
 * A reduction that stands in a region which one thread runs reads what a loop before it has stored, and a parallel loop
 * behind it reads that too.  Unless the parallel loop depends on the reduction, the reduction, with all that depends on
 * it, moves behind it: then nothing stands between the loop that stores and the one that most of the work is in, and
 * the two can become one (tile/tile_across.c).
 *
 * Two instructions keep their order if one uses the other's value or either stores into an array that the other loads
 * or stores.  Ensures: the same instructions in the same regions; values and effects are the same ones. */
#include "ir/items.h"
#include "ir/pass.h"
#include "ir/rebuild.h"

typedef struct Order { const Kernel *k; Arena *arena; Items *items; } Order;

static bool is_alone(const Region *r) {
  for (; r->loop; r = r->parent)
    if (r->loop->kind != LOOP_SEQ) return false;
  return true;
}

static bool is_loop(const Order *o, const Region *r, uint32_t at, LoopKind kind) {
  const Instr *i = ir_at(o->k, r->code.at[at]);
  return i->op == IR_LOOP && i->loop->kind == kind;
}

/* Whether item y, which stood behind x, must stay there. */
static bool follows(const Item *items, uint32_t y, uint32_t x) {
  for (uint32_t u = 0; u < items[y].uses.n; u++)
    if (items[y].uses.at[u] == x) return true;
  return items_conflict(&items[y], &items[x]);
}

/* By place in `order`, from `from` on: what depends on the item there. */
static bool *dependents(const Order *o, const Item *items, const uint32_t *order, uint32_t from, uint32_t n) {
  bool *of = NEW_ARRAY(o->arena, bool, n);
  of[from] = true;
  for (uint32_t y = from + 1; y < n; y++)
    for (uint32_t x = from; x < y; x++) of[y] |= of[x] && follows(items, order[y], order[x]);
  return of;
}

/* Whether some parallel loop before both stores what both read. */
static bool share_source(const Order *o, const Region *r, const Item *items, const uint32_t *order, uint32_t x,
                         uint32_t y) {
  for (uint32_t n = 0; n < x; n++) {
    const ItemList *stores = &items[order[n]].stores;
    if (is_loop(o, r, order[n], LOOP_PAR) && items_meet(&items[order[x]].loads, stores) &&
        items_meet(&items[order[y]].loads, stores))
      return true;
  }
  return false;
}

/* The last parallel loop that reads what the item at `from` reads, or what was stored with it, and does not depend on
 * it (of: NULL, or what does); `from`: there is none. */
static uint32_t last_reader(const Order *o, const Region *r, const Item *items, const uint32_t *order, const bool *of,
                            uint32_t from) {
  uint32_t last = from;
  for (uint32_t y = from + 1; y < r->code.n; y++)
    if (!(of && of[y]) && is_loop(o, r, order[y], LOOP_PAR) && share_source(o, r, items, order, from, y)) last = y;
  return last;
}

static void move_behind(const Order *o, uint32_t *order, const bool *of, uint32_t from, uint32_t last) {
  uint32_t *kept = NEW_ARRAY(o->arena, uint32_t, last + 1 - from), n = 0;
  for (int moves = 0; moves < 2; moves++)
    for (uint32_t y = from; y <= last; y++)
      if (of[y] == moves) kept[n++] = order[y];
  for (uint32_t y = 0; y < n; y++) order[from + y] = kept[y];
}

static void order_code(Rebuild *b, const Region *r) {
  const Order *o = b->ctx;
  uint32_t n = r->code.n, *order = NEW_ARRAY(o->arena, uint32_t, n);
  bool some = false;
  for (uint32_t y = 0; y < n; y++) order[y] = y, some |= is_loop(o, r, y, LOOP_REDUCE);
  const Item *items = some && is_alone(r) ? items_of(o->items, r) : NULL;
  for (uint32_t y = n; items && y-- > 0;) {
    if (!is_loop(o, r, order[y], LOOP_REDUCE) || last_reader(o, r, items, order, NULL, y) == y) continue;
    bool *of = dependents(o, items, order, y, n);
    uint32_t last = last_reader(o, r, items, order, of, y);
    if (last > y) move_behind(o, order, of, y, last);
  }
  for (uint32_t y = 0; y < n; y++) rebuild_instr(b, r->code.at[order[y]]);
}

Kernel *pass_order(Arena *arena, const Kernel *k) {
  Order o = {k, arena, items_new(arena, k)};
  Rebuild r;
  rebuild_init(&r, arena, k);
  r.ctx = &o;
  r.code = order_code;
  return rebuild_run(&r);
}
