"""The subsidy cases of this folder as frames, ready for the product, and as plain rows for the twin."""

import functools
import tomllib
from pathlib import Path
from typing import Any

import polars as pl

FOLDER = Path(__file__).parent
MONTHLY = ("premium", "benchmark", "advance")


@functools.cache
def blocks(name: str) -> list[dict[str, Any]]:
    """The cases of a file, in order."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["case"]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [case for case in blocks("given_subsidies") if case["kind"] == kind]


def reconciliations() -> list[dict[str, Any]]:
    return blocks("given_reconciliations") + blocks("worked_reconciliations")


def tax_return(case: dict[str, Any]) -> pl.DataFrame:
    """The tax household of a reconciliation, amounts as text."""
    names = (
        "region",
        "state",
        "annual_income",
        "filing",
        "filing_status",
        "annual_premium",
        "annual_benchmark",
        "annual_advance",
        "estimated_income",
    )
    row = {"household_id": case["id"]} | {name: case[name] for name in names if name in case}
    row["tax_household_size"] = int(case["tax_household_size"])
    for flag in ("advance_on_estimate", "separate_return_excepted", "has_status_exception"):
        if flag in case:
            row[flag] = case[flag]
    return pl.DataFrame([row])


def months(case: dict[str, Any]) -> pl.DataFrame | None:
    """The twelve statements of a reconciliation; a month without premium and benchmark had no cover."""
    if "monthly_benchmark" not in case:
        return None
    columns = {f"{name}_monthly": case[f"monthly_{name}"] for name in MONTHLY}
    frame = pl.DataFrame({"household_id": [case["id"]] * 12, "month": range(1, 13)} | columns)
    if "is_eligible" in case:
        frame = frame.with_columns(pl.Series("is_eligible", case["is_eligible"]))
    if "ehb_pct_premium" in case:
        frame = frame.with_columns(pl.lit(float(case["ehb_pct_premium"])).alias("ehb_pct_premium"))
    return frame
