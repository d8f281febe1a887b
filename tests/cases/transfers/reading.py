"""The example cases of this folder as frames, ready for the product, and as plain rows for the twin."""

import functools
import tomllib
from pathlib import Path
from typing import Any

import polars as pl

FOLDER = Path(__file__).parent
COLUMNS = ("issuer_id", "plan_id", "metal_level", "billable_member_months", "premium", "plrs", "arf", "gcf")
NUMBERS = (
    "billable_member_months",
    "premium",
    "plrs",
    "arf",
    "gcf",
    "av",
    "idf",
    "share_of_average_premium",
    "charge_pmpm",
)
CLAIM_COLUMNS = ("issuer_id", "risk_pool", "enrollee_id", "plan_id", "plan_paid")


@functools.cache
def blocks(*names: str) -> list[dict[str, Any]]:
    """The cases of some files, in order."""
    found = []
    for name in names:
        found += tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["case"]
    return found


def transfer_cases() -> list[dict[str, Any]]:
    return blocks("given_transfers", "worked_transfers")


def high_cost_cases() -> list[dict[str, Any]]:
    return blocks("given_high_cost", "worked_high_cost")


def plan_rows(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The plan rows of a case, numbers still text."""
    columns = case.get("columns", COLUMNS)
    common = {"risk_pool": "individual", "rating_area_id": "1"}
    return [common | dict(zip(columns, row, strict=True)) for row in case["plans"]]


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of text as a frame whose number columns are floats and whose blank cells are null."""
    made = pl.DataFrame(rows, schema=dict.fromkeys({c: None for row in rows for c in row}, pl.String))
    made = made.with_columns(pl.all().replace({"": None}))
    return made.with_columns(pl.col(c).cast(pl.Float64) for c in NUMBERS if c in made.columns)


def charges_frame(case: dict[str, Any]) -> pl.DataFrame | None:
    if "default_charges" not in case:
        return None
    return frame([{"risk_pool": "individual"} | row for row in case["default_charges"]])


def claims_frame(case: dict[str, Any]) -> pl.DataFrame:
    rows = pl.DataFrame(case["claims"], schema=dict.fromkeys(CLAIM_COLUMNS, pl.String), orient="row")
    return rows.with_columns(pl.col("plan_paid").cast(pl.Float64))


def premiums_frame(case: dict[str, Any]) -> pl.DataFrame:
    columns = dict.fromkeys(("issuer_id", "risk_pool", "premium"), pl.String)
    rows = pl.DataFrame(case["premiums"], schema=columns, orient="row").with_columns(pl.col("premium").cast(pl.Float64))
    if "charged" not in case:
        return rows
    return rows.with_columns(has_default_charge=pl.col("issuer_id").is_in(case["charged"]))
