/* Rectangles that cover the cells of a picture which need a network, and their places in a picture for it; see
 * `rectangles.py` and `packing.py`.  Both are small searches over whole numbers, for every frame.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 1e9  /* of lengths: their products are finite */
#define MOST 4096    /* cells of a picture down or across: no JPEG has more */
#define PIECES (1 << 24) /* at a time, more than a picture has */
#define DEEPEST 64   /* cuts of cuts, for the sake of the stack; what lies deeper stays in one rectangle */

static int smaller(int a, int b) { return a < b ? a : b; }
static int larger(int a, int b) { return a > b ? a : b; }

/* ---- the cover ---- */

typedef struct {
  int top, bottom, left, right;
} Rectangle;

/* The cells of a row or a column: from `first` up to but without `end`; none if both are 0 */
typedef struct {
  int first, end;
} Span;

typedef struct {
  const uint8_t *cells;
  int wide;                   /* cells in a row of the picture */
  const double *down, *across; /* work of a rectangle: down[high] * across[wide] + start */
  double start;
  Span *spans, *rest; /* of the rows or columns of one rectangle, and of all that follow each of them */
  Rectangle *found;
  Py_ssize_t count, room;
  int failed; /* memory ran out */
} Cover;

typedef struct {
  int at; /* the first row or column of the second part */
  double work;
} Cut;

static Span joined(Span a, Span b)
{
  if (a.first == a.end)
    return b;
  if (b.first == b.end)
    return a;
  return (Span){smaller(a.first, b.first), larger(a.end, b.end)};
}

/* Fill the spans of `count` lines of `length` cells each; returns how many cells there are */
static Py_ssize_t measure(Cover *c, const uint8_t *cells, int count, int length, Py_ssize_t line, Py_ssize_t step)
{
  Py_ssize_t set = 0;

  for (int i = 0; i < count; i++) {
    Span span = {0, 0};

    for (int j = 0; j < length; j++)
      if (cells[i * line + j * step]) {
        if (span.end == 0)
          span.first = j;
        span.end = j + 1;
        set++;
      }
    c->spans[i] = span;
  }
  return set;
}

/* The line before which to cut, with the least work of what is needed of both parts: of several the one nearest to the
 * middle, as noise makes all of them alike, and lines that are cut off one by one take a picture's height of cuts.  The
 * first and the last of `count` lines have cells.  The work is by the number of lines, and by their cells */
static Cut best_cut(Cover *c, int count, const double *by_lines, const double *by_cells)
{
  Cut best = {0, INFINITY};
  Span before = {0, 0}, after = {0, 0};
  int begin = 0, end = 0; /* of the lines with cells, behind and before the cut */

  for (int i = count - 1; i > 0; i--) {
    after = joined(after, c->spans[i]);
    c->rest[i] = after;
  }
  for (int i = 1; i < count; i++) {
    double work;

    if (c->spans[i - 1].end)
      end = i;
    before = joined(before, c->spans[i - 1]);
    begin = larger(begin, i);
    while (!c->spans[begin].end)
      begin++;
    after = c->rest[i];
    work = (by_lines[end] * by_cells[before.end - before.first] + c->start) +
           (by_lines[count - begin] * by_cells[after.end - after.first] + c->start);
    if (work < best.work || (work == best.work && abs(2 * i - count) < abs(2 * best.at - count)))
      best = (Cut){i, work};
  }
  return best;
}

static void add(Cover *c, Rectangle one)
{
  if (c->count == c->room) {
    Py_ssize_t room = 2 * c->room + 16;
    Rectangle *found = realloc(c->found, sizeof *found * room);

    if (!found) {
      c->failed = 1;
      return;
    }
    c->found = found, c->room = room;
  }
  c->found[c->count++] = one;
}

