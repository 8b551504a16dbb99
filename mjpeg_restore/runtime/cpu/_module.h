/* What all native modules of this folder need: buffers that fit, and what the CPU has. */

#include <stdint.h>

/* Whether a buffer has `count` numbers of `size` bytes each and is aligned to them; if not, an exception is set */
static int fits(const Py_buffer *buffer, size_t count, size_t size, const char *name)
{
  if ((size_t)buffer->len != count * size)
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes, not %zu", name, buffer->len, count * size);
  else if ((uintptr_t)buffer->buf % size)
    PyErr_Format(PyExc_ValueError, "%s: memory that is not aligned to %zu bytes", name, size);
  else
    return 1;
  return 0;
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CAN_COMPILE_AVX2 1
#include <cpuid.h>
#include <immintrin.h>

/* Whether the CPU has AVX2, FMA and F16C.  Not all versions of GCC can be asked for F16C. */
static int detect_avx2(void)
{
  unsigned int a, b, c = 0, d;

  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

/* Numbers of float32 in the widest vectors of this CPU: 16 of AVX-512, as CPUs have it since those that multiply bytes
   (VNNI), 8 of AVX2; 0 if it has none of the two */
static int detect_lanes(void)
{
  if (!detect_avx2())
    return 0;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
    return 16;
  return 8;
}
#else
#define CAN_COMPILE_AVX2 0
static int detect_lanes(void) { return 0; }
#endif
