"""What the failsafes read: a folder with a table for each program, and what may stand beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from poolwise.cli._transfer_inputs import read_table, table_files

if TYPE_CHECKING:
    import polars as pl

    from poolwise.report._settlement import Settlement

__all__ = ["FailsafeInputs", "amounts_of_run", "given_layers", "in_files", "listed", "read_inputs", "with_statement"]

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
# What the functions call the tables that stand in the folder under another name.
_TABLES_OF = {
    "risk_corridors": {"issuers": "corridors", "plans": "corridor_plans"},
    "medical_loss_ratio": {"years": "loss_ratio_years", "policies": "loss_ratio_policies"},
    "radv_adjustment": {
        **{name: f"audit_{name}" for name in ("sample", "hccs", "counts", "issuers")},
        **{f"national {name}": f"national_{name}" for name in ("counts", "groups", "statistics")},
        "averaged_with": "averaged_error_rates",
    },
}
_REINSURED, _CORRIDORS = "reinsurance_received", "net_corridor_received"
_INDIVIDUAL, _MERGED = "individual", "merged"
_NOT_IN_ANY = ("large_group",)
_NOT_REINSURED = ("small_group", *_NOT_IN_ANY)
_KEYS = ("state", "market", "issuer_id")
_SHORT = {"ra_received": "net_risk_adjustment_received", "corridor_received": _CORRIDORS}  # names of loss ratios
# What a reader must know of an amount that was taken over.
_HOW = {
    _CORRIDORS: ": what was paid, worked out with an adjustment percentage of 0 (45 CFR 158.140(b)(4))",
}
_MOST_NAMES = 6  # of files in one remark
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
    return FailsafeInputs(frames, files, _unread(folder, files))


def _unread(folder: Path, files: Mapping[str, Path]) -> list[str]:
    """Return a remark on tables of the folder that no program reads: a misspelled name must not go unseen."""
    is_table = (path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".parquet"))
    names = sorted({path.name for path in is_table} - {path.name for path in files.values()})
    if not names:
        return []
    shown = ", ".join(names[:_MOST_NAMES]) + (" ..." if len(names) > _MOST_NAMES else "")
    return [f"not read, since no program has a table of that name: {shown}"]


def in_files(error: InputRefused, program: str, inputs: FailsafeInputs) -> InputRefused:
    """Return the refusal of a program with its tables called by their files: a folder may hold a dozen of them.

    Examples
    --------
    >>> error = InputRefused("1 row of years cannot be settled", where="years (first row is 1): column premium, row 2")
    >>> inputs = FailsafeInputs({}, {"loss_ratio_years": Path("loss_ratio_years.csv")})
    >>> in_files(error, "medical_loss_ratio", inputs).where
    'loss_ratio_years.csv (first row is 1): column premium, row 2'
    """
    parts = {"what": error.what, "where": error.where, "rule": error.rule}
    for own, table in {**_TABLES_OF.get(program, {}), **{name: name for name in inputs.files}}.items():
        file = inputs.files.get(table)
        if file is None:
            continue
        alone = rf"{own}\b(?![.]| statistics| counts| groups)"
        named = rf"\g<1>{file.name}"
        parts = {
            "what": re.sub(rf"(rows? of ){alone}", named, parts["what"]),
            "where": re.sub(rf"^(){alone}", named, parts["where"]),
            "rule": re.sub(rf"^(FILE-[0-9]+: ){own}\b(?= has )", named, parts["rule"]),
        }
    return type(error)(parts["what"], where=parts["where"], rule=parts["rule"], remedy=error.remedy)


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

    `amounts` has issuer_id, [state, market,] amount by the name of the column; with a `year` only rows of that year are
    completed. What the run does not know stays blank, which the program refuses or notes: absent is not zero. Only the
    individual market is reinsured, and large groups are in none of the programs. An amount that could belong to several
    rows (those of two markets, where the run does not tell them apart) goes to none of them.
    """
    import polars as pl

    if "issuer_id" not in rows.columns:
        return rows  # the program says which columns are missing
    rows = rows.rename({s: c for s, c in _SHORT.items() if s in rows.columns and c not in rows.columns})
    is_of_year = pl.lit(True) if year is None else (pl.col("year").cast(pl.Int64, strict=False) == year)
    is_of_year = is_of_year.fill_null(False)
    for column, found in amounts.items():
        keys = [c for c in _KEYS if c in rows.columns and c in found.columns]
        text = [pl.col(c).cast(pl.String).str.strip_chars().alias(f"_{c}") for c in keys]
        summed = found.group_by(text).agg(pl.col("amount").sum().cast(pl.Float64).alias("_of_run"))
        stated = rows if column in rows.columns else rows.with_columns(pl.lit(None, pl.Float64).alias(column))
        of_key = [f"_{c}" for c in keys]
        joined = stated.with_columns(*text, is_of_year.alias("_is_of_year"))
        joined = joined.join(summed, on=of_key, how="left", validate="m:1", maintain_order="left")
        never = _NOT_REINSURED if column == _REINSURED else _NOT_IN_ANY
        is_never = pl.col("market").is_in(never) if "market" in rows.columns else pl.lit(False)
        is_never = is_never.fill_null(False)
        may_have_it = (pl.col("_is_of_year") & ~is_never).cast(pl.Int32)
        is_alone = may_have_it.sum().over(of_key) == 1
        known = pl.when(is_never).then(0.0).when(is_alone).then(pl.col("_of_run"))
        joined = joined.with_columns(known.alias("_known"))
        is_open = pl.col(column).is_null() & pl.col("_is_of_year")
        is_filled = is_open & pl.col("_known").is_not_null()
        filled, unclear = (
            int(joined.select(mask.sum()).item())
            for mask in (is_filled, is_open & pl.col("_known").is_null() & pl.col("_of_run").is_not_null())
        )
        if unclear:
            why = "this run has one amount for all of them"
            notes.append(f"{column} of {_rows(unclear)} of {table} is left open: {why}")
        if not filled:
            continue
        value = pl.when(is_filled).then(pl.col("_known")).otherwise(column).alias(column)
        rows = joined.with_columns(value).select(stated.columns)
        notes.append(f"{column} of {_rows(filled)} of {table} was taken from this run{_HOW.get(column, '')}")
    return rows


