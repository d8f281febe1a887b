"""Claims under designs: by hand, against the slow twin to the cent, what must hold of any design, and bad input."""

import random
from datetime import date
from itertools import product

import polars as pl
import pytest
from adjudication_claims import claims_of, made_up_design, made_up_lines
from adjudication_oracle import SERVICES, Line, adjudicate_enrollee

import data_specs
import rating
from data_specs.errors import InputRefused, SettingRefused
from rating import Design, ServiceTerms, adjudicate
from rating._adjudicate_settings import AdjudicationSettings

KINDS = ("copay", "deductible", "coinsurance")
MONEY = ("allowed", "plan_paid", "enrollee_paid", *KINDS)
OF_INPUT = ("coinsurance_is", "outside_plan_year")  # the twin is not asked about them
CHOICES = {name: values for name, values in AdjudicationSettings.CHOICES.items() if name not in OF_INPUT}
EVERY = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]


def plan(deductible=0, share=1.0, moop=10_000, services=None, options=None, **more):
    return {
        "deductible_type": "integrated",
        "deductible": deductible,
        "plan_coinsurance": share,
        "moop": moop,
        "services": services or {},
        "options": options or {},
        **more,
    }


def cents_of(found):
    """(design, enrollee) -> money in cents."""
    return {(row[0], row[1]): [int(100 * x) for x in row[2:]] for row in found.enrollees.rows()}


def by_line(lines, design, **settings):
    """What the enrollee pays of each line: copay, deductible, coinsurance in dollars."""
    found = adjudicate(claims_of({"E": lines}), design, enrollee_ids=["E"], settings=settings)
    return [tuple(float(x) for x in row) for row in found.lines.select(KINDS).rows()]


def visit(service, day, dollars, units=1, **more):
    return Line(service, day, round(100 * dollars), units, **more)


# ------------------------------------------------------------------------------------------------ by hand

