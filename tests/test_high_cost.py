"""The high-cost risk pool: what it refuses and says, and random pools against a plain twin in exact fractions."""

import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust import HighCostRiskPool, high_cost_risk_pool
from riskadjust._transfers import transfers

CLAIMS = {
    "issuer_id": ["11111", "22222", "11111"],
    "risk_pool": ["individual", "individual", "small_group"],
    "enrollee_id": ["E1", "E2", "E3"],
    "plan_paid": [1_500_000.0, 2_000.0, 1_000_001.0],
}
PREMIUMS = {
    "issuer_id": ["11111", "22222", "11111"],
    "risk_pool": ["individual", "individual", "small_group"],
    "premium": [5e7, 1.5e8, 4e7],
}


def run(claims: Any = CLAIMS, premiums: Any = PREMIUMS, year: int = 2022, **more: Any) -> HighCostRiskPool:
    made = [pl.DataFrame(f, strict=False) if isinstance(f, dict) else f for f in (claims, premiums)]
    return high_cost_risk_pool(*made, benefit_year=year, **more)


def test_columns_and_counts():
    result = run()
    assert result.issuers.columns == [
        "high_cost_risk_pool", "issuer_id", "premium", "enrollees_above", "payment", "charge", "net",
        "payment_unrounded", "charge_unrounded", "net_unrounded",
    ]  # fmt: skip
    assert all(result.issuers.schema[c] == pl.Decimal(18, 2) for c in ("payment", "charge", "net"))
    assert result.enrollees.drop("payment_unrounded").rows() == [
        ("individual", "11111", "E1", Decimal("1500000.00")),
        ("small_group", "11111", "E3", Decimal("1000001.00")),
    ]
    assert result.pools["residual"].to_list() == [Decimal(0)] * 2
    assert result.counts.rows() == [("claims", 3, 3, 0), ("premiums", 3, 3, 0)]
    assert "HighCostRiskPool(benefit_year=2022" in repr(result)


@pytest.mark.parametrize("year", [2019, 2014, 2017, 2040])
def test_years_without_a_pool(year):
    """2019 was left out by rule; of the others no parameters are held."""
    with pytest.raises(InputRefused if year == 2019 else TableMissing, match=str(year)) as caught:
        run(year=year, settings={"hcrp_threshold": 1, "hcrp_coinsurance": 1} if year == 2019 else None)
    if year == 2019:
        assert "TRF-059: " in str(caught.value)


def test_parameters_given_for_a_year_of_its_own():
    settings = {"hcrp_threshold": "1000000", "hcrp_coinsurance": "0.60", "hcrp_pool_count": 2}
    result = run(year=2040, settings=settings)
    assert result.issuers.equals(run().issuers)
    assert result.settings["source"].to_list() == ["given"] * 3
    assert result.uncertain.height == 0


@pytest.mark.parametrize(
    "settings", [{"hcrp_pool_count": 3}, {"hcrp_coinsurance": 1.5}, {"threshold": 1}, {"hcrp_threshold": -1}]
)
def test_a_setting_that_cannot_be_is_refused(settings):
    with pytest.raises(SettingRefused):
        run(settings=settings)


NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", None, "TRF-050"),
        ("risk_pool", " ", "TRF-050"),
        ("enrollee_id", "", "TRF-050"),
        ("plan_paid", None, "TRF-051"),
        ("plan_paid", NAN, "TRF-051"),
        ("plan_paid", float("inf"), "TRF-051"),
        ("plan_paid", 1e9, "TRF-051"),
        ("issuer_id", "77777", "TRF-054"),
        ("risk_pool", "large_group", "TRF-055"),
    ],
)
def test_a_bad_claim_is_refused_and_no_value_told(column, value, rule_id):
    rows = {c: values.copy() for c, values in CLAIMS.items()}
    rows[column][1] = value
    with pytest.raises(
        InputRefused, match=rf"claims \(first row is 1\): column {column}, row 2.*{rule_id}: "
    ) as caught:
        run(rows)
    assert "E2" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", None, "TRF-052"),
        ("risk_pool", "", "TRF-052"),
        ("premium", None, "TRF-053"),
        ("premium", -1.0, "TRF-053"),
        ("premium", NAN, "TRF-053"),
        ("risk_pool", "large_group", "TRF-055"),
    ],
)
def test_a_bad_premium_is_refused(column, value, rule_id):
    rows = {c: values.copy() for c, values in PREMIUMS.items()}
    rows[column][1] = value
    with pytest.raises(InputRefused, match=rf"premiums \(first row is 1\): column {column}, row 2.*{rule_id}: "):
        run(premiums=rows)


