"""The made-up market: same bytes from the same seed, keys that hold, and nothing that cannot be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_up import Tables, market_of

from data_specs import _synthetic_assumptions as assumed
from data_specs import synthetic_market, table, use
from data_specs._synthetic_draws import Draws
from data_specs.errors import InputRefused, TableMissing

SCHEMAS = {
    "enrollees": {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String},
    "spans": {
        "enrollee_id": pl.String,
        "plan_id": pl.String,
        "csr_variant": pl.String,
        "metal_level": pl.String,
        "span_start": pl.Date,
        "span_end": pl.Date,
        "policy_id": pl.String,
        "subscriber_id": pl.String,
        "relationship": pl.String,
        "market": pl.String,
        "issuer_id": pl.String,
        "rating_area_id": pl.String,
        "premium_monthly": pl.Decimal(10, 2),
    },
    "plans": {
        **dict.fromkeys(("plan_id", "issuer_id", "state", "market", "metal_level"), pl.String),
        "base_premium_monthly": pl.Decimal(10, 2),
    },
    "area_factors": {"issuer_id": pl.String, "rating_area_id": pl.String, "area_factor": pl.Float64},
    "costs": {
        **dict.fromkeys(("enrollee_id", "plan_id", "csr_variant"), pl.String),
        **dict.fromkeys(("allowed", "plan_paid"), pl.Decimal(12, 2)),
    },
    "diagnoses": {"enrollee_id": pl.String, "diagnosis_code": pl.String, "service_date": pl.Date},
    "drugs": {"enrollee_id": pl.String, "code_type": pl.String, "code": pl.String, "service_date": pl.Date},
}
DIGEST = """
import sys, hashlib
from data_specs import synthetic_market
market = synthetic_market("TX", enrollees=2_000, seed=11)
text = "".join(name + market[name].write_csv() for name in sorted(market))
sys.stdout.write(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def market() -> Tables:
    return market_of(20_000)


@pytest.fixture(scope="module")
def members(market: Tables) -> pl.DataFrame:
    """One row per person: first and last day, household, age on the last day."""
    by_person = (
        market["spans"]
        .group_by("enrollee_id")
        .agg(
            pl.col("policy_id", "relationship", "subscriber_id").first(),
            first_day=pl.col("span_start").min(),
            last_day=pl.col("span_end").max(),
        )
    )
    joined = market["enrollees"].join(by_person, on="enrollee_id", validate="1:1", maintain_order="left")
    return joined.with_columns(age_last=age_on("last_day"))


def age_on(column: str) -> pl.Expr:
    """Completed years on a day; born on 29 February, on 1 March of common years."""
    day, birth = pl.col(column), pl.col("birth_date")
    years = (day.dt.year() - birth.dt.year()).cast(pl.Int64)
    return years - (day.dt.strftime("%m%d") < birth.dt.strftime("%m%d")).cast(pl.Int64)


def digest(market: Tables) -> str:
    text = "".join(name + market[name].write_csv() for name in sorted(market))
    return hashlib.sha256(text.encode()).hexdigest()


# ---- the same again --------------------------------------------------------------------------------------------------


def test_same_arguments_give_the_same_bytes() -> None:
    first = digest(synthetic_market("NY", enrollees=200, seed=5))
    # Numbers of NumPy are numbers.
    again = digest(synthetic_market("NY", enrollees=np.int64(200), seed=np.int32(5)))  # type: ignore[arg-type]
    assert first == again


@pytest.mark.slow
def test_other_arguments_give_another_market() -> None:
    markets = [("NY", 5), ("NY", 6), ("NJ", 5)]
    assert len({digest(synthetic_market(state, enrollees=200, seed=seed)) for state, seed in markets}) == 3


@pytest.mark.slow
def test_number_of_threads_changes_nothing() -> None:
    threads = "1" if pl.thread_pool_size() > 1 else "4"
    run = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "POLARS_MAX_THREADS": threads},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == digest(synthetic_market("TX", enrollees=2_000, seed=11))


def test_draws_are_those_of_numpy_and_stay_so() -> None:
    stream = Draws(7, "NY").stream("ages")
    entropy = [7, int.from_bytes(hashlib.sha256(b"NY/ages").digest()[:16], "big")]
    twin = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    assert stream.unit(1_000).tolist() == twin.random(1_000).tolist()
    # Written down on Linux x86-64 with NumPy 2.4: the same bits on every other system.
    assert Draws(7, "NY").stream("ages").below(1_000_000, 4).tolist() == [23734, 865853, 272020, 733340]


