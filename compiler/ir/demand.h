/* demand: copies single values of a kernel, with all they need, under substitutions.
 *
 * A pass that computes an expression in another place (a column's weight at another row, say) enters a scope, says what
 * loop variables stand for there (Rebuild.map), and demands values; what it mapped is forgotten when it leaves.
 *
 * Law: a value demanded is the value that the original has where its loop variables have the values they are mapped
 * to.  Only pure values and reductions are copied: checks must not stand among what is demanded. */
#ifndef ATTN_IR_DEMAND_H
#define ATTN_IR_DEMAND_H

#include "ir/rebuild.h"

/* Which instruction makes what other instructions read. */
typedef struct Makers {
  Val *loop;       /* by index variable: the LOOP instruction */
  Val *loop_of;    /* by Array.id of a local array: the LOOP that makes it */
  bool *stored;    /* by Array.id: a store into it was seen */
} Makers;

typedef struct Scope { Val *map; Array **arrays; } Scope;

Makers makers_of(Arena *arena, const Kernel *k, const Region *r);

Scope scope_enter(Rebuild *r);
void scope_leave(Rebuild *r, Scope s);

Val demand(Rebuild *r, const Makers *m, Val v);

#endif
