"""The experience as entries of a ledger, each down to claims paid by month and to the cells of the triangle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from rating.filing._chain_ladder import ChainLadder, Development
from rating.filing._experience_cells import BASES, EHB, INCURRED, NON_EHB, Cell, CellKey, cell_place
from rating.filing._experience_input import PARTS, decimal_of, month_text, run_of_months
from rating.filing._experience_rows import EXPERIENCE, UNSPLIT, ExperienceRows
from rating.filing._experience_sums import OF_PLAN, Sums, sum_of
from rating.filing._formulas import CATEGORIES
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._low_completion import PAID, TRENDED
from rating.filing._numbers import CONTEXT
from rating.filing._triangle import TRIANGLE

__all__ = ["experience_entries"]

_ZERO, _ONE = Decimal(0), Decimal(1)
_COMPLETED = "sum over categories and months of claims paid to date / completion of the month, as for the market"
# The worksheet's names of what is given by month and plan.
_TOTAL = {"premium": "exp_premium_total", "risk_adjustment": "exp_risk_adjustment_total"}
_TOTAL["reinsurance"] = "exp_reinsurance_total"
_COLUMN = {EHB: "allowed_paid_to_date, is_ehb true", NON_EHB: "allowed_paid_to_date, is_ehb false"}
_COLUMN[INCURRED] = "incurred_paid_to_date"


def experience_entries(
    rows: ExperienceRows,
    cells: Mapping[CellKey, Cell],
    sums: Sums,
    ladder: ChainLadder | None,
    trend: Mapping[str, Decimal | None],
) -> tuple[Entry, ...]:
    """Return every quantity of the experience; those that are blank have no entry: absent is not zero."""
    used = _used(cells, rows)
    found = [*_member_months(rows, _months_behind(used, cells), sums)]
    if ladder is not None:
        for category in dict.fromkeys(category for _, category, _ in used):
            if category in ladder.developments:
                found += _ladder_entries(category, ladder.developments[category])
    found += [
        Entry("experience_annual_trend", category, value, "ratio", source="annual_trend")
        for category, value in trend.items()
        if value is not None and any(cells[k].method == TRENDED for k in used if k[1] == category)
    ]
    found += _cell_entries(used, cells, ladder)
    found += _market_entries(used, rows, sums)
    if rows.has_plans:
        found += _plan_entries(sums)
    return tuple(found)


def _used(cells: Mapping[CellKey, Cell], rows: ExperienceRows) -> list[CellKey]:
    """Return the cells of the period, and those that a month of it is estimated from; empty ones are left out."""
    behind = {(*key[:2], month) for key, cell in cells.items() for month in cell.estimated_from}
    return [
        key
        for key, cell in cells.items()
        if (cell.paid or cell.selected) and (rows.first <= key[2] <= rows.last or key in behind)
    ]


# ------------------------------------------------------------------------------------------------ inputs


def _months_behind(used: Iterable[CellKey], cells: Mapping[CellKey, Cell]) -> set[int]:
    """Return the months whose member months are needed: those of the cells, and of the estimates among them."""
    return {month for key in used for month in (key[2], *cells[key].estimated_from)}


def _member_months(rows: ExperienceRows, behind: set[int], sums: Sums) -> list[Entry]:
    """Return member months by month, their sum, and the sum by plan."""
    import polars as pl

    by_month = rows.plan_months.group_by("month").agg(pl.col("member_months").sum()).sort("month").rows()
    needed = behind | set(range(rows.first, rows.last + 1))
    source = f"{EXPERIENCE}, member_months"
    found = [
        Entry("member_months", month_text(m), decimal_of(Fraction(parts, PARTS)), "member_months", source=source)
        for m, parts in by_month
        if m in needed
    ]
    inside = tuple(("member_months", month_text(m)) for m, _ in by_month if rows.first <= m <= rows.last)
    total = Entry(
        "exp_member_months", MARKET, sums.months, "member_months", COMPUTED, "sum over months of member_months", inside
    )
    return [*found, total]


def _ladder_entries(category: str, developed: Development) -> list[Entry]:
    """Return the chain ladder of one category, from the last lag to the first."""
    found: list[Entry] = []
    last = developed.last_lag
    place = f"{category} lag {last}"
    found.append(Entry("tail_factor", category, decimal_of(developed.tail), "factor", source="setting tail_factor"))
    found.append(_factor("to_ultimate", place, developed.to_ultimate[last], "tail_factor", [("tail_factor", category)]))
    for lag in reversed(range(last)):
        place, later = f"{category} lag {lag}", f"{category} lag {lag + 1}"
        source = f"{TRIANGLE}, incurred {run_of_months(developed.months_used[lag])}, paid by lag"
        paid = (
            ("cumulative_claims", developed.denominators[lag], lag),
            ("cumulative_claims_next", developed.numerators[lag], lag + 1),
        )
        found += [
            Entry(name, place, Decimal(cents).scaleb(-2), "usd", source=f"{source} {at}") for name, cents, at in paid
        ]
        keys: list[Key] = [("cumulative_claims_next", place), ("cumulative_claims", place)]
        formula = "cumulative_claims_next / cumulative_claims"
        step = developed.age_to_age(lag)
        note = "nothing paid by either lag: 1" if developed.denominators[lag] == 0 and step is not None else ""
        found.append(_factor("age_to_age", place, step, formula, keys, note))
        inputs: list[Key] = [("age_to_age", place), ("to_ultimate", later)]
        formula = f"age_to_age * to_ultimate of lag {lag + 1}"
        found.append(_factor("to_ultimate", place, developed.to_ultimate[lag], formula, inputs))
    return found


def _factor(
    name: str, place: str, value: Fraction | None, formula: str, inputs: Sequence[Key], note: str = ""
) -> Entry:
    shown = None if value is None else decimal_of(value)
    said = note or ("no bound: nothing was paid this early" if value is None else "")
    return Entry(name, place, shown, "factor", COMPUTED, formula, tuple(inputs), note=said)


# ------------------------------------------------------------------------------------------------ months


def _cell_entries(used: Sequence[CellKey], cells: Mapping[CellKey, Cell], ladder: ChainLadder | None) -> list[Entry]:
    """Return paid claims, completion and the selected estimate of every month; estimates from others come last."""
    found: list[Entry] = []
    trended: list[Entry] = []
    for key in used:
        basis, category, month = key
        cell, place = cells[key], cell_place(category, month)
        source = f"{EXPERIENCE}, {_COLUMN[basis]}, {category}, {month_text(month)}"
        paid: Key = (f"{basis}_paid_to_date", place)
        found.append(Entry(*paid, cell.paid, "usd", source=source))
        share: Key = (f"{basis}_completion", place)
        found.append(_completion_entry(share, category, month, cell, ladder))
        if cell.method == TRENDED:
            trended.append(_trended_entry(key, cell, set(used)))
        elif cell.method == PAID:
            formula = f"{basis}_paid_to_date: no enrollees to estimate from"
            found.append(Entry(basis, place, cell.selected, "usd", COMPUTED, formula, (paid,)))
        else:
            formula = f"{basis}_paid_to_date / {basis}_completion"
            found.append(Entry(basis, place, cell.selected, "usd", COMPUTED, formula, (paid, share)))
    return found + trended


def _completion_entry(key: Key, category: str, month: int, cell: Cell, ladder: ChainLadder | None) -> Entry:
    if ladder is None or category not in ladder.developments:
        source = f"{EXPERIENCE}, completion_factor" if cell.completion != _ONE else "complete, or completion_factor 1"
        return Entry(*key, cell.completion, "ratio", source=source)
    developed = ladder.developments[category]
    lag = min(ladder.lag(category, month), developed.last_lag)
    inputs: tuple[Key, ...] = (("to_ultimate", f"{category} lag {lag}"),)
    note = "" if cell.completion else "nothing is paid this early"
    return Entry(*key, cell.completion, "ratio", COMPUTED, "1 / to_ultimate", inputs, note=note)


def _trended_entry(key: CellKey, cell: Cell, used: Collection[CellKey]) -> Entry:
    basis, category, month = key
    inputs: list[Key] = [(f"{basis}_completion", cell_place(category, month)), ("member_months", month_text(month))]
    inputs += [("experience_annual_trend", category)]
    inputs += [(basis, cell_place(category, m)) for m in cell.estimated_from if (basis, category, m) in used]
    inputs += [("member_months", month_text(m)) for m in cell.estimated_from]
    formula = f"member_months * trended PMPM of the complete months: {run_of_months(cell.estimated_from)}"
    note = "low completion; the developed estimate stands beside it"
    return Entry(
        basis,
        cell_place(category, month),
        cell.selected,
        "usd",
        COMPUTED,
        formula,
        tuple(inputs),
        "",
        note,
        cell.developed,
    )


# ------------------------------------------------------------------------------------------------ sums


def _market_entries(used: Sequence[CellKey], rows: ExperienceRows, sums: Sums) -> list[Entry]:
    """Return the totals of worksheet 1 and the index rate by category."""
    found: list[Entry] = []
    for (is_ehb, category), rebates in sums.rebates.items():
        name = f"{'ehb' if is_ehb else 'non_ehb'}_rebates_{category}"
        found.append(Entry(name, MARKET, rebates, "usd", source=f"{EXPERIENCE}, pharmacy_rebates"))
    parts: dict[str, list[Key]] = {basis: [] for basis in BASES}
    for basis in BASES:
        for category in CATEGORIES:
            months = [k for k in used if k[:2] == (basis, category) and rows.first <= k[2] <= rows.last]
            if basis != EHB and not months and not sums.net(basis, category):
                continue
            entry = _category_entry(basis, category, months, sums)
            found.append(entry)
            parts[basis].append(entry.key)
            if basis == EHB and sums.months:
                name = f"ep_index_rate_{category}"
                value = CONTEXT.divide(sums.net(EHB, category), sums.months)
                inputs = (entry.key, ("exp_member_months", MARKET))
                formula = f"{entry.name} / exp_member_months"
                found.append(Entry(name, MARKET, value, "usd_pmpm", COMPUTED, formula, inputs))
    for name in OF_PLAN:
        total = sums.given[name]
        if total is not None and not rows.has_plans:
            found.append(Entry(_TOTAL[name], MARKET, total, "usd", source=f"{EXPERIENCE}, {name}"))
        elif total is not None:
            plans = [plan for n, plan in sums.given_of_plan if n == name]
            keys = tuple((f"exp_{name}", plan) for plan in plans)
            found.append(Entry(_TOTAL[name], MARKET, total, "usd", COMPUTED, f"sum over plans of exp_{name}", keys))
    return found + _totals(parts, sums)


def _category_entry(basis: str, category: str, months: Sequence[CellKey], sums: Sums) -> Entry:
    inputs: list[Key] = [(basis, cell_place(category, month)) for _, _, month in months]
    formula = f"sum over months of {basis}"
    for is_ehb, name in ((True, "ehb"), (False, "non_ehb")):
        if (is_ehb, category) in sums.rebates and basis in (INCURRED, EHB if is_ehb else NON_EHB):
            inputs.append((f"{name}_rebates_{category}", MARKET))
            formula += f" - {name}_rebates_{category}"
    note = "" if inputs else "no claims"
    value = sums.net(basis, category)
    return Entry(f"exp_{basis}_{category}", MARKET, value, "usd", COMPUTED, formula, tuple(inputs), note=note)


def _totals(parts: Mapping[str, Sequence[Key]], sums: Sums) -> list[Entry]:
    found: list[Entry] = []
    allowed = [*parts[EHB], *parts[NON_EHB]]
    ehb = sum_of(sums.net(EHB, c) for c in CATEGORIES)
    value = CONTEXT.add(ehb, sum_of(sums.net(NON_EHB, c) for c in CATEGORIES))
    found.append(_sum_entry("exp_allowed_claims_total", value, allowed))
    found.append(_sum_entry("exp_ehb_allowed_total", ehb, parts[EHB]))
    if value:
        keys = (("exp_ehb_allowed_total", MARKET), ("exp_allowed_claims_total", MARKET))
        formula = "exp_ehb_allowed_total / exp_allowed_claims_total"
        found.append(Entry("exp_ehb_share", MARKET, CONTEXT.divide(ehb, value), "ratio", COMPUTED, formula, keys))
    incurred = sum_of(sums.net(INCURRED, c) for c in CATEGORIES)
    entry = _sum_entry("exp_incurred_claims_total", incurred, parts[INCURRED])
    reinsurance = sums.given["reinsurance"]
    if reinsurance is None:
        return [*found, entry]
    inputs = (*entry.inputs, (_TOTAL["reinsurance"], MARKET))
    formula = f"{entry.formula} - {_TOTAL['reinsurance']}"
    value = CONTEXT.subtract(incurred, reinsurance)
    return [*found, Entry(entry.name, MARKET, value, "usd", COMPUTED, formula, inputs)]


def _sum_entry(name: str, value: Decimal, keys: Sequence[Key]) -> Entry:
    formula = " + ".join(n for n, _ in keys) or "0"
    return Entry(name, MARKET, value, "usd", COMPUTED, formula, tuple(keys))


def _plan_entries(sums: Sums) -> list[Entry]:
    """Return the experience of worksheet 2."""
    found: list[Entry] = []
    for plan, months in sums.months_of_plan.items():
        if plan == UNSPLIT:
            continue
        source = f"{EXPERIENCE}, rows of the plan"
        found.append(Entry("exp_member_months_plan", plan, months, "member_months", source=f"{source}: member_months"))
        for name in OF_PLAN:
            value = sums.given_of_plan.get((name, plan))
            if value is not None:
                found.append(Entry(f"exp_{name}", plan, value, "usd", source=f"{source}: {name}"))
        found += _plan_claims(plan, sums, source)
    return found


def _plan_claims(plan: str, sums: Sums, source: str) -> list[Entry]:
    """Return the claims of a plan: paid to date, completed as the months of the market are, and net of rebates."""
    found: list[Entry] = []
    completed: dict[str, Decimal] = {}
    for name, bases in (("plan_allowed", (EHB, NON_EHB)), ("plan_incurred", (INCURRED,))):
        paid = sum_of(sums.paid_of_plan.get((basis, plan), _ZERO) for basis in bases)
        completed[name] = sum_of(sums.claims_of_plan.get((basis, plan), _ZERO) for basis in bases)
        found.append(Entry(f"{name}_paid_to_date", plan, paid, "usd", source=f"{source}: paid to date"))
        inputs: tuple[Key, ...] = (found[-1].key,)
        found.append(Entry(name, plan, completed[name], "usd", COMPUTED, _COMPLETED, inputs))
    rebates = sums.rebates_of_plan.get(plan)
    less: list[Key] = []
    if rebates is not None:
        found.append(Entry("plan_rebates", plan, rebates, "usd", source=f"{source}: pharmacy_rebates"))
        less.append(found[-1].key)
    net = {name: CONTEXT.subtract(value, rebates or _ZERO) for name, value in completed.items()}
    found.append(_less("exp_allowed", plan, net["plan_allowed"], [("plan_allowed", plan), *less]))
    reinsurance = sums.given_of_plan.get(("reinsurance", plan))
    incurred = CONTEXT.subtract(net["plan_incurred"], reinsurance or _ZERO)
    if reinsurance is not None:
        less.append(("exp_reinsurance", plan))
    found.append(_less("exp_incurred", plan, incurred, [("plan_incurred", plan), *less]))
    shared = CONTEXT.subtract(completed["plan_allowed"], completed["plan_incurred"])
    parts: list[Key] = [("plan_allowed", plan), ("plan_incurred", plan)]
    return [*found, _less("exp_member_cost_sharing", plan, shared, parts, "after cost-sharing reductions")]


def _less(name: str, plan: str, value: Decimal, parts: Sequence[Key], note: str = "") -> Entry:
    """Return an entry that is its first part less the others."""
    return Entry(name, plan, value, "usd", COMPUTED, " - ".join(n for n, _ in parts), tuple(parts), note=note)
