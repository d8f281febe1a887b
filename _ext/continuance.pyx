"""The actuarial value of plan designs on continuance tables: the calculator's own loops, design after design.

A design's services become lines: a cost column with its frequency, and what the enrollee pays of it below and above the
deductible. The loops walk to the spend at which the deductible is met, to the one at which the out-of-pocket limit is
met, and weigh what the plan pays in between. ``rating._av_tables`` lays the tables out, ``rating._av_kernel`` the designs.
"""

from libc.math cimport NAN, fabs, rint
from libc.stdint cimport int32_t, uint8_t

from lines cimport MAX_LINES, Line, drug_lines, medical_lines
from spend cimport WIDTH, Place, Table, mean_at, mean_of, place_of, spend_of

cdef enum:
    MEDICAL, DRUG, COMBINED
    DOMAINS

cdef enum:
    INTEGRATED, COMBINED_MOOP, SEPARATE_MOOP

# What happened to a design.
cdef enum:
    COLLAPSED = 1
    UNSETTLED = 2
    BISECTED = 4
    COUNTS_NOTHING = 8
    NESTED = 16
    PASSES_USED = 32

cdef struct Rules:
    double tolerance
    double lowest_step
    double highest_step
    double share_power
    const double* damping
    int most_passes
    bint bisect
    bint scale_nested

cdef struct Below:
    double spend
    double counted
    double paid
    double copays
    bint used_up

cdef struct Tally:
    int passes
    int state


cdef struct Pair:
    Below medical
    Below drug
    double plan
    double mean
    double spend
    double deductible
    double limit


