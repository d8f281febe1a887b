"""Enrollee mixes that ship by name, over a made-up market."""

import polars as pl
import pytest
from made_up import market_of
from mix_markets import YEAR, of_mix

import riskadjust
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._mix import mix
from riskadjust._named_mix import _shares_of_rest, named_mix, named_mixes


@pytest.fixture(scope="module")
def market():
    tables = market_of(900, state="OH", seed=5)
    scores = riskadjust.score(
        tables["enrollees"], tables["spans"], tables["diagnoses"], tables["drugs"], benefit_year=YEAR, explain=True
    )
    return scores, tables["enrollees"], tables["spans"], tables["plans"]


def test_every_named_mix_runs(market):
    rows = riskadjust.plan_risk(*market, benefit_year=YEAR)
    given = named_mixes().filter(pl.col("default").is_null()).select("named_mix", "parameter").rows()
    assert {parameter for _, parameter in given} == {"issuer_id"}
    names = named_mixes()["named_mix"].unique().sort().to_list()
    mixes = [
        named_mix(n, plan_rows=rows, **({"issuer_id": "00202"} if (n, "issuer_id") in given else {})) for n in names
    ]
    result = mix(*market, pl.concat(mixes), benefit_year=YEAR)
    assert result.rejected == {}
    changed = result.issuers.filter(pl.col("mix") != "base").group_by("mix").agg(pl.col("change").abs().max())
    assert changed.height == len(names) >= 7
    assert (changed["change"] > 100).all()


@pytest.mark.slow
def test_an_issuer_exits_and_its_members_spread(market):
    plan_rows = riskadjust.plan_risk(*market, benefit_year=YEAR)
    rows = named_mix("issuer_exits", plan_rows=plan_rows, issuer_id="00202", label="exit")
    result = mix(*market, rows, benefit_year=YEAR)
    # Expanded bronze is bronze here.
    plans = result.plans.with_columns(pl.col("metal_level").replace({"expanded_bronze": "bronze"}))
    base, after = (of_mix(plans, name) for name in ("base", "exit"))
    assert after.filter(issuer_id="00202")["total_member_months"].sum() == 0
    assert after["total_member_months"].sum() == pytest.approx(base["total_member_months"].sum(), rel=1e-12)
    # By metal level and area, in proportion to the months that the others had.
    keys = ["risk_pool", "rating_area_id", "metal_level"]
    months = "billable_member_months"
    gone = base.filter(issuer_id="00202").group_by(keys).agg(pl.col("total_member_months").sum().alias("gone"))
    others = base.filter(pl.col("issuer_id") != "00202", pl.col(months) > 0)
    shares = others.with_columns((pl.col(months) / pl.col(months).sum().over(keys)).alias("share")).join(gone, on=keys)
    # Where no other has the metal level, its members join all plans of the area: look where that is not so.
    spread = gone.join(others, on=keys, how="anti").select("risk_pool", "rating_area_id")
    shares = shares.join(spread, on=["risk_pool", "rating_area_id"], how="anti")
    both = shares.join(after, on=["risk_pool", "plan_id", "rating_area_id"], suffix="_after").sort("plan_id")
    came = both["total_member_months_after"] - both["total_member_months"]
    assert both.height > 5
    assert came.to_list() == pytest.approx((both["share"] * both["gone"]).to_list(), rel=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.4, 0.0])
def test_shares_of_the_rest_are_shares_of_all(share):
    months = [10.0, 2.0, 7.0, 1.0]
    rest, came = 1.0, []
    for part in _shares_of_rest(share, months):
        came.append(rest * part)
        rest *= 1 - part
    assert came == pytest.approx([share * m / 20 for m in months])
    assert rest == (0.0 if share == 1 else pytest.approx(1 - share))


def test_silver_to_bronze_stays_with_the_issuer(market):
    plan_rows = riskadjust.plan_risk(*market, benefit_year=YEAR)
    result = mix(*market, named_mix("silver_to_bronze", plan_rows=plan_rows, share=0.5), benefit_year=YEAR)
    name = "silver_to_bronze share=0.5"
    months = [
        of_mix(result.plans, n).group_by("issuer_id").agg(pl.col("total_member_months").sum()).sort("issuer_id")
        for n in ("base", name)
    ]
    assert months[1]["total_member_months"].to_list() == pytest.approx(
        months[0]["total_member_months"].to_list(), rel=1e-12
    )
    silver = [of_mix(result.plans, n, metal_level="silver")["total_member_months"].sum() for n in ("base", name)]
    assert silver[1] < silver[0]


def test_named_mixes_refuse_what_they_do_not_know():
    with pytest.raises(SettingRefused, match="named mixes: csr_members_grow"):
        named_mix("no_such_mix")
    with pytest.raises(SettingRefused, match=r"no parameter 'share'.*kept_low"):
        named_mix("mandate_repeal", share=0.5)
    with pytest.raises(SettingRefused, match="needs a value of 'issuer_id'"):
        named_mix("issuer_attracts_condition")
    with pytest.raises(SettingRefused, match="'growth' is no number"):
        named_mix("csr_members_grow", growth="much")
    with pytest.raises(InputRefused, match="plan_rows"):
        named_mix("issuer_exits", issuer_id="00101")
