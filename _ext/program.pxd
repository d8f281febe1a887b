# The program of a year: instructions that set variables of the state, and what runs them.
#
# State words: 0-2 HCCs, 3 drug categories as mapped, 4-7 variables that rules set.

from libc.stdint cimport int32_t, int64_t, uint64_t

from bits cimport lowest_bit
from terms cimport term_holds

cdef enum:
    WORDS = 8
    HCC_WORDS = 3
    DRUG_WORD = 3
    FACTS = 8
    TRIGGER_WORDS = 4
    ALL_MONTHS = 13
    MONTHS_FACT = 1

cdef struct Term:
    int32_t op
    int32_t index
    int32_t value
    int32_t ends_clause
    uint64_t mask

# Set bit `mask` of word `target` when every clause holds; `words` is what its step then zeroes. A count has no clauses:
# it puts the number of set bits among `words` into fact `target`.
cdef struct Instruction:
    int32_t is_count
    int32_t target
    int32_t step
    int32_t zeroes
    int32_t first_term
    int32_t last_term
    int32_t bit
    uint64_t mask
    const uint64_t* words

# `first` is the first instruction of each model. `triggers` has for each model and state bit, and `always` for each
# model and number of months, the set of the instructions to look at: TRIGGER_WORDS words.
cdef struct Program:
    Instruction* instructions
    Term* terms
    uint64_t* triggers
    uint64_t* always
    const int32_t* first


cdef inline bint clauses_hold(const Term* term, const Term* end, const uint64_t* state,
                              const int64_t* facts) noexcept nogil:
    """Tell whether every clause holds: some term of each."""
    cdef bint holds = False
    while term < end:
        holds = holds or term_holds(term.op, term.index, term.value, term.mask, state, facts)
        if term.ends_clause:
            if not holds:
                return False
            holds = False
        term += 1
    return True


cdef inline int count_bits(const uint64_t* state, const uint64_t* words) noexcept nogil:
    """Return how many of the bits `words` are set; they are few, so they are counted one at a time."""
    cdef int w, count = 0
    cdef uint64_t rest
    for w in range(WORDS):
        rest = state[w] & words[w]
        while rest:
            rest &= rest - 1
            count += 1
    return count


cdef inline void run_program(const Program* program, int model, uint64_t* state, int64_t* facts) noexcept nogil:
    """Set the variables of a model, step by step; members of a group are zeroed when their step ends.

    Only instructions that some set bit triggers are looked at, in order; a bit that is set triggers later ones.
    """
    cdef uint64_t pending[WORDS]
    cdef uint64_t active[TRIGGER_WORDS]
    cdef const uint64_t* trigger
    cdef const uint64_t* triggers = program.triggers + <Py_ssize_t>model * 64 * WORDS * TRIGGER_WORDS
    cdef uint64_t rest
    cdef int w, part
    cdef const Instruction* first = program.instructions + program.first[model]
    cdef const Instruction* item
    cdef int32_t step = -1
    cdef bint any_pending = False
    for part in range(TRIGGER_WORDS):
        active[part] = program.always[(model * ALL_MONTHS + facts[MONTHS_FACT]) * TRIGGER_WORDS + part]
    for w in range(WORDS):
        pending[w] = 0
        rest = state[w]
        while rest:
            trigger = triggers + ((w << 6) + lowest_bit(rest)) * TRIGGER_WORDS
            rest &= rest - 1
            for part in range(TRIGGER_WORDS):
                active[part] |= trigger[part]
    for part in range(TRIGGER_WORDS):
        while active[part]:
            item = first + (part << 6) + lowest_bit(active[part])
            active[part] &= active[part] - 1
            if any_pending and item.step != step:
                for w in range(WORDS):
                    state[w] &= ~pending[w]
                    pending[w] = 0
                any_pending = False
            step = item.step
            if item.is_count:
                facts[item.target] = count_bits(state, item.words)
                continue
            if not clauses_hold(program.terms + item.first_term, program.terms + item.last_term, state, facts):
                continue
            state[item.target] |= item.mask
            trigger = triggers + item.bit * TRIGGER_WORDS
            for w in range(TRIGGER_WORDS):
                active[w] |= trigger[w]
            if item.zeroes:
                any_pending = True
                for w in range(WORDS):
                    pending[w] |= item.words[w]
    if any_pending:
        for w in range(WORDS):
            state[w] &= ~pending[w]
