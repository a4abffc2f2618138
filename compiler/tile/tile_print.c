/* tile_print: plans as text, for people. */
#include "tile/tile.h"

static void print_values(const char *what, const ValVec *v, FILE *to) {
  if (!v->n) return;
  fprintf(to, "    %s:", what);
  for (uint32_t n = 0; n < v->n; n++) fprintf(to, " %%%u", v->at[n]);
  fputc('\n', to);
}

static const char *use_name(TileUse u) {
  switch (u) {
    case USE_REDUCE: return "reduced pair by pair";
    case USE_WEIGHTED: return "weighted, pair by pair";
    case USE_CONTRACT: return "contraction over the columns";
  }
  return "";
}

static void print_feature(const TileFeature *f, FILE *to) {
  const char *form = f->is_log ? ", the log of a sum of products" : f->is_dot ? ", a sum of products of bf16" : "";
  fprintf(to, "    feature loop %%%u, on tiles%s", f->loop->index, form);
  if (f->outer) fprintf(to, ", in the sum over %%%u", f->outer->index);
  fputc('\n', to);
  for (uint32_t n = 0; n < f->row_by.n; n++) fprintf(to, "      %%%u takes %%%u\n", f->scaled_row, f->row_by.at[n].v);
  for (uint32_t n = 0; n < f->col_by.n; n++) fprintf(to, "      %%%u takes %%%u\n", f->scaled_col, f->col_by.at[n].v);
  print_values("  packed by row", &f->row, to);
  print_values("  packed by column", &f->col, to);
}

static void print_acc(const TileAcc *a, FILE *to) {
  fprintf(to, "    %s: %s", ir_acc_name(a->acc->kind), use_name(a->use));
  if (a->factor) fprintf(to, ", factor %%%u", a->factor);
  if (a->panel) fprintf(to, ", panel %%%u", a->panel);
  if (a->rounds) fputs(", weights rounded to bf16", to);
  fputc('\n', to);
}

static void print_stream(const TileStream *s, FILE *to) {
  fprintf(to, "  columns %%%u", s->loop->index);
  if (s->why) {
    fprintf(to, ": a scalar loop, since %s\n", s->why);
    return;
  }
  fprintf(to, ": tiles of %u x %u, blocks of %u x %u\n", s->shape.rows, s->shape.vectors * s->shape.lanes,
          s->shape.row_block, s->shape.col_block);
  print_values("of rows", &s->row, to);
  print_values("of columns", &s->col, to);
  if (s->across) {
    fprintf(to, "    across the rows, in place of the loop over %%%u: of e^%%%u\n", s->across->loop->index,
            s->across->log_w);
    print_values("of columns, then", &s->across->late, to);
  }
  print_values("of diagonals", &s->diagonal, to);
  for (uint32_t n = 0; n < s->features.n; n++) print_feature(&s->features.at[n], to);
  for (uint32_t n = 0; n < s->weights.n; n++) fprintf(to, "    weight: e^%%%u\n", s->weights.at[n].body);
  for (uint32_t n = 0; n < s->accs.n; n++) print_acc(&s->accs.at[n], to);
  print_values("checked on tiles", &s->checks, to);
  print_values("left to the scalar code", &s->exceptions, to);
}

void tile_print(const TilePlan *p, FILE *to) {
  for (uint32_t n = 0; n < p->rows.n; n++) {
    const TileRows *r = p->rows.at[n];
    fprintf(to, "rows %%%u\n", r->loop->index);
    for (uint32_t k = 0; k < r->streams.n; k++) print_stream(r->streams.at[k], to);
  }
}
