/* plan: what is to be checked, as run.py wrote it.
 *
 * A text of lines of words:
 *
 *   model NAME                    the functions are attn_NAME and attn_NAME_workspace
 *   reference PATH                the kernel in f64, which the oracle verifies
 *   kernel LABEL PATH             kernels in f32, all of which are held to the same
 *   sizes NAME...                 in the kernel's order
 *   dispatching LABEL PATH        the same, with code for several processors: it may ask for more workspace than it
 * needs free AXIS...                  a slice of these axes may be taken out: its results depend on nothing else
 *   rounded NAME...               outputs that are means of bf16 values, whose weights a kernel may round to bf16
 *   lines                         streams run along features where these lie side by side: bits depend on that
 *   keys NAME...                  inputs whose axis `key` belongs to keys; without the line no key is ever dead
 *   axis ROW KEY                  names of the axes of rows and of keys
 *   support NAME                  which keys a row may see, see support.c
 *   case SIZE...                  then its arrays, in the kernel's order:
 *     in NAME TYPE DRAW [AXIS=EXTENT]...
 *     out NAME TYPE [AXIS=EXTENT]...
 *
 * TYPE: real, int, bool, count (f64 in every build), f16, bf16; f32 in every build in no plan, but in cases made
 * elsewhere.  DRAW: how values are drawn, see fill_input. */
#ifndef KERNEL_PLAN_H
#define KERNEL_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "attn_kernel.h"

enum { NAME_MAX_BYTES = 64, PATH_BYTES = 1024, ARRAYS_MAX = 24, SIZES_MAX = 16, KERNELS_MAX = 16, NAMES_MAX = 8 };

typedef enum Type { TYPE_REAL, TYPE_INT, TYPE_BOOL, TYPE_COUNT, TYPE_F16, TYPE_BF16, TYPE_F32 } Type;
typedef char Name[NAME_MAX_BYTES];

/* values: in C order; inputs only.  Reals are exact in f32, halves in their type. */
typedef struct Array {
  Name name, draw, axis[ATTN_MAX_RANK];
  Type type;
  int rank;
  int64_t extent[ATTN_MAX_RANK];
  double *values;
} Array;

typedef struct Case {
  int nsizes, nin, nout;
  int64_t size[SIZES_MAX];
  Array in[ARRAYS_MAX], out[ARRAYS_MAX];
} Case;

/* real_bytes: 4 or 8, of a real. */
typedef struct Kernel {
  Name label;
  int real_bytes;
  bool dispatches;
  attn_kernel_fn run;
  attn_workspace_fn workspace;
} Kernel;

typedef struct Plan {
  Name model, row, key, support;
  Name free_axis[NAMES_MAX], keys[NAMES_MAX], rounded[NAMES_MAX], size[SIZES_MAX];
  int nfree, nkeys, nrounded, nkernels, nsizes;
  bool lines;
  Kernel reference, kernel[KERNELS_MAX];
} Plan;

/* Reads on to the next case: false at the end of the file.  The lines before the first case fill the plan. */
bool plan_next(FILE *from, Plan *p, Case *c);

int64_t array_count(const Array *a);
int array_axis(const Array *a, const char *name); /* -1: it has none of that name */

void case_fill(Case *c); /* draws the inputs anew: the same for the same case */
/* A copy whose inputs may be changed. */
Case case_copy(const Case *c);
void case_free(Case *c);
/* The part of c where the axis is `at` alone: there it has the extent 1, and so has the size of that name. */
Case case_slice(const Plan *p, const Case *c, const char *axis, int64_t at);

#endif
