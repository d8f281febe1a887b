"""The page of actuarial values: its points are values, windows and words are those of the result, browsers open it."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from av_oracle import value_on

import data_specs
import rating
from data_specs.errors import ExtraMissing
from poolwise.cli._av_results import LEVERS
from poolwise.report import _av_charts as charts
from poolwise.report._av_curves import anatomy_of, bands_of, deductible_curves
from poolwise.report._av_page import av_page
from poolwise.report._av_words import distance_words, evidence, flag_words, windows_of
from poolwise.report._charts import Chart
from rating._av_inputs import read_designs
from rating._av_windows import windows
from rating._figures import Figures

ROOT = Path(__file__).resolve().parent.parent
OFF = {"subject_to_deductible": False, "subject_to_coinsurance": False}
COPAYS = {"primary_care": {"copay": 35, **OFF}, "generic": {"copay": 15, **OFF}}


def plan(name, deductible=2000, coinsurance=0.7, moop=8500, *, metal="silver", **more):
    amounts = {"deductible": deductible, "plan_coinsurance": coinsurance, "moop": moop}
    return {"name": name, "deductible_type": "integrated", **amounts, "desired_metal": metal, **more}


TWO = {
    **{"name": "two", "deductible_type": "separate_deductible_combined_moop", "table_metal": "silver"},
    **{"deductible_medical": 4000, "deductible_drug": 300, "moop": 8500},
    **{"plan_coinsurance_medical": 0.7, "plan_coinsurance_drug": 0.7},
}
PLANS = [plan("draft", services=COPAYS), plan("fits", 3500, services=COPAYS), TWO, plan("<b>odd</b>", 500, 0.8, 400)]


@pytest.fixture(scope="module")
def valued():
    """Four designs: one misses its window, two are in theirs, one can have no value."""
    return rating.actuarial_value(PLANS, plan_year=2026), read_designs(PLANS).columns


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without charts, for tests that read their words."""
    for name in ("deductible_chart", "anatomy_chart"):
        monkeypatch.setattr(f"poolwise.report._av_page.{name}", lambda _: Chart("<svg></svg>", "<svg></svg>"))


def levers(*rows):
    return pl.DataFrame(rows, schema=LEVERS, orient="row")


def page_of(valued, **options):
    result, designs = valued
    return av_page(result, designs, plan_year=2026, title="Values & <windows>", **options)


def cells_of(html, heading):
    """The cells of the first table under a heading, row by row, without marks."""
    part = html.split(f"<h2>{heading}</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", " ", c).split() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    return [[" ".join(words) for words in row] for row in cells if row]


def curves_of(valued, rows, **options):
    result, designs = valued
    held = windows(2026, "in_force", Figures())
    bands = {row: bands_of(held, "silver", "standard") for row in rows}
    return deductible_curves(rows, designs, result.designs, bands=bands, plan_year=2026, **options)


# ------------------------------------------------------------------------------------------------ what is drawn


