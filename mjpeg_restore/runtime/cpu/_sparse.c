/* Convolutions of a picture's features where they are wanted; see `sparse.py`.
 *
 * `convolve` computes layers of a network at the cells of a picture that are wanted, and around them; `share` and `join`
 * do so by several threads.  Features are stored with all channels of a place side by side, and with a border of one
 * place around the picture, so that no kernel reaches beyond them.  Int8 features and weights are multiplied as such.
 * All else is float32, which becomes bfloat16 to be multiplied, if a layer asks for that and the CPU can.
 * `fill` gives the places next to what will be computed the value that stands for nothing.
 * All but `share` release the GIL.  The only globals are constants, and what is known of the CPU.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "_module.h"

#define BORDER 1
#define MOST_CHANNELS 1024
#define MOST_SIDE 8
#define TILE_ROW 64 /* bytes */
#define LINE 64 /* of a cache, bytes */
#define MOST_HIGH 16 /* places of a box, as many as have their input at hand */
#define MOST_WIDE 32
#define SQUARE 4 /* places of a side of what is computed at once, if it is: see `_sparse_winograd.h` */
#define POINTS (SQUARE + 2) /* places of a side of what it is computed of */
#define MOST_SQUARES (MOST_WIDE / SQUARE)

/* Where a layer is computed: at wanted cells, and so far around them */
typedef struct {
  const uint8_t *cells; /* [cells_high, cells_wide] */
  Py_ssize_t cells_high, cells_wide;
  Py_ssize_t down, across; /* places of a cell */
  Py_ssize_t reach_down, reach_across; /* places around it */
  Py_ssize_t high, wide;   /* places of the picture */
  uint8_t *any;            /* [cells_wide]: whether a cell is wanted that a row of places is in reach of */
  Py_ssize_t first, behind; /* the rows of cells that `any` tells of */
} Region;

typedef struct {
  Region region;
  const uint8_t *bytes;   /* [bordered high, bordered wide, channels], or NULL */
  const float *numbers;   /* [planes, bordered high, bordered wide, channels], if there are no bytes */
  Py_ssize_t planes, input_high, input_wide, channels; /* without the border */
  Py_ssize_t kernel, stride_down, stride_across, padding;
  const void *weights;    /* [groups, planes, kernel, kernel * channels, LANES], int8 by fours, bfloat16 by pairs, or
                             float32; the last group ends with the last output, and shares some with the one before if it
                             must.  For tiles zeros follow each row of taps.  Halved: their upper halves for both halves
                             of the numbers, and then their lower halves, for the upper ones.  For squares [groups, POINTS,
                             POINTS, channels, LANES] */
  uint16_t *pairs;        /* [planes, rows, pairs_line], the numbers that a box is computed of, as bfloat16; or NULL: they are
                             multiplied as float32.  Halved: [rows, places, 2, half], squares of numbers: see `halve` */
  Py_ssize_t pairs_high, pairs_line; /* rows of all planes, 0 if there are none; numbers of one */
  Py_ssize_t half;        /* numbers of a place that are halved, with the zeros that fill them; 0 if they are not */
  Py_ssize_t tap_rows, tap_row; /* for tiles: rows of a place's taps, and bytes of one, with the zeros that fill it */
  int gathers;
  uint8_t *gathered;      /* [MOST_WIDE, tap_rows, tap_row], the taps of some places, and zeros, if it gathers them */
  void *squares;          /* from its first whole cache line on what squares are computed of, and its products with the
                             weights: see `_sparse_winograd.h` */
  Py_ssize_t squares_size; /* bytes, 0 if places are computed one by one */
  const float *scale;     /* [outputs], of what int8 makes; NULL for float32 */
  const float *bias;      /* [outputs] */
  Py_ssize_t outputs;     /* channels */
  const float *added, *also; /* [bordered high, bordered wide, outputs] of the output, and so are the next two; or NULL */
  float *sums;
  uint8_t *rounded;
  uint16_t *halves;       /* [high, wide, outputs], or NULL */
  Py_ssize_t spread, row, column; /* a place of the region is this place of a square of the output's */
  float inverse, zero;    /* a number becomes the byte number * inverse + zero */
  int rectify;            /* negative numbers become 0: 1: at last, 2: before others are added */
} Layer;

/* Places of a picture that are computed one after the other: no more than MOST_HIGH by MOST_WIDE */
typedef struct {
  Py_ssize_t y, x, high, wide;
} Box;

