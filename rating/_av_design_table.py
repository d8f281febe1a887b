"""A table of designs with one row per plan and service, as in an actuary's workbook."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused, SettingRefused
from rating._av_columns import (
    COMBINED_MOOP,
    DEDUCTIBLE_TYPES,
    INTEGRATED,
    LARGEST,
    MAX_COUNT,
    NOT_SAID,
    SEPARATE_MOOP,
    SERVICES,
    DesignColumns,
    plain_columns,
)
from rating._av_doubts import Problem, doubts_of_shares, refuse_impossible
from rating._av_mapping import (
    AMOUNTS,
    OPTION_AMOUNTS,
    OPTION_COUNTS,
    OPTION_FLAGS,
    SERVICE_FLAGS,
    SHARE_OF_TIER_1,
    WORDS,
)
from rating._frame_rows import collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ReadTable", "columns_of_design_table", "read_design_table", "with_shares_turned"]

Flags = NDArray[np.bool_]
Positions = NDArray[np.int64]

_TABLE = "designs"
_TIER_SHARE, _OTHER_SPELLING = SHARE_OF_TIER_1
_MONEY = "employer_hsa_hra"
_SERVICE_AMOUNTS = {"copay": "copay", "service_coinsurance": "coinsurance"}
_COST_SHARING = tuple(dict.fromkeys(key for wanted in AMOUNTS.values() for *_, key in wanted))
_PER_SERVICE = ("service", *SERVICE_FLAGS, *_SERVICE_AMOUNTS)
_FLAGS = (*SERVICE_FLAGS, *OPTION_FLAGS, "is_hdhp")
_SHARES = (*(key for key in _COST_SHARING if "coinsurance" in key), "service_coinsurance", _TIER_SHARE, "filed_av")
_NUMBERS = (*_COST_SHARING, *OPTION_COUNTS, *OPTION_AMOUNTS, *_SERVICE_AMOUNTS, _TIER_SHARE, "filed_av")
_TEXTS = ("plan_id", "filed_source")
_KNOWN = ("design_id", "tier", "deductible_type", "csr_variant", *WORDS, *_TEXTS, *_NUMBERS, *_FLAGS, "service")
# What is said of the plan as a whole, and what each tier may say of its own.
_OF_TIER = ("deductible_type", *_COST_SHARING, *OPTION_FLAGS, *OPTION_COUNTS, *OPTION_AMOUNTS)
_OF_PLAN = ("csr_variant", *WORDS, *_TEXTS, _TIER_SHARE, "filed_av", "is_hdhp", _MONEY)
_TRUE, _FALSE = ("true", "yes", "y", "1", "x"), ("false", "no", "n", "0")
_TIERS = ("1", "2")


@dataclass(frozen=True)
class ReadTable:
    """Designs of a table.

    Attributes
    ----------
    ids : list of str
        In order of first appearance.
    columns : DesignColumns
        One row each; that of a design with a problem means nothing.
    texts : dict
        ``plan_id`` and ``filed_source`` of each design; None: not said.
    problems : list of Problem
        What could not be read.
    """

    ids: list[str]
    columns: DesignColumns
    texts: dict[str, list[str | None]]
    problems: list[Problem]


def columns_of_design_table(
    frame: pl.DataFrame | pl.LazyFrame, *, coinsurance_is: str | None = None
) -> tuple[list[str], DesignColumns]:
    """Return the designs of a table with one row per plan and service, with their ids.

    Parameters
    ----------
    frame : DataFrame or LazyFrame
        ``design_id``, ``deductible_type`` (blank: integrated), the amounts of that type, and the options and facts of
        the plan under their names in the mapping: on every row of the design, or on its first and blank below.
        ``service`` with ``subject_to_deductible``, ``subject_to_coinsurance``, ``copay``, ``service_coinsurance``,
        ``copay_after_deductible``; a row without a service is of the plan alone. ``tier`` (blank: 1): rows of network
        tier 2, with ``tier1_utilization`` of the plan; what they leave blank is as in tier 1, and services listed for
        tier 2 replace all those of tier 1. Text is read as in a workbook: yes and no, numbers. A service that is not
        listed has the default terms.
    coinsurance_is : {"plan", "enrollee"}, optional
        Whose share the coinsurances are. Left out, they are read as the plan's, and one below one half is refused
        with the question.

    Returns
    -------
    list of str, DesignColumns
        In order of first appearance.

    Raises
    ------
    InputRefused
        An unknown column or service, a value that cannot be read, a missing amount, a service listed twice, rows of a
        design that differ, or a design no plan can have.
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
    read = read_design_table(frame)
    for problem in read.problems:
        raise problem.error
    designs = read.columns if coinsurance_is != "enrollee" else with_shares_turned(read.columns)
    low = doubts_of_shares(designs)
    if coinsurance_is is None and low.any():
        raise InputRefused(
            "a coinsurance is below one half: is it the enrollee's share?",
            where=f"design {read.ids[int(low.argmax())]}, plan_coinsurance",
            rule="AVC-064: coinsurance is the plan's share",
            remedy="pass coinsurance_is='enrollee' if so, else coinsurance_is='plan'",
        )
    refuse_impossible(designs, read.ids)
    return read.ids, designs


