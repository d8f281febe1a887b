"""What the cells of a filing's workbook get: a value, the live formula where a worksheet can say it, and a style."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rating.filing._expressions import OVER_MARKET, references, render_excel
from rating.filing._filing import AS_FILED
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Key
from rating.filing._numbers import rounded
from rating.filing._workbook_book import COMPUTED_STYLE, COPY, GIVEN, INPUT_STYLE
from rating.filing._workbook_layout import BROADCAST, INDEX_RATE, Layout

__all__ = ["Content", "Contents"]

_CLOSE, _CLOSEST = Decimal("1e-9"), Decimal("5e-7")  # a filed number that its formula gives, relative and absolute


@dataclass(frozen=True)
class Content:
    """What a cell gets: a value, its formula or "", and how it is shown."""

    value: Any
    formula: str = ""
    style: str = INPUT_STYLE


class Contents:
    """The contents of all cells of a layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.filing, self.model = layout, layout.filing, layout.model

    def of(self, key: Key, sheet: str, *, is_computed: bool | None = None) -> Content:
        """Return what the cell of a quantity gets.

        Parameters
        ----------
        key, sheet
            The quantity, and the sheet it stands on.
        is_computed : bool, optional
            Whether the template computes the cell. Of a cell that the template does not have: whether the filing was
            read, so that what once followed from other cells may do so again.
        """
        entry, value = self.filing.ledger.get(*key), self.model.value(*key)
        if is_computed is None:
            is_computed = entry is not None and entry.source.startswith(AS_FILED)
        if self.model.formula(*key) is None:
            computed = entry is not None and entry.role == COMPUTED
            return Content(value, "", COMPUTED_STYLE if computed else GIVEN if is_computed else INPUT_STYLE)
        if key not in self.model.given:
            return Content(value, self.live(key, sheet), COMPUTED_STYLE)
        follows = self.model.computed(*key)
        if entry is not None and entry.role == COMPUTED and value is not None and follows is not None:
            decimals, body = -int(value.as_tuple().exponent), self.live(key, sheet)[1:]
            if value == rounded(follows, decimals):
                return Content(value, f"=ROUND({body},{decimals})" if body else "", COMPUTED_STYLE)
        if is_computed and _is_close(value, follows):
            return Content(value, self.live(key, sheet), COMPUTED_STYLE)
        is_entered = entry is None or entry.role == INPUT
        return Content(value, "", GIVEN if is_computed else INPUT_STYLE if is_entered else COMPUTED_STYLE)

    def live(self, key: Key, sheet: str) -> str:
        """Return the formula of a computed quantity; "" where a worksheet cannot say the same."""
        formula = self.model.formula(*key)
        assert formula is not None
        tree, place = formula.tree, key[1]
        try:
            if self.model.value(*key) is not None or self.model.computed(*key) is not None:
                return render_excel(tree, self.layout.resolver(sheet, place))
            if self._has_blank(tree, place):
                return render_excel(tree, self.layout.resolver(sheet, place, blanks_count=False), guarded=True)
            has_ratio = any(isinstance(node, ast.Name) and node.id == "ratio" for node in ast.walk(tree))
            return render_excel(tree, self.layout.resolver(sheet, place)) if has_ratio else ""
        except KeyError:  # a part has no cell: the filing does not hold it
            return ""

    def _has_blank(self, tree: ast.expr, place: str) -> bool:
        """Return whether a part is blank, or all that a sum runs over."""
        for name, over in references(tree):
            if over in ("", OVER_MARKET):
                keys = [self.model.key(name, MARKET if over else place)]
            else:
                keys = self.layout.keys_of(name, over, place)
            if all(self.model.value(*key) is None for key in keys):
                return True
        return False

    def copied(self, name: str, plan: str, sheet: str) -> Content:
        """Return the content of a cell that repeats a quantity of the market or product for a plan."""
        key = self.model.key(name, MARKET if name in (INDEX_RATE, *BROADCAST) else self.model.places.product_of[plan])
        value, own = self.model.value(*key), self.model.value(name, plan)
        if own != value:
            return Content(own, "", GIVEN)
        cell = self.layout.spots[key].seen_from(sheet)
        return Content(value, f'=IF(COUNT({cell})=0,"",{cell})' if value is None else f"={cell}", COPY)


def _is_close(value: Decimal | None, follows: Decimal | None) -> bool:
    """Return whether a number as filed is the one that its formula gives."""
    if value is None or follows is None:
        return value is follows
    return abs(value - follows) <= min(_CLOSE * max(abs(follows), Decimal(1)), _CLOSEST)
