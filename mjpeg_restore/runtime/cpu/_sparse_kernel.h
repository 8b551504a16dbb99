/* Convolutions with vectors of LANES output channels, for the CPUs of a KIND; see `_sparse.c`. */

#define NAMED_2(name, kind) name##_##kind
#define NAMED_1(name, kind) NAMED_2(name, kind)
#define NAMED(name) NAMED_1(name, KIND)
#define INLINE static inline __attribute__((always_inline))
#define EACH _Pragma("GCC unroll 8") for (int p = 0; p < places; p++)
#define EACH_GROUP _Pragma("GCC unroll 2") for (int g = 0; g < groups; g++)

#if LANES == 16
#define NUMBERS __m512
#define WHOLES __m512i
#define ALL(number) _mm512_set1_ps(number)
#define ALL_WHOLE(number) _mm512_set1_epi32(number)
#define LOAD(from) _mm512_loadu_ps(from)
#define LOAD_WHOLE(from) _mm512_loadu_si512(from)
#define STORE(to, number) _mm512_storeu_ps(to, number)
#define ADD _mm512_add_ps
#define LARGER _mm512_max_ps
#define SMALLER _mm512_min_ps
#define SUBTRACT _mm512_sub_ps
#define MULTIPLY_ADD _mm512_fmadd_ps
#define MULTIPLY_FROM _mm512_fnmadd_ps /* what is subtracted from the last one */
#define NUMBER_OF _mm512_cvtepi32_ps
#define TO_WHOLE _mm512_cvtps_epi32 /* to the nearest, ties to even */
#define STORE_HALVES(to, number) _mm256_storeu_si256((__m256i *)(to), _mm512_cvtps_ph(number, _MM_FROUND_TO_NEAREST_INT))
#else
#define NUMBERS __m256
#define WHOLES __m256i
#define ALL(number) _mm256_set1_ps(number)
#define ALL_WHOLE(number) _mm256_set1_epi32(number)
#define LOAD(from) _mm256_loadu_ps(from)
#define LOAD_WHOLE(from) _mm256_loadu_si256((const __m256i *)(from))
#define STORE(to, number) _mm256_storeu_ps(to, number)
#define ADD _mm256_add_ps
#define LARGER _mm256_max_ps
#define SMALLER _mm256_min_ps
#define SUBTRACT _mm256_sub_ps
#define MULTIPLY_ADD _mm256_fmadd_ps
#define MULTIPLY_FROM _mm256_fnmadd_ps
#define NUMBER_OF _mm256_cvtepi32_ps
#define TO_WHOLE _mm256_cvtps_epi32
#define STORE_HALVES(to, number) _mm_storeu_si128((__m128i *)(to), _mm256_cvtps_ph(number, _MM_FROUND_TO_NEAREST_INT))
#endif

/* Add the products of four unsigned and four signed bytes each.  Two products of an int8 layer fit into 16 bits: `PAIR` in
   `models/int8.py`.  What the empty instructions say is that a sum stays in its register: else GCC 12 copies each of many
   twice, which takes half as long again. */
INLINE WHOLES NAMED(dot)(WHOLES sum, WHOLES bytes, WHOLES weights)
{
#if LANES == 16
  sum = _mm512_dpbusd_epi32(sum, bytes, weights);
  __asm__("" : "+v"(sum));
  return sum;
#elif HAS_FOURS
  sum = _mm256_dpbusd_avx_epi32(sum, bytes, weights);
  __asm__("" : "+x"(sum));
  return sum;
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, weights), _mm256_set1_epi16(1)));
#endif
}

/* Write the numbers as bfloat16 that a box is computed of */
static void NAMED(narrow)(const Layer *l, Box box)
{
#if LANES == 16 && HAS_PAIRS
  Py_ssize_t line = (l->input_wide + 2 * BORDER) * l->channels, count = pairs_wide(l, box.wide);
  const float *from = l->numbers + (box.y * l->stride_down + BORDER - l->padding) * line +
                      (box.x * l->stride_across + BORDER - l->padding) * l->channels;
  uint16_t *to = l->pairs;

  for (Py_ssize_t plane = 0; plane < l->planes; plane++, from += (l->input_high + 2 * BORDER) * line)
    for (Py_ssize_t row = 0; row < pairs_high(l, box.high); row++, to += l->pairs_line) {
      for (Py_ssize_t i = 0; i < count; i += 16) {
        __mmask16 some = count - i < 16 ? (__mmask16)((1 << (count - i)) - 1) : (__mmask16)0xffff;
        __m256bh narrowed = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from + row * line + i));
        _mm256_mask_storeu_epi16(to + i, some, (__m256i)narrowed);
      }
      if (l->gathered) /* tiles take these with weights of zero */
        memset(to + count, 0, TILE_ROW);
    }
#else
  (void)l, (void)box;
#endif
}

