"""Starts a benefit year of your own: every scoring table of one year, copied under another.

    python new_year.py 2026 2027 draft-2027

The copies are marked uncertain wherever the table has such a mark, so that a score says which figures nobody has
looked at yet. Put the published figures in their place, row by row, and set the mark to what you know.
"""

import sys
from pathlib import Path

import polars as pl

import data_specs
from data_specs.errors import TableMissing

FAMILY = "hhs_hcc"


def copy_year(source_year: int, new_year: int, folder: Path) -> list[str]:
    """Return the names of the tables written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in data_specs.catalog()["name"].unique(maintain_order=True):
        family, table = name.split("/")
        if family != FAMILY:
            continue
        try:
            frame = data_specs.table(name, year=source_year)
        except TableMissing:  # not every table has every year
            continue
        if "benefit_year" not in frame.columns:
            continue
        frame = frame.with_columns(pl.lit(new_year).alias("benefit_year"))
        if "verification" in frame.columns:
            frame = frame.with_columns(pl.lit("uncertain").alias("verification"))
        frame.write_csv(folder / f"{table}.csv")
        written.append(table)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    tables = copy_year(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    print(f"{len(tables)} tables of {sys.argv[1]} as {sys.argv[2]} in {sys.argv[3]}")
