/* Reads the quantised DCT coefficients of a JPEG in memory with libjpeg-turbo.
 *
 * The module has one function, `read`, and two constants.  All state of a call is in its `Reader`, so any number of
 * threads may read at once; the GIL is released while libjpeg works.  On an error libjpeg jumps back (longjmp) to the
 * phase that called it; it never prints and never exits.
 *
 * `markers.scan` must have accepted the bytes: it refuses bombs (B1).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#if !defined(LIBJPEG_TURBO_VERSION_NUMBER) || LIBJPEG_TURBO_VERSION_NUMBER < 2000000
/* older versions do not install the standard Huffman tables (H1) */
#error "libjpeg-turbo 2.0 or newer is needed"
#endif

#define MAX_KINDS 16 /* of warning; libjpeg-turbo has fewer */
#define MAX_PARTS 4  /* components */

/* P1: limits on the scans and on the blocks of all scans.  The header walk cannot count all scans, because libjpeg
 * reads on behind markers that the walk takes for noise.  A scan with next to no data costs 6 ns a block with Huffman
 * codes, 60 ns with the arithmetic coder.  One that refines AC coefficients looks at all 63 and costs 40 and up to 260 ns:
 * its blocks count for several.  A progressive picture of 64 million pixels in 4:4:4 has 10 million other
 * blocks and 4 million in such scans, which count for 38 million with Huffman codes and 26 million with the arithmetic
 * coder, which its data allow it; not if it is flat, for then a few hundred bytes are enough for that coder. */
#define MAX_SCANS 64
#define MAX_BLOCKS (48 << 20)
#define MAX_ARITHMETIC_BLOCKS (16 << 20)
#define BLOCKS_PER_BYTE 32 /* allowed beyond these: more data may cost more */
#define REFINEMENT 7 /* blocks that one counts for in a scan that refines AC coefficients */
#define ARITHMETIC_REFINEMENT 4

/* P2: limit on the AC coefficients that the arithmetic decoder finds behind the end of its data, where it reads zeros.
 * The sign of each is a bit of data, and encoders leave out only zeros at the end: eight bytes of them are rare.  Without
 * the limit a few kilobytes would decode to 64 million pixels of detail, for seconds. */
#define MAX_BEHIND_END 1024
#define DATA_ENDED -1 /* number of the warning that reading stopped for this reason; libjpeg's are positive */

#define QUOTE(x) #x
#define TEXT(x) QUOTE(x)

typedef struct {
  int code;
  unsigned row; /* topmost iMCU row at which it was given */
  char text[JMSG_LENGTH_MAX];
} Warning;

/* The coefficients of one component, in the memory of a bytearray, while libjpeg fills them */
typedef struct {
  PyObject *owner;
  char *base;
  size_t row_bytes; /* of a row padded to whole MCUs */
  JDIMENSION rows;  /* padded too */
  JDIMENSION zeroed; /* rows from the top that are initialised: they hold zeros or coefficients */
  JBLOCKARRAY lines;
} Plane;

typedef struct {
  struct jpeg_decompress_struct cinfo;
  struct jpeg_error_mgr error;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  size_t blocks; /* read so far, in all scans and in earlier reads of the picture; some count for several */
  size_t more_blocks; /* allowed for the bytes of data */
  int exceeded; /* 1: one of the limits of P1 */
  size_t behind_end; /* non-zero AC coefficients found behind the end of the data */
  size_t in_row; /* non-zero AC coefficients of the next row of MCUs, before it is read behind the end */
  int ended; /* 1: the next row of MCUs is read behind the end of the data */
  char message[JMSG_LENGTH_MAX];
  int out_of_memory;
  Warning warnings[MAX_KINDS];
  int kinds;
  Plane planes[MAX_PARTS];
  int requested; /* planes that libjpeg has asked for */
} Reader;

/* ---- libjpeg's callbacks; the GIL is not held ---- */

static void on_error(j_common_ptr common)
{
  Reader *reader = common->client_data;
  (*common->err->format_message)(common, reader->message);
  reader->out_of_memory = common->err->msg_code == JERR_OUT_OF_MEMORY;
  longjmp(reader->escape, 1);
}

