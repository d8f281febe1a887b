"""Medical loss ratios: the given cases, every branch of the rules, random issuers against the plain twin, refusals."""

import random
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import loss_ratio_oracle as oracle
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from riskadjust import LossRatios, medical_loss_ratio

M01 = (
    (2021, 240_000_000, 2_500_000, 330_000_000, 9_900_000, 5_000_000),
    (2022, 251_000_000, 2_600_000, 345_000_000, 10_350_000, -3_000_000),
    (2023, 262_000_000, 2_700_000, 360_000_000, 10_800_000, 2_000_000),
)
M02 = (
    (2021, 18_700_000, 150_000, 26_000_000, 780_000, 400_000),
    (2022, 19_300_000, 160_000, 27_000_000, 810_000, -100_000),
    (2023, 19_400_000, 170_000, 28_000_000, 840_000, 250_000),
)
COLUMNS = (
    "year",
    "incurred_claims",
    "quality_improvement",
    "premium",
    "taxes_and_fees",
    "net_risk_adjustment_received",
)
KEY = {"state": "TX", "market": "individual", "issuer_id": "11111"}


def issuer(figures: Any = M01, lives: Any = 30_000, deductible: Any = 3_000, **more: Any) -> list[dict[str, Any]]:
    """The years of an issuer: life-years and deductible alike in all, or one for each year."""
    lives = lives if isinstance(lives, tuple) else (lives,) * len(figures)
    return [
        KEY | dict(zip(COLUMNS, year, strict=True)) | {"life_years": n, "average_deductible": deductible} | more
        for year, n in zip(figures, lives, strict=True)
    ]


def run(*issuers: list[dict[str, Any]], year: int = 2023, policies: Any = None, **settings: Any) -> LossRatios:
    rows = [row for several in issuers for row in several]
    frame = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    book = None if policies is None else pl.DataFrame(policies, infer_schema_length=None, strict=False)
    return medical_loss_ratio(frame, reporting_year=year, policies=book, settings=settings)


def one(result: LossRatios) -> dict[str, Any]:
    assert result.issuers.height == 1
    return result.issuers.row(0, named=True)


def rules(result: LossRatios) -> dict[str, int]:
    return dict(result.findings.select("rule_id", "rows").rows())


def simple(claims: float, lives: float = 30_000, **more: Any) -> list[dict[str, Any]]:
    """Three like years of 100 million after taxes; the last with these claims, the others with 80 million."""
    years = [(y, 80e6, 0.0, 103e6, 3e6, 0.0) for y in (2021, 2022)]
    return issuer([*years, (2023, claims, 0.0, 103e6, 3e6, 0.0)], lives, **more)


# ------------------------------------------------------------------------------------------------ given cases


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("figures", "lives", "deductible", "expected"),
    [
        (M01, 30_000, 3_000, (0.7538224015, 0.0, 1.2116, 0.0, 0.754, "16063200.00")),
        (M02, (2_400, 2_400, 2_500), 3_600, (0.7296678121, 0.03194, 1.26872, 0.0405229168, 0.770, "814800.00")),
    ],
    ids=["M01", "M02"],
)
def test_given_case(figures, lives, deductible, expected):
    """Worked independently of this code from 45 CFR 158.210 to 158.240; life-years are given for all years together."""
    found = one(run(issuer(figures, lives, deductible)))
    columns = ("preliminary_mlr", "base_credibility", "deductible_factor", "credibility_adjustment", "mlr")
    assert [found[c] for c in columns] == pytest.approx(list(expected[:-1]), abs=6e-11)
    assert str(found["rebate"]) == expected[-1]
    assert found["credibility"] != "not_credible"
    assert not found["meets_standard"]


# ------------------------------------------------------------------------------------------------ the ratio


