/* reach: which copies a weight joins, seen from the highest of them.
 *
 * A weight statement names copies by indices of its own.  Along each plate of its component it either *follows* an
 * index of its own (phi[q], c[q - 1], c[q + 2]: one base, several offsets) or is *pinned* to a value that the sizes
 * give (c[0], c[T - 1]).  The copy with the highest offsets is the statement's *home*: an instance of it is weighed
 * there, its other references are copies that lie `lag` before the home along one plate.  Indices that follow no plate
 * are *beyond*: the weight is a product over them. */
#ifndef ATTN_INFER_REACH_H
#define ATTN_INFER_REACH_H

#include "model/model.h"

typedef struct Plan Plan;
typedef struct Component Component;

typedef struct ReachRef {
  const Term *ref;
  uint32_t at;
  uint32_t lag;
  bool unsure;
} ReachRef; /* at: place of the edge in the component; unsure: a condition says whether it is looked at */

typedef struct Reach {
  uint32_t n;       /* plates */
  Index **follows;  /* one a plate; NULL: pinned */
  Range *range;     /* of that index, where those that follow plates before it without displacement stand for these */
  Term **pin;
  int64_t *shift;   /* home = index + shift, home = pin + shift */
  int64_t *lowest;  /* the lowest offset of a reference: home - shift + lowest */
  int64_t *first;   /* the lowest of one that is looked at whatever the values are */
  bool *homeless;   /* the highest is not: there are perhaps instances without a home */
  IndexVec beyond;
  VEC(ReachRef) refs;
  bool own; /* the statement stands in the component's plates (and perhaps more) and names the copy it stands in */
  bool *proved;     /* along the plate all copies that it names exist, whatever the sizes are */
  Span span;
} Reach;

/* The term for which a statement is searched: all its parts, one after another. */
/* sure: no condition decides whether it is looked at. */
typedef void (*EdgeVisitor)(void *arg, const Term *edge_ref, bool sure);
typedef void (*Visit)(const void *statement, EdgeVisitor visit, void *arg);

/* How the statement, which stands in `plates`, meets the copies of c.  NULL where it does so in no such way: *why says
 * in which. */
Reach *reach_of(Arena *arena, const Component *c, const IndexVec *plates, const void *statement, Visit visit, Span span,
                const char **why);
/* The plate along which references differ in their offsets; -1: none; -2: several. */
int reach_joined_plate(const Reach *r);

#endif