static void on_message(j_common_ptr common, int level)
{
  Reader *reader = common->client_data;
  int code = common->err->msg_code, i;
  Warning *warning;

  if (level >= 0) /* a trace, not a warning */
    return;
  common->err->num_warnings++;
  for (i = 0; i < reader->kinds && reader->warnings[i].code != code; i++) {}
  if (i == MAX_KINDS)
    return;
  warning = &reader->warnings[i];
  if (i == reader->kinds) {
    reader->kinds++;
    warning->code = code;
    warning->row = reader->cinfo.input_iMCU_row;
    (*common->err->format_message)(common, warning->text);
  }
  if (reader->cinfo.input_iMCU_row < warning->row)
    warning->row = reader->cinfo.input_iMCU_row;
}

static void on_output(j_common_ptr common)
{
  (void)common;
}

/* Non-zero AC coefficients in a row of MCUs of the current scan, as far as it has been initialised */
static size_t count_ac(const Reader *reader, JDIMENSION mcu_row)
{
  const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
  size_t found = 0;
  int part;

  for (part = 0; part < cinfo->comps_in_scan; part++) {
    const jpeg_component_info *info = cinfo->cur_comp_info[part];
    const Plane *plane = &reader->planes[info->component_index];
    JDIMENSION row = mcu_row * info->v_samp_factor, last = row + info->v_samp_factor;

    for (; row < last && row < plane->zeroed; row++) {
      const JCOEF *block = (const JCOEF *)(plane->base + row * plane->row_bytes);
      const JCOEF *end = block + plane->row_bytes / sizeof(JCOEF);
      int k;
      for (; block < end; block += DCTSIZE2) {
        for (k = 0; k < DCTSIZE2; k++)
          found += block[k] != 0;
        found -= block[0] != 0;
      }
    }
  }
  return found;
}

/* P2: whether the arithmetic decoder has made up a picture behind the end of its data */
static int is_behind_end(Reader *reader)
{
  const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
  JDIMENSION row = cinfo->input_iMCU_row;

  if (reader->ended && row > 0)
    reader->behind_end += count_ac(reader, row - 1) - reader->in_row;
  reader->ended = cinfo->arith_code && cinfo->unread_marker && row < cinfo->total_iMCU_rows;
  reader->in_row = reader->ended ? count_ac(reader, row) : 0;
  return reader->behind_end > MAX_BEHIND_END;
}

/* P1: how many blocks one of the current scan counts for */
static size_t weight(const struct jpeg_decompress_struct *cinfo)
{
  if (!cinfo->progressive_mode || cinfo->Ss == 0 || cinfo->Ah == 0)
    return 1;
  return cinfo->arith_code ? ARITHMETIC_REFINEMENT : REFINEMENT;
}

/* P1: stop reading */
static void refuse(Reader *reader, const char *why)
{
  strcpy(reader->message, why);
  reader->exceeded = 1;
  longjmp(reader->escape, 1);
}

/* libjpeg calls it before each row of MCUs, in every scan, and between scans */
static void on_progress(j_common_ptr common)
{
  Reader *reader = common->client_data;
  const struct jpeg_decompress_struct *cinfo = &reader->cinfo;
  int part;

  for (part = 0; part < cinfo->comps_in_scan; part++)
    reader->blocks += weight(cinfo) * cinfo->cur_comp_info[part]->width_in_blocks * cinfo->cur_comp_info[part]->v_samp_factor;
  if (cinfo->input_scan_number > MAX_SCANS)
    refuse(reader, "more than " TEXT(MAX_SCANS) " scans");
  if (reader->blocks > (cinfo->arith_code ? MAX_ARITHMETIC_BLOCKS : MAX_BLOCKS) + reader->more_blocks)
    refuse(reader, "the scans have more blocks in all than are read");
  if (is_behind_end(reader)) {
    if (reader->kinds < MAX_KINDS)
      reader->warnings[reader->kinds++] =
        (Warning){DATA_ENDED, cinfo->input_iMCU_row, "The data end before the picture does"};
    longjmp(reader->escape, DATA_ENDED);
  }
}

/* libjpeg requests a "virtual array" per component from its memory manager, and then rows of it.  These two functions
 * return the memory of the bytearrays that Python will get, which saves a copy and half the memory pages. */

