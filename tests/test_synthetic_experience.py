"""The made-up experience of an issuer: it is the market's own costs, its parts agree, and it looks like claims."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest
from made_up import Tables, market_of

from data_specs import _synthetic_claim_assumptions as assumed
from data_specs._synthetic_enrolled import synthetic_projection
from data_specs._synthetic_experience import synthetic_experience
from data_specs.errors import InputRefused
from rating.filing import experience, trend_study

YEAR = 2025
CENT = Decimal("0.01")
CATEGORIES = [category.name for category in assumed.CATEGORIES]
SCHEMAS = {
    "experience": {
        **dict.fromkeys(("issuer_id", "state", "market"), pl.String),
        "incurred_month": pl.Date,
        **dict.fromkeys(("plan_id", "benefit_category"), pl.String),
        "is_ehb": pl.Boolean,
        "member_months": pl.Decimal(14, 4),
        **dict.fromkeys(("allowed_paid_to_date", "incurred_paid_to_date"), pl.Decimal(16, 2)),
        "completion_factor": pl.Float64,
        **dict.fromkeys(("pharmacy_rebates", "premium", "risk_adjustment"), pl.Decimal(16, 2)),
    },
    "claim_triangle": {
        **dict.fromkeys(("incurred_month", "paid_month"), pl.Date),
        "benefit_category": pl.String,
        "paid_amount": pl.Decimal(16, 2),
    },
    "claim_history": {
        "incurred_month": pl.Date,
        "benefit_category": pl.String,
        "member_months": pl.Decimal(14, 4),
        "allowed_paid_to_date": pl.Decimal(16, 2),
        "completion_factor": pl.Float64,
        "services": pl.Int64,
    },
    "large_claims": {
        **dict.fromkeys(("enrollee_id", "plan_id"), pl.String),
        "incurred_month": pl.Date,
        "benefit_category": pl.String,
        "allowed": pl.Decimal(12, 2),
    },
    "market_claims": {"benefit_category": pl.String, "allowed_pmpm": pl.Decimal(16, 2)},
    "current": {
        "plan_id": pl.String,
        "current_enrollment": pl.Int64,
        **dict.fromkeys(("current_premium_pmpm", "current_calibrated_rate"), pl.Decimal(10, 2)),
    },
    "mix": {**dict.fromkeys(("kind", "level", "billable"), pl.String), "member_months": pl.Int64},
    "areas": {"rating_area_id": pl.String, "area_factor": pl.Float64},
    "variants": {
        **dict.fromkeys(("plan_id", "csr_variant"), pl.String),
        "member_months": pl.Int64,
        **dict.fromkeys(("paid_to_allowed", "induced_demand"), pl.Float64),
    },
}
DIGEST = """
import sys, hashlib
from data_specs import synthetic_market
from data_specs._synthetic_experience import synthetic_experience
found = synthetic_experience(synthetic_market("TX", enrollees=500, seed=11), seed=2)
text = "".join(name + found[name].write_csv() for name in sorted(found))
sys.stdout.write(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def market() -> Tables:
    return market_of(4_000)


@pytest.fixture(scope="module")
def claims(market: Tables) -> Tables:
    return synthetic_experience(market, seed=7)


@pytest.fixture(scope="module")
def people(market: Tables) -> Tables:
    return synthetic_projection(market, seed=7)


@pytest.fixture(scope="module")
def completed(claims: Tables):  # type: ignore[no-untyped-def]
    return experience(claims["experience"], triangle=claims["claim_triangle"], plan_year=YEAR + 2)


def own(market: Tables, table: str, issuer: str = "00101") -> pl.DataFrame:
    return market[table].filter(pl.col("plan_id").str.starts_with(issuer))


def by_plan(frame: pl.DataFrame, *columns: str) -> dict[str, tuple[Decimal, ...]]:
    summed = frame.group_by("plan_id").agg(pl.col(*columns).sum()).sort("plan_id")
    return {plan: tuple(values) for plan, *values in summed.rows()}


# ---- shape -----------------------------------------------------------------------------------------------------------


def test_tables_have_their_columns(claims: Tables, people: Tables) -> None:
    assert {name: dict(frame.schema) for name, frame in {**claims, **people}.items()} == SCHEMAS


def test_keys_hold(claims: Tables, people: Tables) -> None:
    keys = {
        "experience": ["incurred_month", "plan_id", "benefit_category", "is_ehb"],
        "claim_triangle": ["incurred_month", "paid_month", "benefit_category"],
        "claim_history": ["incurred_month", "benefit_category"],
        "large_claims": ["enrollee_id"],
        "variants": ["plan_id", "csr_variant"],
        "mix": ["kind", "level", "billable"],
    }
    tables = {**claims, **people}
    assert [name for name, key in keys.items() if tables[name].select(key).is_duplicated().any()] == []
    assert set(claims["experience"]["benefit_category"]) == set(CATEGORIES)
    assert set(claims["claim_triangle"]["benefit_category"]) == set(CATEGORIES) - {"capitation"}


@pytest.mark.slow
def test_same_seed_same_bytes(market: Tables, claims: Tables) -> None:
    again = synthetic_experience(market, seed=7)
    assert all(again[name].equals(frame) for name, frame in claims.items())
    other = synthetic_experience(market, seed=8)
    assert not other["claim_triangle"].equals(claims["claim_triangle"])
    # Another spread of the same costs.
    assert by_plan(other["experience"], "premium") == by_plan(claims["experience"], "premium")


@pytest.mark.slow
def test_number_of_threads_changes_nothing() -> None:
    said = []
    for threads in ("1", "4"):
        environment = {**os.environ, "POLARS_MAX_THREADS": threads}
        run = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, check=True, env=environment)
        said.append(run.stdout.decode())
    assert said[0] == said[1]
    assert len(said[0]) == hashlib.sha256().digest_size * 2


