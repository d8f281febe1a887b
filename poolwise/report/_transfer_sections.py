"""Sections of the page that not every settlement has: high-cost risk pools and enrollee mixes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report import _transfer_charts as charts
from poolwise.report._charts import Chart
from poolwise.report._page_parts import HIDDEN
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells
from poolwise.report._transfer_figures import PoolFigures, dollars, hidden_issuers, mix_table, of_pool

if TYPE_CHECKING:
    from poolwise.report._settlement import Settlement

__all__ = ["high_cost_section", "mixes_section"]

_CAUSES = {
    "volume": "months",
    "risk": "risk",
    "rating_factors": "rating factors",
    "geography": "area",
    "pool_averages": "pool averages",
    "premium": "premium",
}
_MOST_RULES = 3
_PEOPLE = ("enrollee_id", "policy_id", "subscriber_id")  # columns whose values must not stand on a page


def high_cost_section(settlement: Settlement) -> list[dict[str, Any]]:
    """Return the national pools with their issuers; nothing that tells of fewer than 11 people with such costs."""
    if settlement.high_cost is None:
        return []
    pools = []
    issuers = settlement.high_cost.issuers.rows(named=True)
    for name in dict.fromkeys(row["high_cost_risk_pool"] for row in issuers):
        rows = [row for row in issuers if row["high_cost_risk_pool"] == name]
        above = [row["enrollees_above"] for row in rows]
        hidden = hidden_cells(above)
        # A charge over its premium is the rate, and the rate times all premium is what was paid out.
        is_too_small = 0 < sum(above) < SMALLEST_SHOWN
        lines = [_high_cost_cells(row, is_hidden) for row, is_hidden in zip(rows, hidden, strict=True)]
        pools.append(
            {
                "name": f"{name.replace('_', ' ').capitalize()} market",
                "issuers": [] if is_too_small or not sum(above) else lines,
                "instead": f"Fewer than {SMALLEST_SHOWN} people had such costs: nothing is shown of them."
                if is_too_small
                else "Nobody had such costs: nothing is paid or charged.",
                "has_hidden": any(hidden),
            }
        )
    return pools


def _high_cost_cells(row: dict[str, Any], is_hidden: bool) -> dict[str, str]:
    cells = {"issuer": " ".join(row[c] for c in ("state", "issuer_id") if c in row), "charge": dollars(row["charge"])}
    cells["premium"] = f"{row['premium']:,.0f}"
    return cells | {c: HIDDEN if is_hidden else dollars(row[c]) for c in ("payment", "net")}


def mixes_section(
    settlement: Settlement, pools: Sequence[PoolFigures], drawn: Sequence[PoolFigures]
) -> dict[str, Any] | None:
    """Return the transfers of each pool's issuers under the mixes, what brought each change, and what the mixes do.

    Mixes that may concern fewer than 11 people are left out: what they change would tell of them.
    """
    if settlement.mixes is None:
        return None
    shown, left_out = _shown_mixes(settlement.mixes.enrollment)
    return {
        "left_out": len(left_out),
        "about": [{"mix": _words(m), "lines": _about(settlement, m)} for m in shown],
        "pools": [_mixes_of_pool(settlement, pool, shown, pool in drawn) for pool in pools] if shown else [],
        "causes": list(_CAUSES.values()),
    }


def _shown_mixes(enrollment: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Return the mixes that are shown and those that are not: one rule must concern eleven people by itself."""
    most = (
        enrollment.filter(pl.col("rule") > 0)
        .group_by("mix", maintain_order=True)
        .agg(pl.col("enrollees_before").max())
        .filter(pl.col("mix") != "base")
    )
    names = {mix: 0 < people < SMALLEST_SHOWN for mix, people in most.rows()}
    return [m for m, is_small in names.items() if not is_small], [m for m, is_small in names.items() if is_small]