/* Memory of squares, and rows of places that are computed at once */
static inline float *squares_of(const Layer *l) { return (float *)(((uintptr_t)l->squares + LINE - 1) / LINE * LINE); }
static inline Py_ssize_t rows_at_once(const Layer *l) { return l->squares_size ? SQUARE : 1; }

/* Rows that so many rows of a box are computed of, and numbers in one of these for so many columns */
static inline Py_ssize_t pairs_high(const Layer *l, Py_ssize_t high) { return (high - 1) * l->stride_down + l->kernel; }
static inline Py_ssize_t pairs_wide(const Layer *l, Py_ssize_t wide)
{
  return ((wide - 1) * l->stride_across + l->kernel) * l->channels;
}

/* The rows of cells that a row of places is in reach of: from `*first` up to but without `*behind` */
static void find_reach(const Region *r, Py_ssize_t y, Py_ssize_t *first, Py_ssize_t *behind)
{
  *first = y < r->reach_down ? 0 : (y - r->reach_down) / r->down, *behind = (y + r->reach_down) / r->down + 1;
  if (*behind > r->cells_high)
    *behind = r->cells_high;
}

/* Add cells that are wanted: many at a time, as both are known to lie apart */
static void add_row(uint8_t *restrict any, const uint8_t *restrict cells, Py_ssize_t count)
{
  for (Py_ssize_t x = 0; x < count; x++)
    any[x] |= cells[x];
}

/* Look which cells a row of places is in reach of */
static void begin_row(Region *r, Py_ssize_t y)
{
  Py_ssize_t first, behind;

  find_reach(r, y, &first, &behind);
  if (r->first == first && r->behind == behind) /* as of the row before */
    return;
  r->first = first, r->behind = behind;
  memset(r->any, 0, (size_t)r->cells_wide);
  for (Py_ssize_t row = first; row < behind; row++)
    add_row(r->any, r->cells + row * r->cells_wide, r->cells_wide);
}

/* Whether a row of places is in reach of the same rows of cells as that which was begun */
static int is_alike(const Region *r, Py_ssize_t y)
{
  Py_ssize_t first, behind;

  find_reach(r, y, &first, &behind);
  return first == r->first && behind == r->behind;
}

/* The next places of the row without a gap, from `*begin` up to but without `*end`; 0 if there are no more.  `*cell` is 0
   at first. */
static int next_span(const Region *r, Py_ssize_t *cell, Py_ssize_t *begin, Py_ssize_t *end)
{
  Py_ssize_t x = *cell, before, after;

  while (x < r->cells_wide && !r->any[x])
    x++;
  if (x == r->cells_wide)
    return 0;
  before = x * r->across - r->reach_across, after = before;
  for (; x < r->cells_wide && x * r->across - r->reach_across <= after; x++)
    if (r->any[x])
      after = (x + 1) * r->across + r->reach_across;
  *cell = x;
  *begin = before < 0 ? 0 : before, *end = after < r->wide ? after : r->wide;
  return 1;
}

#if CAN_COMPILE_AVX2
#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#define LANES 8
#define KIND 8
#define HAS_FOURS 0
#include "_sparse_kernel.h"
#pragma GCC pop_options
#if __GNUC__ >= 12 /* older ones may come with an assembler that does not know the instruction */
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")
#define LANES 8
#define KIND fours
#define HAS_FOURS 1
#include "_sparse_kernel.h"
#pragma GCC pop_options
#else
#define convolve_fours convolve_8
#endif
#pragma GCC push_options
#if __GNUC__ >= 11 && defined(__linux__)
#define TILE_DATA 18 /* XFEATURE_XTILE_DATA */
#define HAS_TILES 1 /* whether the kernels are compiled: `sparse.py` chooses among those that the CPU has */
#define HAS_PAIRS 1
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16")
#elif __GNUC__ >= 10
#define HAS_TILES 0
#define HAS_PAIRS 1
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")
#else
#define HAS_TILES 0
#define HAS_PAIRS 0
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#endif
#define LANES 16
#define KIND 16
#define HAS_FOURS 1
#include "_sparse_kernel.h"
#pragma GCC pop_options

/* Whether this CPU multiplies bytes by four with vectors of 8 numbers (AVX-VNNI), and the compiler knew how */
static int detect_fours(void)
{
  unsigned int a, b, c, d;

  return __GNUC__ >= 12 && detect_lanes() >= 8 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

/* Whether this CPU multiplies pairs of bfloat16 (AVX512_BF16), and the compiler knew how */
static int detect_pairs(void)
{
  unsigned int a, b, c, d;

  return HAS_PAIRS && detect_lanes() == 16 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 5);
}

