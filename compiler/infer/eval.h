/* eval: what the files that evaluate terms share: eval.c, element.c, reduce.c, operator.c.  0 as a condition: never. */
#ifndef ATTN_INFER_EVAL_H
#define ATTN_INFER_EVAL_H

#include "infer/context.h"

Val or_none(Context *x, Val a, Val b);
void note_none(Context *x, Val none); /* in a weight, that a none was used here */
Val unless_none(Context *x, Val none, Val v); /* v unless something that the expression uses is none */

Context where_some(Context *x, Val none); /* x under the guard that it is not none */
/* The values of a list of terms; returns whether any of them is none. */
Val eval_choices(Context *x, const TermVec *terms, Val *values);

/* ---- element.c ---------------------------------------------------------------------------------- */

Val eval_input(Context *x, const Term *t);
Val eval_latent(Context *x, const Term *t);
Val eval_let(Context *x, const Term *t);

/* ---- reduce.c ----------------------------------------------------------------------------------- */

Val eval_reduce(Context *x, const Term *t);

/* ---- operator.c --------------------------------------------------------------------------------- */

IrOp plain_op(OpKind op); /* IR_OP_COUNT_: it is made of others */
Val apply_operator(Context *x, const Term *t, const Val *v); /* to the values of its arguments */
/* elu(v) + 1 is evaluated as one, or 0: t is no such sum. */
Val eval_elu_plus_one(Context *x, const Term *t);

#endif
