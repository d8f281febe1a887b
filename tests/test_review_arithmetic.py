"""Checks RV-001 to RV-013: on the constructed filing with its defects, on random filings, on dirty and rounded ones."""

import dataclasses
import datetime
import random
import tomllib
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import polars as pl
import pytest
from filing_g1 import assumptions, g1, plans

import data_specs
from data_specs.errors import InputRefused, TableMissing
from rating import review
from rating.filing import read_workbook
from rating.filing._ledger import Ledger
from rating.filing._model import FilingModel, Places
from rating.review._run import CHECKS

DEFECTS = tomllib.loads((Path(__file__).parent / "cases/filing/seeded_defects.toml").read_text(encoding="utf-8"))[
    "defect"
]
ARITHMETIC = {f"RV-{number:03}" for number in range(1, 14)}
BRONZE, SILVER, GOLD, CATASTROPHIC = (f"12345XX001000{number}" for number in (1, 2, 3, 4))
CATEGORIES = (
    "inpatient_hospital",
    "outpatient_hospital",
    "professional",
    "other_medical",
    "capitation",
    "prescription_drug",
)
RATE, CALIBRATED = "plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate"
INDEX_RATE = "market_adjusted_index_rate"


@pytest.fixture(scope="module")
def clean():
    return g1()


def fired(filing) -> set[str]:
    return set(review.run(filing).findings["check_id"])


def results(filing, check_id: str, name: str | None = None, place: str | None = None) -> list[dict]:
    frame = review.run(filing).results.filter(pl.col("check_id") == check_id)
    if name is not None:
        frame = frame.filter(pl.col("name") == name)
    if place is not None:
        frame = frame.filter(pl.col("place") == place)
    return frame.to_dicts()


def only_result(filing, check_id: str, name: str, place: str = "") -> dict:
    (row,) = results(filing, check_id, name, place)
    return row


def as_read(filing, *errors: tuple[str, str]):
    """The filing as if it had been read from a workbook, with an error text in some cells."""
    names = ("name", "place", "sheet", "cell", "text", "state")
    lines = [(name, place, "Worksheet", "A1", "#VALUE!", "error_in_source") for name, place in errors]
    cells = pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String), orient="row")
    return dataclasses.replace(filing.as_filed(dict.fromkeys(errors)), cells=cells)


# ------------------------------------------------------------------------------------------------ seeded defects


def changed_value(old, change):
    if "to" in change:
        return change["to"]
    old = Decimal(str(old))
    return old + Decimal(change["plus"]) if "plus" in change else old * Decimal(change["times"])


def renamed(filing, old: str, new: str):
    """The filing with another id on one of its plans, everywhere."""
    ledger = Ledger(
        dataclasses.replace(e, place=new if e.place == old else e.place, inputs=()) for e in filing.as_filed().ledger
    )
    product_of = {new if plan == old else plan: product for plan, product in filing.model.places.product_of.items()}
    model = FilingModel(filing.model.formulas, {e.key: e.value for e in ledger}, Places(product_of))
    frames = {
        name: getattr(filing, name).with_columns(pl.col("plan_id").replace({old: new})) for name in ("plans", "rates")
    }
    return dataclasses.replace(filing, ledger=ledger, model=model, **frames)


def changed_rates(filing, change):
    """Consumer rates with some of them changed and rounded half up to the cent."""
    column = "individual_tobacco_rate" if change.get("tobacco") else "individual_rate"
    where = pl.col("plan_id") == change["plan"]
    if "area" in change:
        where &= pl.col("rating_area_id") == change["area"]
    if "age" in change:
        where &= pl.col("age_band").str.starts_with(change["age"])
    old = filing.rates.select(column, where.alias("hit")).rows()
    cent = Decimal("0.01")
    new = [changed_value(v, change).quantize(cent, ROUND_HALF_UP) if hit and v is not None else v for v, hit in old]
    assert sum(a != b for (a, _), b in zip(old, new, strict=True)) >= 1
    return filing.rates.with_columns(pl.Series(column, new, dtype=pl.Decimal(10, 2)))


