"""Numbers as they were written: every base rate and factor as a whole number and its decimals, nothing rounded.

A price is a product of decimal figures, and a tie at half a cent is decided by their last digit. Text and Decimal hold
that digit; a float stands for the shortest decimal text that names it (0.1 is 1/10).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from data_specs.errors import InputRefused
from rating._premium import read_decimals

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CHUNK", "ExactColumn", "cents_series", "decimal_text", "exact_column"]

Integers = NDArray[np.int64]
Codes = NDArray[np.uint32]

CHUNK = 1 << 17
MOST_DECIMALS = 100
MOST_DIGITS_BEFORE = 12
_WORD = 2**62  # whole numbers below it are kept as machine words
_SURE_FLOAT = 1e15  # decimals of at most 15 digits and floats name each other one to one
_PLAIN = re.compile(r"\s*\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*")
_LONGEST_TEXT, _MOST_SIMPLE = 400, 80
_RANGE = f"at most {MOST_DIGITS_BEFORE} digits before the point and {MOST_DECIMALS} decimals"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ExactColumn:
    """One factor of many products: ``number / 10**decimals`` in each row, or the same in all of them.

    Attributes
    ----------
    decimals : int
        How many decimals the whole numbers carry.
    distinct : list of int
        The numbers that occur, when they are known apart from the rows; empty when only `rows` is.
    codes : array of uint32
        Row -> place in `distinct`; None when `rows` is given, or for a single number.
    rows : array of int64
        The number of each row; None when one is too large for a machine word, or for a single number.
    length : int
        Rows, or -1 for a single number that holds for every row.
    """

    decimals: int
    distinct: list[int]
    codes: Codes | None
    rows: Integers | None
    length: int

    @classmethod
    def single(cls, number: int, decimals: int) -> ExactColumn:
        """Return one number that holds for every row."""
        number, decimals = _shortened(number, decimals)
        return cls(decimals, [number], None, None, -1)

    @classmethod
    def of_rows(cls, rows: Integers, decimals: int) -> ExactColumn:
        """Return numbers row by row."""
        return cls(decimals, [], None, rows, len(rows))

    @classmethod
    def of_codes(cls, numbers: list[tuple[int, int]], codes: Codes) -> ExactColumn:
        """Return numbers by code; each is a whole number and its decimals."""
        decimals = max((d for _, d in numbers), default=0)
        distinct = [number * 10 ** (decimals - d) for number, d in numbers]
        fits = max(distinct, default=0) < _WORD
        rows = np.array(distinct or [0], np.int64)[codes] if fits else None
        return cls(decimals, distinct, codes, rows, len(codes))

    @property
    def is_single(self) -> bool:
        """Whether one number holds for every row."""
        return self.length < 0

    @property
    def largest(self) -> int:
        """The largest of the whole numbers; 0 when there is none."""
        if self.distinct or self.rows is None or len(self.rows) == 0:
            return max(self.distinct, default=0)
        return int(self.rows.max())

    def taken(self, places: NDArray[np.integer]) -> ExactColumn:
        """Return the column whose rows are those at some places; a single number stays one."""
        if self.is_single:
            return self
        rows = None if self.rows is None else self.rows[places]
        codes = None if self.codes is None else self.codes[places]
        return ExactColumn(self.decimals, self.distinct, codes, rows, len(places))

    def words(self, decimals: int) -> Integers:
        """Return the number of each row with so many decimals, as machine words.

        Raises
        ------
        InputRefused
            A number is too large for that.
        """
        factor = 10 ** max(decimals - self.decimals, 0)
        if self.rows is None or self.largest * factor >= _WORD:
            raise InputRefused(
                "a value is too large, or has too many decimals",
                rule=f"values with {decimals} decimals must fit 64 bits to be compared exactly",
                remedy="check the decimal point; hand in amounts as filed, in dollars",
            )
        return np.asarray(self.rows * factor)

    def by_place(self) -> list[int]:
        """Return the number of each row; a single number makes a list of one."""
        if self.is_single:
            return self.distinct
        if self.rows is not None:
            return list(self.rows.tolist())
        assert self.codes is not None
        return [self.distinct[code] for code in self.codes.tolist()]

    def coded(self) -> tuple[list[int], Codes | None]:
        """Return the numbers that occur, and each row's place among them (None: every row has the only one)."""
        if self.is_single or self.codes is not None:
            return self.distinct, self.codes
        assert self.rows is not None
        values, codes = _distinct_words(self.rows)
        return values.tolist(), codes

    def part(self, start: int, stop: int) -> Integers:
        """Return the numbers of some rows as machine words; the caller has checked that they are."""
        assert self.rows is not None
        return self.rows[start:stop]


