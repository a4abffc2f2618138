/* bond_plan: which components a potential joins that was split, and what they share; see bond.h.
 *
 * Where copies surely have values, or one chain or structure is all that is joined, there is nothing to be asked. */
#include "infer/bond.h"

#include "infer/context.h"
#include "infer/counted.h"
#include "infer/network_plan.h"
#include "model/term.h"

/* ---- what is written ------------------------------------------------------------------------------------------- */

typedef struct Finder {
  Plan *p;
  Bond *bond;
  uint32_t weight;
  bool far; /* a copy is named by the value of an edge */
} Finder;

static BondMember *member_of(Bond *b, const Component *c) {
  for (uint32_t i = 0; i < b->members.n; i++)
    if (b->members.at[i].c == c) return &b->members.at[i];
  return NULL;
}

static void add_member(Plan *p, Bond *b, Component *c) {
  if (!member_of(b, c)) vec_push(p->arena, &b->members, (BondMember){.c = c});
}

static void add_members(Plan *p, Bond *b, Component *c) {
  for (uint32_t i = 0; c->network && i < c->network->parts.n; i++) add_member(p, b, c->network->parts.at[i]);
  add_member(p, b, c);
}

static void find_refs(Finder *f, const Term *t, const IndexVec *binders) {
  IndexVec inner = *binders;
  if (t->kind == TERM_REDUCE) {
    inner = (IndexVec){0};
    for (uint32_t i = 0; i < binders->n; i++) vec_push(f->p->arena, &inner, binders->at[i]);
    vec_push(f->p->arena, &inner, t->index);
  }
  for (uint32_t i = 0; i < t->args.n; i++) find_refs(f, t->args.at[i], &inner);
  if (t->kind != TERM_EDGE) return;
  Component *c = f->p->of_edge[t->edge->id];
  for (uint32_t i = 0; i < t->args.n; i++) f->far |= term_mentions_edge(t->args.at[i], NULL);
  add_members(f->p, f->bond, c);
  BondMember *m = member_of(f->bond, c);
  for (uint32_t i = 0; i < m->refs.n; i++)
    if (m->refs.at[i].weight == f->weight && term_equal(m->refs.at[i].ref, t)) return;
  vec_push(f->p->arena, &m->refs, (BondRef){.weight = f->weight, .ref = t, .binders = inner});
}

