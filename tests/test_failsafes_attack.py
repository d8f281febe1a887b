"""Reinsurance, corridors and loss ratios attacked: given cases, a second plain reading of the rules, faults found."""

import random
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused
from riskadjust import LossRatios, RiskCorridors, medical_loss_ratio, reinsurance, risk_corridors
from riskadjust._mlr_credibility import mlr_credibility

LAYERS = [(40_000, 250_000, "0.8")]


# -------------------------------------------------------------------------------- a second plain reading


def cents(dollars: Fraction) -> Decimal:
    """Dollars to cents, halves away from zero."""
    whole, rest = divmod(abs(dollars) * 100, 1)
    whole += rest >= Fraction(1, 2)
    return Decimal(int(whole if dollars >= 0 else -whole)) / 100


def line(points: dict[int, str], at: Fraction) -> Fraction:
    """Straight lines between points, flat beyond the last."""
    for (a, low), (b, high) in pairwise((k, Fraction(v)) for k, v in points.items()):
        if at <= b:
            return low + (high - low) * (at - a) / (b - a)
    return Fraction(points[max(points)])


BASE = {1000: "0.083", 2500: "0.052", 5000: "0.037", 10_000: "0.026", 25_000: "0.016", 50_000: "0.012", 75_000: "0"}
DEDUCTIBLE = {2500: "1.164", 5000: "1.402", 10_000: "1.736"}
YEAR = ("claims", "quality", "premium", "taxes", "ra_received")


def plain_ratio(
    years: list[dict[str, Fraction]], lives: Fraction, deductible: Fraction, standard: Fraction
) -> tuple[Any, ...]:
    """Ratio, base, addition, rounded ratio and rebate of an issuer."""
    top = sum(y["claims"] + y["quality"] - y["ra_received"] for y in years)
    ratio = Fraction(top) / sum(y["premium"] - y["taxes"] for y in years)
    base = Fraction(0) if lives < 1000 else line(BASE, lives)
    added = base * (1 if deductible < 2500 else line(DEDUCTIBLE, deductible))
    rounded = Fraction(int(abs(ratio + added) * 1000 + Fraction(1, 2)), 1000) * (1 if ratio + added >= 0 else -1)
    owed = max(Fraction(0), standard - rounded) * (years[-1]["premium"] - years[-1]["taxes"])
    return float(ratio), float(base), float(added), float(rounded), cents(owed) if lives >= 1000 else Decimal("0.00")


def plain_corridor(row: dict[str, Fraction], e: Fraction) -> dict[str, Fraction]:
    """The corridor of an issuer; the bands by the ratio, as the law names them."""
    after_tax = row["premium"] - row["taxes_and_fees"]
    received = row["net_risk_adjustment_received"] + row["reinsurance_received"] + row["csr_received"]
    costs = row["incurred_claims"] + row["quality_improvement"] - received
    admin = row["admin_costs_excl_taxes"]
    profits = max((Fraction("0.03") + e) * after_tax, row["premium"] - costs - admin - row["taxes_and_fees"])
    allowed = min(admin + profits, (Fraction("0.2") + e) * after_tax) + row["taxes_and_fees"]
    target = row["premium"] - allowed
    of = {k: Fraction(k) * target for k in ("0.92", "0.97", "1.03", "1.08", "0.025")}
    ratio, half, four_fifths = costs / target, Fraction(1, 2), Fraction(4, 5)
    if ratio > Fraction("1.08"):
        amount = of["0.025"] + four_fifths * (costs - of["1.08"])
    elif ratio > Fraction("1.03"):
        amount = half * (costs - of["1.03"])
    elif ratio < Fraction("0.92"):
        amount = -(of["0.025"] + four_fifths * (of["0.92"] - costs))
    elif ratio < Fraction("0.97"):
        amount = -half * (of["0.97"] - costs)
    else:
        amount = Fraction(0)
    return {"allowable_costs": costs, "profits": profits, "target_amount": target, "corridor": amount}


def plain_payments(
    claims: list[Fraction], layers: Any, budget: Fraction | None
) -> tuple[list[Decimal], Decimal, float]:
    """Payments, total and scale of one program."""
    paid = []
    for c in claims:
        parts = (
            Fraction(share) * max(Fraction(0), (c if to is None else min(c, to)) - low) for low, to, share in layers
        )
        paid.append(sum(parts, Fraction(0)))
    asked = sum(paid, Fraction(0))
    scale = min(Fraction(1), budget / asked) if budget is not None and asked else Fraction(1)
    return [cents(p * scale) for p in paid], cents(asked * scale), float(scale)


