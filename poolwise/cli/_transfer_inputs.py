"""What a settlement reads: plan rows, or scores with the enrollment they belong to, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_specs.errors import InputRefused
from data_specs.formats import folder as tables

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TransferInputs", "read_inputs", "read_table", "table_files"]

_STEMS = {
    "plan_rows": ("plan_rows",),
    "scores": ("scores",),
    "enrollees": ("enrollees",),
    "spans": ("spans", "enrollment_spans"),
    "plans": ("plans",),
    "gcf": ("gcf", "geographic_cost_factors"),
    "radv_error_rates": ("radv_error_rates",),
    "default_charges": ("default_charges",),
    "costs": ("costs",),
    "claims": ("high_cost_claims", "claims"),
}
_ENROLLMENT = ("scores", "enrollees", "spans", "plans")
_RULE = "a folder holds plan_rows, or scores, enrollees, spans and plans, each as .csv or .parquet"
_BESIDE = "inputs"  # where the demo keeps what it scores
_ALIASES = {
    "bmm": "billable_member_months",
    "metal": "metal_level",
    "metallevel": "metal_level",
    "planid": "plan_id",
    "standardcomponentid": "plan_id",
    "issuerid": "issuer_id",
    "hios_issuer_id": "issuer_id",
    "statecode": "state",
    "ratingareaid": "rating_area_id",
    "rateareaidentifier": "rating_area_id",
    "plan_paid_claims_usd": "plan_paid",
}
# Columns of text files that are no text. Everything else stays text: leading zeros count.
_NUMBERS = {
    "plan_rows": "billable_member_months total_member_months premium plrs arf av idf gcf",
    "scores": "risk_score csr_factor csr_adjusted_score score_platinum score_gold score_silver score_bronze "
    "score_catastrophic",
    "spans": "premium_monthly member_premium",
    "gcf": "gcf",
    "radv_error_rates": "error_rate",
    "default_charges": "billable_member_months premium charge_pmpm share_of_average_premium",
    "costs": "plan_paid",
    "claims": "plan_paid",
    "mixes": "factor",
    "corridors": "premium taxes_and_fees incurred_claims quality_improvement admin_costs_excl_taxes "
    "net_risk_adjustment_received reinsurance_received csr_received health_information_technology "
    "reserve_overstatement adjustment_percentage",
    "corridor_plans": "premium",
    "covered_life_years": "covered_life_years",
    "layers": "from_usd to_usd share",
    "loss_ratio_years": "incurred_claims claims quality_improvement quality premium taxes_and_fees taxes "
    "net_risk_adjustment_received ra_received reinsurance_received net_corridor_received corridor_received life_years "
    "member_months average_deductible regulatory_fees preliminary_mlr",
    "loss_ratio_policies": "premium subscribers",
    "audit_sample": "stratum_weight risk_score",
    "audit_hccs": "hcc_score",
    "audit_counts": "submitted_hccs found_hccs",
    "audit_issuers": "billable_member_months premium sample_size",
    "national_counts": "submitted_hccs found_hccs",
    "national_statistics": "mean_failure_rate standard_deviation",
    "averaged_error_rates": "error_rate",
}
_WHOLE = {
    "scores": "age_last enrollment_days enrollment_months hcc_count",
    "plans": "plan_year",
    "mixes": "rule",
    "loss_ratio_years": "year",
}
_FLAGS = {
    "spans": "is_subscriber",
    "plans": "ra_covered",
    "default_charges": "takes_premium_share",
    "claims": "is_ceded",
    "audit_hccs": "is_submitted is_found",
    "audit_issuers": "is_exiting is_sole_issuer",
}
_LISTS = {"scores": "hccs rxcs variables"}
_TRUTH = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}


@dataclass(frozen=True)
class TransferInputs:
    """The tables of a folder, by name.

    Attributes
    ----------
    frames : dict of DataFrame
        plan_rows, or scores, enrollees, spans and plans; and gcf, radv_error_rates, default_charges, costs, claims
        where the folder has them.
    files : dict of path
        The file of each.
    notes : list of str
        Remarks for the reader.
    """

    frames: dict[str, pl.DataFrame]
    files: dict[str, Path]
    notes: list[str] = field(default_factory=list)

    @property
    def has_plan_rows(self) -> bool:
        """Return whether the plan rows are ready."""
        return "plan_rows" in self.frames

    def get(self, table: str) -> pl.DataFrame | None:
        """Return a table, or None where the folder has none."""
        return self.frames.get(table)


def read_inputs(folder: Path, *, benefit_year: int, on_table: Callable[[str], None] | None = None) -> TransferInputs:
    """Return the tables of a folder that a settlement needs.

    The tables of the enrollment may stand in the folder, in its folder ``inputs``, or, for a result of ``poolwise
    score``, in the folder that was scored, if they are still what was scored.

    Raises
    ------
    InputRefused
        A table is missing, stands there twice, cannot be read, or has changed since it was scored.
    """
    files, notes = _found(folder)
    if "plan_rows" in files and "scores" in files:
        raise InputRefused(
            "the folder holds plan rows and scores: it could be settled from either",
            where=f"{folder}: {files['plan_rows'].name}, {files['scores'].name}",
            rule=_RULE,
            remedy="leave one of them",
        )
    wanted = ("plan_rows",) if "plan_rows" in files else _ENROLLMENT
    missing = [t for t in wanted if t not in files]
    if missing:
        raise _missing(folder, missing, bool(files.keys() & {"scores"}))
    if "plan_rows" in files and "gcf" in files:
        notes.append(f"{files['gcf'].name} was not read: plan rows have a gcf of their own")
        del files["gcf"]
    beside = [t for t in _STEMS if t in files and t not in (*_ENROLLMENT, "plan_rows")]
    frames = {}
    for table in (*wanted, *beside):
        if on_table is not None:
            on_table(table)
        frames[table] = read_table(files[table], table)
    if "spans" in frames:
        frames["spans"] = tables.complete_spans(frames["spans"], frames["plans"], files, benefit_year)
    return TransferInputs(frames, {t: files[t] for t in frames}, notes)


def _found(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the file of each table, and remarks about where it was found."""
    files = table_files(folder, _STEMS)
    if "plan_rows" in files:
        return files, []
    notes = []
    if (folder / _BESIDE).is_dir():
        files = table_files(folder / _BESIDE, _STEMS) | files
    elif "scores" in files and not {"enrollees", "spans", "plans"} <= files.keys():
        scored = _scored_folder(folder)
        if scored is not None:
            own = {t: f for t, f in table_files(scored, _STEMS).items() if t not in ("plan_rows", "scores")}
            files = own | files
            notes.append(f"the enrollment was read from {scored}, the folder that was scored")
    return files, notes


