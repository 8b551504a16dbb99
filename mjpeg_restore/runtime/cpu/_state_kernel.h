/* A camera's state with vectors of LANES numbers, after `_blocks_kernel.h`; see `_state.c`. */

#define HALF_BITS NAMED(HalfBits)
typedef uint16_t HALF_BITS __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
#define BYTES NAMED(Bytes)
#define KNOWN NAMED(Known)
typedef int8_t BYTES __attribute__((vector_size(LANES), aligned(1), may_alias));

/* Float16 to float32; what is infinite, or no number, becomes some finite one */
static inline Lanes NAMED(widen)(const uint16_t *from)
{
#if LANES == 16
  return NAMED(clamp)((Lanes)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)from)), -131008.0f, 131008.0f);
#elif LANES == 8
  return NAMED(clamp)((Lanes)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)from)), -131008.0f, 131008.0f);
#else
  Whole bits = __builtin_convertvector(*(const HALF_BITS *)from, Whole);
  return (Lanes)((bits & 0x7fff) << 13 | (bits & 0x8000) << 16) * 0x1p112f;
#endif
}

/* The smaller number; the other one if the first is none */
static inline Lanes NAMED(smaller)(Lanes one, Lanes other)
{
#if LANES == 16
  return (Lanes)_mm512_min_ps((__m512)one, (__m512)other);
#elif LANES == 8
  return (Lanes)_mm256_min_ps((__m256)one, (__m256)other);
#else
  Whole less = one < other;
  return (Lanes)(((Whole)one & less) | ((Whole)other & ~less));
#endif
}

/* The larger number; the other one if the first is none */
static inline Lanes NAMED(larger)(Lanes one, Lanes other)
{
#if LANES == 16
  return (Lanes)_mm512_max_ps((__m512)one, (__m512)other);
#elif LANES == 8
  return (Lanes)_mm256_max_ps((__m256)one, (__m256)other);
#else
  Whole more = one > other;
  return (Lanes)(((Whole)one & more) | ((Whole)other & ~more));
#endif
}

/* The absolute value */
static inline Lanes NAMED(size)(Lanes value) { return (Lanes)((Whole)value & 0x7fffffff); }

/* Float32 to float16, to the nearest, ties to even; what is larger, or no number, becomes 65504 */
static inline void NAMED(narrow)(Lanes value, uint16_t *out)
{
  Lanes limited = NAMED(smaller)(NAMED(size)(value), (Lanes){0} + 65504.0f);
#if LANES >= 8
  Lanes signed_again = (Lanes)((Whole)limited | ((Whole)value & INT32_MIN));
#if LANES == 16
  _mm256_storeu_si256((__m256i_u *)out, _mm512_cvtps_ph((__m512)signed_again, _MM_FROUND_TO_NEAREST_INT));
#else
  _mm_storeu_si128((__m128i_u *)out, _mm256_cvtps_ph((__m256)signed_again, _MM_FROUND_TO_NEAREST_INT));
#endif
#else
  Whole sign = (Whole)value >> 16 & 0x8000, size = (Whole)(limited * 0x1p-112f);
  *(HALF_BITS *)out = __builtin_convertvector((size + 0xfff + (size >> 13 & 1)) >> 13 | sign, HALF_BITS);
#endif
}

static inline Lanes NAMED(load)(const int16_t *from)
{
#if LANES == 16 /* GCC would convert the halves one by one */
  return (Lanes)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i_u *)from)));
#else
  return __builtin_convertvector(*(const Short *)from, Lanes);
#endif
}

/* To sixteenths of a grey level, to the nearest; `dither`, in sixteenths, is added before */
static inline void NAMED(store_sixteenths)(Lanes value, Lanes dither, int16_t *out)
{
#if LANES == 16 /* what is less than any int32, or no number, becomes the least of these, and then the least int16 */
  __m512 limited = _mm512_min_ps((__m512)(value * 16.0f + dither), _mm512_set1_ps(32767.0f));
  _mm256_storeu_si256((__m256i_u *)out, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(limited)));