/* Whether Intel made this CPU */
static int detect_intel(void)
{
  unsigned int most, b, c, d;

  return __get_cpuid(0, &most, &b, &c, &d) && b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
}

/* Whether this CPU multiplies tiles of bytes and of bfloat16 (AMX), the system knows of them, and the compiler knew how */
static int detect_tiles(void)
{
#if HAS_TILES
  unsigned int a, b, c, d;
  unsigned long features = 0;
  const unsigned int wanted = 1u << 22 | 1u << 24 | 1u << 25; /* AMX-BF16, AMX-TILE, AMX-INT8 */

  return detect_pairs() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted &&
         syscall(SYS_arch_prctl, 0x1021, &features) == 0 && features >> TILE_DATA & 1; /* ARCH_GET_XCOMP_SUPP */
#else
  return 0;
#endif
}
#else
static int detect_fours(void) { return 0; }
static int detect_pairs(void) { return 0; }
static int detect_tiles(void) { return 0; }
static int detect_intel(void) { return 0; }
static void convolve_8(const Layer *layer, Box box) { (void)layer, (void)box; }
static void convolve_fours(const Layer *layer, Box box) { (void)layer, (void)box; }
static void convolve_16(const Layer *layer, Box box) { (void)layer, (void)box; }
static void convolve_squares_8(const Layer *layer, Box box) { (void)layer, (void)box; }
static void convolve_squares_16(const Layer *layer, Box box) { (void)layer, (void)box; }
#endif
#if !HAS_TILES
static void begin_tiles(void) {}
static void end_tiles(void) {}
static void convolve_tiles(const Layer *layer, Box box) { (void)layer, (void)box; }
#endif

/* Numbers in the widest vector that the CPU has; 0: there are no kernels for it.  And whether it multiplies fours, pairs,
   and tiles.  A module sets them when it is loaded. */
static int most_lanes, has_fours, has_pairs, has_tiles;

/* Whether this process may multiply tiles.  Linux has to be asked for the registers' room in the memory of all threads; it
   may be again.  From then on a thread's stack for signals needs that room, too, and where one has less Linux refuses. */
static int ask_for_tiles(void)
{
#if HAS_TILES
  return has_tiles && syscall(SYS_arch_prctl, 0x1023, TILE_DATA) == 0; /* ARCH_REQ_XCOMP_PERM */
#else
  return 0;
#endif
}

/* How a layer's products are made */
enum { SINGLES, PAIRS, TILES, HALVED_TILES, FOURS, SQUARES };

/* Compute rows of a layer, box by box: below each other lie rows that are in reach of the same cells */
static void convolve_rows(Layer *l, void (*convolve)(const Layer *, Box), Py_ssize_t first_row, Py_ssize_t behind_row)
{
  Box box = {.y = first_row};

  for (; box.y < behind_row; box.y += box.high) {
    Py_ssize_t cell = 0, end;
    begin_row(&l->region, box.y);
    for (box.high = 1; box.high < MOST_HIGH && box.y + box.high < behind_row; box.high++)
      if (!is_alike(&l->region, box.y + box.high))
        break;
    while (next_span(&l->region, &cell, &box.x, &end))
      for (; box.x < end; box.x += box.wide) {
        box.wide = end - box.x < MOST_WIDE ? end - box.x : MOST_WIDE;
        convolve(l, box);
      }
  }
}

#include "_sparse_order.h"

/* ---- the Python module ---- */

/* Whether a buffer fits, or is absent; if not, an exception is set */
static int may_fit(const Py_buffer *buffer, Py_ssize_t count, Py_ssize_t size, const char *name)
{
  return !buffer->obj || fits(buffer, (size_t)count, (size_t)size, name);
}

/* Whether a buffer may be written, or is absent; if not, an exception is set */
static int is_writable(const Py_buffer *buffer, const char *name)
{
  if (!buffer->obj || !buffer->readonly)
    return 1;
  PyErr_Format(PyExc_ValueError, "%s: memory that is read-only", name);
  return 0;
}

/* Whether a region is one: no larger than its cells, and all of them begin in it; if not, an exception is set */
static int is_region(const Region *r, const Py_buffer *cells)
{
  if (r->cells_high > 0 && r->cells_wide > 0 && r->down > 0 && r->across > 0 && r->reach_down >= 0 &&
      r->reach_across >= 0 && r->high > 0 && r->wide > 0 && r->down < 1 << 12 && r->across < 1 << 12 &&
      r->reach_down < 1 << 12 && r->reach_across < 1 << 12 && r->cells_high < 1 << 16 && r->cells_wide < 1 << 16 &&
      r->high < 1 << 20 && r->wide < 1 << 20 && r->high <= r->cells_high * r->down &&
      r->wide <= r->cells_wide * r->across && r->high > (r->cells_high - 1) * r->down &&
      r->wide > (r->cells_wide - 1) * r->across)
    return may_fit(cells, r->cells_high * r->cells_wide, 1, "cells");
  PyErr_SetString(PyExc_ValueError, "these cells make no region of a picture");
  return 0;
}