EXEMPT = {"subject_to_deductible": False, "subject_to_coinsurance": False}
WITH = {"subject_to_deductible": True, "subject_to_coinsurance": False}
AFTER = {"subject_to_deductible": False, "subject_to_coinsurance": False, "copay_after_deductible": True}
SPECIALIST = [visit("specialist", day, 100) for day in (1, 2, 3)]
STAY = [visit("inpatient", day, dollars, stay="S", days=2) for day, dollars in ((1, 50), (2, 4000), (3, 4000))]
BY_HAND = {
    "deductible, then coinsurance, half a cent up": (
        plan(150, 0.75),
        [visit("specialist", 1, 100), visit("specialist", 2, 100.02)],
        [(0, 100, 0), (0, 50, 12.51)],
    ),
    "limit cuts what comes last": (plan(50, 0.5, 80), SPECIALIST, [(0, 50, 25), (0, 0, 5), (0, 0, 0)]),
    "copay exempt from the deductible": (
        plan(150, services={"specialist": {"copay": 30, **EXEMPT}}),
        SPECIALIST,
        [(30, 0, 0)] * 3,
    ),
    "copay with the deductible: the copay first, the rest counts": (
        plan(150, services={"specialist": {"copay": 30, **WITH}}),
        [*SPECIALIST, visit("specialist", 4, 20)],
        [(30, 70, 0), (30, 70, 0), (30, 10, 0), (20, 0, 0)],
    ),
    "copay after the deductible": (
        plan(150, services={"specialist": {"copay": 60, **AFTER}}),
        SPECIALIST,
        [(0, 100, 0), (50, 50, 0), (60, 0, 0)],
    ),
    "copay beside coinsurance stands below the deductible only": (
        plan(150, 0.8, services={"specialist": {"copay": 30}}),
        [*SPECIALIST, visit("specialist", 4, 100)],
        [(30, 70, 0), (30, 70, 0), (30, 10, 12), (0, 0, 20)],
    ),
    "exempt copay beside coinsurance stands in its place until then": (
        plan(100, 0.8, services={"specialist": {"copay": 30, "subject_to_deductible": False}}),
        [visit("specialist", 1, 100), visit("laboratory", 2, 100), visit("specialist", 3, 100)],
        [(30, 0, 0), (0, 100, 0), (0, 0, 20)],
    ),
    "own coinsurance; 0 is not blank": (
        plan(0, 0.8, services={"specialist": {"plan_coinsurance": 0}}),
        [visit("specialist", 1, 100), visit("laboratory", 2, 100)],
        [(0, 0, 100), (0, 0, 20)],
    ),
    "copay per script, never above what is allowed": (
        plan(services={"generic": {"copay": 10, **EXEMPT}}),
        [visit("generic", 1, 45, 3), visit("generic", 2, 25, 3)],
        [(30, 0, 0), (25, 0, 0)],
    ),
    "copay once a stay, what a line is too small for on the next": (
        plan(services={"inpatient": {"copay": 500, **EXEMPT}}),
        STAY,
        [(50, 0, 0), (450, 0, 0), (0, 0, 0)],
    ),
    "copay per day, three days charged": (
        plan(
            services={"inpatient": {"copay": 500, **EXEMPT}},
            options={"inpatient_copay_per_day": True, "inpatient_copay_max_days": 3},
        ),
        STAY,
        [(50, 0, 0), (1450, 0, 0), (0, 0, 0)],
    ),
    "nursing per day after the deductible": (
        plan(100, services={"skilled_nursing": {"copay": 40, **AFTER}}, options={"snf_copay_per_day": True}),
        [visit("skilled_nursing", day, 200, stay="N", days=2) for day in (1, 2)],
        [(80, 100, 0), (80, 0, 0)],
    ),
    "first visits free; a line with both in parts": (
        plan(0, 0.8, options={"primary_care_first_n_visits_free": 2}),
        [visit("primary_care", 1, 100), visit("primary_care", 2, 100, 2), visit("primary_care", 3, 100)],
        [(0, 0, 0), (0, 0, 10), (0, 0, 20)],
    ),
    "first visits at the copay, then deductible, then the copay beyond it": (
        plan(
            100,
            services={"primary_care": {"copay": 30, **WITH}},
            options={"primary_care_first_n_visits_copay_then_deductible": 1},
        ),
        [visit("primary_care", day, 120) for day in (1, 2, 3)],
        [(30, 0, 0), (20, 100, 0), (30, 0, 0)],
    ),
    "specialty cap per script": (
        plan(0, 0.5, options={"specialty_drug_coinsurance_max_per_script": 150}),
        [visit("specialty_drug", 1, 5000, 2), visit("specialty_drug", 2, 200)],
        [(0, 0, 300), (0, 0, 100)],
    ),
    "preventive care is paid whatever the terms": (
        plan(5000, 0, services={"preventive": {"copay": 50}}),
        [visit("preventive", 1, 300)],
        [(0, 0, 0)],
    ),
    "two deductibles, one limit": (
        {
            **{"deductible_type": "separate_deductible_combined_moop", "deductible_medical": 150, "moop": 220},
            **{"deductible_drug": 50, "plan_coinsurance_medical": 0.8, "plan_coinsurance_drug": 0.5},
        },
        [visit("specialist", 1, 100), visit("generic", 2, 90), visit("specialist", 3, 100), visit("generic", 4, 10)],
        [(0, 100, 0), (0, 50, 20), (0, 50, 0), (0, 0, 0)],
    ),
    "a limit for each domain": (
        {
            **{"deductible_type": "separate_deductible_separate_moop", "deductible_medical": 100, "moop_medical": 100},
            **{"deductible_drug": 0, "moop_drug": 30, "plan_coinsurance_medical": 1, "plan_coinsurance_drug": 0.5},
        },
        [visit("specialist", 1, 150), visit("generic", 2, 50), visit("generic", 3, 50)],
        [(0, 100, 0), (0, 0, 25), (0, 0, 5)],
    ),
    "tiers: terms by line, one accumulator": (
        plan(100, 0.8, 500, tier1_utilization=0.8, tier2={"deductible": 300, "moop": 500, "plan_coinsurance": 0.5}),
        [visit("specialist", 1, 100, tier=1), visit("specialist", 2, 300, tier=2), visit("specialist", 3, 100, tier=1)],
        [(0, 100, 0), (0, 200, 50), (0, 0, 20)],
    ),
}


@pytest.mark.every_case
@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    design, lines, wanted = BY_HAND[name]
    assert by_line(lines, design) == wanted
    twin = [tuple(getattr(charge, kind) / 100 for kind in KINDS) for _, charge in adjudicate_enrollee(lines, design)]
    assert twin == wanted


