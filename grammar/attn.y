/* attn.y: the shape of a model file.  Actions build nodes and do nothing else.
 *
 * The tokens come from compiler/front/feed.c, which has already turned the newlines that end a statement into
 * END, balanced the braces, bounded the nesting and reported what is no token at all (as the error token).
 * So END stands between any two statements and `}` always arrives.
 *
 * Layers of expressions, loosest first: expr (if, or, and, not), one comparison, arith (+ -), operand (* /), factor
 * (unary -), power.  A reduction `sum(j in N) body` takes a whole operand as its body, so it can only stand last
 * in a product: that is the split between term (no open reduction at its end) and reduce.
 *
 * Recovery: an error skips to the end of its statement; if a block is met on the way it is parsed as one, so
 * that a broken header does not lose the statements inside, nor unbalance the braces after it.  Names that a
 * broken statement was about to declare are kept, with an error expression for a value. */
%require "3.8"
%define api.pure full
%define api.prefix {attn_}
%define api.token.prefix {T_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%define lr.default-reduction accepting
%locations
%expect 0
%param {Parse *p}

%code requires {
#include "front/ast_build.h"
}

%code provides {
int attn_lex(ATTN_STYPE *value, Span *span, Parse *p);
void attn_error(const Span *span, Parse *p, const char *message);
}

%code {
/* An empty rule stands, empty, behind the symbol before it. */
#define YYLLOC_DEFAULT(cur, rhs, n)                                        \
  ((cur) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))             \
               : (Span){YYRHSLOC(rhs, 0).hi, YYRHSLOC(rhs, 0).hi})

/* Nesting is bounded by the feed and each level holds a few symbols: never reached. */
#define YYMAXDEPTH 20000

static const ExprVec no_exprs = {0};
static const SlotVec no_slots = {0};
static const NameVec no_names = {0};
static const ArgVec no_args = {0};
static const Name no_name = {0};
}

%initial-action { @$ = (Span){0, 0}; }

%union {
  Name name;
  int64_t integer;
  double real;
  BinaryOp op;
  bool flag;
  NameVec names;
  Expr *expr;
  ExprVec exprs;
  Arg arg;
  ArgVec args;
  Domain domain;
  Binder *binder;
  BinderVec binders;
  Slot *slot;
  SlotVec slots;
  Target *target;
  Decl *decl;
  DeclVec decls;
  Stmt *stmt;
  StmtVec stmts;
  Def *def;
  Item *item;
}

%token MODEL "model" DATA "data" PARAM "param" LET "let" DEF "def" FOR "for" IN "in" EDGE "edge" LATENT "latent"
       PRIOR "prior" POTENTIAL "potential" OBSERVE "observe" REQUIRE "require" INFER "infer" BY "by" OUT "out"
       WHERE "where" OR "or" AND "and" NOT "not" IF "if" THEN "then" ELSE "else"
       E "E" P "P" NONE "none" TRUE "true" FALSE "false"
       EQ "==" NE "!=" LE "<=" GE ">=" FLOORDIV "//" DOTDOT ".." END "end of line"
%token <name> NAME "a name" RESERVED "a reserved name"
%token <integer> INT "an integer"
%token <real> REAL "a number"

%precedence ELSE /* the else branch reaches as far as it can */
%left OR
%left AND
%precedence NOT

%nterm <item> item
%nterm <def> def
%nterm <stmt> stmt stmt_opt
%nterm <stmts> stmts block
%nterm <decl> decl
%nterm <decls> decls
%nterm <target> target
%nterm <slot> slot
%nterm <slots> slots
%nterm <binder> binder
%nterm <binders> binders
%nterm <domain> domain
%nterm <names> names sizes
%nterm <arg> arg
%nterm <args> args arg_list args_opt
%nterm <expr> expr comparison arith operand term factor reduce postfix atom where_opt init_opt bad
%nterm <exprs> exprs dims
%nterm <op> cmp_op add_op mul_op
%nterm <flag> none_opt

