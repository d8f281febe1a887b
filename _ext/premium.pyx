"""Member premiums: one exact product a row, rounded once to cents, in whole numbers of a machine word.

`member_cents` looks the factors up by position. A plan in an area costs so many cents per unit of the enrollee's
multiplier; that figure is kept as a binary fraction that errs to one known side by less than one unit of its last bit.
Where every premium is a whole number of steps coarser than the error, the error cannot reach the next cent (the wrapper
proves it before the call); where it might, the rows that lie so near are reported and settled elsewhere.

`read_decimals` finds the whole number that a float stands for when it has so many decimals. `product_cents` divides a ready product of two whole numbers by a power of ten. A floating-point guess is off by at most
one; the remainder, taken in whole numbers modulo 2**64, says which way. `long_product_cents` does it with two words.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    LIMB = 32

cdef uint64_t LOW = 0xFFFFFFFF


def member_cents(const uint32_t[::1] plans, const uint16_t[::1] areas, const uint16_t[::1] ages,
                 const uint8_t[::1] tobacco, const uint64_t[:, ::1] units, const uint32_t[:, ::1] multipliers,
                 int shift, uint64_t added, int watch, int64_t[::1] cents, uint32_t[::1] unsure):
    """Fill the premiums of some rows; return how many need to be settled, their positions in `unsure`.

    Parameters
    ----------
    plans, areas : row -> place in `units`.
    ages, tobacco : row -> place in `multipliers`.
    units : plan, area -> cents per unit of the multiplier, times ``2**shift``; below ``2**63``.
    multipliers : tobacco, age -> age factor times tobacco ratio as a whole number, below ``2**31``.
    shift : 33 to 94.
    added : added before the bits below one cent are cut off, in units of ``2**(shift - 32)``th parts of a cent: half a
        cent to round to the nearest, nothing to round down, one cent to round up; at most ``2**62``.
    watch : 0 when the error cannot reach a cent; 1 to report rows that may have been lifted to a cent by units that
        err upward; 2 to report rows that may have been kept below one by units that err downward.
    cents : filled; as long as the rows.
    unsure : filled; as long as the rows when `watch` is not 0.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t found = 0
    cdef uint64_t here, multiplier, low, high
    cdef int down = shift - LIMB
    cdef uint64_t mask = (<uint64_t>1 << down) - 1
    with nogil:
        if watch == 0:
            for i in range(plans.shape[0]):
                here = units[plans[i], areas[i]]
                multiplier = multipliers[tobacco[i], ages[i]]
                low = (here & LOW) * multiplier
                cents[i] = <int64_t>(((here >> LIMB) * multiplier + (low >> LIMB) + added) >> down)
        else:
            for i in range(plans.shape[0]):
                here = units[plans[i], areas[i]]
                multiplier = multipliers[tobacco[i], ages[i]]
                low = (here & LOW) * multiplier
                high = (here >> LIMB) * multiplier + (low >> LIMB) + added
                low = low & LOW
                cents[i] = <int64_t>(high >> down)
                if (high & mask) == 0:
                    if watch == 1 and low < multiplier:
                        unsure[found] = <uint32_t>i
                        found += 1
                elif (high & mask) == mask:
                    if watch == 2 and low + multiplier > LOW + 1:
                        unsure[found] = <uint32_t>i
                        found += 1
    return found


def product_cents(const int64_t[::1] left, const int64_t[::1] right, uint64_t divisor, uint64_t added,
                  int64_t[::1] cents):
    """Fill ``floor((left * right + added) / divisor)`` of each row, exactly.

    Parameters
    ----------
    left : from 0, below ``2**62``.
    right : from 0, below ``2**53``.
    divisor : 1 to 10**18. No quotient may exceed 10**14: the guess is then off by at most one.
    added : half the divisor to round to the nearest, 0 to round down, one less than the divisor to round up.
    cents : filled; as long as the rows.
    """
    cdef Py_ssize_t i
    cdef int64_t guess, rest
    cdef double inverse = 1.0 / <double>divisor
    cdef double lifted = <double>added
    with nogil:
        for i in range(left.shape[0]):
            guess = <int64_t>((<double>left[i] * <double>right[i] + lifted) * inverse)
            rest = <int64_t>(<uint64_t>left[i] * <uint64_t>right[i] + added - <uint64_t>guess * divisor)
            cents[i] = guess - (rest < 0) + (rest >= <int64_t>divisor)


cdef inline uint64_t upper_half(uint64_t left, uint64_t right) noexcept nogil:
    """Return the upper 64 bits of a product of 128."""
    cdef uint64_t low = (left & LOW) * (right & LOW)
    cdef uint64_t middle = (left >> LIMB) * (right & LOW) + (low >> LIMB)
    cdef uint64_t other = (left & LOW) * (right >> LIMB) + (middle & LOW)
    return (left >> LIMB) * (right >> LIMB) + (middle >> LIMB) + (other >> LIMB)


def long_product_cents(const int64_t[::1] left, const int64_t[::1] right, uint64_t divisor_high, uint64_t divisor_low,
                       uint64_t added_high, uint64_t added_low, int64_t[::1] cents):
    """Fill what `product_cents` fills, for divisors of two words: the remainder is taken modulo 2**128.

    Parameters
    ----------
    left, right : from 0, below ``2**62``.
    divisor_high, divisor_low : the divisor, 1 to 10**36. No quotient may exceed 10**14.
    added_high, added_low : as `added` there.
    cents : filled; as long as the rows.
    """
    cdef Py_ssize_t i
    cdef int64_t guess, high
    cdef uint64_t low, part, here
    cdef double word = 18446744073709551616.0
    cdef double inverse = 1.0 / (<double>divisor_high * word + <double>divisor_low)
    cdef double lifted = <double>added_high * word + <double>added_low
    with nogil:
        for i in range(left.shape[0]):
            guess = <int64_t>((<double>left[i] * <double>right[i] + lifted) * inverse)
            here = <uint64_t>left[i] * <uint64_t>right[i]
            low = here + added_low
            high = <int64_t>(upper_half(left[i], right[i]) + added_high + (low < here))
            part = <uint64_t>guess * divisor_low
            high = high - <int64_t>(upper_half(guess, divisor_low) + <uint64_t>guess * divisor_high + (low < part))
            low = low - part
            if high < 0:
                guess -= 1
            elif <uint64_t>high > divisor_high or (<uint64_t>high == divisor_high and low >= divisor_low):
                guess += 1
            cents[i] = guess


def read_decimals(const double[::1] values, double power, double bound, int64_t[::1] numbers):
    """Fill the whole numbers ``y`` with ``y / power`` equal to the value; return how many values have none (-1 there).

    Parameters
    ----------
    values : above 0, below 1e12.
    power : 10 to the number of decimals tried; at most 1e15, so that it is exact.
    bound : numbers from here on count as not read; at most 1e15, so that no two decimals of one float are below it.
    numbers : filled; as long as the values.
    """
    cdef Py_ssize_t i
    cdef Py_ssize_t unread = 0
    cdef double scaled
    cdef int64_t number
    with nogil:
        for i in range(values.shape[0]):
            scaled = values[i] * power + 0.5
            if scaled < bound:
                number = <int64_t>scaled
                if <double>number / power == values[i]:
                    numbers[i] = number
                    continue
            numbers[i] = -1
            unread += 1
    return unread
