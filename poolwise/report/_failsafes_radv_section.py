"""The section on data validation: groups of HCCs, failure rates, error rates, transfers before and after."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._failsafes_tables import FEW, Table, chosen_rows, row_name, text_table
from poolwise.report._failsafes_year import shown_adjustments
from poolwise.report._page_parts import HIDDEN
from poolwise.report._suppression import SMALLEST_SHOWN
from poolwise.report._transfer_figures import dollars

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["radv_section"]

_COUNTS = ("submitted_hccs", "found_hccs")


def radv_section(run: Failsafes, step: Any, issuer: str) -> dict[str, Any]:
    """Return what is said of the audits, with the tables; HCCs of fewer than 11 are kept back, as people are."""
    moves = f"The audits of {step.benefit_year} move the transfers of {step.transfer_year}."
    adjusted = step.issuers.filter(pl.col("outlier_groups") > 0).height
    said = f"{moves} {adjusted} of {step.issuers.height} issuers have an outlier group."
    if step.transfers.height:
        shown = shown_adjustments(run)["adjustment"].to_list()
        among = "" if len(shown) == step.transfers.height else ", leaving out what is kept back"
        said += f" {dollars(sum((max(m, Decimal(0)) for m in shown), Decimal(0)))} dollars change hands{among}."
    tables = [_nation(step)]
    own = step.groups.filter(pl.col("issuer_id") == issuer).rows(named=True)
    if own:
        tables.append(_groups(own, step, issuer))
    tables.append(_issuers(run, step, issuer))
    if run.confidence is not None:
        tables.append(_confidence(run, issuer))
    return {"tables": tables, "said": said}


def _nation(step: Any) -> Table:
    rows, has_few = [], False
    for row in step.national.rows(named=True):
        is_few = _is_few(row)
        has_few |= is_few
        # Published means and deviations tell nothing of the people of this run.
        is_kept_back = is_few and row["source"] != "given"
        rows.append(
            [
                row["group"],
                f"{row['hccs']:,}",
                f"{row['issuers']:,}",
                *(HIDDEN if is_few else f"{row[c]:,}" for c in _COUNTS),
                *(
                    HIDDEN if is_kept_back else _number(row[c], ".4f")
                    for c in ("mean_failure_rate", "standard_deviation")
                ),
            ]
        )
    headings = ("Group", "HCCs", "Issuers", "Submitted", "Found", "Mean rate m", "Deviation s")
    return text_table("The nation", headings, rows, FEW if has_few else "")


def _is_few(row: dict[str, Any]) -> bool:
    """Return whether a count of HCCs is below 11."""
    return any(0 < (row[c] or 0) < SMALLEST_SHOWN for c in _COUNTS)


def _groups(own: list[dict[str, Any]], step: Any, issuer: str) -> Table:
    """Return the groups of an issuer without those that tell of few HCCs.

    Few may have been submitted, found, or lost from one to the other; or be left to all others together, which the
    nation's counts less these would tell.
    """
    nation = {row["group"]: row for row in step.national.rows(named=True)}

    def is_kept_back(row: dict[str, Any]) -> bool:
        others = {c: (nation[row["group"]][c] or 0) - (row[c] or 0) for c in _COUNTS}
        lost = abs((row["submitted_hccs"] or 0) - (row["found_hccs"] or 0))
        return _is_few(row) or _is_few(others) or 0 < lost < SMALLEST_SHOWN

    rows = []
    for row in own:
        figures = [
            *(f"{row[c]:,}" for c in _COUNTS),
            _number(row["failure_rate"], ".4f"),
            _number(row["deviation"], ".3f"),
            "yes" if row["is_outlier"] else "no",
            _number(row["group_adjustment"], ".6f"),
        ]
        name = " ".join(filter(None, (row.get("state"), row["group"])))
        rows.append([name, *([HIDDEN] * len(figures) if is_kept_back(row) else figures)])
    headings = ("Group", "Submitted", "Found", "Rate x", "z", "Outlier", "Factor A")
    return text_table(f"Issuer {issuer}", headings, rows, FEW if any(map(is_kept_back, own)) else "")


def _issuers(run: Failsafes, step: Any, issuer: str) -> Table:
    """Return error rates and transfers of issuers, over the risk pools that may be shown."""
    keys = [c for c in ("state", "issuer_id") if c in step.issuers.columns]
    money = ("transfer_before", "transfer_after", "adjustment")
    sums: dict[tuple[Any, ...], list[Decimal]] = {}
    if step.transfers.height:
        shown = shown_adjustments(run)
        added = shown.group_by(keys).agg(pl.col(c).sum() for c in money)
        sums = {row[: len(keys)]: list(row[len(keys) :]) for row in added.select(*keys, *money).rows()}
    rows = []
    for row in chosen_rows(step.issuers.rows(named=True), issuer):
        found = sums.get(tuple(row[k] for k in keys))
        amounts = [HIDDEN] * len(money) if found is None else [dollars(a) for a in found]
        rate = HIDDEN if _has_few_sampled(row) else _number(row["applied_error_rate"], ".6f")
        rows.append([row_name(row), row["status"].replace("_", " "), rate, *(amounts if sums else [])])
    headings = ["Issuer", "Status", "Error rate", *(("Before, $", "After, $", "Adjustment, $") if sums else ())]
    note = FEW if any(HIDDEN in row for row in rows) else ""
    return text_table("Issuers", headings, rows, note, words=2)


def _has_few_sampled(row: dict[str, Any]) -> bool:
    """Return whether the error rate of an issuer rests on fewer than 11 sampled people."""
    return 0 < (row["sampled_enrollees"] or 0) < SMALLEST_SHOWN


def _confidence(run: Failsafes, issuer: str) -> Table:
    assert run.confidence is not None
    own = run.confidence
    columns = ("error_rate", "lower", "upper", "standard_error")
    rows = []
    for row in chosen_rows(own.issuers.rows(named=True), issuer):
        figures = [*(_number(row[c], ".6f") for c in columns), f"{row['outlier_share']:.0%}"]
        rows.append([row_name(row), *([HIDDEN] * len(figures) if _has_few_sampled(row) else figures)])
    note = f"The interval holds {own.settings['level']:.0%} of {own.settings['draws']:,} draws of the sample's people."
    headings = ("Issuer", "Error rate", "Lower", "Upper", "Standard error", "Outlier in")
    return text_table("How far chance in the sample may move an error rate", headings, rows, note)


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form).replace("-", "−")
