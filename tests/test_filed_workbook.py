"""Workbooks as they are filed: errors apart from blanks, text as numbers, other versions, and what is refused."""

import re
import zipfile
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
import xlsxwriter
from filed_workbooks import LINES, PLANS, write_filed

from data_specs.errors import InputRefused, SettingRefused
from rating import review
from rating.filing import read_workbook
from rating.filing._workbook_cells import read_sheets
from rating.filing._workbook_layout import SHEETS

PLAN_SHEET = SHEETS[2]
RATE, CALIBRATED, INDEX_RATE = (
    "plan_adjusted_index_rate",
    "calibrated_plan_adjusted_index_rate",
    "market_adjusted_index_rate",
)


@pytest.fixture(scope="module")
def filed(tmp_path_factory):
    path = tmp_path_factory.mktemp("filed") / "urrt.xlsm"
    write_filed(path)
    return read_workbook(path)


def state_of(filing, name, place=""):
    rows = filing.cells.filter((pl.col("name") == name) & (pl.col("place") == place))
    return rows.select("cell", "text", "state").row(0)


def test_a_filed_workbook_is_read_as_it_is(filed):
    assert filed.header["issuer_id"] == "12345"
    assert filed.header["company_legal_name"] == "Copper Health, Inc."
    assert (filed.header["state"], filed.header["market"], filed.header["plan_year"]) == ("OR", "individual", 2027)
    assert filed.header["effective_date"] == date(2027, 1, 1)  # 46388
    assert filed.header["exp_period_start"] == date(2025, 1, 1)
    assert filed.header["exp_period_end"] == date(2025, 12, 31)
    assert filed.plans["plan_id"].to_list() == list(PLANS)
    assert filed.plans["plan_category"].to_list() == ["renewing", "new", "terminated"]
    assert filed.plans["metal_level"].to_list() == ["bronze", "silver", "expanded_bronze"]
    assert filed.plans["on_exchange"].to_list() == [True, False, True]
    assert filed.plans["plan_effective_date"].to_list() == [date(2027, 1, 1)] * 3
    assert filed.plans["product_name"].to_list() == ["Copper", "Copper", "Zinc"]
    numbers = {
        ("ep_index_rate_professional", ""): "150",
        ("trended_ehb_total", ""): "549.88",
        ("credibility", ""): "1",
        ("exchange_fee_pct", ""): "0.02",
        ("exp_risk_adjustment_pmpm", ""): "-13.33333333333333",
        ("av_metal", PLANS[0]): "0.641",
        ("exp_risk_adjustment", PLANS[0]): "-50000",
        ("pct_admin", PLANS[1]): "0.14",
        ("proj_member_months_plan", PLANS[0]): "1000",
        ("exp_premium_pmpm", PLANS[2]): "400",
        (RATE, PLANS[2]): "0",
        ("area_factor", "R-OR002"): "0.95",
    }
    assert {key: filed.model.value(*key) for key in numbers} == {key: Decimal(text) for key, text in numbers.items()}
    assert filed.areas.rows() == [("R-OR001", 1.05), ("R-OR002", 0.95)]  # nothing is sold in the third


def test_the_filed_identity_holds(filed):
    """1254.19 x 0.5730 x 1.0128 x 0.9932 = 722.90, in the factors of the first plan for all plans."""
    product = Decimal("1254.19") * Decimal("0.5730") * Decimal("1.0128") * Decimal("0.9932")
    assert round(product, 2) == Decimal("722.90")
    assert filed.value(CALIBRATED, PLANS[0]) == Decimal("722.90")
    assert filed.model.computed(CALIBRATED, PLANS[0]) == product
    found = review.run(filed)
    passed = found.results.filter((pl.col("check_id") == "RV-008") & (pl.col("result") == "pass"))
    assert passed["place"].to_list() == list(PLANS[:2])
    assert found.findings.height == 0


