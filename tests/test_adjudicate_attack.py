"""Enrollee-years as a claims examiner works them by hand, and claims as files really have them."""

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from adjudication_claims import FIRST_DAY, claims_of, made_up_design, made_up_lines
from adjudication_oracle import Line, adjudicate_enrollee

from data_specs.errors import InputRefused, SettingRefused
from rating import Design, adjudicate
from rating._av_inputs import read_designs
from rating._plan_benefits_typed import typed_designs

KINDS = ("copay", "deductible", "coinsurance")
EXEMPT = {"subject_to_deductible": False, "subject_to_coinsurance": False}
LATE = {"copay_after_deductible": True, "subject_to_coinsurance": False}


def plan(deductible=0, share=1.0, moop=10_000, services=None, options=None, **more):
    return {
        **{"deductible_type": "integrated", "deductible": deductible, "plan_coinsurance": share, "moop": moop},
        **{"services": services or {}, "options": options or {}, **more},
    }


def line(service, day, dollars, units=1, **more):
    return Line(service, (day - FIRST_DAY).days, round(100 * dollars), units, **more)


def on(month, day):
    return date(2026, month, day)


def paid_by_line(claims, design, **settings):
    """What the enrollee pays of each line: copay, deductible, coinsurance in dollars."""
    found = adjudicate(claims, design, enrollee_ids="E", settings=settings).lines
    assert (found["plan_paid"] + found["enrollee_paid"] == found["allowed"]).all()
    return [tuple(float(x) for x in row) for row in found.select(KINDS).rows()]


# ------------------------------------------------------------------------------------------------ by hand

TWO_TIERS = plan(
    500, 0.8, 3000, tier1_utilization=0.7, tier2={"deductible": 1000, "moop": 6000, "plan_coinsurance": 0.5}
)
STAY = [
    line("inpatient", on(1, 30), 900, days=2, stay="A"),
    line("inpatient", on(1, 31), 500, days=1, stay="A"),
    line("inpatient", on(2, 2), 5000, days=2, stay="A"),
    line("inpatient", on(4, 30), 2000, days=4, stay="B"),
]
PER_DAY = {"inpatient_copay_per_day": True, "inpatient_copay_max_days": 3}
YEARS = {
    "copay, deductible, coinsurance and limit in one claim": (
        plan(100, 0.8, 200, {"specialist": {"copay": 50}}),
        [line("specialist", on(3, 1), 1000), line("specialist", on(3, 2), 300)],
        [(50, 100, 50), (0, 0, 0)],  # 20 % of 850 is 170, of which 50 is left below 200
    ),
    "the limit is reached within a copay": (
        plan(0, 1, 75, {"specialist": {"copay": 30, **EXEMPT}}),
        [line("specialist", on(month, 1), 100) for month in (1, 2, 3)],
        [(30, 0, 0), (30, 0, 0), (15, 0, 0)],
    ),
    "a copay above what is allowed": (
        plan(0, 1, 900, {"generic": {"copay": 10, **EXEMPT}}),
        [line("generic", on(1, 5), 4.37), line("generic", on(2, 5), 15, 2)],
        [(4.37, 0, 0), (15, 0, 0)],
    ),
    # 1,000 of the first stay are deductible; three days of 300 are collected as soon as a line has the money.
    "three days a stay after the deductible, over the end of a month": (
        plan(1000, 1, 10_000, {"inpatient": {"copay": 300, **LATE}}, PER_DAY),
        STAY,
        [(0, 900, 0), (400, 100, 0), (500, 0, 0), (900, 0, 0)],
    ),
    "the same stay billed as one line": (
        plan(1000, 1, 10_000, {"inpatient": {"copay": 300, **LATE}}, PER_DAY),
        [line("inpatient", on(1, 30), 6400, days=5, stay="A")],
        [(900, 1000, 0)],
    ),
    "a stay whose rooms are billed at nothing, and what went with it": (
        plan(0, 1, 10_000, {"inpatient": {"copay": 300, **EXEMPT}}, PER_DAY),
        [line("inpatient", on(1, 30), 0, days=2, stay="A"), line("inpatient", on(1, 30), 5000, 0, days=0, stay="A")],
        [(0, 0, 0), (600, 0, 0)],
    ),
    # A visit of two lines has one copay; the third visit is past the two at the copay.
    "two visits at the copay, one of them of two lines, then deductible and coinsurance": (
        plan(
            200,
            0.8,
            5000,
            {"primary_care": {"copay": 25}},
            {"primary_care_first_n_visits_copay_then_deductible": 2},
        ),
        [
            *(line("primary_care", on(1, 9), 120), line("primary_care", on(1, 9), 40, 0)),
            line("primary_care", on(2, 9), 100),
            *(line("primary_care", on(3, 9), 150), line("primary_care", on(3, 9), 80, 0)),
        ],
        [(25, 0, 0), (0, 0, 0), (25, 0, 0), (0, 150, 0), (0, 50, 6)],
    ),
    "separate deductibles under one limit, a cap per script": (
        {
            **{"deductible_type": "separate_deductible_combined_moop", "deductible_medical": 300, "moop": 500},
            **{"deductible_drug": 100, "plan_coinsurance_medical": 0.8, "plan_coinsurance_drug": 0.5},
            "options": {"specialty_drug_coinsurance_max_per_script": 150},
        },
        [
            *(line("specialty_drug", on(1, 1), 5000, 2), line("specialty_drug", on(2, 1), 1000)),
            line("specialist", on(3, 1), 400),
        ],
        [(0, 100, 300), (0, 0, 100), (0, 0, 0)],
    ),
    "two tiers run up one account": (
        TWO_TIERS,
        [
            *(line("imaging", on(1, 1), 600, tier=1), line("imaging", on(2, 1), 1000, tier=2)),
            line("imaging", on(3, 1), 100, tier=1),
        ],
        [(0, 500, 20), (0, 500, 250), (0, 0, 20)],
    ),
    "preventive care costs nothing and counts for nothing; half a cent is the enrollee's": (
        plan(100, 0.75, 5000, {"preventive": {"copay": 40}}),
        [line("preventive", on(1, 1), 300), line("laboratory", on(1, 2), 100), line("laboratory", on(1, 3), 100.02)],
        [(0, 0, 0), (0, 100, 0), (0, 0, 25.01)],
    ),
}


