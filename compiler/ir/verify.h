/* verify: what the verifier's two halves share. */
#ifndef ATTN_IR_VERIFY_H
#define ATTN_IR_VERIFY_H

#include "ir/ir.h"

/* Rules 4 to 6 of ir_verify.c about one instruction whose arguments are values: NULL, or what is wrong. */
const char *verify_types(const Kernel *k, const Instr *i);

static inline bool ir_is_float(IrType t) { return t == IR_REAL || t == IR_WIDE; }
static inline bool ir_is_numeric(IrType t) { return t == IR_INT || ir_is_float(t); }

#endif
