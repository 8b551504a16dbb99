/* What a camera's stream remembers of its blocks; see `state.py`.
 *
 * Fourteen functions, each for one component.  `brighten` brings means into a frame's light, `compare` tells which blocks
 * agree with their state, and of what is doubted `doubt` leaves a share; `take_still` puts what agrees into the state, and `restore_still` makes their samples.  For all others `observe` and `sense` compute what a gate sees, and
 * `take` and `take_judged` apply its result; `enter` computes what the network sees, and `restore` makes samples of its
 * output.  `believed` tells how much of its past a block has kept, and `innovate` what successive frames tell beyond it.
 * All release the GIL.  The only globals are constants, and what is known of the CPU.
 *
 * A mean and a correction are int16, in sixteenths of a grey level; evidence is float16, in 1/grey level^2.
 */

#include <float.h>
#include <math.h>

#include "_blocks.h"

#define FARTHEST 4.0f /* steps beyond which a deviation says no more */
#define LONGEST 32.0f /* frames that a mean rests on at most */
#define FEW 3.5f /* observations that a mean rests on, at least, that shows something in spite of the noise */
#define LEAST 0x1p-14f /* evidence of a frame, at least */
#define REACH 2.5f    /* deviations of the noise to either side of a cell's bound */
#define FREE 0.15f    /* steps, divided by the frames in a mean, that leave open what it tells */
#define CHANGED 2.0f /* the same, at most, besides: of what a block showed before */
#define HIDDEN 0.1f  /* steps: noise of this deviation or more tells what lies within the steps in any case */
#define SCATTERED 0.3f /* steps: noise of this deviation makes the mean of rounded numbers that of the numbers */
#define CALM 1.64f    /* times the scatter: more than what half of what 32 frames leave open reaches from a bound, 1.6 */
#define LEAST_SCATTER 1.0f /* variance, grey levels^2: of noise that a mean is taken to tell by, at least */
#define AC_ALONE 2    /* Telling.AC */
#define UNKNOWN 1e30f /* distance from a state that there is not */
#define INNOVATION_UNITS 127.0f /* of a step */

#define DITHER 0.9375                 /* of a unit: what has not moved stays, although float32 rounds it */
#define IN_TIME 0.618033988749894848  /* (sqrt(5) - 1) / 2: any few frames have dither from all of the unit... */
#define IN_BLOCK 0.754877666246692760 /* ...and so have any few coefficients: the root of x^3 + x^2 = 1 */

