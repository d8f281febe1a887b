"""Diagnoses and drugs as handed in -> each scope's stretch of coded events; every row kept or counted out by rule."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _frames
from riskadjust import _codes
from riskadjust._kernel import MISSING_DAY
from riskadjust._model import DIAGNOSIS_STATUS
from riskadjust._scoring import group_rows, union_masks

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._enrollment import Enrollment
    from riskadjust._findings import Findings
    from riskadjust._model import YearModel

__all__ = ["Diagnoses", "Drugs", "arrange_diagnoses", "arrange_drugs", "dates_of", "note_statuses", "owners_of"]

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_NOBODY = 2**32 - 1
_STATUS_RULES = {
    "before_birth": "HCC-011",
    "after_age_last": "HCC-012",
    "more_than_a_year_before_age_last": "HCC-013",
    "no_crosswalk_row": "HCC-020",
    "not_valid_in_fiscal_year": "HCC-021",
    "mce_age": "HCC-022",
    "mce_sex": "HCC-023",
    "no_branch": "HCC-024",
}
_REFUSED_STATUSES = ("before_birth", "after_age_last", "more_than_a_year_before_age_last")


@dataclass(frozen=True)
class Diagnoses:
    """Usable diagnoses, grouped: those of scope k are ``first[k]`` to ``first[k + 1]``; `row` is the input's row."""

    first: np.ndarray
    row: np.ndarray
    code_ids: np.ndarray
    days: np.ndarray


@dataclass(frozen=True)
class Drugs:
    """Drug categories of each scope as a mask, and the mask of those that rest on an uncertain list."""

    masks: np.ndarray
    uncertain: np.ndarray
    row: np.ndarray
    owner: np.ndarray
    row_masks: np.ndarray


def owners_of(frame: pl.DataFrame, table: str, enrollment: Enrollment) -> np.ndarray:
    """Return the scope of each row (the last number: nobody), by enrollee and, where they matter, issuer and market."""
    import polars as pl

    ids = _frames.text_column(frame, table, "enrollee_id")
    known = pl.DataFrame(
        {"enrollee_id": enrollment.ids, "owner": pl.int_range(len(enrollment.ids), dtype=pl.UInt32, eager=True)}
    )
    owner = ids.to_frame().join(known, on="enrollee_id", how="left", maintain_order="left")
    if enrollment.scope_keys is None:
        filled = owner["owner"].fill_null(len(enrollment.ids)).to_numpy()
        scopes = np.append(enrollment.scope_of_owner, -1)
        return np.where(scopes < 0, _NOBODY, scopes).astype(np.uint32)[filled]
    columns = [c for c in enrollment.scope_keys.columns if c not in ("owner", "scope")]
    owner = owner.with_columns(frame[c].cast(pl.String).alias(c) for c in columns)
    found = owner.join(
        enrollment.scope_keys, on=["owner", *columns], how="left", nulls_equal=True, maintain_order="left"
    )
    return found["scope"].fill_null(_NOBODY).to_numpy()


def arrange_diagnoses(frame: pl.DataFrame, enrollment: Enrollment, model: YearModel, findings: Findings) -> Diagnoses:
    """Return the diagnoses that can count, grouped by scope; refuse and count the rest."""
    table = "diagnoses"
    findings.table(table, frame.height)
    owner = owners_of(frame, table, enrollment)
    codes = _frames.text_column(frame, table, "diagnosis_code")
    spellings = _codes.diagnosis_spellings(codes, model)
    looked_up = (
        codes.alias("diagnosis_code")
        .to_frame()
        .join(spellings.frame, on="diagnosis_code", how="left", nulls_equal=True, maintain_order="left")
    )
    outcome = looked_up["outcome"].to_numpy()
    day = _frames.date_column(frame, table, "service_date").to_physical().fill_null(MISSING_DAY).to_numpy()
    free = np.ones(frame.height, bool)
    _refuse(frame, owner == _NOBODY, "HCC-014", table, findings, free)
    _refuse(frame, outcome == _codes.MALFORMED, "MED-013", table, findings, free)
    _refuse_dates(frame, day, model.benefit_year, table, ("HCC-010", "MED-028"), findings, free)
    findings.note("MED-015", table, int((looked_up["cleaned"].to_numpy() & free).sum()))
    unmapped = free & (outcome == _codes.UNMAPPED)
    findings.note("HCC-020", table, int(unmapped.sum()))
    chosen = np.flatnonzero(free & ~unmapped)
    first, order = grouped(owner[chosen], len(enrollment.scope_owner))
    row = chosen[order]
    return Diagnoses(first, row, looked_up["code_id"].to_numpy()[row], day[row])


