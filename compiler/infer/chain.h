/* chain: messages along a plate.
 *
 * A chain's factors of step t mention its *clique*: edges of the copy t and of copies up to their reach before.  Its
 * *state* after step t are those that later steps mention.  With f(t; clique) the product of the factors of step t,
 *
 *   forward[r](state)  = sum over what the state forgets of  forward[r - 1](state before) f(t; clique)      r = t - lo
 * + 1 backward[r - 1](state before) = sum over what is new of  f(t; clique) backward[r](state) Z = sum forward[T],
 * p(clique of t) = forward[r - 1] f(t) backward[r] / Z,   p(state after t) = forward[r] backward[r] / Z
 *
 * (Baum 1970; Rabiner 1989), in any of four semirings.  Values are numbered 0 .. count by their place in the edge's
 * range, none last; the places of copies before the first step hold number 0 alone.  Messages are kept relative to
 * their largest entry, whose logs add up beside them: scores of any size keep their digits. */
#ifndef ATTN_INFER_CHAIN_H
#define ATTN_INFER_CHAIN_H

#include "infer/context.h"

typedef uint32_t VarSet; /* bit k: Chain.clique.at[k] */

enum { CLIQUE_MAX = 16 };

typedef enum {
  RING_SUM,   /* log-sum-exp of all factors */
  RING_MAX,   /* maximum of all factors: modes */
  RING_PRIOR, /* log-sum-exp of the prior lines */
  RING_COUNT, /* number of values that supports and requires admit; no logs */
  RING_COUNT_
} Ring;

/* Values of some of a clique's variables. */
typedef struct Cell {
  VarSet known;
  VarSet settled; /* counts after the step that follow from those before */
  Choice value[CLIQUE_MAX];
  Val code[CLIQUE_MAX]; /* their numbers */
} Cell;

/* A row of an array over states. */
typedef struct Fold {
  Array *a; /* NULL: there is none */
  Val row;
  VarSet summed; /* summed out in it, besides */
} Fold;

/* One step of one chain: the context of its factors. */
typedef struct Step {
  Context own;   /* the plates stand for the copy */
  Copy copy;     /* the home */
  Val row;       /* steps done, this one included */
  Ring ring;
  Val joined;      /* bool: to the copy before; 0: yes */
  Array *gamma;    /* not NULL: stands for the forward messages before; see pair.c */
  Val gamma_at[2];
  Val held_mass;   /* of gamma before, where the chain starts afresh */
  Fold before, after; /* the messages, times all that depends on their state alone; see fold.c */
} Step;

/* What is multiplied into a sum over a clique. */
typedef struct Terms {
  bool factors;   /* of the step */
  bool before;    /* forward[row - 1] of the state before */
  bool here;      /* forward[row] of the state after */
  bool after;     /* backward[row] of the state after */
  bool alone;     /* of the factors those that Step.after has */
  bool folded;    /* Step.after stands for backward[row] and for those */
} Terms;

/* ---- message.c ------------------------------------------------------------------------------------------------ */

Step step_of(Context *x, Copy copy, Ring ring);
int clique_place(const Chain *ch, uint32_t at, uint32_t lag); /* -1: not in the clique */
VarSet state_after(const Chain *ch);  /* the variables of the clique that later steps mention */
VarSet state_before(const Chain *ch); /* those of earlier copies */
VarSet whole_clique(const Chain *ch);
VarSet counters_in(const Chain *ch, const Component *c);
Cell with_value(Context *x, const Component *c, const Cell *cell, uint32_t var, Choice value);
Cell with_code(Context *x, const Component *c, const Cell *cell, uint32_t var, Val code);
Choice numbered(Context *x, const Component *c, uint32_t at, Val code); /* the value of number `code` */
Val value_count(Context *x, const Component *c, uint32_t at); /* none included; x binds the plates beside the chain */
/* The cell with the counts after the step, which follow from those before; *ok: bool, they have weight (0: always). */
Cell with_counts_after(Step *s, const Cell *cell, Val *ok);
/* The loop over the values of a variable; *inside is the cell within. */
Loop *open_values(Context *x, const Component *c, uint32_t var, const Cell *cell, LoopKind kind, Cell *inside);
/* The product of the terms, summed over the variables of `sum`; those of the cell are known. */
Val clique_sum(Step *s, const Cell *cell, VarSet sum, Terms terms);
/* As clique_sum, as if `before` had been summed over outside: what has been multiplied in there is left out. */
Val clique_rest(Step *s, const Cell *cell, VarSet before, VarSet sum, Terms terms);

