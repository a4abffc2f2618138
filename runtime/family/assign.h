/* assign: see assign.c. */
#ifndef ATTN_RT_ASSIGN_H
#define ATTN_RT_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Assign {
  int64_t m, n;        /* rows, columns */
  bool none;           /* a row may be unmatched: the choice n */
  const double *local; /* [m, n + none] log weights */
  const int64_t *only; /* by row: the one choice it may take, -1: any; NULL: any for all */
  double *u, *v;       /* minus the prices of rows and columns: w(i, j) + u(i) + v(j) <= 0, v <= 0 */
  double *distance;
  int64_t *row_of, *before, *seen;
} Assign;

/* Places the arrays in work: m + 5 (m + n) doubles; returns what follows. */
double *attn_rt_assign_place(Assign *a, double *work);
/* False: no matching has weight. */
bool attn_rt_assign(Assign *a, int64_t *choice, double *total);
bool attn_rt_assign_is_spoilt(const Assign *a); /* a weight is NaN or +inf */

#endif