static jvirt_barray_ptr request_plane(j_common_ptr common, int pool, boolean zero, JDIMENSION blocks_wide,
                                      JDIMENSION blocks_high, JDIMENSION access)
{
  Reader *reader = common->client_data;
  Plane *plane = &reader->planes[reader->requested];
  JDIMENSION row;

  (void)zero;
  (void)access;
  if (reader->requested >= MAX_PARTS || !plane->base || blocks_high != plane->rows ||
      blocks_wide * sizeof(JBLOCK) != plane->row_bytes)
    ERREXIT(common, JERR_BAD_VIRTUAL_ACCESS);
  reader->requested++;
  plane->lines = (*common->mem->alloc_small)(common, pool, blocks_high * sizeof(JBLOCKROW));
  for (row = 0; row < blocks_high; row++)
    plane->lines[row] = (JBLOCKROW)(plane->base + row * plane->row_bytes);
  return (jvirt_barray_ptr)plane;
}

static void zero_down_to(Plane *plane, JDIMENSION row)
{
  if (row <= plane->zeroed)
    return;
  memset(plane->base + plane->zeroed * plane->row_bytes, 0, (row - plane->zeroed) * plane->row_bytes);
  plane->zeroed = row;
}

static JBLOCKARRAY access_plane(j_common_ptr common, jvirt_barray_ptr array, JDIMENSION row, JDIMENSION count,
                                boolean writable)
{
  Plane *plane = (Plane *)array;

  (void)writable;
  if (row > plane->rows || count > plane->rows - row)
    ERREXIT(common, JERR_BAD_VIRTUAL_ACCESS);
  zero_down_to(plane, row + count); /* just before they are filled, so that they are still in the cache */
  return plane->lines + row;
}

/* ---- the two phases that run without the GIL; each returns 0 if libjpeg cannot read on ---- */

static int read_header(Reader *reader, const Py_buffer *data)
{
  if (setjmp(reader->escape))
    return 0;
  reader->cinfo.err = jpeg_std_error(&reader->error);
  reader->error.error_exit = on_error;
  reader->error.emit_message = on_message;
  reader->error.output_message = on_output;
  reader->cinfo.client_data = reader;
  jpeg_create_decompress(&reader->cinfo);
  reader->cinfo.mem->request_virt_barray = request_plane;
  reader->cinfo.mem->access_virt_barray = access_plane;
  reader->progress.progress_monitor = on_progress;
  reader->cinfo.progress = &reader->progress;
  jpeg_mem_src(&reader->cinfo, data->buf, (unsigned long)data->len);
  jpeg_read_header(&reader->cinfo, TRUE);
  if (reader->cinfo.num_components > MAX_PARTS) {
    strcpy(reader->message, "More than four components");
    return 0;
  }
  return 1;
}

static int read_planes(Reader *reader)
{
  int part;

  switch (setjmp(reader->escape)) {
  case 0:
    jpeg_read_coefficients(&reader->cinfo);
    break;
  case DATA_ENDED:
    break; /* what has been read is kept */
  default:
    return 0;
  }
  for (part = 0; part < reader->cinfo.num_components; part++) {
    const jpeg_component_info *info = &reader->cinfo.comp_info[part];
    Plane *plane = &reader->planes[part];
    size_t row_bytes = info->width_in_blocks * sizeof(JBLOCK);
    JDIMENSION row;

    zero_down_to(plane, plane->rows); /* scans may have ended above the last row */
    /* C2: drop the blocks that pad the picture to whole MCUs */
    if (row_bytes < plane->row_bytes)
      for (row = 1; row < info->height_in_blocks; row++)
        memmove(plane->base + row * row_bytes, plane->base + row * plane->row_bytes, row_bytes);
  }
  return 1;
}

/* ---- results as Python objects ---- */

