"""`poolwise failsafes` against dirty folders: what fills open statements, which file a refusal names, small cells."""

import re
from decimal import Decimal

import polars as pl
import pytest
import radv_markets
from commands import refused
from failsafe_tables import (
    CLAIMS,
    HCCS,
    NATION,
    PLAN_ROWS,
    SAMPLE,
    STATEMENT,
    YEARS,
    cells_of,
    claims_of,
    document,
    put,
    ran,
    ratio_years,
    statements,
    wrong_formulas,
    year_of,
)

from poolwise.cli._failsafes_inputs import with_statement
from poolwise.report import failsafes_page, write_failsafes_sheets
from poolwise.report._failsafes_radv_section import radv_section
from poolwise.report._failsafes_year import issuer_year

pytestmark = pytest.mark.usefixtures("plain_terminal", "undrawn")
ONCE = YEARS.replace(",9900000,5000000,", ",9900000,0,")  # nothing is adjusted before 2014


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("poolwise.cli._failsafes_results.FailsafesOutcome.draw", lambda *_, **__: False)
    monkeypatch.setattr("poolwise.report._failsafes_page.bridge_chart", lambda _: None)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "year"
    place.mkdir()
    return place


def three_years(last, *markets, received="0"):
    """The statement of three years up to `last`, a market each, risk adjustment of the last year as given."""
    head, *lines = ONCE.splitlines()
    years = zip(("2021", "2022", "2023"), range(last - 2, last + 1), strict=True)
    moved = [line.replace(f",{old},", f",{new},") for line, (old, new) in zip(lines, years, strict=True)]
    moved = [line.replace("10350000,-3000000", "10350000,0") for line in moved]
    moved = [line.replace(",10800000,2000000,", f",10800000,{received},") for line in moved]
    return "\n".join([head, *(line.replace("individual", m) for m in markets for line in moved)]) + "\n"


def ratios(found):
    return {row["market"]: row for row in found["programs"]["medical_loss_ratio"]["issuers"]}


# ------------------------------------------------------------------------------------------------ the chain of programs


def test_corridors_of_a_loss_ratio_have_no_adjustment_percentage(folder):
    """2015, C = 8.1 million: G = 7.566 million with 2 percent, 7.76 million without; 0.5 (C - 1.03 G)."""
    put(folder, corridors=STATEMENT.replace("8900000", "8700000"), loss_ratio_years=three_years(2015, "individual"))
    found = document(folder, 2015)
    (owed,) = found["programs"]["risk_corridors"]["issuers"]
    assert owed["corridor"] == "153510.00"
    assert ratios(found)["individual"]["net_corridor_received"] == "53600.00"
    assert any("adjustment percentage of 0 (45 CFR 158.140(b)(4))" in note for note in found["notes"])


def test_what_was_paid_fills_a_loss_ratio(folder):
    """2014: 12.6 percent of 153,600 were paid at first; what is not received lowers no ratio."""
    put(folder, corridors=STATEMENT, loss_ratio_years=three_years(2014, "individual"))
    found = document(folder, 2014, "--setting", "payout_rate=0.126")
    assert ratios(found)["individual"]["net_corridor_received"] == "19353.60"
    assert ratios(document(folder, 2014))["individual"]["net_corridor_received"] == "153600.00"


def test_one_amount_is_not_given_to_two_markets(folder):
    """The corridors name no market: of two markets neither has the amount, beside large groups one has it."""
    put(folder, corridors=STATEMENT, loss_ratio_years=three_years(2014, "individual", "small_group"))
    found = document(folder, 2014)
    assert [r["net_corridor_received"] for r in ratios(found).values()] == ["0.00", "0.00"]
    assert any("net_corridor_received of 2 rows of loss_ratio_years is left open" in n for n in found["notes"])
    put(folder, loss_ratio_years=three_years(2014, "individual", "large_group"))
    of_market = {m: r["net_corridor_received"] for m, r in ratios(document(folder, 2014)).items()}
    assert of_market == {"individual": "153600.00", "large_group": "0.00"}


def test_two_states_of_one_issuer_are_not_both_given_its_amount():
    rows = pl.DataFrame({"state": ["TX", "OH"], "market": "individual", "issuer_id": "1"})
    paid = pl.DataFrame({"market": ["individual"], "issuer_id": ["1"], "amount": [Decimal("5.25")]})
    notes = []
    found = with_statement(rows, "corridors", {"net_risk_adjustment_received": paid}, notes)
    assert found.columns == rows.columns
    assert "left open" in notes[0]
    of_state = {"net_risk_adjustment_received": paid.with_columns(state=pl.lit("TX"))}
    found = with_statement(rows, "corridors", of_state, notes)
    assert found["net_risk_adjustment_received"].to_list() == [5.25, None]


