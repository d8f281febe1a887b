"""The shared responsibility payment: what the federal and state mandates charge for months without coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs.errors import SettingRefused, TableMissing
from rating._eligibility import affordable_hundredths
from rating._figures import Figures, whole_year
from rating._frame_rows import FrameRows, collected, word_series
from rating._money import half_up, money_series
from rating._outcome import Outcome, outcome_of
from rating._subsidy_settings import PenaltySettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PENALTY_REASONS", "MandateFigures", "Penalties", "payment_cents", "shared_responsibility_payment"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

PENALTY_REASONS = ("payment", "no_mandate", "covered_or_short_gap", "exempt", "cover_not_affordable", "no_threshold")
PAYMENT, NO_MANDATE, COVERED, EXEMPT, NOT_AFFORDABLE, NO_THRESHOLD = range(6)

_TABLE = "rating/individual_mandate_penalties"
_FEDERAL = "US"
_STATES = "rating/tobacco_limits"  # has a row for each state
_MONTHS = 12
_FLAT_ADULT, _FLAT_CHILD = "flat_adult_usd", "flat_child_usd"
_MULTIPLE, _PERCENT = "family_flat_cap_multiple", "income_pct_over_filing_threshold"
_BRONZE = "national_average_bronze_monthly_per_person_usd"
_IN_FORCE, _NO_PENALTY = "mandate_in_force", "mandate_in_force_no_penalty"
UNKNOWN_HOUSEHOLD, NO_BRONZE, MISSING_THRESHOLD, NOT_JUDGED = "SUB-010", "SUB-050", "SUB-051", "SUB-052"
BAD_MONTH = "SUB-008"


@dataclass(frozen=True)
class MandateFigures:
    """The figures of one mandate in one year.

    Attributes
    ----------
    jurisdiction : str
        ``US`` or a state.
    has_payment : bool
        Whether there is a payment at all.
    flat_adult, flat_child : int
        Cents a year for a person of 18 and more, and for one below.
    multiple : int
        The flat amounts of a household are at most so many adults'.
    percent : int
        Hundredths of a percent of income above the filing threshold.
    bronze : int or None
        Average bronze premium in cents a month and person: the cap; None: not held.
    """

    jurisdiction: str
    has_payment: bool
    flat_adult: int = 0
    flat_child: int = 0
    multiple: int = 0
    percent: int = 0
    bronze: int | None = None

    @classmethod
    def of(cls, figures: Figures, jurisdiction: str, tax_year: int, number: int) -> MandateFigures:
        """Return the figures of a mandate.

        Raises
        ------
        TableMissing
            There is a mandate, and its amounts of the year are not held (Massachusetts; California 2021 to 2023).

        Examples
        --------
        >>> law = MandateFigures.of(Figures(), "US", 2016, 1)
        >>> law.flat_adult, law.flat_child, law.multiple, law.percent, law.bronze
        (69500, 34750, 3, 250, 22300)
        >>> [MandateFigures.of(Figures(), *law, 1).has_payment for law in (("US", 2019), ("TX", 2025), ("RI", 2025))]
        [False, False, True]
        """
        import polars as pl

        held = figures.rows(_TABLE)
        own = held.filter(pl.col("jurisdiction") == jurisdiction)
        rows = _registry.rows_in_force(_TABLE, tax_year).filter(pl.col("jurisdiction") == jurisdiction)
        measures = dict(rows.select("measure", "value").rows())
        if own.height == 0 or tax_year < own["first_year"].min() or _NO_PENALTY in measures:  # type: ignore[operator]
            return cls(jurisdiction, False)
        if _FLAT_ADULT not in measures:
            raise _not_held(jurisdiction, tax_year, own)
        moved = "payment"
        figures.took_part(_TABLE, rows, ["jurisdiction", "measure", "first_year"], np.full(rows.height, number), moved)
        if measures[_FLAT_ADULT] == 0:
            return cls(jurisdiction, False)
        for carried in _carried(rows, own, tax_year):
            what = f"row {carried['_row']}: {jurisdiction}, {carried['measure']} of {carried['first_year']} carried"
            figures.put_down(_TABLE, f"{what} to {tax_year}, indexed each year", moved, number)
        for needed in (_FLAT_CHILD, _PERCENT):
            if needed not in measures:
                raise _not_held(jurisdiction, tax_year, own)
        bronze = measures.get(_BRONZE)
        return cls(
            jurisdiction,
            True,
            _scaled(measures[_FLAT_ADULT]),
            _scaled(measures[_FLAT_CHILD]),
            _multiple(figures, held, measures, jurisdiction, number),
            _scaled(measures[_PERCENT]),
            None if bronze is None else _scaled(bronze),
        )


def _scaled(value: float) -> int:
    return int(Fraction(repr(value)) * 100)


def _carried(rows: pl.DataFrame, own: pl.DataFrame, tax_year: int) -> list[dict[str, Any]]:
    """Return open rows of earlier years whose measure had other figures before: it is indexed, so they may be old."""
    import polars as pl

    changes = own.group_by("measure").agg(pl.col("value").n_unique().alias("figures"))
    open_rows = rows.filter(pl.col("last_year").is_null(), pl.col("first_year") < tax_year)
    joined = open_rows.join(changes, on="measure", maintain_order="left", validate="m:1")
    return joined.filter(pl.col("figures") > 1).to_dicts()


def _multiple(figures: Figures, held: pl.DataFrame, measures: dict[str, float], jurisdiction: str, number: int) -> int:
    """Return how many adults' flat amounts a household is charged at most; states follow the last federal figure."""
    import polars as pl

    if _MULTIPLE in measures:
        return int(measures[_MULTIPLE])
    federal = held.filter(pl.col("jurisdiction") == _FEDERAL, pl.col("measure") == _MULTIPLE).sort("first_year")
    if federal.height == 0:
        raise TableMissing(f"no {_MULTIPLE} is held", where=_TABLE, remedy="supply the row")
    row = federal.row(-1, named=True)
    what = f"row {row['_row']}: {_FEDERAL}, {_MULTIPLE} of {row['first_year']} taken for {jurisdiction}"
    figures.put_down(_TABLE, what, "payment", number)
    return int(row["value"])


