"""Quotes: what each household pays for each plan of its area, with the credit that lowers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from data_specs._policy import RatingRules, rating_rules
from rating._figures import Figures, whole_year
from rating._frame_rows import collected
from rating._households import read_households
from rating._outcome import Outcome, outcome_of
from rating._quote_frames import household_frame, member_frame
from rating._quote_rates import OnSale, on_sale
from rating._quote_settings import QuoteSettings
from rating._quote_work import Work
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Prepared", "Quotes", "quote"]


@dataclass(frozen=True)
class Quotes(Outcome):
    """Households by plan, priced.

    Attributes
    ----------
    households : DataFrame
        See :func:`quote`.
    members : DataFrame or None
        household_id, member_id, plan_id (sorted by these), age (completed years on the effective date), is_charged,
        is_tobacco_rated, rate_monthly (Decimal(18, 2); 0 for a child who is not charged; blank where family tiers
        price the policy). None where they were not asked for.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`; in `refused`, ``possible_areas`` lists the areas of an ambiguous address.
    plan_year : int
        The plan year.
    """

    households: pl.DataFrame
    members: pl.DataFrame | None
    plan_year: int


def quote(
    households: pl.DataFrame | pl.LazyFrame,
    *,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    base_rates: pl.DataFrame | pl.LazyFrame | None = None,
    plan_year: int,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    with_members: bool = True,
    settings: Mapping[str, Any] | QuoteSettings | None = None,
) -> Quotes:
    """Return the monthly premium, tax credit and net premium of each household for each plan on sale where it lives.

    ``gross = sum of the rates of charged members`` (everyone of 21 and more, and the oldest three of the children below
    it, or fewer where the issuer says so), or in New York and Vermont the rate of the family tier. ``credit =
    min(E, max(0, B - M))`` with B the second-lowest-cost silver premium of the eligible members, M the monthly
    contribution and E the eligible members' premium for essential health benefits; ``net = gross - credit``.

    Parameters
    ----------
    households : DataFrame
        A row per member: ``household_id``, ``member_id`` (text), ``birth_date``. The cells of a household (``state``,
        ``county_fips``, ``zip_code`` or ``rating_area_id``; ``annual_income`` in dollars; ``tax_household_size``) stand
        in one of its rows or in all. Optional: ``relationship`` (self, spouse, child, other; blank: judged by age),
        ``tobacco_use`` (false), ``seeks_coverage``, ``credit_eligible`` (true), ``effective_date`` (1 January; a member
        added later has a date of his own), ``plan_id`` (only this plan is quoted), ``is_tribal``,
        ``has_status_exception``, ``catastrophic_exempt`` (false), ``proxy_benchmark_monthly`` (dollars: what the
        exchange determined where no silver plan is offered), ``in_cessation_program`` (false; small group: a tobacco
        user who joins one is charged without the load).
    rates : DataFrame
        Filed, rounded rates: ``plan_id``, ``rating_area_id``, ``age_band``, ``individual_rate``; optional
        ``individual_tobacco_rate``, the tier columns of ``age_band`` family, ``effective_date``, ``expiration_date``,
        ``plan_year``, ``market``.
    base_rates : DataFrame
        Instead: a row per plan and area with the unrounded ``base_rate`` and optional ``area_factor``,
        ``tobacco_ratio``; small group: ``trend_q1`` to ``trend_q4``. Age curve and tiers are the published ones.
    plan_year : int
        The year in which policies take effect.
    plans : DataFrame, optional
        ``plan_id``, ``metal_level``; optional ``ehb_pct_premium`` (ratio, 1), ``on_exchange`` (true),
        ``children_charged_max``. Without it these columns stand in the frame of rates; without a metal level there
        is no benchmark.
    areas : DataFrame, optional
        Map of rating areas by county_fips, zip_code or both, instead of the published one.
    service_areas : DataFrame, optional
        Where plans are sold: ``plan_id``, ``county_fips``, optionally ``zip_code``.
    with_members : bool
        Whether ``members`` is made (a row per member and plan).
    settings : mapping, optional
        See :class:`QuoteSettings`.

    Returns
    -------
    Quotes
        ``households``, sorted by household_id and plan_id: metal_level, rating_area_id, premium_monthly,
        benchmark_monthly, benchmark_plan_id, income_pct_of_poverty, applicable_pct, monthly_contribution,
        monthly_credit, net_premium_monthly (dollars, Decimal(18, 2)), csr_variant, notes (of
        ``rating._quote_credit.NOTES``). Blank: not known (no income given, no benchmark); 0: none is due.

    Raises
    ------
    InputRefused
        Not exactly one of `rates` and `base_rates`; a column is missing or of another type; rates that cannot be used.
        Bad households are refused one by one and counted.
    TableMissing
        No map of rating areas, curve or ceiling is held for the year.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Source: 45 CFR 147.102, 155.305, 155.340, 156.80; 26 U.S.C. 36B. A policy that covers members with and without the
    credit has the variant of those without (01; 45 CFR 155.305(g)(3), general knowledge), and the eligible members'
    part of its premium goes by the benchmarks of both groups (26 CFR 1.36B-3(h)).

    Examples
    --------
    Texas 2026, one adult of 40: 312.47 x 1.278 = 399.34.

    >>> import polars as pl
    >>> home = pl.DataFrame({"household_id": ["h"], "member_id": ["1"], "birth_date": ["1985-06-30"],
    ...     "rating_area_id": ["R-TX001"], "annual_income": [31300], "tax_household_size": [1]})
    >>> base = pl.DataFrame({"plan_id": ["a", "b"], "rating_area_id": ["R-TX001"] * 2, "base_rate": ["312.47", "330"],
    ...     "area_factor": [1, 1], "metal_level": ["silver", "silver"]})
    >>> row = quote(home, base_rates=base, plan_year=2026).households.row(0, named=True)
    >>> str(row["premium_monthly"]), str(row["benchmark_monthly"]), row["income_pct_of_poverty"], row["csr_variant"]
    ('399.34', '421.74', 200, '05')
    >>> str(row["monthly_contribution"]), str(row["monthly_credit"]), str(row["net_premium_monthly"])
    ('172.00', '249.74', '149.60')
    """
    prepared = Prepared.of(
        rates, base_rates, plans, plan_year=plan_year, areas=areas, service_areas=service_areas, settings=settings
    )
    return prepared.quoted(households, with_members=with_members)


@dataclass(frozen=True)
class Prepared:
    """What is on sale, ready to quote any number of batches of households."""

    sale: OnSale
    plan_year: int
    rules: RatingRules
    settings: QuoteSettings
    areas: pl.DataFrame | None
    served: pl.DataFrame | None
    noticed: Findings

    @classmethod
    def of(
        cls,
        rates: Any | None,
        base_rates: Any | None,
        plans: Any | None,
        *,
        plan_year: int,
        areas: Any | None,
        service_areas: Any | None,
        settings: Mapping[str, Any] | QuoteSettings | None,
    ) -> Prepared:
        """Return the offers, checked."""
        year, chosen, rules = whole_year(plan_year, "plan_year"), QuoteSettings.of(settings), rating_rules()
        noticed = Findings()
        sale = on_sale(
            rates,
            base_rates,
            plans,
            plan_year=year,
            most_children=rules.most_children,
            settings=chosen,
            findings=noticed,
        )
        served = service_areas
        if served is not None:
            served = collected(served, "service_areas", ("plan_id", "county_fips"))
        return cls(sale, year, rules, chosen, areas, served, noticed)

    def worked(self, households: Any) -> tuple[Work, Findings]:
        """Return the priced households, and what was noticed on them."""
        findings = Findings()
        figures = Figures()
        homes = read_households(households, self.areas, self.plan_year, self.settings, findings, figures)
        work = Work(self.sale, homes, self.plan_year, self.rules, self.settings, figures)
        work.run(self.served)
        work.note(findings)
        return work, findings

    def quoted(self, households: Any, *, with_members: bool, with_rates: bool = True) -> Quotes:
        """Return the quotes of some households; `with_rates` adds what was noticed on the rates."""
        work, findings = self.worked(households)
        return self.as_quotes(work, findings, with_members=with_members, with_rates=with_rates)

    def as_quotes(self, work: Work, findings: Findings, *, with_members: bool, with_rates: bool = True) -> Quotes:
        """Return priced households as frames."""
        import polars as pl

        frame = household_frame(work)
        members = member_frame(work) if with_members else None
        outcome = outcome_of(findings, work.figures, self.settings.frame())
        noticed = [outcome.findings, self.noticed.frame()] if with_rates else [outcome.findings]
        tables = sorted({*outcome.tables, *self._tables_of_rates()})
        outcome = replace(outcome, findings=pl.concat(noticed), tables=tables)
        return Quotes(frame, members, self.plan_year, **outcome.parts())

    def _tables_of_rates(self) -> list[str]:
        """Return the tables that rates and the choice of charged members rest on."""
        used = ["rating/rating_rules", "rating/tobacco_limits", "rating/state_market_rules"]
        if self.sale.bases is not None:
            used += ["rating/age_curve_assignment", "rating/age_curves"]
        if any(factors.tiers is not None for factors in self.sale.factors.values()):
            used.append("rating/family_tiers")
        return used