def claims_of(paid: Any, **columns: Any) -> pl.DataFrame:
    ids = {"issuer_id": ["11111"] * len(paid), "enrollee_id": [f"E{i:04d}" for i in range(len(paid))]}
    return pl.DataFrame(ids | {"plan_paid": paid, "market": ["individual"] * len(paid)} | columns, strict=False)


def years_of(rows: list[dict[str, Any]], **columns: Any) -> pl.DataFrame:
    place = {"state": "TX", "market": "individual", "issuer_id": "11111"}
    made = [place | {k: float(v) if isinstance(v, Fraction) else v for k, v in row.items()} | columns for row in rows]
    return pl.DataFrame(made, infer_schema_length=None)


def three(claims: float = 70e6, lives: Any = 30_000.0, **columns: Any) -> list[dict[str, Any]]:
    """Three like years of 100 million after taxes."""
    lives = lives if isinstance(lives, tuple) else (lives,) * 3
    figures = dict(zip(YEAR, (claims, 0.0, 103e6, 3e6, 0.0), strict=True))
    return [figures | {"year": 2021 + i, "life_years": lives[i], "average_deductible": 0.0} | columns for i in range(3)]


def ratios(rows: list[dict[str, Any]], year: int = 2023, **settings: Any) -> LossRatios:
    return medical_loss_ratio(years_of(rows), reporting_year=year, settings=settings)


def rules(result: Any) -> dict[str, int]:
    return dict(result.findings.select("rule_id", "rows").rows())


# -------------------------------------------------------------------------------- given cases, as given

M01 = [(240e6, 2.5e6, 330e6, 9.9e6, 5e6), (251e6, 2.6e6, 345e6, 10.35e6, -3e6), (262e6, 2.7e6, 360e6, 10.8e6, 2e6)]
M02 = [(18.7e6, 150e3, 26e6, 780e3, 4e5), (19.3e6, 160e3, 27e6, 810e3, -1e5), (19.4e6, 170e3, 28e6, 840e3, 25e4)]


@pytest.mark.parametrize("split", ["thirds", "last"])
@pytest.mark.parametrize(
    ("figures", "lives", "deductible", "expected"),
    [
        (M01, 90_000, 3000, (0.7538224015, 0.0, 1.2116, 0.0, 0.754, Decimal("16063200.00"))),
        (M02, 7300, 3600, (0.7296678121, 0.03194, 1.26872, 0.0405229168, 0.770, Decimal("814800.00"))),
    ],
    ids=["M01", "M02"],
)
def test_loss_ratios_given_with_life_years_of_all_years_together(figures, lives, deductible, expected, split):
    """A third of them in each year, or all in one: the ratio is the same."""
    parts = [lives / 3] * 3 if split == "thirds" else [0, 0, lives]
    rows = [
        dict(zip(YEAR, row, strict=True)) | {"year": 2021 + i, "life_years": n, "average_deductible": deductible}
        for i, (row, n) in enumerate(zip(figures, parts, strict=True))
    ]
    found = ratios(rows, standard="0.80").issuers.row(0, named=True)
    columns = ("preliminary_mlr", "base_credibility", "deductible_factor", "credibility_adjustment", "mlr")
    assert [found[c] for c in columns] == pytest.approx(list(expected[:-1]), abs=6e-11)
    assert found["rebate"] == expected[-1]
    assert found["credibility"] != "not_credible"


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        (999, 0),
        (1750, 0.0675),
        (3000, 0.049),
        (7500, 0.0315),
        (17_500, 0.021),
        (37_500, 0.014),
        (60_000, 0.0072),
        (75_000, 0),
    ],
)
def test_base_factors_given(lives, expected):
    found = ratios(three(lives=(0.0, 0.0, float(lives)))).issuers
    assert found["base_credibility"].to_list() == [expected]
    assert found["credibility"][0] == {999: "not_credible", 75_000: "fully_credible"}.get(lives, "partly_credible")