@pytest.mark.every_case
@pytest.mark.parametrize("name", YEARS)
def test_an_enrollee_year_worked_by_hand(name):
    design, lines, wanted = YEARS[name]
    assert paid_by_line(claims_of({"E": lines}), design) == wanted
    twin = adjudicate_enrollee(lines, design)
    assert [tuple(getattr(charge, kind) / 100 for kind in KINDS) for _, charge in twin] == wanted


def test_tiers_apart_and_a_reversed_line():
    lines = YEARS["two tiers run up one account"][1]
    apart = paid_by_line(claims_of({"E": lines}), TWO_TIERS, tier_accumulators="separate")
    assert apart == [(0, 500, 20), (0, 1000, 0), (0, 0, 20)]
    rows = [("C1", 1, 300.0), ("C1", 1, -300.0), ("C2", 1, 250.0)]  # paid, voided, paid anew
    claims = of_ids(rows)
    found = adjudicate(claims, plan(1000), enrollee_ids="E")
    assert found.lines["allowed"].to_list() == [Decimal("250.00")]
    assert dict(found.findings.select("rule_id", "rows").rows()) == {"ADJ-004": 1, "ADJ-009": 1}


def split(stay, rng):
    """One line of a stay as several that sum to it, the days on the first of them."""
    cuts = sorted(rng.randrange(stay.allowed + 1) for _ in range(3))
    ends = [0, *cuts, stay.allowed]
    return [
        Line(stay.service, stay.day, b - a, 0 if place else 1, 0 if place else stay.days, stay.tier, stay.stay)
        for place, (a, b) in enumerate(pairwise(ends))
    ]


