"""Bootstrap intervals: draws against a population that was copied by hand, and what must not move them."""

import datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_specs.errors import InputRefused, SettingRefused
from riskadjust._bootstrap import bootstrap_transfers
from riskadjust._draws import Strata
from riskadjust._plan_risk import plan_risk_report
from riskadjust._policy_sums import PlanSums, policy_sums
from riskadjust._transfers import transfers

YEAR = 2024
METALS = ("silver", "bronze", "gold", "silver", "catastrophic")
CSR = {"silver": ("04", 1.12), "bronze": ("01", 1.0), "gold": ("01", 1.0), "catastrophic": ("01", 1.0)}
day = datetime.date


def population(seed, policies, *, plans=10, issuers=4, areas=3, state="GA", metals=METALS):
    """Frames of families: some with five children, some that leave early, change plan in July, or add a child late."""
    draw = np.random.default_rng(seed)
    plan_id = [f"{10000 + p % issuers}{state}{p:07d}" for p in range(plans)]
    metal = [metals[p % len(metals)] for p in range(plans)]
    offers = pl.DataFrame(
        {
            "plan_id": plan_id,
            "issuer_id": [p[:5] for p in plan_id],
            "state": state,
            "market": "individual",
            "metal_level": metal,
        }
    )
    spans, scores, people = [], [], []
    for policy in range(policies):
        area = str(1 + int(draw.integers(areas)))
        first, ends = int(draw.integers(plans)), day(YEAR, 12 if draw.random() < 0.8 else 6, 28)
        is_catastrophic = metal[first] == "catastrophic"
        of_issuer = [
            p
            for p in range(plans)
            if p % issuers == first % issuers and (metal[p] == "catastrophic") == is_catastrophic
        ]
        second = int(draw.choice(of_issuer)) if draw.random() < 0.1 else first
        stays = [(first, day(YEAR, 1, 1), ends)]
        if second != first:
            stays = [(first, day(YEAR, 1, 1), day(YEAR, 6, 30)), (second, day(YEAR, 7, 1), day(YEAR, 12, 31))]
        adults, children = int(draw.integers(1, 3)), int(draw.choice([0, 0, 1, 2, 5]))
        for member in range(adults + children):
            person = f"{state}-{policy:05d}-{member}"
            years = draw.integers(1955, 2000) if member < adults else draw.integers(2005, 2023)
            people.append((person, day(int(years), int(draw.integers(1, 13)), 9), "F" if draw.random() < 0.5 else "M"))
            risk = (
                float(draw.integers(100, 900)) / 1000
                if draw.random() < 0.8
                else float(draw.integers(2000, 30000)) / 1000
            )
            for plan, start, end in stays:
                variant, factor = CSR[metal[plan]]
                key = (person, plan_id[plan], variant, metal[plan])
                scores.append((*key, risk, factor, round(risk * 1000) * round(factor * 10000) / 1e7))
                premium = float(draw.integers(25000, 90000)) / 100 if member == 0 else None
                relation = "self" if member == 0 else "spouse" if member < adults else "child"
                spans.append((*key, f"P{policy:05d}", relation, start, end, area, premium))
    key = ("enrollee_id", "plan_id", "csr_variant", "metal_level")
    return {
        "scores": pl.DataFrame(scores, schema=[*key, "risk_score", "csr_factor", "csr_adjusted_score"], orient="row"),
        "enrollees": pl.DataFrame(people, schema=["enrollee_id", "birth_date", "sex"], orient="row"),
        "spans": pl.DataFrame(
            spans,
            schema=[*key, "policy_id", "relationship", "span_start", "span_end", "rating_area_id", "premium_monthly"],
            orient="row",
        ),
        "plans": offers,
    }


def both(*frames):
    return {name: pl.concat([f[name] for f in frames]) for name in frames[0]}


@pytest.fixture(scope="module")
def frames():
    return population(1, 400)


@pytest.fixture(scope="module")
def report(frames):
    return plan_risk_report(**frames, benefit_year=YEAR)