/* Whether a layer consists of squares, whatever is wanted of it */
static int has_squares(const Layer *l, int lanes)
{
  const Region *r = &l->region;

  return !l->bytes && l->planes == 1 && l->channels % lanes == 0 && l->kernel == POINTS - SQUARE + 1 && l->padding == 1 &&
         l->stride_down == 1 && l->stride_across == 1 && l->spread == 1 && r->high % SQUARE == 0 && r->wide % SQUARE == 0 &&
         r->down % SQUARE == 0 && r->across % SQUARE == 0 && r->reach_down % SQUARE == 0 && r->reach_across % SQUARE == 0;
}

/* Whether a layer stays within its buffers; if not, an exception is set */
static int is_layer(const Layer *l, int lanes, int products)
{
  const Region *r = &l->region;
  Py_ssize_t reach = BORDER - l->padding;

  if (l->planes > 0 && l->channels > 0 && l->outputs > 0 && l->channels <= MOST_CHANNELS && l->outputs <= MOST_CHANNELS &&
      l->planes <= MOST_SIDE && l->kernel > 0 && l->kernel <= MOST_SIDE && l->stride_down > 0 && l->stride_across > 0 &&
      l->stride_down <= MOST_SIDE && l->stride_across <= MOST_SIDE && l->padding >= 0 && l->padding <= BORDER &&
      l->spread > 0 && l->spread <= MOST_SIDE && l->row >= 0 && l->row < l->spread && l->column >= 0 &&
      l->column < l->spread && l->rectify >= 0 && l->rectify <= 2 && l->input_high > 0 && l->input_wide > 0 &&
      l->input_high < 1 << 20 && l->input_wide < 1 << 20 && !(l->bytes && (l->planes > 1 || l->channels % 4)) &&
      !(products == FOURS && !l->bytes) && !(products == PAIRS && (l->bytes || l->kernel * l->channels % 2)) && l->outputs >= lanes &&
      !(products == SQUARES && !has_squares(l, lanes)) &&
      !(products == HALVED_TILES &&
        (l->bytes || l->channels > 1 || l->kernel % 2 || l->stride_down != 2 || l->stride_across != 2)) &&
      (r->high - 1) * l->stride_down + l->kernel + reach <= l->input_high + 2 * BORDER &&
      (r->wide - 1) * l->stride_across + l->kernel + reach <= l->input_wide + 2 * BORDER && !(l->halves && l->spread > 1))
    return 1;
  PyErr_SetString(PyExc_ValueError, "these sizes make no layer");
  return 0;
}

/* Whether no output is added to what it has become; if not, an exception is set */
static int adds_once(const Layer *l, int lanes)
{
  if (l->outputs % lanes == 0 || !l->sums || (l->sums != l->added && l->sums != l->also))
    return 1;
  PyErr_SetString(PyExc_ValueError, "outputs that two groups share cannot take the place of what is added");
  return 0;
}

/* Buffers of a layer, in the order of its arguments */
enum { INPUT_BUFFER, WEIGHTS, SCALE, BIAS, ADDED_BUFFER, ALSO_BUFFER, SUMS_BUFFER, ROUNDED_BUFFER, HALVES_BUFFER, CELLS, TAKEN };

/* The memory that a thread computes a layer in; 0 if there is none */
static int give_memory(Layer *l)
{
  l->region.any = PyMem_Calloc((size_t)l->region.cells_wide, 1), l->pairs = NULL, l->gathered = NULL, l->squares = NULL;
  if (l->pairs_high)
    l->pairs = PyMem_Calloc((size_t)(l->pairs_high * l->pairs_line), sizeof *l->pairs);
  if (l->gathers)
    l->gathered = PyMem_Calloc(MOST_WIDE, (size_t)(l->tap_rows * l->tap_row));
  if (l->squares_size)
    l->squares = PyMem_Calloc((size_t)l->squares_size, 1);
  return l->region.any && (l->pairs || !l->pairs_high) && (l->gathered || !l->gathers) && (l->squares || !l->squares_size);
}

/* A layer of its arguments, and how it is computed; if it is none, an exception is set.  The caller releases the buffers in
   either case. */