#else
  Whole whole = (Whole)(NAMED(clamp)(value * 16.0f + dither, -32768.0f, 32767.0f) + 0x1.8p23f) - 0x4b400000;
  *(Short *)out = __builtin_convertvector(whole, Short);
#endif
}

#define AT(array) (*(const Lanes *)((array) + i))
#define AT_WHOLE(array) (*(const Whole *)((array) + i))
#define EACH for (size_t i = 0; i < SIDE * SIDE; i += LANES)

/* The frame's deviation from the mean in steps, and the past's share in a mean of both */
static void NAMED(observe)(const State *s)
{
  const int16_t *k = s->coefficients, *mean = s->mean;
  const uint16_t *evidence = s->evidence;
  uint16_t *deviation = s->deviation, *share = s->share;

  for (size_t block = 0; block < s->high * s->wide; block++) {
    EACH {
      Lanes known = NAMED(widen)(evidence + i), past = known / (known + AT(s->observation));
      Lanes away = NAMED(load)(k + i) - NAMED(load)(mean + i) * (1.0f / 16) * AT(s->inverse);
      Whole any = known > 0.0f;
      NAMED(narrow)((Lanes)((Whole)NAMED(clamp)(away, -FARTHEST, FARTHEST) & any), deviation + i);
      NAMED(narrow)(past, share + i);
    }
    k += SIDE * SIDE, mean += SIDE * SIDE, evidence += SIDE * SIDE, deviation += SIDE * SIDE, share += SIDE * SIDE;
  }
}

/* The new mean of a coefficient's past, of which `kept` is still true, and its value in the frame.
 *
 * Whatever the gate says, the past has some of its evidence: no less than nothing, and no more than there may be.
 */
static inline void NAMED(remember)(const State *s, size_t i, Lanes kept, Lanes seen, const int16_t *mean,
                                   int16_t *mean_after, uint16_t *evidence_after, Lanes dither)
{
  Lanes together;

  kept = NAMED(larger)(NAMED(smaller)(kept, AT(s->most)), (Lanes){0});
  together = kept + AT(s->observation);
  NAMED(store_sixteenths)(seen + kept / together * (NAMED(load)(mean + i) * (1.0f / 16) - seen), dither, mean_after + i);
  NAMED(narrow)(together, evidence_after + i);
}

#if LANES <= SIDE
/* A block's samples, by columns, from its dequantised coefficients */
static inline void NAMED(samples_of)(const float *levels, Block block)
{
  memcpy(block, levels, sizeof(Block));
  NAMED(columns_to_samples)(block);
  NAMED(transpose)(block);
  NAMED(columns_to_samples)(block);
}

/* Transform a block of dequantised coefficients, and write its samples as float32 times a scale */
static inline void NAMED(show)(const float *levels, float *out, size_t stride, float scale)
{
  Block block;

  NAMED(samples_of)(levels, block);
  NAMED(write_samples)(block, out, stride, scale);
}

/* Transform them, and write the samples as bytes: of a block of the plane, by its number */
static inline void NAMED(show_bytes)(const State *s, const float *levels, size_t number)
{
  size_t offset = (number / s->wide * SIDE * s->wide + number % s->wide) * SIDE;
  Block block;

  NAMED(samples_of)(levels, block);
  NAMED(write_bytes)(block, s->plane + offset, SIDE * s->wide);
}

/* The DCT of a block's residual, clamped to the cell: in steps */
static inline void NAMED(steps_of)(const Component *c, const float *residual, float *steps)
{
  Block block = {{{0}}};

  NAMED(add_residual)(c, residual, block);
  memcpy(steps, block, sizeof(block));
}
#else
#define show_16 show_8
#define show_bytes_16 show_bytes_8
#define steps_of_16 steps_of_8
#endif

