"""Risk scores of enrollees: check and arrange, one pass of the kernel, name the columns."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from riskadjust import _enrollment, _events, _lists
from riskadjust._crosswalk import BUNDLED_INFANT, BUNDLED_MOTHER
from riskadjust._findings import Findings
from riskadjust._kernel import Enrollees, KernelResult, run_kernel
from riskadjust._model import METALS, MODELS, YearModel, compile_year
from riskadjust._settings import ScoringSettings
from riskadjust._year_parts import FACTOR_DIGITS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Scores", "score"]

_USED_UNCERTAIN_ROW, _USED_CARRIED_YEAR = 4, 8
_METAL_COLUMN = {**{m: i for i, m in enumerate(METALS)}, "expanded_bronze": METALS.index("bronze")}


@dataclass(frozen=True)
class Scores:
    """Scores of one run, and all that was noticed on the way.

    Attributes
    ----------
    scores : DataFrame
        See :func:`score`.
    findings : DataFrame
        rule_id, table, severity, action, rows, condition, basis: one row per rule that fired.
    rejected : dict of DataFrame
        The rows of each input table that took no part, with their rule_id.
    counts : DataFrame
        table, input, accepted, rejected (rows); accepted + rejected = input.
    uncertain : DataFrame
        table, what, enrollees: figures marked uncertain, carried or proposed that took part, and in how many scores.
    settings : dict
        Every declared setting with the value used.
    benefit_year : int
        The year whose rules were used.
    tables : list of str
        The tables of published figures that were used.
    """

    scores: pl.DataFrame
    findings: pl.DataFrame
    rejected: dict[str, pl.DataFrame]
    counts: pl.DataFrame
    uncertain: pl.DataFrame
    settings: dict[str, Any]
    benefit_year: int
    tables: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"Scores(benefit_year={self.benefit_year}, rows={self.scores.height}, findings={self.findings.height}, "
            f"uncertain={self.uncertain.height})"
        )


def score(
    enrollees: pl.DataFrame | pl.LazyFrame,
    spans: pl.DataFrame | pl.LazyFrame,
    diagnoses: pl.DataFrame | pl.LazyFrame,
    drugs: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    benefit_year: int,
    explain: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Scores:
    """Return the HHS-HCC risk score of every enrollee in every plan variant of a benefit year.

    ``raw(metal) = sum of coefficients(model, variable, metal)`` over the variables that are 1, in integer thousandths;
    ``risk_score = raw(own metal)``; ``csr_adjusted_score = risk_score x csr_factor(year, variant, metal)``.

    Parameters
    ----------
    enrollees : DataFrame
        enrollee_id (text), birth_date (date), sex (M or F). One row per enrollee.
    spans : DataFrame
        enrollee_id, plan_id (14 characters; 16 and 17 are split), csr_variant (two digits), metal_level, span_start,
        span_end (inclusive). Optional: issuer_id, market.
    diagnoses : DataFrame
        enrollee_id, diagnosis_code (ICD-10-CM), service_date: the risk-adjustment-eligible ones. Optional: issuer_id,
        market.
    drugs : DataFrame, optional
        enrollee_id, code_type (ndc or hcpcs), code, service_date. Optional: issuer_id, market.
    benefit_year : int
        The year whose published tables are used.
    explain : bool
        Add the lists hccs (after the hierarchy, before model exclusions and grouping), rxcs and variables.
    settings : mapping, optional
        Declared settings by name, see :class:`riskadjust.ScoringSettings`.

    Returns
    -------
    Scores
        ``.scores`` sorted by enrollee_id, plan_id, csr_variant, metal_level, with model (adult, child, infant),
        age_last (completed years on the last enrolled day), enrollment_days, enrollment_months, hcc_count (2023 and
        later, adults and children), score_platinum ... score_catastrophic, risk_score, csr_factor, csr_adjusted_score
        (risk-score units; the last two null, with a finding, where no factor is published).

    Raises
    ------
    InputRefused
        A frame lacks a column, has a wrong type, holds no enrollee, or an enrollee_id twice.
    TableMissing, NotYetPublished, TableRefused
        The year's tables are not held, only proposed, or contradict each other.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Sources: HHS-Developed Risk Adjustment Model Algorithm, DIY instructions and tables of the benefit year (Tables
    1-13); HHS-HCC software V05 and V07.

    Examples
    --------
    A man of 45 with a type 2 diabetes complication, silver, benefit year 2025.

    >>> import datetime, polars as pl, riskadjust
    >>> day = datetime.date
    >>> enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [day(1980, 3, 10)], "sex": ["M"]})
    >>> spans = pl.DataFrame({"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["01"],
    ...     "metal_level": ["silver"], "span_start": [day(2025, 1, 1)], "span_end": [day(2025, 12, 31)]})
    >>> diagnoses = pl.DataFrame(
    ...     {"enrollee_id": ["A"], "diagnosis_code": ["E11.69"], "service_date": [day(2025, 6, 15)]})
    >>> result = riskadjust.score(enrollees, spans, diagnoses, benefit_year=2025, explain=True)
    >>> result.scores.select("model", "age_last", "enrollment_months", "risk_score").row(0)
    ('adult', 45, 12, 0.336)
    >>> result.scores["variables"].to_list()
    [['G01', 'MAGE_LAST_45_49']]
    """
    model = compile_year(benefit_year, ScoringSettings.of(settings))
    frames = ScoringFrames.read(enrollees, spans, diagnoses, drugs)
    run = run_score(model, frames, with_states=explain)
    return run.result(explain)


@dataclass(frozen=True)
class ScoringFrames:
    """The input frames, collected, their columns present."""

    enrollees: pl.DataFrame
    spans: pl.DataFrame
    diagnoses: pl.DataFrame
    drugs: pl.DataFrame | None

    @classmethod
    def read(cls, enrollees: Any, spans: Any, diagnoses: Any, drugs: Any) -> ScoringFrames:
        """Return the frames collected, with their columns checked."""
        return cls(
            _frames.as_frame(enrollees, "enrollees"),
            _frames.as_frame(spans, "enrollment_spans"),
            _frames.as_frame(diagnoses, "diagnoses"),
            None if drugs is None else _frames.as_frame(drugs, "drugs"),
        )

    def only(self, enrollee_ids: pl.Series) -> ScoringFrames:
        """Return the rows of some enrollees."""
        import polars as pl

        def chosen(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.filter(pl.col("enrollee_id").is_in(enrollee_ids.implode()))

        drugs = None if self.drugs is None else chosen(self.drugs)
        return ScoringFrames(chosen(self.enrollees), chosen(self.spans), chosen(self.diagnoses), drugs)

    def scope_columns(self) -> tuple[str, ...]:
        """Return those of issuer_id and market that diagnoses and drugs both carry."""
        events = [self.diagnoses] + ([] if self.drugs is None else [self.drugs])
        return tuple(c for c in ("issuer_id", "market") if all(c in e.columns for e in events))


@dataclass(frozen=True)
class Run:
    """One run between the arrays: what went into the kernel and what came out."""

    model: YearModel
    enrollment: _enrollment.Enrollment
    diagnoses: _events.Diagnoses
    drugs: _events.Drugs
    kernel: KernelResult
    findings: Findings

    def result(self, explain: bool, keys: pl.DataFrame | None = None) -> Scores:
        """Return the run as named columns; `keys` are the lines' own columns where they are not plan variants."""
        lines = _score_columns(self, plan_keys(self) if keys is None else keys)
        if explain:
            lists = _lists.explanation_columns(self.model, self.kernel, self.drugs.masks[self.enrollment.unit_scope])
            lines = lines.with_columns(c.gather(self.enrollment.line_unit) for c in lists)
        uncertain = _uncertain(self, lines)
        findings = self.findings
        findings.note("HCC-050", "enrollees", max(uncertain["enrollees"].to_list(), default=0))
        return Scores(
            scores=lines.drop("_uncertain_factor"),
            findings=findings.frame(),
            rejected=findings.refused(),
            counts=findings.counts(),
            uncertain=uncertain,
            settings=self.model.settings.as_dict(),
            benefit_year=self.model.benefit_year,
            tables=list(self.model.tables_used),
        )