cdef class Continuance:
    """The tables of one year and the numbers in the calculator's steps.

    Parameters
    ----------
    spend : row -> annual spend at which enrollees are capped; ascending from 0, the last infinite.
    means : domain (medical, drug, combined), metal, row -> mean cost of enrollees capped there.
    cells : domain, metal, row, 2 * line + (0 cost, 1 frequency); lines in the order above.
    damping : pass -> weight of the new value; as long as a loop may be.
    even_rows : so many rows stand at whole multiples of the second row's spend.
    """

    cdef const double[::1] spend
    cdef const double[:, :, ::1] means
    cdef const double[:, :, :, ::1] cells
    cdef const double[::1] damping
    cdef double tolerance
    cdef double lowest_step
    cdef double highest_step
    cdef double share_power
    cdef Py_ssize_t even_rows

    def __init__(self, *, spend, means, cells, damping, tolerance, lowest_step, highest_step, share_power, even_rows):
        self.spend = spend
        self.means = means
        self.cells = cells
        self.damping = damping
        self.tolerance = tolerance
        self.lowest_step = lowest_step
        self.highest_step = highest_step
        self.share_power = share_power
        self.even_rows = even_rows
        if cells.shape != (means.shape[0], means.shape[1], spend.shape[0], 2 * WIDTH) or means.shape[0] != DOMAINS \
                or means.shape[2] != spend.shape[0] or not 2 <= even_rows < spend.shape[0] or not damping.shape[0]:
            raise ValueError("continuance tables of another shape than the kernel reads")

    def values(self, bint bisect, bint scale_nested, const uint8_t[::1] metal,
               const uint8_t[::1] deductible_type, const double[:, ::1] deductible,
               const double[:, ::1] plan_coinsurance, const double[:, ::1] moop,
               const uint8_t[:, ::1] subject_to_deductible, const uint8_t[:, ::1] subject_to_coinsurance,
               const uint8_t[:, ::1] copay_after_deductible, const double[:, ::1] copay,
               const double[:, ::1] coinsurance, const uint8_t[:, ::1] options, const double[::1] specialty_cap,
               double[::1] values, double[::1] counted, int32_t[::1] passes, uint8_t[::1] state):
        """Fill the actuarial value of each design.

        Parameters
        ----------
        bisect : look for the spend by bisection where the loop does not settle.
        scale_nested : scale two deductibles down until they fit under one limit.
        metal : table of each design. The other arrays are those of ``rating._av_columns.DesignColumns``, checked;
            blank copays are 0 and blank coinsurances the general one of the domain.
        options : inpatient per day, skilled nursing per day, inpatient days, first visits free, first visits copay.
        values : filled; NaN where a loop does not settle.
        counted : filled; share of the spend at the deductible that counts toward it.
        passes : filled; all passes together.
        state : filled; sum of what happened.
        """
        cdef Py_ssize_t i
        cdef int medical
        cdef int lines
        cdef Line line[MAX_LINES]
        cdef Tally tally
        cdef Table table[DOMAINS]
        cdef Rules rules
        rules.tolerance, rules.lowest_step, rules.highest_step = self.tolerance, self.lowest_step, self.highest_step
        rules.share_power, rules.damping, rules.most_passes = self.share_power, &self.damping[0], <int>self.damping.shape[0]
        rules.bisect, rules.scale_nested = bisect, scale_nested
        with nogil:
            for i in range(metal.shape[0]):
                self.tables_of(metal[i], table)
                medical = medical_lines(
                    &subject_to_deductible[i, 0], &subject_to_coinsurance[i, 0], &copay_after_deductible[i, 0],
                    &copay[i, 0], &coinsurance[i, 0], plan_coinsurance[i, 0], &options[i, 0], line)
                lines = drug_lines(
                    &subject_to_deductible[i, 0], &subject_to_coinsurance[i, 0], &copay_after_deductible[i, 0],
                    &copay[i, 0], &coinsurance[i, 0], specialty_cap[i], line, medical)
                tally.passes = tally.state = 0
                if deductible_type[i] == INTEGRATED:
                    values[i] = one_domain(&table[COMBINED], line, lines, deductible[i, 0], moop[i, 0], &rules,
                                           &counted[i], &tally)
                    values[i] = values[i] / table[COMBINED].mean[table[COMBINED].last]
                elif deductible_type[i] == COMBINED_MOOP:
                    values[i] = one_limit(table, line, medical, lines, deductible[i, 0], deductible[i, 1], moop[i, 0],
                                          &rules, &counted[i], &tally)
                else:
                    values[i] = two_limits(table, line, medical, lines, &deductible[i, 0], &moop[i, 0], &rules,
                                           &counted[i], &tally)
                values[i] = min(values[i], 1.0) if values[i] == values[i] else values[i]
                passes[i] = tally.passes
                state[i] = <uint8_t>tally.state

    cdef void tables_of(self, Py_ssize_t metal, Table* table) noexcept nogil:
        cdef Py_ssize_t domain
        for domain in range(DOMAINS):
            table[domain].spend = &self.spend[0]
            table[domain].mean = &self.means[domain, metal, 0]
            table[domain].cells = &self.cells[domain, metal, 0, 0]
            table[domain].last = self.spend.shape[0] - 1
            table[domain].even = self.even_rows
            table[domain].step = self.spend[1]


# ------------------------------------------------------------------------------------------------ below the deductible


cdef inline double total_of(const Below* below) noexcept nogil:
    return below.counted + below.paid + below.copays


cdef inline double paid_share(const Below* below) noexcept nogil:
    cdef double total = total_of(below)
    return below.paid / total if total != 0.0 else 0.0


cdef inline bint is_full(const Below* below) noexcept nogil:
    """Return whether nothing is charged although something is spent."""
    return below.counted + below.copays == 0.0 and below.paid > 0.0


cdef void split_at(const Table* table, const Line* line, int lines, double spend, Below* below) noexcept nogil:
    """Take a year's spend below the deductible apart: what counts toward it, what the plan pays, copays."""
    cdef Place place = place_of(table, spend)
    cdef const double* low = table.cells + place.row * (2 * WIDTH)
    cdef const double* high = low + (2 * WIDTH if place.part != 0.0 else 0)
    cdef double part = place.part
    cdef double counted = 0.0
    cdef double paid = 0.0
    cdef double copays = 0.0
    cdef double cost, copay
    cdef int i, k
    for i in range(lines):
        k = line[i].column
        cost = low[k] + part * (high[k] - low[k])
        if line[i].copay_below != 0.0:
            copay = min(cost, (low[k + 1] + part * (high[k + 1] - low[k + 1])) * line[i].copay_below)
            copays += copay
            cost -= copay
        if line[i].counts:
            counted += cost
        else:
            paid += cost
    below.spend, below.counted, below.paid, below.copays = spend, counted, paid, copays


