"""A complete, correct set of tables of one made-up benefit year, as text, ready to be changed and written as a folder.

The rows are those of an installed year with another year printed in them. Code lists are cut to a few codes, so that a
set loads in a moment; every rule of the year is kept.
"""

import functools
from collections.abc import Mapping
from pathlib import Path

import polars as pl

import data_specs

BENEFIT_YEAR = 2031
TABLES = (
    "acf_code_map",
    "bundled_mother_infant_codes",
    "coefficients",
    "csr_factors",
    "demographic_bands",
    "enrollment_duration_months",
    "hcc_hierarchy",
    "hcc_label",
    "hcpcs_to_rxc",
    "icd10_to_cc",
    "infant_model",
    "model_variables",
    "ndc_to_rxc",
    "rxc_hierarchy",
)
ICD10 = (
    *("A419", "B20", "C50911", "C9100", "E1169", "E1165", "F200", "F3481", "G8250", "I2101", "J45909", "K5000"),
    *("N186", "O80", "P0701", "P0721", "P0731", "Q213", "T8621", "Z3800", "Z940", "E1052", "G931"),
)
CODES_PER_RXC = 2


@functools.cache
def rows_of(name: str, source_year: int) -> pl.DataFrame:
    """Rows of an installed year with the made-up year in them, every cell as text; blank cells are null."""
    try:
        frame = data_specs.table(f"hhs_hcc/{name}", year=source_year)
    except data_specs.errors.TableMissing:
        frame = data_specs.table(f"hhs_hcc/{name}").clear()
    if name in ("icd10_to_cc", "bundled_mother_infant_codes"):
        frame = frame.filter(pl.col("icd10").is_in(list(ICD10)))
    if name in ("ndc_to_rxc", "hcpcs_to_rxc"):
        frame = frame.filter(pl.col("in_latest_release")).sort(
            "rxc", name.removesuffix("_to_rxc").replace("ndc", "ndc11")
        )
        frame = frame.group_by("rxc", maintain_order=True).head(CODES_PER_RXC).select(frame.columns)
    frame = frame.with_columns(pl.lit(BENEFIT_YEAR).alias("benefit_year"))
    return frame.with_columns(_as_text(column, dtype) for column, dtype in frame.schema.items())


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col(column).replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    return pl.col(column).cast(pl.String)


def year_set(source_year: int) -> dict[str, pl.DataFrame]:
    """All tables of the year by name; tables that the source year does not have are left out."""
    found = {name: rows_of(name, source_year) for name in TABLES}
    return {name: frame for name, frame in found.items() if frame.height}


def write_set(folder: Path, frames: Mapping[str, pl.DataFrame]) -> Path:
    """The folder, with one CSV file per table in the folder of the family."""
    home = folder / "hhs_hcc"
    home.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_csv(home / f"{name}.csv")
    return folder
