"""What the demo leaves to be filed: the largest issuer's claims, enrollees and plans, and the document of it all."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FOLDER", "PLAN_YEAR", "filing_inputs", "write_filing"]

FOLDER = "filing"
PLAN_YEAR = 2027  # two years after the benefit year of the demo
_IDF = "transfers/metal_av_idf"
# Made up, like all of this market: what a broader network costs, in the order of an issuer's plans of one level.
_NETWORKS = (("N1", "0.9700"), ("N2", "1.0050"), ("N3", "1.0450"))
_RETENTION = {"pct_admin": "0.115", "pct_taxes_fees": "0.032", "pct_profit_risk": "0.020"}
_CATASTROPHIC = "0.6900"
_TOBACCO_RATIO = "1.2"
_ONE = Decimal(1)
_DOCUMENT = """\
# A rate filing of an issuer that does not exist: claims, enrollees, plans and assumptions are made up.
# poolwise filing filing.toml --out filed
# Paths are relative to this file. Numbers of [assumptions] are lines of worksheet 1 of the rate review template.

[filing]
issuer_id = "{issuer_id}"
state = "{state}"
market = "individual"
plan_year = {plan_year}
company_legal_name = "Made-up Health Plan of Nowhere"
effective_date = {plan_year}-01-01
exp_period_start = {year}-01-01
exp_period_end = {year}-12-31
claims_paid_through = {paid_through}

[inputs]
experience = "experience.csv"
triangle = "claim_triangle.csv"
plans = "plans.csv"
areas = "areas.csv"
mix = "mix.csv"
variants = "variants.csv"
current = "current.csv"

{large_claims}[trend.study]
series = "claim_history.csv"
estimator = "ols"

# Hospital stays are too few for a regression: judgment takes its place.
[trend.inpatient_hospital]
cost = 0.050
utilization = 0.007
source = "contracts in force, and the market study"

[credibility]
full_standard = 120_000
source = "member months; the issuer's own standard"

[manual]
source_pmpm = "market_claims.csv"
source = "all issuers of the made-up market, {year}"
annual_trend = 0.072
trend_months = 24
area = 1
age = 1
benefit = 1
morbidity = 1

[risk_adjustment]
transfers = "issuer_transfers.csv"
benefit_year = {year}
factor = 1.09 # premiums of the market, {year} to {plan_year}

[assumptions]
adj_morbidity = {{ value = 1.012, source = "judgment", note = "healthy enrollees leave as credits shrink" }}
adj_demographic = {{ value = 0.998, source = "age mix of current enrollees" }}
adj_plan_design = {{ value = 0.995, source = "higher deductibles lower use" }}
{other}proj_reinsurance = {{ value = 0, source = "the state has no program" }}
paid_to_allowed_ratio = {{ value = {paid_to_allowed}, source = "incurred over allowed claims of the experience" }}
exchange_type = "FFE" # its published fee
on_exchange_premium_share = {{ value = {on_exchange}, source = "premium of current enrollees" }}

[settings]
csr_load = "on_exchange_silver"
rate_change_definition = "calibrated_rate"
"""
_LARGE_CLAIMS = """\
[large_claims]
claims = "large_claims.csv"
threshold = 250_000
pooling_charge_pmpm = 25.00 # three years' average