def _not_held(jurisdiction: str, tax_year: int, own: pl.DataFrame) -> TableMissing:
    years = sorted(set(own.filter(own["measure"] == _FLAT_ADULT)["first_year"].to_list()))
    held = "amounts held from: " + ", ".join(map(str, years)) if years else "its amounts are not held at all"
    return TableMissing(
        f"{jurisdiction} has a mandate in {tax_year}, and its amounts are not held",
        where=_TABLE,
        rule=f"a year is used only with its own published figures; {held}",
        remedy="supply the rows (data_specs.use(folder), --tables DIR)",
    )


def payment_cents(
    adults: Integers,
    children: Integers,
    income_cents: Integers,
    threshold_cents: Integers,
    law: MandateFigures,
    *,
    bronze_cents: Integers,
    has_bronze: Flags,
    cap_persons: int,
) -> tuple[Integers, Integers]:
    """Return the payment of each household, and the cap at the average bronze premium, in cents.

    ``F = min(multiple x a, adults x a + children x c)``; ``P = percent x max(0, income - threshold)``; for each month
    with anyone uncovered ``max(F, P) / 12``; ``payment = min(sum of months, sum of bronze x min(persons, 5))``, rounded
    to cents once, half up.

    Parameters
    ----------
    adults, children : array of int, households x 12
        Persons of 18 and more, and below, without coverage or exemption in each month.
    income_cents, threshold_cents : array of int
        Household income, and the income from which a return must be filed.
    law : MandateFigures
        The mandate.
    bronze_cents, has_bronze : array
        Average bronze premium a month and person, where one is known.
    cap_persons : int
        Most persons who count in the cap.

    Examples
    --------
    2016, two adults and a child, all year, 60,000 dollars, threshold 20,700: F 1,737.50, P 982.50.

    >>> law = MandateFigures.of(Figures(), "US", 2016, 1)
    >>> found = payment_cents(np.full((1, 12), 2), np.full((1, 12), 1), np.array([6_000_000]), np.array([2_070_000]),
    ...     law, bronze_cents=np.array([22300]), has_bronze=np.array([True]), cap_persons=5)
    >>> [a.tolist() for a in found]
    [[173750], [802800]]
    """
    persons = adults + children
    flat = np.minimum(law.multiple * law.flat_adult, adults * law.flat_adult + children * law.flat_child)
    # In parts of 1 / 10,000 cent: hundredths of a percent of cents are whole there.
    share = law.percent * np.maximum(income_cents - threshold_cents, 0)
    months = np.where(persons > 0, np.maximum(10_000 * flat, share[:, None]), 0)
    unit = _MONTHS * 10_000
    cap = bronze_cents * np.minimum(persons, cap_persons).sum(axis=1)
    total = half_up(months.sum(axis=1), unit)
    return np.where(has_bronze, np.minimum(total, cap), total), cap


