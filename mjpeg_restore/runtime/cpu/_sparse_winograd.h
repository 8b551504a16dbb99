/* Convolutions of 3x3 numbers by squares of 4x4 outputs: F(4x4, 3x3) of Lavin and Gray 2016, "Fast algorithms for
   convolutional neural networks", section 4.3, which multiplies 36 numbers in place of 144.  `_sparse_kernel.h` includes it. */

/* Six numbers, each `step` behind the one before, by the transposed B of the paper */
INLINE void NAMED(transform_input)(const NUMBERS *d, const int step, NUMBERS *to)
{
  NUMBERS two = ALL(2.0f), four = ALL(4.0f), five = ALL(5.0f);
  NUMBERS one = MULTIPLY_FROM(four, d[2 * step], d[4 * step]), other = MULTIPLY_FROM(four, d[step], d[3 * step]);

  to[0] = MULTIPLY_ADD(four, d[0], MULTIPLY_FROM(five, d[2 * step], d[4 * step]));
  to[1] = ADD(one, other), to[2] = SUBTRACT(one, other);
  one = SUBTRACT(d[4 * step], d[2 * step]), other = SUBTRACT(d[3 * step], d[step]);
  to[3] = MULTIPLY_ADD(two, other, one), to[4] = MULTIPLY_FROM(two, other, one);
  to[5] = MULTIPLY_ADD(four, d[step], MULTIPLY_FROM(five, d[3 * step], d[5 * step]));
}

/* Six sums, each `step` behind the one before, by its transposed A: four outputs */
INLINE void NAMED(transform_output)(const NUMBERS *m, const int step, NUMBERS *to)
{
  NUMBERS one = ADD(m[step], m[2 * step]), other = SUBTRACT(m[step], m[2 * step]);
  NUMBERS more = ADD(m[3 * step], m[4 * step]), less = SUBTRACT(m[3 * step], m[4 * step]);

  to[0] = ADD(ADD(m[0], one), more);
  to[1] = MULTIPLY_ADD(ALL(2.0f), less, other);
  to[2] = MULTIPLY_ADD(ALL(4.0f), more, one);
  to[3] = ADD(MULTIPLY_ADD(ALL(8.0f), less, other), m[5 * step]);
}

/* What some squares side by side are computed of, transformed: [POINTS, POINTS, MOST_SQUARES, channels] */
static void NAMED(enter_squares)(const Layer *l, Py_ssize_t squares, Py_ssize_t y, Py_ssize_t x)
{
  Py_ssize_t line = (l->input_wide + 2 * BORDER) * l->channels, next = MOST_SQUARES * l->channels;

  for (Py_ssize_t square = 0; square < squares; square++)
    for (Py_ssize_t channel = 0; channel < l->channels; channel += LANES) {
      const float *from = l->numbers + y * line + (x + SQUARE * square) * l->channels + channel;
      float *to = squares_of(l) + square * l->channels + channel;
      NUMBERS half[POINTS][POINTS];
      for (int column = 0; column < POINTS; column++) {
        NUMBERS numbers[POINTS];
        for (int row = 0; row < POINTS; row++)
          numbers[row] = LOAD(from + row * line + column * l->channels);
        NAMED(transform_input)(numbers, 1, half[column]);
      }
      for (int row = 0; row < POINTS; row++) {
        NUMBERS whole[POINTS];
        NAMED(transform_input)(&half[0][row], POINTS, whole);
        for (int column = 0; column < POINTS; column++, to += next)
          STORE(to, whole[column]);
      }
    }
}

