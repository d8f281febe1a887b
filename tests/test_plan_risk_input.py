"""What plan risk refuses: rows by rule, with accepted + rejected = input, and input that cannot be used as a whole."""

import warnings
from collections import Counter
from datetime import date

import numpy as np
import polars as pl
import pytest
from plan_risk_book import SILVER, Book, noticed

import riskadjust
from data_specs.errors import InputRefused, PoolwiseError, SettingRefused

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
SECRETS = ("clean", "1985")


def clean():
    return Book().plan().alone("clean", date(1985, 1, 1), 1.5, 400.0)


def check_accounts(report, frames):
    """Accepted + rejected = input, and what was rejected are rows of the input under rules that were counted."""
    fired = {(r, t): n for r, t, n in report.findings.select("rule_id", "table", "rows").rows()}
    names = ("scores", "enrollees", "enrollment_spans", "plans")
    given = dict(zip(names, frames, strict=True))
    assert report.counts["table"].to_list() == sorted(names)
    for table, came, accepted, rejected in report.counts.rows():
        assert came == given[table].height == accepted + rejected
        gone = report.rejected.get(table, given[table].clear().with_columns(rule_id=pl.lit("")))
        assert gone.height == rejected
        left = Counter(map(repr, given[table].rows()))
        left.subtract(map(repr, gone.drop("rule_id").rows()))
        assert min(left.values()) >= 0
        for rule_id, number in gone["rule_id"].value_counts().rows():
            assert fired[rule_id, table] >= number
    assert report.findings.null_count().select("severity", "action", "condition").row(0) == (0, 0, 0)


def spoil(book, table, **changes):
    """Another enrollee, plan or span like the clean one but for some cells."""
    book.rows[table].append({**book.rows[table][0], **changes})


def bad_span(book, name, **changes):
    """A scored enrollee whose only span is spoiled."""
    book.person(name, 40, 1.0)
    spoil(book, "spans", **{"enrollee_id": name, "policy_id": f"of {name}", **changes})


SPANS = {
    "SPAN-001": {"span_start": LAST, "span_end": FIRST},
    "SPAN-002": {"span_end": None},
    "SPAN-003": {"span_start": date(2024, 1, 1), "span_end": date(2024, 12, 31)},
    "SPAN-009": {"plan_id": "12345TX1"},
    "SPAN-010": {"plan_id": "12345TX0010099"},
    "SPAN-011": {"issuer_id": "54321"},
    "SPAN-015": {"rating_area_id": None},
    "SPAN-021": {"premium_monthly": -0.01},
    "SPAN-038": {"market": "small_group"},
    "HCC-006": {"csr_variant": "1x"},
    "HCC-007": {"plan_id": SILVER + "05"},
    "PLAN-002": {"metal_level": "tin"},
    "PLR-010": {"csr_variant": "04"},
    "PLR-012": {"metal_level": "gold"},
}
AREAS = ["0", "R-NY001", "north", "", "R-TX000"]
PREMIUMS = [-1.0, float("inf"), float("-inf"), 1e12]


