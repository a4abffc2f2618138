/* kernel_checks [--thorough] PLAN...: holds compiled kernels to what runtime/attn_kernel.h and README.md promise.
 *
 * Every kernel of a plan is called for every case in every check; see check.h.  Prints what failed.  Cases with much to
 * compute (see LARGE) are left to the checks that look at sizes; when it is to be thorough, fewer are. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Elements of the first input, times keys. */
static const double LARGE = 1.2e5, LARGE_THOROUGH = 5e6;

static bool thorough;

typedef struct Named { const char *name; Check *check; bool of_large; } Named;

static const Named all[] = {
    {"right", check_right, true},           {"threads", check_threads, true},
    {"nulls", check_nulls, false},          {"workspace", check_workspace, false},
    {"layouts", check_layouts, false},      {"shifts", check_shifts, false},
    {"broadcasts", check_broadcasts, false}, {"slices", check_slices, true},
    {"other rows", check_other_rows, false}, {"own row", check_own_row, false},
    {"dead keys", check_dead_keys, false},   {"dead keys, bits", check_dead_bits, false},
};
enum { ALL = sizeof all / sizeof *all };

static bool is_large(const Plan *p, const Case *c) {
  double n = (double)array_count(&c->in[0]);
  for (int k = 0; k < p->nsizes; k++) n *= strcmp(p->size[k], p->key) ? 1 : (double)c->size[k];
  return n > (thorough ? LARGE_THOROUGH : LARGE);
}

static const char *sizes_text(const Plan *p, const Case *c) {
  static char text[512];
  size_t at = 0;
  for (int k = 0; k < c->nsizes && at < sizeof text; k++)
    at += (size_t)snprintf(text + at, sizeof text - at, " %s=%lld", p->size[k], (long long)c->size[k]);
  return text;
}

static void check_kernel(const Plan *p, const Kernel *k, const Case *c, const Result *reference) {
  Subject s = {.plan = p, .kernel = k, .c = c, .reference = *reference};
  doing("%s, %s,%s: plain", p->model, k->label, sizes_text(p, c));
  s.base = call(k, c, &(Setup){.garbage = 0x5a});
  for (int n = 0; n < ALL && s.base.status == ATTN_OK; n++) {
    if (is_large(p, c) && !all[n].of_large) continue;
    doing("%s, %s,%s: %s", p->model, k->label, sizes_text(p, c), all[n].name);
    all[n].check(&s);
  }
  expect(s.base.status == ATTN_OK, "status %d", s.base.status);
  result_free(&s.base);
}

static void check_case(const Plan *p, Case *c) {
  case_fill(c);
  doing("%s, f64,%s", p->model, sizes_text(p, c));
  Result reference = call(&p->reference, c, &(Setup){.garbage = 0xa5});
  for (int k = 0; k < p->nkernels; k++) check_kernel(p, &p->kernel[k], c, &reference);
  result_free(&reference);
}

static void check_plan(const char *path) {
  Plan p = {0};
  Case c;
  FILE *from = fopen(path, "r");
  if (!from) exit(2);
  for (; plan_next(from, &p, &c); case_free(&c)) check_case(&p, &c);
  fclose(from);
}

int main(int argc, char **argv) {
  catch_faults();
  for (int k = 1; k < argc; k++) {
    if (!strcmp(argv[k], "--thorough")) thorough = true;
    else check_plan(argv[k]);
  }
  printf("%ld checks, %ld failed\n", checks, failures);
  return failures ? 1 : 0;
}
