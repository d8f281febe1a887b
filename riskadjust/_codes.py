"""Diagnosis and drug codes as written -> the ids and masks of the year's tables.

Each distinct spelling is cleaned and looked up once; rows take the answer by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from riskadjust._crosswalk import drug_key
from riskadjust._distinct import distinct_texts, numbers_among

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


def diagnosis_spellings(codes: pl.Series, model: YearModel) -> Spellings:
    """Return the distinct diagnosis codes with their code_id: trimmed, upper case, without the dot.

    A code is never matched by a shorter prefix. A spelling that is no ICD-10-CM code is malformed.
    """
    import polars as pl

    known, unknown = model.diagnoses.codes, model.diagnoses.unknown
    distinct, row = distinct_texts(codes)
    given = pl.col("given")
    code = given.str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True)
    frame = (
        distinct.alias("given")
        .to_frame()
        .select(
            code.alias("code"),
            code.str.contains(_ICD10).fill_null(False).alias("is_code"),
            (code != given).fill_null(False).alias("cleaned"),
        )
    )
    # The codes stand in the order of their ids.
    code_id = numbers_among(frame["code"], known["code"], unknown)
    otherwise = np.where(frame["is_code"].to_numpy(), UNMAPPED, MALFORMED)
    outcome = np.where(code_id != unknown, MAPPED, otherwise).astype(np.uint8)
    return Spellings(row, outcome, frame["cleaned"].to_numpy(), {"code_id": code_id})


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
    is_ndc, is_hcpcs = pl.col("_kind") == "ndc", pl.col("_kind") == "hcpcs"
    frame = frame.with_columns(pl.when(is_ndc).then(ndc).otherwise(pl.col("_text")).alias("_code"))
    known = model.drugs.codes
    number = numbers_among(frame.select(drug_key("_kind", "_code")).to_series(), model.drugs.keys, known.height)
    outcome = (
        pl.when(pl.Series(number != known.height))
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
        outcome.cast(pl.UInt8).alias("outcome"), (pl.col("_code") != pl.col("code")).fill_null(False).alias("cleaned")
    )
    # One more cell, for spellings that are no code of the year.
    mask, uncertain = np.zeros(known.height + 1, np.uint64), np.zeros(known.height + 1, bool)
    mask[:-1], uncertain[:-1] = known["mask"].to_numpy(), known["uncertain"].to_numpy()
    answers = {"mask": mask[number], "uncertain": uncertain[number]}
    return Spellings(row, frame["outcome"].to_numpy(), frame["cleaned"].to_numpy(), answers)
