"""Completion: triangles worked by hand, against the slow twin, and triangles that cannot be used."""

from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction

import filing_experience_oracle as oracle
import numpy as np
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from rating.filing._completion import completion

COLUMNS = ("incurred_month", "paid_month", "benefit_category", "paid_amount")
JANUARY = oracle.month(date(2025, 1, 1))


def frame(payments):
    schema = dict(zip(COLUMNS, (pl.Date, pl.Date, pl.String, pl.Decimal(16, 2)), strict=True))
    return pl.DataFrame([(*row[:3], Decimal(row[3])) for row in payments], schema=schema, orient="row")


def payments_of(cumulative, category="professional", start=JANUARY):
    """Rows of a triangle from its cumulative claims: a list of incurred months, each a list by lag."""
    rows = []
    for i, line in enumerate(cumulative):
        for lag, total in enumerate(line):
            paid = Decimal(total) - (Decimal(line[lag - 1]) if lag else 0)
            rows.append((oracle.day(start + i), oracle.day(start + i + lag), category, paid))
    return rows


# Four incurred months; factors 700/400 = 1.75, 530/450 and 270/252; worked on paper.
HAND = [["100", "160", "252", "270"], ["120", "290", "278"], ["180", "250"], ["200"]]


def as_decimal(fraction):
    with localcontext() as context:
        context.prec = 60
        return Decimal(fraction.numerator) / Decimal(fraction.denominator)


def random_payments(seed, months=10, behind=1, categories=("inpatient_hospital", "professional")):
    """A triangle whose last incurred month has `behind` lags."""
    draw = np.random.default_rng(seed)
    rows = []
    for category in categories:
        speed = draw.uniform(0.35, 0.8)
        for i in range(months):
            left = draw.uniform(5_000, 20_000)
            for lag in range(months + behind - i):
                paid = round(left * speed * draw.uniform(0.6, 1.2), 2) if lag else round(left * 0.2, 2)
                left -= paid
                rows.append((oracle.day(JANUARY + i), oracle.day(JANUARY + i + lag), category, str(paid)))
    return rows


def test_hand_triangle_is_exact():
    found = completion(frame(payments_of(HAND)), low_completion=0)
    last, third, second = Fraction(270, 252), Fraction(530, 450), Fraction(700, 400)
    developed = found.ladder.developments["professional"]
    assert [developed.age_to_age(k) for k in range(3)] == [second, third, last]
    assert developed.to_ultimate == [second * third * last, third * last, last, 1]
    assert found.ultimates["paid"].to_list() == [270, 278, 250, 200]
    ultimate = [Fraction(270), 278 * last, 250 * third * last, 200 * second * third * last]
    assert found.ultimates["chain_ladder"].to_list() == [float(u) for u in ultimate]
    assert abs(found.selected["professional", date(2025, 4, 1)] - as_decimal(ultimate[3])) < Decimal("1e-30")
    share = found.completion_factor("professional", date(2025, 3, 1))
    assert abs(share - as_decimal(1 / (third * last))) < Decimal("1e-33")


def test_factors_that_are_short_decimals_come_back_as_they_are():
    found = completion(frame(payments_of([["100", "125"], ["80"]])))
    assert found.completion_factor("professional", date(2025, 2, 1)) == Decimal("0.8")
    assert found.selected["professional", date(2025, 2, 1)] == 100


def test_last_months_of_each_lag_and_the_tail():
    found = completion(frame(payments_of(HAND)), low_completion=0, development_months=1, tail_factor="1.01")
    developed = found.ladder.developments["professional"]
    assert developed.age_to_age(0) == Fraction(250, 180)  # the last month that has reached lag 1 is the third
    assert developed.age_to_age(1) == Fraction(278, 290)
    assert developed.completion(3) == 1 / Fraction("1.01")
    tails = {"professional": "1.02"}
    assert completion(frame(payments_of(HAND)), low_completion=0, tail_factor=tails).ladder.developments[
        "professional"
    ].tail == Fraction("1.02")


@pytest.mark.parametrize("last", [None, 4])
@pytest.mark.parametrize("seed", range(3))
def test_against_the_slow_twin(seed, last):
    rows = random_payments(seed)
    through = max(oracle.month(p) for _, p, _, _ in rows)
    members = {m: 1000 + 7 * (m - JANUARY) for m in range(JANUARY, JANUARY + 10)}
    months = pl.DataFrame({"incurred_month": [oracle.day(m) for m in members], "member_months": list(members.values())})
    found = completion(
        frame(rows), member_months=months, annual_trend="0.07", low_completion="0.75", development_months=last,
        tail_factor="1.003",
    )  # fmt: skip
    assert "trended_pmpm" in found.ultimates["method"].to_list()
    for category in ("inpatient_hospital", "professional"):
        tail = Fraction("1.003")
        shares = oracle.completion_by_lag(rows, category, through, last, tail)
        expected = oracle.selected_claims(rows, category, through, members, "0.07", Fraction("0.75"), last, tail)
        for m, value in expected.items():
            share = found.completion_factor(category, oracle.day(m))
            assert abs(share - as_decimal(shares[through - m])) < Decimal("1e-33")
            assert found.selected[category, oracle.day(m)] == pytest.approx(value, rel=Decimal("1e-30"))


