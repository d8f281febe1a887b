"""The constructed filing G1: every quantity and rate of its expected values, and what must hold of any filing on it."""

from decimal import Decimal
from fractions import Fraction

import filing_g1
import polars as pl
import pytest

from rating._factors import rating_factors
from rating.filing import FilingSettings
from rating.filing._formulas import Formulas
from rating.filing._model import FilingModel, Places

TOLERANCE = Decimal("1e-9")
GROSS_UP, ADD_ON, AMOUNT = "gross_up", "add_on", "amount"


@pytest.fixture(scope="module")
def filing():
    return filing_g1.usual()


@pytest.fixture(scope="module")
def added_on():
    return filing_g1.usual(ADD_ON)


def labelled(rates):
    """(plan, area, age band, tobacco Y or N) -> rate."""
    found = {}
    for row in rates.select(
        "plan_id", "rating_area_id", "age_band", "individual_rate", "individual_tobacco_rate"
    ).rows():
        found[*row[:3], "N"], found[*row[:3], "Y"] = row[3:]
    return found


def test_there_are_31_quantities_and_112_rates():
    assert len(filing_g1.expected()) == 31
    assert len(filing_g1.expected_rates()) == 112


def test_quantities(filing, added_on):
    by_convention = {"": (filing, added_on), GROSS_UP: (filing,), ADD_ON: (added_on,)}
    for name, plan, convention, value in filing_g1.expected():
        for found in by_convention[convention]:
            assert abs(found.value(name, plan or None) - value) <= TOLERANCE, (name, plan, convention)


def test_rates_to_the_cent(filing):
    found = labelled(filing.rates)
    for (plan, area, age, tobacco), rate in filing_g1.expected_rates().items():
        band = "0-14" if age <= 14 else "64+" if age >= 64 else str(age)
        assert found[plan, area, band, tobacco] == rate, (plan, area, age, tobacco)
    assert filing.rates.height == 4 * 2 * 51
    assert filing.rates["tobacco"].unique().to_list() == ["split"]


def test_convention_amount():
    """The numerator and 15.045 dollars make 601.7851911292; a plan's rate is that times its factors over 1 - 0.179."""
    assumptions = filing_g1.assumptions() | {"exchange_fee_pmpm": "15.045"}
    del assumptions["exchange_fee_pct"]
    found = filing_g1.g1(assumptions=assumptions, settings={"user_fee_convention": AMOUNT})
    numerator = found.value("projected_index_rate") - Decimal("24.60")
    assert found.value("market_adjusted_index_rate") == numerator + Decimal("15.045")
    assert abs(found.value("market_adjusted_index_rate") - Decimal("601.7851911292")) <= TOLERANCE
    silver = Fraction(found.value("market_adjusted_index_rate")) * Fraction("0.7520") * Fraction("1.17")
    silver *= Fraction("0.98") * Fraction("1.001") / (1 - Fraction("0.179"))
    rate = found.value("plan_adjusted_index_rate", "12345XX0010002")
    assert abs(Fraction(rate) - silver) < Fraction(1, 10**25)
    assert found.value("fee_retention_shortfall_total") is None


def test_a_filed_plan_is_reproduced():
    """One filed plan of 2027: 1254.19 x 0.5730 x 1.0128 x 0.9932, filed and posted as 722.90."""
    figures = {"calib_age": "0.5730", "calib_geo": "1.0128", "calib_tobacco": "0.9932"}
    given = {(name, ""): Decimal(value) for name, value in figures.items()}
    given["plan_adjusted_index_rate", "p"] = Decimal("1254.19")
    given["calibrated_plan_adjusted_index_rate", "p"] = Decimal("722.90")
    model = FilingModel(Formulas.of(FilingSettings().as_dict()), given, Places({"p": "product"}))
    follows = model.computed("calibrated_plan_adjusted_index_rate", "p")
    filed = model.value("calibrated_plan_adjusted_index_rate", "p")
    assert abs(follows - Decimal("722.9002")) < Decimal("5e-5")
    assert abs(follows / filed - 1) < Decimal("5e-5")


def test_premium_is_rate_times_member_months(filing):
    frame = filing.plans.select("plan_adjusted_index_rate", "proj_member_months_plan", "proj_premium")
    total = sum(Fraction(filing.value("proj_premium", p)) for p in filing.plans["plan_id"])
    exact = sum(
        Fraction(filing.value("plan_adjusted_index_rate", p)) * Fraction(filing.value("proj_member_months_plan", p))
        for p in filing.plans["plan_id"]
    )
    assert abs(total - exact) < Fraction(1, 10**24)
    assert abs(Fraction(filing.value("proj_premium_total")) - exact) < Fraction(1, 10**24)
    assert frame.select((pl.col("proj_premium") - pl.first() * pl.nth(1)).abs().max()).item() < 1e-6
    assert filing.value("proj_member_months") == 126000 == frame["proj_member_months_plan"].sum()


