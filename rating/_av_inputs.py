"""Every form in which designs are handed in, read into columns; what cannot be read is told design by design."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_specs.errors import InputRefused
from rating._av_columns import NOT_SAID, DesignColumns
from rating._av_design_table import read_design_table, with_shares_turned
from rating._av_designs import Design
from rating._av_doubts import Problem, problems_of
from rating._av_mapping import read_mappings
from rating._frame_rows import collected

__all__ = ["ReadDesigns", "read_designs"]

_NESTED = ("services", "options", "tier2")
_ID_COLUMNS = ("design_id", "plan_id", "service")
_PLAN_ID = re.compile(r"([0-9]{5}[A-Z]{2}[0-9]{7})(?:-?([0-9]{2}))?")

Texts = list[str | None]


@dataclass(frozen=True)
class ReadDesigns:
    """Designs as they were read.

    Attributes
    ----------
    ids : list of str
        Name of each, or its plan id with its variant, or its number from 1.
    columns : DesignColumns
        One row each, checked; that of a design with a problem means nothing.
    plan_ids, filed_sources : list, optional
        Of each design, where its form can say it; None: not said.
    problems : list of Problem
        The first of each design that cannot have a value.
    """

    ids: list[str]
    columns: DesignColumns
    plan_ids: Texts | None
    filed_sources: Texts | None
    problems: list[Problem]


def read_designs(designs: Any, *, coinsurance_is: str = "not_said") -> ReadDesigns:
    """Return designs of any form as columns.

    Raises
    ------
    InputRefused
        No form of designs; a table that cannot be read as a whole; or a single design (a mapping, a ``Design``) that
        cannot have a value. Of several designs such a one is among the problems.

    Examples
    --------
    >>> plan = {"deductible_type": "integrated", "deductible": 900, "plan_coinsurance": 0.8, "moop": 500}
    >>> [problem.rule_id for problem in read_designs([plan]).problems]
    ['AVC-020']
    >>> read_designs(plan)
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: the out-of-pocket limit is below the deductible [design 1, moop]. ...
    """
    read = _read(designs)
    columns = read.columns if coinsurance_is != "enrollee" else with_shares_turned(read.columns)
    problems = [*read.problems, *_variant_problems(read, columns)]
    known = {problem.row for problem in problems}
    problems += [problem for problem in problems_of(columns, read.ids) if problem.row not in known]
    first = {problem.row: problem for problem in reversed(problems)}
    if isinstance(designs, Mapping | Design):
        for problem in problems:
            raise problem.error
    if not isinstance(designs, DesignColumns):
        columns = _checked(columns)
    plan_ids = None if read.plan_ids is None else [_split(plan_id)[0] for plan_id in read.plan_ids]
    return ReadDesigns(read.ids, columns, plan_ids, read.filed_sources, [first[row] for row in sorted(first)])


def _read(designs: Any) -> ReadDesigns:
    if isinstance(designs, DesignColumns):
        return ReadDesigns(list(map(str, range(1, designs.height + 1))), designs.checked(), None, None, [])
    if isinstance(designs, Mapping | Design):
        return _of_mappings([designs])
    is_listed = isinstance(designs, Sequence) and not isinstance(designs, str | bytes)
    if is_listed and all(isinstance(plan, Mapping | Design) for plan in designs):
        return _of_mappings(designs)
    if hasattr(designs, "collect_schema"):
        return _of_frame(collected(designs, "designs", ()))
    raise InputRefused(
        f"designs cannot be read from a {type(designs).__name__}",
        where="designs",
        remedy="hand in a mapping, a Design, a list of them, a table of designs, or DesignColumns",
    )


def _of_frame(frame: Any) -> ReadDesigns:
    """Read a frame: of plans in one column, of the keys of a mapping as columns, or of one row per plan and service."""
    columns = frame.columns
    if "plan" in columns:
        plans = [_parsed(plan) for plan in frame["plan"].to_list()]
        names = frame["design_id"].cast(str).to_list() if "design_id" in columns else [None] * len(plans)
        return _of_mappings(plans, names)
    if any(name in columns for name in _NESTED) or not any(name in columns for name in _ID_COLUMNS):
        names = [None] * frame.height
        if "design_id" in columns:
            names, frame = frame["design_id"].cast(str).to_list(), frame.drop("design_id")
        return _of_mappings(frame.to_dicts(), names)
    read = read_design_table(frame)
    return ReadDesigns(read.ids, read.columns, read.texts["plan_id"], read.texts["filed_source"], read.problems)


def _parsed(plan: Any) -> Any:
    """Return a plan that may be JSON text; text that is none is left, to be told as what it is."""
    if not isinstance(plan, str):
        return plan
    try:
        return json.loads(plan, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return plan


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; one that says a key twice is none that can be read."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _of_mappings(plans: Sequence[Any], names: Sequence[str | None] | None = None) -> ReadDesigns:
    read = read_mappings([plan.mapping() if isinstance(plan, Design) else plan for plan in plans])
    texts = read.texts
    given = texts["name"] if names is None else [own or name for own, name in zip(names, texts["name"], strict=True)]
    ids = []
    for row, (name, plan_id) in enumerate(zip(given, texts["plan_id"], strict=True)):
        variant = int(read.columns.csr_variant[row])
        suffix = "" if variant == NOT_SAID or _split(plan_id)[1] is not None else f"-{variant:02d}"
        ids.append(name or (plan_id + suffix if plan_id else str(row + 1)))
    return ReadDesigns(ids, read.columns, texts["plan_id"], texts["filed_source"], read.problems)


def _checked(columns: DesignColumns) -> DesignColumns:
    """Return columns that were read, as the kernel reads them; of options that exclude each other, one stays."""
    for tier in (columns, columns.tier2):
        if tier is not None:
            tier.first_visits_copay[tier.first_visits_free > 0] = 0
    return columns.checked()


def _split(plan_id: str | None) -> tuple[str | None, int | None]:
    """Return a plan id of 14 characters and the variant behind it; another id is left as it is."""
    found = _PLAN_ID.fullmatch(plan_id or "")
    if found is None:
        return plan_id, None
    return found[1], None if found[2] is None else int(found[2])


def _variant_problems(read: ReadDesigns, columns: DesignColumns) -> list[Problem]:
    """Take the variants that plan ids carry over; tell those that are another one than is said."""
    problems = []
    for row, plan_id in enumerate(read.plan_ids or ()):
        variant = _split(plan_id)[1]
        said = int(columns.csr_variant[row])
        if variant is None or variant == said:
            continue
        if said == NOT_SAID:
            columns.csr_variant[row] = variant
            continue
        error = InputRefused(
            f"the plan id carries variant {variant:02d}, and csr_variant says {said:02d}",
            where=f"design {read.ids[row]}, csr_variant",
            rule="AVC-012: plan ids of 16 and 17 characters carry the variant",
            remedy="mend the one that is wrong, or leave csr_variant out",
        )
        problems.append(Problem(row, error))
    return problems