@pytest.mark.parametrize("terms", [EXEMPT, LATE, {"subject_to_coinsurance": False}], ids=["exempt", "late", "with"])
def test_a_stay_costs_the_same_however_it_is_billed(terms):
    rng, designs = random.Random(8), []
    for place in range(30):
        options = {"inpatient_copay_per_day": rng.random() < 0.7}
        options |= {"inpatient_copay_max_days": 3} if rng.random() < 0.5 else {}
        amounts = (rng.choice((0, 700, 2000)), 1, 6000)
        designs.append(plan(*amounts, {"inpatient": {"copay": 450, **terms}}, options, name=f"{place}"))
    lines = {}
    for place in range(10):
        whole = [Line("inpatient", day, rng.randrange(400_000), 1, rng.randrange(1, 8), 1, f"{day}") for day in (9, 99)]
        lines[f"{place} whole"] = whole
        lines[f"{place} parts"] = [part for stay in whole for part in split(stay, rng)]
    paid = adjudicate(claims_of(lines), designs, by_enrollee=True).enrollees.select("enrollee_id", "allowed", *KINDS)
    is_whole = paid["enrollee_id"].str.ends_with("whole")
    assert paid.filter(is_whole).drop("enrollee_id").equals(paid.filter(~is_whole).drop("enrollee_id"))
    assert paid["copay"].n_unique() > 10


@pytest.mark.slow
def test_nobody_pays_more_than_is_allowed_whatever_the_units():
    rng = random.Random(77)
    lines = {f"E{place}": made_up_lines(rng) for place in range(200)}
    designs = [made_up_design(rng, f"D{place}") for place in range(60)]
    found = adjudicate(claims_of(lines), designs, plan_year=2026, enrollee_ids=list(lines)).lines
    assert (found["plan_paid"] + found["copay"] + found["deductible"] + found["coinsurance"] == found["allowed"]).all()
    assert all(found[name].min() >= 0 for name in ("plan_paid", *KINDS))


def test_amounts_near_the_largest_are_exact():
    """Copays of a billion for a hundred thousand days a line: what a stay owes fits, and so do shares of any line."""
    design = plan(0, 0.9, 10**9, {"inpatient": {"copay": 10**9, **EXEMPT}}, {"inpatient_copay_per_day": True})
    stay = [Line("inpatient", day, 1, 1, 100_000, 1, "S") for day in range(300)]
    lines = [*stay, *(Line("imaging", day, 10**11 - 1) for day in range(100))]
    assert paid_by_line(claims_of({"E": lines[:300]}), design) == [(0.01, 0, 0)] * 300
    found = adjudicate(claims_of({"E": lines}), design, by_enrollee=True).enrollees.row(0, named=True)
    assert found["enrollee_paid"] == 10**9  # the limit
    assert found["plan_paid"] + found["enrollee_paid"] == found["allowed"]


# ------------------------------------------------------------------------------------------------ files as they come

GOOD = {
    **{"enrollee_id": "E", "service": "specialist", "service_date": on(5, 1), "allowed": 100.0, "units": 1, "days": 1},
    **{"network_tier": 1, "stay_id": "S", "claim_id": "C", "line_number": 1},
}


def of_ids(rows):
    """Lines of one enrollee by claim_id, line_number and allowed."""
    return pl.DataFrame(
        [{**GOOD, "claim_id": claim, "line_number": number, "allowed": dollars} for claim, number, dollars in rows]
    )


def good(**columns):
    return pl.DataFrame([GOOD]).with_columns(**{name: pl.Series(values) for name, values in columns.items()})