VarSet factor_scope(const Chain *ch, const Factor *f);
bool ring_counts(Ring ring, const Factor *f); /* is it a factor in this semiring? */

AccKind ring_plus(Ring ring);
Val ring_times(Context *x, Ring ring, Val a, Val b);
Val ring_one(Context *x, Ring ring);
Val ring_zero(Context *x, Ring ring);
Val edge_count(Context *x, const Edge *e); /* its values, none included */

/* ---- steps.c: plates that data end, or begin --------------------------------------------------------------------- */

/* From the sizes: as many steps as a chain may have; rows of a table with as many a chain, and `more`. */
Val step_rows(Context *x, const Component *c);
Val table_rows(Context *x, const Component *c, int64_t more);
/* Row `row` of the copy's chain, where rows of several chains lie in one dimension. */
Val packed_row(Context *x, Copy copy, Val row);
/* Of a plate beside the steps: as many values as arrays have places for; the place of the copy's; the values that it
 * has given the plates before it, which x binds, an error where these are more. */
Val plate_places(Context *x, const Component *c, uint32_t k);
Val plate_place(Context *x, Copy copy, uint32_t k);
Bounds plate_values(Context *x, const Component *c, uint32_t k);
bool is_row_plate(const Component *c, uint32_t k); /* has an array with rows no dimension of its own for the plate? */
uint32_t row_rank(const Component *c);             /* dimensions up to the rows, these included */
uint32_t longest_reach(const Chain *ch);           /* how far back a step looks */
/* Of the others x binds the plates beside the chain. */
Bounds step_range(Context *x, const Component *c);
Val step_count(Context *x, const Component *c);
void check_room(Context *x, const Component *c); /* an error where there are more steps than rows */
Val row_of_step(Context *x, Copy copy);          /* steps before it */

/* ---- fold.c ---------------------------------------------------------------------------------------------------- */

struct ChainTables;
/* Is the factor one of those that Step.before, Step.after has? */
bool is_folded_before(const Step *s, const Factor *f);
bool is_folded_after(const Step *s, const Factor *f);
/* Fills Step.before, or .after, where the chain has any. */
void fold_before(Step *s, struct ChainTables *t);
void fold_after(Step *s, struct ChainTables *t);
/* The same where the arrays have the rows of all steps, filled before. */
void see_before(Step *s, const struct ChainTables *t);
void see_after(Step *s, const struct ChainTables *t);

/* ---- table.c --------------------------------------------------------------------------------------------------- */

/* The tables of a chain, for all copies, filled at the top of the kernel when first asked for. */
Array *forward_table(Derive *d, Component *c, Ring ring);
Array *backward_table(Derive *d, Component *c, Ring ring);
Val chain_total(Context *x, Copy copy, Ring ring); /* log Z; RING_COUNT: the number */
Val sum_of_messages(Context *x, Array *a, Copy copy, Val row, Ring ring); /* of a row, as it is stored */

/* ---- table.c: for the files that fill tables of their own ----------------------------------------------------- */

typedef struct ChainTables {
  Array *forward[RING_COUNT_], *backward[RING_COUNT_], *total[RING_COUNT_];
  Array *scale[RING_COUNT_]; /* what was taken out of the rows of `forward` up to this one: a log, or a factor */
  Array *moved[RING_COUNT_]; /* the log of what this row was divided by */
  Array *starts; /* first rows of chains whose rows lie one after another; see steps.c */
  Array *before[RING_COUNT_], *after[RING_COUNT_]; /* Step.before, .after: of all steps, or, in a sweep, of one, and of
                                                      `after_ring` */
  Array *status;             /* of every copy, where the chain may break: see chain_status */
  Val forward_ring, backward_ring; /* of RING_SUM: rows lie at their number modulo this; 0: at their number */
  Val after_ring;
  bool sweeping;                   /* inside the pass that these rings serve */
  Array *each[2];                  /* of every step: see step_sum; NULL: there is no sweep */
  struct ChainPair *pairs;
  Array *piece, *piece_total[RING_COUNT_]; /* of every copy: its component's number, and sums; see piece.c */
  Array **marginal; /* by edge: log p of every value of every copy */
  struct ChainPick *picks;
} ChainTables;

