/* site: an index that a kernel found out of range, told in the numbers of the model file. */
#ifndef ATTN_DRIVER_SITE_H
#define ATTN_DRIVER_SITE_H

#include "base/diag.h"
#include "model/model.h"

/* At `at` in the file stands an index of something; counted from the first of what it names it is `place`, which is not
 * in 0 .. limit.  sizes: by Size.id. */
void site_report(Diags *diags, const Model *m, Span at, int64_t place, int64_t limit, const int64_t *sizes);

#endif
