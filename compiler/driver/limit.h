/* limit: is an exact sum worth beginning? */
#ifndef ATTN_DRIVER_LIMIT_H
#define ATTN_DRIVER_LIMIT_H

#include "driver/bind.h"

/* False, with the cost and the edges that cause it printed, where summing the edges of some component takes more than
 * `max` weight evaluations at these sizes (0: the default). */
bool limit_holds(Arena *arena, const Loaded *l, const Inputs *in, double max);

#endif
