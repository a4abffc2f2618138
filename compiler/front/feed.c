/* feed: the token array as the grammar wants it.
 *
 * - A marked statement end comes out as END, just behind the token before it.
 * - Braces come out balanced: a missing `}` is reported once and supplied at the end of the file.
 * - Nesting is bounded here, before the parser's stack or any tree exists: a stack holds what is open at the
 *   current token.  Brackets and blocks close lexically; a unary operator, `^`, a reduction and `if` are
 *   closed by the next operator that binds more loosely.  What is too deep comes out as the error token.
 * - What is no token is reported; where another language's operator has an exact counterpart, that comes out. */
#include "front/parse_state.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/ice.h"
#include "front/parse.h"

#include "attn_grammar.h"

/* ---- nesting ---- */

static void pop(Feed *f) { f->stack.n--; }
static bool has_open(const Feed *f) { return f->stack.n > f->base; }
static Nest *top(Feed *f) { return &vec_last(&f->stack); }

/* Closes the operators on top that are of the given kinds. */
static void close_kinds(Feed *f, bool reductions, bool nots) {
  while (has_open(f)) {
    NestKind k = top(f)->kind;
    if (k != NEST_TIGHT && !(k == NEST_REDUCE && reductions) && !(k == NEST_NOT && nots)) return;
    pop(f);
  }
}

/* Ends the expression: everything up to the bracket or block it stands in. */
static void close_operators(Feed *f) {
  while (has_open(f) && top(f)->kind != NEST_BRACKET) pop(f);
}

/* `then` and `else` belong to the innermost `if` that still waits for them. */
static void continue_if(Feed *f, char word, char next) {
  while (has_open(f) && top(f)->kind != NEST_BRACKET && !(top(f)->kind == NEST_IF && top(f)->awaits == word)) pop(f);
  if (has_open(f) && top(f)->kind == NEST_IF) top(f)->awaits = next;
}

static bool push(Parse *p, Nest nest) {
  Feed *f = &p->feed;
  vec_push(p->arena, &f->stack, nest);
  if (f->stack.n - f->base <= PARSE_MAX_DEPTH) return true;
  if (!f->deep_told) {
    Diag *d = parse_error(p, nest.span, "this is nested more than %d deep", PARSE_MAX_DEPTH);
    if (d) diag_hint(p->diags, d, "give the inner part a name with 'let'");
  }
  f->deep_told = true;
  return false;
}

static bool open_block(Parse *p, Span span) {
  Feed *f = &p->feed;
  bool dropped = ++f->blocks > PARSE_MAX_DEPTH;
  vec_push(p->arena, &f->stack, (Nest){.kind = NEST_BLOCK, .span = span, .base = f->base, .dropped = dropped});
  f->base = f->stack.n;
  if (dropped && !f->blocks_told) parse_error(p, span, "blocks are nested more than %d deep", PARSE_MAX_DEPTH);
  f->blocks_told = dropped;
  return !dropped;
}

static Span innermost_bracket(Feed *f) {
  for (uint32_t i = f->stack.n; i > f->base; i--)
    if (f->stack.at[i - 1].kind == NEST_BRACKET) return f->stack.at[i - 1].span;
  return (Span){0, 0};
}

/* Leaves the innermost block; false when the grammar never saw it open. */
static bool close_block(Feed *f) {
  if (!f->blocks) return true;
  f->unclosed = innermost_bracket(f);
  Nest block = f->stack.at[f->base - 1];
  f->stack.n = f->base - 1;
  f->base = block.base;
  f->blocks--;
  return !block.dropped;
}

static void close_bracket(Feed *f, char opening) {
  f->unclosed = (Span){0, 0};
  for (uint32_t i = f->stack.n; i > f->base; i--) {
    Nest n = f->stack.at[i - 1];
    if (n.kind != NEST_BRACKET) continue;
    if (n.bracket != opening) {
      if (!f->unclosed.hi) f->unclosed = n.span;
      continue;
    }
    f->stack.n = i - 1;
    return;
  }
}

static bool close_paren(Parse *p, Token t) {
  close_bracket(&p->feed, '(');
  return !t.closes_binders || push(p, (Nest){.kind = NEST_REDUCE, .span = t.span});
}

static void end_statement(Feed *f) {
  f->unclosed = innermost_bracket(f);
  f->stack.n = f->base;
  f->deep_told = false;
}