def test_an_error_is_no_blank(filed):
    assert state_of(filed, "exp_incurred", PLANS[0]) == ("E26", "#VALUE!", "error_in_source")
    assert state_of(filed, "product_rate_increase", "12345OR061") == ("H18", "#VALUE!", "error_in_source")
    assert state_of(filed, "submission_rate_increase") == ("E19", "#VALUE!", "error_in_source")
    assert state_of(filed, INDEX_RATE, PLANS[1])[2] == "error_in_source"
    assert state_of(filed, "current_premium_pmpm", PLANS[1]) == ("F31", "", "missing")
    assert state_of(filed, RATE, PLANS[0]) == ("E47", "$1,254.19", "number")
    assert filed.value("exp_incurred", PLANS[0]) is None
    # 3.2 cannot be read: the number of worksheet 1 stands for it, and 3.11 can be looked at.
    assert filed.value(INDEX_RATE, PLANS[0]) == Decimal("535.59")
    counts = review.run(filed).counts
    assert dict(counts.select("check_id", "not_evaluated").rows())["RV-001"] > 0
    errors = filed.findings.filter(pl.col("rule_id") == "WBK-005")
    assert errors.filter(pl.col("message").str.starts_with("exp_incurred:"))["where"].to_list() == [
        f"{PLAN_SHEET}!E26, F26, H26"
    ]


def test_what_was_taken_for_granted_is_said(filed):
    rules = set(filed.findings["rule_id"])
    assert {"WBK-005", "WBK-010", "WBK-014", "WBK-016", "WBK-020"} == rules
    assert filed.value("adj_catastrophic", PLANS[0]) == 1
    assert filed.ledger.get("calib_age").source == f"as filed: {PLAN_SHEET}!E48"


def read_changed(folder, **changes):
    path = folder / "urrt.xlsx"
    write_filed(path, **changes)
    return read_workbook(path)


def rules_of(filing):
    return set(filing.findings["rule_id"])


def test_lines_without_number_or_with_numbers_that_are_numbers(tmp_path, filed):
    """1.1 and 1.10 are the same number to a cell: their labels tell them apart."""
    texts = {number: line for number, line in LINES.items() if number[0].isdigit()}
    found = read_changed(tmp_path, numbers="number", lines=texts)
    assert found.plans.equals(filed.plans)


def test_an_older_version_has_no_line_for_the_csr_load(tmp_path, filed):
    """What came after 3.4 has other numbers there."""
    moved = {f"3.{i}": LINES[f"3.{i + 1}"] for i in range(4, 15)}
    found = read_changed(tmp_path, lines={**moved, "3.15": None}, version="v7.1")
    assert {"WBK-004", "WBK-011", "WBK-012"} <= rules_of(found)
    assert "WBK-010" in rules_of(found)
    assert found.value("adj_csr_load", PLANS[0]) == 1
    for name in ("adj_network", "pct_profit_risk", RATE, "calib_tobacco", CALIBRATED):
        place = None if name.startswith("calib_") else PLANS[0]
        assert found.value(name, place) == filed.value(name, place), name
    assert found.ledger.get("adj_csr_load", PLANS[0]).note == "no line 3.4: within 3.3"
    assert "RV-007" not in set(review.run(found).findings["check_id"])


def test_labels_worded_otherwise_are_found_by_number(tmp_path):
    lines = {"3.7": ("Administrative Expense Load (% of premium)", *LINES["3.7"][1:]), "1.6": ("", 0.6, 0.7, 0)}
    found = read_changed(tmp_path, lines=lines)
    assert found.value("pct_admin", PLANS[0]) == Decimal("0.14")
    assert found.value("av_metal", PLANS[1]) == Decimal("0.7")
    # A number alone is not enough where the label says something else.
    other = read_changed(tmp_path, lines={"3.5": ("Reinsurance of the Plan", 9, 9, 9)})
    assert other.value("adj_network", PLANS[0]) is None
    assert {"WBK-010", "WBK-020"} <= rules_of(other)


@pytest.mark.slow
def test_factors_of_the_filing_may_stand_in_every_column_and_must_agree(tmp_path):
    same = read_changed(tmp_path, lines={"3.12": ("Age Calibration Factor", "0.5730", None, "57.3%")})
    assert same.value("calib_age") == Decimal("0.573")
    with pytest.raises(InputRefused, match=r"calib_age differs between columns: 0\.573, 0\.6 .*row 48.*WBK-007"):
        read_changed(tmp_path, lines={"3.12": ("Age Calibration Factor", 0.573, 0.6, None)})
    with pytest.raises(InputRefused, match="product_rate_increase differs"):
        read_changed(tmp_path, lines={"1.12": ("Product Rate Increase %", 0.1, 0.2, 0.3)})
    by_product = read_changed(tmp_path, lines={"1.12": ("Product Rate Increase %", 0.1, None, 0.3)})
    assert by_product.products["product_rate_increase"].to_list() == [0.1, 0.3]


