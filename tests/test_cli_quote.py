"""The command `poolwise quote` as its users meet it: one household from options, many from files, what it refuses."""

import json
import sys
from datetime import date

import polars as pl
import pytest
from commands import refused, run

import data_specs
import rating
from data_specs import _registry
from poolwise.cli import _quote
from poolwise.cli._demo_rates import HOUSEHOLD, rate_frames
from poolwise.cli._quote_household import Asked, household_frame, read_person
from poolwise.cli._quote_inputs import read_rates

PLANS = """plan_id,metal_level,market,on_exchange
11111TX0010001,Silver,Individual,yes
11111TX0010002,Silver,Individual,yes
11111TX0010003,Expanded Bronze,Individual,yes
"""
RATES = """PlanId,RatingAreaId,Age,IndividualRate,IndividualTobaccoRate
11111TX0010001,Rating Area 1,12,300.00,
11111TX0010001,Rating Area 1,43,480.00,600.00
11111TX0010001,Rating Area 1,45,500.00,625.00
11111TX0010002,Rating Area 1,12,310.00,
11111TX0010002,Rating Area 1,43,500.00,
11111TX0010002,Rating Area 1,45,520.00,
11111TX0010003,Rating Area 1,12,180.00,
11111TX0010003,Rating Area 1,43,290.00,
11111TX0010003,Rating Area 1,45,300.00,
"""
A, B, C = (f"11111TX001000{n}" for n in (1, 2, 3))
HERE = ("--state", "TX", "--rating-area", "1")
FAMILY = ("--person", 45, "--person", "43,spouse", "--person", "child:12", "--income", "65,000")
HOUSEHOLDS = """household_id,member_id,birth_date,tobacco_use,state,rating_area_id,annual_income,tax_household_size
good,1,1981-01-01,no,TX,1,65000,3
good,2,1983-01-01,no,TX,1,65000,3
good,3,2014-01-01,no,TX,1,65000,3
"""
AMOUNTS = ("premium_monthly", "monthly_credit", "net_premium_monthly")

pytestmark = pytest.mark.usefixtures("plain_terminal", "undrawn")


