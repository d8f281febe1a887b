"""Folders and tables of failsafes that several tests use, and what is read back from documents, pages, workbooks."""

import json
import re
from pathlib import Path

import polars as pl
import workbook_formulas
from commands import run

from poolwise.cli._failsafes import Asked, run_programs
from poolwise.cli._failsafes_inputs import FailsafeInputs

CLAIMS = """issuer_id,enrollee_id,market,plan_paid
11111,E1,individual,400000
11111,E2,individual,100000
22222,E3,individual,30000
22222,E4,individual,500
22222,E5,small_group,900000
"""
STATEMENT = """issuer_id,premium,taxes_and_fees,incurred_claims,quality_improvement,admin_costs_excl_taxes,\
net_risk_adjustment_received,reinsurance_received,csr_received
11111,10000000,300000,8900000,100000,1700000,200000,500000,0
"""
# M01 of the case folder: 0.754 against 0.80 of 349.2 million.
YEARS = """state,market,issuer_id,year,incurred_claims,quality_improvement,premium,taxes_and_fees,\
net_risk_adjustment_received,life_years,average_deductible
TX,individual,11111,2021,240000000,2500000,330000000,9900000,5000000,30000,3000
TX,individual,11111,2022,251000000,2600000,345000000,10350000,-3000000,30000,3000
TX,individual,11111,2023,262000000,2700000,360000000,10800000,2000000,30000,3000
"""
PLAN_ROWS = """risk_pool,issuer_id,plan_id,rating_area_id,metal_level,billable_member_months,premium,plrs,arf,gcf
individual,11111,A,1,silver,12000,4800000,1,1.5,1
individual,22222,B,1,silver,12000,4800000,1,1.5,1
"""
SAMPLE = "issuer_id,enrollee_id,stratum,stratum_weight,risk_score\n" + "".join(
    f"11111,{person},1,10,{score}\n" for person, score in zip("abcd", (2, 2, 2, 4), strict=True)
)
HCCS = "issuer_id,enrollee_id,hcc,is_submitted,is_found,hcc_score\n" + "".join(
    f"11111,{person},HCC008,true,{found},1.5\n"
    for person, found in zip("abcd", ("yes", "yes", "yes", "no"), strict=True)
)
NATION = "group,mean_failure_rate,standard_deviation\nmedium,0.05,0.02\n"


def put(folder, **tables):
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def document(folder, year, *options, code=0):
    said = run("failsafes", folder, "--benefit-year", year, "--json", *options, code=code)
    assert said.stderr == ""
    return json.loads(said.stdout)


def year_of(found, issuer):
    return {row["program"]: row["amount"] for row in found["issuer_years"] if row["issuer_id"] == issuer}


def claims_of(people):
    """Claims of issuers: so many people each, every one with these dollars."""
    rows = [
        (issuer, f"{issuer}-{n}", "individual", float(paid))
        for issuer, paids in people.items()
        for n, paid in enumerate(paids)
    ]
    return pl.DataFrame(rows, schema=["issuer_id", "enrollee_id", "market", "plan_paid"], orient="row")


def statements(*issuers):
    """Corridor rows with a loss, a gain, and none."""
    claims = {"11111": 8_900_000, "22222": 6_000_000, "33333": 7_600_000}
    rows = [
        {
            "issuer_id": issuer,
            "premium": 10_000_000.0,
            "taxes_and_fees": 300_000.0,
            "incurred_claims": float(claims[issuer]),
            "quality_improvement": 100_000.0,
            "admin_costs_excl_taxes": 1_700_000.0,
            "net_risk_adjustment_received": 200_000.0,
            "csr_received": 0.0,
            "health_information_technology": None if issuer == "22222" else 10_000.0,
        }
        for issuer in issuers
    ]
    return pl.DataFrame(rows, schema_overrides={"health_information_technology": pl.Float64})


def ratio_years(*issuers, year=2014):
    """Three years: the first issuer owes a rebate, the second is partly credible, the third too small."""
    lives = {"11111": 30_000.0, "22222": 900.0, "33333": 100.0}
    rows = [
        (
            "TX",
            "individual",
            issuer,
            y,
            7_000_000.0,
            50_000.0,
            10_000_000.0,
            300_000.0,
            0.0 if y < 2014 else 200_000.0,
            None,
            lives[issuer],
        )
        for issuer in issuers
        for y in (year - 2, year - 1, year)
    ]
    columns = "state market issuer_id year incurred_claims quality_improvement premium taxes_and_fees"
    columns += " net_risk_adjustment_received reinsurance_received life_years"
    frame = pl.DataFrame(rows, schema=columns.split(), orient="row", infer_schema_length=None)
    return frame.with_columns(
        pl.lit(3_000.0).alias("average_deductible"), pl.lit(None, pl.Float64).alias("net_corridor_received")
    )


def ran(year=2014, *, state=None, settings=None, **frames):
    asked = Asked(Path(), year, state=state, settings=dict(settings or {}))
    return run_programs(asked, FailsafeInputs(frames), lambda _: None)[0]


def cells_of(html, heading):
    """The cells of the first table under a heading, row by row, without marks."""
    part = re.split(rf"<h[23]>{heading}</h[23]>", html)[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c).strip() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]


def wrong_formulas(path):
    """Formulas whose cells show something else than they give when worked out anew, and how many there are."""
    book, known, count, wrong = workbook_formulas.read(path), {}, 0, []
    for sheet, cells in book.items():
        for place, cell in cells.items():
            if cell.formula is None:
                continue
            count += 1
            found = workbook_formulas.evaluate(book, sheet, place, known)
            shown = cell.number
            if shown is None or abs(found - shown) > 1e-9 * max(1.0, abs(shown)):
                wrong.append((sheet, place, cell.formula, shown, found))
    return count, wrong