/* Take the frame into the state, as far as the gate believes the past */
static void NAMED(take)(const State *s)
{
  size_t count = s->high * s->wide * SIDE * SIDE;

  for (size_t at = 0; at < count; at += SIDE * SIDE) {
    const int16_t *k = s->coefficients + at;
    const uint16_t *believed = s->believed + at, *evidence = s->evidence + at;
    EACH {
      Lanes seen = NAMED(load)(k + i) * AT(s->table), kept = NAMED(widen)(believed + i) * NAMED(widen)(evidence + i);
      NAMED(remember)(s, i, kept, seen, s->mean + at, s->mean_after + at, s->evidence_after + at, (Lanes){0});
    }
  }
}

/* How far a frame's coefficient is from the mean, in steps; 0 where there is no past */
static inline Lanes NAMED(away)(const State *s, size_t at, size_t i, Lanes known)
{
  Lanes away = NAMED(load)(s->coefficients + at + i) - NAMED(load)(s->mean + at + i) * (1.0f / 16) * AT(s->inverse);
  return (Lanes)((Whole)NAMED(clamp)(away, -FARTHEST, FARTHEST) & (known > 0.0f));
}

static inline Lanes NAMED(beyond)(Lanes away) { return NAMED(larger)(NAMED(size)(away) - 0.5f, (Lanes){0}); }

/* What the gate's first layer takes: the deviation, its square, what of it is beyond half a step, and the past's share */
static void NAMED(sense)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE, place = (block / s->wide + 1) * (s->wide + 2) + block % s->wide + 1;
    float *features = s->features + (place * s->groups + s->group) * 4 * SIDE * SIDE;
    if (!s->wanted[block])
      continue;
    EACH {
      Lanes known = NAMED(widen)(s->evidence + at + i), away = NAMED(away)(s, at, i, known);
      *(Lanes *)(features + i) = away;
      *(Lanes *)(features + SIDE * SIDE + i) = away * away * (1 / FARTHEST);
      *(Lanes *)(features + 2 * SIDE * SIDE + i) = NAMED(beyond)(away);
      *(Lanes *)(features + 3 * SIDE * SIDE + i) = known / (known + AT(s->observation));
    }
  }
}

/* 1 / (1 + exp(-x)), to a millionth */
static inline Lanes NAMED(sigmoid)(Lanes x)
{
  Lanes power = NAMED(clamp)(x * -1.44269504f, -126.0f, 126.0f), whole = (power + 0x1.8p23f) - 0x1.8p23f;
  Lanes rest = (power - whole) * 0.693147181f; /* within half of log 2: so a Taylor series of seven terms will do */
  Lanes series = 1.0f + rest * (1.0f + rest * (0.5f + rest * (1.0f / 6 + rest * (1.0f / 24 + rest * (1.0f / 120 + rest * (1.0f / 720))))));
  Lanes scale = (Lanes)((__builtin_convertvector(whole, Whole) + 127) << 23);
  return 1.0f / (1.0f + series * scale);
}

/* Take the frame into the state, as far as the gate believes the past: a coefficient that deviates is believed less */
static void NAMED(take_judged)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE, place = (block / s->wide + 1) * (s->wide + 2) + block % s->wide + 1;
    const float *logits = s->logits + (place * s->groups + s->group) * SIDE * SIDE;
    if (!s->wanted[block])
      continue;
    EACH {
      Lanes known = NAMED(widen)(s->evidence + at + i), away = NAMED(away)(s, at, i, known);
      Lanes share = NAMED(sigmoid)(AT(logits) - NAMED(beyond)(away) * AT(s->own));
      Lanes seen = NAMED(load)(s->coefficients + at + i) * AT(s->table);
      NAMED(remember)(s, i, share * known, seen, s->mean + at, s->mean_after + at, s->evidence_after + at, (Lanes){0});
    }
  }
}

/* Leave a share of the evidence of each block */
static void NAMED(doubt)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    if (s->held[block] >= 1.0f)
      memcpy(s->evidence_after + at, s->evidence + at, SIDE * SIDE * sizeof *s->evidence);
    else
      EACH NAMED(narrow)(NAMED(widen)(s->evidence + at + i) * s->held[block], s->evidence_after + at + i);
  }
}

