/* The block map against counting pair by pair, and the workspace that is foretold against the kernel's own. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "back/back.h"
#include "front/parse.h"
#include "infer/derive.h"
#include "ir/pass.h"
#include "model/check.h"
#include "tile/tile_map.h"

typedef struct Mapped {
  Arena arena;
  Interner names;
  Diags diags;
  Kernel *k;
  TilePlan *plan;
  const TileRows *rows;
  const TileStream *s;
} Mapped;

/* condition: "" or "where ..". */
static void plan(Mapped *t, const char *condition) {
  char text[512];
  snprintf(text, sizeof text,
           "model t(M, N, W, D, C) {\ndata q: [M, D], k: [N, D], v: [N, C], doc: int[N], last: int\nfor i in M {\n"
           " edge phi in N %s\n potential exp(dot(q[i], k[phi]))\n out o[i] = E[v[phi]]\n}\n}\n",
           condition);
  arena_init(&t->arena, NULL);
  Source *source = source_from_text(&t->arena, "t.attn", text, strlen(text));
  intern_init(&t->names, &t->arena);
  diag_init(&t->diags, &t->arena, source);
  const File *file = parse_file(&t->arena, &t->names, &t->diags, source);
  const ModelFile *models = check_file(&t->arena, &t->names, &t->diags, source, file);
  cr_assert_eq(models->models.n, 1, "%s", text);
  t->k = derive_kernel(&t->arena, plan_model(&t->arena, models->models.at[0]));
  t->k = ir_run_passes(&t->arena, t->k, NULL);
  t->plan = tile_plan(&t->arena, t->k, &(TileTarget){.lanes = 8, .registers = 16});
  for (uint32_t n = 0; n < t->plan->rows.n; n++) {
    t->rows = t->plan->rows.at[n];
    t->s = t->rows->streams.at[0];
  }
  cr_assert(t->s && !t->s->why, "%s: %s", condition, t->s ? t->s->why : "no stream");
}

static TileMap map_of(Mapped *t, int64_t m, int64_t n, int64_t w) {
  int64_t sizes[] = {m, n, w, 4, 4};
  return tile_map(&t->arena, t->plan, t->rows, t->s, sizes, 5);
}

static TileMap map(const char *condition, int64_t m, int64_t n, int64_t w) {
  Mapped t = {0};
  plan(&t, condition);
  TileMap x = map_of(&t, m, n, w);
  arena_free(&t.arena);
  return x;
}

/* ---- against counting ----------------------------------------------------------------------------- */

typedef bool (*Condition)(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w);

static bool up_to(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) { return (void)w, j <= i + n - m; }
static bool near(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) {
  return (void)m, (void)n, j <= i && i - j < w;
}
static bool begun(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) { return (void)m, (void)n, j <= i || j < w; }
static bool far(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) {
  return (void)m, (void)n, !(abs((int)(i - j)) <= w);
}
static bool scaled(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) {
  return (void)m, (void)n, (void)w, 2 * j <= i + 3;
}
static bool every(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) {
  return (void)m, (void)n, j <= i && (i - j) % w == 0;
}
static bool groups(int64_t i, int64_t j, int64_t m, int64_t n, int64_t w) { return (void)m, (void)n, i / w == j / w; }

/* exact: whole parts are found, all of them; else some may be called partial. */
static const struct {
  const char *text;
  Condition holds;
  bool exact;
} CONDITIONS[] = {
    {"where phi <= i + N - M", up_to, true},    {"where phi <= i and i - phi < W", near, true},
    {"where phi <= i or phi < W", begun, true}, {"where not (abs(i - phi) <= W)", far, true},
    {"where 2 * phi <= i + 3", scaled, true},   {"where phi <= i and (i - phi) % W == 0", every, false},
    {"where i // W == phi // W", groups, true},
};

static TileCount counted(Condition holds, int64_t m, int64_t n, int64_t w, int64_t height, int64_t width) {
  TileCount c = {.known = true};
  for (int64_t i0 = 0; i0 < m; i0 += height)
    for (int64_t j0 = 0; j0 < n; j0 += width) {
      bool any = false, all = true;
      for (int64_t i = i0; i < i0 + height && i < m; i++)
        for (int64_t j = j0; j < j0 + width && j < n; j++) {
          bool x = holds(i, j, m, n, w);
          any |= x, all &= x;
        }
      c.full += all, c.empty += !any, c.partial += any && !all;
    }
  return c;
}