def run_score(model: YearModel, frames: ScoringFrames, *, with_states: bool = False, with_rows: bool = False) -> Run:
    """Return a run of the kernel over frames: everything before columns get names."""
    findings = Findings()
    # The spelling of codes depends on nobody's enrollment: on two processors it is read meanwhile.
    with ThreadPoolExecutor(1) as pool:
        spellings = pool.submit(_events.diagnosis_spellings, frames.diagnoses, model)
        people = _enrollment.accepted_enrollees(frames.enrollees, model.benefit_year, findings)
        enrollment = _enrollment.arrange_enrollment(
            people, frames.spans, model, findings, frames.scope_columns(), frames.enrollees
        )
        diagnoses = _events.arrange_diagnoses(frames.diagnoses, enrollment, model, findings, spellings.result())
    drugs = _events.arrange_drugs(frames.drugs, enrollment, model, findings)
    kernel = kernel_run(model, enrollment, diagnoses, drugs, with_states=with_states, with_rows=with_rows)
    _events.note_statuses(frames.diagnoses, diagnoses, kernel.statuses, findings)
    findings.note("HCC-025", "enrollees", _bundled(model, enrollment, kernel) if with_states else 0)
    return Run(model, enrollment, diagnoses, drugs, kernel, findings)


def kernel_run(
    model: YearModel,
    enrollment: _enrollment.Enrollment,
    diagnoses: _events.Diagnoses,
    drugs: _events.Drugs,
    *,
    with_states: bool = False,
    with_rows: bool = False,
) -> KernelResult:
    """Return the kernel's results for arranged enrollment and events."""
    unit_scope = enrollment.unit_scope
    return run_kernel(
        model,
        Enrollees(
            age_before=enrollment.age_before,
            birthday=enrollment.birthday,
            age_last=enrollment.age_last,
            months=enrollment.months,
            sex=enrollment.sex,
            diagnosis_first=diagnoses.first[:-1][unit_scope],
            diagnosis_last=diagnoses.first[1:][unit_scope],
            code_ids=diagnoses.code_ids,
            days=diagnoses.days,
            drugs=drugs.masks[unit_scope],
        ),
        with_states=with_states or any(model.uncertain_coefficients),
        with_rows=with_rows,
    )