def test_a_stream_depends_on_its_name_alone() -> None:
    draws = Draws(1, "NY")
    untouched = draws.stream("b").unit(5).tolist()
    draws.stream("a").unit(1_000)
    assert draws.stream("b").unit(5).tolist() == untouched
    assert Draws(1, "NJ").stream("b").unit(5).tolist() != untouched


def test_picks_follow_their_weights() -> None:
    rows = np.repeat([0, 1, 2], 40_000)
    weights = [[1, 0, 3, 0], [0, 5, 0, 5], [0, 0, 0, 1]]
    picked = Draws(1, "NY").stream("pick").pick_by(rows, weights)
    shares = [np.bincount(picked[rows == row], minlength=4) / 40_000 for row in range(3)]
    np.testing.assert_allclose(shares, np.array(weights) / np.sum(weights, axis=1, keepdims=True), atol=0.01)
    assert (np.array(shares)[np.array(weights) == 0] == 0).all()


@pytest.mark.slow
def test_another_year_has_the_same_households() -> None:
    this, other = market_of(4_000), market_of(4_000, benefit_year=2026)
    born = pl.col("birth_date").dt.year()
    people = this["enrollees"].select("enrollee_id", "sex", born + 1)
    assert people.equals(other["enrollees"].select("enrollee_id", "sex", born))
    columns = ["enrollee_id", "policy_id", "relationship"]
    policies = [tables["spans"].select(columns).unique().sort(columns) for tables in (this, other)]
    assert policies[0].equals(policies[1])


# ---- keys and order --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enrollees", [1, 2, 3, 10, 20_000])
def test_columns_and_types(enrollees: int) -> None:
    tables = market_of(enrollees)
    assert {name: dict(frame.schema) for name, frame in tables.items()} == SCHEMAS
    assert tables["enrollees"].height == enrollees
    nulls = pl.concat([f.null_count().unpivot().with_columns(table=pl.lit(name)) for name, f in tables.items()])
    may_be_null = pl.col("variable").is_in(["subscriber_id", "premium_monthly"])
    assert nulls.filter((pl.col("value") > 0) & ~may_be_null).height == 0


def test_keys(market: Tables) -> None:
    enrollees, spans, plans = market["enrollees"], market["spans"], market["plans"]
    assert enrollees["enrollee_id"].is_unique().all()
    assert enrollees["enrollee_id"].str.contains("^SYN-[0-9]{8}$").all()
    assert enrollees["sex"].is_in(["M", "F"]).all()
    assert spans.select("enrollee_id", "plan_id", "span_start").is_unique().all()
    assert set(spans["enrollee_id"]) == set(enrollees["enrollee_id"])
    for name in ("diagnoses", "drugs"):
        assert set(market[name]["enrollee_id"]) <= set(enrollees["enrollee_id"])
        assert market[name].is_unique().all()
    assert plans["plan_id"].is_unique().all()
    assert plans["plan_id"].str.contains("^0[0-9]{4}OH[0-9]{7}$").all()
    assert (plans["plan_id"].str.slice(0, 5) == plans["issuer_id"]).all()
    columns = ["plan_id", "issuer_id", "market", "metal_level"]
    assert spans.select(columns).unique().join(plans, on=columns, how="anti").height == 0


def test_order_of_rows(market: Tables) -> None:
    keys = {
        "enrollees": ["enrollee_id"],
        "spans": ["enrollee_id", "span_start"],
        "plans": ["plan_id"],
        "area_factors": ["issuer_id", "rating_area_id"],
        "costs": ["enrollee_id", "plan_id", "csr_variant"],
        "diagnoses": ["enrollee_id", "service_date", "diagnosis_code"],
        "drugs": ["enrollee_id", "service_date", "code_type", "code"],
    }
    for name, key in keys.items():
        assert market[name].equals(market[name].sort(key)), name


