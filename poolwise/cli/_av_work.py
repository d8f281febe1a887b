"""The work of ``poolwise av``: files read, designs valued, levers looked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from poolwise.cli._av_inputs import DesignFile, is_benefits, is_plan_attributes, named, read_designs

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from rating import ActuarialValues, Outcome
    from rating._av_columns import DesignColumns

__all__ = ["Valued", "valued"]

_SUMMED = ("findings", "counts", "uncertain")


@dataclass(frozen=True)
class Valued:
    """Designs of several files, valued.

    Attributes
    ----------
    result : ActuarialValues
        Of all of them.
    designs : DesignColumns
        The designs, in the order of the result.
    left_out : int
        Designs of another year.
    notes : list of str
        Remarks for the reader.
    lists : dict of DataFrame
        What else is said of them, by the name of its file.
    """

    result: ActuarialValues
    designs: DesignColumns
    left_out: int = 0
    notes: list[str] = field(default_factory=list)
    lists: dict[str, pl.DataFrame] = field(default_factory=dict)


def valued(
    places: Sequence[Path],
    *,
    plan_year: int,
    metal: str | None = None,
    settings: dict[str, Any] | None = None,
    begin: Callable[[str], None] = lambda _: None,
) -> Valued:
    """Return the actuarial values of the designs of files.

    Raises
    ------
    InputRefused
        A file cannot be read, a design stands twice, or not one design can have a value: the message is then that of
        the first.
    TableMissing, NotYetPublished, SettingRefused
        As :func:`rating.actuarial_value` raises them.
    """
    from rating._av_columns import concatenated

    begin("reading designs")
    files = [read_designs(place, plan_year=plan_year, metal=metal) for place in places]
    begin("working out values")
    public = [file for file in files if is_plan_attributes(file) or is_benefits(file)]
    parts = [_of_file(file, plan_year, settings or {}) for file in files if file not in public]
    parts += [_of_public_files(public, plan_year, settings or {})] if public else []
    _refuse_twice([name for part in parts for name in part.result.designs["design_id"]], places)
    return Valued(
        _joined([part.result for part in parts]),
        concatenated([part.designs for part in parts]),
        sum(file.left_out for file in files),
        [note for part in parts for note in part.notes],
        {name: frame for part in parts for name, frame in part.lists.items()},
    )


def _of_file(file: DesignFile, plan_year: int, settings: dict[str, Any]) -> Valued:
    from rating import ActuarialValueSettings, actuarial_value
    from rating._av_inputs import read_designs as as_columns

    with named(file.place):
        whose = ActuarialValueSettings.of(settings).coinsurance_is
        read = as_columns(file.designs, coinsurance_is=whose)
        if read.problems and len(read.problems) == len(read.ids):
            raise read.problems[0].error
        result = actuarial_value(file.designs, plan_year=plan_year, settings=settings)
    notes = [f"{file.left_out} designs of {file.place.name} are of another year and were left out"]
    return Valued(result, read.columns, file.left_out, notes if file.left_out else [])


def _of_public_files(files: Sequence[DesignFile], plan_year: int, settings: dict[str, Any]) -> Valued:
    """Return the values of plans that the two public use files say in full."""
    from rating import actuarial_value, designs_of_plan_benefits

    where = ", ".join(str(file.place) for file in files)
    kinds = [is_plan_attributes(file) for file in files]
    if sorted(kinds) != [False, True]:
        raise InputRefused(
            "public use files of plans come in pairs",
            where=where,
            rule="the Plan Attributes file has deductibles and limits, the Benefits and Cost Sharing file the copays",
            remedy="name one of each",
        )
    plans, benefits = sorted(files, key=is_plan_attributes, reverse=True)
    found = designs_of_plan_benefits(plans.designs, benefits.designs, plan_year=plan_year)
    if not found.design_ids:
        raise InputRefused(
            "no plan of the files is said in full",
            where=where,
            rule="; ".join(found.findings["condition"].head(3).to_list()) or "no plan variant of that year",
            remedy="write the designs down by hand: a design table, or JSON",
        )
    result = actuarial_value(found.designs, plan_year=plan_year, settings=settings)
    result = replace(result, designs=result.designs.with_columns(design_id=_named(found.design_ids)))
    said = found.plans.height
    notes = [f"{len(found.design_ids):,} of {said:,} plan variants are said in full; plan_benefits.csv says why not"]
    lists = {"plan_benefits": found.plans, "plan_benefits_problems": found.problems}
    return Valued(_with(result, [result, found]), found.designs, 0, notes, lists)


def _named(ids: Sequence[str]) -> pl.Series:
    import polars as pl

    return pl.Series("design_id", ids, dtype=pl.String)


def _refuse_twice(ids: Sequence[str], places: Sequence[Path]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise InputRefused(
                f"design {name!r} stands twice",
                where=", ".join(str(place) for place in places),
                rule="a result has one row per design",
                remedy="give each design a name of its own",
            )
        seen.add(name)


def _joined(results: Sequence[ActuarialValues]) -> ActuarialValues:
    """Return the results of several files as one."""
    import polars as pl

    if len(results) == 1:
        return results[0]
    return _with(replace(results[0], designs=pl.concat([one.designs for one in results])), results)


def _with(result: ActuarialValues, outcomes: Sequence[Outcome]) -> ActuarialValues:
    """Return a result with what was noticed in several runs."""
    import polars as pl

    refused: dict[str, list[pl.DataFrame]] = {}
    for one in outcomes:
        for table, rows in one.refused.items():
            refused.setdefault(table, []).append(rows)
    return replace(
        result,
        refused={table: pl.concat(rows, how="diagonal") for table, rows in refused.items()},
        tables=sorted({table for one in outcomes for table in one.tables}),
        **{name: _summed([getattr(one, name) for one in outcomes]) for name in _SUMMED},
    )


def _summed(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return lists with their numbers added up, everything else being the key."""
    import polars as pl

    whole = pl.concat(list(frames))
    numbers = [name for name, kind in whole.schema.items() if kind.is_integer()]
    keys = [name for name in whole.columns if name not in numbers]
    return whole.group_by(keys).agg(pl.col(numbers).sum()).select(whole.columns).sort(keys)
