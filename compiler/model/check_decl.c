/* check_decl: inputs, latents, derived arrays, abbreviations and edges. */
#include "model/checker.h"

static const char *const ELEMS[] = {"real", "f64", "f32", "f16", "bf16", "int", "bool", "graph"};
enum { ELEM_COUNT = 8 };

/* ---- inputs ------------------------------------------------------------------------------------- */

static bool elem_of(Checker *c, Name type, ElemKind *elem) {
  *elem = ELEM_REAL;
  if (!type.sym) return true;
  const char *word = name_text(c, type.sym);
  for (int i = 0; i < ELEM_COUNT; i++)
    if (!strcmp(word, ELEMS[i])) return *elem = (ElemKind)i, true;
  Diag *d = diag_error(c->diags, type.span,
                       "unknown element type '%s'; expected real, f64, f32, f16, bf16, int, bool or graph", word);
  const char *near = nearest_word(word, ELEMS, ELEM_COUNT);
  if (!strcmp(word, "float") || !strcmp(word, "double")) near = "real";
  if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
  return false;
}

static Term *dimension(Checker *c, const Expr *e) {
  c->in_dimension = true;
  Term *t = scalar_int(c, e, "a dimension");
  c->in_dimension = false;
  if (!t || !mention_allowed(c, t, PLACE_SIZES, e->span)) return NULL;
  if (t->kind != TERM_INT || t->integer >= 0) return t;
  diag_error(c->diags, e->span, "a dimension cannot be negative; found %lld", (long long)t->integer);
  return NULL;
}

static bool dimensions(Checker *c, const ExprVec *dims, TermVec *to) {
  bool good = true;
  for (uint32_t i = 0; i < dims->n; i++) {
    Term *t = dimension(c, dims->at[i]);
    good &= t != NULL;
    if (t) vec_push(c->arena, to, t);
  }
  return good;
}

static bool graph_is_good(Checker *c, const Decl *d, const Input *in) {
  if (in->elem != ELEM_GRAPH) return true;
  if (in->is_param || d->init) {
    diag_error(c->diags, d->span, "a graph is data; it cannot be a param or have a default");
    return false;
  }
  if (in->dims.n == 2) return true;
  diag_error(c->diags, d->span, "a graph has two dimensions, graph[ROWS, COLUMNS]; found %u", in->dims.n);
  return false;
}

static bool refuse_slots(Checker *c, const Decl *d, const char *word) {
  if (!d->target.slots.n) return false;
  Diag *g = diag_error(c->diags, d->target.span, "%s is declared by its name and dimensions, not by indices", word);
  diag_hint(c->diags, g, "write '%s: [...]'", name_text(c, d->target.name.sym));
  return true;
}

static bool convert_default(Checker *c, const Input *in, Value **v) {
  ScalarType type = in->elem == ELEM_BOOL ? TYPE_BOOL : in->elem == ELEM_INT ? TYPE_INT : TYPE_REAL;
  if (type == TYPE_REAL && (*v)->type == TYPE_INT && !is_none(*v)) *v = value_to_real(c, *v);
  if ((*v)->type == type && !is_none(*v)) return true;
  diag_error(c->diags, (*v)->span, "the default of '%s' must be %s; found %s", name_text(c, in->name), type_words(type),
             is_none(*v) ? "none" : type_words((*v)->type));
  return false;
}

static bool default_fits(Checker *c, const Input *in, const Value *v) {
  Value shape = {.kind = VALUE_ELEMENT, .rank = in->dims.n, .dims = in->dims.at};
  if (!v->rank || value_same_shape(c, &shape, v)) return true;
  diag_error(c->diags, v->span, "the default of '%s' has shape %s; expected %s or a scalar", name_text(c, in->name),
             value_shape_text(c, v), value_shape_text(c, &shape));
  return false;
}

static void check_default(Checker *c, const Expr *init, Input *in) {
  Value *v = elab(c, init);
  if (is_poison(v) || !convert_default(c, in, &v) || is_poison(v) || !default_fits(c, in, v)) return;
  axes_make(c, in->dims.at, in->dims.n, &in->init_at);
  Term *t = value_over(c, v, &in->init_at);
  axes_drop(c, in->dims.n);
  if (mention_allowed(c, t, PLACE_DEFAULT, init->span)) in->init = t;
}

/* A declaration that did not parse: its name is known and nothing else. */
static bool is_broken(Checker *c, const Decl *d) {
  if (!d->init || d->init->kind != EXPR_ERROR) return false;
  declare_name(c, ENTITY_POISON, d->target.name, NULL);
  return true;
}

