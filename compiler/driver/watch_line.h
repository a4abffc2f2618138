/* watch_line: see watch_line.c; apart from watch.c for the names of the algebra and of machine code do not mix. */
#ifndef ATTN_DRIVER_WATCH_LINE_H
#define ATTN_DRIVER_WATCH_LINE_H

#include "model/model.h"

/* The first line in which a latent takes gradient steps; NULL: all are closed. */
const Infer *gradient_line(Arena *arena, const Model *m);

/* By Latent.id: does it take gradient steps? */
const bool *gradient_latents(Arena *arena, const Model *m);

/* Is every step closed, whatever the data?  Then none lowers F. */
bool steps_are_closed(Arena *arena, const Model *m);

#endif
