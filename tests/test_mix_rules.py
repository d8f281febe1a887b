"""The rules of enrollee mixes: whom conditions pick out, how rules follow each other, and what is refused."""

from fractions import Fraction

import mix_markets
import numpy as np
import polars as pl
import pytest
from mix_markets import CROWD, GIVEN, PAIR, YEAR, mixes_of, of_mix, one, plan_id, small

from data_specs.errors import InputRefused, SettingRefused
from riskadjust._mix import mix
from riskadjust._mix_columns import risk_deciles

# ------------------------------------------------------------------------------------------------ conditions

MET = {
    ("age_last", "=", "35"): "B",
    ("age_last", "!=", "35"): "ACDE",
    ("age_last", "<", "35"): "CDE",
    ("age_last", "<=", "35"): "BCDE",
    ("age_last", ">", "25"): "AB",
    ("age_last", ">=", "25"): "ABC",
    ("age_last", "between", "25 .. 35"): "BC",
    ("age_last", "in", "25|35"): "BC",
    ("age_last", "not in", "25|35"): "ADE",
    ("risk_score", "between", "0.5..2"): "ABC",
    ("csr_adjusted_score", ">", "0.559"): "ABCDE",
    ("csr_factor", ">", "1"): "A",
    ("sex", "=", "F"): "BC",
    ("county", "=", "Y"): "CD",
    ("county", "!=", "Y"): "AE",
    ("county", "not in", "Y|Z"): "A",
    ("county", "is null", None): "B",
    ("metal_level", "=", "silver"): "ABDE",
    ("csr_variant", "in", "04|05|06"): "A",
    ("issuer_id", "=", "22222"): "CD",
    ("plan_id", "not in", plan_id("1S")): "CD",
    ("rating_area_id", "=", "R-TX002"): "DE",
    ("risk_pool", "=", "individual"): "ABCDE",
    ("market", "=", "small_group"): "",
    ("months", "<", "12"): "C",
    ("span_start", ">", "2025-01-01"): "C",
    ("span_start", "between", "2025-01-01..2025-03-01"): "ABCDE",
    ("birth_date", "<", "1990-01-01"): "A",
    ("billable", "=", "true"): "ABCDE",
    ("billable", "!=", "true"): "",
    ("age_band", "in", "60+|21-24"): "ADE",
    ("risk_decile", "<=", "2"): "A",
    ("hccs", "contains", "019"): "A",
    ("hccs", "contains", "019|020"): "AB",
    ("hccs", "not contains", "019|020"): "CDE",
    ("hccs", "CONTAINS", "999"): "",
    ("network", "is null", None): "ABCDE",
    ("premium_monthly", "=", "400"): "ABCDE",
    ("relationship", "=", "self"): "ABCDE",
    ("rating_age", ">", "34"): "AB",
    (None, "all", None): "ABCDE",
}


@pytest.fixture(scope="module")
def picked():
    """Every condition as a mix, and beside it the mix that names the enrollees it is about."""
    rows = []
    for number, (condition, met) in enumerate(MET.items()):
        rows.append(one(*condition, name=f"said {number}"))
        rows.append(one("enrollee_id", "in", "|".join(met) or "nobody", name=f"named {number}"))
    return mix(*CROWD, pl.concat(rows), benefit_year=YEAR, gcf=GIVEN)


@pytest.mark.parametrize("number", range(len(MET)), ids=lambda i: str(list(MET)[i]))
def test_conditions_pick_out_whom_they_say(picked, number):
    said, named = (of_mix(picked.plans, f"{word} {number}").drop("mix") for word in ("said", "named"))
    assert said.equals(named)
    rule = of_mix(picked.enrollment, f"said {number}", rule=1).row(0, named=True)
    assert rule["enrollees_before"] == rule["enrollees_after"] == len(list(MET.values())[number])


def test_conditions_of_one_rule_must_all_hold_and_rules_follow_each_other():
    rows = mixes_of(
        ("both", "metal_level", "=", "silver", "scale", 0.5, None),
        ("both", "age_last", "<", "30", "scale", 0.5, None),
        ("each", "metal_level", "=", "silver", "scale", 0.5, None),
        ("each", "age_last", "<", "30", "scale", 0.5, None),
    ).with_columns(pl.Series("rule", [7, 7, 1, 2]))
    result = mix(*CROWD, rows, benefit_year=YEAR, gcf=GIVEN)
    months = {name: of_mix(result.plans, name)["total_member_months"].to_list() for name in ("base", "both", "each")}
    # Rows: issuer 1 silver in areas 1 and 2; issuer 2 gold in area 1 and silver in area 2.
    assert months["both"] == [24.0, 6.0, months["base"][2], 6.0]
    assert months["each"] == [12.0, 3.0, months["base"][2] / 2, 3.0]
    segments = of_mix(result.enrollment, "both")["segment"].to_list()
    assert segments == ["all enrollees", "age_last < 30 and metal_level = silver: scale 0.5"]


def test_deciles_share_the_months_of_a_pool():
    draw = np.random.default_rng(3)
    pool, score, months = (draw.integers(0, high, 300) for high in (3, 40, 300))
    months += 1
    found = risk_deciles(pool, score, months)
    for i in range(300):
        own = pool == pool[i]
        lower, same = months[own & (score < score[i])].sum(), months[own & (score == score[i])].sum()
        assert found[i] == 1 + int(10 * (Fraction(int(lower)) + Fraction(int(same), 2)) / int(months[own].sum()))
    assert set(found) == set(range(1, 11))


