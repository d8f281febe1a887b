"""Diagnosis and drug codes as written -> the ids and masks of the year's tables.

Each distinct spelling is cleaned and looked up once; rows then take the answer by one join.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._model import YearModel

__all__ = ["Spellings", "diagnosis_spellings", "drug_spellings"]

# What became of a spelling.
MAPPED, UNMAPPED, MALFORMED, AMBIGUOUS_NDC, UNKNOWN_TYPE = range(5)
_ICD10 = r"^[A-Z][0-9][0-9A-Z][0-9A-Z]{0,4}$"
_NDC = r"^[0-9A-Z]{11}$"
_HCPCS = r"^[0-9A-Z]{5}$"


@dataclass(frozen=True)
class Spellings:
    """The distinct spellings of a code column (one row each) and what they mean.

    `frame` has the key columns, ``outcome`` (see the constants of this module), ``cleaned`` (whether the spelling
    differs from the code) and the payload: ``code_id``, or ``mask`` and ``uncertain``.
    """

    frame: pl.DataFrame
    keys: tuple[str, ...]


def diagnosis_spellings(codes: pl.Series, model: YearModel) -> Spellings:
    """Return the distinct diagnosis codes with their code_id: trimmed, upper case, without the dot.

    A code is never matched by a shorter prefix. A spelling that is no ICD-10-CM code is malformed.
    """
    import polars as pl

    name = "diagnosis_code"
    known = model.diagnoses.codes
    frame = codes.alias(name).unique().to_frame()
    code = pl.col(name).str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True)
    frame = frame.with_columns(code.alias("code")).join(known, on="code", how="left", maintain_order="left")
    outcome = (
        pl.when(pl.col("code_id").is_not_null())
        .then(MAPPED)
        .when(pl.col("code").str.contains(_ICD10))
        .then(UNMAPPED)
        .otherwise(MALFORMED)
    )
    frame = frame.select(
        name,
        pl.col("code_id").fill_null(model.diagnoses.unknown).cast(pl.UInt32),
        outcome.cast(pl.UInt8).alias("outcome"),
        (pl.col("code") != pl.col(name)).fill_null(False).alias("cleaned"),
    )
    return Spellings(frame, (name,))


def drug_spellings(drugs: pl.DataFrame, model: YearModel) -> Spellings:
    """Return the distinct drug codes with the mask of drug categories each maps to.

    NDC: 11 characters; with hyphens the three parts are padded to 5-4-2. Ten digits without hyphens are ambiguous, other
    lengths malformed. HCPCS: five characters.
    """
    import polars as pl

    frame = drugs.select("code_type", "code").unique()
    kind = pl.col("code_type").str.strip_chars().str.to_lowercase()
    text = pl.col("code").str.strip_chars().str.to_uppercase()
    frame = frame.with_columns(kind.alias("_kind"), text.alias("_text"))
    parts = pl.col("_text").str.split("-")
    padded = pl.concat_str(
        parts.list.get(0, null_on_oob=True).str.pad_start(5, "0"),
        parts.list.get(1, null_on_oob=True).str.pad_start(4, "0"),
        parts.list.get(2, null_on_oob=True).str.pad_start(2, "0"),
    )
    ndc = pl.when(parts.list.len() == 3).then(padded).otherwise(pl.col("_text").str.replace_all("-", "", literal=True))
    frame = frame.with_columns(pl.when(pl.col("_kind") == "ndc").then(ndc).otherwise(pl.col("_text")).alias("_code"))
    frame = frame.join(
        model.drugs.codes,
        left_on=["_kind", "_code"],
        right_on=["code_type", "code"],
        how="left",
        maintain_order="left",
    )
    is_ndc, is_hcpcs = pl.col("_kind") == "ndc", pl.col("_kind") == "hcpcs"
    outcome = (
        pl.when(pl.col("mask").is_not_null())
        .then(MAPPED)
        .when(is_ndc & pl.col("_code").str.contains(_NDC))
        .then(UNMAPPED)
        .when(is_ndc & pl.col("_code").str.contains(r"^[0-9]{10}$"))
        .then(AMBIGUOUS_NDC)
        .when(is_hcpcs & pl.col("_code").str.contains(_HCPCS))
        .then(UNMAPPED)
        .when(is_ndc | is_hcpcs)
        .then(MALFORMED)
        .otherwise(UNKNOWN_TYPE)
    )
    frame = frame.select(
        "code_type",
        "code",
        pl.col("mask").fill_null(0).cast(pl.UInt64),
        pl.col("uncertain").fill_null(False),
        outcome.cast(pl.UInt8).alias("outcome"),
        (pl.col("_code") != pl.col("code")).fill_null(False).alias("cleaned"),
    )
    return Spellings(frame, ("code_type", "code"))
