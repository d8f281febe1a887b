"""What the failsafes read: a folder with a table for each program, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from poolwise.cli._transfer_inputs import read_table, table_files

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FailsafeInputs", "amounts_of_run", "given_layers", "listed", "read_inputs", "with_statement"]

_STEMS = {
    "plan_rows": ("plan_rows",),
    "claims": ("claims", "costs"),
    "layers": ("layers",),
    "condition_list": ("condition_list",),
    "enrollee_conditions": ("enrollee_conditions",),
    "covered_life_years": ("covered_life_years",),
    "corridors": ("corridors", "risk_corridors"),
    "corridor_plans": ("corridor_plans",),
    "loss_ratio_years": ("loss_ratio_years",),
    "loss_ratio_policies": ("loss_ratio_policies",),
    "audit_sample": ("audit_sample",),
    "audit_hccs": ("audit_hccs",),
    "audit_counts": ("audit_counts",),
    "audit_issuers": ("audit_issuers",),
    "national_counts": ("national_counts",),
    "national_groups": ("national_groups",),
    "national_statistics": ("national_statistics",),
    "averaged_error_rates": ("averaged_error_rates",),
}
# A program runs where its table is there; the others stand beside one of these.
_PROGRAM_OF = {
    "claims": "reinsurance",
    "corridors": "risk corridors",
    "loss_ratio_years": "loss ratio",
    "audit_sample": "data validation",
    "audit_counts": "data validation",
}
_AUDIT = ("audit_sample", "audit_counts")
_BESIDE: dict[str, tuple[str, ...]] = {
    "layers": ("claims",),
    "condition_list": ("claims",),
    "enrollee_conditions": ("claims",),
    "covered_life_years": ("claims",),
    "corridor_plans": ("corridors",),
    "loss_ratio_policies": ("loss_ratio_years",),
    "audit_hccs": ("audit_sample",),
    "audit_issuers": _AUDIT,
    "national_counts": _AUDIT,
    "national_groups": _AUDIT,
    "national_statistics": _AUDIT,
    "averaged_error_rates": _AUDIT,
}
_REINSURED, _INDIVIDUAL, _NOT_REINSURED = "reinsurance_received", "individual", ("small_group", "large_group")
_ISSUER_LETTERS = 5  # a plan id begins with the id of its issuer


@dataclass(frozen=True)
class FailsafeInputs:
    """The tables of a folder, by name.

    Attributes
    ----------
    frames : dict of DataFrame
        claims, corridors, plan_rows ... where the folder has them.
    files : dict of path
        The file of each.
    notes : list of str
        Remarks for the reader.
    """

    frames: dict[str, pl.DataFrame]
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def get(self, table: str) -> pl.DataFrame | None:
        """Return a table, or None where the folder has none."""
        return self.frames.get(table)


def read_inputs(folder: Path, *, on_table: Callable[[str], None] | None = None) -> FailsafeInputs:
    """Return the tables of a folder that a failsafe can be run on.

    Raises
    ------
    InputRefused
        No such folder, no program's table in it, a table without the one it belongs to, or one that cannot be read.
    """
    files = table_files(folder, _STEMS)
    if not files.keys() & _PROGRAM_OF.keys():
        rows = " and ".join(f"{name}.csv ({program})" for name, program in _PROGRAM_OF.items())
        raise InputRefused(
            "the folder holds nothing that a failsafe can be run on",
            where=str(folder),
            rule="a program runs where its table is in the folder",
            remedy=f"add one or more of {rows}, as .csv or .parquet",
        )
    for table, needed in _BESIDE.items():
        if table in files and not set(needed) & files.keys():
            missing = " or ".join(f"{name}.csv" for name in needed)
            raise InputRefused(
                f"{files[table].name} is there without {missing}",
                where=str(folder),
                rule=f"the {table} table only says more of another one",
                remedy=f"add {missing} (or .parquet), or take {files[table].name} away",
            )
    frames = {}
    for table, path in files.items():
        if on_table is not None:
            on_table(table)
        frames[table] = read_table(path, table)
    if "claims" in frames:
        frames["claims"] = _with_issuer(frames["claims"])
    return FailsafeInputs(frames, files)


def _with_issuer(claims: pl.DataFrame) -> pl.DataFrame:
    """Return claims with the issuer that their plan id begins with, where they do not name one themselves."""
    import polars as pl

    if "issuer_id" in claims.columns or "plan_id" not in claims.columns:
        return claims
    plan = pl.col("plan_id").cast(pl.String).str.strip_chars()
    return claims.with_columns(plan.str.slice(0, _ISSUER_LETTERS).alias("issuer_id"))


def given_layers(frame: pl.DataFrame) -> Any:
    """Return layers as :func:`riskadjust.reinsurance` takes them: a list of (from, to, share), or one for each area.

    Raises
    ------
    InputRefused
        A column is missing, or a bound or share is.

    Examples
    --------
    >>> import polars as pl
    >>> given_layers(pl.DataFrame({"from_usd": [40_000.0], "to_usd": [None], "share": [0.8]}))
    [(40000.0, None, 0.8)]
    """
    from data_specs._frames import need_columns

    need_columns(frame, "layers", ("from_usd", "to_usd", "share"))
    if frame.height == 0 or frame.select("from_usd", "share").null_count().sum_horizontal()[0]:
        raise InputRefused(
            "a layer has no beginning or no share" if frame.height else "the table has no rows",
            where="layers, columns from_usd and share",
            rule="REI-004: a layer is (from, to, share); only `to` may be blank, where it has no end",
            remedy="fill them in, or take layers.csv away to use the published terms",
        )
    if "rating_area_id" not in frame.columns:
        return frame.select("from_usd", "to_usd", "share").rows()
    layers: dict[str, list[tuple[Any, ...]]] = {}
    for area, *layer in frame.select("rating_area_id", "from_usd", "to_usd", "share").rows():
        layers.setdefault("" if area is None else str(area), []).append(tuple(layer))
    return layers


def listed(frame: pl.DataFrame) -> list[str]:
    """Return the conditions of a list: its column ``condition``."""
    from data_specs._frames import need_columns

    need_columns(frame, "condition_list", ("condition",))
    return ["" if c is None else str(c) for c in frame["condition"].to_list()]


def with_statement(
    rows: pl.DataFrame, table: str, amounts: Mapping[str, pl.DataFrame], notes: list[str], *, year: int | None = None
) -> pl.DataFrame:
    """Return the statements of issuers with what they leave to this run: blank cells, and columns that are not there.

    `amounts` has market, issuer_id, [state,] amount by the name of the column; with a `year` only rows of that year are
    completed. What the run does not know stays blank, which the program refuses or notes: absent is not zero. Only the
    individual market is reinsured.
    """
    import polars as pl

    for column, found in amounts.items():
        keys = [c for c in ("state", "market", "issuer_id") if c in rows.columns and c in found.columns]
        if not set(rows.columns) >= {"issuer_id"}:
            return rows  # the program says which columns are missing
        summed = found.group_by(keys).agg(pl.col("amount").sum().cast(pl.Float64).alias("_of_run"))
        stated = rows if column in rows.columns else rows.with_columns(pl.lit(None, pl.Float64).alias(column))
        joined = stated.join(summed, on=keys, how="left", validate="m:1", maintain_order="left")
        known = pl.col("_of_run")
        if column == _REINSURED and "market" in rows.columns:
            known = pl.when(pl.col("market").is_in(_NOT_REINSURED)).then(0.0).otherwise(known)
        is_open = pl.col(column).is_null() & known.is_not_null()
        if year is not None:
            is_open &= pl.col("year").cast(pl.Int64, strict=False) == year
        filled = int(joined.select(is_open.sum()).item())
        if not filled:
            continue
        rows = joined.with_columns(pl.when(is_open).then(known).otherwise(column).alias(column)).drop("_of_run")
        notes.append(f"{column} of {filled} row{'s' if filled > 1 else ''} of {table} was taken from this run")
    return rows


def amounts_of_run(**frames: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """Return what issuers received by this run, as :func:`with_statement` takes it: transfers, reinsured, corridors."""
    import polars as pl

    found: dict[str, pl.DataFrame] = {}
    transfers, reinsured, corridors = (frames.get(name) for name in ("transfers", "reinsured", "corridors"))
    if transfers is not None:
        amount = next(c for c in ("transfer_and_share", "transfer") if c in transfers.columns)
        market = pl.col("risk_pool").replace({"catastrophic": _INDIVIDUAL}).alias("market")
        found["net_risk_adjustment_received"] = transfers.with_columns(market, pl.col(amount).alias("amount"))
    if reinsured is not None:
        individual = pl.lit(_INDIVIDUAL).alias("market")
        found[_REINSURED] = reinsured.with_columns(individual, pl.col("payment").alias("amount"))
    if corridors is not None:
        found["net_corridor_received"] = corridors.with_columns(pl.col("corridor_paid").alias("amount"))
    return found
