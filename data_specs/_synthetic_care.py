"""The care of a made-up market: who has which condition, visits, diagnoses, drugs.

Records are held as one whole number each (person, day, code), so that sorting and removing repeats is one pass over one
array, whatever the size of the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_specs import _synthetic_assumptions as assumed
from data_specs._synthetic_codes import DiagnosisCodes, DiagnosisPool, DrugCodes
from data_specs._synthetic_draws import Draws, Flags, Integers, Reals, Stream
from data_specs._synthetic_people import Calendar, Households, People

__all__ = [
    "Health",
    "Records",
    "Visits",
    "draw_diagnoses",
    "draw_drugs",
    "draw_health",
    "draw_proneness",
    "draw_visits",
]

_DAY_BITS = 9  # 366 days


@dataclass(frozen=True, slots=True)
class Health:
    """Who has what: per condition of the assumptions, the positions of the people who have it, in ascending order."""

    prone: Flags  # per enrollee: more prone to illness than the mean
    exposure: Reals  # per enrollee: share of a full year that is covered, at most 1
    holders: tuple[Integers, ...]


@dataclass(frozen=True, slots=True)
class Visits:
    """Days on which people saw a professional: those of one person stand together."""

    counts: Integers  # per enrollee
    starts: Integers  # per enrollee
    person: Integers  # per visit
    day: Integers  # per visit, day of the year


@dataclass(frozen=True, slots=True)
class Records:
    """Distinct records in order of person, day and code."""

    person: Integers
    day: Integers
    code: Integers


class _Ledger:
    """Collects (person, day, code) records as whole numbers."""

    def __init__(self, codes: int) -> None:
        self._code_bits = max(codes, 1).bit_length()
        self._parts: list[Integers] = []

    def add(self, person: Integers, day: Integers, code: Integers) -> None:
        key = person.astype(np.int64) << _DAY_BITS
        key |= day
        key <<= self._code_bits
        key |= code
        self._parts.append(key)

    def close(self) -> Records:
        keys = np.concatenate(self._parts) if self._parts else np.zeros(0, dtype=np.int64)
        self._parts.clear()
        keys.sort()
        new = np.ones(len(keys), dtype=bool)
        np.not_equal(keys[1:], keys[:-1], out=new[1:])
        keys = keys[new]
        code = keys & ((1 << self._code_bits) - 1)
        keys >>= self._code_bits
        day = keys & ((1 << _DAY_BITS) - 1)
        keys >>= _DAY_BITS
        return Records(keys, day, code)


def draw_proneness(draws: Draws, enrollees: int) -> Integers:
    """Return each enrollee's level of proneness to illness: a position in the assumed levels, from low to high."""
    return draws.stream("proneness").pick(assumed.PRONENESS_WEIGHTS, enrollees)


def draw_health(
    draws: Draws, households: Households, people: People, level: Integers, metal: Integers, codes: DiagnosisCodes
) -> Health:
    """Return who has which condition: by age, sex, proneness, level of coverage and time covered.

    `level` is the level of proneness of each enrollee, `metal` the level of coverage of each policy.
    """
    enrollees = len(people.birth)
    proneness = np.array(assumed.PRONENESS)[level]
    hazard = proneness * np.array(assumed.METAL_RATE)[metal][households.policy]
    exposure = np.minimum(people.covered / 365, 1.0)
    found = {
        True: hazard * (assumed.FOUND_AT_ONCE_LASTING + (1 - assumed.FOUND_AT_ONCE_LASTING) * exposure),
        False: hazard * exposure,
    }
    group = np.searchsorted(assumed.RATE_AGES, people.age_last, side="right") * 2 + households.sex
    stratum = codes.stratum(people.age_last, households.sex)
    gives_birth = np.zeros(enrollees, dtype=bool)
    gives_birth[households.mother[households.mother >= 0]] = True
    holders = []
    for condition in assumed.CONDITIONS:
        rate = np.outer(condition.per_100k, (condition.men, condition.women)).ravel() / 100_000
        has = draws.stream(f"condition/{condition.name}").chance(rate[group] * found[condition.lasting], enrollees)
        who = has.nonzero()[0]
        if condition.ccs:
            pool = codes.pool(condition.ccs, condition.prefixes)
            who = who[pool.has_codes(stratum[who])] if pool else who[:0]
        if set(condition.ccs) & {*assumed.DELIVERY_CCS, *assumed.PREGNANCY_CCS}:
            who = who[~gives_birth[who]]  # the births of this market are recorded on their own
        holders.append(who)
    return Health(proneness > 1, exposure, tuple(holders))