%%

file: items ;
items: item_opt | items END item_opt ;
item_opt: %empty | item { if ($1) vec_push(p->arena, &p->file->items, *$1); } ;

item:
    MODEL NAME '(' sizes ')' block { $$ = ast_model(p, @$, $2, $4, $6); }
  | def                            { $$ = ast_def_item(p, $1); }
  | error                          { $$ = NULL; }
  | error block                    { $$ = NULL; }
  ;

sizes: %empty { $$ = no_names; } | names comma_opt { $$ = $1; } ;
names:
    NAME           { $$ = no_names; vec_push(p->arena, &$$, $1); }
  | names ',' NAME { $$ = $1; vec_push(p->arena, &$$, $3); }
  ;
comma_opt: %empty | ',' ;

block: '{' stmts '}' { $$ = $2; } ;
stmts:
    stmt_opt           { $$ = (StmtVec){0}; if ($1) vec_push(p->arena, &$$, $1); }
  | stmts END stmt_opt { $$ = $1; if ($3) vec_push(p->arena, &$$, $3); }
  ;
stmt_opt: %empty { $$ = NULL; } | stmt ;

stmt:
    DATA decls                          { $$ = ast_decls(p, @$, @1, STMT_DATA, $2); }
  | PARAM decls                         { $$ = ast_decls(p, @$, @1, STMT_PARAM, $2); }
  | LATENT decls                        { $$ = ast_decls(p, @$, @1, STMT_LATENT, $2); }
  | LET target '=' expr                 { $$ = ast_assign(p, @$, @1, STMT_LET, $2, $4); }
  | LET target '=' bad                  { $$ = ast_assign(p, @$, @1, STMT_LET, $2, $4); }
  | OUT target '=' expr                 { $$ = ast_assign(p, @$, @1, STMT_OUT, $2, $4); }
  | OUT target '=' bad                  { $$ = ast_assign(p, @$, @1, STMT_OUT, $2, $4); }
  | def                                 { $$ = ast_stmt(p, @$, @1, STMT_DEF); $$->def = *$1;
                                          $$->keyword.hi = $$->keyword.lo + 3; }
  | FOR binders block                   { $$ = ast_for(p, @$, @1, $2, $3); }
  | EDGE NAME IN domain none_opt where_opt { $$ = ast_edge(p, @$, @1, $2, $4, $5, $6); }
  | EDGE NAME IN bad                    { $$ = ast_edge(p, @$, @1, $2, (Domain){$4, NULL, @4}, false, NULL); }
  | PRIOR expr '~' NAME args            { $$ = ast_draw(p, @$, @1, STMT_PRIOR, $2, $4, $5); }
  | OBSERVE expr '~' NAME args          { $$ = ast_draw(p, @$, @1, STMT_OBSERVE, $2, $4, $5); }
  | POTENTIAL expr                      { $$ = ast_weight(p, @$, @1, STMT_POTENTIAL, $2); }
  | REQUIRE expr                        { $$ = ast_weight(p, @$, @1, STMT_REQUIRE, $2); }
  | INFER names BY NAME args_opt        { $$ = ast_infer(p, @$, @1, $2, $4, $5); }
  | bad                                 { $$ = ast_stmt(p, @$, @1, STMT_ERROR); }
  ;

bad:
    error       { $$ = ast_word(p, @$, EXPR_ERROR); yyerrok; }
  | error block { $$ = ast_word(p, @$, EXPR_ERROR); yyerrok; }
  ;

def:
    DEF NAME '(' names comma_opt ')' '=' expr { $$ = ast_def(p, @$, $2, $4, $8); }
  | DEF NAME '(' names comma_opt ')' '=' bad  { $$ = ast_def(p, @$, $2, $4, $8); }
  ;

none_opt: %empty { $$ = false; } | OR NONE { $$ = true; } ;
where_opt: %empty { $$ = NULL; } | WHERE expr { $$ = $2; } ;

