"""Page, reliance page and sheets of a filing: what they show is what the filing holds, and nothing is certified."""

import json
import re
import shutil
import subprocess
import sys
from datetime import date
from functools import lru_cache

import filing_g1
import polars as pl
import pytest
import workbook_formulas

import data_specs
from data_specs.errors import ExtraMissing
from poolwise.report import _filing_page as page_of
from poolwise.report._filing_chain import chain_steps
from poolwise.report._filing_charts import Move, Span, _broken, signed_dollars, tornado_chart, waterfall_chart
from poolwise.report._filing_exhibits import FilingExhibits, studies
from poolwise.report._filing_plans import plan_exhibits, sensitivity_exhibit, trace_exhibit
from poolwise.report._filing_sheets import write_filing_sheets
from poolwise.report._reliance import reliance_exhibit, reliance_page
from rating.filing import credibility
from rating.filing._bridge import bridge
from rating.filing._experience import experience
from rating.filing._trend import TrendStudy

SILVER = "12345XX0010002"
MONTHS = [date(2025, m, 1) for m in range(1, 13)]


def claims():
    """A year of two categories: 1,000 dollars a month paid of 1,250, and 500 that are complete."""
    rows = [(m, "professional", 100, 1000, 800, 0.8) for m in MONTHS]
    rows += [(m, "prescription_drug", 100, 500, 400, 1.0) for m in MONTHS]
    names = ("incurred_month", "benefit_category", "member_months", "allowed_paid_to_date", "incurred_paid_to_date")
    frame = pl.DataFrame(rows, schema=[*names, "completion_factor"], orient="row")
    return frame.with_columns(pl.lit(value=True).alias("is_ehb"))


def trend():
    """A trend study written down by hand: no regression is run here."""
    names = ("benefit_category", "measure", "view")
    figures = ("annual_trend", "low", "high", "confidence")
    counts = {"months_used": 24, "months_needed": 14, "residual_df": 11}
    rows = [("professional", "pmpm", "monthly", 0.05, 0.03, 0.07, 0.95)]
    rows += [("professional", "pmpm", "rolling_12", 0.06, None, None, 0.95)]
    trends = pl.DataFrame(rows, schema=[*names, *figures], orient="row").with_columns(
        pl.lit("ols").alias("estimator"), r_squared=0.9, durbin_watson=2.0, **{c: pl.lit(n) for c, n in counts.items()}
    )
    months = [("professional", "pmpm", m, 100.0, 100.0 + i, 100.5 + i, 0.0, None, None) for i, m in enumerate(MONTHS)]
    columns = ("value", "normalized", "fitted", "residual", "rolling_12", "rolling_12_change")
    frame = pl.DataFrame(months, schema=["benefit_category", "measure", "incurred_month", *columns], orient="row",
                         schema_overrides={"rolling_12": pl.Float64, "rolling_12_change": pl.Float64})  # fmt: skip
    nothing = pl.DataFrame(schema=dict.fromkeys(("rule_id", "severity", "where", "message"), pl.String))
    return TrendStudy(trends, frame, pl.DataFrame(), nothing, pl.DataFrame())


@lru_cache(maxsize=1)
def everything():
    """G1 with other claims and a blend, against G1: every exhibit that does not need a population."""
    study = experience(claims())
    blend = credibility(1200, full_standard=4800, source="standard of <the> issuer")
    known = {k: v for k, v in filing_g1.assumptions().items() if not k.startswith(("ep_index", "exp_"))}
    known |= {"credibility": blend.assumption(), "manual_ehb": {"value": 600, "source": "state book"}}
    old = filing_g1.g1()
    new = filing_g1.g1(experience=study, assumptions=known, prior=old)
    return FilingExhibits(
        new, experience=study, trend=trend(), credibility=blend, bridge=bridge(old, new, order="symmetric")
    )


@lru_cache(maxsize=1)
def alone():
    """G1 by itself."""
    return FilingExhibits(filing_g1.g1())