@pytest.mark.parametrize(
    ("claims", "layer", "expected"),
    [
        (50_000, (60_000, 1_000_000, "0.5"), "0.00"),
        (60_001, (60_000, 1_000_000, "0.5"), "0.50"),
        (1_500_000, (90_000, 1_000_000, "0.6"), "546000.00"),
    ],
)
def test_recoveries_given(claims, layer, expected):
    found = reinsurance(claims_of([claims]), benefit_year=2026, program="state", state="TX", layers=[layer])
    assert [str(p) for p in found.enrollees["payment"]] == [expected]


# -------------------------------------------------------------------------------- random against plain


def money_column(draw: random.Random, values: list[Fraction]) -> pl.Series:
    """Amounts in whole cents as floats, or as decimals of two or four places."""
    as_decimals = pl.Series([Decimal(int(v * 100)) / 100 for v in values]).cast(pl.Decimal(38, 2))
    return draw.choice([as_decimals, as_decimals.cast(pl.Float64), as_decimals.cast(pl.Decimal(38, 4))])


def drawn_issuer(draw: random.Random) -> tuple[list[dict[str, Fraction]], list[int], Fraction]:
    """Three years, their member months (often at an edge of the table together), and the average deductible."""
    lives = draw.choice([999, 1000, 1001, 2500, 5000, 10_000, 50_000, 74_999, 75_000, draw.randint(1, 99_999)])
    cut = sorted(draw.randint(0, lives * 12) for _ in range(2))
    years = []
    for _ in range(3):
        premium = Fraction(draw.randint(10**7, 10**10), 100)
        shares = [draw.uniform(*span) for span in ((0.5, 0.95), (0, 0.02), (1, 1), (0, 0.08), (-0.1, 0.1))]
        years.append(
            {c: Fraction(int(premium * Fraction(part) * 100), 100) for c, part in zip(YEAR, shares, strict=True)}
        )
    if draw.random() < 0.3:  # a ratio of half a thousandth nearly, fully credible
        lives, cut = 75_000, [300_000, 600_000]
        whole = Fraction(2 * draw.randint(700, 799) + 1, 2000) * sum(y["premium"] - y["taxes"] for y in years)
        short = whole - sum(y["claims"] + y["quality"] - y["ra_received"] for y in years)
        years[2]["claims"] = max(Fraction(0), years[2]["claims"] + Fraction(int(short * 100) + draw.randint(0, 1), 100))
    months = [cut[0], cut[1] - cut[0], lives * 12 - cut[1]]
    return (
        years,
        months,
        Fraction(draw.choice([0, 249_999, 250_000, 500_000, 1_000_000, draw.randint(0, 1_500_000)]), 100),
    )


def compare_ratios(seed: int, count: int) -> None:
    draw = random.Random(seed)
    drawn = [drawn_issuer(draw) for _ in range(count)]
    rows = [
        years[i] | {"issuer_id": f"{n:05d}", "year": 2021 + i, "months": months[i], "average_deductible": float(ded)}
        for n, (years, months, ded) in enumerate(drawn)
        for i in range(3)
    ]
    draw.shuffle(rows)
    frame = pl.DataFrame({c: [row[c] for row in rows] for c in ("issuer_id", "year", "average_deductible")})
    frame = frame.with_columns(money_column(draw, [row[c] for row in rows]).alias(c) for c in YEAR)
    months = pl.Series("member_months", [row["months"] for row in rows])
    exposure = months if draw.random() < 0.5 else (months / 12).rename("life_years")
    frame = frame.with_columns(exposure, state=pl.lit("TX"), market=pl.lit("individual"))
    found = medical_loss_ratio(frame.lazy(), reporting_year=2023, settings={"low_years": "off"}).issuers
    columns = ("preliminary_mlr", "base_credibility", "credibility_adjustment", "mlr", "rebate")
    for (years, of_years, deductible), made in zip(drawn, found.select(columns).rows(), strict=True):
        assert made == plain_ratio(years, Fraction(sum(of_years), 12), deductible, Fraction("0.8"))


