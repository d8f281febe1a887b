"""The levers of a design: which term of its columns each one moves, from where to where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from rating._av_columns import COMBINED_MOOP, INTEGRATED, MAX_COUNT, SEPARATE_MOOP, SERVICES, DesignColumns

__all__ = ["BOTH_TIERS", "DAYS", "LEVERS", "Lever", "Levers", "lever_named"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BOTH_TIERS = "both"
USD, SHARE, DAYS = "usd", "share", "days"
_TIERS: tuple[Any, ...] = (1, 2, BOTH_TIERS)
_FIRST_DRUG = SERVICES.index("generic")
_ANY = (INTEGRATED, COMBINED_MOOP, SEPARATE_MOOP)
_TWO = (COMBINED_MOOP, SEPARATE_MOOP)


@dataclass(frozen=True)
class Lever:
    """One term that may be moved.

    Attributes
    ----------
    name : str
        As the term is called in a design table.
    array : str
        The array of :class:`rating._av_columns.DesignColumns` that holds it.
    places : tuple of int
        Its columns there; none: the array has one value per design, or the column is that of the service.
    kinds : tuple of int
        The types of deductible that have it.
    unit : str
        usd, share or days (whole numbers).
    bend : float
        How the scan is spaced: 0 evenly, 1 by squares, so that small amounts are looked at most closely.
    is_of_service, is_of_plan : bool
        It is a term of one service; it is one for both network tiers.
    """

    name: str
    array: str
    places: tuple[int, ...]
    kinds: tuple[int, ...]
    unit: str
    bend: float = 0.0
    is_of_service: bool = False
    is_of_plan: bool = False


LEVERS = {
    lever.name: lever
    for lever in (
        Lever("deductible", "deductible", (0, 1), (INTEGRATED,), USD, 0.5),
        Lever("deductible_medical", "deductible", (0,), _TWO, USD, 0.5),
        Lever("deductible_drug", "deductible", (1,), _TWO, USD, 0.5),
        Lever("moop", "moop", (0, 1), (INTEGRATED, COMBINED_MOOP), USD),
        Lever("moop_medical", "moop", (0,), (SEPARATE_MOOP,), USD),
        Lever("moop_drug", "moop", (1,), (SEPARATE_MOOP,), USD),
        Lever("plan_coinsurance", "plan_coinsurance", (0, 1), (INTEGRATED,), SHARE),
        Lever("plan_coinsurance_medical", "plan_coinsurance", (0,), _TWO, SHARE),
        Lever("plan_coinsurance_drug", "plan_coinsurance", (1,), _TWO, SHARE),
        Lever("copay", "copay", (), _ANY, USD, 1.0, is_of_service=True),
        Lever("service_coinsurance", "coinsurance", (), _ANY, SHARE, is_of_service=True),
        Lever("employer_hsa_hra", "employer_money", (), _ANY, USD, 0.5, is_of_plan=True),
        Lever("specialty_drug_coinsurance_max_per_script", "specialty_cap", (), _ANY, USD, 1.0),
        Lever("inpatient_copay_max_days", "inpatient_max_days", (), _ANY, DAYS),
    )
}


def lever_named(name: str, service: str | None, tier: int | str) -> Levers:
    """Return a lever by its name.

    Raises
    ------
    SettingRefused
        There is no such lever, service or tier, or the one does not go with the other.

    Examples
    --------
    >>> lever_named("copay", "generic", 1).place
    14
    """
    if name not in LEVERS:
        raise SettingRefused(f"no lever is called {name!r}", remedy="choose one of " + ", ".join(LEVERS))
    lever = LEVERS[name]
    charged = [word for word in SERVICES if word != "preventive"]
    if lever.is_of_service and service not in charged:
        what = "is not of a service that is charged" if service is None else f"cannot be that of {service!r}"
        raise SettingRefused(f"lever {name!r} {what}", remedy="service: one of " + ", ".join(charged))
    if not lever.is_of_service and service is not None:
        raise SettingRefused(f"lever {name!r} is not of a service", remedy="leave `service` out")
    if isinstance(tier, bool) or tier not in _TIERS:
        raise SettingRefused(f"`tier` cannot be {tier!r}", remedy="choose 1, 2 or 'both'")
    return Levers(lever, None if service is None else SERVICES.index(service), tier)


@dataclass(frozen=True)
class Levers:
    """A lever, the service it is of and the network tier whose terms it moves, on designs."""

    lever: Lever
    place: int | None
    tier: int | str

    @property
    def service(self) -> str | None:
        """The name of the service."""
        return None if self.place is None else SERVICES[self.place]

    def is_in(self, designs: DesignColumns) -> Flags:
        """Return which designs have the term."""
        has = np.isin(designs.deductible_type, self.lever.kinds)
        for terms in self._terms(designs):
            has &= np.isin(terms.deductible_type, self.lever.kinds)
            if self.lever.unit == DAYS:
                has &= terms.inpatient_per_day > 0
        if self.tier != 1 and not self.lever.is_of_plan:
            has &= designs.tier1_share < 1
            has &= designs.tier2 is not None
        return np.asarray(has)

    def is_used(self, designs: DesignColumns) -> Flags:
        """Return which designs have a value of their own that may be moved, rather than a term that charges nothing."""
        used = self.is_in(designs)
        if self.lever.places:
            return used
        if self.lever.name == "service_coinsurance":
            return np.asarray(used & ~np.isnan(self._column(designs.coinsurance)))
        present = self.present(designs)
        is_zero = (present == 0) & (self.lever.name != "specialty_drug_coinsurance_max_per_script")
        return np.asarray(used & ~np.isnan(present) & ~is_zero)

    def present(self, designs: DesignColumns) -> Floats:
        """Return the value that each design has; NaN: a cap or a number of days that is not set."""
        terms = self._terms(designs)[0]
        name = self.lever.name
        found = self._column(getattr(terms, self.lever.array)).astype(np.float64)
        if name == "copay":
            return np.nan_to_num(found)
        if name == "service_coinsurance":
            return np.where(np.isnan(found), terms.plan_coinsurance[:, self._domain()], found)
        return np.where(found == 0, np.nan, found) if self.lever.unit == DAYS else found

    def bounds(
        self, designs: DesignColumns, limit: Floats, given: tuple[float, float] | None = None
    ) -> tuple[Floats, Floats]:
        """Return the lowest and the highest value that is tried.

        Parameters
        ----------
        designs : DesignColumns
            A deductible lies between 0 and the out-of-pocket limit (under one limit: less the other deductible), a
            limit at or above the deductibles, a share between 0 and 1, a number of days between 1 and 10.
        limit : array
            The year's limit on cost sharing, which bounds out-of-pocket limits.
        given : pair of float, optional
            In place of that limit, and of the out-of-pocket limit that bounds copays and caps and of the deductible
            that bounds employer money; what no plan can have stays left out.
        """
        low, high = np.zeros(designs.height), np.full(designs.height, np.inf)
        for terms in self._terms(designs):
            own = self._of_terms(terms, limit)
            low, high = np.maximum(low, own[0]), np.minimum(high, own[1])
            if given is None:
                high = np.minimum(high, own[2])
        return (low, high) if given is None else (np.maximum(low, given[0]), np.minimum(high, given[1]))

    def set(self, designs: DesignColumns, values: Floats) -> DesignColumns:
        """Return the designs with other values of the lever; NaN leaves a design as it is."""
        changed = designs
        if self.tier != 2 or self.lever.is_of_plan:
            changed = self._set(changed, values)
        if self.tier == 1 or self.lever.is_of_plan or designs.tier2 is None:
            return changed
        return changed.with_changes(tier2=self._set(designs.tier2, values))

    def _set(self, terms: DesignColumns, values: Floats) -> DesignColumns:
        array = getattr(terms, self.lever.array).copy()
        rows = np.flatnonzero(~np.isnan(values))
        if self.place is not None:
            array[rows, self.place] = values[rows]
        elif self.lever.places:
            for place in self.lever.places:
                array[rows, place] = values[rows]
        else:
            array[rows] = values[rows]
        return terms.with_changes(**{self.lever.array: array})

    def _terms(self, designs: DesignColumns) -> list[DesignColumns]:
        """Return the tiers whose terms are moved; a design without a second one has its first here."""
        second = designs if designs.tier2 is None else designs.tier2
        if self.lever.is_of_plan or self.tier == 1:
            return [designs]
        return [second] if self.tier == 2 else [designs, second]

    def _column(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim == 1:
            return array
        return array[:, self.lever.places[0] if self.place is None else self.place]

    def _domain(self) -> int:
        return 0 if self.place is None or self.place < _FIRST_DRUG else 1

    def _of_terms(self, terms: DesignColumns, limit: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the lowest value, the highest that a plan can have, and the highest that is looked for."""
        n, kind = terms.height, terms.deductible_type
        zero, unbounded = np.zeros(n), np.full(n, np.inf)
        if self.lever.unit != USD:
            highest = np.full(n, 1.0 if self.lever.unit == SHARE else MAX_COUNT)
            return zero if self.lever.unit == SHARE else np.ones(n), highest, highest
        place = self.lever.places[0] if self.lever.places else 0
        if self.lever.array == "deductible":
            other = np.where(kind == COMBINED_MOOP, terms.deductible[:, 1 - place], 0.0)
            highest = np.maximum(terms.moop[:, place] - other, 0.0)
            return zero, highest, highest
        both = np.where(kind == INTEGRATED, terms.deductible[:, 0], terms.deductible.sum(axis=1))
        if self.lever.array == "moop":
            is_separate = kind == SEPARATE_MOOP
            lowest = np.where(is_separate, terms.deductible[:, place], both)
            return lowest, unbounded, np.where(is_separate, limit - terms.moop[:, 1 - place], limit)
        if self.lever.is_of_plan:
            return zero, unbounded, both
        domain = 1 if self.lever.array == "specialty_cap" else self._domain()
        return zero, unbounded, terms.moop[:, domain]
