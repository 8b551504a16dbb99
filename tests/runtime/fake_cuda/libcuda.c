/* A CUDA driver without a GPU, for tests: the calls that mjpeg_restore/runtime/cuda makes, and no others.

   Work in streams is done as late as the rules allow: when somebody waits for it, and then only that stream, and of
   others what it waits for by events. So a wait that is missing gives wrong data every time.

   The GPU's memory is mapped elsewhere than at its addresses: using one as a pointer ends the process. Copies take
   memory that was allocated as what it is said to be, and no more of it.

   What is wrong but would pass unseen is noted, see fake_misuse(). One lock guards everything. It is not held while a
   function of the host runs, which may call anything and wait for Python's lock. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int CUresult;
enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903, CAPTURE_WRONG_THREAD = 908, NOT_INITIALIZED = 3, SYSTEM_DRIVER_MISMATCH = 803,
};
enum { GLOBAL, THREAD_LOCAL, RELAXED }; /* modes of captures */

#define GPUS 2
#define FIRST_ADDRESS 0x500000000000ull
#define ARENA (256u << 20)
#define ALIGNED 512u
#define CALLS 64
#define EXPORT __attribute__((visibility("default")))

typedef struct Context { int gpu, references; } Context;
typedef enum { UP, DOWN, ACROSS, CLEAR, CALL, WAIT, RECORD } Kind;
typedef struct Op {
    struct Op *next;
    Kind kind;
    uint64_t turn, device, source;
    void *host, *argument;
    size_t nbytes;
    void (*function)(void *);
    struct Stream *other; /* whose work up to `turn_there` is waited for */
    uint64_t turn_there;
} Op;
typedef struct Graph { Op *first, **last; int gpu; } Graph;
typedef struct Stream {
    struct Stream *next;
    int gpu, destroyed, busy;
    uint64_t turns, done; /* enqueued and finished */
    Op *first, **last;
    Graph *capture;
    int mode, invalid;
    pthread_t capturing;
} Stream;
typedef struct Event { int gpu, destroyed; Stream *stream; uint64_t turn; } Event;
typedef struct Block { struct Block *next; uint64_t address; size_t nbytes; int gpu; } Block; /* gpu -1: the host's */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Context contexts[GPUS] = {{0, 0}, {1, 0}};
static int gpus = 1, initialised, sticky;
static size_t capacity = ARENA / 2, used[GPUS];
static char *arena;
static uint64_t top = ALIGNED; /* within a test no address is used twice */
static Block *blocks;
static Stream *streams;
static long live_memory, live_pinned, live_streams, live_events, live_graphs, live_execs, pushed;
static char misuse[2048];
static __thread Context *stack[16];
static __thread int depth, mode;
static struct { const char *name; long count, fail_at; int code, sticks; } calls[CALLS];

static void wrong(const char *words)
{
    if (strlen(misuse) + strlen(words) + 2 < sizeof misuse) { strcat(misuse, words); strcat(misuse, "\n"); }
}

/* Count a call, and fail if that was ordered. */
static CUresult begin(const char *name)
{
    int at = 0;
    while (at < CALLS - 1 && calls[at].name && strcmp(calls[at].name, name)) at++;
    if (!calls[at].name) calls[at].name = strdup(name);
    calls[at].count++;
    if (calls[at].fail_at && calls[at].count == calls[at].fail_at) {
        if (calls[at].sticks) sticky = calls[at].code;
        return calls[at].code;
    }
    return sticky;
}

#define ENTER() pthread_mutex_lock(&lock); CUresult result = begin(__func__); if (result) goto leave
#define LEAVE() leave: pthread_mutex_unlock(&lock); return result
#define FAIL(code) do { result = (code); goto leave; } while (0)
#define CURRENT() int gpu = depth ? stack[depth - 1]->gpu : -1; if (gpu < 0 || !contexts[gpu].references) FAIL(INVALID_CONTEXT)
#define MINE(thing) if (!(thing) || (thing)->destroyed) FAIL(INVALID_HANDLE); if ((thing)->gpu != gpu) FAIL(INVALID_CONTEXT)

