"""Enrollment, scores and premiums -> lines: who was in which plan for how long, billable or not, at which score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs._policy import MILLIONTHS, RELATIONSHIPS, completed_years, covered_thirtieths, rating_rules, run_starts
from data_specs.errors import InputRefused, SettingRefused
from riskadjust import _enrollment
from riskadjust._findings import Findings
from riskadjust._member_scores import ADJUSTED_DIGITS, SpanScores, score_frame, span_scores
from riskadjust._member_spans import (
    TABLE,
    CoveredSpans,
    Policies,
    covered_spans,
    policies,
    premium_cents,
    premium_column,
)
from riskadjust._plan_risk_settings import PlanRiskSettings
from riskadjust._plan_table import Plans, accepted_plans
from riskadjust._policy_pieces import Charges, Pieces
from riskadjust._rating_areas import RatingAreas, rating_areas

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["MemberLines", "member_lines"]

_LONGEST_PLAN_YEAR = 366  # days


@dataclass(frozen=True)
class MemberLines:
    """The lines of one benefit year, and what they rest on.

    Attributes
    ----------
    lines : DataFrame
        See :func:`member_lines`.
    plans : DataFrame
        plan_id, issuer_id, state, market, metal_level, risk_pool, av, idf of the usable plans.
    uncertain : DataFrame
        table, what, lines: figures marked uncertain that took part, and in how many lines.
    settings : PlanRiskSettings
        As used.
    benefit_year : int
        Of the lines.
    tables : list of str
        The tables of published figures that were used.
    """

    lines: pl.DataFrame
    plans: pl.DataFrame
    uncertain: pl.DataFrame
    settings: PlanRiskSettings
    benefit_year: int
    tables: list[str]


def member_lines(
    scores: Any,
    enrollees: Any,
    spans: Any,
    plans: Any,
    *,
    benefit_year: int,
    settings: Mapping[str, Any] | PlanRiskSettings | None = None,
    findings: Findings,
) -> MemberLines:
    """Return the lines that plan risk adds up: every enrollee's covered time by plan and rating area.

    Who is billable follows from who is covered at the same time. A policy is therefore cut into stretches in which its
    set of covered members does not change; pieces of a span whose status, factor and area are alike are joined again.
    Most spans are one line; a span is several where, say, a fourth child becomes billable because an older one leaves.

    Parameters
    ----------
    scores : Scores or DataFrame
        As :func:`riskadjust.score` returns them.
    enrollees : DataFrame
        enrollee_id, birth_date, sex.
    spans : DataFrame
        enrollee_id, plan_id, csr_variant, metal_level, span_start, span_end, rating_area_id, and premium_monthly (of
        the policy, dollars) or member_premium (of each member). Optional: policy_id, subscriber_id, relationship (self,
        spouse, child, other), is_subscriber, market, issuer_id, effective_date.
    plans : DataFrame
        plan_id, issuer_id, state, market, metal_level.
    findings : Findings
        Takes the rows that were refused or noticed.

    Returns
    -------
    MemberLines
        ``.lines`` sorted by state, risk_pool, issuer_id, plan_id, rating_area_id, policy_id, enrollee_id, span_start:
        enrollee_id, policy_id (subscriber's or own enrollee_id where there is none), relationship, state, market,
        risk_pool, issuer_id, plan_id, csr_variant, metal_level (of the plan), rating_area_id, span_start, span_end,
        rating_age (completed years), billable, month_thirtieths (member months x 30), rating_factor (age factor, or
        the share of the family tier; null if not billable), score_thousandths (own metal level, before the
        cost-sharing factor), csr_factor, adjusted_score, premium_cents (a month, on the row that carries it).
        For exact sums: rating_factor_millionths / rating_factor_shared_by is 1,000,000 x rating_factor, and
        adjusted_score_ten_millionths is 10,000,000 x adjusted_score.

    Notes
    -----
    The rating age is that on the first day of a member's unbroken cover in the policy within the benefit year: plan
    years follow the calendar, and a member added later has the age of that day. Where they do not (small groups),
    effective_date says when the cover of a row was last priced, at most a year before it; a row ends where cover is
    priced anew. Sources: 45 CFR 147.102 (age, charged members, policyholder's area); 78 FR 15409 (billable members).
    """
    own = PlanRiskSettings.of(settings)
    if isinstance(benefit_year, bool) or not hasattr(benefit_year, "__index__"):
        raise SettingRefused("benefit_year is not a whole number", remedy="write it as a number, for example 2025")
    benefit_year = int(benefit_year)
    # All columns are looked for before any work is done.
    source, given_people = _frames.as_frame(spans, TABLE), _frames.as_frame(enrollees, "enrollees")
    premium_column(source)
    given_scores = score_frame(scores, benefit_year)
    plan_table = accepted_plans(plans, benefit_year, findings)
    people = _enrollment.accepted_enrollees(given_people, benefit_year, findings)
    covered = covered_spans(people, source, plan_table, benefit_year, findings)
    policy = policies(covered, people, source, findings)
    premium, has_premium = premium_cents(covered, source, findings)
    areas = rating_areas(covered, policy, source, plan_table, findings)
    score = span_scores(given_scores, people, covered, source, findings)
    births = people["birth_date"].to_physical().to_numpy().astype(np.int64)[covered.spans.owner]
    ages = _rating_ages(covered, policy, births, source, own, findings)
    charges = Charges(covered, policy, plan_table, areas, ages, births, rating_rules(), own, benefit_year)
    pieces = charges.pieces()
    covered.refuse("PLR-020", charges.without_tier(pieces), source, findings)
    pieces = pieces.take(~covered.out[pieces.span])
    _note_premiums(covered, policy, premium, has_premium, findings)
    _note_unused_plans(covered, plan_table, findings)
    lines = _lines(pieces, covered, policy, people, plan_table, areas, ages, score, premium, own)
    tables = ["rating/age_curve_assignment", "rating/age_curves", "rating/family_tiers", "rating/rating_rules"]
    tables += ["transfers/merged_markets", "transfers/metal_av_idf", "transfers/program_parameters"]
    return MemberLines(
        lines, plan_table.frame.drop("market_index"), charges.uncertain(pieces), own, benefit_year, tables
    )


def _rating_ages(
    covered: CoveredSpans,
    policy: Policies,
    births: Integers,
    source: pl.DataFrame,
    settings: PlanRiskSettings,
    findings: Findings,
) -> Integers:
    """Return the age of each span's enrollee on the first day of unbroken cover in the policy, or when last priced."""
    spans = covered.spans
    first = _by_member(covered, policy.group)
    if "effective_date" in source.columns:
        dates = _frames.date_column(source, TABLE, "effective_date").gather(spans.row)
        priced = dates.to_physical().cast(int).fill_null(np.iinfo(np.int64).max).to_numpy()
        is_said = dates.is_not_null().to_numpy()
        fits = is_said & (priced <= spans.start) & (priced >= spans.start - _LONGEST_PLAN_YEAR)
        findings.note("PLR-019", TABLE, int((is_said & ~fits & ~covered.out).sum()))
        first = np.where(fits, priced, first)
    # Cover before birth counts at age 0.
    is_unborn = (births > spans.start) & ~covered.out
    findings.note("MEM-011", "enrollees", len(np.unique(spans.owner[is_unborn])), "warn")
    return np.maximum(completed_years(births, first, settings.leap_birthday), 0)


def _by_member(covered: CoveredSpans, within: Integers) -> Integers:
    """Return the first day of each span's unbroken cover of its enrollee within a policy or plan."""
    spans = covered.spans
    member = spans.owner * (int(within.max(initial=0)) + 1) + within
    order = np.argsort(member, kind="stable")
    first = np.empty(len(member), np.int64)
    starts, ends = spans.start[order].astype(np.int64), spans.end[order].astype(np.int64)
    first[order] = run_starts(member[order], starts, ends)
    return first


def _note_premiums(
    covered: CoveredSpans, policy: Policies, premium: Integers, has_premium: Flags, findings: Findings
) -> None:
    """Note policies without any premium, and subscribers' rows without one where the policy has one."""
    used = ~covered.out
    number = int(policy.group.max(initial=-1)) + 1
    paid = np.zeros(number, bool)
    paid[policy.group[used & (premium > 0)]] = True
    is_paid = paid[policy.group]
    findings.note("PLR-016", TABLE, int((used & ~is_paid).sum()))
    findings.note("PLR-017", TABLE, int((used & is_paid & policy.is_subscriber & ~has_premium).sum()))


def _note_unused_plans(covered: CoveredSpans, plans: Plans, findings: Findings) -> None:
    used = np.zeros(plans.frame.height, bool)
    used[covered.plan[~covered.out]] = True
    findings.note("PLR-034", "plans", int((~used).sum()))
    if not used.any():
        found = findings.frame()
        rejected = [f"{r} {n}" for r, n in found.select("rule_id", "rows").rows()]
        raise InputRefused(
            "no span can be used",
            where=TABLE,
            rule="rows by rule: " + (", ".join(rejected) or "none"),
            remedy="mend the rows, or check that scores, spans and plans belong together",
        )


def _lines(
    pieces: Pieces,
    covered: CoveredSpans,
    policy: Policies,
    people: pl.DataFrame,
    plans: Plans,
    areas: RatingAreas,
    ages: Integers,
    score: SpanScores,
    premium: Integers,
    settings: PlanRiskSettings,
) -> pl.DataFrame:
    """Return the named columns, sorted."""
    import polars as pl

    first = _by_member(covered, covered.plan)
    rank = np.asarray(policy.texts.rank("dense").to_numpy(), np.int64)
    width = len(areas.names) + 1
    span = pieces.span
    order = np.lexsort(
        (
            pieces.start,
            covered.spans.owner[span],
            rank[policy.text[span]],
            covered.plan[span] * width + pieces.area,
        )
    )
    pieces = pieces.take(order)
    span = pieces.span
    plan = covered.plan[span]
    months = covered_thirtieths(pieces.start, pieces.end, first[span], settings.month_rule)
    factor = pieces.millionths / (MILLIONTHS * pieces.sharers)
    words = pl.Series([*RELATIONSHIPS[:-1], None], dtype=pl.String)
    of_plan = plans.frame[plan]
    adjusted = score.adjusted[span]

    def days(name: str, values: Integers) -> pl.Series:
        return pl.Series(name, values.astype(np.int32)).cast(pl.Date)

    return pl.DataFrame(
        [
            people["enrollee_id"].gather(covered.spans.owner[span]).alias("enrollee_id"),
            policy.texts.gather(policy.text[span]).alias("policy_id"),
            words.gather(policy.relationship[span]).alias("relationship"),
            *(of_plan[c] for c in ("state", "market", "risk_pool", "issuer_id", "plan_id")),
            covered.spans.variants["csr_variant"].gather(covered.spans.variant[span]).alias("csr_variant"),
            of_plan["metal_level"],
            areas.names.gather(pieces.area).alias("rating_area_id"),
            days("span_start", pieces.start),
            days("span_end", pieces.end),
            pl.Series("rating_age", ages[span]),
            pl.Series("billable", pieces.billable),
            pl.Series("month_thirtieths", months),
            pl.Series("rating_factor", factor).set(pl.Series(~pieces.billable), None),
            pl.Series("score_thousandths", score.thousandths[span]),
            pl.Series("csr_factor", score.csr_factor[span]),
            pl.Series("adjusted_score", adjusted / 10**ADJUSTED_DIGITS),
            pl.Series("premium_cents", premium[span]),
            pl.Series("rating_factor_millionths", pieces.millionths),
            pl.Series("rating_factor_shared_by", pieces.sharers),
            pl.Series("adjusted_score_ten_millionths", adjusted),
        ]
    )
