"""Trend studies: known trends come back, the slow twin agrees, and series that show no trend say why."""

from datetime import date
from decimal import Decimal

import filing_experience_oracle as oracle
import numpy as np
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from rating.filing._experience import experience
from rating.filing._large_claims import pooled_claims
from rating.filing._trend import trend_study

SEASON = [0.92, 0.95, 1.01, 0.99, 1.02, 1.0, 0.97, 0.98, 1.01, 1.04, 1.05, 1.06]
START = oracle.month(date(2022, 4, 1))  # a leap February lies within the next three years


def days(number):
    return (oracle.day(number + 1) - oracle.day(number)).days


def known_series(count=36, trend=0.07, start=START):
    """Claims that grow by a known trend, with seasons, days of the month and a changing number of enrollees."""
    months = range(start, start + count)
    members = [1000 + 13 * (m - start) for m in months]
    pmpm = [350 * (1 + trend) ** ((m - start) / 12) * SEASON[(m - 1) % 12] * days(m) / (365.25 / 12) for m in months]
    return pl.DataFrame(
        {
            "incurred_month": [oracle.day(m) for m in months],
            "member_months": members,
            "allowed": [p * n for p, n in zip(pmpm, members, strict=True)],
        }
    )


def cents(frame, *columns):
    return frame.with_columns(pl.col(c).round(2) for c in columns)


def noisy_series(seed, count=36, outliers=0):
    draw = np.random.default_rng(seed)
    frame = known_series(count)
    noise = np.exp(draw.normal(0, 0.02, count))
    noise[:outliers] *= 1.4
    return frame.with_columns(allowed=pl.col("allowed") * pl.Series(noise))