@pytest.fixture(scope="module")
def spoiled():
    """One run with a span for each rule, and rows of the other tables that cannot be used."""
    book = clean()
    for rule_id, changes in SPANS.items():
        bad_span(book, rule_id, **changes)
    for i, area in enumerate(AREAS):
        bad_span(book, f"area {i}", rating_area_id=area)
    for i, premium in enumerate(PREMIUMS):
        bad_span(book, f"premium {i}", premium_monthly=premium)
    spoil(book, "spans", enrollee_id="nobody", policy_id="of nobody")
    spoil(book, "enrollees", enrollee_id="unborn", birth_date=date(2026, 1, 1))
    spoil(book, "spans", enrollee_id="unborn", policy_id="of unborn")
    for name in ("overlap", "repeat"):
        bad_span(book, name, span_end=date(2025, 6, 30))
    spoil(book, "spans", enrollee_id="overlap", policy_id="of overlap", span_start=date(2025, 6, 30))
    book.rows["spans"].append(book.rows["spans"][-2])
    for i, changes in enumerate(({"risk_score": -0.5}, {"risk_score": 0.1234}, {"risk_score": float("nan")})):
        book.person(f"score {i}", 40, None)
        spoil(book, "scores", **{"enrollee_id": f"score {i}", "csr_adjusted_score": 0.5, **changes})
        spoil(book, "spans", enrollee_id=f"score {i}", policy_id=f"of score {i}")
    for i, changes in enumerate(({"csr_factor": None, "csr_adjusted_score": None}, {"csr_adjusted_score": 9.0})):
        book.person(f"factor {i}", 40, None)
        spoil(book, "scores", **{"enrollee_id": f"factor {i}", **changes})
        spoil(book, "spans", enrollee_id=f"factor {i}", policy_id=f"of factor {i}")
    spoil(book, "scores", enrollee_id="clean", plan_id="12345TX0010077")
    plans = {
        "PLAN-001": {"plan_id": "12345"},
        "PLAN-002": {"plan_id": "12345TX0020001", "metal_level": "tin"},
        "PLAN-004": {"plan_id": "12345TX0020002", "issuer_id": "99999"},
        "PLR-030": {"plan_id": "12345NY0020003"},
        "PLR-031": {"plan_id": "12345TX0020004", "market": "large_group"},
        "PLR-032": {"plan_id": "12345PR0020005", "state": "PR"},
        "PLR-033": {"plan_id": "12345TX0020006", "ra_covered": False},
        "PLR-035": {"plan_id": "12345TX0020007", "plan_year": 2024},
        "PLR-034": {"plan_id": "12345TX0020008"},
    }
    for changes in plans.values():
        spoil(book, "plans", **{"ra_covered": True, **changes})
    spoil(book, "plans", plan_id="12345TX0020009", metal_level="gold")
    spoil(book, "plans", plan_id="12345TX0020009", metal_level="bronze")  # contradicts the row before
    spoil(book, "plans")  # repeats the first row
    for rule_id in ("PLR-031", "PLR-035"):
        plan = plans[rule_id]["plan_id"]
        book.person(f"in {rule_id}", 40, 1.0, plan_id=plan)
        spoil(book, "spans", enrollee_id=f"in {rule_id}", policy_id=f"of {rule_id}", plan_id=plan)
    scores, enrollees, spans, plan_frame = book.frames()
    assert {"issuer_id", "market"} <= set(spans.columns)
    assert {"ra_covered", "plan_year"} <= set(plan_frame.columns)
    frames = [scores, enrollees, spans, plan_frame]
    return frames, riskadjust.plan_risk_report(*frames, benefit_year=2025)


def test_accounts_of_the_spoiled_run(spoiled):
    frames, report = spoiled
    check_accounts(report, frames)


def test_rows_that_are_not_spoiled_are_not_moved(spoiled):
    assert spoiled[1].plan_rows.equals(expected_rows())


def expected_rows():
    """The clean enrollee, and the one whose span was there twice."""
    book = clean().person("repeat", 40, 1.0)
    spoil(book, "spans", enrollee_id="repeat", policy_id="of repeat", span_end=date(2025, 6, 30))
    return book.run().plan_rows


@pytest.mark.parametrize("rule_id", sorted(SPANS))
def test_a_spoiled_span_is_refused_by_its_rule(spoiled, rule_id):
    gone = spoiled[1].rejected["enrollment_spans"]
    assert gone.filter(enrollee_id=rule_id)["rule_id"].to_list() == [rule_id]


def test_all_rules_that_refused_spans(spoiled):
    gone = spoiled[1].rejected["enrollment_spans"]
    by_rule = dict(gone["rule_id"].value_counts().rows())
    assert by_rule.pop("HCC-002") == 2  # nobody, and the unborn
    assert by_rule.pop("SPAN-006") == 2
    assert by_rule.pop("SPAN-005") == 1
    assert by_rule.pop("PLR-011") == 1
    by_rule["SPAN-015"] -= len(AREAS)
    by_rule["SPAN-021"] -= len(PREMIUMS)
    by_rule["PLR-010"] -= 5  # scores that cannot be used
    by_rule["SPAN-010"] -= 1  # the plan of another year
    assert by_rule == dict.fromkeys(SPANS, 1)