/* Multiply what enters some squares by the weights of one group of outputs, or two: [groups, POINTS, POINTS, MOST_SQUARES, LANES] */
INLINE void NAMED(multiply_squares)(const Layer *l, const int groups, const int places, Py_ssize_t group, Py_ssize_t first)
{
  Py_ssize_t size = POINTS * POINTS * l->channels * LANES, next = MOST_SQUARES * l->channels;
  const float *weights = (const float *)l->weights + group * size, *from = squares_of(l) + first * l->channels;
  float *to = squares_of(l) + POINTS * POINTS * next + first * LANES;

  for (int side = 0; side < POINTS * POINTS; side++, from += next, to += MOST_SQUARES * LANES) {
    NUMBERS sums[2][8], one[2];
    EACH_GROUP EACH sums[g][p] = ALL(0.0f);
    for (Py_ssize_t channel = 0; channel < l->channels; channel++, weights += LANES) {
      EACH_GROUP one[g] = LOAD(weights + g * size);
      EACH {
        NUMBERS number = ALL(from[p * l->channels + channel]);
        EACH_GROUP sums[g][p] = MULTIPLY_ADD(number, one[g], sums[g][p]);
      }
    }
    EACH_GROUP EACH STORE(to + g * POINTS * POINTS * MOST_SQUARES * LANES + p * LANES, sums[g][p]);
  }
}

/* Make the outputs of a group, of some squares side by side, of what was multiplied */
static void NAMED(leave_squares)(const Layer *l, Py_ssize_t squares, const float *sums, Py_ssize_t group, Py_ssize_t y, Py_ssize_t x)
{
  NUMBERS bias = LOAD(l->bias + NAMED(first_of)(l, group));

  for (Py_ssize_t square = 0; square < squares; square++) {
    NUMBERS half[POINTS][SQUARE];
    for (int row = 0; row < POINTS; row++) {
      NUMBERS numbers[POINTS];
      for (int column = 0; column < POINTS; column++)
        numbers[column] = LOAD(sums + ((row * POINTS + column) * MOST_SQUARES + square) * LANES);
      NAMED(transform_output)(numbers, 1, half[row]);
    }
    NUMBERS whole[SQUARE][8];
    for (int column = 0; column < SQUARE; column++) {
      NUMBERS numbers[SQUARE];
      NAMED(transform_output)(&half[0][column], SQUARE, numbers);
      for (int row = 0; row < SQUARE; row++)
        whole[row][column] = ADD(numbers[row], bias);
    }
    for (int row = 0; row < SQUARE; row++)
      NAMED(finish)(l, 1, SQUARE, &whole[row], group, y + row, x + SQUARE * square);
  }
}

/* One group of channels, or two, of some squares side by side */
INLINE void NAMED(squares)(const Layer *l, const int groups, Py_ssize_t group, Py_ssize_t squares, Py_ssize_t y, Py_ssize_t x)
{
  const int most = LANES == 16 || groups == 1 ? 8 : 4;
  const float *sums = squares_of(l) + POINTS * POINTS * MOST_SQUARES * l->channels;
  Py_ssize_t at = 0;

  for (; at + most <= squares; at += most)
    NAMED(multiply_squares)(l, groups, most, group, at);
  if (most > 4 && at + 4 <= squares)
    NAMED(multiply_squares)(l, groups, 4, group, at), at += 4;
  if (at + 2 <= squares)
    NAMED(multiply_squares)(l, groups, 2, group, at), at += 2;
  if (at < squares)
    NAMED(multiply_squares)(l, groups, 1, group, at);
  for (int g = 0; g < groups; g++)
    NAMED(leave_squares)(l, squares, sums + g * POINTS * POINTS * MOST_SQUARES * LANES, group + g, y, x);
}

static void NAMED(convolve_squares)(const Layer *l, Box box)
{
  for (Py_ssize_t y = box.y; y < box.y + box.high; y += SQUARE) {
    Py_ssize_t group = 0, squares = box.wide / SQUARE;
    NAMED(enter_squares)(l, squares, y, box.x);
    for (; (group + 1) * LANES < l->outputs; group += 2)
      NAMED(squares)(l, 2, group, squares, y, box.x);
    if (group * LANES < l->outputs)
      NAMED(squares)(l, 1, group, squares, y, box.x);
  }
}