@pytest.fixture
def undrawn(monkeypatch, request):
    """The page is drawn where it is looked at."""
    if "undrawn_charts" in request.fixturenames:
        return
    for outcome in ("OneHousehold", "ManyHouseholds"):
        monkeypatch.setattr(f"poolwise.cli._quote_results.{outcome}.draw", lambda *_: None)


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """A folder as a user has it; by hand: three plans, two of them silver."""
    folder = tmp_path_factory.mktemp("texas")
    (folder / "rates.csv").write_text(RATES, encoding="utf-8")
    (folder / "Plans.CSV").write_text(PLANS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def ohio(tmp_path_factory):
    """Base rates, area factors and counties of ZIPs; two rating areas of Ohio."""
    folder = tmp_path_factory.mktemp("ohio")
    (folder / "base_rates.csv").write_text(
        "plan_id,base_rate,metal_level\n00101OH0010001,300,silver\n00101OH0010002,310.505,silver\n"
    )
    (folder / "area_factors.csv").write_text(
        "issuer_id,rating_area_id,area_factor\n00101,R-OH004,1\n00101,R-OH009,1.1\n"
    )
    # 99901 lies in one county, 99902 in two of one area, 99903 in two areas.
    zips = (("99901", "39061"), ("99902", "39061"), ("99902", "39017"), ("99903", "39061"), ("99903", "39049"))
    (folder / "zip_counties.csv").write_text("zip_code,county_fips\n" + "".join(f"{z},{c}\n" for z, c in zips))
    return folder


def quoted(folder, *options, year=2026, **ends):
    """The JSON document of a quote."""
    return json.loads(run("quote", folder, "--plan-year", year, *options, "--json", **ends).stdout)


def refusal(folder, *options, year=2026):
    return refused("quote", folder, "--plan-year", year, *options)


def offers(document, *columns):
    return [tuple(offer[c] for c in columns) for offer in document["offers"]]


def fired(document):
    return {f["rule_id"]: f["rows"] for f in document["findings"]}


# ------------------------------------------------------------------------------------------------ one household


def test_one_household_by_hand(rates):
    # Poverty line of 3 in 2025: 26,650; 65,000 is 243 percent: 6.60 + (8.44 - 6.60) 43 / 50 = 8.18 percent = 5,317 a
    # year, 443 a month. Benchmark: the second silver, 520 + 500 + 310 = 1,330; 1,330 - 443 = 887.
    document = quoted(rates, *HERE, *FAMILY)
    assert offers(document, "place", "plan_id", *AMOUNTS, "csr_variant") == [
        (1, C, "770.00", "770.00", "0.00", "01"),
        (2, A, "1280.00", "887.00", "393.00", "04"),
        (3, B, "1330.00", "887.00", "443.00", "04"),
    ]
    lines = {(e["item"], e["plan_id"], e["member_id"]): e["amount"] for e in document["explanation"]}
    assert lines["monthly_contribution", None, None] == "443.00"
    assert lines["member_rate", A, "3"] == "300.00"
    assert document["notes"] == [
        "the tax household was taken to be the 3 people named (--tax-household says otherwise)"
    ]
    assert (document["plan_year"], document["exit_code"], document["out"]) == (2026, 0, None)
    assert "household_id" not in document["offers"][0]


def test_what_a_person_sees(rates):
    said = run("quote", rates, "--plan-year", 2026, *HERE, *FAMILY)
    assert said.stderr == ""
    assert "3 plans in rating area R-TX001, plan year 2026" in said.stdout
    rows = [line.split() for line in said.stdout.splitlines()]
    assert ["2", A, "silver", "73%", "(04)", "$1,280.00", "$887.00", "$393.00"] in rows
    assert any(row[1:4] == [B, "silver", "(benchmark)"] for row in rows)
    assert f"... and plan {C}" in said.stdout
    assert "$443.00   65,000.00 × 8.18 percent = 5,317 a year" in said.stdout


def test_why_there_is_no_credit(rates):
    above = run("quote", rates, "--plan-year", 2026, *HERE, "--person", 45, "--income", 62_601).stdout
    assert "No credit: the income is above the limit of the year." in above


@pytest.mark.slow
def test_without_an_income_the_credit_is_not_known(rates):
    said = run("quote", rates, "--plan-year", 2026, *HERE, "--person", 45).stdout
    assert "The credit is not known: no income was given." in said


@pytest.mark.slow
def test_adults_with_medicaid_are_told_so(ohio):
    """The limit of Ohio is 138 percent of 15,650 dollars for one person: 21,597."""
    here = ("--rating-area", "R-OH009", "--person", 45, "--income")
    for income, is_told in (("21,000", True), ("30,000", False)):
        notes = " ".join(quoted(ohio, *here, income)["notes"])
        assert ("have Medicaid (up to 138" in notes) == is_told
    assert "Medicaid" not in " ".join(quoted(ohio, *here, "21,000", "--status-exception")["notes"])


def test_tobacco_is_charged_to_the_person_who_uses_it(rates):
    document = quoted(rates, *HERE, "--person", "45,tobacco", "--person", "43")
    assert offers(document, "plan_id", "premium_monthly") == [(C, "590.00"), (B, "1020.00"), (A, "1105.00")]


def test_ages_birth_dates_and_words():
    assert read_person("1981-03-02, tobacco", 2026) == {"birth_date": date(1981, 3, 2), "tobacco_use": True}
    assert read_person("9 other no-credit not-covered", 2026) == {
        "birth_date": date(2017, 1, 1),
        "relationship": "other",
        "credit_eligible": False,
        "seeks_coverage": False,
    }
    asked = Asked(people=("45", "43,spouse"), state="tx", income="$65,000.50", effective="2026-03-01", tribal=True)
    frame = household_frame(asked, 2026)
    assert frame["relationship"].to_list() == ["self", "spouse"]
    assert frame["annual_income"].to_list() == ["65000.50"] * 2
    assert frame["tax_household_size"].to_list() == [2, 2]
    assert frame["effective_date"].unique().to_list() == [date(2026, 3, 1)]
    assert frame["state"].to_list() == ["TX", "TX"]
    # An age holds on every day of the year: someone of 30 is no young adult of 29 on 1 January.
    assert frame["birth_date"].to_list() == [date(1981, 1, 1), date(1983, 1, 1)]


@pytest.mark.slow
def test_only_the_plans_asked_for(rates):
    document = quoted(rates, *HERE, *FAMILY, "--plan", A)
    assert offers(document, "place", "plan_id", "monthly_credit") == [(2, A, "887.00")]
    assert {e["plan_id"] for e in document["explanation"]} == {None, A}
    part = quoted(rates, *HERE, *FAMILY, "--plan", A, "--plan", "nowhere", code=3)
    assert part["notes"][-1] == "not offered to the household: nowhere"
    assert "QTE-019" in refusal(rates, *HERE, *FAMILY, "--plan", "nowhere")["rule"]


def test_results_of_one_household(rates, tmp_path):
    out = tmp_path / "out"
    said = run("quote", rates, "--plan-year", 2026, *HERE, *FAMILY, "--out", out)
    assert said.stdout.splitlines()[-1] == f"Results: {out}"
    household = household_frame(
        Asked(people=("45", "43,spouse", "12"), state="TX", rating_area="1", income="65000"), 2026
    )
    expected = rating.shop(household, plan_year=2026, **read_rates(rates).on_sale())
    assert pl.read_parquet(out / "offers.parquet").equals(expected.offers)
    assert pl.read_parquet(out / "explanation.parquet").equals(expected.explanation)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["command"], manifest["benefit_year"]) == ("quote", 2026)
    assert manifest["options"]["households"] == "one household from options"
    said_there = {name: value for name, value in manifest["options"].items() if name != "rates"}  # a path
    assert "65" not in json.dumps(said_there)  # neither income nor age
    assert {i["name"] for i in manifest["inputs"]} == {"rates.csv", "Plans.CSV"}
    for output in manifest["outputs"]:
        assert output["digest"] == _registry.digest_of(out / output["name"])