def test_policies(market: Tables, members: pl.DataFrame) -> None:
    spans = market["spans"]
    assert spans["relationship"].is_in(["self", "spouse", "child"]).all()
    assert ((spans["relationship"] == "self") == spans["subscriber_id"].is_null()).all()
    per_person = spans.group_by("enrollee_id").agg(
        pl.col("policy_id", "relationship", "issuer_id", "rating_area_id").n_unique()
    )
    assert (per_person.drop("enrollee_id").to_numpy() == 1).all()
    policies = members.group_by("policy_id").agg(
        size=pl.len(),
        subscribers=(pl.col("relationship") == "self").sum(),
        spouses=(pl.col("relationship") == "spouse").sum(),
        named=pl.col("subscriber_id").drop_nulls().unique(),
        subscriber=pl.col("enrollee_id").filter(pl.col("relationship") == "self").first(),
    )
    assert set(policies["size"].unique()) == {1, 2, 3, 4, 5, 6, 7}
    assert (policies["subscribers"] == 1).all()
    assert (policies["spouses"] <= 1).all()
    named = policies.filter(pl.col("size") > 1).explode("named", empty_as_null=True)
    assert (named["named"] == named["subscriber"]).all()


# ---- spans -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("benefit_year", [2024, pytest.param(2025, marks=pytest.mark.slow)])
def test_spans_lie_in_the_year_and_never_overlap(benefit_year: int) -> None:
    tables = market_of(4_000, benefit_year=benefit_year)
    spans = tables["spans"].join(tables["enrollees"], on="enrollee_id", validate="m:1", maintain_order="left")
    assert (spans["span_start"] <= spans["span_end"]).all()
    assert spans["span_start"].min() == date(benefit_year, 1, 1)
    assert spans["span_end"].max() == date(benefit_year, 12, 31)
    assert (spans["span_start"] >= spans["birth_date"]).all()
    previous = pl.col("span_end").shift(1).over("enrollee_id")
    assert spans.filter(pl.col("span_start") <= previous).height == 0


def test_dependents_are_covered_only_with_their_subscriber(market: Tables) -> None:
    spans = market["spans"]
    own = spans.filter(pl.col("relationship") == "self").select(
        "plan_id", "csr_variant", subscriber_id="enrollee_id", begins="span_start", ends="span_end"
    )
    dependents = spans.filter(pl.col("relationship") != "self")
    keys = ["subscriber_id", "plan_id", "csr_variant"]
    inside = dependents.join(own, on=keys).filter(
        (pl.col("span_start") >= pl.col("begins")) & (pl.col("span_end") <= pl.col("ends"))
    )
    found = inside.select("enrollee_id", "span_start").unique()
    assert found.height == dependents.height > 1_000


def test_part_years_changes_and_gaps_all_occur(market: Tables) -> None:
    spans = market["spans"].with_columns(
        previous_plan=pl.col("plan_id").shift(1).over("enrollee_id"),
        previous_variant=pl.col("csr_variant").shift(1).over("enrollee_id"),
        previous_end=pl.col("span_end").shift(1).over("enrollee_id"),
    )
    seconds = spans.filter(pl.col("previous_plan").is_not_null())
    gap = (seconds["span_start"] - seconds["previous_end"]).dt.total_days() - 1
    same_plan = seconds["previous_plan"] == seconds["plan_id"]
    same_variant = seconds["previous_variant"] == seconds["csr_variant"]
    assert (~same_plan).sum() > 100
    assert (same_plan & ~same_variant).sum() > 100
    assert (gap > 0).sum() > 50
    # Nothing is split without a reason: the last one is a birth in the policy, which changes its premium.
    born = market["enrollees"].filter(pl.col("birth_date") >= date(2025, 1, 1)).join(spans, on="enrollee_id")
    births = born.select("policy_id", span_start="birth_date").unique()
    other = seconds.filter((gap <= 0) & same_plan & same_variant)
    assert other.height > 20
    assert other.join(births, on=["policy_id", "span_start"], how="anti").height == 0
    full = spans.filter((pl.col("span_start") == date(2025, 1, 1)) & (pl.col("span_end") == date(2025, 12, 31)))
    assert 0.5 < full.height / 20_000 < 0.8


