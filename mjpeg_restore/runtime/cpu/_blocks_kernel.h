/* Blocks in vectors of LANES numbers; see `_blocks.h`. What follows it ends with `_kernel_end.h`. */

#define NAMED_2(name, lanes) name##_##lanes
#define NAMED_1(name, lanes) NAMED_2(name, lanes)
#define NAMED(name) NAMED_1(name, LANES)

#define Lanes NAMED(Lanes)
#define Whole NAMED(Whole)
#define Short NAMED(Short)
#define Block NAMED(Block)

/* GCC's and Clang's vector extension */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int16_t Short __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

/* Clamp to a range; NaN becomes the highest value */
static inline Lanes NAMED(clamp)(Lanes value, float low, float high)
{
  Lanes lowest = low - (Lanes){0}, highest = high - (Lanes){0};
#if LANES == 16
  return (Lanes)_mm512_max_ps((__m512)lowest, _mm512_min_ps((__m512)value, (__m512)highest));
#elif LANES == 8
  return (Lanes)_mm256_max_ps((__m256)lowest, _mm256_min_ps((__m256)value, (__m256)highest));
#else
  Whole below = value < lowest, inside = (value >= lowest) & (value <= highest);
  return (Lanes)(((Whole)lowest & below) | ((Whole)value & inside) | ((Whole)highest & ~(below | inside)));
#endif
}

#if LANES <= SIDE
#define VECTORS (SIDE / LANES) /* in a line of a block */
typedef Lanes Block[SIDE][VECTORS];

/* The inverse DCT of each column: even frequencies make symmetric samples, odd ones antisymmetric samples */
static inline void NAMED(columns_to_samples)(Block block)
{
  for (int v = 0; v < VECTORS; v++) {
    Lanes x0 = block[0][v], x1 = block[1][v], x2 = block[2][v], x3 = block[3][v];
    Lanes x4 = block[4][v], x5 = block[5][v], x6 = block[6][v], x7 = block[7][v];
    Lanes sum = C4 * (x0 + x4), difference = C4 * (x0 - x4), outer = C2 * x2 + C6 * x6, inner = C6 * x2 - C2 * x6;
    Lanes even[SIDE / 2] = {sum + outer, difference + inner, difference - inner, sum - outer};
    Lanes odd[SIDE / 2] = {C1 * x1 + C3 * x3 + C5 * x5 + C7 * x7, C3 * x1 - C7 * x3 - C1 * x5 - C5 * x7,
                           C5 * x1 - C1 * x3 + C7 * x5 + C3 * x7, C7 * x1 - C5 * x3 + C3 * x5 - C1 * x7};
    for (int i = 0; i < SIDE / 2; i++) {
      block[i][v] = even[i] + odd[i];
      block[SIDE - 1 - i][v] = even[i] - odd[i];
    }
  }
}

/* The forward DCT of each column */
static inline void NAMED(columns_to_frequencies)(Block block)
{
  for (int v = 0; v < VECTORS; v++) {
    Lanes s0 = block[0][v] + block[7][v], s1 = block[1][v] + block[6][v], s2 = block[2][v] + block[5][v];
    Lanes s3 = block[3][v] + block[4][v], d0 = block[0][v] - block[7][v], d1 = block[1][v] - block[6][v];
    Lanes d2 = block[2][v] - block[5][v], d3 = block[3][v] - block[4][v];
    Lanes outer = s0 - s3, inner = s1 - s2;
    block[0][v] = C4 * ((s0 + s3) + (s1 + s2));
    block[1][v] = C1 * d0 + C3 * d1 + C5 * d2 + C7 * d3;
    block[2][v] = C2 * outer + C6 * inner;
    block[3][v] = C3 * d0 - C7 * d1 - C1 * d2 - C5 * d3;
    block[4][v] = C4 * ((s0 + s3) - (s1 + s2));
    block[5][v] = C5 * d0 - C1 * d1 + C7 * d2 + C3 * d3;
    block[6][v] = C6 * outer - C2 * inner;
    block[7][v] = C7 * d0 - C5 * d1 + C3 * d2 - C1 * d3;
  }
}

