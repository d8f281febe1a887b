"""What every search for a lever stands on: designs as read, what they are to reach, their tables and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating._actuarial_value import ActuarialValues, actuarial_value
from rating._av_2015 import is_beyond_older, older_values
from rating._av_columns import NOT_SAID, TABLE_METALS, DesignColumns
from rating._av_inputs import ReadDesigns, read_designs
from rating._av_kernel import design_values
from rating._av_tables import Calculator, calculator
from rating._av_windows import CSR_VARIANTS, Windows, windows
from rating._figures import Figures
from rating._lever_settings import LeverSettings
from rating._metal import CATASTROPHIC, table_of_level

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Aim", "Ground", "ground_of"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]
Rows = NDArray[np.int64]

_LIMITS, _STANDARD = "rating/annual_cost_sharing_limits", "standard"


@dataclass(frozen=True)
class Aim:
    """What designs are to reach: a target each, or, where that is None, the window they are held to."""

    target: Floats | None

    def of(self, rows: Rows) -> Aim:
        """Return the aim of some designs."""
        return self if self.target is None else Aim(self.target[rows])


@dataclass(frozen=True)
class Ground:
    """Designs and everything that their values are worked with.

    Attributes
    ----------
    plan_year, settings
        As given.
    read, columns : ReadDesigns, DesignColumns
        The designs; filed values are left out of the columns.
    present : ActuarialValues
        Of the designs as they are.
    tables, held, figures : Calculator, Windows, Figures
        Of the year.
    """

    plan_year: int
    settings: LeverSettings
    read: ReadDesigns
    columns: DesignColumns
    present: ActuarialValues
    tables: Calculator
    held: Windows
    figures: Figures

    def metals(self, aim: Aim) -> Codes:
        """Return the metal of the tables that each design is worked on while a lever is moved.

        That which it names, or its variant, or its desired level; else, for a target, the metal whose window holds the
        target or is nearest to it, and for a window that of the tables it is worked on now.
        """
        frame = self.present.designs
        now = frame["table_metal"].replace_strict(TABLE_METALS, range(len(TABLE_METALS)), default=NOT_SAID)
        metal = now.to_numpy().astype(np.int8)
        columns = self.columns
        if aim.target is not None:
            low, high = self.held.of_designs(columns)
            target = aim.target[:, None]
            nearest = np.maximum(np.maximum(low - target, target - high), 0.0).argmin(axis=1).astype(np.int8)
            metal = np.where(metal == NOT_SAID, metal, nearest)
        desired = table_of_level(columns.desired_metal)
        is_variant = np.isin(columns.csr_variant, list(CSR_VARIANTS))
        metal = np.where((desired != NOT_SAID) & (metal != NOT_SAID), desired, metal)
        metal = np.where(is_variant, now.to_numpy(), metal)
        return np.where(columns.table_metal != NOT_SAID, columns.table_metal, metal).astype(np.int8)

    def can_be_moved(self, aim: Aim) -> Flags:
        """Return which designs have a value that a lever may move; a catastrophic plan has no window."""
        refused = np.zeros(self.columns.height, bool)
        refused[[problem.row for problem in self.read.problems]] = True
        if aim.target is None:
            refused |= self.columns.desired_metal == CATASTROPHIC
        return np.asarray(~refused & (self.metals(aim) != NOT_SAID))

    def is_in_range(self) -> Flags:
        """Return which designs lie in their windows as they are, by our own value where another one is filed."""
        metal = np.maximum(self.metals(Aim(None)), 0).astype(np.int8)
        av, at = self.values(self.columns, metal), (np.arange(self.columns.height), metal)
        low, high = (ends[at] for ends in self.held.of_designs(self.columns))
        with np.errstate(invalid="ignore"):
            return np.asarray((av >= low) & (av <= high))

    def limits(self, rows: Rows) -> Floats:
        """Return the year's limit on cost sharing of some designs, and put down the uncertain ones."""
        frame = self.figures.rows(_LIMITS, self.plan_year)
        held = {limit: float(usd) for limit, usd in frame.select("limit", "self_only_usd").rows()}
        names = np.full(len(rows), _STANDARD, dtype="U30")
        for code, window in CSR_VARIANTS.items():
            of_variant = [limit for limit in held if window.removeprefix("csr_") in limit.split("_")]
            names[self.columns.csr_variant[rows] == code] = (of_variant or [_STANDARD])[0]
        used = np.array([np.count_nonzero(names == limit) for limit in held], np.int64)
        self.figures.took_part(_LIMITS, frame, ["plan_year", "limit"], used, "highest_value")
        return np.array([held[name] for name in names.tolist()])

    def values(self, designs: DesignColumns, metal: Codes) -> Floats:
        """Return the actuarial values of designs on the tables of a metal."""
        if self.tables.kernel is None:
            av = np.full(designs.height, np.nan)
            rows = np.flatnonzero(~is_beyond_older(designs))
            av[rows] = older_values(designs.with_changes(table_metal=metal).take(rows), self.tables)[0]
            return av
        is_bisected, is_scaled = self.settings.unsettled == "bisect", self.settings.separate_moop_rule != "as_2017"
        return design_values(designs, metal, self.tables, bisect=is_bisected, scale_nested=is_scaled).av

    def valued(self, designs: DesignColumns) -> pl.DataFrame:
        """Return the frame of :func:`rating.actuarial_value` of other terms of these designs."""
        return actuarial_value(designs, plan_year=self.plan_year, settings=_of_columns(self.settings)).designs


def ground_of(designs: Any, plan_year: int, settings: LeverSettings) -> Ground:
    """Return designs of any form with everything that their values are worked with.

    It raises what :func:`rating.actuarial_value` raises.
    """
    figures = Figures()
    tables, held = calculator(plan_year, figures), windows(plan_year, settings.legal_state, figures)
    read = read_designs(designs, coinsurance_is=settings.coinsurance_is)
    columns = read.columns.with_changes(filed_av=np.full(read.columns.height, np.nan))
    # Columns do not say what was refused: then the designs are read once more as they came.
    again, chosen = (designs, settings.of_values()) if read.problems else (columns, _of_columns(settings))
    present = actuarial_value(again, plan_year=plan_year, settings=chosen)
    return Ground(plan_year, settings, read, columns, present, tables, held, figures)


def _of_columns(settings: LeverSettings) -> dict[str, Any]:
    """Return the settings of the values of columns, in which coinsurance is the plan's share already."""
    chosen = settings.of_values()
    return {**chosen, "coinsurance_is": "plan"} if chosen["coinsurance_is"] == "enrollee" else chosen
