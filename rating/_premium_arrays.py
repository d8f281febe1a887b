"""Products of decimal factors rounded to cents, exactly: by row from columns, or by position from prepared factors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from data_specs.errors import InputRefused, SettingRefused
from rating._exact_columns import CHUNK, ExactColumn
from rating._premium import long_product_cents, member_cents, product_cents

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "LARGEST_CENTS",
    "ROUNDING_DIRECTIONS",
    "ROUNDING_POINTS",
    "PremiumTable",
    "need_below_bound",
    "need_choice",
    "rounded_cents",
    "rounded_product",
]

Integers = NDArray[np.int64]
Codes = NDArray[np.uint32]

ROUNDING_DIRECTIONS = ("nearest", "down", "up")
ROUNDING_POINTS = ("member", "base", "nontobacco")
LARGEST_CENTS = 10**14  # bound of both kernels: a trillion dollars a month

_WORD = 2**62
_EXACT_FLOAT = 2**53
_SHORT_DIVISOR, _MOST_DIVISOR = 10**18, 10**36
_MOST_MULTIPLIER = 2**31 - 1
_MOST_SHIFT, _LIMB = 94, 32


def need_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse a setting that is none of its choices."""
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        raise SettingRefused(f"{name} cannot be {value!r}", remedy=f"choose one of {shown}")


def rounded_cents(number: int, decimals: int, direction: str) -> int:
    """Return ``number / 10**decimals`` dollars in whole cents.

    Examples
    --------
    >>> [rounded_cents(59900499, 5, direction) for direction in ROUNDING_DIRECTIONS]
    [59900, 59900, 59901]
    >>> rounded_cents(468705, 3, "nearest")
    46871
    """
    if decimals <= 2:
        return number * int(10 ** (2 - decimals))
    divisor = int(10 ** (decimals - 2))
    return (number + _added(divisor, direction)) // divisor


