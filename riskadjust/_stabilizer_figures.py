"""What a run of reinsurance, corridors or a loss ratio used: each figure with its source, and what it moved."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import SettingRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["UsedFigures", "whole_year"]


def whole_year(year: object, name: str = "benefit_year") -> int:
    """Return a year that was handed in as a whole number.

    Examples
    --------
    >>> whole_year(2014)
    2014
    """
    if isinstance(year, bool) or not hasattr(year, "__index__"):
        raise SettingRefused(f"`{name}` is a {type(year).__name__}", rule="a whole number", remedy="write 2014, say")
    return int(year.__index__())


class UsedFigures:
    """The figures of one run by name.

    Examples
    --------
    >>> used = UsedFigures()
    >>> used.of_row("profit_floor", Fraction("0.03"), "transfers/risk_corridors", {"_row": 9}, "uncertain")
    >>> used.given("payout_rate", Fraction("0.126"))
    >>> used.moved("profit_floor", "corridor of issuers", 2)
    >>> used.frame().select("setting", "value", "source").rows()
    [('payout_rate', '0.126', 'given'), ('profit_floor', '0.03', 'table')]
    >>> used.uncertain().rows()
    [('transfers/risk_corridors', 'profit_floor, row 9: 0.03', 'corridor of issuers', 2)]
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}
        self._moved: dict[tuple[str, str], list[tuple[str, int]]] = {}

    def given(self, name: str, value: object, applies_to: str = "all") -> None:
        """Put down a figure or choice that was handed in."""
        self._note(name, applies_to, value, "given")

    def default(self, name: str, value: object, applies_to: str = "all") -> None:
        """Put down a choice that is the default."""
        self._note(name, applies_to, value, "default")

    def of_row(
        self,
        name: str,
        value: object,
        table: str,
        row: Mapping[str, Any],
        verification: str,
        *,
        applies_to: str = "all",
    ) -> None:
        """Put down a figure of a row of a table, and how sure it is."""
        self._note(name, applies_to, value, "table", (table, row["_row"]), verification)

    def _note(
        self,
        name: str,
        applies_to: str,
        value: object,
        source: str,
        row: tuple[str, int] | None = None,
        verification: str | None = None,
    ) -> None:
        line = {"setting": name, "applies_to": applies_to, "value": _shown(value), "source": source}
        self._lines[name, applies_to] = line | {"row": row, "verification": verification}

    def applied(self, name: str) -> list[str]:
        """Return what a figure of that name applies to, each time it was put down."""
        return [applies_to for known, applies_to in self._lines if known == name]

    def moved(self, name: str, what: str, rows: int, applies_to: str = "all") -> None:
        """Put down that a figure moved so many rows of a result."""
        if rows:
            self._moved.setdefault((name, applies_to), []).append((what, int(rows)))

    def tables(self) -> list[str]:
        """Return the tables that figures were taken from."""
        return sorted({line["row"][0] for line in self._lines.values() if line["row"]})

    def frame(self) -> pl.DataFrame:
        """Return setting, applies_to, value, source, table_row, verification of every figure."""
        import polars as pl

        columns = ("setting", "applies_to", "value", "source", "table_row", "verification")
        lines = []
        for _, line in sorted(self._lines.items()):
            place = f"{line['row'][0]}, row {line['row'][1]}" if line["row"] else None
            lines.append((*(line[c] for c in columns[:4]), place, line["verification"]))
        return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String), orient="row")

    def uncertain(self) -> pl.DataFrame:
        """Return table, what, moved, rows: the figures of tables, marked uncertain, that moved the result."""
        import polars as pl

        lines = []
        for key, moves in sorted(self._moved.items()):
            line = self._lines.get(key)
            if line is None or not line["row"] or "uncertain" not in str(line["verification"]):
                continue
            about = "" if line["applies_to"] == "all" else f" ({line['applies_to']})"
            table, row = line["row"]
            lines += [(table, f"{key[0]}, row {row}: {line['value']}{about}", what, n) for what, n in moves]
        schema = {"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64}
        return pl.DataFrame(lines, schema=schema, orient="row")


def _shown(value: object) -> str:
    if isinstance(value, Fraction):
        return str(value) if value.denominator == 1 else f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    return str(value)
