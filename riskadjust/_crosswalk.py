"""Code tables -> arrays of the kernel: diagnosis codes with their conditions, drug codes with their categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    "drug_key",
]

ROW_WIDTH = 16
_FURTHER_ROWS, _CODE_FLAGS = 12, 13
VALID_FIRST, VALID_SECOND, SECOND_CARRIED, ROW_UNCERTAIN = 1, 2, 4, 8
BUNDLED_INFANT, BUNDLED_MOTHER = 1, 2
_EITHER_SEX = 3
_BLANK, _NO_HCC = -1, -2
_AGE_RANGES = (("mce_age_min", "mce_age_max"), ("split_age_min", "split_age_max"))
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
    """Drug codes of the year: columns code_type, code, mask (bits of the drug word), uncertain; and their `keys`."""

    codes: pl.DataFrame
    keys: pl.Series


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
    icd10 = frame["icd10"]
    starts = np.flatnonzero(icd10.ne_missing(icd10.shift(1)).to_numpy())
    values = _numbers(frame)
    _check_branches(frame, values, starts)
    drop_second_sex = sex_condition_ends and settings.mce_sex_fourth_quarter == "none"
    packed = np.zeros((frame.height, ROW_WIDTH), np.uint8)
    packed[:, :4] = _categories(frame, hcc_bits)
    packed[:, 4] = _flags(frame, values, settings, "icd10_to_cc" in tables.carried)
    packed[:, 5], packed[:, 6] = _range(values["mce_age_min"], values["mce_age_max"])
    packed[:, 7] = values["mce_sex_w1"]
    packed[:, 8] = _EITHER_SEX if drop_second_sex else values["mce_sex_w2"]
    packed[:, 9], packed[:, 10] = _range(values["split_age_min"], values["split_age_max"])
    packed[:, 11] = values["split_sex"]
    bundled = tables["bundled_mother_infant_codes"]
    with_rows = icd10.gather(starts).to_list()
    without_rows = set(bundled["icd10"].to_list()).difference(with_rows)
    names = sorted([*with_rows, *without_rows])
    ids = {name: i for i, name in enumerate(names)}
    held = np.array([name not in without_rows for name in names] + [False])
    first = np.zeros(len(names) + 1, np.uint32)
    first[held] = starts
    number = np.zeros(len(names) + 1, np.int64)
    number[held] = np.diff(starts, append=frame.height)
    first_rows = np.zeros((len(names) + 1, ROW_WIDTH), np.uint8)
    first_rows[held] = packed[starts]
    first_rows[:, _FURTHER_ROWS] = np.maximum(number - 1, 0)
    bundled_hccs = {BUNDLED_INFANT: 0, BUNDLED_MOTHER: 0}
    for side, code_text in bundled.select("side", "icd10").rows():
        flag = BUNDLED_INFANT if side == "infant" else BUNDLED_MOTHER
        code = ids[code_text]
        first_rows[code, _CODE_FLAGS] |= flag
        for index in range(first[code], first[code] + number[code]):
            for category in packed[index, 1 : 1 + packed[index, 0]].tolist():
                bundled_hccs[flag] |= 1 << category
    codes = pl.DataFrame({"code": names, "code_id": np.arange(len(names), dtype=np.uint32)})
    return DiagnosisCodes(codes, first_rows, first, packed, bundled_hccs)


def _numbers(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return the conditions of each row as numbers: -1 for a blank age or validity, sexes as masks (blank: either)."""
    import polars as pl

    sexes = [
        pl.when(pl.col(c) == "male").then(1).when(pl.col(c) == "female").then(2).otherwise(_EITHER_SEX).alias(c)
        for c in ("mce_sex_w1", "mce_sex_w2", "split_sex")
    ]
    ages = [age for ends in _AGE_RANGES for age in ends]
    others = pl.col(*ages, "valid_fy_start", "valid_fy_end").cast(pl.Int64).fill_null(-1)
    columns = frame.select(others, *sexes)
    return {column.name: column.to_numpy() for column in columns}