def test_settings_move_what_they_say():
    exempt = plan(500, 0.8, services={"specialist": {"subject_to_deductible": False}})
    assert by_line(SPECIALIST[:1], exempt) == [(0, 0, 20)]
    assert by_line(SPECIALIST[:1], exempt, exempt_coinsurance="after_deductible") == [(0, 0, 0)]
    both = plan(0, 0.8, services={"specialist": {"copay": 30}})
    assert by_line(SPECIALIST[:1], both) == [(0, 0, 20)]
    assert by_line(SPECIALIST[:1], both, copay_with_coinsurance="always") == [(30, 0, 14)]
    tiers = plan(100, tier1_utilization=0.5, tier2={"deductible": 100})
    lines = [visit("specialist", 1, 100), visit("specialist", 2, 100, tier=2)]
    assert by_line(lines, tiers) == [(0, 100, 0), (0, 0, 0)]
    assert by_line(lines, tiers, tier_accumulators="separate") == [(0, 100, 0), (0, 100, 0)]


def test_money_of_an_employer_is_a_part_of_the_deductible_paid():
    designs = [plan(500, name=name, options=given) for name, given in (("a", {}), ("b", {"employer_hsa_hra": 200}))]
    claims = claims_of({"E": [visit("specialist", 1, 150)], "F": [visit("specialist", 1, 900)]})
    found = adjudicate(claims, designs).plan_liability
    assert [float(x) for x in found["employer_paid"]] == [0, 350]
    assert found["plan_paid"].n_unique() == 1


# ------------------------------------------------------------------------------------------------ against the twin


def made_up(seed, enrollees, designs):
    rng = random.Random(seed)
    lines = {f"E{place:05}": made_up_lines(rng) for place in range(enrollees)}
    return lines, [made_up_design(rng, f"D{place}") for place in range(designs)]


def twin_cents(lines, designs, **settings):
    found = {}
    for design in designs:
        for enrollee, own in lines.items():
            charges = [charge for _, charge in adjudicate_enrollee(own, design, **settings)]
            kinds = [sum(getattr(charge, kind) for charge in charges) for kind in KINDS]
            allowed = sum(line.allowed for line in own)
            found[design["name"], enrollee] = [allowed, allowed - sum(kinds), sum(kinds), *kinds]
    return found


def test_kernel_and_twin_agree_to_the_cent():
    lines, designs = made_up(1, 25, 12)
    found = adjudicate(claims_of(lines), designs, plan_year=2026, by_enrollee=True)
    assert cents_of(found) == twin_cents(lines, designs)


@pytest.mark.slow
@pytest.mark.parametrize("settings", EVERY)
def test_kernel_and_twin_agree_on_thousands(settings):
    lines, designs = made_up(2, 150, 40)
    found = adjudicate(claims_of(lines), designs, plan_year=2026, by_enrollee=True, settings=settings)
    assert cents_of(found) == twin_cents(lines, designs, **settings)


# ------------------------------------------------------------------------------------------------ what must hold


@pytest.fixture(scope="module")
def market():
    lines, designs = made_up(3, 60, 20)
    return claims_of(lines), designs


@pytest.fixture(scope="module")
def outcome(market):
    return adjudicate(*market, plan_year=2026, by_enrollee=True, enrollee_ids=["E00001", "E00002"])


def test_plan_and_enrollee_pay_what_is_allowed(outcome):
    for frame in (outcome.plan_liability, outcome.enrollees, outcome.lines):
        assert (frame["plan_paid"] + frame["enrollee_paid"] == frame["allowed"]).all()
        assert (frame["copay"] + frame["deductible"] + frame["coinsurance"] == frame["enrollee_paid"]).all()
        assert all(frame[name].min() >= 0 for name in MONEY)


def test_sums_are_those_of_the_enrollees(outcome):
    sums = outcome.enrollees.group_by("design_id", maintain_order=True).agg(pl.col(MONEY).sum())
    assert sums.equals(
        outcome.plan_liability.select("design_id", *MONEY).with_columns(pl.col(MONEY).cast(sums["copay"].dtype))
    )
    ratio = outcome.plan_liability.select(pl.col("plan_paid", "allowed").cast(pl.Float64))
    assert outcome.plan_liability["paid_to_allowed"].to_list() == pytest.approx(
        (ratio["plan_paid"] / ratio["allowed"]).to_list()
    )


def test_lines_run_up_to_the_enrollee(outcome):
    last = outcome.lines.group_by("design_id", "enrollee_id", maintain_order=True).last()
    own = outcome.enrollees.filter(pl.col("enrollee_id").is_in(["E00001", "E00002"]))
    assert last["enrollee_paid_so_far"].to_list() == own["enrollee_paid"].to_list()
    assert last["deductible_so_far"].to_list() == own["deductible"].to_list()
    assert outcome.lines["line"].to_list()[:2] == [1, 2]


