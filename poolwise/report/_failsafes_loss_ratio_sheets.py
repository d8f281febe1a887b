"""Sheets of medical loss ratios that calculate: the years of each issuer, then ratio, credibility and rebate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolwise.report._failsafes_grid import Cell, Grid
from poolwise.report._sheets import Column

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["loss_ratio_sheets"]

YEARS, ISSUERS = "Loss ratio years", "Loss ratio"
_KEYS = ("state", "market", "issuer_id")
_AMOUNTS = {
    "incurred_claims": "Incurred claims",
    "quality_improvement": "Quality improvement",
    "net_risk_adjustment_received": "Risk adjustment received",
    "reinsurance_received": "Reinsurance received",
    "net_corridor_received": "Corridors received",
    "premium": "Premium",
    "taxes_and_fees": "Taxes and fees",
}
_EXPLAINED = {
    YEARS: "The years that each ratio rests on; numerator and denominator of each.",
    ISSUERS: "MLR = numerator / denominator + credibility, rounded; rebate = (standard - MLR) x base where it is below "
    "the standard and the ratio is credible.",
}


def loss_ratio_sheets(run: Failsafes) -> list[tuple[Grid, str, tuple[str, ...]]]:
    """Return the sheets of medical loss ratios: years, issuers."""
    result = run.medical_loss_ratio
    assert result is not None
    in_premium = dict(zip(result.issuers.select(_KEYS).rows(), result.issuers["transfers_as_premium"], strict=True))
    rows = [row | {"_in_premium": in_premium[tuple(row[k] for k in _KEYS)]} for row in result.years.rows(named=True)]
    years = Grid(YEARS, _year_cells(), rows)
    place: dict[tuple[Any, ...], tuple[int, int]] = {}
    for number, row in enumerate(rows):
        key = tuple(row[k] for k in _KEYS)
        place[key] = (place.get(key, (number, 0))[0], number + 1)
    used = dict(run.settings_of("medical_loss_ratio").select("setting", "value").rows())
    issuers = Grid(ISSUERS, _issuer_cells(years, place, str(used["ratio_decimals"])), result.issuers.rows(named=True))
    return [(years, _EXPLAINED[YEARS], ()), (issuers, _EXPLAINED[ISSUERS], ("rebate",))]


def _keys() -> list[Cell]:
    return [Cell(k, Column("Issuer" if k == "issuer_id" else k.capitalize())) for k in _KEYS]


def _year_cells() -> list[Cell]:
    received = "{net_risk_adjustment_received}"

    def numerator(_: int, row: Any) -> str:
        less = "" if row["_in_premium"] else f"-{received}"
        return f"{{incurred_claims}}+{{quality_improvement}}{less}-{{reinsurance_received}}-{{net_corridor_received}}"

    def denominator(_: int, row: Any) -> str:
        return "{premium}-{taxes_and_fees}" + (f"+{received}" if row["_in_premium"] else "")

    return [
        *_keys(),
        Cell("year", Column("Year", "text"), value=lambda row: str(row["year"])),
        *[Cell(name, Column(heading, "dollars")) for name, heading in _AMOUNTS.items()],
        Cell("life_years", Column("Life-years", "months")),
        Cell("numerator", Column("Numerator", "dollars", "claims + quality - received"), numerator, _numerator),
        Cell("denominator", Column("Denominator", "dollars", "premium - taxes and fees"), denominator, _denominator),
    ]


def _numerator(row: Any) -> Any:
    received = row["reinsurance_received"] + row["net_corridor_received"]
    own = 0 if row["_in_premium"] else row["net_risk_adjustment_received"]
    return row["incurred_claims"] + row["quality_improvement"] - received - own


def _denominator(row: Any) -> Any:
    own = row["net_risk_adjustment_received"] if row["_in_premium"] else 0
    return row["premium"] - row["taxes_and_fees"] + own


def _issuer_cells(years: Grid, place: dict[tuple[Any, ...], tuple[int, int]], decimals: str) -> list[Cell]:
    def summed(name: str) -> Any:
        return lambda _, row: f"SUM({years.run(name, *place[tuple(row[k] for k in _KEYS)])})"

    def addition(_: int, row: Any) -> str | None:
        # Three low years, or no credibility at all: nothing is added, whatever the factors are.
        return "{base_credibility}*{deductible_factor}" if row["credibility_adjustment"] else None

    def rebate(_: int, row: Any) -> str | None:
        if row["credibility"] == "not_credible":
            return None
        return "IF({mlr}<{standard},ROUND(({standard}-{mlr})*{rebate_base},2),0)"

    sum_up = "{preliminary_mlr}+{credibility_adjustment}"
    mlr = f"ROUND({sum_up},{decimals})" if decimals.isdecimal() else sum_up
    return [
        *_keys(),
        Cell("numerator", Column("Numerator", "dollars", "of all years"), summed("numerator")),
        Cell("denominator", Column("Denominator", "dollars", "of all years"), summed("denominator")),
        Cell("preliminary_mlr", Column("Ratio", "mean", "numerator / denominator"), "{numerator}/{denominator}"),
        Cell("life_years", Column("Life-years", "months", "of all years"), summed("life_years")),
        Cell("credibility", Column("Credibility", "text", "", 17), value=lambda r: r["credibility"].replace("_", " ")),
        Cell("base_credibility", Column("Base factor", "mean", "by life-years")),
        Cell("deductible_factor", Column("Deductible factor", "mean", "by average deductible")),
        Cell("credibility_adjustment", Column("Added", "mean", "base x deductible factor"), addition),
        Cell("mlr", Column("MLR", "mean", "rounded"), mlr),
        Cell("standard", Column("Standard", "factor")),
        Cell("rebate_base", Column("Rebate base", "dollars", "premium - taxes and fees of the reporting year")),
        Cell("rebate", Column("Rebate", "dollars", "what the issuer pays"), rebate),
    ]
