"""Levers of ``poolwise av``: what would bring designs into their windows, and the value of a lever for a target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused, SettingRefused

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._av_work import Valued
    from rating import SolvedLevers

__all__ = ["MOST_SUGGESTED", "check_lever", "lever_parts", "reached", "solved", "suggested"]

MOST_SUGGESTED = 100  # designs: every lever of each is searched
_STEP = {"round_to": 0.01}  # a cent, or a percent: a suggestion is read, and typed in
_ENROLLEE = "enrollee"


def lever_parts(text: str) -> tuple[str, str | None]:
    """Return a lever and the service it is of.

    Examples
    --------
    >>> lever_parts("copay:primary_care"), lever_parts("moop")
    (('copay', 'primary_care'), ('moop', None))
    """
    name, _, service = text.partition(":")
    return name.strip(), service.strip() or None


def check_lever(lever: str, target_av: float) -> None:
    """Refuse a lever or a target that cannot be, before any file is read.

    Raises
    ------
    SettingRefused
        There is no such lever or service, or the target is no share of 1.
    """
    from rating._lever_terms import lever_named

    lever_named(*lever_parts(lever), 1)
    if not 0 < target_av <= 1:
        raise SettingRefused(
            f"--target cannot be {target_av:g}", rule="a share above 0 and up to 1", remedy="write 0.70 for 70 percent"
        )


def suggested(valued: Valued, *, plan_year: int, settings: dict[str, Any]) -> SolvedLevers | None:
    """Return every lever of the designs that miss their windows, of the first :data:`MOST_SUGGESTED` of them."""
    from rating import levers_into_window

    found = valued.result.designs
    is_out = found["av"].is_not_null() & ~found["in_range"] & found["window"].is_not_null()
    rows = np.flatnonzero(is_out.to_numpy())[:MOST_SUGGESTED]
    if not len(rows):
        return None
    result = levers_into_window(valued.designs.take(rows), plan_year=plan_year, settings=_STEP | _as_read(settings))
    return _named(result, valued, rows)


def solved(valued: Valued, *, lever: str, target_av: float, plan_year: int, settings: dict[str, Any]) -> SolvedLevers:
    """Return the value of a lever at which each design that has a value has the target.

    Raises
    ------
    InputRefused
        No design has a value.
    SettingRefused
        As :func:`rating.solve_lever` raises it.
    """
    from rating import solve_lever

    rows = np.flatnonzero(valued.result.designs["av"].is_not_null().to_numpy())
    if not len(rows):
        raise InputRefused(
            "no design has a value: there is no lever to move", where="--lever", remedy="see the run without --target"
        )
    name, service = lever_parts(lever)
    result = solve_lever(
        valued.designs.take(rows),
        plan_year=plan_year,
        lever=name,
        service=service,
        target_av=target_av,
        settings=_as_read(settings),
    )
    return _named(result, valued, rows)


def _as_read(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings for designs that are columns already: shares of enrollees have been turned round."""
    whose = settings.get("coinsurance_is")
    return {**settings, "coinsurance_is": "plan"} if whose == _ENROLLEE else settings


def _named(result: SolvedLevers, valued: Valued, rows: NDArray[np.intp]) -> SolvedLevers:
    """Return levers under the names of the designs, which were handed over by number."""
    import polars as pl

    names = valued.result.designs["design_id"].gather(rows)
    place = pl.col("design_id").cast(pl.Int64) - 1
    frame = result.designs.with_columns(place.alias("design_id"))
    named = names.gather(frame["design_id"])
    return replace(result, designs=frame.with_columns(named.alias("design_id")))


def reached(found: pl.DataFrame) -> pl.DataFrame:
    """Return levers as screens and pages show them: design_id, lever, value_now, value, av, reason.

    Of designs that one lever or another brings in, those levers; of others a line that says so.
    """
    import polars as pl

    lever = pl.when(pl.col("service").is_null()).then("lever").otherwise(pl.format("{}:{}", "lever", "service"))
    whole = found.select(
        "design_id",
        lever.alias("lever"),
        pl.col("present_value").alias("value_now"),
        "value",
        pl.when("is_reached").then("av").alias("av"),
        "reason",
    )
    can = whole.filter(pl.col("av").is_not_null())
    cannot = whole.join(can.select("design_id").unique(), on="design_id", how="anti", maintain_order="left")
    none = cannot.unique("design_id", keep="first", maintain_order=True).with_columns(
        lever=pl.lit(""), value_now=None, value=None, reason=pl.lit("no single lever does")
    )
    order = whole.select(pl.col("design_id").unique(maintain_order=True)).with_row_index("_place")
    both = pl.concat([can, none], how="vertical_relaxed")
    return (
        both.join(order, on="design_id", how="left", maintain_order="left")
        .sort("_place", maintain_order=True)
        .drop("_place")
    )
