"""Reinsurance: the given cases, every branch of the rule, random programs against the plain twin, and refusals."""

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
from riskadjust import Reinsurance, high_cost_risk_pool, reinsurance

ONE = [(40_000, 250_000, "0.8")]


def frame(*paid: float | None, **columns: Any) -> pl.DataFrame:
    made = {"issuer_id": ["11111"] * len(paid), "enrollee_id": [f"E{i:04d}" for i in range(len(paid))]}
    return pl.DataFrame(made | {"plan_paid": list(paid), "market": ["individual"] * len(paid)} | columns, strict=False)


def state(claims: pl.DataFrame, year: int = 2022, place: str = "MD", **more: Any) -> Reinsurance:
    return reinsurance(claims, benefit_year=year, program="state", state=place, **more)


def payments(result: Reinsurance) -> list[str]:
    return [str(payment) for payment in result.enrollees["payment"]]


def rules(result: Reinsurance) -> dict[str, int]:
    return dict(result.findings.select("rule_id", "rows").rows())


# ------------------------------------------------------------------------------------------------ transitional program


@pytest.mark.parametrize(
    "how", [{"settings": {"coinsurance_basis": "announced"}}, {"layers": [(45000, 250000, "0.80")]}]
)
def test_given_case_ri01(how):
    """Published example: 80 percent of 400,000 between 45,000 and 250,000."""
    result = reinsurance(frame(400_000), benefit_year=2014, **how)
    assert payments(result) == ["164000.00"]
    assert (result.totals["payment"][0], result.totals["proration"][0]) == (Decimal("164000.00"), 1.0)


def test_given_case_ri04():
    """2014 at the final rate, worked independently of this code."""
    result = reinsurance(frame(44999.99, 45000, 45000.01, 100_000, 250_000, 1_000_000), benefit_year=2014)
    assert payments(result) == ["0.00", "0.00", "0.01", "55000.00", "205000.00", "205000.00"]
    assert str(result.totals["payment"][0]) == "465000.01"
    assert rules(result) == {}
    assert result.uncertain.height == 0  # the figures of 2014 are verified


@pytest.mark.parametrize(("year", "paid", "uncertain"), [(2015, "112955.00", []), (2016, "84640.00", ["coinsurance"])])
def test_final_rates_of_the_other_years(year, paid, uncertain):
    """0.551 x 205,000; 0.529 x 160,000."""
    result = reinsurance(frame(300_000), benefit_year=year)
    assert payments(result) == [paid]
    assert [what.split(",")[0] for what in result.uncertain["what"]] == uncertain
    assert result.tables == ["transfers/transitional_reinsurance"]


def test_contributions_are_per_covered_life_year():
    claims = frame(100_000).with_columns(issuer_id=pl.lit("22222"))
    result = reinsurance(claims, benefit_year=2015, covered_life_years={"22222": 10.5, "11111": 100})
    rows = result.issuers.select("issuer_id", "enrollees", "payment", "contribution", "net").rows()
    assert rows == [
        ("11111", 0, Decimal("0.00"), Decimal("-4400.00"), Decimal("-4400.00")),
        ("22222", 1, Decimal("30305.00"), Decimal("-462.00"), Decimal("29843.00")),
    ]
    in_frame = pl.DataFrame({"issuer_id": ["11111", "22222"], "covered_life_years": [100.0, 10.5]})
    assert reinsurance(claims, benefit_year=2015, covered_life_years=in_frame).issuers.equals(result.issuers)


@pytest.mark.parametrize(
    ("years", "rule_id"),
    [
        ({"22222": 1}, "REI-012"),
        ({"11111": None}, "REI-012"),
        ({"11111": -1}, "REI-012"),
        ({"11111": float("nan")}, "REI-012"),
        ({" ": 1.0, "11111": 1.0}, "REI-012"),
        ({11111: 1}, "FILE-002"),
        ({"11111": "many"}, "FILE-002"),
    ],
)
def test_life_years_missing_or_impossible(years, rule_id):
    with pytest.raises(InputRefused, match=f"{rule_id}: "):
        reinsurance(frame(1.0), benefit_year=2014, covered_life_years=years)