def _bundled(model: YearModel, enrollment: _enrollment.Enrollment, kernel: KernelResult) -> int:
    """Return how many records show codes of mother and newborn together (a flag only: nothing is removed)."""
    masks = {flag: _lists.hcc_words(mask) for flag, mask in model.diagnoses.bundled_hccs.items()}
    has_delivery = (kernel.hccs & masks[BUNDLED_MOTHER]).any(axis=1)
    has_newborn = (kernel.hccs & masks[BUNDLED_INFANT]).any(axis=1)
    mother = has_delivery & (kernel.flags & BUNDLED_INFANT > 0) & (kernel.models != MODELS.index("infant"))
    infant = has_newborn & (kernel.flags & BUNDLED_MOTHER > 0) & (enrollment.age_last == 0)
    return int((mother | infant).sum())


def plan_keys(run: Run) -> pl.DataFrame:
    """Return the key columns of each output line, with its factor."""
    import polars as pl

    enrollment = run.enrollment
    variants = _enrollment.with_csr_factor(enrollment.variants, run.model)
    owner = enrollment.scope_owner[enrollment.unit_scope[enrollment.line_unit]]
    return variants[enrollment.line_variant].select(
        enrollment.ids.gather(owner).alias("enrollee_id"),
        "plan_id",
        "csr_variant",
        "metal_level",
        "csr_factor_scaled",
        pl.col("uncertain").alias("_uncertain_factor"),
    )