/* Follows one token, of the given kind after repair; false: it is too deep for the grammar. */
static bool nest(Parse *p, int kind, Token t) {
  Feed *f = &p->feed;
  Span span = t.span;
  switch (kind) {
  case '(': case '[': return push(p, (Nest){.kind = NEST_BRACKET, .bracket = (char)kind, .span = span});
  case ')': return close_paren(p, t);
  case ']': close_bracket(f, '['); return true;
  case '{': close_operators(f); return open_block(p, span);
  case '^': return push(p, (Nest){.kind = NEST_TIGHT, .span = span});
  case '-':
    if (!token_ends_operand(f->prev) || f->after_binders) return push(p, (Nest){.kind = NEST_TIGHT, .span = span});
    close_kinds(f, true, false);
    return true;
  case T_NOT: return push(p, (Nest){.kind = NEST_NOT, .span = span});
  case T_IF: return push(p, (Nest){.kind = NEST_IF, .awaits = 't', .span = span});
  case T_THEN: continue_if(f, 't', 'e'); return true;
  case T_ELSE: continue_if(f, 'e', 0); return true;
  case '*': case '/': case '%': case T_FLOORDIV: close_kinds(f, false, false); return true;
  case '+': case '<': case '>': case T_EQ: case T_NE: case T_LE: case T_GE: close_kinds(f, true, false); return true;
  case T_AND: case T_OR: close_kinds(f, true, true); return true;
  case T_DOTDOT:
  case T_IN:
  case ',':
  case '=':
  case ':':
  case '~':
  case T_WHERE:
  case T_BY: close_operators(f); return true;
  case ';': end_statement(f); return true;
  }
  return true;
}

/* ---- literals ---- */

static int64_t integer_value(Parse *p, Span span) {
  int64_t value = 0;
  for (uint32_t i = span.lo; i < span.hi; i++) {
    int digit = p->source->text[i] - '0';
    if (value > (INT64_MAX - digit) / 10) {
      parse_error(p, span, "integer %s does not fit into 64 bits, the largest is %lld", quoted(p, span),
                  (long long)INT64_MAX);
      return 0;
    }
    value = 10 * value + digit;
  }
  return value;
}

/* In the C locale, whatever the calling program has set. */
static double c_strtod(const char *text) {
  locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  ICE_UNLESS(c != (locale_t)0);
  locale_t old = uselocale(c);
  double value = strtod(text, NULL);
  uselocale(old);
  freelocale(c);
  return value;
}

static bool has_nonzero_digit(const char *mantissa) {
  return mantissa[strspn(mantissa, "0.")] >= '1' && mantissa[strspn(mantissa, "0.")] <= '9';
}

static double real_value(Parse *p, Span span) {
  ArenaMark mark = arena_mark(p->arena);
  const char *text = arena_strndup(p->arena, p->source->text + span.lo, span.hi - span.lo);
  double value = c_strtod(text);
  bool vanished = value == 0 && has_nonzero_digit(text);
  arena_release(p->arena, mark);
  if (isinf(value)) parse_error(p, span, "number %s is too large for a 64-bit real", quoted(p, span));
  if (vanished) parse_error(p, span, "number %s is too small for a 64-bit real", quoted(p, span));
  return value;
}

/* ---- what is no token ---- */

static void complain(Parse *p, Span span, const char *text, const char *hint) {
  Diag *d = parse_error(p, span, "%s", text);
  if (d && hint) diag_hint(p->diags, d, "%s", hint);
}

static const char *unexpected(Parse *p, Span span) { return arena_printf(p->arena, "unexpected %s", quoted(p, span)); }

/* Reports a TOKEN_BAD kind; returns the kind that the grammar gets, or -1 for none. */
static int repair(Parse *p, int kind, Span span) {
  switch (kind) {
  case TOKEN_BAD_POW: complain(p, span, "unexpected '**'", "a power is written x ^ y"); return '^';
  case TOKEN_BAD_NOT: complain(p, span, "unexpected '!'", "negation is written 'not'"); return T_NOT;
  case TOKEN_BAD_AND: complain(p, span, unexpected(p, span), "conjunction is written 'and'"); return T_AND;
  case TOKEN_BAD_OR: complain(p, span, unexpected(p, span), "disjunction is written 'or'"); return T_OR;
  case TOKEN_BAD_NUMBER:
    complain(p, span, arena_printf(p->arena, "%s is neither a number nor a name", quoted(p, span)),
             "numbers are written 12, 0.5 or 1e-3; a product needs '*'; a name does not start with a digit");
    return T_INT;
  case TOKEN_BAD_DOT:
    complain(p, span, unexpected(p, span),
             "a number has digits on both sides of its dot, and a range is written lo..hi");
    return T_ATTN_error;
  case TOKEN_BAD_COMMENT:
    complain(p, span, "unexpected '/*'", "a comment starts with '#' and ends with its line");
    return -1;
  case TOKEN_BAD_COMMENT_OPEN:
    complain(p, span, "unexpected '/*'", "a comment starts with '#' and ends with its line");
    return T_ATTN_error;
  case TOKEN_BAD_STRING: complain(p, span, "unexpected quote", "the language has no strings"); return T_ATTN_error;
  case TOKEN_BAD_UTF8:
    complain(p, span, unexpected(p, span), "outside comments a model file is ASCII");
    return T_ATTN_error;
  case TOKEN_BAD_CONTROL: complain(p, span, unexpected(p, span), NULL); return T_ATTN_error;
  case TOKEN_BAD_CHAR: complain(p, span, unexpected(p, span), NULL); return T_ATTN_error;
  }
  return kind;
}