def _rows(number: int) -> str:
    return f"{number} row{'s' if number > 1 else ''}"


def amounts_of_run(
    settlement: Settlement | None = None, reinsured: pl.DataFrame | None = None, corridors: pl.DataFrame | None = None
) -> dict[str, pl.DataFrame]:
    """Return what issuers received by this run, as :func:`with_statement` takes it.

    Risk adjustment is the transfers with the high-cost risk pool, which belongs to it; corridors are those of a loss
    ratio, which are worked out with an adjustment percentage of 0.
    """
    import polars as pl

    found: dict[str, pl.DataFrame] = {}
    if settlement is not None:
        found["net_risk_adjustment_received"] = _risk_adjustment(settlement)
    if reinsured is not None:
        individual = pl.lit(_INDIVIDUAL).alias("market")
        found[_REINSURED] = reinsured.with_columns(individual, pl.col("payment").alias("amount"))
    if corridors is not None:
        found[_CORRIDORS] = corridors.with_columns(pl.col("corridor_paid").alias("amount"))
    return found


def _risk_adjustment(settlement: Settlement) -> pl.DataFrame:
    """Return [state,] market, issuer_id, amount: transfers, and what the high-cost risk pool adds or takes."""
    import polars as pl

    settled = settlement.transfers
    keys = [c for c in ("state", "risk_pool") if c in settled.issuers.columns]
    of_issuer = [c for c in ("state", "issuer_id") if c in settled.issuers.columns]
    amount = next(c for c in ("transfer_and_share", "transfer") if c in settled.issuers.columns)
    market = pl.coalesce("market", pl.col("risk_pool").replace({"catastrophic": _INDIVIDUAL}))
    own = settled.issuers.join(
        settled.pools.select(*keys, "market"), on=keys, how="left", validate="m:1", maintain_order="left"
    ).select(*of_issuer, market.alias("market"), pl.col(amount).alias("amount"))
    high_cost = settlement.high_cost
    if high_cost is None or not set(of_issuer) <= set(high_cost.issuers.columns):
        return own
    # The national pool of the individual market holds merged markets, too: there it goes to the issuer's merged one.
    merged = own.filter(pl.col("market") == _MERGED).select(of_issuer).unique().with_columns(_is_merged=True)
    pooled = high_cost.issuers.join(merged, on=of_issuer, how="left", validate="m:1", maintain_order="left")
    is_merged = pl.col("_is_merged").fill_null(False) & (pl.col("high_cost_risk_pool") == _INDIVIDUAL)
    of_pool = pl.when(is_merged).then(pl.lit(_MERGED)).otherwise("high_cost_risk_pool").alias("market")
    return pl.concat([own, pooled.select(*of_issuer, of_pool, pl.col("net").alias("amount"))])
