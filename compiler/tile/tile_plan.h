/* tile_plan: what the files that plan a stream share: tile_plan.c, tile_depend.c, tile_permit.c. */
#ifndef ATTN_TILE_TILE_PLAN_H
#define ATTN_TILE_TILE_PLAN_H

#include "ir/build.h"
#include "tile/tile.h"

typedef struct Planner {
  Arena *arena;
  TilePlan *plan;
  const Kernel *k;
  TileRows *rows;     /* being planned, and of them the stream */
  TileStream *s;
  bool *seen;         /* by Val: demanded */
  uint8_t *array_dep; /* by Array.id: LOCAL arrays inside the stream */
  uint32_t accs;      /* most accumulators of a feature loop */
  const TileTarget *target;
} Planner;

static inline void stream_refuse(Planner *p, const char *why) { /* the first reason is kept */
  if (!p->s->why) p->s->why = why;
}

static inline uint8_t plan_dep(const Planner *p, Val v) { return p->rows->dep[v]; }

/* Of tiles: values of diagonals are computed by the scalar code, in f64. */
static inline bool plan_is_both(const Planner *p, Val v) {
  return (plan_dep(p, v) & (DEP_BOTH | DEP_DIAGONAL)) == DEP_BOTH;
}

/* ---- tile_depend.c ------------------------------------------------------------------------------ */

void plan_depend_rows(Planner *p, const Loop *l);      /* of what is directly in the body of a loop over rows */
uint8_t plan_depend_stream(Planner *p, const Loop *l); /* of all values in a stream; returns what any depends on */
void plan_depend_results(Planner *p, const Loop *l);   /* once it is planned: they belong to the row */

/* ---- tile_nest.c -------------------------------------------------------------------------------- */

/* Whether a loop in a stream is the sum of multiples of products or, one feature of two indices, of multiples of sums;
 * *to then says of what. */
bool plan_multiples(const Planner *p, const Loop *l, TileFeature *to);

/* ---- tile_permit.c ------------------------------------------------------------------------------ */

/* Refuses the stream for what its body holds; collects its exceptions, and the most accumulators of a feature loop. */
void plan_permit(Planner *p, const Loop *stream);
/* Checks of pairs inside feature loops and axes are not done on tiles.  r may be NULL. */
void plan_permit_checks(Planner *p, const Region *r);
void plan_permit_vector(Planner *p, const Acc *a); /* a sum of exact products is as exact with axes as without */
bool plan_is_float_product(const Acc *a);
/* What a value is before it is widened; of a value around the rows only itself is there. */
Val plan_unconverted(const Planner *p, Val v);
/* Whether a loop is lse over d of a(i, d) + b(j, d), and the two. */
bool plan_log_contraction(const Planner *p, const Loop *l, Val *row, Val *col);
/* A loop over lo .. (c ? hi : lo) with c of a pair serves pairs that are exceptions: where c holds for one, the block
 * of rows is left to the scalar code, so on tiles its results are those over nothing.  Returns c; 0: it is no such
 * loop. */
Val plan_exception(const Planner *p, const Loop *l);

#endif
