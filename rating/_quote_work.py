"""The work of quoting: household by plan, place by place, in chunks of a fixed size over the threads at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import RatingRules
from data_specs._threads import map_chunks
from rating._assistance import CATASTROPHIC
from rating._benchmark_policies import places_of
from rating._credit import COVERED as CONTRIBUTION_COVERS
from rating._credit import CREDIT, NO_BENCHMARK
from rating._credit_amounts import apportioned, ehb_part
from rating._figures import Figures
from rating._households import TABLE, Homes
from rating._policy_premiums import ehb_premiums
from rating._quote_credit import (
    CATASTROPHIC_METAL,
    NO_CREDIT_METAL,
    NOT_PUBLISHED,
    OFF_EXCHANGE,
    OUTSIDE,
    SILVER_METAL,
    UNKNOWN_METAL,
    UNSAID,
    Benchmark,
    HomeCredit,
    benchmark_of,
    home_credit,
    plan_classes,
)
from rating._quote_prices import Group, Priced, Pricing, member_codes
from rating._quote_rates import OnSale
from rating._quote_settings import QuoteSettings
from rating._second_lowest import NOT_OFFERED
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CELLS", "Work"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CELLS = 1 << 18  # households x plans worked on at a time; results do not depend on it
NOT_RATED, UNDER_AGE, NO_SILVER, SINGLE_SILVER, NOT_HERE, NO_PLAN, NO_TIER, NO_RATE, CLOSED = (
    f"QTE-0{n}" for n in (14, 15, 17, 18, 19, 20, 21, 22, 23)
)
PLACE_TOO_WIDE, NO_PERCENTAGES, BY_PROXY = "QTE-028", "QTE-030", "QTE-031"
_NONE = -1


@dataclass(frozen=True, slots=True)
class _Slice:
    """Households `start` to `stop` of one place, and the offers of the place."""

    area: str
    start: int
    stop: int
    offers: Integers


class Work:
    """Quotes of one batch of households, as arrays.

    Attributes
    ----------
    count, offset : array of int
        How many plans each household is quoted, and where its first one stands, by household_id.
    premium, credit, note, offer : array of int
        Household x plan: cents, cents, position in NOTES, row of the offers.
    keep : array of bool
        Which household x plan is a quote: the plan has a rate for all members and is open to them.
    benchmark, benchmark_offer : array of int
        By household: cents, and the offer that is the benchmark; -1 where there is none.
    is_mixed : array of bool
        Whether a policy covers members with and without the credit.
    """

    def __init__(
        self,
        sale: OnSale,
        homes: Homes,
        plan_year: int,
        rules: RatingRules,
        settings: QuoteSettings,
        figures: Figures,
    ) -> None:
        self.sale, self.homes, self.rules, self.settings = sale, homes, rules, settings
        self.figures = figures
        self.plan_year = plan_year
        self.number = len(homes.income)
        self.by_credit: HomeCredit = home_credit(homes, plan_year, settings, figures)
        self.codes, self.not_rated, self.under_age = member_codes(homes, sale, with_tobacco=True)
        plain = member_codes(homes, sale, with_tobacco=False)[0]
        child_rules = np.unique(sale.most_children).tolist()
        covered, eligible = homes.covered, homes.is_eligible
        has_eligible = np.bincount(covered.policy[eligible], minlength=self.number) > 0
        self._pricing = Pricing(sale, rules, settings, homes.quarter)
        self.group = Group(covered, self.codes, child_rules, rules)
        self._own = self._others = None
        self.is_mixed = np.zeros(self.number, bool)
        if settings.market == "individual":
            self._own = Group.of_members(covered, plain, eligible, child_rules, rules)
            mixed = ~eligible & has_eligible[covered.policy]
            self.is_mixed[covered.policy[mixed]] = True
            self._others = Group.of_members(covered, plain, mixed, child_rules, rules) if mixed.any() else None
        self.class_of_offer = plan_classes(sale.metal, sale.on_exchange)
        self._has_eligible = has_eligible
        self.has_benchmark_wanted = has_eligible & (settings.market == "individual")
        self.benchmark = np.full(self.number, _NONE, np.int64)
        self.benchmark_offer = np.full(self.number, _NONE, np.int64)
        self._is_single, self._is_proxy = np.zeros(self.number, bool), np.zeros(self.number, bool)
        self._no_tier = np.zeros(self.number, bool)
        self._uses_option = np.zeros(self.number, bool)
        self._too_wide = np.zeros(self.number, bool)
        self._lacks_rate = np.zeros(self.number, np.int64)
        self._closed = np.zeros(self.number, np.int64)

    # -------------------------------------------------------------------------------------------- running

    def run(self, served: pl.DataFrame | None) -> None:
        """Price every household; `served` says where plans are sold."""
        slices, count = self._slices(served)
        rank = self.homes.frame["rank"].to_numpy()
        by_rank = np.zeros(self.number, np.int64)
        by_rank[rank] = count
        self.count = count
        self.offset = (np.cumsum(by_rank) - by_rank)[rank]
        rows = int(count.sum())
        self.premium, self.credit = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self.note_codes = np.zeros(rows, np.int8)
        self.offer, self.keep = np.zeros(rows, np.int32), np.zeros(rows, bool)
        self._asked = self._asked_plans()
        map_chunks(lambda i: self._price(slices[i]), range(len(slices)))

    def _slices(self, served: pl.DataFrame | None) -> tuple[list[_Slice], Integers]:
        """Return the places cut into slices of a fixed size, and how many plans each household may have."""
        place_of = {area: i for i, area in enumerate(self.sale.area_ids)}
        slices, count = [], np.zeros(self.number, np.int64)
        for place in places_of(self.homes.frame, served):
            at = place_of.get(place.area)
            self._too_wide[place.first : place.stop] = place.is_unknown
            if at is None or place.is_unknown:
                continue
            offers = np.arange(self.sale.first[at], self.sale.first[at + 1])
            if place.plan_ids is not None:
                offers = offers[self.sale.plan_ids[offers].is_in(place.plan_ids.implode()).to_numpy()]
            if len(offers) == 0:
                continue
            count[place.first : place.stop] = len(offers)
            step = max(CELLS // len(offers), 1)
            slices += [
                _Slice(place.area, start, min(start + step, place.stop), offers)
                for start in range(place.first, place.stop, step)
            ]
        return slices, count

    def _asked_plans(self) -> Integers | None:
        """Return the number of the plan that each household asks for; -1: all of them, -2: one that is not on sale."""
        import polars as pl

        asked = self.homes.frame["plan_id"]
        if asked.null_count() == len(asked):
            return None
        plans = self.sale.plans
        number = asked.replace_strict(plans, pl.int_range(len(plans), eager=True), default=-2, return_dtype=pl.Int64)
        return number.set(asked.is_null(), _NONE).fill_null(_NONE).to_numpy()

    def _price(self, part: _Slice) -> None:
        start, stop, offers = part.start, part.stop, part.offers
        state = part.area[2:4]
        gross = self._pricing.premiums(self.group, start, stop, offers, state)
        # Every household has a covered member: its rows are all of the slice.
        offered = gross.cents < NOT_OFFERED
        self._no_tier[start:stop], self._uses_option[start:stop] = ~gross.has_tier, gross.uses_option
        classes = self.class_of_offer[offers]
        is_catastrophic = self.sale.metal[offers] == CATASTROPHIC
        closed = is_catastrophic[None, :] & ~self.by_credit.opens_catastrophic[start:stop, None]
        wanted = np.ones_like(offered)
        if self._asked is not None:
            asked = self._asked[start:stop, None]
            wanted = (asked == _NONE) | (asked == self.sale.plan[offers][None, :])
        self._lacks_rate[start:stop] = np.count_nonzero(~offered & wanted & gross.has_tier[:, None], axis=1)
        self._closed[start:stop] = np.count_nonzero(closed & offered & wanted, axis=1)
        premium = np.where(offered, gross.cents, 0)
        others = self._benchmarks(part, state)
        credit, note = self._credits(part, premium, others, classes)
        for flat, values in (
            (self.premium, premium),
            (self.credit, credit),
            (self.note_codes, note),
            (self.offer, np.broadcast_to(offers, premium.shape)),
            (self.keep, offered & ~closed & wanted),
        ):
            self._put(flat, part, values)

    def _put(self, flat: NDArray[Any], part: _Slice, values: NDArray[Any]) -> None:
        """Write a matrix of households x plans to the places of its rows."""
        offset, plans = self.offset[part.start : part.stop], len(part.offers)
        if (np.diff(offset) == plans).all():
            flat[offset[0] : offset[-1] + plans] = values.ravel()
            return
        flat[offset[:, None] + np.arange(plans)] = values

    # -------------------------------------------------------------------------------------------- credits

    def _benchmarks(self, part: _Slice, state: str) -> Integers | None:
        """Find the benchmark of each household; return that of members without a credit, where they share a policy.

        Theirs is 0 where there are none, and -1 where it is not known.
        """
        if self._own is None:
            return None
        silver = part.offers[self.class_of_offer[part.offers] == SILVER_METAL]
        found, priced = self._second(self._own, part, silver, state)
        at = part.start + priced.homes
        has_one = found.cents < NOT_OFFERED
        self.benchmark[at] = np.where(has_one, found.cents, _NONE)
        if len(silver):
            self.benchmark_offer[at] = np.where(has_one, silver[found.plan], _NONE)
        self._is_single[at] = found.is_single
        by_proxy = at[found.is_missing & self.homes.has_proxy[at]]
        self.benchmark[by_proxy], self._is_proxy[by_proxy] = self.homes.proxy[by_proxy], True
        if self._others is None:
            return None
        found, priced = self._second(self._others, part, silver, state)
        others = np.zeros(part.stop - part.start, np.int64)
        others[priced.homes] = np.where(found.cents < NOT_OFFERED, found.cents, _NONE)
        return others

    def _second(self, group: Group, part: _Slice, silver: Integers, state: str) -> tuple[Benchmark, Priced]:
        priced = self._pricing.premiums(group, part.start, part.stop, silver, state)
        premiums = ehb_premiums(priced.cents, self.sale.ehb_share[silver])
        return benchmark_of(premiums, self.settings), priced

    def _credits(
        self, part: _Slice, premium: Integers, others: Integers | None, classes: Integers
    ) -> tuple[Integers, NDArray[np.int8]]:
        """Return credits (cents; -1: not known) and notes, households x plans."""
        rows = slice(part.start, part.stop)
        home_note = self.by_credit.note[rows].copy()
        benchmark, monthly = self.benchmark[rows], self.by_credit.monthly[rows]
        home_note[(home_note == CREDIT) & (benchmark == _NONE)] = NO_BENCHMARK
        gap = np.maximum(benchmark - 100 * monthly, 0)
        home_note[(home_note == CREDIT) & (gap == 0)] = CONTRIBUTION_COVERS
        limit = ehb_part(premium, np.broadcast_to(self.sale.ehb_share[part.offers], premium.shape))
        if others is not None:
            limit = apportioned(limit, np.maximum(benchmark, 0)[:, None], np.maximum(others, 0)[:, None])
            # Without the others' benchmark the eligible members' part of the premium is not known.
            home_note[(home_note == CREDIT) & (others == _NONE)] = NO_BENCHMARK
        due = (home_note == CREDIT)[:, None]
        credit = np.where(due, np.minimum(limit, gap[:, None]), 0)
        unknown = ~self.by_credit.is_known[rows] | (home_note == NO_BENCHMARK)
        credit[unknown] = _NONE
        note = np.broadcast_to(home_note.astype(np.int8)[:, None], premium.shape).copy()
        if self._own is not None:
            for name, code in ((OUTSIDE, OFF_EXCHANGE), (CATASTROPHIC_METAL, NO_CREDIT_METAL)):
                at = classes == name
                credit[:, at], note[:, at] = 0, code
            unsaid = classes == UNSAID
            credit[:, unsaid], note[:, unsaid] = _NONE, UNKNOWN_METAL
        else:
            credit[:] = 0
        return credit, note

    # -------------------------------------------------------------------------------------------- noticing

    def note(self, findings: Findings) -> None:
        """Count what was noticed, set aside households without a quote, put down uncertain figures."""
        homes = self.homes
        total = np.append(0, np.cumsum(self.keep))
        self.kept = total[self.offset + self.count] - total[self.offset]
        has_quote = self.kept > 0
        asks = homes.frame["plan_id"].is_not_null().to_numpy()
        left = ~has_quote
        for rule_id, which in (
            (PLACE_TOO_WIDE, self._too_wide),
            (NO_TIER, self._no_tier),
            (NOT_HERE, asks & (self._lacks_rate + self._closed == 0)),
            (CLOSED, self._closed > 0),
            (NO_RATE, self._lacks_rate > 0),
            (NO_PLAN, np.ones(self.number, bool)),
        ):
            out = np.zeros(homes.rows.homes, bool)
            out[homes.source[left & which]] = True
            homes.rows.set_aside(rule_id, out)
            left &= ~which
        covered = homes.covered.policy
        findings.note(NOT_RATED, TABLE, int((self.not_rated & has_quote[covered]).sum()))
        findings.note(UNDER_AGE, TABLE, int((self.under_age & has_quote[covered]).sum()))
        asked = self.has_benchmark_wanted & has_quote
        findings.note(NO_SILVER, TABLE, int((asked & (self.benchmark == _NONE) & ~self._is_single).sum()))
        findings.note(SINGLE_SILVER, TABLE, int((asked & self._is_single).sum()))
        findings.note(BY_PROXY, TABLE, int((asked & self._is_proxy).sum()))
        findings.note(NO_RATE, _CELLS, int(self._lacks_rate[has_quote].sum()))
        findings.note(CLOSED, _CELLS, int(self._closed[has_quote].sum()))
        unpublished = has_quote & homes.has_income & (self.by_credit.note == NOT_PUBLISHED)
        findings.note(NO_PERCENTAGES, TABLE, int(unpublished.sum()))
        self._put_down(has_quote)

    def _put_down(self, has_quote: Flags) -> None:
        """Put down the uncertain figures of states that took part."""
        states = self.homes.frame["area"].str.slice(2, 2)
        users = np.bincount(self.homes.covered.policy[self.homes.uses_tobacco], minlength=self.number) > 0
        for state, factors in self.sale.factors.items():
            here = (states == state).to_numpy() & has_quote
            rows = int(self.kept[here].sum())
            if self.sale.bases is not None and factors.curve.is_uncertain:
                self.figures.put_down(_CURVES, f"curve {factors.curve.curve_id} of {state}", _PREMIUM, rows)
            read = factors.as_of[_TOBACCO]
            if read != self.plan_year and (here & users).any():
                what = f"ceiling of {state} as of {read}"
                self.figures.put_down(_TOBACCO, what, _PREMIUM, int(self.kept[here & users].sum()))
            if factors.tiers is None:
                continue
            optional = int(self.kept[here & self._uses_option].sum())
            for tier in factors.tiers.uncertain if optional else ():
                self.figures.put_down("rating/family_tiers", f"{state}, {tier}", _PREMIUM, optional)
            for name in sorted(self.rules.uncertain) if optional else ():
                self.figures.put_down("rating/rating_rules", name, _PREMIUM, optional)


_CELLS = "households x plans"
_CURVES, _TOBACCO, _PREMIUM = "rating/age_curves", "rating/tobacco_limits", "premium_monthly"