def test_policies_add_up_to_the_plan_averages(report):
    sums = policy_sums(report.lines)
    plans = PlanSums.of_integers(sums.sums())
    rows = report.plan_rows
    assert sums.rows["plan_id"].to_list() == rows["plan_id"].to_list()
    for name, column in (
        ("months", "billable_member_months"),
        ("premium", "premium"),
        ("plrs", "plrs"),
        ("arf", "arf"),
    ):
        np.testing.assert_allclose(getattr(plans, name), rows[column].to_numpy(), rtol=1e-15)


def test_family_tiers_add_up_to_the_plan_averages():
    frames = population(2, 150, state="NY")
    report = plan_risk_report(**frames, benefit_year=YEAR)
    assert report.lines["rating_factor_shared_by"].max() > 1
    plans = PlanSums.of_integers(policy_sums(report.lines).sums())
    np.testing.assert_allclose(plans.arf, report.plan_rows["arf"].to_numpy(), rtol=1e-7)  # kept to eight decimals


def copied(frames, policies, times):
    """The frames with each policy so many times, its members under new names."""
    names = policies.select("policy_id").with_columns(pl.Series("times", times))
    copies = names.with_columns(pl.int_ranges(0, "times").alias("copy")).explode("copy").drop_nulls("copy")
    spans = frames["spans"].join(copies, on="policy_id", how="inner")
    mark = pl.format("{} copy {}", "enrollee_id", "copy").alias("enrollee_id")
    owners = spans.select("enrollee_id", "copy").unique()
    return {
        "spans": spans.with_columns(mark, pl.format("{} copy {}", "policy_id", "copy").alias("policy_id")).drop(
            "copy", "times"
        ),
        "scores": frames["scores"].join(owners, on="enrollee_id", how="inner").with_columns(mark).drop("copy"),
        "enrollees": frames["enrollees"].join(owners, on="enrollee_id", how="inner").with_columns(mark).drop("copy"),
        "plans": frames["plans"],
    }


@pytest.mark.parametrize("resample", ["policies_of_pool", pytest.param("policies_of_issuer", marks=pytest.mark.slow)])
def test_a_draw_is_the_settlement_of_the_copied_policies(frames, report, resample):
    """Draws 1 and 2 rebuilt: every policy copied as often as it was drawn, and everything computed from the frames."""
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=5, draws=3, resample=resample)
    sums = policy_sums(report.lines)
    columns = ["state", "risk_pool"] + (["issuer_id"] if resample == "policies_of_issuer" else [])
    sizes = sums.policies.group_by(columns).len().sort(columns)["len"].to_list()
    strata = Strata.of_starts(np.cumsum([0, *sizes]))
    assert not sums.policies["policy_id"].is_duplicated().any()  # none of these moves between the risk pools
    for draw in (0, 1):
        times = strata.times(5, draw)
        assert times.sum() == sums.policies.height
        again = plan_risk_report(**copied(frames, sums.policies, times), benefit_year=YEAR)
        expected = transfers(again.plan_rows, benefit_year=YEAR).issuers
        got = found.draws.filter(pl.col("draw") == draw + 1)
        assert got["issuer_id"].to_list() == expected["issuer_id"].to_list()
        np.testing.assert_allclose(got["transfer"], expected["transfer_unrounded"], rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(got["billable_member_months"], expected["billable_member_months"], rtol=1e-12)


def test_held_factors_stay(frames, report):
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=5, draws=2, geographic_cost_factors="held")
    sums = policy_sums(report.lines)
    sizes = sums.policies.group_by("state", "risk_pool").len().sort("state", "risk_pool")["len"].to_list()
    times = Strata.of_starts(np.cumsum([0, *sizes])).times(5, 0)
    given = report.areas.select("state", "risk_pool", "rating_area_id", "gcf")
    frames = copied(frames, sums.policies, times)
    again = plan_risk_report(**frames, benefit_year=YEAR, gcf=given)
    expected = transfers(again.plan_rows, benefit_year=YEAR).issuers
    got = found.draws.filter(pl.col("draw") == 1)
    np.testing.assert_allclose(got["transfer"], expected["transfer_unrounded"], rtol=1e-9, atol=1e-6)