@pytest.mark.slow
def test_csv_holds_the_same(rates, tmp_path):
    run("quote", rates, "--plan-year", 2026, *HERE, *FAMILY, "--out", tmp_path / "one")
    run("quote", rates, "--plan-year", 2026, *HERE, *FAMILY, "--out", tmp_path / "other", "--format", "csv")
    parquet = pl.read_parquet(tmp_path / "one" / "offers.parquet")
    assert pl.read_csv(tmp_path / "other" / "offers.csv", schema=parquet.schema).equals(parquet)


OHIO = ("--plan-year", 2026, "--state", "OH", "--rating-area", 4, "--person", "28,tobacco", "--income", 31_000)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_the_page(ohio, tmp_path):
    run("quote", ohio, *OHIO, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "quote.html").read_text(encoding="utf-8")
    assert "00101OH0010002" in page
    assert "<svg>" in page
    path = tmp_path / "households.csv"
    path.write_text("household_id,member_id,age,rating_area_id,annual_income,tax_household_size\n")
    with path.open("a") as stream:
        stream.writelines(f"h{n},1,{n},R-OH004,{1_000 * n},1\n" for n in range(21, 61))
    run("quote", ohio, "--plan-year", 2026, "--households", path, "--out", tmp_path / "many")
    assert "<svg>" in (tmp_path / "many" / "quotes.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_without_the_extra_there_is_no_page(ohio, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    said = run("quote", ohio, *OHIO, "--out", tmp_path / "plain").stdout
    assert "Note: no page was drawn" in said
    assert "poolwise[reports]" in said
    assert (tmp_path / "plain" / "offers.parquet").exists()
    assert not (tmp_path / "plain" / "quote.html").exists()


# ------------------------------------------------------------------------------------------------ rates and places


def test_base_rates_and_area_factors(ohio):
    # 300 x 1.1 x 1.444 (age 45) = 476.52; 310.505 x 1.1 x 1.444 = 493.21 (493.206).
    document = quoted(ohio, "--rating-area", "R-OH009", "--person", 45)
    assert [o[1] for o in offers(document, "plan_id", "premium_monthly")] == ["476.52", "493.21"]


def test_one_file_of_rates_of_a_small_group_by_quarter(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("plan_id,rating_area_id,base_rate,trend_q1,trend_q4\n11111TX0010001,1,100,1,1.03\n")
    options = (*HERE, "--person", 21, "--income", 20_000, "--from", "2026-11-01", "--setting", "market=small_group")
    assert offers(quoted(path, *options), "premium_monthly", "notes") == [("103.00", "small_group")]


@pytest.mark.slow
def test_counties_by_name(ohio):
    options = ("--state", "OH", "--person", 45, "--setting", "area_map=2023")
    document = quoted(ohio, *options, "--county", "hamilton county")
    assert document["offers"][0]["rating_area_id"] == "R-OH004"
    (uncertain,) = document["uncertain"][:1]
    assert (uncertain["what"], uncertain["moved"]) == ("map of 2023 for 2026", "rating_area_id")
    assert "no county" in refusal(ohio, *options, "--county", "nowhere")["what"]
    assert "needs its state" in refusal(ohio, "--person", 45, "--county", "hamilton")["what"]


@pytest.mark.parametrize("zip_code", ["99901", "99902"])
def test_a_zip_says_its_county_or_its_area(ohio, zip_code):
    document = quoted(ohio, "--person", 45, "--setting", "area_map=2023", "--zip", zip_code)
    assert document["offers"][0]["rating_area_id"] == "R-OH004"
    assert document["uncertain"][0]["what"] == "map of 2023 for 2026"


def test_a_zip_in_two_areas_asks(ohio):
    options = ("--person", 45, "--setting", "area_map=2023")
    said = refusal(ohio, *options, "--zip", "99903")
    assert said["what"] == (
        "the address lies in one of several rating areas: R-OH004 (Hamilton 39061); R-OH009 (Franklin 39049)"
    )
    assert said["rule"].startswith("QTE-009")
    assert "--county" in said["to do"]
    answered = quoted(ohio, *options, "--zip", "99903", "--state", "OH", "--county", "Franklin")
    assert answered["offers"][0]["rating_area_id"] == "R-OH009"


@pytest.mark.slow
def test_a_map_of_ones_own_is_asked(ohio, tmp_path):
    for name in ("base_rates", "area_factors", "zip_counties"):
        (tmp_path / f"{name}.csv").write_text((ohio / f"{name}.csv").read_text())
    (tmp_path / "areas.csv").write_text("state,county_fips,rating_area_id\nOH,39061,4\nOH,39017,4\nOH,39049,9\n")
    assert quoted(tmp_path, "--person", 45, "--zip", "99902")["offers"][0]["rating_area_id"] == "R-OH004"
    assert (
        "R-OH004 (Hamilton 39061); R-OH009 (Franklin 39049)"
        in refusal(tmp_path, "--person", 45, "--zip", "99903")["what"]
    )
    (tmp_path / "service_areas.csv").write_text("plan_id,county_fips\n00101OH0010002,39061\n")
    document = quoted(tmp_path, "--person", 45, "--zip", "99901")
    assert offers(document, "plan_id") == [("00101OH0010002",)]
    asked = refusal(tmp_path, "--person", 45, "--zip", "99902")
    assert (asked["rule"][:7], asked["to do"]) == ("QTE-028", "give --county, which is one of 39017, 39061")


def test_the_year_without_a_map_is_refused(ohio):
    said = refusal(ohio, "--person", 45, "--state", "OH", "--county", "39061")
    assert said["what"] == "no map of rating areas is held for 2026"
    assert "area_map=2023" in said["to do"]


# ------------------------------------------------------------------------------------------------ settings and years


@pytest.mark.slow
def test_settings_of_the_subsidy(tmp_path):
    path = tmp_path / "mine.csv"
    lines = "".join(f"11111TX001000{n},1,{rate},silver\n" for n, rate in ((1, 300), (2, 300), (3, 340)))
    path.write_text("plan_id,rating_area_id,base_rate,metal_level\n" + lines)
    options = (*HERE, "--person", 21, "--income", 20_000)

    def benchmark(*settings):
        return quoted(path, *options, *settings)["offers"][0]["benchmark_monthly"]

    assert benchmark() == "300.00"
    assert benchmark("--setting", "tie=premiums") == "340.00"
    path.write_text("plan_id,rating_area_id,base_rate,metal_level\n11111TX0010001,1,300,silver\n")
    assert benchmark() == "300.00"
    assert benchmark("--setting", "single_silver=undetermined") is None


@pytest.mark.every_case
@pytest.mark.parametrize("setting", ["tie=coin", "nothing=1", "tobacco_from_age=old", "area_map=nearest"])
def test_settings_that_are_not_known(rates, setting):
    assert setting.split("=")[0] in refusal(rates, *HERE, "--person", 45, "--setting", setting)["what"]


@pytest.mark.slow
@pytest.mark.parametrize("year", range(2014, 2027))
def test_every_year_with_percentages(ohio, year):
    document = quoted(ohio, "--rating-area", "R-OH004", "--person", 40, "--income", 30_000, year=year)
    assert {o["notes"] for o in document["offers"]} == {"credit"}


def test_a_year_whose_percentages_are_not_published(ohio):
    document = quoted(ohio, "--rating-area", "R-OH004", "--person", 40, "--income", 30_000, year=2027, code=1)
    assert fired(document) == {"QTE-030": 1}
    assert offers(document, "monthly_credit", "notes") == [(None, "percentages_not_published")] * 2
    (why,) = {e["how"] for e in document["explanation"] if e["item"] == "monthly_credit"}
    assert why == "not known: the percentages of the year are not published"


@pytest.mark.slow
def test_tables_of_ones_own(ohio, tmp_path):
    (tmp_path / "own").mkdir()
    # Made up: everybody pays 5 percent.
    percentages = data_specs.table("rating/ptc_applicable_percentages", year=2026)
    flat = percentages.with_columns(pl.lit("5.00").alias("initial_pct"), pl.lit("5.00").alias("final_pct"))
    flat.cast(pl.String).write_csv(tmp_path / "own" / "ptc_applicable_percentages.csv")
    to = tmp_path / "tables"
    run("tables", "add", tmp_path / "own", "--family", "rating", "--to", to)
    options = ("--rating-area", "R-OH004", "--person", 40, "--income", 30_000)
    document = quoted(ohio, *options, "--tables", to)
    assert document["offers"][0]["applicable_pct"] == "5.00"
    assert quoted(ohio, *options)["offers"][0]["applicable_pct"] != "5.00"


# ------------------------------------------------------------------------------------------------ bad input, one


@pytest.mark.parametrize(
    ("options", "rule", "to_do"),
    [
        (("--state", "TX", "--county", "48999", "--person", 45), "QTE-008", "--county"),
        (("--state", "TX", "--rating-area", "0", "--person", 45), "QTE-008", "--county"),
        ((*HERE, "--person", 121), "QTE-004", "0 to 120"),
        ((*HERE, "--person", "2026-01-02"), "QTE-004", "birth date"),
        ((*HERE, "--person", "45,not-covered"), "QTE-003", "not-covered"),
        ((*HERE, "--person", 45, "--person", "43,self"), "QTE-006", "one self"),
        ((*HERE, "--person", 45, "--from", "2027-01-01"), "QTE-005", "--from"),
        ((*HERE, "--person", 45, "--income", 1, "--tax-household", 0), "QTE-012", "--tax-household"),
        ((*HERE, "--person", 44), "QTE-022", "check the rates"),
        (("--state", "TX", "--rating-area", "2", "--person", 45), "QTE-020", "Rating Area 1"),
    ],
)  # fmt: skip
def test_a_household_that_cannot_be_quoted(rates, options, rule, to_do):
    said = refusal(rates, *options, "--setting", "area_map=2023")
    assert said["rule"].startswith(rule)
    assert to_do in said["to do"]


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ((*HERE, "--person", "tobacco"), "a person has neither an age nor a birth date"),
        ((*HERE, "--person", "45,43"), "part 2 says again what another part says"),
        ((*HERE, "--person", "45,smoker"), "part 2 is no age, no birth date and no word that is known"),
        ((*HERE, "--person", "2026-02-30"), "part 1 is no age, no birth date and no word that is known"),
        ((*HERE, "--person", 45, "--income", "much"), "the income is no amount of dollars"),
        ((*HERE, "--person", 45, "--from", "spring"), "the day on which coverage begins is no date"),
        (("--person", 45), "the household has no place"),
        ((), "nobody is named who should be quoted"),
    ],
)
def test_options_that_cannot_be_read(rates, options, what):
    said = refusal(rates, *options)
    assert said["what"] == what
    assert not {"43", "45", "2026-02-30"} & set(said["what"].split())  # nothing of a person is repeated


