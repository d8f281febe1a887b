"""Who of a policy is billable on which days, and at which factor: spans cut where the composition changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _registry
from data_specs._policy import RatingRules, charged_by_age, family_charges, stretches
from data_specs.errors import TableMissing
from riskadjust._plan_table import UncertainUse, rows_of_uncertain

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from riskadjust._member_spans import CoveredSpans, Policies
    from riskadjust._plan_risk_settings import PlanRiskSettings
    from riskadjust._plan_table import Plans
    from riskadjust._rating_areas import RatingAreas

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Charges", "Pieces"]

_CHILDREN_PARAMETER = "max_billable_children_under_21_per_family"


@dataclass(frozen=True)
class Pieces:
    """Spans, or pieces of them: position of the span, days, who is billable at which factor, in which area."""

    span: Integers
    start: Integers
    end: Integers
    billable: Flags
    millionths: Integers
    sharers: Integers
    area: Integers
    is_child_left_out: Flags
    uses_option: Flags

    def take(self, chosen: Flags | Integers) -> Pieces:
        """Return some of the pieces, by mask or by number."""
        return Pieces(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def joined(self) -> Pieces:
        """Return the pieces with neighbors of one span joined that are alike but for their days."""
        same = np.ones(max(len(self.span) - 1, 0), bool)
        for name in ("span", "billable", "millionths", "sharers", "area", "is_child_left_out", "uses_option"):
            values = getattr(self, name)
            same &= values[1:] == values[:-1]
        if not same.any():
            return self
        first = np.flatnonzero(np.append(True, ~same))
        last = np.append(first[1:], len(self.span)) - 1
        joined = self.take(first)
        return Pieces(**{**joined.__dict__, "end": self.end[last]})


@dataclass(frozen=True)
class Charges:
    """Who of a policy is billable, and at which factor."""

    covered: CoveredSpans
    policy: Policies
    plans: Plans
    areas: RatingAreas
    ages: Integers
    births: Integers
    rules: RatingRules
    settings: PlanRiskSettings
    benefit_year: int

    def pieces(self) -> Pieces:
        """Return all spans, cut where the set of covered members of their policy changes and that matters."""
        spans, group = self.covered.spans, self.policy.group
        market = self._market()
        has_tiers = np.array([tiers is not None for _, _, tiers, _ in self.plans.markets], bool)
        tiered = has_tiers[market] if len(market) else np.zeros(0, bool)
        most = self._most_children()
        number = int(group.max(initial=-1)) + 1
        is_cut = np.bincount(group[self.ages < self.rules.child_below_age], minlength=number) > most
        is_cut[group[tiered]] = True
        is_cut |= self.areas.moves
        cut = np.flatnonzero(is_cut[group])
        row, stretch, start, end = stretches(
            group[cut], spans.start[cut].astype(np.int64), spans.end[cut].astype(np.int64)
        )
        whole = np.flatnonzero(~is_cut[group])
        span = np.concatenate([cut[row], whole])
        begins = np.concatenate([start, spans.start[whole].astype(np.int64)])
        pieces = Pieces(
            span=span,
            start=begins,
            end=np.concatenate([end, spans.end[whole].astype(np.int64)]),
            billable=np.ones(len(span), bool),
            millionths=self._age_factors(market, span),
            sharers=np.ones(len(span), np.int64),
            area=self.areas.on(group[span], span, begins),
            is_child_left_out=np.zeros(len(span), bool),
            uses_option=np.zeros(len(span), bool),
        )
        self._charge(pieces, stretch, market, tiered, most)
        order = np.lexsort((pieces.start, pieces.span))
        return pieces.take(order).joined()

    def _market(self) -> Integers:
        numbers = self.plans.frame["market_index"].to_numpy()
        return np.asarray(numbers[self.covered.plan], dtype=np.int64)

    def _age_factors(self, market: Integers, span: Integers) -> Integers:
        """Return the age factor of each piece; those of family-tier states are replaced later."""
        factors = np.zeros(len(market), np.int64)
        for index, (_, _, _, curve) in enumerate(self.plans.markets):
            rows = np.flatnonzero(market == index)
            factors[rows] = curve.at(self.ages[rows])
        return factors[span]

    def _charge(self, pieces: Pieces, stretch: Integers, market: Integers, tiered: Flags, most: int) -> None:
        """Work out who is billable in the cut policies, stretch by stretch; the pieces stand first."""
        cut = pieces.span[: len(stretch)]
        ages, births, owner = self.ages[cut], self.births[cut], self.covered.spans.owner[cut]
        by_age = np.flatnonzero(~tiered[cut])
        charged = charged_by_age(
            stretch[by_age],
            ages[by_age],
            births[by_age],
            owner[by_age],
            child_below_age=self.rules.child_below_age,
            most_children=most,
        )
        pieces.billable[by_age] = charged
        pieces.is_child_left_out[by_age] = ~charged
        for index, (_, _, tiers, _) in enumerate(self.plans.markets):
            rows = np.flatnonzero(market[cut] == index)
            if tiers is None or not len(rows):
                continue
            family = family_charges(
                np.unique(stretch[rows], return_inverse=True)[1].astype(np.int64),
                self.policy.relationship[cut[rows]],
                ages[rows],
                births[rows],
                owner[rows],
                tiers=tiers,
                rules=self.rules,
                children_counted=self.settings.family_tier_billable_children,
            )
            pieces.billable[rows] = family.charged
            pieces.millionths[rows] = family.millionths
            pieces.sharers[rows] = np.maximum(family.sharers, 1)
            pieces.uses_option[rows] = family.uses_option

    def _most_children(self) -> int:
        chosen = self.settings.max_billable_children_under_21_per_family
        if chosen is not None:
            return chosen
        return int(self._children_row()["value"][0])

    def _children_row(self) -> pl.DataFrame:
        frame = _registry.table("transfers/program_parameters", year=self.benefit_year)
        rows = frame.filter(frame["parameter"] == _CHILDREN_PARAMETER)
        if rows.height == 0:
            raise TableMissing(
                f"transfers/program_parameters has no {_CHILDREN_PARAMETER} for {self.benefit_year}",
                rule="a year is used only with its own published figures",
                remedy=f"supply the row, or the setting {_CHILDREN_PARAMETER}",
            )
        return rows

    def without_tier(self, pieces: Pieces) -> Flags:
        """Return the spans of policies that no published tier fits on some day."""
        bad = np.zeros(int(self.policy.group.max(initial=-1)) + 1, bool)
        bad[self.policy.group[pieces.span[pieces.millionths == 0]]] = True
        return np.asarray(bad[self.policy.group])

    def uncertain(self, pieces: Pieces) -> pl.DataFrame:
        """Return the uncertain figures that took part, with the number of lines they moved."""
        market = self._market()[pieces.span]
        uses: list[UncertainUse] = []
        for index, (state, name, tiers, curve) in enumerate(self.plans.markets):
            here = market == index
            place = f"{state}, {name}"
            merged = here & (self.plans.frame["risk_pool"] == "merged").to_numpy()[self.covered.plan[pieces.span]]
            if state in self.plans.merged_uncertain:
                uses.append(
                    ("transfers/merged_markets", f"{place}: merged by a row marked uncertain", int(merged.sum()))
                )
            if tiers is None:
                if curve.is_uncertain:
                    what = f"{place}: age curve {curve.curve_id} marked uncertain"
                    uses.append(("rating/age_curve_assignment", what, int((here & pieces.billable).sum())))
                continue
            rule = (
                f"{place}: billable members share the tier, {self.settings.family_tier_billable_children} child counted"
            )
            uses.append(("rating/family_tiers", rule + " (rule not read)", int(here.sum())))
            if tiers.uncertain:
                what = f"{place}: {', '.join(tiers.uncertain)} marked uncertain"
                uses.append(("rating/family_tiers", what, int((here & pieces.uses_option).sum())))
        is_from_table = self.settings.max_billable_children_under_21_per_family is None
        if is_from_table and self._children_row()["verification"][0] == "uncertain":
            left_out = int(pieces.is_child_left_out.sum())
            uses.append(("transfers/program_parameters", f"{_CHILDREN_PARAMETER} marked uncertain", left_out))
        return rows_of_uncertain(uses)
