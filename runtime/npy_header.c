/* npy_header: the dict at the start of a .npy file, by recursive descent.
 *
 *   header = "{" [ key ":" value { "," key ":" value } [","] ] "}" SPACE*
 *   value  = STRING | "True" | "False" | "(" [ INT "," [ INT { "," INT } [","] ] ] ")"
 *
 * in Python's syntax: either quote, any white space, any order of keys, each exactly once.  Integers may
 * end in L, as Python 2 wrote them.  A value is only read when its key says of what kind it is. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "npy.h"

enum { TOKEN_MAX = 64 };

enum { KEY_DESCR = 1, KEY_FORTRAN = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

typedef struct Parser {
  const char *at, *end;
  const char *name;
  RtError *err;
} Parser;

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

static void skip_space(Parser *p) {
  while (p->at < p->end && is_space(*p->at)) p->at++;
}

static bool peek(Parser *p, char c) {
  skip_space(p);
  return p->at < p->end && *p->at == c;
}

static bool take(Parser *p, char c) {
  if (!peek(p, c)) return false;
  p->at++;
  return true;
}

static bool malformed(Parser *p, const char *expected) {
  if (p->at == p->end) return rt_fail(p->err, p->name, "the .npy header ends where %s is expected", expected);
  unsigned char c = (unsigned char)*p->at;
  return rt_fail(p->err, p->name, "malformed .npy header: expected %s, found %s%c%s", expected, isprint(c) ? "'" : "",
                 isprint(c) ? c : '?', isprint(c) ? "'" : " (a control or non-ASCII byte)");
}

static bool parse_string(Parser *p, char text[TOKEN_MAX], const char *what) {
  skip_space(p);
  if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return malformed(p, what);
  char quote = *p->at++;
  size_t n = 0;
  for (; p->at < p->end && *p->at != quote; p->at++) {
    if (*p->at == '\\' || *p->at == '\n' || *p->at == '\0') return malformed(p, "a plain string");
    if (n + 1 == TOKEN_MAX)
      return rt_fail(p->err, p->name, "malformed .npy header: a string of over %d bytes", TOKEN_MAX - 1);
    text[n++] = *p->at;
  }
  text[n] = '\0';
  return take(p, quote) || malformed(p, "the end of a string");
}

static bool parse_word(Parser *p, const char *word) {
  size_t n = strlen(word);
  skip_space(p);
  if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return false;
  p->at += n;
  return true;
}

static bool parse_fortran(Parser *p, NpyHeader *h) {
  h->fortran = parse_word(p, "True");
  return h->fortran || parse_word(p, "False") || malformed(p, "True or False for 'fortran_order'");
}

static bool parse_dimension(Parser *p, int64_t *value) {
  bool negative = take(p, '-');
  if (p->at == p->end || !isdigit((unsigned char)*p->at)) return malformed(p, "a dimension");
  for (*value = 0; p->at < p->end && isdigit((unsigned char)*p->at); p->at++) {
    int digit = *p->at - '0';
    if (*value > (INT64_MAX - digit) / 10)
      return rt_fail(p->err, p->name, "a dimension in the .npy header exceeds 2^63 - 1");
    *value = 10 * *value + digit;
  }
  if (negative) return rt_fail(p->err, p->name, "the dimension -%" PRId64 " in the .npy header is negative", *value);
  if (p->at < p->end && *p->at == 'L') p->at++;
  return true;
}

static bool parse_shape(Parser *p, NpyHeader *h) {
  bool comma = true;
  if (!take(p, '(')) return malformed(p, "a tuple for 'shape'");
  for (h->rank = 0; !peek(p, ')'); h->rank++) {
    if (!comma) return malformed(p, "',' or ')'");
    if (h->rank == ARRAY_RANK_MAX) return rt_fail(p->err, p->name, "more than %d dimensions", ARRAY_RANK_MAX);
    if (!parse_dimension(p, &h->shape[h->rank])) return false;
    comma = take(p, ',');
  }
  if (h->rank == 1 && !comma) return malformed(p, "',' (a tuple of one, as NumPy writes it)");
  return take(p, ')');
}

typedef struct DescrInfo {
  const char *code; /* kind and bytes, without the byte order */
  ElemType type;
} DescrInfo;

