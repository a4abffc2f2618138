/* subject: a model of a file, compiled in memory, and random inputs for it.
 *
 * Both the compiler and the checks of tests/kernel call what they are about a Kernel of Arrays; this knows neither. */
#ifndef GUARD_SUBJECT_H
#define GUARD_SUBJECT_H

#include <stdbool.h>

#include "attn_kernel.h"

enum { DRAWN_NAME = 64, DRAWN_ARRAYS = 24, DRAWN_SIZES = 16 };

typedef enum Stored { STORED_REAL, STORED_F64, STORED_F32, STORED_F16, STORED_BF16, STORED_INT, STORED_BOOL } Stored;

/* values: in C order, from malloc; inputs only. */
typedef struct DrawnArray {
  char name[DRAWN_NAME];
  Stored type;
  int rank;
  int64_t extent[ATTN_MAX_RANK];
  double *values;
} DrawnArray;

/* In the kernel's order; a graph is two arrays. */
typedef struct Drawn {
  int nsizes, nin, nout;
  int64_t size[DRAWN_SIZES];
  DrawnArray in[DRAWN_ARRAYS], out[DRAWN_ARRAYS];
} Drawn;

typedef struct Subjects Subjects;

/* The models of a file, compiled for one precision; sanitize: their code with AddressSanitizer, in builds that have it.
 * NULL after a message: unreadable, wrong, or not to be compiled. */
Subjects *subjects_load(const char *path, bool f64, bool sanitize);
void subjects_free(Subjects *s);
int subjects_count(const Subjects *s);
const char *subjects_name(const Subjects *s, int n);
void subjects_code(const Subjects *s, int n, attn_kernel_fn *run, attn_workspace_fn *workspace);

/* Sizes up to `largest`, odd ones rather than even ones, and inputs that the model allows.  False: none were found, or
 * an exact sum over them is not worth beginning, or there are more arrays than Drawn holds.  drawn_free it in any case.
 */
bool subjects_draw(Subjects *s, int n, int64_t largest, uint64_t seed, Drawn *to);
void drawn_free(Drawn *d);

#endif
