"""The experience of a filing: worked by hand, walked back to claims, and experience that cannot be used."""

from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import filing_experience_oracle as oracle
import filing_g1
import numpy as np
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from rating.filing._experience import experience
from rating.filing._expressions import evaluate, parse
from rating.filing._formulas import CATEGORIES
from rating.filing._ledger import Ledger

YEAR = tuple(date(2025, m, 1) for m in range(1, 13))
PLANS = ("12345TX0010001", "12345TX0010002")
MONEY = pl.Decimal(16, 2)


@lru_cache
def book(months=YEAR, plans=PLANS, categories=CATEGORIES):
    """A row for every month, plan, category and kind of benefit; amounts that differ."""
    rows = []
    for i, month in enumerate(months):
        for p, plan in enumerate(plans):
            for c, category in enumerate(categories):
                for is_ehb in (True, False):
                    allowed = Decimal(1000 + 100 * c + 10 * i + p) if is_ehb else Decimal(c)
                    rebate = Decimal("50.25") if category == "prescription_drug" and is_ehb else None
                    row = (
                        month,
                        plan,
                        category,
                        is_ehb,
                        Decimal(20 + 5 * p),
                        allowed,
                        allowed * Decimal("0.8"),
                        rebate,
                    )
                    rows.append((*row, Decimal(9000 + p), Decimal(-100 * p)))
    schema = {
        "incurred_month": pl.Date,
        "plan_id": pl.String,
        "benefit_category": pl.String,
        "is_ehb": pl.Boolean,
        "member_months": pl.Decimal(14, 4),
        "allowed_paid_to_date": MONEY,
        "incurred_paid_to_date": MONEY,
        "pharmacy_rebates": MONEY,
        "premium": MONEY,
        "risk_adjustment": MONEY,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(completion_factor=pl.lit(0.8))


def triangle_of(frame, basis="allowed_paid_to_date", paid_through=date(2026, 3, 1), share="0.8"):
    """A triangle whose last diagonal is the experience: a share at lag 0, the rest at lag 1."""
    sums = frame.group_by("incurred_month", "benefit_category").agg(pl.col(basis).sum()).sort(pl.all())
    through = oracle.month(paid_through)
    rows = []
    for month, category, total in sums.rows():
        start = oracle.month(month)
        for lag in range(through - start + 1):
            first = (total * Decimal(share)).quantize(Decimal("0.01"))
            paid = first if lag == 0 else total - first if lag == 1 else Decimal(0)
            rows.append((month, oracle.day(start + lag), category, paid))
    schema = dict(
        zip(
            ("incurred_month", "paid_month", "benefit_category", "paid_amount"),
            (pl.Date, pl.Date, pl.String, MONEY),
            strict=True,
        )
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def total(frame, column, **which):
    return Fraction(frame.filter(**which)[column].sum() or 0)


def test_experience_by_hand():
    frame = book()
    found = experience(frame)
    months = Fraction(12 * (20 + 25))
    assert found.value("exp_member_months") == 540
    for category in CATEGORIES:
        rebates = Fraction("50.25") * 24 if category == "prescription_drug" else 0
        allowed = (
            total(frame, "allowed_paid_to_date", benefit_category=category, is_ehb=True) / Fraction("0.8") - rebates
        )
        assert abs(Fraction(found.value(f"ep_index_rate_{category}")) - allowed / months) < Fraction(1, 10**28)
    rebates = Fraction("50.25") * 24
    assert found.value("exp_allowed_claims_total") == float(
        total(frame, "allowed_paid_to_date") / Fraction("0.8") - rebates
    )
    assert found.value("exp_incurred_claims_total") == float(
        total(frame, "incurred_paid_to_date") / Fraction("0.8") - rebates
    )
    assert found.value("exp_premium_total") == 12 * (9000 + 9001)
    assert found.value("exp_risk_adjustment_total") == -1200
    assert found.value("exp_reinsurance_total") is None
    assert found.period == (date(2025, 1, 1), date(2025, 12, 1))
    assert found.findings["rule_id"].to_list() == ["EXP-017"]
    assert 0.99 < found.value("exp_ehb_share") < 1


def test_plans_add_up_to_the_market():
    found = experience(book())
    market = dict(found.market.select("name", "value").rows())
    for of_plan, of_market in (
        ("exp_allowed", "exp_allowed_claims_total"),
        ("exp_incurred", "exp_incurred_claims_total"),
        ("exp_premium", "exp_premium_total"),
        ("exp_risk_adjustment", "exp_risk_adjustment_total"),
        ("exp_member_months_plan", "exp_member_months"),
    ):
        assert found.plans[of_plan].sum() == pytest.approx(market[of_market], rel=1e-13)
    sums = found.plans.select(pl.col("exp_allowed") - pl.col("exp_member_cost_sharing") - pl.col("exp_incurred"))
    assert sums.to_series().to_list() == pytest.approx([0, 0], abs=1e-9)
    by_category = found.categories["allowed_net"].sum()
    assert by_category == pytest.approx(market["exp_allowed_claims_total"], rel=1e-13)


def test_reinsurance_comes_off_incurred_claims():
    frame = book().with_columns(reinsurance=pl.lit(Decimal("75.50")))
    found, without = experience(frame), experience(book())
    assert found.value("exp_reinsurance_total") == Decimal("75.50") * 24
    gap = without.value("exp_incurred_claims_total") - found.value("exp_incurred_claims_total")
    assert gap == found.value("exp_reinsurance_total")
    assert found.findings.height == 0
    assert found.plans["exp_incurred"].sum() == pytest.approx(
        float(found.value("exp_incurred_claims_total")), rel=1e-13
    )


def test_every_number_can_be_walked_back_to_claims():
    """Each computed entry follows from its inputs, and the leaves are claims, member months and the triangle."""
    frame = book()
    found = experience(frame, triangle=triangle_of(frame, share="0.5"), plan_year=2027)
    ledger = Ledger(found.entries)
    assert [key for entry in ledger for key in entry.inputs if key not in ledger] == []
    checked = 0
    for entry in ledger:
        if entry.role == "input":
            assert entry.source
            continue
        if entry.name in ("plan_allowed", "plan_incurred"):  # a sum over cells that the ledger holds for the market
            continue
        if entry.formula.startswith("sum over"):
            parts = [ledger.value(*key) for key in entry.inputs if "rebates" not in key[0]]
            less = [ledger.value(*key) for key in entry.inputs if "rebates" in key[0]]
            expected = sum(parts) - sum(less)
        elif "of lag" in entry.formula:
            expected = ledger.value(*entry.inputs[0]) * ledger.value(*entry.inputs[1])
        else:
            expected = evaluate(parse(entry.formula), Near(ledger, entry))
        assert abs(entry.value - expected) <= abs(expected) * Decimal("1e-24"), entry
        checked += 1
    assert checked > 500
    seen, names = {("ep_index_rate_professional", "")}, set()
    queue = list(seen)
    while queue:
        entry = ledger.get(*queue.pop())
        names.add((entry.name, entry.role))
        queue += [key for key in entry.inputs if key not in seen]
        seen |= set(entry.inputs)
    assert {("ehb_allowed_paid_to_date", "input"), ("member_months", "input"), ("cumulative_claims", "input")} <= names


class Near:
    """The inputs of one entry by name."""

    def __init__(self, ledger, entry):
        self.values = {name: ledger.value(name, place) for name, place in entry.inputs}

    def one(self, name, over):  # noqa: ARG002
        return self.values[name]


def test_triangle_completes_allowed_and_incurred_claims():
    frame = book().drop("completion_factor")
    through = date(2025, 12, 1)
    paid = triangle_of(frame, share="0.8", paid_through=through)
    # December has lag 0 only: four fifths of its claims are paid, if the other months are a guide.
    late = frame.with_columns(
        pl.when(incurred_month=date(2025, 12, 1)).then(pl.col(c) * Decimal("0.8")).otherwise(c).cast(MONEY).alias(c)
        for c in ("allowed_paid_to_date", "incurred_paid_to_date")
    )
    found = experience(late, triangle=paid)
    whole = experience(frame.with_columns(completion_factor=1))
    for name in ("exp_allowed_claims_total", "exp_incurred_claims_total", "ep_index_rate_professional"):
        assert float(found.value(name)) == pytest.approx(float(whole.value(name)), rel=1e-4)
    december = found.months.filter(incurred_month=date(2025, 12, 1), benefit_category="professional", basis="incurred")
    assert december["completion"].item() == pytest.approx(0.8, rel=1e-4)
    assert december["method"].item() == "chain_ladder"
    assert "EXP-011" not in found.findings["rule_id"].to_list()


def g1_from_claims():
    """G1's year as claims paid through December: December complete to four fifths, the months before wholly."""
    rates = {c: Decimal(filing_g1.assumptions()[f"ep_index_rate_{c}"]) for c in CATEGORIES}
    totals = {k: Decimal(v) for k, v in filing_g1.assumptions().items() if k.endswith("_total")}
    non_ehb = totals["exp_allowed_claims_total"] - 120_000 * sum(rates.values())
    rows, paid = [], []
    for month in YEAR:
        share = Decimal("0.8") if month.month == 12 else Decimal(1)
        for category in CATEGORIES:
            parts = [rates[category] * 10_000] + ([non_ehb / 12] if category == "professional" else [])
            for is_ehb, whole in zip((True, False), parts, strict=False):
                incurred = whole * totals["exp_incurred_claims_total"] / totals["exp_allowed_claims_total"]
                rows.append((month, category, is_ehb, 10_000, whole * share, incurred * share))
            for lag in range(13 - month.month):
                amount = sum(parts) * (Decimal("0.8") if lag == 0 else Decimal("0.2") if lag == 1 else 0)
                paid.append((month, oracle.day(oracle.month(month) + lag), category, amount))
    schema = [("incurred_month", pl.Date), ("benefit_category", pl.String), ("is_ehb", pl.Boolean)]
    schema += [("member_months", pl.Int64), ("allowed_paid_to_date", MONEY), ("incurred_paid_to_date", MONEY)]
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        premium=totals["exp_premium_total"] / 12,
        risk_adjustment=totals["exp_risk_adjustment_total"] / 12,
        reinsurance=0,
    )
    columns = ["incurred_month", "paid_month", "benefit_category", "paid_amount"]
    triangle = pl.DataFrame(
        paid, schema=dict(zip(columns, (pl.Date, pl.Date, pl.String, MONEY), strict=True)), orient="row"
    )
    return frame, triangle


def test_g1_from_claims_to_rates():
    """The whole of G1 from its claims: the index rates are those of its worksheet, and a rate leads back to claims."""
    frame, triangle = g1_from_claims()
    said = {k: v for k, v in filing_g1.assumptions().items() if not k.startswith(("exp_", "ep_"))}
    header = filing_g1.header() | {"claims_paid_through": "2025-12-31"}
    filing = filing_g1.g1(experience=frame, triangle=triangle, assumptions=said, header=header)
    filed = filing_g1.g1()
    for category in CATEGORIES:
        assert filing.value("ep_index_rate", category=category) == filed.value("ep_index_rate", category=category)
    for name in ("exp_member_months", "exp_allowed_claims_total", "market_adjusted_index_rate"):
        assert filing.value(name) == filed.value(name)
    for name in ("exp_incurred_claims_total", "exp_premium_total"):  # months in whole cents
        assert abs(filing.value(name) - filed.value(name)) < 1
    assert filing.rates.equals(filed.rates)
    trace = filing.trace("rate", plan="12345XX0010002", area="R-XX001", age=40)
    assert {"ehb_allowed_paid_to_date", "cumulative_claims", "member_months"} <= set(trace.frame["name"])
    assert "professional 2025-12" in trace.frame["place"].to_list()


@pytest.mark.slow
def test_months_of_low_completion_take_the_trended_pmpm():
    frame = book().with_columns(completion_factor=pl.when(incurred_month=date(2025, 12, 1)).then(0.4).otherwise(0.8))
    with pytest.raises(SettingRefused, match="annual_trend"):
        experience(frame)
    found = experience(frame, annual_trend=dict.fromkeys(CATEGORIES, "0.06"))
    rows = found.months.filter(benefit_category="professional", basis="ehb_allowed")
    complete = [a + b for a, b in zip(*[iter(rows_of(frame))] * 2, strict=True)][:11]
    grown = [Decimal(a) / Decimal("0.8") * Decimal("1.06") ** (Decimal(11 - i) / 12) for i, a in enumerate(complete)]
    expected = sum(grown) / (11 * 45) * 45
    assert rows["selected"].to_list()[-1] == pytest.approx(float(expected), rel=1e-14)
    assert rows["method"].to_list()[-2:] == ["given_factor", "trended_pmpm"]
    assert rows["developed"].to_list()[-1] == pytest.approx(complete_december(frame) / 0.4, rel=1e-14)
    entry = Ledger(found.entries).get("ehb_allowed", "professional 2025-12")
    assert float(entry.replaced) == rows["developed"].to_list()[-1]
    assert entry.value == pytest.approx(estimate_of(Ledger(found.entries), entry), rel=Decimal("1e-25"))
    assert found.plans["exp_allowed"].sum() == pytest.approx(float(found.value("exp_allowed_claims_total")), rel=1e-13)
    off = experience(frame, settings={"low_completion": 0})
    assert off.months["method"].unique().to_list() == ["given_factor"]


def estimate_of(ledger, entry):
    """A trended PMPM worked out again from the inputs of its entry alone; the trend is 6 percent."""
    claims = {place[-7:]: ledger.value(name, place) for name, place in entry.inputs if name == entry.name}
    own, *behind = [place for name, place in entry.inputs if name == "member_months"]
    months = {m: 12 * int(m[:4]) + int(m[5:]) for m in [own, *behind]}
    with localcontext() as context:
        context.prec = 40
        total = sum(claims[m] * Decimal("1.06") ** (Decimal(months[own] - months[m]) / 12) for m in claims)
        weight = sum(ledger.value("member_months", m) for m in behind)
        return ledger.value("member_months", own) * total / weight


def rows_of(frame):
    picked = frame.filter(benefit_category="professional", is_ehb=True).sort("incurred_month", "plan_id")
    return picked["allowed_paid_to_date"].to_list()


def complete_december(frame):
    return float(sum(rows_of(frame)[-2:]))


@pytest.mark.slow
def test_months_outside_of_the_period_only_serve_the_estimate():
    months = (*(date(2024, m, 1) for m in range(1, 13)), *YEAR)
    frame = book(months=months)
    with pytest.raises(InputRefused, match="EXP-007"):
        experience(frame)
    by_year = experience(frame, plan_year=2027)
    assert by_year.period == (date(2025, 1, 1), date(2025, 12, 1))
    assert by_year.value("exp_member_months") == 540
    by_period = experience(frame, period=(date(2025, 1, 1), date(2025, 12, 31)))
    assert by_period.market.equals(by_year.market)
    early = frame.with_columns(completion_factor=pl.when(incurred_month=date(2025, 12, 1)).then(0.4).otherwise(0.8))
    found = experience(early, plan_year=2027, annual_trend=0)
    ledger = Ledger(found.entries)
    assert ("ehb_allowed", "professional 2024-01") in ledger.get("ehb_allowed", "professional 2025-12").inputs
    assert [key for entry in ledger for key in entry.inputs if key not in ledger] == []


def test_no_enrollees_leave_pmpm_blank():
    found = experience(book().with_columns(member_months=pl.lit(0)))
    assert found.value("ep_index_rate_professional") is None
    assert found.value("exp_member_months") == 0
    assert {"EXP-008", "EXP-009"} <= set(found.findings["rule_id"])
    assert found.categories["pmpm"].null_count() == 12
    no_nan(found)
    retired = book().with_columns(
        member_months=pl.when(incurred_month=date(2025, 3, 1), plan_id=PLANS[0]).then(0).otherwise(20)
    )
    one = experience(retired)
    assert one.findings.filter(rule_id="EXP-008")["where"].item() == "experience, 2025-03"


def no_nan(found):
    for frame in (found.market, found.categories, found.months, found.plans):
        for column in frame.select(pl.col(pl.Float64)):
            assert column.is_finite().all(), column.name


def test_absent_months_and_categories_are_counted():
    frame = book().filter(pl.col("benefit_category") != "capitation", pl.col("incurred_month") != date(2025, 5, 1))
    lone = (pl.col("benefit_category") == "professional") & (pl.col("plan_id") == PLANS[0])
    found = experience(frame.filter(~(lone & (pl.col("incurred_month") == date(2025, 7, 1)))))
    said = dict(found.findings.select("rule_id", "message").rows())
    assert said["EXP-005"] == "no row: 2025-05"
    assert said["EXP-018"] == "1 of 110 months, plans and categories have no row"
    assert found.findings.filter(rule_id="EXP-006")["where"].item() == "experience, capitation"
    assert found.value("ep_index_rate_capitation") == 0


def test_triangle_and_given_factors_are_compared():
    frame = book()
    paid = triangle_of(frame)
    found = experience(frame, triangle=paid, plan_year=2027)
    assert found.findings.filter(rule_id="EXP-012").height == 6  # 0.8 is said, and everything is paid
    other = paid.with_columns(paid_amount=(pl.col("paid_amount") * 2).cast(MONEY))
    wrong = experience(frame.drop("completion_factor"), triangle=other)
    assert wrong.findings.filter(rule_id="EXP-011").height == 6
    on_paid_basis = triangle_of(frame, "incurred_paid_to_date")
    assert experience(frame, triangle=on_paid_basis).findings.filter(rule_id="EXP-011").height == 0


@pytest.mark.slow
def test_claims_without_completion_are_refused():
    frame = book().drop("completion_factor")
    with pytest.raises(InputRefused, match="EXP-013") as refused:
        experience(frame)
    assert "inpatient_hospital have no completion" in refused.value.what
    partly = triangle_of(frame.filter(pl.col("benefit_category") != "capitation"))
    with pytest.raises(InputRefused, match="claims of capitation"):
        experience(frame, triangle=partly)
    assert experience(frame.with_columns(completion_factor=1), triangle=partly).value("ep_index_rate_capitation") > 0
    early = triangle_of(frame.filter(pl.col("incurred_month") < date(2025, 9, 1)), paid_through=date(2025, 10, 1))
    with pytest.raises(InputRefused, match="TRI-010"):
        experience(frame, triangle=early)
    for factor in (0, 1.2, -0.5):
        with pytest.raises(InputRefused, match="EXP-013"):
            experience(frame.with_columns(completion_factor=pl.lit(factor)))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"benefit_category": pl.lit("dental")}, "EXP-001"),
        ({"is_ehb": pl.lit(None, dtype=pl.Boolean)}, "EXP-001"),
        ({"is_ehb": pl.lit("Y")}, "FILE-002"),
        ({"incurred_month": pl.lit(date(2025, 1, 15))}, "EXP-001"),
        ({"member_months": pl.lit(-1)}, "EXP-002"),
        ({"member_months": pl.lit(float("nan"))}, "EXP-002"),
        ({"allowed_paid_to_date": pl.lit(None)}, "EXP-002"),
        ({"incurred_paid_to_date": pl.lit(float("inf"))}, "EXP-002"),
        ({"premium": pl.int_range(pl.len())}, "EXP-003"),
        ({"member_months": pl.int_range(pl.len()) + 1}, "EXP-003"),
        ({"plan_id": pl.when(benefit_category="professional").then(pl.lit(None)).otherwise("plan_id")}, "EXP-004"),
        ({"state": pl.Series(["TX", "NM"] * 144)}, "EXP-001"),
    ],
)
def test_rows_that_cannot_be_used(change, rule):
    with pytest.raises(InputRefused, match=rule):
        experience(book().with_columns(**change))