def test_refused_rows_of_the_other_tables(spoiled):
    rejected = spoiled[1].rejected
    assert rejected["enrollees"]["rule_id"].to_list() == ["MEM-004"]
    assert dict(rejected["scores"]["rule_id"].value_counts().rows()) == {"PLR-001": 3, "PLR-002": 2}
    assert dict(rejected["plans"]["rule_id"].value_counts().rows()) == {
        "PLAN-001": 4,
        "PLAN-002": 1,
        "PLAN-004": 1,
        "PLR-030": 1,
        "PLR-031": 1,
        "PLR-032": 1,
        "PLR-033": 1,
        "PLR-035": 1,
    }
    counted = noticed(spoiled[1])
    assert counted["PLR-034"] == 1  # a plan that nobody is in
    assert counted["PLR-003"] > 0


def test_the_warning_names_rules_and_no_enrollee(spoiled):
    frames, report = spoiled
    with pytest.warns(riskadjust.PlanRiskWarning, match=r"enrollment_spans \d+.*PLR-010.*SPAN-021") as caught:
        rows = riskadjust.plan_risk(*frames, benefit_year=2025)
    assert rows.equals(report.plan_rows)
    assert len(caught) == 1
    assert not any(secret in str(caught[0].message) for secret in SECRETS)
    assert caught[0].filename == __file__


def test_clean_rows_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        riskadjust.plan_risk(*clean().frames(), benefit_year=2025)
    assert clean().run().findings.height == 0


# ---------------------------------------------------------------------------------------------------- noticed, used


def test_an_enrollee_without_a_score_still_counts_as_covered():
    book = Book().plan().person("A", 40, 1.0).span("A", premium=100.0, area="1")
    for name, age in (("B", 18), ("C", 12), ("D", 8), ("E", 3)):
        book.person(name, age, None if name == "B" else 1.0).span(name, "P", "child")
    report = book.run()
    assert noticed(report) == {"PLR-010": 1}
    # the eldest child keeps its place among the three: the youngest is not billable
    assert report.lines.select("enrollee_id", "billable").rows() == [
        ("A", True),
        ("C", True),
        ("D", True),
        ("E", False),
    ]


def test_premium_that_is_missing_or_odd():
    book = Book().plan()
    for name, premium in (("zero", 0.0), ("none", None), ("fraction", 100.005), ("third", 33.333)):
        book.alone(name, 40, 1.0, premium)
    halves = (FIRST, date(2025, 6, 30)), (date(2025, 7, 1), LAST)
    book.person("half", 40, 1.0)
    for days, premium in zip(halves, (50.0, None), strict=True):
        book.span("half", "half", premium=premium, area="1", days=days)
    report = book.run()
    assert noticed(report) == {"PLR-015": 2, "PLR-016": 2, "PLR-017": 1}
    cents = dict(zip(report.lines["enrollee_id"].to_list(), report.lines["premium_cents"].to_list(), strict=True))
    assert (cents["fraction"], cents["third"]) == (10001, 3333)


def test_relationships_are_read_loosely_and_unknown_ones_noticed():
    book = Book().plan().person("A", 40, 1.0).span("A", "P", " SELF ", premium=1.0, area="1")
    book.person("B", 10, 1.0).span("B", "P", "Child").person("C", 70, 1.0).span("C", "P", "grandmother")
    report = book.run()
    assert noticed(report) == {"PLR-014": 1}
    assert report.lines["relationship"].to_list() == ["self", "child", None]


def test_two_subscribers_of_one_policy_on_one_day_are_quarantined():
    book = clean()
    for name, days in (("A", (FIRST, date(2025, 6, 30))), ("B", (date(2025, 6, 30), LAST))):
        book.person(name, 40, 1.0).span(name, "employer", premium=1.0, area="1", days=days)
    book.person("C", 10, 1.0).span("C", "employer", "child")
    for name, days in (("D", (FIRST, date(2025, 6, 30))), ("E", (date(2025, 7, 1), LAST))):
        book.person(name, 40, 1.0).span(name, "handed on", premium=1.0, area="1", days=days)
    report = book.run()
    assert noticed(report) == {"SPAN-028": 3}
    assert report.lines["enrollee_id"].to_list() == ["D", "E", "clean"]


