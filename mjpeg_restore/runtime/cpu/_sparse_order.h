/* The order in which layers are computed: not one after the other, but all of them from the top of the picture down, so that
   what one has written is still at hand when the next one reads it.  `_sparse.c` includes it. */

#define MOST_LAYERS 64
#define BAND 16 /* rows of the finest layer, at most, that are computed before the next layer follows */

enum { INPUT, ADDED, ALSO, SUMS, ROUNDED, HALVES, BUFFERS };

/* What a layer reads or writes of a buffer: for its row y the buffer's rows from `step * y + offset` on, `span` of them */
typedef struct {
  const uint8_t *begin, *end; /* of the buffer, or NULL */
  Py_ssize_t line;            /* bytes of a row; 0: it has no rows one below the other */
  Py_ssize_t step, offset, span;
} Access;

/* Layers, and those before each that it has to wait for */
typedef struct {
  Layer *layers;
  int count;
  Access accesses[MOST_LAYERS][BUFFERS];
  uint64_t conflicts[MOST_LAYERS][MOST_LAYERS]; /* one bit for a buffer of the one and of the other */
  Py_ssize_t done[MOST_LAYERS];                 /* rows */
} Order;

static Access access_to(const void *buffer, Py_ssize_t rows, Py_ssize_t line, Py_ssize_t step, Py_ssize_t offset,
                        Py_ssize_t span)
{
  const uint8_t *begin = buffer;

  return (Access){begin, begin ? begin + rows * line : NULL, line, step, offset, span};
}

static void find_accesses(const Layer *l, Access *found)
{
  Py_ssize_t size = l->bytes ? 1 : sizeof *l->numbers, high = l->input_high + 2 * BORDER;
  Py_ssize_t line = (l->input_wide + 2 * BORDER) * l->channels * size;
  Py_ssize_t rows = l->spread * l->region.high + 2 * BORDER, across = (l->spread * l->region.wide + 2 * BORDER) * l->outputs;
  const void *numbers[] = {l->added, l->also, l->sums};

  found[INPUT] = access_to(l->bytes ? (const void *)l->bytes : l->numbers, high * l->planes, line, l->stride_down,
                           BORDER - l->padding, l->kernel);
  if (l->planes > 1)
    found[INPUT].line = 0;
  for (int i = 0; i < 3; i++)
    found[ADDED + i] = access_to(numbers[i], rows, across * (Py_ssize_t)sizeof(float), l->spread, l->row + BORDER, 1);
  found[ROUNDED] = access_to(l->rounded, rows, across, l->spread, l->row + BORDER, 1);
  found[HALVES] = access_to(l->halves, l->region.high, l->region.wide * l->outputs * (Py_ssize_t)sizeof *l->halves, 1, 0, 1);
}

static void find_conflicts(Order *o)
{
  for (int i = 0; i < o->count; i++)
    find_accesses(&o->layers[i], o->accesses[i]);
  for (int i = 0; i < o->count; i++)
    for (int j = 0; j < i; j++) {
      o->conflicts[i][j] = 0;
      for (int one = 0; one < BUFFERS; one++)
        for (int other = 0; other < BUFFERS; other++) {
          const Access *a = &o->accesses[i][one], *b = &o->accesses[j][other];
          if ((one >= SUMS || other >= SUMS) && a->begin && b->begin && a->begin < b->end && b->begin < a->end)
            o->conflicts[i][j] |= (uint64_t)1 << (one * BUFFERS + other);
        }
    }
}

/* Rows of a layer that may have been computed when so many of an earlier one have: none that reads or writes what the earlier
   one has yet to write, or writes what it has yet to read */
static Py_ssize_t rows_beside(const Order *o, int layer, int earlier)
{
  Py_ssize_t most = o->layers[layer].region.high;

  if (o->done[earlier] == o->layers[earlier].region.high)
    return most;
  for (uint64_t left = o->conflicts[layer][earlier]; left; left &= left - 1) {
    int bit = __builtin_ctzll(left);
    const Access *a = &o->accesses[layer][bit / BUFFERS], *b = &o->accesses[earlier][bit % BUFFERS];
    Py_ssize_t untouched = b->step * o->done[earlier] + b->offset - a->offset - a->span, rows = 0;
    if (a->begin == b->begin && a->line && a->line == b->line && untouched >= 0)
      rows = untouched / a->step + 1;
    if (rows < most)
      most = rows;
  }
  return most;
}

/* Compute all layers; each row of one is what it would be if the layers before it were complete */
static void compute_layers(Order *o, void (*const *convolve)(const Layer *, Box))
{
  Py_ssize_t finest = 0;

  find_conflicts(o);
  for (int i = 0; i < o->count; i++) {
    o->done[i] = 0;
    if (o->layers[i].region.high > finest)
      finest = o->layers[i].region.high;
  }
  for (Py_ssize_t row = 0; row < finest; row += BAND)
    for (int i = 0; i < o->count; i++) {
      Py_ssize_t high = o->layers[i].region.high, rows = high;
      if (row + BAND < finest)
        rows = (row + BAND) * high / finest;
      for (int j = 0; j < i; j++) {
        Py_ssize_t most = rows_beside(o, i, j);
        if (most < rows)
          rows = most;
      }
      if (rows > o->done[i]) {
        convolve_rows(&o->layers[i], convolve[i], o->done[i], rows);
        o->done[i] = rows;
      }
    }
}