@dataclass(frozen=True)
class Penalties(Outcome):
    """The shared responsibility payments of one tax year and mandate.

    Attributes
    ----------
    households : DataFrame
        See :func:`shared_responsibility_payment`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    tax_year : int
        The tax year.
    """

    households: pl.DataFrame
    tax_year: int


def shared_responsibility_payment(
    households: pl.DataFrame | pl.LazyFrame,
    months: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    tax_year: int,
    jurisdiction: str = "US",
    settings: Mapping[str, Any] | PenaltySettings | None = None,
) -> Penalties:
    """Return what each household pays for months without coverage, to the cent.

    The greater of flat amounts (adults and, at half, people under 18; at most three adults' worth) and a percentage of
    income above the filing threshold, a twelfth for each month with anyone uncovered, and no more than the average
    bronze premium of those months. The first of the unbroken gaps of less than three months is exempt.

    Parameters
    ----------
    households : DataFrame
        A row per household_id (text): ``annual_income``, ``filing_threshold`` (dollars; the income from which a return
        must be filed; no table holds it). Optional: ``is_exempt`` (false), ``lowest_cost_annual`` (dollars a year of
        the cheapest coverage after any credit: exempt above the year's share of income, 2014 to 2018),
        ``bronze_monthly_per_person`` (dollars; of the state: only the federal average is held). Without `months`:
        ``uncovered_adults``, ``uncovered_children`` (persons) and ``uncovered_months`` (0 to 12, one unbroken gap).
    months : DataFrame, optional
        A row per person and uncovered month: ``household_id``, ``member_id``, ``month`` (1 to 12), ``is_child`` (under
        18 at the beginning of the month). Optional: ``is_exempt`` (false).
    tax_year : int
        The tax year.
    jurisdiction : str
        ``US`` (default) or a state, CA say.
    settings : mapping, optional
        ``short_gap_below_months``, ``bronze_cap_persons``, see :class:`rating.PenaltySettings`.

    Returns
    -------
    Penalties
        ``households``, sorted by household_id: uncovered_person_months, flat_amount (a year, at the largest month),
        income_amount (a year), bronze_cap (blank: none is known, the payment is not capped), payment, reason (of
        :data:`PENALTY_REASONS`). Amounts Decimal(18, 2).

    Raises
    ------
    InputRefused
        A column is missing or of another type.
    TableMissing
        The mandate's amounts of the year are not held.
    SettingRefused
        The jurisdiction is no two-letter code, or unknown setting or value.

    Notes
    -----
    The federal payment is zero from 2019. Source: 26 U.S.C. 5000A; 26 CFR 1.5000A-4; laws and tax pages of the states.

    Examples
    --------
    2018, one adult, all year, 40,000 dollars, threshold 12,000: 2.5 percent of 28,000 is more than 695.

    >>> import polars as pl
    >>> home = pl.DataFrame({"household_id": ["h"], "annual_income": [40000], "filing_threshold": [12000],
    ...     "uncovered_adults": [1], "uncovered_children": [0], "uncovered_months": [12]})
    >>> shared_responsibility_payment(home, tax_year=2018).households["payment"].to_list()
    [Decimal('700.00')]
    """
    year, chosen = whole_year(tax_year, "tax_year"), PenaltySettings.of(settings)
    where = _jurisdiction(jurisdiction)
    figures, findings = Figures(), Findings()
    columns = ["household_id", "annual_income", "filing_threshold"]
    if months is None:
        columns += ["uncovered_adults", "uncovered_children", "uncovered_months"]
    rows = FrameRows(collected(households, "households", columns), "households", findings)
    rows.key(["household_id"])
    given = _read(rows, None if months is None else _uncovered(months, rows, chosen, findings), chosen)
    law = MandateFigures.of(figures, where, year, len(given.at))
    result = _settled(given, law, year, chosen, figures)
    findings.note(MISSING_THRESHOLD, "households", int((result.reasons == NO_THRESHOLD).sum()))
    findings.note(NO_BRONZE, "households", int(((result.reasons == PAYMENT) & ~result.has_bronze).sum()))
    if law.has_payment and law.jurisdiction != _FEDERAL:
        # A state's share of income is not held.
        findings.note(NOT_JUDGED, "households", int(((result.reasons == PAYMENT) & given.has_cheapest).sum()))
    return Penalties(
        _frame(rows, given, law, result),
        year,
        **outcome_of(findings, figures, chosen.frame()).parts(),
    )


