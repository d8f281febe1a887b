"""Estimates for filings: against settlements where the market is known, and by hand where it is not."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_specs import table
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust._estimates import estimate_transfers
from riskadjust._state_averages import PROJECTION_FACTORS, interim_to_final
from riskadjust._transfers import transfers

NET, GROSS = "state_avg_premium_net_admin_pmpm", "state_avg_premium_pmpm"
ASSUMED = {NET: 500.0, "avg_plrs": 1.5, "avg_arf": 1.6, "avg_av": 0.7, "avg_idf": 1.04}
METALS = {"bronze": (0.60, 1.00), "silver": (0.70, 1.03), "gold": (0.80, 1.08), "catastrophic": (0.57, 1.00)}


def own_rows(pools=("individual",), state="GA"):
    draw = np.random.default_rng(7)
    rows = []
    for pool in pools:
        for i, metal in enumerate(("catastrophic",) if pool == "catastrophic" else ("bronze", "silver", "gold")):
            months = float(draw.integers(30, 9000)) / 30
            rows.append(
                {
                    "state": state,
                    "risk_pool": pool,
                    "issuer_id": "11111",
                    "plan_id": f"P{i}",
                    "rating_area_id": "1",
                    "metal_level": metal,
                    "billable_member_months": months,
                    "total_member_months": months * 1.05,
                    "plrs": float(draw.uniform(0.6, 2.5)),
                    "arf": float(draw.uniform(1.2, 1.9)),
                    "gcf": float(draw.uniform(0.9, 1.1)),
                }
            )
    return pl.DataFrame(rows)


def by_hand(rows, averages, *, kept=1.0, gcf=1.0):
    """Transfer of each row, in dollars, in plain arithmetic."""
    lbar = averages["avg_plrs"] * averages["avg_idf"] * gcf
    rbar = averages["avg_av"] * averages["avg_arf"] * averages["avg_idf"] * gcf
    found = []
    for row in rows.to_dicts():
        a, d = METALS[row["metal_level"]]
        risk, allowable = row["plrs"] * d * row["gcf"], a * row["arf"] * d * row["gcf"]
        found.append((risk / lbar - allowable / rbar) * averages[NET] * kept * row["billable_member_months"])
    return found


def cents(dollars):
    return Decimal(repr(dollars)).quantize(Decimal("0.01"), "ROUND_HALF_UP")


def published(year, state, pool, release="final"):
    rows = table("transfers/state_average_factors", year=year, state=state)
    return rows.filter(pl.col("risk_pool") == pool, pl.col("release") == release).row(0, named=True)


# ------------------------------------------------------------------------------------------------ amounts


def test_assumed_averages_by_hand():
    rows = own_rows()
    estimate = estimate_transfers(rows, benefit_year=2024, averages=ASSUMED)
    expected = by_hand(rows, ASSUMED)
    np.testing.assert_allclose(estimate.plans["transfer_unrounded"], expected, rtol=1e-13)
    assert estimate.plans["transfer"].to_list() == [cents(x) for x in expected]
    months, everyone = rows["billable_member_months"].sum(), rows["total_member_months"].sum()
    total = estimate.total.row(0, named=True)
    assert total["transfer"] == cents(sum(expected))
    fee = (Decimal("0.21") * round(months * 30) / 30).quantize(Decimal("0.01"), "ROUND_HALF_UP")
    assert total["user_fee"] == -fee  # program_parameters 2024: exactly half a cent here
    assert total["net"] == total["transfer"] + total["user_fee"]
    np.testing.assert_allclose(total["transfer_pmpm"], sum(expected) / months)
    np.testing.assert_allclose(total["transfer_pmpm_total_members"], sum(expected) / everyone)
    np.testing.assert_allclose(total["net_pmpm_total_members"], (sum(expected) - 0.21 * months) / everyone)
    assert total["total_member_months"] == pytest.approx(everyone)


@pytest.mark.parametrize("pool", ["individual", "catastrophic", "small_group"])
def test_published_averages_of_the_year_itself(pool):
    rows = own_rows((pool,))
    estimate = estimate_transfers(rows, benefit_year=2022)
    averages = published(2022, "GA", pool)
    np.testing.assert_allclose(estimate.plans["transfer_unrounded"], by_hand(rows, averages), rtol=1e-13)
    assert estimate.pools["net_average_premium"].item() == averages[NET]  # as published, not computed again


def test_several_pools_and_their_total():
    rows = own_rows(("individual", "catastrophic", "small_group"))
    estimate = estimate_transfers(rows, benefit_year=2022)
    alone = [
        estimate_transfers(own_rows_of(rows, pool), benefit_year=2022).pools for pool in estimate.pools["risk_pool"]
    ]
    assert_frame_equal(estimate.pools, pl.concat(alone), check_exact=True)
    unrounded = estimate.plans["transfer_unrounded"].to_list()
    assert estimate.total["transfer"].item() == cents(sum(unrounded))


def test_averages_may_be_a_lazy_frame_with_other_spellings():
    rows = own_rows()
    frame = pl.DataFrame([{"state": "ga", "risk_pool": "Individual"} | ASSUMED])
    plain = estimate_transfers(rows, benefit_year=2024, averages=ASSUMED)
    for averages in (frame, frame.lazy()):
        assert estimate_transfers(rows, benefit_year=2024, averages=averages).total.equals(plain.total)


def own_rows_of(rows, pool):
    return rows.filter(pl.col("risk_pool") == pool)


def test_an_earlier_year_with_another_cut():
    """2016 knew no administrative cost cut: the gross premium of 2016 is cut by the 14 percent of 2018."""
    rows = own_rows()
    estimate = estimate_transfers(rows, benefit_year=2018, averages=2016)
    averages = published(2016, "GA", "individual")
    assert averages[NET] == averages[GROSS]
    expected = by_hand(rows, averages | {NET: averages[GROSS] * 0.86})
    np.testing.assert_allclose(estimate.plans["transfer_unrounded"], expected, rtol=1e-12)
    steps = estimate.averages.filter(pl.col("figure") == NET)
    assert steps["step"].to_list() == ["published 2016 final", "admin_cost_reduction"]
    assert steps["factor"].to_list() == [None, 0.86]
    assert any("premiums of 2016 stand for 2018" in w for w in estimate.warnings)


def test_the_same_cut_leaves_the_published_net_premium():
    averages = published(2022, "GA", "individual")
    estimate = estimate_transfers(own_rows(), benefit_year=2024, averages=2022, projection={"premium_trend": 1.1})
    assert estimate.pools["net_average_premium"].item() == averages[NET] * 1.1
    assert not any("premium_trend" in w for w in estimate.warnings)


def test_every_projection_factor_acts_where_it_says():
    rows, factor = own_rows(), 1.07
    base = published(2022, "GA", "individual")
    for name, figure in PROJECTION_FACTORS.items():
        if name == "interim_to_final":
            continue
        estimate = estimate_transfers(rows, benefit_year=2022, projection={name: factor})
        expected = by_hand(rows, base | {figure: base[figure] * factor})
        np.testing.assert_allclose(estimate.plans["transfer_unrounded"], expected, rtol=1e-12)
        shown = estimate.averages.filter(pl.col("step") == name)
        assert shown.select("figure", "factor", "source").rows() == [(figure, factor, "declared")]
    everything = {name: 1.01 for name in PROJECTION_FACTORS if name != "interim_to_final"}
    estimate = estimate_transfers(rows, benefit_year=2022, projection=everything)
    assert set(everything) <= set(estimate.averages["step"])
    last = estimate.averages.filter(pl.col("figure") == "avg_plrs")["value"][-1]
    assert last == pytest.approx(base["avg_plrs"] * 1.01**3)  # coding growth, morbidity, market mix


def test_a_state_reduction_cuts_the_finished_transfer():
    rows = own_rows(state="AL")
    estimate = estimate_transfers(rows, benefit_year=2023)
    expected = by_hand(rows, published(2023, "AL", "individual"), kept=0.75)  # program_parameters, AL individual 2023
    np.testing.assert_allclose(estimate.plans["transfer_unrounded"], expected, rtol=1e-12)
    assert "al_individual_transfer_reduction" in " ".join(estimate.uncertain["what"])


def test_the_mean_factor_of_areas():
    rows = own_rows()
    by_number = estimate_transfers(rows, benefit_year=2022, settings={"mean_gcf": 1.02})
    np.testing.assert_allclose(
        by_number.plans["transfer_unrounded"], by_hand(rows, published(2022, "GA", "individual"), gcf=1.02), rtol=1e-12
    )
    factors = table("transfers/geographic_cost_factors", year=2022, state="GA").filter(
        pl.col("risk_pool") == "individual"
    )
    mean = (factors["gcf"] * factors["billable_member_months"]).sum() / factors["billable_member_months"].sum()
    named = estimate_transfers(rows, benefit_year=2022, settings={"mean_gcf": "published"})
    assert named.averages.filter(pl.col("figure") == "mean_gcf")["value"].item() == pytest.approx(mean, rel=1e-14)
    assert named.settings.filter(pl.col("setting") == "mean_gcf")["value"].item() == "published"
    with pytest.raises(TableMissing, match="no rows for 2015"):
        estimate_transfers(rows, benefit_year=2016, averages=2015, settings={"mean_gcf": "published"})


# ------------------------------------------------------------------------------------------------ interim reports


def test_the_uplift_from_interim_to_final_is_measured():
    rows = table("transfers/state_average_factors", year=2016)
    key = ["state", "risk_pool"]
    final, interim = (rows.filter(pl.col("release") == r) for r in ("final", "interim"))
    pairs = final.join(interim, on=key, suffix="_interim")
    for pool, percent in (("individual", 6.6), ("small_group", 5.8)):
        of_pool = pairs.filter(pl.col("risk_pool") == pool)
        ratio = of_pool["avg_plrs"] / of_pool["avg_plrs_interim"]
        assert (ratio.len(), (ratio > 1).sum()) == (48, 48)
        found, source = interim_to_final(pool)
        assert found == pytest.approx(ratio.mean(), rel=1e-14)
        assert round(100 * (found - 1), 1) == percent  # as the CMS workbooks of 2016 show
        assert f"48 {pool} pools of 2016" in source


def test_an_interim_report_warns_and_can_be_completed():
    rows = own_rows()
    averages = published(2024, "GA", "individual", "interim")
    plain = estimate_transfers(rows, benefit_year=2024)
    assert any("interim report of 2024" in w and "6.6 percent" in w for w in plain.warnings)
    np.testing.assert_allclose(plain.plans["transfer_unrounded"], by_hand(rows, averages), rtol=1e-12)
    completed = estimate_transfers(rows, benefit_year=2024, projection={"interim_to_final": "published"})
    uplift = interim_to_final("individual")[0]
    expected = by_hand(rows, averages | {"avg_plrs": averages["avg_plrs"] * uplift})
    np.testing.assert_allclose(completed.plans["transfer_unrounded"], expected, rtol=1e-12)
    assert len(completed.warnings) == 1
    with pytest.raises(SettingRefused, match="averages are final"):
        estimate_transfers(rows, benefit_year=2022, projection={"interim_to_final": "published"})


def test_a_mean_that_was_not_published_must_be_given():
    rows = own_rows()
    with pytest.raises(TableMissing, match=r"avg_idf is not in the interim report of 2016.*\"avg_idf\": \.\.\."):
        estimate_transfers(rows, benefit_year=2016, release="interim")
    given = {"benefit_year": 2016, "avg_idf": 1.03}
    estimate = estimate_transfers(rows, benefit_year=2016, averages=given, release="interim")
    averages = published(2016, "GA", "individual", "interim") | {"avg_idf": 1.03}
    np.testing.assert_allclose(estimate.plans["transfer_unrounded"], by_hand(rows, averages), rtol=1e-12)
    assert estimate.averages.filter(pl.col("figure") == "avg_idf")["source"].to_list() == ["assumed"]
    final = estimate_transfers(rows, benefit_year=2016)  # the final report is taken where both are held
    assert final.averages["step"][0] == "published 2016 final"


# ------------------------------------------------------------------------------------------------ beside the market


def market(*, alike):
    """A market of three issuers; alike: one metal, one area factor, so that both kinds of means agree."""
    draw = np.random.default_rng(3)
    rows = []
    for issuer in ("11111", "22222", "33333"):
        for i, metal in enumerate(("silver",) * 3 if alike else ("bronze", "silver", "gold")):
            months = float(draw.integers(300, 90000)) / 30
            rows.append(
                {
                    "state": "GA",
                    "risk_pool": "individual",
                    "issuer_id": issuer,
                    "plan_id": f"{issuer}-{i}",
                    "rating_area_id": "1",
                    "metal_level": metal,
                    "billable_member_months": months,
                    "premium": months * float(draw.uniform(300, 600)),
                    "plrs": float(draw.uniform(0.6, 2.5)),
                    "arf": float(draw.uniform(1.2, 1.9)),
                    "gcf": 1.0 if alike else float(draw.uniform(0.9, 1.1)),
                }
            )
    return pl.DataFrame(rows)


def averages_of(rows):
    months = rows["billable_member_months"]
    values = rows.with_columns(
        pl.col("metal_level").replace_strict({m: v[0] for m, v in METALS.items()}).alias("av"),
        pl.col("metal_level").replace_strict({m: v[1] for m, v in METALS.items()}).alias("idf"),
    )
    means = {f"avg_{c}": (values[c] * months).sum() / months.sum() for c in ("plrs", "arf", "av", "idf")}
    return means | {GROSS: rows["premium"].sum() / months.sum()}


def test_where_products_of_means_are_right_the_estimate_is_the_settlement():
    rows = market(alike=True)
    own = rows.filter(pl.col("issuer_id") == "22222")
    estimate = estimate_transfers(own, benefit_year=2024, averages=averages_of(rows), market_rows=rows)
    settled = transfers(rows, benefit_year=2024).issuers.filter(pl.col("issuer_id") == "22222")
    np.testing.assert_allclose(estimate.total["transfer_unrounded"], settled["transfer_unrounded"], rtol=1e-9)
    assert estimate.approximation["error"].abs().item() < 1e-6
    assert "+0.00 percent" in estimate.warnings[0] or "-0.00 percent" in estimate.warnings[0]


def test_the_error_of_products_of_means_is_measured():
    rows = market(alike=False)
    own = rows.filter(pl.col("issuer_id") == "22222")
    estimate = estimate_transfers(own, benefit_year=2024, averages=averages_of(rows), market_rows=rows)
    settled = transfers(rows, benefit_year=2024)
    mine = settled.issuers.filter(pl.col("issuer_id") == "22222")["transfer_unrounded"].item()
    found = estimate.approximation.row(0, named=True)
    assert found["own_transfer_exact"] == pytest.approx(mine, rel=1e-12)
    assert found["own_transfer_of_means"] == pytest.approx(estimate.total["transfer_unrounded"].item(), rel=1e-12)
    assert found["error"] == pytest.approx(estimate.total["transfer_unrounded"].item() - mine, rel=1e-9)
    assert found["mean_of_products_risk"] == settled.pools["mean_risk"].item()
    means = averages_of(rows)
    assert found["product_of_means_risk"] == pytest.approx(means["avg_plrs"] * means["avg_idf"], rel=1e-13)
    assert abs(found["error"]) > 100
    assert f"{found['error']:+,.2f} dollars" in estimate.warnings[0]


def test_a_market_without_the_own_plans_is_refused():
    rows = market(alike=False)
    own = rows.filter(pl.col("issuer_id") == "22222")
    run = {"benefit_year": 2024, "averages": ASSUMED}
    with pytest.raises(InputRefused, match=r"3 plan rows.*TRF-071"):
        estimate_transfers(own, market_rows=rows.filter(pl.col("issuer_id") != "22222"), **run)
    with pytest.raises(InputRefused, match="name a state"):
        estimate_transfers(own.drop("state"), market_rows=rows, **run)
    with pytest.raises(InputRefused, match="no average risk"):
        estimate_transfers(own, market_rows=rows.with_columns(plrs=pl.lit(0.0)), **run)


# ------------------------------------------------------------------------------------------------ sensitivities


@pytest.mark.slow
def test_sensitivities_are_what_a_second_run_gives():
    rows = own_rows(("individual", "small_group"))
    estimate = estimate_transfers(rows, benefit_year=2022)
    base = estimate.pools["transfer_unrounded"].to_numpy()
    again = {
        NET: {"projection": {"premium_trend": 1.01}},
        "avg_plrs": {"projection": {"morbidity": 1.01}},
        "avg_arf": {"projection": {"market_mix_arf": 1.01}},
        "avg_av": {"projection": {"market_mix_av": 1.01}},
        "avg_idf": {"projection": {"market_mix_idf": 1.01}},
        "mean_gcf": {"settings": {"mean_gcf": 1.01}},
    }
    found = estimate.sensitivities
    for name, change in again.items():
        moved = estimate_transfers(rows, benefit_year=2022, **change).pools["transfer_unrounded"].to_numpy() - base
        mine = found.filter(pl.col("side") == "state", pl.col("input") == name)["transfer_change"]
        np.testing.assert_allclose(mine, moved, rtol=1e-8)
    for name in ("plrs", "arf", "gcf", "billable_member_months"):
        changed = rows.with_columns(pl.col(name) * 1.01, total_member_months=pl.col("total_member_months") * 1.01)
        moved = estimate_transfers(changed, benefit_year=2022).pools["transfer_unrounded"].to_numpy() - base
        mine = found.filter(pl.col("side") == "own plans", pl.col("input") == name)
        np.testing.assert_allclose(mine["transfer_change"], moved, rtol=1e-8)
        months = estimate.pools["billable_member_months"].to_numpy()
        np.testing.assert_allclose(mine["transfer_change_pmpm"], moved / months, rtol=1e-8)
    assert found.height == 2 * 10
    assert found["change"].unique().to_list() == [0.01]


# ------------------------------------------------------------------------------------------------ what the result says


def test_the_text_always_says_that_it_is_an_approximation():
    rows = own_rows()
    for extra in ({}, {"averages": ASSUMED}, {"projection": {"morbidity": 1.02}}):
        estimate = estimate_transfers(rows, benefit_year=2022, **extra)
        assert "products of the state's means" in estimate.text()
        assert "approximation" in str(estimate)
        assert str(estimate.total["transfer"].item()).split(".")[1] in estimate.text()
    assert "hand in market_rows" in estimate.warnings[0]


def test_without_all_members_their_month_is_blank_and_told():
    estimate = estimate_transfers(own_rows().drop("total_member_months"), benefit_year=2022)
    assert estimate.plans["transfer_pmpm_total_members"].is_null().all()
    assert any("total_member_months" in w for w in estimate.warnings)
    assert "not known per month of all members" in estimate.text()


def test_a_year_without_a_fee_says_so():
    settings = {"admin_cost_reduction": "0.14"}
    estimate = estimate_transfers(own_rows(), benefit_year=2031, averages=2023, settings=settings)
    assert estimate.total["user_fee"].item() is None
    assert estimate.total["net"].item() is None
    assert any("no user fee is held for 2031" in w for w in estimate.warnings)
    with pytest.raises(TableMissing, match="admin_cost_reduction"):
        estimate_transfers(own_rows(), benefit_year=2031, averages=2023)


def test_a_plan_without_months_is_listed_with_nothing():
    rows = own_rows()
    empty = rows.head(1).with_columns(
        plan_id=pl.lit("NEW"), billable_member_months=0.0, total_member_months=0.0, plrs=pl.lit(None, pl.Float64)
    )
    estimate = estimate_transfers(pl.concat([rows, empty]), benefit_year=2022)
    line = estimate.plans.filter(pl.col("plan_id") == "NEW").row(0, named=True)
    assert (line["transfer"], line["transfer_pmpm"], line["risk"]) == (Decimal("0.00"), None, None)
    assert estimate.findings["rule_id"].to_list() == ["TRF-020"]
    base = estimate_transfers(rows, benefit_year=2022)
    assert estimate.total["transfer"].item() == base.total["transfer"].item()


def test_state_and_pool_as_arguments_and_rows_without_keys():
    rows = own_rows()
    plain = rows.drop("state", "risk_pool", "issuer_id", "rating_area_id")
    estimate = estimate_transfers(plain, benefit_year=2022, state="GA", risk_pool="individual")
    full = estimate_transfers(rows, benefit_year=2022)
    assert_frame_equal(estimate.total, full.total, check_exact=True)
    assert not {"issuer_id", "rating_area_id", "premium"} & set(estimate.plans.columns)
    assert estimate.findings.height == 0  # no premium is not a premium of zero


def test_order_of_rows_changes_nothing():
    rows = own_rows(("individual", "small_group"))
    mixed = rows.sample(fraction=1, shuffle=True, seed=4).lazy()
    one, other = (estimate_transfers(r, benefit_year=2022) for r in (rows, mixed))
    for name in ("plans", "pools", "total", "averages", "sensitivities"):
        assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def test_averages_as_a_frame():
    rows = own_rows(("individual", "small_group"))
    frame = pl.DataFrame(
        {
            "risk_pool": ["small_group", "individual"],
            "avg_plrs": [1.4, 1.6],
            "benefit_year": [2021, 2022],
            "avg_idf": [None, 1.05],
        }
    )
    estimate = estimate_transfers(rows, benefit_year=2022, averages=frame)
    for pool, given in (
        ("individual", {"benefit_year": 2022, "avg_plrs": 1.6, "avg_idf": 1.05}),
        ("small_group", {"benefit_year": 2021, "avg_plrs": 1.4}),
    ):
        alone = estimate_transfers(own_rows_of(rows, pool), benefit_year=2022, averages=given)
        assert_frame_equal(estimate.pools.filter(pl.col("risk_pool") == pool), alone.pools, check_exact=True)
    with pytest.raises(InputRefused, match="0 rows of averages are for the risk pool GA individual"):
        estimate_transfers(rows, benefit_year=2022, averages=frame.head(1))
    with pytest.raises(InputRefused, match="2 rows of averages"):
        estimate_transfers(rows, benefit_year=2022, averages=pl.concat([frame, frame]))
    with pytest.raises(InputRefused, match="which risk pool"):
        estimate_transfers(rows, benefit_year=2022, averages=frame.drop("risk_pool"))


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"averages": {"avg_plrs": 0}}, "avg_plrs"),
        ({"averages": {"avg_plrs": "high"}}, "avg_plrs"),
        ({"averages": {"plrs": 1.5}}, "no figure called 'plrs'"),
        ({"averages": {NET: 400, GROSS: 450}}, "premium twice"),
        ({"averages": "2022"}, "`averages` is a str"),
        ({"averages": 2023}, "later than benefit year"),
        ({"projection": {"trend": 1.05}}, "no projection factor is called 'trend'"),
        ({"projection": {"premium_trend": 5}}, "not the percentage"),
        ({"projection": {"premium_trend": -0.05}}, "premium_trend"),
        ({"projection": {"morbidity": "published"}}, "morbidity"),
        ({"projection": [1.05]}, "not a mapping"),
        ({"release": "draft"}, "release"),
        ({"settings": {"mean_gcf": 0}}, "mean_gcf"),
        ({"settings": {"gravity": 1}}, "no setting"),
        ({"state": "GA"}, "said twice"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(changes, message):
    with pytest.raises(SettingRefused, match=message):
        estimate_transfers(own_rows(), **{"benefit_year": 2022, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"averages": 2017}, "no rows for 2017"),
        ({"release": "interim"}, r"2022 \(interim\).*held for this pool: 2015 final, 2016 final"),
    ],
)
def test_averages_that_are_not_held(changes, message):
    with pytest.raises(TableMissing, match=message):
        estimate_transfers(own_rows(), **{"benefit_year": 2022, **changes})


def test_a_pool_that_was_not_published():
    with pytest.raises(TableMissing, match="no averages of GA merged"):
        estimate_transfers(own_rows(("merged",)), benefit_year=2022)


def test_rows_that_cannot_be_used():
    rows = own_rows()
    run = {"benefit_year": 2022}
    with pytest.raises(InputRefused, match="name no risk pool"):
        estimate_transfers(rows.drop("risk_pool"), **run)
    with pytest.raises(InputRefused, match="kept by state"):
        estimate_transfers(rows.drop("state"), **run)
    with pytest.raises(InputRefused, match=r"TRF-070"):
        estimate_transfers(rows.with_columns(total_member_months=pl.col("billable_member_months") * 0.9), **run)
    with pytest.raises(InputRefused, match=r"missing column 'gcf'"):
        estimate_transfers(rows.drop("gcf"), **run)
    with pytest.raises(InputRefused, match=r"TRF-007"):
        estimate_transfers(rows.with_columns(arf=pl.lit(0.0)), **run)
    with pytest.raises(InputRefused, match=r"is a list"):
        estimate_transfers([1], **run)
    assert estimate_transfers(rows.drop("state"), averages=ASSUMED, **run).total.height == 1
