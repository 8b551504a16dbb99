/* The projection into the quantisation cell, and back to samples: `projection.py` says what it is.
 *
 * Two functions, each for one component: `decode` makes what a network takes of coefficients, and `project` a picture
 * of what the network gives.  They take one 8x8 DCT a block, or two, by rows and columns, in float32; the GIL is free.
 * Nothing is global but constants.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#define SIDE 8
#define MOST (PY_SSIZE_T_MAX / 256) /* blocks, whose float32 samples can be counted */
#define PHASES 4 /* samples each way between two of one phase */

/* cos(k pi / 16) / 2, the parts of the 8-point DCT-II, orthonormal (ITU-T T.81 A.3.3) */
#define C1 0.49039264020161522f
#define C2 0.46193976625564337f
#define C3 0.41573480615127262f
#define C4 0.35355339059327379f
#define C5 0.27778511650980114f
#define C6 0.19134171618254492f
#define C7 0.09754516100806417f

typedef struct {
  const uint16_t *phases;      /* float16 [PHASES, PHASES, 2 * high, 2 * wide], or NULL */
  const int16_t *coefficients; /* [high, wide, SIDE, SIDE] */
  const float *table;          /* [SIDE, SIDE] */
  float inverse[SIDE * SIDE];  /* of the table */
  uint8_t *plane;              /* [SIDE * high, SIDE * wide], or NULL */
  float *samples;              /* likewise, where there is no plane */
  size_t high, wide;
  float scale;                 /* of phases, or of samples */
  float cell;
} Component;

#define IS_LITTLE_ENDIAN (*(const uint8_t *)&(const uint16_t){1})

/* A finite float16's bits in a float32: the number over 2 to the 112th */
static inline float widened(uint16_t half)
{
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13 | (uint32_t)(half & 0x8000) << 16;
  float number;

  memcpy(&number, &bits, sizeof(number));
  return number;
}

/* The samples of a row of blocks, `[SIDE, SIDE * wide]`: four phases make a line */
static inline void interleave(const Component *c, size_t row, float *lines)
{
  size_t span = SIDE / PHASES * c->wide, phase = SIDE / PHASES * c->high * span;
  float scale = c->scale * 0x1p112f;

  for (size_t y = 0; y < SIDE; y++) {
    const uint16_t *from = c->phases + y % PHASES * PHASES * phase + (row * SIDE + y) / PHASES * span;
    float *line = lines + y * SIDE * c->wide;
    for (size_t x = 0; x < span; x++)
      for (size_t k = 0; k < PHASES; k++)
        line[PHASES * x + k] = widened(from[k * phase + x]) * scale;
  }
}

/* Elements of two vectors: GCC counts them in a vector of its own */
#ifdef __clang__
#define SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLE(one, other, ...) __builtin_shuffle(one, other, (Whole){__VA_ARGS__})
#endif

/* Four numbers at once is what every 64-bit CPU can do */
#define LANES 4
#include "_projection_kernel.h"
#undef LANES

/* And eight, where GCC lets a part of a file be for another CPU than the rest; Clang knows no such pragma */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_AVX2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#include <immintrin.h>
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define LANES 8
#include "_projection_kernel.h"
#undef LANES
#pragma GCC pop_options
#else
#define HAS_AVX2 0
#define fill_8 fill_4
#endif

/* ---- what Python sees ---- */

/* Whether a buffer holds `count` numbers of `size` bytes each, and lies where the CPU can take these */
static int fits(const Py_buffer *buffer, size_t count, size_t size, const char *name)
{
  if ((size_t)buffer->len != count * size)
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes, not %zu", name, buffer->len, count * size);
  else if ((uintptr_t)buffer->buf % size)
    PyErr_Format(PyExc_ValueError, "%s: memory that is not aligned to %zu bytes", name, size);
  else
    return 1;
  return 0;
}

static int is_countable(Py_ssize_t high, Py_ssize_t wide)
{
  if (high > 0 && wide > 0 && high <= MOST / wide)
    return 1;
  PyErr_Format(PyExc_ValueError, "%zd by %zd blocks make no component", high, wide);
  return 0;
}