/* Whether this thread may not call what is unsafe beside its capture; the capture is spoilt. */
static int unsafe(void)
{
    int found = 0;
    for (Stream *one = streams; one; one = one->next)
        if (one->capture && one->mode != RELAXED && mode != RELAXED
            && (pthread_equal(one->capturing, pthread_self()) || (one->mode == GLOBAL && mode == GLOBAL)))
            found = one->invalid = 1;
    return found;
}

static Block *block_at(uint64_t address, size_t nbytes, int gpu)
{
    for (Block *one = blocks; one; one = one->next)
        if (one->gpu == gpu && address >= one->address && address + nbytes <= one->address + one->nbytes) return one;
    return NULL;
}

static void perform(Op *op);

/* Do the work of a stream up to a turn. */
static void drain(Stream *stream, uint64_t turn)
{
    while (stream->done < turn) {
        if (stream->busy) { pthread_cond_wait(&changed, &lock); continue; }
        Op *op = stream->first;
        stream->first = op->next;
        if (!stream->first) stream->last = &stream->first;
        stream->busy = 1;
        perform(op);
        stream->busy = 0;
        stream->done = op->turn;
        free(op);
        pthread_cond_broadcast(&changed);
    }
}

static void perform(Op *op)
{
    switch (op->kind) {
    case UP: case DOWN: {
        char *device = arena + (op->device - FIRST_ADDRESS);
        if (sticky) break;
        memcpy(op->kind == UP ? device : op->host, op->kind == UP ? op->host : device, op->nbytes);
        break;
    }
    case ACROSS:
        if (!sticky) memcpy(arena + (op->device - FIRST_ADDRESS), arena + (op->source - FIRST_ADDRESS), op->nbytes);
        break;
    case CLEAR:
        if (!sticky) memset(arena + (op->device - FIRST_ADDRESS), 0, op->nbytes);
        break;
    case CALL:
        if (sticky) break;
        pthread_mutex_unlock(&lock);
        op->function(op->argument);
        pthread_mutex_lock(&lock);
        break;
    case WAIT: drain(op->other, op->turn_there); break;
    case RECORD: break;
    }
}

static CUresult enqueue(Stream *stream, Op wanted)
{
    Op *op = malloc(sizeof *op);
    *op = wanted;
    op->next = NULL;
    if (stream->capture) {
        if (wanted.kind == WAIT || wanted.kind == RECORD) stream->invalid = 1; /* not needed here */
        *stream->capture->last = op;
        stream->capture->last = &op->next;
        return stream->invalid ? CAPTURE_INVALIDATED : SUCCESS;
    }
    op->turn = ++stream->turns;
    *stream->last = op;
    stream->last = &op->next;
    return SUCCESS;
}

/* ---- start, devices, contexts ---- */

EXPORT CUresult cuInit(unsigned flags)
{
    ENTER();
    (void)flags;
    if (!gpus) FAIL(NO_DEVICE);
    if (!arena) arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    initialised = 1;
    LEAVE();
}

