/* network_work: how much the routines of a network need, from the sizes alone.
 *
 * Beside what is linear in the network there are tables: messages, marginals of separators, and one clique
 * (runtime/family/network.c).
 *
 *   any order       the separators have at most values^copies cells in all
 *   a lattice       where the copies of an instance lie constants apart along the plates, the order line by line has
 *                   cliques of at most reach + 1 copies, reach being the greatest distance in that order; the order
 *                   taken has no more cells
 *   named by data   as many as UNKNOWN; what needs more is an error when it runs
 *
 * The limits of runtime/family_network.h bound all of them. */
#include "infer/network_parts.h"
#include "model/dim.h"

static const int64_t MOST = 2 * ((int64_t)1 << 24) + ((int64_t)1 << 22), UNKNOWN = (int64_t)1 << 23;

static Val least(Context *x, Val a, Val b) { return build_2(B(x), IR_MIN, a, b); }

/* n ^ e, at most MOST, by squares; e < 32. */
static Val power(Context *x, Val n, Val e) {
  Builder *b = B(x);
  Val p = net_whole(x, 1), square = least(x, n, net_whole(x, MOST));
  for (uint32_t bit = 0; bit < 5; bit++) {
    Val odd = build_2(b, IR_EQ, build_2(b, IR_MOD, e, net_whole(x, 2)), net_whole(x, 1));
    p = build_select(b, odd, least(x, net_mul(x, p, square), net_whole(x, MOST)), p);
    square = least(x, net_mul(x, square, square), net_whole(x, MOST));
    e = build_2(b, IR_FLOORDIV, e, net_whole(x, 2));
  }
  return p;
}

/* ---- lattices -------------------------------------------------------------------------------------------- */

static bool same_inner_plates(const Network *net) {
  const IndexVec *first = &net->parts.at[0]->plates;
  for (uint32_t i = 1; i < net->parts.n; i++) {
    const IndexVec *other = &net->parts.at[i]->plates;
    if (other->n != first->n) return false;
    for (uint32_t k = net->outer; k < first->n; k++)
      if (other->at[k] != first->at[k]) return false;
  }
  return first->n > net->outer;
}

/* How far two names lie apart when copies are counted with the last plate, or the first, as the one that runs fastest.
 */
static bool distance(Context *x, const Network *net, const Term *a, const Term *b, const Val *size, bool last_fastest,
                     Val *to) {
  uint32_t n = net->parts.at[0]->plates.n - net->outer;
  Val stride = net_whole(x, 1), sum = net_whole(x, 0);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t k = last_fastest ? n - 1 - i : i;
    int64_t d;
    if (!dim_difference(x->d->arena, a->args.at[net->outer + k], b->args.at[net->outer + k], &d)) return false;
    sum = net_add(x, sum, net_mul(x, stride, net_whole(x, d)));
    stride = net_times(x, stride, size[k]);
  }
  *to = build_1(B(x), IR_ABS, sum);
  return true;
}

/* Copies, less one, that an order line by line has in a clique; 0: it is no lattice. */
static Val reach_of_lattice(Context *x, const Network *net, bool last_fastest) {
  if (!same_inner_plates(net)) return 0;
  Component *c = net->parts.at[0];
  Val size[16], reach = net_whole(x, 0);
  for (uint32_t k = net->outer; k < c->plates.n; k++) {
    Bounds r = network_range(x, net, c->plates.at[k]);
    size[k - net->outer] = net_length(x, r.lo, r.hi);
  }
  for (uint32_t i = 0; i < net->groups.n; i++) {
    const TermVec *names = &net->groups.at[i]->names;
    for (uint32_t a = 0; a < names->n; a++)
      for (uint32_t b = 0; b < a; b++) {
        Val d;
        if (!distance(x, net, names->at[a], names->at[b], size, last_fastest, &d)) return 0;
        reach = build_2(B(x), IR_MAX, reach, d);
      }
  }
  Val parts = net_whole(x, net->parts.n);
  return net_add(x, net_times(x, reach, parts), net_sub(x, parts, net_whole(x, 1)));
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static Val table_cells(Context *x, const Network *net, const NetworkLayout *l) {
  Val most = net_whole(x, 2), limit = net_whole(x, MOST);
  for (uint32_t p = 0; p < net->parts.n; p++) most = build_2(B(x), IR_MAX, most, l->values[p]);
  Val copies = least(x, l->vars, net_whole(x, 31));
  Val all = least(x, net_mul(x, power(x, most, copies), net_whole(x, 3)), limit);
  Val line = reach_of_lattice(x, net, true), column = line ? reach_of_lattice(x, net, false) : 0;
  if (!line || !column) return least(x, all, net_whole(x, UNKNOWN));
  Val clique = least(x, net_add(x, least(x, line, column), net_whole(x, 1)), net_whole(x, 31));
  Val lattice = net_times(x, net_mul(x, l->vars, net_whole(x, 2)), power(x, most, clique));
  return least(x, least(x, all, lattice), limit);
}

Val network_work(Context *x, const Network *net, const NetworkLayout *l) {
  Val factors = net_whole(x, 0);
  for (uint32_t k = 0; k < net->groups.n; k++) factors = net_add(x, factors, l->instances[k]);
  Val linear = net_add(x, net_times(x, l->vars, net_whole(x, 81)), net_times(x, factors, net_whole(x, 24)));
  linear = net_add(x, linear, net_add(x, net_times(x, l->all_names, net_whole(x, 6)), l->marginals));
  return net_add(x, net_add(x, linear, table_cells(x, net, l)), net_whole(x, 1000));
}