def test_no_limit_is_exceeded(outcome, market):
    one = {d["name"]: float(d["moop"]) for d in market[1] if "moop" in d and "tier2" not in d}
    paid = outcome.enrollees.filter(pl.col("design_id").is_in(list(one)))
    limit = paid["design_id"].replace_strict(one, return_dtype=pl.Float64)
    assert paid.height > 0
    assert (paid["enrollee_paid"].cast(pl.Float64) <= limit).all()


def test_no_sharing_pays_all(market):
    free = plan(0, 1.0, 0)
    found = adjudicate(market[0], [free, {**free, "name": "b", "moop": 9000}]).plan_liability
    assert (found["plan_paid"] == found["allowed"]).all()
    assert found["paid_to_allowed"].to_list() == [1.0, 1.0]
    assert found["enrollees_reaching_moop"].to_list() == [0, 0]


@pytest.mark.parametrize(
    "lever", [("deductible", -200), ("moop", -1000), ("plan_coinsurance", 0.07)], ids=lambda x: x[0]
)
def test_richer_designs_pay_no_less_for_anybody(lever, market):
    """Coinsurance alone, general or own: nothing trades places with the lever."""
    rng, (name, step) = random.Random(5), lever
    pairs = []
    for place in range(10):
        services = {s: {"plan_coinsurance": 0.6 + 0.01 * rng.randrange(40)} for s in rng.sample(SERVICES, 5)}
        lean = plan(rng.randrange(200, 3000), 0.7, rng.randrange(4000, 9000), services, name=f"{place} lean")
        pairs += [lean, {**lean, "name": f"{place} rich", name: lean[name] + step}]
    paid = (
        adjudicate(market[0], pairs, by_enrollee=True)
        .enrollees.with_columns(pl.col("design_id").str.split(" ").list.to_struct(fields=["pair", "side"]))
        .unnest("design_id")
        .pivot("side", index=["pair", "enrollee_id"], values="plan_paid")
    )
    assert (paid["rich"] >= paid["lean"]).all()
    assert (paid["rich"] > paid["lean"]).any()


def test_parts_of_the_file_add_up(market, outcome):
    claims, designs = market
    is_first = claims["enrollee_id"] < "E00030"
    parts = [adjudicate(claims.filter(mask), designs).plan_liability for mask in (is_first, ~is_first)]
    whole = outcome.plan_liability
    for name in (*MONEY, "employer_paid", "lines", "enrollees_reaching_deductible", "enrollees_reaching_moop"):
        assert (parts[0][name] + parts[1][name]).to_list() == whole[name].to_list(), name


@pytest.mark.every_case
@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bytes_for_any_order_and_threads(threads, market, outcome, monkeypatch):
    monkeypatch.setenv("POOLWISE_THREADS", threads)
    monkeypatch.setattr("rating._adjudicate_sums._CHUNK", 7)
    shuffled = market[0].sample(fraction=1, shuffle=True, seed=int(threads)).lazy()
    found = adjudicate(shuffled, market[1], plan_year=2026, by_enrollee=True)
    assert found.plan_liability.equals(outcome.plan_liability)
    assert found.enrollees.equals(outcome.enrollees)


def test_order_without_room_in_a_word_is_the_same(market, outcome, monkeypatch):
    monkeypatch.setattr("rating._adjudicate_claims._WORD", 1)
    found = adjudicate(*market, plan_year=2026, by_enrollee=True)
    assert found.enrollees.equals(outcome.enrollees)


def test_lines_of_a_day_are_taken_by_their_claim():
    design = plan(0, services={"specialist": {"copay": 30, **EXEMPT}}, moop=40)
    lines = [visit("specialist", 1, 20), visit("specialist", 1, 50)]
    claims = claims_of({"E": lines}).with_columns(pl.Series("claim_id", ["B", "A"]), line_number=pl.lit(1))
    found = adjudicate(claims, design, enrollee_ids="E").lines
    assert found.select("claim_row", pl.col("copay").cast(pl.Float64)).rows() == [(2, 30.0), (1, 10.0)]


