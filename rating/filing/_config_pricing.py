"""Pricing values of a filing's plans, from a claim list and a table of designs that the document names."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._money import money_series, portion, read_money
from rating.filing._config import FilingConfig
from rating.filing._config_studies import Reader
from rating.filing._findings import FilingFindings
from rating.filing._numbers import exact
from rating.filing._pricing_values import PricingValues, pricing_values

if TYPE_CHECKING:
    import polars as pl

    from rating import Adjudication
    from rating.filing._filing import Filing

__all__ = ["Pricing", "priced"]

_COLUMNS = ("av_pricing", "induced_demand")
_PRODUCT = "adj_av_cost_sharing"
_MONTHS = "proj_member_months_plan"
_MICRO = 1_000_000


@dataclass(frozen=True)
class Pricing:
    """Plans with their pricing values, and where these come from.

    Attributes
    ----------
    plans : DataFrame
        As handed in, with ``av_pricing`` and ``induced_demand`` where they were blank or no column.
    values : PricingValues or None
        None where the document has no table [pricing].
    findings : FilingFindings
        What was noticed when the claims were adjudicated.
    """

    plans: pl.DataFrame
    values: PricingValues | None = None
    findings: FilingFindings = field(default_factory=FilingFindings)

    def assumptions(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return assumptions with those that follow from the designs, where none are given."""
        return given if self.values is None else self.values.assumptions() | given

    def explained(self, filing: Filing) -> Filing:
        """Return the filing with a ledger that goes on to the claims."""
        return filing if self.values is None else self.values.explained(filing)


def priced(config: FilingConfig, reader: Reader, plans: pl.DataFrame) -> Pricing:
    """Return plans with what their designs pay of the claims of the single risk pool.

    Raises
    ------
    InputRefused
        No plan has projected member months, a design of a plan is not in the table, or claims cannot be adjudicated.
    """
    given = config.section("pricing")
    if not given:
        return Pricing(plans)
    from rating import adjudicate

    where = f"{config.path}, [pricing]"
    if _MONTHS not in plans.columns:
        raise InputRefused(
            f"plans have no {_MONTHS}",
            where=where,
            rule="induced demand is brought to a mean of 1 over projected member months",
            remedy=f"add the column {_MONTHS} to the plans",
        )
    words = {"coinsurance_is": given["coinsurance_is"]} if "coinsurance_is" in given else None
    found = adjudicate(
        _at_the_cost_of_the_plan_year(reader.read(given["claims"]), exact(given.get("factor", 1), "factor"), where),
        reader.read(given["designs"]),
        plan_year=given["claims_year"],
        settings=words,
    )
    values = pricing_values(
        found,
        _offered(plans),
        plan_year=config.section("filing")["plan_year"],
        induced_demand=given.get("induced_demand", "metal"),
    )
    findings = FilingFindings()
    findings.extend(_as_findings(found))
    return Pricing(_filled(plans, values.plan_inputs()), values, findings)


def _at_the_cost_of_the_plan_year(claims: pl.DataFrame, factor: Any, where: str) -> pl.DataFrame:
    """Return claims with allowed amounts times a factor, half up to the cent; what is no amount stays for the count."""
    import polars as pl

    times = Fraction(factor)
    if not 0 < times < _MICRO:
        raise InputRefused("the factor is not above zero", where=where, remedy="write 1.07 for 7 percent more")
    if times == 1:
        return claims
    _frames.need_columns(claims, "claims", ("allowed",))
    money = read_money(claims, "claims", "allowed")
    cents = portion(money.cents, np.full(claims.height, round(times * _MICRO), np.int64), _MICRO)
    amounts = money_series("allowed", cents, money.is_given & ~money.is_unreadable).cast(pl.String)
    return claims.with_columns(amounts.zip_with(amounts.is_not_null(), claims["allowed"].cast(pl.String)))


def _offered(plans: pl.DataFrame) -> pl.DataFrame:
    """Return the plans that are sold: one that ends needs no design."""
    import polars as pl

    if "plan_category" not in plans.columns:
        return plans
    return plans.filter(pl.col("plan_category").str.to_lowercase().ne_missing("terminated"))


def _filled(plans: pl.DataFrame, inputs: pl.DataFrame) -> pl.DataFrame:
    """Return plans with the values where the file leaves them open: what is given wins."""
    import polars as pl

    texts = inputs.with_columns(pl.col(_COLUMNS).cast(pl.String)).rename({name: f"_{name}" for name in _COLUMNS})
    joined = plans.join(texts, on="plan_id", how="left", validate="1:1", maintain_order="left")
    if _PRODUCT in plans.columns:  # their product is said: with the two of them it would be said twice
        is_open = pl.col(_PRODUCT).is_null()
        joined = joined.with_columns(pl.when(is_open).then(f"_{name}").alias(f"_{name}") for name in _COLUMNS)
    own = [
        pl.coalesce(*([pl.col(name).cast(pl.String)] if name in plans.columns else []), f"_{name}").alias(name)
        for name in _COLUMNS
    ]
    return joined.with_columns(own).drop(f"_{name}" for name in _COLUMNS)


def _as_findings(found: Adjudication) -> pl.DataFrame:
    """Return what was noticed of claims and designs in the columns of a filing's findings."""
    import polars as pl

    text = pl.format("{} rows: {}", "rows", "condition")
    return found.findings.select(
        "rule_id", "severity", pl.format("[pricing], {}", "table").alias("where"), text.alias("message")
    )
