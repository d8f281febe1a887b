"""Scores of the published DIY input layout: ages on the last day and months are taken as given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from data_specs.formats.diy import DiyTables, read_diy
from riskadjust import _events
from riskadjust._enrollment import OLDEST, Enrollment, birthdays
from riskadjust._findings import Findings
from riskadjust._model import METALS, YearModel, compile_year
from riskadjust._score import Run, Scores, kernel_run
from riskadjust._settings import ScoringSettings

if TYPE_CHECKING:
    import os

    import polars as pl

__all__ = ["DiyTables", "read_diy", "score_diy"]

_WHOLE = r"^[0-9]{1,3}(\.0+)?$"


def score_diy(
    folder_or_tables: str | os.PathLike[str] | DiyTables | Mapping[str, Any],
    *,
    benefit_year: int,
    explain: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Scores:
    """Return the HHS-HCC risk scores of a population in the published DIY layout.

    As :func:`riskadjust.score`, but each person has one metal level and cost-sharing indicator, and AGE_LAST and
    ENROLDURATION are taken as given. The age at diagnosis is computed from the birth date; a column AGE_AT_DIAGNOSIS
    is checked (finding HCC-045), as the published software does.

    Parameters
    ----------
    folder_or_tables : path, DiyTables or mapping of DataFrame
        What :func:`riskadjust.read_diy` reads or returns.
    benefit_year, explain, settings
        As in :func:`riskadjust.score`.

    Returns
    -------
    Scores
        ``.scores`` sorted by enrollee_id: enrollee_id, metal_level, csr_indicator, then as in :func:`riskadjust.score`;
        enrollment_days is null (not part of this layout).

    Raises
    ------
    InputRefused
        A missing file or column, an empty person table, or an ENROLID twice.
    TableMissing, NotYetPublished, TableRefused, SettingRefused
        As in :func:`riskadjust.score`.

    Examples
    --------
    >>> import polars as pl, riskadjust
    >>> person = pl.DataFrame({"ENROLID": ["1"], "SEX": ["2"], "DOB": ["19840310"], "AGE_LAST": ["41"],
    ...     "METAL": ["silver"], "CSR_INDICATOR": ["3"], "ENROLDURATION": ["12"]})
    >>> diagnosis = pl.DataFrame({"ENROLID": ["1"], "DIAG": ["G35"], "DIAGNOSIS_SERVICE_DATE": ["20250615"]})
    >>> result = riskadjust.score_diy({"person": person, "diagnosis": diagnosis}, benefit_year=2025)
    >>> result.scores.select("risk_score", "csr_factor", "csr_adjusted_score").row(0)
    (2.326, 1.12, 2.60512)
    """
    model = compile_year(benefit_year, ScoringSettings.of(settings))
    run, persons, _, _ = diy_run(diy_tables(folder_or_tables), model, with_states=explain)
    return run.result(explain, diy_keys(persons))


def diy_tables(folder_or_tables: str | os.PathLike[str] | DiyTables | Mapping[str, Any]) -> DiyTables:
    """Return the tables of a folder, or those handed in, with their columns checked."""
    if isinstance(folder_or_tables, DiyTables | Mapping):
        return DiyTables.of(folder_or_tables)
    return read_diy(folder_or_tables)


def diy_run(
    tables: DiyTables, model: YearModel, *, with_states: bool = False, with_rows: bool = False
) -> tuple[Run, pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
    """Return a run of the kernel over DIY tables, the accepted persons, and diagnoses and drugs under our names."""
    findings = Findings()
    persons = _accepted_persons(tables.person, model, findings)
    enrollment = _as_given(persons, model)
    diagnoses_frame = _renamed(tables.diagnosis, {"DIAG": "diagnosis_code", "DIAGNOSIS_SERVICE_DATE": "service_date"})
    diagnoses = _events.arrange_diagnoses(diagnoses_frame, enrollment, model, findings)
    _check_ages_at_diagnosis(tables.diagnosis, diagnoses, enrollment, findings)
    drugs_frame = _drugs(tables)
    drugs = _events.arrange_drugs(drugs_frame, enrollment, model, findings, dated=False)
    kernel = kernel_run(model, enrollment, diagnoses, drugs, with_states=with_states, with_rows=with_rows)
    _events.note_statuses(diagnoses_frame, diagnoses, kernel.statuses, findings)
    return Run(model, enrollment, diagnoses, drugs, kernel, findings), persons, diagnoses_frame, drugs_frame


def _accepted_persons(person: pl.DataFrame, model: YearModel, findings: Findings) -> pl.DataFrame:
    """Return the usable persons, sorted by id, with numbers for ages, months, sex and metal, and their factor."""
    import datetime

    import polars as pl

    if person.height == 0:
        raise InputRefused("the person table has no rows", where="PERSON", rule="FILE-002", remedy="check the file")
    findings.table("enrollees", person.height)
    whole = {c: pl.col(c).str.contains(_WHOLE).fill_null(False) for c in ("AGE_LAST", "ENROLDURATION", "CSR_INDICATOR")}
    number = {c: pl.col(c).str.split(".").list.first().cast(pl.Int64, strict=False) for c in whole}
    own = person.select(
        pl.col("ENROLID").alias("enrollee_id"),
        _frames.date_column(person, "PERSON", "DOB").alias("birth_date"),
        pl.col("SEX").str.to_uppercase().replace({"M": "1", "F": "2"}).alias("sex"),
        pl.col("METAL").str.to_lowercase().alias("metal_level"),
        *(pl.when(whole[c]).then(number[c]).alias(c) for c in whole),
    )
    factors = model.csr_factors.drop_nulls("csr_indicator")
    by_indicator = factors.group_by("csr_indicator").agg(
        pl.col("csr_factor_scaled").first(), pl.col("uncertain").all(), pl.col("metal").unique().alias("metals")
    )
    own = own.join(
        by_indicator,
        left_on="CSR_INDICATOR",
        right_on="csr_indicator",
        how="left",
        maintain_order="left",
        validate="m:1",
    )
    rule = (
        pl.when(pl.col("enrollee_id").is_null() | (pl.col("enrollee_id") == ""))
        .then(pl.lit("MEM-001"))
        .when(pl.col("birth_date").is_null() | (pl.col("birth_date") > datetime.date(model.benefit_year, 12, 31)))
        .then(pl.lit("MEM-004"))
        .when(~pl.col("sex").is_in(["1", "2"]).fill_null(False))
        .then(pl.lit("MEM-006"))
        .when(pl.col("AGE_LAST").is_null())
        .then(pl.lit("HCC-040"))
        .when(pl.col("AGE_LAST") > OLDEST)
        .then(pl.lit("MEM-005"))
        .when(~pl.col("metal_level").is_in(list(METALS)).fill_null(False))
        .then(pl.lit("HCC-041"))
        .when(pl.col("csr_factor_scaled").is_null())
        .then(pl.lit("HCC-042"))
        .when(~pl.col("ENROLDURATION").is_between(1, 12).fill_null(False))
        .then(pl.lit("HCC-043"))
    )
    own = own.with_columns(rule.alias("rule"))
    for rule_id in sorted(own["rule"].drop_nulls().unique().to_list()):
        findings.refuse(rule_id, "enrollees", person.filter((own["rule"] == rule_id).fill_null(False)))
    own = own.filter(pl.col("rule").is_null()).drop("rule")
    twice = own["enrollee_id"].is_duplicated()
    if twice.any():
        raise InputRefused(
            f"{twice.sum()} rows share an ENROLID with another row",
            where="PERSON",
            rule="V05 text: a duplicate ENROLID is an error of the whole run",
            remedy="keep one row per enrollee and period",
        )
    fits = pl.col("metals").list.contains("any") | pl.col("metals").list.contains(pl.col("metal_level"))
    findings.note("HCC-044", "enrollees", own.select((~fits).sum()).item())
    return own.drop("metals").sort("enrollee_id")


def _as_given(persons: pl.DataFrame, model: YearModel) -> Enrollment:
    """Return persons as units with the ages and months they came with."""
    import polars as pl

    number = persons.height
    age_before, birthday = birthdays(persons["birth_date"], model.benefit_year, model.settings.leap_birthday)
    everyone = np.arange(number)
    return Enrollment(
        ids=persons["enrollee_id"],
        scope_owner=everyone,
        scope_keys=None,
        scope_of_owner=everyone,
        unit_scope=everyone,
        sex=persons["sex"].cast(pl.UInt8).to_numpy(),
        age_before=age_before,
        birthday=birthday,
        age_last=persons["AGE_LAST"].cast(pl.Int16).to_numpy(),
        days=None,
        months=persons["ENROLDURATION"].cast(pl.UInt8).to_numpy(),
        line_unit=everyone,
        line_variant=everyone,
        variants=persons.select("metal_level", "csr_factor_scaled", "uncertain"),
    )


def diy_keys(persons: pl.DataFrame) -> pl.DataFrame:
    """Return the key columns of each person's line, with its factor."""
    import polars as pl

    return persons.select(
        "enrollee_id",
        "metal_level",
        pl.col("CSR_INDICATOR").alias("csr_indicator"),
        "csr_factor_scaled",
        pl.col("uncertain").alias("_uncertain_factor"),
    )


