/* functions: the scalar functions of the language, from their definitions. */
#ifndef ATTN_ORACLE_FUNCTIONS_H
#define ATTN_ORACLE_FUNCTIONS_H

#include "oracle/world.h"

double oracle_real_function(OpKind op, const double *x);   /* real arguments and result; not RANDOM */
int64_t oracle_int_function(OpKind op, const int64_t *x);  /* int arguments and result; divisors are not 0 */
int64_t oracle_real_to_int(OpKind op, double x); /* FLOOR, CEIL, ROUND; NaN and what does not fit: far outside */
double oracle_real_min(double a, double b);                /* NaN if one is */
double oracle_real_max(double a, double b);

#endif
