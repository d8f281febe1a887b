# The rows of the diagnosis crosswalk, and the reasons why a diagnosis does not count.

from libc.stdint cimport int32_t, uint8_t

# Why a diagnosis counted or not; the names stand in riskadjust._model.DIAGNOSIS_STATUS.
cdef enum:
    ACCEPTED = 0
    NO_CROSSWALK_ROW = 1
    DATE_MISSING = 2
    DATE_OUTSIDE_YEAR = 3
    BEFORE_BIRTH = 4
    AFTER_AGE_LAST = 5
    LONG_BEFORE_AGE_LAST = 6
    NOT_VALID_IN_FISCAL_YEAR = 7
    MCE_AGE = 8
    MCE_SEX = 9
    NO_BRANCH = 10

cdef enum:
    MISSING_DAY = -2147483647 - 1

# A crosswalk row: first its categories, then when they hold. Ranges are a lowest value and a span, so that one unsigned
# comparison tests them; sexes are masks (bit 0 male, bit 1 female), one for each part of the year.
cdef struct Branch:
    uint8_t categories
    uint8_t category[3]
    uint8_t flags
    uint8_t editor_age_min
    uint8_t editor_age_span
    uint8_t editor_sex[2]
    uint8_t split_age_min
    uint8_t split_age_span
    uint8_t split_sex
    uint8_t further_rows
    uint8_t code_flags
    uint8_t unused[2]

cdef enum:
    VALID_FIRST = 1
    VALID_SECOND = 2
    SECOND_CARRIED = 4
    ROW_UNCERTAIN = 8

# The one byte that `plain_byte` gives a code: its HCC, or one of these.
cdef enum:
    NO_CATEGORY = 192
    NOT_PLAIN = 255

# The days of a benefit year; the second window is the part under the next fiscal year's codes.
cdef struct YearDays:
    int32_t first
    int32_t second_window
    int32_t last


cdef inline uint8_t plain_byte(const Branch* branch) noexcept nogil:
    """Return the HCC of a code that nothing but the dates can stop, or that it has none, or that it is not plain."""
    if branch.code_flags:
        return NOT_PLAIN
    if branch.categories == 0:
        return NO_CATEGORY
    if branch.categories == 1 and branch.further_rows == 0 and branch.flags == VALID_FIRST | VALID_SECOND \
            and branch.editor_age_min == 0 and branch.editor_age_span == 255 \
            and branch.split_age_min == 0 and branch.split_age_span == 255 \
            and branch.editor_sex[0] & branch.editor_sex[1] & branch.split_sex == 3:
        return branch.category[0]
    return NOT_PLAIN


cdef inline int why_not(const Branch* branch, const YearDays* days, int32_t day, int age, int age_last,
                        int sex_bit) noexcept nogil:
    """Return the first reason why a diagnosis does not count, in published order; NO_BRANCH when there is none."""
    cdef int window = 1 if day >= days.second_window else 0
    if day == MISSING_DAY:
        return DATE_MISSING
    if day < days.first or day > days.last:
        return DATE_OUTSIDE_YEAR
    if age < 0:
        return BEFORE_BIRTH
    if age > age_last:
        return AFTER_AGE_LAST
    if age_last - age > 1:
        return LONG_BEFORE_AGE_LAST
    if branch.categories == 0:
        return NO_CROSSWALK_ROW
    if not branch.flags & (VALID_SECOND if window else VALID_FIRST):
        return NOT_VALID_IN_FISCAL_YEAR
    if <uint8_t>(age - branch.editor_age_min) > branch.editor_age_span:
        return MCE_AGE
    if not branch.editor_sex[window] & sex_bit:
        return MCE_SEX
    return NO_BRANCH