/* The number of a message differs between builds of libjpeg; its name does not. */
static const char *warning_name(int code)
{
  switch (code) {
  case DATA_ENDED: return "DATA_ENDED";
  case JWRN_ADOBE_XFORM: return "ADOBE_XFORM";
  case JWRN_ARITH_BAD_CODE: return "ARITH_BAD_CODE";
  case JWRN_BOGUS_PROGRESSION: return "BOGUS_PROGRESSION";
  case JWRN_EXTRANEOUS_DATA: return "EXTRANEOUS_DATA";
  case JWRN_HIT_MARKER: return "HIT_MARKER";
  case JWRN_HUFF_BAD_CODE: return "HUFF_BAD_CODE";
  case JWRN_JFIF_MAJOR: return "JFIF_MAJOR";
  case JWRN_JPEG_EOF: return "JPEG_EOF";
  case JWRN_MUST_RESYNC: return "MUST_RESYNC";
  case JWRN_NOT_SEQUENTIAL: return "NOT_SEQUENTIAL";
  default: return "OTHER";
  }
}

static PyObject *list_warnings(const Reader *reader)
{
  PyObject *result = PyTuple_New(reader->kinds);
  int i;

  for (i = 0; result && i < reader->kinds; i++) {
    const Warning *warning = &reader->warnings[i];
    PyObject *item = Py_BuildValue("(sIs)", warning_name(warning->code), warning->row, warning->text);
    if (!item || PyTuple_SetItem(result, i, item) < 0)
      Py_CLEAR(result);
  }
  return result;
}

/* 64 uint16, or None for a component without a quantisation table */
static PyObject *table_bytes(const Reader *reader, const jpeg_component_info *info)
{
  const JQUANT_TBL *table = info->quant_table;

  if (!table && info->quant_tbl_no >= 0 && info->quant_tbl_no < NUM_QUANT_TBLS)
    table = reader->cinfo.quant_tbl_ptrs[info->quant_tbl_no];
  if (!table)
    Py_RETURN_NONE;
  return PyBytes_FromStringAndSize((const char *)table->quantval, sizeof(table->quantval));
}

/* True if the scans cover every bit of every coefficient, as far as their headers tell */
static int is_complete(const Reader *reader, int part)
{
  const jpeg_component_info *info = &reader->cinfo.comp_info[part];
  int k;

  if (!reader->cinfo.progressive_mode)
    return info->quant_table != NULL; /* set by the component's first scan */
  for (k = 0; k < DCTSIZE2; k++)
    if (reader->cinfo.coef_bits[part][k] != 0)
      return 0;
  return 1;
}

static JDIMENSION round_up(JDIMENSION count, int factor)
{
  return (count + factor - 1) / factor * factor;
}

static int make_planes(Reader *reader)
{
  int part;

  for (part = 0; part < reader->cinfo.num_components; part++) {
    const jpeg_component_info *info = &reader->cinfo.comp_info[part];
    Plane *plane = &reader->planes[part];

    plane->rows = round_up(info->height_in_blocks, info->v_samp_factor);
    plane->row_bytes = round_up(info->width_in_blocks, info->h_samp_factor) * sizeof(JBLOCK);
    /* Resized in a second step: where memory runs out in the first, CPython prints an error beside MemoryError. */
    plane->owner = PyByteArray_FromStringAndSize(NULL, 0);
    if (!plane->owner || PyByteArray_Resize(plane->owner, (Py_ssize_t)(plane->rows * plane->row_bytes)) < 0)
      return 0;
    plane->base = PyByteArray_AsString(plane->owner);
  }
  return 1;
}

static PyObject *take_part(Reader *reader, int part)
{
  const jpeg_component_info *info = &reader->cinfo.comp_info[part];
  PyObject *owner = reader->planes[part].owner, *table;
  size_t size = (size_t)info->height_in_blocks * info->width_in_blocks * sizeof(JBLOCK);

  if (PyByteArray_Resize(owner, (Py_ssize_t)size) < 0)
    return NULL;
  table = table_bytes(reader, info);
  if (!table)
    return NULL;
  return Py_BuildValue("(ONIIO)", owner, table, info->height_in_blocks, info->width_in_blocks,
                       is_complete(reader, part) ? Py_True : Py_False);
}

static PyObject *take_parts(Reader *reader)
{
  PyObject *result = PyTuple_New(reader->cinfo.num_components);
  int part;

  for (part = 0; result && part < reader->cinfo.num_components; part++) {
    PyObject *item = take_part(reader, part);
    if (!item || PyTuple_SetItem(result, part, item) < 0)
      Py_CLEAR(result);
  }
  return result;
}

