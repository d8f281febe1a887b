"""Covered spans of plan risk, as arrays: plan, policy, relationship and premium of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _frames
from data_specs._policy import RELATIONSHIPS
from data_specs.errors import InputRefused
from riskadjust import _enrollment, _span_groups
from riskadjust._distinct import distinct_texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from riskadjust._findings import Findings
    from riskadjust._plan_table import Plans

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["CoveredSpans", "Policies", "covered_spans", "policies", "premium_cents", "premium_column"]

TABLE = "enrollment_spans"
UNKNOWN = RELATIONSHIPS.index("unknown")
SELF = RELATIONSHIPS.index("self")
_UNSAID = 255
_HIGHEST_PREMIUM = 1e9  # dollars a month: sums of cents then stay far inside 64 bits


@dataclass
class CoveredSpans:
    """Spans that name a plan of the year, in order of enrollee and first day.

    Attributes
    ----------
    spans : Spans
        Rows of the input, owner (position among the people), variant, first and last day within the year.
    plan : array of int
        Position among the plans.
    out : array of bool
        Rows set aside later on: they take no part, but their enrollees still count as covered.
    """

    spans: _span_groups.Spans
    plan: Integers
    out: Flags

    def refuse(self, rule_id: str, bad: Flags, source: pl.DataFrame, findings: Findings) -> None:
        """Set rows aside by a rule, those that no earlier rule took."""
        new = bad & ~self.out
        if new.any():
            findings.refuse(rule_id, TABLE, source[np.sort(self.spans.row[new])])
            self.out |= new


def covered_spans(
    people: pl.DataFrame, source: pl.DataFrame, plans: Plans, benefit_year: int, findings: Findings
) -> CoveredSpans:
    """Return the spans that scoring accepts (same rules, same order) and whose plan is among the plans."""
    findings.table(TABLE, source.height)
    own = _enrollment.checked_spans(people, source, benefit_year, findings)
    own = _span_groups.in_order(own)
    own = _span_groups.without_overlaps(own, source, findings, "issuer_market")
    plan, rule = _plan_of_variant(own.variants, plans)
    span_plan, span_rule = plan[own.variant], rule[own.variant]
    bad = np.zeros(len(own.row), bool)
    for number, rule_id in enumerate(("SPAN-010", "PLR-011", "PLR-012"), start=1):
        broken = span_rule == number
        findings.refuse(rule_id, TABLE, source[np.sort(own.row[broken])])
        bad |= broken
    for rule_id, column in (("SPAN-011", "issuer_id"), ("SPAN-038", "market")):
        if column in source.columns and plans.frame.height:
            said = _clean(_frames.text_column(source, TABLE, column).gather(own.row))
            expected = plans.frame[column].gather(np.maximum(span_plan, 0))
            broken = (said != expected).fill_null(False).to_numpy() & ~bad
            findings.refuse(rule_id, TABLE, source[np.sort(own.row[broken])])
            bad |= broken
    own, span_plan = own.take(~bad), span_plan[~bad]
    return CoveredSpans(own, span_plan, np.zeros(len(own.row), bool))


def _clean(texts: pl.Series) -> pl.Series:
    import polars as pl

    name = texts.name
    stripped = pl.col(name).str.strip_chars().str.to_lowercase().str.replace_all("[ -]", "_")
    return texts.to_frame().select(pl.when(stripped != "").then(stripped)).to_series()


def _plan_of_variant(variants: pl.DataFrame, plans: Plans) -> tuple[Integers, Integers]:
    """Return each plan variant's position among the plans (-1: none) and the number of the rule it breaks (0: none)."""
    import polars as pl

    known = plans.frame.select("plan_id", plan_metal="metal_level").with_row_index("number")
    found = variants.join(known, on="plan_id", how="left", maintain_order="left", validate="m:1")
    metal, plan_metal = (pl.col(c).replace({"expanded_bronze": "bronze"}) for c in ("metal_level", "plan_metal"))
    is_set_aside = pl.col("plan_id").is_in(plans.set_aside.implode())
    rule = (
        pl.when(pl.col("number").is_null() & is_set_aside)
        .then(2)
        .when(pl.col("number").is_null())
        .then(1)
        .when(metal != plan_metal)
        .then(3)
        .otherwise(0)
    )
    told = found.select(pl.col("number").cast(pl.Int64).fill_null(-1), rule.cast(pl.Int64).alias("rule"))
    return told["number"].to_numpy(), told["rule"].to_numpy()