def test_double_rows_periods_and_settings_that_cannot_be():
    frame = book()
    with pytest.raises(InputRefused, match="EXP-001"):
        experience(pl.concat([frame, frame.head(1)]))
    with pytest.raises(SettingRefused, match="period"):
        experience(frame, period=(date(2025, 12, 1), date(2025, 1, 1)))
    with pytest.raises(SettingRefused, match="period"):
        experience(frame, period=("2025-01-01", "2025-12-31"))
    with pytest.raises(InputRefused, match="EXP-005"):
        experience(frame, period=(date(2023, 1, 1), date(2023, 12, 31)))
    with pytest.raises(SettingRefused):
        experience(frame, settings={"low_completion": 2})
    with pytest.raises(SettingRefused, match="categor"):
        experience(frame, annual_trend={"dental": 0.05})


def test_premium_of_some_months_is_no_total():
    frame = book().with_columns(premium=pl.when(incurred_month=date(2025, 4, 1)).then(None).otherwise("premium"))
    found = experience(frame)
    assert found.value("exp_premium_total") is None
    assert found.findings.filter(rule_id="EXP-010")["message"].item() == "blank for 2 of 24 months and plans"
    assert found.plans["exp_premium"].null_count() == 2


def test_premium_may_stand_in_one_row_of_the_month_and_plan():
    first = (pl.col("benefit_category") == "professional") & pl.col("is_ehb")
    frame = book().with_columns(pl.when(first).then(pl.col(c)).alias(c) for c in ("premium", "risk_adjustment"))
    assert experience(frame).market.equals(experience(book()).market)


