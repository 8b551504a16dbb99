/* The projection into the quantisation cell, and back to samples; see `projection.py`.
 *
 * Two functions, each for one component: `decode` computes a network's input from coefficients, and `project` a plane
 * from the network's output.  `decode` takes one 8x8 DCT per block, `project` two, each by columns and rows in float32.
 * Both release the GIL.  The only globals are constants.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

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
  const uint16_t *phases;      /* float16 [PHASES, PHASES, 2 * high, 2 * wide], or NULL */
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

/* The residual of a row of blocks, `[SIDE, SIDE * wide]`: each line interleaves four phases */
static inline void interleave(const Component *c, size_t row, float *residual)
{
  size_t span = SIDE / PHASES * c->wide, phase = SIDE / PHASES * c->high * span;
  float scale = c->scale * 0x1p112f;

  for (size_t y = 0; y < SIDE; y++) {
    const uint16_t *from = c->phases + y % PHASES * PHASES * phase + (row * SIDE + y) / PHASES * span;
    float *line = residual + y * SIDE * c->wide;
    for (size_t x = 0; x < span; x++)
      for (size_t k = 0; k < PHASES; k++)
        line[PHASES * x + k] = widen(from[k * phase + x]) * scale;
  }
}

/* Elements of two vectors, by index: GCC takes the indices as a vector */
#ifdef __clang__
#define SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLE(one, other, ...) __builtin_shuffle(one, other, (Whole){__VA_ARGS__})
#endif

/* Every 64-bit CPU has vectors of four numbers */
#define LANES 4
#include "_projection_kernel.h"
#undef LANES

/* AVX2 has eight; Clang lacks the pragma that compiles a part of a file for another CPU */
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

/* ---- the Python module ---- */

/* Whether a buffer has `count` numbers of `size` bytes each and is aligned to them; if not, an exception is set */
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

/* Whether the blocks can be counted in bytes; if not, an exception is set */
static int is_countable(Py_ssize_t high, Py_ssize_t wide)
{
  if (high > 0 && wide > 0 && high <= MAX_BLOCKS / wide)
    return 1;
  PyErr_Format(PyExc_ValueError, "%zd by %zd blocks make no component", high, wide);
  return 0;
}

/* Fill a component's plane or samples; returns None, or NULL with an exception set */
static PyObject *fill(Component *c, int lanes)
{
  float *residual = NULL;

  if (c->phases) {
    residual = PyMem_Malloc(sizeof(float) * SIDE * SIDE * c->wide);
    if (!residual)
      return PyErr_NoMemory();
    for (int k = 0; k < SIDE * SIDE; k++)
      c->inverse[k] = 1 / c->table[k];
  }
  Py_BEGIN_ALLOW_THREADS
  (lanes == 8 && HAS_AVX2 ? fill_8 : fill_4)(c, residual);
  Py_END_ALLOW_THREADS
  PyMem_Free(residual);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(project_doc,
"project(phases, coefficients, table, plane, high, wide, scale, cell, lanes, /)\n--\n\n"
"Fill a component's plane, uint8 [8 high, 8 wide].\n\n"
"    phases: float16 [16, 2 high, 2 wide]; infinities and NaN count as finite numbers; None: the plain decode;\n"
"    coefficients: int16 [high, wide, 64], natural order;\n"
"    table: float32 [64], above zero;\n"
"    scale: multiplies phases; cell: half-width of the quantisation cell in steps;\n"
"    lanes: 8 for AVX2, if CPU and compiler have it, or 4.\n\n"
"Raises ValueError if a buffer has another size or is not aligned.");

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
"Fill a component's centred samples, float32 [8 high, 8 wide], multiplied by `scale`; the rest as in `project`.");

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
