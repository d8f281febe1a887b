"""Marginal transfers against finite differences of the settlement, and the identities they must obey."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_specs.errors import InputRefused, SettingRefused
from riskadjust._findings import Findings
from riskadjust._marginal import marginal_revenue, marginal_transfers
from riskadjust._transfer_formula import PlanArrays, settle
from riskadjust._transfer_rows import plan_table

METALS = ("bronze", "silver", "gold", "platinum", "expanded_bronze")
FIELDS = ("months", "premium", "plrs", "arf", "av", "idf", "gcf")


def market(seed, *, pools=("individual", "small_group"), plans=7, areas=3, catastrophic=True):
    """Plan rows of one state: several pools, issuers, areas; one catastrophic pool."""
    draw = np.random.default_rng(seed)
    rows = []
    for pool in (*pools, *(("catastrophic",) if catastrophic else ())):
        for plan in range(plans):
            metal = "catastrophic" if pool == "catastrophic" else METALS[plan % len(METALS)]
            for area in range(areas):
                months = float(draw.integers(1, 90000)) / 30
                rows.append(
                    {
                        "state": "GA",
                        "risk_pool": pool,
                        "issuer_id": f"{10000 + plan % 3}",
                        "plan_id": f"P{plan}",
                        "rating_area_id": f"Rating Area {area + 1}",
                        "metal_level": metal,
                        "billable_member_months": months,
                        "premium": months * float(draw.uniform(200, 700)),
                        "plrs": float(draw.uniform(0.5, 3)),
                        "arf": float(draw.uniform(1.0, 2.0)),
                        "gcf": float(draw.uniform(0.8, 1.2)),
                    }
                )
    return pl.DataFrame(rows)


def segments_of(rows, seed, cells=2):
    """Some enrollee cells of every plan row; the last of each row is not billable."""
    draw = np.random.default_rng(seed)
    keys = rows.select("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id")
    frames = []
    for cell in range(cells):
        billable = cell < cells - 1
        frames.append(
            keys.with_columns(
                pl.lit(f"cell {cell}").alias("segment"),
                pl.Series("adjusted_score", draw.uniform(0, 8, rows.height)),
                pl.Series(
                    "rating_factor", draw.uniform(0.765, 3, rows.height) if billable else [None] * rows.height
                ).cast(pl.Float64),
                pl.Series("premium_per_member_month", draw.uniform(0, 900, rows.height) * billable),
                pl.lit(billable).alias("billable"),
            )
        )
    return pl.concat(frames)


def settled(table, plan, h, segment, *, gcf_moves):
    """Unrounded issuer amounts with h months of a segment added to a plan row; straight through the formula."""
    values = {name: getattr(table.arrays, name).copy() for name in FIELDS}
    months, billable = values["months"][plan], segment["billable"]
    for name, added in (("plrs", segment["adjusted_score"]), ("arf", segment["rating_factor"] if billable else 0.0)):
        after = months + h if billable else months
        kept = values[name][plan] * months if months else 0.0
        values[name][plan] = (kept + added * h) / after
    values["months"][plan] = months + h if billable else months
    values["premium"][plan] += segment["premium_per_member_month"] * h
    if gcf_moves:
        values["gcf"] = (
            values["gcf"]
            * factors(table, values)
            / factors(table, {name: getattr(table.arrays, name) for name in FIELDS})
        )
    amounts = settle(PlanArrays(**values, first=table.arrays.first), kept_k(table), kept_q(table)).amount
    edges = table.issuer_first.tolist()
    return np.array([math.fsum(amounts[a:b]) for a, b in pairwise(edges)])


def kept_k(table):
    return np.full(len(table.pools), 0.14)


def kept_q(table):
    return np.array([0.25 if pool.risk_pool == "small_group" else 0.0 for pool in table.pools])


def factors(table, values):
    """U_k / U of every row: silver (in its own pool catastrophic) premium over rating factor, per month."""
    frame = table.frame.with_columns(
        pl.Series("months", values["months"]), pl.Series("standard", values["premium"] / values["arf"])
    )
    sets = pl.col("metal_level").is_in(["silver", "catastrophic"]) & (pl.col("months") > 0)
    level = {}
    for keys in (["risk_pool", "rating_area_id"], ["risk_pool"]):
        sums = frame.filter(sets).group_by(keys).agg(pl.col("standard").sum() / pl.col("months").sum())
        level[len(keys)] = frame.join(sums, on=keys, how="left", maintain_order="left")["standard_right"].to_numpy()
    return level[2] / level[1]


SETTINGS = {"admin_cost_reduction": "0.14", "state_reduction": {"small_group": "0.25"}}


@pytest.mark.parametrize("gcf", ["held", "moves"])
@pytest.mark.parametrize("seed", range(3))
def test_the_derivative_is_that_of_the_settlement(seed, gcf):
    rows = market(seed)
    segments = segments_of(rows, seed)
    found = marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors=gcf, settings=SETTINGS)
    table = plan_table(rows, np.arange(rows.height), 2024, Findings())
    chosen = segments.sample(10, seed=seed)
    for segment in chosen.to_dicts():
        keys = ("risk_pool", "issuer_id", "plan_id", "rating_area_id")
        is_plan = pl.all_horizontal(pl.col(k) == segment[k] for k in keys)
        plan = table.frame.with_row_index().filter(is_plan)["index"].item()
        h = table.arrays.months[plan] * 1e-4
        up, down = (settled(table, plan, s * h, segment, gcf_moves=gcf == "moves") for s in (1, -1))
        pool = (table.issuers["risk_pool"] == segment["risk_pool"]).to_numpy()
        expected = ((up - down) / (2 * h))[pool]
        assert np.abs((up - down)[~pool]).max() == 0.0
        got = found.filter(is_plan, pl.col("segment") == segment["segment"])
        assert got["transfer_issuer_id"].to_list() == table.issuers["issuer_id"].to_numpy()[pool].tolist()
        np.testing.assert_allclose(
            got["transfer_per_member_month"], expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()
        )


@pytest.mark.parametrize("gcf", ["held", "moves"])
def test_issuers_of_a_pool_sum_to_zero_and_terms_to_the_whole(gcf):
    rows = market(5)
    found = marginal_transfers(rows, segments_of(rows, 6), benefit_year=2024, geographic_cost_factors=gcf)
    terms = ["premium_term", "risk_term", "rating_term", "geography_term"]
    key = ["risk_pool", "issuer_id", "plan_id", "rating_area_id", "segment"]
    sums = found.group_by(key).agg(
        pl.col(*terms, "transfer_per_member_month").sum(), pl.col("risk_term").abs().max().alias("size")
    )
    for column in (*terms, "transfer_per_member_month"):
        assert (sums[column].abs() / sums["size"]).max() < 1e-12
    together = found.select(pl.sum_horizontal(terms)).to_series()
    np.testing.assert_allclose(together, found["transfer_per_member_month"], rtol=1e-12, atol=1e-9)
    assert (found["geography_term"].abs().max() > 0) == (gcf == "moves")


def cells_that_make_up(rows):
    """Cells whose months, premium, scores and factors add up to the plan rows; one of them is not billable."""
    b, prem, r, f = (pl.col(c) for c in ("billable_member_months", "premium", "plrs", "arf"))
    keys = ("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id")
    extra = 0.05 * b
    parts = [
        ("old", 0.6 * b, 1.5 * r, 1.2 * f, prem / b * 1.1, True),
        ("young", 0.4 * b, 0.2 * r, 0.7 * f, prem / b * 0.85, True),
        ("fourth child", extra, 0.4 * r, None, 0.0, False),
    ]
    return pl.concat(
        [
            rows.select(
                *keys,
                pl.lit(name).alias("segment"),
                score.alias("adjusted_score"),
                pl.lit(None, pl.Float64).alias("rating_factor") if factor is None else factor.alias("rating_factor"),
                (pl.lit(0.0) if isinstance(premium, float) else premium).alias("premium_per_member_month"),
                pl.lit(billable).alias("billable"),
                months.alias("months"),
            )
            for name, months, score, factor, premium, billable in parts
        ]
    )


@pytest.mark.parametrize("gcf", ["held", "moves"])
def test_adding_the_whole_pool_adds_its_transfers(gcf):
    rows = market(11)
    segments = cells_that_make_up(rows)
    check = segments.group_by("risk_pool", "plan_id", "rating_area_id").agg(
        (pl.col("adjusted_score") * pl.col("months")).sum().alias("risk")
    )
    joined = rows.join(check, on=["risk_pool", "plan_id", "rating_area_id"])
    np.testing.assert_allclose(joined["risk"], joined["plrs"] * joined["billable_member_months"])  # cells are the plan
    found = marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors=gcf, settings=SETTINGS)
    sums = (
        found.group_by("risk_pool", "transfer_issuer_id")
        .agg(pl.col("transfer").sum())
        .sort("risk_pool", "transfer_issuer_id")
    )
    table = plan_table(rows, np.arange(rows.height), 2024, Findings())
    amounts = settle(table.arrays, kept_k(table), kept_q(table)).amount
    totals = np.add.reduceat(amounts, table.issuer_first[:-1])
    np.testing.assert_allclose(sums["transfer"], totals, rtol=1e-10)


def test_one_rating_area_has_nothing_to_move():
    rows = market(2, areas=1)
    segments = segments_of(rows, 3)
    moved = marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors="moves")
    held = marginal_transfers(rows, segments, benefit_year=2024)
    np.testing.assert_allclose(
        moved["transfer_per_member_month"], held["transfer_per_member_month"], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("gcf", ["held", "moves"])
def test_a_plan_still_to_be_sold(gcf):
    """The first months of a new plan: the derivative is the one-sided difference from nothing."""
    rows = market(4, pools=("individual",), catastrophic=False)
    new = rows.head(1).with_columns(
        issuer_id=pl.lit("10001"),
        plan_id=pl.lit("NEW"),
        metal_level=pl.lit("silver"),
        billable_member_months=pl.lit(0.0),
        premium=pl.lit(0.0),
        plrs=pl.lit(None, pl.Float64),
        arf=pl.lit(None, pl.Float64),
    )
    rows = pl.concat([rows, new])
    segment = {"adjusted_score": 2.5, "rating_factor": 1.3, "premium_per_member_month": 420.0, "billable": True}
    segments = new.select("state", "risk_pool", "plan_id", "rating_area_id").with_columns(
        pl.lit("first buyers").alias("segment"), *(pl.lit(v).alias(k) for k, v in segment.items())
    )
    found = marginal_transfers(
        rows, segments, benefit_year=2024, geographic_cost_factors=gcf, settings={"admin_cost_reduction": "0.14"}
    )
    table = plan_table(rows, np.arange(rows.height), 2024, Findings())
    plan = table.frame["plan_id"].to_list().index("NEW")
    before = np.add.reduceat(settle(table.arrays, 0.14).amount, table.issuer_first[:-1])
    amounts = []
    for h in (0.01, 0.02):
        with np.errstate(invalid="ignore"):
            amounts.append((settled_new(table, plan, h, segment, gcf == "moves") - before) / h)
    expected = 2 * amounts[0] - amounts[1]  # the straight line through two one-sided differences, at nothing
    np.testing.assert_allclose(found["transfer_per_member_month"], expected, rtol=1e-5)


def settled_new(table, plan, h, segment, gcf_moves):
    values = {name: getattr(table.arrays, name).copy() for name in FIELDS}
    base = factors(table, values) if gcf_moves else 1.0
    values["months"][plan] = h
    values["premium"][plan] = segment["premium_per_member_month"] * h
    values["plrs"][plan], values["arf"][plan] = segment["adjusted_score"], segment["rating_factor"]
    if gcf_moves:
        values["gcf"] = values["gcf"] * factors(table, values) / base
    amounts = settle(PlanArrays(**values, first=table.arrays.first), 0.14).amount
    return np.add.reduceat(amounts, table.issuer_first[:-1])


def test_revenue_is_premium_and_the_own_issuers_transfer():
    rows = market(8)
    segments = segments_of(rows, 9).with_columns(pl.lit(500.0).alias("expected_claims"))
    revenue = marginal_revenue(rows, segments, benefit_year=2023, settings=SETTINGS)
    long = marginal_transfers(rows, segments, benefit_year=2023, settings=SETTINGS)
    own = long.filter(pl.col("issuer_id") == pl.col("transfer_issuer_id"))
    assert revenue.height == segments.height == own.height
    np.testing.assert_allclose(revenue["transfer_per_member_month"], own["transfer_per_member_month"], rtol=1e-14)
    np.testing.assert_allclose(
        revenue["revenue_per_member_month"], revenue["premium_per_member_month"] + revenue["transfer_per_member_month"]
    )
    assert revenue["expected_claims"].to_list() == [500.0] * segments.height
    fees = revenue.group_by("billable").agg(pl.col("user_fee_per_member_month").unique()).sort("billable")
    assert fees["user_fee_per_member_month"].to_list() == [[0.0], [-0.22]]  # program_parameters 2023


def test_a_year_without_a_fee_has_none():
    rows = market(8, pools=("individual",), catastrophic=False)
    revenue = marginal_revenue(rows, segments_of(rows, 9), benefit_year=2035, settings={"admin_cost_reduction": "0.14"})
    assert revenue.filter(pl.col("billable"))["user_fee_per_member_month"].is_null().all()


def test_order_of_rows_and_segments_changes_nothing():
    rows = market(20)
    segments = segments_of(rows, 21)
    kept = marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors="moves")
    shuffled = marginal_transfers(
        rows.sample(fraction=1, shuffle=True, seed=1),
        segments.sample(fraction=1, shuffle=True, seed=2).lazy(),
        benefit_year=2024,
        geographic_cost_factors="moves",
    )
    assert_frame_equal(kept, shuffled, check_exact=True)


def test_a_sole_issuer_keeps_what_it_has():
    rows = market(3, pools=("individual",), catastrophic=False).with_columns(issuer_id=pl.lit("10000"))
    found = marginal_transfers(rows, segments_of(rows, 3), benefit_year=2024)
    assert found["transfer_per_member_month"].abs().max() < 1e-9


# ------------------------------------------------------------------------------------------------ what is refused


def clean():
    rows = market(1, pools=("individual",), catastrophic=False)
    return rows, segments_of(rows, 1)


def test_keys_of_segments_are_read_as_those_of_plan_rows():
    rows, segments = clean()
    spaced = segments.with_columns(
        pl.col("state").str.to_lowercase(),
        pl.col("risk_pool").str.to_uppercase(),
        pl.format(" {} ", "plan_id").alias("plan_id"),
    )
    plain = marginal_transfers(rows, segments, benefit_year=2023)
    assert marginal_transfers(rows, spaced, benefit_year=2023).equals(plain)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("adjusted_score", -0.1, "TRF-062"),
        ("adjusted_score", float("nan"), "TRF-062"),
        ("premium_per_member_month", None, "TRF-062"),
        ("premium_per_member_month", float("inf"), "TRF-062"),
        ("rating_factor", 0.0, "TRF-063"),
        ("rating_factor", None, "TRF-063"),
        ("billable", None, "TRF-062"),
        ("segment", None, "TRF-060"),
        ("plan_id", "P99", "TRF-064"),
    ],
)
def test_a_broken_segment_is_refused(column, value, rule):
    rows, segments = clean()
    values = segments[column].to_list()
    values[4] = value
    with pytest.raises(InputRefused, match=rf"row 5\]\. Rule: {rule}.*To do"):
        marginal_transfers(rows, segments.with_columns(pl.Series(column, values)), benefit_year=2024)


@pytest.mark.parametrize(
    "column",
    [
        "state",
        "risk_pool",
        "plan_id",
        "rating_area_id",
        "segment",
        "adjusted_score",
        "rating_factor",
        "premium_per_member_month",
        "billable",
    ],
)
def test_a_missing_column_is_refused(column):
    rows, segments = clean()
    with pytest.raises(InputRefused, match=rf"missing column '{column}' \[segments\]"):
        marginal_transfers(rows, segments.drop(column), benefit_year=2024)


def test_segments_that_do_not_fit_are_refused():
    rows, segments = clean()
    with pytest.raises(InputRefused, match="TRF-061"):
        marginal_transfers(rows, pl.concat([segments, segments]), benefit_year=2024)
    with pytest.raises(InputRefused, match="plan rows do not"):
        marginal_transfers(rows.drop("state"), segments, benefit_year=2024)
    twice = pl.concat([rows, rows.with_columns(issuer_id=pl.lit("20000"))])
    with pytest.raises(InputRefused, match=r"TRF-064.*add issuer_id"):
        marginal_transfers(twice, segments.drop("issuer_id"), benefit_year=2024)
    with pytest.raises(InputRefused, match="not Boolean"):
        marginal_transfers(rows, segments.with_columns(billable=pl.lit("yes")), benefit_year=2024)
    with pytest.raises(InputRefused, match="not a number"):
        marginal_transfers(rows, segments.with_columns(adjusted_score=pl.lit("1.5")), benefit_year=2024)
    with pytest.raises(InputRefused, match="no rows"):
        marginal_transfers(rows, segments.clear(), benefit_year=2024)


def test_a_new_plan_needs_its_factor_and_billable_members_first():
    rows, segments = clean()
    empty = rows.with_columns(
        billable_member_months=pl.when(pl.int_range(pl.len()) == 0).then(0.0).otherwise("billable_member_months")
    )
    with pytest.raises(InputRefused, match="TRF-066"):
        marginal_transfers(empty, segments, benefit_year=2024)
    blank = empty.with_columns(gcf=pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise("gcf"))
    with pytest.raises(InputRefused, match="TRF-065"):
        marginal_transfers(blank, segments.filter("billable"), benefit_year=2024)


def test_an_area_without_a_factor_of_its_own_cannot_move():
    rows, segments = clean()
    gone = (pl.col("metal_level") == "silver") & (pl.col("rating_area_id") == "Rating Area 2")
    rows = rows.with_columns(billable_member_months=pl.when(gone).then(0.0).otherwise("billable_member_months"))
    segments = segments.filter("billable")
    with pytest.raises(InputRefused, match=r"TRF-067.*held"):
        marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors="moves")
    assert marginal_transfers(rows, segments, benefit_year=2024).height > 0


@pytest.mark.parametrize("column", ["premium", "plrs"])
def test_a_pool_that_cannot_be_settled_is_refused(column):
    rows, segments = clean()
    with pytest.raises(InputRefused, match=r"individual cannot be settled.*TRF-012"):
        marginal_transfers(rows.with_columns(pl.lit(0.0).alias(column)), segments, benefit_year=2024)


def test_unknown_settings_are_refused():
    rows, segments = clean()
    with pytest.raises(SettingRefused, match="geographic_cost_factors"):
        marginal_transfers(rows, segments, benefit_year=2024, geographic_cost_factors="maybe")
    with pytest.raises(SettingRefused, match="no setting"):
        marginal_revenue(rows, segments, benefit_year=2024, settings={"gravity": 1})