def test_variants_are_allowed_for_their_level(market: Tables) -> None:
    held = (
        market["spans"].select("csr_variant", metal=pl.col("metal_level").replace("expanded_bronze", "bronze")).unique()
    )
    factors = table("hhs_hcc/csr_factors", year=2025).select("hios_variant", "metal").drop_nulls()
    any_metal = factors.filter(metal="any")["hios_variant"].to_list()
    exact = held.join(factors, left_on=["csr_variant", "metal"], right_on=["hios_variant", "metal"], how="anti")
    assert exact.filter(~pl.col("csr_variant").is_in(any_metal)).height == 0
    assert set(held["csr_variant"]) == {"00", "01", "02", "03", "04", "05", "06"}
    assert set(held.filter(pl.col("csr_variant") >= "04")["metal"]) == {"silver"}
    assert "catastrophic" not in set(held.filter(pl.col("csr_variant").is_in(["02", "03"]))["metal"])


def test_catastrophic_coverage_is_for_people_under_30(market: Tables) -> None:
    spans = market["spans"].join(market["enrollees"], on="enrollee_id", validate="m:1", maintain_order="left")
    young = spans.filter(metal_level="catastrophic").with_columns(new_year=pl.lit(date(2025, 1, 1)))
    assert young.height > 100
    assert (young.select(age=age_on("new_year"))["age"] < 30).all()


# ---- people ----------------------------------------------------------------------------------------------------------


def test_children_live_with_adults(members: pl.DataFrame) -> None:
    subscribers = members.filter(relationship="self")
    spouses = members.filter(relationship="spouse")
    assert (subscribers.select(age=age_on("first_day"))["age"] >= 17).all()
    assert (spouses.select(age=age_on("first_day"))["age"] >= 17).all()
    children = members.filter(relationship="child")
    assert (children.select(age=age_on("first_day"))["age"] < 26).all()
    parents = subscribers.select(subscriber_id="enrollee_id", parent_birth="birth_date")
    years = children.join(parents, on="subscriber_id", validate="m:1").select(
        gap=pl.col("birth_date").dt.year() - pl.col("parent_birth").dt.year()
    )
    assert years.height == children.height > 1_000
    assert (years["gap"] >= 18).all()


def test_siblings_are_twins_or_nine_months_apart(members: pl.DataFrame) -> None:
    children = members.filter(relationship="child").sort("policy_id", "birth_date")
    days = children.select(days=pl.col("birth_date").diff().over("policy_id").dt.total_days())["days"].drop_nulls()
    assert days.len() > 500
    assert (days == 0).any()
    assert days.filter(days > 0).min() >= 260


def test_newborns_are_covered_from_birth_and_coded(market: Tables, members: pl.DataFrame) -> None:
    newborns = members.filter(pl.col("birth_date").dt.year() == 2025)
    assert newborns.height > 50
    assert (newborns["birth_date"] == newborns["first_day"]).all()
    assert (newborns["relationship"] == "child").all()
    category = table("hhs_hcc/icd10_to_cc", year=2025).select(diagnosis_code="icd10", cc=pl.col("cc").cast(pl.String))
    births = market["diagnoses"].join(category, on="diagnosis_code").select("enrollee_id", "service_date", "cc")
    coded = newborns.join(births, left_on=["enrollee_id", "birth_date"], right_on=["enrollee_id", "service_date"])
    coded = coded.filter(pl.col("cc").is_in([str(cc) for cc in range(242, 250)]))["enrollee_id"].n_unique()
    assert 0.88 < coded / newborns.height <= 1
    women = members.filter(sex="F").select("policy_id", mother="enrollee_id")
    deliveries = births.filter(pl.col("cc").is_in(["207", "208", "209"]))
    delivered = newborns.join(women, on="policy_id").join(
        deliveries, left_on=["mother", "birth_date"], right_on=["enrollee_id", "service_date"]
    )
    assert delivered["enrollee_id"].n_unique() == newborns.height


