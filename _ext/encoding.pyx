"""Text columns -> dense numbers: each distinct text is met once, and every row gets its number.

The input is an Arrow string-view buffer: 16 bytes a row. The first four are the length; a text of at most 12 bytes
follows in place, a longer one stands in a data buffer (bytes 8-11 its number, 12-15 the offset), whose address the caller
passes.

Two ways to the same answer: short texts are compared as whole words (codes as one, ids as up to four, padded with zeros,
the length in the last byte), block by block, so that the memory a block needs is on its way while the next is read;
texts of any length are compared byte by byte.
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
    LONGEST_WORD = 8
    BLOCK = 32
    MOST_WORDS = 4

cdef uint64_t MIX_1 = 0x9E3779B97F4A7C15
cdef uint64_t MIX_2 = 0xC2B2AE3D27D4EB4F
cdef uint32_t FREE = 0xFFFFFFFF
cdef uint64_t FREE_SLOT = 0xFFFFFFFFFFFFFFFF
cdef uint64_t LOW_HALF = 0xFFFFFFFF


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


def number_words(const uint8_t[::1] views, uint64_t[:, ::1] slots, uint32_t[::1] numbers, uint32_t[::1] first_rows):
    """Do what :func:`number_texts` does for texts of at most 8 bytes.

    `slots` is an empty hash table of (text, length and number), its second column filled with 2**64 - 1. Returns -2 when a
    text is longer; nothing is usable then.
    """
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i, size, row
    cdef Py_ssize_t rows = numbers.shape[0]
    cdef uint64_t mask = <uint64_t>slots.shape[0] - 1
    cdef uint64_t texts[BLOCK]
    cdef uint64_t lengths[BLOCK]
    cdef uint64_t places[BLOCK]
    cdef uint64_t place, mixed, held
    cdef uint32_t length
    cdef int64_t met = 0
    cdef int64_t room = slots.shape[0] // 2
    cdef const uint8_t* first_view = &views[0] if rows else NULL
    cdef uint64_t* slot = &slots[0, 0]
    if first_rows.shape[0] < room:
        room = first_rows.shape[0]
    with nogil:
        while begin < rows and met >= 0:
            size = BLOCK if begin + BLOCK <= rows else rows - begin
            for i in range(size):
                memcpy(&length, first_view + VIEW_BYTES * (begin + i), 4)
                if length > LONGEST_WORD:
                    met = -2
                    break
                memcpy(&texts[i], first_view + VIEW_BYTES * (begin + i) + 4, 8)
                lengths[i] = <uint64_t>length << 32
                mixed = (texts[i] + length) * MIX_1
                places[i] = ((mixed ^ (mixed >> 32)) * MIX_2 >> 40) & mask
                poolwise_prefetch(&slot[2 * places[i]])
            if met < 0:
                break
            for i in range(size):
                place = places[i]
                row = begin + i
                while True:
                    held = slot[2 * place + 1]
                    if held == FREE_SLOT:
                        if met >= room:
                            met = -1
                            break
                        slot[2 * place] = texts[i]
                        slot[2 * place + 1] = lengths[i] | <uint64_t>met
                        numbers[row] = <uint32_t>met
                        first_rows[met] = <uint32_t>row
                        met += 1
                        break
                    if slot[2 * place] == texts[i] and (held & ~LOW_HALF) == lengths[i]:
                        numbers[row] = <uint32_t>held
                        break
                    place = (place + 1) & mask
                if met < 0:
                    break
            begin += BLOCK
    return met


cdef inline bint load_key(const uint8_t* view, const uint64_t* buffers, int words, uint64_t* key) noexcept nogil:
    """Write the words of a text; False when it is too long for them."""
    cdef Text text = text_of(view, buffers, 0)
    cdef int w
    cdef uint32_t at
    if text.length >= <uint32_t>(8 * words):
        return False
    for w in range(words):
        at = 8 * w
        key[w] = 0
        if at + 8 <= text.length:
            memcpy(&key[w], text.bytes + at, 8)
        elif at < text.length:
            memcpy(&key[w], text.bytes + at, text.length - at)
    key[words - 1] |= <uint64_t>text.length << 56
    return True


cdef inline uint64_t hash_key(const uint64_t* key, int words) noexcept nogil:
    cdef uint64_t mixed = 0
    cdef int w
    for w in range(words):
        mixed = (mixed ^ key[w]) * MIX_1
        mixed ^= mixed >> 32
    mixed *= MIX_2
    return mixed ^ (mixed >> 29)


cdef inline bint same_key(const uint64_t* a, const uint64_t* b, int words) noexcept nogil:
    cdef uint64_t differs = 0
    cdef int w
    for w in range(words):
        differs |= a[w] ^ b[w]
    return differs == 0


def index_keys(const uint8_t[::1] views, const uint64_t[::1] buffers, uint64_t[:, ::1] keys, uint64_t[::1] slots):
    """Return whether every text fits into its key, after filling `keys` (row x words) and the hash table `slots`.

    A slot holds the upper hash bits and the row; it comes filled with 2**64 - 1.
    """
    cdef Py_ssize_t row
    cdef int words = <int>keys.shape[1]
    cdef uint64_t mask = <uint64_t>slots.shape[0] - 1
    cdef uint64_t hashed, place
    cdef bint fits = True
    cdef const uint64_t* first_buffer = &buffers[0]
    with nogil:
        for row in range(keys.shape[0]):
            if not load_key(&views[VIEW_BYTES * row], first_buffer, words, &keys[row, 0]):
                fits = False
                break
            hashed = hash_key(&keys[row, 0], words)
            place = hashed & mask
            while slots[place] != FREE_SLOT:
                place = (place + 1) & mask
            slots[place] = (hashed & ~LOW_HALF) | <uint64_t>row
    return fits


cdef void find_block_keys(const uint8_t* views, const uint64_t* buffers, const uint64_t* known, const uint64_t* slots,
                          uint64_t mask, uint32_t absent, uint32_t* out, Py_ssize_t rows,
                          const int words) noexcept nogil:
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t i, size, row
    cdef uint64_t keys[BLOCK][MOST_WORDS]
    cdef uint64_t before[MOST_WORDS]
    cdef uint64_t hashes[BLOCK]
    cdef bint repeats[BLOCK]
    cdef bint fits[BLOCK]
    cdef uint64_t place, slot
    cdef int w
    for w in range(MOST_WORDS):
        before[w] = FREE_SLOT
    while begin < rows:
        size = BLOCK if begin + BLOCK <= rows else rows - begin
        for i in range(size):
            fits[i] = load_key(views + VIEW_BYTES * (begin + i), buffers, words, keys[i])
            if not fits[i]:
                for w in range(words):
                    keys[i][w] = FREE_SLOT
            repeats[i] = begin + i > 0 and same_key(&keys[i][0], &keys[i - 1][0] if i else &before[0], words)
            if not repeats[i]:
                hashes[i] = hash_key(keys[i], words)
                poolwise_prefetch(&slots[hashes[i] & mask])
        for i in range(size):
            if not repeats[i]:
                slot = slots[hashes[i] & mask]
                if slot != FREE_SLOT:
                    poolwise_prefetch(&known[(slot & LOW_HALF) * words])
        for i in range(size):
            row = begin + i
            if repeats[i]:
                out[row] = out[row - 1]
                continue
            out[row] = absent
            if not fits[i]:
                continue
            place = hashes[i] & mask
            while slots[place] != FREE_SLOT:
                slot = slots[place]
                if slot >> 32 == hashes[i] >> 32 and same_key(keys[i], &known[(slot & LOW_HALF) * words], words):
                    out[row] = <uint32_t>slot
                    break
                place = (place + 1) & mask
        for w in range(words):
            before[w] = keys[size - 1][w]
        begin += BLOCK


def find_keys(const uint8_t[::1] views, const uint64_t[::1] buffers, const uint64_t[:, ::1] known,
              const uint64_t[::1] slots, uint32_t absent, uint32_t[::1] out):
    """Do what :func:`find_texts` does with the keys and the table of :func:`index_keys`."""
    cdef int words = <int>known.shape[1]
    cdef uint64_t mask = <uint64_t>slots.shape[0] - 1
    cdef Py_ssize_t rows = out.shape[0]
    if rows == 0:
        return
    if known.shape[0] == 0:
        out[:] = absent
        return
    with nogil:
        # A constant number of words lets the compiler unroll.
        if words == 2:
            find_block_keys(&views[0], &buffers[0], &known[0, 0], &slots[0], mask, absent, &out[0], rows, 2)
        elif words == 3:
            find_block_keys(&views[0], &buffers[0], &known[0, 0], &slots[0], mask, absent, &out[0], rows, 3)
        else:
            find_block_keys(&views[0], &buffers[0], &known[0, 0], &slots[0], mask, absent, &out[0], rows, words)


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