@pytest.mark.slow
def test_given_factors_are_held_and_computed_ones_move(frames):
    given = pl.DataFrame(
        {"state": "GA", "risk_pool": "individual", "rating_area_id": ["1", "2", "3"], "gcf": [1.1, 1.0, 0.9]}
    )
    run = {"benefit_year": YEAR, "seed": 2, "draws": 5}
    everywhere = pl.concat([given, given.with_columns(risk_pool=pl.lit("catastrophic"))])
    moved = bootstrap_transfers(**frames, **run, gcf=everywhere)
    held = bootstrap_transfers(**frames, **run, gcf=everywhere, geographic_cost_factors="held")
    assert_frame_equal(moved.draws, held.draws, check_exact=True)
    one = bootstrap_transfers(**frames, **run, gcf=given.head(1))
    assert not one.draws["transfer"].equals(moved.draws["transfer"])


def test_order_of_rows_and_threads_change_no_byte(frames, report, monkeypatch):
    run = {"benefit_year": YEAR, "seed": 11, "draws": 40}
    base = bootstrap_transfers(report, **run)
    mixed = {n: f.sample(fraction=1, shuffle=True, seed=3) for n, f in frames.items()}
    monkeypatch.setenv("POOLWISE_THREADS", "1")
    again = bootstrap_transfers(**mixed, **run)
    for name in ("issuers", "pools", "draws"):
        assert_frame_equal(getattr(base, name), getattr(again, name), check_exact=True)
    other = bootstrap_transfers(report, **{**run, "seed": 12})
    assert not base.draws["transfer"].equals(other.draws["transfer"])


@pytest.mark.slow
def test_more_draws_begin_with_the_same_ones(report):
    few = bootstrap_transfers(report, benefit_year=YEAR, seed=1, draws=5)
    many = bootstrap_transfers(report, benefit_year=YEAR, seed=1, draws=50)
    assert_frame_equal(few.draws, many.draws.filter(pl.col("draw") <= 5), check_exact=True)


def test_the_stream_is_fixed():
    """The counts of one small draw, so that another version of numpy cannot change results unnoticed."""
    strata = Strata.of_starts(np.array([0, 4, 10]))
    times = strata.times(2024, 0)
    assert times[:4].sum() == 4
    assert times[4:].sum() == 6
    words = np.random.Philox(np.random.SeedSequence(2024, spawn_key=(0,))).random_raw(10)
    chosen = [
        int(w >> 12) * size // 2**52 + start
        for w, size, start in zip(words.tolist(), [4] * 4 + [6] * 6, [0] * 4 + [4] * 6, strict=True)
    ]
    assert times.tolist() == [chosen.count(policy) for policy in range(10)]


@pytest.mark.slow
def test_every_policy_is_equally_likely():
    strata = Strata.of_starts(np.array([0, 50, 57]))
    total = sum(strata.times(3, draw) for draw in range(2000))
    expected = 2000.0
    spread = np.sqrt(2000.0)
    assert np.abs(total - expected).max() < 5 * spread


