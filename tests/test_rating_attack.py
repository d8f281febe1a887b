"""Faults that an attack on prices and subsidies found: each with the rule that it broke, so that none comes back."""

from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
import quote_frames as made
from quote_frames import fired, quoted

import rating
from data_specs.errors import InputRefused, SettingRefused
from rating._money import portion

TEXAS = pl.DataFrame({"household_id": ["h"], "annual_income": [40000], "tax_household_size": [1], "state": ["TX"]})


def rules(result):
    return {(rule, table): rows for rule, table, rows in result.findings.select("rule_id", "table", "rows").rows()}


def balanced(result):
    return all(into == accepted + rejected for _, into, accepted, rejected in result.counts.rows())


# ---------------------------------------------------------------- amounts that do not fit 64 bits


def test_portions_are_exact_at_any_size():
    amounts, shares = np.array([3 * 10**12, 1, 50, -50, 0]), np.array([987_654_321, 5 * 10**8, 10**9, 10**9, 7])
    exact = [2962962963000, 1, 50, -50, 0]
    assert portion(amounts, shares, 10**9).tolist() == exact
    assert portion(amounts[1:], shares[1:], 10**9).tolist() == exact[1:]  # the short way


def test_a_large_family_and_a_share_of_essential_benefits():
    """30 members at 3,000,000 x 3 dollars, of which 99 percent count: once 91,742,559.26."""
    members = [made.member("h", f"{n:02}", birth_date=date(1950, 1, 1)) for n in range(30)]
    plans = [made.plan("a", "3000000", ehb_pct_premium="0.99"), made.plan("b", "3100000", ehb_pct_premium="0.99")]
    row = quoted(members, plans).households.row(0, named=True)
    assert row["premium_monthly"] == Decimal("270000000.00")
    assert row["benchmark_monthly"] == Decimal("276210000.00")
    income = {"annual_income": "900000", "tax_household_size": 30, "effective_date": date(2025, 1, 1)}
    mixed = [m | income | {"credit_eligible": n < 15} for n, m in enumerate(members)]
    row = quoted(mixed, plans, plan_year=2025).households.row(0, named=True)
    # Half of 99 percent of 270 million; the benchmark of half the family is higher.
    assert row["monthly_credit"] == Decimal("133650000.00")


def test_a_base_rate_beyond_every_rate_is_refused():
    """Once a premium without a benchmark, and a credit of 0."""
    with pytest.raises(InputRefused, match="10,000,000 dollars a month"):
        quoted(made.family(40), [made.plan("a", "9000000"), made.plan("b", "92000000")])


@pytest.mark.parametrize("factors", [("500000000000", 2, 1), ("99999999999.99", 3, 4)])
def test_a_trillion_dollars_is_refused_for_one_and_for_many(factors):
    base, *others = factors
    for given in (base, [base]):
        with pytest.raises(InputRefused, match="trillion"):
            rating.member_rate(given, *others)
    assert rating.member_rate("499999999999.99", 2, 1) == Decimal("999999999999.98")


# ---------------------------------------------------------------- a household is worked out whole or not at all


def test_a_member_without_an_age_takes_the_benchmark_of_the_family_along():
    rates = pl.DataFrame(
        {
            "plan_id": ["a", "b"] * 2,
            "state": ["TX"] * 4,
            "rating_area_id": ["1"] * 4,
            "metal_level": ["silver"] * 4,
            "age_band": ["40", "40", "0-14", "0-14"],
            "individual_rate": [400, 420, 200, 210],
        }
    )
    members = pl.DataFrame(
        {
            "household_id": ["bad", "bad", "good"],
            "member_id": ["1", "2", "1"],
            "age": [40, 200, 3],
            "state": ["TX"] * 3,
            "rating_area_id": ["1"] * 3,
        }
    )
    result = rating.second_lowest_cost_silver(members, rates, plan_year=2026)
    assert result.households.select("household_id", "benchmark_monthly").rows() == [("good", Decimal("210.00"))]
    assert rules(result) == {("SUB-013", "households"): 1, ("SUB-040", "households"): 1}
    assert balanced(result)