cdef void meet(const Table* table, const Line* line, int lines, double target, const Rules* rules, Below* below,
               Tally* tally) noexcept nogil:
    """Walk to the spend of which so much counts toward the deductible."""
    cdef double share = 1.0
    cdef double found, total, weight
    cdef int i
    below.used_up = False
    for i in range(rules.most_passes):
        split_at(table, line, lines, target / share if share != 0.0 else below.spend, below)
        tally.passes += 1
        total = total_of(below)
        found = below.counted / total if total != 0.0 else 1.0
        if fabs(share - found) < rules.tolerance:
            return
        weight = rules.damping[i]
        share = found * weight + (share + found) / 2.0 * (1.0 - weight)
    below.used_up = True


cdef bint collapse(const Table* table, const Line* line, int lines, double deductible, double moop,
                   const Rules* rules, Below* below, Tally* tally) noexcept nogil:
    """Walk to the spend at which the enrollee's share below the deductible is the limit; return whether it settles."""
    cdef double target = deductible
    cdef double own = below.spend * (1.0 - paid_share(below))
    cdef double above = deductible if own >= moop else -1.0
    cdef double under = 0.0
    cdef double middle
    cdef int i
    for i in range(rules.most_passes):
        if target == 0.0:
            return fabs(own - moop) < rules.tolerance
        if is_full(below):
            return True
        target *= min(max(1.0 + (moop - own) / (2.0 * target), rules.lowest_step), rules.highest_step)
        meet(table, line, lines, target, rules, below, tally)
        own = below.spend * (1.0 - paid_share(below))
        if fabs(own - moop) < rules.tolerance:
            return True
        if above < 0.0 and own >= moop:
            above = target
    tally.state |= UNSETTLED
    if not rules.bisect or above < 0.0:
        return False
    for i in range(rules.most_passes):
        middle = (under + above) / 2.0
        meet(table, line, lines, middle, rules, below, tally)
        own = below.spend * (1.0 - paid_share(below))
        if fabs(own - moop) < rules.tolerance:
            tally.state |= BISECTED
            return True
        if own < moop:
            under = middle
        else:
            above = middle
    return False


# ------------------------------------------------------------------------------------------------ coinsurance range


cdef inline double plan_part(const Line* line, double cost, double count) noexcept nogil:
    """Return what the plan pays of a line's cost in the coinsurance range."""
    if not line.coinsured:
        return cost - min(cost, count * line.copay)
    if line.cap >= 0.0:
        return max(line.share * cost, cost - line.cap * count)
    return line.share * cost


cdef void paid_at(const Table* table, const Line* line, int lines, Place place, double* paid,
                  double* total) noexcept nogil:
    """Sum what the plan pays, and everything, at a place of the table on the terms of the coinsurance range."""
    cdef const double* low = table.cells + place.row * (2 * WIDTH)
    cdef const double* high = low + (2 * WIDTH if place.part != 0.0 else 0)
    cdef double part = place.part
    cdef double plan = 0.0
    cdef double everything = 0.0
    cdef double cost
    cdef int i, k
    for i in range(lines):
        k = line[i].column
        cost = low[k] + part * (high[k] - low[k])
        everything += cost
        if line[i].coinsured and line[i].cap < 0.0:
            plan += line[i].share * cost
        else:
            plan += plan_part(&line[i], cost, low[k + 1] + part * (high[k + 1] - low[k + 1]))
    paid[0], total[0] = plan, everything


