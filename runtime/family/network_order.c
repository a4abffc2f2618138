/* network_order: in which order the variables of a network are summed out.
 *
 * Summing out a variable joins all that it shares a factor with: they become the scope of a new factor.  Factors and
 * those new ones are kept as elements, each a list of variables (a quotient graph: George & Liu 1981), so that memory
 * never grows: what is absorbed has more names than what comes of it.
 *
 * Orders that are tried, the one with the fewest cells in all cliques is taken:
 *   min-fill     next is the variable that joins the fewest pairs anew (ties: the fewest cells, then the lowest number)
 *   min-cells    next is the one whose clique is the smallest
 *   by keys      two orders that the caller names: line by line, and column by column
 *   search       min-fill again, ties broken at random, where there are few variables */
#include <math.h>
#include <string.h>

#include "family_network.h"

void *attn_rt_network_take(NetworkWork *w, int64_t count, size_t bytes) {
  int64_t n = (count * (int64_t)bytes + 7) / 8;
  if (n < 1) n = 1;
  if (n > w->left) {
    w->lacking = true;
    return NULL;
  }
  void *at = w->next;
  w->next += n;
  w->left -= n;
  return at;
}

bool attn_rt_network_next(NetworkFactors *f, NetworkFactor *to) {
  const NetworkGraph *net = f->net;
  for (; f->group < net->groups; f->group++, f->in_group = 0) {
    const int64_t *g = net->group + 4 * f->group;
    while (f->in_group < g[0]) {
      const int64_t *scope = net->scope + f->scope;
      int64_t cells = 1;
      bool absent = false;
      for (int64_t k = 0; k < g[1]; k++) absent |= scope[k] == -1;
      cells = g[3];
      *to = (NetworkFactor){scope, net->dims + NETWORK_MAX_SCOPE * f->group, g[1], f->table, cells, g[2] != 0};
      f->in_group++;
      f->scope += g[1];
      f->table += cells;
      if (!absent) return true;
    }
  }
  return false;
}

/* ---- the quotient graph ---------------------------------------------------------------------------------- */

/* A variable in an element. */
typedef struct Incidence { int32_t var, element, before, after, in_element; } Incidence;

typedef struct Graph {
  NetworkGraph *net;
  Incidence *inc;
  int32_t *of_var, *count;       /* by variable: its first incidence, how many */
  int32_t *of_element;           /* by element: its first incidence; -1: dead */
  int32_t free;                  /* incidences to use again */
  int32_t *heap, *where;         /* variables by key; -1: not in it */
  double *key;
  int64_t *mark, stamp, *mark2, stamp2;
  int32_t heap_count;
  int32_t *near, *taken;         /* neighbours of the variable at hand; of the one that is eliminated */
  int32_t widest;
} Graph;

static bool takes_part(const NetworkGraph *net, int64_t v) { return v >= 0 && net->size[v] > 1; }

static void link_incidence(Graph *g, int32_t i, int32_t var, int32_t element) {
  Incidence *x = &g->inc[i];
  *x = (Incidence){var, element, -1, g->of_var[var], g->of_element[element]};
  if (x->after >= 0) g->inc[x->after].before = i;
  g->of_var[var] = i;
  g->of_element[element] = i;
  g->count[var]++;
}

static void unlink_incidence(Graph *g, int32_t i) {
  Incidence *x = &g->inc[i];
  if (x->before >= 0) g->inc[x->before].after = x->after;
  else g->of_var[x->var] = x->after;
  if (x->after >= 0) g->inc[x->after].before = x->before;
  g->count[x->var]--;
}

static void kill_element(Graph *g, int32_t e) {
  for (int32_t i = g->of_element[e]; i >= 0;) {
    int32_t next = g->inc[i].in_element;
    unlink_incidence(g, i);
    g->inc[i].in_element = g->free;
    g->free = i;
    i = next;
  }
  g->of_element[e] = -1;
}

