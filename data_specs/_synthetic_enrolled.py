"""Who an issuer of a made-up market covers: months, premium and care of its plans, and the people it will rate next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_specs import _synthetic_claim_assumptions as assumed
from data_specs import _synthetic_plan_assumptions as assumed_plans
from data_specs._policy import charged_by_age, completed_years
from data_specs._synthetic_costs import enrollee_share
from data_specs._synthetic_draws import Draws, Integers
from data_specs._synthetic_frames import dollars
from data_specs._synthetic_offers import Offers, price_level
from data_specs._synthetic_premiums import Rating
from data_specs._units import half_up_div
from data_specs.errors import InputRefused

__all__ = ["Enrolled", "cents_of", "synthetic_projection"]

_MARKET = "individual"
_YEAR = 12
_MIDDLE = 14  # the 15th of a month, counted from 0
_ADULT = 21
_YOUNGEST_BAND, _OLDEST = 14, 64
_TEN_THOUSAND = 10_000
_STANDARD = "01"
_OF_SPANS = ("enrollee_id", "plan_id", "csr_variant")


def cents_of(column: str) -> pl.Expr:
    """Return a column of dollars as whole cents."""
    return (pl.col(column).cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One issuer of a made-up individual market in its benefit year; plans in order of their ids."""

    issuer_id: str
    state: str
    plan_ids: tuple[str, ...]
    metal_levels: tuple[str, ...]
    first_month: int  # January of the benefit year, counted from year 0
    member_months: Integers  # plan x month: people covered on the 15th
    premium: Integers  # plan x month: cents, by the day
    allowed: Integers  # per plan, cents of the year
    plan_paid: Integers
    spans: pl.DataFrame
    costs: pl.DataFrame
    enrollees: pl.DataFrame

    @classmethod
    def of(cls, market: Mapping[str, pl.DataFrame], issuer_id: str | None = None) -> Enrolled:
        """Return an issuer of a market, the one with most spans by default.

        Raises
        ------
        InputRefused
            It covers nobody.
        """
        spans = market["spans"].filter(pl.col("market") == _MARKET)
        if issuer_id is None:
            counts = spans["issuer_id"].value_counts().sort("count", "issuer_id", descending=[True, False])
            issuer_id = str(counts["issuer_id"][0]) if counts.height else ""
        spans = spans.filter(pl.col("issuer_id") == issuer_id)
        if spans.height == 0:
            raise InputRefused(
                f"issuer {issuer_id!r} covers nobody in the individual market",
                where="spans",
                remedy="name an issuer of the market, or make a larger one",
            )
        plans = market["plans"].filter(pl.col("issuer_id") == issuer_id, pl.col("market") == _MARKET).sort("plan_id")
        names = tuple(plans["plan_id"].to_list())
        year = int(spans["span_start"].dt.year().max())  # type: ignore[arg-type]
        costs = market["costs"].filter(pl.col("plan_id").is_in(names))
        sums = costs.group_by("plan_id").agg(cents_of("allowed").sum(), cents_of("plan_paid").sum())
        # A plan that nobody held has no costs.
        sums = plans.select("plan_id").join(sums, on="plan_id", how="left", maintain_order="left").fill_null(0)
        months, premium = _by_month(spans, names, year)
        return cls(
            issuer_id,
            str(plans["state"][0]),
            names,
            tuple(plans["metal_level"].to_list()),
            year * _YEAR,
            months,
            premium,
            sums["allowed"].to_numpy(),
            sums["plan_paid"].to_numpy(),
            spans,
            costs,
            market["enrollees"],
        )

    @property
    def benefit_year(self) -> int:
        """The year of the spans."""
        return self.first_month // _YEAR

    def calendar_months(self, before: int) -> Integers:
        """Return the months of the benefit year and as many before it, counted from year 0."""
        return np.arange(self.first_month - before, self.first_month + _YEAR)

    def place_of_plan(self, plans: pl.Series) -> Integers:
        """Return the position of each plan."""
        return _place(plans, self.plan_ids)

    def cover(self, who: pl.DataFrame) -> tuple[Integers, Integers]:
        """Return the first and last day on which enrollees held a plan and variant, in days since 1970-01-01."""
        held = self.spans.group_by(_OF_SPANS).agg(pl.col("span_start").min(), pl.col("span_end").max())
        found = who.join(held, on=_OF_SPANS, how="left", validate="m:1", maintain_order="left")
        return _day_numbers(found["span_start"]), _day_numbers(found["span_end"])


