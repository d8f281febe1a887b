"""What the charts of actuarial values draw: the value along the deductible, and the continuance curve of a design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from rating._av_columns import DesignColumns
    from rating._av_windows import Windows

__all__ = ["Anatomy", "Band", "DeductibleCurve", "anatomy_of", "bands_of", "deductible_curves"]

Floats = NDArray[np.float64]

_STEPS = 60  # points along a deductible
_ROUND = 50.0  # dollars: deductibles are filed in such steps
_FURTHEST = 50_000.0  # dollars of spend that are drawn
_NEAREST = 20_000.0
_WIDER = "expanded_bronze"


@dataclass(frozen=True)
class Band:
    """A window of a metal: its name, its ends (shares of 1), and whether the design is held to it."""

    name: str
    low: float
    high: float
    is_own: bool


@dataclass(frozen=True)
class DeductibleCurve:
    """The value of one design along its deductible, all else unchanged.

    Attributes
    ----------
    design_id, axis : str
        The design, and which deductible is varied.
    points : list of dict
        deductible, av, segment: points of one segment rest on one metal's tables and are joined.
    bands : list of Band
        The windows.
    deductible, av : float
        The design as it is.
    lever : pair of float, optional
        A deductible that brings it into its window, and the value there.
    """

    design_id: str
    axis: str
    points: list[dict[str, Any]]
    bands: list[Band]
    deductible: float
    av: float
    lever: tuple[float, float] | None = None


@dataclass(frozen=True)
class Anatomy:
    """The continuance curve of a metal, and how a plain design divides the spend below and above it.

    Attributes
    ----------
    metal : str
        Whose population.
    points : list of dict
        spend, share (of all spend that lies below it, each enrollee's spend cut there), enrollee (share that enrollees
        pay of it).
    deductible, spend_at_limit, plan_coinsurance : float
        Of a design in which every service counts toward the deductible and is shared by coinsurance.
    enrollee_share : float
        What enrollees pay of all spend; 1 less it is the value of the plain design.
    """

    metal: str
    points: list[dict[str, Any]]
    deductible: float
    spend_at_limit: float
    plan_coinsurance: float
    enrollee_share: float


def bands_of(held: Windows, metal: str | None, window: str) -> list[Band]:
    """Return the windows of the four metals, that of a design in place of its metal's standard one.

    Examples
    --------
    >>> from rating._av_windows import windows
    >>> from rating._figures import Figures
    >>> held = windows(2026, "in_force", Figures())
    >>> [(b.name, b.low, b.high) for b in bands_of(held, "bronze", "expanded_bronze") if b.is_own]
    [('bronze, expanded', 0.58, 0.65)]
    """
    bands = []
    for (name, kind), (low, high) in held.bounds.items():
        is_own = (name, kind) == (metal, window)
        replaced = name == metal and (metal, window) in held.bounds and not is_own
        if is_own or (kind == "standard" and not replaced):
            bands.append(Band(_named(name, kind), low, high, is_own))
    return sorted(bands, key=lambda band: (band.is_own, band.low))


def _named(metal: str, window: str) -> str:
    if window == "standard":
        return metal
    return f"{metal}, expanded" if window == _WIDER else f"{metal}, {window.replace('_', ' ')}"


def deductible_curves(
    rows: Sequence[int],
    designs: DesignColumns,
    found: pl.DataFrame,
    *,
    bands: Mapping[int, list[Band]],
    levers: Mapping[int, tuple[float, float]] | None = None,
    plan_year: int,
    settings: Mapping[str, Any] | None = None,
) -> list[DeductibleCurve]:
    """Return the curve of each of the rows; with two deductibles, along the medical one.

    Parameters
    ----------
    rows : sequence of int
        Positions in `designs` and in `found`.
    found : DataFrame
        ``ActuarialValues.designs``.
    bands, levers : mapping
        By position.
    """
    from rating import actuarial_value
    from rating._av_columns import INTEGRATED, NOT_SAID, TABLE_METALS

    grids = [_grid(designs, row) for row in rows]
    if not grids:
        return []
    many = designs.take(np.repeat(np.asarray(rows, np.intp), [len(grid) for grid in grids]))
    along, metal = many.deductible.copy(), many.table_metal.copy()
    along[:, 0] = np.concatenate(grids)
    along[:, 1] = np.where(many.deductible_type == INTEGRATED, along[:, 0], along[:, 1])
    # On the tables that the design was valued on, so that a point of the curve is the design itself.
    used = found["table_metal"].gather(np.repeat(rows, [len(grid) for grid in grids])).to_list()
    metal[:] = [NOT_SAID if name not in TABLE_METALS else TABLE_METALS.index(name) for name in used]
    values = actuarial_value(
        many.with_changes(deductible=along, table_metal=metal, filed_av=np.full(many.height, np.nan)),
        plan_year=plan_year,
        settings=settings,
    ).designs
    curves, begin = [], 0
    for row, grid in zip(rows, grids, strict=True):
        part = values.slice(begin, len(grid))
        begin += len(grid)
        points = _segments(grid, part["av"].to_list(), part["table_metal"].to_list())
        av = found["av_recomputed"][row]
        if not points or av is None:
            continue
        curves.append(
            DeductibleCurve(
                design_id=found["design_id"][row],
                axis="deductible" if designs.deductible_type[row] == INTEGRATED else "medical deductible",
                points=points,
                bands=bands[row],
                deductible=float(designs.deductible[row, 0]),
                av=av,
                lever=(levers or {}).get(row),
            )
        )
    return curves


def _grid(designs: DesignColumns, row: int) -> Floats:
    """Return the deductibles of a curve: round ones from 0 to the out-of-pocket limit, and the design's own."""
    top = float(designs.moop[row, 0])
    steps = np.round(np.linspace(0.0, top, _STEPS + 1) / _ROUND) * _ROUND
    return np.unique(np.append(np.minimum(steps, top), [float(designs.deductible[row, 0]), top]))