def with_defect(filing, defect):
    """The filing with the named values changed as filed, and nothing worked out again."""
    numbers = {}
    for change in defect["change"]:
        name, plan = change["name"], change.get("plan")
        if name == "plan_id":
            return renamed(filing, plan, change["to"])
        if name == "monthly_rate":
            return filing.as_filed(rates=changed_rates(filing, change))
        if name == "exp_period_end":
            return filing.as_filed(header={name: datetime.date.fromisoformat(change["to"])})
        if name.startswith("taxes_fees_"):  # a component of taxes and fees, which the template does not have
            numbers[name, ""] = change["to"]
            continue
        if name in filing.plans.columns and name not in filing.model.formulas.names("plan"):
            filing = dataclasses.replace(
                filing,
                plans=filing.plans.with_columns(
                    pl.when(pl.col("plan_id") == plan).then(pl.lit(change["to"])).otherwise(pl.col(name)).alias(name)
                ),
            )
            continue
        places = [plan] if plan else [place for n, place in (e.key for e in filing.ledger) if n == name]
        assert places
        numbers |= {(name, place): changed_value(filing.ledger.value(name, place), change) for place in places}
    return filing.as_filed(numbers)


def contents(filing):
    return filing.header, [(e.key, e.value) for e in filing.ledger], filing.plans.rows(), filing.rates.rows()


def test_the_clean_filing_trips_nothing_and_everything_is_looked_at(clean):
    found = review.run(clean)
    assert found.findings.height == 0
    assert found.counts["check_id"].to_list() == sorted(ARITHMETIC)
    assert found.counts["result"].to_list() == ["pass"] * 13
    assert found.counts["not_evaluated"].sum() == 0
    assert found.counts["not_applicable"].sum() == 1  # the metal value of the catastrophic plan
    by_check = dict(found.counts.select("check_id", "pass").rows())
    assert (by_check["RV-003"], by_check["RV-007"], by_check["RV-009"]) == (7, 4, 5)


@pytest.mark.every_case
@pytest.mark.parametrize("defect", DEFECTS, ids=[defect["id"] for defect in DEFECTS])
def test_seeded_defects(clean, defect):
    changed = with_defect(clean, defect)
    assert contents(changed) != contents(clean)
    found = fired(changed)
    assert set(defect["fires"]) & ARITHMETIC <= found
    assert not set(defect.get("silent", ())) & found
    if not set(defect["fires"]) & ARITHMETIC and defect["id"] != "S20":  # S20: equal changes no longer give the mean
        assert not found


def test_there_are_twenty_one_defects():
    assert len(DEFECTS) == len({defect["id"] for defect in DEFECTS}) == 21


def test_defect_s08_without_its_second_change_breaks_the_calibrated_rates(clean):
    """The case says so: a calibration factor altered alone also breaks RV-008."""
    defect = next(d for d in DEFECTS if d["id"] == "S08")
    found = review.run(with_defect(clean, {"change": defect["change"][:1]})).findings
    assert found["check_id"].to_list() == ["RV-008"] * 4
    assert found["plan_id"].to_list() == [BRONZE, SILVER, GOLD, CATASTROPHIC]


def test_the_cause_stands_first(clean):
    """One altered number breaks what it is and what uses it: the check on the number itself comes first."""
    found = review.run(clean.as_filed({("adjusted_trended_ehb", ""): 616})).findings
    assert found["check_id"].to_list() == ["RV-004", "RV-005"]
    found = review.run(clean.as_filed({("exp_member_months", ""): 118000})).findings
    assert found["check_id"].unique(maintain_order=True).to_list() == ["RV-009", "RV-001"]
    found = review.run(clean.as_filed({("cumulative_rate_change", BRONZE): "8.70"})).findings
    assert found["check_id"].unique(maintain_order=True).to_list() == ["RV-013", "RV-012"]
    order = dict(data_specs.table("filing/reviewer_checks").select("check_id", "cause_order").rows())
    several = review.run(
        clean.as_filed({(RATE, SILVER): 1, ("trended_ehb_total", ""): 1, (INDEX_RATE, ""): 1})
    ).findings
    places = [order[check_id] for check_id in several["check_id"]]
    assert places == sorted(places)
    assert len(set(places)) == 6  # RV-003, 004, 006, 007, 008, 011


def test_a_finding_says_what_is_wrong(clean):
    (finding,) = review.run(clean.as_filed({("proj_risk_adjustment", ""): "-24.60"})).findings.to_dicts()
    assert (finding["check_id"], finding["outcome"], finding["name"], finding["place"]) == (
        "RV-006",
        "fail",
        INDEX_RATE,
        "",
    )
    assert finding["plan_id"] is None
    assert finding["basis"] == "45 CFR 156.80(d)(1)"
    # 601.7848 as filed; (611.3402 - 0 + 24.60) / 0.975 = 652.2463
    assert finding["filed"] == pytest.approx(601.7848114145, abs=1e-9)
    assert finding["recomputed"] == pytest.approx(652.2463498761, abs=1e-9)
    assert finding["threshold"] == 0.01
    said = finding["message"]
    assert "market_adjusted_index_rate is 601.784811415; recomputed 652.246349876" in said
    assert "(611.340191129 - 0 - -24.60) / (1 - 0.0250)" in said
    assert "50.4615 apart, 0.01 allowed" in said
    assert "no convention" in said


