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
 *   check_prior.c    priors                          check_infer.c, check_out.c, warn.c
 *   check_inner.c    queries in brackets        check_joined.c, check_whole.c  components */
#include "model/check.h"

#include "model/checker.h"

static void check_block(Checker *c, const StmtVec *body);

/* One plate inside the other, in the order written: later ranges may use earlier indices. */
static void check_for(Checker *c, const Stmt *s) {
  uint32_t outer = c->plates.n;
  scope_push(c);
  for (uint32_t i = 0; i < s->loop.binders.n; i++) {
    const Binder *b = &s->loop.binders.at[i];
    if (!count_declaration(c, b->span)) break;
    for (uint32_t k = 0; k < c->plates.n; k++)
      if (k < outer && c->plates.at[k]->name == b->name.sym) {
        Diag *d = diag_error(c->diags, b->name.span, "'%s' is already the index of an enclosing plate",
                             name_text(c, b->name.sym));
        diag_note(c->diags, d, c->plates.at[k]->span, "declared here");
      }
    Index *x = bind_index(c, b, INDEX_PLATE, "the range of a plate");
    if (!x)
      x = new_index(
          c, b->name.sym, INDEX_PLATE,
          (Range){.span = b->span, .lo = term_int(c->arena, 0, b->span), .hi = term_int(c->arena, 1, b->span)},
          b->name.span);
    vec_push(c->arena, &c->plates, x);
  }
  check_block(c, &s->loop.body);
  scope_pop(c);
  c->plates.n = outer;
}

static void check_stmt(Checker *c, const Stmt *s) {
  if (!count_declaration(c, s->span)) return;
  c->statement = s->span;
  c->closed.n = 0;
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
    if (body->at[i]->kind == STMT_DEF && count_declaration(c, body->at[i]->span)) declare_def(c, &body->at[i]->def);
  for (uint32_t i = 0; i < body->n && !c->exhausted; i++) check_stmt(c, body->at[i]);
  if (!c->exhausted) check_uncalled(c);
}

static void declare_sizes(Checker *c, const ModelDecl *decl) {
  for (uint32_t i = 0; i < decl->sizes.n && count_declaration(c, decl->sizes.at[i].span); i++) {
    Size *s = NEW(c->arena, Size);
    *s = (Size){.id = i, .name = decl->sizes.at[i].sym, .span = decl->sizes.at[i].span};
    vec_push(c->arena, &c->model->sizes, s);
    declare_name(c, ENTITY_SIZE, decl->sizes.at[i], s);
  }
}

static void init_checker(Checker *c, const Checker *shared, const ModelDecl *decl) {
  *c = *shared;
  c->model = NEW(c->arena, Model);
  *c->model = (Model){
      .arena = c->arena, .names = c->names, .source = c->source, .name = decl->name.sym, .span = decl->name.span};
  c->poison = (Value){.kind = VALUE_POISON};
}

/* Syntax errors inside the model count as its own. */
static bool parsed_well(const Checker *c, const ModelDecl *decl) {
  for (uint32_t i = 0; i < c->diags->list.n; i++) {
    const Diag *d = c->diags->list.at[i];
    if (d->level == DIAG_ERROR && d->span.lo >= decl->span.lo && d->span.lo <= decl->span.hi) return false;
  }
  return c->diags->errors < DIAG_MAX_ERRORS;
}

/* NULL: the model has errors. */
static Model *check_model(const Checker *shared, const ModelDecl *decl) {
  Checker c;
  init_checker(&c, shared, decl);
  bool parsed = parsed_well(&c, decl);
  c.body = &decl->body;
  uint32_t before = c.diags->errors;
  scope_push(&c);
  declare_sizes(&c, decl);
  check_block(&c, &decl->body);
  if (!c.exhausted) check_infer_complete(&c), check_queries(&c), check_latent_use(&c), check_joined(&c);
  bool good = parsed && c.diags->errors == before;
  if (good) warn_model(&c), warn_latents(&c);
  scope_pop(&c);
  return good ? c.model : NULL;
}

/* first: the model of each name so far, by Sym. */
static bool unique_model(Checker *c, const ModelDecl *m, const ModelDecl **first) {
  const ModelDecl *old = first[m->name.sym];
  first[m->name.sym] = m;
  if (!old) return true;
  Diag *d = diag_error(c->diags, m->name.span, "there are two models '%s'", name_text(c, m->name.sym));
  diag_note(c->diags, d, old->name.span, "the first is here");
  return false;
}

ModelFile *check_file(Arena *arena, Interner *names, Diags *diags, const Source *source, const File *file) {
  ModelFile *result = NEW(arena, ModelFile);
  Checker shared = {.arena = arena, .names = names, .diags = diags, .source = source};
  scope_push(&shared);
  for (uint32_t i = 0; i < file->items.n; i++)
    if (file->items.at[i].is_def && count_declaration(&shared, file->items.at[i].def.span))
      declare_def(&shared, &file->items.at[i].def);
  shared.declarations = 0;
  shared.exhausted = false;
  const ModelDecl **first = NEW_ARRAY(arena, const ModelDecl *, names->text.n);
  for (uint32_t i = 0; i < file->items.n; i++) {
    if (file->items.at[i].is_def) continue;
    bool unique = unique_model(&shared, &file->items.at[i].model, first);
    Model *m = check_model(&shared, &file->items.at[i].model);
    if (m && unique) vec_push(arena, &result->models, m);
  }
  shared.model = NEW(arena, Model); /* no model: nothing of one is in sight */
  *shared.model = (Model){.arena = arena, .names = names, .source = source};
  check_uncalled(&shared);
  return result;
}