EXPORT CUresult cuDeviceGetCount(int *count) { ENTER(); if (!initialised) FAIL(NOT_INITIALIZED); *count = gpus; LEAVE(); }
EXPORT CUresult cuDeviceGet(int *device, int ordinal)
{
    ENTER();
    if (ordinal < 0 || ordinal >= gpus) FAIL(INVALID_DEVICE);
    *device = ordinal;
    LEAVE();
}
EXPORT CUresult cuDeviceGetName(char *name, int length, int device)
{
    ENTER();
    snprintf(name, length, device ? "NVIDIA GeForce RTX 5090" : "NVIDIA L4");
    LEAVE();
}
EXPORT CUresult cuDeviceGetAttribute(int *value, int attribute, int device)
{
    ENTER();
    if (attribute == 75) *value = device ? 12 : 8;
    else if (attribute == 76) *value = device ? 0 : 9;
    else FAIL(INVALID_VALUE);
    LEAVE();
}
EXPORT CUresult cuDriverGetVersion(int *version) { ENTER(); *version = 13000; LEAVE(); }
EXPORT CUresult cuDevicePrimaryCtxRetain(Context **context, int device)
{
    ENTER();
    *context = &contexts[device];
    contexts[device].references++;
    LEAVE();
}
EXPORT CUresult cuDevicePrimaryCtxRelease(int device)
{
    ENTER();
    if (!contexts[device].references) { wrong("a context is released that was not retained"); FAIL(INVALID_CONTEXT); }
    contexts[device].references--;
    LEAVE();
}
EXPORT CUresult cuCtxPushCurrent(Context *context)
{
    ENTER();
    if (!context->references) FAIL(INVALID_CONTEXT);
    stack[depth++] = context;
    pushed++;
    LEAVE();
}
EXPORT CUresult cuCtxPopCurrent(Context **context)
{
    pthread_mutex_lock(&lock);
    CUresult result = SUCCESS; /* it does not fail for what happened before */
    if (!depth) { wrong("no context is there to be popped"); FAIL(INVALID_CONTEXT); }
    *context = stack[--depth];
    pushed--;
    LEAVE();
}

/* ---- memory ---- */

EXPORT CUresult cuMemGetInfo(size_t *available, size_t *total)
{
    ENTER();
    CURRENT();
    *total = capacity;
    *available = capacity - used[gpu];
    LEAVE();
}
EXPORT CUresult cuMemAlloc(uint64_t *address, size_t nbytes)
{
    ENTER();
    CURRENT();
    if (unsafe()) FAIL(CAPTURE_UNSUPPORTED);
    if (!nbytes) FAIL(INVALID_VALUE);
    if (used[gpu] + nbytes > capacity || top + nbytes + 2 * ALIGNED > ARENA) FAIL(OUT_OF_MEMORY);
    Block *block = malloc(sizeof *block);
    *block = (Block){blocks, FIRST_ADDRESS + top, nbytes, gpu};
    blocks = block;
    memset(arena + top, 0xa5, nbytes);
    top = (top + nbytes + 2 * ALIGNED - 1) / ALIGNED * ALIGNED; /* with a gap, so that no block touches the next */
    used[gpu] += nbytes;
    live_memory++;
    *address = block->address;
    LEAVE();
}

static CUresult release(uint64_t address, int gpu, long *count)
{
    Block **at = &blocks;
    while (*at && ((*at)->address != address || (*at)->gpu != gpu)) at = &(*at)->next;
    if (!*at) { wrong("memory is freed that was not allocated"); return INVALID_VALUE; }
    Block *block = *at;
    for (Stream *stream = streams; stream; stream = stream->next)
        for (Op *op = stream->first; op; op = op->next)
            if (op->kind < CALL
                && ((gpu < 0 ? (uint64_t)(uintptr_t)op->host : op->device) - address < block->nbytes
                    || (gpu >= 0 && op->kind == ACROSS && op->source - address < block->nbytes)))
                wrong("memory is freed that a copy under way uses");
    *at = block->next;
    if (gpu >= 0) { used[gpu] -= block->nbytes; memset(arena + (address - FIRST_ADDRESS), 0x5a, block->nbytes); }
    free(block);
    --*count;
    return SUCCESS;
}

EXPORT CUresult cuMemFree(uint64_t address)
{
    ENTER();
    CURRENT();
    if (unsafe()) FAIL(CAPTURE_UNSUPPORTED);
    result = release(address, gpu, &live_memory);
    LEAVE();
}
EXPORT CUresult cuMemHostAlloc(void **address, size_t nbytes, unsigned flags)
{
    ENTER();
    CURRENT();
    (void)gpu;
    if (unsafe()) FAIL(CAPTURE_UNSUPPORTED);
    if (flags) FAIL(INVALID_VALUE);
    if (posix_memalign(address, 4096, nbytes)) FAIL(OUT_OF_MEMORY);
    memset(*address, 0xc3, nbytes);
    Block *block = malloc(sizeof *block);
    *block = (Block){blocks, (uintptr_t)*address, nbytes, -1};
    blocks = block;
    live_pinned++;
    LEAVE();
}
EXPORT CUresult cuMemFreeHost(void *address)
{
    ENTER();
    CURRENT();
    (void)gpu;
    if (unsafe()) FAIL(CAPTURE_UNSUPPORTED);
    result = release((uintptr_t)address, -1, &live_pinned);
    if (!result) free(address);
    LEAVE();
}

