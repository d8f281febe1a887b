"""Page and workbook of failsafes: what they show, what they keep back, and that the workbook's formulas hold."""

import re
import shutil
import subprocess
import sys
from decimal import Decimal

import polars as pl
import pytest
import radv_markets
import workbook_formulas
from failsafe_tables import cells_of, claims_of, ran, ratio_years, statements, wrong_formulas

from data_specs.errors import ExtraMissing
from poolwise.report import failsafes_page, write_failsafes_sheets
from poolwise.report._failsafes_charts import signed_short
from poolwise.report._failsafes_page import told
from poolwise.report._failsafes_year import IssuerYear, YearLine, hidden_payment, issuer_year, issuers_of, shown_year

MANY = {"11111": [400_000.0] * 12 + [1_000.0] * 20, "22222": [60_000.0] * 15 + [500.0] * 30, "33333": [50_000.5] * 11}


@pytest.fixture(scope="module")
def whole():
    """A year with every program of its time: money runs short, audits are of another market."""
    issuers = ("11111", "22222", "33333")
    return ran(
        claims=claims_of(MANY),
        corridors=statements(*issuers),
        loss_ratio_years=ratio_years(*issuers),
        settings={"payout_rate": "0.126", "budget": "2000000.01", "member_months": "900", "seed": "1", "draws": "20"},
    )


@pytest.fixture(scope="module")
def audited():
    """A market that is audited, settled twice, and reinsured by areas with the high-cost pool netted first."""
    people = radv_markets.people_of(11, 2022, issuers=4, enrollees=120)
    audit = radv_markets.audit_of(people)
    first = min(audit["sample"]["issuer_id"].to_list())
    rows = radv_markets.frame_of(radv_markets.rows_of(5, issuers=4, first=int(first)))
    issuers = rows["issuer_id"].unique().sort().to_list()
    claims = claims_of({i: [3_000.0 * (n + 1) for n in range(40)] + [1_800_000.0] * 12 for i in issuers})
    area = pl.when(pl.col("enrollee_id").str.ends_with("1")).then(pl.lit("1")).otherwise(pl.lit("2"))
    claims = claims.with_columns(
        area.alias("rating_area_id"), pl.lit("GA").alias("state"), risk_pool=pl.lit("individual")
    )
    layers = {"rating_area_id": ["1", "2", "2"], "from_usd": [20_000.0, 30_000.0, 90_000.0], "to_usd": [5e5, 9e4, None]}
    nation = {"group": ["low", "medium", "high"], "mean_failure_rate": [0.0, 0.02, 0.05]}
    return ran(
        2022,
        state="GA",
        claims=claims,
        layers=pl.DataFrame(layers | {"share": [0.4, 0.5, 0.25]}),
        plan_rows=rows,
        audit_sample=audit["sample"],
        audit_hccs=audit["hccs"],
        national_statistics=pl.DataFrame(nation | {"standard_deviation": [0.05, 0.05, 0.05]}),
        settings={
            "high_cost_order": "net_first",
            "cents_balance": "largest_remainder",
            "error_rate_scaling_factor": "1.1",
        },
    )


# ------------------------------------------------------------------------------------------------ the year


def test_the_year_adds_up(whole):
    year = issuer_year(whole, "11111")
    assert [line.program for line in year.lines] == ["transfers", "reinsurance", "risk_corridors", "medical_loss_ratio"]
    assert (year.premium, year.claims) == (Decimal("10000000.0"), Decimal("8900000.0"))
    level = year.before
    for line, before, after in year.levels():
        assert before == level
        level = before + line.amount
        assert after == level
    assert year.after == level == year.before + sum(line.amount for line in year.lines)
    assert year.loss_ratios()[-1] == pytest.approx(1 - float(year.after) / 1e7)


def test_amounts_of_the_year_are_those_of_the_programs(whole):
    amounts = {line.program: line.amount for line in issuer_year(whole, "11111").lines}
    paid = whole.reinsurance.issuers.filter(issuer_id="11111")["payment"][0]
    assert amounts["reinsurance"] == paid
    assert amounts["medical_loss_ratio"] == -whole.medical_loss_ratio.issuers.filter(issuer_id="11111")["rebate"][0] < 0
    assert amounts["transfers"] == 200_000  # of the statement: there are no plan rows


