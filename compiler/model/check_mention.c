/* check_mention: what an expression may mention where it stands.
 *
 * Elaboration itself is the same everywhere; the flags that every term keeps tell afterwards what it
 * mentions, and this table says what is forbidden at the place, and why.  Every term that enters the model
 * comes through here, so its full size, shared parts counted at each use, is charged here too. */
#include "model/checker.h"

typedef struct Rule { const char *where; uint8_t forbidden; } Rule;

enum {
  ALL_DATA = MENTIONS_INPUT | MENTIONS_INDEX | MENTIONS_LET,
  UNKNOWNS = MENTIONS_EDGE | MENTIONS_LATENT | MENTIONS_QUERY,
};

static const Rule RULES[] = {
  [PLACE_SIZES] = {"a dimension", ALL_DATA | UNKNOWNS},
  [PLACE_BOUND] = {"the range of a plate", UNKNOWNS},
  [PLACE_REDUCE_BOUND] = {"the range of a reduction", MENTIONS_LATENT | MENTIONS_QUERY},
  [PLACE_SUPPORT] = {"the support of an edge", MENTIONS_LATENT | MENTIONS_QUERY},
  [PLACE_WEIGHT] = {"a weight", MENTIONS_QUERY},
  [PLACE_LET] = {"a 'let' with indices", MENTIONS_FREE_EDGE | MENTIONS_FREE_LATENT},
  [PLACE_DEFAULT] = {"a default", UNKNOWNS | MENTIONS_LET},
  [PLACE_INFER] = {"an argument of 'infer'", UNKNOWNS},
  [PLACE_COPY] = {"the copy that is meant", UNKNOWNS},
  [PLACE_OUT] = {"an output", MENTIONS_FREE_EDGE},
};

static bool inside(Span part, Span whole) { return part.lo >= whole.lo && part.hi <= whole.hi; }

/* The place of the mention where it is written here, else (in a def, in a let) all of the expression. */
static Diag *report(Checker *c, Span mention, Span span, const char *text) {
  bool here = inside(mention, span);
  Diag *d = diag_error(c->diags, here ? mention : span, "%s", text);
  if (!here) diag_note(c->diags, d, mention, "it comes from here");
  return d;
}

/* The first edge (or latent) outside every query. */
static const Term *find_free(const Term *t, TermKind kind, uint8_t flag) {
  if (!(t->mentions & flag)) return NULL;
  if (t->kind == kind) {
    for (uint32_t i = 0; i < t->args.n; i++) {
      const Term *f = find_free(t->args.at[i], kind, flag);
      if (f) return f;
    }
    return t;
  }
  const Term *parts[3] = {NULL, NULL, NULL};
  if (t->kind == TERM_REDUCE)
    parts[0] = t->index->range.lo, parts[1] = t->index->range.hi, parts[2] = t->index->range.row;
  for (uint32_t i = 0; i < 3; i++) {
    const Term *f = parts[i] ? find_free(parts[i], kind, flag) : NULL;
    if (f) return f;
  }
  for (uint32_t i = 0; i < t->args.n; i++) {
    const Term *f = find_free(t->args.at[i], kind, flag);
    if (f) return f;
  }
  return NULL;
}

static bool refuse_query(Checker *c, const Term *t, MentionPlace place, Span span) {
  const Term *q = term_find(t, TERM_QUERY);
  Span at = q ? q->span : t->span;
  if (place != PLACE_WEIGHT) {
    Diag *d = report(c, at, span, arena_printf(c->arena, "%s cannot read a query", RULES[place].where));
    diag_hint(c->diags, d, "queries stand only in 'out' and in a 'let' that only 'out' uses");
    return false;
  }
  Diag *d = report(c, at, span, "a weight that reads a query (a layer on a layer) is not in version 1");
  diag_hint(c->diags, d, "write two models and give the first one's output to the second as data");
  return false;
}

static bool refuse_unknown(Checker *c, const Term *t, TermKind kind, MentionPlace place, uint8_t flags, Span span) {
  uint8_t free = kind == TERM_EDGE ? MENTIONS_FREE_EDGE : MENTIONS_FREE_LATENT;
  const Term *f = flags & free ? find_free(t, kind, free) : term_find(t, kind);
  if (!f) f = t;
  Sym sym = f->kind == TERM_EDGE ? f->edge->name : f->kind == TERM_LATENT ? f->latent->name : 0;
  const char *what = kind == TERM_EDGE ? "edge" : "latent";
  if (place == PLACE_OUT) {
    Diag *d = report(c, f->span, span,
                     arena_printf(c->arena, "%s '%s' outside any query in an output", what, name_text(c, sym)));
    diag_hint(c->diags, d, "write E[...] for its expectation, P[...] for a probability, or mode(%s)",
              name_text(c, sym));
    return false;
  }
  const char *name = name_text(c, sym);
  Diag *d =
      report(c, f->span, span, arena_printf(c->arena, "%s cannot depend on %s '%s'", RULES[place].where, what, name));
  if (place == PLACE_LET && kind == TERM_EDGE)
    diag_hint(c->diags, d, "give it an index for the values of '%s', and read it at [.., %s]; or leave its indices out",
              name, name);
  else if (place == PLACE_LET) diag_hint(c->diags, d, "one without indices may");
  return false;
}

static bool refuse_data(Checker *c, const Term *t, MentionPlace place, Span span) {
  const Term *f = term_find(t, TERM_INPUT);
  if (!f) f = term_find(t, TERM_LET);
  if (!f) f = term_find(t, TERM_INDEX);
  Diag *d = report(c, f ? f->span : t->span, span, place == PLACE_DEFAULT ? "a default cannot use a derived array"
                                                                        : "a dimension is an expression of sizes only");
  if (f && f->kind == TERM_INPUT)
    diag_note(c->diags, d, f->input->span, "'%s' is data, declared here", name_text(c, f->input->name));
  return false;
}

bool mention_allowed(Checker *c, const Term *t, MentionPlace place, Span span) {
  if (!spend_terms(c, t->nodes)) return false;
  uint8_t bad = t->mentions & RULES[place].forbidden;
  if (!bad) return true;
  if (bad & MENTIONS_QUERY) return refuse_query(c, t, place, span);
  if (bad & (MENTIONS_EDGE | MENTIONS_FREE_EDGE)) return refuse_unknown(c, t, TERM_EDGE, place, bad, span);
  if (bad & (MENTIONS_LATENT | MENTIONS_FREE_LATENT)) return refuse_unknown(c, t, TERM_LATENT, place, bad, span);
  return refuse_data(c, t, place, span);
}

bool copy_allowed(Checker *c, const Term *ref, Span span) {
  for (uint32_t i = 0; i < ref->args.n; i++)
    if (!mention_allowed(c, ref->args.at[i], PLACE_COPY, span)) return false;
  return true;
}

bool plates_allowed(Checker *c, const Term *t, uint32_t first, Span span) {
  for (uint32_t i = first; i < c->plates.n; i++) {
    if (!term_mentions_index(t, c->plates.at[i])) continue;
    Diag *d = diag_error(c->diags, span, "an argument of 'infer' cannot depend on '%s': one line infers all copies",
                         name_text(c, c->plates.at[i]->name));
    diag_note(c->diags, d, c->plates.at[i]->span, "'%s' is a plate's index, declared here",
              name_text(c, c->plates.at[i]->name));
    return false;
  }
  return true;
}