static int take_layer(PyObject *arguments, Layer *l, Py_buffer *taken, void (**convolve)(const Layer *, Box))
{
  Region *r = &l->region;
  int lanes, products, are_tiles;

  if (!PyTuple_Check(arguments)) {
    PyErr_SetString(PyExc_TypeError, "a layer is a tuple");
    return 0;
  }
  if (!PyArg_ParseTuple(arguments, "y*y*z*y*z*z*z*z*z*y*(nnnnnnnn)(nnnnnnnnnnnnii)ffi", &taken[INPUT_BUFFER], &taken[WEIGHTS],
                        &taken[SCALE], &taken[BIAS], &taken[ADDED_BUFFER], &taken[ALSO_BUFFER], &taken[SUMS_BUFFER],
                        &taken[ROUNDED_BUFFER], &taken[HALVES_BUFFER], &taken[CELLS], &r->cells_high, &r->cells_wide, &r->down,
                        &r->across, &r->reach_down, &r->reach_across, &r->high, &r->wide, &l->planes, &l->input_high,
                        &l->input_wide, &l->channels, &l->kernel, &l->stride_down, &l->stride_across, &l->padding, &l->outputs, &l->spread, &l->row,
                        &l->column, &l->rectify, &products, &l->inverse, &l->zero, &lanes)) {
    memset(taken, 0, TAKEN * sizeof *taken); /* none is held */
    return 0;
  }
  r->cells = taken[CELLS].buf;
  l->weights = taken[WEIGHTS].buf, l->scale = taken[SCALE].buf, l->bias = taken[BIAS].buf;
  l->bytes = l->scale ? taken[INPUT_BUFFER].buf : NULL, l->numbers = l->scale ? NULL : taken[INPUT_BUFFER].buf;
  l->added = taken[ADDED_BUFFER].buf, l->also = taken[ALSO_BUFFER].buf;
  l->sums = taken[SUMS_BUFFER].buf, l->rounded = taken[ROUNDED_BUFFER].buf, l->halves = taken[HALVES_BUFFER].buf;
  are_tiles = products == TILES || products == HALVED_TILES;
  if ((lanes != 8 && lanes != 16) || lanes > most_lanes) {
    PyErr_Format(PyExc_ValueError, "this CPU has no vectors of %d numbers", lanes);
    return 0;
  }
  if (products < SINGLES || products > SQUARES || (products == PAIRS && (!has_pairs || lanes != 16)) ||
      (are_tiles && (lanes != 16 || !ask_for_tiles())) || (products == FOURS && (!has_fours || lanes != 8))) {
    PyErr_SetString(PyExc_ValueError, "this CPU has no such products");
    return 0;
  }
  if (!is_region(r, &taken[CELLS]) || !is_layer(l, lanes, products) || !adds_once(l, lanes))
    return 0;
  Py_ssize_t places = (l->input_high + 2 * BORDER) * (l->input_wide + 2 * BORDER) * l->channels * l->planes;
  Py_ssize_t groups = (l->outputs + lanes - 1) / lanes, size = l->bytes ? 1 : 4;
  Py_ssize_t weight = l->bytes ? 1 : products == SINGLES || products == SQUARES ? 4 : 2;
  Py_ssize_t taps = l->planes * l->kernel * l->kernel * l->channels * weight;
  Py_ssize_t out = (l->spread * r->high + 2 * BORDER) * (l->spread * r->wide + 2 * BORDER) * l->outputs;
  if (products == TILES) {
    l->tap_rows = l->channels > 1 && l->planes == 1 ? l->kernel : 1;
    l->tap_row = (taps / l->tap_rows + TILE_ROW - 1) / TILE_ROW * TILE_ROW;
    taps = l->tap_rows * l->tap_row;
  } else if (products == HALVED_TILES) {
    l->half = (4 * l->planes + 15) / 16 * 16;
    l->pairs_line = (MOST_WIDE + l->kernel / 2 + 6) / 8 * 8 * 2 * l->half; /* eight places are halved at a time */
    l->tap_rows = l->kernel, l->tap_row = l->kernel / 2 * 4 * l->half;
    taps = l->tap_rows * l->tap_row;
  } else if (products == SQUARES)
    taps = POINTS * POINTS * l->channels * weight;
  if (!may_fit(&taken[INPUT_BUFFER], places, size, "input") ||
      !may_fit(&taken[WEIGHTS], groups * lanes * taps / weight, weight, "weights") ||
      !may_fit(&taken[SCALE], l->outputs, 4, "scale") || !may_fit(&taken[BIAS], l->outputs, 4, "bias") ||
      !may_fit(&taken[ADDED_BUFFER], out, 4, "added") || !may_fit(&taken[ALSO_BUFFER], out, 4, "also") ||
      !may_fit(&taken[SUMS_BUFFER], out, 4, "sums") || !may_fit(&taken[ROUNDED_BUFFER], out, 1, "rounded") ||
      !may_fit(&taken[HALVES_BUFFER], r->high * r->wide * l->outputs, 2, "halves") ||
      !is_writable(&taken[SUMS_BUFFER], "sums") || !is_writable(&taken[ROUNDED_BUFFER], "rounded") ||
      !is_writable(&taken[HALVES_BUFFER], "halves"))
    return 0;
  if (products == HALVED_TILES)
    l->pairs_high = MOST_HIGH + l->kernel / 2 - 1;
  else if (!l->bytes && weight == 2) {
    l->pairs_line = pairs_wide(l, MOST_WIDE) + TILE_ROW / 2; /* a tile reads so much further */
    l->pairs_high = l->planes * pairs_high(l, MOST_HIGH);
  }
  l->gathers = products == TILES;
  if (products == SQUARES) {
    l->squares_size = POINTS * POINTS * MOST_SQUARES * (l->channels + 2 * lanes) * (Py_ssize_t)sizeof(float) + LINE;
    *convolve = lanes == 16 ? convolve_squares_16 : convolve_squares_8;
  } else
    *convolve = are_tiles ? convolve_tiles : lanes == 16 ? convolve_16 : products == FOURS ? convolve_fours : convolve_8;
  return 1;
}

