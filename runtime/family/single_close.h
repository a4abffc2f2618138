/* single_close: a tree's chain closed in single precision, four nodes at a time (tree_inverse.c has the law), in
 * vectors of SIZE, 8 or 16: included once for each.
 *
 * Four nodes are closed by twos.  With x and y what two rows have for each other, s and r for all that come later,
 *     pivot of both = (s + x) (r + y) - x y = (s + x) r + s y,
 * one division where each pivot would wait for the division before it.  Both steps stand between rows that the four
 * nodes before are added to, so that nothing waits. */
/* The four nodes lo .. lo + many, the rows of which hold what was closed before.  One that is missing has a pivot of 1
 * and nothing for others. */
ALWAYS void THIS(open)(Single *t, int64_t lo, int64_t many) {
  int64_t behind = (lo + many) / SIZE * SIZE;
  WORDS later = (WORDS)((WORDS){PLACES} >= (WORDS){0} + (uint32_t)(lo + many - behind));
  I4 own = (I4)((I4){0, 1, 2, 3} < (I4){0} + (uint32_t)many);
  FLOATS s[FOUR] = {{0}};
  memset(t->close, 0, sizeof t->close);
  UNROLLED(4) for (int64_t m = 0; m < FOUR; m++) {
    if (m == many) break;
    const float *row = t->a + (lo + m) * t->stride;
    if (behind < t->wide) s[m] = (FLOATS)((WORDS)*AT(row + behind) & later);
    for (int64_t j = behind + SIZE; j < t->wide; j += SIZE) s[m] += *AT(row + j);
    *at4(t->close[m]) = (F4)((I4)*at4(row + lo) & own);
  }
  PASTE(sum_four_, SIZE)(s, t->rest);
  for (int64_t m = many; m < FOUR; m++) t->rest[m] = 1;
}

/* All ones but for the columns lo .. lo + many. */
ALWAYS void THIS(but)(int64_t lo, int64_t many, int64_t column, WORDS *to) {
  *to = (WORDS)((WORDS){PLACES} - (uint32_t)(lo - column) >= (WORDS){0} + (uint32_t)many);
}

/* Rows of the nodes closed become c times them; nodes that are missing have rows of 0. */
ALWAYS void THIS(express)(const Single *t, int64_t lo, int64_t many, float *const *x) {
  int64_t own = lo / SIZE * SIZE;
  WORDS keep;
  THIS(but)(lo, many, own, &keep);
  for (int64_t m = 0; m < many; m++) /* for one another they have what they are */
    *AT(x[m] + own) = (FLOATS)(((WORDS)*AT(x[m] + own) & keep) | (WORDS)*AT(ONE + TWO - (lo + m - own)));
  for (int64_t j = 0; j < t->wide; j += SIZE) {
    FLOATS x0 = *AT(x[0] + j), x1 = *AT(x[1] + j), x2 = *AT(x[2] + j), x3 = *AT(x[3] + j);
    UNROLLED(4) for (int64_t m = 0; m < FOUR; m++) {
      const float *c = t->close[m];
      *AT(x[m] + j) = (c[0] * x0 + c[1] * x1) + (c[2] * x2 + c[3] * x3);
    }
  }
}

/* `rows` rows from the `first` on, the first behind the last: what they have in the columns lo .. lo + FOUR times the
 * FOUR rows x is added in `many` vectors at `column`, the `closed` columns from lo on, of the last of them, become 0
 * before. */
ALWAYS void THIS(add_columns)(const Single *t, int64_t first, int64_t rows, int64_t lo, int64_t closed,
                              float *const *x, const int64_t *column, int many) {
  float *to = t->a + first * t->stride, *end = t->a + t->nodes * t->stride;
  FLOATS x0[3], x1[3], x2[3], x3[3];
  WORDS keep;
  THIS(but)(lo, closed, column[many - 1], &keep);
  for (int g = 0; g < many; g++) {
    x0[g] = *AT(x[0] + column[g]);
    x1[g] = *AT(x[1] + column[g]);
    x2[g] = *AT(x[2] + column[g]);
    x3[g] = *AT(x[3] + column[g]);
  }
  for (int64_t i = 0; i < rows; i++) {
    const float *via = to + lo;
    FLOATS v0 = via[0] - (FLOATS){0}, v1 = via[1] - (FLOATS){0}, v2 = via[2] - (FLOATS){0}, v3 = via[3] - (FLOATS){0};
    for (int g = 0; g < many; g++) {
      FLOATS old = *AT(to + column[g]);
      if (g == many - 1) old = (FLOATS)((WORDS)old & keep);
      *AT(to + column[g]) = old + v0 * x0[g] + v1 * x1[g] + v2 * x2[g] + v3 * x3[g];
    }
    to += t->stride;
    to = to == end ? t->a : to;
  }
}

/* The same of all columns, those of lo last, since the others read them. */
ALWAYS void THIS(add)(const Single *t, int64_t first, int64_t rows, int64_t lo, int64_t closed,
                      float *const *x) {
  enum { MANY = SIZE == TWO ? 3 : 2 }; /* with FOUR of each, as many as there are registers for */
  int64_t own = lo / SIZE, vectors = t->wide / SIZE, column[3] = {0};
  for (int64_t k = 0; k < vectors; k += MANY) {
    for (int64_t g = 0; g < MANY && k + g < vectors; g++)
      column[g] = SIZE * (k + g == vectors - 1 ? own : k + g + (k + g >= own));
    if (vectors - k == 1) THIS(add_columns)(t, first, rows, lo, closed, x, column, 1);
    else if (vectors - k == 2 || MANY == 2) THIS(add_columns)(t, first, rows, lo, closed, x, column, 2);
    else THIS(add_columns)(t, first, rows, lo, closed, x, column, MANY);
  }
}

/* The next nodes' rows first, so that what takes them in is computed while others wait for nothing. */
ALWAYS void THIS(invert)(Single *t) {
  int64_t n = t->nodes, all = t->one_root ? n - 1 : n;
  for (int64_t i = 0; i < t->wide; i++) t->spare[i] = 0;
  for (int64_t i = 0; i < t->wide; i++) t->pivot[i] = 1;
  THIS(open)(t, 0, at_most_four(all));
  t->pivot[0] = close_two(t, 0);
  t->pivot[2] = close_two(t, 2);
  for (int64_t lo = 0; lo < all; lo += FOUR) {
    int64_t many = at_most_four(all - lo), next = lo + many, soon = at_most_four(all - next),
            others = n - many - soon, row = next + soon;
    float *x[FOUR];
    for (int64_t m = 0; m < FOUR; m++) x[m] = m < many ? t->a + (lo + m) * t->stride : t->spare;
    THIS(express)(t, lo, many, x);
    if (soon) THIS(add)(t, next, soon, lo, many, x);
    for (int64_t k = 0; k < PIECES; k++) {
      int64_t rows = others * (k + 1) / PIECES - others * k / PIECES;
      if (row >= n) row -= n;
      THIS(add)(t, row, rows, lo, many, x);
      row += rows;
      if (k == 0 && soon) THIS(open)(t, next, soon);
      if (k == 1 && soon) t->pivot[next] = close_two(t, 0);
      if (k == 2 && soon > 2) t->pivot[next + 2] = close_two(t, 2);
    }
  }
}
