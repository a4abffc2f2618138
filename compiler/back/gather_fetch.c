/* gather_fetch: the cache is told of rows that data name, before they are read.
 *
 * Lines that will be summed are asked for when a block begins to be filled, all its elements': into the second cache,
 * which has room for them, and can wait for more of them at once than the first.  So they come while log weights and
 * weights are computed; from there into the first, a vector of elements before they are summed.  What filling itself
 * reads, lines or numbers, is asked for FAR elements before; where blocks are not filled by lanes, AHEAD elements
 * before, summed lines too.  Where the list of positions goes on behind a stream's range, those are the next
 * stream's. */
#include "back/gather_parts.h"

enum {
  AHEAD = 16,
  FAR = 32,
  FETCH_LINES = 8, /* of a row, at most: what lies behind follows by itself */
  FAR_LINES = 16,
  GROUP = 4,       /* lines, without a test */
  LINE = 64
};

/* The element at e->val[loop->index]; inside: its position is in all lists.  kept: the one that is kept at `at`. */
typedef struct Named { Emit *e; const Loop *loop; bool inside; const Gather *kept; V at; } Named;

/* A value that is loaded at the stream's own position: a name of a row. */
static bool is_name(Emit *e, const Loop *l, Val v) {
  const Instr *i = ir_at(e->k, v);
  return i->op == IR_LOAD && i->type == IR_INT && i->narg == 1 && i->arg[0] == l->index;
}

/* Positions behind the list name no row: what they load is 0. */
static V name_of(const Named *n, Val name) {
  Emit *e = n->e;
  const Instr *i = ir_at(e->k, name);
  for (uint32_t k = 0; n->kept && k < n->kept->kept.n; k++)
    if (n->kept->kept.at[k].v == name) return get(e, e->t.i64, slot(e, e->t.i64, n->kept->kept.at[k].at, n->at));
  if (!n->inside) return array_load(e, i);
  V offset = LLVMBuildMul(e->b, e->val[i->arg[0]], e->place[i->array->id].stride[0], "");
  return array_get(e, i->array, array_at(e, i->array, offset));
}

/* `each` lines at a time, from the line `first` on. */
static void fetch_groups(Emit *e, const Instr *load, uint32_t along, V first, V groups, int64_t each, Fetch to) {
  Count c = count_enter(e, const_int(e, 0), groups);
  V from = plus(e, times(e, first, LINE), times(e, c.index, (uint64_t)(each * LINE)));
  for (int64_t n = 0; n < each; n++) array_run_fetch(e, load, along, plus(e, from, const_int(e, n * LINE)), to);
  count_leave(e, &c);
}

/* A run that does not begin with a line has its end in one more. */
static void fetch_run(Emit *e, const Instr *load, uint32_t along, V extent, Fetch to) {
  V bytes = array_run_bytes(e, load->array, extent), most = const_int(e, to == FETCH_SECOND ? FAR_LINES : FETCH_LINES);
  V few = least(e, ceil_div(e, bytes, LINE), most);
  int64_t known = LLVMIsAConstantInt(few) ? LLVMConstIntGetSExtValue(few) : -1;
  for (int64_t n = 0; n < known; n++) array_run_fetch(e, load, along, const_int(e, n * LINE), to);
  if (known < 0) {
    V groups = LLVMBuildUDiv(e->b, few, const_int(e, GROUP), ""), whole = times(e, groups, GROUP);
    fetch_groups(e, load, along, const_int(e, 0), groups, GROUP, to);
    fetch_groups(e, load, along, whole, minus(e, few, whole), 1, to);
  }
  array_run_fetch(e, load, along, minus(e, bytes, const_int(e, 1)), to);
}

/* Of lines in r that are in rows named by data. */
static void fetch_lines(const Named *m, const Region *r, Val index, V lo, V extent, Fetch to) {
  Emit *e = m->e;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(e->k, r->code.at[n]);
    int along = i->op == IR_LOAD ? tile_line_place(e->k, i, index) : -1;
    for (uint32_t a = 0; along >= 0 && a < i->narg; a++) {
      Val name = i->arg[a];
      if (!is_name(e, m->loop, name)) continue;
      V row = e->val[name], at = e->val[index];
      e->val[name] = name_of(m, name);
      e->val[index] = lo;
      fetch_run(e, i, (uint32_t)along, extent, to);
      e->val[name] = row, e->val[index] = at;
      break;
    }
  }
}