PyDoc_STRVAR(convolve_doc,
"convolve(layers, /)\n--\n\n"
"Compute layers where they are wanted; see `sparse.py`. A layer is a tuple of\n\n"
"    input: uint8 [high + 2, wide + 2, channels], or without scale float32 [planes, high + 2, wide + 2, channels];\n"
"    weights: [groups, planes, kernel, kernel channels, lanes], int8 by four channels, bfloat16 by pairs, or float32; the\n"
"        last group is that of the last outputs, also where those before it have some of them; for tiles zeros follow\n"
"        each row of kernel channels, or if there are several planes or one channel, all rows, up to a whole number of 64\n"
"        bytes; for halved tiles [groups, 2 halves, kernel / 2, kernel / 2, 2 halves, 4 planes and zeros up to a whole\n"
"        number of 16, lanes] by pairs, where the last 4 are the rows and columns of a square of samples; for squares of\n"
"        places float32 [groups, 6, 6, channels, lanes], transformed;\n"
"    scale, bias: float32 [outputs]; scale is None for a layer of numbers;\n"
"    added, also: what is added, sums, rounded: what is written, float32 and uint8 [output high + 2, output wide + 2,\n"
"        outputs]; halves: float16 [output high, output wide, outputs]; each may be None;\n"
"    cells: uint8 [cells_high, cells_wide], 0 for those that are not wanted;\n"
"    region: cells_high, cells_wide, down, across, reach down and across, high, wide;\n"
"    shape: planes, input high, input wide, channels, kernel, stride down, stride across, padding, outputs, spread, row,\n"
"        column, rectify, products: 0: of bytes, or of numbers, 1: of pairs of bfloat16, 2: of tiles of bytes or\n"
"        bfloat16, 3: of tiles of bfloat16, numbers and weights halved into two each: planes of one channel, of an even\n"
"        kernel and a stride of 2, 4: of bytes by four, with 8 lanes: with 16 they always are, 5: of numbers, for squares\n"
"        of 4x4 places at once, of a kernel of 3 and whole vectors of channels, where all lengths of the region are\n"
"        multiples of 4;\n"
"    inverse, zero: a number becomes the byte number * inverse + zero;\n"
"    lanes: numbers in a vector.\n\n"
"Raises ValueError if the sizes of one do not go together, and then computes none.");

/* Layers, and the buffers that they hold */
typedef struct {
  Shared shared;
  Py_buffer *buffers; /* [count, TAKEN] */
  int have_tiles;
} Work;

static void free_work(Work *work)
{
  Shared *shared = &work->shared;

  for (Py_ssize_t i = 0; shared->layers && i < (Py_ssize_t)shared->threads * shared->count; i++) {
    Layer *l = &shared->layers[i];
    PyMem_Free(l->region.any), PyMem_Free(l->pairs), PyMem_Free(l->gathered), PyMem_Free(l->squares);
  }
  for (Py_ssize_t i = 0; work->buffers && i < (Py_ssize_t)shared->count * TAKEN; i++)
    PyBuffer_Release(&work->buffers[i]);
  PyMem_Free(work->buffers), PyMem_Free(shared->is_finished), PyMem_Free(shared->layers), PyMem_Free(work);
}

