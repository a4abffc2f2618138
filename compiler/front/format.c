/* format: see format.h.  The line breaks are the user's: a line stays a line, so statements end where they
 * ended and the tree is the same.  What changes is what lies between tokens: indentation (two spaces a block,
 * four more where a statement goes on with anything but a closing bracket), one space or none between two tokens, blank
 * lines (one at most, none just inside braces), and the column of comments behind code, which a run of consecutive
 * lines shares. */
#include "front/format.h"

#include "front/parse.h"
#include "front/parse_state.h"

#include "attn_grammar.h"

enum { BLOCK_INDENT = 2, CONTINUED_INDENT = 4, COMMENT_GAP = 2 };

typedef VEC(char) Text;

typedef struct Line {
  uint32_t indent;
  bool blank_before;
  Text code;    /* without indentation; empty: the line is a comment */
  Span comment; /* empty: none */
} Line;

typedef struct Format {
  Arena *arena;
  const Source *source;
  TokenVec tokens; /* all */
  TokenVec code;   /* without comments */
  VEC(Line) lines;
  uint32_t depth; /* open blocks */
} Format;

static void append(Format *f, Text *t, const char *s, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) vec_push(f->arena, t, s[i]);
}

static void append_spaces(Format *f, Text *t, uint32_t n) {
  while (n--) vec_push(f->arena, t, ' ');
}

/* ---- between two tokens of a line ---- */

static bool is_name(int kind) { return kind == T_NAME || kind == T_RESERVED || kind == T_INT; }

static bool is_unary_minus(const Format *f, uint32_t i) {
  if (f->code.at[i].kind != '-' || i == 0) return f->code.at[i].kind == '-';
  Token prev = f->code.at[i - 1];
  return prev.closes_binders || !token_ends_operand(prev.kind);
}

static bool ends_range(const Format *f, uint32_t i) {
  if (i >= f->code.n || f->code.at[i].first_on_line) return true;
  int kind = f->code.at[i].kind;
  return kind == ')' || kind == ']' || kind == '{' || kind == '}' || kind == ',' || kind == ';' || kind == T_WHERE ||
         kind == T_OR;
}

/* `1..T` is written close, `ptr[i] .. ptr[i + 1]` is not. */
static bool is_close_range(const Format *f, uint32_t i) {
  return i >= 2 && f->code.at[i - 2].kind == T_IN && is_name(f->code.at[i - 1].kind) && i + 1 < f->code.n &&
         is_name(f->code.at[i + 1].kind) && ends_range(f, i + 2);
}

static bool opens_tightly(int prev, int opening) {
  if (opening == '(') return prev == T_NAME || prev == T_RESERVED || prev == T_PARAM;
  return token_ends_operand(prev) || prev == T_E || prev == T_P;
}

/* Whether a space stands between code token i - 1 and code token i. */
static bool spaced(const Format *f, uint32_t i) {
  int prev = f->code.at[i - 1].kind, kind = f->code.at[i].kind;
  if (prev == '(' || prev == '[' || kind == ')' || kind == ']' || kind == ',' || kind == ';' || kind == ':')
    return false;
  if (kind == '(' || kind == '[') return !opens_tightly(prev, kind) && !is_unary_minus(f, i - 1);
  if (prev == '{' && kind == '}') return false;
  if (kind == T_DOTDOT) return !is_close_range(f, i);
  if (prev == T_DOTDOT) return !is_close_range(f, i - 1);
  return !is_unary_minus(f, i - 1);
}

/* ---- lines ---- */

static uint32_t newlines_before(const Format *f, uint32_t i) {
  uint32_t n = 0, from = i ? f->tokens.at[i - 1].span.hi : 0;
  for (uint32_t at = from; at < f->tokens.at[i].span.lo; at++) n += f->source->text[at] == '\n';
  return n;
}

/* Code token i goes on with the statement of the token before it. */
static bool continues(const Format *f, uint32_t i) {
  if (i == 0 || i >= f->code.n || f->code.at[i].ends_before) return false;
  int prev = f->code.at[i - 1].kind, kind = f->code.at[i].kind;
  return kind != '}' && prev != '{' && prev != ';';
}

