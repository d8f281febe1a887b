"""The frame of experience as it arrives: keys checked, amounts in cents, what belongs to month and plan taken once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused, SettingRefused
from rating.filing._experience_input import collected, dollars, month_text, months_column, quantities, run_of_months
from rating.filing._findings import FilingFindings, listed, refusal, refuse_rows
from rating.filing._formulas import CATEGORIES
from rating.filing._numbers import exact

if TYPE_CHECKING:
    import polars as pl

__all__ = ["EXPERIENCE", "UNSPLIT", "ExperienceRows", "read_experience"]

EXPERIENCE = "experience"
UNSPLIT = ""  # the one plan of an experience that is not split by plan
_COLUMNS = (
    "incurred_month",
    "benefit_category",
    "is_ehb",
    "member_months",
    "allowed_paid_to_date",
    "incurred_paid_to_date",
)
_OF_PLAN = ("premium", "risk_adjustment", "reinsurance")
_ONE_YEAR = 12
_EXPERIENCE_TO_PLAN_YEAR = 2


@dataclass(frozen=True)
class ExperienceRows:
    """Experience in whole numbers, sorted by key.

    Attributes
    ----------
    claims : DataFrame
        month (from year 0), category (place in ``CATEGORIES``), is_ehb, plan_id, allowed, incurred, rebates (cents),
        completion (text of the decimal, null where none is given).
    plan_months : DataFrame
        month, plan_id, member_months (parts), premium, risk_adjustment, reinsurance (cents; null where none is given).
    first, last : int
        First and last month of the experience period.
    has_plans : bool
        Whether rows are split by plan.
    """

    claims: pl.DataFrame
    plan_months: pl.DataFrame
    first: int
    last: int
    has_plans: bool


def read_experience(
    given: Any, period: tuple[date, date] | None, plan_year: int | None, findings: FilingFindings
) -> ExperienceRows:
    """Return a frame of experience as whole numbers.

    Raises
    ------
    InputRefused
        Rules EXP-001 to EXP-004, EXP-007.
    SettingRefused
        The period is no pair of dates, or ends before it begins.
    """
    import polars as pl

    frame = collected(given, EXPERIENCE, _COLUMNS)
    _check_one_pool(frame)
    months = months_column(frame, EXPERIENCE, "incurred_month", "EXP-001")
    category = _category(frame)
    is_ehb = _is_ehb(frame)
    plans = _plans(frame, months)
    allowed, _ = dollars(frame, EXPERIENCE, "allowed_paid_to_date", "EXP-002")
    incurred, _ = dollars(frame, EXPERIENCE, "incurred_paid_to_date", "EXP-002")
    rebates = np.zeros(frame.height, np.int64)
    if "pharmacy_rebates" in frame.columns:
        rebates, _ = dollars(frame, EXPERIENCE, "pharmacy_rebates", "EXP-002", required=False)
    rows = pl.DataFrame(
        {
            "month": months,
            "category": category,
            "is_ehb": is_ehb,
            "plan_id": plans.fill_null(UNSPLIT),
            "allowed": allowed,
            "incurred": incurred,
            "rebates": rebates,
            "completion": _completion_texts(frame),
            "member_months": quantities(frame, EXPERIENCE, "member_months", "EXP-002"),
            **{name: _of_plan(frame, name) for name in _OF_PLAN},
        }
    )
    key = ["month", "category", "is_ehb", "plan_id"]
    double = rows.select(key).is_duplicated().to_numpy()
    refuse_rows("EXP-001", EXPERIENCE, " + ".join(key), double, "a key stands in several rows", "add its rows up first")
    claims = rows.select(*key, "allowed", "incurred", "rebates", "completion").sort(key)
    first, last = _period(months, period, plan_year)
    plan_months = _plan_months(rows)
    _note_months(claims, plan_months, first, last, findings)
    return ExperienceRows(claims, plan_months, first, last, plans.null_count() == 0)


def _check_one_pool(frame: pl.DataFrame) -> None:
    for column in ("issuer_id", "state", "market"):
        if column in frame.columns and frame[column].n_unique() > 1:
            raise refusal(
                "EXP-001",
                f"the rows are of several {column.removesuffix('_id')}s",
                f"{EXPERIENCE}, column {column}",
                "file one single risk pool at a time: issuer, state and market",
            )


def _category(frame: pl.DataFrame) -> NDArray[np.int64]:
    text = _frames.text_column(frame, EXPERIENCE, "benefit_category").str.strip_chars()
    import polars as pl

    places = text.replace_strict(list(CATEGORIES), range(len(CATEGORIES)), default=None, return_dtype=pl.Int64)
    remedy = "write one of " + ", ".join(CATEGORIES)
    unknown = places.is_null().to_numpy()
    refuse_rows("EXP-001", EXPERIENCE, "benefit_category", unknown, "no benefit category of worksheet 1", remedy)
    return np.asarray(places.to_numpy(), np.int64)


def _is_ehb(frame: pl.DataFrame) -> pl.Series:
    import polars as pl

    flags = frame["is_ehb"]
    if flags.dtype != pl.Boolean:
        raise InputRefused(
            f"column 'is_ehb' is {flags.dtype}, not true or false",
            where=f"{EXPERIENCE}, column is_ehb",
            rule="FILE-002: a required column has its declared type",
            remedy="cast it to Boolean",
        )
    refuse_rows("EXP-001", EXPERIENCE, "is_ehb", flags.is_null().to_numpy(), "is_ehb is blank", "write true or false")
    return flags


def _plans(frame: pl.DataFrame, months: NDArray[np.int64]) -> pl.Series:
    """Return plan ids, null in all rows where the experience is not split by plan."""
    import polars as pl

    if "plan_id" not in frame.columns:
        return pl.Series("plan_id", [None] * frame.height, dtype=pl.String)
    plans = _frames.text_column(frame, EXPERIENCE, "plan_id").str.strip_chars()
    plans = plans.set((plans == "").fill_null(False), None)
    blank = plans.is_null().to_numpy()
    if blank.any() and not blank.all():
        raise refusal(
            "EXP-004",
            f"{np.count_nonzero(blank)} of {len(blank)} rows name no plan",
            f"{EXPERIENCE}, column plan_id, {listed([month_text(m) for m in sorted(set(months[blank].tolist()))])}",
            "split these rows by plan, or leave plan_id blank in all rows: their member months would count twice",
        )
    return plans


def _completion_texts(frame: pl.DataFrame) -> pl.Series:
    """Return given completion factors as the text of their decimals, checked to lie above 0."""
    import polars as pl

    if "completion_factor" not in frame.columns:
        return pl.Series("completion", [None] * frame.height, dtype=pl.String)
    texts: list[str | None] = []
    broken = np.zeros(frame.height, bool)
    for i, value in enumerate(frame["completion_factor"].to_list()):
        number = None if value is None else exact(value, f"completion_factor, row {i + 1}")
        broken[i] = number is not None and not 0 < number <= 1
        texts.append(None if number is None else str(number))
    remedy = "write the share that is paid: above 0, at most 1"
    refuse_rows("EXP-013", EXPERIENCE, "completion_factor", broken, "a completion is not above 0 and at most 1", remedy)
    return pl.Series("completion", texts, dtype=pl.String)


def _of_plan(frame: pl.DataFrame, column: str) -> pl.Series:
    import polars as pl

    if column not in frame.columns:
        return pl.Series(column, [None] * frame.height, dtype=pl.Int64)
    cents, given = dollars(frame, EXPERIENCE, column, "EXP-002", required=False)
    return pl.Series(column, cents).set(~pl.Series(given), None)


def _plan_months(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what belongs to month and plan, once."""
    import polars as pl

    names = ["member_months", *_OF_PLAN]
    grouped = rows.group_by("month", "plan_id").agg(
        *(pl.col(n).drop_nulls().first().alias(n) for n in names),
        *(pl.col(n).drop_nulls().n_unique().alias(f"{n}_kinds") for n in names),
    )
    grouped = grouped.sort("month", "plan_id")
    for name in names:
        several = grouped.filter(pl.col(f"{name}_kinds") > 1).select("month", "plan_id").rows()
        if several:
            places = [month_text(m) + (f" {plan}" if plan else "") for m, plan in several]
            raise refusal(
                "EXP-003",
                f"{name} differs between rows of one month and plan",
                f"{EXPERIENCE}, column {name}, {listed(places)}",
                "repeat it in every row of the month and plan"
                + ("" if name == "member_months" else ", or write it in one and leave the others blank"),
            )
    return grouped.select("month", "plan_id", *names)


