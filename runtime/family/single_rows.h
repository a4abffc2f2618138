/* single_rows: a row's weights in vectors of SIZE; see single_weights.h. */

/* Of log weights x, less = x - s and e = e^x 2^-m, s = m log 2, base = ROUND - m; gaps: some x may be -inf, then less
 * is at most -RANGE and e is 0.  bad gets a sign where x is out of range; where it is no number, less is none.  The
 * polynomial is e^r to 3.1e-9 of it, the best of its degree that begins with 1 + r. */
ALWAYS void THIS(weigh)(const FLOATS *from, const FLOATS *base, const FLOATS *s, bool gaps, FLOATS *less, FLOATS *e,
                        WORDS *bad) {
  FLOATS x = *from;
  WORDS there = (WORDS)(x > (FLOATS){0} - INFINITY);
  FLOATS least = *s - 2 * RANGE;
  if (gaps) PASTE(larger, SIZE)(&x, &x, &least);
  FLOATS whole = x * LOG2_E + *base, n = whole - *base, d = x - *s, r = x - n * LN2_HIGH - n * LN2_LOW;
  FLOATS p = ((0x1.6a2434p-10F * r + 0x1.1239e2p-7F) * r + 0x1.5558f2p-5F) * r + 0x1.555492p-3F;
  FLOATS y = ((p * r + 0x1.fffffcp-2F) * r + 1) * r + 1;
  WORDS power = (WORDS)y + ((WORDS)whole << 23);
  if (!gaps)
    *bad |= (WORDS)(RANGE * RANGE - d * d);
  else
    *bad |= (((WORDS)(RANGE * RANGE - d * d) & there) | ~(WORDS)(*from < INFINITY)) & 0x80000000, power &= there;
  *less = d;
  *e = (FLOATS)power;
}

/* Weights of a row, from base and s of it; its arc to the root stands behind the nodes where that is a column.
 * `bad` as weigh's. */
ALWAYS void THIS(weigh_row)(Single *t, const float *row, int64_t i, bool gaps, WORDS *bad) {
  int64_t n = t->nodes, at = i * t->stride;
  float *less = t->less + at, *arc = t->arc + at, *a = t->a + at, to_root = t->one_root ? 0 : t->root[i];
  SIGNS lane = {PLACES};
  FLOATS v, base = t->bias[i] - (FLOATS){0}, s = t->scale[i] - (FLOATS){0}, root = to_root - (FLOATS){0}, most = {0};
  for (int64_t j = 0; j < n; j += SIZE) {
    int32_t own = (int32_t)(i - j), left = (int32_t)(n - j);
    v = *AT(row + j);
    if (own >= 0 && own < SIZE) v = (FLOATS)(((lane != own) & (SIGNS)v) | (~(lane != own) & (SIGNS)s));
    if (left < SIZE) v = (FLOATS)(((lane < left) & (SIGNS)v) | (~(lane < left) & (SIGNS)s));
    THIS(weigh)(&v, &base, &s, gaps, AT(less + j), &v, bad);
    if (own >= 0 && own < SIZE) v = (FLOATS)((lane != own) & (SIGNS)v);
    if (left < SIZE) v = (FLOATS)((lane < left) & (SIGNS)v);
    PASTE(larger, SIZE)(&most, &v, &most);
    *AT(arc + j) = v;
    if (left < SIZE) v = (FLOATS)(((lane != left) & (SIGNS)v) | (~(lane != left) & (SIGNS)root));
    *AT(a + j) = v;
  }
  if (n % SIZE == 0 && !t->one_root) *AT(a + n) = (FLOATS)((lane == 0) & (SIGNS)root);
  PASTE(halves, SIZE)(&most, at8(t->most + i * EIGHT));
}