/* Elements of one variable join nothing and are left out. */
static void fill_graph(Graph *g) {
  NetworkGraph *net = g->net;
  NetworkFactors all = {.net = net};
  NetworkFactor f;
  int32_t used = 0, element = 0;
  for (int64_t v = 0; v < net->vars; v++) g->of_var[v] = -1, g->count[v] = 0;
  for (int64_t e = 0; e < net->factors + net->vars; e++) g->of_element[e] = -1;
  while (attn_rt_network_next(&all, &f)) {
    int64_t names = 0;
    g->stamp++;
    for (int64_t k = 0; k < f.names; k++) {
      int64_t v = f.scope[k];
      if (!takes_part(net, v) || g->mark[v] == g->stamp) continue;
      g->mark[v] = g->stamp;
      names++;
    }
    if (names < 2) continue;
    for (int64_t k = 0; k < f.names; k++) {
      int64_t v = f.scope[k];
      if (!takes_part(net, v) || g->mark[v] != g->stamp) continue;
      g->mark[v] = 0;
      link_incidence(g, used++, (int32_t)v, element);
    }
    element++;
  }
  g->free = -1;
  while (used < net->names) g->inc[used].in_element = g->free, g->free = used++;
}

enum { MANY = 64 }; /* a variable in more elements than this waits, and counts as joined to all */

/* The neighbours, into g->near; -1: more than a clique may have. */
static int32_t neighbours(Graph *g, int64_t v) {
  int32_t n = 0;
  g->stamp++;
  g->mark[v] = g->stamp;
  for (int32_t i = g->of_var[v]; i >= 0; i = g->inc[i].after)
    for (int32_t k = g->of_element[g->inc[i].element]; k >= 0; k = g->inc[k].in_element) {
      int32_t u = g->inc[k].var;
      if (g->mark[u] == g->stamp) continue;
      g->mark[u] = g->stamp;
      if (n == g->widest) return -1;
      g->near[n++] = u;
    }
  return n;
}

/* Pairs of the n neighbours that share no element; they are marked with g->stamp. */
static double pairs_apart(Graph *g, int32_t n) {
  double apart = 0;
  int64_t near = g->stamp;
  for (int32_t a = 0; a < n; a++) {
    int32_t u = g->near[a], joined = 0;
    if (g->count[u] > MANY) continue;
    g->stamp2++;
    g->mark2[u] = g->stamp2;
    for (int32_t i = g->of_var[u]; i >= 0; i = g->inc[i].after)
      for (int32_t k = g->of_element[g->inc[i].element]; k >= 0; k = g->inc[k].in_element) {
        int32_t w = g->inc[k].var;
        if (g->mark[w] != near || g->mark2[w] == g->stamp2) continue;
        g->mark2[w] = g->stamp2;
        joined++;
      }
    apart += n - joined; /* itself and the variable are among those seen */
  }
  return apart / 2;
}

typedef enum { BY_FILL, BY_CELLS, BY_FIRST_KEY, BY_SECOND_KEY } Rule;

static double random_unit(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return (double)(x >> 12) * 0x1p-52;
}

static double key_of(Graph *g, int64_t v, Rule rule, int64_t round) {
  const NetworkGraph *net = g->net;
  if (rule == BY_FIRST_KEY || rule == BY_SECOND_KEY) return (double)net->var[3 * v + (rule == BY_FIRST_KEY ? 1 : 2)];
  if (g->count[v] > MANY) return 1e12 + g->count[v];
  int32_t n = neighbours(g, v);
  if (n < 0) return 1e11;
  double log_cells = log((double)net->size[v]);
  for (int32_t k = 0; k < n; k++) log_cells += log((double)net->size[g->near[k]]);
  double tie = round ? random_unit((uint64_t)(v * 64 + round)) : log_cells / 1000;
  return rule == BY_CELLS ? log_cells : pairs_apart(g, n) + tie;
}

/* ---- a heap of variables, the smallest key first, then the lowest number --------------------------------- */

static bool comes_before(const Graph *g, int32_t a, int32_t b) {
  return g->key[a] < g->key[b] || (g->key[a] == g->key[b] && a < b);
}

static void put(Graph *g, int32_t place, int32_t v) {
  g->heap[place] = v;
  g->where[v] = place;
}