# ---- its parts agree -------------------------------------------------------------------------------------------------


def test_triangle_adds_up_to_the_experience(claims: Tables) -> None:
    keys = ["incurred_month", "benefit_category"]
    held = claims["experience"].filter(pl.col("benefit_category") != "capitation")
    paid = held.group_by(keys).agg(pl.col("allowed_paid_to_date").sum()).sort(keys)
    triangle = claims["claim_triangle"].filter(pl.col("incurred_month").dt.year() == YEAR)
    cells = triangle.group_by(keys).agg(allowed_paid_to_date=pl.col("paid_amount").sum()).sort(keys)
    assert paid.height == 60
    assert paid.rows() == cells.rows()


def test_history_is_the_triangle_and_the_experience(claims: Tables) -> None:
    keys = ["benefit_category", "incurred_month"]
    cells = claims["claim_triangle"].group_by(keys).agg(pl.col("paid_amount").sum()).sort(keys)
    history = claims["claim_history"].filter(pl.col("benefit_category") != "capitation").sort(keys)
    assert history.select(*keys, "allowed_paid_to_date").rows() == cells.rows()
    months = claims["experience"].select("incurred_month", "plan_id", "member_months").unique()
    now = months.group_by("incurred_month").agg(pl.col("member_months").sum()).sort("incurred_month")
    held = claims["claim_history"].filter(benefit_category="capitation").sort("incurred_month").tail(12)
    assert held.select("incurred_month", "member_months").rows() == now.rows()


