/* constant: the value of a term that sizes and inputs settle, without running the model.
 *
 * Defaults of parameters, preconditions on sizes and parameters of distributions are such terms. */
#ifndef ATTN_DRIVER_CONSTANT_H
#define ATTN_DRIVER_CONSTANT_H

#include "model/model.h"
#include "tensor.h"

/* What is known.  Everything else makes a term unknown. */
typedef struct Known {
  const Model *model;
  const int64_t *sizes;   /* by Size.id */
  const double *real;     /* by Input.id: real scalars */
  const int64_t *integer; /* by Input.id: int and bool scalars */
  const bool *has;        /* by Input.id; NULL: no input is known */
  int64_t *index;         /* by Index.id */
  bool *bound;            /* by Index.id */
  const int64_t *edge;    /* by Edge.id, for references to the copy one stands in; NULL: no edge is known */
  const bool *has_edge;
  const AttnArray *array; /* by Input.id, of arrays (of graphs: nothing); NULL: none is known */
  uint64_t steps;         /* terms looked at; beyond a limit all is unknown */
} Known;

typedef enum { CONSTANT_KNOWN, CONSTANT_UNKNOWN, CONSTANT_FAULT /* overflow or division by zero */ } ConstantStatus;

/* i: of int and bool terms; r: of real ones. */
typedef struct Constant { int64_t i; double r; } Constant;

Known constant_known(Arena *arena, const Model *m, const int64_t *sizes);
/* Of an edge's term: whether it is the copy one stands in, every index naming the plate of the same position. */
bool constant_own_copy(const Term *t);
ConstantStatus constant_eval(Known *k, const Term *t, Constant *value);

#endif