"""


def filing_inputs(
    market: Mapping[str, pl.DataFrame], transfers: pl.DataFrame, *, seed: int
) -> tuple[dict[str, pl.DataFrame], str]:
    """Return the tables of a made-up filing by the names of their files, and its document.

    Parameters
    ----------
    market : dict of DataFrame
        The made-up market.
    transfers : DataFrame
        Plans of all issuers with their transfers: issuer_id, plan_id, transfer.
    seed : int
        Of the spread of claims over months.
    """
    import polars as pl

    from data_specs._synthetic_enrolled import Enrolled, synthetic_projection
    from data_specs._synthetic_experience import synthetic_experience

    issuer = Enrolled.of(market)
    own = transfers.filter(pl.col("issuer_id") == issuer.issuer_id)
    claims = synthetic_experience(market, seed=seed, transfers=own.select("plan_id", "transfer"))
    people = synthetic_projection(market, seed=seed)
    settled = own.group_by("issuer_id", "state", "risk_pool").agg(pl.col("transfer").sum()).sort("risk_pool")
    tables = {**claims, **people, "issuer_transfers": settled, "plans": _plans(issuer, claims, people)}
    tables["variants"] = tables["variants"].filter(pl.col("member_months").sum().over("plan_id") > 0)
    last = max(claims["claim_triangle"]["paid_month"].to_list())
    words = {
        "issuer_id": issuer.issuer_id,
        "state": issuer.state,
        "plan_year": issuer.benefit_year + 2,
        "year": issuer.benefit_year,
        "paid_through": last.replace(day=monthrange(last.year, last.month)[1]),
        "paid_to_allowed": _four(int(issuer.plan_paid.sum()), int(issuer.allowed.sum())),
        "on_exchange": _on_exchange(people),
        "large_claims": _LARGE_CLAIMS if claims["large_claims"].height else "",
        "other": "" if claims["large_claims"].height else "adj_other = 1\n",
    }
    return tables, _DOCUMENT.format(**words)


def _four(part: int | Decimal, whole: int | Decimal) -> Decimal:
    """Return a ratio to four decimals."""
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _on_exchange(people: Mapping[str, pl.DataFrame]) -> Decimal:
    """Return the share of premium that is sold through the exchange: variant 00 is off it."""
    import polars as pl

    priced = people["variants"].join(people["current"], on="plan_id")
    priced = priced.with_columns(
        premium=pl.col("member_months").cast(pl.Decimal(38, 2)) * pl.col("current_premium_pmpm")
    )
    sold = priced.filter(pl.col("csr_variant") != "00")
    return _four(Decimal(sold["premium"].sum()), Decimal(priced["premium"].sum()) or _ONE)


def _plans(issuer: Any, claims: Mapping[str, pl.DataFrame], people: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the issuer's plans with what their rates follow from."""
    import polars as pl

    from data_specs import table

    idf = dict(table(_IDF, year=issuer.benefit_year).select("metal_level", "induced_demand_factor").rows())
    variants = people["variants"]
    standard = dict(variants.filter(pl.col("csr_variant") == "01").select("plan_id", "paid_to_allowed").rows())
    enrolled = dict(people["current"].select("plan_id", "current_enrollment").rows())
    demand = [Decimal(str(idf[metal.removeprefix("expanded_")])) for metal in issuer.metal_levels]
    people_of = [Decimal(enrolled[plan]) for plan in issuer.plan_ids]
    weighted = sum((d * n for d, n in zip(demand, people_of, strict=True)), Decimal(0))
    rows = claims["experience"]
    not_essential = Decimal(rows.filter(~pl.col("is_ehb"))["allowed_paid_to_date"].sum())
    non_ehb = _ONE + _four(not_essential, Decimal(rows["allowed_paid_to_date"].sum()))
    lines = []
    seen: dict[str, int] = {}
    for plan, metal, factor in zip(issuer.plan_ids, issuer.metal_levels, demand, strict=True):
        network, cost = _NETWORKS[seen.get(metal, 0)]
        seen[metal] = seen.get(metal, 0) + 1
        lines.append(
            {
                "plan_id": plan,
                "plan_name": f"{metal.replace('_', ' ').title()} {network}",
                "metal_level": metal,
                "plan_category": "renewing",
                "on_exchange": "yes",
                "network_id": network,
                "av_metal": _metal_av(metal),
                "av_pricing": str(standard[plan]),
                "induced_demand": str(_four(factor * sum(people_of), weighted)),
                "adj_network": cost,
                "adj_non_ehb": str(non_ehb),
                "adj_catastrophic": _CATASTROPHIC if metal == "catastrophic" else "1",
                **_RETENTION,
                "enrollment_change": "1",
                "tobacco_ratio": _TOBACCO_RATIO,
            }
        )
    return pl.DataFrame(lines)


def _metal_av(metal: str) -> str | None:
    """Return the actuarial value that a level aims at; catastrophic plans have none."""
    aims = {"platinum": "0.9", "gold": "0.8", "silver": "0.7", "bronze": "0.6", "expanded_bronze": "0.63"}
    return aims.get(metal)


def write_filing(folder: Path, tables: Mapping[str, pl.DataFrame], document: str) -> Path:
    """Write the tables and the document into a folder; return the document's path."""
    from rating.filing._config import CONFIG_NAME

    folder.mkdir()
    for name, frame in tables.items():
        frame.write_csv(folder / f"{name}.csv", line_terminator="\n")
    path = folder / CONFIG_NAME
    path.write_text(document, encoding="utf-8", newline="\n")
    return path
