/* library: a model through attn.h. */
#ifndef ATTN_TESTS_LIBRARY_H
#define ATTN_TESTS_LIBRARY_H

enum { LIBRARY_BAD = 3 }; /* a step that fails without its reason, or twice */

/* Loads model.attn, binds, runs twice, prints the results: 0, 1 where they cannot be printed, or LIBRARY_BAD. */
int library_run(void);

#endif