static void check_input(Checker *c, const Stmt *s, const Decl *d) {
  if (is_broken(c, d)) return;
  Input *in = NEW(c->arena, Input);
  *in = (Input){.name = d->target.name.sym, .span = d->target.name.span, .is_param = s->kind == STMT_PARAM};
  bool good = !refuse_slots(c, d, in->is_param ? "a param" : "data");
  good &= elem_of(c, d->type, &in->elem);
  good &= dimensions(c, &d->dims, &in->dims);
  good = good && graph_is_good(c, d, in);
  if (d->init && !in->is_param && in->elem != ELEM_GRAPH) {
    Diag *g = diag_error(c->diags, d->init->span, "data has no default; only a param has one");
    diag_hint(c->diags, g, "write 'param %s: ...' or 'let %s = ...'", name_text(c, in->name), name_text(c, in->name));
  }
  if (!good) {
    declare_name(c, ENTITY_POISON, d->target.name, NULL);
    return;
  }
  in->id = c->model->inputs.n;
  vec_push(c->arena, &c->input_used, false);
  if (d->init && in->is_param) check_default(c, d->init, in);
  vec_push(c->arena, &c->model->inputs, in);
  declare_name(c, ENTITY_INPUT, d->target.name, in);
}

void check_inputs(Checker *c, const Stmt *s) {
  const char *word = s->kind == STMT_DATA ? "data" : "param";
  if (c->scope->outer && c->scope->outer->outer) {
    Diag *d = diag_error(c->diags, s->keyword, "'%s' stands at the top of a model, not inside plates", word);
    diag_hint(c->diags, d, "give it the plates' sizes as dimensions");
  }
  for (uint32_t i = 0; i < s->decls.n && count_declaration(c, s->decls.at[i].span); i++)
    check_input(c, s, &s->decls.at[i]);
}

/* ---- latents ------------------------------------------------------------------------------------ */

static bool static_index(Checker *c, const Index *i, const char *what) {
  if (range_is_static(&i->range)) return true;
  Diag *d = diag_error(c->diags, i->range.span, "the range of '%s' depends on more than sizes, so it cannot be %s",
                       name_text(c, i->name), what);
  if (i->role == INDEX_PLATE)
    diag_note(c->diags, d, i->span, "'%s' is a plate's index, declared here", name_text(c, i->name));
  return false;
}

/* The indices of a target whose slots all bring a range: let arrays and latents. */
static bool own_indices(Checker *c, const Target *t, IndexRole role, const char *what, IndexVec *to) {
  bool good = true;
  for (uint32_t i = 0; i < t->slots.n; i++) {
    const Slot *s = &t->slots.at[i];
    if (!s->is_binder) {
      const char *name = name_text(c, s->name.sym);
      Diag *d = diag_error(c->diags, s->name.span, "'%s' needs a range here; expected '%s in N'", name, name);
      for (uint32_t k = 0; k < c->plates.n; k++)
        if (c->plates.at[k]->name == s->name.sym)
          diag_hint(c->diags, d, "the indices of enclosing plates are not repeated");
      declare_name(c, ENTITY_POISON, s->name, NULL);
      good = false;
      continue;
    }
    Index *x = bind_index(c, &s->binder, role, "a range");
    good = good && x && static_index(c, x, what);
    if (x) vec_push(c->arena, to, x);
  }
  return good;
}

static bool static_plates(Checker *c) {
  for (uint32_t i = 0; i < c->plates.n; i++)
    if (!static_index(c, c->plates.at[i], "a dimension of a latent")) return false;
  return true;
}

static void check_latent(Checker *c, const Decl *d) {
  if (is_broken(c, d)) return;
  Latent *z = NEW(c->arena, Latent);
  *z = (Latent){.id = c->model->latents.n, .name = d->target.name.sym, .span = d->target.name.span};
  for (uint32_t i = 0; i < c->plates.n; i++) vec_push(c->arena, &z->plates, c->plates.at[i]);
  TermVec dims = {0};
  ElemKind elem;
  scope_push(c);
  bool good = own_indices(c, &d->target, INDEX_LATENT, "a dimension of a latent", &z->own);
  scope_pop(c);
  good &= elem_of(c, d->type, &elem);
  good &= dimensions(c, &d->dims, &dims);
  good = good && static_plates(c);
  if (good && elem != ELEM_REAL && elem > ELEM_BF16) {
    Diag *g = diag_error(c->diags, d->type.span, "a latent is real; found %s", ELEMS[elem]);
    diag_hint(c->diags, g, "a discrete unknown is an 'edge'");
    good = false;
  }
  if (d->init) {
    Diag *g = diag_error(c->diags, d->init->span, "a latent has no value of its own");
    diag_hint(c->diags, g, "give its start by 'infer %s by collapsed(init = ...)'", name_text(c, z->name));
  }
  if (!good) {
    declare_name(c, ENTITY_POISON, d->target.name, NULL);
    return;
  }
  axes_make(c, dims.at, dims.n, &z->axes);
  axes_drop(c, dims.n);
  vec_push(c->arena, &c->model->latents, z);
  declare_name(c, ENTITY_LATENT, d->target.name, z);
}

void check_latents(Checker *c, const Stmt *s) {
  for (uint32_t i = 0; i < s->decls.n && count_declaration(c, s->decls.at[i].span); i++)
    check_latent(c, &s->decls.at[i]);
}

/* ---- let ---------------------------------------------------------------------------------------- */

