/* family: how sums over structures are done, and what they cost. */
#include "explain/formula.h"

static const char *how(const Edge *e) {
  switch (e->domain) {
  case DOMAIN_TREE:
    return "the sum over all trees is a determinant (matrix-tree theorem); nodes are eliminated one after\n"
           "    another, in log space and without a subtraction, so that scores of any size keep their digits";
  case DOMAIN_PROJECTIVE_TREE: case DOMAIN_PERMUTATION: case DOMAIN_MATCHING: case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  return "";
}

static const char *cost(const Facts *f, const Edge *e) {
  const char *n = plain_text(f, e->n, NULL);
  switch (e->domain) {
  case DOMAIN_TREE: return arena_printf(f->arena, "1.5 (%s)^3 additions in log space", n);
  case DOMAIN_PROJECTIVE_TREE: case DOMAIN_PERMUTATION: case DOMAIN_MATCHING: case DOMAIN_RANGE: case DOMAIN_BIT: break;
  }
  return "";
}

const char *family_text(const Facts *f, const Component *c) {
  const Edge *e = c->structure->edge;
  return arena_printf(f->arena, "    %s;\n    it costs %s for every copy, and leaves the marginal of every choice\n", how(e), cost(f, e));
}