def _jurisdiction(given: object) -> str:
    """Return the jurisdiction in capitals; one that is none of the states would silently have no mandate."""
    text = given.upper() if isinstance(given, str) else ""
    states = _registry.rows(_STATES)["state"].unique().to_list()
    if text == _FEDERAL or text in states:
        return text
    raise SettingRefused(
        f"jurisdiction cannot be {given!r}",
        rule="US, or one of the fifty states or DC in two letters",
        remedy="write CA, say",
    )


@dataclass(frozen=True)
class _Given:
    at: Integers
    income: Integers
    threshold: Integers
    has_threshold: Flags
    adults: Integers
    children: Integers
    is_exempt: Flags
    cheapest: Integers
    has_cheapest: Flags
    bronze: Integers
    has_bronze: Flags


def _read(rows: FrameRows, counted: tuple[Integers, Integers] | None, settings: PenaltySettings) -> _Given:
    income = rows.income("annual_income")
    threshold, cheapest = rows.money("filing_threshold"), rows.money("lowest_cost_annual")
    bronze = rows.money("bronze_monthly_per_person", monthly=True)
    is_exempt = rows.flag("is_exempt", False)
    if counted is None:
        number = rows.whole("uncovered_months", 0, _MONTHS)
        number = np.where(number < settings.short_gap_below_months, 0, number)
        in_gap = np.arange(_MONTHS) < number[:, None]
        adults = rows.whole("uncovered_adults", 0, 999)[:, None] * in_gap
        children = rows.whole("uncovered_children", 0, 999)[:, None] * in_gap
    else:
        adults, children = counted
    at = rows.keep(["household_id"])
    return _Given(
        at,
        income.cents[at],
        threshold.cents[at],
        threshold.is_given[at],
        adults[at],
        children[at],
        is_exempt[at],
        cheapest.cents[at],
        cheapest.is_given[at],
        bronze.cents[at],
        bronze.is_given[at],
    )


def _uncovered(
    months: Any, households: FrameRows, settings: PenaltySettings, findings: Findings
) -> tuple[Integers, Integers]:
    """Return adults and children without coverage by household (rows of the frame) and month, short gaps left out."""
    import polars as pl

    columns = ("household_id", "member_id", "month", "is_child")
    rows = FrameRows(collected(months, "months", columns), "months", findings)
    rows.key(["household_id", "member_id", "month"])
    month = rows.whole("month", 1, _MONTHS, rule_id=BAD_MONTH)
    is_child, is_exempt = rows.flag("is_child", False), rows.flag("is_exempt", False)
    ids = households.frame.select(pl.col("household_id")).with_row_index("_home").unique("household_id", keep="first")
    home = rows.frame.select("household_id").join(ids, on="household_id", how="left", maintain_order="left")["_home"]
    bad = rows.broken_households()
    rows.broken_with(bad)
    households.broken_with(bad)
    rows.broken(UNKNOWN_HOUSEHOLD, home.is_null().to_numpy())
    at = rows.keep(["household_id", "member_id", "month"])
    at = at[~is_exempt[at]]
    house, month = home.fill_null(0).to_numpy().astype(np.int64)[at], month[at] - 1
    member = (
        rows.frame[at]
        .select((pl.struct("household_id", "member_id").rank("dense").cast(pl.Int64) - 1).alias("member"))["member"]
        .to_numpy()
    )
    counts = ~_in_short_gap(member, month, settings.short_gap_below_months)
    shape = (households.height, _MONTHS)
    found = []
    for who in (~is_child[at], is_child[at]):
        keep = counts & who
        cells = np.bincount(house[keep] * _MONTHS + month[keep], minlength=shape[0] * _MONTHS)
        found.append(cells.reshape(shape).astype(np.int64))
    return found[0], found[1]


