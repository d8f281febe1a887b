"""Plan designs as columns: what the input forms produce, the AV kernel reads and the lever varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._plan_table import MARKETS

__all__ = [
    "COMBINED_MOOP",
    "DEDUCTIBLE_TYPES",
    "INTEGRATED",
    "LARGEST",
    "MARKETS",
    "MAX_COUNT",
    "METAL_LEVELS",
    "NOT_SAID",
    "SEPARATE_MOOP",
    "SERVICES",
    "TABLE_METALS",
    "DesignColumns",
    "concatenated",
    "plain_columns",
]

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Codes = NDArray[np.int8]

# The order of the columns below is that of av/service_lines (a test compares them).
SERVICES = (
    "emergency_room",
    "inpatient",
    "primary_care",
    "specialist",
    "mental_health_outpatient",
    "imaging",
    "speech_therapy",
    "occupational_physical_therapy",
    "preventive",
    "laboratory",
    "xray",
    "skilled_nursing",
    "outpatient_facility",
    "outpatient_surgery_professional",
    "generic",
    "preferred_brand",
    "nonpreferred_brand",
    "specialty_drug",
)
DEDUCTIBLE_TYPES = ("integrated", "separate_deductible_combined_moop", "separate_deductible_separate_moop")
INTEGRATED, COMBINED_MOOP, SEPARATE_MOOP = range(3)
TABLE_METALS = ("platinum", "gold", "silver", "bronze")
METAL_LEVELS = (*TABLE_METALS, "expanded_bronze", "catastrophic")
NOT_SAID = -1  # of a code
LARGEST = 1e9  # dollars: beyond any amount of a plan; keeps infinities out
MAX_COUNT = 10  # visits and days of the options


@dataclass(frozen=True)
class DesignColumns:
    """Designs, one per row of every array; money in dollars (self-only, in network), coinsurance the plan's share.

    Attributes
    ----------
    deductible_type : uint8, n
        Position in :data:`DEDUCTIBLE_TYPES`.
    deductible, plan_coinsurance, moop : float64, n x 2
        Medical, drug. Where there is one amount for both, both columns carry it.
    table_metal : int8, n
        Position in :data:`TABLE_METALS` of the tables that are used whatever the AV, or :data:`NOT_SAID`: found by it.
    desired_metal : int8, n
        Position in :data:`METAL_LEVELS` of the level that the plan is meant to have, or :data:`NOT_SAID`.
    csr_variant : int8, n
        The two digits of the variant as a number, or :data:`NOT_SAID`.
    market : int8, n
        Position in :data:`MARKETS`, or :data:`NOT_SAID`.
    is_hdhp : uint8, n
        1: a high-deductible health plan within the meaning of 26 U.S.C. 223(c)(2).
    filed_av : float64, n
        Output of the federal calculator that the issuer attached; NaN: none.
    subject_to_deductible, subject_to_coinsurance, copay_after_deductible : uint8, n x 18
        0 or 1 per service, in the order of :data:`SERVICES`.
    copay : float64, n x 18
        NaN: blank, charged as 0; an entered 0 is kept apart from it.
    coinsurance : float64, n x 18
        NaN: blank, the general one of the service's domain; 0: the enrollee pays everything.
    inpatient_per_day, skilled_nursing_per_day : uint8, n
        1: the copay is per day.
    inpatient_max_days, first_visits_free, first_visits_copay : uint8, n
        1 to :data:`MAX_COUNT`; 0: the option is off.
    specialty_cap : float64, n
        Most that coinsurance takes per script of a specialty drug; NaN: no cap.
    employer_money : float64, n
        Employer's contribution to an HSA or HRA; 0: none.
    tier1_share : float64, n
        Share of utilization in network tier 1; 1: one tier.
    tier2 : DesignColumns, optional
        The terms of tier 2, as many rows; rows whose `tier1_share` is 1 are not looked at. Of what is said of the plan
        as a whole (`table_metal` to `filed_av`, `employer_money`, `tier1_share`, `tier2`) it is not looked at either.
    """

    deductible_type: Bytes
    deductible: Floats
    plan_coinsurance: Floats
    moop: Floats
    table_metal: Codes
    desired_metal: Codes
    csr_variant: Codes
    market: Codes
    is_hdhp: Bytes
    filed_av: Floats
    subject_to_deductible: Bytes
    subject_to_coinsurance: Bytes
    copay_after_deductible: Bytes
    copay: Floats
    coinsurance: Floats
    inpatient_per_day: Bytes
    skilled_nursing_per_day: Bytes
    inpatient_max_days: Bytes
    first_visits_free: Bytes
    first_visits_copay: Bytes
    specialty_cap: Floats
    employer_money: Floats
    tier1_share: Floats
    tier2: DesignColumns | None = None

    @property
    def height(self) -> int:
        """The number of designs."""
        return len(self.deductible_type)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> DesignColumns:
        """Return some of the designs, by position, mask or slice; positions may repeat.

        Examples
        --------
        >>> plain_columns(3).take(np.array([0, 0])).height
        2
        """
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return DesignColumns(**arrays, tier2=None if self.tier2 is None else self.tier2.take(rows))

    def with_changes(self, **arrays: Any) -> DesignColumns:
        """Return the designs with other arrays under some names; the rest is shared, not copied.

        Examples
        --------
        >>> designs = plain_columns(2, deductible=500.0)
        >>> designs.with_changes(deductible=designs.deductible + 250.0).deductible[0].tolist()
        [750.0, 750.0]
        """
        return replace(self, **arrays)

    def checked(self) -> DesignColumns:
        """Return the designs with every array as the kernel reads it; the kernel trusts what has passed here.

        Raises
        ------
        InputRefused
            An array has another shape, or a value no design can have: a code or count out of range, an amount that is
            negative or no number, a share outside 0 to 1.
        """
        n = self.height
        arrays: dict[str, Any] = {}
        for name, (kind, width, low, high, blank) in _SHAPES.items():
            array: NDArray[Any] = np.ascontiguousarray(getattr(self, name), kind)
            if array.shape != ((n, width) if width else (n,)):
                raise _refused(name, f"has shape {array.shape}", f"{n} designs{f' x {width}' if width else ''}")
            fits = (array >= low) & (array <= high)
            if blank:
                fits |= np.isnan(array)
            if not fits.all():
                row = int(np.flatnonzero(~(fits.all(axis=1) if width else fits))[0])
                raise _refused(name, f"has a value out of range in row {row}", f"{low:g} to {high:g}")
            arrays[name] = array
        if ((arrays["first_visits_free"] > 0) & (arrays["first_visits_copay"] > 0)).any():
            raise _refused("first_visits_free", "and 'first_visits_copay' are both set", "one of the two options")
        tier2 = None if self.tier2 is None else self.tier2.checked()
        if tier2 is not None and tier2.height != n:
            raise _refused("tier2", f"has {tier2.height} rows", f"{n} designs")
        return DesignColumns(**arrays, tier2=tier2)


_FLAG = (np.uint8, 0, 0, 1, False)
_FLAGS = (np.uint8, len(SERVICES), 0, 1, False)
_COUNT = (np.uint8, 0, 0, MAX_COUNT, False)
_PAIR = (np.float64, 2, 0, LARGEST, False)
# name -> dtype, values per design (0: one), lowest, highest, may be blank
_SHAPES: dict[str, tuple[type, int, float, float, bool]] = {
    "deductible_type": (np.uint8, 0, 0, len(DEDUCTIBLE_TYPES) - 1, False),
    "deductible": _PAIR,
    "plan_coinsurance": (np.float64, 2, 0, 1, False),
    "moop": _PAIR,
    "table_metal": (np.int8, 0, NOT_SAID, len(TABLE_METALS) - 1, False),
    "desired_metal": (np.int8, 0, NOT_SAID, len(METAL_LEVELS) - 1, False),
    "csr_variant": (np.int8, 0, NOT_SAID, 99, False),
    "market": (np.int8, 0, NOT_SAID, len(MARKETS) - 1, False),
    "is_hdhp": _FLAG,
    "filed_av": (np.float64, 0, 0, 1, True),
    "subject_to_deductible": _FLAGS,
    "subject_to_coinsurance": _FLAGS,
    "copay_after_deductible": _FLAGS,
    "copay": (np.float64, len(SERVICES), 0, LARGEST, True),
    "coinsurance": (np.float64, len(SERVICES), 0, 1, True),
    "inpatient_per_day": _FLAG,
    "skilled_nursing_per_day": _FLAG,
    "inpatient_max_days": _COUNT,
    "first_visits_free": _COUNT,
    "first_visits_copay": _COUNT,
    "specialty_cap": (np.float64, 0, 0, LARGEST, True),
    "employer_money": (np.float64, 0, 0, LARGEST, False),
    "tier1_share": (np.float64, 0, 0, 1, False),
}
_ARRAYS = tuple(f.name for f in fields(DesignColumns) if f.name != "tier2")


def plain_columns(
    height: int, *, deductible: float = 0.0, plan_coinsurance: float = 1.0, moop: float = 0.0
) -> DesignColumns:
    """Return designs with one deductible and one out-of-pocket limit, every service on default terms: to be filled in.

    Examples
    --------
    >>> designs = plain_columns(2, deductible=1000.0, plan_coinsurance=0.8, moop=5000.0)
    >>> designs.copay[0, SERVICES.index("generic")], designs.moop.tolist()
    (np.float64(nan), [[5000.0, 5000.0], [5000.0, 5000.0]])
    """
    services = (height, len(SERVICES))
    codes = np.full(height, NOT_SAID, np.int8)
    return DesignColumns(
        deductible_type=np.zeros(height, np.uint8),
        deductible=np.full((height, 2), float(deductible)),
        plan_coinsurance=np.full((height, 2), float(plan_coinsurance)),
        moop=np.full((height, 2), float(moop)),
        table_metal=codes,
        desired_metal=codes.copy(),
        csr_variant=codes.copy(),
        market=codes.copy(),
        is_hdhp=np.zeros(height, np.uint8),
        filed_av=np.full(height, np.nan),
        subject_to_deductible=np.ones(services, np.uint8),
        subject_to_coinsurance=np.ones(services, np.uint8),
        copay_after_deductible=np.zeros(services, np.uint8),
        copay=np.full(services, np.nan),
        coinsurance=np.full(services, np.nan),
        inpatient_per_day=np.zeros(height, np.uint8),
        skilled_nursing_per_day=np.zeros(height, np.uint8),
        inpatient_max_days=np.zeros(height, np.uint8),
        first_visits_free=np.zeros(height, np.uint8),
        first_visits_copay=np.zeros(height, np.uint8),
        specialty_cap=np.full(height, np.nan),
        employer_money=np.zeros(height),
        tier1_share=np.ones(height),
    )


def concatenated(parts: Sequence[DesignColumns]) -> DesignColumns:
    """Return the designs of several parts, one after the other; a part without tiers repeats its own terms as tier 2.

    Examples
    --------
    >>> concatenated([plain_columns(1), plain_columns(2)]).height
    3
    """
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    if all(part.tier2 is None for part in parts):
        return DesignColumns(**arrays)
    second = [replace(part, tier2=None) if part.tier2 is None else part.tier2 for part in parts]
    return DesignColumns(**arrays, tier2=concatenated(second))


def _refused(name: str, what: str, wanted: str) -> InputRefused:
    return InputRefused(
        f"array {name!r} of the designs {what}",
        where=f"designs, {name}",
        rule=f"expected: {wanted}",
        remedy="build the columns with the readers of rating, or see DesignColumns",
    )
