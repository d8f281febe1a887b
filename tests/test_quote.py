"""Household quotes: worked cases, the slow twin, properties, bad input."""

import csv
import random
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import quote_frames as made
import quote_oracle as oracle
from quote_frames import amounts, fired, quoted

from rating import _quote_work
from rating._quote import quote

CASES = Path(__file__).parent / "cases" / "rating"


# ------------------------------------------------------------------------------------------------ worked cases


def given_cases():
    members = {}
    for row in csv.DictReader((CASES / "quotes" / "members.csv").read_text(encoding="utf-8").splitlines()):
        members.setdefault(row["quote_id"], []).append(row)
    for row in csv.DictReader((CASES / "quotes" / "quotes.csv").read_text(encoding="utf-8").splitlines()):
        people = [
            {"age": int(m["age"]), "tobacco": m["tobacco_ratio"] != "1", "rate": m["member_rate"] or None}
            for m in members[row["quote_id"]]
        ]
        case = {"name": row["quote_id"], "year": int(row["plan_year"]), "trend": row["trend_factor"]}
        case |= {name: row[name] for name in ("state", "market", "base_rate", "area_factor")}
        ratios = {m["tobacco_ratio"] for m in members[row["quote_id"]]}
        case |= {"effective": date.fromisoformat(row["effective_date"]), "tobacco_ratio": max(ratios, key=float)}
        case |= {"premium": row["monthly_premium"], "members": people}
        yield case | {"children_charged_max": int(row["children_charged_max"] or 3)}


def worked_cases():
    return tomllib.loads((CASES / "worked_quotes.toml").read_text(encoding="utf-8"))["quote"]