def test_month_of_low_completion_takes_the_trended_pmpm():
    # Completion of the second month is 100/200; its trended PMPM is 200 / 10 x 1.12^(1/12).
    rows = frame(payments_of([["100", "200"], ["150"]]))
    months = pl.DataFrame({"incurred_month": [date(2025, 1, 1), date(2025, 2, 1)], "member_months": [10, 20]})
    found = completion(rows, member_months=months, annual_trend="0.12")
    assert found.ultimates["chain_ladder"].to_list() == [200, 300]
    assert found.ultimates["method"].to_list() == ["chain_ladder", "trended_pmpm"]
    assert found.ultimates["selected"][1] == pytest.approx(400 * 1.12 ** (1 / 12), rel=1e-15)
    assert found.ultimates["selected_pmpm"][1] == pytest.approx(20 * 1.12 ** (1 / 12), rel=1e-15)
    assert found.findings["rule_id"].to_list() == ["TRI-004", "TRI-009"]
    turned_off = completion(rows, low_completion=0)
    assert turned_off.ultimates["selected"].to_list() == [200, 300]
    seasonal = dict.fromkeys(range(1, 13), 1) | {1: "0.8", 2: "1.2"}
    shifted = completion(rows, member_months=months, annual_trend=0, month_factors=seasonal)
    assert shifted.selected["professional", date(2025, 2, 1)] == 600  # 200 / 0.8 / 10 x 20 x 1.2


def test_low_completion_needs_months_and_a_trend():
    rows = frame(payments_of([["100", "200"], ["150"]]))
    months = pl.DataFrame({"incurred_month": [date(2025, 1, 1), date(2025, 2, 1)], "member_months": [10, 20]})
    with pytest.raises(SettingRefused, match="member months"):
        completion(rows, annual_trend=0)
    with pytest.raises(SettingRefused, match="a trend"):
        completion(rows, member_months=months)
    with pytest.raises(InputRefused, match="TRI-011"):
        completion(rows, member_months=months.head(1), annual_trend=0)
    nobody = months.with_columns(member_months=pl.Series([10, 0]))
    assert completion(rows, member_months=nobody, annual_trend=0).ultimates["method"].to_list()[1] == "paid_to_date"


def test_nothing_paid_in_the_month_it_is_incurred():
    """Completion is 0 at lag 0: no factor develops the last month, and the trended PMPM takes its place."""
    rows = frame(payments_of([["0", "80", "100"], ["0", "160"], ["0"]]))
    months = pl.DataFrame({"incurred_month": [date(2025, m, 1) for m in (1, 2, 3)], "member_months": [10, 20, 30]})
    with pytest.raises(InputRefused, match="TRI-007"):
        completion(rows, low_completion=0)
    found = completion(rows, member_months=months, annual_trend=0)
    assert found.ultimates["chain_ladder"].to_list() == [100, 200, None]
    assert found.ultimates["completion"].to_list() == [1, 0.8, 0]
    assert found.ultimates["selected"].to_list() == [100, 200, 300]
    assert found.factors["to_ultimate"].to_list() == [None, 1.25, 1]
    assert not found.ultimates["selected"].is_nan().any()


def test_hole_is_refused_with_its_place():
    rows = [row for row in payments_of(HAND) if (row[0].month, row[1].month) != (2, 3)]
    with pytest.raises(InputRefused, match=r"TRI-003") as refused:
        completion(frame(rows), low_completion=0)
    assert "professional incurred 2025-02 paid 2025-03" in refused.value.where
    found = completion(frame(rows), low_completion=0, absent_cells="zero")
    # Without the 170 of March, April takes 278 - 290 back from 120.
    assert found.ultimates["paid"].to_list() == [270, 108, 250, 200]
    assert found.findings.filter(rule_id="TRI-016")["where"].item().endswith("incurred 2025-02 paid 2025-03")
    with pytest.raises(SettingRefused):
        completion(frame(rows), absent_cells="maybe")


def test_incurred_month_without_rows_is_a_hole_and_no_month_of_a_category_is_left_out():
    rows = [row for row in payments_of(HAND) if row[0].month != 3]
    with pytest.raises(InputRefused, match="TRI-003"):
        completion(frame(rows), low_completion=0)
    late = [*payments_of(HAND), *payments_of(HAND[:3], "capitation")]
    with pytest.raises(InputRefused, match="capitation incurred"):
        completion(frame(late), low_completion=0)


