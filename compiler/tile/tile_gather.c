/* tile_gather: rows of several iterations of the loop around them, in one tile.
 *
 * Iterations of nested parallel loops are independent, so those of the outer loop may be exchanged with, and counted
 * beside, those of the inner: `par h { par i { .. } }` is a loop over pairs (h, i), whose rows may stand in blocks in
 * any way.  Rows stand in one tile if they share its columns: if nothing that tiles take from elsewhere than the row
 * changes with h.  Where that changes with h // G alone, it is the same for G iterations in turn, from a multiple of G
 * on.
 *
 * What is computed for a row may change with h, and is computed with the row's own h. */
#include "ir/build.h"
#include "tile/tile.h"

typedef struct Gather {
  const Kernel *k;
  const TileRows *rows;
  const Loop *around;
  bool *varies; /* by Val: changes with the index of `around` within a group */
  bool *array;  /* by Array.id: the same of LOCAL arrays */
  Val share;    /* 0: none so far */
  bool apart;   /* tiles take something that varies */
} Gather;

static bool is_effect(const Instr *i) {
  return i->op == IR_STORE || i->op == IR_SOLVE || i->op == IR_ARRAY || ir_is_check(i->op);
}

/* h // G, G the same throughout. */
static bool is_group(Gather *g, const Instr *i) {
  if (i->op != IR_FLOORDIV || i->arg[0] != g->around->index || !ir_follows_from_sizes(g->k, i->arg[1])) return false;
  if (!g->share) g->share = i->arg[1];
  return g->share == i->arg[1];
}

/* Something that instruction `by` (0: the tile itself) takes from beyond its row. */
static void take(Gather *g, Val v, Val by) {
  const uint8_t *dep = g->rows->dep;
  if (!v || !g->varies[v] || dep[v] & DEP_ROW) return;
  if (!by || (dep[by] & DEP_BOTH) != DEP_ROW) g->apart = true;
}

static bool vary_region(Gather *g, const Region *r, bool in_stream);

static bool vary_contribution(Gather *g, const Contribution *c, bool in_stream) {
  bool any = c->at && vary_region(g, c->at, in_stream);
  if (in_stream) take(g, c->x, 0), take(g, c->log_w, 0);
  return any || g->varies[c->x] || g->varies[c->log_w];
}

static bool vary_loop(Gather *g, const Loop *l, bool in_stream) {
  bool any = g->varies[l->lo] || g->varies[l->hi];
  any |= vary_region(g, l->body, in_stream);
  if (l->seed) any |= vary_region(g, l->seed, false);
  if (in_stream) take(g, l->lo, 0), take(g, l->hi, 0), take(g, l->mask, 0);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    any |= vary_contribution(g, &a->body, in_stream);
    if (l->seed) any |= vary_contribution(g, &a->seed, false);
    for (uint32_t x = 0; x < a->naxis; x++)
      if (in_stream) take(g, a->axes[x].lo, 0), take(g, a->axes[x].hi, 0);
  }
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    g->varies[a->result] = a->result && any;
    if (a->naxis) g->array[a->result_at->id] = any;
  }
  return any;
}

static bool vary_region(Gather *g, const Region *r, bool in_stream) {
  bool any = false;
  for (uint32_t n = 0; n < r->code.n; n++) {
    Val v = r->code.at[n];
    const Instr *i = ir_at(g->k, v);
    bool own = i->op == IR_LOAD && g->array[i->array->id];
    bool stream = in_stream || (r == g->rows->loop->body && i->op == IR_LOOP && i->loop->kind == LOOP_REDUCE);
    for (uint32_t a = 0; a < i->narg; a++) {
      own |= g->varies[i->arg[a]];
      if (in_stream) take(g, i->arg[a], v);
    }
    if (i->op == IR_LOOP) own |= vary_loop(g, i->loop, stream);
    else g->varies[v] = own = own && !is_group(g, i);
    any |= own;
  }
  return any;
}

/* The loop around, where it holds pure operations and the loop over the rows; NULL: there is none. */
static const Loop *loop_around(const Kernel *k, const Loop *rows) {
  const Region *r = rows->body->parent;
  const Loop *l = r ? r->loop : NULL;
  int64_t lo = l ? ir_at(k, l->lo)->integer : -1;
  if (!l || l->kind != LOOP_PAR || l->body != r || ir_at(k, l->lo)->op != IR_CONST || lo != 0) return NULL;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(k, r->code.at[n]);
    if (is_effect(i) || (i->op == IR_LOOP && i->loop != rows)) return NULL;
  }
  bool known =
      ir_follows_from_sizes(k, l->hi) && ir_follows_from_sizes(k, rows->lo) && ir_follows_from_sizes(k, rows->hi);
  return known ? l : NULL;
}

/* A table of values of i - j is one for the block, computed with the first iteration's h. */
static bool diagonals_vary(const Gather *g) {
  for (uint32_t n = 0; n < g->rows->streams.n; n++) {
    const ValVec *v = &g->rows->streams.at[n]->diagonal;
    for (uint32_t d = 0; d < v->n; d++)
      if (g->varies[v->at[d]]) return true;
  }
  return false;
}

void tile_gather(Arena *arena, const Kernel *k, TileRows *rows) {
  Gather g = {.k = k, .rows = rows, .around = loop_around(k, rows->loop)};
  if (!g.around || !rows->tiled) return;
  g.varies = NEW_ARRAY(arena, bool, k->instrs.n);
  g.array = NEW_ARRAY(arena, bool, k->arrays.n);
  g.varies[g.around->index] = true;
  vary_region(&g, g.around->body, false);
  if (g.apart || diagonals_vary(&g)) return;
  rows->around = g.around;
  rows->share = g.share;
}