/* Layers of their arguments, for so many threads; NULL if they are none, and then an exception is set */
static Work *take_work(PyObject *arguments, int threads)
{
  Py_ssize_t count = PySequence_Size(arguments);
  Work *work;
  Shared *shared;
  int are_layers = 1;

  if (count < 0)
    return NULL;
  if (count == 0 || count > MOST_LAYERS) {
    PyErr_Format(PyExc_ValueError, "%zd layers make no network", count);
    return NULL;
  }
  if (!(work = PyMem_Calloc(1, sizeof *work))) {
    PyErr_NoMemory();
    return NULL;
  }
  shared = &work->shared, shared->count = (int)count, shared->threads = threads;
  shared->layers = PyMem_Calloc((size_t)(threads * count), sizeof *shared->layers);
  work->buffers = PyMem_Calloc((size_t)count * TAKEN, sizeof *work->buffers);
  if (!shared->layers || !work->buffers)
    are_layers = 0, PyErr_NoMemory();
  for (Py_ssize_t i = 0; are_layers && i < count; i++) {
    PyObject *one = PySequence_GetItem(arguments, i);
    Layer *layer = &shared->layers[i];
    are_layers = one && take_layer(one, layer, work->buffers + i * TAKEN, &shared->convolve[i]);
    Py_XDECREF(one); /* the buffers hold the memory */
    for (int thread = 0; are_layers && thread < threads; thread++) {
      shared->layers[thread * count + i] = *layer;
      if (!give_memory(&shared->layers[thread * count + i]))
        are_layers = 0, PyErr_NoMemory();
    }
    work->have_tiles |= shared->convolve[i] == convolve_tiles;
  }
  if (are_layers)
    return work;
  free_work(work);
  return NULL;
}

static PyObject *convolve(PyObject *module, PyObject *arguments)
{
  Work *work = take_work(arguments, 1);
  Shared *shared;

  (void)module;
  if (!work)
    return NULL;
  shared = &work->shared, shared->order.layers = shared->layers, shared->order.count = shared->count;
  Py_BEGIN_ALLOW_THREADS
  if (work->have_tiles)
    begin_tiles();
  compute_layers(&shared->order, shared->convolve);
  if (work->have_tiles)
    end_tiles();
  Py_END_ALLOW_THREADS
  free_work(work);
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(share_doc,
"share(layers, threads, /)\n--\n\n"
"Layers, as `convolve` takes them, for `join`; they hold their buffers until nobody refers to them any more.\n\n"
"Raises ValueError if the sizes of one do not go together, or for fewer than one thread, or more than 256.");

static const char work_name[] = "mjpeg_restore.runtime.cpu._sparse.work";

static void free_capsule(PyObject *capsule) { free_work(PyCapsule_GetPointer(capsule, work_name)); }

static PyObject *share(PyObject *module, PyObject *arguments)
{
  PyObject *layers, *capsule;
  Work *work;
  int threads;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "Oi", &layers, &threads))
    return NULL;
  if (threads < 1 || threads > MOST_THREADS) {
    PyErr_Format(PyExc_ValueError, "%d threads cannot share layers", threads);
    return NULL;
  }
  if (!(work = take_work(layers, threads)))
    return NULL;
  if (!divide_layers(&work->shared))
    PyErr_NoMemory();
  else if ((capsule = PyCapsule_New(work, work_name, free_capsule)))
    return capsule;
  free_work(work);
  return NULL;
}

PyDoc_STRVAR(join_doc,
"join(work, /)\n--\n\n"
"Compute shares of layers, that `share` gave, until all are computed: called by each thread that has come to do so, and by one\n"
"at least. A thread more than they are for returns at once.");

static PyObject *join(PyObject *module, PyObject *capsule)
{
  Work *work = PyCapsule_GetPointer(capsule, work_name);

  (void)module;
  if (!work)
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  if (work->have_tiles)
    begin_tiles();
  compute_shares(&work->shared);
  if (work->have_tiles)
    end_tiles();
  Py_END_ALLOW_THREADS
  return Py_NewRef(Py_None);
}

PyDoc_STRVAR(fill_doc,
"fill(buffer, byte, size, cells, region, /)\n--\n\n"
"Set all bytes of the places next to a region in a buffer [high + 2, wide + 2, size] to one value; see `sparse.py`.\n\n"
"Raises ValueError if the sizes do not go together.");

