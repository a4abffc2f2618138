/* scope: what a name means at a place.
 *
 * Three name spaces: functions (built in and `def`), outputs (check_out.c), and all else, here.  A name
 * is seen to the end of its block, edges and latents in all of the model after their declaration.  An
 * inner index may hide an outer one, as in any comprehension; two declarations in one block may not. */
#include "model/checker.h"

#include <ctype.h>

const char *name_text(const Checker *c, Sym s) { return sym_text(c->names, s); }

void scope_push(Checker *c) {
  Scope *s = NEW(c->arena, Scope);
  s->outer = c->scope;
  c->scope = s;
}

void scope_pop(Checker *c) { c->scope = c->scope->outer; }

const char *entity_words(const Entity *e) {
  switch (e->kind) {
    case ENTITY_POISON: return "a name";
    case ENTITY_SIZE: return "a size";
    case ENTITY_INPUT: return e->input->elem == ELEM_GRAPH ? "a graph" : e->input->is_param ? "a param" : "data";
    case ENTITY_LET: return "a derived array";
    case ENTITY_ABBREVIATION: return e->is_argument ? "a parameter" : "an abbreviation";
    case ENTITY_INDEX: return "an index";
    case ENTITY_EDGE: return "an edge";
    case ENTITY_LATENT: return "a latent";
  }
  return "a name";
}

static Entity *find(Entity *list, Sym name) {
  while (list && list->name != name) list = list->next;
  return list;
}

Entity *lookup_quietly(const Checker *c, Sym name) {
  for (const Scope *s = c->scope; s; s = s->outer) {
    Entity *e = find(s->entities, name);
    if (e) return e;
  }
  return find(c->everywhere, name);
}

DefEntity *lookup_def(const Checker *c, Sym name) {
  for (const Scope *s = c->scope; s; s = s->outer)
    for (DefEntity *d = s->defs; d; d = d->next)
      if (d->def->name.sym == name) return d;
  return NULL;
}

static bool is_global(EntityKind k) { return k == ENTITY_EDGE || k == ENTITY_LATENT; }

/* The declaration that forbids a new one, or NULL. */
static Entity *clash(Checker *c, EntityKind kind, Sym name) {
  Entity *here = find(c->scope->entities, name);
  if (here) return here;
  if (is_global(kind)) return lookup_quietly(c, name);
  if (kind == ENTITY_INDEX) return NULL;
  Entity *far = find(c->everywhere, name);
  return far && is_global(far->kind) ? far : NULL;
}

Entity *declare_name(Checker *c, EntityKind kind, Name name, void *what) {
  Entity *old = clash(c, kind, name.sym);
  if (old) {
    Diag *d =
        diag_error(c->diags, name.span, "'%s' is already declared, as %s", name_text(c, name.sym), entity_words(old));
    diag_note(c->diags, d, old->span, "declared here");
  }
  Entity *e = NEW(c->arena, Entity);
  *e = (Entity){.kind = kind, .name = name.sym, .span = name.span, .next = c->scope->entities};
  e->size = what;
  c->scope->entities = e;
  if (is_global(kind) || kind == ENTITY_LET) {
    Entity *far = NEW(c->arena, Entity);
    *far = *e;
    far->next = c->everywhere;
    c->everywhere = far;
  }
  return e;
}

void declare_def(Checker *c, const Def *def) {
  const char *name = name_text(c, def->name.sym);
  if (is_builtin(name) || is_query_word(name))
    diag_error(c->diags, def->name.span, "'%s' is a built-in function and cannot be defined again", name);
  for (DefEntity *d = c->scope->defs; d; d = d->next)
    if (d->def->name.sym == def->name.sym) {
      Diag *g = diag_error(c->diags, def->name.span, "function '%s' is already defined", name);
      diag_note(c->diags, g, d->def->name.span, "defined here");
    }
  for (uint32_t i = 0; i < def->params.n; i++)
    for (uint32_t k = 0; k < i; k++)
      if (def->params.at[i].sym == def->params.at[k].sym)
        diag_error(c->diags, def->params.at[i].span, "parameter '%s' is named twice",
                   name_text(c, def->params.at[i].sym));
  DefEntity *e = NEW(c->arena, DefEntity);
  *e = (DefEntity){.def = def, .home = c->scope, .next = c->scope->defs};
  c->scope->defs = e;
}

/* ---- near names --------------------------------------------------------------------------------- */

enum { LONGEST = 40, FAR = 100 };

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Levenshtein's distance without regard to case; FAR for long words. */
static uint32_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n > LONGEST || m > LONGEST) return FAR;
  uint32_t row[LONGEST + 1];
  for (uint32_t k = 0; k <= m; k++) row[k] = k;
  for (size_t i = 1; i <= n; i++) {
    uint32_t diagonal = row[0];
    row[0] = (uint32_t)i;
    for (size_t k = 1; k <= m; k++) {
      bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[k - 1]);
      uint32_t change = diagonal + !same;
      diagonal = row[k];
      row[k] = least(change, least(row[k], row[k - 1]) + 1);
    }
  }
  return row[m];
}