def test_triangle_has_no_holes_and_nothing_falls(claims: Tables) -> None:
    triangle = claims["claim_triangle"]
    months = [date(YEAR - 2 + m // 12, m % 12 + 1, 1) for m in range(39)]
    assert sorted(triangle["paid_month"].unique()) == months
    assert sorted(triangle["incurred_month"].unique()) == months[:36]
    assert triangle.height == 5 * sum(39 - m for m in range(36))
    assert triangle["paid_amount"].min() >= 0  # type: ignore[operator]


def test_member_months_are_the_people_of_the_15th(market: Tables, claims: Tables) -> None:
    spans = own(market, "spans")
    months = claims["experience"].select("incurred_month", "plan_id", "member_months").unique()
    for month, plan, found in months.sort("incurred_month", "plan_id").rows():
        day = month + timedelta(days=14)
        covered = spans.filter(pl.col("span_start") <= day, pl.col("span_end") >= day, plan_id=plan)
        assert found == covered["enrollee_id"].n_unique() == covered.height


def test_premium_is_earned_by_the_day(market: Tables, claims: Tables) -> None:
    """A person at a time, a month at a time; the plans' sums are rounded once for each month."""
    plan = "00101OH0010001"
    spans = own(market, "spans").filter(pl.col("premium_monthly").is_not_null(), plan_id=plan)
    held = claims["experience"].filter(plan_id=plan).select("incurred_month", "premium").unique()
    for month, found in held.rows():
        after = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        length = (after - month).days
        total = Decimal(0)
        for start, end, premium in spans.select("span_start", "span_end", "premium_monthly").rows():
            days = (min(end + timedelta(days=1), after) - max(start, month)).days
            total += premium * max(days, 0)
        assert abs(found - total / length) <= CENT / 2


def test_risk_adjustment_is_shared_out_to_the_cent(market: Tables, claims: Tables) -> None:
    transfers = pl.DataFrame({"plan_id": ["00101OH0010001", "00101OH0010004"], "transfer": [1234.57, -98765.43]})
    found = synthetic_experience(market, seed=7, transfers=transfers)["experience"]
    months = found.select("incurred_month", "plan_id", "risk_adjustment").unique()
    sums = by_plan(months, "risk_adjustment")
    assert sums["00101OH0010001"] == (Decimal("1234.57"),)
    assert sums["00101OH0010004"] == (Decimal("-98765.43"),)
    assert sums["00101OH0010007"] == (Decimal("0.00"),)
    assert found.drop("risk_adjustment").equals(claims["experience"].drop("risk_adjustment"))
    assert claims["experience"]["risk_adjustment"].null_count() == found.height
    with pytest.raises(InputRefused, match="1 plans that issuer 00101 does not sell"):
        synthetic_experience(market, seed=7, transfers=transfers.with_columns(plan_id=pl.lit("00202OH0010001")))


# ---- it is what the market cost --------------------------------------------------------------------------------------


def test_completed_it_comes_back_to_the_costs_of_the_market(market: Tables, claims: Tables, completed) -> None:  # type: ignore[no-untyped-def]
    costs = own(market, "costs")
    allowed = float(completed.value("exp_allowed_claims_total"))
    incurred = float(completed.value("exp_incurred_claims_total"))
    assert allowed == pytest.approx(float(costs["allowed"].sum()), rel=0.01)
    assert incurred == pytest.approx(float(costs["plan_paid"].sum()), rel=0.01)
    paid_to_date = float(claims["experience"]["allowed_paid_to_date"].sum())
    assert paid_to_date - float(claims["experience"]["pharmacy_rebates"].sum()) < 0.99 * allowed
    held = dict(completed.plans.select("plan_id", "exp_allowed").rows())
    for plan, (cost,) in by_plan(costs, "allowed").items():
        assert held[plan] == pytest.approx(float(cost), rel=0.05), plan


def test_nothing_is_noticed_but_the_lack_of_reinsurance(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed.findings["rule_id"].to_list() == ["EXP-017"]


def test_ultimate_claims_of_a_plan_are_its_costs_to_the_cent(market: Tables) -> None:
    """Seen long enough, everything is paid: the months of the triangle run out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assumed, "RUN_OUT", 24)
        found = synthetic_experience(market, seed=7)["experience"]
    less = pl.col("pharmacy_rebates").fill_null(0)
    net = found.with_columns(pl.col("allowed_paid_to_date", "incurred_paid_to_date") - less)
    costs = own(market, "costs")
    assert by_plan(net, "allowed_paid_to_date") == by_plan(costs, "allowed")
    assert by_plan(net, "incurred_paid_to_date") == by_plan(costs, "plan_paid")
    assert (found["incurred_paid_to_date"] <= found["allowed_paid_to_date"]).all()
    assert found["incurred_paid_to_date"].min() >= 0  # type: ignore[operator]


def test_large_claims_are_those_of_the_market(market: Tables, claims: Tables) -> None:
    costs = own(market, "costs").filter(pl.col("allowed") > assumed.LARGE_CLAIM)
    now = claims["large_claims"].filter(pl.col("plan_id").is_not_null())
    keys = ["enrollee_id", "plan_id", "allowed"]
    assert now.select(keys).sort(keys).rows() == costs.select(keys).sort(keys).rows()
    assert now.height > 0
    spans = own(market, "spans")
    covered = now.join(spans, on=["enrollee_id", "plan_id"])
    in_month = covered.filter(
        pl.col("span_start") <= pl.col("incurred_month").dt.month_end(), pl.col("span_end") >= pl.col("incurred_month")
    )
    assert in_month["enrollee_id"].n_unique() == now.height
    before = claims["large_claims"].filter(pl.col("plan_id").is_null())
    assert set(before["incurred_month"].dt.year()) <= {YEAR - 2, YEAR - 1}
    assert before["allowed"].is_between(assumed.LARGE_CLAIM, assumed.LARGEST_EARLIER).all()


# ---- it looks like claims --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_out(market: Tables) -> Tables:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assumed, "RUN_OUT", 24)
        return synthetic_experience(market, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("place", [1, 2, 3, 5])
def test_the_trend_that_was_put_in_is_found(run_out: Tables, place: int) -> None:
    category = assumed.CATEGORIES[place]
    history = run_out["claim_history"].filter(benefit_category=category.name)
    found = trend_study(history.rename({"allowed_paid_to_date": "allowed"}).drop("completion_factor"))
    cost, use = ((1 + growth / 1_000_000) ** 12 - 1 for growth in (category.cost_growth, category.use_growth))
    for measure, expected in (("unit_cost", cost), ("utilization", use)):
        row = found.trends.filter(measure=measure, view="monthly").to_dicts()[0]
        assert row["low"] - 0.01 < expected < row["high"] + 0.01, (measure, row)


def test_claims_rise_by_about_seven_percent_a_year(run_out: Tables) -> None:
    history = run_out["claim_history"]
    large = run_out["large_claims"].group_by("incurred_month", "benefit_category").agg(pl.col("allowed").sum())
    ordinary = history.join(large, on=["incurred_month", "benefit_category"], how="left").with_columns(
        usd=(pl.col("allowed_paid_to_date") - pl.col("allowed").fill_null(0)).cast(pl.Float64)
    )
    months = ordinary.group_by("incurred_month").agg(
        pmpm=pl.col("usd").sum() / pl.col("member_months").cast(pl.Float64).first()
    )
    years = months.group_by(pl.col("incurred_month").dt.year()).agg(pl.col("pmpm").mean()).sort("incurred_month")
    first, _, last = years["pmpm"].to_list()
    assert 1.055 < (last / first) ** 0.5 < 1.085


def test_payments_lag_by_category(claims: Tables) -> None:
    triangle = claims["claim_triangle"].filter(pl.col("incurred_month") < date(YEAR - 1, 7, 1))
    at_once = pl.col("paid_amount").filter(pl.col("paid_month") == pl.col("incurred_month")).sum()
    shares = dict(triangle.group_by("benefit_category").agg(at_once / pl.col("paid_amount").sum()).rows())
    assert shares["prescription_drug"] > 0.85
    assert shares["inpatient_hospital"] < shares["outpatient_hospital"] < shares["professional"] < 0.35


def test_deductibles_make_plans_pay_more_through_the_year(run_out: Tables) -> None:
    sums = (
        run_out["experience"]
        .group_by("incurred_month")
        .agg(pl.col("incurred_paid_to_date").sum() / pl.col("allowed_paid_to_date").sum())
    )
    ratios = [float(r) for r in sums.sort("incurred_month")["incurred_paid_to_date"]]
    assert ratios[0] < ratios[5] < ratios[11]
    assert ratios[0] > 0.6
    assert ratios[11] < 0.95


# ---- who is rated next -----------------------------------------------------------------------------------------------


def test_the_mix_is_everybody_once_by_each_kind(market: Tables, people: Tables) -> None:
    last = date(YEAR, 12, 31)
    now = own(market, "spans").filter(pl.col("span_start") <= last, pl.col("span_end") >= last)
    total = 12 * now.height
    sums = dict(people["mix"].group_by("kind").agg(pl.col("member_months").sum()).rows())
    assert sums == {"age": total, "area": total, "tobacco": total}
    assert people["current"]["current_enrollment"].sum() * 12 == total
    assert people["variants"]["member_months"].sum() == total
    assert set(people["mix"].filter(kind="area")["level"]) <= set(people["areas"]["rating_area_id"])
    free = people["mix"].filter(kind="age", billable="N")
    assert set(free["level"]) <= {"0-14", *map(str, range(15, 21))}
    smokers = sums["tobacco"] - people["mix"].filter(kind="tobacco", level="N")["member_months"].item()
    assert 0.02 < smokers / total < 0.15


def test_richer_variants_pay_more_of_the_same_care(people: Tables) -> None:
    worth = {(plan[-2:], code): ratio for plan, code, _, ratio, _ in people["variants"].rows()}
    assert worth["04", "06"] > worth["04", "05"] > worth["04", "04"] > worth["04", "01"]
    assert worth["04", "00"] == worth["04", "01"]
    assert worth["01", "01"] > worth["02", "01"] > worth["04", "01"] > worth["07", "01"]


@pytest.mark.slow
def test_current_rates_are_those_of_the_year_after(market: Tables, people: Tables) -> None:
    now = dict(own(market, "plans").select("plan_id", "base_premium_monthly").rows())
    later = dict(own(market_of(10, benefit_year=YEAR + 1), "plans").select("plan_id", "base_premium_monthly").rows())
    rates = dict(people["current"].select("plan_id", "current_calibrated_rate").rows())
    assert rates == {plan: later[plan] for plan in rates}
    assert all(1.03 < later[plan] / now[plan] < 1.06 for plan in rates)


@pytest.mark.slow
def test_states_with_family_tiers_and_empty_issuers_are_refused(market: Tables) -> None:
    with pytest.raises(InputRefused, match="rates by family tiers"):
        synthetic_projection(market_of(200, state="NY"), seed=1)
    with pytest.raises(InputRefused, match="covers nobody"):
        synthetic_experience(market, seed=1, issuer_id="99999")


@pytest.mark.slow
def test_another_issuer_has_its_own(market: Tables, claims: Tables) -> None:
    found = synthetic_experience(market, seed=7, issuer_id="00202")
    assert set(found["experience"]["issuer_id"]) == {"00202"}
    assert found["market_claims"].select(pl.col("allowed_pmpm").sum()).item() == pytest.approx(
        claims["market_claims"].select(pl.col("allowed_pmpm").sum()).item(), rel=Decimal("0.02")
    )