cdef double last_shares(const Table* table, const Line* line, int lines) noexcept nogil:
    """Sum what the plan would pay of all spend on the terms of the coinsurance range; a cap is left out here."""
    cdef const double* row = table.cells + table.last * (2 * WIDTH)
    cdef double plan = 0.0
    cdef int i, k
    for i in range(lines):
        k = line[i].column
        if line[i].coinsured:
            plan += line[i].share * row[k]
        else:
            plan += max(0.0, row[k] - row[k + 1] * line[i].copay)
    return plan


cdef double range_value(const Table* table, const Line* line, int lines, double spend, double deductible,
                        double limit, double start, const Rules* rules, Tally* tally) noexcept nogil:
    """Return what the plan pays above the spend at which the deductible is met, on the mean of all enrollees.

    `limit` is the enrollee's money left for the deductible and the range; `start` the first guess of the plan's share.
    """
    cdef Place here = place_of(table, spend)
    cdef Place there = here
    cdef double share = start
    cdef double before = start
    cdef double paid_here, total_here, paid, total, found, weight
    cdef double everything = table.mean[table.last]
    cdef int i
    if limit == spend or limit <= deductible:
        return everything - mean_at(table, here)
    paid_at(table, line, lines, here, &paid_here, &total_here)
    for i in range(rules.most_passes):
        there = place_of(table, spend + (limit - deductible) / (1.0 - share)) if share < 1.0 else here
        paid_at(table, line, lines, there, &paid, &total)
        tally.passes += 1
        total -= total_here
        found = (paid - paid_here) / total if total != 0.0 else 1.0
        weight = rules.damping[i]
        before = share
        share = found * weight + (share + found) / 2.0 * (1.0 - weight)
        if fabs(before - found) < rules.tolerance:
            break
    else:
        share = min(before, share)
        tally.state |= PASSES_USED
    return share * (mean_at(table, there) - mean_at(table, here)) + everything - mean_at(table, there)


# ------------------------------------------------------------------------------------------------ kinds of deductible


cdef double one_domain(const Table* table, const Line* line, int lines, double deductible, double moop,
                       const Rules* rules, double* counted, Tally* tally) noexcept nogil:
    """Return what the plan pays on the mean, one deductible and one limit on one table; NaN: not settled."""
    cdef Below below = Below(0.0, 0.0, 0.0, 0.0, False)
    cdef double total, copay_share
    meet(table, line, lines, deductible, rules, &below, tally)
    total = total_of(&below)
    if below.counted == 0.0 and total != 0.0 and deductible > 0.0:
        tally.state |= COUNTS_NOTHING
    if deductible == moop or below.spend * (1.0 - paid_share(&below)) > moop \
            or (below.spend > 0.0 and below.counted == 0.0 and total != 0.0):
        tally.state |= COLLAPSED
        if not collapse(table, line, lines, deductible, moop, rules, &below, tally):
            return NAN
        if is_full(&below):
            counted[0] = 0.0
            return table.mean[table.last]
    if below.used_up:
        tally.state |= PASSES_USED
    total = total_of(&below)
    counted[0] = below.counted / total if total != 0.0 else 1.0
    if tally.state & COLLAPSED:
        return mean_of(table, below.spend) * (paid_share(&below) - 1.0) + table.mean[table.last]
    copay_share = rint(below.copays / total * rules.share_power) / rules.share_power if total != 0.0 else 0.0
    return mean_of(table, below.spend) * paid_share(&below) + range_value(
        table, line, lines, below.spend, deductible, max(deductible, moop - below.spend * copay_share),
        min(1.0, last_shares(table, line, lines) / table.mean[table.last]), rules, tally)