@pytest.fixture
def described(monkeypatch):
    """Charts are described and not drawn."""
    monkeypatch.setattr(
        "poolwise.report._charts._svg", lambda chart: f"<svg>{json.dumps(chart.to_dict(validate=False))}</svg>"
    )


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without charts."""
    monkeypatch.setattr(page_of, "_charts", lambda *_: {})
    monkeypatch.setattr("poolwise.report._reliance.tornado", lambda _: None)


def exhibit(given, key):
    found = [*studies(given), *plan_exhibits(given), sensitivity_exhibit(given), reliance_exhibit(given)]
    return next(e for e in found if e.key == key)


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# ------------------------------------------------------------------------------------------------ tables


def test_categories_and_months_by_hand():
    drug, professional = exhibit(everything(), "categories").rows[::-1]
    assert drug[:2] == ("Prescription drug", "yes")
    assert drug[2:] == (6000.0, 6000.0, 6000.0, 0.0, 6000.0, 5.0)
    assert professional[2:] == (12000.0, 15000.0, 15000.0, 0.0, 15000.0, 12.5)
    assert exhibit(everything(), "categories").total[2:] == (18000.0, 21000.0, 21000.0, 0.0, 21000.0, 17.5)
    months = exhibit(everything(), "completion")
    assert months.rows[0] == ("2025-01", 100.0, 1500.0, 1750.0, 1500 / 1750, "factors handed in")
    assert months.total[:4] == ("All", 1200.0, 18000.0, 21000.0)


def test_the_chain_ends_at_the_mean_premium():
    steps = chain_steps(alone())
    expected = {name: value for name, plan, fee, value in filing_g1.expected() if not plan and fee in ("", "gross_up")}
    by_label = {step.label: step for step in steps}
    assert round(by_label["Trend"].pmpm, 6) == round(expected["trended_ehb_total"], 6)
    assert round(by_label["Exchange user fee"].pmpm, 6) == round(expected["market_adjusted_index_rate"], 6)
    assert steps[-1].pmpm == alone().number("mean_premium_pmpm")
    assert by_label["Morbidity"].factor == alone().number("adj_morbidity")
    # Retention is alike in all plans of G1.
    assert round(by_label["Retention"].factor, 12) == round(1 / (1 - alone().number("retention", SILVER)), 12)


def test_bridge_rows_begin_and_end_with_the_filings():
    given = everything()
    shown = exhibit(given, "bridge")
    assert shown.rows[0] == ("Filing in force", None, None, float(given.bridge.old))
    assert shown.total[1:] == (float(given.bridge.change), float(given.bridge.change) / float(given.bridge.old),
                               float(given.bridge.new))  # fmt: skip
    assert [row[0] for row in shown.rows[1:]] == ["Base experience", "Manual rate and credibility"]
    assert "mean of two chains" in shown.explanation


def test_plans_membership_and_retention():
    given = alone()
    rows = {row[0]: row for row in exhibit(given, "plan_rates").rows}
    assert rows[SILVER][1:4] == ("Silver", 60000.0, pytest.approx(0.8631054432))
    assert rows[SILVER][5] == float(given.number("plan_adjusted_index_rate", SILVER))
    assert exhibit(given, "plan_rates").total[5] == given.number("mean_premium_pmpm")
    membership = exhibit(given, "membership")
    assert [row[0] for row in membership.rows] == ["Gold", "Silver", "Bronze", "Catastrophic"]
    assert membership.total[3] == 126_000
    retention = {row[0]: row for row in exhibit(given, "retention").rows}
    assert retention["Retention"][1:4] == (pytest.approx(0.179),) * 3
    assert retention["Retention"][4] == pytest.approx(0.179 * float(given.number("mean_premium_pmpm")))
    changes = exhibit(given, "changes")
    assert sum(row[5] for row in changes.rows if row[5] is not None) == pytest.approx(1)
    assert changes.total[3] == given.number("submission_rate_increase")


def test_checks_have_four_results():
    shown = exhibit(alone(), "checks")
    assert {row[0] for row in shown.rows} >= {f"RV-{n:03}" for n in range(1, 14)}
    assert shown.total[3:] == tuple(alone().review.counts[c].sum() for c in ("pass", "finding", "not_applicable",
                                                                              "not_evaluated"))  # fmt: skip


def test_one_rate_is_traced_to_its_inputs():
    shown = trace_exhibit(alone())
    assert shown.explanation.startswith(f'filing.trace("rate", "{SILVER}", "R-XX001", 21)')
    names = [row[0] for row in shown.rows]
    assert names[0] == "rate"
    assert "· calibrated plan adjusted index rate" in names
    assert "· · · · projected index rate" in names


@pytest.mark.slow
def test_filings_that_lack_much_have_exhibits_too():
    """A new issuer; a filing as filed, without rates and mix."""
    zero = {name: "0" for name in filing_g1.assumptions() if name.startswith(("exp_", "ep_"))}
    started = FilingExhibits(filing_g1.g1(assumptions=filing_g1.assumptions() | zero
                                          | {"credibility": "0", "manual_ehb": "600"}))  # fmt: skip
    assert exhibit(started, "experience").explanation.startswith("Worksheet 1, section I. No experience")
    assert "no member months" in " ".join(row[3] for row in reliance_exhibit(started).rows)
    nobody = FilingExhibits(filing_g1.g1(
        plans=filing_g1.plans().with_columns(pl.lit("0").alias("proj_member_months_plan")),
        assumptions=filing_g1.assumptions() | {"proj_member_months": "0"},
    ))  # fmt: skip
    assert nobody.rate == "market_adjusted_index_rate"
    assert exhibit(nobody, "sensitivity").explanation.startswith("The market adjusted index rate with one")
    filed = alone().filing.as_filed(rates=alone().filing.rates.clear())
    assert trace_exhibit(FilingExhibits(filed)).explanation.startswith('filing.trace("mean_premium_pmpm")')
    assert exhibit(FilingExhibits(filed), "sensitivity").rows == exhibit(alone(), "sensitivity").rows


# ------------------------------------------------------------------------------------------------ reliance


def test_each_standard_says_what_was_done_and_what_is_to_be_judged():
    shown = reliance_exhibit(everything())
    said = {}
    for standard, _, kind, text in shown.rows:
        said.setdefault((standard, kind), []).append(text)
    standards = data_specs.table("filing/actuarial_standards")["standard"].to_list()
    assert set(said) == {(s, kind) for s in standards for kind in ("what was done", "to be judged")}
    assert "1,200 member months" in said["ASOP 23", "what was done"][0]
    assert "$21,000 of allowed claims, 14.29% of it estimated" in said["ASOP 23", "what was done"][1]
    assert "Credibility of the experience: 0.5000." in said["ASOP 25", "what was done"]
    assert "1,200 member months against a standard of 4,800, which rests on standard of <the> issuer." in " ".join(
        said["ASOP 25", "what was done"]
    )
    assert "0.5000, is the manual rate: $600.00 PMPM (source: state book)" in " ".join(said["ASOP 25", "what was done"])
    assert "$24.60 PMPM on the allowed basis" in said["ASOP 45", "what was done"][0]
    assert "Metal AV is not given for 12345XX0010004." in said["ASOP 50", "what was done"]
    points = data_specs.table("filing/reliance_points")
    assert [text for (_, kind), texts in said.items() if kind == "to be judged" for text in texts] == points[
        "point"
    ].to_list()


@pytest.mark.slow
def test_numbers_without_a_source_are_counted(undrawn):
    page = text_of(reliance_page(everything(), title="Reliance"))
    counted = re.search(r"(\d+) of (\d+) numbers handed in for the market name no source", page)
    market = everything().filing.market.filter(pl.col("role") == "input", pl.col("value").is_not_null())
    assert int(counted[2]) == market.height
    assert int(counted[1]) == market.filter(source="assumption").height
    assert "manual ehb" not in page.split("Numbers without a source")[1].split("Warnings and errors")[0]


def test_open_settings_are_set_apart(undrawn):
    page = text_of(reliance_page(alone(), title="Reliance"))
    apart = page.split("Settings on open points")[1].split("Other settings")[0]
    assert "user fee convention gross up" in apart
    assert "csr sign plus" in apart
    assert "rules of state TX" not in apart


# ------------------------------------------------------------------------------------------------ pages


def test_the_page_says_what_the_filing_holds(undrawn):
    html = page_of.filing_page(everything(), title="Filing <of> 2027", notes=["A & b."], links={"Reliance": "r.html"})
    page = text_of(html)
    assert "Filing &lt;of&gt; 2027" in html
    assert "A &amp; b." in html
    assert '<a href="r.html">Reliance</a>' in html
    assert "standard of <the>" not in html
    for heading in ("Bridge from the filing in force", "Experience by category", "Completion by month", "Trend study",
                    "Index rate chain", "Plan rates", "Rate changes", "Age factors", "Area factors",
                    "Membership by metal level", "Retention", "Sensitivity", "Checks", "One rate traced",
                    "Settings used", "Sources"):  # fmt: skip
        assert heading in page, heading
    assert f"${everything().number('mean_premium_pmpm'):,.2f} a member month over 126,000" in page
    assert "nan" not in page.lower().split()
    assert "Infinity" not in html


def test_pages_certify_nothing(undrawn):
    for html in (page_of.filing_page(alone(), title="F"), reliance_page(alone(), title="R")):
        assert "These are exhibits, not a certification" in html
        assert not re.search(r"\b(hereby certif|in my opinion|is certified)", html, re.IGNORECASE)


@pytest.mark.slow
def test_the_same_filing_gives_the_same_page(undrawn):
    again = FilingExhibits(filing_g1.g1())
    assert page_of.filing_page(alone(), title="F") == page_of.filing_page(again, title="F")


@pytest.mark.parametrize("package", ["jinja2", "altair"])
def test_missing_extra_of_the_page_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=rf"{package}.*poolwise\[reports\]"):
        page_of.filing_page(alone(), title="F")


# ------------------------------------------------------------------------------------------------ charts


def test_the_bridge_is_drawn_as_it_stands(described):
    bars = [row for row in values_of(page_of._bridge_chart(everything().bridge)) if "is_level" in row]
    assert [bars[0]["after"], bars[-1]["after"]] == [float(everything().bridge.old), float(everything().bridge.new)]
    assert sum(row["amount"] for row in bars) == pytest.approx(float(everything().bridge.change))


@pytest.mark.slow  # nine charts
def test_charts_show_the_numbers_of_the_tables(described):
    found = [*studies(everything()), *plan_exhibits(everything()), sensitivity_exhibit(everything())]
    drawn = page_of._charts(everything(), {e.key: e for e in found})
    assert all(drawn.values()), "every chart has something to show"
    chain = [row for row in values_of(drawn["chain"]) if "is_level" in row]
    assert chain[-1]["after"] == float(everything().number("mean_premium_pmpm"))
    shares = [row["share"] for row in values_of(drawn["changes"]) if "share" in row]
    assert sum(shares) == pytest.approx(1)
    assert {"at": 0.15, "what": "review"} in values_of(drawn["changes"])
    estimated = [row["dollars"] for row in values_of(drawn["completion"]) if row.get("kind") == "estimated to come"]
    assert estimated == [pytest.approx(250.0)] * 12
    assert len([row for row in values_of(drawn["trend"]) if "normalized" in row]) == 12


def values_of(chart):
    """Every row of data in the description of a chart."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("values"), list):
                found.extend(row for row in node["values"] if isinstance(row, dict) and row not in found)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(json.loads(chart.wide.removeprefix("<svg>").removesuffix("</svg>")))
    return found


