"""Properties of transfers over random markets, against the twin in exact fractions, and the published figures."""

import functools
import io
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
import transfers_oracle as twin

from data_specs import table
from riskadjust import Transfers, published_residuals, transfers

K = Fraction("0.14")
NUMBERS = ("billable_member_months", "premium", "plrs", "arf", "gcf")


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{c: float(v) if c in NUMBERS else v for c, v in row.items()} for row in rows])


@functools.lru_cache(maxsize=2)
def markets(first: int, count: int) -> list[dict[str, Any]]:
    """Rows of some markets; callers copy what they change."""
    return [row for seed in range(first, first + count) for row in twin.random_market(seed, f"M{seed:05d}")]


@functools.lru_cache(maxsize=2)
def exact_markets(first: int) -> list[Any]:
    return twin.exact_pools(markets(first, 50), K)


@functools.lru_cache(maxsize=2)
def settled_markets(first: int) -> Transfers:
    return settled(markets(first, 50))


def settled(rows: list[dict[str, Any]] | pl.DataFrame, **more: Any) -> Transfers:
    frame = rows if isinstance(rows, pl.DataFrame) else frame_of(rows)
    return transfers(frame, benefit_year=2023, **more)


def cents(frame: pl.DataFrame, keys: tuple[str, ...], column: str) -> dict[tuple[str, ...], int]:
    values = [None if v is None else int(v * 100) for v in frame[column].to_list()]
    return {key: v for key, v in zip(frame.select(keys).rows(), values, strict=True) if v is not None}


def plan_cents(result: Transfers) -> dict[tuple[str, ...], int]:
    return cents(result.plans, twin.KEY, "transfer")


def issuer_cents(result: Transfers, column: str = "transfer") -> dict[tuple[str, ...], int]:
    return cents(result.issuers, twin.KEY[:3], column)


def content(result: Transfers) -> list[bytes]:
    """The bytes of all frames of a result, as files."""
    made = []
    for frame in (
        result.plans,
        result.issuers,
        result.pools,
        result.zero_month_plans,
        result.findings,
        result.settings,
    ):
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        made += [buffer.getvalue(), frame.write_csv().encode()]
    return made