@pytest.mark.every_case
@pytest.mark.parametrize(
    "options",
    [
        ("--income", 1),
        ("--plan", A),
        ("--person", 45, "--households", "file.csv"),
        ("--person", 45, "--batch"),
        ("--batch", "--explain"),
        ("--batch", "--format", "csv"),
    ],
)
def test_options_that_do_not_go_together(rates, options):
    said = run("quote", rates, "--plan-year", 2026, *options, code=2)
    assert "Invalid value for" in said.stderr


@pytest.mark.parametrize(
    ("state", "metal", "options", "rule", "amounts"),
    [
        ("TX", "silver", ("--person", 40, "--income", "-5"), "QTE-010", ("127.80", "127.80", "0.00")),
        ("TX", "gold", ("--person", 40, "--income", 30_000), "QTE-017", ("127.80", None, None)),
        ("TX", "silver", ("--person", 40, "--income", 30_000), "QTE-018", ("127.80", "127.80", "0.00")),
        ("CA", "silver", ("--person", "40,tobacco", "--income", 1), "QTE-014", ("127.80", "127.80", "0.00")),
        ("TX", "silver", ("--person", "20,tobacco", "--income", 1), "QTE-015", ("97.00", "97.00", "0.00")),
    ],
)  # fmt: skip
def test_what_is_noticed_and_quoted_all_the_same(tmp_path, state, metal, options, rule, amounts):
    """Tobacco where it is not rated or too young, no silver plan, a single one, a negative income."""
    path = tmp_path / "rates.csv"
    path.write_text(f"plan_id,rating_area_id,base_rate,metal_level\n11111{state}0010001,1,100,{metal}\n")
    document = quoted(path, "--state", state, "--rating-area", 1, *options)
    assert fired(document)[rule] == 1
    assert offers(document, "premium_monthly", "benchmark_monthly", "monthly_credit") == [amounts]