/* Transpose a block: 4x4 parts in two steps of pairs, then exchange its off-diagonal quarters */
static inline void NAMED(transpose)(Block block)
{
  for (int top = 0; top < SIDE; top += SIDE / 2)
    for (int v = 0; v < VECTORS; v++) {
      Lanes *a = &block[top][v], *b = &block[top + 1][v], *c = &block[top + 2][v], *d = &block[top + 3][v];
#if LANES == 8
      Lanes ab = SHUFFLE(*a, *b, 0, 8, 1, 9, 4, 12, 5, 13), AB = SHUFFLE(*a, *b, 2, 10, 3, 11, 6, 14, 7, 15);
      Lanes cd = SHUFFLE(*c, *d, 0, 8, 1, 9, 4, 12, 5, 13), CD = SHUFFLE(*c, *d, 2, 10, 3, 11, 6, 14, 7, 15);
      *a = SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13);
      *b = SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
      *c = SHUFFLE(AB, CD, 0, 1, 8, 9, 4, 5, 12, 13);
      *d = SHUFFLE(AB, CD, 2, 3, 10, 11, 6, 7, 14, 15);
#else
      Lanes ab = SHUFFLE(*a, *b, 0, 4, 1, 5), AB = SHUFFLE(*a, *b, 2, 6, 3, 7);
      Lanes cd = SHUFFLE(*c, *d, 0, 4, 1, 5), CD = SHUFFLE(*c, *d, 2, 6, 3, 7);
      *a = SHUFFLE(ab, cd, 0, 1, 4, 5);
      *b = SHUFFLE(ab, cd, 2, 3, 6, 7);
      *c = SHUFFLE(AB, CD, 0, 1, 4, 5);
      *d = SHUFFLE(AB, CD, 2, 3, 6, 7);
#endif
    }
  for (int i = 0; i < SIDE / 2; i++) {
    Lanes *upper = block[i], *lower = block[i + SIDE / 2], kept = *lower;
#if LANES == 8
    *lower = SHUFFLE(*upper, kept, 4, 5, 6, 7, 12, 13, 14, 15);
    *upper = SHUFFLE(*upper, kept, 0, 1, 2, 3, 8, 9, 10, 11);
#else
    *lower = upper[1];
    upper[1] = kept;
#endif
  }
}

/* Write a block of samples, stored by columns as `block[x][y]`, as float32 times a scale */
static inline void NAMED(write_samples)(Block block, float *out, size_t stride, float scale)
{
  NAMED(transpose)(block);
  for (int y = 0; y < SIDE; y++)
    for (int v = 0; v < VECTORS; v++)
      *(Lanes *)(out + y * stride + v * LANES) = block[y][v] * scale;
}

/* Where a column is in the word that it makes of a line with three others */
#define SHIFT(x) ((IS_LITTLE_ENDIAN ? (x) % 4 : 3 - (x) % 4) * 8)

/* Write eight columns of bytes, LANES lines of them */
static inline void NAMED(write_words)(const Whole *words, uint8_t *out, size_t stride)
{
  for (int y = 0; y < LANES; y++)
    for (int half = 0; half < 2; half++) {
      int32_t word = words[half][y];
      memcpy(out + y * stride + half * 4, &word, sizeof(word));
    }
}

/* A sample of the same block as a byte: from its bits, to the nearest, ties to even */
static inline Whole NAMED(byte_of)(Lanes sample)
{
  return (Whole)(NAMED(clamp)(sample + 128.0f, 0.0f, 255.0f) + 0x1.8p23f) - 0x4b400000;
}

/* Write the same block as bytes: four columns make a word of each line */
static inline void NAMED(write_bytes)(Block block, uint8_t *out, size_t stride)
{
  for (int v = 0; v < VECTORS; v++) {
    Whole words[2] = {{0}};
    for (int x = 0; x < SIDE; x++)
      words[x / 4] |= NAMED(byte_of)(block[x][v]) << SHIFT(x);
    NAMED(write_words)(words, out + v * LANES * stride, stride);
  }
}

/* Write the same block as bytes of which each stays what it was before if it is no farther from its sample than `most`.
   The block becomes what that adds to its samples. Returns whether any byte is not the nearest one. */
static inline int NAMED(write_held)(Block block, const uint8_t *before, float most, uint8_t *out, size_t stride)
{
  Whole any = {0};

  for (int v = 0; v < VECTORS; v++) {
    Whole words[2] = {{0}};
    int32_t earlier[2][LANES];
    for (int y = 0; y < LANES; y++)
      for (int half = 0; half < 2; half++)
        memcpy(&earlier[half][y], before + (v * LANES + y) * stride + half * 4, sizeof(int32_t));
    for (int x = 0; x < SIDE; x++) {
      Whole was = *(const Whole *)earlier[x / 4] >> SHIFT(x) & 255, nearest = NAMED(byte_of)(block[x][v]);
      Lanes added = __builtin_convertvector(was, Lanes) - (block[x][v] + 128.0f);
      Whole is_held = (added <= most) & (added >= -most), whole = (was & is_held) | (nearest & ~is_held);
      any |= whole ^ nearest;
      block[x][v] = __builtin_convertvector(whole, Lanes) - (block[x][v] + 128.0f);
      words[x / 4] |= whole << SHIFT(x);
    }
    NAMED(write_words)(words, out + v * LANES * stride, stride);
  }
  for (int lane = 1; lane < LANES; lane++)
    any[0] |= any[lane];
  return any[0] != 0;
}

/* Add the DCT of the residual, clamped to the cell, to a block's coefficients, in units of the step */
static inline void NAMED(add_residual)(const Component *c, const float *residual, Block block)
{
  Block offsets;

  for (int y = 0; y < SIDE; y++)
    memcpy(offsets[y], residual + y * SIDE * c->wide, sizeof(offsets[y]));
  NAMED(columns_to_frequencies)(offsets);
  NAMED(transpose)(offsets);
  NAMED(columns_to_frequencies)(offsets);
  NAMED(transpose)(offsets);
  for (int y = 0; y < SIDE; y++)
    for (int v = 0; v < VECTORS; v++) {
      Lanes steps = offsets[y][v] * *(const Lanes *)(c->inverse + y * SIDE + v * LANES);
      block[y][v] += NAMED(clamp)(steps, -c->cell, c->cell);
    }
}
#endif
