"""The core of a filing against its slow twin, on made-up filings; and its own parts: fee, basis, load, calibration."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import filing_g1
import polars as pl
import pytest
from filing_made_up import filing_of, random_case, rates_of
from filing_oracle import Twin

import riskadjust
from data_specs.errors import InputRefused, NotYetPublished, SettingRefused, TableMissing
from rating.filing import FilingSettings, risk_adjustment_pmpm

CLOSE = Fraction(1, 10**28)
SILVER, GOLD, BRONZE, CATASTROPHIC = (f"12345XX001000{i}" for i in (2, 3, 1, 4))


@pytest.fixture(scope="module")
def usual():
    """G1 as it is."""
    return filing_g1.usual()


# ------------------------------------------------------------------------------------------------ the twin


def same(found, expected):
    if expected is None:
        return found is None
    return found is not None and abs(Fraction(found) - expected) <= CLOSE * max(abs(expected), 1)


def is_without_silver_months(case):
    """Whether a CSR load is to be worked out from silver plans that have no member month."""
    choice = case["settings"].get("csr_load", "given")
    if choice in ("given", "none"):
        return False
    silver = [
        plan
        for plan in case["plans"]
        if plan["metal_level"] == "silver"
        and plan["plan_category"] != "terminated"
        and (choice == "all_silver" or plan["on_exchange"] == "yes")
    ]
    months = [Twin.months_of(case, plan) for plan in silver]
    return bool(months) and sum(months) == 0


def compare(seed):
    """Work a made-up filing out both ways, number by number."""
    case = random_case(seed)
    if is_without_silver_months(case):
        with pytest.raises(InputRefused, match="to work a CSR load out"):
            filing_of(case)
        return
    found = filing_of(case)
    twin = Twin(case)
    wrong = [name for name, value in twin.market.items() if not same(found.value(name), value)]
    wrong += [
        (plan, name)
        for plan, values in twin.plans.items()
        for name, value in values.items()
        if not same(found.value(name, plan), value)
    ]
    wrong += [p for p, value in twin.products.items() if not same(found.value("product_rate_increase", p), value)]
    assert wrong == [], seed
    assert {key: Fraction(rate) for key, rate in rates_of(found).items()} == twin.rates, seed


def test_made_up_filings_equal_the_twin():
    for seed in range(6):
        compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 2100, 100))
def test_many_made_up_filings_equal_the_twin(start):
    for seed in range(start, start + 100):
        compare(seed)


# ------------------------------------------------------------------------------------------------ step 6: the fee


def with_fee(**fee):
    assumptions = filing_g1.assumptions()
    del assumptions["exchange_fee_pct"]
    return assumptions | fee


@pytest.mark.slow
def test_published_fee_needs_the_on_exchange_share():
    with pytest.raises(InputRefused, match="on_exchange_premium_share: no value"):
        filing_g1.g1(assumptions=with_fee(exchange_type="FFE"))
    with pytest.raises(InputRefused, match="on_exchange_premium_share: no value"):
        filing_g1.g1(assumptions=with_fee(published_exchange_fee_pct="0.025"))
    found = filing_g1.g1(assumptions=with_fee(exchange_type="FFE", on_exchange_premium_share="0.8"))
    assert found.value("published_exchange_fee_pct") == Decimal("0.019")  # of 2027
    assert found.value("exchange_fee_pct") == Decimal("0.0152")
    assert found.ledger.get("published_exchange_fee_pct").source == "filing/exchange_user_fees, 2027, FFE"


@pytest.mark.slow
def test_uncertain_fee_is_named():
    arguments = {"plan_year": 2026, "assumptions": with_fee(exchange_type="SBE-FP", on_exchange_premium_share="1")}
    found = filing_g1.g1(**arguments)
    lines = found.uncertain.filter(pl.col("table") == "filing/exchange_user_fees")
    assert lines.select("moved", "rows").rows() == [("market_adjusted_index_rate", 1)]
    assert lines["what"].item().endswith("plan_year 2026, exchange_type SBE-FP")


def test_effective_fee_takes_no_share():
    """A fee on the worksheet is effective: a share beside it changes nothing, and the filing says so."""
    assumptions = filing_g1.assumptions() | {"on_exchange_premium_share": "0.5"}
    found = filing_g1.g1(assumptions=assumptions)
    assert found.value("exchange_fee_pct") == Decimal("0.0250")
    assert found.findings["rule_id"].to_list().count("PRC-015") == 1


@pytest.mark.parametrize(
    ("fee", "settings", "message"),
    [
        ({}, {}, "there is no exchange user fee"),
        ({"exchange_type": "SBE"}, {}, "there is no exchange user fee"),
        ({"exchange_type": "state"}, {}, "exchange_type is not known"),
        ({"exchange_fee_pct": "1"}, {}, "exchange_fee_pct is one or more"),
        ({"exchange_fee_pct": "2.5"}, {}, "not a fraction from 0 to 1"),
        ({"exchange_fee_pct": "0.025"}, {"user_fee_convention": "amount"}, "exchange_fee_pmpm: no value"),
    ],
)
def test_fees_that_are_not_clear(fee, settings, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(assumptions=with_fee(**fee), settings=settings)


@pytest.mark.slow
def test_a_year_without_a_published_fee():
    arguments = {"plan_year": 2030, "assumptions": with_fee(exchange_type="FFE", on_exchange_premium_share="1")}
    with pytest.raises((NotYetPublished, TableMissing)):
        filing_g1.g1(**arguments)


# ------------------------------------------------------------------------------------------------ step 6: the basis


def test_allowed_basis_is_paid_over_the_ratio():
    assumptions = filing_g1.assumptions()
    del assumptions["proj_risk_adjustment"], assumptions["proj_reinsurance"]
    assumptions |= {"proj_risk_adjustment_paid": "19.68", "proj_reinsurance_paid": "4", "paid_to_allowed_ratio": "0.8"}
    found = filing_g1.g1(assumptions=assumptions)
    assert found.value("proj_risk_adjustment") == Decimal("24.6")
    assert found.value("proj_reinsurance") == Decimal(5)
    for name in ("proj_risk_adjustment", "proj_risk_adjustment_paid", "paid_to_allowed_ratio"):
        assert found.ledger.value(name) is not None  # both bases and the ratio are kept
    del assumptions["paid_to_allowed_ratio"]
    with pytest.raises(InputRefused, match="paid_to_allowed_ratio: no value"):
        filing_g1.g1(assumptions=assumptions)


@pytest.mark.slow
def test_paid_basis_follows_where_the_allowed_one_is_given():
    found = filing_g1.g1(assumptions=filing_g1.assumptions() | {"paid_to_allowed_ratio": "0.8"})
    assert found.value("proj_risk_adjustment_paid") == Decimal("19.68")
    assumptions = filing_g1.assumptions() | {"paid_to_allowed_ratio": "0.8", "proj_risk_adjustment_paid": "24.60"}
    found = filing_g1.g1(assumptions=assumptions)  # the two bases were mixed up
    assert "PRC-018" in found.findings["rule_id"].to_list()
    assert found.ledger.get("proj_risk_adjustment").replaced == Decimal("30.75")


def test_ratio_of_the_plans():
    plans = filing_g1.plans().with_columns(
        pl.lit("1000").alias("proj_allowed"), pl.Series("proj_member_cost_sharing", ["400", "200", "100", "300"])
    )
    assert filing_g1.g1(plans=plans).value("paid_to_allowed_ratio") == Decimal("0.75")


def test_risk_adjustment_from_a_settlement():
    rows = pl.DataFrame(
        {
            "risk_pool": ["metal"] * 2,
            "issuer_id": ["11111", "22222"],
            "plan_id": ["a", "b"],
            "rating_area_id": ["1", "1"],
            "metal_level": ["silver", "silver"],
            "billable_member_months": [1000.0, 1000.0],
            "premium": [500000.0, 500000.0],
            "plrs": [1.2, 0.8],
            "arf": [1.6, 1.6],
            "gcf": [1.0, 1.0],
        }
    )
    settled = riskadjust.transfers(rows, benefit_year=2025)
    found = risk_adjustment_pmpm(settled, issuer_id="11111", member_months=1250)
    amount = settled.issuers.filter(pl.col("issuer_id") == "11111")["transfer"].item()
    assert amount > 0
    assert found["value"] == amount / 1250
    assert f"{amount}" in found["source"]
    fee = settled.issuers.filter(pl.col("issuer_id") == "11111")["user_fee"].item()
    net = risk_adjustment_pmpm(settled, issuer_id="11111", member_months=1250, net_of_user_fee=True)
    assert fee < 0
    assert net["value"] == (amount + fee) / 1250
    with pytest.raises(InputRefused, match="no transfer, or no user fee, is settled"):
        risk_adjustment_pmpm(settled, issuer_id="33333", member_months=1250)
    with pytest.raises(InputRefused, match="no member months"):
        risk_adjustment_pmpm(settled, issuer_id="11111", member_months=0)


# ------------------------------------------------------------------------------------------------ experience


NEW_ISSUER = {
    "exp_member_months": 0,
    "exp_premium_total": "0",
    "manual_ehb": "512.34",
    "proj_reinsurance": 0,
    "proj_risk_adjustment": 0,
    "exchange_fee_pct": 0,
}


def test_a_new_issuer_has_the_manual_rate():
    found = filing_g1.g1(assumptions=NEW_ISSUER)
    assert found.value("projected_index_rate") == found.value("market_adjusted_index_rate") == Decimal("512.34")
    for name in ("ep_index_rate_total", "trended_ehb_total", "adjusted_trended_ehb", "credibility"):
        assert found.value(name) == 0
    for name in ("allowed_claims", "incurred_claims", "premium"):
        assert found.value(f"exp_{name}_pmpm") is None
    blank = found.market.filter(name="exp_premium_pmpm")
    assert blank["value"].to_list() == [None]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("credibility", "0.2", "PRC-013"),
        ("ep_index_rate_professional", "10", "PRC-013"),
        ("manual_ehb", None, "manual_ehb: no value"),
    ],
)
def test_what_a_new_issuer_cannot_have(name, value, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(assumptions=NEW_ISSUER | {name: value})


def test_a_given_value_wins_over_a_computed_one():
    assumptions = filing_g1.assumptions() | {
        "adjusted_trended_ehb": {"value": 620, "source": "memorandum, page 7", "note": "as agreed"}
    }
    found = filing_g1.g1(assumptions=assumptions)
    entry = found.ledger.get("adjusted_trended_ehb")
    assert entry.value == found.value("projected_index_rate") == 620
    assert entry.source == "memorandum, page 7"
    assert entry.note == "as agreed; given; its formula gives 611.340191129"
    assert abs(entry.replaced - Decimal("611.3401911292")) < Decimal("1e-9")


# ------------------------------------------------------------------------------------------------ plans


def replaced(**changes):
    """The plans of G1; each change is column=list of four values."""
    return filing_g1.plans().with_columns(pl.Series(name, values) for name, values in changes.items())


def test_terminated_plan():
    category = ["renewing", "terminated", "renewing", "renewing"]
    months = ["30000", "0", "92000", "4000"]
    factors = {n: ["0.98", None, "0.98", "0.98"] for n in ("adj_network", "adj_av_cost_sharing")}
    found = filing_g1.g1(plans=replaced(plan_category=category, proj_member_months_plan=months, **factors))
    assert found.value("plan_adjusted_index_rate", SILVER) == 0
    assert found.value("calibrated_plan_adjusted_index_rate", SILVER) == 0
    assert SILVER not in found.rates["plan_id"].to_list()
    assert found.plans["plan_id"].to_list() == [BRONZE, SILVER, GOLD, CATASTROPHIC]
    assert found.value("exp_loss_ratio", SILVER) is not None  # its experience counts
    assert found.value("rate_change_weight", SILVER) == 0
    assert found.value("mean_premium_pmpm") > 0
    with pytest.raises(InputRefused, match="terminated and projected with member months"):
        filing_g1.g1(plans=replaced(plan_category=category))


def test_plan_without_projected_members_gets_its_rate(usual):
    found = filing_g1.g1(plans=replaced(proj_member_months_plan=["30000", "60000", "36000", "0"]))
    name = "calibrated_plan_adjusted_index_rate"
    assert found.value(name, CATASTROPHIC) == usual.value(name, CATASTROPHIC)
    assert found.rates.equals(usual.rates)
    assert found.value("proj_premium_pmpm", CATASTROPHIC) is None
    assert found.findings.filter(pl.col("rule_id") == "PRC-021")["where"].to_list() == [f"plan {CATASTROPHIC}"]


def test_enrollees_move_with_their_plan():
    plans = replaced(
        plan_category=["renewing", "terminated", "renewing", "renewing"],
        proj_member_months_plan=["30000", "0", None, "4000"],
        crosswalk_plan_id=[None, GOLD, None, None],
        current_enrollment=["2500", "5000", "2000", "300"],
        enrollment_change=["1", None, "0.9", "1"],
    )
    found = filing_g1.g1(plans=plans)
    assert found.value("projection_enrollment", GOLD) == 7000
    assert found.value("proj_member_months_plan", GOLD) == 75600  # 7000 x 12 x 0.9
    assert found.value("proj_member_months") == 126000
    assert "PRC-023" in found.findings["rule_id"].to_list()  # 109600 in the plans


def test_loss_ratio_of_the_template():
    columns = {
        "proj_allowed": ["900"] * 4, "proj_reinsurance_plan": ["50"] * 4, "proj_member_cost_sharing": ["200"] * 4,
        "proj_csr": ["30"] * 4, "proj_risk_adjustment_plan": ["-100"] * 4,
    }  # fmt: skip
    for sign, incurred in (("plus", 680), ("minus", 620)):
        found = filing_g1.g1(plans=replaced(**columns), settings={"csr_sign": sign})
        assert found.value("proj_incurred", GOLD) == incurred
        premium = found.value("proj_premium", GOLD)
        assert same(found.value("proj_loss_ratio", GOLD), Fraction(incurred) / (Fraction(premium) - 100))
    total = found.value("proj_premium_total") - 400
    assert same(found.value("proj_loss_ratio"), Fraction(4 * 620) / Fraction(total))
    # What the rate is worked out for: claims before risk adjustment over premium and risk adjustment.
    factor, months = found.value("plan_factor", GOLD), found.value("proj_member_months_plan", GOLD)
    claims = Fraction(found.value("projected_index_rate")) * Fraction(factor) * Fraction(months)
    receipt = Fraction("24.60") * Fraction(factor) * Fraction(months)
    assert same(
        found.value("priced_loss_ratio", GOLD), claims / (Fraction(found.value("proj_premium", GOLD)) + receipt)
    )


@pytest.mark.parametrize("retention", ["0.86", "0.851"])
def test_retention_of_one_or_more(retention):
    with pytest.raises(InputRefused, match="PRC-020"):
        filing_g1.g1(plans=replaced(pct_admin=["0.118", "0.118", retention, "0.118"], pct_taxes_fees=["0.119"] * 4))


# ------------------------------------------------------------------------------------------------ CSR load


VARIANTS = pl.DataFrame(
    {
        "plan_id": [SILVER] * 3,
        "csr_variant": ["01", "04", "06"],
        "share": ["0.5", "0.2", "0.3"],
        "paid_to_allowed": ["0.70", "0.73", "0.94"],
        "induced_demand": ["1.03", "1.03", "1.15"],
    }
)


@pytest.mark.slow
def test_load_from_variants():
    """0.5 x 0.70 x 1.03 + 0.2 x 0.73 x 1.03 + 0.3 x 0.94 x 1.15 = 0.83518, over 0.70 x 1.03 = 0.721: 1.158363..."""
    found = filing_g1.g1(variants=VARIANTS, settings={"csr_load": "on_exchange_silver"})
    entry = found.ledger.get("csr_load")
    assert entry.value == found.value("adj_csr_load", SILVER) == Decimal("1.1584")
    assert same(entry.replaced, Fraction("0.83518") / Fraction("0.721"))
    assert [found.value("adj_csr_load", plan) for plan in (BRONZE, GOLD, CATASTROPHIC)] == [1, 1, 1]
    assert found.variants.rows() == [(SILVER, "01", 30000.0), (SILVER, "04", 12000.0), (SILVER, "06", 18000.0)]
    finer = filing_g1.g1(variants=VARIANTS, settings={"csr_load": "all_silver", "factor_decimals": 6})
    assert finer.value("adj_csr_load", SILVER) == Decimal("1.158363")


@pytest.mark.slow
def test_choices_of_the_load():
    given = filing_g1.assumptions() | {"csr_load": "1.2"}
    silver_too = replaced(metal_level=["silver", "silver", "gold", "catastrophic"], on_exchange=["No", "Yes"] * 2)
    loads = {}
    for choice in ("given", "none", "all_silver", "on_exchange_silver"):
        found = filing_g1.g1(assumptions=given, plans=silver_too, settings={"csr_load": choice})
        loads[choice] = [found.value("adj_csr_load", plan) for plan in (BRONZE, SILVER, GOLD)]
    ten, more = Decimal("1.0000"), Decimal("1.2")
    assert loads == {
        "given": [ten, Decimal("1.17"), ten],
        "none": [1, 1, 1],
        "all_silver": [more, more, 1],
        "on_exchange_silver": [1, more, 1],
    }
    said = found.findings.filter(pl.col("rule_id") == "PRC-012")["where"].to_list()
    assert said == [f"plan {SILVER}"]  # its own 1.17 gave way to 1.2


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (None, "no variants to work the load out from"),
        (VARIANTS.drop("induced_demand"), "no paid_to_allowed or induced_demand"),
        (VARIANTS.with_columns(pl.lit("0.5").alias("share")), "shares do not add to one"),
        (
            VARIANTS.filter(pl.col("csr_variant") != "01").with_columns(pl.lit("0.5").alias("share")),
            "no standard variant",
        ),
        (VARIANTS.with_columns(pl.lit("04").alias("csr_variant")), "a variant stands twice"),
        (VARIANTS.with_columns(pl.lit("4").alias("csr_variant")), "no two digits"),
        (VARIANTS.with_columns(pl.lit("12345XX0019999").alias("plan_id")), "not offered"),
        (VARIANTS.drop("share"), "neither share nor member_months"),
    ],
)
def test_variants_that_cannot_be_used(variants, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(variants=variants, settings={"csr_load": "on_exchange_silver"})


# ------------------------------------------------------------------------------------------------ calibration


def test_nearest_age():
    """The mean factor is 1.6431; 1.635 of age 48 is 0.0081 away, 1.563 of 47 and 1.706 of 49 are farther."""
    found = filing_g1.g1(settings={"calibration_method": "nearest_age"})
    assert found.value("calibration_age") == 48
    assert same(found.value("calib_age"), 1 / Fraction("1.635"))


def test_calibration_as_a_template_prints_it():
    found = filing_g1.g1(settings={"calibration_decimals": 4})
    factors = [found.value(name) for name in ("calib_age", "calib_geo", "calib_tobacco")]
    assert factors == [Decimal("0.6086"), Decimal("1.0011"), Decimal("0.9844")]
    assert abs(found.ledger.get("calib_age").replaced - Decimal("0.6086015688")) < Decimal("1e-9")
    rate = found.value("calibrated_plan_adjusted_index_rate", SILVER)
    assert rate / found.value("plan_adjusted_index_rate", SILVER) == factors[0] * factors[1] * factors[2]


@pytest.mark.slow
def test_given_calibration_needs_no_mix():
    given = {"calib_age": "0.5730", "calib_geo": "1.0128", "calib_tobacco": "0.9932"}
    found = filing_g1.g1(assumptions=filing_g1.assumptions() | given, mix=None)
    assert found.mix.height == 0
    assert found.value("calib_age") == Decimal("0.5730")
    both = filing_g1.g1(assumptions=filing_g1.assumptions() | given)
    assert both.rates["individual_rate"].equals(found.rates["individual_rate"])
    assert abs(both.ledger.get("calib_age").replaced - Decimal("0.6086015688")) < Decimal("1e-9")
    with pytest.raises(InputRefused, match="calib_age cannot be worked out"):
        filing_g1.g1(mix=None)


@pytest.mark.slow
def test_factors_of_the_mix_need_not_be_given(usual):
    mix = filing_g1.mix().with_columns(pl.when(pl.col("kind") == "tobacco").then("factor").alias("factor"))
    assert filing_g1.g1(mix=mix).rates.equals(usual.rates)


@pytest.mark.slow
def test_mix_that_does_not_match_membership():
    mix = filing_g1.mix().with_columns(
        pl.when(pl.col("level") == "57").then(pl.lit("9000")).otherwise("member_months").alias("member_months")
    )
    found = filing_g1.g1(mix=mix)
    said = found.findings.filter(pl.col("rule_id") == "PRC-008").select("where", "message").rows()
    assert said == [("mix, kind age", "117000 member months; projected are 126000")]


@pytest.mark.slow
def test_another_age_factor_is_said():
    mix = filing_g1.mix().with_columns(
        pl.when(pl.col("level") == "57").then(pl.lit("2.4")).otherwise("factor").alias("factor")
    )
    found = filing_g1.g1(mix=mix)
    said = found.findings.filter(pl.col("rule_id") == "PRC-007").select("where", "message").rows()
    assert said == [("age 57", "the mix has the factor 2.4, rating/age_curves, FED_2018 has 2.437")]
    assert found.value("age_factor", "age 57 Y") == Decimal("2.4")


def changed_mix(of_level, /, **values):
    columns = [
        pl.when(pl.col("level") == of_level).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    ]
    return filing_g1.mix().with_columns(columns)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        (lambda: changed_mix("R-XX002", level="R-XX003"), "PRC-005"),
        (lambda: changed_mix("R-XX002", factor="1.07"), "the mix has the factor 1.07"),
        (lambda: changed_mix("42", member_months=None), "a row has no member months"),
        (lambda: changed_mix("42", member_months="-5"), "member_months is negative"),
        (lambda: changed_mix("42", level="34"), "a level stands twice"),
        (lambda: changed_mix("42", level="forty"), "no whole number or band"),
        (lambda: changed_mix("42", kind="sex"), "a kind is not known"),
        (lambda: changed_mix("10", billable=None), "a row of children does not say"),
        (lambda: filing_g1.mix().filter(pl.col("kind") != "area"), "calib_geo cannot be worked out"),
        (lambda: filing_g1.mix().with_columns(pl.lit("0").alias("member_months")), "calib_age"),
        (lambda: filing_g1.mix().drop("member_months"), "member_months"),
    ],
)
def test_mixes_that_cannot_be_used(mix, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(mix=mix())


def test_area_factors_by_plan():
    areas = pl.DataFrame(
        {
            "plan_id": [BRONZE, SILVER, GOLD, CATASTROPHIC, SILVER],
            "rating_area_id": ["1", "1", "1", "1", "Rating Area 2"],
            "area_factor": ["0.95", "0.90", "0.95", "0.95", "1.06"],
        }
    )
    found = filing_g1.g1(areas=areas)
    places = found.rates.select("plan_id", "rating_area_id").unique().sort("plan_id", "rating_area_id").rows()
    assert places == [
        (BRONZE, "R-XX001"),
        (SILVER, "R-XX001"),
        (SILVER, "R-XX002"),
        (GOLD, "R-XX001"),
        (CATASTROPHIC, "R-XX001"),
    ]
    assert found.areas.columns == ["rating_area_id", "area_factor", "plan_id"]
    base = found.value("calibrated_plan_adjusted_index_rate", SILVER)
    rate = found.rates.filter(plan_id=SILVER, rating_area_id="R-XX001", age_band="21")["individual_rate"].item()
    assert rate == (base * Decimal("0.90")).quantize(Decimal("0.01"))
    assert found.trace("rate", SILVER, "R-XX001", 21).frame.filter(name="area_factor", depth=1)["value"].item() == 0.9


def test_states_with_family_tiers():
    mix = pl.DataFrame(
        [
            {"kind": "tier", "level": "one_adult", "member_months": "60000", "contract_months": "60000"},
            {"kind": "tier", "level": "two_adults_children", "member_months": "66000", "contract_months": "20000"},
            *({"kind": "area", "level": f"{i}", "member_months": m} for i, m in ((1, "70000"), (2, "56000"))),
        ]
    )
    areas = pl.DataFrame({"rating_area_id": ["1", "2"], "area_factor": ["0.95", "1.06"]})
    found = filing_g1.g1(mix=mix, areas=areas, settings={"rules_of_state": "VT"})
    mean = (60000 + 20000 * Fraction("2.81")) / 126000
    assert same(found.value("calib_age"), 1 / mean)
    assert found.rates["age_band"].unique().to_list() == ["family"]
    base = found.value("calibrated_plan_adjusted_index_rate", GOLD) * Decimal("1.06")
    row = found.rates.filter(plan_id=GOLD, rating_area_id="R-XX002").row(0, named=True)
    assert row["individual_rate"] == base.quantize(Decimal("0.01"))
    assert row["couple_one_dependent"] == (base * Decimal("2.81")).quantize(Decimal("0.01"))
    assert found.value("calib_tobacco") == 1
    assert "tier_factor" in str(found.trace("rate", GOLD, "2"))


# ------------------------------------------------------------------------------------------------ quarters


def small_group(**changes):
    assumptions = filing_g1.assumptions() | {"quarterly_trend": "1.02"} | changes.pop("assumptions", {})
    mix = filing_g1.mix().filter(pl.col("kind") != "tobacco")
    return filing_g1.g1(market="small_group", assumptions=assumptions, mix=mix, **changes)


def test_quarterly_rates():
    found = small_group()
    base = found.value("calibrated_plan_adjusted_index_rate", GOLD) * Decimal("1.06")
    rows = found.rates.filter(plan_id=GOLD, rating_area_id="R-XX002", age_band="21").sort("effective_date")
    expected = [(base * Decimal("1.02") ** k).quantize(Decimal("0.01")) for k in range(4)]
    assert rows["individual_rate"].to_list() == expected
    shares = {f"quarter_share_{q}": share for q, share in zip("1234", ("0.4", "0.3", "0.2", "0.1"), strict=True)}
    average = small_group(assumptions=shares, settings={"quarterly_rate_basis": "year_average"})
    factors = [Fraction(average.value(f"quarter_factor_{q}")) for q in "1234"]
    weighted = sum(f * Fraction(s) for f, s in zip(factors, shares.values(), strict=True))
    assert same(weighted, Fraction(1))
    assert same(factors[1] / factors[0], Fraction("1.02"))
    assert "first quarter" in str(average.trace("rate", GOLD, "R-XX002", 21))


@pytest.mark.slow
def test_quarters_that_cannot_be_used():
    with pytest.raises(InputRefused, match="a quarterly trend in the individual market"):
        filing_g1.g1(assumptions=filing_g1.assumptions() | {"quarterly_trend": "1.02"})
    with pytest.raises(InputRefused, match="shares of the quarters are missing"):
        small_group(settings={"quarterly_rate_basis": "year_average"})


# ------------------------------------------------------------------------------------------------ rate changes


@pytest.mark.slow
def test_definitions_of_the_rate_change():
    plans = filing_g1.plans().drop("cumulative_rate_change")
    current = pl.DataFrame(
        {
            "plan_id": [BRONZE, SILVER, GOLD, CATASTROPHIC],
            "current_enrollment": [2500, 5000, 2600, 330],
            "current_premium_pmpm": ["450", "580", "570", "340"],
            "renewal_premium_pmpm": ["495", "609", "627", "357"],
            "current_calibrated_rate": ["270", "350", "345", "210"],
        }
    )
    found = filing_g1.g1(plans=plans, current=current)
    assert found.value("cumulative_rate_change", BRONZE) == Decimal("0.1")
    weights = [2500 * 450, 5000 * 580, 2600 * 570, 330 * 340]
    changes = [Fraction(n) for n in ("0.1", "0.05", "0.1", "0.05")]
    mean = sum(w * c for w, c in zip(weights, changes, strict=True)) / sum(weights)
    assert same(found.value("submission_rate_increase"), mean)
    in_force = dict(found.settings.select("setting", "value").rows())["rate_change_weight in force"]
    assert in_force == "current_premium"
    by_rate = filing_g1.g1(plans=plans, current=current, settings={"rate_change_definition": "calibrated_rate"})
    rate = Fraction(by_rate.value("calibrated_plan_adjusted_index_rate", SILVER))
    assert same(by_rate.value("cumulative_rate_change", SILVER), rate / 350 - 1)


@pytest.mark.slow
def test_change_against_the_filing_in_force():
    prior = filing_g1.g1(plan_year=2026)
    dearer = filing_g1.assumptions() | {"adj_morbidity": "1.0710"}  # 5 percent more than 1.0200
    plans = filing_g1.plans().drop("cumulative_rate_change")
    settings = {"rate_change_definition": "plan_adjusted_index_rate", "rate_change_weight": "projected_member_months"}
    found = filing_g1.g1(assumptions=dearer, plans=plans, prior=prior, settings=settings)
    before = Fraction(prior.value("projected_index_rate"))
    change = before * Fraction("0.05") / (before - Fraction("24.60"))
    assert same(found.value("cumulative_rate_change", GOLD), change)
    assert same(found.value("submission_rate_increase"), change)
    assert (
        found.ledger.get("current_plan_adjusted_index_rate", GOLD).source == "filing of 2026, plan_adjusted_index_rate"
    )


def test_a_change_that_is_not_known_has_no_weight():
    plans = replaced(cumulative_rate_change=["0.10", None, "0.20", "0.20"])
    found = filing_g1.g1(plans=plans, settings={"rate_change_weight": "projected_member_months"})
    assert same(found.value("submission_rate_increase"), (30000 * Fraction("0.1") + 36000 * Fraction("0.2")) / 66000)
    assert found.findings.filter(rule_id="PRC-024")["where"].to_list() == [f"plans {SILVER}"]


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("adj_morbdity", "1.02", "no quantity of the market is called 'adj_morbdity'.*use adj_morbidity"),
        ("credibility", "1.2", "credibility is not a fraction from 0 to 1"),
        ("credibility", "-0.1", "credibility is not a fraction from 0 to 1"),
        ("credibility", float("nan"), "is not a plain decimal number"),
        ("adj_other", "0", "adj_other is not positive"),
        ("adj_other", None, "adj_other: no value"),
        ("adj_other", "1,005", "is not a plain decimal number"),
        ("adj_other", True, "is a bool, not a number"),
        ("adj_other", {"value": "1", "origin": "x"}, "adj_other has origin"),
        ("trend_y1_cost_professional", None, "trend_y1_cost_professional: no value"),
        ("exp_member_months", None, "exp_member_months: no value"),
        ("proj_risk_adjustment", None, "proj_risk_adjustment: no value"),
        ("proj_risk_adjustment", "700", "PRC-016"),
    ],
)
def test_assumptions_that_cannot_be_used(name, value, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(assumptions=filing_g1.assumptions() | {name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan_id": [BRONZE, BRONZE, GOLD, CATASTROPHIC]}, "a plan stands twice"),
        ({"plan_id": [BRONZE, "12345XX001", GOLD, CATASTROPHIC]}, "not of 14 characters"),
        ({"plan_id": [BRONZE, "12346XX0010002", GOLD, CATASTROPHIC]}, "another issuer or state"),
        ({"plan_category": ["renewing", "old", "new", "new"]}, "a plan_category is not known.*row 2"),
        ({"metal_level": ["bronze", "tin", "gold", "gold"]}, "a metal_level is not known"),
        ({"adj_network": ["1", None, "1", "1"]}, f"adj_network of {SILVER}: no value"),
        ({"adj_network": ["1", "0", "1", "1"]}, "adj_network is not positive"),
        ({"adj_network": [1.0, float("inf"), 1.0, 1.0]}, "is not a plain decimal number"),
        ({"adj_catastrophic": ["1", "1", "1", None]}, f"adj_catastrophic of {CATASTROPHIC}: no value"),
        ({"proj_member_months_plan": ["1", None, "1", "1"]}, f"proj_member_months_plan of {SILVER}: no value"),
        ({"pct_admin": ["0.118", "11.8", "0.118", "0.118"]}, "fraction from 0 to 1"),
        ({"on_exchange": ["Yes", "maybe", "No", "No"]}, "neither yes nor no"),
        ({"plan_effective_date": ["2027-01-01", "soon", None, None]}, "no date"),
        ({"crosswalk_plan_id": [GOLD, None, None, None]}, "crosswalk_plan_id"),
    ],
)
def test_plans_that_cannot_be_used(change, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(plans=replaced(**change))


@pytest.mark.slow
def test_areas_and_current_premiums_that_cannot_be_used():
    def areas(ids, factors):
        return pl.DataFrame({"rating_area_id": ids, "area_factor": factors})

    for frame, message in (
        (areas(["1", "0"], ["1", "1"]), "an area is none of the state"),
        (areas(["1", "2"], ["1", None]), "an area has no factor"),
        (areas(["1", "R-XX001"], ["1", "1"]), "an area stands twice"),
        (areas(["1"], ["0.95"]), "area R-XX002: no factor"),
        (areas(["1", "2"], ["1", "-1"]), "not positive"),
        (areas([], []).cast(pl.String), "there is no rating area"),
    ):
        with pytest.raises(InputRefused, match=message):
            filing_g1.g1(areas=frame)
    for frame, message in (
        (pl.DataFrame({"plan_id": ["12345XX0010009"]}), "not among `plans`"),
        (pl.DataFrame({"plan_id": [GOLD], "premium": ["1"]}), "current has the column premium"),
    ):
        with pytest.raises(InputRefused, match=message):
            filing_g1.g1(current=frame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"user_fee": "gross_up"}}, "no setting is called"),
        ({"settings": {"user_fee_convention": "net"}}, "cannot be 'net'"),
        ({"settings": {"rules_of_state": None}}, "no age curve is held for the state 'XX'"),
        ({"settings": {"rules_of_state": "Texas"}}, "two capital letters"),
        ({"settings": {"calibration_decimals": -1}}, "calibration_decimals"),
        ({"issuer_id": 12345}, "issuer_id cannot be 12345"),
        ({"market": "large_group"}, "market cannot be 'large_group'"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(SettingRefused, match=message):
        filing_g1.g1(**changes)


@pytest.mark.slow
def test_settings_are_shown_with_their_basis():
    found = filing_g1.g1(settings={"rounding_direction": "up", "calibration_decimals": 4})
    shown = {row["setting"]: row for row in found.settings.to_dicts()}
    assert shown["rounding_direction"]["value"] == "up"
    assert shown["calibration_decimals"]["source"] == "given"
    assert set(FilingSettings.names()) <= shown.keys()
    assert all(row["basis"] for row in shown.values())


# ------------------------------------------------------------------------------------------------ with experience


@pytest.mark.slow
def test_experience_is_studied_and_what_plans_say_wins():
    months = [date(2025, month, 1) for month in range(1, 13)]
    experience = pl.DataFrame(
        [
            {
                "incurred_month": month,
                "plan_id": plan,
                "benefit_category": "professional",
                "is_ehb": is_ehb,
                "member_months": 100,
                "allowed_paid_to_date": 45000 if is_ehb else 500,
                "incurred_paid_to_date": 40000 if is_ehb else 400,
                "completion_factor": "0.9",
                "premium": 60000,
            }
            for month in months
            for plan in (GOLD, "12345XX0019999")
            for is_ehb in (True, False)
        ]
    )
    assumptions = {n: v for n, v in filing_g1.assumptions().items() if not n.startswith(("exp_", "ep_index_rate"))}
    header = {n: v for n, v in filing_g1.header().items() if not n.startswith("exp_period")}
    found = filing_g1.g1(experience=experience, assumptions=assumptions, header=header)
    assert found.value("exp_member_months") == 2400
    assert found.value("ep_index_rate_professional") == found.value("ep_index_rate_total") == 500  # 450 / 0.9
    period = found.header["exp_period_start"], found.header["exp_period_end"]
    assert period == (date(2025, 1, 1), date(2025, 12, 31))
    own = found.ledger.get("exp_premium", GOLD)
    assert own.value == 16950000  # as the plan says; the experience adds to 720000
    assert own.replaced == 720000
    assert found.findings.filter(rule_id="PRC-026")["where"].to_list() == ["plans 12345XX0019999"]
    names = set(found.trace("rate", SILVER, "R-XX001", 21).frame["name"])
    assert {"ep_index_rate_professional", "ehb_allowed_paid_to_date"} <= names
