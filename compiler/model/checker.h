/* checker: what the files check_*.c share; private to this folder.
 *
 * Expressions elaborate to Values: a Value is a vector expression whose axes have no names yet.  It
 * becomes a scalar Term when `value_at` is given an index for every axis.  Doing it in this order keeps
 * names out of shapes, makes broadcasting trivial, and costs one pass per use of a vector.
 *
 * After an error a Value is POISON, and whatever is made of it is POISON without a further message. */
#ifndef ATTN_MODEL_CHECKER_H
#define ATTN_MODEL_CHECKER_H

#include "base/diag.h"
#include "base/ice.h"
#include "front/ast.h"
#include "model/dim.h"
#include "model/model.h"
#include "model/term.h"

/* Elaboration inlines `def`s, so a short file can mean a huge model; these bound time and memory.  The
 * depth limit also bounds the recursion of every later pass over a term; that on declarations (statements, names,
 * indices) the searches that are linear in their number. */
enum { MODEL_MAX_TERMS = 1000000, TERM_MAX_DEPTH = 5000, DEF_MAX_DEPTH = 200, ELAB_MAX_DEPTH = 4000,
       MODEL_MAX_DECLARATIONS = 10000, REDUCE_MAX_INDICES = 64 };

/* ---- values ------------------------------------------------------------------------------------- */

typedef enum {
  VALUE_POISON,
  VALUE_TERM,    /* a scalar */
  VALUE_ELEMENT, /* an input, let array or latent with its leading indices given */
  VALUE_OP, VALUE_IF, VALUE_REDUCE, VALUE_E,
  VALUE_PARAM,   /* param(z, k) of a vector latent */
  VALUE_AT,      /* args[0] with leading indices given */
} ValueKind;

typedef struct Value Value;
struct Value {
  ValueKind kind;
  ScalarType type;
  Span span;
  uint32_t rank; /* number of axes; 0 exactly for TERM */
  Term **dims;   /* their extents, int terms */
  Term *term;    /* TERM */
  TermKind element;
  void *what;    /* ELEMENT */
  Term **origins; /* ELEMENT: the index value at which each axis begins; NULL: all at 0 */
  TermVec fixed; /* ELEMENT, AT: leading indices */
  OpKind op;
  ReduceKind reduce;
  Index *index;  /* REDUCE */
  int64_t number; /* PARAM */
  VEC(Value *) args;
};

/* ---- names -------------------------------------------------------------------------------------- */

typedef enum {
  ENTITY_POISON, ENTITY_SIZE, ENTITY_INPUT, ENTITY_LET, ENTITY_ABBREVIATION, ENTITY_INDEX, ENTITY_EDGE, ENTITY_LATENT,
} EntityKind;

typedef struct Entity Entity;
struct Entity {
  EntityKind kind;
  Sym name;
  Span span;
  union { Size *size; Input *input; Let *let; Value *value; Index *index; Edge *edge; Latent *latent; };
  bool is_argument; /* ABBREVIATION: a parameter of a def, which may hide anything */
  Entity *next;
};

typedef struct Scope Scope;

typedef struct DefEntity DefEntity;
struct DefEntity {
  const Def *def;
  Scope *home; /* where its body is read */
  bool active; /* being inlined: a second time would be recursion */
  bool called; /* a def that nothing calls is read once at the end of its block, for its names */
  bool broken; /* its body had an error: further calls are silent */
  DefEntity *next;
};

struct Scope { Scope *outer; Entity *entities; DefEntity *defs; };

typedef struct Checker {
  Arena *arena;
  Interner *names;
  Diags *diags;
  const Source *source;
  Model *model;
  Scope *scope;
  Entity *everywhere;   /* edges, latents, let arrays of closed blocks: seen in all of the model */
  IndexVec plates;      /* the enclosing ones, outermost first */
  uint32_t declarations; /* so far, against MODEL_MAX_DECLARATIONS */
  uint32_t terms;       /* made so far, against MODEL_MAX_TERMS */
  uint32_t def_depth;
  uint32_t depth;       /* of the recursion of elab and value_at, against ELAB_MAX_DEPTH */
  bool in_dimension;    /* an unknown name is then meant to be a size */
  bool exhausted;       /* the limit was reported: everything is poison from here on */
  VEC(bool) input_used; /* by Input.id */
  VEC(Index *) axes_in_sight;
  const StmtVec *body; /* the model's, for a note about a name declared elsewhere in it */
  Span statement;
  VEC(Entity *) closed; /* indices of reductions that ended earlier in this statement, for a hint */
  Value poison;
} Checker;

