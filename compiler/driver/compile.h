/* compile: what `attn compile` is made of. */
#ifndef ATTN_DRIVER_COMPILE_H
#define ATTN_DRIVER_COMPILE_H

#include "back/back.h"
#include "driver/bind.h"

/* The text of STEM.h: the interface, the prototype, names for the places of inputs, outputs and sizes. */
const char *compile_header(Arena *arena, const Model *m, const Kernel *k, const BackOptions *o, const BackNeeds *needs);

/* Makes the shared object `path` of an object file, with the runtime and the C library's mathematics.  False after
 * a message. */
bool compile_link(Arena *arena, const char *path, const void *object, size_t n);

#endif