def test_a_member_who_cannot_be_used_leaves_the_credit_open_and_not_zero():
    homes = TEXAS.with_columns(benchmark_monthly=pl.lit("900"))
    homes = pl.concat([homes, homes.with_columns(household_id=pl.lit("other"))])
    members = pl.DataFrame(
        {
            "household_id": ["h", "h", "other"],
            "member_id": ["1", "2", "1"],
            "immigration_status": ["no such word", "citizen", "citizen"],
        }
    )
    persons = rating.credit_eligibility(members, homes, tax_year=2026)
    assert persons.members["household_id"].to_list() == persons.households["household_id"].to_list() == ["other"]
    found = rating.premium_tax_credit(homes, members, tax_year=2026)
    assert found.households["household_id"].to_list() == ["other"]
    expected = {("SUB-009", "members"): 1, ("SUB-013", "members"): 1, ("SUB-013", "households"): 1}
    assert rules(found) == rules(persons) == expected
    assert balanced(found)
    assert balanced(persons)


def months(households, numbers, **cells):
    lines = [(home, month) for home in households for month in numbers]
    frame = pl.DataFrame(lines, schema=["household_id", "month"], orient="row")
    amounts = {"premium_monthly": 500, "benchmark_monthly": 550, "advance_monthly": 400}
    return frame.with_columns(**{name: pl.lit(value) for name, value in (amounts | cells).items()})


def returns(*households, **cells):
    frame = pl.concat([TEXAS.with_columns(household_id=pl.lit(home)) for home in households])
    return frame.with_columns(filing=pl.lit("single"), **{name: pl.lit(value) for name, value in cells.items()})


def test_a_statement_that_cannot_be_used_leaves_the_whole_year_open():
    """Once the year was settled on the other months: a credit and a repayment that are too low."""
    cover = pl.concat([months(["a"], [*range(1, 12), 13]), months(["b"], range(1, 13))])
    result = rating.reconcile(returns("a", "b"), cover, tax_year=2024)
    assert result.households["household_id"].to_list() == ["b"]
    assert rules(result) == {("SUB-008", "months"): 1, ("SUB-013", "months"): 11, ("SUB-013", "returns"): 1}
    assert balanced(result)


def test_a_shared_statement_that_cannot_be_used_is_that_of_both_households():
    cover = months(["a", "b", "c"], range(1, 13)).with_columns(policy_id=pl.lit("p") + pl.col("household_id"))
    bad = pl.col("household_id").eq("a") & pl.col("month").eq(7)
    cover = cover.with_columns(premium_monthly=pl.when(bad).then(-1).otherwise("premium_monthly"))
    shares = pl.DataFrame({"policy_id": ["pa", "pa"], "household_id": ["a", "b"], "allocation_share": [0.5, 0.5]})
    result = rating.reconcile(returns("a", "b", "c"), cover, allocations=shares, tax_year=2024)
    assert result.households["household_id"].to_list() == ["c"]
    assert result.refused["returns"]["household_id"].to_list() == ["a", "b"]
    assert rules(result)["SUB-006", "months"] == 1
    assert balanced(result)


def test_a_month_that_cannot_be_used_takes_the_payment_along():
    homes = TEXAS.with_columns(filing_threshold=pl.lit(12000))
    gaps = pl.DataFrame({"household_id": ["h"] * 12, "member_id": ["1"] * 12, "is_child": [False] * 12})
    whole = gaps.with_columns(month=pl.int_range(1, 13))
    paid = rating.shared_responsibility_payment(homes, whole, tax_year=2017)
    assert paid.households["payment"].to_list() == [Decimal("700.00")]
    part = gaps.with_columns(month=pl.int_range(2, 14))  # once 641.67
    result = rating.shared_responsibility_payment(homes, part, tax_year=2017)
    assert result.households.is_empty()
    assert rules(result) == {("SUB-008", "months"): 1, ("SUB-013", "months"): 11, ("SUB-013", "households"): 1}
    assert balanced(result)


def test_a_policy_of_others_does_not_take_the_credit_of_a_month():
    """Once the whole month was without a credit where one of its policies was of members who could not have it."""
    own = months(["a"], range(1, 13)).with_columns(policy_id=pl.lit("1"), is_eligible=pl.lit(True))
    others = own.with_columns(policy_id=pl.lit("2"), is_eligible=pl.lit(False), advance_monthly=pl.lit(30))
    alone = rating.reconcile(returns("a"), own, tax_year=2024).households.row(0, named=True)
    both = rating.reconcile(returns("a"), pl.concat([own, others]), tax_year=2024).households.row(0, named=True)
    assert both["annual_credit"] == alone["annual_credit"] == Decimal("4616.00")
    assert both["annual_premium"] == alone["annual_premium"] == Decimal("6000.00")
    assert both["annual_advance"] - alone["annual_advance"] == 12 * 30
    none = rating.reconcile(returns("a"), others, tax_year=2024).households.row(0, named=True)
    assert (none["annual_credit"], none["reason"]) == (Decimal(0), "no_eligible_member")


