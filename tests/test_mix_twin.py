"""Enrollee mixes against their slow twin, and against populations that are changed in fact and scored again."""

import random
from decimal import Decimal
from fractions import Fraction

import mix_markets
import mix_oracle
import polars as pl
import pytest
from made_up import market_of
from mix_markets import YEAR, mixes_of

import riskadjust
from riskadjust._cents import cents_of
from riskadjust._mix import mix

STATES = ("TX", "NY", "VT", "UT", "MA")
FIGURES = ("billable_member_months", "total_member_months", "premium", "plrs", "arf", "gcf")


def made(seed, families, mixes):
    """A market with random mixes; every fourth has a small-group market beside the individual one."""
    markets = ("individual", "small_group") if seed % 4 == 0 else ("individual",)
    maker = mix_markets.Maker(seed, random.Random(seed).choice(STATES), families, markets)
    rows = [row for i in range(mixes) for row in maker.mix(f"m{i:02d}")]
    home = {p["plan_id"]: p["market"] for p in maker.rows["plans"]}
    moves = {(r["mix"], r["rule"]): r for r in rows if r["to_plan_id"]}
    # Nobody moves from one market to another.
    within = {"column": "market", "operator": "="}
    rows += [{**r, **within, "value": home[r["to_plan_id"]]} for r in moves.values()] if len(markets) > 1 else []
    return maker, rows


def is_near(own, other):
    if own is None or other is None:
        return own is None and not other
    return abs(own - float(other)) <= 1e-9 * max(1.0, abs(float(other)))


def check_mix(result, name, expected):
    """One mix of a result against the twin's: every plan row, every issuer to the cent, claims."""
    rows = result.plans.filter(pl.col("mix") == name).to_dicts()
    got = {(r["state"], r["risk_pool"], r["plan_id"], r["rating_area_id"]): r for r in rows}
    assert set(got) == set(expected.rows)
    for key, row in expected.rows.items():
        for figure in FIGURES:
            if figure != "gcf" or row["billable_member_months"]:
                assert is_near(got[key][figure], row[figure]), (name, key, figure)
    issuers = result.issuers.filter(pl.col("mix") == name).to_dicts()
    assert {(r["state"], r["risk_pool"], r["issuer_id"]) for r in issuers} == set(expected.issuers)
    for row in issuers:
        key = (row["state"], row["risk_pool"], row["issuer_id"])
        amount = expected.issuers[key]
        assert is_near(row["transfer_unrounded"], amount), (name, key)
        assert row["transfer"] == (None if amount is None else Decimal(cents_of(amount)).scaleb(-2)), (name, key)
        assert is_near(row["plan_paid"], expected.paid.get(key, Fraction(0))), (name, key)


def compare(seed, families, mixes):
    """How many mixes of a market agree with the twin; those that cannot be settled are refused by both."""
    maker, rows = made(seed, families, mixes)
    twin = mix_oracle.Market(maker.rows, YEAR)
    costs = mix_markets.frame("costs", maker.rows["costs"])
    result = mix(*maker.frames(), mix_markets.frame("mixes", rows), benefit_year=YEAR, costs=costs)
    check_mix(result, "base", twin.base)
    refused = set(result.rejected["mixes"]["mix"]) if "mixes" in result.rejected else set()
    agreed = 0
    for name in sorted({r["mix"] for r in rows}):
        try:
            expected = twin.settled(twin.weights([r for r in rows if r["mix"] == name]), twin.base)
        except LookupError:  # nobody in the plan moved to: no premium to go by
            assert name in refused
            continue
        assert name not in refused
        check_mix(result, name, expected)
        agreed += 1
    return agreed


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 6))])
def test_mixes_agree_with_the_twin(seed):
    assert compare(seed, families=7, mixes=6) > 0


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 200, 20))
def test_many_mixes_agree_with_the_twin(first):
    assert sum(compare(seed, families=14, mixes=12) for seed in range(first, first + 20)) > 150


# ------------------------------------------------------------------------------------------------ changed in fact


def even_market():
    """A scored market in two areas: one span each, a policy on the same days, premiums that come out in even cents."""
    tables = dict(market_of(300, state="TX", seed=11))
    spans = tables["spans"].filter(pl.len().over("enrollee_id") == 1)
    spans = spans.filter(pl.struct("span_start", "span_end", "plan_id").n_unique().over("policy_id") == 1)
    area = pl.col("rating_area_id").str.slice(-3).cast(pl.Int64) % 2 + 1
    tables["spans"] = spans.select(
        *(
            "enrollee_id",
            "plan_id",
            "csr_variant",
            "metal_level",
            "span_start",
            "span_end",
            "policy_id",
            "relationship",
        ),
        pl.concat_str(pl.lit("R-TX00"), area.first().over("policy_id").cast(pl.String)).alias("rating_area_id"),
    )
    tables["spans"] = in_large_families(tables["spans"])
    people = tables["spans"].select("enrollee_id")
    for name in ("enrollees", "diagnoses", "drugs"):
        tables[name] = tables[name].join(people, on="enrollee_id", how="semi")
    return scored_and_priced(tables)


