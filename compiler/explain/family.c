/* family: how sums over structures are done, and what they cost. */
#include "explain/formula.h"

static const char *how(const Edge *e) {
  switch (e->domain) {
  case DOMAIN_TREE:
    return "the sum over all trees is a determinant (matrix-tree theorem); nodes are eliminated one after\n"
           "    another, in log space and without a subtraction, so that scores of any size keep their digits";
  case DOMAIN_PROJECTIVE_TREE:
    return "the sum over all trees goes over spans of nodes, from the shortest to the longest, and back";
  case DOMAIN_PERMUTATION:
    return "the sum over all permutations is a permanent, by dynamic programming over subsets of the targets";
  case DOMAIN_MATCHING:
    return "the sum over all matchings is taken by dynamic programming over subsets of the smaller side";
  case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  return "";
}

/* How many targets, and nodes, arrays have. */
static const char *targets(const Facts *f, const Component *c) {
  const Structure *s = c->structure;
  return s->room.n ? room_text(f, &s->room) : plain_text(f, s->edge->n, NULL);
}

static const char *nodes(const Facts *f, const Component *c) {
  const Structure *s = c->structure;
  return s->rows.n ? room_text(f, &s->rows) : plain_text(f, edge_nodes(s->edge), NULL);
}

static const char *cost(const Facts *f, const Component *c) {
  const Edge *e = c->structure->edge;
  const char *n = targets(f, c);
  switch (e->domain) {
  case DOMAIN_TREE: return arena_printf(f->arena, "1.5 (%s)^3 additions in log space", n);
  case DOMAIN_PROJECTIVE_TREE: return arena_printf(f->arena, "4 (%s)^3 additions in log space", n);
  case DOMAIN_PERMUTATION: return arena_printf(f->arena, "2 %s 2^(%s) multiply-adds", n, n);
  case DOMAIN_MATCHING: {
    const char *m = nodes(f, c);
    return arena_printf(f->arena, "about 2 (%s) (%s) 2^min(%s, %s) multiply-adds", m, n, m, n);
  }
  case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  return "";
}

static bool asks_for_bound(const Model *m) {
  for (uint32_t i = 0; i < m->outs.n; i++) {
    const Term *t = m->outs.at[i]->value;
    if (t->kind == TERM_QUERY && t->query == QUERY_ELBO) return true;
  }
  return false;
}

static const char *approximation(const Facts *f, const Component *c) {
  const char *n = plain_text(f, c->structure->edge->n, NULL), *steps = plain_text(f, c->infer->steps, NULL);
  const char *what =
      c->infer->method == INFER_SINKHORN
          ? "E and P use rows and columns scaled in turn: entries that are independent but for their sums.\n"
            "    These are not the marginals of permutations: of two nodes with scores that differ by D, s(D / 2) in "
            "place of s(D)"
          : "E and P use beliefs, exact where rows and columns met in no circle.\n"
            "    These are not the marginals of permutations: of two nodes all weight goes to the better permutation";
  const char *bound =
      asks_for_bound(f->m) ? arena_printf(f->arena, "    elbo takes the exact sum: %s\n", cost(f, c)) : "";
  return arena_printf(f->arena,
                      "    %s;\n    no log Z, entropy or joint law follows from them.  They cost %s times (%s)^2 "
                      "operations for every copy\n%s",
                      what, steps, n, bound);
}

/* What draws take beside the marginals. */
static const char *draws(const Facts *f, const Component *c) {
  const Edge *e = c->structure->edge;
  if (!c->infer || c->infer->method != INFER_SAMPLE) return "";
  const char *many = plain_text(f, c->infer->n, NULL), *n = targets(f, c);
  if (e->domain == DOMAIN_TREE)
    return arena_printf(f->arena,
                        "    each of %s draws takes 2 (%s)^3 multiply-adds, or, where weights lie too far apart for\n"
                        "    plain numbers, (%s)^4 / 12 additions in log space\n",
                        many, n, n);
  const char *each = e->domain == DOMAIN_PROJECTIVE_TREE ? arena_printf(f->arena, "no more than (%s)^2", n)
                     : e->m ? arena_printf(f->arena, "(%s) (%s)", nodes(f, c), n)
                            : arena_printf(f->arena, "(%s)^2", n);
  return arena_printf(f->arena,
                      "    all %s draws take one more such sum, without the way back; each looks at %s values\n", many,
                      each);
}

/* What joint laws of nodes take beside the marginals. */
static const char *joint(const Facts *f, const Component *c) {
  const char *text = "", *m = nodes(f, c), *n = targets(f, c);
  const char *none = edge_has_none(c->structure->edge) ? " + 1" : "";
  for (uint32_t i = 0; i < c->structure->given.n; i++) {
    const GivenCount *g = &c->structure->given.at[i];
    const char *sets = !g->every       ? ""
                       : g->every == 1 ? arena_printf(f->arena, "%s ", m)
                                       : arena_printf(f->arena, "C(%s, %u) ", m, g->every);
    const char *told = g->every == g->nodes ? "nodes" : g->every ? "nodes, some of them fixed" : "fixed nodes";
    const char *power = g->nodes > 1 ? arena_printf(f->arena, "^%u", g->nodes) : "";
    text = arena_printf(f->arena, "%s    given %u %s: one such sum for every choice of theirs, %s(%s%s)%s\n", text,
                        g->nodes, g->nodes == 1 ? (g->every ? "node" : "fixed node") : told, sets, n, none, power);
  }
  return text;
}

const char *family_text(const Facts *f, const Component *c) {
  const Edge *e = c->structure->edge;
  if (infer_approximates(c->infer)) return approximation(f, c);
  const char *text = "    %s;\n    it costs %s for every copy, and leaves the marginal of every choice\n%s%s";
  return arena_printf(f->arena, text, how(e), cost(f, c), joint(f, c), draws(f, c));
}