/* Add rectangles for all cells of an area, which is so many cuts deep; returns their work */
static double divide(Cover *c, Rectangle area, int depth)
{
  const uint8_t *first = c->cells + (Py_ssize_t)area.top * c->wide + area.left;
  int high = area.bottom - area.top, wide = area.right - area.left, top = 0;
  Py_ssize_t set = measure(c, first, high, wide, c->wide, 1), mark = c->count;
  Span columns = {0, 0};
  Rectangle parts[2];
  double own, work = 0;
  Cut row, column;

  if (!set)
    return 0;
  while (!c->spans[top].end)
    top++;
  while (!c->spans[high - 1].end)
    high--;
  for (int i = top; i < high; i++)
    columns = joined(columns, c->spans[i]);
  area = (Rectangle){area.top + top, area.top + high, area.left + columns.first, area.left + columns.end};
  high = area.bottom - area.top, wide = area.right - area.left;
  own = c->down[high] * c->across[wide] + c->start;
  /* Two parts are two starts at least */
  if (set == (Py_ssize_t)high * wide || own <= 2 * c->start || depth == DEEPEST) {
    add(c, area);
    return own;
  }
  memmove(c->spans, c->spans + top, sizeof *c->spans * high);
  row = best_cut(c, high, c->down, c->across);
  measure(c, first + (Py_ssize_t)top * c->wide + columns.first, wide, high, 1, c->wide);
  column = best_cut(c, wide, c->across, c->down);
  parts[0] = parts[1] = area;
  if (row.work <= column.work)
    parts[0].bottom = parts[1].top = area.top + row.at;
  else
    parts[0].right = parts[1].left = area.left + column.at;
  for (int i = 0; i < 2 && !c->failed; i++)
    work += divide(c, parts[i], depth + 1);
  if (work < own)
    return work;
  c->count = mark; /* what was found of the parts is dropped */
  add(c, area);
  return own;
}

/* Whether lengths, but the first, are numbers whose products are numbers */
static int are_lengths(const double *lengths, Py_ssize_t count)
{
  for (Py_ssize_t i = 1; i < count; i++)
    if (!(lengths[i] > 0 && lengths[i] < LONGEST))
      return 0;
  return 1;
}

static PyObject *rectangles_of(const Cover *c)
{
  PyObject *result = PyList_New(c->count);

  for (Py_ssize_t i = 0; result && i < c->count; i++) {
    Rectangle one = c->found[i];
    PyObject *item = Py_BuildValue("(iiii)", one.top, one.bottom, one.left, one.right);

    if (!item || PyList_SetItem(result, i, item) < 0)
      Py_CLEAR(result);
  }
  return result;
}

PyDoc_STRVAR(cover_doc,
"cover(cells, down, across, start, /)\n--\n\n"
"Rectangles that cover the cells, a list of tuples (top, bottom, left, right); see `rectangles.cover`.\n\n"
"    cells: bool or uint8 [high, wide], in rows;\n"
"    down, across: float64 [high + 1] and [wide + 1], above zero from the second number on, and below 1e9;\n"
"    start: zero or more.\n\n"
"Raises ValueError if the sizes do not match, or a number is not as it must be.");

static PyObject *cover(PyObject *module, PyObject *arguments)
{
  Py_buffer cells, down, across;
  PyObject *result = NULL;
  Cover c = {0};
  Py_ssize_t high, wide, longest;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "y*y*y*d:cover", &cells, &down, &across, &c.start))
    return NULL;
  high = down.len / (Py_ssize_t)sizeof(double) - 1, wide = across.len / (Py_ssize_t)sizeof(double) - 1;
  longest = high > wide ? high : wide;
  if (high < 1 || wide < 1 || longest > MOST || cells.len != high * wide ||
      (uintptr_t)down.buf % sizeof(double) || (uintptr_t)across.buf % sizeof(double) ||
      !are_lengths(down.buf, high + 1) || !are_lengths(across.buf, wide + 1) || !(c.start >= 0 && c.start < LONGEST)) {
    PyErr_SetString(PyExc_ValueError, "cells and lengths do not match");
  } else {
    c.cells = cells.buf, c.down = down.buf, c.across = across.buf, c.wide = (int)wide;
    c.spans = PyMem_Malloc(sizeof *c.spans * 2 * longest);
    if (!c.spans) {
      PyErr_NoMemory();
    } else {
      c.rest = c.spans + longest;
      Py_BEGIN_ALLOW_THREADS
      divide(&c, (Rectangle){0, (int)high, 0, (int)wide}, 0);
      Py_END_ALLOW_THREADS
      result = c.failed ? PyErr_NoMemory() : rectangles_of(&c);
    }
    PyMem_Free(c.spans);
    free(c.found);
  }
  PyBuffer_Release(&cells);
  PyBuffer_Release(&down);
  PyBuffer_Release(&across);
  return result;
}

/* ---- places ---- */

typedef struct {
  int32_t column, row; /* from this column on, up to the next step's, this row is the first free one */
} Step;

typedef struct {
  Step *steps, *spare; /* of the skyline; the last step ends with the picture */
  int count;
  int32_t high, wide;
} Skyline;

/* The first row below everything in the columns from a step's on */
static int32_t row_at(const Skyline *s, int step, int32_t wide)
{
  int32_t row = 0, end = s->steps[step].column + wide;

  for (int i = step; i < s->count && s->steps[i].column < end; i++)
    row = larger(row, s->steps[i].row);
  return row;
}

