/* air_cursor: where the parser of a kernel's text is, and what it has read.
 *
 * After the first error there is nothing but the end of the text, so every loop that reads stops.  What follows is read
 * past the present word and gives a harmless value where it is not there, which is an error. */
#ifndef ATTN_IR_AIR_CURSOR_H
#define ATTN_IR_AIR_CURSOR_H

#include "base/diag.h"
#include "base/intern.h"
#include "ir/air_token.h"
#include "ir/ir.h"

typedef VEC(Val) Vals;
typedef VEC(uint32_t) SymTable;

typedef struct AirCursor {
  Arena *arena;
  Diags *diags;
  const Source *source;
  Token tok; /* the present word */
  bool failed;
  uint32_t nesting;
  Kernel *k;
  Vals values; /* by the text's number; 0: not defined */
  Interner names;
  SymTable array_of, size_of; /* by Sym: 1 + place in the kernel's list */
} AirCursor;

/* ---- words ------------------------------------------------------------------------------------- */

void air_fail(AirCursor *p, const char *expected); /* an error at the present word, the first alone */
void air_advance(AirCursor *p);
bool air_at(const AirCursor *p, char c);
bool air_at_name(const AirCursor *p, const char *name);
bool air_accept(AirCursor *p, char c); /* reads it if it is there */
bool air_accept_name(AirCursor *p, const char *name);
void air_expect(AirCursor *p, char c);
void air_expect_name(AirCursor *p, const char *name);
void air_expect_range(AirCursor *p); /* .. */
const char *air_text(const AirCursor *p); /* of the present word */
const char *air_name(AirCursor *p, const char *what);
uint32_t air_count(AirCursor *p, uint32_t max); /* an integer of at most `max` */

/* ---- values ------------------------------------------------------------------------------------ */

Val air_use(AirCursor *p);
void air_uses(AirCursor *p, Vals *to, char close); /* values up to `close`, which is left; none if it comes at once */
uint32_t air_definition(AirCursor *p); /* the number of a value that is not defined yet */
void air_define(AirCursor *p, uint32_t number, Val v);

/* ---- names: those of sizes and of arrays are apart ----------------------------------------------- */

void air_new_size(AirCursor *p);
int64_t air_size(AirCursor *p);
Array *air_new_array(AirCursor *p, ArrayKind kind); /* NULL: none of another name */
Array *air_array(AirCursor *p);

#endif
