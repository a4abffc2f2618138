/* back_files: random inputs of the evaluator as the views of a compiled kernel. */
#ifndef TESTS_BACK_FILES_H
#define TESTS_BACK_FILES_H

#include "attn_kernel.h"
#include "ir_testing.h"

/* Fresh arrays in C order on the arena, in the element types of the kernel; outputs are zero. */
void bind_run(Arena *arena, const Kernel *k, const Run *run, attn_view *in, attn_view *out);

#endif