def _mixes_of_pool(settlement: Settlement, pool: PoolFigures, shown: Sequence[str], is_drawn: bool) -> dict[str, Any]:
    mixes, rows = mix_table(settlement, pool, shown)
    hidden = dict(zip((i.issuer_id for i in pool.issuers), hidden_issuers(pool.issuers), strict=True))
    # An issuer that only a mix brings in has no months of its own to tell whether it may be shown.
    is_hidden = {issuer: hidden.get(issuer, True) for issuer, _ in rows}
    lines = [
        {"issuer": issuer, "figures": [HIDDEN if is_hidden[issuer] else dollars(a) for a in amounts]}
        for issuer, amounts in rows
    ]
    open_rows = [(issuer, amounts) for issuer, amounts in rows if not is_hidden[issuer]]
    return {
        "name": f"Risk pool {pool.name}",
        "headings": ["As it is", *(_words(m) for m in mixes)],
        "rows": lines,
        "chart": _mix_chart(mixes, open_rows) if is_drawn else None,
        "changes": [_changes(settlement, pool, mix, is_hidden) for mix in mixes] if is_drawn else [],
    }


def _mix_chart(mixes: Sequence[str], rows: Sequence[tuple[str, list[Decimal | None]]]) -> Chart:
    bars = [charts.Bar(issuer, float(amounts[0] or 0)) for issuer, amounts in rows]
    points = [
        charts.MixPoint(_words(mix), issuer, float(amount))
        for issuer, amounts in rows
        for mix, amount in zip(mixes, amounts[1:], strict=True)
        if amount is not None
    ]
    return charts.mixes_chart(bars, points)


def _changes(settlement: Settlement, pool: PoolFigures, mix: str, is_hidden: dict[str, bool]) -> dict[str, Any]:
    """Return what brought the change of each issuer under one mix, the largest first."""
    assert settlement.mixes is not None
    found = of_pool(settlement.mixes.issuers, pool).filter(pl.col("mix") == mix).rows(named=True)
    rows = sorted(found, key=lambda r: (r["change"] is None, -(r["change"] or 0), r["issuer_id"]))
    lines = []
    for row in rows:
        causes = [row[f"change_from_{cause}"] for cause in _CAUSES]
        figures = [_short(row["change"]), *(_short(c) for c in causes)]
        hidden = is_hidden.get(row["issuer_id"], True)
        lines.append({"issuer": row["issuer_id"], "figures": [HIDDEN] * len(figures) if hidden else figures})
    return {"mix": _words(mix), "rows": lines}


def _short(amount: Decimal | float | None) -> str:
    return "none" if amount is None else charts.short_dollars(float(amount))


def _about(settlement: Settlement, mix: str) -> list[str]:
    """Return what a mix does, in words; never a rule that names people."""
    from riskadjust import named_mixes

    assert settlement.mixes is not None
    shipped = named_mixes()
    about = dict(shipped.select("named_mix", "about").rows()).get(mix.split(" ")[0])
    rules = settlement.mixes.enrollment.filter(pl.col("mix") == mix, pl.col("rule") > 0)
    lines = [] if about is None else [about]
    told = [s for s in rules["segment"].to_list() if not any(column in s for column in _PEOPLE)]
    if rules.height <= _MOST_RULES:
        lines += told
    whole = settlement.mixes.enrollment.filter(pl.col("mix") == mix, pl.col("rule") == 0)
    for before, after, moved in whole.select(
        "member_months_before", "member_months_after", "member_months_moved"
    ).rows():
        lines.append(f"member months {before:,.0f} before, {after:,.0f} after")
        lines += [f"{moved:,.0f} of them in another plan"] if moved else []
    return lines


def _words(mix: str) -> str:
    """Return the name of a mix in words.

    Examples
    --------
    >>> _words("issuer_exits issuer_id=12345"), _words("fewer ill")
    ('issuer exits (issuer_id=12345)', 'fewer ill')
    """
    name, _, parameters = mix.partition(" ")
    if "=" in parameters:
        return f"{name.replace('_', ' ')} ({parameters})"
    return mix.replace("_", " ")