@pytest.mark.slow
def test_plans_that_cannot_be_told(tmp_path):
    ids = ("Plan ID (Standard Component ID)", "12345OR0600007-01", "12345OR060000801", PLANS[2])
    assert read_changed(tmp_path, lines={"1.4": ids}).plans["plan_id"].to_list() == list(PLANS)
    with pytest.raises(InputRefused, match=r"12345OR0600007 stands twice .*WBK-008"):
        read_changed(tmp_path, lines={"1.4": (ids[0], PLANS[0], PLANS[0], PLANS[2])})
    with pytest.raises(InputRefused, match=r"no plan id .*WBK-008"):
        read_changed(tmp_path, lines={"1.4": (ids[0], None, "Plan 2", None)})
    without = read_changed(tmp_path, lines={"1.4": (ids[0], PLANS[0], "to come", PLANS[2])})
    assert without.plans["plan_id"].to_list() == [PLANS[0], PLANS[2]]
    assert without.findings.filter(pl.col("rule_id") == "WBK-009")["where"].to_list() == [f"{PLAN_SHEET}, columns F"]
    other = read_changed(tmp_path, lines={"1.4": (ids[0], "99999OR0600007", *PLANS[1:])})
    assert "WBK-017" in rules_of(other)


def test_words_that_are_not_known_are_kept_and_said(tmp_path):
    lines = {"1.5": ("Metal", "Copper", "Silver", None), "1.9": ("Exchange Plan?", "Both", "No", "Yes")}
    found = read_changed(tmp_path, lines=lines)
    assert found.plans["metal_level"].to_list() == ["copper", "silver", None]
    assert found.plans["on_exchange"].to_list() == [None, False, True]
    assert found.findings.filter(pl.col("rule_id") == "WBK-019").height == 3


def test_text_that_is_no_number_is_said_and_left_blank(tmp_path):
    found = read_changed(tmp_path, lines={"3.6": ("Benefits in Addition to EHB", "see memo", "n/a", "1e400")})
    assert state_of(found, "adj_non_ehb", PLANS[0]) == ("E42", "see memo", "error_in_source")
    assert state_of(found, "adj_non_ehb", PLANS[1])[2] == "missing"
    assert state_of(found, "adj_non_ehb", PLANS[2])[2] == "error_in_source"
    assert found.value("adj_non_ehb", PLANS[0]) is None
    assert found.findings.filter(pl.col("rule_id") == "WBK-006").height == 1


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("HIOS Issuer ID:", None, "HIOS Issuer ID"),
        ("State:", None, "State"),
        ("Market:", "Large group", "Market"),
    ],
)
def test_a_filing_of_nobody_is_refused(tmp_path, entry, value, said):
    with pytest.raises(InputRefused, match=rf"{said}.* cannot be told .*WBK-015"):
        read_changed(tmp_path, market={entry: value})


def test_the_year_may_stand_with_the_plans_only(tmp_path):
    assert read_changed(tmp_path, market={"Effective Date of Rate Change(s):": 0}).header["plan_year"] == 2027
    lines = {"1.10": ("Effective Date of Proposed Rates", None, None, None)}
    with pytest.raises(InputRefused, match="Effective Date"):
        read_changed(tmp_path, market={"Effective Date of Rate Change(s):": None}, lines=lines)


def test_other_workbooks_are_refused(tmp_path):
    with pytest.raises(InputRefused, match=r"no line for plan_adjusted_index_rate.*another version"):
        read_changed(tmp_path, lines={"3.11": None})
    with pytest.raises(InputRefused, match=r"no line for market_adjusted_index_rate.*WBK-003"):
        read_changed(tmp_path, market={"below": {"Market Adjusted Index Rate": "left out"}})
    with pytest.raises(InputRefused, match=r"worksheet 2 is not in the workbook .*Wksh 1.*WBK-002"):
        read_changed(tmp_path, tabs=("Wksh 1", "", "Wksh 3"))
    for content in (b"plan,rate\n1,2\n", b"PK\x03\x04 broken", b""):
        (tmp_path / "no.xlsx").write_bytes(content)
        with pytest.raises(InputRefused, match="WBK-001"):
            read_workbook(tmp_path / "no.xlsx")
    with pytest.raises(InputRefused, match=r"cannot be read: No such file .*WBK-001"):
        read_workbook(tmp_path / "absent.xlsx")
    with pytest.raises(SettingRefused):
        read_changed_with(tmp_path, user_fee_convention="none")