# ------------------------------------------------------------------------------------------------ random filings


def random_filing(seed: int):
    """A filing of random numbers, developed, so clean; two products, a new plan and a terminated one."""
    draw = random.Random(seed)

    def number(low, high, decimals=4):
        return str(round(draw.uniform(low, high), decimals))

    months = {
        f"12345XX{product}{plan:04}": draw.randint(500, 90_000) for product in ("001", "002") for plan in (1, 2, 3)
    }
    categories = ["renewing", "new", "renewing", "renewing", "terminated", "renewing"]
    plans = []
    for (plan, count), category in zip(months.items(), categories, strict=True):
        row = {"plan_id": plan, "metal_level": "silver", "plan_category": category, "av_metal": number(0.6, 0.9)}
        if category != "terminated":
            row |= {
                "adj_av_cost_sharing": number(0.5, 1),
                "adj_csr_load": number(1, 1.3),
                "adj_network": number(0.9, 1.1),
                "adj_non_ehb": number(1, 1.02),
                "pct_admin": number(0.05, 0.15),
                "pct_taxes_fees": number(0.01, 0.05),
                "pct_profit_risk": number(-0.01, 0.05),
                "proj_member_months_plan": str(count),
                "proj_allowed": number(1e5, 9e6, 2),
                "proj_reinsurance_plan": number(0, 1e5, 2),
                "proj_member_cost_sharing": number(1e4, 9e5, 2),
                "proj_csr": "0",
                "proj_risk_adjustment_plan": number(-1e6, 1e6, 2),
            }
        if category != "new":
            row |= {name: number(1e5, 9e6, 2) for name in ("exp_allowed", "exp_member_cost_sharing", "exp_csr")}
            row |= {name: number(1e5, 9e6, 2) for name in ("exp_premium", "exp_risk_adjustment")}
            row |= {"exp_reinsurance": "0", "exp_member_months_plan": str(count)}
        if category == "renewing":
            row |= {"cumulative_rate_change": number(0.01, 0.3), "current_enrollment": str(draw.randint(20, 8_000))}
            row |= {"current_premium_pmpm": number(300, 900, 2)}
        plans.append(row)
    total = {
        name: str(sum(Decimal(row.get(column, 0)) for row in plans))
        for name, column in (
            ("exp_allowed_claims_total", "exp_allowed"),
            ("exp_premium_total", "exp_premium"),
            ("exp_risk_adjustment_total", "exp_risk_adjustment"),
            ("exp_reinsurance_total", "exp_reinsurance"),
            ("exp_member_months", "exp_member_months_plan"),
        )
    }
    incurred = [
        Decimal(r["exp_allowed"]) - Decimal(r["exp_member_cost_sharing"]) + Decimal(r["exp_csr"])
        for r in plans
        if "exp_csr" in r
    ]
    market = total | {"exp_incurred_claims_total": str(sum(incurred))}
    for category in CATEGORIES:
        market |= {f"ep_index_rate_{category}": number(5, 200, 2)}
        for trend in ("y1_cost", "y1_util", "y2_cost", "y2_util"):
            market |= {f"trend_{trend}_{category}": number(0.97, 1.1, 3)}
    market |= {f"adj_{name}": number(0.95, 1.05) for name in ("morbidity", "demographic", "plan_design", "other")}
    market |= {"credibility": number(0.3, 0.6), "manual_ehb": number(900, 1200, 2)}
    market |= {"proj_reinsurance": number(5, 40, 2), "proj_risk_adjustment": number(10, 60, 2)}
    market |= {"exchange_fee_pct": number(0.015, 0.035)}
    convention = draw.choice(["gross_up", "add_on"])
    weight = {"rate_change_weight": "current_premium"}
    return g1(assumptions=market, plans=pl.DataFrame(plans), settings={"user_fee_convention": convention, **weight})


