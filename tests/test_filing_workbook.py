"""The workbook of a filing: its lines and live formulas, what LibreOffice makes of it, and reading it back."""

import re
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal

import filing_g1
import polars as pl
import pytest
import workbook_formulas
from filing_made_up import filing_of, random_case

from data_specs.errors import ExtraMissing, InputRefused, OutputRefused
from rating import review
from rating.filing import read_workbook
from rating.filing._workbook_layout import SHEETS, template_fields

MARKET_SHEET, PLAN_SHEET, AREA_SHEET = SHEETS.values()
BRONZE, SILVER, GOLD = (f"12345XX001000{i}" for i in (1, 2, 3))
RATE, CALIBRATED = "plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate"


def with_changes(frame, **changes):
    """Plans with some values replaced: column -> {plan: value}."""
    for column, of_plan in changes.items():
        old = frame[column].to_list() if column in frame.columns else [None] * frame.height
        new = [of_plan.get(plan, value) for plan, value in zip(frame["plan_id"].to_list(), old, strict=True)]
        frame = frame.with_columns(pl.Series(column, new, dtype=pl.String))
    return frame


@pytest.fixture(scope="module")
def g1():
    return filing_g1.usual()


@pytest.fixture(scope="module")
def started():
    """A new issuer: no experience; a plan that ends, one without members, and text that looks like more."""
    kept = {"exp_member_months": "0", "credibility": "0", "manual_ehb": "655.20"}
    without = ("exp_", "ep_", "trend_", "adj_", "proj_member_months")
    known = {n: v for n, v in filing_g1.assumptions().items() if not n.startswith(without)}
    plans = filing_g1.plans().select(pl.exclude("^exp_.*$"))
    plans = with_changes(
        plans,
        plan_category={BRONZE: "terminated", SILVER: "renewing", GOLD: "new"},
        crosswalk_plan_id={BRONZE: SILVER},
        product_id={GOLD: "12345XX900"},
        plan_name={BRONZE: "=1+1", SILVER: "@x", GOLD: "-0.5"},
        product_name={BRONZE: "+Copper", SILVER: "+Copper", "12345XX0010004": "+Copper"},
        proj_member_months_plan={BRONZE: None, GOLD: "0"},
        cumulative_rate_change={BRONZE: None, GOLD: None},
        av_metal={BRONZE: None},
    )
    variants = pl.DataFrame(
        {"plan_id": [SILVER] * 2, "csr_variant": ["01", "04"], "share": ["0.625", "0.375"]}, schema_overrides={}
    )
    return filing_g1.g1(
        assumptions={**known, **kept},
        plans=plans,
        variants=variants,
        header={"company_legal_name": "=HYPERLINK(1)", "effective_date": "2027-01-01"},
        settings={"calibration_decimals": 4, "csr_sign": "minus"},
    )


@pytest.fixture(scope="module")
def g1_path(g1, tmp_path_factory):
    return written(g1, tmp_path_factory.mktemp("g1"))


@pytest.fixture(scope="module")
def started_path(started, tmp_path_factory):
    return written(started, tmp_path_factory.mktemp("started"))


def written(filing, folder, name="filing"):
    return filing.write_workbook(folder / f"{name}.xlsx")


def recalculated(book):
    """(sheet, cell, formula, value that stands there, value that the formula gives) of all formulas."""
    known = {}
    return [
        (sheet, place, cell.formula, cell.value, workbook_formulas.evaluate(book, sheet, place, known) or None)
        if workbook_formulas.evaluate(book, sheet, place, known) == ""
        else (sheet, place, cell.formula, cell.value, known[sheet, place])
        for sheet, cells in book.items()
        for place, cell in cells.items()
        if cell.formula is not None
    ]


def apart(lines):
    """Formulas that do not give what stands in their cell; an error, or a number for a blank, counts too."""
    return [
        line
        for line in lines
        if (line[3] is None) != (line[4] is None)
        or (line[3] is not None and not (isinstance(line[4], int | float) and abs(line[3] - line[4]) <= 1e-6))
    ]


def label_rows(cells, column="C"):
    """Label -> row of a sheet, the first of each."""
    found = {}
    for place, cell in cells.items():
        letters, row = re.fullmatch(r"([A-Z]+)([0-9]+)", place).groups()
        if letters == column and isinstance(cell.value, str):
            found.setdefault(cell.value, int(row))
    return found