def test_days_before_birth_count_at_age_0():
    book = clean().person("B", date(2025, 3, 1), 0.5).span("B", "policy clean", "child")
    report = book.run()
    assert report.lines.filter(enrollee_id="B")["rating_age"].item() == 0
    assert noticed(report) == {"MEM-011": 1}


@pytest.mark.parametrize("column", ["is_subscriber", "subscriber_id"])
def test_who_the_subscriber_is_without_relationships(column):
    book = Book().plan().person("A", 40, 1.0).person("B", 10, 1.0)
    said = {"is_subscriber": (True, False), "subscriber_id": (None, "A")}[column]
    book.span("A", "P", premium=1.0, area="1", **{column: said[0]}).span("B", "P", area="2", **{column: said[1]})
    for row in book.rows["spans"]:
        row.pop("relationship")
    report = book.run()
    assert report.plan_rows["rating_area_id"].to_list() == ["R-TX001"]
    assert noticed(report) == {"PLR-018": 1}
    assert report.lines["relationship"].to_list() == ["self", None]


# ---------------------------------------------------------------------------------------------------- area factors

NJ = "12345NJ0010001"
GOLD = "12345NJ0010002"


def two_areas(**plans):
    """Area 1 has silver at 400 dollars and age factor 1.278, area 2 at 300 and 1.000; both have gold."""
    book = Book().plan(NJ).plan(GOLD, "gold")
    book.alone("A", 40, 1.0, 400.0, "1", plan_id=NJ).alone("B", 21, 1.0, 300.0, "2", plan_id=NJ)
    return book.alone("C", 21, 1.0, 900.0, "1", plan_id=GOLD, metal="gold").alone(
        "D", 21, 1.0, 100.0, "3" if plans.get("third") else "2", plan_id=GOLD, metal="gold"
    )


def given(*rows):
    schema = {"state": pl.String, "risk_pool": pl.String, "rating_area_id": pl.String, "gcf": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_area_factors_from_silver_premiums():
    report = two_areas().run()
    level = [400 / 1.278, 300 / 1.0]
    mean = sum(level) / 2
    assert report.plan_rows["gcf"].to_list() == pytest.approx([v / mean for v in (*level, *level)], rel=1e-15)
    areas = report.areas.row(0, named=True)
    assert (areas["origin"], areas["standard_months"], areas["standard_premium"]) == ("computed", 365 / 30, 14600 / 3)
    assert areas["standard_pmpm"] == pytest.approx(level[0], rel=1e-15)
    assert areas["billable_member_months"] == 2 * 365 / 30
    weights = report.areas["standard_months"]
    assert (report.areas["gcf"] * weights).sum() / weights.sum() == pytest.approx(1, rel=1e-15)


@pytest.mark.slow
def test_decimals_of_a_computed_factor():
    exact = two_areas().run().areas["gcf"].to_list()
    assert two_areas().run({"gcf_decimals": 3}).areas["gcf"].to_list() == [round(v, 3) for v in exact]
    whole = two_areas().run({"gcf_decimals": 0}, gcf=given(("NJ", "individual", "1", 1.23456))).areas["gcf"].to_list()
    assert whole == [1.23456, 1.0]


def test_given_factors_are_found_in_any_spelling_of_state_and_pool():
    factors = two_areas().run(gcf=given(("nj", "Individual", "1", 1.5), (" NJ", "INDIVIDUAL ", "R-NJ002", 0.5))).areas
    assert factors.select("gcf", "origin").rows() == [(1.5, "given"), (0.5, "given")]


def test_an_area_without_silver_needs_a_given_factor():
    book = two_areas(third=True)
    with pytest.raises(InputRefused, match=r"1 rating areas.*NJ individual R-NJ003.*To do: give the factor") as caught:
        book.run()
    assert "R-NJ001" not in str(caught.value)
    report = book.run(gcf=given(("NJ", "individual", "Rating Area 3", 1.1), ("NJ", "small_group", "1", 7.0)))
    assert report.areas.select("rating_area_id", "origin").rows() == [
        ("R-NJ001", "computed"),
        ("R-NJ002", "computed"),
        ("R-NJ003", "given"),
    ]
    assert report.plan_rows.filter(rating_area_id="R-NJ003")["gcf"].to_list() == [1.1]


def test_silver_without_premium_is_no_basis():
    book = two_areas()
    book.rows["spans"][1]["premium_monthly"] = 0.0
    with pytest.raises(InputRefused, match="R-NJ002"):
        book.run()


def test_one_area_is_exactly_1_even_without_silver():
    book = Book().plan(GOLD, "gold").alone("A", 40, 1.0, 333.33, plan_id=GOLD, metal="gold")
    report = book.run({"gcf_decimals": 2})
    assert report.areas.select("gcf", "origin").row(0) == (1.0, "single_area")
    assert book.run(gcf=given(("NJ", "individual", "001", 0.9))).areas["gcf"].item() == 0.9


def test_catastrophic_plans_make_their_own_area_factors():
    low = "12345NJ0010003"
    book = two_areas().plan(low, "catastrophic")
    for name, area, premium in (("X", "1", 100.0), ("Y", "2", 300.0)):
        book.alone(name, 21, 1.0, premium, area, plan_id=low, metal="catastrophic")
    rows = book.run().plan_rows.filter(risk_pool="catastrophic")
    assert rows["gcf"].to_list() == pytest.approx([0.5, 1.5], rel=1e-15)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (given(("NJ", "individual", "1", 0.0)), r"not above 0.*row 1, column gcf"),
        (given(("NJ", "individual", "1", float("nan"))), "not above 0"),
        (given(("NJ", "individual", "1", float("inf"))), "not above 0"),
        (given(("NJ", "individual", "1", None)), "not above 0"),
        (given(("NJ", "individual", "1", 1.0), ("NJ", "individual", "R-NJ001", 1.1)), r"twice.*row 2"),
        (given(("NJ", "individual", "R-NY001", 1.0)), "cannot be read"),
        (given((None, "individual", "1", 1.0)), "cannot be read"),
        (given().drop("gcf"), "missing column 'gcf'"),
        (given().with_columns(pl.col("gcf").cast(pl.String)), "not a number"),
        ({"NJ": 1.0}, "gcf is a dict"),
    ],
)
def test_given_factors_that_cannot_be_used(frame, match):
    with pytest.raises(InputRefused, match=match):
        two_areas().run(gcf=frame)