def _categories(frame: pl.DataFrame, hcc_bits: dict[str, int]) -> np.ndarray:
    """Return the number of categories of each row, and their bits."""
    import numpy as np
    import polars as pl

    columns = ("cc", "cc_2", "cc_3")
    names = pl.concat([frame[c] for c in columns]).drop_nulls().unique().to_list()
    bits = [hcc_bits.get(hcc_name(name), _NO_HCC) for name in names]
    first, second, third = (
        frame[c].replace_strict(names, bits, default=_BLANK, return_dtype=pl.Int64).to_numpy() for c in columns
    )
    out_of_place = (
        first == _BLANK,
        second == first,
        (third != _BLANK) & ((third == first) | (third == second) | (second == _BLANK)),
    )
    wrong = np.column_stack(
        [(bit == _NO_HCC) | out for bit, out in zip((first, second, third), out_of_place, strict=True)]
    )
    if wrong.any():
        index = int(wrong.any(axis=1).argmax())
        column = columns[int(wrong[index].argmax())]
        hcc = hcc_name(frame[column][index])
        if hcc not in hcc_bits:
            raise refuse(frame, index, column, f"{hcc} is no HCC of the year", "every category stands in hcc_label")
        raise refuse(frame, index, column, "the category is out of place", "different categories, from the first on")
    number = 1 + (second != _BLANK) + (third != _BLANK).astype(np.int64)
    return np.column_stack([number, first, np.maximum(second, 0), np.maximum(third, 0)])


def _flags(
    frame: pl.DataFrame, values: dict[str, np.ndarray], settings: ScoringSettings, carried_table: bool
) -> np.ndarray:
    import numpy as np

    first, second = values["valid_fy_start"], values["valid_fy_end"]
    unknown = second < 0
    if settings.unknown_fiscal_year == "carry":
        second = np.where(unknown, first, second)
    uncertain = (frame["verification"] == "uncertain").to_numpy() | carried_table
    flags: np.ndarray = (
        VALID_FIRST * first + VALID_SECOND * (second > 0) + SECOND_CARRIED * unknown + ROW_UNCERTAIN * uncertain
    )
    return flags


def _range(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest age and how many more years the range goes on; blank ends are open."""
    import numpy as np

    first = np.maximum(low, 0)
    return first, np.where(high < 0, 255, high) - first


def hcc_name(category: str) -> str:
    """Return the HCC of a condition category as printed in the crosswalk.

    Examples
    --------
    >>> hcc_name("19"), hcc_name("35_1")
    ('HCC019', 'HCC035_1')
    """
    number, _, part = category.partition("_")
    return f"HCC{int(number):03d}" + (f"_{part}" if part else "")


def _check_branches(frame: pl.DataFrame, values: dict[str, np.ndarray], starts: np.ndarray) -> None:
    import numpy as np

    empty = np.column_stack([(values[high] >= 0) & (values[low] > values[high]) for low, high in _AGE_RANGES])
    if empty.any():
        index = int(empty.any(axis=1).argmax())
        low, high = _AGE_RANGES[int(empty[index].argmax())]
        raise refuse(frame, index, low, "the age range is empty", f"{low} is at most {high}")
    first = np.repeat(starts, np.diff(starts, append=frame.height))
    differ = [(column, values[column] != values[column][first]) for column in _CONDITIONS]
    overlap = _overlaps(values, first)
    wrong = np.logical_or.reduce([overlap, *[rows for _, rows in differ]])
    if not wrong.any():
        return
    index = int(wrong.argmax())
    for column, rows in differ:
        if rows[index]:
            rule = "rows of one code differ only in their age and sex split and categories"
            raise refuse(frame, index, column, "the rows of a code differ", rule)
    raise refuse(frame, index, "split_age_min", "two rows of a code overlap", "one row fits an enrollee")


def _overlaps(values: dict[str, np.ndarray], first: np.ndarray) -> np.ndarray:
    """Tell of each row whether an earlier row of its code, which begins at `first`, fits some of the same enrollees."""
    import numpy as np

    low, further = _range(values["split_age_min"], values["split_age_max"])
    high, sex = low + further, values["split_sex"]
    found = np.zeros(len(first), bool)
    later, distance = np.arange(len(first)), 0
    while len(later):
        distance += 1
        later = later[later - distance >= first[later]]
        earlier = later - distance
        ages = np.maximum(low[later], low[earlier]) <= np.minimum(high[later], high[earlier])
        found[later] |= ages & ((sex[later] & sex[earlier]) > 0)
    return found


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
    return DrugCodes(codes, codes.select(drug_key("code_type", "code")).to_series())


def drug_key(code_type: str, code: str) -> pl.Expr:
    """Return one text for the type and code of a drug; no two of them share it, for a known code has no blank."""
    import polars as pl

    return (pl.col(code_type) + " " + pl.col(code)).alias("key")