READ = {
    "whole numbers of eight bits": {"units": pl.Series([1], dtype=pl.Int8), "days": pl.Series([1], dtype=pl.UInt8)},
    "columns without any value": {name: [None] for name in ("units", "days", "network_tier", "stay_id", "claim_id")},
    "decimals": {"units": pl.Series(["1.00"]).cast(pl.Decimal(9, 2)), "network_tier": pl.Series([1.0])},
    "text": {"network_tier": ["1"], "allowed": [" 100.00 "], "service_date": ["2026-05-01"], "line_number": ["1"]},
    "categories": {
        "stay_id": pl.Series(["S"], dtype=pl.Categorical),
        "network_tier": pl.Series(["1"], dtype=pl.Enum("1")),
    },
    "a moment": {"service_date": [datetime(2026, 5, 1, 23, 59)], "stay_id": [7], "claim_id": [7]},
    "binary noise": {"allowed": [99.99999999999999]},
}
SET_ASIDE = {
    "ADJ-001": {"enrollee_id": [""]},
    "ADJ-002": {"service": ["Primary Care"]},
    "ADJ-003": {"service_date": pl.Series([2**30], dtype=pl.Int32).cast(pl.Date)},
    "ADJ-003 ": {"service_date": [date(9999, 12, 31)]},
    "ADJ-003  ": {"service_date": ["05/01/2026"]},
    "ADJ-004": {"allowed": [float("nan")]},
    "ADJ-004 ": {"allowed": [float("inf")]},
    "ADJ-004  ": {"allowed": ["$1,234.50"]},
    "ADJ-004   ": {"allowed": pl.Series([2**63], dtype=pl.UInt64)},
    "ADJ-005": {"days": [1.5]},
    "ADJ-005 ": {"units": pl.Series([2**63], dtype=pl.UInt64)},
    "ADJ-006": {"network_tier": [float("nan")]},
}
REFUSED = {
    "units is String": {"units": ["1"]},
    "network_tier is List": {"network_tier": [[1]]},
    "stay_id is Boolean": {"stay_id": [True]},
    "claim_id is Struct": {"claim_id": [{"a": 1}]},
    "enrollee_id is Int64": {"enrollee_id": [1]},
    "service_date is Int64": {"service_date": [20260501]},
    "allowed is Date": {"allowed": [on(5, 1)]},
}


@pytest.mark.parametrize("columns", READ.values(), ids=READ)
def test_kinds_of_columns_that_are_read(columns):
    found = adjudicate(good(**columns), plan(50, 0.8)).plan_liability
    assert found.select("lines", "enrollee_paid").row(0) == (1, Decimal("60.00"))


@pytest.mark.parametrize("name", SET_ASIDE)
def test_rows_that_are_set_aside(name):
    found = adjudicate(good(**SET_ASIDE[name]), plan(50))
    assert found.plan_liability["lines"].item() == 0
    assert found.plan_liability["paid_to_allowed"].item() is None
    assert found.findings.select("rule_id", "rows").rows() == [(name.strip(), 1)]


@pytest.mark.parametrize("name", REFUSED)
def test_kinds_of_columns_that_are_refused(name):
    column, _, kind = name.partition(" is ")
    with pytest.raises(InputRefused, match=f"column '{column}' is {kind}"):
        adjudicate(good(**REFUSED[name]), plan(50))


def test_ids_of_lines():
    """Blank ids name nothing; a number in text is a number; a line and its broken copy are neither taken."""
    blank = of_ids([(" ", 1, 70.0), (" ", 1, 5.0)])
    assert adjudicate(blank, plan(50)).plan_liability["lines"].item() == 2
    design = plan(0, 1, 40, {"specialist": {"copay": 30, **EXEMPT}})
    for number in ("line_number", pl.col("line_number").cast(pl.String)):
        claims = of_ids([("C", 10, 50.0), ("C", 9, 20.0)]).with_columns(number)
        assert paid_by_line(claims, design) == [(20, 0, 0), (20, 0, 0)]
    twice = pl.concat([good(), good(service_date=[None])], how="vertical_relaxed")
    assert dict(adjudicate(twice, plan(50)).findings.select("rule_id", "rows").rows()) == {"ADJ-003": 1, "ADJ-009": 1}
    odd = pl.concat([good(), good()]).with_columns(note=pl.Series([object(), object()], dtype=pl.Object))
    assert adjudicate(odd, plan(50)).counts.filter(table="claims")["accepted"].item() == 1


def test_lines_without_ids_beside_lines_with_them():
    claims = pl.concat([good(), good(claim_id=[None]), good(claim_id=[None])], how="vertical_relaxed")
    assert dict(adjudicate(claims, plan(50)).findings.select("rule_id", "rows").rows()) == {"ADJ-010": 2}