/* Names of one letter are near nothing but their other case. */
static uint32_t tolerance(const char *word) {
  size_t n = strlen(word);
  return n < 2 ? 0 : n < 5 ? 1 : n < 9 ? 2 : 3;
}

const char *nearest_word(const char *word, const char *const *words, uint32_t n) {
  const char *best = NULL;
  uint32_t least_far = tolerance(word) + 1;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t d = distance(word, words[i]);
    if (d < least_far) least_far = d, best = words[i];
  }
  return best;
}

static void nearer(const Checker *c, const char *word, Entity *list, Entity **best, uint32_t *d) {
  for (; list; list = list->next) {
    uint32_t k = distance(word, name_text(c, list->name));
    if (k < *d) *d = k, *best = list;
  }
}

static Entity *nearest_entity(const Checker *c, const char *word) {
  Entity *best = NULL;
  uint32_t d = tolerance(word) + 1;
  for (const Scope *s = c->scope; s; s = s->outer) nearer(c, word, s->entities, &best, &d);
  nearer(c, word, c->everywhere, &best, &d);
  return best;
}

/* The body of a reduction ends at `+`, which is easily forgotten. */
static const Entity *closed_index(const Checker *c, Sym name) {
  for (uint32_t i = c->closed.n; i-- > 0;)
    if (c->closed.at[i]->name == name) return c->closed.at[i];
  return NULL;
}

static const Name *declared_in(const StmtVec *body, Sym name, const Stmt **by);

static const Name *declared_by(const Stmt *s, Sym name, const Stmt **by) {
  *by = s;
  switch (s->kind) {
    case STMT_DATA: case STMT_PARAM: case STMT_LATENT:
      for (uint32_t i = 0; i < s->decls.n; i++)
        if (s->decls.at[i].target.name.sym == name) return &s->decls.at[i].target.name;
      return NULL;
    case STMT_LET: return s->assign.target.name.sym == name ? &s->assign.target.name : NULL;
    case STMT_EDGE: return s->edge.name.sym == name ? &s->edge.name : NULL;
    case STMT_FOR:
      for (uint32_t i = 0; i < s->loop.binders.n; i++)
        if (s->loop.binders.at[i].name.sym == name) return &s->loop.binders.at[i].name;
      return declared_in(&s->loop.body, name, by);
    case STMT_ERROR: case STMT_DEF: case STMT_PRIOR: case STMT_OBSERVE: case STMT_POTENTIAL: case STMT_REQUIRE:
    case STMT_INFER: case STMT_OUT: return NULL;
  }
  return NULL;
}

/* The name may be declared later, or in a block that does not hold this place: by that statement. */
static const Name *declared_in(const StmtVec *body, Sym name, const Stmt **by) {
  for (uint32_t i = 0; i < body->n; i++) {
    const Name *n = declared_by(body->at[i], name, by);
    if (n) return n;
  }
  return NULL;
}

static void note_elsewhere(Checker *c, Diag *d, const Name *there, const Stmt *by, Span here) {
  const char *word = name_text(c, there->sym);
  const char *seen = "only to the end of its block";
  if (there->span.lo > here.lo) seen = "only after that";
  else if (by->kind == STMT_EDGE || here.lo < by->span.hi)
    seen = by->kind == STMT_FOR ? "only in the block that follows" : "only after this statement, which cannot read it";
  diag_note(c->diags, d, there->span, "'%s' is declared here: it is seen %s", word, seen);
}

/* Why the name may have been written, likeliest first; at most one reason is told. */
static void explain_unknown(Checker *c, Diag *d, Name name) {
  const char *word = name_text(c, name.sym);
  const Entity *closed = closed_index(c, name.sym);
  const Stmt *by = NULL;
  const Name *there = c->body ? declared_in(c->body, name.sym, &by) : NULL;
  const Entity *near = nearest_entity(c, word);
  if (near && c->in_dimension && near->kind != ENTITY_SIZE) near = NULL;
  if (closed) {
    diag_note(c->diags, d, closed->span, "this '%s' is seen only in the reduction's body", word);
    diag_hint(c->diags, d,
              "the body reaches over '*' and '/' but not over '+', '-' or a comparison: put brackets around it");
  } else if (there) {
    note_elsewhere(c, d, there, by, name.span);
  } else if (near) {
    diag_note(c->diags, d, near->span, "did you mean '%s', declared here?", name_text(c, near->name));
  } else if (c->in_dimension) {
    diag_hint(c->diags, d, "list it among the sizes: model %s(..., %s)", name_text(c, c->model->name), word);
  } else if (is_builtin(word) || lookup_def(c, name.sym)) {
    diag_hint(c->diags, d, "'%s' is a function: call it with (...)", word);
  }
}

Entity *lookup_name(Checker *c, Name name, const char *expected) {
  Entity *e = lookup_quietly(c, name.sym);
  if (e) return e;
  Diag *d = diag_error(c->diags, name.span, "unknown name '%s'; expected %s", name_text(c, name.sym),
                       c->in_dimension ? "a size" : expected);
  explain_unknown(c, d, name);
  return NULL;
}
