"""Page and workbook of a settlement: what they show, what they keep back, and that the workbook's formulas hold."""

import re
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal
from html.parser import HTMLParser

import polars as pl
import pytest
import workbook_formulas
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import market_of

import riskadjust
from data_specs.errors import ExtraMissing
from poolwise.report import Settlement, transfers_page, write_workbook
from poolwise.report._settlement_sheets import Ledger
from poolwise.report._transfer_charts import _labels, _scale, short_dollars
from poolwise.report._transfer_figures import IssuerLine, hidden_issuers, pool_figures
from poolwise.report._transfer_sections import high_cost_section, mixes_section

MIXES = {
    "mix": ["fewer young", "one family"],
    "column": ["age_last", "policy_id"],
    "operator": ["<=", "="],
    "value": ["34", "POL-00000001"],
    "action": ["scale", "scale"],
    "factor": [0.5, 0.0],
    "to_plan_id": pl.Series([None, None], dtype=pl.String),
}
# The amounts of two pools by hand: T01 of the case folder twice, and a plan without months.
ROWS = [
    ("individual", "11111", "A", "silver", 12000.0, 4_800_000.0, 1.2, 1.5),
    ("individual", "22222", "B", "silver", 8000.0, 3_200_000.0, 0.9, 1.5),
    ("individual", "22222", "C", "gold", 0.0, 0.0, None, None),
    ("small_group", "11111", "A", "bronze", 90.0, 36_000.0, 1.1, 1.4),
    ("small_group", "=2+5", "@D", "silver", 5000.0, 2_000_000.0, 1.0, 1.6),
    ("small_group", "33333", "-E", "gold", 7000.0, 3_000_000.0, 1.3, 1.5),
    ("small_group", "44444", "+F", "gold", 6000.0, 2_000_000.0, 1.5, 1.5),
]


