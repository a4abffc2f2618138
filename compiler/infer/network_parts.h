/* network_parts: what the files that make a network's stages share. */
#ifndef ATTN_INFER_NETWORK_PARTS_H
#define ATTN_INFER_NETWORK_PARTS_H

#include <math.h>

#include "infer/network.h"
#include "infer/structure.h"

/* Counts larger than this are taken for it, so that no product of two overflows; an error is raised before anything is
 * filled. */
#define NETWORK_ENOUGH ((int64_t)1 << 31)

static inline Val net_wide(Context *x, double v) { return build_float(B(x), IR_WIDE, v); }
static inline Val net_whole(Context *x, int64_t v) { return build_int(B(x), v); }
static inline Val net_add(Context *x, Val a, Val b) { return build_2(B(x), IR_ADD, a, b); }
static inline Val net_sub(Context *x, Val a, Val b) { return build_2(B(x), IR_SUB, a, b); }
static inline Val net_mul(Context *x, Val a, Val b) { return build_2(B(x), IR_MUL, a, b); }
static inline Val net_length(Context *x, Val lo, Val hi) {
  return build_2(B(x), IR_MAX, net_sub(x, hi, lo), net_whole(x, 0));
}
Val net_times(Context *x, Val a, Val b); /* a b for 0 <= a, b, at most NETWORK_ENOUGH */

/* What does not depend on the weights: names, groups, values of names, variables; by part, which copies prior lines
 * name. */
typedef struct NetworkShape {
  const Network *net;
  Array *names, *groups, *dims, *vars, **named;
  Array *held; /* of no variable */
  struct NetworkShape *next;
} NetworkShape;

/* The arrays of one set of weights. */
typedef struct NetworkSolved {
  const Network *net;
  NetworkSet set;
  uint32_t stage; /* stage_number */
  Array *table, *log_p, *joint, *z, *state; /* NULL: not yet needed */
  struct NetworkSolved *next;
} NetworkSolved;

struct NetworkStages { NetworkSolved *solved; NetworkShape *shapes; struct NetworkGiven *given; };

struct NetworkStages *network_stages(Derive *d);
Array *network_array(Derive *d, const Network *net, const char *what, StoreType elem, uint32_t rank,
                     const Val *more); /* outer plates first */
Component *network_part_of(const Derive *d, const Term *ref);
Val network_number_of_loops(Context *x, const Network *net, const Group *g); /* of an instance */

/* ---- network_idle.c ---------------------------------------------------------------------------------------- */

/* Where the places of an index begin; 0: where its range does. */
Val network_least(Context *x, const IndexRoom *room);
/* The loop of an index, given those before it.  checked: an error where data have more than there is room for. */
Bounds network_loop(Context *x, const Network *net, const Index *i, bool checked);
/* bool, the index value lies in the copy's plate k, whose range the indices before it may decide; 0: always. */
Val network_in_plate(Context *x, Copy copy, uint32_t k);
bool network_is_ended(const Network *net); /* do data begin or end a plate of its copies? */
/* How the routine is told the number of values of a copy, or of a place without one; x binds the outer plates. */
Val network_values(Context *x, Copy copy, Val values);

/* ---- others ------------------------------------------------------------------------------------------------ */

Val network_work(Context *x, const Network *net,
                 const NetworkLayout *l);                   /* network_work.c: doubles that the routines take */
NetworkShape *network_shape(Derive *d, const Network *net); /* network_table.c: at the top of the kernel */
void network_fill_table(Derive *d, const Network *net, NetworkShape *s, const NetworkLayout *l, uint32_t group,
                        NetworkSet set, Array *to);

#endif