def read_changed_with(folder, **settings):
    write_filed(folder / "urrt.xlsx")
    return read_workbook(folder / "urrt.xlsx", settings=settings)


def test_settings_are_those_of_the_reader(tmp_path):
    found = read_changed_with(tmp_path, csr_sign="minus", rules_of_state="TX")
    assert found.chosen.csr_sign == "minus"
    assert found.header["rules_of_state"] == "TX"
    assert found.model.formulas.get("exp_incurred", "plan").expression.endswith("- exp_csr")


@pytest.mark.slow
def test_tabs_and_markets_may_be_written_otherwise_and_areas_be_missing(tmp_path, filed):
    found = read_changed(tmp_path, tabs=("Experience", "Plans", "Areas"))
    assert found.plans.equals(filed.plans)
    assert found.areas.equals(filed.areas)
    assert read_changed(tmp_path, market={"Market:": "Small  Group "}).header["market"] == "small_group"
    without = read_changed(tmp_path, tabs=("Wksh 1 - Market Experience", "Wksh 2 - Plan Product Info", ""))
    assert without.areas.height == 0
    with pytest.raises(InputRefused, match=r"R-OR001 stands twice .*WBK-018"):
        read_changed(tmp_path, areas={"Rating Area 1": 1, "R-OR001": 1})


def test_a_line_that_stands_twice_must_say_the_same(tmp_path):
    assert read_changed(tmp_path, lines={"3.16": LINES["3.6"]}).value("adj_non_ehb", PLANS[0]) == Decimal("1.01")
    with pytest.raises(InputRefused, match=r"stands twice with different values .*WBK-013"):
        read_changed(tmp_path, lines={"3.16": ("Benefits in Addition to EHB", 2, 2, None)})


def test_days_counted_from_1904(tmp_path):
    path = tmp_path / "urrt.xlsx"
    write_filed(path)
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    book = parts["xl/workbook.xml"]
    assert b"<workbookPr " in book
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            packed.writestr(
                name, content.replace(b"<workbookPr ", b'<workbookPr date1904="1" ') if content is book else content
            )
    assert read_workbook(path).header["effective_date"] == date(2031, 1, 2)


def test_cells_as_other_programs_write_them(tmp_path):
    """Cells without a place, texts in parts, inline, ISO dates, seventeen digits; a declaration is refused."""
    path = tmp_path / "one.xlsx"
    book = xlsxwriter.Workbook(path)
    book.add_worksheet("A").write_string(0, 0, "x")
    book.close()
    rows = (
        '<row><c t="inlineStr"><is><r><t>Allowed </t></r><r><t>Claims</t></r><rPh><t>aid</t></rPh></is></c>'
        "<c><v>1</v></c></row>"
        '<row r="4"><c r="B4"><v>0.11519999999999999</v></c><c t="d"><v>2027-01-01</v></c><c t="b"><v>1</v></c>'
        '<c t="str"><v>#REF!</v></c><c t="str"><f>A1</f><v></v></c></row>'
    )
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist()}
    sheet = re.sub("<sheetData>.*</sheetData>", f"<sheetData>{rows}</sheetData>", parts["xl/worksheets/sheet1.xml"])

    def repacked(content):
        with zipfile.ZipFile(path, "w") as packed:
            for name, text in parts.items():
                packed.writestr(name, content if name == "xl/worksheets/sheet1.xml" else text)
        return path

    (found,) = read_sheets(repacked(sheet))
    assert found.rows == {
        0: {0: ("text", "Allowed Claims"), 1: ("number", "1")},
        3: {1: ("number", "0.1152"), 2: ("text", "2027-01-01"), 3: ("boolean", "1"), 4: ("error", "#REF!")},
    }
    declared = sheet.replace("?>", '?><!DOCTYPE x [<!ENTITY a "b">]>', 1)
    with pytest.raises(InputRefused, match="WBK-001"):
        read_sheets(repacked(declared))