def same_numbers(read, filing):
    """Names and places of the filing's quantities that were read back otherwise."""
    grains, quantity = filing.model.places.grain, filing.model.formulas.quantity
    wrong = []
    for entry in filing.ledger:
        if quantity(entry.name, grains(entry.place)) is None:
            continue
        found = read.ledger.get(*entry.key)
        values = [None if e is None or e.value is None else float(e.value) for e in (found, entry)]
        if found is None or values[0] != values[1]:
            wrong.append(entry.key)
    return wrong


# ------------------------------------------------------------------------------------------------ what is written


def test_lines_numbers_and_labels_are_those_of_the_template(g1_path):
    book = workbook_formulas.read(g1_path)
    assert list(book)[:3] == list(SHEETS.values())
    numbers = [c.value for p, c in book[PLAN_SHEET].items() if re.fullmatch(r"B[0-9]+", p) and c.value]
    known = [f.number for f in template_fields() if f.worksheet == 2 and f.number and not f.is_pmpm]
    sections = [f"Section {i}:" for i in ("I", "II", "III", "IV")]
    assert [n for n in numbers if n in known] == known
    assert [n.split(" ", 2)[1] for n in numbers if n.startswith("Section")] == [s.split()[1] for s in sections]
    labels = label_rows(book[PLAN_SHEET])
    for label, number in (("Calibrated Plan Adjusted Index Rate", "3.15"), ("CSR Load", "3.4"), ("Metal", "1.5")):
        assert book[PLAN_SHEET][f"B{labels[label]}"].value == number
    market = label_rows(book[MARKET_SHEET], "B")
    for label in ("Prescription Drug", "Applied Credibility %", "Exchange User Fees", "Experience Period"):
        assert label in market
    assert book[MARKET_SHEET][f"H{market['Market Adjusted Index Rate']}"].value == pytest.approx(601.784615, abs=0.0005)


def test_formulas_give_our_numbers_and_worksheet_2_refers_to_worksheet_1(g1_path):
    book = workbook_formulas.read(g1_path)
    lines = recalculated(book)
    assert apart(lines) == []
    assert len(lines) > 150
    formulas = {(sheet, place): formula for sheet, place, formula, *_ in lines}
    rows, market = label_rows(book[PLAN_SHEET]), label_rows(book[MARKET_SHEET], "B")
    assert formulas[PLAN_SHEET, f"F{rows['Market Adjusted Index Rate']}"] == (
        f"'{MARKET_SHEET}'!H{market['Market Adjusted Index Rate']}"
    )
    at = [
        f"E{rows[f.label.split(' (')[0]] if f.label.split(' (')[0] in rows else rows[f.label]}"
        for f in (f for f in template_fields() if f.section == "III" and f.number in ("3.11", "3.12", "3.13", "3.14"))
    ]
    assert formulas[PLAN_SHEET, f"E{rows['Calibrated Plan Adjusted Index Rate']}"] == "*".join(at)
    inputs = {c for p, c in book[PLAN_SHEET].items() if p == f"E{rows['Administrative Expense']}"}
    assert {c.formula for c in inputs} == {None}


def test_an_input_that_is_changed_goes_through_to_the_rates(g1, g1_path):
    book = workbook_formulas.read(g1_path)
    row = label_rows(book[MARKET_SHEET], "B")["Professional"]
    book[MARKET_SHEET][f"D{row}"] = workbook_formulas.Cell(None, 1.08)
    changed = filing_g1.g1(assumptions={**filing_g1.assumptions(), "trend_y1_cost_professional": "1.08"})
    at = label_rows(book[PLAN_SHEET])["Calibrated Plan Adjusted Index Rate"]
    for column, plan in zip("EFG", (BRONZE, SILVER, GOLD), strict=True):
        found = workbook_formulas.evaluate(book, PLAN_SHEET, f"{column}{at}")
        assert found == pytest.approx(float(changed.value(CALIBRATED, plan)), abs=1e-9)
        assert found != pytest.approx(float(g1.value(CALIBRATED, plan)), abs=0.1)