def compare_corridors(seed: int, count: int) -> None:
    draw = random.Random(seed)
    names = ("taxes_and_fees", "incurred_claims", "quality_improvement", "admin_costs_excl_taxes")
    names += ("net_risk_adjustment_received", "reinsurance_received", "csr_received")
    shares = ((0, 0.08), (0.5, 1.2), (0, 0.02), (0, 0.35), (-0.1, 0.1), (0, 0.1), (0, 0.05))
    rows, percentages = [], []
    for _ in range(count):
        premium = Fraction(draw.randint(10**6, 10**11), 100)
        row = {
            n: Fraction(int(premium * 100 * Fraction(draw.uniform(*s))), 100)
            for n, s in zip(names, shares, strict=True)
        }
        row["premium"] = premium
        e, edge = Fraction(draw.randint(0, 3), 100), Fraction(draw.choice(["0.92", "0.97", "1.03", "1.08"]))
        for _ in range(draw.choice([0, 40])):  # costs at the edge of a band, to the cent
            now = plain_corridor(row, e)
            row["incurred_claims"] += Fraction(int((edge * now["target_amount"] - now["allowable_costs"]) * 100), 100)
            row["incurred_claims"] = max(row["incurred_claims"], Fraction(0))
        rows.append(row)
        percentages.append(e)
    frame = pl.DataFrame(
        {"issuer_id": [f"{n:05d}" for n in range(count)], "adjustment_percentage": percentages}, strict=False
    )
    frame = frame.with_columns(pl.Series("adjustment_percentage", [float(e) for e in percentages]))
    frame = frame.with_columns(money_column(draw, [row[n] for row in rows]).alias(n) for n in ("premium", *names))
    rate = Fraction(draw.randint(0, 1000), 1000)
    found = risk_corridors(frame.reverse(), benefit_year=2015, settings={"payout_rate": rate}).issuers
    for row, e, made in zip(rows, percentages, found.to_dicts(), strict=True):
        expected = plain_corridor(row, e)
        assert {n: made[n] for n in expected} == {n: cents(v) for n, v in expected.items()}
        owed = expected["corridor"]
        assert made["corridor_paid"] == cents(owed * rate if owed > 0 else owed)


def compare_payments(seed: int) -> None:
    draw = random.Random(seed)
    bounds = [Fraction(b, 100) for b in sorted(draw.sample(range(3 * 10**7), 4))]
    layers: list[Any] = [(a, b, Fraction(draw.randint(0, 1000), 1000)) for a, b in (bounds[:2], bounds[2:])]
    layers[1] = (layers[1][0], draw.choice([None, layers[1][1]]), layers[1][2])
    paid = [
        max(Fraction(0), draw.choice(bounds) + Fraction(draw.randint(-1, 1), 100))
        if draw.random() < 0.4
        else Fraction(draw.randint(0, 10 ** draw.randint(4, 9) - 1), 100)
        for _ in range(20)
    ]
    free = plain_payments(paid, layers, None)[1]
    money = max(Decimal("0.01"), (free * draw.randint(1, 120) / 100).quantize(Decimal("0.01")))
    budget = draw.choice([None, money, max(Decimal("0.01"), free + Decimal(draw.randint(-1, 1)) / 100)])
    expected = plain_payments(paid, layers, None if budget is None else Fraction(budget))
    claims = claims_of([0] * 20).with_columns(money_column(draw, paid).alias("plan_paid"))
    parts = pl.concat([claims, claims.with_columns(pl.lit(-100).cast(claims.schema["plan_paid"]).alias("plan_paid"))])
    parts = pl.concat([parts, claims.with_columns(pl.lit(100).cast(claims.schema["plan_paid"]).alias("plan_paid"))])
    found = reinsurance(
        parts.sample(fraction=1, shuffle=True, seed=seed), benefit_year=2016, layers=layers, budget=budget
    )
    total = found.totals.row(0, named=True)
    assert (found.enrollees["payment"].to_list(), total["payment"], total["proration"]) == expected


def test_random_issuers_and_claims_equal_the_plain_reading():
    compare_ratios(1, 30)
    compare_ratios(2, 30)
    compare_corridors(3, 30)
    for seed in range(3):
        compare_payments(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 16))
def test_thousands_of_random_issuers_and_claims_equal_the_plain_reading(seed):
    compare_ratios(seed, 300)
    compare_corridors(seed, 300)
    for each in range(30):
        compare_payments(100 * seed + each)


# -------------------------------------------------------------------------------- faults found: loss ratio


