/* piece: where a chain falls apart, what the weights, or all prior lines, of a copy's component add up to.
 *
 * The prior of a copy is its share of the total of priors, which is less than one where earlier values leave later ones
 * no support; what is asked of some copies is a matter of their components' log Z alone.  Forward, what the rows were
 * divided by is added up from where messages start afresh; backward, the sum at a component's last step is handed to
 * the steps before it.  Components are numbered on the way. */
#include "infer/arith.h"
#include "infer/chain.h"

typedef struct Pieces {
  Ring ring;
  Array *forward, *moved, *reached, *number, *total; /* number: NULL for all but priors */
} Pieces;

static Val load_row(Context *x, Array *a, Copy copy, Val row) { return build_load(B(x), a, chain_place(x, copy, row)); }

static void store_row(Context *x, Array *a, Copy copy, Val row, Val v) {
  build_store(B(x), a, v, chain_place(x, copy, row));
}

static Val row_before(const Step *s) { return build_2(B(&s->own), IR_SUB, s->row, build_int(B(&s->own), 1)); }

/* Of the component whose last row it is. */
static Val total_at(Context *x, const Pieces *p, Copy copy, Val row) {
  Val rest = sum_of_messages(x, p->forward, copy, row, p->ring);
  return build_2(B(x), IR_ADD, load_row(x, p->reached, copy, row), rest);
}

static void reach_step(Step *s, const Pieces *p) {
  Context *x = &s->own;
  Val before = load_row(x, p->reached, s->copy, row_before(s)), own = load_row(x, p->moved, s->copy, s->row);
  if (p->ring == RING_PRIOR) own = build_2(B(x), IR_ADD, own, prior_constant(s));
  before = build_select(B(x), s->joined, before, wide(x, 0));
  store_row(x, p->reached, s->copy, s->row, build_2(B(x), IR_ADD, before, own));
  if (!p->number) return;
  Val number = load_row(x, p->number, s->copy, row_before(s));
  number = build_2(B(x), IR_ADD, number, build_select(B(x), s->joined, wide(x, 0), wide(x, 1)));
  store_row(x, p->number, s->copy, s->row, number);
}

static void hand_back(Step *s, const Pieces *p) {
  Context *x = &s->own;
  Val same = load_row(x, p->total, s->copy, s->row), other = total_at(x, p, s->copy, row_before(s));
  store_row(x, p->total, s->copy, row_before(s), build_select(B(x), s->joined, same, other));
}

typedef void (*PieceStep)(Step *s, const Pieces *p);

static void along(Context *x, Copy copy, const Pieces *p, bool backward, PieceStep fn) {
  Builder *b = B(x);
  const Component *c = copy.c;
  Index *step = c->plates.at[c->chain->step];
  Bounds r = step_range(x, c);
  Loop *l = open_loop(x, LOOP_SEQ, step->span, build_int(b, 0), step_count(x, c));
  Val from = backward ? build_2(b, IR_SUB, r.hi, build_int(b, 1)) : r.lo;
  Val at = build_2(b, backward ? IR_SUB : IR_ADD, from, l->index);
  Context y = with_index(x, step, at, r.lo, r.hi, false);
  copy.at[c->chain->step] = at;
  Step s = step_of(&y, copy, p->ring);
  fn(&s, p);
  build_close(b, l);
}

static ChainTables *with_pieces(Derive *d, Component *c, Ring ring) {
  ChainTables *t = tables_of(d, c);
  if (t->piece_total[ring]) return t;
  Builder *b = &d->b;
  bool priors = ring == RING_PRIOR;
  use_of(d, c)->whole |= !priors;
  forward_table(d, c, ring);
  if (priors) with_marginal(d, c, 0);
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  Val rows = table_rows(&x, c, 1);
  if (priors) t->piece = chain_array(d, c, "piece", STORE_WIDE, rows, 0);
  t->piece_total[ring] = chain_array(d, c, "pieces", STORE_WIDE, rows, 0);
  Pieces p = {ring, t->forward[ring], t->moved[ring], chain_array(d, c, "reached", STORE_WIDE, rows, 0),
              priors ? t->piece : NULL, t->piece_total[ring]};
  Nest nest = {0};
  Copy copy = open_chains(&x, c, &nest);
  Val last = step_count(&x, c);
  store_row(&x, p.reached, copy, build_int(b, 0), wide(&x, 0));
  if (priors) store_row(&x, p.number, copy, build_int(b, 0), wide(&x, 0));
  along(&x, copy, &p, false, reach_step);
  store_row(&x, p.total, copy, last, total_at(&x, &p, copy, last));
  along(&x, copy, &p, true, hand_back);
  close_nest(b, &nest);
  b->at = back;
  return t;
}

static Val row_of(Context *x, Copy copy) { return build_2(B(x), IR_ADD, row_of_step(x, copy), build_int(B(x), 1)); }

Val piece_prior(Context *x, Copy copy) {
  return load_row(x, with_pieces(x->d, copy.c, RING_PRIOR)->piece_total[RING_PRIOR], copy, row_of(x, copy));
}

Val piece_log_sum(Context *x, Copy copy) {
  return load_row(x, with_pieces(x->d, copy.c, RING_SUM)->piece_total[RING_SUM], copy, row_of(x, copy));
}

Val in_one_piece(Context *x, Copy a, Copy b) {
  Array *piece = with_pieces(x->d, a.c, RING_PRIOR)->piece;
  return build_2(B(x), IR_EQ, load_row(x, piece, a, row_of(x, a)), load_row(x, piece, b, row_of(x, b)));
}
