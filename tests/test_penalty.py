"""The shared responsibility payment: federal and state mandates, gaps, exemptions, caps; the twin."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import subsidy_oracle as oracle

from data_specs.errors import InputRefused, SettingRefused, TableMissing
from rating._figures import Figures
from rating._penalty import MandateFigures, payment_cents, shared_responsibility_payment


def home(**columns) -> pl.DataFrame:
    row = {
        "household_id": "h",
        "annual_income": "40000",
        "filing_threshold": "10350",
        "uncovered_adults": 1,
        "uncovered_children": 0,
        "uncovered_months": 12,
    }
    return pl.DataFrame([row | columns])


def pay(tax_year=2016, months=None, jurisdiction="US", settings=None, **columns) -> dict:
    result = shared_responsibility_payment(
        home(**columns), months, tax_year=tax_year, jurisdiction=jurisdiction, settings=settings
    )
    return result.households.row(0, named=True)


def uncovered(*persons: tuple[str, bool, list[int]]) -> pl.DataFrame:
    lines = [("h", member, child, month) for member, child, months in persons for month in months]
    schema = {"household_id": pl.String, "member_id": pl.String, "is_child": pl.Boolean, "month": pl.Int64}
    return pl.DataFrame(lines, schema=schema, orient="row")


ALL_YEAR = list(range(1, 13))


# ---- amounts


@pytest.mark.parametrize(
    ("year", "income", "adults", "children", "payment"),
    [
        (2014, "10400", 1, 0, "95.00"),  # 1 percent of 50 is less than the flat amount
        (2014, "40000", 1, 0, "296.50"),  # 1 percent of 29,650
        (2015, "40000", 1, 0, "593.00"),  # 2 percent
        (2016, "40000", 1, 0, "741.25"),  # 2.5 percent
        (2016, "12000", 1, 0, "695.00"),
        (2016, "12000", 2, 3, "2085.00"),  # 1,390 + 1,042.50, at most three adults' worth
        (2016, "12000", 1, 3, "1737.50"),  # 695 + 3 x 347.50
        (2015, "12000", 0, 1, "162.50"),
        (2018, "12000", 1, 0, "695.00"),
        (2016, "300000", 1, 0, "2676.00"),  # 2.5 percent is 7,241.25; twelve times the average bronze premium of 223
        (2016, "300000", 2, 2, "7241.25"),  # the cap for four is 10,704
        (2016, "3000000", 3, 4, "13380.00"),  # the cap counts at most five persons
        (2019, "300000", 2, 2, "0.00"),
        (2026, "300000", 2, 2, "0.00"),
    ],
)
def test_federal_payment(year, income, adults, children, payment):
    row = pay(year, annual_income=income, uncovered_adults=adults, uncovered_children=children)
    assert str(row["payment"]) == payment


def test_parts_are_shown():
    row = pay(2016, uncovered_adults=2, uncovered_children=1, uncovered_months=6)
    names = ("uncovered_person_months", "flat_amount", "income_amount", "bronze_cap", "payment", "reason")
    found = [str(row[name]) for name in names]
    assert found == ["18", "1737.50", "741.25", "4014.00", "868.75", "payment"]


def test_years_before_the_mandate_and_after():
    for year in (2013, 2019, 2025):
        row = pay(year)
        assert (row["payment"], row["reason"], row["flat_amount"]) == (Decimal("0.00"), "no_mandate", None)


@pytest.mark.parametrize(
    ("state", "year", "payment"),
    [
        ("CA", 2020, "750.00"),
        ("CA", 2024, "900.00"),
        ("CA", 2025, "950.00"),
        ("NJ", 2019, "695.00"),
        ("RI", 2024, "695.00"),
        ("DC", 2026, "695.00"),
        ("NJ", 2018, "0.00"),
        ("CA", 2019, "0.00"),
        ("VT", 2024, "0.00"),
        ("TX", 2024, "0.00"),
        ("ca", 2024, "900.00"),
    ],
)
def test_states(state, year, payment):
    row = pay(year, jurisdiction=state, annual_income="12000")
    assert str(row["payment"]) == payment
    assert (row["reason"] == "no_mandate") == (payment == "0.00")


@pytest.mark.parametrize(("state", "year"), [("CA", 2021), ("CA", 2022), ("CA", 2023), ("MA", 2024), ("MA", 2016)])
def test_amounts_that_are_not_held_are_not_zero(state, year):
    with pytest.raises(TableMissing, match=f"{state} has a mandate in {year}"):
        pay(year, jurisdiction=state)


def test_california_after_the_last_reading_is_uncertain():
    def lines(year):
        result = shared_responsibility_payment(home(), tax_year=year, jurisdiction="CA")
        return result.uncertain["what"].to_list()

    carried = [line for line in lines(2026) if "carried to 2026" in line]
    assert len(carried) == 2
    assert not [line for line in lines(2025) if "carried" in line]
    # At most three adults' worth rests on the last federal figure.
    assert [line for line in lines(2025) if "taken for CA" in line]
    rhode_island = shared_responsibility_payment(home(), tax_year=2026, jurisdiction="RI").uncertain["what"].to_list()
    assert not [line for line in rhode_island if "carried" in line]


def test_state_cap_is_that_of_the_caller():
    capped = pay(2024, jurisdiction="CA", annual_income="500000", bronze_monthly_per_person="300")
    assert (str(capped["bronze_cap"]), str(capped["payment"])) == ("3600.00", "3600.00")
    result = shared_responsibility_payment(home(annual_income="500000"), tax_year=2024, jurisdiction="CA")
    row = result.households.row(0, named=True)
    assert (row["bronze_cap"], str(row["payment"])) == (None, "12241.25")
    assert result.findings.select("rule_id", "rows").rows() == [("SUB-050", 1)]


def test_every_figure_of_2014_to_2017_is_listed_as_uncertain():
    for year, number in ((2014, 5), (2016, 5), (2017, 5), (2018, 1), (2019, 0)):
        result = shared_responsibility_payment(home(), tax_year=year)
        assert result.uncertain.height == number, year


# ---- months


def test_months_of_persons():
    """2016, 12,000 dollars: an adult all year, a child six months. Six of 695, six of 1,042.50, by twelve."""
    months = uncovered(("1", False, ALL_YEAR), ("2", True, [1, 2, 3, 4, 5, 6]))
    row = pay(annual_income="12000", months=months)
    assert (row["uncovered_person_months"], str(row["payment"])) == (18, "868.75")


@pytest.mark.parametrize(
    ("months", "person_months"),
    [
        ([5, 6], 0),  # a short gap
        ([5, 6, 7], 3),  # not short
        ([1, 5, 6], 2),  # only the first short gap of the year is exempt
        ([1, 2, 6, 7, 8], 3),
        ([1, 2, 3, 11, 12], 3),  # the first short one comes after a long one (5000A(e)(4)(B)(iii))
        ([11, 12], 0),
        ([1, 3, 5], 2),
    ],
)
def test_first_short_gap_is_exempt(months, person_months):
    row = pay(months=uncovered(("1", False, months)))
    assert row["uncovered_person_months"] == person_months
    assert row["reason"] == ("payment" if person_months else "covered_or_short_gap")


def test_gaps_of_members_are_apart():
    months = uncovered(("1", False, [11, 12]), ("2", False, [1, 2, 3]))
    assert pay(months=months)["uncovered_person_months"] == 3


def test_short_gap_is_a_setting():
    for settings, number in (({"short_gap_below_months": 0}, 2), ({"short_gap_below_months": 4}, 0)):
        assert pay(months=uncovered(("1", False, [1, 2])), settings=settings)["uncovered_person_months"] == number
    assert pay(uncovered_months=2)["reason"] == "covered_or_short_gap"
    assert pay(uncovered_months=3)["uncovered_person_months"] == 3


def test_exempt_months_count_as_covered():
    months = uncovered(("1", False, [4, 5, 6, 7])).with_columns(is_exempt=pl.Series([False, False, True, False]))
    assert pay(months=months)["uncovered_person_months"] == 1  # 4-5 is a first short gap, 7 a second one


def test_nobody_uncovered():
    row = pay(months=uncovered())
    assert (row["payment"], row["reason"]) == (Decimal("0.00"), "covered_or_short_gap")


# ---- exemptions


def test_exemptions():
    assert pay(is_exempt=True)["reason"] == "exempt"
    # 2018: 8.05 percent of 40,000 is 3,220.
    assert pay(2018, lowest_cost_annual="3220.01")["reason"] == "cover_not_affordable"
    assert pay(2018, lowest_cost_annual="3220.00")["reason"] == "payment"
    assert pay(2018, lowest_cost_annual="3220.01")["payment"] == 0
    result = shared_responsibility_payment(home(lowest_cost_annual="9"), tax_year=2016)
    assert "rating/affordability_percentages" in result.uncertain["table"].to_list()


def test_missing_threshold_leaves_the_payment_open():
    result = shared_responsibility_payment(home(filing_threshold=None), tax_year=2016)
    row = result.households.row(0, named=True)
    assert (row["payment"], row["income_amount"], row["reason"]) == (None, None, "no_threshold")
    assert result.findings.select("rule_id", "rows").rows() == [("SUB-051", 1)]


# ---- the twin, properties


@pytest.mark.parametrize(
    ("jurisdiction", "year"), [("US", y) for y in range(2014, 2019)] + [("CA", 2025), ("DC", 2022)]
)
def test_agrees_with_the_twin(jurisdiction, year):
    random = np.random.default_rng(year)
    number = 120
    adults, children = random.integers(0, 4, (2, number, 12))
    income, threshold = random.integers(0, 30_000_000, number), random.integers(0, 3_000_000, number)
    law = MandateFigures.of(Figures(), jurisdiction, year, number)
    bronze = np.full(number, law.bronze or 0)
    payment, _ = payment_cents(
        adults,
        children,
        income,
        threshold,
        law,
        bronze_cents=bronze,
        has_bronze=bronze > 0,
        cap_persons=5,
    )
    figures = oracle.mandate(jurisdiction, year)
    for i in range(number):
        expected = oracle.penalty(
            figures,
            adults[i].tolist(),
            children[i].tolist(),
            Fraction(int(income[i]), 100),
            Fraction(int(threshold[i]), 100),
            3,
        )
        assert Fraction(int(payment[i]), 100) == expected


def test_more_income_and_more_months_never_cost_less():
    frame = pl.concat([home(household_id=f"{i:03d}", annual_income=str(1000 * i)) for i in range(120)])
    found = shared_responsibility_payment(frame, tax_year=2017).households["payment"]
    assert (found.diff().drop_nulls() >= 0).all()
    frame = pl.concat([home(household_id=f"{i:03d}", uncovered_months=i) for i in range(13)])
    found = shared_responsibility_payment(frame, tax_year=2017).households["payment"]
    assert (found.diff().drop_nulls() >= 0).all()
    assert found.n_unique() == 11


def test_order_changes_nothing():
    random = np.random.default_rng(6)
    frame = pl.concat([home(household_id=f"{i:03d}", annual_income=str(777 * i)) for i in range(60)])
    lines = [
        (f"{i:03d}", str(m), bool(m > 1), t)
        for i in range(60)
        for m in range(3)
        for t in range(1, 13)
        if random.random() < 0.6
    ]
    months = pl.DataFrame(lines, schema=["household_id", "member_id", "is_child", "month"], orient="row")
    found = shared_responsibility_payment(frame, months, tax_year=2016).households
    again = shared_responsibility_payment(
        frame.sample(fraction=1, shuffle=True, seed=1), months.sample(fraction=1, shuffle=True, seed=2), tax_year=2016
    ).households
    assert found.equals(again)


# ---- bad input


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"household_id": None}, "SUB-001"),
        ({"annual_income": None}, "SUB-002"),
        ({"filing_threshold": "-1"}, "SUB-006"),
        ({"uncovered_months": 13}, "SUB-008"),
        ({"uncovered_adults": -1}, "SUB-008"),
        ({"uncovered_children": 0.5}, "SUB-008"),
    ],
)
def test_bad_rows_are_set_aside(columns, rule):
    frame = pl.concat([home(household_id="good"), home(**columns)], how="diagonal_relaxed")
    result = shared_responsibility_payment(frame, tax_year=2016)
    assert result.households["household_id"].to_list() == ["good"]
    assert result.findings.select("rule_id", "rows").rows() == [(rule, 1)]
    assert result.counts.rows() == [("households", 2, 1, 1)]


def test_bad_months_are_set_aside():
    months = pl.concat(
        [
            uncovered(("1", False, [1, 2, 3, 4, 13])),
            uncovered(("2", False, [5])).with_columns(household_id=pl.lit("nobody")),
            uncovered(("3", False, [6, 6])),
        ]
    )
    result = shared_responsibility_payment(home(), months, tax_year=2016)
    assert result.findings.select("rule_id", "table", "rows").rows() == [
        ("SUB-001", "months", 2),
        ("SUB-008", "months", 1),
        ("SUB-010", "months", 1),
        ("SUB-013", "households", 1),
        ("SUB-013", "months", 4),
    ]
    assert result.counts.rows() == [("households", 1, 0, 1), ("months", 8, 0, 8)]
    assert result.households.is_empty()  # a payment for some of the months would be too low


def test_what_cannot_be_asked():
    for name in ("USA", "", 6, None):
        with pytest.raises(SettingRefused, match="jurisdiction"):
            pay(jurisdiction=name)
    with pytest.raises(InputRefused, match="filing_threshold"):
        shared_responsibility_payment(home().drop("filing_threshold"), tax_year=2016)
    with pytest.raises(InputRefused, match="uncovered_months"):
        shared_responsibility_payment(home().drop("uncovered_months"), tax_year=2016)
    with pytest.raises(SettingRefused, match="bronze_cap_persons"):
        pay(settings={"bronze_cap_persons": -1})
