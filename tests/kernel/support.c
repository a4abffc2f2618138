/* support: which keys a row sees, by the rule that the plan names. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

static int64_t size_of(const Plan *p, const Case *c, const char *name) {
  for (int k = 0; k < p->nsizes; k++)
    if (!strcmp(p->size[k], name)) return c->size[k];
  return 0;
}

static double value(const Case *c, const char *name, int64_t at) {
  for (int k = 0; k < c->nin; k++)
    if (!strcmp(c->in[k].name, name)) return c->in[k].values[at];
  abort();
}

bool is_live(const Plan *p, const Case *c, int64_t b, int64_t i, int64_t j) {
  const char *rule = p->support;
  int64_t rows = size_of(p, c, p->row), keys = size_of(p, c, p->key);
  bool past = j <= i + keys - rows;
  if (!strcmp(rule, "past")) return past;
  if (!strcmp(rule, "window")) return past && i - j < size_of(p, c, "W");
  if (!strcmp(rule, "document")) return past && value(c, "doc", i) == value(c, "doc", j);
  if (!strcmp(rule, "prefix")) return past || (double)j < value(c, "prefix", b);
  if (!strcmp(rule, "table")) return i == j || value(c, "adj", i * keys + j) != 0;
  return true;
}
