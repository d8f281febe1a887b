"""The scoring loop: one interpreter for every benefit year and all three models.

Rules arrive compiled (``riskadjust._model``): bit masks over a state of eight 64-bit words, integer thousandths, and a
list of instructions. Nothing here knows a year, an HCC or a coefficient.

State words: 0-2 HCCs, 3 drug categories as mapped, 4-7 variables that rules set.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bits cimport bit_count, lowest_bit

cdef enum:
    WORDS = 8
    HCC_WORDS = 3
    DRUG_WORD = 3
    FACTS = 8
    METALS = 5

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

# Columns of a crosswalk row.
cdef enum:
    ROW_CATEGORIES = 0
    ROW_FLAGS = 4
    ROW_MCE_MIN = 5
    ROW_MCE_MAX = 6
    ROW_MCE_SEX_FIRST = 7
    ROW_MCE_SEX_SECOND = 8
    ROW_SPLIT_MIN = 9
    ROW_SPLIT_MAX = 10
    ROW_SPLIT_SEX = 11

cdef enum:
    VALID_FIRST = 1
    VALID_SECOND = 2
    SECOND_CARRIED = 4
    ROW_UNCERTAIN = 8

# Flags of an enrollee.
cdef enum:
    USED_UNCERTAIN_ROW = 4
    USED_CARRIED_YEAR = 8

# Operations of a term.
cdef enum:
    ANY_SET = 0
    ANY_CLEAR = 1
    EQUAL = 2
    AT_LEAST = 3
    ABOVE = 4
    AT_MOST = 5

cdef enum:
    NO_MODEL = 255
    NO_BIT = 65535
    MEMO_AGES = 128
    MEMO_MONTHS = 13


cdef struct Instruction:
    # Set bit `mask` of word `target` (or count into fact `target`) when every clause holds. `gate` is a clause of one
    # term: most instructions fail there, without a look at the lists of clauses and terms.
    int32_t is_count
    int32_t target
    int32_t step
    int32_t zeroes
    int32_t gate_op
    int32_t gate_index
    int32_t gate_value
    int32_t only_gate
    int32_t first_clause
    int32_t last_clause
    uint64_t gate_mask
    uint64_t mask


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


cdef class Rules:
    """Compiled rules of one benefit year, as flat arrays.

    Every keyword of the constructor is an array described in ``riskadjust._model.compile_year``; indexes inside them
    have been checked there.
    """

    cdef const uint32_t[::1] code_first
    cdef const uint8_t[::1] code_rows
    cdef const uint8_t[::1] code_flags
    cdef const uint8_t[:, ::1] crosswalk
    cdef const uint64_t[:, ::1] hcc_drops
    cdef const uint64_t[::1] drug_drops
    cdef const uint8_t[::1] model_by_age
    cdef const uint64_t[:, ::1] model_payment
    cdef const uint8_t[::1] model_uses_drugs
    cdef const uint16_t[:, :, ::1] model_age_bit
    cdef const int32_t[::1] model_first_instruction
    cdef const int32_t[::1] model_count_fact
    cdef const int32_t[:, ::1] instructions
    cdef const uint64_t[:, ::1] instruction_masks
    cdef const uint64_t[:, ::1] zero_masks
    cdef const int32_t[:, ::1] clauses
    cdef const int32_t[:, ::1] terms
    cdef const uint64_t[::1] term_masks
    cdef const int32_t[:, :, ::1] coefficients
    cdef const int32_t[:, ::1] memo
    cdef int32_t first_day, second_window_day, last_day
    cdef bint memo_ready
    cdef Instruction* program

    def __cinit__(self):
        self.program = NULL

    def __dealloc__(self):
        PyMem_Free(self.program)

    def __init__(self, *, code_first, code_rows, code_flags, crosswalk, hcc_drops, drug_drops, model_by_age,
                 model_payment, model_uses_drugs, model_age_bit, model_first_instruction, model_count_fact,
                 instructions, instruction_masks, zero_masks, clauses, terms, term_masks, coefficients,
                 first_day, second_window_day, last_day):
        self.code_first = code_first
        self.code_rows = code_rows
        self.code_flags = code_flags
        self.crosswalk = crosswalk
        self.hcc_drops = hcc_drops
        self.drug_drops = drug_drops
        self.model_by_age = model_by_age
        self.model_payment = model_payment
        self.model_uses_drugs = model_uses_drugs
        self.model_age_bit = model_age_bit
        self.model_first_instruction = model_first_instruction
        self.model_count_fact = model_count_fact
        self.instructions = instructions
        self.instruction_masks = instruction_masks
        self.zero_masks = zero_masks
        self.clauses = clauses
        self.terms = terms
        self.term_masks = term_masks
        self.coefficients = coefficients
        self.first_day = first_day
        self.second_window_day = second_window_day
        self.last_day = last_day
        self.memo_ready = False
        self.lay_out_program()

    cdef int lay_out_program(self) except -1:
        """Copy the instructions into structs, each with its gate: the first clause that has a single term."""
        cdef Py_ssize_t number = self.instructions.shape[0]
        cdef Py_ssize_t i
        cdef int c, t
        cdef Instruction* item
        PyMem_Free(self.program)
        self.program = <Instruction*>PyMem_Malloc((number + 1) * sizeof(Instruction))
        if self.program == NULL:
            raise MemoryError
        for i in range(number):
            item = &self.program[i]
            item.is_count = self.instructions[i, 0]
            item.target = self.instructions[i, 1]
            item.first_clause = self.instructions[i, 2]
            item.last_clause = self.instructions[i, 3]
            item.step = self.instructions[i, 4]
            item.zeroes = self.instructions[i, 5]
            item.mask = 0 if item.is_count else self.instruction_masks[i, item.target]
            item.gate_op = -1
            item.gate_index = item.gate_value = item.only_gate = 0
            item.gate_mask = 0
            for c in range(item.first_clause, item.last_clause):
                t = self.clauses[c, 0]
                if self.clauses[c, 1] - t != 1:
                    continue
                item.gate_op = self.terms[t, 0]
                item.gate_index = self.terms[t, 1]
                item.gate_value = self.terms[t, 2]
                item.gate_mask = self.term_masks[t]
                item.only_gate = item.last_clause - item.first_clause == 1
                break
        return 0

    def set_memo(self, memo):
        """Give the scores of people without codes, by sex, age and months, so that they are looked up."""
        self.memo = memo
        self.memo_ready = True

    cdef int diagnosis_status(self, uint32_t code, int32_t day, int age_before, int32_t birthday, int age_last,
                              int sex, uint64_t* hcc, uint8_t* flags, int32_t* matched) noexcept nogil:
        cdef int age, window, k, i, c
        cdef uint32_t row
        cdef const uint8_t* r
        cdef uint8_t category
        matched[0] = -1
        if day < self.first_day or day > self.last_day:
            return DATE_MISSING if day == -2147483648 else DATE_OUTSIDE_YEAR
        age = age_before + (1 if day >= birthday else 0)
        if age < 0:
            return BEFORE_BIRTH
        if age > age_last:
            return AFTER_AGE_LAST
        if age_last - age > 1:
            return LONG_BEFORE_AGE_LAST
        flags[0] |= self.code_flags[code]
        k = self.code_rows[code]
        if k == 0:
            return NO_CROSSWALK_ROW
        row = self.code_first[code]
        r = &self.crosswalk[row, 0]
        window = 1 if day >= self.second_window_day else 0
        if not r[ROW_FLAGS] & (VALID_SECOND if window else VALID_FIRST):
            return NOT_VALID_IN_FISCAL_YEAR
        if age < r[ROW_MCE_MIN] or age > r[ROW_MCE_MAX]:
            return MCE_AGE
        if r[ROW_MCE_SEX_FIRST + window] and r[ROW_MCE_SEX_FIRST + window] != sex:
            return MCE_SEX
        for i in range(k):
            r = &self.crosswalk[row + i, 0]
            if age_last < r[ROW_SPLIT_MIN] or age_last > r[ROW_SPLIT_MAX]:
                continue
            if r[ROW_SPLIT_SEX] and r[ROW_SPLIT_SEX] != sex:
                continue
            for c in range(1, r[0] + 1):
                category = r[c]
                hcc[category >> 6] |= (<uint64_t>1) << (category & 63)
            if r[ROW_FLAGS] & ROW_UNCERTAIN:
                flags[0] |= USED_UNCERTAIN_ROW
            if window and r[ROW_FLAGS] & SECOND_CARRIED:
                flags[0] |= USED_CARRIED_YEAR
            matched[0] = row + i
            return ACCEPTED
        return NO_BRANCH

    cdef void apply_hierarchy(self, uint64_t* hcc) noexcept nogil:
        cdef uint64_t dropped[HCC_WORDS]
        cdef uint64_t rest
        cdef int word, bit, w
        for w in range(HCC_WORDS):
            dropped[w] = 0
        for word in range(HCC_WORDS):
            rest = hcc[word]
            while rest:
                bit = (word << 6) + lowest_bit(rest)
                rest &= rest - 1
                for w in range(HCC_WORDS):
                    dropped[w] |= self.hcc_drops[bit, w]
        for w in range(HCC_WORDS):
            hcc[w] &= ~dropped[w]

    cdef uint64_t apply_drug_hierarchy(self, uint64_t drugs) noexcept nogil:
        cdef uint64_t rest = drugs
        cdef uint64_t dropped = 0
        while rest:
            dropped |= self.drug_drops[lowest_bit(rest)]
            rest &= rest - 1
        return drugs & ~dropped

    cdef bint clauses_hold(self, const Instruction* item, const uint64_t* state, const int64_t* facts) noexcept nogil:
        cdef int c, t
        cdef bint holds
        for c in range(item.first_clause, item.last_clause):
            holds = False
            for t in range(self.clauses[c, 0], self.clauses[c, 1]):
                if term_holds(self.terms[t, 0], self.terms[t, 1], self.terms[t, 2], self.term_masks[t], state, facts):
                    holds = True
                    break
            if not holds:
                return False
        return True

    cdef void run_program(self, int model, uint64_t* state, int64_t* facts) noexcept nogil:
        """Set the variables of a model, step by step; members of a group are zeroed when their step ends."""
        cdef uint64_t pending[WORDS]
        cdef int i, w, count
        cdef int32_t step = -1
        cdef bint any_pending = False
        cdef const Instruction* item
        for w in range(WORDS):
            pending[w] = 0
        for i in range(self.model_first_instruction[model], self.model_first_instruction[model + 1]):
            item = &self.program[i]
            if any_pending and item.step != step:
                for w in range(WORDS):
                    state[w] &= ~pending[w]
                    pending[w] = 0
                any_pending = False
            step = item.step
            if item.is_count:
                count = 0
                for w in range(WORDS):
                    count += bit_count(state[w] & self.instruction_masks[i, w])
                facts[item.target] = count
                continue
            if item.gate_op >= 0 and not term_holds(item.gate_op, item.gate_index, item.gate_value, item.gate_mask,
                                                    state, facts):
                continue
            if not item.only_gate and not self.clauses_hold(item, state, facts):
                continue
            state[item.target] |= item.mask
            if item.zeroes:
                any_pending = True
                for w in range(WORDS):
                    pending[w] |= self.zero_masks[i, w]
        if any_pending:
            for w in range(WORDS):
                state[w] &= ~pending[w]

    cdef void add_coefficients(self, int model, const uint64_t* state, int32_t* total) noexcept nogil:
        cdef int word, bit, m
        cdef uint64_t rest
        cdef const int32_t* row
        for m in range(METALS):
            total[m] = 0
        for word in range(WORDS):
            if word == DRUG_WORD:
                continue
            rest = state[word]
            while rest:
                bit = (word << 6) + lowest_bit(rest)
                rest &= rest - 1
                row = &self.coefficients[model, bit, 0]
                for m in range(METALS):
                    total[m] += row[m]

    def score(self, Py_ssize_t first, Py_ssize_t last, const int16_t[::1] age_before, const int32_t[::1] birthday,
              const int16_t[::1] age_last, const uint8_t[::1] months, const uint8_t[::1] sex,
              const int64_t[::1] diagnosis_first, const int64_t[::1] diagnosis_last, const uint32_t[::1] codes,
              const int32_t[::1] days, const uint64_t[::1] drugs, int32_t[:, ::1] scores, uint8_t[::1] models,
              int16_t[::1] hcc_counts, uint8_t[::1] flags, uint8_t[::1] statuses, int32_t[::1] matched_rows,
              uint64_t[:, ::1] hccs, uint64_t[:, ::1] states):
        """Score enrollees ``first`` to ``last`` (exclusive) into the arrays given.

        `scores` are thousandths by metal; `hcc_counts` is -1 where the model counts none. `statuses` and `matched_rows`
        have one cell per diagnosis, `hccs` and `states` one row per enrollee; empty arrays leave them out.
        """
        cdef Py_ssize_t u, j
        cdef uint64_t state[WORDS]
        cdef int64_t facts[FACTS]
        cdef uint64_t hcc[HCC_WORDS]
        cdef uint64_t drug_bits
        cdef uint8_t flag
        cdef int32_t row
        cdef int status, model, w, memo_row, m, fact
        cdef uint16_t age_bit
        cdef bint with_status = statuses.shape[0] > 0
        cdef bint with_rows = matched_rows.shape[0] > 0
        cdef bint with_state = states.shape[0] > 0
        with nogil:
            for u in range(first, last):
                for w in range(HCC_WORDS):
                    hcc[w] = 0
                flag = 0
                for j in range(diagnosis_first[u], diagnosis_last[u]):
                    status = self.diagnosis_status(codes[j], days[j], age_before[u], birthday[u], age_last[u],
                                                   sex[u], hcc, &flag, &row)
                    if with_status:
                        statuses[j] = status
                    if with_rows:
                        matched_rows[j] = row
                flags[u] = flag
                model = self.model_by_age[age_last[u]]
                models[u] = model
                drug_bits = drugs[u]
                if hcc[0] | hcc[1] | hcc[2]:
                    self.apply_hierarchy(hcc)
                if with_state:
                    for w in range(HCC_WORDS):
                        hccs[u, w] = hcc[w]
                for w in range(WORDS):
                    state[w] = 0
                for w in range(HCC_WORDS):
                    state[w] = hcc[w] & self.model_payment[model, w]
                if self.memo_ready and not with_state and not (state[0] | state[1] | state[2] | drug_bits) \
                        and age_last[u] < MEMO_AGES:
                    memo_row = ((sex[u] - 1) * MEMO_AGES + age_last[u]) * MEMO_MONTHS + months[u]
                    for m in range(METALS):
                        scores[u, m] = self.memo[memo_row, m]
                    hcc_counts[u] = self.memo[memo_row, METALS]
                    continue
                if self.model_uses_drugs[model]:
                    drug_bits = self.apply_drug_hierarchy(drug_bits)
                state[DRUG_WORD] = drug_bits
                age_bit = self.model_age_bit[model, sex[u] - 1, age_last[u]]
                if age_bit != NO_BIT:
                    state[age_bit >> 6] |= (<uint64_t>1) << (age_bit & 63)
                for w in range(FACTS):
                    facts[w] = 0
                facts[0] = age_last[u]
                facts[1] = months[u]
                facts[2] = sex[u]
                self.run_program(model, state, facts)
                self.add_coefficients(model, state, &scores[u, 0])
                fact = self.model_count_fact[model]
                hcc_counts[u] = facts[fact] if fact >= 0 else -1
                if with_state:
                    for w in range(WORDS):
                        states[u, w] = state[w]
