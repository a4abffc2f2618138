/* bind: the words NAME=VALUE to the sizes and input arrays of a model.
 *
 * Arrays are in C order and in the element types that the kernel stores (see derive.h): `real` is f32 or
 * f64 by --precision.  All memory is the arena's.  Every mistake is a message that names the input. */
#ifndef ATTN_DRIVER_BIND_H
#define ATTN_DRIVER_BIND_H

#include "driver/load.h"
#include "tensor.h"

enum { BIND_NEIGHBOURS = 16 }; /* of each row of a random graph, where it has so many columns */

/* How an input came to its values. */
typedef enum { FROM_NOTHING, FROM_VALUE, FROM_FILE, FROM_RANDOM, FROM_DEFAULT, FROM_CALLER } Origin;

typedef struct Bound {
  Origin origin;
  const char *value;        /* as written */
  int64_t random_seed;      /* FROM_RANDOM */
  AttnArray data;           /* of all but graphs */
  const char *indptr_value; /* graphs: as written */
  const char *indices_value;
  AttnArray indptr, indices; /* i64 */
} Bound;

typedef struct Inputs {
  const Model *model;
  bool f64;
  int64_t *sizes;          /* by Size.id; -1: not known */
  const char **size_from;  /* by Size.id: what gave it, for messages */
  Bound *at;               /* by Input.id */
} Inputs;

typedef enum {
  BIND_ALL,    /* what is neither given nor has a default is an error */
  BIND_RANDOM, /* ... is random */
  BIND_GIVEN,  /* ... stays FROM_NOTHING, and sizes may stay -1 */
  BIND_SIZES,  /* only sizes may be given */
} BindMode;

/* STATUS_DONE, or STATUS_WRONG after messages: all of them where one does not hide the others. */
int bind_inputs(Arena *arena, const Model *m, bool f64, const char *const *words, uint32_t n, BindMode mode,
                Inputs *out);

/* The same for arrays that a program holds: bind_begin, then sizes and `at` are set by hand (FROM_CALLER; data of
 * the kernel's element type, in any strides; graphs in C order), then bind_finish, as for BIND_ALL. */
void bind_begin(Arena *arena, const Model *m, bool f64, Inputs *in);
bool bind_finish(Arena *arena, Inputs *in);
/* An empty array (AttnArray, in `what`) that the arena owns; arena_drop frees its data. */
ArenaOwned *bind_own_array(Arena *arena);

/* Whether an array binds to an input, and its elements as the kernel's: the same memory where they are of its type
 * already and `copy` is not asked for, else a copy on the arena, in C order. */
bool bind_array(Arena *arena, const Inputs *in, const Input *x, const char *name, const AttnArray *from, bool copy,
                AttnArray *to);

/* The element type in which the kernel stores an input (a graph: its parts). */
ElemType bind_elem_type(ElemKind kind, bool f64);

/* ---- the steps, in order ------------------------------------------------------------------------------ */

bool bind_names(Arena *arena, Inputs *in, const char *const *words, uint32_t n, BindMode mode);
bool bind_files(Arena *arena, Inputs *in);             /* reads files and scalars */
bool bind_sizes(Arena *arena, Inputs *in, bool all);   /* sizes from shapes; all shapes checked */
bool bind_fill(Arena *arena, Inputs *in);              /* random arrays, random graphs and defaults */
bool bind_graphs(Arena *arena, const Inputs *in);                    /* CSR is what it should be */

/* What a file or scalar must be: "an array [M, D] of real", "an int". */
const char *bind_wants(Arena *arena, const Model *m, const Input *x);

#endif
