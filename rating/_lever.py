"""One lever of a design moved until its actuarial value reaches a target, or the window of its metal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from rating._av_columns import SERVICES
from rating._figures import whole_year
from rating._lever_frame import lever_frame, note
from rating._lever_ground import Aim, Ground, ground_of
from rating._lever_settings import LeverSettings
from rating._lever_solve import Solved, solve
from rating._lever_terms import LEVERS, Levers, lever_named
from rating._outcome import Outcome

if TYPE_CHECKING:
    import polars as pl

    from rating._av_columns import DesignColumns
    from rating._av_designs import Design

    Designs = (
        Mapping[str, Any] | Design | Sequence[Mapping[str, Any] | Design] | pl.DataFrame | pl.LazyFrame | DesignColumns
    )

__all__ = ["SolvedLevers", "levers_into_window", "solve_lever"]

Floats = NDArray[np.float64]

_PREVENTIVE = SERVICES.index("preventive")


@dataclass(frozen=True, kw_only=True)
class SolvedLevers(Outcome):
    """Levers of designs, the value each would need, and what was noticed.

    Attributes
    ----------
    designs : DataFrame
        A row per design and lever, in the order given.

        What was asked: design_id, lever, service (of the lever; blank: it is none of a service), tier (1, 2 or both),
        target_av (blank: the window), table_metal (of the tables used for every value of the row).

        What came of it: present_value, present_av (on those tables), value (of the lever; dollars, the plan's share,
        or days), av (with it), difference (av less the target, or less the nearest end of the window; 0 within),
        is_reached, reason (why not: a word of ``av/design_rules``), exact_value (before rounding). A row that does not
        reach has the value whose AV comes nearest.

        How: solutions (values at which the AV passes the target, or an end of the window), jump_value, jump_av_below,
        jump_av_above (a value of the lever at which the AV jumps across the target, and the AV on both sides),
        lowest_value, highest_value (bounds of the search), evaluations, values_without_av (values of the lever at which
        the calculator gives none; no solution is looked for between them).

        The design with that value, as :func:`rating.actuarial_value` has it: metal_level, in_range, window, flags.
    """

    designs: pl.DataFrame


def solve_lever(
    designs: Designs,
    *,
    plan_year: int,
    lever: str,
    service: str | None = None,
    target_av: float | Sequence[float] | None = None,
    into_window: bool = False,
    tier: int | str = 1,
    bounds: tuple[float, float] | None = None,
    settings: Mapping[str, Any] | LeverSettings | None = None,
) -> SolvedLevers:
    """Return, for each design, the value of one lever that gives a target AV, or that brings it into its window.

    Of several values that do, the one nearest to the design's present value is taken (of two as near, the smaller);
    ``solutions`` counts them. The AV is not taken to rise or fall steadily with a lever: the whole range is scanned.

    Parameters
    ----------
    designs : any form that :func:`rating.actuarial_value` reads
        One design, or several.
    plan_year : int
        The year whose tables, algorithm, windows and limits are used.
    lever : str
        ``deductible``, ``deductible_medical``, ``deductible_drug``, ``moop``, ``moop_medical``, ``moop_drug``,
        ``plan_coinsurance``, ``plan_coinsurance_medical``, ``plan_coinsurance_drug``, ``copay`` and
        ``service_coinsurance`` (of a service), ``employer_hsa_hra``, ``specialty_drug_coinsurance_max_per_script``,
        ``inpatient_copay_max_days``.
    service : str, optional
        Whose copay or coinsurance is moved. Its flags stay: a copay works where they let it.
    target_av : float or sequence of float, optional
        For all designs, or for each.
    into_window : bool
        In place of a target: the window the design is held to (by its table metal, desired metal or variant; else that
        of the metal it has or is nearest to).
    tier : {1, 2, "both"}
        Whose terms are moved where a design has two network tiers.
    bounds : pair of float, optional
        Lowest and highest value looked at. By default a deductible lies between 0 and the out-of-pocket limit; that
        limit between the deductible and the year's limit on cost sharing; a coinsurance between 0 and 1; a copay and
        the cap per script between 0 and the out-of-pocket limit; employer money between 0 and the deductible; days
        between 1 and 10. What no plan can have is left out whatever the bounds.
    settings : mapping, optional
        ``tolerance``, ``scan_points``, ``round_to`` and those of an actuarial value, see :class:`rating.LeverSettings`.

    Returns
    -------
    SolvedLevers
        ``designs``, and what was noticed.

    Raises
    ------
    SettingRefused
        No such lever, service or tier; neither or both of target and window; a target or bounds out of range.
    InputRefused, TableMissing, NotYetPublished
        As :func:`rating.actuarial_value`.

    Notes
    -----
    The range is cut into ``scan_points`` intervals, closer where amounts are small, all designs and points in one call.
    Between neighbors on both sides of the goal false position and halving close in; near misses are looked at again
    more closely. What remains at a distance above ``tolerance`` when the interval is gone is a jump, not a solution.
    Where a design names no metal, the tables are those of the metal whose window holds the target; ``reason`` says so
    when the design then comes out on others.

    Examples
    --------
    The deductible that makes a silver design exactly 70 percent:

    >>> plan = {"deductible_type": "integrated", "deductible": 3000, "plan_coinsurance": 0.7, "moop": 8000,
    ...     "table_metal": "silver"}
    >>> found = solve_lever(plan, plan_year=2026, lever="deductible", target_av=0.7).designs
    >>> found.select("value", "is_reached", "solutions").row(0), round(found["av"].item(), 9)
    ((3271.5..., True, 1), 0.7)
    """
    handle = lever_named(lever, service, tier)
    if (target_av is not None) == bool(into_window):
        raise SettingRefused(
            "a lever is moved either to a target or into the window", remedy="give `target_av` or `into_window=True`"
        )
    chosen = LeverSettings.of(settings)
    ground = ground_of(designs, whole_year(plan_year, "plan_year"), chosen)
    aim = Aim(None if target_av is None else _targets(target_av, ground.columns.height))
    rows = np.flatnonzero(ground.can_be_moved(aim))
    return _result(ground, aim, [solve(ground, handle, rows, aim, _bounds(bounds))], has_every_design=True)


def levers_into_window(
    designs: Designs, *, plan_year: int, settings: Mapping[str, Any] | LeverSettings | None = None
) -> SolvedLevers:
    """Return, for each design out of its window, every single lever and the value with which it would be in.

    Levers: each deductible, out-of-pocket limit and general coinsurance; the copays and coinsurances that services
    have; employer money, the cap per script and the days charged where the design has them; in network tier 1.

    Parameters
    ----------
    designs, plan_year, settings
        As of :func:`solve_lever`.

    Returns
    -------
    SolvedLevers
        ``designs``: a row per design and lever; a design within its window, or without one, has none.

    Raises
    ------
    InputRefused, SettingRefused, TableMissing, NotYetPublished
        As :func:`solve_lever`.

    Examples
    --------
    A silver design that pays too much: a higher deductible or a lower coinsurance would do, a higher limit would not.

    >>> plan = {"deductible_type": "integrated", "deductible": 1000, "plan_coinsurance": 0.8, "moop": 8000,
    ...     "table_metal": "silver"}
    >>> found = levers_into_window(plan, plan_year=2026, settings={"round_to": 0.01}).designs
    >>> found.select("lever", "value", "is_reached").rows()
    [('deductible', 3065.67, True), ('moop', 10600.0, False), ('plan_coinsurance', 0.46, True)]
    """
    chosen = LeverSettings.of(settings)
    ground = ground_of(designs, whole_year(plan_year, "plan_year"), chosen)
    aim = Aim(None)
    is_out = ground.can_be_moved(aim) & ~ground.is_in_range()
    searches = [(handle, np.flatnonzero(is_out & handle.is_used(ground.columns))) for handle in _handles()]
    # The first of all stands also where nothing is to be searched: its frame has the columns.
    kept = [search for search in searches if len(search[1])] or searches[:1]
    solved = [solve(ground, handle, rows, aim) for handle, rows in kept]
    return _result(ground, aim, solved, has_every_design=False)


def _handles() -> list[Levers]:
    """Return every lever, with each service where it is of one."""
    charged = [word for place, word in enumerate(SERVICES) if place != _PREVENTIVE]
    return [
        lever_named(name, service, 1)
        for name, lever in LEVERS.items()
        for service in (charged if lever.is_of_service else (None,))
    ]


def _targets(given: float | Sequence[float], number: int) -> Floats:
    try:
        targets = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        targets = np.full(1, np.nan)
    if targets.ndim > 1 or (targets.ndim == 1 and len(targets) != number):
        raise SettingRefused(
            f"`target_av` has {targets.size} values for {number} designs", remedy="give one, or one each"
        )
    if not ((targets > 0) & (targets <= 1)).all():
        raise SettingRefused("`target_av` is no share above 0 and up to 1", remedy="write 0.7 for 70 percent")
    return np.broadcast_to(targets, number).copy()


def _bounds(given: tuple[float, float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not 0 <= low <= high < np.inf:
        raise SettingRefused(
            f"`bounds` cannot be {given!r}", remedy="give the lowest and the highest value, in this order"
        )
    return low, high


def _result(ground: Ground, aim: Aim, solved: list[Solved], *, has_every_design: bool) -> SolvedLevers:
    frame = lever_frame(ground, aim, solved, has_every_design=has_every_design)
    return SolvedLevers(designs=frame, **{**ground.present.parts(), **note(ground, frame)})
