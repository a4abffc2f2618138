/* order: which sums of products may be taken in another order, what that costs, and why others may not.
 *
 * The costs are those by which the compiled kernel chooses when it is called: see ir/pass_reassociate.c. */
#include <math.h>

#include "explain/facts.h"
#include "ir/reassociate.h"

static Poly whole(Facts *f, double v) { return poly_constant(&f->polys, v); }
static Poly plus(Facts *f, Poly a, Poly b) { return poly_add(&f->polys, &a, &b); }
static Poly times(Facts *f, Poly a, Poly b) { return poly_mul(&f->polys, &a, &b); }

/* Numbers that a feature's state holds: the weight, and the means of its values. */
static Poly width(Facts *f, const Reassociation *x, const LogWeight *w) {
  Poly n = whole(f, 1);
  for (uint32_t i = 0; i < x->stream->accs.n; i++) {
    const Acc *a = x->stream->accs.at[i];
    if (a->kind != ACC_EXPECT || a->body.log_w != w->log_w) continue;
    n = plus(f, n, a->naxis ? array_elements(f, a->result_at) : whole(f, 1));
  }
  return n;
}

/* How often the loops around the rows run. */
static Poly copies(Facts *f, const Reassociation *x) {
  Poly n = whole(f, 1);
  for (const Region *r = x->rows->body->parent; r->loop; r = r->parent) n = times(f, n, loop_trips(f, r->loop));
  return n;
}

static Poly chunk(Facts *f, Order *o, Poly pair, Poly state) {
  double length = fmax(REASSOCIATE_CHUNK, floor(poly_value(&f->polys, &state) / poly_value(&f->polys, &pair)));
  const char *s = poly_text(&f->polys, &state), *p = poly_text(&f->polys, &pair);
  o->chunk = arena_printf(f->arena, "max(%d, (%s) // (%s))", REASSOCIATE_CHUNK, s, p);
  return poly_atom(&f->polys, "L", length);
}

static void count_order(Facts *f, const Reassociation *x, Order *o) {
  Poly pair = whole(f, 1), state = whole(f, 1), numbers = whole(f, 0), features = whole(f, 0);
  Poly rows = loop_trips(f, x->rows), columns = loop_trips(f, x->stream), around = copies(f, x);
  for (uint32_t i = 0; i < x->weights.n; i++) {
    const LogWeight *w = &x->weights.at[i];
    if (w->why) continue;
    Poly n = w->features ? loop_trips(f, w->features) : whole(f, 1), all = width(f, x, w);
    pair = plus(f, pair, plus(f, n, all));
    state = plus(f, state, times(f, n, all));
    numbers = plus(f, numbers, times(f, n, all));
    if (w->features) features = plus(f, features, plus(f, n, whole(f, 1)));
  }
  o->direct = times(f, around, times(f, times(f, rows, columns), pair));
  o->reordered = times(f, around, times(f, plus(f, rows, columns), state));
  o->numbers = times(f, around, numbers);
  if (x->bound.support == SUPPORT_ALL) return;
  Poly length = chunk(f, o, pair, state),
       parts = poly_atom(&f->polys, "T", ceil(poly_value(&f->polys, &columns) / poly_value(&f->polys, &length)));
  o->parts = poly_text(&f->polys, &columns);
  o->reordered = plus(f, o->reordered, times(f, around, times(f, times(f, rows, length), pair)));
  o->numbers = times(f, around, plus(f, times(f, parts, numbers), times(f, columns, features)));
}

/* What another edge is summed out inside is a sum, but none that the model writes. */
static bool is_written(const Facts *f, const LogWeight *w) {
  return w->is_near && !(w->features && loop_edge(f, w->features));
}

static void find_refused(Facts *f, const Reassociation *x, Edge *edge) {
  for (uint32_t i = 0; i < x->weights.n; i++) {
    const LogWeight *w = &x->weights.at[i];
    const char *why = w->why ? w->why : x->why;
    if (is_written(f, w) && why) vec_push(f->arena, &f->orders, (Order){.edge = edge, .why = why});
  }
}

void find_orders(Facts *f) {
  Reassociations all = reassociate_find(f->arena, f->k);
  for (uint32_t i = 0; i < all.n; i++) {
    const Reassociation *x = all.at[i];
    Edge *edge = loop_edge(f, x->stream);
    if (!edge) continue;
    Order o = {.edge = edge, .rows = loop_name(f, x->rows), .support = (int)x->bound.support};
    if (!x->why) count_order(f, x, &o);
    if (!x->why) vec_push(f->arena, &f->orders, o);
    find_refused(f, x, edge);
  }
}