def test_what_is_received_comes_off_the_claims():
    """80 + 1 million less 2, 3 and 4 in each of three years, over 100 million."""
    years = [(y, 80e6, 1e6, 103e6, 3e6, 2e6) for y in (2014, 2015, 2016)]
    found = one(run(issuer(years, reinsurance_received=3e6, net_corridor_received=4e6), year=2016))
    assert found["numerator"] == Decimal("216000000.00")
    assert (found["mlr"], found["rebate"]) == (0.72, Decimal("8000000.00"))
    paid = issuer([(y, 80e6, 1e6, 103e6, 3e6, -2e6) for y in (2014, 2015, 2016)])
    assert one(run(paid, year=2016))["numerator"] == Decimal("249000000.00")
    assert rules(run(paid, year=2016)) == {"MLR-022": 3}


def test_more_received_than_claims_is_said():
    result = run(issuer([(y, 50e6, 0.0, 103e6, 3e6, 60e6) for y in (2021, 2022, 2023)]))
    assert (one(result)["mlr"], one(result)["rebate"]) == (-0.1, Decimal("90000000.00"))
    assert rules(result) == {"MLR-032": 1}


def test_fees_of_their_own_come_off_the_premium():
    apart = simple(70e6, taxes_and_fees=1e6, regulatory_fees=2e6)
    assert one(run(apart)) == one(run(simple(70e6)))


def test_the_ratio_is_rounded_half_up_before_it_is_tested():
    # 79.85 percent of 300 million is 239.55 million: claims of the last year 79.55 million.
    at_half, below = run(simple(79.55e6)), run(simple(79.55e6 - 1))
    assert (one(at_half)["mlr"], one(below)["mlr"]) == (0.799, 0.798)
    assert one(run(simple(79.85e6)))["rebate"] == 0  # 0.7995 is 0.800
    assert one(run(simple(79.85e6)))["meets_standard"]
    assert one(run(simple(79.85e6), ratio_decimals=4))["rebate"] == Decimal("50000.00")
    exactly = one(run(simple(79.85e6 - 1), ratio_decimals="none"))
    assert exactly["rebate"] == Decimal("50000.33")
    moved = run(simple(79.55e6)).uncertain["what"].str.contains("ratio_decimals")
    assert moved.to_list() == [True]
    assert run(simple(79.55e6), ratio_decimals=4).uncertain.height == 0


def test_standards_of_markets_and_states():
    for market, state, expected in (
        ("individual", "TX", 0.8),
        ("small_group", "TX", 0.8),
        ("large_group", "TX", 0.85),
        ("individual", "NY", 0.82),
        ("small_group", "NY", 0.82),
        ("large_group", "NY", 0.85),
    ):
        rows = simple(80e6, market=market, state=state)
        if market == "large_group":
            rows = [row | {"net_risk_adjustment_received": None} for row in rows]
        found = one(run(rows))
        assert found["standard"] == expected
        assert found["rebate"] == Decimal(str(round((expected - 0.8) * 100e6))).quantize(Decimal("0.01"))


def test_a_standard_that_is_given_wins():
    for given in (0.9, {"TX": 0.9}, {"individual": 0.9}, {"TX/individual": "0.9", "TX": 0.7}):
        assert one(run(simple(80e6), standard=given))["standard"] == 0.9
    assert one(run(simple(80e6), standard={"NY": 0.9}))["standard"] == 0.8


def test_years_of_the_first_reports():
    """2011 alone; 2012 with 2011, or alone where it is fully credible; 2013 on three years."""
    years = [(y, claims, 0.0, 103e6, 3e6, None) for y, claims in ((2011, 90e6), (2012, 70e6), (2013, 50e6))]
    rows = issuer(years, 30_000, 0)
    assert [one(run(rows[:n], year=2010 + n))["mlr"] for n in (1, 2)] == [0.915, 0.807]
    assert one(run(rows, year=2013))["mlr"] == 0.7
    full = one(run(issuer(years, (30_000, 75_000, 1)), year=2012))
    assert (full["mlr"], full["years"], full["first_year"]) == (0.7, 1, 2012)
    for wrong in (2010, 1999):
        with pytest.raises(InputRefused, match="MLR-006: "):
            run(rows, year=wrong)


def test_rows_of_other_years_are_set_aside():
    old = issuer([(2018, 1.0, 0.0, 9.0, 0.0, 0.0), (2024, 1.0, 0.0, 9.0, 0.0, 0.0)])
    result = run(simple(70e6), old)
    assert result.issuers.equals(run(simple(70e6)).issuers)
    assert rules(result) == {"MLR-020": 2}
    assert result.rejected["years"]["year"].to_list() == [2018, 2024]
    assert result.counts.rows() == [("years", 5, 3, 2)]


