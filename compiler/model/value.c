/* value: vector expressions before their axes have names, and their reading at given indices.
 *
 * Law: value_at(v, [t1 .. tr]) is the scalar term of v's component (t1 .. tr).  A scalar is a finished
 * Term from the start, so shared scalars stay shared; a vector is read anew for each use. */
#include "model/checker.h"

#include <ctype.h>
#include <stdio.h>

bool spend_terms(Checker *c, uint32_t terms) {
  if (c->exhausted) return false;
  c->terms = terms > MODEL_MAX_TERMS - c->terms ? MODEL_MAX_TERMS : c->terms + terms;
  if (c->terms < MODEL_MAX_TERMS) return true;
  c->exhausted = true;
  Diag *d = diag_error(c->diags, c->statement, "the model grows past %d terms here, with all functions inlined",
                       (int)MODEL_MAX_TERMS);
  diag_hint(c->diags, d, "a 'let' with indices is computed once: use it for what the functions repeat");
  return false;
}

static Value *blank(Checker *c, ValueKind kind, ScalarType type, Span span) {
  Value *v = NEW(c->arena, Value);
  v->kind = kind;
  v->type = type;
  v->span = span;
  return v;
}

static void tell_depth(Checker *c, int limit) {
  if (!c->exhausted)
    diag_error(c->diags, c->statement, "this expression is more than %d operations deep, with all functions inlined",
               limit);
  c->exhausted = true;
}

static bool too_deep(Checker *c, const Term *t) {
  if (t->depth <= TERM_MAX_DEPTH) return false;
  tell_depth(c, TERM_MAX_DEPTH);
  return true;
}

bool count_declaration(Checker *c, Span span) {
  if (c->exhausted) return false;
  if (c->declarations++ < MODEL_MAX_DECLARATIONS) return true;
  diag_error(c->diags, span, "more than %d statements and names in one scope of the file", (int)MODEL_MAX_DECLARATIONS);
  c->exhausted = true;
  return false;
}

bool enter_level(Checker *c) {
  if (c->depth++ < ELAB_MAX_DEPTH) return true;
  tell_depth(c, ELAB_MAX_DEPTH);
  return false;
}

/* A tree that sharing has made larger than any model may be is never walked. */
Value *value_term(Checker *c, Term *t) {
  if (too_deep(c, t) || !spend_terms(c, t->nodes >= MODEL_MAX_TERMS ? MODEL_MAX_TERMS : 1)) return &c->poison;
  Value *v = blank(c, VALUE_TERM, t->type, t->span);
  v->term = t;
  return v;
}

Value *value_of_kind(Checker *c, ValueKind kind, ScalarType type, const Value *shape, Span span) {
  Value *v = blank(c, kind, type, span);
  v->rank = shape->rank;
  v->dims = shape->dims;
  return v;
}

bool indices_begin(Checker *c, const TermVec *at, const TermVec *origins) {
  bool good = true;
  for (uint32_t i = 0; i < at->n; i++) {
    const Term *t = at->at[i], *from = origins && i < origins->n ? origins->at[i] : NULL;
    bool below = t->kind == TERM_INT && t->integer < 0;
    if (!below || (from && (from->kind != TERM_INT || from->integer < 0))) continue;
    diag_error(c->diags, t->span, "the index %lld is negative; it never counts from the end", (long long)t->integer);
    good = false;
  }
  return good;
}

Value *value_element(Checker *c, TermKind kind, void *what, const TermVec *fixed, const TermVec *dims,
                     const TermVec *origins, Span span) {
  if (!indices_begin(c, fixed, origins)) return &c->poison;
  if (fixed->n == dims->n) return value_term(c, term_ref(c->arena, kind, what, fixed, span));
  Term *probe = term_ref(c->arena, kind, what, fixed, span);
  Value *v = blank(c, VALUE_ELEMENT, probe->type, span);
  v->element = kind;
  v->what = what;
  v->fixed = *fixed;
  v->rank = dims->n - fixed->n;
  v->dims = dims->at + fixed->n;
  v->origins = origins ? origins->at + fixed->n : NULL;
  return v;
}

