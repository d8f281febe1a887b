"""Whom the conditions of a rule pick out: columns of all frames brought to the member lines and to where they move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs.errors import InputRefused
from riskadjust._mix_columns import CodedColumn, ListColumn, coded, risk_deciles
from riskadjust._mix_households import dense_ranks
from riskadjust._mix_rules import Condition, Rule

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._mix_base import MixBase

__all__ = ["Segments"]

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

# Columns of the member lines, by the name that a condition uses.
_OF_LINES = {
    "enrollee_id": "enrollee_id",
    "policy_id": "policy_id",
    "relationship": "relationship",
    "rating_area_id": "rating_area_id",
    "rating_age": "rating_age",
    "billable": "billable",
    "csr_factor": "csr_factor",
    "csr_adjusted_score": "adjusted_score",
}
_OF_PLANS = ("plan_id", "issuer_id", "state", "market", "metal_level", "risk_pool")  # these follow a move
_MADE = ("age_band", "months", "risk_decile", "risk_score")
_VARIANT = "csr_variant"
_MOST_MASKS = 256


@dataclass
class Segments:
    """The conditions of rules, tested on lines; columns are brought in when they are first named.

    Attributes
    ----------
    base : MixBase
        The lines, and where each stands in the frames it comes from.
    scores, enrollees, spans, plans : DataFrame
        The frames as they were handed in.
    """

    base: MixBase
    scores: pl.DataFrame
    enrollees: pl.DataFrame
    spans: pl.DataFrame
    plans: pl.DataFrame
    _columns: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _masks: dict[Condition, Flags] = field(default_factory=dict)
    _last: tuple[tuple[Condition, ...], Integers] = ((), np.zeros(0, np.int64))

    def names(self) -> list[str]:
        """Return the columns that a condition may name."""
        frames = (self.scores, self.spans, self.enrollees, self.plans)
        return sorted({*_OF_LINES, *_OF_PLANS, *_MADE, _VARIANT, *(c for f in frames for c in f.columns)})

    def of_lines(self, rule: Rule) -> Integers:
        """Return the lines that a rule picks out where they are in the base."""
        tests = tuple(_without_row(c) for c in rule.conditions if c.operator != "all")
        # Moves that spread over many plans are many rules with the same conditions, one after the other.
        if not tests or self._last[0] != tests:
            chosen: Flags = np.ones(len(self.base.plan), bool)
            for condition in tests:
                chosen = chosen & self._mask(condition)
            self._last = (tests, np.flatnonzero(chosen))
        return self._last[1]

    def of_moved(self, rule: Rule, line: Integers, plan: Integers) -> Flags:
        """Return which lines that have moved to other plans a rule picks out there."""
        chosen: Flags = np.ones(len(line), bool)
        for condition in rule.conditions:
            if condition.operator == "all":
                continue
            if not chosen.any():
                break
            kind, column = self._column(condition)
            if kind == "plan":
                chosen &= column.flags_of_values(condition)[column.codes[plan]]
            elif kind == "variant":
                chosen &= column.flags_of_values(condition)[self.base.variant_on(line, plan)]
            else:
                chosen &= self._mask(condition)[line]
        return chosen

    def check(self, rule: Rule) -> None:
        """Refuse a rule whose columns or values do not exist, before anything is computed."""
        for condition in rule.conditions:
            if condition.operator != "all":
                self._mask(condition)

    def _mask(self, condition: Condition) -> Flags:
        key = _without_row(condition)
        if key not in self._masks:
            kind, column = self._column(condition)
            if len(self._masks) >= _MOST_MASKS:
                del self._masks[next(iter(self._masks))]
            if kind == "plan":
                mask = column.flags_of_values(condition)[column.codes[self.base.plan]]
            elif kind == "variant":
                mask = column.flags_of_values(condition)[self.base.variant]
            else:
                mask = column.mask(condition)
            self._masks[key] = mask
        return self._masks[key]

    def _column(self, condition: Condition) -> tuple[str, Any]:
        name = condition.column
        if name not in self._columns:
            found = self._found(name)
            if found is None:
                raise InputRefused(
                    f"column {name!r} is in none of the frames" + _hint(name),
                    where=f"mixes, row {condition.row}, column column",
                    remedy="name one of: " + ", ".join(self.names()),
                )
            self._columns[name] = found
        return self._columns[name]

    def _found(self, name: str) -> tuple[str, CodedColumn | ListColumn] | None:
        """Return a column by name, and what its codes belong to: lines, plans or variants."""
        base, lines = self.base, self.base.member.lines
        everyone = np.arange(lines.height)
        if name == _VARIANT:
            return "variant", coded(base.variants.alias(name), np.arange(len(base.variants)))
        if name in _OF_PLANS:
            return "plan", coded(base.member.plans[name], np.arange(base.member.plans.height))
        if name in _OF_LINES:
            return "line", coded(lines[_OF_LINES[name]].alias(name), everyone)
        if name in _MADE:
            made = self._made(name)
            return None if made is None else ("line", coded(made, everyone))
        for frame, where in (
            (self.scores, base.score_row),
            (self.spans, base.span_row),
            (self.enrollees, base.enrollee_row),
        ):
            if name in frame.columns:
                return "line", coded(frame[name], where())
        if name in self.plans.columns:
            return "plan", coded(self.plans[name], base.plan_row(self.plans))
        return None

    def _made(self, name: str) -> pl.Series | None:
        """Return a column that is made from the lines."""
        import polars as pl

        base, lines = self.base, self.base.member.lines
        if name == "months":
            # A span is several lines where its household changes: its months are one figure all the same.
            span = base.span_row()
            whole = np.bincount(span[span >= 0], base.thirtieths[span >= 0], self.spans.height)
            return pl.Series(name, np.where(span >= 0, whole[np.maximum(span, 0)], base.thirtieths) / 30)
        milli = lines["score_thousandths"].to_numpy()
        if name == "risk_score":
            return pl.Series(name, milli / 1000)
        if name == "risk_decile":
            pool = dense_ranks(lines["state"]) * 16 + dense_ranks(lines["risk_pool"])
            return pl.Series(name, risk_deciles(pool, milli, lines["month_thirtieths"].to_numpy()))
        if not {"model", "age_last"} <= set(self.scores.columns):
            return None
        given = self.scores.select("model", pl.col("age_last").cast(pl.Int64))
        bands = _age_bands(base.member.benefit_year)
        labels = given.join(bands, on=["model", "age_last"], how="left", maintain_order="left", validate="m:1")["label"]
        where = base.score_row()
        return labels.gather(np.maximum(where, 0)).set(pl.Series(where < 0), None)


def _without_row(condition: Condition) -> Condition:
    """Return a condition without the row that it stands in: what it tests."""
    return Condition(condition.column, condition.operator, condition.value, 0)


def _hint(name: str) -> str:
    return " (score with explain=True)" if name in ("hccs", "rxcs", "variables") else ""


def _age_bands(benefit_year: int) -> pl.DataFrame:
    """Return model, age_last, label: the age bands of the year's models, such as 21-24 or 60+."""
    import polars as pl

    bands = _registry.table("hhs_hcc/demographic_bands", year=benefit_year)
    bands = bands.select("model", "age_min", "age_max").unique().sort("model", "age_min")
    rows = []
    for model, low, high in bands.rows():
        label = f"{low}+" if high is None else f"{low}-{high}" if high > low else f"{low}"
        rows += [(model, age, label) for age in range(low, (130 if high is None else high) + 1)]
    schema = {"model": pl.String, "age_last": pl.Int64, "label": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")