def test_area_numbers_may_be_numbers():
    numbered = given().clear().with_columns(pl.lit(None).cast(pl.Int64).alias("rating_area_id"))
    row = pl.DataFrame({"state": ["NJ"], "risk_pool": ["individual"], "rating_area_id": [2], "gcf": [1.5]})
    frame = pl.concat([numbered, row])
    assert two_areas().run(gcf=frame).areas["gcf"].to_list()[1] == 1.5
    scores, enrollees, spans, plans = clean().frames()
    rows = riskadjust.plan_risk(
        scores, enrollees, spans.with_columns(pl.col("rating_area_id").cast(pl.Int32)), plans, benefit_year=2025
    )
    assert rows["rating_area_id"].item() == "R-TX001"


# ---------------------------------------------------------------------------------------------------- refused whole

NAMES = ("scores", "enrollees", "enrollment_spans", "plans")
NEEDED = {
    "scores": (
        "enrollee_id",
        "plan_id",
        "csr_variant",
        "metal_level",
        "risk_score",
        "csr_factor",
        "csr_adjusted_score",
    ),
    "enrollees": ("enrollee_id", "birth_date", "sex"),
    "enrollment_spans": (
        "enrollee_id",
        "plan_id",
        "csr_variant",
        "metal_level",
        "span_start",
        "span_end",
        "rating_area_id",
        "premium_monthly",
    ),
    "plans": ("plan_id", "issuer_id", "state", "market", "metal_level"),
}


def spoiled_frames(table, change):
    frames = clean().frames()
    place = NAMES.index(table)
    frames[place] = change(frames[place])
    return frames


def check_refused(table, change, match):
    with pytest.raises(InputRefused, match=match) as caught:
        riskadjust.plan_risk(*spoiled_frames(table, change), benefit_year=2025)
    assert "To do" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize(("table", "column"), [(t, c) for t in NAMES for c in NEEDED[t]])
def test_a_missing_column_is_refused(table, column):
    check_refused(table, lambda f: f.drop(column), rf"missing column '{column}'.*{table}.*FILE-002")


