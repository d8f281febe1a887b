"""Steps of the validation that concern HCCs: what is counted as one, failure rates of the nation, and three groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from data_specs import _frames, _registry
from data_specs.errors import InputRefused
from riskadjust._cents import exact
from riskadjust._corridor_plans import keyed_frame
from riskadjust._radv_audit import count_columns
from riskadjust._refusals import Refusals, number_columns, rule_text

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._radv_audit import Audit
    from riskadjust._radv_settings import RadvTerms

__all__ = [
    "GROUP_TABLE",
    "National",
    "Unit",
    "Units",
    "counted",
    "group_names",
    "grouped",
    "rank_groups",
    "units_of_year",
]

GROUP_TABLE = "hhs_hcc/model_variables"
NATIONAL = "national"
_THREE = ("low", "medium", "high")


class Unit(NamedTuple):
    """What is counted: an HCC, or the HCCs of one coefficient group. Sorted by its lowest HCC, then its model."""

    first: str
    model: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Units:
    """The units of a year, sorted, and the unit of each model and HCC as a frame: model, hcc, unit (position)."""

    units: list[Unit]
    of_hcc: pl.DataFrame

    def joined(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame that has model and hcc with the column unit."""
        return frame.join(self.of_hcc, on=["model", "hcc"], how="left", maintain_order="left", validate="m:1")

    def has_several(self, unit: pl.Series) -> pl.Series:
        """Return which positions are of units with several HCCs."""
        import polars as pl

        several = pl.Series([len(u.members) > 1 for u in self.units], dtype=pl.Boolean)
        return several.gather(unit.cast(pl.UInt32))


@dataclass(frozen=True)
class National:
    """What the nation's counts say, and what was given of it.

    Attributes
    ----------
    submitted, found : list of int
        National counts by unit.
    order : list of int
        Units with a failure rate, lowest first.
    group_of : dict
        Unit -> group, from 0.
    given : dict
        Group -> (mean, standard deviation) that was handed in.
    """

    submitted: list[int]
    found: list[int]
    order: list[int]
    group_of: dict[int, int]
    given: dict[int, tuple[Fraction, Fraction]]


def group_names(count: int) -> tuple[str, ...]:
    """Return the names of failure-rate groups, lowest rate first.

    Examples
    --------
    >>> group_names(3), group_names(2)
    (('low', 'medium', 'high'), ('group_1', 'group_2'))
    """
    return _THREE if count == len(_THREE) else tuple(f"group_{i + 1}" for i in range(count))


def units_of_year(known: pl.DataFrame, terms: RadvTerms) -> Units:
    """Return the units of an audit year: HCCs, or the coefficient groups of ``hhs_hcc/model_variables``.

    Raises
    ------
    TableMissing
        Super HCCs are asked for and no coefficient groups of the year are held.
    """
    import polars as pl

    pairs = known.select("model", "hcc").rows()
    names: dict[tuple[str, str], str] = {}
    if terms.unit != "none":
        rules = _registry.rows(GROUP_TABLE, year=terms.audit_year).filter(pl.col("kind") == "hcc_group")
        names = {(model, hcc): group for model, hcc, group in rules.select("model", "member", "variable").rows()}
    members: dict[tuple[str, str], list[str]] = {}
    keys = {}
    for model, hcc in pairs:
        keys[model, hcc] = (model, names.get((model or "adult", hcc), hcc))
        members.setdefault(keys[model, hcc], []).append(hcc)
    if terms.unit == "throughout" and terms.chosen.super_hcc_models == "identical_joined":
        keys, members = _joined(keys, members)
    unit_of = {key: Unit(min(hccs), key[0], key[1], tuple(sorted(hccs))) for key, hccs in members.items()}
    units = sorted(unit_of.values())
    place = {unit: i for i, unit in enumerate(units)}
    lines = [(model, hcc, place[unit_of[key]]) for (model, hcc), key in keys.items()]
    schema = {"model": pl.String, "hcc": pl.String, "unit": pl.Int64}
    return Units(units, pl.DataFrame(lines, schema=schema, orient="row"))


_Keys = dict[tuple[str, str], tuple[str, str]]
_Members = dict[tuple[str, str], list[str]]


def _joined(keys: _Keys, members: _Members) -> tuple[_Keys, _Members]:
    """Return keys and members with units of the adult and the child model joined that have the same members."""
    by_members: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for key, hccs in members.items():
        if key[0] in ("adult", "child"):
            by_members.setdefault(tuple(sorted(hccs)), []).append(key)
    new = {key: ("adult_child", min(same)[1]) for same in by_members.values() if len(same) > 1 for key in same}
    kept = {new.get(key, key): hccs for key, hccs in members.items()}
    return {pair: new.get(key, key) for pair, key in keys.items()}, kept