@dataclass
class Policies:
    """The policy of each span: `group` numbers a policy within a plan; `texts` are the ids by `text`."""

    group: Integers
    text: Integers
    texts: pl.Series
    relationship: Integers
    is_subscriber: Flags


def policies(covered: CoveredSpans, people: pl.DataFrame, source: pl.DataFrame, findings: Findings) -> Policies:
    """Return the policy of each span: policy_id, else the subscriber's enrollee_id, else the enrollee's own id."""
    import polars as pl

    row, owner = covered.spans.row, covered.spans.owner
    enrollee = people["enrollee_id"].gather(owner)
    columns: tuple[str, ...] = ("policy_id", "subscriber_id")
    given = {c: _text_or_null(source, c, row) for c in columns if c in source.columns}
    blank = pl.repeat(None, len(row), dtype=pl.String, eager=True)
    policy, subscriber = given.get("policy_id", blank), given.get("subscriber_id", blank)
    ids = pl.DataFrame({"policy": policy, "subscriber": subscriber, "enrollee": enrollee})
    texts, text = distinct_texts(ids.select(pl.coalesce("policy", "subscriber", "enrollee")).to_series())
    by_person = policy.is_null().to_numpy().astype(np.int64)
    key = (text.astype(np.int64) * 2 + by_person) * (int(covered.plan.max(initial=0)) + 1) + covered.plan
    group = np.unique(key, return_inverse=True)[1].astype(np.int64)
    relationship = _relationships(source, row, findings)
    is_subscriber = _subscribers(source, row, relationship, ids, given)
    relationship = np.where(is_subscriber & (relationship == UNKNOWN), SELF, relationship)
    if "subscriber_id" not in given:
        findings.note("PLR-013", TABLE, int(by_person.sum()))
    own = Policies(group, text.astype(np.int64), texts, relationship, is_subscriber)
    covered.refuse("SPAN-028", _two_subscribers(own, covered), source, findings)
    return own


def _text_or_null(source: pl.DataFrame, column: str, row: Integers) -> pl.Series:
    """Return ids of some rows; blank ones are null."""
    import polars as pl

    texts = _frames.text_column(source, TABLE, column).gather(row)
    stripped = pl.col(column).str.strip_chars()
    return texts.to_frame().select(pl.when(stripped != "").then(stripped)).to_series()


def _relationships(source: pl.DataFrame, row: Integers, findings: Findings) -> Integers:
    """Return the position of each row's relationship among :data:`RELATIONSHIPS`."""
    if "relationship" not in source.columns:
        return np.full(len(row), UNKNOWN, np.int64)
    distinct, number = distinct_texts(_frames.text_column(source, TABLE, "relationship").gather(row))
    words = _clean(distinct).fill_null("unknown").to_list()
    codes = np.array([RELATIONSHIPS.index(w) if w in RELATIONSHIPS else _UNSAID for w in words], np.int64)
    found = codes[number] if len(row) else np.zeros(0, np.int64)
    findings.note("PLR-014", TABLE, int((found == _UNSAID).sum()))
    return np.where(found == _UNSAID, UNKNOWN, found)


