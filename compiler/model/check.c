/* check: the tree of a file to models.
 *
 * Statements are elaborated in the order of the file, each into the model graph at once; what needs the
 * whole model (that every latent is inferred, that weights matter) is asked at its end.  The other files:
 *
 *   scope.c          names and near names            value.c          vectors, shapes, axes
 *   check_expr.c     operators                       check_ref.c      names and indexed names
 *   check_call.c     functions, reductions, def      check_query.c    E, P, mode, entropy, ...
 *   check_range.c    ranges and domains              check_mention.c  what may be mentioned where
 *   check_decl.c     inputs, latents, let, edges     check_weight.c   potential, require, observe
 *   check_prior.c    priors                          check_infer.c, check_out.c, warn.c */
#include "model/check.h"

#include "model/checker.h"

static void check_block(Checker *c, const StmtVec *body);

/* One plate inside the other, in the order written: later ranges may use earlier indices. */
static void check_for(Checker *c, const Stmt *s) {
  uint32_t outer = c->plates.n;
  scope_push(c);
  for (uint32_t i = 0; i < s->loop.binders.n; i++) {
    const Binder *b = &s->loop.binders.at[i];
    for (uint32_t k = 0; k < c->plates.n; k++)
      if (k < outer && c->plates.at[k]->name == b->name.sym) {
        Diag *d = diag_error(c->diags, b->name.span, "'%s' is already the index of an enclosing plate", name_text(c, b->name.sym));
        diag_note(c->diags, d, c->plates.at[k]->span, "declared here");
      }
    Index *x = bind(c, b, INDEX_PLATE, "the range of a plate");
    if (!x) x = new_index(c, b->name.sym, INDEX_PLATE,
                          (Range){.span = b->span, .lo = term_int(c->arena, 0, b->span), .hi = term_int(c->arena, 1, b->span)},
                          b->name.span);
    vec_push(c->arena, &c->plates, x);
  }
  check_block(c, &s->loop.body);
  scope_pop(c);
  c->plates.n = outer;
}

static void check_stmt(Checker *c, const Stmt *s) {
  c->statement = s->span;
  switch (s->kind) {
    case STMT_ERROR: return;
    case STMT_DATA: case STMT_PARAM: check_inputs(c, s); return;
    case STMT_LATENT: check_latents(c, s); return;
    case STMT_LET: check_let(c, s); return;
    case STMT_DEF: return; /* declared with its block */
    case STMT_FOR: check_for(c, s); return;
    case STMT_EDGE: check_edge(c, s); return;
    case STMT_PRIOR: check_prior(c, s); return;
    case STMT_OBSERVE: check_observe(c, s); return;
    case STMT_POTENTIAL: check_potential(c, s); return;
    case STMT_REQUIRE: check_require(c, s); return;
    case STMT_INFER: check_infer(c, s); return;
    case STMT_OUT: check_out(c, s); return;
  }
}

static void check_block(Checker *c, const StmtVec *body) {
  for (uint32_t i = 0; i < body->n; i++)
    if (body->at[i]->kind == STMT_DEF) declare_def(c, &body->at[i]->def);
  for (uint32_t i = 0; i < body->n && !c->exhausted; i++) check_stmt(c, body->at[i]);
}

static void declare_sizes(Checker *c, const ModelDecl *decl) {
  for (uint32_t i = 0; i < decl->sizes.n; i++) {
    Size *s = NEW(c->arena, Size);
    *s = (Size){.id = i, .name = decl->sizes.at[i].sym, .span = decl->sizes.at[i].span};
    vec_push(c->arena, &c->model->sizes, s);
    declare(c, ENTITY_SIZE, decl->sizes.at[i], s);
  }
}

static void init_checker(Checker *c, const Checker *shared, const ModelDecl *decl) {
  *c = *shared;
  c->model = NEW(c->arena, Model);
  *c->model = (Model){.arena = c->arena, .names = c->names, .source = c->source, .name = decl->name.sym, .span = decl->name.span};
  c->poison = (Value){.kind = VALUE_POISON};
}

/* NULL: the model has errors. */
static Model *check_model(const Checker *shared, const ModelDecl *decl) {
  Checker c;
  init_checker(&c, shared, decl);
  uint32_t before = c.diags->errors;
  scope_push(&c);
  declare_sizes(&c, decl);
  check_block(&c, &decl->body);
  if (!c.exhausted) check_infer_complete(&c), check_queries(&c);
  if (c.diags->errors == before) warn_model(&c);
  scope_pop(&c);
  return c.diags->errors == before ? c.model : NULL;
}

static bool unique_model(Checker *c, const File *file, uint32_t at) {
  Name name = file->items.at[at].model.name;
  for (uint32_t i = 0; i < at; i++) {
    const Item *other = &file->items.at[i];
    if (other->is_def || other->model.name.sym != name.sym) continue;
    Diag *d = diag_error(c->diags, name.span, "there are two models '%s'", name_text(c, name.sym));
    diag_note(c->diags, d, other->model.name.span, "the first is here");
    return false;
  }
  return true;
}

ModelFile *check_file(Arena *arena, Interner *names, Diags *diags, const Source *source, const File *file) {
  ModelFile *result = NEW(arena, ModelFile);
  Checker shared = {.arena = arena, .names = names, .diags = diags, .source = source};
  scope_push(&shared);
  for (uint32_t i = 0; i < file->items.n; i++)
    if (file->items.at[i].is_def) declare_def(&shared, &file->items.at[i].def);
  for (uint32_t i = 0; i < file->items.n; i++) {
    if (file->items.at[i].is_def) continue;
    bool unique = unique_model(&shared, file, i);
    Model *m = check_model(&shared, &file->items.at[i].model);
    if (m && unique) vec_push(arena, &result->models, m);
  }
  return result;
}
