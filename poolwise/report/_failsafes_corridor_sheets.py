"""Sheets of risk corridors that calculate: terms, issuers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._failsafes_grid import Cell, Grid
from poolwise.report._sheets import Column

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["corridor_sheets"]

TERMS, ISSUERS = "Corridor terms", "Risk corridors"
_UNUSED = "COR-025"  # an over-statement of reserves was given for the first year, which has no prior one
_WORDS = {
    "inner_threshold": "first threshold, share of the target amount",
    "outer_threshold": "second threshold, share of the target amount",
    "inner_share": "shared between the thresholds",
    "outer_share": "shared beyond the second threshold",
    "outer_fixed": "share of the target amount, added beyond the second threshold",
    "profit_floor": "least profit, share of after-tax premium",
    "admin_cap": "most administrative costs and profit, share of after-tax premium",
    "payout_rate": "paid of what is to be received",
}
_EXPLAINED = {
    TERMS: "The terms of the benefit year; change one and the issuers follow.",
    ISSUERS: "N = premium - taxes; C: allowable costs; G = premium - allowable administrative costs M; what C lies "
    "beyond 3 percent of G is shared.",
}
_GIVEN = {
    "premium": "premium earned",
    "taxes_and_fees": "taxes and regulatory fees",
    "incurred_claims": "",
    "quality_improvement": "",
    "health_information_technology": "",
    "net_risk_adjustment_received": "negative: paid",
    "reinsurance_received": "",
    "csr_received": "cost-sharing reductions",
    "reserve_overstatement": "of the prior year",
    "admin_costs_excl_taxes": "",
}


def corridor_sheets(run: Failsafes) -> list[tuple[Grid, str, tuple[str, ...]]]:
    """Return the sheets of risk corridors: terms, issuers."""
    assert run.risk_corridors is not None
    settings = run.settings_of("risk_corridors")
    used = dict(settings.select("setting", "value").rows())
    terms = [
        {"term": words, "value": float(used[name]), "source": _source(settings, name)}
        for name, words in _WORDS.items()
        if used.get(name, "none") != "none"
    ]
    place = {name: n for n, name in enumerate(name for name in _WORDS if used.get(name, "none") != "none")}
    grid = Grid(
        TERMS,
        [
            Cell("term", Column("Term", "text", "", 58)),
            Cell("source", Column("Source", "text", "", 44)),
            Cell("value", Column("Value", "factor")),
        ],
        terms,
    )
    at = {name: grid.at("value", n) for name, n in place.items()}
    issuers = Grid(ISSUERS, _issuer_cells(run, at), _rows(run))
    return [
        (grid, _EXPLAINED[TERMS], ()),
        (issuers, _EXPLAINED[ISSUERS], ("premium", "incurred_claims", "owed", "paid")),
    ]


def _source(settings: pl.DataFrame, name: str) -> str:
    row = settings.filter(pl.col("setting") == name).row(0, named=True)
    mark = f" ({row['verification']})" if row["verification"] else ""
    return f"{row['table_row'] or row['source']}{mark}"


def _rows(run: Failsafes) -> list[dict[str, Any]]:
    """Return the issuers as they were handed in, with what was worked out for them."""
    assert run.risk_corridors is not None
    result, given = run.risk_corridors.issuers, run.inputs["corridors"]
    keys = [c for c in ("state", "market", "issuer_id") if c in result.columns]
    amounts = [c for c in _GIVEN if c in given.columns]
    trimmed = given.select(*[pl.col(k).cast(pl.String).str.strip_chars() for k in keys], *amounts)
    joined = result.join(trimmed, on=keys, how="left", validate="1:1", maintain_order="left")
    is_unused = _UNUSED in run.risk_corridors.findings["rule_id"].to_list()
    rows = []
    for row in joined.rows(named=True):
        blank = {c: 0.0 for c in _GIVEN if row.get(c) is None}
        if is_unused:
            blank["reserve_overstatement"] = 0.0
        rows.append(row | blank | {"share": abs(row["corridor_unrounded"])})
    return rows


def _issuer_cells(run: Failsafes, at: dict[str, str]) -> list[Cell]:
    assert run.risk_corridors is not None
    keys = [c for c in ("state", "market", "issuer_id") if c in run.risk_corridors.issuers.columns]
    cells = [Cell(k, Column("Issuer" if k == "issuer_id" else k.capitalize())) for k in keys]
    cells += [Cell(name, Column(_heading(name), "dollars", meaning)) for name, meaning in _GIVEN.items()]
    away = "{away}-%s*{G}"
    shared = (
        f"IF({{away}}<={at['inner_threshold']}*{{G}},0,IF({{away}}<={at['outer_threshold']}*{{G}},"
        f"{at['inner_share']}*({away % at['inner_threshold']}),"
        f"{at['outer_fixed']}*{{G}}+{at['outer_share']}*({away % at['outer_threshold']})))"
    )
    paid = f"IF({{owed}}>0,ROUND({{share}}*{at['payout_rate']},2),{{owed}})" if "payout_rate" in at else "{owed}"
    costs = (
        "{incurred_claims}+{quality_improvement}+{health_information_technology}-{net_risk_adjustment_received}"
        "-{reinsurance_received}-{csr_received}-{reserve_overstatement}"
    )
    left = "{premium}-{C}-{admin_costs_excl_taxes}-{taxes_and_fees}"
    floor = f"({at['profit_floor']}+{{e}})*{{N}}"
    cap = f"({at['admin_cap']}+{{e}})*{{N}}"
    cells += [
        Cell("e", Column("Adjustment percentage", "percent", "e"), value="adjustment_percentage"),
        Cell("N", Column("After-tax premium", "dollars", "N"), "{premium}-{taxes_and_fees}", "after_tax_premium"),
        Cell("C", Column("Allowable costs", "dollars", "C"), costs, "allowable_costs"),
        Cell("Q", Column("Profits", "dollars", "Q = max((3% + e) N; what is left)"), f"MAX({floor},{left})", "profits"),
        Cell(
            "M",
            Column("Allowable administrative costs", "dollars", "M"),
            f"MIN({{admin_costs_excl_taxes}}+{{Q}},{cap})+{{taxes_and_fees}}",
            "allowable_admin",
        ),
        Cell("G", Column("Target amount", "dollars", "G = premium - M"), "{premium}-{M}", "target_amount"),
        Cell("ratio", Column("C / G", "mean"), "{C}/{G}"),
        Cell("away", Column("Away from the target", "dollars", "|C - G|"), "ABS({C}-{G})", _away),
        Cell("share", Column("Shared", "unrounded", "of what lies beyond the thresholds"), shared),
        Cell(
            "owed",
            Column("Owed", "dollars", "positive: received"),
            "IF({C}>{G},ROUND({share},2),-ROUND({share},2))",
            "corridor",
        ),
        Cell("paid", Column("Paid", "dollars", "after the payout rate"), paid, "corridor_paid"),
    ]
    return cells


def _away(row: Any) -> float:
    return float(abs(row["allowable_costs"] - row["target_amount"]))


def _heading(name: str) -> str:
    words = {"csr_received": "CSR received", "admin_costs_excl_taxes": "Administrative costs"}.get(name, name)
    return words[0].upper() + words[1:].replace("_", " ")
