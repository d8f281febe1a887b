"""Diagnosis and drug codes as written -> the ids and masks of the year's tables.

Each distinct spelling is cleaned and looked up once; rows take the answer by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from riskadjust._distinct import distinct_texts

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._model import YearModel

__all__ = ["Spellings", "diagnosis_spellings", "drug_spellings"]

# What became of a spelling.
MAPPED, UNMAPPED, MALFORMED, MALFORMED_NDC, AMBIGUOUS_NDC, UNKNOWN_TYPE = range(6)
_ICD10 = r"^[A-Z][0-9A-Z]{2,6}$"
# The historic list has codes with a letter behind the labeler.
_NDC = r"^[0-9]{5}[0-9A-Z]{6}$"
_HYPHENATED_NDC = r"^(?:\w{5}-\w{4}-\w{1,2}|\w{5}-\w{3}-\w{2}|\w{4}-\w{4}-\w{2})$"
_HCPCS = r"^[0-9A-Z]{5}$"


@dataclass(frozen=True)
class Spellings:
    """The distinct spellings of a code column and what they mean, with each row's spelling.

    `row` holds the number of each row's spelling; `outcome` (see the constants of this module) and `cleaned` (the
    spelling differs from the code) are indexed by spelling, as are the answers: `code_id`, or `mask` and `uncertain`.
    """

    row: np.ndarray
    outcome: np.ndarray
    cleaned: np.ndarray
    answers: dict[str, np.ndarray]

    @classmethod
    def of(cls, row: np.ndarray, frame: pl.DataFrame, answers: tuple[str, ...]) -> Spellings:
        """Return spellings from a frame with a row per spelling."""
        return cls(
            row,
            frame["outcome"].to_numpy(),
            frame["cleaned"].to_numpy(),
            {name: frame[name].to_numpy() for name in answers},
        )


def diagnosis_spellings(codes: pl.Series, model: YearModel) -> Spellings:
    """Return the distinct diagnosis codes with their code_id: trimmed, upper case, without the dot.

    A code is never matched by a shorter prefix. A spelling that is no ICD-10-CM code is malformed.
    """
    import polars as pl

    name = "diagnosis_code"
    known = model.diagnoses.codes
    distinct, row = distinct_texts(codes)
    frame = distinct.alias(name).to_frame()
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
        pl.col("code_id").fill_null(model.diagnoses.unknown).cast(pl.UInt32),
        outcome.cast(pl.UInt8).alias("outcome"),
        (pl.col("code") != pl.col(name)).fill_null(False).alias("cleaned"),
    )
    return Spellings.of(row, frame, ("code_id",))


def drug_spellings(drugs: pl.DataFrame, model: YearModel) -> Spellings:
    """Return the distinct drug codes with the mask of drug categories each maps to.

    NDC: 11 characters; the hyphenated forms 4-4-2, 5-3-2 and 5-4-1 are padded to 5-4-2. Ten digits without hyphens
    are ambiguous, other lengths malformed. HCPCS: five characters.
    """
    import polars as pl

    types, type_row = distinct_texts(drugs["code_type"])
    codes, code_row = distinct_texts(drugs["code"])
    pairs, row = np.unique(type_row.astype(np.int64) * len(codes) + code_row, return_inverse=True)
    kinds, texts = np.divmod(pairs, max(len(codes), 1))
    frame = pl.DataFrame({"code_type": types.gather(kinds), "code": codes.gather(texts)})
    kind = pl.col("code_type").str.strip_chars().str.to_lowercase()
    text = pl.col("code").str.strip_chars().str.to_uppercase()
    frame = frame.with_columns(kind.alias("_kind"), text.alias("_text"))
    parts = pl.col("_text").str.split("-")
    padded = pl.concat_str(
        parts.list.get(0, null_on_oob=True).str.pad_start(5, "0"),
        parts.list.get(1, null_on_oob=True).str.pad_start(4, "0"),
        parts.list.get(2, null_on_oob=True).str.pad_start(2, "0"),
    )
    has_form = pl.col("_text").str.contains(_HYPHENATED_NDC)
    ndc = pl.when(has_form).then(padded).otherwise(pl.col("_text").str.replace_all("-", "", literal=True))
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
        .when(is_ndc)
        .then(MALFORMED_NDC)
        .when(is_hcpcs)
        .then(MALFORMED)
        .otherwise(UNKNOWN_TYPE)
    )
    frame = frame.select(
        pl.col("mask").fill_null(0).cast(pl.UInt64),
        pl.col("uncertain").fill_null(False),
        outcome.cast(pl.UInt8).alias("outcome"),
        (pl.col("_code") != pl.col("code")).fill_null(False).alias("cleaned"),
    )
    return Spellings.of(row, frame, ("mask", "uncertain"))