def test_shares_look_like_a_market(market: Tables, members: pl.DataFrame) -> None:
    def share(condition: pl.Expr, frame: pl.DataFrame) -> float:
        return frame.select(condition.mean()).item()

    bounds = {
        "women": (0.50, 0.57, share(pl.col("sex") == "F", members)),
        "children under 18": (0.06, 0.16, share(pl.col("age_last") < 18, members)),
        "18-34": (0.20, 0.33, share(pl.col("age_last").is_between(18, 34), members)),
        "55-64": (0.18, 0.28, share(pl.col("age_last").is_between(55, 64), members)),
        "65 and more": (0.002, 0.03, share(pl.col("age_last") >= 65, members)),
    }
    metals = {"silver": (0.48, 0.60), "gold": (0.08, 0.16), "bronze": (0.10, 0.20), "expanded_bronze": (0.12, 0.22)}
    metals |= {"platinum": (0.01, 0.04), "catastrophic": (0.005, 0.03)}
    for name, (low, high) in metals.items():
        bounds[name] = (low, high, share(pl.col("metal_level") == name, market["spans"]))
    silver = market["spans"].filter(metal_level="silver")
    bounds["94% variant on silver"] = (0.3, 0.5, share(pl.col("csr_variant") == "06", silver))
    outside = {name: bound for name, bound in bounds.items() if not bound[0] <= bound[2] <= bound[1]}
    assert not outside
    assert members["age_last"].min() == 0
    assert members["age_last"].max() <= 80


# ---- diagnoses and drugs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "benefit_year", [2024, *(pytest.param(y, marks=pytest.mark.slow) for y in (2018, 2021, 2025, 2026))]
)
def test_every_code_of_a_condition_holds_for_its_person_and_day(benefit_year: int) -> None:
    tables = market_of(4_000, benefit_year=benefit_year)
    rules = table("hhs_hcc/icd10_to_cc", year=benefit_year).rename({"icd10": "diagnosis_code"})
    last = tables["spans"].group_by("enrollee_id").agg(last_day=pl.col("span_end").max())
    people = tables["enrollees"].join(last, on="enrollee_id", validate="1:1")
    records = tables["diagnoses"].with_row_index("record").join(people, on="enrollee_id", validate="m:1")
    records = records.with_columns(age_last=age_on("last_day"), age=age_on("service_date"))
    assert (records["age"] >= 0).all()
    assert (records["age_last"] - records["age"]).is_in([0, 1]).all()
    mapped = records.join(rules, on="diagnosis_code")
    sex = pl.when(pl.col("sex") == "M").then(pl.lit("male")).otherwise(pl.lit("female"))
    autumn = pl.col("service_date") >= date(benefit_year, 10, 1)
    holds = (
        pl.when(autumn).then(pl.col("valid_fy_end").fill_null(pl.col("valid_fy_start"))).otherwise("valid_fy_start")
        & (pl.col("mce_age_min").fill_null(0) <= pl.col("age"))
        & (pl.col("mce_age_max").fill_null(200) >= pl.col("age"))
        & (pl.when(autumn).then("mce_sex_w2").otherwise("mce_sex_w1").fill_null(sex) == sex)
        & (pl.col("split_age_min").fill_null(0) <= pl.col("age_last"))
        & (pl.col("split_age_max").fill_null(200) >= pl.col("age_last"))
        & (pl.col("split_sex").fill_null(sex) == sex)
    )
    accepted = mapped.group_by("record").agg(holds.any().alias("holds"))
    assert accepted["holds"].all()
    assert 0.2 < accepted.height / records.height < 0.4
    everyday = {code for code, _, _ in assumed.EVERYDAY_CODES}
    assert set(records["diagnosis_code"]) - set(rules["diagnosis_code"]) <= everyday
    assert 6 < records.height / 4_000 < 15


def test_everyday_codes_are_well_formed_and_lead_nowhere() -> None:
    codes = pl.Series([code for code, _, _ in assumed.EVERYDAY_CODES])
    assert codes.is_unique().all()
    assert codes.str.contains("^[A-Z][0-9][0-9A-Z]{1,5}$").all()
    for year in (2018, 2021, 2025, 2026):
        assert not set(codes) & set(table("hhs_hcc/icd10_to_cc", year=year)["icd10"])
    assert {len(weights) for _, _, weights in assumed.EVERYDAY_CODES} == {len(assumed.EVERYDAY_AGES) + 1}


def test_everyday_codes_fit_the_sex(market: Tables) -> None:
    sexes = market["diagnoses"].join(market["enrollees"], on="enrollee_id", validate="m:1")
    for sex, other in (("F", "M"), ("M", "F")):
        codes = [code for code, only, _ in assumed.EVERYDAY_CODES if only == sex]
        held = sexes.filter(pl.col("diagnosis_code").is_in(codes))
        assert held.height > 100
        assert other not in set(held["sex"])