static void same(const char *what, const TileCount *got, const TileCount *want, bool exact) {
  double all = want->empty + want->partial + want->full;
  cr_expect(got->known && got->lines == got->all_lines, "%s: not counted", what);
  cr_expect_eq(got->empty + got->partial + got->full, all, "%s", what);
  cr_expect(exact ? got->empty == want->empty : got->empty <= want->empty, "%s: %g empty of %g, not %g", what,
            got->empty, all, want->empty);
  cr_expect(exact ? got->full == want->full : got->full <= want->full, "%s: %g full of %g, not %g", what, got->full,
            all, want->full);
}

/* If a part that holds a pair were called empty, or one that lacks a pair full, the shares would be lies. */
Test(tile_map, parts_are_those_that_counting_finds) {
  static const int64_t SIZES[][3] = {{1, 1, 1},      {7, 5, 2},        {480, 256, 100},
                                     {481, 257, 31}, {600, 1000, 300}, {1000, 600, 7}};
  for (size_t c = 0; c < sizeof CONDITIONS / sizeof *CONDITIONS; c++) {
    Mapped t = {0};
    plan(&t, CONDITIONS[c].text);
    for (size_t n = 0; n < sizeof SIZES / sizeof *SIZES; n++) {
      int64_t rows = SIZES[n][0], columns = SIZES[n][1], w = SIZES[n][2];
      const TileShape *shape = &t.s->shape;
      TileMap got = map_of(&t, rows, columns, w);
      TileCount blocks = counted(CONDITIONS[c].holds, rows, columns, w, shape->row_block, shape->col_block);
      TileCount tiles = counted(CONDITIONS[c].holds, rows, columns, w, shape->rows, shape->vectors * shape->lanes);
      TileCount pairs = counted(CONDITIONS[c].holds, rows, columns, w, 1, 1);
      const char *what =
          arena_printf(&t.arena, "%s at %ld x %ld, %ld", CONDITIONS[c].text, (long)rows, (long)columns, (long)w);
      same(arena_printf(&t.arena, "blocks, %s", what), &got.blocks, &blocks, CONDITIONS[c].exact);
      same(arena_printf(&t.arena, "tiles, %s", what), &got.tiles, &tiles, CONDITIONS[c].exact);
      same(arena_printf(&t.arena, "pairs, %s", what), &got.pairs, &pairs, true);
    }
    arena_free(&t.arena);
  }
}

/* ---- shares ------------------------------------------------------------------------------------------ */

static double share(double x, const TileCount *c) { return x / (c->empty + c->partial + c->full); }

Test(tile_map, a_triangle_is_half_empty) {
  TileMap m = map("where phi <= i", 4096, 4096, 0);
  cr_expect(share(m.tiles.empty, &m.tiles) > 0.48 && share(m.tiles.empty, &m.tiles) < 0.5);
  cr_expect(share(m.tiles.partial, &m.tiles) < 0.03);
  cr_expect_eq(m.pairs.full, 4096.0 * 4097 / 2);
  cr_expect_eq(m.pairs.partial, 0);
  cr_expect_eq(m.tiles.lines, m.tiles.all_lines);
}

Test(tile_map, without_a_condition_all_is_full) {
  TileMap m = map("", 1000, 777, 0);
  cr_expect_eq(share(m.blocks.full, &m.blocks), 1);
  cr_expect_eq(share(m.tiles.full, &m.tiles), 1);
  cr_expect_eq(m.pairs.full, 777000);
}

/* Whatever the data are, what is above the diagonal is empty. */
Test(tile_map, data_leave_parts_open) {
  TileMap m = map("where phi <= i and doc[phi] == 1", 4096, 4096, 0), free = map("where phi <= i", 4096, 4096, 0);
  cr_expect_eq(m.blocks.full, 0);
  cr_expect_eq(m.blocks.empty, free.blocks.empty);
  cr_expect_eq(m.tiles.empty, free.tiles.empty);
  cr_expect(m.pairs.partial > 0);
}