def table_files(folder: Path, stems: Mapping[str, tuple[str, ...]]) -> dict[str, Path]:
    """Return the CSV or Parquet file of each table of a folder; `stems`: names of files by table.

    Raises
    ------
    InputRefused
        No such folder, or two files of one table.
    """
    if not folder.is_dir():
        what = "a file is named where a folder is meant" if folder.exists() else "the folder does not exist"
        raise InputRefused(what, where=str(folder), remedy="name the folder that holds the input tables")
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in (".csv", ".parquet"):
            continue
        table = next((t for t, names in stems.items() if file.stem.lower() in names), None)
        if table is None:
            continue
        if table in found:
            raise InputRefused(
                f"two files hold the {table} table",
                where=f"{folder}: {found[table].name}, {file.name}",
                remedy="keep one of them",
            )
        found[table] = file
    return found


def _scored_folder(folder: Path) -> Path | None:
    """Return the folder whose scores a result of `poolwise score` holds; None when it is no such result, or is gone.

    Raises
    ------
    InputRefused
        The folder is there, but its enrollment is no longer what was scored.
    """
    from data_specs._manifest import read_manifest
    from data_specs._registry import digest_of

    manifest = read_manifest(folder)
    if manifest is None or manifest.get("command") != "score":
        return None
    scored = Path(str(manifest.get("options", {}).get("folder", "")))
    if not scored.is_dir():
        return None
    digests = {str(i.get("name", "")).lower(): i.get("digest") for i in manifest.get("inputs", ())}
    for table, file in table_files(scored, _STEMS).items():
        if table in ("enrollees", "spans") and digests.get(file.name.lower()) != digest_of(file):
            raise InputRefused(
                f"the {table} table has changed since it was scored",
                where=str(file),
                rule=f"{folder / 'manifest.json'} has the digests of what was scored",
                remedy="score it again",
            )
    return scored


