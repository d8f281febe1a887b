"""Enrollee mixes: scores made once, weighed anew for every question of the kind "what if others were enrolled"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from riskadjust._findings import Findings
from riskadjust._geographic import given_factors
from riskadjust._member_lines import member_lines
from riskadjust._mix_base import prepared
from riskadjust._mix_claims import claims_of_lines
from riskadjust._mix_rules import MIX_COLUMNS, collected, read_mixes
from riskadjust._mix_run import Mixes, MixRun
from riskadjust._mix_segments import Segments
from riskadjust._mix_settings import settings_of
from riskadjust._score import Scores

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Mixes", "mix"]

_TABLE = "mixes"
_CHILDREN = "max_billable_children_under_21_per_family"


def mix(
    scores: Any,
    enrollees: Any,
    spans: Any,
    plans: Any,
    mixes: Any,
    *,
    benefit_year: int,
    costs: Any = None,
    gcf: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> Mixes:
    """Return what each of many enrollee mixes does to plan averages, premiums and transfers, and why.

    Nothing is scored again. A mix gives every member line (an enrollee's time in a plan and area) a weight w, 1 in the
    base, and the formulas of :func:`riskadjust.plan_risk` and :func:`riskadjust.transfers` run on the weighted sums::

        b = sum w m c     PLRS = sum w m s / b     ARF = sum w m f c / b     PREM = sum over stretches of p sum w m f c

    m member months, s adjusted score, c 1 if billable, f rating factor, p premium per rating unit. The result is that
    of scoring and settling a population that is changed accordingly.

    **Weights.** Rules apply in order. ``scale`` multiplies the weight of the lines that it picks out by `factor`.
    ``move`` takes the share `factor` of their months to the plan `to_plan_id`, in the same rating area; lines that are
    there already stay, and none can leave its state and market. Later rules see moved months where they are now:
    plan_id, issuer_id, metal_level, csr_variant, risk_pool and other columns of `plans` follow a move, all else is that
    of the base.

    **Households.** Who is gone (weight 0) is gone from the household: which children are the three oldest, and the tier
    of a New York or Vermont policy, are worked out again among those who remain. A positive weight keeps an enrollee in
    the household and multiplies the months. Those of a policy who move to one plan are a household there. Ages for
    rating, and months, stay what they were.

    **Premium.** A stretch of a policy is the time in which the same members are covered. Its premium per rating unit
    ``p = premium / sum of m f c`` of the base is kept, so that the premium follows who remains. Moved members pay p
    times the ratio of the two plans' premium per rating unit in the area (PREM / sum of m f c of the plan row in the
    base). Where the new plan has none in the area, its ratio over all its areas is taken, times the relation of the
    areas in the risk pool (MIX-004).

    **Moved risk.** The score is that of the new plan's metal level. The cost-sharing factor is that of the variant that
    the move leaves: the enrollee's own where the year publishes a factor of it for the metal level, else 01 (setting
    csr_after_move).

    **Areas.** Geographic cost factors follow the silver premiums of each mix (setting gcf_rule).

    Parameters
    ----------
    scores, enrollees, spans, plans
        As for :func:`riskadjust.plan_risk`. Moves need the columns score_platinum ... score_catastrophic of the scores;
        conditions on hccs, rxcs or variables need scores made with ``explain=True``.
    mixes : DataFrame
        mix, column, operator, value, action (scale, move), factor, to_plan_id [, rule]: one row is one rule, applied in
        the order of the rows. With the column rule (whole numbers) rules apply in its order, and rows of one mix and
        rule are conditions that must all hold; their action, factor and plan agree. ``base`` is no name for a mix.
        Columns: any of enrollees, spans, scores and plans, those of the member lines (relationship, rating_age,
        rating_area_id, billable, risk_pool ...), months (of the span), risk_score, age_band (of the year's model, such
        as 21-24) and risk_decile (1 to 10 by months within the risk pool, own metal level).
        Operators: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``between`` (a..b, both included), ``in`` and ``not in``
        (a|b|c), ``contains`` and ``not contains`` (lists; a|b: any of them), ``is null``, ``all`` (everybody). Blank
        meets ``is null`` and ``all`` only.
    benefit_year : int
        The year whose figures are used.
    costs : DataFrame, optional
        enrollee_id, plan_id, csr_variant, plan_paid (dollars of the year; rows add up): for required premiums.
    gcf : DataFrame, optional
        Geographic cost factors to be used as they stand, see :func:`riskadjust.plan_risk`.
    settings : mapping, optional
        ``gcf_rule`` (recomputed, held), ``csr_after_move`` (by_metal, kept), ``moved_claims`` (metal_value, kept),
        ``retention_share``, and those of :func:`riskadjust.plan_risk` and :func:`riskadjust.transfers`.

    Returns
    -------
    Mixes
        ``.issuers``: mix, state, risk_pool, issuer_id, billable_member_months, total_member_months, premium, plrs, arf,
        transfer (Decimal), transfer_pmpm, transfer_unrounded; change (Decimal) and change_unrounded against the base;
        change_from_volume (own months), change_from_risk (own risk score), change_from_rating_factors (own age
        factors, metal values and induced demand), change_from_geography (own area factors), change_from_pool_averages
        (Lbar and Rbar) and change_from_premium (P'), dollars: their sum is change_unrounded, and each is the mean over
        all orders in which the causes can change (Shapley value). With costs: plan_paid, user_fee_pmpm and
        ``required_premium_pmpm = ((plan_paid - transfer) / b + user fee) / (1 - retention_share)``.
        ``.plans``: the plan rows as transfers has them. ``.pools``: months, premium, the means of the formula, received
        (sum of the issuers that receive), residual. ``.enrollment``: mix, rule (0: the mix as a whole), segment,
        enrollees and member months before and after, months moved. A pool that a mix empties has blank amounts
        (MIX-002).

    Raises
    ------
    InputRefused
        Rows of `mixes` that cannot be read, unknown columns, plans or values of the wrong type; a move out of state or
        market; a base that cannot be settled; frames as for :func:`riskadjust.plan_risk`.
    SettingRefused
        Unknown setting or value.
    TableMissing
        The year's figures are not held.

    Notes
    -----
    Sources: 78 FR 15409 and 81 FR 94058 (payment transfer formula), 45 CFR 147.102 (who is charged), DIY Table 13
    (cost-sharing factors). How members and premiums follow a changed mix is ours, as stated above.

    Examples
    --------
    Two silver plans with an enrollee each for 360 days; the sicker one of plan 2 leaves by half.

    >>> import datetime, polars as pl
    >>> from riskadjust._mix import mix
    >>> day = datetime.date
    >>> own = {"enrollee_id": ["A", "B"], "plan_id": ["11111TX0010001", "22222TX0010001"], "csr_variant": ["01"] * 2,
    ...     "metal_level": ["silver"] * 2}
    >>> scores = pl.DataFrame({**own, "risk_score": [0.5, 2.0], "csr_factor": [1.0] * 2,
    ...     "csr_adjusted_score": [0.5, 2.0]})
    >>> enrollees = pl.DataFrame({"enrollee_id": ["A", "B"], "birth_date": [day(1990, 5, 1)] * 2, "sex": ["F", "M"]})
    >>> spans = pl.DataFrame({**own, "span_start": [day(2025, 1, 1)] * 2, "span_end": [day(2025, 12, 26)] * 2,
    ...     "rating_area_id": ["1"] * 2, "premium_monthly": [400.0] * 2})
    >>> plans = pl.DataFrame({"plan_id": own["plan_id"], "issuer_id": ["11111", "22222"], "state": ["TX"] * 2,
    ...     "market": ["individual"] * 2, "metal_level": ["silver"] * 2})
    >>> mixes = pl.DataFrame({"mix": ["fewer ill"], "column": ["risk_score"], "operator": [">"], "value": ["1"],
    ...     "action": ["scale"], "factor": [0.5], "to_plan_id": pl.Series([None], dtype=pl.String)})
    >>> result = mix(scores, enrollees, spans, plans, mixes, benefit_year=2025)
    >>> result.issuers.select("mix", "issuer_id", "billable_member_months", "transfer").rows()
    ... # doctest: +NORMALIZE_WHITESPACE
    [('base', '11111', 12.0, Decimal('-2476.80')), ('base', '22222', 12.0, Decimal('2476.80')),
     ('fewer ill', '11111', 12.0, Decimal('-2064.00')), ('fewer ill', '22222', 6.0, Decimal('2064.00'))]
    """
    own, of_plans, parameters = settings_of(settings, benefit_year)
    table = collected(mixes, _TABLE, MIX_COLUMNS)
    rules_by_mix = read_mixes(table)
    given = given_factors(gcf)
    findings = Findings()
    members = member_lines(
        scores, enrollees, spans, plans, benefit_year=benefit_year, settings=of_plans, findings=findings
    )
    findings.table(_TABLE, table.height)
    frames = _Frames.read(scores, enrollees, spans, plans)
    children = of_plans.max_billable_children_under_21_per_family
    base = prepared(
        members,
        frames.scores,
        frames.enrollees,
        frames.spans,
        most_children=int(parameters.required(_CHILDREN)) if children is None else children,
        keeps_factor=own.csr_after_move == "kept",
        rounds_to_thousandths=frames.rounds_to_thousandths,
    )
    segments = Segments(base, frames.scores, frames.enrollees, frames.spans, frames.plans)
    paid = np.zeros(0) if costs is None else claims_of_lines(costs, base, findings)
    run = MixRun.of(rules_by_mix, base, segments, paid, own, parameters, given, findings)
    return run.result(rules_by_mix, table, costs is not None)


@dataclass(frozen=True)
class _Frames:
    """The frames as handed in, collected."""

    scores: pl.DataFrame
    enrollees: pl.DataFrame
    spans: pl.DataFrame
    plans: pl.DataFrame
    rounds_to_thousandths: bool

    @classmethod
    def read(cls, scores: Any, enrollees: Any, spans: Any, plans: Any) -> _Frames:
        rounding = scores.settings.get("adjusted_score_rounding") if isinstance(scores, Scores) else "none"
        own = scores.scores if isinstance(scores, Scores) else scores
        return cls(
            collected(own, "scores", ("enrollee_id",)),
            _frames.as_frame(enrollees, "enrollees"),
            _frames.as_frame(spans, "enrollment_spans"),
            collected(plans, "plans", ("plan_id",)),
            rounding == "three_decimals",
        )