def draw_visits(draws: Draws, people: People, health: Health) -> Visits:
    """Return the visits of everybody; someone with a condition has at least one."""
    enrollees = len(people.birth)
    stream = draws.stream("visits")
    table = np.array(assumed.VISITS)
    age_group = np.searchsorted(assumed.VISIT_AGES, people.age_last, side="right")
    full_year = table[age_group, health.prone.astype(np.int64), stream.below(table.shape[2], enrollees)]
    counts = (full_year * health.exposure + stream.unit(enrollees)).astype(np.int64)
    for condition, who in zip(assumed.CONDITIONS, health.holders, strict=True):
        further = condition.records[1] * assumed.VISITS_PER_RECORD
        counts[who] += 1 + (further * health.exposure[who]).astype(np.int64)
    starts = np.cumsum(counts) - counts
    person = np.repeat(np.arange(enrollees), counts)
    nth = draws.stream("visit days").below(people.covered[person], len(person))
    return Visits(counts, starts, person, people.day(person, nth))


class _Recorder:
    """Writes diagnoses of people into a ledger, each with a code that holds for the person and the day."""

    def __init__(
        self, draws: Draws, households: Households, people: People, codes: DiagnosisCodes, calendar: Calendar
    ) -> None:
        self.draws = draws
        self.people = people
        self.codes = codes
        self.stratum = codes.stratum(people.age_last, households.sex)
        self.ledger = _Ledger(len(codes.names))
        self._second_year = int(calendar.month_starts()[9])  # code lists change on 1 October

    def write(self, pool: DiagnosisPool, person: Integers, day: Integers, chosen: Reals) -> None:
        """Add one record per entry; equal draws `chosen` of a person give the same code."""
        self.ledger.add(person, day, pool.draw(chosen, self.stratum[person], day >= self._second_year))

    def write_one_of(
        self,
        step: str,
        person: Integers,
        day: Integers,
        ccs: Sequence[str],
        weights: Sequence[int],
        prefixes: tuple[str, ...] = (),
    ) -> None:
        """Add one record per entry, of a condition category drawn by weight."""
        stream = self.draws.stream(step)
        category = stream.pick(weights, len(person))
        chosen = stream.unit(len(person))
        for place, cc in enumerate(ccs):
            pool = self.codes.pool((cc,), prefixes)
            if pool is None:
                continue
            mine = (category == place) & pool.has_codes(self.stratum[person])
            self.write(pool, person[mine], day[mine], chosen[mine])


def draw_diagnoses(
    draws: Draws,
    households: Households,
    people: People,
    health: Health,
    visits: Visits,
    codes: DiagnosisCodes,
    calendar: Calendar,
) -> Records:
    """Return the diagnosis records: conditions, births, and the everyday complaints that most visits are for."""
    recorder = _Recorder(draws, households, people, codes, calendar)
    for condition, who in zip(assumed.CONDITIONS, health.holders, strict=True):
        pool = codes.pool(condition.ccs, condition.prefixes) if condition.ccs else None
        if pool is not None:
            _add_condition(recorder, condition, pool, who, health, visits)
    _add_births(recorder, households, calendar)
    _add_everyday(recorder, codes.everyday_stratum(people.age_last, households.sex), visits)
    return recorder.ledger.close()


def _add_condition(
    recorder: _Recorder,
    condition: assumed.Condition,
    pool: DiagnosisPool,
    who: Integers,
    health: Health,
    visits: Visits,
) -> None:
    stream = recorder.draws.stream(f"records/{condition.name}")
    fewest, most = condition.records
    full_year = fewest + stream.below(most - fewest + 1, len(who))
    number = np.maximum((full_year * health.exposure[who]).astype(np.int64), 1)
    number = np.minimum(number, visits.counts[who])
    chosen = stream.unit(len(who))
    first = stream.below(visits.counts[who], len(who))
    row, nth = _repeated(number)
    person = who[row]
    visit = visits.starts[person] + (first[row] + nth) % visits.counts[person]
    recorder.write(pool, person, visits.day[visit], chosen[row])


def _add_births(recorder: _Recorder, households: Households, calendar: Calendar) -> None:
    people = recorder.people
    child = people.newborn.nonzero()[0]
    day = people.birth[child] - calendar.first
    recorded = recorder.draws.stream("births/recorded").chance(assumed.NEWBORN_RECORD_SHARE, len(child))
    siblings = np.bincount(households.policy[child], minlength=len(households.first))
    twin = siblings[households.policy[child]] > 1
    for step, chosen, ccs, weights, prefixes in (
        ("births/twin", recorded & twin, assumed.TWIN_CCS, (1,), assumed.TWIN_PREFIXES),
        ("births/single", recorded & ~twin, assumed.NEWBORN_CCS, assumed.NEWBORN_WEIGHTS, ()),
    ):
        recorder.write_one_of(step, child[chosen], day[chosen], ccs, weights, prefixes)

    mother, place = np.unique(households.mother[child], return_index=True)
    day = day[place]
    recorder.write_one_of("births/mother", mother, day, assumed.DELIVERY_CCS, assumed.DELIVERY_WEIGHTS)
    for before in assumed.PREGNANCY_DAYS_BEFORE:
        seen = people.is_covered(mother, day - before)
        step = f"births/{before} days before"
        recorder.write_one_of(step, mother[seen], day[seen] - before, assumed.PREGNANCY_CCS, assumed.PREGNANCY_WEIGHTS)