def _period(months: NDArray[np.int64], period: tuple[date, date] | None, plan_year: int | None) -> tuple[int, int]:
    """Return first and last month of the experience period."""
    if period is not None:
        ends = [_month_of(day) for day in period] if isinstance(period, (tuple, list)) else []
        if len(ends) != 2 or ends[0] > ends[1]:
            raise SettingRefused(
                "the experience period is no first and last day", remedy="write (date(2025, 1, 1), date(2025, 12, 31))"
            )
        first, last = ends
    else:
        first, last = int(months.min()), int(months.max())
        if plan_year is not None:
            start = (int(plan_year) - _EXPERIENCE_TO_PLAN_YEAR) * _ONE_YEAR
            if ((months >= start) & (months < start + _ONE_YEAR)).any():
                first, last = start, start + _ONE_YEAR - 1
        if last - first >= _ONE_YEAR:
            raise refusal(
                "EXP-007",
                f"rows from {month_text(first)} to {month_text(last)}, and no experience period",
                EXPERIENCE,
                "say period=(first day, last day)",
            )
    if not ((months >= first) & (months <= last)).any():
        raise refusal(
            "EXP-005", "no row in the experience period", f"{EXPERIENCE}, {month_text(first)} to {month_text(last)}",
            "check the period and the months of the rows",
        )  # fmt: skip
    return first, last