/* One number that data name: its line comes along, like those that are summed. */
static void fetch_number(const Named *m, const Instr *i) {
  Emit *e = m->e;
  for (uint32_t a = 0; i->op == IR_LOAD && i->type == IR_REAL && a < i->narg; a++) {
    Val name = i->arg[a];
    if (!is_name(e, m->loop, name)) continue;
    V row = e->val[name];
    e->val[name] = name_of(m, name);
    array_run_fetch(e, i, i->narg - 1, const_int(e, 0), FETCH_FIRST);
    e->val[name] = row;
    return;
  }
}

/* What filling a block reads of it. */
static void fetch_element(const Named *m, Fetch to) {
  Emit *e = m->e;
  for (uint32_t n = 0; n < m->loop->body->code.n; n++) {
    const Instr *i = ir_at(e->k, m->loop->body->code.at[n]);
    fetch_number(m, i);
    if (i->op != IR_LOOP || !tile_sums_line(e->plan, i->loop)) continue;
    V lo = e->val[i->loop->lo];
    fetch_lines(m, i->loop->body, i->loop->index, lo, minus(e, e->val[i->loop->hi], lo), to);
  }
}

/* The stream's position becomes another; until `back`. */
typedef struct Ahead { V here; IndexRange range; } Ahead;

static Ahead look_at(Emit *e, const Loop *l, V at) {
  Ahead back = {e->val[l->index], e->range[l->index]};
  e->val[l->index] = at;
  e->range[l->index] = (IndexRange){l->index, l->index}; /* of no use to prove anything */
  return back;
}

static void look_back(Emit *e, const Loop *l, Ahead back) {
  e->val[l->index] = back.here;
  e->range[l->index] = back.range;
}

void gather_fetch_element(Emit *e, const Reduction *r) {
  const Loop *l = r->loop;
  Ahead back = look_at(e, l, plus(e, e->val[l->index], const_int(e, AHEAD)));
  fetch_element(&(Named){e, l, false, NULL, NULL}, FETCH_FIRST);
  look_back(e, l, back);
}

void gather_fetch_part(Emit *e, const Reduction *r, const Acc *a, V element, V lo, V extent) {
  const Loop *l = r->loop;
  if (r->gather->beside) {
    Named near = {e, l, false, r->gather, plus(e, element, const_int(e, r->gather->beside->n))};
    fetch_lines(&near, a->body.at, a->body.index[0], lo, extent, FETCH_FIRST);
    return;
  }
  V at = plus(e, get(e, e->t.i64, r->gather->from), plus(e, element, const_int(e, AHEAD)));
  Ahead back = look_at(e, l, at);
  fetch_lines(&(Named){e, l, false, NULL, NULL}, a->body.at, a->body.index[0], lo, extent, FETCH_FIRST);
  look_back(e, l, back);
}

/* The end of the shortest list of names. */
static V names_end(Emit *e, const Loop *l) {
  V end = const_int(e, INT64_MAX);
  for (uint32_t n = 0; n < l->body->code.n; n++)
    if (is_name(e, l, l->body->code.at[n]))
      end = least(e, end, e->place[ir_at(e->k, l->body->code.at[n])->array->id].dim[0]);
  return end;
}

void gather_fetch_block(Emit *e, const Reduction *r, V lo, V count) {
  const Loop *l = r->loop;
  V end = names_end(e, l), last = minus(e, end, const_int(e, 1));
  Count c = count_enter(e, greatest(e, lo, const_int(e, 0)), least(e, plus(e, lo, count), end));
  Named m = {e, l, true, NULL, NULL};
  Ahead back = look_at(e, l, c.index);
  for (uint32_t n = 0; n < r->n; n++) {
    if (!has_line(&r->state[n]) || !acc_starts_pass(r, n, false)) continue;
    const Acc *a = r->state[n].acc;
    V first = e->val[a->axes[0].lo], extent = minus(e, e->val[a->axes[0].hi], first);
    fetch_lines(&m, a->body.at, a->body.index[0], first, extent, FETCH_SECOND);
  }
  e->val[l->index] = least(e, plus(e, c.index, const_int(e, FAR)), last);
  fetch_element(&m, FETCH_SECOND);
  look_back(e, l, back);
  count_leave(e, &c);
}

static bool is_known(const Emit *e, const Instr *store) {
  for (uint32_t n = 1; n + 1 < store->narg; n++)
    if (!e->val[store->arg[n]]) return false;
  return true;
}

/* A store that waits for its line holds up all that come after it, and blocks store much. */
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
      fetch_run(e, &place, place.narg - 1, minus(e, e->val[i->loop->hi], e->val[i->loop->lo]), FETCH_STORE);
      e->val[i->loop->index] = index;
    }
  }
}