def _distinct_words(values: Integers) -> tuple[Integers, Codes]:
    """Return the distinct values, and each row's place among them."""
    import polars as pl

    rows = pl.DataFrame({"value": values})
    known = rows.unique().sort("value").with_row_index("code")
    codes = rows.join(known, on="value", how="left", maintain_order="left")["code"]
    return known["value"].to_numpy(), codes.cast(pl.UInt32).to_numpy()


def exact_column(values: Any, name: str) -> ExactColumn:
    """Return a column, a list or one number as exact whole numbers.

    Parameters
    ----------
    values : Series, array, list, or one number
        Text (``"312.47"``), Decimal, whole numbers or floats. A float is read as its shortest decimal text.
    name : str
        What messages call it.

    Raises
    ------
    InputRefused
        A value is absent, no plain decimal number, zero, negative, has more than 12 digits before the point or more
        than 100 decimals.

    Examples
    --------
    >>> column = exact_column(["312.47", "0.5"], "base")
    >>> column.decimals, column.rows.tolist()
    (2, [31247, 50])
    >>> exact_column(0.972, "area_factor").distinct
    [972]
    """
    import polars as pl

    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iuf":
        values = pl.Series(name, values)
    if isinstance(values, (list, tuple, np.ndarray)):
        values = pl.Series(name, [None if v is None else decimal_text(v, name) for v in values], dtype=pl.String)
    if not isinstance(values, pl.Series):
        return ExactColumn.single(*_parsed(decimal_text(values, name), name))
    if values.null_count():
        raise _refused(name, np.flatnonzero(values.is_null().to_numpy()), "a value is absent")
    values = values.rechunk()
    if values.dtype.is_integer():
        return _of_words(values, 0, name)
    if isinstance(values.dtype, pl.Decimal):
        return _of_words(values.to_physical(), values.dtype.scale, name)
    if values.dtype == pl.Float64:
        return _of_floats(values.to_numpy(), name)
    if values.dtype == pl.Float32:
        return _of_texts(pl.Series(name, [str(v) for v in values.to_numpy()], dtype=pl.String), name)
    if values.dtype == pl.String:
        return _of_texts(values, name)
    if values.dtype == pl.Categorical or isinstance(values.dtype, pl.Enum):
        return _of_texts(values.cast(pl.String), name)
    raise InputRefused(
        f"{name} is {values.dtype}",
        where=name,
        rule="rates and factors are text, Decimal, whole numbers or floats",
        remedy="cast it to one of these",
    )


