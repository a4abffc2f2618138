/* expect: what the laws of expectation share; expect.c tells which there are. */
#ifndef ATTN_INFER_EXPECT_H
#define ATTN_INFER_EXPECT_H

#include "infer/context.h"

/* ---- mention.c ------------------------------------------------------------------------------------------------ */

/* A reference whose copy is known by its index values, but not its value. */
typedef struct Mention { Copy copy; Edge *edge; const Term *ref; } Mention;

typedef struct Mentions {
  VEC(Mention) list;  /* one for each edge of each copy */
  bool under_binder;  /* some copies are named by the variable of a sum inside */
  bool reached;       /* some copies are named by the value of an edge not yet known */
  VEC(Component *) reached_in; /* the components of the last two */
} Mentions;

bool args_unbound(Context *x, const Term *t);
bool range_unbound(const Context *x, const Range *r);
/* Does t use an edge that has no value here? */
bool unresolved(Context *x, const Term *t);
bool args_unresolved(Context *x, const Term *t);
/* Does t name copies by indices that have no value here? */
bool names_by_binder(Context *x, const Term *t);
bool range_unresolved(Context *x, const Range *r);
/* Is t known here although what stands around it is not? */
bool is_known_here(Context *x, const Term *t);

/* Index values for looking a copy up; the checks come where it is used. */
Copy silent_copy(Context *x, const Term *ref);
void collect(Context *x, Mentions *m, const Term *t);
Mentions mentions_of(Context *x, const Term *t);

/* The highest node, on the way from the root to the edge, without a value yet. */
const Node *top_unknown(Context *x, const Mention *m);
/* Are they perhaps not independent given what is known? */
bool may_depend(Context *x, const Mention *a, const Mention *b);
bool single_part(Context *x, const Mentions *m);
/* Has an edge of the copy a value?  Then it exists. */
bool is_partly_known(const Context *x, Copy copy);

bool is_logic(const Term *t);
bool left_is_known(Context *x, const Term *t);
/* Does a condition on j in t decide what else is mentioned? */
bool has_choice_by(const Term *t, const Index *j);
/* Is there a sum in t whose index chooses, by a condition, what is mentioned? */
bool sum_chooses(const Term *t);

/* ---- exist.c -------------------------------------------------------------------------------------------------- */

/* bool: every component that t mentions by index values known here has a value with weight; 0: true. */
Val exists_all(Context *x, const Term *t);
/* The same of another property of copies. */
typedef Val (*CopyFn)(Context *x, Copy copy);
Val holds_of_all(Context *x, const Term *t, CopyFn fn);

/* ---- coincide.c ------------------------------------------------------------------------------------------------ */

/* Are these two copies one, or, `of_one`, of one structure, chain or network? */
typedef struct Coincidence { Copy a, b; bool of_one; } Coincidence;

/* What is not yet decided of a and b; false: nothing. */
bool find_question(const Context *x, Copy a, Copy b, Coincidence *found);
bool find_coincidence(Context *x, const Mentions *m, Coincidence *found);
/* fn in both cases, each under its decision and where it holds. */
typedef Val (*CaseFn)(Context *x, const void *arg);
Val either_case(Context *x, const Coincidence *k, CaseFn fn, const void *arg);
Val expect_coincidence(Context *x, const Coincidence *k, const Term *t);

/* ---- product.c -------------------------------------------------------------------------------------------------- */

typedef VEC(const Term *) Factors;

void flatten(Context *x, Factors *f, const Term *t);
/* The product of those factors for which `in` is as wanted; NULL: there is none. */
const Term *product_of(Context *x, const Factors *f, const bool *in, bool want);
/* The factors that depend on the first, transitively, as one product, and the others.  False: there are no others. */
bool split_product(Context *x, const Term *t, const Term **first, const Term **others);

/* ---- condition.c ----------------------------------------------------------------------------------------------- */

/* E[t], once for every value of the highest edge above the mentioned one that has none yet. */
Val condition(Context *x, const Mention *m, const Term *t);

/* ---- point.c ---------------------------------------------------------------------------------------------------- */

/* E[t] where the edges of a line that t mentions have the values of their mode, or draws; 0: there is no such line. */
Val expect_at_points(Context *x, const Mentions *m, InferMethod method, const Term *t);
/* Of t all of whose edges have values; 0 where one of points has none. */
Val value_at_points(Context *x, const Term *t);

/* ---- distribute.c ------------------------------------------------------------------------------------------------ */

/* The same value, of a product, power or exponential of sums that mention copies, as a sum or product over them; NULL:
 * it is no such. */
const Term *distributed(Context *x, const Term *t);

/* ---- convolve.c -------------------------------------------------------------------------------------------------- */

/* E of a function of a sum of 0/1 terms of independent copies; 0: t is no such. */
Val expect_convolved(Context *x, const Term *t);

/* ---- linear.c --------------------------------------------------------------------------------------------------- */

/* May t itself be none, as the copy of an edge may?  What uses it is then 0 as a whole, not in parts. */
bool may_be_none(const Term *t);
/* Are copies that t names independent for different values of j? */
bool names_copies_apart(const Context *x, const Term *t, const Index *j);
/* Does t name copies by variables of sums and products alone? */
bool all_under_binder(Context *x, const Term *t);
/* t with `to` in place of every term that equals `from`. */
const Term *replace_equal(Arena *arena, const Term *t, const Term *from, Term *to);
/* E pushed through the outermost operation, or 0 where no law of linearity applies.  A sum whose bounds are not known
 * is left to conditioning if there is something to condition on. */
Val expect_linear(Context *x, const Term *t, bool conditionable);
/* Is t a + e, a known, perhaps summed, while streams are under way: e may be reached through an edge, and is then 0
 * alone where it is empty. */
bool adds_known(Context *x, const Term *t);
/* An outermost part of t whose condition is known and decides what is mentioned; NULL: none. */
const Term *find_choice(Context *x, const Term *t);
Val expect_choice(Context *x, const Term *t, const Term *choice);
/* A copy in t whose name is known here and perhaps has a none in it; NULL: none. */
const Term *find_lost(Context *x, const Term *t);
Val expect_lost(Context *x, const Term *t, const Term *lost);

/* ---- expect.c --------------------------------------------------------------------------------------------------- */

/* The laws in turn; everything t mentions by known indices exists, or a single stream decides it. */
Val expect(Context *x, const Term *t);
/* A part of a bracket, or what a value of an edge makes of it.  Whether all exists that the whole mentions has been
 * asked; what is reached through an edge makes the stream over it 0, nothing around it. */
Val part(Context *x, const Term *t);
/* 0 unless all components that t mentions exist. */
Val bracket(Context *x, const Term *t);

#endif