# ---------------------------------------------------------------- unknown is not zero


def test_an_advance_in_some_months_says_that_one_was_paid():
    """95 percent of the line; one month's advance is not known, the others' were paid: the credit is due."""
    cover = months(["a"], range(1, 13)).with_columns(
        advance_monthly=pl.when(pl.col("month") > 1).then("advance_monthly")
    )
    row = rating.reconcile(returns("a", annual_income=13851), cover, tax_year=2024).households.row(0, named=True)
    assert (row["income_pct_of_poverty"], row["reason"]) == (95, "credit")
    assert row["annual_credit"] == Decimal("6000.00")
    assert row["net_credit"] is None


def test_below_the_lower_limit_nothing_is_said_while_the_advance_is_not_known():
    cover = months(["a"], range(1, 13)).with_columns(advance_monthly=pl.lit(None, dtype=pl.Int64))
    low = returns("a", annual_income=13851)
    row = rating.reconcile(low, cover, tax_year=2024).households.row(0, named=True)
    assert (row["annual_credit"], row["reason"]) == (None, "income_below_limit")
    said = low.with_columns(advance_on_estimate=pl.lit(False))
    row = rating.reconcile(said, cover, tax_year=2024).households.row(0, named=True)
    assert row["annual_credit"] == Decimal(0)


def test_a_shared_policy_whose_others_have_no_benchmark_leaves_the_credit_open():
    """Vermont has no tier for children alone: what part of the premium is the parent's cannot be said."""
    cells = {"rating_area_id": "R-VT001", "annual_income": "31300", "tax_household_size": 2}
    people = [
        made.member("h", "1", relationship="self", **cells),
        made.member("h", "2", relationship="child", birth_date=date(2015, 1, 1), credit_eligible=False, **cells),
    ]
    plans = [made.plan("a", "100", area="R-VT001"), made.plan("b", "700", area="R-VT001")]
    found = quoted(people, plans).households
    assert found["benchmark_monthly"].to_list() == [Decimal("700.00")] * 2
    assert found["monthly_credit"].to_list() == [None, None]
    assert found["notes"].to_list() == ["no_benchmark"] * 2
    # Where the contribution covers the benchmark, the part does not matter.
    rich = [m | {"annual_income": "80000", "effective_date": date(2025, 1, 1)} for m in people]
    cheap = [made.plan("a", "100", area="R-VT001"), made.plan("b", "120", area="R-VT001")]
    assert quoted(rich, cheap, plan_year=2025).households["monthly_credit"].to_list() == [Decimal(0)] * 2


def test_an_area_that_the_benchmark_table_lacks_is_not_an_area_without_silver_plans():
    home = pl.DataFrame({"household_id": ["h"], "age": [40], "rating_area_id": ["R-FL022"]})
    result = rating.second_lowest_cost_silver(home, plan_year=2026)
    assert result.households["reason"].to_list() == ["area_not_held"]
    assert rules(result) == {("SUB-049", "households"): 1}
    with_proxy = home.with_columns(proxy_benchmark_monthly=pl.lit("512.30"))
    row = rating.second_lowest_cost_silver(with_proxy, plan_year=2026).households.row(0, named=True)
    assert (row["benchmark_monthly"], row["source"]) == (Decimal("512.30"), "proxy")


@pytest.mark.parametrize("jurisdiction", ["ZZ", "PR", "C1", "ca ", "", None, 6])
def test_an_unknown_jurisdiction_is_not_one_without_a_mandate(jurisdiction):
    homes = TEXAS.with_columns(
        filing_threshold=pl.lit(12000), uncovered_adults=1, uncovered_children=0, uncovered_months=12
    )
    with pytest.raises(SettingRefused, match="fifty states"):
        rating.shared_responsibility_payment(homes, tax_year=2021, jurisdiction=jurisdiction)
    allowed = rating.shared_responsibility_payment(homes, tax_year=2021, jurisdiction="tx").households
    assert allowed["reason"].to_list() == ["no_mandate"]