static const DescrInfo descr_info[] = {
    {"f2", ELEMTYPE_F16}, {"f4", ELEMTYPE_F32}, {"f8", ELEMTYPE_F64},  {"i4", ELEMTYPE_I32},
    {"i8", ELEMTYPE_I64}, {"u1", ELEMTYPE_U8},  {"b1", ELEMTYPE_BOOL}, {"?", ELEMTYPE_BOOL},
    {"V2", ELEMTYPE_BF16}, /* what NumPy writes for the bfloat16 of ml_dtypes */
};

static bool host_is_little(void) {
  const uint16_t one = 1;
  return *(const unsigned char *)&one == 1;
}

static bool refuse_descr(Parser *p, const char *descr) {
  bool object = strchr(descr, 'O') != NULL, words = strstr(descr, "u2") != NULL;
  return rt_fail(p->err, p->name,
                 "%s '%s' not supported; accepted are f2 f4 f8 i4 i8 u1 b1 of any byte order, V2 for bf16%s",
                 object ? "Python objects, dtype" : "dtype", descr,
                 object  ? ""
                 : words ? " (.view('V2') in NumPy, if these are the bits of bf16; else .astype)"
                         : " (convert with .astype in NumPy)");
}

static bool parse_descr(Parser *p, NpyHeader *h) {
  char text[TOKEN_MAX];
  if (peek(p, '[') || peek(p, '(') || peek(p, '{'))
    return rt_fail(p->err, p->name, "structured dtypes are not supported; save each field as an array of its own");
  if (!parse_string(p, text, "a string for 'descr'")) return false;
  bool has_order = text[0] && strchr("<>=|", text[0]);
  const char *code = text + has_order;
  for (size_t i = 0; i < sizeof descr_info / sizeof *descr_info; i++) {
    if (strcmp(code, descr_info[i].code) != 0) continue;
    h->type = descr_info[i].type;
    h->swapped = elem_size(h->type) > 1 && text[0] == (host_is_little() ? '>' : '<');
    return true;
  }
  return refuse_descr(p, text);
}

static int key_of(const char *key) {
  if (strcmp(key, "descr") == 0) return KEY_DESCR;
  if (strcmp(key, "fortran_order") == 0) return KEY_FORTRAN;
  return strcmp(key, "shape") == 0 ? KEY_SHAPE : 0;
}

static bool parse_entry(Parser *p, NpyHeader *h, int *seen) {
  char text[TOKEN_MAX];
  if (!parse_string(p, text, "a key or '}'")) return false;
  int key = key_of(text);
  if (!key) return rt_fail(p->err, p->name, "unknown key '%s' in the .npy header", text);
  if (*seen & key) return rt_fail(p->err, p->name, "the key '%s' stands twice in the .npy header", text);
  if (!take(p, ':')) return malformed(p, "':'");
  *seen |= key;
  if (key == KEY_DESCR) return parse_descr(p, h);
  return key == KEY_SHAPE ? parse_shape(p, h) : parse_fortran(p, h);
}

static bool parse_dict(Parser *p, NpyHeader *h, int *seen) {
  bool comma = true;
  if (!take(p, '{')) return malformed(p, "'{'");
  while (!peek(p, '}')) {
    if (!comma) return malformed(p, "',' or '}'");
    if (!parse_entry(p, h, seen)) return false;
    comma = take(p, ',');
  }
  p->at++;
  skip_space(p);
  return p->at == p->end || malformed(p, "the end of the header");
}

bool npy_parse_header(const char *text, size_t n, const char *name, NpyHeader *h, RtError *err) {
  Parser p = {.at = text, .end = text + n, .name = name, .err = err};
  int seen = 0;
  int64_t count;
  char shape[128];
  *h = (NpyHeader){.type = ELEMTYPE_F64};
  if (!parse_dict(&p, h, &seen)) return false;
  if (seen != KEY_ALL)
    return rt_fail(err, name, "the .npy header lacks the key '%s'",
                   !(seen & KEY_DESCR) ? "descr" : !(seen & KEY_SHAPE) ? "shape" : "fortran_order");
  if (shape_count(h->rank, h->shape, elem_size(h->type), &count)) return true;
  return rt_fail(err, name, "the shape %s in the .npy header is too large to address",
                 shape_text(h->rank, h->shape, shape, sizeof shape));
}
