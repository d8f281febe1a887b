"""The premium tax credit: every branch by hand, the twin over random households of all years, properties, bad input."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import subsidy_oracle as oracle

from data_specs.errors import InputRefused, NotYetPublished, SettingRefused, TableMissing
from rating._contribution import Contributions, annual_contribution
from rating._credit import FILING_STATUSES, premium_tax_credit
from rating._figures import Figures
from rating._money import read_money
from rating._poverty import PovertyLines, income_percent

YEARS = range(2014, 2027)


def home(**columns) -> pl.DataFrame:
    row = {
        "household_id": "h",
        "annual_income": "30000",
        "tax_household_size": 1,
        "region": "contiguous",
        "benchmark_monthly": "500.00",
    }
    return pl.DataFrame([row | columns])


def credit(tax_year=2024, members=None, settings=None, **columns) -> dict:
    result = premium_tax_credit(home(**columns), members, tax_year=tax_year, settings=settings)
    return result.households.row(0, named=True)


def texts(row: dict, *names: str) -> list[str | None]:
    return [None if row[name] is None else str(row[name]) for name in names]


# ---- the twin


def random_homes(year: int, number: int, seed: int) -> list[dict]:
    random = np.random.default_rng([seed, year])
    homes = []
    for i in range(number):
        region = str(random.choice(["contiguous", "alaska", "hawaii"]))
        size = int(random.integers(1, 13))
        line = oracle.poverty_line(year - 1, region, size)
        # Half of the incomes stand at an edge of a band, to the cent.
        edge = int(random.choice([0, 100, 133, 150, 200, 250, 300, 400, 401]))
        income = Decimal(int(line)) * edge / 100 + Decimal(int(random.integers(-101, 102))) / 100
        if random.random() < 0.5:
            income = Decimal(int(random.integers(-500_000, 20_000_000))) / 100
        row = {
            "household_id": f"{i:05d}",
            "annual_income": str(income),
            "region": region,
            "tax_household_size": size,
            "benchmark_monthly": None
            if random.random() < 0.05
            else str(Decimal(int(random.integers(0, 300_000))) / 100),
            "premium_monthly": None if random.random() < 0.2 else str(Decimal(int(random.integers(0, 300_000))) / 100),
            "ehb_pct_premium": float(random.choice([1.0, 0.987, 0.99, 0.9955, 0.12345])),
            "other_members_benchmark_monthly": None
            if random.random() < 0.7
            else str(Decimal(int(random.integers(0, 100_000))) / 100),
            "months": int(random.choice([12, 12, int(random.integers(1, 13))])),
            "eligible_members": int(random.choice([0, 1, 2, 3], p=[0.05, 0.35, 0.3, 0.3])),
            "files_return": bool(random.random() > 0.05),
            "is_dependent": bool(random.random() < 0.05),
            "filing_status": str(random.choice(FILING_STATUSES)),
            "separate_return_excepted": bool(random.random() < 0.3),
            "has_status_exception": bool(random.random() < 0.3),
            "advance_monthly": None if random.random() < 0.5 else str(Decimal(int(random.integers(0, 80_000))) / 100),
            "advance_allowed": bool(random.random() > 0.1),
        }
        homes.append(row)
    return homes


@pytest.mark.parametrize("year", YEARS)
def test_agrees_with_the_twin(year):
    homes = random_homes(year, 60, 7)
    frame = pl.DataFrame(homes, infer_schema_length=None).sample(fraction=1, shuffle=True, seed=year)
    result = premium_tax_credit(frame, tax_year=year)
    assert result.households["household_id"].to_list() == [row["household_id"] for row in homes]
    pairs = {
        "poverty_line": "poverty_line",
        "income_pct_of_poverty": "percent",
        "annual_contribution": "annual_contribution",
        "monthly_contribution": "monthly_contribution",
        "monthly_credit": "monthly_credit",
        "annual_credit": "annual_credit",
        "advance_monthly": "advance",
        "net_premium_monthly": "net",
    }
    for row, found in zip(homes, result.households.to_dicts(), strict=True):
        expected = oracle.credit(year, {k: Fraction(v) if "monthly" in k and v else v for k, v in row.items()})
        for ours, theirs in pairs.items():
            value = found[ours]
            assert (None if value is None else Fraction(value)) == expected[theirs], (row, ours)


@pytest.mark.slow
@pytest.mark.parametrize("year", YEARS)
def test_agrees_with_the_twin_over_thousands(year):
    homes = random_homes(year, 3000, 11)
    result = premium_tax_credit(pl.DataFrame(homes, infer_schema_length=None), tax_year=year).households
    for row, found in zip(homes, result.to_dicts(), strict=True):
        expected = oracle.credit(year, {k: Fraction(v) if "monthly" in k and v else v for k, v in row.items()})
        for ours, theirs in (("monthly_credit", "monthly_credit"), ("annual_credit", "annual_credit")):
            value = found[ours]
            assert (None if value is None else Fraction(value)) == expected[theirs], row


@pytest.mark.parametrize("year", YEARS)
def test_every_percentage_agrees_with_the_twin(year):
    schedule = Contributions.of_year(Figures(), year)
    for percent, hundredths in enumerate(schedule.hundredths.tolist()):
        expected = oracle.applicable_pct(year, percent)
        assert hundredths == (-1 if expected is None else 100 * expected), percent


@pytest.mark.parametrize("year", range(2013, 2027))
def test_every_poverty_line_agrees_with_the_twin(year):
    sizes = np.arange(1, 15)
    for code, region in enumerate(("contiguous", "alaska", "hawaii")):
        found = PovertyLines.of_year(Figures(), year).dollars(np.full(len(sizes), code), sizes)
        assert found.tolist() == [oracle.poverty_line(year, region, size) for size in sizes.tolist()]


# ---- properties


@pytest.fixture(scope="module")
def many() -> pl.DataFrame:
    random = np.random.default_rng(3)
    number = 20_000
    return pl.DataFrame(
        {
            "household_id": [f"{i:05d}" for i in range(number)],
            "annual_income": random.integers(0, 150_000, number),
            "tax_household_size": random.integers(1, 9, number),
            "state": random.choice(["TX", "AK", "HI", "DC"], number),
            "benchmark_monthly": random.integers(0, 250_000, number) / 100,
            "premium_monthly": random.integers(0, 250_000, number) / 100,
            "ehb_pct_premium": random.choice([1.0, 0.99, 0.9], number),
        }
    )


@pytest.mark.parametrize("year", [2014, 2020, 2022, 2025, 2026])
def test_credit_is_within_premium_and_benchmark(many, year):
    found = premium_tax_credit(many, tax_year=year).households
    credit_, premium = pl.col("monthly_credit"), pl.col("premium_monthly")
    assert found.filter((credit_ > premium) | (credit_ > pl.col("benchmark_monthly")) | (credit_ < 0)).is_empty()
    assert found.filter(pl.col("net_premium_monthly") < 0).is_empty()
    assert found.filter(pl.col("annual_credit") > 12 * premium).is_empty()
    assert found.filter(pl.col("annual_credit") > 12 * pl.col("benchmark_monthly")).is_empty()
    # What is not for essential health benefits is always paid by the enrollee.
    other = premium - pl.col("ehb_premium_monthly")
    assert found.filter(pl.col("net_premium_monthly") < other).is_empty()


@pytest.mark.parametrize("year", [2019, 2023, 2026])
def test_more_income_never_a_larger_credit_from_the_poverty_line_on(year):
    line = int(oracle.poverty_line(year - 1, "contiguous", 2))
    incomes = np.arange(line, 5 * line, 37)
    homes = pl.DataFrame({"annual_income": incomes}).with_columns(
        household_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(6),
        tax_household_size=2,
        state=pl.lit("TX"),
        benchmark_monthly=pl.lit("1400.00"),
        premium_monthly=pl.lit("900.00"),
    )
    found = premium_tax_credit(homes, tax_year=year).households
    assert (found["annual_contribution"].diff().drop_nulls() >= 0).all()
    assert (found["annual_credit"].diff().drop_nulls() <= 0).all()
    assert (found["monthly_credit"].diff().drop_nulls() <= 0).all()
    at_top = found["annual_credit"][-1]
    assert (at_top == 0) == (year != 2023)


def test_a_larger_household_never_has_a_smaller_credit():
    homes = pl.DataFrame({"tax_household_size": range(1, 20)}).with_columns(
        household_id=pl.col("tax_household_size").cast(pl.String).str.zfill(2),
        annual_income=45_000,
        state=pl.lit("TX"),
        benchmark_monthly=pl.lit("700.00"),
    )
    # Until the income falls below the poverty line of the size.
    found = premium_tax_credit(homes, tax_year=2026).households.filter(pl.col("income_pct_of_poverty") >= 100)
    assert found.height == 6
    assert (found["annual_credit"].diff().drop_nulls() >= 0).all()


def test_same_bytes_for_any_order_and_one_by_one(many):
    whole = premium_tax_credit(many.head(500), tax_year=2026).households
    shuffled = premium_tax_credit(many.head(500).sample(fraction=1, shuffle=True, seed=5), tax_year=2026).households
    assert whole.equals(shuffled)
    single = [premium_tax_credit(many[i], tax_year=2026).households for i in range(8)]
    assert pl.concat(single).equals(whole.head(8))
    assert premium_tax_credit(many.head(500).lazy(), tax_year=2026).households.equals(whole)


# ---- income and poverty line


@pytest.mark.parametrize(
    ("income", "line", "percent"),
    [
        ("45458.56", 15650, 290),
        ("15649.99", 15650, 99),
        ("15650.00", 15650, 100),
        ("62600.00", 15650, 400),
        ("62600.01", 15650, 401),
        ("80128.00", 15650, 401),
        ("-5000.00", 15650, 0),
    ],
)
def test_percentage_is_cut_off_and_401_above_400(income, line, percent):
    cents = np.array([int(Decimal(income) * 100)])
    assert income_percent(cents, np.array([line])).tolist() == [percent]


def test_sizes_are_looked_up_in_the_uneven_year():
    """Guideline of 2016: 36,730 for seven and 40,890 for eight, each further person 4,160."""
    lines = PovertyLines.of_year(Figures(), 2016)
    assert lines.dollars(np.zeros(4, int), np.array([1, 7, 8, 10])).tolist() == [11_880, 36_730, 40_890, 49_210]


def test_cliff_of_2026():
    """62,601 dollars: 8.50 percent in 2025, no credit in 2026."""
    before, after = (credit(year, annual_income="62601", benchmark_monthly="600") for year in (2025, 2026))
    assert texts(before, "annual_credit", "applicable_pct", "reason") == ["1879.00", "8.50", "credit"]
    assert texts(after, "annual_credit", "applicable_pct", "reason") == ["0.00", None, "income_above_limit"]
    assert texts(after, "annual_contribution", "monthly_contribution") == [None, None]


@pytest.mark.slow
def test_above_the_limit_there_is_no_percentage_not_zero():
    for year in YEARS:
        row = credit(year, annual_income="900000", benchmark_monthly="9999")
        assert (row["applicable_pct"] is None) == (not 2021 <= year <= 2025)
        assert (row["annual_credit"] > 0) == (2021 <= year <= 2025)


def test_negative_income_is_zero_and_counted():
    result = premium_tax_credit(home(annual_income="-12000"), tax_year=2024)
    assert result.households["income_pct_of_poverty"].item() == 0
    assert result.households["reason"].item() == "income_below_limit"
    assert ("SUB-005", 1) in result.findings.select("rule_id", "rows").rows()


# ---- plan, benchmark, months


def test_credit_larger_than_the_plan_premium():
    """205 percent in 2024: 660 a year, 55 a month. 500 - 55 = 445, the plan costs 300."""
    row = credit(premium_monthly="300.00")
    assert texts(row, "credit_before_plan_monthly", "monthly_credit", "annual_credit", "net_premium_monthly") == [
        "445.00",
        "300.00",
        "3600.00",
        "0.00",
    ]


def test_contribution_larger_than_the_benchmark():
    row = credit(benchmark_monthly="54.99", premium_monthly="300.00")
    assert texts(row, "monthly_credit", "net_premium_monthly", "reason") == [
        "0.00",
        "300.00",
        "contribution_covers_benchmark",
    ]
    # 12 x 55.01 = 660.12 is above 660 although the month is not above 55 by much.
    assert texts(credit(benchmark_monthly="55.01"), "monthly_credit", "annual_credit") == ["0.01", "0.12"]


def test_no_plan_does_not_limit():
    row = credit()
    assert texts(row, "monthly_credit", "annual_credit", "net_premium_monthly", "ehb_premium_monthly") == [
        "445.00",
        "5340.00",
        None,
        None,
    ]


def test_ehb_share_limits_credit_and_leaves_a_net_premium():
    """98.7 percent of 500.00 is 493.50; a plan of 300.00 with 99 percent still costs 3.00."""
    row = credit(premium_monthly="500.00", ehb_pct_premium=0.987, benchmark_monthly="700.00")
    assert texts(row, "ehb_premium_monthly", "monthly_credit", "net_premium_monthly") == ["493.50", "493.50", "6.50"]
    row = credit(premium_monthly="300.00", ehb_pct_premium=0.99)
    assert texts(row, "monthly_credit", "net_premium_monthly") == ["297.00", "3.00"]


def test_fewer_months_use_the_rounded_monthly_contribution():
    """2025, Alaska, two, 90,000: 352 percent, 7.30 percent = 6,570; a month 547.50, rounded to 548."""
    whole = credit(2025, annual_income="90000", tax_household_size=2, region="alaska", benchmark_monthly="1620")
    part = credit(
        2025, annual_income="90000", tax_household_size=2, region="alaska", benchmark_monthly="1620", months=6
    )
    assert texts(whole, "annual_credit", "annual_basis") == ["12870.00", "annual"]
    assert texts(part, "annual_credit", "annual_basis", "monthly_credit") == ["6432.00", "monthly", "1072.00"]


def test_missing_benchmark_leaves_the_credit_open():
    result = premium_tax_credit(home(benchmark_monthly=None, premium_monthly="300"), tax_year=2024)
    row = result.households.row(0, named=True)
    names = ("monthly_credit", "annual_credit", "advance_monthly", "net_premium_monthly", "benchmark_monthly")
    assert [row[name] for name in names] == [None] * 5
    assert row["reason"] == "no_benchmark"
    assert ("SUB-020", 1) in result.findings.select("rule_id", "rows").rows()
    # Who cannot have a credit needs no benchmark.
    assert texts(credit(benchmark_monthly=None, files_return=False), "monthly_credit") == ["0.00"]


def test_advance_is_at_most_the_credit():
    row = credit(premium_monthly="600", advance_monthly="200")
    assert texts(row, "advance_monthly", "net_premium_monthly") == ["200.00", "400.00"]
    result = premium_tax_credit(home(premium_monthly="600", advance_monthly="999"), tax_year=2024)
    assert texts(result.households.row(0, named=True), "advance_monthly", "net_premium_monthly") == ["445.00", "155.00"]
    assert ("SUB-021", 1) in result.findings.select("rule_id", "rows").rows()


# ---- tax return


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"files_return": False}, "no_tax_return"),
        ({"is_dependent": True}, "dependent_of_another"),
        ({"filing_status": "separate"}, "separate_return"),
        ({"eligible_members": 0}, "no_eligible_member"),
        ({"annual_income": "14000"}, "income_below_limit"),
    ],
)
def test_who_has_no_credit(columns, reason):
    row = credit(**columns)
    assert texts(row, "monthly_credit", "annual_credit", "reason") == ["0.00", "0.00", reason]


@pytest.mark.parametrize("status", FILING_STATUSES)
def test_filing_statuses(status):
    excepted = credit(filing_status=status, separate_return_excepted=True)
    assert texts(excepted, "reason") == ["credit"]


def test_status_exception_ends_in_2025():
    for year, reason in ((2024, "credit"), (2025, "credit"), (2026, "income_below_limit")):
        assert credit(year, annual_income="9000", has_status_exception=True)["reason"] == reason


def test_filing_bars_come_before_income():
    assert credit(annual_income="900000", tax_year=2026, files_return=False)["reason"] == "no_tax_return"


# ---- mixed families


def test_mixed_family_is_apportioned():
    """600 for the policy; the eligible members' benchmark is 400 of 400 + 200: 400 of the premium is theirs."""
    row = credit(benchmark_monthly="400", other_members_benchmark_monthly="200", premium_monthly="600")
    assert texts(row, "premium_counted_monthly", "monthly_credit", "net_premium_monthly") == [
        "400.00",
        "345.00",
        "255.00",
    ]
    row = credit(benchmark_monthly="400", other_members_benchmark_monthly="200", premium_monthly="450.05")
    # 450.05 x 400 / 600 = 300.0333
    assert texts(row, "premium_counted_monthly", "monthly_credit") == ["300.03", "300.03"]