def _segments(grid: Floats, avs: list[float | None], metals: list[str | None]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    segment, before = 0, None
    for deductible, av, metal in zip(grid.tolist(), avs, metals, strict=True):
        if av is None or metal != before:
            segment += 1
        before = metal if av is not None else None
        if av is not None:
            points.append({"deductible": deductible, "av": av, "segment": segment})
    return points


def anatomy_of(
    *, metal: str, deductible: float, plan_coinsurance: float, moop: float, plan_year: int
) -> Anatomy | None:
    """Return how a plain design divides the spend of a metal's population; None where the year has no such table.

    With ``T(x)`` the mean spend of all enrollees when each one's is cut at ``x``, ``T`` the mean spend, ``D`` the
    deductible, ``q`` the plan's share and ``y = D + (M - D) / (1 - q)`` the spend that reaches the limit ``M``,
    enrollees pay ``(T(D) + (1 - q) (T(y) - T(D))) / T``.

    Examples
    --------
    >>> plain = anatomy_of(metal="silver", deductible=3000, plan_coinsurance=0.7, moop=9000, plan_year=2026)
    >>> round(plain.spend_at_limit), round(plain.enrollee_share, 4)
    (23000, 0.3278)
    """
    import polars as pl

    from data_specs import table

    rows = table("av/continuance", year=plan_year)
    rows = rows.filter((pl.col("metal") == metal) & (pl.col("table") == "combined")).sort("row")
    if rows.height == 0:
        return None
    whole = float(rows["maxd_cost"][-1])
    limited = rows.filter(~pl.col("is_unlimited"))
    spend, mean = limited["spend_limit"].to_numpy(), limited["maxd_cost"].to_numpy() / whole
    at_limit = deductible + (moop - deductible) / (1 - plan_coinsurance) if plan_coinsurance < 1 else deductible

    def enrollee(amount: Floats) -> Floats:
        below, above = np.interp([deductible, at_limit], spend, mean)
        share = np.minimum(np.interp(amount, spend, mean), above)
        return np.where(share <= below, share, below + (1 - plan_coinsurance) * (share - below))

    last = float(np.clip(1.35 * at_limit, _NEAREST, _FURTHEST))
    drawn = np.unique(np.append(spend[spend <= last], [deductible, min(at_limit, last), last]))
    shares, paid = np.interp(drawn, spend, mean), enrollee(drawn)
    points = [
        {"spend": x, "share": share, "enrollee": part}
        for x, share, part in zip(drawn.tolist(), shares.tolist(), paid.tolist(), strict=True)
    ]
    total = float(enrollee(np.array([at_limit]))[0])
    return Anatomy(metal, points, float(deductible), float(at_limit), float(plan_coinsurance), total)
