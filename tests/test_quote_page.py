"""The pages of quotes: every drawn point is a quote, steps are upright, small groups are hidden, browsers open them."""

import functools
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import polars as pl
import pytest
import quote_frames as made

from data_specs.errors import ExtraMissing, InputRefused
from poolwise.report import _quote_charts
from poolwise.report._charts import Chart
from poolwise.report._quote_curves import BENCHMARK, CHEAPEST, OF_METAL, WITH_CREDIT, quote_curves
from poolwise.report._quote_incomes import ABOVE_LIMIT, BELOW_LIMIT, MEDICAID
from poolwise.report._quote_page import quote_page
from poolwise.report._quotes_figures import band_labels, quotes_figures
from poolwise.report._quotes_page import quotes_page
from rating import quote, quote_files, rate_table, shop

SILVER, BENCH, BRONZE, GOLD = "11111TX0010001", "22222TX0010001", "33333TX0010001", "44444TX0010001"


def market(area="R-TX001"):
    rows = [
        made.plan(SILVER, "300", area),
        made.plan(BENCH, "320", area, ehb_pct_premium="0.99"),
        made.plan(BRONZE, "250", area, metal_level="bronze"),
        made.plan(GOLD, "400", area, metal_level="gold"),
    ]
    return [row | {"plan_id": row["plan_id"].replace("TX", area[2:4])} for row in rows]


PLANS = market()
LOADED = [row | {"tobacco_ratio": ratio} for row, ratio in zip(PLANS, ("1.2", "1.1", "1", "1"), strict=True)]


def shopped(rows, plans=PLANS, *, plan_year=2026, **options):
    frame, offered = made.frame(rows), pl.DataFrame(plans)
    return frame, shop(frame, base_rates=offered, plan_year=plan_year, **options), offered


def curves_of(rows, plans=PLANS, *, plan_year=2026, **options):
    frame, shopping, offered = shopped(rows, plans, plan_year=plan_year, **options)
    return quote_curves(frame, shopping, base_rates=offered, **options)


def page_of(rows, plans=PLANS, *, plan_year=2026, notes=(), links=None, **options):
    frame, shopping, offered = shopped(rows, plans, plan_year=plan_year, **options)
    return quote_page(frame, shopping, title="A <quote>", notes=notes, links=links, base_rates=offered, **options)


def single(age=60, income="50000", *, year=2026, area="R-TX001", **cells):
    return made.family(
        age, annual_income=income, tax_household_size=1, on=date(year, 1, 1), rating_area_id=area, **cells
    )


def told(html):
    return re.findall(r'<p class="told">(.*?)</p>', html)


