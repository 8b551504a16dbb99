/* A walk through Huffman-coded data that looks at its structure alone: where each MCU begins, and whether what it
 * meets can be the work of an encoder.
 *
 * libjpeg decodes whatever the bits say; it warns of codes that do not exist, but not of blocks that run past their
 * 64th coefficient, nor of data that go on behind the last block.  This walk finds both, and is the second opinion
 * that `diagnosis.py` asks for where a picture is suspected.  One function, no state, no libjpeg.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TABLES 8         /* DC and AC, 0 to 3 (T.81, B.2.4.2) */
#define MAX_BLOCKS 40        /* of one MCU; the standard allows 10, four components of 4x4 would make 64 */
#define LONGEST_CODE 16
#define LARGEST_DC 11        /* bits of a difference, and of a coefficient, at 8 bits a sample (T.81, F.1.2.1 and 2) */
#define LARGEST_AC 10
#define RECENT 8             /* bytes in the bit buffer, at most */
#define MAX_STARTS (1 << 24) /* sixteen times as many as the largest picture has MCUs; what follows is not looked at */

enum end { CLEAN, SHORT, BAD };

/* Every 16 bits that may come: length of the code that they begin with, 0 where there is none, and its symbol */
typedef struct {
  uint8_t length[1 << LONGEST_CODE];
  uint8_t symbol[1 << LONGEST_CODE];
} Table;

typedef struct {
  const uint8_t *data;
  size_t position, stop;
  uint64_t bits; /* the last `count` of them are still to be read */
  int count;
  size_t where[RECENT]; /* of the last bytes that were taken into `bits` */
  unsigned taken;
} Bits;

static void fill(Bits *bits)
{
  while (bits->count <= 48 && bits->position < bits->stop) {
    uint8_t byte = bits->data[bits->position];

    if (byte == 0xFF && (bits->position + 1 >= bits->stop || bits->data[bits->position + 1] != 0)) {
      bits->stop = bits->position; /* a marker, or half of one */
      return;
    }
    bits->where[bits->taken++ % RECENT] = bits->position;
    bits->bits = bits->bits << 8 | byte;
    bits->count += 8;
    bits->position += byte == 0xFF ? 2 : 1;
  }
}

/* The next bits, zeros behind the end of the data */
static unsigned peek(Bits *bits, int wanted)
{
  if (bits->count < wanted)
    fill(bits);
  if (bits->count >= wanted)
    return (unsigned)(bits->bits >> (bits->count - wanted)) & ((1u << wanted) - 1);
  return (unsigned)(bits->bits << (wanted - bits->count)) & ((1u << wanted) - 1);
}

/* The next symbol, or -1 where the data end within it, or -2 where there is no such code */
static int decode(Bits *bits, const Table *table)
{
  unsigned ahead = peek(bits, LONGEST_CODE);
  int length = table->length[ahead];

  if (length == 0)
    return bits->count < LONGEST_CODE ? -1 : -2;
  if (length > bits->count)
    return -1;
  bits->count -= length;
  return table->symbol[ahead];
}

static enum end skip(Bits *bits, int count)
{
  peek(bits, LONGEST_CODE);
  if (count > bits->count)
    return SHORT;
  bits->count -= count;
  return CLEAN;
}

/* CLEAN: a whole block */
static enum end walk_block(Bits *bits, const Table *dc, const Table *ac)
{
  int symbol = decode(bits, dc), k;

  if (symbol < 0)
    return symbol == -1 ? SHORT : BAD;
  if (symbol > LARGEST_DC)
    return BAD;
  if (skip(bits, symbol) != CLEAN)
    return SHORT;
  for (k = 1; k < 64; k++) {
    int run, size;

    symbol = decode(bits, ac);
    if (symbol < 0)
      return symbol == -1 ? SHORT : BAD;
    run = symbol >> 4;
    size = symbol & 15;
    if (size == 0) {
      if (run == 0)
        return CLEAN; /* end of block */
      if (run != 15)
        return BAD;
      k += 15;
      if (k > 63)
        return BAD;
      continue;
    }
    k += run;
    if (k > 63 || size > LARGEST_AC)
      return BAD;
    if (skip(bits, size) != CLEAN)
      return SHORT;
  }
  return CLEAN;
}

