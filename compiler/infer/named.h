/* named: the copies that entropy, kl and count name; see named.c. */
#ifndef ATTN_INFER_NAMED_H
#define ATTN_INFER_NAMED_H

#include "infer/chain.h"

typedef struct Over Over;
typedef Val (*CopyQuery)(Context *x, Copy copy, const Over *o);

/* named: the copies of a chain as they are written, evaluated where the query stands. */
struct Over { Component *c; Val *at; uint32_t fixed; EdgeSet set; CopyQuery fn; const Term *t; NamedCopies named; };

/* fn of the copies, whether two of them are one being decided first, each case under its decision. */
Val decided_copies(Context *x, const NamedCopies *n, Val (*fn)(Context *x, const NamedCopies *n));
/* The reduction of fn over all copies whose leading indices are given. */
Val over_copies(Context *x, AccKind kind, const Over *o, uint32_t from);
/* Per component named: the set of its edges; then fn over its copies; combined by `combine`. */
Val over_components(Context *x, const Term *t, AccKind kind, IrOp combine, CopyQuery fn);

typedef Val (*ChainFn)(Context *x, Copy copy);
typedef Val (*CopiesFn)(Context *x, const NamedCopies *n);
/* About one chain: `whole` where all its copies are named, `some` (NULL: refused) where some are. */
Val chain_query(Context *x, Copy copy, const Over *o, ChainFn whole, CopiesFn some);
typedef Val (*StructureFn)(Context *x, Copy copy);
/* About one structure as a whole, or about nodes, perhaps of several, whose parts `combine` puts together. */
Val structure_query(Context *x, Copy copy, const Over *o, IrOp combine, StructureFn whole, CopiesFn nodes);

#endif