def test_known_trend_comes_back_exactly():
    """Growth by 1.5 a year over whole cents: nothing is rounded, so the trend is exact."""
    months = range(START, START + 36)
    exact = [Decimal("1.5") ** ((m - START) // 12) * 1000 for m in months]
    steps = pl.DataFrame(
        {"incurred_month": [oracle.day(m) for m in months], "member_months": [10] * 36, "allowed": exact}
    )
    study = trend_study(steps, day_basis="none")
    # The level of each year is constant, so month effects take the steps within it and b is ln 1.5.
    assert study.annual_trend() == pytest.approx(0.5, abs=1e-12)
    assert study.trends.filter(view="monthly").select("low", "high").row(0) == pytest.approx((0.5, 0.5), abs=1e-12)
    rolling = study.months["rolling_12_change"].drop_nulls().to_list()
    assert rolling == pytest.approx([0.5] * len(rolling), abs=1e-12)
    assert len(rolling) == 13


def test_trend_with_seasons_days_and_indices():
    frame = known_series()
    ages = [1 + 0.001 * i for i in range(36)]
    areas = [1.02**i for i in range(36)]
    series = frame.with_columns(
        allowed=pl.col("allowed") * pl.Series(ages) * pl.Series(areas),
        demographic_index=pl.Series(ages),
        area_index=pl.Series(areas),
    )
    study = trend_study(series)
    assert study.annual_trend() == pytest.approx(0.07, abs=1e-8)  # claims are whole cents
    effects = dict(study.month_effects.select("calendar_month", "factor").rows())
    assert [effects[m] for m in range(1, 13)] == pytest.approx([s * 12 / sum(SEASON) for s in SEASON], rel=1e-7)
    assert trend_study(series.drop("area_index")).annual_trend() > 0.3
    assert study.settings.filter(setting="columns")["value"].item() == "allowed, demographic_index, area_index"


@pytest.mark.parametrize("seed", [1, 2])
def test_against_the_slow_twin(seed):
    frame = cents(noisy_series(seed, count=41), "allowed")
    months = [oracle.month(d) for d in frame["incurred_month"]]
    values = [
        a / n * 365.25 / 12 / days(m)
        for a, n, m in zip(frame["allowed"].to_list(), frame["member_months"].to_list(), months, strict=True)
    ]
    slope, error, residuals, freedom = oracle.least_squares(months, values)
    row = trend_study(frame).trends.filter(view="monthly").row(0, named=True)
    assert row["annual_trend"] == pytest.approx(np.expm1(slope), abs=1e-11)
    assert row["residual_df"] == freedom == 41 - 13
    from scipy.stats import t

    half = t.ppf(0.975, freedom)
    assert row["low"] == pytest.approx(np.expm1(slope - half * error), abs=1e-10)
    assert row["high"] == pytest.approx(np.expm1(slope + half * error), abs=1e-10)
    watson = (np.diff(residuals) ** 2).sum() / (residuals**2).sum()
    assert row["durbin_watson"] == pytest.approx(watson, rel=1e-8)
    robust = trend_study(frame, estimator="hac", hac_lags=4).trends.filter(view="monthly").row(0, named=True)
    assert robust["annual_trend"] == row["annual_trend"]
    wide = oracle.newey_west(months, values, 4)
    assert robust["high"] == pytest.approx(np.expm1(slope + half * wide), abs=1e-10)
    huber = trend_study(frame, estimator="huber").annual_trend()
    assert huber == pytest.approx(np.expm1(oracle.huber_slope(months, values)), abs=1e-6)
    plain, _, _, _ = oracle.least_squares(months, values, has_effects=False)
    assert trend_study(frame, month_effects=False).annual_trend() == pytest.approx(np.expm1(plain), abs=1e-11)


def test_months_that_stand_out_move_huber_less():
    frame = noisy_series(3, outliers=2)
    least, huber = trend_study(frame).annual_trend(), trend_study(frame, estimator="huber").annual_trend()
    assert abs(huber - 0.07) < abs(least - 0.07) / 2


@pytest.mark.slow
def test_cost_and_utilization_make_up_the_trend():
    draw = np.random.default_rng(5)
    frame = cents(noisy_series(4), "allowed").with_columns(services=pl.Series(draw.integers(4000, 6000, 36)))
    frame = frame.with_columns(benefit_category=pl.lit("professional"), area_index=pl.Series(np.linspace(1, 1.1, 36)))
    study = trend_study(frame)
    found = {m: study.annual_trend("professional", m) for m in ("pmpm", "utilization", "unit_cost")}
    assert (1 + found["utilization"]) * (1 + found["unit_cost"]) == pytest.approx(1 + found["pmpm"], rel=1e-12)
    use = study.months.filter(measure="utilization")["value"][0]
    assert use == pytest.approx(frame["services"][0] * 12_000 / frame["member_months"][0], rel=1e-14)
    given = study.assumptions()
    assert set(given) == {f"trend_{y}_{k}_professional" for y in ("y1", "y2") for k in ("cost", "util")}
    assert given["trend_y1_cost_professional"]["value"] == round(Decimal(repr(1 + found["unit_cost"])), 4)
    assert given["trend_y1_cost_professional"] == given["trend_y2_cost_professional"]
    with pytest.raises(SettingRefused, match="cost and utilization"):
        trend_study(frame.drop("services")).assumptions()


def test_rolling_twelve_months():
    frame = cents(known_series(), "allowed")
    study = trend_study(frame, day_basis="none")
    months = study.months
    assert months["rolling_12"].null_count() == 11
    window = frame.head(12)
    assert months["rolling_12"][11] == pytest.approx(window["allowed"].sum() / window["member_months"].sum(), rel=1e-13)
    rolling = study.trends.filter(view="rolling_12").row(0, named=True)
    assert rolling["annual_trend"] == pytest.approx(0.07, abs=0.002)
    assert (rolling["low"], rolling["high"], rolling["months_used"]) == (None, None, 25)


def test_too_few_months_say_how_many_are_needed():
    with pytest.raises(InputRefused, match=r"TRD-001") as refused:
        trend_study(known_series(23))
    assert "23 usable, 24 needed" in refused.value.what
    assert trend_study(known_series(24)).annual_trend() == pytest.approx(0.07, abs=1e-7)
    short = known_series(12)
    assert trend_study(short, months_needed=12, month_effects=False).annual_trend() is not None


def test_month_effects_that_cannot_be_told_from_the_trend():
    """Each year has months of its own: every effect is one of time as well."""
    frame = known_series(48, start=oracle.month(date(2022, 1, 1)))
    month, year = pl.col("incurred_month").dt.month(), pl.col("incurred_month").dt.year()
    apart = frame.filter(((month <= 6) & (year == 2022)) | ((month > 6) & (year == 2024)))
    with pytest.raises(InputRefused, match="TRD-004") as refused:
        trend_study(apart, months_needed=3)
    assert "12 usable, 14 needed" in refused.value.what
    # Fourteen months, of which two stand twice: enough for thirteen coefficients.
    two = pl.concat([frame.filter(year == 2022), frame.filter((month <= 2) & (year == 2023))])
    assert trend_study(two, months_needed=14).trends["residual_df"][0] == 1


def test_a_category_without_a_trend_does_not_stop_the_others():
    good = known_series().with_columns(benefit_category=pl.lit("professional"))
    short = known_series(9).with_columns(benefit_category=pl.lit("capitation"))
    empty = known_series().with_columns(benefit_category=pl.lit("other_medical"), allowed=pl.lit(0.0))
    study = trend_study(pl.concat([good, short, empty]))
    assert study.annual_trend("professional") == pytest.approx(0.07, abs=1e-7)
    assert study.annual_trend("capitation") is None
    said = study.findings.filter(rule_id="TRD-001")
    assert said["where"].to_list() == ["monthly_series, capitation", "monthly_series, other_medical"]
    assert said["message"][0] == "9 usable months, and 24 are needed"
    for column in study.trends.select(pl.col(pl.Float64)):
        assert not column.is_nan().any()
    with pytest.raises(SettingRefused):
        study.annual_trend("dental")


def test_months_without_enrollees_or_claims_are_left_out_and_said():
    frame = known_series(30).with_columns(
        member_months=pl.when(pl.int_range(pl.len()) == 4).then(0).otherwise("member_months"),
        allowed=pl.when(pl.int_range(pl.len()) == 9).then(-1.0).otherwise("allowed"),
    )
    study = trend_study(frame)
    assert study.annual_trend() == pytest.approx(0.07, abs=1e-7)
    assert study.findings["rule_id"].to_list() == ["TRD-002", "TRD-003"]
    assert study.findings["message"][0] == "left out: 2022-08, 2023-01"
    assert study.trends.filter(view="rolling_12")["months_used"].item() == 30 - 10 - 11


def test_residuals_that_follow_each_other_are_found_and_an_exact_fit_too():
    wave = [1 + 0.05 * np.sin(i / 6) for i in range(36)]
    frame = known_series().with_columns(allowed=pl.col("allowed") * pl.Series(wave))
    assert trend_study(frame).findings["rule_id"].to_list() == ["TRD-006"]
    flat = known_series().with_columns(allowed=pl.lit(1000), member_months=pl.lit(10))
    study = trend_study(flat, estimator="huber", day_basis="none")
    assert study.findings["rule_id"].to_list() == ["TRD-005"]
    assert study.annual_trend() == pytest.approx(0, abs=1e-12)


def test_order_changes_nothing_and_settings_are_checked():
    frame = noisy_series(9)
    one, other = trend_study(frame), trend_study(frame.reverse().lazy())
    assert one.trends.equals(other.trends)
    assert one.months.equals(other.months)
    for settings in (
        {"estimator": "lasso"},
        {"confidence": 1},
        {"confidence": 95},
        {"months_needed": 2},
        {"month_effects": "yes"},
        {"day_basis": "moon"},
        {"estimator": "hac", "hac_lags": -1},
    ):
        with pytest.raises(SettingRefused):
            trend_study(frame, **settings)
    with pytest.raises(InputRefused, match="SER-001"):
        trend_study(pl.concat([frame, frame.head(1)]))
    with pytest.raises(InputRefused, match="SER-001"):
        trend_study(frame.with_columns(area_index=pl.lit(0.0)))


def test_from_claims_to_a_trend():
    """Large claims pooled, or the completed months of an experience: both are series as they come."""
    first = oracle.month(date(2023, 1, 1))
    months = [oracle.day(first + i) for i in range(24)]
    grown = [round(1000 * 1.06 ** (i / 12), 2) for i in range(24)]
    members = pl.DataFrame({"incurred_month": months, "member_months": [100] * 24})
    claims = pl.DataFrame({"enrollee_id": ["a", "b"] * 24, "incurred_month": sorted(months * 2)}).with_columns(
        allowed=pl.Series([amount for g in grown for amount in (g, 500.0)])
    )
    pooled = pooled_claims(claims, large_claim_threshold=8000, pooling_charge_pmpm=1, member_months=members).months
    # Enrollee a is at the threshold in both years: what is left does not grow.
    assert trend_study(pooled, claims="pooled", day_basis="none").annual_trend() == pytest.approx(0, abs=1e-4)
    assert trend_study(pooled, claims="claims", day_basis="none").annual_trend() > 0.03
    frame = pl.DataFrame(
        {
            "incurred_month": months,
            "benefit_category": ["professional"] * 24,
            "is_ehb": [True] * 24,
            "member_months": [100] * 24,
            "allowed_paid_to_date": [round(g * 0.9, 2) for g in grown],
            "incurred_paid_to_date": [round(g * 0.7, 2) for g in grown],
            "completion_factor": [0.9] * 24,
        }
    )
    completed = experience(frame, period=(months[12], months[23])).months.filter(basis="ehb_allowed")
    study = trend_study(completed, claims="selected", day_basis="none")
    assert study.annual_trend("professional") == pytest.approx(0.06, abs=1e-4)