def test_the_figures_of_the_interval(report):
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=8, draws=200, level=0.8)
    settled = transfers(report.plan_rows, benefit_year=YEAR).issuers
    assert found.issuers["transfer"].to_list() == settled["transfer"].to_list()
    for row in found.issuers.to_dicts():
        key = (pl.col("risk_pool") == row["risk_pool"]) & (pl.col("issuer_id") == row["issuer_id"])
        drawn = found.draws.filter(key)
        each = drawn["transfer"].to_numpy()
        assert len(each) == row["draws_used"] == 200
        np.testing.assert_allclose([row["lower"], row["upper"]], np.quantile(each, [0.1, 0.9]))
        np.testing.assert_allclose(row["standard_error"], each.std(ddof=1))
        np.testing.assert_allclose(row["mean_of_draws"], each.mean())
        pmpm = each / drawn["billable_member_months"].to_numpy()
        np.testing.assert_allclose([row["lower_pmpm"], row["upper_pmpm"]], np.quantile(pmpm, [0.1, 0.9]))
        turned = np.mean(np.sign(each) != np.sign(float(row["transfer"])))
        np.testing.assert_allclose(row["sign_change_share"], turned)
        assert row["lower"] < row["upper"]
    sums = found.draws.group_by("risk_pool", "draw").agg(
        pl.col("transfer").sum().abs().alias("sum"), pl.col("transfer").abs().max().alias("size")
    )
    assert (sums["sum"] <= 1e-9 * sums["size"]).all()
    assert (found.pools["received_lower"] <= found.pools["received_upper"]).all()
    assert (
        found.pools["average_premium"].is_between(
            found.pools["average_premium_lower"], found.pools["average_premium_upper"]
        )
    ).all()


@pytest.mark.slow
def test_the_interval_narrows_with_the_population():
    """Four times the policies: half the standard error per member month, roughly."""
    errors = []
    for policies in (150, 600):
        found = bootstrap_transfers(
            **population(4, policies, plans=2, issuers=2, areas=1, metals=("silver",)),
            benefit_year=YEAR,
            seed=1,
            draws=300,
        )
        row = found.issuers.row(0, named=True)
        errors.append(row["standard_error"] / row["billable_member_months"])
    assert 1.4 < errors[0] / errors[1] < 2.9


@pytest.mark.slow
def test_the_standard_error_is_that_of_theory():
    """Two issuers of one plan, one area: the delta method on ratio estimators, policies as the unit."""
    frames = population(9, 500, plans=2, issuers=2, areas=1, metals=("silver",))
    report = plan_risk_report(**frames, benefit_year=YEAR)
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=3, draws=2000)
    sums = policy_sums(report.lines)
    # T_1 = S (A_1 / A - C_1 / C): its derivative in the number of copies of each policy is its influence.
    row_of_entry = np.repeat(np.arange(2), np.diff(sums.first))
    n = sums.policies.height
    parts = np.zeros((2, 4, n))
    for column in range(4):
        np.add.at(parts[:, column], (row_of_entry, sums.entry_policy), sums.amounts[column])
    prem, risk, factor = parts[:, 1] / 3000, parts[:, 2], parts[:, 3]
    premium, total_risk, total_factor = prem.sum(), risk.sum(), factor.sum()
    a, c = risk[0].sum() / total_risk, factor[0].sum() / total_factor
    influence = 0.86 * (
        prem.sum(axis=0) * (a - c)
        + premium
        * ((risk[0] - a * risk.sum(axis=0)) / total_risk - (factor[0] - c * factor.sum(axis=0)) / total_factor)
    )
    theory = np.sqrt(np.sum((influence - influence.mean()) ** 2))
    assert abs(found.issuers["standard_error"][0] / theory - 1) < 0.06


def test_a_sole_issuer_has_exactly_nothing():
    found = bootstrap_transfers(**population(3, 60, issuers=1, plans=5), benefit_year=YEAR, seed=1, draws=20)
    assert found.draws["transfer"].to_list() == [0.0] * found.draws.height
    assert found.issuers["lower"].to_list() == found.issuers["upper"].to_list() == [0.0] * found.issuers.height
    assert found.issuers["sign_change_share"].is_null().all()


@pytest.mark.slow
def test_an_area_without_silver_keeps_its_factor_and_is_told():
    frames = population(6, 40, plans=4, issuers=2, areas=3, metals=("silver", "bronze"))
    found = bootstrap_transfers(**frames, benefit_year=YEAR, seed=1, draws=200)
    assert any("kept the factor" in w for w in found.warnings)
    assert found.draws["transfer"].is_not_null().all()


