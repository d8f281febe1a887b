"""The page of a scoring run: complete in itself, the same for equal runs, and silent about small groups."""

import re
import sys
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data_specs
import riskadjust
from data_specs.errors import ExtraMissing
from poolwise.report import _summary, summary_page
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells, shown_count


@pytest.fixture(scope="module")
def market():
    return data_specs.synthetic_market("NY", enrollees=1000, seed=3)


@pytest.fixture(scope="module")
def result(market):
    frames = (market["enrollees"], market["spans"], market["diagnoses"], market["drugs"])
    return riskadjust.score(*frames, benefit_year=2025, explain=True)


@pytest.fixture(scope="module")
def page(market, result):
    return summary_page(result, title="Scores <of> 'all'", sexes=market["enrollees"], notes=["A remark & more."])


def line(enrollee, **changed):
    """One line of scores, as riskadjust.score returns it."""
    return {
        "enrollee_id": enrollee,
        "model": "adult",
        "metal_level": "silver",
        "age_last": 45,
        "enrollment_months": 12,
        "risk_score": 0.336,
        "csr_adjusted_score": 0.336,
        "hccs": ["020"],
    } | changed


# ------------------------------------------------------------------------------------------------ figures


def test_summary_by_hand():
    scores = pl.DataFrame(
        [
            line("A", risk_score=0.001, csr_adjusted_score=0.00112),
            line("A", risk_score=0.002, csr_adjusted_score=None, hccs=[], enrollment_months=7),
            line("B", model="infant", metal_level="catastrophic", hccs=[]),
            line("C", metal_level="expanded_bronze"),
            line("D", metal_level="platinum"),
        ]
    )
    found = _summary.by_model_and_metal(scores)
    assert found.select("model", "metal_level", "people").rows() == [
        ("adult", "platinum", 1),
        ("adult", "silver", 1),
        ("adult", "expanded_bronze", 1),
        ("infant", "catastrophic", 1),
    ]
    silver = found.row(1, named=True)
    assert silver["mean_risk_score"] == 0.0015
    assert silver["mean_csr_adjusted_score"] == 0.00112
    assert silver["share_with_hcc"] == 0.5
    assert silver["mean_enrollment_months"] == 9.5
    assert _summary.overall(scores)["people"].to_list() == [4]


def test_means_of_many_lines_do_not_wrap():
    """A count is 32 bits wide: times ten million it would wrap beyond 429 lines."""
    scores = pl.DataFrame([line(f"{n}", risk_score=40.0, csr_adjusted_score=46.4) for n in range(5000)])
    found = _summary.by_model_and_metal(scores).row(0, named=True)
    assert (found["mean_risk_score"], found["mean_csr_adjusted_score"]) == (40.0, 46.4)


def test_without_an_adjusted_score_there_is_no_mean_of_it():
    scores = pl.DataFrame([line("A", csr_adjusted_score=None)], schema_overrides={"csr_adjusted_score": pl.Float64})
    assert _summary.by_model_and_metal(scores)["mean_csr_adjusted_score"].to_list() == [None]


def test_bands_hold_every_line_once(result):
    bands = _summary.by_score(result.scores)
    assert bands["lines"].sum() == result.scores.height
    assert bands["band"].to_list()[:3] == ["under 0.25", "0.25 to 0.5", "0.5 to 1"]
    exact = pl.DataFrame([line("A", risk_score=s) for s in (0.249, 0.25, 0.499, 0.5, 32.0)])
    counted = dict(_summary.by_score(exact).rows())
    assert [counted[b] for b in ("under 0.25", "0.25 to 0.5", "0.5 to 1", "32 and more")] == [1, 2, 1, 1]


def test_age_bands_by_hand():
    scores = pl.DataFrame(
        [line(f"{age}", age_last=age, risk_score=float(age)) for age in (0, 1, 2, 20, 21, 59, 60, 99)]
    )
    sexes = pl.DataFrame({"enrollee_id": scores["enrollee_id"], "sex": ["F"] * 8})
    found = _summary.by_age_and_sex(scores, sexes)
    assert found.select("band", "people", "mean_risk_score").rows() == [
        ("0-1", 2, 0.5),
        ("2-9", 1, 2.0),
        ("10-20", 1, 20.0),
        ("21-29", 1, 21.0),
        ("50-59", 1, 59.0),
        ("60+", 2, 79.5),
    ]
    assert set(found["band"]) < set(_summary.age_labels())


# ------------------------------------------------------------------------------------------------ small cells


@settings(max_examples=30)
@given(st.lists(st.integers(0, 60), max_size=12))
def test_no_small_cell_is_shown_or_follows_from_the_total(people):
    hidden = hidden_cells(people)
    shown = [n for n, is_hidden in zip(people, hidden, strict=True) if not is_hidden]
    kept = [n for n, is_hidden in zip(people, hidden, strict=True) if is_hidden]
    assert all(n == 0 or n >= SMALLEST_SHOWN for n in shown)
    if kept and any(shown):
        assert len(kept) > 1
        assert sum(kept) >= SMALLEST_SHOWN
    if not any(0 < n < SMALLEST_SHOWN for n in people):
        assert not kept


