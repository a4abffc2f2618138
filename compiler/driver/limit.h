/* limit: is an exact sum worth beginning?  What may compiling take? */
#ifndef ATTN_DRIVER_LIMIT_H
#define ATTN_DRIVER_LIMIT_H

#include "driver/bind.h"

/* False, with the cost and the edges that cause it printed, where summing the edges of some component takes more than
 * `max` weight evaluations at these sizes (0: the default). */
bool limit_holds(Arena *arena, const Loaded *l, const Inputs *in, double max);

/* What compiling may take of the arena, beside which LLVM has its own: a message and less than 1 GB where a model asks
 * for more. The largest example takes a hundredth of it. */
#define COMPILE_MOST_GIB 0.625

/* Bytes, by the options, for arena_allow. */
size_t limit_of_memory(const Options *o);
/* What is said when an arena is over that limit. */
void limit_of_memory_reached(const Options *o);

#endif
