/* Walks through Huffman-coded data by their structure: where each MCU begins, and whether an encoder can have written
 * it.
 *
 * libjpeg warns of codes that do not exist, but neither of blocks that exceed 64 coefficients nor of all data behind
 * the last block.  The walk finds both; `diagnosis.py` uses it for suspect pictures.  The module has one function and
 * no state, and does not use libjpeg.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TABLES 8         /* DC and AC, 0 to 3 (T.81, B.2.4.2) */
#define MAX_BLOCKS 40        /* in an MCU; the standard allows 10 (T.81, B.2.3), and so does libjpeg */
#define LONGEST_CODE 16
#define LARGEST_DC 11        /* bits of a DC difference, and of an AC value, at 8 bits a sample (T.81, F.1.2.1 and 2) */
#define LARGEST_AC 10
#define RECENT 8             /* bytes in the bit buffer, at most; a power of two, for `taken` may wrap around */
#define MAX_STARTS (1 << 24) /* bounds memory: 16 times the MCUs of the largest picture; the walk ends there */

enum end { CLEAN, SHORT, BAD };

/* For all values of the next 16 bits: the length of the code with which they begin (0: no code), and its symbol */
typedef struct {
  uint8_t length[1 << LONGEST_CODE];
  uint8_t symbol[1 << LONGEST_CODE];
} Table;

typedef struct {
  const uint8_t *data;
  size_t position, stop;
  uint64_t bits; /* the lowest `count` of them are unread */
  int count;
  size_t where[RECENT]; /* offsets of the last bytes taken into `bits`, a ring */
  unsigned taken; /* bytes taken so far */
} Bits;

static void fill(Bits *bits)
{
  while (bits->count <= 48 && bits->position < bits->stop) {
    uint8_t byte = bits->data[bits->position];

    if (byte == 0xFF && (bits->position + 1 >= bits->stop || bits->data[bits->position + 1] != 0)) {
      bits->stop = bits->position; /* a marker, or the first byte of one */
      return;
    }
    bits->where[bits->taken++ % RECENT] = bits->position;
    bits->bits = bits->bits << 8 | byte;
    bits->count += 8;
    bits->position += byte == 0xFF ? 2 : 1;
  }
}

/* The next bits, without consuming them; zeros behind the end of the data */
static unsigned peek(Bits *bits, int wanted)
{
  if (bits->count < wanted)
    fill(bits);
  if (bits->count >= wanted)
    return (unsigned)(bits->bits >> (bits->count - wanted)) & ((1u << wanted) - 1);
  return (unsigned)(bits->bits << (wanted - bits->count)) & ((1u << wanted) - 1);
}

/* The next symbol; -1 if the data end within its code, -2 if there is no such code */
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

/* Consumes one block; returns CLEAN if it is whole */
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

/* Whether only the bits that pad the last byte are left: all ones, as T.81 (F.1.2.3) demands, or all zeros */
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

/* Offset of the first byte without a consumed bit */
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
  uint8_t dc[MAX_BLOCKS], ac[MAX_BLOCKS]; /* per block of an MCU: the indices of its tables */
  int blocks;
  Bits bits;
  uint32_t *starts; /* per MCU, and one more for the data behind the last */
  size_t count, room;
  enum end end;
  int out_of_memory;
} Walk;

/* Records the start of the next MCU; 0 if memory ran out */
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

    /* Ones are padding. Zeros may be blocks; they are padding if the data end within the next MCU. */
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
"Walk through the entropy-coded data of a sequential Huffman scan, one span between markers after the other.\n\n"
"`spans` are pairs of uint32, offsets in `data`. `tables` are Huffman tables, each bytes of 16 counts and the values.\n"
"`layout` holds two bytes for each block of an MCU: the indices of its DC and its AC table in `tables`.\n\n"
"Returns (starts, end) for each span. `starts` is bytes of uint32: for each whole MCU, and last for the data behind\n"
"them, the offset in `data` of the first byte that holds no bit of an earlier MCU. `end` is 0 if the data end with an\n"
"MCU, 1 if they end within one, 2 if no encoder writes the next MCU.\n\n"
"Raises ValueError for spans outside of the data, invalid tables or an invalid layout, MemoryError if memory ran out.");

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
