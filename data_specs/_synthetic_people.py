"""The people of a made-up market: households, their plans, their coverage over the year, their birth dates.

Everything is an array: one entry per policy or one per enrollee. Days are counted from 1 January of the benefit year,
which is day 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs import _synthetic_assumptions as assumed
from data_specs import _synthetic_plan_assumptions as assumed_plans
from data_specs._synthetic_draws import Draws, Flags, Integers
from data_specs._synthetic_offers import Offers, draw_choices

__all__ = [
    "CHILD",
    "SELF",
    "SPOUSE",
    "Calendar",
    "Coverage",
    "Households",
    "People",
    "draw_coverage",
    "draw_households",
    "draw_people",
]

MALE, FEMALE = 0, 1
SELF, SPOUSE, CHILD = 0, 1, 2
LEFT_OUT = -1  # a second stretch of coverage that a policy does not have


@dataclass(frozen=True, slots=True)
class Calendar:
    """The benefit year in days since 1970-01-01."""

    year: int
    first: int
    days: int

    @classmethod
    def of(cls, year: int) -> Calendar:
        """Return the calendar of a benefit year."""
        first, following = january_first(np.array([year, year + 1]))
        return cls(year, int(first), int(following - first))

    def month_starts(self) -> Integers:
        """Return the day on which each of the twelve months starts, and the day after the year."""
        months = np.datetime64(f"{self.year}-01", "M") + np.arange(13)
        return months.astype("datetime64[D]").astype(np.int64) - self.first


@dataclass(frozen=True, slots=True)
class Households:
    """Who stands in which policy; ages are those reached on 31 December of the benefit year."""

    policy: Integers  # per enrollee
    relationship: Integers  # per enrollee: SELF, SPOUSE, CHILD
    sex: Integers  # per enrollee: MALE, FEMALE
    age: Integers  # per enrollee, years
    mother: Integers  # per enrollee: position of the mother of a child born in the year, else -1
    first: Integers  # per policy: position of its subscriber
    eldest: Integers  # per policy: age of its eldest adult


@dataclass(frozen=True, slots=True)
class Coverage:
    """One or two stretches of coverage per policy, as arrays of two columns, and the rating area."""

    start: Integers  # first covered day; LEFT_OUT without a second stretch
    end: Integers  # last covered day
    offer: Integers  # position among the offers (plans)
    variant: Integers  # position in VARIANTS of the plan assumptions
    area: Integers  # per policy: position among the rating areas
    area_factor: Integers  # per policy: thousandths, of its issuer in its area


@dataclass(frozen=True, slots=True)
class People:
    """What holds for each enrollee once coverage and births are known."""

    birth: Integers  # days since 1970-01-01
    age_last: Integers  # completed years on the last covered day
    start: Integers  # two columns, as in Coverage, never before birth
    length: Integers  # two columns, covered days; 0 where the stretch is absent
    newborn: Flags  # born within the benefit year

    @property
    def covered(self) -> Integers:
        """Covered days of each enrollee."""
        return np.asarray(self.length.sum(axis=1))

    def day(self, who: Integers, nth: Integers) -> Integers:
        """Return the day of the year that is the n-th covered day (from 0) of each enrollee in `who`."""
        first_length = self.length[who, 0]
        in_first = nth < first_length
        return np.asarray(np.where(in_first, self.start[who, 0] + nth, self.start[who, 1] + nth - first_length))

    def is_covered(self, who: Integers, day: Integers) -> Flags:
        """Return whether each enrollee in `who` is covered on the day of the year given for each."""
        start = self.start[who]
        return np.asarray(((start <= day[:, None]) & (day[:, None] < start + self.length[who])).any(axis=1))


def january_first(years: Integers) -> Integers:
    """Return 1 January of each year in days since 1970-01-01."""
    return (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


def draw_households(draws: Draws, enrollees: int) -> Households:
    """Return households that hold exactly `enrollees` people, the last one cut short where needed."""
    stream = draws.stream("households")
    # One policy holds at least one person, so this many policies are enough; those not needed are dropped again.
    band = stream.pick(assumed.SUBSCRIBER_AGE_WEIGHTS, enrollees)
    kind = stream.pick_by(band, assumed.HOUSEHOLD_WEIGHTS)
    has_spouse = np.array([spouse for spouse, _ in assumed.HOUSEHOLD_KINDS])[kind]
    size = 1 + has_spouse + np.array([children for _, children in assumed.HOUSEHOLD_KINDS])[kind]
    policies = int(np.searchsorted(np.cumsum(size), enrollees)) + 1
    band, has_spouse, size = band[:policies], has_spouse[:policies], size[:policies]
    size[-1] -= size.sum() - enrollees

    first = np.cumsum(size) - size
    policy = np.repeat(np.arange(policies), size)
    slot = np.arange(enrollees) - first[policy]
    relationship = np.where(slot == 0, SELF, np.where((slot == 1) & (has_spouse[policy] == 1), SPOUSE, CHILD))
    sex = _draw_sexes(draws, policy, relationship, first)
    age, adults_age = _draw_adult_ages(draws, band, policy, relationship)
    youngest, eldest = adults_age
    age = _draw_child_ages(draws, age, policy, relationship, youngest, eldest)
    mother = _mothers(age, sex, policy, relationship, first, size)
    age = np.where((relationship == CHILD) & (age == 0) & (mother < 0), 1, age)
    # Siblings are born at least nine months apart: a one-year-old beside a newborn becomes two.
    has_newborn = np.zeros(policies, dtype=bool)
    has_newborn[policy[mother >= 0]] = True
    age = np.where((relationship == CHILD) & (age == 1) & has_newborn[policy], 2, age)
    return Households(policy, relationship, sex, age, mother, first, eldest)


def _draw_sexes(draws: Draws, policy: Integers, relationship: Integers, first: Integers) -> Integers:
    stream = draws.stream("sexes")
    women = np.where(relationship == CHILD, assumed.GIRLS_SHARE, assumed.WOMEN_SHARE)
    sex = np.where(stream.chance(women, len(policy)), FEMALE, MALE)
    same = stream.chance(assumed.SAME_SEX_COUPLE_SHARE, len(policy))
    beside = sex[first][policy]
    return np.where(relationship == SPOUSE, np.where(same, beside, FEMALE - beside), sex)


def _draw_adult_ages(
    draws: Draws, band: Integers, policy: Integers, relationship: Integers
) -> tuple[Integers, tuple[Integers, Integers]]:
    stream = draws.stream("adult ages")
    is_parent = np.bincount(policy[relationship == CHILD], minlength=len(band)) > 0
    youngest = np.where(is_parent, assumed.PARENT_AGE_MINIMUM, assumed.SUBSCRIBER_AGE_BANDS[0][0])
    low = np.maximum(np.array([low for low, _ in assumed.SUBSCRIBER_AGE_BANDS])[band], youngest)
    high = np.array([high for _, high in assumed.SUBSCRIBER_AGE_BANDS])[band]
    subscriber = low + stream.below(high - low + 1, len(band))
    span = assumed.SPOUSE_AGE_GAP
    spouse = np.clip(subscriber + stream.below(2 * span + 1, len(band)) - span, youngest, assumed.OLDEST)
    age = np.where(relationship == SPOUSE, spouse[policy], subscriber[policy])
    has_spouse = np.zeros(len(band), dtype=bool)
    has_spouse[policy[relationship == SPOUSE]] = True
    other = np.where(has_spouse, spouse, subscriber)
    return age, (np.minimum(subscriber, other), np.maximum(subscriber, other))


def _draw_child_ages(
    draws: Draws, age: Integers, policy: Integers, relationship: Integers, youngest: Integers, eldest: Integers
) -> Integers:
    # A child is drawn at least 19 years younger than the younger adult, so that it may become a year older below, and
    # rarely more than 45 younger than the elder; 25 at most, so that nobody is 26 at the start of coverage.
    high = np.minimum(youngest - assumed.PARENT_AGE_MINIMUM, assumed.OLDEST_CHILD)
    low = np.minimum(np.maximum(eldest - assumed.PARENT_AGE_MAXIMUM, 0), high)
    drawn = low[policy] + draws.stream("child ages").below((high - low + 1)[policy], len(policy))
    return np.where(relationship == CHILD, drawn, age)


def _mothers(
    age: Integers, sex: Integers, policy: Integers, relationship: Integers, first: Integers, size: Integers
) -> Integers:
    fertile = (sex == FEMALE) & (age >= assumed.MOTHER_AGES[0]) & (age <= assumed.MOTHER_AGES[1])
    second = np.minimum(first + 1, first + size - 1)
    spouse_bears = fertile[second] & (relationship[second] == SPOUSE)
    mother = np.where(fertile[first], first, np.where(spouse_bears, second, LEFT_OUT))
    return np.where((relationship == CHILD) & (age == 0), mother[policy], LEFT_OUT)


def draw_coverage(
    draws: Draws, households: Households, calendar: Calendar, offers: Offers, proneness: Integers
) -> Coverage:
    """Return the stretches of coverage of every policy: late starts, early ends, changes of plan or variant, gaps.

    `proneness` is the level of each enrollee: the subscriber's takes part in the choice of the issuer.
    """
    policies = len(households.first)
    # Catastrophic coverage is for people under 30; 29 on 31 December means under 30 on every day of the year.
    all_young = (households.eldest < assumed.CATASTROPHIC_AGE_LIMIT).astype(np.int64)
    choices = draw_choices(draws, offers, households.age[households.first], proneness[households.first], all_young)
    offer, other_offer = choices.first, choices.second
    metal = offers.metal[offer]
    variant_weights = offers.market.variant_weights
    variant = draws.stream("variants").pick_by(metal, variant_weights)

    month = calendar.month_starts()
    start_month, end_month = _draw_period(draws, policies)
    end = month[end_month + 1] - 1
    stream = draws.stream("endings")
    mid_month = (end_month < 11) & stream.chance(assumed.MID_MONTH_END_SHARE, policies)
    end = np.where(mid_month, month[end_month] + 4 + stream.below(20, policies), end)

    stream = draws.stream("changes")
    change = stream.pick([weight for _, weight in assumed.CHANGES], policies)
    change_month = start_month + 1 + stream.below(np.maximum(end_month - start_month, 1), policies)
    gap_months = np.where(change == assumed.GAP, 1 + stream.below(2, policies), 0)
    resume_month = np.minimum(change_month + gap_months, 12)
    possible = (change != assumed.NO_CHANGE) & (end_month > start_month) & (month[resume_month] <= end)

    other_variant = draws.stream("variants/second").pick_by(offers.metal[other_offer], variant_weights)
    silver = metal == assumed_plans.METALS.index("silver")
    next_variant = draws.stream("variants/silver").pick_by(metal, variant_weights)
    moves = change == assumed.PLAN_CHANGE
    second_offer = np.where(moves, other_offer, offer)
    second_variant = np.where(moves, other_variant, np.where(change == assumed.VARIANT_CHANGE, next_variant, variant))
    # A change of variant alone happens to silver plans, when the income that was expected for the year changes.
    possible &= (change != assumed.VARIANT_CHANGE) | silver
    possible &= (change == assumed.GAP) | (second_offer != offer) | (second_variant != variant)

    first_end = np.where(possible, month[change_month] - 1, end)
    return Coverage(
        start=np.column_stack([month[start_month], np.where(possible, month[resume_month], LEFT_OUT)]),
        end=np.column_stack([first_end, np.where(possible, end, LEFT_OUT)]),
        offer=np.column_stack([offer, second_offer]),
        variant=np.column_stack([variant, second_variant]),
        area=choices.area,
        area_factor=choices.area_factor,
    )


def _draw_period(draws: Draws, policies: int) -> tuple[Integers, Integers]:
    stream = draws.stream("periods")
    start_month = stream.pick(assumed.START_MONTH_WEIGHTS, policies)
    end_month = stream.pick(assumed.END_MONTH_WEIGHTS, policies)
    return start_month, np.where(end_month < start_month, 11, end_month)


def draw_people(draws: Draws, households: Households, coverage: Coverage, calendar: Calendar) -> People:
    """Return birth dates, ages and covered days of every enrollee."""
    policy = households.policy
    length = np.where(coverage.start == LEFT_OUT, 0, coverage.end - coverage.start + 1)
    newborn = households.mother >= 0
    birth_day = _draw_birth_days(draws, households, coverage, length)
    year = calendar.year - households.age
    birth = january_first(year) + birth_day

    born = np.where(newborn, birth_day, 0)[:, None]
    start = np.maximum(coverage.start[policy], born)
    length = np.where(length[policy] == 0, 0, np.maximum(coverage.end[policy] - start + 1, 0))
    last = np.where(length[:, 1] > 0, start[:, 1] + length[:, 1], start[:, 0] + length[:, 0]) - 1
    not_yet = _month_and_day(calendar.first + last) < _month_and_day(birth)
    return People(birth, households.age - not_yet, start, length, newborn)


def _draw_birth_days(draws: Draws, households: Households, coverage: Coverage, length: Integers) -> Integers:
    policy, enrollees = households.policy, len(households.policy)
    stream = draws.stream("birthdays")
    day = stream.below(365, enrollees)
    # One draw per policy places all its children: same age means twins, and 97 days per year of age keep the others
    # at least nine months apart.
    shared = stream.below(365, len(households.first))[policy]
    day = np.where(households.relationship == CHILD, (shared + 97 * households.age) % 365, day)
    covered = length.sum(axis=1)
    nth = draws.stream("births").below(covered, len(covered))
    birth = np.where(nth < length[:, 0], coverage.start[:, 0] + nth, coverage.start[:, 1] + nth - length[:, 0])
    return np.where(households.mother >= 0, birth[policy], day)


def _month_and_day(days: Integers) -> Integers:
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day_of_month = (dates - months.astype("datetime64[D]")).astype(np.int64)
    return np.asarray(months.astype(np.int64) % 12 * 32 + day_of_month)
