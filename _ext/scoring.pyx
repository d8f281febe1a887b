"""The scoring loop: one interpreter for every benefit year and all three models.

Rules arrive compiled (``riskadjust._model``): bit masks over a state of eight 64-bit words, integer thousandths, and a
list of instructions. Nothing here knows a year, an HCC or a coefficient. ``crosswalk.pxd`` has the rows that diagnoses
meet, ``program.pxd`` the state, the instructions and what runs them.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from bits cimport bit_count, lowest_bit
from crosswalk cimport (ACCEPTED, NO_BRANCH, NO_CATEGORY, NO_CROSSWALK_ROW, NOT_PLAIN, ROW_UNCERTAIN, SECOND_CARRIED,
                        Branch, YearDays, plain_byte, why_not)
from program cimport (ALL_MONTHS, DRUG_WORD, FACTS, HCC_WORDS, MONTHS_FACT, TRIGGER_WORDS, WORDS, Instruction, Program,
                      Term, run_program)
from terms cimport ANY_SET, EQUAL

cdef enum:
    METALS = 5
    MEMO_AGES = 128
    NO_BIT = 65535

# Flags of an enrollee.
cdef enum:
    USED_UNCERTAIN_ROW = 4
    USED_CARRIED_YEAR = 8


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
    cdef YearDays year
    cdef bint memo_ready
    cdef Program program
    cdef uint8_t* plain
    cdef uint64_t parents[HCC_WORDS]

    def __cinit__(self):
        self.program = Program(NULL, NULL, NULL, NULL, NULL)
        self.plain = NULL

    def __dealloc__(self):
        self.free_program()
        PyMem_Free(self.plain)

    cdef void free_program(self):
        PyMem_Free(self.program.instructions)
        PyMem_Free(self.program.terms)
        PyMem_Free(self.program.triggers)
        PyMem_Free(self.program.always)
        self.program = Program(NULL, NULL, NULL, NULL, NULL)

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
        self.year = YearDays(first_day, second_window_day, last_day)
        self.memo_ready = False
        self.lay_out_program()
        self.lay_out_plain_codes()
        self.lay_out_parents()

    cdef int lay_out_program(self) except -1:
        """Copy the instructions into structs, and note for each what makes it worth a look."""
        cdef Py_ssize_t models = self.model_first_instruction.shape[0] - 1
        cdef Py_ssize_t number = self.instructions.shape[0]
        cdef Py_ssize_t all_terms = self.terms.shape[0]
        cdef Py_ssize_t size = models * 64 * WORDS * TRIGGER_WORDS
        cdef Py_ssize_t months = models * ALL_MONTHS * TRIGGER_WORDS
        cdef Py_ssize_t model, i, k
        self.free_program()
        self.program.instructions = <Instruction*>PyMem_Malloc((number + 1) * sizeof(Instruction))
        self.program.terms = <Term*>PyMem_Malloc((all_terms + 1) * sizeof(Term))
        self.program.triggers = <uint64_t*>PyMem_Malloc(size * sizeof(uint64_t))
        self.program.always = <uint64_t*>PyMem_Malloc(months * sizeof(uint64_t))
        if self.program.instructions == NULL or self.program.terms == NULL or self.program.triggers == NULL \
                or self.program.always == NULL:
            raise MemoryError
        self.program.first = &self.model_first_instruction[0]
        for k in range(size):
            self.program.triggers[k] = 0
        for k in range(months):
            self.program.always[k] = 0
        for i in range(all_terms):
            self.program.terms[i] = Term(self.terms[i, 0], self.terms[i, 1], self.terms[i, 2], 0, self.term_masks[i])
        for i in range(self.clauses.shape[0]):
            self.program.terms[self.clauses[i, 1] - 1].ends_clause = 1
        for i in range(number):
            self.lay_out_instruction(i, &self.program.instructions[i])
        for model in range(models):
            if self.model_first_instruction[model + 1] - self.model_first_instruction[model] > 64 * TRIGGER_WORDS:
                raise ValueError("a model has more instructions than the kernel has room for")
            for i in range(self.model_first_instruction[model], self.model_first_instruction[model + 1]):
                self.lay_out_triggers(model, i)
        return 0

    cdef int lay_out_instruction(self, Py_ssize_t i, Instruction* item) except -1:
        cdef int first_clause = self.instructions[i, 2]
        cdef int last_clause = self.instructions[i, 3]
        item.is_count = self.instructions[i, 0]
        item.target = self.instructions[i, 1]
        item.step = self.instructions[i, 4]
        item.zeroes = self.instructions[i, 5]
        item.first_term = item.last_term = 0
        if last_clause > first_clause:
            item.first_term = self.clauses[first_clause, 0]
            item.last_term = self.clauses[last_clause - 1, 1]
        item.mask = 0 if item.is_count else self.instruction_masks[i, item.target]
        item.bit = 0 if item.is_count else 64 * item.target + lowest_bit(item.mask)
        item.words = &self.instruction_masks[i, 0] if item.is_count else &self.zero_masks[i, 0]
        return 0

    cdef int lay_out_triggers(self, Py_ssize_t model, Py_ssize_t i) except -1:
        """Note which state bits can make an instruction hold.

        An instruction holds only if each of its clauses does. So the bits of one clause that asks for set bits (the one
        with the fewest) are its triggers; an instruction without such a clause is always looked at, or for the number of
        months it asks for.
        """
        cdef Py_ssize_t k = i - self.model_first_instruction[model]
        cdef Py_ssize_t place
        cdef int c, t, w, bits, months
        cdef int best = -1
        cdef int fewest = 64 * WORDS + 1
        cdef bint asks
        cdef uint64_t rest
        for c in range(self.instructions[i, 2], self.instructions[i, 3]):
            asks, bits = True, 0
            for t in range(self.clauses[c, 0], self.clauses[c, 1]):
                asks = asks and self.terms[t, 0] == ANY_SET
                bits += bit_count(self.term_masks[t])
            if asks and bits < fewest:
                best, fewest = c, bits
        if best < 0:
            months = self.months_asked(i)
            for w in range(ALL_MONTHS):
                if months < 0 or months == w:
                    place = (model * ALL_MONTHS + w) * TRIGGER_WORDS + (k >> 6)
                    self.program.always[place] |= (<uint64_t>1) << (k & 63)
            return 0
        for t in range(self.clauses[best, 0], self.clauses[best, 1]):
            rest = self.term_masks[t]
            while rest:
                w = 64 * self.terms[t, 1] + lowest_bit(rest)
                rest &= rest - 1
                place = (model * 64 * WORDS + w) * TRIGGER_WORDS + (k >> 6)
                self.program.triggers[place] |= (<uint64_t>1) << (k & 63)
        return 0

    cdef int months_asked(self, Py_ssize_t i) except -2:
        """Return the only number of months with which an instruction can hold, or -1."""
        cdef int c, t
        for c in range(self.instructions[i, 2], self.instructions[i, 3]):
            t = self.clauses[c, 0]
            if self.clauses[c, 1] - t == 1 and self.terms[t, 0] == EQUAL and self.terms[t, 1] == MONTHS_FACT:
                return self.terms[t, 2]
        return -1

    def set_memo(self, memo):
        """Give the scores of people without codes, by sex, age and months, so that they are looked up."""
        self.memo = memo
        self.memo_ready = True

    cdef int lay_out_plain_codes(self) except -1:
        """Keep one byte for each code: its HCC where nothing but the dates can stop it, or that it has none."""
        cdef Py_ssize_t number = self.codes.shape[0]
        cdef Py_ssize_t i
        PyMem_Free(self.plain)
        self.plain = <uint8_t*>PyMem_Malloc(number + 1)
        if self.plain == NULL:
            raise MemoryError
        for i in range(number):
            self.plain[i] = plain_byte((<const Branch*>&self.codes[0, 0]) + i)
        return 0

    cdef int lay_out_parents(self) except -1:
        """Note which HCCs drop another one."""
        cdef int bit, w
        for w in range(HCC_WORDS):
            self.parents[w] = 0
        for bit in range(64 * HCC_WORDS):
            for w in range(HCC_WORDS):
                if self.hcc_drops[bit, w]:
                    self.parents[bit >> 6] |= (<uint64_t>1) << (bit & 63)
        return 0

    cdef int collect(self, int64_t first, int64_t last, const uint32_t* code_ids, const int32_t* days, int age_before,
                     int32_t birthday, int age_last, int sex_bit, uint64_t* hcc, uint8_t* statuses,
                     int32_t* matched_rows) noexcept nogil:
        """Set the HCCs of an enrollee's diagnoses; return the flags they raise."""
        cdef const Branch* codes = <const Branch*>&self.codes[0, 0]
        cdef const Branch* branch
        cdef const Branch* chosen
        cdef uint32_t year_span = <uint32_t>(self.year.last - self.year.first)
        cdef int32_t first_day = self.year.first
        cdef int32_t second_window_day = self.year.second_window
        cdef int64_t j
        cdef int32_t day, row
        cdef int age, window, status, k, c
        cdef bint dated
        cdef int flags = 0
        # On the days from `earliest` to `latest` no rule of dates and ages stops a diagnosis: then a plain code needs no
        # further look. HCCs are gathered in registers: in memory each would wait for the one before.
        cdef int32_t earliest = birthday if age_before < 0 and birthday > first_day else first_day
        cdef int32_t latest = birthday - 1 if age_last == age_before and birthday <= self.year.last else self.year.last
        cdef uint32_t easy_span = <uint32_t>(latest - earliest)
        cdef const uint8_t* plain_of = self.plain
        cdef bint easy = latest >= earliest and 0 <= age_last - age_before <= 1 and age_before >= -1 \
            and statuses != NULL and matched_rows == NULL
        cdef uint8_t plain
        cdef uint64_t bit, met_0 = 0, met_1 = 0, met_2 = 0
        for j in range(first, last):
            day = days[j]
            if easy:
                plain = plain_of[code_ids[j]]
                if plain != NOT_PLAIN and <uint32_t>(day - earliest) <= easy_span:
                    bit = (<uint64_t>1) << (plain & 63)
                    met_0 |= bit & -<uint64_t>(plain >> 6 == 0)
                    met_1 |= bit & -<uint64_t>(plain >> 6 == 1)
                    met_2 |= bit & -<uint64_t>(plain >> 6 == 2)
                    statuses[j] = plain == NO_CATEGORY
                    continue
            branch = codes + code_ids[j]
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
                status = why_not(branch, &self.year, day, age, age_last, sex_bit)
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
        hcc[0] |= met_0
        hcc[1] |= met_1
        hcc[2] |= met_2
        return flags

    cdef void apply_hierarchy(self, uint64_t* hcc) noexcept nogil:
        cdef uint64_t dropped[HCC_WORDS]
        cdef uint64_t rest
        cdef int word, bit, w
        for w in range(HCC_WORDS):
            dropped[w] = 0
        for word in range(HCC_WORDS):
            rest = hcc[word] & self.parents[word]
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
                    memo_row = ((sex[u] - 1) * MEMO_AGES + age_last[u]) * ALL_MONTHS + months[u]
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
                run_program(&self.program, model, state, facts)
                self.add_coefficients(model, state, &scores[u, 0])
                fact = self.model_count_fact[model]
                hcc_counts[u] = facts[fact] if fact >= 0 else -1
                if with_state:
                    for w in range(WORDS):
                        states[u, w] = state[w]
