"""Net premiums of one household over incomes: lines, jumps, and the incomes at which something else holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import NotYetPublished, TableMissing
from rating import medicaid_outcome, premium_tax_credit
from rating._quote import Prepared

if TYPE_CHECKING:
    from poolwise.report._quote_home import Home
    from rating import Assistance, Quotes

__all__ = ["ABOVE_LIMIT", "BELOW_LIMIT", "MEDICAID", "Incomes", "Jump", "Zone"]

MEDICAID, BELOW_LIMIT, ABOVE_LIMIT = "medicaid", "below the limit", "above the limit"
_BELOW, _ABOVE = "income_below_limit", "income_above_limit"  # notes of a quote
_LOWEST_PCT, _HIGHEST_PCT = 500, 1_000  # of the poverty line: where the axis of incomes ends at the least and the most
_BEYOND_OWN = Decimal("1.1")
_SMALLEST_JUMP = Decimal(10)  # dollars a month within one dollar of income; whole-percent steps are smaller
_EVERY = 6  # two percent of the poverty line between drawn points; steps are drawn where they are
_DIGITS = 12


@dataclass(frozen=True)
class Zone:
    """A stretch of incomes (dollars a year) in which something else than the credit holds."""

    name: str
    start: Decimal
    end: Decimal


@dataclass(frozen=True)
class Jump:
    """A change of the net premium within one dollar of income.

    Attributes
    ----------
    plan_id : str
        Of which plan.
    income, percent : int
        The last income before it (dollars a year), and its percentage of the poverty line.
    before, after : Decimal
        Net premium, dollars a month.
    is_limit : bool
        Whether the credit ends here because the income is above the limit of the year.
    """

    plan_id: str
    income: int
    percent: int
    before: Decimal
    after: Decimal
    is_limit: bool


@dataclass(frozen=True)
class Incomes:
    """Net premiums over incomes, and what else holds at some of them."""

    quotes: Quotes | None
    poverty_line: Decimal | None
    frame: pl.DataFrame
    jumps: list[Jump]
    zones: list[Zone]
    outcome: str | None
    is_medicaid_known: bool
    uncertain: list[pl.DataFrame]
    tables: list[str]

    @classmethod
    def of(cls, home: Home, prepared: Prepared, plan_ids: list[str]) -> Incomes:
        line = _poverty_line(home) if home.is_individual else None
        if line is None:
            return cls(None, None, _no_incomes(), [], [], None, False, [], [])
        grid = _grid(home, line)
        quotes = prepared.quoted(_copies_by_income(home, grid), with_members=False)
        found = _net_by_income(quotes, plan_ids, grid)
        medicaid = _medicaid(home)
        uncertain, tables, outcome, limit, is_known = [], [], None, None, False
        if medicaid is not None:
            uncertain, tables = [medicaid.uncertain], medicaid.tables
            nothing, own = medicaid.households.sort("household_id").rows(named=True)
            outcome = None if home.income is None else own["outcome"]
            limit = None if home.is_excepted else _medicaid_limit(own)
            is_known = nothing["outcome"] != "medicaid_unknown"
        zones = _zones(found, limit)
        if found.height == 0 or (found["notes"] == "no_eligible_member").any():
            return cls(None, line, _no_incomes(), [], [], outcome, is_known, uncertain, tables)
        return cls(quotes, line, _thinned(found), _jumps(found), zones, outcome, is_known, uncertain, tables)


def _no_incomes() -> pl.DataFrame:
    schema: dict[str, Any] = {
        "plan_id": pl.String,
        "annual_income": pl.Int64,
        "income_pct_of_poverty": pl.Int64,
        "net_premium_monthly": pl.Decimal(18, 2),
        "notes": pl.String,
        "segment": pl.Int64,
    }
    return pl.DataFrame(schema=schema)


def _as_one_row(home: Home) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "household_id": ["own"],
            "annual_income": [home.income or Decimal(0)],
            "tax_household_size": [home.size],
            "state": [home.state],
            "refused_for_status": [home.is_excepted],
        }
    )


def _poverty_line(home: Home) -> Decimal | None:
    try:
        found = premium_tax_credit(_as_one_row(home), tax_year=home.plan_year)
    except (NotYetPublished, TableMissing):
        return None
    line: Decimal = found.households["poverty_line"][0]
    return line


def _medicaid(home: Home) -> Assistance | None:
    try:
        own = _as_one_row(home)
        nothing = own.with_columns(pl.lit("nothing").alias("household_id"), pl.lit(Decimal(0)).alias("annual_income"))
        return medicaid_outcome(pl.concat([own, nothing], how="vertical_relaxed"), plan_year=home.plan_year)
    except (NotYetPublished, TableMissing):
        return None


def _grid(home: Home, line: Decimal) -> list[int]:
    """Return whole dollars: the first of every percent of the poverty line, one less and one more.

    Whatever changes with a percentage changes at one of them, so that both sides of a step are there.
    """
    own = int((home.income or Decimal(0)) * _BEYOND_OWN * 100 / line)
    last = min(max(_LOWEST_PCT, own), _HIGHEST_PCT)
    firsts = [math.ceil(line * percent / 100) for percent in range(last + 1)]
    return sorted({income + step for income in firsts for step in (-1, 0, 1) if income + step >= 0})


def _copies_by_income(home: Home, incomes: list[int]) -> pl.DataFrame:
    """Return the household at every income; the income is its id too."""
    copies = pl.DataFrame({"annual_income": incomes}).with_columns(
        pl.col("annual_income").cast(pl.String).str.zfill(_DIGITS).alias("household_id"),
        pl.lit(home.size).alias("tax_household_size"),
    )
    people = home.frame.drop("household_id", "annual_income", "tax_household_size", strict=False)
    return copies.join(people, how="cross")


def _net_by_income(quotes: Quotes, plan_ids: list[str], grid: list[int]) -> pl.DataFrame:
    """Return the net premium at each income; `segment` numbers the stretches of a plan without a jump or a gap."""
    place = pl.DataFrame({"annual_income": grid}).with_row_index("place")
    found = (
        quotes.households.filter(pl.col("plan_id").is_in(plan_ids) & pl.col("net_premium_monthly").is_not_null())
        .with_columns(pl.col("household_id").cast(pl.Int64).alias("annual_income"))
        .join(place, on="annual_income", how="left", validate="m:1", maintain_order="left")
        .select(
            "plan_id", "annual_income", "income_pct_of_poverty", "net_premium_monthly", "notes",
            pl.col("place").cast(pl.Int64),
        )
        .sort("plan_id", "place")
    )  # fmt: skip
    before = {c: pl.col(c).shift(1).over("plan_id") for c in ("annual_income", "net_premium_monthly", "place")}
    step = (pl.col("net_premium_monthly") - before["net_premium_monthly"]).abs()
    is_next = pl.col("annual_income") == before["annual_income"] + 1
    jumps = is_next & ((step > _SMALLEST_JUMP) | ((pl.col("notes") == _ABOVE) & (step > 0)))
    # A catastrophic plan is not open to everybody: where it is closed there is a gap.
    gaps = pl.col("place") != before["place"] + 1
    return found.with_columns(
        jumps.fill_null(False).alias("is_jump"),
        (jumps | gaps).fill_null(False).cast(pl.Int64).cum_sum().over("plan_id").alias("segment"),
    )


def _thinned(found: pl.DataFrame) -> pl.DataFrame:
    """Return the points that are drawn: both ends of every stretch and of every note, and some between them."""
    keys = ("plan_id", "segment", "notes")
    is_end = pl.any_horizontal(pl.col(k).ne_missing(pl.col(k).shift(n)) for k in keys for n in (1, -1))
    drawn = found.filter(is_end | (pl.col("place") % _EVERY == 0))
    return drawn.select(_no_incomes().columns)


def _jumps(found: pl.DataFrame) -> list[Jump]:
    columns = ("annual_income", "income_pct_of_poverty", "net_premium_monthly")
    before = (pl.col(c).shift(1).over("plan_id").alias(f"{c}_before") for c in columns)
    return [
        Jump(
            row["plan_id"],
            row["annual_income_before"],
            row["income_pct_of_poverty_before"],
            row["net_premium_monthly_before"],
            row["net_premium_monthly"],
            row["notes"] == _ABOVE,
        )
        for row in found.with_columns(before).filter("is_jump").rows(named=True)
    ]


def _medicaid_limit(row: dict[str, Any]) -> Decimal | None:
    """Return the highest income of adults' Medicaid, dollars a year."""
    if row["medicaid_limit_pct"] is None:
        return None
    limit: Decimal = row["medicaid_poverty_line"] * Decimal(str(row["medicaid_limit_pct"])) / 100
    return limit


def _zones(found: pl.DataFrame, medicaid_limit: Decimal | None) -> list[Zone]:
    """Return the incomes of adults' Medicaid, those below the limit of the credit that it leaves, those above it."""
    start = medicaid_limit or Decimal(0)
    zones = [Zone(MEDICAID, Decimal(0), start)] if start else []
    below = found.filter(pl.col("notes") == _BELOW)["annual_income"].max()
    if isinstance(below, int) and below + 1 > start:
        zones.append(Zone(BELOW_LIMIT, start, Decimal(below + 1)))
    above = found.filter(pl.col("notes") == _ABOVE)["annual_income"].sort().to_list()
    if above:
        zones.append(Zone(ABOVE_LIMIT, Decimal(above[0]), Decimal(above[-1])))
    return zones