# ------------------------------------------------------------------------------------------------ counting


def counted(audit: Audit, units: Units, terms: RadvTerms, findings: Findings) -> pl.DataFrame:
    """Return key, unit, submitted, found: the counts of every issuer, sorted."""
    import polars as pl

    hccs = units.joined(audit.hccs)
    terms.unit_moved(int(units.has_several(hccs["unit"]).sum()) if hccs.height and terms.unit != "none" else 0)
    flags = pl.col("is_submitted"), pl.col("is_found")
    if terms.unit == "throughout" and terms.chosen.super_hcc_counting == "once":
        hccs = hccs.group_by(*audit.keys, "enrollee_id", "unit").agg(f.any() for f in flags)
    of_people = hccs.group_by(*audit.keys, "unit").agg(
        *(f.cast(pl.Int64).sum().alias(c) for f, c in zip(flags, ("submitted", "found"), strict=True))
    )
    counts = units.joined(audit.counts)
    if counts.height and terms.unit == "throughout":
        findings.note("RDV-042", "counts", int(units.has_several(counts["unit"]).sum()))
    of_counts = counts.group_by(*audit.keys, "unit").agg(
        pl.col("submitted_hccs").sum().alias("submitted"), pl.col("found_hccs").sum().alias("found")
    )
    return pl.concat([of_people, of_counts]).sort(*audit.keys, "unit")