def _renamed(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    return frame.rename({"ENROLID": "enrollee_id", **names})


def _drugs(tables: DiyTables) -> pl.DataFrame | None:
    import polars as pl

    parts = [
        _renamed(frame, {column: "code"}).select("enrollee_id", pl.lit(code_type).alias("code_type"), "code")
        for frame, column, code_type in ((tables.ndc, "NDC", "ndc"), (tables.hcpcs, "HCPCS", "hcpcs"))
        if frame is not None
    ]
    return pl.concat(parts) if parts else None


def _check_ages_at_diagnosis(
    frame: pl.DataFrame, diagnoses: _events.Diagnoses, enrollment: Enrollment, findings: Findings
) -> None:
    """Count given ages at diagnosis that differ from the computed ones; the computed age is the one used."""
    import polars as pl

    if "AGE_AT_DIAGNOSIS" not in frame.columns:
        return
    given = frame["AGE_AT_DIAGNOSIS"].cast(pl.Int64, strict=False)[diagnoses.row]
    owner = np.repeat(np.arange(len(enrollment.ids)), np.diff(diagnoses.first))
    computed = enrollment.age_before[owner] + (diagnoses.days >= enrollment.birthday[owner])
    findings.note("HCC-045", "diagnoses", int((given != pl.Series(computed)).fill_null(False).sum()))
