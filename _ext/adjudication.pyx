"""Claims of enrollees under many designs: what each enrollee pays of each line, in whole cents.

The lines of an enrollee stand together, in the order of adjudication. An enrollee's lines are walked once per design,
so that they and the terms of all designs stay in the cache. What the steps mean is written in ``rating.adjudicate``.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

cdef enum:
    # What the terms of a service say, added up in `flags`.
    DEDUCTIBLE = 1  # counts toward the deductible
    AFTER = 2  # the copay is charged beyond the deductible only
    COINSURED = 4
    FULL = 8  # the plan pays everything
    STAY = 16  # the copay is per stay
    DAY = 32  # the copay is per day of a stay
    FIRST_FREE = 64  # the first visits are free
    FIRST_COPAY = 128  # the first visits are charged the copay alone
    # Settings, added up in `rules`.
    FREE_BELOW = 1  # exempt coinsurance is not charged before the deductible is met
    ALWAYS = 2  # a copay stands beside coinsurance after the deductible too
    SERVICES = 18
    CHARGED = 1 << 30  # added to a stay's days once its copay per stay was charged
    PARTS = 1_000_000  # shares are whole millionths

cdef int64_t MOST_OWED = 1_000_000_000_000_000_000  # cents: more than all claims of an enrollee, so that sums fit


cdef struct Terms:
    int flags
    int64_t copay
    int64_t share  # of the enrollee, in PARTS
    int64_t cap  # of coinsurance, per unit; below 0: none


cdef struct Charge:
    int64_t copay
    int64_t deductible
    int64_t coinsurance


cdef inline int64_t copay_of(Terms* terms, int64_t amount, int64_t units, int64_t days, int64_t most_days,
                             int64_t* owed, int64_t* counted) noexcept nogil:
    """Return the copay that is taken of an amount; `owed` and `counted` are what the stay has not paid, its days.

    A line of a stay that has nothing to take counts too: its days are owed by the next lines.
    """
    cdef int64_t due, taken, before
    if terms.copay == 0:
        return 0
    if (terms.flags & (STAY | DAY)) == 0:
        due = terms.copay * units
        return due if due < amount else amount
    if terms.flags & DAY:
        before = counted[0] & (CHARGED - 1)
        if most_days and days > most_days - before:
            days = most_days - before if most_days > before else 0
        counted[0] += days
        due = owed[0] + terms.copay * days
    elif counted[0] < CHARGED:
        counted[0] += CHARGED
        due = owed[0] + terms.copay
    else:
        due = owed[0]
    taken = due if due < amount else amount
    due -= taken
    owed[0] = due if due < MOST_OWED else MOST_OWED
    return taken


cdef inline int64_t coinsurance_of(Terms* terms, int64_t amount, int64_t units) noexcept nogil:
    """Return the enrollee's share of an amount, halves of a cent up, at most the cap."""
    cdef int64_t found = (amount * terms.share + PARTS // 2) // PARTS
    if terms.cap >= 0 and found > terms.cap * units:
        found = terms.cap * units
    return found


cdef inline Charge charge_of(Terms* terms, int rules, int64_t allowed, int64_t units, int64_t days, int64_t most_days,
                             int64_t left, int64_t room, int64_t* owed, int64_t* counted) noexcept nogil:
    """Return what the enrollee pays of a line, or of a part of it: copay, deductible, coinsurance, then the limit."""
    cdef Charge found
    cdef int64_t beyond
    cdef bint coinsured = (terms.flags & COINSURED) != 0
    cdef bint always = (rules & ALWAYS) != 0
    found.copay = 0
    found.deductible = 0
    found.coinsurance = 0
    if (terms.flags & DEDUCTIBLE) == 0:
        if not coinsured:
            found.copay = copay_of(terms, allowed, units, days, most_days, owed, counted)
        elif terms.copay > 0 and (left > 0 or always):
            found.copay = copay_of(terms, allowed, units, days, most_days, owed, counted)
            if always:
                found.coinsurance = coinsurance_of(terms, allowed - found.copay, units)
        elif left == 0 or (rules & FREE_BELOW) == 0:
            found.coinsurance = coinsurance_of(terms, allowed, units)
    elif terms.flags & AFTER:
        found.deductible = left if left < allowed else allowed
        beyond = allowed - found.deductible
        if always or not coinsured:
            found.copay = copay_of(terms, beyond, units, days, most_days, owed, counted)
        if coinsured:
            found.coinsurance = coinsurance_of(terms, beyond - found.copay, units)
    else:
        if left > 0 or always or not coinsured:
            found.copay = copay_of(terms, allowed, units, days, most_days, owed, counted)
        beyond = allowed - found.copay
        found.deductible = left if left < beyond else beyond
        if coinsured:
            found.coinsurance = coinsurance_of(terms, beyond - found.deductible, units)
    # What has been charged first is kept first.
    if found.copay + found.deductible + found.coinsurance > room:
        if terms.flags & AFTER:
            if found.deductible > room:
                found.deductible = room
            if found.copay > room - found.deductible:
                found.copay = room - found.deductible
        else:
            if found.copay > room:
                found.copay = room
            if found.deductible > room - found.copay:
                found.deductible = room - found.copay
        if found.coinsurance > room - found.copay - found.deductible:
            found.coinsurance = room - found.copay - found.deductible
    return found


cdef inline int64_t left_of(int64_t limit, bint joined, int64_t* run_up, int domain) noexcept nogil:
    """Return what is left of a deductible or limit; where there is one for both domains, both count."""
    cdef int64_t left = limit - (run_up[0] + run_up[1] if joined else run_up[domain])
    return left if left > 0 else 0


def adjudicate_enrollees(const int64_t[::1] first, const int32_t[::1] groups,
                         const uint8_t[::1] services, const int64_t[::1] allowed, const int32_t[::1] units,
                         const int32_t[::1] days, const uint8_t[::1] tiers, const int32_t[::1] stays,
                         const uint8_t[:, :, ::1] flags, const int64_t[:, :, :, ::1] amounts,
                         const int32_t[:, :, :, ::1] counts, const int64_t[:, :, ::1] limits,
                         const uint8_t[:, :, ::1] joined, const uint8_t[::1] apart, const int64_t[::1] employer,
                         const uint8_t[::1] domains, int rules, int64_t[::1] owed, int64_t[::1] counted,
                         int64_t[:, :, ::1] sums, int64_t[:, :, ::1] people, int64_t[:, :, ::1] lines):
    """Add what enrollees pay under each design to `sums`; fill `people` and `lines` unless they are empty.

    Parameters
    ----------
    first : the first line of each enrollee, and behind the last of them the end.
    groups : enrollee -> row of `sums`.
    services, allowed, units, days, tiers, stays : per line; allowed in cents, units and days from 0, tiers 0 or 1, stays
        numbered within the enrollee from 0.
    flags : design, tier, service -> what the terms say. A design without tiers has its terms twice.
    amounts : design, tier, service -> copay and cap of coinsurance per unit in cents (a cap below 0: none), and between
        them the enrollee's share in millionths.
    counts : design, tier, service -> most days charged, first visits; 0: no such option.
    limits : design, tier -> deductible of medical and of drugs, out-of-pocket limit of medical and of drugs.
    joined : design, tier -> 1 where the deductible, the limit, is one for both domains.
    apart : design -> 1 where each tier has accumulators of its own.
    employer : design -> employer money.
    domains : service -> 0 medical, 1 drug.
    rules : sum of settings.
    owed, counted : room to work in, as long as the most stays of an enrollee.
    sums : group, design -> copay, deductible, coinsurance, employer's part, deductibles reached, limits reached.
    people : enrollee, design -> copay, deductible, coinsurance; or no enrollee.
    lines : line, design -> copay, deductible, coinsurance; or no line. Lines count from that of the first enrollee.
    """
    cdef Py_ssize_t person, design, i, group
    cdef Py_ssize_t start = first[0]
    cdef int service, tier, slot, domain
    cdef int64_t total[3]
    cdef int64_t deductibles[4]  # two tiers of two domains
    cdef int64_t paid[4]
    cdef int64_t visits[SERVICES]
    cdef int64_t part, number, here, earliest
    cdef Terms terms
    cdef Charge found, more
    cdef bint has_people = people.shape[0] > 0
    cdef bint has_lines = lines.shape[0] > 0
    cdef bint reached_deductible, reached_limit, has_rest
    cdef Py_ssize_t stays_used
    with nogil:
        for person in range(groups.shape[0]):
            group = groups[person]
            stays_used = 0
            for i in range(first[person], first[person + 1]):
                if stays[i] >= stays_used:
                    stays_used = stays[i] + 1
            for design in range(flags.shape[0]):
                memset(total, 0, sizeof(total))
                memset(deductibles, 0, sizeof(deductibles))
                memset(paid, 0, sizeof(paid))
                memset(visits, 0, sizeof(visits))
                for i in range(stays_used):
                    owed[i] = 0
                    counted[i] = 0
                for i in range(first[person], first[person + 1]):
                    service = services[i]
                    tier = tiers[i]
                    slot = 2 * tier if apart[design] else 0
                    domain = domains[service]
                    terms.flags = flags[design, tier, service]
                    found.copay = 0
                    found.deductible = 0
                    found.coinsurance = 0
                    number = units[i]
                    here = allowed[i]
                    visits[service] += number
                    if (terms.flags & FULL) == 0:
                        terms.copay = amounts[design, tier, service, 0]
                        terms.share = amounts[design, tier, service, 1]
                        terms.cap = amounts[design, tier, service, 2]
                        has_rest = True
                        if terms.flags & (FIRST_FREE | FIRST_COPAY):
                            earliest = counts[design, tier, service, 1] - (visits[service] - number)
                            if earliest > number:
                                earliest = number
                            if earliest < 0:
                                earliest = 0
                            if number > 0:
                                # The part of the first visits, halves of a cent up.
                                part = (2 * here * earliest + number) // (2 * number)
                                has_rest = earliest < number
                            else:
                                # A further line of the visit before it.
                                has_rest = visits[service] > counts[design, tier, service, 1]
                                part = 0 if has_rest else here
                            if terms.flags & FIRST_COPAY:
                                more.copay = terms.copay * earliest
                                if more.copay > part:
                                    more.copay = part
                                if more.copay > left_of(limits[design, tier, 2 + domain], joined[design, tier, 1],
                                                        &paid[slot], domain):
                                    more.copay = left_of(limits[design, tier, 2 + domain], joined[design, tier, 1],
                                                         &paid[slot], domain)
                                paid[slot + domain] += more.copay
                                found.copay = more.copay
                                if terms.flags & DEDUCTIBLE:
                                    terms.flags |= AFTER
                                elif terms.flags & COINSURED:
                                    terms.copay = 0
                            here -= part
                            number -= earliest
                        if has_rest:
                            more = charge_of(
                                &terms, rules, here, number, days[i], counts[design, tier, service, 0],
                                left_of(limits[design, tier, domain], joined[design, tier, 0], &deductibles[slot], domain),
                                left_of(limits[design, tier, 2 + domain], joined[design, tier, 1], &paid[slot], domain),
                                &owed[stays[i]], &counted[stays[i]])
                            deductibles[slot + domain] += more.deductible
                            paid[slot + domain] += more.copay + more.deductible + more.coinsurance
                            found.copay += more.copay
                            found.deductible = more.deductible
                            found.coinsurance = more.coinsurance
                    total[0] += found.copay
                    total[1] += found.deductible
                    total[2] += found.coinsurance
                    if has_lines:
                        lines[i - start, design, 0] = found.copay
                        lines[i - start, design, 1] = found.deductible
                        lines[i - start, design, 2] = found.coinsurance
                reached_deductible = False
                reached_limit = False
                for tier in range(2):
                    slot = 2 * tier if apart[design] else 0
                    for domain in range(2):
                        here = limits[design, tier, domain]
                        if here > 0 and left_of(here, joined[design, tier, 0], &deductibles[slot], domain) == 0:
                            reached_deductible = True
                        here = limits[design, tier, 2 + domain]
                        if here > 0 and left_of(here, joined[design, tier, 1], &paid[slot], domain) == 0:
                            reached_limit = True
                for i in range(3):
                    sums[group, design, i] += total[i]
                    if has_people:
                        people[person, design, i] = total[i]
                sums[group, design, 3] += employer[design] if employer[design] < total[1] else total[1]
                sums[group, design, 4] += reached_deductible
                sums[group, design, 5] += reached_limit