def test_a_program_of_a_state_completes_no_statement_of_another(folder):
    layers = "from_usd,to_usd,share\n10000,50000,0.5\n"
    put(folder, claims=CLAIMS, layers=layers, loss_ratio_years=YEARS)
    other = document(folder, 2023, "--state", "OH")
    assert ratios(other)["individual"]["reinsurance_received"] == "0.00"
    own = document(folder, 2023, "--state", "tx")
    assert ratios(own)["individual"]["reinsurance_received"] == "40000.00"  # 20,000 each for E1 and E2


def test_the_high_cost_risk_pool_is_part_of_risk_adjustment(folder):
    """0.6 of the 500,000 above a million, less half of it: each has half of the premium, and transfers are nil."""
    claims = CLAIMS.replace("market,plan_paid", "risk_pool,plan_paid").replace("400000", "1500000")
    claims = claims.replace("small_group", "individual")
    put(folder, claims=claims, plan_rows=PLAN_ROWS, loss_ratio_years=three_years(2023, "individual", received=""))
    found = document(folder, 2023)
    assert ratios(found)["individual"]["net_risk_adjustment_received"] == "150000.00"


def test_short_names_of_a_statement_are_known():
    rows = pl.DataFrame({"issuer_id": ["1"], "year": [2014], "ra_received": [7.0]})
    paid = pl.DataFrame({"issuer_id": ["1"], "amount": [Decimal("5.25")]})
    notes = []
    found = with_statement(rows, "loss_ratio_years", {"net_risk_adjustment_received": paid}, notes, year=2014)
    assert (found["net_risk_adjustment_received"].to_list(), notes) == ([7.0], [])


# ------------------------------------------------------------------------------------------------ refusals, remarks


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("year", "tables", "where", "rule"),
    [
        (2014, {"corridors": STATEMENT.replace("premium", "prem")}, "corridors.csv", "FILE-002: corridors.csv has"),
        (2014, {"corridors": STATEMENT.replace("8900000", "")}, "corridors.csv (first row is 1)", "COR-002"),
        (2023, {"loss_ratio_years": YEARS.replace(",30000,3000\n", ",,3000\n")}, "loss_ratio_years.csv (", "MLR-003"),
        (
            2019,
            {"audit_sample": SAMPLE.replace("a,1,", "a,,"), "audit_hccs": HCCS},
            "audit_sample.csv (first row is 1): column stratum, row 1",
            "RDV-002",
        ),
        (
            2019,
            {"audit_sample": SAMPLE, "audit_hccs": HCCS, "national_statistics": NATION.replace("0.02", "-0.02")},
            "national_statistics.csv (first row is 1): column standard_deviation, row 1",
            "RDV-015",
        ),
    ],
)
def test_a_refusal_names_the_file(folder, year, tables, where, rule):
    parts = refused("failsafes", put(folder, **tables), "--benefit-year", year)
    assert parts["where"].startswith(where)
    assert parts["rule"].startswith(rule)
    if " rows of " in parts["what"] or " row of " in parts["what"]:
        assert f" of {where.split(' ')[0]} cannot" in parts["what"]


def test_what_takes_no_part_is_said(folder):
    found = document(put(folder, corridors=STATEMENT, loss_ratios=YEARS), 2014, "--state", "MD")
    assert "not read, since no program has a table of that name: loss_ratios.csv" in found["notes"]
    assert "--state was not used: the folder has no claims to be reinsured" in found["notes"]


# ------------------------------------------------------------------------------------------------ small cells


def audited(**counts):
    """Two issuers with people of one HCC each: found, lost."""
    parts = radv_markets.audit(
        *(radv_markets.carriers(issuer, "HCC020", both=both, lost=lost) for issuer, (both, lost) in counts.items())
    )
    return ran(2019, audit_sample=parts["sample"], audit_hccs=parts["hccs"])


def own_rows(run, issuer):
    tables = {t["title"]: t for t in radv_section(run, run.radv_adjustment, issuer)["tables"]}
    return next(r[1:] for r in tables[f"Issuer {issuer}"]["rows"] if r[1] != "0")


def test_few_hccs_of_an_issuer_or_of_the_others_are_kept_back():
    run = audited(**{"11111": (60, 20), "22222": (50, 30)})
    assert own_rows(run, "11111")[:3] == ["80", "60", "0.2500"]
    assert set(own_rows(audited(**{"11111": (75, 5), "22222": (50, 30)}), "11111")) == {"–"}, "5 were not found"
    assert set(own_rows(audited(**{"11111": (60, 20), "22222": (2, 6)}), "11111")) == {"–"}, "nation less own: 8"