SEEDS = (1, 2)
OFFERED, TERMINATED, NEW = "12345XX0010001", "12345XX0020002", "12345XX0010002"
PLAN_FACTORS = (
    "adj_av_cost_sharing",
    "adj_csr_load",
    "adj_network",
    "adj_non_ehb",
    "adj_catastrophic",
    "pct_admin",
    "pct_taxes_fees",
)
# What each number takes part in, written down by hand from the chain of the template: number -> checks that must fire.
TAKES_PART = {
    **{(f"ep_index_rate_{c}", ""): {2, 3} for c in CATEGORIES},
    **{(f"trend_{t}_{c}", ""): {3} for t in ("y1_cost", "y2_util") for c in CATEGORIES[:3]},
    **{(f"trended_ehb_{c}", ""): {3} for c in CATEGORIES},
    ("ep_index_rate_total", ""): {2},
    ("trended_ehb_total", ""): {3, 4},
    **{(f"adj_{name}", ""): {4} for name in ("morbidity", "demographic", "plan_design", "other")},
    ("adjusted_trended_ehb", ""): {4, 5},
    ("manual_ehb", ""): {5},
    ("credibility", ""): {5},
    ("projected_index_rate", ""): {5, 6},
    **{(name, ""): {6} for name in ("proj_reinsurance", "proj_risk_adjustment", "exchange_fee_pct")},
    (INDEX_RATE, ""): {6, 7},
    **{(name, OFFERED): {7} for name in PLAN_FACTORS},
    (RATE, OFFERED): {7, 8, 11},
    **{(name, ""): {8} for name in ("calib_age", "calib_geo", "calib_tobacco")},
    (CALIBRATED, OFFERED): {8},
    ("exp_member_months", ""): {1, 9},
    **{
        (f"exp_{name}_total", ""): {1, 9}
        for name in ("allowed_claims", "incurred_claims", "premium", "risk_adjustment")
    },
    **{(f"exp_{name}_pmpm", ""): {1} for name in ("allowed_claims", "incurred_claims", "premium", "risk_adjustment")},
    **{(f"exp_{name}", OFFERED): {1, 9} for name in ("allowed", "incurred", "premium", "risk_adjustment")},
    **{(f"exp_{name}_pmpm", OFFERED): {1} for name in ("allowed", "member_cost_sharing", "premium")},
    ("exp_member_months_plan", OFFERED): {1, 9},
    ("proj_member_months", ""): {10},
    ("proj_member_months_plan", OFFERED): {10, 11},
    ("proj_premium", OFFERED): {11},
    ("cumulative_rate_change", OFFERED): {12},
    ("product_rate_increase", OFFERED[:10]): {12},
    ("submission_rate_increase", ""): {12},
    # No number of the arithmetic checks: neither is recomputed from it, nor is it recomputed.
    **{(name, OFFERED): set() for name in ("proj_csr", "exp_loss_ratio", "proj_allowed")},
}


@pytest.fixture(scope="module")
def drawn():
    return {seed: random_filing(seed) for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_filings_are_clean(drawn, seed):
    found = review.run(drawn[seed])
    assert found.findings.height == 0
    assert set(found.counts["result"]) == {"pass"}
    places = {result: set(rows["place"]) for (result,), rows in found.results.group_by("result")}
    assert places["not_evaluated"] == {TERMINATED}  # what is to come of it
    assert places["not_applicable"] == {NEW, TERMINATED}  # what is past of the one, and the factors of the other


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "place"), sorted(TAKES_PART))
def test_an_altered_number_is_found_where_it_is_used_and_nowhere_else(drawn, seed, name, place):
    filing = drawn[seed]
    value = filing.ledger.value(name, place)
    altered = filing.as_filed({(name, place): value * Decimal("1.25") + 1 if name != "credibility" else value * 2})
    found = review.run(altered).findings
    shares = found.filter(pl.col("check_id") == "RV-013")
    assert set(shares.select("name", "place").rows()) <= {(name, place)}  # a share that came out above one
    assert set(found["check_id"]) - {"RV-013"} == {f"RV-{number:03}" for number in TAKES_PART[name, place]}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_filing_that_prints_rounded_numbers_is_clean(drawn, seed):
    """Whoever types computed numbers to the cent and factors to four decimals must not fail for it."""
    fields = data_specs.table("filing/urrt_fields").filter(pl.col("role") != "input")
    names = set(fields["our_column"])
    decimals = {"usd": 2, "usd_pmpm": 2, "factor": 4, "ratio": 4}
    filing = drawn[seed]
    rounded = {
        e.key: e.value.quantize(Decimal(1).scaleb(-decimals[e.unit]), ROUND_HALF_UP)
        for e in filing.ledger
        if e.value is not None and (e.name in names or (e.name.startswith("exp_") and e.name.endswith("_pmpm")))
    }
    assert len(rounded) > 60
    printed = filing.as_filed(rounded)
    assert review.run(printed).findings.height == 0
    # Six cents are more than half a cent of each rate explains.
    assert fired(printed.as_filed({(RATE, OFFERED): rounded[RATE, OFFERED] + Decimal("0.06")})) >= {"RV-007"}