def test_services_fall_on_covered_days(market: Tables) -> None:
    spans = market["spans"].select("enrollee_id", "span_start", "span_end")
    for name in ("diagnoses", "drugs"):
        days = market[name].select("enrollee_id", "service_date").unique()
        covered = days.join(spans, on="enrollee_id").filter(
            pl.col("service_date").is_between(pl.col("span_start"), pl.col("span_end"))
        )
        assert covered.height == days.height > 10_000


@pytest.mark.parametrize("benefit_year", [2018, 2025, 2026])
def test_drug_codes_are_published_or_made_up_on_purpose(benefit_year: int) -> None:
    drugs = market_of(4_000, benefit_year=benefit_year)["drugs"]
    ndc = table("hhs_hcc/ndc_to_rxc", year=benefit_year).filter("in_latest_release")["ndc11"]
    hcpcs = table("hhs_hcc/hcpcs_to_rxc", year=benefit_year).filter("in_latest_release")["hcpcs"]
    prevention = table("hhs_hcc/acf_code_map").filter(benefit_year=benefit_year)
    known = {"ndc": set(ndc) | set(assumed.EVERYDAY_NDCS), "hcpcs": set(hcpcs)}
    for kind in known:
        known[kind] |= set(prevention.filter(code_type=kind)["code"])
        held = set(drugs.filter(code_type=kind)["code"])
        assert held, kind
        assert held <= known[kind]
    assert set(drugs["code_type"]) == {"ndc", "hcpcs"}
    assert drugs.filter(code_type="ndc")["code"].str.contains("^[0-9]{11}$").all()
    assert not set(assumed.EVERYDAY_NDCS) & set(ndc)
    used_for_prevention = drugs["code"].is_in(prevention["code"].implode()).any()
    assert used_for_prevention == (benefit_year == 2026)


def test_drugs_go_with_their_conditions(market: Tables) -> None:
    classes = table("hhs_hcc/ndc_to_rxc", year=2025).filter("in_latest_release").select(code="ndc11", rxc="rxc")
    taken = market["drugs"].filter(code_type="ndc").join(classes, on="code")
    expected = (("E10", "RXC_06", 0.85), ("B20", "RXC_01", 0.6), ("K5[01]", "RXC_05", 0.25), ("G35", "RXC_08", 0.2))
    for prefix, rxc, least in expected:
        of_condition = pl.col("diagnosis_code").str.contains(f"^{prefix}")
        ill = set(market["diagnoses"].filter(of_condition)["enrollee_id"])
        takers = set(taken.filter(rxc=rxc)["enrollee_id"])
        assert ill
        assert len(ill & takers) / len(ill) > least, prefix
        assert len(takers) < 1_500


def test_illness_grows_with_age(market: Tables, members: pl.DataFrame) -> None:
    mapped = table("hhs_hcc/icd10_to_cc", year=2025)["icd10"].unique().implode()
    ill = market["diagnoses"].filter(pl.col("diagnosis_code").is_in(mapped))["enrollee_id"].unique().implode()
    by_age = [
        members.filter(pl.col("age_last").is_between(low, high)).select(pl.col("enrollee_id").is_in(ill).mean()).item()
        for low, high in ((2, 17), (21, 34), (35, 44), (45, 54), (55, 64))
    ]
    assert by_age == sorted(by_age)
    assert by_age[0] < 0.12
    assert 0.25 < by_age[-1] < 0.45


def test_scores_look_like_a_market(market: Tables) -> None:
    import riskadjust

    result = riskadjust.score(
        market["enrollees"], market["spans"], market["diagnoses"], market["drugs"], benefit_year=2025
    )
    scores = result.scores
    assert set(scores["model"]) == {"adult", "child", "infant"}
    assert 1.1 < scores.filter(model="adult")["score_silver"].mean() < 1.5
    assert 1.0 < scores["csr_adjusted_score"].mean() < 1.4
    assert scores["csr_adjusted_score"].null_count() == 0
    assert result.counts.select((pl.col("rejected") == 0).all()).item()