def test_life_years_of_states_need_a_frame():
    claims = frame(100_000, state=["GA"])
    with pytest.raises(InputRefused, match="REI-012: "):
        reinsurance(claims, benefit_year=2014, covered_life_years={"11111": 1})
    years = pl.DataFrame({"state": ["GA"], "issuer_id": ["11111"], "covered_life_years": [1.0]})
    found = reinsurance(claims, benefit_year=2014, covered_life_years=years)
    assert found.issuers["net"].to_list() == [Decimal("54937.00")]
    with pytest.raises(SettingRefused, match="life-year"):
        state(claims, place="GA", coinsurance=0.5, covered_life_years={"11111": 1})


# ------------------------------------------------------------------------------------------------ programs of states


@pytest.mark.parametrize(
    ("place", "year", "more", "paid"),
    [
        ("MN", 2018, {}, "160000.00"),  # 0.8 x (250,000 - 50,000)
        ("WI", 2019, {}, "100000.00"),
        ("MD", 2019, {}, "184000.00"),  # of two rows the one whose attachment is held
        ("OR", 2018, {}, "452500.00"),
        ("AK", 2018, {"ceded": True}, "2000000.00"),  # ceded lives: everything
        ("ME", 2020, {"ceded": True}, "1950000.00"),  # 0.9 x 30,000 + all above 77,000
        ("GA", 2022, {"coinsurance": {"1": "0.45"}}, "216000.00"),
        ("CO", 2020, {"coinsurance": {"1": 0.6}}, "222000.00"),
    ],
)
def test_programs_held_for_a_claimant_of_two_million(place, year, more, paid):
    claims = frame(2_000_000.0, rating_area_id=["1"])
    if more.get("ceded"):
        claims = claims.with_columns(is_ceded=pl.lit(True))
    result = state(claims, year, place, coinsurance=more.get("coinsurance"))
    assert payments(result) == [paid]
    assert result.totals["state"].to_list() == [place]


def test_uncertain_figures_are_named():
    assert state(frame(30_000)).uncertain["what"].str.split(",").list.first().to_list() == [
        "attachment_and_cap",
        "coinsurance",
    ]
    assert state(frame(10_000)).uncertain.height == 0  # they moved nothing


@pytest.mark.parametrize(("place", "year"), [("TX", 2020), ("MD", 2023), ("IA", 2018), ("AK", 2016)])
def test_a_state_or_year_without_a_program_is_refused(place, year):
    with pytest.raises(InputRefused, match=f"{place} {year}.*REI-008: "):
        state(frame(1.0), year, place)
    assert payments(state(frame(50_000), year, place, layers=ONE)) == ["8000.00"]


def test_the_transitional_program_ended():
    for year in (2013, 2017):
        with pytest.raises(InputRefused, match="REI-008: "):
            reinsurance(frame(1.0), benefit_year=year, layers=ONE)


def test_terms_by_area():
    claims = frame(50_000, 50_000, 60_000, rating_area_id=["1", "2 ", "1"])
    layers = {"1": [(20_000, 40_000, "0.5"), (40_000, None, 1)], "2": [(20_000, 50_000, "0.15")]}
    result = state(claims, 2030, "ZZ", layers=layers)
    assert payments(result) == ["20000.00", "4500.00", "30000.00"]
    assert result.enrollees["rating_area_id"].to_list() == ["1", "2", "1"]
    by_area = state(claims, 2022, "GA", coinsurance={"1": "0.15", "2": "0.9"})
    assert payments(by_area) == ["4500.00", "27000.00", "6000.00"]
    assert rules(by_area) == {"REI-024": 1}
    with pytest.raises(SettingRefused, match="differs by area"):
        state(claims, 2022, "GA")
    with pytest.raises(InputRefused, match=r"row 2.*REI-009: "):
        state(claims, 2030, "ZZ", layers={"1": ONE})
    with pytest.raises(InputRefused, match="missing column 'rating_area_id'"):
        state(claims.drop("rating_area_id"), 2030, "ZZ", layers=layers)