static bool closes_bracket(const Format *f, uint32_t token) {
  return f->tokens.at[token].kind == ')' || f->tokens.at[token].kind == ']';
}

static void start_line(Format *f, uint32_t token, uint32_t next_code) {
  bool closes = f->tokens.at[token].kind == '}';
  const Text *above = f->lines.n ? &vec_last(&f->lines).code : NULL;
  bool after_open = above && above->n && vec_last(above) == '{';
  Line line = {.indent = BLOCK_INDENT * (f->depth - (closes && f->depth ? 1 : 0))};
  if (continues(f, next_code) && !closes_bracket(f, token)) line.indent += CONTINUED_INDENT;
  line.blank_before = token > 0 && !closes && !after_open && newlines_before(f, token) > 1;
  vec_push(f->arena, &f->lines, line);
}

static void put_code(Format *f, Token t, uint32_t i) {
  Line *line = &vec_last(&f->lines);
  if (line->code.n && spaced(f, i)) append_spaces(f, &line->code, 1);
  append(f, &line->code, f->source->text + t.span.lo, t.span.hi - t.span.lo);
  if (t.kind == '{') f->depth++;
  if (t.kind == '}' && f->depth) f->depth--;
}

static Span trimmed(const Source *s, Span comment) {
  while (comment.hi > comment.lo && strchr(" \t\r", s->text[comment.hi - 1])) comment.hi--;
  return comment;
}

static void collect_lines(Format *f) {
  uint32_t next_code = 0;
  for (uint32_t i = 0; i < f->tokens.n; i++) {
    Token t = f->tokens.at[i];
    if (t.first_on_line) start_line(f, i, next_code);
    if (t.kind == TOKEN_COMMENT) vec_last(&f->lines).comment = trimmed(f->source, t.span);
    else put_code(f, t, next_code++);
  }
}

/* ---- the text ---- */

static bool has_both(const Line *l) { return l->code.n && l->comment.hi; }

static uint32_t code_end(const Line *l) { return l->indent + l->code.n; }

/* One past the run of lines from i on whose comments share a column, and that column. */
static uint32_t comment_run(const Format *f, uint32_t i, uint32_t *column) {
  *column = 0;
  do {
    uint32_t end = code_end(&f->lines.at[i]) + COMMENT_GAP;
    if (end > *column) *column = end;
    i++;
  } while (i < f->lines.n && has_both(&f->lines.at[i]) && !f->lines.at[i].blank_before);
  return i;
}

static void write_line(Format *f, Text *out, const Line *l, uint32_t column) {
  if (l->blank_before) append(f, out, "\n", 1);
  append_spaces(f, out, l->indent);
  append(f, out, l->code.at, l->code.n);
  if (has_both(l)) append_spaces(f, out, column - code_end(l));
  append(f, out, f->source->text + l->comment.lo, l->comment.hi - l->comment.lo);
  append(f, out, "\n", 1);
}

static Text write_lines(Format *f) {
  Text out = {0};
  uint32_t run_end = 0, column = 0;
  for (uint32_t i = 0; i < f->lines.n; i++) {
    if (i >= run_end && has_both(&f->lines.at[i])) run_end = comment_run(f, i, &column);
    write_line(f, &out, &f->lines.at[i], column);
  }
  return out;
}

char *format_source(Arena *arena, Interner *names, Diags *diags, const Source *source, size_t *size) {
  uint32_t errors = diags->errors;
  parse_file(arena, names, diags, source);
  if (diags->errors > errors) return NULL;
  Format f = {.arena = arena, .source = source, .tokens = tokens_read(arena, source)};
  for (uint32_t i = 0; i < f.tokens.n; i++)
    if (f.tokens.at[i].kind != TOKEN_COMMENT) vec_push(arena, &f.code, f.tokens.at[i]);
  collect_lines(&f);
  Text out = write_lines(&f);
  *size = out.n;
  vec_push(arena, &out, '\0');
  return out.at;
}
