"""State averages of the transfer formula, published or assumed, and their projection: every step kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_specs import _registry
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust._transfer_settings import PoolName

__all__ = ["AVERAGES_TABLE", "PROJECTION_FACTORS", "StateAverages", "Step", "interim_to_final", "state_averages"]

AVERAGES_TABLE = "transfers/state_average_factors"
AREA_TABLE = "transfers/geographic_cost_factors"
GROSS, NET = "state_avg_premium_pmpm", "state_avg_premium_net_admin_pmpm"
MEANS = ("avg_plrs", "avg_arf", "avg_av", "avg_idf")
FIGURES = (GROSS, NET, *MEANS)
# What each declared factor acts on, in the order in which they are applied.
PROJECTION_FACTORS: dict[str, str] = {
    "premium_trend": NET,
    "interim_to_final": "avg_plrs",
    "coding_growth": "avg_plrs",
    "morbidity": "avg_plrs",
    "market_mix_plrs": "avg_plrs",
    "market_mix_arf": "avg_arf",
    "market_mix_av": "avg_av",
    "market_mix_idf": "avg_idf",
}
_MOST = 3.0  # a factor beyond three-fold either way is a percentage typed for a factor


@dataclass(frozen=True)
class Step:
    """One step of a figure: what was done, the factor (None for the figure itself), what came out, from where."""

    figure: str
    step: str
    factor: float | None
    value: float
    source: str
    verification: str | None = None


@dataclass
class StateAverages:
    """What the formula takes for one risk pool, and how it came about.

    Attributes
    ----------
    values : dict
        state_avg_premium_net_admin_pmpm (dollars per billable member month), avg_plrs, avg_arf, avg_av, avg_idf,
        mean_gcf.
    steps : list of Step
        In order.
    release : str or None
        Of the published row, where one was read.
    year : int or None
        Of the published row.
    """

    values: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    release: str | None = None
    year: int | None = None

    def put(
        self, figure: str, step: str, factor: float | None, value: float, source: str, mark: str | None = None
    ) -> None:
        """Set a figure and keep the step."""
        self.values[figure] = value
        self.steps.append(Step(figure, step, factor, value, source, mark))

    @property
    def net_premium(self) -> float:
        """P', dollars per billable member month."""
        return self.values[NET]

    @property
    def mean_risk(self) -> float:
        """Lbar as the product of means."""
        return self.values["avg_plrs"] * self.values["avg_idf"] * self.values["mean_gcf"]

    @property
    def mean_allowable(self) -> float:
        """Rbar as the product of means."""
        means = self.values
        return means["avg_av"] * means["avg_arf"] * means["avg_idf"] * means["mean_gcf"]


def state_averages(
    pool: PoolName,
    benefit_year: int,
    averages: int | Mapping[str, Any] | None,
    release: str | None,
    projection: Mapping[str, Any],
    mean_gcf: float | str,
    admin_cost_reduction: float,
) -> StateAverages:
    """Return the projected averages of one risk pool.

    Parameters
    ----------
    pool : PoolName
        State and risk pool, as the published table names them.
    benefit_year : int
        The year that is estimated.
    averages : int, mapping or None
        The published year (None: the benefit year), or assumed figures by their names in the published table; those not
        named are read from the published row of ``averages["benefit_year"]``.
    release : str, optional
        final or interim; None: the final one where both are held.
    projection : mapping
        Declared factors, see PROJECTION_FACTORS.
    mean_gcf : float or "published"
        GCFbar.
    admin_cost_reduction : float
        k of the benefit year.
    """
    given, year = _given(averages, benefit_year)
    found = StateAverages()
    needed = [c for c in MEANS if c not in given]
    published = None
    if needed or not (GROSS in given or NET in given):
        if year > benefit_year:
            raise SettingRefused(
                f"averages of {year} are later than benefit year {benefit_year}",
                rule="an estimate starts from averages of its own year or of an earlier one",
                remedy="name an earlier year, or change the benefit year",
            )
        published = _published_row(pool, year, release)
        found.release, found.year = published["release"], year
    _put_premium(found, given, published, admin_cost_reduction)
    for name in MEANS:
        _put_mean(found, name, given, published)
    _project(found, pool, projection)
    if isinstance(mean_gcf, str):
        _put_published_gcf(found, pool, year, release)
    else:
        source = "default setting" if mean_gcf == 1.0 else "setting mean_gcf"
        found.put("mean_gcf", "mean_gcf", None, mean_gcf, source)
    return found


