/* watch: what becomes of collapsed inference in a run, told to who runs it.
 *
 * The model gets one more output, F after every step, that nobody asked for and nobody sees.  From it: F that is no
 * number or infinite is an error that names the step and the latents; F that falls, or still moves at the end under
 * `tol`, a warning. */
#ifndef ATTN_DRIVER_WATCH_H
#define ATTN_DRIVER_WATCH_H

#include "driver/execute.h"

typedef struct Watch {
  Arena *arena;
  const Loaded *file;
  const Options *options;
  const Model *model;   /* as written */
  const Model *watched; /* with F; the same object where there is nothing to watch */
} Watch;

/* The model to bind, compile and run in place of m: m itself where it has no latents, or where F is not defined. */
Watch watch_model(Arena *arena, const Loaded *l, const Model *m, const Options *o);
/* After a run of w->watched: messages; false: the results are no numbers, and an error was printed. */
bool watch_results(const Watch *w, const Inputs *in, const Results *r);
/* F of every step among the results of w->watched; NULL: there is none.  The first step after which it is lower than
 * before by more than its digits; 0: none. */
const AttnArray *watch_bound(const Watch *w, const Results *r);
int64_t watch_fall(const AttnArray *f);
/* On a terminal, after a second, a line that tells what is going on; until watch_quiet. */
void watch_progress(const Watch *w);
void watch_quiet(void);

#endif
