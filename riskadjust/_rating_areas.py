"""The rating area of every policy: the subscriber's, on each day of the year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _frames
from data_specs._policy import canonical_rating_areas
from riskadjust._distinct import distinct_texts
from riskadjust._member_spans import TABLE

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from riskadjust._findings import Findings
    from riskadjust._member_spans import CoveredSpans, Policies
    from riskadjust._plan_table import Plans

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["RatingAreas", "rating_areas"]

_NOWHERE, _MOVING = -1, -2


@dataclass(frozen=True)
class RatingAreas:
    """The areas of policies.

    Attributes
    ----------
    names : Series
        Canonical ids, sorted; areas below are positions in it.
    by_policy : array of int
        The one area of a policy, or that there is none (-1), or that it changes in the year (-2).
    own : array of int
        The area of a span's own row where no subscriber says one, else -1.
    donor_policy, donor_day, donor_area : array of int
        From which day on which area holds, in order of policy and day.
    """

    names: pl.Series
    by_policy: Integers
    own: Integers
    donor_policy: Integers
    donor_day: Integers
    donor_area: Integers

    @property
    def moves(self) -> Flags:
        """Whether the area of each policy changes in the year."""
        return np.asarray(self.by_policy == _MOVING)

    def on(self, policy: Integers, span: Integers, day: Integers) -> Integers:
        """Return the area of some spans on a day."""
        area = self.by_policy[policy]
        moving = np.flatnonzero(area == _MOVING)
        if len(moving):
            low = int(min(self.donor_day.min(), day.min()))
            width = int(max(self.donor_day.max(), day.max())) - low + 1
            keys = self.donor_policy * width + (self.donor_day - low)
            wanted = policy[moving] * width + (day[moving] - low)
            # The last word before the day; before the first word, the first.
            latest = np.searchsorted(keys, wanted, "right") - 1
            first = np.searchsorted(keys, policy[moving] * width)
            area[moving] = self.donor_area[np.maximum(latest, first)]
        return np.where(self.own[span] >= 0, self.own[span], area)


def rating_areas(
    covered: CoveredSpans, policy: Policies, source: pl.DataFrame, plans: Plans, findings: Findings
) -> RatingAreas:
    """Return the rating area of every policy within a plan.

    It is the policyholder's (45 CFR 147.102(b)): the subscriber's row speaks for the whole policy from its first day
    on. Where no subscriber's row says an area, rows keep their own, and rows without one take another row's. Rows for
    which no area can be told are refused (SPAN-015).
    """
    spans = covered.spans
    names, given, is_unread = _given_areas(covered, source, plans)
    number = int(policy.group.max(initial=-1)) + 1
    of_subscriber = policy.is_subscriber & (given >= 0)
    has_subscriber = np.zeros(number, bool)
    has_subscriber[policy.group[of_subscriber]] = True
    is_led = has_subscriber[policy.group]
    donors = np.flatnonzero(np.where(is_led, of_subscriber, given >= 0))
    donors = donors[np.lexsort((given[donors], spans.start[donors], policy.group[donors]))]
    highest = np.full(number, _NOWHERE, np.int64)
    np.maximum.at(highest, policy.group[donors], given[donors])
    lowest = highest.copy()
    np.minimum.at(lowest, policy.group[donors], given[donors])
    by_policy = np.where(lowest == highest, highest, _MOVING)
    is_led_by_other = is_led & ~policy.is_subscriber & ~covered.out
    differs = (given >= 0) & (by_policy[policy.group] >= 0) & (given != by_policy[policy.group])
    findings.note("PLR-018", TABLE, int((is_led_by_other & (differs | is_unread)).sum()))
    covered.refuse("SPAN-015", by_policy[policy.group] == _NOWHERE, source, findings)
    return RatingAreas(
        names,
        by_policy,
        np.where(is_led, _NOWHERE, given),
        policy.group[donors],
        spans.start[donors].astype(np.int64),
        given[donors],
    )


def _given_areas(covered: CoveredSpans, source: pl.DataFrame, plans: Plans) -> tuple[pl.Series, Integers, Flags]:
    """Return the canonical areas, each span's position among them (-1: none), and where a text names no area."""
    import polars as pl

    column = "rating_area_id"
    numbers_too = source.with_columns(pl.col(column).cast(pl.String)) if source[column].dtype.is_integer() else source
    texts = _frames.text_column(numbers_too, TABLE, column).gather(covered.spans.row)
    distinct, text = distinct_texts(texts)
    states, state = np.unique(plans.frame["state"].to_numpy(), return_inverse=True)
    number = max(len(states), 1)
    combined = text.astype(np.int64) * number + (state[covered.plan] if len(state) else 0)
    keys, row = np.unique(combined, return_inverse=True)
    said = distinct.gather(keys // number)
    areas = canonical_rating_areas(said, pl.Series(states, dtype=pl.String).gather(keys % number))
    names = areas.drop_nulls().unique().sort()
    code = areas.to_frame("area").join(
        names.to_frame("area").with_row_index("code"), on="area", how="left", maintain_order="left"
    )
    codes = code["code"].cast(pl.Int64).fill_null(_NOWHERE).to_numpy()
    is_blank = (said.str.strip_chars() == "").fill_null(True).to_numpy()
    return names, codes[row], (~is_blank & (codes < 0))[row]