def test_life_years_that_are_thirds_add_up_to_whole_ones():
    """3 x 4,000 months are 1,000 life-years, also where 4,000 / 12 stands there as a float; likewise 75,000."""
    at = ratios(three(lives=4000 / 12)).issuers.row(0, named=True)
    assert (at["life_years"], at["credibility"], at["base_credibility"]) == (1000.0, "partly_credible", 0.083)
    below = ratios(three(lives=(4000 / 12, 4000 / 12, 3999 / 12))).issuers
    assert below["credibility"].to_list() == ["not_credible"]
    full = ratios(three(lives=(299_999 / 12, 300_001 / 12, 25_000.0))).issuers
    assert full["credibility"].to_list() == ["fully_credible"]
    by_column = years_of(three()).with_columns(life_years=pl.Series([3_333, 4_334, 4_333]) / 12)
    found = medical_loss_ratio(by_column, reporting_year=2023)
    assert found.issuers["life_years"].to_list() == [1000.0]
    days = [{k: v for k, v in row.items() if k != "life_years"} | {"member_months": 120_001 / 30} for row in three()]
    days[2]["member_months"] = 119_998 / 30
    assert ratios(days).issuers["life_years"].to_list() == [1000.0]


@pytest.mark.parametrize("year", [2011, 2023])
def test_premium_equal_to_taxes_and_fees_is_refused_though_floats_say_more(year):
    """0.7 + 0.1 is less than 0.8 in floats."""
    rows = [row | {"premium": 0.8, "taxes": 0.7, "regulatory_fees": 0.1, "ra_received": None} for row in three()]
    rows = [row | {"year": row["year"] - 2023 + year, "ra_received": 0.0 if year > 2013 else None} for row in rows]
    with pytest.raises(InputRefused, match="MLR-005: "):
        ratios(rows, year)
    enough = [row | {"premium": 0.3 + 5e-16, "taxes": 0.1, "regulatory_fees": 0.2} for row in rows]
    assert ratios(enough, year).issuers["denominator"].to_list() == [Decimal("0.00")]


def test_claims_without_premium_are_no_year_without_business():
    rows = three()
    for column in ("claims", "quality", "life_years"):
        empty = dict.fromkeys(YEAR, 0.0) | {"life_years": 0.0, column: 1.0}
        with pytest.raises(InputRefused, match=r"row 1: MLR-005|row 1.*MLR-005: "):
            ratios([rows[0] | empty, *rows[1:]])
    late = rows[0] | dict.fromkeys(YEAR, 0.0) | {"life_years": 0.0, "ra_received": 2e6}
    assert ratios([late, *rows[1:]]).issuers["numerator"].to_list() == [Decimal("138000000.00")]


def test_premium_without_life_years_is_said():
    assert rules(ratios(three(lives=(0.0, 0.0, 90_000.0)))) == {"MLR-037": 2}
    assert rules(ratios(three())) == {}


def test_a_reporting_year_without_any_row_is_refused():
    for year in (2018, 2030):
        with pytest.raises(InputRefused, match=rf"row for {year}.*MLR-008: "):
            ratios(three(), year)


def test_standards_given_for_a_market_hold_where_it_is_merged():
    """The merged market has the highest of its markets; one given for it by name wins."""
    rows = [row | {"state": "MA"} for row in three(claims=82e6)]
    frame = years_of(rows).with_columns(state=pl.lit("MA"))
    for given, expected in (
        ({"individual": "0.85"}, 0.85),
        ({"MA/small_group": "0.85"}, 0.85),
        ({"individual": "0.7"}, 0.8),
        ({"individual": "0.7", "small_group": "0.75"}, 0.75),
        ({"MA/merged": "0.7", "individual": "0.85"}, 0.7),
        ({"MA": "0.85", "individual": "0.9"}, 0.85),
        ({"merged": "0.85"}, 0.85),
        ({"large_group": "0.9"}, 0.8),
    ):
        found = medical_loss_ratio(frame, reporting_year=2023, settings={"standard": given})
        assert found.issuers["standard"].to_list() == [expected], given


def test_an_option_of_issuers_that_are_not_there_is_said():
    rows = [row | {"year": row["year"] + 3} for row in three()]
    assert rules(ratios(rows, 2026, transfer_option=["99999", "88888"])) == {"MLR-038": 2}
    assert rules(ratios(rows, 2026, transfer_option=["11111"])) == {"MLR-026": 1}


def test_after_three_low_years_no_deductible_is_needed():
    rows = [row | {"preliminary_mlr": 0.7, "average_deductible": None} for row in three(lives=2000.0)]
    found = ratios(rows)
    assert found.issuers.select("credibility_adjustment", "deductible_factor", "mlr").row(0) == (0.0, None, 0.7)
    rows[0]["preliminary_mlr"] = 0.8
    with pytest.raises(InputRefused, match="MLR-010: "):
        ratios(rows)