decls:
    decl           { $$ = (DeclVec){0}; vec_push(p->arena, &$$, *$1); }
  | decls ',' decl { $$ = $1; vec_push(p->arena, &$$, *$3); }
  ;
decl:
    target ':' NAME init_opt      { $$ = ast_decl(p, @$, $1, $3, no_exprs, $4); }
  | target ':' dims init_opt      { $$ = ast_decl(p, @$, $1, no_name, $3, $4); }
  | target ':' NAME dims init_opt { $$ = ast_decl(p, @$, $1, $3, $4, $5); }
  | target ':' error              { $$ = ast_decl(p, @$, $1, no_name, no_exprs, ast_word(p, @3, EXPR_ERROR)); }
  | NAME error                    { $$ = ast_decl(p, @$, ast_target(p, @1, $1, no_slots), no_name, no_exprs,
                                                    ast_word(p, @2, EXPR_ERROR)); }
  ;
init_opt: %empty { $$ = NULL; } | '=' expr { $$ = $2; } ;
dims: '[' exprs comma_opt ']' { $$ = $2; } ;

target:
    NAME                         { $$ = ast_target(p, @$, $1, no_slots); }
  | NAME '[' slots comma_opt ']' { $$ = ast_target(p, @$, $1, $3); }
  ;
slots:
    slot           { $$ = no_slots; vec_push(p->arena, &$$, *$1); }
  | slots ',' slot { $$ = $1; vec_push(p->arena, &$$, *$3); }
  ;
slot:
    NAME   { $$ = NEW(p->arena, Slot); $$->name = $1; }
  | binder { $$ = NEW(p->arena, Slot); $$->is_binder = true; $$->binder = *$1; $$->name = $1->name; }
  ;

binders:
    binder             { $$ = (BinderVec){0}; vec_push(p->arena, &$$, *$1); }
  | binders ',' binder { $$ = $1; vec_push(p->arena, &$$, *$3); }
  ;
binder: NAME IN domain { $$ = ast_binder(p, @$, $1, $3); } ;
domain:
    arith              { $$ = (Domain){$1, NULL, @$}; }
  | arith DOTDOT arith { $$ = (Domain){$1, $3, @$}; }
  ;

args_opt: %empty { $$ = no_args; } | args ;
args:
    '(' ')'                    { $$ = no_args; }
  | '(' arg_list comma_opt ')' { $$ = $2; }
  ;
arg_list:
    arg              { $$ = no_args; vec_push(p->arena, &$$, $1); }
  | arg_list ',' arg { $$ = $1; vec_push(p->arena, &$$, $3); }
  ;
arg:
    expr          { $$ = (Arg){no_name, $1}; }
  | NAME '=' expr { $$ = (Arg){$1, $3}; }
  ;

exprs:
    expr           { $$ = no_exprs; vec_push(p->arena, &$$, $1); }
  | exprs ',' expr { $$ = $1; vec_push(p->arena, &$$, $3); }
  ;

expr:
    comparison
  | expr OR expr  { $$ = ast_binary(p, @2, BINARY_OR, $1, $3); }
  | expr AND expr { $$ = ast_binary(p, @2, BINARY_AND, $1, $3); }
  | NOT expr      { $$ = ast_unary(p, @$, UNARY_NOT, $2); }
  | IF expr THEN expr ELSE expr { $$ = ast_if(p, @$, $2, $4, $6); }
  ;

comparison: arith | arith cmp_op arith { $$ = ast_binary(p, @2, $2, $1, $3); } ;
cmp_op:
    EQ { $$ = BINARY_EQ; } | NE { $$ = BINARY_NE; } | '<' { $$ = BINARY_LT; } | '>' { $$ = BINARY_GT; }
  | LE { $$ = BINARY_LE; } | GE { $$ = BINARY_GE; }
  ;