def cells_of(html, heading):
    """The cells of the first table under a heading, row by row, without marks."""
    part = html.split(f"<h2>{heading}</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.DOTALL)
    cells = [[re.sub(r"<[^>]+>", "", c).split() for c in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    return [[" ".join(words) for words in row] for row in cells if row]


@functools.cache
def alone(age=60, income="50000", *, year=2026, area="R-TX001"):
    """The curves of one person, worked out once."""
    return curves_of(single(age, income, year=year, area=area), market(area), plan_year=year)


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without charts, for tests that read their words; returns the names of the charts left out."""
    left_out = []
    for name in ("ages_chart", "incomes_chart", "tiers_chart"):
        monkeypatch.setattr(
            _quote_charts, name, lambda *_, name=name: left_out.append(name) or Chart("<svg/>", "<svg/>")
        )
    monkeypatch.setattr("poolwise.report._quotes_page.score_chart", lambda _: left_out.append("") or Chart("", ""))
    return left_out


@pytest.fixture
def described(monkeypatch):
    """What charts would be drawn from: their layers, by the kind of mark."""
    charts = []

    def note(chart):
        layers = chart.to_dict(validate=False)["layer"]
        charts.append([(layer["mark"]["type"], json.loads(layer["data"]["values"])) for layer in layers])
        return "<svg></svg>"

    monkeypatch.setattr("poolwise.report._charts._svg", note)
    return charts


# ------------------------------------------------------------------------------------------------ by income


@pytest.mark.slow
def test_every_point_is_a_quote_at_that_income():
    rows = made.family(40, 9, annual_income="52000", tax_household_size=4)
    rows[1]["credit_eligible"] = False
    points = curves_of(rows).incomes.sample(60, seed=1)
    asked = [
        row | {"household_id": str(i), "annual_income": str(i)}
        for i in points["annual_income"].unique()
        for row in rows
    ]
    quoted = made.quoted(asked, PLANS).households.select(
        pl.col("household_id").cast(pl.Int64).alias("annual_income"),
        *("plan_id", "net_premium_monthly", "income_pct_of_poverty", "notes"),
    )
    found = points.join(quoted, on=quoted.columns, how="semi")
    assert found.height == points.height == 60


def test_the_cliff_of_2026_by_hand():
    """60 years, factor 2.714: 320 x 2.714 = 868.48, 99 percent of it 859.80; 9.96 percent of 62,600 is 520 a month."""
    curves = alone()
    ends = {j.plan_id: j for j in curves.jumps if j.is_limit}
    cliff = ends[BENCH]
    assert (cliff.income, cliff.percent) == (62_600, 400)
    assert (cliff.before, cliff.after) == (Decimal("528.68"), Decimal("868.48"))
    assert ends[BRONZE].after - ends[BRONZE].before == Decimal("339.80")
    assert curves.poverty_line == 15_650
    assert [(z.name, z.start, z.end) for z in curves.zones] == [
        (BELOW_LIMIT, 0, 15_650),
        (ABOVE_LIMIT, 62_601, curves.incomes["annual_income"].max()),
    ]


@pytest.mark.parametrize(
    ("year", "has_cliff"), [(2018, True), (2020, True), (2021, False), (2025, False), (2026, True)]
)
def test_the_enhanced_years_have_no_cliff(year, has_cliff):
    curves = alone(year=year)
    assert any(j.is_limit for j in curves.jumps) is has_cliff
    assert any(z.name == ABOVE_LIMIT for z in curves.zones) is has_cliff
    high = curves.incomes.filter(pl.col("plan_id") == BENCH, pl.col("annual_income") > 3.9 * float(curves.poverty_line))
    steps = high["net_premium_monthly"].cast(pl.Float64).diff().drop_nulls()
    assert (steps.max() > 300) is has_cliff
    assert steps.min() > -5


@pytest.mark.slow
def test_a_step_is_drawn_upright_and_never_sloped(described):
    """No line goes from one side of a step to the other: what joins them is a rule at one income."""
    own = [_quote_charts.Dot(BENCH, Decimal(50_000), Decimal("379.68"))]
    _quote_charts.incomes_chart(alone(), {p: p for p in (BENCH, BRONZE)}, own)
    layers = dict(described[0])
    lines, rules = layers["line"], layers["rule"]
    assert layers["point"] == [{"plan": BENCH, "income": 50_000.0, "dollars": 379.68}]
    assert layers["rect"][-1]["income"] == 62_601
    cliff = next(r for r in rules if r["plan"] == BENCH and r["income"] == 62_600)
    assert (cliff["low"], cliff["high"]) == (528.68, 868.48)
    of_plan = [p for p in lines if p["plan"] == BENCH]
    below = next(p for p in of_plan if p["income"] == 62_600)
    above = next(p for p in of_plan if p["income"] == 62_601)
    assert (below["dollars"], above["dollars"]) == (528.68, 868.48)
    assert below["segment"] != above["segment"]
    for before, after in itertools.pairwise(of_plan):
        if before["segment"] == after["segment"]:
            assert abs(after["dollars"] - before["dollars"]) < 25


@pytest.mark.slow
def test_a_young_household_has_no_step_where_the_contribution_covers_the_benchmark(undrawn):
    assert not any(j.is_limit for j in alone(21, "30000").jumps)
    html = page_of(single(21, "30000"))
    assert "There is no step at the limit of the credit" in html
    assert len(told(html)) == 1


@pytest.mark.slow
def test_medicaid_and_poverty(undrawn):
    assert alone(area="R-OH001").zones[0].end == Decimal("22024.80")  # 1.38 x 15,960
    assert alone(area="R-OH001").zones[0].name == MEDICAID
    frame = made.frame(single(year=2025, area="R-OH001")).with_columns(pl.lit(True).alias("has_status_exception"))
    offered = pl.DataFrame(market("R-OH001"))
    shopping = shop(frame, base_rates=offered, plan_year=2025)
    assert not quote_curves(frame, shopping, base_rates=offered).zones
    assert alone(income="12000", area="R-OH001").outcome == "medicaid"
    assert alone(income="12000").outcome == "below_poverty"
    assert alone(income="12000").is_medicaid_known
    assert not alone(year=2017).is_medicaid_known  # the limits held begin in 2018
    assert "Which incomes have Medicaid instead is not known here for 2017." in page_of(
        single(year=2017), plan_year=2017
    )


@pytest.mark.slow
def test_the_axis_reaches_the_household():
    assert alone(income="100000").incomes["annual_income"].max() > 100_000
    assert alone(income="100000").incomes["income_pct_of_poverty"].max() == 401
    assert alone(income="9000000").incomes["annual_income"].max() < 200_000


@pytest.mark.slow
def test_without_an_income_the_members_are_the_tax_household():
    rows = made.family(40, 38, 9)
    curves = curves_of(rows)
    assert (curves.income, curves.tax_household_size, curves.is_size_given) == (None, 3, False)
    assert curves.poverty_line == 26_650
    assert curves.incomes.height > 100


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (single(year=2027), {"plan_year": 2027}),
        (single(), {"settings": {"market": "small_group"}}),
        (single(credit_eligible=False), {}),
    ],
)
def test_no_line_by_income_where_no_credit_is_worked_out(rows, options, undrawn):
    plan_year = options.pop("plan_year", 2026)
    curves = curves_of(rows, plan_year=plan_year, **options)
    assert curves.incomes.height == 0
    assert not curves.jumps
    html = page_of(rows, plan_year=plan_year, **options)
    assert "Net premium by income" not in html
    assert undrawn == ["ages_chart"]


# ------------------------------------------------------------------------------------------------ by age and tier


@pytest.mark.slow
def test_rates_by_age_are_those_of_the_rate_table():
    curves = curves_of(single(), LOADED)
    plans = pl.DataFrame(LOADED).select("plan_id", "base_rate", "tobacco_ratio")
    areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": ["1"]})
    table = rate_table(plans, areas, state="TX", market="individual", plan_year=2026)
    for plan_id in curves.ages["plan_id"].unique():
        bands = {row["age_band"]: row for row in table.filter(pl.col("plan_id") == plan_id).rows(named=True)}
        for _, age, plain, loaded in curves.ages.filter(pl.col("plan_id") == plan_id).rows():
            band = bands["0-14" if age <= 14 else "64+" if age == 64 else str(age)]
            assert plain == band["individual_rate"]
            assert loaded == band["individual_tobacco_rate"]
    assert curves.ages.height == 3 * 65


def test_plans_drawn_and_why():
    assert [(p.plan_id, p.roles) for p in alone().plans] == [
        (BRONZE, (CHEAPEST, WITH_CREDIT)),
        (BENCH, (BENCHMARK,)),
        (GOLD, (OF_METAL,)),
    ]
    rich = [*PLANS, made.plan("c", "150", metal_level="catastrophic"), made.plan("o", "160", on_exchange=False)]
    curves = curves_of(single(income="90000"), rich)
    drawn = {p.plan_id: p.roles for p in curves.plans}
    assert drawn["c"] == (CHEAPEST,)
    assert drawn[BRONZE] == (WITH_CREDIT,)
    assert set(curves.incomes["plan_id"]) == {BRONZE, BENCH}


@pytest.mark.slow
def test_a_plan_asked_for_is_drawn_beside_the_benchmark():
    curves = curves_of(single(plan_id=GOLD))
    assert {p.plan_id: p.roles for p in curves.plans} == {GOLD: (CHEAPEST, WITH_CREDIT), BENCH: (BENCHMARK,)}
    assert set(curves.incomes["plan_id"]) == {GOLD, BENCH}


@pytest.mark.slow
def test_a_catastrophic_plan_leaves_a_gap_where_it_is_closed():
    plans = [made.plan("c", "150", metal_level="catastrophic"), made.plan("d", "160", metal_level="catastrophic")]
    curves = curves_of(single(40, "90000"), plans)
    assert not curves.incomes.height  # no benchmark, no metal that a credit goes with
    assert curves.ages.filter(pl.col("plan_id") == "c").height == 65


@pytest.mark.slow
def test_states_of_family_tiers(undrawn):
    rows = made.family(40, 38, 9, annual_income="70000", tax_household_size=3, rating_area_id="R-VT001")
    curves = curves_of(rows, market("R-VT001"))
    assert curves.ages.height == 0
    found = dict(
        curves.tiers.filter(pl.col("plan_id") == BENCH.replace("TX", "VT")).select("tier", "premium_monthly").rows()
    )
    assert found == {
        "one adult": Decimal("320.00"),
        "two adults": Decimal("640.00"),
        "one adult with children": Decimal("617.60"),  # x 1.93; Vermont has no tier of children only
        "two adults with children": Decimal("899.20"),
    }
    html = page_of(rows, market("R-VT001"))
    assert "tiers_chart" in undrawn
    assert "Premium by family tier" in html
    assert "family tier two adults children" in html


def test_one_household_is_drawn_not_two():
    rows = single() + made.family(30, household_id="other")
    frame, shopping, offered = shopped(rows)
    with pytest.raises(InputRefused, match="one household, not 2"):
        quote_curves(frame, shopping, base_rates=offered)
    with pytest.raises(InputRefused, match="one household"):
        quote_page(frame, shopping, title="x", base_rates=offered)


@pytest.mark.slow
def test_another_household_that_could_not_be_quoted_takes_no_part():
    rows = single() + made.family(30, household_id="other", rating_area_id="R-TX077")
    assert curves_of(rows).members["age"].to_list() == [60]


# ------------------------------------------------------------------------------------------------ the page


def three_people():
    rows = made.family(60, 58, 16, household_id="H-77", annual_income="84000", tax_household_size=3, tobacco_use=True)
    return page_of(rows, LOADED, notes=["A remark & more."], links={"The <scores>": "summary.html"})


@pytest.fixture(scope="module")
def page():
    """The words of a page."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ages_chart", "incomes_chart"):
            patch.setattr(_quote_charts, name, lambda *_: Chart("<svg/>", "<svg/>"))
        return three_people()


@pytest.fixture(scope="module")
def drawn_page():
    return three_people()


@pytest.mark.slow
def test_page_asks_nothing_of_the_network(drawn_page):
    attributes = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in ("script", "link", "iframe", "img", "object", "embed", "base")
            attributes.extend(attrs)

    Reader().feed(drawn_page)
    loading = [v for n, v in attributes if n in ("src", "href", "xlink:href", "srcset", "action", "poster")]
    assert [v for v in loading if not v.startswith("#")] == ["summary.html"]
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", drawn_page))
    assert {a for a in addresses if not a.startswith("http://www.w3.org/")} == set()
    assert drawn_page.count("<svg") == 4
    assert "<title>A &lt;quote&gt;</title>" in drawn_page
    assert "A remark &amp; more." in drawn_page


def test_page_tells_the_household_without_ids(page):
    assert "Three people, 60, 58 and 16 years old on January 1, 2026, in rating area 1 of TX." in page
    assert "All of them use tobacco." in page
    assert (
        "Income: $84,000 a year, 315 percent of the poverty line of $26,650 for a tax household of three people."
        in page
    )
    assert "H-77" not in page
    assert not re.search(r"\b(19|20)\d\d-\d\d-\d\d\b", page)


def test_page_lists_every_plan_by_net_premium(page):
    rows = cells_of(page, "Plans, cheapest first")
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert [row[1][: len(BENCH)] for row in rows] == [BRONZE, BENCH, SILVER, GOLD]  # of tobacco users
    nets = [Decimal(row[5].lstrip("$").replace(",", "")) for row in rows]
    assert nets == sorted(nets)
    for row in rows:
        premium, credit, net = (Decimal(cell.lstrip("$").replace(",", "")) for cell in row[3:6])
        assert premium - credit == net
        assert all(re.fullmatch(r"\$\d{1,3}(,\d{3})*\.\d\d", cell) for cell in row[3:6])
    assert ["benchmark" in row[1] for row in rows] == [False, True, False, False]
    assert {row[6] for row in rows} == {"standard (01)"}


def test_page_explains_the_cheapest_plan_and_the_benchmark(page):
    part = page.split("<h2>How the numbers arise</h2>")[1]
    assert re.findall(r"<h3>(.*?)</h3>", part) == [
        "For every plan",
        f"Cheapest, bronze ({BRONZE})",
        f"Benchmark, silver ({BENCH})",
    ]
    assert "84,000.00 × 9.96 percent = 8,366 a year in whole dollars; ÷ 12 in whole dollars" in part
    assert "base 320 × area 1 × age factor 2.714 (age 60) × tobacco 1.1, rounded to cents once" in part
    assert part.count("Rate at age 58") == 2
    assert " x " not in re.sub(r"<[^>]+>", "", part.split("<h2>")[0])


def test_page_tells_what_the_end_of_the_credit_costs(page):
    lines = told(page)
    assert lines[0].startswith("The cheapest of four plans (bronze) costs $")
    assert lines[1].startswith(
        "The credit ends above $106,600 a year (400 percent of the poverty line): with one dollar"
    )


def test_page_names_settings_uncertain_figures_and_sources(page):
    for word in ("rounding_point", "single_silver", "ceiling of TX as of", "rating/medicaid_adult_limits", "QTE-015"):
        assert word in page
    assert "under 11" not in page  # it is the household's own page


@pytest.mark.slow
def test_equal_households_give_equal_pages(undrawn):
    rows = made.family(40, 38, 9, annual_income="70000", tax_household_size=3)
    assert page_of(rows) == page_of(rows[::-1], PLANS[::-1])


@pytest.mark.parametrize(
    ("income", "area", "said"),
    [
        ("90000", "R-TX001", "No credit: income above the limit."),
        ("12000", "R-OH001", "At this income adults have Medicaid in OH"),
        ("12000", "R-TX001", "TX has no Medicaid for adults without children"),
        (None, "R-TX001", "Credit not known: no income given."),
    ],
)
def test_what_the_income_means_is_said(undrawn, income, area, said):
    html = page_of(single(income=income, area=area), market(area))
    assert any(said in line for line in told(html))
    assert "None" not in re.sub(r"<[^>]+>", " ", html).replace("None: no figure", "").replace("None.", "")


@pytest.mark.slow
def test_the_dots_are_what_the_household_pays(undrawn, monkeypatch):
    seen = []
    monkeypatch.setattr(_quote_charts, "incomes_chart", lambda *given: seen.append(given) or Chart("", ""))
    page_of(single())
    ((_, names, dots),) = seen
    offers = shopped(single())[1].offers
    paid = {p: n for p, n in offers.select("plan_id", "net_premium_monthly").rows() if p in (BRONZE, BENCH)}
    assert {d.plan_id: d.net_premium for d in dots} == paid
    assert {d.income for d in dots} == {Decimal(50_000)}
    assert names[BENCH] == f"benchmark, silver ({BENCH})"


@pytest.mark.slow
def test_people_beside_the_covered_ones_are_counted(undrawn):
    rows = made.family(40, 38, 9, annual_income="70000", tax_household_size=3)
    rows[1]["seeks_coverage"] = False
    rows[2]["credit_eligible"] = False
    curves = curves_of(rows)
    assert curves.members["age"].to_list() == [40, 9]
    html = page_of(rows)
    assert "Two people, 40 and 9 years old" in html
    assert "One of them does not seek coverage." in html
    assert "One of them cannot have the credit." in html


def test_a_household_without_a_plan_learns_why(undrawn):
    html = page_of(single(area="R-TX077"))
    assert told(html) == ["No plan can be quoted: the findings say why."]
    assert "QTE-020" in html
    assert not undrawn


@pytest.mark.slow
def test_an_address_in_two_areas_is_asked_about(undrawn):
    areas = pl.DataFrame({"zip_code": ["00001", "00001"], "state": ["TX", "TX"], "rating_area_id": [1, 2]})
    frame = pl.DataFrame(
        {"household_id": ["h"], "member_id": ["1"], "birth_date": ["1985-06-30"], "zip_code": ["00001"]}
    )
    offered = pl.DataFrame(PLANS)
    shopping = shop(frame, base_rates=offered, plan_year=2026, areas=areas)
    html = quote_page(frame, shopping, title="x", base_rates=offered, areas=areas)
    assert "The address may be in R-TX001, R-TX002." in told(html)


@pytest.mark.slow
def test_a_long_list_is_folded(undrawn):
    many = [made.plan(f"{n:05d}TX0010001", f"{300 + n}") for n in range(40)]
    html = page_of(single(), many)
    assert "<summary>15 more plans</summary>" in html
    assert html.count("<details>") == 1


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_missing_extra_of_the_page_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissing, match=r"poolwise\[reports\]"):
        page_of(single())


# ------------------------------------------------------------------------------------------------ many households


@pytest.fixture(scope="module")
def many():
    draw = random.Random(11)
    rows, plans = made.random_households(draw, 300, 2026), made.random_offers(draw)
    return rows, plans, quote(made.frame(rows), base_rates=pl.DataFrame(plans), plan_year=2026)


def by_hand(result):
    """Outcome, cheapest net premium and credit of each household, one row at a time."""
    homes = {}
    for row in result.households.rows(named=True):
        homes.setdefault(row["household_id"], []).append(row)
    plain = ("off_exchange", "catastrophic", "metal_level_not_given")
    for rows in homes.values():
        notes = {row["notes"] for row in rows} - set(plain)
        assert len(notes) <= 1
        note = notes.pop() if notes else None
        nets = [r["net_premium_monthly"] for r in rows if r["net_premium_monthly"] is not None]
        is_known = note not in ("no_benchmark", "income_not_given") and nets
        yield note, min(nets) if is_known else None


def test_figures_of_many_households_by_hand(many):
    _, _, result = many
    found, expected = quotes_figures(result), list(by_hand(result))
    assert found.households == len(expected)
    assert found.quotes == result.households.height
    with_credit = [net for note, net in expected if note == "credit"]
    row = found.outcomes.row(by_predicate=pl.col("outcome") == "premium tax credit", named=True)
    assert (row["households"], row["net_known"]) == (len(with_credit), len(with_credit))
    assert row["net"] == 100 * sum(with_credit)
    nets = [net for _, net in expected if net is not None]
    assert found.bands["cheapest"].sum() == len(nets)
    assert found.bands.row(0)[:2] == ("$0", sum(net == 0 for net in nets))
    of_third = sum(Decimal(50) <= net < 100 for net in nets)
    assert found.bands.row(2)[:2] == ("$50 to $100", of_third)
    assert found.bands.row(-1)[1] == sum(net >= 1500 for net in nets)
    unknown = found.outcomes.filter(pl.col("outcome").str.starts_with("credit not known"))
    assert unknown["households"].sum() > 30
    assert unknown["net_known"].sum() == 0


@pytest.mark.slow
def test_files_give_the_figures_of_frames(many, tmp_path):
    rows, plans, result = many
    path = tmp_path / "households.parquet"
    made.frame(rows).sort("household_id").write_parquet(path)
    files = quote_files(path, tmp_path / "out", base_rates=pl.DataFrame(plans), plan_year=2026, batch_rows=90)
    assert len(list((tmp_path / "out" / "quotes").glob("part-*.parquet"))) > 3
    for name in ("households", "quotes"):
        assert getattr(quotes_figures(files), name) == getattr(quotes_figures(result), name)
    for name in ("outcomes", "bands", "variants"):
        assert getattr(quotes_figures(files), name).equals(getattr(quotes_figures(result), name))
    shopping = shop(made.frame(rows), base_rates=pl.DataFrame(plans), plan_year=2026, explain=False)
    assert quotes_figures(shopping).outcomes.equals(quotes_figures(result).outcomes)


def test_page_of_many_households_hides_small_groups(many, undrawn):
    _, _, result = many
    html = quotes_page(result, title="Many", notes=["A remark."])
    found = quotes_figures(result)
    rows = {row[0]: row[1:] for row in cells_of(html, "Households by outcome")}
    hidden = {name for name, figures in rows.items() if figures[0] == "–"}
    small = {o for o, n in found.outcomes.select("outcome", "households").rows() if n < 11}
    assert small
    assert small <= hidden
    assert sum(n for o, n in found.outcomes.select("outcome", "households").rows() if o in hidden) >= 11
    assert rows["all"][0] == f"{found.households:,}"
    for name in hidden:
        assert rows[name] == ["–"] * 4
    shown = int(rows["premium tax credit"][0].replace(",", ""))
    assert f"Of {found.households:,} households {shown:,} ({shown / found.households:.1%})" in html
    assert "h00" not in html
    for word in ("QTE-024", "rounding_point", "rating/ptc_applicable_percentages"):
        assert word in html


@pytest.mark.slow
def test_few_households_are_not_told_of(many, undrawn):
    rows, plans, _ = many
    few = [row for row in rows if row["household_id"] < "h00009"]
    result = quote(made.frame(few), base_rates=pl.DataFrame(plans), plan_year=2026)
    assert 0 < result.households["household_id"].n_unique() < 11
    html = quotes_page(result, title="Few")
    assert told(html) == ["There are too few households here to show what they pay."]
    assert "Households by outcome" not in html
    assert not undrawn
    assert "$" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_nobody_quoted_is_a_page_too(undrawn):
    result = quote(made.frame(single(area="R-TX077")), base_rates=pl.DataFrame(PLANS), plan_year=2026)
    assert "QTE-020" in quotes_page(result, title="Nobody")


def test_bands_cover_every_amount(many):
    labels = band_labels()
    assert len(labels) == len(set(labels)) == quotes_figures(many[2]).bands.height


# ------------------------------------------------------------------------------------------------ in a browser


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Measures the page from within, as a reader's browser lays it out, and says what a console would have said.
PROBE = """<script>
const faults = []; window.addEventListener('error', e => faults.push(String(e.message)));
window.addEventListener('load', () => {
  const seen = [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect()).filter(b => b.width > 0);
  const table = document.querySelector('section.long table').getBoundingClientRect();
  const outside = [...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0).flatMap(s =>
    [...s.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect(), p = s.getBoundingClientRect();
      return b.width && (b.left < p.left - 1 || b.right > p.right + 1 || b.top < p.top - 1 || b.bottom > p.bottom + 1);
    }).map(t => t.textContent));
  document.title = JSON.stringify({charts: seen.map(b => [Math.round(b.width), Math.round(b.height)]), faults, outside,
    table: Math.round(table.right), overflow: document.documentElement.scrollWidth - window.innerWidth});
});
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1000, 500, 390])
def test_page_opens_in_a_browser(drawn_page, tmp_path, width):
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    (tmp_path / "page.html").write_text(drawn_page.replace("</head>", PROBE + "</head>"), encoding="utf-8")
    # A window has a least width; a frame has none. What the frame measured becomes the title of its parent.
    frame = (
        f'<body style="margin:0"><iframe src="page.html" style="border:0;width:{width}px;height:900px" '
        'onload="setTimeout(() => document.title = this.contentDocument.title, 50)"></iframe></body>'
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=3000"]
    flags += ["--allow-file-access-from-files", "--window-size=1100,900", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [CHROMIUM, *flags, "--dump-dom", (tmp_path / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]
    seen = json.loads(title.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert seen["faults"] == []
    assert seen["outside"] == []
    assert seen["overflow"] <= 0
    assert seen["table"] <= width
    assert len(seen["charts"]) == 2  # wide or narrow, never both
    assert all(w > 250 and h > 200 for w, h in seen["charts"])