/* Place a piece where its lower edge is highest; returns whether it goes into the picture */
static int place(Skyline *s, int32_t high, int32_t wide, int32_t *row, int32_t *column)
{
  int best = -1, count = 0, i = 0;
  int32_t end, beside = 0;

  for (int step = 0; step < s->count && wide <= s->wide - s->steps[step].column; step++) {
    int32_t found = row_at(s, step, wide);

    if (best < 0 || found < *row)
      best = step, *row = found, *column = s->steps[step].column;
  }
  if (best < 0 || high > s->high - *row)
    return 0;
  end = *column + wide;
  for (; i < best; i++)
    s->spare[count++] = s->steps[i];
  s->spare[count++] = (Step){*column, *row + high};
  for (; i < s->count && s->steps[i].column <= end; i++)
    beside = s->steps[i].row;
  if (end < s->wide)
    s->spare[count++] = (Step){end, beside};
  for (; i < s->count; i++)
    s->spare[count++] = s->steps[i];
  Step *old = s->steps;
  s->steps = s->spare, s->spare = old, s->count = count;
  return 1;
}

typedef struct {
  int32_t high, wide;
  int index;
} Piece;

/* The order in which pieces come: the tallest first, then the widest, then as they were */
static int order(const void *a, const void *b)
{
  const Piece *one = a, *other = b;

  if (one->high != other->high)
    return one->high < other->high ? 1 : -1;
  if (one->wide != other->wide)
    return one->wide < other->wide ? 1 : -1;
  return one->index < other->index ? -1 : 1;
}

/* Find all places, in the order of the pieces; returns whether there is room */
static int place_all(Skyline *s, const Piece *pieces, int count, int32_t *found)
{
  for (int i = 0; i < count; i++) {
    int32_t *own = found + 2 * pieces[i].index;

    if (pieces[i].high < 1 || pieces[i].wide < 1 || !place(s, pieces[i].high, pieces[i].wide, own, own + 1))
      return 0;
  }
  return 1;
}

PyDoc_STRVAR(pack_doc,
"pack(pieces, places, high, wide, /)\n--\n\n"
"Fill the places of pieces in a picture of a size; returns whether they all go into it; see `packing.packed`.\n\n"
"    pieces: int32 [count, 2], high and wide, above zero;\n"
"    places: int32 [count, 2], row and column.\n\n"
"Raises ValueError if the sizes do not match.");

static PyObject *pack(PyObject *module, PyObject *arguments)
{
  Py_buffer pieces, places;
  Skyline s = {0};
  int count, fits = -1;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "y*w*ii:pack", &pieces, &places, &s.high, &s.wide))
    return NULL;
  count = pieces.len / 8 > PIECES ? PIECES + 1 : (int)(pieces.len / 8);
  if (count > PIECES || pieces.len != 8 * (Py_ssize_t)count || places.len != pieces.len || s.high < 0 || s.wide < 0 ||
      (uintptr_t)pieces.buf % 4 || (uintptr_t)places.buf % 4) {
    PyErr_SetString(PyExc_ValueError, "pieces and places do not match");
  } else {
    const int32_t *sizes = pieces.buf;
    Step *memory = PyMem_Malloc(sizeof *memory * 2 * ((size_t)count + 2)); /* each piece adds a step at most */
    Piece *sorted = PyMem_Malloc(sizeof *sorted * ((size_t)count + 1));

    if (!memory || !sorted) {
      PyErr_NoMemory();
    } else {
      s.steps = memory, s.spare = memory + count + 2;
      s.steps[0] = (Step){0, 0}, s.count = 1;
      for (int i = 0; i < count; i++)
        sorted[i] = (Piece){sizes[2 * i], sizes[2 * i + 1], i};
      Py_BEGIN_ALLOW_THREADS
      qsort(sorted, count, sizeof *sorted, order);
      fits = place_all(&s, sorted, count, places.buf);
      Py_END_ALLOW_THREADS
    }
    PyMem_Free(memory);
    PyMem_Free(sorted);
  }
  PyBuffer_Release(&pieces);
  PyBuffer_Release(&places);
  return fits < 0 ? NULL : PyBool_FromLong(fits);
}

static PyMethodDef methods[] = {
  {"cover", cover, METH_VARARGS, cover_doc},
  {"pack", pack, METH_VARARGS, pack_doc},
  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
  {0, NULL},
};

static struct PyModuleDef definition = {
  .m_base = PyModuleDef_HEAD_INIT,
  .m_name = "_pieces",
  .m_doc = "Which pieces of a picture are computed, and where they lie in a picture for the network.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__pieces(void)
{
  return PyModuleDef_Init(&definition);
}
