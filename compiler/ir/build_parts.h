/* build_parts: what the files of the builder share. */
#ifndef ATTN_IR_BUILD_PARTS_H
#define ATTN_IR_BUILD_PARTS_H

#include "ir/build.h"

/* A pure instruction: shared if it exists, else placed in the outermost region possible. */
Val build_pure(Builder *b, Instr i);
Val build_effect(Builder *b, Instr i, Region *at);   /* one that stays where it is put, last in that region */
Val build_instr(Builder *b, Instr i, Region *home);  /* a value of a region, without a place in its code */
Region *build_region(Builder *b, Region *parent, Loop *loop);
/* An array that no instruction declares yet; its ARRAY instruction, in a region. */
Array *build_new_array(Builder *b, ArrayKind kind, const char *name, StoreType elem, uint32_t rank, const Val *dims);
void build_declare(Builder *b, Array *a, Region *at);
/* The innermost region at or around r in which stores into a may stand: nothing that reads it leaves that one. */
Region *build_storing(Region *r, const Array *a);
Region *build_deeper(Region *x, Region *y);
bool build_is_truth(const Builder *b, Val v, bool x); /* is v that constant? */

#endif