Value *value_op(Checker *c, OpKind op, ScalarType type, Value *const *args, uint32_t n, Span span) {
  const Value *shape = NULL;
  TermVec terms = {0};
  for (uint32_t i = 0; i < n; i++) {
    if (is_poison(args[i])) return &c->poison;
    if (args[i]->rank) shape = args[i];
    else vec_push(c->arena, &terms, args[i]->term);
  }
  if (!shape) return value_term(c, term_op(c->arena, op, type, &terms, span));
  Value *v = value_of_kind(c, VALUE_OP, type, shape, span);
  v->op = op;
  for (uint32_t i = 0; i < n; i++) vec_push(c->arena, &v->args, args[i]);
  return v;
}

Value *value_to_real(Checker *c, Value *v) {
  if (is_poison(v) || v->type == TYPE_REAL) return v;
  return value_op(c, OP_TO_REAL, TYPE_REAL, &v, 1, v->span);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static Term *arg_at(Checker *c, const Value *v, uint32_t i, Term *const *at) { return value_at(c, v->args.at[i], at); }

static TermVec indices_at(Checker *c, const Value *v, Term *const *at) {
  TermVec all = {0};
  for (uint32_t i = 0; i < v->fixed.n; i++) vec_push(c->arena, &all, v->fixed.at[i]);
  for (uint32_t i = 0; i < v->rank; i++)
    vec_push(c->arena, &all, v->origins ? term_op2(c->arena, OP_ADD, at[i], v->origins[i], at[i]->span) : at[i]);
  return all;
}

static Term *op_at(Checker *c, const Value *v, Term *const *at) {
  TermVec args = {0};
  for (uint32_t i = 0; i < v->args.n; i++) vec_push(c->arena, &args, arg_at(c, v, i, at));
  return term_op(c->arena, v->op, v->type, &args, v->span);
}

static Term *query_at(Checker *c, const Value *v, Term *const *at) {
  TermVec args = {0};
  vec_push(c->arena, &args, arg_at(c, v, 0, at));
  if (v->kind == VALUE_PARAM) vec_push(c->arena, &args, term_int(c->arena, v->number, v->span));
  return term_query(c->arena, v->kind == VALUE_E ? QUERY_E : QUERY_PARAM, TYPE_REAL, &args, v->span);
}

static Term *vector_at(Checker *c, const Value *v, Term *const *at) {
  TermVec all;
  switch (v->kind) {
    case VALUE_POISON: case VALUE_TERM: break;
    case VALUE_ELEMENT:
      all = indices_at(c, v, at);
      return term_ref(c->arena, v->element, v->what, &all, v->span);
    case VALUE_OP: return op_at(c, v, at);
    case VALUE_IF:
      return term_if(c->arena, arg_at(c, v, 0, at), arg_at(c, v, 1, at), arg_at(c, v, 2, at), v->span);
    case VALUE_REDUCE: return term_reduce(c->arena, v->reduce, v->index, arg_at(c, v, 0, at), v->span);
    case VALUE_E: case VALUE_PARAM: return query_at(c, v, at);
    case VALUE_AT:
      all = indices_at(c, v, at);
      return value_at(c, v->args.at[0], all.at);
  }
  ICE("value of kind %d read at indices", (int)v->kind);
}

Term *value_at(Checker *c, const Value *v, Term *const *at) {
  if (v->kind == VALUE_TERM) return v->term;
  if (is_poison(v) || !spend_terms(c, 1)) return term_int(c->arena, 0, v->span);
  Term *t = enter_level(c) ? vector_at(c, v, at) : NULL;
  leave_level(c);
  bool whole = t && !too_deep(c, t) && (t->nodes < MODEL_MAX_TERMS || spend_terms(c, MODEL_MAX_TERMS));
  return whole ? t : term_int(c->arena, 0, v->span);
}

/* A name for part of an array is indexed as the array is. */
static Value *more_indices(Checker *c, const Value *v, const TermVec *indices, Span span) {
  Value *part = blank(c, VALUE_ELEMENT, v->type, span);
  part->element = v->element;
  part->what = v->what;
  part->rank = v->rank - indices->n;
  part->dims = v->dims + indices->n;
  part->origins = v->origins ? v->origins + indices->n : NULL;
  for (uint32_t i = 0; i < v->fixed.n; i++) vec_push(c->arena, &part->fixed, v->fixed.at[i]);
  for (uint32_t i = 0; i < indices->n; i++) vec_push(c->arena, &part->fixed, indices->at[i]);
  return part->rank ? part : value_term(c, term_ref(c->arena, part->element, part->what, &part->fixed, span));
}

Value *value_index(Checker *c, Value *v, const TermVec *indices, Span span) {
  if (is_poison(v)) return v;
  if (indices->n > v->rank) {
    diag_error(c->diags, span, "%u %s given to a value of shape %s", indices->n,
               indices->n == 1 ? "index is" : "indices are", value_shape_text(c, v));
    return &c->poison;
  }
  TermVec origins = {.at = v->origins, .n = v->origins ? v->rank : 0};
  if (!indices_begin(c, indices, &origins)) return &c->poison;
  if (v->kind == VALUE_ELEMENT) return more_indices(c, v, indices, span);
  if (indices->n == v->rank) return value_term(c, value_at(c, v, indices->at));
  Value *part = blank(c, VALUE_AT, v->type, span);
  part->fixed = *indices;
  part->rank = v->rank - indices->n;
  part->dims = v->dims + indices->n;
  vec_push(c->arena, &part->args, v);
  return part;
}

/* ---- axes --------------------------------------------------------------------------------------- */

Index *new_index(Checker *c, Sym name, IndexRole role, Range range, Span span) {
  Index *i = NEW(c->arena, Index);
  *i = (Index){.id = c->model->index_count++, .name = name, .span = span, .role = role, .range = range};
  return i;
}

static bool in_sight(const Checker *c, Sym name) {
  for (uint32_t i = 0; i < c->axes_in_sight.n; i++)
    if (c->axes_in_sight.at[i]->name == name) return true;
  return lookup_quietly(c, name) != NULL;
}

/* A size's name in lower case, numbered when something in sight has it. */
static Sym axis_name(Checker *c, const Term *dim) {
  char word[48] = "axis";
  if (dim->kind == TERM_SIZE) {
    snprintf(word, 32, "%s", name_text(c, dim->size->name));
    for (char *p = word; *p; p++) *p = (char)tolower((unsigned char)*p);
  }
  size_t n = strlen(word);
  Sym name = intern(c->names, word, n);
  for (unsigned k = 1; in_sight(c, name); k++) {
    snprintf(word + n, sizeof word - n, "_%u", k);
    name = intern_str(c->names, word);
  }
  return name;
}

static Index *new_axis(Checker *c, Term *dim) {
  Range r = {.kind = RANGE_INTERVAL, .span = dim->span, .lo = term_int(c->arena, 0, dim->span), .hi = dim};
  Index *i = new_index(c, axis_name(c, dim), INDEX_AXIS, r, dim->span);
  vec_push(c->arena, &c->axes_in_sight, i);
  return i;
}

void axes_make(Checker *c, Term *const *dims, uint32_t n, IndexVec *axes) {
  for (uint32_t i = 0; i < n; i++) {
    Index *axis = new_axis(c, dims[i]);
    vec_push(c->arena, axes, axis);
  }
}

void axes_drop(Checker *c, uint32_t n) { c->axes_in_sight.n -= n; }

Term *value_over(Checker *c, const Value *v, const IndexVec *axes) {
  TermVec at = {0};
  for (uint32_t i = axes->n - v->rank; i < axes->n; i++)
    vec_push(c->arena, &at, term_index(c->arena, axes->at[i], v->span));
  return value_at(c, v, at.at);
}

Term *value_over_axes(Checker *c, const Value *v, IndexVec *axes) {
  axes_make(c, v->dims, v->rank, axes);
  Term *t = value_over(c, v, axes);
  axes_drop(c, v->rank);
  return t;
}

/* ---- shapes ------------------------------------------------------------------------------------- */

bool value_same_shape(Checker *c, const Value *a, const Value *b) {
  if (a->rank != b->rank) return false;
  for (uint32_t i = 0; i < a->rank; i++)
    if (!dim_equal(c->arena, a->dims[i], b->dims[i])) return false;
  return true;
}

const char *value_shape_text(Checker *c, const Value *v) {
  if (!v->rank) return "[] (a scalar)";
  const char *s = "[";
  for (uint32_t i = 0; i < v->rank; i++)
    s = arena_printf(c->arena, "%s%s%s", s, i ? ", " : "", term_text(c->model, c->arena, v->dims[i]));
  return arena_printf(c->arena, "%s]", s);
}

const char *type_words(ScalarType t) {
  switch (t) {
    case TYPE_BOOL: return "a condition (bool)";
    case TYPE_INT: return "an integer";
    case TYPE_REAL: return "a real number";
  }
  return "a value";
}