def _by_month(spans: pl.DataFrame, names: tuple[str, ...], year: int) -> tuple[Integers, Integers]:
    """Return the people covered on the 15th, and premium in cents, by plan and month."""
    plan = _place(spans["plan_id"], names)
    start, end = _day_numbers(spans["span_start"]), _day_numbers(spans["span_end"])
    premium = spans.select(cents_of("premium_monthly").fill_null(0)).to_series().to_numpy()
    first = (np.datetime64(f"{year}-01", "M") + np.arange(_YEAR + 1)).astype("datetime64[D]").astype(np.int64)
    months = np.zeros((len(names), _YEAR), dtype=np.int64)
    earned = np.zeros_like(months)
    for month in range(_YEAR):
        middle = first[month] + _MIDDLE
        days = np.clip(np.minimum(end + 1, first[month + 1]) - np.maximum(start, first[month]), 0, None)
        months[:, month] = np.bincount(plan[(start <= middle) & (middle <= end)], minlength=len(names))
        np.add.at(earned[:, month], plan, premium * days)
        length = int(first[month + 1] - first[month])
        earned[:, month] = (2 * earned[:, month] + length) // (2 * length)
    return months, earned


def _place(values: pl.Series, names: tuple[str, ...]) -> Integers:
    places = values.replace_strict(list(names), range(len(names)), return_dtype=pl.Int64)
    return np.asarray(places.to_numpy(), dtype=np.int64)


def _day_numbers(days: pl.Series) -> Integers:
    return np.asarray(days.to_physical().to_numpy(), dtype=np.int64)


# ------------------------------------------------------------------------------------------------ what comes next


def synthetic_projection(
    market: Mapping[str, pl.DataFrame], *, seed: int, issuer_id: str | None = None
) -> dict[str, pl.DataFrame]:
    """Return what a rate filing needs to know of an issuer's enrollees at the end of the benefit year.

    The people covered on 31 December are taken to stay, a year of twelve months each; nobody moves for a price.

    Parameters
    ----------
    market : dict of DataFrame
        Of :func:`data_specs.synthetic_market`, of a state that rates by age.
    seed : int
        Of who uses tobacco.
    issuer_id : str, optional
        By default the issuer with most spans.

    Returns
    -------
    dict of DataFrame
        ``current`` : plan_id, current_enrollment, current_premium_pmpm (of these people in the year after the benefit
        year), current_calibrated_rate (the plan's base premium of that year).
        ``mix`` : kind (age, area, tobacco), level, billable (Y, N), member_months.
        ``areas`` : rating_area_id, area_factor.
        ``variants`` : plan_id, csr_variant (01 always, and those that somebody holds), member_months, paid_to_allowed
        (plan payments over allowed costs of all the issuer's enrollees under the variant's cost sharing: one standard
        population), induced_demand (1: nobody here uses more care because it costs less).

    Raises
    ------
    InputRefused
        The state rates by family tiers, or the issuer covers nobody.
    TableMissing
        No age curve is held for a year.

    Examples
    --------
    >>> from data_specs import synthetic_market
    >>> found = synthetic_projection(synthetic_market("OH", enrollees=300, seed=1), seed=1)
    >>> sorted(found)
    ['areas', 'current', 'mix', 'variants']
    """
    enrolled = Enrolled.of(market, issuer_id)
    rating = Rating.of(enrolled.state, _MARKET, enrolled.benefit_year)
    if rating.tiers is not None:
        raise InputRefused(
            f"{enrolled.state} rates by family tiers",
            where="synthetic_projection",
            rule="a made-up projection is by age",
            remedy="take another state",
        )
    last = pl.date(enrolled.benefit_year, 12, 31)
    now = enrolled.spans.filter((pl.col("span_start") <= last) & (pl.col("span_end") >= last))
    now = now.join(enrolled.enrollees, on="enrollee_id", how="left", validate="1:1", maintain_order="left")
    areas = market["area_factors"].filter(pl.col("issuer_id") == enrolled.issuer_id)
    return {
        "current": _current(enrolled, now),
        "mix": _mix(now, rating, Draws(seed, f"{enrolled.state}/projection")),
        "areas": areas.drop("issuer_id").sort("rating_area_id"),
        "variants": _variants(enrolled, now),
    }