/* False: it names a copy by the value of an edge. */
static bool add_weight(Plan *p, Bond *b, const SplitWeight *s) {
  BondWeight w = {.weight = s->whole};
  for (uint32_t i = 0; i < s->parts.n; i++)
    if (!term_mentions_edge(s->parts.at[i]->value, NULL)) vec_push(p->arena, &w.constants, s->parts.at[i]);
  vec_push(p->arena, &b->weights, w);
  Finder f = {.p = p, .bond = b, .weight = b->weights.n - 1};
  find_refs(&f, s->whole->value, &s->whole->plates);
  return !f.far;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* The plate of the member at which each of the weight's references has the index; -1: none. */
static int plate_of(const BondMember *m, uint32_t weight, const Index *i) {
  for (uint32_t k = 0; k < m->c->plates.n; k++) {
    bool here = tells_apart(m->c, k), any = false;
    for (uint32_t r = 0; r < m->refs.n; r++) {
      if (m->refs.at[r].weight != weight) continue;
      const Term *arg = m->refs.at[r].ref->args.at[k];
      any = true;
      here &= arg->kind == TERM_INDEX && arg->index == i;
    }
    if (here && any) return (int)k;
  }
  return -1;
}

/* The plate of the weight that all its references to the member have there; NULL: there is none. */
static Index *index_at(const Bond *b, const BondMember *m, uint32_t weight, uint32_t plate) {
  Index *found = NULL;
  for (uint32_t r = 0; r < m->refs.n; r++) {
    if (m->refs.at[r].weight != weight) continue;
    const Term *arg = m->refs.at[r].ref->args.at[plate];
    if (arg->kind != TERM_INDEX || (found && arg->index != found)) return NULL;
    found = arg->index;
  }
  return found && indices_hold(&b->weights.at[weight].weight->plates, found) ? found : NULL;
}

static bool is_of(const BondMember *m, uint32_t weight) {
  for (uint32_t r = 0; r < m->refs.n; r++)
    if (m->refs.at[r].weight == weight) return true;
  return false;
}

typedef struct Slot {
  Index **stands;
  int *plates;
} Slot; /* by weight, NULL: not yet; by member, -1 */

static int plate_in_network(const Bond *b, const Slot *s, const BondMember *m) {
  for (uint32_t i = 0; i < b->members.n; i++)
    if (m->c->network && b->members.at[i].c->network == m->c->network && s->plates[i] >= 0) return s->plates[i];
  return -1;
}

/* From one weight's index to the plates of what it names, to the indices of the weights that name these, and on. */
static bool follow(const Bond *b, Slot *s) {
  for (bool more = true; more;) {
    more = false;
    for (uint32_t i = 0; i < b->members.n; i++) {
      const BondMember *m = &b->members.at[i];
      if (s->plates[i] < 0 && (s->plates[i] = plate_in_network(b, s, m)) >= 0) more = true;
      for (uint32_t w = 0; w < b->weights.n; w++) {
        if (!is_of(m, w)) continue;
        if (s->plates[i] < 0 && s->stands[w]) {
          if ((s->plates[i] = plate_of(m, w, s->stands[w])) < 0) return false;
          more = true;
        }
        if (s->plates[i] < 0) continue;
        Index *here = index_at(b, m, w, (uint32_t)s->plates[i]);
        if (!here || (s->stands[w] && s->stands[w] != here)) return false;
        more |= !s->stands[w];
        s->stands[w] = here;
      }
    }
  }
  for (uint32_t i = 0; i < b->members.n; i++)
    if (s->plates[i] < 0 || !tells_apart(b->members.at[i].c, (uint32_t)s->plates[i])) return false;
  return true;
}

static void find_slots(Plan *p, Bond *b) {
  const IndexVec *first = &b->weights.at[0].weight->plates;
  for (uint32_t k = 0; k < first->n; k++) {
    Slot s = {NEW_ARRAY(p->arena, Index *, b->weights.n), NEW_ARRAY(p->arena, int, b->members.n)};
    for (uint32_t i = 0; i < b->members.n; i++) s.plates[i] = -1;
    s.stands[0] = first->at[k];
    if (!follow(b, &s)) continue;
    b->slots++;
    for (uint32_t i = 0; i < b->members.n; i++) vec_push(p->arena, &b->members.at[i].plates, (uint32_t)s.plates[i]);
    for (uint32_t w = 0; w < b->weights.n; w++) vec_push(p->arena, &b->weights.at[w].stands, s.stands[w]);
  }
}

static bool is_slot(const BondMember *m, uint32_t plate) {
  for (uint32_t s = 0; s < m->plates.n; s++)
    if (m->plates.at[s] == plate) return true;
  return false;
}

/* ---- what a reference names ---------------------------------------------------------------------------------- */

static bool names_one_each(const Network *net) {
  for (uint32_t i = 0; i < net->groups.n; i++)
    if (net->groups.at[i]->names.n > 1) return false;
  return true;
}

bool bond_tells_apart(const Component *c, uint32_t plate) {
  return tells_apart(c, plate) || (c->network && names_one_each(c->network));
}

bool bond_may_fall_apart(const Component *c) {
  return c->network ? !names_one_each(c->network) : c->chain && c->chain->may_break;
}

static bool equal_ranges(Plan *p, const BondRef *r, uint32_t plate, const Range *own) {
  const Range *of = &r->ref->edge->plates.at[plate]->range;
  if (own->kind != of->kind) return false;
  Model scratch = *p->model; /* for its arena and its count of indices */
  scratch.arena = p->arena;
  IndexMap *map = NEW_ARRAY(p->arena, IndexMap, plate + 1);
  for (uint32_t k = 0; k < plate; k++) map[k] = (IndexMap){r->ref->edge->plates.at[k], r->ref->args.at[k]};
  if (of->kind == RANGE_ROW)
    return own->graph == of->graph && term_equal(own->row, term_substitute(&scratch, of->row, map, plate));
  return term_equal(own->lo, term_substitute(&scratch, of->lo, map, plate)) &&
         term_equal(own->hi, term_substitute(&scratch, of->hi, map, plate));
}

/* Is each plate named by an index of its own that runs over all of it? */
static bool runs_over_all(Plan *p, const Component *c, const BondRef *r) {
  for (uint32_t k = 0; k < c->plates.n; k++) {
    if (!bond_asks_place(c, k)) continue;
    const Term *arg = r->ref->args.at[k];
    if (arg->kind != TERM_INDEX) return false;
    for (uint32_t i = 0; i < k; i++)
      if (bond_asks_place(c, i) && r->ref->args.at[i]->index == arg->index) return false;
    if (arg->index != c->plates.at[k] && !equal_ranges(p, r, k, &arg->index->range)) return false;
  }
  return true;
}

static bool stands_for_slot(const BondWeight *w, const Index *i) { return indices_hold(&w->stands, i); }

/* Plates of the potential beyond the slots: it has an instance for each of their values. */
static bool has_instances(const BondWeight *w) { return w->weight->plates.n > w->stands.n; }

/* Is it one of those, in a place that tells copies apart?  Then instances name different ones. */
static bool names_by_instance(const BondWeight *w, const Component *c, const BondRef *r) {
  for (uint32_t i = 0; i < w->weight->plates.n; i++) {
    const Index *plate = w->weight->plates.at[i];
    if (stands_for_slot(w, plate)) continue;
    for (uint32_t k = 0; k < c->plates.n; k++)
      if (bond_asks_place(c, k) && term_mentions_index(r->ref->args.at[k], plate)) return true;
    for (uint32_t k = w->weight->plates.n; k < r->binders.n; k++) {
      if (range_mentions_index(&r->binders.at[k]->range, plate)) return true;
    }
  }
  return false;
}

/* Where one of them has no values the others would be no instances either. */
static bool names_by_each_plate(const BondWeight *w, const BondRef *r) {
  for (uint32_t i = 0; i < w->weight->plates.n; i++)
    if (!term_mentions_index(r->ref, w->weight->plates.at[i])) return false;
  return true;
}

/* Are all copies that share the slots joined, since along each other plate some potential joins all of them at once? */
static bool is_rectangle(Plan *p, const Bond *b, const BondMember *m) {
  for (uint32_t k = 0; k < m->c->plates.n; k++) {
    bool along = is_slot(m, k) || !bond_asks_place(m->c, k);
    if (!range_is_of_sizes(&m->c->plates.at[k]->range) && !is_slot(m, k)) return false;
    for (uint32_t i = 0; i < m->refs.n && !along; i++) {
      const BondRef *r = &m->refs.at[i];
      const Term *arg = r->ref->args.at[k];
      const BondWeight *w = &b->weights.at[r->weight];
      along = runs_over_all(p, m->c, r) && names_by_each_plate(w, r) && !indices_hold(&w->weight->plates, arg->index);
    }
    if (!along) return false;
  }
  return true;
}

static bool find_names(Plan *p, Bond *b) {
  bool one = true, whole = true, rectangle = true;
  for (uint32_t i = 0; i < b->members.n; i++) {
    BondMember *m = &b->members.at[i];
    bool all = false;
    for (uint32_t k = 0; k < m->refs.n; k++) {
      BondRef *r = &m->refs.at[k];
      const BondWeight *w = &b->weights.at[r->weight];
      one &= !names_by_instance(w, m->c, r);
      r->all = !has_instances(w) && runs_over_all(p, m->c, r);
      all |= r->all;
    }
    whole &= all || !bond_may_fall_apart(m->c);
    rectangle = rectangle && is_rectangle(p, b, m);
  }
  b->connected = (!one || !whole) && rectangle;
  return b->connected || (one && whole && b->weights.n <= BOND_MAX_WEIGHTS);
}

/* ---- where there is nothing to be asked ------------------------------------------------------------------------- */

static bool is_positive(const Term *t) {
  if (t->kind == TERM_INT || t->kind == TERM_REAL) return t->kind == TERM_INT ? t->integer > 0 : t->real > 0;
  if (t->kind != TERM_OP) return false;
  switch ((int)t->op) {
  case OP_TO_REAL: return is_positive(t->args.at[0]);
  case OP_MUL: return is_positive(t->args.at[0]) && is_positive(t->args.at[1]);
  case OP_EXP: return !(t->mentions & (MENTIONS_INPUT | MENTIONS_LET | MENTIONS_LATENT));
  }
  return false;
}

static bool constants_are_positive(const Bond *b) {
  for (uint32_t i = 0; i < b->weights.n; i++)
    for (uint32_t k = 0; k < b->weights.at[i].constants.n; k++)
      if (!is_positive(b->weights.at[i].constants.at[k]->value)) return false;
  return true;
}

/* Is all that it joins one chain, or structure? */
static bool is_one(const Bond *b) {
  const BondMember *m = &b->members.at[0];
  if (b->members.n > 1 || bond_may_fall_apart(m->c)) return false;
  for (uint32_t k = 0; k < m->c->plates.n; k++)
    if (bond_tells_apart(m->c, k) && !is_slot(m, k)) return false;
  return true;
}

static bool is_idle(const Bond *b) {
  bool all = true;
  if (!constants_are_positive(b)) return false;
  for (uint32_t i = 0; i < b->members.n; i++) all &= always_exists(b->members.at[i].c);
  return all || is_one(b);
}

/* ---- the plan ------------------------------------------------------------------------------------------------ */

static bool mentions_member(const Bond *b, const Term *t) {
  for (uint32_t i = 0; i < b->members.n; i++)
    for (uint32_t k = 0; k < b->members.at[i].c->edges.n; k++)
      if (term_mentions_edge(t, b->members.at[i].c->edges.at[k])) return true;
  return false;
}

/* With all that name a copy of what it names. */
static Bond *bond_from(Plan *p, bool *taken, uint32_t first, bool *near) {
  Bond *b = NEW(p->arena, Bond);
  *near = add_weight(p, b, &p->splits.at[first]);
  taken[first] = true;
  for (uint32_t i = 0; i < p->splits.n; i++) {
    if (taken[i] || !mentions_member(b, p->splits.at[i].whole->value)) continue;
    *near &= add_weight(p, b, &p->splits.at[i]);
    taken[i] = true;
    i = first;
  }
  return b;
}

void plan_bonds(Plan *p) {
  bool *taken = NEW_ARRAY(p->arena, bool, p->splits.n + 1);
  for (uint32_t i = 0; i < p->splits.n; i++) {
    bool near;
    if (taken[i]) continue;
    Bond *b = bond_from(p, taken, i, &near);
    find_slots(p, b);
    if (is_idle(b)) continue;
    /* Else what hangs together is a matter of all instances and what they name: copies leave each other as they are. */
    if (!near || !find_names(p, b)) continue;
    for (uint32_t k = 0; k < b->members.n; k++) b->members.at[k].c->bond = b;
  }
}