def test_the_first_short_gap_is_exempt_also_after_a_long_one():
    """26 U.S.C. 5000A(e)(4)(B)(iii): January to May, and later October and November: five months count."""
    homes = TEXAS.with_columns(filing_threshold=pl.lit(12000))
    gaps = pl.DataFrame({"month": [1, 2, 3, 4, 5, 8, 10, 11]}).with_columns(
        household_id=pl.lit("h"), member_id=pl.lit("1"), is_child=pl.lit(False)
    )
    result = rating.shared_responsibility_payment(homes, gaps, tax_year=2017).households.row(0, named=True)
    # August is the first short gap; October and November are the second.
    assert result["uncovered_person_months"] == 7
    assert result["payment"] == Decimal("408.33")


def test_the_exemption_of_a_state_is_not_judged_by_federal_figures():
    homes = TEXAS.with_columns(
        filing_threshold=pl.lit(12000), uncovered_adults=1, uncovered_children=0, uncovered_months=12,
        lowest_cost_annual=pl.lit(9000),
    )  # fmt: skip
    state = rating.shared_responsibility_payment(homes, tax_year=2020, jurisdiction="CA")
    assert rules(state)["SUB-052", "households"] == 1
    federal = rating.shared_responsibility_payment(homes, tax_year=2017)
    assert federal.households["reason"].to_list() == ["cover_not_affordable"]
    assert ("SUB-052", "households") not in rules(federal)


# ---------------------------------------------------------------- what the specification lists, and quotes lacked


@pytest.mark.slow
def test_a_proxy_is_the_benchmark_where_no_silver_plan_is_offered():
    people = made.family(40, annual_income="31300", tax_household_size=1, proxy_benchmark_monthly="450.00")
    bronze = made.plan("a", "300", metal_level="bronze")
    result = quoted(people, [bronze])
    row = result.households.row(0, named=True)
    assert (row["benchmark_monthly"], row["benchmark_plan_id"]) == (Decimal("450.00"), None)
    assert row["monthly_credit"] == Decimal("278.00")  # 450 less 172, of a premium of 383.40
    assert fired(result)["QTE-031"] == 1
    offered = quoted(people, [bronze, made.plan("b", "310")])
    assert set(offered.households["benchmark_monthly"].to_list()) == {Decimal("396.18")}
    assert "QTE-031" not in fired(offered)
    explained = rating.shop(made.frame(people), base_rates=pl.DataFrame([bronze]), plan_year=2026).explanation
    (said,) = explained.filter(item="benchmark_monthly")["how"].to_list()
    assert said.startswith("as the exchange determined it")
    for wrong in ("-1", "much"):
        bad = [p | {"proxy_benchmark_monthly": wrong} for p in people]
        assert fired(quoted(bad, [bronze])) == {"QTE-011": 1}


def test_the_published_benchmark_can_be_handed_to_a_quote():
    """Rates of bronze plans only: the benchmark by area is asked for, and handed in."""
    people = made.family(40, annual_income="31300", tax_household_size=1)
    published = rating.second_lowest_cost_silver(made.frame(people), plan_year=2026).households
    amount = str(published["benchmark_monthly"].item())
    people = [p | {"proxy_benchmark_monthly": amount} for p in people]
    row = quoted(people, [made.plan("a", "300", metal_level="bronze")]).households.row(0, named=True)
    assert row["monthly_credit"] == min(Decimal(amount) - 172, row["premium_monthly"])


@pytest.mark.slow
def test_a_program_to_stop_saves_the_load_in_small_groups_only():
    people = made.family(40, tobacco_use=True)
    program = made.frame(people).with_columns(in_cessation_program=pl.lit(True))
    plans = [made.plan("a", "300", tobacco_ratio="1.5")]

    def rate(frame, market):
        result = quoted(frame, plans, settings={"market": market})
        return str(result.members["rate_monthly"].item()), fired(result).get("QTE-032", 0)

    assert rate(people, "small_group") == rate(people, "individual") == ("575.10", 0)
    assert rate(program, "small_group") == ("383.40", 1)
    assert rate(program, "individual") == ("575.10", 0)