def test_unrounded_numbers_are_held_to_the_threshold_alone(clean):
    """0.0101 is more than 0.01: nothing is allowed for roundings where the decimals show that there were none."""
    rate = clean.ledger.value(RATE, SILVER)
    by = {step: clean.as_filed({(RATE, SILVER): rate + Decimal(step)}) for step in ("0.0099", "0.0101")}
    assert only_result(by["0.0099"], "RV-007", RATE, SILVER)["result"] == "pass"
    assert only_result(by["0.0101"], "RV-007", RATE, SILVER)["result"] == "finding"
    assert only_result(by["0.0101"], "RV-007", RATE, SILVER)["threshold"] == 0.01


def test_a_filed_plan_of_oregon(clean):
    """1254.19 x 0.5730 x 1.0128 x 0.9932 = 722.9002, filed and posted as 722.90."""
    printed = {("calib_age", ""): "0.5730", ("calib_geo", ""): "1.0128", ("calib_tobacco", ""): "0.9932"}
    printed |= {(RATE, SILVER): "1254.19", (CALIBRATED, SILVER): "722.90"}
    row = only_result(clean.as_filed(printed), "RV-008", CALIBRATED, SILVER)
    assert row["result"] == "pass"
    assert row["recomputed"] == pytest.approx(722.9002, abs=5e-5)
    cents = {(CALIBRATED, SILVER): "722.94"}  # 5.5e-5 away; the half cents of both printed rates allow 1.1e-5 more
    assert only_result(clean.as_filed(printed | cents), "RV-008", CALIBRATED, SILVER)["result"] == "pass"
    assert (
        only_result(clean.as_filed(printed | {(CALIBRATED, SILVER): "722.95"}), "RV-008", CALIBRATED, SILVER)["result"]
        == "finding"
    )


# ------------------------------------------------------------------------------------------------ conventions


@pytest.mark.parametrize("convention", ["gross_up", "add_on", "amount"])
def test_the_fee_convention_that_a_filing_reproduces(convention):
    fee = {"exchange_fee_pmpm": "15.04"} if convention == "amount" else {}
    filing = g1(settings={"user_fee_convention": convention}, **_with_assumptions(fee))
    assert only_result(filing, "RV-006", INDEX_RATE)["message"] == f"reproduces under {convention}"
    read = as_read(filing)
    assert only_result(read, "RV-006", INDEX_RATE)["message"] == f"reproduces under {convention}"


def _with_assumptions(more):
    given = assumptions() | more
    if "exchange_fee_pmpm" in more:
        del given["exchange_fee_pct"]
    return {"assumptions": given}


def test_a_declared_convention_must_be_the_one_that_was_used(clean):
    """A developed filing says its convention; a workbook does not, and may follow any."""
    other = {(INDEX_RATE, ""): g1(settings={"user_fee_convention": "add_on"}).ledger.value(INDEX_RATE)}
    row = only_result(clean.as_filed(other), "RV-006", INDEX_RATE)
    assert row["result"] == "finding"
    assert row["message"].endswith("reproduces under add_on")
    assert only_result(as_read(clean.as_filed(other)), "RV-006", INDEX_RATE)["result"] == "pass"


def test_without_a_fee_the_conventions_agree():
    filing = as_read(g1(**_with_assumptions({"exchange_fee_pct": "0"})))
    assert only_result(filing, "RV-006", INDEX_RATE)["message"] == "reproduces under gross_up and add_on"


def test_worksheet_2_repeats_the_rate_of_worksheet_1(clean):
    filed = clean.ledger.value(INDEX_RATE)
    copied = clean.as_filed({(INDEX_RATE, plan): filed for plan in (BRONZE, SILVER)})
    assert [row["result"] for row in results(copied, "RV-006")] == ["pass"] * 3
    stale = copied.as_filed({(INDEX_RATE, SILVER): filed + 7})
    found = review.run(stale).findings
    assert found.select("check_id", "plan_id").rows() == [("RV-006", SILVER), ("RV-007", SILVER)]