static void check_comment(Parse *p, Span span) {
  const char *nul = memchr(p->source->text + span.lo, 0, span.hi - span.lo);
  if (!nul) return;
  uint32_t at = (uint32_t)(nul - p->source->text);
  parse_error(p, (Span){at, at + 1}, "unexpected NUL byte in a comment");
}

/* ---- the feed ---- */

static int give(Feed *f, int kind, Span at, Span *span) {
  f->prev = kind;
  f->prev_span = at;
  f->after_binders = false;
  *span = at;
  return kind;
}

/* The end of the file: first the `}` that are missing. */
static int end_of_file(Parse *p, Span *span) {
  Feed *f = &p->feed;
  Span end = {f->prev_span.hi, f->prev_span.hi};
  f->unclosed = innermost_bracket(f);
  if (!f->blocks) return give(f, T_YYEOF, end, span);
  Span block = f->stack.at[f->base - 1].span;
  if (!f->eof_told) {
    Span open = f->unclosed.hi ? f->unclosed : block;
    const char *closing = p->source->text[open.lo] == '(' ? ")" : p->source->text[open.lo] == '[' ? "]" : "}";
    Diag *d = parse_error(p, end, "unexpected end of file, expected '%s'", closing);
    if (d) diag_note(p->diags, d, open, "%s is not closed", quoted(p, open));
    f->eof_told = true;
  }
  return give(f, close_block(f) ? '}' : T_END, end, span);
}

/* The grammar has had the statement end before a token that runs on: unless it told what is missing there, a `;` is. */
static void tell_run_on(Parse *p, Token t) {
  if (p->diags->errors != p->feed.errors_then) return;
  Diag *d = parse_error(p, t.span, "unexpected keyword %s, expected end of line", quoted(p, t.span));
  if (d) diag_hint(p->diags, d, "statements on one line are separated by ';'");
}

/* Models do not nest: a line that begins with `model` inside a block means that a `}` is missing before it. */
static int close_before_model(Parse *p, Token model, Span *span) {
  Feed *f = &p->feed;
  Diag *d = parse_error(p, model.span, "unexpected keyword 'model', expected '}'");
  if (d) diag_note(p->diags, d, f->stack.at[f->base - 1].span, "'{' is not closed");
  int kind = close_block(f) ? '}' : T_END;
  if (!f->blocks) f->end_given = false; /* another END, between the `}` and the model */
  return give(f, kind, (Span){f->prev_span.hi, f->prev_span.hi}, span);
}

static int literal_or_kind(Parse *p, int kind, Span span, TokenValue *v) {
  const char *text = p->source->text + span.lo;
  switch (kind) {
  case T_NAME: case T_RESERVED: v->name = (Name){intern(p->names, text, span.hi - span.lo), span}; break;
  case T_INT: v->integer = integer_value(p, span); break;
  case T_REAL: v->real = real_value(p, span); break;
  }
  return kind;
}

static int hand_out(Parse *p, Token t, Span *span, TokenValue *v) {
  Feed *f = &p->feed;
  bool bad_number = t.kind == TOKEN_BAD_NUMBER;
  int kind = repair(p, t.kind, t.span);
  if (kind < 0) return kind;
  f->unclosed = (Span){0, 0};
  if (kind == '}') return give(f, close_block(f) ? '}' : T_END, t.span, span);
  bool fits = nest(p, kind, t);
  give(f, kind, t.span, span);
  f->after_binders = t.closes_binders;
  if (!fits) return T_ATTN_error;
  if (kind == ';') return T_END;
  return bad_number ? kind : literal_or_kind(p, kind, t.span, v);
}

int feed_next(Parse *p, Span *span, TokenValue *value) {
  Feed *f = &p->feed;
  while (f->at < f->tokens.n) {
    Token t = f->tokens.at[f->at];
    if (t.ends_before && !f->end_given) {
      f->end_given = true;
      f->errors_then = p->diags->errors;
      end_statement(f);
      return give(f, T_END, t.runs_on ? t.span : (Span){f->prev_span.hi, f->prev_span.hi}, span);
    }
    if (t.kind == T_MODEL && t.ends_before && t.first_on_line && f->blocks) return close_before_model(p, t, span);
    if (t.runs_on) tell_run_on(p, t);
    f->at++;
    f->end_given = false;
    if (t.kind == TOKEN_COMMENT) {
      check_comment(p, t.span);
      continue;
    }
    int kind = hand_out(p, t, span, value);
    if (kind >= 0) return kind;
  }
  return end_of_file(p, span);
}
