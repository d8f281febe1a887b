"""The made-up market's plans, premiums and costs: priced by the published rules, and believable side by side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import polars as pl
import pytest
from made_up import Tables, market_of

from data_specs import _synthetic_plan_assumptions as assumed
from data_specs import table

CENT = Decimal("0.01")
YEAR = 2025


@pytest.fixture(scope="module")
def market() -> Tables:
    return market_of(20_000)


@pytest.fixture(scope="module")
def months(market: Tables) -> pl.DataFrame:
    """Months, premium and cost of every enrollee, plan and variant."""
    days = (pl.col("span_end") - pl.col("span_start")).dt.total_days() + 1
    premium = pl.col("premium_monthly").cast(pl.Float64).fill_null(0)
    spans = market["spans"].with_columns(months=days / 30).with_columns(premium=premium * pl.col("months"))
    key = ["enrollee_id", "plan_id", "csr_variant"]
    held = spans.group_by(*key, "issuer_id", "metal_level").agg(pl.col("months", "premium").sum())
    return held.join(market["costs"], on=key, validate="1:1").with_columns(pl.col("plan_paid").cast(pl.Float64))


# ---- plans and areas -------------------------------------------------------------------------------------------------


def test_six_issuers_sell_forty_plans_and_each_has_enrollees(market: Tables, months: pl.DataFrame) -> None:
    plans = market["plans"]
    assert plans.height == 40
    assert plans["issuer_id"].n_unique() == 6
    assert set(plans["metal_level"]) == set(assumed.METALS)
    assert plans.filter(metal_level="catastrophic").height == 2
    assert set(months["plan_id"]) == set(plans["plan_id"])


def test_issuers_differ_in_size(months: pl.DataFrame) -> None:
    share = months.group_by("issuer_id").agg(pl.col("months").sum() / months["months"].sum()).sort("issuer_id")
    shares = dict(share.iter_rows())
    assert 0.27 < shares["00101"] < 0.34
    assert 0.01 < shares["00606"] < 0.025
    assert sorted(shares.values(), reverse=True) == list(shares.values())


def test_issuers_differ_in_whom_they_attract(market: Tables, months: pl.DataFrame) -> None:
    age = YEAR - pl.col("birth_date").dt.year()
    people = months.join(market["enrollees"].select("enrollee_id", age=age), on="enrollee_id")
    ill = market["diagnoses"].join(
        table("hhs_hcc/icd10_to_cc", year=YEAR).select(diagnosis_code="icd10"), on="diagnosis_code", how="semi"
    )
    people = people.with_columns(ill=pl.col("enrollee_id").is_in(ill["enrollee_id"].unique().implode()))
    whole = people.select(pl.col("ill", "age").mean()).row(0, named=True)
    of = {
        row["issuer_id"]: row
        for row in people.group_by("issuer_id").agg(pl.col("ill", "age").mean()).iter_rows(named=True)
    }
    assert of["00202"]["ill"] > 1.1 * whole["ill"]
    assert of["00202"]["age"] > whole["age"] + 1
    assert of["00303"]["ill"] < 0.9 * whole["ill"]
    assert of["00303"]["age"] < whole["age"] - 3
    assert of["00303"]["age"] == min(row["age"] for row in of.values())


@pytest.mark.parametrize(("state", "areas"), [("OH", 6), ("NY", 6), ("VT", 1)])
def test_areas_are_those_of_the_state(state: str, areas: int) -> None:
    market = market_of(20_000) if state == "OH" else market_of(1_500, state=state)
    names = [f"R-{state}{number:03d}" for number in range(1, areas + 1)]
    assert sorted(market["spans"]["rating_area_id"].unique()) == names
    assert areas <= table("rating/rating_area_counts", state=state)["areas"].min()
    sold = market["area_factors"]
    assert set(sold["issuer_id"]) == set(market["plans"]["issuer_id"])
    keys = ["issuer_id", "rating_area_id"]
    assert sold.select(keys).is_unique().all()
    assert market["spans"].join(sold, on=keys, how="anti").height == 0
    assert sold["area_factor"].is_between(0.85, 1.2).all()
    assert all(Decimal(repr(factor)).as_tuple().exponent >= -3 for factor in sold["area_factor"])
    assert (sold.filter(issuer_id="00606").height < areas) == (areas > 2)


@pytest.mark.slow
def test_base_premiums_rise_with_the_level_and_are_about_the_same_under_every_curve(market: Tables) -> None:
    means = {}
    for state, tables in (("OH", market), ("NY", market_of(1_500, state="NY")), ("DC", market_of(10, state="DC"))):
        curve = published_curve(state, "individual", YEAR)
        mean = sum(curve[age] for age in range(21, 65)) / 44
        base = tables["plans"].group_by("metal_level").agg(pl.col("base_premium_monthly").cast(pl.Float64).mean())
        means[state] = {level: premium * float(mean) for level, premium in base.iter_rows()}
    assert means["NY"] == pytest.approx(means["OH"], abs=0.02)
    assert means["DC"] == pytest.approx(means["OH"], abs=0.02)
    order = ("catastrophic", "bronze", "expanded_bronze", "silver", "gold", "platinum")
    assert sorted(means["OH"], key=lambda level: means["OH"][level]) == list(order)
    silver = market["plans"].filter(metal_level="silver")["base_premium_monthly"]
    assert silver.min() > 390
    assert silver.max() < 520
    names = market["plans"].select("issuer_id", "metal_level", "base_premium_monthly")
    assert names.is_unique().all()


def test_silver_premiums_give_believable_geographic_factors(market: Tables) -> None:
    silver = market["spans"].filter(metal_level="silver", relationship="self")
    ages = silver.join(market["enrollees"], on="enrollee_id").filter(pl.len().over("policy_id") == 1)
    curve = published_curve("OH", "individual", YEAR)
    single = ages.join(
        market["spans"].group_by("policy_id").agg(people=pl.col("enrollee_id").n_unique()), on="policy_id"
    )
    single = single.filter(people=1).with_columns(age=YEAR - pl.col("birth_date").dt.year())
    factor = pl.col("age").clip(21, 64).replace_strict({age: float(value) for age, value in curve.items()})
    standard = single.with_columns(standard=pl.col("premium_monthly").cast(pl.Float64) / factor)
    overall = standard["standard"].mean()
    by_area = standard.group_by("rating_area_id").agg(pl.col("standard").mean() / overall)
    assert by_area["standard"].is_between(0.85, 1.18).all()
    assert by_area["standard"].max() - by_area["standard"].min() > 0.1


# ---- premiums --------------------------------------------------------------------------------------------------------


@cache
def published_curve(state: str, market: str, year: int) -> dict[int, Decimal]:
    (curve_id,) = table("rating/age_curve_assignment", year=year, state=state).filter(market=market)["curve_id"]
    points = table("rating/age_curves").filter(curve_id=curve_id)
    return {age: Decimal(repr(factor)) for age, factor in points.select("age", "factor").iter_rows()}


@cache
def published_tiers(state: str, market: str, year: int) -> dict[str, Decimal]:
    tiers = table("rating/family_tiers", year=year).filter(state=state, market=market)
    return {tier: Decimal(repr(value)) for tier, value in tiers.select("tier", "multiplier").iter_rows()}


def age_on(birth: date, day: date) -> int:
    return max(day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day)), 0)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def slow_premium(base: Decimal, area: Decimal, people: list[dict[str, object]], state: str, market: str) -> Decimal:
    """Price one policy, a person at a time: ``people`` hold relationship and age."""
    multiplier = published_tiers(state, market, YEAR)
    if multiplier:
        children = [person for person in people if person["relationship"] == "child"]
        tier = "two_adults" if len(people) - len(children) == 2 else "one_adult"
        tier += "_children" if children else ""
        young = all(person["age"] < 21 and person["relationship"] != "spouse" for person in people)
        if young and "child_only" in multiplier:
            tier = "child_only"
        return cents(base * area * multiplier[tier])
    curve = published_curve(state, market, YEAR)
    charged = [person["age"] for person in people if person["age"] >= 21]
    charged += sorted((person["age"] for person in people if person["age"] < 21), reverse=True)[:3]
    return sum((cents(base * area * curve[min(age, 64)]) for age in charged), Decimal(0))


def periods(tables: Tables) -> Iterator[tuple[str, date, dict[str, object], list[dict[str, object]]]]:
    """Yield policy, first day of a premium, the subscriber's row and everybody covered on that day."""
    first = tables["spans"].group_by("policy_id").agg(policy_start=pl.col("span_start").min())
    rows = tables["spans"].join(tables["enrollees"], on="enrollee_id").join(first, on="policy_id")
    for (policy, start), people in rows.sort("enrollee_id").group_by("policy_id", "span_start", maintain_order=True):
        covered = people.to_dicts()
        for person in covered:
            person["age"] = age_on(person["birth_date"], person["policy_start"])
        (subscriber,) = (person for person in covered if person["relationship"] == "self")
        yield policy, start, subscriber, covered