RATE = "plan_id,rating_area_id,age_band,individual_rate,plan_year\na,R-TX001,45,10,2026\n"
BASE = "plan_id,rating_area_id,base_rate\na,R-TX001,1\n"


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({}, "there are no rates"),
        ({"rates.csv": RATE, "base_rates.csv": BASE}, "the folder holds filed rates and base rates: a household could"),
        ({"rates.csv": RATE, "rates.parquet": "x"}, "two files hold the rates table"),
        ({"rates.csv": RATE.replace("2026", "2025")}, "no row is of the individual market and plan year 2026"),
        ({"rates.csv": RATE.replace("2026", "now")}, "1 cell of column 'plan_year' holds something else than a whole"),
        ({"rates.csv": RATE.replace(",10,", ",0,")}, "1 row of rates"),
        ({"rates.csv": RATE.replace("45", "middle")}, "1 row of rates"),
        ({"base_rates.csv": BASE, "area_factors.csv": "area_factor\n1\n"}, "area factors stand in both tables, or"),
    ],
)
def test_rates_that_cannot_be_used(tmp_path, files, what):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert refusal(tmp_path, *HERE, "--person", 45)["what"].startswith(what)


def test_rates_that_are_not_there(tmp_path):
    assert refusal(tmp_path / "nowhere", *HERE, "--person", 45)["what"] == "there is no such file or folder"


