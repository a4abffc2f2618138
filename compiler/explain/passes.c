/* passes: see passes.h.
 *
 * The passes are those of the kernel as derived; how one runs is read off the tile plan of the kernel as it is built,
 * in which the same loop has the same place in the model.  What the plan refuses is said in its own words. */
#include "explain/passes.h"

#include <math.h>

#include "explain/explain.h"
#include "tile/tile_map.h"

typedef VEC(const char *) Texts;

typedef struct Pass {
  const Facts *f;       /* of the kernel as built */
  const Stream *stream; /* there; NULL: it is no loop there */
  const TileRows *rows;
  const TileStream *tile; /* NULL: not on tiles, since `why` */
  const char *why;
  const TileRows *beside; /* whose blocks do this pass for their columns; NULL: none do */
  bool in_blocks; /* no tiles, but blocks of values and lines in vectors (tile/tile_ragged.c) */
  Texts contracted, panels, pairwise, diagonals, exceptions;
  MaskParts support;
  TileMap map;
} Pass;

static const char *name(const Facts *f, Sym s) { return sym_text(f->m->names, s); }

/* ---- which pass is which --------------------------------------------------------------------------------------- */

static bool same_place(const Stream *a, const Stream *b) {
  return a->loop->span.lo == b->loop->span.lo && a->loop->span.hi == b->loop->span.hi;
}

/* Among the streams of one place, the one of the same number. */
static const Stream *counterpart(const Facts *f, const Stream *s, const Facts *among) {
  uint32_t before = 0;
  for (const Stream *x = f->streams.at; x < s; x++) before += same_place(x, s);
  for (uint32_t n = 0; n < among->streams.n; n++)
    if (same_place(&among->streams.at[n], s) && !before--) return &among->streams.at[n];
  return NULL;
}

static const char *why_unplanned(const Facts *f, const Pass *p) {
  if (!p->stream) return "the terms of its two values are written out";
  if (!f->build->tiles) return f->build->scalar;
  if (tile_repeats(f->build->tiles->k, p->stream->loop)) return "its values are all alike";
  if (p->stream->outer)
    return arena_printf(f->arena, "it runs inside the pass over %s", loop_name(p->f, p->stream->outer));
  return "the loop directly around it is not parallel";
}

static const TileRows *rows_beside(const TilePlan *plan, const TileRows *of) {
  for (uint32_t r = 0; r < plan->rows.n; r++) {
    const TileRows *rows = plan->rows.at[r];
    const TileAcross *a = rows->streams.n == 1 ? rows->streams.at[0]->across : NULL;
    if (a && a->loop == of->loop) return rows;
  }
  return NULL;
}

/* Without what describe adds. */
static Pass find_pass(const Facts *f, const Stream *s) {
  Pass p = {.f = f->built, .stream = f->built ? counterpart(f, s, f->built) : NULL};
  const TilePlan *plan = p.stream ? f->build->tiles : NULL;
  for (uint32_t r = 0; plan && r < plan->rows.n; r++) {
    const TileRows *rows = plan->rows.at[r];
    for (uint32_t n = 0; n < rows->streams.n; n++)
      if (rows->streams.at[n]->loop == p.stream->loop) p.rows = rows, p.tile = rows->streams.at[n];
  }
  if (p.rows) p.beside = rows_beside(plan, p.rows);
  if (p.tile && !p.tile->why) return p;
  p.in_blocks = plan && tile_in_blocks(plan, p.stream->loop);
  if (f->build) p.why = p.tile ? p.tile->why : why_unplanned(f, &p);
  p.tile = NULL;
  return p;
}

bool passes_any_scalar(const Facts *f) {
  for (uint32_t n = 0; n < f->streams.n; n++)
    if (!find_pass(f, &f->streams.at[n]).tile) return true;
  return !f->streams.n;
}

/* ---- what tiles compute ---------------------------------------------------------------------------------------- */

static void add(const Facts *f, Texts *to, const char *text) {
  for (uint32_t n = 0; n < to->n; n++)
    if (!strcmp(to->at[n], text)) return;
  vec_push(f->arena, to, text);
}

static void add_values(const Facts *f, Texts *to, const ValVec *values) {
  for (uint32_t n = 0; n < values->n; n++) add(f, to, value_text(f, values->at[n]));
}

