/* The order in which layers are computed.  One thread computes all of them from the top of the picture down, so that what one
   layer has written is still at hand when the next one reads it.  Several threads compute one after the other, and divide each:
   who has nothing left to do of a layer begins with the next one where that is complete.  Every number is the same in both
   cases.  `_sparse.c` includes it. */

#define MOST_LAYERS 64
#define BAND 16 /* rows of the finest layer, at most, that are computed before the next layer follows */
#define SHARE 8 /* rows of the finest layer, at most, that a thread takes at a time */
#define MOST_THREADS 256

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

/* Rows of a layer that may have been computed when so many of an earlier one are done: none that reads or writes what the earlier
   one has yet to write, or writes what it has yet to read */
static Py_ssize_t rows_beside(const Order *o, int layer, int earlier, Py_ssize_t done)
{
  Py_ssize_t most = o->layers[layer].region.high;

  if (done == o->layers[earlier].region.high)
    return most;
  for (uint64_t left = o->conflicts[layer][earlier]; left; left &= left - 1) {
    int bit = __builtin_ctzll(left);
    const Access *a = &o->accesses[layer][bit / BUFFERS], *b = &o->accesses[earlier][bit % BUFFERS];
    Py_ssize_t untouched = b->step * done + b->offset - a->offset - a->span, rows = 0;
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
  Py_ssize_t finest = 0, done[MOST_LAYERS] = {0};

  find_conflicts(o);
  for (int i = 0; i < o->count; i++)
    if (o->layers[i].region.high > finest)
      finest = o->layers[i].region.high;
  for (Py_ssize_t row = 0; row < finest; row += BAND)
    for (int i = 0; i < o->count; i++) {
      Py_ssize_t high = o->layers[i].region.high, rows = high;
      if (row + BAND < finest)
        rows = (row + BAND) * high / finest;
      for (int j = 0; j < i; j++) {
        Py_ssize_t most = rows_beside(o, i, j, done[j]);
        if (most < rows)
          rows = most;
      }
      if (rows < high)
        rows -= rows % rows_at_once(&o->layers[i]);
      if (rows > done[i]) {
        convolve_rows(&o->layers[i], convolve[i], done[i], rows);
        done[i] = rows;
      }
    }
}

/* Layers that several threads compute, each with its own memory to work in */
typedef struct {
  Order order;
  Layer *layers; /* [threads, count]; the first thread's are the order's */
  void (*convolve[MOST_LAYERS])(const Layer *, Box);
  int count, threads;
  Py_ssize_t before[MOST_LAYERS + 1]; /* shares of all layers before one */
  uint8_t *is_finished;               /* [shares] */
  Py_ssize_t joined, taken, finished; /* threads that have come, and shares */
} Shared;

#if CAN_COMPILE_AVX2
static Py_ssize_t add(Py_ssize_t *number) { return __atomic_fetch_add(number, 1, __ATOMIC_ACQ_REL); }
static Py_ssize_t finished(const Shared *shared) { return __atomic_load_n(&shared->finished, __ATOMIC_ACQUIRE); }
static int is_finished(const Shared *shared, Py_ssize_t share)
{
  return __atomic_load_n(&shared->is_finished[share], __ATOMIC_ACQUIRE);
}

static void finish(Shared *shared, Py_ssize_t share)
{
  __atomic_store_n(&shared->is_finished[share], 1, __ATOMIC_RELEASE);
  add(&shared->finished);
}

/* Let a moment pass, or let the thread go on that is waited for, if it has no core */
static void wait_a_moment(unsigned int *moments)
{
  _mm_pause();
#ifdef __linux__
  if (++*moments % 64 == 0)
    sched_yield();
#endif
}
#else /* there are no kernels, and so no layers */
static Py_ssize_t add(Py_ssize_t *number) { return (*number)++; }
static Py_ssize_t finished(const Shared *shared) { return shared->finished; }
static int is_finished(const Shared *shared, Py_ssize_t share) { return shared->is_finished[share]; }
static void finish(Shared *shared, Py_ssize_t share) { shared->is_finished[share] = 1, shared->finished++; }
static void wait_a_moment(unsigned int *moments) { (void)moments; }
#endif

/* Divide all layers into shares; 0 if there is no memory */
static int divide_layers(Shared *shared)
{
  Order *o = &shared->order;
  Py_ssize_t finest = 1;

  o->layers = shared->layers, o->count = shared->count;
  find_conflicts(o);
  for (int i = 0; i < o->count; i++)
    if (o->layers[i].region.high > finest)
      finest = o->layers[i].region.high;
  for (int i = 0; i < o->count; i++) {
    Py_ssize_t high = o->layers[i].region.high, number = (finest + SHARE - 1) / SHARE;
    shared->before[i + 1] = shared->before[i] + (number < high ? number : high);
  }
  return (shared->is_finished = PyMem_Calloc((size_t)shared->before[o->count], 1)) != NULL;
}

/* The row with which a share of a layer begins, or the one behind the last share */
static Py_ssize_t first_row(const Shared *shared, int layer, Py_ssize_t share)
{
  Py_ssize_t number = shared->before[layer + 1] - shared->before[layer];

  Py_ssize_t row = (share - shared->before[layer]) * shared->layers[layer].region.high / number;

  return row - row % rows_at_once(&shared->layers[layer]);
}

/* Take shares of layers until all are finished.  One that a share waits for has been taken before it, by a thread that is at
   work: so it will be finished. */
static void compute_shares(Shared *shared)
{
  const Order *o = &shared->order;
  Py_ssize_t own = add(&shared->joined), all = shared->before[o->count], share, next[MOST_LAYERS];
  unsigned int moments = 0;
  int i = 0;

  if (own >= shared->threads) /* there is no memory for it to work in */
    return;
  for (int j = 0; j < o->count; j++)
    next[j] = shared->before[j]; /* shares before it are known to be finished */
  while ((share = add(&shared->taken)) < all) {
    while (shared->before[i + 1] <= share)
      i++;
    Py_ssize_t behind = first_row(shared, i, share + 1);
    for (int j = 0; j < i; j++)
      while (rows_beside(o, i, j, first_row(shared, j, next[j])) < behind)
        if (is_finished(shared, next[j]))
          next[j]++;
        else
          wait_a_moment(&moments);
    convolve_rows(&shared->layers[own * o->count + i], shared->convolve[i], first_row(shared, i, share), behind);
    finish(shared, share);
  }
  while (finished(shared) < all)
    wait_a_moment(&moments);
}
