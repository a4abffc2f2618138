/* world: one model at one binding, while the oracle looks at it.
 *
 * Everything the oracle's files share.  A World holds the values of bound indices, the edge copies and
 * latent components that exist at these sizes, and the values that an enumeration has given to copies so
 * far.  Evaluation never stops half way: what goes wrong is noted in the World (`fault`, `need`,
 * `used_none`), a harmless value is returned, and the caller who can tell what it means looks. */
#ifndef ATTN_ORACLE_WORLD_H
#define ATTN_ORACLE_WORLD_H

#include "oracle/oracle.h"

enum { MAX_RANK = 24 }; /* indices of one reference; more is refused */

#define NONE_VALUE INT64_MIN          /* an edge without a target */
#define UNKNOWN_VALUE (INT64_MIN + 1) /* a copy not yet given a value */

/* What a term is worth: `i` for int (NONE_VALUE too) and bool, `r` for real. */
typedef struct Val { int64_t i; double r; } Val;

/* ---- numbering of copies and latent components ------------------------------------------------------ */

/* Dense numbers 0, 1, ... for keys (owner, index values). */
typedef struct RegistryKey { uint32_t owner, rank; const int64_t *at; } RegistryKey;
typedef struct Registry {
  VEC(RegistryKey) keys;
  uint32_t *table; /* number + 1; 0 empty */
  uint32_t table_size;
} Registry;

enum { NOT_FOUND = UINT32_MAX };
uint32_t registry_find(const Registry *r, uint32_t owner, uint32_t rank, const int64_t *at);
uint32_t registry_add(Arena *arena, Registry *r, uint32_t owner, uint32_t rank, const int64_t *at);

/* One variable: a copy of an edge, or one node of a copy of a structured edge. */
typedef struct Copy {
  Edge *edge;
  const int64_t *at; /* plates, then the node */
  uint32_t unit;
  bool has_prior; /* a prior line stands for it */
} Copy;

/* What is enumerated at once: a copy, or all nodes of a structured one. */
typedef struct Unit {
  Edge *edge;
  uint32_t first, n; /* its copies are consecutive */
  uint32_t component, depth;
  const int64_t *rows; /* structured: all values, once asked for */
  int64_t n_rows;
} Unit;

/* One instance of a weight statement. */
typedef struct Factor {
  Weight *weight;
  const int64_t *at; /* plates, then axes (the last axis of a dirichlet is not among them) */
  uint32_t *scope;   /* copies it may mention */
  uint32_t n_scope, component, depth;
} Factor;
enum { NO_COMPONENT = UINT32_MAX };

/* ---- tables ------------------------------------------------------------------------------------------ */

enum { WITH_PRIOR = 1, WITH_REQUIRE = 2, WITH_POTENTIAL = 4, WITH_ALL = 7 };

/* Joint values of a component with their log weights, in the order of declaration. */
typedef struct Table {
  uint32_t width; /* copies */
  uint64_t n, cap;
  int64_t *values; /* [n, width] */
  double *log_w;
  double log_z; /* -inf: empty; NaN: some weight is NaN, negative or +inf */
} Table;

typedef struct Component {
  uint32_t *units, n_units;
  uint32_t *copies, n_copies; /* all copies of the units, in order */
  uint32_t *factors, n_factors;
  Table *table;        /* posterior */
  bool lost_prior;     /* a normaliser that depends on no other copy is NaN: it cancels, but for logZ and kl */
  double *p;           /* what E and P use: the posterior or what `infer` puts in its place */
  Table *prior, *free; /* prior lines alone; supports and requires alone; made when asked for */
  Infer *infer;
  double *marginal;    /* SINKHORN, BETHE: [copy, value] */
} Component;

/* One scalar component of a latent. */
typedef struct LatentPlace { Latent *latent; const int64_t *at; } LatentPlace;

typedef struct LatentState LatentState;

/* ---- the world --------------------------------------------------------------------------------------- */

