"""Sheets of reinsurance that calculate: terms, the enrollees that are paid for, issuers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._failsafes_grid import Cell, Grid
from poolwise.report._sheets import Column

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["reinsurance_sheets"]

TERMS, ENROLLEES, ISSUERS = "Reinsurance terms", "Reinsured enrollees", "Reinsurance"
_MOST_ENROLLEES = 50_000  # more than that are in the files only
_EXPLAINED = {
    TERMS: "Layers of an enrollee's yearly claims and what is paid of them; asked for, money, and what follows.",
    ENROLLEES: "Enrollees whom anything is paid for: pay = sum of share x max(0, min(C, to) - from) over the layers.",
    ISSUERS: "The payments of an issuer's enrollees added before they are rounded.",
}
Sheets = list[tuple[Grid, str, tuple[str, ...]]]


def reinsurance_sheets(run: Failsafes) -> Sheets:
    """Return the sheets of reinsurance: terms, enrollees unless there are too many of them, issuers."""
    assert run.reinsurance is not None
    assert run.terms is not None
    return _Sheets(run).made()


class _Sheets:
    """The three sheets, which point at each other: enrollees at terms, terms and issuers at enrollees."""

    def __init__(self, run: Failsafes) -> None:
        assert run.reinsurance is not None
        assert run.terms is not None
        self.result, self.program = run.reinsurance, run.terms
        self.total = self.result.totals.row(0, named=True)
        self.keys = [c for c in ("state", "issuer_id") if c in self.result.issuers.columns]
        paid = self.result.enrollees.filter(pl.col("payment_before_proration") > 0)
        self.paid = paid if paid.height <= _MOST_ENROLLEES else paid.clear()
        self.moves = self.program.settings.cents_balance != "off"
        self.term_rows = self._term_rows()
        self.term_at = {row["id"]: number for number, row in enumerate(self.term_rows)}

    def made(self) -> Sheets:
        self.terms = Grid(TERMS, self._term_cells(), self.term_rows)
        self.enrollees = Grid(ENROLLEES, self._enrollee_cells(), [_with_moves(r) for r in self.paid.rows(named=True)])
        issuers = Grid(ISSUERS, self._issuer_cells(), [_with_moves(r) for r in self.result.issuers.rows(named=True)])
        sums = ("people", "paid_for", "claims", "asked", "unrounded", "payment", "contribution")
        has = {c.name for c in self._issuer_cells()}
        sheets: Sheets = [(self.terms, _EXPLAINED[TERMS], ())]
        if self.paid.height:
            sheets.append((self.enrollees, _EXPLAINED[ENROLLEES], ("before", "scaled", "payment")))
        return [*sheets, (issuers, _EXPLAINED[ISSUERS], tuple(n for n in sums if n in has))]

    # ---- terms

    def _term_rows(self) -> list[dict[str, Any]]:
        def row(name: str, term: str, **values: Any) -> dict[str, Any]:
            return {"id": name, "term": term, "area": None, "low": None, "high": None, "share": None} | values

        rows = []
        for area, layers in self.program.layers.items():
            for number, layer in enumerate(layers):
                ends = {"low": float(layer.start), "high": None if layer.stop is None else float(layer.stop)}
                rows.append(
                    row(f"layer {area} {number}", "layer", area=area or "all", share=float(layer.share), **ends)
                )
        if self.program.high_cost is not None:
            own = self.program.high_cost
            ends = {"low": float(own.threshold), "share": float(own.share)}
            rows.append(row("high cost", "taken off first: high-cost risk pool", **ends))
        if self.program.factor != 1:
            rows.append(row("factor", "dampening factor", share=float(self.program.factor)))
        asked, budget = self.total["payment_before_proration"], self.total["budget"]
        rows.append(row("asked", "asked for, unrounded sum", low=asked))
        if budget is not None:
            rows.append(row("budget", "money there", low=budget))
        rows.append(row("proration", "proration = min(1, money / asked for)", share=self.total["proration"]))
        if self.program.contribution is not None and "contribution" in self.result.issuers.columns:
            rows.append(row("contribution", "contribution per covered life-year", low=float(self.program.contribution)))
        return rows

    def _term_cells(self) -> list[Cell]:
        def asked(_: int, row: Any) -> str | None:
            return (
                f"SUM({self.enrollees.run('before', 0, self.paid.height)})"
                if row["id"] == "asked" and self.paid.height
                else None
            )

        def share(_: int, row: Any) -> str | None:
            if row["id"] != "proration" or "budget" not in self.term_at:
                return None
            money, wanted = (self._term("low", name, inside=True) for name in ("budget", "asked"))
            return f"IF({wanted}>{money},{money}/{wanted},1)"

        return [
            Cell("term", Column("Term", "text", "", 38)),
            Cell("area", Column("Rating area")),
            Cell("low", Column("From, or amount", "dollars"), asked),
            Cell("high", Column("To", "dollars", "blank: no end")),
            Cell("share", Column("Share or factor", "mean"), share),
        ]

    def _term(self, column: str, name: str, *, inside: bool = False) -> str:
        place = self.terms.at(column, self.term_at[name])
        return place.split("!")[1] if inside else place

    # ---- enrollees

    def _layers_of(self, row: Any) -> str:
        areas = self.program.layers
        area = row.get("rating_area_id") if row.get("rating_area_id") in areas else next(iter(areas))
        parts = []
        for number, layer in enumerate(areas[area]):
            low, high, share = (self._term(c, f"layer {area} {number}") for c in ("low", "high", "share"))
            top = "{net}" if layer.stop is None else f"MIN({{net}},{high})"
            parts.append(f"{share}*MAX(0,{top}-{low})")
        text = "+".join(parts)
        return text if self.program.factor == 1 else f"{self._term('share', 'factor')}*({text})"

    def _enrollee_cells(self) -> list[Cell]:
        def net(_: int, __: Any) -> str:
            if self.program.high_cost is None:
                return "{claims}"
            low, share = (self._term(c, "high cost") for c in ("low", "share"))
            return f"{{claims}}-{share}*MAX(0,{{claims}}-{low})"

        has_areas = "rating_area_id" in self.paid.columns
        cells = [Cell(k, Column(_heading(k))) for k in self.keys]
        cells.append(Cell("enrollee_id", Column("Enrollee", "text", "", 18)))
        if has_areas:
            cells.append(Cell("rating_area_id", Column("Rating area")))
        cells += [
            Cell("claims", Column("Claims", "dollars", "C, plan-paid, of the year"), value="plan_paid"),
            Cell("net", Column("Claims reinsured", "dollars", "less what is taken off first"), net, self._net),
            Cell(
                "before",
                Column("Before proration", "unrounded", "over the layers"),
                lambda _, row: self._layers_of(row),
                "payment_before_proration",
            ),
            Cell(
                "scaled",
                Column("After proration", "unrounded", "times the proration"),
                lambda _, __: f"{{before}}*{self._term('share', 'proration')}",
                "payment_unrounded",
            ),
        ]
        return cells + self._rounded("payment", "payment", "to the cent")

    def _net(self, row: Any) -> float:
        claims = float(row["plan_paid"])
        if self.program.high_cost is None:
            return claims
        own = self.program.high_cost
        return claims - float(own.share) * max(0.0, claims - float(own.threshold))

    def _rounded(self, name: str, value: str, meaning: str, source: str = "{scaled}") -> list[Cell]:
        """Return the cell of a rounded amount, and before it that of cents moved where they are."""
        if not self.moves:
            return [Cell(name, Column(_heading(name), "dollars", meaning), f"ROUND({source},2)", value)]
        moved = Cell("moved", Column("Cents moved", "dollars", "so that amounts add up"), value="_moved")
        return [moved, Cell(name, Column(_heading(name), "dollars", meaning), f"ROUND({source},2)+{{moved}}", value)]

    # ---- issuers

    def _issuer_cells(self) -> list[Cell]:
        place: dict[Any, tuple[int, int]] = {}
        for number, key in enumerate(self.paid.select(self.keys).rows()):
            first, _ = place.get(key, (number, 0))
            place[key] = (first, number + 1)

        def summed(name: str) -> Any:
            def formula(_: int, row: Any) -> str | None:
                rows = place.get(tuple(row[k] for k in self.keys))
                return None if rows is None else f"SUM({self.enrollees.run(name, *rows)})"

            return formula

        before = {key: Fraction(0) for key in self.result.issuers.select(self.keys).rows()}
        for row in self.result.enrollees.select(*self.keys, "payment_before_proration").rows():
            before[row[:-1]] += Fraction(row[-1])
        cells = [Cell(k, Column(_heading(k))) for k in self.keys]
        cells += [
            Cell("people", Column("Enrollees", "count", "with claims"), value="enrollees"),
            Cell("paid_for", Column("Paid for", "count", "enrollees"), value="enrollees_paid"),
            Cell("claims", Column("Claims", "dollars", "plan-paid"), value="plan_paid"),
            Cell(
                "asked",
                Column("Before proration", "unrounded"),
                summed("before"),
                lambda row: float(before[tuple(row[k] for k in self.keys)]),
            ),
            Cell("unrounded", Column("Payment, unrounded", "unrounded"), summed("scaled"), "payment_unrounded"),
            *self._rounded("payment", "payment", "unrounded sum, to the cent", "{unrounded}"),
        ]
        if "contribution" not in self.result.issuers.columns:
            return [*cells, Cell("amount", Column("Received", "dollars"), "{payment}", "payment")]
        rate = self._term("low", "contribution") if "contribution" in self.term_at else "0"
        return [
            *cells,
            Cell("years", Column("Covered life-years", "months"), value="covered_life_years"),
            Cell("contribution", Column("Contribution", "dollars", "paid"), f"ROUND(-{rate}*{{years}},2)"),
            Cell(
                "amount",
                Column("Received", "dollars", "rounded from its own unrounded amount"),
                f"ROUND({{unrounded}}-{rate}*{{years}},2)",
                "net",
            ),
        ]


def _with_moves(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what its rounded payment differs by from its own rounding."""
    cents = int(abs(row["payment_unrounded"]) * 100 + 0.5)
    moved = row["payment"] - Decimal(cents) / 100
    return row | {"_moved": float(moved)}


def _heading(name: str) -> str:
    words = name.removesuffix("_id").replace("_", " ")
    return words[0].upper() + words[1:]