def in_large_families(spans):
    """Five policies of one plan variant, area and time as one: in some of them not all children are billable."""
    alike = ("plan_id", "csr_variant", "rating_area_id", "span_start", "span_end")
    fifth = (pl.col("policy_id").rank("dense").over(alike) - 1) // 5
    place = pl.concat_str(*(pl.col(c).cast(pl.String) for c in alike), fifth.cast(pl.String), separator=" ")
    spans = spans.with_columns(place.alias("policy_id"))
    is_self = pl.col("relationship") == "self"
    is_first = pl.col("enrollee_id") == pl.col("enrollee_id").filter(is_self).min().over("policy_id")
    kin = pl.when(is_self & ~is_first).then(pl.lit("other")).otherwise("relationship")
    return spans.with_columns(kin.alias("relationship"))


def scored_and_priced(tables):
    """The tables with scores, and each policy's premium on one row: a rate of the plan and area x charged factors."""
    scores = riskadjust.score(
        tables["enrollees"], tables["spans"], tables["diagnoses"], tables["drugs"], benefit_year=YEAR, explain=True
    )
    spans = tables["spans"].with_columns(pl.lit(1.0).alias("premium_monthly"))
    lines = riskadjust.plan_risk_report(
        scores, tables["enrollees"], spans, tables["plans"], benefit_year=YEAR
    ).lines.with_columns(pl.col("rating_area_id").str.slice(-1).cast(pl.Int64).alias("area"))
    # Whole tens of dollars times factors of three decimals.
    rates = tables["plans"].sort("plan_id").select("plan_id", (200.0 + 30 * pl.int_range(pl.len())).alias("rate"))
    each = (pl.col("rate") + 20 * pl.col("area")) * pl.col("rating_factor").fill_null(0.0)
    premiums = lines.join(rates, on="plan_id").group_by("policy_id").agg(each.sum().round(2).alias("premium_monthly"))
    carries = pl.col("enrollee_id") == pl.col("enrollee_id").min().over("policy_id")
    spans = tables["spans"].join(premiums, on="policy_id", how="left", maintain_order="left")
    spans = spans.with_columns(pl.when(carries).then("premium_monthly").alias("premium_monthly"))
    return {**tables, "scores": scores, "spans": spans}


def changed(tables, parts):
    """The market with every enrollee on every plan as often as said; copy n of a policy is a policy of its own.

    Copy n on a plan holds those of the policy that have more than n copies there.
    """
    copies = [(who, f"{plan}-{n}", plan, variant) for who, plan, variant, times in parts for n in range(times)]
    schema = ["enrollee_id", "copy", "to_plan", "to_variant"]
    copies = pl.DataFrame(copies, schema=dict.fromkeys(schema, pl.String), orient="row")
    metals = dict(tables["plans"].select("plan_id", "metal_level").rows())
    found = dict(tables)
    for name in ("enrollees", "diagnoses", "drugs", "spans"):
        rows = tables[name].join(copies, on="enrollee_id")
        found[name] = rows.with_columns(pl.concat_str("enrollee_id", pl.lit("-"), "copy").alias("enrollee_id"))
        if name != "spans":
            found[name] = found[name].select(tables[name].columns)
    found["spans"] = found["spans"].select(
        "enrollee_id",
        pl.col("to_plan").alias("plan_id"),
        pl.col("to_variant").alias("csr_variant"),
        pl.col("to_plan").replace_strict(metals).alias("metal_level"),
        *("span_start", "span_end", "relationship", "rating_area_id"),
        pl.concat_str("policy_id", pl.lit("-"), "copy").alias("policy_id"),
    )
    return scored_and_priced(found)


def lines_of(tables):
    """A row per enrollee: its span, score and person."""
    scores = tables["scores"].scores.drop("plan_id", "csr_variant", "metal_level")
    spans = tables["spans"].join(tables["plans"].select("plan_id", "issuer_id"), on="plan_id")
    return spans.join(scores, on="enrollee_id").join(tables["enrollees"], on="enrollee_id").to_dicts()


@pytest.fixture(scope="module")
def even():
    tables = even_market()
    # Households of more than three children are there: some of them are not billable.
    assert riskadjust.plan_risk_report(*four(tables), benefit_year=YEAR).lines.filter(~pl.col("billable")).height > 0
    rows = riskadjust.plan_risk(*four(tables), benefit_year=YEAR)
    both = rows.group_by("plan_id", "metal_level", "issuer_id").len().filter(pl.col("len") == 2).sort("plan_id")
    return tables, {m: both.filter(metal_level=m)["plan_id"][-1] for m in ("bronze", "gold", "silver")}


def four(tables):
    return tables["scores"], tables["enrollees"], tables["spans"], tables["plans"]