def test_an_issuer_without_premium_has_no_ratio():
    run = ran(2022, state="MD", claims=claims_of({"11111": [50_000.0] * 20}))
    year = issuer_year(run, "11111")
    assert (year.premium, year.claims, year.before) == (None, Decimal("1000000.00"), 0)
    assert year.loss_ratios() == [None, None]
    assert told(year) == ["For issuer 11111: reinsurance +$480 K."]


@pytest.mark.slow
def test_issuers_of_the_largest_premium_come_first(audited):
    premiums = {i: issuer_year(audited, i).premium for i in issuers_of(audited)}
    assert list(premiums.values()) == sorted(premiums.values(), reverse=True)


def test_amounts_with_their_sign():
    assert [signed_short(d) for d in (0.2, -0.2, 1_500, -2.5e6)] == ["$0", "$0", "+$1.50 K", "−$2.50 M"]


def test_a_year_that_loses_money_is_told():
    year = IssuerYear("1", Decimal(100), Decimal(120), "x", [YearLine("reinsurance", "Reinsurance", Decimal(5), "y")])
    assert (
        told(year)[1]
        == "Claims take 120.0% of premium before the programs and 115.0% after them: $15 more than there is."
    )


# ------------------------------------------------------------------------------------------------ small groups


def test_payments_for_few_people_are_added_to_the_claims(undrawn_charts):
    few = ran(2014, claims=claims_of({"11111": [400_000.0] * 3 + [100.0] * 40}), corridors=statements("11111"))
    assert hidden_payment(few.reinsurance.issuers, "enrollees_paid", "11111")
    year = shown_year(few, "11111")
    assert [line.program for line in year.lines] == ["transfers", "risk_corridors"]
    assert year.claims == 8_900_000 - 615_000
    assert year.after == issuer_year(few, "11111").after
    html = failsafes_page(few, "11111", title="Made")
    for amount in ("615,000.00", "8,900,000.00", "1,200,400.00"):  # the payment, claims before it, claims in all
        assert amount not in html
    assert "Fewer" in html or "fewer than 11 people" in html


def test_an_issuer_of_few_people_is_not_shown(undrawn_charts):
    few = ran(2014, claims=claims_of({"11111": [400_000.0] * 5, "22222": [100_000.0] * 40}))
    html = failsafes_page(few, "11111", title="Made")
    assert "its year is not shown" in html
    assert "The year, before and after" not in html
    rows = {r[0]: r[1:] for r in cells_of(html, "Issuers") if r}
    assert rows["11111"] == rows["22222"] == ["–"] * 4, "the other one follows from what is paid in all"


@pytest.mark.slow
def test_many_people_are_shown(whole, undrawn_charts):
    html = failsafes_page(whole, "11111", title="Made")
    rows = {r[0]: r[1:] for r in cells_of(html, "Issuers") if r}
    assert rows["11111"][:3] == ["32", "12", "4,820,000.00"]
    assert shown_year(whole, "11111") == issuer_year(whole, "11111")


# ------------------------------------------------------------------------------------------------ page


def test_the_page_shows_each_program(whole, undrawn_charts):
    html = failsafes_page(whole, "11111", title="Made <up> & all", notes=["A & B"], links={"There": "x.html"})
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert headings[:4] == [
        "The year, before and after each program",
        "Reinsurance",
        "Risk corridors",
        "Loss ratio rebate",
    ]
    assert "Made &lt;up&gt; &amp; all" in html
    assert '<a href="x.html">There</a>' in html
    year = {r[0]: r[1:4] for r in cells_of(html, headings[0]) if r}
    assert year["Premium"][0] == "10,000,000.00"
    assert year["Claims"] == ["−8,900,000.00", "1,100,000.00", "89.0%"]
    steps = {r[0] or r[1]: r[2] for r in cells_of(html, "Issuer 11111, step by step") if r}
    assert (steps["N"], steps["M"]) == ("9,700,000.00", "2,240,000.00")
    assert 'class="warning">uncertain' in html
    assert "payout_rate" not in re.findall(r"<h2>Uncertain.*?</section>", html, re.DOTALL)[0]  # it was given
    assert html == failsafes_page(whole, "11111", title="Made <up> & all", notes=["A & B"], links={"There": "x.html"})