def test_amounts_and_labels():
    assert [signed_dollars(a) for a in (0.004, -0.006, 1234.5)] == ["$0.00", "−$0.01", "+$1,234.50"]
    assert _broken("a very-long-word-indeed b|c", 8) == "a|very-long-word-indeed|b/c"


@pytest.mark.slow
def test_rows_with_one_name_stay_apart(described):
    chart = waterfall_chart([Move("Same", 1.0, 2.0), Move("Same", 2.0, 3.0)])
    assert len({row["row"] for row in values_of(chart) if "is_level" in row}) == 2
    one = tornado_chart([Span("It's | odd", None, 5.0)])
    assert [row["effect"] for row in values_of(one) if "effect" in row] == [5.0]


# ------------------------------------------------------------------------------------------------ sheets


def test_sheets_hold_the_exhibits(tmp_path):
    path = tmp_path / "exhibits.xlsx"
    write_filing_sheets(path, alone(), title="Filing")
    book = workbook_formulas.read(path)
    assert next(iter(book)) == "Read me"
    assert {"Plan rates", "Index rate chain", "Checks", "Sensitivity", "Reliance", "Ledger"} <= set(book)
    assert "Trend study" not in book
    rates = workbook_formulas.column(book, "Plan rates", "Index rate, $")[:-1]
    held = [alone().number("plan_adjusted_index_rate", plan) for plan in alone().offered["plan_id"]]
    assert rates == pytest.approx([float(rate) for rate in held], rel=1e-14)
    assert len(workbook_formulas.column(book, "Ledger", "value")) == len(alone().filing.ledger)
    write_filing_sheets(tmp_path / "again.xlsx", alone(), title="Filing")
    assert (tmp_path / "again.xlsx").read_bytes() == path.read_bytes()


# ------------------------------------------------------------------------------------------------ drawn


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROBE = """<script>addEventListener("load", () => {
  const main = document.querySelector("main");
  const drawn = [...document.querySelectorAll("figure svg")].map(s => s.getBoundingClientRect()).filter(r => r.width);
  document.title = JSON.stringify({overflow: document.documentElement.scrollWidth - innerWidth,
    charts: drawn.map(r => [Math.round(r.width), Math.round(r.height)])});
});</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1000, 500])
def test_pages_open_in_a_browser(tmp_path, width):
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    drawn = {}
    for name, html in (
        ("f", page_of.filing_page(everything(), title="F")),
        ("r", reliance_page(everything(), title="R")),
    ):
        file = tmp_path / f"{name}.html"
        file.write_text(html.replace("</head>", PROBE + "</head>"), encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={width},900"]
        command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "CONSOLE" not in done.stderr
        seen = json.loads(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1].replace("&quot;", '"'))
        assert seen["overflow"] <= 0
        assert all(w > 250 and h > 40 for w, h in seen["charts"])
        drawn[name] = len(seen["charts"])
    assert drawn == {"f": 9, "r": 1}
