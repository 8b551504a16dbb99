/* Convolutions by products of tiles (AMX): of 16 places, and of 16 output channels, by 64 bytes of taps; `_sparse_kernel.h`
   includes it. */

#define SIDE 16 /* places of a tile, and channels of another */

/* Sixteen numbers of a line of samples as two bfloat16 each, of which they are the sum to 16 digits: the upper halves first */
INLINE __m512i halves_of(const float *from, __mmask16 some)
{
  __m512 number = _mm512_maskz_loadu_ps(some, from);
  __m256i upper = (__m256i)_mm512_cvtneps_pbh(number);
  __m512 rest = _mm512_sub_ps(number, (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16));

  return _mm512_inserti64x4(_mm512_castsi256_si512(upper), (__m256i)_mm512_cvtneps_pbh(rest), 1);
}

/* Write the numbers of planes that a box is computed of, halved.  Two by two samples of all planes become a place: so a kernel
   with a stride of 2 takes whole places, as tiles are loaded. */
static void halve(const Layer *l, Box box)
{
  Py_ssize_t line = l->input_wide + 2 * BORDER, places = box.wide + l->kernel / 2 - 1, lines = 2 * l->planes;
  const float *from = l->numbers + (2 * box.y + BORDER - l->padding) * line + 2 * box.x + BORDER - l->padding;
  uint16_t *row = l->pairs;

  for (Py_ssize_t y = 0; y < box.high + l->kernel / 2 - 1; y++, from += 2 * line, row += l->pairs_line)
    for (Py_ssize_t x = 0; x < places; x += 8) {
      __mmask16 some = places - x < 8 ? (__mmask16)((1 << 2 * (places - x)) - 1) : (__mmask16)0xffff;
      for (Py_ssize_t first = 0; first < lines; first += 4) { /* two planes, of two lines each */
        uint16_t *to = row + x * 2 * l->half + 2 * first;
        __m512i one[4] = {{0}}, two[4];
        for (Py_ssize_t k = 0; k < 4 && first + k < lines; k++) {
          Py_ssize_t plane = (first + k) / 2 * (l->input_high + 2 * BORDER);
          one[k] = halves_of(from + (plane + k % 2) * line + 2 * x, some);
        }
        /* Of each line two samples: from lines of four places in a quarter of a vector to places of four lines */
        two[0] = _mm512_unpacklo_epi32(one[0], one[1]), two[1] = _mm512_unpackhi_epi32(one[0], one[1]);
        two[2] = _mm512_unpacklo_epi32(one[2], one[3]), two[3] = _mm512_unpackhi_epi32(one[2], one[3]);
        one[0] = _mm512_unpacklo_epi64(two[0], two[2]), one[1] = _mm512_unpackhi_epi64(two[0], two[2]);
        one[2] = _mm512_unpacklo_epi64(two[1], two[3]), one[3] = _mm512_unpackhi_epi64(two[1], two[3]);
        for (int k = 0; k < 4; k++, to += 2 * l->half) {
          _mm_storeu_si128((__m128i *)to, _mm512_castsi512_si128(one[k]));
          _mm_storeu_si128((__m128i *)(to + 8 * l->half), _mm512_extracti32x4_epi32(one[k], 1));
          _mm_storeu_si128((__m128i *)(to + l->half), _mm512_extracti32x4_epi32(one[k], 2));
          _mm_storeu_si128((__m128i *)(to + 9 * l->half), _mm512_extracti32x4_epi32(one[k], 3));
        }
      }
    }
}

/* Where the taps of some places side by side are */
typedef struct {
  const uint8_t *first;  /* of the first place's first row of taps */
  Py_ssize_t step, line; /* bytes from a place to the next, and from a row to the next */
} Taps;

/* Copy the taps of a row of a box: as rows of whole tiles, or if there is but one row, all in that.  Zeros are behind them
   already. */
static Taps gather(const Layer *l, Taps source, Box box)
{
  Py_ssize_t size = l->bytes ? 1 : sizeof *l->pairs, taps = l->kernel * l->channels * size, whole = l->tap_rows * l->tap_row;
  uint8_t *to = l->gathered;

  for (Py_ssize_t plane = 0; plane < l->planes; plane++)
    for (Py_ssize_t row = 0; row < l->kernel; row++, to += l->tap_rows > 1 ? l->tap_row : taps) {
      const uint8_t *from = source.first + (plane * pairs_high(l, box.high) + row) * source.line;
      if (taps == 8)
        for (Py_ssize_t p = 0; p < box.wide; p++)
          memcpy(to + p * whole, from + p * source.step, 8); /* an instruction */
      else
        for (Py_ssize_t p = 0; p < box.wide; p++)
          memcpy(to + p * whole, from + p * source.step, (size_t)taps);
    }
  return (Taps){l->gathered, whole, l->tap_row};
}

/* The taps of a row of a box: they are copied where a tile would read beyond the input, or would be nearly empty */
static Taps find_taps(const Layer *l, Box box, Py_ssize_t y)
{
  Py_ssize_t size = l->bytes ? 1 : sizeof *l->pairs, step = l->stride_across * l->channels * size;
  if (l->half)
    return (Taps){(const uint8_t *)(l->pairs + (y - box.y) * l->pairs_line), 2 * l->half * size, l->pairs_line * size};
  Taps found = {(const uint8_t *)(l->pairs + (y - box.y) * l->stride_down * l->pairs_line), step, l->pairs_line * size};

  if (l->bytes) {
    Py_ssize_t line = (l->input_wide + 2 * BORDER) * l->channels, places = box.wide > SIDE ? MOST_WIDE : SIDE;
    Py_ssize_t first = (y * l->stride_down + BORDER - l->padding) * line + box.x * step + (BORDER - l->padding) * l->channels;
    Py_ssize_t behind = first + (l->tap_rows - 1) * line + (places - 1) * step + l->tap_row;
    found = (Taps){l->bytes + first, step, line};
    if (behind <= (l->input_high + 2 * BORDER) * line)
      return found;
  } else if (l->channels > 1 && l->planes == 1)
    return found;
  return gather(l, found, box);
}

