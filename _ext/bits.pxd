# Bit operations of 64-bit words, for every kernel.

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #ifndef POOLWISE_BITS
    #define POOLWISE_BITS
    #if defined(_MSC_VER)
    #include <intrin.h>
    static __inline int poolwise_lowest_bit(unsigned __int64 x) {
        unsigned long i; _BitScanForward64(&i, x); return (int)i; }
    static __inline int poolwise_bit_count(unsigned __int64 x) { return (int)__popcnt64(x); }
    #else
    static inline int poolwise_lowest_bit(unsigned long long x) { return __builtin_ctzll(x); }
    static inline int poolwise_bit_count(unsigned long long x) { return __builtin_popcountll(x); }
    #endif
    #endif
    """
    int lowest_bit "poolwise_lowest_bit"(uint64_t) noexcept nogil
    int bit_count "poolwise_bit_count"(uint64_t) noexcept nogil
