/* assign: the heaviest matching of rows into columns, and the prices that prove it (Kuhn 1955, Munkres 1957; row by row
 * along shortest augmenting paths, Jonker & Volgenant 1987).
 *
 *   w(i, j) <= row(i) + column(j),  none(i) <= row(i),  column(j) >= 0,   with equality on what is matched
 *
 * Being unmatched is a column of the row's own, so a row is always matched.  Time rows^2 (rows + columns). */
#include "assign.h"

#include <math.h>

/* Of row i at column j; columns behind the n targets are the rows' own. */
static double cost(const Assign *a, int64_t i, int64_t j) {
  if (j >= a->n && (!a->none || j - a->n != i)) return INFINITY;
  int64_t c = j < a->n ? j : a->n;
  if (a->only && a->only[i] >= 0 && a->only[i] != c) return INFINITY;
  return -a->local[i * (a->n + a->none) + c];
}

/* One more row, i, is matched: the shortest path from it to a free column. */
static bool augment(Assign *a, int64_t i, int64_t columns) {
  for (int64_t j = 0; j < columns; j++) {
    a->distance[j] = INFINITY;
    a->seen[j] = 0;
    a->before[j] = -1;
  }
  int64_t at = -1, row = i; /* the column we come from; its row */
  for (;;) {
    double least = INFINITY;
    int64_t next = -1;
    for (int64_t j = 0; j < columns; j++) {
      if (a->seen[j]) continue;
      double c = cost(a, row, j) - a->u[row] - a->v[j];
      if (c < a->distance[j]) {
        a->distance[j] = c;
        a->before[j] = at;
      }
      if (a->distance[j] < least) least = a->distance[j], next = j;
    }
    if (next < 0) return false;
    a->u[i] += least;
    for (int64_t j = 0; j < columns; j++)
      if (a->seen[j]) {
        a->u[a->row_of[j]] += least;
        a->v[j] -= least;
      } else {
        a->distance[j] -= least;
      }
    a->seen[next] = 1;
    at = next;
    if (a->row_of[at] < 0) break;
    row = a->row_of[at];
  }
  for (; at >= 0; at = a->before[at]) a->row_of[at] = a->before[at] < 0 ? i : a->row_of[a->before[at]];
  return true;
}

bool attn_rt_assign(Assign *a, int64_t *choice, double *total) {
  int64_t columns = a->n + (a->none ? a->m : 0);
  for (int64_t j = 0; j < columns; j++) {
    a->v[j] = 0;
    a->row_of[j] = -1;
  }
  for (int64_t i = 0; i < a->m; i++) a->u[i] = 0;
  for (int64_t i = 0; i < a->m; i++)
    if (!augment(a, i, columns)) return false;
  for (int64_t j = 0; j < columns; j++)
    if (a->row_of[j] >= 0) choice[a->row_of[j]] = j < a->n ? j : a->n;
  *total = 0;
  for (int64_t i = 0; i < a->m; i++) *total += a->local[i * (a->n + a->none) + choice[i]];
  return true;
}

double *attn_rt_assign_place(Assign *a, double *work) {
  int64_t columns = a->n + a->m;
  a->u = work;
  a->v = a->u + a->m;
  a->distance = a->v + columns;
  a->row_of = (int64_t *)(void *)(a->distance + columns);
  a->before = a->row_of + columns;
  a->seen = a->before + columns;
  return (double *)(void *)(a->seen + columns);
}

bool attn_rt_assign_is_spoilt(const Assign *a) {
  for (int64_t k = 0; k < a->m * (a->n + a->none); k++)
    if (isnan(a->local[k]) || a->local[k] == INFINITY) return true;
  return false;
}
