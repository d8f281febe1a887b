"""From re-adjudicated claims to a filing: pricing values, induced utilization, changes of benefits."""

import random
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from adjudication_claims import claims_of, made_up_lines
from filing_g1 import assumptions, g1
from filing_g1 import plans as g1_plans

from data_specs.errors import InputRefused, SettingRefused
from rating import adjudicate
from rating.filing import develop, pricing_values

PLANS = ("12345TX0010001", "12345TX0010002")


def design(name, deductible, share):
    return {
        **{"name": name, "deductible_type": "integrated", "deductible": deductible, "moop": 8000},
        "plan_coinsurance": share,
    }


@pytest.fixture(scope="module")
def liability():
    rng = random.Random(11)
    claims = claims_of({f"E{place}": made_up_lines(rng) for place in range(40)})
    return adjudicate(claims, [design("silver", 4000, 0.7), design("gold", 1000, 0.8), design("last year", 3500, 0.7)])


@pytest.fixture(scope="module")
def plans():
    return pl.DataFrame(
        {
            "plan_id": PLANS,
            "design_id": ["silver", "gold"],
            "metal_level": ["silver", "gold"],
            "proj_member_months_plan": [9000, 3000],
        }
    )


def test_values_are_paid_over_allowed_with_mean_utilization_of_one(liability, plans):
    found = pricing_values(liability, plans, plan_year=2026)
    own = dict(liability.plan_liability.select("design_id", "paid_to_allowed").rows())
    assert found.plans["av_pricing"].to_list() == [own["silver"], own["gold"]]
    mean = (9000 * 1.03 + 3000 * 1.08) / 12_000
    assert found.plans["induced_demand"].to_list() == pytest.approx([1.03 / mean, 1.08 / mean], rel=1e-15)
    weighted = found.plans.select(pl.col("proj_member_months_plan").dot("induced_demand")).item()
    assert weighted == pytest.approx(12_000, rel=1e-14)
    of_all = (9000 * 1.03 * own["silver"] + 3000 * 1.08 * own["gold"]) / (9000 * 1.03 + 3000 * 1.08)
    assert float(found.paid_to_allowed) == pytest.approx(of_all, rel=1e-14)
    assert found.plan_design_change is None


def test_the_curve_passes_through_the_published_factors(liability, plans):
    on_points = plans.with_columns(av_metal=pl.Series([0.7, 0.8]))
    wanted = pricing_values(liability, plans, plan_year=2026).plans
    found = pricing_values(liability, on_points, plan_year=2026, induced_demand="continuous").plans
    assert found.equals(wanted)
    between = on_points.with_columns(av_metal=pl.Series(["0.718", "0.8"]))
    found = pricing_values(liability, between, plan_year=2026, induced_demand="continuous").ledger
    factor = found.frame().filter(name="induced_demand_factor", place=PLANS[0])["exact"].item()
    assert Decimal(factor) == Decimal("0.718") ** 2 - Decimal("0.718") + Decimal("1.24")


def test_a_change_of_design_is_paid_times_utilization(liability, plans):
    """The silver plan's design changes; the gold plan was silver and had the design of last year; both at once."""
    changed = plans.with_columns(
        current_design_id=pl.Series(["last year", "last year"]), current_metal_level=pl.Series([None, "silver"])
    )
    found = pricing_values(liability, changed, plan_year=2026)
    own = dict(liability.plan_liability.select("design_id", "paid_to_allowed").rows())
    assert found.plans["paid_change"].to_list() == pytest.approx(
        [own["silver"] / own["last year"], own["gold"] / own["last year"]], rel=1e-14
    )
    assert found.plans["utilization_change"].to_list() == pytest.approx([1, 1.08 / 1.03], rel=1e-14)
    product = found.plans.select(pl.col("paid_change") * pl.col("utilization_change")).to_series()
    assert found.plans["benefit_change"].to_list() == pytest.approx(product.to_list(), rel=1e-14)
    change = (9000 * 1.03 + 3000 * 1.08) / (12_000 * 1.03)
    assert float(found.plan_design_change) == pytest.approx(change, rel=1e-14)
    assert found.assumptions()["adj_plan_design"]["value"] == Decimal(str(round(change, 4)))
    new = pricing_values(liability, changed.with_columns(current_design_id=pl.lit(None, pl.String)), plan_year=2026)
    assert new.plans["paid_change"].to_list() == [1, 1]


