/* network_words: what explain says of the sum over a network. */
#include <math.h>

#include "driver/network.h"
#include "family_network.h"
#include "model/dim.h"
#include "model/term.h"

enum { MOST_PLATES = 2 };

/* The copies of an instance are at most line[0] lines and line[1] columns apart when counted line by line, and
 * column[1] columns and column[0] lines when counted column by column; false: by no constant. */
typedef struct Apart { int64_t line[MOST_PLATES], column[MOST_PLATES]; } Apart;

static void note_distance(Apart *a, int64_t d, int64_t e) {
  int64_t by_line = d < 0 || (d == 0 && e < 0) ? -1 : 1, by_column = e < 0 || (e == 0 && d < 0) ? -1 : 1;
  int64_t line[] = {d * by_line, e * by_line}, column[] = {d * by_column, e * by_column};
  if (line[0] > a->line[0] || (line[0] == a->line[0] && line[1] > a->line[1])) memcpy(a->line, line, sizeof line);
  if (column[1] > a->column[1] || (column[1] == a->column[1] && column[0] > a->column[0]))
    memcpy(a->column, column, sizeof column);
}

static bool distances(Arena *arena, const Network *net, Apart *to) {
  for (uint32_t k = 0; k < net->parts.n; k++)
    if (net->parts.at[k]->plates.n != net->outer + MOST_PLATES) return false;
  for (uint32_t i = 0; i < net->groups.n; i++) {
    const Group *g = net->groups.at[i];
    for (uint32_t a = 0; a < g->names.n; a++)
      for (uint32_t b = 0; b < a; b++) {
        const Term *const *p = (const Term *const *)g->names.at[a]->args.at + net->outer,
                          *const *q = (const Term *const *)g->names.at[b]->args.at + net->outer;
        int64_t d, e;
        if (!dim_difference(arena, p[0], q[0], &d) || !dim_difference(arena, p[1], q[1], &e)) return false;
        note_distance(to, d, e);
      }
  }
  return true;
}

static const char *size_text(Arena *arena, const Model *m, const Range *r) {
  int64_t zero;
  bool from_zero = dim_difference(arena, r->lo, term_int(arena, 0, r->span), &zero) && !zero;
  const char *hi = term_text(m, arena, r->hi);
  return from_zero ? hi : arena_printf(arena, "(%s - %s)", hi, term_text(m, arena, r->lo));
}

static const char *number(Arena *arena, double x) {
  return x < 1e15 ? arena_printf(arena, "%.0f", x) : arena_printf(arena, "%.2g", x);
}

/* d * size + e + 1, times n */
static const char *copies_words(Arena *arena, int64_t d, const char *size, int64_t e, int64_t n) {
  const char *text = d == 0 ? "" : d == 1 ? size : arena_printf(arena, "%lld %s", (long long)d, size);
  text = *text ? arena_printf(arena, "%s %c %lld", text, e + 1 < 0 ? '-' : '+', (long long)(e + 1 < 0 ? -e - 1 : e + 1))
               : arena_printf(arena, "%lld", (long long)(e + 1));
  return n > 1 ? arena_printf(arena, "%lld (%s)", (long long)n, text) : text;
}

static const char *formula_words(Arena *arena, const Plan *p, const Network *net) {
  Apart a = {0};
  if (!distances(arena, net, &a))
    return "    how many copies a clique has follows from the sizes, and from what data name\n";
  const IndexVec *plates = &net->parts.at[0]->plates;
  const char *rows = size_text(arena, p->model, &plates->at[net->outer]->range),
             *columns = size_text(arena, p->model, &plates->at[net->outer + 1]->range);
  const char *line = copies_words(arena, a.line[0], columns, a.line[1], net->parts.n),
             *column = copies_words(arena, a.column[1], rows, a.column[0], net->parts.n);
  return arena_printf(arena,
                      "    a clique has at most %s copies line by line, and %s column by column; its cells are the "
                      "product of their numbers of values\n",
                      line, column);
}

/* Plates that data begin or end, and how many places there are. */
static const char *room_words(Arena *arena, const Plan *p, const Network *net) {
  const char *text = "";
  for (uint32_t i = 0; i < net->rooms.n; i++) {
    const IndexRoom *r = &net->rooms.at[i];
    bool plate = false;
    for (uint32_t k = 0; k < net->parts.n; k++) plate |= indices_hold(&net->parts.at[k]->plates, r->index);
    if (!plate) continue;
    const char *index = sym_text(p->model->names, r->index->name), *lo = term_text(p->model, arena, r->index->range.lo),
               *hi = term_text(p->model, arena, r->index->range.hi);
    if (r->least.n) text = arena_printf(arena, "%s    '%s' begins at %s and ends at %s", text, index, lo, hi);
    else text = arena_printf(arena, "%s    data end '%s', at %s", text, index, hi);
    text = arena_printf(arena, "%s; tables have places for ", text);
    for (uint32_t k = 0; k < r->room.n; k++)
      text = arena_printf(arena, "%s%s%s", text, k ? " or " : "", term_text(p->model, arena, r->room.at[k]));
    text = arena_printf(arena, "%s%s, and more are an error\n", text, r->room.n > 1 ? ", whichever is more" : "");
  }
  return text;
}

static const char *joins_words(Arena *arena, const Plan *p, const Network *net) {
  const char *text = "";
  for (uint32_t i = 0; i < net->groups.n; i++) {
    const Group *g = net->groups.at[i];
    if (g->names.n < 2) continue;
    text = arena_printf(arena, "%s%s(", text, *text ? ", " : "");
    for (uint32_t k = 0; k < g->names.n; k++)
      text = arena_printf(arena, "%s%s%s", text, k ? "; " : "", term_text(p->model, arena, g->names.at[k]));
    text = arena_printf(arena, "%s)", text);
  }
  return text;
}

static const char *order_words(Arena *arena, const NetworkOrder *o) {
  const char *text =
      arena_printf(arena, "    at these sizes %lld copies; the largest clique joins %lld of them (%s), %s values\n",
                   (long long)o->vars, (long long)o->copies, o->who, number(arena, o->cells));
  text = arena_printf(arena, "%s    %s values in all cliques, %s numbers of 8 bytes kept, twice\n", text,
                      number(arena, o->steps), number(arena, o->kept));
  return o->fits ? text : arena_printf(arena, "%s    that is above the limit\n", text);
}

const char *network_words(Arena *arena, const Plan *p, const Network *net, Known *known) {
  NetworkOrder o;
  const char *text = arena_printf(arena, "    an instance of a weight joins %s\n", joins_words(arena, p, net));
  text = arena_printf(arena,
                      "%s    one copy after another is summed out, each with what it is joined to by then (its "
                      "clique), in the cheapest order found:\n"
                      "    min-fill, ties broken in several ways; smallest clique; line by line; column by column\n",
                      text);
  text = arena_printf(arena, "%s%s%s", text, formula_words(arena, p, net), room_words(arena, p, net));
  if (network_order_at(arena, p, net, known, &o)) text = arena_printf(arena, "%s%s", text, order_words(arena, &o));
  return arena_printf(
      arena, "%s    above %.0f values in a clique, or %.0f numbers kept, it is an error that names the clique\n", text,
      NETWORK_MAX_CELLS, NETWORK_MAX_KEPT);
}
