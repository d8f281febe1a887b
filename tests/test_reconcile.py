"""Reconciliation: months and annual totals, caps of every year, shared policies, notices; the twin and properties."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import subsidy_oracle as oracle

from data_specs.errors import InputRefused, NotYetPublished, SettingRefused, TableMissing
from rating._figures import Figures
from rating._reconcile import reconcile
from rating._repayment import RepaymentRules

YEARS = range(2014, 2027)


def tax_return(**columns) -> pl.DataFrame:
    row = {
        "household_id": "h",
        "annual_income": "30000",
        "tax_household_size": 1,
        "region": "contiguous",
        "filing": "single",
    }
    return pl.DataFrame([row | columns])


def statements(premium="420", benchmark="455", advance="300", months=range(1, 13), **columns) -> pl.DataFrame:
    frame = pl.DataFrame({"month": list(months)}).with_columns(
        household_id=pl.lit("h"),
        premium_monthly=pl.lit(premium, pl.String),
        benchmark_monthly=pl.lit(benchmark, pl.String),
        advance_monthly=pl.lit(advance, pl.String),
    )
    return frame.with_columns(**{n: pl.Series(v) if isinstance(v, list) else pl.lit(v) for n, v in columns.items()})


def settle(returns, months=None, *, tax_year=2024, **options) -> dict:
    return reconcile(returns, months, tax_year=tax_year, **options).households.row(0, named=True)


def usd(row: dict, *names: str) -> list[str | None]:
    return [None if row[name] is None else str(row[name]) for name in names]


def fired(result) -> dict[str, int]:
    return dict(result.findings.select("rule_id", "rows").rows())


# ---- the twin


def random_year(year: int, number: int, seed: int) -> tuple[list[dict], list[list[dict]]]:
    random = np.random.default_rng([seed, year])
    homes, covers = [], []
    for i in range(number):
        region = str(random.choice(["contiguous", "alaska", "hawaii"]))
        size = int(random.integers(1, 11))
        line = int(oracle.poverty_line(year - 1, region, size))
        edge = float(random.choice([0.5, 1, 1.5, 2, 3, 4, random.uniform(0, 6)]))
        income = Decimal(round(line * edge)) + Decimal(int(random.integers(-2, 3))) / 2
        homes.append(
            {
                "household_id": f"{i:05d}",
                "annual_income": str(income),
                "tax_household_size": size,
                "region": region,
                "filing": str(random.choice(["single", "other"])),
            }
        )
        months = 12 if random.random() < 0.7 else int(random.integers(1, 13))
        base = [int(v) for v in random.integers(0, 120_000, 3)]
        changes = int(random.integers(1, 13)) if random.random() < 0.5 else 13
        cover = []
        for month in range(1, months + 1):
            later = 7_777 if month >= changes else 0
            cover.append(
                {
                    "month": month,
                    "premium": None if i % 11 == 0 else Fraction(base[0] + later, 100),
                    "benchmark": Fraction(base[1] + later, 100),
                    "advance": Fraction(base[2] if random.random() < 0.9 else 0, 100),
                    "is_eligible": bool(random.random() > 0.02),
                    "ehb": float(random.choice([1.0, 0.98])) if i % 5 == 0 else 1.0,
                }
            )
        covers.append(cover)
    return homes, covers


def as_text(amount: Fraction | None) -> str | None:
    return None if amount is None else str(Decimal(amount.numerator) / Decimal(amount.denominator))


def month_frame(homes: list[dict], covers: list[list[dict]]) -> pl.DataFrame:
    lines = [
        {
            "household_id": home["household_id"],
            "month": m["month"],
            "premium_monthly": as_text(m["premium"]),
            "benchmark_monthly": as_text(m["benchmark"]),
            "advance_monthly": as_text(m["advance"]),
            "is_eligible": m["is_eligible"],
            "ehb_pct_premium": m["ehb"],
        }
        for home, cover in zip(homes, covers, strict=True)
        for m in cover
    ]
    return pl.DataFrame(lines, infer_schema_length=None)


@pytest.mark.parametrize("year", YEARS)
def test_agrees_with_the_twin(year):
    homes, covers = random_year(year, 20, 5)
    returns, months = pl.DataFrame(homes), month_frame(homes, covers)
    result = reconcile(
        returns.sample(fraction=1, shuffle=True, seed=1), months.sample(fraction=1, shuffle=True, seed=2), tax_year=year
    )
    for home, cover, row in zip(homes, covers, result.households.to_dicts(), strict=True):
        expected = oracle.reconcile(year, home, cover)
        assert row["income_pct_of_poverty"] == expected["percent"]
        found = {"credit": row["annual_credit"], "net": row["net_credit"], "repayment": row["repayment"]}
        assert {k: Fraction(v) for k, v in found.items()} == {k: expected[k] for k in found}, (home, cover)
    effects = result.notices.group_by("household_id").agg(pl.col("effect").sum())
    both = result.households.join(effects, on="household_id", how="left").with_columns(pl.col("effect").fill_null(0))
    assert both.filter(pl.col("effect") != pl.col("net_credit") - pl.col("repayment")).is_empty()
    again = reconcile(returns, months, tax_year=year)
    assert again.households.equals(result.households)
    assert again.months.equals(result.months)
    assert again.notices.equals(result.notices)


@pytest.mark.slow
@pytest.mark.parametrize("year", YEARS)
def test_agrees_with_the_twin_over_thousands(year):
    homes, covers = random_year(year, 2500, 6)
    rows = reconcile(pl.DataFrame(homes), month_frame(homes, covers), tax_year=year).households.to_dicts()
    for home, cover, row in zip(homes, covers, rows, strict=True):
        expected = oracle.reconcile(year, home, cover)
        found = (row["annual_credit"], row["net_credit"], row["repayment"])
        assert tuple(map(Fraction, found)) == (expected["credit"], expected["net"], expected["repayment"]), home


@pytest.mark.parametrize("year", range(2014, 2028))
def test_every_cap_agrees_with_the_twin(year):
    rules = RepaymentRules.of_year(Figures(), year)
    for code, filing in enumerate(("single", "other")):
        for percent in range(402):
            cap, waived = oracle.repayment_cap(year, percent, filing)
            assert rules.cap_cents[code, percent] == (-1 if cap is None else 100 * cap)
            assert rules.is_waived == waived == (year == 2020)


# ---- months


def test_months_and_totals_of_the_year():
    """205 percent, 660 a year: alike months count as a whole, min(5040, 5460 - 660) = 4800."""
    result = reconcile(tax_return(), statements(), tax_year=2024)
    row = result.households.row(0, named=True)
    names = ("annual_premium", "annual_benchmark", "annual_advance", "annual_credit", "net_credit", "repayment")
    assert usd(row, *names) == ["5040.00", "5460.00", "3600.00", "4800.00", "1200.00", "0.00"]
    assert (row["basis"], row["repayment_reason"], row["repayment_cap"]) == ("annual", "no_excess", None)
    assert result.months.height == 12
    assert result.months["credit"].null_count() == 12
    totals = tax_return(annual_premium="5040", annual_benchmark="5460", annual_advance="3600")
    assert usd(settle(totals), *names) == usd(row, *names)


def test_part_of_a_year_counts_by_month():
    result = reconcile(tax_return(), statements(months=range(3, 8)), tax_year=2024)
    row = result.households.row(0, named=True)
    assert usd(row, "annual_credit", "net_credit") == ["2000.00", "500.00"]
    assert row["basis"] == "monthly"
    months = result.months.select("month", "contribution", "credit").rows()
    assert months == [(m, Decimal("55.00"), Decimal("400.00")) for m in range(3, 8)]


def test_the_monthly_rounding_can_pay_more_than_the_year():
    """2025, Alaska, two, 90,000 dollars: 6,570 a year, 547.50 a month rounded to 548."""
    home = tax_return(annual_income="90000", tax_household_size=2, region="alaska", filing="other")
    cover = statements("1500", "1620", "1000")
    whole = settle(home, cover, tax_year=2025)
    parted = settle(home, cover.with_columns(premium_monthly=pl.Series(["1500"] * 11 + ["1500.01"])), tax_year=2025)
    assert usd(whole, "annual_credit") == ["12870.00"]
    assert usd(parted, "annual_credit") == ["12864.00"]


@pytest.mark.slow
def test_several_policies_of_one_household():
    """Two policies of one family in two places: premiums, benchmarks and advances add up."""
    both = pl.concat([statements("200", "250", "100", policy_id="1"), statements("220", "205", "200", policy_id="2")])
    row = settle(tax_return(), both)
    assert usd(row, "annual_premium", "annual_benchmark", "annual_credit") == ["5040.00", "5460.00", "4800.00"]
    assert row["basis"] == "annual"
    # The same benchmark of the whole family on each statement counts once, if the caller says so.
    repeated = pl.concat(
        [statements("200", "455", "100", policy_id="1"), statements("220", "455", "200", policy_id="2")]
    )
    assert usd(settle(tax_return(), repeated), "annual_benchmark") == ["10920.00"]
    once = settle(tax_return(), repeated, settings={"several_benchmarks": "same_on_each"})
    assert usd(once, "annual_benchmark", "annual_credit") == ["5460.00", "4800.00"]
    # A blank beside another statement's benchmark adds nothing.
    blank = pl.concat([statements("200", None, "100", policy_id="1"), statements("220", "455", "200", policy_id="2")])
    assert usd(settle(tax_return(), blank), "annual_credit") == ["4800.00"]


def test_statements_that_contradict_each_other():
    both = pl.concat([statements("200", "455", "100", policy_id="1"), statements("220", "456", "200", policy_id="2")])
    result = reconcile(tax_return(), both, tax_year=2024, settings={"several_benchmarks": "same_on_each"})
    row = result.households.row(0, named=True)
    assert (row["annual_credit"], row["reason"]) == (None, "no_benchmark")
    assert fired(result) == {"SUB-060": 12, "SUB-020": 1}


@pytest.mark.slow
def test_amounts_that_are_not_known():
    result = reconcile(tax_return(), statements(advance=None), tax_year=2024)
    row = result.households.row(0, named=True)
    assert usd(row, "annual_credit", "annual_advance", "net_credit", "repayment") == ["4800.00", None, None, None]
    assert row["repayment_reason"] is None
    assert fired(result) == {"SUB-062": 1}
    # Without the premium of the plan nothing limits the credit.
    assert usd(settle(tax_return(), statements(premium=None)), "annual_credit", "annual_premium") == ["4800.00", None]
    unknown = reconcile(tax_return(), statements(benchmark=None), tax_year=2024)
    assert unknown.households.select("annual_credit", "reason").row(0) == (None, "no_benchmark")
    nothing = reconcile(tax_return(), tax_year=2024)
    assert nothing.households.select("annual_credit", "net_credit", "reason").row(0) == (None, None, "no_benchmark")
    assert fired(nothing) == {"SUB-061": 1, "SUB-062": 1}


def test_months_of_nobody_eligible():
    row = settle(tax_return(), statements(is_eligible=False))
    assert usd(row, "annual_credit", "repayment", "repayment_cap") == ["0.00", "950.00", "950.00"]
    assert row["reason"] == "no_eligible_member"


# ---- repayment


@pytest.mark.parametrize(
    ("year", "income", "filing", "repayment", "why"),
    [
        (2014, "22979", "single", "300.00", "capped"),  # 199 percent of 11,490
        (2014, "22980", "single", "750.00", "capped"),  # 200
        (2016, "40000", "other", "2550.00", "capped"),  # 339 percent of 11,770
        (2021, "30000", "single", "800.00", "capped"),  # 235
        (2023, "30000", "other", "1800.00", "capped"),  # 220
        (2025, "59000", "single", "1625.00", "capped"),  # 391
        (2025, "60240", "single", "9000.00", "no_cap_at_income"),  # 400
        (2020, "30000", "single", "0.00", "waived"),
        (2020, "99999", "single", "0.00", "waived"),
        (2026, "20000", "single", "9000.00", "no_cap_in_year"),
        (2026, "99999", "other", "9000.00", "no_cap_in_year"),
    ],
)
def test_repayment_by_year_income_and_filing(year, income, filing, repayment, why):
    """An excess of 9,000: the credit is the premium, 0, and 9,000 was paid in advance."""
    home = tax_return(
        annual_income=income, filing=filing, annual_premium="0", annual_benchmark="9000", annual_advance="9000"
    )
    row = settle(home, tax_year=year)
    assert usd(row, "excess_advance", "repayment") == ["9000.00", repayment]
    assert row["repayment_reason"] == why
    assert row["not_repaid"] == row["excess_advance"] - row["repayment"]


@pytest.mark.parametrize(
    ("status", "cap"),
    [
        ("single", "950.00"),
        ("head_of_household", "1900.00"),
        ("surviving_spouse", "1900.00"),
        ("joint", "1900.00"),
        ("separate", "1900.00"),
    ],
)
def test_caps_by_filing_status(status, cap):
    home = tax_return(filing_status=status, annual_premium="0", annual_benchmark="9000", annual_advance="9000")
    assert usd(settle(home.drop("filing")), "repayment_cap") == [cap]


def test_income_below_poverty_with_and_without_an_advance():
    columns = {"annual_income": "9000", "annual_premium": "4800", "annual_benchmark": "4800"}
    paid = settle(tax_return(annual_advance="4000", **columns))
    unpaid = settle(tax_return(annual_advance="0", **columns))
    assert usd(paid, "annual_credit", "net_credit") == ["4800.00", "800.00"]
    assert (usd(unpaid, "annual_credit"), unpaid["reason"]) == (["0.00"], "income_below_limit")
    excepted = settle(tax_return(annual_advance="0", has_status_exception=True, **columns))
    assert usd(excepted, "annual_credit") == ["4800.00"]
    assert usd(
        settle(tax_return(annual_advance="0", has_status_exception=True, **columns), tax_year=2026), "annual_credit"
    ) == ["0.00"]


@pytest.mark.slow
def test_uncertain_caps_are_listed_where_they_decided():
    home = tax_return(annual_premium="0", annual_benchmark="9000", annual_advance="9000")
    (line,) = reconcile(home, tax_year=2018).uncertain.rows()
    assert line[0] == "rating/ptc_repayment_caps"
    assert "fpl_pct_from 200" in line[1]
    assert line[2:] == ("repayment", 1)
    no_excess = tax_return(annual_premium="9000", annual_benchmark="9000", annual_advance="10")
    assert reconcile(no_excess, tax_year=2018).uncertain.is_empty()
    assert reconcile(home, tax_year=2024).uncertain.is_empty()


@pytest.mark.parametrize("year", [2014, 2019, 2020, 2022, 2025, 2026])
def test_properties(year):
    random = np.random.default_rng(year)
    number = 5000
    returns = pl.DataFrame(
        {
            "household_id": [f"{i:05d}" for i in range(number)],
            "annual_income": random.integers(0, 120_000, number),
            "tax_household_size": random.integers(1, 7, number),
            "filing": random.choice(["single", "other"], number),
            "annual_premium": random.integers(0, 2_000_000, number) / 100,
            "annual_benchmark": random.integers(0, 2_000_000, number) / 100,
            "annual_advance": random.integers(0, 2_000_000, number) / 100,
        }
    ).with_columns(state=pl.lit("TX"))
    found = reconcile(returns, tax_year=year).households
    credit, advance = pl.col("annual_credit"), pl.col("annual_advance")
    assert found.filter((credit > pl.col("annual_premium")) | (credit > pl.col("annual_benchmark"))).is_empty()
    assert found.filter((pl.col("net_credit") > 0) & (pl.col("excess_advance") > 0)).is_empty()
    assert found.filter(pl.col("net_credit") - pl.col("excess_advance") != credit - advance).is_empty()
    assert found.filter((pl.col("repayment") > pl.col("excess_advance")) | (pl.col("repayment") < 0)).is_empty()
    assert found.filter(pl.col("repayment") > pl.col("repayment_cap")).is_empty()
    forgiven = found.filter(pl.col("not_repaid") > 0)
    assert forgiven.is_empty() == (year == 2026)
    # More advance never means a larger payment or a smaller repayment.
    more = reconcile(returns.with_columns(annual_advance=pl.col("annual_advance") + 500), tax_year=year).households
    below = pl.col("income_pct_of_poverty") < 100  # there an advance decides whether a credit is due
    a, b = found.filter(~below), more.filter(~below)
    assert (b["repayment"] >= a["repayment"]).all()
    assert (b["net_credit"] <= a["net_credit"]).all()


# ---- shared policies


def test_shared_policy_is_divided():
    """Parents and a grown child who files alone: 70 and 30 percent of premium, benchmark and advance alike."""
    returns = pl.concat([tax_return(household_id="p", filing="other"), tax_return(household_id="c")])
    cover = statements("1000", "900", "500", policy_id="X").with_columns(household_id=pl.lit(None, pl.String))
    shares = pl.DataFrame({"policy_id": ["X", "X"], "household_id": ["p", "c"], "allocation_share": [0.7, 0.3]})
    result = reconcile(returns, cover, tax_year=2024, allocations=shares)
    names = ("annual_premium", "annual_benchmark", "annual_advance")
    found = {row["household_id"]: usd(row, *names) for row in result.households.to_dicts()}
    assert found == {"c": ["3600.00", "3240.00", "1800.00"], "p": ["8400.00", "7560.00", "4200.00"]}
    assert result.counts.rows() == [("allocations", 2, 2, 0), ("months", 12, 12, 0), ("returns", 2, 2, 0)]


def test_shared_for_some_months_only():
    returns = pl.concat([tax_return(), tax_return(household_id="c")])
    cover = statements("1000", "900", "500", policy_id="X")
    shares = pl.DataFrame(
        {"policy_id": ["X", "X"], "household_id": ["h", "c"], "allocation_share": [0.5, 0.5]}
    ).with_columns(first_month=pl.lit(10), last_month=pl.lit(12))
    result = reconcile(returns, cover, tax_year=2024, allocations=shares)
    assert dict(result.households.select("household_id", "annual_premium").rows()) == {
        "c": Decimal("1500.00"),
        "h": Decimal("10500.00"),
    }
    assert result.months.group_by("household_id").len().sort("household_id").rows() == [("c", 3), ("h", 12)]


def test_thirds_are_each_rounded_to_the_cent():
    returns = pl.concat([tax_return(household_id=name) for name in "abc"])
    cover = statements("100.00", "100.00", "0", months=[1], policy_id="X")
    shares = pl.DataFrame({"policy_id": ["X"] * 3, "household_id": list("abc"), "allocation_share": [1 / 3] * 3})
    found = reconcile(returns, cover, tax_year=2024, allocations=shares).households["annual_premium"].to_list()
    assert found == [Decimal("33.33")] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"allocation_share": [0.7, 0.31]},
        {"allocation_share": [0.7, None]},
        {"allocation_share": [70.0, 30.0]},
        {"household_id": ["p", "p"]},
        {"first_month": [5, 13]},
    ],
)
def test_allocations_that_cannot_be_used(change):
    shares = {"policy_id": ["X", "X"], "household_id": ["p", "c"], "allocation_share": [0.7, 0.3]} | change
    with pytest.raises(InputRefused, match="allocations"):
        reconcile(tax_return(), statements(policy_id="X"), tax_year=2024, allocations=pl.DataFrame(shares))


# ---- notices


def test_notice_says_what_changed_by_how_much_and_why():
    """2024: estimated 24,000 (164 percent, 0.56: 134), in fact 30,000 (205, 2.20: 660); 4,800 were paid.

    On the estimate min(5040, 5460 - 134) = 5040; credit 4,800; the advance was 5,040.
    """
    home = tax_return(estimated_income="24000", annual_premium="5040", annual_benchmark="5460", annual_advance="5040")
    result = reconcile(home, tax_year=2024)
    lines = result.notices.to_dicts()
    assert [line["item"] for line in lines] == ["income", "repayment_limit"]
    income, limit = lines
    assert usd(income, "before", "after", "effect") == ["24000.00", "30000.00", "-240.00"]
    assert usd(income, "contribution_before", "contribution_after") == ["134.00", "660.00"]
    assert usd(limit, "before", "after", "effect") == ["240.00", "240.00", "0.00"]
    assert "below the cap" in limit["why"]
    assert usd(result.households.row(0, named=True), "repayment") == ["240.00"]


def test_notice_of_every_kind_of_change():
    """Estimated: two persons, 30,000, benchmark 600; in fact one person, 40,000, benchmark 500 from July."""
    home = tax_return(annual_income="40000", estimated_income="30000", estimated_household_size=2)
    cover = statements("700", "600", "550", estimated_benchmark_monthly="600").with_columns(
        benchmark_monthly=pl.Series(["600"] * 6 + ["500"] * 6)
    )
    result = reconcile(home, cover, tax_year=2024)
    lines = {line["item"]: line for line in result.notices.to_dicts()}
    assert list(lines) == ["advance", "coverage", "household_size", "income", "repayment_limit"]
    # 30,000 of 19,720: 152 percent, 0.08: 24. 7200 - 24 = 7176 reckoned, 6600 paid.
    assert usd(lines["advance"], "before", "after", "effect") == ["7176.00", "6600.00", "576.00"]
    # By month: six of 598 and six of 498 (24 / 12 = 2): 6576.
    assert usd(lines["coverage"], "before", "after", "effect") == ["7200.00", "6600.00", "-600.00"]
    # One person: 205 percent, 660, 55 a month: 6600 - 660 = 5940.
    assert usd(lines["household_size"], "before", "after", "effect") == ["2.00", "1.00", "-636.00"]
    # 40,000: 274 percent, 4 + 2 x 24 / 50 = 4.96: 1984, 165 a month: 6600 - 1980 = 4620.
    assert usd(lines["income"], "before", "after", "effect") == ["30000.00", "40000.00", "-1320.00"]
    assert usd(lines["income"], "contribution_before", "contribution_after") == ["660.00", "1984.00"]
    # 6600 - 4620 = 1980 too much, cap 950 at 274 percent.
    assert usd(lines["repayment_limit"], "before", "after", "effect") == ["1980.00", "950.00", "1030.00"]
    row = result.households.row(0, named=True)
    assert usd(row, "annual_credit", "repayment", "not_repaid") == ["4620.00", "950.00", "1030.00"]
    assert sum(line["effect"] for line in lines.values()) == -row["repayment"]
    assert [line["unit"] for line in lines.values()] == ["usd", "usd", "persons", "usd", "usd"]


def test_notice_of_a_barred_return_and_of_the_cliff():
    columns = {"annual_premium": "6000", "annual_benchmark": "6000", "annual_advance": "5340"}
    barred = reconcile(tax_return(is_dependent=True, **columns), tax_year=2024).notices.to_dicts()
    assert [line["item"] for line in barred] == ["eligibility", "repayment_limit"]
    assert usd(barred[0], "before", "after", "effect") == ["5340.00", "0.00", "-5340.00"]
    cliff = reconcile(
        tax_return(
            annual_income="62601",
            estimated_income="60000",
            annual_advance="24",
            annual_premium="6000",
            annual_benchmark="6000",
        ),
        tax_year=2026,
    ).notices.to_dicts()
    # 60,000 of 15,650: 383 percent, 9.96: 5976; one dollar above 400 percent there is no contribution, and no credit.
    assert usd(cliff[0], "before", "after", "contribution_before", "contribution_after", "effect") == [
        "60000.00",
        "62601.00",
        "5976.00",
        None,
        "-24.00",
    ]
    assert "no cap" in cliff[-1]["why"]


def test_nothing_changed_is_no_notice():
    home = tax_return(annual_premium="5040", annual_benchmark="5460", annual_advance="4800", estimated_income="30000")
    assert reconcile(home, tax_year=2024).notices.is_empty()


# ---- bad input


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"household_id": None}, "SUB-001"),
        ({"annual_income": None}, "SUB-002"),
        ({"estimated_income": "much"}, "SUB-002"),
        ({"tax_household_size": 0}, "SUB-003"),
        ({"estimated_household_size": 1.5}, "SUB-003"),
        ({"region": "guam"}, "SUB-004"),
        ({"annual_advance": "-1"}, "SUB-006"),
        ({"filing": "married"}, "SUB-009"),
        ({"filing": None}, "SUB-009"),
    ],
)
def test_bad_returns_are_set_aside(columns, rule):
    good = tax_return(household_id="good", annual_benchmark="5460", annual_advance="0")
    frame = pl.concat([good, tax_return(**columns)], how="diagonal_relaxed")
    result = reconcile(frame, tax_year=2024)
    assert result.households["household_id"].to_list() == ["good"]
    assert fired(result) == {rule: 1}
    assert result.counts.rows() == [("returns", 2, 1, 1)]


@pytest.mark.parametrize(
    ("change", "rule", "rows"),
    [
        ({"month": 13}, "SUB-008", 1),
        ({"month": None}, "SUB-008", 1),
        ({"month": 2}, "SUB-001", 2),
        ({"household_id": "somebody"}, "SUB-010", 1),
        ({"premium_monthly": "-1"}, "SUB-006", 1),
        ({"ehb_pct_premium": 1.2}, "SUB-007", 1),
    ],
)
def test_bad_months_are_set_aside(change, rule, rows):
    cover = statements()
    bad = cover[0].with_columns(**{n: pl.lit(v, pl.Int64 if n == "month" else None) for n, v in change.items()})
    frame = pl.concat([bad, cover[1:]], how="diagonal_relaxed")
    result = reconcile(tax_return(), frame, tax_year=2024)
    if rule == "SUB-010":  # of a household that nobody asks about
        assert fired(result) == {rule: rows}
        assert result.months.height == 12 - rows
        assert result.refused["months"].height == rows
        return
    # The year of a household is settled on all of its statements, or not at all.
    assert set(fired(result)) == {rule, "SUB-013"}
    assert result.refused["months"]["rule_id"].value_counts().sort("rule_id").rows() == [
        (rule, rows),
        ("SUB-013", 12 - rows),
    ]
    assert result.refused["returns"]["rule_id"].to_list() == ["SUB-013"]
    assert all(frame.is_empty() for frame in (result.households, result.months, result.notices))


def test_years_and_columns():
    with pytest.raises(NotYetPublished, match="rating/ptc_applicable_percentages of 2027"):
        reconcile(tax_return(), tax_year=2027)
    with pytest.raises(TableMissing, match="2013"):
        reconcile(tax_return(), tax_year=2013)
    with pytest.raises(InputRefused, match="filing"):
        reconcile(tax_return().drop("filing"), tax_year=2024)
    shares = pl.DataFrame({"policy_id": ["X"], "household_id": ["h"], "allocation_share": [1.0]})
    with pytest.raises(InputRefused, match="policy_id"):
        reconcile(tax_return(), statements(), tax_year=2024, allocations=shares)
    with pytest.raises(SettingRefused, match="several_benchmarks"):
        reconcile(tax_return(), tax_year=2024, settings={"several_benchmarks": "twice"})