def test_members_decide_who_counts():
    members = pl.DataFrame(
        {"household_id": ["h", "h"], "member_id": ["1", "2"], "other_coverage": ["medicare", "medicaid"]}
    )
    result = premium_tax_credit(home(), members, tax_year=2024)
    assert result.households["reason"].item() == "no_eligible_member"
    assert result.members["reason"].to_list() == ["other_coverage"] * 2
    assert result.counts.rows() == [("households", 1, 1, 0), ("members", 2, 2, 0)]


# ---- bad input


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"household_id": None}, "SUB-001"),
        ({"annual_income": None}, "SUB-002"),
        ({"annual_income": "about 30,000"}, "SUB-002"),
        ({"annual_income": float("inf")}, "SUB-002"),
        ({"annual_income": float("nan")}, "SUB-002"),
        ({"tax_household_size": 0}, "SUB-003"),
        ({"tax_household_size": 1.5}, "SUB-003"),
        ({"tax_household_size": None}, "SUB-003"),
        ({"region": "puerto rico"}, "SUB-004"),
        ({"benchmark_monthly": "-1"}, "SUB-006"),
        ({"premium_monthly": "-0.01"}, "SUB-006"),
        ({"premium_monthly": 1e12}, "SUB-006"),
        ({"ehb_pct_premium": 98.7}, "SUB-007"),
        ({"months": 13}, "SUB-008"),
        ({"filing_status": "divorced"}, "SUB-009"),
    ],
)
def test_bad_rows_are_set_aside_and_counted(columns, rule):
    bad = home(**columns).with_columns(pl.lit("bad").alias("note"))
    frame = pl.concat([home(household_id="good"), bad], how="diagonal_relaxed")
    result = premium_tax_credit(frame, tax_year=2024)
    assert result.households["household_id"].to_list() == ["good"]
    assert result.findings.select("rule_id", "rows").rows() == [(rule, 1)]
    assert result.counts.rows() == [("households", 2, 1, 1)]
    assert result.refused["households"].select("note", "rule_id").rows() == [("bad", rule)]