def test_ids_with_blanks_around_are_the_same_ids():
    halves = {
        "issuer_id": ["11111", "11111 "],
        "risk_pool": ["individual", " Catastrophic"],
        "enrollee_id": ["E1", " E1"],
        "plan_paid": [900_000.0, 600_000.0],
    }
    result = run(halves)
    assert result.enrollees["enrollee_id"].to_list() == ["E1"]
    assert result.issuers.filter(issuer_id="11111")["payment"].to_list() == [Decimal("300000.00"), Decimal("0.00")]
    with pytest.raises(InputRefused, match="TRF-052"):
        run(premiums={**PREMIUMS, "issuer_id": ["11111", "11111 ", "11111"]})


def test_a_refused_setting_says_what_to_do():
    with pytest.raises(SettingRefused, match="zero or more"):
        run(settings={"hcrp_threshold": -1})
    with pytest.raises(SettingRefused, match=r"0\.14"):
        run(settings={"hcrp_coinsurance": 60})


def test_premiums_once_per_issuer_and_pool():
    twice = {c: [*v, v[0]] for c, v in PREMIUMS.items()}
    with pytest.raises(InputRefused, match=r"rows 1, 4\].*TRF-052"):
        run(premiums=twice)
    spelled = {**twice, "risk_pool": [*PREMIUMS["risk_pool"], " Individual"]}
    with pytest.raises(InputRefused, match=r"rows 1, 4\].*TRF-052"):
        run(premiums=spelled)


def test_a_pool_with_payments_and_no_premium():
    with pytest.raises(InputRefused, match="TRF-056"):
        run(premiums={**PREMIUMS, "premium": [0.0, 0.0, 4e7]})
    none = run({**CLAIMS, "plan_paid": [1.0, 1.0, 1.0]}, {**PREMIUMS, "premium": [0.0, 0.0, 4e7]})
    assert none.pools["charge_rate"].to_list() == [0.0, 0.0]
    assert none.findings.select("rule_id", "rows").rows() == [("TRF-058", 2)]
    assert none.uncertain.height == 0


def test_missing_columns_and_types():
    for column in CLAIMS:
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            run(pl.DataFrame(CLAIMS).drop(column))
    for column in PREMIUMS:
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            run(premiums=pl.DataFrame(PREMIUMS).drop(column))
    with pytest.raises(InputRefused, match="missing column 'state'"):
        run(pl.DataFrame(CLAIMS).with_columns(state=pl.lit("GA")))
    with pytest.raises(InputRefused, match="missing column 'state'"):
        run(premiums=pl.DataFrame(PREMIUMS).with_columns(state=pl.lit("GA")))
    with pytest.raises(InputRefused, match="not a number"):
        run({**CLAIMS, "plan_paid": ["1", "2", "3"]})
    with pytest.raises(InputRefused, match="not true or false"):
        run(premiums=pl.DataFrame(PREMIUMS).with_columns(has_default_charge=pl.lit("yes")))


def test_an_issuer_is_one_within_its_state():
    claims = pl.DataFrame({**CLAIMS, "issuer_id": ["11111"] * 3, "enrollee_id": ["E1"] * 3, "plan_paid": [7e5] * 3})
    claims = claims.with_columns(risk_pool=pl.lit("individual"), state=pl.Series(["GA", "al ", "AL"]))
    premiums = pl.DataFrame(
        {"state": ["AL", "GA"], "issuer_id": ["11111"] * 2, "risk_pool": ["individual"] * 2, "premium": [1e6] * 2}
    )
    result = run(claims, premiums)
    assert result.issuers.select("state", "payment", "net").rows() == [
        ("AL", Decimal("240000.00"), Decimal("120000.00")),
        ("GA", Decimal("0.00"), Decimal("-120000.00")),
    ]