def test_an_enrollee_in_two_areas():
    claims = frame(30_000, 30_000, 1.0, rating_area_id=["1", "2", "1"]).with_columns(
        enrollee_id=pl.Series(["A", "A", "B"])
    )
    assert payments(state(claims, layers={"1": ONE, "2": ONE})) == ["16000.00", "0.00"]
    with pytest.raises(InputRefused, match=r"rows 1, 2.*REI-010: "):
        state(claims, layers={"1": ONE, "2": [(40_000, None, 1)]})


def test_condition_lists():
    claims = frame(100_000, 100_000, 100_000)
    people = pl.DataFrame(
        {"enrollee_id": ["E0000", "E0001", "E0000", "E9999"], "condition": ["008", "999", " 009", "008"]}
    )
    listed = state(claims, condition_list=["008", "009"], enrollee_conditions=people)
    assert payments(listed) == ["64000.00", "0.00", "0.00"]
    assert listed.enrollees["is_eligible"].to_list() == [True, False, False]
    assert rules(listed) == {"REI-023": 1}
    ceded = claims.with_columns(is_ceded=pl.Series([False, False, True]))
    both = state(ceded, 2020, "ME", condition_list=["008"], enrollee_conditions=people)
    assert payments(both) == ["50000.00", "0.00", "50000.00"]
    own = people.with_columns(issuer_id=pl.lit("99999"))
    assert payments(state(claims, condition_list=["008"], enrollee_conditions=own)) == ["0.00"] * 3
    assert payments(state(ceded, 2018, "AK")) == ["0.00", "0.00", "100000.00"]


def test_condition_lists_that_cannot_be():
    claims, people = frame(1.0), pl.DataFrame({"enrollee_id": ["E0000"], "condition": ["008"]})
    with pytest.raises(SettingRefused, match="by condition"):
        state(claims, 2018, "AK")
    for given_ones in ({"condition_list": ["008"]}, {"enrollee_conditions": people}):
        with pytest.raises(SettingRefused, match="belong together"):
            state(claims, **given_ones)
    for empty in ([], [" "], "008", [8]):
        with pytest.raises(InputRefused, match="REI-011: "):
            state(claims, condition_list=empty, enrollee_conditions=people)
    with pytest.raises(InputRefused, match=r"row 1.*REI-011: "):
        state(claims, condition_list=["008"], enrollee_conditions=people.with_columns(condition=pl.lit("")))
    for column in (pl.lit("yes"), pl.lit(None, pl.Boolean)):
        with pytest.raises(InputRefused, match="REI-013: "):
            state(claims.with_columns(is_ceded=column))


# ------------------------------------------------------------------------------------------------ the money


def test_a_shortage_scales_all_alike_and_spends_the_budget():
    """Three thirds of 100 dollars: 33.33 each after rounding; the total is that of the unrounded sum."""
    result = state(frame(41_000, 41_000, 41_000), layers=[(40_000, None, 1)], budget=100)
    assert payments(result) == ["33.33"] * 3
    total = result.totals.row(0, named=True)
    assert (total["payment"], total["residual_of_enrollees"]) == (Decimal("100.00"), Decimal("-0.01"))
    assert total["proration"] == pytest.approx(1 / 30)
    assert result.issuers["payment"].to_list() == [Decimal("100.00")]
    settings = {"cents_balance": "largest_remainder"}
    mended = state(frame(41_000, 41_000, 41_000), layers=[(40_000, None, 1)], budget=100, settings=settings)
    assert payments(mended) == ["33.34", "33.33", "33.33"]
    assert mended.totals["residual_of_enrollees"].to_list() == [Decimal("0.00")]


def test_money_that_is_enough_changes_nothing():
    plain = state(frame(100_000, 300_000), layers=ONE)
    for budget in ("216000.00", 1e9):
        rich = state(frame(100_000, 300_000), layers=ONE, budget=budget)
        assert rich.enrollees.equals(plain.enrollees)
        assert rich.totals["proration"].to_list() == [1.0]
    short = state(frame(100_000, 300_000), layers=ONE, budget="215999.99")
    assert short.totals["payment"].to_list() == [Decimal("215999.99")]


def test_the_limit_of_wisconsin_is_in_the_table():
    claims = frame(*[250_000.0] * 2500)  # 100,000 each, where 200 million are there
    result = state(claims, 2019, "WI")
    assert result.totals.select("budget", "payment", "proration").rows() == [(Decimal(200_000_000),) * 2 + (0.8,)]
    assert set(result.enrollees["payment"]) == {Decimal("80000.00")}
    assert state(claims, 2019, "WI", budget=10**9).totals["proration"].to_list() == [1.0]


