"""Bridges, sensitivities and what-ifs: steps that sum to the change, each change in its own step, evaluated again."""

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

import filing_g1
import filing_made_up as made
import polars as pl
import pytest

import data_specs
from data_specs.errors import InputRefused, SettingRefused
from rating.filing._bridge import bridge
from rating.filing._changed_filing import what_if
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._sensitivity import sensitivity

BRONZE, SILVER, GOLD, CATASTROPHIC = (f"12345XX001000{i}" for i in range(1, 5))
MEAN = "mean_premium_pmpm"


@lru_cache(maxsize=1)
def g1():
    return filing_g1.g1()


def plans(plan, **numbers):
    """The plans of G1, numbers of one of them changed."""
    here = pl.col("plan_id") == plan
    return filing_g1.plans().with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in numbers.items()
    )


def assuming(**numbers):
    return filing_g1.g1(assumptions=filing_g1.assumptions() | numbers)


def moved(found):
    """The steps that moved the rate, with their exact amounts."""
    return {step: found.amount(step) for step in found.steps["step"] if found.amount(step) != 0}


def assert_adds_up(found):
    amounts = [found.amount(step) for step in found.steps["step"]]
    assert sum(amounts, Decimal(0)) == found.change == found.new - found.old
    assert found.steps["cumulative"][-1] == float(found.new)


# ------------------------------------------------------------------------------------------------ the table


def test_every_quantity_has_a_step():
    steps = data_specs.table("filing/bridge_steps")["step"].to_list()
    groups = data_specs.table("filing/bridge_groups")
    assert set(groups["name"]) == set(data_specs.table("filing/urrt_formulas")["name"])
    assert set(groups["step"]) <= set(steps)
    assert set(steps) - set(groups["step"]) == {"plans", "other", "as_filed"}


# ------------------------------------------------------------------------------------------------ one change a step


ONE_CHANGE_A_STEP = {
    "base_experience": ("ep_index_rate_professional", "", "150"),
    "trend": ("trend_y2_util_capitation", "", "1.01"),
    "morbidity": ("adj_morbidity", "", "1.03"),
    "demographic": ("adj_demographic", "", "1"),
    "plan_design": ("adj_other", "", "1"),
    "credibility": ("credibility", "", "0.9"),
    "reinsurance": ("proj_reinsurance", "", "3"),
    "risk_adjustment": ("proj_risk_adjustment", "", "-10"),
    "exchange_fee": ("exchange_fee_pct", "", "0.03"),
    "benefit": ("adj_av_cost_sharing", GOLD, "0.87"),
    "csr_load": ("adj_csr_load", SILVER, "1.2"),
    "network": ("adj_network", SILVER, "1"),
    "non_ehb": ("adj_non_ehb", SILVER, "1"),
    "catastrophic": ("adj_catastrophic", CATASTROPHIC, "0.8"),
    "admin": ("pct_admin", BRONZE, "0.1"),
    "taxes_fees": ("pct_taxes_fees", BRONZE, "0.1"),
    "profit_risk": ("pct_profit_risk", BRONZE, "0"),
    "membership": ("proj_member_months_plan", GOLD, "40000"),
}
OF_CALIBRATED_RATES = {
    "age": ("age_member_months", "age 34 Y", "24500"),
    "area": ("area_factor", "R-XX001", "0.97"),
    "tobacco": ("tobacco_member_months", "tobacco Y", "20000"),
}


def with_number(name, place, value):
    """G1 with one number of its model changed: all that a bridge looks at."""
    assert g1().model.value(name, place) is not None
    return replace(g1(), model=g1().model.changed({(name, place): Decimal(value)}))


def test_one_change_moves_its_own_step_only():
    calibrated = {"target": "calibrated_plan_adjusted_index_rate", "plan": SILVER}
    for changes, target in ((ONE_CHANGE_A_STEP, {}), (OF_CALIBRATED_RATES, calibrated)):
        for step, change in changes.items():
            for order in ("chain", "symmetric"):
                found = bridge(g1(), with_number(*change), order=order, **target)
                assert found.change != 0
                assert moved(found) == {step: found.change}, step
                assert_adds_up(found)