def test_groups_are_apart_and_sum_to_the_whole(market, outcome):
    claims, designs = market
    issuer = pl.when(pl.col("enrollee_id") < "E00020").then(pl.lit("22222")).otherwise(pl.lit("11111"))
    found = adjudicate(claims.with_columns(issuer.alias("issuer_id")), designs, by=["issuer_id"]).plan_liability
    assert found.columns[:2] == ["design_id", "issuer_id"]
    assert found["issuer_id"].to_list()[:2] == ["11111", "22222"]
    sums = found.group_by("design_id", maintain_order=True).agg(pl.col("plan_paid", "lines", "enrollees").sum())
    assert sums["plan_paid"].to_list() == outcome.plan_liability["plan_paid"].to_list()
    assert sums["enrollees"].to_list() == outcome.plan_liability["enrollees"].to_list()
    twice = pl.concat([claims.with_columns(issuer_id=pl.lit(i)) for i in ("1", "2")])
    both = adjudicate(twice, designs, by=["issuer_id"]).plan_liability
    assert (both["plan_paid"] == outcome.plan_liability["plan_paid"].gather([i // 2 for i in range(40)])).all()


# ------------------------------------------------------------------------------------------------ input and output


def test_columns_are_those_of_the_table(outcome):
    known = data_specs.table("av/adjudication_columns")
    for name in ("plan_liability", "enrollees", "lines"):
        own = known.filter(frame=name).sort("position")
        frame = getattr(outcome, name)
        assert frame.columns == own["column"].to_list()
        kinds = [str(kind).replace("precision=18, scale=2", "18, 2") for kind in frame.dtypes]
        assert kinds == own["type"].to_list(), name


def test_claims_are_read_by_the_columns_of_the_table():
    known = data_specs.table("av/adjudication_columns").filter(frame="claims")
    full = pl.DataFrame([{**GOOD, "days": 1, "stay_id": "S"}])
    assert sorted(full.columns) == sorted(known["column"])
    for column, presence in known.select("column", "presence").rows():
        if presence == "optional":
            assert adjudicate(full.drop(column), plan(50)).plan_liability["lines"].item() == 1
            continue
        with pytest.raises(InputRefused, match=f"missing column '{column}'"):
            adjudicate(full.drop(column), plan(50))


BAD = {
    "ADJ-001": {"enrollee_id": " "},
    "ADJ-002": {"service": "dental"},
    "ADJ-003": {"service_date": None},
    "ADJ-004": {"allowed": -1.0},
    "ADJ-005": {"units": -1},
    "ADJ-006": {"network_tier": 3},
    "ADJ-007": {"service_date": date(2025, 12, 31)},
}
GOOD = {
    **{"enrollee_id": "E", "service": "specialist", "service_date": date(2026, 5, 1), "allowed": 100.0, "units": 1},
    **{"network_tier": 1, "claim_id": "C", "line_number": 1},
}


def test_bad_rows_are_counted_and_set_aside():
    rows = [GOOD, *({**GOOD, "line_number": 10 + n, **bad} for n, bad in enumerate(BAD.values()))]
    rows += [GOOD, {**GOOD, "line_number": 2}, {**GOOD, "line_number": 2, "allowed": 50.0}]
    found = adjudicate(pl.DataFrame(rows), plan(50), plan_year=2026)
    counts = dict(found.findings.filter(table="claims").select("rule_id", "rows").rows())
    assert counts == dict.fromkeys(BAD, 1) | {"ADJ-008": 1, "ADJ-009": 2}
    assert found.counts.row(by_predicate=pl.col("table") == "claims", named=True)["accepted"] == 1
    assert found.refused["claims"].height == len(rows) - 1
    assert found.plan_liability["lines"].item() == 1
    assert found.findings["severity"].null_count() == 0


def test_lines_that_may_be_one_are_all_taken():
    claims = pl.DataFrame([GOOD, GOOD]).drop("claim_id", "line_number")
    found = adjudicate(claims, plan(50))
    assert found.plan_liability["lines"].item() == 2
    assert dict(found.findings.select("rule_id", "rows").rows()) == {"ADJ-010": 2}


def test_lines_outside_of_the_year_can_be_kept():
    claims = pl.DataFrame([GOOD, {**GOOD, "service_date": date(2025, 12, 31), "line_number": 2}])
    found = adjudicate(claims, plan(50), plan_year=2026, settings={"outside_plan_year": "keep"})
    assert found.plan_liability["lines"].item() == 2
    assert found.findings.select("rule_id", "action").rows() == [("ADJ-007", "keep_flag")]
    late = claims.with_columns(service_date=pl.Series([date(2026, 5, 1), date(2027, 5, 1)]))
    with pytest.raises(InputRefused, match="twelve months"):
        adjudicate(late, plan(50))
    leap = claims.with_columns(service_date=pl.Series([date(2024, 2, 29), date(2025, 2, 28)]))
    assert adjudicate(leap, plan(50)).plan_liability["lines"].item() == 2


def test_what_the_claims_do_not_say_is_noted():
    services = {"inpatient": {"copay": 100, **EXEMPT}, "specialist": {"copay": 5, "copay_after_deductible": True}}
    design = plan(0, 1.0, services=services, options={"inpatient_copay_per_day": True}, tier1_utilization=0.5)
    found = adjudicate(pl.DataFrame([GOOD]).drop("network_tier"), {**design, "tier2": {}})
    assert found.findings["rule_id"].to_list() == ["ADJ-011", "ADJ-012", "ADJ-013", "ADJ-014"]


def test_other_names_and_kinds_of_columns_are_read():
    claims = pl.DataFrame(
        {
            "enrollee_id": pl.Series(["E", "E"], dtype=pl.Categorical),
            "service_line": ["Specialist ", "specialist"],
            "service_from": ["2026-02-01", "20260301"],
            "allowed_amount": ["100.005", "1"],
            "units": [None, 2.0],
            "network_tier": ["1", None],
            "stay_id": [1, None],
        }
    )
    found = adjudicate(claims, plan(500)).plan_liability
    assert float(found["deductible"].item()) == 101.01
    assert found["lines"].item() == 2


def test_no_claims_at_all():
    claims = claims_of({"E": [visit("specialist", 1, 10)]}).clear()
    found = adjudicate(claims, plan(500), by_enrollee=True, enrollee_ids=[])
    assert found.plan_liability.select("enrollees", "lines", "paid_to_allowed").row(0) == (0, 0, None)
    assert found.enrollees.height == found.lines.height == 0
    assert adjudicate(claims.with_columns(issuer_id=pl.lit("1")), plan(500), by="issuer_id").plan_liability.height == 0


def test_designs_of_every_form_say_the_same():
    claims = claims_of({"E": [visit("specialist", 1, 900), visit("generic", 2, 90)]})
    plain = plan(500, 0.8, services={"generic": {"copay": 10.0, **EXEMPT}}, name="A")
    typed = Design(
        name="A",
        deductible=500,
        plan_coinsurance=0.8,
        moop=10_000,
        services={"generic": ServiceTerms(copay=10, **EXEMPT)},
    )
    table = pl.DataFrame(
        {
            **{"design_id": ["A"], "deductible": [500], "plan_coinsurance": [0.8], "moop": [10_000]},
            **{
                "service": ["generic"],
                "copay": [10],
                "subject_to_deductible": ["no"],
                "subject_to_coinsurance": ["no"],
            },
        }
    )
    wanted = adjudicate(claims, plain).plan_liability
    for designs in (typed, [typed], table):
        assert adjudicate(claims, designs).plan_liability.equals(wanted)


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"designs": [plan(), plan(name="1")]}, InputRefused, "two designs are called '1'"),
        ({"designs": []}, InputRefused, "there is no design"),
        ({"designs": 7}, InputRefused, "cannot be read from a int"),
        ({"designs": plan(500, moop=400)}, InputRefused, "below the deductible"),
        ({"settings": {"exempt": 1}}, SettingRefused, "no setting is called"),
        ({"by": ["enrollee_id"]}, SettingRefused, "`by` cannot be"),
        ({"by": ["issuer_id"]}, InputRefused, "missing column 'issuer_id'"),
        ({"enrollee_ids": ["nobody"]}, InputRefused, "1 of the enrollees to explain"),
        ({"plan_year": "2026"}, SettingRefused, "plan_year"),
    ],
)
def test_refusals(change, error, message):
    given = {"designs": plan(), **change}
    with pytest.raises(error, match=message):
        adjudicate(pl.DataFrame([GOOD]), **given)


def test_relativities(market, outcome):
    found = outcome.relativities("D3")
    paid = dict(outcome.plan_liability.select("design_id", "plan_paid").rows())
    wanted = [float(amount) / float(paid["D3"]) for amount in paid.values()]
    assert found["benefit_relativity"].to_list() == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(InputRefused, match="no design is called 'D99'"):
        outcome.relativities("D99")
    assert isinstance(outcome, rating.Adjudication)