def _added(divisor: int, direction: str) -> int:
    return {"nearest": divisor // 2, "down": 0, "up": divisor - 1}[direction]


# ---------------------------------------------------------------------------------------------------- by row


def rounded_product(factors: Sequence[ExactColumn], direction: str) -> Integers:
    """Return the product of dollar amounts and factors of each row, in whole cents, rounded once.

    Products whose whole numbers fit the machine are divided row by row; others (too many decimals) are first cut to
    what the kernel holds, and rows that the cut might decide are settled in whole numbers of any length.

    Parameters
    ----------
    factors : sequence of ExactColumn
        The first one in dollars; at least one has rows.
    direction : str
        One of :data:`ROUNDING_DIRECTIONS`.

    Raises
    ------
    InputRefused
        A product reaches a trillion dollars.

    Examples
    --------
    >>> from rating._exact_columns import exact_column
    >>> factors = exact_column(["312.47", "399.33666"], "base"), exact_column(["1.278", "1.5"], "age")
    >>> rounded_product(factors, "nearest")
    array([39934, 59900])
    """
    rows = max(factor.length for factor in factors)
    if rows <= 0:
        return np.zeros(max(rows, 0), np.int64)
    decimals = sum(factor.decimals for factor in factors)
    largest = [factor.largest for factor in factors]
    divisor = int(10 ** max(decimals - 2, 0))
    places = _two_sides(largest) if divisor <= _MOST_DIVISOR else None
    if places is None or any(not factor.is_single and factor.rows is None for factor in factors):
        return _product_of_any_length(factors, direction, rows)
    if not _is_below_bound(prod(largest), decimals):
        _need_rows_below_bound(factors)  # the largest factors may stand in different rows
    left, right = ([factors[place] for place in side] for side in places)
    lift = int(10 ** max(2 - decimals, 0))  # whole dollars and tenths are made cents
    cents = np.empty(rows, np.int64)
    added = _added(divisor, direction)
    is_short = divisor <= _SHORT_DIVISOR and prod(largest[place] for place in places[1]) < _EXACT_FLOAT

    def fill(start: int) -> None:
        stop = min(start + CHUNK, rows)
        sides = _word_product(left, start, stop), _word_product(right, start, stop)
        if is_short:
            product_cents(*sides, divisor, added, cents[start:stop])
        else:
            long_product_cents(*sides, *divmod(divisor, 2**64), *divmod(added, 2**64), cents[start:stop])
        if lift > 1:
            cents[start:stop] *= lift

    map_chunks(fill, range(0, rows, CHUNK))
    return cents


def _two_sides(largest: list[int]) -> tuple[list[int], list[int]] | None:
    """Return which factors to multiply on either side of the kernel, or None when they do not fit."""
    left: list[int] = []
    right: list[int] = []
    on_left = on_right = 1
    for place, most in sorted(enumerate(largest), key=lambda item: -item[1]):
        if on_left * most < _WORD:
            left.append(place)
            on_left *= most
        elif on_right * most < _WORD:
            right.append(place)
            on_right *= most
        else:
            return None
    return left, right


def _is_below_bound(number: int, decimals: int) -> bool:
    return number * 100 < LARGEST_CENTS * int(10**decimals)


def need_below_bound(number: int, decimals: int) -> None:
    """Refuse a premium of ``number / 10**decimals`` dollars that reaches a trillion."""
    if not _is_below_bound(number, decimals):
        raise _too_large("base x area factor x age factor x tobacco ratio")


def _need_rows_below_bound(factors: Sequence[ExactColumn]) -> None:
    estimate: Any = 1.0
    for factor in factors:
        numbers = factor.distinct[0] if factor.is_single else factor.rows
        estimate = estimate * (np.asarray(numbers, np.float64) / 10.0**factor.decimals)
    rows = np.flatnonzero(estimate * 100.0 >= LARGEST_CENTS)
    if len(rows):
        raise _too_large(f"row {rows[0] + 1} (first row is 1)")


def _too_large(where: str) -> InputRefused:
    return InputRefused(
        "a premium or factor is too large",
        where=where,
        rule="premiums stay below a trillion dollars a month, age factor x tobacco ratio below 2**31 units",
        remedy="check the decimal point of the rates and factors",
    )


def _word_product(side: list[ExactColumn], start: int, stop: int) -> Integers:
    constant = prod(factor.distinct[0] for factor in side if factor.is_single)
    columns = [factor.part(start, stop) for factor in side if not factor.is_single]
    if not columns:
        return np.full(stop - start, constant, np.int64)
    product = columns[0] if constant == 1 else columns[0] * constant
    for column in columns[1:]:
        product = product * column
    return np.ascontiguousarray(product)


def _product_of_any_length(factors: Sequence[ExactColumn], direction: str, rows: int) -> Integers:
    """Return the cents of products with more decimals, or larger factors, than the machine's words hold."""
    coded = [(factor.decimals, *factor.coded()) for factor in factors]
    # The short factor with the most values becomes the kernel's multiplier; combinations of the others are its plans.
    fits = [i for i, (_, values, _c) in enumerate(coded) if len(values) <= 2**16 and max(values) <= _MOST_MULTIPLIER]
    chosen = max(fits, key=lambda i: len(coded[i][1]), default=None)
    rest = [column for i, column in enumerate(coded) if i != chosen]
    numbers, codes = _joint(rest, rows)
    multiplier = (0, [1], None) if chosen is None else coded[chosen]
    ages = np.zeros(rows, np.uint16) if multiplier[2] is None else multiplier[2].astype(np.uint16)
    table = PremiumTable.of_numbers(
        [[number] for number in numbers],
        sum(column[0] for column in rest),
        [multiplier[1]],
        multiplier[0],
        direction=direction,
    )
    return table.cents(codes, np.zeros(rows, np.uint16), ages, np.zeros(rows, np.uint8))


def _joint(columns: list[tuple[int, list[int], Codes | None]], rows: int) -> tuple[list[int], Codes]:
    """Return the products of the combinations of values that occur, and each row's place among them."""
    import polars as pl

    with_codes = {str(i): column[2] for i, column in enumerate(columns) if column[2] is not None}
    constant = prod(column[1][0] for column in columns if column[2] is None)
    if not with_codes:
        return [constant], np.zeros(rows, np.uint32)
    frame = pl.DataFrame(with_codes)
    known = frame.unique().sort(list(with_codes)).with_row_index("place")
    place = frame.join(known, on=list(with_codes), how="left", maintain_order="left")["place"]
    numbers = [constant] * known.height
    for name in with_codes:
        values = columns[int(name)][1]
        numbers = [number * values[code] for number, code in zip(numbers, known[name].to_list(), strict=True)]
    return numbers, place.cast(pl.UInt32).to_numpy()


# ---------------------------------------------------------------------------------------------------- by position


@dataclass(frozen=True, slots=True)
class PremiumTable:
    """Plans by area, and age factors by tobacco ratio, ready for the kernel that looks them up by position.

    A premium is ``left[plan, area] x multiplier[tobacco, age]`` dollars, rounded once to cents. `units` holds the left
    side in cents per unit of the multiplier, as a binary fraction: cut upward to round down or to the nearest, cut
    below to round up, so that a premium that is a whole number of cents stays one.

    Bounds: a premium stays below a trillion dollars, a multiplier below 2**31; what lies beyond is refused.

    Attributes
    ----------
    left : list of list of int
        plan, area -> whole number of dollars x ``10**left_decimals``.
    multipliers : array of uint32
        tobacco, age -> age factor x tobacco ratio x ``10**multiplier_decimals``.
    units, shift, added, watch
        What the kernel reads, see ``_ext/premium.pyx``.
    loads : list of (int, int), optional
        Tobacco ratios and their decimals where they multiply the rounded rate; `multipliers` then has one row.
    """

    left: list[list[int]]
    left_decimals: int
    multipliers: NDArray[np.uint32]
    multiplier_decimals: int
    direction: str
    units: NDArray[np.uint64]
    shift: int
    added: int
    watch: int
    loads: list[tuple[int, int]] | None = None

    @classmethod
    def of_factors(
        cls,
        bases: ExactColumn,
        areas: ExactColumn,
        ages: ExactColumn,
        tobacco: ExactColumn,
        *,
        rounding_point: str = "member",
        rounding_direction: str = "nearest",
    ) -> PremiumTable:
        """Return the table of plans, areas, ages and tobacco ratios, each numbered as in its column.

        Parameters
        ----------
        bases, areas, ages, tobacco : ExactColumn
            Base rates in dollars (trend included), area factors, age factors, tobacco ratios.
        rounding_point, rounding_direction : str
            As in :func:`rating.member_rate`.

        Examples
        --------
        >>> from rating._exact_columns import exact_column
        >>> columns = [["312.47"], ["1"], ["1.278"], ["1", "1.5"]]
        >>> table = PremiumTable.of_factors(*(exact_column(values, "factor") for values in columns))
        >>> zeros = np.zeros(1, np.uint16)
        >>> table.cents(zeros.astype(np.uint32), zeros, zeros, np.array([1], np.uint8))
        array([59900])
        """
        need_choice("rounding_point", rounding_point, ROUNDING_POINTS)
        base, area, age, load = (column.by_place() for column in (bases, areas, ages, tobacco))
        left = [[number * factor for factor in area] for number in base]
        decimals = bases.decimals + areas.decimals
        if rounding_point == "base":
            left = [[rounded_cents(number, decimals, rounding_direction) for number in row] for row in left]
            decimals = 2
        if rounding_point == "nontobacco":
            table = cls.of_numbers(left, decimals, [age], ages.decimals, direction=rounding_direction)
            return replace(table, loads=[(number, tobacco.decimals) for number in load])
        multipliers = [[number * factor for factor in age] for number in load]
        return cls.of_numbers(
            left, decimals, multipliers, ages.decimals + tobacco.decimals, direction=rounding_direction
        )

    @classmethod
    def of_numbers(
        cls,
        left: list[list[int]],
        left_decimals: int,
        multipliers: list[list[int]],
        multiplier_decimals: int,
        *,
        direction: str = "nearest",
    ) -> PremiumTable:
        """Return the table of whole numbers that carry so many decimals.

        Parameters
        ----------
        left : plan, area -> base x area factor (x trend); every row as long as the first.
        multipliers : tobacco, age -> age factor x tobacco ratio.

        Raises
        ------
        InputRefused
            A multiplier or premium is beyond the bounds.

        Examples
        --------
        >>> table = PremiumTable.of_numbers([[31247]], 2, [[1000, 1278]], 3)
        >>> codes = np.zeros(2, np.uint32), np.zeros(2, np.uint16), np.array([0, 1], np.uint16), np.zeros(2, np.uint8)
        >>> table.cents(*codes)
        array([31247, 39934])
        """
        need_choice("rounding_direction", direction, ROUNDING_DIRECTIONS)
        most_left, most = max(map(max, left)), max(map(max, multipliers))
        decimals = left_decimals + multiplier_decimals
        need_below_bound(most_left * most, decimals)
        if most > _MOST_MULTIPLIER:
            raise _too_large("age factor x tobacco ratio")
        scale = 0
        while most * 10 ** (scale + 1) <= _MOST_MULTIPLIER:
            scale += 1  # a long multiplier keeps the units short: the shift then stays above one limb
        divisor = 10 ** (decimals + scale)
        shift = _LIMB + 1
        while shift < _MOST_SHIFT and ((most_left * 100) << (shift + 1)) // divisor < 2**63 - 1:
            shift += 1
        # Premiums in cents are whole multiples of 10**-(decimals - 2); an error below that reaches no cent.
        is_certain = most * 10**scale * 10 ** max(decimals - 2, 1) <= 1 << shift
        up = direction == "up"
        # Upward: one less than the ceiling, so that the product lies below what it stands for.
        units = [[-((-n * 100 << shift) // divisor) - up for n in row] for row in left]
        down = shift - _LIMB
        return cls(
            left,
            left_decimals,
            np.array(multipliers, np.uint64).astype(np.uint32) * np.uint32(10**scale),
            multiplier_decimals + scale,
            direction,
            np.array(units, np.uint64),
            shift,
            {"nearest": 1 << (down - 1), "down": 0, "up": 1 << down}[direction],
            0 if is_certain else (2 if up else 1),
        )

    def cents(
        self,
        plans: NDArray[np.uint32],
        areas: NDArray[np.uint16],
        ages: NDArray[np.uint16],
        tobacco: NDArray[np.uint8],
    ) -> Integers:
        """Return the premiums of rows in whole cents; the arrays hold positions in the table."""
        rows, loaded = len(plans), tobacco
        for name, codes, size in (
            ("plans", plans, self.units.shape[0]),
            ("areas", areas, self.units.shape[1]),
            ("ages", ages, self.multipliers.shape[1]),
            ("tobacco", tobacco, len(self.loads or self.multipliers)),
        ):
            if len(codes) != rows or (rows and int(codes.max()) >= size):
                raise InputRefused(
                    f"positions {name!r} do not fit the table", remedy="hand in positions below its size"
                )
        cents = np.empty(rows, np.int64)
        if self.loads is not None:
            tobacco = np.zeros(rows, np.uint8)

        def fill(start: int) -> None:
            part = slice(start, min(start + CHUNK, rows))
            columns = plans[part], areas[part], ages[part], tobacco[part]
            unsure = np.empty(len(columns[0]) if self.watch else 0, np.uint32)
            found = member_cents(
                *columns, self.units, self.multipliers, self.shift, self.added, self.watch, cents[part], unsure
            )
            if found:
                at = unsure[:found]
                keys = np.stack([column[at].astype(np.int64) for column in columns], axis=1)
                cents[part][at] = self._settled(keys)

        map_chunks(fill, range(0, rows, CHUNK))
        if self.loads is None:
            return cents
        rates = ExactColumn.of_rows(cents, 2)
        return rounded_product([rates, ExactColumn.of_codes(self.loads, loaded.astype(np.uint32))], self.direction)

    def _settled(self, keys: Integers) -> Integers:
        """Return the cents of rows (plan, area, age, tobacco) that the cut might decide, in whole numbers."""
        known, place = np.unique(keys, axis=0, return_inverse=True)
        decimals = self.left_decimals + self.multiplier_decimals
        exact = [
            rounded_cents(self.left[plan][area] * int(self.multipliers[load, age]), decimals, self.direction)
            for plan, area, age, load in known.tolist()
        ]
        return np.array(exact, np.int64)[place.ravel()]