def test_calibrated_rates_average_to_the_plan_rate(filing):
    """Over the mix, the rates of all members come back to the plan adjusted index rate: the sense of calibration."""
    factors = rating_factors("TX", "individual", 2027)
    mix = filing.mix.to_dicts()
    total = Fraction(126000)
    share = {(r["kind"], r["level"], r["billable"]): Fraction(r["member_months"]) / total for r in mix}
    for plan in filing.plans["plan_id"]:
        base = Fraction(filing.value("calibrated_plan_adjusted_index_rate", plan))
        average = Fraction(0)
        for (kind, level, billable), weight in share.items():
            if kind != "age" or billable == "N":
                continue
            age = Fraction(int(factors.curve.at(pl.Series([int(level)]).to_numpy())[0]), 10**6)
            for area in ("R-XX001", "R-XX002"):
                for user in "NY":
                    there = Fraction("0.95" if area == "R-XX001" else "1.06") * (Fraction("1.2") if user == "Y" else 1)
                    average += base * age * there * weight * share["area", area, "Y"] * share["tobacco", user, "Y"]
        assert abs(average - Fraction(filing.value("plan_adjusted_index_rate", plan))) < Fraction(1, 10**24)


@pytest.mark.parametrize("convention", [GROSS_UP, ADD_ON, AMOUNT])
def test_scaling_all_dollars_scales_the_unrounded_rates(convention):
    names = {"exchange_fee_pct": "0.0250", "exchange_fee_pmpm": "15.045", "manual_ehb": "480", "credibility": "0.75"}
    names |= {"proj_reinsurance": "11.5"}
    before = filing_g1.assumptions() | names
    factor = Decimal("1.37")
    dollars = [n for n in before if n.startswith("ep_index_rate") or n in ("manual_ehb", "proj_reinsurance",
               "proj_risk_adjustment", "exchange_fee_pmpm")]  # fmt: skip
    after = before | {name: str(Decimal(before[name]) * factor) for name in dollars}
    first = filing_g1.g1(assumptions=before, settings={"user_fee_convention": convention})
    second = first.model.changed({(name, ""): Decimal(value) for name, value in after.items()})
    for plan in first.plans["plan_id"]:
        for name in ("plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate"):
            assert abs(second.value(name, plan) / first.value(name, plan) - factor) < Decimal("1e-28")


def test_retention_and_fee_identities(filing, added_on):
    net = filing.value("projected_index_rate") - Decimal("24.60")
    fee = Decimal("0.025")
    for plan in filing.plans["plan_id"]:
        kept, factor = filing.value("retention", plan), filing.value("plan_factor", plan)
        assert kept == Decimal("0.179")
        claims = net * factor
        rate = filing.value("plan_adjusted_index_rate", plan)
        assert abs(rate * (1 - kept) * (1 - fee) - claims) < Decimal("1e-24")
        # What fee and retention, each taken of the premium, leave uncovered is fee x retention of it.
        assert abs(claims - rate * (1 - kept - fee) - rate * filing.value("fee_retention_shortfall", plan)) < Decimal(
            "1e-24"
        )
        assert filing.value("fee_retention_shortfall", plan) == fee * kept
        rate = added_on.value("plan_adjusted_index_rate", plan)
        assert abs(rate * (1 - kept) - claims * (1 + fee)) < Decimal("1e-24")
        short = claims - rate * (1 - kept - fee)
        assert abs(short - rate * added_on.value("fee_retention_shortfall", plan)) < Decimal("1e-24")
    said = filing.findings.filter(pl.col("rule_id") == "PRC-022")["message"].item()
    assert "0.4475 % of premium" in said


def test_the_same_bytes_twice_and_for_any_order_of_rows(filing):
    def content(found):
        frames = (found.ledger.frame().drop("inputs"), found.market, found.plans, found.products, found.areas)
        frames += (found.rates, found.mix, found.variants, found.findings, found.settings, found.uncertain)
        return [frame.write_csv() for frame in frames] + [found.ledger.frame()["inputs"].to_list()]

    once = content(filing)
    assert content(filing_g1.g1()) == once
    shuffled = {n: getattr(filing_g1, n)().sample(fraction=1, shuffle=True, seed=5) for n in ("plans", "areas", "mix")}
    turned = dict(reversed(filing_g1.assumptions().items()))
    assert content(filing_g1.g1(assumptions=turned, **shuffled)) == once


def test_worksheets_show_the_ledger(filing):
    for name, value in filing.market.select("name", "value").rows():
        exact = filing.value(name)
        assert value == (None if exact is None else float(exact))
    plans = filing.plans
    assert plans["plan_id"].to_list() == [f"12345XX001000{i}" for i in range(1, 5)]
    assert plans["exp_incurred"].to_list() == [8820000.0, 27347000.0, 15136000.0, 771541.6]
    assert plans["market_adjusted_index_rate"].n_unique() == 1
    assert plans["ehb_pct_premium"].to_list() == ["0.9990"] * 3 + ["1.0000"]  # kept, not used
    weights = [11480000, 33060000, 16950000, 1280000]
    changes = ["0.0870", "0.0940", "0.0815", "0.0620"]
    mean = sum(w * Fraction(c) for w, c in zip(weights, changes, strict=True)) / sum(weights)
    assert abs(Fraction(filing.value("submission_rate_increase")) - mean) < Fraction(1, 10**30)
    assert filing.products["product_rate_increase"].to_list() == [float(filing.value("submission_rate_increase"))]
