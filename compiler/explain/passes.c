/* passes: see passes.h.  Everything is read off the tile plan of the kernel and the map of its masks; what the plan
 * refuses is said in its own words. */
#include "explain/passes.h"

#include <math.h>

#include "explain/explain.h"
#include "tile/tile_map.h"

typedef VEC(const char *) Texts;

/* tile: NULL: one value after another, since `why`. */
typedef struct Pass {
  const TileRows *rows;
  const TileStream *tile;
  const char *why;
  Texts contracted, panels, pairwise, diagonals;
  MaskParts support;
  TileMap map;
} Pass;

static const char *name(const Facts *f, Sym s) { return sym_text(f->m->names, s); }

/* ---- what tiles compute ---------------------------------------------------------------------------------------- */

static void add(const Facts *f, Texts *to, const char *text) {
  for (uint32_t n = 0; n < to->n; n++)
    if (!strcmp(to->at[n], text)) return;
  vec_push(f->arena, to, text);
}

static void add_feature(const Facts *f, const TileFeature *x, Texts *to) {
  const char *over = loop_name(f, x->loop);
  if (x->factor[0]) {
    const char *row = value_text(f, x->factor[0]), *col = value_text(f, x->factor[1]);
    add(f, to, arena_printf(f->arena, "the log of the sum over %s of %s * %s", over, row, col));
    return;
  }
  for (uint32_t n = 0; n < x->loop->accs.n; n++) {
    const Acc *a = x->loop->accs.at[n];
    const char *what = a->kind == ACC_SUM ? "sum" : ir_acc_name(a->kind);
    add(f, to, arena_printf(f->arena, "%s over %s of %s", what, over, value_text(f, a->body.x)));
  }
}

static void describe(const Facts *f, const Stream *s, Pass *p) {
  const TileStream *t = p->tile;
  for (uint32_t n = 0; n < t->features.n; n++) add_feature(f, &t->features.at[n], &p->contracted);
  for (uint32_t n = 0; n < t->weights.n; n++)
    add(f, &p->pairwise, arena_printf(f->arena, "exp(%s)", value_text(f, t->weights.at[n].body)));
  for (uint32_t n = 0; n < t->accs.n; n++) add(f, t->accs.at[n].use == USE_CONTRACT ? &p->panels : &p->pairwise, s->carries[n]);
  for (uint32_t n = 0; n < t->diagonal.n; n++) add(f, &p->diagonals, value_text(f, t->diagonal.at[n]));
  tile_mask_parts(f->arena, f->build->tiles, p->rows, t, &p->support);
  p->map = tile_map(f->arena, f->build->tiles, p->rows, t, f->sizes, f->sizes ? f->m->sizes.n : 0);
}

/* ---- why there are none ---------------------------------------------------------------------------------------- */

static const char *why_unplanned(const Facts *f, const Stream *s) {
  if (!f->build->tiles) return f->build->scalar;
  if (s->outer) return arena_printf(f->arena, "it runs inside the pass over %s", loop_name(f, s->outer));
  return "the loop directly around it is not parallel";
}

static Pass pass_of(const Facts *f, const Stream *s) {
  Pass p = {0};
  const TilePlan *plan = f->build ? f->build->tiles : NULL;
  for (uint32_t r = 0; plan && r < plan->rows.n; r++) {
    const TileRows *rows = plan->rows.at[r];
    for (uint32_t n = 0; n < rows->streams.n; n++)
      if (rows->streams.at[n]->loop == s->loop) p.rows = rows, p.tile = rows->streams.at[n];
  }
  if (p.tile && !p.tile->why) {
    describe(f, s, &p);
    return p;
  }
  if (f->build) p.why = p.tile ? p.tile->why : why_unplanned(f, s);
  p.tile = NULL;
  return p;
}

static uint32_t tile_columns(const TileStream *t) { return t->shape.vectors * t->shape.lanes; }