Test(tile_map, unknown_sizes_are_not_counted) {
  cr_expect_not(map("where phi <= i", -1, 4096, 0).blocks.known);
  cr_expect_not(map("where phi <= i", 4096, -1, 0).pairs.known);
  TileMap m = map("where phi <= i and i - phi < W", 4096, 4096, -1);
  cr_expect(m.blocks.known && m.blocks.full == 0 && m.blocks.empty > 0);
  cr_expect_eq(map("where phi <= i", 0, 10, 0).blocks.all_lines, 0);
}

/* Work is bounded, and a part of the lines, evenly spread, stands for all. */
Test(tile_map, large_ones_are_sampled) {
  TileMap m = map("where phi <= i", 1 << 20, 1 << 20, 0);
  cr_expect_lt(m.tiles.lines, m.tiles.all_lines);
  cr_expect_float_eq(share(m.tiles.empty, &m.tiles), 0.5, 1e-3);
  cr_expect_float_eq(share(m.pairs.full, &m.pairs), 0.5, 1e-3);
  TileMap all = map("where (phi - i) % 3 == 0", 1 << 24, 1 << 24, 0);
  cr_expect_not(all.pairs.known);
}

/* ---- words -------------------------------------------------------------------------------------------- */

static void rules(const char *condition, uint32_t n, const MaskRule *want) {
  Mapped t = {0};
  MaskParts parts;
  plan(&t, condition);
  tile_mask_parts(&t.arena, t.plan, t.rows, t.s, &parts);
  cr_assert_eq(parts.n, n, "%s: %u parts", condition, parts.n);
  for (uint32_t k = 0; k < n; k++) cr_expect_eq(parts.at[k].rule, want[k], "%s: part %u", condition, k);
  arena_free(&t.arena);
}

Test(tile_map, parts_of_a_mask_say_what_decides_them) {
  rules("", 0, NULL);
  rules("where phi <= i or i < W", 2, (MaskRule[]){MASK_BY_INTERVALS, MASK_BY_INTERVALS});
  rules("where doc[phi] == doc[i] or not (phi < last)", 2, (MaskRule[]){MASK_BY_DATA, MASK_BY_DATA});
  rules("where doc[phi] == doc[0] and not (phi < last)", 1, (MaskRule[]){MASK_BY_DATA}); /* one value a column */
  rules("where phi <= i and (i - phi) % 3 == 0", 2, (MaskRule[]){MASK_BY_INTERVALS, MASK_BY_PAIR});
}

/* ---- workspace ------------------------------------------------------------------------------------------ */

Test(workspace, is_the_kernels_own) {
  static const int64_t SIZES[][5] = {{100, 100, 0, 64, 64}, {4096, 4096, 0, 7, 130}, {1, 1, 0, 1, 1}};
  for (int tile = 0; tile < 2; tile++) {
    Mapped t = {0};
    plan(&t, "where phi <= i");
    BackOptions options = {.optimise = true, .tile = tile};
    Compiled *c;
    const char *why;
    cr_assert(back_compile(&t.arena, t.k, &options, &c, &why));
    for (size_t n = 0; n < sizeof SIZES / sizeof *SIZES; n++) {
      BackWorkspace w;
      options.sizes = SIZES[n];
      cr_assert(back_workspace(&t.arena, t.k, &options, &w, &why));
      double all = w.shared + w.each;
      cr_expect_eq((double)c->workspace(SIZES[n], 1), all + (all > 0 ? 63 : 0), "%g and %g", w.shared, w.each);
    }
    back_dispose(c);
    arena_free(&t.arena);
  }
}

Test(workspace, is_told_from_the_sizes_that_matter) {
  Mapped t = {0};
  plan(&t, "where phi <= i");
  const char *why;
  BackWorkspace w, some, none;
  BackOptions options = {.optimise = true, .tile = true, .sizes = (int64_t[]){100, 100, 3, 64, 64}};
  cr_assert(back_workspace(&t.arena, t.k, &options, &w, &why));
  options.sizes = (int64_t[]){-1, -1, -1, 64, 64};
  cr_assert(back_workspace(&t.arena, t.k, &options, &some, &why));
  options.sizes = (int64_t[]){100, 100, 3, 64, -1};
  cr_assert(back_workspace(&t.arena, t.k, &options, &none, &why));
  cr_expect(w.each > 0 && none.each < 0);
  cr_expect(some.each == w.each || some.each < 0, "%g %g", some.each, w.each);
  options.cpu = "no such";
  cr_expect_not(back_workspace(&t.arena, t.k, &options, &w, &why));
  arena_free(&t.arena);
}