def mean_change(filing, weights: dict[str, Decimal]) -> Decimal:
    changes = {plan: filing.ledger.value("cumulative_rate_change", plan) for plan in weights}
    return sum(changes[plan] * weight for plan, weight in weights.items()) / sum(weights.values())


@pytest.mark.parametrize("column", ["exp_premium", "proj_premium"])
def test_a_workbook_may_weight_its_rate_changes_by_any_premium(clean, column):
    weights = {plan: clean.ledger.value(column, plan) for plan in (BRONZE, SILVER, GOLD, CATASTROPHIC)}
    mean = mean_change(clean, weights)
    read = as_read(
        clean.as_filed({("submission_rate_increase", ""): mean, ("product_rate_increase", "12345XX001"): mean})
    )
    assert {row["result"] for row in results(read, "RV-012")} == {"pass"}


@pytest.mark.slow
def test_no_weights_bring_a_mean_out_of_the_range_of_its_terms(clean):
    """Current premiums are absent in G1: a mean between 6.2 and 9.4 percent could be by them, one above could not."""
    for mean, result in (("0.0700", "not_evaluated"), ("0.0945", "pass"), ("0.0950", "finding")):
        if result == "pass":
            continue  # within the tolerance of the bound the weights still decide
        read = as_read(clean.as_filed({("submission_rate_increase", ""): mean}))
        assert only_result(read, "RV-012", "submission_rate_increase")["result"] == result, mean
    drawn = random_filing(9)
    wrong = drawn.ledger.value("submission_rate_increase") + Decimal("0.02")
    assert only_result(as_read(drawn), "RV-012", "submission_rate_increase")["result"] == "pass"
    read = as_read(drawn.as_filed({("submission_rate_increase", ""): wrong}))
    assert only_result(read, "RV-012", "submission_rate_increase")["result"] == "finding"  # every premium is there


@pytest.mark.slow
def test_a_workbook_that_was_written_is_read_clean(tmp_path):
    """The workbook of a clean filing, read again, trips nothing; 3.2 of every plan is looked at beside the rest."""
    pytest.importorskip("xlsxwriter")
    filing = g1(settings={"user_fee_convention": "add_on"})
    filing.write_workbook(tmp_path / "g1.xlsx")
    read = read_workbook(tmp_path / "g1.xlsx")
    found = review.run(read)
    assert found.findings.height == 0
    assert set(found.counts["result"]) == {"pass"}
    assert [row["place"] for row in results(read, "RV-006")] == ["", BRONZE, SILVER, GOLD, CATASTROPHIC]
    assert only_result(read, "RV-006", INDEX_RATE, "")["message"] == "reproduces under add_on"
    assert fired(read.as_filed({("adj_network", GOLD): "0.95"})) == {"RV-007"}


# ------------------------------------------------------------------------------------------------ what cannot be seen


def test_a_cell_with_an_error_is_not_evaluated_and_not_a_pass(clean):
    read = as_read(clean, ("trended_ehb_professional", ""), (RATE, GOLD))
    found = review.run(read)
    assert found.findings.height == 0
    seen = {(r["check_id"], r["name"], r["place"]): r for r in found.results.to_dicts()}
    for at in (
        ("RV-003", "trended_ehb_professional", ""),
        ("RV-003", "trended_ehb_total", ""),
        ("RV-007", RATE, GOLD),
        ("RV-008", CALIBRATED, GOLD),
        ("RV-011", "proj_premium", GOLD),
    ):
        assert seen[at]["result"] == "not_evaluated", at
        assert "error" in seen[at]["message"]
    mended = read.as_filed({(RATE, GOLD): clean.ledger.value(RATE, GOLD)})
    assert only_result(mended, "RV-007", RATE, GOLD)["result"] == "pass"
    counts = {row["check_id"]: row for row in found.counts.to_dicts()}
    assert (counts["RV-007"]["result"], counts["RV-007"]["pass"], counts["RV-007"]["not_evaluated"]) == ("pass", 3, 1)


