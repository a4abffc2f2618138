/* gather_fetch: the cache is told of rows that data name, AHEAD elements before they are read.
 *
 * Where the list of positions goes on behind a stream's range, those are the next stream's.  Lines that are summed are
 * asked for where lines are summed, one element's for another's: asked for while a block is filled, they would be more
 * than can be under way at once, and while the block is added nothing would be. */
#include "back/gather_parts.h"

enum { AHEAD = 16, FETCH_LINES = 8 };

/* A value that is loaded at the stream's own position: a name of a row. */
static bool is_name(Emit *e, const Loop *l, Val v) {
  const Instr *i = ir_at(e->k, v);
  return i->op == IR_LOAD && i->type == IR_INT && i->narg == 1 && i->arg[0] == l->index;
}

static void fetch_run(Emit *e, const Instr *load, uint32_t along, V extent, bool write) {
  V lines = array_lines(e, load->array, extent);
  V few = op_extreme(e, IR_INT, false, lines, const_int(e, FETCH_LINES));
  Count c = {0};
  int64_t known = LLVMIsAConstantInt(few) ? LLVMConstIntGetSExtValue(few) : -1;
  if (known >= 0) {
    for (int64_t n = 0; n < known; n++) array_run_fetch(e, load, along, const_int(e, n), write);
    return;
  }
  c = count_enter(e, const_int(e, 0), few);
  array_run_fetch(e, load, along, c.index, write);
  count_leave(e, &c);
}

/* Of lines in r that are in rows named by data, for the element at e->val[l->index]. */
static bool fetch_lines(Emit *e, const Loop *l, const Region *r, Val index, V lo, V extent, bool emit) {
  bool any = false;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(e->k, r->code.at[n]);
    int along = i->op == IR_LOAD ? tile_line_place(e->k, i, index) : -1;
    for (uint32_t a = 0; along >= 0 && a < i->narg; a++) {
      Val name = i->arg[a];
      if (!is_name(e, l, name)) continue;
      any = true;
      if (!emit) break;
      V row = e->val[name], at = e->val[index];
      e->val[name] = array_load(e, ir_at(e->k, name));
      e->val[index] = lo;
      fetch_run(e, i, (uint32_t)along, extent, false);
      e->val[name] = row, e->val[index] = at;
      break;
    }
  }
  return any;
}

/* One number that data name: its line comes along, like those that are summed. */
static bool fetch_number(Emit *e, const Loop *l, const Instr *i, bool emit) {
  for (uint32_t a = 0; i->op == IR_LOAD && i->type == IR_REAL && a < i->narg; a++) {
    Val name = i->arg[a];
    if (!is_name(e, l, name)) continue;
    if (!emit) return true;
    V row = e->val[name];
    e->val[name] = array_load(e, ir_at(e->k, name));
    array_run_fetch(e, i, i->narg - 1, const_int(e, 0), false);
    e->val[name] = row;
    return true;
  }
  return false;
}

static bool fetch_element(Emit *e, const Reduction *r, bool emit) {
  const Loop *l = r->loop;
  bool any = false;
  for (uint32_t n = 0; n < l->body->code.n; n++) {
    const Instr *i = ir_at(e->k, l->body->code.at[n]);
    any |= fetch_number(e, l, i, emit);
    if (i->op != IR_LOOP || !tile_sums_line(e->plan, i->loop)) continue;
    V lo = e->val[i->loop->lo], extent = emit ? LLVMBuildSub(e->b, e->val[i->loop->hi], lo, "") : NULL;
    any |= fetch_lines(e, l, i->loop->body, i->loop->index, lo, extent, emit);
  }
  return any;
}

/* The stream's position becomes what lies AHEAD of one; until `back`.  Positions behind the list name no row: what they
 * load is 0. */
typedef struct Ahead { V here; IndexRange range; } Ahead;

static Ahead look_ahead(Emit *e, const Loop *l, V from) {
  Ahead back = {e->val[l->index], e->range[l->index]};
  e->val[l->index] = plus(e, from, const_int(e, AHEAD));
  e->range[l->index] = (IndexRange){l->index, l->index}; /* of no use to prove anything */
  return back;
}

static void look_back(Emit *e, const Loop *l, Ahead back) {
  e->val[l->index] = back.here;
  e->range[l->index] = back.range;
}

/* What is read of an element before its block is full. */
void gather_fetch_element(Emit *e, const Reduction *r) {
  const Loop *l = r->loop;
  if (!fetch_element(e, r, false)) return;
  Ahead back = look_ahead(e, l, e->val[l->index]);
  fetch_element(e, r, true);
  look_back(e, l, back);
}

/* The part of an axis that is summed of a full block: told of where it is read, in step with reading, so that neither
 * waits long.  first: of all that is read of an element. */
void gather_fetch_part(Emit *e, const Reduction *r, const Acc *a, bool all, V element, V lo, V extent) {
  const Loop *l = r->loop;
  Ahead back = look_ahead(e, l, plus(e, get(e, e->t.i64, r->gather->from), element));
  if (all) fetch_element(e, r, true);
  fetch_lines(e, l, a->body.at, a->body.index[0], lo, extent, true);
  look_back(e, l, back);
}

static bool is_known(const Emit *e, const Instr *store) {
  for (uint32_t n = 1; n + 1 < store->narg; n++)
    if (!e->val[store->arg[n]]) return false;
  return true;
}

/* Lines that the same region will store: a store that waits for its line holds up all that come after it, and blocks
 * store much. */
void gather_fetch_results(Emit *e, const Loop *l) {
  const Region *around = l->body->parent;
  for (uint32_t n = 0; n < around->code.n; n++) {
    const Instr *i = ir_at(e->k, around->code.at[n]);
    if (i->op != IR_LOOP || !tile_stores_line(e->plan, i->loop) || !e->val[i->loop->lo] || !e->val[i->loop->hi])
      continue;
    const Region *body = i->loop->body;
    for (uint32_t c = 0; c < body->code.n; c++) {
      const Instr *store = ir_at(e->k, body->code.at[c]);
      if (store->op != IR_STORE || !is_known(e, store)) continue;
      Instr place = array_place(store);
      V index = e->val[i->loop->index];
      e->val[i->loop->index] = e->val[i->loop->lo];
      fetch_run(e, &place, place.narg - 1, LLVMBuildSub(e->b, e->val[i->loop->hi], e->val[i->loop->lo], ""), true);
      e->val[i->loop->index] = index;
    }
  }
}