arith: operand | arith add_op operand { $$ = ast_binary(p, @2, $2, $1, $3); } ;
add_op: '+' { $$ = BINARY_ADD; } | '-' { $$ = BINARY_SUB; } ;

operand: term | reduce | term mul_op reduce { $$ = ast_binary(p, @2, $2, $1, $3); } ;
term: factor | term mul_op factor { $$ = ast_binary(p, @2, $2, $1, $3); } ;
mul_op:
    '*' { $$ = BINARY_MUL; } | '/' { $$ = BINARY_DIV; } | FLOORDIV { $$ = BINARY_FLOORDIV; } | '%' { $$ = BINARY_MOD; }
  ;

factor:
    '-' factor         { $$ = ast_unary(p, @$, UNARY_NEG, $2); }
  | postfix
  | postfix '^' factor { $$ = ast_binary(p, @2, BINARY_POW, $1, $3); }
  ;

reduce:
    NAME '(' binders comma_opt ')' operand { $$ = ast_reduce(p, @$, $1, $3, $6); }
  | '-' reduce         { $$ = ast_unary(p, @$, UNARY_NEG, $2); }
  | postfix '^' reduce { $$ = ast_binary(p, @2, BINARY_POW, $1, $3); }
  ;

postfix: atom | postfix '[' exprs comma_opt ']' { $$ = ast_index(p, @$, $1, $3); } ;

atom:
    INT           { $$ = ast_int(p, @1, $1); }
  | REAL          { $$ = ast_real(p, @1, $1); }
  | NAME          { $$ = ast_name(p, $1); }
  | RESERVED      { $$ = ast_name(p, $1); }
  | NONE          { $$ = ast_word(p, @1, EXPR_NONE); }
  | TRUE          { $$ = ast_word(p, @1, EXPR_TRUE); }
  | FALSE         { $$ = ast_word(p, @1, EXPR_FALSE); }
  | '(' expr ')'  { $$ = ast_parens(@$, $2); }
  | NAME args     { $$ = ast_call(p, @$, $1, $2); }
  | RESERVED args { $$ = ast_call(p, @$, $1, $2); }
  | PARAM args    { $$ = ast_call(p, @$, (Name){intern_str(p->names, "param"), @1}, $2); }
  | E '[' expr ']' { $$ = ast_query(p, @$, false, $3); }
  | P '[' expr ']' { $$ = ast_query(p, @$, true, $3); }
  ;

%%

int attn_lex(ATTN_STYPE *value, Span *span, Parse *p) {
  TokenValue v = {0};
  int kind = feed_next(p, span, &v);
  switch (kind) {
  case T_NAME: case T_RESERVED: value->name = v.name; break;
  case T_INT: value->integer = v.integer; break;
  case T_REAL: value->real = v.real; break;
  }
  return kind;
}

/* Bison's own reports: only the stack's limit, since syntax errors go through yyreport_syntax_error. */
void attn_error(const Span *span, Parse *p, const char *message) { parse_error(p, *span, "%s", message); }

static int token_of_symbol(yysymbol_kind_t symbol) {
  for (int kind = 0; kind <= YYMAXUTOK; kind++)
    if (YYTRANSLATE(kind) == symbol) return kind;
  return T_ATTN_UNDEF;
}

static int yyreport_syntax_error(const yypcontext_t *context, Parse *p) {
  yysymbol_kind_t symbols[YYNTOKENS];
  int expected[YYNTOKENS];
  if (p->diags->errors >= DIAG_MAX_ERRORS) { /* counted, not shown: do not work out what was expected */
    parse_error(p, *yypcontext_location(context), "syntax error");
    return 0;
  }
  int n = yypcontext_expected_tokens(context, symbols, YYNTOKENS);
  for (int i = 0; i < n; i++) expected[i] = token_of_symbol(symbols[i]);
  syntax_error(p, token_of_symbol(yypcontext_token(context)), *yypcontext_location(context), expected, n);
  return 0;
}