def grouped(owners: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each owner's rows begin, and the rows in order of their owners (stable)."""
    first = np.zeros(number + 1, np.int64)
    order = np.zeros(len(owners), np.uint32)
    total = group_rows(np.ascontiguousarray(owners, np.uint32), first, order)
    return first, order[:total]


def arrange_drugs(
    frame: pl.DataFrame | None, enrollment: Enrollment, model: YearModel, findings: Findings, *, dated: bool = True
) -> Drugs:
    """Return the drug categories of each scope; refuse and count the rows that cannot count.

    The DIY layout has drugs without dates (`dated` false): all of them count.
    """
    import polars as pl

    scopes = len(enrollment.scope_owner)
    masks, uncertain = np.zeros(scopes, np.uint64), np.zeros(scopes, np.uint64)
    nothing = np.zeros(0, np.int64)
    if frame is None:
        return Drugs(masks, uncertain, nothing, nothing.astype(np.uint32), nothing.astype(np.uint64))
    table = "drugs"
    findings.table(table, frame.height)
    owner = owners_of(frame, table, enrollment)
    own = pl.DataFrame({c: _frames.text_column(frame, table, c) for c in ("code_type", "code")})
    spellings = _codes.drug_spellings(own, model)
    found = own.join(spellings.frame, on=["code_type", "code"], how="left", nulls_equal=True, maintain_order="left")
    outcome = found["outcome"].to_numpy()
    free = np.ones(frame.height, bool)
    is_ndc = (own["code_type"].str.strip_chars().str.to_lowercase() == "ndc").fill_null(False).to_numpy()
    _refuse(frame, owner == _NOBODY, "HCC-030", table, findings, free)
    _refuse(frame, outcome == _codes.UNKNOWN_TYPE, "HCC-033", table, findings, free)
    _refuse(frame, (outcome == _codes.MALFORMED) & is_ndc, "RX-001", table, findings, free)
    _refuse(frame, (outcome == _codes.MALFORMED) & ~is_ndc, "HCC-035", table, findings, free)
    _refuse(frame, outcome == _codes.AMBIGUOUS_NDC, "RX-003", table, findings, free)
    if dated:
        day = _frames.date_column(frame, table, "service_date").to_physical().fill_null(MISSING_DAY).to_numpy()
        _refuse_dates(frame, day, model.benefit_year, table, ("HCC-031", "HCC-032"), findings, free)
    findings.note("HCC-034", table, int((free & (outcome == _codes.UNMAPPED)).sum()))
    row = np.flatnonzero(free & (outcome == _codes.MAPPED))
    row_masks = found["mask"].to_numpy()[row]
    union_masks(owner[row], row_masks, masks)
    union_masks(owner[row], np.where(found["uncertain"].to_numpy()[row], row_masks, np.uint64(0)), uncertain)
    return Drugs(masks, uncertain, row, owner[row], row_masks)


def dates_of(frame: pl.DataFrame) -> pl.Series:
    """Return the service dates of events, null where the layout has none."""
    import polars as pl

    if "service_date" not in frame.columns:
        return pl.repeat(None, frame.height, dtype=pl.Date, eager=True)
    return _frames.date_column(frame, "events", "service_date")


def _refuse(
    frame: pl.DataFrame, bad: np.ndarray, rule_id: str, table: str, findings: Findings, free: np.ndarray
) -> None:
    rows = np.flatnonzero(bad & free) if bad.any() else ()
    if len(rows):
        findings.refuse(rule_id, table, frame[rows])
        free[rows] = False


def _refuse_dates(
    frame: pl.DataFrame,
    day: np.ndarray,
    benefit_year: int,
    table: str,
    rules: tuple[str, str],
    findings: Findings,
    free: np.ndarray,
) -> None:
    first = datetime.date(benefit_year, 1, 1).toordinal() - _EPOCH
    last = datetime.date(benefit_year, 12, 31).toordinal() - _EPOCH
    _refuse(frame, day == MISSING_DAY, rules[0], table, findings, free)
    _refuse(frame, (day < first) | (day > last), rules[1], table, findings, free)


def note_statuses(frame: pl.DataFrame, diagnoses: Diagnoses, statuses: np.ndarray, findings: Findings) -> None:
    """Count what the kernel said of each diagnosis; keep the rows that took no part."""
    counts = np.bincount(statuses, minlength=len(DIAGNOSIS_STATUS))
    for number, name in enumerate(DIAGNOSIS_STATUS):
        if name not in _STATUS_RULES or not counts[number]:
            continue
        if name in _REFUSED_STATUSES:
            rows = np.sort(diagnoses.row[np.flatnonzero(statuses == number)])
            findings.refuse(_STATUS_RULES[name], "diagnoses", frame[rows])
        else:
            findings.note(_STATUS_RULES[name], "diagnoses", int(counts[number]))