typedef struct World {
  Arena *arena;
  Arena *scratch; /* released by whoever takes from it */
  const Model *model;
  const Binding *bound;
  OracleLimits limits;
  double steps;
  double max_log_w; /* the largest absolute log weight of a value so far */

  int64_t *index; /* by Index.id */
  bool *loose;    /* the index runs over a range that depends on edges: its value is not known */

  Registry copy_ids; /* keys (edge, at): number of a copy */
  VEC(Copy) copies;
  uint32_t *edge_first; /* by Edge.id: its copies are consecutive; [n_edges] entries + 1 */
  int64_t *value;       /* by copy: UNKNOWN_VALUE unless enumeration stands at it */
  VEC(Unit) units;
  VEC(Factor) factors;
  Component *components;
  uint32_t n_components;

  Registry latent_ids;
  VEC(LatentPlace) places;
  double *z;      /* by latent component: the value terms see */
  LatentState *q; /* NULL: no latents */

  Registry let_ids;
  VEC(Val) let_values;

  int64_t **columns; /* by Input.id, graphs: the stored neighbours, sorted within each row */

  const IndexVec *plates; /* of the output or let whose value is being computed */
  const int64_t *query_at; /* their values at the query */

  bool failed, refused;
  Span fault_span;
  const char *fault;
  int64_t need;   /* the copy an evaluation could not do without, NEED_LOOSE, or NEED_NOTHING */
  bool used_none; /* `none` was used otherwise than in == and != */
  bool unjudged;  /* a query the oracle has no answer to */
} World;

#define NEED_NOTHING (-1)
#define NEED_LOOSE (-2)

/* ---- eval.c: terms at the known indices, copies and latents ------------------------------------------- */

Val world_eval(World *w, const Term *t);
double world_real(World *w, const Term *t); /* ints and bools converted; none is 0 */
int64_t world_int(World *w, const Term *t); /* none is 0 */
bool world_bool(World *w, const Term *t);

/* Evaluates if that needs no unknown copy and meets no error; leaves no trace in the World otherwise. */
bool world_try(World *w, const Term *t, Val *result);