static void add_feature(const Facts *f, const TileFeature *x, Texts *to) {
  const char *over = loop_name(f, tile_feature_whole(x));
  if (x->is_log) {
    const char *row = value_text(f, x->log_row), *col = value_text(f, x->log_col);
    add(f, to, arena_printf(f->arena, "log of the sum over %s of exp(%s) * exp(%s)", over, row, col));
    return;
  }
  const Loop *l = tile_feature_whole(x);
  for (uint32_t n = 0; n < l->accs.n; n++) {
    const Acc *a = l->accs.at[n];
    const char *how = x->is_dot ? ", in products of bf16" : "";
    add(f, to, arena_printf(f->arena, "%s over %s of %s%s", ir_acc_name(a->kind), over, value_text(f, a->body.x), how));
  }
}

static void describe(const TilePlan *plan, Pass *p) {
  const Facts *f = p->f;
  const TileStream *t = p->tile;
  for (uint32_t n = 0; n < t->features.n; n++) add_feature(f, &t->features.at[n], &p->contracted);
  for (uint32_t n = 0; n < t->weights.n; n++)
    add(f, &p->pairwise, arena_printf(f->arena, "exp(%s)", value_text(f, t->weights.at[n].body)));
  for (uint32_t n = 0; n < t->accs.n; n++) {
    const char *what = p->stream->carries[n];
    if (t->accs.at[n].rounds) what = arena_printf(f->arena, "%s, with weights rounded to bf16", what);
    add(f, t->accs.at[n].use == USE_CONTRACT ? &p->panels : &p->pairwise, what);
  }
  add_values(f, &p->diagonals, &t->diagonal);
  add_values(f, &p->exceptions, &t->exceptions);
  tile_mask_parts(f->arena, plan, p->rows, t, &p->support);
  p->map = tile_map(f->arena, plan, p->rows, t, f->sizes, f->sizes ? f->m->sizes.n : 0);
}

static Pass pass_of(const Facts *f, const Stream *s) {
  Pass p = find_pass(f, s);
  if (p.tile) describe(f->build->tiles, &p);
  return p;
}

static uint32_t tile_columns(const TileStream *t) { return t->shape.vectors * t->shape.lanes; }

/* Columns of a span; 0: the columns of a row are not shared. */
static uint32_t span_columns(const Pass *p) {
  const Loop *row = p->rows->loop, *col = p->tile->loop;
  Val bound[] = {row->lo, row->hi, col->lo, col->hi};
  if (p->rows->streams.n != 1) return 0;
  for (uint32_t n = 0; n < 4; n++)
    if (!ir_follows_from_sizes(p->f->k, bound[n])) return 0;
  return p->tile->shape.col_block * TILE_SPAN_BLOCKS;
}

/* Whether empty parts are left out. */
static bool passes_over(const Pass *p) { return tile_passes_over(p->f->k, p->rows, p->tile->loop); }

/* ---- as text --------------------------------------------------------------------------------------------------- */

static void print_list(const char *what, const Texts *list, FILE *to) {
  for (uint32_t n = 0; n < list->n; n++) fprintf(to, "%s%s", n ? ", " : what, list->at[n]);
  if (list->n) fputc('\n', to);
}

static const char *rule_text(MaskRule r) {
  switch (r) {
  case MASK_BY_INTERVALS: return "decided by intervals";
  case MASK_BY_DATA: return "depends on data: decided at run time, from the least and greatest values per block";
  case MASK_BY_PAIR: return "looked at pair by pair";
  }
  return "?";
}

static bool has_rule(const Pass *p, MaskRule rule) {
  for (uint32_t n = 0; n < p->support.n; n++)
    if (p->support.at[n].rule == rule) return true;
  return false;
}

static void print_support(const Pass *p, MaskRule rule, FILE *to) {
  Texts list = {0};
  for (uint32_t n = 0; n < p->support.n; n++)
    if (p->support.at[n].rule == rule) add(p->f, &list, value_text(p->f, p->support.at[n].v));
  print_list(arena_printf(p->f->arena, "    %s: ", rule_text(rule)), &list, to);
}

static double share(const TileCount *c, double x) {
  double all = c->empty + c->partial + c->full;
  return c->known && all > 0 ? x / all : (double)NAN;
}