@pytest.mark.parametrize(
    ("state", "market", "policies"),
    [("OH", "individual", 150), ("NY", "individual", 150), ("VT", "individual", 150), ("NJ", "small_group", 150)],
)
def test_premium_of_a_policy_is_that_of_the_published_rules(state: str, market: str, policies: int) -> None:
    tables = market_of(20_000) if state == "OH" else market_of(1_500, state=state, markets=(market,))
    spans = tables["spans"]
    size = spans.group_by("policy_id").agg(
        people=pl.col("enrollee_id").n_unique(),
        born=(pl.col("span_start").n_unique() > 1) & (pl.col("relationship") == "child").any(),
    )
    # The largest families, those with a change in the year, and every so many of the others.
    sample = pl.concat(
        [
            size.sort("people", "policy_id", descending=[True, False]).head(40),
            size.filter("born").sort("policy_id").head(40),
            size.sort("policy_id").gather_every(size.height // policies),
        ]
    )["policy_id"].unique()
    chosen = {**tables, "spans": spans.filter(pl.col("policy_id").is_in(sample.implode()))}
    base = dict(tables["plans"].select("plan_id", "base_premium_monthly").iter_rows())
    area = {(issuer, name): Decimal(repr(factor)) for issuer, name, factor in tables["area_factors"].iter_rows()}
    seen = {"periods": 0, "free children": 0, "births": 0}
    for _, start, subscriber, covered in periods(chosen):
        factor = area[subscriber["issuer_id"], subscriber["rating_area_id"]]
        expected = slow_premium(base[subscriber["plan_id"]], factor, covered, state, market)
        assert subscriber["premium_monthly"] == expected
        assert {person["premium_monthly"] for person in covered if person is not subscriber} <= {None}
        seen["periods"] += 1
        seen["free children"] += sum(person["age"] < 21 for person in covered) > 3
        seen["births"] += any(person["birth_date"] == start for person in covered)
    assert seen["periods"] > policies
    assert seen["births"] > 5
    assert seen["free children"] > 5 or state != "OH"


def test_a_birth_changes_the_premium_from_its_day_on(market: Tables) -> None:
    people = market["spans"].join(market["enrollees"], on="enrollee_id")
    births = people.filter(pl.col("birth_date").dt.year() == YEAR).select("policy_id", "birth_date").unique()
    subscribers = (
        market["spans"].filter(relationship="self").join(births, on="policy_id").sort("policy_id", "span_start")
    )
    before = pl.col("span_end").dt.offset_by("1d") == pl.col("birth_date")
    after = pl.col("span_start") == pl.col("birth_date")
    keys = ["policy_id", "plan_id", "csr_variant"]
    pairs = subscribers.filter(before).join(subscribers.filter(after), on=keys, suffix="_after")
    assert pairs.height > 20
    assert (pairs["premium_monthly_after"] >= pairs["premium_monthly"]).all()
    assert (pairs["premium_monthly_after"] > pairs["premium_monthly"]).sum() > 0.8 * pairs.height


def test_premiums_stand_on_the_rows_of_subscribers(market: Tables) -> None:
    spans = market["spans"]
    assert ((spans["relationship"] == "self") == spans["premium_monthly"].is_not_null()).all()
    assert spans["premium_monthly"].min() > 0


# ---- costs -----------------------------------------------------------------------------------------------------------


def test_every_enrollee_plan_and_variant_has_a_cost(market: Tables) -> None:
    key = ["enrollee_id", "plan_id", "csr_variant"]
    assert market["costs"].select(key).equals(market["spans"].select(key).unique().sort(key))
    assert market["costs"]["plan_paid"].min() == 0


def test_premiums_cover_costs_and_costs_follow_risk(market: Tables, months: pl.DataFrame) -> None:
    def ratio(frame: pl.DataFrame) -> float:
        return float(frame["plan_paid"].sum() / frame["premium"].sum())

    assert 0.75 < ratio(months) < 0.9
    assert ratio(months.filter(issuer_id="00303")) < ratio(months) < ratio(months.filter(issuer_id="00202"))
    level = pl.col("metal_level").replace("expanded_bronze", "bronze")
    per_month = {name: frame["plan_paid"].sum() / frame["months"].sum() for (name,), frame in months.group_by(level)}
    order = ("platinum", "gold", "silver", "bronze", "catastrophic")
    assert sorted(per_month, key=lambda level: -per_month[level]) == list(order)
    top = months.sort("plan_paid", descending=True).head(200)["plan_paid"].sum()
    assert 0.15 < top / months["plan_paid"].sum() < 0.5  # one in a hundred of the people


@pytest.mark.slow
def test_prices_and_costs_rise_together() -> None:
    early, late = market_of(4_000, benefit_year=2018), market_of(4_000, benefit_year=2026)
    ratios = {}
    for name, column in (("spans", "premium_monthly"), ("costs", "plan_paid")):
        sums = [tables[name][column].cast(pl.Float64).sum() for tables in (early, late)]
        ratios[name] = sums[1] / sums[0]
    assert 1.3 < ratios["spans"] < 1.8
    assert 1.3 < ratios["costs"] < 1.8


# ---- small group -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_individual_market_is_the_same_with_small_group_beside_it() -> None:
    alone, both = market_of(1_500), market_of(1_500, markets=("small_group", "individual"))
    first = both | {"plans": both["plans"].filter(market="individual")}
    for name, frame in alone.items():
        assert first[name].head(frame.height).equals(frame), name
    assert both["enrollees"].height == 3_000
    assert both["enrollees"]["enrollee_id"].is_unique().all()
    owner = both["spans"].group_by("policy_id").agg(pl.col("market", "rating_area_id", "issuer_id").n_unique())
    assert (owner.drop("policy_id").to_numpy() == 1).all()
    assert both["plans"]["plan_id"].is_sorted()


def test_small_group_has_no_variants_and_no_catastrophic_plans() -> None:
    both = market_of(1_500, markets=("small_group", "individual"))
    plans, spans = (both[name].filter(market="small_group") for name in ("plans", "spans"))
    assert plans.height == 38
    assert spans["enrollee_id"].n_unique() == 1_500
    assert set(spans["plan_id"]) <= set(plans["plan_id"])
    assert "catastrophic" not in set(plans["metal_level"])
    assert set(spans["csr_variant"]) == {"00"}
    assert both["plans"]["plan_id"].is_unique().all()