/* Columns of a span; 0: the columns of a row are not shared. */
static uint32_t span_columns(const Facts *f, const Pass *p) {
  const Loop *row = p->rows->loop, *col = p->tile->loop;
  Val bound[] = {row->lo, row->hi, col->lo, col->hi};
  if (p->rows->streams.n != 1) return 0;
  for (uint32_t n = 0; n < 4; n++)
    if (!tile_follows_from_sizes(f->k, bound[n])) return 0;
  return p->tile->shape.col_block * TILE_SPAN_BLOCKS;
}

bool passes_any_scalar(const Facts *f) {
  for (uint32_t n = 0; n < f->streams.n; n++)
    if (!pass_of(f, &f->streams.at[n]).tile) return true;
  return !f->streams.n;
}

/* ---- as text --------------------------------------------------------------------------------------------------- */

static void print_list(const char *what, const Texts *list, FILE *to) {
  for (uint32_t n = 0; n < list->n; n++) fprintf(to, "%s%s", n ? ", " : what, list->at[n]);
  if (list->n) fputc('\n', to);
}

static const char *rule_text(MaskRule r) {
  switch (r) {
    case MASK_BY_INTERVALS: return "decided by intervals";
    case MASK_BY_DATA: return "depends on data: decided at run time, from the least and greatest values of a block";
    case MASK_BY_PAIR: return "looked at pair by pair";
  }
  return "?";
}

static void print_support(const Facts *f, const Pass *p, MaskRule rule, FILE *to) {
  Texts list = {0};
  for (uint32_t n = 0; n < p->support.n; n++)
    if (p->support.at[n].rule == rule) add(f, &list, value_text(f, p->support.at[n].v));
  print_list(arena_printf(f->arena, "    %s: ", rule_text(rule)), &list, to);
}

static bool reads_data(const Pass *p) {
  for (uint32_t n = 0; n < p->support.n; n++)
    if (p->support.at[n].rule == MASK_BY_DATA) return true;
  return false;
}

static double total(const TileCount *c) { return c->empty + c->partial + c->full; }
static double share(const TileCount *c, double x) { return c->known && total(c) > 0 ? x / total(c) : (double)NAN; }
static double percent(const TileCount *c, double x) { return 100 * share(c, x); }

static void print_sample(const TileCount *c, const char *lines, FILE *to) {
  if (c->lines < c->all_lines) fprintf(to, " (of a sample: %lld of %lld %s)", (long long)c->lines, (long long)c->all_lines, lines);
  fputc('\n', to);
}

static void print_parts(const TileCount *c, const char *what, const char *lines, bool data, FILE *to) {
  if (isnan(share(c, 0))) return;
  fprintf(to, "      %s %.3g %% empty, passed over; %.3g %% %s; %.3g %% full, no mask", what, percent(c, c->empty),
          percent(c, c->partial), data ? "partial or left to data" : "partial", percent(c, c->full));
  print_sample(c, lines, to);
}

static void print_pairs(const TileCount *c, FILE *to) {
  if (isnan(share(c, 0))) return;
  double least = percent(c, c->full), most = percent(c, c->full + c->partial);
  if (c->partial > 0) fprintf(to, "      pairs: between %.3g %% and %.3g %% live, as data decide", least, most);
  else fprintf(to, "      pairs: %.3g %% live", least);
  print_sample(c, "rows", to);
}

static void print_map(const Facts *f, const Pass *p, FILE *to) {
  const TileShape *s = &p->tile->shape;
  const TileMap *m = &p->map;
  if (!p->tile->loop->mask) {
    fputs("    no mask: every block is full\n", to);
    return;
  }
  for (int r = MASK_BY_INTERVALS; r <= MASK_BY_PAIR; r++) print_support(f, p, (MaskRule)r, to);
  if (!m->blocks.known) fputs("      what that leaves of the blocks follows from the sizes; give them to see it\n", to);
  bool data = reads_data(p);
  print_parts(&m->blocks, arena_printf(f->arena, "blocks of %u x %u:", s->row_block, s->col_block), "lines of blocks", data, to);
  print_parts(&m->tiles, arena_printf(f->arena, "register tiles of %u x %u:", s->rows, tile_columns(p->tile)), "lines of tiles", data, to);
  print_pairs(&m->pairs, to);
}