static double percent(const TileCount *c, double x) { return 100 * share(c, x); }

static void print_sample(const TileCount *c, const char *lines, FILE *to) {
  if (c->lines < c->all_lines)
    fprintf(to, " (of a sample: %lld of %lld %s)", (long long)c->lines, (long long)c->all_lines, lines);
  fputc('\n', to);
}

static void print_parts(const Pass *p, const TileCount *c, const char *what, uint32_t rows, uint32_t columns,
                        FILE *to) {
  if (isnan(share(c, 0))) return;
  const char *partial = has_rule(p, MASK_BY_DATA) ? "partial or left to data" : "partial";
  fprintf(to, "      %s of %u x %u: %.3g %% empty, %.3g %% %s, %.3g %% full", what, rows, columns, percent(c, c->empty),
          percent(c, c->partial), partial, percent(c, c->full));
  print_sample(c, "lines of them", to);
}

static void print_pairs(const TileCount *c, FILE *to) {
  if (isnan(share(c, 0))) return;
  double least = percent(c, c->full), most = percent(c, c->full + c->partial);
  if (c->partial > 0)
    fprintf(to, "      pairs: from %.3g %% to %.3g %% live, as data decide", least, most);
  else
    fprintf(to, "      pairs: %.3g %% live", least);
  print_sample(c, "rows", to);
}

static void print_map(const Pass *p, FILE *to) {
  const TileShape *s = &p->tile->shape;
  const TileMap *m = &p->map;
  if (!p->tile->loop->mask) {
    fputs("    no condition: every block is full\n", to);
    return;
  }
  if (!passes_over(p)) fputs("    no block is passed over: what the conditions leave out is checked too\n", to);
  for (int r = MASK_BY_INTERVALS; r <= MASK_BY_PAIR; r++) print_support(p, (MaskRule)r, to);
  if (!m->blocks.known) fputs("      what that leaves of the blocks follows from the sizes: give them to see it\n", to);
  print_parts(p, &m->blocks, "blocks", s->row_block, s->col_block, to);
  print_parts(p, &m->tiles, "register tiles", s->rows, tile_columns(p->tile), to);
  print_pairs(&m->pairs, to);
}

static void print_tiled(const Pass *p, FILE *to) {
  const TileShape *s = &p->tile->shape;
  const char *row = loop_name(p->f, p->rows->loop), *col = loop_name(p->f, p->tile->loop);
  fprintf(to, "    on register tiles of %u rows (%s) x %u columns (%s), in blocks of at most %u x %u\n", s->rows, row,
          tile_columns(p->tile), col, s->row_block, s->col_block);
  if (span_columns(p)) fprintf(to, "      threads that lack rows share columns, in spans of %u\n", span_columns(p));
  if (p->beside)
    fprintf(to, "      of 1 to %d values, beside the sums over %s that read its results: not by itself\n",
            TILE_ACROSS_ROWS, row);
  print_list("      contracted in registers: ", &p->contracted, to);
  print_list("      contracted with panels of columns: ", &p->panels, to);
  print_list("      pair by pair: ", &p->pairwise, to);
  print_list(arena_printf(p->f->arena, "      once for every difference of %s and %s: ", row, col), &p->diagonals, to);
  print_list("      rows with a pair where this holds go one value after another: ", &p->exceptions, to);
  print_map(p, to);
}

static bool may_be_reordered(const Facts *f, const Stream *s) {
  for (uint32_t n = 0; n < f->orders.n; n++)
    if (f->orders.at[n].edge == s->edge && !f->orders.at[n].why) return true;
  return false;
}

void passes_text(const Facts *f, const Stream *s, FILE *to) {
  if (!f->build) return;
  Pass p = pass_of(f, s);
  if (p.tile)
    print_tiled(&p, to);
  else if (!p.stream)
    fputs("    no loop: the terms of its two values are written out\n", to);
  else if (p.in_blocks)
    fprintf(to, "    in blocks of %d values, what each carries in vectors; not on tiles, since %s\n", TILE_GATHER_BLOCK,
            p.why);
  else
    fprintf(to, "    one value after another, since %s\n", p.why);
  if (may_be_reordered(f, s)) fputs("    that is the first of two orders of its sums (below)\n", to);
}