def test_every_number_says_where_it_comes_from(liability, plans):
    ledger = pricing_values(liability, plans, plan_year=2026).ledger.frame()
    value = ledger.row(by_predicate=(pl.col("name") == "av_pricing") & (pl.col("place") == PLANS[0]), named=True)
    assert value["formula"] == "plan_paid / allowed"
    assert value["inputs"] == ["plan_paid [silver]", "allowed [silver]"]
    assert value["note"].endswith("design silver")
    assert ledger.filter(name="induced_demand_factor")["source"].unique().to_list() == ["transfers/metal_av_idf"]
    known = {f"{name} [{place}]" if place else name for name, place in ledger.select("name", "place").rows()}
    assert set(ledger["inputs"].explode().drop_nulls()) <= known


def test_a_filing_takes_them(liability, plans):
    found = pricing_values(liability, plans, plan_year=2026)
    others = {
        **{"plan_category": "new", "adj_csr_load": 1, "adj_network": 1, "adj_non_ehb": 1, "pct_admin": "0.15"},
        **{"pct_taxes_fees": "0.03", "pct_profit_risk": "0.02"},
    }
    offered = plans.drop("design_id").with_columns(**{name: pl.lit(value) for name, value in others.items()})
    offered = offered.join(found.plan_inputs(), on="plan_id", validate="1:1", maintain_order="left")
    assumptions = {
        **{"exp_member_months": 0, "manual_ehb": 500, "proj_reinsurance": 0, "proj_risk_adjustment_paid": 10},
        **{"exchange_fee_pct": "0.025", "calib_age": "0.6", "calib_geo": 1, "calib_tobacco": 1},
        **found.assumptions(),
    }
    areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": [1]})
    where = {"plan_year": 2026, "state": "TX", "market": "individual", "issuer_id": "12345"}
    filing = develop(None, assumptions, offered, areas=areas, **where)
    ratio = float(found.assumptions()["paid_to_allowed_ratio"]["value"])
    factor = dict(found.plans.select("plan_id", "adj_av_cost_sharing").rows())
    for plan_id in PLANS:
        wanted = (500 - 10 / ratio) / 0.975 * factor[plan_id] / 0.8
        assert float(filing.value("plan_adjusted_index_rate", plan_id)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"design_id": pl.lit("bronze")}, InputRefused, "design 'bronze' was not adjudicated"),
        ({"plan_id": pl.lit("A")}, InputRefused, "a plan stands twice"),
        ({"metal_level": pl.lit("tin")}, InputRefused, "'tin' is no metal level"),
        ({"proj_member_months_plan": pl.lit(0)}, InputRefused, "no member months"),
        ({"proj_member_months_plan": pl.lit(None)}, InputRefused, "a value is missing"),
        ({"plan_id": pl.Series([PLANS[0], " "])}, InputRefused, "a plan has no id"),
        ({"current_metal_level": pl.lit("silver")}, InputRefused, "it is of a current design, and none is named"),
    ],
)
def test_refusals(change, error, message, liability, plans):
    with pytest.raises(error, match=message):
        pricing_values(liability, plans.with_columns(**change), plan_year=2026)


def test_refusals_of_the_rest(liability, plans):
    with pytest.raises(SettingRefused, match="induced_demand"):
        pricing_values(liability, plans, plan_year=2026, induced_demand="none")
    with pytest.raises(InputRefused, match="missing column 'av_metal'"):
        pricing_values(liability, plans, plan_year=2026, induced_demand="continuous")
    split = pl.concat([liability.plan_liability] * 2)
    with pytest.raises(InputRefused, match="a design has several rows"):
        pricing_values(split, plans, plan_year=2026)
    nothing = liability.plan_liability.with_columns(allowed=pl.lit(0))
    with pytest.raises(InputRefused, match="nothing is allowed"):
        pricing_values(nothing, plans, plan_year=2026)


# ------------------------------------------------------------------------------------------------ in a filing


@pytest.fixture(scope="module")
def pool():
    """Claims of a pool under the designs of the filing G1, one for each plan, and those in force."""
    rng = random.Random(31)
    claims = claims_of({f"E{place:03}": made_up_lines(rng) for place in range(80)})
    ids = g1_plans().filter(pl.col("plan_category") != "terminated")["plan_id"].to_list()
    designs = [design(id_, 500 + 900 * place, 0.9 - 0.05 * place) for place, id_ in enumerate(ids)]
    designs.append(design("in force", 1000, 0.8))
    return adjudicate(claims, designs), ids