/* ---- streams ---- */

EXPORT CUresult cuStreamCreate(Stream **stream, unsigned flags)
{
    ENTER();
    CURRENT();
    if (flags != 1) wrong("a stream waits for the default one");
    *stream = calloc(1, sizeof **stream); /* it stays, as events may refer to it */
    (*stream)->gpu = gpu;
    (*stream)->last = &(*stream)->first;
    (*stream)->next = streams;
    streams = *stream;
    live_streams++;
    LEAVE();
}
EXPORT CUresult cuStreamDestroy(Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (stream->done < stream->turns) wrong("a stream is destroyed while its work is under way");
    stream->destroyed = 1;
    live_streams--;
    LEAVE();
}
EXPORT CUresult cuStreamSynchronize(Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (stream->capture) { stream->invalid = 1; FAIL(CAPTURE_UNSUPPORTED); }
    drain(stream, stream->turns);
    result = sticky;
    LEAVE();
}

static CUresult copy(Stream *stream, Kind kind, uint64_t device, void *host, size_t nbytes)
{
    if (!block_at(device, nbytes, stream->gpu)) { wrong("a copy uses what is no memory of the GPU"); return INVALID_VALUE; }
    if (!block_at((uintptr_t)host, nbytes, -1)) { wrong("a copy uses what is no pinned memory"); return INVALID_VALUE; }
    return enqueue(stream, (Op){.kind = kind, .device = device, .host = host, .nbytes = nbytes});
}
EXPORT CUresult cuMemcpyHtoDAsync(uint64_t device, void *host, size_t nbytes, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    result = copy(stream, UP, device, host, nbytes);
    LEAVE();
}
EXPORT CUresult cuMemcpyDtoHAsync(void *host, uint64_t device, size_t nbytes, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    result = copy(stream, DOWN, device, host, nbytes);
    LEAVE();
}
EXPORT CUresult cuMemcpyDtoDAsync(uint64_t target, uint64_t source, size_t nbytes, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (!block_at(target, nbytes, gpu) || !block_at(source, nbytes, gpu)) {
        wrong("a copy uses what is no memory of the GPU");
        FAIL(INVALID_VALUE);
    }
    result = enqueue(stream, (Op){.kind = ACROSS, .device = target, .source = source, .nbytes = nbytes});
    LEAVE();
}
EXPORT CUresult cuMemsetD8Async(uint64_t target, unsigned char value, size_t nbytes, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (value || !block_at(target, nbytes, gpu)) { wrong("what is no memory of the GPU is cleared"); FAIL(INVALID_VALUE); }
    result = enqueue(stream, (Op){.kind = CLEAR, .device = target, .nbytes = nbytes});
    LEAVE();
}
EXPORT CUresult cuLaunchHostFunc(Stream *stream, void (*function)(void *), void *argument)
{
    ENTER();
    CURRENT();
    MINE(stream);
    result = enqueue(stream, (Op){.kind = CALL, .function = function, .argument = argument});
    LEAVE();
}

/* ---- events ---- */