void passes_text(const Facts *f, const Stream *s, FILE *to) {
  if (!f->build) return;
  Pass p = pass_of(f, s);
  if (!p.tile) {
    fprintf(to, "    one value after another, since %s\n", p.why);
    return;
  }
  const TileShape *shape = &p.tile->shape;
  fprintf(to, "    on register tiles of %u rows (%s) x %u columns (%s), in blocks of %u x %u\n", shape->rows, loop_name(f, p.rows->loop),
          tile_columns(p.tile), loop_name(f, p.tile->loop), shape->row_block, shape->col_block);
  if (span_columns(f, &p)) fprintf(to, "      threads that lack rows share columns, in spans of %u\n", span_columns(f, &p));
  print_list("      contracted in registers: ", &p.contracted, to);
  print_list("      contracted with panels of columns: ", &p.panels, to);
  print_list("      pair by pair: ", &p.pairwise, to);
  print_list(arena_printf(f->arena, "      once for every difference of %s and %s: ", loop_name(f, p.rows->loop), loop_name(f, p.tile->loop)),
             &p.diagonals, to);
  print_map(f, &p, to);
}

void workspace_text(const Facts *f, FILE *to) {
  if (!f->build) return;
  if (f->build->each >= 0) fprintf(to, "  a thread's workspace: %.0f bytes", f->build->each);
  else fputs("  a thread's workspace follows from the sizes; give them to see it", to);
  fputs(passes_any_scalar(f) ? "\n" : ", for operands, tiles and states of one block of rows and columns\n", to);
}

/* ---- as JSON --------------------------------------------------------------------------------------------------- */

static void write_texts(Json *j, const char *key, const Texts *list) {
  json_open(j, key, '[');
  for (uint32_t n = 0; n < list->n; n++) json_string(j, NULL, list->at[n]);
  json_close(j, ']');
}

static void write_shape(const Facts *f, Json *j, const Pass *p) {
  const TileShape *s = &p->tile->shape;
  uint32_t span = span_columns(f, p);
  json_open(j, "shape", '{');
  json_int(j, "rows", s->rows);
  json_int(j, "columns", tile_columns(p->tile));
  json_int(j, "row_block", s->row_block);
  json_int(j, "column_block", s->col_block);
  json_real(j, "span_columns", span ? (double)span : (double)NAN);
  json_close(j, '}');
}

static void write_support(const Facts *f, Json *j, const Pass *p) {
  static const char *const DECIDED[] = {[MASK_BY_INTERVALS] = "intervals", [MASK_BY_DATA] = "data", [MASK_BY_PAIR] = "pair"};
  json_open(j, "support", '[');
  for (uint32_t n = 0; n < p->support.n; n++) {
    json_open(j, NULL, '{');
    json_string(j, "condition", value_text(f, p->support.at[n].v));
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

static void write_tiled(const Facts *f, Json *j, const Pass *p) {
  const TileCount *pairs = &p->map.pairs;
  write_shape(f, j, p);
  write_texts(j, "contracted", &p->contracted);
  write_texts(j, "panels", &p->panels);
  write_texts(j, "pairwise", &p->pairwise);
  write_texts(j, "diagonals", &p->diagonals);
  write_support(f, j, p);
  json_open(j, "blocks", '{');
  write_count(j, &p->map.blocks);
  json_real(j, "live_pairs", pairs->partial > 0 ? (double)NAN : share(pairs, pairs->full));
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
  if (p.tile) write_tiled(f, j, &p);
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