def test_absent_is_not_zero(clean):
    """A number that is not there is neither found wrong nor taken as zero."""
    absent = {("adj_morbidity", ""): None, ("exp_premium_total", ""): None, (CALIBRATED, BRONZE): None}
    absent |= {("credibility", ""): None, ("pct_admin", GOLD): None, ("cumulative_rate_change", GOLD): None}
    found = review.run(clean.as_filed(absent))
    assert found.findings.height == 0
    seen = {(r["check_id"], r["name"], r["place"]): r for r in found.results.to_dicts()}
    assert "adj_morbidity" in seen["RV-004", "adjusted_trended_ehb", ""]["message"]
    for at in (
        ("RV-005", "projected_index_rate", ""),
        ("RV-001", "exp_premium_pmpm", ""),
        ("RV-009", "exp_premium_total", ""),
        ("RV-008", CALIBRATED, BRONZE),
        ("RV-007", RATE, GOLD),
        ("RV-013", "credibility", ""),
        ("RV-013", "cumulative_rate_change", GOLD),
    ):
        assert seen[at]["result"] == "not_evaluated", at
    counts = dict(found.counts.select("check_id", "result").rows())
    assert (counts["RV-004"], counts["RV-005"], counts["RV-001"]) == ("not_evaluated", "not_evaluated", "pass")


def test_a_sum_without_a_term_passes_only_when_it_agrees(clean):
    """With a category left blank a total that agrees proves the blank is nothing; one that does not proves nothing."""
    blank = {("ep_index_rate_capitation", ""): None}
    assert only_result(clean.as_filed(blank), "RV-002", "ep_index_rate_total")["result"] == "not_evaluated"
    agreeing = blank | {("ep_index_rate_total", ""): "532.50"}
    assert only_result(clean.as_filed(agreeing), "RV-002", "ep_index_rate_total")["result"] == "pass"
    months = {("proj_member_months_plan", SILVER): None}
    row = only_result(clean.as_filed(months), "RV-010", "proj_member_months")
    assert (row["result"], row["message"]) == ("not_evaluated", f"absent: proj_member_months_plan of {SILVER}")


def test_a_missing_manual_rate_does_not_matter_at_full_credibility(clean):
    blank = {("manual_ehb", ""): None}
    assert only_result(clean.as_filed(blank), "RV-005", "projected_index_rate")["result"] == "pass"
    wrong = clean.as_filed(blank | {("projected_index_rate", ""): 616})
    assert only_result(wrong, "RV-005", "projected_index_rate")["result"] == "finding"


def test_without_member_months_a_pmpm_is_blank(clean):
    none = {("exp_member_months", ""): 0} | {(f"exp_{n}_pmpm", ""): None for n in ("premium", "risk_adjustment")}
    filed = clean.as_filed(none)
    assert only_result(filed, "RV-001", "exp_premium_pmpm")["result"] == "not_applicable"
    row = only_result(filed, "RV-001", "exp_allowed_claims_pmpm")
    assert row["result"] == "finding"
    assert "divided by is zero" in row["message"]


def test_a_new_issuer_has_nothing_past_to_check():
    """Without experience the PMPM, sums and changes are not applicable, and what is projected is looked at as ever."""
    market = {
        name: text for name, text in assumptions().items() if not name.startswith(("exp_", "ep_", "trend_", "adj_"))
    }
    market |= {"exp_member_months": "0", "credibility": "0", "manual_ehb": "611.34"}
    given = plans().drop("cumulative_rate_change", *(c for c in plans().columns if c.startswith("exp_")))
    found = review.run(g1(assumptions=market, plans=given.with_columns(plan_category=pl.lit("new"))))
    assert found.findings.height == 0
    result = dict(found.counts.select("check_id", "result").rows())
    declined = {"RV-001", "RV-009", "RV-012"}
    assert result == {c: "not_applicable" if c in declined else "pass" for c in sorted(ARITHMETIC)}
    assert found.counts["not_evaluated"].sum() == 0


def test_a_new_plan_needs_its_factors(drawn):
    """Only what is past may be blank of a new plan."""
    row = only_result(drawn[SEEDS[0]].as_filed({("adj_network", NEW): None}), "RV-007", RATE, NEW)
    assert (row["result"], row["message"]) == ("not_evaluated", f"absent: adj_network of {NEW}")


def test_retention_of_all_premium_divides_by_zero(clean):
    filed = clean.as_filed({("pct_admin", GOLD): "0.939", ("pct_taxes_fees", GOLD): "0.031"})
    row = only_result(filed, "RV-007", RATE, GOLD)
    assert (row["result"], row["message"]) == ("not_evaluated", "the formula divides by zero")


