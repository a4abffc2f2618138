/* check: what must hold of every kernel, each check a function of a kernel and a case. */
#ifndef KERNEL_CHECK_H
#define KERNEL_CHECK_H

#include "call.h"

/* Subject: base is the result of the kernel's plain call, reference that of the same in f64. */
typedef struct Subject { const Plan *plan; const Kernel *kernel; const Case *c; Result base, reference; } Subject;

typedef void Check(const Subject *s);

/* check_result.c */
Check check_right, check_nulls, check_workspace, check_threads;
/* check_layout.c */
Check check_layouts, check_shifts, check_broadcasts;
/* check_rows.c */
Check check_slices, check_other_rows, check_own_row, check_dead_keys, check_dead_bits;

/* ---- what checks share ---- */

bool same_bits(const Subject *s, const Result *r); /* as the plain call; outputs that r lacks are passed over */
/* judged: which elements are compared; NULL: all. */
void near_output(const Subject *s, const Case *c, int out, const Result *r, const Result *reference,
                 const bool *judged);
void near_reference(const Subject *s, const Case *c, const Result *r, const Result *reference);
void expect_same(const Subject *s, const Setup *setup, const char *what); /* calls, and compares bits */

/* support.c: whether row i sees key j in batch b. */
bool is_live(const Plan *p, const Case *c, int64_t b, int64_t i, int64_t j);

#endif