# ---------------------------------------------------------------- columns as they come


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Null])
def test_ids_may_be_categories_and_an_empty_column_is_refused_row_by_row(kind):
    def ids(frame):
        return frame.with_columns(pl.lit(None).alias("household_id") if kind == pl.Null else
                                  pl.col("household_id").cast(kind))  # fmt: skip

    homes = ids(TEXAS.with_columns(benchmark_monthly=pl.lit("900"), filing_threshold=pl.lit(12000)))
    people = ids(pl.DataFrame({"household_id": ["h"], "member_id": ["1"]}))
    gaps = people.with_columns(month=pl.lit(3), is_child=pl.lit(False))
    found = [
        rating.credit_eligibility(people, homes, tax_year=2026),
        rating.premium_tax_credit(homes, people, tax_year=2026),
        rating.reconcile(ids(returns("h")), ids(months(["h"], range(1, 13))), tax_year=2024),
        rating.shared_responsibility_payment(homes, gaps, tax_year=2017),
        rating.medicaid_outcome(homes.with_columns(pl.col("state").cast(pl.Categorical)), plan_year=2026),
    ]
    assert [result.households.height for result in found] == [0 if kind == pl.Null else 1] * 5
    assert all(balanced(result) for result in found)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_is_no_id(blank):
    """Rows without a household once made up a household."""
    people = made.frame(made.family(40, 41))
    result = quoted(people.with_columns(household_id=pl.lit(blank)), [made.plan("a")])
    assert fired(result) == {"QTE-001": 2}
    homes = TEXAS.with_columns(benchmark_monthly=pl.lit("900"), household_id=pl.lit(blank))
    assert rules(rating.premium_tax_credit(homes, tax_year=2026)) == {("SUB-001", "households"): 1}


def filed(**cells):
    table = {
        "plan_id": ["12345TX0010001", "12345TX0010002"],
        "rating_area_id": ["1", "1"],
        "age_band": ["40", "40"],
        "individual_rate": [400.0, 420.0],
        "metal_level": ["silver", "silver"],
    }
    return pl.DataFrame(table).with_columns(**{n: v if isinstance(v, pl.Expr) else pl.lit(v) for n, v in cells.items()})


HOME = pl.DataFrame({"household_id": ["h"], "member_id": ["1"], "age": [40], "birth_date": ["1985-06-30"],
                     "rating_area_id": ["R-TX001"]})  # fmt: skip


def both_ways(rates):
    """The same rates for a quote and for a benchmark."""
    quotes = rating.quote(HOME.drop("age"), rates=rates, plan_year=2026).households
    benchmarks = rating.second_lowest_cost_silver(HOME.drop("birth_date"), rates, plan_year=2026).households
    return quotes["premium_monthly"].to_list(), benchmarks["benchmark_monthly"].to_list()


@pytest.mark.parametrize(
    "cells",
    [
        {"plan_year": "2026"},
        {"plan_year": 2026.0},
        {"market": " Individual "},
        {"effective_date": "2026-01-01", "expiration_date": "20261231"},
        {"effective_date": date(2026, 1, 1), "expiration_date": None},
        {"age_band": 40},
    ],
)
def test_rates_in_force_are_read_alike_by_quotes_and_benchmarks(cells):
    assert both_ways(filed(**cells)) == ([Decimal("400.00"), Decimal("420.00")], [Decimal("420.00")])


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"plan_year": "next"}, "plan_year"),
        ({"plan_year": None}, "plan_year"),
        ({"plan_year": date(2026, 1, 1)}, "plan_year"),
        ({"plan_year": 2025}, "plan_year"),
        ({"market": None}, "market"),
        ({"market": 1}, "market"),
        ({"effective_date": "soon"}, "effective_date"),
        ({"expiration_date": True}, "expiration_date"),
        ({"age_band": pl.concat_list(pl.lit(40))}, "age_band"),
        ({"age_band": "40-30"}, "age_band"),
    ],
)
def test_rates_that_cannot_be_placed_in_time_or_age_are_refused(cells, column):
    frame = filed(**cells)
    for ask in (
        lambda: rating.quote(HOME.drop("age"), rates=frame, plan_year=2026),
        lambda: rating.second_lowest_cost_silver(HOME.drop("birth_date"), frame, plan_year=2026),
    ):
        with pytest.raises(InputRefused, match=column):
            ask()


@pytest.mark.parametrize("kind", [True, date(2026, 1, 1), "much", "-5", 0])
def test_tobacco_rates_that_are_no_amount_are_refused(kind):
    with pytest.raises(InputRefused, match="individual_tobacco_rate"):
        rating.quote(HOME.drop("age"), rates=filed(individual_tobacco_rate=kind), plan_year=2026)


def test_blank_tobacco_rates_are_the_rates_without():
    user = HOME.drop("age").with_columns(tobacco_use=pl.lit(True))
    rates = filed(individual_tobacco_rate=pl.Series([None, "500.00"]))
    found = rating.quote(user, rates=rates, plan_year=2026).households
    assert found["premium_monthly"].to_list() == [Decimal("400.00"), Decimal("500.00")]