def test_a_year_without_a_row_is_refused_or_declared():
    new = simple(70e6)[1:]
    with pytest.raises(InputRefused, match=r"TX individual 11111 2021.*MLR-009: "):
        run(new)
    result = run(new, missing_years="no_business")
    assert (one(result)["years"], one(result)["preliminary_mlr"]) == (2, 0.75)
    assert rules(result) == {"MLR-021": 1}
    none = issuer([(2021, 0.0, 0.0, 0.0, 0.0, 0.0)], 0)
    assert one(run(none, new))["preliminary_mlr"] == 0.75  # a row of zeros says so too
    assert run(none, new).years["year_mlr"].to_list() == [None, 0.8, 0.7]
    gone = issuer(M01[:2], issuer_id="22222")
    with pytest.raises(InputRefused, match=r"TX individual 22222.*MLR-008: "):
        run(simple(70e6), gone)
    result = run(simple(70e6), gone, missing_years="no_business")
    assert one(result)["issuer_id"] == "11111"
    assert rules(result) == {"MLR-036": 2}
    with pytest.raises(InputRefused, match="MLR-008: "):
        run(gone, missing_years="no_business")


# ------------------------------------------------------------------------------------------------ credibility


def test_below_a_thousand_life_years_nothing_is_tested():
    found = one(run(simple(10e6, (333, 333, 333))))
    assert (found["credibility"], found["base_credibility"], found["credibility_adjustment"]) == ("not_credible", 0, 0)
    assert (found["mlr"], found["rebate"], found["meets_standard"]) == (0.567, 0, True)
    assert rules(run(simple(10e6, (333, 333, 333)))) == {"MLR-023": 1}
    assert one(run(simple(10e6, (333, 333, 334))))["credibility"] == "partly_credible"


def test_months_are_twelfths_of_life_years():
    months = [{k: v for k, v in row.items() if k != "life_years"} | {"member_months": 4_000} for row in simple(70e6)]
    assert one(run(months))["life_years"] == 1_000
    assert one(run(months))["base_credibility"] == 0.083
    months[0]["member_months"] = 3_999
    assert one(run(months))["credibility"] == "not_credible"


def test_the_deductible_is_weighted_by_life_years():
    rows = simple(70e6, (1_000, 2_000, 3_000))
    for row, deductible in zip(rows, (0, 3_000, 5_000), strict=True):
        row["average_deductible"] = deductible
    assert one(run(rows))["average_deductible"] == 3_500
    assert one(run(rows))["deductible_factor"] == pytest.approx(1.2592)
    rows[0]["average_deductible"] = None
    with pytest.raises(InputRefused, match="MLR-010: "):
        run(rows)
    without = one(run(rows, deductible_factor="one"))
    assert (without["deductible_factor"], without["credibility_adjustment"]) == (1, without["base_credibility"])
    unsure = run(rows, deductible_factor="one").uncertain["what"].to_list()
    assert not any("deductible" in what for what in unsure)
    full = [row | {"life_years": 25_000} for row in rows]
    assert one(run(full))["deductible_factor"] is None  # fully credible: not needed


def five_years(*claims: float, lives: float = 2_000) -> list[dict[str, Any]]:
    years = [(2019 + i, c, 0.0, 103e6, 3e6, 0.0) for i, c in enumerate(claims)]
    return issuer(years, lives, 0)