def rank_groups(submitted: list[int], found: list[int], groups: int, cut: str) -> tuple[list[int], dict[int, int]]:
    """Return the units with a failure rate, lowest first, and the group of each, from 0.

    ``FR = 1 - found / submitted``. Going over the sorted list, a unit belongs to the part of all submitted HCCs in
    which the middle (`cut` ``midpoint``), the ``start`` or the ``end`` of its own count lies. Ties go by position:
    units are sorted by HCC number. A point on a boundary belongs to the upper part, for ``end`` to the lower.

    Notes
    -----
    Source: CMS memo on the 2017 results (three groups of about equal counts); where exactly the cut falls is not
    published.

    Examples
    --------
    Rates of 0.2, 0.1 and 0.5; 25, 50 and 25 of 100: middles at 62.5, 25 and 87.5.

    >>> rank_groups([25, 50, 25], [20, 45, 12], 3, "midpoint")
    ([1, 0, 2], {1: 0, 0: 1, 2: 2})
    """
    rated = [i for i, count in enumerate(submitted) if count > 0]
    order = sorted(rated, key=lambda i: (1 - Fraction(found[i], submitted[i]), i))
    total, before, group_of = sum(submitted), 0, {}
    for i in order:
        after = before + submitted[i]
        if cut == "end":
            group_of[i] = -(-groups * after // total) - 1
        else:
            twice = 2 * before if cut == "start" else before + after
            group_of[i] = groups * twice // (2 * total)
        before = after
    return order, group_of


def grouped(
    counts: pl.DataFrame,
    units: Units,
    given: Any,
    known: pl.DataFrame,
    terms: RadvTerms,
    findings: Findings,
    *,
    needs_counts: bool,
) -> National:
    """Return the group of every unit: the given one, or that of the given national counts, or of those at hand.

    Where all issuers are exempt nothing is counted, and nothing has to be: `needs_counts` says whether any is left.

    Raises
    ------
    InputRefused
        Rules RDV-005, RDV-008, RDV-011, RDV-015 and RDV-018.
    """
    import polars as pl

    frames = _given_frames(given)
    by_model = terms.unit == "throughout"
    nation = counts
    if "counts" in frames:
        rows = count_columns(frames["counts"], f"{NATIONAL} counts", (), known, by_model)
        findings.table(f"{NATIONAL} counts", rows.height)
        nation = units.joined(rows).rename({"submitted_hccs": "submitted", "found_hccs": "found"})
    sums = nation.group_by("unit").agg(pl.col("submitted", "found").sum()).sort("unit")
    submitted, found = [0] * len(units.units), [0] * len(units.units)
    for unit, e, v in sums.select("unit", "submitted", "found").rows():
        submitted[unit], found[unit] = e, v
    if needs_counts and not (any(submitted) and counts["submitted"].sum()):
        raise InputRefused(
            "no HCC was submitted", where="audit", rule=rule_text("RDV-018"), remedy="check is_submitted and counts"
        )
    findings.note("RDV-046", "hccs", sum(v > 0 and e == 0 for e, v in zip(submitted, found, strict=True)))
    order, group_of = rank_groups(submitted, found, terms.groups, terms.chosen.group_cut)
    if "groups" in frames:
        group_of = _given_groups(frames["groups"], units, known, terms, findings)
    _check_grouped(counts, units, group_of)
    statistics = _given_statistics(frames.get("statistics"), terms, group_of, findings)
    return National(submitted, found, order, group_of, statistics)


def _check_grouped(counts: pl.DataFrame, units: Units, group_of: dict[int, int]) -> None:
    lacking = sorted({u for u, e in counts.select("unit", "submitted").rows() if e and u not in group_of})
    if lacking:
        shown = ", ".join(" ".join(filter(None, units.units[u][1:3])) for u in lacking[:3])
        raise InputRefused(
            f"{len(lacking)} submitted HCCs have no national group ({shown}{' ...' if len(lacking) > 3 else ''})",
            where=NATIONAL,
            rule=rule_text("RDV-015"),
            remedy="add them to the national counts or groups",
        )


# ------------------------------------------------------------------------------------------------ what was given


def _given_frames(given: Any) -> dict[str, pl.DataFrame]:
    import polars as pl

    known = ("counts", "groups", "statistics")
    if given is None:
        return {}
    is_sound = isinstance(given, Mapping) and set(given) <= set(known)
    if not is_sound or not all(v is None or isinstance(v, pl.DataFrame | pl.LazyFrame) for v in given.values()):
        shown = ", ".join(map(repr, known))
        raise InputRefused(
            "national figures are a mapping of frames", where=NATIONAL, remedy=f"name the frames {shown}"
        )
    return {name: frame.lazy().collect() for name, frame in given.items() if frame is not None}


def _given_groups(
    frame: pl.DataFrame, units: Units, known: pl.DataFrame, terms: RadvTerms, findings: Findings
) -> dict[int, int]:
    table, names = f"{NATIONAL} groups", group_names(terms.groups)
    _frames.need_columns(frame, table, ("hcc", "group"))
    blank = frame.select("hcc", *[c for c in ("model",) if c in frame.columns])
    with_counts = blank.with_columns(submitted_hccs=0, found_hccs=0)
    rows = count_columns(with_counts, table, (), known, terms.unit == "throughout")
    findings.table(table, rows.height)
    row = rows["_row"].to_numpy()
    groups = _frames.text_column(frame, table, "group").str.strip_chars().str.to_lowercase()
    chosen = [names.index(g) if g in names else -1 for g in groups.gather(row).to_list()]
    refusals = Refusals(table, row)
    group_of: dict[int, int] = {}
    for unit, group in zip(units.joined(rows)["unit"].to_list(), chosen, strict=True):
        group_of.setdefault(unit, group)
    differs = [group_of[u] != g for u, g in zip(units.joined(rows)["unit"].to_list(), chosen, strict=True)]
    refusals.add("RDV-015", "group", np.array(chosen) < 0, f" (groups: {', '.join(names)})")
    refusals.add("RDV-015", "group", np.array(differs), " (HCCs of one unit in two groups)")
    refusals.check()
    return group_of


def _given_statistics(
    frame: pl.DataFrame | None, terms: RadvTerms, group_of: dict[int, int], findings: Findings
) -> dict[int, tuple[Fraction, Fraction]]:
    if frame is None:
        findings.note("RDV-040", NATIONAL, 1)
        return {}
    table, names = f"{NATIONAL} statistics", group_names(terms.groups)
    numbers = ("mean_failure_rate", "standard_deviation")
    frame = keyed_frame(frame, table, numbers, ("group",), "RDV-015")
    findings.table(table, frame.height)
    values, refusals = number_columns(frame, table, numbers), Refusals(table)
    place = [names.index(g) if g in names else -1 for g in frame["group"].str.to_lowercase().to_list()]
    refusals.add("RDV-015", "group", np.array(place) < 0, f" (groups: {', '.join(names)})")
    mean, deviation = (values[c] for c in numbers)
    refusals.add("RDV-015", numbers[0], ~((mean <= 1) & (mean > -1e6)))
    refusals.add("RDV-015", numbers[1], ~((deviation >= 0) & (deviation < 1e6)))
    refusals.check()
    missing = sorted({names[g] for g in group_of.values()} - {names[g] for g in place})
    if missing:
        raise InputRefused(
            f"no statistics are given of the group {', '.join(missing)}",
            where=table,
            rule=rule_text("RDV-015"),
            remedy="add its mean and standard deviation",
        )
    return {g: (exact(m), exact(s)) for g, m, s in zip(place, mean.tolist(), deviation.tolist(), strict=True)}
