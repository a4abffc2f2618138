/* report: the two printers of the facts. */
#ifndef ATTN_EXPLAIN_REPORT_H
#define ATTN_EXPLAIN_REPORT_H

#include "explain/facts.h"

void explain_text(Facts *f, FILE *to);
void latents_text(Facts *f, FILE *to);

#endif