@pytest.fixture(scope="module")
def values(pool):
    found, ids = pool
    offered = g1_plans().filter(pl.col("plan_id").is_in(ids))
    asked = offered.select("plan_id", "metal_level", "proj_member_months_plan").with_columns(
        current_design_id=pl.Series(["in force", None, *ids[2:]]),
        current_metal_level=pl.Series(["silver", "platinum", *offered["metal_level"].to_list()[2:]]),
    )
    return pricing_values(found, asked, plan_year=2026), asked


def test_a_new_plan_and_a_plan_that_stays_change_nothing(pool, values):
    changes = values[0].plans.select("plan_id", "paid_change", "utilization_change", "benefit_change").rows()
    assert changes[0][1] != 1
    assert [row[1:] for row in changes[1:]] == [(1.0, 1.0, 1.0)] * (len(changes) - 1)
    assert pool[0].relativities("in force").filter(design_id="in force")["benefit_relativity"].item() == 1.0


def test_induced_demand_has_a_mean_of_one_exactly(values):
    found, asked = values
    ledger = found.ledger
    weights = [Fraction(ledger.value("proj_member_months_plan", plan_id)) for plan_id in asked["plan_id"]]
    factors = [Fraction(ledger.value("induced_demand", plan_id)) for plan_id in asked["plan_id"]]
    mean = sum(w * f for w, f in zip(weights, factors, strict=True)) / sum(weights)
    assert abs(mean - 1) < Fraction(1, 10**30)


def test_the_order_of_plans_is_without_effect(pool, values):
    again = pricing_values(pool[0], values[1].reverse().lazy(), plan_year=2026)
    assert again.plans.equals(values[0].plans)
    assert again.ledger.frame().equals(values[0].ledger.frame())


def filed(values):
    plans = g1_plans().drop("adj_av_cost_sharing", "av_pricing", "induced_demand", strict=False)
    plans = plans.join(values.plan_inputs(), on="plan_id", how="left", validate="1:1", maintain_order="left")
    return g1(plans=plans, assumptions={**assumptions(), **values.assumptions()})


def test_a_trace_goes_from_the_rate_to_the_claims(pool, values):
    found, ids = pool
    filing = filed(values[0])
    bare = filing.trace("plan_adjusted_index_rate", ids[0]).frame
    assert "plan_paid" not in bare["name"].to_list()
    explained = values[0].explained(filing)
    trace = explained.trace("plan_adjusted_index_rate", ids[0])
    own = dict(found.plan_liability.select("design_id", "plan_paid").rows())
    paid = trace.frame.filter(pl.col("name") == "plan_paid", pl.col("place") == ids[0])
    assert paid["value"].item() == float(own[ids[0]])
    assert "re-adjudicated" in str(trace)
    ratio = explained.ledger.get("paid_to_allowed_ratio")
    assert ratio.value == values[0].assumptions()["paid_to_allowed_ratio"]["value"]
    assert ratio.replaced == values[0].paid_to_allowed
    assert explained.plans.equals(filing.plans)
    assert explained.rates.equals(filing.rates)
    every = {entry.key for entry in explained.ledger}
    assert all(part in every for entry in explained.ledger for part in entry.inputs)


def test_a_number_changed_by_hand_is_left_alone(pool, values):
    ids = pool[1]
    hand = filed(values[0]).as_filed({("av_pricing", ids[0]): "0.5"})
    assert values[0].explained(hand).ledger.get("av_pricing", ids[0]).inputs == ()
    assert values[0].explained(hand).ledger.get("av_pricing", ids[1]).inputs != ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan_paid": pl.col("allowed") * 2}, "pays more than is allowed"),
        ({"design_id": pl.lit(None, pl.String)}, "a design has no name"),
        ({"plan_paid": pl.lit(None)}, "plan_liability, column plan_paid"),
    ],
)
def test_adjudications_that_price_nothing(change, message, pool, values):
    with pytest.raises(InputRefused, match=message):
        pricing_values(pool[0].plan_liability.with_columns(**change), values[1], plan_year=2026)


def test_metal_levels_are_read_as_in_a_filing(pool, values):
    first = values[1].drop("current_design_id", "current_metal_level").head(1)
    for word in ("Expanded Bronze", "expanded-bronze", " BRONZE "):
        found = pricing_values(pool[0], first.with_columns(metal_level=pl.lit(word)), plan_year=2026)
        assert found.ledger.value("mean_induced_demand_factor") == 1
    with pytest.raises(InputRefused, match="'none' is no metal level"):
        pricing_values(pool[0], first.with_columns(metal_level=pl.lit(None, pl.String)), plan_year=2026)