def _score_columns(run: Run, keys: pl.DataFrame) -> pl.DataFrame:
    """Return one line per key with its ages, months and scores."""
    import polars as pl

    enrollment, kernel, unit = run.enrollment, run.kernel, run.enrollment.line_unit
    metal = own_metal(keys)
    own = kernel.scores[unit, metal].astype(np.int64)
    days = pl.repeat(None, len(unit), dtype=pl.Int64) if enrollment.days is None else pl.Series(enrollment.days[unit])
    published = ["csr_factor_scaled", "_uncertain_factor"]
    return keys.select(
        *(c for c in keys.columns if c not in published),
        _lists.named(MODELS, kernel.models[unit]).alias("model"),
        pl.Series("age_last", enrollment.age_last[unit].astype(np.int64)),
        days.alias("enrollment_days"),
        pl.Series("enrollment_months", enrollment.months[unit].astype(np.int64)),
        _counted(kernel.hcc_counts[unit]),
        *(pl.Series(f"score_{m}", kernel.scores[unit, i] / 1000.0) for i, m in enumerate(METALS)),
        pl.Series("risk_score", own / 1000.0),
        *_factor_columns(own, keys["csr_factor_scaled"], run.model.settings.adjusted_score_rounding),
        "_uncertain_factor",
    )


def own_metal(keys: pl.DataFrame) -> np.ndarray:
    """Return the column of each line's metal level among the coefficients; expanded bronze scores as bronze."""
    import polars as pl

    return keys["metal_level"].replace_strict(_METAL_COLUMN, return_dtype=pl.Int64).to_numpy()


def _counted(counts: np.ndarray) -> pl.Series:
    import polars as pl

    series = pl.Series("hcc_count", counts.astype(np.int64))
    return series.set(series < 0, None)


def _factor_columns(own_milli: np.ndarray, scaled: pl.Series, rounding: str) -> list[pl.Series]:
    """Return csr_factor and csr_adjusted_score: thousandths x ten-thousandths in integers, divided once.

    Both are null where no factor is published. The division is numpy's: polars multiplies by a reciprocal, which
    misses the nearest double of 1.15.
    """
    import polars as pl

    unit = 10**FACTOR_DIGITS
    factor = scaled.fill_null(0).to_numpy()
    product = own_milli * factor
    if rounding == "none":
        adjusted = product / (unit * 1000)
    else:
        adjusted = np.sign(product) * ((np.abs(product) + unit // 2) // unit) / 1000
    columns = [pl.Series("csr_factor", factor / unit), pl.Series("csr_adjusted_score", adjusted)]
    absent = scaled.is_null()
    return [c.set(absent, None) for c in columns] if absent.any() else columns


def _uncertain(run: Run, lines: pl.DataFrame) -> pl.DataFrame:
    """Return which uncertain, carried or proposed figures took part, and in how many scores."""
    import polars as pl

    kernel, model = run.kernel, run.model
    by_drug = (run.drugs.uncertain[run.enrollment.unit_scope] & model.drugs_read[kernel.models]) > 0
    found = [
        ("hhs_hcc/icd10_to_cc", "crosswalk rows marked uncertain", int((kernel.flags & _USED_UNCERTAIN_ROW > 0).sum())),
        (
            "hhs_hcc/icd10_to_cc",
            "second fiscal year not known: the first year's answer carried",
            int((kernel.flags & _USED_CARRIED_YEAR > 0).sum()),
        ),
        (
            "hhs_hcc/ndc_to_rxc, hcpcs_to_rxc, acf_code_map",
            "drug rows marked uncertain",
            int(by_drug.sum()),
        ),
        ("hhs_hcc/csr_factors", "cost-sharing factors marked uncertain", int(lines["_uncertain_factor"].sum())),
        ("hhs_hcc/coefficients", "coefficients marked uncertain", _lists.uncertain_coefficient_uses(model, kernel)),
    ]
    everyone = len(kernel.models)
    if model.proposed:
        found.append(("hhs_hcc/coefficients", "coefficients of a proposed rule", everyone))
    found += [
        (f"hhs_hcc/{n}", f"table carried from benefit year {y}", everyone) for n, y in sorted(model.carried.items())
    ]
    schema = {"table": pl.String, "what": pl.String, "enrollees": pl.Int64}
    return pl.DataFrame([f for f in found if f[2]], schema=schema, orient="row")
