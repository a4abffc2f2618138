/* syntax_error: what was found, what was expected, in the user's words, and a hint for common slips.
 *
 * The parser knows exactly which tokens could have followed (LAC).  They are told as groups: "an expression", "a
 * statement", "an operator", and what closes or separates, in the order of the table below. */
#include "front/parse_state.h"

#include "attn_grammar.h"

enum { MAX_QUOTED = 40, MAX_KIND = 512, MAX_LISTED = 8 };

static bool is_plain(const char *s, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if ((unsigned char)s[i] < 32 || s[i] == 127) return false;
  return true;
}

/* Length of the UTF-8 character at s, 0 when it is none. */
static uint32_t utf8_length(const unsigned char *s, uint32_t n) {
  uint32_t len = s[0] < 0x80                   ? 1
                 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
                 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
                 : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                               : 0;
  if (!len || len > n) return 0;
  for (uint32_t i = 1; i < len; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  return len;
}

const char *quoted(Parse *p, Span span) {
  const char *s = p->source->text + span.lo;
  uint32_t n = span.hi - span.lo;
  if (n && (unsigned char)s[0] >= 0x80) {
    uint32_t len = utf8_length((const unsigned char *)s, n);
    if (len) return arena_printf(p->arena, "'%.*s'", (int)len, s);
  }
  if (n && ((unsigned char)s[0] >= 0x80 || !is_plain(s, 1)))
    return arena_printf(p->arena, "byte 0x%02x", (unsigned)(unsigned char)s[0]);
  if (n <= MAX_QUOTED) return arena_printf(p->arena, "'%.*s'", (int)n, s);
  return arena_printf(p->arena, "'%.*s...'", MAX_QUOTED, s);
}

typedef struct Expected { bool has[MAX_KIND]; } Expected;

typedef struct Words { const char *at[MAX_LISTED]; int n; } Words;

static void add(Words *w, const char *text) {
  if (w->n < MAX_LISTED) w->at[w->n++] = text;
}

/* In the order they are told; those of the groups above are not repeated. */
static const struct { int kind; const char *text; } single[] = {
  {'(', "'('"}, {'[', "'['"}, {'{', "'{'"}, {')', "')'"}, {']', "']'"}, {'}', "'}'"},
  {':', "':'"}, {'=', "'='"}, {'~', "'~'"}, {',', "','"},
  {T_IN, "'in'"}, {T_BY, "'by'"}, {T_THEN, "'then'"}, {T_ELSE, "'else'"}, {T_WHERE, "'where'"}, {T_NONE, "'none'"},
  {T_END, "end of line"},
};

static bool in_group(const Expected *e, int kind) {
  bool expression = e->has[T_INT], after_operand = e->has['+'];
  if (kind == '(' || kind == T_NONE) return expression || (after_operand && kind == '(');
  if (kind == '[' || kind == '=' || kind == T_IN) return after_operand;
  if (kind == '}') return e->has[T_LET] || e->has[T_END];
  if (kind == T_END) return e->has[T_LET] || e->has[T_MODEL];
  return false;
}

static const char *list_expected(Parse *p, const Expected *e) {
  Words w = {0};
  if (e->has[T_LET]) add(&w, "a statement");
  else if (e->has[T_INT]) add(&w, "an expression");
  else if (e->has[T_NAME]) add(&w, "a name");
  if (e->has[T_MODEL]) {
    add(&w, "'model'");
    add(&w, "'def'");
  }
  for (size_t i = 0; i < sizeof single / sizeof *single; i++)
    if (e->has[single[i].kind] && !in_group(e, single[i].kind)) add(&w, single[i].text);
  if (e->has[T_OR] && !e->has[T_EQ] && !e->has[T_AND]) add(&w, "'or none'");
  if (e->has['+']) add(&w, "an operator");
  if (e->has[T_LET] && e->has['}']) add(&w, "'}'");
  if (!w.n) return "end of file";
  const char *text = w.at[0];
  for (int i = 1; i < w.n; i++) text = arena_printf(p->arena, "%s%s%s", text, i + 1 < w.n ? ", " : " or ", w.at[i]);
  return text;
}

static const char *describe(Parse *p, int found, Span span) {
  if (found == T_YYEOF) return "end of file";
  bool runs_on = found == T_END && span.lo != span.hi && p->source->text[span.lo] != ';'; /* the word behind it */
  if (found == T_END && span.lo == span.hi) return "end of line";
  if (token_is_keyword(found) || runs_on) return arena_printf(p->arena, "keyword %s", quoted(p, span));
  if (found == T_RESERVED || found == T_E || found == T_P || found == T_NONE || found == T_TRUE || found == T_FALSE)
    return arena_printf(p->arena, "reserved name %s", quoted(p, span));
  return quoted(p, span);
}

/* The k-th code token before the one just handed out (k = 1: the one before); kind 0 when there is none. */
static Token before(const Parse *p, Span found, int k) {
  const TokenVec *v = &p->feed.tokens;
  for (uint32_t i = p->feed.at; i > 0; i--) {
    const Token *t = &v->at[i - 1];
    if (t->kind == TOKEN_COMMENT || t->span.hi > found.lo) continue;
    if (--k == 0) return *t;
  }
  return (Token){0};
}

static int after(const Parse *p) {
  const TokenVec *v = &p->feed.tokens;
  return p->feed.at < v->n ? v->at[p->feed.at].kind : TOKEN_EOF;
}

/* The token that the statement or file of `found` begins with. */
static int statement_word(const Parse *p, Span found) {
  const TokenVec *v = &p->feed.tokens;
  for (uint32_t i = p->feed.at; i > 0; i--) {
    const Token *t = &v->at[i - 1];
    if (t->span.lo >= found.hi && found.lo != found.hi) continue;
    bool starts = t->ends_before || i == 1 || v->at[i - 2].kind == ';' || v->at[i - 2].kind == '{';
    if (starts) return t->kind;
  }
  return 0;
}

static bool slash_comment_on_line(const Parse *p, Span found) {
  const char *s = p->source->text;
  uint32_t lo = found.lo;
  while (lo > 0 && s[lo - 1] != '\n') lo--;
  for (; lo < found.hi && lo + 1 < p->source->size; lo++)
    if (s[lo] == '/' && s[lo + 1] == '/') return true;
  return false;
}

static bool is_comparison(int kind) {
  return kind == '<' || kind == '>' || kind == T_EQ || kind == T_NE || kind == T_LE || kind == T_GE;
}

/* Keywords and reserved names that look like what one would call a thing. */
static const char *word_hint(Parse *p, int found, Span span, const Expected *e) {
  if (!e->has[T_NAME] || e->has[T_LET]) return NULL;
  if (token_is_keyword(found) && !(e->has[T_INT] && token_begins_statement(found) && p->feed.unclosed.hi))
    return arena_printf(p->arena, "%s is a keyword and cannot be a name", quoted(p, span));
  if (!e->has[T_INT] &&
      (found == T_RESERVED || found == T_E || found == T_P || found == T_NONE || found == T_TRUE || found == T_FALSE))
    return arena_printf(p->arena, "%s has a fixed meaning and cannot be declared", quoted(p, span));
  return NULL;
}

static const char *hint_for(Parse *p, int found, Span span, const Expected *e) {
  Token prev = before(p, span, 1);
  int word = statement_word(p, span);
  if (found != T_END && slash_comment_on_line(p, span)) return "a comment starts with '#'; '//' is floor division";
  if (found == T_NAME && e->has[T_LET] && after(p) == '=')
    return "a statement begins with a keyword: let name = value, out name = value";
  if (found == T_NAME && e->has[T_LET])
    return "a statement begins with data, param, let, def, for, edge, latent, prior, potential, observe, require, "
           "infer or out";
  if (found == '=' && e->has['~']) return "a distribution is written behind '~': prior phi ~ weights(w[phi])";
  if (found == ':' && (word == T_FOR || word == T_EDGE) && !p->feed.unclosed.hi && e->has['+'])
    return "a range is written 'i in N' or 'i in lo..hi'";
  if (found == ':' && (e->has[']'] || e->has[T_INT]))
    return "there are no slices: with trailing indices left off, q[i] is a vector";
  if (found == '=' && e->has[T_EQ]) return "equality is tested with '=='";
  if (found == T_EQ && e->has['='] && !e->has['+']) return "a definition is written with one '='";
  if (is_comparison(found) && e->has['+']) return "comparisons do not chain: write a < b and b < c";
  if (found == '(' && (prev.kind == T_E || prev.kind == T_P))
    return "a query is written with brackets: E[value], P[condition]";
  bool declares = word == T_DATA || word == T_PARAM || word == T_LATENT;
  if (e->has[':'] && declares) return "a declaration is written name: [SIZE, ...] or name: type";
  if (found == T_NAME && prev.kind == ']' && declares) return "a type stands before the sizes: name: int[SIZE, ...]";
  if (found == '{' && e->has[T_MODEL]) return "'{' stands on the line of the header it belongs to";
  if (found == '{' && e->has[T_LET]) return "'{' stands on the line of the header it belongs to";
  if (found == T_END && e->has['{']) return "'{' stands on the line of the header it belongs to";
  if (e->has[T_IN] && (word == T_FOR || word == T_EDGE)) return "a range is written 'i in N' or 'i in lo..hi'";
  if (e->has[T_IN] && prev.kind == T_NAME && (found == T_NAME || found == T_INT))
    return "a range is written 'i in N' or 'i in lo..hi'";
  if ((found == T_IF || found == T_NOT) && e->has[T_INT]) return "put parentheses around it";
  if (found == T_ELSE && e->has[T_THEN]) return "a choice is written: if c then a else b";
  if (e->has[T_ELSE] && (found == T_END || found == T_YYEOF))
    return "a choice always has both sides: if c then a else b";
  return word_hint(p, found, span, e);
}

void syntax_error(Parse *p, int found, Span span, const int *expected, int n) {
  Expected e = {0};
  for (int i = 0; i < n; i++)
    if (expected[i] >= 0 && expected[i] < MAX_KIND) e.has[expected[i]] = true;
  Diag *d = parse_error(p, span, "unexpected %s, expected %s", describe(p, found, span), list_expected(p, &e));
  if (!d) return;
  Span open = p->feed.unclosed;
  if (open.hi) diag_note(p->diags, d, open, "%s is not closed", quoted(p, open));
  const char *hint = hint_for(p, found, span, &e);
  if (hint) diag_hint(p->diags, d, "%s", hint);
}