/* scope.c */
void scope_push(Checker *c);
void scope_pop(Checker *c);
/* Declares a name in the innermost scope.  Reports a second declaration there; edges and latents must be
 * new in the whole model.  The new meaning holds in any case. */
Entity *declare_name(Checker *c, EntityKind kind, Name name, void *what);
/* NULL: unknown, and reported as such with the nearest name in sight. */
Entity *lookup_name(Checker *c, Name name, const char *expected);
Entity *lookup_quietly(const Checker *c, Sym name);
DefEntity *lookup_def(const Checker *c, Sym name);
void declare_def(Checker *c, const Def *def);
const char *entity_words(const Entity *e); /* "a size", "an edge" ... */
const char *name_text(const Checker *c, Sym s);
/* The nearest of a list of words, NULL: none is near. */
const char *nearest_word(const char *word, const char *const *words, uint32_t n);

/* value.c */
Value *value_term(Checker *c, Term *t);
/* No literal index below 0 (an error), but of axes that may begin there. */
bool indices_begin(Checker *c, const TermVec *at, const TermVec *origins);
/* origins: where each of dims begins, NULL: at 0.  Written indices are index values; an axis left off counts
 * from 0 like that of any vector. */
Value *value_element(Checker *c, TermKind kind, void *what, const TermVec *fixed, const TermVec *dims,
                     const TermVec *origins, Span span);
/* args agree in type and are scalars or of one shape. */
Value *value_op(Checker *c, OpKind op, ScalarType type, Value *const *args, uint32_t n, Span span);
Value *value_to_real(Checker *c, Value *v);
Value *value_of_kind(Checker *c, ValueKind kind, ScalarType type, const Value *shape, Span span);
/* The scalar at one index term an axis. */
Term *value_at(Checker *c, const Value *v, Term *const *at);
Value *value_index(Checker *c, Value *v, const TermVec *indices, Span span);
/* New AXIS indices, one an axis of v, appended to *axes; returns v there. */
Term *value_over_axes(Checker *c, const Value *v, IndexVec *axes);
/* Makes axes of given extents, and reads v over the last v->rank of them. */
void axes_make(Checker *c, Term *const *dims, uint32_t n, IndexVec *axes);
Term *value_over(Checker *c, const Value *v, const IndexVec *axes);
void axes_drop(Checker *c, uint32_t n);
bool value_same_shape(Checker *c, const Value *a, const Value *b);
const char *value_shape_text(Checker *c, const Value *v);
const char *type_words(ScalarType t);
Index *new_index(Checker *c, Sym name, IndexRole role, Range range, Span span);
/* Entering a level of recursion; false: too deep, reported once.  Each enter, also a failed one, has its leave. */
bool enter_level(Checker *c);
/* One more statement, name or index; false: over the limit, reported once. */
bool count_declaration(Checker *c, Span span);
static inline void leave_level(Checker *c) { c->depth--; }
bool spend_terms(Checker *c, uint32_t terms); /* false: over the limit, which is reported once */

static inline bool is_poison(const Value *v) { return v->kind == VALUE_POISON; }
static inline bool is_numeric(const Value *v) { return v->type != TYPE_BOOL; }
static inline bool is_none(const Value *v) { return v->kind == VALUE_TERM && v->term->kind == TERM_NONE; }

/* check_expr.c: expressions.  The typed ones report what they find instead and return NULL. */
Value *elab(Checker *c, const Expr *e);
Value *elab_binary(Checker *c, BinaryOp op, Value *a, Value *b, Span span);
Value *elab_number(Checker *c, const Expr *e, const char *what); /* int or real, any shape; poison after an error */
Term *scalar_int(Checker *c, const Expr *e, const char *what);
Term *scalar_real(Checker *c, const Expr *e, const char *what);
Term *scalar_bool(Checker *c, const Expr *e, const char *what);
Term *scalar_of(Checker *c, Value *v, ScalarType type, const char *what);