/* Evidence of one frame, as a float16 holds it: so where there is no past, its share in the mean is nothing */
static inline void NAMED(hold)(const State *s, float *held)
{
  EACH {
    uint16_t half[LANES];
    NAMED(narrow)(AT(s->observation), half);
    *(Lanes *)(held + i) = NAMED(widen)(half);
  }
}

/* The past's share in a mean that rests on so much evidence, and that of one frame: whatever the evidence is */
static inline Lanes NAMED(share)(const float *one, size_t i, Lanes evidence)
{
  return NAMED(clamp)(1.0f - AT(one) / evidence, 0.0f, 1.0f);
}

/* Write the samples that a linear map makes of a block's numbers: `map` has a line for each number, and a bias */
static inline void NAMED(map)(const float *map, const float *numbers, float *out, size_t stride)
{
  Lanes samples[2][SIDE * SIDE / LANES] = {{{0}}}; /* two sums each: one would wait for itself */

  EACH samples[0][i / LANES] = AT(map + SIDE * SIDE * SIDE * SIDE);
  for (size_t from = 0; from < SIDE * SIDE; from += 2)
    for (size_t k = 0; k < 2; k++)
      EACH samples[k][i / LANES] += numbers[from + k] * AT(map + SIDE * SIDE * (from + k));
  EACH samples[0][i / LANES] += samples[1][i / LANES];
  for (size_t y = 0; y < SIDE; y++)
    memcpy(out + y * stride, (const float *)samples[0] + y * SIDE, SIDE * sizeof(*out));
}

/* What enters the network, of a frame that has been taken into the state */
static void NAMED(enter)(const State *s)
{
  float held[SIDE * SIDE] __attribute__((aligned(32)));
  size_t stride = SIDE * s->wide + 2 * s->border;
  NAMED(hold)(s, held);
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    size_t offset = (block / s->wide * SIDE + s->border) * stride + block % s->wide * SIDE + s->border;
    const int16_t *k = s->coefficients + at, *mean = s->mean + at;
    const uint16_t *evidence = s->evidence + at;
    float shares[SIDE * SIDE], sizes[SIDE * SIDE], means[SIDE * SIDE], lefts[SIDE * SIDE];
    if (s->wanted && !s->wanted[block])
      continue;
    EACH {
      Lanes level = NAMED(load)(mean + i) * (1.0f / 16), steps = NAMED(clamp)(level * AT(s->inverse), -1.0f, 1.0f);
      Lanes share = NAMED(share)(held, i, NAMED(widen)(evidence + i));
      *(Lanes *)(means + i) = level, *(Lanes *)(lefts + i) = NAMED(load)(k + i) * AT(s->table) - level;
      *(Lanes *)(shares + i) = share, *(Lanes *)(sizes + i) = NAMED(size)(steps);
      if (s->share)
        NAMED(narrow)(share, s->share + at + i);
      if (s->level)
        NAMED(narrow)(steps, s->level + at + i);
    }
    NAMED(show)(means, s->samples + offset, stride, s->sample_scale);
    NAMED(show)(lefts, s->left + offset, stride, s->left_scale);
    if (s->past)
      NAMED(map)(s->past_map, shares, s->past + offset, stride);
    if (s->significance)
      NAMED(map)(s->significance_map, sizes, s->significance + offset, stride);
  }
}

/* Whether one of the lanes is more than that of another vector, or one of a second pair is */
static inline int NAMED(any_more)(Lanes one, Lanes limit, Lanes other, Lanes other_limit)
{
#if LANES == 16
  __mmask16 first = _mm512_cmp_ps_mask((__m512)one, (__m512)limit, _CMP_GT_OQ);
  return (first | _mm512_cmp_ps_mask((__m512)other, (__m512)other_limit, _CMP_GT_OQ)) != 0;
#else
  Whole lanes = (one > limit) | (other > other_limit);
#if LANES == 8
  return !_mm256_testz_si256((__m256i)lanes, (__m256i)lanes);
#else
  return (lanes[0] | lanes[1] | lanes[2] | lanes[3]) != 0;
#endif
#endif
}