cdef double two_limits(const Table* table, const Line* line, int medical, int lines, const double* deductible,
                       const double* moop, const Rules* rules, double* counted, Tally* tally) noexcept nogil:
    """Return the actuarial value where medical and drug have a deductible and a limit each."""
    cdef Tally drugs = Tally(0, 0)
    cdef double share
    cdef double plan = one_domain(&table[MEDICAL], line, medical, deductible[0], moop[0], rules, counted, tally)
    plan += one_domain(&table[DRUG], &line[medical], lines - medical, deductible[1], moop[1], rules, &share, &drugs)
    tally.passes += drugs.passes
    tally.state |= drugs.state
    return plan / (table[MEDICAL].mean[table[MEDICAL].last] + table[DRUG].mean[table[DRUG].last])


cdef void meet_both(const Table* table, const Line* line, int medical, int lines, double first, double second,
                    double moop, const Rules* rules, Pair* pair, Tally* tally) noexcept nogil:
    """Meet both deductibles, each on its own table, and say where that is on the combined one."""
    cdef double total
    meet(&table[MEDICAL], line, medical, first, rules, &pair.medical, tally)
    meet(&table[DRUG], &line[medical], lines - medical, second, rules, &pair.drug, tally)
    pair.plan = mean_of(&table[MEDICAL], pair.medical.spend) * paid_share(&pair.medical) \
        + mean_of(&table[DRUG], pair.drug.spend) * paid_share(&pair.drug)
    pair.mean = mean_of(&table[MEDICAL], pair.medical.spend) + mean_of(&table[DRUG], pair.drug.spend)
    pair.spend = spend_of(&table[COMBINED], pair.mean)
    pair.deductible = spend_of(&table[COMBINED], mean_of(&table[MEDICAL], first) + mean_of(&table[DRUG], second))
    pair.limit = moop
    total = total_of(&pair.medical)
    if total != 0.0:
        pair.limit -= pair.medical.spend * pair.medical.copays / total
    total = total_of(&pair.drug)
    if total != 0.0:
        pair.limit -= pair.drug.spend * pair.drug.copays / total


cdef double one_limit(const Table* table, const Line* line, int medical, int lines, double first, double second,
                      double moop, const Rules* rules, double* counted, Tally* tally) noexcept nogil:
    """Return the actuarial value where medical and drug have a deductible each under one limit."""
    cdef Pair pair
    cdef double everything = table[COMBINED].mean[table[COMBINED].last]
    cdef double start, under, above, factor, total
    cdef int i
    pair.medical.spend = pair.drug.spend = 0.0
    meet_both(table, line, medical, lines, first, second, moop, rules, &pair, tally)
    if (first > 0.0 and pair.medical.counted == 0.0 and total_of(&pair.medical) != 0.0) \
            or (second > 0.0 and pair.drug.counted == 0.0 and total_of(&pair.drug) != 0.0):
        tally.state |= COUNTS_NOTHING
    if pair.limit < pair.deductible:
        tally.state |= NESTED
        if rules.scale_nested:
            under, above = 0.0, 1.0
            for i in range(rules.most_passes):
                factor = (under + above) / 2.0
                meet_both(table, line, medical, lines, first * factor, second * factor, moop, rules, &pair, tally)
                if fabs(pair.limit - pair.deductible) < rules.tolerance:
                    break
                if pair.limit < pair.deductible:
                    above = factor
                else:
                    under = factor
            else:
                # What is left of the limit jumps past the deductibles: no factor fits.
                tally.state |= UNSETTLED
                return NAN
    if pair.medical.used_up or pair.drug.used_up:
        tally.state |= PASSES_USED
    total = total_of(&pair.medical) + total_of(&pair.drug)
    counted[0] = (pair.medical.counted + pair.drug.counted) / total if total != 0.0 else 1.0
    if tally.state & NESTED:
        return (pair.plan + everything - pair.mean) / everything
    start = (last_shares(&table[MEDICAL], line, medical) + last_shares(&table[DRUG], &line[medical], lines - medical)) \
        / (table[MEDICAL].mean[table[MEDICAL].last] + table[DRUG].mean[table[DRUG].last])
    return (pair.plan + range_value(&table[COMBINED], line, lines, pair.spend, pair.deductible, pair.limit,
                                    min(1.0, start), rules, tally)) / everything