/* check_ref.c: names and elements */
Value *elab_name(Checker *c, Name name, Span span);
Value *elab_element(Checker *c, const Expr *e); /* EXPR_INDEX */
bool index_terms(Checker *c, const ExprVec *args, TermVec *to);
/* The plates of `of` among those of this place: how many of the outermost agree. */
uint32_t shared_plates(const Checker *c, const IndexVec *of);

/* check_call.c, check_query.c */
Value *elab_call(Checker *c, const Expr *e);
Value *elab_reduce(Checker *c, const Expr *e);
bool is_builtin(const char *name);
void check_uncalled(Checker *c); /* the defs of the innermost scope */
bool is_query_word(const char *name);
Value *elab_query(Checker *c, const Expr *e);      /* E[..], P[..] */
Value *elab_query_call(Checker *c, const Expr *e); /* mode(..) and the like */

/* check_range.c */
bool range_is_static(const Range *r); /* of sizes only, so that it can be a dimension */
/* Declares a binder's index in the scope at hand; NULL after an error (a poison is declared). */
Index *bind_index(Checker *c, const Binder *b, IndexRole role, const char *what);
bool elab_edge_domain(Checker *c, const Domain *d, Edge *e);
Term *range_extent(Checker *c, const Range *r); /* hi - lo */
Term *range_origin(Checker *c, const Range *r);

/* check_mention.c: what may be mentioned where */
typedef enum {
  PLACE_SIZES,    /* dimensions: sizes only */
  PLACE_BOUND,    /* of plates */
  PLACE_REDUCE_BOUND,
  PLACE_SUPPORT,  /* domain and where of an edge */
  PLACE_WEIGHT,
  PLACE_LET,
  PLACE_DEFAULT,
  PLACE_INFER,
  PLACE_COPY,     /* the indices of a copy that a prior or a query is about */
  PLACE_OUT,
} MentionPlace;
bool mention_allowed(Checker *c, const Term *t, MentionPlace place, Span span);
/* The indices of an edge or latent term, as the name of one copy. */
bool copy_allowed(Checker *c, const Term *ref, Span span);
/* No index of an enclosing plate from the first-th on. */
bool plates_allowed(Checker *c, const Term *t, uint32_t first, Span span);

/* check_decl.c */
void check_inputs(Checker *c, const Stmt *s);
void check_latents(Checker *c, const Stmt *s);
void check_let(Checker *c, const Stmt *s);
void check_edge(Checker *c, const Stmt *s);
/* check_weight.c, check_prior.c, check_infer.c, check_out.c */
void check_potential(Checker *c, const Stmt *s);
void check_require(Checker *c, const Stmt *s);
void check_observe(Checker *c, const Stmt *s);
void check_prior(Checker *c, const Stmt *s);
Weight *new_weight(Checker *c, WeightKind kind, const Stmt *s);
bool find_dist(Checker *c, const Stmt *s, Dist *d);
bool dist_params(Checker *c, const Stmt *s, Dist d, const Value *left, Weight *w, Span span);
char dist_place(Dist d);
void check_infer(Checker *c, const Stmt *s);
void check_infer_complete(Checker *c); /* at the end of a model: every latent is inferred, queries suit the methods */
void check_queries(Checker *c);
void check_latent_use(Checker *c); /* check_latent.c */
void check_joined(Checker *c); /* check_joined.c */
/* check_whole.c; leader, by Edge.id: one for all edges that are joined */
void check_whole(Checker *c, const Edge **leader);
const char *infer_method_name(InferMethod method);
bool infer_gives_marginals(const Infer *f); /* and nothing else; NULL: no line */
void check_out(Checker *c, const Stmt *s);
/* check_inner.c: t, which stands in these plates, with the queries inside brackets as derived arrays. */
Term *inner_queries_apart(Checker *c, Term *t, const IndexVec *plates);
/* warn.c */
void warn_division(Checker *c, const Expr *e);
void warn_model(Checker *c);
void warn_latents(Checker *c); /* check_latent.c */

#endif
