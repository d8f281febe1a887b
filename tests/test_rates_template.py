"""Consumer rates in the layout of the Rates Table: what is written is read back; tables as they are filed."""

import csv
import re
from datetime import date
from decimal import Decimal

import filing_g1
import polars as pl
import pytest
import workbook_formulas
import xlsxwriter

from data_specs.errors import InputRefused, OutputRefused
from rating import rate_table
from rating.filing import read_rates_template

HEADINGS = ["Plan ID", "Rating Area ID", "Tobacco", "Age", "Individual Rate"]
PLAN = "12345OR0600007"
SPLIT, NONE = "Tobacco User/Non-Tobacco User", "No Preference"


@pytest.fixture(scope="module")
def g1():
    return filing_g1.usual()


def rates_of(state, market="individual", **columns):
    """A small table of rates: two plans, two areas."""
    plans = {"plan_id": [f"12345{state}001000{i}" for i in (1, 2)], "base_rate": ["312.47", "401.5"], **columns}
    areas = pl.DataFrame({"rating_area_id": ["1", "2"], "area_factor": ["1", "1.0937"]})
    return rate_table(pl.DataFrame(plans), areas, state=state, market=market, plan_year=2026)


def with_rates(g1, rates):
    return g1.as_filed(rates=rates)


# ------------------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize(
    ("state", "market", "columns"),
    [
        pytest.param("TX", "individual", {"tobacco_ratio": ["1.2", None]}, id="tobacco"),
        pytest.param("NY", "individual", {}, id="tiers"),
        pytest.param("OR", "small_group", {"trend_q2": ["1.01", "1"], "trend_q4": ["1.03", "1"]}, id="quarters"),
    ],
)
@pytest.mark.every_case
def test_rates_are_read_back_as_they_were_written(g1, tmp_path, state, market, columns):
    rates = rates_of(state, market, **columns)
    for suffix in ("xlsx", "csv"):
        path = with_rates(g1, rates).write_rates_template(tmp_path / f"rates.{suffix}")
        found = read_rates_template(path)
        assert found.schema == rates.schema
        assert found.equals(rates), suffix


def test_the_table_of_a_filing(g1, tmp_path):
    path = g1.write_rates_template(tmp_path / "rates.csv")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == g1.rates.height
    expected = filing_g1.expected_rates()
    first, last = rows[0], rows[-1]
    assert (first["Plan ID"], first["Rating Area ID"], first["Age"]) == ("12345XX0010001", "Rating Area 1", "0-14")
    assert (last["Age"], last["Tobacco"]) == ("64 and over", SPLIT)
    assert (first["HIOS Issuer ID"], first["Rating Method"]) == ("12345", "Age-Based Rates")
    assert (first["Rate Effective Date"], first["Rate Expiration Date"]) == ("2027-01-01", "2027-12-31")
    found = {(r["Plan ID"], r["Rating Area ID"][-1], r["Age"][:2]): r for r in rows}
    for (plan, area, age, tobacco), rate in expected.items():
        row = found[plan, area[-1], "0-" if age < 15 else str(age)]
        assert Decimal(row["Individual Tobacco Rate" if tobacco == "Y" else "Individual Rate"]) == rate


def test_a_sheet_for_each_effective_date(g1, tmp_path):
    rates = rates_of("OR", "small_group", trend_q1=["1", "1"], trend_q3=["1.02", "1.02"])
    book = workbook_formulas.read(with_rates(g1, rates).write_rates_template(tmp_path / "rates.xlsx"))
    assert list(book) == ["Rates 2026-01-01", "Rates 2026-07-01"]
    sheet = book["Rates 2026-07-01"]
    assert [sheet[f"A{row}"].value for row in range(2, 6)] == [
        "HIOS Issuer ID*",
        "Rate Effective Date*",
        "Rate Expiration Date*",
        "Rating Method*",
    ]
    assert [sheet[f"B{row}"].value for row in range(2, 6)] == ["12345", 46204, 46295, "Age-Based Rates"]
    assert [sheet[f"{c}7"].value for c in "ABCDE"] == [f"{heading}*" for heading in HEADINGS]
    assert "F7" not in sheet  # no plan rates tobacco


def test_family_tiers_have_their_columns(g1, tmp_path):
    book = workbook_formulas.read(with_rates(g1, rates_of("NY")).write_rates_template(tmp_path / "rates.xlsx"))
    sheet = book["Rates 2026-01-01"]
    assert sheet["B5"].value == "Family-Tier Rates"
    assert [sheet[f"{c}8"].value for c in "CD"] == [NONE, "Family Option"]
    heads = [cell.value for place, cell in sheet.items() if re.fullmatch(r"[A-Z]+7", place)]
    assert heads[5:8] == ["Couple", "Primary Subscriber and One Dependent", "Primary Subscriber and Two Dependents"]
    assert heads[-1] == "Child Only"


def test_what_cannot_be_written(g1, tmp_path):
    with pytest.raises(InputRefused, match="no rates"):
        with_rates(g1, g1.rates.clear()).write_rates_template(tmp_path / "rates.csv")
    with pytest.raises(OutputRefused, match=r"\.parquet"):
        g1.write_rates_template(tmp_path / "rates.parquet")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ as filed