# ------------------------------------------------------------------------------------------------ refusals

GOOD = {
    "mix": "x",
    "column": "age_last",
    "operator": ">",
    "value": "30",
    "action": "scale",
    "factor": 0.5,
    "to_plan_id": None,
}
BAD = [
    ({"mix": None}, "names no mix"),
    ({"mix": "Base"}, "called base"),
    ({"column": "agelast"}, r"'agelast' is in none of the frames.*row 1.*age_last"),
    ({"column": None}, "names no column"),
    ({"operator": "=="}, "operator '==' is not known.*not in"),
    ({"operator": "between", "value": "30"}, "not a..b"),
    ({"operator": "in", "value": "30|"}, "between bars is blank"),
    ({"value": None}, "needs a value"),
    ({"operator": "is null"}, "takes no value"),
    ({"value": "old"}, "value 'old' is not a number"),
    ({"value": "nan"}, "is not a number"),
    ({"operator": "contains"}, "needs a list"),
    ({"column": "sex", "value": "F"}, "needs numbers or dates"),
    ({"column": "hccs", "operator": "=", "value": "019"}, "use contains"),
    ({"column": "span_start", "operator": "=", "value": "1/2/2025"}, "not a date YYYY-MM-DD"),
    ({"column": "billable", "operator": "=", "value": "1"}, "not true or false"),
    ({"action": "grow"}, "action 'grow' is not known"),
    ({"factor": None}, "factor is blank"),
    ({"factor": -0.1}, "below zero"),
    ({"factor": float("inf")}, "no number"),
    ({"to_plan_id": "11111TX0000002"}, "a scale names a plan"),
    ({"action": "move"}, "names no plan"),
    ({"action": "move", "to_plan_id": "11111TX0000002", "factor": 1.5}, "factor above 1"),
    ({"action": "move", "to_plan_id": "11111TX9999999"}, "not among the usable plans"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=lambda v: v if isinstance(v, str) else None)
def test_a_row_that_cannot_be_read_is_refused(change, message):
    columns = {c: mix_markets.SCHEMAS["mixes"][c] for c in GOOD}
    rows = pl.DataFrame([GOOD | change], schema=columns, orient="row")
    with pytest.raises(InputRefused, match=f"(?s){message}"):
        mix(*CROWD, rows, benefit_year=YEAR, gcf=GIVEN)


@pytest.mark.parametrize("column", GOOD)
def test_a_missing_column_or_a_wrong_type_is_refused(column):
    rows = one("age_last", ">", "30")
    with pytest.raises(InputRefused, match=f"missing column '{column}'"):
        mix(*CROWD, rows.drop(column), benefit_year=YEAR, gcf=GIVEN)
    wrong = pl.Series(column, [["a"]])
    with pytest.raises(InputRefused, match=f"column '{column}'"):
        mix(*CROWD, rows.with_columns(wrong), benefit_year=YEAR, gcf=GIVEN)


def test_values_may_be_numbers():
    rows = one("age_last", ">", "30").with_columns(pl.lit(30).alias("value"))
    result = mix(*CROWD, rows, benefit_year=YEAR, gcf=GIVEN)
    assert of_mix(result.enrollment, rule=1)["enrollees_before"].item() == 2


@pytest.mark.parametrize(
    ("rules", "factors", "message"),
    [
        ([1, 1], [0.5, 0.6], "two values of factor"),
        ([1, None], [0.5, 0.5], "blank in some rows"),
        ([0, 1], [0.5, 0.5], "below 1"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules, factors, message):
    rows = pl.concat([one("age_last", ">", "30", f) for f in factors]).with_columns(pl.Series("rule", rules))
    with pytest.raises(InputRefused, match=message):
        mix(*CROWD, rows, benefit_year=YEAR, gcf=GIVEN)
    with pytest.raises(InputRefused, match="not a whole number"):
        mix(*CROWD, rows.with_columns(rule=pl.lit("1")), benefit_year=YEAR, gcf=GIVEN)


def test_nobody_moves_out_of_the_market():
    maker = mix_markets.Maker(4, "TX", 6, ("individual", "small_group"))
    plan = next(p["plan_id"] for p in maker.rows["plans"] if p["market"] == "small_group")
    with pytest.raises(InputRefused, match=r"another state or market.*mixes, row 1"):
        mix(*maker.frames(), one(None, "all", None, 0.5, "move", plan), benefit_year=YEAR)


@pytest.mark.slow
def test_conditions_need_their_scores():
    scores, *others = CROWD
    with pytest.raises(InputRefused, match="explain=True"):
        mix(scores.drop("hccs"), *others, one("hccs", "contains", "019"), benefit_year=YEAR, gcf=GIVEN)
    move = one("enrollee_id", "=", "A", 1.0, "move", plan_id("2G"))
    with pytest.raises(InputRefused, match="score_gold"):
        mix(scores.drop("score_gold"), *others, move, benefit_year=YEAR, gcf=GIVEN)


@pytest.mark.parametrize(
    "settings",
    [
        {"gcf_rule": "new"},
        {"retention_share": 1},
        {"retention_share": "-0.1"},
        {"no_such": 1},
        {"month_rule": "x"},
        ["gcf_rule"],
    ],
)
def test_unknown_settings_are_refused(settings):
    with pytest.raises(SettingRefused):
        mix(*small(*PAIR), one(None, "all", None), benefit_year=YEAR, settings=settings)