typedef struct {
  const int16_t *coefficients; /* [high, wide, SIDE, SIDE], and so are all arrays but table, wanted and planes */
  const float *table;
  float inverse[SIDE * SIDE];     /* 1 / table */
  float observation[SIDE * SIDE]; /* evidence of one frame */
  float most[SIDE * SIDE];        /* evidence of the past, at most */
  int16_t *mean, *mean_after, *correction;
  const int16_t *mean_before;
  uint16_t *evidence, *evidence_after;
  uint16_t *deviation, *share, *level;
  const float *lasting;           /* [SIDE, SIDE]: weight of what was restored before, where all of the past is believed */
  const uint16_t *believed;
  float *samples, *left;          /* [SIDE * high + 2 border, SIDE * wide + 2 border], and so are the next two, or NULL */
  float *past, *significance;
  const float *past_map, *significance_map; /* [BLOCK + 1, BLOCK]: from a block's numbers to its samples, and a bias */
  size_t border;
  size_t groups, group;           /* components that one array of features or logits has, and which of them it is */
  float *features;                /* [high + 2, wide + 2, groups, 4, SIDE, SIDE] */
  const float *logits;            /* [high + 2, wide + 2, groups, SIDE, SIDE] */
  const float *own;               /* [SIDE, SIDE]: what a coefficient's deviation counts against its past */
  float sample_scale, left_scale;
  uint8_t *plane;                 /* [SIDE * high, SIDE * wide] */
  const uint8_t *plane_before;    /* likewise, what was shown of the frame before, or NULL */
  float hold;                     /* grey levels beyond rounding up to which a sample stays what it was there */
  float rounded[SIDE * SIDE];     /* how far from its cell's middle a coefficient may be if samples are rounded */
  const float *held;              /* [high, wide]: share of the evidence that holds */
  const uint8_t *wanted;          /* [high, wide], and so are the next seven: 0 for blocks to leave alone */
  float *distance, *spread, *count, *of_means, *common, *energy, *added;
  int16_t *seen;                  /* [high, wide, SIDE, SIDE]: means, in the units of memory */
  const float *least;             /* [SIDE, SIDE]: size of a mean from which on a deviation tells of the noise */
  const float *clear;             /* [SIDE, SIDE]: size of a mean beyond which it is clear that a frame shows it, too */
  const float *faint;             /* [SIDE, SIDE]: size of a mean below which no frame shows it, for noise */
  const float *expected;          /* [SIDE, SIDE]: square of a deviation without noise */
  float doubt[SIDE * SIDE];       /* of evidence: a frame moves what is kept by 1 / (1 + doubt evidence) of the way */
  float room[SIDE * SIDE];        /* how far from the cell's middle a coefficient may be before noise, steps */
  float certain[SIDE * SIDE];     /* where a bound's parabola begins: steps from the cell's middle, negative beyond it */
  float bend[SIDE * SIDE];        /* length of the parabola: twice the noise's reach, in steps */
  float curve[SIDE * SIDE];       /* 1 / (2 bend) */
  float dither[SIDE * SIDE];      /* of means and corrections, in sixteenths of a grey level */
  int mean_tells;                 /* `Telling` of `state.py`: of what is kept, and not the cell alone */
  const uint8_t *changed;         /* [high, wide], or NULL: 0 where all frames in a mean show the same */
  float free[SIDE * SIDE];        /* FREE, times the evidence of one frame */
  float freer[SIDE * SIDE];       /* the same for blocks that have changed */
  float calm[SIDE * SIDE];        /* steps from the cell's middle up to which its mean leaves alone what is kept */
  float scatter[SIDE * SIDE];     /* deviation of the noise, in steps, SCATTERED at most, times the root of 2 pi */
  int8_t *innovations;            /* of the frame before, and then of this one, in 1/127 step */
  float *products;                /* [3, high, wide] */
  int32_t is_ac[SIDE * SIDE];     /* all bits for an AC coefficient */
  float noise;                    /* the sensor's variance, grey levels^2 */
  size_t high, wide;
  float cell;
} State;

/* What a block's mean leaves open */
static inline const float *free_of(const State *s, size_t block)
{
  return s->changed && s->changed[block] ? s->freer : s->free;
}

/* Every 64-bit CPU has vectors of four numbers */
#define LANES 4
#include "_blocks_kernel.h"
#include "_state_kernel.h"
#include "_kernel_end.h"

/* AVX2 has eight, AVX-512 sixteen; Clang lacks the pragma that compiles a part of a file for another CPU */
#if CAN_COMPILE_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define LANES 8
#include "_blocks_kernel.h"
#include "_state_kernel.h"
#include "_kernel_end.h"
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")
#define LANES 16 /* more than a line of a block has: samples are made by eight */
#include "_blocks_kernel.h"
#include "_state_kernel.h"
#include "_kernel_end.h"
#pragma GCC pop_options
#define WIDEST(name, lanes) (lanes == 16 ? name##_16 : lanes == 8 ? name##_8 : name##_4)
#else
#define WIDEST(name, lanes) ((void)lanes, name##_4)
#endif

/* ---- the Python module ---- */

#define MOST_BUFFERS 16
#define MOST_BORDER 8
#define MOST_GROUPS 4

/* A function's arguments: buffers, then high, wide and lanes, then numbers */
typedef struct {
  Py_buffer buffers[MOST_BUFFERS];
  int taken;
  size_t high, wide, border, groups;
  int lanes;
} Arguments;

typedef struct {
  const char *name;
  size_t count;    /* numbers in a block; 0: one table for all blocks; IS_MAP; IS_PLANE: with a border around all blocks;
                      IS_GROUPED: of several components */
  size_t size;     /* bytes of a number */
  int written;
  int optional;    /* may be None */
  int is_feature;  /* of several components, with a border of one block around all blocks */
} Wanted;

#define IS_MAP ((size_t)-1)
#define IS_PLANE ((size_t)-2)
#define IS_GROUPED ((size_t)-3)

static void release(Arguments *a)
{
  while (a->taken)
    PyBuffer_Release(&a->buffers[--a->taken]);
}