def test_odd_amounts_are_found():
    frame = book().with_columns(
        pharmacy_rebates=pl.when(benefit_category="professional").then(pl.lit(Decimal("1.00"))),
        incurred_paid_to_date=pl.col("allowed_paid_to_date") * 2,
        allowed_paid_to_date=pl.when(benefit_category="capitation")
        .then(-pl.col("allowed_paid_to_date"))
        .otherwise("allowed_paid_to_date"),
    )
    rules = experience(frame).findings["rule_id"].unique().sort().to_list()
    assert rules == ["EXP-014", "EXP-015", "EXP-016", "EXP-017"]


def test_order_plan_split_and_laziness_change_nothing():
    frame = book()
    found = experience(frame)
    shuffled = experience(frame.sample(fraction=1, shuffle=True, seed=4).lazy())
    assert shuffled.market.equals(found.market)
    assert shuffled.plans.equals(found.plans)
    assert shuffled.entries == found.entries
    keys = ["incurred_month", "benefit_category", "is_ehb", "completion_factor"]
    of_plan = ("member_months", "premium", "risk_adjustment")
    unsplit = frame.group_by(keys).agg(pl.exclude("plan_id").sum())
    together = experience(unsplit)
    for name in ("exp_member_months", "exp_premium_total", "ep_index_rate_professional", "exp_incurred_claims_total"):
        assert together.value(name) == pytest.approx(found.value(name), rel=Decimal("1e-30"))
    assert together.plans.height == 0
    assert set(of_plan) <= set(unsplit.columns)


def test_scaling_claims_scales_totals():
    frame = book()
    amounts = ("allowed_paid_to_date", "incurred_paid_to_date", "pharmacy_rebates")
    doubled = frame.with_columns(pl.col(c) * 2 for c in amounts)
    one, two = experience(frame), experience(doubled)
    for name in ("exp_allowed_claims_total", "exp_incurred_claims_total", "ep_index_rate_prescription_drug"):
        assert two.value(name) == pytest.approx(2 * one.value(name), rel=Decimal("1e-30"))


@pytest.mark.slow
def test_sparse_books_are_refused_or_give_finite_numbers():
    draw = np.random.default_rng(11)
    frame = book(months=YEAR[:4])
    outcomes = set()
    for _ in range(4):
        part = frame.filter(pl.Series(draw.random(frame.height) < 0.4))
        without = pl.col("incurred_month") == YEAR[draw.integers(4)]
        part = part.with_columns(
            member_months=pl.when(without).then(0).otherwise("member_months"),
            allowed_paid_to_date=pl.col("allowed_paid_to_date") * pl.Series(draw.integers(-1, 3, part.height)),
        )
        found = experience(part)
        no_nan(found)
        outcomes |= set(found.findings["rule_id"])
    assert "EXP-018" in outcomes
