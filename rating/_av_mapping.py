"""The plain mapping of a plan's design (a JSON object, say) as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data_specs.errors import InputRefused
from rating._av_columns import (
    COMBINED_MOOP,
    DEDUCTIBLE_TYPES,
    INTEGRATED,
    MAX_COUNT,
    SEPARATE_MOOP,
    SERVICES,
    TABLE_METALS,
    DesignColumns,
    plain_columns,
)

__all__ = ["columns_of_mappings"]

# The amounts that each type of deductible is written with: (array, columns of it filled, key).
_AMOUNTS: dict[int, tuple[tuple[str, tuple[int, ...], str], ...]] = {
    INTEGRATED: (
        ("deductible", (0, 1), "deductible"),
        ("plan_coinsurance", (0, 1), "plan_coinsurance"),
        ("moop", (0, 1), "moop"),
    ),
    COMBINED_MOOP: (
        ("deductible", (0,), "deductible_medical"),
        ("deductible", (1,), "deductible_drug"),
        ("plan_coinsurance", (0,), "plan_coinsurance_medical"),
        ("plan_coinsurance", (1,), "plan_coinsurance_drug"),
        ("moop", (0, 1), "moop"),
    ),
    SEPARATE_MOOP: (
        ("deductible", (0,), "deductible_medical"),
        ("deductible", (1,), "deductible_drug"),
        ("plan_coinsurance", (0,), "plan_coinsurance_medical"),
        ("plan_coinsurance", (1,), "plan_coinsurance_drug"),
        ("moop", (0,), "moop_medical"),
        ("moop", (1,), "moop_drug"),
    ),
}
_SERVICE_FLAGS = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible")
_SERVICE_AMOUNTS = {"copay": "copay", "plan_coinsurance": "coinsurance"}
_OPTION_FLAGS = {"inpatient_copay_per_day": "inpatient_per_day", "snf_copay_per_day": "skilled_nursing_per_day"}
_OPTION_COUNTS = {
    "inpatient_copay_max_days": "inpatient_max_days",
    "primary_care_first_n_visits_free": "first_visits_free",
    "primary_care_first_n_visits_copay_then_deductible": "first_visits_copay",
}
_OPTION_AMOUNTS = {
    "specialty_drug_coinsurance_max_per_script": "specialty_cap",
    "employer_hsa_hra": "employer_money",
}
_SHARE_OF_TIER_1 = ("tier1_utilization", "tier1_utili" + "sation")  # either spelling is read
_PLAN_KEYS = ("name", "deductible_type", "table_metal", "services", "options", "tier2", *_SHARE_OF_TIER_1)


def columns_of_mappings(plans: Sequence[Mapping[str, Any]]) -> DesignColumns:
    """Return designs that are written as mappings, one row each.

    Raises
    ------
    InputRefused
        An unknown key, a missing amount, a value of another kind or out of range, or two options that exclude each
        other; the message names the plan by its position and the key.

    Examples
    --------
    >>> plan = {"deductible_type": "integrated", "deductible": 1000, "plan_coinsurance": 0.8, "moop": 5000,
    ...     "services": {"generic": {"copay": 10, "subject_to_coinsurance": False}}}
    >>> columns = columns_of_mappings([plan])
    >>> columns.moop.tolist(), columns.copay[0, SERVICES.index("generic")]
    ([[5000.0, 5000.0]], np.float64(10.0))
    """
    columns = plain_columns(len(plans))
    tiers = []
    for row, plan in enumerate(plans):
        where = f"design {row + 1}"
        _fill(columns, row, _mapping(plan, where), where)
        given = [key for key in _SHARE_OF_TIER_1 if key in plan]
        if bool(given) != ("tier2" in plan) or len(given) > 1:
            raise _refused("two network tiers need both the share of tier 1 and `tier2`", where)
        columns.tier1_share[row] = _number(plan[given[0]], f"{where}, {given[0]}", highest=1.0) if given else 1.0
        tiers.append({k: v for k, v in plan.items() if k not in given and k != "tier2"} | dict(plan.get("tier2", {})))
    if not any("tier2" in plan for plan in plans):
        return columns
    return columns.with_changes(tier2=columns_of_mappings(tiers))


def _fill(columns: DesignColumns, row: int, plan: Mapping[str, Any], where: str) -> None:
    kind = _word(plan.get("deductible_type"), DEDUCTIBLE_TYPES, f"{where}, deductible_type")
    columns.deductible_type[row] = kind
    wanted = _AMOUNTS[kind]
    _known(plan, (*_PLAN_KEYS, *(key for *_, key in wanted)), where)
    for array, places, key in wanted:
        if key not in plan:
            raise _refused(f"{key!r} is missing", where)
        highest = 1.0 if array == "plan_coinsurance" else np.inf
        getattr(columns, array)[row, list(places)] = _number(plan[key], f"{where}, {key}", highest=highest)
    if plan.get("table_metal") is not None:
        columns.table_metal[row] = _word(plan["table_metal"], TABLE_METALS, f"{where}, table_metal")
    services = _mapping(plan.get("services", {}), f"{where}, services")
    for name, terms in services.items():
        service = _word(name, SERVICES, f"{where}, services")
        _fill_service(columns, row, service, _mapping(terms, f"{where}, {name}"), f"{where}, {name}")
    _fill_options(columns, row, _mapping(plan.get("options", {}), f"{where}, options"), f"{where}, options")


def _fill_service(columns: DesignColumns, row: int, service: int, terms: Mapping[str, Any], where: str) -> None:
    _known(terms, (*_SERVICE_FLAGS, *_SERVICE_AMOUNTS), where)
    for key in _SERVICE_FLAGS:
        if key in terms:
            getattr(columns, key)[row, service] = _flag(terms[key], f"{where}, {key}")
    for key, array in _SERVICE_AMOUNTS.items():
        if terms.get(key) is not None:
            highest = 1.0 if array == "coinsurance" else np.inf
            getattr(columns, array)[row, service] = _number(terms[key], f"{where}, {key}", highest=highest)


def _fill_options(columns: DesignColumns, row: int, options: Mapping[str, Any], where: str) -> None:
    _known(options, (*_OPTION_FLAGS, *_OPTION_COUNTS, *_OPTION_AMOUNTS), where)
    for key, array in _OPTION_FLAGS.items():
        if options.get(key) is not None:
            getattr(columns, array)[row] = _flag(options[key], f"{where}, {key}")
    for key, array in _OPTION_COUNTS.items():
        if options.get(key) is not None:
            count = _number(options[key], f"{where}, {key}", highest=MAX_COUNT)
            if count < 1 or count != int(count):
                raise _refused(f"{key!r} is no whole number from 1 to {MAX_COUNT}", where)
            getattr(columns, array)[row] = int(count)
    for key, array in _OPTION_AMOUNTS.items():
        if options.get(key) is not None:
            getattr(columns, array)[row] = _number(options[key], f"{where}, {key}")
    if columns.first_visits_free[row] and columns.first_visits_copay[row]:
        raise _refused("first visits free and first visits at the copay exclude each other", where)


def _known(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    loose = sorted(str(key) for key in set(given) - set(names))
    if loose:
        raise _refused(f"key {loose[0]!r} is not known here", where, "known: " + ", ".join(sorted(names)))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise _refused(f"a {type(value).__name__} stands where a mapping belongs", where)


def _word(value: Any, words: Sequence[str], where: str) -> int:
    if isinstance(value, str) and value in words:
        return words.index(value)
    raise _refused(f"{value!r} is not known here", where, "one of " + ", ".join(words))


def _flag(value: Any, where: str) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise _refused(f"a {type(value).__name__} stands where true or false belongs", where)


def _number(value: Any, where: str, *, highest: float = np.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise _refused(f"a {type(value).__name__} stands where a number belongs", where)
    if not 0 <= value <= highest or value == np.inf:
        raise _refused("a number is out of range", where, f"0 to {highest:g}")
    return float(value)


def _refused(what: str, where: str, rule: str = "") -> InputRefused:
    return InputRefused(what, where=where, rule=rule, remedy="mend the design")
