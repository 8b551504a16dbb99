/* Blocks of coefficients and their samples: what `_projection.c` and `_state.c` have in common.
 *
 * Each kind of CPU has its own copy of the functions in `_blocks_kernel.h`.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "_module.h"

#define SIDE 8
#define MAX_BLOCKS (PY_SSIZE_T_MAX / 256) /* of 256 bytes of float32 samples each */
#define PHASES 4 /* samples each way between two samples of one phase */

/* cos(k pi / 16) / 2, the coefficients of the orthonormal 8-point DCT-II (ITU-T T.81 A.3.3) */
#define C1 0.49039264020161522f
#define C2 0.46193976625564337f
#define C3 0.41573480615127262f
#define C4 0.35355339059327379f
#define C5 0.27778511650980114f
#define C6 0.19134171618254492f
#define C7 0.09754516100806417f

typedef struct {
  const uint16_t *phases;      /* float16 [PHASES, PHASES] for each place of [2 * high, 2 * wide], or NULL */
  size_t apart, between;       /* numbers from a phase to the next one, and from a place */
  const int16_t *coefficients; /* [high, wide, SIDE, SIDE] */
  const float *table;          /* [SIDE, SIDE] */
  float inverse[SIDE * SIDE];  /* 1 / table */
  uint8_t *plane;              /* [SIDE * high, SIDE * wide], or NULL */
  float *samples;              /* likewise, if there is no plane */
  size_t high, wide;
  float scale;                 /* multiplies phases, or samples */
  float cell;                  /* half-width, in steps */
} Component;

#define IS_LITTLE_ENDIAN (*(const uint8_t *)&(const uint16_t){1})

/* A finite float16's bits in a float32, which makes the number divided by 2 to the 112th */
static inline float widen(uint16_t half)
{
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13 | (uint32_t)(half & 0x8000) << 16;
  float number;

  memcpy(&number, &bits, sizeof(number));
  return number;
}

/* The residual of some blocks of a row, in `[SIDE, SIDE * wide]`: each line interleaves four phases */
static inline void interleave(const Component *c, size_t row, size_t begin, size_t end, float *residual)
{
  size_t span = SIDE / PHASES * c->wide;
  float scale = c->scale * 0x1p112f;

  for (size_t y = 0; y < SIDE; y++) {
    const uint16_t *from = c->phases + y % PHASES * PHASES * c->apart + (row * SIDE + y) / PHASES * span * c->between;
    float *line = residual + y * SIDE * c->wide;
    for (size_t x = SIDE / PHASES * begin; x < SIDE / PHASES * end; x++)
      for (size_t k = 0; k < PHASES; k++)
        line[PHASES * x + k] = widen(from[k * c->apart + x * c->between]) * scale;
  }
}

/* Elements of two vectors, by index: GCC takes the indices as a vector */
#ifdef __clang__
#define SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLE(one, other, ...) __builtin_shuffle(one, other, (Whole){__VA_ARGS__})
#endif

/* Whether the blocks can be counted in bytes; if not, an exception is set */
static int is_countable(Py_ssize_t high, Py_ssize_t wide)
{
  if (high > 0 && wide > 0 && high <= MAX_BLOCKS / wide)
    return 1;
  PyErr_Format(PyExc_ValueError, "%zd by %zd blocks make no component", high, wide);
  return 0;
}

/* Numbers in the widest vectors of this CPU. A module sets it when it is loaded: a virtual machine takes microseconds
   for CPUID. */
static int most_lanes;
