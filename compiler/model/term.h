/* term: making, walking and rewriting scalar terms.
 *
 * Constructors fold constants of int terms and simple identities (x + 0, x * 1, if true) so that sizes and
 * bounds stay readable; real arithmetic is never reordered or folded beyond literals, but for the square
 * of a root of what is proved >= 0.  All results live in the arena given. */
#ifndef ATTN_MODEL_TERM_H
#define ATTN_MODEL_TERM_H

#include <stdio.h>

#include "model/model.h"

Term *term_int(Arena *a, int64_t value, Span span);
Term *term_real(Arena *a, double value, Span span);
Term *term_bool(Arena *a, bool value, Span span);
Term *term_none(Arena *a, Span span);
Term *term_size(Arena *a, Size *s, Span span);
Term *term_index(Arena *a, Index *i, Span span);
/* Types follow op.def; arguments must already agree. */
Term *term_op1(Arena *a, OpKind op, Term *x, Span span);
Term *term_op2(Arena *a, OpKind op, Term *x, Term *y, Span span);
Term *term_op(Arena *a, OpKind op, ScalarType type, const TermVec *args, Span span);
Term *term_if(Arena *a, Term *cond, Term *then, Term *otherwise, Span span);
/* An element of `what`, the Input, Let, Edge or Latent that `kind` says. */
Term *term_ref(Arena *a, TermKind kind, void *what, const TermVec *indices, Span span);
/* A query; fill in `copies` and call term_finish again where it has some. */
Term *term_query(Arena *a, QueryKind query, ScalarType type, const TermVec *args, Span span);
/* Computes the kept fields (mentions, depth, size, nonnegative) from the parts. */
Term *term_finish(Term *t);
/* The rule of nonneg.c for t, from the flags of its parts. */
bool term_is_nonnegative(const Term *t);
Term *term_reduce(Arena *a, ReduceKind kind, Index *index, Term *body, Span span);
/* int or bool to real; a real is returned as it is. */
Term *term_to_real(Arena *a, Term *t);

const char *op_name(OpKind op);
/* Number of arguments, -1 for any; type letter as in op.def. */
int op_arity(OpKind op);
char op_types(OpKind op);
const char *dist_name(Dist d);
int dist_arity(Dist d);

/* Replaces index variables: map[k].from becomes map[k].to.  Shares what does not change; ranges of inner
 * reductions are rewritten too (with a fresh Index where the range changes). */
typedef struct IndexMap { Index *from; Term *to; } IndexMap;
Term *term_substitute(Model *m, Term *t, const IndexMap *map, uint32_t n);

/* Same tree up to spans, with equal indices meaning the same Index object (bound ones pairwise). */
bool term_equal(const Term *a, const Term *b);
/* Is t made by operations and choices of sizes and literals alone, so that it is known before any input is read? */
bool term_is_of_sizes(const Term *t);
bool range_is_of_sizes(const Range *r); /* are both bounds? */
/* Does t mention: */
bool term_mentions_edge(const Term *t, const Edge *e /* NULL: any */);
bool term_mentions_latent(const Term *t, const Latent *z /* NULL: any */);
bool term_mentions_index(const Term *t, const Index *i);
bool term_mentions_beside_edges(const Term *t, const Index *i); /* elsewhere than as the place of an edge's copy */
bool range_mentions_index(const Range *r, const Index *i); /* does a bound, or the row? */
bool term_mentions_query(const Term *t);

/* The first subterm of the kind, in the order of writing; NULL: none. */
const Term *term_find(const Term *t, TermKind kind);

/* phi == phi: a bracket with it is the probability that the copy has a value, 1 or 0.  As a number, and the reference
 * in it; NULL: t is something else. */
Term *term_existence(Arena *a, Term *ref);
const Term *term_of_existence(const Term *t);

/* Calls visit on every term of the tree, ranges of reductions and fixed copies included, parents first. */
void term_walk(const Term *t, void (*visit)(const Term *t, void *context), void *context);

/* The value of an int term over sizes alone.  False on overflow, a division by zero, or anything else
 * in the term; sizes[k] belongs to Model.sizes.at[k]. */
bool term_eval_size(const Term *t, const int64_t *sizes, int64_t *value);

/* Model syntax, fully parenthesised where needed. */
void term_print(const Model *m, const Term *t, FILE *to);
char *term_text(const Model *m, Arena *a, const Term *t);
/* For readers: sums over the axis of a vector appear as dot(x, y) or sum(x), and an axis in `axes` (NULL: none) is
 * left off where it stands last in every element that has it.  `term` may print a subterm in its own way, as one
 * that needs no brackets; it returns whether it did. */
typedef struct TermStyle { bool (*term)(void *ctx, const Term *t, FILE *to); void *ctx; } TermStyle;
/* Those of `axes` that can be left off all through t. */
IndexVec term_trailing_axes(Arena *a, const Term *t, const IndexVec *axes);
void term_print_styled(const Model *m, const Term *t, const TermStyle *style, const IndexVec *axes, FILE *to);

const char *query_name(QueryKind q);

/* The whole graph, for `attn dump --after=check`. */
void model_print(const Model *m, FILE *to);

#endif
