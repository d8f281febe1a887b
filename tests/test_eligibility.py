"""Who can have the credit, person by person; cost-sharing variants; Medicaid and the gap below the poverty line."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import subsidy_oracle as oracle

from data_specs.errors import InputRefused, NotYetPublished, SettingRefused, TableMissing
from rating._assistance import METAL_LEVELS, VariantRules, cost_sharing_variant, medicaid_outcome
from rating._credit import premium_tax_credit
from rating._eligibility import credit_eligibility
from rating._figures import Figures


def homes(**columns) -> pl.DataFrame:
    row = {"household_id": "h", "annual_income": "30000", "tax_household_size": 1, "state": "TX"}
    return pl.DataFrame([row | columns])


def person(**columns) -> pl.DataFrame:
    return pl.DataFrame([{"household_id": "h", "member_id": "1"} | columns])


def reason(tax_year: int, member: pl.DataFrame, household: pl.DataFrame | None = None, **settings) -> str:
    household = homes() if household is None else household
    found = credit_eligibility(member, household, tax_year=tax_year, settings=settings)
    return found.members["reason"].item()


# ---- persons by date


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "eligible"),
        ({"seeks_coverage": False}, "not_enrolled"),
        ({"enrolled_through_exchange": False}, "not_enrolled"),
        ({"immigration_status": "not_lawfully_present"}, "not_lawfully_present"),
        ({"immigration_status": "Permanent_Resident"}, "eligible"),
        ({"other_coverage": "medicaid"}, "other_coverage"),
        ({"other_coverage": "chip"}, "other_coverage"),
        ({"other_coverage": "medicare"}, "other_coverage"),
        ({"other_coverage": "employer"}, "other_coverage"),
        ({"immigration_status": None, "other_coverage": None}, "eligible"),
    ],
)
@pytest.mark.parametrize("year", [2014, 2025, 2026])
def test_persons(year, columns, expected):
    schema = {"immigration_status": pl.String, "other_coverage": pl.String}
    member = person(**columns).cast({c: t for c, t in schema.items() if c in columns})
    assert reason(year, member) == expected


@pytest.mark.parametrize(
    ("year", "status", "expected"),
    [
        (2026, "other_lawfully_present", "eligible"),
        (2027, "other_lawfully_present", "status_not_listed"),
        (2027, "permanent_resident", "eligible"),
        (2027, "cuban_haitian_entrant", "eligible"),
        (2027, "freely_associated_state", "eligible"),
        (2027, "citizen", "eligible"),
    ],
)
def test_lawful_status_from_2027(year, status, expected):
    assert reason(year, person(immigration_status=status)) == expected


def test_enrollment_on_income_alone_from_2026():
    member = person(enrollment_period="special_income_only")
    assert reason(2025, member) == "eligible"
    assert reason(2026, member) == "income_only_enrollment"
    assert reason(2026, person(enrollment_period="special")) == "eligible"
    assert reason(2026, member, income_only_enrollment_bars_from=None) == "eligible"
    assert reason(2025, member, income_only_enrollment_bars_from=2025) == "income_only_enrollment"


def test_rules_known_from_summaries_are_listed_where_they_bar():
    member = person(enrollment_period="special_income_only")
    result = credit_eligibility(member, homes(), tax_year=2026)
    (line,) = result.uncertain.rows()
    assert line[0] == "settings"
    assert line[1].startswith("income_only_enrollment_bars_from 2026: Public Law 119-21")
    assert line[2:] == ("is_credit_eligible", 1)
    assert credit_eligibility(member, homes(), tax_year=2025).uncertain.is_empty()
    unverified = person(eligibility_verified=False)
    late = credit_eligibility(unverified, homes(), tax_year=2026, settings={"verified_before_advance_from": 2026})
    assert late.uncertain["moved"].to_list() == ["advance_allowed"]


def test_exception_below_poverty_for_status_ends():
    """Lawfully present people whom Medicaid refuses for their status: to 2025. A citizen never has it."""
    poor = homes(annual_income="9000")
    member = person(immigration_status="other_lawfully_present", medicaid_refused_for_status=True)
    assert reason(2025, member, poor) == "eligible"
    assert reason(2026, member, poor) == "income_below_limit"
    assert reason(2025, person(medicaid_refused_for_status=True), poor) == "income_below_limit"
    assert reason(2025, person(immigration_status="permanent_resident"), poor) == "income_below_limit"
    result = premium_tax_credit(poor.with_columns(benchmark_monthly=pl.lit("400")), member, tax_year=2025)
    assert result.households.select("annual_credit", "reason").row(0) == (Decimal("4800.00"), "credit")


def test_no_advance_before_verification_from_2028():
    member = person(eligibility_verified=False)
    rows = homes(benchmark_monthly="500.00")
    plain = premium_tax_credit(rows, member, tax_year=2026).households.row(0, named=True)
    early = premium_tax_credit(rows, member, tax_year=2026, settings={"verified_before_advance_from": 2026})
    row = early.households.row(0, named=True)
    assert plain["advance_monthly"] == plain["monthly_credit"] > 0
    assert row["advance_monthly"] == 0
    assert row["monthly_credit"] == plain["monthly_credit"]
    with pytest.raises(NotYetPublished, match="rating/federal_poverty_guidelines"):
        credit_eligibility(member, rows, tax_year=2028)


@pytest.mark.parametrize(
    ("year", "income", "expected"),
    [
        (2020, "49960", "eligible"),
        (2020, "49961", "income_above_limit"),
        (2021, "300000", "eligible"),
        (2025, "300000", "eligible"),
        (2026, "62600", "eligible"),
        (2026, "62601", "income_above_limit"),
        (2026, "15649", "income_below_limit"),
    ],
)
def test_incomes_by_year(year, income, expected):
    assert reason(year, person(), homes(annual_income=income)) == expected


# ---- employers' offers


@pytest.mark.parametrize(
    ("year", "columns", "expected"),
    [
        # 2026: 9.96 percent of 50,000 is 4,980; the comparison is not rounded.
        (2026, {"employer_offer": "employee", "employer_self_only_annual": "4980.00"}, "affordable_offer"),
        (2026, {"employer_offer": "employee", "employer_self_only_annual": "4980.01"}, "eligible"),
        # A relative is measured by family cover since 2023, by the employee's own before.
        (
            2026,
            {"employer_offer": "relative", "employer_self_only_annual": "100", "employer_family_annual": "4980.01"},
            "eligible",
        ),
        (
            2026,
            {"employer_offer": "relative", "employer_self_only_annual": "9000", "employer_family_annual": "4980.00"},
            "affordable_offer",
        ),
        # 2022: 9.61 percent of 50,000 is 4,805.
        (
            2022,
            {"employer_offer": "relative", "employer_self_only_annual": "4805", "employer_family_annual": "20000"},
            "affordable_offer",
        ),
        (
            2023,
            {"employer_offer": "relative", "employer_self_only_annual": "4805", "employer_family_annual": "20000"},
            "eligible",
        ),
        (
            2026,
            {"employer_offer": "employee", "employer_self_only_annual": "10", "employer_minimum_value": False},
            "eligible",
        ),
    ],
)
def test_employer_offers(year, columns, expected):
    household = homes(annual_income="50000", tax_household_size=3)
    assert reason(year, person(**columns), household) == expected


def test_the_year_of_the_family_measure_is_a_setting():
    member = person(employer_offer="relative", employer_self_only_annual="100", employer_family_annual="20000")
    household = homes(annual_income="50000", tax_household_size=3)
    assert reason(2026, member, household) == "eligible"
    assert reason(2026, member, household, family_offer_from=None) == "affordable_offer"


def test_an_offer_without_its_cost_is_set_aside():
    found = credit_eligibility(person(employer_offer="employee"), homes(), tax_year=2026)
    assert found.members.is_empty()
    assert found.households.is_empty()
    assert found.findings.select("rule_id", "table", "rows").rows() == [
        ("SUB-012", "members", 1),
        ("SUB-013", "households", 1),
    ]


def test_offers_need_the_percentage_of_the_year():
    member = person(employer_offer="employee", employer_self_only_annual="100")
    with pytest.raises(NotYetPublished, match="rating/affordability_percentages of 2027"):
        credit_eligibility(member, homes(), tax_year=2027)
    assert reason(2027, person()) == "eligible"


# ---- households of persons


def test_households_are_summed_up():
    members = pl.DataFrame(
        {
            "household_id": ["a", "a", "a", "b", "z"],
            "member_id": ["1", "2", "3", "1", "1"],
            "other_coverage": ["none", "chip", "none", "medicare", "none"],
            "eligibility_verified": [True, True, False, True, True],
        }
    )
    households = pl.concat([homes(household_id=name, tax_household_size=3) for name in ("c", "b", "a")])
    settings = {"verified_before_advance_from": 2024}
    found = credit_eligibility(members, households, tax_year=2024, settings=settings)
    columns = ("household_id", "enrolled_members", "eligible_members", "advance_allowed")
    assert found.households.select(columns).rows() == [("a", 3, 2, False), ("b", 1, 0, False), ("c", 0, 0, False)]
    # A member of a household that was not handed in, and a household without members.
    assert found.findings.select("rule_id", "table", "rows").rows() == [
        ("SUB-010", "members", 1),
        ("SUB-011", "households", 1),
    ]
    assert found.counts.rows() == [("households", 3, 3, 0), ("members", 5, 4, 1)]


def test_order_of_members_changes_nothing():
    random = np.random.default_rng(4)
    members = pl.DataFrame(
        {
            "household_id": [f"{i // 3:03d}" for i in range(300)],
            "member_id": [str(i % 3) for i in range(300)],
            "other_coverage": random.choice(["none", "chip", "medicare"], 300),
            "immigration_status": random.choice(["citizen", "other_lawfully_present", "not_lawfully_present"], 300),
        }
    )
    households = pl.DataFrame({"household_id": [f"{i:03d}" for i in range(100)]}).with_columns(
        annual_income=30_000, tax_household_size=3, state=pl.lit("TX")
    )
    found = credit_eligibility(members, households, tax_year=2027)
    again = credit_eligibility(members.sample(fraction=1, shuffle=True, seed=1), households.reverse(), tax_year=2027)
    assert found.members.equals(again.members)
    assert found.households.equals(again.households)


def test_unknown_words_and_settings():
    found = credit_eligibility(person(immigration_status="martian"), homes(), tax_year=2026)
    assert ("SUB-009", 1) in found.findings.select("rule_id", "rows").rows()
    with pytest.raises(SettingRefused, match="no setting"):
        credit_eligibility(person(), homes(), tax_year=2026, settings={"tie": "plans"})
    with pytest.raises(InputRefused, match="member_id"):
        credit_eligibility(person().drop("member_id"), homes(), tax_year=2026)


# ---- cost-sharing variants


def variant(percent: int, *, year=2026, **columns) -> str:
    line = int(oracle.poverty_line(year - 1, "contiguous", 1))
    household = homes(annual_income=str(Decimal(line) * percent / 100), metal_level="silver").with_columns(
        **{name: pl.lit(value) for name, value in columns.items()}
    )
    return cost_sharing_variant(household, plan_year=year).households["csr_variant"].item()


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (99, "01"),
        (100, "06"),
        (150, "06"),
        (151, "05"),
        (200, "05"),
        (201, "04"),
        (250, "04"),
        (251, "01"),
        (401, "01"),
    ],
)
def test_variant_by_income(percent, expected):
    assert variant(percent) == expected


def test_upper_ends_are_inside_on_the_truncated_percentage():
    """150.9 percent is 150: 94; 151 is 87. The applicable percentage of 150 belongs to the next band."""
    for cents, expected in (("23615.85", "06"), ("23631.49", "06"), ("23631.50", "05")):
        row = cost_sharing_variant(homes(annual_income=cents, metal_level="silver"), plan_year=2026).households
        assert row["csr_variant"].item() == expected, cents


def test_variants_of_others():
    assert variant(120, metal_level="gold") == "01"
    assert variant(120, on_exchange=False) == "00"
    assert variant(120, is_credit_eligible=False) == "01"
    assert variant(90, is_credit_eligible=True) == "06"  # a credit that is due below 100 percent
    assert variant(300, is_tribal=True, metal_level="bronze") == "02"
    assert variant(301, is_tribal=True, metal_level="bronze") == "03"
    assert variant(900, is_tribal=True, metal_level="platinum") == "03"
    assert variant(120, is_tribal=True, metal_level="catastrophic") == "01"
    assert variant(99, is_tribal=True) == "03"


def test_variant_has_the_target_of_its_level():
    rows = pl.concat(
        [
            homes(household_id=str(i), metal_level="silver", annual_income=v)
            for i, v in enumerate((20000, 30000, 35000, 60000))
        ]
    )
    found = cost_sharing_variant(rows, plan_year=2026).households
    assert found["target_av_pct"].to_list() == [94, 87, 73, None]


def test_variants_agree_with_the_twin():
    random = np.random.default_rng(2)
    number = 4000
    percent = random.integers(0, 402, number)
    metal = random.integers(0, len(METAL_LEVELS), number)
    has_credit, tribal, on_exchange = (random.random((3, number)) < [[0.7], [0.2], [0.9]]).tolist()
    rules = VariantRules.read(Figures())
    found = rules.positions(
        percent, metal, has_credit=np.array(has_credit), is_tribal=np.array(tribal), on_exchange=np.array(on_exchange)
    )
    digits = rules.rows["hios_variant"][found].to_list()
    for i in range(number):
        expected = oracle.variant(
            int(percent[i]),
            silver=METAL_LEVELS[metal[i]] == "silver",
            has_credit=has_credit[i],
            tribal=tribal[i],
            catastrophic=METAL_LEVELS[metal[i]] == "catastrophic",
            on_exchange=on_exchange[i],
        )
        assert digits[i] == expected, (percent[i], metal[i], has_credit[i], tribal[i], on_exchange[i])


def test_variant_of_2027_needs_no_percentages():
    assert variant(120, year=2027) == "06"
    with pytest.raises(InputRefused, match="metal_level"):
        cost_sharing_variant(homes(), plan_year=2026)


# ---- Medicaid and below


def outcome(plan_year: int, **columns) -> dict:
    result = medicaid_outcome(homes(**columns), plan_year=plan_year)
    return result.households.row(0, named=True)


@pytest.mark.parametrize(
    ("state", "income", "expected"),
    [
        ("CA", "12000", "medicaid"),
        ("TX", "12000", "below_poverty"),
        ("TX", "15650", "credit"),
        ("TX", "62601", "above_limit"),
        ("WI", "15960", "medicaid"),  # to 100 percent of the guideline of 2026
        ("WI", "15961", "credit"),
        ("CA", "22024.80", "medicaid"),  # 138 percent of 15,960
        ("CA", "22024.81", "credit"),
    ],
)
def test_outcomes_of_2026(state, income, expected):
    assert outcome(2026, state=state, annual_income=income)["outcome"] == expected


def test_the_two_lines_differ_at_the_start_of_a_year():
    """22,000 dollars: 140 percent of the guideline of 2025 (credit), below 138 percent of that of 2026 (Medicaid)."""
    row = outcome(2026, state="CA", annual_income="22000")
    assert (row["income_pct_of_poverty"], row["medicaid_poverty_line"]) == (140, Decimal("15960.00"))
    assert row["outcome"] == "medicaid"
    in_autumn = outcome(2026, state="CA", annual_income="22000", application_date=dt.date(2025, 11, 20))
    assert (in_autumn["medicaid_poverty_line"], in_autumn["outcome"]) == (Decimal("15650.00"), "credit")
    result = medicaid_outcome(
        homes(state="CA", annual_income="22000"), plan_year=2026, settings={"guideline_year": 2025}
    )
    assert result.households["outcome"].item() == "credit"


def test_limits_by_date():
    for day, limit, expected in (
        (dt.date(2025, 12, 31), 215.0, "medicaid"),
        (dt.date(2026, 1, 1), 138.0, "credit"),
    ):
        row = outcome(2026, state="DC", annual_income="30000", application_date=day)
        assert (row["medicaid_limit_pct"], row["outcome"]) == (limit, expected)
    before, after = (
        outcome(2023, state="NC", annual_income="12000", application_date=dt.date(2023, month, 1)) for month in (11, 12)
    )
    assert (before["outcome"], after["outcome"]) == ("below_poverty", "medicaid")
    assert (before["medicaid_limit_pct"], before["adult_medicaid"]) == (None, False)


def test_uncertain_dates_are_listed():
    result = medicaid_outcome(homes(state="VA", annual_income="12000"), plan_year=2020)
    (line,) = result.uncertain.rows()
    assert line[0] == "rating/medicaid_adult_limits"
    assert "VA" in line[1]
    assert line[2:] == ("adult_medicaid", 1)
    assert medicaid_outcome(homes(state="CA"), plan_year=2020).uncertain.is_empty()


def test_before_the_limits_held():
    low, high = (outcome(2016, state="CA", annual_income=income) for income in ("12000", "30000"))
    assert (low["outcome"], low["adult_medicaid"]) == ("medicaid_unknown", None)
    assert (high["outcome"], high["adult_medicaid"]) == ("credit", False)


def test_refused_for_status():
    for year, expected in ((2025, "credit"), (2026, "below_poverty")):
        assert outcome(year, state="CA", annual_income="9000", refused_for_status=True)["outcome"] == expected


def test_medicaid_agrees_with_the_twin():
    random = np.random.default_rng(8)
    number = 1500
    states = random.choice(["CA", "TX", "DC", "AK", "HI", "NC", "IN", "WI", "MO", "VA"], number).tolist()
    days = [dt.date(2018, 1, 1) + dt.timedelta(days=int(d)) for d in random.integers(0, 3000, number)]
    sizes = random.integers(1, 11, number).tolist()
    lines = [
        oracle.poverty_line(day.year, oracle.REGIONS.get(state, "contiguous"), size)
        for day, state, size in zip(days, states, sizes, strict=True)
    ]
    edge = random.choice([100, 138, 139, 215], number).tolist()
    incomes = [
        Decimal(int(line * pct)) / 100 + Decimal(int(cents)) / 100
        for line, pct, cents in zip(lines, edge, random.integers(-2, 3, number), strict=True)
    ]
    frame = pl.DataFrame(
        {
            "household_id": [f"{i:05d}" for i in range(number)],
            "annual_income": [str(v) for v in incomes],
            "tax_household_size": sizes,
            "state": states,
            "application_date": days,
        }
    )
    found = medicaid_outcome(frame, plan_year=2022).households["adult_medicaid"].to_list()
    for i in range(number):
        assert found[i] == oracle.medicaid(states[i], days[i].isoformat(), Fraction(incomes[i]), lines[i]), i


def test_applications_without_a_guideline():
    with pytest.raises(NotYetPublished, match="federal_poverty_guidelines of 2027"):
        medicaid_outcome(homes(application_date=dt.date(2027, 1, 1)), plan_year=2026)
    with pytest.raises(TableMissing, match="2012"):
        medicaid_outcome(homes(application_date=dt.date(2012, 1, 1)), plan_year=2026)
    result = medicaid_outcome(homes(application_date="soon"), plan_year=2026)
    assert result.findings.select("rule_id", "rows").rows() == [("SUB-031", 1)]