def test_the_ratio_of_a_scaled_issuer_is_the_same():
    figures = [dict(zip(YEAR, row, strict=True)) for row in M02]
    plain = three(lives=(2400.0, 2400.0, 2500.0))
    for factor in (2, 1000):
        rows = [a | {k: v * factor for k, v in b.items()} for a, b in zip(plain, figures, strict=True)]
        once = [a | b for a, b in zip(plain, figures, strict=True)]
        big, small = ratios(rows).issuers, ratios(once).issuers
        for column in ("preliminary_mlr", "credibility_adjustment", "mlr"):
            assert big[column].to_list() == small[column].to_list()
        assert big["rebate"][0] == small["rebate"][0] * factor > 0


@pytest.mark.parametrize(
    ("column", "values", "match"),
    [
        ("premium", ["$1,000.00"] * 3, "not a number"),
        ("premium", [True] * 3, "not a number"),
        ("life_years", [None, 1.0, 1.0], "MLR-003: "),
        ("life_years", [float("inf"), 1.0, 1.0], "MLR-003: "),
        ("claims", [float("nan")] * 3, "MLR-002: "),
        ("claims", [-0.01] * 3, "MLR-004: "),
        ("taxes", [103e6] * 3, "MLR-005: "),
        ("issuer_id", [11111] * 3, "not text"),
        ("year", ["2021", "2022", "2023"], "not a whole number"),
        ("year", [2021, 2022, 2022], "MLR-001: "),
    ],
)
def test_years_of_odd_kinds_are_refused(column, values, match):
    frame = years_of(three()).with_columns(pl.Series(column, values))
    with pytest.raises(InputRefused, match=match):
        medical_loss_ratio(frame, reporting_year=2023)
    for empty in (frame.clear(), None, {"year": [2021]}):
        with pytest.raises(InputRefused):
            medical_loss_ratio(empty, reporting_year=2023)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, "many", float("nan"), float("inf"), True, [1], "1e400", None])
def test_life_years_and_deductibles_of_odd_kinds_are_refused(number):
    with pytest.raises(InputRefused, match="158"):
        mlr_credibility(number)
    with pytest.raises(InputRefused, match="158"):
        mlr_credibility(2000, average_deductible=[] if number is None else number)


def test_a_table_of_factors_must_rise_from_what_lies_below():
    published = data_specs.table("transfers/mlr_tables")
    is_base = pl.col("table") == "base_credibility"
    for wrong in (
        published.filter(~is_base),
        published.filter(~(is_base & pl.col("key").str.starts_with("<"))),
        published.with_columns(key=pl.when(pl.col("key") == "2500").then(pl.lit("1000")).otherwise("key")),
        published.with_columns(value=pl.when(is_base).then(pl.lit("much")).otherwise("value")),
    ):
        with pytest.raises(TableRefused, match="rising keys"):
            mlr_credibility(2000, average_deductible=3000, figures=wrong)
    assert float(mlr_credibility(1750, average_deductible=2500, figures=published).addition) == 0.07857


# -------------------------------------------------------------------------------- faults found: reinsurance


@pytest.mark.parametrize(
    "layer",
    [
        (0, float("inf"), 1),
        (float("nan"), 1, 1),
        (None, 1, 1),
        (0, 1, None),
        (0, 1, True),
        ("$40,000", 250_000, "0.8"),
        (0, "1e400", "0.8"),
        (0, 100, "80%"),
        {"from": 0, "to": 1, "share": 1},
        40_000,
    ],
)
def test_layers_of_odd_kinds_are_refused_with_the_rule(layer):
    with pytest.raises(InputRefused, match=r"layer 1.*REI-004: "):
        reinsurance(claims_of([1.0]), benefit_year=2014, layers=[layer])


@pytest.mark.parametrize("budget", [0, "0.00", -1, 96_000.005, 0.1 + 0.2, float("nan"), float("inf"), True, "much"])
def test_budgets_of_odd_kinds_are_refused(budget):
    with pytest.raises((InputRefused, SettingRefused), match="budget"):
        reinsurance(claims_of([1.0]), benefit_year=2014, budget=budget)


def test_terms_that_are_not_held_or_too_fine():
    ceded = claims_of([1.0], is_ceded=[True])
    with pytest.raises(TableMissing, match="not held in full"):
        reinsurance(ceded, benefit_year=2018, program="state", state="AK", coinsurance=0.5)
    settings = {"high_cost_order": "net_first", "hcrp_threshold": "1000000.0000001"}
    with pytest.raises(SettingRefused, match="decimals"):
        reinsurance(ceded, benefit_year=2022, program="state", state="MD", settings=settings)