@pytest.mark.slow
def test_draws_without_a_settlement_are_left_out_and_told():
    """Two policies, one of them without any risk: a quarter of the draws has no risk at all."""
    frames = population(6, 2, plans=2, issuers=2, areas=1, metals=("bronze",))
    zero = pl.col("enrollee_id").str.starts_with("GA-00000-")
    frames["scores"] = frames["scores"].with_columns(
        pl.when(zero).then(0.0).otherwise(c).alias(c) for c in ("risk_score", "csr_adjusted_score")
    )
    report = plan_risk_report(
        **frames,
        benefit_year=YEAR,
        gcf=pl.DataFrame({"state": ["GA"], "risk_pool": ["individual"], "rating_area_id": ["1"], "gcf": [1.0]}),
    )
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=1, draws=100)
    used = found.issuers["draws_used"].to_list()
    assert 50 < used[0] < 100
    assert any(f"{100 - used[0]} draws hold a risk pool" in w for w in found.warnings)
    assert found.issuers["lower"].is_not_null().all()


@pytest.mark.slow
def test_two_states_are_drawn_apart():
    ga, tx = population(1, 80), population(2, 80, state="TX")
    alone = bootstrap_transfers(**ga, benefit_year=YEAR, seed=4, draws=10)
    together = bootstrap_transfers(**both(ga, tx), benefit_year=YEAR, seed=4, draws=10)
    assert_frame_equal(alone.draws, together.draws.filter(pl.col("state") == "GA"), check_exact=True)  # GA sorts first


@pytest.mark.slow
def test_settings_reach_both_steps(frames):
    run = {"benefit_year": YEAR, "seed": 1, "draws": 4}
    base = bootstrap_transfers(**frames, **run)
    changed = bootstrap_transfers(
        **frames,
        **run,
        settings={"month_rule": "full_month_one", "admin_cost_reduction": "0.2", "leap_birthday": "march_1"},
    )
    assert changed.plan_risk.settings["month_rule"] == "full_month_one"
    ratio = changed.draws["billable_member_months"] / base.draws["billable_member_months"]
    assert ratio.max() < 1
    assert changed.transfers.pools["admin_cost_reduction"].to_list() == [0.2] * changed.pools.height


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("draws", 1),
        ("draws", 10**9),
        ("level", 0),
        ("level", 1.0),
        ("level", 90),
        ("level", float("nan")),
        ("resample", "people"),
        ("geographic_cost_factors", "moves"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(report, name, value):
    with pytest.raises(SettingRefused, match=name):
        bootstrap_transfers(report, **{"benefit_year": YEAR, "seed": 1, "draws": 3, name: value})


def test_what_does_not_fit_together_is_refused(frames, report):
    run = {"benefit_year": YEAR, "seed": 1, "draws": 3}
    with pytest.raises(InputRefused, match="enrollees, spans, plans"):
        bootstrap_transfers(frames["scores"], **run)
    with pytest.raises(SettingRefused, match="handed in"):
        bootstrap_transfers(report, frames["enrollees"], **run)
    with pytest.raises(SettingRefused, match="handed in"):
        bootstrap_transfers(report, **run, settings={"month_rule": "full_month_one"})
    with pytest.raises(SettingRefused, match="are of 2024, not of 2023"):
        bootstrap_transfers(report, **{**run, "benefit_year": 2023})
    with pytest.raises(SettingRefused, match="no setting"):
        bootstrap_transfers(report, **run, settings={"gravity": 1})
    with pytest.raises(SettingRefused, match="not a mapping"):
        bootstrap_transfers(report, **run, settings=[1])


def test_lines_too_large_to_add_up_are_refused(report):
    lines = report.lines.with_columns(premium_cents=pl.lit(10**16))
    with pytest.raises(InputRefused, match="too large"):
        policy_sums(lines)


def test_the_result_says_what_it_is(report):
    found = bootstrap_transfers(report, benefit_year=YEAR, seed=1, draws=3)
    assert repr(found).startswith("Interval(benefit_year=2024, issuers=6, draws=3, level=0.9, seed=1")
    assert found.settings["resample"] == "policies_of_pool"
