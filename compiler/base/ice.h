/* ice: a mistake of the compiler itself (exit status 3), never of the user's file. */
#ifndef ATTN_BASE_ICE_H
#define ATTN_BASE_ICE_H

_Noreturn void ice(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define ICE(...) ice(__FILE__, __LINE__, __VA_ARGS__)
#define ICE_UNLESS(cond) ((cond) ? (void)0 : ICE("broken invariant: %s", #cond))

#endif