static void sift_up(Graph *g, int32_t place) {
  int32_t v = g->heap[place];
  while (place > 0 && comes_before(g, v, g->heap[(place - 1) / 2])) {
    put(g, place, g->heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(g, place, v);
}

static void sift_down(Graph *g, int32_t place) {
  int32_t v = g->heap[place];
  for (;;) {
    int32_t child = 2 * place + 1;
    if (child >= g->heap_count) break;
    if (child + 1 < g->heap_count && comes_before(g, g->heap[child + 1], g->heap[child])) child++;
    if (!comes_before(g, g->heap[child], v)) break;
    put(g, place, g->heap[child]);
    place = child;
  }
  put(g, place, v);
}

static int32_t pop(Graph *g) {
  int32_t v = g->heap[0];
  g->where[v] = -1;
  if (--g->heap_count > 0) {
    put(g, 0, g->heap[g->heap_count]);
    sift_down(g, 0);
  }
  return v;
}

static void change_key(Graph *g, int32_t v, double key) {
  g->key[v] = key;
  sift_up(g, g->where[v]);
  sift_down(g, g->where[v]);
}

/* ---- one order ------------------------------------------------------------------------------------------- */

typedef struct Tally { double cells, kept, steps; int64_t clique; int32_t *in_clique; bool fits; } Tally;

static void tally(Tally *t, const Graph *g, int64_t v, int32_t n) {
  double kept = 1;
  for (int32_t k = 0; k < n; k++) kept *= (double)g->net->size[g->near[k]];
  double cells = kept * (double)g->net->size[v];
  t->kept += kept;
  t->steps += cells;
  if (cells > t->cells) {
    t->cells = cells;
    t->clique = n + 1;
    memcpy(t->in_clique, g->near, (size_t)n * sizeof *g->near);
    t->in_clique[n] = (int32_t)v;
  }
}

static void eliminate(Graph *g, int32_t v, int32_t n, int32_t element) {
  while (g->of_var[v] >= 0) kill_element(g, g->inc[g->of_var[v]].element);
  if (n < 2) return;
  for (int32_t k = 0; k < n; k++) {
    int32_t i = g->free;
    g->free = g->inc[i].in_element;
    link_incidence(g, i, g->near[k], element);
  }
}

/* Variables in no clique come first.  Stops where the order takes more than `best`. */
static Tally try_order(Graph *g, Rule rule, int64_t round, double best, int64_t *order, int32_t *in_clique) {
  NetworkGraph *net = g->net;
  Tally t = {.fits = true, .in_clique = in_clique};
  int64_t done = 0;
  int32_t element = (int32_t)net->factors;
  fill_graph(g);
  g->heap_count = 0;
  for (int64_t v = 0; v < net->vars; v++) {
    if (!takes_part(net, v)) {
      order[done++] = v;
      continue;
    }
    g->key[v] = key_of(g, v, rule, round);
    put(g, g->heap_count, (int32_t)v);
    sift_up(g, g->heap_count++);
  }
  while (g->heap_count) {
    int32_t v = pop(g), n = neighbours(g, v);
    if (n < 0) {
      t.fits = false;
      t.clique = g->widest + 1;
      memcpy(t.in_clique, g->near, (size_t)g->widest * sizeof *g->near);
      t.in_clique[g->widest] = v;
      t.cells = t.steps = t.kept = INFINITY;
      return t;
    }
    tally(&t, g, v, n);
    if (t.steps > best) t.fits = false;
    if (!t.fits && isfinite(best)) return t;
    order[done++] = v;
    memcpy(g->taken, g->near, (size_t)n * sizeof *g->taken);
    eliminate(g, v, n, element++);
    for (int32_t k = 0; k < n && rule <= BY_CELLS; k++) change_key(g, g->taken[k], key_of(g, g->taken[k], rule, round));
  }
  return t;
}

static bool within_limits(const Tally *t) {
  return t->fits && t->cells <= NETWORK_MAX_CELLS && t->kept <= NETWORK_MAX_KEPT;
}

/* ---- separators of the order taken ----------------------------------------------------------------------- */

static void sort_separator(const NetworkGraph *net, int32_t *s, int32_t n) {
  for (int32_t a = 1; a < n; a++)
    for (int32_t b = a; b > 0 && net->at[s[b]] > net->at[s[b - 1]]; b--) {
      int32_t t = s[b];
      s[b] = s[b - 1];
      s[b - 1] = t;
    }
}

/* Within the limits no clique has more than NETWORK_MAX_CLIQUE. */
static void find_separators(Graph *g) {
  NetworkGraph *net = g->net;
  int64_t used = 0;
  int32_t element = (int32_t)net->factors;
  fill_graph(g);
  for (int64_t k = 0; k < net->vars; k++) {
    int64_t v = net->order[k];
    net->first[v] = used;
    net->len[v] = 0;
    if (!takes_part(net, v)) continue;
    int32_t n = neighbours(g, v);
    memcpy(net->member + used, g->near, (size_t)n * sizeof *g->near);
    sort_separator(net, net->member + used, n);
    net->len[v] = n;
    used += n;
    eliminate(g, (int32_t)v, n, element++);
  }
}

/* ---- the search ------------------------------------------------------------------------------------------ */

static bool prepare(Graph *g, NetworkGraph *net, NetworkWork *w) {
  int64_t v = net->vars, e = net->factors + net->vars;
  g->net = net;
  g->inc = attn_rt_network_take(w, net->names, sizeof *g->inc);
  g->of_var = attn_rt_network_take(w, v, sizeof *g->of_var);
  g->count = attn_rt_network_take(w, v, sizeof *g->count);
  g->of_element = attn_rt_network_take(w, e, sizeof *g->of_element);
  g->heap = attn_rt_network_take(w, v, sizeof *g->heap);
  g->where = attn_rt_network_take(w, v, sizeof *g->where);
  g->key = attn_rt_network_take(w, v, sizeof *g->key);
  g->mark = attn_rt_network_take(w, v, sizeof *g->mark);
  g->mark2 = attn_rt_network_take(w, v, sizeof *g->mark2);
  g->widest = net->widest ? (int32_t)net->widest : NETWORK_MAX_CLIQUE;
  g->near = attn_rt_network_take(w, g->widest + 1, sizeof *g->near);
  g->taken = attn_rt_network_take(w, g->widest + 1, sizeof *g->taken);
  net->in_clique = attn_rt_network_take(w, g->widest + 2, sizeof *net->in_clique);
  if (w->lacking) return false;
  memset(g->mark, 0, (size_t)v * sizeof *g->mark);
  memset(g->mark2, 0, (size_t)v * sizeof *g->mark2);
  return true;
}

static void keep_if_better(NetworkGraph *net, Tally *best, const Tally *t, const int64_t *order, int64_t widest) {
  bool first = best->steps == INFINITY && !best->fits;
  if (!first && !(t->fits && t->steps < best->steps)) return;
  int32_t *in_clique = best->in_clique;
  *best = *t;
  best->in_clique = in_clique;
  if (t->clique <= widest + 1) memcpy(in_clique, t->in_clique, (size_t)t->clique * sizeof *in_clique);
  memcpy(net->order, order, (size_t)net->vars * sizeof *order);
}

enum { SEARCH_MAX_VARS = 512 };

bool attn_rt_network_order(NetworkGraph *net, NetworkWork *work) {
  int64_t n = net->vars;
  Graph g = {0};
  net->size = attn_rt_network_take(work, n, sizeof *net->size);
  net->order = attn_rt_network_take(work, n, sizeof *net->order);
  net->at = attn_rt_network_take(work, n, sizeof *net->at);
  net->first = attn_rt_network_take(work, n, sizeof *net->first);
  net->len = attn_rt_network_take(work, n, sizeof *net->len);
  net->member = attn_rt_network_take(work, n * NETWORK_MAX_CLIQUE, sizeof *net->member);
  int64_t *order = attn_rt_network_take(work, n, sizeof *order);
  if (work->lacking || !prepare(&g, net, work)) return false;
  for (int64_t v = 0; v < n; v++) {
    bool held = net->held && net->held[v] >= 0;
    net->size[v] = held || network_is_place(net, v) ? 1 : net->var[3 * v];
  }
  int32_t *in_clique = attn_rt_network_take(work, g.widest + 2, sizeof *in_clique);
  if (!in_clique) return false;
  Tally best = {.steps = INFINITY, .fits = false, .in_clique = net->in_clique};
  for (Rule rule = BY_FILL; rule <= BY_SECOND_KEY; rule++) {
    Tally t = try_order(&g, rule, 0, best.fits ? best.steps : INFINITY, order, in_clique);
    keep_if_better(net, &best, &t, order, g.widest);
  }
  for (int64_t round = 1; round <= NETWORK_SEARCHES && n <= SEARCH_MAX_VARS && best.cells > 64; round++) {
    Tally t = try_order(&g, BY_FILL, round, best.fits ? best.steps : INFINITY, order, in_clique);
    keep_if_better(net, &best, &t, order, g.widest);
  }
  net->cells = best.cells;
  net->kept = best.kept;
  net->steps = best.steps;
  net->clique = best.clique;
  if (!within_limits(&best)) return false;
  for (int64_t k = 0; k < n; k++) net->at[net->order[k]] = k;
  find_separators(&g);
  return true;
}
