"""Designs through the compiled loops: columns arranged, tiers blended, employer money added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from data_specs.errors import InputRefused
from rating._av_columns import INTEGRATED, SERVICES, TABLE_METALS, DesignColumns
from rating._av_tables import COMBINED, Calculator, place_in, value_at

__all__ = [
    "BISECTED",
    "COLLAPSED",
    "COUNTS_NOTHING",
    "NESTED",
    "PASSES_USED",
    "UNSETTLED",
    "Values",
    "design_values",
]

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# What happened to a design, as the kernel adds it up.
COLLAPSED, UNSETTLED, BISECTED, COUNTS_NOTHING, NESTED, PASSES_USED = (1 << i for i in range(6))

_CHUNK = 512  # designs a call: a few milliseconds
_NEXT_TO_NOTHING = 1e-200  # of the spend; a division by it stays finite
_DRUGS = len(SERVICES) - 4  # drugs stand last


@dataclass(frozen=True)
class Values:
    """Actuarial values, one per design.

    Attributes
    ----------
    av : float64
        NaN where a loop does not settle.
    passes : int32
        Passes of all loops.
    state : uint8
        Sum of what happened (:data:`COLLAPSED` and so on), both tiers together.
    counted : float64
        Share of the spend at the deductible that counts toward it, in tier 1.
    """

    av: Floats
    passes: NDArray[np.int32]
    state: Bytes
    counted: Floats


def design_values(
    designs: DesignColumns, metal: NDArray[np.integer], tables: Calculator, *, bisect: bool, scale_nested: bool
) -> Values:
    """Return the actuarial value of each design on the tables of a metal.

    ``AV = u AV1 + (1 - u) AV2``, with employer money plus ``min((1 - AV) T, T(z) s) / T``: ``u`` share of tier 1, ``T``
    mean cost on the combined table, ``s`` share of the spend at the deductible that counts toward it, ``z =
    min(money, deductible) / s``.

    Parameters
    ----------
    designs : DesignColumns
        As :meth:`DesignColumns.checked` returns them.
    metal : array
        Position of the table in ``TABLE_METALS``.
    tables : Calculator
        With a kernel.
    bisect, scale_nested : bool
        See ``rating.ActuarialValueSettings``: unsettled, separate_moop_rule.

    Raises
    ------
    InputRefused
        A metal is none of those.
    """
    if ((metal < 0) | (metal >= len(TABLE_METALS))).any():
        raise InputRefused("a design has no table to be worked on", where="designs, table_metal", remedy="name a metal")
    first = _one_tier(designs, metal, tables, bisect=bisect, scale_nested=scale_nested)
    av, passes, state = first.av, first.passes, first.state
    rows = np.flatnonzero(designs.tier1_share < 1)
    if len(rows) and designs.tier2 is not None:
        second = _one_tier(designs.tier2.take(rows), metal[rows], tables, bisect=bisect, scale_nested=scale_nested)
        share = designs.tier1_share[rows]
        # Where nothing is used in tier 1 it does not matter that its loop may not settle.
        av[rows] = np.where(share > 0, share * av[rows], 0.0) + (1 - share) * second.av
        passes[rows] += second.passes
        state[rows] |= second.state
    rows = np.flatnonzero(designs.employer_money > 0)
    if len(rows):
        av[rows] += _employer_part(designs.take(rows), metal[rows], tables, av[rows], first.counted[rows])
    return Values(av, passes, state, first.counted)


def _one_tier(
    designs: DesignColumns, metal: NDArray[np.integer], tables: Calculator, *, bisect: bool, scale_nested: bool
) -> Values:
    assert tables.kernel is not None
    kernel, n = tables.kernel, designs.height
    general = np.repeat(designs.plan_coinsurance, (_DRUGS, len(SERVICES) - _DRUGS), axis=1)
    options = np.column_stack(
        [
            designs.inpatient_per_day,
            designs.skilled_nursing_per_day,
            designs.inpatient_max_days,
            designs.first_visits_free,
            designs.first_visits_copay,
        ]
    )
    arrays: list[Any] = [
        np.asarray(metal, np.uint8),
        designs.deductible_type,
        designs.deductible,
        designs.plan_coinsurance,
        designs.moop,
        designs.subject_to_deductible,
        designs.subject_to_coinsurance,
        designs.copay_after_deductible,
        np.where(np.isnan(designs.copay), 0.0, designs.copay),
        np.where(np.isnan(designs.coinsurance), general, designs.coinsurance),
        options,
        designs.specialty_cap,
    ]
    found = Values(np.empty(n), np.empty(n, np.int32), np.empty(n, np.uint8), np.empty(n))
    arrays += [found.av, found.counted, found.passes, found.state]

    def run(start: int) -> None:
        kernel.values(bisect, scale_nested, *(array[start : start + _CHUNK] for array in arrays))

    map_chunks(run, range(0, n, _CHUNK))
    return found


def _employer_part(
    designs: DesignColumns, metal: NDArray[np.integer], tables: Calculator, av: Floats, counted: Floats
) -> Floats:
    """Return what employer money adds, as a share of all spend.

    Where nothing counts toward the deductible there is nothing the money could pay.
    """
    one = designs.deductible_type == INTEGRATED
    deductible = np.where(one, designs.deductible[:, 0], designs.deductible.sum(axis=1))
    money = np.minimum(designs.employer_money, deductible)
    has_part = counted > 0
    # Where next to nothing counts, no spend reaches the money: the row without a limit.
    spend = money / np.where(has_part, np.maximum(counted, _NEXT_TO_NOTHING), 1.0)
    place = place_in(tables.spend, spend)
    added = np.zeros(len(av))
    for code, means in enumerate(tables.means[COMBINED]):
        rows = (metal == code) & has_part
        value = value_at(means, (place[0][rows], place[1][rows])) * counted[rows]
        added[rows] = np.minimum((1 - av[rows]) * means[-1], value) / means[-1]
    return added