def test_issuers_of_a_settlement_are_its_premiums():
    """A default charge of the settlement is known: that issuer pays, and its claims are set aside."""
    rows = {
        "risk_pool": ["individual"] * 2,
        "issuer_id": ["11111", "22222"],
        "plan_id": ["A", "B"],
        "rating_area_id": ["1"] * 2,
        "metal_level": ["silver"] * 2,
        "billable_member_months": [100, 100],
        "premium": [30_000_000, 40_000_000],
        "plrs": [1.0, 1.2],
        "arf": [1.5, 1.5],
        "gcf": [1.0, 1.0],
    }
    charged = {
        "risk_pool": ["individual"],
        "issuer_id": ["33333"],
        "billable_member_months": [10],
        "premium": [30_000_000],
    }
    charges = pl.DataFrame(charged | {"charge_pmpm": [5]})
    settled = transfers(pl.DataFrame(rows), benefit_year=2022, default_charges=charges)
    claims = {c: ["11111", "33333"] if c == "issuer_id" else v[:2] for c, v in CLAIMS.items()} | {
        "plan_paid": [1_500_000, 2_000_000]
    }
    claims |= {"risk_pool": ["individual"] * 2}
    result = run(claims, settled.issuers)
    assert result.issuers.select("issuer_id", "payment", "charge").rows() == [
        ("11111", Decimal("300000.00"), Decimal("-90000.00")),
        ("22222", Decimal("0.00"), Decimal("-120000.00")),
        ("33333", Decimal("0.00"), Decimal("-90000.00")),
    ]
    assert result.rejected["claims"]["rule_id"].to_list() == ["TRF-057"]
    assert result.counts.row(0) == ("claims", 2, 1, 1)


def test_what_is_uncertain_is_listed_where_it_moved_something():
    named = [what.split(",")[0].removesuffix(":") for what in run().uncertain["what"]]
    assert named == ["hcrp_coinsurance", "hcrp_pool_count", "hcrp_threshold"]
    one = {c: v[:2] for c, v in CLAIMS.items()}, {c: v[:2] for c, v in PREMIUMS.items()}
    assert not run(*one).uncertain["what"].str.contains("pool_count").any()


def cents(dollars: Fraction) -> Decimal:
    whole = int(abs(dollars) * 100 + Fraction(1, 2))
    return Decimal(whole if dollars >= 0 else -whole) / 100


@pytest.mark.parametrize("seed", [*range(15), *(pytest.param(s, marks=pytest.mark.slow) for s in range(15, 200))])
def test_random_pools_equal_a_plain_twin(seed):
    draw = random.Random(seed)
    pools = ["individual", "catastrophic", "merged", "small_group"]
    premiums = {
        (f"{10000 + i}", pool): Fraction(draw.randint(0, 10 ** draw.randint(3, 11)), draw.choice([100, 3000]))
        for i in range(draw.randint(1, 8))
        for pool in pools
    }
    claims = [
        (draw.choice(list(premiums)), f"E{draw.randint(0, 9)}", Fraction(draw.randint(-30_000_000, 150_000_000), 100))
        for _ in range(draw.randint(0, 60))
    ]
    premiums["10000", "individual"] = premiums["10000", "small_group"] = Fraction(10**6)
    claims.append((("10000", "individual"), "E0", Fraction(5)))

    def national(pool: str) -> str:
        return "small_group" if pool == "small_group" else "individual"

    paid: dict[Any, Fraction] = defaultdict(Fraction)
    for (issuer, pool), enrollee, amount in claims:
        paid[national(pool), issuer, enrollee] += amount
    payment: dict[Any, Fraction] = defaultdict(Fraction)
    base: dict[Any, Fraction] = defaultdict(Fraction)
    for (pool, issuer, _), amount in paid.items():
        payment[pool, issuer] += Fraction("0.6") * max(Fraction(0), amount - 1_000_000)
    for (issuer, pool), amount in premiums.items():
        base[national(pool), issuer] += amount
    expected = []
    for pool, issuer in sorted(base):
        whole = sum((p for (q, _), p in payment.items() if q == pool), Fraction(0))
        rate = whole / sum((p for (q, _), p in base.items() if q == pool), Fraction(0))
        pay, charge = payment[pool, issuer], rate * base[pool, issuer]
        expected.append((pool, issuer, cents(pay), cents(-charge), cents(pay - charge)))

    draw.shuffle(claims)
    frames = (
        pl.DataFrame(
            {
                "issuer_id": [key[0] for key, *_ in claims],
                "risk_pool": [key[1] for key, *_ in claims],
                "enrollee_id": [e for _, e, _ in claims],
                "plan_paid": [float(a) for *_, a in claims],
            }
        ),
        pl.DataFrame(
            {
                "issuer_id": [i for i, _ in premiums],
                "risk_pool": [p for _, p in premiums],
                "premium": [float(a) for a in premiums.values()],
            }
        ),
    )
    result = high_cost_risk_pool(*frames, benefit_year=2024)
    columns = ("high_cost_risk_pool", "issuer_id", "payment", "charge", "net")
    assert result.issuers.select(columns).rows() == expected
    unrounded = result.issuers.group_by("high_cost_risk_pool").agg(pl.col("net_unrounded").sum())
    assert (unrounded["net_unrounded"].abs() <= 1e-6).all()
