"""Geographic cost factors: given, or computed from the premiums of silver plans by rating area."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from data_specs import _frames
from data_specs._policy import canonical_rating_areas
from data_specs.errors import InputRefused
from riskadjust._plan_table import frame_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["geographic_cost_factors", "given_factors", "pool_factors"]

KEY = ("state", "risk_pool", "rating_area_id")
_SCHEMA_TAIL = ("gcf", "origin", "billable_member_months", "standard_months", "standard_premium", "standard_pmpm")
_Area = tuple[str, str, str]


def given_factors(gcf: Any) -> dict[_Area, float]:
    """Return the factors handed in, by state, risk_pool and canonical rating area.

    Parameters
    ----------
    gcf : DataFrame or None
        state, risk_pool, rating_area_id, gcf (above 0).

    Raises
    ------
    InputRefused
        A column is missing, an area cannot be read or occurs twice, or a factor is not above 0.
    """
    import polars as pl

    if gcf is None:
        return {}
    frame = frame_of(gcf, "gcf", (*KEY, "gcf"))
    if not frame["gcf"].dtype.is_numeric():
        raise _refused("column 'gcf' is not a number", "gcf, column gcf", "a factor is a number above 0")
    area = frame["rating_area_id"]
    area = area.cast(pl.String) if area.dtype.is_integer() else _frames.text_column(frame, "gcf", "rating_area_id")
    states, pools = (_frames.text_column(frame, "gcf", c).str.strip_chars() for c in KEY[:2])
    states, pools = states.str.to_uppercase(), pools.str.to_lowercase().str.replace_all("[ -]", "_")
    areas = canonical_rating_areas(area, states)
    values = frame["gcf"].cast(pl.Float64)
    found: dict[_Area, float] = {}
    for row, (state, pool, name, value) in enumerate(
        zip(states.to_list(), pools.to_list(), areas.to_list(), values.to_list(), strict=True), start=1
    ):
        if state is None or pool is None or name is None:
            raise _refused("state, risk_pool or rating area cannot be read", f"gcf, row {row}", "areas such as R-NY004")
        if value is None or not 0 < value < math.inf:
            raise _refused("a factor is not above 0", f"gcf, row {row}, column gcf", "a factor is a number above 0")
        if (state, pool, name) in found:
            raise _refused("an area occurs twice", f"gcf, row {row}", "one factor for each pool and area")
        found[state, pool, name] = value
    return found


def _refused(what: str, where: str, rule: str) -> InputRefused:
    return InputRefused(what, where=where, rule=rule, remedy="mend the row of the given factors")


def geographic_cost_factors(
    plan_rows: pl.DataFrame, given: dict[_Area, float], decimals: int | None = None
) -> pl.DataFrame:
    """Return the geographic cost factor of every rating area of every pool, with its parts.

    ``u_s = PREM_s / f_s`` for each silver plan s (in the catastrophic pool: each of its plans), f the allowable rating
    factor; ``U_k = sum over area k of u_s / sum over area k of b_s``; ``U = sum of u_s / sum of b_s`` over the pool;
    ``GCF_k = U_k / U``. With one rating area in the pool it is exactly 1. A given factor is used as it stands.

    Parameters
    ----------
    plan_rows : DataFrame
        state, risk_pool, rating_area_id, metal_level, billable_member_months, premium (dollars), arf.
    given : dict
        See :func:`given_factors`.
    decimals : int, optional
        Decimals of a computed factor, rounded half away from zero; None: not rounded.

    Returns
    -------
    DataFrame
        state, risk_pool, rating_area_id, gcf (null where nobody has billable months), origin (given, single_area,
        computed, none), billable_member_months (of all plans), standard_months and standard_premium (dollars) of the
        plans it is computed from, standard_pmpm (``U_k``, dollars); sorted by the first three.

    Raises
    ------
    InputRefused
        Areas without silver premium for which no factor is given: no published rule says what holds there.

    Notes
    -----
    Sums are correctly rounded (`math.fsum`): the order of rows changes nothing. Source: 78 FR 15409; how HHS
    standardizes silver premiums exactly is not published. The mean over silver plans is 1 by construction; that over
    all plans is not (published pools: 0.950 to 1.058).

    Examples
    --------
    Two areas, one silver plan each: 400 and 300 dollars a member month at the same age factor; U = 350.

    >>> import polars as pl
    >>> rows = pl.DataFrame({"state": ["NJ", "NJ"], "risk_pool": ["individual"] * 2,
    ...     "rating_area_id": ["R-NJ001", "R-NJ002"], "metal_level": ["silver"] * 2,
    ...     "billable_member_months": [10.0, 10.0], "premium": [4000.0, 3000.0], "arf": [1.0, 1.0]})
    >>> [round(g, 6) for g in geographic_cost_factors(rows, {})["gcf"]]
    [1.142857, 0.857143]
    """
    import polars as pl

    columns = (*KEY, "metal_level", "billable_member_months", "premium", "arf")
    pools: dict[tuple[str, str], dict[str, list[tuple[float, float, float]]]] = {}
    months: dict[_Area, list[float]] = {}
    for state, pool, area, metal, billable, premium, arf in plan_rows.select(columns).rows():
        months.setdefault((state, pool, area), []).append(billable)
        areas = pools.setdefault((state, pool), {})
        standard = areas.setdefault(area, [])
        if billable > 0 and metal == ("catastrophic" if pool == "catastrophic" else "silver"):
            standard.append((billable, premium, premium / arf))
    lines: list[tuple[Any, ...]] = []
    lacking: list[str] = []
    for (state, pool), areas in sorted(pools.items()):
        totals = {area: math.fsum(months[state, pool, area]) for area in areas}
        own = {area: value for (s, p, area), value in given.items() if (s, p) == (state, pool)}
        parts = pool_factors(areas, totals, own, decimals)
        lacking += [f"{state} {pool} {area}" for area, part in sorted(parts.items()) if part[1] == "lacking"]
        lines += [(state, pool, area, *part[:2], totals[area], *part[2:]) for area, part in sorted(parts.items())]
    if lacking:
        raise InputRefused(
            f"{len(lacking)} rating areas have no silver premium to compute a geographic cost factor from",
            where=", ".join(lacking[:20]) + (" and more" if len(lacking) > 20 else ""),
            rule="a factor is computed from silver plans; no rule is published for an area without one",
            remedy="give the factor of these areas: gcf = frame of state, risk_pool, rating_area_id, gcf",
        )
    floats = dict.fromkeys(_SCHEMA_TAIL, pl.Float64)
    schema = {**dict.fromkeys(KEY, pl.String), **floats, "origin": pl.String}
    return pl.DataFrame(lines, schema=schema, orient="row")


def pool_factors(
    areas: dict[str, list[tuple[float, float, float]]],
    totals: dict[str, float],
    given: dict[str, float],
    decimals: int | None,
) -> dict[str, tuple[float | None, str, float, float, float | None]]:
    """Return by area: factor, origin, months and premium of its standard plans, U_k."""
    sums = {
        area: tuple(math.fsum(column) for column in zip(*plans, strict=True)) if plans else (0.0, 0.0, 0.0)
        for area, plans in areas.items()
    }
    pool_months = math.fsum(b for plans in areas.values() for b, _, _ in plans)
    pool_standard = math.fsum(u for plans in areas.values() for _, _, u in plans)
    inhabited = [area for area, total in totals.items() if total > 0]
    found: dict[str, tuple[float | None, str, float, float, float | None]] = {}
    for area, (billable, premium, standard) in sums.items():
        level = standard / billable if billable > 0 else None
        factor: float | None = None
        if area in given:
            factor, origin = given[area], "given"
        elif area not in inhabited:
            origin = "none"
        elif len(inhabited) == 1:
            factor, origin = 1.0, "single_area"
        elif level:
            factor, origin = level / (pool_standard / pool_months), "computed"
            if decimals is not None:
                factor = float(Decimal(repr(factor)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
        else:
            origin = "lacking"
        found[area] = (factor, origin, billable, premium, level)
    return found