def test_double_households_are_all_set_aside():
    frame = pl.concat([home(), home(), home(household_id="other")])
    result = premium_tax_credit(frame, tax_year=2024)
    assert result.households["household_id"].to_list() == ["other"]
    assert result.counts.rows() == [("households", 3, 1, 2)]


def test_empty_frame_gives_an_empty_result():
    result = premium_tax_credit(home().clear(), tax_year=2024)
    assert result.households.height == 0
    assert result.households.schema == premium_tax_credit(home(), tax_year=2024).households.schema


@pytest.mark.parametrize("column", ["household_id", "annual_income", "tax_household_size", "region"])
def test_missing_column_is_named(column):
    with pytest.raises(InputRefused, match="region|state" if column == "region" else column):
        premium_tax_credit(home().drop(column), tax_year=2024)


def test_columns_of_a_wrong_type():
    for column, values in (
        ("household_id", [1]),
        ("annual_income", [True]),
        ("tax_household_size", ["1"]),
        ("files_return", ["yes"]),
    ):
        frame = home().with_columns(pl.Series(column, values))
        with pytest.raises(InputRefused, match=column):
            premium_tax_credit(frame, tax_year=2024)
    with pytest.raises(InputRefused, match="list"):
        premium_tax_credit([1], tax_year=2024)


