"""Rows to their owners: counting sort, union of masks, and set bits as lists."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bits cimport lowest_bit

cdef enum:
    NO_BIT = 65535


def group_rows(const uint32_t[::1] owners, int64_t[::1] first, uint32_t[::1] order):
    """Return how many rows have an owner, after filling where each owner's rows stand.

    Parameters
    ----------
    owners : row -> owner, ``len(first) - 1`` or more for a row without one.
    first : filled so that rows ``order[first[k]:first[k + 1]]`` belong to owner ``k``.
    order : filled with row numbers, stable within an owner.
    """
    cdef Py_ssize_t rows = owners.shape[0]
    cdef Py_ssize_t number = first.shape[0] - 1
    cdef Py_ssize_t i
    cdef int64_t total = 0
    cdef int64_t here
    cdef uint32_t owner
    with nogil:
        for i in range(number + 1):
            first[i] = 0
        for i in range(rows):
            if owners[i] < number:
                first[owners[i]] += 1
        for i in range(number + 1):
            here = first[i]
            first[i] = total
            total += here
        for i in range(rows):
            owner = owners[i]
            if owner < number:
                order[first[owner]] = <uint32_t>i
                first[owner] += 1
        for i in range(number, 0, -1):
            first[i] = first[i - 1]
        first[0] = 0
    return total


def union_masks(const uint32_t[::1] owners, const uint64_t[::1] masks, uint64_t[::1] out):
    """Or each row's mask into its owner's; owners beyond ``len(out)`` are passed over."""
    cdef Py_ssize_t i
    cdef Py_ssize_t number = out.shape[0]
    with nogil:
        for i in range(owners.shape[0]):
            if owners[i] < number:
                out[owners[i]] |= masks[i]


def list_bits(const uint64_t[:, ::1] words, const uint16_t[:, ::1] ids, const uint8_t[::1] kinds,
              int64_t[::1] first, uint16_t[::1] out):
    """Return the number of listed bits; with an empty `out` only counts, else fills the lists of every row.

    `ids` has one row per kind (a model, say): the id of each bit, 65535 for bits that are never listed. `kinds` tells
    the kind of each row; `first` is filled with where each row's ids begin.
    """
    cdef Py_ssize_t u
    cdef int word, bit
    cdef uint64_t rest
    cdef int64_t total = 0
    cdef uint16_t name
    cdef bint fill = out.shape[0] > 0
    with nogil:
        for u in range(words.shape[0]):
            first[u] = total
            for word in range(words.shape[1]):
                rest = words[u, word]
                while rest:
                    bit = (word << 6) + lowest_bit(rest)
                    rest &= rest - 1
                    name = ids[kinds[u], bit]
                    if name == NO_BIT:
                        continue
                    if fill:
                        out[total] = name
                    total += 1
        first[words.shape[0]] = total
    return total
