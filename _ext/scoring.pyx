"""The scoring loop: one interpreter for every benefit year and all three models.

Rules arrive compiled (``riskadjust._model``): bit masks over a state of eight 64-bit words, integer thousandths, and a
list of instructions. Nothing here knows a year, an HCC or a coefficient.

State words: 0-2 HCCs, 3 drug categories as mapped, 4-7 variables that rules set.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bits cimport bit_count, lowest_bit
from terms cimport ANY_SET, term_holds

cdef enum:
    WORDS = 8
    HCC_WORDS = 3
    DRUG_WORD = 3
    FACTS = 8
    METALS = 5
    TRIGGER_WORDS = 4

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

# Flags of an enrollee.
cdef enum:
    USED_UNCERTAIN_ROW = 4
    USED_CARRIED_YEAR = 8

cdef int32_t MISSING_DAY = -2147483647 - 1

cdef enum:
    NO_BIT = 65535
    MEMO_AGES = 128
    MEMO_MONTHS = 13


cdef struct Instruction:
    # Set bit `mask` of word `target` (or count into fact `target`) when every clause holds.
    int32_t is_count
    int32_t target
    int32_t step
    int32_t zeroes
    int32_t first_clause
    int32_t last_clause
    int32_t bit
    uint64_t mask


cdef class Rules:
    """Compiled rules of one benefit year, as flat arrays.

    Every keyword of the constructor is an array described in ``riskadjust._model.compile_year``; indexes inside them
    have been checked there.
    """

    cdef const uint8_t[:, ::1] codes
    cdef const uint32_t[::1] code_first
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
    cdef uint64_t* triggers
    cdef uint64_t* always

    def __cinit__(self):
        self.program = NULL
        self.triggers = NULL
        self.always = NULL

    def __dealloc__(self):
        PyMem_Free(self.program)
        PyMem_Free(self.triggers)
        PyMem_Free(self.always)

    def __init__(self, *, codes, code_first, crosswalk, hcc_drops, drug_drops, model_by_age,
                 model_payment, model_uses_drugs, model_age_bit, model_first_instruction, model_count_fact,
                 instructions, instruction_masks, zero_masks, clauses, terms, term_masks, coefficients,
                 first_day, second_window_day, last_day):
        self.codes = codes
        self.code_first = code_first
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
        """Copy the instructions into structs, and note which state bits can make each of them hold.

        An instruction holds only if each of its clauses does. So the bits of one clause that asks for set bits (the one
        with the fewest) are its triggers; an instruction without such a clause is always looked at.
        """
        cdef Py_ssize_t models = self.model_first_instruction.shape[0] - 1
        cdef Py_ssize_t number = self.instructions.shape[0]
        cdef Py_ssize_t size = models * 64 * WORDS * TRIGGER_WORDS
        cdef Py_ssize_t model, i, k, place
        cdef int c, t, w, best, fewest, bits
        cdef bint asks
        cdef uint64_t rest
        cdef Instruction* item
        PyMem_Free(self.program)
        PyMem_Free(self.triggers)
        PyMem_Free(self.always)
        self.program = <Instruction*>PyMem_Malloc((number + 1) * sizeof(Instruction))
        self.triggers = <uint64_t*>PyMem_Malloc(size * sizeof(uint64_t))
        self.always = <uint64_t*>PyMem_Malloc(models * TRIGGER_WORDS * sizeof(uint64_t))
        if self.program == NULL or self.triggers == NULL or self.always == NULL:
            raise MemoryError
        for k in range(size):
            self.triggers[k] = 0
        for k in range(models * TRIGGER_WORDS):
            self.always[k] = 0
        for model in range(models):
            if self.model_first_instruction[model + 1] - self.model_first_instruction[model] > 64 * TRIGGER_WORDS:
                raise ValueError("a model has more instructions than the kernel has room for")
            for i in range(self.model_first_instruction[model], self.model_first_instruction[model + 1]):
                k = i - self.model_first_instruction[model]
                item = &self.program[i]
                item.is_count = self.instructions[i, 0]
                item.target = self.instructions[i, 1]
                item.first_clause = self.instructions[i, 2]
                item.last_clause = self.instructions[i, 3]
                item.step = self.instructions[i, 4]
                item.zeroes = self.instructions[i, 5]
                item.mask = 0 if item.is_count else self.instruction_masks[i, item.target]
                item.bit = 0 if item.is_count else 64 * item.target + lowest_bit(item.mask)
                best, fewest = -1, 64 * WORDS + 1
                for c in range(item.first_clause, item.last_clause):
                    asks, bits = True, 0
                    for t in range(self.clauses[c, 0], self.clauses[c, 1]):
                        asks = asks and self.terms[t, 0] == ANY_SET
                        bits += bit_count(self.term_masks[t])
                    if asks and bits < fewest:
                        best, fewest = c, bits
                if best < 0:
                    self.always[model * TRIGGER_WORDS + (k >> 6)] |= (<uint64_t>1) << (k & 63)
                    continue
                for t in range(self.clauses[best, 0], self.clauses[best, 1]):
                    rest = self.term_masks[t]
                    while rest:
                        w = 64 * self.terms[t, 1] + lowest_bit(rest)
                        rest &= rest - 1
                        place = (model * 64 * WORDS + w) * TRIGGER_WORDS + (k >> 6)
                        self.triggers[place] |= (<uint64_t>1) << (k & 63)
        return 0

    def set_memo(self, memo):
        """Give the scores of people without codes, by sex, age and months, so that they are looked up."""
        self.memo = memo
        self.memo_ready = True

    cdef int why_not(self, const Branch* branch, int32_t day, int age, int age_last, int sex_bit) noexcept nogil:
        """Return the first reason why a diagnosis does not count, in published order; NO_BRANCH when there is none."""
        cdef int window = 1 if day >= self.second_window_day else 0
        if day == MISSING_DAY:
            return DATE_MISSING
        if day < self.first_day or day > self.last_day:
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

    cdef int collect(self, int64_t first, int64_t last, const uint32_t* code_ids, const int32_t* days, int age_before,
                     int32_t birthday, int age_last, int sex_bit, uint64_t* hcc, uint8_t* statuses,
                     int32_t* matched_rows) noexcept nogil:
        """Set the HCCs of an enrollee's diagnoses; return the flags they raise."""
        cdef const Branch* codes = <const Branch*>&self.codes[0, 0]
        cdef const Branch* branch
        cdef const Branch* chosen
        cdef uint32_t year_span = <uint32_t>(self.last_day - self.first_day)
        cdef int32_t first_day = self.first_day
        cdef int32_t second_window_day = self.second_window_day
        cdef int64_t j
        cdef int32_t day, row
        cdef int age, window, status, k, c
        cdef bint dated
        cdef int flags = 0
        for j in range(first, last):
            branch = codes + code_ids[j]
            day = days[j]
            age = age_before + (1 if day >= birthday else 0)
            window = 1 if day >= second_window_day else 0
            row = -1
            dated = (<uint32_t>(day - first_day) <= year_span) & (<uint32_t>(age_last - age) <= 1) & (age >= 0)
            if dated:
                flags |= branch.code_flags
            if dated & (branch.categories == 0):
                status = NO_CROSSWALK_ROW
            elif not (dated & ((branch.flags >> window) & 1)
                    & (<uint8_t>(age - branch.editor_age_min) <= branch.editor_age_span)
                    & ((branch.editor_sex[window] & sex_bit) != 0)):
                status = self.why_not(branch, day, age, age_last, sex_bit)
            else:
                status = NO_BRANCH
                chosen = branch
                k = 0
                while True:
                    if <uint8_t>(age_last - chosen.split_age_min) <= chosen.split_age_span and \
                            chosen.split_sex & sex_bit:
                        status = ACCEPTED
                        break
                    k += 1
                    if k > branch.further_rows:
                        break
                    chosen = <const Branch*>&self.crosswalk[self.code_first[code_ids[j]] + k, 0]
                if status == ACCEPTED:
                    for c in range(chosen.categories):
                        hcc[chosen.category[c] >> 6] |= (<uint64_t>1) << (chosen.category[c] & 63)
                    if chosen.flags & (ROW_UNCERTAIN | SECOND_CARRIED):
                        flags |= USED_UNCERTAIN_ROW if chosen.flags & ROW_UNCERTAIN else 0
                        flags |= USED_CARRIED_YEAR if window and chosen.flags & SECOND_CARRIED else 0
                    if matched_rows != NULL:
                        row = <int32_t>self.code_first[code_ids[j]] + k
            if statuses != NULL:
                statuses[j] = <uint8_t>status
            if matched_rows != NULL:
                matched_rows[j] = row
        return flags

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
        """Set the variables of a model, step by step; members of a group are zeroed when their step ends.

        Only instructions that some set bit triggers are looked at, in order; a bit that is set triggers later ones.
        """
        cdef uint64_t pending[WORDS]
        cdef uint64_t active[TRIGGER_WORDS]
        cdef const uint64_t* trigger
        cdef const uint64_t* triggers = self.triggers + <Py_ssize_t>model * 64 * WORDS * TRIGGER_WORDS
        cdef uint64_t rest
        cdef int i, w, count, part
        cdef int base = self.model_first_instruction[model]
        cdef int32_t step = -1
        cdef bint any_pending = False
        cdef const Instruction* item
        for part in range(TRIGGER_WORDS):
            active[part] = self.always[model * TRIGGER_WORDS + part]
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
                i = base + (part << 6) + lowest_bit(active[part])
                active[part] &= active[part] - 1
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
                        rest = state[w] & self.instruction_masks[i, w]
                        while rest:
                            rest &= rest - 1
                            count += 1
                    facts[item.target] = count
                    continue
                if not self.clauses_hold(item, state, facts):
                    continue
                state[item.target] |= item.mask
                trigger = triggers + item.bit * TRIGGER_WORDS
                for w in range(TRIGGER_WORDS):
                    active[w] |= trigger[w]
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
        cdef Py_ssize_t u
        cdef uint64_t state[WORDS]
        cdef int64_t facts[FACTS]
        cdef uint64_t hcc[HCC_WORDS]
        cdef uint64_t drug_bits
        cdef int model, w, memo_row, m, fact
        cdef uint16_t age_bit
        cdef const uint32_t* code_ids = &codes[0] if codes.shape[0] else NULL
        cdef const int32_t* day_of = &days[0] if days.shape[0] else NULL
        cdef uint8_t* status_of = &statuses[0] if statuses.shape[0] else NULL
        cdef int32_t* row_of = &matched_rows[0] if matched_rows.shape[0] else NULL
        cdef bint with_state = states.shape[0] > 0
        with nogil:
            for u in range(first, last):
                for w in range(HCC_WORDS):
                    hcc[w] = 0
                flags[u] = 0
                if diagnosis_last[u] > diagnosis_first[u]:
                    flags[u] = self.collect(diagnosis_first[u], diagnosis_last[u], code_ids, day_of, age_before[u],
                                            birthday[u], age_last[u], sex[u], hcc, status_of, row_of)
                model = self.model_by_age[age_last[u]]
                models[u] = model
                drug_bits = drugs[u]
                if hcc[0] | hcc[1] | hcc[2]:
                    self.apply_hierarchy(hcc)
                if with_state:
                    for w in range(HCC_WORDS):
                        hccs[u, w] = hcc[w]
                for w in range(HCC_WORDS):
                    state[w] = hcc[w] & self.model_payment[model, w]
                if self.memo_ready and not with_state and not (state[0] | state[1] | state[2] | drug_bits) \
                        and age_last[u] < MEMO_AGES:
                    memo_row = ((sex[u] - 1) * MEMO_AGES + age_last[u]) * MEMO_MONTHS + months[u]
                    for m in range(METALS):
                        scores[u, m] = self.memo[memo_row, m]
                    hcc_counts[u] = self.memo[memo_row, METALS]
                    continue
                for w in range(HCC_WORDS, WORDS):
                    state[w] = 0
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
