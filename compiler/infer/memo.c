/* memo: what is asked of many copies from outside their plates is computed once for every copy.
 *
 * E[v[phi[phi[i]]]] needs E[v[phi[j]]] for all j and every i; sum_i P[phi[i] == j] needs the normaliser of every
 * i for all j.  Such results are functions of the copy alone: one array over the plates, filled at the
 * start of the kernel. */
#include "infer/context.h"
#include "infer/network_plan.h"
#include "model/term.h"

struct Memo {
  Component *c;
  const void *key;
  const Term *term;
  IndexVec axes;
  Array *array;
  bool staged; /* depends on latents */
  Memo *next;
};

static bool same_axes(const IndexVec *a, const IndexVec *b) {
  if (a->n != b->n) return false;
  for (uint32_t i = 0; i < a->n; i++)
    if (a->at[i] != b->at[i]) return false;
  return true;
}

static Index *memo_index(Component *c, const IndexVec *axes, uint32_t i) {
  return i < c->plates.n ? c->plates.at[i] : axes->at[i - c->plates.n];
}

/* The array is the kernel's; the loops that fill it stand where its latents have their values. */
static Array *fill(Derive *d, Component *c, const IndexVec *axes, StoreType elem, MemoFn fn, void *arg, Region *stage) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context x = {.d = d};
  uint32_t n = c->plates.n + axes->n;
  Val *dims = NEW_ARRAY(d->arena, Val, n), *place = NEW_ARRAY(d->arena, Val, n);
  Bounds *r = NEW_ARRAY(d->arena, Bounds, n);
  Loop **loops = NEW_ARRAY(d->arena, Loop *, n);
  for (uint32_t i = 0; i < n; i++) {
    r[i] = eval_range(&x, &memo_index(c, axes, i)->range);
    dims[i] = build_2(b, IR_SUB, r[i].hi, r[i].lo);
  }
  Array *a = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "each%u", b->k->arrays.n), elem, n, dims);
  b->at = stage;
  for (uint32_t i = 0; i < n; i++) {
    loops[i] = open_loop(&x, LOOP_PAR, memo_index(c, axes, i)->span, r[i].lo, r[i].hi);
    x = with_index(&x, memo_index(c, axes, i), loops[i]->index, r[i].lo, r[i].hi, true);
    place[i] = build_2(b, IR_SUB, loops[i]->index, r[i].lo);
  }
  build_store(b, a, fn(&x, own_copy(&x, c), arg), place);
  for (uint32_t i = n; i-- > 0;) build_close(b, loops[i]);
  b->at = back;
  return a;
}

/* Bits have two values: summing them again costs less than an array over all pairs. */
static bool worth_storing(const Component *c) {
  for (uint32_t i = 0; i < c->edges.n; i++)
    if (c->edges.at[i]->domain != DOMAIN_BIT) return true;
  return false;
}

static bool weight_mentions_latent(const Weight *w) {
  if (!w) return false;
  uint8_t mentions = (w->value ? w->value->mentions : 0) | (w->left ? w->left->mentions : 0);
  for (uint32_t i = 0; i < w->params.n; i++) mentions |= w->params.at[i]->mentions;
  return mentions & MENTIONS_LATENT;
}

bool component_depends_on_latents(const Component *c) {
  for (uint32_t i = 0; i < c->factors.n; i++)
    if (weight_mentions_latent(c->factors.at[i]->weight)) return true;
  for (uint32_t i = 0; c->chain && i < c->chain->ends.n; i++)
    if (weight_mentions_latent(c->chain->ends.at[i]->weight)) return true;
  for (uint32_t i = 0; c->structure && i < c->structure->locals.n; i++)
    if (weight_mentions_latent(c->structure->locals.at[i].weight)) return true;
  for (uint32_t i = 0; c->network && i < c->network->groups.n; i++)
    if (weight_mentions_latent(c->network->groups.at[i]->weight)) return true;
  return false;
}

Region *stage_of(const Derive *d, const Component *c) {
  return component_depends_on_latents(c) ? d->stage : d->b.k->top;
}

uint32_t stage_number(const Derive *d, const Component *c) { return component_depends_on_latents(c) ? d->stages : 0; }

static bool depends_on_latents(const Component *c, const Term *t) {
  return (t && (t->mentions & MENTIONS_LATENT)) || component_depends_on_latents(c);
}

void forget_stage(Derive *d) {
  d->stages++;
  for (uint32_t i = 0; d->chains && i < d->plan->components.n; i++)
    if (component_depends_on_latents(d->plan->components.at[i])) d->chains[i] = NULL;
  for (Memo **m = &d->memos; *m;)
    if ((*m)->staged) *m = (*m)->next;
    else m = &(*m)->next;
}

Array *memo(Context *x, Component *c, const void *key, const Term *term, const IndexVec *axes, StoreType elem,
            MemoFn fn, void *arg) {
  Derive *d = x->d;
  if (!worth_storing(c)) return NULL;
  for (uint32_t i = 0; i < c->plates.n + axes->n; i++)
    if (!has_fixed_bounds(memo_index(c, axes, i))) return NULL;
  for (Memo *m = d->memos; m; m = m->next)
    if (m->c == c && m->key == key && same_axes(&m->axes, axes) &&
        (term == m->term || (term && m->term && term_equal(term, m->term))))
      return m->array;
  bool staged = depends_on_latents(c, term);
  Array *a = fill(d, c, axes, elem, fn, arg, staged ? d->stage : d->b.k->top);
  Memo *m = NEW(d->arena, Memo);
  *m = (Memo){c, key, term, *axes, a, staged, d->memos};
  d->memos = m;
  return a;
}

Array *kept_array(const Derive *d, const Term *of) {
  for (const Memo *m = d->memos; m; m = m->next)
    if (!m->c && term_equal(m->term, of)) return m->array;
  return NULL;
}

void keep_array(Derive *d, const Term *of, Array *a, bool staged) {
  Memo *m = NEW(d->arena, Memo);
  *m = (Memo){.term = of, .array = a, .staged = staged, .next = d->memos};
  d->memos = m;
}

Val memo_load(Context *x, Array *a, Copy copy, const IndexVec *axes) {
  Context top = {.d = x->d};
  Val *place = NEW_ARRAY(x->d->arena, Val, a->rank);
  for (uint32_t i = 0; i < a->rank; i++) {
    Index *index = memo_index(copy.c, axes, i);
    Bounds r = eval_range(&top, &index->range);
    Val v = i < copy.c->plates.n ? copy.at[i] : find_bound(x, index)->v;
    place[i] = build_2(B(x), IR_SUB, v, r.lo);
  }
  return build_load(B(x), a, place);
}