/* None, or NULL with an exception set */
static PyObject *fill(Component *c, int lanes)
{
  float *lines = NULL;

  if (c->phases) {
    lines = PyMem_Malloc(sizeof(float) * SIDE * SIDE * c->wide);
    if (!lines)
      return PyErr_NoMemory();
    for (int k = 0; k < SIDE * SIDE; k++)
      c->inverse[k] = 1 / c->table[k];
  }
  Py_BEGIN_ALLOW_THREADS
  (lanes == 8 && HAS_AVX2 ? fill_8 : fill_4)(c, lines);
  Py_END_ALLOW_THREADS
  PyMem_Free(lines);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(project_doc,
"project(phases, coefficients, table, plane, high, wide, scale, cell, lanes, /)\n--\n\n"
"Fill a component's plane, uint8 [8 high, 8 wide].\n\n"
"    phases: float16 [16, 2 high, 2 wide]; what is not finite counts as a finite number; None: the plain decode;\n"
"    coefficients: int16 [high, wide, 64], natural order;\n"
"    table: float32 [64], above zero;\n"
"    scale: what phases are multiplied by; cell: half-width of the cell in steps;\n"
"    lanes: 8 to use AVX2 where CPU and compiler can, 4 to do without.\n\n"
"Raises ValueError where a buffer is not as large as that, or its memory not aligned.");

static PyObject *project(PyObject *module, PyObject *arguments)
{
  Py_buffer phases, coefficients, table, plane;
  Py_ssize_t high, wide;
  float scale, cell;
  int lanes;
  PyObject *result = NULL;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "z*y*y*w*nnffi", &phases, &coefficients, &table, &plane, &high, &wide, &scale, &cell,
                        &lanes))
    return NULL;
  if (is_countable(high, wide)) {
    size_t blocks = (size_t)high * (size_t)wide;
    Component component = {
      .phases = phases.buf, .coefficients = coefficients.buf, .table = table.buf, .plane = plane.buf,
      .high = high, .wide = wide, .scale = scale, .cell = cell,
    };
    if ((!phases.buf || fits(&phases, 64 * blocks, 2, "phases")) &&
        fits(&coefficients, 64 * blocks, 2, "coefficients") && fits(&table, 64, 4, "table") &&
        fits(&plane, 64 * blocks, 1, "plane"))
      result = fill(&component, lanes);
  }
  PyBuffer_Release(&phases);
  PyBuffer_Release(&coefficients);
  PyBuffer_Release(&table);
  PyBuffer_Release(&plane);
  return result;
}

PyDoc_STRVAR(decode_doc,
"decode(coefficients, table, samples, high, wide, scale, lanes, /)\n--\n\n"
"Fill a component's samples, centred, float32 [8 high, 8 wide], multiplied by a scale; the rest as in `project`.");

static PyObject *decode(PyObject *module, PyObject *arguments)
{
  Py_buffer coefficients, table, samples;
  Py_ssize_t high, wide;
  float scale;
  int lanes;
  PyObject *result = NULL;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "y*y*w*nnfi", &coefficients, &table, &samples, &high, &wide, &scale, &lanes))
    return NULL;
  if (is_countable(high, wide)) {
    size_t blocks = (size_t)high * (size_t)wide;
    Component component = {
      .coefficients = coefficients.buf, .table = table.buf, .samples = samples.buf,
      .high = high, .wide = wide, .scale = scale,
    };
    if (fits(&coefficients, 64 * blocks, 2, "coefficients") && fits(&table, 64, 4, "table") &&
        fits(&samples, 64 * blocks, 4, "samples"))
      result = fill(&component, lanes);
  }
  PyBuffer_Release(&coefficients);
  PyBuffer_Release(&table);
  PyBuffer_Release(&samples);
  return result;
}

static PyMethodDef methods[] = {
  {"project", project, METH_VARARGS, project_doc},
  {"decode", decode, METH_VARARGS, decode_doc},
  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
  {0, NULL},
};

static struct PyModuleDef definition = {
  .m_base = PyModuleDef_HEAD_INIT,
  .m_name = "_projection",
  .m_doc = "The projection into the quantisation cell, on the CPU.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__projection(void)
{
  return PyModuleDef_Init(&definition);
}