def with_shares_turned(designs: DesignColumns) -> DesignColumns:
    """Return designs whose coinsurances were the enrollee's share; blank stays blank.

    Examples
    --------
    >>> with_shares_turned(plain_columns(1, plan_coinsurance=0.25)).plan_coinsurance.tolist()
    [[0.75, 0.75]]
    """
    return designs.with_changes(
        plan_coinsurance=1.0 - designs.plan_coinsurance,
        coinsurance=1.0 - designs.coinsurance,
        tier2=None if designs.tier2 is None else with_shares_turned(designs.tier2),
    )


@dataclass
class _Reading:
    """A table while it is read: its rows with their types, the design and the tier of each, and what is wrong."""

    rows: pl.DataFrame
    ids: list[str]
    position: Positions
    is_second: Flags
    problems: list[Problem] = field(default_factory=list)

    def bad_rows(self, broken: Flags, column: str, rule: str, what: str, remedy: str = "mend the row") -> None:
        """Put down designs by their rows."""
        for row in np.flatnonzero(broken).tolist():
            self.bad_row(row, column, rule, what, remedy)

    def bad_row(self, row: int, column: str, rule: str, what: str, remedy: str) -> None:
        """Put down the design of one row."""
        where = f"{_TABLE}, row {row + 1}, column {column}"
        error = InputRefused(what, where=where, rule=rule, remedy=remedy)
        self.problems.append(Problem(int(self.position[row]), error))

    def bad_designs(self, broken: Flags, key: str, rule: str, what: str, remedy: str = "mend the design") -> None:
        """Put down designs."""
        for row in np.flatnonzero(broken).tolist():
            self.bad_design(row, key, rule, what, remedy)

    def bad_design(self, row: int, key: str, rule: str, what: str, remedy: str) -> None:
        """Put down one design."""
        error = InputRefused(what, where=f"design {self.ids[row]}, {key}", rule=rule, remedy=remedy)
        self.problems.append(Problem(row, error))


def read_design_table(frame: Any) -> ReadTable:
    """Return the designs of a table as :func:`columns_of_design_table` reads it, and which cannot be read.

    Raises
    ------
    InputRefused
        An unknown column, or a row without a ``design_id``: then the table as a whole cannot be read.
    """
    reading = _typed_rows(_with_ids(collected(frame, _TABLE, ())))
    height = len(reading.ids)
    first, texts = plain_columns(height), {}
    of_plan = _of_designs(reading, _OF_PLAN, np.ones(len(reading.position), bool))
    for name in _TEXTS:
        texts[name] = of_plan[name].to_list()
    _fill_facts(reading, first, of_plan)
    terms = _of_designs(reading, _OF_TIER, ~reading.is_second)
    _fill_terms(reading, first, terms, np.ones(height, bool))
    first.employer_money[:] = of_plan[_MONEY].fill_null(0.0).to_numpy()
    _fill_services(reading, first, ~reading.is_second)
    has_second = np.zeros(height, bool)
    has_second[reading.position[reading.is_second]] = True
    share = of_plan[_TIER_SHARE]
    reading.bad_designs(
        has_second != share.is_not_null().to_numpy(),
        _TIER_SHARE,
        "AVC-011: two shares of network tiers sum to 1",
        "two network tiers need both the share of tier 1 and rows of tier 2",
    )
    if has_second.any():
        own = _of_designs(reading, _OF_TIER, reading.is_second)
        second = plain_columns(height)
        _fill_terms(reading, second, own.select(own[name].fill_null(terms[name]) for name in own.columns), has_second)
        _fill_second_services(reading, first, second)
        first.tier1_share[:] = np.where(has_second, share.fill_null(1.0).to_numpy(), 1.0)
        first = first.with_changes(tier2=second)
    return ReadTable(reading.ids, first, texts, reading.problems)