def test_no_credibility_after_three_low_years():
    low = five_years(70e6, 70e6, 70e6, 70e6, 70e6)
    result = run(low)
    assert (one(result)["credibility_adjustment"], one(result)["mlr"]) == (0, 0.7)
    assert rules(result) == {"MLR-024": 1}
    assert one(run(low, low_years="off"))["mlr"] == 0.735
    # The ratio reported for 2021 was at the standard, though each of its years since was below.
    high = five_years(100e6, 70e6, 70e6, 70e6, 70e6)
    assert one(run(high))["mlr"] > 0.7
    assert one(run(high, low_years="single_year"))["mlr"] == 0.7
    assert one(run(low[2:], low_years="single_year"))["mlr"] == 0.7
    # Three rows say nothing of what was reported before: the addition stays, and the result says so.
    assert rules(run(low[2:])) == {"MLR-025": 1}
    assert one(run(low[2:]))["mlr"] > 0.7
    told = [row | {"preliminary_mlr": 0.79} for row in low[2:]]
    assert one(run(told))["mlr"] == 0.7
    told[0]["preliminary_mlr"] = 0.8
    assert one(run(told))["mlr"] > 0.7
    few = [row | {"life_years": n} for row, n in zip(low, (2_000, 2_000, 999, 2_000, 2_000), strict=True)]
    assert rules(run(few)) == {}
    assert one(run(five_years(70e6, 70e6, 70e6, 70e6, 100e6)))["mlr"] > 0.8


# ------------------------------------------------------------------------------------------------ merged markets


def test_markets_that_a_state_merges():
    apart = [row | {"state": "MA"} for row in simple(70e6)]
    groups = [row | {"market": "small_group", "average_deductible": 1_000} for row in apart]
    result = run(apart, groups, [row | {"market": "large_group"} for row in simple(80e6)])
    assert result.issuers["market"].to_list() == ["merged", "large_group"]
    both = result.issuers.row(0, named=True)
    assert (both["premium"], both["life_years"], both["average_deductible"]) == (
        Decimal("618000000.00"),
        180_000,
        2_000,
    )
    assert (both["mlr"], both["rebate_base"]) == (0.767, Decimal("200000000.00"))
    assert run([row | {"state": "MA"} for row in simple(70e6)]).issuers["market"].to_list() == ["merged"]
    assert run(apart, groups, merged_states=[]).issuers["market"].to_list() == ["individual", "small_group"]
    assert run(simple(70e6), merged_states=["TX"]).issuers["market"].to_list() == ["merged"]
    named = [row | {"market": "merged"} for row in simple(70e6)]
    assert rules(run(named)) == {"MLR-033": 3}
    with pytest.raises(InputRefused, match="MLR-011: "):
        run(named, simple(70e6))
    with pytest.raises(InputRefused, match=r"MA small_group 11111 2021.*MLR-009: "):
        run(apart, groups[1:])
    later = [row | {"state": "MA", "year": row["year"] + 2} for row in simple(70e6)]
    assert "merged_market" in run(later, year=2025).uncertain["what"].str.join("")[0]


# ------------------------------------------------------------------------------------------------ options


def test_large_transfers_may_count_as_premium():
    """Three years of 160 million of claims, 100 of premium after taxes and 60 received."""
    rows = issuer([(y, 135e6, 0.0, 103e6, 3e6, 60e6) for y in (2024, 2025, 2026)])
    usual, chosen = run(rows, year=2026), run(rows, year=2026, transfer_option="all")
    assert (one(usual)["mlr"], one(usual)["rebate"], rules(usual)) == (0.75, Decimal("5000000.00"), {"MLR-027": 1})
    assert (one(chosen)["mlr"], one(chosen)["rebate"], rules(chosen)) == (0.844, 0, {})
    assert one(chosen)["transfers_as_premium"]
    assert chosen.uncertain["what"].str.contains("qualifying_share").any()
    low = [row | {"incurred_claims": 112e6} for row in rows]
    bases = [
        one(run(low, year=2026, transfer_option=["11111"], qualifying_rebate_base=base))["rebate"]
        for base in ("premium", "premium_and_transfers")
    ]
    assert bases == [Decimal("10000000.00"), Decimal("16000000.00")]
    # 51.5 million are half of 103; a cent less in one year does not qualify.
    at = [row | {"net_risk_adjustment_received": 51.5e6} for row in rows]
    assert one(run(at, year=2026, transfer_option=["11111"]))["transfers_as_premium"]
    at[0]["net_risk_adjustment_received"] -= 0.01
    below = run(at, year=2026, transfer_option=["11111"])
    assert not one(below)["transfers_as_premium"]
    assert rules(below) == {"MLR-026": 1}
    assert rules(run(at, year=2026, transfer_option=["99999"])) == {"MLR-038": 1}
    early = [row | {"year": row["year"] - 3} for row in rows]
    with pytest.raises(InputRefused, match="MLR-012: "):
        run(early, transfer_option="all")
    assert rules(run(early)) == {}
    assert one(run(early, transfer_option="all", qualifying_share="0.5"))["mlr"] == 0.844