def test_area_factors_beside_filed_rates_are_not_read(rates, tmp_path):
    for path in rates.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "area_factors.csv").write_text("rating_area_id,area_factor\n1,2\n")
    assert read_rates(tmp_path).notes == ["area_factors.csv was not read: filed rates hold the factors of their areas"]


def test_base_rates_without_an_area_factor_are_refused(ohio, tmp_path):
    (tmp_path / "base_rates.csv").write_text((ohio / "base_rates.csv").read_text() + "00202OH0010001,300,silver\n")
    (tmp_path / "area_factors.csv").write_text((ohio / "area_factors.csv").read_text())
    said = refusal(tmp_path, "--rating-area", "R-OH009", "--person", 45)
    assert (said["what"], said["rule"]) == (
        "1 base rate has no area factor",
        "a plan is sold where it has an area factor; absent is not 1",
    )


# ------------------------------------------------------------------------------------------------ many households


def member(household_id, member_id=1, born="1981-01-01", **cells):
    row = {
        "household_id": household_id,
        "member_id": str(member_id),
        "relationship": None,
        "birth_date": born,
        "tobacco_use": "no",
        "state": "TX",
        "county_fips": None,
        "rating_area_id": "1",
        "annual_income": "65000",
        "tax_household_size": "3",
        "effective_date": "2026-01-01",
        "plan_id": None,
    }
    return row | cells