def _given(averages: int | Mapping[str, Any] | None, benefit_year: int) -> tuple[dict[str, float], int]:
    """Return the assumed figures, and the year of the published ones."""
    if averages is None:
        return {}, benefit_year
    if not isinstance(averages, Mapping):
        return {}, whole_year(averages, "averages")
    named = {k: v for k, v in averages.items() if v is not None}
    year = whole_year(named.pop("benefit_year", benefit_year), "averages, benefit_year")
    unknown = [str(k) for k in named if k not in FIGURES]
    if unknown:
        raise SettingRefused(
            "averages hold no figure called " + ", ".join(map(repr, sorted(unknown))),
            remedy="figures: " + ", ".join((*FIGURES, "benefit_year")),
        )
    if GROSS in named and NET in named:
        raise SettingRefused(
            "averages give the premium twice, before and after the administrative cost cut",
            remedy=f"give one of {GROSS}, {NET}",
        )
    return {k: positive_number(v, f"averages, {k}") for k, v in named.items()}, year


def whole_year(value: object, what: str) -> int:
    """Return a year, or refuse what is none."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise SettingRefused(f"`{what}` is a {type(value).__name__}", rule="a whole number", remedy="write 2023, say")
    return int(value.__index__())


def positive_number(value: object, what: str) -> float:
    """Return a number above zero, or refuse it."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        raise SettingRefused(f"`{what}` cannot be {value!r}", rule="a finite number above zero", remedy="mend it")
    return number


def _published_row(pool: PoolName, year: int, release: str | None) -> dict[str, Any]:
    """Return the published row of a risk pool; the final one where both releases are held."""
    import polars as pl

    if pool.state is None:
        raise InputRefused(
            "published averages are kept by state, and the plan rows name none",
            where="plan_rows",
            remedy="add a column state, say state=, or give all averages",
        )
    of_pool = (pl.col("state") == pool.state) & (pl.col("risk_pool") == pool.risk_pool)
    held = _registry.rows(AVERAGES_TABLE, year=year)
    rows = held.filter(of_pool)
    if release is not None:
        rows = rows.filter(pl.col("release") == release)
    if rows.height:
        return dict(rows.sort("release").row(0, named=True))  # "final" sorts before "interim"
    what = "" if release is None else f" ({release})"
    releases = _registry.rows(AVERAGES_TABLE).filter(of_pool).select("benefit_year", "release").rows()
    others = sorted(f"{y} {r}" for y, r in releases)
    raise TableMissing(
        f"no averages of {pool} are held for {year}{what}",
        where=AVERAGES_TABLE,
        rule="a year is used only with its own published figures; held for this pool: " + (", ".join(others) or "none"),
        remedy="name a held year or release, or give the averages",
    )


def _put_premium(
    found: StateAverages, given: Mapping[str, float], published: Mapping[str, Any] | None, k: float
) -> None:
    """Set P'. The published net premium is used as it stands unless another year's cut applies."""
    if NET in given:
        found.put(NET, "given", None, given[NET], "assumed")
        return
    if GROSS in given:
        found.put(NET, "given", None, given[GROSS], "assumed, before the administrative cost cut")
    else:
        assert published is not None
        source = _where(published)
        if published["admin_reduction"] == k:
            found.put(NET, _label(published), None, published[NET], source, published["verification"])
            return
        found.put(NET, _label(published), None, published[GROSS], source, published["verification"])
    found.put(NET, "admin_cost_reduction", 1.0 - k, found.values[NET] * (1.0 - k), "of the benefit year")