EXPORT CUresult cuEventCreate(Event **event, unsigned flags)
{
    ENTER();
    CURRENT();
    if (flags != 3) wrong("an event spins, or takes the time");
    *event = calloc(1, sizeof **event);
    (*event)->gpu = gpu;
    live_events++;
    LEAVE();
}
EXPORT CUresult cuEventDestroy(Event *event)
{
    ENTER();
    CURRENT();
    MINE(event);
    event->destroyed = 1;
    live_events--;
    LEAVE();
}
EXPORT CUresult cuEventRecord(Event *event, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(event);
    MINE(stream);
    result = enqueue(stream, (Op){.kind = RECORD});
    event->stream = stream;
    event->turn = stream->turns;
    LEAVE();
}
EXPORT CUresult cuStreamWaitEvent(Stream *stream, Event *event, unsigned flags)
{
    ENTER();
    CURRENT();
    MINE(event);
    MINE(stream);
    (void)flags;
    if (event->stream)
        result = enqueue(stream, (Op){.kind = WAIT, .other = event->stream, .turn_there = event->turn});
    LEAVE();
}
EXPORT CUresult cuEventSynchronize(Event *event)
{
    ENTER();
    CURRENT();
    MINE(event);
    if (event->stream) drain(event->stream, event->turn);
    result = sticky;
    LEAVE();
}

/* ---- graphs ---- */

EXPORT CUresult cuThreadExchangeStreamCaptureMode(int *wanted)
{
    ENTER();
    int before = mode;
    mode = *wanted;
    *wanted = before;
    LEAVE();
}
EXPORT CUresult cuStreamBeginCapture(Stream *stream, int how)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (stream->capture) FAIL(INVALID_VALUE);
    stream->capture = calloc(1, sizeof(Graph));
    stream->capture->last = &stream->capture->first;
    stream->capture->gpu = gpu;
    stream->mode = how;
    stream->invalid = 0;
    stream->capturing = pthread_self();
    LEAVE();
}

static void dispose(Graph *graph)
{
    for (Op *op = graph->first, *next; op; op = next) { next = op->next; free(op); }
    free(graph);
}

EXPORT CUresult cuStreamEndCapture(Stream *stream, Graph **graph)
{
    ENTER();
    CURRENT();
    MINE(stream);
    *graph = NULL;
    if (!stream->capture) FAIL(CAPTURE_UNMATCHED);
    if (stream->mode != RELAXED && !pthread_equal(stream->capturing, pthread_self())) FAIL(CAPTURE_WRONG_THREAD);
    Graph *captured = stream->capture;
    stream->capture = NULL;
    if (stream->invalid) { dispose(captured); FAIL(CAPTURE_INVALIDATED); }
    *graph = captured;
    live_graphs++;
    LEAVE();
}
EXPORT CUresult cuGraphInstantiate(Graph **exec, Graph *graph, unsigned long long flags)
{
    ENTER();
    CURRENT();
    if (flags) FAIL(INVALID_VALUE);
    *exec = calloc(1, sizeof(Graph));
    (*exec)->last = &(*exec)->first;
    (*exec)->gpu = gpu;
    for (Op *op = graph->first; op; op = op->next) {
        Op *copied = malloc(sizeof *copied);
        *copied = *op;
        copied->next = NULL;
        *(*exec)->last = copied;
        (*exec)->last = &copied->next;
    }
    live_execs++;
    LEAVE();
}
/* Newer packages ask for it by this name. */
EXPORT CUresult cuGraphInstantiateWithFlags(Graph **exec, Graph *graph, unsigned long long flags)
{
    return cuGraphInstantiate(exec, graph, flags);
}
EXPORT CUresult cuGraphDestroy(Graph *graph) { ENTER(); live_graphs--; dispose(graph); LEAVE(); }
EXPORT CUresult cuGraphExecDestroy(Graph *exec) { ENTER(); live_execs--; dispose(exec); LEAVE(); }
EXPORT CUresult cuGraphLaunch(Graph *exec, Stream *stream)
{
    ENTER();
    CURRENT();
    MINE(stream);
    if (exec->gpu != gpu) FAIL(INVALID_CONTEXT);
    for (Op *op = exec->first; op && !result; op = op->next) result = enqueue(stream, *op);
    LEAVE();
}

/* ---- errors, and how functions are found ---- */

