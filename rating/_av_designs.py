"""Designs as they are written: typed objects, and a table of one row per plan and service as in a workbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused, SettingRefused
from rating._av_columns import (
    COMBINED_MOOP,
    DEDUCTIBLE_TYPES,
    INTEGRATED,
    MAX_COUNT,
    SEPARATE_MOOP,
    SERVICES,
    TABLE_METALS,
    DesignColumns,
    plain_columns,
)
from rating._av_doubts import doubts_of_shares, refuse_impossible
from rating._frame_rows import collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Design", "ServiceTerms", "columns_of_design_table"]

_TABLE = "designs"


@dataclass(frozen=True, kw_only=True)
class ServiceTerms:
    """How one service is shared; blank: the default of the calculator.

    Attributes
    ----------
    subject_to_deductible, subject_to_coinsurance : bool
        Default true.
    copay : float, optional
        Dollars; blank: none.
    plan_coinsurance : float, optional
        The plan's share; blank: the general one. 0 is not blank: then the enrollee pays everything.
    copay_after_deductible : bool
        The copay is charged once the deductible is met.
    """

    subject_to_deductible: bool = True
    subject_to_coinsurance: bool = True
    copay: float | None = None
    plan_coinsurance: float | None = None
    copay_after_deductible: bool = False


@dataclass(frozen=True, kw_only=True)
class Design:
    """One plan design; money in dollars, self-only and in network, coinsurance the plan's share.

    Attributes are the keys of the mapping that :func:`rating.actuarial_value` reads; those that are None are left out.

    Examples
    --------
    >>> bronze = Design(deductible=7000, moop=7000, plan_coinsurance=1.0, services={"generic": ServiceTerms(copay=10)})
    >>> bronze.mapping()["services"]["generic"]["copay"]
    10
    """

    deductible_type: str = "integrated"
    name: str | None = None
    deductible: float | None = None
    deductible_medical: float | None = None
    deductible_drug: float | None = None
    plan_coinsurance: float | None = None
    plan_coinsurance_medical: float | None = None
    plan_coinsurance_drug: float | None = None
    moop: float | None = None
    moop_medical: float | None = None
    moop_drug: float | None = None
    table_metal: str | None = None
    services: Mapping[str, ServiceTerms] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    tier1_utilization: float | None = None
    tier2: Mapping[str, Any] | None = None

    def mapping(self) -> dict[str, Any]:
        """Return the design as the plain mapping."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        names = [f.name for f in fields(ServiceTerms)]
        terms = {
            service: {name: getattr(own, name) for name in names if getattr(own, name) is not None}
            for service, own in self.services.items()
        }
        return {**plain, "services": terms, "options": dict(self.options)}


# ---- a table of one row per plan and service

# column of the table -> (array of the columns, places in it), by the type of deductible that needs it
_ONE: dict[str, tuple[str, tuple[int, ...]]] = {
    "deductible": ("deductible", (0, 1)),
    "plan_coinsurance": ("plan_coinsurance", (0, 1)),
    "moop": ("moop", (0, 1)),
}
_TWO: dict[str, tuple[str, tuple[int, ...]]] = {
    f"{name}_{domain}": (name, (place,))
    for name in ("deductible", "plan_coinsurance", "moop")
    for place, domain in enumerate(("medical", "drug"))
}
_SHARED = {name: place for name, place in _TWO.items() if not name.startswith("moop")}
_AMOUNTS = {INTEGRATED: _ONE, COMBINED_MOOP: {**_SHARED, "moop": _ONE["moop"]}, SEPARATE_MOOP: _TWO}
_OPTION_FLAGS = {"inpatient_copay_per_day": "inpatient_per_day", "snf_copay_per_day": "skilled_nursing_per_day"}
_OPTION_COUNTS = {
    "inpatient_copay_max_days": "inpatient_max_days",
    "primary_care_first_n_visits_free": "first_visits_free",
    "primary_care_first_n_visits_copay_then_deductible": "first_visits_copay",
}
_OPTION_AMOUNTS = {
    "specialty_drug_coinsurance_max_per_script": "specialty_cap",
    "employer_hsa_hra": "employer_money",
}
_SERVICE_FLAGS = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible")
_SERVICE_AMOUNTS = {"copay": "copay", "service_coinsurance": "coinsurance"}
_FLAGS = (*_SERVICE_FLAGS, *_OPTION_FLAGS)
_NUMBERS = (*_ONE, *_TWO, *_OPTION_COUNTS, *_OPTION_AMOUNTS, *_SERVICE_AMOUNTS)
_WORDS = ("design_id", "deductible_type", "table_metal", "service")
_KNOWN = (*_WORDS, *_NUMBERS, *_FLAGS)
_PER_SERVICE = ("service", *_SERVICE_FLAGS, *_SERVICE_AMOUNTS)
_TRUE, _FALSE = ("true", "yes", "y", "1", "x"), ("false", "no", "n", "0")


