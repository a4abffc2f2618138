/* tile_pack: what the files that pack operands share: tile_pack.c, tile_check.c, tile_panel.c. */
#ifndef ATTN_BACK_TILE_PACK_H
#define ATTN_BACK_TILE_PACK_H

#include "back/tile.h"

/* The variable of a loop over features, or of an axis, at number d. */
void pack_set_feature(Emit *e, Val index, Val lo, Val hi, LLVMValueRef d);
/* Calls put(ctx, d) for d = 0, n, 2n, .. below full, n being the lanes: as many of them in a row as a tile is wide,
 * then the rest. */
void pack_vectors(Tile *t, LLVMValueRef full, void (*put)(Tile *t, const void *ctx, LLVMValueRef d), const void *ctx);

/* ---- tile_check.c: checks of a region that are decided where rows (or columns) are packed ----------- */

/* feature: those that depend on one; else the others. */
void check_need(const Tile *t, const Region *r, bool columns, bool feature, Need *n);
bool check_any(const Tile *t, const Region *r, bool columns, bool feature);
/* A guard that is not known here is taken to hold: the scalar code then decides. */
void check_emit(Tile *t, const Region *r, bool columns, bool feature);
/* Checks of an inner loop that are the same for all of its features. */
void check_emit_once(Tile *t, const Region *r, bool columns, LLVMValueRef extent);

/* ---- tile_panel.c ---------------------------------------------------------------------------------- */

/* Of accumulator k the vector of the column in e->val, number `at` in the block; pick: of the axis region. */
void pack_axis(Tile *t, uint32_t k, const bool *pick, LLVMValueRef at);

#endif