/* What is added to the mean, in steps, such that the sum is no further than `room` from the frame's coefficient */
static inline Lanes NAMED(within)(Lanes added, Lanes level, Lanes number, Lanes room)
{
  return number - level + NAMED(larger)(NAMED(smaller)(level + added - number, room), -room);
}

/* How far one bound of a cell draws back what is kept, which lies so far from the cell's middle on its side: in steps */
static inline Lanes NAMED(outside)(const State *s, size_t i, Lanes away)
{
  Lanes beyond = NAMED(larger)(away - AT(s->certain), (Lanes){0}), bent = NAMED(smaller)(beyond, AT(s->bend));
  return bent * bent * AT(s->curve) + (beyond - bent);
}

/* What is known of a coefficient: its evidence, the inverse of that, and how far on its way a frame moves what is kept */
typedef struct {
  Lanes evidence, inverse, gain;
} KNOWN;

/* A division takes as long as thirty other operations: so there is one for both quotients */
static inline KNOWN NAMED(known)(const State *s, size_t i, const uint16_t *evidence)
{
  Lanes known = NAMED(larger)(NAMED(widen)(evidence + i), (Lanes){0} + 0x1p-24f); /* the least float16 */
  Lanes doubt = 1.0f + AT(s->doubt) * known, quotient = 1.0f / (known * doubt);
  return (KNOWN){known, doubt * quotient, known * quotient};
}

/* What is kept of a coefficient, which moves to what the frame's cell and the noise make likely: both in steps */
static inline Lanes NAMED(likelier)(const State *s, size_t i, Lanes kept, Lanes number, Lanes gain)
{
  Lanes away = kept - number;
  if (!NAMED(any_more)(NAMED(size)(away), AT(s->certain), away, away))
    return kept;
  return kept + gain * (NAMED(outside)(s, i, -away) - NAMED(outside)(s, i, away));
}

/* To the power of -1/4, of what is more than 0 */
static inline Lanes NAMED(fourth_root)(Lanes value)
{
#if LANES == 16
  __m512 root = _mm512_rsqrt14_ps((__m512)value);
  return (Lanes)_mm512_mul_ps(root, _mm512_rsqrt14_ps(root));
#else
  Lanes root = (Lanes)(0x4f58cae5 - ((Whole)value >> 2)); /* a guess, and two of Newton's steps */
  for (int k = 0; k < 2; k++)
    root *= 1.25f - 0.25f * value * (root * root) * (root * root);
  return root;
#endif
}

/* The number that has this mean over frames when it is rounded, with the noise: both in steps */
static inline Lanes NAMED(unrounded)(const State *s, size_t i, Lanes mean)
{
  Lanes bound = ((mean - 0.5f + 0x1.8p23f) - 0x1.8p23f) + 0.5f, beyond = mean - bound;
  Lanes chance = NAMED(larger)(1.0f - 4.0f * beyond * beyond, (Lanes){0} + 0x1p-20f); /* 4 p (1 - p) */
  return bound + NAMED(clamp)(AT(s->scatter) * beyond * NAMED(fourth_root)(chance), -0.5f, 0.5f);
}

/* Whether the mean tells more of what is kept than that all frames were in this cell, and it far from the bounds */
static inline int NAMED(tells)(const State *s, const float *free, size_t i, Lanes kept, Lanes number, Lanes mean,
                               Lanes evidence)
{
  return s->mean_tells && NAMED(any_more)(NAMED(size)(kept - number), AT(s->calm), NAMED(size)(mean - number) * evidence,
                                          0.5f * AT(free));
}

/* What is kept of a coefficient, moved to the numbers that have the mean which its frames have: all in steps */
static inline Lanes NAMED(told)(const State *s, const float *free, size_t i, Lanes kept, Lanes mean, Lanes inverse)
{
  Lanes open = NAMED(smaller)(AT(free) * inverse, (Lanes){0} + 1.0f);
  return NAMED(larger)(NAMED(smaller)(kept, NAMED(unrounded)(s, i, mean + open)), NAMED(unrounded)(s, i, mean - open));
}