def test_flat_quality_in_the_years_that_had_it():
    rows = issuer([(y, 80e6, 0.0, 100e6, 0.0, 0.0) for y in (2019, 2020, 2021)])
    result = run(rows, year=2021, quality="flat")
    assert one(result)["quality_improvement"] == Decimal("1600000.00")
    assert rules(result) == {"MLR-035": 1}
    assert result.uncertain["what"].str.contains("flat_quality_share").any()
    assert one(run(rows, year=2021))["quality_improvement"] == 0


# ------------------------------------------------------------------------------------------------ rebates


def book(*premiums: float, market: str = "individual", **more: Any) -> list[dict[str, Any]]:
    return [KEY | {"market": market, "policy_id": f"P{i}", "premium": p} | more for i, p in enumerate(premiums)]


def small_issuer(premium: float, market: str = "individual") -> list[dict[str, Any]]:
    """Fully credible, no taxes; three like years at a ratio of 0.7: the rebate is a tenth of the premium."""
    return issuer([(y, 0.7 * premium, 0.0, premium, 0.0, 0.0) for y in (2021, 2022, 2023)], market=market)


def paid(result: LossRatios) -> list[str]:
    return [str(v) for v in result.policies["rebate"].to_list()]


def test_subscribers_share_a_rebate_by_premium():
    result = run(small_issuer(1_000), policies=book(500, 300, 200))
    assert paid(result) == ["50.00", "30.00", "20.00"]
    thirds = run(small_issuer(1_000), policies=book(333, 333, 333))
    assert sorted(paid(thirds)) == ["33.33", "33.33", "33.34"]
    assert rules(thirds) == {"MLR-028": 1}
    assert (one(thirds)["policies_paid"], one(thirds)["rebate_paid"]) == (3, Decimal("100.00"))
    assert run(small_issuer(1_000)).policies.height == 0
    assert one(run(small_issuer(1_000)))["rebate_paid"] is None
    assert rules(run(small_issuer(1_000), simple(70e6, issuer_id="2"), policies=book(1_000))) == {"MLR-029": 1}
    enough = issuer([(y, 900.0, 0.0, 1_000.0, 0.0, 0.0) for y in (2021, 2022, 2023)])
    assert paid(run(enough, policies=book(600, 400))) == ["0.00", "0.00"]


def test_rebates_under_five_dollars_go_to_the_other_subscribers():
    # Owed 50.00, 45.00, 4.99 and 0.01: five dollars are left for two.
    result = run(small_issuer(1_000), policies=book(500, 450, 49.9, 0.1))
    assert paid(result) == ["52.50", "47.50", "0.00", "0.00"]
    assert result.policies["is_small"].to_list() == [False, False, True, True]
    assert rules(result) == {"MLR-031": 2}
    by_rebate = run(small_issuer(1_000), policies=book(500, 450, 49.9, 0.1), small_rebates="by_rebate")
    assert paid(by_rebate) == ["52.63", "47.37", "0.00", "0.00"]
    at = run(small_issuer(1_000), policies=book(500, 450, 50))
    assert paid(at) == ["50.00", "45.00", "5.00"]
    odd = run(small_issuer(1_000), policies=book(480, 480, 39.9, 0.1))
    assert sorted(paid(odd)) == ["0.00", "0.00", "50.00", "50.00"]
    none = run(small_issuer(100), policies=book(40, 30, 30))
    assert paid(none) == ["0.00"] * 3
    assert rules(none) == {"MLR-030": 1, "MLR-031": 3}
    assert (one(none)["rebate"], one(none)["rebate_paid"]) == (Decimal("10.00"), 0)