def test_years_without_figures():
    with pytest.raises(NotYetPublished, match="rating/ptc_applicable_percentages of 2027"):
        premium_tax_credit(home(), tax_year=2027)
    with pytest.raises(NotYetPublished, match="2028"):
        premium_tax_credit(home(), tax_year=2028)
    with pytest.raises(TableMissing, match="2013"):
        premium_tax_credit(home(), tax_year=2013)
    with pytest.raises(SettingRefused, match="tax_year"):
        premium_tax_credit(home(), tax_year="2024")


@pytest.mark.parametrize(
    "settings", [{"tie": "plans"}, {"family_offer_from": "2023"}, {"family_offer_from": True}, [1]]
)
def test_settings_that_do_not_exist(settings):
    with pytest.raises(SettingRefused):
        premium_tax_credit(home(), tax_year=2024, settings=settings)


def test_uncertain_percentages_are_listed():
    """The lower bands of 2015 and 2017 rest on general knowledge; those of 2024 were read."""
    result = premium_tax_credit(home(), tax_year=2015)
    (line,) = result.uncertain.rows()
    assert line[0] == "rating/ptc_applicable_percentages"
    assert "fpl_pct_from 250" in line[1]
    assert line[2:] == ("applicable_pct", 1)
    assert premium_tax_credit(home(), tax_year=2024).uncertain.is_empty()
    high = premium_tax_credit(home(annual_income="46000"), tax_year=2015)
    assert high.uncertain.is_empty()