def test_blanks_that_a_design_asks_about_are_noted():
    services = {"inpatient": {"copay": 100, **EXEMPT}}
    design = plan(0, 1, 900, services, {"inpatient_copay_per_day": True}, tier1_utilization=0.5, tier2={"moop": 950})
    rows = [{**GOOD, "service": "inpatient"}, {**GOOD, "line_number": 2}]
    full = pl.DataFrame(rows)
    assert adjudicate(full, design).findings.height == 0
    blank = full.with_columns(
        network_tier=pl.Series([1, None]), days=pl.Series([None, 1]), stay_id=pl.Series([" ", "S"])
    )
    assert adjudicate(blank, design).findings["rule_id"].to_list() == ["ADJ-011", "ADJ-012", "ADJ-013"]
    outside = full.with_columns(days=pl.Series([1, None]), stay_id=pl.Series(["S", None]))
    assert adjudicate(outside, design).findings.height == 0


def test_a_copay_that_is_never_charged_is_noted():
    beside = {"specialist": {"copay": 30}}
    first = {"primary_care_first_n_visits_copay_then_deductible": 1}
    designs = {
        "there is no deductible": (plan(0, 0.8, 900, beside), 1),
        "before the deductible": (plan(500, 0.8, 900, beside), 0),
        "preventive": (plan(0, 0.8, 900, {"preventive": {"copay": 30}}), 0),
        "first visits": (plan(0, 0.8, 900, {"primary_care": {"copay": 30}}, first), 0),
    }
    for name, (design, wanted) in designs.items():
        rules = adjudicate(good(), design).findings["rule_id"].to_list()
        assert rules.count("ADJ-014") == wanted, name
        assert not adjudicate(good(), design, settings={"copay_with_coinsurance": "always"}).findings.height


# ------------------------------------------------------------------------------------------------ order and groups