typedef struct Nest { Loop *loops[CLIQUE_MAX + 16]; uint32_t n; } Nest;

ChainTables *tables_of(Derive *d, const Component *c);
/* An array over the parallel plates, `rows` (0: none) and the states. */
Array *chain_array(Derive *d, const Component *c, const char *what, StoreType elem, Val rows, VarSet state);
/* The same with `n` dimensions between rows and states. */
Array *chain_array_and(Derive *d, const Component *c, const char *what, Val rows, uint32_t n, const Val *between,
                       VarSet state);
Val chain_dimension(Context *x, const Component *c, uint32_t at); /* how many values tables have for a place */
Cell open_state(Context *x, const Component *c, VarSet state, LoopKind kind, Nest *nest);
/* The element of messages with a copy held (pair.c): of row `row`, or of the row before with the variables `lag` later.
 */
Val *held_place(Step *s, Array *gamma, Val i, Val a, Val row, uint32_t lag, const Cell *cell);
/* Parallel plates, the row, the numbers of the state; `lag`: the variables of the clique that many steps earlier stand
 * for it. */
Val *table_place(Context *x, Copy copy, Val row, VarSet state, uint32_t lag, const Cell *cell);
Val *message_place(Step *s, Val row, const Cell *cell); /* of a table of messages */
Val *total_place(Context *x, Copy copy); /* of an array without rows */
/* Its element at a row; the numbers of a state are appended by the caller where it has some. */
Val *chain_place(Context *x, Copy copy, Val row);
/* Loops over all chains; x binds their plates, the copy's step is left open. */
Copy open_chains(Context *x, Component *c, Nest *nest);
void close_nest(Builder *b, Nest *nest);

/* Where a row of messages lies in its table. */
Val ring_row(Context *x, const Component *c, const Array *a, Val row);
/* Messages of a row, in the table of its ring, or sweep. */
Val *forward_place(Context *x, Copy copy, Val row, const Cell *cell);
/* The parts of filling: x binds the plates beside the chain, copy.at[step] is open. */
void start_forward(Context *x, Copy copy, ChainTables *t, Ring ring);
void forward_step(Step *s, ChainTables *t);
void end_forward(Context *x, Copy copy, ChainTables *t, Ring ring);
void start_backward(Context *x, Copy copy, ChainTables *t, Ring ring);
void backward_step(Step *s, ChainTables *t);

/* ---- sweep.c: chains of which only single steps are asked -------------------------------------------------------- */

/* What a kernel asks of a chain's messages in RING_SUM.  A first derivation notes it; where `whole` is not set, a
 * second one makes a sweep. */
typedef struct ChainUse {
  EdgeSet marginals; /* by place of the edge */
  uint32_t sums;     /* bit k: over_steps of step_sum(k) */
  bool whole;        /* rows of several steps at once */
  bool sweep;        /* the second derivation's */
} ChainUse;
ChainUse *use_of(Derive *d, const Component *c);
void sweep_chain(Derive *d, Component *c, ChainTables *t);

/* ---- pair.c: copies that no clique holds ------------------------------------------------------------------------- */

typedef struct ChainPair ChainPair;
/* Values of some of a step's variables, those of the cell. */
typedef struct PairEnd { Copy copy; Cell cell; } PairEnd;
/* log p of all up to a constant, of different steps of one chain; their order is changed. */
Val ends_log(Context *x, Ring ring, PairEnd *e, uint32_t n);
/* chain.c: of one, up to a constant; and, of one edge, of all factors, normalised. */
Val end_log(Context *x, Ring ring, const PairEnd *e);
Val marginal_log(Context *x, const PairEnd *e);
ChainTables *with_marginal(Derive *d, Component *c, uint32_t at); /* filled for the edge in place `at` */
bool are_of_one_step(Context *x, Copy a, Copy b); /* known to be, of copies of one chain */

/* ---- count.c: places behind those of the edges ------------------------------------------------------------------ */

Val counter_limit(Context *x, const Component *c,
                  uint32_t at); /* the greatest count; x binds the plates beside the chain */