def _with_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with ``design_id``: where it is missing, the plan id with its variant."""
    import polars as pl

    if _OTHER_SPELLING in frame.columns and _TIER_SHARE not in frame.columns:
        frame = frame.rename({_OTHER_SPELLING: _TIER_SHARE})
    loose = [name for name in frame.columns if name not in _KNOWN]
    if loose:
        rule = "AVC-001: a design table has one row per plan and service"
        raise InputRefused(
            f"column {loose[0]!r} is not known", where=_TABLE, rule=rule, remedy=_nearest(loose[0], _KNOWN)
        )
    if "design_id" in frame.columns or "plan_id" not in frame.columns:
        return collected(frame, _TABLE, ("design_id",))
    parts = [pl.col(name).cast(pl.String) for name in ("plan_id", "csr_variant") if name in frame.columns]
    return frame.with_columns(pl.concat_str(parts, separator="-", ignore_nulls=True).alias("design_id"))


def _typed_rows(frame: pl.DataFrame) -> _Reading:
    """Return the known columns with their types, others blank."""
    import polars as pl

    columns, unreadable = {}, {}
    for name in _KNOWN:
        given = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=pl.String)
        read = _typed(given)
        unreadable[name] = (given.is_not_null() & _says_something(given) & read.is_null()).fill_null(False)
        columns[name] = read.alias(name)
    rows = pl.DataFrame(columns)
    if rows["design_id"].null_count():
        raise InputRefused(
            "a row has no design_id",
            where=f"{_TABLE}, row {(rows['design_id'].is_null().arg_max() or 0) + 1}, column design_id",
            rule="a design table has one row per plan and service",
            remedy="repeat the design_id on every row of the design",
        )
    ids = rows["design_id"].unique(maintain_order=True)
    places = pl.DataFrame({"design_id": ids, "position": np.arange(len(ids))})
    position = rows.select("design_id").join(places, on="design_id", how="left", maintain_order="left", validate="m:1")[
        "position"
    ]
    tier = rows["tier"].fill_null(_TIERS[0])
    reading = _Reading(rows, ids.to_list(), position.to_numpy(), (tier == _TIERS[1]).to_numpy())
    for name, broken in unreadable.items():
        what, rule = "number in range", "AVC-006: an amount is 0 or more, a share 0 to 1"
        if name in _FLAGS:
            what, rule = "yes or no", "AVC-005: a flag is yes or no"
        elif name not in _NUMBERS:
            what, rule = "text", "AVC-005: text"
        reading.bad_rows(broken.to_numpy(), name, rule, f"a value is no {what}")
    reading.bad_rows(~tier.is_in(_TIERS).to_numpy(), "tier", "AVC-003: 1 or 2", "a tier is neither 1 nor 2")
    return reading


def _says_something(series: pl.Series) -> pl.Series:
    import polars as pl

    return series.str.strip_chars() != "" if series.dtype == pl.String else series.is_not_null()


def _plain(series: pl.Series) -> pl.Series:
    """Return a column as text, numbers or flags; cells that hold several values, or none to be read, are blank."""
    import polars as pl

    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return pl.Series(series.name, [None], dtype=pl.String).new_from_index(0, len(series))
    if series.name not in _NUMBERS and series.dtype.is_float():
        whole = series.cast(pl.Int64, strict=False)  # a column of whole numbers with blanks, from a workbook
        return whole if (whole.cast(series.dtype) == series).all() else series.cast(pl.String)
    is_plain = series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.String)
    return series if is_plain else series.cast(pl.String)


def _typed(series: pl.Series) -> pl.Series:
    """Return a column as its kind asks for it; what cannot be read is blank."""
    import polars as pl

    one = _plain(series).to_frame()
    series = one.to_series()
    if series.name in _NUMBERS:
        if series.dtype == pl.Boolean:
            return pl.Series(series.name, [None], dtype=pl.Float64).new_from_index(0, len(series))
        text = series.str.strip_chars() if series.dtype == pl.String else series
        number = text.cast(pl.Float64, strict=False)
        highest = 1.0 if series.name in _SHARES else LARGEST
        in_range = pl.when(pl.first().is_between(0, highest) & pl.first().is_finite()).then(pl.first())
        return number.to_frame().select(in_range).to_series()
    if series.name in _FLAGS:
        if series.dtype == pl.Boolean:
            return series
        word = pl.first().cast(pl.String).str.strip_chars().str.to_lowercase()
        flag = pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
        return one.select(flag.alias(series.name)).to_series()
    text = one.select(pl.first().cast(pl.String).str.strip_chars()).to_series()
    return text.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series()


def _of_designs(reading: _Reading, names: tuple[str, ...], chosen: Flags) -> pl.DataFrame:
    """Return what some rows say of their design, one row per design; rows that differ are put down."""
    import polars as pl

    height = len(reading.ids)
    rows = reading.rows.select(names).with_columns(pl.Series("position", reading.position)).filter(pl.Series(chosen))
    own = rows.group_by("position", maintain_order=True)
    said = own.agg(pl.col(name).drop_nulls().first() for name in names)
    differ = own.agg(pl.col(name).drop_nulls().n_unique() > 1 for name in names)
    for name in names:
        broken = np.zeros(height, bool)
        broken[differ["position"].filter(differ[name]).to_numpy()] = True
        what, remedy = "rows of one design differ", "repeat it, or leave it blank"
        reading.bad_designs(broken, name, "AVC-008: a plan has one value of each", what, remedy)
    everyone = pl.DataFrame({"position": np.arange(height)})
    return everyone.join(said, on="position", how="left", maintain_order="left", validate="1:1").select(names)


def _fill_facts(reading: _Reading, designs: DesignColumns, plans: pl.DataFrame) -> None:
    """Fill in what is said of the plan as a whole."""
    import polars as pl

    for name, words in WORDS.items():
        getattr(designs, name)[:] = _codes(reading, plans[name], words, NOT_SAID)
    variants = plans["csr_variant"].str.extract(r"^([0-9]{1,2})$").cast(pl.Int64)
    unknown = (plans["csr_variant"].is_not_null() & variants.is_null()).to_numpy()
    reading.bad_designs(unknown, "csr_variant", 'AVC-003: two digits, "04" say', "a variant is not known")
    designs.csr_variant[:] = variants.fill_null(NOT_SAID).to_numpy()
    designs.is_hdhp[:] = plans["is_hdhp"].fill_null(False).to_numpy()
    designs.filed_av[:] = plans["filed_av"].fill_null(np.nan).to_numpy()


def _fill_terms(reading: _Reading, designs: DesignColumns, plans: pl.DataFrame, rows: Flags) -> None:
    """Fill in amounts and options of some designs in one tier."""
    kinds = _codes(reading, plans["deductible_type"], DEDUCTIBLE_TYPES, INTEGRATED)
    designs.deductible_type[:] = kinds
    for kind in (INTEGRATED, COMBINED_MOOP, SEPARATE_MOOP):
        own = rows & (kinds == kind)
        wanted = [key for *_, key in AMOUNTS[kind]]
        for name in _COST_SHARING:
            loose = own & plans[name].is_not_null().to_numpy() if name not in wanted else np.zeros(len(own), bool)
            what = f"{DEDUCTIBLE_TYPES[kind]} has no such amount"
            reading.bad_designs(loose, name, "AVC-001: amounts of the type of deductible", what, "leave it blank")
        for array, places, name in AMOUNTS[kind]:
            blank = own & plans[name].is_null().to_numpy()
            remedy = f"a design is {DEDUCTIBLE_TYPES[kind]} unless it says so"
            rule = "AVC-004: an amount that is blank is not zero"
            reading.bad_designs(blank, name, rule, "an amount is missing", remedy)
            amounts = plans[name].fill_null(0.0).to_numpy()
            getattr(designs, array)[np.ix_(own, places)] = amounts[own, None]
    for name, array in (OPTION_FLAGS | OPTION_COUNTS | OPTION_AMOUNTS).items():
        said = plans[name].is_not_null().to_numpy()
        values = plans[name].fill_null(0).to_numpy().astype(np.float64)
        if name in OPTION_COUNTS:
            fits = (values >= 1) & (values <= MAX_COUNT) & (values == np.floor(values))
            rule = f"AVC-007: days and visits are a whole number from 1 to {MAX_COUNT}"
            reading.bad_designs(rows & said & ~fits, name, rule, f"no whole number from 1 to {MAX_COUNT}")
            said &= fits
        getattr(designs, array)[said] = values[said]


def _fill_services(reading: _Reading, designs: DesignColumns, chosen: Flags) -> None:
    """Fill in the terms of the services that some rows list."""
    rows = reading.rows
    listed = rows["service"].is_not_null().to_numpy()
    service = rows["service"].replace_strict(list(SERVICES), range(len(SERVICES)), default=None, return_dtype=_int64())
    for row in np.flatnonzero(chosen & listed & service.is_null().to_numpy()).tolist():
        word = rows["service"][row]
        rule, what = "AVC-002: a service is one of the calculator's", f"{word!r} is not known"
        reading.bad_row(row, "service", rule, what, _nearest(word, SERVICES))
    for name in _PER_SERVICE[1:]:
        loose = rows[name].is_not_null().to_numpy() & ~listed & chosen
        reading.bad_rows(loose, name, "AVC-010: terms are of a service", "terms stand beside no service")
    used = np.flatnonzero(chosen & service.is_not_null().to_numpy())
    where, place = reading.position[used], service.fill_null(0).to_numpy()[used]
    cell = where * len(SERVICES) + place
    order = np.argsort(cell, kind="stable")
    again = np.zeros(len(reading.position), bool)
    again[used[order[1:][cell[order][1:] == cell[order][:-1]]]] = True
    reading.bad_rows(again, "service", "AVC-009: a service has one set of terms", "a service is listed twice")
    for name in (*SERVICE_FLAGS, *_SERVICE_AMOUNTS):
        values = rows[name]
        said = values.is_not_null().to_numpy()[used]
        getattr(designs, _SERVICE_AMOUNTS.get(name, name))[where[said], place[said]] = (
            values.gather(used).drop_nulls().to_numpy()
        )


def _fill_second_services(reading: _Reading, first: DesignColumns, second: DesignColumns) -> None:
    """Fill in the services of tier 2: those listed for it, or else those of tier 1."""
    _fill_services(reading, second, reading.is_second)
    lists_none = np.ones(first.height, bool)
    lists_none[reading.position[reading.is_second & reading.rows["service"].is_not_null().to_numpy()]] = False
    for name in (*SERVICE_FLAGS, *_SERVICE_AMOUNTS.values()):
        getattr(second, name)[lists_none] = getattr(first, name)[lists_none]


def _codes(reading: _Reading, series: pl.Series, words: tuple[str, ...], blank: int) -> Positions:
    """Return the position of each word; blanks, and unknown ones that are put down, are `blank`."""
    found = series.replace_strict(list(words), range(len(words)), default=None, return_dtype=_int64())
    for row in np.flatnonzero((series.is_not_null() & found.is_null()).to_numpy()).tolist():
        rule, what = "AVC-003: one of " + ", ".join(words), f"{series[row]!r} is not known"
        reading.bad_design(row, series.name, rule, what, _nearest(series[row], words))
    return found.fill_null(int(blank)).to_numpy()


def _int64() -> Any:
    import polars as pl

    return pl.Int64


def _nearest(word: str, words: tuple[str, ...]) -> str:
    near = get_close_matches(word, words, 1)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(words)
