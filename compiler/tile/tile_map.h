/* tile_map: which parts of a tiled stream its mask leaves empty or full, in numbers, when the sizes are known.
 *
 * The code of a tiled stream asks of every block of rows and columns, and of every register tile in it, whether its
 * mask may hold for a pair and whether it must (back/tile_mask.c).  This is the same question, asked before anything
 * runs: what does not depend on data has the answer that the code will find. */
#ifndef ATTN_TILE_TILE_MAP_H
#define ATTN_TILE_TILE_MAP_H

#include "tile/tile.h"

/* How a comparison of a mask, or another part that is no formula of others, is decided. */
typedef enum {
  MASK_BY_INTERVALS, /* from the sizes and the ranges of rows and columns */
  MASK_BY_DATA,      /* from the least and greatest values of data in these, when the code runs */
  MASK_BY_PAIR       /* by no interval: every pair is looked at */
} MaskRule;

typedef struct MaskPart {
  Val v;
  MaskRule rule;
} MaskPart;
typedef VEC(MaskPart) MaskParts;

/* The parts of a stream's mask in the order of the text; none where it has no mask. */
void tile_mask_parts(Arena *arena, const TilePlan *p, const TileRows *rows, const TileStream *s, MaskParts *parts);

/* Operations on ints through which intervals pass. */
bool tile_passes_interval(IrOp op);

/* How many parts of one size are empty, are full, or are neither as far as intervals of indices and sizes tell.
 * lines < all_lines: counted in so many lines of parts, spread evenly over the rows. */
typedef struct TileCount {
  bool known;
  double empty, partial, full;
  int64_t lines, all_lines;
} TileCount;

/* Of pairs, `full` are those that the mask admits, and `partial` depend on data.  Not known where a range is not. */
typedef struct TileMap {
  TileCount blocks, tiles, pairs;
} TileMap;

/* sizes: by place in Kernel.sizes, `nsizes` of them; -1: not known. */
TileMap tile_map(Arena *arena, const TilePlan *p, const TileRows *rows, const TileStream *s, const int64_t *sizes,
                 uint32_t nsizes);

#endif