/* Multiply the taps of one tile of places, or two, by the weights of one group of outputs, or two.  Sums of places and
   groups: [0], those of the second group [1], those of the second tile of places [2] and [3]. */
INLINE void multiply(const Layer *l, const int bytes, const int places, const int groups, Py_ssize_t group, Taps taps,
                     int32_t (*sums)[SIDE * SIDE])
{
  Py_ssize_t whole = SIDE * l->tap_rows * l->tap_row, lines = l->half ? l->tap_rows / 2 : l->tap_rows;
  const uint8_t *weights = (const uint8_t *)l->weights + group * whole;

#define ADD_PRODUCTS(sums, taps, weights) \
  do { \
    if (bytes) \
      _tile_dpbusd(sums, taps, weights); \
    else \
      _tile_dpbf16ps(sums, taps, weights); \
  } while (0)

  __asm__ volatile("" ::: "memory"); /* a compiler may not know that tiles are loaded from memory */
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (Py_ssize_t row = 0; row < l->tap_rows; row++)
    for (Py_ssize_t at = 0; at < l->tap_row; at += TILE_ROW, weights += SIDE * TILE_ROW) {
      const uint8_t *from = taps.first + (row < lines ? row : row - lines) * taps.line + at; /* halved weights: twice */
      _tile_loadd(4, from, taps.step);
      _tile_loadd(6, weights, TILE_ROW);
      ADD_PRODUCTS(0, 4, 6);
      if (groups == 2) {
        _tile_loadd(7, weights + whole, TILE_ROW);
        ADD_PRODUCTS(1, 4, 7);
      }
      if (places > SIDE) {
        _tile_loadd(5, from + SIDE * taps.step, taps.step);
        ADD_PRODUCTS(2, 5, 6);
        if (groups == 2)
          ADD_PRODUCTS(3, 5, 7);
      }
    }
#undef ADD_PRODUCTS
  _tile_stored(0, sums[0], TILE_ROW);
  if (groups == 2)
    _tile_stored(1, sums[1], TILE_ROW);
  if (places > SIDE) {
    _tile_stored(2, sums[2], TILE_ROW);
    if (groups == 2)
      _tile_stored(3, sums[3], TILE_ROW);
  }
}

/* Make some places' outputs of a group, or of two, of their sums */
INLINE void finish_places(const Layer *l, const int bytes, const int groups, const int places, const int32_t *from,
                          Py_ssize_t group, Py_ssize_t y, Py_ssize_t x)
{
  NUMBERS sums[2][8];

  EACH_GROUP {
    Py_ssize_t first = NAMED(first_of)(l, group + g);
    const int32_t *whole = from + g * SIDE * SIDE;
    NUMBERS bias = LOAD(l->bias + first);
    if (bytes) {
      NUMBERS scale = LOAD(l->scale + first);
      EACH sums[g][p] = MULTIPLY_ADD(NUMBER_OF(LOAD_WHOLE(whole + p * SIDE)), scale, bias);
    } else
      EACH sums[g][p] = ADD(LOAD((const float *)whole + p * SIDE), bias);
  }
  NAMED(finish)(l, groups, places, sums, group, y, x);
}

/* Compute a row of a box, of one group of outputs, or two */
INLINE void compute(const Layer *l, const int bytes, const int groups, Py_ssize_t group, Taps taps, Box box, Py_ssize_t y)
{
  int32_t sums[4][SIDE * SIDE] __attribute__((aligned(64)));
  Py_ssize_t p = 0;

  if (box.wide > SIDE)
    multiply(l, bytes, MOST_WIDE, groups, group, taps, sums);
  else
    multiply(l, bytes, SIDE, groups, group, taps, sums);
  for (; p + 8 <= box.wide; p += 8)
    finish_places(l, bytes, groups, 8, sums[p / SIDE * 2] + p % SIDE * SIDE, group, y, box.x + p);
  for (; p < box.wide; p++)
    finish_places(l, bytes, groups, 1, sums[p / SIDE * 2] + p % SIDE * SIDE, group, y, box.x + p);
}

INLINE void compute_box(const Layer *l, const int bytes, Box box)
{
  for (Py_ssize_t y = box.y; y < box.y + box.high; y++) {
    Taps taps = find_taps(l, box, y);
    Py_ssize_t group = 0;
    for (; (group + 1) * LANES < l->outputs; group += 2)
      compute(l, bytes, 2, group, taps, box, y);
    if (group * LANES < l->outputs)
      compute(l, bytes, 1, group, taps, box, y);
  }
}

static void convolve_tiles(const Layer *l, Box box)
{
  if (l->half)
    halve(l, box);
  else if (!l->bytes)
    NAMED(narrow)(l, box);
  if (l->bytes)
    compute_box(l, 1, box);
  else
    compute_box(l, 0, box);
}

#define OF_ALL(number) {number, number, number, number, number, number, number, number}

/* Eight tiles as they are configured: the palette, bytes of their rows, and rows.  A constant, as compilers may think that
   the instruction reads only the first of it. */
static const struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tiles = {.palette = 1, .row_bytes = OF_ALL(TILE_ROW), .rows = OF_ALL(SIDE)};
#undef OF_ALL

/* Have the registers hold tiles, on this thread */
static void begin_tiles(void) { _tile_loadconfig(&tiles); }

static void end_tiles(void) { _tile_release(); }

#undef SIDE