def test_groups_have_a_limit_of_twenty_dollars():
    groups = small_issuer(1_000, "small_group")
    result = run(groups, policies=book(500, 301, 199, market="small_group"))
    assert paid(result) == ["59.95", "40.05", "0.00"]
    # Paid to six subscribers: 19.90 are 3.32 for each, to three 6.63.
    to_people = book(500, 301, 199, market="small_group")
    to_people[2] |= {"paid_to": "subscribers", "subscribers": 6}
    assert paid(run(groups, policies=to_people)) == ["59.95", "40.05", "0.00"]
    to_people[2] |= {"subscribers": 3}
    assert paid(run(groups, policies=to_people)) == ["50.00", "30.10", "19.90"]
    # What is left goes evenly to one policyholder and three subscribers.
    to_people[1] |= {"premium": 151}
    to_people.append(to_people[1] | {"policy_id": "P9", "premium": 150})
    assert paid(run(groups, policies=to_people)) == ["57.52", "0.00", "42.48", "0.00"]  # 7.525 and 22.575 more


def test_policies_of_a_merged_market():
    rows = [row | {"state": "MA"} for row in small_issuer(500)]
    both = rows + [row | {"market": "small_group"} for row in rows]
    policies = [p | {"state": "MA"} for p in book(500)] + [p | {"state": "MA"} for p in book(500, market="small_group")]
    result = run(both, policies=policies)
    assert result.policies.select("market", "policy_market", "paid_to", "rebate").rows() == [
        ("merged", "individual", "subscribers", Decimal("50.00")),
        ("merged", "small_group", "policyholder", Decimal("50.00")),
    ]
    named = [p | {"market": "merged", "paid_to": "policyholder"} for p in policies[:1]]
    assert paid(run(both, policies=named)) == ["100.00"]
    with pytest.raises(InputRefused, match="MLR-015: "):
        run(both, policies=[p | {"paid_to": None} for p in named])


# ------------------------------------------------------------------------------------------------ properties and twin


def drawn(seed: int, count: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        place = {
            "state": draw.choice(["TX", "NY", "GA"]),
            "market": draw.choice(["individual", "small_group"]),
            "issuer_id": f"{10000 + i}",
        }
        level = draw.uniform(0.6, 0.85)
        size = draw.choice([200, 900, 1_500, 4_000, 20_000, 60_000])
        for year in range(draw.choice([2019, 2021]), 2024):
            premium = round(size * draw.uniform(3_000, 9_000), 2)
            rows.append(
                place
                | {
                    "year": year,
                    "incurred_claims": round(premium * (level + draw.uniform(-0.05, 0.05)), 2),
                    "quality_improvement": round(premium * draw.uniform(0, 0.02), 2),
                    "premium": premium,
                    "taxes_and_fees": round(premium * draw.uniform(0, 0.06), 2),
                    "net_risk_adjustment_received": round(premium * draw.uniform(-0.1, 0.1), 2),
                    "reinsurance_received": round(premium * draw.choice([0, 0.02]), 2),
                    "life_years": round(size * draw.uniform(0.3, 0.7), draw.choice([0, 4])),
                    "average_deductible": draw.choice([0, 2_499.99, 2_500, 4_123.45, 7_000, 12_000]),
                }
            )
    return rows


def compared(seed: int, count: int, low_years: str) -> None:
    rows = drawn(seed, count)
    frame = pl.DataFrame(rows)
    settings = {"low_years": low_years}
    result = medical_loss_ratio(frame, reporting_year=2023, settings=settings)
    by_issuer: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        exact = {c: Fraction(repr(v)) for c, v in row.items() if isinstance(v, float | int) and c != "year"}
        by_issuer.setdefault(row["issuer_id"], []).append(row | exact)
    for made in result.issuers.to_dicts():
        own = by_issuer[made["issuer_id"]]
        target = oracle.standard(made["state"], made["market"])
        expected = oracle.loss_ratio(own, 2023, target, low_years=low_years)
        assert made["rebate"] == oracle.money(expected.pop("rebate"))
        assert {c: made[c] for c in expected} == {c: None if v is None else float(v) for c, v in expected.items()}
    assert set(result.issuers["credibility"]) == {"not_credible", "partly_credible", "fully_credible"}
    shuffled = medical_loss_ratio(
        frame.sample(fraction=1, shuffle=True, seed=seed).lazy(), reporting_year=2023, settings=settings
    )
    assert shuffled.issuers.equals(result.issuers)
    assert shuffled.years.equals(result.years)


@pytest.mark.parametrize("low_years", ["reported", "single_year", "off"])
def test_random_issuers_equal_the_plain_twin(low_years):
    compared(1, 60, low_years)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 15))
