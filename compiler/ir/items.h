/* items: what each instruction of a region, with everything inside it if it is a loop, reads and writes: which of them
 * may change places. */
#ifndef ATTN_IR_ITEMS_H
#define ATTN_IR_ITEMS_H

#include "ir/ir.h"

typedef VEC(uint32_t) ItemList;

typedef struct Item {
  ItemList uses;          /* places in the same region, all before this one */
  ItemList loads, stores; /* Array.id, of temporaries and outputs */
} Item;

typedef struct Items Items;

/* Of a kernel, once. */
Items *items_new(Arena *arena, const Kernel *k);
/* By place in the region. */
Item *items_of(Items *items, const Region *r);
/* Whether they share an array. */
bool items_meet(const ItemList *x, const ItemList *y);
/* Whether one stores into an array that the other loads or stores: their order matters. */
bool items_conflict(const Item *x, const Item *y);

#endif