/* A number as a byte: what is more than 255 becomes that, and what is less than 0 does so when it is packed */
INLINE WHOLES NAMED(rounded)(const Layer *l, NUMBERS number)
{
  return TO_WHOLE(SMALLER(MULTIPLY_ADD(number, ALL(l->inverse), ALL(l->zero)), ALL(255.0f)));
}

/* Write bytes of one place */
INLINE void NAMED(store_bytes)(uint8_t *to, WHOLES whole)
{
#if LANES == 16
  _mm_storeu_si128((__m128i *)to, _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, ALL_WHOLE(0))));
#else
  __m128i shorts = _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(shorts, shorts));
#endif
}

#if LANES == 16
/* Write bytes of two groups side by side, of two places that are so far apart */
INLINE void NAMED(store_pairs)(uint8_t *to, Py_ssize_t next, WHOLES one, WHOLES beside, WHOLES other, WHOLES beside_other)
{
  /* Both packs go by quarters of a vector: each ends up with four bytes of each of the four */
  WHOLES four = _mm512_packus_epi16(_mm512_packs_epi32(one, beside), _mm512_packs_epi32(other, beside_other));
  WHOLES order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);

  four = _mm512_permutexvar_epi32(order, four);
  _mm256_storeu_si256((__m256i *)to, _mm512_castsi512_si256(four));
  _mm256_storeu_si256((__m256i *)(to + next), _mm512_extracti64x4_epi64(four, 1));
}
#endif

/* The first output of a group: the last group ends with the last output */
INLINE Py_ssize_t NAMED(first_of)(const Layer *l, Py_ssize_t group)
{
  return (group + 1) * LANES < l->outputs ? group * LANES : l->outputs - LANES;
}

/* Make the outputs of a group, or of two, of what was summed up at some places side by side, of which x is the first */
INLINE void NAMED(finish)(const Layer *l, const int groups, const int places, NUMBERS (*sums)[8], Py_ssize_t group,
                          Py_ssize_t y, Py_ssize_t x)
{
  Py_ssize_t wide = l->spread * l->region.wide + 2 * BORDER, next = l->spread * l->outputs;
  Py_ssize_t start = ((l->spread * y + l->row + BORDER) * wide + l->spread * x + l->column + BORDER) * l->outputs;

  EACH_GROUP {
    Py_ssize_t first = NAMED(first_of)(l, group + g), at = start + first;
    if (l->rectify == 2)
      EACH sums[g][p] = LARGER(sums[g][p], ALL(0.0f));
    if (l->added)
      EACH sums[g][p] = ADD(sums[g][p], LOAD(l->added + at + p * next));
    if (l->also)
      EACH sums[g][p] = ADD(sums[g][p], LOAD(l->also + at + p * next));
    if (l->rectify == 1)
      EACH sums[g][p] = LARGER(sums[g][p], ALL(0.0f));
    if (l->sums)
      EACH STORE(l->sums + at + p * next, sums[g][p]);
    if (l->halves)
      EACH STORE_HALVES(l->halves + (y * l->region.wide + x + p) * l->outputs + first, sums[g][p]);
  }
  if (l->rounded) {
#if LANES == 16
    if (groups == 2 && places % 2 == 0 && (group + 2) * LANES <= l->outputs) { /* side by side */
      uint8_t *to = l->rounded + start + group * LANES;
      _Pragma("GCC unroll 4") for (int p = 0; p < places; p += 2)
        NAMED(store_pairs)(to + p * next, next, NAMED(rounded)(l, sums[0][p]), NAMED(rounded)(l, sums[1][p]),
                           NAMED(rounded)(l, sums[0][p + 1]), NAMED(rounded)(l, sums[1][p + 1]));
      return;
    }
#endif
    EACH_GROUP EACH
      NAMED(store_bytes)(l->rounded + start + NAMED(first_of)(l, group + g) + p * next, NAMED(rounded)(l, sums[g][p]));
  }
}