static const struct { int code; const char *name, *words; } errors[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
};

EXPORT CUresult cuGetErrorString(CUresult code, const char **words)
{
    *words = NULL;
    for (size_t at = 0; at < sizeof errors / sizeof *errors; at++)
        if (errors[at].code == code) *words = errors[at].words;
    return *words ? SUCCESS : INVALID_VALUE;
}

EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags, int *status)
{
    static void *self;
    Dl_info here;
    (void)version, (void)flags;
    const char *missing = getenv("FAKE_CUDA_LACKS"); /* a function that came with a later driver */
    if (!self && dladdr((void *)cuGetProcAddress_v2, &here)) self = dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    *function = missing && !strncmp(symbol, missing, strlen(missing)) ? NULL : strcmp(symbol, "cuGetProcAddress") ? dlsym(self, symbol) : (void *)cuGetProcAddress_v2;
    if (status) *status = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
}
EXPORT CUresult cuGetProcAddress(const char *symbol, void **function, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(symbol, function, version, flags, NULL);
}

/* ---- for the tests ---- */

/* As in a new process. What is there is forgotten, and must not be used any more. */
EXPORT void fake_reset(void)
{
    pthread_mutex_lock(&lock);
    for (int at = 0; at < CALLS; at++) calls[at].count = calls[at].fail_at = 0;
    gpus = 1;
    sticky = 0;
    capacity = ARENA / 2;
    misuse[0] = 0;
    live_memory = live_pinned = live_streams = live_events = live_graphs = live_execs = 0;
    for (int gpu = 0; gpu < GPUS; gpu++) used[gpu] = 0;
    blocks = NULL;
    streams = NULL;
    depth = pushed = 0; /* PyCUDA leaves a context on the stack */
    for (int gpu = 0; gpu < GPUS; gpu++) contexts[gpu].references = 0;
    top = ALIGNED;
    pthread_mutex_unlock(&lock);
}
EXPORT void fake_gpus(int count) { gpus = count; }
EXPORT void fake_capacity(size_t nbytes) { capacity = nbytes; }
/* Have a function fail at its nth call from now on. */
EXPORT void fake_failure(const char *name, long nth, int code, int sticks)
{
    pthread_mutex_lock(&lock);
    int at = 0;
    while (at < CALLS - 1 && calls[at].name && strcmp(calls[at].name, name)) at++;
    if (!calls[at].name) calls[at].name = strdup(name);
    calls[at].fail_at = nth ? calls[at].count + nth : 0;
    calls[at].code = code;
    calls[at].sticks = sticks;
    pthread_mutex_unlock(&lock);
}
EXPORT long fake_calls(const char *name)
{
    for (int at = 0; at < CALLS; at++) if (calls[at].name && !strcmp(calls[at].name, name)) return calls[at].count;
    return 0;
}
/* What is there: memory, pinned memory, streams, events, graphs, instances of graphs, references to and pushes of contexts. */
EXPORT void fake_live(long found[8])
{
    pthread_mutex_lock(&lock);
    long now[8] = {live_memory, live_pinned, live_streams, live_events, live_graphs, live_execs,
                   contexts[0].references + contexts[1].references, pushed};
    memcpy(found, now, sizeof now);
    pthread_mutex_unlock(&lock);
}
EXPORT const char *fake_misuse(void) { return misuse; }
EXPORT void fake_wrong(const char *words) { pthread_mutex_lock(&lock); wrong(words); pthread_mutex_unlock(&lock); }
/* The GPU that is current on this thread; -1 if none is. */
EXPORT int fake_current(void) { return depth ? stack[depth - 1]->gpu : -1; }
/* Where the GPU's memory really is; NULL if it is none, or not so much. */
EXPORT void *fake_memory(uint64_t address, size_t nbytes, int gpu)
{
    pthread_mutex_lock(&lock);
    void *found = block_at(address, nbytes, gpu) ? arena + (address - FIRST_ADDRESS) : NULL;
    pthread_mutex_unlock(&lock);
    return found;
}