@pytest.mark.slow
def test_no_experience_and_plans_that_end_leave_blanks_and_no_error(started_path):
    book = workbook_formulas.read(started_path)
    lines = recalculated(book)
    assert apart(lines) == []
    assert not any(
        isinstance(c.value, str) and c.value.startswith("#") for cells in book.values() for c in cells.values()
    )
    market = label_rows(book[MARKET_SHEET], "B")
    assert book[MARKET_SHEET][f"D{market['Allowed Claims']}"].value is None
    assert "IF(" in book[MARKET_SHEET][f"D{market['Allowed Claims']}"].formula
    rows = label_rows(book[PLAN_SHEET])
    columns = {book[PLAN_SHEET][f"{c}{rows['Plan ID (Standard Component ID)']}"].value: c for c in "EFGH"}
    for label in ("Plan Adjusted Index Rate", "Calibrated Plan Adjusted Index Rate"):
        assert book[PLAN_SHEET][f"{columns[BRONZE]}{rows[label]}"].value == 0
        assert book[PLAN_SHEET][f"{columns[GOLD]}{rows[label]}"].value > 100
    assert book[PLAN_SHEET][f"{columns[GOLD]}{rows['Premium PMPM']}"].value is None
    # The calibration is rounded there as here.
    assert book[PLAN_SHEET][f"E{rows['Age Calibration Factor']}"].formula.startswith("ROUND(1/")


def test_text_stays_text(started_path):
    book = workbook_formulas.read(started_path)
    rows = label_rows(book[PLAN_SHEET])
    cells = [book[PLAN_SHEET].get(f"{c}{rows['Plan Name']}") for c in "EFGH"]
    assert [c.value for c in cells if c.value] == ["=1+1", "@x", "-0.5"]
    assert all(c.formula is None for c in cells)
    read = read_workbook(started_path)
    assert dict(read.plans.select("plan_id", "plan_name").rows())[GOLD] == "-0.5"
    assert read.header["company_legal_name"] == "=HYPERLINK(1)"


def test_notes_and_sources_say_what_it_rests_on(g1, g1_path):
    book = workbook_formulas.read(g1_path)
    notes = {c.value for c in book["Notes"].values()}
    assert {"user_fee_convention", "gross_up", "PRC-022", "rating/tobacco_limits"} <= notes
    rows = {cell.value: place for place, cell in book["Sources"].items() if place.startswith("B")}
    row = rows["trend_y2_util_professional"].removeprefix("B")
    assert [book["Sources"][f"{c}{row}"].value for c in "CDEG"] == ["market", f"{MARKET_SHEET}!G25", 1.012, "input"]
    assert len(rows) >= len({entry.name for entry in g1.ledger})


def test_equal_filings_give_equal_files(g1_path, tmp_path):
    assert g1_path.read_bytes() == written(filing_g1.g1(), tmp_path).read_bytes()


@pytest.mark.slow
def test_a_file_is_written_whole_or_not_at_all(g1, tmp_path, monkeypatch):
    path = written(g1, tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr("rating.filing._workbook_write.write_sources", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        g1.write_workbook(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["filing.xlsx"]
    with pytest.raises(OutputRefused, match=r"cannot end in '\.xls'"):
        g1.write_workbook(tmp_path / "filing.xls")
    with pytest.raises(OutputRefused):
        g1.write_workbook(tmp_path / "nowhere" / "filing.xlsx")


def test_missing_extra_is_named(g1, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ExtraMissing, match=r"poolwise\[excel\]"):
        g1.write_workbook(tmp_path / "filing.xlsx")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ back again


def check_round_trip(filing, path, said=()):
    read = read_workbook(path)
    assert same_numbers(read, filing) == []
    for name in ("areas", "mix", "products", "variants", "settings", "plans"):
        assert getattr(read, name).equals(getattr(filing, name)), name
    assert {k: v for k, v in read.header.items() if v is not None} == {
        k: v for k, v in filing.header.items() if v is not None
    }
    assert set(read.findings["rule_id"]) == set(said)
    return read


def check_again(read, folder):
    """What was read is written and read once more."""
    path = written(read, folder, "again")
    assert same_numbers(read_workbook(path), read) == []
    lines = recalculated(workbook_formulas.read(path))
    assert apart(lines) == []
    return lines


def test_what_is_written_is_read_back(g1, g1_path, tmp_path):
    read = check_round_trip(g1, g1_path)
    assert len(check_again(read, tmp_path)) > 150  # what follows is live again
    assert read.ledger.get("adj_network", SILVER).source == f"as filed: {PLAN_SHEET}!F44"
    assert read.cells.filter(pl.col("state") == "error_in_source").height == 0
    found = review.run(read)
    assert found.findings.height == 0
    assert found.counts["pass"].sum() > 80
    assert found.counts.filter(pl.col("pass") == 0).height == 0


def test_a_filing_with_blanks_is_read_back(started, started_path):
    read = check_round_trip(started, started_path, said=["WBK-017"])  # a product id that is not in the plan's
    assert read.value(RATE, BRONZE) == 0
    assert read.value("exp_allowed_claims_pmpm") is None
    states = dict(read.cells.filter(pl.col("name") == "exp_allowed_claims_pmpm").select("name", "state").rows())
    assert states == {"exp_allowed_claims_pmpm": "missing"}
    assert read.chosen.csr_sign == "minus"
    assert read.variants["member_months"].to_list() == [37500, 22500]
    assert set(review.run(read).findings["check_id"]) <= {"RV-013"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 8, 11, 12, 21, 33, 40, 52])
def test_made_up_filings_are_read_back(seed, tmp_path):
    filing = filing_of(random_case(seed))
    path = written(filing, tmp_path)
    check_round_trip(filing, path)
    assert apart(recalculated(workbook_formulas.read(path))) == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 160, 10))