def plan_rows(rows=ROWS, **changed):
    columns = ["risk_pool", "issuer_id", "plan_id", "metal_level", "billable_member_months", "premium", "plrs", "arf"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    extra = {"rating_area_id": "1", "gcf": 1.0} | changed
    return frame.with_columns(pl.lit(v).alias(c) for c, v in extra.items())


def settled(rows=ROWS, *, benefit_year=2016, changed=None, **options):
    return Settlement(riskadjust.transfers(plan_rows(rows, **(changed or {})), benefit_year=benefit_year, **options))


@pytest.fixture(scope="module")
def market():
    """A made-up market settled with all that can go with it."""
    tables = market_of(1_500)
    frames = [tables[t] for t in ("enrollees", "spans", "diagnoses", "drugs")]
    scores = riskadjust.score(*frames, benefit_year=2025, explain=True).scores
    own = (scores, tables["enrollees"], tables["spans"], tables["plans"])
    risk = riskadjust.plan_risk_report(*own, benefit_year=2025)
    result = riskadjust.transfers(risk.plan_rows, benefit_year=2025)
    pools = risk.plan_rows.select("plan_id", "state", "risk_pool", "issuer_id").unique()
    claims = tables["costs"].join(pools, on="plan_id", how="inner", validate="m:1")
    high_cost = riskadjust.high_cost_risk_pool(claims, result.issuers, benefit_year=2025)
    mixes = riskadjust.mix(*own, pl.DataFrame(MIXES), benefit_year=2025, costs=tables["costs"])
    return Settlement(result, risk, high_cost, mixes)


@pytest.fixture(scope="module")
def page(market):
    links = {"The <scores>": "summary.html"}
    return transfers_page(market, title="Transfers <of> 'all'", notes=["A remark & more."], links=links)


def cells_of(html, heading):
    """The cells of the first table under a heading, row by row, without marks."""
    part = html.split(f"<h2>{heading}</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c).strip() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]


# ------------------------------------------------------------------------------------------------ figures


def test_pools_and_issuers_by_hand():
    individual, small = sorted(pool_figures(settled().transfers), key=lambda p: p.name)
    assert [(i.issuer_id, i.transfer) for i in individual.issuers] == [
        ("11111", Decimal("533333.33")),
        ("22222", Decimal("-533333.33")),
    ]
    assert individual.issuers[0].per_month == pytest.approx(44.4444, abs=1e-4)
    assert [round(i.average_score, 9) for i in individual.issuers] == [1.2, 0.9]
    assert individual.average_score == pytest.approx(1.08)
    assert individual.residual == 0
    assert small.name == "small group"
    assert [i.transfer for i in small.issuers] == sorted((i.transfer for i in small.issuers), reverse=True)


def test_the_largest_pool_of_a_state_comes_first():
    rows = [("a", "1", "A", "silver", 10.0, 1.0, 1.0, 1.0), ("b", "1", "B", "silver", 20.0, 1.0, 1.0, 1.0)]
    assert [p.risk_pool for p in pool_figures(settled(rows).transfers)] == ["b", "a"]


def test_default_charges_count_as_what_an_issuer_pays():
    charged = pl.DataFrame(
        {"risk_pool": ["individual"], "issuer_id": ["99999"], "billable_member_months": [100.0], "charge_pmpm": [50.0]}
    )
    settlement = settled(default_charges=charged)
    individual = next(p for p in pool_figures(settlement.transfers) if p.risk_pool == "individual")
    amounts = {i.issuer_id: i.transfer for i in individual.issuers}
    assert amounts["99999"] == Decimal("-5000.00")
    assert sum(amounts.values()) == individual.residual == 0
    assert individual.has_charges


def test_amounts_in_words():
    amounts = (0, 0.4, -0.4, 999.49, 999.5, -12_345, 999_949, 1_234_567, -9_996_000, 2.5e9)
    assert [short_dollars(d) for d in amounts] == [
        "$0",
        "$0",
        "$0",
        "$999",
        "$1.00 K",
        "−$12.3 K",
        "$1.00 M",
        "$1.23 M",
        "−$10.0 M",
        "$2.50 B",
    ]


# ------------------------------------------------------------------------------------------------ small groups


def line(months):
    return IssuerLine("1", months, 1.0, 1.0, Decimal(0), 0.0)


@settings(max_examples=30)
@given(st.lists(st.one_of(st.just(0.0), st.floats(0.1, 600)), max_size=10))
def test_no_issuer_that_may_be_small_is_shown_or_follows_from_the_rest(months):
    """Ten people have at most 122 months: an issuer with fewer may be theirs."""
    hidden = hidden_issuers([line(m) for m in months])
    assert all(m == 0 or m > 122 for m, is_hidden in zip(months, hidden, strict=True) if not is_hidden)
    kept = [m for m, is_hidden in zip(months, hidden, strict=True) if is_hidden]
    if kept and any(m and not is_hidden for m, is_hidden in zip(months, hidden, strict=True)):
        people = 0
        for m in kept:
            while m > 0:  # as few people as can have so many months
                people, m = people + 1, m - 12.2
        assert len(kept) > 1
        assert people >= 11


def test_small_issuers_are_hidden_on_the_page(undrawn_charts):
    html = transfers_page(settled(), title="Made")
    rows = {r[0]: r[1:] for r in cells_of(html, "Risk pool small group") if r}
    assert rows["11111"] == ["–"] * 5
    hidden = [issuer for issuer, figures in rows.items() if figures[3] == "–"]
    assert len(hidden) == 2, "the other one follows from the total, zero"
    assert "3,000,000" in rows["33333"][1]
    small = next(p for p in pool_figures(settled().transfers) if p.risk_pool == "small_group")
    for amount in (i.transfer for i in small.issuers if i.issuer_id in hidden):
        assert f"{abs(amount):,.2f}" not in html


def test_a_small_pool_is_not_shown(undrawn_charts):
    few = [("individual", "11111", "A", "silver", 60.0, 30_000.0, 1.2, 1.5), *ROWS[3:]]
    html = transfers_page(settled(few), title="Made")
    assert "Risk pool individual" not in html
    assert "Not shown: 1 risk pool that may hold" in html


def test_too_few_people_at_all(undrawn_charts):
    few = [("individual", "11111", "A", "silver", 60.0, 30_000.0, 1.2, 1.5)]
    html = transfers_page(settled(few), title="Made")
    assert "too few people here" in html
    assert "11111" not in html
    assert "<svg" not in html


def high_cost_of(above):
    issuers = pl.DataFrame(
        {
            "high_cost_risk_pool": ["individual"] * len(above),
            "issuer_id": [str(n) for n in range(len(above))],
            "premium": [1e6] * len(above),
            "enrollees_above": above,
            **{c: [Decimal(n + 1) for n in range(len(above))] for c in ("payment", "charge", "net")},
        }
    )
    kept = type("HighCost", (), {"issuers": issuers})()
    (pool,) = high_cost_section(Settlement(settled().transfers, high_cost=kept))
    return pool


def test_few_people_with_high_costs_are_not_told_of():
    assert high_cost_of([3, 0, 4])["issuers"] == []  # a rate would tell what seven people cost
    shown = high_cost_of([30, 3, 40])["issuers"]
    assert [row["payment"] for row in shown] == ["–", "–", "3.00"]
    assert [row["charge"] for row in shown] == ["1.00", "2.00", "3.00"]
    assert "Nobody" in high_cost_of([0, 0])["instead"]


@pytest.mark.slow
def test_a_mix_about_few_people_is_left_out(market, undrawn_charts):
    section = mixes_section(market, pool_figures(market.transfers), [])
    assert [m["mix"] for m in section["about"]] == ["fewer young"]
    assert section["left_out"] == 1
    assert all(p["headings"] == ["As it is", "fewer young"] for p in section["pools"])
    everything = str(section)
    assert "POL-" not in everything
    assert "one family" not in everything


# ------------------------------------------------------------------------------------------------ the page


def test_page_asks_nothing_of_the_network(page):
    attributes = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in ("script", "link", "iframe", "img", "object", "embed", "base")
            attributes.extend(attrs)

    Reader().feed(page)
    loading = [v for n, v in attributes if n in ("src", "href", "xlink:href", "srcset", "action", "poster")]
    assert [v for v in loading if not v.startswith("#")] == ["summary.html"]  # the link that was asked for
    assert "@import" not in page
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", page))
    assert {a for a in addresses if not a.startswith("http://www.w3.org/")} == set()


def test_page_tells_what_the_money_did(market, page):
    lines = re.findall(r'<p class="told">(.*?)</p>', page)
    assert len(lines) == 2
    individual = next(p for p in pool_figures(market.transfers) if p.risk_pool == "individual")
    first, last = individual.issuers[0], individual.issuers[-1]
    assert f"Issuer {first.issuer_id}" in lines[1]
    assert f"issuer {last.issuer_id}" in lines[1]
    assert short_dollars(float(first.transfer)) in lines[1]


def test_page_holds_tables_charts_mixes_and_sources(market, page):
    assert page.count("<svg") == 4  # one pool of three issuers and more: transfers and mixes, wide and narrow
    rows = {r[0]: r[1:] for r in cells_of(page, "Risk pool OH individual") if r}
    individual = next(p for p in pool_figures(market.transfers) if p.risk_pool == "individual")
    largest = max(individual.issuers, key=lambda i: i.months)
    assert rows[largest.issuer_id][3] == f"{largest.transfer:,.2f}".replace("-", "−")
    assert rows["all"][0] == f"{individual.row['billable_member_months']:,.1f}"
    assert "What changes under fewer young" in page
    for table in market.tables:
        assert table in page
    for condition in market.findings["condition"]:
        assert condition in page
    assert "admin_cost_reduction" in page
    assert "SYN-" not in page
    assert "POL-" not in page


def test_text_of_the_page_is_escaped(page):
    assert "<title>Transfers &lt;of&gt; &#39;all&#39;</title>" in page
    assert "A remark &amp; more." in page
    assert '<a href="summary.html">The &lt;scores&gt;</a>' in page


def test_page_carries_no_date(page):
    assert re.findall(r"\b20\d\d-\d\d-\d\d\b", page) == []


def test_equal_settlements_give_equal_pages(undrawn_charts):
    assert transfers_page(settled(), title="Made") == transfers_page(settled(ROWS[::-1]), title="Made")


@pytest.mark.slow
def test_no_money_moves(undrawn_charts):
    rows = [("individual", i, "A", "silver", 5000.0, 2e6, 1.0, 1.5) for i in ("1", "2", "3")]
    html = transfers_page(settled(rows), title="Made")
    assert "In the individual risk pool no money moves between 3 issuers." in html


@pytest.mark.slow
def test_many_pools_have_one_chart_and_closed_tables(undrawn_charts):
    rows = [(f"pool {n}", *row[1:]) for n in range(9) for row in ROWS[4:]]
    html = transfers_page(settled(rows), title="Made")
    assert html.count("<svg") == 2
    assert html.count("<details>") == 9
    assert "In 9 risk pools" in html


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_missing_extra_of_the_page_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=r"poolwise\[reports\]"):
        transfers_page(settled(), title="Made")


def test_names_of_an_axis_are_told_apart():
    names = ["A very long name of an issuer, one", "A very long name of an issuer, two", "short"]
    labels = _labels(names, 340)
    assert len(set(labels)) == 3
    assert all(len(label) <= 14 for label in labels)


DOLLARS = st.integers(-(10**11), 10**11).map(lambda cents: cents / 100)


@settings(max_examples=30)
@given(st.lists(DOLLARS, min_size=1, max_size=8), st.floats(0.01, 0.3))
def test_axis_has_room_for_its_labels(values, room):
    class Alt:
        @staticmethod
        def Scale(domain, nice):  # noqa: N802
            assert not nice
            return domain

    low, high = _scale(Alt, values, room)
    assert low <= min(0, *values)
    assert max(0, *values) <= high
    assert low < high
    if min(values) < 0:
        assert (min(values) - low) / (high - low) == pytest.approx(room, rel=1e-6)
    if max(values) > 0:
        assert (high - max(values)) / (high - low) == pytest.approx(room, rel=1e-6)


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Measures the page from within, as a reader's browser lays it out, and says what a console would have said.
PROBE = """<script>
const faults = []; window.addEventListener('error', e => faults.push(String(e.message)));
window.addEventListener('load', () => {
  const seen = [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect()).filter(b => b.width > 0);
  const bars = [...document.querySelectorAll('svg path')].filter(p => p.getBoundingClientRect().width > 2);
  const colors = new Set(bars.map(p => getComputedStyle(p).fill));
  document.title = JSON.stringify({charts: seen.map(b => [Math.round(b.width), Math.round(b.height)]), faults,
    colors: [...colors], overflow: document.documentElement.scrollWidth - window.innerWidth});
});
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [820, 500])
def test_page_opens_in_a_browser(page, tmp_path, width):
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    import json

    file = tmp_path / "page.html"
    file.write_text(page.replace("</head>", PROBE + "</head>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--window-size={width},900"]
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]
    seen = json.loads(title.replace("&quot;", '"'))
    assert seen["faults"] == []
    assert seen["overflow"] <= 0
    assert len(seen["charts"]) == 2  # wide or narrow, never both
    assert all(w > 250 and h > 100 for w, h in seen["charts"])
    assert {"rgb(47, 102, 144)", "rgb(200, 85, 61)"} <= set(seen["colors"]), "issuers that receive, and that pay"


# ------------------------------------------------------------------------------------------------ the workbook


# A and B pay 3,076.923..., C receives 6,153.846... dollars: rounded, a cent is left over.
THIRDS = [("individual", i, i, "silver", 100.0, 40_000.0, r, 1.5) for i, r in (("A", 1.0), ("B", 1.0), ("C", 1.25))]
OPTIONS = {
    "plain": {},
    "state reduction": {"settings": {"state_reduction": {"small_group": "0.5"}}},
    "error rates": {"radv_error_rates": {"33333": 0.1}},
    "rounded plans": {"settings": {"issuer_rounding": "rounded_plans"}},
    "balanced": {"settings": {"cents_balance": "largest_remainder"}, "rows": THIRDS},
    "default charge": {
        "default_charges": pl.DataFrame(
            {"risk_pool": ["individual"], "issuer_id": ["9"], "billable_member_months": [77.0], "charge_pmpm": [51.13]}
        )
    },
}


IN_DEFAULT_RUN = ("plain", "error rates")


@pytest.mark.parametrize(
    "options",
    [pytest.param(o, id=n, marks=[] if n in IN_DEFAULT_RUN else pytest.mark.slow) for n, o in OPTIONS.items()],
)
def test_formulas_of_the_workbook_give_our_figures(tmp_path, options):
    settlement = settled(benefit_year=2022, **options)
    path = tmp_path / "t.xlsx"
    write_workbook(path, settlement, title="Made & more")
    book = workbook_formulas.read(path)
    formulas = 0
    for sheet in ("Pools", "Plans", "Issuers"):
        for place, known in book[sheet].items():
            if known.formula is None:
                continue
            formulas += 1
            worked_out = workbook_formulas.evaluate(book, sheet, place)
            expected = known.number
            if expected is None:
                assert worked_out in ("", None), (sheet, place)
            else:
                assert worked_out == pytest.approx(expected, rel=1e-12, abs=2e-9), (sheet, place, known.formula)
    assert formulas > 20 * settlement.transfers.plans.height
    result = settlement.transfers
    assert workbook_formulas.column(book, "Issuers", "Transfer") == [
        None if v is None else float(v) for v in result.issuers["transfer"]
    ]
    assert workbook_formulas.column(book, "Plans", "Transfer") == [float(v) for v in result.plans["transfer"]]
    assert workbook_formulas.column(book, "Pools", "Residual") == [float(v) for v in result.pools["residual"]]


def test_a_changed_figure_goes_through_the_workbook(tmp_path):
    """Plan risk is where figures are typed: the transfers follow as if they had been settled."""
    path = tmp_path / "t.xlsx"
    write_workbook(path, settled(), title="Made")
    book = workbook_formulas.read(path)
    place = workbook_formulas.place(book, "Plan risk", "plrs", row=0)
    book["Plan risk"][place] = workbook_formulas.Cell(None, 1.5)
    found = [
        workbook_formulas.evaluate(book, "Issuers", p) for p in workbook_formulas.places(book, "Issuers", "Transfer")
    ]
    changed = [(*ROWS[0][:6], 1.5, 1.5), *ROWS[1:]]
    expected = [float(v) for v in settled(changed).transfers.issuers["transfer"]]
    assert found == pytest.approx(expected, abs=0.0049)


@pytest.mark.slow
def test_sheets_stand_in_order_of_work(market, tmp_path):
    path = tmp_path / "t.xlsx"
    write_workbook(path, market, title="Made", notes=["=1+1"])
    book = workbook_formulas.read(path)
    assert list(book) == [
        "Read me",
        "Plan risk",
        "Geographic cost factors",
        "Pools",
        "Plans",
        "Issuers",
        "High-cost pools",
        "High-cost risk pool",
        "Mixes, issuers",
        "Mixes, pools",
        "Mixes, plans",
        "Mixes, enrollment",
        "Findings",
        "Rows read",
        "Settings",
        "Uncertain figures",
        "Sources",
    ]
    assert [c for c in book["Read me"].values() if c.formula is not None] == []
    assert workbook_formulas.column(book, "Geographic cost factors", "gcf") == pytest.approx(
        market.plan_risk.areas["gcf"].to_list()
    )
    with zipfile.ZipFile(path) as packed:
        for name in packed.namelist():
            if not name.startswith("xl/worksheets/sheet") or name.endswith("sheet1.xml"):
                continue
            sheet = packed.read(name).decode()
            assert 'state="frozen"' in sheet, name
            assert "<pageSetup" in sheet, name


def test_text_is_never_a_formula(tmp_path):
    path = tmp_path / "t.xlsx"
    write_workbook(path, settled(), title="=1+1 & more", notes=["+1", "@x", "-1"])
    book = workbook_formulas.read(path)
    assert workbook_formulas.column(book, "Plans", "Issuer")[-4:] == ["11111", "33333", "44444", "=2+5"]
    assert sorted(workbook_formulas.column(book, "Plans", "Plan"))[:3] == ["+F", "-E", "@D"]
    for sheet, cells in book.items():
        written = {c.formula for c in cells.values() if c.formula is not None}
        assert not any(text in f for f in written for text in ("2+5", "1+1", "@")), sheet


@pytest.mark.slow
def test_equal_settlements_give_equal_workbooks(tmp_path):
    for name, rows in (("one", ROWS), ("other", ROWS[::-1])):
        write_workbook(tmp_path / f"{name}.xlsx", settled(rows), title="Made")
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "other.xlsx").read_bytes()


def test_missing_extra_of_the_workbook_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(ExtraMissing, match=r"poolwise\[excel\]"):
        write_workbook(tmp_path / "t.xlsx", settled(), title="Made")


def test_ledger_says_what_balancing_moved():
    result = settled(THIRDS, settings={"cents_balance": "largest_remainder"}).transfers
    columns, rows, _ = Ledger(result.plans, result.issuers, result.pools, rounds_plans=False).table("Issuers")
    place = [c.heading for c in columns].index("Cents moved")
    plain = settled(THIRDS).transfers
    moved = [float(a - b) for a, b in zip(result.issuers["transfer"], plain.issuers["transfer"], strict=True)]
    assert plain.pools["residual"].to_list() != [0]
    assert [round(row[place], 2) for row in rows] == [round(m, 2) for m in moved]
    assert result.pools["residual"].to_list() == [0]


@pytest.mark.slow
def test_office_program_works_out_the_same(market, tmp_path):
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("no LibreOffice here (Debian: apt-get install libreoffice-calc)")
    profile = tmp_path / "profile" / "user"
    profile.mkdir(parents=True)
    # As when it is told to work out every formula of a file that it opens.
    (profile / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<oor:items xmlns:oor="http://openoffice.org/2001/registry">'
        '<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">'
        "<value>0</value></prop></item></oor:items>",
        encoding="utf-8",
    )
    path, out = tmp_path / "t.xlsx", tmp_path / "out"
    write_workbook(path, market, title="Made")
    command = [office, f"-env:UserInstallation={profile.parent.as_uri()}", "--headless", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", str(out), str(path)], check=True, capture_output=True, timeout=300)
    ours, theirs = workbook_formulas.read(path), workbook_formulas.read(out / "t.xlsx")
    for sheet, headings in {
        "Plans": ("Transfer",),
        "Issuers": ("Transfer",),
        "Pools": ("Received", "Residual"),
    }.items():
        for heading in headings:
            found = workbook_formulas.column(theirs, sheet, heading)
            assert found == pytest.approx(workbook_formulas.column(ours, sheet, heading), abs=1e-9), (sheet, heading)
