# The terms of a rule: what they ask of the state and the facts, for every kernel that runs rules.

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    ANY_SET = 0
    ANY_CLEAR = 1
    EQUAL = 2
    AT_LEAST = 3
    ABOVE = 4
    AT_MOST = 5


cdef inline bint term_holds(int op, int index, int32_t value, uint64_t mask, const uint64_t* state,
                            const int64_t* facts) noexcept nogil:
    cdef int64_t fact
    if op == ANY_SET:
        return state[index] & mask != 0
    if op == ANY_CLEAR:
        return ~state[index] & mask != 0
    fact = facts[index] - value
    if op == EQUAL:
        return fact == 0
    if op == AT_LEAST:
        return fact >= 0
    if op == ABOVE:
        return fact > 0
    return fact <= 0