def to(plan):
    """Where a line goes that moves altogether."""
    return lambda line, here: {plan: 1} if here else {line["plan_id"]: 1}


def times(number):
    return lambda line, here: {line["plan_id"]: number if here else 1}


def in_variants(*variants):
    return lambda line: line["csr_variant"] in variants


# Rules, how often the whole market stands beside itself (shares become whole copies), and what becomes of a line.
CASES = {
    "the children leave": ("relationship", "=", "child", lambda r: r["relationship"] == "child", times(0), 1),
    "older siblings leave": ("age_last", "between", "17..20", lambda r: 17 <= r["age_last"] <= 20, times(0), 1),
    "subscribers leave": ("relationship", "=", "self", lambda r: r["relationship"] == "self", times(0), 1),
    "diabetics leave": ("hccs", "contains", "019|020|021", lambda r: {"019", "020", "021"} & {*r["hccs"]}, times(0), 1),
    "an issuer three times": ("issuer_id", "=", "00303", lambda r: r["issuer_id"] == "00303", times(3), 1),
    "reduced cost sharing twice": ("csr_variant", "in", "05|06", in_variants("05", "06"), times(2), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_a_scaled_mix_is_a_changed_population(even, name):
    tables, _ = even
    column, operator, value, is_met, becomes, _ = CASES[name]
    factor = float(next(iter(becomes({"plan_id": ""}, True).values())))
    parts = [
        (line["enrollee_id"], plan, line["csr_variant"], number)
        for line in lines_of(tables)
        for plan, number in becomes(line, bool(is_met(line))).items()
    ]
    assert len({number for *_, number in parts}) == 2
    check_population(tables, [(column, operator, value, "scale", factor, None)], parts, 1)


@pytest.mark.parametrize(
    ("metal", "column", "value"), [("bronze", "issuer_id", "00101"), ("gold", "csr_variant", "06")]
)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_move_is_a_changed_population(even, metal, column, value, share):
    tables, plans = even
    target, copies = plans[metal], round(1 / share)
    parts = []
    for line in lines_of(tables):
        moves = line[column] == value and line["metal_level"] == "silver" and line["plan_id"] != target
        stay = copies - 1 if moves else copies
        parts += [(line["enrollee_id"], line["plan_id"], line["csr_variant"], stay)] if stay else []
        # Variants 04 to 06 are sold with silver plans only.
        parts += [(line["enrollee_id"], target, "01", 1)] if moves else []
    rules = [(c, "=", v, "move", share, target) for c, v in ((column, value), ("metal_level", "silver"))]
    check_population(tables, rules, parts, copies, rule=1)


@pytest.mark.slow
def test_rules_in_a_row_are_a_changed_population(even):
    tables, plans = even
    issuer = plans["gold"][:5]
    parts = []
    for line in lines_of(tables):
        is_old = line["age_last"] >= 50
        plan = plans["gold"] if is_old else line["plan_id"]
        is_silver_only = line["csr_variant"] in ("04", "05", "06") and plan != line["plan_id"]
        variant = "01" if is_silver_only else line["csr_variant"]
        parts.append((line["enrollee_id"], plan, variant, 2 if plan[:5] == issuer else 1))
    rules = [
        ("age_last", ">=", "50", "move", 1.0, plans["gold"]),
        ("issuer_id", "=", issuer, "scale", 2.0, None),
    ]
    check_population(tables, rules, parts, 1)


def check_population(tables, rules, parts, copies, rule=None):
    """A mix against the population that it describes, of so many copies of the market."""
    rows = mixes_of(*(("x", *r) for r in rules))
    if rule is not None:
        rows = rows.with_columns(pl.lit(rule).alias("rule"))
    result = mix(*four(tables), rows, benefit_year=YEAR)
    assert result.rejected == {}
    anew = changed(tables, parts)
    expected = riskadjust.plan_risk(*four(anew), benefit_year=YEAR)
    money = riskadjust.transfers(expected, benefit_year=YEAR)
    keys = ["risk_pool", "plan_id", "rating_area_id"]
    got = result.plans.filter(pl.col("mix") == "x", pl.col("total_member_months") > 0)
    both = got.join(expected, on=keys, how="full", coalesce=True)
    assert both.height == expected.height == got.height
    for figure in FIGURES:
        by = copies if figure in ("billable_member_months", "total_member_months", "premium") else 1
        pairs = both.select(figure, f"{figure}_right").rows()
        assert all(a == b if a is None or b is None else abs(a * by - b) <= 1e-11 * abs(b) for a, b in pairs), figure
    issuers = result.issuers.filter(pl.col("mix") == "x").join(money.issuers, on=["risk_pool", "issuer_id"])
    for row in issuers.to_dicts():
        assert abs(row["transfer_unrounded"] * copies - row["transfer_unrounded_right"]) < 1e-6
        if copies == 1:
            assert row["transfer"] == row["transfer_right"]
    assert issuers.height >= 6