def test_every_point_of_a_curve_is_a_value(valued):
    (curve,) = curves_of(valued, [0])
    assert [p["deductible"] for p in curve.points] == sorted({p["deductible"] for p in curve.points})
    assert (curve.points[0]["deductible"], curve.points[-1]["deductible"]) == (0.0, 8500.0)
    for point in curve.points[:: len(curve.points) // 6]:
        own = {**PLANS[0], "deductible": point["deductible"], "plan_coinsurance": 0.7}
        assert point["av"] == pytest.approx(value_on(own, 2026, "silver").av, abs=1e-12)
    assert {"deductible": curve.deductible, "av": curve.av, "segment": 1} in curve.points


def test_a_curve_of_two_deductibles_moves_the_medical_one(valued):
    (curve,) = curves_of(valued, [2])
    assert curve.axis == "medical deductible"
    point = curve.points[5]
    own = value_on({**TWO, "deductible_medical": point["deductible"]}, 2026, "silver")
    assert point["av"] == pytest.approx(own.av, abs=1e-12)


def test_where_there_is_no_value_the_line_breaks(valued, monkeypatch):
    real = rating.actuarial_value

    def with_a_gap(*arguments, **options):
        found = real(*arguments, **options)
        av = pl.Series("av", [None if row == 7 else v for row, v in enumerate(found.designs["av"])], dtype=pl.Float64)
        frame = found.designs.with_columns(av)
        return type(found)(designs=frame, **found.parts())

    monkeypatch.setattr(rating, "actuarial_value", with_a_gap)
    (curve,) = curves_of(valued, [0])
    segments = [p["segment"] for p in curve.points]
    assert segments == [1] * 7 + [segments[-1]] * (len(segments) - 7)
    assert segments[-1] != 1


def test_a_filed_value_does_not_lift_the_curve():
    plans = [plan("filed", 3500, services=COPAYS, filed_av=0.71, filed_source="workbook")]
    found = rating.actuarial_value(plans, plan_year=2026)
    (curve,) = curves_of((found, read_designs(plans).columns), [0])
    assert found.designs["av"][0] == 0.71
    assert curve.av == found.designs["av_recomputed"][0] != 0.71


def test_windows_of_the_chart_are_those_of_the_year(valued):
    result, _ = valued
    held = windows(2026, "in_force", Figures())
    own = windows_of(result.designs, held)
    assert [(w.metal, w.low, w.high) for w in own[:3]] == [("silver", 0.68, 0.72)] * 3
    assert own[3] is None
    bands = bands_of(held, "bronze", "expanded_bronze")
    assert {(b.name, b.low, b.high) for b in bands if b.is_own} == {("bronze, expanded", 0.58, 0.65)}
    assert len(bands) == 4


def test_variants_of_the_silver_plan_have_their_window():
    plans = [plan("v", 1000, 0.9, 2500, csr_variant="05", services=COPAYS)]
    found = rating.actuarial_value(plans, plan_year=2026).designs
    (window,) = windows_of(found, windows(2026, "in_force", Figures()))
    assert (window.metal, window.variant, window.low) == ("silver", "csr_87", 0.87)


def test_the_anatomy_is_the_table(valued):
    rows = data_specs.table("av/continuance", year=2026).filter(
        (pl.col("metal") == "silver") & (pl.col("table") == "combined")
    )
    whole = rows["maxd_cost"].max()
    mean = dict(rows.select("spend_limit", "maxd_cost").rows())
    plain = anatomy_of(metal="silver", deductible=3000, plan_coinsurance=0.7, moop=9000, plan_year=2026)
    points = {p["spend"]: p for p in plain.points}
    assert points[3000.0]["share"] == points[3000.0]["enrollee"] == pytest.approx(mean[3000.0] / whole)
    assert points[20000.0]["share"] == pytest.approx(mean[20000.0] / whole)
    at_limit = mean[20000.0] + 0.6 * (mean[25000.0] - mean[20000.0])
    paid = mean[3000.0] + 0.3 * (at_limit - mean[3000.0])
    assert plain.enrollee_share == pytest.approx(paid / whole, abs=1e-12)
    assert max(p["enrollee"] for p in plain.points) == pytest.approx(plain.enrollee_share)
    shares = [p["share"] for p in plain.points]
    assert shares == sorted(shares)
    assert anatomy_of(metal="tin", deductible=1, plan_coinsurance=1, moop=2, plan_year=2026) is None


def test_full_coverage_beyond_the_deductible_has_no_range():
    plain = anatomy_of(metal="bronze", deductible=7000, plan_coinsurance=1.0, moop=9000, plan_year=2026)
    assert plain.spend_at_limit == 7000.0


@pytest.mark.slow
def test_the_picture_of_the_documentation_is_the_one_that_is_drawn():
    """Names and numbers, not strokes: another version of the drawing library may place them elsewhere."""
    picture = ROOT / "docs" / "av" / "continuance.svg"
    if not picture.is_file():
        pytest.skip("a source distribution has no docs folder")
    plain = anatomy_of(metal="silver", deductible=3000, plan_coinsurance=0.7, moop=9000, plan_year=2026)
    texts = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)
    drawn = texts.findall(charts.anatomy_chart(plain).wide)
    assert texts.findall(picture.read_text(encoding="utf-8")) == drawn
    assert {"67%", "33%", "$23,000"} <= set(re.sub(r"<[^>]+>", " ", " ".join(drawn)).split())


# ------------------------------------------------------------------------------------------------ words


def test_words():
    assert distance_words(-0.0000012) == "0.00012 below"
    assert distance_words(None) == distance_words(0.0) == ""
    assert flag_words(["moop_above_limit", "no_matching_metal"]) == "limit above limit"