def _add_everyday(recorder: _Recorder, stratum: Integers, visits: Visits) -> None:
    draws, codes = recorder.draws, recorder.codes
    usual = draws.stream("everyday/usual").pick_by(stratum, codes.everyday_weights)
    size = draws.stream("everyday/number").unit(len(visits.person))
    number = 1 + (size < assumed.SECOND_CODE_SHARE).astype(np.int64) + (size < assumed.THIRD_CODE_SHARE)
    visit, _ = _repeated(number)
    person = visits.person[visit]
    drawn = draws.stream("everyday/codes").pick_by(stratum[person], codes.everyday_weights)
    same = draws.stream("everyday/same").chance(assumed.USUAL_CODE_SHARE, len(person))
    recorder.ledger.add(person, visits.day[visit], codes.everyday[np.where(same, usual[person], drawn)])


def _repeated(number: Integers) -> tuple[Integers, Integers]:
    """Return each position as often as `number` says, and a count from 0 within each."""
    row = np.repeat(np.arange(len(number)), number)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)


def draw_drugs(draws: Draws, people: People, health: Health, codes: DrugCodes) -> Records:
    """Return the drug records: those that go with a condition, and everyday drugs."""
    ledger = _Ledger(len(codes.names))
    for condition, who in zip(assumed.CONDITIONS, health.holders, strict=True):
        for drug in condition.drugs:
            pool = codes.pool(drug.name)
            if pool is None:
                continue
            stream = draws.stream(f"drug/{condition.name}/{drug.name}")
            takers = who[stream.chance(drug.share, len(who))]
            given = stream.chance(drug.administered if len(pool.dispensed) else 1.0, len(takers))
            given &= len(pool.administered) > 0
            for mine, choice, steps, weights in (
                (takers[~given], pool.dispensed, assumed.FILL_STEPS, assumed.FILL_STEP_WEIGHTS),
                (takers[given], pool.administered, assumed.ADMINISTERED_STEPS, assumed.ADMINISTERED_STEP_WEIGHTS),
            ):
                if len(mine):
                    step = np.array(steps)[stream.pick(weights, len(mine))]
                    _add_fills(stream, people, mine, step, choice, ledger)
    _add_everyday_drugs(draws, people, health, codes, ledger)
    return ledger.close()


def _add_fills(
    stream: Stream, people: People, takers: Integers, step: Integers, choice: Integers, ledger: _Ledger
) -> None:
    """Add the fills of a lasting treatment: one code per person, again and again until coverage or patience ends."""
    covered = people.covered[takers]
    first = stream.below(np.minimum(step, covered), len(takers))
    most = 1 + (covered - 1 - first) // step
    number = 1 + stream.below(most, len(takers))
    number = np.where(stream.chance(assumed.KEPT_UP_SHARE, len(takers)), most, number)
    code = choice[stream.below(len(choice), len(takers))]
    _add_series(people, takers, first, step, number, code, ledger)


def _add_everyday_drugs(draws: Draws, people: People, health: Health, codes: DrugCodes, ledger: _Ledger) -> None:
    if len(codes.everyday) == 0:
        return
    stream = draws.stream("drug/everyday")
    enrollees = len(people.birth)
    table = np.array(assumed.EVERYDAY_COURSES)
    age_group = np.searchsorted(assumed.EVERYDAY_DRUG_AGES, people.age_last, side="right")
    full_year = table[age_group, stream.below(table.shape[1], enrollees)]
    courses = (full_year * health.exposure + stream.unit(enrollees)).astype(np.int64)
    person = np.repeat(np.arange(enrollees), courses)
    covered = people.covered[person]
    first = stream.below(covered, len(person))
    step = np.full(len(person), assumed.FILL_STEPS[0])
    number = np.minimum(1 + stream.below(assumed.EVERYDAY_FILLS, len(person)), 1 + (covered - 1 - first) // step)
    code = codes.everyday[stream.pick(assumed.EVERYDAY_NDC_WEIGHTS[: len(codes.everyday)], len(person))]
    _add_series(people, person, first, step, number, code, ledger)


def _add_series(
    people: People, who: Integers, first: Integers, step: Integers, number: Integers, code: Integers, ledger: _Ledger
) -> None:
    row, nth = _repeated(number)
    day = people.day(who[row], first[row] + nth * step[row])
    ledger.add(who[row], day, code[row])