def write_table(path, *, header=None, headings=None, rows=None):
    """A sheet as it is filed: instructions above, required remarks below the headings."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("Rates")
    sheet.write(0, 0, "All fields with an asterisk (*) are required. To validate press the Validate button.")
    entries = {
        "HIOS Issuer ID*": 12345,
        "Federal TIN*": "12-3456789",
        "Rate Effective Date*": "1/1/2027",
        "Rate Expiration Date*": 46752,
        "Rating Method*": "Age-Based Rates",
        **(header or {}),
    }
    for row, (label, value) in enumerate(entries.items(), 5):
        sheet.write(row, 0, label)
        if value is not None:
            sheet.write(row, 1, value)
    sheet.write_row(12, 0, headings or [f"{heading}*" for heading in HEADINGS] + ["Individual Tobacco Rate*"])
    sheet.write_row(13, 0, ["Required: Enter the 14-character Plan ID", *["Required: ..."] * 4])
    for i, row in enumerate(rows or [], 14):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(i, column, value)
    book.add_worksheet("Lists").write(0, 0, "No Preference")
    book.close()
    return path


def test_a_table_as_it_is_filed(tmp_path):
    rows = [
        [PLAN, "Rating Area 1, Rating Area 3", NONE, "0-14", "$239.04"],
        [PLAN, "Rating Area 1", NONE, 21, 312.47],
        [None] * 5,
        [PLAN, "Rating Area 1", SPLIT, "64 and over", "$1,037.4", 1244.88],
    ]
    found = read_rates_template(write_table(tmp_path / "rates.xlsx", rows=rows))
    assert found.select(
        "rating_area_id", "age_band", "tobacco", "individual_rate", "individual_tobacco_rate"
    ).rows() == [
        ("R-OR001", "0-14", "no_preference", Decimal("239.04"), None),
        ("R-OR001", "21", "no_preference", Decimal("312.47"), None),
        ("R-OR001", "64+", "split", Decimal("1037.40"), Decimal("1244.88")),
        ("R-OR003", "0-14", "no_preference", Decimal("239.04"), None),
    ]
    assert found["plan_year"].unique().to_list() == [2027]
    assert found["expiration_date"].unique().to_list() == [date(2027, 12, 31)]


def test_headings_in_any_order_and_marks(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text(
        "\ufeffAge,Rate Effective Date,Plan ID,INDIVIDUAL RATE,Rating Area ID,Tobacco,"
        "Rate Expiration Date,HIOS Issuer ID\n"
        f'Family Option,20270101,{PLAN},"1,200.00",R-OR002,no preference,2027-12-31,12345\n\n',
        encoding="utf-8",
    )
    (row,) = read_rates_template(path).to_dicts()
    assert (row["age_band"], row["individual_rate"], row["rating_area_id"]) == ("family", Decimal("1200.00"), "R-OR002")
    assert row["couple"] is None


GOOD = [PLAN, "Rating Area 1", NONE, "21", 312.47, None]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({0: "12345OR06"}, r"Plan ID: not readable .*row 15.*RTT-003"),
        ({1: "Rating Area 0"}, "Rating Area ID: not readable"),
        ({1: "R-WA001"}, "Rating Area ID: not readable"),
        ({1: "Rating Area 1, everywhere"}, "Rating Area ID: not readable"),
        ({2: "Sometimes"}, "Tobacco: not readable"),
        ({3: "adult"}, "Age: not readable"),
        ({4: None}, "Individual Rate: not readable"),
        ({4: 0}, "Individual Rate: not readable"),
        ({4: 312.475}, "Individual Rate: not readable"),
        ({4: "call us"}, "Individual Rate: not readable"),
        ({0: "99999OR0600007"}, r"not of issuer 12345 .*RTT-006"),
        ({5: 400}, r"do not go together .*RTT-005"),
        ({2: SPLIT}, r"do not go together .*RTT-005"),
    ],
)
@pytest.mark.every_case
def test_rows_that_cannot_be_used(tmp_path, changes, said):
    row = [changes.get(i, value) for i, value in enumerate(GOOD)]
    with pytest.raises(InputRefused, match=said):
        read_rates_template(write_table(tmp_path / "rates.xlsx", rows=[row]))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"HIOS Issuer ID*": None}, r"HIOS Issuer ID: absent .*RTT-002"),
        ({"Rate Effective Date*": "soon"}, "Rate Effective Date: absent or unreadable"),
        ({"Rate Expiration Date*": "12/31/2026"}, "expire before they take effect"),
    ],
)
@pytest.mark.every_case
def test_headers_that_cannot_be_used(tmp_path, header, said):
    with pytest.raises(InputRefused, match=said):
        read_rates_template(write_table(tmp_path / "rates.xlsx", header=header, rows=[GOOD]))


def test_tables_that_are_none(tmp_path):
    with pytest.raises(InputRefused, match=r"rate stands twice .*age 21.*RTT-004"):
        read_rates_template(write_table(tmp_path / "rates.xlsx", rows=[GOOD, GOOD]))
    with pytest.raises(InputRefused, match=r"no table of rates .*RTT-001"):
        read_rates_template(write_table(tmp_path / "rates.xlsx", headings=["Plan", "Rate"], rows=[GOOD]))
    with pytest.raises(InputRefused, match=r"no table of rates"):
        read_rates_template(write_table(tmp_path / "rates.xlsx"))
    (tmp_path / "rates.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputRefused, match="no CSV in UTF-8"):
        read_rates_template(tmp_path / "rates.csv")
    with pytest.raises(InputRefused, match=r"cannot be read.*RTT-001"):
        read_rates_template(tmp_path / "absent.csv")