def test_the_page_says_what_the_result_says(valued, undrawn):
    html = page_of(valued)
    rows = cells_of(html, "Designs")
    assert [row[0].split()[0] for row in rows] == ["draft", "fits", "two", "&lt;b&gt;odd&lt;/b&gt;"]
    result, _ = valued
    assert rows[0][1].startswith(f"{result.designs['av'][0]:.2%}")
    assert rows[0][2:5] == ["none", "silver 68-72%", distance_words(result.designs["distance_to_window"][0])]
    assert rows[3][1].startswith("none")
    assert "not the federal actuarial value calculator" in html
    assert "<b>odd" not in html
    assert "<title>Values &amp; &lt;windows&gt;</title>" in html
    assert "2 of 4 designs lie in the window" in html
    assert "in force" in html


def test_levers_on_the_page(valued, undrawn):
    found = levers(
        ("draft", "deductible", 2000.0, 2600.25, 0.72, None),
        ("draft", "copay:generic", 15.0, 24.5, 0.7199, None),
        ("other", "", None, None, None, "no single lever does"),
    )
    html = page_of(valued, levers=found)
    assert cells_of(html, "What would bring a design into its window") == [
        ["draft", "deductible", "$2,000", "$2,600.25", "72.00%"],
        ["draft", "copay, generic", "$15", "$24.50", "71.99%"],
        ["other", "no single lever does", "", "", ""],
    ]
    assert "1 of the others would" in html
    assert "Hollow" in html
    assert "Hollow" not in page_of(valued)


def test_evidence_counts_the_designs_that_rest_on_it(valued):
    result, _ = valued
    counts = {row.status: row.designs for row in evidence(result.designs, "2026") if "tables" not in row.part}
    assert counts == {"verified": 2, "one source": 0, "uncertain": 1, "our own": 0}
    (older,) = evidence(result.designs, "2016")
    assert "draft" in older.why


def test_the_same_page_twice(valued, undrawn):
    assert page_of(valued) == page_of(valued)


def test_one_design_and_none_with_a_value(undrawn):
    for plans, words in (([PLANS[1]], "The plan pays"), ([PLANS[3]], "has no value")):
        found = rating.actuarial_value(plans, plan_year=2026), read_designs(plans).columns
        html = page_of(found)
        assert words in html


def test_many_designs_are_folded_and_drawn_in_part(undrawn):
    plans = [plan(f"P{n}", 1000 + 20 * n, services=COPAYS) for n in range(230)]
    html = page_of((rating.actuarial_value(plans, plan_year=2026), read_designs(plans).columns))
    assert "205 more designs</summary>" in html
    assert "30 more designs are in the table of the folder" in html
    assert "224 more designs are not drawn" in html


def test_the_older_calculators_have_a_page(undrawn):
    plans = [{**plan("old", 1500, 0.8, 5000), "desired_metal": None}]
    found = rating.actuarial_value(plans, plan_year=2016)
    html = av_page(found, read_designs(plans).columns, plan_year=2016, title="Old")
    assert "one source" in html


def test_notes_and_links(valued, undrawn):
    html = page_of(valued, notes=["a <note>"], links={"elsewhere": "other.html"})
    assert "a &lt;note&gt;" in html
    assert 'href="other.html"' in html


# ------------------------------------------------------------------------------------------------ as a file


def test_charts_are_drawn_in_both_widths(valued):
    (curve,) = curves_of(valued, [0], levers={0: (2600.0, 0.7199)})
    chart = charts.deductible_chart(curve)
    for svg in (chart.wide, chart.narrow):
        said = set(re.findall(r">([^<>]+)</text>", svg))
        assert {"silver", "gold", f"$2,000: {curve.av:.2%}", "$2,600: 71.99%"} <= said


class Balance(HTMLParser):
    """Tags that are opened and not closed."""

    VOID = ("meta", "br", "path", "rect", "line", "circle", "stop", "use", "link")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, _):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(valued, undrawn):
    html = page_of(valued)
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert not re.search(r"<(script|link|img|iframe)\b|https?://", html)


@pytest.mark.slow
def test_a_browser_shows_the_page(valued, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no browser here")
    path, picture = tmp_path / "av.html", tmp_path / "av.png"
    path.write_text(page_of(valued), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--screenshot={picture}", path.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert picture.stat().st_size > 10_000


def test_without_the_extra_the_page_says_what_to_install(valued, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ExtraMissing, match="reports"):
        page_of(valued)


def test_axis_marks_are_round_and_few():
    for last in (500.0, 3000.0, 9000.0, 10600.0, 31050.0, 50000.0):
        for most in (4, 8):
            marks = charts._marks(last, most)
            assert len(marks) <= most
            assert marks[-1] <= last
            assert marks == [marks[1] * place for place in range(len(marks))]
