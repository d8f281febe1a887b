"""The texts of the public exchange files: dollars, shares, counts, copays and coinsurances, read or said not to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._frame_rows import collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Amounts", "amounts", "amounts_by_column", "answers", "charges", "plain_key", "text_cells", "whole_numbers"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

_NUMBER = r"((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})(?:\.[0-9]{1,4})?)"
_PERCENT = r"([0-9]{1,3}(?:\.[0-9]{1,15})?)\s?%"
_BLANK = r"^(?:(?:per (?:person|group) )?not applicable(?: \| per group not applicable)?|n/a)?$"
_DOLLARS = rf"^\$ ?{_NUMBER}( per person)?(?: \| (?:\$ ?[0-9.,]+ per group|per group not applicable))?$"
_SHARE = rf"^{_PERCENT}$"
_COPAY = rf"^\$ ?{_NUMBER}(?: copay)?(?: per (day|stay))?(?: (after|with|before) deductible)?$"
_COINSURANCE = rf"^{_PERCENT}(?: coinsurance)?(?: (after) deductible)?$"
_NO_CHARGE = r"^no charge(?: (after) deductible)?$"
_YES, _NO = ("yes", "true", "y", "1"), ("no", "false", "n", "0")


def plain_key(name: str) -> str:
    """Return a name without case, blanks and punctuation, as columns and benefits are compared.

    Examples
    --------
    >>> plain_key("X-rays and Diagnostic Imaging") == plain_key("X-Rays  And Diagnostic Imaging")
    True
    """
    return "".join(letter for letter in name.lower() if letter.isalnum() and letter.isascii())


def text_cells(
    frame: pl.DataFrame | pl.LazyFrame, table: str, required: Sequence[str], optional: Sequence[str]
) -> pl.DataFrame:
    """Return the columns asked for under the published names, as text; blanks, and columns not there, are "".

    Columns are found without regard to case, blanks and punctuation. Further columns are left out.

    Raises
    ------
    InputRefused
        Not a Polars frame, a required column is missing or stands twice, or ids are numbers.

    Examples
    --------
    >>> import polars as pl
    >>> text_cells(pl.DataFrame({"plan id": [" A "], "Is EHB": [None]}), "benefits", ["PlanId"], ["IsEHB"]).row(0)
    ('A', '')
    """
    import polars as pl

    given = collected(frame, table, ())
    found: dict[str, list[str]] = {}
    for column in given.columns:
        found.setdefault(plain_key(column), []).append(column)
    named = {}
    for name in (*required, *optional):
        columns = found.get(plain_key(name), [])
        if len(columns) > 1:
            raise InputRefused(
                f"column {name!r} stands twice", where=table, rule="FILE-002", remedy="keep one of the two"
            )
        if columns:
            named[name] = given[columns[0]].alias(name)
    cells = pl.DataFrame(list(named.values()))
    _frames.need_columns(cells, table, tuple(required))
    for name in named:
        if name.endswith("Id"):
            cells = cells.with_columns(_frames.text_column(cells, table, name))
    blank = [pl.lit("").alias(name) for name in optional if name not in named]
    return cells.select(pl.all().cast(pl.String).fill_null("").str.strip_chars(), *blank)


def _cleaned(column: str) -> pl.Expr:
    import polars as pl

    return pl.col(column).str.to_lowercase().str.replace_all(r"[\s\u00a0]+", " ").str.strip_chars()


def _by_text(texts: pl.Series, columns: Sequence[pl.Expr]) -> pl.DataFrame:
    """Return what a text says, row by row; each text is read once."""
    import polars as pl

    frame = texts.alias("text").to_frame()
    kinds = frame.unique().with_columns(clean=_cleaned("text"))
    read = kinds.select("text", pl.col("clean").str.contains(_BLANK).alias("is_blank"), *columns)
    return frame.join(read, on="text", how="left", maintain_order="left", validate="m:1").drop("text")


def _number(group: pl.Expr) -> pl.Expr:
    import polars as pl

    return group.str.replace_all(",", "").cast(pl.Float64, strict=False)


def amounts(texts: pl.Series) -> pl.DataFrame:
    """Return the dollars or the share (0 to 1) that each text says.

    Returns
    -------
    DataFrame
        is_blank ("Not Applicable" is blank), is_read, dollars, is_per_person (the text said so), share, rest (1 less
        the share).

    Examples
    --------
    >>> import polars as pl
    >>> said = pl.Series(["$7,000 ", "$7000 per person | $14000 per group", "Not Applicable", "20.00%", "seven"])
    >>> amounts(said).select("is_blank", "is_read", "dollars", "share").rows()
    [(False, True, 7000.0, None), (False, True, 7000.0, None), (True, True, None, None), (False, True, None, 0.2), \
(False, False, None, None)]
    """
    import polars as pl

    clean = pl.col("clean")
    percent = _number(clean.str.extract(_SHARE))
    read = _by_text(
        texts,
        [
            _number(clean.str.extract(_DOLLARS)).alias("dollars"),
            clean.str.extract(_DOLLARS, 2).is_not_null().fill_null(False).alias("is_per_person"),
            pl.when(percent <= 100).then(percent).alias("percent"),
        ],
    )
    said = read["percent"].to_numpy()  # divided there: in a frame the last bit would come out otherwise
    read = read.with_columns(
        pl.Series("share", said / 100).fill_nan(None), pl.Series("rest", (100 - said) / 100).fill_nan(None)
    )
    is_read = pl.col("is_blank") | pl.col("dollars").is_not_null() | pl.col("share").is_not_null()
    return read.with_columns(is_read=is_read)


@dataclass(frozen=True)
class Amounts:
    """What a column of amounts says, as arrays; NaN: nothing."""

    is_blank: Flags
    dollars: Floats
    is_per_person: Flags
    share: Floats
    rest: Floats


def amounts_by_column(cells: pl.DataFrame, columns: Sequence[str]) -> dict[str, Amounts]:
    """Return what :func:`amounts` reads in each of some columns, all of them read in one go.

    Examples
    --------
    >>> import polars as pl
    >>> read = amounts_by_column(pl.DataFrame({"a": ["$5", ""], "b": ["20%", "$7.50"]}), ["a", "b"])
    >>> read["b"].dollars.tolist(), read["a"].is_blank.tolist()
    ([nan, 7.5], [False, True])
    """
    import polars as pl

    if not columns:
        return {}
    said = amounts(pl.concat([cells[name].alias("text") for name in columns]))
    blank, person = said["is_blank"].to_numpy(), said["is_per_person"].to_numpy()
    numbers = [said[name].fill_null(np.nan).to_numpy() for name in ("dollars", "share", "rest")]
    read = {}
    for place, name in enumerate(columns):
        of = slice(place * cells.height, (place + 1) * cells.height)
        dollars, share, rest = (values[of] for values in numbers)
        read[name] = Amounts(blank[of], dollars, person[of], share, rest)
    return read


def charges(copays: pl.Series, coinsurances: pl.Series) -> pl.DataFrame:
    """Return what a copay text and a coinsurance text say of one benefit.

    "No Charge" is a copay, or a coinsurance, of 0; the coinsurance is the enrollee's.

    Returns
    -------
    DataFrame
        copay, copay_when ("", after, with, before: the deductible), copay_per ("", day, stay), percent, percent_when
        ("", after), plan_share (1 less the percent), has_copay and has_percent (above 0), is_blank, is_read.

    Examples
    --------
    >>> import polars as pl
    >>> said = charges(pl.Series(["$500.00 Copay per Stay with deductible", "No Charge after deductible"]),
    ...     pl.Series(["20.00% Coinsurance after deductible", "Not Applicable"]))
    >>> said.select("copay", "copay_when", "copay_per", "percent", "percent_when", "is_read").rows()
    [(500.0, 'with', 'stay', 20.0, 'after', True), (0.0, 'after', '', None, '', True)]
    """
    import polars as pl

    clean = pl.col("clean")
    is_free = clean.str.contains(_NO_CHARGE)
    after = clean.str.extract(_NO_CHARGE).fill_null("")
    copay = _by_text(
        copays,
        [
            pl.when(is_free).then(0.0).otherwise(_number(clean.str.extract(_COPAY))).alias("copay"),
            clean.str.extract(_COPAY, 2).fill_null("").alias("copay_per"),
            pl.when(is_free).then(after).otherwise(clean.str.extract(_COPAY, 3).fill_null("")).alias("copay_when"),
        ],
    ).rename({"is_blank": "no_copay"})
    percent = _number(clean.str.extract(_COINSURANCE))
    share = _by_text(
        coinsurances,
        [
            pl.when(is_free).then(0.0).when(percent <= 100).then(percent).alias("percent"),
            pl.when(is_free)
            .then(after)
            .otherwise(clean.str.extract(_COINSURANCE, 2).fill_null(""))
            .alias("percent_when"),
        ],
    ).rename({"is_blank": "no_percent"})
    rest = (100 - share["percent"].fill_null(0.0).to_numpy()) / 100
    both = pl.concat([copay, share, pl.DataFrame({"plan_share": rest})], how="horizontal")
    no_copay, no_percent = pl.col("no_copay"), pl.col("no_percent")
    return both.select(
        "copay",
        "copay_when",
        "copay_per",
        "percent",
        "percent_when",
        "plan_share",
        (pl.col("copay") > 0).fill_null(False).alias("has_copay"),
        (pl.col("percent") > 0).fill_null(False).alias("has_percent"),
        (no_copay & no_percent).alias("is_blank"),
        ((no_copay | pl.col("copay").is_not_null()) & (no_percent | pl.col("percent").is_not_null())).alias("is_read"),
    )


def whole_numbers(texts: pl.Series, highest: int) -> pl.DataFrame:
    """Return is_read and number: a whole number to `highest`; blank is 0.

    Examples
    --------
    >>> import polars as pl
    >>> whole_numbers(pl.Series(["3.0", "", "Not Applicable", "11", "many"]), 10).rows()
    [(True, 3), (True, 0), (True, 0), (False, 0), (False, 0)]
    """
    import polars as pl

    number = pl.col("clean").cast(pl.Float64, strict=False)
    fits = (number.is_between(0, highest) & (number == number.floor())).fill_null(False)
    read = _by_text(texts, [pl.when(fits).then(number).cast(pl.Int64).alias("number")])
    return read.select(
        (pl.col("is_blank") | pl.col("number").is_not_null()).alias("is_read"), pl.col("number").fill_null(0)
    )


def answers(texts: pl.Series, yes: Sequence[str] = _YES, no: Sequence[str] = _NO) -> pl.DataFrame:
    """Return is_blank, is_read and answer (true, false, or blank) of texts that say yes or no.

    Examples
    --------
    >>> import polars as pl
    >>> answers(pl.Series(["Yes", "no", "", "perhaps"]))["answer"].to_list()
    [True, False, None, None]
    """
    import polars as pl

    clean = pl.col("clean")
    said = pl.when(clean.is_in(list(yes))).then(True).when(clean.is_in(list(no))).then(False)
    read = _by_text(texts, [said.alias("answer")])
    return read.with_columns(is_read=pl.col("is_blank") | pl.col("answer").is_not_null())
