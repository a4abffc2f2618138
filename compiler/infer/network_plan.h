/* network_plan: the networks of a plan; infer/network.h says what they are. */
#ifndef ATTN_INFER_NETWORK_PLAN_H
#define ATTN_INFER_NETWORK_PLAN_H

#include "infer/plan.h"

enum { NETWORK_MAX_NAMES = 8 }; /* runtime/family_network.h */

typedef enum {
  GROUP_WEIGHT,  /* a potential, require or observe */
  GROUP_PRIOR,   /* a prior line, with its normaliser */
  GROUP_UNIFORM, /* of the copies that no prior line names: one over the size of the support */
  GROUP_SUPPORT, /* 0 where `where` does not hold */
} GroupKind;

typedef struct Group {
  GroupKind kind;
  Weight *weight; /* WEIGHT, PRIOR */
  Edge *edge;     /* all but WEIGHT: whose; its copy is names.at[0] */
  TermVec names;
  IndexVec outer;  /* the indices that stand for the outer plates */
  IndexVec loops;  /* an instance for every value of these, */
  IndexVec beyond; /* a product over these */
} Group;

/* Of an index that data begin or end: the values that there are places for, from the least of `least` up to the
 * greatest of `room` (room.c).  `least` is empty where sizes, or indices before it, say where its range begins. */
typedef struct IndexRoom { const Index *index; TermVec least, room; } IndexRoom;

/* Copies that are given at once: any of these edges'. */
typedef struct NetworkJoint { uint32_t n; const Component *of[NETWORK_MAX_NAMES]; } NetworkJoint;

struct Network {
  VEC(Component *) parts; /* one an edge, in order of declaration */
  VEC(Group *) groups;
  VEC(IndexRoom) rooms;
  uint32_t outer; /* how many plates */
  VEC(NetworkJoint) given; /* filled by the derivation: one for each stage of sums with copies held */
  Span span;      /* of the weight that makes it more than a chain, */
  const char *why; /* and what that does */
};

const IndexRoom *network_room(const Network *net, const Index *i); /* NULL: sizes, or indices before it, bound it */

/* Components that are more than chains (Component.beyond) become networks, or refusals. */
void plan_networks(Plan *p);

#endif
