/* output: where the results of a run go. */
#ifndef ATTN_DRIVER_OUTPUT_H
#define ATTN_DRIVER_OUTPUT_H

#include "driver/execute.h"

/* Whether `path` (-o; NULL: print) can take the model's outputs; a message and false otherwise. */
bool output_plan(const Model *m, const char *path);
/* Prints or writes all. */
bool output_results(Arena *arena, const Results *r, const char *path);

double output_element(const AttnArray *a, int64_t at); /* element number `at` of a result; NAN of types that none has */

/* One array as text: in full where it is small, else shape, min, mean, max. */
void show_array(Arena *arena, const char *name, const AttnArray *a, FILE *to);

#endif