def test_a_formula_that_a_setting_chooses_moves_with_its_step():
    found = bridge(g1(), filing_g1.g1(settings={"user_fee_convention": "add_on"}))
    assert moved(found) == {"exchange_fee": found.change}
    assert found.change < 0
    assert found.steps.filter(step="exchange_fee")["inputs_changed"].item() >= 1


def test_what_prices_nothing_moves_nothing():
    assert moved(bridge(g1(), with_number(*OF_CALIBRATED_RATES["age"]))) == {}
    found = bridge(g1(), with_number("av_metal", GOLD, "0.81"))
    assert (found.change, moved(found)) == (0, {})
    assert found.steps.filter(step="benefit")["inputs_changed"].item() == 1


# ------------------------------------------------------------------------------------------------ several changes


def test_two_factors_by_hand():
    """Of a product of two factors a chain gives what they move together to the later one, its reverse to the other."""
    changed = assuming(adj_morbidity="1.122", adj_demographic="1.0923")  # each ten percent up
    before = g1().value("adjusted_trended_ehb")
    found = bridge(g1(), changed, target="adjusted_trended_ehb")
    assert round(found.amount("morbidity"), 12) == round(before / 10, 12)
    assert round(found.amount("demographic"), 12) == round(before * Decimal("0.11"), 12)
    halves = bridge(g1(), changed, target="adjusted_trended_ehb", order="symmetric")
    for step in ("morbidity", "demographic"):
        assert round(halves.amount(step), 12) == round(before * Decimal("0.105"), 12)
    assert "in the order shown" in found.note
    assert "mean of two chains" in halves.note


@pytest.mark.slow
def test_the_order_is_a_setting():
    changed = filing_g1.g1(
        assumptions=filing_g1.assumptions() | {"adj_morbidity": "1.1"}, settings={"bridge_order": "symmetric"}
    )
    assert bridge(g1(), changed).order == "symmetric"
    assert bridge(changed, g1()).order == "chain"


@pytest.mark.slow
def test_plans_that_enter_and_leave_weigh_nothing_before_and_after():
    without_gold = filing_g1.g1(plans=filing_g1.plans().filter(pl.col("plan_id") != GOLD))
    without_bronze = filing_g1.g1(plans=filing_g1.plans().filter(pl.col("plan_id") != BRONZE))
    found = bridge(without_gold, without_bronze)
    assert (found.entering, found.leaving) == ((GOLD,), (BRONZE,))
    assert moved(found) == {"plans": found.change}
    assert abs(found.change - (without_bronze.value(MEAN) - without_gold.value(MEAN))) < Decimal("1e-17")
    assert_adds_up(found)
    # A plan that ends is one that leaves, whatever the filing holds of it.
    ended = filing_g1.g1(plans=plans(GOLD, plan_category="terminated", proj_member_months_plan="0"))
    assert bridge(g1(), ended).leaving == (GOLD,)
    assert set(moved(bridge(g1(), ended))) == {"plans"}


def test_a_filing_against_itself():
    assert moved(bridge(g1(), g1())) == {}
    assert bridge(g1(), g1()).steps["inputs_changed"].sum() == 0


SEEDS = range(8)


def made_filing(seed):
    try:
        return made.filing_of(made.random_case(seed))
    except InputRefused:  # some cases have no member months to work a load out of
        return None


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_filings_at_random_add_up(seed):
    pair = made_filing(seed), made_filing(seed + 1000)
    if None in pair:
        pytest.skip("no filing of this case")
    for target in (MEAN, "submission_rate_increase"):
        if any(filing.value(target) is None for filing in pair):
            continue
        forth = bridge(*pair, target=target, order="symmetric")
        back = bridge(*reversed(pair), target=target, order="symmetric")
        for found in (forth, back, bridge(*pair, target=target)):
            assert_adds_up(found)
            assert found.amount("other") == found.amount("as_filed") == 0
        if "no value between" not in forth.note + back.note:
            assert [-forth.amount(step) for step in forth.steps["step"]] == [
                back.amount(step) for step in back.steps["step"]
            ]


# ------------------------------------------------------------------------------------------------ as filed


@pytest.mark.slow
def test_of_a_filing_as_filed_only_the_inputs_count():
    changed = assuming(adj_morbidity="1.03", proj_risk_adjustment="20")
    plain = bridge(g1(), changed)
    for old, new in ((g1().as_filed(), changed), (g1(), changed.as_filed()), (g1().as_filed(), changed.as_filed())):
        found = bridge(old, new)
        assert moved(found) == moved(plain)