def _in_short_gap(member: Integers, month: Integers, below: int) -> Flags:
    """Return which uncovered months belong to the first gap of their member that is shorter than `below` months.

    A longer gap before it changes nothing: the exemption is for the first of the short ones (26 U.S.C.
    5000A(e)(4)(B)(iii)).

    Examples
    --------
    Two months, and later another one: only the first gap is exempt. Someone else has four months, and later one.

    >>> months = np.array([1, 2, 7]), np.array([1, 2, 3, 4, 9])
    >>> [_in_short_gap(np.zeros_like(month), month, 3).tolist() for month in months]
    [[True, True, False], [False, False, False, False, True]]
    """
    if len(member) == 0:
        return np.zeros(0, bool)
    new_member = np.append(True, member[1:] != member[:-1])
    new_gap = np.append(True, (month[1:] != month[:-1] + 1)) | new_member
    gap = np.cumsum(new_gap) - 1
    length = np.bincount(gap)
    is_short = length < below
    of_member = member[new_gap]
    earlier: Integers = np.cumsum(is_short) - is_short
    is_first: Flags = earlier == earlier[np.searchsorted(of_member, of_member)]
    return np.asarray((is_short & is_first)[gap])


@dataclass(frozen=True)
class _Result:
    flat: Integers
    share: Integers
    cap: Integers
    payment: Integers
    has_bronze: Flags
    reasons: Integers


def _settled(given: _Given, law: MandateFigures, year: int, settings: PenaltySettings, figures: Figures) -> _Result:
    persons = given.adults + given.children
    flat = np.minimum(law.multiple * law.flat_adult, given.adults * law.flat_adult + given.children * law.flat_child)
    bronze = np.where(given.has_bronze, given.bronze, law.bronze or 0)
    has_bronze = given.has_bronze | (law.bronze is not None)
    payment, cap = payment_cents(
        given.adults,
        given.children,
        given.income,
        given.threshold,
        law,
        bronze_cents=bronze,
        has_bronze=has_bronze,
        cap_persons=settings.bronze_cap_persons,
    )
    reasons = np.full(len(payment), PAYMENT, np.int64)
    reasons[~given.has_threshold] = NO_THRESHOLD
    if law.jurisdiction == _FEDERAL and law.has_payment and given.has_cheapest.any():
        number = int(given.has_cheapest.sum())
        hundredths = affordable_hundredths(figures, year, "mandate_affordability_exemption_pct", number, "payment")
        reasons[given.has_cheapest & (given.cheapest * 10_000 > given.income * hundredths)] = NOT_AFFORDABLE
    reasons[given.is_exempt] = EXEMPT
    reasons[persons.sum(axis=1) == 0] = COVERED
    if not law.has_payment:
        reasons[:] = NO_MANDATE
    payment[(reasons != PAYMENT)] = 0
    income_amount = half_up(law.percent * np.maximum(given.income - given.threshold, 0), 10_000)
    return _Result(flat.max(axis=1, initial=0), income_amount, cap, payment, has_bronze, reasons)


def _frame(rows: FrameRows, given: _Given, law: MandateFigures, result: _Result) -> pl.DataFrame:
    import polars as pl

    is_known = result.reasons != NO_THRESHOLD
    persons = (given.adults + given.children).sum(axis=1)
    applies = np.full(len(persons), law.has_payment)
    return (
        rows.frame[given.at]
        .select("household_id")
        .with_columns(
            pl.Series("uncovered_person_months", persons),
            money_series("flat_amount", result.flat, applies),
            money_series("income_amount", result.share, applies & given.has_threshold),
            money_series("bronze_cap", result.cap, applies & result.has_bronze),
            money_series("payment", result.payment, is_known),
            word_series("reason", PENALTY_REASONS, result.reasons),
        )
    )