@pytest.mark.slow
def test_the_page_of_audits(audited, undrawn_charts):
    issuer = issuers_of(audited)[0]
    html = failsafes_page(audited, issuer, title="Made")
    rows = [r for r in cells_of(html, "The nation") if r]
    assert [r[0] for r in rows] == ["low", "medium", "high"]
    moved = audited.radv_adjustment.transfers.group_by("issuer_id").agg(pl.col("adjustment").sum())
    assert (moved["adjustment"] != 0).any(), "the audits must move something here"
    year = {r[0]: r[1] for r in cells_of(html, "The year, before and after each program") if r}
    adjusted = moved.filter(issuer_id=issuer)["adjustment"][0]
    assert year["Data validation"].replace("−", "-").replace(",", "") == str(adjusted)
    assert not any(e in html for e in audited.radv_adjustment.enrollees["enrollee_id"].to_list())


def test_the_page_needs_its_extra(whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ExtraMissing, match="altair"):
        failsafes_page(whole, "11111", title="Made")


@pytest.mark.slow
def test_the_page_in_a_browser(whole, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no browser here")
    path = tmp_path / "failsafes.html"
    path.write_text(failsafes_page(whole, "11111", title="Made"), encoding="utf-8")
    shown = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri()]
    found = subprocess.run(shown, capture_output=True, check=True, timeout=60).stdout.decode()
    assert found.count("<svg") == 2
    assert "After all programs" in found


# ------------------------------------------------------------------------------------------------ workbook


def test_formulas_of_every_program_hold(whole, tmp_path):
    path = tmp_path / "failsafes.xlsx"
    write_failsafes_sheets(path, whole, "11111", title="Made")
    count, wrong = wrong_formulas(path)
    assert wrong == []
    assert count > 250
    sheets = list(workbook_formulas.read(path))
    assert sheets[:3] == ["Read me", "Year", "Reinsurance terms"]
    assert {"Reinsured enrollees", "Reinsurance", "Corridor terms", "Risk corridors", "Loss ratio"} <= set(sheets)


@pytest.mark.slow
def test_formulas_of_audits_and_areas_hold(audited, tmp_path):
    path = tmp_path / "failsafes.xlsx"
    write_failsafes_sheets(path, audited, issuers_of(audited)[0], title="Made")
    count, wrong = wrong_formulas(path)
    assert wrong == []
    assert count > 1_000
    assert {"Audit groups", "Error rates", "Data validation", "High-cost risk pool"} <= set(
        workbook_formulas.read(path)
    )


@pytest.mark.slow
def test_a_changed_figure_goes_through(whole, tmp_path):
    """A claim changed in the workbook moves the payment, the issuer, and its year."""
    path = tmp_path / "failsafes.xlsx"
    write_failsafes_sheets(path, whole, "11111", title="Made")
    book = workbook_formulas.read(path)
    place = workbook_formulas.place(book, "Reinsurance", "Received", row=0)
    before = workbook_formulas.evaluate(book, "Reinsurance", place)
    claim = workbook_formulas.place(book, "Reinsured enrollees", "Claims", row=0)
    book["Reinsured enrollees"][claim] = workbook_formulas.Cell(None, 50_000.0)
    assert workbook_formulas.evaluate(book, "Reinsurance", place) < before
    amount = next(p for p, c in book["Year"].items() if c.value == "Reinsurance").replace("A", "C")
    assert workbook_formulas.evaluate(book, "Year", amount) == workbook_formulas.evaluate(book, "Reinsurance", place)


def test_the_workbook_needs_its_extra(whole, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ExtraMissing, match="xlsxwriter"):
        write_failsafes_sheets(tmp_path / "failsafes.xlsx", whole, "11111", title="Made")