def test_states_are_named_alike_in_every_table():
    """A state in small letters is the same state among claims, conditions and life-years."""
    claims = claims_of([100_000.0, 100_000.0], state=["md", " MD"])
    people = pl.DataFrame({"state": ["Md", "MD"], "enrollee_id": ["E0000", "E0001"], "condition": ["008"] * 2})
    terms: dict[str, Any] = {"benefit_year": 2022, "program": "state", "state": "md", "layers": LAYERS}
    found = reinsurance(claims, **terms, condition_list=["008"], enrollee_conditions=people)
    assert found.enrollees["is_eligible"].to_list() == [True, True]
    assert rules(found) == {}
    lives = pl.DataFrame({"state": ["md"], "issuer_id": ["11111"], "covered_life_years": [10.0]})
    paid = reinsurance(claims, benefit_year=2014, covered_life_years=lives).issuers
    assert paid["contribution"].to_list() == [Decimal("-630.00")]


def test_an_enrollee_of_two_issuers_is_two_claimants():
    claims = claims_of([30_000.0, 30_000.0], enrollee_id=["A", "A"], issuer_id=["1", "2"])
    apart = reinsurance(claims, benefit_year=2022, program="state", state="MD", layers=LAYERS)
    assert apart.enrollees["payment"].to_list() == [Decimal("0.00")] * 2
    together = reinsurance(
        claims.with_columns(issuer_id=pl.lit("1")), benefit_year=2022, program="state", state="MD", layers=LAYERS
    )
    assert together.enrollees["payment"].to_list() == [Decimal("16000.00")]


def test_payments_rise_with_claims_and_stay_in_the_layer():
    paid = [i * 777.77 for i in range(400)]
    found = reinsurance(claims_of(paid), benefit_year=2014, layers=LAYERS).enrollees["payment"].to_list()
    assert found == sorted(found)
    assert (found[0], found[-1]) == (Decimal("0.00"), Decimal("168000.00"))


# -------------------------------------------------------------------------------- one issuer's premium


def two_issuers(**more: Any) -> Any:
    claims = claims_of([1e5, 2e5, 0.0, 5e4, 3e5, 1e5, 1.0], issuer_id=["1"] * 4 + ["2"] * 3)
    return reinsurance(claims, benefit_year=2014, layers=LAYERS, **more)


def test_the_effect_on_the_premium_of_one_issuer():
    """Issuer 1 asks for 184,000 and issuer 2 for 216,000 where 200,000 are: 92,000 and 108,000."""
    found = two_issuers(budget=200_000, covered_life_years={"1": 10, "2": 20})
    terms: dict[str, Any] = {"member_months": 480, "seed": 1, "draws": 40}
    effect = found.premium_effect(issuer_id=" 1", premium_pmpm=500, **terms)
    values = dict(effect.effects.select("measure", "value").rows())
    assert (values["payment"], values["recovery_pmpm"]) == (92_000.0, 92_000 / 480)
    assert values["share_of_claims"] == 92_000 / 350_000
    assert values["contribution_pmpm"] == 630 / 480
    assert effect.settings["issuer_id"] == " 1"
    alone = claims_of([1e5, 2e5, 0.0, 5e4], issuer_id=["1"] * 4)
    own = reinsurance(alone, benefit_year=2014, layers=LAYERS).premium_effect(**terms).draws
    for (_, asked, claims, _), drawn in zip(own.rows(), effect.draws.to_dicts(), strict=True):
        scale = min(1.0, 200_000 / (asked + 216_000))  # what the other issuer asks for stays
        assert (drawn["claims"], drawn["proration"]) == (claims, pytest.approx(scale))
        assert drawn["payment"] == pytest.approx(asked * scale)
    together = found.premium_effect(**terms).effects
    assert together["value"][0] == 200_000.0