def decimal_text(value: Any, name: str) -> str:
    """Return one number as plain decimal text; a float by its shortest."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, Decimal, np.integer, np.floating)):
        raise InputRefused(
            f"{name} is a {type(value).__name__}",
            where=name,
            rule="a rate or factor is text, a Decimal, a whole number or a float",
            remedy="hand in one of these, or a polars Series of them",
        )
    return str(value)


def _parsed(text: str, name: str, rows: NDArray[np.integer] | None = None) -> tuple[int, int]:
    """Return a decimal text as a whole number and its decimals."""
    before, _, after = text.partition(".")
    if text.isascii() and before.isdigit() and after.isdigit() and len(text) <= _MOST_SIMPLE:
        whole, decimals = int(before + after), len(after)  # the usual case, without a Decimal
        if whole and len(before) <= MOST_DIGITS_BEFORE:
            return _shortened(whole, decimals)
    if not _PLAIN.fullmatch(text):
        what = "is negative" if re.fullmatch(r"\s*-[0-9.]+\s*", text) else "is not a plain decimal number"
        raise _refused(name, rows, f"a value {what}")
    number = Decimal(text.strip()) if len(text) <= _LONGEST_TEXT else Decimal(0)
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if not any(digits):
        raise _refused(name, rows, "a value is zero, or a text too long for a rate or factor")
    whole = int("".join(map(str, digits)))
    while whole % 10 == 0:
        whole, exponent = whole // 10, exponent + 1
    if number.adjusted() >= MOST_DIGITS_BEFORE or -exponent > MOST_DECIMALS:
        raise _refused(name, rows, f"a value is out of range ({_RANGE})")
    return (whole, -exponent) if exponent < 0 else (whole * 10**exponent, 0)


def _of_words(values: pl.Series, decimals: int, name: str) -> ExactColumn:
    """Return whole numbers that carry some decimals; those beyond a machine word through their text."""
    import polars as pl

    _need_positive(values, name)
    words = values.cast(pl.Int64, strict=False)
    limit = 10 ** min(MOST_DIGITS_BEFORE + decimals, 18)
    if words.null_count() == 0 and (len(words) == 0 or words.max() < limit):
        return ExactColumn.of_rows(*_without_zeros(words.to_numpy(), decimals))
    texts, codes = _distinct_texts(values.cast(pl.String))
    numbers = [int(text) for text in texts]
    if max(numbers) >= 10 ** (MOST_DIGITS_BEFORE + decimals):
        rows = np.flatnonzero(np.array([n >= 10 ** (MOST_DIGITS_BEFORE + decimals) for n in numbers])[codes])
        raise _refused(name, rows, f"a value is out of range ({_RANGE})")
    return ExactColumn.of_codes([_shortened(number, decimals) for number in numbers], codes)


def _shortened(number: int, decimals: int) -> tuple[int, int]:
    """Return a number without the decimals that are zero."""
    while decimals > 0 and number % 10 == 0:
        number, decimals = number // 10, decimals - 1
    return number, decimals


def _without_zeros(rows: Integers, decimals: int) -> tuple[Integers, int]:
    """Return the numbers without the decimals that are zero in all of them: fewer decimals keep products short."""
    zeros = decimals
    for numbers in (rows[:: max(len(rows) // 64, 1)], rows):
        while zeros and (numbers % 10**zeros).any():
            zeros -= 1
    return (rows // 10**zeros, decimals - zeros) if zeros else (rows, decimals)


def _need_positive(values: pl.Series, name: str) -> None:
    if len(values) and not values.min() > 0:  # type: ignore[operator]
        raise _refused(name, np.flatnonzero((values <= 0).to_numpy()), "a value is zero or negative")


def _of_texts(texts: pl.Series, name: str) -> ExactColumn:
    distinct, codes = _distinct_texts(texts)
    try:
        return ExactColumn.of_codes([_parsed(text, name) for text in distinct], codes)
    except InputRefused:
        for place, text in enumerate(distinct):
            _parsed(text, name, np.flatnonzero(codes == place))
        raise


def _distinct_texts(texts: pl.Series) -> tuple[list[str], Codes]:
    from riskadjust._distinct import distinct_texts

    distinct, codes = distinct_texts(texts)
    return distinct.to_list(), codes


def _of_floats(values: NDArray[np.float64], name: str) -> ExactColumn:
    """Return floats as the decimals that their shortest texts name.

    With ``y`` the whole number next to ``x * 10**d``: when ``y / 10**d`` is ``x`` again and ``y`` has at most 15
    digits, the shortest text of ``x`` is that decimal. The few that need more digits go through their text.
    """
    if len(values) == 0:
        return ExactColumn.of_rows(np.zeros(0, np.int64), 0)
    if not (values.min() > 0 and values.max() < 10.0**MOST_DIGITS_BEFORE):  # not a number fails both
        is_good = (values > 0) & (values < 10.0**MOST_DIGITS_BEFORE)
        raise _refused(name, np.flatnonzero(~is_good), f"a value is not a number above zero with {_RANGE}")
    values = np.ascontiguousarray(values)
    probe = values[:: max(len(values) // 64, 1)]
    decimals = min(max(_decimals_of(x) for x in probe.tolist()), 15)
    rows = np.empty(len(values), np.int64)
    unread = []

    def read(start: int) -> None:
        stop = min(start + CHUNK, len(values))
        unread.append(read_decimals(values[start:stop], 10.0**decimals, _SURE_FLOAT, rows[start:stop]))

    map_chunks(read, range(0, len(values), CHUNK))
    if not any(unread):
        return ExactColumn.of_rows(rows, decimals)
    return _of_mixed_floats(values, rows, decimals, rows >= 0, name)


def _decimals_of(value: float) -> int:
    exponent = Decimal(repr(value)).as_tuple().exponent
    return max(0, -int(exponent))


def _of_mixed_floats(
    values: NDArray[np.float64], rows: Integers, decimals: int, is_read: NDArray[np.bool_], name: str
) -> ExactColumn:
    """Return floats of which some were not read with the decimals tried: those through their shortest texts."""
    late = np.flatnonzero(~is_read)
    numbers, places = _shortest(values[late], late, name)
    known = [(numbers[places == d], int(d)) for d in np.unique(places)]
    final = max(decimals, *(d for _, d in known))
    largest = [int(n.max()) * 10 ** (final - d) for n, d in [*known, (rows[is_read], decimals)] if len(n)]
    if max(largest) < _WORD:
        powers = np.array([10 ** min(final - d, 18) for d in range(final + 1)], np.int64)
        scaled = rows * powers[decimals]
        scaled[late] = numbers * powers[places]
        return ExactColumn.of_rows(scaled, final)
    all_numbers, all_places = rows.copy(), np.full(len(rows), decimals)
    all_numbers[late], all_places[late] = numbers, places
    pairs, codes = np.unique(np.stack([all_numbers, all_places], axis=1), axis=0, return_inverse=True)
    return ExactColumn.of_codes([(n, d) for n, d in pairs.tolist()], codes.ravel().astype(np.uint32))


def _shortest(values: NDArray[np.float64], rows: NDArray[np.integer], name: str) -> tuple[Integers, Integers]:
    """Return floats as the whole numbers (at most 17 digits) and decimals of their shortest texts."""
    import polars as pl

    texts = pl.DataFrame({"text": pl.Series(values).cast(pl.String)})
    text = pl.col("text")
    plain = text.str.contains(r"^[0-9]{1,12}\.[0-9]{1,17}$")
    number = pl.when(plain).then(text.str.replace(".", "", literal=True)).cast(pl.Int64, strict=False)
    places = text.str.len_bytes().cast(pl.Int64) - 1 - text.str.find(".", literal=True).cast(pl.Int64)
    read = texts.select(number=number, places=places)
    numbers = read["number"].fill_null(0).to_numpy().copy()
    decimals = read["places"].fill_null(0).to_numpy().copy()
    for place in np.flatnonzero(read["number"].is_null().to_numpy()).tolist():
        numbers[place], decimals[place] = _parsed(repr(float(values[place])), name, rows[place : place + 1])
    return numbers, decimals


def _refused(name: str, rows: NDArray[np.integer] | None, what: str) -> InputRefused:
    rows = np.zeros(0, np.int64) if rows is None else rows
    shown = ", ".join(str(row + 1) for row in rows[:_SHOWN].tolist())
    more = f" ... ({len(rows)} rows)" if len(rows) > _SHOWN else ""
    return InputRefused(
        f"{name}: {what}",
        where=f"{name}" + (f", row {shown}{more} (first row is 1)" if len(rows) else ""),
        rule="a rate or factor is a decimal number above zero; absent is not zero",
        remedy="mend these values",
    )


def cents_series(cents: Integers, name: str, decimals: int = 2) -> pl.Series:
    """Return whole cents as a column of Decimal(18, 2), or other units of some decimals, without a division."""
    import polars as pl
    import pyarrow as pa

    halves = np.empty((len(cents), 2), np.int64)

    def fill(start: int) -> None:
        part = cents[start : start + CHUNK]
        halves[start : start + CHUNK, 0] = part
        halves[start : start + CHUNK, 1] = part >> 63  # the upper half of a 128-bit number: its sign

    map_chunks(fill, range(0, len(cents), CHUNK))
    buffers = [None, pa.py_buffer(halves)]
    array = pa.Array.from_buffers(pa.decimal128(18, decimals), len(cents), buffers)
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series.alias(name)
