"""The ledger of a filing: every number once, with its formula, what it was worked out from, its source and a note."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COMPUTED", "INPUT", "MARKET", "Entry", "Key", "Ledger"]

Key = tuple[str, str]  # name of the quantity, and its place

MARKET = ""  # the place of what there is once in a filing
INPUT, COMPUTED = "input", "computed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of a filing.

    Attributes
    ----------
    name : str
        The quantity, by its name in ``filing/urrt_formulas`` (the ``our_column`` of the template's fields); a study of
        the experience adds names of its own. Quantities by benefit category carry it at the end:
        ``trended_ehb_professional``.
    place : str
        ``""`` for the market; otherwise the id of a plan, product or area, or a level of the calibration mix
        (``"age 10"``), or whatever a study splits by.
    value : Decimal or None
        None is a blank: absent, or not defined (a PMPM without member months). Never a stand-in for zero.
    unit : str
        ``usd``, ``usd_pmpm``, ``factor``, ``ratio``, ``member_months``, ``enrollees``, ``years`` ...
    role : str
        :data:`INPUT` (handed in, read or published) or :data:`COMPUTED`.
    formula : str
        For a computed number: the expression in names, or a sentence where no expression says it (a regression).
    inputs : tuple of Key
        What it was worked out from: name and place of each; all of them stand in the same ledger.
    source, note : str
        Where an input comes from (document, table, sheet and cell, study); anything a reader must know beside it.
    replaced : Decimal or None
        The other value of the same quantity: the computed one where a given value won, or the unrounded one where a
        result was rounded when it became an assumption. The note says which.
    """

    name: str
    place: str
    value: Decimal | None
    unit: str
    role: str = INPUT
    formula: str = ""
    inputs: tuple[Key, ...] = ()
    source: str = ""
    note: str = ""
    replaced: Decimal | None = None

    @property
    def key(self) -> Key:
        """Name and place."""
        return self.name, self.place


class Ledger:
    """Entries by name and place, in the order in which they were added.

    Examples
    --------
    >>> ledger = Ledger([Entry("exp_member_months", MARKET, Decimal(120000), "member_months", source="enrollment")])
    >>> ledger.value("exp_member_months"), ledger.value("exp_premium_total")
    (Decimal('120000'), None)
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._by_key: dict[Key, Entry] = {}
        for entry in entries:
            self.add(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key

    def add(self, entry: Entry) -> None:
        """Add an entry; one of the same name and place must not be there yet.

        Raises
        ------
        InputRefused
            There is one.
        """
        if entry.key in self._by_key:
            raise InputRefused(
                f"{entry.name} stands twice",
                where=f"{entry.name}" + (f", {entry.place}" if entry.place else ""),
                rule="a quantity has one value at a place",
                remedy="hand it in once",
            )
        self._by_key[entry.key] = entry

    def put(self, entry: Entry) -> None:
        """Add an entry, or put it in the place of one of the same name and place."""
        self._by_key[entry.key] = entry

    def get(self, name: str, place: str = MARKET) -> Entry | None:
        """Return the entry of a quantity at a place, or None."""
        return self._by_key.get((name, place))

    def value(self, name: str, place: str = MARKET) -> Decimal | None:
        """Return the value of a quantity at a place; None when it is blank or not in the ledger."""
        entry = self._by_key.get((name, place))
        return None if entry is None else entry.value

    def places(self, name: str) -> list[str]:
        """Return the places at which a quantity stands, in the order of the ledger."""
        return [entry.place for entry in self if entry.name == name]

    def with_note(self, key: Key, note: str) -> None:
        """Add a remark to the note of an entry."""
        entry = self._by_key[key]
        self._by_key[key] = replace(entry, note="; ".join(part for part in (entry.note, note) if part))

    def frame(self) -> pl.DataFrame:
        """Return the ledger, a row per entry in their order.

        Columns: name, place, value (Float64), exact (text), unit, role, formula, inputs, source, note, replaced (text).
        """
        import polars as pl

        lines = [
            (
                e.name,
                e.place,
                None if e.value is None else float(e.value),
                None if e.value is None else f"{e.value:f}",
                e.unit,
                e.role,
                e.formula,
                [f"{name} [{place}]" if place else name for name, place in e.inputs],
                e.source,
                e.note,
                None if e.replaced is None else f"{e.replaced:f}",
            )
            for e in self
        ]
        text = pl.String
        schema: dict[str, Any] = {
            "name": text,
            "place": text,
            "value": pl.Float64,
            "exact": text,
            "unit": text,
            "role": text,
            "formula": text,
            "inputs": pl.List(text),
            "source": text,
            "note": text,
            "replaced": text,
        }
        return pl.DataFrame(lines, schema=schema, orient="row")