@pytest.mark.parametrize("budget", [0, -1, "100.001"])
def test_a_budget_that_cannot_be(budget):
    with pytest.raises(InputRefused, match="REI-007: "):
        state(frame(1.0), budget=budget)


def test_claims_of_the_high_cost_pool_are_not_paid_twice():
    """Of 1.5 million the pool pays 300,000: 1.2 million are left, 0.5 of what lies from 95,000 to 2 million."""
    claims, layers = frame(1_500_000, 500_000), [(95_000, 2_000_000, "0.5")]
    assert payments(state(claims, layers=layers)) == ["702500.00", "202500.00"]
    net = state(claims, layers=layers, settings={"high_cost_order": "net_first"})
    assert payments(net) == ["552500.00", "202500.00"]
    assert net.uncertain["what"].str.split(",").list.first().to_list() == ["hcrp_coinsurance", "hcrp_threshold"]
    pool = high_cost_risk_pool(
        claims.with_columns(risk_pool=pl.lit("individual")),
        pl.DataFrame({"issuer_id": ["11111"], "risk_pool": ["individual"], "premium": [1e8]}),
        benefit_year=2022,
    )
    left = frame(1_500_000 - pool.enrollees["payment_unrounded"][0], 500_000)
    assert payments(state(left, layers=layers)) == payments(net)
    own = {"high_cost_order": "net_first", "hcrp_threshold": 1_400_000, "hcrp_coinsurance": 1}
    assert payments(state(claims, layers=layers, settings=own)) == ["652500.00", "202500.00"]
    damped = state(claims, layers=layers, settings={"high_cost_order": "dampening", "dampening_factor": "0.75"})
    assert payments(damped) == ["526875.00", "151875.00"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"high_cost_order": "dampening"}, SettingRefused),
        ({"dampening_factor": "0.75"}, SettingRefused),
        ({"high_cost_order": "dampening", "dampening_factor": 0}, SettingRefused),
        ({"high_cost_order": "dampening", "dampening_factor": 1.1}, SettingRefused),
        ({"hcrp_threshold": 1}, SettingRefused),
        ({"high_cost_order": "net_first", "hcrp_coinsurance": 2}, SettingRefused),
        ({"high_cost_order": "last"}, SettingRefused),
        ({"cents_balance": "up"}, SettingRefused),
        ({"coinsurance": 1}, SettingRefused),
    ],
)
def test_settings_that_cannot_be(settings, error):
    with pytest.raises(error):
        state(frame(1.0), settings=settings)


def test_no_high_cost_pool_to_net_in_2019_nor_before():
    settings = {"high_cost_order": "net_first"}
    with pytest.raises(InputRefused, match="TRF-059: "):
        state(frame(1.0), 2019, layers=ONE, settings=settings)
    with pytest.raises(TableMissing, match="2014"):
        reinsurance(frame(1.0), benefit_year=2014, settings=settings)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("layers", "rule_id"),
    [
        ([], "REI-004"),
        ("layers", "REI-004"),
        ({}, "REI-004"),
        ([(1, 2)], "REI-004"),
        ([(250_000, 45_000, 1)], "REI-004"),  # cap below attachment
        ([(45_000, 45_000, 1)], "REI-004"),
        ([(-1, 45_000, 1)], "REI-004"),
        ([(0, "0.001", 1)], "REI-004"),
        ([(0, 100, 1), (99, 200, 1)], "REI-005"),
        ([(100, 200, 1), (0, 100, 1)], "REI-005"),
        ([(0, None, 1), (100, 200, 1)], "REI-005"),
        ([(0, 100, "1.01")], "REI-006"),
        ([(0, 100, -0.01)], "REI-006"),
    ],
)
def test_layers_that_cannot_be(layers, rule_id):
    with pytest.raises(InputRefused, match=f"{rule_id}: "):
        state(frame(1.0), layers=layers)