def test_terminated_plans_are_not_evaluated_and_plans_without_members_are(drawn):
    filing = drawn[SEEDS[0]]
    for check_id, name in (("RV-007", RATE), ("RV-008", CALIBRATED), ("RV-011", "proj_premium")):
        row = only_result(filing, check_id, name, TERMINATED)
        assert (row["result"], row["filed"] or 0) == ("not_evaluated", 0)
        assert only_result(filing, check_id, name, NEW)["result"] == "pass"
    # A plan that is offered and filed with a rate of 0 is not excused.
    assert fired(filing.as_filed({(RATE, NEW): 0, (CALIBRATED, NEW): 0})) == {"RV-007", "RV-011"}
    empty = filing.as_filed({("proj_member_months_plan", NEW): 0, ("proj_premium", NEW): 0})
    assert only_result(empty, "RV-007", RATE, NEW)["result"] == "pass"


@pytest.mark.parametrize(
    ("name", "place", "value", "is_wrong"),
    [
        ("cumulative_rate_change", GOLD, "1.0", False),
        ("cumulative_rate_change", GOLD, "1.0001", True),
        ("cumulative_rate_change", GOLD, "-0.5", False),
        ("cumulative_rate_change", GOLD, "-0.5001", True),
        ("cumulative_rate_change", GOLD, "8.15", True),
        ("submission_rate_increase", "", "8.9", True),
        ("product_rate_increase", "12345XX001", "-8.9", True),
        ("credibility", "", "1", False),
        ("credibility", "", "85", True),
        ("exchange_fee_pct", "", "2.5", True),
        ("pct_admin", GOLD, "11.8", True),
        ("pct_profit_risk", GOLD, "-0.03", False),
        ("av_metal", GOLD, "79.88", True),
    ],
)
def test_shares_in_percent(clean, name, place, value, is_wrong):
    found = review.run(clean.as_filed({(name, place): value})).findings.filter(pl.col("check_id") == "RV-013")
    assert found.select("name", "place").rows() == ([(name, place)] if is_wrong else [])


# ------------------------------------------------------------------------------------------------ the run


def test_every_check_has_a_row_and_a_threshold():
    rows = data_specs.table("filing/reviewer_checks").filter(pl.col("group") == "arithmetic")
    assert set(CHECKS) == set(rows["check_id"]) == ARITHMETIC
    assert set(data_specs.table("filing/review_check_rules")["check_id"]) >= ARITHMETIC


def test_frames_of_a_review(clean):
    found = review.run(clean)
    numbers = ["filed", "recomputed", "threshold"]
    wanted = ["check_id", "outcome", "name", "place", "plan_id", *numbers, "message", "basis"]
    assert found.findings.columns == wanted
    assert found.results.columns == ["check_id", "result", "name", "place", "plan_id", *numbers, "message"]
    assert all(found.findings.schema[name] == pl.Float64 for name in numbers)
    assert found.counts.columns[4:] == ["pass", "finding", "not_applicable", "not_evaluated"]
    assert found.results.height == found.counts.select(pl.sum_horizontal(found.counts.columns[4:]).sum()).item()
    again = review.run(g1())
    assert again.results.equals(found.results)
    assert repr(found) == "<Review: 13 checks; 87 pass, 0 finding, 1 not_applicable, 0 not_evaluated>"


def test_thresholds_are_figures_of_a_table(clean, tmp_path):
    """A reviewer with other tolerances supplies the table; no code changes."""
    defect = next(d for d in DEFECTS if d["id"] == "S02")
    changed = with_defect(clean, defect)
    table = data_specs.table("filing/review_check_rules")
    (tmp_path / "filing").mkdir()
    looser = table.with_columns(
        pl.when(pl.col("check_id") == "RV-004").then(6.0).otherwise(pl.col("value")).alias("value")
    )
    looser.write_csv(tmp_path / "filing" / "review_check_rules.csv")
    with data_specs.use(tmp_path):
        assert fired(changed) == {"RV-005"}
    assert fired(changed) == {"RV-004", "RV-005"}
    table.filter(pl.col("check_id") != "RV-010").write_csv(tmp_path / "filing" / "review_check_rules.csv")
    with data_specs.use(tmp_path), pytest.raises(TableMissing, match="RV-010 has no threshold"):
        review.run(clean)


def test_only_a_filing_is_reviewed(clean):
    with pytest.raises(InputRefused, match="`filing` is a DataFrame"):
        review.run(clean.plans)
    with pytest.raises(InputRefused, match="`prior` is a dict"):
        review.run(clean, prior={})
    with pytest.raises(InputRefused, match="rates is a list"):
        review.run(clean, rates=[])
    with pytest.raises(InputRefused, match="plan_id"):
        review.run(clean, plans=pl.DataFrame({"plan": ["A"]}))
    assert review.run(clean, prior=clean, rates=clean.rates.lazy()).findings.height == 0
