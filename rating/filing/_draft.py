"""A filing while it is put together: what is given, by name and place, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from rating._factors import RatingFactors
from rating._figures import Figures
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import FilingFindings
from rating.filing._formulas import Formulas
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Entry, Key
from rating.filing._numbers import number_text

__all__ = ["Draft", "Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose rates they are, and by whose rules.

    Attributes
    ----------
    issuer_id, state, market : str
        Five digits; two capital letters; ``individual`` or ``small_group``.
    plan_year : int
        Year of the rates.
    factors : RatingFactors
        Curve, tiers and ceilings of the state whose rules hold.
    """

    issuer_id: str
    state: str
    market: str
    plan_year: int
    factors: RatingFactors


class Draft:
    """The given numbers of a filing that is being put together; the first value of a quantity wins.

    Examples
    --------
    >>> draft = Draft(FilingSettings(), None)
    >>> draft.give("credibility", "1", "memorandum")
    >>> draft.offer(Entry("credibility", MARKET, Decimal("0.9"), "ratio", source="study"))
    >>> draft.entries[("credibility", MARKET)].note
    'given; study gives 0.9'
    """

    def __init__(self, chosen: FilingSettings, identity: Identity) -> None:
        self.chosen, self.identity = chosen, identity
        self.formulas = Formulas.of(chosen.as_dict())
        self.findings, self.figures = FilingFindings(), Figures()
        self.entries: dict[Key, Entry] = {}

    def give(
        self,
        name: str,
        value: Decimal | int | str,
        source: str,
        *,
        place: str = MARKET,
        grain: str = "market",
        note: str = "",
        formula: str = "",
        inputs: Iterable[Key] = (),
        replaced: Decimal | None = None,
    ) -> None:
        """Give a quantity its value; with a formula in words it counts as computed."""
        quantity = self.formulas.quantity(name, grain)
        unit = quantity.unit if quantity else "factor"
        role = COMPUTED if formula else INPUT
        self.offer(Entry(name, place, Decimal(value), unit, role, formula, tuple(inputs), source, note, replaced))

    def offer(self, entry: Entry) -> None:
        """Take an entry, unless the quantity has a value already: then that one says what it was preferred to."""
        known = self.entries.get(entry.key)
        if known is None:
            self.entries[entry.key] = entry
        elif known.value != entry.value:
            other = f"{entry.source or 'another value'} gives {number_text(entry.value)}"
            note = "; ".join(part for part in (known.note, f"given; {other}") if part)
            self.entries[entry.key] = replace(known, replaced=entry.value, note=note)

    def has(self, name: str, place: str = MARKET) -> bool:
        """Whether a quantity is given at a place."""
        return (name, place) in self.entries

    def value(self, name: str, place: str = MARKET) -> Decimal | None:
        """Return what is given for a quantity; None: nothing."""
        entry = self.entries.get((name, place))
        return None if entry is None else entry.value

    def given(self) -> dict[Key, Decimal | None]:
        """Return all given values."""
        return {key: entry.value for key, entry in self.entries.items()}