/* Set bytes of some lines */
static void fill_lines(uint8_t *to, Py_ssize_t lines, Py_ssize_t line, int byte, Py_ssize_t bytes)
{
  for (; lines; lines--, to += line)
    memset(to, byte, (size_t)bytes);
}

/* Set the places next to a region, whose row of cells has as much room again */
static void fill_around(Region *region, uint8_t *buffer, int byte, Py_ssize_t size)
{
  Region around = *region;
  Py_ssize_t line = (region->wide + 2 * BORDER) * size, high;

  around.reach_down += BORDER, around.reach_across += BORDER, around.any += around.cells_wide;
  for (Py_ssize_t y = 0; y < region->high; y += high) {
    Py_ssize_t cell = 0, inner = 0, begin, end, left = 0, right = 0;
    uint8_t *first = buffer + (y + BORDER) * line + BORDER * size;
    begin_row(region, y), begin_row(&around, y);
    for (high = 1; y + high < region->high && is_alike(region, y + high) && is_alike(&around, y + high); high++)
      ;
    int more = next_span(region, &inner, &left, &right);
    while (next_span(&around, &cell, &begin, &end)) {
      for (; more && left < end; more = next_span(region, &inner, &left, &right)) {
        fill_lines(first + begin * size, high, line, byte, (left - begin) * size);
        begin = right;
      }
      fill_lines(first + begin * size, high, line, byte, (end - begin) * size);
    }
  }
}

static PyObject *fill(PyObject *module, PyObject *arguments)
{
  Py_buffer buffer, cells;
  Region r = {0};
  Py_ssize_t size;
  int byte;
  PyObject *result = NULL;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "w*iny*(nnnnnnnn)", &buffer, &byte, &size, &cells, &r.cells_high, &r.cells_wide, &r.down,
                        &r.across, &r.reach_down, &r.reach_across, &r.high, &r.wide))
    return NULL;
  r.cells = cells.buf;
  if (size <= 0 || size > 4 * MOST_CHANNELS)
    PyErr_SetString(PyExc_ValueError, "places of that size make no features");
  else if (is_region(&r, &cells) && may_fit(&buffer, (r.high + 2 * BORDER) * (r.wide + 2 * BORDER) * size, 1, "buffer")) {
    r.any = PyMem_Malloc(2 * (size_t)r.cells_wide);
    if (r.any) {
      Py_BEGIN_ALLOW_THREADS
      fill_around(&r, buffer.buf, byte, size);
      Py_END_ALLOW_THREADS
      PyMem_Free(r.any);
      result = Py_NewRef(Py_None);
    } else
      PyErr_NoMemory();
  }
  PyBuffer_Release(&buffer), PyBuffer_Release(&cells);
  return result;
}

PyDoc_STRVAR(ask_doc,
"ask_for_tiles()\n--\n\n"
"Ask the system for the registers of tiles, for the whole process: whether it may multiply tiles.");

static PyObject *ask(PyObject *module, PyObject *nothing)
{
  (void)module, (void)nothing;
  return PyBool_FromLong(ask_for_tiles());
}

static PyMethodDef methods[] = {
  {"ask_for_tiles", ask, METH_NOARGS, ask_doc},
  {"convolve", convolve, METH_O, convolve_doc},
  {"share", share, METH_VARARGS, share_doc},
  {"join", join, METH_O, join_doc},
  {"fill", fill, METH_VARARGS, fill_doc},
  {NULL, NULL, 0, NULL},
};

static int set_up(PyObject *module)
{
  most_lanes = detect_lanes(), has_fours = detect_fours(), has_pairs = detect_pairs(), has_tiles = detect_tiles();
  if (PyModule_AddIntConstant(module, "lanes", most_lanes) < 0)
    return -1;
  if (PyModule_AddObjectRef(module, "fours", has_fours ? Py_True : Py_False) < 0)
    return -1;
  if (PyModule_AddObjectRef(module, "pairs", has_pairs ? Py_True : Py_False) < 0)
    return -1;
  if (PyModule_AddObjectRef(module, "intel", detect_intel() ? Py_True : Py_False) < 0)
    return -1;
  return PyModule_AddObjectRef(module, "tiles", has_tiles ? Py_True : Py_False);
}

static PyModuleDef_Slot slots[] = {
  {Py_mod_exec, set_up},
#ifdef Py_mod_multiple_interpreters
  {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
  {0, NULL},
};

static struct PyModuleDef definition = {
  PyModuleDef_HEAD_INIT,
  .m_name = "_sparse",
  .m_doc = "Convolutions where they are wanted; see sparse.py.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__sparse(void) { return PyModuleDef_Init(&definition); }