/* Whether nothing but the bits that fill up the last byte is left, all ones or all zeros (T.81, F.1.2.3 asks for ones) */
static int only_padding(Bits *bits)
{
  unsigned mask, rest;

  fill(bits);
  if (bits->count >= 8)
    return 0;
  mask = (1u << bits->count) - 1;
  rest = (unsigned)bits->bits & mask;
  return rest == mask || rest == 0;
}

/* Offset of the first byte of which no bit has been read */
static size_t next_byte(const Bits *bits)
{
  unsigned whole = (unsigned)bits->count / 8;

  return whole == 0 ? bits->position : bits->where[(bits->taken - whole) % RECENT];
}

static void fill_table(Table *table, const uint8_t *body, Py_ssize_t size)
{
  const uint8_t *values = body + 16;
  uint32_t code = 0, length, i;
  Py_ssize_t used = 0;

  memset(table, 0, sizeof *table);
  for (length = 1; length <= LONGEST_CODE; length++, code <<= 1)
    for (i = 0; i < body[length - 1] && used < size - 16 && code < 1u << length; i++, code++, used++) {
      uint32_t first = code << (LONGEST_CODE - length), span = 1u << (LONGEST_CODE - length);
      memset(table->length + first, (int)length, span);
      memset(table->symbol + first, values[used], span);
    }
}

typedef struct {
  Table tables[MAX_TABLES];
  uint8_t dc[MAX_BLOCKS], ac[MAX_BLOCKS]; /* tables of the blocks of an MCU */
  int blocks;
  Bits bits;
  uint32_t *starts; /* per MCU, and one for the end */
  size_t count, room;
  enum end end;
  int out_of_memory;
} Walk;

static int keep(Walk *walk)
{
  if (walk->count == walk->room) {
    size_t room = walk->room ? 2 * walk->room : 1024;
    uint32_t *larger = realloc(walk->starts, room * sizeof *larger);
    if (!larger) {
      walk->out_of_memory = 1;
      return 0;
    }
    walk->starts = larger;
    walk->room = room;
  }
  walk->starts[walk->count++] = (uint32_t)next_byte(&walk->bits);
  return 1;
}

static void walk_all(Walk *walk) /* without the GIL */
{
  while (keep(walk)) {
    int padding = only_padding(&walk->bits), block;

    /* Ones are the beginning of no code; zeros may be: then the data end within it. */
    if (padding && (walk->bits.bits & 1 || walk->bits.count == 0)) {
      walk->end = CLEAN;
      return;
    }
    if (walk->count > MAX_STARTS) {
      walk->end = SHORT;
      return;
    }
    for (block = 0; block < walk->blocks; block++) {
      enum end end = walk_block(&walk->bits, &walk->tables[walk->dc[block]], &walk->tables[walk->ac[block]]);
      if (end != CLEAN) {
        walk->end = end == SHORT && padding ? CLEAN : end;
        return;
      }
    }
  }
}

static int take_tables(Walk *walk, PyObject *tables, const Py_buffer *layout)
{
  Py_ssize_t count = PyTuple_Size(tables), i;
  const uint8_t *pairs = layout->buf;

  if (count < 0)
    return 0;
  if (count > MAX_TABLES || layout->len == 0 || layout->len % 2 || layout->len > 2 * MAX_BLOCKS) {
    PyErr_SetString(PyExc_ValueError, "too many tables, or no layout of an MCU");
    return 0;
  }
  for (i = 0; i < count; i++) {
    char *body;
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(PyTuple_GetItem(tables, i), &body, &size) < 0)
      return 0;
    if (size < 16) {
      PyErr_SetString(PyExc_ValueError, "a Huffman table has 16 counts at least");
      return 0;
    }
    fill_table(&walk->tables[i], (const uint8_t *)body, size);
  }
  walk->blocks = (int)(layout->len / 2);
  for (i = 0; i < walk->blocks; i++) {
    walk->dc[i] = pairs[2 * i];
    walk->ac[i] = pairs[2 * i + 1];
    if (walk->dc[i] >= count || walk->ac[i] >= count) {
      PyErr_SetString(PyExc_ValueError, "the layout names a table that is not there");
      return 0;
    }
  }
  return 1;
}