@pytest.mark.parametrize(("table", "column"), [(t, c) for t in NAMES for c in NEEDED[t]])
def test_a_wrong_type_is_refused(table, column):
    wrong = pl.Series(column, [["x"]])
    check_refused(table, lambda f: f.with_columns(wrong), rf"column '{column}' is List.*{table}")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("enrollment_spans", "is_subscriber", "yes"),
        ("enrollment_spans", "premium_monthly", "400"),
        ("enrollment_spans", "effective_date", 20250101),
        ("plans", "ra_covered", "yes"),
        ("plans", "plan_year", "2025"),
        ("scores", "risk_score", "1.5"),
    ],
)
def test_a_wrong_type_of_a_column_that_may_be_absent(table, column, value):
    check_refused(table, lambda f: f.with_columns(pl.lit(value).alias(column)), rf"{column}.*{table}")


@pytest.mark.parametrize("thing", [None, {}, "spans.csv"])
def test_something_that_is_no_frame_is_refused(thing):
    for table in NAMES:
        check_refused(table, lambda _: thing, table)


@pytest.mark.parametrize("table", ["enrollees", "plans"])
def test_an_empty_table_is_refused(table):
    check_refused(table, lambda f: f.clear(), rf"no rows.*{table}")


@pytest.mark.parametrize("table", ["scores", "enrollment_spans"])
def test_a_run_without_one_usable_span_is_refused(table):
    check_refused(table, lambda f: f.clear(), r"no span can be used.*rows by rule")


def test_plans_that_are_all_unusable():
    check_refused("plans", lambda f: f.with_columns(state=pl.lit("NY")), r"rows by rule: .*PLR-011 1.*PLR-030 1")


def test_two_scores_of_one_enrollee_in_one_variant_are_refused():
    check_refused("scores", lambda f: pl.concat([f, f]), r"1 rows repeat the key.*row 2")


def test_an_enrollee_twice_is_refused():
    check_refused("enrollees", lambda f: pl.concat([f, f]), "MEM-002")


def test_scores_of_another_year_are_refused():
    _, enrollees, spans, plans = clean().frames()
    nothing = {"enrollee_id": pl.String, "diagnosis_code": pl.String, "service_date": pl.Date}
    spans_2024 = spans.with_columns(span_start=pl.lit(date(2024, 1, 1)), span_end=pl.lit(date(2024, 12, 31)))
    run = riskadjust.score(enrollees, spans_2024, pl.DataFrame(schema=nothing), benefit_year=2024)
    with pytest.raises(InputRefused, match="benefit year 2024, not 2025"):
        riskadjust.plan_risk(run, enrollees, spans, plans, benefit_year=2025)


@pytest.mark.parametrize(
    "settings",
    [
        {"months": 1},
        {"month_rule": "calendar"},
        {"month_rule": None},
        {"leap_birthday": "april_1"},
        {"gcf_decimals": -1},
        {"gcf_decimals": 2.0},
        {"gcf_decimals": True},
        {"family_tier_billable_children": None},
        {"max_billable_children_under_21_per_family": "3"},
        5,
    ],
)
def test_settings_that_are_refused(settings):
    with pytest.raises(SettingRefused, match="To do"):
        clean().run(settings)


@pytest.mark.parametrize("year", [2013, "2025", True, 2025.0, 1900])
def test_a_year_that_cannot_be_used(year):
    with pytest.raises(PoolwiseError, match="To do"):
        riskadjust.plan_risk(*clean().frames(), benefit_year=year)


def test_a_year_may_be_a_whole_number_of_numpy():
    report = riskadjust.plan_risk_report(*clean().frames(), benefit_year=np.int64(2025))
    assert type(report.benefit_year) is int
    assert report.plan_rows.equals(clean().run().plan_rows)


def test_settings_used_are_told():
    report = clean().run({"month_rule": "full_month_one"})
    assert report.settings == {
        "family_tier_billable_children": 1,
        "gcf_decimals": None,
        "leap_birthday": "march_1",
        "max_billable_children_under_21_per_family": None,
        "month_rule": "full_month_one",
    }
    assert report.benefit_year == 2025
    assert "transfers/metal_av_idf" in report.tables
    assert repr(report).startswith("PlanRisk(benefit_year=2025, plan_rows=1, lines=1")
