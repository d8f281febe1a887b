"""How a number of a filing came about: its formula, the numbers in it, and theirs, down to what was handed in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs._policy import TIERS, canonical_rating_areas
from data_specs.errors import InputRefused
from rating._factors import MILLIONTHS, RatingFactors, rating_factors
from rating._rate_table import TIER_COLUMNS
from rating.filing._ledger import MARKET, Entry, Key
from rating.filing._numbers import CONTEXT, number_text

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["Trace", "rate_trace", "traced"]

Line = tuple[Any, ...]
COLUMNS = ("depth", "name", "place", "value", "unit", "formula", "with_numbers", "source", "note")
_ABOVE = "see above"
_STEP_9 = "calibrated_plan_adjusted_index_rate * {}, rounded {} to the cent"
_QUARTERS = ("first", "second", "third", "fourth")
_DIRECTIONS = {"nearest": "half up", "down": "down", "up": "up"}
_POINTS = {
    "member": "",
    "base": "; the rate at age factor 1 is rounded to the cent before",
    "nontobacco": "; the rate without tobacco is rounded to the cent before",
}


@dataclass(frozen=True)
class Trace:
    """A number with everything it was worked out from; :attr:`frame` as a table, as text an indented list.

    Attributes
    ----------
    frame : DataFrame
        ``depth`` (0: the number asked for), ``name``, ``place``, ``value`` (Float64), ``unit``, ``formula``,
        ``with_numbers`` (the formula with its numbers), ``source``, ``note``. A number that is used in several places
        is taken apart in the first.
    """

    frame: pl.DataFrame

    def __str__(self) -> str:
        lines = []
        for row in self.frame.to_dicts():
            place = f" [{row['place']}]" if row["place"] else ""
            value = "blank" if row["value"] is None else _plain(row["value"])
            text = f"{'  ' * row['depth']}{row['name']}{place} = {value} {row['unit']}"
            if row["formula"]:
                text += f" = {row['formula']}"
            if row["with_numbers"]:
                text += f" = {row['with_numbers']}"
            said = "; ".join(part for part in (row["source"], row["note"]) if part)
            lines.append(text + (f"  ({said})" if said else ""))
        return "\n".join(lines)


def _plain(value: float) -> str:
    """Return a number without a point where none is needed."""
    return number_text(Decimal(repr(value).removesuffix(".0")))


def traced(filing: Filing, key: Key) -> Trace:
    """Return how a number of the ledger came about."""
    lines: list[Line] = []
    _walk(filing, key, 0, lines, set())
    return Trace(_frame(lines))


def _frame(lines: list[Line]) -> pl.DataFrame:
    import polars as pl

    types = {"depth": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(lines, schema={c: types.get(c, pl.String) for c in COLUMNS}, orient="row")


def _walk(filing: Filing, key: Key, depth: int, lines: list[Line], seen: set[Key]) -> None:
    entry = filing.ledger.get(*key) or Entry(*key, None, "", source="blank")
    value = None if entry.value is None else float(entry.value)
    if key in seen and entry.inputs:
        lines.append((depth, *key, value, entry.unit, "", "", "", _ABOVE))
        return
    seen.add(key)
    formula = filing.model.formula(*key)
    is_expression = formula is not None and entry.formula == formula.expression
    with_numbers = filing.model.with_numbers(*key) if is_expression else ""
    lines.append((depth, *key, value, entry.unit, entry.formula, with_numbers, entry.source, entry.note))
    for part in entry.inputs:
        _walk(filing, part, depth + 1, lines, seen)


# ------------------------------------------------------------------------------------------------ consumer rates


def rate_trace(
    filing: Filing, plan: str | None, area: str | None, age: int | None, tobacco: bool, quarter: int, tier: str
) -> Trace:
    """Return how a consumer rate came about.

    Raises
    ------
    InputRefused
        Plan, area or age is not said, or the filing has no such rate, quarter or tier.
    """
    import polars as pl

    state = str(filing.header["state"])
    named = canonical_rating_areas(pl.Series([area], dtype=pl.String), pl.Series([state]))[0]
    factors = rating_factors(
        str(filing.chosen.rules_of_state or state), str(filing.header["market"]), int(filing.header["plan_year"])
    )
    row = _rate_row(filing, plan, named or area, age, factors, quarter)
    assert plan is not None
    is_split = bool(tobacco) and row["tobacco"] == "split"
    value = row[_column(factors, is_split, tier)]
    who = f"age {row['age_band']}" if factors.tiers is None else f"tier {tier}"
    place = f"{plan}, {row['rating_area_id']}, {who}" + (", tobacco" if tobacco else "")
    parts = _factor_lines(
        filing, plan, row, factors, is_split and row["individual_tobacco_rate"] != row["individual_rate"], tier
    )
    seen: set[Key] = set()
    of_quarter: list[Line] = []
    if filing.model.value("quarterly_trend") is not None:
        _walk(filing, (f"quarter_factor_{quarter}", MARKET), 1, of_quarter, seen)
        parts += of_quarter[:1]
        place += f", {_QUARTERS[quarter - 1]} quarter"
    key: Key = ("calibrated_plan_adjusted_index_rate", plan)
    numbers = [filing.model.value(*key), *(part[3] for part in parts)]
    shown = " * ".join(_plain(n) if isinstance(n, float) else number_text(n) for n in numbers)
    settings = dict(filing.settings.select("setting", "value").rows())
    direction, point = settings.get("rounding_direction", "nearest"), settings.get("rounding_point", "member")
    formula = _STEP_9.format(" * ".join(part[1] for part in parts), _DIRECTIONS[direction]) + _POINTS[point]
    source = "45 CFR 147.102; step 9"
    lines: list[Line] = [(0, "rate", place, float(value), "usd", formula, shown, source, "")]
    _walk(filing, key, 1, lines, seen)
    return Trace(_frame([*lines, *parts, *of_quarter[1:]]))


def _column(factors: RatingFactors, is_split: bool, tier: str) -> str:
    """Return the column of the rate table that a rate stands in."""
    if factors.tiers is None:
        return "individual_tobacco_rate" if is_split else "individual_rate"
    held = {name: column for column, name in TIER_COLUMNS.items() if factors.tiers.millionths[TIERS.index(name)]}
    if tier not in held:
        raise InputRefused(f"there is no tier {tier!r}", where="trace", remedy="one of " + ", ".join(held))
    return held[tier]


def _rate_row(
    filing: Filing, plan: str | None, area: str | None, age: int | None, factors: RatingFactors, quarter: int
) -> dict[str, Any]:
    import polars as pl

    bands = factors.bands
    label = "family"
    if factors.tiers is None:
        if age is None:
            raise InputRefused("a consumer rate is of an age", where="trace", remedy="say plan, area and age")
        label = bands.labels[int(bands.of_ages(np.array([age]))[0])]
    rates = filing.rates
    if rates.height:
        rates = rates.filter(pl.col("plan_id") == plan, pl.col("rating_area_id") == area, pl.col("age_band") == label)
    if quarter not in range(1, rates.height + 1):
        raise InputRefused(
            f"the filing has no rate of plan {plan} in {area} at age {label} in quarter {quarter}",
            where="trace",
            remedy="plans, areas, ages and quarters are those of `rates`; terminated plans have none",
        )
    return rates.sort("effective_date").row(quarter - 1, named=True)


def _factor_lines(
    filing: Filing, plan: str, row: dict[str, Any], factors: RatingFactors, is_loaded: bool, tier: str
) -> list[Line]:
    """Return the factors of a rate as lines of a trace."""
    area = str(row["rating_area_id"])
    by_plan = filing.ledger.get("plan_area_factor", f"{plan} {area}")
    found = by_plan or filing.ledger.get("area_factor", area)
    area_factor = None if found is None or found.value is None else float(found.value)
    if factors.tiers is None:
        millionths = int(factors.band_millionths[factors.bands.labels.index(str(row["age_band"]))])
        age = (1, "age_factor", f"age {row['age_band']}", millionths / MILLIONTHS, "factor", "", "")
        first = (*age, f"rating/age_curves, {factors.curve.curve_id}", "")
    else:
        of_tier = int(factors.tiers.millionths[TIERS.index(tier)]) / MILLIONTHS
        first = (1, "tier_factor", f"tier {tier}", of_tier, "factor", "", "", "rating/family_tiers", "")
    second = (1, "area_factor", area, area_factor, "factor", "", "", found.source if found else "blank", "")
    ratio = filing.model.value("tobacco_ratio", plan) if is_loaded else CONTEXT.create_decimal(1)
    source = "plans, tobacco_ratio" if is_loaded else "rate without a tobacco load"
    third = (1, "tobacco_factor", MARKET, float(ratio or 1), "factor", "", "", source, "")
    return [first, second, third]
