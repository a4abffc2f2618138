/* json: writing JSON text. */
#ifndef ATTN_BASE_JSON_H
#define ATTN_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Writes values one after another; commas and line ends are its business.  `key` is NULL inside arrays. */
typedef struct Json { FILE *to; int depth; bool first; } Json;

void json_open(Json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(Json *j, char bracket);
void json_string(Json *j, const char *key, const char *value); /* NULL: null */
void json_int(Json *j, const char *key, int64_t value);
void json_real(Json *j, const char *key, double value); /* not finite: null */
void json_bool(Json *j, const char *key, bool value);

#endif