/* The first error stays; one met behind an unknown copy is none. */
void world_fault(World *w, Span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void world_refuse(World *w, Span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Counts one step of work; false once the limit is passed (and the run refused). */
bool world_step(World *w, Span span);

/* The values of a range at the known indices; n is 0 where it could not be told. */
typedef struct Values { const int64_t *at; int64_t lo, n; } Values;
/* Notes that a reduction over nothing, of body t over x, uses a none. */
void world_note_none_over_nothing(World *w, const Term *t, const Index *x);
Values world_range(World *w, const Range *r);
static inline int64_t value_at(const Values *v, int64_t k) { return v->at ? v->at[k] : v->lo + k; }

bool oracle_mentions_edge(const Term *t);
bool oracle_mentions_latent(const Term *t);
bool oracle_may_be_none(const Term *t);
double oracle_softplus(double x);
double oracle_digamma(double x);

/* ---- scope.c: which copies a term may mention --------------------------------------------------------- */

/* exact: named by indices that no edge decides. */
typedef void ScopeVisit(World *w, void *data, uint32_t copy, bool exact);
void world_scope(World *w, const Term *t, ScopeVisit *visit, void *data);
void world_scope_range(World *w, const Range *r, ScopeVisit *visit, void *data);
/* The same without what a condition on known values leaves out. */
void world_mentions(World *w, const Term *t, ScopeVisit *visit, void *data);

/* ---- copies.c: what exists at these sizes, and its components ------------------------------------------ */

/* Sets up indices, copies, latent components, factors and components; false with a fault. */
bool world_build(World *w);
/* Runs f at every value of the indices, outermost first; `at` gets the values. */
typedef void IndexVisit(World *w, void *data, const int64_t *at);
void world_for(World *w, const IndexVec *outer, const IndexVec *inner, IndexVisit *f, void *data);
void world_bind(World *w, const IndexVec *v, const int64_t *at);
int64_t *oracle_copy_values(Arena *arena, const int64_t *at, uint32_t n);

/* ---- support.c: the values one unit may take, given the earlier ones ----------------------------------- */

typedef struct Support {
  const Copy *copy; /* NULL: structured */
  Values range;
  bool or_none;
  bool forced_zero; /* a bit that `where` rules out */
  const int64_t *rows; /* structured: [n, width] */
  int64_t n, width;
} Support;

Support unit_support(World *w, Unit *u);
int64_t support_tries(const Support *s);
/* Gives the unit its k-th candidate; false if `where` forbids that one (the copy is then unknown). */
bool support_set(World *w, const Unit *u, const Support *s, int64_t k);
void support_clear(World *w, const Unit *u);
int64_t support_count(World *w, const Unit *u, const Support *s);

/* structure.c: all values of a structured edge over (m,) n nodes in lexicographic order, none last.
 * False when there are more than `limit` cells. */
bool oracle_structure_rows(Arena *arena, DomainKind kind, bool many_roots, bool or_none, int64_t m, int64_t n,
                    double limit, int64_t **rows, int64_t *count);

/* ---- weigh.c: log weights ------------------------------------------------------------------------------ */

/* Log weight of one factor at the known values: -inf removes, NaN spoils (also for negative and +inf). */
double factor_log_w(World *w, const Factor *f);
/* The same averaged over q of the latents it mentions; at a point q the value there. */
double factor_expected_log_w(World *w, const Factor *f);
/* a + b where -inf wins over everything. */
double oracle_add_log(double a, double b);
double oracle_log_sum_exp(const double *x, uint64_t n);

/* density.c: at x, log; -inf outside the range, NaN at bad parameters. */
double oracle_log_density(Dist d, double x, const double *params);
double oracle_log_dirichlet(const double *x, const double *alpha, int64_t n);

/* ---- enumerate.c ---------------------------------------------------------------------------------------- */

/* On the storage of `reuse` unless that is NULL. */
Table *component_enumerate(World *w, const Component *c, int with, Table *reuse);
/* Of the table at hand, with all normalisers. */
double component_log_z(const Component *c);
/* Fills tables and posteriors of all components at the current latents; false with a fault. */
bool world_infer_components(World *w);
void component_replace_posterior(World *w, Component *c); /* approximate.c: `infer` lines */
uint64_t component_table_mode(const Table *t); /* row of the largest weight, the first of equals */

/* ---- expect.c and query.c ------------------------------------------------------------------------------- */

double world_expect(World *w, const Term *t);
Val world_query(World *w, const Term *t);

/* F of one moment by its parts, so that any plates may add up theirs. */
typedef struct Snapshot { double *component, *factor, *block; } Snapshot;
/* Sum over the plates that the query stands in: logZ now (NULL) or F of then. */
double world_evidence(World *w, const Term *t, const Snapshot *then);

/* ---- latent.c --------------------------------------------------------------------------------------------- */

/* Runs all steps of collapsed inference; the tables are then those at the final q. */
bool world_infer_latents(World *w);
double latent_query(World *w, const Term *t); /* ELBO, PARAM */
/* Evaluation looked at a latent that q leaves open: note it; forget all; how many. */
void latent_touch(World *w, uint32_t place);
void latent_touch_begin(World *w);
uint32_t latent_touched(const World *w);
typedef struct Touched { uint32_t n, *places; } Touched;
Touched latent_touch_save(World *w); /* and forget */
void latent_touch_restore(World *w, const Touched *t);
/* E_q of a term that needs no unknown edge; the latents it looks at are those touched. */
double latent_expect(World *w, const Term *t);
/* The places of q's blocks, and their latents, for evidence. */
bool latents_lost(const World *w); /* some step could not be judged */
uint32_t latent_block_count(const World *w);
const LatentPlace *latent_block_place(const World *w, uint32_t block);

#endif
