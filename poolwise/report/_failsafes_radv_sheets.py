"""Sheets of data validation that calculate: groups of each issuer, its sample, its error rate, its transfers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from poolwise.report._failsafes_grid import Cell, Grid
from poolwise.report._sheets import Column

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["radv_sheets"]

NATION, GROUPS, SAMPLE, RATES, ADJUSTED = (
    "Audit groups, nation",
    "Audit groups",
    "Audited enrollees",
    "Error rates",
    "Data validation",
)
_MOST_ENROLLEES = 50_000  # more than that are in the files only
_EXPLAINED = {
    NATION: "Mean and standard deviation of failure rates in each group of HCCs.",
    GROUPS: "x = 1 - found / submitted; z = (x - m) / s; A: what scores of the group's HCCs are lowered by.",
    SAMPLE: "Each sampled enrollee: score x (1 - adjustment), adjustment = sum(h A) / sum h over its HCCs.",
    RATES: "Error rate = 1 - sum of weighted scores adjusted / sum of weighted scores, times the scaling factor.",
    ADJUSTED: "Transfers of the plan rows without and with the error rates; the difference is the adjustment.",
}


def radv_sheets(run: Failsafes) -> list[tuple[Grid, str, tuple[str, ...]]]:
    """Return the sheets of data validation; that of adjustments only where there are plan rows."""
    result = run.radv_adjustment
    assert result is not None
    keys = [c for c in ("state", "issuer_id") if c in result.issuers.columns]
    nation = Grid(NATION, _nation_cells(), result.national.rows(named=True))
    place = {group: number for number, group in enumerate(result.national["group"].to_list())}
    groups = Grid(GROUPS, _group_cells(keys, nation, place), result.groups.rows(named=True))
    sheets: list[tuple[Grid, str, tuple[str, ...]]] = [
        (nation, _EXPLAINED[NATION], ()),
        (groups, _EXPLAINED[GROUPS], ()),
    ]
    has_sample = 0 < result.enrollees.height <= _MOST_ENROLLEES
    sample = Grid(SAMPLE, _sample_cells(keys), result.enrollees.rows(named=True))
    runs: dict[tuple[Any, ...], tuple[int, int]] = {}
    if has_sample:
        sheets.append((sample, _EXPLAINED[SAMPLE], ()))
        for number, key in enumerate(result.enrollees.select(keys).rows()):
            runs[key] = (runs.get(key, (number, 0))[0], number + 1)
    used = dict(run.settings_of("radv_adjustment").select("setting", "value").rows())
    scaling = str(used.get("error_rate_scaling_factor", "1"))
    rates = Grid(RATES, _rate_cells(keys, sample, runs, scaling), result.issuers.rows(named=True))
    sheets.append((rates, _EXPLAINED[RATES], ()))
    if result.transfers.height:
        adjusted = Grid(ADJUSTED, _adjusted_cells(result.transfers.columns), result.transfers.rows(named=True))
        sheets.append((adjusted, _EXPLAINED[ADJUSTED], ("adjustment",)))
    return sheets


def _key_cells(keys: Sequence[str]) -> list[Cell]:
    words = {"issuer_id": "Issuer", "enrollee_id": "Enrollee", "risk_pool": "Risk pool"}
    return [Cell(k, Column(words.get(k, k.capitalize()), "text", "", 16 if k == "enrollee_id" else 0)) for k in keys]


def _nation_cells() -> list[Cell]:
    return [
        *_key_cells(["group"]),
        Cell("hccs", Column("HCCs", "count")),
        Cell("issuers", Column("Issuers", "count", "with a rate")),
        Cell("submitted_hccs", Column("Submitted", "count")),
        Cell("found_hccs", Column("Found", "count")),
        Cell("mean_failure_rate", Column("Mean rate", "mean", "m")),
        Cell("standard_deviation", Column("Deviation", "mean", "s")),
        Cell("outliers", Column("Outliers", "count", "issuers")),
        Cell("source", Column("From", "text", "", 24)),
    ]


def _group_cells(keys: Sequence[str], nation: Grid, place: dict[str, int]) -> list[Cell]:
    def deviation(_: int, row: Any) -> str | None:
        if row["deviation"] is None or row["group"] not in place:
            return None
        mean, spread = (nation.at(c, place[row["group"]]) for c in ("mean_failure_rate", "standard_deviation"))
        return f"({{failure_rate}}-{mean})/{spread}"

    return [
        *_key_cells([*keys, "group"]),
        Cell("submitted_hccs", Column("Submitted", "count")),
        Cell("found_hccs", Column("Found", "count")),
        Cell("failure_rate", Column("Rate", "mean", "x"), "1-{found_hccs}/{submitted_hccs}"),
        Cell("deviation", Column("Deviations", "mean", "z"), deviation),
        Cell("is_outlier", Column("Outlier", "text"), value=lambda row: "yes" if row["is_outlier"] else "no"),
        Cell("constrained_failure_rate", Column("Rate used", "mean", "0 where below zero and so ruled")),
        Cell("group_adjustment", Column("Factor", "mean", "A")),
    ]


def _sample_cells(keys: Sequence[str]) -> list[Cell]:
    return [
        *_key_cells([*keys, "enrollee_id", "stratum"]),
        Cell("stratum_weight", Column("Weight", "mean", "w")),
        Cell("risk_score", Column("Risk score", "mean", "S")),
        Cell("hcc_score", Column("HCC score", "mean", "sum h")),
        Cell("adjustment", Column("Adjustment", "mean", "sum(h A) / sum h")),
        Cell("adjusted_risk_score", Column("Adjusted", "mean", "S (1 - adjustment)"), "{risk_score}*(1-{adjustment})"),
    ]


def _rate_cells(
    keys: Sequence[str], sample: Grid, runs: dict[tuple[Any, ...], tuple[int, int]], scaling: str
) -> list[Cell]:
    def rate(_: int, row: Any) -> str | None:
        rows = runs.get(tuple(row[k] for k in keys))
        if rows is None or row["error_rate"] is None:
            return None
        weights, scores, adjusted = (
            sample.run(c, *rows) for c in ("stratum_weight", "risk_score", "adjusted_risk_score")
        )
        text = f"1-SUMPRODUCT({weights},{adjusted})/SUMPRODUCT({weights},{scores})"
        return text if scaling == "1" else f"{scaling}*({text})"

    return [
        *_key_cells(keys),
        Cell("status", Column("Status", "text", "", 20), value=lambda row: row["status"].replace("_", " ")),
        Cell("sampled_enrollees", Column("Sampled", "count", "enrollees")),
        Cell("outlier_groups", Column("Outlier groups", "count")),
        Cell("error_rate", Column("Error rate", "mean"), rate),
        Cell("other_year_error_rate", Column("Of the other year", "mean", "where two are averaged")),
        Cell("applied_error_rate", Column("Applied", "mean")),
    ]


def _adjusted_cells(columns: list[str]) -> list[Cell]:
    keys = [c for c in ("state", "risk_pool", "issuer_id") if c in columns]
    return [
        *_key_cells(keys),
        Cell("applied_error_rate", Column("Error rate applied", "mean")),
        Cell("transfer_before", Column("Transfer before", "dollars")),
        Cell("transfer_after", Column("Transfer after", "dollars")),
        Cell("adjustment", Column("Adjustment", "dollars", "after - before"), "{transfer_after}-{transfer_before}"),
    ]