void workspace_text(const Facts *f, FILE *to) {
  if (!f->build) return;
  if (f->build->each < 0)
    fputs("  a thread's workspace follows from the sizes: give them to see it\n", to);
  else
    fprintf(to, "  a thread's workspace: %.0f bytes\n", f->build->each);
  if (!passes_any_scalar(f))
    fputs("  it holds operands, tiles and states of one block of rows and columns at a time\n", to);
}

/* ---- as JSON --------------------------------------------------------------------------------------------------- */

static void write_texts(Json *j, const char *key, const Texts *list) {
  json_open(j, key, '[');
  for (uint32_t n = 0; n < list->n; n++) json_string(j, NULL, list->at[n]);
  json_close(j, ']');
}

static void write_shape(Json *j, const Pass *p) {
  const TileShape *s = &p->tile->shape;
  uint32_t span = span_columns(p);
  json_open(j, "shape", '{');
  json_int(j, "rows", s->rows);
  json_int(j, "columns", tile_columns(p->tile));
  json_int(j, "row_block", s->row_block);
  json_int(j, "column_block", s->col_block);
  json_real(j, "span_columns", span ? (double)span : (double)NAN);
  json_close(j, '}');
}

static void write_support(Json *j, const Pass *p) {
  static const char *const DECIDED[] = {
      [MASK_BY_INTERVALS] = "intervals", [MASK_BY_DATA] = "data", [MASK_BY_PAIR] = "pair"};
  json_open(j, "support", '[');
  for (uint32_t n = 0; n < p->support.n; n++) {
    json_open(j, NULL, '{');
    json_string(j, "condition", value_text(p->f, p->support.at[n].v));
    json_string(j, "decided_by", DECIDED[p->support.at[n].rule]);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_count(Json *j, const TileCount *c) {
  json_real(j, "empty", share(c, c->empty));
  json_real(j, "partial", share(c, c->partial));
  json_real(j, "full", share(c, c->full));
  json_bool(j, "sampled", c->lines < c->all_lines);
}

static void write_tiled(Json *j, const Pass *p) {
  const TileCount *pairs = &p->map.pairs;
  write_shape(j, p);
  write_texts(j, "contracted", &p->contracted);
  write_texts(j, "panels", &p->panels);
  write_texts(j, "pairwise", &p->pairwise);
  write_texts(j, "diagonals", &p->diagonals);
  write_texts(j, "exceptions", &p->exceptions);
  write_support(j, p);
  json_open(j, "blocks", '{');
  write_count(j, &p->map.blocks);
  json_real(j, "live_pairs", pairs->partial > 0 ? (double)NAN : share(pairs, pairs->full));
  json_bool(j, "live_pairs_sampled", pairs->lines < pairs->all_lines);
  json_bool(j, "passed_over", passes_over(p));
  json_close(j, '}');
  json_open(j, "tiles", '{');
  write_count(j, &p->map.tiles);
  json_close(j, '}');
}

static void write_pass(const Facts *f, Json *j, const Stream *s) {
  Pass p = pass_of(f, s);
  json_open(j, NULL, '{');
  json_string(j, "edge", name(f, s->edge->name));
  json_string(j, "under", s->under);
  json_bool(j, "tiled", p.tile != NULL);
  json_string(j, "why", p.why);
  json_bool(j, "in_blocks", p.in_blocks);
  json_bool(j, "beside_sums", p.beside != NULL);
  if (p.tile)
    write_tiled(j, &p);
  else {
    json_string(j, "shape", NULL);
    json_string(j, "blocks", NULL);
  }
  json_close(j, '}');
}

void passes_json(const Facts *f, Json *j) {
  json_open(j, "passes", '[');
  for (uint32_t n = 0; n < f->streams.n; n++) write_pass(f, j, &f->streams.at[n]);
  json_close(j, ']');
}

void workspace_json(const Facts *f, Json *j) {
  bool known = f->build != NULL;
  json_open(j, "workspace", '{');
  json_real(j, "shared_bytes", known && f->build->shared >= 0 ? f->build->shared : (double)NAN);
  json_real(j, "thread_bytes", known && f->build->each >= 0 ? f->build->each : (double)NAN);
  json_close(j, '}');
}