def _month_of(day: Any) -> int:
    if not isinstance(day, date):
        raise SettingRefused("the experience period is no pair of dates", remedy="hand in dates")
    return day.year * _ONE_YEAR + day.month - 1


def _note_months(
    claims: pl.DataFrame, plan_months: pl.DataFrame, first: int, last: int, findings: FilingFindings
) -> None:
    """Put down months and categories that are not there, and claims without enrollees."""
    import polars as pl

    inside = pl.col("month").is_between(first, last)
    held = set(plan_months.filter(inside)["month"].to_list())
    absent = [m for m in range(first, last + 1) if m not in held]
    if absent:
        findings.add("EXP-005", EXPERIENCE, f"no row: {run_of_months(absent)}")
    period = claims.filter(inside)
    present = set(period["category"].to_list())
    for place, name in enumerate(CATEGORIES):
        if place not in present:
            findings.add("EXP-006", f"{EXPERIENCE}, {name}", "no row: its claims are taken as none")
    cells = period.select("month", "plan_id", "category").unique().height
    full = plan_months.filter(inside).height * len(present)
    if cells < full:
        findings.add("EXP-018", EXPERIENCE, f"{full - cells} of {full} months, plans and categories have no row")
    empty = plan_months.filter(inside, pl.col("member_months") == 0)
    claimed = period.filter((pl.col("allowed") != 0) | (pl.col("incurred") != 0))
    lone = claimed.join(empty, on=["month", "plan_id"], how="semi").group_by("month").len().sort("month")
    for month, rows in lone.rows():
        findings.add("EXP-008", f"{EXPERIENCE}, {month_text(month)}", f"no enrollee, and claims in {rows} rows")
