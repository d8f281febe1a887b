"""A design as lines: which column of a continuance table, and what the enrollee pays of its cost and of each use."""

from libc.stdint cimport uint8_t

# Where each service stands among the services of a design.
cdef enum:
    EMERGENCY_ROOM, INPATIENT, PRIMARY_CARE, SPECIALIST, MENTAL_HEALTH, IMAGING, SPEECH_THERAPY, PHYSICAL_THERAPY
    PREVENTIVE, LABORATORY, XRAY, SKILLED_NURSING, FACILITY, PROFESSIONAL, GENERIC, PREFERRED, NONPREFERRED, SPECIALTY
    SERVICES

# Where each line stands in a row of the tables.
cdef enum:
    AT_EMERGENCY_ROOM = 0
    AT_STAYS = 1
    AT_DAYS = 2  # then 1 to 10 days at most
    AT_PRIMARY_CARE = 13  # then beyond 1 to 10 visits
    AT_SPECIALIST = 24
    AT_MENTAL_HEALTH = 25  # facility, professional; so the next three services
    AT_PREVENTIVE = 33
    AT_LABORATORY = 34
    AT_XRAY = 36  # all, with primary care, with specialists, rest
    AT_NURSING_STAYS = 40
    AT_NURSING_DAYS = 41
    AT_FACILITY = 42
    AT_PROFESSIONAL = 43
    AT_DRUGS = 44
    AT_FIRST_VISITS = 48  # up to 1 to 10 visits

cdef enum:
    MAX_LINES = 28


cdef struct Line:
    int column
    bint counts
    bint coinsured
    double copay_below
    double copay
    double share
    double cap


cdef inline void set_line(Line* line, int column, int service, const uint8_t* counts, const uint8_t* coinsured,
                          const uint8_t* after, const double* copay, const double* coinsurance) noexcept nogil:
    """Give a line the terms of a service."""
    line.column = 2 * column
    line.counts = counts[service] or after[service]
    line.coinsured = coinsured[service]
    line.copay_below = 0.0 if after[service] else copay[service]
    line.copay = copay[service]
    line.share = coinsurance[service]
    line.cap = -1.0


cdef inline int medical_lines(const uint8_t* counts, const uint8_t* coinsured, const uint8_t* after, const double* copay,
                       const double* coinsurance, double general, const uint8_t* options, Line* line) noexcept nogil:
    """Lay out the medical lines of a design; return how many there are."""
    cdef bint special[SERVICES]
    cdef int service, facility, professional, visits
    cdef int n = 0
    for service in range(SERVICES):
        special[service] = not (counts[service] and coinsured[service] and copay[service] == 0.0
                                and coinsurance[service] == general)
    set_line(&line[n], AT_EMERGENCY_ROOM, EMERGENCY_ROOM, counts, coinsured, after, copay, coinsurance)
    n += 1
    set_line(&line[n], AT_DAYS + options[2] if options[0] else AT_STAYS, INPATIENT,
             counts, coinsured, after, copay, coinsurance)
    n += 1
    visits = options[3] + options[4]
    if visits == 0:
        set_line(&line[n], AT_PRIMARY_CARE, PRIMARY_CARE, counts, coinsured, after, copay, coinsurance)
        n += 1
    else:
        line[n] = Line(2 * (AT_FIRST_VISITS + visits - 1), False, False, 0.0, 0.0, 0.0, -1.0)
        if options[4]:
            line[n].copay_below = line[n].copay = copay[PRIMARY_CARE]
        n += 1
        set_line(&line[n], AT_PRIMARY_CARE + visits, PRIMARY_CARE, counts, coinsured, after, copay, coinsurance)
        if options[4]:
            line[n].copay_below = 0.0
        n += 1
    set_line(&line[n], AT_SPECIALIST, SPECIALIST, counts, coinsured, after, copay, coinsurance)
    n += 1
    for service in range(MENTAL_HEALTH, LABORATORY + 1):
        if service == PREVENTIVE:
            line[n] = Line(2 * AT_PREVENTIVE, False, False, 0.0, 0.0, 0.0, -1.0)
            n += 1
            continue
        facility = FACILITY if special[FACILITY] and not special[service] else service
        professional = PROFESSIONAL if special[PROFESSIONAL] and not special[service] else service
        visits = AT_LABORATORY if service == LABORATORY else AT_MENTAL_HEALTH + 2 * (service - MENTAL_HEALTH)
        set_line(&line[n], visits, facility, counts, coinsured, after, copay, coinsurance)
        set_line(&line[n + 1], visits + 1, professional, counts, coinsured, after, copay, coinsurance)
        n += 2
    if special[XRAY]:
        set_line(&line[n], AT_XRAY, XRAY, counts, coinsured, after, copay, coinsurance)
        n += 1
    else:
        set_line(&line[n], AT_XRAY + 1, PRIMARY_CARE, counts, coinsured, after, copay, coinsurance)
        if options[3] or options[4]:
            line[n].counts = False
            line[n].copay_below = copay[PRIMARY_CARE] if options[4] else 0.0
        set_line(&line[n + 1], AT_XRAY + 2, SPECIALIST, counts, coinsured, after, copay, coinsurance)
        set_line(&line[n + 2], AT_XRAY + 3, XRAY, counts, coinsured, after, copay, coinsurance)
        n += 3
    set_line(&line[n], AT_NURSING_DAYS if options[1] else AT_NURSING_STAYS, SKILLED_NURSING,
             counts, coinsured, after, copay, coinsurance)
    set_line(&line[n + 1], AT_FACILITY, FACILITY, counts, coinsured, after, copay, coinsurance)
    set_line(&line[n + 2], AT_PROFESSIONAL, PROFESSIONAL, counts, coinsured, after, copay, coinsurance)
    return n + 3


cdef inline int drug_lines(const uint8_t* counts, const uint8_t* coinsured, const uint8_t* after, const double* copay,
                    const double* coinsurance, double cap, Line* line, int n) noexcept nogil:
    """Lay out the drug lines after the medical ones; return how many lines there are."""
    cdef int service
    for service in range(GENERIC, SERVICES):
        set_line(&line[n], AT_DRUGS + service - GENERIC, service, counts, coinsured, after, copay, coinsurance)
        n += 1
    if cap >= 0.0:
        line[n - 1].cap = cap
    return n
