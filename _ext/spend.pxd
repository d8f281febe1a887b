"""One continuance table, and how it is read: from a spend to its row, its mean, and back."""

cdef enum:
    WIDTH = 58  # lines of a row, each a cost and a frequency


cdef struct Table:
    const double* spend
    const double* mean
    const double* cells
    Py_ssize_t last
    Py_ssize_t even
    double step


cdef struct Place:
    Py_ssize_t row
    double part


cdef inline Place place_of(const Table* table, double spend) noexcept nogil:
    """Return the row at or below a spend, and how far it lies toward the next; above all limits the last row."""
    cdef Py_ssize_t low, high, middle
    if spend > table.spend[table.last - 1]:
        return Place(table.last, 0.0)
    if spend < table.spend[table.even - 1]:
        low = <Py_ssize_t>(spend / table.step)
        # The quotient may be rounded across a row.
        low = low + (spend >= table.spend[low + 1]) - (spend < table.spend[low])
    else:
        low, high = table.even - 1, table.last
        while high - low > 1:
            middle = (low + high) // 2
            if table.spend[middle] <= spend:
                low = middle
            else:
                high = middle
    if spend == table.spend[low]:
        return Place(low, 0.0)
    return Place(low, (spend - table.spend[low]) / (table.spend[low + 1] - table.spend[low]))


cdef inline double mean_at(const Table* table, Place place) noexcept nogil:
    if place.part == 0.0:
        return table.mean[place.row]
    return table.mean[place.row] + place.part * (table.mean[place.row + 1] - table.mean[place.row])


cdef inline double mean_of(const Table* table, double spend) noexcept nogil:
    return mean_at(table, place_of(table, spend))


cdef inline double spend_of(const Table* table, double mean) noexcept nogil:
    """Return the spend at which capped enrollees cost so much on the mean; the highest limit where none does."""
    cdef Py_ssize_t middle
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = table.last - 1
    if mean <= table.mean[0]:
        return table.spend[0]
    if mean >= table.mean[high]:
        return table.spend[high]
    while high - low > 1:
        middle = (low + high) // 2
        if table.mean[middle] < mean:
            low = middle
        else:
            high = middle
    return table.spend[low] + (mean - table.mean[low]) / (table.mean[high] - table.mean[low]) \
        * (table.spend[high] - table.spend[low])
