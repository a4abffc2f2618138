/* check_out: outputs, their layout and their type. */
#include "model/checker.h"

static bool unique_name(Checker *c, Name name) {
  for (uint32_t i = 0; i < c->model->outs.n; i++) {
    const Out *o = c->model->outs.at[i];
    if (o->name != name.sym) continue;
    Diag *d = diag_error(c->diags, name.span, "there are two outputs '%s'", name_text(c, name.sym));
    diag_note(c->diags, d, o->span, "the first is here");
    return false;
  }
  return true;
}

static Index *plate_named(const Checker *c, Sym name) {
  for (uint32_t i = c->plates.n; i-- > 0;)
    if (c->plates.at[i]->name == name) return c->plates.at[i];
  return NULL;
}

static bool plate_slot(Checker *c, Name name, Out *o) {
  const char *text = name_text(c, name.sym);
  Index *i = plate_named(c, name.sym);
  if (!i) {
    Diag *d = diag_error(c->diags, name.span, "'%s' is not an index of an enclosing plate", text);
    diag_hint(c->diags, d, "an index of the output's own is written with its range: '%s in N'", text);
    return false;
  }
  if (indices_hold(&o->slots, i)) {
    diag_error(c->diags, name.span, "index '%s' stands twice in the layout", text);
    return false;
  }
  vec_push(c->arena, &o->slots, i);
  return true;
}

static bool fixed_extent(Checker *c, const Index *i, Span span) {
  if (range_is_static(&i->range)) return true;
  Diag *d =
      diag_error(c->diags, span, "'%s' runs over bounds that are not sizes, so it cannot be an index of an output",
                 name_text(c, i->name));
  diag_note(c->diags, d, i->range.span, "its range is here");
  diag_hint(c->diags, d, "run over a size, and cut by 'where' or 'if'");
  return false;
}

static bool layout(Checker *c, const Target *t, Out *o) {
  bool good = true;
  for (uint32_t i = 0; i < t->slots.n; i++) {
    const Slot *s = &t->slots.at[i];
    if (s->is_binder) {
      const Index *plate = plate_named(c, s->binder.name.sym);
      if (plate) {
        Diag *d = diag_error(c->diags, s->binder.name.span, "'%s' is already the index of an enclosing plate",
                             name_text(c, plate->name));
        diag_note(c->diags, d, plate->span, "declared here");
        good = false;
      }
      Index *x = bind_index(c, &s->binder, INDEX_OUTPUT, "the range of an output's index");
      good = good && x && fixed_extent(c, x, s->binder.span);
      if (x) vec_push(c->arena, &o->slots, x);
    } else if (plate_slot(c, s->name, o)) {
      good = good && fixed_extent(c, vec_last(&o->slots), s->name.span);
    } else {
      good = false;
    }
  }
  return good;
}

/* By an inner plate of the same name, which is an error of its own. */
static bool is_hidden(const Checker *c, uint32_t plate) {
  for (uint32_t i = plate + 1; i < c->plates.n; i++)
    if (c->plates.at[i]->name == c->plates.at[plate]->name) return true;
  return false;
}

static bool complete(Checker *c, const Target *t, const Out *o) {
  for (uint32_t i = 0; i < c->plates.n; i++) {
    if (indices_hold(&o->slots, c->plates.at[i]) || is_hidden(c, i)) continue;
    const char *name = name_text(c, c->plates.at[i]->name);
    Diag *d = diag_error(c->diags, t->span, "output '%s' stands in the plate of '%s'; its layout must name '%s'",
                         name_text(c, t->name.sym), name, name);
    diag_note(c->diags, d, c->plates.at[i]->span, "the plate is here");
    return false;
  }
  return true;
}

static Term *value_of_output(Checker *c, const Expr *e, Out *o) {
  Value *v = elab(c, e);
  if (is_poison(v)) return NULL;
  if (is_none(v)) {
    diag_error(c->diags, e->span, "'none' is no value of its own");
    return NULL;
  }
  Term *t = value_over_axes(c, v, &o->axes);
  return mention_allowed(c, t, PLACE_OUT, e->span) ? inner_queries_apart(c, t, &o->plates) : NULL;
}

void check_out(Checker *c, const Stmt *s) {
  const Target *t = &s->assign.target;
  Out *o = NEW(c->arena, Out);
  *o = (Out){.id = c->model->outs.n, .name = t->name.sym, .span = t->span};
  for (uint32_t i = 0; i < c->plates.n; i++) vec_push(c->arena, &o->plates, c->plates.at[i]);
  bool good = unique_name(c, t->name);
  scope_push(c);
  bool laid = layout(c, t, o);
  good = laid && complete(c, t, o) && good;
  o->value = value_of_output(c, s->assign.value, o);
  scope_pop(c);
  if (!o->value) return;
  o->type = o->value->type;
  o->is_count = o->value->kind == TERM_QUERY && o->value->query == QUERY_COUNT;
  if (good) vec_push(c->arena, &c->model->outs, o);
}