@pytest.mark.parametrize("coinsurance", [1.5, -0.1, {"1": 2}])
def test_coinsurance_that_cannot_be(coinsurance):
    with pytest.raises(InputRefused, match="REI-006: "):
        state(frame(1.0, rating_area_id=["1"]), coinsurance=coinsurance)


@pytest.mark.parametrize(
    ("column", "value", "rule_id"),
    [
        ("issuer_id", None, "REI-001"),
        ("enrollee_id", " ", "REI-001"),
        ("market", "large_group", "REI-001"),
        ("market", None, "REI-001"),
        ("plan_paid", None, "REI-002"),
        ("plan_paid", float("nan"), "REI-002"),
        ("plan_paid", 1e9, "REI-002"),
        ("plan_paid", -0.01, "REI-003"),
    ],
)
def test_bad_claims_are_refused_and_no_value_told(column, value, rule_id):
    rows = frame(1.0, 2.0).to_dict(as_series=False)
    rows[column][1] = value
    with pytest.raises(InputRefused, match=f"column {column}, row 2.*{rule_id}: ") as caught:
        state(pl.DataFrame(rows))
    assert "E0001" not in str(caught.value)


def test_reversals_are_added_and_ids_cleaned():
    claims = frame(60_000, -10_000).with_columns(enrollee_id=pl.Series(["A", " A"]))
    assert payments(state(claims.lazy(), layers=ONE)) == ["8000.00"]  # type: ignore[arg-type]


def test_other_markets_and_states_are_set_aside():
    claims = frame(100_000, 100_000, 100_000, state=["MD", "md", "VA"]).with_columns(
        market=pl.Series(["individual", "Small Group", "individual"])
    )
    result = state(claims)
    assert rules(result) == {"REI-020": 1, "REI-021": 1}
    assert result.counts.rows() == [("claims", 3, 1, 2)]
    assert result.rejected["claims"]["rule_id"].sort().to_list() == ["REI-020", "REI-021"]
    assert rules(state(claims.drop("market", "state"))) == {"REI-022": 3}
    with pytest.raises(InputRefused, match="no claim is left"):
        state(claims.filter(state="VA"))
    national = reinsurance(claims, benefit_year=2014)
    assert national.issuers.select("state", "issuer_id", "enrollees").rows() == [("MD", "11111", 1), ("VA", "11111", 1)]


def test_arguments_that_cannot_be():
    claims = frame(1.0)
    for more in (
        {"program": "federal"},
        {"program": "state"},
        {"program": "state", "state": "Maryland"},
        {"state": "MD"},
        {"layers": ONE, "coinsurance": 1},
        {"coinsurance": {}},
        {"coinsurance": {"1": 1, " 1": 0}},
        {"layers": {" ": ONE}},
        {"coinsurance": "half"},
    ):
        with pytest.raises(SettingRefused):
            reinsurance(claims, benefit_year=2014, **more)
    with pytest.raises(SettingRefused, match="benefit_year"):
        reinsurance(claims, benefit_year="2014")  # type: ignore[arg-type]
    for column in ("issuer_id", "enrollee_id", "plan_paid"):
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            state(claims.drop(column))


# ------------------------------------------------------------------------------------------------ properties and twin

amounts = st.lists(st.integers(0, 2 * 10**8).map(lambda cents: cents / 100), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(amounts, st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 100))
def test_payments_rise_with_claims_and_stay_within_the_layer(claims, low, width, percent):
    layers = [(low, low + width, Fraction(percent, 100)), (low + width, None, Fraction(percent, 200))]
    paid = state(frame(*sorted(claims)), layers=layers[:1]).enrollees["payment"].to_list()
    assert paid == sorted(paid)
    assert all(0 <= p <= Decimal(percent) * width / 100 for p in paid)
    more = state(frame(*sorted(claims)), layers=layers).enrollees
    assert (more["payment"] <= more["plan_paid"]).all()
    assert all(a <= b for a, b in zip(paid, more["payment"], strict=True))