def test_a_figure_beside_its_formula_is_a_step_of_its_own():
    altered = g1().as_filed({("plan_adjusted_index_rate", SILVER): 700})
    found = bridge(g1(), altered, target="plan_adjusted_index_rate", plan=SILVER)
    assert moved(found) == {"as_filed": found.change}
    assert found.steps.filter(step="as_filed")["inputs_changed"].item() >= 1
    assert_adds_up(found)


@pytest.mark.slow
def test_a_workbook_against_the_filing_it_came_from(tmp_path):
    from rating.filing import read_workbook

    changed = assuming(adj_morbidity="1.03")
    found = bridge(g1(), read_workbook(changed.write_workbook(tmp_path / "filing.xlsx")))
    rounding = {step: amount for step, amount in moved(found).items() if abs(amount) < Decimal("1e-9")}
    assert set(moved(found)) - set(rounding) == {"morbidity"}
    assert abs(found.amount("morbidity") - bridge(g1(), changed).amount("morbidity")) < Decimal("1e-9")
    assert_adds_up(found)


# ------------------------------------------------------------------------------------------------ refusals


def test_bridges_that_cannot_be():
    new = filing_g1.g1(plans=filing_g1.plans().filter(pl.col("plan_id") != GOLD))
    with pytest.raises(InputRefused, match=r"newer filing does not offer plan 12345XX0010003.*leave `plan` out"):
        bridge(g1(), new, target="plan_adjusted_index_rate", plan=GOLD)
    with pytest.raises(InputRefused, match=r"older filing has no value of 'mean_premium'"):
        bridge(g1(), new, target="mean_premium")
    with pytest.raises(InputRefused, match="`new` is a dict, not a filing"):
        bridge(g1(), {})
    with pytest.raises(SettingRefused, match=r"'order' cannot be 'random'.*'chain', 'symmetric'"):
        bridge(g1(), new, order="random")
    with pytest.raises(InputRefused, match="no step 'luck'"):
        bridge(g1(), new).amount("luck")


# ------------------------------------------------------------------------------------------------ what-if


def test_what_if_is_what_developing_again_gives():
    changed = what_if(g1(), adj_morbidity="1.03", pct_admin=0.11, adj_network={GOLD: 0.95})
    again = filing_g1.g1(
        assumptions=filing_g1.assumptions() | {"adj_morbidity": "1.03"},
        plans=plans(GOLD, adj_network="0.95").with_columns(pl.lit("0.11").alias("pct_admin")),
    )
    for frame in ("plans", "products", "areas", "mix", "rates", "findings", "variants"):
        assert getattr(changed, frame).equals(getattr(again, frame)), frame
    told = ("source", "note")
    assert changed.market.drop(told).equals(again.market.drop(told))
    assert g1().value("adj_morbidity") == Decimal("1.0200")
    entry = changed.ledger.get("adj_morbidity")
    assert (entry.source, entry.replaced) == ("what-if", Decimal("1.0200"))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_if_without_a_change_changes_nothing(seed):
    filing = made_filing(seed)
    if filing is None:
        pytest.skip("no filing of this case")
    same = what_if(filing)
    for frame in ("market", "plans", "products", "areas", "mix", "rates", "findings", "variants"):
        assert getattr(same, frame).equals(getattr(filing, frame)), frame
    assert same.ledger.frame().sort("name", "place").equals(filing.ledger.frame().sort("name", "place"))


def test_one_trend_for_all_categories():
    grown = what_if(g1(), trend=0.07)
    for category in CATEGORIES:
        before, after = (grown.value(name, category=category) for name in ("ep_index_rate", "trended_ehb"))
        assert abs(after - before * Decimal("1.1449")) < Decimal("1e-25")
        assert grown.value("trend_y1_util", category=category) == g1().value("trend_y1_util", category=category)
    assert set(moved(bridge(g1(), grown))) == {"trend"}


