"""Plan averages: liability risk score, rating factor, metal figures, area factor, months and premium of each plan."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs._policy import MILLIONTHS
from riskadjust._findings import Findings
from riskadjust._geographic import geographic_cost_factors, given_factors
from riskadjust._member_lines import member_lines
from riskadjust._member_scores import ADJUSTED_DIGITS

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

__all__ = ["PlanRisk", "PlanRiskWarning", "plan_averages", "plan_risk", "plan_risk_report"]

_KEY = ("state", "market", "risk_pool", "issuer_id", "plan_id", "rating_area_id")
_THIRTY = 30
_CENTS = 100


class PlanRiskWarning(UserWarning):
    """Rows took no part in the plan averages."""


@dataclass(frozen=True)
class PlanRisk:
    """Plan averages of one benefit year, and all that was noticed on the way.

    Attributes
    ----------
    plan_rows : DataFrame
        See :func:`plan_risk`.
    findings : DataFrame
        rule_id, table, severity, action, rows, condition, basis: one row per rule that fired.
    rejected : dict of DataFrame
        The rows of each input table that took no part, with their rule_id.
    counts : DataFrame
        table, input, accepted, rejected (rows); accepted + rejected = input.
    areas : DataFrame
        The geographic cost factor of every pool and rating area with its parts.
    lines : DataFrame
        What was added up: every enrollee's time in every plan and area.
    uncertain : DataFrame
        table, what, lines: figures marked uncertain that took part, and in how many lines.
    settings : dict
        Every declared setting with the value used.
    benefit_year : int
        The year whose figures were used.
    tables : list of str
        The tables of published figures that were used.
    """

    plan_rows: pl.DataFrame
    findings: pl.DataFrame
    rejected: dict[str, pl.DataFrame]
    counts: pl.DataFrame
    areas: pl.DataFrame
    lines: pl.DataFrame
    uncertain: pl.DataFrame
    settings: dict[str, Any]
    benefit_year: int
    tables: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"PlanRisk(benefit_year={self.benefit_year}, plan_rows={self.plan_rows.height}, "
            f"lines={self.lines.height}, findings={self.findings.height}, uncertain={self.uncertain.height})"
        )


def plan_risk(
    scores: Any,
    enrollees: Any,
    spans: Any,
    plans: Any,
    *,
    benefit_year: int,
    settings: Mapping[str, Any] | None = None,
    gcf: Any = None,
) -> pl.DataFrame:
    """Return what the transfer formula needs of every plan: its averages by rating area.

    With m member months, s the adjusted score, w the age factor (or share of the family tier) of an enrollee::

        b    = sum of m over billable enrollees                 billable_member_months
        PLRS = sum of m s over ALL enrollees / b                plrs
        ARF  = sum of m w over billable enrollees / b           arf
        PREM = sum of m x monthly premium                       premium, dollars
        AV, IDF by metal level; GCF by pool and rating area     av, idf, gcf

    Billable is everyone of 21 or more and the three oldest covered children below 21 of a policy; children beyond the
    third add risk but no months. In family-tier states (New York, Vermont) one child of a policy is billable, and the
    billable members share the policy's tier multiplier. Ages are those of the first covered day in the policy.

    Parameters
    ----------
    scores : Scores or DataFrame
        From :func:`riskadjust.score` of the same benefit year: enrollee_id, plan_id, csr_variant, metal_level,
        risk_score, csr_factor, csr_adjusted_score.
    enrollees : DataFrame
        enrollee_id, birth_date, sex.
    spans : DataFrame
        enrollee_id, plan_id (14 characters; 16 and 17 are split), csr_variant, metal_level, span_start, span_end
        (inclusive), rating_area_id (at least on the subscriber's row), premium_monthly (dollars, of the policy, on its
        subscriber's row) or member_premium (of each member). policy_id (of one family, not of an employer) or
        subscriber_id say who belongs together; without them each enrollee is a policy. Optional: relationship (self,
        spouse, child, other; decides family tiers), is_subscriber, market, issuer_id, effective_date (when the cover of
        the row was last priced, where plan years do not follow the calendar).
    plans : DataFrame
        plan_id, issuer_id, state, market (individual, small_group), metal_level.
    benefit_year : int
        The year whose published figures are used.
    settings : mapping, optional
        Declared settings by name, see :class:`riskadjust.PlanRiskSettings`.
    gcf : DataFrame, optional
        state, risk_pool, rating_area_id, gcf: factors to be used as they stand. Areas left out are computed.

    Returns
    -------
    DataFrame
        Sorted by state, risk_pool (individual, catastrophic, small_group, merged), issuer_id, plan_id, rating_area_id:
        state, market, risk_pool, issuer_id, plan_id, rating_area_id (R-XX999), metal_level, billable_member_months,
        total_member_months, premium (dollars, not rounded), plrs, arf, av, idf, gcf. plrs and arf are null in a row
        without billable months. Sums are exact integers, divided once: any order of rows gives the same bytes.

    Raises
    ------
    InputRefused
        A frame lacks a column or has a wrong type; an enrollee or score occurs twice; no span can be used; an area has
        no silver premium and no given factor.
    TableMissing
        The year's figures are not held.
    SettingRefused
        Unknown setting or value.

    Warns
    -----
    PlanRiskWarning
        Rows were set aside; :func:`plan_risk_report` returns them with their rules.

    Notes
    -----
    Sources: 45 CFR 153.320, 147.102; HHS notice of benefit and payment parameters for 2014 (78 FR 15409), section on
    the payment transfer formula.

    Examples
    --------
    A parent of 40 (age factor 1.278) and a child of 10 (0.765) share a silver policy of 600.00 a month in Texas for 90
    days, which are three months each: b = 6, PLRS = (0.9 + 0.3) / 2, ARF = (1.278 + 0.765) / 2.

    >>> import datetime, polars as pl, riskadjust
    >>> day = datetime.date
    >>> pair = {"enrollee_id": ["A", "B"], "plan_id": ["12345TX0010001"] * 2, "csr_variant": ["01"] * 2,
    ...     "metal_level": ["silver"] * 2}
    >>> scores = pl.DataFrame({**pair, "risk_score": [0.9, 0.3], "csr_factor": [1.0, 1.0],
    ...     "csr_adjusted_score": [0.9, 0.3]})
    >>> enrollees = pl.DataFrame({"enrollee_id": ["A", "B"], "birth_date": [day(1984, 5, 1), day(2014, 5, 1)],
    ...     "sex": ["F", "M"]})
    >>> spans = pl.DataFrame({**pair, "policy_id": ["P", "P"], "relationship": ["self", "child"],
    ...     "span_start": [day(2025, 1, 1)] * 2, "span_end": [day(2025, 3, 31)] * 2,
    ...     "rating_area_id": ["4", None], "premium_monthly": [600.0, None]})
    >>> plans = pl.DataFrame({"plan_id": ["12345TX0010001"], "issuer_id": ["12345"], "state": ["TX"],
    ...     "market": ["individual"], "metal_level": ["silver"]})
    >>> row = riskadjust.plan_risk(scores, enrollees, spans, plans, benefit_year=2025).row(0, named=True)
    >>> row["rating_area_id"], row["billable_member_months"], row["premium"], row["plrs"], row["arf"], row["gcf"]
    ('R-TX004', 6.0, 1800.0, 0.6, 1.0215, 1.0)
    """
    report = plan_risk_report(scores, enrollees, spans, plans, benefit_year=benefit_year, settings=settings, gcf=gcf)
    aside = [f"{table} {rows}" for table, rows in report.counts.select("table", "rejected").rows() if rows]
    if aside:
        rules = sorted({rule for frame in report.rejected.values() for rule in frame["rule_id"].to_list()})
        warnings.warn(
            f"plan_risk set rows aside: {', '.join(aside)} ({', '.join(rules)}); see plan_risk_report(...).findings",
            PlanRiskWarning,
            stacklevel=2,
        )
    return report.plan_rows


def plan_risk_report(
    scores: Any,
    enrollees: Any,
    spans: Any,
    plans: Any,
    *,
    benefit_year: int,
    settings: Mapping[str, Any] | None = None,
    gcf: Any = None,
) -> PlanRisk:
    """Return :func:`plan_risk` with its findings, counts, rejected rows, area factors, lines and uncertain figures.

    Parameters, errors and formulas are those of :func:`plan_risk`; nothing is warned about.
    """
    given = given_factors(gcf)
    findings = Findings()
    members = member_lines(
        scores, enrollees, spans, plans, benefit_year=benefit_year, settings=settings, findings=findings
    )
    rows = plan_averages(members.lines, members.plans)
    areas = geographic_cost_factors(rows, given, members.settings.gcf_decimals)
    on = ["state", "risk_pool", "rating_area_id"]
    rows = rows.join(areas.select(*on, "gcf"), on=on, how="left", maintain_order="left", validate="m:1")
    return PlanRisk(
        plan_rows=rows,
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        areas=areas,
        lines=members.lines,
        uncertain=members.uncertain,
        settings=members.settings.as_dict(),
        benefit_year=members.benefit_year,
        tables=members.tables,
    )


def plan_averages(lines: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """Return :func:`plan_risk` without gcf, from lines.

    Parameters
    ----------
    lines : DataFrame
        See ``member_lines``; those of one plan and rating area stand together.
    plans : DataFrame
        plan_id, metal_level, av, idf.
    """
    import polars as pl

    begins = _first_rows(lines)
    keys = lines[begins].select(_KEY)
    months = lines["month_thirtieths"].to_numpy()
    billable_months = np.where(lines["billable"].to_numpy(), months, 0)
    total = _exact_sums(months, begins)
    billable = _exact_sums(billable_months, begins)
    risk = _exact_sums(months * lines["adjusted_score_ten_millionths"].to_numpy(), begins)
    premium = _exact_sums(months * lines["premium_cents"].to_numpy(), begins)
    factor, factor_unit = _rating_sums(lines, billable_months, begins)
    score_unit = 10**ADJUSTED_DIGITS
    # Whole numbers of any size: Python divides them with one correct rounding.
    columns = {
        "billable_member_months": [b / _THIRTY for b in billable],
        "total_member_months": [t / _THIRTY for t in total],
        "premium": [p / (_THIRTY * _CENTS) for p in premium],
        "plrs": [r / (score_unit * b) if b else None for r, b in zip(risk, billable, strict=True)],
        "arf": [f / (factor_unit * b) if b else None for f, b in zip(factor, billable, strict=True)],
    }
    figures = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))
    rows = pl.concat([keys, figures], how="horizontal").join(
        plans.select("plan_id", "metal_level", "av", "idf"),
        on="plan_id",
        how="left",
        maintain_order="left",
        validate="m:1",
    )
    return rows.select(*_KEY, "metal_level", *columns, "av", "idf")


def _first_rows(lines: pl.DataFrame) -> Integers:
    """Return where the lines of each plan and rating area begin."""
    import polars as pl

    changed = lines.select(
        (
            (pl.col("plan_id") != pl.col("plan_id").shift())
            | (pl.col("rating_area_id") != pl.col("rating_area_id").shift())
        )
        .fill_null(True)
        .alias("changed")
    )
    return np.flatnonzero(changed["changed"].to_numpy())


def _exact_sums(values: Integers, begins: Integers) -> list[int]:
    """Return the sums of segments as Python integers: two halves of 32 bits cannot overflow."""
    if len(begins) == 0:
        return []
    high = np.add.reduceat(values >> 32, begins)
    low = np.add.reduceat(values & 0xFFFFFFFF, begins)
    return [(h << 32) + rest for h, rest in zip(high.tolist(), low.tolist(), strict=True)]


def _rating_sums(lines: pl.DataFrame, billable_months: Integers, begins: Integers) -> tuple[list[int], int]:
    """Return sums of months x rating factor as integers, and the unit that they are multiples of 1 over."""
    sharers = lines["rating_factor_shared_by"].to_numpy()
    products = billable_months * lines["rating_factor_millionths"].to_numpy()
    numbers = np.flatnonzero(np.bincount(sharers)).tolist() if len(sharers) else []
    common = math.lcm(1, *numbers)
    sums = [0] * len(begins)
    for number in numbers:
        part = _exact_sums(np.where(sharers == number, products, 0), begins)
        sums = [s + p * (common // number) for s, p in zip(sums, part, strict=True)]
    return sums, MILLIONTHS * common