def _missing(folder: Path, missing: list[str], has_scores: bool) -> InputRefused:
    if has_scores or len(missing) < len(_ENROLLMENT):
        what = "the " + " and the ".join(f"{t} table" for t in missing) + (" is" if len(missing) == 1 else " are")
        names = ", ".join(f"{_STEMS[t][0]}.csv" for t in missing)
        if missing == ["scores"]:
            remedy = f"score the folder first: poolwise score {folder} --benefit-year YEAR --out SCORED"
        else:
            remedy = f"add {names} (or .parquet), or settle from plan_rows.csv"
        return InputRefused(f"{what} missing", where=str(folder), rule=_RULE, remedy=remedy)
    return InputRefused(
        "the folder holds nothing to settle", where=str(folder), rule=_RULE, remedy="name the folder that has them"
    )


def read_table(path: Path, table: str) -> pl.DataFrame:
    """Return a table of a CSV or Parquet file with our column names, and numbers where numbers belong.

    Raises
    ------
    InputRefused
        The file cannot be read as a table, a column stands twice, or a cell that should hold a number does not.
    """
    is_known = table in ("enrollees", "spans", "plans")
    frame = tables.read_table_file(path, table) if is_known else _renamed(_read(path), path)
    return frame if path.suffix.lower() == ".parquet" else _typed(frame, table, path)


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        remedy = "check the file and its permissions"
        raise InputRefused(f"the file cannot be read: {reason}", where=str(path), remedy=remedy) from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise tables.unreadable(path, type(error).__name__) from None


def _renamed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    lowered = {c: c.strip().lstrip("\ufeff").lower() for c in frame.columns}
    # Our name wins over a name of the sources.
    names = {c: _ALIASES.get(low, low) for c, low in lowered.items()}
    names = {c: low if names[c] != low and names[c] in lowered.values() else names[c] for c, low in lowered.items()}
    plain = [name.split("_duplicated_")[0] for name in names.values()]
    twice = next((name for name in plain if plain.count(name) > 1), None)
    if twice is not None:
        raise InputRefused(
            f"column {twice!r} stands twice", where=str(path), rule="FILE-002", remedy="keep one of the two"
        )
    return frame.rename(names)


def _typed(frame: pl.DataFrame, table: str, path: Path) -> pl.DataFrame:
    """Return the columns of a text file as what they are."""
    import polars as pl

    def of(kinds: dict[str, str]) -> list[str]:
        return [c for c in kinds.get(table, "").split() if c in frame.columns]

    trimmed = {c: pl.col(c).str.strip_chars().replace("", None) for c in (*of(_NUMBERS), *of(_WHOLE), *of(_FLAGS))}
    columns = [trimmed[c].cast(pl.Float64, strict=False).alias(c) for c in of(_NUMBERS)]
    columns += [trimmed[c].cast(pl.Int64, strict=False).alias(c) for c in of(_WHOLE)]
    columns += [
        trimmed[c].str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean).alias(c)
        for c in of(_FLAGS)
    ]
    columns += [
        pl.when(pl.col(c).is_null())
        .then(pl.lit([], dtype=pl.List(pl.String)))
        .otherwise(pl.col(c).str.split(" "))
        .alias(c)
        for c in of(_LISTS)
    ]
    typed = frame.with_columns(columns)
    for column, text in trimmed.items():
        lost = frame.select(text.alias(column))[column].is_not_null() & typed[column].is_null()
        if lost.any():
            wanted = "true or false" if column in of(_FLAGS) else "a number"
            row = int(lost.arg_true()[0])
            raise InputRefused(
                f"{int(lost.sum())} cell(s) of column {column!r} are not {wanted}",
                where=f"{path}, line {row + 2}, column {column}",
                rule="FILE-002: a required column has its declared type",
                remedy="write plain numbers: no currency sign, no thousands separator"
                if wanted == "a number"
                else "write true or false",
            )
    return typed