def test_many_made_up_filings_are_read_back_twice(start, tmp_path):
    for seed in range(start, start + 10):
        try:
            filing = filing_of(random_case(seed))
        except InputRefused:  # some of them are meant to be
            continue
        path = written(filing, tmp_path)
        assert apart(recalculated(workbook_formulas.read(path))) == [], seed
        check_again(check_round_trip(filing, path), tmp_path)


@pytest.mark.slow
def test_factors_by_plan_are_read_back(tmp_path):
    areas = filing_g1.areas()
    plans = filing_g1.plans()["plan_id"].to_list()
    by_plan = pl.concat([areas.with_columns(pl.lit(plan).alias("plan_id")) for plan in plans])
    by_plan = by_plan.with_columns(
        pl.when(pl.col("plan_id") == GOLD).then(pl.lit("1.01")).otherwise("area_factor").alias("area_factor")
    )
    filing = filing_g1.g1(areas=by_plan)
    read = check_round_trip(filing, written(filing, tmp_path))
    assert read.areas.filter(pl.col("plan_id") == GOLD)["area_factor"].to_list() == [1.01, 1.01]


@pytest.mark.slow
def test_a_number_that_does_not_follow_stays_as_it_was_filed(g1, tmp_path):
    filed = g1.as_filed({(RATE, SILVER): "700.00", ("proj_premium", GOLD): None})
    read = read_workbook(written(filed, tmp_path))
    assert read.value(RATE, SILVER) == Decimal("700")
    assert read.value("proj_premium", GOLD) is None
    book = workbook_formulas.read(tmp_path / "filing.xlsx")
    row = label_rows(book[PLAN_SHEET])["Plan Adjusted Index Rate"]
    assert [book[PLAN_SHEET][f"{c}{row}"].formula is None for c in "EFG"] == [False, True, False]
    assert {"RV-007", "RV-008"} <= set(review.run(read).findings["check_id"])


# ------------------------------------------------------------------------------------------------ LibreOffice

ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">
<value>0</value></prop></item></oor:items>"""


def without_values(path, target):
    """A copy in which no formula has a value: what a program shows there, it has worked out."""
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(target, "w") as bare:
        for name in packed.namelist():
            content = packed.read(name)
            if name.startswith("xl/worksheets/"):
                content = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", content)
            bare.writestr(name, content)
    return target


@pytest.mark.slow
def test_libreoffice_works_out_our_numbers(g1, started, tmp_path):
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("soffice is not on PATH")
    filings = {"g1": g1, "started": started, "read": read_workbook(written(g1, tmp_path))}
    filings |= {f"made_up_{seed}": filing_of(random_case(seed)) for seed in (5, 8, 12, 21)}
    ours = {name: workbook_formulas.read(written(filing, tmp_path, name)) for name, filing in filings.items()}
    bare = [str(without_values(tmp_path / f"{name}.xlsx", tmp_path / f"bare_{name}.xlsx")) for name in filings]
    profile = tmp_path / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(ALWAYS, encoding="utf-8")
    how = [office, f"-env:UserInstallation={profile.parent.as_uri()}", "--headless", "--convert-to", "xlsx"]
    done = subprocess.run(
        [*how, "--outdir", str(tmp_path / "out"), *bare], capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    for name, book in ours.items():
        theirs = workbook_formulas.read(tmp_path / "out" / f"bare_{name}.xlsx")
        lines = [
            (sheet, place, cell.formula, cell.value, theirs[sheet][place].value if place in theirs[sheet] else None)
            for sheet, cells in book.items()
            for place, cell in cells.items()
            if cell.formula is not None
        ]
        assert len(lines) > 100
        assert apart(lines) == [], name