def test_thousands_of_random_issuers_equal_the_plain_twin(seed):
    compared(seed, 700, "reported")


def test_random_books_add_up_and_equal_the_plain_twin():
    draw = random.Random(5)
    for _ in range(15):
        premiums = [round(draw.choice([5, 80, 400, 3_000]) * draw.uniform(0.5, 1.5), 2) for _ in range(30)]
        whole = round(sum(premiums), 2)
        groups = draw.random() < 0.5
        market = "small_group" if groups else "individual"
        ratio = draw.uniform(0.5, 0.79)
        rows = issuer([(y, round(ratio * whole, 2), 0.0, whole, 0.0, 0.0) for y in (2021, 2022, 2023)], market=market)
        result = run(rows, policies=book(*premiums, market=market))
        owed = one(result)["rebate"]
        by_id = dict(result.policies.select("policy_id", "rebate").rows())
        assert sum(by_id.values()) in (owed, 0)
        order = sorted(range(30), key=lambda i: f"P{i}")
        plain = oracle.rebates(
            int(owed * 100), [(Fraction(repr(premiums[i])), 2_000 if groups else 500, 1) for i in order]
        )
        assert [int(by_id[f"P{i}"] * 100) for i in order] == plain


def test_scale_changes_no_ratio_and_claims_lower_the_rebate():
    rows = drawn(3, 15)
    money = [c for c in rows[0] if c.endswith(("claims", "received", "improvement", "fees")) or c == "premium"]
    doubled = [row | {c: row[c] * 2 for c in money} for row in rows]
    plain, twice = run(rows), run(doubled)
    assert plain.issuers["mlr"].equals(twice.issuers["mlr"])
    assert plain.issuers["preliminary_mlr"].equals(twice.issuers["preliminary_mlr"])
    rebates = []
    for step in range(5):
        more = [row | {"incurred_claims": row["incurred_claims"] * (1 + step / 25)} for row in rows]
        rebates.append(run(more).issuers["rebate"].to_list())
    assert all(a >= b for one_, next_ in pairwise(rebates) for a, b in zip(one_, next_, strict=True))
    assert sum(rebates[-1]) < sum(rebates[0])


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", " ", "MLR-001"),
        ("state", "tx", "MLR-001"),
        ("market", "catastrophic", "MLR-001"),
        ("year", None, "MLR-001"),
        ("year", 2021, "MLR-001"),
        ("incurred_claims", None, "MLR-002"),
        ("premium", float("nan"), "MLR-002"),
        ("net_risk_adjustment_received", None, "MLR-002"),
        ("net_risk_adjustment_received", -1e15, "MLR-002"),
        ("reinsurance_received", float("inf"), "MLR-002"),
        ("life_years", None, "MLR-003"),
        ("life_years", -1, "MLR-003"),
        ("life_years", float("nan"), "MLR-003"),
        ("incurred_claims", -0.01, "MLR-004"),
        ("quality_improvement", -0.01, "MLR-004"),
        ("taxes_and_fees", -1, "MLR-004"),
        ("average_deductible", -1, "MLR-004"),
        ("premium", 10_350_000, "MLR-005"),
        ("premium", 0, "MLR-005"),
    ],
)
def test_bad_years_are_refused_with_the_rule(column, value, rule_id):
    rows = [row | {"reinsurance_received": 0.0} for row in issuer()]
    rows[1] |= {column: value}
    with pytest.raises(InputRefused, match=f"row.* 2.*{rule_id}: "):
        run(rows)


