"""The sheets of a settlement that calculate: plan rows, risk pools, issuers, each cell by the step it stands for."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from poolwise.report._sheets import FIRST_ROW, Column, Formula, cell
from poolwise.report._transfer_figures import pool_keys

__all__ = ["Ledger", "given_columns"]

PLAN_RISK, POOLS, PLANS, ISSUERS = "Plan risk", "Pools", "Plans", "Issuers"
_FIRST_COMPUTED = "radv_error_rate"
_PLAN_KEYS = ("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id", "metal_level")

Table = tuple[list[Column], list[list[Any]], int]
Value = Callable[[int, dict[str, Any]], Any]
Spec = tuple[str, Column, Value]


def given_columns(plans: pl.DataFrame) -> list[str]:
    """Return the columns of plan rows as they went into the settlement, with metal value and induced demand factor."""
    return plans.columns[: plans.columns.index(_FIRST_COMPUTED)]


class Ledger:
    """Where each figure of a settlement stands, so that formulas can point at it.

    Parameters
    ----------
    plans, issuers, pools : DataFrame
        As :class:`riskadjust.Transfers` has them, sorted by key: the rows of a pool or an issuer stand together.
    rounds_plans : bool
        Whether issuers are sums of rounded plan amounts.
    """

    def __init__(self, plans: pl.DataFrame, issuers: pl.DataFrame, pools: pl.DataFrame, *, rounds_plans: bool) -> None:
        self._frames = {PLANS: plans, ISSUERS: issuers, POOLS: pools}
        self._rounds_plans = rounds_plans
        self.keys = pool_keys(pools)
        self._given = {name: place for place, name in enumerate(given_columns(plans))}
        self._pool = {key: number for number, key in enumerate(pools.select(self.keys).rows())}
        owner = [*self.keys, "issuer_id"]
        self._pool_of_plan = [self._pool[key] for key in plans.select(self.keys).rows()]
        self._plans_of_pool = _runs(self._pool_of_plan)
        self._plans_of_issuer = _runs(plans.select(owner).rows())
        self._issuers_of_pool = _runs([self._pool[key] for key in issuers.select(self.keys).rows()])
        self._has_charges = "transfer_and_share" in plans.columns
        self._specs: dict[str, list[Spec]] = {}
        self._specs[PLANS] = self._plan_specs()
        self._specs[POOLS] = self._pool_specs()
        self._specs[ISSUERS] = self._issuer_specs()

    def table(self, sheet: str) -> Table:
        """Return columns, rows and the number of key columns of one of the calculating sheets."""
        specs, frame = self._specs[sheet], self._frames[sheet]
        rows = [[value(n, row) for _, _, value in specs] for n, row in enumerate(frame.rows(named=True))]
        keys = sum(name in _PLAN_KEYS[:-1] for name, _, _ in specs)
        return [column for _, column, _ in specs], rows, keys

    # ---- pointing

    def _at(self, sheet: str, name: str, row: int, *, inside: bool = False) -> str:
        return cell(FIRST_ROW + row, self._places(sheet)[name], "" if inside else sheet)

    @functools.cache  # noqa: B019 - a ledger lives as long as its workbook is written
    def _places(self, sheet: str) -> dict[str, int]:
        return {name: place for place, (name, _, _) in enumerate(self._specs[sheet])}

    def _run(self, sheet: str, name: str, rows: tuple[int, int]) -> str:
        first, last = rows
        return f"{self._at(sheet, name, first)}:{self._at(sheet, name, last - 1, inside=True)}"

    @functools.lru_cache(maxsize=4)  # noqa: B019 - as above
    def _cells_of_plan(self, row: int) -> dict[str, str]:
        return {name: cell(FIRST_ROW + row, place) for place, (name, _, _) in enumerate(self._specs[PLANS])}

    # ---- plans

    def _plan_specs(self) -> list[Spec]:
        plans = self._frames[PLANS]

        def given(name: str) -> Value:
            """Point at the plan risk sheet, so that a figure changed there goes through everything."""
            place = self._given[name]

            def value(n: int, row: dict[str, Any]) -> Formula | None:
                # A pointer to an empty cell shows zero.
                return None if row[name] is None else Formula(f"={cell(FIRST_ROW + n, place, PLAN_RISK)}", row[name])

            return value

        def of_pool(name: str) -> Value:
            return lambda n, row: Formula(f"={self._at(POOLS, name, self._pool_of_plan[n])}", row[name])

        def steps(text: str, name: str, otherwise: str = '""') -> Value:
            """Fill the names within braces with their cells; without member months there is nothing to compute."""
            return lambda n, row: Formula(f"=IF({self._put('{b}', n)}>0,{self._put(text, n)},{otherwise})", row[name])

        specs: list[Spec] = [
            (k, Column(_heading(k), "text", "", 17 if k == "plan_id" else 0), _own(k))
            for k in _PLAN_KEYS
            if k in plans.columns
        ]
        specs += [
            ("b", Column("Billable member months", "months", "b"), given("billable_member_months")),
            ("premium", Column("Premium", "dollars", "PREM, dollars"), given("premium")),
            ("plrs", Column("PLRS", "mean", "plan liability risk score, as given"), given("plrs")),
            ("e", Column("RADV error rate", "factor", "e, blank: none"), _own("radv_error_rate")),
            ("r", Column("PLRS settled", "mean", "r = PLRS (1 - e)"), self._adjusted),
            ("f", Column("ARF", "mean", "f, allowable rating factor"), given("arf")),
            ("a", Column("AV", "factor", "a, metal value"), given("av")),
            ("d", Column("IDF", "factor", "d, induced demand factor"), given("idf")),
            ("g", Column("GCF", "mean", "g, geographic cost factor"), given("gcf")),
            ("L", Column("Risk", "mean", "L = r d g"), steps("{r}*{d}*{g}", "risk")),
            ("R", Column("Allowable rating", "mean", "R = a f d g"), steps("{a}*{f}*{d}*{g}", "allowable")),
            ("Lbar", Column("Mean risk", "mean", "of the pool"), of_pool("mean_risk")),
            ("Rbar", Column("Mean allowable rating", "mean", "of the pool"), of_pool("mean_allowable")),
            ("Pnet", Column("Net average premium", "dollars", "P', of the pool"), of_pool("net_average_premium")),
            ("q", Column("State reduction", "percent", "q, of the pool"), of_pool("state_reduction")),
            ("riskterm", Column("Risk term", "mean", "L / mean L"), steps("{L}/{Lbar}", "risk_term")),
            ("rateterm", Column("Rating term", "mean", "R / mean R"), steps("{R}/{Rbar}", "allowable_term")),
            (
                "t",
                Column("Transfer per member month", "unrounded", "t = (risk term - rating term) P' (1 - q)"),
                steps("({riskterm}-{rateterm})*{Pnet}*(1-{q})", "transfer_pmpm"),
            ),
            ("T", Column("Transfer, unrounded", "unrounded", "T = t b"), steps("{t}*{b}", "transfer_unrounded", "0")),
            (
                "transfer",
                Column("Transfer", "dollars", "T to the cent; positive: received"),
                lambda n, row: Formula(f"=ROUND({self._put('{T}', n)},2)", row["transfer"]),
            ),
        ]
        if self._has_charges:
            specs += self._share_specs()
        specs.append(("fee", Column("User fee", "dollars", "rate x b; negative: paid"), _own("user_fee")))
        return specs

    def _share_specs(self) -> list[Spec]:
        def share(n: int, row: dict[str, Any]) -> Formula:
            pool = self._pool_of_plan[n]
            charges, months = (self._at(POOLS, name, pool) for name in ("default_charges", "b"))
            text = f"=IF({self._put('{b}', n)}>0,-{charges}*{self._put('{b}*{L}/{Lbar}', n)}/{months},0)"
            return Formula(text, row["default_charge_share_unrounded"])

        def both(n: int, row: dict[str, Any]) -> Formula:
            return Formula(f"=ROUND({self._put('{T}+{share}', n)},2)", row["transfer_and_share"])

        return [
            ("share", Column("Share of default charges", "unrounded", "charges x b L / sum of b L"), share),
            ("both", Column("Transfer and share", "dollars", "to the cent, from the unrounded sum"), both),
        ]

    def _adjusted(self, n: int, row: dict[str, Any]) -> Formula | None:
        if row["plrs_adjusted"] is None:
            return None
        return Formula(f"={self._put('{plrs}*(1-{e})', n)}", row["plrs_adjusted"])

    def _put(self, text: str, row: int) -> str:
        """Fill names within braces with the cells of a row of the plans sheet."""
        return text.format_map(self._cells_of_plan(row))

    # ---- pools

    def _pool_specs(self) -> list[Spec]:
        pools = self._frames[POOLS]

        def of_plans(text: str, name: str) -> Value:
            def value(n: int, row: dict[str, Any]) -> Formula:
                return Formula(f"={self._over(text, n, self._plans_of_pool[n], POOLS)}", row[name])

            return value

        def of_issuers(text: str, name: str, amount: str = "transfer") -> Value:
            def value(n: int, row: dict[str, Any]) -> Formula:
                return Formula("=" + text.format(self._run(ISSUERS, amount, self._issuers_of_pool[n])), row[name])

            return value

        specs: list[Spec] = [(k, Column(_heading(k), "text"), _own(k)) for k in (*self.keys, "market")]
        specs += [
            ("issuers", Column("Issuers", "count"), _own("issuers")),
            ("plans", Column("Plan rows", "count"), _own("plan_rows")),
            (
                "b",
                Column("Billable member months", "months", "B = sum of b"),
                of_plans("SUM({b})", "billable_member_months"),
            ),
            ("premium", Column("Premium", "dollars", "of plans with months"), of_plans(_OF_PRESENT, "premium")),
            (
                "P",
                Column("Average premium", "unrounded", "P = premium / B"),
                of_plans("[premium]/[b]", "average_premium"),
            ),
            (
                "k",
                Column("Administrative cost reduction", "percent", "k, see Settings", 15),
                _own("admin_cost_reduction"),
            ),
            (
                "net_average_premium",
                Column("Net average premium", "unrounded", "P' = P (1 - k)"),
                of_plans("[P]*(1-[k])", "net_average_premium"),
            ),
            (
                "mean_risk",
                Column("Mean risk", "mean", "sum of b L / B"),
                of_plans("SUMPRODUCT({b},{L})/[b]", "mean_risk"),
            ),
            (
                "mean_allowable",
                Column("Mean allowable rating", "mean", "sum of b R / B"),
                of_plans("SUMPRODUCT({b},{R})/[b]", "mean_allowable"),
            ),
            ("state_reduction", Column("State reduction", "percent", "q, see Settings"), _own("state_reduction")),
            (
                "sum",
                Column("Sum of unrounded transfers", "unrounded", "zero but for the last digits"),
                of_plans("SUM({T})", "transfers_unrounded"),
            ),
            (
                "received",
                Column("Received", "dollars", "sum of positive issuer transfers"),
                of_issuers('SUMIF({0},">0")', "received"),
            ),
            (
                "residual",
                Column("Residual", "dollars", "sum of issuer transfers: cents of rounding"),
                of_issuers("SUM({0})", "residual"),
            ),
        ]
        if "default_charges" in pools.columns:
            meaning = "of issuers whose data could not be used; negative: paid"
            specs.append(("default_charges", Column("Default charges", "dollars", meaning), _own("default_charges")))
        return specs

    def _over(self, text: str, row: int, rows: tuple[int, int], sheet: str) -> str:
        """Fill braces with ranges of the plans sheet, and brackets with cells of this row."""
        names = {n: self._run(PLANS, n, rows) for n in ("b", "premium", "r", "L", "R", "T", "transfer")}
        filled = text.format_map(names)
        for name, _, _ in self._specs.get(sheet, []):
            filled = filled.replace(f"[{name}]", self._at(sheet, name, row, inside=True))
        return filled

    # ---- issuers

    def _issuer_specs(self) -> list[Spec]:
        issuers = self._frames[ISSUERS]

        def of_plans(text: str, name: str) -> Value:
            def value(n: int, row: dict[str, Any]) -> Any:
                rows = self._plans_of_issuer_row(row)
                # A charged issuer has no plan that takes part.
                return (
                    row.get(name) if rows is None else Formula(f"={self._over(text, n, rows, ISSUERS)}", row.get(name))
                )

            return value

        def score(n: int, row: dict[str, Any]) -> Any:
            rows = self._plans_of_issuer_row(row)
            if rows is None or not row["billable_member_months"]:
                return None
            return Formula(f"={self._over('SUMPRODUCT({b},{r})/[b]', n, rows, ISSUERS)}", self._average_score(rows))

        amount = "SUM({transfer})" if self._rounds_plans else "ROUND([T],2)"
        meaning = "sum of plan transfers" if self._rounds_plans else "unrounded sum, to the cent"
        specs: list[Spec] = [(k, Column(_heading(k), "text"), _own(k)) for k in (*self.keys, "issuer_id")]
        specs += [
            ("plans", Column("Plan rows", "count"), _own("plan_rows")),
            (
                "b",
                Column("Billable member months", "months", "sum of b"),
                of_plans("SUM({b})", "billable_member_months"),
            ),
            ("premium", Column("Premium", "dollars", "of plans with months"), of_plans(_OF_PRESENT, "premium")),
            ("score", Column("Average score", "mean", "sum of b r / sum of b"), score),
            ("T", Column("Transfer, unrounded", "unrounded", "sum of T"), of_plans("SUM({T})", "transfer_unrounded")),
            (
                "balance",
                Column("Cents moved", "dollars", "to balance the pool, or because an issuer is alone in it"),
                lambda _, row: self._balance(row),
            ),
            ("transfer", Column("Transfer", "dollars", meaning), of_plans(f"{amount}+[balance]", "transfer")),
            (
                "t",
                Column("Transfer per member month", "unrounded", "unrounded / b"),
                of_plans("IF([b]>0,[T]/[b],0)", "transfer_pmpm"),
            ),
        ]
        extra = {
            "default_charge": "negative: paid",
            "default_charge_share": "of the charges of others",
            "transfer_and_share": "rounded once from the unrounded sum",
            "payable_now": "after sequestration",
            "withheld": "paid in the next federal fiscal year",
            "user_fee": "rate x b; negative: paid",
        }
        for name, meaning in extra.items():
            if name in issuers.columns:
                specs.append((name, Column(_heading(name), "dollars", meaning), _own(name)))
        return specs

    def _plans_of_issuer_row(self, row: dict[str, Any]) -> tuple[int, int] | None:
        return self._plans_of_issuer.get(tuple(row[k] for k in (*self.keys, "issuer_id")))

    def _balance(self, row: dict[str, Any]) -> float | None:
        """Return what our amount differs by from the rounding that the formula does."""
        rows = self._plans_of_issuer_row(row)
        if rows is None:
            return None
        plans = self._frames[PLANS][rows[0] : rows[1]]
        if self._rounds_plans:
            plain = sum(plans["transfer"].to_list(), Decimal(0))
        else:
            cents = math.floor(abs(row["transfer_unrounded"]) * 100 + 0.5)
            plain = Decimal(math.copysign(1, row["transfer_unrounded"]) * cents) / 100
        moved = row["transfer"] - plain
        return float(moved) if abs(moved) >= Decimal("0.005") else 0.0

    def _average_score(self, rows: tuple[int, int]) -> float:
        plans = self._frames[PLANS][rows[0] : rows[1]].filter(pl.col("billable_member_months") > 0)
        months = [float(m) for m in plans["billable_member_months"].to_list()]
        scores = plans["plrs_adjusted"].to_list()
        return math.fsum(m * s for m, s in zip(months, scores, strict=True)) / math.fsum(months)


_OF_PRESENT = 'SUMIF({b},">0",{premium})'


def _runs(keys: list[Any]) -> dict[Any, tuple[int, int]]:
    """Return first row and the row after the last of each key; equal keys stand together."""
    runs: dict[Any, tuple[int, int]] = {}
    for number, key in enumerate(keys):
        first, _ = runs.get(key, (number, 0))
        runs[key] = (first, number + 1)
    return runs


def _own(name: str) -> Value:
    return lambda _, row: row[name]


def _heading(name: str) -> str:
    words = name.removesuffix("_id").replace("_", " ")
    return words[0].upper() + words[1:]