@pytest.fixture(scope="module")
def market():
    """Claims with every column; three issuers number enrollees and claims alike."""
    rng = random.Random(21)
    lines = {f"E{place:02}": made_up_lines(rng) for place in range(24)}
    claims = (
        claims_of(lines)
        .with_row_index("row")
        .with_columns(issuer_id=pl.col("row") % 3, claim_id=pl.col("row") // 7, line_number=pl.col("row") % 7 // 3 + 1)
    )
    claims = claims.with_columns(pl.col("issuer_id", "claim_id").cast(pl.String)).drop("row")
    return claims, [made_up_design(rng, f"D{place}") for place in range(6)]


def frames(found):
    return [found.plan_liability, found.enrollees, found.lines.drop("claim_row"), found.findings, found.counts]


@pytest.mark.every_case
@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bytes_for_any_order_threads_and_chunks(threads, market, monkeypatch):
    claims, designs = market
    given = {"plan_year": 2026, "by": "issuer_id", "by_enrollee": True, "enrollee_ids": ["E03", "E11"]}
    wanted = adjudicate(claims, designs, **given)
    monkeypatch.setenv("POOLWISE_THREADS", threads)
    for chunk in (1, 5):
        monkeypatch.setattr("rating._adjudicate_sums._CHUNK", chunk)
        monkeypatch.setattr("rating._adjudicate_rows._WORD", chunk)  # numbers of groups that do not fit a word
        shuffled = claims.sample(fraction=1, shuffle=True, seed=chunk)
        found = adjudicate(shuffled.lazy(), designs, **given)
        for one, other in zip(frames(wanted), frames(found), strict=True):
            assert one.equals(other)
            assert one.schema == other.schema


def test_a_group_is_as_if_it_were_alone(market):
    claims, designs = market
    whole = adjudicate(claims, designs, by=["issuer_id"])
    parts = [adjudicate(claims.filter(issuer_id=issuer), designs).plan_liability for issuer in ("0", "1", "2")]
    for place, part in enumerate(parts):
        own = whole.plan_liability.filter(issuer_id=str(place)).drop("issuer_id")
        assert own.equals(part)
        assert part["lines"].item(0) == claims.filter(issuer_id=str(place)).height  # no claim is another issuer's
    assert whole.relativities("D0").filter(design_id="D0")["benefit_relativity"].to_list() == [1.0] * 3


@pytest.mark.parametrize("by", [["allowed"], "lines", ["design_id"], ["service"], [1], None, ["a", "a"]], ids=str)
def test_groupings_that_are_refused(by):
    with pytest.raises(SettingRefused, match="`by` cannot be"):
        adjudicate(good(), plan(), by=by)


@pytest.mark.parametrize("ids", [[1], 5, [None]], ids=str)
def test_ids_that_are_no_text_are_refused(ids):
    with pytest.raises(SettingRefused, match="not all text"):
        adjudicate(good(), plan(), enrollee_ids=ids)


def test_last_year_of_the_calendar():
    assert adjudicate(good(), plan(), plan_year=9999).findings["rule_id"].to_list() == ["ADJ-007"]


# ------------------------------------------------------------------------------------------------ designs


def test_designs_are_those_of_actuarial_values():
    """Every form that `actuarial_value` reads gives the same money."""
    typed = Design(name="A", deductible=500.0, plan_coinsurance=0.8, moop=9000.0)
    plain = {key: value for key, value in typed.mapping().items() if key not in ("services", "options")}
    columns = read_designs(plain).columns
    forms = {
        "list": [typed],
        "objects of the public files": typed_designs(columns, ["A"], ["99999XX0010001"], [None]),
        "plans in a column": pl.DataFrame({"design_id": ["A"], "plan": [plain]}),
        "as JSON": pl.DataFrame({"plan": ['{"deductible_type": "integrated", "deductible": 500, "moop": 9000, '
                                          '"plan_coinsurance": 0.8, "name": "A"}']}),
        "keys as columns": pl.LazyFrame([plain]),
        "table": pl.DataFrame([{**{k: v for k, v in plain.items() if k != "name"}, "design_id": "A"}]),
    }  # fmt: skip
    claims = claims_of({"E": made_up_lines(random.Random(5))})
    wanted = adjudicate(claims, plain).plan_liability
    for name, designs in forms.items():
        assert adjudicate(claims, designs).plan_liability.equals(wanted), name
    assert adjudicate(claims, columns).plan_liability.drop("design_id").equals(wanted.drop("design_id"))
    variants = [{**plain, "name": None, "plan_id": "99999XX0010001", "csr_variant": code} for code in ("04", "06")]
    assert adjudicate(claims, variants).plan_liability["design_id"].to_list() == [
        "99999XX0010001-04",
        "99999XX0010001-06",
    ]


def test_whose_coinsurance_it_is_is_asked():
    design = plan(0, 0.2)
    found = adjudicate(good(), design)
    assert found.findings["rule_id"].to_list() == ["AVC-064"]
    assert float(found.plan_liability["plan_paid"].item()) == 20
    turned = adjudicate(good(), design, settings={"coinsurance_is": "enrollee"})
    assert turned.findings.height == 0
    assert float(turned.plan_liability["plan_paid"].item()) == 80
    second = plan(0, 0.8, tier1_utilization=0.5, tier2={"plan_coinsurance": 0.3})
    assert adjudicate(good(), second).findings["rule_id"].to_list() == ["AVC-064"]


@pytest.mark.parametrize(
    ("designs", "message"),
    [
        ([plan(), plan(500, moop=400, name="B")], "below the deductible"),
        ([plan(), {**plan(name="B"), "coinsurance": 1}], "'coinsurance' is not known"),
        (plan(options={"inpatient_copay_per_day": True}), "per day, and none is entered"),
        ([plan(name="A"), plan(name="A")], "two designs are called 'A'"),
        (pl.DataFrame({"plan": []}), "there is no design"),
    ],
)
def test_designs_that_cannot_be(designs, message):
    with pytest.raises(InputRefused, match=message):
        adjudicate(good(), designs)


def test_no_group_has_no_relativities():
    none = adjudicate(good().clear().with_columns(issuer_id=pl.lit("1")), plan(name="A"), by="issuer_id")
    assert none.relativities("A").height == 0


def test_days_of_the_year():
    """The first and the last day of a plan year are of it."""
    ends = [FIRST_DAY, FIRST_DAY + timedelta(364)]
    assert adjudicate(pl.concat([good(service_date=[day]) for day in ends]).with_columns(
        line_number=pl.Series([1, 2])), plan(), plan_year=2026).plan_liability["lines"].item() == 2  # fmt: skip