def test_falling_claims_are_found_or_refused():
    found = completion(frame(payments_of([["100", "90"], ["50"]])), low_completion=0)
    rules = found.findings["rule_id"].to_list()
    assert rules == ["TRI-006", "TRI-009", "TRI-013"]
    assert "2025-01 paid 2025-02" in found.findings.filter(rule_id="TRI-013")["where"].item()
    assert found.completion_factor("professional", date(2025, 2, 1)) > 1
    with pytest.raises(InputRefused, match="TRI-005") as refused:
        completion(frame(payments_of([["100", "0"], ["50"]])), low_completion=0)
    assert refused.value.where == "triangle, professional, lag 0 to 1"
    below = completion(frame(payments_of([["100", "120"], ["-5"]])), low_completion=0)
    assert "TRI-014" in below.findings["rule_id"].to_list()


def test_category_without_payments_and_month_without():
    rows = [*payments_of([["0", "0"], ["0"]]), *payments_of([["9", "10"], ["0"]], "capitation")]
    found = completion(frame(rows))
    assert found.findings["rule_id"].to_list() == ["TRI-008", "TRI-009", "TRI-015"]
    assert found.ultimates.filter(benefit_category="professional")["selected"].to_list() == [0, 0]


def test_paid_through_leaves_later_payments_out():
    rows = frame(payments_of(HAND))
    cut = completion(rows, paid_through=date(2025, 3, 31), low_completion=0)
    same = completion(frame(payments_of([HAND[0][:3], HAND[1][:2], HAND[2][:1]])), low_completion=0)
    assert cut.ultimates.equals(same.ultimates)
    assert cut.findings.filter(rule_id="TRI-012")["message"].item() == "4 rows paid after 2025-03 are left out"
    with pytest.raises(InputRefused, match="before paid_through"):
        completion(rows, paid_through=date(2025, 5, 31))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("paid_amount", None, "TRI-001"),
        ("incurred_month", date(2025, 1, 2), "TRI-001"),
        ("incurred_month", date(2026, 1, 1), "TRI-001"),
        ("benefit_category", " ", "TRI-001"),
        ("paid_month", None, "TRI-001"),
    ],
)
def test_rows_that_cannot_be_read(column, value, rule):
    rows = frame(payments_of(HAND))
    broken = rows.with_columns(pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(value)).otherwise(column).alias(column))
    with pytest.raises(InputRefused, match=rule) as refused:
        completion(broken, low_completion=0)
    assert "row 3" in refused.value.where


def test_double_cell_missing_column_and_empty_frame():
    rows = frame(payments_of(HAND))
    with pytest.raises(InputRefused, match="TRI-002"):
        completion(pl.concat([rows, rows.head(1)]), low_completion=0)
    with pytest.raises(InputRefused, match="FILE-002"):
        completion(rows.drop("paid_amount"))
    with pytest.raises(InputRefused):
        completion(rows.clear())
    with pytest.raises(InputRefused):
        completion(rows.to_dicts())


@pytest.mark.parametrize(
    "settings",
    [{"low_completion": 1}, {"low_completion": -0.1}, {"tail_factor": 0}, {"development_months": 0},
     {"tail_factor": {"dental": 1}}, {"development_months": 2.5}, {"month_factors": {1: 1}}, {"annual_trend": -1},
     {"paid_through": "2025-03"}],
)  # fmt: skip
def test_settings_that_cannot_be(settings):
    with pytest.raises(SettingRefused):
        completion(frame(payments_of(HAND)), **settings)


def test_order_of_rows_changes_nothing():
    rows = frame(random_payments(5))
    one = completion(rows, low_completion=0)
    other = completion(rows.sample(fraction=1, shuffle=True, seed=1).lazy(), low_completion=0)
    assert one.ultimates.equals(other.ultimates)
    assert one.factors.equals(other.factors)
    assert one.selected == other.selected


def test_scaling_the_triangle_scales_the_estimates():
    rows = frame(random_payments(6))
    doubled = rows.with_columns(pl.col("paid_amount") * 2)
    one, two = completion(rows, low_completion=0), completion(doubled, low_completion=0)
    assert all(two.selected[key] == pytest.approx(2 * one.selected[key], rel=Decimal("1e-32")) for key in one.selected)


def test_floats_are_the_decimals_they_show():
    rows = frame(random_payments(7))
    one = completion(rows, low_completion=0)
    other = completion(rows.with_columns(pl.col("paid_amount").cast(pl.Float64)), low_completion=0)
    assert one.selected == other.selected