static void check_abbreviation(Checker *c, const Stmt *s) {
  Value *v = elab(c, s->assign.value);
  if (is_none(v)) {
    diag_error(c->diags, v->span, "'none' is no value of its own");
    v = &c->poison;
  }
  declare_name(c, ENTITY_ABBREVIATION, s->assign.target.name, v);
}

static Let *let_array(Checker *c, const Stmt *s) {
  const Target *t = &s->assign.target;
  Let *l = NEW(c->arena, Let);
  *l = (Let){.name = t->name.sym, .span = t->name.span};
  for (uint32_t i = 0; i < c->plates.n; i++) vec_push(c->arena, &l->plates, c->plates.at[i]);
  bool good = own_indices(c, t, INDEX_LET, "a dimension", &l->own);
  Value *v = elab(c, s->assign.value);
  if (!good || is_poison(v)) return NULL;
  if (is_none(v)) return diag_error(c->diags, v->span, "'none' is no value of its own"), NULL;
  l->value = value_over_axes(c, v, &l->axes);
  if (!mention_allowed(c, l->value, PLACE_LET, s->assign.value->span)) return NULL;
  l->has_query = term_mentions_query(l->value);
  if (l->has_query) l->value = inner_queries_apart(c, l->value, &l->plates);
  return l;
}

void check_let(Checker *c, const Stmt *s) {
  if (!s->assign.target.slots.n) {
    check_abbreviation(c, s);
    return;
  }
  scope_push(c);
  Let *l = let_array(c, s);
  scope_pop(c);
  if (!l || c->exhausted) {
    declare_name(c, ENTITY_POISON, s->assign.target.name, NULL);
    return;
  }
  l->id = c->model->lets.n;
  vec_push(c->arena, &c->model->lets, l);
  declare_name(c, ENTITY_LET, s->assign.target.name, l);
}

/* ---- edges -------------------------------------------------------------------------------------- */

static bool refuse_where(Checker *c, const Stmt *s, const Edge *e) {
  if (!edge_is_structured(e)) return false;
  if (s->edge.where) {
    Diag *d = diag_error(c->diags, s->edge.where->span, "'where' does not stand on trees, permutations and matchings");
    diag_hint(c->diags, d, "remove values by a potential that is 0: 'potential if ... then 1 else 0'");
    return true;
  }
  if (s->edge.or_none && e->domain != DOMAIN_MATCHING) {
    Diag *d = diag_error(c->diags, s->span, "'or none' does not stand here: every node of a permutation has a partner, "
                         "and a tree's root is none already");
    if (e->domain == DOMAIN_TREE) diag_hint(c->diags, d, "tree(N, roots = any) has any number of roots");
    return true;
  }
  return false;
}

/* What a support may depend on comes before it: of the edge itself, copies with lower indices, and the value that is
 * judged.  Where that is a matter of data, it is one of the run. */
typedef struct Own { Checker *c; const Edge *e; const Term *later; } Own;

static void find_later(const Term *t, void *context) {
  Own *o = context;
  if (t->kind != TERM_EDGE || t->edge != o->e || o->later) return;
  for (uint32_t i = 0; i < t->args.n; i++) {
    int64_t d;
    if (!dim_difference(o->c->arena, t->args.at[i], term_index(o->c->arena, o->e->plates.at[i], t->span), &d)) return;
    if (d > 0) o->later = t;
    if (d) return;
  }
}

static bool refuse_later(Checker *c, const Edge *e) {
  Own o = {c, e, NULL};
  term_walk(e->where, find_later, &o);
  if (!o.later) return false;
  Diag *d = diag_error(c->diags, o.later->span, "the support of '%s' cannot depend on a copy that comes after it",
                       name_text(c, e->name));
  diag_hint(c->diags, d, "copies come in the order of their indices; 'require' joins them in any order");
  return true;
}

static bool check_support(Checker *c, const Stmt *s, Edge *e) {
  if (!s->edge.where) return true;
  Term *t = scalar_bool(c, s->edge.where, "the condition of 'where'");
  if (!t || !mention_allowed(c, t, PLACE_SUPPORT, s->edge.where->span)) return false;
  e->where = t;
  return !refuse_later(c, e);
}

void check_edge(Checker *c, const Stmt *s) {
  Edge *e = NEW(c->arena, Edge);
  *e = (Edge){.id = c->model->edges.n, .name = s->edge.name.sym, .span = s->edge.name.span, .or_none = s->edge.or_none};
  for (uint32_t i = 0; i < c->plates.n; i++) vec_push(c->arena, &e->plates, c->plates.at[i]);
  bool good = elab_edge_domain(c, &s->edge.domain, e);
  if (good && e->domain == DOMAIN_BIT && e->or_none) {
    diag_error(c->diags, s->span, "a bit has no 'none': 0 is its 'no edge'");
    good = false;
  }
  good = good && !refuse_where(c, s, e);
  if (!good) {
    declare_name(c, ENTITY_POISON, s->edge.name, NULL);
    return;
  }
  vec_push(c->arena, &c->model->edges, e);
  declare_name(c, ENTITY_EDGE, s->edge.name, e);
  check_support(c, s, e);
}