/* The network's residual on top of the mean, as near to the frame's cell as noise leaves it, mixed with what was restored
   before, as far as the past is believed. What is shown lies in the cell; what is kept is moved by what the mean tells, and
   the cell. */
static void NAMED(restore)(const State *s, const Component *c, float *residual)
{
  float held[SIDE * SIDE] __attribute__((aligned(32)));
  NAMED(hold)(s, held);
  for (size_t row = 0; row < s->high; row++) {
    size_t done = 0; /* blocks of the row, up to which there is a residual */
    for (size_t column = 0; column < s->wide; column++) {
      size_t block = row * s->wide + column, at = block * SIDE * SIDE;
      const int16_t *k = s->coefficients + at, *mean = s->mean + at, *mean_before = s->mean_before + at;
      const uint16_t *evidence = s->evidence + at;
      int16_t *correction = s->correction + at;
      const float *free = free_of(s, block);
      float levels[SIDE * SIDE];
      if (!s->wanted[block])
        continue;
      if (column >= done) {
        for (done = column + 1; done < s->wide && s->wanted[row * s->wide + done]; done++)
          ;
        interleave(c, row, column, done, residual);
      }
      NAMED(steps_of)(c, residual + column * SIDE, levels);
      EACH {
        Lanes *place = (Lanes *)(levels + i), number = NAMED(load)(k + i);
        Lanes level = NAMED(load)(mean + i) * (1.0f / 16) * AT(s->inverse);
        Lanes restored = NAMED(load)(mean_before + i) + NAMED(load)(correction + i);
        Lanes before = (restored - NAMED(load)(mean + i)) * (1.0f / 16) * AT(s->inverse);
        KNOWN known = NAMED(known)(s, i, evidence);
        Lanes mixed = NAMED(within)(*place, level, number, AT(s->room)), by_mean = {0}, kept;
        Lanes past = NAMED(share)(held, i, known.evidence), squared = past * past; /* as in `state.py` */
        Lanes fourth = squared * squared;
        if (s->mean_tells)
          by_mean = fourth * fourth;
        if (NAMED(any_more)(past, (Lanes){0}, past, past) && NAMED(tells)(s, free, i, level + mixed, number, level, known.evidence))
          mixed += by_mean * (NAMED(told)(s, free, i, level + mixed, level, known.inverse) - level - mixed);
        mixed += squared * fourth * AT(s->lasting) * (before - mixed);
        kept = level + mixed;
        kept += (1.0f - by_mean) * (NAMED(likelier)(s, i, kept, number, known.gain) - kept);
        NAMED(store_sixteenths)((kept - level) * AT(s->table), (Lanes){0}, correction + i);
        *place = (level + NAMED(within)(mixed, level, number, (Lanes){0} + c->cell)) * AT(s->table);
      }
      NAMED(show_bytes)(s, levels, block);
    }
  }
}

/* Take blocks that agree with the state into the one after the frame */
static void NAMED(take_still)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    const int16_t *k = s->coefficients + at, *mean = s->mean + at;
    const uint16_t *evidence = s->evidence + at;
    if (!s->wanted[block])
      continue;
    EACH {
      Lanes seen = NAMED(load)(k + i) * AT(s->table);
      NAMED(remember)(s, i, NAMED(widen)(evidence + i), seen, mean, s->mean_after + at, s->evidence_after + at,
                      AT(s->dither));
    }
  }
}

#if LANES <= SIDE
/* Transform dequantised coefficients, and write samples as bytes that stay what they were in the plane before, if they may:
   as long as no coefficient is farther outside of its cell than rounding to the nearest would take it */