@pytest.mark.parametrize("amount", ["0", "-5", "free"])
def test_a_filed_tier_that_is_no_amount_is_refused(amount):
    """Once it was left out silently, and the tier worked out from one adult's rate."""
    rates = filed(age_band="family", couple=amount).with_columns(
        plan_id=pl.col("plan_id").str.replace("TX", "NY"), rating_area_id=pl.lit("R-NY004")
    )
    with pytest.raises(InputRefused, match="couple"):
        rating.quote(HOME.drop("age").with_columns(rating_area_id=pl.lit("R-NY004")), rates=rates, plan_year=2026)


@pytest.mark.parametrize("values", [["x"], [date(2026, 1, 1)], [[1]], [True]])
def test_tobacco_ratios_that_are_no_numbers_are_refused(values):
    plans = pl.DataFrame({"plan_id": ["12345TX0010001"], "base_rate": ["300"], "tobacco_ratio": values})
    areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": [1]})
    with pytest.raises(InputRefused, match="tobacco_ratio"):
        rating.rate_table(plans, areas, state="TX", market="individual", plan_year=2026)
    base = plans.with_columns(rating_area_id=pl.lit("R-TX001"), metal_level=pl.lit("silver"))
    with pytest.raises(InputRefused, match="tobacco_ratio"):
        rating.quote(HOME.drop("age"), base_rates=base, plan_year=2026)


def test_tobacco_ratios_may_be_categories():
    plans = pl.DataFrame({"plan_id": ["12345TX0010001", "12345TX0010002"], "base_rate": ["300", "300"]})
    plans = plans.with_columns(tobacco_ratio=pl.Series(["1.5", None], dtype=pl.Categorical))
    areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": [1]})
    table = rating.rate_table(plans, areas, state="TX", market="individual", plan_year=2026)
    assert table.filter(age_band="40")["individual_tobacco_rate"].to_list() == [Decimal("575.10"), None]


# ---------------------------------------------------------------- years and files


@pytest.mark.parametrize("year", [0, -1, 10_000, 40_000, 2**70])
def test_a_year_that_no_calendar_has_is_refused(year):
    with pytest.raises(SettingRefused, match="plan_year"):
        rating.rating_area({"state": "DC"}, plan_year=year, area_map=2023)
    with pytest.raises(SettingRefused, match="plan_year"):
        rating.rate_basis(state="TX", market="individual", plan_year=year)


@pytest.mark.parametrize("year", ["2026", None, 2026.5, True])
def test_a_map_that_is_named_does_not_excuse_the_plan_year(year):
    with pytest.raises(SettingRefused, match="plan_year"):
        rating.rating_area({"state": "DC"}, plan_year=year, area_map=2023)


def test_batches_refuse_what_is_no_number_or_no_text_before_anything_is_written(tmp_path):
    people = made.frame(made.family(40, 41, 12))
    path, options = tmp_path / "homes.parquet", {"base_rates": pl.DataFrame([made.plan("a")]), "plan_year": 2026}
    people.write_parquet(path)
    for wrong in (1.5, "10", True):
        with pytest.raises(SettingRefused, match="batch_rows"):
            rating.quote_files(path, tmp_path / "out", batch_rows=wrong, **options)
    with pytest.raises(InputRefused, match="not a Parquet file"):
        rating.quote_files(tmp_path / "none.parquet", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    people.with_columns(household_id=pl.int_range(3)).write_parquet(path)
    with pytest.raises(InputRefused, match="household_id"):
        rating.quote_files(path, tmp_path / "out", batch_rows=2, **options)


def test_settings_made_by_hand_are_checked_like_those_by_name():
    """Once -5 persons in the cap made a payment of -16,320 dollars."""
    homes = TEXAS.with_columns(
        filing_threshold=pl.lit(12000), uncovered_adults=1, uncovered_children=0, uncovered_months=12
    )
    by_hand = rating.PenaltySettings(bronze_cap_persons=-5)
    with pytest.raises(SettingRefused, match="bronze_cap_persons"):
        rating.shared_responsibility_payment(homes, tax_year=2017, settings=by_hand)
    with pytest.raises(SettingRefused, match="tie"):
        rating.second_lowest_cost_silver(
            HOME.drop("birth_date"), plan_year=2026, settings=rating.BenchmarkSettings(tie="x")
        )