PyDoc_STRVAR(walk_doc,
"walk(data, spans, tables, layout, /)\n--\n\n"
"Walk through the entropy-coded data of a sequential Huffman scan, each time from one marker to the next.\n\n"
"`spans` are pairs of uint32, offsets in `data`; `tables` are the bodies of Huffman tables, 16 counts and the values, as\n"
"bytes; `layout` holds two bytes for each block of an MCU, the places of its DC and AC table among them.\n\n"
"Returns (starts, end) for each span: starts is bytes of uint32, the offset in `data` of the first byte that belongs to\n"
"each MCU alone, and one more for what follows the last whole one; end is 0 where the data end with an MCU, 1 where they\n"
"end within one, 2 where the next one cannot have been made by an encoder.");

static PyObject *walk_span(Walk *walk, const Py_buffer *data, const uint8_t *span)
{
  uint32_t ends[2];

  memcpy(ends, span, sizeof ends);
  if (ends[0] > ends[1] || ends[1] > data->len) {
    PyErr_SetString(PyExc_ValueError, "a span lies outside of the data");
    return NULL;
  }
  memset(&walk->bits, 0, sizeof walk->bits);
  walk->bits.data = data->buf;
  walk->bits.position = ends[0];
  walk->bits.stop = ends[1];
  walk->count = 0;
  Py_BEGIN_ALLOW_THREADS
  walk_all(walk);
  Py_END_ALLOW_THREADS
  if (walk->out_of_memory)
    return PyErr_NoMemory();
  return Py_BuildValue("(y#i)", (const char *)walk->starts, (Py_ssize_t)(walk->count * sizeof *walk->starts),
                       (int)walk->end);
}

static PyObject *walk_spans(Walk *walk, const Py_buffer *data, const Py_buffer *spans)
{
  Py_ssize_t count = spans->len / (Py_ssize_t)(2 * sizeof(uint32_t)), i;
  PyObject *result = PyTuple_New(count);

  for (i = 0; result && i < count; i++) {
    PyObject *item = walk_span(walk, data, (const uint8_t *)spans->buf + 2 * sizeof(uint32_t) * i);
    if (!item || PyTuple_SetItem(result, i, item) < 0)
      Py_CLEAR(result);
  }
  return result;
}

static PyObject *walk_scan(PyObject *module, PyObject *arguments)
{
  Py_buffer data, spans, layout;
  PyObject *tables, *result = NULL;
  Walk *walk;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "y*y*O!y*:walk", &data, &spans, &PyTuple_Type, &tables, &layout))
    return NULL;
  walk = PyMem_Calloc(1, sizeof *walk);
  if (!walk)
    PyErr_NoMemory();
  else if (take_tables(walk, tables, &layout))
    result = walk_spans(walk, &data, &spans);
  if (walk)
    free(walk->starts);
  PyMem_Free(walk);
  PyBuffer_Release(&data);
  PyBuffer_Release(&spans);
  PyBuffer_Release(&layout);
  return result;
}

static PyMethodDef methods[] = {
  {"walk", walk_scan, METH_VARARGS, walk_doc},
  {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
  {0, NULL},
};

static struct PyModuleDef definition = {
  .m_base = PyModuleDef_HEAD_INIT,
  .m_name = "_entropy",
  .m_doc = "The structure of Huffman-coded JPEG data.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__entropy(void)
{
  return PyModuleDef_Init(&definition);
}
