"""Large claims: taken out above a threshold, the expected excess put in."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating.filing._experience_input import (
    collected,
    decimal_of,
    dollars,
    fractions_of,
    month_date,
    month_text,
    months_column,
    quantities,
    run_of_months,
)
from rating.filing._findings import FilingFindings, refusal, refuse_rows
from rating.filing._numbers import exact

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PooledClaims", "pooled_claims"]

Integers = NDArray[np.int64]

CLAIMS, MONTHS = "claims", "member_months"
ALL = "all"
_YEAR = 12
_CENT = 100
_FAR = Fraction(1, 2)


@dataclass(frozen=True)
class PooledClaims:
    """Claims with large ones pooled; see :func:`pooled_claims`.

    Attributes
    ----------
    totals : DataFrame
        One row: claims, excess, truncated, pooling_charge, pooled (dollars), enrollees_above (enrollee and year),
        adjustment (pooled / claims).
    months : DataFrame
        benefit_category, incurred_month (null where the claims have none), member_months (with them), claims, excess,
        truncated, pooling_charge, pooled.
    findings : DataFrame
        rule_id, severity, where, message.
    adjustment : Decimal or None
        Exact pooled / claims: what the experience is multiplied with. None without claims.
    """

    totals: pl.DataFrame
    months: pl.DataFrame
    findings: pl.DataFrame
    adjustment: Decimal | None = field(repr=False)


def pooled_claims(
    claims: pl.DataFrame | pl.LazyFrame,
    *,
    large_claim_threshold: Any,
    pooling_charge_pmpm: Any = None,
    expected_excess_share: Any = None,
    member_months: pl.DataFrame | pl.LazyFrame | None = None,
    amounts: str = "allowed",
) -> PooledClaims:
    """Return claims truncated at a threshold per enrollee and calendar year, with a charge for the expected excess.

    ``truncated = min(C, T)``; ``pooled = truncated + charge``: a pooling charge of c dollars per member month gives
    ``c x member months``, spread over categories as their truncated claims are; an expected excess share e gives
    ``e x truncated``. What is taken out of an enrollee's year is taken from its rows in proportion.

    Parameters
    ----------
    claims : DataFrame
        enrollee_id (text), the amounts in dollars (rows of one enrollee are added, reversals are negative); optional
        incurred_month (first day; without it all rows are of one year) and benefit_category.
    large_claim_threshold : number
        T, dollars per enrollee and year, above zero.
    pooling_charge_pmpm, expected_excess_share : number
        One of the two: expected excess per member month, or as a share of truncated claims.
    member_months : DataFrame, optional
        incurred_month, member_months (without incurred_month in the claims: member_months alone); needed with
        `pooling_charge_pmpm`.
    amounts : str
        Column of amounts.

    Returns
    -------
    PooledClaims

    Raises
    ------
    InputRefused
        Rules LCL-001, LCL-002; a month of claims has no member months.
    SettingRefused
        The threshold is not above zero, the charge below it; not exactly one of charge and share.

    Notes
    -----
    Source: actuarial practice; 45 CFR 156.80(d)(1): pooling moves claims between years and enrollees, not out of the
    single risk pool, so the charge belongs beside the threshold.

    Examples
    --------
    A claimant of 150,000 dollars at a threshold of 100,000, and 6 dollars per member month for the excess:

    >>> import polars as pl
    >>> claims = pl.DataFrame({"enrollee_id": ["a", "a", "b"], "allowed": [100_000, 50_000, 20_000]})
    >>> months = pl.DataFrame({"member_months": [10_000]})
    >>> found = pooled_claims(claims, large_claim_threshold=100_000, pooling_charge_pmpm=6, member_months=months)
    >>> found.totals.row(0)[:5]
    (170000.0, 50000.0, 120000.0, 60000.0, 180000.0)
    """
    threshold = exact(large_claim_threshold, "large_claim_threshold")
    if threshold <= 0:
        raise SettingRefused("setting 'large_claim_threshold' is not above zero", remedy="write dollars per enrollee")
    charge, share = _charge(pooling_charge_pmpm, expected_excess_share)
    findings = FilingFindings()
    rows = _read_claims(claims, amounts)
    _note_broken_years(rows, findings)
    claimed, excess, above = _cells(rows, Fraction(threshold), findings)
    truncated = {cell: claimed[cell] - excess.get(cell, Fraction(0)) for cell in claimed}
    months = None if member_months is None else _member_months(member_months, rows.has_months)
    charges = _charges(truncated, charge, share, months)
    total = [sum(of.values(), Fraction(0)) for of in (claimed, excess, truncated, charges)]
    if above and abs(total[3] - total[1]) > _FAR * total[1]:
        findings.add("LCL-004", CLAIMS, f"charge {float(total[3]):.2f}, excess {float(total[1]):.2f} dollars")
    pooled = total[2] + total[3]
    adjustment = decimal_of(pooled / total[0]) if total[0] else None
    return PooledClaims(
        totals=_total_frame([*total, pooled], above, adjustment),
        months=_cell_frame(claimed, excess, truncated, charges, months),
        findings=findings.frame(),
        adjustment=adjustment,
    )


def _charge(charge: Any, share: Any) -> tuple[Fraction | None, Fraction | None]:
    given = [(n, exact(v, n)) for n, v in _named(charge, share) if v is not None]
    if len(given) != 1 or given[0][1] < 0:
        raise SettingRefused(
            "the expected excess is not given once" if len(given) != 1 else f"{given[0][0]} is below zero",
            rule="claims above the threshold are taken out, and what is expected of them is put in",
            remedy="give pooling_charge_pmpm or expected_excess_share, zero or more",
        )
    name, value = given[0]
    return (Fraction(value), None) if name == "pooling_charge_pmpm" else (None, Fraction(value))


def _named(charge: Any, share: Any) -> list[tuple[str, Any]]:
    return [("pooling_charge_pmpm", charge), ("expected_excess_share", share)]


@dataclass(frozen=True)
class _Rows:
    """Claim rows as whole numbers: enrollee and year, cell (category and month), cents."""

    year_of_enrollee: Integers
    cell: Integers
    cents: Integers
    cells: list[tuple[str, int]]
    has_months: bool


def _read_claims(given: Any, amounts: str) -> _Rows:
    import polars as pl

    frame = collected(given, CLAIMS, ("enrollee_id", amounts))
    person = _frames.text_column(frame, CLAIMS, "enrollee_id").str.strip_chars()
    blank = (person.is_null() | (person == "").fill_null(True)).to_numpy()
    refuse_rows("LCL-001", CLAIMS, "enrollee_id", blank, "the enrollee id is blank", "name the enrollee")
    cents, _ = dollars(frame, CLAIMS, amounts, "LCL-001")
    has_months = "incurred_month" in frame.columns
    months = np.zeros(frame.height, np.int64)
    if has_months:
        months = months_column(frame, CLAIMS, "incurred_month", "LCL-001")
    category = pl.Series([ALL] * frame.height)
    if "benefit_category" in frame.columns:
        category = _frames.text_column(frame, CLAIMS, "benefit_category").str.strip_chars()
        blank = (category.is_null() | (category == "").fill_null(True)).to_numpy()
        refuse_rows("LCL-001", CLAIMS, "benefit_category", blank, "the category is blank", "name it")
    keys = pl.DataFrame({"enrollee": person, "year": months // _YEAR, "category": category, "month": months})
    ranked = keys.select(
        pl.struct("enrollee", "year").rank("dense").cast(pl.Int64) - 1,
        pl.struct("category", "month").rank("dense").cast(pl.Int64).alias("cell") - 1,
    )
    cells = keys.select("category", "month").unique().sort("category", "month").rows()
    return _Rows(ranked["enrollee"].to_numpy(), ranked["cell"].to_numpy(), cents, cells, has_months)


def _note_broken_years(rows: _Rows, findings: FilingFindings) -> None:
    """Put down first and last calendar years that the claims cover in part."""
    months = [month for _, month in rows.cells]
    if not rows.has_months or not months:
        return
    first, last = min(months), max(months)
    broken = [m // _YEAR for m, is_broken in ((first, first % _YEAR), (last, (last + 1) % _YEAR)) if is_broken]
    for year in dict.fromkeys(broken):
        findings.add("LCL-006", f"{CLAIMS}, {year}", f"months {month_text(first)} to {month_text(last)}")


def _cells(
    rows: _Rows, threshold: Fraction, findings: FilingFindings
) -> tuple[dict[tuple[str, int], Fraction], dict[tuple[str, int], Fraction], int]:
    """Return claims and excess by cell, and how many enrollees and years are above the threshold."""
    totals = _sums(rows.year_of_enrollee, rows.cents)
    below = int((totals < 0).sum())
    if below:
        findings.add("LCL-003", CLAIMS, f"{below} enrollees and years below zero")
    limit = threshold * _CENT
    above = np.flatnonzero(totals > int(limit))  # whole cents above the threshold or above its whole part
    shares = {int(e): (int(totals[e]) - limit) / int(totals[e]) for e in above if int(totals[e]) > limit}
    claimed = {rows.cells[k]: v for k, v in fractions_of(rows.cell, rows.cents, _CENT).items()}
    excess: dict[tuple[str, int], Fraction] = {}
    for i in np.flatnonzero(np.isin(rows.year_of_enrollee, np.array(list(shares), np.int64))).tolist():
        cell = rows.cells[int(rows.cell[i])]
        taken = shares[int(rows.year_of_enrollee[i])] * int(rows.cents[i]) / _CENT
        excess[cell] = excess.get(cell, Fraction(0)) + taken
    return claimed, excess, len(shares)


def _sums(keys: Integers, cents: Integers) -> Integers:
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.append(True, keys[order][1:] != keys[order][:-1]))
    return np.asarray(np.add.reduceat(cents[order], edges))


def _member_months(given: Any, has_months: bool) -> dict[int, Fraction]:
    columns = ("incurred_month", "member_months") if has_months else ("member_months",)
    frame = collected(given, MONTHS, columns)
    keys = np.zeros(frame.height, np.int64)
    if has_months:
        keys = months_column(frame, MONTHS, "incurred_month", "LCL-001")
    return fractions_of(keys, quantities(frame, MONTHS, "member_months", "LCL-001"))


def _charges(
    truncated: dict[tuple[str, int], Fraction],
    charge: Fraction | None,
    share: Fraction | None,
    months: dict[int, Fraction] | None,
) -> dict[tuple[str, int], Fraction]:
    """Return the pooling charge of each cell."""
    if share is not None:
        return {cell: share * amount for cell, amount in truncated.items()}
    assert charge is not None
    if months is None:
        raise SettingRefused(
            "a pooling charge per member month needs the member months",
            remedy="give member_months, or expected_excess_share",
        )
    absent = sorted({month for _, month in truncated} - set(months))
    if absent:
        where = run_of_months(absent) if absent != [0] else MONTHS
        raise refusal("LCL-001", "no member months", where, "hand in the member months of every month of claims")
    of_category: dict[str, Fraction] = {}
    for (category, _), amount in truncated.items():
        of_category[category] = of_category.get(category, Fraction(0)) + amount
    total = sum(of_category.values(), Fraction(0))
    if total <= 0:
        raise refusal("LCL-002", "truncated claims are not above zero", CLAIMS, "check the amounts and the threshold")
    return {(c, m): charge * months[m] * of_category[c] / total for c, m in truncated}


def _total_frame(total: list[Fraction], above: int, adjustment: Decimal | None) -> pl.DataFrame:
    import polars as pl

    names = ("claims", "excess", "truncated", "pooling_charge", "pooled")
    shown = pl.Series([None if adjustment is None else float(adjustment)], dtype=pl.Float64)
    amounts = {name: [float(value)] for name, value in zip(names, total, strict=True)}
    return pl.DataFrame({**amounts, "enrollees_above": [above], "adjustment": shown})


def _cell_frame(
    claimed: dict[tuple[str, int], Fraction],
    excess: dict[tuple[str, int], Fraction],
    truncated: dict[tuple[str, int], Fraction],
    charges: dict[tuple[str, int], Fraction],
    months: dict[int, Fraction] | None,
) -> pl.DataFrame:
    import polars as pl

    lines = []
    for category, month in sorted(claimed):
        cell = (category, month)
        members = None if months is None else float(months[month]) if month in months else None
        day = month_date(month) if month else None
        out = excess.get(cell, Fraction(0))
        amounts = (claimed[cell], out, truncated[cell], charges[cell], truncated[cell] + charges[cell])
        lines.append((category, day, members, *map(float, amounts)))
    names = ("member_months", "claims", "excess", "truncated", "pooling_charge", "pooled")
    schema: dict[str, Any] = {"benefit_category": pl.String, "incurred_month": pl.Date}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(names, pl.Float64), orient="row")
