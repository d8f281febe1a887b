"""The second-lowest-cost silver premium of coverage families: what the premium tax credit is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import RELATIONSHIPS, TIERS, FamilyTiers, RatingRules, rating_rules
from rating._benchmark_policies import BenchmarkHouseholds, benchmark_households, places_of
from rating._figures import Figures, whole_year
from rating._frame_rows import collected, word_series
from rating._money import money_series
from rating._outcome import Outcome, outcome_of
from rating._places import AMBIGUOUS, PLACED
from rating._policy_premiums import Covered, area_premiums
from rating._second_lowest import NOT_OFFERED, second_lowest
from rating._silver_rates import SilverRates, benchmark_rates, silver_rates, tiers_of
from rating._subsidy_settings import BenchmarkSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BENCHMARK_REASONS", "Benchmarks", "second_lowest_cost_silver"]

Integers = NDArray[np.int64]

BENCHMARK_REASONS = (
    "determined",
    "ambiguous_area",
    "unknown_area",
    "unknown_county",
    "no_silver",
    "single_silver",
    "tier_not_published",
    "areas_numbered_otherwise",
    "no_eligible_member",
    "area_not_held",
)
DETERMINED, AMBIGUOUS_AREA, UNKNOWN_AREA, UNKNOWN_COUNTY, NO_SILVER, SINGLE, NO_TIER, OTHER_NUMBERS = range(8)
NOBODY, NOT_HELD = 8, 9
# States whose areas rating/benchmark_premiums numbers otherwise than the published maps (note of that table).
_OTHER_NUMBERS = ("ID", "ME", "WA")
_RULES = {
    AMBIGUOUS_AREA: "SUB-042",
    UNKNOWN_AREA: "SUB-043",
    UNKNOWN_COUNTY: "SUB-043",
    NO_SILVER: "SUB-044",
    SINGLE: "SUB-045",
    NO_TIER: "SUB-046",
    OTHER_NUMBERS: "SUB-048",
    NOBODY: "SUB-011",
    NOT_HELD: "SUB-049",
}


@dataclass(frozen=True)
class Benchmarks(Outcome):
    """The benchmark premiums of coverage families.

    Attributes
    ----------
    households : DataFrame
        See :func:`second_lowest_cost_silver`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    plan_year : int
        The year of cover.
    """

    households: pl.DataFrame
    plan_year: int


def second_lowest_cost_silver(
    households: pl.DataFrame | pl.LazyFrame,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    plan_year: int,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | BenchmarkSettings | None = None,
) -> Benchmarks:
    """Return the monthly premium of the second-lowest-cost silver plan for each coverage family, to the cent.

    Silver plans of the exchange in the family's rating area (and service area) are priced for the members of the
    coverage family together, without tobacco, as far as the premium is for essential health benefits; the second in
    order of that premium is the benchmark. Where one policy may not cover all, the benchmarks of the policies add up.

    Parameters
    ----------
    households : DataFrame
        A row per member: ``household_id`` (text), ``age`` (completed years on the effective date) or ``birth_date``
        (and ``effective_date``; default 1 January), and the place: ``rating_area_id`` (number with ``state``, or
        R-XX999), or county_fips, zip_code, state to be looked up in `areas`. Optional: ``member_id``,
        ``relationship`` (self, spouse, child, other), ``seeks_coverage`` and ``credit_eligible`` (true; only members
        with both count), ``policy`` (text: members who need a policy of their own), ``proxy_benchmark_monthly``
        (dollars: what the exchange determined where no silver plan is offered). Without ages a household is one row:
        a reference member whom the rates are for.
    rates : DataFrame, optional
        ``plan_id``, ``rating_area_id``, ``individual_rate`` (dollars a month, non-tobacco), ``age_band`` (0-14, 15,
        ... 64+, or 0-20, 21, ... 64, 65 and over; family: one adult, with the columns of family tiers), ``state``
        where the plan id does not hold it.
        Rows in force on 1 January of the plan year. Without `rates` the benchmark comes from
        ``rating/benchmark_premiums`` (2018 to 2026; whole dollars at age 0).
    plans : DataFrame, optional
        ``plan_id``, ``metal_level``, and ``ehb_pct_premium`` (ratio, 1), ``on_exchange`` (true),
        ``children_charged_max`` (of the issuer; three). Without `plans` these stand in `rates`.
    plan_year : int
        The year of cover.
    areas : DataFrame, optional
        The rating areas of places: zip_code, county_fips or both, ``state``, ``rating_area_id``; several rows where a
        place lies in several areas.
    service_areas : DataFrame, optional
        Where plans are sold: ``plan_id``, ``county_fips`` and optionally ``zip_code`` (blank: the whole county).
        Without it a plan serves every place of an area that it has a rate for.
    settings : mapping, optional
        ``tie``, ``single_silver``, ``area_numbers``; see :class:`rating.BenchmarkSettings`.

    Returns
    -------
    Benchmarks
        ``households``, sorted by household_id: rating_area_id (blank where several), possible_areas, members (who
        count), policies, silver_plans (fewest of its policies), lowest_monthly (lowest-cost silver), benchmark_monthly,
        benchmark_plan_id (blank where several policies), tie (the reading used), other_reading_monthly (the amount
        under the other reading), source (rates, rating/benchmark_premiums, proxy), reason (of
        :data:`BENCHMARK_REASONS`; blank amounts unless determined). Amounts Decimal(18, 2).

    Raises
    ------
    InputRefused
        A column is missing or of another type; rates that cannot be used. Bad rows of households are counted.
    NotYetPublished, TableMissing
        No benchmark is held for the year.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Premiums for essential health benefits are rounded to cents before they are compared. Source: 26 U.S.C.
    36B(b)(3)(B); 26 CFR 1.36B-3(f); 45 CFR 155.20.

    Examples
    --------
    >>> import polars as pl
    >>> rates = pl.DataFrame({"plan_id": ["a", "b", "c"], "state": ["TX"] * 3, "rating_area_id": [1] * 3,
    ...     "metal_level": ["silver"] * 3, "individual_rate": ["312.47", "298.10", "298.10"]})
    >>> homes = pl.DataFrame({"household_id": ["h"], "state": ["TX"], "rating_area_id": ["1"]})
    >>> row = second_lowest_cost_silver(homes, rates, plan_year=2026).households.row(0, named=True)
    >>> str(row["benchmark_monthly"]), row["benchmark_plan_id"], row["tie"], str(row["other_reading_monthly"])
    ('298.10', 'c', 'plans', '312.47')
    """
    import polars as pl

    year, chosen, rules = whole_year(plan_year, "plan_year"), BenchmarkSettings.of(settings), rating_rules()
    figures, findings = Figures(), Findings()
    given = benchmark_households(households, areas, year, findings)
    if rates is None:
        states = given.states()
        offered = benchmark_rates(figures, year, states, rules.most_children)
    else:
        offered = silver_rates(
            rates,
            plans,
            plan_year=year,
            most_children=rules.most_children,
            needs_ages=given.has_ages,
            findings=findings,
        )
    served = None if service_areas is None else collected(service_areas, "service_areas", ("plan_id", "county_fips"))
    work = _Work(given, offered, rules, chosen, figures, year)
    work.price(served)
    frame = work.frame()
    for reason, rule_id in _RULES.items():
        findings.note(rule_id, "households", int((frame["reason"] == BENCHMARK_REASONS[reason]).sum()))
    shown = pl.concat([chosen.frame(), _service_line(served is not None)])
    return Benchmarks(
        frame,
        year,
        **outcome_of(findings, figures, shown).parts(),
    )


def _service_line(is_given: bool) -> pl.DataFrame:
    import polars as pl

    value = "by county" if is_given else "every place of a rating area"
    line = ("service_areas", value, "given" if is_given else "default", "26 CFR 1.36B-3(f)(1); 45 CFR 155.1055")
    return pl.DataFrame([line], schema=dict.fromkeys(("setting", "value", "source", "basis"), pl.String), orient="row")


class _Work:
    """The benchmarks of one run, policy by policy."""

    def __init__(
        self,
        given: BenchmarkHouseholds,
        offered: SilverRates,
        rules: RatingRules,
        settings: BenchmarkSettings,
        figures: Figures,
        year: int,
    ) -> None:
        self._given = given
        self._offered = offered
        self._rules = rules
        self._settings = settings
        self._figures = figures
        self._year = year
        number = given.policies.height
        self._reason = np.full(number, NO_SILVER, np.int64)
        self._plans = np.zeros(number, np.int64)
        self._lowest = np.full(number, NOT_OFFERED, np.int64)
        self._chosen = np.full(number, NOT_OFFERED, np.int64)
        self._other = np.full(number, NOT_OFFERED, np.int64)
        self._plan = np.full(number, -1, np.int64)

    def price(self, served: pl.DataFrame | None) -> None:
        """Find the benchmark of every policy, one place at a time."""
        policies, offered = self._given.policies, self._offered
        how = policies["how"].to_numpy()
        homes = policies["_home"].to_numpy()
        self._is_only = np.bincount(homes, minlength=self._given.homes.height)[homes] == 1
        self._reason[how != PLACED] = np.where(how == AMBIGUOUS, AMBIGUOUS_AREA, UNKNOWN_AREA)[how != PLACED]
        area_at = {area: i for i, area in enumerate(offered.area_ids.to_list())}
        for place in places_of(policies, served):
            at = area_at.get(place.area)
            rows = slice(place.first, place.stop)
            if place.is_unknown:
                self._reason[rows] = UNKNOWN_COUNTY
                continue
            if offered.source != "rates" and self._is_numbered_otherwise(place.area):
                self._reason[rows] = OTHER_NUMBERS
                continue
            if at is None:
                if offered.source != "rates":
                    self._reason[rows] = NOT_HELD
                continue
            offers = np.arange(offered.first[at], offered.first[at + 1])
            if place.plan_ids is not None:
                offers = offers[offered.plan_ids[offers].is_in(place.plan_ids.implode()).to_numpy()]
            self._price_place(place.area, offers, rows)

    def _is_numbered_otherwise(self, area: str) -> bool:
        return self._settings.area_numbers == "map" and area[2:4] in _OTHER_NUMBERS

    def _price_place(self, area: str, offers: Integers, rows: slice) -> None:
        covered: Covered = self._given.covered.part(rows.start, rows.stop)
        tiers = tiers_of(area[2:4], self._year)
        optional = 0
        if len(offers) == 0:
            return
        for first, premiums, has_tier, uses_option in area_premiums(
            self._offered, offers, covered, rows.stop - rows.start, self._rules, tiers
        ):
            part = slice(rows.start + first, rows.start + first + len(premiums))
            self._choose(part, premiums, offers)
            self._reason[part][~has_tier] = NO_TIER
            optional += int(uses_option.sum())
        if tiers is not None and not self._offered.by_member:
            self._put_down_tiers(area[2:4], covered, tiers, optional)

    def _put_down_tiers(self, state: str, covered: Covered, tiers: FamilyTiers, optional: int) -> None:
        """Put down the uncertain figures of family tiers that took part in a place."""
        rules, moved = self._rules, "benchmark_monthly"
        used = {"option_child_below_age": optional, "adult_subscriber_age": 0}
        if rules.adult_subscriber_age is not None and not tiers.millionths[TIERS.index("child_only")]:
            young = (covered.ages >= rules.adult_subscriber_age) & (covered.ages < rules.child_below_age)
            used["adult_subscriber_age"] = int((young & (covered.relationship == RELATIONSHIPS.index("self"))).sum())
        for name in sorted(rules.uncertain & used.keys()):
            self._figures.put_down("rating/rating_rules", name, moved, used[name])
        for name in tiers.uncertain:
            self._figures.put_down("rating/family_tiers", f"{state}, individual, {name}", moved, optional)

    def _choose(self, part: slice, premiums: Integers, offers: Integers) -> None:
        """Choose the benchmark of some policies among the premiums of their plans."""
        found = second_lowest(premiums)
        readings = {
            "plans": (found.by_plans, found.by_plans_plan),
            "premiums": (found.by_premiums, found.by_premiums_plan),
        }
        if self._offered.source != "rates":
            # The table holds the second-lowest premium itself, not the plans around it.
            readings = dict.fromkeys(readings, (found.lowest, found.lowest_plan))
        amounts = {}
        for reading, (cents, plan) in readings.items():
            is_single = (cents >= NOT_OFFERED) & (found.lowest < NOT_OFFERED)
            if self._settings.single_silver == "benchmark":
                cents, plan = np.where(is_single, found.lowest, cents), np.where(is_single, found.lowest_plan, plan)
            amounts[reading] = (cents, plan)
            if reading == self._settings.tie:
                undetermined = SINGLE if self._settings.single_silver == "undetermined" else DETERMINED
                self._reason[part] = np.where(
                    found.lowest >= NOT_OFFERED, NO_SILVER, np.where(is_single, undetermined, DETERMINED)
                )
        other = "premiums" if self._settings.tie == "plans" else "plans"
        self._chosen[part], plan = amounts[self._settings.tie]
        self._other[part] = amounts[other][0]
        self._plan[part] = np.where(plan >= 0, offers[plan], -1)
        if self._offered.source == "rates":
            self._lowest[part], self._plans[part] = found.lowest, found.offered

    def frame(self) -> pl.DataFrame:
        """Return the households: the policies of each added up."""
        import polars as pl

        is_known = self._reason == DETERMINED
        from_rates = self._offered.source == "rates"

        def blank_above(cents: Integers) -> pl.Series:
            return pl.Series(cents).set(pl.Series(cents >= NOT_OFFERED), None)

        plan = pl.Series(self._plan).set(pl.Series(self._plan < 0), None)
        lines = self._given.policies.select("_home", "area", "possible_areas", "members").with_columns(
            pl.Series("reason", self._reason),
            pl.Series("benchmark", self._chosen).set(~pl.Series(is_known), None),
            blank_above(self._other).set(~pl.Series(is_known), None).alias("other"),
            blank_above(self._lowest).alias("lowest"),
            pl.Series("silver_plans", self._plans),
            (self._offered.plan_ids.gather(plan) if from_rates else pl.Series([None] * len(plan), dtype=pl.String))
            .set(~pl.Series(is_known), None)
            .alias("plan_id"),
        )
        only = pl.Series(self._is_only)
        of_homes = pl.concat([_single(lines.filter(only)), _by_home(lines.filter(~only))])
        differs = is_known & (self._chosen != self._other)
        what = f"tie {self._settings.tie}: {self._settings.BASIS['tie']}"
        self._figures.put_down("settings", what, "benchmark_monthly", int(differs.sum()))
        joined = self._given.homes.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_home")).join(
            of_homes, on="_home", how="left", validate="1:1", maintain_order="left"
        )
        reason = joined["reason"].fill_null(NOBODY).to_numpy().astype(np.int64)
        benchmark, has_benchmark = _filled(joined["benchmark"])
        by_proxy = np.isin(reason, (NO_SILVER, NOT_HELD)) & joined["has_proxy"].to_numpy()
        benchmark = np.where(by_proxy, joined["proxy"].to_numpy(), benchmark)
        reason[by_proxy] = DETERMINED
        determined = reason == DETERMINED
        source = np.where(by_proxy, 1, np.where(determined, 0, 2))
        return joined.select(
            "household_id",
            pl.col("area").alias("rating_area_id"),
            "possible_areas",
            pl.col("members").fill_null(0),
            pl.col("policies").fill_null(0),
            pl.col("silver_plans") if from_rates else pl.lit(None, dtype=pl.Int64).alias("silver_plans"),
            money_series("lowest_monthly", *_filled(joined["lowest"])),
            money_series("benchmark_monthly", benchmark, (has_benchmark | by_proxy) & determined),
            pl.col("plan_id").alias("benchmark_plan_id"),
            pl.lit(self._settings.tie).alias("tie"),
            money_series("other_reading_monthly", *_filled(joined["other"])),
            word_series("source", (self._offered.source, "proxy", ""), source).replace({"": None}),
            word_series("reason", BENCHMARK_REASONS, reason),
        )


def _filled(series: pl.Series) -> tuple[Integers, NDArray[np.bool_]]:
    return series.fill_null(0).to_numpy().astype(np.int64), series.is_not_null().to_numpy()


_OF_HOME = ("_home", "policies", "members", "silver_plans", "reason", "area", "possible_areas")
_AMOUNTS = ("benchmark", "other", "lowest", "plan_id")


def _single(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the households with one policy."""
    import polars as pl

    return lines.with_columns(pl.lit(1, dtype=pl.Int64).alias("policies")).select(*_OF_HOME, *_AMOUNTS)


def _by_home(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the several policies of households added up; an amount that one of them lacks is blank."""
    import polars as pl

    def whole_sum(column: str) -> pl.Expr:
        return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).sum()).alias(column)

    def only(column: str) -> pl.Expr:
        return pl.when(pl.col(column).n_unique() == 1).then(pl.col(column).first()).alias(column)

    return (
        lines.group_by("_home")
        .agg(
            policies=pl.len().cast(pl.Int64),
            members=pl.col("members").sum(),
            silver_plans=pl.col("silver_plans").min(),
            # The first of several reasons, in the order of BENCHMARK_REASONS, where one policy has none.
            reason=pl.col("reason").filter(pl.col("reason") != DETERMINED).min().fill_null(DETERMINED),
            area=only("area"),
            possible_areas=pl.col("possible_areas").drop_nulls().first(),
            benchmark=whole_sum("benchmark"),
            other=whole_sum("other"),
            lowest=whole_sum("lowest"),
            plan_id=pl.lit(None, dtype=pl.String),
        )
        .select(*_OF_HOME, *_AMOUNTS)
    )
