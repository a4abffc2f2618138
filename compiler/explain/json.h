/* json: a writer that cannot write anything but valid JSON. */
#ifndef ATTN_EXPLAIN_JSON_H
#define ATTN_EXPLAIN_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Json { FILE *to; uint32_t depth; bool any; /* does the open object or list have members? */ } Json;

/* key: NULL inside a list.  Objects and lists are closed in the order opened. */
void json_open(Json *j, const char *key, char bracket);
void json_close(Json *j, char bracket);
void json_string(Json *j, const char *key, const char *value); /* NULL: null; bytes beyond ASCII as '?' */
void json_number(Json *j, const char *key, double value);      /* null where not finite */
void json_bool(Json *j, const char *key, bool value);

#endif
