/* The projection into the quantisation cell, and back to samples; see `projection.py`.
 *
 * Two functions, each for one component: `decode` computes a network's input from coefficients, and `project` a plane
 * from the network's output.  `decode` takes one 8x8 DCT per block, `project` two, each by columns and rows in float32.
 * Both release the GIL.  The only globals are constants, and what is known of the CPU.
 */

#include "_blocks.h"

/* Every 64-bit CPU has vectors of four numbers */
#define LANES 4
#include "_blocks_kernel.h"
#include "_projection_kernel.h"
#include "_kernel_end.h"

/* AVX2 has eight; Clang lacks the pragma that compiles a part of a file for another CPU */
#if CAN_COMPILE_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define LANES 8
#include "_blocks_kernel.h"
#include "_projection_kernel.h"
#include "_kernel_end.h"
#pragma GCC pop_options
#else
#define fill_8 fill_4
#endif

/* ---- the Python module ---- */

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
  (lanes >= 8 && most_lanes >= 8 ? fill_8 : fill_4)(c, residual);
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
      .high = high, .wide = wide, .scale = scale, .cell = cell, .apart = PHASES * blocks, .between = 1,
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
  most_lanes = detect_lanes();
  return PyModuleDef_Init(&definition);
}
