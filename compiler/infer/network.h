/* network: copies that weights join in any pattern: along two plates, through data, or of edges in different plates.
 *
 * In a plan each edge of a network is a component of its own, so that to the other chapters a copy looks like an edge
 * joined to nothing; `Component.network` tells which of them are never independent.  The weights are *groups*: a
 * statement's instances, each with the copies that it *names*.  A stage before the outputs fills the log weights of
 * every instance for all values of what it names, and who they are; routines of the runtime (runtime/family/network.c)
 * order the variables and sum them out.
 *
 * Plates that all copies and weights share on the outside are *outer*: one network for each of their values. */
#ifndef ATTN_INFER_NETWORK_H
#define ATTN_INFER_NETWORK_H

#include "infer/named.h"
#include "infer/network_plan.h"

typedef enum { NETWORK_ALL, NETWORK_PRIORS, NETWORK_REQUIRES, NETWORK_SET_COUNT_ } NetworkSet;

/* ---- network.c: stages ----------------------------------------------------------------------------------- */

/* Numbers of variables, names and cells; x binds nothing. */
typedef struct NetworkLayout {
  Val *values, *copies, *var, *place;     /* by part: values and copies of an edge, its first variable and marginal */
  Val *instances, *names, *cells, *table; /* by group: its instances, first name, cells of one, first cell */
  Val vars, all_names, all_cells, marginals;
} NetworkLayout;

NetworkLayout network_layout(Derive *d, const Network *net);
/* The values of a plate beside the outer ones that tables have places for: those it has, or its room. */
Bounds network_range(Context *x, const Network *net, const Index *plate);
uint32_t network_part(const Network *net, const Component *c);
Val network_flat(Context *x, Copy copy); /* the copy's number among those of its edge, outer plates apart */
Val network_number(Context *x, const Component *c, Choice value); /* a value's place among the edge's */
Choice network_choice(Context *x, const Component *c, Val number);
/* The number of the instance at which x binds the loops of the group; *ok: bool, they are in their ranges (0: always).
 */
Val network_instance(Context *x, const Network *net, const Group *g, Val *ok);
/* Are instances numbered by the values of the loops alone?  Else by a place in a row. */
bool network_is_countable(const Group *g);

/* Elements of what a set's stage leaves. */
Val network_marginal(Context *x, Copy copy, NetworkSet set, Choice value); /* log */
Val network_joint(Context *x, Copy copy, const Network *net, uint32_t group, Val instance, const Val *numbers);
Val network_state(Context *x, Copy copy, NetworkSet set); /* log sum of the copy's component; -inf: empty; NaN */
/* NaN where a normaliser that posteriors do without is no number, else 0 (network_table.c). */
Val network_lost(Context *x, Copy copy);
Val network_total(Context *x, Copy copy, NetworkSet set, int64_t which); /* z of runtime/family.h */
typedef struct NetworkHeld { Copy copy; Choice value; } NetworkHeld;
/* log p of a value of `b`, given those of n others. */
Val network_given(Context *x, uint32_t n, const NetworkHeld *held, Copy b, Choice value);
/* The solve of the heaviest value, or of the draws whose numbers u holds, at the outer plates' places `at`. */
void network_pick_stage(Context *x, const Network *net, Val draws, Val *at, Array *u, Array *choice, Array *z);
void network_prepare(Derive *d, const Network *net); /* what the stage reads is there before it is opened */

/* ---- network_query.c ------------------------------------------------------------------------------------- */

/* Has all that the support of a copy depends on a value in x? */
bool network_support_known(Context *x, Copy copy, const Edge *e);
bool network_known(Context *x, Copy copy); /* has a copy of this network a value in x? */
/* log p of the values of copies of this network that x knows. */
Val network_log(Context *x, Copy copy);
Val network_status(Context *x, Copy copy); /* 0 where the copy's component has a value with weight, -inf, or NaN */
Val network_entropy_of(Context *x, const Term *t, const Component *c); /* as entropy, kl and count name its copies */
Val network_kl_of(Context *x, const Term *t, const Component *c);
Val network_count_of(Context *x, const Term *t, const Component *c);
Val network_logz(Context *x, const Component *c, Span span); /* in the plates of the output */

/* ---- network_pick.c -------------------------------------------------------------------------------------- */

Choice network_mode(Context *x, Copy copy);
Choice network_draw(Context *x, Copy copy, Val seed, Val n, Val number); /* one of n draws */

#endif