def test_counts_as_text():
    assert [shown_count(n) for n in (0, 1, 10, 11, 12_345)] == ["0", "under 11", "under 11", "11", "12,345"]


def cells_of(html, heading):
    """The cells of the table under a heading, row by row, without marks."""
    part = html.split(f"<h2>{heading}</h2>")[1].split("</section>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c).strip() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]


def test_small_groups_are_hidden_on_the_page(result, page):
    summary = _summary.by_model_and_metal(result.scores)
    small = summary.filter(pl.col("people") < SMALLEST_SHOWN)
    assert small.height, "the market of this test has a small group"
    rows = {(r[0], r[1].replace(" ", "_")): r[2:] for r in cells_of(page, "By model and metal level") if r}
    for model, metal in small.select("model", "metal_level").rows():
        assert rows[model, metal] == ["–"] * 5
    large = summary.filter(pl.col("people") > 100).row(0, named=True)
    assert rows[large["model"], large["metal_level"]][0] == f"{large['people']:,}"
    assert rows["all", ""][:2] == ["1,000", f"{_summary.overall(result.scores)['mean_risk_score'][0]:.3f}"]


def test_a_share_of_few_people_is_hidden(undrawn_charts):
    scores = pl.DataFrame([line(f"{n}", hccs=["020"] if n < 3 else []) for n in range(200)])
    page = page_of(scores)
    assert [r[2:] for r in cells_of(page, "By model and metal level") if r] == [
        ["200", "0.336", "0.336", "–", "12.0"]
    ] * 2


def test_page_of_a_few_people_shows_nothing_of_them(undrawn_charts):
    scores = pl.DataFrame([line(f"{n}", metal_level="gold", risk_score=17.5) for n in range(10)])
    page = page_of(scores)
    assert "Too few people" in page
    assert "gold" not in page
    assert "17.5" not in page
    assert "<svg" not in page


@pytest.mark.slow
def test_few_rejected_rows_do_not_follow_from_the_rest(undrawn_charts):
    counts = pl.DataFrame({"table": ["enrollees"], "input": [200], "accepted": [197], "rejected": [3]})
    page = page_of(pl.DataFrame([line(f"{n}") for n in range(200)]), counts=counts)
    assert [r for r in cells_of(page, "Rows read") if r] == [["enrollees", "200", "–", "under 11"]]


def page_of(scores, counts=None):
    """The page of some lines of scores."""
    empty = {"table": pl.String, "input": pl.Int64, "accepted": pl.Int64, "rejected": pl.Int64}
    findings = dict.fromkeys(("rule_id", "severity", "table", "condition"), pl.String) | {"rows": pl.Int64}
    made = riskadjust.Scores(
        scores=scores,
        findings=pl.DataFrame(schema=findings),
        rejected={},
        counts=pl.DataFrame(schema=empty) if counts is None else counts,
        uncertain=pl.DataFrame({"table": ["hhs_hcc/icd10_to_cc"], "what": ["rows marked uncertain"], "enrollees": [4]}),
        settings={"allow_proposed": False},
        benefit_year=2025,
        tables=["hhs_hcc/coefficients"],
    )
    sexes = scores.select("enrollee_id", pl.lit("1").alias("sex")).unique()
    return summary_page(made, title="Made", sexes=sexes)


# ------------------------------------------------------------------------------------------------ the page


def test_page_asks_nothing_of_the_network(page):
    attributes = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in ("script", "link", "iframe", "img", "object", "embed", "base")
            attributes.extend(attrs)

    Reader().feed(page)
    loading = [v for n, v in attributes if n in ("src", "href", "xlink:href", "srcset", "action", "poster")]
    assert [v for v in loading if not v.startswith("#")] == []
    assert "@import" not in page
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= set(re.findall(r"url\((#[^)]*)\)", page))
    # Names of XML vocabularies are the only addresses, and nothing is fetched for a name.
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", page))
    assert {a for a in addresses if not a.startswith("http://www.w3.org/")} == set()


def test_page_holds_table_charts_findings_sources(page, result):
    assert page.count("<svg") == 4  # two charts, wide and narrow
    for condition in result.findings["condition"]:
        assert condition in page
    for table in result.tables:
        assert table in page
    assert "No figure" in page or "no figure that is marked uncertain" in page
    assert "duration_scope = issuer_market" in page


def test_text_is_escaped(page):
    assert "<title>Scores &lt;of&gt; &#39;all&#39;</title>" in page
    assert "A remark &amp; more." in page


def test_uncertain_figures_are_listed(undrawn_charts):
    page = page_of(pl.DataFrame([line(f"{n}") for n in range(50)]))
    assert "rows marked uncertain (hhs_hcc/icd10_to_cc): under 11 scores" in page


def test_no_enrollee_stands_on_the_page(page):
    assert "SYN-" not in page


@pytest.mark.slow
def test_equal_runs_give_equal_pages(market, result, page):
    again = summary_page(result, title="Scores <of> 'all'", sexes=market["enrollees"], notes=["A remark & more."])
    assert again == page


def test_page_carries_no_date(page):
    assert re.findall(r"\b20\d\d-\d\d-\d\d\b", page) == []


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_missing_extra_is_named(market, result, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=r"poolwise\[reports\]"):
        summary_page(result, title="Scores", sexes=market["enrollees"])