def shuffled(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    return random.Random(seed).sample(rows, len(rows))


# Default selection: 50 markets in one call; the slow one: 1,200 more, in calls of 50.
BATCHES = [
    pytest.param(0, id="50"),
    *(pytest.param(50 * i, id=f"more-{i}", marks=pytest.mark.slow) for i in range(1, 25)),
]


SETTINGS = [
    {"issuer_rounding": rounding, "cents_balance": balance}
    for rounding in ("unrounded_plans", "rounded_plans")
    for balance in ("off", "largest_remainder")
]


@pytest.mark.parametrize("first", BATCHES)
def test_equal_to_the_twin(first):
    rows = frame_of(markets(first, 50))
    pools = exact_markets(first)
    for settings in SETTINGS if first else SETTINGS[1:3]:
        expected = twin.settle(pools, **settings)
        result = settled(rows, settings=settings)
        assert plan_cents(result) == expected["plan_cents"]
        assert issuer_cents(result) == expected["issuer_cents"]
    exact = {key: float(t) for key, t in expected["plan_exact"].items()}
    found = dict(zip(result.plans.select(twin.KEY).rows(), result.plans["transfer_unrounded"].to_list(), strict=True))
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("first", BATCHES)
def test_pools_sum_to_zero(first):
    rows = frame_of(markets(first, 50))
    result = settled_markets(first)
    money = result.pools["net_average_premium"] * result.pools["billable_member_months"]
    assert (result.pools["transfers_unrounded"].abs() <= 1e-12 * money).all()
    plans = result.plans.group_by("state").agg(pl.col("transfer_unrounded").abs().sum().alias("moved")).sort("state")
    assert (result.pools["transfers_unrounded"].abs() <= 1e-12 * plans["moved"] + 1e-15 * money).all()
    residual = result.issuers.group_by("state").agg(pl.col("transfer").sum()).sort("state")
    assert residual["transfer"].to_list() == result.pools["residual"].to_list()
    assert (result.pools["residual"].abs() <= Decimal("0.03")).all()
    assert result.pools["residual"].abs().sum() > 0
    balanced = settled(rows, settings={"cents_balance": "largest_remainder"})
    assert balanced.pools["residual"].to_list() == [Decimal(0)] * 50
    moved = [abs(a - b) for a, b in zip(issuer_cents(balanced).values(), issuer_cents(result).values(), strict=True)]
    assert max(moved) == 1


@pytest.mark.parametrize("first", BATCHES)
def test_scaling_premiums_scales_transfers(first):
    rows = markets(first, 50)
    tripled = [row | {"premium": row["premium"] * 3} for row in rows]
    once, thrice = settled_markets(first), settled(tripled)
    expected = (once.plans["transfer_unrounded"] * 3).to_list()
    assert thrice.plans["transfer_unrounded"].to_list() == pytest.approx(expected, rel=1e-9, abs=1e-6)
    exact = twin.settle(exact_markets(first))["plan_exact"]
    assert plan_cents(thrice) == {key: twin.cents(t * 3) for key, t in exact.items()}


@pytest.mark.parametrize("first", BATCHES)
@pytest.mark.parametrize(("column", "factor"), [("plrs", 7), ("arf", "0.125"), ("gcf", "1.6")])
def test_scaling_a_factor_changes_nothing(first, column, factor):
    rows = markets(first, 50)
    scaled = [row | {column: row[column] * Fraction(factor)} for row in rows]
    once, again = settled_markets(first), settled(scaled)
    assert plan_cents(again) == plan_cents(once)
    assert issuer_cents(again) == issuer_cents(once)


@pytest.mark.parametrize("first", BATCHES)
def test_scaling_actuarial_values_changes_nothing(first):
    rows = markets(first, 50)
    usual = frame_of(rows)
    once = settled_markets(first)
    values = {metal: float(av * Fraction("0.5")) for metal, (av, _) in twin.METAL.items()}
    again = settled(usual.with_columns(av=pl.col("metal_level").replace_strict(values, return_dtype=pl.Float64)))
    assert plan_cents(again) == plan_cents(once)
    assert again.findings.filter(rule_id="TRF-022")["rows"].to_list() == [usual.height]


@pytest.mark.parametrize("first", BATCHES)
def test_splitting_a_plan_changes_no_issuer(first):
    rows = markets(first, 50)
    halves = []
    for row in rows:
        thirtieths, premium = int(row["billable_member_months"] * 30), row["premium"]
        b, part = Fraction(thirtieths // 3, 30), Fraction(int(premium * 100) // 3, 100)
        other = {"plan_id": row["plan_id"] + "-2", "premium": premium - part}
        halves += [
            row | {"billable_member_months": b, "premium": part},
            row | other | {"billable_member_months": row["billable_member_months"] - b},
        ]
    # Premium of a part without months takes no part, so only rows that keep months in both parts are split.
    split = [
        h
        for h, row in zip(halves, [r for r in rows for _ in (0, 1)], strict=True)
        if row["billable_member_months"] >= Fraction(3, 30)
    ]
    whole = [row for row in rows if row["billable_member_months"] < Fraction(3, 30)]
    assert issuer_cents(settled([*split, *whole])) == issuer_cents(settled_markets(first))


@pytest.mark.parametrize("first", BATCHES)
def test_order_of_rows_changes_no_byte(first):
    rows = markets(first, 50)
    expected = content(settled_markets(first))
    assert content(settled(shuffled(rows, 1))) == expected
    assert content(settled(rows[::-1])) == expected


@pytest.mark.parametrize("first", BATCHES)
def test_error_rates_and_default_charges_equal_the_twin(first):
    draw = random.Random(first)
    rates = {issuer: Fraction(draw.randint(-200, 300), 1000) for issuer in ("10000", "10002")}
    rows = [row | {"error_rate": rates.get(row["issuer_id"], Fraction(0))} for row in markets(first, 50)]
    pools = sorted({(row["state"], row["risk_pool"]) for row in rows})
    charged = draw.sample(pools, 40)
    monthly = [Fraction(draw.randint(1, 99_999), 1000) for _ in charged]
    months = [Fraction(draw.randint(0, 9000), 30) for _ in charged]
    charges = {(*p, "99999"): twin.cents(d * b) for p, d, b in zip(charged, monthly, months, strict=True)}
    frame = pl.DataFrame(
        {
            "state": [s for s, _ in charged],
            "risk_pool": [p for _, p in charged],
            "issuer_id": ["99999"] * len(charged),
            "billable_member_months": [float(b) for b in months],
            "charge_pmpm": [float(d) for d in monthly],
        }
    )
    exact = twin.exact_pools(rows, K)
    for settings in SETTINGS if first else SETTINGS[3:]:
        expected = twin.settle(exact, charges=charges, **settings)
        result = settled(
            frame_of(markets(first, 50)),
            settings=settings,
            radv_error_rates={i: str(float(e)) for i, e in rates.items()},
            default_charges=frame,
        )
        assert plan_cents(result) == expected["plan_cents"]
        assert issuer_cents(result) == expected["issuer_cents"]
        assert issuer_cents(result, "transfer_and_share") == expected["both_cents"]
        assert {k: -v for k, v in issuer_cents(result, "default_charge").items()} == charges
        if settings["cents_balance"] == "largest_remainder":
            assert set(result.pools["residual_with_shares"].to_list()) == {Decimal(0)}


def test_random_markets_meet_every_edge():
    """The drawn markets hold what the properties are about."""
    rows = markets(0, 50)
    by_pool = twin.pools_of(rows).values()
    assert sum(len({r["issuer_id"] for r in p}) == 1 for p in by_pool) > 5
    assert sum(len(p) == 1 for p in by_pool) > 1
    assert sum(r["billable_member_months"] == 0 for r in rows) > 20
    assert {r["metal_level"] for r in rows} == set(twin.METAL)


def test_lone_issuers_and_lone_plans_net_exactly_zero():
    result = settled_markets(0)
    lone = result.issuers.filter((pl.col("billable_member_months") > 0).sum().over("state", "risk_pool") == 1)
    assert lone.height > 5
    assert lone["transfer_unrounded"].to_list() == [0.0] * lone.height
    assert lone["transfer"].to_list() == [Decimal(0)] * lone.height
    plans = result.plans.filter((pl.col("billable_member_months") > 0).sum().over("state", "risk_pool") == 1)
    plans = plans.filter(pl.col("billable_member_months") > 0)
    assert plans.height > 1
    assert plans["transfer_unrounded"].to_list() == [0.0] * plans.height
    assert plans["transfer_pmpm"].to_list() == [0.0] * plans.height


def test_rows_without_months_have_no_rate():
    result = settled_markets(0)
    empty = result.plans.filter(pl.col("billable_member_months") == 0)
    assert result.zero_month_plans.equals(empty.select(twin.KEY))
    assert empty["transfer_pmpm"].null_count() == empty.height
    assert set(empty["transfer"].to_list()) == {Decimal(0)}
    assert not result.plans.select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)


# ------------------------------------------------------------------------------------------------ published figures


@pytest.mark.parametrize("year", range(2018, 2025))
def test_published_net_premiums_come_of_our_settings(year):
    """Both premiums are printed to the cent to 2023, so the one made of the other can be 0.93 cents off."""
    published = table("transfers/state_average_factors", year=year).filter(pl.col("avg_idf").is_not_null())
    metal = pl.when(pl.col("risk_pool") == "catastrophic").then(pl.lit("catastrophic")).otherwise(pl.lit("silver"))
    rows = published.select(
        "state",
        "risk_pool",
        metal.alias("metal_level"),
        pl.lit("1").alias("issuer_id"),
        pl.lit("1").alias("plan_id"),
        pl.lit("1").alias("rating_area_id"),
        "billable_member_months",
        (pl.col("state_avg_premium_pmpm") * pl.col("billable_member_months")).alias("premium"),
        pl.col("avg_plrs").alias("plrs"),
        pl.col("avg_arf").alias("arf"),
        pl.lit(1.0).alias("gcf"),
    )
    result = transfers(rows, benefit_year=year)
    keys = ["state", "risk_pool"]
    both = result.pools.join(published, on=keys, validate="1:1", suffix="_published")
    assert both.height == published.height > 130
    gap = (both["net_average_premium"] - both["state_avg_premium_net_admin_pmpm"]).abs().max()
    assert gap <= (0.00931 if year < 2024 else 1e-9)
    assert set(result.pools["admin_cost_reduction"].to_list()) == {0.14}
    # How the published tables pool the states' markets is how our table of merged states has it.
    assert "TRF-024" not in result.findings["rule_id"].to_list()
    assert "TRF-025" not in result.findings["rule_id"].to_list()


def test_published_issuer_amounts_net_to_zero_but_for_cents():
    residuals = published_residuals()
    assert residuals.height == 294
    assert residuals.group_by("benefit_year", "market").len()["len"].to_list() == [49] * 6
    assert (residuals["residual"].min(), residuals["residual"].max()) == (Decimal("-0.49"), Decimal("0.38"))
    # 2014: 4.6 billion moved in both markets together.
    assert 1_000_000_000 < residuals.filter(benefit_year=2014)["received"].sum() < 10_000_000_000
    one_year = published_residuals(2015)
    assert one_year.equals(residuals.filter(benefit_year=2015))
    amounts = table("transfers/issuer_transfers_2014_2016", year=2015, state="GA")
    small = amounts.filter(amount_type="ra_transfer_small_group")["amount_usd"].drop_nulls().to_list()
    by_hand = sum((Decimal(repr(x)) for x in small), Decimal(0))
    found = one_year.filter(state="GA", market="small_group").select("issuers", "residual").row(0)
    assert found == (len(small), by_hand)


@pytest.mark.slow
def test_gold_and_platinum_break_even():
    """Where r = 2.442857 f Lbar / Rbar, a person is worth the same in a gold and in a platinum plan."""
    base = markets(3, 1)
    assert base[0]["risk_pool"] != "catastrophic"
    common = {"state": base[0]["state"], "risk_pool": base[0]["risk_pool"], "issuer_id": "20000", "rating_area_id": "1"}
    person = common | {"billable_member_months": 1 / 30, "premium": 0.0, "arf": 1.7, "gcf": 1.05}
    score = 2.0
    for _ in range(12):
        two = [person | {"plan_id": m, "metal_level": m, "plrs": score} for m in ("gold", "platinum")]
        result = settled([*base, *two])
        lbar, rbar = result.pools.select("mean_risk", "mean_allowable").row(0)
        score = (0.9 * 1.15 - 0.8 * 1.08) / (1.15 - 1.08) * 1.7 * lbar / rbar
    gold, platinum = result.plans.filter(issuer_id="20000").sort("metal_level")["transfer_pmpm"].to_list()
    assert gold == pytest.approx(platinum, rel=1e-9)
    assert score * rbar / (1.7 * lbar) == pytest.approx(2.442857, abs=5e-7)
