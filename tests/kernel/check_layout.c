/* check_layout: the bits of results do not depend on where arrays lie; streams that run along features (Plan.lines) may
 * take their sums in another order where these do not lie side by side. */
#include <string.h>

#include "check.h"

static const char *const order_name[] = {"C order", "transposed", "padded", "spread"};

static Setup setup_of(const Case *c, Layout in, Layout out) {
  Setup s = {.garbage = 0xa5, .workspace = {.at_front = in.at_front}};
  for (int k = 0; k < c->nin; k++) s.in[k] = in;
  for (int k = 0; k < c->nout; k++) s.out[k] = out;
  return s;
}

static void try(const Subject *s, Layout in, Layout out) {
  char what[200];
  Setup setup = setup_of(s->c, in, out);
  snprintf(what, sizeof what, "inputs %s (axes %#x reversed), outputs %s, guarded %s", order_name[in.order],
           in.reversed, order_name[out.order], in.at_front ? "before" : "behind");
  if (!s->plan->lines || (in.order == ORDER_C && !in.reversed)) {
    expect_same(s, &setup, what);
    return;
  }
  Result r = call(s->kernel, s->c, &setup);
  near_reference(s, s->c, &r, &s->reference);
  result_free(&r);
}

void check_layouts(const Subject *s) {
  static const unsigned reversed[] = {0, ~0u, 1, 2, 5};
  for (int front = 0; front < 2; front++)
    for (unsigned k = 0; k < 20; k++) {
      Layout in = {.order = (Order)(k % 4), .reversed = reversed[k / 4], .at_front = front};
      Layout out = {.order = (Order)((k / 4 + k) % 4), .at_front = front};
      try(s, in, out);
    }
}

/* Every array at another place. */
void check_shifts(const Subject *s) {
  for (int shift = 1; shift < 16; shift++) {
    Setup setup = setup_of(s->c, (Layout){.at_front = shift % 2}, (Layout){.at_front = shift % 2});
    for (int k = 0; k < s->c->nin; k++) setup.in[k].shift = (shift + 3 * k) % 16;
    for (int k = 0; k < s->c->nout; k++) setup.out[k].shift = (5 * shift + k) % 16;
    expect_same(s, &setup, "arrays shifted by some elements");
  }
}

/* Makes all places of an axis the first one. */
static void flatten(Array *a, int axis) {
  int64_t before = 1, after = 1, n = a->extent[axis];
  for (int k = 0; k < axis; k++) before *= a->extent[k];
  for (int k = axis + 1; k < a->rank; k++) after *= a->extent[k];
  for (int64_t k = 0; k < before * n; k++)
    memmove(a->values + k * after, a->values + k / n * n * after, (size_t)after * sizeof *a->values);
}

static void broadcast(const Subject *s, int input, int axis) {
  Case flat = case_copy(s->c);
  flatten(&flat.in[input], axis);
  Subject same = {.plan = s->plan, .kernel = s->kernel, .c = &flat};
  Setup setup = {.garbage = 0xa5};
  same.base = call(s->kernel, &flat, &setup);
  setup.in[input].broadcast = 1u << axis;
  expect_same(&same, &setup, "a stride of 0");
  result_free(&same.base);
  case_free(&flat);
}

void check_broadcasts(const Subject *s) {
  for (int k = 0; k < s->c->nin; k++)
    for (int axis = 0; axis < s->c->in[k].rank; axis++)
      if (array_count(&s->c->in[k]) && !(s->plan->lines && axis + 1 == s->c->in[k].rank)) broadcast(s, k, axis);
}