def columns_of_design_table(
    frame: pl.DataFrame | pl.LazyFrame, *, coinsurance_is: str | None = None
) -> tuple[list[str], DesignColumns]:
    """Return the designs of a table with one row per plan and service, with their ids.

    Parameters
    ----------
    frame : DataFrame or LazyFrame
        ``design_id``, ``deductible_type`` (blank: integrated), the amounts of that type, ``table_metal`` and the
        options under their names in the mapping: on every row of the design, or on its first and blank below.
        ``service`` with ``subject_to_deductible``, ``subject_to_coinsurance``, ``copay``, ``service_coinsurance``,
        ``copay_after_deductible``; a row without a service is of the plan alone. Text is read as in a workbook:
        yes and no, numbers. A service that is not listed has the default terms.
    coinsurance_is : {"plan", "enrollee"}, optional
        Whose share the coinsurances are. Left out, they are read as the plan's, and a general one below one half is
        refused with the question.

    Returns
    -------
    list of str, DesignColumns
        In order of first appearance.

    Raises
    ------
    InputRefused
        An unknown column or service, a value that cannot be read, a missing amount, a service listed twice, rows of a
        design that differ, a copay that does not say when it is charged, or a design no plan can have.
    SettingRefused
        `coinsurance_is` is something else.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"design_id": ["A", "A"], "deductible": [1000, None], "moop": [5000, None],
    ...     "plan_coinsurance": [0.8, None], "service": ["generic", "primary_care"], "copay": [10, 30],
    ...     "subject_to_deductible": ["no", "no"], "subject_to_coinsurance": ["no", "no"]})
    >>> ids, designs = columns_of_design_table(table)
    >>> ids, designs.moop.tolist(), designs.copay[0, SERVICES.index("primary_care")]
    (['A'], [[5000.0, 5000.0]], np.float64(30.0))
    """
    if coinsurance_is not in (None, "plan", "enrollee"):
        raise SettingRefused(f"`coinsurance_is` cannot be {coinsurance_is!r}", remedy="write 'plan' or 'enrollee'")
    read = _read(collected(frame, _TABLE, ("design_id",)))
    ids, plans, position = _plans(read)
    designs = plain_columns(len(ids))
    _fill_plans(designs, plans, ids)
    _fill_services(designs, read, position)
    if coinsurance_is == "enrollee":
        designs = designs.with_changes(
            plan_coinsurance=1.0 - designs.plan_coinsurance, coinsurance=1.0 - designs.coinsurance
        )
    if coinsurance_is is None:
        _ask_whose_share(designs, ids)
    refuse_impossible(designs, ids)
    return ids, designs