@settings(max_examples=15, deadline=None)
@given(amounts, st.integers(1, 10**8))
def test_the_budget_is_spent_to_the_cent_and_never_more(claims, cents):
    budget = Decimal(cents) / 100
    result = state(frame(*claims), layers=ONE, budget=budget, settings={"cents_balance": "largest_remainder"})
    total = result.totals.row(0, named=True)
    assert total["payment"] == min(budget, total["payment_before_proration"])
    assert result.enrollees["payment"].sum() == result.issuers["payment"].sum() == total["payment"]
    asked = result.enrollees["payment_before_proration"]
    assert (result.enrollees["payment"].cast(pl.Float64) < asked + 0.01).all()
    nothing = result.enrollees.filter(payment_before_proration=0.0)["payment"]
    assert (nothing == 0).all()


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(s, marks=pytest.mark.slow) for s in range(12, 150))])
def test_random_programs_equal_the_plain_twin(seed):
    draw = random.Random(seed)
    layers = {}
    for area in ("1", "2", "3"):
        bounds = sorted(draw.sample(range(0, 40_000_000), 4))
        low, mid, high, top = (Fraction(b, 100) for b in bounds)
        ends = draw.choice([top, None])
        layers[area] = [
            (low, mid, Fraction(draw.randint(0, 1000), 1000)),
            (high, ends, Fraction(draw.randint(1, 99), 100)),
        ]
    area_of = {(f"{10000 + i}", f"E{p}"): draw.choice("123") for i in range(4) for p in range(25)}
    rows = []
    for key, area in area_of.items():
        rows += [
            (*key, area, Fraction(draw.randint(0, 10 ** draw.randint(3, 8)), 100)) for _ in range(draw.randint(1, 3))
        ]
    order = draw.choice(["none", "net_first", "dampening"])
    factor = Fraction(draw.randint(1, 99), 100) if order == "dampening" else Fraction(1)
    settings: dict[str, Any] = {"high_cost_order": order}
    settings |= {"dampening_factor": factor} if order == "dampening" else {}
    settings |= {"hcrp_threshold": 123_456, "hcrp_coinsurance": "0.6"} if order == "net_first" else {}
    high_cost = (Fraction(123_456), Fraction(3, 5)) if order == "net_first" else None
    eligible = {f"E{p}" for p in range(25) if draw.random() < 0.6} | {"E0"} if draw.random() < 0.5 else None
    more: dict[str, Any] = {}
    if eligible is not None:
        people = pl.DataFrame({"enrollee_id": sorted(eligible)}).with_columns(condition=pl.lit("X"))
        more = {"condition_list": ["X"], "enrollee_conditions": people}
    free = oracle.reinsured(rows, layers, factor=factor, high_cost=high_cost, eligible=eligible)
    budget = draw.choice([None, max(free["total"] * Decimal(draw.randint(1, 150)) / 100, Decimal("0.01"))])
    budget = None if budget is None else budget.quantize(Decimal("0.01"))
    money = None if budget is None else Fraction(budget)
    expected = oracle.reinsured(rows, layers, budget=money, factor=factor, high_cost=high_cost, eligible=eligible)
    draw.shuffle(rows)
    names = ("issuer_id", "enrollee_id", "rating_area_id", "plan_paid")
    claims = pl.DataFrame(
        {
            c: [float(v) if c == "plan_paid" else v for v in vs]
            for c, vs in zip(names, zip(*rows, strict=True), strict=True)
        }
    )
    result = state(claims, 2024, "ZZ", layers=layers, budget=budget, settings=settings, **more)
    found = {(i, e): p for i, e, p in result.enrollees.select("issuer_id", "enrollee_id", "payment").rows()}
    assert found == expected["enrollees"]
    assert dict(result.issuers.select("issuer_id", "payment").rows()) == expected["issuers"]
    total = result.totals.row(0, named=True)
    assert total["payment"] == expected["total"]
    assert total["proration"] == float(expected["scale"])
    assert total["residual_of_enrollees"] == sum(expected["enrollees"].values()) - expected["total"]


# ------------------------------------------------------------------------------------------------ the premium


def effect(result: Reinsurance, **more: Any) -> dict[str, tuple[float, ...]]:
    found = result.premium_effect(**{"member_months": 1200, "seed": 5, "draws": 200} | more).effects
    return {name: tuple(rest) for name, *rest in found.rows()}


