/* tile_dot: which sums of products, and which means, are computed from the bits of bf16 inputs, where the target can
 * do that. */
#ifndef ATTN_TILE_TILE_DOT_H
#define ATTN_TILE_TILE_DOT_H

#include "tile/tile.h"

/* Whether a feature loop is the sum of c a(i, d) b(j, d) of bf16 inputs; *to then says of what (TileFeature.is_dot).
 * rows: with the dependence of all values of the stream. */
bool tile_dot_find(Arena *arena, const Kernel *k, const TileRows *rows, const Loop *l, TileFeature *to);
/* Sets TileAcc.rounds of the stream's accumulators. */
void tile_dot_rounding(const Kernel *k, const TileRows *rows, TileStream *s);

#endif
