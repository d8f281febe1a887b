"""Text columns -> dense numbers: each distinct short text is met once, and every row gets its number.

The input is an Arrow string-view buffer: 16 bytes a row, the length first; a text of at most 12 bytes stands in it
whole, so that two texts are equal when the 16 bytes are.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    LONGEST_INLINE = 12

cdef uint64_t MIX_1 = 0x9E3779B97F4A7C15
cdef uint64_t MIX_2 = 0xC2B2AE3D27D4EB4F


def number_texts(const uint64_t[:, ::1] views, uint64_t[:, ::1] seen, uint32_t[::1] seen_number,
                 uint32_t[::1] numbers, uint32_t[::1] first_rows):
    """Return how many distinct texts there are, after giving every row the number of its text.

    Parameters
    ----------
    views : row x 2, the string views.
    seen, seen_number : an empty hash table; its length is a power of two, `seen_number` holds 2**32 - 1 throughout.
    numbers : filled with each row's number, in order of first appearance.
    first_rows : filled with the row where each text appears first.

    Returns
    -------
    int
        -1 when a text is longer than 12 bytes, -2 when the table or `first_rows` is too small: nothing is usable then.
    """
    cdef Py_ssize_t row
    cdef uint64_t a, b, place, mask = <uint64_t>seen.shape[0] - 1
    cdef uint32_t number
    cdef int64_t met = 0
    cdef bint full = False
    cdef uint32_t free_place = 0xFFFFFFFF
    cdef int64_t room = seen.shape[0] // 2
    if first_rows.shape[0] < room:
        room = first_rows.shape[0]
    with nogil:
        for row in range(views.shape[0]):
            a = views[row, 0]
            b = views[row, 1]
            if <uint32_t>a > LONGEST_INLINE:
                met = -1
                break
            # The high bits of the product depend on every byte of the text.
            place = (((a * MIX_1) ^ b) * MIX_2 >> 40) & mask
            while True:
                number = seen_number[place]
                if number == free_place:
                    if met >= room:
                        full = True
                        break
                    number = <uint32_t>met
                    seen[place, 0] = a
                    seen[place, 1] = b
                    seen_number[place] = number
                    first_rows[met] = <uint32_t>row
                    met += 1
                    break
                if seen[place, 0] == a and seen[place, 1] == b:
                    break
                place = (place + 1) & mask
            if full:
                break
            numbers[row] = number
    return -2 if full else met