@pytest.mark.parametrize("case", [*given_cases(), *worked_cases()], ids=lambda case: case["name"])
def test_worked_cases_to_the_cent(case):
    on = case.get("effective", date(case["year"], 1, 1))
    area, market = f"R-{case['state']}001", case.get("market", "individual")
    rows = [
        made.member(
            "h",
            f"{i}",
            birth_date=made.born_at(person["age"], on),
            relationship=person.get("relationship", "self" if i == 0 else "child"),
            tobacco_use=person.get("tobacco", False),
            rating_area_id=area,
            effective_date=on,
        )
        for i, person in enumerate(case["members"])
    ]
    cells = {name: case[name] for name in ("area_factor", "tobacco_ratio", "children_charged_max") if name in case}
    if market == "small_group":
        cells |= {f"trend_q{q}": case["trend"] if q == (on.month + 2) // 3 else "9" for q in range(1, 5)}
    plans = [made.plan("p", case["base_rate"], area, **cells)]
    result = quoted(rows, plans, plan_year=case["year"], settings={"market": market})
    assert amounts(result) == [case["premium"]]
    rates = [None if r is None else str(r) for r in result.members["rate_monthly"]]
    assert rates == [person.get("rate") for person in case["members"]]
    assert result.members["age"].to_list() == [person["age"] for person in case["members"]]


# ------------------------------------------------------------------------------------------------ the slow twin


def compared(rows, plans, result, year, tie="plans", filed=None):
    """Compare every household and plan with the twin; return how many rows were compared."""
    places = {state: oracle.Place(state, "individual", year) for state in made.STATES}
    by_area = {}
    for row in plans:
        by_area.setdefault(row["rating_area_id"], []).append(row | (filed(row) if filed else {}))
    got = {}
    columns = ["premium_monthly", "benchmark_monthly", "monthly_credit", "net_premium_monthly"]
    for row in result.households.rows(named=True):
        cents = [None if row[c] is None else int(row[c] * 100) for c in columns]
        got[row["household_id"], row["plan_id"]] = [*cents, row["csr_variant"]]
    expected = {}
    for household_id, home in made.as_twin(rows).items():
        offers = by_area.get(home["area"], [])
        for plan_id, line in oracle.quoted(places[home["area"][2:4]], home, offers, tie).items():
            names = ("premium", "benchmark", "credit", "net", "variant")
            expected[household_id, plan_id] = [line[name] for name in names]
    assert got == expected
    return len(got)


@pytest.mark.parametrize(("year", "tie", "seed"), [(2026, "plans", 1), (2024, "premiums", 2), (2018, "plans", 3)])
def test_twin_from_base_rates(year, tie, seed):
    draw = random.Random(seed)
    plans = made.random_offers(draw)
    rows = made.random_households(draw, 50, year)
    result = quoted(rows, plans, plan_year=year, settings={"tie": tie})
    assert compared(rows, plans, result, year, tie) > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twin_over_thousands(seed):
    draw = random.Random(1000 + seed)
    year = draw.choice([2014, 2016, 2017, 2018, 2020, 2021, 2025, 2026])
    plans = made.random_offers(draw)
    rows = made.random_households(draw, 400, year)
    tie = draw.choice(["plans", "premiums"])
    result = quoted(rows, plans, plan_year=year, settings={"tie": tie})
    assert compared(rows, plans, result, year, tie) > 500


TIER_COLUMNS = {
    "one_adult": "individual_rate",
    "two_adults": "couple",
    "one_adult_children": "subscriber_one_dependent",
    "two_adults_children": "couple_one_dependent",
    "child_only": "child_only",
}


def filed_rows(plans, draw):
    """Filed rates that follow no base: the look-up alone prices them."""
    rows, by_key = [], {}
    for row in plans:
        key = row["plan_id"], row["rating_area_id"]
        base = {"plan_id": row["plan_id"], "rating_area_id": row["rating_area_id"]}
        if row["rating_area_id"][2:4] in ("NY", "VT"):
            tiers = {tier: draw.randint(30000, 250000) for tier in TIER_COLUMNS}
            line = {TIER_COLUMNS[tier]: f"{cents / 100:.2f}" for tier, cents in tiers.items()}
            for children in ("two", "three"):
                for adults in ("subscriber", "couple"):
                    line[f"{adults}_{children}_dependents"] = line[f"{adults}_one_dependent"]
            rows.append(base | {"age_band": "family"} | line)
            by_key[key] = {"filed_tiers": tiers}
            continue
        filed = {}
        for age in (14, *range(15, 65)):
            cents = draw.randint(15000, 90000)
            loaded = int(cents * float(row["tobacco_ratio"]))
            band = "0-14" if age == 14 else "64+" if age == 64 else str(age)
            line = {"individual_rate": f"{cents / 100:.2f}", "individual_tobacco_rate": f"{loaded / 100:.2f}"}
            rows.append(base | {"age_band": band} | line)
            for each in range(15) if age == 14 else [age]:
                filed[each, False], filed[each, True] = cents, loaded
        by_key[key] = {"filed": filed}
    return rows, lambda row: by_key[row["plan_id"], row["rating_area_id"]]


@pytest.mark.parametrize("households", [30, pytest.param(400, marks=pytest.mark.slow)])
def test_twin_from_filed_rates(households):
    draw = random.Random(4)
    plans = made.random_offers(draw)
    rates, filed = filed_rows(plans, draw)
    rows = made.random_households(draw, households, 2026)
    listed = pl.DataFrame(plans).drop("rating_area_id", "base_rate", "area_factor", "tobacco_ratio").unique()
    frame = pl.DataFrame(rates, infer_schema_length=None)
    result = quote(made.frame(rows), rates=frame, plans=listed, plan_year=2026)
    assert compared(rows, plans, result, 2026, filed=filed) > 1.5 * households


# ------------------------------------------------------------------------------------------------ properties


def test_a_fourth_child_adds_nothing():
    plans = [made.plan("a"), made.plan("b", metal_level="gold")]
    three = quoted(made.family(40, 12, 9, 7, annual_income="40000", tax_household_size=5), plans)
    four = quoted(made.family(40, 12, 9, 7, 2, annual_income="40000", tax_household_size=5), plans)
    assert amounts(three) == amounts(four) == ["1071.90"] * 2
    assert four.members.filter(member_id="04")["is_charged"].to_list() == [False, False]


def random_case(seed=11, number=200):
    draw = random.Random(seed)
    return made.random_households(draw, number, 2026), made.random_offers(draw)


def test_net_is_never_negative_and_credit_never_above_premium_or_benchmark():
    rows, plans = random_case()
    frame = quoted(rows, plans).households.drop_nulls("monthly_credit")
    assert frame.filter(pl.col("monthly_credit") > 0).height > 100
    assert frame.filter(pl.col("net_premium_monthly") < 0).height == 0
    assert frame.filter(pl.col("monthly_credit") > pl.col("premium_monthly")).height == 0
    paid = frame.filter(pl.col("monthly_credit") > 0)
    assert (paid["monthly_credit"] <= paid["benchmark_monthly"]).all()
    total = pl.col("premium_monthly") - pl.col("monthly_credit")
    assert frame.filter(total != pl.col("net_premium_monthly")).height == 0


def test_older_is_never_cheaper_where_the_curve_rises():
    rows = [made.family(age, household_id=f"{age:02d}")[0] for age in range(21, 70)]
    found = quoted(rows, [made.plan("a")]).households["premium_monthly"]
    assert found.is_sorted()
    assert found[-1] == found[-5] == Decimal("900.00")


@pytest.mark.parametrize("households", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_batch_is_one_by_one(households):
    draw = random.Random(12)
    states = ("TX", "NY")
    rows, plans = made.random_households(draw, households, 2026, states), made.random_offers(draw, states)
    whole = quoted(rows, plans)
    ids = sorted({row["household_id"] for row in rows})
    single = [quoted([r for r in rows if r["household_id"] == i], plans) for i in ids]
    assert pl.concat([s.households for s in single]).equals(whole.households)
    assert pl.concat([s.members for s in single]).equals(whole.members)


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_same_bytes_for_any_order_threads_and_chunks(threads, monkeypatch):
    rows, plans = random_case(13, 60)
    expected = quoted(rows, plans)
    monkeypatch.setenv("POOLWISE_THREADS", threads)
    monkeypatch.setattr(_quote_work, "CELLS", int(threads) * 7)
    draw = random.Random(int(threads))
    draw.shuffle(rows)
    draw.shuffle(plans)
    found = quoted(rows, plans)
    assert found.households.equals(expected.households)
    assert found.members.equals(expected.members)
    assert found.findings.equals(expected.findings)


@pytest.mark.slow
def test_filed_rates_of_the_rate_table_give_the_same_premiums_as_its_base_rates():
    from rating._rate_table import rate_table

    plans = [made.plan("a", "312.47125", tobacco_ratio="1.5"), made.plan("b", "298.1", tobacco_ratio="1.13")]
    listed = pl.DataFrame(plans)
    areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": ["0.9725"]})
    filed = rate_table(
        listed.select("plan_id", "base_rate", "tobacco_ratio"), areas, state="TX", market="individual", plan_year=2026
    )
    rows = made.family(45, 44, 22, 15, 3, tobacco_use=True)
    by_table = quote(made.frame(rows), rates=filed, plans=listed.select("plan_id", "metal_level"), plan_year=2026)
    by_base = quoted(rows, [p | {"area_factor": "0.9725"} for p in plans])
    assert by_table.households.equals(by_base.households)
    assert by_table.members.equals(by_base.members)
    loaded = by_table.members.filter(pl.col("is_tobacco_rated"))
    assert loaded["member_id"].unique().sort().to_list() == ["00", "01", "02"]


# ------------------------------------------------------------------------------------------------ credit


def test_the_credit_never_pays_the_part_that_is_not_for_essential_benefits():
    plans = [made.plan("a", "100", ehb_pct_premium="0.99"), made.plan("b", "500"), made.plan("c", "600")]
    rows = made.family(21, annual_income="16000", tax_household_size=1)
    result = quoted(rows, plans).households
    assert result["monthly_credit"].to_list()[0] == Decimal("99.00")
    assert result["net_premium_monthly"].to_list()[0] == Decimal("1.00")


def test_a_member_without_a_credit_pays_a_share_of_the_common_premium():
    # Two adults of one age share each premium in equal parts; only one has the credit.
    rows = made.family(40, 40, annual_income="25000", tax_household_size=2)
    rows[1] |= {"credit_eligible": False}
    plans = [made.plan("a", "100"), made.plan("b", "400"), made.plan("c", "500")]
    result = quoted(rows, plans).households
    cheap = result.row(0, named=True)
    assert str(cheap["premium_monthly"]) == "255.60"
    assert str(cheap["monthly_credit"]) == "127.80"
    assert cheap["csr_variant"] == "01"
    assert str(cheap["benchmark_monthly"]) == "511.20"


def test_without_an_income_the_premium_stands_and_the_credit_is_not_known():
    result = quoted(made.family(30), [made.plan("a"), made.plan("b")])
    row = result.households.row(0, named=True)
    assert (row["monthly_credit"], row["net_premium_monthly"], row["csr_variant"]) == (None, None, None)
    assert row["notes"] == "income_not_given"
    assert row["benchmark_monthly"] is not None
    assert fired(result) == {"QTE-024": 1}


def test_a_year_without_percentages_is_counted_and_quoted_without_credit():
    rows = made.family(30, on=date(2027, 1, 1), annual_income="30000", tax_household_size=1)
    result = quoted(rows, [made.plan("a"), made.plan("b")], plan_year=2027)
    assert result.households["notes"].to_list() == ["percentages_not_published"] * 2
    assert result.households["monthly_credit"].null_count() == 2
    assert fired(result)["QTE-030"] == 1


def test_the_cliff_of_2026():
    plans = [made.plan("a", "400"), made.plan("b", "420")]
    rows = made.family(60, annual_income="62600", tax_household_size=1)  # 400 percent of 15,650
    above = made.family(60, annual_income="62600.01", tax_household_size=1)
    assert quoted(rows, plans).households["notes"].to_list() == ["credit"] * 2
    assert quoted(above, plans).households["notes"].to_list() == ["income_above_limit"] * 2
    assert amounts(quoted(above, plans), "monthly_credit") == ["0.00"] * 2
    in_2025 = made.family(60, on=date(2025, 1, 1), annual_income="62600.01", tax_household_size=1)
    assert quoted(in_2025, plans, plan_year=2025).households["notes"].to_list() == ["credit"] * 2


def test_catastrophic_plans_are_open_to_the_young_and_the_exempt():
    plans = [made.plan("a"), made.plan("c", metal_level="catastrophic")]
    young = quoted(made.family(29, annual_income="30000", tax_household_size=1), plans)
    assert young.households.row(1, named=True)["notes"] == "catastrophic"
    assert amounts(young, "monthly_credit")[1] == "0.00"
    older = made.family(31, annual_income="30000", tax_household_size=1)
    result = quoted(older, plans)
    assert result.households["plan_id"].to_list() == ["a"]
    assert fired(result)["QTE-023"] == 1
    exempt = made.frame(older).with_columns(pl.lit(True).alias("catastrophic_exempt"))
    assert quoted(exempt, plans).households["plan_id"].to_list() == ["a", "c"]
    rich = made.family(31, annual_income="90000", tax_household_size=1)
    assert quoted(rich, plans).households["plan_id"].to_list() == ["a", "c"]
    options = {"settings": {"catastrophic_hardship_from": None}}
    assert quoted(rich, plans, **options).households["plan_id"].to_list() == ["a"]


def test_plans_sold_off_the_exchange_have_no_credit():
    plans = [made.plan("a"), made.plan("b"), made.plan("o", on_exchange=False)]
    row = quoted(made.family(40, annual_income="20000", tax_household_size=1), plans).households.row(2, named=True)
    assert (row["notes"], row["csr_variant"]) == ("off_exchange", "00")
    assert row["net_premium_monthly"] == row["premium_monthly"]


def test_a_member_added_later_has_the_age_of_that_day():
    rows = made.family(40, 20)
    rows[1] |= {"birth_date": date(2005, 6, 1), "effective_date": date(2026, 7, 1)}
    assert quoted(rows, [made.plan("a")]).members["age"].to_list() == [40, 21]