BAD = [
    member("a1", rating_area_id=None, county_fips="48999"),
    member("a2", rating_area_id=None, county_fips=None),
    member("a3", born="1881-01-01"),
    member("a4", born=None),
    member("a5", annual_income="65,000"),
    member("a6", tax_household_size="three"),
    member("a7", effective_date="2027-01-01"),
    member("a8", plan_id="nowhere"),
    member("a9", rating_area_id="2"),
    member("b1", relationship="cousin"),
    member(None),
    member("b2"),
    member("b2"),
    member("b3"),
    member("b3", 2, annual_income="1"),
]
FINE = [
    member("c1"),
    member("c1", 2, "1983-01-01"),
    member("c1", 3, "2014-01-01"),
    member("c2", annual_income="-5", tobacco_use="yes"),
    member("c3", plan_id=A, annual_income=None, tax_household_size=None, tobacco_use=None),
]
RULES = {
    "QTE-001": 3, "QTE-002": 1, "QTE-004": 2, "QTE-005": 1, "QTE-006": 1, "QTE-007": 1, "QTE-008": 1, "QTE-009": 1,
    "QTE-010": 1, "QTE-011": 1, "QTE-012": 1, "QTE-016": 1, "QTE-019": 1, "QTE-020": 1, "QTE-024": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A file of fine and bad households, sorted by id."""
    path = tmp_path_factory.mktemp("mixed") / "households.csv"
    pl.DataFrame(BAD + FINE, infer_schema_length=None).sort("household_id", nulls_last=True).write_csv(path)
    return path


MAP = ("--setting", "area_map=2023")


def test_households_of_a_file(rates, mixed, tmp_path):
    out = tmp_path / "out"
    document = quoted(rates, "--households", mixed, *MAP, "--out", out, "--explain", code=1)
    assert fired(document) == RULES
    assert document["counts"] == [{"table": "households", "input": 20, "accepted": 5, "rejected": 15}]
    assert (document["households"], document["quotes"]) == (3, 7)
    quotes = pl.read_parquet(out / "households.parquet")
    assert quotes.filter(household_id="c1").select(pl.col(AMOUNTS).cast(pl.String)).rows() == [
        ("1280.00", "887.00", "393.00"),
        ("1330.00", "887.00", "443.00"),
        ("770.00", "770.00", "0.00"),
    ]
    assert quotes.filter(household_id="c3")["plan_id"].to_list() == [A]
    members = pl.read_parquet(out / "members.parquet")
    assert members.filter(household_id="c1", plan_id=A)["rate_monthly"].cast(pl.String).to_list() == [
        "500.00", "480.00", "300.00",
    ]  # fmt: skip
    rejected = pl.read_csv(out / "rejected_households.csv", infer_schema=False)
    assert rejected.height == 15
    ambiguous = rejected.filter(rule_id="QTE-009")["possible_areas"][0].split(", ")
    assert (ambiguous[0], len(ambiguous)) == ("R-TX001", 27)
    explained = pl.read_parquet(out / "explanation.parquet")
    assert set(explained["household_id"]) == {"c1", "c2", "c3"}
    summary = pl.read_csv(out / "summary.csv")
    assert summary["quotes"].sum() == 7
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert {i["name"] for i in manifest["inputs"]} == {"rates.csv", "Plans.CSV", "households.csv"}


@pytest.mark.slow
def test_what_a_person_sees_of_many(rates, mixed):
    said = run("quote", rates, "--plan-year", 2026, "--households", mixed, *MAP, code=1).stdout
    rows = [line.split() for line in said.splitlines()]
    assert "7 quotes for 3 households, plan year 2026; dollars a month" in said
    # c1 770.00, 770.00, 0.00; c2 is below the limit of 100 percent: 300.00, no credit.
    assert ["expanded", "bronze", "2", "$535.00", "$385.00", "$150.00"] in rows
    assert any(row[-6:] == ["1", "$500.00", "not", "known", "not", "known"] for row in rows)
    assert ["households", "20", "5", "15"] in rows


def parts(folder, name="quotes"):
    return pl.concat(pl.read_parquet(p) for p in sorted((folder / name).glob("*.parquet")))


@pytest.mark.slow
def test_batches_give_the_same(rates, mixed, tmp_path):
    run("quote", rates, "--plan-year", 2026, "--households", mixed, *MAP, "--out", tmp_path / "all", code=1)
    batches = ("--batch", "--members", "--out", tmp_path / "batches")
    document = quoted(rates, "--households", mixed, *MAP, *batches, code=1)
    assert fired(document) == RULES
    assert (document["households"], document["quotes"]) == (3, 7)
    for name, folder in (("households", "quotes"), ("members", "members")):
        whole = pl.read_parquet(tmp_path / "all" / f"{name}.parquet")
        assert parts(tmp_path / "batches", folder).equals(whole)
    assert parts(tmp_path / "batches", "rejected").height == 15
    summaries = [(tmp_path / f / "summary.csv").read_text() for f in ("all", "batches")]
    assert summaries[0] == summaries[1]


@pytest.mark.slow
def test_a_large_file_goes_into_batches_by_itself(rates, mixed, tmp_path, monkeypatch):
    run("quote", rates, "--plan-year", 2026, "--households", mixed, *MAP, "--batch", "--out", tmp_path / "a", code=1)
    monkeypatch.setattr(_quote, "_MOST_IN_MEMORY", 10)
    run("quote", rates, "--plan-year", 2026, "--households", mixed, *MAP, "--out", tmp_path / "large", code=1)
    assert parts(tmp_path / "large").equals(parts(tmp_path / "a"))
    assert not (tmp_path / "large" / "members").exists()
    assert refusal(rates, "--households", mixed, *MAP)["to do"] == "add --out DIR"
    assert "Parquet" in refusal(rates, "--households", mixed, *MAP, "--out", tmp_path / "x", "--format", "csv")["what"]


@pytest.mark.slow
def test_batches_of_parquet_and_rows_out_of_order(rates, tmp_path):
    text = pl.DataFrame(FINE, infer_schema_length=None)
    is_yes = pl.col("tobacco_use") == "yes"
    typed = text.with_columns(is_yes.alias("tobacco_use"), pl.col("tax_household_size").cast(pl.Int64))
    typed.write_parquet(tmp_path / "households.parquet")
    options = ("--batch", "--out", tmp_path / "out")
    document = quoted(rates, "--households", tmp_path / "households.parquet", *options)
    assert document["households"] == 3
    typed.reverse().write_parquet(tmp_path / "households.parquet")
    said = refusal(rates, "--households", tmp_path / "households.parquet", *options)
    assert said["what"] == "the rows are not sorted by household_id"
    text.reverse().write_csv(tmp_path / "households.csv")
    assert (
        str(tmp_path / "households.csv")
        in refusal(rates, "--households", tmp_path / "households.csv", *options)["where"]
    )
    assert quoted(rates, "--households", tmp_path / "households.csv")["households"] == 3


@pytest.mark.slow
def test_ages_instead_of_birth_dates(rates, tmp_path):
    lines = [row | {"age": {"1": "45", "2": "43", "3": "12"}[row["member_id"]]} for row in FINE[:3]]
    lines += [member("c4") | {"age": "old"}, member("c5") | {"age": "130"}]
    frame = pl.DataFrame(lines, infer_schema_length=None)
    frame.drop("birth_date").write_csv(tmp_path / "households.csv")
    document = quoted(rates, "--households", tmp_path / "households.csv", code=1)
    assert (document["households"], fired(document)) == (1, {"QTE-004": 2})
    frame.drop("age").head(3).write_csv(tmp_path / "households.csv")
    by_birth = quoted(rates, "--households", tmp_path / "households.csv")
    assert by_birth["summary"] == document["summary"]


@pytest.mark.slow
def test_zips_of_a_file(ohio, tmp_path):
    lines = "h1,1,40,99901\nh2,1,40,99902\nh3,1,40,99903\nh4,1,40,\n"
    path = tmp_path / "households.csv"
    path.write_text("household_id,member_id,age,zip_code\n" + lines)
    document = quoted(ohio, "--households", path, *MAP, "--batch", "--out", tmp_path / "out", code=1)
    assert document["households"] == 2
    assert fired(document) == {"QTE-008": 1, "QTE-009": 1, "QTE-024": 2}
    assert {u["what"] for u in document["uncertain"]} >= {"map of 2023 for 2026"}
    rejected = parts(tmp_path / "out", "rejected")
    assert rejected.filter(household_id="h3")["areas_of_zip"].to_list() == ["R-OH004, R-OH009"]


@pytest.mark.parametrize(
    ("name", "before", "after", "what"),
    [
        ("a.csv", "no,TX", "perhaps,TX", "3 cells of column 'tobacco_use' hold something else than true or false"),
        ("a.csv", "member_id", "household_id", "column 'household_id' stands twice"),
        ("a.csv", "birth_date", "born", "missing column 'birth_date'"),
        ("a.csv", ",65000,3", ",65000,3,one,too,many", "fields, the header has 8"),
        ("a.csv", HOUSEHOLDS, "", "the file cannot be read as a table"),
        ("a.txt", "", "", "the file is neither CSV nor Parquet"),
        ("a.parquet", "", "", "the file is not a Parquet file"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(rates, tmp_path, name, before, after, what):
    path = tmp_path / name
    header, rows = HOUSEHOLDS.split("\n", 1)
    if before == ",65000,3":
        path.write_text(header + "\n" + rows.replace(before, after))
    else:
        path.write_text(HOUSEHOLDS.replace(before, after) if before else HOUSEHOLDS)
    assert refusal(rates, "--households", path)["what"].endswith(what)


def test_a_file_that_is_not_there(rates, tmp_path):
    said = refusal(rates, "--households", tmp_path / "a.csv")
    assert (said["what"], said["where"]) == ("the file of households does not exist", str(tmp_path / "a.csv"))


@pytest.mark.slow
def test_nobody_quoted_is_said(rates, tmp_path):
    path = tmp_path / "households.csv"
    path.write_text(HOUSEHOLDS.replace(",TX,1,", ",TX,2,"))
    document = quoted(rates, "--households", path, "--out", tmp_path / "out", code=1)
    assert document["notes"][0].startswith("nobody was quoted")
    assert fired(document)["QTE-020"] == 3


@pytest.mark.slow
def test_equal_runs_leave_equal_bytes(rates, mixed, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("one", "other"):
        run("quote", rates, "--plan-year", 2026, "--households", mixed, *MAP, "--out", tmp_path / name, code=1)
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "other"))
    assert one == other


# ------------------------------------------------------------------------------------------------ the demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What the demo leaves to be quoted, without the rest of it."""
    from made_up import market_of

    from poolwise.cli._demo_rates import write_rates

    folder = tmp_path_factory.mktemp("demo")
    write_rates(market_of(50), folder, "OH", 2025)
    return folder


@pytest.mark.slow
def test_what_the_demo_suggests_works(demo):
    document = quoted(demo, *HOUSEHOLD.split(), year=2025)
    assert len(document["offers"]) > 20
    assert {o["rating_area_id"] for o in document["offers"]} == {"R-OH004"}
    assert document["offers"][0]["monthly_credit"] != "0.00"


@pytest.mark.slow
def test_households_of_the_demo_are_quoted(demo):
    many = quoted(demo, year=2025)
    assert (many["households"], many["counts"][0]["rejected"]) == (4, 0)


@pytest.mark.slow
def test_rates_of_the_demo_are_those_its_market_pays(demo):
    """A policy of the made-up market costs what the demo's rates say: the same bases, factors and rounding."""
    from made_up import market_of

    market = market_of(50)
    frames = rate_frames(market, "OH", 2025)
    spans = market["spans"].filter(pl.col("span_start") == date(2025, 1, 1))
    single = spans.filter(pl.len().over("policy_id") == 1)
    people = single.join(market["enrollees"], on="enrollee_id").select(
        household_id="enrollee_id",
        member_id="enrollee_id",
        birth_date="birth_date",
        rating_area_id="rating_area_id",
        plan_id="plan_id",
        catastrophic_exempt=pl.lit(True),
    )
    quotes = rating.quote(people, rates=frames["rates"], plans=frames["plans"], plan_year=2025).households
    paid = single.select(household_id="enrollee_id", paid=pl.col("premium_monthly").cast(pl.Decimal(18, 2)))
    both = quotes.join(paid, on="household_id", validate="1:1")
    assert both.height == single.height > 5
    assert (both["premium_monthly"] == both["paid"]).all()
