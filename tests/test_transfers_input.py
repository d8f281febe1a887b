"""What transfers refuse, and say; and what settings may be."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust import Transfers, transfers
from riskadjust._transfer_settings import Parameters, PoolName

ROWS: list[dict[str, Any]] = [
    {"state": "GA", "market": "individual", "risk_pool": "individual", "issuer_id": issuer, "plan_id": plan}
    | {"rating_area_id": "1", "metal_level": metal, "billable_member_months": 100.0, "premium": 40_000.0}
    | {"plrs": plrs, "arf": 1.5, "gcf": 1.0}
    for issuer, plan, metal, plrs in (
        ("11111", "A", "silver", 1.2),
        ("11111", "B", "gold", 1.9),
        ("22222", "C", "bronze", 0.9),
        ("33333", "D", "silver", 1.1),
    )
]


def frame(*changes: tuple[int, dict[str, Any]], more: tuple[dict[str, Any], ...] = ()) -> pl.DataFrame:
    """Clean rows with some cells changed (rows counted from 0)."""
    rows = [row.copy() for row in ROWS]
    for number, cells in changes:
        rows[number] |= cells
    return pl.DataFrame([*rows, *more], infer_schema_length=None, strict=False)


def settled(rows: pl.DataFrame, year: int = 2022, **more: Any) -> Transfers:
    return transfers(rows, benefit_year=year, **more)


def test_the_clean_rows_settle():
    result = settled(frame())
    assert result.findings.height == 0
    assert result.issuers["transfer"].to_list() == [Decimal("9976.78"), Decimal("-5136.37"), Decimal("-4840.42")]
    assert result.counts.rows() == [("plan_rows", 4, 4, 0)]


NAN, INF = float("nan"), float("inf")
REFUSED = [
    ("TRF-001", "issuer_id", None),
    ("TRF-001", "issuer_id", " "),
    ("TRF-001", "plan_id", ""),
    ("TRF-001", "rating_area_id", None),
    ("TRF-001", "risk_pool", None),
    ("TRF-001", "state", None),
    ("TRF-003", "metal_level", "tin"),
    ("TRF-003", "metal_level", None),
    ("TRF-003", "metal_level", ""),
    *[("TRF-004", "billable_member_months", v) for v in (None, -0.5, NAN, INF, 1e16)],
    *[("TRF-005", "premium", v) for v in (None, -0.01, NAN, INF, 1e16)],
    *[("TRF-006", "plrs", v) for v in (None, -0.001, NAN, INF)],
    *[("TRF-007", "arf", v) for v in (None, 0.0, -1.0, NAN, INF)],
    *[("TRF-008", "gcf", v) for v in (None, 0.0, -1.0, NAN, INF)],
    ("TRF-010", "metal_level", "catastrophic"),
    ("TRF-013", "market", "large_group"),
]


@pytest.mark.parametrize(("rule_id", "column", "value"), REFUSED)
def test_a_bad_row_is_refused_by_row_column_and_rule(rule_id, column, value):
    with pytest.raises(InputRefused, match=f"column {column}, row 3.*Rule: .*{rule_id}: .*To do: ") as caught:
        settled(frame((2, {column: value})))
    assert str(caught.value).startswith("1 row of plan_rows cannot be settled")


@pytest.mark.parametrize(("column", "value"), [("av", 0.0), ("av", NAN), ("idf", -1.0), ("idf", INF)])
def test_a_given_metal_figure_must_be_one(column, value):
    rows = frame().with_columns(pl.Series(column, [None, None, value, None], dtype=pl.Float64))
    with pytest.raises(InputRefused, match=f"column {column}, row 3.*TRF-009"):
        settled(rows)


def test_a_repeated_plan_row_is_refused():
    with pytest.raises(InputRefused, match=r"issuer_id \+ plan_id \+ rating_area_id, rows 2, 5\].*TRF-002"):
        settled(frame(more=(ROWS[1],)))
    apart = settled(frame(more=(ROWS[1] | {"rating_area_id": "2"}, ROWS[1] | {"state": "AL"})))
    assert apart.plans.height == 6


def test_all_faults_are_named_at_once():
    rows = frame((0, {"arf": None}), (1, {"gcf": None, "metal_level": "tin"}), (3, {"arf": None}))
    with pytest.raises(InputRefused) as caught:
        settled(rows)
    text = str(caught.value)
    assert text.startswith("3 rows of plan_rows cannot be settled")
    for part in (
        "column arf, rows 1, 4",
        "column gcf, row 2",
        "column metal_level, row 2",
        "TRF-003",
        "TRF-007",
        "TRF-008",
    ):
        assert part in text


def test_many_bad_rows_are_counted_and_a_few_named():
    rows = pl.concat([frame((0, {"plan_id": str(i), "plrs": -1.0})) for i in range(9)])
    rows = rows.with_columns(rating_area_id=pl.int_range(pl.len()).cast(pl.String))
    with pytest.raises(InputRefused, match=r"column plrs, rows 1, 5, 9, 13, 17 ... \(9 rows\)"):
        settled(rows)


def test_row_numbers_are_those_of_the_input_in_any_order():
    bad = frame((2, {"premium": -1.0})).reverse()
    with pytest.raises(InputRefused, match="column premium, row 2"):
        settled(bad)


ZERO = {"billable_member_months": 0.0}


@pytest.mark.parametrize(
    ("rule_id", "column", "changes"),
    [
        ("TRF-011", "billable_member_months", [(i, ZERO) for i in range(4)]),
        ("TRF-012", "plrs", [(i, {"plrs": 0.0}) for i in range(4)]),
        ("TRF-012", "premium", [(i, {"premium": 0.0}) for i in range(4)]),
        ("TRF-012", "premium", [(i, {"billable_member_months": 1e-300, "premium": 1e14}) for i in range(4)]),
    ],
)
def test_a_pool_without_an_average_is_refused(rule_id, column, changes):
    fine = tuple(row | {"state": "AL"} for row in ROWS)
    with pytest.raises(InputRefused, match=rf"column {column}, rows 1, 2, 3, 4 \(risk pool GA individual\).*{rule_id}"):
        settled(frame(*changes, more=fine))


def test_rows_without_months_may_lack_their_factors_but_not_be_negative():
    empty = ZERO | {"plrs": None, "arf": None, "gcf": NAN}
    result = settled(frame((1, empty)))
    assert result.zero_month_plans["plan_id"].to_list() == ["B"]
    assert result.plans.filter(plan_id="B").select("risk", "transfer_pmpm", "transfer").row(0) == (
        None,
        None,
        Decimal(0),
    )
    for column in ("plrs", "arf", "gcf", "premium"):
        with pytest.raises(InputRefused, match=f"column {column}, row 2"):
            settled(frame((1, empty | {column: -1.0})))


@pytest.mark.parametrize(
    "column", ["risk_pool", "issuer_id", "plan_id", "rating_area_id", "metal_level", "premium", "plrs", "arf", "gcf"]
)
def test_a_missing_column_is_refused(column):
    with pytest.raises(InputRefused, match=f"missing column '{column}'.*FILE-002"):
        settled(frame().drop(column))


@pytest.mark.parametrize(
    ("column", "values"),
    [("issuer_id", [1, 2, 3, 4]), ("rating_area_id", [1, 1, 1, 1]), ("premium", ["1"] * 4), ("gcf", [True] * 4)],
)
def test_a_wrong_type_is_refused(column, values):
    with pytest.raises(InputRefused, match=f"column '{column}' is .*FILE-002"):
        settled(frame().with_columns(pl.Series(column, values)))


@pytest.mark.parametrize("thing", [None, {}, "rows.csv", 5])
def test_something_that_is_no_frame_is_refused(thing):
    with pytest.raises(InputRefused, match="plan_rows"):
        settled(thing)


def test_an_empty_frame_is_refused():
    with pytest.raises(InputRefused, match="no rows"):
        settled(frame().clear())


def test_words_are_read_in_any_spelling_and_kept_as_given():
    rows = frame(
        (0, {"metal_level": " Silver", "market": "Individual"}), (2, {"metal_level": "Expanded Bronze", "state": "ga "})
    )
    result = settled(rows)
    assert result.plans["metal_level"].to_list() == [" Silver", "gold", "Expanded Bronze", "silver"]
    assert result.issuers["transfer"].to_list() == settled(frame()).issuers["transfer"].to_list()


def test_keys_with_blanks_around_and_other_spellings_of_the_pools_are_the_same_keys():
    rows = frame(
        (0, {"risk_pool": "Individual", "plan_id": "A "}),
        (1, {"issuer_id": " 11111", "rating_area_id": " 1"}),
        (2, {"risk_pool": " INDIVIDUAL ", "state": "ga"}),
    ).drop("market")
    result = settled(rows)
    assert result.pools.select("state", "risk_pool", "market").rows() == [("GA", "individual", "individual")]
    assert result.issuers.equals(settled(frame()).issuers)
    assert result.plans["plan_id"].to_list() == ["A", "B", "C", "D"]
    with pytest.raises(InputRefused, match=r"rows 1, 2.*TRF-002"):
        settled(frame((1, {"plan_id": " A", "issuer_id": "11111 "})))


def test_a_state_rule_holds_for_any_spelling_of_the_pool():
    rows = frame(*((i, {"state": "al", "risk_pool": "Small Group"}) for i in range(4))).drop("market")
    assert settled(rows, 2023).pools.select("risk_pool", "state_reduction").rows() == [("small_group", 0.1)]


def test_other_names_of_pools_stay_as_they_are():
    result = settled(frame(*((i, {"risk_pool": " Pool A-1"}) for i in range(4))))
    assert result.pools["risk_pool"].to_list() == ["Pool A-1"]


def test_charges_and_error_rates_find_their_issuer_in_any_spelling():
    charges = {"state": ["ga "], "risk_pool": ["Individual"], "issuer_id": [" 22222"], "billable_member_months": [9.0]}
    charged = settled(frame(), default_charges=pl.DataFrame(charges | {"charge_pmpm": [10.0]}))
    assert charged.rejected["plan_rows"]["plan_id"].to_list() == ["C"]
    assert charged.default_charges["default_charge"].to_list() == [Decimal("-90.00")]
    plain = settled(frame(), radv_error_rates={"11111": "0.05"})
    rates = pl.DataFrame({"risk_pool": ["INDIVIDUAL"], "issuer_id": ["11111 "], "error_rate": [0.05]})
    for given in ({" 11111 ": 0.05}, rates):
        found = settled(frame(), radv_error_rates=given)
        assert found.findings.height == 0
        assert found.plans.equals(plain.plans)
    with pytest.raises(InputRefused, match="TRF-040"):
        settled(frame(), radv_error_rates={"11111": 0.1, "11111 ": 0.2})


def test_only_the_average_that_is_missing_is_named():
    with pytest.raises(InputRefused, match="column plrs") as caught:
        settled(frame(*((i, {"plrs": 0.0}) for i in range(4))))
    assert "column premium" not in str(caught.value)


def test_further_columns_are_kept_and_results_can_be_settled_again():
    rows = frame().with_columns(total_member_months=pl.lit(110.0), plan_name=pl.lit("x"))
    once = settled(rows)
    assert {"total_member_months", "plan_name"} <= set(once.plans.columns)
    again = settled(once.plans)
    assert again.plans.equals(once.plans.select(again.plans.columns))


def test_same_issuer_in_two_pools_and_market_totals():
    catastrophic = tuple(
        row | {"risk_pool": "catastrophic", "metal_level": "catastrophic", "plrs": 2 * row["plrs"]}
        for row in ROWS
        if row["plan_id"] in "AC"
    )
    result = settled(frame(more=catastrophic))
    totals = result.market_totals()
    assert totals.columns == ["state", "market", "issuer_id", "transfer"]
    one = result.issuers.filter(issuer_id="11111")["transfer"].to_list()
    assert len(one) == 2
    assert totals.filter(issuer_id="11111")["transfer"].to_list() == [sum(one)]
    assert sum(totals["transfer"].to_list()) == sum(result.pools["residual"].to_list())
    unknown = settled(frame().drop("state", "market").with_columns(risk_pool=pl.lit("a pool")))
    assert unknown.market_totals().height == 0
    assert unknown.pools["market"].to_list() == [None]


# ------------------------------------------------------------------------------------------------ error rates


@pytest.mark.parametrize("rate", ["x", None, 1.01, NAN, INF, True])
def test_an_error_rate_must_be_one(rate):
    with pytest.raises(InputRefused, match="TRF-041"):
        settled(frame(), radv_error_rates={"11111": rate})


@pytest.mark.parametrize("rates", [{1: 0.1}, {"": 0.1}])
def test_an_error_rate_has_an_issuer(rates):
    with pytest.raises(InputRefused, match="TRF-040"):
        settled(frame(), radv_error_rates=rates)


def test_error_rates_by_state_and_pool():
    both = frame(more=tuple(row | {"state": "AL"} for row in ROWS))
    rates = pl.DataFrame(
        {"issuer_id": ["11111"], "state": ["al"], "risk_pool": ["individual"], "error_rate": [Decimal("0.1")]}
    )
    result = settled(both, radv_error_rates=rates.lazy())
    found = result.plans.filter(pl.col("radv_error_rate").is_not_null()).select("state", "plan_id").rows()
    assert found == [("AL", "A"), ("AL", "B")]
    assert result.plans.filter(state="AL", plan_id="A")["plrs_adjusted"].item() == pytest.approx(1.08)
    for change, rule_id in (
        ({"error_rate": [None]}, "TRF-041"),
        ({"issuer_id": [None]}, "TRF-040"),
    ):
        bad = rates.with_columns(**{k: pl.Series(v, dtype=rates.schema[k]) for k, v in change.items()})
        with pytest.raises(InputRefused, match=f"row 1.*{rule_id}"):
            settled(both, radv_error_rates=bad)
    with pytest.raises(InputRefused, match=r"rows 1, 2\].*TRF-040"):
        settled(both, radv_error_rates=pl.concat([rates, rates]))
    with pytest.raises(InputRefused, match="column state"):
        settled(frame().drop("state"), radv_error_rates=rates)


def test_an_error_rate_of_one_leaves_no_risk():
    result = settled(frame(), radv_error_rates={"11111": 1})
    assert result.plans.filter(issuer_id="11111")["risk"].to_list() == [0.0, 0.0]


# ------------------------------------------------------------------------------------------------ default charges


def charges(**columns: Any) -> pl.DataFrame:
    common = {"state": "GA", "risk_pool": "individual", "issuer_id": "99999", "billable_member_months": 100.0}
    return pl.DataFrame([common | columns])


@pytest.mark.parametrize(
    ("columns", "settings", "rule_id"),
    [
        ({"issuer_id": None}, {}, "TRF-030"),
        ({"billable_member_months": None}, {}, "TRF-031"),
        ({"billable_member_months": -1.0}, {}, "TRF-031"),
        ({"premium": -1.0}, {}, "TRF-032"),
        ({"premium": None}, {"default_charge_small_issuer": "premium_share"}, "TRF-032"),
        ({"risk_pool": "small_group"}, {}, "TRF-033"),
        ({}, {}, "TRF-034"),
        ({"takes_premium_share": True, "premium": 5.0, "billable_member_months": 501.0}, {}, "TRF-035"),
        ({"share_of_average_premium": -0.1}, {}, "TRF-037"),
        ({"charge_pmpm": INF}, {}, "TRF-037"),
    ],
)
def test_a_default_charge_that_cannot_be_stated_is_refused(columns, settings, rule_id):
    schema = dict.fromkeys(("issuer_id", "risk_pool", "state"), pl.String)
    rows = charges(**columns).cast({c: t for c, t in schema.items() if c in columns})
    with pytest.raises(InputRefused, match=f"default_charges.*row 1.*{rule_id}: "):
        settled(frame(), default_charges=rows, settings=settings)


def test_default_charges_need_the_pools_of_the_plan_rows():
    with pytest.raises(InputRefused, match="missing column 'state'"):
        settled(frame(), default_charges=charges(charge_pmpm=1.0).drop("state"))
    with pytest.raises(InputRefused, match=r"rows 1, 2\].*TRF-030"):
        settled(frame(), default_charges=pl.concat([charges(charge_pmpm=1.0)] * 2))
    with pytest.raises(InputRefused, match="TRF-033"):
        settled(frame().filter(issuer_id="22222"), default_charges=charges(charge_pmpm=1.0, issuer_id="22222"))
    with pytest.raises(InputRefused, match="not true or false"):
        settled(frame(), default_charges=charges(charge_pmpm=1.0, takes_premium_share="yes"))


def test_rows_of_a_charged_issuer_are_set_aside_and_counted():
    result = settled(frame(), default_charges=charges(issuer_id="33333", charge_pmpm=10.0))
    assert result.rejected["plan_rows"].select("plan_id", "rule_id").rows() == [("D", "TRF-028")]
    assert result.counts.filter(table="plan_rows").row(0) == ("plan_rows", 4, 3, 1)
    assert result.plans["plan_id"].to_list() == ["A", "B", "C"]
    row = result.issuers.filter(issuer_id="33333").to_dicts()[0]
    assert (row["transfer"], row["default_charge"], row["plan_rows"]) == (None, Decimal("-1000.00"), 0)
    assert row["user_fee"] == Decimal("-25.00")
    assert result.pools["default_charges"].to_list() == [Decimal("-1000.00")]
    with pytest.raises(InputRefused, match="column arf, row 3"):  # numbered as handed in
        settled(frame((2, {"arf": None})), default_charges=charges(issuer_id="11111", charge_pmpm=10.0))


def test_a_small_issuer_is_small_over_the_whole_state():
    """Its months in another pool of the state, where its data are good, count too."""
    other = tuple(row | {"risk_pool": "small_group", "market": "small_group"} for row in ROWS)
    rows = frame(more=other).filter(~((pl.col("risk_pool") == "individual") & (pl.col("issuer_id") == "11111")))
    settings = {"default_charge_small_issuer": "premium_share", "default_charge_share": {"GA/individual": "0.5"}}
    asked = {"issuer_id": "11111", "premium": 1000.0}
    small = settled(rows, default_charges=charges(billable_member_months=300.0, **asked), settings=settings)
    assert small.default_charges.select("basis", "default_charge").row(0) == (
        "share of own premium",
        Decimal("-140.00"),
    )
    large = settled(rows, default_charges=charges(billable_member_months=301.0, **asked), settings=settings)
    assert large.default_charges["basis"].item().startswith("share of the average premium")
    own = charges(billable_member_months=300.0, takes_premium_share=False, **asked)
    assert settled(rows, default_charges=own, settings=settings).default_charges["charge_pmpm"].item() == 200.0
    names = small.uncertain.filter(pl.col("moved") == "default_charge")["what"].to_list()
    assert [n.split(",")[0] for n in names] == ["default_charge_small_issuer_bmm", "default_charge_small_issuer_rate"]
    with pytest.raises(TableMissing, match="default_charge_small_issuer_bmm"):
        settled(rows, 2015, default_charges=own.with_columns(takes_premium_share=True))


# ------------------------------------------------------------------------------------------------ settings

POOLS = [
    PoolName("AL", "individual", "individual"),
    PoolName("AL", "small_group", "small_group"),
    PoolName("GA", "individual", "individual"),
]


@pytest.mark.parametrize("value", ["0.5", 0.5, Decimal("0.5"), Fraction(1, 2), " 0.50 "])
def test_numbers_of_any_type(value):
    assert Parameters({"state_reduction": value}, 2025, "x").state_reductions(POOLS) == [Fraction(1, 2)] * 3
    result = settled(frame(), settings={"state_reduction": value})
    row = result.settings.filter(setting="state_reduction").row(0)
    assert row[:4] == ("state_reduction", "all", "0.5", "given")


@pytest.mark.parametrize(
    "settings",
    [
        {"no_such": 1},
        {1: 1},
        {"issuer_rounding": "plans"},
        {"cents_balance": None},
        {"state_reduction": "fourteen"},
        {"state_reduction": "14%"},
        {"state_reduction": 14},
        {"state_reduction": -0.1},
        {"state_reduction": True},
        {"state_reduction": NAN},
        {"state_reduction": None},
        {"state_reduction": {"XX": 0.5}},
        {"state_reduction": {"GA": 0.5, "individual": 0.4}},
        {"admin_cost_reduction": 1.01},
        {"admin_cost_reduction": [0.14]},
        {"ra_user_fee_pmpm": -1},
        {"ra_user_fee_pmpm": "1e99999999"},
        {"hcrp_threshold": {"GA": 1}},
        {"gcf_decimals": 1.5},
        {"gcf_decimals": -1},
        {"month_rule": "days"},
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings):
    with pytest.raises(SettingRefused, match="To do: "):
        settled(frame(), settings=settings)


def test_settings_are_a_mapping_and_years_whole_numbers():
    with pytest.raises(SettingRefused):
        settled(frame(), settings=[("state_reduction", 1)])
    for year in ("2022", 2022.0, None, True):
        with pytest.raises(SettingRefused):
            settled(frame(), year)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"AL": 0.1}, ["0.1", "0.1", "0"]),
        ({"individual": "0.2"}, ["0.2", None, "0.2"]),
        ({"AL/small_group": "0.3"}, [None, "0.3", "0"]),
        ({("AL", "small_group"): "0.3", "AL": 0.1}, ["0.1", "0.3", "0"]),
        ({"AL": 0.1, "individual": 0.1}, ["0.1", "0.1", "0.1"]),
    ],
)
def test_a_reduction_by_state_or_pool(given, expected):
    """What is not named follows the table: 2021 reduces small group in Alabama by half, individual from 2022."""
    table = [Fraction(0), Fraction(1, 2), Fraction(0)]
    found = Parameters({"state_reduction": given}, 2021, "x").state_reductions(POOLS)
    assert found == [t if e is None else Fraction(e) for e, t in zip(expected, table, strict=True)]


def test_the_reduction_of_a_state_is_given_by_its_name_too():
    given = Parameters({"al_small_group_transfer_reduction": "0.2"}, 2021, "x")
    assert given.state_reductions(POOLS) == [0, Fraction(1, 5), 0]
    line = given.frame().filter(pl.col("applies_to") == "AL small_group").row(0, named=True)
    assert (line["value"], line["source"]) == ("0.2", "given: al_small_group_transfer_reduction")


def test_a_full_cut_leaves_nothing_to_transfer():
    for name in ("admin_cost_reduction", "state_reduction"):
        result = settled(frame(), settings={name: 1})
        assert set(result.plans["transfer"].to_list()) == {Decimal(0)}


def test_settings_say_where_each_value_came_from():
    result = settled(frame(), 2025, settings={"hcrp_threshold": 5, "admin_cost_reduction": {"GA": "0.1"}})
    lines = {row["setting"]: row for row in result.settings.to_dicts()}
    assert lines["admin_cost_reduction"]["source"] == "given"
    assert lines["admin_cost_reduction"]["applies_to"] == "GA individual"
    assert lines["hcrp_threshold"]["source"] == "given, not used by transfers"
    assert lines["ra_user_fee_pmpm"]["source"] == "table"
    assert "ra_user_fee_pmpm, row " in lines["ra_user_fee_pmpm"]["table_row"]
    assert lines["state_reduction"]["source"].startswith("default")
    assert lines["fy2026_sequestration_rate"]["verification"] == "single-source"
    assert {"issuer_rounding", "cents_balance", "month_rule", "gcf_decimals"} <= set(lines)


def test_uncertain_figures_are_listed_where_they_moved_something():
    """2025: the 14 percent is carried, the user fee recalled; 2022: the 14 percent is verified."""
    named = {row["what"].split(",")[0]: row["rows"] for row in settled(frame(), 2025).uncertain.to_dicts()}
    assert named == {"admin_cost_reduction": 4, "ra_user_fee_pmpm": 3}
    assert settled(frame()).uncertain["what"].str.starts_with("ra_user_fee").to_list() == [True]
    given = settled(frame(), 2025, settings={"admin_cost_reduction": "0.14", "ra_user_fee_pmpm": "0.18"})
    assert given.uncertain.height == 0
    alabama = settled(frame().with_columns(state=pl.lit("AL")))
    assert alabama.uncertain.filter(pl.col("what").str.contains("al_individual"))["rows"].to_list() == [4]
    still = settled(frame().filter(plan_id="A").with_columns(state=pl.lit("AL")), 2025)
    assert [w.split(",")[0] for w in still.uncertain["what"]] == ["ra_user_fee_pmpm"]


def test_a_year_without_parameters():
    with pytest.raises(TableMissing, match=r"admin_cost_reduction .* 2031"):
        settled(frame(), 2031)
    result = settled(frame(), 2031, settings={"admin_cost_reduction": "0.14"})
    assert result.plans["user_fee"].null_count() == 4
    assert result.issuers["user_fee"].null_count() == 3
    assert "withheld" not in result.issuers.columns
    with pytest.raises(TableMissing):
        settled(frame(), 2013, settings={"admin_cost_reduction": "0.14"})
    partly = settled(frame(), 2031, settings={"admin_cost_reduction": {"GA": 0.1}, "ra_user_fee_pmpm": {"GA": 0.2}})
    assert partly.pools["admin_cost_reduction"].to_list() == [0.1]
    with pytest.raises(TableMissing, match="none was given for AL"):
        settled(frame(more=(ROWS[0] | {"state": "AL"},)), 2031, settings={"admin_cost_reduction": {"GA": 0.1}})


def test_a_new_year_is_a_change_of_tables(tmp_path):
    """2031 from a folder of the reader's own: another cut, another value of gold, marked uncertain."""
    folder = tmp_path / "transfers"
    folder.mkdir()
    parameters = data_specs.table("transfers/program_parameters").filter(parameter="admin_cost_reduction").tail(1)
    new = parameters.with_columns(
        first_benefit_year=2031, last_benefit_year=2031, value=0.2, verification=pl.lit("verified")
    )
    new.write_csv(folder / "program_parameters.csv")
    gold = pl.col("metal_level") == "gold"
    data_specs.table("transfers/metal_av_idf").with_columns(
        transfer_av=pl.when(gold).then(0.85).otherwise("transfer_av"),
        verification=pl.when(gold).then(pl.lit("uncertain")).otherwise("verification"),
    ).write_csv(folder / "metal_av_idf.csv")
    with data_specs.use(tmp_path):
        result = settled(frame(), 2031)
    assert result.pools["admin_cost_reduction"].to_list() == [0.2]
    assert result.plans["av"].to_list() == [0.7, 0.85, 0.6, 0.7]
    assert result.uncertain.rows() == [("transfers/metal_av_idf", "gold", "risk and allowable of plan rows", 1)]
    with pytest.raises(TableMissing):
        settled(frame(), 2031)