def _read(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the known columns with their types, others blank."""
    import polars as pl

    loose = [name for name in frame.columns if name not in _KNOWN]
    if loose:
        raise _refused(f"column {loose[0]!r} is not known", _TABLE, _nearest(loose[0], _KNOWN))
    columns = {}
    for name in _KNOWN:
        given = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.String)
        kind, read = _typed(given)
        _refuse_row(given.is_not_null() & _says_something(given) & read.is_null(), name, f"a value is no {kind}")
        columns[name] = read.alias(name)
    _refuse_row(columns["design_id"].is_null(), "design_id", "a row has no design_id")
    return pl.DataFrame(columns)


def _says_something(series: pl.Series) -> pl.Series:
    import polars as pl

    return series.str.strip_chars() != "" if series.dtype == pl.String else series.is_not_null()


def _typed(series: pl.Series) -> tuple[str, pl.Series]:
    """Return a column as its kind asks for it; what cannot be read is blank."""
    import polars as pl

    if series.name in _NUMBERS:
        text = series.str.strip_chars() if series.dtype == pl.String else series
        number = text.cast(pl.Float64, strict=False)
        highest = 1.0 if "coinsurance" in series.name and series.name not in _OPTION_AMOUNTS else np.inf
        return "number in range", number.to_frame().select(
            pl.when(pl.first().is_between(0, highest) & pl.first().is_finite()).then(pl.first())
        ).to_series()
    if series.name in _FLAGS:
        if series.dtype == pl.Boolean:
            return "yes or no", series
        word = pl.first().cast(pl.String).str.strip_chars().str.to_lowercase()
        flag = pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
        return "yes or no", series.to_frame().select(flag.alias(series.name)).to_series()
    text = series.cast(pl.String).str.strip_chars()
    return "text", text.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series()


def _plans(read: pl.DataFrame) -> tuple[list[str], pl.DataFrame, NDArray[np.int64]]:
    """Return the ids, one row per design of what is said of the plan, and each row's position in the designs."""
    import polars as pl

    names = [name for name in _KNOWN if name not in (*_PER_SERVICE, "design_id")]
    own = read.group_by("design_id", maintain_order=True)
    plans = own.agg(pl.col(name).drop_nulls().first() for name in names)
    differ = own.agg(pl.col(name).drop_nulls().n_unique() > 1 for name in names)
    ids = plans["design_id"].to_list()
    for name in names:
        if differ[name].any():
            design = ids[differ[name].arg_max() or 0]
            raise _refused("rows of one design differ", f"design {design}, {name}", "repeat it, or leave it blank")
    places = plans.select("design_id").with_row_index("position")
    position = read.select("design_id").join(places, on="design_id", how="left", maintain_order="left", validate="m:1")
    return ids, plans, position["position"].cast(pl.Int64).to_numpy()


def _fill_plans(designs: DesignColumns, plans: pl.DataFrame, ids: list[str]) -> None:
    kinds = _codes(plans["deductible_type"].fill_null(DEDUCTIBLE_TYPES[INTEGRATED]), DEDUCTIBLE_TYPES, ids)
    designs.deductible_type[:] = kinds
    metals = plans["table_metal"]
    said = metals.is_not_null().to_numpy()
    designs.table_metal[said] = _codes(
        metals.drop_nulls(), TABLE_METALS, [i for i, s in zip(ids, said, strict=True) if s]
    )
    for kind, wanted in _AMOUNTS.items():
        rows = kinds == kind
        for name in (*_ONE, *_TWO):
            given = plans[name].is_not_null().to_numpy() & rows
            if name not in wanted and given.any():
                where = f"design {ids[int(given.argmax())]}, {name}"
                raise _refused(f"{DEDUCTIBLE_TYPES[kind]} has no such amount", where, "leave it blank")
        for name, (array, places) in wanted.items():
            blank = plans[name].is_null().to_numpy() & rows
            if blank.any():
                where = f"design {ids[int(blank.argmax())]}, {name}"
                raise _refused("an amount is missing", where, f"a design is {DEDUCTIBLE_TYPES[kind]} unless it says so")
            getattr(designs, array)[np.ix_(rows, places)] = plans[name].to_numpy()[rows, None]
    for name, array in (_OPTION_FLAGS | _OPTION_COUNTS | _OPTION_AMOUNTS).items():
        said = plans[name].is_not_null().to_numpy()
        values = plans[name].drop_nulls().to_numpy()
        if name in _OPTION_COUNTS and len(values) and not _is_count(values).all():
            design = ids[int(np.flatnonzero(said)[(~_is_count(values)).argmax()])]
            raise _refused(f"no whole number from 1 to {MAX_COUNT}", f"design {design}, {name}", "mend the number")
        getattr(designs, array)[said] = values


def _is_count(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((values >= 1) & (values <= MAX_COUNT) & (values == np.floor(values)))


def _fill_services(designs: DesignColumns, read: pl.DataFrame, position: NDArray[np.int64]) -> None:
    listed = read["service"].is_not_null()
    for name in _PER_SERVICE[1:]:
        _refuse_row(read[name].is_not_null() & ~listed, name, "terms stand beside no service")
    without_flags = listed & (read["copay"] > 0)
    for name in _SERVICE_FLAGS:
        without_flags &= read[name].is_null()
    remedy = "say whether the service is subject to the deductible and to coinsurance, and whether it comes after"
    _refuse_row(without_flags, "copay", "a copay does not say when it is charged", remedy)
    rows = read.filter(listed)
    where = position[listed.to_numpy()]
    service = _codes(rows["service"], SERVICES, [f"number {p + 1}" for p in where])
    cell = np.sort(where * len(SERVICES) + service)
    if (cell[1:] == cell[:-1]).any():
        twice = int(cell[1:][cell[1:] == cell[:-1]][0])
        name = SERVICES[twice % len(SERVICES)]
        raise _refused(
            "a service is listed twice", f"design number {twice // len(SERVICES) + 1}, {name}", "keep one row"
        )
    for name in (*_SERVICE_FLAGS, *_SERVICE_AMOUNTS):
        said = rows[name].is_not_null().to_numpy()
        getattr(designs, _SERVICE_AMOUNTS.get(name, name))[where[said], service[said]] = (
            rows[name].drop_nulls().to_numpy()
        )


def _codes(series: pl.Series, words: tuple[str, ...], names: list[str]) -> NDArray[np.int64]:
    import polars as pl

    found = series.replace_strict(words, range(len(words)), default=None, return_dtype=pl.Int64)
    if found.null_count():
        row = found.is_null().arg_max() or 0
        raise _refused(
            f"{series[row]!r} is not known", f"design {names[row]}, {series.name}", _nearest(series[row], words)
        )
    return found.to_numpy()


def _nearest(word: str, words: tuple[str, ...]) -> str:
    near = get_close_matches(word, words, 1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(words)


def _ask_whose_share(designs: DesignColumns, ids: list[str]) -> None:
    low = doubts_of_shares(designs)
    if low.any():
        raise _refused(
            "a general coinsurance is below one half: is it the enrollee's share?",
            f"design {ids[int(low.argmax())]}, plan_coinsurance",
            "pass coinsurance_is='enrollee' if so, else coinsurance_is='plan'",
        )


def _refuse_row(broken: pl.Series, column: str, what: str, remedy: str = "mend the row") -> None:
    if broken.fill_null(False).any():
        raise _refused(what, f"{_TABLE}, row {(broken.fill_null(False).arg_max() or 0) + 1}, column {column}", remedy)


def _refused(what: str, where: str, remedy: str) -> InputRefused:
    return InputRefused(what, where=where, rule="a design table has one row per plan and service", remedy=remedy)
