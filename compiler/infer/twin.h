/* twin: a second chain over the same weights and some more, for what an output asks of all copies together.
 *
 * The model that the outputs are derived from gets edges and weights behind its own (Plan.own_edges, own_weights): of
 * a component once more, joined along one plate by a change of measure f, p_f ~ p f.  What f mentions beside, a value
 * that is asked for, is one more plate of the twin: there is one for every value. */
#ifndef ATTN_INFER_TWIN_H
#define ATTN_INFER_TWIN_H

#include "infer/plan.h"
#include "model/term.h"

typedef VEC(IndexMap) IndexMaps;

typedef struct Twin {
  Plan *p;
  Model *m;
  Component *c;
  uint32_t step;     /* which of c's plates f counts along */
  const Term *named; /* a reference in f */
  IndexMaps extra;   /* what f mentions, does not bind, and names no chain by: the plate of its own */
  IndexMaps own;     /* what f names chains by: the chain's plates */
  Edge **edge;       /* by place in c */
  uint32_t first;    /* Weight.id of the first of f's */
} Twin;

/* A copy of the plan's model, in its arena, to which edges and weights are added. */
Model *twin_model(const Plan *p);

/* f, the product of its parts: a bool is required, a real is a potential.  All edges in it are c's, and all that name
 * a chain name the same one.  asked: the place of the question.  False: there is no such twin; nothing is added to m
 * then. */
bool twin_make(Twin *w, Plan *p, Model *m, Component *c, uint32_t step, const TermVec *parts, Span asked);

/* Z(f) / Z: a QUERY_SHARE. */
Term *twin_share(const Twin *w);

/* Does every reference to c in t name a copy of the chain that f is about? */
bool twin_is_of_same_chain(const Twin *w, const Term *t);
/* t with the twin's copies in place of c's. */
Term *twin_of_term(const Twin *w, Term *t);

bool twin_all_edges_in(const Component *c, const Term *t); /* and nothing else that is not known */
/* Do edges decide how many terms a sum in t has? */
bool twin_edges_bound_sums(const Term *t);

#endif