def test_issuers_and_people_that_cannot_be():
    found = two_issuers(covered_life_years={"1": 1, "2": 1, "3": 1})
    for wrong in ("9", "3", " ", 1, ["1"]):
        with pytest.raises(SettingRefused, match="issuer_id"):
            found.premium_effect(member_months=1, seed=1, issuer_id=wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingRefused, match="enrollees"):
        found.premium_effect(member_months=1, seed=1, enrollees=10**12)
    with pytest.raises(SettingRefused, match="at least the 4 with claims"):
        found.premium_effect(member_months=1, seed=1, enrollees=3, issuer_id="1")
    in_two = claims_of([1.0, 2.0], issuer_id=["1", "1"], state=["GA", "AL"])
    with pytest.raises(SettingRefused, match="in one state"):
        reinsurance(in_two, benefit_year=2014).premium_effect(member_months=1, seed=1, issuer_id="1")


# -------------------------------------------------------------------------------- corridors

AMOUNTS = ("premium", "taxes_and_fees", "incurred_claims", "quality_improvement", "admin_costs_excl_taxes")
AMOUNTS += ("net_risk_adjustment_received", "reinsurance_received", "csr_received")
C02 = dict(zip(AMOUNTS, (10e6, 3e5, 8.9e6, 1e5, 1.7e6, 2e5, 5e5, 0.0), strict=True))


def corridor(row: dict[str, Any], year: int = 2014, **settings: Any) -> RiskCorridors:
    frame = pl.DataFrame([{"issuer_id": "11111", "adjustment_percentage": 0.0} | row], strict=False)
    return risk_corridors(frame, benefit_year=year, settings=settings)


def test_corridors_are_of_the_individual_and_small_group_markets():
    for market in ("individual", "small_group", "merged"):
        assert corridor(C02 | {"market": market}).issuers["corridor"].to_list() == [Decimal("153600.00")]
    for market in ("large_group", "Individual", ""):
        with pytest.raises(InputRefused, match=r"column market, row 1.*COR-001: "):
            corridor(C02 | {"market": market})


def test_corridors_do_not_jump_and_mirror_gains_and_losses():
    """Cent by cent over every edge; target 8 million, since the cap binds: what 1.03 G + x gets, 0.97 G - x pays."""
    base = dict.fromkeys(AMOUNTS, 0.0) | {"premium": 10e6, "admin_costs_excl_taxes": 5e6}
    for edge in (0.92, 0.97, 1.03, 1.08):
        amounts = []
        for step in range(-3, 4):
            costs = round(edge * 8e6 + step / 100, 2)
            up = corridor(base | {"incurred_claims": costs}).issuers["corridor"][0]
            down = corridor(base | {"incurred_claims": round(16e6 - costs, 2)}).issuers["corridor"][0]
            assert up == -down
            amounts.append(up)
        assert all(Decimal(0) <= b - a <= Decimal("0.01") for a, b in pairwise(amounts))


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("incurred_claims", "8900000", "not a number"),
        ("incurred_claims", True, "not a number"),
        ("incurred_claims", -0.01, "COR-003: "),
        ("premium", float("nan"), "COR-002: "),
        ("premium", 300_000, "COR-004: "),
        ("issuer_id", 11111, "not text"),
        ("adjustment_percentage", "0", "not a number"),
    ],
)
def test_issuers_of_odd_kinds_are_refused(column, value, match):
    with pytest.raises(InputRefused, match=match):
        corridor(C02 | {column: value})
    for rate in (True, float("nan"), "12.6%", 1.01):
        with pytest.raises(SettingRefused, match="payout_rate"):
            corridor(C02, payout_rate=rate)


# -------------------------------------------------------------------------------- the same bytes


@pytest.mark.slow
def test_rows_in_any_order_and_threads_give_the_same_bytes(monkeypatch):
    draw = random.Random(7)
    claims = claims_of([round(draw.lognormvariate(9, 2), 2) for _ in range(20_000)]).with_columns(
        issuer_id=pl.Series([f"{draw.randint(1, 30):05d}" for _ in range(20_000)]),
        enrollee_id=pl.Series([f"E{draw.randint(1, 5_000)}" for _ in range(20_000)]),
    )
    found = []
    for threads in ("1", "4"):
        monkeypatch.setenv("POOLWISE_THREADS", threads)
        shuffled = claims.sample(fraction=1, shuffle=True, seed=int(threads))
        run = reinsurance(shuffled, benefit_year=2015, budget=5_000_000)
        effects = [run.premium_effect(member_months=1, seed=4, draws=40, issuer_id=i) for i in (None, "00003")]
        found.append([run.enrollees, run.issuers, run.totals, *(f for e in effects for f in (e.effects, e.draws))])
    assert all(one.equals(other) for one, other in zip(*found, strict=True))