static inline void NAMED(show_held)(const State *s, const float *levels, size_t number)
{
  size_t offset = (number / s->wide * SIDE * s->wide + number % s->wide) * SIDE;
  const int16_t *k = s->coefficients + number * SIDE * SIDE;
  Block block;

  NAMED(samples_of)(levels, block);
  if (!NAMED(write_held)(block, s->plane_before + offset, 0.5f + s->hold, s->plane + offset, SIDE * s->wide))
    return;
  NAMED(columns_to_frequencies)(block);
  NAMED(transpose)(block);
  NAMED(columns_to_frequencies)(block);
  EACH {
    Lanes shown = *(const Lanes *)(levels + i) + *(const Lanes *)((const float *)block + i);
    Lanes away = NAMED(size)(shown - NAMED(load)(k + i) * AT(s->table));
    if (NAMED(any_more)(away, AT(s->rounded), away, AT(s->rounded))) {
      NAMED(show_bytes)(s, levels, number);
      return;
    }
  }
}
#else
#define show_held_16 show_held_8
#endif

/* Restore blocks that are as they were: what was kept before, moved by what the cell tells, and the mean. What is shown
   lies in the cell. */
static void NAMED(restore_still)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    const int16_t *k = s->coefficients + at, *mean = s->mean + at, *mean_before = s->mean_before + at;
    const uint16_t *evidence = s->evidence + at;
    int16_t *correction = s->correction + at;
    const float *free = free_of(s, block);
    float levels[SIDE * SIDE];
    if (!s->wanted[block])
      continue;
    EACH {
      Lanes unit = (1.0f / 16) * AT(s->inverse), number = NAMED(load)(k + i), level = NAMED(load)(mean + i) * unit;
      Lanes before = (NAMED(load)(mean_before + i) + NAMED(load)(correction + i)) * unit;
      KNOWN known = NAMED(known)(s, i, evidence);
      Lanes kept = NAMED(likelier)(s, i, before, number, known.gain);
      if (NAMED(tells)(s, free, i, before, number, level, known.evidence)) {
        Lanes past = NAMED(clamp)(1.0f - AT(s->observation) * known.inverse, 0.0f, 1.0f), fourth = past * past * past * past;
        kept += fourth * fourth * (NAMED(told)(s, free, i, before, level, known.inverse) - kept); /* as in `restore` */
      }
      NAMED(store_sixteenths)((kept - level) * AT(s->table), AT(s->dither), correction + i);
      *(Lanes *)(levels + i) = (number + NAMED(clamp)(kept - number, -s->cell, s->cell)) * AT(s->table);
    }
    if (s->plane_before)
      NAMED(show_held)(s, levels, block);
    else
      NAMED(show_bytes)(s, levels, block);
  }
}

/* The sum of the lanes */
static inline float NAMED(sum)(Lanes lanes)
{
#if LANES == 16
  return _mm512_reduce_add_ps((__m512)lanes);
#elif LANES == 8
  __m128 four = _mm_add_ps(_mm256_castps256_ps128((__m256)lanes), _mm256_extractf128_ps((__m256)lanes, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
#endif
}

/* How far each block is from its state, beyond what its cell and the noise allow; how far its coefficients beyond
   their limits deviate, beyond what the quantiser makes of it, and what of that the means do; how much of its clear
   coefficients is in the frame, and how many the frame has that it lacks */
static void NAMED(compare)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    const int16_t *k = s->coefficients + at, *mean = s->mean + at;
    const uint16_t *evidence = s->evidence + at;
    Lanes far = {0}, spread = {0}, count = {0}, of_means = {0}, common = {0}, energy = {0};
    Whole added = {0};
    EACH {
      Lanes known = NAMED(widen)(evidence + i), step = AT(s->table);
      Lanes level = NAMED(load)(mean + i) * (1.0f / 16), place = NAMED(load)(k + i);
      Lanes away = NAMED(size)(place * step - level);
      Lanes beyond = NAMED(larger)(away - 0.5f * step, (Lanes){0});
      /* With one division for both: by the variances of a difference from the mean, with the step's and without */
      Lanes least = NAMED(larger)(known, (Lanes){0} + 0x1p-20f), together = least + AT(s->observation);
      Lanes spacious = s->noise * together + step * step * (1.0f / 12) * least, unit = least / (together * spacious);
      Lanes squared = away * away * spacious * unit - AT(s->expected);
      Whole counts = NAMED(size)(level) > AT(s->least), is_clear = NAMED(size)(level) > AT(s->clear);
      is_clear &= known > FEW * AT(s->observation);
      Lanes clear = (Lanes)((Whole)(level * AT(s->inverse)) & is_clear);
      far += beyond * beyond * together * unit;
      spread += (Lanes)((Whole)squared & counts);
      count += (Lanes)((Whole)((Lanes){0} + 1.0f) & counts);
      of_means += (Lanes)((Whole)(1.0f - spacious * unit) & counts);
      common += clear * place, energy += clear * clear;
      added -= (NAMED(size)(level) < AT(s->faint)) & (NAMED(size)(place) > 0.5f);
    }
    s->distance[block] = (int16_t)evidence[0] > 0 ? NAMED(sum)(far) : UNKNOWN;
    s->spread[block] = NAMED(sum)(spread), s->count[block] = NAMED(sum)(count), s->of_means[block] = NAMED(sum)(of_means);
    s->common[block] = NAMED(sum)(common), s->energy[block] = NAMED(sum)(energy);
    s->added[block] = NAMED(sum)(__builtin_convertvector(added, Lanes));
  }
}

