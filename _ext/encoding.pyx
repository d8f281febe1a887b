"""Text columns -> dense numbers: each distinct text is met once, and every row gets its number.

The input is an Arrow string-view buffer: 16 bytes a row. The first four are the length; a text of at most 12 bytes
follows in place, a longer one stands in a data buffer (bytes 8-11 its number, 12-15 the offset), whose address the caller
passes. Rows of one enrollee usually stand together, so a text is compared with the row before first.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    #define poolwise_prefetch(p) _mm_prefetch((const char*)(p), _MM_HINT_T0)
    #else
    #define poolwise_prefetch(p) __builtin_prefetch(p)
    #endif
    """
    void poolwise_prefetch(const void*) noexcept nogil

cdef enum:
    VIEW_BYTES = 16
    LONGEST_INLINE = 12
    BLOCK = 32

cdef uint64_t MIX_1 = 0x9E3779B97F4A7C15
cdef uint64_t MIX_2 = 0xC2B2AE3D27D4EB4F
cdef uint32_t FREE = 0xFFFFFFFF


cdef struct Text:
    const uint8_t* bytes
    uint32_t length


cdef inline Text text_of(const uint8_t* views, const uint64_t* buffers, Py_ssize_t row) noexcept nogil:
    cdef Text text
    cdef const uint8_t* view = views + row * VIEW_BYTES
    cdef int32_t place[2]
    memcpy(&text.length, view, 4)
    if text.length <= LONGEST_INLINE:
        text.bytes = view + 4
        return text
    memcpy(place, view + 8, 8)
    text.bytes = <const uint8_t*>buffers[place[0]] + place[1]
    return text


cdef inline bint same_text(Text a, Text b) noexcept nogil:
    return a.length == b.length and memcmp(a.bytes, b.bytes, a.length) == 0


cdef inline uint64_t hash_of(Text text) noexcept nogil:
    cdef uint64_t mixed = text.length * MIX_2
    cdef uint64_t word
    cdef uint32_t at = 0
    while at + 8 <= text.length:
        memcpy(&word, text.bytes + at, 8)
        mixed = (mixed ^ word) * MIX_1
        mixed ^= mixed >> 32
        at += 8
    if at < text.length:
        word = 0
        memcpy(&word, text.bytes + at, text.length - at)
        mixed = (mixed ^ word) * MIX_1
        mixed ^= mixed >> 32
    mixed *= MIX_2
    return mixed ^ (mixed >> 29)


def number_texts(const uint8_t[::1] views, const uint64_t[::1] buffers, uint32_t[::1] slot_row, uint32_t[::1] slot_tag,
                 uint32_t[::1] numbers, uint32_t[::1] first_rows):
    """Return how many distinct texts there are, after giving every row the number of its text.

    Parameters
    ----------
    views, buffers : the string views, 16 bytes a row, and the addresses of their data buffers.
    slot_row, slot_tag : an empty hash table, of a length that is a power of two; `slot_row` holds 2**32 - 1 throughout.
    numbers : filled with each row's number, in order of first appearance.
    first_rows : filled with the row where each text appears first.

    Returns
    -------
    int
        -1 when the table or `first_rows` is too small: nothing is usable then.
    """
    cdef Py_ssize_t row
    cdef Py_ssize_t rows = numbers.shape[0]
    cdef uint64_t mask = <uint64_t>slot_row.shape[0] - 1
    cdef uint64_t hashed, place
    cdef uint32_t tag, number
    cdef int64_t met = 0
    cdef int64_t room = slot_row.shape[0] // 2
    cdef bint full = False
    cdef Text text, before
    cdef const uint8_t* first_view = &views[0] if rows else NULL
    cdef const uint64_t* first_buffer = &buffers[0]
    if first_rows.shape[0] < room:
        room = first_rows.shape[0]
    with nogil:
        for row in range(rows):
            text = text_of(first_view, first_buffer, row)
            if row and same_text(text, before):
                numbers[row] = numbers[row - 1]
                continue
            before = text
            hashed = hash_of(text)
            place = hashed & mask
            tag = <uint32_t>(hashed >> 32)
            while True:
                number = slot_row[place]
                if number == FREE:
                    if met >= room:
                        full = True
                        break
                    number = <uint32_t>met
                    slot_row[place] = number
                    slot_tag[place] = tag
                    first_rows[met] = <uint32_t>row
                    met += 1
                    break
                if slot_tag[place] == tag and same_text(text, text_of(first_view, first_buffer, first_rows[number])):
                    break
                place = (place + 1) & mask
            if full:
                break
            numbers[row] = number
    return -1 if full else met


def index_texts(const uint8_t[::1] views, const uint64_t[::1] buffers, uint32_t[::1] slot_row, uint32_t[::1] slot_tag):
    """Fill an empty hash table with the rows of distinct texts; its length is a power of two, at least twice theirs."""
    cdef Py_ssize_t row
    cdef Py_ssize_t rows = views.shape[0] // VIEW_BYTES
    cdef uint64_t mask = <uint64_t>slot_row.shape[0] - 1
    cdef uint64_t hashed, place
    cdef const uint8_t* first_view = &views[0] if rows else NULL
    cdef const uint64_t* first_buffer = &buffers[0]
    with nogil:
        for row in range(rows):
            hashed = hash_of(text_of(first_view, first_buffer, row))
            place = hashed & mask
            while slot_row[place] != FREE:
                place = (place + 1) & mask
            slot_row[place] = <uint32_t>row
            slot_tag[place] = <uint32_t>(hashed >> 32)


def find_texts(const uint8_t[::1] views, const uint64_t[::1] buffers, const uint8_t[::1] known_views,
               const uint64_t[::1] known_buffers, const uint32_t[::1] slot_row, const uint32_t[::1] slot_tag,
               uint32_t absent, uint32_t[::1] out):
    """Fill `out` with the row of each text among the known ones (a table of :func:`index_texts`), or `absent`."""
    cdef Py_ssize_t rows = out.shape[0]
    cdef Py_ssize_t begin, row, i, size
    cdef uint64_t mask = <uint64_t>slot_row.shape[0] - 1
    cdef uint64_t hashes[BLOCK]
    cdef bint repeats[BLOCK]
    cdef uint64_t place
    cdef uint32_t tag, known
    cdef Text text, before
    cdef const uint8_t* first_view = &views[0] if rows else NULL
    cdef const uint64_t* first_buffer = &buffers[0]
    cdef const uint8_t* known_view = &known_views[0] if known_views.shape[0] else NULL
    cdef const uint64_t* known_buffer = &known_buffers[0]
    with nogil:
        begin = 0
        while begin < rows:
            size = BLOCK if begin + BLOCK <= rows else rows - begin
            for i in range(size):
                text = text_of(first_view, first_buffer, begin + i)
                repeats[i] = begin + i > 0 and same_text(text, before)
                before = text
                if not repeats[i]:
                    hashes[i] = hash_of(text)
                    poolwise_prefetch(&slot_row[hashes[i] & mask])
                    poolwise_prefetch(&slot_tag[hashes[i] & mask])
            for i in range(size):
                row = begin + i
                if repeats[i]:
                    out[row] = out[row - 1]
                    continue
                text = text_of(first_view, first_buffer, row)
                place = hashes[i] & mask
                tag = <uint32_t>(hashes[i] >> 32)
                out[row] = absent
                while slot_row[place] != FREE:
                    known = slot_row[place]
                    if slot_tag[place] == tag and same_text(text, text_of(known_view, known_buffer, known)):
                        out[row] = known
                        break
                    place = (place + 1) & mask
            begin += BLOCK