def test_effect_on_a_premium_by_hand():
    """64,000 over 1,200 months is 53.33; allowed 66.67; of a premium of 500 with 4 percent fees -11.11 percent."""
    claims = frame(100_000, *[1000.0] * 99)
    found = effect(state(claims), premium_pmpm=500, paid_to_allowed="0.8", fees_share_of_premium="0.04")
    values = {name: row[0] for name, row in found.items()}
    assert values == {
        "payment": 64_000.0,
        "recovery_pmpm": pytest.approx(64_000 / 1200),
        "share_of_claims": pytest.approx(64_000 / 199_000),
        "proration": 1.0,
        "recovery_allowed_pmpm": pytest.approx(64_000 / 1200 / 0.8),
        "premium_change_pmpm": pytest.approx(-64_000 / 1200 / 0.96),
        "premium_change": pytest.approx(-64_000 / 1200 / 0.96 / 500),
    }
    assert set(effect(state(claims))) == {
        "payment",
        "recovery_pmpm",
        "share_of_claims",
        "proration",
        "premium_change_pmpm",
    }


@pytest.mark.slow
def test_the_interval_holds_what_chance_would_do():
    """Each draw has so many claimants as a Poisson number of mean 20 nearly: 5 and 95 percent are 13 and 28."""
    result = state(frame(*[100_000.0] * 20, *[1.0] * 1980))
    _, lower, upper, error = effect(result, draws=1000)["payment"]
    assert (lower / 64_000, upper / 64_000) == (pytest.approx(13, abs=1), pytest.approx(27.5, abs=1.5))
    assert error / 64_000 == pytest.approx((20 * 0.99) ** 0.5, rel=0.1)
    fewer = state(frame(*[100_000.0] * 20))
    assert effect(fewer, enrollees=2000)["payment"] == effect(result)["payment"]  # those without claims are people too
    assert effect(fewer)["payment"][1:] == (1_280_000.0, 1_280_000.0, 0.0)


def test_every_draw_spends_its_own_budget():
    result = state(frame(*[100_000.0] * 20, *[1.0] * 80), budget=1_280_000)
    drawn = result.premium_effect(member_months=1200, seed=3, draws=300).draws
    assert drawn["payment"].max() == pytest.approx(1_280_000)
    assert (drawn["proration"] <= 1).all()
    short = drawn.filter(pl.col("proration") < 1)["payment"]
    assert 0 < short.len() < 300
    assert short.to_list() == pytest.approx([1_280_000.0] * short.len())


def test_a_share_of_no_claims_is_blank():
    assert effect(state(frame(0.0)))["share_of_claims"] == (None, None, None, None)


def test_columns_of_the_reader_do_not_clash():
    claims = frame(50_000).with_columns(_row=1, _micro=2, _ceded=False)
    assert payments(state(claims, layers=ONE)) == ["8000.00"]


def test_contributions_raise_the_premium():
    result = reinsurance(frame(100_000), benefit_year=2014, covered_life_years={"11111": 100})
    found = effect(result)
    assert found["contribution_pmpm"][0] == pytest.approx(6300 / 1200)
    assert found["premium_change_pmpm"][0] == pytest.approx((6300 - 55_000) / 1200)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(monkeypatch):
    claims = frame(*[1000.0 * i for i in range(300)])
    first = state(claims).premium_effect(member_months=1200, seed=1, draws=100)
    monkeypatch.setenv("POOLWISE_THREADS", "1")
    shuffled = claims.sample(fraction=1, shuffle=True, seed=3)
    again = state(shuffled).premium_effect(member_months=1200, seed=1, draws=100)
    assert first.effects.equals(again.effects)
    assert first.draws.equals(again.draws)
    other = state(claims).premium_effect(member_months=1200, seed=2, draws=100)
    assert not first.draws.equals(other.draws)
    assert "seed=1" in repr(first)
    assert state(shuffled).enrollees.equals(state(claims).enrollees)


@pytest.mark.parametrize(
    "more",
    [
        {"member_months": 0},
        {"premium_pmpm": 0},
        {"paid_to_allowed": 1.2},
        {"fees_share_of_premium": 1},
        {"enrollees": 1},
        {"draws": 1},
        {"seed": -1},
        {"level": 1},
    ],
)
def test_effects_that_cannot_be(more):
    with pytest.raises(SettingRefused):
        effect(state(frame(1.0, 2.0)), **more)