/* How far each block's means are from those that were seen last, in squared steps; the wanted ones are seen now */
static void NAMED(stray)(const State *s)
{
  for (size_t block = 0; block < s->high * s->wide; block++) {
    size_t at = block * SIDE * SIDE;
    const int16_t *mean = s->mean + at;
    int16_t *seen = s->seen + at;
    Lanes far = {0};
    if (s->wanted[block])
      memcpy(seen, mean, SIDE * SIDE * sizeof *seen);
    else
      EACH {
        Lanes away = (NAMED(load)(mean + i) - NAMED(load)(seen + i)) * (1.0f / 16) * AT(s->inverse);
        far += away * away;
      }
    s->distance[block] = NAMED(sum)(far);
  }
}

/* What each block's AC coefficients deviate from their means, beyond half a step and within a step of that,
   and the sums of products: with what they deviated in the frame before, and of either with itself */
static void NAMED(innovate)(const State *s)
{
  const int16_t *k = s->coefficients, *mean = s->mean;
  const uint16_t *evidence = s->evidence;
  int8_t *last = s->innovations;
  const float unit = 1.0f / (INNOVATION_UNITS * INNOVATION_UNITS);

  for (size_t block = 0; block < s->high * s->wide; block++) {
    Whole products[3] = {{0}}; /* with what was, and of now and of what was with itself */
    EACH {
      Lanes away = NAMED(load)(k + i) - NAMED(load)(mean + i) * (1.0f / 16) * AT(s->inverse);
      Lanes beyond = away - NAMED(clamp)(away, -0.5f, 0.5f);
      Whole any = (Whole)(NAMED(widen)(evidence + i) > 0.0f) & AT_WHOLE(s->is_ac);
      Lanes size = NAMED(clamp)(beyond * INNOVATION_UNITS, -INNOVATION_UNITS, INNOVATION_UNITS);
      Whole innovation = ((Whole)(size + 0x1.8p23f) - 0x4b400000) & any;
      Whole earlier = __builtin_convertvector(*(const BYTES *)(last + i), Whole);
      products[0] += innovation * earlier, products[1] += innovation * innovation, products[2] += earlier * earlier;
      *(BYTES *)(last + i) = __builtin_convertvector(innovation, BYTES);
    }
    for (int i = 0; i < 3; i++)
      s->products[i * s->high * s->wide + block] = NAMED(sum)(__builtin_convertvector(products[i], Lanes)) * unit;
    k += SIDE * SIDE, mean += SIDE * SIDE, evidence += SIDE * SIDE, last += SIDE * SIDE;
  }
}

#undef AT
#undef AT_WHOLE
#undef EACH
#undef BYTES
#undef KNOWN
#undef HALF_BITS