/* One group of LANES channels, or two, of some places of a box side by side, of which x is the first */
INLINE void NAMED(group)(const Layer *l, const int groups, const int places, Py_ssize_t group, Box box, Py_ssize_t y, Py_ssize_t x)
{
  NUMBERS sums[2][8];
  Py_ssize_t line = (l->input_wide + 2 * BORDER) * l->channels, step = l->stride_across * l->channels;
  Py_ssize_t start = (y * l->stride_down + BORDER - l->padding) * line + (x * l->stride_across + BORDER - l->padding) * l->channels;
  Py_ssize_t taps = l->kernel * l->channels, size = l->planes * l->kernel * taps * LANES; /* weights of a group */

  (void)box; /* pairs are of it */
  if (l->bytes) {
    const int8_t *weights = (const int8_t *)l->weights + group * size;
    WHOLES whole[2][8], four[2];
    EACH_GROUP EACH whole[g][p] = ALL_WHOLE(0);
    for (Py_ssize_t k = 0; k < l->kernel; k++) {
      const uint8_t *from = l->bytes + start + k * line;
      for (Py_ssize_t tap = 0; tap < taps; tap += 4, weights += 4 * LANES) {
        EACH_GROUP four[g] = LOAD_WHOLE(weights + g * size);
        EACH {
          int32_t bytes;
          memcpy(&bytes, from + p * step + tap, 4);
          EACH_GROUP whole[g][p] = NAMED(dot)(whole[g][p], ALL_WHOLE(bytes), four[g]);
        }
      }
    }
    EACH_GROUP {
      NUMBERS scale = LOAD(l->scale + NAMED(first_of)(l, group + g)), bias = LOAD(l->bias + NAMED(first_of)(l, group + g));
      EACH sums[g][p] = MULTIPLY_ADD(NUMBER_OF(whole[g][p]), scale, bias);
    }
#if LANES == 16 && HAS_PAIRS
  } else if (l->pairs) {
    const uint16_t *weights = (const uint16_t *)l->weights + group * size;
    const uint16_t *from = l->pairs + (y - box.y) * l->stride_down * l->pairs_line + (x - box.x) * step;
    __m512bh two[2];
    EACH_GROUP EACH sums[g][p] = LOAD(l->bias + NAMED(first_of)(l, group + g));
    for (Py_ssize_t plane = 0; plane < l->planes; plane++, from += pairs_high(l, box.high) * l->pairs_line)
      for (Py_ssize_t k = 0; k < l->kernel; k++)
        for (Py_ssize_t tap = 0; tap < taps; tap += 2, weights += 2 * LANES) {
          EACH_GROUP two[g] = (__m512bh)LOAD_WHOLE(weights + g * size);
          EACH {
            int32_t pair;
            memcpy(&pair, from + k * l->pairs_line + p * step + tap, 4);
            EACH_GROUP sums[g][p] = _mm512_dpbf16_ps(sums[g][p], (__m512bh)ALL_WHOLE(pair), two[g]);
          }
        }
#endif
  } else {
    const float *weights = (const float *)l->weights + group * size, *from = l->numbers + start;
    NUMBERS one[2];
    EACH_GROUP EACH sums[g][p] = LOAD(l->bias + NAMED(first_of)(l, group + g));
    for (Py_ssize_t plane = 0; plane < l->planes; plane++, from += (l->input_high + 2 * BORDER) * line)
      for (Py_ssize_t k = 0; k < l->kernel; k++)
        for (Py_ssize_t tap = 0; tap < taps; tap++, weights += LANES) {
          EACH_GROUP one[g] = LOAD(weights + g * size);
          EACH {
            NUMBERS number = ALL(from[k * line + p * step + tap]);
            EACH_GROUP sums[g][p] = MULTIPLY_ADD(number, one[g], sums[g][p]);
          }
        }
  }
  NAMED(finish)(l, groups, places, sums, group, y, x);
}

/* One group of channels, or two, of a row of a box */
INLINE void NAMED(row)(const Layer *l, const int groups, Py_ssize_t group, Box box, Py_ssize_t y)
{
  const int most = LANES == 16 || groups == 1 ? 8 : 4;
  Py_ssize_t x = box.x, end = box.x + box.wide;

  for (; x + most <= end; x += most)
    NAMED(group)(l, groups, most, group, box, y, x);
  if (most > 4 && x + 4 <= end)
    NAMED(group)(l, groups, 4, group, box, y, x), x += 4;
  if (x + 2 <= end)
    NAMED(group)(l, groups, 2, group, box, y, x), x += 2;
  if (x < end)
    NAMED(group)(l, groups, 1, group, box, y, x);
}

/* Compute a box.  What two groups are made of is read once; their sums have sixteen registers, or eight of AVX2's sixteen: as
   many as have to be under way for no product to wait for the one before. */
static void NAMED(convolve)(const Layer *l, Box box)
{
  Py_ssize_t group = 0;

  if (l->pairs)
    NAMED(narrow)(l, box);
  for (; (group + 1) * LANES < l->outputs; group += 2)
    for (Py_ssize_t y = box.y; y < box.y + box.high; y++)
      NAMED(row)(l, 2, group, box, y);
  for (; group * LANES < l->outputs; group++)
    for (Py_ssize_t y = box.y; y < box.y + box.high; y++)
      NAMED(row)(l, 1, group, box, y);
}

#if LANES == 16 || !HAS_FOURS
#include "_sparse_winograd.h"
#endif

#if LANES == 16 && HAS_TILES
#include "_sparse_tiles.h"
#endif

#undef LANES
#undef KIND
#undef HAS_FOURS
#undef NAMED
#undef NAMED_1
#undef NAMED_2
#undef INLINE
#undef EACH
#undef EACH_GROUP
#undef NUMBERS
#undef WHOLES
#undef ALL
#undef ALL_WHOLE
#undef LOAD
#undef LOAD_WHOLE
#undef STORE
#undef ADD
#undef LARGER
#undef SMALLER
#undef SUBTRACT
#undef MULTIPLY_ADD
#undef MULTIPLY_FROM
#undef NUMBER_OF
#undef TO_WHOLE
#undef STORE_HALVES
