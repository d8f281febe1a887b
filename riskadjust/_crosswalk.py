"""Code tables -> arrays of the kernel: diagnosis codes with their conditions, drug codes with their categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from riskadjust._program import DRUG_WORD, drug_bit_name
from riskadjust._tables import YearTables, refuse

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from riskadjust._settings import ScoringSettings

__all__ = [
    "BUNDLED_INFANT",
    "BUNDLED_MOTHER",
    "DiagnosisCodes",
    "DrugCodes",
    "diagnosis_codes",
    "drug_bits",
    "drug_codes",
]

ROW_WIDTH = 16
_FURTHER_ROWS, _CODE_FLAGS = 12, 13
VALID_FIRST, VALID_SECOND, SECOND_CARRIED, ROW_UNCERTAIN = 1, 2, 4, 8
BUNDLED_INFANT, BUNDLED_MOTHER = 1, 2
_SEX = {None: 3, "male": 1, "female": 2}
_CONDITIONS = (
    "valid_fy_start",
    "valid_fy_end",
    "mce_age_min",
    "mce_age_max",
    "mce_sex_w1",
    "mce_sex_w2",
)


@dataclass(frozen=True)
class DiagnosisCodes:
    """The crosswalk: `codes` has columns code, code_id; the arrays are indexed by code_id (the last one: unknown).

    `first_rows` repeats the first row of each code in `rows`, beginning at `code_first`; a code without rows has no
    category.
    """

    codes: pl.DataFrame
    first_rows: np.ndarray
    code_first: np.ndarray
    rows: np.ndarray
    bundled_hccs: dict[int, int]

    @property
    def unknown(self) -> int:
        """Return the id that stands for every code outside the crosswalk."""
        return self.codes.height


@dataclass(frozen=True)
class DrugCodes:
    """Drug codes of the year: columns code_type, code, mask (bits of the drug word), uncertain."""

    codes: pl.DataFrame


def diagnosis_codes(
    tables: YearTables, hcc_bits: dict[str, int], settings: ScoringSettings, sex_condition_ends: bool
) -> DiagnosisCodes:
    """Return the compiled crosswalk of a benefit year.

    Parameters
    ----------
    tables, hcc_bits, settings
        Tables of the year, the bit of every HCC, the declared settings.
    sex_condition_ends : bool
        Whether the next year's table prints no sex condition (then the setting `mce_sex_fourth_quarter` applies).

    Raises
    ------
    TableRefused
        A category that is no HCC of the year, rows of a code that overlap, or that differ in validity or editor
        conditions.
    """
    import numpy as np
    import polars as pl

    frame = tables["icd10_to_cc"].sort("icd10", "split_age_min", "split_sex", nulls_last=False, maintain_order=True)
    rows = frame.to_dicts()
    _check_branches(frame, rows)
    packed = np.zeros((len(rows), ROW_WIDTH), np.uint8)
    drop_second_sex = sex_condition_ends and settings.mce_sex_fourth_quarter == "none"
    carried_table = "icd10_to_cc" in tables.carried
    for index, row in enumerate(rows):
        packed[index] = _packed(frame, index, row, hcc_bits, settings, drop_second_sex, carried_table)
    bundled = tables["bundled_mother_infant_codes"]
    names = sorted({r["icd10"] for r in rows} | set(bundled["icd10"].to_list()))
    ids = {name: i for i, name in enumerate(names)}
    first = np.zeros(len(names) + 1, np.uint32)
    number = np.zeros(len(names) + 1, np.int64)
    first_rows = np.zeros((len(names) + 1, ROW_WIDTH), np.uint8)
    for index, row in enumerate(rows):
        code = ids[row["icd10"]]
        if not number[code]:
            first[code] = index
            first_rows[code] = packed[index]
        number[code] += 1
    first_rows[:, _FURTHER_ROWS] = np.maximum(number - 1, 0)
    bundled_hccs = {BUNDLED_INFANT: 0, BUNDLED_MOTHER: 0}
    for side, icd10 in bundled.select("side", "icd10").rows():
        flag = BUNDLED_INFANT if side == "infant" else BUNDLED_MOTHER
        code = ids[icd10]
        first_rows[code, _CODE_FLAGS] |= flag
        for index in range(first[code], first[code] + number[code]):
            for category in packed[index, 1 : 1 + packed[index, 0]].tolist():
                bundled_hccs[flag] |= 1 << category
    codes = pl.DataFrame({"code": names, "code_id": np.arange(len(names), dtype=np.uint32)})
    return DiagnosisCodes(codes, first_rows, first, packed, bundled_hccs)


def _packed(
    frame: pl.DataFrame,
    index: int,
    row: dict[str, Any],
    hcc_bits: dict[str, int],
    settings: ScoringSettings,
    drop_second_sex: bool,
    carried_table: bool,
) -> list[int]:
    categories = []
    for column in ("cc", "cc_2", "cc_3"):
        if row[column] is None:
            continue
        hcc = hcc_name(row[column])
        if hcc not in hcc_bits:
            raise refuse(frame, index, column, f"{hcc} is no HCC of the year", "every category stands in hcc_label")
        if hcc_bits[hcc] in categories or (column == "cc_3" and row["cc_2"] is None):
            raise refuse(
                frame, index, column, "the category is out of place", "different categories, from the first on"
            )
        categories.append(hcc_bits[hcc])
    second_known = row["valid_fy_end"] is not None
    second = (
        row["valid_fy_end"] if second_known else (settings.unknown_fiscal_year == "carry" and row["valid_fy_start"])
    )
    flags = VALID_FIRST * row["valid_fy_start"] + VALID_SECOND * bool(second) + SECOND_CARRIED * (not second_known)
    flags += ROW_UNCERTAIN * (row["verification"] == "uncertain" or carried_table)
    return [
        len(categories),
        *categories,
        *[0] * (3 - len(categories)),
        flags,
        *_range(row["mce_age_min"], row["mce_age_max"]),
        _SEX[row["mce_sex_w1"]],
        _SEX[None] if drop_second_sex else _SEX[row["mce_sex_w2"]],
        *_range(row["split_age_min"], row["split_age_max"]),
        _SEX[row["split_sex"]],
        *[0] * 4,
    ]


def _range(low: int | None, high: int | None) -> tuple[int, int]:
    """Return the lowest age and how many more years the range goes on; blank ends are open."""
    first = low or 0
    return first, (255 if high is None else high) - first


def hcc_name(category: str) -> str:
    """Return the HCC of a condition category as printed in the crosswalk.

    Examples
    --------
    >>> hcc_name("19"), hcc_name("35_1")
    ('HCC019', 'HCC035_1')
    """
    number, _, part = category.partition("_")
    return f"HCC{int(number):03d}" + (f"_{part}" if part else "")


def _check_branches(frame: pl.DataFrame, rows: list[dict[str, Any]]) -> None:
    by_code: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        for low, high in (("mce_age_min", "mce_age_max"), ("split_age_min", "split_age_max")):
            if row[low] is not None and row[high] is not None and row[low] > row[high]:
                raise refuse(frame, index, low, "the age range is empty", f"{low} is at most {high}")
        by_code.setdefault(row["icd10"], []).append(index)
    for indexes in by_code.values():
        for position, index in enumerate(indexes[1:], start=1):
            first = rows[indexes[0]]
            for column in _CONDITIONS:
                if rows[index][column] != first[column]:
                    rule = "rows of one code differ only in their age and sex split and categories"
                    raise refuse(frame, index, column, "the rows of a code differ", rule)
            if any(_overlap(rows[index], rows[other]) for other in indexes[:position]):
                raise refuse(frame, index, "split_age_min", "two rows of a code overlap", "one row fits an enrollee")


def _overlap(a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a["split_sex"] and b["split_sex"] and a["split_sex"] != b["split_sex"]:
        return False
    low = max(a["split_age_min"] or 0, b["split_age_min"] or 0)
    high = min(255 if r["split_age_max"] is None else r["split_age_max"] for r in (a, b))
    return low <= high


def drug_bits(tables: YearTables) -> dict[str, int]:
    """Return the bit of each drug category as mapped: RXCs first, then the cost factors of each model."""
    rules = tables["model_variables"]
    read = set(rules.filter(rules["op"] == "any").select("model", "variable").unique().rows())
    for index, pair in enumerate(tables["acf_code_map"].select("model", "variable").rows()):
        if pair not in read:
            raise refuse(tables["acf_code_map"], index, "variable", f"no rule reads {pair[1]}", "a rule with op any")
    rxcs = tables["rxc_hierarchy"]["rxc"].unique().sort().to_list()
    factors = tables["acf_code_map"].select("model", "variable").unique().sort("model", "variable").rows()
    names = [*rxcs, *[f"{variable} of {model}" for model, variable in factors]]
    if len(names) > 64:
        raise refuse(rules, 0, "variable", "too many drug categories", "at most 64 drug categories in a year")
    return {name: 64 * DRUG_WORD + i for i, name in enumerate(names)}


def bits_of_model(model: str, drugs: dict[str, int]) -> dict[str, int]:
    """Return the drug bits under the names that the rules of one model read."""
    own = {}
    for name, bit in drugs.items():
        variable, _, owner = name.partition(" of ")
        if owner in ("", model):
            own[drug_bit_name(variable)] = bit
    return own


def drug_codes(tables: YearTables, drugs: dict[str, int], settings: ScoringSettings) -> DrugCodes:
    """Return the drug codes of the year's release, each with the mask of the categories it maps to."""
    import polars as pl

    release = f"in_{settings.drug_list_release}_release"
    parts = []
    for name, column, code_type in (("ndc_to_rxc", "ndc11", "ndc"), ("hcpcs_to_rxc", "hcpcs", "hcpcs")):
        frame = tables[name]
        loose = frame.with_row_index("_index").filter(~pl.col("rxc").is_in(list(drugs)))
        if loose.height:
            raise refuse(frame, loose["_index"][0], "rxc", "no such drug category", "every RXC stands in rxc_hierarchy")
        kept = frame.filter(pl.col(release)).select(
            pl.lit(code_type).alias("code_type"),
            pl.col(column).alias("code"),
            pl.col("rxc").alias("name"),
            "verification",
        )
        parts.append(kept.with_columns(pl.lit(name in tables.carried).alias("carried")))
    factors = tables["acf_code_map"]
    lengths = {"ndc": 11, "hcpcs": 5}
    for index, (code_type, code) in enumerate(factors.select("code_type", "code").rows()):
        if len(code) != lengths[code_type]:
            raise refuse(factors, index, "code", f"the code is no {code_type} code", "NDC 11, HCPCS 5 characters")
    parts.append(
        factors.select(
            "code_type",
            "code",
            (pl.col("variable") + " of " + pl.col("model")).alias("name"),
            "verification",
            pl.lit("acf_code_map" in tables.carried).alias("carried"),
        )
    )
    masks = pl.DataFrame(
        {"name": list(drugs), "bit": [1 << (b - 64 * DRUG_WORD) for b in drugs.values()]},
        schema={"name": pl.String, "bit": pl.UInt64},
    )
    codes = (
        pl.concat(parts)
        .join(masks, on="name", how="left", maintain_order="left")
        .group_by("code_type", "code")
        .agg(
            pl.col("bit").unique().sum().alias("mask"),
            ((pl.col("verification") == "uncertain") | pl.col("carried")).any().alias("uncertain"),
        )
        .sort("code_type", "code")
    )
    return DrugCodes(codes)