def _put_mean(found: StateAverages, name: str, given: Mapping[str, float], published: Mapping[str, Any] | None) -> None:
    if name in given:
        found.put(name, "given", None, given[name], "assumed")
        return
    assert published is not None
    if published[name] is None:
        raise TableMissing(
            f"{name} is not in the {published['release']} report of {published['benefit_year']}",
            where=_where(published),
            rule="absent is not zero",
            remedy=f'give it: averages={{"benefit_year": {published["benefit_year"]}, "{name}": ...}}',
        )
    found.put(name, _label(published), None, published[name], _where(published), published["verification"])


def _label(published: Mapping[str, Any]) -> str:
    return f"published {published['benefit_year']} {published['release']}"


def _where(published: Mapping[str, Any]) -> str:
    return f"{AVERAGES_TABLE}, row {published['_row']}"


def _project(found: StateAverages, pool: PoolName, projection: Mapping[str, Any]) -> None:
    for name, figure in PROJECTION_FACTORS.items():
        if name not in projection:
            continue
        value, source, mark = projection[name], "declared", None
        if name == "interim_to_final":
            if found.release == "final":
                raise SettingRefused(
                    "the averages are final, and a factor from interim to final was declared",
                    where="projection",
                    remedy='leave out interim_to_final, or use release="interim"',
                )
            if value == "published":
                value, source = interim_to_final(pool.risk_pool)
                mark = "single-source"
        factor = projection_factor(value, name)
        found.put(figure, name, factor, found.values[figure] * factor, source, mark)


def projection_factor(value: object, name: str) -> float:
    """Return a declared factor, or refuse what is no factor."""
    number = positive_number(value, f"projection, {name}")
    if not 1 / _MOST < number < _MOST:
        raise SettingRefused(
            f"`projection, {name}` cannot be {value!r}",
            rule="a factor: 1.05 means 5 percent more",
            remedy="write the factor, not the percentage",
        )
    return number


def interim_to_final(risk_pool: str) -> tuple[float, str]:
    """Return by how much final risk scores lay above interim ones, and where that was measured.

    ``mean over pools of (final PLRS / interim PLRS)``, for all states and years of which both reports are held (2016),
    among pools of the kind asked for.

    Examples
    --------
    >>> [(round(interim_to_final(p)[0], 3)) for p in ("individual", "small_group")]
    [1.066, 1.058]
    """
    import polars as pl

    rows = _registry.table(AVERAGES_TABLE).filter(pl.col("risk_pool") == risk_pool)
    key = ["benefit_year", "state", "avg_plrs"]
    both = (
        rows.filter(pl.col("release") == "final")
        .select(key)
        .join(
            rows.filter(pl.col("release") == "interim").select(key),
            on=key[:2],
            how="inner",
            validate="1:1",
            suffix="_interim",
        )
    )
    if both.height == 0:
        raise TableMissing(
            f"no year holds both reports of a {risk_pool} pool",
            where=AVERAGES_TABLE,
            remedy="declare interim_to_final as a number",
        )
    final, interim = both["avg_plrs"].to_numpy(), both["avg_plrs_interim"].to_numpy()
    years = ", ".join(map(str, sorted(set(both["benefit_year"].to_list()))))
    source = f"mean of {both.height} {risk_pool} pools of {years}, {AVERAGES_TABLE}"
    return math.fsum((final / interim).tolist()) / both.height, source


def _put_published_gcf(found: StateAverages, pool: PoolName, year: int, release: str | None) -> None:
    """Set GCFbar to the mean of the published factors, weighted by billable member months."""
    import polars as pl

    rows = _registry.table(AREA_TABLE, year=year).filter(
        pl.col("state") == pool.state,
        pl.col("risk_pool") == pool.risk_pool,
        pl.col("release") == (found.release or release or "final"),
    )
    if rows.height == 0:
        raise TableMissing(
            f"no geographic cost factors of {pool} are held for {year}",
            where=AREA_TABLE,
            remedy="give mean_gcf as a number",
        )
    factor, months = rows["gcf"].to_numpy(), rows["billable_member_months"].to_numpy()
    value = math.fsum((factor * months).tolist()) / math.fsum(months.tolist())
    found.put("mean_gcf", f"published {year}", None, value, f"{AREA_TABLE}, {rows.height} areas")