/* Returns NULL with an exception set, or without one if libjpeg cannot read the picture */
static PyObject *read_buffer(Reader *reader, const Py_buffer *data)
{
  PyObject *parts, *warnings;
  int good;

  Py_BEGIN_ALLOW_THREADS
  good = read_header(reader, data);
  Py_END_ALLOW_THREADS
  if (!good || !make_planes(reader))
    return NULL;
  Py_BEGIN_ALLOW_THREADS
  good = read_planes(reader);
  Py_END_ALLOW_THREADS
  if (!good)
    return NULL;
  parts = take_parts(reader);
  warnings = parts ? list_warnings(reader) : NULL;
  if (!warnings) {
    Py_XDECREF(parts);
    return NULL;
  }
  return Py_BuildValue("(NN)", parts, warnings);
}

PyDoc_STRVAR(read_doc,
"read(data, blocks, /)\n--\n\n"
"Read the quantised coefficients of the JPEG that begins at the first byte of `data`.\n\n"
"Returns (components, warnings):\n"
"    components: per component (coefficients, table, blocks_high, blocks_wide, complete);\n"
"        coefficients is a bytearray of int16 [blocks_high, blocks_wide, 64], natural order;\n"
"        table is bytes of uint16 [64], natural order, or None;\n"
"    warnings: per kind (name, topmost MCU row, text of the first).\n"
"Adds to `blocks`, one number of C's size_t, what the picture has cost, whether it can be read or not.\n\n"
"Raises ValueError with libjpeg's message if libjpeg cannot read it, OverflowError if it has too many scans, or blocks,\n"
"with those in `blocks`, MemoryError if memory ran out.");

static PyObject *read_jpeg(PyObject *module, PyObject *arguments)
{
  Py_buffer data, blocks;
  Reader *reader = NULL;
  PyObject *result = NULL;
  int part;

  (void)module;
  if (!PyArg_ParseTuple(arguments, "y*w*", &data, &blocks))
    return NULL;
  if (blocks.len != sizeof reader->blocks)
    PyErr_SetString(PyExc_ValueError, "blocks: one number of size_t");
  else if (!(reader = PyMem_Calloc(1, sizeof(Reader))))
    PyErr_NoMemory();
  if (!reader)
    goto release;
  memcpy(&reader->blocks, blocks.buf, sizeof reader->blocks);
  reader->more_blocks = BLOCKS_PER_BYTE * (size_t)data.len;
  result = read_buffer(reader, &data);
  memcpy(blocks.buf, &reader->blocks, sizeof reader->blocks);
  if (!result && !PyErr_Occurred()) {
    if (reader->out_of_memory)
      PyErr_NoMemory();
    else
      PyErr_SetString(reader->exceeded ? PyExc_OverflowError : PyExc_ValueError, reader->message);
  }
  jpeg_destroy_decompress(&reader->cinfo); /* does nothing where jpeg_create_decompress failed */
  for (part = 0; part < MAX_PARTS; part++)
    Py_XDECREF(reader->planes[part].owner);
  PyMem_Free(reader);
release:
  PyBuffer_Release(&data);
  PyBuffer_Release(&blocks);
  return result;
}

static PyMethodDef methods[] = {
  {"read", read_jpeg, METH_VARARGS, read_doc},
  {NULL, NULL, 0, NULL},
};

static int fill_module(PyObject *module)
{
#ifdef D_ARITH_CODING_SUPPORTED
  PyObject *arithmetic = Py_True;
#else
  PyObject *arithmetic = Py_False;
#endif
  if (PyModule_AddStringConstant(module, "VERSION", TEXT(LIBJPEG_TURBO_VERSION)) < 0)
    return -1;
  return PyModule_AddObjectRef(module, "ARITHMETIC", arithmetic);
}

static PyModuleDef_Slot slots[] = {
  {Py_mod_exec, fill_module},
  {0, NULL},
};

static struct PyModuleDef definition = {
  .m_base = PyModuleDef_HEAD_INIT,
  .m_name = "_native",
  .m_doc = "Quantised DCT coefficients of JPEG bytes, read with libjpeg-turbo.",
  .m_size = 0,
  .m_methods = methods,
  .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
  return PyModuleDef_Init(&definition);
}