def test_settings_are_shown():
    shown = premium_tax_credit(home(), tax_year=2024, settings={"family_offer_from": None}).settings
    rows = {row["setting"]: (row["value"], row["source"]) for row in shown.to_dicts()}
    assert rows["family_offer_from"] == ("None", "given")
    assert rows["narrower_lawful_status_from"] == ("2027", "default")


# ---- amounts as they are written


@pytest.mark.parametrize(
    ("values", "cents"),
    [
        (["1.005", "-2.675", "12", " 3.1 "], [101, -268, 1200, 310]),
        ([1.005, -2.675, 0.1, 1e9], [101, -268, 10, 10**11]),
        ([Decimal("1.005"), Decimal("-2.675")], [101, -268]),
        ([7, -7], [700, -700]),
    ],
)
def test_amounts_are_read_by_their_decimals(values, cents):
    assert read_money(pl.DataFrame({"usd": values}), "t", "usd").cents.tolist() == cents


@pytest.mark.slow
def test_floats_text_and_decimals_mean_the_same_amount():
    random = np.random.default_rng(9)
    floats = [round(x, 3) for x in (random.random(5000) * 10.0 ** random.integers(0, 10, 5000)).tolist()]
    expected = [int(oracle.cents(Decimal(repr(x))) * 100) for x in floats]
    for series in (
        pl.Series(floats),
        pl.Series([f"{x:.3f}" for x in floats]),
        pl.Series([Decimal(repr(x)) for x in floats]),
    ):
        assert read_money(pl.DataFrame({"usd": series}), "t", "usd").cents.tolist() == expected


def test_contribution_is_rounded_half_up_to_dollars():
    """5,000 cents short of a half: 2.10 percent of 15,690.48 is 329.50008; of 15,690.47 it is 329.49987."""
    schedule = Contributions.of_year(Figures(), 2026)
    income = np.array([1_569_048, 1_569_047])
    _, _, annual = annual_contribution(income, np.array([15650, 15650]), schedule)
    assert annual.tolist() == [330, 329]
