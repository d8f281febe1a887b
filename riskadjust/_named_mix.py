"""Mixes that ship by name: rules kept as a table, filled in with parameters, spread over the plans that are there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused, SettingRefused
from riskadjust._mix_rules import MIX_COLUMNS, collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["named_mix", "named_mixes"]

_RULES = "transfers/named_mixes"
_PARAMETERS = "transfers/named_mix_parameters"
_PLAN_COLUMNS = ("risk_pool", "issuer_id", "plan_id", "rating_area_id", "metal_level", "billable_member_months")
_OWN = ("same", "any")  # the metal level that the enrollee has; any other one where nobody sells that
_OUTPUT = (MIX_COLUMNS[0], "rule", *MIX_COLUMNS[1:])


def named_mixes() -> pl.DataFrame:
    """Return the mixes that ship by name, and their parameters.

    Returns
    -------
    DataFrame
        named_mix, about, parameter, default (blank: it must be given), unit, parameter_about; sorted by named_mix and
        parameter.

    Examples
    --------
    >>> named_mixes().filter(named_mix="mandate_repeal").select("parameter", "default").rows()
    [('kept_low', '0.8'), ('kept_middle', '0.95')]
    """
    import polars as pl

    from data_specs import table

    rules = table(_RULES).sort("rule", "condition").group_by("named_mix", maintain_order=True).agg(pl.first("about"))
    parameters = table(_PARAMETERS).rename({"about": "parameter_about"}).drop("verification")
    joined = rules.join(parameters, on="named_mix", how="left", validate="1:m", maintain_order="left")
    columns = ("named_mix", "about", "parameter", "default", "unit", "parameter_about")
    return joined.select(columns).sort("named_mix", "parameter")


def named_mix(
    name: str,
    *,
    plan_rows: pl.DataFrame | pl.LazyFrame | None = None,
    label: str | None = None,
    **parameters: Any,
) -> pl.DataFrame:
    """Return the rules of a mix that ships by name, ready for :func:`riskadjust.mix`.

    A move of a named mix spreads over plans: over those of the same issuer or of all others, of a metal level, in the
    enrollee's risk pool and rating area, in proportion to their billable member months. It becomes one rule per plan:
    with shares s_1, s_2, ... of what moves, and F the share that moves, rule j moves
    ``F s_j / (1 - F (s_1 + ... + s_(j-1)))`` of what the rules before it left. Bronze and expanded bronze are one metal
    level here. Where no plan of the enrollee's own level is left, ``any`` stands for the plans of all levels. Enrollees
    for whom there is no such plan stay for the mix's next rule.

    Parameters
    ----------
    name : str
        One of :func:`named_mixes`.
    plan_rows : DataFrame, optional
        The output of :func:`riskadjust.plan_risk`: risk_pool, issuer_id, plan_id, rating_area_id, metal_level,
        billable_member_months [, state]. Needed by mixes that move enrollees.
    label : str, optional
        What the column `mix` shall say; default the name, with the parameters that were given.
    **parameters
        Values of the mix's parameters, for example ``issuer_id="12345"``; the others keep their defaults.

    Returns
    -------
    DataFrame
        mix, rule, column, operator, value, action, factor, to_plan_id: a row per condition. Frames of several mixes can
        be joined with ``polars.concat``.

    Raises
    ------
    SettingRefused
        Unknown name or parameter, or a parameter without default that was not given.
    InputRefused
        Plan rows are needed and missing, or lack a column.

    Examples
    --------
    >>> named_mix("csr_members_grow", growth=1.1).row(0)
    ('csr_members_grow growth=1.1', 1, 'csr_variant', 'in', '04|05|06', 'scale', 1.1, None)
    """
    import polars as pl

    from data_specs import table

    known = table(_RULES)
    rules = known.filter(pl.col("named_mix") == name).sort("rule", "condition")
    if rules.height == 0:
        names = ", ".join(sorted(set(known["named_mix"].to_list())))
        raise SettingRefused(f"no mix is called {name!r}", remedy=f"named mixes: {names}")
    values = _values(name, parameters)
    shown = " ".join(f"{k}={values[k]}" for k in sorted(parameters))
    title = label or f"{name} {shown}".strip()
    plans = None if plan_rows is None else _spread_plans(plan_rows)
    lines: list[dict[str, Any]] = []
    number = 0
    for _, conditions in rules.group_by("rule", maintain_order=True):
        for rule in _expanded(conditions.rows(named=True), values, plans):
            number += 1
            lines += [{"mix": title, "rule": number, **line} for line in rule]
    schema = dict.fromkeys(_OUTPUT, pl.String) | {"rule": pl.Int64, "factor": pl.Float64}
    return pl.DataFrame(lines, schema=schema)


def _values(name: str, given: dict[str, Any]) -> dict[str, str]:
    """Return the value of every parameter of a mix as text."""
    import polars as pl

    from data_specs import table

    defaults = dict(table(_PARAMETERS).filter(pl.col("named_mix") == name).select("parameter", "default").rows())
    for parameter in given:
        if parameter not in defaults:
            remedy = "its parameters: " + (", ".join(sorted(defaults)) or "none")
            raise SettingRefused(f"mix {name!r} has no parameter {parameter!r}", remedy=remedy)
    values = {p: str(given.get(p, default or "")) for p, default in defaults.items()}
    missing = [p for p, value in values.items() if not value]
    if missing:
        raise SettingRefused(f"mix {name!r} needs a value of {missing[0]!r}", remedy=f"give {missing[0]}=...")
    return values


def _filled(text: str | None, values: dict[str, str]) -> str | None:
    return None if text is None else text.format(**values)


def _expanded(
    conditions: list[dict[str, Any]], values: dict[str, str], plans: list[dict[str, Any]] | None
) -> list[list[dict[str, Any]]]:
    """Return the rules that one rule of the table becomes, each a list of conditions."""
    first = conditions[0]
    factor = _number(_filled(first["factor"], values) or "", first["factor"])
    own = [{"column": c["column"], "operator": c["operator"], "value": _filled(c["value"], values)} for c in conditions]
    if first["action"] == "scale":
        return [[c | {"action": "scale", "factor": factor, "to_plan_id": None} for c in own]]
    if plans is None:
        raise InputRefused(
            f"mix {first['named_mix']!r} moves enrollees, and no plan rows are given",
            where="plan_rows",
            remedy="hand in plan_rows=riskadjust.plan_risk(...)",
        )
    rules = []
    for place, targets in _spreads(plans, own, first["to_issuer"], first["to_metal"]).items():
        where = [{"column": c, "operator": "=", "value": v} for c, v in place]
        for share, plan in zip(
            _shares_of_rest(factor, [t["billable_member_months"] for t in targets]), targets, strict=True
        ):
            action = {"action": "move", "factor": share, "to_plan_id": plan["plan_id"]}
            rules.append([c | action for c in own + where])
    return rules


def _shares_of_rest(factor: float, months: list[float]) -> list[float]:
    """Return what share of the rest goes to each plan, so that each gets `factor` times its part of all months."""
    total = math.fsum(months)
    shares = []
    for position, own in enumerate(months):
        rest = total - factor * math.fsum(months[:position])
        # The last plan of a whole move takes all that is left, to the last bit: nobody stays with a weight of 1e-17.
        is_all = factor == 1 and position + 1 == len(months)
        shares.append(1.0 if is_all else min(factor * own / rest, 1.0))
    return shares


def _spreads(
    plans: list[dict[str, Any]], conditions: list[dict[str, Any]], to_issuer: str, to_metal: str
) -> dict[tuple[tuple[str, str], ...], list[dict[str, Any]]]:
    """Return the plans that take over, by the columns and values that say whom they take over."""
    if not plans:
        return {}
    said = {c["column"]: c["value"] for c in conditions if c["operator"] == "=" and c["column"] in plans[0]}
    columns: list[str] = [c for c in ("state", "risk_pool", "rating_area_id") if c in plans[0]]
    columns += ["issuer_id"] * (to_issuer == "same")
    sources = [p for p in plans if all(p[c] == v for c, v in said.items())]
    by_place: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for plan in plans:
        if plan["billable_member_months"] > 0 and (to_issuer == "same" or plan["issuer_id"] != said.get("issuer_id")):
            by_place.setdefault(tuple(plan[c] for c in columns), []).append(plan)
    spreads = {}
    for *where, metal in sorted({(*(p[c] for c in columns), p["metal_level"]) for p in sources}):
        there = by_place.get(tuple(where), [])
        of_metal = [p for p in there if _level(p) == (_level({"metal_level": metal}) if to_metal in _OWN else to_metal)]
        targets = of_metal if to_metal != "any" else [] if of_metal else there
        if targets:
            spreads[*zip(columns, where, strict=True), ("metal_level", metal)] = targets
    return spreads


def _level(plan: dict[str, Any]) -> str:
    """Return the metal level of a plan; bronze and expanded bronze are one."""
    level: str = plan["metal_level"]
    return "bronze" if level == "expanded_bronze" else level


def _number(text: str, written: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingRefused(f"parameter {written.strip('{}')!r} is no number", remedy="give a number") from None


def _spread_plans(plan_rows: Any) -> list[dict[str, Any]]:
    """Return the plan rows, checked and in an order of their own."""
    frame = collected(plan_rows, "plan_rows", _PLAN_COLUMNS)
    columns = [c for c in ("state", *_PLAN_COLUMNS) if c in frame.columns]
    return frame.select(columns).sort("plan_id", "rating_area_id", "risk_pool").to_dicts()
