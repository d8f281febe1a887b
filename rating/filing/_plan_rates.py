"""Steps 7 to 9: from the market adjusted index rate to plan rates, rate changes and the consumer rate table.

7 plan adjusted index rate; 8 calibrated rate; 9 consumer rate, rounded once. The expressions are rows of
``filing/urrt_formulas``; here is what they need first: who moves where, what terminated plans hold, earlier rates, and
weights. Source: 45 CFR 156.80(d)(2), 147.102, 154.200.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating._rate_settings import RateSettings
from rating._rate_table import rate_table
from rating.filing._calibration import Areas
from rating.filing._draft import Draft
from rating.filing._filing_input import NEW, RENEWING, Plans
from rating.filing._findings import listed, refusal
from rating.filing._ledger import COMPUTED, MARKET, Entry
from rating.filing._model import FilingModel
from rating.filing._numbers import number_text

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = [
    "check_plans",
    "check_retention",
    "consumer_rates",
    "give_catastrophic",
    "give_earlier_rates",
    "give_membership",
    "give_no_change",
    "give_rate_changes",
    "give_terminated",
    "missing_of_plans",
    "weight_in_force",
]

_WEIGHTS = ("current_premium", "experience_premium", "projected_premium")
QUARTERS = ("1", "2", "3", "4")
# Rule PRC-025: a quarter's trend beyond these is no factor; shares of quarters add to one but for their last digits.
_LEAST_TREND, _MOST_TREND = Decimal("0.5"), Decimal(2)
_SHARE_TOLERANCE = Decimal("1e-6")


def give_membership(draft: Draft, plans: Plans) -> None:
    """Give the enrollment that a plan's projection starts from: its current one and that of plans moved into it.

    A plan's ``proj_member_months_plan`` that is given is not worked out again.
    """
    moved: dict[str, list[str]] = {}
    for plan, target in zip(plans.texts["plan_id"], plans.texts["crosswalk_plan_id"], strict=True):
        if target is not None:
            moved.setdefault(target, []).append(plan)
    for plan in plans.offered:
        sources = [p for p in (plan, *moved.get(plan, [])) if draft.has("current_enrollment", p)]
        if not sources:
            continue
        total = sum((draft.value("current_enrollment", p) or Decimal(0) for p in sources), Decimal(0))
        inputs = tuple(("current_enrollment", p) for p in sources)
        words = "current_enrollment of the plan and of plans that move into it"
        draft.offer(Entry("projection_enrollment", plan, total, "enrollees", COMPUTED, words, inputs))


def give_catastrophic(draft: Draft, plans: Plans) -> None:
    """Give plans that are not catastrophic the factor 1 where none is given: the adjustment is not theirs."""
    for plan in plans.offered:
        if plans.metal_of[plan] != "catastrophic" and not draft.has("adj_catastrophic", plan):
            reason = "not a catastrophic plan: 45 CFR 156.80(d)(2)(v)"
            draft.give("adj_catastrophic", 1, reason, place=plan, grain="plan")


def give_terminated(draft: Draft, plans: Plans) -> None:
    """Give terminated plans what they hold in 3.11 and 3.15, and no projection.

    Raises
    ------
    InputRefused
        One is projected with member months.
    """
    for plan in plans.terminated:
        if draft.value("proj_member_months_plan", plan):
            raise refusal(
                "PRC-019",
                f"plan {plan} is terminated and projected with member months",
                "plans, column proj_member_months_plan",
                "write 0, and name the plan they move to in crosswalk_plan_id",
            )
        for name in ("plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate"):
            draft.entries.pop((name, plan), None)
            reason = "terminated plan: setting terminated_plan_value"
            draft.give(name, draft.chosen.terminated_plan_value, reason, place=plan, grain="plan")


def missing_of_plans(model: FilingModel, plans: Plans) -> list[str]:
    """Return what offered plans must have and have not, as ``name of plan``."""
    missing = []
    for name in model.formulas.names("plan"):
        quantity = model.formulas.quantity(name, "plan")
        if quantity is not None and quantity.needed == "offered":
            missing += [f"{name} of {plan}" for plan in plans.offered if model.value(name, plan) is None]
    return missing


def check_retention(model: FilingModel, plans: Plans) -> None:
    """Refuse plans whose shares of premium leave nothing for claims; before any rate is divided by what they leave.

    Raises
    ------
    InputRefused
        A plan's shares of premium add to one or more.
    """
    for plan in plans.offered:
        retention = model.value("retention", plan)
        if retention is not None and retention >= 1:
            raise refusal(
                "PRC-020",
                f"plan {plan}: administration, taxes and profit add to {number_text(retention)} of premium",
                "plans, columns pct_admin, pct_taxes_fees, pct_profit_risk",
                "shares are fractions of premium and add to less than one",
            )


def check_plans(draft: Draft, model: FilingModel, plans: Plans) -> None:
    """Refuse rates of zero or less; put down what a reader should know of plans.

    Raises
    ------
    InputRefused
        A plan's rate is not above zero.
    """
    for plan in plans.offered:
        if not model.value("proj_member_months_plan", plan):
            draft.findings.add("PRC-021", f"plan {plan}", "offered, and projected without member months")
        rate = model.value("calibrated_plan_adjusted_index_rate", plan)
        if rate is None or rate <= 0:
            raise refusal("PRC-016", f"plan {plan}: the rate is not above zero", "step 8", "check factors and signs")
    total, premium = model.value("fee_retention_shortfall_total"), model.value("proj_premium_total")
    if total and premium:
        share = number_text(100 * total / premium, 4)
        said = (
            f"fee and retention are each taken of the whole premium one after the other: together they fall short by "
            f"{share} % of premium, {number_text(total, 9)} USD, unless the retention percentages allow for it"
        )
        draft.findings.add("PRC-022", "step 7", said)
    summed = sum((model.value("proj_member_months_plan", plan) or Decimal(0) for plan in plans.category_of), Decimal(0))
    projected = model.value("proj_member_months")
    if projected is not None and abs(projected - summed) > 1:
        said = f"worksheet 1 has {number_text(projected)} member months, plans add to {number_text(summed)}"
        draft.findings.add("PRC-023", "proj_member_months", said)


# ------------------------------------------------------------------------------------------------ rate changes


def give_earlier_rates(draft: Draft, prior: Filing | None, plans: Plans) -> None:
    """Give renewing plans their rates of an earlier filing, where `current` does not.

    Raises
    ------
    InputRefused
        `prior` is no filing.
    """
    from rating.filing._filing import Filing

    if prior is None:
        return
    if not isinstance(prior, Filing):
        raise InputRefused(
            f"`prior` is a {type(prior).__name__}",
            where="prior",
            rule="a filing made by rating.filing.develop or rating.filing.read_workbook",
            remedy="read or develop the earlier filing first",
        )
    known = set(prior.model.places.of("plan"))
    for plan in plans.category_of:
        if plan not in known:
            continue
        for name, field in (
            ("current_calibrated_rate", "calibrated_plan_adjusted_index_rate"),
            ("current_plan_adjusted_index_rate", "plan_adjusted_index_rate"),
        ):
            value = prior.model.value(field, plan)
            if value and not draft.has(name, plan):
                year = prior.header.get("plan_year")
                draft.give(name, value, f"filing of {year}, {field}", place=plan, grain="plan")


def give_rate_changes(draft: Draft, plans: Plans) -> None:
    """Give new and terminated plans a change of zero without weight: they have no earlier, or no later, rate."""
    for plan, category in plans.category_of.items():
        if category != RENEWING:
            reason = f"{'no earlier rate' if category == NEW else 'no later rate'}: {category} plan"
            if not draft.has("cumulative_rate_change", plan):
                draft.give("cumulative_rate_change", 0, reason, place=plan, grain="plan")
            draft.give("rate_change_weight", 0, reason, place=plan, grain="plan")


def weight_in_force(draft: Draft, model: FilingModel, plans: Plans) -> str:
    """Return which premium weighs the rate changes: the one chosen, or the first that all renewing plans have."""
    chosen = draft.chosen.rate_change_weight
    if chosen != "premium":
        return str(chosen)
    renewing = [plan for plan, category in plans.category_of.items() if category == RENEWING]
    parts = {
        "current_premium": ("current_enrollment", "current_premium_pmpm"),
        "experience_premium": ("exp_premium",),
        "projected_premium": ("proj_premium",),
    }
    for weight in _WEIGHTS:
        if all(model.value(name, plan) is not None for name in parts[weight] for plan in renewing):
            return weight
    return _WEIGHTS[-1]


def give_no_change(draft: Draft, model: FilingModel, plans: Plans) -> None:
    """Take renewing plans without a rate change out of the means, and put down which they are.

    A change that is not known is not zero: such a plan gets no weight.
    """
    without = [
        plan
        for plan, category in plans.category_of.items()
        if category == RENEWING and model.value("cumulative_rate_change", plan) is None
    ]
    for plan in without:
        draft.give("rate_change_weight", 0, "no rate change is known", place=plan, grain="plan")
    if without:
        definition = draft.chosen.rate_change_definition
        said = f"no rate change by the definition {definition!r}: left out of the changes of product and submission"
        draft.findings.add("PRC-024", f"plans {listed(without)}", said)


# ------------------------------------------------------------------------------------------------ consumer rates


def consumer_rates(
    draft: Draft, model: FilingModel, plans: Plans, areas: Areas, settings: RateSettings, rules_of: str
) -> pl.DataFrame:
    """Return the consumer rates of offered plans: step 9, by :func:`rating.rate_table`.

    Raises
    ------
    InputRefused
        A quarterly trend that cannot be used; a tobacco ratio above the ceiling, or where none may be charged; a rate
        that rounds to zero.
    """
    import polars as pl

    identity = draft.identity
    bases = [model.value("calibrated_plan_adjusted_index_rate", plan) for plan in plans.offered]
    # Another state's rules price plans and areas whose ids name the filing's own state: positions stand for them.
    ids = {plan: plan if rules_of == identity.state else f"{i:05}" for i, plan in enumerate(plans.offered, 1)}
    columns: dict[str, Any] = {
        "plan_id": [ids[plan] for plan in plans.offered],
        "base_rate": [f"{base:f}" for base in bases],
    }
    ratios = [model.value("tobacco_ratio", plan) for plan in plans.offered]
    if any(ratio is not None for ratio in ratios):
        columns["tobacco_ratio"] = [None if ratio is None else f"{ratio:f}" for ratio in ratios]
    for quarter, factor in _quarter_factors(model, identity.market).items():
        columns[f"trend_q{quarter}"] = [f"{factor:f}"] * len(bases)
    table = rate_table(
        pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String)),
        _area_frame(plans, areas, ids),
        state=rules_of,
        market=identity.market,
        plan_year=identity.plan_year,
        settings=settings,
    )
    if any((table[column] == 0).any() for column, kind in table.schema.items() if kind.is_decimal()):
        raise refusal("PRC-016", "a consumer rate rounds to 0.00", "step 9", "check factors and units")
    if rules_of == identity.state:
        return table
    back = {number: plan for plan, number in ids.items()}
    own = pl.concat_str(pl.lit(f"R-{identity.state}"), pl.col("rating_area_id").str.slice(-3))
    table = table.with_columns(
        pl.col("plan_id").replace_strict(back, return_dtype=pl.String), own.alias("rating_area_id")
    )
    order = ["plan_id", "rating_area_id", "effective_date"]
    return table.sort(order, maintain_order=True)


def _quarter_factors(model: FilingModel, market: str) -> dict[str, Decimal]:
    """Return the factor of each quarter on the rate of step 8; nothing without a quarterly trend.

    Raises
    ------
    InputRefused
        The market is the individual one; the trend is no factor near 1; shares of quarters are missing or do not add
        to one.
    """
    trend = model.value("quarterly_trend")
    if trend is None:
        return {}
    where = "assumptions, quarterly_trend"
    if market == "individual":
        raise refusal("PRC-025", "a quarterly trend in the individual market", where, "leave it out")
    if not _LEAST_TREND < trend < _MOST_TREND:
        raise refusal("PRC-025", "the quarterly trend is far from 1", where, "write a factor: 1.02, not 0.02")
    shares = [model.value(f"quarter_share_{quarter}") for quarter in QUARTERS]
    given = [share for share in shares if share is not None]
    if len(given) == len(QUARTERS) and abs(sum(given, Decimal(0)) - 1) > _SHARE_TOLERANCE:
        said = "quarter_share_1 to quarter_share_4"
        raise refusal("PRC-025", "the shares of the quarters do not add to one", f"assumptions, {said}", "mend them")
    found = {quarter: model.value(f"quarter_factor_{quarter}") for quarter in QUARTERS}
    known = {quarter: factor for quarter, factor in found.items() if factor is not None}
    if len(known) < len(found):
        said = "give quarter_share_1 to quarter_share_4"
        raise refusal("PRC-025", "the shares of the quarters are missing", "assumptions", said)
    return known


def _area_frame(plans: Plans, areas: Areas, ids: Mapping[str, str]) -> pl.DataFrame:
    import polars as pl

    lines = [
        (ids.get(plan, plan), area.rpartition("-")[2][-3:], f"{factor:f}")
        for (plan, area), factor in areas.factor_of.items()
        if plan == MARKET or plan in plans.offered
    ]
    columns = ("plan_id", "rating_area_id", "area_factor")
    frame = pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String), orient="row")
    return frame if areas.by_plan else frame.drop("plan_id")