def test_amounts_before_their_programs_are_refused():
    for column in ("net_risk_adjustment_received", "net_corridor_received"):
        rows = issuer([(y, 80e6, 0.0, 103e6, 3e6, 0.0) for y in (2012, 2013, 2014)], net_corridor_received=0.0)
        assert one(run(rows, year=2014))["mlr"] == 0.8
        rows[1][column] = 1.0
        with pytest.raises(InputRefused, match=r"row 2.*MLR-007: "):
            run(rows, year=2014)
        large = simple(80e6, market="large_group", net_corridor_received=0.0)
        large[0][column] = 1.0
        with pytest.raises(InputRefused, match="MLR-007: "):
            run(large)
    late = run([row | {"net_corridor_received": 1e6} for row in simple(80e6)])
    assert rules(late) == {"MLR-034": 3}


def test_columns_and_settings_are_refused():
    for column in ("premium", "life_years", "year", "state"):
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            run([{c: v for c, v in row.items() if c != column} for row in issuer()])
    with pytest.raises(InputRefused, match="say the same"):
        run([row | {"claims": 1.0} for row in issuer()])
    with pytest.raises(InputRefused, match="say the same"):
        run([row | {"member_months": 1.0} for row in issuer()])
    with pytest.raises(InputRefused, match="not a number"):
        run([row | {"premium": "much"} for row in issuer()])
    with pytest.raises(InputRefused, match="not a whole number"):
        run([row | {"year": float(row["year"])} for row in issuer()])
    with pytest.raises(SettingRefused, match="reporting_year"):
        medical_loss_ratio(pl.DataFrame(issuer()), reporting_year="2023")  # type: ignore[arg-type]
    for name, wrong in (
        ("ratio_decimals", -1),
        ("ratio_decimals", "three"),
        ("standard", 80),
        ("standard", {"Texas": 0.8}),
        ("standard", {"TX": 0}),
        ("merged_states", ["Texas"]),
        ("merged_states", 5),
        ("missing_years", "zero"),
        ("qualifying_share", 0),
        ("transfer_option", {}),
        ("rounding", 3),
    ):
        with pytest.raises(SettingRefused):
            run(issuer(), **{name: wrong})


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("policy_id", "", "MLR-013"),
        ("policy_id", "P0", "MLR-013"),
        ("issuer_id", "77777", "MLR-013"),
        ("market", "small_group", "MLR-013"),
        ("premium", None, "MLR-014"),
        ("premium", -1.0, "MLR-014"),
        ("paid_to", "nobody", "MLR-015"),
        ("subscribers", 0.5, "MLR-015"),
    ],
)
def test_bad_policies_are_refused(column, value, rule_id):
    rows = [row | {"paid_to": "subscribers", "subscribers": 1.0} for row in book(1.0, 2.0)]
    rows[1] |= {column: value}
    with pytest.raises(InputRefused, match=f"row.*2.*{rule_id}: "):
        run(issuer(), policies=rows)


def test_policies_without_premium_or_count_are_refused():
    with pytest.raises(InputRefused, match="MLR-014: "):
        run(issuer(), policies=book(0.0, 0.0))
    groups = book(1.0, market="small_group", paid_to="subscribers")
    with pytest.raises(InputRefused, match="MLR-015: "):
        run(issuer(market="small_group"), policies=groups)


def test_short_names_and_decimals_are_read():
    short = dict(zip(COLUMNS[1:], ("claims", "quality", "premium", "taxes", "ra_received"), strict=True)) | {
        "net_corridor_received": "corridor_received"
    }
    rows = [row | {"net_corridor_received": 0.0} for row in issuer()]
    frame = pl.DataFrame(rows).rename(short)
    plain = run(rows)
    assert medical_loss_ratio(frame, reporting_year=2023).issuers.equals(plain.issuers)
    exact = pl.DataFrame(rows).with_columns(pl.col(COLUMNS[1:]).cast(pl.Decimal(18, 2)))
    assert medical_loss_ratio(exact, reporting_year=2023).issuers.equals(plain.issuers)
    assert repr(plain).startswith("LossRatios(reporting_year=2023, issuers=1, rebate=16063200.00")
    assert plain.tables == ["transfers/mlr_tables", "transfers/stabilizer_terms"]
    assert plain.policies.columns == run(rows, policies=book(360_000_000)).policies.columns