/* How many numbers a buffer has */
static size_t numbers_of(const Arguments *a, const Wanted *wanted)
{
  if (wanted->is_feature)
    return (a->high + 2) * (a->wide + 2) * wanted->count * a->groups;
  if (wanted->count == IS_PLANE)
    return (SIDE * a->high + 2 * a->border) * (SIDE * a->wide + 2 * a->border);
  if (wanted->count == IS_GROUPED)
    return (a->groups ? a->groups : 1) * SIDE * SIDE * a->high * a->wide;
  if (wanted->count == IS_MAP)
    return (SIDE * SIDE + 1) * SIDE * SIDE;
  return wanted->count ? wanted->count * a->high * a->wide : SIDE * SIDE;
}

/* Take the first `wanted` arguments as buffers and the next three as numbers; a border, if there are planes that may have
   one, is the last argument, and groups are the last but one.  If not, an exception is set. */
static int take_arguments(Arguments *a, PyObject *arguments, const Wanted *wanted, int count)
{
  Py_ssize_t high, wide, border = 0, groups = 0, last = PyTuple_Size(arguments) - 1;

  memset(a, 0, sizeof(*a));
  high = PyLong_AsSsize_t(PyTuple_GetItem(arguments, count));
  wide = PyLong_AsSsize_t(PyTuple_GetItem(arguments, count + 1));
  a->lanes = (int)PyLong_AsLong(PyTuple_GetItem(arguments, count + 2));
  for (int i = 0; i < count; i++) {
    if (wanted[i].count == IS_PLANE)
      border = PyLong_AsSsize_t(PyTuple_GetItem(arguments, last));
    if (wanted[i].count == IS_GROUPED || wanted[i].is_feature)
      groups = PyLong_AsSsize_t(PyTuple_GetItem(arguments, last - 1));
  }
  if (PyErr_Occurred() || !is_countable(high, wide))
    return 0;
  if (border < 0 || border > MOST_BORDER || groups < 0 || groups > MOST_GROUPS)
    return PyErr_Format(PyExc_ValueError, "a border of %zd samples, or %zd groups", border, groups), 0;
  if (a->lanes > most_lanes)
    a->lanes = most_lanes;
  a->high = (size_t)high, a->wide = (size_t)wide, a->border = (size_t)border, a->groups = (size_t)groups;
  for (int i = 0; i < count; i++) {
    PyObject *given = PyTuple_GetItem(arguments, i);
    size_t numbers = numbers_of(a, &wanted[i]);
    if (wanted[i].optional && given == Py_None) {
      a->taken++; /* an empty buffer is released without effect */
      continue;
    }
    if (PyObject_GetBuffer(given, &a->buffers[i], wanted[i].written ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0)
      return release(a), 0;
    a->taken++;
    if (!fits(&a->buffers[i], numbers, wanted[i].size, wanted[i].name))
      return release(a), 0;
  }
  return 1;
}

#define BLOCK (SIDE * SIDE)
#define COEFFICIENTS {"coefficients", BLOCK, 2, 0, 0}
#define TABLE {"table", 0, 4, 0, 0}
#define MEAN(written) {"mean", BLOCK, 2, written, 0}
#define EVIDENCE(written) {"evidence", BLOCK, 2, written, 0}
#define MAP(name) {name, IS_MAP, 4, 0, 1}
#define PLANE(name, optional) {name, IS_PLANE, 4, 1, optional}
#define COUNT(wanted) ((int)(sizeof(wanted) / sizeof(*(wanted))))

/* What all functions need: the first three buffers, and mean and evidence by their places */
static State state_of(const Arguments *a, int mean, int evidence)
{
  State s = {.coefficients = a->buffers[0].buf, .table = a->buffers[1].buf, .high = a->high, .wide = a->wide};
  const float *observation = a->buffers[2].buf;

  s.mean = a->buffers[mean].buf;
  s.evidence = a->buffers[evidence].buf;
  for (int i = 0; i < BLOCK; i++) {
    s.inverse[i] = 1 / s.table[i];
    s.observation[i] = observation[i];
    s.most[i] = (LONGEST - 1) * observation[i];
  }
  return s;
}

/* What the noise, of this variance, makes of cells that end so far from their middle, and of means; see `restore_still` in
   `state.py` */
static void set_noise(State *s, float noise, float cell, int mean_tells)
{
  float reach_in_levels = REACH * sqrtf(noise), deviation = sqrtf(fmaxf(noise, LEAST_SCATTER));

  s->cell = cell, s->mean_tells = mean_tells;
  for (int i = 0; i < BLOCK; i++) {
    float reach = reach_in_levels * s->inverse[i];
    s->doubt[i] = noise / (2 * (noise + s->table[i] * s->table[i] / 12) * s->observation[i]);
    s->room[i] = cell + reach, s->certain[i] = cell - reach, s->bend[i] = 2 * reach;
    s->curve[i] = 1 / (4 * reach + FLT_MIN); /* without noise the bend is 0 */
    s->free[i] = FREE * s->observation[i];
    s->freer[i] = (FREE + CHANGED * fmaxf(0, 1 - deviation * s->inverse[i] / HIDDEN)) * s->observation[i];
    s->scatter[i] = 2.5066283f * fminf(deviation * s->inverse[i], SCATTERED);
    s->calm[i] = 0.5f - CALM * s->scatter[i];
  }
  if (mean_tells == AC_ALONE)
    s->free[0] = s->freer[0] = FLT_MAX; /* of which there is a step at most: `told` */
}

/* Bounds: of how far a sample may be from what it stays, and of how far a coefficient may be from its cell's middle: half a
   step, and half of the sum of its basis' sizes, which is what rounding to the nearest may do, less what float32 may miss */
static void set_hold(State *s, float hold)
{
  const float flat = 8 * C4, even = 4 * (C2 + C6), odd = 2 * (C1 + C3 + C5 + C7);
  const float sums[SIDE] = {flat, odd, even, odd, flat, odd, even, odd};

  s->hold = hold;
  for (int i = 0; i < BLOCK; i++)
    s->rounded[i] = 0.5f * s->table[i] + 0.4999f * sums[i / SIDE] * sums[i % SIDE];
}

/* What is added before a frame's means and corrections are rounded, less than half a unit; see `take_still` in `state.py` */
static void set_dither(State *s, long frame)
{
  for (int i = 0; i < BLOCK; i++) {
    double place = frame * IN_TIME + i * IN_BLOCK;
    s->dither[i] = (float)((place - floor(place) - 0.5) * DITHER);
  }
}

static double number(PyObject *arguments, int at) { return PyFloat_AsDouble(PyTuple_GetItem(arguments, at)); }

/* Whether there are that many arguments; if not, an exception is set */
static int are(PyObject *arguments, Py_ssize_t count, const char *name)
{
  if (PyTuple_Size(arguments) == count)
    return 1;
  PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", name, count, PyTuple_Size(arguments));
  return 0;
}

#define RUN(name, ...) \
  Py_BEGIN_ALLOW_THREADS \
  WIDEST(name, a.lanes)(__VA_ARGS__); \
  Py_END_ALLOW_THREADS

PyDoc_STRVAR(observe_doc,
"observe(coefficients, table, observation, mean, evidence, deviation, share, high, wide, lanes, /)\n--\n\n"
"Fill deviation and share, float16 [high, wide, 64]; see `state.py`.");

static PyObject *observe(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"deviation", BLOCK, 2, 1, 0}, {"share", BLOCK, 2, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 10, "observe") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.deviation = a.buffers[5].buf, s.share = a.buffers[6].buf;
  RUN(observe, &s)
  release(&a);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(take_doc,
"take(coefficients, table, observation, mean, evidence, believed, mean_after, evidence_after, high, wide, lanes, /)\n--\n\n"
"Fill mean and evidence after the frame; see `state.py`.");

static PyObject *take(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"believed", BLOCK, 2, 0, 0}, {"mean_after", BLOCK, 2, 1, 0},
                                  {"evidence_after", BLOCK, 2, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 11, "take") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.believed = a.buffers[5].buf, s.mean_after = a.buffers[6].buf, s.evidence_after = a.buffers[7].buf;
  RUN(take, &s)
  release(&a);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(enter_doc,
"enter(coefficients, table, observation, mean, evidence, wanted, share, level, past_map, significance_map, samples, left,\n"
"      past, significance, high, wide, lanes, sample_scale, left_scale, border, /)\n--\n\n"
"Fill share and level, float16 [high, wide, 64], and samples, left, past and significance, float32 [8 high + 2 border,\n"
"8 wide + 2 border], where wanted, uint8 [high, wide], is not 0; all but samples and left may be None; see `state.py`.");

static PyObject *enter(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"wanted", 1, 1, 0, 1}, {"share", BLOCK, 2, 1, 1}, {"level", BLOCK, 2, 1, 1},
                                  MAP("past_map"), MAP("significance_map"), PLANE("samples", 0), PLANE("left", 0),
                                  PLANE("past", 1), PLANE("significance", 1)};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 20, "enter") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.wanted = a.buffers[5].buf, s.share = a.buffers[6].buf, s.level = a.buffers[7].buf;
  s.past_map = a.buffers[8].buf, s.significance_map = a.buffers[9].buf;
  s.samples = a.buffers[10].buf, s.left = a.buffers[11].buf, s.past = a.buffers[12].buf, s.significance = a.buffers[13].buf;
  s.sample_scale = (float)number(arguments, 17), s.left_scale = (float)number(arguments, 18), s.border = a.border;
  if (!s.past_map != !s.past || !s.significance_map != !s.significance)
    PyErr_SetString(PyExc_ValueError, "a plane needs its map");
  if (!PyErr_Occurred()) {
    RUN(enter, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(restore_doc,
"restore(coefficients, table, observation, mean, evidence, mean_before, phases, lasting, correction, wanted, changed,\n"
"        plane, high, wide, lanes, scale, cell, noise, mean_tells, groups, group, /)\n--\n\n"
"Change correction, int16 [high, wide, 64], and fill plane, uint8 [8 high, 8 wide], where wanted, uint8 [high, wide],\n"
"is not 0.  phases: float16 [16, 2 high, 2 wide] if groups is 0, or else a group of [2 high, 2 wide, groups, 16]; see\n"
"`state.py`.");

static PyObject *restore(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"mean_before", BLOCK, 2, 0, 0}, {"phases", IS_GROUPED, 2, 0, 0},
                                  {"lasting", 0, 4, 0, 0}, {"correction", BLOCK, 2, 1, 0},
                                  {"wanted", 1, 1, 0, 0}, {"changed", 1, 1, 0, 1}, {"plane", BLOCK, 1, 1, 0}};
  Arguments a;
  State s;
  Component c = {0};
  float lasting[BLOCK] __attribute__((aligned(32))); /* a caller's buffer may begin anywhere */
  float *residual;
  size_t group;

  (void)module;
  if (!are(arguments, 21, "restore") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  group = (size_t)PyLong_AsSsize_t(PyTuple_GetItem(arguments, 20));
  if (!PyErr_Occurred() && a.groups && group >= a.groups)
    PyErr_SetString(PyExc_ValueError, "there is no such group of phases");
  if (PyErr_Occurred()) {
    release(&a);
    return NULL;
  }
  s = state_of(&a, 3, 4);
  s.mean_before = a.buffers[5].buf, s.correction = a.buffers[8].buf;
  s.wanted = a.buffers[9].buf, s.changed = a.buffers[10].buf, s.plane = a.buffers[11].buf;
  c.phases = a.buffers[6].buf, c.table = s.table, c.high = s.high, c.wide = s.wide;
  c.apart = PHASES * s.high * s.wide, c.between = 1;
  if (a.groups)
    c.apart = 1, c.between = PHASES * PHASES * a.groups, c.phases += PHASES * PHASES * group;
  memcpy(c.inverse, s.inverse, sizeof(c.inverse));
  c.scale = (float)number(arguments, 15), c.cell = (float)number(arguments, 16);
  set_noise(&s, (float)number(arguments, 17), c.cell, (int)PyLong_AsLong(PyTuple_GetItem(arguments, 18)));
  memcpy(lasting, a.buffers[7].buf, sizeof(lasting));
  s.lasting = lasting;
  residual = PyMem_Malloc(sizeof(float) * BLOCK * s.wide);
  if (!residual)
    PyErr_NoMemory();
  if (!PyErr_Occurred()) {
    RUN(restore, &s, &c, residual)
  }
  PyMem_Free(residual);
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(take_still_doc,
"take_still(coefficients, table, observation, mean, evidence, agrees, mean_after, evidence_after, high, wide, lanes,\n"
"           frame, /)\n--\n\n"
"Fill mean and evidence after the frame where agrees, uint8 [high, wide], is not 0; see `state.py`.");

static PyObject *take_still(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"agrees", 1, 1, 0, 0}, {"mean_after", BLOCK, 2, 1, 0},
                                  {"evidence_after", BLOCK, 2, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 12, "take_still") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.wanted = a.buffers[5].buf, s.mean_after = a.buffers[6].buf, s.evidence_after = a.buffers[7].buf;
  set_dither(&s, PyLong_AsLong(PyTuple_GetItem(arguments, 11)));
  if (!PyErr_Occurred()) {
    RUN(take_still, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(restore_still_doc,
"restore_still(coefficients, table, observation, mean, evidence, mean_before, correction, wanted, changed, plane,\n"
"              plane_before, high, wide, lanes, noise, cell, mean_tells, frame, hold, /)\n--\n\n"
"Change correction, and fill plane, where wanted, uint8 [high, wide], is not 0; see `state.py`.");

static PyObject *restore_still(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"mean_before", BLOCK, 2, 0, 0}, {"correction", BLOCK, 2, 1, 0},
                                  {"wanted", 1, 1, 0, 0}, {"changed", 1, 1, 0, 1}, {"plane", BLOCK, 1, 1, 0},
                                  {"plane_before", BLOCK, 1, 0, 1}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 19, "restore_still") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.mean_before = a.buffers[5].buf, s.correction = a.buffers[6].buf;
  s.wanted = a.buffers[7].buf, s.changed = a.buffers[8].buf, s.plane = a.buffers[9].buf;
  s.plane_before = a.buffers[10].buf;
  set_noise(&s, (float)number(arguments, 14), (float)number(arguments, 15), (int)PyLong_AsLong(PyTuple_GetItem(arguments, 16)));
  set_dither(&s, PyLong_AsLong(PyTuple_GetItem(arguments, 17)));
  set_hold(&s, (float)number(arguments, 18));
  if (!PyErr_Occurred()) {
    RUN(restore_still, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(compare_doc,
"compare(coefficients, table, observation, mean, evidence, least, expected, clear, faint, distance, spread, number,\n"
"        of_means, common, energy, added, high, wide, lanes, noise, /)\n--\n\n"
"Fill distance, spread, count, of_means, common, energy and added, float32 [high, wide]; see `state.py`.");

static PyObject *compare(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"least", 0, 4, 0, 0}, {"expected", 0, 4, 0, 0}, {"clear", 0, 4, 0, 0},
                                  {"faint", 0, 4, 0, 0}, {"distance", 1, 4, 1, 0}, {"spread", 1, 4, 1, 0},
                                  {"number", 1, 4, 1, 0}, {"of_means", 1, 4, 1, 0}, {"common", 1, 4, 1, 0},
                                  {"energy", 1, 4, 1, 0}, {"added", 1, 4, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 20, "compare") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.least = a.buffers[5].buf, s.expected = a.buffers[6].buf, s.clear = a.buffers[7].buf;
  s.faint = a.buffers[8].buf, s.distance = a.buffers[9].buf, s.spread = a.buffers[10].buf, s.count = a.buffers[11].buf;
  s.of_means = a.buffers[12].buf, s.common = a.buffers[13].buf, s.energy = a.buffers[14].buf;
  s.added = a.buffers[15].buf, s.noise = (float)number(arguments, 19);
  if (!PyErr_Occurred()) {
    RUN(compare, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(stray_doc,
"stray(coefficients, table, observation, mean, evidence, seen, wanted, distance, high, wide, lanes, /)\n--\n\n"
"Fill distance, float32 [high, wide], and change seen, int16 [high, wide, 64]; see `state.py`.");

static PyObject *stray(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"seen", BLOCK, 2, 1, 0}, {"wanted", 1, 1, 0, 0}, {"distance", 1, 4, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 11, "stray") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.seen = a.buffers[5].buf, s.wanted = a.buffers[6].buf, s.distance = a.buffers[7].buf;
  RUN(stray, &s)
  release(&a);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(innovate_doc,
"innovate(coefficients, table, observation, mean, evidence, innovations, products, high, wide, lanes, /)\n--\n\n"
"Change innovations, int8 [high, wide, 64], and fill products, float32 [3, high, wide]; see `state.py`.");

static PyObject *innovate(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"innovations", BLOCK, 1, 1, 0}, {"products", 3, 4, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 10, "innovate") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.innovations = a.buffers[5].buf, s.products = a.buffers[6].buf;
  for (int i = 0; i < BLOCK; i++)
    s.is_ac[i] = i ? -1 : 0;
  RUN(innovate, &s)
  release(&a);
  return Py_NewRef(Py_None);
}

/* The group of several that is the last argument; if there is none, an exception is set */
static int take_group(State *s, const Arguments *a, PyObject *arguments)
{
  s->group = (size_t)PyLong_AsSsize_t(PyTuple_GetItem(arguments, PyTuple_Size(arguments) - 1)), s->groups = a->groups;
  if (!PyErr_Occurred() && s->group >= a->groups)
    PyErr_SetString(PyExc_ValueError, "there is no such group of components");
  return !PyErr_Occurred();
}

PyDoc_STRVAR(sense_doc,
"sense(coefficients, table, observation, mean, evidence, wanted, features, high, wide, lanes, groups, group, /)\n--\n\n"
"Fill one group of features, float32 [high + 2, wide + 2, groups, 4, 64], where wanted, uint8 [high, wide], is not 0; see\n"
"`state.py`.");

static PyObject *sense(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"wanted", 1, 1, 0, 0}, {"features", 4 * BLOCK, 4, 1, 0, 1}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 12, "sense") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.wanted = a.buffers[5].buf, s.features = a.buffers[6].buf;
  if (take_group(&s, &a, arguments)) {
    RUN(sense, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(take_judged_doc,
"take_judged(coefficients, table, observation, mean, evidence, wanted, own, logits, mean_after, evidence_after, high, wide,\n"
"            lanes, groups, group, /)\n--\n\n"
"Fill mean and evidence after the frame where wanted, uint8 [high, wide], is not 0, by one group of logits, float32\n"
"[high + 2, wide + 2, groups, 64]; see `state.py`.");

static PyObject *take_judged(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, TABLE, {"observation", 0, 4, 0, 0}, MEAN(0), EVIDENCE(0),
                                  {"wanted", 1, 1, 0, 0}, {"own", 0, 4, 0, 0}, {"logits", BLOCK, 4, 0, 0, 1},
                                  {"mean_after", BLOCK, 2, 1, 0}, {"evidence_after", BLOCK, 2, 1, 0}};
  Arguments a;
  State s;

  (void)module;
  if (!are(arguments, 15, "take_judged") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s = state_of(&a, 3, 4);
  s.wanted = a.buffers[5].buf, s.own = a.buffers[6].buf, s.logits = a.buffers[7].buf;
  s.mean_after = a.buffers[8].buf, s.evidence_after = a.buffers[9].buf;
  if (take_group(&s, &a, arguments)) {
    RUN(take_judged, &s)
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(believed_doc,
"believed(before, after, observation, wanted, share, high, wide, lanes, /)\n--\n\n"
"Fill share, float32 [high, wide], by the evidence before and after a frame, where wanted, uint8 [high, wide], is not 0;\n"
"see `history.py`.");

static PyObject *believed(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {{"before", BLOCK, 2, 0, 0}, {"after", BLOCK, 2, 0, 0}, {"observation", 0, 4, 0, 0},
                                  {"wanted", 1, 1, 0, 1}, {"share", 1, 4, 1, 0}};
  static const int first[] = {0, 1, SIDE};
  Arguments a;

  (void)module;
  if (!are(arguments, 8, "believed") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  const uint16_t *before = a.buffers[0].buf, *after = a.buffers[1].buf;
  const float *one = a.buffers[2].buf;
  const uint8_t *is_wanted = a.buffers[3].buf;
  float *share = a.buffers[4].buf;
  for (size_t block = 0; block < a.high * a.wide; block++, before += BLOCK, after += BLOCK) {
    float sum = 0;
    if (is_wanted && !is_wanted[block])
      continue;
    for (int i = 0; i < COUNT(first); i++) {
      float known = widen(before[first[i]]) * 0x1p112f, now = widen(after[first[i]]) * 0x1p112f;
      if (known > one[first[i]] / 16)
        sum += (now - one[first[i]]) / fmaxf(known, LEAST);
    }
    share[block] = sum / COUNT(first);
  }
  Py_END_ALLOW_THREADS
  release(&a);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(doubt_doc,
"doubt(evidence, held, evidence_after, high, wide, lanes, /)\n--\n\n"
"Fill evidence_after, float16 [high, wide, 64], with the share of the evidence that held, float32 [high, wide], says; see\n"
"`state.py`.");

static PyObject *doubt(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {EVIDENCE(0), {"held", 1, 4, 0, 0}, {"evidence_after", BLOCK, 2, 1, 0}};
  Arguments a;
  State s = {0};

  (void)module;
  if (!are(arguments, 6, "doubt") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  s.evidence = a.buffers[0].buf, s.held = a.buffers[1].buf, s.evidence_after = a.buffers[2].buf;
  s.high = a.high, s.wide = a.wide;
  RUN(doubt, &s)
  release(&a);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(brighten_doc,
"brighten(coefficients, mean, light, mean_after, high, wide, lanes, brighter, share, step, reach, unknown, /)\n--\n\n"
"Fill mean_after, int16 [high, wide, 64], with means of which the DC coefficients are in another light.  light: grey\n"
"levels, float32 [high, wide]; see `light.py`.");

static PyObject *brighten(PyObject *module, PyObject *arguments)
{
  static const Wanted wanted[] = {COEFFICIENTS, MEAN(0), {"light", 1, 4, 0, 0}, {"mean_after", BLOCK, 2, 1, 0}};
  Arguments a;
  float numbers[5];

  (void)module;
  if (!are(arguments, 12, "brighten") || !take_arguments(&a, arguments, wanted, COUNT(wanted)))
    return NULL;
  for (int i = 0; i < COUNT(numbers); i++)
    numbers[i] = (float)number(arguments, 7 + i);
  if (!PyErr_Occurred()) {
    Py_BEGIN_ALLOW_THREADS
    const int16_t *k = a.buffers[0].buf, *mean = a.buffers[1].buf;
    const float *light = a.buffers[2].buf;
    int16_t *after = a.buffers[3].buf;
    float brighter = numbers[0], share = numbers[1], step = numbers[2], reach = numbers[3], unknown = numbers[4];
    for (size_t block = 0; block < a.high * a.wide; block++, k += BLOCK, mean += BLOCK, after += BLOCK) {
      float before = mean[0] / 16.0f, more = brighter * before + share * light[block], away = k[0] * step - before;
      memcpy(after, mean, BLOCK * sizeof *mean);
      if (!(fabsf(away) < reach && fabsf(away - more) >= reach + unknown)) /* or else it does not take part */
        after[0] = (int16_t)rintf(fminf(fmaxf(mean[0] + more * 16, INT16_MIN), INT16_MAX));
    }
    Py_END_ALLOW_THREADS
  }
  release(&a);
  return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
  {"brighten", brighten, METH_VARARGS, brighten_doc},
  {"doubt", doubt, METH_VARARGS, doubt_doc},
  {"sense", sense, METH_VARARGS, sense_doc},
  {"take_judged", take_judged, METH_VARARGS, take_judged_doc},
  {"believed", believed, METH_VARARGS, believed_doc},
  {"observe", observe, METH_VARARGS, observe_doc},
  {"take", take, METH_VARARGS, take_doc},
  {"enter", enter, METH_VARARGS, enter_doc},
  {"restore", restore, METH_VARARGS, restore_doc},
  {"take_still", take_still, METH_VARARGS, take_still_doc},
  {"restore_still", restore_still, METH_VARARGS, restore_still_doc},
  {"compare", compare, METH_VARARGS, compare_doc},
  {"stray", stray, METH_VARARGS, stray_doc},
  {"innovate", innovate, METH_VARARGS, innovate_doc},
  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
  {0, NULL},
};

static struct PyModuleDef definition = {
  .m_base = PyModuleDef_HEAD_INIT,
  .m_name = "_state",
  .m_doc = "What a camera's stream remembers of its blocks, on the CPU.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__state(void)
{
  most_lanes = detect_lanes();
  return PyModuleDef_Init(&definition);
}
