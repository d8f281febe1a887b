"""Risk corridors: the given cases, every branch of the rule, random issuers against the plain twin, and refusals."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
import stabilizers_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust import RiskCorridors, risk_corridors
from riskadjust._corridors import CorridorTerms, corridor_amount

COLUMNS = (
    "premium",
    "taxes_and_fees",
    "incurred_claims",
    "quality_improvement",
    "admin_costs_excl_taxes",
    "net_risk_adjustment_received",
    "reinsurance_received",
    "csr_received",
)
INSIDE = dict(zip(COLUMNS, (10_000_000, 300_000, 7_800_000, 70_000, 1_600_000, 0, 0, 0), strict=True))
LOSS = dict(zip(COLUMNS, (10_000_000, 300_000, 8_900_000, 100_000, 1_700_000, 200_000, 500_000, 0), strict=True))
TERMS = CorridorTerms(*map(Fraction, ("0.03", "0.08", "0.5", "0.8", "0.025", "0.2", "0.03")))


def run(*rows: dict[str, Any], year: int = 2014, **more: Any) -> RiskCorridors:
    frame = pl.DataFrame([{"issuer_id": f"{10000 + i}"} | row for i, row in enumerate(rows)], strict=False)
    return risk_corridors(frame, benefit_year=year, **more)


def money(result: RiskCorridors, *columns: str) -> list[str]:
    return [str(result.issuers[c][0]) for c in columns]


def rules(result: RiskCorridors) -> dict[str, int]:
    return dict(result.findings.select("rule_id", "rows").rows())


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("row", "expected", "ratio", "band"),
    [
        (INSIDE, "9700000.00 7870000.00 291000.00 2191000.00 7809000.00 0.00", 1.0078114996, "none"),
        (LOSS, "9700000.00 8300000.00 291000.00 2240000.00 7760000.00 153600.00", 1.0695876289, "receives_50"),
    ],
    ids=["C01", "C02"],
)
def test_given_case(row, expected, ratio, band):
    """Worked independently of this code from 45 CFR 153.500 to 153.540."""
    result = run(row | {"adjustment_percentage": 0})
    columns = ("after_tax_premium", "allowable_costs", "profits", "allowable_admin", "target_amount", "corridor")
    assert money(result, *columns) == expected.split()
    assert result.issuers["ratio"][0] == pytest.approx(ratio, abs=6e-11)
    assert result.issuers["band"].to_list() == [band]
    assert result.issuers["corridor_paid"].to_list() == result.issuers["corridor"].to_list()


@pytest.mark.parametrize(
    ("claims", "band", "amount"),
    [
        # N = 10 million without taxes, admin 2 million at the cap: G = 8 million.
        (8_240_000, "none", "0.00"),  # 1.03 G exactly
        (8_240_000.02, "receives_50", "0.01"),
        (8_640_000, "receives_50", "200000.00"),  # 1.08 G: half of 5 percent
        (8_640_000.01, "receives_80", "200000.01"),  # 0.008 of a dollar more
        (9_640_000, "receives_80", "1000000.00"),  # 0.025 G + 0.8 million
        (7_760_000, "none", "0.00"),  # 0.97 G
        (7_360_000, "pays_50", "-200000.00"),  # 0.92 G
        (6_360_000, "pays_80", "-1000000.00"),
    ],
)
def test_bands_of_the_rule(claims, band, amount):
    row = dict.fromkeys(COLUMNS, 0) | {"premium": 10_000_000, "admin_costs_excl_taxes": 5_000_000}
    result = run(row | {"incurred_claims": claims, "adjustment_percentage": 0})
    assert money(result, "target_amount", "corridor") == ["8000000.00", amount]
    assert result.issuers["band"][0] == band


def test_profits_are_what_is_left_or_the_floor():
    """Low costs leave 1.3 million of profit; the cap of 20 percent does not bind. Else 3 percent of 10 million."""
    row = dict.fromkeys(COLUMNS, 0) | {"premium": 10_000_000, "admin_costs_excl_taxes": 500_000}
    left = run(row | {"incurred_claims": 8_200_000, "adjustment_percentage": 0})
    assert money(left, "profits", "allowable_admin", "target_amount") == ["1300000.00", "1800000.00", "8200000.00"]
    floor = run(row | {"incurred_claims": 9_400_000, "adjustment_percentage": 0})
    assert money(floor, "profits", "allowable_admin", "target_amount") == ["300000.00", "800000.00", "9200000.00"]
    assert not left.uncertain["what"].str.contains("profit_floor").any()
    rows = floor.issuers["corridor"].to_list()
    assert rows == [Decimal("0.00")]
    assert floor.uncertain.height == 0  # the floor moved the target, and the amount not
    owed = run(row | {"incurred_claims": 9_600_000, "adjustment_percentage": 0})
    assert owed.uncertain["what"].str.contains("profit_floor").to_list() == [True]


def test_costs_take_off_what_was_received():
    row = LOSS | {"csr_received": 100_000, "net_risk_adjustment_received": -50_000, "health_information_technology": 7}
    assert money(run(row), "allowable_costs") == ["8450007.00"]


def test_adjustment_percentage_by_year():
    """2015: 2 percent for all. 2014 and 2016: given, and only where costs reach 80 percent of after-tax premium."""
    result = run(LOSS | {"reserve_overstatement": 0}, year=2015)
    assert result.issuers["adjustment_percentage"].to_list() == [0.02]
    assert money(result, "target_amount") == ["7566000.00"]  # 9.7 million less 22 percent
    assert rules(result) == {}
    assert rules(run(LOSS)) == {"COR-020": 1}
    low = LOSS | {"incurred_claims": 8_000_000, "adjustment_percentage": 0.01}
    assert rules(run(low)) == {"COR-021": 1}
    assert run(low).issuers["adjustment_percentage"].to_list() == [0.0]
    assert run(LOSS | {"adjustment_percentage": 0.01}).issuers["adjustment_percentage"].to_list() == [0.01]
    at_share = LOSS | {"incurred_claims": 8_360_000, "adjustment_percentage": 0.01}  # costs 7.76 million: 80 percent
    assert run(at_share).issuers["adjustment_percentage"].to_list() == [0.01]
    given_2015 = run(low | {"reserve_overstatement": 0}, year=2015)
    assert given_2015.issuers["adjustment_percentage"].to_list() == [0.01]


def test_reserves_of_the_year_before():
    known = run(LOSS | {"reserve_overstatement": 100_000, "adjustment_percentage": 0}, year=2016)
    assert money(known, "allowable_costs", "corridor") == ["8200000.00", "103600.00"]
    assert rules(known) == {}
    assert rules(run(LOSS | {"adjustment_percentage": 0}, year=2016)) == {"COR-022": 1}
    first = run(LOSS | {"reserve_overstatement": 100_000, "adjustment_percentage": 0})
    assert money(first, "allowable_costs") == ["8300000.00"]
    assert rules(first) == {"COR-025": 1}


def test_payout_rate_multiplies_what_is_received_only():
    gain = INSIDE | {"incurred_claims": 6_000_000, "admin_costs_excl_taxes": 3_000_000}
    rows = [LOSS | {"adjustment_percentage": 0}, gain | {"adjustment_percentage": 0}]
    both = run(*rows, settings={"payout_rate": "published"})
    owed, paid = both.issuers["corridor"].to_list(), both.issuers["corridor_paid"].to_list()
    assert paid[0] == Decimal("19353.60")
    assert owed[0] == Decimal("153600.00")
    assert owed[1] == paid[1] < 0
    assert both.uncertain["what"].str.contains("payout_rate").any()
    total = both.totals.row(0, named=True)
    assert (total["receivable"], total["payable"], total["receivable_paid"]) == (owed[0], owed[1], paid[0])
    assert total["residual"] == paid[0] + owed[1]
    with pytest.raises(TableMissing, match="2015"):
        run(*rows, year=2015, settings={"payout_rate": "published"})
    assert run(*rows, settings={"payout_rate": 0}).issuers["corridor_paid"].to_list() == [Decimal("0.00"), owed[1]]
    for wrong in (1.5, -1, "much"):
        with pytest.raises(SettingRefused):
            run(*rows, settings={"payout_rate": wrong})


def test_plans_share_by_premium_to_the_cent():
    plans = pl.DataFrame(
        {"issuer_id": ["10000"] * 3, "plan_id": ["C", "A", "B"], "premium": [10_000_000 / 4 * i for i in (2, 1, 1)]}
    )
    odd = LOSS | {"incurred_claims": 8_900_000.06, "adjustment_percentage": 0}
    result = run(odd, plans=plans)
    assert money(result, "corridor") == ["153600.03"]
    assert result.plans.select("plan_id", "corridor").rows() == [
        ("A", Decimal("38400.01")),
        ("B", Decimal("38400.01")),
        ("C", Decimal("76800.01")),
    ]
    thirds = plans.with_columns(premium=pl.lit(1000.0))
    shared = run(odd, INSIDE, plans=thirds, settings={"payout_rate": "0.126"})
    for column in ("corridor", "corridor_paid"):
        assert shared.plans[column].sum() == shared.issuers[column][0]
    assert rules(shared) == {"COR-020": 1, "COR-023": 1, "COR-024": 1}
    assert run(odd).plans.height == 0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2 * 10**9).map(lambda cents: Fraction(cents, 100)),
    st.integers(1, 10**9).map(lambda cents: Fraction(cents, 100)),
)
def test_the_amount_is_symmetric_and_rises_without_jumps(costs, target):
    up, down = corridor_amount(costs, target, TERMS), corridor_amount(2 * target - costs, target, TERMS)
    assert up == -down
    step = Fraction(1, 10**6)
    assert 0 <= corridor_amount(costs + step, target, TERMS) - up <= TERMS.outer_share * step


@pytest.mark.parametrize("edge", ["0.92", "0.97", "1.03", "1.08"])
def test_continuous_at_the_edges(edge):
    target, step = Fraction(7_654_321), Fraction(1, 10**9)
    at = Fraction(edge) * target
    low, high = (corridor_amount(at + d, target, TERMS) for d in (-step, step))
    assert 0 <= high - low <= 2 * step


@pytest.mark.parametrize("year", [2014, 2015, 2016])
def test_random_issuers_equal_the_plain_twin(year):
    draw = random.Random(year)
    rows = []
    for _ in range(150):
        premium = draw.randint(10**6, 10**10)
        size = premium / 100
        row = {c: round(size * draw.uniform(0, 0.1), 2) for c in COLUMNS}
        row |= {"premium": premium / 100, "incurred_claims": round(size * draw.uniform(0.5, 1.3), 2)}
        row |= {"net_risk_adjustment_received": round(size * draw.uniform(-0.2, 0.2), 2)}
        row |= {"admin_costs_excl_taxes": round(size * draw.uniform(0, 0.3), 2)}
        row |= {"reserve_overstatement": round(size * draw.uniform(0, 0.05), 2) if year > 2014 else 0}
        rows.append(row | {"adjustment_percentage": draw.choice([0, 0.01, 0.02, 0.05])})
    result = run(*rows, year=year)
    for made, row in zip(result.issuers.to_dicts(), rows, strict=True):
        exact = {c: Fraction(repr(v)) for c, v in row.items()}
        least = None if year == 2015 else Fraction(4, 5)
        expected = oracle.corridor(exact, exact["adjustment_percentage"], least=least)
        assert {c: made[c] for c in expected} == {c: oracle.cents(v) for c, v in expected.items()}
    assert set(result.issuers["band"]) == {"none", "receives_50", "receives_80", "pays_50", "pays_80"}
    shuffled = pl.DataFrame([{"issuer_id": f"{10000 + i}"} | row for i, row in enumerate(rows)]).sample(
        fraction=1, shuffle=True, seed=1
    )
    assert risk_corridors(shuffled.lazy(), benefit_year=year).issuers.equals(result.issuers)


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", " ", "COR-001"),
        ("issuer_id", "10000", "COR-001"),
        ("incurred_claims", None, "COR-002"),
        ("premium", float("nan"), "COR-002"),
        ("csr_received", float("inf"), "COR-002"),
        ("net_risk_adjustment_received", -1e15, "COR-002"),
        ("incurred_claims", -0.01, "COR-003"),
        ("reserve_overstatement", -1.0, "COR-003"),
        ("premium", 300_000, "COR-004"),
        ("premium", 299_999, "COR-004"),
        ("adjustment_percentage", -0.01, "COR-006"),
        ("adjustment_percentage", 1.01, "COR-006"),
        ("adjustment_percentage", 0.9, "COR-006"),  # leaves no target
    ],
)
def test_bad_rows_are_refused_with_the_rule(column, value, rule_id):
    # At administrative costs of 20 million the cap binds, and 20 percent and 90 percent leave no target.
    extra = {"adjustment_percentage": 0.0, "reserve_overstatement": 0.0}
    rows = [LOSS | extra, LOSS | extra | {"admin_costs_excl_taxes": 20_000_000} | {column: value}]
    with pytest.raises(InputRefused, match=f"row.* 2.*{rule_id}: "):
        run(*rows)


def test_years_columns_and_settings_refused():
    for year in (2013, 2017):
        with pytest.raises(InputRefused, match="COR-005: "):
            run(LOSS, year=year)
    with pytest.raises(SettingRefused, match="benefit_year"):
        run(LOSS, year="2014")  # type: ignore[arg-type]
    with pytest.raises(SettingRefused, match="no setting"):
        run(LOSS, settings={"payout": 1})
    for column in COLUMNS:
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            run({c: v for c, v in LOSS.items() if c != column})
    with pytest.raises(InputRefused, match="not a number"):
        run(LOSS | {"premium": "much"})


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", "77777", "COR-007"),
        ("plan_id", "", "COR-007"),
        ("plan_id", "A", "COR-007"),
        ("premium", None, "COR-008"),
        ("premium", -1.0, "COR-008"),
    ],
)
def test_bad_plans_are_refused(column, value, rule_id):
    plans: dict[str, list[Any]] = {"issuer_id": ["10000"] * 2, "plan_id": ["A", "B"], "premium": [1.0, 2.0]}
    plans[column][1] = value
    with pytest.raises(InputRefused, match=f"row.*2.*{rule_id}: "):
        run(LOSS, plans=pl.DataFrame(plans))
    with pytest.raises(InputRefused, match="COR-008: "):
        run(
            LOSS, plans=pl.DataFrame(plans | {"issuer_id": ["10000"] * 2, "plan_id": ["A", "B"], "premium": [0.0, 0.0]})
        )


def test_one_issuer_in_two_states_and_markets():
    rows = [
        LOSS | {"issuer_id": "1", "state": s, "market": m, "adjustment_percentage": 0}
        for s, m in (("GA", "small_group"), ("GA", "individual"), ("AL", "individual"))
    ]
    result = risk_corridors(pl.DataFrame(rows), benefit_year=2014)
    keys = [("AL", "individual", "1"), ("GA", "individual", "1"), ("GA", "small_group", "1")]
    assert result.issuers.select("state", "market", "issuer_id").rows() == keys
    assert "RiskCorridors(benefit_year=2014, issuers=3" in repr(result)
    assert result.counts.rows() == [("issuers", 3, 3, 0)]
    assert result.tables == ["transfers/risk_corridors", "transfers/stabilizer_terms"]
