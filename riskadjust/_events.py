"""Diagnoses and drugs as handed in -> each scope's stretch of coded events; every row kept or counted out by rule."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _frames
from riskadjust import _codes
from riskadjust._distinct import numbers_among
from riskadjust._enrollment import days_of
from riskadjust._grouping import group_rows, union_masks
from riskadjust._kernel import MISSING_DAY
from riskadjust._model import DIAGNOSIS_STATUS

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
_DRUG_RULES = {
    _codes.UNKNOWN_TYPE: "HCC-033",
    _codes.MALFORMED_NDC: "RX-001",
    _codes.MALFORMED: "HCC-035",
    _codes.AMBIGUOUS_NDC: "RX-003",
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
    number = numbers_among(ids, enrollment.ids, len(enrollment.ids))
    if enrollment.scope_keys is None:
        scopes = np.append(enrollment.scope_of_owner, -1)
        by_owner: np.ndarray = np.where(scopes < 0, _NOBODY, scopes).astype(np.uint32)
        scope_of_row: np.ndarray = by_owner[number]
        return scope_of_row
    owner = pl.DataFrame({"owner": pl.Series(number, dtype=pl.UInt32)})
    columns = [c for c in enrollment.scope_keys.columns if c not in ("owner", "scope")]
    owner = owner.with_columns(frame[c].cast(pl.String).alias(c) for c in columns)
    found = owner.join(
        enrollment.scope_keys, on=["owner", *columns], how="left", nulls_equal=True, maintain_order="left"
    )
    scope: np.ndarray = found["scope"].fill_null(_NOBODY).to_numpy()
    return scope


def diagnosis_spellings(frame: pl.DataFrame, model: YearModel) -> _codes.Spellings:
    """Return what the diagnosis codes of a frame mean, once a spelling."""
    return _codes.diagnosis_spellings(_frames.text_column(frame, "diagnoses", "diagnosis_code"), model)


def arrange_diagnoses(
    frame: pl.DataFrame,
    enrollment: Enrollment,
    model: YearModel,
    findings: Findings,
    spellings: _codes.Spellings | None = None,
) -> Diagnoses:
    """Return the diagnoses that can count, grouped by scope; refuse and count the rest."""
    table = "diagnoses"
    findings.table(table, frame.height)
    owner = owners_of(frame, table, enrollment)
    spellings = diagnosis_spellings(frame, model) if spellings is None else spellings
    day = _days(frame, table)
    free = np.ones(frame.height, bool)
    _refuse(frame, owner == _NOBODY, "HCC-014", table, findings, free)
    _refuse_outcomes(frame, spellings, {_codes.MALFORMED: "MED-013"}, table, findings, free)
    _refuse_dates(frame, day, model.benefit_year, table, ("HCC-010", "MED-028"), findings, free)
    used = np.bincount(spellings.row[free] if not free.all() else spellings.row, minlength=len(spellings.outcome))
    findings.note("MED-015", table, int(used[spellings.cleaned].sum()))
    findings.note("HCC-020", table, int(used[spellings.outcome == _codes.UNMAPPED].sum()))
    mapped = (spellings.outcome == _codes.MAPPED)[spellings.row]
    chosen = np.flatnonzero(free & mapped)
    first, order = grouped(owner[chosen], len(enrollment.scope_owner))
    row = chosen if order is None else chosen[order]
    return Diagnoses(first, row, spellings.answers["code_id"][spellings.row[row]], day[row])


def _days(frame: pl.DataFrame, table: str) -> np.ndarray:
    """Return service dates as days since 1970-01-01."""
    return days_of(_frames.date_column(frame, table, "service_date"))


def grouped(owners: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return where each owner's rows begin, and the rows in order of their owners (None: they are in order)."""
    if len(owners) < 2 or (owners[1:] >= owners[:-1]).all():
        return np.searchsorted(owners, np.arange(number + 1)), None
    first = np.zeros(number + 1, np.int64)
    order = np.zeros(len(owners), np.uint32)
    group_rows(owners, first, order)
    return first, order


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
    free = np.ones(frame.height, bool)
    _refuse(frame, owner == _NOBODY, "HCC-030", table, findings, free)
    _refuse_outcomes(frame, spellings, _DRUG_RULES, table, findings, free)
    if dated:
        _refuse_dates(frame, _days(frame, table), model.benefit_year, table, ("HCC-031", "HCC-032"), findings, free)
    outcome = spellings.outcome[spellings.row]
    findings.note("HCC-034", table, int((free & (outcome == _codes.UNMAPPED)).sum()))
    row = np.flatnonzero(free & (outcome == _codes.MAPPED))
    row_masks = spellings.answers["mask"][spellings.row[row]]
    union_masks(owner[row], row_masks, masks)
    doubtful = spellings.answers["uncertain"][spellings.row[row]]
    union_masks(owner[row], np.where(doubtful, row_masks, np.uint64(0)), uncertain)
    return Drugs(masks, uncertain, row, owner[row], row_masks)


def _refuse_outcomes(
    frame: pl.DataFrame,
    spellings: _codes.Spellings,
    rules: dict[int, str],
    table: str,
    findings: Findings,
    free: np.ndarray,
) -> None:
    """Refuse rows by what became of their spelling."""
    for outcome, rule_id in rules.items():
        bad = spellings.outcome == outcome
        if bad.any():
            _refuse(frame, bad[spellings.row], rule_id, table, findings, free)


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