# ---- sizes, years, bad arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("enrollees", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 10))])
def test_small_markets_are_whole(enrollees: int) -> None:
    for seed in range(1 if enrollees == 1 else 3):
        tables = synthetic_market("VT", enrollees=enrollees, seed=seed)
        assert tables["enrollees"].height == enrollees
        spans = tables["spans"]
        assert set(spans["enrollee_id"]) == set(tables["enrollees"]["enrollee_id"])
        assert set(spans["subscriber_id"].drop_nulls()) <= set(spans.filter(relationship="self")["enrollee_id"])
        assert spans["plan_id"].str.slice(5, 2).unique().to_list() == ["VT"]


def test_year_with_29_february() -> None:
    tables = market_of(4_000, benefit_year=2024)
    assert date(2024, 2, 29) in set(tables["diagnoses"]["service_date"])
    birthdays = tables["enrollees"].filter(
        (pl.col("birth_date").dt.month() == 2) & (pl.col("birth_date").dt.day() == 29)
    )
    assert birthdays.height > 0


def test_made_up_year_from_an_overlay(tmp_path: Path) -> None:
    family = tmp_path / "hhs_hcc"
    family.mkdir()
    kept = {
        "icd10_to_cc": pl.col("cc").is_in(["21", "161_2"]),
        "ndc_to_rxc": pl.col("rxc") == "RXC_07",
        "hcpcs_to_rxc": pl.lit(True),
    }
    for name, condition in kept.items():
        frame = table(f"hhs_hcc/{name}", year=2025).filter(condition)
        frame = frame.with_columns(benefit_year=pl.lit(2031).cast(frame.schema["benefit_year"]))
        frame.write_parquet(family / f"{name}.parquet")
    with use(tmp_path):
        tables = synthetic_market("NY", enrollees=2_000, seed=1, benefit_year=2031)
        codes = set(table("hhs_hcc/icd10_to_cc", year=2031)["icd10"])
    everyday = {code for code, _, _ in assumed.EVERYDAY_CODES}
    assert set(tables["diagnoses"]["diagnosis_code"]) <= codes | everyday
    assert set(tables["diagnoses"]["diagnosis_code"]) & codes
    assert tables["spans"]["span_end"].max() == date(2031, 12, 31)


@pytest.mark.parametrize("benefit_year", [2014, 2020])
def test_year_without_tables_names_the_table(benefit_year: int) -> None:
    with pytest.raises(TableMissing, match="hhs_hcc/icd10_to_cc"):
        synthetic_market("NY", enrollees=10, seed=1, benefit_year=benefit_year)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": "XX"}, "state 'XX'"),
        ({"state": "ny"}, "two capital letters"),
        ({"state": None}, "state None"),
        ({"enrollees": 0}, "enrollees 0 is out of range"),
        ({"enrollees": -5}, "from 1 to 99999999"),
        ({"enrollees": 100_000_000}, "out of range"),
        ({"enrollees": 10.0}, "enrollees is of type float"),
        ({"enrollees": "10"}, "enrollees is of type str"),
        ({"enrollees": True}, "enrollees is of type bool"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"seed": None}, "seed is of type NoneType"),
        ({"benefit_year": "2025"}, "benefit_year is of type str"),
        ({"benefit_year": 1999}, "benefit_year 1999 is out of range"),
        ({"markets": ()}, "one or more of individual, small_group"),
        ({"markets": "individual"}, "markets 'individual'"),
        ({"markets": ("individual", "large_group")}, "each once"),
        ({"markets": ("individual", "individual")}, "each once"),
        ({"markets": ("individual", 2)}, "are not known"),
        ({"markets": None}, "markets None"),
        ({"enrollees": 60_000_000, "markets": ("individual", "small_group")}, "at most 99999999 in all"),
    ],
)
def test_bad_arguments_are_refused(changed: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {"state": "NY", "enrollees": 10, "seed": 1, "benefit_year": 2025} | changed
    with pytest.raises(InputRefused, match=words):
        synthetic_market(arguments.pop("state"), **arguments)  # type: ignore[arg-type]


# ---- size and pace ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_people_have_about_ten_million_diagnoses() -> None:
    tables = synthetic_market("OH", enrollees=1_000_000, seed=1)
    assert tables["enrollees"]["enrollee_id"].n_unique() == 1_000_000
    assert 8_000_000 < tables["diagnoses"].height < 13_000_000
    assert 20 < tables["costs"].filter(pl.col("plan_paid") > 1_000_000).height < 200
