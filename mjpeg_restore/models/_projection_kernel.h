/* `project_rows` for one kind of CPU: `_projection.c` includes this once for each, with LANES numbers in a vector. */

#define NAMED_2(name, lanes) name##_##lanes
#define NAMED_1(name, lanes) NAMED_2(name, lanes)
#define NAMED(name) NAMED_1(name, LANES)

#define Lanes NAMED(Lanes)
#define Whole NAMED(Whole)
#define Short NAMED(Short)
#define Bytes NAMED(Bytes)
#define VECTORS (SIDE / LANES) /* of a line of a block */

/* GCC's and Clang's vector extension */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int16_t Short __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

/* out = one * other */
static inline void NAMED(multiply)(const Block one, const Block other, Block out)
{
  for (int i = 0; i < SIDE; i++) {
    Lanes sum[VECTORS];
    for (int v = 0; v < VECTORS; v++)
      sum[v] = one[i][0] * *(const Lanes *)&other[0][v * LANES];
    for (int k = 1; k < SIDE; k++)
      for (int v = 0; v < VECTORS; v++)
        sum[v] += one[i][k] * *(const Lanes *)&other[k][v * LANES];
    for (int v = 0; v < VECTORS; v++)
      *(Lanes *)&out[i][v * LANES] = sum[v];
  }
}

static inline void NAMED(clamp)(Lanes *value, float low, float high)
{
  Lanes lowest = low - (Lanes){0}, highest = high - (Lanes){0};
  Whole below = *value < lowest, above = *value > highest;

  *value = (Lanes)(((Whole)lowest & below) | ((Whole)highest & above) | ((Whole)*value & ~(below | above)));
}

static inline void NAMED(project_block)(const Component *c, const int16_t *coefficients, const float *lines,
                                        uint8_t *out)
{
  Block block, half;
  size_t stride = SIDE * c->wide;

  for (int y = 0; y < SIDE; y++)
    memcpy(block[y], lines + y * stride, sizeof(block[y]));
  NAMED(multiply)(FORWARD, block, half);
  NAMED(multiply)(half, INVERSE, block);
  for (int k = 0; k < SIDE * SIDE; k += LANES) {
    Lanes step = *(const Lanes *)(c->table + k), *place = (Lanes *)&block[k / SIDE][k % SIDE], inside = *place / step;
    NAMED(clamp)(&inside, -c->cell, c->cell);
    *place = (__builtin_convertvector(*(const Short *)(coefficients + k), Lanes) + inside) * step;
  }
  NAMED(multiply)(INVERSE, block, half);
  NAMED(multiply)(half, FORWARD, block);
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x += LANES) {
      Lanes sample = *(const Lanes *)&block[y][x] + 128.0f;
      NAMED(clamp)(&sample, 0.0f, 255.0f);
      sample = (sample + 0x1.8p23f) - 0x1.8p23f; /* to the nearest, ties to even */
      *(Bytes *)(out + y * stride + x) = __builtin_convertvector(__builtin_convertvector(sample, Whole), Bytes);
    }
}

static void NAMED(project_rows)(const Component *c, float *lines)
{
  for (size_t row = 0; row < c->high; row++) {
    interleave(c, row, lines);
    for (size_t column = 0; column < c->wide; column++)
      NAMED(project_block)(c, c->coefficients + (row * c->wide + column) * SIDE * SIDE, lines + column * SIDE,
                           c->plane + (row * SIDE * c->wide + column) * SIDE);
  }
}

#undef NAMED
#undef NAMED_1
#undef NAMED_2
#undef Lanes
#undef Whole
#undef Short
#undef Bytes
#undef VECTORS
