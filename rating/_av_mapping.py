"""The plain mapping of a plan's design (a JSON object, say) as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from data_specs.errors import InputRefused
from rating._av_columns import (
    COMBINED_MOOP,
    DEDUCTIBLE_TYPES,
    INTEGRATED,
    LARGEST,
    MARKETS,
    MAX_COUNT,
    METAL_LEVELS,
    SEPARATE_MOOP,
    SERVICES,
    TABLE_METALS,
    DesignColumns,
    plain_columns,
)
from rating._av_doubts import Problem

__all__ = [
    "AMOUNTS",
    "OPTION_AMOUNTS",
    "OPTION_COUNTS",
    "OPTION_FLAGS",
    "SERVICE_FLAGS",
    "SHARE_OF_TIER_1",
    "WORDS",
    "ReadMappings",
    "columns_of_mappings",
    "read_mappings",
]

# The amounts that each type of deductible is written with: (array, columns of it filled, key).
AMOUNTS: dict[int, tuple[tuple[str, tuple[int, ...], str], ...]] = {
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
_COST_SHARING = tuple(dict.fromkeys(key for wanted in AMOUNTS.values() for *_, key in wanted))
SERVICE_FLAGS = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible")
_SERVICE_AMOUNTS = {"copay": "copay", "plan_coinsurance": "coinsurance"}
OPTION_FLAGS = {"inpatient_copay_per_day": "inpatient_per_day", "snf_copay_per_day": "skilled_nursing_per_day"}
OPTION_COUNTS = {
    "inpatient_copay_max_days": "inpatient_max_days",
    "primary_care_first_n_visits_free": "first_visits_free",
    "primary_care_first_n_visits_copay_then_deductible": "first_visits_copay",
}
OPTION_AMOUNTS = {
    "specialty_drug_coinsurance_max_per_script": "specialty_cap",
    "employer_hsa_hra": "employer_money",
}
SHARE_OF_TIER_1 = ("tier1_utilization", "tier1_utili" + "sation")  # either spelling is read
# What is said of the plan beside its cost sharing: words by the array that holds their position.
WORDS = {"table_metal": TABLE_METALS, "desired_metal": METAL_LEVELS, "market": MARKETS}
_MONEY = "employer_hsa_hra"
_NUMBERS = (int, float, Decimal, np.integer, np.floating)
_TEXTS = ("name", "plan_id", "filed_source")
_PLAN_KEYS = (
    "deductible_type",
    "services",
    "options",
    "tier2",
    "csr_variant",
    "is_hdhp",
    "filed_av",
    *WORDS,
    *_TEXTS,
    *SHARE_OF_TIER_1,
)


@dataclass(frozen=True)
class ReadMappings:
    """Designs that were written as mappings.

    Attributes
    ----------
    columns : DesignColumns
        One row each; that of a design with a problem means nothing.
    texts : dict
        ``name``, ``plan_id`` and ``filed_source`` of each design; None: not said.
    problems : list of Problem
        What could not be read, one per design at most.
    """

    columns: DesignColumns
    texts: dict[str, list[str | None]]
    problems: list[Problem]


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
    read = read_mappings(plans)
    for problem in read.problems:
        raise problem.error
    return read.columns


def read_mappings(plans: Sequence[Any]) -> ReadMappings:
    """Return designs that are written as mappings, and which of them cannot be read.

    Examples
    --------
    >>> [problem.rule_id for problem in read_mappings([{"deductible_type": "integrated"}, 1]).problems]
    ['AVC-004', 'AVC-005']
    """
    columns = plain_columns(len(plans))
    has_tier2 = any(isinstance(plan, Mapping) and plan.get("tier2") is not None for plan in plans)
    if has_tier2:
        columns = columns.with_changes(tier2=plain_columns(len(plans)))
    texts: dict[str, list[str | None]] = {key: [None] * len(plans) for key in _TEXTS}
    problems = []
    for row, plan in enumerate(plans):
        where = f"design {row + 1}"
        try:
            said = _said(plan, where)
            _fill(columns, row, said, where)
            _fill_facts(columns, row, said, where)
            _fill_tiers(columns, row, said, where)
            for key, held in texts.items():
                held[row] = _text(said.get(key), f"{where}, {key}")
        except InputRefused as error:
            problems.append(Problem(row, error))
            columns.tier1_share[row] = 1.0
    return ReadMappings(columns, texts, problems)


def _said(value: Any, where: str) -> dict[str, Any]:
    """Return a mapping without what is blank: a key that is None says nothing, as a column of a frame may."""
    return {key: given for key, given in _mapping(value, where).items() if given is not None}


def _fill(columns: DesignColumns, row: int, plan: Mapping[str, Any], where: str) -> None:
    """Fill in what is said of the cost sharing of one tier."""
    if "deductible_type" not in plan:
        rule = "AVC-003: one of " + ", ".join(DEDUCTIBLE_TYPES)
        raise _refused(rule, "'deductible_type' is missing", where)
    kind = _word(plan["deductible_type"], DEDUCTIBLE_TYPES, f"{where}, deductible_type")
    columns.deductible_type[row] = kind
    wanted = AMOUNTS[kind]
    _known(plan, (*_PLAN_KEYS, *(key for *_, key in wanted)), where)
    for array, places, key in wanted:
        if key not in plan:
            raise _refused("AVC-004: an amount that is blank is not zero", f"{key!r} is missing", where)
        highest = 1.0 if array == "plan_coinsurance" else np.inf
        getattr(columns, array)[row, list(places)] = _number(plan[key], f"{where}, {key}", highest=highest)
    for name, terms in _said(plan.get("services", {}), f"{where}, services").items():
        service = _word(name, SERVICES, f"{where}, services", "AVC-002")
        _fill_service(columns, row, service, _said(terms, f"{where}, {name}"), f"{where}, {name}")
    _fill_options(columns, row, _said(plan.get("options", {}), f"{where}, options"), f"{where}, options")


def _fill_facts(columns: DesignColumns, row: int, plan: Mapping[str, Any], where: str) -> None:
    """Fill in what is said of the plan as a whole."""
    for key, words in WORDS.items():
        if key in plan:
            getattr(columns, key)[row] = _word(plan[key], words, f"{where}, {key}")
    if "csr_variant" in plan:
        columns.csr_variant[row] = _variant(plan["csr_variant"], f"{where}, csr_variant")
    if "is_hdhp" in plan:
        columns.is_hdhp[row] = _flag(plan["is_hdhp"], f"{where}, is_hdhp")
    if "filed_av" in plan:
        columns.filed_av[row] = _number(plan["filed_av"], f"{where}, filed_av", highest=1.0)


def _fill_tiers(columns: DesignColumns, row: int, plan: Mapping[str, Any], where: str) -> None:
    """Fill in the share of tier 1, and the terms of tier 2: those of the plan where it says nothing else."""
    given = [key for key in SHARE_OF_TIER_1 if key in plan]
    if bool(given) != ("tier2" in plan) or len(given) > 1:
        rule = "AVC-011: two shares of network tiers sum to 1"
        raise _refused(rule, "two network tiers need both the share of tier 1 and `tier2`", where)
    if not given or columns.tier2 is None:
        return
    columns.tier1_share[row] = _number(plan[given[0]], f"{where}, {given[0]}", highest=1.0)
    first = {key: value for key, value in plan.items() if key not in (*given, "tier2")}
    own = _said(plan["tier2"], f"{where}, tier2")
    _known(own, (*_COST_SHARING, *(key for key in _PLAN_KEYS if key not in (*SHARE_OF_TIER_1, "tier2"))), where)
    for key in (*WORDS, "csr_variant", "is_hdhp", "filed_av"):
        if key in own and own[key] != first.get(key):
            raise _refused("AVC-011: both tiers are of one plan", f"tier 2 says another {key!r} than the plan", where)
    money, own_money = (_money(tier, where) for tier in (first, own))
    if own_money is not None and own_money != money:
        raise _refused("AVC-011: both tiers are of one plan", f"tier 2 says another {_MONEY!r} than the plan", where)
    _fill(columns.tier2, row, first | own, f"{where}, tier2")


def _money(tier: Mapping[str, Any], where: str) -> Any:
    return _mapping({} if tier.get("options") is None else tier["options"], f"{where}, options").get(_MONEY)


def _fill_service(columns: DesignColumns, row: int, service: int, terms: Mapping[str, Any], where: str) -> None:
    _known(terms, (*SERVICE_FLAGS, *_SERVICE_AMOUNTS), where)
    for key in SERVICE_FLAGS:
        if key in terms:
            getattr(columns, key)[row, service] = _flag(terms[key], f"{where}, {key}")
    for key, array in _SERVICE_AMOUNTS.items():
        if key in terms:
            highest = 1.0 if array == "coinsurance" else np.inf
            getattr(columns, array)[row, service] = _number(terms[key], f"{where}, {key}", highest=highest)


def _fill_options(columns: DesignColumns, row: int, options: Mapping[str, Any], where: str) -> None:
    _known(options, (*OPTION_FLAGS, *OPTION_COUNTS, *OPTION_AMOUNTS), where)
    for key, array in OPTION_FLAGS.items():
        if key in options:
            getattr(columns, array)[row] = _flag(options[key], f"{where}, {key}")
    for key, array in OPTION_COUNTS.items():
        if key in options:
            count = _number(options[key], f"{where}, {key}")
            if not 1 <= count <= MAX_COUNT or count != int(count):
                rule = f"AVC-007: days and visits are a whole number from 1 to {MAX_COUNT}"
                raise _refused(rule, f"{key!r} is out of range, or no whole number", where)
            getattr(columns, array)[row] = int(count)
    for key, array in OPTION_AMOUNTS.items():
        if key in options:
            getattr(columns, array)[row] = _number(options[key], f"{where}, {key}")
    if columns.first_visits_free[row] and columns.first_visits_copay[row]:
        columns.first_visits_copay[row] = 0
        rule = "AVC-023: one of the two options"
        raise _refused(rule, "first visits free and first visits at the copay exclude each other", where)


def _known(given: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    loose = sorted(str(key) for key in set(given) - set(names))
    if loose:
        rule = "AVC-001: known are " + ", ".join(sorted(names))
        raise _refused(rule, f"key {loose[0]!r} is not known here", where)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise _refused("AVC-005: a mapping", f"a {type(value).__name__} stands where a mapping belongs", where)


def _word(value: Any, words: Sequence[str], where: str, rule_id: str = "AVC-003") -> int:
    if isinstance(value, str) and value in words:
        return words.index(value)
    shown = repr(value) if isinstance(value, str | None) else f"a {type(value).__name__}"
    raise _refused(f"{rule_id}: one of " + ", ".join(words), f"{shown} is not known here", where)


def _text(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _refused("AVC-005: text", f"a {type(value).__name__} stands where text belongs", where)


def _variant(value: Any, where: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 2:
        return int(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= 99:
        return int(value)
    raise _refused('AVC-003: two digits, "04" say', "a variant is not known here", where)


def _flag(value: Any, where: str) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise _refused("AVC-005: true or false", f"a {type(value).__name__} stands where true or false belongs", where)


def _number(value: Any, where: str, *, highest: float = np.inf) -> float:
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, _NUMBERS):
        raise _refused("AVC-005: a number", f"a {type(value).__name__} stands where a number belongs", where)
    # A decimal that is none cannot be compared.
    is_number = not isinstance(value, Decimal) or value.is_finite()
    if not (is_number and 0 <= value <= min(highest, LARGEST)):
        raise _refused(f"AVC-006: 0 to {min(highest, LARGEST):g}", "a number is out of range", where)
    return float(value)


def _refused(rule: str, what: str, where: str) -> InputRefused:
    return InputRefused(what, where=where, rule=rule, remedy="mend the design")