def _subscribers(
    source: pl.DataFrame, row: Integers, relationship: Integers, ids: pl.DataFrame, given: dict[str, pl.Series]
) -> Flags:
    """Return who is known to be the subscriber: by relationship, else by is_subscriber, else by the ids."""
    import polars as pl

    own = (ids["subscriber"] == ids["enrollee"]).fill_null(True).to_numpy()
    if "subscriber_id" not in given:
        # Without any policy the enrollee is one; in a policy of others nothing says who the subscriber is.
        own = ids["policy"].is_null().to_numpy()
    if "is_subscriber" in source.columns:
        flags = source["is_subscriber"].gather(row)
        if flags.dtype not in (pl.Boolean, pl.Null):
            raise InputRefused(
                f"column 'is_subscriber' is {flags.dtype}, not true or false",
                where=f"{TABLE}, column is_subscriber",
                rule="FILE-002: a required column has its declared type",
                remedy="convert the column, or leave it out",
            )
        own = flags.cast(pl.Boolean).fill_null(False).to_numpy()
    return np.where(relationship == UNKNOWN, own, relationship == SELF)


def _two_subscribers(policy: Policies, covered: CoveredSpans) -> Flags:
    """Return the spans of policies that have two subscribers on one day: whose family it is cannot be known."""
    spans = covered.spans
    rows = np.flatnonzero(policy.is_subscriber)
    bad = np.zeros(len(policy.group), bool)
    if len(rows) < 2:
        return bad
    order = rows[np.lexsort((spans.start[rows], policy.group[rows]))]
    group = policy.group[order]
    # Days of one policy stand apart from those of the next, so that one running maximum serves all.
    width = 1 + int(spans.end.max()) - int(spans.start.min())
    offset = group * (width + 1) - int(spans.start.min())
    latest = np.maximum.accumulate(spans.end[order] + offset)
    clash = (group[1:] == group[:-1]) & (spans.start[order][1:] + offset[1:] <= latest[:-1])
    if not clash.any():
        return bad
    troubled = np.zeros(int(policy.group.max()) + 1, bool)
    troubled[group[1:][clash]] = True
    return np.asarray(troubled[policy.group])


def premium_column(source: pl.DataFrame) -> str:
    """Return the column that carries premiums, or refuse spans without one or without rating areas."""
    column = next((c for c in ("premium_monthly", "member_premium") if c in source.columns), "")
    if not column:
        raise InputRefused(
            "missing column 'premium_monthly'",
            where=TABLE,
            rule="FILE-002: plan risk needs premium_monthly (of the policy) or member_premium (of each member)",
            remedy="rename or add the column",
        )
    if "rating_area_id" not in source.columns:
        raise InputRefused(
            "missing column 'rating_area_id'",
            where=TABLE,
            rule="FILE-002: plans are settled by rating area",
            remedy="add the area of each policy, at least on the subscriber's row",
        )
    return column


def premium_cents(covered: CoveredSpans, source: pl.DataFrame, findings: Findings) -> tuple[Integers, Flags]:
    """Return the monthly premium of each row in cents (absent: 0), and where one is given.

    ``premium_monthly`` is the policy's, on any of its rows, which add up; without that column ``member_premium`` of
    each member is taken.
    """
    import polars as pl

    column = premium_column(source)
    series = source[column]
    if not (series.dtype.is_numeric() or series.dtype == pl.Null):
        raise InputRefused(
            f"column {column!r} is {series.dtype}, not a number",
            where=f"{TABLE}, column {column}",
            rule="FILE-002: a required column has its declared type",
            remedy="use dollars and cents a month, as decimals or numbers",
        )
    dollars = series.gather(covered.spans.row).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    is_given = ~np.isnan(dollars)
    covered.refuse("SPAN-021", is_given & ~((dollars >= 0) & (dollars < _HIGHEST_PREMIUM)), source, findings)
    usable = is_given & ~covered.out
    scaled = np.where(usable, dollars, 0.0) * 100
    cents = np.floor(scaled + 0.5 + 1e-6)
    fractional = np.abs(scaled - np.rint(scaled)) > 1e-6 + scaled * 1e-15
    findings.note("PLR-015", TABLE, int((fractional & usable).sum()))
    return cents.astype(np.int64), usable