def test_what_if_of_a_filing_as_filed():
    changed = what_if(g1().as_filed(), adj_morbidity="1.03")
    assert abs(changed.value(MEAN) - what_if(g1(), adj_morbidity="1.03").value(MEAN)) < Decimal("1e-25")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"adj_morbidit": 1}, "no quantity is called 'adj_morbidit'.*use adj_morbidity"),
        ({"trend": -1}, "leaves no claims"),
        ({"pct_admin": {"B": 0.1}}, "plan 'B' is not offered"),
        ({"pct_admin": 0.99}, "add to 1.0510 of premium"),
        ({"credibility": 1.5}, "credibility is not a fraction"),
        ({"adj_morbidity": None}, "is not a plain decimal number"),
        ({"proj_risk_adjustment": 9999}, "market adjusted index rate is -"),
    ],
)
def test_changes_that_cannot_be(changes, what):
    with pytest.raises(InputRefused, match=what):
        what_if(g1(), **changes)


@pytest.mark.slow
def test_what_was_worked_out_before_the_chain_needs_developing_again():
    rounded = filing_g1.g1(settings={"calibration_decimals": 4})
    with pytest.raises(InputRefused, match=r"calib_age was worked out from mean_age_factor before the chain"):
        what_if(rounded, mean_age_factor="1.7")
    assert what_if(rounded, calib_age="0.6").value("calib_age") == Decimal("0.6")


# ------------------------------------------------------------------------------------------------ sensitivity


@pytest.mark.slow
def test_sensitivities_are_evaluated_again():
    found = {row["assumption"]: row for row in sensitivity(g1()).to_dicts()}
    base = g1().value(MEAN)
    for assumption, up, down in (
        ("morbidity", {"adj_morbidity": "1.03"}, {"adj_morbidity": "1.01"}),
        ("risk_adjustment", {"proj_risk_adjustment": "29.6"}, {"proj_risk_adjustment": "19.6"}),
        ("admin", {"pct_admin": "0.128"}, {"pct_admin": "0.108"}),
        ("csr_load", {"adj_csr_load": {SILVER: "1.1817"}}, {"adj_csr_load": {SILVER: "1.1583"}}),
    ):
        for effect, changes in (("effect_up", up), ("effect_down", down)):
            assert found[assumption][effect] == float(what_if(g1(), **changes).value(MEAN) - base)
    costs = {f"trend_{y}_cost_{c}": g1().value(f"trend_{y}_cost", category=c) for y in ("y1", "y2") for c in CATEGORIES}
    steeper = what_if(g1(), **{name: value + Decimal("0.01") for name, value in costs.items()})
    assert found["trend"]["effect_up"] == pytest.approx(float(steeper.value(MEAN) - base), abs=1e-12)
    assert found["trend"]["ratio_up"] == pytest.approx(float(steeper.value(MEAN) / base - 1), abs=1e-12)


@pytest.mark.slow
def test_changes_that_mean_nothing_are_left_out():
    found = {row["assumption"]: row for row in sensitivity(g1()).to_dicts()}
    # G1 has full credibility and no manual rate; its fee is a percentage; it has no reinsurance to take away.
    assert not {"manual_rate", "credibility", "exchange_fee_dollars"} & set(found)
    assert (found["reinsurance"]["effect_down"], found["trend"]["value"]) == (None, None)
    blended = assuming(credibility="0.95", manual_ehb="640")
    part = {row["assumption"]: row for row in sensitivity(blended).to_dicts()}
    assert part["credibility"]["effect_up"] is None
    assert part["credibility"]["effect_down"] > 0
    assert part["manual_rate"]["effect_up"] > 0


@pytest.mark.slow
def test_sensitivity_of_a_plan_and_of_a_filing_as_filed():
    assert sensitivity(g1()).equals(sensitivity(g1().as_filed()))
    found = sensitivity(g1(), target="plan_adjusted_index_rate", plan=SILVER)
    assert found.filter(assumption="network")["ratio_up"].item() == pytest.approx(0.01)
    with pytest.raises(InputRefused, match="no value of 'rate'"):
        sensitivity(g1(), target="rate")


def test_every_sensitivity_names_quantities():
    formulas = Formulas.of({})
    for names in data_specs.table("filing/sensitivities")["names"]:
        for name in names.split():
            known = name.replace("{category}", CATEGORIES[0])
            assert formulas.quantity(known, "market") or formulas.quantity(known, "plan"), name