Val counter_dimension(Context *x, const Component *c, uint32_t at); /* of tables: given by the sizes */
Val counter_increment(Context *x, Copy home, uint32_t at);          /* x knows the values that it depends on */
bool counter_is_of_bits(const Component *c, uint32_t at); /* a copy adds at most 1 */
bool counter_saturates(const Component *c, uint32_t at, Ring ring);
/* The weights on counts of which this step is the last that is counted, as far as they are complete in `known` and not
 * in `done`. */
Val ends_in(Step *s, const Cell *cell, VarSet done, bool first);
Val ends_of_nothing(Context *x, Copy copy, Ring ring); /* the weights on counts of no copies */
/* The log weight of those requires from a number on that count no copies; `nothing` tells whether all of them do. */
Val event_of_nothing(Context *x, Copy copy, uint32_t event, Val *nothing);

/* ---- joint.c: where a chain falls apart ----------------------------------------------------------------------- */

/* x binds the plates beside the chain; the copy's step is given. */
Val is_joined(Context *x, Copy copy); /* bool: some weight joins it to the copy before */
typedef struct StepRange {
  Val first, last, some;
} StepRange; /* the steps that a statement looks at; some: bool */
/* Of has_one_range. */
StepRange range_of_event(Context *x, Copy copy, uint32_t event);
Val is_last_counted(Context *x, Copy copy, const End *e); /* bool */
Val counts_nothing(Context *x, Copy copy, const End *e);  /* bool */

/* ---- piece.c ------------------------------------------------------------------------------------------------ */

Val piece_prior(Context *x, Copy copy); /* log: the prior's total over the component of the copy */
Val piece_log_sum(Context *x, Copy copy); /* log Z of the component of the copy, without the constants */
Val in_one_piece(Context *x, Copy a, Copy b); /* bool, of copies of one chain */

/* ---- pick.c: modes and draws of whole chains -------------------------------------------------------------------- */

/* The copy's part of the joint mode or draw. */
Choice chain_mode(Context *x, Copy copy, Edge *e);
/* n: draws of the run; number: which of them. */
Choice chain_draw(Context *x, Copy copy, Edge *e, Val seed, Val n, Val number);

/* ---- chain.c -------------------------------------------------------------------------------------------------- */

/* log p of the values of copies of this chain that x knows, up to a constant that depends on which they are.  A single
 * one: its normalised marginal. */
Val chain_log(Context *x, Copy copy);
Val chain_log_in(Context *x, Copy copy, Ring ring); /* never normalised */
/* 0 where the copy's component has a value with weight, -inf where it has none, NaN where a weight is no number. */
Val chain_status(Context *x, Copy copy);
bool chain_known(Context *x, Copy copy); /* has a copy of this chain a value in x? */
void declare_marginal(Derive *d, Component *c, ChainTables *t, uint32_t at_edge);
void marginal_step(Step *s, ChainTables *t, uint32_t at_edge); /* of the copy at the step */

/* ---- whole.c: of all copies of the chain ----------------------------------------------------------------------- */

Val chain_entropy(Context *x, Copy copy); /* in nats */
Val chain_kl(Context *x, Copy copy);      /* the same, from the prior lines */
Val chain_count(Context *x, Copy copy);   /* linear: how many values the supports and requires admit */
Val chain_logz(Context *x, Copy copy);    /* with the normalisers that depend on no edge */
Val chain_log_sum(Context *x, Copy copy); /* the same but for weights on counts of no copies */
typedef Val (*StepFn)(Step *s);
enum { STEP_SUMS = 2 };
StepFn step_sum(uint32_t k); /* the functions of a step that read messages */
Val over_steps(Context *x, Copy copy, StepFn fn);          /* the sum of fn over the steps of the chain */
Val prior_constant(Step *s);                               /* log: the prior's normalisers that depend on no edge */
/* 0 where nothing is left, NaN where a weight is no number: of all copies; in the component of this one. */
Val unless_invalid(Context *x, Copy copy, Val v);
Val unless_empty(Context *x, Copy copy, Val v);

/* ---- share.c --------------------------------------------------------------------------------------------------- */

/* QUERY_SHARE, linear: P of the event, or the mean of the values beside it and else; 0 where nothing has weight. */
Val chain_share(Context *x, const Term *t);

/* ---- some.c: the joint law of some copies of one chain, or structure ----------------------------------------- */

Val copies_entropy(Context *x, const NamedCopies *n);
Val copies_kl(Context *x, const NamedCopies *n);

#endif