def test_samples_of_few_people_are_not_told():
    parts = radv_markets.audit(radv_markets.carriers("11111", "HCC020", both=5, lost=3))
    nation = radv_markets.statistics(0.01, 0.02)
    run = ran(2019, audit_sample=parts["sample"], audit_hccs=parts["hccs"], national_statistics=nation)
    html = failsafes_page(run, "11111", title="Made")
    rows = {r[0]: r[1:] for r in cells_of(html, "Rows read") if r}
    assert rows["radv adjustment: sample"] == ["under 11", "under 11", "0"]
    issuers = {r[0]: r[1:] for r in cells_of(html, "Issuers") if r}
    assert issuers["11111"] == ["audited", "–"]
    assert "0.0100" in html, "a published mean tells nothing of this run's people"


def test_people_who_are_not_paid_for_may_be_few():
    run = ran(2014, claims=claims_of({"11111": [90_000.0] * 12 + [10.0] * 3, "22222": [90_000.0] * 40 + [10.0] * 30}))
    html = failsafes_page(run, "22222", title="Made")
    rows = {r[0]: r[1:] for r in cells_of(html, "Issuers") if r}
    assert rows["11111"] == rows["22222"] == ["–"] * 4, "3 of 15 were not paid for"


@pytest.mark.slow
def test_few_life_years_are_not_told():
    years = ratio_years("33333").with_columns(life_years=pl.Series([20.0, 5.0, 30.0]))
    run = ran(2014, loss_ratio_years=years)
    lives = next(
        r
        for r in cells_of(failsafes_page(run, "33333", title="Made"), "Issuer TX.*, by year")
        if r[:1] == ["life-years"]
    )
    assert lives[1:] == ["–"] * 4
    tiny = ran(
        2014,
        loss_ratio_years=years.with_columns(life_years=pl.lit(2.0)),
        corridors=statements("33333").with_columns(reinsurance_received=pl.lit(0.0)),
    )
    assert issuer_year(tiny, "33333").is_too_small
    html = failsafes_page(tiny, "33333", title="Made")
    assert not re.search("step by step|by year", html), "the steps would show its premium and claims"


# ------------------------------------------------------------------------------------------------ the year of an issuer


def test_the_statement_with_more_premium_is_the_year_of_an_issuer():
    """Corridors are of two markets at most, a loss ratio may have large groups: its rebates are of their premium."""
    rows = ratio_years("11111")
    large = rows.with_columns(market=pl.lit("large_group"), net_risk_adjustment_received=pl.lit(0.0))
    corridors = statements("11111").with_columns(reinsurance_received=pl.lit(0.0))
    both = ran(2014, corridors=corridors, loss_ratio_years=pl.concat([rows, large]))
    assert (issuer_year(both, "11111").premium, issuer_year(both, "11111").claims) == (20_000_000, 14_000_000)
    alone = ran(2014, corridors=corridors, loss_ratio_years=rows)
    assert issuer_year(alone, "11111").source.startswith("corridors"), "of equal ones the first"


def test_claims_of_issuers_are_added_exactly():
    claims = claims_of({"11111": [0.1] * 30 + [0.000001] * 7, " 22222": [100_000_000.01] * 3})
    run = ran(2014, claims=claims)
    assert run.claims == {"11111": Decimal("3.00"), "22222": Decimal("300000000.03")}
    assert issuer_year(run, "22222").claims == Decimal("300000000.03")


def test_an_audit_of_an_exempt_issuer_stops_nothing(folder):
    alone = "\n".join(PLAN_ROWS.splitlines()[:2]) + "\n"
    tables = {"audit_sample": SAMPLE, "audit_hccs": HCCS, "plan_rows": alone, "claims": CLAIMS}
    put(folder, layers="from_usd,to_usd,share\n10000,50000,0.5\n", **tables)
    found = document(folder, 2019, "--state", "OH")
    (issuer,) = found["programs"]["radv_adjustment"]["issuers"]
    assert (issuer["status"], issuer["adjustment"]) == ("exempt_sole_issuer", "0.00")
    assert year_of(found, "11111")["reinsurance"] == "40000.00"


def test_formulas_of_a_small_audit_hold(tmp_path):
    """Two issuers audited and settled again: groups, enrollees, error rates, adjustments and the year."""
    parts = radv_markets.audit(*(radv_markets.carriers(i, "HCC020", both=30, lost=n) for i, n in (("1", 10), ("2", 2))))
    nation = radv_markets.statistics(0.01, 0.02)
    rows = radv_markets.plan_rows("1", "2")
    run = ran(2019, audit_sample=parts["sample"], audit_hccs=parts["hccs"], national_statistics=nation, plan_rows=rows)
    assert run.radv_adjustment.transfers["adjustment"].to_list() != [0, 0]
    write_failsafes_sheets(tmp_path / "made.xlsx", run, "1", title="Made")
    count, wrong = wrong_formulas(tmp_path / "made.xlsx")
    assert wrong == []
    assert count > 80  # an adjusted score each, rates, adjustments, the year