def _current(enrolled: Enrolled, now: pl.DataFrame) -> pl.DataFrame:
    plan = enrolled.place_of_plan(now["plan_id"])
    people = np.bincount(plan, minlength=len(enrolled.plan_ids))
    premium = np.zeros(len(enrolled.plan_ids), dtype=np.int64)
    np.add.at(premium, plan, now.select(cents_of("premium_monthly").fill_null(0)).to_series().to_numpy())
    bases = [_bases(enrolled, enrolled.benefit_year + later) for later in (0, 1)]
    rows = zip(people.tolist(), premium.tolist(), *bases, strict=True)
    a_head = [half_up_div(paid * new, count * old) if count else None for count, paid, old, new in rows]
    return pl.DataFrame(
        [
            pl.Series("plan_id", enrolled.plan_ids),
            pl.Series("current_enrollment", people),
            dollars(np.array([a or 0 for a in a_head]), "current_premium_pmpm", 10).set(
                pl.Series([a is None for a in a_head]), None
            ),
            dollars(np.array(bases[1]), "current_calibrated_rate", 10),
        ]
    )


def _bases(enrolled: Enrolled, year: int) -> list[int]:
    """Return the base premiums of a year in cents, as the market has or would have them."""
    curve = Rating.of(enrolled.state, _MARKET, year).curve
    offers = Offers.of(enrolled.state, assumed_plans.MARKETS[_MARKET], curve, year)
    by_plan = dict(zip(offers.plan_ids, offers.base.tolist(), strict=True))
    return [by_plan[plan] for plan in enrolled.plan_ids]


def _mix(now: pl.DataFrame, rating: Rating, draws: Draws) -> pl.DataFrame:
    policy = now["policy_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    births = _day_numbers(now["birth_date"])
    first = now.select(pl.col("span_start").min().over("policy_id")).to_series()
    ages = np.maximum(completed_years(births, _day_numbers(first)), 0)
    charged = charged_by_age(
        policy,
        ages,
        births,
        np.arange(len(policy)),
        child_below_age=rating.rules.child_below_age,
        most_children=rating.rules.most_children,
    )
    smokes = draws.stream("tobacco").chance(assumed.TOBACCO_USERS / 1000, len(ages)) & (ages >= _ADULT)
    levels = {
        "age": [_band(age) for age in ages.tolist()],
        "area": now["rating_area_id"].to_list(),
        "tobacco": np.where(smokes, "Y", "N").tolist(),
    }
    billable = {"age": np.where(charged, "Y", "N").tolist()}
    parts = []
    for kind, level in levels.items():
        people = pl.DataFrame({"level": level, "billable": billable.get(kind, ["Y"] * len(level))})
        counted = people.group_by("level", "billable").agg(member_months=pl.len().cast(pl.Int64) * _YEAR)
        number = pl.col("level").str.extract(r"^(\d+)").cast(pl.Int64)
        counted = counted.sort(number, "level", "billable", descending=[False, False, True])
        parts.append(counted.select(pl.lit(kind).alias("kind"), "level", "billable", "member_months"))
    return pl.concat(parts)


def _band(age: int) -> str:
    if age <= _YOUNGEST_BAND:
        return f"0-{_YOUNGEST_BAND}"
    return f"{_OLDEST}+" if age >= _OLDEST else str(age)


def _variants(enrolled: Enrolled, now: pl.DataFrame) -> pl.DataFrame:
    counted = now.group_by("plan_id", "csr_variant").agg(member_months=pl.len().cast(pl.Int64) * _YEAR)
    standard = pl.DataFrame({"plan_id": enrolled.plan_ids}).select(
        "plan_id", csr_variant=pl.lit(_STANDARD), member_months=pl.lit(0, dtype=pl.Int64)
    )
    held = pl.concat([counted, standard]).group_by("plan_id", "csr_variant").agg(pl.col("member_months").sum())
    by_person = enrolled.costs.group_by("enrollee_id").agg(cents_of("allowed").sum())
    amounts = by_person.sort("enrollee_id")["allowed"].to_numpy()
    level = price_level(enrolled.benefit_year)
    metals = dict(zip(enrolled.plan_ids, enrolled.metal_levels, strict=True))
    ratios = []
    held = held.sort("plan_id", "csr_variant")
    for plan, variant in held.select("plan_id", "csr_variant").rows():
        metal = np.full(len(amounts), assumed_plans.METALS.index(metals[plan]))
        code = np.full(len(amounts), assumed_plans.VARIANTS.index(variant))
        share = enrollee_share(amounts, metal, code, level)
        ratios.append(_paid_to_allowed(int(amounts.sum()), int(share.sum())))
    return held.with_columns(pl.Series("paid_to_allowed", ratios), induced_demand=pl.lit(1.0))


def _paid_to_allowed(allowed: int, share: int) -> float:
    """Return what plans pay of one dollar, to four decimals."""
    return half_up_div((allowed - share) * _TEN_THOUSAND, allowed) / _TEN_THOUSAND if allowed else 1.0
